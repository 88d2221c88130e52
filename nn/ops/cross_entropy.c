/* negative_log_likelihood and softmax_cross_entropy, with class indices or probabilities as the target
 * (torch.nn.CrossEntropyLoss; label smoothing: Szegedy et al. 2016, arXiv 1512.00567).
 *
 * Both are l_i = - sum_j q_ij log p_ij and differ in whether x is log p or logits; the planner makes the
 * second of log_softmax and the first. Of C classes, with class weights w and label smoothing s,
 *
 *     class index t_i:     q_ij = m (w_t (1 - s) [j = t_i] + w_j s / C),   m = n / sum_i w_(t_i)
 *     probabilities t_ij:  q_ij = w_j (t_ij (1 - s) + s / C)
 *
 * so that the plain mean of l over the n samples is PyTorch's weighted mean. A batch whose classes all have
 * weight 0 has loss 0 (PyTorch: NaN). */
#include "nn/graph.h"
#include "nn/ops/softmax.h"

static void copy_weights(nn_node *node, struct nn_cross_entropy_options *o, int classes)
{
    for (int j = 0; j < classes; j++)
        if (!(o->class_weights[j] >= 0 && isfinite(o->class_weights[j]))) {
            nn_fail(node, "class weight %d is %g; expected at least 0", j, (double)o->class_weights[j]);
            return;
        }
    float *copy = descent_arena_alloc(node->graph->arena, (size_t)classes * sizeof *copy);
    if (!copy) {
        nn_fail(node, "out of memory for %d class weights", classes);
        return;
    }
    o->class_weights = memcpy(copy, o->class_weights, (size_t)classes * sizeof *copy);
}

static void shape(nn_node *node)
{
    struct nn_cross_entropy_options *o = node->options;
    const nn_node *x = node->input[0], *target = node->input[1];
    struct nn_shape in = x->shape, t = target->shape;
    if (nn_space(in) != 1)
        nn_fail(node, "'%s' is %d x %d x %d; expected classes x 1 x 1", x->name, in.channels, in.height,
                in.width);
    else if (target->op->integer && *(const int *)target->options != in.channels)
        nn_fail(node, "'%s' has labels of %d classes, '%s' has %d", target->name,
                *(const int *)target->options, x->name, in.channels);
    else if (!target->op->integer && !nn_same_shape(in, t))
        nn_fail(node, "probabilities '%s' are %d x %d x %d, '%s' is %d x 1 x 1", target->name, t.channels,
                t.height, t.width, x->name, in.channels);
    else if (!(o->label_smoothing >= 0 && o->label_smoothing <= 1))
        nn_fail(node, "label smoothing %g; expected 0 to 1", o->label_smoothing);
    else if (o->class_weights)
        copy_weights(node, o, in.channels);
}

/* Workspace: what the chunks share in a line of its own, then a row of q for each chunk. */
struct shared {
    float factor; /* m */
    bool logits;  /* x is logits, not log p */
};
enum { LINE = DESCENT_ALIGNMENT / sizeof(float) };

static void plan(const nn_node *node, int batch, bool training, int threads, struct nn_needs *needs)
{
    (void)batch, (void)training, (void)threads;
    needs->forward = needs->backward =
        (LINE + DESCENT_MAX_CHUNKS * (size_t)node->input[0]->shape.channels) * sizeof(float);
}

static bool by_index(const struct nn_call *call)
{
    return call->node->input[1]->op->integer;
}

static int class_of(const struct nn_call *call, int64_t i)
{
    return ((const int32_t *)(const void *)call->x[1])[i];
}

static void run(const struct nn_call *call, bool logits, nn_chunk_function *function)
{
    const struct nn_cross_entropy_options *o = call->options;
    struct shared *shared = call->workspace;
    *shared = (struct shared){1, logits};
    if (by_index(call) && o->class_weights) {
        double sum = 0;
        for (int i = 0; i < call->n; i++)
            sum += (double)o->class_weights[class_of(call, i)];
        shared->factor = sum > 0 ? (float)(call->n / sum) : 0;
    }
    nn_run_chunks(call, descent_chunk_count(call->n * nn_size(call->in), 4096), function);
}

static const struct shared *shared_of(const struct nn_call *call)
{
    return call->workspace;
}

/* Fills q with row i. */
static void target_row(const struct nn_call *call, int64_t i, float *restrict q)
{
    const struct nn_cross_entropy_options *o = call->options;
    const float *w = o->class_weights;
    int classes = call->in.channels;
    float hard = (float)(1 - o->label_smoothing), soft = (float)(o->label_smoothing / classes);
    if (by_index(call)) {
        float m = shared_of(call)->factor;
        int t = class_of(call, i);
        for (int j = 0; j < classes; j++)
            q[j] = m * soft * (w ? w[j] : 1);
        q[t] += m * hard * (w ? w[t] : 1);
    } else {
        const float *restrict p = call->x[1] + i * classes;
        for (int j = 0; j < classes; j++)
            q[j] = (p[j] * hard + soft) * (w ? w[j] : 1);
    }
}

static float *row_of_chunk(const struct nn_call *call, int chunk)
{
    return (float *)call->workspace + LINE + (int64_t)chunk * call->in.channels;
}

/* What to subtract from row x to make it log p. */
static struct log_sum_exp norm_of_row(const struct nn_call *call, const float *x)
{
    return shared_of(call)->logits ? log_sum_exp(x, call->in.channels) : (struct log_sum_exp){0, 0};
}

static void forward_chunk(const struct nn_call *call, int chunk, int chunks, int thread)
{
    int64_t begin, end;
    int classes = call->in.channels;
    float *q = row_of_chunk(call, chunk);
    (void)thread;
    descent_chunk_range(call->n, chunks, chunk, &begin, &end);
    for (int64_t i = begin; i < end; i++) {
        const float *x = call->x[0] + i * classes;
        struct log_sum_exp all = norm_of_row(call, x);
        nn_vector gain = {0};
        target_row(call, i, q);
        for (int j = 0; j < classes; j += NN_LANES) {
            nn_vector log_p = (nn_vector_load_part(x + j, classes - j) - all.max) - all.log_sum;
            nn_vector weight = nn_vector_load_part(q + j, classes - j);
            gain = nn_vector_select(weight != 0, gain + weight * log_p, gain); /* 0 log 0 = 0 */
        }
        call->y[i] = -nn_vector_sum(gain);
    }
}

/* dx_j = dy (p_j sum_k q_k - q_j) for logits, -dy q_j for log p. */
static void backward_row(float *restrict dx, const float *restrict x, const float *restrict q, int classes,
                         float dy, bool logits)
{
    float sum = 0;
    if (!logits) {
        for (int j = 0; j < classes; j++)
            dx[j] = -dy * q[j];
        return;
    }
    softmax_row(dx, x, classes);
    for (int j = 0; j < classes; j++)
        sum += q[j];
    for (int j = 0; j < classes; j++)
        dx[j] = dy * (dx[j] * sum - q[j]);
}

/* dt_j = -dy w_j (1 - s) log p_j, where somebody wants the gradient of the probabilities. */
static void backward_target_row(const struct nn_call *call, int64_t i)
{
    const struct nn_cross_entropy_options *o = call->options;
    const float *w = o->class_weights;
    int classes = call->in.channels;
    const float *x = call->x[0] + i * classes;
    float *dt = call->dx[1] + i * classes, factor = -call->dy[i] * (float)(1 - o->label_smoothing);
    struct log_sum_exp all = norm_of_row(call, x);
    for (int j = 0; j < classes; j++)
        dt[j] = factor * (w ? w[j] : 1) * ((x[j] - all.max) - all.log_sum);
}

static void backward_chunk(const struct nn_call *call, int chunk, int chunks, int thread)
{
    int64_t begin, end;
    int classes = call->in.channels;
    float *q = row_of_chunk(call, chunk);
    (void)thread;
    descent_chunk_range(call->n, chunks, chunk, &begin, &end);
    for (int64_t i = begin; i < end; i++) {
        if (call->dx[1])
            backward_target_row(call, i);
        if (!call->dx[0])
            continue;
        target_row(call, i, q);
        backward_row(call->dx[0] + i * classes, call->x[0] + i * classes, q, classes, call->dy[i],
                     shared_of(call)->logits);
    }
}

static double flops(const nn_node *node)
{
    return 4.0 * (double)nn_size(node->input[0]->shape);
}

static nn_node *sample(const char *name, nn_graph *graph, struct descent_random *random)
{
    enum { MOST = 11 };
    float weights[MOST];
    int classes = nn_random_between(random, 1, MOST);
    for (int j = 0; j < classes; j++)
        weights[j] = (float)(0.25 + descent_random_uniform(random));
    struct nn_cross_entropy_options options = {.x = nn_input(graph, classes, 1, 1)};
    options.target =
        descent_random_below(random, 2) ? nn_labels(graph, classes) : nn_input(graph, classes, 1, 1);
    options.label_smoothing = descent_random_below(random, 2) ? 0.1 : 0;
    options.class_weights = descent_random_below(random, 2) ? weights : NULL;
    return nn_build(name, &options);
}

static void likelihood_forward(const struct nn_call *call)
{
    run(call, false, forward_chunk);
}

static void likelihood_backward(const struct nn_call *call)
{
    run(call, false, backward_chunk);
}

static nn_node *likelihood_sample(nn_graph *graph, struct descent_random *random)
{
    return sample("negative_log_likelihood", graph, random);
}

/* l_i = -sum_j q_ij x_ij */
const struct nn_op NN_OP(negative_log_likelihood) = {
    .name = "negative_log_likelihood",
    .options_size = sizeof(struct nn_cross_entropy_options),
    .name_offset = offsetof(struct nn_cross_entropy_options, name),
    .inputs = 2,
    .takes_labels = 2,
    .shape = shape,
    .plan = plan,
    .forward = likelihood_forward,
    .backward = likelihood_backward,
    .flops = flops,
    .reads_x = 3,
    .sample = likelihood_sample,
};

static void entropy_forward(const struct nn_call *call)
{
    run(call, true, forward_chunk);
}

static void entropy_backward(const struct nn_call *call)
{
    run(call, true, backward_chunk);
}

static nn_node *entropy_sample(nn_graph *graph, struct descent_random *random)
{
    return sample("softmax_cross_entropy", graph, random);
}

/* l_i = -sum_j q_ij (x_ij - log(sum_k exp(x_ik))) */
const struct nn_op NN_OP(softmax_cross_entropy) = {
    .name = "softmax_cross_entropy",
    .options_size = sizeof(struct nn_cross_entropy_options),
    .name_offset = offsetof(struct nn_cross_entropy_options, name),
    .inputs = 2,
    .takes_labels = 2,
    .shape = shape,
    .plan = plan,
    .forward = entropy_forward,
    .backward = entropy_backward,
    .flops = flops,
    .reads_x = 3,
    .sample = entropy_sample,
};
