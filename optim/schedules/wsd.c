/* Warm-up, stable, decay: constant until a cool-down at the end of the run, a trapezoid with +warmup (Hu et
 * al. 2024, arXiv:2404.06395; the shapes of Hägele et al. 2024, arXiv:2405.18392). */
#include "optim/schedule.h"

enum { DECAY, SHAPE, MIN };
enum { LINEAR, SQRT, COSINE, SQUARE };

static const struct descent_option options[] = {
    [DECAY] = {.name = "decay",
               .type = DESCENT_OPTION_DURATION,
               .initial = "20%",
               .help = "steps of the cool-down, at the end of the run"},
    [SHAPE] = {.name = "shape",
               .type = DESCENT_OPTION_CHOICE,
               .initial = "linear",
               .choices = "linear|sqrt|cosine|square",
               .help = "way down: 1 - p, 1 - sqrt(p), (1 + cos(pi p)) / 2 or 1 - p^2"},
    [MIN] = OPTIM_MINIMUM("learning rate at the end, the same for all parameter groups"),
};

static enum descent_status check(const struct optim_schedule_at *at)
{
    if (at->values[DECAY].number <= (double)at->total)
        return DESCENT_OK;
    return descent_fail(DESCENT_BAD_ARGUMENT, "decay of %.0f steps is longer than the %lld that there are",
                        at->values[DECAY].number, (long long)at->total);
}

static double rate(const struct optim_schedule_at *at)
{
    double decay = at->values[DECAY].number, into = (double)at->step - ((double)at->total - decay);
    double p = into <= 0 ? 0 : into < decay ? into / decay : 1, min = at->values[MIN].number;
    switch ((int)at->values[SHAPE].number) {
    case SQRT:
        p = sqrt(p);
        break;
    case SQUARE:
        p *= p;
        break;
    case COSINE:
        return optim_schedule_cosine_between(at->base, min, p);
    }
    return optim_schedule_line_between(at->base, min, p);
}

const struct optim_schedule_kind optim_schedule_wsd = {
    .name = "wsd",
    .summary = "the optimizer's lr until a cool-down to min ends the run; a trapezoid with +warmup",
    .paper = "Hu et al. 2024, MiniCPM, arXiv:2404.06395; Hägele et al. 2024, arXiv:2405.18392",
    .formula = "lr until total - decay; then from lr to min along shape, p = share of the decay done\n",
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .rate = rate,
    .check = check,
};
