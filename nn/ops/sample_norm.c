/* group_norm (Wu & He 2018, arXiv 1803.08494; torch.nn.GroupNorm) and layer_norm (Ba et al. 2016, arXiv
 * 1607.06450; torch.nn.LayerNorm over C, H, W): each sample to mean 0 and variance 1 within groups, then a
 * learned scale and shift.
 *
 * layer_norm is group_norm of a vector, in one group: it has a scale and shift for each element, not each
 * channel. In memory that vector is in HWC order, its parameters are in CHW order. */
#include "nn/ops/normalize.h"
#include "nn/ops/transpose.h"

#include <limits.h>

/* A sample as the loops see it: pixels x channels, of which each run of `group` channels is normalized
 * together. */
struct layout {
    int64_t pixels;
    int groups, group;
    struct columns columns;
};

static struct layout group_layout(const nn_node *node)
{
    const struct nn_group_norm_options *o = node->options;
    int channels = node->shape.channels;
    return (struct layout){nn_space(node->shape), o->groups, channels / o->groups, columns_of(channels)};
}

static struct layout layer_layout(const nn_node *node)
{
    int size = (int)nn_size(node->shape);
    return (struct layout){1, 1, size, columns_of(size)};
}

/* On top of the workspace; then coefficients and sums of each chunk, then the parameters' gradients of each
 * chunk. */
struct job {
    struct layout layout;
    double eps;
    const float *scale, *shift; /* one a channel of the layout; NULL for no_affine */
};

static size_t chunk_bytes(struct columns columns)
{
    return coefficients_bytes(columns) + sums_bytes(columns);
}

static void plan(struct layout layout, int batch, bool training, struct nn_needs *needs)
{
    size_t channels = (size_t)layout.columns.channels;
    needs->saved = training ? 2 * (size_t)batch * (size_t)layout.groups * sizeof(double) : 0;
    needs->forward =
        descent_round_up(sizeof(struct job)) + DESCENT_MAX_CHUNKS * chunk_bytes(layout.columns);
    needs->backward = needs->forward + DESCENT_MAX_CHUNKS * 2 * channels * sizeof(float);
}

static const struct job *job_of(const struct nn_call *call)
{
    return call->workspace;
}

static char *chunk_memory(const struct nn_call *call, int chunk)
{
    return (char *)call->workspace + descent_round_up(sizeof(struct job)) +
           (size_t)chunk * chunk_bytes(job_of(call)->layout.columns);
}

/* The chunk's gradients of scale, then of shift. */
static float *gradients_of(const struct nn_call *call, int chunk)
{
    return (float *)(void *)chunk_memory(call, DESCENT_MAX_CHUNKS) +
           (int64_t)chunk * 2 * job_of(call)->layout.columns.channels;
}

struct statistics {
    double mean, inverse; /* 1 / sqrt(variance + eps) */
};

/* The moments of group g; if the groups have several pieces, from those of the channels. */
static struct statistics group_statistics(const struct job *job, const float *x, int g, void *memory)
{
    struct layout layout = job->layout;
    double mean = 0, m2 = 0, pixels = (double)layout.pixels;
    int first = g * layout.group;
    if (layout.pixels == 1) {
        struct sums at = sums_at(memory, columns_of(1));
        moments(x + first, layout.group, columns_of(1), at);
        mean = at.first[0];
        m2 = at.second[0];
    } else {
        struct sums at = sums_at(memory, layout.columns);
        for (int c = first; c < first + layout.group; c++)
            mean += at.first[c] / layout.group;
        for (int c = first; c < first + layout.group; c++)
            m2 += at.second[c] + pixels * (at.first[c] - mean) * (at.first[c] - mean);
    }
    return (struct statistics){mean, 1 / sqrt(m2 / (pixels * layout.group) + job->eps)};
}

static void set_group(const struct job *job, struct coefficients k, int g, struct statistics s)
{
    int group = job->layout.group;
    set_forward(k, g * group, (g + 1) * group, s.mean, s.inverse, job->scale, job->shift);
}

static void forward_chunk(const struct nn_call *call, int chunk, int chunks, int thread)
{
    const struct job *job = job_of(call);
    struct layout layout = job->layout;
    struct coefficients k = coefficients_at(chunk_memory(call, chunk), layout.columns);
    void *memory = chunk_memory(call, chunk) + coefficients_bytes(layout.columns);
    struct statistics *saved = call->saved;
    int64_t begin, end, size = nn_size(call->out);
    (void)thread;
    descent_chunk_range(call->n, chunks, chunk, &begin, &end);
    for (int64_t i = begin; i < end; i++) {
        const float *x = call->x[0] + i * size;
        if (layout.pixels > 1)
            moments(x, layout.pixels, layout.columns, sums_at(memory, layout.columns));
        for (int g = 0; g < layout.groups; g++) {
            struct statistics s = group_statistics(job, x, g, memory);
            set_group(job, k, g, s);
            if (saved)
                saved[i * layout.groups + g] = s;
        }
        repeat_coefficients(k, layout.columns);
        normalize(call->y + i * size, x, layout.pixels, layout.columns, k, call->relu);
    }
}

/* Of a group of m numbers z = (x - mean) / sqrt(variance + eps), y = scale z + shift:
 *
 *     dshift = sum dy,   dscale = sum dy z
 *     dx = (scale dy - sum(scale dy) / m - z sum(scale dy z) / m) / sqrt(variance + eps)
 *
 * Adds the first line to `dscale` and `dshift` and sets the coefficients of the second. */
static void group_gradient(const struct job *job, struct coefficients k, int g, struct statistics s,
                           struct sums sum, float *restrict dscale, float *restrict dshift)
{
    int first = g * job->layout.group, end = first + job->layout.group;
    double m = (double)(job->layout.pixels * job->layout.group), a = 0, b = 0;
    for (int c = first; c < end; c++) {
        double scale = job->scale ? (double)job->scale[c] : 1,
               of_z = sum_of_dy_z(sum, c, s.mean, s.inverse);
        dscale[c] += (float)of_z;
        dshift[c] += (float)sum.first[c];
        a += scale * sum.first[c];
        b += scale * of_z;
    }
    set_backward(k, first, end, s.mean, s.inverse, job->scale, a / m, b / m);
}

static void backward_chunk(const struct nn_call *call, int chunk, int chunks, int thread)
{
    const struct job *job = job_of(call);
    struct layout layout = job->layout;
    struct coefficients k = coefficients_at(chunk_memory(call, chunk), layout.columns);
    struct sums sum =
        sums_at(chunk_memory(call, chunk) + coefficients_bytes(layout.columns), layout.columns);
    const struct statistics *saved = call->saved;
    float *dscale = gradients_of(call, chunk), *dshift = dscale + layout.columns.channels;
    int64_t begin, end, size = nn_size(call->out);
    (void)thread;
    memset(dscale, 0, 2 * (size_t)layout.columns.channels * sizeof *dscale);
    descent_chunk_range(call->n, chunks, chunk, &begin, &end);
    for (int64_t i = begin; i < end; i++) {
        const float *x = call->x[0] + i * size, *dy = call->dy + i * size;
        const struct statistics *s = saved + i * layout.groups;
        for (int g = 0; g < layout.groups; g++)
            set_group(job, k, g, s[g]);
        repeat_coefficients(k, layout.columns);
        gradient_sums(dy, x, layout.pixels, layout.columns, k, call->relu, sum);
        for (int g = 0; g < layout.groups; g++)
            group_gradient(job, k, g, s[g], sum, dscale, dshift);
        repeat_coefficients(k, layout.columns);
        if (call->dx[0])
            normalize_backward(call->dx[0] + i * size, dy, x, layout.pixels, layout.columns, k, call->relu);
    }
}

static void start(const struct nn_call *call, struct job job)
{
    *(struct job *)call->workspace = job;
}

/* Adds what the chunks found to chunk 0's. */
static void backward(const struct nn_call *call, struct job job)
{
    int chunks = nn_sample_chunks(call);
    start(call, job);
    nn_run_chunks(call, chunks, backward_chunk);
    nn_add_partials(call, gradients_of(call, 1), chunks - 1, 2 * (int64_t)job.layout.columns.channels,
                    gradients_of(call, 0));
}

static double flops(const nn_node *node)
{
    return 5.0 * (double)nn_size(node->shape);
}

static void group_shape(nn_node *node)
{
    struct nn_group_norm_options *o = node->options;
    nn_shape_of_input(node);
    if (o->groups < 1 || node->shape.channels % o->groups)
        nn_fail(node, "%d groups of %d channels; the one must divide the other", o->groups,
                node->shape.channels);
    else if (check_eps(node, &o->eps) && !o->no_affine)
        add_scale_and_shift(node, (struct nn_param_spec){.rank = 1, .shape = {node->shape.channels}});
}

static void group_plan(const nn_node *node, int batch, bool training, int threads, struct nn_needs *needs)
{
    (void)threads;
    plan(group_layout(node), batch, training, needs);
}

static struct job group_job(const struct nn_call *call)
{
    const struct nn_group_norm_options *o = call->options;
    return (struct job){group_layout(call->node), o->eps, o->no_affine ? NULL : call->param[SCALE]->value,
                        o->no_affine ? NULL : call->param[SHIFT]->value};
}

static void group_forward(const struct nn_call *call)
{
    start(call, group_job(call));
    nn_run_chunks(call, nn_sample_chunks(call), forward_chunk);
}

static void group_backward(const struct nn_call *call)
{
    const struct nn_group_norm_options *o = call->options;
    int channels = call->out.channels;
    backward(call, group_job(call));
    for (int p = SCALE; p <= SHIFT && !o->no_affine; p++)
        for (int c = 0; c < channels && call->param[p]->grad; c++)
            call->param[p]->grad[c] += gradients_of(call, 0)[p * channels + c];
}

static nn_node *group_sample(nn_graph *graph, struct descent_random *random)
{
    int groups = nn_random_between(random, 1, 3), channels = groups * nn_random_between(random, 1, 4);
    int height = nn_random_between(random, 1, 4);
    return nn_group_norm(nn_input(graph, channels, height, nn_random_between(random, 1, 4)), groups,
                         .eps = descent_random_below(random, 2) ? 0.01 : 0,
                         .no_affine = descent_random_below(random, 3) == 0);
}

/* y = (x - mean) / sqrt(variance + eps) weight + bias, mean and variance of the sample's group of channels
 */
const struct nn_op NN_OP(group_norm) = {
    .name = "group_norm",
    .options_size = sizeof(struct nn_group_norm_options),
    .name_offset = offsetof(struct nn_group_norm_options, name),
    .inputs = 1,
    .shape = group_shape,
    .plan = group_plan,
    .forward = group_forward,
    .backward = group_backward,
    .flops = flops,
    .reads_x = 1,
    .in_place = 1,
    .backward_in_place = 1,
    .fuses_relu = true,
    .sample = group_sample,
};

static void layer_shape(nn_node *node)
{
    struct nn_layer_norm_options *o = node->options;
    nn_shape_of_input(node);
    struct nn_shape s = node->shape;
    if (nn_size(s) > INT_MAX)
        nn_fail(node, "%d x %d x %d elements are too many", s.channels, s.height, s.width);
    else if (check_eps(node, &o->eps) && !o->no_affine)
        add_scale_and_shift(node, (struct nn_param_spec){.rank = nn_space(s) == 1 ? 1 : 3,
                                                         .shape = {s.channels, s.height, s.width}});
}

static void layer_plan(const nn_node *node, int batch, bool training, int threads, struct nn_needs *needs)
{
    const struct nn_layer_norm_options *o = node->options;
    (void)threads;
    plan(layer_layout(node), batch, training, needs);
    needs->packed = o->no_affine ? 0 : 2 * (size_t)nn_size(node->shape) * sizeof(float);
}

/* Scale, then shift, in HWC order. */
static void layer_pack(const struct nn_call *call)
{
    for (int p = SCALE; p <= SHIFT; p++)
        transpose((float *)call->packed + p * nn_size(call->out), call->param[p]->value, call->out.channels,
                  nn_space(call->out));
}

static struct job layer_job(const struct nn_call *call)
{
    const struct nn_layer_norm_options *o = call->options;
    const float *scale = o->no_affine ? NULL : call->packed;
    return (struct job){layer_layout(call->node), o->eps, scale, scale ? scale + nn_size(call->out) : NULL};
}

static void layer_forward(const struct nn_call *call)
{
    start(call, layer_job(call));
    nn_run_chunks(call, nn_sample_chunks(call), forward_chunk);
}

static void layer_backward(const struct nn_call *call)
{
    const struct nn_layer_norm_options *o = call->options;
    int64_t channels = call->out.channels, space = nn_space(call->out);
    backward(call, layer_job(call));
    for (int p = SCALE; p <= SHIFT && !o->no_affine; p++) {
        const float *hwc = gradients_of(call, 0) + p * channels * space;
        float *chw = call->param[p]->grad;
        for (int64_t c = 0; c < channels && chw; c++)
            for (int64_t s = 0; s < space; s++)
                chw[c * space + s] += hwc[s * channels + c];
    }
}

static nn_node *layer_sample(nn_graph *graph, struct descent_random *random)
{
    return nn_layer_norm(nn_sample_input(graph, random), .eps = descent_random_below(random, 2) ? 0.01 : 0,
                         .no_affine = descent_random_below(random, 3) == 0);
}

/* y = (x - mean) / sqrt(variance + eps) weight + bias, mean and variance of the whole sample */
const struct nn_op NN_OP(layer_norm) = {
    .name = "layer_norm",
    .options_size = sizeof(struct nn_layer_norm_options),
    .name_offset = offsetof(struct nn_layer_norm_options, name),
    .inputs = 1,
    .shape = layer_shape,
    .plan = layer_plan,
    .pack = layer_pack,
    .forward = layer_forward,
    .backward = layer_backward,
    .flops = flops,
    .reads_x = 1,
    .in_place = 1,
    .backward_in_place = 1,
    .fuses_relu = true,
    .sample = layer_sample,
};
