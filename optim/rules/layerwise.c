/* Layer by layer: LARS and LAMB measure a layer's step in units of its weights' norm, NovoGrad divides a
 * layer's gradient by its own norm. With large batches, layers want learning rates far apart. You et al.
 * 2017, arXiv:1708.03888; You et al. 2019, arXiv:1904.00962; Ginsburg et al. 2019, arXiv:1905.11286. */
#include "optim/rules/moments.h"

#define ALWAYS_ADAPT_OPTION                                                                                \
    OPTIM_FLAG("always_adapt", "no", "scale layers that are not decayed too: biases, norm parameters")

/* --- LARS --- */

enum { LR };
enum {
    LARS_MOMENTUM = 1,
    LARS_COEFFICIENT,
    LARS_EPS,
    LARS_ALWAYS,
    LARS_OPTAX,
    LARS_DECAY,
    LARS_DECAY_ALL,
    LARS_COUNT
};

static const struct descent_option lars_options[] = {
    [LR] = OPTIM_LR("1", 3e-2, 30),
    [LARS_MOMENTUM] = OPTIM_RATE("momentum", "0.9", 0.7, 0.99, "share of the last step that goes on"),
    [LARS_COEFFICIENT] =
        OPTIM_POSITIVE("coefficient", "1e-3", true, 0, 0, "a step's length, in norms of the layer"),
    [LARS_EPS] = OPTIM_POSITIVE("eps", "1e-8", true, 0, 0, "added to the denominator of the ratio"),
    [LARS_ALWAYS] = ALWAYS_ADAPT_OPTION,
    [LARS_OPTAX] =
        OPTIM_FLAG("optax", "no", "the norm of the sum, and lr inside the momentum, as in optax"),
    [LARS_DECAY] = OPTIM_WEIGHT_DECAY("1e-4", 1e-6, 1e-3),
    [LARS_DECAY_ALL] = OPTIM_DECAY_ALL,
};

/* g is g + l2 x. */
OPTIM_INLINE void norm_terms(const descent_real *k, struct optim_element *e, double *term)
{
    (void)k;
    term[0] = (double)e->x * (double)e->x;
    term[1] = (double)e->g * (double)e->g;
}

static void norm_loop(struct optim_part *part)
{
    optim_sum_elements(part, 0, 2, norm_terms);
}

/* b <- momentum b + r (g + weight_decay x), r being in the gradient's scale;  d = b */
OPTIM_INLINE descent_real lars_rule(const descent_real *k, struct optim_element *e)
{
    e->s[0] = k[B1] * e->s[0] + e->g;
    return e->s[0];
}

static void lars_loop(struct optim_part *part)
{
    optim_elementwise(part, 1, lars_rule);
}

static enum descent_status lars_step(struct optim_run *run)
{
    for (int i = 0; i < run->count; i++) {
        struct optim_tensor *t = run->tensor[i];
        t->l2 = t->hyper[LARS_OPTAX].number != 0 ? t->decay : 0;
    }
    optim_add_up(run, norm_loop);
    for (int i = 0; i < run->count; i++) {
        struct optim_tensor *t = run->tensor[i];
        double size = sqrt(t->sums[0]), gradient = sqrt(t->sums[1]), ratio = 1;
        bool optax = t->hyper[LARS_OPTAX].number != 0;
        if ((t->decay > 0 || optax || t->hyper[LARS_ALWAYS].number != 0) && size > 0 && gradient > 0)
            ratio = t->hyper[LARS_COEFFICIENT].number * size /
                    (gradient + (t->decay - t->l2) * size + t->hyper[LARS_EPS].number);
        double inside = optax ? ratio * t->lr : ratio;
        t->k[B1] = (descent_real)t->hyper[LARS_MOMENTUM].number;
        t->grad_scale *= inside;
        t->l2 = inside * t->decay;
        t->lr = optax ? 1 : t->lr;
    }
    optim_for_parts(run, lars_loop);
    return DESCENT_OK;
}

const struct optim_algorithm OPTIM_ALGORITHM(lars) = {
    .name = "lars",
    .summary = "momentum with each layer's step in proportion to its weights",
    .answers = OPTIM_LAYERS,
    .paper = "You et al. 2017, arXiv:1708.03888",
    .formula =
        "r = coefficient |x| / (|g| + weight_decay |x| + eps), norms of the layer; 1 if one is 0\n"
        "b <- momentum b + r (g + weight_decay x)\n"
        "x <- x - lr b\n"
        "r = 1 where weight decay is 0, unless always_adapt. timm's form; with optax r is always\n"
        "coefficient |x| / (|g + weight_decay x| + eps), b <- momentum b + lr r (...), x <- x - b.\n",
    .options = lars_options,
    .option_count = LARS_COUNT,
    .decay = OPTIM_OWN_DECAY,
    .slots = {"b"},
    .step = lars_step,
};

/* --- LAMB --- */

enum {
    LAMB_BETA1 = 1,
    LAMB_BETA2,
    LAMB_EPS,
    LAMB_MAX_NORM,
    LAMB_CLIP_RATIO,
    LAMB_ALWAYS,
    LAMB_DECAY,
    LAMB_DECAY_ALL,
    LAMB_COUNT
};

static const struct descent_option lamb_options[] = {
    [LR] = OPTIM_LR("1e-3", 1e-4, 1e-2),
    [LAMB_BETA1] = MOMENT_BETA1("0.9", 0.7, 0.95),
    [LAMB_BETA2] = MOMENT_BETA2("0.999", 0, 0),
    [LAMB_EPS] = OPTIM_EPS("1e-6"),
    [LAMB_MAX_NORM] =
        OPTIM_POSITIVE("max_grad_norm", "1", false, 0, 0, "clip all gradients together here; 0: do not"),
    [LAMB_CLIP_RATIO] = OPTIM_FLAG("clip_ratio", "no", "LAMBC: let no layer's ratio exceed 1"),
    [LAMB_ALWAYS] = ALWAYS_ADAPT_OPTION,
    [LAMB_DECAY] = OPTIM_WEIGHT_DECAY("1e-2", 1e-3, 1),
    [LAMB_DECAY_ALL] = OPTIM_DECAY_ALL,
};

enum { INVERSE_C1 = MORE, DECAY };

/* u = (m / c1) / (sqrt(v) / sqrt(c2) + eps) + weight_decay x */
OPTIM_INLINE descent_real lamb_rule(const descent_real *k, struct optim_element *e)
{
    return e->s[0] * k[INVERSE_C1] / corrected_root(k, e->s[1]) + k[DECAY] * e->x;
}

OPTIM_INLINE void lamb_terms(const descent_real *k, struct optim_element *e, double *term)
{
    first_moment(k, &e->s[0], e->g);
    second_moment(k, &e->s[1], e->g);
    double u = (double)lamb_rule(k, e);
    term[0] = (double)e->x * (double)e->x;
    term[1] = u * u;
}

static void lamb_sums(struct optim_part *part)
{
    optim_sum_elements(part, 2, 2, lamb_terms);
}

static void lamb_loop(struct optim_part *part)
{
    optim_elementwise(part, 2, lamb_rule);
}

static enum descent_status lamb_step(struct optim_run *run)
{
    for (int i = 0; i < run->count; i++) {
        struct optim_tensor *t = run->tensor[i];
        double beta1 = t->hyper[LAMB_BETA1].number, limit = t->hyper[LAMB_MAX_NORM].number;
        set_moments(t, beta1, t->hyper[LAMB_BETA2].number, t->hyper[LAMB_EPS].number);
        t->k[INVERSE_C1] = (descent_real)(1 / bias_correction(beta1, t));
        t->k[DECAY] = (descent_real)t->decay;
        if (limit > 0)
            t->grad_scale /= fmax(1, t->grad_scale * run->gradient_norm / limit);
    }
    optim_add_up(run, lamb_sums);
    for (int i = 0; i < run->count; i++) {
        struct optim_tensor *t = run->tensor[i];
        double ratio = 1;
        if ((t->decay > 0 || t->hyper[LAMB_ALWAYS].number != 0) && t->sums[0] > 0 && t->sums[1] > 0)
            ratio = sqrt(t->sums[0] / t->sums[1]);
        if (t->hyper[LAMB_CLIP_RATIO].number != 0)
            ratio = fmin(ratio, 1);
        t->lr *= ratio;
    }
    optim_for_parts(run, lamb_loop);
    return DESCENT_OK;
}

const struct optim_algorithm OPTIM_ALGORITHM(lamb) = {
    .name = "lamb",
    .summary = "Adam with each layer's step in proportion to its weights",
    .answers = OPTIM_LAYERS,
    .paper = "You et al. 2019, arXiv:1904.00962",
    .formula = "g <- g / max(1, |all g| / max_grad_norm)\n"
               "m <- beta1 m + (1 - beta1) g          c1 = 1 - beta1^t\n"
               "v <- beta2 v + (1 - beta2) g^2        c2 = 1 - beta2^t\n"
               "u = m/c1 / (sqrt(v)/sqrt(c2) + eps) + weight_decay x\n"
               "x <- x - lr |x|/|u| u, norms of the layer; the ratio is 1 if one is 0\n"
               "and where weight decay is 0, unless always_adapt; at most 1 with clip_ratio (LAMBC).\n"
               "timm's form; optax does not clip and decays by 0 unless told otherwise.\n",
    .options = lamb_options,
    .option_count = LAMB_COUNT,
    .decay = OPTIM_OWN_DECAY,
    .slots = {"m", "v"},
    .step = lamb_step,
};

/* --- NovoGrad --- */

enum { NOVO_BETA1 = 1, NOVO_BETA2, NOVO_EPS, NOVO_AVERAGE, NOVO_DECAY, NOVO_DECAY_ALL, NOVO_COUNT };

static const struct descent_option novograd_options[] = {
    [LR] = OPTIM_LR("1e-3", 3e-5, 3e-2),
    [NOVO_BETA1] = OPTIM_RATE("beta1", "0.95", 0.5, 0.98, "decay rate of the sum of scaled gradients"),
    [NOVO_BETA2] = OPTIM_RATE("beta2", "0.98", 0, 0, "decay rate of the layer's mean squared norm"),
    [NOVO_EPS] = OPTIM_EPS("1e-8"),
    [NOVO_AVERAGE] = OPTIM_FLAG("average", "no", "gradients enter m by 1 - beta1 instead of whole"),
    [NOVO_DECAY] = OPTIM_WEIGHT_DECAY("0", 1e-4, 1e-2),
    [NOVO_DECAY_ALL] = OPTIM_DECAY_ALL,
};

static enum descent_status novograd_init(struct optim_run *run)
{
    for (int i = 0; i < run->count; i++) {
        run->tensor[i]->own = optim_state(run, run->tensor[i], "norm2", DESCENT_F64, 0, NULL);
        if (!run->tensor[i]->own)
            return DESCENT_OUT_OF_MEMORY;
    }
    return DESCENT_OK;
}

/* m <- beta1 m + g / (sqrt(V) + eps) + weight_decay x, the divisor being in the gradient's scale;  d = m */
OPTIM_INLINE descent_real novograd_rule(const descent_real *k, struct optim_element *e)
{
    first_moment(k, &e->s[0], e->g);
    return e->s[0];
}

static void novograd_loop(struct optim_part *part)
{
    optim_elementwise(part, 1, novograd_rule);
}

static enum descent_status novograd_step(struct optim_run *run)
{
    optim_add_up(run, norm_loop);
    for (int i = 0; i < run->count; i++) {
        struct optim_tensor *t = run->tensor[i];
        double *mean = t->own, norm2 = t->sums[1], beta2 = t->hyper[NOVO_BETA2].number;
        *mean = t->step == 1 ? norm2 : beta2 * *mean + (1 - beta2) * norm2;
        set_moments(t, t->hyper[NOVO_BETA1].number, 0, 0);
        if (t->hyper[NOVO_AVERAGE].number == 0)
            t->k[NEW1] = 1;
        t->grad_scale /= sqrt(*mean) + t->hyper[NOVO_EPS].number;
        t->l2 = t->decay;
    }
    optim_for_parts(run, novograd_loop);
    return DESCENT_OK;
}

const struct optim_algorithm OPTIM_ALGORITHM(novograd) = {
    .name = "novograd",
    .summary = "momentum of gradients divided by their layer's usual norm",
    .answers = OPTIM_LAYERS,
    .paper = "Ginsburg et al. 2019, arXiv:1905.11286",
    .formula = "V <- beta2 V + (1 - beta2) |g|^2, one number a layer; |g|^2 at t = 1\n"
               "m <- beta1 m + g / (sqrt(V) + eps) + weight_decay x\n"
               "x <- x - lr m\n"
               "average: what is added to m is multiplied by 1 - beta1. timm's form and defaults;\n"
               "optax has beta1=0.9, beta2=0.25, eps=1e-6.\n",
    .options = novograd_options,
    .option_count = NOVO_COUNT,
    .decay = OPTIM_OWN_DECAY,
    .slots = {"m"},
    .init = novograd_init,
    .step = novograd_step,
};
