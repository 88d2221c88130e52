/* Compiles a graph: which operators run, what is fused, which buffers share memory and how long each lives.
 * Running is run.c. */
#include "nn/plan.h"

#include <stdlib.h>

/* What compilation knows of a value, shared by views of it: when it is read, and whether it must survive.
 */
struct value_life {
    int buffer;
    int first, last_forward, last;
    bool read_backward, kept;
};

struct compiler {
    nn_plan *plan;
    bool *needed, *before_loss, *wants_gradient; /* by node index */
    int *readers;                                /* how many needed nodes read each */
    int *life_of;                                /* index into life, by node index */
    struct value_life *life;
    int life_count;
    size_t bytes; /* of all buffers together: no offset can be larger */
    bool failed;  /* out of memory */
};

/* More than any machine has, and so little that what operators want, a multiple of it, does not overflow.
 */
#define NN_MAX_BYTES ((size_t)1 << 48)

static void mark_ancestors(const nn_node *node, bool *mark)
{
    if (!node || mark[node->index])
        return;
    mark[node->index] = true;
    for (int i = 0; i < node->input_count; i++)
        mark_ancestors(node->input[i], mark);
}

/* Which nodes the plan computes, who reads them, and through which gradients flow. */
static void analyze(struct compiler *c)
{
    const struct nn_compile_options *options = &c->plan->options;
    const nn_graph *graph = c->plan->graph;
    mark_ancestors(options->output, c->needed);
    mark_ancestors(options->loss, c->needed);
    mark_ancestors(options->loss, c->before_loss);
    for (int i = 0; i < graph->node_count; i++) {
        const nn_node *node = graph->node[i];
        bool wants = options->input_gradients && !node->op->forward && !node->op->integer;
        for (int k = 0; k < node->param_count; k++)
            wants |= graph->param[node->param[k]].grad != NULL;
        for (int k = 0; k < node->input_count; k++) {
            wants |= c->wants_gradient[node->input[k]->index];
            if (c->needed[i])
                c->readers[node->input[k]->index]++;
        }
        c->wants_gradient[i] = wants && options->training && options->loss && c->before_loss[i];
    }
}

static bool kept(const nn_plan *plan, const nn_node *node)
{
    return node == plan->options.output || node == plan->options.loss;
}

static struct nn_step *producer_of(nn_plan *plan, const nn_node *node)
{
    for (int s = plan->step_count - 1; s >= 0; s--)
        if (plan->step[s].out == node)
            return &plan->step[s];
    return NULL;
}

/* Fusion: `node` is computed by the step that makes its first input, if nobody else reads that one. */
static bool fuse(struct compiler *c, nn_node *node)
{
    nn_plan *plan = c->plan;
    nn_node *before = node->input_count ? node->input[0] : NULL;
    if ((plan->options.without & NN_WITHOUT_FUSION) || !before || c->readers[before->index] != 1 ||
        kept(plan, before))
        return false;
    struct nn_step *step = producer_of(plan, before);
    if (!step || step->relu)
        return false;
    if (!strcmp(node->op->name, "relu") && step->op->fuses_relu) {
        step->relu = true;
        step->out = node;
        return true;
    }
    if (!strcmp(node->op->name, "negative_log_likelihood") && !strcmp(step->op->name, "log_softmax")) {
        step->op = nn_op_find("softmax_cross_entropy");
        step->node = step->out = node;
        step->input[1] = node->input[1];
        step->input_count = 2;
        /* The target may have been computed after the logits: run where the loss would have run. */
        struct nn_step moved = *step;
        int place = (int)(step - plan->step);
        memmove(step, step + 1, sizeof *step * (size_t)(plan->step_count - place - 1));
        plan->step[plan->step_count - 1] = moved;
        return true;
    }
    return false;
}

static void make_steps(struct compiler *c)
{
    nn_plan *plan = c->plan;
    for (int i = 0; i < plan->graph->node_count; i++) {
        nn_node *node = plan->graph->node[i];
        if (!c->needed[i] || !node->op->forward || fuse(c, node))
            continue;
        struct nn_step *step = &plan->step[plan->step_count++];
        *step =
            (struct nn_step){.op = node->op, .node = node, .out = node, .input_count = node->input_count};
        memcpy(step->input, node->input, sizeof node->input);
    }
    for (int s = 0; s < plan->step_count; s++)
        plan->step[s].has_backward = c->wants_gradient[plan->step[s].out->index];
}

static int new_buffer(struct compiler *c, size_t bytes, int first, int last)
{
    nn_plan *plan = c->plan;
    if (plan->buffer_count == plan->buffer_room) {
        int room = plan->buffer_room * 2 + 64;
        struct nn_buffer *larger = realloc(plan->buffer, sizeof *larger * (size_t)room);
        if (!larger) {
            c->failed = true;
            return 0;
        }
        plan->buffer = larger;
        plan->buffer_room = room;
    }
    bytes = descent_round_up(bytes ? bytes : 1);
    if (bytes > NN_MAX_BYTES || __builtin_add_overflow(c->bytes, bytes, &c->bytes)) {
        c->failed = true;
        return 0;
    }
    plan->buffer[plan->buffer_count] = (struct nn_buffer){.bytes = bytes, .first = first, .last = last};
    return plan->buffer_count++;
}

/* A buffer with a row a sample for a node's value or gradient. */
static int new_rows(struct compiler *c, const nn_node *node, int first, int last)
{
    size_t row = (size_t)nn_size(node->shape) * sizeof(float), bytes;
    if (!descent_size_multiply(row, (size_t)c->plan->options.batch, &bytes))
        bytes = NN_MAX_BYTES + 1;
    int index = new_buffer(c, bytes, first, last);
    if (!c->failed)
        c->plan->buffer[index].row = row;
    return index;
}

static void extend(nn_plan *plan, int buffer, int time)
{
    if (plan->buffer[buffer].last < time)
        plan->buffer[buffer].last = time;
}

static int backward_time(const nn_plan *plan, int s)
{
    return 2 * plan->step_count - s;
}

static bool is_view(const struct nn_step *step)
{
    return step->op->view && step->op->view(step->node);
}

/* When each value is written and read. */
static void find_lives(struct compiler *c)
{
    nn_plan *plan = c->plan;
    const nn_graph *graph = plan->graph;
    for (int i = 0; i < graph->node_count; i++)
        if (c->needed[i] && !graph->node[i]->op->forward) { /* an input */
            c->life_of[i] = c->life_count;
            c->life[c->life_count++] = (struct value_life){.buffer = NN_NONE, .first = 0, .kept = true};
        }
    for (int s = 0; s < plan->step_count; s++) {
        struct nn_step *step = &plan->step[s];
        step->view = !(plan->options.without & NN_WITHOUT_IN_PLACE) && is_view(step);
        int own = step->view ? c->life_of[step->input[0]->index] : c->life_count++;
        c->life_of[step->out->index] = own;
        if (!step->view)
            c->life[own] = (struct value_life){.buffer = NN_NONE, .first = s, .last_forward = s, .last = s};
        c->life[own].kept |= kept(plan, step->out);
        for (int i = 0; i < step->input_count; i++) {
            struct value_life *life = &c->life[c->life_of[step->input[i]->index]];
            life->last_forward = life->last = s;
        }
    }
    for (int s = 0; s < plan->step_count; s++) {
        struct nn_step *step = &plan->step[s];
        if (!step->has_backward)
            continue;
        for (int i = 0; i <= step->input_count; i++) {
            bool reads =
                i < step->input_count ? step->op->reads_x >> i & 1 : step->op->reads_y || step->relu;
            const nn_node *node = i < step->input_count ? step->input[i] : step->out;
            struct value_life *life = &c->life[c->life_of[node->index]];
            life->read_backward |= reads;
            if (reads && life->last < backward_time(plan, s))
                life->last = backward_time(plan, s);
        }
    }
}

/* The input whose memory the step may overwrite with its output, or NN_NONE. */
static int overwritable(const struct compiler *c, const struct nn_step *step, int s)
{
    if (c->plan->options.without & NN_WITHOUT_IN_PLACE)
        return NN_NONE;
    for (int i = 0; i < step->input_count; i++) {
        int own = c->life_of[step->input[i]->index];
        const struct value_life *life = &c->life[own];
        bool free_now = !life->kept && !life->read_backward && life->last_forward == s;
        for (int k = 0; k < step->input_count; k++)
            free_now &= k == i || c->life_of[step->input[k]->index] != own;
        if ((step->op->in_place >> i & 1) && free_now &&
            nn_size(step->input[i]->shape) == nn_size(step->out->shape))
            return i;
    }
    return NN_NONE;
}

static void place_values(struct compiler *c)
{
    nn_plan *plan = c->plan;
    for (int i = 0; i < plan->graph->node_count && !c->failed; i++)
        if (c->needed[i] && !plan->graph->node[i]->op->forward) {
            struct value_life *life = &c->life[c->life_of[i]];
            life->buffer = plan->value[i] = new_rows(c, plan->graph->node[i], 0, NN_FOREVER);
            if (!c->failed)
                plan->buffer[life->buffer].external = true;
        }
    for (int s = 0; s < plan->step_count && !c->failed; s++) {
        struct nn_step *step = &plan->step[s];
        struct value_life *life = &c->life[c->life_of[step->out->index]];
        int over = step->view ? NN_NONE : overwritable(c, step, s);
        if (over != NN_NONE)
            life->buffer = c->life[c->life_of[step->input[over]->index]].buffer;
        else if (life->buffer == NN_NONE)
            life->buffer = new_rows(c, step->out, s, s);
        if (c->failed)
            return;
        extend(plan, life->buffer, life->kept ? NN_FOREVER : life->last);
        step->y = plan->value[step->out->index] = life->buffer;
        for (int i = 0; i < step->input_count; i++)
            step->x[i] = plan->value[step->input[i]->index];
    }
}

/* Where step s, at its backward time, puts the gradient of its input i. */
static void place_gradient(struct compiler *c, int s, int i, bool *taken)
{
    nn_plan *plan = c->plan;
    struct nn_step *step = &plan->step[s];
    const nn_node *node = step->input[i];
    int time = backward_time(plan, s), *gradient = &plan->gradient[node->index];
    bool repeated = false;
    for (int k = 0; k < i; k++)
        repeated |= step->input[k] == node;
    if (*gradient != NN_NONE) {
        step->add[i] = step->view || (step->op->adds_dx && !repeated);
        if (!step->add[i])
            step->scratch[i] = new_rows(c, node, time, time);
    } else if (!(plan->options.without & NN_WITHOUT_IN_PLACE) && !*taken &&
               (step->view || (step->op->backward_in_place >> i & 1)) &&
               nn_size(node->shape) == nn_size(step->out->shape)) {
        *gradient = step->dy;
        *taken = true;
    } else {
        *gradient = new_rows(c, node, time, time);
    }
    if (!c->failed)
        extend(plan, *gradient, node->op->forward ? time : NN_FOREVER);
    step->dx[i] = *gradient;
}

static void place_gradients(struct compiler *c)
{
    nn_plan *plan = c->plan;
    const nn_node *loss = plan->options.loss;
    for (int s = 0; s < plan->step_count; s++) {
        struct nn_step *step = &plan->step[s];
        step->dy = NN_NONE;
        for (int i = 0; i < NN_MAX_INPUTS; i++)
            step->dx[i] = step->scratch[i] = NN_NONE;
    }
    if (!loss || !c->wants_gradient[loss->index])
        return;
    plan->gradient[loss->index] = new_rows(c, loss, plan->step_count, plan->step_count);
    for (int s = plan->step_count - 1; s >= 0 && !c->failed; s--) {
        struct nn_step *step = &plan->step[s];
        if (!step->has_backward)
            continue;
        step->dy = plan->gradient[step->out->index];
        extend(plan, step->dy, backward_time(plan, s));
        bool taken = false;
        for (int i = 0; i < step->input_count && !c->failed; i++)
            if (c->wants_gradient[step->input[i]->index])
                place_gradient(c, s, i, &taken);
    }
}

static void place_workspace(struct compiler *c)
{
    nn_plan *plan = c->plan;
    const struct nn_compile_options *o = &plan->options;
    for (int s = 0; s < plan->step_count && !c->failed; s++) {
        struct nn_step *step = &plan->step[s];
        struct nn_needs needs = {0};
        int back = step->has_backward ? backward_time(plan, s) : s;
        step->saved = step->packed = step->forward_workspace = step->backward_workspace = NN_NONE;
        if (step->op->plan)
            step->op->plan(step->node, o->batch, o->training, descent_pool_threads(o->pool), &needs);
        if (needs.saved)
            step->saved = new_buffer(c, needs.saved, s, back);
        if (needs.packed)
            step->packed = new_buffer(c, needs.packed, 0, NN_FOREVER);
        if (needs.forward)
            step->forward_workspace = new_buffer(c, needs.forward, s, s);
        if (needs.backward && step->has_backward)
            step->backward_workspace = new_buffer(c, needs.backward, back, back);
    }
}

/* Which step is the first, running backward, to touch each parameter's gradient. */
static void find_first_uses(nn_plan *plan)
{
    for (int s = plan->step_count - 1; s >= 0; s--) {
        struct nn_step *step = &plan->step[s];
        for (int k = 0; k < step->node->param_count && step->has_backward; k++) {
            bool *reached = &plan->reached[step->node->param[k]];
            step->first[k] = !*reached;
            *reached = true;
        }
    }
}

/* Whether the step is a layer that nn_linear_layer lists. */
static bool is_linear(const nn_plan *plan, const struct nn_step *step)
{
    struct nn_linear_layer layer;
    if (!step->has_backward || !step->op->linear || !step->op->linear(step->node, &layer) ||
        !plan->graph->param[step->node->param[0]].grad)
        return false;
    for (int s = 0; s < plan->step_count; s++)
        if (&plan->step[s] != step && plan->step[s].node->param_count > 0 &&
            plan->step[s].node->param[0] == step->node->param[0])
            return false;
    return true;
}

static void number_linear_layers(nn_plan *plan)
{
    int count = 0;
    for (int s = 0; s < plan->step_count; s++)
        plan->step[s].linear = is_linear(plan, &plan->step[s]) ? count++ : NN_NONE;
}

static void *memory_of(const nn_plan *plan, int buffer)
{
    return buffer == NN_NONE ? NULL : plan->buffer[buffer].memory;
}

/* Everything of a call that never changes; x is filled in by nn_forward, as inputs are the user's memory.
 */
static void prepare_calls(nn_plan *plan)
{
    for (int s = 0; s < plan->step_count; s++) {
        struct nn_step *step = &plan->step[s];
        struct nn_call *call = &step->call;
        *call = (struct nn_call){
            .node = step->node,
            .options = step->node->options,
            .batch = plan->options.batch,
            .in = step->input_count ? step->input[0]->shape : (struct nn_shape){0},
            .out = step->out->shape,
            .y = memory_of(plan, step->y),
            .dy = memory_of(plan, step->dy),
            .saved = memory_of(plan, step->saved),
            .packed = memory_of(plan, step->packed),
            .training = plan->options.training,
            .relu = step->relu,
            .seed = plan->graph->seed,
            .pool = plan->options.pool,
        };
        for (int k = 0; k < step->node->param_count; k++)
            call->param[k] = &plan->graph->param[step->node->param[k]];
        for (int i = 0; i < step->input_count; i++) {
            call->dx[i] = memory_of(plan, step->scratch[i] != NN_NONE ? step->scratch[i] : step->dx[i]);
            call->add[i] = step->add[i];
        }
    }
}

static bool allocate(nn_plan *plan)
{
    plan->bytes = nn_layout(plan->buffer, plan->buffer_count, !(plan->options.without & NN_WITHOUT_REUSE));
    plan->memory = plan->bytes == SIZE_MAX ? NULL : descent_alloc(plan->bytes);
    if (!plan->memory)
        return false;
    for (int i = 0; i < plan->buffer_count; i++)
        if (!plan->buffer[i].external)
            plan->buffer[i].memory = plan->memory + plan->buffer[i].offset;
    return true;
}

static bool compile(struct compiler *c)
{
    nn_plan *plan = c->plan;
    size_t nodes = (size_t)plan->graph->node_count;
    for (size_t i = 0; i < nodes; i++)
        plan->value[i] = plan->gradient[i] = NN_NONE;
    analyze(c);
    make_steps(c);
    find_lives(c);
    place_values(c);
    if (!c->failed)
        place_gradients(c);
    if (!c->failed)
        place_workspace(c);
    if (c->failed || !allocate(plan))
        return false;
    find_first_uses(plan);
    prepare_calls(plan);
    number_linear_layers(plan);
    return true;
}

/* What the user asked for must make sense before anything is built. */
static enum descent_status check(const struct nn_compile_options *o)
{
    const nn_node *target = o->loss ? o->loss : o->output;
    if (!o->graph)
        return descent_fail(DESCENT_BAD_ARGUMENT, "nn_compile: no graph");
    if (o->graph->status)
        return descent_fail(o->graph->status, "%s", o->graph->message);
    if (!target)
        return descent_fail(DESCENT_BAD_ARGUMENT, "nn_compile: neither an output nor a loss");
    if ((o->output && o->output->graph != o->graph) || (o->loss && o->loss->graph != o->graph))
        return descent_fail(DESCENT_BAD_ARGUMENT,
                            "nn_compile: the output or loss belongs to another graph, or to none");
    if (o->batch < 1)
        return descent_fail(DESCENT_BAD_ARGUMENT, "nn_compile: batch %d; at least 1 is needed", o->batch);
    if (o->loss && nn_size(o->loss->shape) != 1)
        return descent_fail(
            DESCENT_BAD_ARGUMENT, "nn_compile: '%s' is %d x %d x %d; a loss has one number a sample",
            o->loss->name, o->loss->shape.channels, o->loss->shape.height, o->loss->shape.width);
    return DESCENT_OK;
}

nn_plan *nn_compile_with(struct nn_compile_options options)
{
    if (check(&options) || nn_graph_seal(options.graph, options.output ? options.output : options.loss))
        return NULL;
    size_t nodes = (size_t)options.graph->node_count;
    nn_plan *plan = calloc(1, sizeof *plan);
    struct compiler c = {
        .plan = plan,
        .needed = calloc(nodes, sizeof(bool)),
        .before_loss = calloc(nodes, sizeof(bool)),
        .wants_gradient = calloc(nodes, sizeof(bool)),
        .readers = calloc(nodes, sizeof(int)),
        .life_of = calloc(nodes, sizeof(int)),
        .life = calloc(nodes, sizeof(struct value_life)),
    };
    bool ok = plan && c.needed && c.before_loss && c.wants_gradient && c.readers && c.life_of && c.life;
    if (ok) {
        plan->graph = options.graph;
        plan->node_count = options.graph->node_count;
        plan->options = options;
        plan->step = calloc(nodes, sizeof *plan->step);
        plan->value = malloc(nodes * sizeof(int));
        plan->gradient = malloc(nodes * sizeof(int));
        plan->reached = calloc((size_t)options.graph->param_count + 1, sizeof(bool));
        ok = plan->step && plan->value && plan->gradient && plan->reached && compile(&c);
    }
    free(c.needed);
    free(c.before_loss);
    free(c.wants_gradient);
    free(c.readers);
    free(c.life_of);
    free(c.life);
    if (ok)
        return plan;
    descent_fail(DESCENT_OUT_OF_MEMORY, "out of memory for a plan of batch %d", options.batch);
    nn_plan_free(plan);
    return NULL;
}

void nn_plan_free(nn_plan *plan)
{
    if (!plan)
        return;
    descent_free(plan->memory);
    free(plan->step);
    free(plan->buffer);
    free(plan->value);
    free(plan->gradient);
    free(plan->reached);
    free(plan);
}

size_t nn_plan_bytes(const nn_plan *plan)
{
    return plan->bytes;
}
