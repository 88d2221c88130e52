/* How often a classifier is right. */
#include "nn/nn.h"

int nn_count_correct(const nn_plan *plan, const nn_node *logits, const int32_t *labels, int n)
{
    int classes = nn_shape_of(logits).channels, correct = 0;
    const float *row = nn_value(plan, logits);
    for (int i = 0; row && i < n; i++, row += classes) {
        int best = 0;
        for (int k = 1; k < classes; k++)
            if (row[k] > row[best])
                best = k;
        correct += best == labels[i];
    }
    return correct;
}
