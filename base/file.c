/* Files that are never half-written, files read whole, and mkdir -p. Not a file format. */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum descent_status descent_fail_errno(const char *doing, const char *path, int error)
{
    enum descent_status status = error == ENOENT   ? DESCENT_NOT_FOUND
                                 : error == ENOMEM ? DESCENT_OUT_OF_MEMORY
                                                   : DESCENT_IO_ERROR;
    return descent_fail(status, "cannot %s %s: %s", doing, path, strerror(error));
}

enum descent_status descent_file_create(struct descent_file *file, const char *path)
{
    size_t size = strlen(path) + 32;
    *file = (struct descent_file){.path = strdup(path), .temporary = malloc(size)};
    if (!file->path || !file->temporary) {
        descent_file_abandon(file);
        return descent_fail_errno("create", path, ENOMEM);
    }
    snprintf(file->temporary, size, "%s.tmp-%ld", path, (long)getpid());
    file->stream = fopen(file->temporary, "wb");
    if (!file->stream) {
        int error = errno;
        free(file->temporary); /* not ours to remove */
        file->temporary = NULL;
        descent_file_abandon(file);
        return descent_fail_errno("create", path, error);
    }
    return DESCENT_OK;
}

enum descent_status descent_file_commit(struct descent_file *file)
{
    int error = 0;
    errno = EIO; /* for an earlier error of the stream, whose cause is gone */
    if (fflush(file->stream) || ferror(file->stream) || fsync(fileno(file->stream)))
        error = errno;
    if (fclose(file->stream) && !error)
        error = errno;
    file->stream = NULL;
    if (!error && rename(file->temporary, file->path))
        error = errno;
    enum descent_status status = error ? descent_fail_errno("write", file->path, error) : DESCENT_OK;
    if (!error) {
        free(file->temporary);
        file->temporary = NULL;
    }
    descent_file_abandon(file);
    return status;
}

void descent_file_abandon(struct descent_file *file)
{
    if (file->stream)
        fclose(file->stream);
    if (file->temporary)
        unlink(file->temporary);
    free(file->temporary);
    free(file->path);
    *file = (struct descent_file){0};
}

/* Reads `stream` to its end into *data, which grows from `guess` bytes; an errno, or EFBIG beyond `limit`.
 */
static int read_all(FILE *stream, size_t guess, size_t limit, char **data, size_t *size)
{
    size_t capacity = guess + 1; /* one byte more, to see the end, which the final 0 takes */
    char *bytes = malloc(capacity);
    for (*size = 0; bytes;) {
        *size += fread(bytes + *size, 1, capacity - *size, stream);
        if (*size > limit || ferror(stream)) {
            int error = ferror(stream) ? errno : EFBIG;
            free(bytes);
            return error;
        }
        if (*size < capacity) {
            bytes[*size] = 0;
            *data = bytes;
            return 0;
        }
        capacity *= 2;
        char *grown = realloc(bytes, capacity);
        if (!grown)
            free(bytes);
        bytes = grown;
    }
    return ENOMEM;
}

enum descent_status descent_file_read(const char *path, size_t limit, char **data, size_t *size)
{
    *data = NULL;
    *size = 0;
    FILE *stream = fopen(path, "rb");
    struct stat info;
    if (!stream || fstat(fileno(stream), &info)) {
        int error = errno;
        if (stream)
            fclose(stream);
        return descent_fail_errno("read", path, error);
    }
    size_t guess = info.st_size > 0 ? (size_t)info.st_size : 0;
    int error = S_ISDIR(info.st_mode) ? EISDIR
                : guess > limit       ? EFBIG
                                      : read_all(stream, guess, limit, data, size);
    fclose(stream);
    if (error == EFBIG)
        return descent_fail(DESCENT_BAD_FORMAT, "%s: larger than %zu bytes", path, limit);
    return error ? descent_fail_errno("read", path, error) : DESCENT_OK;
}

static int make_directory(const char *path)
{
    struct stat info;
    if (mkdir(path, 0777) == 0)
        return 0;
    int error = errno;
    if (stat(path, &info))
        return error;
    return S_ISDIR(info.st_mode) ? 0 : ENOTDIR;
}

const char *descent_base_name(const char *path, size_t *length)
{
    while (*length > 1 && path[*length - 1] == '/')
        --*length;
    size_t begin = *length;
    while (begin > 0 && path[begin - 1] != '/')
        begin--;
    *length -= begin;
    return path + begin;
}

enum descent_status descent_file_lock(const char *path, bool wait, int *file)
{
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    *file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (*file < 0)
        return descent_fail_errno("open", path, errno);
    int taken;
    while ((taken = fcntl(*file, wait ? F_SETLKW : F_SETLK, &whole)) != 0 && errno == EINTR)
        ;
    if (taken == 0)
        return DESCENT_OK;
    int why = errno;
    close(*file);
    *file = -1;
    return why == EACCES || why == EAGAIN ? DESCENT_OK : descent_fail_errno("lock", path, why);
}

enum descent_status descent_make_directories(const char *path)
{
    char *partial = strdup(path);
    int error = !partial ? ENOMEM : *path ? 0 : ENOENT;
    for (char *at = partial; !error && at && *at; at++) {
        char end = at[1];
        if (*at == '/' || (end != '/' && end != 0))
            continue;
        at[1] = 0;
        error = make_directory(partial);
        at[1] = end;
    }
    free(partial);
    return error ? descent_fail_errno("create directory", path, error) : DESCENT_OK;
}
