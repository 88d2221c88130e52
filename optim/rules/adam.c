/* Adam and AdamW: each parameter's step is measured in units of its gradient's own size. eps outside the
 * root, as in PyTorch, where TensorFlow's "eps-hat" is inside the bias correction. Kingma & Ba 2014,
 * arXiv:1412.6980; Loshchilov & Hutter 2017, arXiv:1711.05101. */
#include "optim/elementwise.h"

enum { LR, BETA1, BETA2, EPS, WEIGHT_DECAY, DECAY_ALL, HYPERPARAMETERS };

/* low, high: ends of search ranges. */
#define ADAM_OPTIONS(lr_low, lr_high, beta1_low, beta1_high, decay, decay_low, decay_high)                 \
    {                                                                                                      \
        [LR] = OPTIM_LR("1e-3", lr_low, lr_high),                                                          \
        [BETA1] = OPTIM_RATE("beta1", "0.9", beta1_low, beta1_high,                                        \
                             "decay rate of the first moment, the mean of the gradient"),                  \
        [BETA2] =                                                                                          \
            OPTIM_RATE("beta2", "0.999", 0, 0, "decay rate of the second moment, the mean of its square"), \
        [EPS] = OPTIM_EPS("1e-8"), [WEIGHT_DECAY] = OPTIM_WEIGHT_DECAY(decay, decay_low, decay_high),      \
        [DECAY_ALL] = OPTIM_DECAY_ALL,                                                                     \
    }

static const struct descent_option adam_options[] = ADAM_OPTIONS(3e-5, 3e-2, 0, 0, "0", 0, 0);
static const struct descent_option adamw_options[] = ADAM_OPTIONS(1e-4, 1e-2, 0.5, 0.98, "1e-2", 5e-3, 1);

enum { B1, NEW1, B2, NEW2, ROOT_C2, EPSILON };

/* m <- b1 m + (1 - b1) g;  v <- b2 v + (1 - b2) g^2;  d = m / (sqrt(v) / sqrt(c2) + eps), 1 / c1 being in
 * lr */
OPTIM_INLINE descent_real rule(const descent_real *k, struct optim_element *e)
{
    descent_real *m = &e->s[0], *v = &e->s[1];
    *m = k[B1] * *m + k[NEW1] * e->g;
    *v = k[B2] * *v + k[NEW2] * (e->g * e->g);
    return *m / (sqrt(*v) * k[ROOT_C2] + k[EPSILON]);
}

static void loop(struct optim_part *part)
{
    optim_elementwise(part, 2, rule);
}

static enum descent_status step(struct optim_run *run)
{
    for (int i = 0; i < run->count; i++) {
        struct optim_tensor *t = run->tensor[i];
        double beta1 = t->hyper[BETA1].number, beta2 = t->hyper[BETA2].number, time = (double)run->step;
        t->lr /= 1 - pow(beta1, time);
        t->k[B1] = (descent_real)beta1;
        t->k[NEW1] = (descent_real)(1 - beta1);
        t->k[B2] = (descent_real)beta2;
        t->k[NEW2] = (descent_real)(1 - beta2);
        t->k[ROOT_C2] = (descent_real)(1 / sqrt(1 - pow(beta2, time)));
        t->k[EPSILON] = (descent_real)t->hyper[EPS].number;
    }
    optim_for_parts(run, loop);
    return DESCENT_OK;
}

#define ADAM_RULE(options_)                                                                                \
    .options = (options_), .option_count = HYPERPARAMETERS, .slots = {"m", "v"}, .step = step

#define ADAM_FORMULA                                                                                       \
    "m <- beta1 m + (1 - beta1) g          c1 = 1 - beta1^t\n"                                             \
    "v <- beta2 v + (1 - beta2) g^2        c2 = 1 - beta2^t\n"                                             \
    "x <- x - lr/c1 m / (sqrt(v)/sqrt(c2) + eps)\n"

const struct optim_algorithm OPTIM_ALGORITHM(adam) = {
    .name = "adam",
    .summary = "momentum divided by the root of the mean squared gradient, parameter by parameter",
    .answers = OPTIM_SCALES,
    .paper = "Kingma & Ba 2014, arXiv:1412.6980",
    .formula = "g <- g + weight_decay x\n" ADAM_FORMULA "PyTorch's eps: added to the corrected root.\n",
    .decay = OPTIM_COUPLED,
    ADAM_RULE(adam_options),
};

const struct optim_algorithm OPTIM_ALGORITHM(adamw) = {
    .name = "adamw",
    .summary = "Adam with weight decay kept out of the moments",
    .answers = OPTIM_SCALES,
    .paper = "Loshchilov & Hutter 2017, arXiv:1711.05101",
    .formula = "x <- x (1 - lr weight_decay), lr as scheduled\n" ADAM_FORMULA "PyTorch's eps and decay.\n",
    .decay = OPTIM_DECOUPLED,
    ADAM_RULE(adamw_options),
};
