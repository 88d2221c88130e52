/* NAME: an update rule of one's own.
 *
 *     train --optimizer ./NAME.c:lr=0.05 --data fashion-mnist --model lenet5 --epochs 2
 *     train --optimizer ./NAME.c:lr=0.05+lookahead --group 'fc*:./NAME.c:lr=0.01'
 *     train list optimizers ./NAME.c
 *
 * `train` compiles this file when it has changed. As it stands it is gradient descent with momentum. What a
 * rule can do is told in optim/algorithm.h, element-wise ones in optim/elementwise.h. */
#include "optim/elementwise.h"

/* The hyperparameters: default, range and help drive the command line, `train list` and what is saved; the
 * search range is where `train compare` looks for values. lr comes first; weight_decay and decay_all are
 * understood by everybody and need no code. OPTIM_RATE is a decay rate in [0, 1), searched in 1 - value. */
enum { LR, MOMENTUM, WEIGHT_DECAY, DECAY_ALL, HYPERPARAMETERS };
static const struct descent_option options[HYPERPARAMETERS] = {
    [LR] = OPTIM_LR("0.02", 1e-3, 1), /* default, searched from, to */
    [MOMENTUM] = OPTIM_RATE("momentum", "0.9", 0.7, 0.995, "share of the last step that goes on"),
    [WEIGHT_DECAY] = OPTIM_WEIGHT_DECAY("0", 1e-6, 1e-3),
    [DECAY_ALL] = OPTIM_DECAY_ALL,
};

/* What `step` computes once for the rule to use on every element. */
enum { MU };

/* One element: its value e->x, its gradient e->g, its state e->s[0], ... Returns the direction d of
 * x <- x - lr d. No branches, so that the compiler can vectorize; (a > b) - (a < b) is a sign.
 *
 * v <- momentum v + g;  d = v */
OPTIM_INLINE descent_real rule(const descent_real *k, struct optim_element *e)
{
    e->s[0] = k[MU] * e->s[0] + e->g;
    return e->s[0];
}

/* 1: how many states the rule has, as in .slots. */
static void loop(struct optim_part *part)
{
    optim_elementwise(part, 1, rule);
}

/* Once a step, for all tensors. run->step is 1 in the first one; t->lr is scheduled already. */
static enum descent_status step(struct optim_run *run)
{
    for (int i = 0; i < run->count; i++) {
        struct optim_tensor *t = run->tensor[i];
        t->k[MU] = (descent_real)t->hyper[MOMENTUM].number;
    }
    optim_for_parts(run, loop);
    return DESCENT_OK;
}

OPTIM_EXPORT = {
    .summary = "gradient descent with momentum",
    .answers = OPTIM_RAVINES, /* the difficulty; see OPTIM_DIFFICULTY_LIST in optim/optim.h */
    .formula = "v <- momentum v + g\n"
               "x <- x - lr v\n",
    .options = options,
    .option_count = HYPERPARAMETERS,
    .decay = OPTIM_COUPLED, /* or OPTIM_DECOUPLED, as AdamW does */
    .slots = {"v"},         /* names of the states, zero at first; saved with a run */
    .step = step,
    .single_pass = true, /* the step is one optim_elementwise */
};
