/* Fully connected layer: y = x W^T + b (torch.nn.Linear). */
#include "nn/gather.h"
#include "nn/op.h"

static void shape(nn_node *node)
{
    const struct nn_dense_options *o = node->options;
    struct nn_shape in = node->input[0]->shape;
    if (in.height != 1 || in.width != 1) {
        nn_fail(node, "its input is %d x %d x %d, not a vector; put nn_flatten before it", in.channels,
                in.height, in.width);
        return;
    }
    if (o->units < 1) {
        nn_fail(node, "%d units; at least 1 is needed", o->units);
        return;
    }
    node->shape = (struct nn_shape){o->units, 1, 1};
    nn_add_param(node, &(struct nn_param_spec){
                           .name = "weight",
                           .kind = DESCENT_WEIGHT,
                           .rank = 2,
                           .shape = {o->units, in.channels},
                           .init = o->init,
                           .default_init = "fan-in-uniform",
                       });
    if (!o->no_bias)
        nn_add_param(node, &(struct nn_param_spec){
                               .name = "bias",
                               .kind = DESCENT_BIAS,
                               .rank = 1,
                               .shape = {o->units},
                               .init = o->bias_init,
                               .default_init = "fan-in-uniform",
                               .fan_in = in.channels,
                               .fan_out = o->units,
                           });
}

static double flops(const nn_node *node)
{
    return 2.0 * node->input[0]->shape.channels * node->shape.channels;
}

static bool linear(const nn_node *node, struct nn_linear_layer *layer)
{
    (void)node, (void)layer;
    return true;
}

/* All three products run on the register tile of nn/gather.h, a panel of 2 NN_LANES columns at a time,
 * copied into scratch memory so that the tile reads it in order. At the batch sizes of training this beats
 * a general matrix multiply, which copies both sides. */
enum { PANEL = 2 * NN_LANES };

static int panels_of(int columns)
{
    return (columns + PANEL - 1) / PANEL;
}

/* Chunks of at least a hundred thousand multiply-adds, at most one a panel. Nothing is summed across them,
 * so there may be more than DESCENT_MAX_CHUNKS, for threads that end together. */
static int chunks_of(const struct nn_call *call, int columns)
{
    int64_t by_work = (int64_t)call->n * call->in.channels * call->out.channels / 100000;
    return by_work < 1 ? 1 : by_work < panels_of(columns) ? (int)by_work : panels_of(columns);
}

/* A thread's scratch: a panel of as many rows as any product sums over, and a bias. */
static int64_t scratch_floats(const nn_node *node, int batch)
{
    int64_t in = node->input[0]->shape.channels, out = node->shape.channels;
    int64_t most = in > out ? in : out;
    return ((most > batch ? most : batch) + 1) * PANEL;
}

static float *scratch_of(const struct nn_call *call, int thread)
{
    return (float *)call->workspace + thread * scratch_floats(call->node, call->batch);
}

/* dy^T, behind the threads' scratch: out x n. */
static float *transposed_of(const struct nn_call *call)
{
    return scratch_of(call, descent_pool_threads(call->pool));
}

static void plan(const nn_node *node, int batch, bool training, int threads, struct nn_needs *needs)
{
    size_t scratch = (size_t)(threads * scratch_floats(node, batch)) * sizeof(float);
    needs->forward = scratch;
    needs->backward = training ? scratch + (size_t)(batch * nn_size(node->shape)) * sizeof(float) : 0;
}

/* panel[r][0 .. width-1] = from[r][0 .. width-1], zeros to the panel's end. */
static void copy_panel(const float *from, int64_t pitch, int rows, int width, float *panel)
{
    for (int r = 0; r < rows; r++, from += pitch, panel += PANEL) {
        if (width == PANEL) {
            memcpy(panel, from, PANEL * sizeof(float));
        } else {
            memset(panel, 0, PANEL * sizeof(float));
            memcpy(panel, from, (size_t)width * sizeof(float));
        }
    }
}

/* panel[c][r] = from[r][c], zeros for r >= width. */
static void transpose_panel(const float *from, int64_t pitch, int rows, int width, float *panel)
{
    if (width < PANEL)
        memset(panel, 0, (size_t)rows * PANEL * sizeof(float));
    nn_transpose(from, pitch, width, rows, panel, PANEL);
}

/* y's columns of one chunk: a gather over x with panels of W^T. */
static void forward_chunk(const struct nn_call *call, int chunk, int chunks, int thread)
{
    int in = call->in.channels, out = call->out.channels;
    float *panel = scratch_of(call, thread), *bias = panel + (int64_t)in * PANEL;
    struct nn_tap whole = {0};
    int64_t begin, end;
    descent_chunk_range(panels_of(out), chunks, chunk, &begin, &end);
    for (int64_t first = begin * PANEL; first < end * PANEL && first < out; first += PANEL) {
        int width = out - first < PANEL ? (int)(out - first) : PANEL;
        transpose_panel(call->param[0]->value + first * in, in, in, width, panel);
        if (call->param[1])
            copy_panel(call->param[1]->value + first, 0, 1, width, bias);
        struct nn_gather product = {.tap = &whole,
                                    .taps = 1,
                                    .run = in,
                                    .in_pixel = in,
                                    .out_pixel = out,
                                    .weight = panel,
                                    .bias = call->param[1] ? bias : NULL,
                                    .vectors = 2,
                                    .lanes = width,
                                    .relu = call->relu};
        nn_gather_row(&product, call->x[0], call->y + first, call->n);
    }
}

static void forward(const struct nn_call *call)
{
    nn_run_chunks(call, chunks_of(call, call->out.channels), forward_chunk);
}

static void mask_columns(int rows, int64_t pitch, int columns, const float *restrict y, float *restrict dy)
{
    for (int r = 0; r < rows; r++, y += pitch, dy += pitch)
        for (int c = 0; c < columns; c++)
            dy[c] = y[c] > 0 ? dy[c] : 0;
}

static void add_columns(int rows, int64_t pitch, int columns, const float *restrict dy, float *restrict sum)
{
    for (int r = 0; r < rows; r++, dy += pitch)
        for (int c = 0; c < columns; c++)
            sum[c] += dy[c];
}

/* Masks dy by the fused ReLU, sums up the bias gradient and transposes dy for dW, a panel at a time. */
static void transpose_chunk(const struct nn_call *call, int chunk, int chunks, int thread)
{
    int n = call->n, out = call->out.channels;
    float *bias = call->param[1] ? call->param[1]->grad : NULL;
    int64_t begin, end;
    (void)thread;
    descent_chunk_range(panels_of(out), chunks, chunk, &begin, &end);
    for (int64_t first = begin * PANEL; first < end * PANEL && first < out; first += PANEL) {
        int width = out - first < PANEL ? (int)(out - first) : PANEL;
        if (call->relu)
            mask_columns(n, out, width, call->y + first, call->dy + first);
        if (bias && !call->add_grad[1])
            memset(bias + first, 0, (size_t)width * sizeof *bias);
        if (bias)
            add_columns(n, out, width, call->dy + first, bias + first);
        if (call->param[0]->grad)
            nn_transpose(call->dy + first, out, n, width, transposed_of(call) + first * n, n);
    }
}

/* dW = dy^T x, some rows and panels of columns. */
static void weight_block(const struct nn_call *call, int rows_begin, int rows_end, int64_t panels_begin,
                         int64_t panels_end, float *panel)
{
    int n = call->n, in = call->in.channels;
    struct nn_tap whole = {0};
    for (int64_t first = panels_begin * PANEL; first < panels_end * PANEL && first < in; first += PANEL) {
        int width = in - first < PANEL ? (int)(in - first) : PANEL;
        struct nn_gather product = {.tap = &whole,
                                    .taps = 1,
                                    .run = n,
                                    .in_pixel = n,
                                    .out_pixel = in,
                                    .weight = panel,
                                    .vectors = 2,
                                    .lanes = width,
                                    .add = call->add_grad[0]};
        copy_panel(call->x[0] + first, in, n, width, panel);
        nn_gather_row(&product, transposed_of(call) + (int64_t)rows_begin * n,
                      call->param[0]->grad + (int64_t)rows_begin * in + first, rows_end - rows_begin);
    }
}

/* dx = dy W, some panels of columns. */
static void input_block(const struct nn_call *call, int64_t panels_begin, int64_t panels_end, float *panel)
{
    int in = call->in.channels, out = call->out.channels;
    struct nn_tap whole = {0};
    for (int64_t first = panels_begin * PANEL; first < panels_end * PANEL && first < in; first += PANEL) {
        int width = in - first < PANEL ? (int)(in - first) : PANEL;
        struct nn_gather product = {.tap = &whole,
                                    .taps = 1,
                                    .run = out,
                                    .in_pixel = out,
                                    .out_pixel = in,
                                    .weight = panel,
                                    .vectors = 2,
                                    .lanes = width,
                                    .add = call->add[0]};
        copy_panel(call->param[0]->value + first, in, out, width, panel);
        nn_gather_row(&product, call->dy, call->dx[0] + first, call->n);
    }
}

/* dW is cut in blocks of rows too, as the optimizer's work is: so a thread finds there what it wrote here.
 * Larger blocks would spoil that, smaller ones copy more panels. */
static int blocks_of(const struct nn_call *call)
{
    return call->out.channels < 128 ? 1 : call->out.channels / 128;
}

static void backward_chunk(const struct nn_call *call, int chunk, int chunks, int thread)
{
    enum { TILE = 12 };
    int out = call->out.channels, blocks = blocks_of(call), groups = chunks / blocks;
    int64_t begin, end, rows_begin, rows_end;
    if (call->param[0]->grad) {
        descent_chunk_range((out + TILE - 1) / TILE, blocks, chunk / groups, &rows_begin, &rows_end);
        descent_chunk_range(panels_of(call->in.channels), groups, chunk % groups, &begin, &end);
        weight_block(call, (int)rows_begin * TILE, rows_end * TILE < out ? (int)rows_end * TILE : out,
                     begin, end, scratch_of(call, thread));
    }
    if (call->dx[0]) {
        descent_chunk_range(panels_of(call->in.channels), chunks, chunk, &begin, &end);
        input_block(call, begin, end, scratch_of(call, thread));
    }
}

static void backward(const struct nn_call *call)
{
    int by_work = descent_chunk_count((int64_t)call->n * call->out.channels, 8192);
    nn_run_chunks(call, by_work < panels_of(call->out.channels) ? by_work : panels_of(call->out.channels),
                  transpose_chunk);
    nn_run_chunks(call, blocks_of(call) * chunks_of(call, call->in.channels), backward_chunk);
}

static nn_node *sample(nn_graph *graph, struct descent_random *random)
{
    nn_node *x = nn_input(graph, nn_random_between(random, 1, 19), 1, 1);
    int units = nn_random_between(random, 1, 17);
    return nn_dense(x, units, .no_bias = nn_random_between(random, 0, 2) == 0);
}

const struct nn_op NN_OP(dense) = {
    .name = "dense",
    .options_size = sizeof(struct nn_dense_options),
    .name_offset = offsetof(struct nn_dense_options, name),
    .share_offset = offsetof(struct nn_dense_options, share),
    .inputs = 1,
    .shape = shape,
    .plan = plan,
    .forward = forward,
    .backward = backward,
    .flops = flops,
    .linear = linear,
    .reads_x = 1,
    .fuses_relu = true,
    .adds_dx = true,
    .writes_grad = true,
    .sample = sample,
};
