/* flatten, reshape: the elements of a sample in CHW order, seen as another shape (torch.flatten,
 * torch.reshape).
 *
 * Values are stored HWC, so this moves memory, HWC -> CHW -> HWC, unless one of the two orders is the
 * other. */
#include "nn/op.h"
#include "nn/vector.h"

#include <limits.h>

/* HWC and CHW order are the same. */
static bool plain(struct nn_shape shape)
{
    return shape.channels == 1 || nn_space(shape) == 1;
}

static bool view(const nn_node *node)
{
    struct nn_shape in = node->input[0]->shape, out = node->shape;
    return in.channels == out.channels || (plain(in) && plain(out));
}

static void plan(const nn_node *node, int batch, bool training, int threads, struct nn_needs *needs)
{
    (void)batch, (void)training, (void)threads;
    if (!view(node) && !plain(node->input[0]->shape) && !plain(node->shape))
        needs->forward = needs->backward =
            DESCENT_MAX_CHUNKS * (size_t)nn_size(node->shape) * sizeof(float);
}

/* to: columns x rows; from: rows x columns */
static void transpose(float *to, const float *from, int64_t rows, int64_t columns)
{
    nn_transpose(from, columns, rows, columns, to, rows);
}

/* One sample, HWC of shape a -> CHW -> HWC of shape b. between: room for the sample when neither is plain.
 */
static void permute(float *to, struct nn_shape b, const float *from, struct nn_shape a, float *between)
{
    if (a.channels == b.channels || (plain(a) && plain(b))) {
        memcpy(to, from, (size_t)nn_size(a) * sizeof(float));
    } else if (plain(b)) {
        transpose(to, from, nn_space(a), a.channels);
    } else if (plain(a)) {
        transpose(to, from, b.channels, nn_space(b));
    } else {
        transpose(between, from, nn_space(a), a.channels);
        transpose(to, between, b.channels, nn_space(b));
    }
}

static void permute_samples(const struct nn_call *call, int chunk, int chunks, float *to, struct nn_shape b,
                            const float *from, struct nn_shape a)
{
    int64_t begin, end, size = nn_size(a);
    float *between = call->workspace;
    descent_chunk_range(call->n, chunks, chunk, &begin, &end);
    for (int64_t i = begin; i < end; i++)
        permute(to + i * size, b, from + i * size, a, between ? between + chunk * size : NULL);
}

static void forward_chunk(const struct nn_call *call, int chunk, int chunks, int thread)
{
    (void)thread;
    permute_samples(call, chunk, chunks, call->y, call->out, call->x[0], call->in);
}

static void backward_chunk(const struct nn_call *call, int chunk, int chunks, int thread)
{
    (void)thread;
    permute_samples(call, chunk, chunks, call->dx[0], call->in, call->dy, call->out);
}

static void forward(const struct nn_call *call)
{
    nn_run_chunks(call, nn_sample_chunks(call), forward_chunk);
}

static void backward(const struct nn_call *call)
{
    nn_run_chunks(call, nn_sample_chunks(call), backward_chunk);
}

static double no_flops(const nn_node *node)
{
    (void)node;
    return 0;
}

static void flatten_shape(nn_node *node)
{
    int64_t size = nn_size(node->input[0]->shape);
    if (size > INT_MAX)
        nn_fail(node, "%lld features are too many", (long long)size);
    else
        node->shape = (struct nn_shape){(int)size, 1, 1};
}

static nn_node *flatten_sample(nn_graph *graph, struct descent_random *random)
{
    return nn_flatten(nn_sample_input(graph, random));
}

/* y_(c H + h) W + w = x_chw */
const struct nn_op NN_OP(flatten) = {
    .name = "flatten",
    .options_size = sizeof(struct nn_plain_options),
    .name_offset = offsetof(struct nn_plain_options, name),
    .inputs = 1,
    .shape = flatten_shape,
    .plan = plan,
    .forward = forward,
    .backward = backward,
    .flops = no_flops,
    .view = view,
    .sample = flatten_sample,
};

static void reshape_shape(nn_node *node)
{
    struct nn_reshape_options *o = node->options;
    struct nn_shape in = node->input[0]->shape;
    o->height = o->height ? o->height : 1;
    o->width = o->width ? o->width : 1;
    struct nn_shape out = {o->channels, o->height, o->width};
    if (out.channels < 1 || out.height < 1 || out.width < 1 || !nn_size_fits(out) ||
        nn_size(out) != nn_size(in))
        nn_fail(node, "%d x %d x %d does not have the %lld elements of its %d x %d x %d input",
                out.channels, out.height, out.width, (long long)nn_size(in), in.channels, in.height,
                in.width);
    else
        node->shape = out;
}

static nn_node *reshape_sample(nn_graph *graph, struct descent_random *random)
{
    int channels = nn_random_between(random, 1, 5), height = nn_random_between(random, 1, 5);
    int width = nn_random_between(random, 1, 5), split = nn_random_between(random, 1, 3);
    nn_node *x = nn_input(graph, channels * split, height, width);
    switch (descent_random_below(random, 3)) {
    case 0:
        return nn_reshape(x, channels * split * height, width);
    case 1:
        return nn_reshape(x, height, .height = channels * split, .width = width);
    default:
        return nn_reshape(x, channels, .height = height * split, .width = width);
    }
}

/* y has the elements of x, both in CHW order. */
const struct nn_op NN_OP(reshape) = {
    .name = "reshape",
    .options_size = sizeof(struct nn_reshape_options),
    .name_offset = offsetof(struct nn_reshape_options, name),
    .inputs = 1,
    .shape = reshape_shape,
    .plan = plan,
    .forward = forward,
    .backward = backward,
    .flops = no_flops,
    .view = view,
    .sample = reshape_sample,
};
