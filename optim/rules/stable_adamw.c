/* StableAdamW: AdamW that takes a shorter step where a tensor's gradients have outgrown their second
 * moment, so that a burst does not make the loss jump; its averages are mean values from the first step on.
 * Wortsman et al. 2023, arXiv:2304.13013. */
#include "optim/rules/adam.h"

static const struct descent_option options[] = {
    OPTIM_LR("1e-3", 1e-4, 1e-2), MOMENT_BETA1("0.9", 0.5, 0.98),
    MOMENT_BETA2("0.99", 0, 0),   OPTIM_EPS("1e-8"),
    DECAY_ROWS("1e-2", 5e-3, 1),
};

/* m and v; adds up g^2 / max(v, eps^2) */
OPTIM_INLINE void terms(const descent_real *k, struct optim_element *e, double *term)
{
    advance_moments(k, e);
    descent_real root = sqrt(e->s[1]), u = e->g / (root > k[EPSILON] ? root : k[EPSILON]);
    term[0] = (double)u * (double)u;
}

static void sums(struct optim_part *part)
{
    optim_sum_elements(part, 2, 1, terms);
}

OPTIM_INLINE descent_real rule(const descent_real *k, struct optim_element *e)
{
    return e->s[0] / (sqrt(e->s[1]) + k[EPSILON]);
}

static void loop(struct optim_part *part)
{
    optim_elementwise(part, 2, rule);
}

/* beta (1 - beta^(t-1)) / (1 - beta^t), which makes the weights of an average add up to 1. */
static double debiased(double beta, const struct optim_tensor *t)
{
    return beta * (1 - pow(beta, (double)(t->step - 1))) / bias_correction(beta, t);
}

static enum descent_status step(struct optim_run *run)
{
    for (int i = 0; i < run->count; i++) {
        struct optim_tensor *t = run->tensor[i];
        set_moments(t, debiased(t->hyper[BETA1].number, t), debiased(t->hyper[BETA2].number, t),
                    t->hyper[EPS].number);
    }
    optim_add_up(run, sums);
    for (int i = 0; i < run->count; i++) {
        struct optim_tensor *t = run->tensor[i];
        double burst = fmax(1, sqrt(t->sums[0] / (double)t->param->size));
        t->lr /= burst;
        t->shrink /= burst;
    }
    optim_for_parts(run, loop);
    return DESCENT_OK;
}

const struct optim_algorithm OPTIM_ALGORITHM(stable_adamw) = {
    .name = "stable_adamw",
    .summary = "AdamW that shortens its step where gradients burst",
    .answers = OPTIM_NOISE,
    .paper = "Wortsman et al. 2023, arXiv:2304.13013",
    .formula = "b1 = beta1 (1 - beta1^(t-1)) / (1 - beta1^t), b2 likewise\n"
               "m <- b1 m + (1 - b1) g\n"
               "v <- b2 v + (1 - b2) g^2\n"
               "r = lr / max(1, RMS(g / max(sqrt(v), eps))), of each tensor\n"
               "x <- x (1 - r weight_decay) - r m / (sqrt(v) + eps)\n"
               "As in pytorch_optimizer.\n",
    TABLE(options),
    .decay = OPTIM_DECOUPLED,
    .slots = {"m", "v"},
    .step = step,
};
