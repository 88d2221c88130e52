/* A run directory opened again: what was trained, the data set it was trained on, and the weights that came
 * out of it. */
#ifndef DESCENT_TRAIN_REOPEN_H
#define DESCENT_TRAIN_REOPEN_H

#include "base/json.h"
#include "base/status.h"
#include "data/data.h"
#include "data/digest.h"
#include "train/network.h"

#include <limits.h>

struct reopened {
    char path[PATH_MAX];       /* of the directory */
    struct descent_json *json; /* run.json */
    const struct descent_json *config;
    const char *model;            /* its spec, in json */
    struct data_set *set;         /* file for file, by their MD5, what the run found; or NULL */
    struct data_view *train;      /* what it was trained on */
    struct data_view *validation; /* what was held out, or NULL */
    struct data_view *test;
};

/* Reads run.json, and loads the C file that its model may be, with allow_code; without, that is refused
 * (train/extension.h): before there are other threads. DESCENT_NOT_FOUND: no such directory, or no run in
 * it; DESCENT_BAD_FORMAT: not what it should be; DESCENT_MISMATCH: the C file is another than the run's. On
 * failure there is nothing to close. */
enum descent_status reopen_run(const char *path, bool allow_code, struct reopened *run);
void reopened_close(struct reopened *run);

/* Opens the data set, at `data` (NULL: where the run found it), and the views of it. DESCENT_NOT_FOUND: it
 * is not there; DESCENT_MISMATCH: it is another than the run's. Needed by reopened_build. */
enum descent_status reopen_data(struct reopened *run, const char *data, struct descent_pool *pool);

/* Of what run.json says of the data set, but where it was and what was held out of it: two runs with the
 * same saw the same images. */
enum descent_status reopened_data_digest(const struct reopened *run, char md5[DATA_MD5_TEXT]);

/* The run's network, built anew: see network_build. */
enum descent_status reopened_build(const struct reopened *run, struct network *network);

/* Copies model.safetensors into the parameters and running statistics of a compiled graph. DESCENT_MISMATCH
 * names the first tensor that does not fit. */
enum descent_status reopened_load(const struct reopened *run, nn_graph *graph);

/* directory/NAME, for `size` bytes at `path`. */
const char *reopened_file(const struct reopened *run, const char *name, char *path, size_t size);

#endif
