/* Graphs, plans and initializers: the first error is kept in the user's words, and weights begin as the
 * formulas say. */
#include "nn/op.h"
#include "tests/test.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

static nn_graph *graph;

static int set_up(void **state)
{
    (void)state;
    graph = nn_graph_new(7);
    return graph ? 0 : 1;
}

static int tear_down(void **state)
{
    (void)state;
    nn_graph_free(graph);
    return 0;
}

static void assert_refused(nn_node *output, const char *message)
{
    assert_null(nn_compile(graph, .output = output, .batch = 4));
    assert_string_equal(descent_error(), message);
}

static void poisoned_graph_reports_first_error(void **state)
{
    (void)state;
    nn_node *x = nn_input(graph, 1, 28, 28);
    nn_node *y = nn_relu(nn_conv2d(x, 8, .kernel = 31, .name = "stem"));
    y = nn_dense(nn_max_pool2d(y, 99), -3);
    assert_refused(y, "conv2d 'stem': kernel 31 does not fit a 28 x 28 input");
}

static void every_bad_shape_is_said_in_the_users_words(void **state)
{
    (void)state;
    static const char *const messages[] = {
        "dense 'd': its input is 3 x 8 x 8, not a vector; put nn_flatten before it",
        "add 'a': 3 x 8 x 8 and 2 x 8 x 8 do not go together",
        "concat 'c': input 2 is 4 x 4, not 8 x 8 as the first",
        "concat 'c': one input; 2 to 8 are needed",
        "pad_channels 'p': -1 channels before and 1 after; neither may be negative",
        "multiply 'm': input 2 is missing",
        "add 'a': input 2 belongs to another graph",
        "input 'input1': 0 x 8 x 8 is not a shape",
        "relu 'r': 'labels1' holds class indices, not numbers",
        "dense 'd': unknown initializer 'kaiming-norml'; did you mean 'kaiming-normal'?",
        "unknown operator 'conv2'; did you mean 'conv2d'?",
        "input 'input1': 1 x 1048576 x 1048577 are more than the 1099511627776 numbers that a sample",
        "pad_channels 'p': 2147483647 x 1048576 x 1 are more than the 1099511627776 numbers",
        "reshape 'r': 2147483647 x 2147483647 x 4 does not have the 192 elements of its 3 x 8 x 8 input",
    };
    for (int i = 0; i < (int)(sizeof messages / sizeof *messages); i++) {
        nn_graph *own = nn_graph_new(1), *other = nn_graph_new(1);
        nn_node *x = i == 11 ? NULL : nn_input(own, i == 7 ? 0 : 3, 8, 8), *y = NULL;
        switch (i) {
        case 0:
            y = nn_dense(x, 10, .name = "d");
            break;
        case 1:
            y = nn_add(x, nn_input(own, 2, 8, 8), .name = "a");
            break;
        case 2:
            y = nn_build("concat", &(struct nn_concat_options){.x = {x, nn_max_pool2d(x, 2)}, .name = "c"});
            break;
        case 3:
            y = nn_build("concat", &(struct nn_concat_options){.x = {x}, .name = "c"});
            break;
        case 4:
            y = nn_pad_channels(x, -1, 1, .name = "p");
            break;
        case 5:
            y = nn_multiply(x, NULL, .name = "m");
            break;
        case 6:
            y = nn_add(x, nn_input(other, 3, 8, 8), .name = "a");
            break;
        case 7:
            y = nn_relu(x);
            break;
        case 8:
            y = nn_relu(nn_labels(own, 3), .name = "r");
            break;
        case 9:
            y = nn_dense(nn_flatten(x), 2, .init = "kaiming-norml", .name = "d");
            break;
        case 11:
            y = nn_relu(nn_input(own, 1, 1 << 20, (1 << 20) + 1));
            break;
        case 12:
            y = nn_pad_channels(nn_input(own, 1, 1 << 20, 1), 0, INT_MAX - 1, .name = "p");
            break;
        case 13:
            y = nn_reshape(x, INT_MAX, .height = INT_MAX, .width = 4, .name = "r");
            break;
        default:
            y = nn_relu(nn_build("conv2", &(struct nn_conv2d_options){.x = x, .filters = 8}));
        }
        assert_null(nn_compile(own, .output = y, .batch = 1));
        if (strncmp(descent_error(), messages[i], strlen(messages[i])) != 0) /* hints may follow */
            fail_msg("found: %s\nexpected: %s", descent_error(), messages[i]);
        nn_graph_free(own);
        nn_graph_free(other);
    }
}

static void parameters_need_names_of_their_own(void **state)
{
    (void)state;
    nn_node *x = nn_dense(nn_input(graph, 4, 1, 1), 4, .name = "layer");
    assert_refused(
        nn_dense(x, 4, .name = "layer"),
        "dense 'layer': another layer has this name already; parameters need names of their own");
}

static void shared_parameters_must_fit(void **state)
{
    (void)state;
    nn_node *x = nn_input(graph, 4, 1, 1), *first = nn_dense(x, 5, .name = "first");
    int count;
    nn_node *second = nn_dense(x, 5, .share = first);
    nn_params(graph, &count);
    assert_int_equal(count, 2);
    assert_refused(nn_dense(second, 5, .share = first, .name = "third"),
                   "dense 'third': cannot share 'first.weight': its shape does not fit this layer");
}

static void frozen_parameters_get_no_gradient(void **state)
{
    (void)state;
    nn_node *x = nn_input(graph, 4, 1, 1);
    nn_node *y = nn_dense(nn_relu(nn_dense(x, 5, .name = "body1")), 1, .name = "head");
    int count;
    assert_int_equal(nn_freeze(graph, "body*"), 2);
    assert_int_equal(nn_freeze(graph, "nothing*"), 0);
    nn_plan *plan = nn_compile(graph, .loss = y, .batch = 1, .training = true);
    struct descent_param *param = nn_params(graph, &count);
    assert_non_null(plan);
    assert_true(!param[0].grad && !param[1].grad && param[2].grad && param[3].grad);
    for (int i = 0; i < 4; i++) /* no output was named: the layer before the loss makes it */
        assert_int_equal(param[i].role, i < 2 ? DESCENT_ROLE_HIDDEN : DESCENT_ROLE_OUTPUT);
    nn_plan_free(plan);
}

static void a_step_refuses_what_does_not_fit_the_plan(void **state)
{
    (void)state;
    const float images[8] = {0};
    const int32_t labels[] = {0, 10};
    nn_node *x = nn_input(graph, 4, 1, 1), *target = nn_labels(graph, 10);
    nn_node *loss = nn_softmax_cross_entropy(nn_dense(x, 10), target);
    nn_plan *plan = nn_compile(graph, .loss = loss, .batch = 2, .training = true);
    assert_non_null(plan);
    assert_int_equal(nn_backward(plan), DESCENT_BAD_ARGUMENT);
    assert_string_equal(descent_error(), "nn_backward: no nn_forward came before");
    assert_int_equal(nn_forward(plan, 1), DESCENT_BAD_ARGUMENT);
    assert_string_equal(descent_error(), "nn_forward: 'input1' was not fed");
    nn_feed(plan, x, images);
    nn_feed(plan, target, labels);
    assert_int_equal(nn_forward(plan, 0), DESCENT_BAD_ARGUMENT);
    assert_int_equal(nn_forward(plan, 3), DESCENT_BAD_ARGUMENT);
    assert_string_equal(descent_error(), "nn_forward: 3 samples; the plan was compiled for 1 to 2");
    assert_int_equal(nn_forward(plan, 1), DESCENT_OK);
    assert_int_equal(nn_forward(plan, 2), DESCENT_BAD_ARGUMENT);
    assert_string_equal(descent_error(), "nn_forward: sample 1 has label 10; expected 0 to 9");
    nn_plan_free(plan);
}

/* 2^100 paths lead from the head to the first layer. */
static void parameter_may_be_made_from_any_node(void **state)
{
    (void)state;
    nn_node *y = nn_parameter(nn_labels(graph, 3), 2, .init = "constant:5");
    nn_plan *plan = nn_compile(graph, .output = y, .batch = 2);
    assert_non_null(plan);
    assert_int_equal(nn_forward(plan, 2), DESCENT_OK);
    assert_float_equal(nn_value(plan, y)[3], 5, 0);
    nn_plan_free(plan);
}

static void output_is_found_through_many_diamonds(void **state)
{
    (void)state;
    nn_node *y = nn_dense(nn_dense(nn_input(graph, 2, 1, 1), 2), 2);
    for (int i = 0; i < 100; i++)
        y = nn_add(y, nn_relu(y));
    nn_plan *plan = nn_compile(graph, .output = y, .batch = 1);
    assert_non_null(plan);
    int count;
    const struct descent_param *param = nn_params(graph, &count);
    for (int i = 0; i < 4; i++)
        assert_int_equal(param[i].role, i < 2 ? DESCENT_ROLE_HIDDEN : DESCENT_ROLE_OUTPUT);
    nn_plan_free(plan);
}

/* 2^38 numbers for each of 2^26 samples are 2^66 bytes, which is 0 for whoever does not look. */
static void plan_beyond_any_memory_is_refused(void **state)
{
    (void)state;
    nn_node *x = nn_input(graph, 1 << 14, 1 << 12, 1 << 12);
    assert_null(nn_compile(graph, .output = nn_relu(x), .batch = 1 << 26));
    assert_string_equal(descent_error(), "out of memory for a plan of batch 67108864");
}

static void backward_from_a_node_clears_what_lies_beyond(void **state)
{
    (void)state;
    const float images[] = {1, 2, 3, 4}, gradient[] = {1, 1, 1};
    nn_node *x = nn_input(graph, 4, 1, 1), *middle = nn_relu(nn_dense(x, 3, .init = "constant:1"));
    nn_node *loss = nn_dense(middle, 1);
    nn_plan *plan = nn_compile(graph, .loss = loss, .batch = 1, .training = true);
    assert_non_null(plan);
    int count;
    struct descent_param *param = nn_params(graph, &count);
    nn_feed(plan, x, images);
    assert_int_equal(nn_forward(plan, 1), DESCENT_OK);
    assert_int_equal(nn_backward(plan), DESCENT_OK);
    assert_float_equal(param[3].grad[0], 1, 0);
    assert_int_equal(nn_forward(plan, 1), DESCENT_OK);
    assert_int_equal(nn_backward(plan, .clear = true, .from = middle, .gradient = gradient), DESCENT_OK);
    assert_float_equal(param[3].grad[0], 0, 0);
    for (int i = 0; i < 4; i++)
        assert_float_equal(param[0].grad[i], images[i], 0);
    nn_plan_free(plan);
}

static void every_value_is_kept_for_whoever_asks(void **state)
{
    (void)state;
    const float images[] = {-1, 2};
    nn_node *x = nn_input(graph, 2, 1, 1), *first = nn_dense(x, 2, .init = "constant:1", .no_bias = true);
    nn_node *y = nn_scale(nn_relu(first), 2);
    for (int k = 0; k < 2; k++) {
        unsigned without = NN_WITHOUT_REUSE | NN_WITHOUT_IN_PLACE | (k ? NN_WITHOUT_FUSION : 0);
        nn_plan *plan = nn_compile(graph, .output = y, .batch = 1, .without = without);
        nn_feed(plan, x, images);
        assert_int_equal(nn_forward(plan, 1), DESCENT_OK);
        assert_float_equal(nn_value(plan, y)[1], 2, 0);
        if (k)
            assert_float_equal(nn_value(plan, first)[1], 1, 0);
        else
            assert_null(nn_value(plan, first)); /* fused with the ReLU */
        nn_plan_free(plan);
    }
}

static void nodes_made_after_a_plan_are_not_its_own(void **state)
{
    (void)state;
    const float images[4] = {1, 2, 3, 4};
    nn_node *x = nn_input(graph, 4, 1, 1), *y = nn_relu(x), *later = NULL;
    nn_plan *plan = nn_compile(graph, .output = y, .batch = 1);
    assert_non_null(plan);
    for (int i = 0; i < 100; i++)
        later = nn_input(graph, 4, 1, 1);
    nn_feed(plan, later, images);
    assert_null(nn_value(plan, later));
    assert_null(nn_gradient(plan, later));
    nn_feed(plan, x, images);
    assert_int_equal(nn_forward(plan, 1), DESCENT_OK);
    assert_float_equal(nn_value(plan, y)[3], 4, 0);
    nn_plan_free(plan);
}

static void the_first_value_that_is_not_finite_is_named(void **state)
{
    (void)state;
    const float images[4] = {1, 2, 3, 4};
    int count;
    nn_node *x = nn_input(graph, 4, 1, 1);
    nn_node *y = nn_dense(x, 3, .init = "constant:1", .bias_init = "zeros", .name = "first");
    y = nn_scale(y, 3e38, .name = "blown");
    y = nn_dense(y, 2, .name = "last");
    nn_plan *plan = nn_compile(graph, .output = y, .batch = 1);
    assert_non_null(plan);
    nn_feed(plan, x, images);
    assert_int_equal(nn_forward(plan, 1), DESCENT_OK);
    assert_string_equal(nn_first_not_finite(plan), "blown");
    struct descent_param *param = nn_params(graph, &count);
    param[1].value[0] = NAN;
    param[1].version++;
    assert_int_equal(nn_forward(plan, 1), DESCENT_OK);
    assert_string_equal(nn_first_not_finite(plan), "first.bias");
    nn_plan_free(plan);
}

/* Of 64 filters over 32 channels, 3 x 3: fan-in 288, fan-out 576. bound 0: not uniform. */
static const struct {
    const char *init; /* NULL: the default */
    double mean, deviation, bound;
} rules[] = {
    {NULL, 0, 1 / 29.393876913398138, 1 / 16.970562748477143}, /* U(+-1/sqrt(fan-in)), as in PyTorch */
    {"fan-in-uniform:gain=2", 0, 2 / 29.393876913398138, 2 / 16.970562748477143},
    {"xavier-uniform", 0, 0.048112522432468816, 0.08333333333333333}, /* sqrt(6 / 864) */
    {"xavier-normal:gain=3", 0, 3 * 0.048112522432468816, 0},         /* sqrt(2 / 864) */
    {"kaiming-uniform", 0, 0.08333333333333333, 0.14433756729740643}, /* sqrt(2 / 288) */
    {"kaiming-normal:mode=fan_out", 0, 0.05892556509887896, 0},       /* sqrt(2 / 576) */
    {"kaiming-normal:slope=1", 0, 0.05892556509887896, 0},
    {"lecun-normal", 0, 0.05892556509887896, 0}, /* sqrt(1 / 288) */
    {"lecun-uniform", 0, 0.05892556509887896, 0.10206207261596577},
    {"normal:std=0.02,mean=0.5", 0.5, 0.02, 0},
    {"truncated-normal:std=2", 0, 2 * 0.8796256610342398, 4},
    {"uniform:low=-1,high=1", 0, 0.5773502691896258, 1},
    {"constant:2.5", 2.5, 0, 0},
    {"zeros", 0, 0, 0},
};

static void initializers_have_the_moments_of_their_formulas(void **state)
{
    (void)state;
    for (size_t r = 0; r < sizeof rules / sizeof *rules; r++) {
        nn_graph *own = nn_graph_new(r);
        int count;
        nn_node *y =
            nn_conv2d(nn_input(own, 32, 5, 5), 64, .init = rules[r].init, .bias_init = rules[r].init);
        nn_plan *plan = nn_compile(own, .output = y, .batch = 1);
        if (!plan)
            fail_msg("%s", descent_error());
        const struct descent_param *weight = &nn_params(own, &count)[0];
        double sum = 0, square = 0, most = 0, n = (double)weight->size;
        for (int64_t i = 0; i < weight->size; i++) {
            double value = (double)weight->value[i];
            sum += value;
            square += (value - rules[r].mean) * (value - rules[r].mean);
            most = fmax(most, fabs(value));
        }
        /* 18432 numbers: four standard errors of the mean are 3 % of a deviation, of the deviation 2 %. */
        assert_float_equal(sum / n, rules[r].mean, 0.03 * rules[r].deviation + 1e-7);
        assert_float_equal(sqrt(square / n), rules[r].deviation, 0.025 * rules[r].deviation + 1e-7);
        if (rules[r].bound > 0)
            assert_true(most <= rules[r].bound * (1 + 1e-7) && most > 0.999 * rules[r].bound);
        nn_plan_free(plan);
        nn_graph_free(own);
    }
}

static void orthogonal_matrices_are_orthogonal(void **state)
{
    (void)state;
    const int rows[] = {20, 50, 30}, columns[] = {50, 20, 30};
    for (int k = 0; k < 3; k++) {
        nn_graph *own = nn_graph_new((uint64_t)k);
        int count, thin = rows[k] < columns[k] ? rows[k] : columns[k];
        nn_node *y = nn_dense(nn_input(own, columns[k], 1, 1), rows[k], .init = "orthogonal:gain=2");
        nn_plan *plan = nn_compile(own, .output = y, .batch = 1);
        assert_non_null(plan);
        const float *w = nn_params(own, &count)[0].value;
        for (int a = 0; a < thin; a++)
            for (int b = 0; b < thin; b++) {
                double product = 0;
                for (int j = 0; j < (rows[k] + columns[k] - thin); j++)
                    product += thin == rows[k]
                                   ? (double)w[a * columns[k] + j] * (double)w[b * columns[k] + j]
                                   : (double)w[j * columns[k] + a] * (double)w[j * columns[k] + b];
                assert_float_equal(product, a == b ? 4 : 0, 1e-5);
            }
        nn_plan_free(plan);
        nn_graph_free(own);
    }
}

/* Address space for the parameters, and not for the matrix that the initializer takes beside them. */
static void parameters_that_cannot_be_initialized_are_nowhere(void **state)
{
    (void)state;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    skip(); /* they take address space without end */
#endif
    struct rlimit before;
    nn_node *y = nn_dense(nn_input(graph, 1 << 12, 1, 1), 1 << 12, .init = "orthogonal", .name = "wide");
    size_t bytes = sizeof(float) << 24, pages = 0;
    FILE *statm = fopen("/proc/self/statm", "r");
    if (!statm)
        skip();
    assert_int_equal(fscanf(statm, "%zu", &pages), 1);
    fclose(statm);
    assert_int_equal(getrlimit(RLIMIT_AS, &before), 0);
    rlim_t limit = pages * (size_t)sysconf(_SC_PAGESIZE) + 2 * bytes + bytes / 2;
    assert_int_equal(setrlimit(RLIMIT_AS, &(struct rlimit){limit, before.rlim_max}), 0);
    nn_plan *plan = nn_compile(graph, .output = y, .batch = 1);
    assert_int_equal(setrlimit(RLIMIT_AS, &before), 0);
    assert_null(plan);
    assert_string_equal(descent_error(), "wide.weight: out of memory to initialize it");
    int count;
    const struct descent_param *param = nn_params(graph, &count);
    for (int i = 0; i < count; i++)
        assert_true(!param[i].value && !param[i].grad);
}

static void a_layer_more_changes_no_other_layers_weights(void **state)
{
    (void)state;
    nn_graph *larger = nn_graph_new(7);
    int count;
    nn_node *y = nn_dense(nn_input(graph, 4, 1, 1), 3, .name = "head");
    nn_node *z = nn_dense(nn_dense(nn_input(larger, 4, 1, 1), 4, .name = "body"), 3, .name = "head");
    nn_plan *a = nn_compile(graph, .output = y, .batch = 1),
            *b = nn_compile(larger, .output = z, .batch = 1);
    assert_true(a && b);
    assert_memory_equal(nn_params(graph, &count)[0].value, nn_params(larger, &count)[2].value,
                        12 * sizeof(float));
    nn_plan_free(a);
    nn_plan_free(b);
    nn_graph_free(larger);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(poisoned_graph_reports_first_error),
        TEST(every_bad_shape_is_said_in_the_users_words),
        TEST(parameters_need_names_of_their_own),
        TEST(shared_parameters_must_fit),
        TEST(frozen_parameters_get_no_gradient),
        TEST(a_step_refuses_what_does_not_fit_the_plan),
        TEST(parameter_may_be_made_from_any_node),
        TEST(output_is_found_through_many_diamonds),
        TEST(plan_beyond_any_memory_is_refused),
        TEST(backward_from_a_node_clears_what_lies_beyond),
        TEST(every_value_is_kept_for_whoever_asks),
        TEST(nodes_made_after_a_plan_are_not_its_own),
        TEST(the_first_value_that_is_not_finite_is_named),
        TEST(initializers_have_the_moments_of_their_formulas),
        TEST(orthogonal_matrices_are_orthogonal),
        TEST(parameters_that_cannot_be_initialized_are_nowhere),
        TEST(a_layer_more_changes_no_other_layers_weights),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
