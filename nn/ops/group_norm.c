/* group_norm: each sample's runs of channels to mean 0 and variance 1, then a learned scale and shift (Wu &
 * He 2018, arXiv 1803.08494; torch.nn.GroupNorm). batch_norm's four loops, on one sample at a time. */
#include "nn/ops/normalize.h"

static void shape(nn_node *node)
{
    struct nn_group_norm_options *o = node->options;
    nn_shape_of_input(node);
    if (o->groups < 1 || node->shape.channels % o->groups)
        nn_fail(node, "%d groups of %d channels; the one must divide the other", o->groups,
                node->shape.channels);
    else if (check_eps(node, &o->eps) && !o->no_affine)
        add_scale_and_shift(node, (struct nn_param_spec){.rank = 1, .shape = {node->shape.channels}});
}

struct statistics {
    double mean, inverse; /* 1 / sqrt(variance + eps) */
};

/* What a chunk works with: coefficients and sums, and gradients of scale, then shift, which lie side by
 * side. */
static size_t chunk_bytes(struct columns columns)
{
    return coefficients_bytes(columns) + sums_bytes(columns);
}

static size_t gradient_bytes(struct columns columns)
{
    return 2 * (size_t)columns.channels * sizeof(float);
}

/* Saved: statistics of each sample's groups. */
static void plan(const nn_node *node, int batch, bool training, int threads, struct nn_needs *needs)
{
    const struct nn_group_norm_options *o = node->options;
    struct columns columns = columns_of(node->shape.channels);
    (void)threads;
    needs->saved = training ? (size_t)batch * (size_t)o->groups * sizeof(struct statistics) : 0;
    needs->forward = DESCENT_MAX_CHUNKS * chunk_bytes(columns);
    needs->backward = needs->forward + DESCENT_MAX_CHUNKS * gradient_bytes(columns);
}

static struct coefficients coefficients_of(const struct nn_call *call, int chunk)
{
    struct columns columns = columns_of(call->out.channels);
    return coefficients_at((char *)call->workspace + (size_t)chunk * chunk_bytes(columns), columns);
}

static struct sums sums_of(const struct nn_call *call, int chunk)
{
    struct columns columns = columns_of(call->out.channels);
    return sums_at((char *)coefficients_of(call, chunk).mean + coefficients_bytes(columns), columns);
}

static float *gradients_of(const struct nn_call *call, int chunk)
{
    struct columns columns = columns_of(call->out.channels);
    char *first = (char *)call->workspace + DESCENT_MAX_CHUNKS * chunk_bytes(columns);
    return (float *)(void *)(first + (size_t)chunk * gradient_bytes(columns));
}

/* Scale or shift, or NULL for no_affine. */
static const float *learned(const struct nn_call *call, int which)
{
    const struct nn_group_norm_options *o = call->options;
    return o->no_affine ? NULL : call->param[which]->value;
}

/* Of channels first .. end-1, from the moments of each over `pixels`. */
static struct statistics group_statistics(struct sums moments, int first, int end, double pixels,
                                          double eps)
{
    double mean = 0, m2 = 0;
    for (int c = first; c < end; c++)
        mean += moments.first[c] / (end - first);
    for (int c = first; c < end; c++)
        m2 += moments.second[c] + pixels * (moments.first[c] - mean) * (moments.first[c] - mean);
    return (struct statistics){mean, 1 / sqrt(m2 / (pixels * (end - first)) + eps)};
}

static void forward_chunk(const struct nn_call *call, int chunk, int chunks, int thread)
{
    const struct nn_group_norm_options *o = call->options;
    struct columns columns = columns_of(call->out.channels);
    struct coefficients k = coefficients_of(call, chunk);
    struct sums at = sums_of(call, chunk);
    struct statistics *saved = call->saved;
    int64_t begin, end, size = nn_size(call->out), pixels = nn_space(call->out);
    int group = columns.channels / o->groups;
    (void)thread;
    descent_chunk_range(call->n, chunks, chunk, &begin, &end);
    for (int64_t i = begin; i < end; i++) {
        moments(call->x[0] + i * size, pixels, columns, at);
        for (int g = 0; g < o->groups; g++) {
            int first = g * group;
            struct statistics s = group_statistics(at, first, first + group, (double)pixels, o->eps);
            set_forward(k, first, first + group, s.mean, s.inverse, learned(call, SCALE),
                        learned(call, SHIFT));
            if (saved)
                saved[i * o->groups + g] = s;
        }
        repeat_coefficients(k, columns);
        normalize(call->y + i * size, call->x[0] + i * size, pixels, columns, k, call->relu);
    }
}

static void forward(const struct nn_call *call)
{
    nn_run_chunks(call, nn_sample_chunks(call), forward_chunk);
}

/* Of a group of m numbers z = (x - mean) / sqrt(variance + eps), y = scale z + shift:
 *
 *     dshift = sum dy,   dscale = sum dy z
 *     dx = (scale dy - sum(scale dy) / m - z sum(scale dy z) / m) / sqrt(variance + eps)
 *
 * Adds the first line to `dscale` and `dshift` and sets the coefficients of the second. */
static void group_gradient(struct sums sum, struct statistics s, int first, int end, double m,
                           const float *scale, float *restrict dscale, float *restrict dshift,
                           struct coefficients k)
{
    double a = 0, b = 0;
    for (int c = first; c < end; c++) {
        double weight = scale ? (double)scale[c] : 1, of_z = sum_of_dy_z(sum, c, s.mean, s.inverse);
        dscale[c] += (float)of_z;
        dshift[c] += (float)sum.first[c];
        a += weight * sum.first[c];
        b += weight * of_z;
    }
    set_backward(k, first, end, s.mean, s.inverse, scale, a / m, b / m);
}

static void backward_chunk(const struct nn_call *call, int chunk, int chunks, int thread)
{
    const struct nn_group_norm_options *o = call->options;
    struct columns columns = columns_of(call->out.channels);
    struct coefficients k = coefficients_of(call, chunk);
    struct sums sum = sums_of(call, chunk);
    float *dscale = gradients_of(call, chunk), *dshift = dscale + columns.channels;
    const float *scale = learned(call, SCALE), *shift = learned(call, SHIFT);
    int64_t begin, end, size = nn_size(call->out), pixels = nn_space(call->out);
    int group = columns.channels / o->groups;
    (void)thread;
    memset(dscale, 0, gradient_bytes(columns));
    descent_chunk_range(call->n, chunks, chunk, &begin, &end);
    for (int64_t i = begin; i < end; i++) {
        const float *x = call->x[0] + i * size, *dy = call->dy + i * size;
        const struct statistics *s = (const struct statistics *)call->saved + i * o->groups;
        for (int g = 0; g < o->groups; g++)
            set_forward(k, g * group, (g + 1) * group, s[g].mean, s[g].inverse, scale, shift);
        repeat_coefficients(k, columns);
        gradient_sums(dy, x, pixels, columns, k, call->relu, sum);
        for (int g = 0; g < o->groups; g++)
            group_gradient(sum, s[g], g * group, (g + 1) * group, (double)(pixels * group), scale, dscale,
                           dshift, k);
        repeat_coefficients(k, columns);
        if (call->dx[0])
            normalize_backward(call->dx[0] + i * size, dy, x, pixels, columns, k, call->relu);
    }
}

static void backward(const struct nn_call *call)
{
    int chunks = nn_sample_chunks(call), channels = call->out.channels;
    nn_run_chunks(call, chunks, backward_chunk);
    for (int p = 0; p < call->node->param_count; p++)
        for (int chunk = 0; chunk < chunks && call->param[p]->grad; chunk++)
            for (int c = 0; c < channels; c++)
                call->param[p]->grad[c] += gradients_of(call, chunk)[p * channels + c];
}

static double flops(const nn_node *node)
{
    return 5.0 * (double)nn_size(node->shape);
}

static nn_node *sample(nn_graph *graph, struct descent_random *random)
{
    int groups = nn_random_between(random, 1, 3), channels = groups * nn_random_between(random, 1, 4);
    int height = nn_random_between(random, 1, 4), width = nn_random_between(random, 1, 4);
    double eps = descent_random_below(random, 2) ? 0.01 : 0;
    return nn_group_norm(nn_input(graph, channels, height, width), groups, .eps = eps,
                         .no_affine = descent_random_below(random, 3) == 0);
}

/* y = (x - mean) / sqrt(variance + eps) weight + bias, mean and variance of the sample's group of channels
 */
const struct nn_op NN_OP(group_norm) = {
    .name = "group_norm",
    .options_size = sizeof(struct nn_group_norm_options),
    .name_offset = offsetof(struct nn_group_norm_options, name),
    .inputs = 1,
    .shape = shape,
    .plan = plan,
    .forward = forward,
    .backward = backward,
    .flops = flops,
    .reads_x = 1,
    .in_place = 1,
    .backward_in_place = 1,
    .fuses_relu = true,
    .sample = sample,
};
