/* Lion that only moves where its step agrees with the gradient, for `train`:
 *
 *     train --optimizer ./cautious_lion.c:lr=3e-4,weight_decay=0.1
 *
 * Chen et al. 2023, arXiv:2302.06675; Liang et al. 2024, arXiv:2411.16085. A step is found in two passes
 * over memory: the first counts where step and gradient agree, the second moves there, by so much more. (As
 * wrappers: lion+cautious.) */
#include "optim/elementwise.h"

enum { LR, BETA1, BETA2, WEIGHT_DECAY, DECAY_ALL, HYPERPARAMETERS };
static const struct descent_option options[HYPERPARAMETERS] = {
    [LR] = OPTIM_LR("1e-4", 3e-6, 3e-3),
    [BETA1] = OPTIM_RATE("beta1", "0.9", 0.5, 0.98, "share of the momentum in the step's direction"),
    [BETA2] = OPTIM_RATE("beta2", "0.99", 0.9, 0.999, "decay rate of the momentum"),
    [WEIGHT_DECAY] = OPTIM_WEIGHT_DECAY("0", 5e-3, 10),
    [DECAY_ALL] = OPTIM_DECAY_ALL,
};

enum { B1, B2, BOOST };

/* sign(c) where it agrees with g, else 0. */
OPTIM_INLINE descent_real direction(const descent_real *k, const struct optim_element *e)
{
    descent_real c = k[B1] * e->s[0] + (1 - k[B1]) * e->g;
    return (descent_real)((c > 0 && e->g > 0) - (c < 0 && e->g < 0));
}

OPTIM_INLINE void terms(const descent_real *k, struct optim_element *e, double *term)
{
    term[0] = fabs((double)direction(k, e));
}

static void count_loop(struct optim_part *part)
{
    optim_sum_elements(part, 1, 1, terms);
}

OPTIM_INLINE descent_real rule(const descent_real *k, struct optim_element *e)
{
    descent_real d = direction(k, e);
    e->s[0] = k[B2] * e->s[0] + (1 - k[B2]) * e->g;
    return k[BOOST] * d;
}

static void loop(struct optim_part *part)
{
    optim_elementwise(part, 1, rule);
}

static enum descent_status step(struct optim_run *run)
{
    for (int i = 0; i < run->count; i++) {
        struct optim_tensor *t = run->tensor[i];
        t->k[B1] = (descent_real)t->hyper[BETA1].number;
        t->k[B2] = (descent_real)t->hyper[BETA2].number;
    }
    optim_add_up(run, count_loop);
    for (int i = 0; i < run->count; i++) {
        struct optim_tensor *t = run->tensor[i];
        t->k[BOOST] = (descent_real)(1 / fmax(t->sums[0] / (double)t->param->size, 1e-3));
    }
    optim_for_parts(run, loop);
    return DESCENT_OK;
}

OPTIM_EXPORT = {
    .summary = "Lion that only moves where its step agrees with the gradient",
    .answers = OPTIM_MEMORY,
    .paper = "Chen et al. 2023, arXiv:2302.06675; Liang et al. 2024, arXiv:2411.16085",
    .formula = "c <- beta1 m + (1 - beta1) g;  m <- beta2 m + (1 - beta2) g\n"
               "a <- 1 where c g > 0, else 0\n"
               "x <- x (1 - lr weight_decay) - lr sign(c) a / mean(a), in each tensor\n",
    .options = options,
    .option_count = HYPERPARAMETERS,
    .decay = OPTIM_DECOUPLED,
    .slots = {"m"},
    .step = step,
};
