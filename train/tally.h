/* How good outputs are, added up batch by batch: the mean loss, and the share of what could be right. */
#ifndef DESCENT_TRAIN_TALLY_H
#define DESCENT_TRAIN_TALLY_H

#include "data/data.h"
#include "nn/nn.h"
#include "train/run.h"

/* Sums over samples, of which the means are reported. */
struct tally {
    double loss;
    double wrong, most; /* samples, or squared distances: accuracy is 1 - wrong / most */
    int64_t samples;
};

/* Adds the plan's last forward pass over n samples of a batch of that data set. */
void tally_add(struct tally *tally, const nn_plan *plan, const nn_node *output,
               const struct data_batch *batch, int n, const struct data_info *data);

struct train_score tally_score(const struct tally *tally);

#endif
