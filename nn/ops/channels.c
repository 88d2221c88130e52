/* concat, pad_channels: channels of other nodes, or zeros, side by side. Both move slices of each pixel's
 * channels. */
#include "nn/op.h"

#include <limits.h>

/* Copies or adds the `width` channels of each pixel at `from`, out of `from_channels`, to those at `to`. */
static void copy_slice(float *restrict to, int to_channels, const float *restrict from, int from_channels,
                       int width, int64_t pixels, bool add)
{
    for (int64_t p = 0; p < pixels; p++, to += to_channels, from += from_channels)
        if (add)
            for (int c = 0; c < width; c++)
                to[c] += from[c];
        else
            memcpy(to, from, (size_t)width * sizeof *to);
}

static void zero_slice(float *to, int to_channels, int width, int64_t pixels)
{
    for (int64_t p = 0; p < pixels && width; p++, to += to_channels)
        memset(to, 0, (size_t)width * sizeof *to);
}

static void chunk_pixels(const struct nn_call *call, int chunk, int chunks, int64_t *begin, int64_t *end)
{
    descent_chunk_range(call->n * nn_space(call->out), chunks, chunk, begin, end);
}

static int pixel_chunks(const struct nn_call *call)
{
    int chunks = nn_element_chunks(call);
    int64_t pixels = call->n * nn_space(call->out);
    return chunks < pixels ? chunks : (int)pixels;
}

static double no_flops(const nn_node *node)
{
    (void)node;
    return 0;
}

static void concat_shape(nn_node *node)
{
    struct nn_shape shape = node->input[0]->shape;
    int64_t channels = 0;
    if (node->input_count < 2) {
        nn_fail(node, "one input; 2 to %d are needed", NN_MAX_INPUTS);
        return;
    }
    for (int i = 0; i < node->input_count; i++) {
        struct nn_shape other = node->input[i]->shape;
        if (other.height != shape.height || other.width != shape.width) {
            nn_fail(node, "input %d is %d x %d, not %d x %d as the first", i + 1, other.height, other.width,
                    shape.height, shape.width);
            return;
        }
        channels += other.channels;
    }
    if (channels > INT_MAX)
        nn_fail(node, "%lld channels are too many", (long long)channels);
    else
        node->shape = (struct nn_shape){(int)channels, shape.height, shape.width};
}

static void concat_forward_chunk(const struct nn_call *call, int chunk, int chunks, int thread)
{
    int64_t begin, end;
    int all = call->out.channels;
    (void)thread;
    chunk_pixels(call, chunk, chunks, &begin, &end);
    for (int i = 0, before = 0; i < call->node->input_count; i++) {
        struct nn_shape in = call->node->input[i]->shape;
        copy_slice(call->y + begin * all + before, all, call->x[i] + begin * in.channels, in.channels,
                   in.channels, end - begin, false);
        before += in.channels;
    }
}

static void concat_forward(const struct nn_call *call)
{
    nn_run_chunks(call, pixel_chunks(call), concat_forward_chunk);
}

static void concat_backward_chunk(const struct nn_call *call, int chunk, int chunks, int thread)
{
    int64_t begin, end;
    int all = call->out.channels;
    (void)thread;
    chunk_pixels(call, chunk, chunks, &begin, &end);
    for (int i = 0, before = 0; i < call->node->input_count; i++) {
        struct nn_shape in = call->node->input[i]->shape;
        if (call->dx[i])
            copy_slice(call->dx[i] + begin * in.channels, in.channels, call->dy + begin * all + before, all,
                       in.channels, end - begin, call->add[i]);
        before += in.channels;
    }
}

static void concat_backward(const struct nn_call *call)
{
    nn_run_chunks(call, pixel_chunks(call), concat_backward_chunk);
}

static nn_node *concat_sample(nn_graph *graph, struct descent_random *random)
{
    struct nn_concat_options options = {.x = {nn_sample_input(graph, random)}};
    struct nn_shape shape = nn_shape_of(options.x[0]);
    int count = nn_random_between(random, 2, NN_MAX_INPUTS);
    for (int i = 1; i < count; i++)
        options.x[i] = nn_input(graph, nn_random_between(random, 1, 5), shape.height, shape.width);
    return nn_build("concat", &options);
}

/* The channels of x[0], then those of x[1], ... */
const struct nn_op NN_OP(concat) = {
    .name = "concat",
    .options_size = sizeof(struct nn_concat_options),
    .name_offset = offsetof(struct nn_concat_options, name),
    .variadic = true,
    .shape = concat_shape,
    .forward = concat_forward,
    .backward = concat_backward,
    .flops = no_flops,
    .adds_dx = true,
    .sample = concat_sample,
};

static void pad_shape(nn_node *node)
{
    const struct nn_pad_channels_options *o = node->options;
    struct nn_shape in = node->input[0]->shape;
    int64_t channels = (int64_t)in.channels + o->before + o->after;
    if (o->before < 0 || o->after < 0 || channels > INT_MAX)
        nn_fail(node, "%d channels before and %d after; neither may be negative, nor their sum too large",
                o->before, o->after);
    else
        node->shape = (struct nn_shape){(int)channels, in.height, in.width};
}

static void pad_forward_chunk(const struct nn_call *call, int chunk, int chunks, int thread)
{
    const struct nn_pad_channels_options *o = call->options;
    int64_t begin, end;
    int all = call->out.channels, own = call->in.channels;
    (void)thread;
    chunk_pixels(call, chunk, chunks, &begin, &end);
    float *y = call->y + begin * all;
    zero_slice(y, all, o->before, end - begin);
    copy_slice(y + o->before, all, call->x[0] + begin * own, own, own, end - begin, false);
    zero_slice(y + o->before + own, all, o->after, end - begin);
}

static void pad_forward(const struct nn_call *call)
{
    nn_run_chunks(call, pixel_chunks(call), pad_forward_chunk);
}

static void pad_backward_chunk(const struct nn_call *call, int chunk, int chunks, int thread)
{
    const struct nn_pad_channels_options *o = call->options;
    int64_t begin, end;
    (void)thread;
    chunk_pixels(call, chunk, chunks, &begin, &end);
    int all = call->out.channels, own = call->in.channels;
    copy_slice(call->dx[0] + begin * own, own, call->dy + begin * all + o->before, all, own, end - begin,
               call->add[0]);
}

static void pad_backward(const struct nn_call *call)
{
    nn_run_chunks(call, pixel_chunks(call), pad_backward_chunk);
}

static nn_node *pad_sample(nn_graph *graph, struct descent_random *random)
{
    nn_node *x = nn_sample_input(graph, random);
    int before = nn_random_between(random, 0, 4);
    return nn_pad_channels(x, before, nn_random_between(random, 0, 4));
}

/* `before` channels of zeros, those of x, `after` channels of zeros */
const struct nn_op NN_OP(pad_channels) = {
    .name = "pad_channels",
    .options_size = sizeof(struct nn_pad_channels_options),
    .name_offset = offsetof(struct nn_pad_channels_options, name),
    .inputs = 1,
    .shape = pad_shape,
    .forward = pad_forward,
    .backward = pad_backward,
    .flops = no_flops,
    .adds_dx = true,
    .sample = pad_sample,
};
