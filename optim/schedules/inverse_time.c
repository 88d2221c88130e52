/* Decay with the inverse of the step, slow enough for stochastic gradient descent to converge (Robbins &
 * Monro 1951). InverseTimeDecay of Keras without its staircase. */
#include "optim/schedule.h"

enum { DECAY, EVERY };

static const struct descent_option options[] = {
    [DECAY] = {.name = "decay",
               .type = DESCENT_OPTION_REAL,
               .initial = "1",
               .max = INFINITY,
               .help = "lr has fallen to 1 / (1 + decay) after `every` steps"},
    [EVERY] = {.name = "every",
               .type = DESCENT_OPTION_DURATION,
               .initial = "1ep",
               .max = INFINITY,
               .open_min = true,
               .help = "steps that decay is counted in"},
};

static double rate(const struct optim_schedule_at *at)
{
    return at->base / (1 + at->values[DECAY].number * ((double)at->step / at->values[EVERY].number));
}

const struct optim_schedule_kind optim_schedule_inverse_time = {
    .name = "inverse_time",
    .summary = "down with the inverse of the step",
    .paper = "Robbins & Monro 1951, A stochastic approximation method",
    .formula = "lr / (1 + decay step / every), step from 0\n",
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .rate = rate,
};
