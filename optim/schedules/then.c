/* A sequence: what stands before it ends at a step of the run, and what follows begins there, counting from
 * 0 again (SequentialLR of PyTorch, whose first value is wrong where it switches at 0; that is refused
 * here). */
#include "optim/schedule.h"

static const struct descent_option options[] = {
    {.name = "at",
     .type = DESCENT_OPTION_DURATION,
     .initial = "50%",
     .max = INFINITY,
     .open_min = true,
     .help = "step of the run at which the next schedule begins"},
};

const struct optim_schedule_kind optim_schedule_then = {
    .name = "then",
    .summary = "one schedule after the other: constant+then:80%+cosine",
    .formula = "until step at the schedule before it, as if the run ended there; then the one after it, as "
               "if it began there\n",
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .role = OPTIM_SCHEDULE_JOIN,
};
