/* Cosine annealing without restarts (Loshchilov & Hutter 2016, arXiv:1608.03983, section 3). PyTorch's
 * CosineAnnealingLR rises again after the end; this one stays. */
#include "optim/schedule.h"

#include <math.h>

enum { MIN };

static const struct descent_option options[] = {
    [MIN] = {.name = "min",
             .type = DESCENT_OPTION_REAL,
             .initial = "0",
             .max = INFINITY,
             .help = "learning rate at the end, the same for all parameter groups"},
};

static double rate(const struct optim_schedule_at *at)
{
    const double pi = 3.14159265358979323846;
    double min = at->values[MIN].number;
    double progress = at->step <= 0 ? 0 : at->step < at->total ? (double)at->step / (double)at->total : 1;
    return min + (at->base - min) * (1 + cos(pi * progress)) / 2;
}

const struct optim_schedule_kind optim_schedule_cosine = {
    .name = "cosine",
    .summary = "half a cosine, from the optimizer's lr down to min at the end of the run",
    .paper = "Loshchilov & Hutter 2016, arXiv:1608.03983",
    .formula = "min + (lr - min) (1 + cos(pi step / total)) / 2, step from 0; after total: min\n",
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .rate = rate,
};
