/* The mean over height and width: torch.nn.AdaptiveAvgPool2d(1). */
#include "nn/op.h"
#include "nn/vector.h"

static void shape(nn_node *node)
{
    node->shape = (struct nn_shape){node->input[0]->shape.channels, 1, 1};
}

static double flops(const nn_node *node)
{
    return (double)nn_size(node->input[0]->shape);
}

static void forward_chunk(const struct nn_call *call, int chunk, int chunks, int thread)
{
    int64_t begin, end, space = nn_space(call->in), channels = call->in.channels;
    (void)thread;
    descent_chunk_range(call->n, chunks, chunk, &begin, &end);
    for (int64_t s = begin; s < end; s++)
        for (int64_t c = 0; c < channels; c += NN_LANES) {
            const float *x = call->x[0] + s * space * channels + c;
            nn_vector sum = {0};
            for (int64_t p = 0; p < space; p++)
                sum += nn_vector_load_part(x + p * channels, channels - c);
            nn_vector_store_part(call->y + s * channels + c, sum / (float)space, channels - c);
        }
}

static void forward(const struct nn_call *call)
{
    nn_run_chunks(call, nn_sample_chunks(call), forward_chunk);
}

static void backward_chunk(const struct nn_call *call, int chunk, int chunks, int thread)
{
    int64_t begin, end, space = nn_space(call->in), channels = call->in.channels;
    const bool add = call->add[0];
    (void)thread;
    descent_chunk_range(call->n, chunks, chunk, &begin, &end);
    for (int64_t s = begin; s < end; s++)
        for (int64_t c = 0; c < channels; c += NN_LANES) {
            int64_t left = channels - c;
            nn_vector g = nn_vector_load_part(call->dy + s * channels + c, left) / (float)space;
            float *dx = call->dx[0] + s * space * channels + c;
            for (int64_t p = 0; p < space; p++, dx += channels)
                nn_vector_put(dx, add, g, left);
        }
}

static void backward(const struct nn_call *call)
{
    nn_run_chunks(call, nn_sample_chunks(call), backward_chunk);
}

static nn_node *sample(nn_graph *graph, struct descent_random *random)
{
    return nn_global_avg_pool(nn_sample_input(graph, random));
}

/* y_c = 1/(H W) sum_hw x_chw */
const struct nn_op NN_OP(global_avg_pool) = {
    .name = "global_avg_pool",
    .options_size = sizeof(struct nn_plain_options),
    .name_offset = offsetof(struct nn_plain_options, name),
    .inputs = 1,
    .shape = shape,
    .forward = forward,
    .backward = backward,
    .flops = flops,
    .adds_dx = true,
    .sample = sample,
};
