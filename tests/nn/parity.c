/* The networks of models/ beside PyTorch's: one training step in float64, and what two optimizers do with
 * the first steps of lenet5. What the vectors hold, and the formula for what they do not, is told in
 * tests/vectors/make_parity.py. */
#include "base/memory.h"
#include "base/random.h"
#include "base/safetensors.h"
#include "models/models.h"
#include "optim/optim.h"
#include "tests/test.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum {
    BATCH = 4,
    CLASSES = 10,
    EVERYTHING_OFF = NN_WITHOUT_REUSE | NN_WITHOUT_IN_PLACE | NN_WITHOUT_FUSION
};

struct network {
    struct descent_safetensors file;
    nn_graph *graph;
    nn_node *x, *labels, *logits;
    nn_plan *plan;
    struct descent_param *params;
    int param_count;
    float *inputs; /* n x height x width x channels, as many samples as the file has labels */
};

/* values[i] = center + bound u, u a multiple of 2^-15 in [-1, 1). */
static void fill(const char *name, double center, double bound, int64_t count, float *values)
{
    uint32_t start = (uint32_t)descent_hash(name);
    for (int64_t i = 0; i < count; i++) {
        uint32_t h = start + (uint32_t)i;
        h ^= h >> 16;
        h *= 0x85ebca6bu;
        h ^= h >> 13;
        h *= 0xc2b2ae35u;
        h ^= h >> 16;
        values[i] = (float)(center + bound * ((h >> 16) / 32768.0 - 1));
    }
}

static bool ends_with(const char *text, const char *end)
{
    size_t length = strlen(text), end_length = strlen(end);
    return length >= end_length && strcmp(text + length - end_length, end) == 0;
}

static const struct descent_tensor *find(const struct network *network, const char *kind, const char *name)
{
    char full[128];
    snprintf(full, sizeof full, "%s%s", kind, name);
    return descent_safetensors_find(&network->file, full);
}

static void load(struct network *network, struct descent_param *param)
{
    const struct descent_tensor *stored = find(network, "value.", param->name);
    bool around_one = ends_with(param->name, "weight") || ends_with(param->name, "running_var");
    double bound = 1;
    while (bound * bound * (double)(param->size / param->shape[0]) > 6)
        bound /= 2;
    if (stored)
        memcpy(param->value, stored->data, stored->bytes);
    else if (param->rank > 1)
        fill(param->name, 0, bound, param->size, param->value);
    else
        fill(param->name, around_one ? 1 : 0, 0.25, param->size, param->value);
    param->version++;
}

/* model: a spec; its vectors are under its name. */
static void open_network(struct network *network, const char *model, struct nn_shape sample,
                         unsigned without)
{
    char path[64];
    snprintf(path, sizeof path, "vectors/parity-%.*s.safetensors", (int)strcspn(model, ":"), model);
    assert_int_equal(descent_safetensors_read(path, &network->file), DESCENT_OK);
    int samples = (int)find(network, "labels", "")->shape[0];
    size_t values = (size_t)samples * (size_t)(sample.channels * sample.height * sample.width);
    network->inputs = descent_alloc(values * sizeof(float));
    assert_non_null(network->inputs);
    fill("x", 0, 1, (int64_t)values, network->inputs);

    network->graph = nn_graph_new(1);
    network->x = nn_input(network->graph, sample.channels, sample.height, sample.width);
    network->labels = nn_labels(network->graph, CLASSES);
    network->logits = model_build(model, network->x, CLASSES);
    assert_non_null(network->logits);
    nn_node *loss = nn_softmax_cross_entropy(network->logits, network->labels);
    network->plan = nn_compile(network->graph, .output = network->logits, .loss = loss, .batch = BATCH + 1,
                               .training = true, .without = without);
    if (!network->plan)
        fail_msg("%s", descent_error());
    network->params = nn_params(network->graph, &network->param_count);
    for (int i = 0; i < network->param_count; i++)
        load(network, &network->params[i]);
}

static void close_network(struct network *network)
{
    nn_plan_free(network->plan);
    nn_graph_free(network->graph);
    descent_free(network->inputs);
    descent_safetensors_free(&network->file);
}

/* Loss of the batch-th BATCH samples; its gradients in the parameters. */
static double step(struct network *network, int batch)
{
    struct nn_shape s = nn_shape_of(network->x);
    nn_feed(network->plan, network->x, network->inputs + batch * BATCH * s.channels * s.height * s.width);
    nn_feed(network->plan, network->labels,
            (const int32_t *)find(network, "labels", "")->data + batch * BATCH);
    assert_int_equal(nn_forward(network->plan, BATCH), DESCENT_OK);
    nn_clear_gradients(network->graph);
    assert_int_equal(nn_backward(network->plan), DESCENT_OK);
    return nn_loss(network->plan);
}

static double element(const struct descent_tensor *tensor, int64_t i)
{
    return tensor->dtype == DESCENT_F64 ? ((const double *)tensor->data)[i]
                                        : ((const float *)tensor->data)[i];
}

/* || scale a - b || and || b ||; fails if a's `size` is not b's. */
static double distance(const float *a, int64_t size, double scale, const struct descent_tensor *b,
                       double *norm_b)
{
    size_t each = b->dtype == DESCENT_F64 ? sizeof(double) : sizeof(float);
    assert_int_equal((size_t)size * each, b->bytes);
    double difference = 0, norm = 0;
    for (int64_t i = 0; i < size; i++) {
        double bi = element(b, i), d = scale * a[i] - bi;
        difference += d * d;
        norm += bi * bi;
    }
    *norm_b = sqrt(norm);
    return sqrt(difference);
}

static void check_values(const char *name, const float *a, int64_t size, const struct descent_tensor *b)
{
    assert_non_null(b);
    double norm, error = distance(a, size, 1, b, &norm);
    if (!(error <= 1e-5 * norm))
        fail_msg("%s is off by %.2g of its norm", name, error / norm);
}

/* Within 1e-4 of the tensor's norm, or of a thousandth of all gradients' norm where that is more. Where it
 * is not, a gradient off by a thousandth must not pass. */
static void check_gradient(const struct descent_param *param, const struct descent_tensor *b,
                           double norm_all)
{
    double norm, error = distance(param->grad, param->size, 1, b, &norm);
    double unit = fmax(norm, 1e-3 * norm_all);
    if (!(error <= 1e-4 * unit))
        fail_msg("gradient of %s is off by %.2g of its norm", param->name, error / unit);
    if (norm >= 1e-3 * norm_all)
        assert_true(distance(param->grad, param->size, 1.001, b, &norm) > 1e-4 * unit);
}

static int count_tensors(const struct network *network, const char *kind, double *norm)
{
    int count = 0;
    double sum = 0;
    for (int i = 0; i < network->file.count; i++) {
        const struct descent_tensor *tensor = &network->file.tensors[i];
        if (strncmp(tensor->name, kind, strlen(kind)) != 0)
            continue;
        count++;
        for (int64_t j = 0; j < (int64_t)(tensor->bytes / sizeof(float)); j++)
            sum += element(tensor, j) * element(tensor, j);
    }
    *norm = sqrt(sum);
    return count;
}

static void check_step(const char *model, struct nn_shape sample, unsigned without)
{
    struct network network = {0};
    open_network(&network, model, sample, without);
    double loss = step(&network, 0), expected = element(find(&network, "loss", ""), 0);
    assert_true(fabs(loss - expected) <= 1e-5 * fabs(expected));
    check_values("logits", nn_value(network.plan, network.logits), BATCH * CLASSES,
                 find(&network, "logits", ""));

    double norm_all, ignored;
    int gradients = count_tensors(&network, "grad.", &norm_all),
        buffers = count_tensors(&network, "after.", &ignored);
    for (int i = 0; i < network.param_count; i++) {
        struct descent_param *param = &network.params[i];
        if (param->kind == DESCENT_BUFFER) {
            check_values(param->name, param->value, param->size, find(&network, "after.", param->name));
            buffers--;
        } else {
            assert_non_null(find(&network, "grad.", param->name));
            check_gradient(param, find(&network, "grad.", param->name), norm_all);
            gradients--;
        }
    }
    assert_int_equal(gradients, 0);
    assert_int_equal(buffers, 0);
    close_network(&network);
}

static void lenet5_steps_as_in_pytorch(void **state)
{
    (void)state;
    check_step("lenet5", (struct nn_shape){1, 28, 28}, 0);
    check_step("lenet5", (struct nn_shape){1, 28, 28}, EVERYTHING_OFF);
}

static void cnn_steps_as_in_pytorch(void **state)
{
    (void)state;
    check_step("cnn", (struct nn_shape){1, 28, 28}, 0);
    check_step("cnn", (struct nn_shape){1, 28, 28}, EVERYTHING_OFF);
}

static void deepobs_networks_step_as_in_pytorch(void **state)
{
    (void)state;
    check_step("2c2d:width=0.0625", (struct nn_shape){1, 28, 28}, 0);
    check_step("2c2d:width=0.0625", (struct nn_shape){1, 28, 28}, EVERYTHING_OFF);
    check_step("3c3d:width=0.125", (struct nn_shape){3, 32, 32}, 0);
    check_step("3c3d:width=0.125", (struct nn_shape){3, 32, 32}, EVERYTHING_OFF);
}

static void resnet20_steps_as_in_pytorch(void **state)
{
    (void)state;
    check_step("resnet20", (struct nn_shape){3, 32, 32}, 0);
    check_step("resnet20", (struct nn_shape){3, 32, 32}, EVERYTHING_OFF);
}

static void check_trajectory(const char *name, const char *spec)
{
    struct network network = {0};
    open_network(&network, "lenet5", (struct nn_shape){1, 28, 28}, 0);
    const struct descent_tensor *losses = find(&network, "trajectory.", name);
    assert_non_null(losses);
    struct optim *optim = optim_new(spec, network.params, network.param_count);
    if (!optim)
        fail_msg("%s", descent_error());
    for (int i = 0; i < (int)losses->shape[0]; i++) {
        double loss = step(&network, i), expected = element(losses, i);
        if (!(fabs(loss - expected) <= 1e-4 * expected))
            fail_msg("%s: loss %.7g before step %d, expected %.7g", spec, loss, i + 1, expected);
        assert_int_equal(optim_step(optim), DESCENT_OK);
    }
    optim_free(optim);
    close_network(&network);
}

static void momentum_trains_lenet5_as_in_pytorch(void **state)
{
    (void)state;
    check_trajectory("momentum", "momentum:lr=0.1,momentum=0.9,weight_decay=0.01");
}

static void adamw_trains_lenet5_as_in_pytorch(void **state)
{
    (void)state;
    check_trajectory("adamw", "adamw:lr=0.003,weight_decay=0.1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lenet5_steps_as_in_pytorch),
        cmocka_unit_test(cnn_steps_as_in_pytorch),
        cmocka_unit_test(deepobs_networks_step_as_in_pytorch),
        cmocka_unit_test(resnet20_steps_as_in_pytorch),
        cmocka_unit_test(momentum_trains_lenet5_as_in_pytorch),
        cmocka_unit_test(adamw_trains_lenet5_as_in_pytorch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
