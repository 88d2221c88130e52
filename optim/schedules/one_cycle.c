/* One cycle: up from a fraction of the learning rate, then down to next to nothing, momentum the other way
 * round (Smith & Topin 2017, arXiv:1708.07120). PyTorch's OneCycleLR, whose max_lr is the optimizer's lr
 * here; where that refuses to go on after the last step, this one stays. */
#include "optim/schedule.h"

enum { RISE, DIV, FINAL_DIV, SHAPE, THREE_PHASE, CYCLE_MOMENTUM, MOMENTUM_MIN, MOMENTUM_MAX };

static const struct descent_option options[] = {
    [RISE] = {.name = "rise",
              .type = DESCENT_OPTION_REAL,
              .initial = "0.3",
              .max = 1,
              .help = "share of the run on the way up"},
    [DIV] = {.name = "div",
             .type = DESCENT_OPTION_REAL,
             .initial = "25",
             .min = 1,
             .max = INFINITY,
             .help = "the first step's learning rate is lr / div"},
    [FINAL_DIV] = {.name = "final_div",
                   .type = DESCENT_OPTION_REAL,
                   .initial = "1e4",
                   .min = 1,
                   .max = INFINITY,
                   .help = "the last step's learning rate is lr / div / final_div"},
    [SHAPE] = {.name = "shape",
               .type = DESCENT_OPTION_CHOICE,
               .initial = "cosine",
               .choices = "cosine|linear",
               .help = "way up and down"},
    [THREE_PHASE] = {.name = "three_phase",
                     .type = DESCENT_OPTION_FLAG,
                     .initial = "no",
                     .help = "as fast down to lr / div as up, and the rest of the run from there"},
    OPTIM_CYCLE_MOMENTUM(CYCLE_MOMENTUM, MOMENTUM_MIN, "0.85", MOMENTUM_MAX, "0.95"),
};

static enum descent_status check(const struct optim_schedule_at *at)
{
    if (at->values[THREE_PHASE].number != 0 && at->values[RISE].number > 0.5)
        return descent_fail(DESCENT_BAD_ARGUMENT,
                            "three_phase=yes goes down as long as up; expected rise at most 0.5, found %g",
                            at->values[RISE].number);
    return DESCENT_OK;
}

/* Piecewise from `low` up to `high`, back to `low` (or, in two phases, right away to `end`) and to `end`.
 * Phases end at rise total - 1, not at rise total: steps count from 0. */
static double course(const struct optim_schedule_at *at, double low, double high, double end)
{
    double last = at->total > 1 ? (double)at->total - 1 : 0, step = fmin((double)at->step, last);
    double top = at->values[RISE].number * (last + 1) - 1, from = 0, to = top;
    double a = low, b = high;
    if (at->total <= 0) /* all that a warm-up leaves: where it leads to */
        return low;
    bool three_phase = at->values[THREE_PHASE].number != 0;
    if (step > top) {
        from = top;
        to = three_phase ? 2 * top : last;
        a = high;
        b = three_phase ? low : end;
    }
    if (three_phase && step > to) {
        from = to;
        to = last;
        a = low;
        b = end;
    }
    double progress = to > from ? (step - from) / (to - from) : 1;
    return at->values[SHAPE].number == 0 ? optim_schedule_cosine_between(a, b, progress)
                                         : optim_schedule_line_between(a, b, progress);
}

static double rate(const struct optim_schedule_at *at)
{
    double low = at->base / at->values[DIV].number;
    return course(at, low, at->base, low / at->values[FINAL_DIV].number);
}

static double momentum(const struct optim_schedule_at *at)
{
    double high = at->values[MOMENTUM_MAX].number;
    return at->values[CYCLE_MOMENTUM].number == 0 ? at->base
                                                  : course(at, high, at->values[MOMENTUM_MIN].number, high);
}

const struct optim_schedule_kind optim_schedule_one_cycle = {
    .name = "one_cycle",
    .summary = "up to the optimizer's lr and down to next to nothing, momentum the other way round",
    .paper = "Smith & Topin 2017, Super-convergence, arXiv:1708.07120",
    .formula = "lr / div at step 0, lr at rise total - 1, lr / div / final_div at total - 1\n"
               "momentum (or beta1): momentum_max, momentum_min, momentum_max at the same steps\n",
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .rate = rate,
    .momentum = momentum,
    .check = check,
};
