/* Linear warm-up before another schedule, which then has the rest of the run (Goyal et al. 2017,
 * arXiv:1706.02677). Starts at lr / length: a warm-up from 0 wastes its first step. */
#include "optim/schedule.h"

enum { LENGTH };

static const struct descent_option options[] = {
    [LENGTH] = {.name = "length",
                .type = DESCENT_OPTION_DURATION,
                .initial = "5%",
                .help = "steps until lr is reached"},
};

static double rate(const struct optim_schedule_at *at)
{
    double length = at->values[LENGTH].number, count = (double)at->step + 1;
    return count < length ? at->base * (count / length) : at->base;
}

static int64_t delay(const struct descent_value *values)
{
    return (int64_t)values[LENGTH].number;
}

const struct optim_schedule_kind optim_schedule_warmup = {
    .name = "warmup",
    .summary = "a straight line up to the start of the schedule before the +",
    .paper = "Goyal et al. 2017, arXiv:1706.02677",
    .formula = "first length steps: start (step + 1) / length, step from 0; then the schedule, over the "
               "rest of the run\n",
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .role = OPTIM_SCHEDULE_WRAP,
    .rate = rate,
    .delay = delay,
};
