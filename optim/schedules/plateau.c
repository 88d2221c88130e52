/* Drops when reports stop improving. PyTorch's ReduceLROnPlateau (mode min, relative threshold; without its
 * eps, the smallest drop worth making). The one schedule that is not a function of the step alone: what it
 * remembers is saved with the optimizer's state. */
#include "optim/schedule.h"

enum { PATIENCE, FACTOR, MIN, THRESHOLD, COOLDOWN };
enum { SEEN, BEST, BAD, COOLING, DROPS };

static const struct descent_option options[] = {
    [PATIENCE] = {.name = "patience",
                  .type = DESCENT_OPTION_INTEGER,
                  .initial = "10",
                  .max = INFINITY,
                  .help = "so many bad reports in a row are borne, the next one drops lr"},
    [FACTOR] = {.name = "factor",
                .type = DESCENT_OPTION_REAL,
                .initial = "0.1",
                .max = 1,
                .open_max = true,
                .help = "factor of each drop"},
    [MIN] = OPTIM_MINIMUM("learning rate below which it never drops, the same for all parameter groups"),
    [THRESHOLD] = {.name = "threshold",
                   .type = DESCENT_OPTION_REAL,
                   .initial = "1e-4",
                   .max = 1,
                   .open_max = true,
                   .help = "a report is good when it is below the best by more than this share"},
    [COOLDOWN] = {.name = "cooldown",
                  .type = DESCENT_OPTION_INTEGER,
                  .initial = "0",
                  .max = INFINITY,
                  .help = "reports after a drop of which none counts as bad"},
};

static void report(const struct descent_value *values, double *memory, double value)
{
    double best = memory[SEEN] != 0 ? memory[BEST] : INFINITY;
    memory[BAD]++;
    if (value < best * (1 - values[THRESHOLD].number)) { /* NaN never is */
        memory[SEEN] = 1;
        memory[BEST] = value;
        memory[BAD] = 0;
    }
    if (memory[COOLING] > 0) {
        memory[COOLING]--;
        memory[BAD] = 0;
    }
    if (memory[BAD] > values[PATIENCE].number) {
        memory[DROPS]++;
        memory[COOLING] = values[COOLDOWN].number;
        memory[BAD] = 0;
    }
}

static double rate(const struct optim_schedule_at *at)
{
    double lr = at->base * pow(at->values[FACTOR].number, at->memory[DROPS]);
    return fmin(at->base, fmax(lr, at->values[MIN].number));
}

const struct optim_schedule_kind optim_schedule_plateau = {
    .name = "plateau",
    .summary = "drops by a factor when the validation loss stops falling",
    .formula = "good: report < best (1 - threshold); NaN is bad\n"
               "lr max(factor^drops, min / lr), a drop after patience + 1 bad reports in a row\n"
               "train reports the loss on the validation part after each epoch.\n",
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .rate = rate,
    .report = report,
};
