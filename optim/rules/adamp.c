/* AdamP: where a layer is followed by a normalization its weights' length means nothing, yet momentum makes
 * it grow and the effective learning rate shrink. Where the gradient is nearly orthogonal to the weights, a
 * sign of such a layer, the step loses its part along them. Heo et al. 2020, arXiv:2006.08217. */
#include "optim/rules/moments.h"

enum { LR, BETA1, BETA2, EPS, DELTA, DECAY_RATIO, NESTEROV, WEIGHT_DECAY, DECAY_ALL, HYPERPARAMETERS };

static const struct descent_option options[] = {
    [LR] = OPTIM_LR("1e-3", 3e-5, 3e-2),
    [BETA1] = MOMENT_BETA1("0.9", 0.5, 0.98),
    [BETA2] = MOMENT_BETA2("0.999", 0, 0),
    [EPS] = OPTIM_EPS("1e-8"),
    [DELTA] = OPTIM_POSITIVE("delta", "0.1", false, 0, 0, "a cosine below delta / sqrt(n) is orthogonal"),
    [DECAY_RATIO] = OPTIM_BETWEEN("decay_ratio", "0.1", 0, 1, "weight decay's factor where projected"),
    [NESTEROV] = OPTIM_FLAG("nesterov", "no", "look ahead: step along gradient and momentum"),
    [WEIGHT_DECAY] = OPTIM_WEIGHT_DECAY("0", 5e-3, 1),
    [DECAY_ALL] = OPTIM_DECAY_ALL,
};

/* d = (ALONG_M m + ALONG_G g) / (sqrt(v) / sqrt(c2) + eps) - ALONG_X x */
enum { ALONG_M = MORE, ALONG_G, ALONG_X };

OPTIM_INLINE descent_real direction(const descent_real *k, const struct optim_element *e)
{
    return (k[ALONG_M] * e->s[0] + k[ALONG_G] * e->g) / corrected_root(k, e->s[1]);
}

OPTIM_INLINE descent_real rule(const descent_real *k, struct optim_element *e)
{
    return direction(k, e) - k[ALONG_X] * e->x;
}

enum { XX, GG, XG, XD };

OPTIM_INLINE void terms(const descent_real *k, struct optim_element *e, double *term)
{
    first_moment(k, &e->s[0], e->g);
    second_moment(k, &e->s[1], e->g);
    double x = (double)e->x, g = (double)e->g;
    term[XX] = x * x;
    term[GG] = g * g;
    term[XG] = x * g;
    term[XD] = x * (double)direction(k, e);
}

/* The output channels of a matrix or convolution; each has n elements. */
static int64_t count_rows(const struct optim_tensor *t)
{
    return t->param->rank > 1 && t->param->size > 0 ? t->param->shape[0] : 1;
}

/* Whether gradient and values are orthogonal, as far as n random numbers can be. */
static bool orthogonal(const struct optim_tensor *t, const double *sums, int64_t n)
{
    double cosine = fabs(sums[XG]) / fmax(sqrt(sums[XX] * sums[GG]), t->hyper[EPS].number);
    return cosine < t->hyper[DELTA].number / sqrt((double)n);
}

/* <d, x> / |x|^2 */
static double along(const struct optim_tensor *t, const double *sums)
{
    return sums[XD] / pow(sqrt(sums[XX]) + t->hyper[EPS].number, 2);
}

/* Advances the moments; t->own becomes the share of x in d that each row's step loses. All rows lose
 * theirs if each is orthogonal, else the tensor as a whole if it is, else nothing does. */
static void visit(struct optim_tensor *t)
{
    descent_real *share = t->own;
    int64_t rows = count_rows(t), n = t->param->size / rows;
    double all[OPTIM_SUMS] = {0};
    bool each = t->param->rank > 1;
    for (int64_t row = 0; row < rows; row++) {
        struct optim_part part = {.tensor = t, .begin = row * n, .end = (row + 1) * n};
        optim_sum_elements(&part, 2, 4, terms);
        for (int i = 0; i < OPTIM_SUMS; i++)
            all[i] += part.sums[i];
        each = each && orthogonal(t, part.sums, n);
        share[row] = (descent_real)along(t, part.sums);
    }
    bool whole = !each && t->param->rank > 1 && orthogonal(t, all, t->param->size);
    for (int64_t row = 0; row < rows && !each; row++)
        share[row] = whole ? (descent_real)along(t, all) : 0;
    t->shrink = t->lr * t->decay * (each || whole ? t->hyper[DECAY_RATIO].number : 1);
}

/* Row by row. */
static void loop(struct optim_part *part)
{
    const descent_real *share = part->tensor->own;
    int64_t n = part->tensor->param->size / count_rows(part->tensor);
    struct optim_tensor tensor = *part->tensor;
    double sum = 0;
    for (int64_t begin = part->begin, end; begin < part->end; begin = end) {
        int64_t row = begin / n;
        end = (row + 1) * n < part->end ? (row + 1) * n : part->end;
        struct optim_part piece = {.tensor = &tensor, .begin = begin, .end = end, .measure = part->measure};
        tensor.k[ALONG_X] = share[row];
        optim_elementwise(&piece, 2, rule);
        sum += piece.sum;
    }
    part->sum = sum;
}

static enum descent_status init(struct optim_run *run)
{
    for (int i = 0; i < run->count; i++) {
        int64_t rows = count_rows(run->tensor[i]);
        run->tensor[i]->own = optim_scratch(run, (size_t)rows * sizeof(descent_real));
        if (!run->tensor[i]->own)
            return DESCENT_OUT_OF_MEMORY;
    }
    return DESCENT_OK;
}

static enum descent_status step(struct optim_run *run)
{
    for (int i = 0; i < run->count; i++) {
        struct optim_tensor *t = run->tensor[i];
        double beta1 = t->hyper[BETA1].number, c1 = bias_correction(beta1, t);
        bool nesterov = t->hyper[NESTEROV].number != 0;
        set_moments(t, beta1, t->hyper[BETA2].number, t->hyper[EPS].number);
        t->k[ALONG_M] = (descent_real)((nesterov ? beta1 : 1) / c1);
        t->k[ALONG_G] = (descent_real)(nesterov ? (1 - beta1) / c1 : 0);
    }
    optim_for_tensors(run, visit);
    optim_for_parts(run, loop);
    return DESCENT_OK;
}

const struct optim_algorithm OPTIM_ALGORITHM(adamp) = {
    .name = "adamp",
    .summary = "AdamW without the part of a step that only lengthens normalized weights",
    .answers = OPTIM_LAYERS,
    .paper = "Heo et al. 2020, arXiv:2006.08217",
    .formula = "m <- beta1 m + (1 - beta1) g          c1 = 1 - beta1^t\n"
               "v <- beta2 v + (1 - beta2) g^2        c2 = 1 - beta2^t\n"
               "d = m/c1 / (sqrt(v)/sqrt(c2) + eps), or of beta1 m + (1 - beta1) g with nesterov\n"
               "if |cos(g, x)| < delta / sqrt(n) in each output channel, else in the whole tensor:\n"
               "    d <- d - x <x, d> / (|x| + eps)^2,  w = decay_ratio;  else w = 1\n"
               "x <- x (1 - lr weight_decay w) - lr d\n"
               "Vectors are never projected. The authors' and timm's form.\n",
    .options = options,
    .option_count = HYPERPARAMETERS,
    .decay = OPTIM_OWN_DECAY,
    .slots = {"m", "v"},
    .init = init,
    .step = step,
};
