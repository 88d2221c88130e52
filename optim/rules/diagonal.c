/* Steps divided by an estimate of the Hessian's diagonal. AdaHessian and Sophia probe it with random signs,
 * z (H z), whose mean it is (Hutchinson 1989); Sophia-G takes the squared gradient on labels drawn from the
 * model. Yao et al. 2020, arXiv:2006.00719; Liu et al. 2023, arXiv:2305.14342. */
#include "base/random.h"
#include "optim/rules/moments.h"
#include "optim/rules/whole.h"

enum { LR, BETA1, BETA2 }; /* the first of each */
enum { FIRST, SECOND, PROBE };

/* A vector of signs and its product with the Hessian, which is every tensor's slot PROBE. */
struct probe {
    struct whole whole;
    whole_vector z, product;
};

static enum descent_status new_probe(struct optim_run *run)
{
    struct probe *own = whole_new(run, sizeof *own);
    if (!own)
        return DESCENT_OUT_OF_MEMORY;
    own->z = whole_new_vector(&own->whole, NULL);
    own->product = whole_new_vector(&own->whole, NULL);
    if (!own->z || !own->product)
        return DESCENT_OUT_OF_MEMORY;
    for (int i = 0; i < run->count; i++)
        run->tensor[i]->slot[PROBE] = own->product[run->tensor[i]->index];
    return DESCENT_OK;
}

/* +1 or -1, a function of the step, the parameter's name and the element: a bit each of 128 a block. */
static void draw_signs(struct optim_part *part)
{
    enum { BITS = 128 };
    const struct optim_tensor *t = part->tensor;
    const struct probe *own = t->own;
    descent_real *z = own->z[t->index];
    struct descent_random random = descent_random_new(descent_hash(t->param->name), DESCENT_RANDOM_PROBE,
                                                      (uint64_t)own->whole.run->step);
    uint32_t word[BITS / 32];
    for (int64_t i = part->begin; i < part->end; i++) {
        if (i == part->begin || i % BITS == 0)
            descent_random_block(&random, (uint64_t)(i / BITS), word);
        z[i] = word[i % BITS / 32] >> i % 32 & 1 ? 1 : -1;
    }
}

static void multiply(struct optim_part *part)
{
    const struct probe *own = part->tensor->own;
    int i = part->tensor->index;
    descent_real *restrict product = own->product[i];
    const descent_real *restrict z = own->z[i];
    for (int64_t k = part->begin; k < part->end; k++)
        product[k] *= z[k];
}

/* Fills the slots PROBE with z (H z). */
static enum descent_status probe(struct optim_run *run)
{
    struct probe *own = run->tensor[0]->own;
    const struct optim_objective *objective = run->objective;
    own->whole.run = run;
    optim_for_parts(run, draw_signs);
    enum descent_status status =
        objective->hessian_vector(objective->context, (const descent_real *const *)own->z, own->product);
    if (!status)
        optim_for_parts(run, multiply);
    return status;
}

/* --- AdaHessian --- */

enum { EPS = BETA2 + 1, POWER, AVERAGE, DECAY, DECAY_ALL, HYPERPARAMETERS };

static const struct descent_option options[] = {
    [LR] = OPTIM_LR("0.1", 3e-3, 3),
    [BETA1] = MOMENT_BETA1("0.9", 0, 0),
    [BETA2] = OPTIM_RATE("beta2", "0.999", 0, 0, "decay rate of the mean of the squared curvature"),
    [EPS] = OPTIM_EPS("1e-8"),
    [POWER] = OPTIM_BETWEEN("power", "1", 0, 1, "of the curvature in the denominator: 0 gives momentum"),
    [AVERAGE] = OPTIM_FLAG("average", "yes", "average the curvature over each convolution kernel"),
    [DECAY] = OPTIM_WEIGHT_DECAY("0", 1e-4, 0.1),
    [DECAY_ALL] = OPTIM_DECAY_ALL,
};

enum { C1 = MORE, HALF_POWER };

/* m <- b1 m + (1 - b1) g;  v <- b2 v + (1 - b2) h^2;  d = (m / c1) / ((v / c2)^(power/2) + eps) */
OPTIM_INLINE descent_real adahessian_rule(const descent_real *k, struct optim_element *e)
{
    first_moment(k, &e->s[FIRST], e->g);
    second_moment(k, &e->s[SECOND], e->s[PROBE]);
    return e->s[FIRST] * k[C1] / corrected_root(k, e->s[SECOND]);
}

OPTIM_INLINE descent_real power_rule(const descent_real *k, struct optim_element *e)
{
    first_moment(k, &e->s[FIRST], e->g);
    second_moment(k, &e->s[SECOND], e->s[PROBE]);
    descent_real corrected = e->s[SECOND] * k[ROOT_C2] * k[ROOT_C2];
    return e->s[FIRST] * k[C1] / (pow(corrected, k[HALF_POWER]) + k[EPSILON]);
}

static void adahessian_loop(struct optim_part *part)
{
    if (part->tensor->k[HALF_POWER] == (descent_real)0.5)
        optim_elementwise(part, 3, adahessian_rule);
    else
        optim_elementwise(part, 3, power_rule);
}

/* Each kernel's elements become the mean of their absolute values. */
static void average_kernels(struct optim_tensor *t)
{
    const struct descent_param *param = t->param;
    int64_t area = param->rank == 4 ? param->shape[2] * param->shape[3] : 1;
    if (t->hyper[AVERAGE].number == 0 || area == 1)
        return;
    for (int64_t at = 0; at < param->size; at += area) {
        double sum = 0;
        for (int64_t i = 0; i < area; i++)
            sum += fabs((double)t->slot[PROBE][at + i]);
        for (int64_t i = 0; i < area; i++)
            t->slot[PROBE][at + i] = (descent_real)(sum / (double)area);
    }
}

static enum descent_status adahessian_step(struct optim_run *run)
{
    enum descent_status status = probe(run);
    if (status)
        return status;
    optim_for_tensors(run, average_kernels);
    for (int i = 0; i < run->count; i++) {
        struct optim_tensor *t = run->tensor[i];
        double beta1 = t->hyper[BETA1].number;
        set_moments(t, beta1, t->hyper[BETA2].number, t->hyper[EPS].number);
        t->k[C1] = (descent_real)(1 / bias_correction(beta1, t));
        t->k[HALF_POWER] = (descent_real)(t->hyper[POWER].number / 2);
    }
    optim_for_parts(run, adahessian_loop);
    return DESCENT_OK;
}

const struct optim_algorithm OPTIM_ALGORITHM(adahessian) = {
    .name = "adahessian",
    .summary = "Adam with the curvature in place of the gradient's square",
    .answers = OPTIM_CURVATURE,
    .paper = "Yao et al. 2020, arXiv:2006.00719",
    .formula =
        "h = z (H z), z random signs; average: the mean of |h| over each convolution kernel\n"
        "m <- beta1 m + (1 - beta1) g\n"
        "v <- beta2 v + (1 - beta2) h^2\n"
        "x <- x (1 - lr weight_decay) - lr (m / c1) / ((v / c2)^(power/2) + eps)\n"
        "c1 = 1 - beta1^t, c2 = 1 - beta2^t. A new z each step: two gradients more. The authors average;\n"
        "timm's form has average=no.\n",
    .options = options,
    .option_count = HYPERPARAMETERS,
    .decay = OPTIM_DECOUPLED,
    .needs = OPTIM_NEEDS_HESSIAN_VECTOR,
    .slots = {"m", "v"},
    .init = new_probe,
    .step = adahessian_step,
};

/* --- Sophia: every so many steps a look at the diagonal; no element moves farther than lr. --- */

enum { EVERY = BETA2 + 1, RHO, G_DECAY, G_DECAY_ALL, G_COUNT };
enum { GAMMA = RHO, H_EPS, H_DECAY, H_DECAY_ALL, H_COUNT };

#define SOPHIA_ROWS(beta2_help)                                                                            \
    [BETA1] = MOMENT_BETA1("0.965", 0.9, 0.99),                                                            \
    [BETA2] = OPTIM_RATE("beta2", "0.99", 0.9, 0.999, beta2_help),                                         \
    [EVERY] = {.name = "every",                                                                            \
               .type = DESCENT_OPTION_INTEGER,                                                             \
               .initial = "10",                                                                            \
               .min = 1,                                                                                   \
               .max = 1e6,                                                                                 \
               .help = "steps between two estimates of the curvature"}

static const struct descent_option g_options[] = {
    [LR] = OPTIM_LR("1e-4", 3e-6, 3e-3),
    SOPHIA_ROWS("decay rate of the mean of the squared sampled gradient"),
    [RHO] = OPTIM_POSITIVE("rho", "0.04", true, 0.01, 0.1, "factor of the curvature"),
    [G_DECAY] = OPTIM_WEIGHT_DECAY("0.1", 1e-2, 1),
    [G_DECAY_ALL] = OPTIM_DECAY_ALL,
};

enum { SCALE = MORE, SMALLEST };

OPTIM_INLINE descent_real within_1(descent_real x)
{
    return x > 1 ? 1 : x < -1 ? -1 : x;
}

/* m <- b1 m + (1 - b1) g;  d = clip(m / (rho B h + 1e-15), 1) */
OPTIM_INLINE descent_real g_rule(const descent_real *k, struct optim_element *e)
{
    first_moment(k, &e->s[FIRST], e->g);
    return within_1(e->s[FIRST] / (k[SCALE] * e->s[SECOND] + k[SMALLEST]));
}

static void g_loop(struct optim_part *part)
{
    optim_elementwise(part, 2, g_rule);
}

/* h <- b2 h + (1 - b2) g^2 of the gradient that was sampled. */
static void g_refresh(struct optim_part *part)
{
    const struct optim_tensor *t = part->tensor;
    for (int64_t i = part->begin; i < part->end; i++)
        second_moment(t->k, &t->slot[SECOND][i], t->param->grad[i]);
}

/* The step's own gradient, for whoever looks at it afterwards. */
static void g_keep(struct optim_part *part)
{
    const struct optim_tensor *t = part->tensor;
    for (int64_t i = part->begin; i < part->end; i++)
        t->slot[PROBE][i] = t->param->grad[i];
}

static void g_put_back(struct optim_part *part)
{
    const struct optim_tensor *t = part->tensor;
    for (int64_t i = part->begin; i < part->end; i++)
        t->param->grad[i] = t->slot[PROBE][i];
}

static enum descent_status g_init(struct optim_run *run)
{
    double *batch = optim_state(run, NULL, "batch", DESCENT_F64, 0, NULL);
    for (int i = 0; i < run->count; i++) {
        struct optim_tensor *t = run->tensor[i];
        t->own = batch;
        t->slot[PROBE] = optim_scratch(run, (size_t)t->param->size * sizeof(descent_real));
        if (!t->own || !t->slot[PROBE])
            return DESCENT_OUT_OF_MEMORY;
    }
    return DESCENT_OK;
}

/* The sampled gradient is taken after the step, as the authors do. */
static enum descent_status g_step(struct optim_run *run)
{
    double *batch = run->tensor[0]->own;
    for (int i = 0; i < run->count; i++) {
        struct optim_tensor *t = run->tensor[i];
        set_moments(t, t->hyper[BETA1].number, t->hyper[BETA2].number, 0);
        t->k[SCALE] = (descent_real)(t->hyper[RHO].number * *batch);
        t->k[SMALLEST] = (descent_real)1e-15;
    }
    optim_for_parts(run, g_loop);
    if (run->step % (int64_t)run->tensor[0]->hyper[EVERY].number != 0)
        return DESCENT_OK;
    for (int i = 0; i < run->count; i++)
        run->tensor[i]->param->version++;
    optim_for_parts(run, g_keep);
    enum descent_status status = run->objective->sampled_gradient(run->objective->context, batch);
    if (!status)
        optim_for_parts(run, g_refresh);
    optim_for_parts(run, g_put_back);
    return status;
}

const struct optim_algorithm OPTIM_ALGORITHM(sophia_g) = {
    .name = "sophia_g",
    .summary = "momentum over a diagonal Gauss-Newton estimate, no element farther than lr",
    .answers = OPTIM_CURVATURE,
    .paper = "Liu et al. 2023, arXiv:2305.14342",
    .formula = "m <- beta1 m + (1 - beta1) g\n"
               "x <- x (1 - lr weight_decay) - lr sign(m) min(|m| / (rho B h + 1e-15), 1)\n"
               "after it, where `every` divides t: h <- beta2 h + (1 - beta2) s^2\n"
               "s: the gradient on labels drawn from the model's predictions; B: samples of the batch.\n"
               "The authors' form: h is 0 for the first steps, which are those of the sign.\n",
    .options = g_options,
    .option_count = G_COUNT,
    .decay = OPTIM_DECOUPLED,
    .needs = OPTIM_NEEDS_SAMPLED_GRADIENT,
    .slots = {"m", "h"},
    .init = g_init,
    .step = g_step,
};

static const struct descent_option h_options[] = {
    [LR] = OPTIM_LR("1e-3", 3e-5, 3e-2),
    SOPHIA_ROWS("decay rate of the mean curvature"),
    [GAMMA] = OPTIM_POSITIVE("gamma", "0.01", true, 1e-3, 0.1, "factor of the curvature"),
    [H_EPS] = OPTIM_POSITIVE("eps", "1e-8", true, 0, 0, "least denominator"),
    [H_DECAY] = OPTIM_WEIGHT_DECAY("1e-4", 1e-5, 0.1),
    [H_DECAY_ALL] = OPTIM_DECAY_ALL,
};

/* m <- b1 m + (1 - b1) g;  d = clip((m / c1) / max(gamma h, eps), 1);  h <- b2 h + (1 - b2) z (H z) */
OPTIM_INLINE descent_real h_rule(const descent_real *k, struct optim_element *e)
{
    first_moment(k, &e->s[FIRST], e->g);
    descent_real least = k[SCALE] * e->s[SECOND];
    least = least > k[EPSILON] ? least : k[EPSILON];
    first_moment(k + B2, &e->s[SECOND], e->s[PROBE]);
    return within_1(e->s[FIRST] * k[SMALLEST] / least);
}

static void h_loop(struct optim_part *part)
{
    optim_elementwise(part, 3, h_rule);
}

static enum descent_status h_step(struct optim_run *run)
{
    bool refresh = (run->step - 1) % (int64_t)run->tensor[0]->hyper[EVERY].number == 0;
    enum descent_status status = refresh ? probe(run) : DESCENT_OK;
    if (status)
        return status;
    for (int i = 0; i < run->count; i++) {
        struct optim_tensor *t = run->tensor[i];
        double beta1 = t->hyper[BETA1].number;
        set_moments(t, beta1, refresh ? t->hyper[BETA2].number : 1, t->hyper[H_EPS].number);
        t->k[SCALE] = (descent_real)t->hyper[GAMMA].number;
        t->k[SMALLEST] = (descent_real)(1 / bias_correction(beta1, t));
    }
    optim_for_parts(run, h_loop);
    return DESCENT_OK;
}

const struct optim_algorithm OPTIM_ALGORITHM(sophia_h) = {
    .name = "sophia_h",
    .summary = "momentum over the Hessian's diagonal, no element farther than lr",
    .answers = OPTIM_CURVATURE,
    .paper = "Liu et al. 2023, arXiv:2305.14342",
    .formula = "m <- beta1 m + (1 - beta1) g\n"
               "u = min(max((m / c1) / max(gamma h, eps), -1), 1),  c1 = 1 - beta1^t\n"
               "in steps 1, 1 + every, ...: h <- beta2 h + (1 - beta2) z (H z), z random signs\n"
               "x <- x (1 - lr weight_decay) - lr u\n"
               "optax's form: u is of the h before; the paper refreshes it first and takes m as it is.\n",
    .options = h_options,
    .option_count = H_COUNT,
    .decay = OPTIM_DECOUPLED,
    .needs = OPTIM_NEEDS_HESSIAN_VECTOR,
    .slots = {"m", "h"},
    .init = new_probe,
    .step = h_step,
};
