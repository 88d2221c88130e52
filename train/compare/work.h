/* Does the runs of a plan, several at once, each in a process of its own with one thread. Any number of
 * processes, on any machines that share the directory, may do this for the same plan: a run belongs to
 * whoever holds the lock on its file, which the system lets go of when its process ends, however it ends.
 * A finished run is never repeated, an unfinished one begins anew; as a run is a function of its
 * configuration alone, neither changes a result. */
#ifndef DESCENT_TRAIN_COMPARE_WORK_H
#define DESCENT_TRAIN_COMPARE_WORK_H

#include "train/compare/plan.h"

/* How far it is. */
struct work_progress {
    const struct plan *plan;
    int runs, done;      /* done: all that have ended well, diverged ones included */
    int running;         /* by this process */
    double seconds_left; /* NAN until it can be told */
    /* For each of the plan's runs: accuracy of the validation part at its end, NAN where there is none. */
    const double *accuracy;
};

struct work_observer {
    void *context;
    void (*progressed)(void *context, const struct work_progress *progress); /* several times a second */
    void (*failed)(void *context, const char *path, const char *why);        /* a run could not be done */
    bool (*wants_stop)(void *context); /* true: running ones are stopped, and are as if never begun */
};

struct work_result {
    int missing, failed; /* runs: not done, and of these, those that could not be */
    bool stopped;
};

/* The plan's directory must be there. Final runs of the tuned league wait for all trials of their
 * optimizer; those that have other settings than the best trial's are made anew. `jobs` runs at a time;
 * sets[i], where not NULL, is the data set of task i, in memory. Returns when nothing is left to do, by
 * this process or another. */
enum descent_status work(const struct plan *plan, const char *out, int jobs,
                         const struct data_set *const *sets, const struct work_observer *observer,
                         struct work_result *result);

#endif
