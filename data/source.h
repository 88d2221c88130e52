/* What a file format gives the rest of data/: a source of samples for each part. A new format is one file
 * that fills in a struct data_format, and its row in the table of data/dataset.c. */
#ifndef DESCENT_DATA_SOURCE_H
#define DESCENT_DATA_SOURCE_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The largest height and width; with at most 4 channels, the numbers of an image always fit an int. */
enum { DATA_MAX_SIDE = 16384 };

/* The samples of one part, all of one size. A format that does not hold them in memory embeds this as its
 * first member. */
struct data_source {
    int64_t count;
    int height, width, channels;
    const int32_t *labels; /* `count` classes */

    /* Copies sample i to `bytes`, height x width x channels. Runs on several threads at once. */
    enum descent_status (*read)(const struct data_source *source, int64_t i, uint8_t *bytes);
    void (*free)(struct data_source *source);
};

static inline size_t data_source_sample_bytes(const struct data_source *source)
{
    return (size_t)source->height * (size_t)source->width * (size_t)source->channels;
}

static inline void data_source_free(struct data_source *source)
{
    if (source)
        source->free(source);
}

/* Samples held in memory. bytes (count x height x width x channels) and labels (count) come from malloc and
 * are the source's from here on, also on failure: NULL when out of memory. */
struct data_source *data_source_in_memory(int64_t count, int height, int width, int channels,
                                          uint8_t *bytes, int32_t *labels);

struct data_format {
    const char *expects; /* what a path must hold, for messages */
    bool (*recognize)(const char *path);

    /* On failure both are NULL, and the message names the file. */
    enum descent_status (*open)(const char *path, struct data_source **train, struct data_source **test);
};

extern const struct data_format data_format_idx;

#endif
