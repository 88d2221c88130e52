/* Averages of the weights, to evaluate with: exponential (EMA) and equal (SWA). Training goes on with the
 * weights as they are. Polyak & Juditsky 1992; Izmailov et al. 2018. */
#include "optim/elementwise.h"

#include <string.h>

enum { NEW }; /* the share of the newest values in the average */

/* average <- average + new (value - average), to the bit the value where new is 1 */
static void average_part(struct optim_part *part)
{
    const struct optim_tensor *t = part->tensor;
    descent_real *restrict average = t->slot[0];
    const descent_real *restrict value = t->param->value;
    descent_real share = t->k[NEW];
    for (int64_t i = part->begin; i < part->end; i++)
        average[i] = share == 1 ? value[i] : average[i] + share * (value[i] - average[i]);
}

/* --- Exponential. --- */

enum { DECAY, WARMUP };

static const struct descent_option ema_options[] = {
    [DECAY] = OPTIM_RATE("decay", "0.999", 0, 0, "share of the average that stays in each step"),
    [WARMUP] = OPTIM_FLAG("warmup", "no", "decay (1 + n) / (10 + n) in step n + 1 where that is less"),
};

static enum descent_status ema_step(struct optim_run *run)
{
    enum descent_status status = optim_inner(run);
    if (status)
        return status;
    for (int i = 0; i < run->count; i++) {
        struct optim_tensor *t = run->tensor[i];
        double decay = t->hyper[DECAY].number, n = (double)t->step - 1;
        if (t->hyper[WARMUP].number != 0)
            decay = fmin(decay, (1 + n) / (10 + n));
        t->k[NEW] = (descent_real)(t->step == 1 ? 1 : 1 - decay);
    }
    optim_for_parts(run, average_part);
    return DESCENT_OK;
}

static void ema_evaluation(struct optim_run *run)
{
    optim_evaluate_slot(run, 0);
}

const struct optim_algorithm OPTIM_WRAPPER(ema) = {
    .name = "ema",
    .summary = "evaluate with an exponential moving average of the weights",
    .answers = OPTIM_NOISE,
    .paper = "Polyak & Juditsky 1992; as torch.optim.swa_utils.AveragedModel with get_ema_avg_fn",
    .formula = "after each step: e <- decay e + (1 - decay) x        (first: e <- x)\n"
               "evaluate with e; batch-norm statistics are computed anew for it\n"
               "not around schedule_free_*, asgd and dog, which have such weights of their own\n",
    .options = ema_options,
    .option_count = sizeof ema_options / sizeof *ema_options,
    .wraps = true,
    .slots = {"mean"},
    .step = ema_step,
    .evaluation = ema_evaluation,
};

/* --- Equal. --- */

enum { START, EVERY };

static const struct descent_option swa_options[] = {
    [START] = {.name = "start",
               .type = DESCENT_OPTION_DURATION,
               .initial = "75%",
               .help = "when averaging begins; before, the weights are as they are"},
    [EVERY] = {.name = "every",
               .type = DESCENT_OPTION_DURATION,
               .initial = "1ep",
               .max = INFINITY,
               .open_min = true,
               .help = "between two weights that enter the average"},
};

/* How many values are in a tensor's average. */
static enum descent_status swa_init(struct optim_run *run)
{
    for (int i = 0; i < run->count; i++) {
        struct optim_tensor *t = run->tensor[i];
        t->own = optim_state(run, t, "averaged", DESCENT_I64, 0, NULL);
        if (!t->own)
            return DESCENT_OUT_OF_MEMORY;
    }
    return DESCENT_OK;
}

static enum descent_status swa_step(struct optim_run *run)
{
    enum descent_status status;
    int64_t start, every;
    const struct descent_value *hyper = run->tensor[0]->hyper;
    if ((status = optim_duration(run, &hyper[START], &start)) != DESCENT_OK ||
        (status = optim_duration(run, &hyper[EVERY], &every)) != DESCENT_OK ||
        (status = optim_inner(run)) != DESCENT_OK)
        return status;
    every = every > 0 ? every : 1;
    if (run->step <= start || run->step % every != 0)
        return DESCENT_OK;
    for (int i = 0; i < run->count; i++) {
        int64_t *averaged = run->tensor[i]->own;
        run->tensor[i]->k[NEW] = (descent_real)(1 / (double)++*averaged);
    }
    optim_for_parts(run, average_part);
    return DESCENT_OK;
}

/* Where nothing is in it yet, the weights remain. */
static void swa_evaluate_part(struct optim_part *part)
{
    const struct optim_tensor *t = part->tensor;
    const int64_t *averaged = t->own;
    if (*averaged > 0)
        memcpy(t->evaluation + part->begin, t->slot[0] + part->begin,
               (size_t)(part->end - part->begin) * sizeof *t->evaluation);
}

static void swa_evaluation(struct optim_run *run)
{
    optim_for_parts(run, swa_evaluate_part);
}

const struct optim_algorithm OPTIM_WRAPPER(swa) = {
    .name = "swa",
    .summary = "evaluate with the mean of the weights at the ends of the last epochs",
    .answers = OPTIM_NOISE,
    .paper = "Izmailov et al. 2018, arXiv:1803.05407; as torch.optim.swa_utils.AveragedModel",
    .formula = "after start, at each multiple of `every`: n <- n + 1;  e <- e + (x - e) / n\n"
               "evaluate with e; batch-norm statistics are computed anew for it\n"
               "wants a learning rate that stays high: --schedule constant, or cosine to a minimum\n"
               "not around schedule_free_*, asgd and dog, which have such weights of their own\n",
    .options = swa_options,
    .option_count = sizeof swa_options / sizeof *swa_options,
    .wraps = true,
    .slots = {"mean"},
    .init = swa_init,
    .step = swa_step,
    .evaluation = swa_evaluation,
};
