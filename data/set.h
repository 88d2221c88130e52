/* What data/'s own files know of a data set and of a view. */
#ifndef DESCENT_DATA_SET_H
#define DESCENT_DATA_SET_H

#include "base/memory.h"
#include "data/data.h"
#include "data/source.h"

/* A multiple of every number of channels and of the floats in a vector. */
enum { DATA_PERIOD = 48 };

struct data_set {
    struct data_info info;
    struct data_parts parts; /* its arena holds the set, too */
    const struct data_source *train, *test;
    /* A byte becomes scale x + shift, that of its place modulo DATA_PERIOD. */
    float scale[DATA_PERIOD], shift[DATA_PERIOD];
};

struct data_view {
    const struct data_set *set;
    const struct data_source *source;
    uint32_t count;
    uint32_t index[]; /* samples of `source` */
};

/* Checks the parts against each other, computes the statistics, and takes over all that the parts own, also
 * on failure. Messages call the set `path`. */
enum descent_status data_set_new(const char *name, const char *path, struct data_parts *parts,
                                 struct data_set **set);

#endif
