/* The ends of a loss's Hessian spectrum, from products of the Hessian with vectors: Lanczos's method with
 * full reorthogonalization (Golub & Van Loan, "Matrix computations", 10.1), which is power iteration that
 * forgets nothing. */
#ifndef DESCENT_TRAIN_LANDSCAPE_SHARPNESS_H
#define DESCENT_TRAIN_LANDSCAPE_SHARPNESS_H

#include "optim/optim.h"

struct sharpness {
    double largest;  /* eigenvalue: the sharpness */
    double smallest; /* the most negative; a bound from above */
    double error;    /* |H v - largest v| / |largest|: some eigenvalue is that near */
    int products;
};

/* Of the objective at its present weights, over the parameters with a gradient. Ends when `error` is at
 * most `tolerance`, after 60 products at most. The same for the same objective: the start is fixed. */
enum descent_status sharpness_find(const struct optim_objective *objective,
                                   const struct descent_param *param, int count, double tolerance,
                                   struct sharpness *sharpness);

#endif
