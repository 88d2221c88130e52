/* layer_norm: each sample to mean 0 and variance 1, then a learned scale and shift for each element (Ba et
 * al. 2016, arXiv 1607.06450; torch.nn.LayerNorm over C, H, W). Samples are in HWC order, the parameters in
 * CHW order. */
#include "nn/ops/normalize.h"

static void shape(nn_node *node)
{
    struct nn_layer_norm_options *o = node->options;
    nn_shape_of_input(node);
    struct nn_shape s = node->shape;
    if (check_eps(node, &o->eps) && !o->no_affine)
        add_scale_and_shift(node, (struct nn_param_spec){.rank = nn_space(s) == 1 ? 1 : 3,
                                                         .shape = {s.channels, s.height, s.width}});
}

/* Of one sample: z = (x - mean) inverse - rest, where `rest` is what a float mean lacks. */
struct statistics {
    float mean, inverse, rest;
};

static void plan(const nn_node *node, int batch, bool training, int threads, struct nn_needs *needs)
{
    size_t size = (size_t)nn_size(node->shape);
    (void)threads;
    needs->packed = node->param_count ? 2 * size * sizeof(float) : 0;
    needs->saved = training ? (size_t)batch * sizeof(struct statistics) : 0;
    needs->forward = DESCENT_MAX_CHUNKS * sums_bytes(columns_of(1));
    needs->backward = node->param_count ? DESCENT_MAX_CHUNKS * 2 * size * sizeof(float) : 0;
}

/* Scale, then shift, in HWC order. */
static void pack(const struct nn_call *call)
{
    int64_t channels = call->out.channels, space = nn_space(call->out);
    for (int p = SCALE; p <= SHIFT; p++)
        nn_transpose(call->param[p]->value, space, channels, space,
                     (float *)call->packed + p * channels * space, channels);
}

static struct statistics statistics_of(const struct nn_call *call, const float *x, int chunk)
{
    const struct nn_layer_norm_options *o = call->options;
    struct columns columns = columns_of(1);
    struct sums at = sums_at((char *)call->workspace + (size_t)chunk * sums_bytes(columns), columns);
    int64_t size = nn_size(call->out);
    moments(x, size, columns, at);
    double inverse = 1 / sqrt(at.second[0] / (double)size + o->eps);
    return (struct statistics){(float)at.first[0], (float)inverse, (float)(rest_of(at.first[0]) * inverse)};
}

NN_INLINE nn_vector normalized_part(const float *x, int64_t count, struct statistics s)
{
    return (nn_vector_load_part(x, count) - s.mean) * s.inverse - s.rest;
}

static void forward_chunk(const struct nn_call *call, int chunk, int chunks, int thread)
{
    int64_t begin, end, size = nn_size(call->out);
    const float *scale = call->packed, *shift = scale ? scale + size : NULL;
    struct statistics *saved = call->saved;
    (void)thread;
    descent_chunk_range(call->n, chunks, chunk, &begin, &end);
    for (int64_t i = begin; i < end; i++) {
        const float *x = call->x[0] + i * size;
        struct statistics s = statistics_of(call, x, chunk);
        for (int64_t j = 0; j < size; j += NN_LANES) {
            nn_vector y = normalized_part(x + j, size - j, s);
            if (scale)
                y = y * nn_vector_load_part(scale + j, size - j) + nn_vector_load_part(shift + j, size - j);
            nn_vector_store_part(call->y + i * size + j, y, size - j);
        }
        if (saved)
            saved[i] = s;
    }
}

static void forward(const struct nn_call *call)
{
    nn_run_chunks(call, nn_sample_chunks(call), forward_chunk);
}

/* dy times scale */
NN_INLINE nn_vector scaled_part(const float *dy, const float *scale, int64_t count)
{
    nn_vector value = nn_vector_load_part(dy, count);
    if (scale)
        value *= nn_vector_load_part(scale, count);
    return value;
}

/* Of m numbers z, y = scale z + shift:
 *
 *     dshift = dy,   dscale = dy z
 *     dx = (scale dy - sum(scale dy) / m - z sum(scale dy z) / m) / sqrt(variance + eps) */
static void input_gradient_of(const struct nn_call *call, int64_t i)
{
    int64_t size = nn_size(call->out);
    const float *x = call->x[0] + i * size, *dy = call->dy + i * size, *scale = call->packed;
    struct statistics s = ((const struct statistics *)call->saved)[i];
    nn_vector sum = {0}, product = {0};
    for (int64_t j = 0; j < size; j += NN_LANES) {
        nn_vector g = scaled_part(dy + j, scale ? scale + j : NULL, size - j);
        sum += g;
        product += g * normalized_part(x + j, size - j, s);
    }
    float a = nn_vector_sum(sum) / (float)size, b = nn_vector_sum(product) / (float)size;
    for (int64_t j = 0; j < size; j += NN_LANES) {
        nn_vector g = scaled_part(dy + j, scale ? scale + j : NULL, size - j);
        nn_vector dx = s.inverse * (g - a - b * normalized_part(x + j, size - j, s));
        nn_vector_store_part(call->dx[0] + i * size + j, dx, size - j);
    }
}

static void add_parameter_gradients(const struct nn_call *call, int64_t i, float *dscale, float *dshift)
{
    int64_t size = nn_size(call->out);
    const float *x = call->x[0] + i * size, *dy = call->dy + i * size;
    struct statistics s = ((const struct statistics *)call->saved)[i];
    for (int64_t j = 0; j < size; j += NN_LANES) {
        nn_vector g = nn_vector_load_part(dy + j, size - j);
        nn_vector_put(dscale + j, true, g * normalized_part(x + j, size - j, s), size - j);
        nn_vector_put(dshift + j, true, g, size - j);
    }
}

/* The chunk's gradients of scale, then shift, in HWC order. */
static float *gradients_of(const struct nn_call *call, int chunk)
{
    return (float *)call->workspace + chunk * 2 * nn_size(call->out);
}

static void backward_chunk(const struct nn_call *call, int chunk, int chunks, int thread)
{
    int64_t begin, end, size = nn_size(call->out);
    float *gradients = gradients_of(call, chunk);
    (void)thread;
    if (call->packed)
        memset(gradients, 0, 2 * (size_t)size * sizeof *gradients);
    descent_chunk_range(call->n, chunks, chunk, &begin, &end);
    for (int64_t i = begin; i < end; i++) {
        if (call->packed)
            add_parameter_gradients(call, i, gradients, gradients + size);
        if (call->dx[0])
            input_gradient_of(call, i);
    }
}

static void backward(const struct nn_call *call)
{
    int chunks = nn_sample_chunks(call);
    int64_t channels = call->out.channels, space = nn_space(call->out), size = channels * space;
    nn_run_chunks(call, chunks, backward_chunk);
    if (!call->packed)
        return;
    nn_add_partials(call, gradients_of(call, 1), chunks - 1, 2 * size, gradients_of(call, 0));
    for (int p = SCALE; p <= SHIFT; p++) {
        const float *hwc = gradients_of(call, 0) + p * size;
        float *chw = call->param[p]->grad;
        for (int64_t c = 0; c < channels && chw; c++)
            for (int64_t s = 0; s < space; s++)
                chw[c * space + s] += hwc[s * channels + c];
    }
}

static double flops(const nn_node *node)
{
    return 5.0 * (double)nn_size(node->shape);
}

static nn_node *sample(nn_graph *graph, struct descent_random *random)
{
    nn_node *x = nn_sample_input(graph, random);
    double eps = descent_random_below(random, 2) ? 0.01 : 0;
    return nn_layer_norm(x, .eps = eps, .no_affine = descent_random_below(random, 3) == 0);
}

/* y = (x - mean) / sqrt(variance + eps) weight + bias, mean and variance of the whole sample */
const struct nn_op NN_OP(layer_norm) = {
    .name = "layer_norm",
    .options_size = sizeof(struct nn_layer_norm_options),
    .name_offset = offsetof(struct nn_layer_norm_options, name),
    .inputs = 1,
    .shape = shape,
    .plan = plan,
    .pack = pack,
    .forward = forward,
    .backward = backward,
    .flops = flops,
    .reads_x = 1,
    .in_place = 1,
    .backward_in_place = 1,
    .sample = sample,
};
