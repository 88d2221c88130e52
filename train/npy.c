/* See npy.h. */
#include "train/npy.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

void npy_header(char header[NPY_HEADER], const char *descr, int rank, const int64_t *shape)
{
    static const char magic[] = {'\x93', 'N', 'U', 'M', 'P', 'Y', 1, 0};
    const int start = sizeof magic + 2, length = NPY_HEADER - start;
    char text[NPY_HEADER], sizes[120] = "";
    assert(rank <= 5 && strlen(descr) <= 100);
    for (int i = 0; i < rank; i++) {
        size_t used = strlen(sizes);
        snprintf(sizes + used, sizeof sizes - used, "%lld, ", (long long)shape[i]);
    }
    snprintf(text, sizeof text, "{'descr': %s, 'fortran_order': False, 'shape': (%s), }", descr, sizes);
    memcpy(header, magic, sizeof magic);
    header[start - 2] = (char)(length & 255);
    header[start - 1] = (char)(length >> 8);
    memset(header + start, ' ', (size_t)length);
    memcpy(header + start, text, strlen(text));
    header[NPY_HEADER - 1] = '\n';
}
