/* References of what computes on its own: dense, convolution, pooling, shapes, pairs, activations. */
#include "tests/nn/reference.h"

#define EACH_SAMPLE for (int s = 0; s < call->n; s++)
#define EACH(shape)                                                                                        \
    EACH_SAMPLE                                                                                            \
    for (int c = 0; c < (shape).channels; c++)                                                             \
        for (int h = 0; h < (shape).height; h++)                                                           \
            for (int w = 0; w < (shape).width; w++)

static void dense(const struct reference_call *call)
{
    REFERENCE_OPTIONS(dense);
    int features = reference_in(call, 0).channels;
    EACH_SAMPLE
    for (int k = 0; k < o->units; k++) {
        double sum = o->no_bias ? 0 : call->param[1][k];
        for (int j = 0; j < features; j++)
            sum += call->param[0][k * features + j] * call->x[0][s * features + j];
        call->y[s * o->units + k] = sum;
    }
}

static void conv2d(const struct reference_call *call)
{
    REFERENCE_OPTIONS(conv2d);
    struct nn_shape in = reference_in(call, 0), out = call->node->shape;
    int each = in.channels / o->groups, filters = out.channels / o->groups, k = o->kernel;
    EACH(out)
    {
        double sum = o->no_bias ? 0 : call->param[1][c];
        for (int q = 0; q < each; q++)
            for (int i = 0; i < k; i++)
                for (int j = 0; j < k; j++) {
                    int row = h * o->stride - o->padding + i * o->dilation;
                    int column = w * o->stride - o->padding + j * o->dilation;
                    if (row >= 0 && row < in.height && column >= 0 && column < in.width)
                        sum += call->param[0][((c * each + q) * k + i) * k + j] *
                               call->x[0][reference_at(in, s, c / filters * each + q, row, column)];
                }
        call->y[reference_at(out, s, c, h, w)] = sum;
    }
}

static void pool2d(const struct reference_call *call, bool maximum)
{
    REFERENCE_OPTIONS(pool2d);
    struct nn_shape in = reference_in(call, 0), out = call->node->shape;
    EACH(out)
    {
        double most = -INFINITY, sum = 0;
        int inside = 0;
        for (int i = 0; i < o->kernel; i++)
            for (int j = 0; j < o->kernel; j++) {
                int row = h * o->stride - o->padding + i, column = w * o->stride - o->padding + j;
                if (row < 0 || row >= in.height || column < 0 || column >= in.width)
                    continue;
                double x = call->x[0][reference_at(in, s, c, row, column)];
                most = fmax(most, x);
                sum += x;
                inside++;
            }
        double mean = sum / (o->exclude_padding ? inside : o->kernel * o->kernel);
        call->y[reference_at(out, s, c, h, w)] = maximum ? most : mean;
    }
}

static void max_pool2d(const struct reference_call *call)
{
    pool2d(call, true);
}

static void avg_pool2d(const struct reference_call *call)
{
    pool2d(call, false);
}

static void global_avg_pool(const struct reference_call *call)
{
    struct nn_shape in = reference_in(call, 0);
    for (int i = 0; i < call->n * in.channels; i++)
        call->y[i] = 0;
    EACH(in)
    call->y[s * in.channels + c] += call->x[0][reference_at(in, s, c, h, w)] / (in.height * in.width);
}

/* Element i of a sample in CHW order. */
static int64_t in_order(struct nn_shape shape, int s, int i)
{
    int space = shape.height * shape.width;
    return reference_at(shape, s, i / space, i % space / shape.width, i % shape.width);
}

static void reshape(const struct reference_call *call)
{
    struct nn_shape in = reference_in(call, 0), out = call->node->shape;
    EACH_SAMPLE
    for (int i = 0; i < nn_size(in); i++)
        call->y[in_order(out, s, i)] = call->x[0][in_order(in, s, i)];
}

static void concat(const struct reference_call *call)
{
    struct nn_shape out = call->node->shape;
    for (int i = 0, before = 0; i < call->node->input_count; before += reference_in(call, i++).channels) {
        struct nn_shape in = reference_in(call, i);
        EACH(in) call->y[reference_at(out, s, before + c, h, w)] = call->x[i][reference_at(in, s, c, h, w)];
    }
}

static void pad_channels(const struct reference_call *call)
{
    REFERENCE_OPTIONS(pad_channels);
    struct nn_shape in = reference_in(call, 0), out = call->node->shape;
    EACH(out)
    {
        int own = c - o->before;
        bool inside = own >= 0 && own < in.channels;
        call->y[reference_at(out, s, c, h, w)] = inside ? call->x[0][reference_at(in, s, own, h, w)] : 0;
    }
}

/* The element of b that stands against (c, h, w). */
static double broadcast(const struct reference_call *call, int s, int c, int h, int w)
{
    struct nn_shape b = reference_in(call, 1);
    return call
        ->x[1][reference_at(b, s, b.channels == 1 ? 0 : c, b.height == 1 ? 0 : h, b.width == 1 ? 0 : w)];
}

static void add(const struct reference_call *call)
{
    struct nn_shape out = call->node->shape;
    EACH(out)
    {
        int64_t at = reference_at(out, s, c, h, w);
        call->y[at] = call->x[0][at] + broadcast(call, s, c, h, w);
    }
}

static void multiply(const struct reference_call *call)
{
    struct nn_shape out = call->node->shape;
    EACH(out)
    {
        int64_t at = reference_at(out, s, c, h, w);
        call->y[at] = call->x[0][at] * broadcast(call, s, c, h, w);
    }
}

static void scale(const struct reference_call *call)
{
    REFERENCE_OPTIONS(scale);
    for (int64_t i = 0; i < call->n * nn_size(call->node->shape); i++)
        call->y[i] = o->factor * call->x[0][i] + o->offset;
}

static void parameter(const struct reference_call *call)
{
    struct nn_shape out = call->node->shape;
    EACH_SAMPLE
    for (int i = 0; i < nn_size(out); i++)
        call->y[in_order(out, s, i)] = call->param[0][i];
}

/* Activations: ACTIVATION(name, slope or alpha, formula). */
#define ACTIVATION(name, slope_of_options, formula)                                                        \
    static void name(const struct reference_call *call)                                                    \
    {                                                                                                      \
        const double slope = slope_of_options;                                                             \
        (void)slope;                                                                                       \
        for (int64_t i = 0; i < call->n * nn_size(call->node->shape); i++) {                               \
            double x = call->x[0][i];                                                                      \
            call->y[i] = formula;                                                                          \
        }                                                                                                  \
    }

#define SLOPE_OPTION ((const struct nn_slope_options *)call->node->options)->slope

ACTIVATION(relu, 0, x > 0 ? x : 0)
ACTIVATION(leaky_relu, SLOPE_OPTION, x > 0 ? x : slope * x)
ACTIVATION(elu, SLOPE_OPTION, x > 0 ? x : slope * (exp(x) - 1))
ACTIVATION(selu, 0, 1.0507009873554804934 * (x > 0 ? x : 1.6732632423543772848 * (exp(x) - 1)))
ACTIVATION(gelu, 0, 0.5 * x * (1 + erf(x / sqrt(2))))
ACTIVATION(gelu_tanh, 0, 0.5 * x * (1 + tanh(sqrt(2 / M_PI) * (x + 0.044715 * x * x * x))))
ACTIVATION(silu, 0, x / (1 + exp(-x)))
ACTIVATION(hard_swish, 0, x <= -3 ? 0 : x >= 3 ? x : x * (x + 3) / 6)
ACTIVATION(sigmoid, 0, 1 / (1 + exp(-x)))
ACTIVATION(hyperbolic_tangent, 0, tanh(x))
ACTIVATION(softplus, 0, log(1 + exp(x)))

static const struct reference references[] = {
    {"dense", dense, false},
    {"conv2d", conv2d, false},
    {"max_pool2d", max_pool2d, false},
    {"avg_pool2d", avg_pool2d, false},
    {"global_avg_pool", global_avg_pool, false},
    {"flatten", reshape, false},
    {"reshape", reshape, false},
    {"concat", concat, false},
    {"pad_channels", pad_channels, false},
    {"add", add, false},
    {"multiply", multiply, false},
    {"scale", scale, false},
    {"parameter", parameter, false},
    {"relu", relu, false},
    {"leaky_relu", leaky_relu, false},
    {"elu", elu, false},
    {"selu", selu, false},
    {"gelu", gelu, false},
    {"gelu_tanh", gelu_tanh, false},
    {"silu", silu, false},
    {"hard_swish", hard_swish, false},
    {"sigmoid", sigmoid, false},
    {"tanh", hyperbolic_tangent, false},
    {"softplus", softplus, false},
};

const struct reference *reference_find(const char *op)
{
    for (size_t i = 0; i < sizeof references / sizeof *references; i++)
        if (!strcmp(references[i].op, op))
            return &references[i];
    for (const struct reference *row = reference_norms; row->op; row++)
        if (!strcmp(row->op, op))
            return row;
    return NULL;
}
