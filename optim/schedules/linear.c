/* A straight line between two factors of the learning rate (PyTorch's LinearLR, whose defaults are a
 * warm-up; these are the decay to 0 of Devlin et al. 2018, arXiv:1810.04805). */
#include "optim/schedule.h"

enum { END, START, LENGTH };

static const struct descent_option options[] = {
    [END] = {.name = "end",
             .type = DESCENT_OPTION_REAL,
             .initial = "0",
             .max = INFINITY,
             .help = "factor of lr after length steps and from then on"},
    [START] = {.name = "start",
               .type = DESCENT_OPTION_REAL,
               .initial = "1",
               .max = INFINITY,
               .help = "factor of lr in the first step"},
    [LENGTH] = OPTIM_LENGTH("steps from start to end"),
};

static double rate(const struct optim_schedule_at *at)
{
    double progress = optim_schedule_progress(at, optim_schedule_length(at, LENGTH));
    return at->base *
           optim_schedule_line_between(at->values[START].number, at->values[END].number, progress);
}

const struct optim_schedule_kind optim_schedule_linear = {
    .name = "linear",
    .summary = "a straight line, from the optimizer's lr down to 0 or between two factors of it",
    .paper = "Devlin et al. 2018, BERT, arXiv:1810.04805",
    .formula = "lr (start + (end - start) min(step / length, 1)), step from 0\n",
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .rate = rate,
};
