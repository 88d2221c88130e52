/* Convolution (cross-correlation) over NHWC images, torch.nn.Conv2d: direct, in register tiles
 * (nn/gather.h), without im2col.
 *
 * Forward and input gradient are gathers over a zero-padded copy of one sample; the weight gradient is the
 * outer products of input and output-gradient pixels, summed per chunk of samples and then in chunk order.
 *
 * Few channels would leave most lanes of a vector empty. So backward may spread the columns of the kernel
 * over the lanes, as they lie side by side in an NHWC row: one pixel of dy times a kernel row of weights
 * gives that row's share of dx, to be folded together (x_spread); one pixel of x times a run of dy pixels
 * gives the gradient of a kernel row (y_spread). */
#include "nn/gather.h"
#include "nn/op.h"

enum { MAX_KERNEL = 31 };

/* Channels of one group, `block` of them (V vectors) at a time; the last block may be one vector. */
struct blocks {
    int channels, count, padded; /* padded: channels rounded up to whole vectors */
};

static struct blocks blocks_of(int channels)
{
    int padded = (int)nn_whole_vectors(channels);
    return (struct blocks){channels, (padded / NN_LANES + 1) / 2, padded};
}

static int block_vectors(struct blocks b, int block)
{
    return block * 2 * NN_LANES + NN_LANES < b.padded ? 2 : 1;
}

/* Everything derived from shapes and options. `in` and `out` count the channels of one group. */
struct geometry {
    int kernel, stride, padding, dilation, groups;
    struct blocks in, out;
    int x_spread, y_spread; /* kernel columns spread over lanes: 1 or kernel */
    struct blocks fold; /* x_spread x in.channels: columns of the packed weights of the input gradient */
    struct blocks sums; /* y_spread x out.channels: columns of the sums of the weight gradient */
    struct nn_shape x, y;
    int x_height, x_width;            /* of the padded copy of a sample of x */
    int low, y_width;                 /* of dy's copy: pixels of its border on the left, and its width */
    int64_t x_copy, y_copy, fold_row; /* floats of the copies (x_copy is 0 when x serves as it is) and of
                                       * a row of dx to be folded */
    int64_t packed;                   /* floats of the packed weights of one direction */
    int64_t taps;                     /* kernel x kernel x in.channels */
    int64_t rows;                     /* of a group's sums of the weight gradient: taps / y_spread */
    int64_t partial;                  /* floats of a chunk's weight and bias gradient */
};

static int ceil_divide(int a, int b)
{
    return a > 0 ? (a + b - 1) / b : -(-a / b);
}

/* Whether spreading pays, for vectors of `channels` over rows of that many pixels: kernel or 1. */
static int spread(const struct geometry *g, int channels, int width_alone, int width_spread)
{
    if (g->stride > 1 || g->dilation > 1 || g->groups > 1)
        return 1;
    int64_t alone = (int64_t)width_alone * g->kernel * nn_whole_vectors(channels);
    return (int64_t)width_spread * nn_whole_vectors(g->kernel * channels) < alone ? g->kernel : 1;
}

static struct geometry geometry_of(const nn_node *node)
{
    const struct nn_conv2d_options *o = node->options;
    struct geometry g = {.kernel = o->kernel,
                         .stride = o->stride,
                         .padding = o->padding,
                         .dilation = o->dilation,
                         .groups = o->groups,
                         .x = node->input[0]->shape,
                         .y = node->shape};
    g.in = blocks_of(g.x.channels / g.groups);
    g.out = blocks_of(g.y.channels / g.groups);
    g.x_height = g.x.height + 2 * g.padding;
    g.x_width = g.x.width + 2 * g.padding;
    g.x_copy = g.padding ? (int64_t)g.x_height * g.x_width * g.x.channels : 0;
    g.x_spread = spread(&g, g.in.channels, g.x.width, g.y.width);
    g.y_spread = spread(&g, g.out.channels, g.y.width, g.x_width);
    g.fold = blocks_of(g.x_spread * g.in.channels);
    g.sums = blocks_of(g.y_spread * g.out.channels);
    g.fold_row = g.x_spread > 1 ? (int64_t)(g.y.width + 2 * (g.kernel - 1)) * g.fold.padded + NN_LANES : 0;
    /* The input gradient at column c reads dy columns (c + padding - j dilation) / stride, j < kernel; a
     * run of dy pixels that belongs to one of x begins up to y_spread - 1 before dy. */
    int reach = (g.kernel - 1) * g.dilation - g.padding, high = (g.x.width - 1 + g.padding) / g.stride + 1;
    int least = g.y_spread - 1;
    g.low = reach > 0 ? ceil_divide(reach, g.stride) : 0;
    g.low = g.low > least ? g.low : least;
    g.y_width = g.low + (high > g.y.width + least ? high : g.y.width + least);
    g.y_copy = (int64_t)g.y.height * g.y_width * g.y.channels + 2 * NN_LANES;
    int64_t area = (int64_t)g.kernel * g.kernel, forward = area * g.in.channels * g.out.padded,
            backward = area / g.x_spread * g.out.channels * g.fold.padded;
    g.packed = g.groups * (forward > backward ? forward : backward);
    g.taps = area * g.in.channels;
    g.rows = g.taps / g.y_spread;
    g.partial = g.groups * (g.rows + 1) * g.sums.padded;
    return g;
}

static void shape(nn_node *node)
{
    struct nn_conv2d_options *o = node->options;
    struct nn_shape in = node->input[0]->shape;
    o->kernel = o->kernel ? o->kernel : 3;
    o->stride = o->stride ? o->stride : 1;
    o->dilation = o->dilation ? o->dilation : 1;
    o->groups = o->groups ? o->groups : 1;
    if (o->filters < 1 || o->stride < 1 || o->dilation < 1 || o->groups < 1 || o->padding < 0) {
        nn_fail(node,
                "%d filters, stride %d, padding %d, dilation %d, groups %d; padding is at least 0, the "
                "rest at least 1",
                o->filters, o->stride, o->padding, o->dilation, o->groups);
        return;
    }
    if (o->kernel < 1 || o->kernel > MAX_KERNEL || o->padding > 4096 || o->dilation > 4096) {
        nn_fail(node, "kernel %d, padding %d, dilation %d; a kernel is 1 to %d, the others at most 4096",
                o->kernel, o->padding, o->dilation, MAX_KERNEL);
        return;
    }
    if (in.channels % o->groups || o->filters % o->groups) {
        nn_fail(node, "%d groups do not divide %d input channels and %d filters", o->groups, in.channels,
                o->filters);
        return;
    }
    int reach = (o->kernel - 1) * o->dilation + 1;
    int height = in.height + 2 * o->padding - reach, width = in.width + 2 * o->padding - reach;
    if (height < 0 || width < 0) {
        nn_fail(node, "kernel %d%s does not fit a %d x %d input%s", o->kernel,
                o->dilation > 1 ? " dilated" : "", in.height, in.width,
                o->padding ? " with its padding" : "");
        return;
    }
    node->shape = (struct nn_shape){o->filters, height / o->stride + 1, width / o->stride + 1};
    int64_t area = (int64_t)o->kernel * o->kernel, fan_in = in.channels / o->groups * area;
    nn_add_param(node, &(struct nn_param_spec){
                           .name = "weight",
                           .kind = DESCENT_WEIGHT,
                           .rank = 4,
                           .shape = {o->filters, in.channels / o->groups, o->kernel, o->kernel},
                           .init = o->init,
                           .default_init = "fan-in-uniform",
                           .fan_out = o->filters * area,
                       });
    if (!o->no_bias)
        nn_add_param(node, &(struct nn_param_spec){
                               .name = "bias",
                               .kind = DESCENT_BIAS,
                               .rank = 1,
                               .shape = {o->filters},
                               .init = o->bias_init,
                               .default_init = "fan-in-uniform",
                               .fan_in = fan_in,
                               .fan_out = o->filters,
                           });
}

static bool linear(const nn_node *node, struct nn_linear_layer *layer)
{
    const struct nn_conv2d_options *o = node->options;
    layer->kernel = o->kernel;
    layer->stride = o->stride;
    layer->padding = o->padding;
    layer->dilation = o->dilation;
    return o->groups == 1;
}

static double flops(const nn_node *node)
{
    const struct nn_conv2d_options *o = node->options;
    return 2.0 * nn_size(node->shape) * o->kernel * o->kernel *
           (node->input[0]->shape.channels / o->groups);
}

/* ---- Packed weights: forward, biases, input gradient ---- */

/* to[group][block][tap][c][lanes of the block] = W[k][c][tap], zeros where a block has more lanes than
 * channels. Backward swaps the roles of k and c and runs through the taps in reverse. */
static void pack_direction(const struct geometry *g, const float *weight, bool backward, float *to)
{
    struct blocks rows = backward ? g->out : g->in, columns = backward ? g->in : g->out;
    int area = g->kernel * g->kernel;
    for (int group = 0; group < g->groups; group++)
        for (int b = 0; b < columns.count; b++)
            for (int tap = 0; tap < area; tap++)
                for (int row = 0; row < rows.channels; row++)
                    for (int lane = 0; lane < block_vectors(columns, b) * NN_LANES; lane++) {
                        int column = b * 2 * NN_LANES + lane, k = backward ? row : column,
                            c = backward ? column : row;
                        int64_t filter = (int64_t)group * g->out.channels + k;
                        int from = backward ? area - 1 - tap : tap;
                        *to++ = column < columns.channels
                                    ? weight[(filter * g->in.channels + c) * area + from]
                                    : 0;
                    }
}

/* to[block][i][k][lanes of the block] = W[k][c][i][j] with lane j x channels + c; rows i in reverse. */
static void pack_spread(const struct geometry *g, const float *weight, float *to)
{
    int channels = g->in.channels;
    for (int b = 0; b < g->fold.count; b++)
        for (int i = g->kernel - 1; i >= 0; i--)
            for (int k = 0; k < g->out.channels; k++)
                for (int lane = 0; lane < block_vectors(g->fold, b) * NN_LANES; lane++) {
                    int column = b * 2 * NN_LANES + lane, j = column / channels, c = column % channels;
                    int64_t row = ((int64_t)k * channels + c) * g->kernel + i;
                    *to++ = column < g->fold.channels ? weight[row * g->kernel + j] : 0;
                }
}

static const float *packed_bias(const struct nn_call *call, const struct geometry *g)
{
    return (const float *)call->packed + g->packed;
}

static const float *packed_backward(const struct nn_call *call, const struct geometry *g)
{
    return packed_bias(call, g) + g->groups * g->out.padded;
}

static void pack(const struct nn_call *call)
{
    struct geometry g = geometry_of(call->node);
    float *packed = call->packed, *bias = packed + g.packed;
    pack_direction(&g, call->param[0]->value, false, packed);
    for (int group = 0; group < g.groups; group++)
        for (int k = 0; k < g.out.padded; k++)
            *bias++ = call->param[1] && k < g.out.channels
                          ? call->param[1]->value[group * g.out.channels + k]
                          : 0;
    if (call->dx[0] && g.x_spread > 1)
        pack_spread(&g, call->param[0]->value, bias);
    else if (call->dx[0])
        pack_direction(&g, call->param[0]->value, true, bias);
}

/* ---- Scratch memory ---- */

/* Samples are cut into chunks of at least half a million multiply-adds, and few enough that their partial
 * weight gradients stay small. */
static int chunks_of(const struct geometry *g, int n)
{
    int64_t work = n * nn_space(g->y) * g->taps * g->y.channels;
    int64_t by_partial = (1 << 20) / g->partial;
    int chunks = descent_chunk_count(work, 1 << 19);
    if (chunks > (by_partial > 4 ? by_partial : 4))
        chunks = by_partial > 4 ? (int)by_partial : 4;
    return chunks < n ? chunks : n;
}

static int64_t round_lines(int64_t floats)
{
    return (floats + 15) / 16 * 16;
}

static int64_t thread_floats(const struct geometry *g)
{
    return round_lines(g->x_copy) + round_lines(g->y_copy) + round_lines(g->fold_row);
}

static void plan(const nn_node *node, int batch, bool training, int threads, struct nn_needs *needs)
{
    struct geometry g = geometry_of(node);
    size_t scratch = (size_t)(threads * thread_floats(&g)) * sizeof(float);
    needs->packed = (size_t)((training ? 2 : 1) * g.packed + g.groups * g.out.padded) * sizeof(float);
    needs->forward = (size_t)(threads * round_lines(g.x_copy)) * sizeof(float);
    needs->backward = scratch + (size_t)(chunks_of(&g, batch) * g.partial) * sizeof(float);
}

/* A sample of x inside the copy's border of zeros, which is there already; x itself when there is no
 * padding. */
static const float *pad_input(const struct geometry *g, const float *x, float *copy)
{
    if (!g->x_copy)
        return x;
    int64_t row = (int64_t)g->x.width * g->x.channels, pitch = (int64_t)g->x_width * g->x.channels;
    float *to = copy + g->padding * (pitch + g->x.channels);
    for (int i = 0; i < g->x.height; i++, to += pitch)
        memcpy(to, x + i * row, (size_t)row * sizeof(float));
    return copy;
}

/* Whether pixels of a row may be stored as whole vectors: what hangs over is stored later, and inside the
 * sample. */
static bool may_hang(struct nn_shape shape, int groups, int row)
{
    int64_t behind = (int64_t)(shape.height - 1 - row) * shape.width * shape.channels;
    return groups == 1 && shape.channels < NN_LANES && behind >= NN_LANES;
}

/* ---- Forward ---- */

/* The taps of one group and the run of input floats each covers: whole kernel rows where these are
 * contiguous. */
static int forward_taps(const struct geometry *g, int vectors, struct nn_tap *tap, int *run)
{
    int64_t lanes = vectors * NN_LANES, pitch = (int64_t)g->x_width * g->x.channels * g->dilation;
    bool rows = g->groups == 1 && g->dilation == 1;
    int across = rows ? 1 : g->kernel;
    *run = rows ? g->kernel * g->in.channels : g->in.channels;
    for (int i = 0; i < g->kernel; i++)
        for (int j = 0; j < across; j++)
            tap[i * across + j] = (struct nn_tap){
                .in = i * pitch + (int64_t)j * g->dilation * g->x.channels,
                .weight = (int64_t)(i * across + j) * *run * lanes,
                .row = i * g->dilation - g->padding,
            };
    return g->kernel * across;
}

static void forward_sample(const struct nn_call *call, const struct geometry *g, const float *x, float *y)
{
    struct nn_tap tap[MAX_KERNEL * MAX_KERNEL];
    const float *weight = call->packed;
    for (int group = 0; group < g->groups; group++)
        for (int b = 0; b < g->out.count; b++) {
            int first = b * 2 * NN_LANES, vectors = block_vectors(g->out, b);
            struct nn_gather gather = {.tap = tap,
                                       .in_pixel = (ptrdiff_t)g->stride * g->x.channels,
                                       .out_pixel = g->y.channels,
                                       .weight = weight,
                                       .bias = packed_bias(call, g) + group * g->out.padded + first,
                                       .vectors = vectors,
                                       .lanes = g->out.channels - first,
                                       .relu = call->relu};
            gather.taps = forward_taps(g, vectors, tap, &gather.run);
            for (int i = 0; i < g->y.height; i++) {
                struct nn_gather inside = nn_gather_inside(gather, i * g->stride, g->x.height);
                inside.hangs = may_hang(g->y, g->groups, i);
                nn_gather_row(&inside,
                              x + (int64_t)i * g->stride * g->x_width * g->x.channels +
                                  group * g->in.channels,
                              y + (int64_t)i * g->y.width * g->y.channels + group * g->out.channels + first,
                              g->y.width);
            }
            weight += g->taps * vectors * NN_LANES;
        }
}

static void forward_chunk(const struct nn_call *call, int chunk, int chunks, int thread)
{
    struct geometry g = geometry_of(call->node);
    float *copy = (float *)call->workspace + thread * round_lines(g.x_copy);
    int64_t begin, end;
    descent_chunk_range(call->n, chunks, chunk, &begin, &end);
    if (copy)
        memset(copy, 0, (size_t)g.x_copy * sizeof(float));
    for (int64_t s = begin; s < end; s++)
        forward_sample(call, &g, pad_input(&g, call->x[0] + s * nn_size(g.x), copy),
                       call->y + s * nn_size(g.y));
}

static void forward(const struct nn_call *call)
{
    struct geometry g = geometry_of(call->node);
    nn_run_chunks(call, chunks_of(&g, call->n), forward_chunk);
}

/* ---- Backward ---- */

/* A sample of dy, masked by the fused ReLU, between the zeros left and right in its copy. */
static void pad_gradient(const struct nn_call *call, const struct geometry *g, int64_t s, float *copy)
{
    int64_t row = (int64_t)g->y.width * g->y.channels, pitch = (int64_t)g->y_width * g->y.channels;
    const float *dy = call->dy + s * nn_size(g->y), *y = call->y + s * nn_size(g->y);
    float *restrict to = copy + (int64_t)g->low * g->y.channels;
    for (int i = 0; i < g->y.height; i++, to += pitch, dy += row, y += row)
        if (call->relu)
            for (int64_t k = 0; k < row; k++) {
                float value = dy[k]; /* loaded in any case, so that the loop needs no masks */
                to[k] = y[k] > 0 ? value : 0;
            }
        else
            memcpy(to, dy, (size_t)row * sizeof(float));
}

/* The bias gradient of one sample: the sum of dy's copy over pixels (the border adds zeros), to the last
 * row of each group's sum. */
static void bias_sample(const struct geometry *g, const float *dy, float *sum)
{
    const ptrdiff_t pixels = (ptrdiff_t)g->y.height * g->y_width, pixel = g->y.channels;
    for (int group = 0; group < g->groups; group++)
        for (int k = 0; k < g->out.padded; k += NN_LANES) {
            const float *from = dy + group * g->out.channels + k;
            float *to = sum + (group * (g->rows + 1) + g->rows) * g->sums.padded + k;
            nn_vector part[4] = {nn_vector_load(to)};
            ptrdiff_t p = 0;
            for (; p + 3 < pixels; p += 4, from += 4 * pixel) {
                part[0] += nn_vector_load(from);
                part[1] += nn_vector_load(from + pixel);
                part[2] += nn_vector_load(from + 2 * pixel);
                part[3] += nn_vector_load(from + 3 * pixel);
            }
            for (; p < pixels; p++, from += pixel)
                part[0] += nn_vector_load(from);
            nn_vector_store(to, (part[0] + part[1]) + (part[2] + part[3]));
        }
}

/* dx rows r and columns c with r = row, c = column (mod stride) read dy through the same taps: those with
 * (row + padding - i dilation) divisible by stride. With stride 1 whole kernel rows are contiguous. */
static int backward_taps(const struct geometry *g, int vectors, int row, int column, struct nn_tap *tap,
                         int *run)
{
    int count = 0, area = g->kernel * g->kernel;
    int64_t lanes = vectors * NN_LANES, channels = g->y.channels, pitch = g->y_width * channels;
    bool rows = g->groups == 1 && g->dilation == 1 && g->stride == 1;
    *run = (rows ? g->kernel : 1) * g->out.channels;
    for (int i = g->kernel - 1; i >= 0; i--)
        for (int j = g->kernel - 1; j >= (rows ? g->kernel - 1 : 0); j--) {
            int up = row + g->padding - i * g->dilation, left = column + g->padding - j * g->dilation;
            if (up % g->stride || left % g->stride)
                continue;
            tap[count++] = (struct nn_tap){
                .in = up / g->stride * pitch + (g->low + left / g->stride) * channels,
                .weight = (int64_t)(area - 1 - i * g->kernel - j) * g->out.channels * lanes,
                .row = up / g->stride,
            };
        }
    return count;
}

/* dx at the pixels of one residue class (row, column) modulo stride. */
static void backward_class(const struct geometry *g, const struct nn_gather *gather, int row, int column,
                           const float *dy, float *dx)
{
    int width = (g->x.width - column + g->stride - 1) / g->stride;
    for (int i = row; i < g->x.height; i += g->stride) {
        struct nn_gather inside = nn_gather_inside(*gather, i / g->stride, g->y.height);
        inside.hangs = g->stride == 1 && may_hang(g->x, g->groups, i);
        nn_gather_row(&inside, dy + (int64_t)(i / g->stride) * g->y_width * g->y.channels,
                      dx + ((int64_t)i * g->x.width + column) * g->x.channels, width);
    }
}

/* A row of dx: the sums of what its pixels got from those of dy. from: y.width pixels of fold.padded floats
 * with kernel - 1 pixels of zeros before and behind. */
static void fold_row(const struct geometry *g, const float *from, float *dx, bool add, bool hangs)
{
    const ptrdiff_t channels = g->x.channels, padded = g->fold.padded;
    from += (g->kernel - 1 + g->padding) * padded;
    for (ptrdiff_t c = 0; c < channels; c += NN_LANES) {
        const int left = (int)(channels - c), lanes = hangs ? NN_LANES : left;
        for (ptrdiff_t column = 0; column < g->x.width; column++) {
            nn_vector sum = {0};
            for (ptrdiff_t j = 0; j < g->kernel; j++)
                sum += nn_vector_load(from + (column - j) * padded + j * channels + c);
            nn_vector_put(dx + column * channels + c, add, nn_vector_first(sum, left), lanes);
        }
    }
}

static void backward_spread(const struct nn_call *call, const struct geometry *g, const float *dy,
                            float *dx, float *row)
{
    struct nn_tap tap[MAX_KERNEL];
    const int64_t pitch = (int64_t)g->y_width * g->y.channels, border = (g->kernel - 1) * g->fold.padded;
    for (int i = 0; i < g->x.height; i++, dx += (int64_t)g->x.width * g->x.channels) {
        const float *weight = packed_backward(call, g);
        for (int b = 0; b < g->fold.count; b++) {
            int lanes = block_vectors(g->fold, b) * NN_LANES;
            for (int t = 0; t < g->kernel; t++) {
                int up = g->padding - (g->kernel - 1 - t);
                tap[t] = (struct nn_tap){.in = up * pitch + (int64_t)g->low * g->y.channels,
                                         .weight = (int64_t)t * g->out.channels * lanes,
                                         .row = up};
            }
            struct nn_gather gather = {.tap = tap,
                                       .taps = g->kernel,
                                       .run = g->out.channels,
                                       .in_pixel = g->y.channels,
                                       .out_pixel = g->fold.padded,
                                       .weight = weight,
                                       .vectors = lanes / NN_LANES,
                                       .lanes = lanes};
            gather = nn_gather_inside(gather, i, g->y.height);
            nn_gather_row(&gather, dy + i * pitch, row + border + b * 2 * NN_LANES, g->y.width);
            weight += (int64_t)g->kernel * g->out.channels * lanes;
        }
        fold_row(g, row, dx, call->add[0], may_hang(g->x, 1, i));
    }
}

static void backward_sample(const struct nn_call *call, const struct geometry *g, const float *dy,
                            float *dx)
{
    struct nn_tap tap[MAX_KERNEL * MAX_KERNEL];
    const float *weight = packed_backward(call, g);
    for (int group = 0; group < g->groups; group++)
        for (int b = 0; b < g->in.count; b++) {
            int first = b * 2 * NN_LANES, vectors = block_vectors(g->in, b);
            struct nn_gather gather = {.tap = tap,
                                       .in_pixel = g->y.channels,
                                       .out_pixel = (ptrdiff_t)g->stride * g->x.channels,
                                       .weight = weight,
                                       .vectors = vectors,
                                       .lanes = g->in.channels - first,
                                       .add = call->add[0]};
            for (int row = 0; row < g->stride && row < g->x.height; row++)
                for (int column = 0; column < g->stride && column < g->x.width; column++) {
                    gather.taps = backward_taps(g, vectors, row, column, tap, &gather.run);
                    backward_class(g, &gather, row, column, dy + group * g->out.channels,
                                   dx + group * g->in.channels + first);
                }
            weight += (int64_t)g->kernel * g->kernel * g->out.channels * vectors * NN_LANES;
        }
}

/* Which pixels the outer products pair; steps from one to the next in floats. */
struct outer {
    int height, width;
    ptrdiff_t x_pixel, x_row, dy_pixel, dy_row;
    int64_t pitch; /* of sum */
};

/* Outer products over one sample: sum[r][k] += x[r][pixel] dy[pixel][k], R rows of the weight gradient x V
 * vectors. */
NN_INLINE void outer_tile(const int R, const int V, const struct outer *o, const float *const *x,
                          const float *dy, float *restrict sum)
{
    nn_vector total[8][2];
    for (int r = 0; r < R; r++)
        for (int v = 0; v < V; v++)
            total[r][v] = nn_vector_load(sum + r * o->pitch + v * NN_LANES);
    for (int i = 0; i < o->height; i++, dy += o->dy_row) {
        const float *from = dy;
        ptrdiff_t at = i * o->x_row;
        for (int j = 0; j < o->width; j++, from += o->dy_pixel, at += o->x_pixel) {
            nn_vector d0 = nn_vector_load(from), d1 = V > 1 ? nn_vector_load(from + NN_LANES) : d0;
            for (int r = 0; r < R; r++) {
                float value = x[r][at];
                total[r][0] += value * d0;
                if (V > 1)
                    total[r][1] += value * d1;
            }
        }
    }
    for (int r = 0; r < R; r++)
        for (int v = 0; v < V; v++)
            nn_vector_store(sum + r * o->pitch + v * NN_LANES, total[r][v]);
}

static void outer_rows(const struct outer *o, int rows, int vectors, const float *const *x, const float *dy,
                       float *sum)
{
    switch (vectors * 16 + rows) {
#define CASE(R, V)                                                                                         \
    case V * 16 + R:                                                                                       \
        outer_tile(R, V, o, x, dy, sum);                                                                   \
        break;
        CASE(1, 1)
        CASE(2, 1)
        CASE(3, 1)
        CASE(4, 1)
        CASE(5, 1)
        CASE(6, 1)
        CASE(7, 1)
        CASE(8, 1)
        CASE(1, 2)
        CASE(2, 2)
        CASE(3, 2)
        CASE(4, 2)
        CASE(5, 2)
        CASE(6, 2)
#undef CASE
    }
}

/* The weight gradient of one sample, added to sum: [group][tap and channel][sums.padded]. With y_spread,
 * column m x channels + k of a kernel row is column kernel - 1 - m of filter k. */
static void weight_sample(const struct geometry *g, const float *x, const float *dy, float *sum)
{
    const float *row[8];
    const int across = g->kernel / g->y_spread, rows_in_all = (int)g->rows;
    const struct outer outer = {.height = g->y.height,
                                .width = g->y_spread > 1 ? g->x_width : g->y.width,
                                .x_pixel = (ptrdiff_t)g->stride * g->x.channels,
                                .x_row = (ptrdiff_t)g->stride * g->x_width * g->x.channels,
                                .dy_pixel = g->y.channels,
                                .dy_row = (ptrdiff_t)g->y_width * g->y.channels,
                                .pitch = g->sums.padded};
    dy += (int64_t)(g->low - (g->y_spread - 1)) * g->y.channels;
    for (int group = 0; group < g->groups; group++, sum += (g->rows + 1) * g->sums.padded)
        for (int b = 0; b < g->sums.count; b++) {
            int first = b * 2 * NN_LANES, vectors = block_vectors(g->sums, b), most = vectors > 1 ? 6 : 8;
            int tiles = (rows_in_all + most - 1) / most;
            for (int t = 0, begin = 0, end; t < tiles; t++, begin = end) {
                end = (int)((int64_t)rows_in_all * (t + 1) / tiles);
                for (int q = begin; q < end; q++) {
                    int tap = q / g->in.channels, c = q % g->in.channels;
                    int64_t i = (int64_t)(tap / across) * g->dilation,
                            j = (int64_t)(tap % across) * g->dilation;
                    row[q - begin] = x + (i * g->x_width + j) * g->x.channels + group * g->in.channels + c;
                }
                outer_rows(&outer, end - begin, vectors, row, dy + group * g->out.channels + first,
                           sum + (int64_t)begin * g->sums.padded + first);
            }
        }
}

static float *partial_of(const struct nn_call *call, const struct geometry *g, int chunk)
{
    return (float *)call->workspace + descent_pool_threads(call->pool) * thread_floats(g) +
           chunk * g->partial;
}

static void backward_chunk(const struct nn_call *call, int chunk, int chunks, int thread)
{
    struct geometry g = geometry_of(call->node);
    float *x_copy = (float *)call->workspace + thread * thread_floats(&g),
          *y_copy = x_copy + round_lines(g.x_copy), *row = y_copy + round_lines(g.y_copy);
    float *partial = partial_of(call, &g, chunk);
    int64_t begin, end;
    descent_chunk_range(call->n, chunks, chunk, &begin, &end);
    memset(x_copy, 0, (size_t)g.x_copy * sizeof(float));
    memset(y_copy, 0, (size_t)g.y_copy * sizeof(float));
    memset(row, 0, (size_t)g.fold_row * sizeof(float));
    memset(partial, 0, (size_t)g.partial * sizeof(float));
    for (int64_t s = begin; s < end; s++) {
        pad_gradient(call, &g, s, y_copy);
        bias_sample(&g, y_copy, partial);
        if (call->param[0]->grad)
            weight_sample(&g, pad_input(&g, call->x[0] + s * nn_size(g.x), x_copy), y_copy, partial);
        if (call->dx[0] && g.x_spread > 1)
            backward_spread(call, &g, y_copy, call->dx[0] + s * nn_size(g.x), row);
        else if (call->dx[0])
            backward_sample(call, &g, y_copy, call->dx[0] + s * nn_size(g.x));
    }
}

/* to[k * pitch] = value[k] or, with `add`, += */
static void put(float *to, ptrdiff_t pitch, const float *value, int count, bool add)
{
    for (int k = 0; k < count; k++)
        to[k * pitch] = add ? to[k * pitch] + value[k] : value[k];
}

/* Hands one chunk's share of the summed partial gradients to the parameters', from weight_sample's layout
 * to [k][c][tap]. */
static void add_gradient_chunk(const struct nn_call *call, int chunk, int chunks, int thread)
{
    struct geometry g = geometry_of(call->node);
    int partials = chunks_of(&g, call->n), area = g.kernel * g.kernel;
    float *weight = call->param[0]->grad, *bias = call->param[1] ? call->param[1]->grad : NULL;
    int64_t begin, end;
    (void)thread;
    descent_chunk_range(g.groups * (g.rows + 1), chunks, chunk, &begin, &end);
    float *sum = partial_of(call, &g, 0);
    for (int64_t row = begin; row < end; row++) {
        float *restrict total = sum + row * g.sums.padded;
        for (int p = 1; p < partials; p++)
            for (int k = 0; k < g.sums.channels; k++)
                total[k] += total[p * g.partial + k];
        int64_t group = row / (g.rows + 1), q = row % (g.rows + 1), filter = group * g.out.channels;
        if (q == g.rows && bias)
            put(bias + filter, 1, total, g.out.channels, call->add_grad[1]);
        for (int m = 0; m < g.y_spread && q < g.rows && weight; m++) {
            int64_t tap = (q / g.in.channels + 1) * g.y_spread - 1 - m;
            put(weight + (filter * g.in.channels + q % g.in.channels) * area + tap,
                (ptrdiff_t)g.in.channels * area, total + m * g.out.channels, g.out.channels,
                call->add_grad[0]);
        }
    }
}

static void backward(const struct nn_call *call)
{
    struct geometry g = geometry_of(call->node);
    nn_run_chunks(call, chunks_of(&g, call->n), backward_chunk);
    nn_run_chunks(call, descent_chunk_count(g.partial, 4096), add_gradient_chunk);
}

static nn_node *sample(nn_graph *graph, struct descent_random *random)
{
    int groups = nn_random_between(random, 0, 2) ? 1 : nn_random_between(random, 2, 3);
    int filters = groups * nn_random_between(random, 1, 9);
    filters *= nn_random_between(random, 0, 3) ? 1 : 4;
    int channels = groups * nn_random_between(random, 1, 9);
    int height = nn_random_between(random, 7, 11), width = nn_random_between(random, 7, 11);
    int kernel = nn_random_between(random, 1, 4), stride = nn_random_between(random, 1, 3);
    int padding = nn_random_between(random, 0, 3), dilation = nn_random_between(random, 1, 2);
    return nn_conv2d(nn_input(graph, channels, height, width), filters, .groups = groups, .kernel = kernel,
                     .stride = stride, .padding = padding, .dilation = dilation,
                     .no_bias = nn_random_between(random, 0, 2) == 0);
}

const struct nn_op NN_OP(conv2d) = {
    .name = "conv2d",
    .options_size = sizeof(struct nn_conv2d_options),
    .name_offset = offsetof(struct nn_conv2d_options, name),
    .share_offset = offsetof(struct nn_conv2d_options, share),
    .inputs = 1,
    .shape = shape,
    .plan = plan,
    .pack = pack,
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
