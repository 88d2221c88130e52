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

const struct reference reference_norms[] = {
    {"softmax", softmax, false},
    {"log_softmax", log_softmax, false},
    {"negative_log_likelihood", negative_log_likelihood, true},
    {"softmax_cross_entropy", softmax_cross_entropy, true},
    {"batch_norm", batch_norm, false},
    {NULL, NULL, false},
};
