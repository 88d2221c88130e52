/* Counter-based random numbers: Philox 4x32-10
 * (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011).
 *
 * A number is a pure function of (seed, purpose, stream, index): nothing depends on who asks first, on the
 * number of threads, or on what was drawn before, and a checkpoint stores a position, not a generator. */
#ifndef DESCENT_BASE_RANDOM_H
#define DESCENT_BASE_RANDOM_H

#include <stdint.h>

/* What the numbers are for. Equal seeds give independent numbers for different purposes. The values are
 * part of the promise "same seed, same run": append, never renumber. */
enum descent_purpose {
    DESCENT_RANDOM_INIT = 1, /* initial weights; stream = hash of the parameter's name */
    DESCENT_RANDOM_SHUFFLE,  /* order of an epoch; stream = epoch */
    DESCENT_RANDOM_SPLIT,    /* training/validation split */
    DESCENT_RANDOM_DROPOUT,  /* masks; stream = step and layer */
    DESCENT_RANDOM_AUGMENT,
    DESCENT_RANDOM_TEST,
    DESCENT_RANDOM_PROBE,     /* signs; seed = hash of a parameter's name, stream = step */
    DESCENT_RANDOM_LABELS,    /* drawn from a model's predictions; stream = pass */
    DESCENT_RANDOM_SURFACE,   /* noise on a surface's gradient; stream = step */
    DESCENT_RANDOM_SOBOL,     /* scrambling; stream = dimension */
    DESCENT_RANDOM_BOOTSTRAP, /* resamples; stream = what is resampled */
    DESCENT_RANDOM_DIRECTION, /* through weights; stream = hash of a parameter's name + which */
    DESCENT_RANDOM_SUBSET,    /* some images of many */
};

/* A source is a value: copy it freely. `next` is the position of the sequential calls below. */
struct descent_random {
    uint32_t key[2];
    uint32_t stream[2];
    uint64_t next;
};

struct descent_random descent_random_new(uint64_t seed, enum descent_purpose purpose, uint64_t stream);

/* Four random 32-bit words at `index`; does not touch `next`. */
void descent_random_block(const struct descent_random *random, uint64_t index, uint32_t out[4]);

/* Sequential draws; each uses one block and advances `next` by one. */
double descent_random_uniform(struct descent_random *random); /* in [0, 1), 53 bits */
double descent_random_normal(struct descent_random *random);  /* mean 0, deviation 1 (Box-Muller) */

/* In [0, bound), bound > 0, unbiased: with probability (bound / 2^64)^2 at most, it takes another block. */
uint64_t descent_random_below(struct descent_random *random, uint64_t bound);

/* Uniform random permutation of the `count` elements of `order`, in place (Fisher-Yates). */
void descent_random_shuffle(struct descent_random *random, uint32_t *order, uint32_t count);

/* FNV-1a hash of a string, for streams keyed by a name. */
uint64_t descent_hash(const char *text);

#endif
