/* Writing NumPy's .npy files (numpy.lib.format, version 1.0): a header of one fixed size, so that it can be
 * written anew when an array has grown, then the array. data/npy.h reads what others wrote. */
#ifndef DESCENT_TRAIN_NPY_H
#define DESCENT_TRAIN_NPY_H

#include <stdint.h>

enum { NPY_HEADER = 256 }; /* bytes */

/* descr: as in Python, "'<f8'" or "[('step', '<i8'), ('weights', '<f4', (10,))]", up to 100 characters;
 * `rank` dimensions, at most 5, in C order. */
void npy_header(char header[NPY_HEADER], const char *descr, int rank, const int64_t *shape);

#endif
