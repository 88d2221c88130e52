/* Yogi: Adam whose second moment grows and shrinks by at most a share of g^2, so that one large gradient
 * after many small ones does not end all progress. Zaheer et al., NeurIPS 2018. */
#include "optim/rules/moments.h"

enum { LR, BETA1, BETA2, EPS, INITIAL, WEIGHT_DECAY, DECAY_ALL, HYPERPARAMETERS };

static const struct descent_option options[] = {
    [LR] = OPTIM_LR("1e-2", 3e-4, 0.3),
    [BETA1] = MOMENT_BETA1("0.9", 0, 0),
    [BETA2] = OPTIM_RATE("beta2", "0.999", 0, 0, "1 - the share of g^2 by which the second moment changes"),
    [EPS] = OPTIM_EPS("1e-3"),
    [INITIAL] = OPTIM_POSITIVE("initial", "1e-6", false, 0, 0, "both moments before the first step"),
    [WEIGHT_DECAY] = OPTIM_WEIGHT_DECAY("0", 0, 0),
    [DECAY_ALL] = OPTIM_DECAY_ALL,
};

static enum descent_status init(struct optim_run *run)
{
    for (int i = 0; i < run->count; i++) {
        struct optim_tensor *t = run->tensor[i];
        for (int64_t j = 0; j < t->param->size; j++)
            t->slot[0][j] = t->slot[1][j] = (descent_real)t->hyper[INITIAL].number;
    }
    return DESCENT_OK;
}

/* v <- v - (1 - b2) sign(v - g^2) g^2;  d = m / (sqrt(v / c2) + eps), 1 / c1 being in lr */
OPTIM_INLINE descent_real rule(const descent_real *k, struct optim_element *e)
{
    descent_real *m = &e->s[0], *v = &e->s[1], square = e->g * e->g;
    first_moment(k, m, e->g);
    descent_real change = *v > square ? -square : *v < square ? square : 0;
    *v += k[NEW2] * change;
    return *m / corrected_root(k, *v);
}

static void loop(struct optim_part *part)
{
    optim_elementwise(part, 2, rule);
}

static enum descent_status step(struct optim_run *run)
{
    for (int i = 0; i < run->count; i++) {
        struct optim_tensor *t = run->tensor[i];
        double beta1 = t->hyper[BETA1].number;
        set_moments(t, beta1, t->hyper[BETA2].number, t->hyper[EPS].number);
        t->lr /= bias_correction(beta1, t);
    }
    optim_for_parts(run, loop);
    return DESCENT_OK;
}

const struct optim_algorithm OPTIM_ALGORITHM(yogi) = {
    .name = "yogi",
    .summary = "Adam with a second moment that forgets slowly, at the gradient's own pace",
    .answers = OPTIM_NOISE,
    .paper = "Zaheer et al. 2018, Adaptive methods for nonconvex optimization",
    .formula = "g <- g + weight_decay x\n"
               "m <- beta1 m + (1 - beta1) g                  c1 = 1 - beta1^t\n"
               "v <- v - (1 - beta2) sign(v - g^2) g^2        c2 = 1 - beta2^t\n"
               "x <- x - lr/c1 m / (sqrt(v/c2) + eps)\n"
               "optax's form: m and v begin at initial; others begin m at 0. The decay is added here.\n",
    .options = options,
    .option_count = HYPERPARAMETERS,
    .decay = OPTIM_COUPLED,
    .slots = {"m", "v"},
    .init = init,
    .step = step,
    .single_pass = true,
};
