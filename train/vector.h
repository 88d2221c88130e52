/* The weights of a network as one vector: all its trained numbers, parameter after parameter in the order
 * of nn_params. Running statistics are left out: they follow from the weights and from images. */
#ifndef DESCENT_TRAIN_VECTOR_H
#define DESCENT_TRAIN_VECTOR_H

#include "base/param.h"

#include <stdint.h>

/* Its length, the parameters' values into a vector, and back. */
int64_t vector_size(const struct descent_param *param, int count);
void vector_read(const struct descent_param *param, int count, float *vector);
void vector_write(struct descent_param *param, int count, const float *vector);

/* The sum of a_k b_k, in double precision. */
double vector_dot(const float *a, const float *b, int64_t size);

#endif
