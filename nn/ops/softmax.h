/* The softmax of one row, safe for any finite logits; shared by softmax.c and cross_entropy.c. */
#ifndef DESCENT_NN_OPS_SOFTMAX_H
#define DESCENT_NN_OPS_SOFTMAX_H

#include "nn/op.h"
#include "nn/vector_math.h"

/* A vector of the row at j, -infinity past its end: nothing to a maximum, and after exp nothing to a sum.
 */
NN_INLINE nn_vector logits_at(const float *x, int j, int count)
{
    nn_vector logits = nn_vector_all(-INFINITY);
    if (j + NN_LANES <= count)
        return nn_vector_load(x + j);
    memcpy(&logits, x + j, (size_t)(count - j) * sizeof *x);
    return logits;
}

static inline float max_of_row(const float *x, int count)
{
    nn_vector most = logits_at(x, 0, count);
    for (int j = NN_LANES; j < count; j += NN_LANES) {
        nn_vector logits = logits_at(x, j, count);
        most = nn_vector_select(logits > most, logits, most);
    }
    float max = most[0];
    for (int k = 1; k < NN_LANES; k++)
        max = most[k] > max ? most[k] : max;
    return max;
}

/* log(sum_j exp(x_j)) = max + log_sum, kept apart: log p_j = (x_j - max) - log_sum loses nothing to large
 * x. */
struct log_sum_exp {
    float max, log_sum;
};

static inline struct log_sum_exp log_sum_exp(const float *x, int count)
{
    float max = max_of_row(x, count);
    nn_vector sum = {0};
    for (int j = 0; j < count; j += NN_LANES)
        sum += nn_vector_exp(logits_at(x, j, count) - max);
    return (struct log_sum_exp){max, logf(nn_vector_sum(sum))};
}

/* p_j = exp(x_j) / sum_k exp(x_k); p may be x. */
static inline void softmax_row(float *p, const float *x, int count)
{
    float max = max_of_row(x, count);
    nn_vector sum = {0};
    for (int j = 0; j < count; j += NN_LANES) {
        nn_vector e = nn_vector_exp(logits_at(x, j, count) - max);
        sum += e;
        nn_vector_store_part(p + j, e, count - j);
    }
    float factor = 1 / nn_vector_sum(sum);
    for (int j = 0; j < count; j++)
        p[j] *= factor;
}

#endif
