/* The objective over a network (train/objective.h), against finite differences of outputs and losses,
 * against what can be computed directly, and against itself. */
#include "train/objective.h"

#include "base/random.h"
#include "tests/test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    BATCH = 6,
    CHANNELS = 2,
    SIDE = 5,
    CLASSES = 4,
    IMAGE = CHANNELS * SIDE * SIDE,
    MOST = 400,
    PARAMS = 12
};

enum shape { SMOOTH, DROPOUT, NORMALIZED, POOLED, SQUARED /* SMOOTH, with that loss */ };

struct net {
    nn_graph *graph;
    enum shape shape;
    nn_node *x, *target, *logits;
    nn_plan *plan;
    float image[BATCH * IMAGE];
    int32_t label[BATCH];
    float number[BATCH * CLASSES]; /* targets of SQUARED */
    struct descent_param *param;
    int count, samples, passes; /* samples: of the mini-batch, in equal passes */
    struct objective *objective;
    const struct optim_objective *served;
    float memory[2][MOST];
    float *v[PARAMS], *product[PARAMS];
};

static nn_node *build(struct net *net, enum shape shape)
{
    if (shape == POOLED)
        return nn_global_avg_pool(nn_conv2d(net->x, CLASSES, .kernel = 2, .stride = 2, .padding = 1));
    nn_node *h = nn_tanh(nn_conv2d(net->x, 3, .kernel = 2, .stride = 3, .padding = 1));
    if (shape == NORMALIZED)
        h = nn_batch_norm(h);
    h = nn_tanh(nn_dense(nn_flatten(h), 5));
    if (shape == DROPOUT)
        h = nn_dropout(h, 0.5);
    return nn_dense(h, CLASSES);
}

static enum descent_status feed(void *context, int pass, int *n)
{
    struct net *net = context;
    *n = net->samples / net->passes;
    nn_feed(net->plan, net->x, net->image + pass * *n * IMAGE);
    if (net->shape == SQUARED)
        nn_feed(net->plan, net->target, net->number + pass * *n * CLASSES);
    else
        nn_feed(net->plan, net->target, net->label + pass * *n);
    return DESCENT_OK;
}

/* The training passes of a step. */
static double train(struct net *net)
{
    double loss = 0;
    objective_begin(net->objective);
    for (int pass = 0; pass < net->passes; pass++) {
        int n;
        feed(net, pass, &n);
        assert_int_equal(nn_forward(net->plan, n), DESCENT_OK);
        loss += nn_loss(net->plan) * n;
        assert_int_equal(nn_backward(net->plan, .scale = n / (double)net->samples, .clear = pass == 0),
                         DESCENT_OK);
    }
    loss /= net->samples;
    objective_end(net->objective, net->passes, net->samples, loss);
    return loss;
}

static struct net *net_new(enum shape shape, int samples, int passes)
{
    struct net *net = calloc(1, sizeof *net);
    struct descent_random random = descent_random_new(7, DESCENT_RANDOM_TEST, 0);
    assert_non_null(net);
    net->shape = shape;
    net->samples = samples;
    net->passes = passes;
    for (int i = 0; i < BATCH * IMAGE; i++)
        net->image[i] = (float)descent_random_normal(&random);
    for (int i = 0; i < BATCH; i++)
        net->label[i] = (int32_t)descent_random_below(&random, CLASSES);
    for (int i = 0; i < BATCH * CLASSES; i++)
        net->number[i] = (float)descent_random_normal(&random);
    net->graph = nn_graph_new(3);
    net->x = nn_input(net->graph, CHANNELS, SIDE, SIDE);
    net->logits = build(net, shape);
    bool squared = shape == SQUARED;
    net->target = squared ? nn_input(net->graph, CLASSES, 1, 1) : nn_labels(net->graph, CLASSES);
    net->plan = nn_compile(net->graph, .output = net->logits,
                           .loss = squared ? nn_mean_squared_error(net->logits, net->target)
                                           : nn_softmax_cross_entropy(net->logits, net->target),
                           .batch = samples / passes, .training = true, .without = NN_POISON);
    if (!net->plan)
        fail_msg("%s", descent_error());
    net->param = nn_params(net->graph, &net->count);
    assert_in_range(net->count, 1, PARAMS);
    int64_t at = 0;
    for (int i = 0; i < net->count; i++) {
        if (!net->param[i].grad)
            continue;
        net->v[i] = net->memory[0] + at;
        net->product[i] = net->memory[1] + at;
        at += net->param[i].size;
    }
    assert_in_range(at, 1, MOST);
    net->objective =
        objective_new(&(struct objective_options){.graph = net->graph,
                                                  .plan = net->plan,
                                                  .output = net->logits,
                                                  .loss = squared ? OBJECTIVE_SQUARED : OBJECTIVE_SOFTMAX,
                                                  .batch = samples / passes,
                                                  .seed = 1,
                                                  .needs = ~0U,
                                                  .feed = feed,
                                                  .context = net});
    assert_non_null(net->objective);
    net->served = objective_served(net->objective);
    train(net);
    return net;
}

static void net_free(struct net *net)
{
    objective_free(net->objective);
    nn_plan_free(net->plan);
    nn_graph_free(net->graph);
    free(net);
}

static void random_vector(struct net *net, uint64_t which)
{
    struct descent_random random = descent_random_new(8, DESCENT_RANDOM_TEST, which);
    for (int k = 0; k < MOST; k++)
        net->memory[0][k] = (float)descent_random_normal(&random);
}

/* values += h v */
static void shift(struct net *net, double h)
{
    for (int i = 0; i < net->count; i++)
        for (int64_t k = 0; k < net->param[i].size && net->v[i]; k++)
            net->param[i].value[k] += (float)h * net->v[i][k];
    for (int i = 0; i < net->count; i++)
        net->param[i].version++;
}

static double dot(const struct net *net, float *const *a, float *const *b)
{
    double sum = 0;
    for (int i = 0; i < net->count; i++)
        for (int64_t k = 0; k < net->param[i].size && a[i]; k++)
            sum += (double)a[i][k] * (double)b[i][k];
    return sum;
}

/* A copy of everything that must not change. */
static void copy(const struct net *net, float *to)
{
    for (int i = 0; i < net->count; i++) {
        size_t bytes = (size_t)net->param[i].size * sizeof *to;
        memcpy(to, net->param[i].value, bytes);
        to += net->param[i].size;
        if (net->param[i].grad)
            memcpy(to, net->param[i].grad, bytes);
        to += net->param[i].size;
    }
}

static void evaluating_again_gives_the_same_bits(void **state)
{
    static const enum shape shapes[] = {SMOOTH, DROPOUT, NORMALIZED};
    (void)state;
    for (int i = 0; i < 3; i++)
        for (int passes = 1; passes <= 2; passes++) {
            struct net *net = net_new(shapes[i], BATCH, passes);
            float before[2 * MOST] = {0}, after[2 * MOST] = {0};
            double loss, again, third, trained = train(net);
            uint64_t next = nn_step(net->plan);
            copy(net, before);
            assert_int_equal(net->served->loss(net->objective, &loss), DESCENT_OK);
            assert_int_equal(net->served->evaluate(net->objective, &again), DESCENT_OK);
            assert_int_equal(net->served->evaluate(net->objective, &third), DESCENT_OK);
            copy(net, after);
            assert_true(loss == trained && again == trained && third == trained);
            assert_memory_equal(before, after, sizeof before);
            assert_int_equal(nn_step(net->plan), next);
            if (shapes[i] == DROPOUT) /* the next step has other masks */
                assert_true(train(net) != trained);
            net_free(net);
        }
}

static void products_leave_values_and_gradients_alone(void **state)
{
    (void)state;
    struct net *net = net_new(NORMALIZED, BATCH, 2);
    float before[2 * MOST] = {0}, after[2 * MOST] = {0};
    struct optim_layer layer;
    float a[MOST], s[MOST];
    copy(net, before);
    random_vector(net, 1);
    const float *const *v = (const float *const *)net->v;
    assert_int_equal(net->served->hessian_vector(net->objective, v, net->product), DESCENT_OK);
    assert_int_equal(net->served->gauss_newton_vector(net->objective, v, net->product), DESCENT_OK);
    assert_int_equal(net->served->layer_factors(net->objective, 0, &layer, a, s), DESCENT_OK);
    copy(net, after);
    assert_memory_equal(before, after, sizeof before);
    memset(net->memory[0], 0, sizeof net->memory[0]);
    assert_int_equal(net->served->hessian_vector(net->objective, v, net->product), DESCENT_OK);
    assert_true(dot(net, net->product, net->product) == 0);
    net->memory[1][0] = 1;
    assert_int_equal(net->served->gauss_newton_vector(net->objective, v, net->product), DESCENT_OK);
    assert_true(dot(net, net->product, net->product) == 0);
    net_free(net);
}

/* v'Hv against second differences of the loss, and H v against w'Hv = v'Hw. */
static void hessian_products_are_second_differences_of_the_loss(void **state)
{
    (void)state;
    for (int k = 0; k < 4; k++) {
        struct net *net = net_new(k < 2 ? SMOOTH : SQUARED, BATCH, 1 + k % 2);
        const float *const *v = (const float *const *)net->v;
        for (uint64_t i = 0; i < 5; i++) {
            double loss, up, down, h = 0.02;
            float first[MOST], product[MOST];
            random_vector(net, i);
            assert_int_equal(net->served->hessian_vector(net->objective, v, net->product), DESCENT_OK);
            double curvature = dot(net, net->v, net->product), size = sqrt(dot(net, net->v, net->v));
            h /= size / 10;
            net->served->evaluate(net->objective, &loss);
            shift(net, h);
            net->served->evaluate(net->objective, &up);
            shift(net, -2 * h);
            net->served->evaluate(net->objective, &down);
            shift(net, h);
            double expected = (up - 2 * loss + down) / (h * h);
            if (!(fabs(curvature - expected) < 0.04 * fabs(expected) + 2e-7 / (h * h)))
                fail_msg("v'Hv is %g, not %g", curvature, expected);
            memcpy(first, net->memory[0], sizeof first);
            memcpy(product, net->memory[1], sizeof product);
            random_vector(net, i + 100);
            assert_int_equal(net->served->hessian_vector(net->objective, v, net->product), DESCENT_OK);
            double one = 0, other = 0, scale = 0;
            for (int k = 0; k < MOST; k++) {
                one += (double)first[k] * (double)net->memory[1][k];
                other += (double)product[k] * (double)net->memory[0][k];
                scale += fabs((double)product[k] * (double)net->memory[0][k]);
            }
            assert_true(fabs(one - other) < 2e-3 * scale);
        }
        net_free(net);
    }
}

/* The outputs of the whole mini-batch at the current values. */
static void outputs(struct net *net, double *to)
{
    nn_hold_statistics(net->plan, true);
    for (int pass = 0; pass < net->passes; pass++) {
        int n;
        feed(net, pass, &n);
        assert_int_equal(nn_forward(net->plan, n), DESCENT_OK);
        for (int k = 0; k < n * CLASSES; k++)
            *to++ = (double)nn_value(net->plan, net->logits)[k];
    }
    nn_hold_statistics(net->plan, false);
}

/* The Hessian of a sample's loss in its outputs: of softmax cross-entropy diag(p) - p p', of the mean of
 * squares 2 / outputs. */
static void loss_hessian(const struct net *net, const double *logits, double (*hessian)[CLASSES])
{
    double p[CLASSES], sum = 0;
    for (int c = 0; c < CLASSES; c++)
        sum += p[c] = exp(logits[c]);
    for (int c = 0; c < CLASSES; c++)
        for (int d = 0; d < CLASSES; d++)
            hessian[c][d] = net->shape == SQUARED ? (c == d) * 2.0 / CLASSES
                                                  : (c == d) * p[c] / sum - p[c] / sum * p[d] / sum;
}

/* G = J'LJ / samples with J by differences, a column a parameter. */
static void gauss_newton_matrix(struct net *net, double (*g)[MOST])
{
    static double jacobian[MOST][BATCH * CLASSES];
    double up[BATCH * CLASSES], down[BATCH * CLASSES], at[BATCH * CLASSES];
    const double h = 1e-2;
    outputs(net, at);
    memset(net->memory[0], 0, sizeof net->memory[0]);
    for (int k = 0; k < MOST; k++) {
        net->memory[0][k] = 1;
        shift(net, h);
        outputs(net, up);
        shift(net, -2 * h);
        outputs(net, down);
        shift(net, h);
        net->memory[0][k] = 0;
        for (int o = 0; o < net->samples * CLASSES; o++)
            jacobian[k][o] = (up[o] - down[o]) / (2 * h);
    }
    memset(g, 0, MOST * sizeof *g);
    for (int i = 0; i < net->samples; i++) {
        double hessian[CLASSES][CLASSES], lj[CLASSES][MOST] = {{0}};
        loss_hessian(net, at + i * CLASSES, hessian);
        for (int c = 0; c < CLASSES; c++)
            for (int k = 0; k < MOST; k++)
                for (int d = 0; d < CLASSES; d++)
                    lj[c][k] += hessian[c][d] * jacobian[k][i * CLASSES + d];
        for (int k = 0; k < MOST; k++)
            for (int l = 0; l < MOST; l++)
                for (int c = 0; c < CLASSES; c++)
                    g[k][l] += jacobian[k][i * CLASSES + c] * lj[c][l] / net->samples;
    }
}

static double matrix[MOST][MOST];

static void gauss_newton_products_are_those_of_the_matrix(void **state)
{
    static const enum shape shapes[] = {SMOOTH, NORMALIZED, SQUARED};
    (void)state;
    for (int s = 0; s < 3; s++)
        for (int passes = 1; passes <= 2; passes++) {
            struct net *net = net_new(shapes[s], BATCH, passes);
            gauss_newton_matrix(net, matrix);
            random_vector(net, 5);
            assert_int_equal(net->served->gauss_newton_vector(net->objective, (const float *const *)net->v,
                                                              net->product),
                             DESCENT_OK);
            double off = 0, size = 0;
            for (int k = 0; k < MOST; k++) {
                double expected = 0;
                for (int l = 0; l < MOST; l++)
                    expected += matrix[k][l] * (double)net->memory[0][l];
                off += pow((double)net->memory[1][k] - expected, 2);
                size += expected * expected;
            }
            if (!(sqrt(off / size) < 3e-3))
                fail_msg("G v is off by %g", sqrt(off / size));
            net_free(net);
        }
}

/* Of gradients on labels drawn from the model the mean is 0, and E[(g'v)^2] samples = v'Gv. */
static void sampled_gradients_have_the_fisher_matrix(void **state)
{
    enum { DRAWS = 3000 };
    (void)state;
    for (int k = 0; k < 4; k++) {
        struct net *net = net_new(k < 2 ? SMOOTH : SQUARED, BATCH, 1 + k % 2);
        double mean = 0, square = 0, batch, expected;
        float *grad[PARAMS];
        random_vector(net, 9);
        for (int i = 0; i < net->count; i++)
            grad[i] = net->param[i].grad;
        assert_int_equal(
            net->served->gauss_newton_vector(net->objective, (const float *const *)net->v, net->product),
            DESCENT_OK);
        expected = dot(net, net->v, net->product);
        for (int i = 0; i < DRAWS; i++) {
            train(net);
            assert_int_equal(net->served->sampled_gradient(net->objective, &batch), DESCENT_OK);
            double along = dot(net, net->v, grad);
            mean += along / DRAWS;
            square += along * along / DRAWS;
        }
        assert_true(batch == BATCH);
        assert_true(fabs(mean) < 4 * sqrt(expected / BATCH / DRAWS));
        if (!(fabs(square * BATCH / expected - 1) < 0.1))
            fail_msg("E[(g'v)^2] %d is %g, v'Gv %g", BATCH, square * BATCH, expected);
        net_free(net);
    }
}

/* With one sample and one position S = g g', where g is the bias's gradient on the same label, and the
 * weight's is g a'. */
static void check_factors_of_one_sample(enum shape shape)
{
    struct net *net = net_new(shape, 1, 1);
    struct optim_layer layer;
    static float a[3][MOST], s[3][MOST];
    double batch;
    for (int i = 0; i < 3; i++)
        assert_int_equal(net->served->layer_factors(net->objective, i, &layer, a[i], s[i]), DESCENT_OK);
    assert_int_equal(net->served->layer_factors(net->objective, 3, &layer, NULL, NULL), DESCENT_NOT_FOUND);
    assert_int_equal(net->served->sampled_gradient(net->objective, &batch), DESCENT_OK);
    for (int i = 1; i < 3; i++) {
        assert_int_equal(net->served->layer_factors(net->objective, i, &layer, NULL, NULL), DESCENT_OK);
        const struct descent_param *w = &net->param[layer.weight], *b = &net->param[layer.bias];
        assert_int_equal(layer.inputs, w->shape[1] + 1);
        assert_int_equal(layer.outputs, w->shape[0]);
        assert_true(a[i][layer.inputs * layer.inputs - 1] == 1);
        for (int64_t k = 0; k < layer.outputs; k++)
            for (int64_t l = 0; l < layer.outputs; l++)
                assert_true(fabs((double)(s[i][k * layer.outputs + l] - b->grad[k] * b->grad[l])) < 1e-6);
        for (int64_t k = 0; k < layer.outputs; k++)
            for (int64_t j = 0; j < layer.inputs - 1; j++) {
                double input = (double)a[i][j * layer.inputs + layer.inputs - 1]; /* times the 1 */
                assert_true(fabs((double)w->grad[k * w->shape[1] + j] - (double)b->grad[k] * input) < 1e-6);
            }
    }
    net_free(net);
}

static void factors_of_one_sample_are_those_of_its_gradient(void **state)
{
    (void)state;
    check_factors_of_one_sample(SMOOTH);
    check_factors_of_one_sample(SQUARED);
}

/* A convolution that makes the logits, meaned over positions: g is the bias's gradient / P at each, so that
 * S = g g' / P; A is computed here from the image. */
static void factors_of_a_convolution_are_sums_over_positions(void **state)
{
    enum { KERNEL = 2, OUT = 3, POSITIONS = OUT * OUT, INPUTS = CHANNELS * KERNEL * KERNEL + 1 };
    (void)state;
    struct net *net = net_new(POOLED, 1, 1);
    struct optim_layer layer;
    float a[INPUTS * INPUTS], s[CLASSES * CLASSES];
    double expected[INPUTS][INPUTS] = {{0}}, batch;
    assert_int_equal(net->served->layer_factors(net->objective, 0, &layer, a, s), DESCENT_OK);
    assert_int_equal(layer.inputs, INPUTS);
    assert_int_equal(layer.outputs, CLASSES);
    for (int at = 0; at < POSITIONS; at++) {
        double row[INPUTS] = {[INPUTS - 1] = 1};
        for (int k = 0; k < INPUTS - 1; k++) {
            int channel = k / (KERNEL * KERNEL), y = at / OUT * 2 + k / KERNEL % KERNEL - 1,
                x = at % OUT * 2 + k % KERNEL - 1;
            bool inside = x >= 0 && y >= 0 && x < SIDE && y < SIDE;
            row[k] = inside ? (double)net->image[(y * SIDE + x) * CHANNELS + channel] : 0;
        }
        for (int i = 0; i < INPUTS; i++)
            for (int j = 0; j < INPUTS; j++)
                expected[i][j] += row[i] * row[j] / POSITIONS;
    }
    for (int i = 0; i < INPUTS; i++)
        for (int j = 0; j < INPUTS; j++)
            assert_true(fabs((double)a[i * INPUTS + j] - expected[i][j]) < 1e-5);
    assert_int_equal(net->served->sampled_gradient(net->objective, &batch), DESCENT_OK);
    const float *g = net->param[layer.bias].grad;
    for (int i = 0; i < CLASSES; i++)
        for (int j = 0; j < CLASSES; j++)
            assert_true(fabs((double)(s[i * CLASSES + j] - g[i] * g[j] / POSITIONS)) < 1e-6);
    net_free(net);
}

/* Factors of a mini-batch are means over its samples, however it is cut in passes. */
static void passes_make_no_difference(void **state)
{
    (void)state;
    struct net *whole = net_new(SMOOTH, BATCH, 1), *cut = net_new(SMOOTH, BATCH, 3);
    struct optim_layer layer;
    float a[2][MOST], unused[MOST];
    assert_int_equal(whole->served->layer_factors(whole->objective, 0, &layer, a[0], unused), DESCENT_OK);
    assert_int_equal(cut->served->layer_factors(cut->objective, 0, &layer, a[1], unused), DESCENT_OK);
    for (int64_t k = 0; k < layer.inputs * layer.inputs; k++)
        assert_true(fabs((double)(a[0][k] - a[1][k])) < 1e-5);
    random_vector(whole, 1);
    random_vector(cut, 1);
    whole->served->hessian_vector(whole->objective, (const float *const *)whole->v, whole->product);
    cut->served->hessian_vector(cut->objective, (const float *const *)cut->v, cut->product);
    double size = dot(whole, whole->product, whole->product),
           inner = dot(whole, whole->product, cut->product);
    assert_true(fabs(inner / size - 1) < 1e-3);
    net_free(whole);
    net_free(cut);
}

/* One pass of a network of one layer. */
struct large {
    int samples;
    nn_plan *plan;
    const nn_node *x, *labels;
    const float *image;
    const int32_t *label;
};

static enum descent_status feed_large(void *context, int pass, int *n)
{
    const struct large *large = context;
    (void)pass;
    *n = large->samples;
    nn_feed(large->plan, large->x, large->image);
    nn_feed(large->plan, large->labels, large->label);
    return DESCENT_OK;
}

/* A convolution with groups, a layer used twice and a frozen one have no factors: whoever asks for them
 * steps these by other means. What is left is found, whatever stands around it. */
static void layers_without_factors_are_left_out(void **state)
{
    (void)state;
    nn_graph *graph = nn_graph_new(1);
    nn_node *x = nn_input(graph, 4, 4, 4),
            *h = nn_conv2d(x, 4, .kernel = 3, .groups = 2, .name = "grouped");
    h = nn_dense(nn_flatten(h), 5, .name = "frozen");
    nn_node *twice = nn_dense(h, 5, .name = "shared");
    h = nn_tanh(nn_dense(nn_tanh(twice), 5, .share = twice));
    nn_node *y = nn_dense(h, 3, .name = "plain"), *labels = nn_labels(graph, 3);
    nn_freeze(graph, "frozen*");
    nn_plan *plan = nn_compile(graph, .output = y, .loss = nn_softmax_cross_entropy(y, labels), .batch = 2,
                               .training = true);
    assert_non_null(plan);
    struct objective *objective = objective_new(&(struct objective_options){
        .graph = graph, .plan = plan, .output = y, .batch = 2, .needs = OPTIM_NEEDS_LAYER_FACTORS});
    assert_non_null(objective);
    const struct optim_objective *served = objective_served(objective);
    struct optim_layer layer;
    int count;
    assert_int_equal(served->layer_factors(objective, 0, &layer, NULL, NULL), DESCENT_OK);
    assert_string_equal(nn_params(graph, &count)[layer.weight].name, "plain.weight");
    assert_int_equal(served->layer_factors(objective, 1, &layer, NULL, NULL), DESCENT_NOT_FOUND);
    objective_free(objective);
    nn_plan_free(plan);
    nn_graph_free(graph);
}

/* Factors of a layer large enough for several chunks and batches of rows are the sums they are said to be,
 * with the same bits for any number of threads. */
static void large_factors_are_sums_over_rows_for_any_number_of_threads(void **state)
{
    enum { INPUTS = 70, OUTPUTS = 40, SAMPLES = 300 };
    static float image[SAMPLES * INPUTS], a[4][(INPUTS + 1) * (INPUTS + 1)], s[4][OUTPUTS * OUTPUTS];
    static int32_t label[SAMPLES];
    struct descent_random random = descent_random_new(4, DESCENT_RANDOM_TEST, 0);
    (void)state;
    for (int i = 0; i < SAMPLES * INPUTS; i++)
        image[i] = (float)descent_random_normal(&random);
    for (int threads = 1; threads <= 3; threads++) {
        struct descent_pool *pool = descent_pool_new(threads);
        nn_graph *graph = nn_graph_new(1);
        nn_node *x = nn_input(graph, INPUTS, 1, 1), *y = nn_dense(x, OUTPUTS),
                *labels = nn_labels(graph, OUTPUTS);
        nn_plan *plan = nn_compile(graph, .output = y, .loss = nn_softmax_cross_entropy(y, labels),
                                   .batch = SAMPLES, .training = true, .pool = pool);
        assert_true(plan && pool);
        struct large large = {SAMPLES, plan, x, labels, image, label};
        struct objective *objective =
            objective_new(&(struct objective_options){.graph = graph,
                                                      .plan = plan,
                                                      .output = y,
                                                      .batch = SAMPLES,
                                                      .needs = OPTIM_NEEDS_LAYER_FACTORS,
                                                      .pool = pool,
                                                      .feed = feed_large,
                                                      .context = &large});
        assert_non_null(objective);
        objective_begin(objective);
        objective_end(objective, 1, SAMPLES, 0);
        struct optim_layer layer;
        assert_int_equal(
            objective_served(objective)->layer_factors(objective, 0, &layer, a[threads], s[threads]),
            DESCENT_OK);
        assert_memory_equal(a[threads], a[1], sizeof a[1]);
        assert_memory_equal(s[threads], s[1], sizeof s[1]);
        objective_free(objective);
        nn_plan_free(plan);
        nn_graph_free(graph);
        descent_pool_free(pool);
    }
    for (int i = 0; i <= INPUTS; i++)
        for (int j = 0; j <= INPUTS; j++) {
            double sum = 0;
            for (int k = 0; k < SAMPLES; k++)
                sum += (i < INPUTS ? (double)image[k * INPUTS + i] : 1) *
                       (j < INPUTS ? (double)image[k * INPUTS + j] : 1) / SAMPLES;
            assert_float_equal(a[1][i * (INPUTS + 1) + j], sum, 1e-5);
        }
    double trace = 0;
    for (int i = 0; i < OUTPUTS; i++) {
        double row = 0; /* p - (1 at a class) adds up to 0 */
        for (int j = 0; j < OUTPUTS; j++)
            row += (double)s[1][i * OUTPUTS + j];
        assert_float_equal(row, 0, 1e-5);
        trace += (double)s[1][i * OUTPUTS + i];
    }
    assert_true(trace > 0.5 && trace < 2);
}

/* The loss also sees a layer that the output does not depend on. */
static void gradients_from_a_node_that_the_loss_goes_around_are_an_error(void **state)
{
    (void)state;
    float image[4] = {1, 2, 3, 4}, gradient[3] = {1, 1, 1};
    int32_t label = 1;
    nn_graph *graph = nn_graph_new(1);
    nn_node *x = nn_input(graph, 4, 1, 1), *h = nn_tanh(nn_dense(x, 5)), *logits = nn_dense(h, 3),
            *labels = nn_labels(graph, 3);
    nn_node *loss = nn_add(nn_softmax_cross_entropy(logits, labels), nn_dense(h, 1));
    nn_plan *plan = nn_compile(graph, .output = logits, .loss = loss, .batch = 1, .training = true);
    assert_non_null(plan);
    nn_feed(plan, x, image);
    nn_feed(plan, labels, &label);
    assert_int_equal(nn_forward(plan, 1), DESCENT_OK);
    assert_int_equal(nn_backward(plan, .from = logits, .gradient = gradient), DESCENT_BAD_ARGUMENT);
    assert_non_null(strstr(descent_error(), "not all that leads to the loss goes through"));
    nn_plan_free(plan);
    nn_graph_free(graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(evaluating_again_gives_the_same_bits),
        cmocka_unit_test(products_leave_values_and_gradients_alone),
        cmocka_unit_test(hessian_products_are_second_differences_of_the_loss),
        cmocka_unit_test(gauss_newton_products_are_those_of_the_matrix),
        cmocka_unit_test(sampled_gradients_have_the_fisher_matrix),
        cmocka_unit_test(factors_of_one_sample_are_those_of_its_gradient),
        cmocka_unit_test(factors_of_a_convolution_are_sums_over_positions),
        cmocka_unit_test(passes_make_no_difference),
        cmocka_unit_test(layers_without_factors_are_left_out),
        cmocka_unit_test(large_factors_are_sums_over_rows_for_any_number_of_threads),
        cmocka_unit_test(gradients_from_a_node_that_the_loss_goes_around_are_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
