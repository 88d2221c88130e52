/* Scrambled Sobol points: the trials of a search space. */
#ifndef DESCENT_TRAIN_COMPARE_SOBOL_H
#define DESCENT_TRAIN_COMPARE_SOBOL_H

#include <stdint.h>

enum { SOBOL_DIMENSIONS = 21 };

/* The index-th (from 0) point of the scrambled sequence of this seed, in (0, 1)^dimensions. The first 2^k
 * points have one point in each of the 2^k equal intervals of every coordinate. dimensions is at most
 * SOBOL_DIMENSIONS, index not negative. */
void sobol_point(uint64_t seed, int index, int dimensions, double *point);

/* The same coordinate before scrambling, times 2^32. */
uint32_t sobol_coordinate(int dimension, uint32_t index);

#endif
