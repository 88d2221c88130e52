/* scale: a fixed multiple and offset, such as the weight of a loss. A learned one is nn_parameter. */
#include "nn/op.h"
#include "nn/vector.h"

static void forward_chunk(const struct nn_call *call, int chunk, int chunks, int thread)
{
    const struct nn_scale_options *o = call->options;
    const float factor = (float)o->factor, offset = (float)o->offset;
    int64_t begin, end;
    (void)thread;
    nn_chunk_elements(call, chunk, chunks, &begin, &end);
    for (int64_t i = begin; i < end; i += NN_LANES)
        nn_vector_store_part(call->y + i, factor * nn_vector_load_part(call->x[0] + i, end - i) + offset,
                             end - i);
}

static void forward(const struct nn_call *call)
{
    nn_run_chunks(call, nn_element_chunks(call), forward_chunk);
}

static void backward_chunk(const struct nn_call *call, int chunk, int chunks, int thread)
{
    const struct nn_scale_options *o = call->options;
    const float factor = (float)o->factor;
    const bool add = call->add[0];
    int64_t begin, end;
    (void)thread;
    nn_chunk_elements(call, chunk, chunks, &begin, &end);
    for (int64_t i = begin; i < end; i += NN_LANES) {
        nn_vector g = factor * nn_vector_load_part(call->dy + i, end - i);
        nn_vector_put(call->dx[0] + i, add, g, end - i);
    }
}

static void backward(const struct nn_call *call)
{
    nn_run_chunks(call, nn_element_chunks(call), backward_chunk);
}

static nn_node *sample(nn_graph *graph, struct descent_random *random)
{
    nn_node *x = nn_sample_input(graph, random);
    double factor = 4 * descent_random_uniform(random) - 2;
    return nn_scale(x, factor, .offset = descent_random_uniform(random));
}

/* y = factor x + offset */
const struct nn_op NN_OP(scale) = {
    .name = "scale",
    .options_size = sizeof(struct nn_scale_options),
    .name_offset = offsetof(struct nn_scale_options, name),
    .inputs = 1,
    .shape = nn_shape_of_input,
    .forward = forward,
    .backward = backward,
    .in_place = 1,
    .backward_in_place = 1,
    .adds_dx = true,
    .sample = sample,
};
