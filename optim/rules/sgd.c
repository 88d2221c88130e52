/* Gradient descent: plain, with momentum (heavy ball), with Nesterov's momentum, with decoupled decay. One
 * rule under four names; full-batch or stochastic is the caller's choice of gradient. As in PyTorch: the
 * first momentum step copies the gradient, and lr multiplies the buffer instead of entering it. Robbins &
 * Monro 1951; Polyak 1964; Nesterov 1983; Sutskever et al., "On the importance of initialization and
 * momentum", ICML 2013. */
#include "optim/elementwise.h"

enum { LR, MOMENTUM, DAMPENING, NESTEROV, WEIGHT_DECAY, DECAY_ALL, HYPERPARAMETERS };

/* low, high: ends of search ranges. */
#define SGD_OPTIONS(lr_low, lr_high, momentum_, momentum_low, momentum_high, nesterov_, decay_low,         \
                    decay_high)                                                                            \
    {                                                                                                      \
        [LR] = OPTIM_LR("1e-3", lr_low, lr_high),                                                          \
        [MOMENTUM] = OPTIM_RATE("momentum", momentum_, momentum_low, momentum_high,                        \
                                "share of the last step that goes on"),                                    \
        [DAMPENING] = OPTIM_BETWEEN("dampening", "0", 0, 1,                                                \
                                    "share of the gradient that does not enter the momentum"),             \
        [NESTEROV] = OPTIM_FLAG("nesterov", nesterov_, "look ahead: step along gradient and momentum"),    \
        [WEIGHT_DECAY] = OPTIM_WEIGHT_DECAY("0", decay_low, decay_high), [DECAY_ALL] = OPTIM_DECAY_ALL,    \
    }

static const struct descent_option sgd_options[] = SGD_OPTIONS(5e-3, 5, "0", 0, 0, "no", 0, 0);
static const struct descent_option momentum_options[] =
    SGD_OPTIONS(1e-3, 1, "0.9", 0.7, 0.995, "no", 1e-7, 5e-5);
static const struct descent_option nesterov_options[] =
    SGD_OPTIONS(1e-3, 1, "0.9", 0.7, 0.995, "yes", 1e-7, 5e-5);

/* Momentum's decay passes through b, which is worth ten times as much at momentum 0.9. */
static const struct descent_option sgdw_options[] = SGD_OPTIONS(1e-3, 1, "0", 0.7, 0.995, "no", 1e-6, 5e-4);

static enum descent_status check(const struct descent_value *hyper)
{
    if (hyper[NESTEROV].number != 0 && (hyper[MOMENTUM].number == 0 || hyper[DAMPENING].number != 0))
        return descent_fail(
            DESCENT_BAD_ARGUMENT,
            "nesterov=yes needs momentum above 0 and dampening=0; found momentum=%g, dampening=%g",
            hyper[MOMENTUM].number, hyper[DAMPENING].number);
    return DESCENT_OK;
}

static enum descent_status init(struct optim_run *run)
{
    enum descent_status status = DESCENT_OK;
    for (int i = 0; i < run->count && !status; i++)
        if (run->tensor[i]->hyper[MOMENTUM].number > 0)
            status = optim_slot(run, run->tensor[i], 0, "b");
    return status;
}

enum { MU, FRESH, ALONG_G, ALONG_B };

/* b <- mu b + (1 - dampening) g;  d = b, or g + mu b */
OPTIM_INLINE descent_real momentum_rule(const descent_real *k, struct optim_element *e)
{
    descent_real *b = &e->s[0];
    *b = k[MU] * *b + k[FRESH] * e->g;
    return k[ALONG_G] * e->g + k[ALONG_B] * *b;
}

OPTIM_INLINE descent_real plain_rule(const descent_real *k, struct optim_element *e)
{
    (void)k;
    return e->g;
}

static void loop(struct optim_part *part)
{
    if (part->tensor->slot[0])
        optim_elementwise(part, 1, momentum_rule);
    else
        optim_elementwise(part, 0, plain_rule);
}

static enum descent_status step(struct optim_run *run)
{
    for (int i = 0; i < run->count; i++) {
        struct optim_tensor *t = run->tensor[i];
        double mu = t->hyper[MOMENTUM].number, dampening = t->hyper[DAMPENING].number;
        bool nesterov = t->hyper[NESTEROV].number != 0;
        t->k[MU] = (descent_real)mu;
        t->k[FRESH] = t->step == 1 ? 1 : (descent_real)(1 - dampening);
        t->k[ALONG_G] = nesterov ? 1 : 0;
        t->k[ALONG_B] = nesterov ? (descent_real)mu : 1;
    }
    optim_for_parts(run, loop);
    return DESCENT_OK;
}

#define SGD_RULE(options_)                                                                                 \
    .options = (options_), .option_count = HYPERPARAMETERS, .check = check, .init = init, .step = step,    \
    .single_pass = true

const struct optim_algorithm OPTIM_ALGORITHM(sgd) = {
    .name = "sgd",
    .summary = "gradient descent, stochastic when fed mini-batches",
    .answers = OPTIM_NOISE,
    .paper = "Robbins & Monro 1951, A stochastic approximation method",
    .formula = "g <- g + weight_decay x\n"
               "x <- x - lr g\n"
               "For lenet5 with batches of 64: lr=0.1.\n",
    .decay = OPTIM_COUPLED,
    SGD_RULE(sgd_options),
};

const struct optim_algorithm OPTIM_ALGORITHM(momentum) = {
    .name = "momentum",
    .summary = "heavy ball: steps add up along directions that persist",
    .answers = OPTIM_RAVINES,
    .paper = "Polyak 1964, Some methods of speeding up the convergence of iteration methods",
    .formula = "g <- g + weight_decay x\n"
               "b <- g in the first step, then momentum b + (1 - dampening) g\n"
               "x <- x - lr b\n"
               "PyTorch's form: the first step copies g, and a changed lr applies to the whole of b.\n"
               "For lenet5 with batches of 64: lr=0.02.\n",
    .decay = OPTIM_COUPLED,
    SGD_RULE(momentum_options),
};

const struct optim_algorithm OPTIM_ALGORITHM(nesterov) = {
    .name = "nesterov",
    .summary = "momentum that looks ahead: the gradient corrects the step already under way",
    .answers = OPTIM_RAVINES,
    .paper = "Nesterov 1983; Sutskever et al. 2013, On the importance of initialization and momentum",
    .formula = "g <- g + weight_decay x\n"
               "b <- g in the first step, then momentum b + g\n"
               "x <- x - lr (g + momentum b)\n"
               "PyTorch's form; that of Keras, with lr inside b, is the same while lr is constant.\n"
               "For lenet5 with batches of 64: lr=0.02.\n",
    .decay = OPTIM_COUPLED,
    SGD_RULE(nesterov_options),
};

const struct optim_algorithm OPTIM_ALGORITHM(sgdw) = {
    .name = "sgdw",
    .summary = "gradient descent with weight decay kept out of the momentum",
    .answers = OPTIM_RAVINES,
    .paper = "Loshchilov & Hutter 2017, arXiv:1711.05101",
    .formula = "x <- x (1 - lr weight_decay), lr as scheduled\n"
               "b <- g in the first step, then momentum b + (1 - dampening) g\n"
               "x <- x - lr b, or x - lr (g + momentum b) with nesterov\n"
               "timm's form: decay times lr, before the step, and no momentum unless asked.\n"
               "For lenet5 with batches of 64: lr=0.1.\n",
    .decay = OPTIM_DECOUPLED,
    SGD_RULE(sgdw_options),
};
