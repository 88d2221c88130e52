/* logreg: logistic regression, one dense layer on the flattened picture, which begins at zero: a convex
 * problem with one answer, as DeepOBS has it. Cox, "The regression analysis of binary sequences", Journal
 * of the Royal Statistical Society B 20, 1958. */
#include "models/models.h"

static nn_node *build(nn_node *x, int classes, const struct descent_value *values)
{
    (void)values;
    return nn_dense(nn_flatten(x), classes, .init = "zeros", .bias_init = "zeros", .name = "fc1");
}

const struct model model_logreg = {
    .name = "logreg",
    .summary = "logistic regression: one dense layer, zero at first",
    .paper = "Cox, The regression analysis of binary sequences, 1958",
    .build = build,
};
