/* What softmax, the losses and reshape promise beyond their gradients (gradcheck.c): PyTorch's numbers,
 * extreme logits, samples that ignore their batch, and errors in the user's words. */
#include "nn/op.h"
#include "tests/test.h"

#include <stdlib.h>

static void assert_near(double found, double expected, double tolerance)
{
    if (!(fabs(found - expected) <= tolerance))
        fail_msg("%.9g, expected %.9g within %g", found, expected, tolerance);
}

static nn_plan *compile(nn_graph *graph, nn_node *loss, int batch)
{
    nn_plan *plan =
        nn_compile(graph, .loss = loss, .batch = batch, .training = true, .input_gradients = true);
    if (!plan)
        fail_msg("%s", descent_error());
    return plan;
}

static void step(nn_plan *plan, int n)
{
    assert_int_equal(nn_forward(plan, n), DESCENT_OK);
    assert_int_equal(nn_backward(plan), DESCENT_OK);
}

/* The numbers are from tests/vectors/make_norms.py: loss and d loss / d x[1][2]. */
static void cross_entropy_equals_pytorch(void **state)
{
    static const struct {
        bool indices, weighted;
        double smoothing, loss, gradient;
    } expected[] = {
        {true, false, 0, 2.073918461, 0.214638087},  {true, false, 0.1, 2.082251795, 0.206304753},
        {true, true, 0, 2.835898941, 0.117075320},   {true, true, 0.1, 2.805323435, 0.109137592},
        {false, false, 0, 2.201329612, 0.172971420}, {false, false, 0.1, 2.196921830, 0.168804753},
        {false, true, 0, 2.534181576, 0.091060112},  {false, true, 0.1, 2.512693274, 0.085409755},
    };
    const int32_t labels[] = {2, 0, 3};
    float logits[3][4], probabilities[3][4];
    (void)state;
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 4; j++) {
            logits[i][j] = (float)((7 * i + 3 * j) % 5 - 2) + 0.25f * (float)i;
            probabilities[i][j] = (float)(1 + (i + j) % 3) / 8;
        }
    for (size_t k = 0; k < sizeof expected / sizeof *expected; k++) {
        float weights[] = {0.5, 1, 2, 0.25};
        nn_graph *graph = nn_graph_new(1);
        nn_node *x = nn_input(graph, 4, 1, 1);
        nn_node *target = expected[k].indices ? nn_labels(graph, 4) : nn_input(graph, 4, 1, 1);
        nn_node *loss = nn_softmax_cross_entropy(x, target, .label_smoothing = expected[k].smoothing,
                                                 .class_weights = expected[k].weighted ? weights : NULL);
        memset(weights, 0, sizeof weights); /* they were copied */
        nn_plan *plan = compile(graph, loss, 5);
        nn_feed(plan, x, logits);
        nn_feed(plan, target, expected[k].indices ? (const void *)labels : probabilities);
        step(plan, 3);
        assert_near(nn_loss(plan), expected[k].loss, 1e-6);
        assert_near((double)nn_gradient(plan, x)[6], expected[k].gradient, 1e-7);
        nn_plan_free(plan);
        nn_graph_free(graph);
    }
}

static void classes_of_no_weight_have_no_loss(void **state)
{
    (void)state;
    nn_graph *graph = nn_graph_new(1);
    nn_node *x = nn_input(graph, 2, 1, 1), *labels = nn_labels(graph, 2);
    nn_plan *plan =
        compile(graph, nn_softmax_cross_entropy(x, labels, .class_weights = (const float[]){0, 3}), 2);
    nn_feed(plan, x, (const float[]){1, 2, 2, 1});
    nn_feed(plan, labels, (const int32_t[]){0, 1});
    step(plan, 1);
    assert_near(nn_loss(plan), 0, 0);
    assert_near((double)nn_gradient(plan, x)[0], 0, 0);
    step(plan, 2); /* only the second sample counts */
    assert_near(nn_loss(plan), log(1 + exp(1)), 1e-6);
    nn_plan_free(plan);
    nn_graph_free(graph);
}

/* Where exp alone would overflow, and where a sum of all would lose the small ones. */
static void extreme_logits_have_finite_losses(void **state)
{
    (void)state;
    const float logits[] = {1e4f, -1e4f, 9999, 2e4f, 2e4f, -2e4f};
    const double softmax[] = {-0.3132617, 0, -1.3132617, -0.6931472, -0.6931472, 0};
    nn_graph *graph = nn_graph_new(1);
    nn_node *x = nn_input(graph, 3, 1, 1), *labels = nn_labels(graph, 3),
            *target = nn_input(graph, 3, 1, 1);
    nn_node *cross = nn_softmax_cross_entropy(x, labels), *binary = nn_binary_cross_entropy(x, target);
    nn_plan *plan = compile(graph, cross, 2);
    nn_feed(plan, x, logits);
    for (int label = 0; label < 3; label++) {
        nn_feed(plan, labels, (const int32_t[]){label, label});
        step(plan, 1);
        assert_near(nn_loss(plan), label == 1 ? 20000.31 : -softmax[label], label == 1 ? 1e-2 : 1e-6);
        for (int j = 0; j < 3; j++) {
            double p = j == 1 ? 0 : exp(softmax[j]);
            assert_near((double)nn_gradient(plan, x)[j], p - (j == label), 1e-6);
        }
    }
    nn_plan_free(plan);
    plan = compile(graph, binary, 2);
    nn_feed(plan, x, logits);
    nn_feed(plan, target, (const float[]){1, 0, 0, 0, 1, 1});
    step(plan, 2);
    assert_near(nn_loss(plan), (9999 + 2e4 + 2e4) / 6, 1e-2);
    const double slope[] = {0, 0, 1, 1, 0, -1};
    for (int i = 0; i < 6; i++)
        assert_near((double)nn_gradient(plan, x)[i], slope[i] / 6, 1e-7);
    nn_plan_free(plan);
    nn_graph_free(graph);
}

/* Classes that a network rules out by a logit of -infinity cost nothing as long as they are no target. */
static void masked_classes_have_no_share_in_the_loss(void **state)
{
    (void)state;
    for (int k = 0; k < 6; k++) { /* logits or log p; class indices or probabilities; fused or not */
        nn_graph *graph = nn_graph_new(1);
        nn_node *x = nn_input(graph, 3, 1, 1);
        nn_node *target = k % 2 ? nn_labels(graph, 3) : nn_input(graph, 3, 1, 1);
        nn_node *loss =
            k / 2 == 2 ? nn_negative_log_likelihood(x, target) : nn_softmax_cross_entropy(x, target);
        nn_plan *plan = nn_compile(graph, .loss = loss, .batch = 1, .training = true,
                                   .input_gradients = true, .without = k / 2 == 1 ? NN_WITHOUT_FUSION : 0);
        assert_non_null(plan);
        nn_feed(plan, x, (const float[]){-0.5f, -INFINITY, -0.5f});
        nn_feed(plan, target, k % 2 ? (const void *)(const int32_t[]){2} : (const float[]){0, 0, 1});
        step(plan, 1);
        assert_near(nn_loss(plan), k / 2 == 2 ? 0.5 : log(2), 1e-6);
        for (int j = 0; j < 3; j++)
            assert_near((double)nn_gradient(plan, x)[j], k / 2 == 2 ? -(j == 2) : (j != 1) * 0.5 - (j == 2),
                        1e-6);
        nn_plan_free(plan);
        nn_graph_free(graph);
    }
}

typedef nn_node *layer_function(nn_node *x);

static nn_node *flatten(nn_node *x)
{
    return nn_flatten(x);
}

static nn_node *reshape(nn_node *x)
{
    return nn_reshape(x, 11, .height = 13, .width = 34);
}

static nn_node *softmax(nn_node *x)
{
    return nn_softmax(x);
}

static nn_node *log_softmax(nn_node *x)
{
    return nn_log_softmax(x);
}

static nn_node *self_entropy(nn_node *x)
{
    nn_node *vector = nn_flatten(x);
    return nn_softmax_cross_entropy(vector, nn_softmax(vector), .label_smoothing = 0.1);
}

static nn_node *errors(nn_node *x)
{
    nn_node *target = nn_scale(x, -0.5);
    nn_node *sum = nn_add(nn_mean_squared_error(x, target), nn_huber(x, target, .delta = 0.3));
    return nn_add(sum, nn_binary_cross_entropy(x, target));
}

/* What a layer gives for a batch: y and, under the loss mean(y^2), dx. Both are the caller's. */
static void run(layer_function *layer, const float *x, int n, struct nn_shape in, float **y, float **dx)
{
    struct descent_pool *pool = descent_pool_new(n > 1 ? 2 : 1);
    nn_graph *graph = nn_graph_new(1);
    nn_node *input = nn_input(graph, in.channels, in.height, in.width), *out = layer(input);
    struct nn_shape shape = nn_shape_of(out);
    nn_node *zero = nn_scale(out, 0);
    nn_plan *plan = nn_compile(graph, .output = out, .loss = nn_mean_squared_error(out, zero), .batch = n,
                               .training = true, .pool = pool, .input_gradients = true);
    if (!plan)
        fail_msg("%s", descent_error());
    nn_feed(plan, input, x);
    assert_int_equal(nn_forward(plan, n), DESCENT_OK);
    assert_int_equal(nn_backward(plan, .scale = n), DESCENT_OK);
    size_t y_bytes = (size_t)(n * nn_size(shape)) * sizeof(float);
    size_t x_bytes = (size_t)(n * nn_size(in)) * sizeof(float);
    *y = malloc(y_bytes);
    *dx = malloc(x_bytes);
    assert_true(*y && *dx);
    memcpy(*y, nn_value(plan, out), y_bytes);
    memcpy(*dx, nn_gradient(plan, input), x_bytes);
    nn_plan_free(plan);
    nn_graph_free(graph);
    descent_pool_free(pool);
}

/* A batch large enough for several chunks, run by two threads, and one sample of it. */
static void a_sample_ignores_its_batch(void **state)
{
    layer_function *const layers[] = {flatten, reshape, softmax, log_softmax, self_entropy, errors};
    const struct nn_shape in = {17, 26, 11};
    const size_t size = (size_t)nn_size(in);
    enum { N = 11 };
    (void)state;
    struct descent_random random = descent_random_new(1, DESCENT_RANDOM_TEST, 1);
    float *x = malloc(N * size * sizeof *x);
    assert_non_null(x);
    for (size_t i = 0; i < N * size; i++)
        x[i] = 2 * (float)descent_random_normal(&random);
    for (size_t k = 0; k < sizeof layers / sizeof *layers; k++) {
        float *all_y, *all_dx;
        run(layers[k], x, N, in, &all_y, &all_dx);
        for (size_t s = 0; s < N; s++) {
            float *y, *dx;
            run(layers[k], x + s * size, 1, in, &y, &dx);
            size_t y_size = layers[k] == self_entropy || layers[k] == errors ? 1 : size;
            assert_memory_equal(y, all_y + s * y_size, y_size * sizeof *y);
            assert_memory_equal(dx, all_dx + s * size, size * sizeof *dx);
            free(y);
            free(dx);
        }
        free(all_y);
        free(all_dx);
    }
    free(x);
}

/* Values in CHW order are their own index. */
static void reshape_keeps_chw_order(void **state)
{
    (void)state;
    const struct nn_shape in = {17, 26, 11}, out = {11, 13, 34};
    enum { SIZE = 17 * 26 * 11 };
    static float x[SIZE];
    float *y, *dx;
    for (int i = 0; i < SIZE; i++)
        x[(i % (26 * 11)) * 17 + i / (26 * 11)] = (float)i;
    run(reshape, x, 1, in, &y, &dx);
    for (int i = 0; i < SIZE; i++)
        assert_true(y[(i % (13 * 34)) * out.channels + i / (13 * 34)] == (float)i);
    free(y);
    free(dx);
}

/* The output is the memory of the input, and there is nothing to move. */
static void reshape_of_the_same_channels_takes_no_memory(void **state)
{
    (void)state;
    nn_graph *graph = nn_graph_new(1);
    nn_node *y = nn_reshape(nn_input(graph, 3, 2, 6), 3, .height = 4, .width = 3);
    nn_plan *plan = nn_compile(graph, .output = y, .batch = 8);
    assert_non_null(plan);
    assert_int_equal(nn_plan_bytes(plan), 0);
    nn_plan_free(plan);
    nn_graph_free(graph);
}

static nn_node *bad(nn_graph *graph, int k)
{
    nn_node *x = nn_input(graph, 3, 1, 1), *image = nn_input(graph, 3, 2, 2),
            *pair = nn_input(graph, 2, 1, 1);
    nn_node *three = nn_labels(graph, 3), *four = nn_labels(graph, 4);
    const float negative[] = {1, -1, 1};
    switch (k) {
    case 0:
        return nn_negative_log_likelihood(image, three, .name = "bad");
    case 1:
        return nn_negative_log_likelihood(x, four, .name = "bad");
    case 2:
        return nn_negative_log_likelihood(x, pair, .name = "bad");
    case 3:
        return nn_negative_log_likelihood(x, three, .label_smoothing = 1.5, .name = "bad");
    case 4:
        return nn_negative_log_likelihood(x, three, .class_weights = negative, .name = "bad");
    case 5:
        return nn_mean_squared_error(x, three, .name = "bad");
    case 6:
        return nn_mean_squared_error(x, pair, .name = "bad");
    case 7:
        return nn_huber(x, x, .delta = -1, .name = "bad");
    default:
        return nn_reshape(image, 5, .name = "bad");
    }
}

static void bad_targets_are_errors_that_say_what_was_expected(void **state)
{
    const char *expected[] = {
        "negative_log_likelihood 'bad': 'input2' is 3 x 2 x 2; expected classes x 1 x 1",
        "negative_log_likelihood 'bad': 'labels2' has labels of 4 classes, 'input1' has 3",
        "negative_log_likelihood 'bad': probabilities 'input3' are 2 x 1 x 1, 'input1' is 3 x 1 x 1",
        "negative_log_likelihood 'bad': label smoothing 1.5; expected 0 to 1",
        "negative_log_likelihood 'bad': class weight 1 is -1; expected at least 0",
        "mean_squared_error 'bad': 'labels1' holds class indices, not numbers",
        "mean_squared_error 'bad': its target 'input3' is 2 x 1 x 1, 'input1' is 3 x 1 x 1",
        "huber 'bad': delta -1; expected more than 0",
        "reshape 'bad': 5 x 1 x 1 does not have the 12 elements of its 3 x 2 x 2 input",
    };
    (void)state;
    for (int k = 0; k < (int)(sizeof expected / sizeof *expected); k++) {
        nn_graph *graph = nn_graph_new(1);
        assert_null(nn_compile(graph, .output = bad(graph, k), .batch = 1));
        assert_string_equal(descent_error(), expected[k]);
        nn_graph_free(graph);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cross_entropy_equals_pytorch),
        cmocka_unit_test(classes_of_no_weight_have_no_loss),
        cmocka_unit_test(extreme_logits_have_finite_losses),
        cmocka_unit_test(masked_classes_have_no_share_in_the_loss),
        cmocka_unit_test(a_sample_ignores_its_batch),
        cmocka_unit_test(reshape_keeps_chw_order),
        cmocka_unit_test(reshape_of_the_same_channels_takes_no_memory),
        cmocka_unit_test(bad_targets_are_errors_that_say_what_was_expected),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
