/* The untuned exponential warm-up of Adam: lr grows as fast as the mean squared gradient fills (Ma & Yarats
 * 2019, arXiv:1910.04209). It never ends, so the schedule it dampens does not wait for it. */
#include "optim/schedule.h"

enum { TAU };

static const struct descent_option options[] = {
    [TAU] = {.name = "tau",
             .type = DESCENT_OPTION_DURATION,
             .initial = "1000",
             .max = INFINITY,
             .open_min = true,
             .help = "steps until 63 % of lr; 1 / (1 - beta2) suits Adam"},
};

static double rate(const struct optim_schedule_at *at)
{
    return at->base * -expm1(-((double)at->step + 1) / at->values[TAU].number);
}

const struct optim_schedule_kind optim_schedule_warmup_exponential = {
    .name = "warmup_exponential",
    .summary = "dampens the first steps of the schedule before the +, as suits Adam",
    .paper = "Ma & Yarats 2019, arXiv:1910.04209",
    .formula = "schedule (1 - exp(-(step + 1) / tau)), step from 0\n",
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .role = OPTIM_SCHEDULE_WRAP,
    .rate = rate,
};
