/* Schedule-Free: instead of a schedule that lowers lr, an average of the iterates that is never behind.
 * Gradients are taken at y, between the average x, which is to be evaluated, and z, which steps; x itself
 * is not stored. Defazio et al. 2024, arXiv:2405.15682. */
#include "optim/rules/moments.h"

#define BETA_OPTION                                                                                        \
    {                                                                                                      \
        .name = "beta", .type = DESCENT_OPTION_REAL, .initial = "0.9", .max = 1, .open_min = true,         \
        .open_max = true, .help = "how far y is from z towards the average x", .search_min = 0.5,          \
        .search_max = 0.98, .search_log = true                                                             \
    }
#define POWER_OPTION                                                                                       \
    OPTIM_POSITIVE("r", "0", false, 0, 0,                                                                  \
                   "a step's weight in the average goes with t^r: the later the more")

enum { LR, BETA, OWN };
enum { SGD_POWER = OWN, SGD_DECAY, SGD_DECAY_ALL, SGD_COUNT };
enum { BETA2 = OWN, EPS, ADAMW_POWER, ADAMW_DECAY, ADAMW_DECAY_ALL, ADAMW_COUNT };

static const struct descent_option sgd_options[] = {
    [LR] = OPTIM_LR("1", 3e-2, 30),    [BETA] = BETA_OPTION,
    [SGD_POWER] = POWER_OPTION,        [SGD_DECAY] = OPTIM_WEIGHT_DECAY("0", 1e-7, 5e-5),
    [SGD_DECAY_ALL] = OPTIM_DECAY_ALL,
};

static const struct descent_option adamw_options[] = {
    [LR] = OPTIM_LR("2.5e-3", 8e-5, 8e-2), [BETA] = BETA_OPTION,
    [BETA2] = MOMENT_BETA2("0.999", 0, 0), [EPS] = OPTIM_EPS("1e-8"),
    [ADAMW_POWER] = POWER_OPTION,          [ADAMW_DECAY] = OPTIM_WEIGHT_DECAY("0", 5e-3, 1),
    [ADAMW_DECAY_ALL] = OPTIM_DECAY_ALL,
};

/* Of each tensor: the largest lr so far, and the sum of the weights in its average. */
struct average {
    double largest, weights;
};

static enum descent_status init(struct optim_run *run)
{
    for (int i = 0; i < run->count; i++) {
        struct optim_tensor *t = run->tensor[i];
        t->own = optim_state(run, t, "average", DESCENT_F64, 1, (const int64_t[]){2});
        if (!t->own)
            return DESCENT_OUT_OF_MEMORY;
    }
    return DESCENT_OK;
}

enum { AT_FIRST = MORE, SHARE, ALONG_G, RATE, DECAY };

/* The constants of y and z; the driver's lr is in them. */
static void set_average(struct optim_tensor *t, double power)
{
    struct average *average = t->own;
    t->k[AT_FIRST] = average->weights > 0 ? 0 : 1;
    average->largest = fmax(average->largest, t->lr);
    double weight = pow((double)t->step, power) * average->largest * average->largest;
    average->weights += weight;
    double share = average->weights > 0 ? weight / average->weights : 0;
    t->k[SHARE] = (descent_real)share;
    t->k[ALONG_G] = (descent_real)(t->lr * (1 - t->hyper[BETA].number * (1 - share)));
    t->k[RATE] = (descent_real)t->lr;
    t->lr = 1;
}

/* y <- y + c (z - y) - lr (1 - beta (1 - c)) d;  z <- z - lr d */
OPTIM_INLINE descent_real step_of_y(const descent_real *k, struct optim_element *e, descent_real d)
{
    descent_real *z = &e->s[0];
    *z = k[AT_FIRST] != 0 ? e->x : *z;
    descent_real step = k[ALONG_G] * d - k[SHARE] * (*z - e->x);
    *z -= k[RATE] * d;
    return step;
}

OPTIM_INLINE descent_real sgd_rule(const descent_real *k, struct optim_element *e)
{
    return step_of_y(k, e, e->g);
}

static void sgd_loop(struct optim_part *part)
{
    optim_elementwise(part, 1, sgd_rule);
}

static enum descent_status sgd_step(struct optim_run *run)
{
    for (int i = 0; i < run->count; i++)
        set_average(run->tensor[i], run->tensor[i]->hyper[SGD_POWER].number);
    optim_for_parts(run, sgd_loop);
    return DESCENT_OK;
}

/* d = g / (sqrt(v) / sqrt(c2) + eps) + weight_decay y */
OPTIM_INLINE descent_real adamw_rule(const descent_real *k, struct optim_element *e)
{
    second_moment(k, &e->s[1], e->g);
    return step_of_y(k, e, e->g / corrected_root(k, e->s[1]) + k[DECAY] * e->x);
}

static void adamw_loop(struct optim_part *part)
{
    optim_elementwise(part, 2, adamw_rule);
}

static enum descent_status adamw_step(struct optim_run *run)
{
    for (int i = 0; i < run->count; i++) {
        struct optim_tensor *t = run->tensor[i];
        set_moments(t, 0, t->hyper[BETA2].number, t->hyper[EPS].number);
        set_average(t, t->hyper[ADAMW_POWER].number);
        t->k[DECAY] = (descent_real)t->decay;
    }
    optim_for_parts(run, adamw_loop);
    return DESCENT_OK;
}

/* x = y + (1 - 1/beta) (z - y). While lr has been 0, z is not there yet, and y remains. */
static void find_x(struct optim_part *part)
{
    const struct optim_tensor *t = part->tensor;
    const struct average *average = t->own;
    descent_real away = (descent_real)(1 - 1 / t->hyper[BETA].number);
    const descent_real *y = t->param->value, *z = t->slot[0];
    for (int64_t i = part->begin; i < part->end && average->weights > 0; i++)
        t->evaluation[i] = y[i] + away * (z[i] - y[i]);
}

static void evaluation(struct optim_run *run)
{
    optim_for_parts(run, find_x);
}

#define AVERAGE_FORMULA                                                                                    \
    "w = t^r (largest lr so far)^2;  W <- W + w;  c = w/W\n"                                               \
    "y <- y + c (z - y) - lr (1 - beta (1 - c)) d\n"                                                       \
    "z <- z - lr d\n"                                                                                      \
    "y is what is trained; evaluated and stored is x = y + (1 - 1/beta) (z - y). The authors' form. It\n"  \
    "needs no schedule but a warm-up: constant+warmup:5%.\n"

const struct optim_algorithm OPTIM_ALGORITHM(schedule_free_sgd) = {
    .name = "schedule_free_sgd",
    .summary = "gradient descent with an average in place of a schedule",
    .answers = OPTIM_TUNING,
    .paper = "Defazio et al. 2024, arXiv:2405.15682",
    .formula = "d = g + weight_decay y\n" AVERAGE_FORMULA,
    .options = sgd_options,
    .option_count = SGD_COUNT,
    .decay = OPTIM_COUPLED,
    .slots = {"z"},
    .init = init,
    .unscheduled = true,
    .step = sgd_step,
    .single_pass = true,
    .evaluation = evaluation,
};

const struct optim_algorithm OPTIM_ALGORITHM(schedule_free_adamw) = {
    .name = "schedule_free_adamw",
    .summary = "AdamW with an average in place of a schedule and of the first moment",
    .answers = OPTIM_TUNING,
    .paper = "Defazio et al. 2024, arXiv:2405.15682",
    .formula = "v <- beta2 v + (1 - beta2) g^2        c2 = 1 - beta2^t\n"
               "d = g / (sqrt(v)/sqrt(c2) + eps) + weight_decay y\n" AVERAGE_FORMULA,
    .options = adamw_options,
    .option_count = ADAMW_COUNT,
    .decay = OPTIM_OWN_DECAY,
    .slots = {"z", "v"},
    .init = init,
    .unscheduled = true,
    .step = adamw_step,
    .single_pass = true,
    .evaluation = evaluation,
};
