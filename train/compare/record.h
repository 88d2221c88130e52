/* What a finished run of a comparison left in its directory. */
#ifndef DESCENT_TRAIN_COMPARE_RECORD_H
#define DESCENT_TRAIN_COMPARE_RECORD_H

#include "base/status.h"

#include <stdint.h>

/* The validation part, after some steps. */
struct record_point {
    double step, epoch, gradient_evaluations;
    double seconds, cpu_seconds; /* of training */
    double loss, accuracy;       /* NAN where they were not finite */
};

enum record_state {
    RECORD_MISSING, /* not run, not finished, or interrupted */
    RECORD_DONE,
    RECORD_DIVERGED,
};

struct record {
    enum record_state state;
    char *spec;  /* the optimizer, all hyperparameters written out */
    char *build; /* of descent: commit and instruction set */
    char *data;  /* digests of the files */
    double steps, steps_per_epoch, parameters, state_bytes;
    int count; /* of points: fewer than asked for if it diverged */
    struct record_point *point;
    double seconds, cpu_seconds;     /* in all */
    double test_loss, test_accuracy; /* NAN where the test set was not read */
    int test_reads;
};

/* Reads a run directory. A run that is not finished, or a directory that is not there, is no error but
 * RECORD_MISSING; DESCENT_BAD_FORMAT: files of a finished run that cannot be understood. Free the record in
 * any case. */
enum descent_status record_read(const char *directory, struct record *record);
void record_free(struct record *record); /* leaves it RECORD_MISSING */

/* Accuracy of the validation part at the end; NAN unless it is done. */
double record_final(const struct record *record);

/* The same, but 0 of a run that diverged: NAN only where there is no run. */
double record_outcome(const struct record *record);

/* The best of `count` trials: the highest accuracy on the validation part at the end, then the lower loss,
 * then the earlier one. -1 if none is done. */
int record_best(const struct record *trials, int count);

#endif
