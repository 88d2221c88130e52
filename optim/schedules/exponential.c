/* Decays by the same share in every step. PyTorch's ExponentialLR counts epochs: that is every=1ep here,
 * with a smooth course in between. */
#include "optim/schedule.h"

enum { GAMMA, EVERY };

static const struct descent_option options[] = {
    [GAMMA] = OPTIM_GAMMA("0.95", "factor over `every` steps"),
    [EVERY] = {.name = "every",
               .type = DESCENT_OPTION_DURATION,
               .initial = "1ep",
               .max = INFINITY,
               .open_min = true,
               .help = "steps in which lr decays by gamma"},
};

static double rate(const struct optim_schedule_at *at)
{
    return at->base * pow(at->values[GAMMA].number, (double)at->step / at->values[EVERY].number);
}

const struct optim_schedule_kind optim_schedule_exponential = {
    .name = "exponential",
    .summary = "decays by the same share in every step",
    .formula = "lr gamma^(step / every), step from 0\n",
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .rate = rate,
};
