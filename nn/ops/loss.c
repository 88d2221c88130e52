/* Losses that compare x with a target of its shape: l_i is the mean of a term over the elements of sample
 * i, and the plan's mean over the batch makes that PyTorch's reduction='mean'. The target gets a gradient
 * too if it wants one. */
#include "nn/op.h"
#include "nn/vector.h"

static void shape(nn_node *node)
{
    const nn_node *x = node->input[0], *target = node->input[1];
    struct nn_shape a = x->shape, b = target->shape;
    if (target->op->integer)
        nn_fail(node, "'%s' holds class indices, not numbers like '%s'", target->name, x->name);
    else if (!nn_same_shape(a, b))
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

/* One element's term, or a derivative of it, of x and the target t. */
typedef float element_function(float x, float t, float delta);

NN_INLINE void forward_chunk(const struct nn_call *call, int chunk, int chunks, element_function *term)
{
    enum { LANES = 16 }; /* sums side by side, for the vectorizer */
    int64_t begin, end, size = nn_size(call->in);
    float delta = delta_of(call);
    descent_chunk_range(call->n, chunks, chunk, &begin, &end);
    for (int64_t i = begin; i < end; i++) {
        const float *x = call->x[0] + i * size, *t = call->x[1] + i * size;
        float lane[LANES] = {0};
        double sum = 0;
        int64_t j = 0;
        for (; j + LANES <= size; j += LANES)
            for (int k = 0; k < LANES; k++)
                lane[k] += term(x[j + k], t[j + k], delta);
        for (; j < size; j++)
            sum += (double)term(x[j], t[j], delta);
        for (int k = 0; k < LANES; k++)
            sum += (double)lane[k];
        call->y[i] = (float)(sum / (double)size);
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
        const float *restrict x = call->x[0] + i * size, *restrict t = call->x[1] + i * size;
        float *restrict dx = call->dx[input] + i * size, factor = call->dy[i] / (float)size;
        for (int64_t j = 0; j < size; j++)
            dx[j] = factor * slope(x[j], t[j], delta);
    }
}

static nn_node *sample(const char *name, double delta, nn_graph *graph, struct descent_random *random)
{
    nn_node *x = nn_sample_input(graph, random);
    struct nn_shape s = nn_shape_of(x);
    nn_node *target = nn_input(graph, s.channels, s.height, s.width);
    return nn_build(name, &(struct nn_loss_options){.x = x, .target = target, .delta = delta});
}

static float squared_error(float x, float t, float delta)
{
    (void)delta;
    return (x - t) * (x - t);
}

static float squared_error_dx(float x, float t, float delta)
{
    (void)delta;
    return 2 * (x - t);
}

static float squared_error_dt(float x, float t, float delta)
{
    return -squared_error_dx(x, t, delta);
}

static float huber(float x, float t, float delta)
{
    float d = fabsf(x - t);
    return d > delta ? delta * (d - 0.5f * delta) : 0.5f * d * d;
}

static float huber_dx(float x, float t, float delta)
{
    float d = x - t;
    return d > delta ? delta : d < -delta ? -delta : d;
}

static float huber_dt(float x, float t, float delta)
{
    return -huber_dx(x, t, delta);
}

/* -t log s(x) - (1 - t) log(1 - s(x)), s the logistic function, without overflow */
static float binary_cross_entropy(float x, float t, float delta)
{
    (void)delta;
    return (x > 0 ? x : 0) - x * t + log1pf(expf(-fabsf(x)));
}

static float binary_cross_entropy_dx(float x, float t, float delta)
{
    (void)delta;
    return 1 / (1 + expf(-x)) - t;
}

static float binary_cross_entropy_dt(float x, float t, float delta)
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
