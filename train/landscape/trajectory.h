/* The path that an optimizer takes over a surface, and a learning rate for it by a stated budget. */
#ifndef DESCENT_TRAIN_TRAJECTORY_H
#define DESCENT_TRAIN_TRAJECTORY_H

#include "base/status.h"
#include "train/landscape/surfaces.h"

#include <stdint.h>

struct trajectory_options {
    const double *start;  /* NULL: the surface's */
    double noise;         /* standard deviation of what is added to each part of the gradient */
    uint64_t seed;        /* of the noise */
    int budget;           /* learning rates to try */
    const char *schedule; /* of the learning rate; NULL: constant */
};

struct trajectory_point {
    double x, y, value;
};

struct trajectory {
    char spec[400]; /* the optimizer, with the learning rate that was used */
    double lr;
    int steps;                      /* points of the path are 0 .. steps */
    bool left;                      /* it left the domain, in the last step */
    bool diverged;                  /* something was not finite: the step after the last */
    struct trajectory_point *point; /* room for steps + 1 */
};

/* Takes at most `steps` steps of the optimizer `spec`. The path ends where it leaves the domain. `point` of
 * *path is the caller's, with room for steps + 1. */
enum descent_status trajectory_take(const struct surface *surface, const char *spec, int steps,
                                    const struct trajectory_options *options, struct trajectory *path);

/* The same with the learning rate, of options->budget between 1e-5 and 1e2 (evenly on a log scale), whose
 * path ends lowest; of equals, with fewest steps. It looks at values only, never at where the minimum is.
 * What left the domain counts with the value at the edge; paths that left a surface without a minimum
 * below where they began are equals, and better than all others. */
enum descent_status trajectory_tune(const struct surface *surface, const char *spec, int steps,
                                    const struct trajectory_options *options, struct trajectory *path);

/* The first step from which on the path stays within a share of the way down:
 * value <= lowest + share (start - lowest); -1: none. */
int trajectory_arrival(const struct surface *surface, const struct trajectory *path, double share);

/* What the path cost on the ground: its length, and how often a step turned back, more than 90 degrees off
 * the one before; steps shorter than a thousandth of the domain's diagonal turn nowhere. */
double trajectory_length(const struct trajectory *path);
int trajectory_turns(const struct surface *surface, const struct trajectory *path);

#endif
