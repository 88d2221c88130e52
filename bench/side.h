/* What the programs of the benchmark share: a side is asked for measurements, a request a line, and answers
 * each with a line. They are not for people, so what goes wrong ends them. */
#ifndef DESCENT_BENCH_SIDE_H
#define DESCENT_BENCH_SIDE_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>

/* Ends the program with descent_error() if `pointer` is NULL, or `status` not DESCENT_OK. */
void *need(void *pointer);
void must(enum descent_status status);

/* Uniform in [-1, 1), always the same. */
float *noise(size_t count);

/* Answers what all sides are asked, `memory` (largest resident set so far, bytes) and `version` (what was
 * measured), and through `answer` everything else, until no request is left. `answer` returns false on a
 * request that makes no sense. Returns what main should. */
int serve(const char *program, bool (*answer)(const char *request));

#endif
