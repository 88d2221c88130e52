/* Maximum and average over windows (torch.nn.MaxPool2d, AvgPool2d). A chunk is a run of samples. */
#include "nn/op.h"
#include "nn/vector.h"

static void shape(nn_node *node)
{
    struct nn_pool2d_options *o = node->options;
    struct nn_shape in = node->input[0]->shape;
    if (o->stride == 0)
        o->stride = o->kernel;
    if (o->kernel < 1 || o->stride < 1)
        nn_fail(node, "kernel %d, stride %d; both are at least 1", o->kernel, o->stride);
    else if (o->padding < 0 || o->padding > o->kernel / 2)
        nn_fail(node, "padding %d; expected 0 to half the kernel (%d)", o->padding, o->kernel / 2);
    else if (o->kernel > in.height + 2 * o->padding || o->kernel > in.width + 2 * o->padding)
        nn_fail(node, "kernel %d does not fit a %d x %d input%s", o->kernel, in.height, in.width,
                o->padding ? " with its padding" : "");
    else
        node->shape =
            (struct nn_shape){in.channels, (in.height + 2 * o->padding - o->kernel) / o->stride + 1,
                              (in.width + 2 * o->padding - o->kernel) / o->stride + 1};
}

static double flops(const nn_node *node)
{
    const struct nn_pool2d_options *o = node->options;
    return (double)nn_size(node->shape) * o->kernel * o->kernel;
}

static int chunks_of(const struct nn_call *call)
{
    int by_work = descent_chunk_count(call->n * nn_size(call->in), 32768);
    return by_work < call->n ? by_work : call->n;
}

struct window {
    int top, bottom, left, right; /* inside the input */
};

static struct window window_at(const struct nn_call *call, int row, int column)
{
    const struct nn_pool2d_options *o = call->options;
    int top = row * o->stride - o->padding, left = column * o->stride - o->padding;
    int bottom = top + o->kernel, right = left + o->kernel;
    return (struct window){top > 0 ? top : 0, bottom < call->in.height ? bottom : call->in.height,
                           left > 0 ? left : 0, right < call->in.width ? right : call->in.width};
}

/* What an average divides by. */
static float divisor(const struct nn_call *call, struct window w)
{
    const struct nn_pool2d_options *o = call->options;
    int inside = (w.bottom - w.top) * (w.right - w.left);
    return (float)(o->exclude_padding ? inside : o->kernel * o->kernel);
}

/* Pixels are handled a vector of channels at a time. The vector may hang over into the next pixel: there a
 * load reads what is ignored, a store writes what the next pixel's own store mends, and an addition adds
 * zeros. Where a sample ends too soon for that, `lanes` is exact. */

/* `maximum` is a constant where these are inlined. The first of equal maxima takes the gradient, NaN wins,
 * as in PyTorch. */
NN_INLINE void forward_pixel(const struct nn_call *call, struct window w, const float *x, float *y,
                             bool exact, bool maximum)
{
    const ptrdiff_t channels = call->in.channels, pitch = channels * call->in.width;
    for (ptrdiff_t c = 0; c < channels; c += NN_LANES) {
        int lanes = exact ? (int)(channels - c) : NN_LANES;
        nn_vector result = {0};
        if (maximum)
            result = nn_vector_load_part(x + w.top * pitch + w.left * channels + c, lanes);
        for (ptrdiff_t i = w.top; i < w.bottom; i++)
            for (ptrdiff_t j = w.left; j < w.right; j++) {
                nn_vector value = nn_vector_load_part(x + i * pitch + j * channels + c, lanes);
                if (maximum)
                    result = nn_vector_select((value > result) | (value != value), value, result);
                else
                    result += value;
            }
        if (!maximum)
            result *= 1 / divisor(call, w);
        nn_vector_store_part(y + c, result, lanes);
    }
}

/* alone: no other window reaches these pixels of dx, so they are stored, not added to. */
NN_INLINE void backward_pixel(const struct nn_call *call, struct window w, const float *x, const float *y,
                              const float *dy, float *dx, bool exact, bool alone, bool maximum)
{
    const ptrdiff_t channels = call->in.channels, pitch = channels * call->in.width;
    for (ptrdiff_t c = 0; c < channels; c += NN_LANES) {
        int left = (int)(channels - c), lanes = exact ? left : NN_LANES;
        nn_vector gradient = nn_vector_first(nn_vector_load_part(dy + c, lanes), left), best = {0};
        nn_mask open = ~(nn_mask){0}; /* lanes whose maximum was not met yet */
        if (maximum)
            best = nn_vector_load_part(y + c, lanes);
        else
            gradient *= 1 / divisor(call, w);
        for (ptrdiff_t i = w.top; i < w.bottom; i++)
            for (ptrdiff_t j = w.left; j < w.right; j++) {
                ptrdiff_t at = i * pitch + j * channels + c;
                nn_vector part = gradient;
                if (maximum) {
                    nn_mask here = (nn_vector_load_part(x + at, lanes) == best) & open;
                    open &= ~here;
                    part = nn_vector_and(gradient, here);
                }
                if (!alone)
                    part += nn_vector_load_part(dx + at, lanes);
                nn_vector_store_part(dx + at, part, lanes);
            }
    }
}

/* Floats from the start of an image to the pixel. */
static int64_t pixel_at(struct nn_shape shape, int row, int column)
{
    return ((int64_t)row * shape.width + column) * shape.channels;
}

NN_INLINE void visit(const struct nn_call *call, int chunk, int chunks, bool maximum, bool forward)
{
    const struct nn_pool2d_options *o = call->options;
    int64_t begin, end, in = nn_size(call->in), out = nn_size(call->out);
    int64_t channels = call->in.channels, padded = (channels + NN_LANES - 1) / NN_LANES * NN_LANES;
    /* With several vectors a pixel, the last must not hang over into a pixel whose first was stored
     * already. */
    bool alone = !call->add[0] && o->stride >= o->kernel && (padded == NN_LANES || padded == channels);
    descent_chunk_range(call->n, chunks, chunk, &begin, &end);
    for (int64_t s = begin; s < end; s++) {
        const float *x = call->x[0] + s * in;
        if (!forward && !call->add[0])
            memset(call->dx[0] + s * in, 0, (size_t)in * sizeof(float));
        for (int row = 0; row < call->out.height; row++)
            for (int column = 0; column < call->out.width; column++) {
                struct window w = window_at(call, row, column);
                int64_t at = pixel_at(call->out, row, column);
                bool exact = at + padded > out ||
                             pixel_at(call->in, w.bottom - 1, w.right - 1) + padded > in ||
                             (alone && (w.right - 1) * channels + padded > call->in.width * channels);
                at += s * out;
                if (forward)
                    forward_pixel(call, w, x, call->y + at, exact, maximum);
                else
                    backward_pixel(call, w, x, call->y + at, call->dy + at, call->dx[0] + s * in, exact,
                                   alone, maximum);
            }
    }
}

#define PASS(pass, maximum, is_forward)                                                                    \
    static void pass##_chunk(const struct nn_call *call, int chunk, int chunks, int thread)                \
    {                                                                                                      \
        (void)thread;                                                                                      \
        visit(call, chunk, chunks, maximum, is_forward);                                                   \
    }                                                                                                      \
    static void pass(const struct nn_call *call)                                                           \
    {                                                                                                      \
        nn_run_chunks(call, chunks_of(call), pass##_chunk);                                                \
    }

PASS(max_forward, true, true)
PASS(max_backward, true, false)
PASS(average_forward, false, true)
PASS(average_backward, false, false)

static struct nn_pool2d_options sample_options(nn_graph *graph, struct descent_random *random)
{
    int kernel = nn_random_between(random, 1, 4);
    nn_node *x = nn_input(graph, nn_random_between(random, 1, 9), nn_random_between(random, 4, 9),
                          nn_random_between(random, 4, 9));
    return (struct nn_pool2d_options){
        .x = x,
        .kernel = kernel,
        .stride = nn_random_between(random, 0, 3),
        .padding = nn_random_between(random, 0, kernel / 2),
        .exclude_padding = nn_random_between(random, 0, 1),
    };
}

static nn_node *max_sample(nn_graph *graph, struct descent_random *random)
{
    struct nn_pool2d_options options = sample_options(graph, random);
    return nn_build("max_pool2d", &options);
}

static nn_node *average_sample(nn_graph *graph, struct descent_random *random)
{
    struct nn_pool2d_options options = sample_options(graph, random);
    return nn_build("avg_pool2d", &options);
}

#define COMMON                                                                                             \
    .options_size = sizeof(struct nn_pool2d_options),                                                      \
    .name_offset = offsetof(struct nn_pool2d_options, name), .inputs = 1, .shape = shape, .flops = flops,  \
    .adds_dx = true

const struct nn_op NN_OP(max_pool2d) = {
    .name = "max_pool2d",
    COMMON,
    .reads_x = 1,
    .reads_y = true,
    .forward = max_forward,
    .backward = max_backward,
    .sample = max_sample,
};

const struct nn_op NN_OP(avg_pool2d) = {
    .name = "avg_pool2d",
    COMMON,
    .forward = average_forward,
    .backward = average_backward,
    .sample = average_sample,
};
