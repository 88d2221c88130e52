/* The register tile behind convolutions and dense layers: R neighboring output pixels x V vectors of output
 * channels, accumulated over taps.
 *
 *     out[r][k] = bias[k] + sum over taps t and q < run:
 *                 in[r * in_pixel + tap[t].in + q] * weight[tap[t].weight + q * V lanes + k]
 *
 * Forward and input gradient of a convolution are such gathers over NHWC rows with packed weights (direct
 * convolution, without im2col; Georganas et al. 2018, arXiv 1808.05567); so is a matrix product. */
#ifndef DESCENT_NN_GATHER_H
#define DESCENT_NN_GATHER_H

#include "base/isa.h"
#include "nn/vector.h"

#include <stdbool.h>
#include <stddef.h>

struct nn_tap {
    ptrdiff_t in, weight; /* in floats */
    int row;              /* input row that output row 0 reads; taps are in ascending order of it */
};

struct nn_gather {
    const struct nn_tap *tap;
    int taps, run;
    ptrdiff_t in_pixel, out_pixel; /* from one pixel of the row to the next, in floats */
    const float *weight;
    const float *bias; /* V vectors, or NULL */
    int vectors;       /* V: 1 or 2 */
    int lanes;         /* output channels that exist, at most V * NN_LANES */
    bool add, relu;
    bool hangs; /* the last vector may hang over into the next pixel, which is stored later */
};

/* One row of `width` output pixels. */
#define nn_gather_row DESCENT_FOR_ISA(nn_gather_row)
void nn_gather_row(const struct nn_gather *gather, const float *in, float *out, int width);

/* Leaves out the taps that read input rows outside 0 .. height-1, when the output is `offset` rows below
 * row 0. */
static inline struct nn_gather nn_gather_inside(struct nn_gather g, int offset, int height)
{
    while (g.taps && g.tap->row + offset < 0)
        g.tap++, g.taps--;
    while (g.taps && g.tap[g.taps - 1].row + offset >= height)
        g.taps--;
    return g;
}

#endif
