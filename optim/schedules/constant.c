/* The optimizer's own learning rate, or a part of it for a while (ConstantLR of PyTorch). */
#include "optim/schedule.h"

enum { FACTOR, LENGTH };

static const struct descent_option options[] = {
    [FACTOR] = {.name = "factor",
                .type = DESCENT_OPTION_REAL,
                .initial = "1",
                .max = INFINITY,
                .help = "multiplies lr for length steps"},
    [LENGTH] = OPTIM_LENGTH("steps with the factor"),
};

static double rate(const struct optim_schedule_at *at)
{
    return at->step < optim_schedule_length(at, LENGTH) ? at->base * at->values[FACTOR].number : at->base;
}

const struct optim_schedule_kind optim_schedule_constant = {
    .name = "constant",
    .summary = "the optimizer's lr, or a factor of it for some steps",
    .formula = "lr factor for the first length steps, then lr\n",
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .rate = rate,
};
