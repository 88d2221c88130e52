/* References of softmax, normalizations, losses and dropout. */
#include "tests/nn/reference.h"

#include <assert.h>

/* log p of each position's channels into y. */
static void log_softmax_of(const struct reference_call *call, double *y)
{
    struct nn_shape in = reference_in(call, 0);
    for (int64_t row = 0; row < call->n * nn_space(in); row++) {
        const double *x = call->x[0] + row * in.channels;
        double sum = 0;
        for (int j = 0; j < in.channels; j++)
            sum += exp(x[j]);
        for (int j = 0; j < in.channels; j++)
            y[row * in.channels + j] = x[j] - log(sum);
    }
}

static void log_softmax(const struct reference_call *call)
{
    log_softmax_of(call, call->y);
}

static void softmax(const struct reference_call *call)
{
    log_softmax_of(call, call->y);
    for (int64_t i = 0; i < call->n * nn_size(call->node->shape); i++)
        call->y[i] = exp(call->y[i]);
}

/* -sum_j q_ij log_p_ij, with q and the mean over the batch as torch.nn.CrossEntropyLoss documents them. */
static void likelihood(const struct reference_call *call, const double *log_p)
{
    REFERENCE_OPTIONS(cross_entropy);
    int classes = reference_in(call, 0).channels;
    bool indices = call->node->input[1]->op->integer;
    double weight_sum = 0;
    for (int s = 0; s < call->n && indices; s++)
        weight_sum += o->class_weights ? o->class_weights[(int)call->x[1][s]] : 1;
    for (int s = 0; s < call->n; s++) {
        double loss = 0;
        for (int j = 0; j < classes; j++) {
            double target = indices ? j == (int)call->x[1][s] : call->x[1][s * classes + j];
            double smooth = (1 - o->label_smoothing) * target + o->label_smoothing / classes;
            double weight = o->class_weights ? (double)o->class_weights[j] : 1;
            loss -= weight * smooth * log_p[s * classes + j];
        }
        call->y[s] = indices ? loss * call->n / weight_sum : loss;
    }
}

static void negative_log_likelihood(const struct reference_call *call)
{
    likelihood(call, call->x[0]);
}

static void softmax_cross_entropy(const struct reference_call *call)
{
    enum { MOST = 1024 };
    double log_p[MOST];
    assert(call->n * nn_size(reference_in(call, 0)) <= MOST);
    log_softmax_of(call, log_p);
    likelihood(call, log_p);
}

static void batch_norm(const struct reference_call *call)
{
    REFERENCE_OPTIONS(batch_norm);
    struct nn_shape in = reference_in(call, 0);
    int64_t pixels = call->n * nn_space(in);
    const double *const *running = call->param + (o->no_affine ? 0 : 2);
    for (int c = 0; c < in.channels; c++) {
        double mean = running[0][c], variance = running[1][c];
        if (call->training) {
            mean = variance = 0;
            for (int64_t p = 0; p < pixels; p++)
                mean += call->x[0][p * in.channels + c] / (double)pixels;
            for (int64_t p = 0; p < pixels; p++)
                variance += pow(call->x[0][p * in.channels + c] - mean, 2) / (double)pixels;
        }
        for (int64_t p = 0; p < pixels; p++) {
            double z = (call->x[0][p * in.channels + c] - mean) / sqrt(variance + o->eps);
            call->y[p * in.channels + c] = o->no_affine ? z : z * call->param[0][c] + call->param[1][c];
        }
    }
}

/* y = (x - mean) / sqrt(variance + eps) over channels first .. first+count-1 and space of sample s, with
 * the learned scale and shift of element (c, h, w) at c * c_step + position * p_step, unless c_step is 0.
 */
static void normalize_group(const struct reference_call *call, int s, int first, int count, double eps,
                            int c_step, int p_step)
{
    struct nn_shape in = reference_in(call, 0);
    int space = in.height * in.width;
    double mean = 0, variance = 0;
    const double *x = call->x[0] + s * nn_size(in);
    for (int c = first; c < first + count; c++)
        for (int p = 0; p < space; p++)
            mean += x[p * in.channels + c] / (count * space);
    for (int c = first; c < first + count; c++)
        for (int p = 0; p < space; p++)
            variance += pow(x[p * in.channels + c] - mean, 2) / (count * space);
    for (int c = first; c < first + count; c++)
        for (int p = 0; p < space; p++) {
            double z = (x[p * in.channels + c] - mean) / sqrt(variance + eps);
            int learned = c * c_step + p * p_step;
            call->y[s * nn_size(in) + p * in.channels + c] =
                c_step ? z * call->param[0][learned] + call->param[1][learned] : z;
        }
}

static void layer_norm(const struct reference_call *call)
{
    REFERENCE_OPTIONS(layer_norm);
    struct nn_shape in = reference_in(call, 0);
    for (int s = 0; s < call->n; s++)
        normalize_group(call, s, 0, in.channels, o->eps, o->no_affine ? 0 : in.height * in.width, 1);
}

static void group_norm(const struct reference_call *call)
{
    REFERENCE_OPTIONS(group_norm);
    int count = reference_in(call, 0).channels / o->groups;
    for (int s = 0; s < call->n; s++)
        for (int g = 0; g < o->groups; g++)
            normalize_group(call, s, g * count, count, o->eps, !o->no_affine, 0);
}

/* The mask's definition: element i is kept if word i of the layer's random numbers at this step is at least
 * rate * 2^32. */
static void dropout(const struct reference_call *call)
{
    REFERENCE_OPTIONS(dropout);
    struct descent_random random =
        descent_random_new(call->seed, DESCENT_RANDOM_DROPOUT, descent_hash(call->node->name) + call->step);
    for (int64_t i = 0; i < call->n * nn_size(call->node->shape); i++) {
        uint32_t word[4];
        descent_random_block(&random, (uint64_t)i / 4, word);
        bool keep = !call->training || word[i % 4] >= o->rate * 0x1p32;
        call->y[i] = keep ? call->x[0][i] / (call->training ? 1 - o->rate : 1) : 0;
    }
}

/* The mean over a sample's elements of `term`, a formula of x, t and o. */
#define LOSS(name, term)                                                                                   \
    static void name(const struct reference_call *call)                                                    \
    {                                                                                                      \
        REFERENCE_OPTIONS(loss);                                                                           \
        int64_t size = nn_size(reference_in(call, 0));                                                     \
        (void)o;                                                                                           \
        for (int s = 0; s < call->n; s++) {                                                                \
            call->y[s] = 0;                                                                                \
            for (int64_t i = s * size; i < (s + 1) * size; i++) {                                          \
                double x = call->x[0][i], t = call->x[1][i];                                               \
                call->y[s] += (term) / (double)size;                                                       \
            }                                                                                              \
        }                                                                                                  \
    }

LOSS(mean_squared_error, pow(x - t, 2))
LOSS(huber, fabs(x - t) <= o->delta ? pow(x - t, 2) / 2 : o->delta * (fabs(x - t) - o->delta / 2))
LOSS(binary_cross_entropy, t *log(1 + exp(-x)) + (1 - t) * log(1 + exp(x)))

const struct reference reference_norms[] = {
    {"softmax", softmax, false},
    {"log_softmax", log_softmax, false},
    {"negative_log_likelihood", negative_log_likelihood, true},
    {"softmax_cross_entropy", softmax_cross_entropy, true},
    {"batch_norm", batch_norm, false},
    {"layer_norm", layer_norm, false},
    {"group_norm", group_norm, false},
    {"dropout", dropout, false},
    {"mean_squared_error", mean_squared_error, false},
    {"huber", huber, false},
    {"binary_cross_entropy", binary_cross_entropy, false},
    {NULL, NULL, false},
};
