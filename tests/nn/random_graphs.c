/* The planner against itself switched off: random networks give the same outputs, losses, gradients and
 * running statistics with buffer reuse, in-place operators and fusion in any combination, with every dead
 * buffer and every row past the batch NaN; and the same bits for any number of threads. */
#include "nn/graph.h"
#include "nn/op.h"
#include "tests/test.h"

#include <stdlib.h>

enum { GRAPHS = 500, LARGE_GRAPHS = 20, NODES = 48, CLASSES = 3, MOST_RESULTS = 1 << 20 };

struct network {
    struct descent_random random;
    nn_graph *graph;
    nn_node *made[NODES]; /* that others may be built on */
    int count;
    nn_node *labels, *output, *loss;
    int batch;
    bool input_gradients;
};

static nn_node *pick(struct network *net)
{
    return net->made[descent_random_below(&net->random, (uint64_t)net->count)];
}

/* A node that can stand beside x: of its shape or, with `channels` false, of its height and width. */
static nn_node *partner(struct network *net, const nn_node *x, bool channels)
{
    nn_node *y = pick(net);
    for (int tries = 0; tries < 20; tries++, y = pick(net))
        if (y->shape.height == x->shape.height && y->shape.width == x->shape.width &&
            (!channels || y->shape.channels == x->shape.channels))
            return y;
    return NULL;
}

/* Half of the time another layer of the operator `op` whose parameters fit x, if there is one, or NULL. */
static nn_node *sibling(struct network *net, const char *op, const nn_node *x)
{
    if (descent_random_below(&net->random, 2))
        return NULL;
    for (int i = 0; i < net->count; i++) {
        nn_node *y = net->made[i];
        if (!strcmp(y->op->name, op) && y->input[0]->shape.channels == x->shape.channels)
            return y;
    }
    return NULL;
}

static nn_node *convolution(struct network *net, nn_node *x)
{
    nn_node *share = sibling(net, "conv2d", x);
    if (share) {
        struct nn_conv2d_options o = *(const struct nn_conv2d_options *)share->options;
        o.x = x, o.share = share, o.name = NULL;
        return nn_build("conv2d", &o);
    }
    return nn_conv2d(x, nn_random_between(&net->random, 1, 9), .kernel = 3, .padding = 1);
}

static nn_node *dense(struct network *net, nn_node *x)
{
    nn_node *share = sibling(net, "dense", x);
    return nn_dense(x, share ? share->shape.channels : nn_random_between(&net->random, 1, 9),
                    .share = share);
}

static nn_node *activation(struct network *net, nn_node *x)
{
    static const char *const names[] = {"relu",    "relu", "relu", "relu",   "tanh",
                                        "sigmoid", "gelu", "elu",  "softmax"};
    uint64_t which = descent_random_below(&net->random, sizeof names / sizeof *names);
    return nn_build(names[which], &(struct nn_slope_options){.x = x});
}

static nn_node *view(struct network *net, nn_node *x)
{
    struct nn_shape s = x->shape;
    if (descent_random_below(&net->random, 2))
        return nn_flatten(x);
    return nn_reshape(x, s.channels, .height = s.height * s.width);
}

/* One more layer on some nodes, or NULL where it does not fit. */
static nn_node *layer(struct network *net)
{
    nn_node *x = pick(net), *other;
    struct nn_shape s = x->shape;
    switch (descent_random_below(&net->random, 14)) {
    case 0:
    case 1:
        return convolution(net, x);
    case 2:
    case 3:
        return activation(net, x);
    case 4:
        return nn_batch_norm(x);
    case 5:
    case 6:
        other = partner(net, x, true);
        return other ? nn_add(x, other) : NULL;
    case 7:
        other = partner(net, x, true);
        return other ? nn_multiply(nn_tanh(x), other) : NULL;
    case 8:
        other = partner(net, x, false);
        return other && s.channels < 30 ? nn_concat(x, other, x) : NULL;
    case 9:
        return s.height > 2 && s.width > 2 ? nn_max_pool2d(x, 2) : nn_global_avg_pool(x);
    case 10:
        return view(net, x);
    case 11:
        return dense(net, nn_flatten(x));
    case 12:
        return nn_add(x, nn_parameter(x, s.channels, .init = "normal:std=1"));
    default:
        return descent_random_below(&net->random, 2) ? nn_dropout(x, 0.3) : nn_scale(x, 0.7, .offset = 0.1);
    }
}

static nn_node *one_loss(struct network *net)
{
    nn_node *x = pick(net);
    if (descent_random_below(&net->random, 3) == 0)
        return nn_mean_squared_error(x, nn_same_shape(net->made[0]->shape, x->shape) ? net->made[0]
                                                                                     : nn_tanh(x));
    nn_node *logits = nn_dense(nn_flatten(x), CLASSES);
    if (descent_random_below(&net->random, 2))
        logits = nn_relu(logits);
    net->output = logits;
    return nn_softmax_cross_entropy(logits, net->labels);
}

/* The same network for the same seed. */
static struct network make_network(uint64_t seed, bool large)
{
    struct network net = {.random = descent_random_new(seed, DESCENT_RANDOM_TEST, large),
                          .graph = nn_graph_new(seed)};
    int side = large ? 16 : nn_random_between(&net.random, 1, 6),
        channels = nn_random_between(&net.random, 1, 6);
    net.made[net.count++] = nn_input(net.graph, channels, side, side);
    net.made[net.count++] = nn_input(net.graph, channels, side, side);
    net.labels = nn_labels(net.graph, CLASSES);
    for (int i = nn_random_between(&net.random, 3, large ? 8 : 16); i > 0; i--) {
        nn_node *node = layer(&net);
        if (node && net.count < NODES)
            net.made[net.count++] = node;
    }
    net.loss = one_loss(&net);
    for (int i = nn_random_between(&net.random, 0, 2); i > 0; i--)
        net.loss = nn_add(net.loss, nn_scale(one_loss(&net), 0.5));
    if (!net.output || descent_random_below(&net.random, 2))
        net.output = pick(&net);
    if (descent_random_below(&net.random, 2))
        nn_freeze(net.graph, "conv2d1.*");
    if (descent_random_below(&net.random, 4) == 0)
        nn_freeze(net.graph, "*weight");
    net.batch = large ? 24 : nn_random_between(&net.random, 1, 5);
    net.input_gradients = descent_random_below(&net.random, 2);
    return net;
}

struct results {
    float *number;
    int64_t count;
    double loss[2]; /* of each step */
};

static void append(struct results *results, const float *number, int64_t count)
{
    assert_true(results->count + count <= MOST_RESULTS);
    memcpy(results->number + results->count, number, (size_t)count * sizeof *number);
    results->count += count;
}

/* Rows past n hold NaN, and labels that do not exist. */
static void feed(nn_plan *plan, const struct network *net, int n, float *inputs[2], int32_t *labels)
{
    struct descent_random random = descent_random_new((uint64_t)n, DESCENT_RANDOM_TEST, 1);
    for (int k = 0; k < 2; k++) {
        int64_t size = nn_size(net->made[k]->shape);
        for (int64_t i = 0; i < net->batch * size; i++)
            inputs[k][i] = i < n * size ? (float)descent_random_normal(&random) : NAN;
        nn_feed(plan, net->made[k], inputs[k]);
    }
    for (int i = 0; i < net->batch; i++)
        labels[i] = i < n ? (int32_t)descent_random_below(&random, CLASSES) : -7;
    nn_feed(plan, net->labels, labels);
}

/* Two steps, the first of them short, of the network of this seed. */
static void run(uint64_t seed, bool large, unsigned without, struct descent_pool *pool,
                struct results *results)
{
    struct network net = make_network(seed, large);
    nn_plan *plan =
        nn_compile(net.graph, .output = net.output, .loss = net.loss, .batch = net.batch, .training = true,
                   .pool = pool, .input_gradients = net.input_gradients, .without = without | NN_POISON);
    if (!plan)
        fail_msg("graph %d: %s", (int)seed, descent_error());
    size_t room = (size_t)(net.batch * nn_size(net.made[0]->shape)) * sizeof(float);
    float *inputs[2] = {malloc(room), malloc(room)};
    int32_t labels[32];
    int count;
    struct descent_param *param = nn_params(net.graph, &count);
    results->count = 0;
    for (int step = 0; step < 2; step++) {
        int n = step ? net.batch : (net.batch + 1) / 2;
        feed(plan, &net, n, inputs, labels);
        assert_int_equal(nn_forward(plan, n), DESCENT_OK);
        append(results, nn_value(plan, net.output), n * nn_size(net.output->shape));
        results->loss[step] = nn_loss(plan);
        assert_int_equal(nn_backward(plan), DESCENT_OK);
        for (int k = 0; k < 2; k++)
            if (nn_gradient(plan, net.made[k]))
                append(results, nn_gradient(plan, net.made[k]), n * nn_size(net.made[k]->shape));
        for (int i = 0; i < count; i++)
            append(results, param[i].grad ? param[i].grad : param[i].value, param[i].size);
    }
    nn_plan_free(plan);
    nn_graph_free(net.graph);
    free(inputs[0]);
    free(inputs[1]);
}

static void make_results(struct results results[2])
{
    for (int i = 0; i < 2; i++) {
        results[i].number = malloc(MOST_RESULTS * sizeof(float));
        assert_non_null(results[i].number);
    }
}

static void assert_same_bits(const struct results *a, const struct results *b, int seed, unsigned without)
{
    bool same = a->count == b->count && a->loss[0] == b->loss[0] && a->loss[1] == b->loss[1];
    for (int64_t i = 0; i < a->count && same; i++)
        same = a->number[i] == b->number[i];
    if (!same)
        fail_msg("graph %d without %u: results differ", seed, without);
}

/* Fusion may round differently: within a few roundings of the largest number. */
static void assert_close(const struct results *a, const struct results *b, int seed, unsigned without)
{
    double largest = 1, worst = 0;
    assert_int_equal(a->count, b->count);
    for (int64_t i = 0; i < a->count; i++) {
        double difference = fabs((double)a->number[i] - (double)b->number[i]);
        largest = fmax(largest, fabs((double)b->number[i]));
        worst = difference <= worst ? worst : difference; /* NaN too */
    }
    if (!(worst <= 2e-5 * largest && fabs(a->loss[0] - b->loss[0]) <= 1e-5 * (1 + fabs(b->loss[0]))))
        fail_msg("graph %d without %u: results are off by %g, the largest is %g", seed, without, worst,
                 largest);
}

static void the_planners_savings_change_no_result(void **state)
{
    struct results results[2];
    (void)state;
    make_results(results);
    for (int seed = 0; seed < GRAPHS; seed++)
        for (unsigned fusion = 0; fusion <= NN_WITHOUT_FUSION; fusion += NN_WITHOUT_FUSION) {
            unsigned all = NN_WITHOUT_REUSE | NN_WITHOUT_IN_PLACE;
            run((uint64_t)seed, false, all | fusion, NULL, &results[0]);
            if (!fusion) {
                run((uint64_t)seed, false, all | NN_WITHOUT_FUSION, NULL, &results[1]);
                assert_close(&results[0], &results[1], seed, fusion);
            }
            for (unsigned without = 0; without < all; without++) {
                run((uint64_t)seed, false, without | fusion, NULL, &results[1]);
                assert_same_bits(&results[0], &results[1], seed, without | fusion);
            }
        }
    free(results[0].number);
    free(results[1].number);
}

/* The gradients of one step, on top of NaN or, cleared first, of zeros; with a parameter no plan reaches.
 */
static void run_cleared(int seed, bool first, struct results *results)
{
    struct network net = make_network((uint64_t)seed, false);
    nn_dense(nn_flatten(net.made[0]), 3, .name = "unreached");
    nn_plan *plan = nn_compile(net.graph, .loss = net.loss, .batch = net.batch, .training = true);
    if (!plan)
        fail_msg("graph %d: %s", seed, descent_error());
    size_t room = (size_t)(net.batch * nn_size(net.made[0]->shape)) * sizeof(float);
    float *inputs[2] = {malloc(room), malloc(room)};
    int32_t labels[32];
    int count;
    struct descent_param *param = nn_params(net.graph, &count);
    for (int i = 0; i < count; i++)
        for (int64_t k = 0; k < param[i].size && param[i].grad; k++)
            param[i].grad[k] = NAN;
    feed(plan, &net, net.batch, inputs, labels);
    assert_int_equal(nn_forward(plan, net.batch), DESCENT_OK);
    if (first)
        nn_clear_gradients(net.graph);
    assert_int_equal(first ? nn_backward(plan) : nn_backward(plan, .clear = true), DESCENT_OK);
    results->loss[0] = results->loss[1] = nn_loss(plan);
    results->count = 0;
    for (int i = 0; i < count; i++)
        if (param[i].grad)
            append(results, param[i].grad, param[i].size);
    nn_plan_free(plan);
    nn_graph_free(net.graph);
    free(inputs[0]);
    free(inputs[1]);
}

static void backward_may_clear_the_gradients_itself(void **state)
{
    struct results results[2];
    (void)state;
    make_results(results);
    for (int seed = 0; seed < GRAPHS; seed++) {
        run_cleared(seed, true, &results[0]);
        run_cleared(seed, false, &results[1]);
        assert_same_bits(&results[0], &results[1], seed, 0);
    }
    free(results[0].number);
    free(results[1].number);
}

static void threads_change_no_bit(void **state)
{
    struct results results[2];
    (void)state;
    make_results(results);
    for (int threads = 2; threads <= 3; threads++) {
        struct descent_pool *pool = descent_pool_new(threads);
        assert_non_null(pool);
        for (int seed = 0; seed < LARGE_GRAPHS; seed++) {
            run((uint64_t)seed, true, 0, NULL, &results[0]);
            run((uint64_t)seed, true, 0, pool, &results[1]);
            assert_same_bits(&results[0], &results[1], seed, 0);
        }
        descent_pool_free(pool);
    }
    free(results[0].number);
    free(results[1].number);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_planners_savings_change_no_result),
        cmocka_unit_test(backward_may_clear_the_gradients_itself),
        cmocka_unit_test(threads_change_no_bit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
