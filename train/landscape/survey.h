/* Many independent measurements, in parallel, kept as they come: what a kill at any moment leaves is not
 * done again. The file is the result: a .npy of float64, NaN where nothing was measured yet. */
#ifndef DESCENT_TRAIN_LANDSCAPE_SURVEY_H
#define DESCENT_TRAIN_LANDSCAPE_SURVEY_H

#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

enum { SURVEY_RANK = 4 };

struct survey {
    const char *path; /* of the .npy */
    int rank;
    int64_t shape[SURVEY_RANK]; /* the last: values of a measurement */
    int threads;
    const char *what; /* is measured: "points" */
    void *context;
    /* A thread's worker; each is used by one thread at a time, and begun by this one. */
    enum descent_status (*begin)(void *context, void **worker);
    /* Values, a function of `item` alone; none of them NaN. */
    enum descent_status (*measure)(void *context, void *worker, int64_t item, double *values);
    void (*end)(void *worker); /* takes NULL */
};

/* Measures whatever is missing, shows how far it is on a terminal, and reads the whole array into *values
 * (malloc'ed). *done is false after SIGINT or SIGTERM (train/launch.h): then *values is NULL.
 * DESCENT_BAD_FORMAT, DESCENT_MISMATCH: a file at the path is not of this survey. */
enum descent_status survey_run(const struct survey *survey, double **values, bool *done);

#endif
