/* Planes and lines through the space of a network's weights: where they lie, not what the loss is there.
 * Vectors are those of train/vector.h. */
#ifndef DESCENT_TRAIN_LANDSCAPE_PLANE_H
#define DESCENT_TRAIN_LANDSCAPE_PLANE_H

#include "base/param.h"
#include "base/status.h"
#include "train/vector.h"

#include <stdint.h>

/* The points origin + x direction[0] + y direction[1], on a grid. */
struct plane {
    int64_t size; /* of each vector */
    const float *origin;
    const float *direction[2]; /* the second NULL: a line */
    double low[2], high[2];    /* of x and y */
    int points[2];             /* of the grid, both ends included; a line has 1 in y */
};

/* x (axis 0) or y (axis 1) of the i-th line of the grid. */
double plane_at(const struct plane *plane, int axis, int i);

/* Values at (x, y) of the plane. */
void plane_place(const struct plane *plane, double x, double y, struct descent_param *param, int count);

/* A random direction, normalized filter by filter (Li, Xu, Taylor, Studer & Goldstein, "Visualizing the
 * loss landscape of neural nets", NeurIPS 2018): Gaussian; each filter d of a parameter, its part of one
 * output, becomes d |w| / (|d| + 1e-10), w the filter of the weights; parameters of one dimension, biases
 * and norms, get zero. `which` counts the directions of a seed. */
void random_direction(const struct descent_param *param, int count, uint64_t seed, uint64_t which,
                      float *direction);

/* The plane in which a path of weights moves most: principal components of rows[i] - origin, which is not
 * the mean but a point of the path (so that the plane contains it). */
struct principal {
    double share[2]; /* of the sum of squared distances from the origin, along each direction */
    double *at;      /* count x 2: the rows, projected by least squares */
    double outside;  /* share of the path's length that the plane does not show */
};

/* directions: 2 x size, of length 1. at: count x 2, the caller's. paths: where a new path begins among the
 * rows, `path_count` of them; no step leads there. DESCENT_BAD_ARGUMENT if the rows do not span a plane. */
enum descent_status principal_plane(const float *const *rows, int count, const float *origin, int64_t size,
                                    const int *paths, int path_count, float *directions,
                                    struct principal *principal);

#endif
