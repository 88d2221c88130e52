/* See tally.h. */
#include "train/tally.h"

/* How wrong the outputs of a batch are, and would be that know nothing but the mean. */
static void add_distances(struct tally *tally, const float *y, const float *targets, int64_t count)
{
    for (int64_t k = 0; k < count; k++) {
        double target = (double)targets[k], error = (double)y[k] - target;
        tally->wrong += error * error;
        tally->most += target * target;
    }
}

void tally_add(struct tally *tally, const nn_plan *plan, const nn_node *output,
               const struct data_batch *batch, int n, const struct data_info *data)
{
    tally->loss += nn_loss(plan) * n;
    tally->samples += n;
    if (data->targets > 0) {
        add_distances(tally, nn_value(plan, output), batch->targets, (int64_t)n * data->targets);
    } else {
        tally->wrong += n - nn_count_correct(plan, output, batch->labels, n);
        tally->most += n;
    }
}

struct train_score tally_score(const struct tally *tally)
{
    return (struct train_score){.loss = tally->loss / (double)tally->samples,
                                .accuracy = (tally->most - tally->wrong) / tally->most};
}
