/* A file read from front to back, gunzipped on the way where it is gzip. Only data/gz.c knows zlib. */
#ifndef DESCENT_DATA_GZ_H
#define DESCENT_DATA_GZ_H

#include "base/status.h"
#include "data/digest.h"

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct data_stream;

/* The path of DIRECTORY/NAME or, where that is no regular file, of DIRECTORY/NAME.gz; false: neither is
 * one. */
bool data_stream_find(const char *directory, const char *name, char path[PATH_MAX]);

/* Opens a regular file; gzip is recognized by its first two bytes, whatever the name. On failure *stream is
 * NULL. */
enum descent_status data_stream_open(const char *path, struct data_stream **stream);

/* The same over an open file of `size` bytes, which the stream closes, also on failure; messages call it
 * `name`. */
enum descent_status data_stream_over(FILE *file, const char *name, uint64_t size,
                                     struct data_stream **stream);
void data_stream_close(struct data_stream *stream);

const char *data_stream_name(const struct data_stream *stream);

/* Bytes of the file as it lies on disk, and the most that can come out of it: the same number for a plain
 * file, 1,032 times as many for gzip, whose matches take 2 bits for 258 bytes at best. What a header
 * promises is held against it. */
uint64_t data_stream_size(const struct data_stream *stream);
uint64_t data_stream_limit(const struct data_stream *stream);

/* Bytes of content read so far. */
uint64_t data_stream_offset(const struct data_stream *stream);

/* Reads `size` bytes; *got is less only where the content ends, and then gzip's checksum has been verified.
 */
enum descent_status data_stream_read(struct data_stream *stream, void *bytes, size_t size, size_t *got);

/* Exactly `size` bytes; a content that ends before is an error that says inside what: "the IDX header". */
enum descent_status data_stream_read_all(struct data_stream *stream, void *bytes, size_t size,
                                         const char *inside);

/* The same as data_stream_read into malloc'ed memory, *bytes, which grows with what comes out of the file,
 * never on the word of whoever asks for `size`. On failure *bytes is NULL. */
enum descent_status data_stream_take(struct data_stream *stream, size_t size, uint8_t **bytes, size_t *got);

/* Fails unless the content ends here; what the message calls the promise: "its header". */
enum descent_status data_stream_expect_end(struct data_stream *stream, const char *promise);

/* MD5 digests of a stream read to its end: of the file, and of what was in it. Once. */
void data_stream_md5(struct data_stream *stream, char file[DATA_MD5_TEXT], char content[DATA_MD5_TEXT]);

/* The checksum of gzip and PNG. */
uint32_t data_crc32(const void *bytes, size_t size);

#endif
