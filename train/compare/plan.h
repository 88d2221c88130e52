/* What a comparison consists of: tasks, optimizers, and the runs that follow from them. A comparison is a
 * directory:
 *
 *     OUT/comparison.json             the plan
 *     OUT/runs/TASK/OPTIMIZER/NAME/   a run directory; NAME: default-01 .. (the documented settings, one
 *                                     run a seed), trial-01 .. (tuning), tuned-01 .. (the best trial's
 *                                     settings, one run a seed)
 *     OUT/report/                     made from these, and from nothing else
 */
#ifndef DESCENT_TRAIN_COMPARE_PLAN_H
#define DESCENT_TRAIN_COMPARE_PLAN_H

#include "base/status.h"
#include "data/data.h"
#include "train/run.h"

#include <stdbool.h>
#include <stdint.h>

enum { PLAN_TASKS = 16, PLAN_ENTRIES = 96, PLAN_TRIALS = 999, PLAN_SEEDS = 99, PLAN_PATH = 4096 };

/* Evaluations of a run: the first target is what was reached after a quarter of it. */
enum { PLAN_LEAST_POINTS = 4 };

struct plan_task {
    const char *name; /* of its directory: "fashion-mnist-lenet5" */
    const char *data, *model;
    const char *data_name, *model_name; /* what tables call them: without directories */
    const char *code;                   /* digest of the C file that `model` names; NULL: it names none */
    int epochs;
};

struct plan_entry {
    const char *label; /* what tables call it; the spec, unless the user said otherwise */
    const char *name;  /* of its directory */
    const char *spec;
    const char *code; /* as of a task */
};

/* One-shot, with documented settings; and with the best settings of so many trials. Or'ed. */
enum plan_league { PLAN_DEFAULTS = 1, PLAN_TUNED = 2 };
extern const char *const plan_leagues[]; /* "defaults", "tuned"; NULL after the last */

struct plan {
    int task_count, entry_count;
    struct plan_task task[PLAN_TASKS];
    struct plan_entry entry[PLAN_ENTRIES];
    int reference; /* the entry that all others are measured against */
    unsigned leagues;
    int budget;           /* trials of each entry in the tuned league */
    int seeds;            /* final runs of each entry in each league */
    int points;           /* evaluations of a run */
    int batch;            /* samples a step */
    double validation;    /* fraction of the training set, held out from all runs */
    uint64_t seed;        /* of the split, the trials' points and the runs' seeds */
    const char *schedule; /* of all entries but those made to do without one */
    const char *augment;  /* or NULL */
};

enum plan_kind { PLAN_DEFAULT_RUN, PLAN_TRIAL_RUN, PLAN_TUNED_RUN };
extern const char *const plan_kinds[]; /* "default", "trial", "tuned" */

struct plan_run {
    int task, entry;
    enum plan_kind kind;
    int index; /* from 0: of the seed, or of the trial */
};

/* How many runs there are, and the i-th of them in the order in which they are best done: trials of all
 * entries, then final runs, seed by seed. */
int plan_runs(const struct plan *plan);
struct plan_run plan_run(const struct plan *plan, int i);

/* The place of that run in the order; -1 if it is not part of the plan. */
int plan_find(const struct plan *plan, const struct plan_run *run);

/* OUT/runs/TASK/OPTIMIZER/NAME. Returns path. */
const char *plan_path(const struct plan *plan, const struct plan_run *run, const char *out,
                      char path[PLAN_PATH]);

/* The spec of a default run or a trial. */
enum descent_status plan_spec(const struct plan *plan, const struct plan_run *run, char *text, int size);

/* The configuration of a run, whose optimizer is `spec`. Final runs with the same index have the same
 * initial weights and batches for all entries; trials have a seed of their own and never see the test set.
 */
struct train_config plan_config(const struct plan *plan, const struct plan_run *run, const char *spec);

/* Whether an entry runs without the plan's schedule: it sets the length of its steps itself, or was made to
 * do without. */
bool plan_unscheduled(const struct plan *plan, int entry);

/* Names the tasks (but those that have a name) and entries after what they are, and checks the plan as far
 * as that needs no data: known names, options in range, no two of a name, a reference. Names are kept in
 * `arena`. */
struct descent_arena;
enum descent_status plan_complete(struct plan *plan, struct descent_arena *arena);

/* comparison.json. Reading: strings are kept in `arena`; DESCENT_NOT_FOUND where there is no such file. */
enum descent_status plan_write(const struct plan *plan, const char *out);
enum descent_status plan_read(const char *out, struct descent_arena *arena, struct plan *plan);

/* The same as it is, for whoever passes it on; the caller frees it. path: of the file. */
struct descent_json;
enum descent_status plan_read_json(const char *out, char path[PLAN_PATH], struct descent_json **json);

/* Makes `plan` what both are together, where the runs of one are runs of the other: entries and seeds may
 * be added. DESCENT_MISMATCH names the first difference that would change a run. */
enum descent_status plan_merge(struct plan *plan, const struct plan *stored, const char *out);

#endif
