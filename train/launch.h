/* What the subcommands that train have in common: where a run goes when nobody says, and Ctrl-C. */
#ifndef DESCENT_TRAIN_LAUNCH_H
#define DESCENT_TRAIN_LAUNCH_H

#include "train/run.h"

#include <stddef.h>

/* Where the config has no run directory: the first free runs/PREFIXmodel-data-N. `out` keeps the text. */
void launch_out(struct train_config *config, const char *prefix, char *out, size_t size);

/* The first SIGINT or SIGTERM asks the run to stop, for an observer's wants_stop; the second, whichever of
 * the two, kills. */
void launch_catch_signals(void);
bool launch_wants_stop(void *context);
int launch_signal(void); /* the first one, 0 before */

#endif
