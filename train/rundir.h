/* A run directory: run.json (what was run, with what), metrics.jsonl (what happened, one JSON object a
 * line), model.safetensors (what came out). Each is whole at any moment: a file is written beside and
 * renamed, a line is written at once. All functions accept NULL for "no directory" and then do nothing. */
#ifndef DESCENT_TRAIN_RUNDIR_H
#define DESCENT_TRAIN_RUNDIR_H

#include "train/run.h"

struct rundir;

/* Makes the directory config->out names, with run.json and the initial model in it, so that whatever cannot
 * be written fails before training. *rundir is NULL with config->out NULL. DESCENT_EXISTS without
 * config->force. start->out is set. */
enum descent_status rundir_create(struct train_start *start, struct rundir **rundir);
void rundir_close(struct rundir *rundir);

/* Events; they allocate nothing. */
enum descent_status rundir_step(struct rundir *rundir, const struct train_step *step);
enum descent_status rundir_evaluation(struct rundir *rundir, const struct train_evaluation *evaluation);
enum descent_status rundir_epoch(struct rundir *rundir, const struct train_epoch *epoch);
enum descent_status rundir_end(struct rundir *rundir, const struct train_result *result);

/* Adds the weights as they are after `step` to the path that is kept, if one is (train/track.h). */
enum descent_status rundir_keep_weights(struct rundir *rundir, int64_t step);

/* Writes model.safetensors as the network is now. */
enum descent_status rundir_save_model(struct rundir *rundir, nn_graph *graph);

#endif
