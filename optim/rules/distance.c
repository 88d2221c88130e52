/* Without a learning rate to guess: D-Adaptation, Prodigy and DoG estimate how far the solution is from
 * where they began, and step accordingly; lr is a factor, 1 as a rule. Defazio & Mishchenko 2023,
 * arXiv:2301.07733; Mishchenko & Defazio 2023, arXiv:2306.06101; Ivgi et al. 2023, arXiv:2302.12022. */
#include "optim/rules/moments.h"

#define FACTOR_OPTION OPTIM_POSITIVE("lr", "1", false, 0, 0, "factor of the step, for schedules")
#define D0_OPTION     OPTIM_POSITIVE("d0", "1e-6", true, 0, 0, "first estimate of the distance")
#define GROWTH_OPTION                                                                                      \
    OPTIM_POSITIVE("growth", "0", false, 0, 0, "largest factor by which the estimate grows; 0: any")

enum { LR, BETA1, BETA2, D0, EPS, GROWTH, OWN };
#define DISTANCE_ROWS                                                                                      \
    FACTOR_OPTION, MOMENT_BETA1("0.9", 0, 0), MOMENT_BETA2("0.999", 0, 0), D0_OPTION, OPTIM_EPS("1e-8"),   \
        GROWTH_OPTION

/* Of the whole model, in its first tensor's terms where groups differ. */
struct distance {
    double d, largest, numerator;
};

static enum descent_status init(struct optim_run *run)
{
    struct distance *distance = optim_state(run, NULL, "distance", DESCENT_F64, 1, (const int64_t[]){3});
    if (!distance)
        return DESCENT_OUT_OF_MEMORY;
    for (int i = 0; i < run->count; i++)
        run->tensor[i]->own = distance;
    distance->d = distance->largest = run->tensor[0]->hyper[D0].number;
    return DESCENT_OK;
}

static double limited(double growth, double d, double wanted)
{
    return growth > 0 ? fmin(wanted, d * growth) : wanted;
}

/* Of all tensors: what the numerator gains and the norm of s, which the pass left in their sums. */
static double total(const struct optim_run *run, int which, bool weigh)
{
    double sum = 0;
    for (int i = 0; i < run->count; i++)
        sum += (weigh ? run->tensor[i]->lr : 1) * run->tensor[i]->sums[which];
    return sum;
}

enum { INTO_S = MORE, RATE_S, FIRST };

/* --- Prodigy --- */

enum { COEFFICIENT = OWN, SAFEGUARD, PRODIGY_DECAY, PRODIGY_DECAY_ALL, PRODIGY_COUNT };

static const struct descent_option prodigy_options[] = {
    DISTANCE_ROWS,
    [COEFFICIENT] = OPTIM_POSITIVE("coefficient", "1", true, 0.25, 4, "factor of the estimate"),
    [SAFEGUARD] = OPTIM_FLAG("safeguard", "no", "keep lr out of s: for long warm-ups"),
    [PRODIGY_DECAY] = OPTIM_WEIGHT_DECAY("0", 1e-3, 1),
    [PRODIGY_DECAY_ALL] = OPTIM_DECAY_ALL,
};

/* m, v, s; d enters the moments with the gradient. Adds up <g, x0 - x> and |s|_1. */
OPTIM_INLINE void prodigy_terms(const descent_real *k, struct optim_element *e, double *term)
{
    descent_real *m = &e->s[0], *v = &e->s[1], *s = &e->s[2], *start = &e->s[3];
    *start = k[FIRST] != 0 ? e->x : *start;
    first_moment(k, m, e->g);
    second_moment(k, v, e->g);
    *s = k[RATE_S] * *s + k[INTO_S] * e->g;
    term[0] = (double)e->g * ((double)*start - (double)e->x);
    term[1] = fabs((double)*s);
}

static void prodigy_sums(struct optim_part *part)
{
    optim_sum_elements(part, 4, 2, prodigy_terms);
}

/* m / (sqrt(v) + eps); eps is d eps */
OPTIM_INLINE descent_real moments_rule(const descent_real *k, struct optim_element *e)
{
    return e->s[0] / (sqrt(e->s[1]) + k[EPSILON]);
}

static void moments_loop(struct optim_part *part)
{
    optim_elementwise(part, 2, moments_rule);
}

static enum descent_status prodigy_step(struct optim_run *run)
{
    const struct optim_tensor *one = run->tensor[0];
    struct distance *distance = one->own;
    double d = distance->d, d0 = one->hyper[D0].number, beta3 = sqrt(one->hyper[BETA2].number);
    for (int i = 0; i < run->count; i++) {
        struct optim_tensor *t = run->tensor[i];
        set_moments(t, t->hyper[BETA1].number, t->hyper[BETA2].number, 0);
        t->k[NEW1] *= (descent_real)d;
        t->k[NEW2] *= (descent_real)(d * d);
        t->k[RATE_S] = (descent_real)beta3;
        t->k[INTO_S] = (descent_real)(d / d0 * d * (t->hyper[SAFEGUARD].number != 0 ? 1 : t->lr));
        t->k[FIRST] = t->step == 1 ? 1 : 0;
    }
    optim_add_up(run, prodigy_sums);
    distance->numerator = beta3 * distance->numerator + d / d0 * d * total(run, 0, true);
    double size = total(run, 1, false);
    if (size > 0) {
        double estimate = one->hyper[COEFFICIENT].number * distance->numerator / size;
        if (d == d0)
            distance->d = fmax(d, estimate);
        distance->largest = fmax(distance->largest, estimate);
        distance->d = limited(one->hyper[GROWTH].number, distance->d, distance->largest);
    }
    for (int i = 0; i < run->count; i++) {
        struct optim_tensor *t = run->tensor[i];
        t->lr *= d;
        t->shrink = t->lr * t->decay;
        t->k[EPSILON] = (descent_real)(distance->d * t->hyper[EPS].number);
    }
    optim_for_parts(run, moments_loop);
    return DESCENT_OK;
}

const struct optim_algorithm OPTIM_ALGORITHM(prodigy) = {
    .name = "prodigy",
    .summary = "Adam that finds its own learning rate, from the distance to the solution",
    .answers = OPTIM_TUNING,
    .paper = "Mishchenko & Defazio 2023, arXiv:2306.06101",
    .formula = "r <- b r + (d/d0) d lr <g, x0 - x>              b = sqrt(beta2)\n"
               "m <- beta1 m + d (1 - beta1) g\n"
               "v <- beta2 v + d^2 (1 - beta2) g^2\n"
               "s <- b s + (d/d0) d lr g, without lr with safeguard\n"
               "e = coefficient r / |s|_1, over all tensors; if d = d0: d' = max(d, e)\n"
               "d' = min(largest e so far, d' growth)\n"
               "x <- x (1 - d lr weight_decay) - d lr m / (sqrt(v) + d' eps);  d <- d'\n"
               "The authors' form: decoupled decay, no bias correction.\n",
    .options = prodigy_options,
    .option_count = PRODIGY_COUNT,
    .decay = OPTIM_OWN_DECAY,
    .slots = {"m", "v", "s", "start"},
    .init = init,
    .unscheduled = true,
    .step = prodigy_step,
};

/* --- D-Adaptation --- */

enum { CORRECT = OWN, DADAPT_DECAY, DADAPT_DECAY_ALL, DADAPT_COUNT };

static const struct descent_option dadapt_options[] = {
    DISTANCE_ROWS,
    [CORRECT] = OPTIM_FLAG("bias_correction", "no", "scale the step as the moments of Adam are corrected"),
    [DADAPT_DECAY] = OPTIM_WEIGHT_DECAY("0", 1e-3, 1),
    [DADAPT_DECAY_ALL] = OPTIM_DECAY_ALL,
};

/* m, v, s; d lr enters m and s with the gradient. Adds up <g, s / (sqrt(v) + eps)>, v and s of the step
 * before, and |s|_1. */
OPTIM_INLINE void dadapt_terms(const descent_real *k, struct optim_element *e, double *term)
{
    descent_real *m = &e->s[0], *v = &e->s[1], *s = &e->s[2];
    term[0] = (double)e->g * (double)(*s / (sqrt(*v) + k[EPSILON]));
    first_moment(k, m, e->g);
    second_moment(k, v, e->g);
    *s = k[RATE_S] * *s + k[INTO_S] * e->g;
    term[1] = fabs((double)*s);
}

static void dadapt_sums(struct optim_part *part)
{
    optim_sum_elements(part, 3, 2, dadapt_terms);
}

static enum descent_status dadapt_step(struct optim_run *run)
{
    const struct optim_tensor *one = run->tensor[0];
    struct distance *distance = one->own;
    double beta = sqrt(one->hyper[BETA2].number);
    for (int i = 0; i < run->count; i++) {
        struct optim_tensor *t = run->tensor[i];
        double beta1 = t->hyper[BETA1].number, beta2 = t->hyper[BETA2].number;
        t->lr *= distance->d;
        if (t->hyper[CORRECT].number != 0)
            t->lr *= sqrt(bias_correction(beta2, t)) / bias_correction(beta1, t);
        set_moments(t, beta1, beta2, t->hyper[EPS].number);
        t->k[NEW1] = (descent_real)((1 - beta1) * t->lr);
        t->k[RATE_S] = (descent_real)beta;
        t->k[INTO_S] = (descent_real)((1 - beta) * t->lr);
    }
    optim_add_up(run, dadapt_sums);
    distance->numerator = beta * distance->numerator + (1 - beta) * total(run, 0, true);
    double size = (1 - beta) * total(run, 1, false);
    if (size > 0)
        distance->d =
            fmax(distance->d, limited(one->hyper[GROWTH].number, distance->d, distance->numerator / size));
    for (int i = 0; i < run->count; i++) {
        struct optim_tensor *t = run->tensor[i];
        t->shrink = t->lr * t->decay;
        t->lr = 1;
    }
    optim_for_parts(run, moments_loop);
    return DESCENT_OK;
}

const struct optim_algorithm OPTIM_ALGORITHM(dadapt_adam) = {
    .name = "dadapt_adam",
    .summary = "Adam with D-Adaptation: the learning rate from a bound of the distance",
    .answers = OPTIM_TUNING,
    .paper = "Defazio & Mishchenko 2023, arXiv:2301.07733",
    .formula = "l = d lr, times sqrt(1 - beta2^t) / (1 - beta1^t) with bias_correction\n"
               "r <- b r + (1 - b) l <g, s / (sqrt(v) + eps)>      b = sqrt(beta2)\n"
               "m <- beta1 m + (1 - beta1) l g\n"
               "v <- beta2 v + (1 - beta2) g^2\n"
               "s <- b s + (1 - b) l g\n"
               "d <- max(d, min(r / ((1 - b) |s|_1), d growth)), over all tensors\n"
               "x <- x (1 - l weight_decay) - m / (sqrt(v) + eps)\n"
               "The authors' form; optax corrects the bias. Where d grows past what the network bears\n"
               "(lenet5 stays at chance), growth=1.02 slows it down, as the authors advise.\n"
               "For lenet5 with batches of 64: growth=1.02.\n",
    .options = dadapt_options,
    .option_count = DADAPT_COUNT,
    .decay = OPTIM_OWN_DECAY,
    .slots = {"m", "v", "s"},
    .init = init,
    .unscheduled = true,
    .step = dadapt_step,
};

/* --- D-Adaptation of gradient descent --- */

enum { DESCENT_MOMENTUM = 1, DESCENT_D0, DESCENT_GROWTH, DESCENT_DECAY, DESCENT_DECAY_ALL, DESCENT_COUNT };

static const struct descent_option descent_options[] = {
    [LR] = FACTOR_OPTION,
    [DESCENT_MOMENTUM] =
        OPTIM_RATE("momentum", "0", 0.7, 0.99, "how slowly values follow the point that steps"),
    [DESCENT_D0] = D0_OPTION,
    [DESCENT_GROWTH] = GROWTH_OPTION,
    [DESCENT_DECAY] = OPTIM_WEIGHT_DECAY("0", 1e-7, 5e-5),
    [DESCENT_DECAY_ALL] = OPTIM_DECAY_ALL,
};

/* Of the whole model; `first` is the norm of the first gradient that is not 0. Until then 1 stands for it.
 */
struct descent_distance {
    double d, numerator, first;
};

static enum descent_status descent_init(struct optim_run *run)
{
    struct descent_distance *distance =
        optim_state(run, NULL, "distance", DESCENT_F64, 1, (const int64_t[]){3});
    if (!distance)
        return DESCENT_OUT_OF_MEMORY;
    for (int i = 0; i < run->count; i++)
        run->tensor[i]->own = distance;
    distance->d = run->tensor[0]->hyper[DESCENT_D0].number;
    return DESCENT_OK;
}

enum { DESCENT_FIRST, DESCENT_RATE, FOLLOW };

/* s <- s + d lr g / |g of t = 1|; adds up <g, s> of the step before and |s|^2 */
OPTIM_INLINE void descent_terms(const descent_real *k, struct optim_element *e, double *term)
{
    descent_real *s = &e->s[0], *start = &e->s[1];
    *start = k[DESCENT_FIRST] != 0 ? e->x : *start;
    term[0] = (double)e->g * (double)*s;
    *s += k[DESCENT_RATE] * e->g;
    term[1] = (double)*s * (double)*s;
}

static void descent_sums(struct optim_part *part)
{
    optim_sum_elements(part, 2, 2, descent_terms);
}

/* x <- x - (1 - momentum) (x - (x0 - s)) */
OPTIM_INLINE descent_real descent_rule(const descent_real *k, struct optim_element *e)
{
    return k[FOLLOW] * (e->x - (e->s[1] - e->s[0]));
}

static void descent_loop(struct optim_part *part)
{
    optim_elementwise(part, 2, descent_rule);
}

static enum descent_status descent_step(struct optim_run *run)
{
    const struct optim_tensor *one = run->tensor[0];
    struct descent_distance *distance = one->own;
    if (distance->first == 0)
        distance->first = one->grad_scale * run->gradient_norm;
    double first = distance->first > 0 ? distance->first : 1;
    for (int i = 0; i < run->count; i++) {
        struct optim_tensor *t = run->tensor[i];
        t->lr *= distance->d / first;
        t->k[DESCENT_FIRST] = t->step == 1 ? 1 : 0;
        t->k[DESCENT_RATE] = (descent_real)t->lr;
        t->k[FOLLOW] = (descent_real)(1 - t->hyper[DESCENT_MOMENTUM].number);
    }
    optim_add_up(run, descent_sums);
    distance->numerator += total(run, 0, true);
    double length = sqrt(total(run, 1, false)), growth = one->hyper[DESCENT_GROWTH].number;
    if (length > 0)
        distance->d = fmax(distance->d, limited(growth, distance->d, 2 * distance->numerator / length));
    for (int i = 0; i < run->count; i++)
        run->tensor[i]->lr = 1;
    optim_for_parts(run, descent_loop);
    return DESCENT_OK;
}

const struct optim_algorithm OPTIM_ALGORITHM(dadapt_sgd) = {
    .name = "dadapt_sgd",
    .summary = "gradient descent that finds its own learning rate, from below",
    .answers = OPTIM_TUNING,
    .paper = "Defazio & Mishchenko 2023, arXiv:2301.07733",
    .formula = "g <- g + weight_decay x\n"
               "l = d lr / |first g|, over all tensors, without its weight decay\n"
               "r <- r + l <g, s>\n"
               "s <- s + l g\n"
               "d <- max(d, min(2 r / |s|, d growth)), over all tensors\n"
               "x <- momentum x + (1 - momentum) (x0 - s)\n"
               "The authors' form. Like dadapt_adam it may want growth=1.02, and momentum.\n"
               "For lenet5 with batches of 64: momentum=0.9,growth=1.02.\n",
    .options = descent_options,
    .option_count = DESCENT_COUNT,
    .decay = OPTIM_COUPLED,
    .slots = {"s", "start"},
    .init = descent_init,
    .unscheduled = true,
    .step = descent_step,
};

/* --- DoG --- */

enum { FIRST_STEP = 1, DOG_EPS, LAYERWISE, AVERAGE, DOG_DECAY, DOG_DECAY_ALL, DOG_COUNT };

static const struct descent_option dog_options[] = {
    [LR] = FACTOR_OPTION,
    [FIRST_STEP] = OPTIM_POSITIVE("first_step", "1e-6", true, 1e-8, 1e-2,
                                  "length of the first step, in norms of the model; 1e-4 with batch norm"),
    [DOG_EPS] = OPTIM_POSITIVE("eps", "1e-8", true, 0, 0, "added to the sum of squared norms"),
    [LAYERWISE] = OPTIM_FLAG("layerwise", "no", "each tensor by itself, as L-DoG"),
    [AVERAGE] = OPTIM_POSITIVE("gamma", "8", false, 0, 0, "power of t in the weights of the mean"),
    [DOG_DECAY] = OPTIM_WEIGHT_DECAY("0", 0, 0),
    [DOG_DECAY_ALL] = OPTIM_DECAY_ALL,
};

/* Of the model, or of a tensor: the farthest from the start, and the sum of squared gradient norms. */
struct travel {
    double farthest, gradients;
    double sums[OPTIM_SUMS]; /* of this step */
};

static enum descent_status dog_init(struct optim_run *run)
{
    struct travel *model = NULL;
    const int64_t shape[] = {sizeof *model / sizeof(double)};
    for (int i = 0; i < run->count; i++) {
        bool own = run->tensor[i]->hyper[LAYERWISE].number != 0;
        struct optim_tensor *t = run->tensor[i];
        t->own = own || !model ? optim_state(run, own ? t : NULL, "travel", DESCENT_F64, 1, shape) : model;
        if (!t->own)
            return DESCENT_OUT_OF_MEMORY;
        if (!own)
            model = t->own;
    }
    return DESCENT_OK;
}

enum { AT_FIRST, DOG_RATE, SHARE };

OPTIM_INLINE void dog_terms(const descent_real *k, struct optim_element *e, double *term)
{
    descent_real *start = &e->s[0];
    *start = k[AT_FIRST] != 0 ? e->x : *start;
    double away = (double)e->x - (double)*start;
    term[0] = away * away;
    term[1] = (double)e->g * (double)e->g;
    term[2] = (double)*start * (double)*start;
}

static void dog_sums(struct optim_part *part)
{
    optim_sum_elements(part, 1, 3, dog_terms);
}

/* mean <- mean + w (x - lr g - mean), which is x where w = 1 */
OPTIM_INLINE descent_real dog_rule(const descent_real *k, struct optim_element *e)
{
    descent_real *mean = &e->s[1];
    *mean = (1 - k[SHARE]) * *mean + k[SHARE] * (e->x - k[DOG_RATE] * e->g);
    return e->g;
}

static void dog_loop(struct optim_part *part)
{
    optim_elementwise(part, 2, dog_rule);
}

static enum descent_status dog_step(struct optim_run *run)
{
    for (int i = 0; i < run->count; i++) {
        struct travel *travel = run->tensor[i]->own;
        run->tensor[i]->k[AT_FIRST] = run->tensor[i]->step == 1 ? 1 : 0;
        for (int j = 0; j < OPTIM_SUMS; j++)
            travel->sums[j] = 0;
    }
    optim_add_up(run, dog_sums);
    for (int i = 0; i < run->count; i++)
        for (int j = 0; j < OPTIM_SUMS; j++)
            ((struct travel *)run->tensor[i]->own)->sums[j] += run->tensor[i]->sums[j];
    for (int i = 0; i < run->count; i++) {
        struct optim_tensor *t = run->tensor[i];
        struct travel *travel = t->own;
        /* The first tensor of a model brings its state up to date; sums of 0 leave it so. */
        double first = t->step == 1 ? t->hyper[FIRST_STEP].number * (1 + sqrt(travel->sums[2])) : 0;
        travel->farthest = fmax(fmax(travel->farthest, first), sqrt(travel->sums[0]));
        travel->gradients += travel->sums[1];
        travel->sums[1] = 0;
        t->lr *= travel->farthest / sqrt(travel->gradients + t->hyper[DOG_EPS].number);
        t->k[DOG_RATE] = (descent_real)t->lr;
        t->k[SHARE] =
            (descent_real)((t->hyper[AVERAGE].number + 1) / (t->hyper[AVERAGE].number + (double)t->step));
    }
    optim_for_parts(run, dog_loop);
    return DESCENT_OK;
}

static void dog_evaluation(struct optim_run *run)
{
    optim_evaluate_slot(run, 1);
}

const struct optim_algorithm OPTIM_ALGORITHM(dog) = {
    .name = "dog",
    .summary = "gradient descent whose step is distance travelled over gradients seen",
    .answers = OPTIM_TUNING,
    .paper = "Ivgi et al. 2023, arXiv:2302.12022",
    .formula = "g <- g + weight_decay x\n"
               "r <- max(r, |x - x0|), first_step (1 + |x0|) at t = 1; over all tensors, or layerwise\n"
               "G <- G + |g|^2\n"
               "x <- x - lr r / sqrt(G + eps) g\n"
               "mean <- mean + (gamma + 1)/(gamma + t) (x - mean), which is evaluated and stored\n"
               "The authors' form, with their polynomial-decay average.\n",
    .options = dog_options,
    .option_count = DOG_COUNT,
    .decay = OPTIM_COUPLED,
    .slots = {"start", "mean"},
    .init = dog_init,
    .unscheduled = true,
    .step = dog_step,
    .evaluation = dog_evaluation,
};
