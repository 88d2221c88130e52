/* Between Adam and SGD: AdaBound and AMSBound clip Adam's rates into a band that closes around one rate;
 * Padam divides by a fractional power of AMSGrad's denominator. Luo et al. 2019, arXiv:1902.09843; Chen et
 * al. 2018, arXiv:1806.06763. */
#include "optim/rules/adam.h"

enum { FINAL_LR = OWN, GAMMA, P = OWN };

static const struct descent_option bound_options[] = {
    ADAM_ROWS("1e-3", 3e-5, 3e-2, "0.9", 0, 0),
    OPTIM_POSITIVE("final_lr", "0.1", true, 0, 0, "the rate of SGD that all rates end at"),
    OPTIM_POSITIVE("gamma", "1e-3", true, 0, 0, "how fast the band closes"),
    DECAY_ROWS("0", 0, 0),
};

static const struct descent_option padam_options[] = {
    ADAM_ROWS("0.1", 3e-3, 3, "0.9", 0, 0),
    OPTIM_BETWEEN("p", "0.125", 0, 0.5, "power of the second moment: 0.5 is AMSGrad, 0 momentum"),
    DECAY_ROWS("0", 0, 0),
};

enum { LOW = FREE, HIGH, POWER = FREE };

/* The band is of whole rates: lr is in a, and 1 outside. */
OPTIM_INLINE descent_real bounded(const descent_real *k, descent_real m, descent_real v)
{
    descent_real rate = k[ALONG_M] / (sqrt(v) + k[EPSILON]);
    rate = rate < k[LOW] ? k[LOW] : rate;
    return m * (rate > k[HIGH] ? k[HIGH] : rate);
}

OPTIM_INLINE descent_real top_of(struct optim_element *e)
{
    descent_real *top = &e->s[2];
    return *top = e->s[1] > *top ? e->s[1] : *top;
}

OPTIM_INLINE descent_real adabound_rule(const descent_real *k, struct optim_element *e)
{
    advance_moments(k, e);
    return bounded(k, e->s[0], e->s[1]);
}

OPTIM_INLINE descent_real amsbound_rule(const descent_real *k, struct optim_element *e)
{
    advance_moments(k, e);
    return bounded(k, e->s[0], top_of(e));
}

/* d = a m / (sqrt(top) + eps)^2p */
OPTIM_INLINE descent_real padam_rule(const descent_real *k, struct optim_element *e)
{
    advance_moments(k, e);
    return k[ALONG_M] * e->s[0] / pow(sqrt(top_of(e)) + k[EPSILON], k[POWER]);
}

static void adabound_loop(struct optim_part *part)
{
    optim_elementwise(part, 2, adabound_rule);
}

static void amsbound_loop(struct optim_part *part)
{
    optim_elementwise(part, 3, amsbound_rule);
}

static void padam_loop(struct optim_part *part)
{
    optim_elementwise(part, 3, padam_rule);
}

/* sqrt(c2) / c1: here eps is beside the uncorrected root. */
static double correction(const struct optim_tensor *t)
{
    return sqrt(adam_c2(t)) / adam_c1(t);
}

static enum descent_status bound_step(struct optim_run *run, optim_loop *loop)
{
    for (int i = 0; i < run->count; i++) {
        struct optim_tensor *t = run->tensor[i];
        double base = t->hyper[LR].number, time = (double)t->step * t->hyper[GAMMA].number;
        double final = base > 0 ? t->hyper[FINAL_LR].number * t->lr / base : 0;
        set_adam_scalars(t);
        t->k[ALONG_M] = (descent_real)(t->lr * correction(t));
        t->k[LOW] = (descent_real)(final * (1 - 1 / (time + 1)));
        t->k[HIGH] = (descent_real)(final * (1 + 1 / time));
        t->lr = 1;
    }
    optim_for_parts(run, loop);
    return DESCENT_OK;
}

static enum descent_status adabound_step(struct optim_run *run)
{
    return bound_step(run, adabound_loop);
}

static enum descent_status amsbound_step(struct optim_run *run)
{
    return bound_step(run, amsbound_loop);
}

static enum descent_status padam_step(struct optim_run *run)
{
    for (int i = 0; i < run->count; i++) {
        struct optim_tensor *t = run->tensor[i];
        set_adam_scalars(t);
        t->k[ALONG_M] = (descent_real)correction(t);
        t->k[POWER] = (descent_real)(2 * t->hyper[P].number);
    }
    optim_for_parts(run, padam_loop);
    return DESCENT_OK;
}

#define BOUND_FORMULA                                                                                      \
    "f = final_lr, times lr as scheduled / lr\n"                                                           \
    "rate = lr sqrt(c2)/c1 / (sqrt(v) + eps), within f (1 - 1/(gamma t + 1)) .. f (1 + 1/(gamma t))\n"     \
    "x <- x - rate m\n"

const struct optim_algorithm OPTIM_ALGORITHM(adabound) = {
    .name = "adabound",
    .summary = "Adam that turns into SGD: its rates are clipped into a band that closes",
    .answers = OPTIM_SCALES,
    .paper = "Luo et al. 2019, arXiv:1902.09843",
    .formula = COUPLED_FORMULA MOMENTS_FORMULA BOUND_FORMULA "The authors' form.\n",
    TABLE(bound_options),
    .decay = OPTIM_COUPLED,
    .slots = {"m", "v"},
    .step = adabound_step,
    .single_pass = true,
};

const struct optim_algorithm OPTIM_ALGORITHM(amsbound) = {
    .name = "amsbound",
    .summary = "AMSGrad that turns into SGD: its rates are clipped into a band that closes",
    .answers = OPTIM_SCALES,
    .paper = "Luo et al. 2019, arXiv:1902.09843",
    .formula = COUPLED_FORMULA MOMENTS_FORMULA "top <- max(top, v), in the place of v below\n" BOUND_FORMULA
                                               "The authors' form.\n",
    TABLE(bound_options),
    .decay = OPTIM_COUPLED,
    .slots = {"m", "v", "top"},
    .step = amsbound_step,
    .single_pass = true,
};

const struct optim_algorithm OPTIM_ALGORITHM(padam) = {
    .name = "padam",
    .summary = "partially adaptive: AMSGrad's denominator to a power between none and all",
    .answers = OPTIM_SCALES,
    .paper = "Chen et al. 2018, arXiv:1806.06763",
    .formula = COUPLED_FORMULA MOMENTS_FORMULA
    "top <- max(top, v)\n"
    "x <- x - lr sqrt(c2)/c1 m / (sqrt(top) + eps)^(2p)\n"
    "The authors' form with the paper's p; their code has 0.25.\n",
    TABLE(padam_options),
    .decay = OPTIM_COUPLED,
    .slots = {"m", "v", "top"},
    .step = padam_step,
    .single_pass = true,
};
