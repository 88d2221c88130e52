/* See network.h. */
#include "train/network.h"

#include "models/models.h"

static void add_loss(struct network *network)
{
    const struct data_info *data = network->data;
    if (data->targets > 0) {
        network->targets = nn_input(network->graph, data->targets, 1, 1);
        network->loss = nn_mean_squared_error(network->output, network->targets);
    } else {
        network->labels = nn_labels(network->graph, data->classes);
        network->loss = nn_softmax_cross_entropy(network->output, network->labels);
    }
}

enum descent_status network_build(const char *model, const struct data_info *data, uint64_t seed,
                                  struct network *network)
{
    *network = (struct network){.data = data, .graph = nn_graph_new(seed)};
    if (!network->graph)
        return descent_fail(DESCENT_OUT_OF_MEMORY, "out of memory");
    network->input = nn_input(network->graph, data->channels, data->height, data->width);
    network->output = model_build(model, network->input, data->targets > 0 ? data->targets : data->classes);
    if (!network->output) {
        nn_graph_free(network->graph);
        network->graph = NULL;
        return DESCENT_BAD_ARGUMENT;
    }
    for (struct nn_layer_info layer; nn_layer(network->graph, network->layers, &layer);)
        network->layers++;
    add_loss(network);
    return DESCENT_OK;
}

void network_feed(const struct network *network, nn_plan *plan, const struct data_batch *batch)
{
    nn_feed(plan, network->input, batch->x);
    if (network->labels)
        nn_feed(plan, network->labels, batch->labels);
    if (batch->targets)
        nn_feed(plan, network->targets, batch->targets);
}

enum descent_status network_forward(const struct network *network, nn_plan *plan,
                                    struct data_loader *loader, struct data_batch *batch, int *n)
{
    *n = data_loader_next(loader, batch);
    if (*n <= 0)
        return *n == 0 ? DESCENT_OK : DESCENT_IO_ERROR;
    network_feed(network, plan, batch);
    return nn_forward(plan, *n);
}

/* ---- Judging ---- */

/* How wrong the outputs of a batch are, and would be that know nothing but the mean. */
static void add_distances(struct tally *tally, const float *y, const float *targets, int64_t count)
{
    for (int64_t k = 0; k < count; k++) {
        double target = (double)targets[k], error = (double)y[k] - target;
        tally->wrong += error * error;
        tally->most += target * target;
    }
}

void tally_add(struct tally *tally, const nn_plan *plan, const struct network *network,
               const struct data_batch *batch, int n)
{
    tally->loss += nn_loss(plan) * n;
    tally->samples += n;
    if (network->data->targets > 0) {
        add_distances(tally, nn_value(plan, network->output), batch->targets,
                      (int64_t)n * network->data->targets);
    } else {
        tally->wrong += n - nn_count_correct(plan, network->output, batch->labels, n);
        tally->most += n;
    }
}

struct train_score tally_score(const struct tally *tally)
{
    return (struct train_score){.loss = tally->loss / (double)tally->samples,
                                .accuracy = (tally->most - tally->wrong) / tally->most};
}

enum descent_status network_evaluate(const struct network *network, nn_plan *plan,
                                     struct data_loader *loader, struct train_score *score)
{
    struct tally tally = {0};
    struct data_batch batch;
    enum descent_status status;
    int n;
    data_loader_start(loader, 0);
    do {
        status = network_forward(network, plan, loader, &batch, &n);
        if (status == DESCENT_OK && n > 0)
            tally_add(&tally, plan, network, &batch, n);
    } while (status == DESCENT_OK && n > 0);
    *score = tally_score(&tally);
    return status;
}

enum descent_status network_average_statistics(const struct network *network, nn_plan *plan,
                                               struct data_loader *loader)
{
    struct data_batch batch;
    enum descent_status status = DESCENT_OK;
    int64_t pass = 0;
    data_loader_start(loader, 0);
    for (int n = 1; status == DESCENT_OK && n > 0;) {
        nn_average_statistics(plan, ++pass);
        status = network_forward(network, plan, loader, &batch, &n);
    }
    nn_average_statistics(plan, 0);
    return status;
}
