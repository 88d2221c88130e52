/* Fully connected layer: y = x W^T + b (torch.nn.Linear). Matrix products are OpenBLAS's. */
#include "base/linalg.h"
#include "nn/op.h"

static void shape(nn_node *node)
{
    const struct nn_dense_options *o = node->options;
    struct nn_shape in = node->input[0]->shape;
    if (in.height != 1 || in.width != 1) {
        nn_fail(node, "its input is %d x %d x %d, not a vector; put nn_flatten before it", in.channels,
                in.height, in.width);
        return;
    }
    if (o->units < 1) {
        nn_fail(node, "%d units; at least 1 is needed", o->units);
        return;
    }
    node->shape = (struct nn_shape){o->units, 1, 1};
    nn_add_param(node, &(struct nn_param_spec){
                           .name = "weight",
                           .kind = DESCENT_WEIGHT,
                           .rank = 2,
                           .shape = {o->units, in.channels},
                           .init = o->init,
                           .default_init = "fan-in-uniform",
                       });
    if (!o->no_bias)
        nn_add_param(node, &(struct nn_param_spec){
                               .name = "bias",
                               .kind = DESCENT_BIAS,
                               .rank = 1,
                               .shape = {o->units},
                               .init = o->bias_init,
                               .default_init = "fan-in-uniform",
                               .fan_in = in.channels,
                               .fan_out = o->units,
                           });
}

static double flops(const nn_node *node)
{
    return 2.0 * node->input[0]->shape.channels * node->shape.channels;
}

static void forward_chunk(const struct nn_call *call, int chunk, int chunks, int thread)
{
    const struct nn_dense_options *o = call->options;
    int in = call->in.channels, out = call->out.channels;
    int64_t begin, end;
    (void)thread;
    descent_chunk_range(out, chunks, chunk, &begin, &end);
    int columns = (int)(end - begin);
    float *y = call->y + begin;
    for (int s = 0; s < call->n; s++)
        for (int k = 0; k < columns; k++)
            y[(int64_t)s * out + k] = o->no_bias ? 0 : call->param[1]->value[begin + k];
    descent_sgemm(false, true, call->n, columns, in, 1, call->x[0], in, call->param[0]->value + begin * in,
                  in, 1, y, out);
    if (call->relu)
        for (int s = 0; s < call->n; s++)
            for (int k = 0; k < columns; k++)
                y[(int64_t)s * out + k] = y[(int64_t)s * out + k] < 0 ? 0 : y[(int64_t)s * out + k];
}

/* Chunks of at least 64 outputs and about a million multiply-adds. */
static int chunks_of(const struct nn_call *call, int dimension)
{
    int64_t work = (int64_t)call->n * call->in.channels * call->out.channels;
    int by_work = descent_chunk_count(work, 1 << 20), by_size = descent_chunk_count(dimension, 64);
    return by_work < by_size ? by_work : by_size;
}

static void forward(const struct nn_call *call)
{
    nn_run_chunks(call, chunks_of(call, call->out.channels), forward_chunk);
}

static void mask_chunk(const struct nn_call *call, int chunk, int chunks, int thread)
{
    int64_t begin, end;
    (void)thread;
    descent_chunk_range((int64_t)call->n * call->out.channels, chunks, chunk, &begin, &end);
    for (int64_t i = begin; i < end; i++)
        call->dy[i] = call->y[i] > 0 ? call->dy[i] : 0;
}

/* dW += dy^T x and db += the column sums of dy, a block of outputs a chunk. */
static void weight_chunk(const struct nn_call *call, int chunk, int chunks, int thread)
{
    int in = call->in.channels, out = call->out.channels;
    int64_t begin, end;
    (void)thread;
    descent_chunk_range(out, chunks, chunk, &begin, &end);
    if (call->param[0]->grad)
        descent_sgemm(true, false, (int)(end - begin), in, call->n, 1, call->dy + begin, out, call->x[0],
                      in, 1, call->param[0]->grad + begin * in, in);
    float *bias = call->param[1] ? call->param[1]->grad : NULL;
    for (int s = 0; s < call->n && bias; s++)
        for (int64_t k = begin; k < end; k++)
            bias[k] += call->dy[(int64_t)s * out + k];
}

/* dx = dy W, a block of inputs a chunk. */
static void input_chunk(const struct nn_call *call, int chunk, int chunks, int thread)
{
    int in = call->in.channels, out = call->out.channels;
    int64_t begin, end;
    (void)thread;
    descent_chunk_range(in, chunks, chunk, &begin, &end);
    descent_sgemm(false, false, call->n, (int)(end - begin), out, 1, call->dy, out,
                  call->param[0]->value + begin, in, call->add[0] ? 1 : 0, call->dx[0] + begin, in);
}

static void backward(const struct nn_call *call)
{
    if (call->relu)
        nn_run_chunks(call, descent_chunk_count((int64_t)call->n * call->out.channels, 16384), mask_chunk);
    nn_run_chunks(call, chunks_of(call, call->out.channels), weight_chunk);
    if (call->dx[0])
        nn_run_chunks(call, chunks_of(call, call->in.channels), input_chunk);
}

static nn_node *sample(nn_graph *graph, struct descent_random *random)
{
    nn_node *x = nn_input(graph, nn_random_between(random, 1, 19), 1, 1);
    return nn_dense(x, nn_random_between(random, 1, 17), .no_bias = nn_random_between(random, 0, 2) == 0);
}

const struct nn_op NN_OP(dense) = {
    .name = "dense",
    .options_size = sizeof(struct nn_dense_options),
    .name_offset = offsetof(struct nn_dense_options, name),
    .share_offset = offsetof(struct nn_dense_options, share),
    .inputs = 1,
    .shape = shape,
    .forward = forward,
    .backward = backward,
    .flops = flops,
    .reads_x = 1,
    .fuses_relu = true,
    .adds_dx = true,
    .sample = sample,
};
