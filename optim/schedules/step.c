/* Drops by a factor at regular intervals (He et al. 2015, arXiv:1512.03385, drop by 10 every 30 of 90
 * epochs). PyTorch's StepLR. */
#include "optim/schedule.h"

enum { EVERY, GAMMA };

static const struct descent_option options[] = {
    [EVERY] = {.name = "every",
               .type = DESCENT_OPTION_DURATION,
               .initial = "30%",
               .max = INFINITY,
               .open_min = true,
               .help = "steps from one drop to the next"},
    [GAMMA] = OPTIM_GAMMA("0.1", "factor of each drop"),
};

static double rate(const struct optim_schedule_at *at)
{
    int64_t every = (int64_t)at->values[EVERY].number;
    return at->base * pow(at->values[GAMMA].number, (double)(at->step / every));
}

const struct optim_schedule_kind optim_schedule_step = {
    .name = "step",
    .summary = "drops by a factor at regular intervals",
    .paper = "He et al. 2015, Deep residual learning, arXiv:1512.03385",
    .formula = "lr gamma^floor(step / every), step from 0\n",
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .rate = rate,
};
