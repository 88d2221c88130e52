/* IDX, the format of MNIST and its successors: big-endian 00 00 TYPE RANK, RANK 32-bit sizes, then the
 * elements, row-major. Described on http://yann.lecun.com/exdb/mnist. */
#ifndef DESCENT_DATA_IDX_H
#define DESCENT_DATA_IDX_H

#include "data/array.h"

/* Reads the whole stream, which must hold an array of least .. most dimensions and nothing after it. Memory
 * grows with what comes out of the file, never with what its header promises. On failure array->bytes is
 * NULL. */
enum descent_status data_idx_read(struct data_stream *stream, int least, int most,
                                  struct data_array *array);

#endif
