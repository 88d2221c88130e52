/* Drops by a factor at given steps (He et al. 2015, arXiv:1512.03385, section 4.2: at 1/2 and 3/4 of the
 * run on CIFAR-10). PyTorch's MultiStepLR: a step given twice drops twice. */
#include "optim/schedule.h"

enum { AT, GAMMA };

static const struct descent_option options[] = {
    [AT] = {.name = "at",
            .type = DESCENT_OPTION_DURATION_LIST,
            .initial = "50%/75%",
            .help = "the steps at which lr drops, in ascending order"},
    [GAMMA] = OPTIM_GAMMA("0.1", "factor of each drop"),
};

static enum descent_status check(const struct optim_schedule_at *at)
{
    const struct descent_value *steps = &at->values[AT];
    for (int i = 1; i < steps->count; i++)
        if (steps->list[i] < steps->list[i - 1])
            return descent_fail(DESCENT_BAD_ARGUMENT,
                                "at is out of order: step %.0f after step %.0f; expected ascending steps",
                                steps->list[i], steps->list[i - 1]);
    return DESCENT_OK;
}

static double rate(const struct optim_schedule_at *at)
{
    int drops = 0;
    while (drops < at->values[AT].count && (double)at->step >= at->values[AT].list[drops])
        drops++;
    return at->base * pow(at->values[GAMMA].number, drops);
}

const struct optim_schedule_kind optim_schedule_multistep = {
    .name = "multistep",
    .summary = "drops by a factor at given steps",
    .paper = "He et al. 2015, Deep residual learning, arXiv:1512.03385",
    .formula = "lr gamma^(how many of at are <= step), step from 0\n",
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .rate = rate,
    .check = check,
};
