/* dropout (Srivastava et al. 2014; torch.nn.Dropout): in training y = mask x / (1 - rate), else y = x.
 *
 * The mask is a function of the graph's seed, the layer's name, the step and the element, so it is the same
 * for any number of threads, a repeated step repeats it, and a short batch gets the beginning of a full
 * one's. */
#include "nn/op.h"
#include "nn/vector.h"

static void shape(nn_node *node)
{
    const struct nn_dropout_options *o = node->options;
    nn_shape_of_input(node);
    if (!(o->rate >= 0 && o->rate < 1))
        nn_fail(node, "rate %g; expected at least 0 and less than 1", o->rate);
}

/* Saved: a byte an element, 1 where it is kept. */
static void plan(const nn_node *node, int batch, bool training, int threads, struct nn_needs *needs)
{
    (void)threads;
    needs->saved = training ? (size_t)batch * (size_t)nn_size(node->shape) : 0;
}

/* to = from / (1 - rate) where it is kept, else 0, for elements begin .. end-1. `to` may be `from`. A loop
 * of branches on random bytes would take several times as long. */
static void mask(const struct nn_call *call, float *to, const float *from, int64_t begin, int64_t end)
{
    typedef uint8_t bytes __attribute__((vector_size(NN_LANES)));
    const struct nn_dropout_options *o = call->options;
    const uint8_t *keep = call->saved;
    float scale = (float)(1 / (1 - o->rate));
    for (int64_t i = begin; i < end; i += NN_LANES) {
        int64_t count = end - i < NN_LANES ? end - i : NN_LANES;
        bytes kept = {0};
        memcpy(&kept, keep + i, (size_t)count);
        nn_vector value = scale * nn_vector_load_part(from + i, count);
        nn_vector_store_part(to + i, nn_vector_and(value, -__builtin_convertvector(kept, nn_mask)), count);
    }
}

enum { BLOCK = 4 }; /* random words from one index */

static void forward_chunk(const struct nn_call *call, int chunk, int chunks, int thread)
{
    const struct nn_dropout_options *o = call->options;
    struct descent_random random =
        descent_random_new(call->seed, DESCENT_RANDOM_DROPOUT, descent_hash(call->node->name) + call->step);
    uint32_t drop_below = (uint32_t)(o->rate * 4294967296.0);
    int64_t begin, end, count = call->n * nn_size(call->out);
    uint8_t *keep = call->saved;
    (void)thread;
    descent_chunk_range((count + BLOCK - 1) / BLOCK, chunks, chunk, &begin, &end);
    for (int64_t block = begin; block < end; block++) {
        uint32_t word[BLOCK];
        int64_t first = block * BLOCK;
        descent_random_block(&random, (uint64_t)block, word);
        for (int k = 0; k < BLOCK && first + k < count; k++)
            keep[first + k] = word[k] >= drop_below;
    }
    mask(call, call->y, call->x[0], begin * BLOCK, end * BLOCK < count ? end * BLOCK : count);
}

static void forward(const struct nn_call *call)
{
    if (call->training)
        nn_run_chunks(call, nn_element_chunks(call), forward_chunk);
    else if (call->y != call->x[0])
        memcpy(call->y, call->x[0], (size_t)(call->n * nn_size(call->out)) * sizeof(float));
}

static void backward_chunk(const struct nn_call *call, int chunk, int chunks, int thread)
{
    int64_t begin, end;
    (void)thread;
    nn_chunk_elements(call, chunk, chunks, &begin, &end);
    mask(call, call->dx[0], call->dy, begin, end);
}

static void backward(const struct nn_call *call)
{
    nn_run_chunks(call, nn_element_chunks(call), backward_chunk);
}

static nn_node *sample(nn_graph *graph, struct descent_random *random)
{
    nn_node *x = nn_sample_input(graph, random);
    return nn_dropout(x, descent_random_below(random, 4) ? 0.4 : 0);
}

/* y_i = x_i / (1 - rate) with probability 1 - rate, else 0 */
const struct nn_op NN_OP(dropout) = {
    .name = "dropout",
    .options_size = sizeof(struct nn_dropout_options),
    .name_offset = offsetof(struct nn_dropout_options, name),
    .inputs = 1,
    .shape = shape,
    .plan = plan,
    .forward = forward,
    .backward = backward,
    .in_place = 1,
    .backward_in_place = 1,
    .sample = sample,
};
