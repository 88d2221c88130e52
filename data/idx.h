/* IDX, the format of MNIST and its successors: big-endian 00 00 TYPE RANK, RANK 32-bit sizes, then the
 * elements, row-major. Described on http://yann.lecun.com/exdb/mnist. */
#ifndef DESCENT_DATA_IDX_H
#define DESCENT_DATA_IDX_H

#include "data/gz.h"

enum { IDX_MAX_RANK = 3 };

struct data_idx {
    int rank;
    uint32_t shape[IDX_MAX_RANK]; /* none of them 0 */
    size_t size;                  /* product of shape */
    uint8_t *bytes;               /* `size` of them, malloc'ed */
};

/* Reads the whole stream, which must hold unsigned bytes of `rank` dimensions and nothing after them.
 * Memory grows with what comes out of the file, never with what its header promises. On failure idx->bytes
 * is NULL. */
enum descent_status data_idx_read(struct data_stream *stream, int rank, struct data_idx *idx);

#endif
