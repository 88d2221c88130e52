/* Linear warm-up, then decay with the inverse square root of the step (Vaswani et al. 2017,
 * arXiv:1706.03762, section 5.3), scaled so that the peak is the optimizer's lr: Noam's rule is this with
 * lr = (d_model warmup)^-0.5. */
#include "optim/schedule.h"

enum { WARMUP };

static const struct descent_option options[] = {
    [WARMUP] = {.name = "warmup",
                .type = DESCENT_OPTION_DURATION,
                .initial = "5%",
                .max = INFINITY,
                .open_min = true,
                .help = "steps until lr is reached"},
};

static double rate(const struct optim_schedule_at *at)
{
    double warmup = at->values[WARMUP].number, count = (double)at->step + 1;
    return at->base * (count < warmup ? count / warmup : sqrt(warmup / count));
}

const struct optim_schedule_kind optim_schedule_inverse_sqrt = {
    .name = "inverse_sqrt",
    .summary = "a straight line up to the optimizer's lr, then down with the root of the step",
    .paper = "Vaswani et al. 2017, Attention is all you need, arXiv:1706.03762",
    .formula = "lr min((step + 1) / warmup, sqrt(warmup / (step + 1))), step from 0\n",
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .rate = rate,
};
