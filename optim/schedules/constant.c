/* The optimizer's own learning rate, always. */
#include "optim/schedule.h"

static double rate(const struct optim_schedule_at *at)
{
    return at->base;
}

const struct optim_schedule_kind optim_schedule_constant = {
    .name = "constant",
    .summary = "the optimizer's lr, unchanged",
    .formula = "lr\n",
    .rate = rate,
};
