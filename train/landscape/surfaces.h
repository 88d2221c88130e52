/* Surfaces with two parameters, on which one can see what an optimizer does: ravines, saddles, local
 * minima. */
#ifndef DESCENT_TRAIN_SURFACES_H
#define DESCENT_TRAIN_SURFACES_H

#include <stdbool.h>

enum { SURFACE_MINIMA = 4 };

struct surface {
    const char *name;    /* "rosenbrock" */
    const char *summary; /* one line: what is hard about it */
    const char *formula;
    double low[2], high[2]; /* the domain: corners */
    double start[2];
    double lowest;  /* its least value in the domain; of one without a minimum, at the edge */
    bool unbounded; /* without a minimum: a path that leaves the domain has arrived */
    int minima;     /* those with that value */
    double minimum[SURFACE_MINIMA][2];
    double (*value)(const double p[2], double gradient[2]);
};

/* All of them; by name, or NULL with a message that names the nearest. */
const struct surface *surface_list(int *count);
const struct surface *surface_find(const char *name);

#endif
