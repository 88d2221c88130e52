/* parameter: a learned tensor, the same for every sample. Stored channels x height x width, as all
 * parameters are in PyTorch's order. */
#include "nn/op.h"

static void shape(nn_node *node)
{
    struct nn_parameter_options *o = node->options;
    o->channels = o->channels ? o->channels : 1;
    o->height = o->height ? o->height : 1;
    o->width = o->width ? o->width : 1;
    if (o->channels < 1 || o->height < 1 || o->width < 1) {
        nn_fail(node, "%d x %d x %d is not a shape", o->channels, o->height, o->width);
        return;
    }
    node->input_count = 0; /* `like` only named the graph */
    node->shape = (struct nn_shape){o->channels, o->height, o->width};
    nn_add_param(node, &(struct nn_param_spec){
                           .name = "value",
                           .kind = DESCENT_BIAS, /* not decayed: 0 is no better a scale than another */
                           .rank = 3,
                           .shape = {o->channels, o->height, o->width},
                           .init = o->init,
                           .default_init = "zeros",
                       });
}

static double no_flops(const nn_node *node)
{
    (void)node;
    return 0;
}

/* Where element i of a stored sample (HWC) is in the parameter (CHW). */
static int64_t place(struct nn_shape shape, int64_t i)
{
    return i % shape.channels * nn_space(shape) + i / shape.channels;
}

/* A chunk is a range of a sample's elements. */
static int chunks_of(const struct nn_call *call)
{
    int64_t size = nn_size(call->out);
    int chunks = nn_element_chunks(call);
    return chunks < size ? chunks : (int)size;
}

static void forward_chunk(const struct nn_call *call, int chunk, int chunks, int thread)
{
    int64_t begin, end, size = nn_size(call->out);
    (void)thread;
    descent_chunk_range(size, chunks, chunk, &begin, &end);
    for (int64_t i = begin; i < end; i++)
        call->y[i] = call->param[0]->value[place(call->out, i)];
    for (int64_t s = 1; s < call->n; s++)
        memcpy(call->y + s * size + begin, call->y + begin, (size_t)(end - begin) * sizeof(float));
}

static void forward(const struct nn_call *call)
{
    nn_run_chunks(call, chunks_of(call), forward_chunk);
}

/* grad += sum of dy over the samples, for a few elements at a time. */
static void backward_chunk(const struct nn_call *call, int chunk, int chunks, int thread)
{
    enum { TILE = 64 };
    int64_t begin, end, size = nn_size(call->out);
    (void)thread;
    descent_chunk_range(size, chunks, chunk, &begin, &end);
    for (int64_t first = begin; first < end; first += TILE) {
        float sum[TILE] = {0};
        int64_t count = end - first < TILE ? end - first : TILE;
        for (int64_t s = 0; s < call->n; s++)
            for (int64_t i = 0; i < count; i++)
                sum[i] += call->dy[s * size + first + i];
        for (int64_t i = 0; i < count; i++)
            call->param[0]->grad[place(call->out, first + i)] += sum[i];
    }
}

static void backward(const struct nn_call *call)
{
    if (call->param[0]->grad)
        nn_run_chunks(call, chunks_of(call), backward_chunk);
}

static nn_node *sample(nn_graph *graph, struct descent_random *random)
{
    int channels = nn_random_between(random, 1, 9), height = nn_random_between(random, 1, 5);
    return nn_parameter(nn_input(graph, 1, 1, 1), channels, height, nn_random_between(random, 1, 5),
                        .init = "normal:std=1");
}

/* y_i = the parameter, for every sample i */
const struct nn_op NN_OP(parameter) = {
    .name = "parameter",
    .options_size = sizeof(struct nn_parameter_options),
    .name_offset = offsetof(struct nn_parameter_options, name),
    .inputs = 1,
    .takes_labels = 1, /* as any node, for its graph */
    .shape = shape,
    .forward = forward,
    .backward = backward,
    .flops = no_flops,
    .sample = sample,
};
