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
    int64_t length = (int64_t)at->values[LENGTH].number;
    if (at->step >= length)
        return optim_schedule_inner(at, at->step - length, at->total - length);
    return optim_schedule_inner(at, 0, at->total - length) * (double)(at->step + 1) / (double)length;
}

const struct optim_schedule_kind optim_schedule_warmup = {
    .name = "warmup",
    .summary = "a straight line up to the start of the schedule before the +",
    .paper = "Goyal et al. 2017, arXiv:1706.02677",
    .formula = "first length steps: start (step + 1) / length, step from 0; then the schedule, over the "
               "rest of the run\n",
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .wraps = true,
    .rate = rate,
};
