/* The graph: nodes, shapes, parameters, and the first error. Nothing is computed here. */
#include "nn/graph.h"

#include "base/spec.h"

#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>

/* What builders return when there is no memory, or no graph, to make a node in. */
static nn_node nowhere = {.name = "", .poisoned = true, .shape = {1, 1, 1}};

static const struct nn_op input_op = {.name = "input"};
static const struct nn_op labels_op = {.name = "labels", .integer = true};

nn_graph *nn_graph_new(uint64_t seed)
{
    nn_graph *graph = calloc(1, sizeof *graph);
    if (graph)
        graph->arena = descent_arena_new();
    if (!graph || !graph->arena) {
        descent_fail(DESCENT_OUT_OF_MEMORY, "out of memory for a graph");
        free(graph);
        return NULL;
    }
    graph->seed = seed;
    return graph;
}

void nn_graph_free(nn_graph *graph)
{
    if (!graph)
        return;
    free(graph->node);
    free(graph->param);
    free(graph->init);
    descent_free(graph->memory);
    descent_arena_free(graph->arena);
    free(graph);
}

static void graph_fail(nn_graph *graph, enum descent_status status, const char *message)
{
    if (graph->status)
        return;
    graph->status = status;
    graph->message = descent_arena_string(graph->arena, message);
    if (!graph->message)
        graph->message = "out of memory";
}

void nn_fail(nn_node *node, const char *format, ...)
{
    char message[1024];
    int used = snprintf(message, sizeof message, "%s '%s': ", node->op->name, node->name);
    va_list arguments;
    va_start(arguments, format);
    if (used > 0 && used < (int)sizeof message)
        vsnprintf(message + used, sizeof message - (size_t)used, format, arguments);
    va_end(arguments);
    node->poisoned = true;
    graph_fail(node->graph, DESCENT_BAD_ARGUMENT, message);
}

/* Makes room for one more element in an array that doubles. */
static bool grow(void **array, int count, int *room, size_t size)
{
    if (count < *room)
        return true;
    int wanted = *room ? *room * 2 : 32;
    void *larger = realloc(*array, (size_t)wanted * size);
    if (!larger)
        return false;
    *array = larger;
    *room = wanted;
    return true;
}

static nn_node *out_of_memory(nn_graph *graph)
{
    graph_fail(graph, DESCENT_OUT_OF_MEMORY, "out of memory for a layer");
    return &nowhere;
}

/* "conv2d3": the operator's name and how many of its kind the graph now has. */
static const char *automatic_name(nn_graph *graph, const struct nn_op *op)
{
    int nth = 1;
    for (int i = 0; i < graph->node_count; i++)
        nth += graph->node[i]->op == op;
    return descent_arena_format(graph->arena, "%s%d", op->name, nth);
}

static nn_node *new_node(nn_graph *graph, const struct nn_op *op, const char *name)
{
    nn_node *node = descent_arena_alloc(graph->arena, sizeof *node);
    const char *kept = name ? descent_arena_string(graph->arena, name) : automatic_name(graph, op);
    if (!node || !kept ||
        !grow((void **)&graph->node, graph->node_count, &graph->node_room, sizeof(nn_node *)))
        return out_of_memory(graph);
    node->graph = graph;
    node->op = op;
    node->name = kept;
    node->shape = (struct nn_shape){1, 1, 1};
    node->index = graph->node_count;
    graph->node[graph->node_count++] = node;
    return node;
}

static void check_size(nn_node *node)
{
    if (!node->poisoned && !nn_size_fits(node->shape))
        nn_fail(node, "%d x %d x %d are more than the %lld numbers that a sample may have",
                node->shape.channels, node->shape.height, node->shape.width, (long long)NN_MAX_SIZE);
}

nn_node *nn_input(nn_graph *graph, int channels, int height, int width)
{
    if (!graph)
        return &nowhere;
    nn_node *node = new_node(graph, &input_op, NULL);
    if (channels < 1 || height < 1 || width < 1)
        nn_fail(node, "%d x %d x %d is not a shape; channels, height and width are at least 1", channels,
                height, width);
    else
        node->shape = (struct nn_shape){channels, height, width};
    check_size(node);
    return node;
}

nn_node *nn_labels(nn_graph *graph, int classes)
{
    if (!graph)
        return &nowhere;
    nn_node *node = new_node(graph, &labels_op, NULL);
    int *kept = descent_arena_alloc(graph->arena, sizeof *kept);
    if (!kept || node == &nowhere)
        return out_of_memory(graph);
    *kept = classes;
    node->options = kept;
    if (classes < 1)
        nn_fail(node, "%d classes; at least 1 is needed", classes);
    return node;
}

struct nn_shape nn_shape_of(const nn_node *node)
{
    return node->shape;
}

const char *nn_name(const nn_node *any, const char *format, ...)
{
    if (!any->graph)
        return NULL;
    va_list arguments;
    va_start(arguments, format);
    const char *name = descent_arena_vformat(any->graph->arena, format, arguments);
    va_end(arguments);
    return name;
}

/* Copies the operator's input pointers out of its options. Returns the graph they belong to, or NULL. */
static nn_graph *gather_inputs(const struct nn_op *op, nn_node *const *given, nn_node **input, int *count)
{
    int room = op->variadic ? NN_MAX_INPUTS : op->inputs;
    nn_graph *graph = NULL;
    *count = 0;
    while (*count < room && (given[*count] || !op->variadic)) {
        nn_node *node = given[*count] ? given[*count] : &nowhere;
        graph = graph ? graph : node->graph;
        input[(*count)++] = node;
    }
    return graph;
}

static void check_inputs(nn_node *node)
{
    for (int i = 0; i < node->input_count; i++) {
        const nn_node *input = node->input[i];
        if (input == &nowhere)
            nn_fail(node, "input %d is missing", i + 1);
        else if (input->graph != node->graph)
            nn_fail(node, "input %d belongs to another graph", i + 1);
        else if (input->op->integer && !(node->op->takes_labels >> i & 1))
            nn_fail(node, "'%s' holds class indices, not numbers", input->name);
        node->poisoned |= input->poisoned;
    }
}

/* Options of every operator begin with its first input, which is all that is known of those of no operator.
 */
static nn_node *unknown_operator(const char *name, const void *options)
{
    enum { MOST = 128 };
    const char *known[MOST];
    const nn_node *first;
    int count = 0;
    for (const struct nn_op *op; count < MOST && (op = nn_op_at(count)); count++)
        known[count] = op->name;
    memcpy(&first, options, sizeof first);
    descent_fail_unknown("operator", name, known, count);
    if (first && first->graph)
        graph_fail(first->graph, DESCENT_BAD_ARGUMENT, descent_error());
    return &nowhere;
}

nn_node *nn_build(const char *name, const void *options)
{
    const struct nn_op *op = nn_op_find(name);
    if (!op)
        return unknown_operator(name, options);
    nn_node *input[NN_MAX_INPUTS];
    int count = 0;
    nn_graph *graph = gather_inputs(op, options, input, &count);
    if (!graph)
        return &nowhere;
    const char *wanted;
    memcpy(&wanted, (const char *)options + op->name_offset, sizeof wanted);
    nn_node *node = new_node(graph, op, wanted);
    void *copy = descent_arena_alloc(graph->arena, op->options_size);
    if (!copy || node == &nowhere)
        return out_of_memory(graph);
    node->options = memcpy(copy, options, op->options_size);
    node->input_count = count;
    memcpy(node->input, input, sizeof *input * (size_t)count);
    check_inputs(node);
    if (!node->poisoned)
        op->shape(node);
    check_size(node);
    return node;
}

nn_node *nn_softmax_cross_entropy_with(struct nn_cross_entropy_options options)
{
    options.x = nn_log_softmax(options.x);
    return nn_build("negative_log_likelihood", &options);
}

static int find_param(const nn_graph *graph, const char *name)
{
    for (int i = 0; i < graph->param_count; i++)
        if (!strcmp(graph->param[i].name, name))
            return i;
    return -1;
}

/* The layer whose parameters this one uses too, or NULL. */
static const nn_node *shared_with(const nn_node *node)
{
    const nn_node *other = NULL;
    if (node->op->share_offset)
        memcpy(&other, (const char *)node->options + node->op->share_offset, sizeof other);
    return other;
}

static void share_param(nn_node *node, const nn_node *other, const struct nn_param_spec *spec)
{
    if (other->graph != node->graph || other->op != node->op || other->param_count <= node->param_count) {
        nn_fail(node, "cannot share the parameters of '%s': not a %s layer with a %s", other->name,
                node->op->name, spec->name);
        return;
    }
    int shared = other->param[node->param_count];
    const struct descent_param *param = &node->graph->param[shared];
    if (param->rank != spec->rank ||
        memcmp(param->shape, spec->shape, sizeof param->shape[0] * (size_t)spec->rank) != 0)
        nn_fail(node, "cannot share '%s': its shape does not fit this layer", param->name);
    node->param[node->param_count++] = shared;
}

void nn_add_param(nn_node *node, const struct nn_param_spec *spec)
{
    nn_graph *graph = node->graph;
    const nn_node *other = shared_with(node);
    if (other) {
        share_param(node, other, spec);
        return;
    }
    const char *name = descent_arena_format(graph->arena, "%s.%s", node->name, spec->name);
    const char *init = spec->init ? descent_arena_string(graph->arena, spec->init) : spec->default_init;
    if (graph->memory) {
        nn_fail(node,
                "the graph was compiled already; layers with parameters come before the first nn_compile");
        return;
    }
    int init_room = graph->param_room;
    if (!name || !init ||
        !grow((void **)&graph->init, graph->param_count, &init_room, sizeof *graph->init) ||
        !grow((void **)&graph->param, graph->param_count, &graph->param_room, sizeof *graph->param)) {
        node->poisoned = true;
        graph_fail(graph, DESCENT_OUT_OF_MEMORY, "out of memory for a parameter");
        return;
    }
    if (find_param(graph, name) >= 0) {
        nn_fail(node, "another layer has this name already; parameters need names of their own");
        return;
    }
    if (nn_initializer_check(init)) {
        nn_fail(node, "%s", descent_error());
        return;
    }
    struct descent_param *param = &graph->param[graph->param_count];
    *param = (struct descent_param){.name = name, .kind = spec->kind, .rank = spec->rank, .size = 1};
    for (int i = 0; i < spec->rank; i++) {
        param->shape[i] = spec->shape[i];
        if (__builtin_mul_overflow(param->size, spec->shape[i], &param->size) ||
            param->size > NN_MAX_SIZE) {
            nn_fail(node, "its %s is too large", spec->name);
            return;
        }
    }
    graph->init[graph->param_count] = (struct nn_param_init){init, spec->fan_in, spec->fan_out, false};
    node->param[node->param_count++] = graph->param_count++;
}

struct descent_param *nn_params(nn_graph *graph, int *count)
{
    *count = graph->param_count;
    return graph->param;
}

int nn_freeze(nn_graph *graph, const char *pattern)
{
    int matched = 0;
    for (int i = 0; i < graph->param_count; i++)
        if (!fnmatch(pattern, graph->param[i].name, 0)) {
            graph->init[i].frozen = true;
            matched++;
        }
    return matched;
}

void nn_clear_gradients(nn_graph *graph)
{
    if (graph->memory)
        memset(graph->memory + graph->gradient_offset, 0, graph->gradient_count * sizeof *graph->memory);
}

/* Marks the parameters of the layers nearest to the output. `visited` is by node index. */
static void mark_output(nn_graph *graph, const nn_node *node, bool *visited)
{
    if (visited[node->index])
        return;
    visited[node->index] = true;
    for (int i = 0; i < node->param_count; i++)
        graph->param[node->param[i]].role = DESCENT_ROLE_OUTPUT;
    for (int i = 0; i < node->input_count && !node->param_count; i++)
        mark_output(graph, node->input[i], visited);
}

/* Floats that a parameter takes: whole cache lines. */
static size_t room_of(const struct descent_param *param)
{
    return descent_round_up((size_t)param->size * sizeof(float)) / sizeof(float);
}

static bool is_trained(const nn_graph *graph, int i)
{
    return graph->param[i].kind != DESCENT_BUFFER && !graph->init[i].frozen;
}

/* Lays the parameters out from `value` on and their gradients from `gradient` on; both NULL: nowhere. */
static void place_params(nn_graph *graph, float *value, float *gradient)
{
    for (int i = 0; i < graph->param_count; i++) {
        struct descent_param *param = &graph->param[i];
        param->value = value;
        param->grad = is_trained(graph, i) ? gradient : NULL;
        value += value ? room_of(param) : 0;
        gradient += param->grad ? room_of(param) : 0;
    }
}

static enum descent_status initialize_params(nn_graph *graph)
{
    for (int i = 0; i < graph->param_count; i++) {
        struct descent_param *param = &graph->param[i];
        const struct nn_param_init *init = &graph->init[i];
        enum descent_status status =
            nn_initialize(param, init->init, init->fan_in, init->fan_out, graph->seed);
        if (status)
            return descent_fail_in(status, "%s", param->name);
        param->version = 1;
    }
    return DESCENT_OK;
}

enum descent_status nn_graph_seal(nn_graph *graph, const nn_node *output)
{
    if (graph->memory)
        return DESCENT_OK;
    size_t values = 0, gradients = 0;
    for (int i = 0; i < graph->param_count; i++) {
        values += room_of(&graph->param[i]);
        gradients += is_trained(graph, i) ? room_of(&graph->param[i]) : 0;
    }
    bool *visited = calloc((size_t)graph->node_count, sizeof *visited);
    float *memory = visited ? descent_alloc((values + gradients) * sizeof *memory) : NULL;
    enum descent_status status = DESCENT_OUT_OF_MEMORY;
    if (memory) {
        place_params(graph, memory, memory + values);
        status = initialize_params(graph);
    } else {
        descent_fail(status, "out of memory for %zu parameters", values);
    }
    if (status == DESCENT_OK) {
        mark_output(graph, output, visited);
        graph->memory = memory;
        graph->gradient_offset = values;
        graph->gradient_count = gradients;
    } else {
        place_params(graph, NULL, NULL);
        descent_free(memory);
    }
    free(visited);
    return status;
}

bool nn_layer(const nn_graph *graph, int i, struct nn_layer_info *info)
{
    if (i < 0 || i >= graph->node_count)
        return false;
    const nn_node *node = graph->node[i];
    int64_t params = 0;
    for (int k = 0; k < node->param_count; k++)
        if (graph->param[node->param[k]].kind != DESCENT_BUFFER)
            params += graph->param[node->param[k]].size;
    bool computes = node->op->forward != NULL && !node->poisoned;
    *info = (struct nn_layer_info){
        .name = node->name,
        .op = node->op->name,
        .shape = node->shape,
        .params = params,
        .flops = !computes         ? 0
                 : node->op->flops ? node->op->flops(node)
                                   : (double)nn_size(node->shape),
        .bytes = nn_size(node->shape) * (int64_t)sizeof(float),
    };
    return true;
}
