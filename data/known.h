/* The well-known data sets: their names, classes, and the digests of their files. */
#ifndef DESCENT_DATA_KNOWN_H
#define DESCENT_DATA_KNOWN_H

#include "data/gz.h"
#include "data/source.h"

/* The known data set of this name, or NULL. */
const struct data_known *data_find_known(const char *name);

/* Adds a row to parts->files: a stream that was read to its end, or a member of an archive. */
enum descent_status data_add_file(struct data_parts *parts, struct data_stream *stream);
enum descent_status data_add_member(struct data_parts *parts, const char *name, const char *md5);

/* DESCENT_NOT_FOUND, with the nearest name and all of them. */
enum descent_status data_fail_unknown(const char *what);

#endif
