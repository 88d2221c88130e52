/* What batch_norm, layer_norm, group_norm and dropout promise beyond their gradients (gradcheck.c): large
 * means and batches, running statistics, the fused ReLU, masks, threads, and errors in the user's words. */
#include "nn/op.h"
#include "tests/test.h"

#include <stdlib.h>

/* y of one layer under the loss sum(weights y), with everything a test reads. */
struct network {
    nn_graph *graph;
    nn_node *x, *y, *weights, *loss;
    nn_plan *plan;
    struct descent_pool *pool;
    float *input, *weight;
    int n;
};

typedef nn_node *layer_function(nn_node *x);

static float *draw(int64_t count, uint64_t stream)
{
    struct descent_random random = descent_random_new(1, DESCENT_RANDOM_TEST, stream);
    float *number = malloc((size_t)count * sizeof *number);
    assert_non_null(number);
    for (int64_t i = 0; i < count; i++)
        number[i] = (float)descent_random_normal(&random);
    return number;
}

static struct network build(layer_function *layer, int n, struct nn_shape in, int threads, unsigned without)
{
    struct network net = {.graph = nn_graph_new(1), .pool = descent_pool_new(threads), .n = n};
    net.x = nn_input(net.graph, in.channels, in.height, in.width);
    net.y = layer(net.x);
    struct nn_shape out = nn_shape_of(net.y);
    net.weights = nn_input(net.graph, out.channels, out.height, out.width);
    net.loss = nn_dense(nn_flatten(nn_multiply(net.y, net.weights)), 1, .no_bias = true,
                        .init = "constant:1", .name = "sum");
    nn_freeze(net.graph, "sum*");
    net.plan = nn_compile(net.graph, .output = net.y, .loss = net.loss, .batch = n, .training = true,
                          .pool = net.pool, .input_gradients = true, .without = without);
    assert_non_null(net.plan);
    net.input = draw(n * nn_size(in), 1);
    net.weight = draw(n * nn_size(out), 2);
    nn_feed(net.plan, net.x, net.input);
    nn_feed(net.plan, net.weights, net.weight);
    int count;
    struct descent_param *param = nn_params(net.graph, &count);
    for (int i = 0; i < count; i++) {
        struct descent_random random = descent_random_new(i, DESCENT_RANDOM_TEST, 3);
        for (int64_t k = 0; k < param[i].size && param[i].kind == DESCENT_NORM; k++)
            param[i].value[k] += 0.5f * (float)descent_random_normal(&random);
        param[i].version++;
    }
    return net;
}

static void step(struct network *net, int n)
{
    nn_clear_gradients(net->graph);
    assert_int_equal(nn_forward(net->plan, n), DESCENT_OK);
    assert_int_equal(nn_backward(net->plan, .scale = n), DESCENT_OK);
}

static void release(struct network *net)
{
    nn_plan_free(net->plan);
    nn_graph_free(net->graph);
    descent_pool_free(net->pool);
    free(net->input);
    free(net->weight);
}

static const struct descent_param *param_of(const struct network *net, const char *name)
{
    int count;
    const struct descent_param *param = nn_params(net->graph, &count);
    for (int i = 0; i < count; i++)
        if (strstr(param[i].name, name))
            return &param[i];
    fail_msg("no parameter %s", name);
    return NULL;
}

static nn_node *batch_norm(nn_node *x)
{
    return nn_batch_norm(x);
}

static nn_node *layer_norm(nn_node *x)
{
    return nn_layer_norm(x);
}

static nn_node *group_norm(nn_node *x)
{
    return nn_group_norm(x, 2);
}

static nn_node *dropout(nn_node *x)
{
    return nn_dropout(x, 0.3);
}

static layer_function *const layers[] = {batch_norm, layer_norm, group_norm, dropout};
enum { LAYERS = sizeof layers / sizeof *layers };

static void assert_near(double found, double expected, double tolerance)
{
    if (!(fabs(found - expected) <= tolerance))
        fail_msg("%.9g, expected %.9g within %g", found, expected, tolerance);
}

/* y and dx of one channel, from the formulas in double precision. Deviation is about 1, whatever the mean.
 */
static void check_channel(const struct network *net, struct nn_shape in, int c)
{
    int64_t m = net->n * nn_space(in);
    const float *y = nn_value(net->plan, net->y), *dx = nn_gradient(net->plan, net->x);
    const struct descent_param *weight = param_of(net, "weight"), *bias = param_of(net, "bias");
    double scale = (double)weight->value[c], shift = (double)bias->value[c];
    double mean = 0, variance = 0, dshift = 0, dscale = 0;
    for (int64_t i = c; i < m * in.channels; i += in.channels)
        mean += (double)net->input[i] / (double)m;
    for (int64_t i = c; i < m * in.channels; i += in.channels)
        variance += pow((double)net->input[i] - mean, 2) / (double)m;
    double inverse = 1 / sqrt(variance + 1e-5);
    for (int64_t i = c; i < m * in.channels; i += in.channels) {
        double z = ((double)net->input[i] - mean) * inverse;
        dshift += (double)net->weight[i];
        dscale += (double)net->weight[i] * z;
    }
    assert_near((double)bias->grad[c], dshift, 3e-6 * (double)m);
    assert_near((double)weight->grad[c], dscale, 3e-6 * (double)m);
    for (int64_t i = c; i < m * in.channels; i += in.channels) {
        double z = ((double)net->input[i] - mean) * inverse, dy = (double)net->weight[i];
        assert_near((double)y[i], z * scale + shift, 2e-5 * (1 + fabs(z)));
        double expected = scale * inverse * (dy - dshift / (double)m - z * dscale / (double)m);
        assert_near((double)dx[i], expected, 2e-5 * (1 + fabs(z)));
    }
}

/* Several chunks, runs and pixels a row; channel c is centered on -(10^c) and starts with an outlier. */
static void batch_norm_of_large_means_and_batches_is_exact(void **state)
{
    (void)state;
    const struct nn_shape in = {5, 33, 21};
    struct network net = build(batch_norm, 41, in, 1, 0);
    for (int64_t i = 0; i < net.n * nn_size(in); i++) {
        net.weight[i] += 1 + net.input[i]; /* so that dshift and dscale are as large as can be */
        net.input[i] -= powf(10, (float)(i % in.channels));
    }
    for (int c = 0; c < in.channels; c++)
        net.input[c] += 50;
    step(&net, net.n);
    for (int c = 0; c < in.channels; c++)
        check_channel(&net, in, c);
    release(&net);
}

static void layer_norm_of_a_large_mean_is_exact(void **state)
{
    (void)state;
    enum { SIZE = 7001 };
    struct network net = build(layer_norm, 1, (struct nn_shape){SIZE, 1, 1}, 1, 0);
    double mean = 0, variance = 0, a = 0, b = 0;
    for (int i = 0; i < SIZE; i++) {
        net.weight[i] += 1 + net.input[i];
        net.input[i] -= 12345;
        mean += (double)net.input[i] / SIZE;
    }
    for (int i = 0; i < SIZE; i++)
        variance += pow((double)net.input[i] - mean, 2) / SIZE;
    step(&net, 1);
    const struct descent_param *scale = param_of(&net, "weight"), *shift = param_of(&net, "bias");
    double inverse = 1 / sqrt(variance + 1e-5);
    for (int i = 0; i < SIZE; i++) {
        double z = ((double)net.input[i] - mean) * inverse, dy = (double)net.weight[i];
        a += dy * (double)scale->value[i] / SIZE;
        b += dy * (double)scale->value[i] * z / SIZE;
        assert_near((double)nn_value(net.plan, net.y)[i],
                    z * (double)scale->value[i] + (double)shift->value[i], 2e-5);
        assert_near((double)shift->grad[i], dy, 1e-5);
        assert_near((double)scale->grad[i], dy * z, 1e-4);
    }
    for (int i = 0; i < SIZE; i++) {
        double z = ((double)net.input[i] - mean) * inverse;
        double g = (double)net.weight[i] * (double)scale->value[i];
        assert_near((double)nn_gradient(net.plan, net.x)[i], inverse * (g - a - z * b), 5e-5);
    }
    release(&net);
}

static void a_constant_channel_becomes_the_shift(void **state)
{
    (void)state;
    const struct nn_shape in = {3, 4, 5};
    struct network net = build(batch_norm, 7, in, 1, 0);
    for (int64_t i = 0; i < net.n * nn_size(in); i++)
        net.input[i] = 1234.567f;
    step(&net, net.n);
    for (int64_t i = 0; i < net.n * nn_size(in); i++)
        assert_near((double)nn_value(net.plan, net.y)[i],
                    (double)param_of(&net, "bias")->value[i % in.channels], 1e-6);
    release(&net);
}

static nn_node *momentum_of_three_tenths(nn_node *x)
{
    return nn_batch_norm(x, .momentum = 0.3);
}

static void check_running(const struct network *net, const double *mean, const double *variance)
{
    for (int c = 0; c < 2; c++) {
        assert_near((double)param_of(net, "running_mean")->value[c], mean[c], 1e-6);
        assert_near((double)param_of(net, "running_var")->value[c], variance[c], 2e-6);
    }
}

/* The numbers are from tests/vectors/make_norms.py. */
static void running_statistics_equal_pytorch(void **state)
{
    (void)state;
    const double mean[2][2] = {{0.75, 1.9}, {1.575, 3.13}}, variance[2][2] = {{2.23, 5.7}, {3.091, 9.27}};
    struct network net = build(momentum_of_three_tenths, 3, (struct nn_shape){2, 1, 2}, 1, 0);
    for (int s = 0; s < 2; s++) {
        for (int i = 0; i < 12; i++)
            net.input[i] = (float)((5 * (i / 4) + 3 * (i % 2) + 2 * (i / 2 % 2) + s) % 7 * (1 + i % 2));
        step(&net, 3);
        check_running(&net, mean[s], variance[s]);
    }
    nn_hold_statistics(net.plan, true);
    step(&net, 3);
    check_running(&net, mean[1], variance[1]);
    nn_plan *evaluation = nn_compile(net.graph, .output = net.y, .batch = 1);
    nn_feed(evaluation, net.x, net.input);
    assert_int_equal(nn_forward(evaluation, 1), DESCENT_OK);
    check_running(&net, mean[1], variance[1]);
    for (int i = 0; i < 4; i++) {
        int c = i % 2;
        double z = ((double)net.input[i] - mean[1][c]) / sqrt(variance[1][c] + 1e-5);
        assert_near((double)nn_value(evaluation, net.y)[i],
                    z * (double)param_of(&net, "weight")->value[c] +
                        (double)param_of(&net, "bias")->value[c],
                    1e-5);
    }
    nn_plan_free(evaluation);
    release(&net);
}

static void average_of_statistics_forgets_what_was_not_finite(void **state)
{
    (void)state;
    struct network net = build(momentum_of_three_tenths, 3, (struct nn_shape){2, 1, 2}, 1, 0);
    for (int i = 0; i < 12; i++)
        net.input[i] = (float)((5 * (i / 4) + 3 * (i % 2) + 2 * (i / 2 % 2)) % 7 * (1 + i % 2));
    for (int c = 0; c < 2; c++) {
        param_of(&net, "running_mean")->value[c] = c ? NAN : INFINITY;
        param_of(&net, "running_var")->value[c] = c ? INFINITY : NAN;
    }
    nn_average_statistics(net.plan, 1);
    step(&net, 3);
    check_running(&net, (const double[]){2.5, 19.0 / 3}, (const double[]){5.1, 50.0 / 3});
    release(&net);
}

static void one_number_a_channel_leaves_running_statistics_alone(void **state)
{
    (void)state;
    struct network net = build(batch_norm, 4, (struct nn_shape){2, 1, 1}, 1, 0);
    step(&net, 1);
    check_running(&net, (const double[]){0, 0}, (const double[]){1, 1});
    for (int c = 0; c < 2; c++) {
        assert_near((double)nn_value(net.plan, net.y)[c], (double)param_of(&net, "bias")->value[c], 1e-6);
        assert_near((double)nn_gradient(net.plan, net.x)[c], 0, 1e-4); /* of terms near 300 */
    }
    step(&net, 4);
    assert_true(param_of(&net, "running_var")->value[0] != 1);
    release(&net);
}

static nn_node *batch_norm_relu(nn_node *x)
{
    return nn_relu(nn_batch_norm(x));
}

static nn_node *layer_norm_relu(nn_node *x)
{
    return nn_relu(nn_layer_norm(x));
}

static nn_node *group_norm_relu(nn_node *x)
{
    return nn_relu(nn_group_norm(x, 2));
}

static void check_near(const float *a, const float *b, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        assert_near((double)a[i], (double)b[i], 1e-5 * (1 + fabs((double)b[i])));
}

static void fused_relu_equals_relu(void **state)
{
    (void)state;
    layer_function *const fused[] = {batch_norm_relu, layer_norm_relu, group_norm_relu};
    const struct nn_shape in = {6, 5, 7};
    for (int k = 0; k < 3; k++) {
        struct network a = build(fused[k], 9, in, 1, 0), b = build(fused[k], 9, in, 1, NN_WITHOUT_FUSION);
        int64_t count = 9 * nn_size(in);
        step(&a, 9);
        step(&b, 9);
        check_near(nn_value(a.plan, a.y), nn_value(b.plan, b.y), count);
        check_near(nn_gradient(a.plan, a.x), nn_gradient(b.plan, b.x), count);
        const char *names[] = {"weight", "bias"};
        for (int p = 0; p < 2; p++)
            check_near(param_of(&a, names[p])->grad, param_of(&b, names[p])->grad,
                       param_of(&a, names[p])->size);
        a.input[3] = NAN; /* a diverged run must not look healthy */
        step(&a, 9);
        assert_true(isnan(nn_value(a.plan, a.y)[3]));
        release(&a);
        release(&b);
    }
}

static void threads_do_not_change_a_bit(void **state)
{
    (void)state;
    const struct nn_shape in = {6, 24, 24};
    const int threads[] = {2, 3, 8};
    for (int k = 0; k < LAYERS; k++) {
        struct network one = build(layers[k], 40, in, 1, 0);
        size_t bytes = 40 * (size_t)nn_size(in) * sizeof(float);
        step(&one, 40);
        for (int t = 0; t < 3; t++) {
            struct network many = build(layers[k], 40, in, threads[t], 0);
            step(&many, 40);
            assert_memory_equal(nn_value(one.plan, one.y), nn_value(many.plan, many.y), bytes);
            assert_memory_equal(nn_gradient(one.plan, one.x), nn_gradient(many.plan, many.x), bytes);
            if (layers[k] != dropout)
                assert_memory_equal(param_of(&one, "weight")->grad, param_of(&many, "weight")->grad,
                                    (size_t)param_of(&one, "weight")->size * sizeof(float));
            release(&many);
        }
        release(&one);
    }
}

/* Also that chunks of samples add up their parameters' gradients. */
static void layer_and_group_norm_of_a_sample_ignore_its_batch(void **state)
{
    (void)state;
    const struct nn_shape in = {6, 24, 24};
    layer_function *const by_sample[] = {layer_norm, group_norm};
    for (int k = 0; k < 2; k++) {
        struct network all = build(by_sample[k], 40, in, 1, 0), one = build(by_sample[k], 1, in, 1, 0);
        size_t size = (size_t)nn_size(in);
        const struct descent_param *weight = param_of(&all, "weight");
        double *sum = calloc((size_t)weight->size, sizeof *sum);
        assert_non_null(sum);
        step(&all, 40);
        for (size_t s = 0; s < 40; s++) {
            nn_feed(one.plan, one.x, all.input + s * size);
            nn_feed(one.plan, one.weights, all.weight + s * size);
            step(&one, 1);
            assert_memory_equal(nn_value(one.plan, one.y), nn_value(all.plan, all.y) + s * size,
                                size * sizeof(float));
            assert_memory_equal(nn_gradient(one.plan, one.x), nn_gradient(all.plan, all.x) + s * size,
                                size * sizeof(float));
            for (int64_t i = 0; i < weight->size; i++)
                sum[i] += (double)param_of(&one, "weight")->grad[i];
        }
        for (int64_t i = 0; i < weight->size; i++)
            assert_near((double)weight->grad[i], sum[i], 1e-3);
        free(sum);
        release(&all);
        release(&one);
    }
}

static nn_node *two_dropouts(nn_node *x)
{
    return nn_concat(nn_dropout(x, 0.3), nn_dropout(x, 0.3));
}

/* How many of `count` elements are kept in both. */
static int kept(const float *a, const float *b, int count)
{
    int both = 0;
    for (int i = 0; i < count; i++)
        both += a[i] != 0 && b[i] != 0;
    return both;
}

static void dropout_masks_are_of_step_layer_and_element(void **state)
{
    (void)state;
    enum { N = 100, FEATURES = 101, COUNT = N * FEATURES };
    const double deviation = sqrt(0.7 * 0.3 * COUNT);
    struct network net = build(dropout, N, (struct nn_shape){FEATURES, 1, 1}, 1, 0);
    static float first[COUNT];
    step(&net, N);
    memcpy(first, nn_value(net.plan, net.y), sizeof first);
    assert_near(kept(first, first, COUNT), 0.7 * COUNT, 4 * deviation);
    for (int i = 0; i < COUNT; i++) {
        double factor = first[i] != 0 ? 1 / 0.7 : 0;
        assert_near((double)first[i], factor * (double)net.input[i], 1e-6 * fabs((double)first[i]));
        assert_near((double)nn_gradient(net.plan, net.x)[i], factor * (double)net.weight[i], 1e-5);
    }
    step(&net, N); /* another step */
    assert_near(kept(first, nn_value(net.plan, net.y), COUNT), 0.49 * COUNT, 4 * deviation);
    nn_set_step(net.plan, 0); /* the same, and a short batch of it */
    step(&net, 7);
    assert_memory_equal(nn_value(net.plan, net.y), first, 7 * FEATURES * sizeof(float));
    release(&net);

    net = build(two_dropouts, N, (struct nn_shape){FEATURES, 1, 1}, 1, 0);
    step(&net, N);
    const float *y = nn_value(net.plan, net.y);
    int both = 0;
    for (int s = 0; s < N; s++)
        both += kept(y + (ptrdiff_t)s * 2 * FEATURES, y + (ptrdiff_t)s * 2 * FEATURES + FEATURES, FEATURES);
    assert_near(both, 0.49 * COUNT, 4 * deviation);
    release(&net);
}

static nn_node *bad(nn_node *x, int k)
{
    switch (k) {
    case 0:
        return nn_batch_norm(x, .momentum = 1.5, .name = "bad");
    case 1:
        return nn_batch_norm(x, .eps = -1, .name = "bad");
    case 2:
        return nn_layer_norm(x, .eps = NAN, .name = "bad");
    case 3:
        return nn_group_norm(x, 4, .name = "bad");
    case 4:
        return nn_dropout(x, 1, .name = "bad");
    default:
        return nn_dropout(x, -0.1, .name = "bad");
    }
}

static void bad_options_are_errors_that_say_what_was_expected(void **state)
{
    const char *expected[] = {
        "batch_norm 'bad': momentum 1.5; expected more than 0 and at most 1",
        "batch_norm 'bad': eps -1; expected more than 0",
        "layer_norm 'bad': eps nan; expected more than 0",
        "group_norm 'bad': 4 groups of 6 channels; the one must divide the other",
        "dropout 'bad': rate 1; expected at least 0 and less than 1",
        "dropout 'bad': rate -0.1; expected at least 0 and less than 1",
    };
    (void)state;
    for (int k = 0; k < (int)(sizeof expected / sizeof *expected); k++) {
        nn_graph *graph = nn_graph_new(1);
        nn_node *y = bad(nn_input(graph, 6, 2, 2), k);
        assert_null(nn_compile(graph, .output = y, .batch = 1));
        assert_string_equal(descent_error(), expected[k]);
        nn_graph_free(graph);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batch_norm_of_large_means_and_batches_is_exact),
        cmocka_unit_test(layer_norm_of_a_large_mean_is_exact),
        cmocka_unit_test(a_constant_channel_becomes_the_shift),
        cmocka_unit_test(running_statistics_equal_pytorch),
        cmocka_unit_test(average_of_statistics_forgets_what_was_not_finite),
        cmocka_unit_test(one_number_a_channel_leaves_running_statistics_alone),
        cmocka_unit_test(fused_relu_equals_relu),
        cmocka_unit_test(threads_do_not_change_a_bit),
        cmocka_unit_test(layer_and_group_norm_of_a_sample_ignore_its_batch),
        cmocka_unit_test(dropout_masks_are_of_step_layer_and_element),
        cmocka_unit_test(bad_options_are_errors_that_say_what_was_expected),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
