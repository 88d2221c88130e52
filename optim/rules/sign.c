/* What is left of a gradient when its size is thrown away: signSGD and Signum keep the sign of each
 * element, normalized SGD the direction of the whole. A step's length is then the learning rate's alone, so
 * these settle only as it falls. Bernstein et al. 2018, arXiv:1802.04434; Hazan et al. 2015,
 * arXiv:1507.02030. */
#include "optim/elementwise.h"

enum { LR, BETA = 1, EPS = 1, WEIGHT_DECAY = 2, DECAY_ALL = 3, HYPERPARAMETERS = 4 };

enum { MU, FRESH };

OPTIM_INLINE descent_real sign(descent_real x)
{
    return (descent_real)((x > 0) - (x < 0));
}

/* m <- beta m + (1 - beta) g;  d = sign(m) */
OPTIM_INLINE descent_real signum_rule(const descent_real *k, struct optim_element *e)
{
    descent_real *m = &e->s[0];
    *m = k[MU] * *m + k[FRESH] * e->g;
    return sign(*m);
}

OPTIM_INLINE descent_real sign_rule(const descent_real *k, struct optim_element *e)
{
    (void)k;
    return sign(e->g);
}

/* d = g, 1 / norm being in lr */
OPTIM_INLINE descent_real plain_rule(const descent_real *k, struct optim_element *e)
{
    (void)k;
    return e->g;
}

static void signum_loop(struct optim_part *part)
{
    optim_elementwise(part, 1, signum_rule);
}

static void sign_loop(struct optim_part *part)
{
    optim_elementwise(part, 0, sign_rule);
}

static void plain_loop(struct optim_part *part)
{
    optim_elementwise(part, 0, plain_rule);
}

static enum descent_status sign_step(struct optim_run *run)
{
    optim_for_parts(run, sign_loop);
    return DESCENT_OK;
}

static enum descent_status signum_step(struct optim_run *run)
{
    for (int i = 0; i < run->count; i++) {
        struct optim_tensor *t = run->tensor[i];
        double beta = t->hyper[BETA].number;
        t->k[MU] = (descent_real)beta;
        t->k[FRESH] = (descent_real)(1 - beta);
    }
    optim_for_parts(run, signum_loop);
    return DESCENT_OK;
}

static enum descent_status normalized_step(struct optim_run *run)
{
    for (int i = 0; i < run->count; i++) {
        struct optim_tensor *t = run->tensor[i];
        t->lr /= t->grad_scale * run->gradient_norm + t->hyper[EPS].number;
    }
    optim_for_parts(run, plain_loop);
    return DESCENT_OK;
}

#define DECAY_OPTIONS [WEIGHT_DECAY] = OPTIM_WEIGHT_DECAY("0", 0, 0), [DECAY_ALL] = OPTIM_DECAY_ALL

/* signSGD has no hyperparameter of its own, and so one fewer. */
static const struct descent_option sign_options[] = {
    OPTIM_LR("1e-3", 3e-5, 3e-2),
    OPTIM_WEIGHT_DECAY("0", 0, 0),
    OPTIM_DECAY_ALL,
};

static const struct descent_option signum_options[] = {
    [LR] = OPTIM_LR("1e-3", 3e-5, 3e-2),
    [BETA] = OPTIM_RATE("beta", "0.9", 0.5, 0.98, "decay rate of the mean of the gradient"),
    DECAY_OPTIONS,
};

static const struct descent_option normalized_options[] = {
    [LR] = OPTIM_LR("0.1", 3e-3, 3),
    [EPS] = OPTIM_POSITIVE("eps", "1e-6", true, 0, 0, "added to the norm"),
    DECAY_OPTIONS,
};

#define DECAY_FORMULA "x <- x (1 - lr weight_decay), lr as scheduled\n"

const struct optim_algorithm OPTIM_ALGORITHM(signsgd) = {
    .name = "signsgd",
    .summary = "every parameter moves by lr, against the sign of its gradient",
    .answers = OPTIM_SCALES,
    .paper = "Bernstein et al. 2018, arXiv:1802.04434",
    .formula = DECAY_FORMULA "x <- x - lr sign(g)\n"
                             "optax's form, sign(0) being 0; the decay is added here.\n",
    .options = sign_options,
    .option_count = HYPERPARAMETERS - 1,
    .decay = OPTIM_DECOUPLED,
    .step = sign_step,
    .single_pass = true,
};

const struct optim_algorithm OPTIM_ALGORITHM(signum) = {
    .name = "signum",
    .summary = "signSGD on the mean of the gradients: noise averages out before its sign is taken",
    .answers = OPTIM_SCALES,
    .paper = "Bernstein et al. 2018, arXiv:1802.04434",
    .formula = DECAY_FORMULA
    "m <- beta m + (1 - beta) g\n"
    "x <- x - lr sign(m)\n"
    "optax's form, without bias correction, which no sign sees; the decay is added here.\n",
    .options = signum_options,
    .option_count = HYPERPARAMETERS,
    .decay = OPTIM_DECOUPLED,
    .slots = {"m"},
    .step = signum_step,
    .single_pass = true,
};

const struct optim_algorithm OPTIM_ALGORITHM(normalized_sgd) = {
    .name = "normalized_sgd",
    .summary = "gradient descent with steps of length lr, however long the gradient",
    .answers = OPTIM_SADDLES,
    .paper = "Hazan, Levy & Shalev-Shwartz 2015, arXiv:1507.02030",
    .formula = DECAY_FORMULA "x <- x - lr g / (norm(g) + eps), norm of the whole model's gradient\n"
                             "optax's form; the decay is added here.\n",
    .options = normalized_options,
    .option_count = HYPERPARAMETERS,
    .decay = OPTIM_DECOUPLED,
    .step = normalized_step,
};
