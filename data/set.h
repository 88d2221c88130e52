/* What data/'s own files know of a data set and of a view. */
#ifndef DESCENT_DATA_SET_H
#define DESCENT_DATA_SET_H

#include "base/memory.h"
#include "data/data.h"
#include "data/source.h"

struct data_set {
    struct data_info info;
    struct descent_arena *arena; /* of the set itself and its strings */
    struct data_source *train, *test;
    float normalized[DATA_MAX_CHANNELS][256]; /* what each byte becomes */
};

struct data_view {
    const struct data_set *set;
    const struct data_source *source;
    uint32_t count;
    uint32_t index[]; /* samples of `source` */
};

/* Checks the parts against each other and against `known` (or NULL), computes the statistics, and takes
 * over both parts, also on failure. Messages call it `path`. */
enum descent_status data_set_new(const char *name, const char *path, const struct data_known *known,
                                 struct data_source *train, struct data_source *test,
                                 struct data_set **set);

/* Sample i of the view's part as float32, over a scratch of its size in bytes. */
enum descent_status data_decode(const struct data_view *view, uint32_t sample, uint8_t *scratch, float *x);

#endif
