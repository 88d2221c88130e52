/* Element-wise activations: y = f(x), dx = f'(x) dy. Where f' follows from y alone, y may overwrite x.
 * Constants and defaults are PyTorch's. */
#include "nn/op.h"
#include "nn/vector_math.h"

/* y = f(x) and dx = f'(x) dy of each activation, a vector at a time. v is x or y, as the list at the end
 * says; a is the slope or alpha. */
#define VALUE(name)    NN_INLINE nn_vector name##_value(nn_vector x, float a)
#define GRADIENT(name) NN_INLINE nn_vector name##_gradient(nn_vector v, nn_vector dy, float a)

/* max(0, x) */
VALUE(relu)
{
    (void)a;
    return nn_vector_relu(x);
}

GRADIENT(relu)
{
    (void)a;
    return nn_vector_and(dy, v > 0);
}

/* x where x > 0, else a x */
VALUE(leaky_relu)
{
    return nn_vector_select(x > 0, x, a * x);
}

GRADIENT(leaky_relu)
{
    return nn_vector_select(v > 0, dy, a * dy);
}

/* x where x > 0, else a (exp(x) - 1) (Clevert et al. 2015, arXiv 1511.07289) */
VALUE(elu)
{
    return nn_vector_select(x > 0, x, a * nn_vector_expm1(x));
}

GRADIENT(elu)
{
    return nn_vector_select(v > 0, dy, (v + a) * dy);
}

/* A scaled ELU that keeps mean 0 and variance 1 (Klambauer et al. 2017, arXiv 1706.02515) */
static const float selu_scale = 1.0507009873554805f, selu_alpha = 1.6732632423543772f;

VALUE(selu)
{
    (void)a;
    return selu_scale * elu_value(x, selu_alpha);
}

GRADIENT(selu)
{
    (void)a;
    return nn_vector_select(v > 0, selu_scale * dy, (v + selu_scale * selu_alpha) * dy);
}

/* x P(X <= x), X standard normal (Hendrycks & Gimpel 2016, arXiv 1606.08415) */
VALUE(gelu)
{
    (void)a;
    return x * nn_vector_normal(x).below;
}

GRADIENT(gelu)
{
    (void)a;
    v = nn_vector_clamp(v, -20, 20); /* beyond, the slope is 0 or 1; inf times 0 would be NaN */
    struct nn_normal normal = nn_vector_normal(v);
    return (normal.below + v * normal.density) * dy;
}

/* 1/2 x (1 + tanh(u)) = x sigmoid(2 u), u = sqrt(2 / pi) (x + 0.044715 x^3) */
static const float gelu_factor = 1.5957691216057308f /* 2 sqrt(2 / pi) */, gelu_cubic = 0.044715f;

VALUE(gelu_tanh)
{
    (void)a;
    return x * nn_vector_sigmoid(gelu_factor * x * (1 + gelu_cubic * x * x));
}

GRADIENT(gelu_tanh)
{
    (void)a;
    v = nn_vector_clamp(v, -20, 20);
    nn_vector s = nn_vector_sigmoid(gelu_factor * v * (1 + gelu_cubic * v * v));
    return (s + v * s * (1 - s) * gelu_factor * (1 + 3 * gelu_cubic * v * v)) * dy;
}

/* x sigmoid(x), also called swish (Ramachandran et al. 2017, arXiv 1710.05941) */
VALUE(silu)
{
    (void)a;
    return x * nn_vector_sigmoid(x);
}

GRADIENT(silu)
{
    (void)a;
    nn_vector s = nn_vector_sigmoid(v);
    return s * (1 + v * (1 - s)) * dy;
}

/* x min(max(x + 3, 0), 6) / 6 (Howard et al. 2019, arXiv 1905.02244) */
VALUE(hard_swish)
{
    (void)a;
    return x * nn_vector_clamp(x / 6 + 0.5f, 0, 1);
}

GRADIENT(hard_swish)
{
    (void)a;
    return nn_vector_select(v >= 3, dy, nn_vector_and((v / 3 + 0.5f) * dy, v > -3));
}

/* 1 / (1 + exp(-x)) */
VALUE(sigmoid)
{
    (void)a;
    return nn_vector_sigmoid(x);
}

GRADIENT(sigmoid)
{
    (void)a;
    return v * (1 - v) * dy;
}

VALUE(tanh)
{
    (void)a;
    return nn_vector_tanh(x);
}

GRADIENT(tanh)
{
    (void)a;
    return (1 - v * v) * dy;
}

/* log(1 + exp(x)); its slope, sigmoid(x), is 1 - exp(-y) */
VALUE(softplus)
{
    (void)a;
    return nn_vector_softplus(x);
}

GRADIENT(softplus)
{
    (void)a;
    return -nn_vector_expm1(-v) * dy;
}

static void slope_shape(nn_node *node, double otherwise)
{
    struct nn_slope_options *o = node->options;
    nn_shape_of_input(node);
    o->slope = o->slope == 0 ? otherwise : o->slope;
    if (!(o->slope > 0 && isfinite(o->slope)))
        nn_fail(node, "slope %g; expected more than 0", o->slope);
}

static void leaky_relu_shape(nn_node *node)
{
    slope_shape(node, 0.01);
}

static void elu_shape(nn_node *node)
{
    slope_shape(node, 1);
}

static float slope_of(const struct nn_call *call)
{
    return (float)((const struct nn_slope_options *)call->options)->slope;
}

/* The operator `op`: `operand` is X or Y, what its GRADIENT reads as v; `alpha` its a; `draw` sets a
 * sample's options. */
#define ACTIVATION(op, options_type, shape_rule, operand, alpha, draw)                                     \
    static void op##_forward_chunk(const struct nn_call *call, int chunk, int chunks, int thread)          \
    {                                                                                                      \
        int64_t begin, end;                                                                                \
        const float *x = call->x[0], a = alpha;                                                            \
        float *y = call->y;                                                                                \
        (void)thread;                                                                                      \
        nn_chunk_elements(call, chunk, chunks, &begin, &end);                                              \
        for (int64_t i = begin; i < end; i += NN_LANES)                                                    \
            nn_vector_store_part(y + i, op##_value(nn_vector_load_part(x + i, end - i), a), end - i);      \
    }                                                                                                      \
    static void op##_forward(const struct nn_call *call)                                                   \
    {                                                                                                      \
        nn_run_chunks(call, nn_element_chunks(call), op##_forward_chunk);                                  \
    }                                                                                                      \
    static void op##_backward_chunk(const struct nn_call *call, int chunk, int chunks, int thread)         \
    {                                                                                                      \
        int64_t begin, end;                                                                                \
        const float *v = VALUES_##operand, *dy = call->dy, a = alpha;                                      \
        float *dx = call->dx[0];                                                                           \
        const bool add = call->add[0];                                                                     \
        (void)thread;                                                                                      \
        nn_chunk_elements(call, chunk, chunks, &begin, &end);                                              \
        for (int64_t i = begin; i < end; i += NN_LANES) {                                                  \
            nn_vector g = nn_vector_load_part(dy + i, end - i);                                            \
            nn_vector_put(dx + i, add, op##_gradient(nn_vector_load_part(v + i, end - i), g, a), end - i); \
        }                                                                                                  \
    }                                                                                                      \
    static void op##_backward(const struct nn_call *call)                                                  \
    {                                                                                                      \
        nn_run_chunks(call, nn_element_chunks(call), op##_backward_chunk);                                 \
    }                                                                                                      \
    static nn_node *op##_sample(nn_graph *graph, struct descent_random *random)                            \
    {                                                                                                      \
        struct options_type options = {.x = nn_sample_input(graph, random)};                               \
        draw;                                                                                              \
        return nn_build(#op, &options);                                                                    \
    }                                                                                                      \
    const struct nn_op NN_OP(op) = {                                                                       \
        .name = #op,                                                                                       \
        .options_size = sizeof(struct options_type),                                                       \
        .name_offset = offsetof(struct options_type, name),                                                \
        .inputs = 1,                                                                                       \
        .shape = shape_rule,                                                                               \
        .forward = op##_forward,                                                                           \
        .backward = op##_backward,                                                                         \
        READS_##operand,                                                                                   \
        .in_place = 1,                                                                                     \
        .backward_in_place = 1,                                                                            \
        .adds_dx = true,                                                                                   \
        .sample = op##_sample,                                                                             \
    };

#define VALUES_X call->x[0]
#define VALUES_Y call->y
#define READS_X  .reads_x = 1
#define READS_Y  .reads_y = true

#define PLAIN(op, operand) ACTIVATION(op, nn_plain_options, nn_shape_of_input, operand, 0, (void)0)
#define SLOPED(op)                                                                                         \
    ACTIVATION(op, nn_slope_options, op##_shape, Y, slope_of(call),                                        \
               options.slope = 2 * descent_random_uniform(random))

PLAIN(relu, Y)
SLOPED(leaky_relu)
SLOPED(elu)
PLAIN(selu, Y)
PLAIN(gelu, X)
PLAIN(gelu_tanh, X)
PLAIN(silu, X)
PLAIN(hard_swish, X)
PLAIN(sigmoid, Y)
PLAIN(tanh, Y)
PLAIN(softplus, Y)
