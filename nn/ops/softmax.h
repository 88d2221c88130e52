/* The softmax of one row, safe for any finite logits; shared by softmax.c and cross_entropy.c. */
#ifndef DESCENT_NN_OPS_SOFTMAX_H
#define DESCENT_NN_OPS_SOFTMAX_H

#include "nn/op.h"

/* log(sum_j exp(x_j)) = max + log_sum, kept apart: log p_j = (x_j - max) - log_sum loses nothing to large
 * x. */
struct log_sum_exp {
    float max, log_sum;
};

static inline float max_of_row(const float *x, int count)
{
    float max = x[0];
    for (int j = 1; j < count; j++)
        max = x[j] > max ? x[j] : max;
    return max;
}

static inline struct log_sum_exp log_sum_exp(const float *x, int count)
{
    float max = max_of_row(x, count), sum = 0;
    for (int j = 0; j < count; j++)
        sum += expf(x[j] - max);
    return (struct log_sum_exp){max, logf(sum)};
}

/* p_j = exp(x_j) / sum_k exp(x_k); p may be x. */
static inline void softmax_row(float *p, const float *x, int count)
{
    float max = max_of_row(x, count), sum = 0;
    for (int j = 0; j < count; j++) {
        p[j] = expf(x[j] - max);
        sum += p[j];
    }
    for (int j = 0; j < count; j++)
        p[j] /= sum;
}

#endif
