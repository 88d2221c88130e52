/* Runs a plan: forward, backward, and the questions asked afterwards. Allocates nothing. */
#include "nn/plan.h"

/* The node's entry in a plan's table of values or gradients; NN_NONE for nodes the plan does not know. */
static int buffer_of(const nn_plan *plan, const int *table, const nn_node *node)
{
    return node->graph == plan->graph && node->index < plan->node_count ? table[node->index] : NN_NONE;
}

void nn_feed(nn_plan *plan, const nn_node *input, const void *data)
{
    int buffer = buffer_of(plan, plan->value, input);
    if (buffer != NN_NONE && plan->buffer[buffer].external)
        plan->buffer[buffer].memory = (char *)(uintptr_t)data;
}

void nn_set_step(nn_plan *plan, uint64_t step)
{
    plan->next_step = step;
}

uint64_t nn_step(const nn_plan *plan)
{
    return plan->next_step;
}

void nn_hold_statistics(nn_plan *plan, bool hold)
{
    plan->hold_statistics = hold;
}

void nn_average_statistics(nn_plan *plan, int64_t pass)
{
    plan->statistics_pass = pass;
}

static void fill_nan(void *memory, size_t bytes)
{
    float *number = memory;
    for (size_t i = 0; i < bytes / sizeof *number; i++)
        number[i] = NAN;
}

static bool poisons(const nn_plan *plan)
{
    return plan->options.without & NN_POISON;
}

/* What died at `time`, and the rows past the batch of what lives: NaN, so that whoever reads them is found
 * out. */
static void poison(nn_plan *plan, int time)
{
    for (int i = 0; i < plan->buffer_count; i++) {
        struct nn_buffer *buffer = &plan->buffer[i];
        if (buffer->external || time < buffer->first)
            continue;
        if (time == buffer->last)
            fill_nan(buffer->memory, buffer->bytes);
        else if (time < buffer->last && buffer->row)
            fill_nan(buffer->memory + buffer->row * (size_t)plan->n,
                     buffer->bytes - buffer->row * (size_t)plan->n);
    }
}

static void poison_everything(nn_plan *plan)
{
    for (int i = 0; i < plan->buffer_count; i++)
        if (!plan->buffer[i].external &&
            !(plan->buffer[i].first == 0 && plan->buffer[i].last == NN_FOREVER))
            fill_nan(plan->buffer[i].memory, plan->buffer[i].bytes);
}

static enum descent_status check_inputs(const nn_plan *plan, int n)
{
    if (n < 1 || n > plan->options.batch)
        return descent_fail(DESCENT_BAD_ARGUMENT,
                            "nn_forward: %d samples; the plan was compiled for 1 to %d", n,
                            plan->options.batch);
    for (int i = 0; i < plan->node_count; i++) {
        const nn_node *node = plan->graph->node[i];
        if (plan->value[i] == NN_NONE || node->op->forward)
            continue;
        const int32_t *label = (const void *)plan->buffer[plan->value[i]].memory;
        if (!label)
            return descent_fail(DESCENT_BAD_ARGUMENT, "nn_forward: '%s' was not fed", node->name);
        int classes = node->op->integer ? *(const int *)node->options : 0;
        for (int k = 0; k < n && classes; k++)
            if (label[k] < 0 || label[k] >= classes)
                return descent_fail(DESCENT_BAD_ARGUMENT,
                                    "nn_forward: sample %d has label %d; expected 0 to %d", k, label[k],
                                    classes - 1);
    }
    return DESCENT_OK;
}

/* Rebuilds what the step made of its parameters, if one has changed since. */
static void pack(struct nn_step *step)
{
    bool changed = false;
    for (int k = 0; k < step->node->param_count; k++) {
        changed |= step->version[k] != step->call.param[k]->version;
        step->version[k] = step->call.param[k]->version;
    }
    if (changed)
        step->op->pack(&step->call);
}

static void run_forward(nn_plan *plan, int s)
{
    struct nn_step *step = &plan->step[s];
    if (step->op->pack)
        pack(step);
    step->call.workspace =
        step->forward_workspace == NN_NONE ? NULL : plan->buffer[step->forward_workspace].memory;
    if (!step->view)
        step->op->forward(&step->call);
    if (poisons(plan))
        poison(plan, s);
}

enum descent_status nn_forward(nn_plan *plan, int n)
{
    enum descent_status status = check_inputs(plan, n);
    if (status)
        return status;
    plan->n = n;
    if (poisons(plan))
        poison_everything(plan);
    for (int s = 0; s < plan->step_count; s++) {
        struct nn_step *step = &plan->step[s];
        step->call.n = n;
        step->call.step = plan->next_step;
        step->call.hold_statistics = plan->hold_statistics;
        step->call.statistics_pass = plan->statistics_pass;
        for (int i = 0; i < step->input_count; i++)
            step->call.x[i] = (const void *)plan->buffer[step->x[i]].memory;
        run_forward(plan, s);
    }
    plan->next_step += plan->options.training;
    plan->loss = 0;
    const float *loss = plan->options.loss ? nn_value(plan, plan->options.loss) : NULL;
    for (int i = 0; i < n && loss; i++)
        plan->loss += (double)loss[i] / n;
    return DESCENT_OK;
}

static void add_to(float *restrict sum, const float *restrict term, size_t count)
{
    for (size_t i = 0; i < count; i++)
        sum[i] += term[i];
}

/* The backward of a view: nothing, unless the gradient could not share memory. */
static void view_backward(const nn_plan *plan, const struct nn_step *step)
{
    const struct nn_call *call = &step->call;
    size_t count = (size_t)(plan->n * nn_size(call->out));
    if (!call->dx[0] || call->dx[0] == call->dy)
        return;
    if (call->add[0])
        add_to(call->dx[0], call->dy, count);
    else
        memcpy(call->dx[0], call->dy, count * sizeof(float));
}

static void clear_gradient(const struct descent_param *param)
{
    if (param->grad)
        memset(param->grad, 0, (size_t)param->size * sizeof *param->grad);
}

/* The gradients of parameters start from zero: by overwriting them, where the operator can. */
static void begin_gradients(struct nn_step *step, bool clear)
{
    for (int k = 0; k < step->node->param_count; k++) {
        bool begin = clear && step->first[k];
        step->call.add_grad[k] = !(begin && step->op->writes_grad);
        if (begin && !step->op->writes_grad)
            clear_gradient(step->call.param[k]);
    }
}

static void run_backward(nn_plan *plan, int s, bool clear)
{
    struct nn_step *step = &plan->step[s];
    begin_gradients(step, clear);
    step->call.workspace =
        step->backward_workspace == NN_NONE ? NULL : plan->buffer[step->backward_workspace].memory;
    if (step->view)
        view_backward(plan, step);
    else
        step->op->backward(&step->call);
    for (int i = 0; i < step->input_count; i++)
        if (step->scratch[i] != NN_NONE)
            add_to((float *)(void *)plan->buffer[step->dx[i]].memory, step->call.dx[i],
                   (size_t)(plan->n * nn_size(step->input[i]->shape)));
    if (poisons(plan))
        poison(plan, 2 * plan->step_count - s);
}

static struct nn_linear_layer layer_of(const struct nn_step *step)
{
    const struct nn_node *node = step->node;
    struct nn_linear_layer layer = {.weight = node->param[0],
                                    .bias = node->param_count > 1 ? node->param[1] : -1,
                                    .in = step->call.in,
                                    .out = step->call.out,
                                    .kernel = 1,
                                    .stride = 1,
                                    .dilation = 1,
                                    .n = step->call.n,
                                    .x = step->call.x[0],
                                    .dy = step->call.dy};
    step->op->linear(node, &layer);
    return layer;
}

bool nn_linear_layer(const nn_plan *plan, int i, struct nn_linear_layer *layer)
{
    for (int s = 0; s < plan->step_count && i >= 0; s++)
        if (plan->step[s].linear == i) {
            *layer = layer_of(&plan->step[s]);
            layer->n = 0;
            layer->x = layer->dy = NULL;
            return true;
        }
    return false;
}

/* Shows a linear layer to the visitor; a fused ReLU has not masked dy yet, and may do so again. */
static void visit(const struct nn_step *step, const struct nn_backward_options *options)
{
    int64_t count = step->call.n * nn_size(step->call.out);
    for (int64_t i = 0; i < count && step->relu; i++)
        step->call.dy[i] = step->call.y[i] > 0 ? step->call.dy[i] : 0;
    struct nn_linear_layer layer = layer_of(step);
    options->visit(options->context, step->linear, &layer);
}

/* The step from which gradients come when they begin at a node: the one that makes it. A step after it may
 * lead to the loss through that node alone, one before it must lead to that node. */
static int producer_of(const nn_plan *plan, const nn_node *from)
{
    int producer = plan->step_count - 1, own = buffer_of(plan, plan->gradient, from);
    while (producer >= 0 && plan->step[producer].out != from)
        producer--;
    if (producer < 0 || own == NN_NONE)
        return NN_NONE;
    for (int s = producer + 1; s < plan->step_count; s++)
        for (int i = 0; i < plan->step[s].input_count && plan->step[s].has_backward; i++) {
            const nn_node *input = plan->step[s].input[i];
            bool after = false;
            for (int k = producer + 1; k < s; k++)
                after |= plan->step[k].out == input;
            if (!after && input != from && plan->gradient[input->index] != NN_NONE)
                return NN_NONE;
        }
    return producer;
}

/* Puts the gradients where backward begins; *last is the step that runs first. */
static enum descent_status seed(nn_plan *plan, const struct nn_backward_options *options, int *last)
{
    const nn_node *from = options->from ? options->from : plan->options.loss;
    double scale = options->scale != 0 ? options->scale : 1;
    int64_t count = plan->n * nn_size(from->shape);
    *last = plan->step_count - 1;
    if (options->from && (*last = producer_of(plan, from)) == NN_NONE)
        return descent_fail(DESCENT_BAD_ARGUMENT,
                            "nn_backward: not all that leads to the loss goes through '%s'", from->name);
    float *gradient = (void *)plan->buffer[plan->gradient[from->index]].memory;
    for (int64_t i = 0; i < count; i++)
        gradient[i] =
            options->from ? (float)(scale * (double)options->gradient[i]) : (float)(scale / plan->n);
    return DESCENT_OK;
}

enum descent_status nn_backward_with(struct nn_backward_options options)
{
    nn_plan *plan = options.plan;
    if (!plan->options.training || !plan->options.loss)
        return descent_fail(DESCENT_BAD_ARGUMENT,
                            "nn_backward: the plan was not compiled for training with a loss");
    if (!plan->n)
        return descent_fail(DESCENT_BAD_ARGUMENT, "nn_backward: no nn_forward came before");
    plan->backward_passes++;
    for (int i = 0; i < plan->graph->param_count && options.clear; i++)
        if (!plan->reached[i] || options.from) /* no step may come that would begin with it */
            clear_gradient(&plan->graph->param[i]);
    if (plan->gradient[plan->options.loss->index] == NN_NONE) /* everything is frozen */
        return DESCENT_OK;
    int last;
    enum descent_status status = seed(plan, &options, &last);
    for (int s = last; s >= 0 && !status; s--) {
        if (!plan->step[s].has_backward)
            continue;
        if (options.visit && plan->step[s].linear != NN_NONE)
            visit(&plan->step[s], &options);
        run_backward(plan, s, options.clear);
    }
    return status;
}

int64_t nn_backward_passes(const nn_plan *plan)
{
    return plan->backward_passes;
}

double nn_loss(const nn_plan *plan)
{
    return plan->loss;
}

const float *nn_value(const nn_plan *plan, const nn_node *node)
{
    const unsigned keeps_all = NN_WITHOUT_REUSE | NN_WITHOUT_IN_PLACE;
    int buffer = buffer_of(plan, plan->value, node);
    if (buffer == NN_NONE)
        return NULL;
    bool kept = node == plan->options.output || node == plan->options.loss ||
                (plan->options.without & keeps_all) == keeps_all;
    return kept ? (const void *)plan->buffer[buffer].memory : NULL;
}

const float *nn_gradient(const nn_plan *plan, const nn_node *input)
{
    int buffer = buffer_of(plan, plan->gradient, input);
    return buffer == NN_NONE || input->op->forward ? NULL : (const void *)plan->buffer[buffer].memory;
}

static bool all_finite(const float *number, int64_t count)
{
    bool finite = true;
    for (int64_t i = 0; i < count; i++)
        finite &= isfinite(number[i]) != 0;
    return finite;
}

const char *nn_first_not_finite(nn_plan *plan)
{
    for (int s = 0; s < plan->step_count && plan->n; s++) {
        struct nn_step *step = &plan->step[s];
        for (int k = 0; k < step->node->param_count; k++)
            if (!all_finite(step->call.param[k]->value, step->call.param[k]->size))
                return step->call.param[k]->name;
        step->call.hold_statistics = true;
        run_forward(plan, s);
        if (!all_finite((const void *)plan->buffer[step->y].memory, plan->n * nn_size(step->out->shape)))
            return step->node->name;
    }
    return NULL;
}

struct chunk_job {
    const struct nn_call *call;
    nn_chunk_function *function;
    int chunks;
};

static void run_chunk(void *context, int chunk, int thread)
{
    const struct chunk_job *job = context;
    job->function(job->call, chunk, job->chunks, thread);
}

void nn_run_chunks(const struct nn_call *call, int chunks, nn_chunk_function *function)
{
    struct chunk_job job = {call, function, chunks};
    descent_pool_run(call->pool, chunks, run_chunk, &job);
}

struct partial_job {
    const float *partial;
    float *sum;
    int partials, chunks;
    int64_t size;
};

static void add_partials_chunk(void *context, int chunk, int thread)
{
    const struct partial_job *job = context;
    int64_t begin, end;
    (void)thread;
    descent_chunk_range(job->size, job->chunks, chunk, &begin, &end);
    for (int p = 0; p < job->partials; p++)
        add_to(job->sum + begin, job->partial + p * job->size + begin, (size_t)(end - begin));
}

void nn_add_partials(const struct nn_call *call, const float *partial, int chunks, int64_t size, float *sum)
{
    struct partial_job job = {partial, sum, chunks, descent_chunk_count(size, 16384), size};
    descent_pool_run(call->pool, job.chunks, add_partials_chunk, &job);
}
