/* Between HWC and CHW order. */
#ifndef DESCENT_NN_OPS_TRANSPOSE_H
#define DESCENT_NN_OPS_TRANSPOSE_H

#include <stdint.h>

/* to: columns x rows; from: rows x columns. In tiles, so that both sides stay within a few cache lines. */
static inline void transpose(float *restrict to, const float *restrict from, int64_t rows, int64_t columns)
{
    enum { TILE = 16 };
    for (int64_t r = 0; r < rows; r += TILE)
        for (int64_t c = 0; c < columns; c += TILE)
            for (int64_t j = c; j < columns && j < c + TILE; j++)
                for (int64_t i = r; i < rows && i < r + TILE; i++)
                    to[j * rows + i] = from[i * columns + j];
}

#endif
