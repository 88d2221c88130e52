/* Every operator's forward and gradients against a double-precision reference and its central finite
 * differences: random samples of every operator with a `sample`, odd sizes, short batches, inputs used
 * twice, frozen parameters, gradients that must be added to what is there; for each instruction set of this
 * CPU. The harness tests itself: each gradient off by 1 % must fail the same comparison. */
#include "nn/graph.h"
#include "tests/nn/reference.h"
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>

enum { TRIALS = 60, MOST_NODES = 64, ELEMENTS = 24 /* of each tensor, differentiated numerically */ };

/* Relative to the norm; below FLOOR, single precision has nothing to say. */
static const double TOLERANCE = 1e-4, FLOOR = 2e-5;

struct trial {
    struct descent_random random;
    struct descent_arena *arena;
    nn_graph *graph;
    nn_node *y, *loss;
    nn_node *weights;              /* of each element of y in the loss */
    nn_node *extra[NN_MAX_INPUTS]; /* weights of the inputs' second use in the loss, or NULL */
    bool input_gradients;
    int n, batch;
    unsigned without;
    const struct reference *reference;
    double *value[MOST_NODES]; /* of inputs, by node index */
    const void *fed[MOST_NODES];
    struct descent_param *param;
    double *param_value[NN_MAX_PARAMS];
    int perturbed; /* gradients large enough for the self-test */
};

static void *make(struct trial *t, size_t count, size_t size)
{
    void *memory = descent_arena_alloc(t->arena, count * size + 1);
    assert_non_null(memory);
    return memory;
}

static bool coin(struct trial *t)
{
    return descent_random_below(&t->random, 2);
}

/* The sum of all elements of a sample, as a loss. */
static nn_node *sum(nn_node *x, int i)
{
    return nn_dense(nn_flatten(x), 1, .no_bias = true, .init = "constant:1",
                    .name = nn_name(x, "sum%d", i));
}

static nn_node *weighted_sum(nn_node *x, nn_node **weights, int i)
{
    struct nn_shape shape = nn_shape_of(x);
    *weights = nn_input(x->graph, shape.channels, shape.height, shape.width);
    return sum(nn_multiply(x, *weights), i);
}

/* The operator once more, with its first input in place of every other of the same kind. */
static nn_node *with_repeated_input(nn_node *y)
{
    unsigned char options[256];
    assert_true(y->op->options_size <= sizeof options);
    memcpy(options, y->options, y->op->options_size);
    for (int i = 1; i < y->input_count; i++)
        if (!y->input[i]->op->integer && nn_same_shape(y->input[i]->shape, y->input[0]->shape))
            memcpy(options + (size_t)i * sizeof(nn_node *), &y->input[0], sizeof(nn_node *));
    return nn_build(y->op->name, options);
}

/* What users call where the operator is the planner's. */
static nn_node *as_built_by_users(nn_node *y)
{
    return nn_softmax_cross_entropy_with(*(const struct nn_cross_entropy_options *)y->options);
}

static bool first_use(const nn_node *y, int i)
{
    for (int k = 0; k < i; k++)
        if (y->input[k] == y->input[i])
            return false;
    return true;
}

static void build(struct trial *t, const struct nn_op *op, uint64_t seed)
{
    t->random = descent_random_new(seed, DESCENT_RANDOM_TEST, descent_hash(op->name));
    t->arena = descent_arena_new();
    t->graph = nn_graph_new(seed);
    assert_true(t->arena && t->graph);
    t->y = op->sample(t->graph, &t->random);
    if (t->y->input_count > 1 && descent_random_below(&t->random, 4) == 0)
        t->y = with_repeated_input(t->y);
    t->n = nn_random_between(&t->random, 1, 4);
    t->batch = t->n + nn_random_between(&t->random, 0, 2);
    nn_node *y = t->y;
    if (!strcmp(op->name, "softmax_cross_entropy") && coin(t))
        y = as_built_by_users(y);
    t->loss = weighted_sum(y, &t->weights, 0);
    for (int i = 0; i < t->y->input_count; i++)
        if (!t->y->input[i]->op->integer && first_use(t->y, i) && coin(t))
            t->loss = nn_add(t->loss, weighted_sum(t->y->input[i], &t->extra[i], i + 1));
    nn_freeze(t->graph, "sum*");
    for (int k = 0; k < t->y->param_count; k++) {
        int count;
        const char *name = nn_params(t->graph, &count)[t->y->param[k]].name;
        if (descent_random_below(&t->random, 4) == 0)
            nn_freeze(t->graph, name);
    }
    t->input_gradients = descent_random_below(&t->random, 4) != 0;
    t->without = NN_POISON | (unsigned)descent_random_below(&t->random, 8);
}

/* Distinct numbers in -4 .. 4, off the kinks of piecewise functions. */
static double off_kinks(double x)
{
    for (int kink = -3; kink <= 3; kink += 3)
        if (fabs(x - kink) < 1e-3)
            return kink + (x < kink ? -1e-3 : 1e-3);
    return x;
}

static void draw_floats(struct trial *t, double *value, int64_t count)
{
    uint32_t *order = make(t, (size_t)count, sizeof *order);
    for (int64_t i = 0; i < count; i++)
        order[i] = (uint32_t)i;
    descent_random_shuffle(&t->random, order, (uint32_t)count);
    for (int64_t i = 0; i < count; i++)
        value[i] =
            off_kinks(8 * (order[i] + 0.25 + 0.5 * descent_random_uniform(&t->random)) / (double)count - 4);
}

static void draw_probabilities(struct trial *t, double *value, int64_t rows, int columns)
{
    for (int64_t r = 0; r < rows; r++, value += columns) {
        double total = 0;
        for (int j = 0; j < columns; j++)
            total += value[j] = 0.1 + descent_random_uniform(&t->random);
        for (int j = 0; j < columns; j++)
            value[j] /= total;
    }
}

/* Random values of an input, as it is fed and as the reference sees them. Rows past the batch are NaN. */
static void draw(struct trial *t, const nn_node *node)
{
    int64_t size = nn_size(node->shape), count = t->n * size;
    double *value = make(t, (size_t)count, sizeof *value);
    float *fed = make(t, (size_t)(t->batch * size), sizeof *fed);
    int32_t *label = (void *)fed;
    t->value[node->index] = value;
    t->fed[node->index] = fed;
    if (node->op->integer) {
        for (int64_t i = 0; i < count; i++)
            value[i] = label[i] =
                (int32_t)descent_random_below(&t->random, (uint64_t) * (int *)node->options);
        return;
    }
    if (t->reference->probabilities && t->y->input[1] == node && t->y->input[0] != node)
        draw_probabilities(t, value, t->n, node->shape.channels);
    else
        draw_floats(t, value, count);
    for (int64_t i = 0; i < t->batch * size; i++)
        fed[i] = i < count ? (float)value[i] : NAN;
    for (int64_t i = 0; i < count; i++)
        value[i] = fed[i];
}

static void draw_inputs(struct trial *t)
{
    struct nn_layer_info info;
    assert_true(t->graph->node_count <= MOST_NODES);
    for (int i = 0; nn_layer(t->graph, i, &info); i++)
        if (!t->graph->node[i]->op->forward)
            draw(t, t->graph->node[i]);
}

static void feed(struct trial *t, nn_plan *plan)
{
    for (int i = 0; i < t->graph->node_count; i++)
        if (t->fed[i])
            nn_feed(plan, t->graph->node[i], t->fed[i]);
}

/* Learned numbers unlike any initializer's, so that a scale of 1 or a shift of 0 hides nothing. */
static void draw_params(struct trial *t)
{
    int count;
    struct descent_param *all = nn_params(t->graph, &count);
    for (int k = 0; k < t->y->param_count; k++) {
        struct descent_param *param = &all[t->y->param[k]];
        for (int64_t i = 0; i < param->size && param->kind != DESCENT_BUFFER; i++)
            param->value[i] += (float)(0.5 * descent_random_normal(&t->random));
        param->version++;
    }
}

static void read_params(struct trial *t)
{
    int count;
    t->param = nn_params(t->graph, &count);
    for (int k = 0; k < t->y->param_count; k++) {
        const struct descent_param *param = &t->param[t->y->param[k]];
        t->param_value[k] = make(t, (size_t)param->size, sizeof(double));
        for (int64_t i = 0; i < param->size; i++)
            t->param_value[k][i] = (double)param->value[i];
    }
}

static void reference_forward(const struct trial *t, double *y, bool training)
{
    struct reference_call call = {
        .node = t->y, .n = t->n, .y = y, .training = training, .seed = t->graph->seed};
    for (int i = 0; i < t->y->input_count; i++)
        call.x[i] = t->value[t->y->input[i]->index];
    for (int k = 0; k < t->y->param_count; k++)
        call.param[k] = t->param_value[k];
    t->reference->forward(&call);
}

/* What the plan's loss is, but for the inputs' second use. */
static double objective(const struct trial *t, double *y)
{
    double total = 0;
    reference_forward(t, y, true);
    for (int64_t i = 0; i < t->n * nn_size(t->y->shape); i++)
        total += y[i] * t->value[t->weights->index][i];
    return total;
}

static bool close_to(const double *a, const double *b, int count, double *error, double *norm)
{
    double difference = 0, square = 0;
    bool comparable = true;
    for (int i = 0; i < count; i++) {
        difference += (a[i] - b[i]) * (a[i] - b[i]);
        square += b[i] * b[i];
        comparable &= isfinite(a[i]) && isfinite(b[i]);
    }
    *error = sqrt(difference);
    *norm = sqrt(square);
    return comparable && *error <= TOLERANCE * *norm + FLOOR;
}

/* analytic(i): value[i]'s gradient, of `size`; second(i): its part that comes from the second use. */
static void check_gradient(struct trial *t, const char *what, double *value, int64_t size,
                           const float *analytic, const float *before, const double *second)
{
    double found[ELEMENTS], expected[ELEMENTS], error, norm;
    double *y = make(t, (size_t)(t->n * nn_size(t->y->shape)), sizeof *y);
    int count = size < ELEMENTS ? (int)size : ELEMENTS;
    for (int k = 0; k < count; k++) {
        int64_t i = size <= ELEMENTS ? k : (int64_t)descent_random_below(&t->random, (uint64_t)size);
        double kept = value[i], h = 1e-5;
        value[i] = kept + h;
        expected[k] = objective(t, y);
        value[i] = kept - h;
        expected[k] = (expected[k] - objective(t, y)) / (2 * h) + (second ? second[i] : 0);
        value[i] = kept;
        found[k] = (double)analytic[i] - (before ? (double)before[i] : 0);
    }
    if (!close_to(found, expected, count, &error, &norm))
        fail_msg("%s with %s: gradient of %s is off by %g, its norm is %g", t->y->op->name,
                 descent_isa_name(descent_isa()), what, error, norm);
    for (int k = 0; k < count; k++)
        found[k] *= 1.01;
    if (norm < 100 * FLOOR)
        return;
    t->perturbed++;
    if (close_to(found, expected, count, &error, &norm))
        fail_msg("%s: a gradient of %s that is 1 %% off passes", t->y->op->name, what);
}

static void check_values(struct trial *t, const nn_plan *plan, bool training)
{
    int64_t count = t->n * nn_size(t->y->shape);
    double *expected = make(t, (size_t)count, sizeof *expected),
           *found = make(t, (size_t)count, sizeof *found);
    double error, norm;
    const float *y = nn_value(plan, t->y);
    if (!y) /* the user's builder made another node */
        return;
    reference_forward(t, expected, training);
    for (int64_t i = 0; i < count; i++)
        found[i] = (double)y[i];
    if (!close_to(found, expected, (int)count, &error, &norm))
        fail_msg("%s with %s: %s is off by %g, its norm is %g", t->y->op->name,
                 descent_isa_name(descent_isa()), training ? "forward" : "forward in evaluation", error,
                 norm);
}

static void check_training(struct trial *t)
{
    nn_plan *plan =
        nn_compile(t->graph, .output = t->y, .loss = t->loss, .batch = t->batch, .training = true,
                   .input_gradients = t->input_gradients, .without = t->without);
    if (!plan)
        fail_msg("%s: %s", t->y->op->name, descent_error());
    float *before[NN_MAX_PARAMS] = {0};
    draw_params(t);
    read_params(t);
    for (int k = 0; k < t->y->param_count; k++) {
        const struct descent_param *param = &t->param[t->y->param[k]];
        before[k] = make(t, (size_t)param->size, sizeof(float));
        for (int64_t i = 0; i < param->size && param->grad; i++)
            before[k][i] = param->grad[i] = (float)descent_random_normal(&t->random);
    }
    feed(t, plan);
    assert_int_equal(nn_forward(plan, t->n), DESCENT_OK);
    check_values(t, plan, true);
    assert_int_equal(nn_backward(plan, .scale = t->n), DESCENT_OK); /* of the sum over the batch */
    for (int i = 0; i < t->y->input_count; i++) {
        nn_node *node = t->y->input[i];
        if (!t->input_gradients || node->op->integer || !first_use(t->y, i))
            continue;
        const double *second = t->extra[i] ? t->value[t->extra[i]->index] : NULL;
        assert_non_null(nn_gradient(plan, node));
        check_gradient(t, node->name, t->value[node->index], t->n * nn_size(node->shape),
                       nn_gradient(plan, node), NULL, second);
    }
    for (int k = 0; k < t->y->param_count; k++) {
        const struct descent_param *param = &t->param[t->y->param[k]];
        if (param->grad)
            check_gradient(t, param->name, t->param_value[k], param->size, param->grad, before[k], NULL);
    }
    nn_plan_free(plan);
}

static void check_evaluation(struct trial *t)
{
    nn_plan *plan = nn_compile(t->graph, .output = t->y, .batch = t->batch, .without = t->without);
    assert_non_null(plan);
    read_params(t);
    feed(t, plan);
    assert_int_equal(nn_forward(plan, t->n), DESCENT_OK);
    check_values(t, plan, false);
    nn_plan_free(plan);
}

static void every_operator_equals_its_reference(void **state)
{
    const struct nn_op *op;
    (void)state;
    for (int i = 0; (op = nn_op_at(i)); i++) {
        const struct reference *reference = reference_find(op->name);
        int perturbed = 0;
        if (!op->sample)
            continue;
        if (!reference)
            fail_msg("%s has a sample but no reference", op->name);
        for (int trial = 0; trial < TRIALS; trial++) {
            struct trial t = {.reference = reference};
            build(&t, op, (uint64_t)trial);
            draw_inputs(&t);
            check_training(&t);
            check_evaluation(&t);
            perturbed += t.perturbed;
            nn_graph_free(t.graph);
            descent_arena_free(t.arena);
        }
        if (perturbed < TRIALS / 4)
            fail_msg("%s: only %d gradients were large enough to test the test", op->name, perturbed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_operator_equals_its_reference),
    };
    int failed = 0;
    for (int isa = 0; isa < DESCENT_ISA_COUNT; isa++) {
        setenv("DESCENT_ISA", descent_isa_name((enum descent_isa)isa), 1);
        if ((int)descent_isa() == isa) /* this CPU has it */
            failed +=
                cmocka_run_group_tests_name(descent_isa_name((enum descent_isa)isa), tests, NULL, NULL);
    }
    return failed;
}
