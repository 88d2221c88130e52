/* What a person sees of a run: a description at the start, then one updating line on a terminal or one
 * plain line an epoch elsewhere. It is an observer of train_run and changes nothing. */
#ifndef DESCENT_TRAIN_DISPLAY_H
#define DESCENT_TRAIN_DISPLAY_H

#include "train/run.h"

#include <stdio.h>

struct display {
    FILE *stream;
    bool live;  /* a terminal: rewrite the last line */
    bool color; /* a terminal, and NO_COLOR is not set */
    const struct train_config *config;
    int64_t steps, steps_per_epoch;
    int epochs;
    bool numbers;        /* are predicted, not classes */
    double begin, shown; /* seconds of the clock: start of training, last update of the live line */
    const char *out;     /* the run directory, or NULL */
};

/* A display that writes to the stream. */
struct display display_on(FILE *stream);

/* Clears the line that is being rewritten, if one is: before something else is printed. */
void display_clear(struct display *display);

/* Shows a run; `display` must outlive it. wants_stop is left to the caller. */
struct train_observer display_observer(struct display *display);

#endif
