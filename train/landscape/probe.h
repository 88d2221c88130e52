/* Measures a run's network at any weights: loss and accuracy on images, curvature. Running statistics are
 * those of the weights measured: they are computed anew each time, as means over training batches
 * (nn_average_statistics). Label smoothing and weight decay are left out. */
#ifndef DESCENT_TRAIN_LANDSCAPE_PROBE_H
#define DESCENT_TRAIN_LANDSCAPE_PROBE_H

#include "train/landscape/plane.h"
#include "train/landscape/sharpness.h"
#include "train/reopen.h"
#include "train/run.h"

enum { PROBE_PARTS = 2 };

struct probe_options {
    const struct reopened *run;
    const struct data_view *part[PROBE_PARTS]; /* what is measured; the second may be NULL */
    const struct data_view *statistics; /* what running statistics come from; whole batches of it, if any */
    bool curvature;                     /* probe_sharpness will be asked for, on part[0] */
    struct descent_pool *pool;          /* NULL: one thread */
};

struct probe;

/* Of the run's network, its weights not those that were trained: what measures sets them. A probe belongs
 * to one thread at a time; several may share a run. */
enum descent_status probe_new(const struct probe_options *options, struct probe **probe);
void probe_free(struct probe *probe);
void probe_end(void *probe); /* the same, for a survey */

struct descent_param *probe_params(struct probe *probe, int *count);

/* The weights of the run, or of another of the same model. DESCENT_MISMATCH names the first tensor that
 * does not fit.
 */
enum descent_status probe_load(struct probe *probe, const struct reopened *run);

/* Whether the network has running statistics at all. */
bool probe_has_statistics(const struct probe *probe);

/* Whatever the parameters are now: one score a part. A loss that is not a number is infinite, as bad as
 * can be. */
enum descent_status probe_score(struct probe *probe, struct train_score score[PROBE_PARTS]);

/* Of the loss as it is trained, with the statistics of each batch and one fixed dropout mask. */
enum descent_status probe_sharpness(struct probe *probe, struct sharpness *sharpness);

#endif
