/* Augmentations, seen from inside data/. How to write one: a file under augment/ with a `const struct
 * data_augmentation data_augmentation_NAME`, and its name in meson.build. Most change the bytes of one
 * image; a mixer makes one of two normalized images and of their labels. */
#ifndef DESCENT_DATA_AUGMENT_H
#define DESCENT_DATA_AUGMENT_H

#include "base/random.h"
#include "data/data.h"

#include <stddef.h>

enum { DATA_AUGMENT_OPTIONS = 8 }; /* at most, of one augmentation */

/* An image on its way, height x width x channels bytes. Whoever cannot work in place fills `spare`, all of
 * it, and calls data_image_swap. */
struct data_image {
    int height, width, channels;
    uint8_t *bytes, *spare;
    const uint8_t *mean; /* of each channel over the training set, to fill with */
    int64_t epoch;
    struct descent_random random; /* of this sample in this epoch; each augmentation draws what it needs */
    struct descent_random fixed;  /* of this sample in every epoch */
};

static inline void data_image_swap(struct data_image *image)
{
    uint8_t *bytes = image->bytes;
    image->bytes = image->spare;
    image->spare = bytes;
}

static inline size_t data_image_bytes(const struct data_image *image)
{
    return (size_t)image->height * (size_t)image->width * (size_t)image->channels;
}

/* What a mixer is given: x becomes a mixture of itself and `other`, both normalized. */
struct data_mixture {
    int height, width, channels;
    float *x;
    const float *other;
    struct descent_random random;
};

struct data_augmentation {
    struct data_augmentation_info info;

    /* Whether the options serve images of this size, or NULL; fails with DESCENT_BAD_ARGUMENT. */
    enum descent_status (*check)(const struct descent_value *values, int height, int width);

    /* One of the two. `mix` returns the share of the image itself, 0 .. 1. */
    void (*apply)(const struct descent_value *values, struct data_image *image);
    double (*mix)(const struct descent_value *values, struct data_mixture *mixture);
};

/* Whether something that happens with chance p happens. */
static inline bool data_chance(struct descent_random *random, double p)
{
    return descent_random_uniform(random) < p;
}

/* Uniform in [low, high), and uniform among 0 .. bound - 1. */
static inline double data_between(struct descent_random *random, double low, double high)
{
    return low + (high - low) * descent_random_uniform(random);
}

static inline int data_below(struct descent_random *random, int bound)
{
    return (int)descent_random_below(random, (uint64_t)bound);
}

#define DATA_CHANCE(initial_, help_)                                                                       \
    {                                                                                                      \
        .name = "p", .type = DESCENT_OPTION_REAL, .initial = initial_, .max = 1, .help = help_             \
    }

/* What takes the place of pixels that are not there. */
enum data_fill { DATA_FILL_ZERO, DATA_FILL_MEAN };
#define DATA_FILL_CHOICES "zero|mean"

static inline uint8_t data_fill_byte(enum data_fill fill, const struct data_image *image, int channel)
{
    return fill == DATA_FILL_MEAN ? image->mean[channel] : 0;
}

/* A spec's augmentations, one after the other. Changes nothing once made: any number of threads may use it.
 */
struct data_augment;

/* For images of the set. NULL on failure. */
struct data_augment *data_augment_new(const char *spec, const struct data_info *info);
void data_augment_free(struct data_augment *augment);

bool data_augment_mixes(const struct data_augment *augment);
void data_augment_apply(const struct data_augment *augment, struct data_image *image);
double data_augment_mix(const struct data_augment *augment, struct data_mixture *mixture);

#endif
