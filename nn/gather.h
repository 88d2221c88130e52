/* The register tile behind convolutions: R neighboring output pixels x V vectors of output channels,
 * accumulated over taps.
 *
 *     out[r][k] = bias[k] + sum over taps t, q < run: in[r * in_pixel + tap[t].in + q] *
 * weight[tap[t].weight + q * V lanes + k]
 *
 * Forward and input-gradient of a convolution are both such gathers over NHWC rows with packed weights
 * (direct convolution, without im2col; Georganas et al. 2018, arXiv 1808.05567). */
#ifndef DESCENT_NN_GATHER_H
#define DESCENT_NN_GATHER_H

#include "nn/vector.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* Pixels in a tile of V vectors: as many accumulators as the registers hold beside V weights and a
 * broadcast. */
#if defined(__AVX512F__)
enum { NN_TILE_1 = 12, NN_TILE_2 = 12 };
#else
enum { NN_TILE_1 = 12, NN_TILE_2 = 6 };
#endif

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

NN_INLINE void nn_gather_store(const struct nn_gather *g, float *out, nn_vector value, int lanes)
{
    float spill[NN_LANES];
    if (g->add && (lanes >= NN_LANES || g->hangs))
        value += nn_vector_load(out); /* lanes that hang over are 0, so what they add to stays */
    if (g->relu)
        value = nn_vector_relu(value);
    if (lanes >= NN_LANES || g->hangs) {
        nn_vector_store(out, value);
        return;
    }
    nn_vector_store(spill, value);
    for (int k = 0; k < lanes; k++)
        out[k] = g->add ? out[k] + spill[k] : spill[k];
}

/* R and V are constants where this is inlined. */
NN_INLINE void nn_gather_tile(const int R, const int V, const struct nn_gather *g, const float *in,
                              float *out)
{
    nn_vector sum[12][2];
    const ptrdiff_t pixel = g->in_pixel;
    for (int r = 0; r < R; r++)
        for (int v = 0; v < V; v++)
            sum[r][v] = g->bias ? nn_vector_load(g->bias + v * NN_LANES) : (nn_vector){0};
    for (int t = 0; t < g->taps; t++) {
        const float *x = in + g->tap[t].in, *w = g->weight + g->tap[t].weight;
        for (int q = 0; q < g->run; q++, x++, w += V * NN_LANES) {
            nn_vector w0 = nn_vector_load(w), w1 = V > 1 ? nn_vector_load(w + NN_LANES) : w0;
            for (int r = 0; r < R; r++) {
                float value = x[r * pixel];
                sum[r][0] += value * w0;
                if (V > 1)
                    sum[r][1] += value * w1;
            }
        }
    }
    for (int r = 0; r < R; r++)
        for (int v = 0; v < V; v++)
            nn_gather_store(g, out + r * g->out_pixel + v * NN_LANES, sum[r][v], g->lanes - v * NN_LANES);
}

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

/* One row of `width` output pixels, in tiles of nearly equal size. */
static inline void nn_gather_row(const struct nn_gather *g, const float *in, float *out, int width)
{
    int most = g->vectors > 1 ? NN_TILE_2 : NN_TILE_1, tiles = (width + most - 1) / most;
    for (int t = 0, begin = 0, end; t < tiles; t++, begin = end) {
        end = (int)((long)width * (t + 1) / tiles);
        const float *from = in + begin * g->in_pixel;
        float *to = out + begin * g->out_pixel;
        switch (g->vectors * 16 + end - begin) {
#define NN_CASE(R, V)                                                                                      \
    case V * 16 + R:                                                                                       \
        nn_gather_tile(R, V, g, from, to);                                                                 \
        break;
            NN_CASE(1, 1)
            NN_CASE(2, 1)
            NN_CASE(3, 1)
            NN_CASE(4, 1)
            NN_CASE(5, 1)
            NN_CASE(6, 1)
            NN_CASE(7, 1)
            NN_CASE(8, 1)
            NN_CASE(9, 1)
            NN_CASE(10, 1)
            NN_CASE(11, 1)
            NN_CASE(12, 1)
            NN_CASE(1, 2)
            NN_CASE(2, 2)
            NN_CASE(3, 2)
            NN_CASE(4, 2)
            NN_CASE(5, 2)
            NN_CASE(6, 2)
#if defined(__AVX512F__)
            NN_CASE(7, 2)
            NN_CASE(8, 2)
            NN_CASE(9, 2)
            NN_CASE(10, 2)
            NN_CASE(11, 2)
            NN_CASE(12, 2)
#endif
#undef NN_CASE
        }
    }
}

#endif
