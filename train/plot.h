/* Pictures, drawn by gnuplot where it is installed. */
#ifndef DESCENT_TRAIN_PLOT_H
#define DESCENT_TRAIN_PLOT_H

#include "base/status.h"

#include <stddef.h>

/* What became of pictures, from good to bad. */
enum plot_outcome { PLOT_NONE, PLOT_DRAWN, PLOT_NO_GNUPLOT, PLOT_FAILED };

/* What to say of it after the names of other files: "", or "; for pictures install gnuplot". */
const char *plot_excuse(enum plot_outcome outcome);

/* `text` as a string of gnuplot's, quotes included, cut to what fits: nothing in it is a command. Every
 * text that is not a constant goes into a script by this way. Returns buffer; size is at least 3. */
const char *plot_quoted(const char *text, char *buffer, size_t size);

enum plot_format { PLOT_SVG, PLOT_SVG_AND_PNG, PLOT_GIF /* animated */ };

/* Writes directory/NAME.gnuplot, which draws directory/NAME.svg, .png or .gif, of width x height pixels,
 * from files beside it, and runs gnuplot on it there. No gnuplot, or one that fails, is no error: the
 * script remains, to be run elsewhere. *outcome becomes this picture's if that is worse than what is there.
 */
enum descent_status plot_draw(const char *directory, const char *name, enum plot_format format, int width,
                              int height, const char *script, enum plot_outcome *outcome);

#endif
