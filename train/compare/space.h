/* Search spaces: which hyperparameters of a spec are tuned, and between which bounds. They stand in the
 * tables of the optimizers (descent_option's search_min and search_max); what a spec sets is not tuned. */
#ifndef DESCENT_TRAIN_COMPARE_SPACE_H
#define DESCENT_TRAIN_COMPARE_SPACE_H

#include "base/spec.h"
#include "base/status.h"

#include <stddef.h>

enum { SPACE_DIMENSIONS = 16, SPEC_LENGTH = 1024 };

struct space_dimension {
    int part; /* of the spec: 0 the algorithm, others wrappers */
    const struct descent_option *option;
    bool complement; /* logarithmic in 1 - value: decay rates */
};

struct space {
    int count; /* 0: nothing to tune */
    struct space_dimension dimension[SPACE_DIMENSIONS];
};

/* The space of an optimizer's spec. DESCENT_BAD_ARGUMENT: the spec is wrong. DESCENT_NOT_FOUND: it names a
 * C file that is not loaded. */
enum descent_status space_of(const char *spec, struct space *space);

/* The spec with the values that a point of [0, 1]^count stands for, in four digits. */
enum descent_status space_spec(const char *spec, const struct space *space, const double *point,
                               char text[SPEC_LENGTH]);

/* Where the values of a spec that space_spec made lie, 0 .. 1 each. */
enum descent_status space_locate(const char *spec, const struct space *space, double *point);

#endif
