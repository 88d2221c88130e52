/* The settings that runs were made with, as their records have them. */
#ifndef DESCENT_TRAIN_COMPARE_SETTINGS_H
#define DESCENT_TRAIN_COMPARE_SETTINGS_H

#include "train/compare/plan.h"
#include "train/compare/record.h"
#include "train/compare/space.h"

/* The spec that a finished trial ran with: the plan's, which is short, if that says the same, or else the
 * recorded one, with everything written out: where a search range has changed since, or the C file that
 * the spec names is not loaded. */
enum descent_status settings_of_trial(const struct plan *plan, const struct plan_run *run,
                                      const struct record *record, char spec[SPEC_LENGTH]);

/* Whether two specs of an entry have other values where there is something to tune; false where that cannot
 * be told. A final run that differs from the winner is none of this comparison. */
bool settings_differ(const struct plan_entry *entry, const char *a, const char *b);

#endif
