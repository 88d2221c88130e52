/* The pictures of a comparison, drawn by gnuplot. */
#ifndef DESCENT_TRAIN_COMPARE_FIGURES_H
#define DESCENT_TRAIN_COMPARE_FIGURES_H

#include "train/compare/analysis.h"
#include "train/plot.h"

enum figure {
    FIGURE_CURVES,   /* accuracy over epochs, all optimizers */
    FIGURE_RATIOS,   /* time to the target over the reference's */
    FIGURE_TIMES,    /* steps to the target */
    FIGURE_LR,       /* accuracy of the trials over their lr */
    FIGURE_EXPECTED, /* expected best accuracy after k trials */
    FIGURE_PANEL,    /* accuracy over epochs, one optimizer and the reference */
    FIGURE_PROFILE,  /* performance profile, over all tasks */
    FIGURE_RANKS,    /* mean ranks with their critical difference, over all tasks */
    FIGURES,
};

/* "curves-tuned-1": the file a figure is in, without its extension. task and entry count where the figure
 * is of one. */
const char *figure_name(enum figure figure, int league, int task, int entry, char name[64]);

/* Draws all that the runs so far give in `directory`; what was there before is removed. *outcome: the
 * worst; without gnuplot the scripts remain, which is no error. */
enum descent_status figures_draw(const struct comparison *comparison, const char *directory,
                                 enum plot_outcome *outcome);

#endif
