/* The learning-rate range test: from far too small to far too large, so that the losses logged beside it
 * show the range that trains (Smith 2015, arXiv:1506.01186, section 3.3; exponential as in fastai). Not a
 * schedule to train with; the optimizer's own lr plays no part. What has another learning rate keeps it, as
 * it would where the one that was found is put in the optimizer's place. */
#include "optim/schedule.h"

enum { LOW, HIGH };

static const struct descent_option options[] = {
    [LOW] = {.name = "low",
             .type = DESCENT_OPTION_REAL,
             .initial = "1e-7",
             .max = INFINITY,
             .open_min = true,
             .help = "learning rate of the first step"},
    [HIGH] = {.name = "high",
              .type = DESCENT_OPTION_REAL,
              .initial = "10",
              .max = INFINITY,
              .open_min = true,
              .help = "learning rate of the last step"},
};

static double rate(const struct optim_schedule_at *at)
{
    double low = at->values[LOW].number, high = at->values[HIGH].number;
    return low * pow(high / low, optim_schedule_progress(at, at->total - 1));
}

const struct optim_schedule_kind optim_schedule_range_test = {
    .name = "range_test",
    .summary = "tries all learning rates from low to high, to find the range that trains",
    .paper = "Smith 2015, arXiv:1506.01186",
    .formula =
        "low (high / low)^(step / (total - 1)), step from 0; the optimizer's lr plays no part\n"
        "parameter groups with a learning rate or an algorithm of their own, and what muon leaves to\n"
        "adamw, keep their rates\n",
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .rate = rate,
    .sweeps = true,
};
