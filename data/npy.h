/* NumPy's .npy files, versions 1 to 3 (numpy.lib.format). */
#ifndef DESCENT_DATA_NPY_H
#define DESCENT_DATA_NPY_H

#include "data/array.h"

/* Reads the whole stream, which must hold an array of least .. most dimensions, in C order, of integers,
 * booleans or floating-point numbers, and nothing after it. On failure array->bytes is NULL. */
enum descent_status data_npy_read(struct data_stream *stream, int least, int most,
                                  struct data_array *array);

#endif
