/* AdEMAMix: Adam with a second, very slow average of the gradient beside the fast one: gradients tens of
 * thousands of steps old still help. Pagliardini et al. 2024, arXiv:2409.03137. */
#include "optim/rules/moments.h"

enum { LR, BETA1, BETA2, BETA3, ALPHA, RAMP, EPS, WEIGHT_DECAY, DECAY_ALL, HYPERPARAMETERS };

static const struct descent_option options[] = {
    [LR] = OPTIM_LR("1e-3", 3e-5, 3e-2),
    [BETA1] = MOMENT_BETA1("0.9", 0.5, 0.98),
    [BETA2] = MOMENT_BETA2("0.999", 0, 0),
    [BETA3] = OPTIM_RATE("beta3", "0.9999", 0.99, 0.9999, "decay rate of the slow mean of the gradient"),
    [ALPHA] = OPTIM_POSITIVE("alpha", "5", false, 1, 10, "weight of the slow mean"),
    [RAMP] = {.name = "ramp",
              .type = DESCENT_OPTION_INTEGER,
              .initial = "0",
              .max = INFINITY,
              .help = "steps in which alpha and beta3 rise to their values"},
    [EPS] = OPTIM_EPS("1e-8"),
    [WEIGHT_DECAY] = OPTIM_WEIGHT_DECAY("0", 5e-3, 1),
    [DECAY_ALL] = OPTIM_DECAY_ALL,
};

enum { B3 = MORE, NEW3, MIX, INVERSE_C1 };

/* m, v as in Adam; s <- b3 s + (1 - b3) g;  d = (m / c1 + alpha s) / (sqrt(v) / sqrt(c2) + eps) */
OPTIM_INLINE descent_real rule(const descent_real *k, struct optim_element *e)
{
    descent_real *m = &e->s[0], *v = &e->s[1], *slow = &e->s[2];
    first_moment(k, m, e->g);
    second_moment(k, v, e->g);
    *slow = k[B3] * *slow + k[NEW3] * e->g;
    return (*m * k[INVERSE_C1] + *slow * k[MIX]) / corrected_root(k, *v);
}

static void loop(struct optim_part *part)
{
    optim_elementwise(part, 3, rule);
}

/* beta3 rises such that the slow average's half-life, ln 2 / -ln beta3, grows in proportion to time. */
static double ramp_beta3(double beta1, double beta3, double done)
{
    if (beta1 == 0 || beta3 == 0)
        return beta3;
    double a = log(beta1), b = log(beta3);
    return fmin(exp(a * b / ((1 - done) * b + done * a)), beta3);
}

static enum descent_status step(struct optim_run *run)
{
    for (int i = 0; i < run->count; i++) {
        struct optim_tensor *t = run->tensor[i];
        double beta1 = t->hyper[BETA1].number, beta3 = t->hyper[BETA3].number, ramp = t->hyper[RAMP].number;
        double done = (double)t->step < ramp ? (double)t->step / ramp : 1;
        set_moments(t, beta1, t->hyper[BETA2].number, t->hyper[EPS].number);
        if (done < 1)
            beta3 = ramp_beta3(beta1, beta3, done);
        t->k[B3] = (descent_real)beta3;
        t->k[NEW3] = (descent_real)(1 - beta3);
        t->k[MIX] = (descent_real)(done * t->hyper[ALPHA].number);
        t->k[INVERSE_C1] = (descent_real)(1 / bias_correction(beta1, t));
    }
    optim_for_parts(run, loop);
    return DESCENT_OK;
}

const struct optim_algorithm OPTIM_ALGORITHM(ademamix) = {
    .name = "ademamix",
    .summary = "AdamW with a fast and a very slow mean of the gradient",
    .answers = OPTIM_NOISE,
    .paper = "Pagliardini et al. 2024, arXiv:2409.03137",
    .formula = "x <- x (1 - lr weight_decay), lr as scheduled\n"
               "m <- beta1 m + (1 - beta1) g          c1 = 1 - beta1^t\n"
               "v <- beta2 v + (1 - beta2) g^2        c2 = 1 - beta2^t\n"
               "s <- b3 s + (1 - b3) g\n"
               "x <- x - lr (m/c1 + a s) / (sqrt(v)/sqrt(c2) + eps)\n"
               "with p = min(t/ramp, 1): a = p alpha, and b3 from beta1 to beta3 by\n"
               "ln b3 = ln beta1 ln beta3 / ((1 - p) ln beta3 + p ln beta1)\n"
               "The authors' form (s is not corrected for its start) without their 1e-8 in the\n"
               "logarithms; as in theirs, ramp is off unless asked for.\n",
    .options = options,
    .option_count = HYPERPARAMETERS,
    .decay = OPTIM_DECOUPLED,
    .slots = {"m", "v", "slow"},
    .step = step,
    .single_pass = true,
};
