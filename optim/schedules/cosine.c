/* Cosine annealing without restarts (Loshchilov & Hutter 2016, arXiv:1608.03983, section 3). PyTorch's
 * CosineAnnealingLR rises again after the end; this one stays. Its SWALR is this with min and a length. */
#include "optim/schedule.h"

enum { MIN, LENGTH };

static const struct descent_option options[] = {
    [MIN] = OPTIM_MINIMUM("learning rate at the end, the same for all parameter groups"),
    [LENGTH] = OPTIM_LENGTH("steps until min"),
};

static double rate(const struct optim_schedule_at *at)
{
    double progress = optim_schedule_progress(at, optim_schedule_length(at, LENGTH));
    return optim_schedule_cosine_between(at->base, at->values[MIN].number, progress);
}

const struct optim_schedule_kind optim_schedule_cosine = {
    .name = "cosine",
    .summary = "half a cosine, from the optimizer's lr down to min at the end of the run",
    .paper = "Loshchilov & Hutter 2016, arXiv:1608.03983",
    .formula = "min + (lr - min) (1 + cos(pi step / length)) / 2, step from 0; after length: min\n",
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .rate = rate,
};
