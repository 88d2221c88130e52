/* ADOPT: Adam that divides a gradient by the second moment of those before it and averages afterwards.
 * Divisor and dividend are independent then, and it converges for any beta2. Taniguchi et al. 2024,
 * arXiv:2411.02853. */
#include "optim/rules/moments.h"

enum { LR, BETA1, BETA2, EPS, CLIP_POWER, DECOUPLED, WEIGHT_DECAY, DECAY_ALL, HYPERPARAMETERS };

static const struct descent_option options[] = {
    [LR] = OPTIM_LR("1e-3", 3e-5, 3e-2),
    [BETA1] = OPTIM_RATE("beta1", "0.9", 0.5, 0.98, "decay rate of the mean of the scaled gradient"),
    [BETA2] = MOMENT_BETA2("0.9999", 0, 0),
    [EPS] = OPTIM_POSITIVE("eps", "1e-6", true, 0, 0, "the denominator is at least this"),
    [CLIP_POWER] = OPTIM_POSITIVE("clip_power", "0.25", false, 0, 0,
                                  "the scaled gradient is clipped at (t - 1)^clip_power"),
    [DECOUPLED] = OPTIM_FLAG("decoupled", "no", "weight decay beside the step, not in the gradient"),
    [WEIGHT_DECAY] = OPTIM_WEIGHT_DECAY("0", 1e-7, 1e-3),
    [DECAY_ALL] = OPTIM_DECAY_ALL,
};

enum { LIMIT = MORE };

/* m <- b1 m + (1 - b1) clip(g / max(sqrt(v), eps));  v <- b2 v + (1 - b2) g^2;  d = m */
OPTIM_INLINE descent_real rule(const descent_real *k, struct optim_element *e)
{
    descent_real *m = &e->s[0], *v = &e->s[1];
    descent_real root = sqrt(*v);
    descent_real n = e->g / (root > k[EPSILON] ? root : k[EPSILON]);
    n = n < -k[LIMIT] ? -k[LIMIT] : n > k[LIMIT] ? k[LIMIT] : n;
    first_moment(k, m, n);
    second_moment(k, v, e->g);
    return *m;
}

static void loop(struct optim_part *part)
{
    optim_elementwise(part, 2, rule);
}

/* The first step only makes v = g^2: what is clipped at 0 leaves m and x where they are. */
static enum descent_status step(struct optim_run *run)
{
    for (int i = 0; i < run->count; i++) {
        struct optim_tensor *t = run->tensor[i];
        bool first = t->step == 1, decoupled = t->hyper[DECOUPLED].number != 0;
        set_moments(t, t->hyper[BETA1].number, first ? 0 : t->hyper[BETA2].number, t->hyper[EPS].number);
        t->k[LIMIT] = first ? 0 : (descent_real)pow((double)(t->step - 1), t->hyper[CLIP_POWER].number);
        t->l2 = decoupled ? 0 : t->decay;
        t->shrink = decoupled && !first ? t->lr * t->decay : 0;
    }
    optim_for_parts(run, loop);
    return DESCENT_OK;
}

const struct optim_algorithm OPTIM_ALGORITHM(adopt) = {
    .name = "adopt",
    .summary = "Adam in another order: scale by the past's second moment, then average",
    .answers = OPTIM_NOISE,
    .paper = "Taniguchi et al. 2024, arXiv:2411.02853",
    .formula = "g <- g + weight_decay x, or x <- x (1 - lr weight_decay) with decoupled\n"
               "t = 1: v <- g^2, and no step\n"
               "n = clip(g / max(sqrt(v), eps), +- (t - 1)^clip_power)\n"
               "m <- beta1 m + (1 - beta1) n\n"
               "x <- x - lr m\n"
               "v <- beta2 v + (1 - beta2) g^2\n"
               "The authors' form; timm clips with clip_power=0.333.\n",
    .options = options,
    .option_count = HYPERPARAMETERS,
    .decay = OPTIM_OWN_DECAY,
    .slots = {"m", "v"},
    .step = step,
    .single_pass = true,
};
