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

/* Where nothing may be written behind the last lane. */
static __attribute__((noinline)) void store_part(const struct nn_gather *g, float *out, nn_vector value,
                                                 int lanes)
{
    if (lanes <= 0)
        return;
    if (g->add)
        value += nn_vector_load_part(out, lanes);
    nn_vector_store_part(out, g->relu ? nn_vector_relu(value) : value, lanes);
}

/* DO for every pixel r and vector v of the largest tile. Unrolled by hand: sums indexed by a loop, which is
 * unrolled late if at all, would be kept in memory before and after the taps. */
#define EACH(DO)                                                                                           \
    EACH_VECTOR(DO, 0)                                                                                     \
    EACH_VECTOR(DO, 1)                                                                                     \
    EACH_VECTOR(DO, 2)                                                                                     \
    EACH_VECTOR(DO, 3)                                                                                     \
    EACH_VECTOR(DO, 4)                                                                                     \
    EACH_VECTOR(DO, 5)                                                                                     \
    EACH_VECTOR(DO, 6)                                                                                     \
    EACH_VECTOR(DO, 7)                                                                                     \
    EACH_VECTOR(DO, 8)                                                                                     \
    EACH_VECTOR(DO, 9)                                                                                     \
    EACH_VECTOR(DO, 10)                                                                                    \
    EACH_VECTOR(DO, 11)
#define EACH_VECTOR(DO, r)                                                                                 \
    if (r < R) {                                                                                           \
        DO(r, 0);                                                                                          \
        if (V > 1)                                                                                         \
            DO(r, 1);                                                                                      \
    }

/* R and V are constants where this is inlined. */
NN_INLINE void tile(const int R, const int V, const struct nn_gather *g, const float *in, float *out)
{
    nn_vector sum[12][2];
    const ptrdiff_t pixel = g->in_pixel, out_pixel = g->out_pixel;
#define OUT(r, v)   (out + r * out_pixel + v * NN_LANES)
#define START(r, v) sum[r][v] = g->bias ? nn_vector_load(g->bias + v * NN_LANES) : (nn_vector){0}
    EACH(START)
    for (const struct nn_tap *tap = g->tap, *end = tap + g->taps; tap < end; tap++) {
        const float *x = in + tap->in, *w = g->weight + tap->weight;
        for (int q = 0; q < g->run; q++, x++, w += V * NN_LANES) {
#define ADD_TAP(r, v) sum[r][v] += x[r * pixel] * nn_vector_load(w + v * NN_LANES)
            EACH(ADD_TAP)
        }
    }
    if (!g->hangs && g->lanes < V * NN_LANES) {
#define STORE_PART(r, v) store_part(g, OUT(r, v), sum[r][v], g->lanes - v * NN_LANES)
        EACH(STORE_PART)
        return;
    }
    if (g->add) { /* lanes that hang over are 0, so what they add to stays */
#define ADD_OUT(r, v) sum[r][v] += nn_vector_load(OUT(r, v))
        EACH(ADD_OUT)
    }
    if (g->relu) {
#define RELU(r, v) sum[r][v] = nn_vector_relu(sum[r][v])
        EACH(RELU)
    }
#define STORE(r, v) nn_vector_store(OUT(r, v), sum[r][v])
    EACH(STORE)
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
