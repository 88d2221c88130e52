/* Rprop: each parameter has a step of its own, which grows while the gradient keeps its sign and shrinks
 * when it does not. For full batches: the noise of mini-batches turns signs at random. Riedmiller & Braun
 * 1993, A direct adaptive method for faster backpropagation learning: the RPROP algorithm. */
#include "optim/elementwise.h"

enum { LR, GROW, SHRINK, MIN_STEP, MAX_STEP, WEIGHT_DECAY, DECAY_ALL, HYPERPARAMETERS };

static const struct descent_option options[] = {
    [LR] = OPTIM_LR("1e-2", 3e-4, 0.3),
    [GROW] = {.name = "grow",
              .type = DESCENT_OPTION_REAL,
              .initial = "1.2",
              .min = 1,
              .max = INFINITY,
              .open_min = true,
              .help = "factor of a step whose gradient kept its sign"},
    [SHRINK] = OPTIM_RATE("shrink", "0.5", 0, 0, "factor of a step whose gradient changed it"),
    [MIN_STEP] = OPTIM_POSITIVE("min_step", "1e-6", true, 0, 0, "smallest step"),
    [MAX_STEP] = OPTIM_POSITIVE("max_step", "50", true, 0, 0, "largest step"),
    [WEIGHT_DECAY] = OPTIM_WEIGHT_DECAY("0", 0, 0),
    [DECAY_ALL] = OPTIM_DECAY_ALL,
};

enum { START, UP, DOWN, SMALLEST, LARGEST };

/* d = sign(g) step, a share of lr's scheduled value being in lr */
OPTIM_INLINE descent_real rule(const descent_real *k, struct optim_element *e)
{
    descent_real *last = &e->s[0], *size = &e->s[1], turn = e->g * *last;
    descent_real next = (*size > 0 ? *size : k[START]) * (turn > 0 ? k[UP] : turn < 0 ? k[DOWN] : 1);
    next = next < k[SMALLEST] ? k[SMALLEST] : next;
    *size = next > k[LARGEST] ? k[LARGEST] : next;
    *last = turn < 0 ? 0 : e->g;
    return (descent_real)((*last > 0) - (*last < 0)) * *size;
}

static void loop(struct optim_part *part)
{
    optim_elementwise(part, 2, rule);
}

static enum descent_status step(struct optim_run *run)
{
    for (int i = 0; i < run->count; i++) {
        struct optim_tensor *t = run->tensor[i];
        double lr = t->hyper[LR].number;
        t->lr = lr > 0 ? t->lr / lr : 0;
        t->k[START] = (descent_real)lr;
        t->k[UP] = (descent_real)t->hyper[GROW].number;
        t->k[DOWN] = (descent_real)t->hyper[SHRINK].number;
        t->k[SMALLEST] = (descent_real)t->hyper[MIN_STEP].number;
        t->k[LARGEST] = (descent_real)t->hyper[MAX_STEP].number;
    }
    optim_for_parts(run, loop);
    return DESCENT_OK;
}

const struct optim_algorithm OPTIM_ALGORITHM(rprop) = {
    .name = "rprop",
    .summary = "a step of its own for each parameter, by whether its gradient keeps its sign; full batches",
    .answers = OPTIM_SCALES,
    .paper = "Riedmiller & Braun 1993, A direct adaptive method for faster backpropagation learning",
    .formula = "x <- x (1 - lr weight_decay), lr as scheduled\n"
               "step <- step {grow if g keeps its sign, shrink if it changes it, else 1}, at first lr\n"
               "step <- step within min_step .. max_step\n"
               "g <- 0 where it changed its sign\n"
               "x <- x - (lr as scheduled / lr) sign(g) step\n"
               "PyTorch's form, where a schedule has no effect and there is no decay.\n",
    .options = options,
    .option_count = HYPERPARAMETERS,
    .decay = OPTIM_DECOUPLED,
    .slots = {"last", "size"},
    .step = step,
    .single_pass = true,
};
