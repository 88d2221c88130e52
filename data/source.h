/* What a file format gives the rest of data/: a source of samples for each part. A new format is one file
 * that exports a const struct data_format, and its line in data/meson.build. */
#ifndef DESCENT_DATA_SOURCE_H
#define DESCENT_DATA_SOURCE_H

#include "base/memory.h"
#include "base/pool.h"
#include "base/spec.h"
#include "data/data.h"

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
    const int32_t *labels; /* `count` classes; all 0 where targets are numbers ... */
    const double *targets; /* ... then count x target_count of them, finite in float32; else NULL */
    int target_count;

    /* Copies sample i to `bytes`, height x width x channels. Any number of threads may call it at once; it
     * may wait for a disk or a decoder, so that several threads are faster than one. */
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

/* Gives a source in memory numbers to predict in place of classes: count x target_count of them, from
 * malloc and the source's from here on. */
void data_source_add_targets(struct data_source *source, double *targets, int target_count);

bool data_source_is_in_memory(const struct data_source *source);

/* Counts how often each value occurs in each channel of a sample of `size` bytes. */
static inline void data_count_values(uint64_t (*counts)[256], const uint8_t *bytes, size_t size,
                                     size_t channels)
{
    for (size_t k = 0; k < size; k += channels)
        for (size_t c = 0; c < channels; c++)
            counts[c][bytes[k + c]]++;
}

/* What a format finds. Whoever made it owns it: data_parts_free. */
struct data_parts {
    struct descent_arena *arena; /* of the strings and arrays below */
    struct data_source *train, *test;
    const char *name; /* of the set where its content tells: "cifar-10"; NULL: its path does */
    int classes;      /* 0: as many as the largest label says */
    const char *const *class_names; /* NULL: the numbers */
    const struct data_file *files;
    int file_count;
    double scale; /* of floating-point pixels (data/array.h), as the training part has it; 0: not known */
    int64_t skipped;           /* samples left out because they could not be decoded */
    const char *skipped_first; /* what was wrong with the first of them, or NULL */
    /* How often each value occurs in each channel of the training part, where the format has counted while
     * it read; NULL: data_set_new reads the part once more. */
    uint64_t (*counts)[256];
};

void data_parts_free(struct data_parts *parts);

struct data_request {
    const char *path;
    const struct descent_value *options; /* by the format's table */
    bool skip_bad;                       /* leave out samples that cannot be decoded */
    struct descent_pool *pool;           /* decodes in parallel; may be NULL */
};

struct data_format {
    struct data_format_info info;
    bool (*recognize)(const char *path);

    /* Fills in `parts`, which holds an arena and nothing else. On failure the caller frees what it holds,
     * and the message names the file. */
    enum descent_status (*open)(const struct data_request *request, struct data_parts *parts);
};

enum { DATA_FORMAT_OPTIONS = 8 }; /* at most, in a format's table */

#endif
