/* The report of a comparison: one page that needs nothing else, a summary, tables, and pictures. */
#ifndef DESCENT_TRAIN_COMPARE_REPORT_H
#define DESCENT_TRAIN_COMPARE_REPORT_H

#include "train/compare/analysis.h"

#include <stddef.h>

/* Makes OUT/report/ from OUT's plan and runs, and from nothing else: report.html, summary.md (the page in
 * short, in Markdown, without what was measured by a clock), the tables of tables.h, and figures/. An
 * unfinished comparison gives a report that says so. `sentence` gets its first sentence, cut to `size`. */
enum descent_status compare_report(const char *out, char *sentence, size_t size);

/* What the intervals of a league on a task, or on all together, say in one sentence: "On fashion-mnist with
 * lenet5, within 5 epochs and 8 trials each, lion reached the target 1.80x sooner than adamw (95 %
 * interval 1.50-2.10)." Its only verdicts are "sooner", "later" and "not distinguishable with n seeds". Cut
 * to `size`; returns text.
 */
const char *comparison_sentence(const struct comparison *comparison, int league, int task, char *text,
                                size_t size);

#endif
