/* Learning-rate schedules: pure functions of the number of completed steps (and, of those that follow
 * reports, of what they remember), in double. How to write one: a file under schedules/ with a `const
 * struct optim_schedule_kind optim_schedule_NAME` and its name in meson.build; or, in a program of one's
 * own, optim_schedule_register. */
#ifndef DESCENT_OPTIM_SCHEDULE_H
#define DESCENT_OPTIM_SCHEDULE_H

#include "optim/optim.h"

#include <math.h>

/* Rows of options. Of a length that is not given, the schedule has all that there is. */
#define OPTIM_LENGTH(help_)                                                                                \
    {                                                                                                      \
        .name = "length", .type = DESCENT_OPTION_DURATION, .initial = "100%",                              \
        .help = help_ "; if not given, all that warm-up and sequence leave"                                \
    }
#define OPTIM_GAMMA(initial_, help_)                                                                       \
    {                                                                                                      \
        .name = "gamma", .type = DESCENT_OPTION_REAL, .initial = initial_, .max = 1, .help = help_         \
    }
#define OPTIM_MINIMUM(help_)                                                                               \
    {                                                                                                      \
        .name = "min", .type = DESCENT_OPTION_REAL, .initial = "0", .max = INFINITY, .help = help_         \
    }
#define OPTIM_CYCLE_MOMENTUM(cycle, low, low_initial, high, high_initial)                                  \
    [cycle] = {.name = "cycle_momentum",                                                                   \
               .type = DESCENT_OPTION_FLAG,                                                                \
               .initial = "yes",                                                                           \
               .help = "momentum, or beta1, falls while lr rises and rises while it falls"},               \
    [low] = {.name = "momentum_min",                                                                       \
             .type = DESCENT_OPTION_REAL,                                                                  \
             .initial = low_initial,                                                                       \
             .max = 1,                                                                                     \
             .open_max = true,                                                                             \
             .help = "momentum where lr is highest"},                                                      \
    [high] = {.name = "momentum_max",                                                                      \
              .type = DESCENT_OPTION_REAL,                                                                 \
              .initial = high_initial,                                                                     \
              .max = 1,                                                                                    \
              .open_max = true,                                                                            \
              .help = "momentum where lr is lowest"}

/* The steps of an OPTIM_LENGTH; at least 1 of all that there is, so that what a warm-up leads to is there.
 */
int64_t optim_schedule_length(const struct optim_schedule_at *at, int option);

/* step / length, from 0 to 1 and then 1. */
double optim_schedule_progress(const struct optim_schedule_at *at, int64_t length);

/* Half a cosine from `start`, at progress 0, to `end`, at 1; and a straight line. */
double optim_schedule_cosine_between(double start, double end, double progress);
double optim_schedule_line_between(double start, double end, double progress);

/* Steps that one of a duration's unit stands for, in a run of `total` steps with `per_epoch` an epoch. */
double optim_schedule_unit(enum descent_unit unit, int64_t total, int64_t per_epoch);

/* A schedule by its spec, for a run of total_steps; see optim_schedule in optim.h. */
struct optim_schedule;
struct optim_schedule *optim_schedule_new(const char *spec, int64_t total_steps, int64_t steps_per_epoch);
void optim_schedule_free(struct optim_schedule *schedule);

/* Whether a part of it does; a NULL schedule does not. */
bool optim_schedule_sweeps(const struct optim_schedule *schedule);

/* Whether it follows reports. Then, before anything else is asked of it, it wants OPTIM_SCHEDULE_MEMORY
 * numbers, 0 at first, that stay the caller's, to be saved and restored. */
bool optim_schedule_follows(const struct optim_schedule *schedule);
void optim_schedule_set_memory(struct optim_schedule *schedule, double *memory);
void optim_schedule_report(const struct optim_schedule *schedule, double value);

/* The learning rate, or momentum, of the step that follows `step` completed ones, where the optimizer's is
 * `base`. A NULL schedule is constant. */
double optim_schedule_rate(const struct optim_schedule *schedule, double base, int64_t step);
double optim_schedule_momentum(const struct optim_schedule *schedule, double base, int64_t step);

#endif
