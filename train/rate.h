/* The learning rate in an optimizer's spec: adam:lr=1e-3, or adam:1e-3, as it is the main key of all. */
#ifndef DESCENT_TRAIN_RATE_H
#define DESCENT_TRAIN_RATE_H

#include <stdbool.h>
#include <stddef.h>

/* Whether the spec sets it; true of what cannot be read, so that the optimizer says what is wrong. */
bool rate_is_given(const char *spec);

/* The spec with this rate in place of its own, if it has one, and all else as it was: "adam:1e-2+ema" with
 * "0.1" becomes "adam:lr=0.1+ema". Into text, cut to size; what cannot be read stays as it is. Returns
 * text.
 */
const char *rate_insert(const char *spec, const char *lr, char *text, size_t size);

#endif
