/* A model with the loss that it is trained with, on the samples of a data set: built, fed and judged the
 * same way by whoever needs it. */
#ifndef DESCENT_TRAIN_NETWORK_H
#define DESCENT_TRAIN_NETWORK_H

#include "data/data.h"
#include "nn/nn.h"
#include "train/run.h"

struct network {
    const struct data_info *data;
    nn_graph *graph;
    int layers; /* nn_layer(graph, 0 .. layers - 1) is the model; after them, labels and loss */
    nn_node *input, *output;
    nn_node *labels, *targets; /* one of them, the other is NULL: classes, or numbers to predict */
    nn_node *loss;             /* cross-entropy, or the mean squared error */
};

/* The network of a model's spec. The caller frees network->graph, which is NULL on failure. */
enum descent_status network_build(const char *model, const struct data_info *data, uint64_t seed,
                                  struct network *network);

/* Feeds a plan with a batch: labels if there are any, targets if the batch has them. */
void network_feed(const struct network *network, nn_plan *plan, const struct data_batch *batch);

/* The loader's next batch through a plan. *n: its samples, 0 at the end of the epoch. */
enum descent_status network_forward(const struct network *network, nn_plan *plan,
                                    struct data_loader *loader, struct data_batch *batch, int *n);

/* How good outputs are, added up batch by batch, of which the means are reported: the loss, and the share
 * of what could be right. */
struct tally {
    double loss;
    double wrong, most; /* samples, or squared distances: accuracy is 1 - wrong / most */
    int64_t samples;
};

/* Adds the plan's last forward pass over n samples of a batch. */
void tally_add(struct tally *tally, const nn_plan *plan, const struct network *network,
               const struct data_batch *batch, int n);
struct train_score tally_score(const struct tally *tally);

/* All of a loader's samples through a plan. */
enum descent_status network_evaluate(const struct network *network, nn_plan *plan,
                                     struct data_loader *loader, struct train_score *score);

/* Running statistics of the weights in place: means over a pass of a training plan through a loader's
 * samples. Leaves the loader at its end, and the plan some steps on. */
enum descent_status network_average_statistics(const struct network *network, nn_plan *plan,
                                               struct data_loader *loader);

#endif
