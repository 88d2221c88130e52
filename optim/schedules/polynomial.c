/* Down to 0 by a power of what is left of the run (Liu et al. 2015, ParseNet, arXiv:1506.04579). PyTorch's
 * PolynomialLR. */
#include "optim/schedule.h"

enum { POWER, LENGTH };

static const struct descent_option options[] = {
    [POWER] = {.name = "power",
               .type = DESCENT_OPTION_REAL,
               .initial = "0.9",
               .max = INFINITY,
               .open_min = true,
               .help = "1 is a straight line; below it late, above it early decay"},
    [LENGTH] = OPTIM_LENGTH("steps until 0"),
};

static double rate(const struct optim_schedule_at *at)
{
    double progress = optim_schedule_progress(at, optim_schedule_length(at, LENGTH));
    return at->base * pow(1 - progress, at->values[POWER].number);
}

const struct optim_schedule_kind optim_schedule_polynomial = {
    .name = "polynomial",
    .summary = "a power of the rest of the run, from the optimizer's lr down to 0",
    .paper = "Liu et al. 2015, ParseNet, arXiv:1506.04579",
    .formula = "lr (1 - min(step / length, 1))^power, step from 0\n",
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .rate = rate,
};
