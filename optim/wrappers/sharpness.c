/* Sharpness-aware minimization: the gradient is taken where the loss is worst nearby. Foret et al. 2020;
 * ASAM, its form that does not see how parameters are scaled, Kwon et al. 2021. Two gradients a step. */
#include "optim/elementwise.h"

enum { RHO };

static const struct descent_option sam_options[] = {
    [RHO] = OPTIM_POSITIVE("rho", "0.05", false, 0.01, 0.05, "radius of the neighborhood"),
};
static const struct descent_option asam_options[] = {
    [RHO] =
        OPTIM_POSITIVE("rho", "0.5", false, 0.1, 2, "radius of the neighborhood, relative to the values"),
};

/* The values before the climb; not state: it does not outlive the step. */
static enum descent_status init(struct optim_run *run)
{
    for (int i = 0; i < run->count; i++) {
        struct optim_tensor *t = run->tensor[i];
        t->own = optim_scratch(run, (size_t)t->param->size * sizeof(descent_real));
        if (!t->own)
            return DESCENT_OUT_OF_MEMORY;
    }
    return DESCENT_OK;
}

OPTIM_INLINE void square(const descent_real *k, struct optim_element *e, double *term)
{
    (void)k;
    term[0] = (double)e->g * (double)e->g;
}

OPTIM_INLINE void scaled_square(const descent_real *k, struct optim_element *e, double *term)
{
    double scaled = (double)e->x * (double)e->g;
    (void)k;
    term[0] = scaled * scaled;
}

static void sum_part(struct optim_part *part)
{
    optim_sum_elements(part, 0, 1, square);
}

static void sum_scaled_part(struct optim_part *part)
{
    optim_sum_elements(part, 0, 1, scaled_square);
}

enum { CLIMB }; /* rho / norm */

/* x <- x + climb g, or with `adaptive` x + climb x^2 g */
OPTIM_INLINE void climb(struct optim_part *part, bool adaptive)
{
    const struct optim_tensor *t = part->tensor;
    descent_real *restrict value = t->param->value, *restrict old = t->own, scale = t->k[CLIMB];
    const descent_real *restrict grad = t->param->grad;
    for (int64_t i = part->begin; i < part->end; i++) {
        old[i] = value[i];
        value[i] += scale * grad[i] * (adaptive ? old[i] * old[i] : 1);
    }
}

static void climb_part(struct optim_part *part)
{
    climb(part, false);
}

static void climb_scaled_part(struct optim_part *part)
{
    climb(part, true);
}

static void return_part(struct optim_part *part)
{
    const struct optim_tensor *t = part->tensor;
    const descent_real *old = t->own;
    for (int64_t i = part->begin; i < part->end; i++)
        t->param->value[i] = old[i];
}

static enum descent_status step(struct optim_run *run, optim_loop *sum, optim_loop *up)
{
    double squares = 0, loss;
    optim_add_up(run, sum);
    for (int i = 0; i < run->count; i++)
        squares += run->tensor[i]->sums[0];
    if (!isfinite(squares))
        return optim_inner(run); /* which says why not */
    for (int i = 0; i < run->count; i++) {
        struct optim_tensor *t = run->tensor[i];
        t->k[CLIMB] = (descent_real)(t->hyper[RHO].number / (sqrt(squares) + 1e-12));
    }
    optim_for_parts(run, up);
    enum descent_status status = optim_evaluate(run, &loss);
    optim_for_parts(run, return_part);
    return status ? status : optim_inner(run);
}

static enum descent_status sam_step(struct optim_run *run)
{
    return step(run, sum_part, climb_part);
}

static enum descent_status asam_step(struct optim_run *run)
{
    return step(run, sum_scaled_part, climb_scaled_part);
}

const struct optim_algorithm OPTIM_WRAPPER(sam) = {
    .name = "sam",
    .summary = "step by the gradient at the worst point nearby: flatter minima",
    .answers = OPTIM_CURVATURE,
    .paper = "Foret et al. 2020, arXiv:2010.01412",
    .formula = "g' = gradient at x + rho g / (|g| + 1e-12), of the same mini-batch\n"
               "the wrapped step at x, with g'        (norm over all parameters; two gradients a step)\n",
    .options = sam_options,
    .option_count = sizeof sam_options / sizeof *sam_options,
    .needs = OPTIM_NEEDS_EVALUATE,
    .wraps = true,
    .init = init,
    .step = sam_step,
};

const struct optim_algorithm OPTIM_WRAPPER(asam) = {
    .name = "asam",
    .summary = "SAM in a neighborhood scaled by the parameters",
    .answers = OPTIM_CURVATURE,
    .paper = "Kwon et al. 2021, arXiv:2102.11600",
    .formula = "g' = gradient at x + rho x^2 g / (|x g| + 1e-12), of the same mini-batch\n"
               "the wrapped step at x, with g'        (norm over all parameters; two gradients a step)\n",
    .options = asam_options,
    .option_count = sizeof asam_options / sizeof *asam_options,
    .needs = OPTIM_NEEDS_EVALUATE,
    .wraps = true,
    .init = init,
    .step = asam_step,
};
