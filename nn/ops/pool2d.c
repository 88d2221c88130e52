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
    int by_work = descent_chunk_count(call->n * nn_size(call->in), 8192);
    return by_work < call->n ? by_work : call->n;
}

/* The pixels under a window that exist, and the way from one to the next in floats. */
struct window {
    int rows, columns;
    ptrdiff_t channels, pitch;
    float divisor; /* of an average */
};

/* Pixels are handled a vector of channels at a time. The vector may hang over into the next pixel: there a
 * load reads what is ignored, a store writes what the next pixel's own store mends, and an addition adds
 * zeros. Where a sample ends too soon for that, `lanes` is exact. */

/* How backward writes dx: where no other window reaches a pixel it is stored, with what hangs over (STORE)
 * or, where the next pixel was stored before, without (KEEP). */
enum write { STORE, KEEP, ADD };

/* `maximum` is a constant where these are inlined, and so may be the window's size. The first of equal
 * maxima takes the gradient, NaN wins, as in PyTorch. */
NN_INLINE void forward_window(struct window w, const float *x, float *y, bool exact, bool maximum)
{
    for (ptrdiff_t c = 0; c < w.channels; c += NN_LANES) {
        int lanes = exact ? (int)(w.channels - c) : NN_LANES;
        nn_vector result = {0};
        if (maximum)
            result = nn_vector_load_part(x + c, lanes);
        for (ptrdiff_t i = 0; i < w.rows; i++)
            for (ptrdiff_t j = 0; j < w.columns; j++) {
                nn_vector value = nn_vector_load_part(x + i * w.pitch + j * w.channels + c, lanes);
                if (maximum)
                    result = nn_vector_select((value > result) | (value != value), value, result);
                else
                    result += value;
            }
        if (!maximum)
            result *= 1 / w.divisor;
        nn_vector_store_part(y + c, result, lanes);
    }
}

NN_INLINE void backward_window(struct window w, const float *x, const float *y, const float *dy, float *dx,
                               bool exact, enum write write, bool maximum)
{
    for (ptrdiff_t c = 0; c < w.channels; c += NN_LANES) {
        int left = (int)(w.channels - c), lanes = exact ? left : NN_LANES;
        nn_vector gradient = nn_vector_first(nn_vector_load_part(dy + c, lanes), left), best = {0};
        nn_mask open = ~(nn_mask){0}; /* lanes whose maximum was not met yet */
        if (maximum)
            best = nn_vector_load_part(y + c, lanes);
        else
            gradient *= 1 / w.divisor;
        for (ptrdiff_t i = 0; i < w.rows; i++)
            for (ptrdiff_t j = 0; j < w.columns; j++) {
                ptrdiff_t at = i * w.pitch + j * w.channels + c;
                nn_vector part = gradient;
                if (maximum) {
                    nn_mask here = (nn_vector_load_part(x + at, lanes) == best) & open;
                    open &= ~here;
                    part = nn_vector_and(gradient, here);
                }
                if (write == ADD)
                    part += nn_vector_load_part(dx + at, lanes);
                else if (write == KEEP && !exact)
                    part = nn_vector_select(nn_mask_first(left), part, nn_vector_load(dx + at));
                nn_vector_store_part(dx + at, part, lanes);
            }
    }
}

/* What a pass reads and writes of one sample. */
struct sample {
    const float *x, *dy;
    float *y, *dx;
};

/* from, to: floats to the window's first pixel and to that of the output */
NN_INLINE void window(struct sample s, struct window w, ptrdiff_t from, ptrdiff_t to, bool exact,
                      enum write write, bool maximum, bool forward)
{
    if (forward)
        forward_window(w, s.x + from, s.y + to, exact, maximum);
    else
        backward_window(w, s.x + from, s.y + to, s.dy + to, s.dx + from, exact, write, maximum);
}

/* Any window of an output row from column `first` on: cut by the padding, at the end of a row or image. */
NN_INLINE void windows(const struct nn_call *call, struct sample s, int row, int first, bool apart,
                       bool maximum, bool forward)
{
    const struct nn_pool2d_options *o = call->options;
    const struct nn_shape in = call->in, out = call->out;
    const ptrdiff_t channels = in.channels, padded = nn_whole_vectors(channels),
                    pitch = channels * in.width;
    int top = row * o->stride - o->padding, bottom = top + o->kernel;
    top = top > 0 ? top : 0, bottom = bottom < in.height ? bottom : in.height;
    for (int column = first; column < out.width; column++) {
        int left = column * o->stride - o->padding, right = left + o->kernel;
        left = left > 0 ? left : 0, right = right < in.width ? right : in.width;
        struct window w = {bottom - top, right - left, channels, pitch, 0};
        w.divisor = (float)(o->exclude_padding ? w.rows * w.columns : o->kernel * o->kernel);
        ptrdiff_t from = top * pitch + left * channels,
                  to = ((ptrdiff_t)row * out.width + column) * channels;
        ptrdiff_t row_end = (right - 1) * channels + padded;
        if (to + padded > nn_size(out) || (bottom - 1) * pitch + row_end > nn_size(in))
            window(s, w, from, to, true, apart ? KEEP : ADD, maximum, forward);
        else if (!apart)
            window(s, w, from, to, false, ADD, maximum, forward);
        else /* what hangs over the end of a row of x falls on a pixel of this row of windows */
            window(s, w, from, to, false, row_end <= pitch ? STORE : KEEP, maximum, forward);
    }
}

/* Every window of a chunk. size: of windows that are all whole, a constant where this is inlined, or 0. */
NN_INLINE void visit(const struct nn_call *call, int chunk, int chunks, bool maximum, bool forward,
                     int size)
{
    const struct nn_pool2d_options *o = call->options;
    const struct nn_shape in = call->in, out = call->out;
    const ptrdiff_t channels = in.channels, padded = nn_whole_vectors(channels),
                    pitch = channels * in.width, step = o->stride * channels;
    /* With several vectors a pixel, the last must not hang over into a pixel whose first was stored
     * already. */
    const bool add = call->add[0],
               apart = !add && o->stride >= o->kernel && (padded == NN_LANES || padded == channels),
               covered = o->stride == o->kernel && !o->padding && in.height == out.height * o->kernel &&
                         in.width == out.width * o->kernel;
    /* Windows of a row that are inside of it with what hangs over. */
    const ptrdiff_t room = pitch - padded - (size - 1) * channels;
    const int roomy = size && (forward || apart) && room >= 0 ? (int)(room / step) + 1 : 0,
              most = roomy < out.width ? roomy : out.width;
    const struct window w = {size, size, channels, pitch, (float)(size * size)};
    int64_t begin, end;
    descent_chunk_range(call->n, chunks, chunk, &begin, &end);
    for (int64_t i = begin; i < end; i++) {
        struct sample s = {.x = call->x[0] + i * nn_size(in), .y = call->y + i * nn_size(out)};
        if (!forward)
            s.dx = call->dx[0] + i * nn_size(in), s.dy = call->dy + i * nn_size(out);
        if (!forward && !add && !(apart && covered))
            memset(s.dx, 0, (size_t)nn_size(in) * sizeof *s.dx);
        for (int row = 0; row < out.height; row++) {
            ptrdiff_t from = row * o->stride * pitch, to = (ptrdiff_t)row * out.width * channels;
            int easy = to + (most - 1) * channels + padded <= nn_size(out) ? most : 0;
            for (int column = 0; column < easy; column++, from += step, to += channels)
                window(s, w, from, to, false, STORE, maximum, forward);
            windows(call, s, row, easy, apart, maximum, forward);
        }
    }
}

#define PASS(pass, maximum, is_forward)                                                                    \
    static void pass##_chunk(const struct nn_call *call, int chunk, int chunks, int thread)                \
    {                                                                                                      \
        const struct nn_pool2d_options *o = call->options;                                                 \
        (void)thread;                                                                                      \
        if (o->kernel == 2 && !o->padding)                                                                 \
            visit(call, chunk, chunks, maximum, is_forward, 2);                                            \
        else                                                                                               \
            visit(call, chunk, chunks, maximum, is_forward, 0);                                            \
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
    int kernel = nn_random_between(random, 1, 4), channels = nn_random_between(random, 1, 9);
    int height = nn_random_between(random, 4, 9), width = nn_random_between(random, 4, 9);
    struct nn_pool2d_options options = {.x = nn_input(graph, channels, height, width), .kernel = kernel};
    options.stride = nn_random_between(random, 0, 3);
    options.padding = nn_random_between(random, 0, kernel / 2);
    options.exclude_padding = nn_random_between(random, 0, 1);
    return options;
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
