/* The tile of gather.h, once for each size: R and V are constants in each copy, so sums stay in registers.
 */
#include "nn/gather.h"

/* Pixels in a tile of V vectors: as many accumulators as the registers hold beside V weights and a
 * broadcast. */
#if defined(__AVX512F__)
enum { TILE_1 = 12, TILE_2 = 12 };
#else
enum { TILE_1 = 12, TILE_2 = 6 };
#endif

NN_INLINE void store(const struct nn_gather *g, float *out, nn_vector value, int lanes)
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
NN_INLINE void tile(const int R, const int V, const struct nn_gather *g, const float *in, float *out)
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
            store(g, out + r * g->out_pixel + v * NN_LANES, sum[r][v], g->lanes - v * NN_LANES);
}

/* Tiles of nearly equal size. */
void nn_gather_row(const struct nn_gather *g, const float *in, float *out, int width)
{
    int most = g->vectors > 1 ? TILE_2 : TILE_1, tiles = (width + most - 1) / most;
    for (int t = 0, begin = 0, end; t < tiles; t++, begin = end) {
        end = (int)((long)width * (t + 1) / tiles);
        const float *from = in + begin * g->in_pixel;
        float *to = out + begin * g->out_pixel;
        switch (g->vectors * 16 + end - begin) {
#define CASE(R, V)                                                                                         \
    case V * 16 + R:                                                                                       \
        tile(R, V, g, from, to);                                                                           \
        break;
            CASE(1, 1)
            CASE(2, 1)
            CASE(3, 1)
            CASE(4, 1)
            CASE(5, 1)
            CASE(6, 1)
            CASE(7, 1)
            CASE(8, 1)
            CASE(9, 1)
            CASE(10, 1)
            CASE(11, 1)
            CASE(12, 1)
            CASE(1, 2)
            CASE(2, 2)
            CASE(3, 2)
            CASE(4, 2)
            CASE(5, 2)
            CASE(6, 2)
#if defined(__AVX512F__)
            CASE(7, 2)
            CASE(8, 2)
            CASE(9, 2)
            CASE(10, 2)
            CASE(11, 2)
            CASE(12, 2)
#endif
#undef CASE
        }
    }
}
