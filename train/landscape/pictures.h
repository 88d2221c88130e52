/* Scripts for gnuplot that the pictures of surfaces and of runs are made of. A grid is drawn from a CSV
 * file with columns x, y, height: a header, rows of equal x or y with an empty line between them, two
 * between grids. */
#ifndef DESCENT_TRAIN_LANDSCAPE_PICTURES_H
#define DESCENT_TRAIN_LANDSCAPE_PICTURES_H

#include <stdbool.h>
#include <stddef.h>

struct script {
    char text[24000];
    size_t used;
};

void script_add(struct script *script, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* "text" as plot_quoted() has it, which every text that is not a constant goes through. */
void script_quoted(struct script *script, const char *text);

/* color(i), colors that color-blind people can tell apart (Okabe & Ito's first). */
void script_colors(struct script *script);

/* What every picture of a grid begins with: CSV, ranges, title, names of the axes, the palette,
 * color(i). Until h(z), the height that is shown for a value, is defined, nothing can be drawn. */
void script_begin(struct script *script, const char *title, const char *x, const char *y,
                  const double low[2], const double high[2]);

/* h(z) = log10 z between the lowest and the highest finite of `count` values, every `stride`-th from the
 * first, with contours and labels at round values of z. */
void script_log_scale(struct script *script, const double *values, size_t count, size_t stride);

/* h(z) = z between the lowest and the highest finite of these values, with contours at round values. */
void script_linear_scale(struct script *script, const char *label, const double *values, size_t count,
                         size_t stride);

/* The head of a plot command: heat map and contours from above, or in three dimensions; the `index`-th grid
 * of the file, its column as the height, contours (the surface) from each `every`-th row and column.
 * Further plots follow after ", ". */
void script_from_above(struct script *script, const char *file, int index, int column, int every);
void script_in_3d(struct script *script, const char *file, int index, int column, int every);

#endif
