/* The line that a terminal shows while something takes long: how far it is, how fast, how long it will yet
 * take. Where the stream is no terminal, nothing. */
#ifndef DESCENT_TRAIN_PROGRESS_H
#define DESCENT_TRAIN_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* A terminal that can rewrite its last line. */
bool progress_is_live(FILE *stream);

/* Whether a tenth of a second has passed since *shown, a time of the clock; it is then set to now. */
bool progress_is_due(double *shown);

/* Rewrites the last line of a live stream with as much of the text as fits; clears it. */
void progress_rewrite(FILE *stream, const char *text);
void progress_clear(FILE *stream);

/* "1:05", "2:03:04". */
const char *progress_duration(double seconds, char text[24]);

/* Of many items. */
struct progress {
    FILE *stream;
    bool live;
    const char *what;    /* the items: "points" */
    double begin, shown; /* seconds of the clock */
};

struct progress progress_on(FILE *stream, const char *what);

/* `done` of `all`, of which `before` were done when this began; ten times a second at most. */
void progress_show(struct progress *progress, int64_t done, int64_t all, int64_t before);
void progress_end(struct progress *progress);

#endif
