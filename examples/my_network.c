/* A network of one's own, trained on IDX files: my_network [DIRECTORY|NAME] */
#include "data/data.h"
#include "nn/nn.h"
#include "optim/optim.h"
#include <stdio.h>

static nn_node *network(nn_node *x, int classes)
{
    x = nn_relu(nn_batch_norm(nn_conv2d(x, 16, .padding = 1))); // 16 channels, as large as the picture
    x = nn_relu(nn_conv2d(x, 32, .stride = 2, .padding = 1));   // 32 channels, half as large
    return nn_dense(nn_dropout(nn_flatten(nn_max_pool2d(x, 2)), 0.25), classes);
}

static int fail(void)
{
    return fprintf(stderr, "my_network: %s\n", descent_error()), 1;
}

int main(int argc, char **argv)
{
    struct data_set *set;
    if (data_open(argc > 1 ? argv[1] : "fashion-mnist", &set))
        return fail();
    struct data_info info = *data_describe(set);
    if (info.targets > 0)
        return fprintf(stderr, "my_network: %s has numbers to predict, not classes\n", info.path), 1;
    struct data_view *v[] = {data_view_train(set), data_view_test(set)};
    struct data_loader_options options = {.batch = 64, .order = DATA_SHUFFLED};
    struct data_loader *train = data_loader_new(v[0], &options), *test = data_loader_new(v[1], &options);

    nn_graph *graph = nn_graph_new(1);
    nn_node *x = nn_input(graph, info.channels, info.height, info.width);
    nn_node *y = network(x, info.classes), *labels = nn_labels(graph, info.classes);
    nn_plan *learn =
        nn_compile(graph, .loss = nn_softmax_cross_entropy(y, labels), .batch = 64, .training = true);
    nn_plan *judge = nn_compile(graph, .output = y, .batch = 64);
    int count, n;
    struct descent_param *params = nn_params(graph, &count);
    struct optim *optim = learn && judge ? optim_new("adam:lr=1e-3", params, count) : NULL;
    if (!train || !test || !optim)
        return fail();

    for (int epoch = 1, correct = 0; epoch <= 3; epoch++, correct = 0) {
        struct data_batch batch;
        for (data_loader_start(train, epoch); (n = data_loader_next(train, &batch)) > 0;) {
            nn_feed(learn, x, batch.x), nn_feed(learn, labels, batch.labels);
            if (nn_forward(learn, n) || nn_backward(learn, .clear = true) || optim_step(optim))
                return fail();
        }
        for (data_loader_start(test, 0); (n = data_loader_next(test, &batch)) > 0;) {
            nn_feed(judge, x, batch.x);
            if (nn_forward(judge, n))
                return fail();
            correct += nn_count_correct(judge, y, batch.labels, n);
        }
        printf("epoch %d: test accuracy %.2f %%\n", epoch, 100.0 * correct / (double)info.test_count);
    }
    data_loader_free(train), data_loader_free(test), nn_plan_free(learn), nn_plan_free(judge);
    optim_free(optim), nn_graph_free(graph), data_view_free(v[0]), data_view_free(v[1]), data_free(set);
}
