/* What Adam's relatives share: rows of hyperparameters, the constants of two running averages and their
 * bias corrections, and the averages. What differs between them is in their files. */
#ifndef DESCENT_OPTIM_RULES_MOMENTS_H
#define DESCENT_OPTIM_RULES_MOMENTS_H

#include "optim/elementwise.h"

#define MOMENT_BETA1(initial, low, high)                                                                   \
    OPTIM_RATE("beta1", initial, low, high, "decay rate of the first moment, the mean of the gradient")
#define MOMENT_BETA2(initial, low, high)                                                                   \
    OPTIM_RATE("beta2", initial, low, high, "decay rate of the second moment, the mean of its square")

/* Places in tensor->k; a rule's own begin at MORE. */
enum { B1, NEW1, B2, NEW2, ROOT_C2, EPSILON, MORE };

/* 1 - beta^t: the sum of the weights in an average that began at zero. */
static inline double bias_correction(double beta, const struct optim_tensor *t)
{
    return 1 - pow(beta, (double)t->step);
}

/* ROOT_C2 is 1 / sqrt(c2), to be multiplied by. */
static inline void set_moments(struct optim_tensor *t, double beta1, double beta2, double eps)
{
    t->k[B1] = (descent_real)beta1;
    t->k[NEW1] = (descent_real)(1 - beta1);
    t->k[B2] = (descent_real)beta2;
    t->k[NEW2] = (descent_real)(1 - beta2);
    t->k[ROOT_C2] = (descent_real)(1 / sqrt(bias_correction(beta2, t)));
    t->k[EPSILON] = (descent_real)eps;
}

/* m <- b1 m + (1 - b1) x */
OPTIM_INLINE void first_moment(const descent_real *k, descent_real *m, descent_real x)
{
    *m = k[B1] * *m + k[NEW1] * x;
}

/* v <- b2 v + (1 - b2) x^2 */
OPTIM_INLINE void second_moment(const descent_real *k, descent_real *v, descent_real x)
{
    *v = k[B2] * *v + k[NEW2] * (x * x);
}

/* sqrt(v) / sqrt(c2) + eps: the root of the mean square, PyTorch's eps outside it */
OPTIM_INLINE descent_real corrected_root(const descent_real *k, descent_real v)
{
    return sqrt(v) * k[ROOT_C2] + k[EPSILON];
}

#endif
