/* Element-wise activations: y = f(x), dx = f'(x) dy. */
#include "nn/op.h"

static void relu_forward_chunk(const struct nn_call *call, int chunk, int chunks, int thread)
{
    int64_t begin, end;
    (void)thread;
    nn_chunk_elements(call, chunk, chunks, &begin, &end);
    for (int64_t i = begin; i < end; i++)
        call->y[i] = call->x[0][i] < 0 ? 0 : call->x[0][i]; /* NaN stays */
}

static void relu_forward(const struct nn_call *call)
{
    nn_run_chunks(call, nn_element_chunks(call), relu_forward_chunk);
}

static void relu_backward_chunk(const struct nn_call *call, int chunk, int chunks, int thread)
{
    int64_t begin, end;
    (void)thread;
    nn_chunk_elements(call, chunk, chunks, &begin, &end);
    for (int64_t i = begin; i < end; i++) {
        float slope = call->y[i] > 0 ? call->dy[i] : 0;
        call->dx[0][i] = call->add[0] ? call->dx[0][i] + slope : slope;
    }
}

static void relu_backward(const struct nn_call *call)
{
    nn_run_chunks(call, nn_element_chunks(call), relu_backward_chunk);
}

static nn_node *relu_sample(nn_graph *graph, struct descent_random *random)
{
    return nn_relu(nn_sample_input(graph, random));
}

/* y = max(0, x) */
const struct nn_op NN_OP(relu) = {
    .name = "relu",
    .options_size = sizeof(struct nn_plain_options),
    .name_offset = offsetof(struct nn_plain_options, name),
    .inputs = 1,
    .shape = nn_shape_of_input,
    .forward = relu_forward,
    .backward = relu_backward,
    .reads_y = true,
    .in_place = 1,
    .backward_in_place = 1,
    .adds_dx = true,
    .sample = relu_sample,
};
