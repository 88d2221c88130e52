/* Learning-rate schedules: pure functions of the number of completed steps, in double. How to write one: a
 * file under schedules/ with a `const struct optim_schedule_kind optim_schedule_NAME` and its name in
 * meson.build. */
#ifndef DESCENT_OPTIM_SCHEDULE_H
#define DESCENT_OPTIM_SCHEDULE_H

#include "optim/optim.h"

/* What a part of a schedule is asked: the learning rate that follows `step` completed steps of `total`,
 * where the optimizer's own is `base`. `values` are the part's options, durations in steps. */
struct optim_schedule_at {
    const struct optim_schedule_part *part;
    const struct descent_value *values;
    double base;
    int64_t step, total; /* step may be beyond total */
};

/* For a part that wraps: the rate of what stands before it, at a step and for a length of its choice. */
double optim_schedule_inner(const struct optim_schedule_at *at, int64_t step, int64_t total);

/* A schedule by its spec, for a run of total_steps; see optim_schedule in optim.h. */
struct optim_schedule;
struct optim_schedule *optim_schedule_new(const char *spec, int64_t total_steps, int64_t steps_per_epoch);
void optim_schedule_free(struct optim_schedule *schedule);

/* The learning rate that follows `step` completed steps. A NULL schedule is constant. */
double optim_schedule_rate(const struct optim_schedule *schedule, double base, int64_t step);

#endif
