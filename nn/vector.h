/* Vectors of floats, as wide as the instruction set this copy of the file is compiled for. No intrinsics:
 * GCC and Clang turn vector types into whatever the machine has. */
#ifndef DESCENT_NN_VECTOR_H
#define DESCENT_NN_VECTOR_H

#if defined(__AVX512F__)
#define NN_VECTOR_BYTES 64
#elif defined(__AVX__)
#define NN_VECTOR_BYTES 32
#else
#define NN_VECTOR_BYTES 16
#endif

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum { NN_LANES = NN_VECTOR_BYTES / 4 };

/* Loads and stores through this type may be unaligned and may alias floats. */
typedef float nn_vector __attribute__((vector_size(NN_VECTOR_BYTES), aligned(4), may_alias));

/* A lane of ones or zeros for each lane of a comparison. */
typedef int32_t nn_mask __attribute__((vector_size(NN_VECTOR_BYTES)));

#define NN_INLINE static inline __attribute__((always_inline))

/* `count` floats rounded up to whole vectors. */
NN_INLINE int64_t nn_whole_vectors(int64_t count)
{
    return (count + NN_LANES - 1) / NN_LANES * NN_LANES;
}

NN_INLINE nn_vector nn_vector_load(const float *from)
{
    return *(const nn_vector *)from;
}

NN_INLINE void nn_vector_store(float *to, nn_vector value)
{
    *(nn_vector *)to = value;
}

NN_INLINE nn_vector nn_vector_all(float value)
{
    return value - (nn_vector){0};
}

/* Loads and stores of `count` > 0 floats, the lanes past them 0 and left alone: for the ends of rows. */
NN_INLINE nn_vector nn_vector_load_part(const float *from, int64_t count)
{
    if (count >= NN_LANES)
        return nn_vector_load(from);
    nn_vector value = {0};
    memcpy(&value, from, (size_t)count * sizeof *from);
    return value;
}

NN_INLINE void nn_vector_store_part(float *to, nn_vector value, int64_t count)
{
    if (count >= NN_LANES)
        nn_vector_store(to, value);
    else
        memcpy(to, &value, (size_t)count * sizeof *to);
}

/* to = value or, with `add`, to += value: how a gradient arrives */
NN_INLINE void nn_vector_put(float *to, bool add, nn_vector value, int64_t count)
{
    if (add)
        value += nn_vector_load_part(to, count);
    nn_vector_store_part(to, value, count);
}

NN_INLINE float nn_vector_sum(nn_vector value)
{
    float sum = 0;
    for (int k = 0; k < NN_LANES; k++)
        sum += value[k];
    return sum;
}

NN_INLINE nn_mask nn_mask_load(const int32_t *from)
{
    nn_mask mask;
    memcpy(&mask, from, sizeof mask);
    return mask;
}

/* value where the mask is set, else 0 */
NN_INLINE nn_vector nn_vector_and(nn_vector value, nn_mask mask)
{
    return (nn_vector)((nn_mask)value & mask);
}

/* Set in the first `lanes` lanes. */
NN_INLINE nn_mask nn_mask_first(int lanes)
{
    static const int32_t index[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    return nn_mask_load(index) < lanes;
}

/* The first `lanes` lanes of value, zeros behind them. */
NN_INLINE nn_vector nn_vector_first(nn_vector value, int lanes)
{
    return nn_vector_and(value, nn_mask_first(lanes));
}

/* mask ? a : b, lane by lane */
NN_INLINE nn_vector nn_vector_select(nn_mask mask, nn_vector a, nn_vector b)
{
    return (nn_vector)(((nn_mask)a & mask) | ((nn_mask)b & ~mask));
}

typedef float nn_quad __attribute__((vector_size(16), aligned(4), may_alias));

#ifdef __clang__
#define NN_SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define NN_SHUFFLE(a, b, ...)                                                                              \
    __builtin_shuffle(a, b, (int32_t __attribute__((vector_size(16)))){__VA_ARGS__})
#endif

/* to[c][r] = from[r][c] for 4 rows and columns, pitches in floats */
NN_INLINE void nn_transpose_4x4(const float *from, int64_t from_pitch, float *to, int64_t to_pitch)
{
    nn_quad a, b, c, d;
    a = *(const nn_quad *)from, b = *(const nn_quad *)(from + from_pitch);
    c = *(const nn_quad *)(from + 2 * from_pitch), d = *(const nn_quad *)(from + 3 * from_pitch);
    nn_quad ab = NN_SHUFFLE(a, b, 0, 4, 1, 5), cd = NN_SHUFFLE(c, d, 0, 4, 1, 5);
    *(nn_quad *)to = NN_SHUFFLE(ab, cd, 0, 1, 4, 5);
    *(nn_quad *)(to + to_pitch) = NN_SHUFFLE(ab, cd, 2, 3, 6, 7);
    ab = NN_SHUFFLE(a, b, 2, 6, 3, 7), cd = NN_SHUFFLE(c, d, 2, 6, 3, 7);
    *(nn_quad *)(to + 2 * to_pitch) = NN_SHUFFLE(ab, cd, 0, 1, 4, 5);
    *(nn_quad *)(to + 3 * to_pitch) = NN_SHUFFLE(ab, cd, 2, 3, 6, 7);
}

/* to[c][r] = from[r][c], pitches in floats */
NN_INLINE void nn_transpose(const float *from, int64_t from_pitch, int64_t rows, int64_t columns, float *to,
                            int64_t to_pitch)
{
    int64_t whole_rows = rows / 4 * 4, whole_columns = columns / 4 * 4;
    for (int64_t c = 0; c < whole_columns; c += 4)
        for (int64_t r = 0; r < whole_rows; r += 4)
            nn_transpose_4x4(from + r * from_pitch + c, from_pitch, to + c * to_pitch + r, to_pitch);
    for (int64_t c = 0; c < columns; c++)
        for (int64_t r = c < whole_columns ? whole_rows : 0; r < rows; r++)
            to[c * to_pitch + r] = from[r * from_pitch + c];
}

/* ReLU, lane by lane; NaN stays NaN. */
NN_INLINE nn_vector nn_vector_relu(nn_vector value)
{
    return nn_vector_and(value, ~(value < 0));
}

#endif
