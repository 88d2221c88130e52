/* MADGRAD: dual averaging as in Adagrad, with a cube root for the square root and momentum as an average
 * of the points. Far gradients weigh as much as near ones, so what works with other methods in weight decay
 * and learning rate does not carry over. Defazio & Jelassi 2021, arXiv:2101.11075. */
#include "optim/elementwise.h"

enum { LR, MOMENTUM, EPS, WEIGHT_DECAY, DECAY_ALL, HYPERPARAMETERS };

static const struct descent_option options[] = {
    [LR] = OPTIM_LR("1e-2", 3e-4, 0.3),
    [MOMENTUM] = OPTIM_RATE("momentum", "0.9", 0, 0, "share of the point before in the next one"),
    [EPS] = OPTIM_POSITIVE("eps", "1e-6", true, 0, 0, "added to the denominator, and to lr"),
    [WEIGHT_DECAY] = OPTIM_WEIGHT_DECAY("0", 0, 0),
    [DECAY_ALL] = OPTIM_DECAY_ALL,
};

enum { WEIGHT, EPSILON, FIRST };

/* S <- S + l g^2;  s <- s + l g;  d = x - z with z = x0 - s / (cbrt(S) + eps) */
OPTIM_INLINE descent_real rule(const descent_real *k, struct optim_element *e)
{
    descent_real *squares = &e->s[0], *sum = &e->s[1], *start = &e->s[2];
    *start = k[FIRST] != 0 ? e->x : *start;
    *squares += k[WEIGHT] * (e->g * e->g);
    *sum += k[WEIGHT] * e->g;
    return (e->x - *start) + *sum / (cbrt(*squares) + k[EPSILON]);
}

static void loop(struct optim_part *part)
{
    optim_elementwise(part, 3, rule);
}

static enum descent_status step(struct optim_run *run)
{
    for (int i = 0; i < run->count; i++) {
        struct optim_tensor *t = run->tensor[i];
        double eps = t->hyper[EPS].number;
        t->k[WEIGHT] = t->lr > 0 ? (descent_real)((t->lr + eps) * sqrt((double)t->step)) : 0;
        t->k[EPSILON] = (descent_real)eps;
        t->k[FIRST] = t->step == 1 ? 1 : 0;
        t->lr = 1 - t->hyper[MOMENTUM].number;
    }
    optim_for_parts(run, loop);
    return DESCENT_OK;
}

const struct optim_algorithm OPTIM_ALGORITHM(madgrad) = {
    .name = "madgrad",
    .summary = "dual averaging with cube-root scaling and momentum",
    .answers = OPTIM_SCALES,
    .paper = "Defazio & Jelassi 2021, arXiv:2101.11075",
    .formula = "g <- g + weight_decay x\n"
               "l = (lr + eps) sqrt(t), 0 while lr is 0\n"
               "S <- S + l g^2\n"
               "s <- s + l g\n"
               "x <- momentum x + (1 - momentum) (x0 - s / (cbrt(S) + eps)), x0 the initial x\n"
               "The authors' and timm's form.\n",
    .options = options,
    .option_count = HYPERPARAMETERS,
    .decay = OPTIM_COUPLED,
    .slots = {"square_sum", "sum", "start"},
    .step = step,
    .single_pass = true,
};
