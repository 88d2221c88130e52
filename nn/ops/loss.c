/* Losses that compare x with a target of its shape: l_i is the mean of a term over the elements of sample
 * i, and the plan's mean over the batch makes that PyTorch's reduction='mean'. The target gets a gradient
 * too if it wants one. */
#include "nn/op.h"
#include "nn/vector_math.h"

static void shape(nn_node *node)
{
    const nn_node *x = node->input[0], *target = node->input[1];
    struct nn_shape a = x->shape, b = target->shape;
    if (!nn_same_shape(a, b))
        nn_fail(node, "its target '%s' is %d x %d x %d, '%s' is %d x %d x %d", target->name, b.channels,
                b.height, b.width, x->name, a.channels, a.height, a.width);
}

static double flops(const nn_node *node)
{
    return 3.0 * (double)nn_size(node->input[0]->shape);
}

static float delta_of(const struct nn_call *call)
{
    return (float)((const struct nn_loss_options *)call->options)->delta;
}

/* The elements' terms, or derivatives of them, of x and the target t. */
typedef nn_vector element_function(nn_vector x, nn_vector t, float delta);

NN_INLINE void forward_chunk(const struct nn_call *call, int chunk, int chunks, element_function *term)
{
    int64_t begin, end, size = nn_size(call->in);
    float delta = delta_of(call);
    descent_chunk_range(call->n, chunks, chunk, &begin, &end);
    for (int64_t i = begin; i < end; i++) {
        const float *x = call->x[0] + i * size, *t = call->x[1] + i * size;
        nn_vector sum = {0};
        int64_t j = 0;
        for (; j + NN_LANES <= size; j += NN_LANES)
            sum += term(nn_vector_load(x + j), nn_vector_load(t + j), delta);
        if (j < size) {
            nn_vector rest =
                term(nn_vector_load_part(x + j, size - j), nn_vector_load_part(t + j, size - j), delta);
            sum += nn_vector_first(rest, (int)(size - j));
        }
        call->y[i] = nn_vector_sum(sum) / (float)size;
    }
}

NN_INLINE void backward_chunk(const struct nn_call *call, int chunk, int chunks, int input,
                              element_function *slope)
{
    int64_t begin, end, size = nn_size(call->in);
    float delta = delta_of(call);
    if (!call->dx[input])
        return;
    descent_chunk_range(call->n, chunks, chunk, &begin, &end);
    for (int64_t i = begin; i < end; i++) {
        const float *x = call->x[0] + i * size, *t = call->x[1] + i * size;
        float *dx = call->dx[input] + i * size, factor = call->dy[i] / (float)size;
        for (int64_t j = 0; j < size; j += NN_LANES) {
            nn_vector target = nn_vector_load_part(t + j, size - j);
            nn_vector value = slope(nn_vector_load_part(x + j, size - j), target, delta);
            nn_vector_store_part(dx + j, factor * value, size - j);
        }
    }
}

static nn_node *sample(const char *name, double delta, nn_graph *graph, struct descent_random *random)
{
    nn_node *x = nn_sample_input(graph, random);
    struct nn_shape s = nn_shape_of(x);
    nn_node *target = nn_input(graph, s.channels, s.height, s.width);
    return nn_build(name, &(struct nn_loss_options){.x = x, .target = target, .delta = delta});
}

NN_INLINE nn_vector squared_error(nn_vector x, nn_vector t, float delta)
{
    (void)delta;
    return (x - t) * (x - t);
}

NN_INLINE nn_vector squared_error_dx(nn_vector x, nn_vector t, float delta)
{
    (void)delta;
    return 2 * (x - t);
}

NN_INLINE nn_vector squared_error_dt(nn_vector x, nn_vector t, float delta)
{
    return -squared_error_dx(x, t, delta);
}

NN_INLINE nn_vector huber(nn_vector x, nn_vector t, float delta)
{
    nn_vector d = nn_vector_abs(x - t);
    return nn_vector_select(d > delta, delta * (d - 0.5f * delta), 0.5f * d * d);
}

NN_INLINE nn_vector huber_dx(nn_vector x, nn_vector t, float delta)
{
    return nn_vector_clamp(x - t, -delta, delta);
}

NN_INLINE nn_vector huber_dt(nn_vector x, nn_vector t, float delta)
{
    return -huber_dx(x, t, delta);
}

/* -t log s(x) - (1 - t) log(1 - s(x)), s the logistic function, without overflow */
NN_INLINE nn_vector binary_cross_entropy(nn_vector x, nn_vector t, float delta)
{
    (void)delta;
    return nn_vector_softplus(x) - x * t;
}

NN_INLINE nn_vector binary_cross_entropy_dx(nn_vector x, nn_vector t, float delta)
{
    (void)delta;
    return nn_vector_sigmoid(x) - t;
}

NN_INLINE nn_vector binary_cross_entropy_dt(nn_vector x, nn_vector t, float delta)
{
    (void)t, (void)delta;
    return -x;
}

static void huber_shape(nn_node *node)
{
    struct nn_loss_options *o = node->options;
    o->delta = o->delta == 0 ? 1 : o->delta;
    if (!(o->delta > 0 && isfinite(o->delta)))
        nn_fail(node, "delta %g; expected more than 0", o->delta);
    else
        shape(node);
}

/* An operator of the element functions term, term_dx and term_dt. */
#define LOSS(operator_name, term, shape_rule, sample_delta)                                                \
    static void term##_forward_chunk(const struct nn_call *call, int chunk, int chunks, int thread)        \
    {                                                                                                      \
        (void)thread;                                                                                      \
        forward_chunk(call, chunk, chunks, term);                                                          \
    }                                                                                                      \
                                                                                                           \
    static void term##_forward(const struct nn_call *call)                                                 \
    {                                                                                                      \
        nn_run_chunks(call, nn_sample_chunks(call), term##_forward_chunk);                                 \
    }                                                                                                      \
                                                                                                           \
    static void term##_backward_chunk(const struct nn_call *call, int chunk, int chunks, int thread)       \
    {                                                                                                      \
        (void)thread;                                                                                      \
        backward_chunk(call, chunk, chunks, 0, term##_dx);                                                 \
        backward_chunk(call, chunk, chunks, 1, term##_dt);                                                 \
    }                                                                                                      \
                                                                                                           \
    static void term##_backward(const struct nn_call *call)                                                \
    {                                                                                                      \
        nn_run_chunks(call, nn_sample_chunks(call), term##_backward_chunk);                                \
    }                                                                                                      \
                                                                                                           \
    static nn_node *term##_sample(nn_graph *graph, struct descent_random *random)                          \
    {                                                                                                      \
        return sample(#operator_name, sample_delta, graph, random);                                        \
    }                                                                                                      \
                                                                                                           \
    const struct nn_op NN_OP(operator_name) = {                                                            \
        .name = #operator_name,                                                                            \
        .options_size = sizeof(struct nn_loss_options),                                                    \
        .name_offset = offsetof(struct nn_loss_options, name),                                             \
        .inputs = 2,                                                                                       \
        .shape = shape_rule,                                                                               \
        .forward = term##_forward,                                                                         \
        .backward = term##_backward,                                                                       \
        .flops = flops,                                                                                    \
        .reads_x = 3,                                                                                      \
        .sample = term##_sample,                                                                           \
    }

/* torch.nn.MSELoss, torch.nn.HuberLoss (Huber 1964), torch.nn.BCEWithLogitsLoss */
LOSS(mean_squared_error, squared_error, shape, 0);
LOSS(huber, huber, huber_shape, descent_random_below(random, 2) ? 0.7 : 0);
LOSS(binary_cross_entropy, binary_cross_entropy, shape, 0);
