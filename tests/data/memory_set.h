/* Data sets made in memory, each of whose samples tells its number. */
#ifndef DESCENT_TESTS_DATA_MEMORY_SET_H
#define DESCENT_TESTS_DATA_MEMORY_SET_H

#include "data/set.h"
#include "tests/test.h"

#include <math.h>
#include <stdlib.h>

/* `count` images of height x width x 3; sample i has class labels[i] (or i modulo 10), its first two bytes
 * are i in base 256, the others a mixture. */
static inline struct data_source *memory_source(int64_t count, int height, int width, const int32_t *labels)
{
    size_t size = (size_t)height * (size_t)width * 3;
    uint8_t *bytes = malloc((size_t)count * size);
    int32_t *classes = malloc((size_t)count * sizeof *classes);
    assert_true(bytes && classes);
    for (int64_t i = 0; i < count; i++) {
        for (size_t k = 0; k < size; k++)
            bytes[(size_t)i * size + k] = (uint8_t)((uint64_t)(i + 1) * (k + 3) * 2654435761U >> 16);
        bytes[(size_t)i * size] = (uint8_t)i;
        bytes[(size_t)i * size + 1] = (uint8_t)(i >> 8);
        classes[i] = labels ? labels[i] : (int32_t)(i % 10);
    }
    struct data_source *source = data_source_in_memory(count, height, width, 3, bytes, classes);
    assert_non_null(source);
    return source;
}

static inline struct data_set *memory_set(int64_t count, int height, int width, const int32_t *labels)
{
    struct data_set *set;
    struct data_parts parts = {.train = memory_source(count, height, width, labels),
                               .test = memory_source(5, height, width, NULL)};
    assert_int_equal(data_set_new("made", "made up", &parts, &set), DESCENT_OK);
    return set;
}

/* The byte that channel c's normalized number stands for. */
static inline int byte_of(const struct data_set *set, int c, float x)
{
    const struct data_info *info = data_describe(set);
    return (int)lround(((double)x * (double)info->deviation[c] + (double)info->mean[c]) * 255);
}

/* The number of a decoded sample. */
static inline int64_t number_of(const struct data_set *set, const float *x)
{
    return byte_of(set, 0, x[0]) + 256 * byte_of(set, 1, x[1]);
}

#endif
