/* The tables of a comparison. Whatever was measured by a clock stands in tables of its own, whose names
 * begin with "measured", so that all others are the same bytes wherever, and with however many
 * interruptions, the comparison ran. (Of an optimizer from a C file that is not loaded, as when a report is
 * made once more, its hyperparameters' table is not known, nor what follows from it.) */
#ifndef DESCENT_TRAIN_COMPARE_TABLES_H
#define DESCENT_TRAIN_COMPARE_TABLES_H

#include "train/compare/analysis.h"

struct descent_json;

/* Writes DIRECTORY/NAME.csv of each table, and DIRECTORY/comparison.json: the plan and all tables that were
 * not measured by a clock. *everything, the caller's, has the measured ones too. `out` is the comparison's
 * directory. */
enum descent_status tables_write(const struct comparison *comparison, const char *out,
                                 const char *directory, struct descent_json **everything);

#endif
