/* Streams over zlib's inflate rather than its gzread, which takes a cut-off file for a short one, ignores
 * what follows the last member, and does not say where in the file the damage is. Format: RFC 1952. */
#include "data/gz.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zlib.h>

enum { GZIP_WINDOW = 15 + 16, GZIP_RATIO = 1032, BUFFER = 1 << 16, SLICE = 1 << 30 };

struct data_stream {
    char *name;
    FILE *file;
    uint64_t size;
    uint64_t taken; /* bytes read from the file so far */
    uint64_t given; /* bytes of content */
    struct data_digest *file_digest, *content_digest;
    bool gzip, ended;
    z_stream z; /* next_in and avail_in are the unread part of `buffer`, for plain files too */
    unsigned char buffer[BUFFER];
};

/* Refills the empty buffer; afterwards it is empty only at the end of the file. */
static enum descent_status fill(struct data_stream *stream)
{
    assert(stream->z.avail_in == 0);
    size_t got = fread(stream->buffer, 1, BUFFER, stream->file);
    if (got == 0 && ferror(stream->file))
        return descent_fail(DESCENT_IO_ERROR, "%s: reading failed at byte %" PRIu64 ": %s", stream->name,
                            stream->taken, strerror(errno));
    stream->z.next_in = stream->buffer;
    stream->z.avail_in = (uInt)got;
    stream->taken += got;
    data_digest_add(stream->file_digest, stream->buffer, got);
    return DESCENT_OK;
}

bool data_stream_find(const char *directory, const char *name, char path[PATH_MAX])
{
    for (int i = 0; i < 2; i++) {
        struct stat about;
        int length = snprintf(path, PATH_MAX, "%s/%s%s", directory, name, i ? ".gz" : "");
        if (length < PATH_MAX && stat(path, &about) == 0 && S_ISREG(about.st_mode))
            return true;
    }
    return false;
}

enum descent_status data_stream_open(const char *path, struct data_stream **stream)
{
    *stream = NULL;
    FILE *file = fopen(path, "rb");
    if (!file)
        return descent_fail(errno == ENOENT ? DESCENT_NOT_FOUND : DESCENT_IO_ERROR,
                            "%s: cannot be opened: %s", path, strerror(errno));
    struct stat about;
    if (fstat(fileno(file), &about) != 0 || !S_ISREG(about.st_mode)) {
        fclose(file);
        return descent_fail(DESCENT_IO_ERROR, "%s: not a regular file", path);
    }
    return data_stream_over(file, path, (uint64_t)about.st_size, stream);
}

enum descent_status data_stream_over(FILE *file, const char *name, uint64_t size,
                                     struct data_stream **result)
{
    *result = NULL;
    struct data_stream *stream = calloc(1, sizeof *stream);
    if (stream) {
        stream->name = strdup(name);
        stream->file_digest = data_digest_new();
        stream->content_digest = data_digest_new();
        stream->file = file;
    } else {
        fclose(file);
    }
    if (!stream || !stream->name || !stream->file_digest || !stream->content_digest) {
        data_stream_close(stream);
        return descent_fail(DESCENT_OUT_OF_MEMORY, "%s: no memory to read it", name);
    }
    stream->size = size;
    enum descent_status status = fill(stream);
    if (status == DESCENT_OK && stream->z.avail_in >= 2 && stream->buffer[0] == 0x1f &&
        stream->buffer[1] == 0x8b) {
        stream->gzip = inflateInit2(&stream->z, GZIP_WINDOW) == Z_OK;
        if (!stream->gzip)
            status = descent_fail(DESCENT_OUT_OF_MEMORY, "%s: no memory to unzip it", name);
    }
    if (status != DESCENT_OK) {
        data_stream_close(stream);
        return status;
    }
    *result = stream;
    return DESCENT_OK;
}

void data_stream_close(struct data_stream *stream)
{
    if (!stream)
        return;
    if (stream->gzip)
        inflateEnd(&stream->z);
    fclose(stream->file);
    data_digest_free(stream->file_digest);
    data_digest_free(stream->content_digest);
    free(stream->name);
    free(stream);
}

const char *data_stream_name(const struct data_stream *stream)
{
    return stream->name;
}

uint64_t data_stream_size(const struct data_stream *stream)
{
    return stream->size;
}

uint64_t data_stream_limit(const struct data_stream *stream)
{
    if (!stream->gzip)
        return stream->size;
    return stream->size > UINT64_MAX / GZIP_RATIO ? UINT64_MAX : stream->size * GZIP_RATIO;
}

uint64_t data_stream_offset(const struct data_stream *stream)
{
    return stream->given;
}

/* Inflates until the output is full or the last member of the file is complete. */
static enum descent_status gunzip(struct data_stream *stream)
{
    z_stream *z = &stream->z;
    while (z->avail_out > 0 && !stream->ended) {
        if (z->avail_in == 0 && fill(stream) != DESCENT_OK)
            return DESCENT_IO_ERROR;
        if (z->avail_in == 0)
            return descent_fail(DESCENT_BAD_FORMAT, "%s: gzip data is cut off at byte %" PRIu64,
                                stream->name, stream->taken);
        int result = inflate(z, Z_NO_FLUSH);
        if (result == Z_STREAM_END) { /* of this member; another may follow */
            if (z->avail_in == 0 && fill(stream) != DESCENT_OK)
                return DESCENT_IO_ERROR;
            stream->ended = z->avail_in == 0;
            inflateReset(z);
        } else if (result == Z_MEM_ERROR) {
            return descent_fail(DESCENT_OUT_OF_MEMORY, "%s: no memory to unzip it", stream->name);
        } else if (result != Z_OK && result != Z_BUF_ERROR) {
            return descent_fail(DESCENT_BAD_FORMAT, "%s: corrupt gzip data near byte %" PRIu64 ": %s",
                                stream->name, stream->taken - z->avail_in,
                                z->msg ? z->msg : "needs a dictionary");
        }
    }
    return DESCENT_OK;
}

static enum descent_status copy(struct data_stream *stream)
{
    z_stream *z = &stream->z;
    while (z->avail_out > 0 && !stream->ended) {
        if (z->avail_in == 0 && fill(stream) != DESCENT_OK)
            return DESCENT_IO_ERROR;
        stream->ended = z->avail_in == 0;
        uInt size = z->avail_in < z->avail_out ? z->avail_in : z->avail_out;
        memcpy(z->next_out, z->next_in, size);
        z->next_in += size;
        z->next_out += size;
        z->avail_in -= size;
        z->avail_out -= size;
    }
    return DESCENT_OK;
}

enum descent_status data_stream_read(struct data_stream *stream, void *bytes, size_t size, size_t *got)
{
    enum descent_status status = DESCENT_OK;
    *got = 0;
    while (*got < size && !stream->ended && status == DESCENT_OK) {
        size_t slice = size - *got < SLICE ? size - *got : SLICE;
        stream->z.next_out = (unsigned char *)bytes + *got;
        stream->z.avail_out = (uInt)slice;
        status = stream->gzip ? gunzip(stream) : copy(stream);
        *got += slice - stream->z.avail_out;
    }
    if (stream->gzip)
        data_digest_add(stream->content_digest, bytes, *got);
    stream->given += *got;
    return status;
}

enum descent_status data_stream_read_all(struct data_stream *stream, void *bytes, size_t size,
                                         const char *inside)
{
    size_t got;
    uint64_t offset = stream->given;
    enum descent_status status = data_stream_read(stream, bytes, size, &got);
    if (status == DESCENT_OK && got < size)
        return descent_fail(DESCENT_BAD_FORMAT,
                            "%s: ends at byte %" PRIu64 ", inside %s, which takes at least %" PRIu64,
                            stream->name, offset + got, inside, offset + size);
    return status;
}

enum descent_status data_stream_take(struct data_stream *stream, size_t size, uint8_t **bytes, size_t *got)
{
    enum descent_status status = DESCENT_OK;
    size_t capacity = 0, more = 0;
    uint64_t wanted = 4 * stream->size + BUFFER;
    *bytes = NULL;
    *got = 0;
    do {
        capacity = wanted < size ? (size_t)wanted : size;
        uint8_t *grown = realloc(*bytes, capacity ? capacity : 1);
        if (!grown) {
            status =
                descent_fail(DESCENT_OUT_OF_MEMORY, "%s: no memory for %zu bytes", stream->name, capacity);
            break;
        }
        *bytes = grown;
        status = data_stream_read(stream, grown + *got, capacity - *got, &more);
        *got += more;
        wanted *= 2;
    } while (status == DESCENT_OK && *got == capacity && *got < size);
    if (status != DESCENT_OK) {
        free(*bytes);
        *bytes = NULL;
    }
    return status;
}

enum descent_status data_stream_expect_end(struct data_stream *stream, const char *promise)
{
    uint8_t beyond;
    size_t got;
    uint64_t end = stream->given;
    enum descent_status status = data_stream_read(stream, &beyond, 1, &got);
    if (status == DESCENT_OK && got)
        return descent_fail(DESCENT_BAD_FORMAT, "%s: goes on after the %" PRIu64 " bytes that %s promises",
                            stream->name, end, promise);
    return status;
}

void data_stream_md5(struct data_stream *stream, char file[DATA_MD5_TEXT], char content[DATA_MD5_TEXT])
{
    data_digest_text(stream->file_digest, file);
    if (stream->gzip)
        data_digest_text(stream->content_digest, content);
    else
        memcpy(content, file, DATA_MD5_TEXT);
}

uint32_t data_crc32(const void *bytes, size_t size)
{
    return (uint32_t)crc32_z(0, bytes, size);
}
