/* Cautious: only those parts of a step are taken that the gradient agrees with. Liang et al. 2024,
 * arXiv:2411.16085. As in timm: the rest is scaled up by what is left out, and decoupled weight decay,
 * which is no part of the step, is not masked. */
#include "optim/elementwise.h"

enum { SHRINK, SCALE }; /* the decay of this step; size / how many elements are taken, at most 1000 */

/* slot[0] is the values before the step; not state: it does not outlive the step. */
static enum descent_status init(struct optim_run *run)
{
    for (int i = 0; i < run->count; i++) {
        struct optim_tensor *t = run->tensor[i];
        t->slot[0] = optim_scratch(run, (size_t)t->param->size * sizeof(descent_real));
        if (!t->slot[0])
            return DESCENT_OUT_OF_MEMORY;
    }
    return DESCENT_OK;
}

/* Computed like the driver's, so that the decay cancels: 1 - shrink would lose its digits. */
OPTIM_INLINE descent_real kept(descent_real shrink, descent_real old)
{
    return old - shrink * old;
}

OPTIM_INLINE descent_real direction(const descent_real *k, const struct optim_element *e)
{
    return e->x - kept(k[SHRINK], e->s[0]);
}

OPTIM_INLINE void agreement(const descent_real *k, struct optim_element *e, double *term)
{
    term[0] = direction(k, e) * e->g < 0 ? 1 : 0;
}

static void count_part(struct optim_part *part)
{
    optim_sum_elements(part, 1, 1, agreement);
}

static void mask_part(struct optim_part *part)
{
    const struct optim_tensor *t = part->tensor;
    descent_real *restrict value = t->param->value;
    const descent_real *restrict old = t->slot[0], *restrict grad = t->param->grad;
    descent_real shrink = t->k[SHRINK], scale = t->k[SCALE];
    for (int64_t i = part->begin; i < part->end; i++) {
        descent_real rest = kept(shrink, old[i]), d = value[i] - rest;
        value[i] = rest + (d * grad[i] < 0 ? scale * d : 0);
    }
}

static enum descent_status step(struct optim_run *run)
{
    optim_keep_values(run, 0);
    enum descent_status status = optim_inner(run);
    if (status)
        return status;
    for (int i = 0; i < run->count; i++)
        run->tensor[i]->k[SHRINK] = (descent_real)run->tensor[i]->inner->shrink;
    optim_add_up(run, count_part);
    for (int i = 0; i < run->count; i++) {
        struct optim_tensor *t = run->tensor[i];
        t->k[SCALE] = (descent_real)(1 / fmax(t->sums[0] / (double)t->param->size, 1e-3));
    }
    optim_for_parts(run, mask_part);
    return DESCENT_OK;
}

/* The mask asks what step and gradient say of each other, so the gradient must still be the one before. */
static const char *refuses(const struct optim_algorithm *inner)
{
    return inner->needs & OPTIM_NEEDS_EVALUATE ? "which leaves another point's gradient behind" : NULL;
}

const struct optim_algorithm OPTIM_WRAPPER(cautious) = {
    .name = "cautious",
    .summary = "leave out of a step what points against the gradient",
    .answers = OPTIM_RAVINES,
    .paper = "Liang et al. 2024, arXiv:2411.16085",
    .formula = "d: the wrapped step, without decoupled weight decay;  mask = 1 where -d g > 0, else 0\n"
               "d <- d mask / max(mean(mask), 1e-3)        (mean over a tensor; timm's form)\n"
               "not around what evaluates other points in a step: line_search, lbfgs, newton_cg\n",
    .wraps = true,
    .init = init,
    .step = step,
    .refuses = refuses,
};
