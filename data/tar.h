/* Tar archives read from front to back: regular files and their sizes. Not links, not sparse files, not
 * names longer than 100 bytes. POSIX.1-1988 ustar, and what GNU tar and pax write where they must. */
#ifndef DESCENT_DATA_TAR_H
#define DESCENT_DATA_TAR_H

#include "data/gz.h"

#include <stdbool.h>

struct data_tar_member {
    char name[101]; /* without its directories; "" at the end of the archive */
    uint64_t size;  /* bytes, of which at most what the stream can hold */
};

/* Whether the stream begins like a tar archive; reads its first 512 bytes. */
bool data_tar_recognize(struct data_stream *stream);

/* The next regular file, after the content of the last one and its padding; the caller reads its content.
 * At the end of the archive the whole stream has been read. */
enum descent_status data_tar_next(struct data_stream *stream, struct data_tar_member *member);

/* Reads over `size` bytes of content. */
enum descent_status data_tar_skip(struct data_stream *stream, uint64_t size);

#endif
