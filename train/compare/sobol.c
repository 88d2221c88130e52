/* Sobol's sequence in the order of Gray codes (Antonov & Saleev 1979) with the direction numbers of Joe &
 * Kuo (SIAM J. Sci. Comput. 30, 2008, file new-joe-kuo-6.21201), and Owen's nested uniform scrambling
 * (MCQMC 1995), done literally: every bit is flipped or not by a random bit of its own that belongs to the
 * bits before it. */
#include "train/compare/sobol.h"

#include "base/random.h"

#include <assert.h>

enum { BITS = 32, LARGEST_DEGREE = 7 };

/* A primitive polynomial over GF(2), a bit a coefficient, and the first direction numbers, as many as its
 * degree. The first dimension has none: all its direction numbers are 1. */
static const struct {
    uint8_t polynomial, direction[LARGEST_DEGREE];
} table[SOBOL_DIMENSIONS] = {
    {1, {0}},
    {3, {1}},
    {7, {1, 3}},
    {11, {1, 3, 1}},
    {13, {1, 1, 1}},
    {19, {1, 1, 3, 3}},
    {25, {1, 3, 5, 13}},
    {37, {1, 1, 5, 5, 17}},
    {41, {1, 1, 5, 5, 5}},
    {47, {1, 1, 7, 11, 19}},
    {55, {1, 1, 5, 1, 1}},
    {59, {1, 1, 1, 3, 11}},
    {61, {1, 3, 5, 5, 31}},
    {67, {1, 3, 3, 9, 7, 49}},
    {91, {1, 1, 1, 15, 21, 21}},
    {97, {1, 3, 1, 13, 27, 49}},
    {103, {1, 1, 1, 15, 7, 5}},
    {109, {1, 3, 1, 15, 13, 25}},
    {115, {1, 1, 5, 5, 19, 61}},
    {131, {1, 3, 7, 11, 23, 15, 103}},
    {137, {1, 3, 7, 13, 13, 15, 69}},
};

uint32_t sobol_coordinate(int dimension, uint32_t index)
{
    const uint32_t polynomial = table[dimension].polynomial;
    int degree = 0;
    while (polynomial >> (degree + 1))
        degree++;

    /* v_j = a_1 v_(j-1) ^ ... ^ a_(s-1) v_(j-s+1) ^ v_(j-s) ^ v_(j-s) >> s, s the degree */
    uint32_t v[BITS];
    for (int j = 0; j < BITS; j++) {
        if (j < degree || degree == 0) {
            v[j] = (degree ? table[dimension].direction[j] : 1u) << (BITS - 1 - j);
            continue;
        }
        v[j] = v[j - degree] ^ v[j - degree] >> degree;
        for (int k = 1; k < degree; k++)
            if (polynomial >> (degree - k) & 1)
                v[j] ^= v[j - k];
    }

    uint32_t x = 0;
    for (uint32_t gray = index ^ index >> 1, j = 0; gray; gray >>= 1, j++)
        if (gray & 1)
            x ^= v[j];
    return x;
}

/* Bit by bit from the most significant one; the random bits sit at the nodes of a binary tree, numbered
 * like a heap: 1 is the root, the children of n are 2n and 2n + 1. */
static uint32_t scramble(const struct descent_random *random, uint32_t x)
{
    uint32_t scrambled = 0;
    uint64_t node = 1;
    for (int bit = BITS - 1; bit >= 0; bit--) {
        uint32_t flips[4];
        descent_random_block(random, node, flips);
        scrambled |= ((x >> bit ^ flips[0]) & 1) << bit;
        node = node << 1 | (x >> bit & 1);
    }
    return scrambled;
}

void sobol_point(uint64_t seed, int index, int dimensions, double *point)
{
    assert(index >= 0 && dimensions >= 0 && dimensions <= SOBOL_DIMENSIONS);
    for (int i = 0; i < dimensions; i++) {
        struct descent_random random = descent_random_new(seed, DESCENT_RANDOM_SOBOL, (uint64_t)i);
        uint32_t x = scramble(&random, sobol_coordinate(i, (uint32_t)index));
        point[i] = (x + 0.5) * 0x1p-32; /* the middle of the cell: never 0 or 1 */
    }
}
