/* Averaged SGD: the mean of all iterates is nearer to the minimum than the last one. Training goes on from
 * x; the mean is what is evaluated. Polyak & Juditsky 1992, Acceleration of stochastic approximation by
 * averaging. */
#include "optim/elementwise.h"

enum { LR, LAMBDA, ALPHA, T0, WEIGHT_DECAY, DECAY_ALL, HYPERPARAMETERS };

static const struct descent_option options[] = {
    [LR] = OPTIM_LR("1e-2", 3e-4, 0.3),
    [LAMBDA] = OPTIM_POSITIVE("lambda", "1e-4", false, 0, 0,
                              "decay of all parameters, biases too, which also sets how fast lr falls"),
    [ALPHA] = OPTIM_POSITIVE("alpha", "0.75", false, 0, 0, "power of the fall of lr"),
    [T0] = OPTIM_POSITIVE("t0", "1e6", false, 0, 0, "steps before the mean begins"),
    [WEIGHT_DECAY] = OPTIM_WEIGHT_DECAY("0", 0, 0),
    [DECAY_ALL] = OPTIM_DECAY_ALL,
};

enum { DECAY, RATE, SHARE };

/* d = g + lambda x;  mean <- mean + mu (x - lr d - mean) */
OPTIM_INLINE descent_real rule(const descent_real *k, struct optim_element *e)
{
    descent_real *mean = &e->s[0], d = e->g + k[DECAY] * e->x;
    *mean += k[SHARE] * (e->x - k[RATE] * d - *mean);
    return d;
}

static void loop(struct optim_part *part)
{
    optim_elementwise(part, 1, rule);
}

static enum descent_status step(struct optim_run *run)
{
    for (int i = 0; i < run->count; i++) {
        struct optim_tensor *t = run->tensor[i];
        const struct descent_value *hyper = t->hyper;
        double done = (double)(t->step - 1);
        t->lr /= pow(1 + hyper[LAMBDA].number * t->lr * done, hyper[ALPHA].number);
        t->k[DECAY] = (descent_real)hyper[LAMBDA].number;
        t->k[RATE] = (descent_real)t->lr;
        t->k[SHARE] = (descent_real)(1 / fmax(1, done - hyper[T0].number));
    }
    optim_for_parts(run, loop);
    return DESCENT_OK;
}

static void evaluation(struct optim_run *run)
{
    optim_evaluate_slot(run, 0);
}

const struct optim_algorithm OPTIM_ALGORITHM(asgd) = {
    .name = "asgd",
    .summary = "gradient descent that also keeps the mean of its iterates",
    .answers = OPTIM_NOISE,
    .paper = "Polyak & Juditsky 1992, Acceleration of stochastic approximation by averaging",
    .formula =
        "g <- g + weight_decay x\n"
        "r = lr / (1 + lambda lr (t - 1))^alpha\n"
        "x <- x (1 - lambda r) - r g\n"
        "mean <- mean + (x - mean) / max(1, t - 1 - t0)\n"
        "PyTorch's form. x is what is trained, the mean what is evaluated and stored; it is x until\n"
        "t0, so to the end of a run of fewer steps: set t0 to where the mean shall begin.\n"
        "For lenet5 with batches of 64: lr=0.1.\n",
    .options = options,
    .option_count = HYPERPARAMETERS,
    .decay = OPTIM_COUPLED,
    .slots = {"mean"},
    .step = step,
    .single_pass = true,
    .evaluation = evaluation,
};
