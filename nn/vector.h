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

/* The first `lanes` lanes of value, zeros behind them. */
NN_INLINE nn_vector nn_vector_first(nn_vector value, int lanes)
{
    static const int32_t index[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    return nn_vector_and(value, nn_mask_load(index) < lanes);
}

/* mask ? a : b, lane by lane */
NN_INLINE nn_vector nn_vector_select(nn_mask mask, nn_vector a, nn_vector b)
{
    return (nn_vector)(((nn_mask)a & mask) | ((nn_mask)b & ~mask));
}

/* ReLU, lane by lane; NaN stays NaN. */
NN_INLINE nn_vector nn_vector_relu(nn_vector value)
{
    return nn_vector_and(value, ~(value < 0));
}

#endif
