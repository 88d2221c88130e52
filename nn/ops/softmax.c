/* softmax, log_softmax: over the channels of each position (torch.nn.Softmax(dim=1), LogSoftmax(dim=1)).
 * Followed by negative_log_likelihood, log_softmax is compiled into softmax_cross_entropy
 * (cross_entropy.c). */
#include "nn/ops/softmax.h"

/* The rows of this call, one a position, that belong to the chunk. */
static void chunk_rows(const struct nn_call *call, int chunk, int chunks, int64_t *begin, int64_t *end)
{
    descent_chunk_range(call->n * nn_space(call->out), chunks, chunk, begin, end);
}

static int row_chunks(const struct nn_call *call)
{
    return descent_chunk_count(call->n * nn_size(call->out), 4096);
}

static double flops(const nn_node *node)
{
    return 4.0 * (double)nn_size(node->shape);
}

static void softmax_forward_chunk(const struct nn_call *call, int chunk, int chunks, int thread)
{
    int64_t begin, end;
    int count = call->out.channels;
    (void)thread;
    chunk_rows(call, chunk, chunks, &begin, &end);
    for (int64_t row = begin; row < end; row++)
        softmax_row(call->y + row * count, call->x[0] + row * count, count);
}

static void softmax_forward(const struct nn_call *call)
{
    nn_run_chunks(call, row_chunks(call), softmax_forward_chunk);
}

/* dx_j = y_j (dy_j - sum_k y_k dy_k) */
static void softmax_backward_chunk(const struct nn_call *call, int chunk, int chunks, int thread)
{
    int64_t begin, end;
    int count = call->out.channels;
    (void)thread;
    chunk_rows(call, chunk, chunks, &begin, &end);
    for (int64_t row = begin; row < end; row++) {
        const float *y = call->y + row * count, *dy = call->dy + row * count;
        nn_vector products = {0};
        for (int j = 0; j < count; j += NN_LANES)
            products += nn_vector_load_part(y + j, count - j) * nn_vector_load_part(dy + j, count - j);
        float sum = nn_vector_sum(products);
        for (int j = 0; j < count; j += NN_LANES) {
            nn_vector dx = nn_vector_load_part(dy + j, count - j) - sum;
            nn_vector_store_part(call->dx[0] + row * count + j, nn_vector_load_part(y + j, count - j) * dx,
                                 count - j);
        }
    }
}

static void softmax_backward(const struct nn_call *call)
{
    nn_run_chunks(call, row_chunks(call), softmax_backward_chunk);
}

static nn_node *softmax_sample(nn_graph *graph, struct descent_random *random)
{
    return nn_softmax(nn_sample_input(graph, random));
}

/* y_j = exp(x_j) / sum_k exp(x_k) */
const struct nn_op NN_OP(softmax) = {
    .name = "softmax",
    .options_size = sizeof(struct nn_plain_options),
    .name_offset = offsetof(struct nn_plain_options, name),
    .inputs = 1,
    .shape = nn_shape_of_input,
    .forward = softmax_forward,
    .backward = softmax_backward,
    .flops = flops,
    .reads_y = true,
    .in_place = 1,
    .backward_in_place = 1,
    .sample = softmax_sample,
};

static void log_softmax_forward_chunk(const struct nn_call *call, int chunk, int chunks, int thread)
{
    int64_t begin, end;
    int count = call->out.channels;
    (void)thread;
    chunk_rows(call, chunk, chunks, &begin, &end);
    for (int64_t row = begin; row < end; row++) {
        const float *x = call->x[0] + row * count;
        float *y = call->y + row * count;
        struct log_sum_exp all = log_sum_exp(x, count);
        for (int j = 0; j < count; j += NN_LANES) {
            nn_vector logits = nn_vector_load_part(x + j, count - j);
            nn_vector_store_part(y + j, (logits - all.max) - all.log_sum, count - j);
        }
    }
}

static void log_softmax_forward(const struct nn_call *call)
{
    nn_run_chunks(call, row_chunks(call), log_softmax_forward_chunk);
}

/* dx_j = dy_j - exp(y_j) sum_k dy_k */
static void log_softmax_backward_chunk(const struct nn_call *call, int chunk, int chunks, int thread)
{
    int64_t begin, end;
    int count = call->out.channels;
    (void)thread;
    chunk_rows(call, chunk, chunks, &begin, &end);
    for (int64_t row = begin; row < end; row++) {
        const float *y = call->y + row * count, *dy = call->dy + row * count;
        nn_vector all = {0};
        for (int j = 0; j < count; j += NN_LANES)
            all += nn_vector_load_part(dy + j, count - j);
        float sum = nn_vector_sum(all);
        for (int j = 0; j < count; j += NN_LANES) {
            nn_vector p = nn_vector_exp(nn_vector_load_part(y + j, count - j));
            nn_vector dx = nn_vector_load_part(dy + j, count - j) - p * sum;
            nn_vector_store_part(call->dx[0] + row * count + j, dx, count - j);
        }
    }
}

static void log_softmax_backward(const struct nn_call *call)
{
    nn_run_chunks(call, row_chunks(call), log_softmax_backward_chunk);
}

static nn_node *log_softmax_sample(nn_graph *graph, struct descent_random *random)
{
    return nn_log_softmax(nn_sample_input(graph, random));
}

/* y_j = x_j - log(sum_k exp(x_k)) */
const struct nn_op NN_OP(log_softmax) = {
    .name = "log_softmax",
    .options_size = sizeof(struct nn_plain_options),
    .name_offset = offsetof(struct nn_plain_options, name),
    .inputs = 1,
    .shape = nn_shape_of_input,
    .forward = log_softmax_forward,
    .backward = log_softmax_backward,
    .flops = flops,
    .reads_y = true,
    .in_place = 1,
    .backward_in_place = 1,
    .sample = log_softmax_sample,
};
