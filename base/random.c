/* Philox 4x32-10 as published with Random123 (Salmon, Moraes, Dror, Shaw, SC 2011, section 4.3) and the few
 * distributions training needs. Not for cryptography. */
#include "base/random.h"

#include <assert.h>
#include <math.h>

enum { PHILOX_ROUNDS = 10 };

/* The finalizer of SplitMix64 (Steele, Lea, Flood, OOPSLA 2014): a bijection, so no two seeds share a key.
 */
static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

struct descent_random descent_random_new(uint64_t seed, enum descent_purpose purpose, uint64_t stream)
{
    const uint64_t golden = 0x9e3779b97f4a7c15u; /* 2^64 / golden ratio */
    uint64_t key = mix(mix(seed + golden) + golden * (uint64_t)purpose);
    return (struct descent_random){
        .key = {(uint32_t)key, (uint32_t)(key >> 32)},
        .stream = {(uint32_t)stream, (uint32_t)(stream >> 32)},
    };
}

void descent_random_block(const struct descent_random *random, uint64_t index, uint32_t out[4])
{
    uint32_t c0 = (uint32_t)index, c1 = (uint32_t)(index >> 32), c2 = random->stream[0],
             c3 = random->stream[1];
    uint32_t k0 = random->key[0], k1 = random->key[1];
    for (int round = 0; round < PHILOX_ROUNDS; round++) {
        uint64_t p0 = (uint64_t)0xd2511f53u * c0, p1 = (uint64_t)0xcd9e8d57u * c2;
        c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
        c1 = (uint32_t)p1;
        c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c3 = (uint32_t)p0;
        k0 += 0x9e3779b9u; /* golden ratio */
        k1 += 0xbb67ae85u; /* sqrt(3) - 1 */
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

/* The next block as two 64-bit words. */
static void next_words(struct descent_random *random, uint64_t word[2])
{
    uint32_t block[4];
    descent_random_block(random, random->next++, block);
    word[0] = (uint64_t)block[1] << 32 | block[0];
    word[1] = (uint64_t)block[3] << 32 | block[2];
}

static double unit(uint64_t word)
{
    return (double)(word >> 11) * 0x1p-53;
}

double descent_random_uniform(struct descent_random *random)
{
    uint64_t word[2];
    next_words(random, word);
    return unit(word[0]);
}

double descent_random_normal(struct descent_random *random)
{
    const double two_pi = 6.283185307179586476925;
    uint64_t word[2];
    next_words(random, word);
    return sqrt(-2 * log(1 - unit(word[0]))) * cos(two_pi * unit(word[1])); /* 1 - u is in (0, 1] */
}

uint64_t descent_random_below(struct descent_random *random, uint64_t bound)
{
    assert(bound > 0);
    uint64_t excess =
        -bound % bound; /* 2^64 mod bound: so many words must be refused to leave a multiple of bound */
    for (;;) {
        uint64_t word[2];
        next_words(random, word);
        for (int i = 0; i < 2; i++)
            if (word[i] >= excess)
                return word[i] % bound;
    }
}

void descent_random_shuffle(struct descent_random *random, uint32_t *order, uint32_t count)
{
    for (uint32_t left = count; left > 1; left--) {
        uint32_t pick = (uint32_t)descent_random_below(random, left);
        uint32_t last = order[left - 1];
        order[left - 1] = order[pick];
        order[pick] = last;
    }
}

uint64_t descent_hash(const char *text)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (; *text; text++)
        hash = (hash ^ (unsigned char)*text) * 0x100000001b3u;
    return hash;
}
