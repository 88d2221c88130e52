/* IDX files (data/idx.h), and directories of four of them as MNIST and Fashion-MNIST come. */
#include "data/idx.h"
#include "base/memory.h"
#include "data/source.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { UNSIGNED_BYTE = 0x08, FIRST_BLOCK = 1 << 16 };

static const char *type_name(uint8_t type)
{
    switch (type) {
    case 0x09:
        return "signed byte";
    case 0x0B:
        return "16-bit integer";
    case 0x0C:
        return "32-bit integer";
    case 0x0D:
        return "float32";
    case 0x0E:
        return "float64";
    default:
        return "unknown";
    }
}

/* Exactly `size` bytes of the header, which starts at byte `offset`. */
static enum descent_status read_header(struct data_stream *stream, uint8_t *bytes, size_t size,
                                       size_t offset)
{
    size_t got;
    enum descent_status status = data_stream_read(stream, bytes, size, &got);
    if (status == DESCENT_OK && got < size)
        return descent_fail(DESCENT_BAD_FORMAT,
                            "%s: ends at byte %zu, inside the IDX header, which takes at least %zu",
                            data_stream_name(stream), offset + got, offset + size);
    return status;
}

/* "60000 x 28 x 28" */
static const char *shape_text(const struct data_idx *idx, char *text, size_t size)
{
    int used = 0;
    for (int i = 0; i < idx->rank; i++)
        used += snprintf(text + used, size - (size_t)used, "%s%" PRIu32, i ? " x " : "", idx->shape[i]);
    return text;
}

/* Reads rank and shape and holds the number of elements against the file's size. */
static enum descent_status read_shape(struct data_stream *stream, int rank, struct data_idx *idx)
{
    const char *name = data_stream_name(stream);
    uint8_t header[4 * IDX_MAX_RANK];
    enum descent_status status = read_header(stream, header, 4, 0);
    if (status != DESCENT_OK)
        return status;
    if (header[0] || header[1])
        return descent_fail(
            DESCENT_BAD_FORMAT,
            "%s: starts with %02x %02x %02x %02x, expected %02x %02x %02x %02x of an IDX file", name,
            header[0], header[1], header[2], header[3], 0, 0, UNSIGNED_BYTE, rank);
    if (header[2] != UNSIGNED_BYTE)
        return descent_fail(
            DESCENT_BAD_FORMAT,
            "%s: IDX element type 0x%02X (%s) is not supported, expected 0x08 (unsigned byte)", name,
            header[2], type_name(header[2]));
    if (header[3] != rank)
        return descent_fail(DESCENT_BAD_FORMAT, "%s: has %d dimensions, expected %d (%s)", name, header[3],
                            rank, rank == 1 ? "labels" : "images x height x width");
    status = read_header(stream, header, 4 * (size_t)rank, 4);
    if (status != DESCENT_OK)
        return status;

    char shape[64];
    bool overflow = false;
    idx->rank = rank;
    idx->size = 1;
    for (int i = 0; i < rank; i++) {
        const uint8_t *p = header + 4 * i;
        idx->shape[i] = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
        overflow |= !descent_size_multiply(idx->size, idx->shape[i], &idx->size);
    }
    shape_text(idx, shape, sizeof shape);
    if (!overflow && idx->size == 0)
        return descent_fail(DESCENT_BAD_FORMAT, "%s: is empty: its header says %s", name, shape);
    uint64_t limit = data_stream_limit(stream);
    if (overflow || idx->size > limit)
        return descent_fail(DESCENT_BAD_FORMAT,
                            "%s: header promises %s bytes, more than the %" PRIu64 " that its %" PRIu64
                            " bytes can hold",
                            name, shape, limit, data_stream_size(stream));
    return DESCENT_OK;
}

static enum descent_status read_elements(struct data_stream *stream, struct data_idx *idx)
{
    const char *name = data_stream_name(stream);
    size_t header = 4 + 4 * (size_t)idx->rank, have = 0, capacity = 0, got = 0;
    uint64_t wanted = 4 * data_stream_size(stream) + FIRST_BLOCK;
    do {
        capacity = wanted < idx->size ? (size_t)wanted : idx->size;
        uint8_t *grown = realloc(idx->bytes, capacity);
        if (!grown)
            return descent_fail(DESCENT_OUT_OF_MEMORY, "%s: no memory for %zu bytes", name, capacity);
        idx->bytes = grown;
        enum descent_status status = data_stream_read(stream, grown + have, capacity - have, &got);
        if (status != DESCENT_OK)
            return status;
        have += got;
        wanted *= 2;
    } while (have == capacity && have < idx->size);
    if (have < idx->size)
        return descent_fail(DESCENT_BAD_FORMAT, "%s: ends at byte %zu, its header promises %zu", name,
                            header + have, header + idx->size);
    uint8_t beyond;
    enum descent_status status = data_stream_read(stream, &beyond, 1, &got);
    if (status == DESCENT_OK && got)
        return descent_fail(DESCENT_BAD_FORMAT, "%s: goes on after the %zu bytes that its header promises",
                            name, header + idx->size);
    return status;
}

enum descent_status data_idx_read(struct data_stream *stream, int rank, struct data_idx *idx)
{
    *idx = (struct data_idx){0};
    enum descent_status status = read_shape(stream, rank, idx);
    if (status == DESCENT_OK)
        status = read_elements(stream, idx);
    if (status != DESCENT_OK) {
        free(idx->bytes);
        idx->bytes = NULL;
    }
    return status;
}

/* Looks for DIRECTORY/STEM-idxRANK-ubyte in its four spellings. */
static bool find(const char *directory, const char *stem, int rank, char path[PATH_MAX])
{
    for (int i = 0; i < 4; i++) {
        struct stat about;
        int length = snprintf(path, PATH_MAX, "%s/%s%cidx%d-ubyte%s", directory, stem, i < 2 ? '-' : '.',
                              rank, i % 2 ? ".gz" : "");
        if (length < PATH_MAX && stat(path, &about) == 0 && S_ISREG(about.st_mode))
            return true;
    }
    return false;
}

/* Finds and reads one of the files; `path` is where it was. */
static enum descent_status read_file(const char *directory, const char *stem, int rank,
                                     struct data_idx *idx, char path[PATH_MAX])
{
    if (!find(directory, stem, rank, path))
        return descent_fail(DESCENT_NOT_FOUND, "%s: %s-idx%d-ubyte is missing, plain or .gz", directory,
                            stem, rank);
    struct data_stream *stream;
    enum descent_status status = data_stream_open(path, &stream);
    if (status == DESCENT_OK)
        status = data_idx_read(stream, rank, idx);
    data_stream_close(stream);
    return status;
}

static enum descent_status read_part(const char *directory, const char *part, struct data_idx *images,
                                     struct data_idx *labels)
{
    char stem[32], images_path[PATH_MAX], labels_path[PATH_MAX];
    snprintf(stem, sizeof stem, "%s-images", part);
    enum descent_status status = read_file(directory, stem, 3, images, images_path);
    if (status != DESCENT_OK)
        return status;
    snprintf(stem, sizeof stem, "%s-labels", part);
    status = read_file(directory, stem, 1, labels, labels_path);
    if (status != DESCENT_OK)
        return status;
    if (images->shape[0] != labels->shape[0])
        return descent_fail(DESCENT_MISMATCH,
                            "%s holds %" PRIu32 " images, but %s holds %" PRIu32 " labels", images_path,
                            images->shape[0], labels_path, labels->shape[0]);
    if (images->shape[1] > DATA_MAX_SIDE || images->shape[2] > DATA_MAX_SIDE)
        return descent_fail(DESCENT_BAD_FORMAT,
                            "%s: images of %" PRIu32 " x %" PRIu32 " pixels, at most %d a side expected",
                            images_path, images->shape[1], images->shape[2], DATA_MAX_SIDE);
    return DESCENT_OK;
}

static enum descent_status open_part(const char *directory, const char *part, struct data_source **source)
{
    struct data_idx images = {0}, labels = {0};
    enum descent_status status = read_part(directory, part, &images, &labels);
    if (status == DESCENT_OK) {
        int32_t *classes = malloc(labels.size * sizeof *classes);
        for (size_t i = 0; classes && i < labels.size; i++)
            classes[i] = labels.bytes[i];
        *source = data_source_in_memory(images.shape[0], (int)images.shape[1], (int)images.shape[2], 1,
                                        images.bytes, classes);
        images.bytes = NULL; /* the source's now */
        if (!*source)
            status = DESCENT_OUT_OF_MEMORY;
    }
    free(images.bytes);
    free(labels.bytes);
    return status;
}

static bool recognize(const char *path)
{
    char found[PATH_MAX];
    return find(path, "train-images", 3, found);
}

static enum descent_status open_directory(const struct data_request *request, struct data_parts *parts)
{
    enum descent_status status = open_part(request->path, "train", &parts->train);
    return status == DESCENT_OK ? open_part(request->path, "t10k", &parts->test) : status;
}

const struct data_format data_format_idx = {
    .name = "idx",
    .expects = "IDX files train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and "
               "t10k-labels-idx1-ubyte, plain or .gz",
    .recognize = recognize,
    .open = open_directory,
};
