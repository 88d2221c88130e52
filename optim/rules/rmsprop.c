/* RMSprop: the gradient divided by the root of its recent mean square, or of its variance, with or without
 * momentum; as PyTorch and as TensorFlow write it, which train differently. Hinton 2012, lecture 6e;
 * centered: Graves 2013, arXiv:1308.0850. */
#include "optim/elementwise.h"

enum { LR, ALPHA, MOMENTUM, CENTERED, EPS, WEIGHT_DECAY, DECAY_ALL, HYPERPARAMETERS };

#define RMSPROP_OPTIONS(alpha, eps, eps_help)                                                              \
    {                                                                                                      \
        [LR] = OPTIM_LR("1e-2", 3e-4, 0.3),                                                                \
        [ALPHA] = OPTIM_RATE("alpha", alpha, 0, 0, "decay rate of the mean square of the gradient"),       \
        [MOMENTUM] = OPTIM_RATE("momentum", "0", 0, 0, "share of the last step that goes on"),             \
        [CENTERED] = OPTIM_FLAG("centered", "no", "divide by the deviation from the mean gradient"),       \
        [EPS] = OPTIM_POSITIVE("eps", eps, true, 0, 0, eps_help),                                          \
        [WEIGHT_DECAY] = OPTIM_WEIGHT_DECAY("0", 0, 0), [DECAY_ALL] = OPTIM_DECAY_ALL,                     \
    }

static const struct descent_option rmsprop_options[] =
    RMSPROP_OPTIONS("0.99", "1e-8", "added to the denominator, outside the root");
static const struct descent_option rmsprop_tf_options[] =
    RMSPROP_OPTIONS("0.9", "1e-10", "added inside the root");

static bool centered(const struct optim_tensor *t)
{
    return t->hyper[CENTERED].number != 0;
}

/* By what `init` made: a schedule may take the momentum to 0. */
static bool has_momentum(const struct optim_tensor *t)
{
    return t->slot[centered(t) ? 2 : 1];
}

/* Slots: v, then the mean if centered, then the momentum. */
static enum descent_status init(struct optim_run *run)
{
    enum descent_status status = DESCENT_OK;
    for (int i = 0; i < run->count && !status; i++) {
        struct optim_tensor *t = run->tensor[i];
        int slot = 0;
        status = optim_slot(run, t, slot++, "v");
        if (!status && centered(t))
            status = optim_slot(run, t, slot++, "mean");
        if (!status && t->hyper[MOMENTUM].number > 0)
            status = optim_slot(run, t, slot, "b");
    }
    return status;
}

static enum descent_status init_tf(struct optim_run *run)
{
    enum descent_status status = init(run);
    for (int i = 0; i < run->count && !status; i++)
        for (int64_t j = 0; j < run->tensor[i]->param->size; j++)
            run->tensor[i]->slot[0][j] = 1;
    return status;
}

enum { OLD, NEW, INSIDE, OUTSIDE, RATE, MU };

/* v <- alpha v + (1 - alpha) g^2;  mean <- alpha mean + (1 - alpha) g, or 0
 * d = rate g / (sqrt(v - mean^2 + inside) + outside), rounding below 0 being 0 */
OPTIM_INLINE descent_real scaled(const descent_real *k, struct optim_element *e, bool center)
{
    descent_real *v = &e->s[0], *mean = &e->s[1];
    *v = k[OLD] * *v + k[NEW] * (e->g * e->g);
    descent_real square = *v;
    if (center) {
        *mean = k[OLD] * *mean + k[NEW] * e->g;
        square -= *mean * *mean;
        square = square > 0 ? square : 0;
    }
    return k[RATE] * e->g / (sqrt(square + k[INSIDE]) + k[OUTSIDE]);
}

/* b <- momentum b + d;  the step is along b */
OPTIM_INLINE descent_real carried(const descent_real *k, descent_real *b, descent_real d)
{
    return *b = k[MU] * *b + d;
}

OPTIM_INLINE descent_real plain_rule(const descent_real *k, struct optim_element *e)
{
    return scaled(k, e, false);
}

OPTIM_INLINE descent_real centered_rule(const descent_real *k, struct optim_element *e)
{
    return scaled(k, e, true);
}

OPTIM_INLINE descent_real momentum_rule(const descent_real *k, struct optim_element *e)
{
    return carried(k, &e->s[1], scaled(k, e, false));
}

OPTIM_INLINE descent_real centered_momentum_rule(const descent_real *k, struct optim_element *e)
{
    return carried(k, &e->s[2], scaled(k, e, true));
}

static void loop(struct optim_part *part)
{
    if (centered(part->tensor) && has_momentum(part->tensor))
        optim_elementwise(part, 3, centered_momentum_rule);
    else if (centered(part->tensor))
        optim_elementwise(part, 2, centered_rule);
    else if (has_momentum(part->tensor))
        optim_elementwise(part, 2, momentum_rule);
    else
        optim_elementwise(part, 1, plain_rule);
}

static void set_scalars(struct optim_tensor *t, bool tf)
{
    double alpha = t->hyper[ALPHA].number, eps = t->hyper[EPS].number;
    t->k[OLD] = (descent_real)alpha;
    t->k[NEW] = (descent_real)(1 - alpha);
    t->k[INSIDE] = (descent_real)(tf ? eps : 0);
    t->k[OUTSIDE] = (descent_real)(tf ? 0 : eps);
    t->k[RATE] = (descent_real)(tf ? t->lr : 1);
    t->k[MU] = (descent_real)t->hyper[MOMENTUM].number;
    t->lr = tf ? 1 : t->lr;
}

static enum descent_status step(struct optim_run *run)
{
    for (int i = 0; i < run->count; i++)
        set_scalars(run->tensor[i], false);
    optim_for_parts(run, loop);
    return DESCENT_OK;
}

static enum descent_status step_tf(struct optim_run *run)
{
    for (int i = 0; i < run->count; i++)
        set_scalars(run->tensor[i], true);
    optim_for_parts(run, loop);
    return DESCENT_OK;
}

const struct optim_algorithm OPTIM_ALGORITHM(rmsprop) = {
    .name = "rmsprop",
    .summary = "the gradient divided by the root of its recent mean square",
    .answers = OPTIM_SCALES,
    .paper = "Hinton 2012, lecture 6e; centered: Graves 2013, arXiv:1308.0850",
    .formula = "g <- g + weight_decay x\n"
               "v <- alpha v + (1 - alpha) g^2\n"
               "mean <- alpha mean + (1 - alpha) g if centered, else 0\n"
               "b <- momentum b + g / (sqrt(v - mean^2) + eps)\n"
               "x <- x - lr b\n"
               "PyTorch's form: eps outside the root, lr outside b; without bias correction.\n",
    .options = rmsprop_options,
    .option_count = HYPERPARAMETERS,
    .decay = OPTIM_COUPLED,
    .init = init,
    .step = step,
    .single_pass = true,
};

const struct optim_algorithm OPTIM_ALGORITHM(rmsprop_tf) = {
    .name = "rmsprop_tf",
    .summary = "RMSprop as TensorFlow has it, which many published results used",
    .answers = OPTIM_SCALES,
    .paper = "Hinton 2012, lecture 6e; centered: Graves 2013, arXiv:1308.0850",
    .formula = "g <- g + weight_decay x\n"
               "v <- alpha v + (1 - alpha) g^2, v being 1 at first\n"
               "mean <- alpha mean + (1 - alpha) g if centered, else 0\n"
               "b <- momentum b + lr g / sqrt(v - mean^2 + eps)\n"
               "x <- x - b\n"
               "TensorFlow's and timm's form: eps inside the root, lr inside b.\n",
    .options = rmsprop_tf_options,
    .option_count = HYPERPARAMETERS,
    .decay = OPTIM_COUPLED,
    .init = init_tf,
    .step = step_tf,
    .single_pass = true,
};
