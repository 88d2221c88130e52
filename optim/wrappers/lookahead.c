/* Lookahead: k steps forward, one step back. Zhang et al. 2019, arXiv:1907.08610. The slow weights begin as
 * the values before the first step, as in the paper; some packages copy them later. */
#include "optim/elementwise.h"

#include <string.h>

enum { K, ALPHA };

static const struct descent_option options[] = {
    [K] = {.name = "k",
           .type = DESCENT_OPTION_INTEGER,
           .initial = "5",
           .min = 1,
           .max = INFINITY,
           .help = "steps of the fast weights between two of the slow ones"},
    [ALPHA] = {.name = "alpha",
               .type = DESCENT_OPTION_REAL,
               .initial = "0.5",
               .max = 1,
               .open_min = true,
               .help = "how far the slow weights go towards the fast ones",
               .search_min = 0.2,
               .search_max = 0.8},
};

static void begin_part(struct optim_part *part)
{
    const struct optim_tensor *t = part->tensor;
    if (t->step == 1)
        memcpy(t->slot[0] + part->begin, t->param->value + part->begin,
               (size_t)(part->end - part->begin) * sizeof *t->slot[0]);
}

static void synchronize_part(struct optim_part *part)
{
    const struct optim_tensor *t = part->tensor;
    descent_real *restrict slow = t->slot[0], *restrict value = t->param->value;
    descent_real alpha = (descent_real)t->hyper[ALPHA].number;
    for (int64_t i = part->begin; i < part->end; i++) {
        slow[i] += alpha * (value[i] - slow[i]);
        value[i] = slow[i];
    }
}

static enum descent_status step(struct optim_run *run)
{
    bool begins = false; /* mostly in the run's first step, all together */
    for (int i = 0; i < run->count; i++)
        begins |= run->tensor[i]->step == 1;
    if (begins)
        optim_for_parts(run, begin_part);
    enum descent_status status = optim_inner(run);
    if (!status && run->step % (int64_t)run->tensor[0]->hyper[K].number == 0)
        optim_for_parts(run, synchronize_part);
    return status;
}

static const char *refuses(const struct optim_algorithm *inner)
{
    return inner->evaluation ? "whose weights to evaluate with would not see the way back" : NULL;
}

const struct optim_algorithm OPTIM_WRAPPER(lookahead) = {
    .name = "lookahead",
    .summary = "go k steps, then return part of the way",
    .answers = OPTIM_NOISE,
    .paper = "Zhang et al. 2019, arXiv:1907.08610",
    .formula =
        "every k steps: s <- s + alpha (x - s);  x <- s        (s begins as x before the first step)\n"
        "not around schedule_free_*, asgd and dog, whose averages would not see the way back\n",
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .wraps = true,
    .slots = {"slow"},
    .step = step,
    .refuses = refuses,
};
