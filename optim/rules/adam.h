/* Adam and its nearest relatives: the same first hyperparameters, and a direction of which most of them are
 * cases. A relative is a table and a `step` that sets these scalars its way. */
#ifndef DESCENT_OPTIM_RULES_ADAM_H
#define DESCENT_OPTIM_RULES_ADAM_H

#include "optim/rules/moments.h"

/* The first hyperparameters of each; its own follow, then decay. low, high: ends of search ranges. */
enum { LR, BETA1, BETA2, EPS, OWN };
#define ADAM_ROWS(lr, lr_low, lr_high, beta1, beta1_low, beta1_high)                                       \
    OPTIM_LR(lr, lr_low, lr_high), MOMENT_BETA1(beta1, beta1_low, beta1_high),                             \
        MOMENT_BETA2("0.999", 0, 0), OPTIM_EPS("1e-8")
#define DECAY_ROWS(decay, low, high) OPTIM_WEIGHT_DECAY(decay, low, high), OPTIM_DECAY_ALL
#define TABLE(rows)                  .options = (rows), .option_count = sizeof(rows) / sizeof *(rows)

#define MOMENTS_FORMULA                                                                                    \
    "m <- beta1 m + (1 - beta1) g          c1 = 1 - beta1^t\n"                                             \
    "v <- beta2 v + (1 - beta2) g^2        c2 = 1 - beta2^t\n"
#define COUPLED_FORMULA   "g <- g + weight_decay x\n"
#define DECOUPLED_FORMULA "x <- x (1 - lr weight_decay), lr as scheduled\n"

/* What a relative's step sets beside the moments' constants; its own begin at FREE. */
enum { ALONG_M = MORE, ALONG_G, FREE };

static inline double adam_c1(const struct optim_tensor *t)
{
    return bias_correction(t->hyper[BETA1].number, t);
}

static inline double adam_c2(const struct optim_tensor *t)
{
    return bias_correction(t->hyper[BETA2].number, t);
}

/* Adam's. */
static inline void set_adam_scalars(struct optim_tensor *t)
{
    set_moments(t, t->hyper[BETA1].number, t->hyper[BETA2].number, t->hyper[EPS].number);
    t->k[ALONG_M] = (descent_real)(1 / adam_c1(t));
    t->k[ALONG_G] = 0;
}

OPTIM_INLINE void advance_moments(const descent_real *k, struct optim_element *e)
{
    first_moment(k, &e->s[0], e->g);
    second_moment(k, &e->s[1], e->g);
}

/* d = (a m + b g) / (sqrt(v) / sqrt(c2) + eps) */
OPTIM_INLINE descent_real adam_rule(const descent_real *k, struct optim_element *e)
{
    advance_moments(k, e);
    return (k[ALONG_M] * e->s[0] + k[ALONG_G] * e->g) / corrected_root(k, e->s[1]);
}

#endif
