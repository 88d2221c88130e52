/* What the modes of `train landscape` share: the request, and what each does with it. */
#ifndef DESCENT_TRAIN_LANDSCAPE_LANDSCAPE_H
#define DESCENT_TRAIN_LANDSCAPE_LANDSCAPE_H

#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

enum { LANDSCAPE_PATHS = 12 /* optimizers on a surface */, LANDSCAPE_RUNS = 8 };

struct landscape_request {
    /* Paths of optimizers over a surface with two parameters. */
    const char *surface;
    const char *optimizer[LANDSCAPE_PATHS]; /* NULL after the last */
    int steps, budget;
    const char *start;
    double noise;
    const char *schedule; /* of their learning rates */

    /* Around, between and along trained weights. */
    const char *run[LANDSCAPE_RUNS]; /* NULL after the last */
    bool trajectory, course;
    int grid;         /* points a side, odd */
    double span;      /* of x and y, on both sides of 0 */
    int directions;   /* pairs of them */
    int images;       /* of the training set; 0: all */
    int statistics;   /* of these, for running statistics */
    const char *data; /* where the data set is now, or NULL */
    int threads;
    bool force, allow_code;

    uint64_t seed;
    const char *out; /* or NULL */
    bool no_pictures, help;
};

/* Each prints what it found and writes its files. */
enum descent_status landscape_of_surface(const struct landscape_request *request);

/* *done is false where a signal ended it early: the same request goes on from there. */
enum descent_status landscape_of_runs(const struct landscape_request *request, bool *done);

#endif
