/* The Polyak step: how far the loss is above its minimum, over the squared norm of the gradient, is the
 * length of the step; stochastic when both are of a mini-batch. Polyak 1987; Loizou et al. 2020,
 * arXiv:2002.10542. */
#include "optim/elementwise.h"

enum { LR, MAX_LR, MINIMUM, EPS, WEIGHT_DECAY, DECAY_ALL, HYPERPARAMETERS };

static const struct descent_option options[] = {
    [LR] = OPTIM_POSITIVE("lr", "1", false, 0, 0, "factor of the step, for schedules"),
    [MAX_LR] = OPTIM_POSITIVE("max_lr", "1", false, 3e-2, 30, "longest step, in gradients"),
    [MINIMUM] = OPTIM_BETWEEN("minimum", "0", -1e6, 1e6, "the smallest loss that there is"),
    [EPS] = OPTIM_POSITIVE("eps", "0", false, 0, 0, "added to the squared norm"),
    [WEIGHT_DECAY] = OPTIM_WEIGHT_DECAY("0", 1e-6, 1e-2),
    [DECAY_ALL] = OPTIM_DECAY_ALL,
};

/* |g|^2 and |x|^2 */
OPTIM_INLINE void squares(const descent_real *k, struct optim_element *e, double *term)
{
    (void)k;
    term[0] = (double)e->g * (double)e->g;
    term[1] = (double)e->x * (double)e->x;
}

static void sums(struct optim_part *part)
{
    optim_sum_elements(part, 0, 2, squares);
}

OPTIM_INLINE descent_real rule(const descent_real *k, struct optim_element *e)
{
    (void)k;
    return e->g;
}

static void loop(struct optim_part *part)
{
    optim_elementwise(part, 0, rule);
}

static enum descent_status step(struct optim_run *run)
{
    double loss, square = 0;
    enum descent_status status = run->objective->loss(run->objective->context, &loss);
    if (status)
        return status;
    optim_add_up(run, sums);
    for (int i = 0; i < run->count; i++) {
        const struct optim_tensor *t = run->tensor[i];
        square += t->sums[0];
        loss += t->l2 / 2 * t->sums[1];
    }
    for (int i = 0; i < run->count; i++) {
        struct optim_tensor *t = run->tensor[i];
        double above = fmax(loss - t->hyper[MINIMUM].number, 0), most = t->hyper[MAX_LR].number;
        double denominator = square + t->hyper[EPS].number;
        t->lr *= above < most * denominator ? above / denominator : most;
    }
    optim_for_parts(run, loop);
    return DESCENT_OK;
}

const struct optim_algorithm OPTIM_ALGORITHM(sps) = {
    .name = "sps",
    .summary = "gradient descent with Polyak's step: loss over squared gradient norm",
    .answers = OPTIM_TUNING,
    .paper = "Loizou et al. 2020, arXiv:2002.10542",
    .formula =
        "g <- g + weight_decay x,  f <- f + weight_decay / 2 |x|^2\n"
        "x <- x - lr min(max(f - minimum, 0) / (|g|^2 + eps), max_lr) g, |g| over all tensors\n"
        "The form SPS_max with c = 1, of the mini-batch's loss f; optax does not clamp f - minimum.\n",
    .options = options,
    .option_count = HYPERPARAMETERS,
    .decay = OPTIM_COUPLED,
    .needs = OPTIM_NEEDS_LOSS,
    .unscheduled = true,
    .step = step,
};
