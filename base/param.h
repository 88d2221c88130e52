/* A parameter tensor: what nn computes gradients for, optim updates and safetensors stores. The one type
 * that these modules share. */
#ifndef DESCENT_BASE_PARAM_H
#define DESCENT_BASE_PARAM_H

#include <stdint.h>

/* float32, except where a test builds optim/ in double to compare it with reference vectors. */
#ifndef DESCENT_REAL
#define DESCENT_REAL float
#endif
typedef DESCENT_REAL descent_real;

enum descent_param_kind {
    DESCENT_WEIGHT, /* matrices and convolution kernels */
    DESCENT_BIAS,
    DESCENT_NORM,   /* scale and shift of a normalization */
    DESCENT_BUFFER, /* running statistics: stored with the model, never optimized; grad is NULL */
};

enum descent_param_role {
    DESCENT_ROLE_HIDDEN,
    DESCENT_ROLE_OUTPUT, /* belongs to the layer that makes the network's output */
};

enum { DESCENT_MAX_RANK = 4 };

struct descent_param {
    const char *name; /* "conv1.weight", unique in its network */
    enum descent_param_kind kind;
    enum descent_param_role role;
    int rank;
    int64_t shape[DESCENT_MAX_RANK]; /* PyTorch's layouts: convolution out x in x height x width, dense out
                                        x in */
    int64_t size;                    /* product of shape */
    descent_real *value;             /* `size` numbers, row-major */
    descent_real *grad;              /* same layout, accumulated until cleared; NULL: frozen, or a buffer */
    uint64_t version; /* whoever changes `value` adds 1, so that what was packed from it is rebuilt */
};

#endif
