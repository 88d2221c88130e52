/* add, multiply: element-wise, b broadcast over space or channels. A sample is cut into runs, against each
 * of which stands a run of b or one number; both directions are one pass over memory. */
#include "nn/op.h"
#include "nn/vector.h"

struct runs {
    int64_t count, length; /* of a sample */
    int64_t b_step;        /* from the b of one run to that of the next */
    bool one;              /* one number of b stands against a run */
};

static struct runs runs_of(struct nn_shape a, struct nn_shape b)
{
    if (nn_same_shape(a, b))
        return (struct runs){1, nn_size(a), 0, false};
    if (nn_size(b) == 1)
        return (struct runs){1, nn_size(a), 0, true};
    return (struct runs){nn_space(a), a.channels, b.channels == 1, b.channels == 1};
}

static void shape(nn_node *node)
{
    struct nn_shape a = node->input[0]->shape, b = node->input[1]->shape;
    bool channels = b.channels == a.channels || b.channels == 1;
    bool space = (b.height == a.height && b.width == a.width) || nn_space(b) == 1;
    if (channels && space)
        node->shape = a;
    else
        nn_fail(node, "%d x %d x %d and %d x %d x %d do not go together", a.channels, a.height, a.width,
                b.channels, b.height, b.width);
}

NN_INLINE nn_vector b_at(const float *b, int64_t i, int64_t length, bool one)
{
    if (one)
        return nn_vector_all(*b);
    return nn_vector_load_part(b + i, length - i);
}

NN_INLINE void forward_run(bool multiply, bool relu, float *y, const float *a, const float *b, bool one,
                           int64_t length)
{
    for (int64_t i = 0; i < length; i += NN_LANES) {
        nn_vector u = nn_vector_load_part(a + i, length - i);
        nn_vector v = b_at(b, i, length, one);
        u = multiply ? u * v : u + v;
        nn_vector_store_part(y + i, relu ? nn_vector_relu(u) : u, length - i);
    }
}

/* The run of a at element `at` against the b at `at_b`: da = dy or dy b, db = dy or dy a. */
NN_INLINE void backward_run(const struct nn_call *call, bool multiply, int64_t at, int64_t at_b, bool one,
                            int64_t length, bool add_b)
{
    const float *a = call->x[0] + at, *b = call->x[1] + at_b, *y = call->y + at, *dy = call->dy + at;
    float *da = call->dx[0] ? call->dx[0] + at : NULL, *db = call->dx[1] ? call->dx[1] + at_b : NULL;
    const bool relu = call->relu, add_a = call->add[0];
    nn_vector total = {0};
    for (int64_t i = 0; i < length; i += NN_LANES) {
        int64_t left = length - i;
        nn_vector g = nn_vector_load_part(dy + i, left), ga = g, gb = g;
        if (relu)
            ga = gb = g = nn_vector_and(g, nn_vector_load_part(y + i, left) > 0);
        if (multiply) {
            ga = g * b_at(b, i, length, one);
            gb = g * nn_vector_load_part(a + i, left);
        }
        if (da)
            nn_vector_put(da + i, add_a, ga, left);
        if (db && !one)
            nn_vector_put(db + i, add_b, gb, left);
        total += gb;
    }
    if (db && one)
        *db = (add_b ? *db : 0) + nn_vector_sum(total);
}

/* Equal shapes are cut anywhere, broadcasts between samples: each sample of b has a gradient of its own. */
static bool by_element(const struct nn_call *call)
{
    return nn_same_shape(call->in, call->node->input[1]->shape);
}

NN_INLINE void visit(const struct nn_call *call, int chunk, int chunks, bool multiply, bool forward)
{
    struct nn_shape b_shape = call->node->input[1]->shape;
    struct runs runs = runs_of(call->in, b_shape);
    int64_t begin, end, size = nn_size(call->in), b_size = nn_size(b_shape);
    if (by_element(call)) {
        nn_chunk_elements(call, chunk, chunks, &begin, &end);
        if (forward)
            forward_run(multiply, call->relu, call->y + begin, call->x[0] + begin, call->x[1] + begin,
                        false, end - begin);
        else
            backward_run(call, multiply, begin, begin, false, end - begin, call->add[1]);
        return;
    }
    descent_chunk_range(call->n, chunks, chunk, &begin, &end);
    for (int64_t s = begin; s < end; s++)
        for (int64_t r = 0; r < runs.count; r++) {
            int64_t at = s * size + r * runs.length, at_b = s * b_size + r * runs.b_step;
            if (forward)
                forward_run(multiply, call->relu, call->y + at, call->x[0] + at, call->x[1] + at_b,
                            runs.one, runs.length);
            else
                backward_run(call, multiply, at, at_b, runs.one, runs.length,
                             call->add[1] || (r > 0 && !runs.one));
        }
}

static int chunks_of(const struct nn_call *call)
{
    return by_element(call) ? nn_element_chunks(call) : nn_sample_chunks(call);
}

#define PASS(pass, multiply, is_forward)                                                                   \
    static void pass##_chunk(const struct nn_call *call, int chunk, int chunks, int thread)                \
    {                                                                                                      \
        (void)thread;                                                                                      \
        visit(call, chunk, chunks, multiply, is_forward);                                                  \
    }                                                                                                      \
    static void pass(const struct nn_call *call)                                                           \
    {                                                                                                      \
        nn_run_chunks(call, chunks_of(call), pass##_chunk);                                                \
    }

PASS(add_forward, false, true)
PASS(add_pass, false, false)
PASS(multiply_forward, true, true)
PASS(multiply_backward, true, false)

static void add_backward(const struct nn_call *call)
{
    bool passed_on = !call->relu && call->dx[0] == call->dy && !call->dx[1];
    if (!passed_on)
        add_pass(call);
}

static nn_node *sample(const char *name, nn_graph *graph, struct descent_random *random)
{
    nn_node *a = nn_sample_input(graph, random);
    struct nn_shape b = nn_shape_of(a);
    switch (descent_random_below(random, 4)) {
    case 0:
        b.channels = 1;
        break;
    case 1:
        b.height = b.width = 1;
        break;
    case 2:
        b = (struct nn_shape){1, 1, 1};
    }
    return nn_build(name,
                    &(struct nn_pair_options){.a = a, .b = nn_input(graph, b.channels, b.height, b.width)});
}

static nn_node *add_sample(nn_graph *graph, struct descent_random *random)
{
    return sample("add", graph, random);
}

static nn_node *multiply_sample(nn_graph *graph, struct descent_random *random)
{
    return sample("multiply", graph, random);
}

#define COMMON                                                                                             \
    .options_size = sizeof(struct nn_pair_options), .name_offset = offsetof(struct nn_pair_options, name), \
    .inputs = 2, .shape = shape, .in_place = 3, .backward_in_place = 3, .adds_dx = true

/* y = a + b */
const struct nn_op NN_OP(add) = {
    .name = "add",
    COMMON,
    .forward = add_forward,
    .backward = add_backward,
    .fuses_relu = true,
    .sample = add_sample,
};

/* y = a b */
const struct nn_op NN_OP(multiply) = {
    .name = "multiply",
    COMMON,
    .forward = multiply_forward,
    .backward = multiply_backward,
    .reads_x = 3,
    .sample = multiply_sample,
};
