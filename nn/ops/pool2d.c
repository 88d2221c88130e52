/* Maximum and average over windows (torch.nn.MaxPool2d, AvgPool2d). A chunk is a run of samples. */
#include "nn/op.h"

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

/* y: one output pixel; best: where in the window (row-major among the kernel's positions) each maximum was.
 * NaN wins, as in PyTorch. */
static void max_pixel(const struct nn_call *call, const float *restrict x, struct window w,
                      float *restrict y, uint8_t *restrict best)
{
    int channels = call->in.channels, index = 0;
    for (int i = w.top; i < w.bottom; i++)
        for (int j = w.left; j < w.right; j++, index++) {
            const float *restrict pixel = x + ((int64_t)i * call->in.width + j) * channels;
            if (!index)
                for (int c = 0; c < channels; c++)
                    y[c] = pixel[c], best[c] = 0;
            else
                for (int c = 0; c < channels; c++) {
                    bool wins = pixel[c] > y[c] || pixel[c] != pixel[c];
                    y[c] = wins ? pixel[c] : y[c];
                    best[c] = wins ? (uint8_t)index : best[c];
                }
        }
}

static void average_pixel(const struct nn_call *call, const float *restrict x, struct window w,
                          float *restrict y)
{
    int channels = call->in.channels;
    float factor = 1 / divisor(call, w);
    for (int c = 0; c < channels; c++)
        y[c] = 0;
    for (int i = w.top; i < w.bottom; i++)
        for (int j = w.left; j < w.right; j++) {
            const float *restrict pixel = x + ((int64_t)i * call->in.width + j) * channels;
            for (int c = 0; c < channels; c++)
                y[c] += pixel[c];
        }
    for (int c = 0; c < channels; c++)
        y[c] *= factor;
}

static void max_backward_pixel(const struct nn_call *call, const float *restrict dy, struct window w,
                               const uint8_t *restrict best, float *restrict dx)
{
    int channels = call->in.channels, index = 0;
    for (int i = w.top; i < w.bottom; i++)
        for (int j = w.left; j < w.right; j++, index++) {
            float *restrict pixel = dx + ((int64_t)i * call->in.width + j) * channels;
            for (int c = 0; c < channels; c++)
                pixel[c] += best[c] == index ? dy[c] : 0;
        }
}

static void average_backward_pixel(const struct nn_call *call, const float *restrict dy, struct window w,
                                   float *restrict dx)
{
    int channels = call->in.channels;
    float factor = 1 / divisor(call, w);
    for (int i = w.top; i < w.bottom; i++)
        for (int j = w.left; j < w.right; j++) {
            float *restrict pixel = dx + ((int64_t)i * call->in.width + j) * channels;
            for (int c = 0; c < channels; c++)
                pixel[c] += factor * dy[c];
        }
}

/* Visits every output pixel of a chunk's samples. `maximum` and `forward` are constants where this is
 * inlined. */
static inline __attribute__((always_inline)) void visit(const struct nn_call *call, int chunk, int chunks,
                                                        bool maximum, bool forward)
{
    int64_t begin, end, in = nn_size(call->in), out = nn_size(call->out);
    descent_chunk_range(call->n, chunks, chunk, &begin, &end);
    for (int64_t s = begin; s < end; s++) {
        if (!forward && !call->add[0])
            memset(call->dx[0] + s * in, 0, (size_t)in * sizeof(float));
        for (int row = 0; row < call->out.height; row++)
            for (int column = 0; column < call->out.width; column++) {
                struct window w = window_at(call, row, column);
                int64_t at = s * out + ((int64_t)row * call->out.width + column) * call->out.channels;
                uint8_t *best = maximum ? (uint8_t *)call->saved + at : NULL;
                if (forward && maximum)
                    max_pixel(call, call->x[0] + s * in, w, call->y + at, best);
                else if (forward)
                    average_pixel(call, call->x[0] + s * in, w, call->y + at);
                else if (maximum)
                    max_backward_pixel(call, call->dy + at, w, best, call->dx[0] + s * in);
                else
                    average_backward_pixel(call, call->dy + at, w, call->dx[0] + s * in);
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

/* The winners' places in their windows, a byte each. */
static void max_plan(const nn_node *node, int batch, bool training, int threads, struct nn_needs *needs)
{
    (void)training, (void)threads;
    needs->saved = (size_t)batch * (size_t)nn_size(node->shape);
}

static void max_shape(nn_node *node)
{
    const struct nn_pool2d_options *o = node->options;
    if (o->kernel > 15)
        nn_fail(node, "kernel %d; at most 15", o->kernel);
    else
        shape(node);
}

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
    .name_offset = offsetof(struct nn_pool2d_options, name), .inputs = 1, .flops = flops, .adds_dx = true

const struct nn_op NN_OP(max_pool2d) = {
    .name = "max_pool2d",
    COMMON,
    .shape = max_shape,
    .plan = max_plan,
    .forward = max_forward,
    .backward = max_backward,
    .sample = max_sample,
};

const struct nn_op NN_OP(avg_pool2d) = {
    .name = "avg_pool2d",
    COMMON,
    .shape = shape,
    .forward = average_forward,
    .backward = average_backward,
    .sample = average_sample,
};
