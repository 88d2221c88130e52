/* Adan: Adam with Nesterov's momentum in a form that needs no gradient at another point: beside the mean
 * gradient it averages how gradients change from step to step. Xie et al. 2022, arXiv:2208.06677. */
#include "optim/rules/moments.h"

enum { LR, BETA1, BETA2, BETA3, EPS, PROX, OPTAX, WEIGHT_DECAY, DECAY_ALL, HYPERPARAMETERS };

static const struct descent_option options[] = {
    [LR] = OPTIM_LR("1e-3", 3e-5, 3e-2),
    [BETA1] = MOMENT_BETA1("0.98", 0.9, 0.99),
    [BETA2] =
        OPTIM_RATE("beta2", "0.92", 0, 0, "decay rate of the mean change, and its weight in the step"),
    [BETA3] = OPTIM_RATE("beta3", "0.99", 0, 0, "decay rate of the second moment"),
    [EPS] = OPTIM_EPS("1e-8"),
    [PROX] = OPTIM_FLAG("prox", "yes", "decay after the step, by 1 / (1 + lr weight_decay)"),
    [OPTAX] = OPTIM_FLAG("optax", "no", "weigh the change by 1 - beta2 in the step, as optax does"),
    [WEIGHT_DECAY] = OPTIM_WEIGHT_DECAY("0", 5e-3, 1),
    [DECAY_ALL] = OPTIM_DECAY_ALL,
};

/* The second moment's constants are those of beta3. INVERSE_: 1 / c1 and beta2 / c2. */
enum { RATE_D = MORE, NEW_D, BEFORE, AHEAD, INVERSE_C1, AHEAD_C2 };

/* m, D, n: averages of g, of g - p, of (g + a (g - p))^2, p being the gradient before, a beta2.
 * d = (m / c1 + a D / c2) / (sqrt(n) / sqrt(c3) + eps) */
OPTIM_INLINE descent_real rule(const descent_real *k, struct optim_element *e)
{
    descent_real *m = &e->s[0], *change = &e->s[1], *n = &e->s[2], *p = &e->s[3];
    descent_real difference = k[BEFORE] * (e->g - *p);
    first_moment(k, m, e->g);
    *change = k[RATE_D] * *change + k[NEW_D] * difference;
    second_moment(k, n, e->g + k[AHEAD] * difference);
    *p = e->g;
    return (*m * k[INVERSE_C1] + *change * k[AHEAD_C2]) / corrected_root(k, *n);
}

static void loop(struct optim_part *part)
{
    optim_elementwise(part, 4, rule);
}

static enum descent_status step(struct optim_run *run)
{
    for (int i = 0; i < run->count; i++) {
        struct optim_tensor *t = run->tensor[i];
        double beta1 = t->hyper[BETA1].number, beta2 = t->hyper[BETA2].number,
               ahead = t->hyper[OPTAX].number != 0 ? 1 - beta2 : beta2;
        set_moments(t, beta1, t->hyper[BETA3].number, t->hyper[EPS].number);
        t->k[RATE_D] = (descent_real)beta2;
        t->k[AHEAD] = (descent_real)ahead;
        t->k[NEW_D] = (descent_real)(1 - beta2);
        t->k[BEFORE] = t->step == 1 ? 0 : 1;
        t->k[INVERSE_C1] = (descent_real)(1 / bias_correction(beta1, t));
        t->k[AHEAD_C2] = (descent_real)(ahead / bias_correction(beta2, t));
        /* x <- (x - lr d) / (1 + lr decay), or x (1 - lr decay) - lr d */
        double decay = t->lr * t->decay, divisor = t->hyper[PROX].number != 0 ? 1 + decay : 1;
        t->lr /= divisor;
        t->shrink = decay / divisor;
    }
    optim_for_parts(run, loop);
    return DESCENT_OK;
}

const struct optim_algorithm OPTIM_ALGORITHM(adan) = {
    .name = "adan",
    .summary = "Adam with Nesterov's look ahead, made of the gradient's changes",
    .answers = OPTIM_RAVINES,
    .paper = "Xie et al. 2022, arXiv:2208.06677",
    .formula =
        "h = g - the gradient before, 0 at t = 1\n"
        "m <- beta1 m + (1 - beta1) g                  c1 = 1 - beta1^t\n"
        "D <- beta2 D + (1 - beta2) h                  c2 = 1 - beta2^t\n"
        "n <- beta3 n + (1 - beta3) (g + beta2 h)^2    c3 = 1 - beta3^t\n"
        "x <- x - lr (m/c1 + beta2 D/c2) / (sqrt(n)/sqrt(c3) + eps)\n"
        "x <- x / (1 + lr weight_decay); prox=no: x <- x (1 - lr weight_decay) before the step\n"
        "The authors' and timm's form; with optax D and h are multiplied by 1 - beta2 in n and x, and\n"
        "with prox=no it is optax's adan, another algorithm.\n",
    .options = options,
    .option_count = HYPERPARAMETERS,
    .decay = OPTIM_OWN_DECAY,
    .slots = {"m", "D", "n", "g"},
    .step = step,
    .single_pass = true,
};
