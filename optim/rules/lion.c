/* Lion: the sign of a momentum. Its step has one size for every parameter, so lr is that size; one buffer
 * is half of Adam's memory. Chen et al. 2023, arXiv:2302.06675. */
#include "optim/rules/moments.h"

enum { LR, BETA1, BETA2, WEIGHT_DECAY, DECAY_ALL, HYPERPARAMETERS };

static const struct descent_option options[] = {
    [LR] = OPTIM_LR("1e-4", 3e-6, 3e-3),
    [BETA1] = OPTIM_RATE("beta1", "0.9", 0.5, 0.98, "share of the momentum in the step's direction"),
    [BETA2] = OPTIM_RATE("beta2", "0.99", 0.9, 0.999, "decay rate of the momentum"),
    [WEIGHT_DECAY] = OPTIM_WEIGHT_DECAY("0", 5e-3, 10),
    [DECAY_ALL] = OPTIM_DECAY_ALL,
};

/* c = b1 m + (1 - b1) g;  m <- b2 m + (1 - b2) g;  d = sign(c) */
OPTIM_INLINE descent_real rule(const descent_real *k, struct optim_element *e)
{
    descent_real *m = &e->s[0];
    descent_real c = k[B1] * *m + k[NEW1] * e->g;
    *m = k[B2] * *m + k[NEW2] * e->g;
    return (descent_real)((c > 0) - (c < 0));
}

static void loop(struct optim_part *part)
{
    optim_elementwise(part, 1, rule);
}

static enum descent_status step(struct optim_run *run)
{
    for (int i = 0; i < run->count; i++) {
        struct optim_tensor *t = run->tensor[i];
        set_moments(t, t->hyper[BETA1].number, t->hyper[BETA2].number, 0);
    }
    optim_for_parts(run, loop);
    return DESCENT_OK;
}

const struct optim_algorithm OPTIM_ALGORITHM(lion) = {
    .name = "lion",
    .summary = "the sign of a momentum, found by program search",
    .answers = OPTIM_MEMORY,
    .paper = "Chen et al. 2023, arXiv:2302.06675",
    .formula = "x <- x (1 - lr weight_decay), lr as scheduled\n"
               "x <- x - lr sign(beta1 m + (1 - beta1) g), m of the step before\n"
               "m <- beta2 m + (1 - beta2) g\n"
               "Next to AdamW lr is 3 to 10 times smaller and weight_decay as many times larger. optax\n"
               "decays by 1e-3 unless told otherwise, this form and timm's do not.\n",
    .options = options,
    .option_count = HYPERPARAMETERS,
    .decay = OPTIM_DECOUPLED,
    .slots = {"m"},
    .step = step,
    .single_pass = true,
};
