/* AdaBelief: Adam that divides by how far gradients stray from their mean instead of by their size: long
 * steps where the gradient is what was expected, short ones where it is not. Zhuang et al. 2020,
 * arXiv:2010.07468; the rectification is RAdam's, Liu et al. 2019, arXiv:1908.03265. */
#include "optim/rules/moments.h"

enum { LR, BETA1, BETA2, EPS, RECTIFY, WEIGHT_DECAY, DECAY_ALL, HYPERPARAMETERS };

static const struct descent_option options[] = {
    [LR] = OPTIM_LR("1e-3", 3e-5, 3e-2),
    [BETA1] = MOMENT_BETA1("0.9", 0, 0),
    [BETA2] = OPTIM_RATE("beta2", "0.999", 0, 0, "decay rate of the mean squared surprise, (g - m)^2"),
    [EPS] = OPTIM_POSITIVE("eps", "1e-16", true, 0, 0, "added to the mean square and to its root"),
    [RECTIFY] = OPTIM_FLAG("rectify", "yes", "plain momentum until the mean square is known, as in RAdam"),
    [WEIGHT_DECAY] = OPTIM_WEIGHT_DECAY("0", 1e-3, 1),
    [DECAY_ALL] = OPTIM_DECAY_ALL,
};

enum { EPSILON_INSIDE = MORE };

/* s <- b2 s + (1 - b2) (g - m)^2 + eps;  d = m / (sqrt(s) / sqrt(c2) + eps), 1 / c1 being in lr */
OPTIM_INLINE descent_real rule(const descent_real *k, struct optim_element *e)
{
    descent_real *m = &e->s[0], *s = &e->s[1];
    first_moment(k, m, e->g);
    second_moment(k, s, e->g - *m);
    *s += k[EPSILON_INSIDE];
    return *m / corrected_root(k, *s);
}

static void loop(struct optim_part *part)
{
    optim_elementwise(part, 2, rule);
}

/* The rule's denominator becomes sqrt(s) + eps, its numerator's factor r sqrt(c2); while the variance of s
 * is not even finite, d is m. */
static void rectify(struct optim_tensor *t)
{
    double beta2 = t->hyper[BETA2].number, c2 = bias_correction(beta2, t);
    double longest = 2 / (1 - beta2) - 1;
    double length = longest - 2 * (double)t->step * (1 - c2) / c2;
    bool known = length >= 5;
    t->k[ROOT_C2] = known ? 1 : 0;
    t->k[EPSILON] = known ? (descent_real)t->hyper[EPS].number : 1;
    if (known)
        t->lr *=
            sqrt(c2 * (length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length));
}

static enum descent_status step(struct optim_run *run)
{
    for (int i = 0; i < run->count; i++) {
        struct optim_tensor *t = run->tensor[i];
        double beta1 = t->hyper[BETA1].number, eps = t->hyper[EPS].number;
        set_moments(t, beta1, t->hyper[BETA2].number, eps);
        t->lr /= bias_correction(beta1, t);
        t->k[EPSILON_INSIDE] = (descent_real)eps;
        if (t->hyper[RECTIFY].number != 0)
            rectify(t);
    }
    optim_for_parts(run, loop);
    return DESCENT_OK;
}

const struct optim_algorithm OPTIM_ALGORITHM(adabelief) = {
    .name = "adabelief",
    .summary = "Adam scaled by how far the gradient strays from what was expected",
    .answers = OPTIM_NOISE,
    .paper = "Zhuang et al. 2020, arXiv:2010.07468",
    .formula = "x <- x (1 - lr weight_decay), lr as scheduled\n"
               "m <- beta1 m + (1 - beta1) g                     c1 = 1 - beta1^t\n"
               "s <- beta2 s + (1 - beta2) (g - m)^2 + eps       c2 = 1 - beta2^t\n"
               "x <- x - lr/c1 r m / (sqrt(s)/sqrt(c2) + eps/sqrt(c2))\n"
               "with r of RAdam from rho >= 5; until then x <- x - lr/c1 m.\n"
               "rectify=no: x <- x - lr/c1 m / (sqrt(s)/sqrt(c2) + eps).\n"
               "The authors' and timm's form: eps enters s in every step, decay is decoupled.\n",
    .options = options,
    .option_count = HYPERPARAMETERS,
    .decay = OPTIM_DECOUPLED,
    .slots = {"m", "s"},
    .step = step,
    .single_pass = true,
};
