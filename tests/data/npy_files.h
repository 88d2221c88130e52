/* .npy files for tests. */
#ifndef DESCENT_TESTS_DATA_NPY_FILES_H
#define DESCENT_TESTS_DATA_NPY_FILES_H

#include "tests/data/idx_files.h"

/* A file of version 1: its header padded as NumPy pads it, then what `data` says. */
static inline struct bytes npy(const char *descr, const char *order, const char *shape, const void *data,
                               size_t size)
{
    struct bytes file = {0};
    char header[256];
    int length = snprintf(header, sizeof header, "{'descr': '%s', 'fortran_order': %s, 'shape': %s, }\n",
                          descr, order, shape);
    memcpy(file.at, "\x93NUMPY\1\0", 8);
    file.at[8] = (uint8_t)length;
    file.size = 10;
    memcpy(file.at + file.size, header, (size_t)length);
    file.size += (size_t)length;
    if (size)
        memcpy(file.at + file.size, data, size);
    file.size += size;
    return file;
}

#endif
