/* Pictures, drawn by gnuplot where it is installed. */
#ifndef DESCENT_TRAIN_PLOT_H
#define DESCENT_TRAIN_PLOT_H

#include "base/status.h"

#include <stdbool.h>

enum plot_format { PLOT_SVG, PLOT_SVG_AND_PNG, PLOT_GIF /* animated */ };

/* Writes directory/NAME.gnuplot, which draws directory/NAME.svg, .png or .gif, of width x height pixels,
 * from files beside it, and runs gnuplot on it there. *drawn: false if gnuplot is not installed or failed,
 * which is no error: the script remains, to be run elsewhere. */
enum descent_status plot_draw(const char *directory, const char *name, enum plot_format format, int width,
                              int height, const char *script, bool *drawn);

#endif
