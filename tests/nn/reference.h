/* Naive double-precision forwards, written from the formulas and independently of nn/ops: what the gradient
 * check takes finite differences of. An operator with a `sample` needs a row in reference.c's table. */
#ifndef DESCENT_TESTS_NN_REFERENCE_H
#define DESCENT_TESTS_NN_REFERENCE_H

#include "nn/op.h"

struct reference_call {
    const nn_node *node;            /* its inputs' shapes, its options with defaults filled in */
    int n;                          /* samples; all arrays are NHWC as in nn */
    const double *x[NN_MAX_INPUTS]; /* labels as numbers */
    const double *param[NN_MAX_PARAMS];
    double *y;
    bool training;
    uint64_t seed, step;
};

typedef void reference_function(const struct reference_call *call);

struct reference {
    const char *op;
    reference_function *forward;
    bool probabilities; /* x[1], unless labels, is fed rows that are positive and sum to 1 */
};

/* NULL if there is none. */
const struct reference *reference_find(const char *op);

/* The options of the node being computed. */
#define REFERENCE_OPTIONS(type) const struct nn_##type##_options *o = call->node->options

static inline struct nn_shape reference_in(const struct reference_call *call, int i)
{
    return call->node->input[i]->shape;
}

/* Where element (c, h, w) of sample s is. */
static inline int64_t reference_at(struct nn_shape shape, int s, int c, int h, int w)
{
    return (((int64_t)s * shape.height + h) * shape.width + w) * shape.channels + c;
}

/* In reference_norms.c: softmax, normalizations, losses, dropout. */
extern const struct reference reference_norms[]; /* ends with a row without a name */

#endif
