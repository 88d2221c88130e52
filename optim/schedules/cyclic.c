/* A triangle wave between a fraction of the learning rate and all of it, momentum the other way round
 * (Smith 2015, arXiv:1506.01186). PyTorch's CyclicLR, whose max_lr is the optimizer's lr here. */
#include "optim/schedule.h"

enum { UP, DOWN, LOW, MODE, GAMMA, CYCLE_MOMENTUM, MOMENTUM_MIN, MOMENTUM_MAX };
enum { TRIANGULAR, TRIANGULAR2, EXP_RANGE };

static const struct descent_option options[] = {
    [UP] = {.name = "up",
            .type = DESCENT_OPTION_DURATION,
            .initial = "10%",
            .max = INFINITY,
            .open_min = true,
            .help = "steps from low to lr"},
    [DOWN] = {.name = "down",
              .type = DESCENT_OPTION_DURATION,
              .initial = "10%",
              .help = "steps from lr to low; if not given, as many as up"},
    [LOW] = {.name = "low",
             .type = DESCENT_OPTION_REAL,
             .initial = "0.1",
             .max = 1,
             .help = "factor of lr where a cycle begins and ends"},
    [MODE] = {.name = "mode",
              .type = DESCENT_OPTION_CHOICE,
              .initial = "triangular",
              .choices = "triangular|triangular2|exp_range",
              .help = "height of the cycles: all the same, each half of the one before, or gamma^step"},
    [GAMMA] = OPTIM_GAMMA("0.9999", "factor of the height in each step, with mode=exp_range"),
    OPTIM_CYCLE_MOMENTUM(CYCLE_MOMENTUM, MOMENTUM_MIN, "0.8", MOMENTUM_MAX, "0.9"),
};

/* Height above the lower end, 0 .. 1. */
static double height(const struct optim_schedule_at *at)
{
    int64_t up = (int64_t)at->values[UP].number;
    int64_t down = at->values[DOWN].given ? (int64_t)at->values[DOWN].number : up;
    int64_t cycle = at->step / (up + down), step = at->step % (up + down);
    double k = step <= up ? (double)step / (double)up : (double)(up + down - step) / (double)down;
    int mode = (int)at->values[MODE].number;
    if (mode == TRIANGULAR2)
        return k * pow(0.5, (double)cycle);
    return mode == EXP_RANGE ? k * pow(at->values[GAMMA].number, (double)at->step) : k;
}

static double rate(const struct optim_schedule_at *at)
{
    return optim_schedule_line_between(at->base * at->values[LOW].number, at->base, height(at));
}

static double momentum(const struct optim_schedule_at *at)
{
    double min = at->values[MOMENTUM_MIN].number, max = at->values[MOMENTUM_MAX].number;
    return at->values[CYCLE_MOMENTUM].number == 0 ? at->base
                                                  : optim_schedule_line_between(max, min, height(at));
}

const struct optim_schedule_kind optim_schedule_cyclic = {
    .name = "cyclic",
    .summary = "a triangle wave below the optimizer's lr, momentum the other way round",
    .paper = "Smith 2015, arXiv:1506.01186",
    .formula = "lr (low + (1 - low) k s), k: 0 to 1 in up steps and back to 0 in down steps\n"
               "s: 1, (1/2)^(cycles before this one), or gamma^step\n"
               "momentum (or beta1): momentum_max - (momentum_max - momentum_min) k s\n",
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .rate = rate,
    .momentum = momentum,
};
