/* What Adam and its relatives share: two moments, their hyperparameters, and a direction of which most of
 * them are cases. A relative is a table and a `step` that sets these scalars its way. */
#ifndef DESCENT_OPTIM_RULES_ADAM_H
#define DESCENT_OPTIM_RULES_ADAM_H

#include "optim/elementwise.h"

/* The first hyperparameters of each; its own follow, then weight decay. low, high: ends of search ranges.
 */
enum { LR, BETA1, BETA2, EPS, OWN };
#define ADAM_ROWS(lr, lr_low, lr_high, beta1, beta1_low, beta1_high)                                       \
    OPTIM_LR(lr, lr_low, lr_high),                                                                         \
        OPTIM_RATE("beta1", beta1, beta1_low, beta1_high,                                                  \
                   "decay rate of the first moment, the mean of the gradient"),                            \
        OPTIM_RATE("beta2", "0.999", 0, 0, "decay rate of the second moment, the mean of its square"),     \
        OPTIM_EPS("1e-8")
#define DECAY_ROWS(decay, low, high) OPTIM_WEIGHT_DECAY(decay, low, high), OPTIM_DECAY_ALL
#define TABLE(rows)                  .options = (rows), .option_count = sizeof(rows) / sizeof *(rows)

#define MOMENTS_FORMULA                                                                                    \
    "m <- beta1 m + (1 - beta1) g          c1 = 1 - beta1^t\n"                                             \
    "v <- beta2 v + (1 - beta2) g^2        c2 = 1 - beta2^t\n"
#define COUPLED_FORMULA   "g <- g + weight_decay x\n"
#define DECOUPLED_FORMULA "x <- x (1 - lr weight_decay), lr as scheduled\n"

enum { B1, NEW1, B2, NEW2, ALONG_M, ALONG_G, UNDER_V, EPSILON, FREE };

static inline double adam_c1(const struct optim_tensor *t, int64_t step)
{
    return 1 - pow(t->hyper[BETA1].number, (double)step);
}

static inline double adam_c2(const struct optim_tensor *t, int64_t step)
{
    return 1 - pow(t->hyper[BETA2].number, (double)step);
}

/* Adam's. */
static inline void set_adam_scalars(struct optim_tensor *t, int64_t step)
{
    double beta1 = t->hyper[BETA1].number, beta2 = t->hyper[BETA2].number;
    t->k[B1] = (descent_real)beta1;
    t->k[NEW1] = (descent_real)(1 - beta1);
    t->k[B2] = (descent_real)beta2;
    t->k[NEW2] = (descent_real)(1 - beta2);
    t->k[ALONG_M] = (descent_real)(1 / adam_c1(t, step));
    t->k[ALONG_G] = 0;
    t->k[UNDER_V] = (descent_real)(1 / adam_c2(t, step));
    t->k[EPSILON] = (descent_real)t->hyper[EPS].number;
}

/* m <- beta1 m + (1 - beta1) g;  v <- beta2 v + (1 - beta2) g^2 */
OPTIM_INLINE void advance_moments(const descent_real *k, struct optim_element *e)
{
    e->s[0] = k[B1] * e->s[0] + k[NEW1] * e->g;
    e->s[1] = k[B2] * e->s[1] + k[NEW2] * (e->g * e->g);
}

/* d = (a m + b g) / (sqrt(u v) + eps) */
OPTIM_INLINE descent_real adam_rule(const descent_real *k, struct optim_element *e)
{
    advance_moments(k, e);
    return (k[ALONG_M] * e->s[0] + k[ALONG_G] * e->g) / (sqrt(k[UNDER_V] * e->s[1]) + k[EPSILON]);
}

#endif
