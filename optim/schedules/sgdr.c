/* Cosine annealing with warm restarts (Loshchilov & Hutter 2016, arXiv:1608.03983). As in PyTorch's
 * CosineAnnealingWarmRestarts a cycle's last step is one short of min. */
#include "optim/schedule.h"

enum { FIRST, MULTIPLIER, MIN };

static const struct descent_option options[] = {
    [FIRST] = {.name = "first",
               .type = DESCENT_OPTION_DURATION,
               .initial = "10%",
               .max = INFINITY,
               .open_min = true,
               .help = "steps of the first cycle"},
    [MULTIPLIER] = {.name = "multiplier",
                    .type = DESCENT_OPTION_INTEGER,
                    .initial = "2",
                    .min = 1,
                    .max = 100,
                    .help = "each cycle is so many times as long as the one before it"},
    [MIN] = OPTIM_MINIMUM("learning rate that each cycle approaches, the same for all parameter groups"),
};

/* Cycles grow, so the loop is short: 53 rounds at most. */
static double rate(const struct optim_schedule_at *at)
{
    int64_t length = (int64_t)at->values[FIRST].number, step = at->step;
    int64_t multiplier = (int64_t)at->values[MULTIPLIER].number;
    if (multiplier == 1)
        step %= length;
    while (step >= length) {
        step -= length;
        length *= multiplier;
    }
    return optim_schedule_cosine_between(at->base, at->values[MIN].number, (double)step / (double)length);
}

const struct optim_schedule_kind optim_schedule_sgdr = {
    .name = "sgdr",
    .summary = "cosine with warm restarts: back to lr after each of ever longer cycles",
    .paper = "Loshchilov & Hutter 2016, SGDR, arXiv:1608.03983",
    .formula = "min + (lr - min) (1 + cos(pi s / length)) / 2, s steps into a cycle\n"
               "length: first, then multiplier times that of the cycle before\n",
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .rate = rate,
};
