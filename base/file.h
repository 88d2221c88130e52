/* Files that are never half-written. */
#ifndef DESCENT_BASE_FILE_H
#define DESCENT_BASE_FILE_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* A file being written beside its final place: `path`.tmp-PID. commit flushes it to disk and renames;
 * abandon removes it. */
struct descent_file {
    FILE *stream;
    char *path, *temporary;
};

enum descent_status descent_file_create(struct descent_file *file, const char *path);
enum descent_status
descent_file_commit(struct descent_file *file); /* on failure the temporary is gone, `path` untouched */
void descent_file_abandon(struct descent_file *file);

/* The whole file into malloc'ed memory with a 0 byte after it. Larger than `limit` bytes:
 * DESCENT_BAD_FORMAT. */
enum descent_status descent_file_read(const char *path, size_t limit, char **data, size_t *size);

/* Takes the lock of a file, which is made if need be, from other processes, on machines too that share it:
 * waits for it, or else *file is -1 where another has it. It is let go of when *file is closed, or the
 * process ends, however it ends. */
enum descent_status descent_file_lock(const char *path, bool wait, int *file);

/* The last component of a path of *length characters, without slashes after it; *length becomes its own. */
const char *descent_base_name(const char *path, size_t *length);

/* mkdir -p. */
enum descent_status descent_make_directories(const char *path);

/* Fails with "cannot DOING PATH: REASON", the reason of an errno: DESCENT_NOT_FOUND for a missing file,
 * mostly DESCENT_IO_ERROR. */
enum descent_status descent_fail_errno(const char *doing, const char *path, int error);

#endif
