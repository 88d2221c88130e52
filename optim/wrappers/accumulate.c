/* Gradient accumulation: one step for several gradients, by their mean. Writes the gradients. `train` has
 * --micro-batch, which weights a short last batch; this is for those who call optim_step themselves. */
#include "optim/elementwise.h"

enum { EVERY };

static const struct descent_option options[] = {
    [EVERY] = {.name = "every",
               .type = DESCENT_OPTION_INTEGER,
               .initial = "2",
               .min = 1,
               .max = INFINITY,
               .help = "gradients a step; schedules count steps"},
};

enum { SHARE }; /* 1 / (how many gradients are in the mean, this one counted) */

static void add_part(struct optim_part *part)
{
    const struct optim_tensor *t = part->tensor;
    descent_real *restrict mean = t->slot[0], share = t->k[SHARE];
    const descent_real *restrict grad = t->param->grad;
    for (int64_t i = part->begin; i < part->end; i++)
        mean[i] += share * (grad[i] - mean[i]);
}

static void give_part(struct optim_part *part)
{
    const struct optim_tensor *t = part->tensor;
    for (int64_t i = part->begin; i < part->end; i++) {
        t->param->grad[i] = t->slot[0][i];
        t->slot[0][i] = 0;
    }
}

static enum descent_status step(struct optim_run *run)
{
    int64_t every = (int64_t)run->tensor[0]->hyper[EVERY].number;
    int64_t before = (run->step - 1) % every;
    for (int i = 0; i < run->count; i++)
        run->tensor[i]->k[SHARE] = (descent_real)(1 / (double)(before + 1));
    optim_for_parts(run, add_part);
    if (before + 1 < every)
        return DESCENT_OK;
    optim_for_parts(run, give_part);
    enum descent_status status = optim_inner(run);
    if (status)
        run->step -= before; /* those gradients are lost: begin anew */
    return status;
}

const struct optim_algorithm OPTIM_WRAPPER(accumulate) = {
    .name = "accumulate",
    .summary = "step once for several gradients, by their mean",
    .answers = OPTIM_MEMORY,
    .paper = "as optax.MultiSteps",
    .formula =
        "of `every` calls the last steps, with the mean of their gradients; the others only add up\n"
        "not around what asks for more than gradients: sam, sps, lbfgs; there --micro-batch is the way\n",
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .wraps = true,
    .outermost = true,
    .slots = {"mean"},
    .step = step,
};
