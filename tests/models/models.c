/* The zoo: names, shapes and sizes that papers and PyTorch agree on. */
#include "models/models.h"

#include "tests/test.h"

#include <string.h>

struct network {
    nn_graph *graph;
    nn_plan *plan;
    int64_t weights; /* trained numbers: without running statistics */
};

static struct network build(const char *spec, int channels, int side, int classes)
{
    struct network network = {.graph = nn_graph_new(1)};
    nn_node *x = nn_input(network.graph, channels, side, side);
    nn_node *logits = model_build(spec, x, classes);
    assert_non_null(logits);
    network.plan = nn_compile(network.graph, .output = logits, .batch = 1);
    if (!network.plan)
        fail_msg("%s: %s", spec, descent_error());
    struct nn_shape shape = nn_shape_of(logits);
    assert_true(shape.channels == classes && shape.height == 1 && shape.width == 1);
    int count;
    const struct descent_param *param = nn_params(network.graph, &count);
    for (int i = 0; i < count; i++)
        network.weights += param[i].kind == DESCENT_BUFFER ? 0 : param[i].size;
    return network;
}

static void discard(struct network *network)
{
    nn_plan_free(network->plan);
    nn_graph_free(network->graph);
}

static void parameter_counts_are_the_published_ones(void **state)
{
    (void)state;
    static const struct {
        const char *spec;
        int channels, side, classes;
        int64_t weights;
    } known[] = {
        {"logreg", 1, 28, 10, 7850},
        {"mlp", 1, 28, 10, 235146},         /* 784-256-128-10 */
        {"mlp:300/100", 1, 28, 10, 266610}, /* LeNet-300-100 */
        {"lenet5", 1, 28, 10, 61706},
        {"cnn", 1, 28, 10, 421834},   /* 320 + 64 + 18496 + 128 + 401536 + 1290 */
        {"2c2d", 1, 28, 10, 3274634}, /* DeepOBS */
        {"3c3d", 3, 32, 10, 895210},
        {"3c3d", 3, 32, 100, 918340},
        {"2c2d:width=0.25", 1, 28, 10, 206954},
        {"3c3d:width=0.25", 3, 32, 10, 57538},
        {"resnet20", 3, 32, 10, 269722},   /* He et al., table 6: 0.27M; with shortcuts of option A */
        {"resnet32", 3, 32, 10, 464154},   /* 0.46M */
        {"resnet44", 3, 32, 10, 658586},   /* 0.66M */
        {"resnet56", 3, 32, 10, 853018},   /* 0.85M */
        {"resnet110", 3, 32, 10, 1727962}, /* 1.7M */
        {"resnet20:shortcut=projection", 3, 32, 10, 272474}, /* + 16*32 + 32*64 + 2*(32+64) */
        {"resnet20:shortcut=none", 3, 32, 10, 269722},       /* option A has no parameters of its own */
        {"resnet20:width=4", 3, 32, 100, 4309156},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        struct network network = build(known[i].spec, known[i].channels, known[i].side, known[i].classes);
        if (network.weights != known[i].weights)
            fail_msg("%s has %lld parameters, expected %lld", known[i].spec, (long long)network.weights,
                     (long long)known[i].weights);
        discard(&network);
    }
}

static int additions(const char *spec)
{
    struct network network = build(spec, 3, 32, 10);
    struct nn_layer_info layer;
    int count = 0;
    for (int i = 0; nn_layer(network.graph, i, &layer); i++)
        count += strcmp(layer.op, "add") == 0;
    discard(&network);
    return count;
}

static void plain_network_adds_nothing(void **state)
{
    (void)state;
    assert_int_equal(additions("resnet20"), 9);
    assert_int_equal(additions("resnet20:shortcut=none"), 0);
}

static void every_model_takes_gray_28_and_color_32(void **state)
{
    (void)state;
    int count;
    const struct model *const *all = model_list(&count);
    assert_true(count >= 4);
    for (int i = 0; i < count; i++) {
        assert_ptr_equal(model_find(all[i]->name), all[i]);
        struct network gray = build(all[i]->name, 1, 28, 10), color = build(all[i]->name, 3, 32, 100);
        discard(&gray);
        discard(&color);
    }
}

static void parameters_are_named_as_in_torchvision(void **state)
{
    (void)state;
    static const struct {
        const char *spec, *names[5];
    } known[] = {
        {"mlp", {"fc1.weight", "fc2.bias", "fc3.weight"}},
        {"lenet5", {"conv1.weight", "conv2.bias", "fc1.weight", "fc3.bias"}},
        {"2c2d", {"conv1.weight", "conv2.bias", "fc1.weight", "fc2.bias"}},
        {"3c3d", {"conv1.weight", "conv3.bias", "fc1.weight", "fc3.bias"}},
        {"cnn", {"conv2.weight", "bn1.running_mean", "bn2.running_var", "fc2.bias"}},
        {"resnet20",
         {"conv1.weight", "bn1.weight", "layer1.0.conv1.weight", "layer3.2.bn2.running_var", "fc.weight"}},
        {"resnet20:shortcut=projection", {"layer2.0.downsample.0.weight", "layer3.0.downsample.1.bias"}},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        struct network network = build(known[i].spec, 1, 28, 10);
        int count;
        const struct descent_param *param = nn_params(network.graph, &count);
        for (int k = 0; k < 5 && known[i].names[k]; k++) {
            bool found = false;
            for (int j = 0; j < count && !found; j++)
                found = strcmp(param[j].name, known[i].names[k]) == 0;
            if (!found)
                fail_msg("%s has no parameter %s", known[i].spec, known[i].names[k]);
        }
        discard(&network);
    }
}

static void wrong_specs_name_what_is_known(void **state)
{
    (void)state;
    static const struct {
        const char *spec, *message;
    } wrong[] = {
        {"lenet", "did you mean 'lenet5'?"},
        {"transformer", "unknown model 'transformer'"},
        {"lenet5:width=2", "unknown key 'width' for model lenet5"},
        {"mlp:2.5", "units=2.5 for model mlp"},
        {"mlp:256/0", "units=256/0 for model mlp"},
        {"resnet20:shortcut=some", "identity|projection|none"},
        {"mlp+warmup:3", "model mlp"},
        {"", ""},
    };
    nn_graph *graph = nn_graph_new(1);
    nn_node *x = nn_input(graph, 1, 28, 28);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_null(model_build(wrong[i].spec, x, 10));
        if (!strstr(descent_error(), wrong[i].message))
            fail_msg("%s: %s", wrong[i].spec, descent_error());
    }
    nn_graph_free(graph);
}

static void picture_too_small_is_reported_by_compile(void **state)
{
    (void)state;
    nn_graph *graph = nn_graph_new(1);
    nn_node *logits = model_build("lenet5", nn_input(graph, 1, 6, 6), 10);
    assert_non_null(logits);
    assert_null(nn_compile(graph, .output = logits, .batch = 1));
    assert_non_null(strstr(descent_error(), "conv2"));
    nn_graph_free(graph);
}

/* Last: there is no way back. */
static void a_registered_model_is_built_by_its_name(void **state)
{
    (void)state;
    static struct model own;
    int before, after;
    own = *model_find("mlp");
    model_list(&before);
    assert_int_equal(model_register(&own), DESCENT_EXISTS);
    own.name = "./own.c";
    own.build = NULL;
    assert_int_equal(model_register(&own), DESCENT_BAD_ARGUMENT);
    assert_non_null(strstr(descent_error(), "model ./own.c has no function .build"));
    own.build = model_find("mlp")->build;
    own.option_count = DESCENT_SPEC_KEYS + 1;
    assert_int_equal(model_register(&own), DESCENT_BAD_ARGUMENT);
    assert_non_null(strstr(descent_error(), "expected at most 32"));
    own.option_count = model_find("mlp")->option_count;
    assert_int_equal(model_register(&own), DESCENT_OK);
    assert_ptr_equal(model_list(&after)[before], &own);
    assert_int_equal(after, before + 1);
    struct network network = build("./own.c:300/100", 1, 28, 10);
    assert_int_equal(network.weights, 266610);
    discard(&network);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parameter_counts_are_the_published_ones),
        cmocka_unit_test(plain_network_adds_nothing),
        cmocka_unit_test(every_model_takes_gray_28_and_color_32),
        cmocka_unit_test(parameters_are_named_as_in_torchvision),
        cmocka_unit_test(wrong_specs_name_what_is_known),
        cmocka_unit_test(picture_too_small_is_reported_by_compile),
        cmocka_unit_test(a_registered_model_is_built_by_its_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
