/* CIFAR-10 and CIFAR-100, binary version (Krizhevsky 2009): records of one label, or a coarse and a fine
 * one, and 3 planes of 32 x 32 bytes. From their directory, plain or gzipped, or straight from the .tar.gz
 * as published, which is never unpacked to disk. The same samples in the same order both ways. */
#include "data/known.h"
#include "data/tar.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum {
    SIDE = 32,
    CHANNELS = 3,
    PLANE = SIDE * SIDE,
    PIXELS = CHANNELS * PLANE,
    MAX_BATCHES = 6,
    MAX_RECORDS = 1 << 17,     /* of a file */
    MAX_NAMES_BYTES = 1 << 14, /* of a file that names the classes */
    MAX_OTHER_BYTES = 1 << 20, /* of a file in the archive that is none of ours: readme.html */
};

static const uint64_t UNKNOWN = UINT64_MAX; /* the size of a file that no header states */

static const struct descent_option options[] = {
    {.name = "labels",
     .type = DESCENT_OPTION_CHOICE,
     .initial = "fine",
     .choices = "fine|coarse",
     .help = "the 100 classes of CIFAR-100, or their 20 groups"},
};

/* The two data sets, with the files of each: training batches in order, the test batch last. */
static const struct variant {
    const char *name, *directory, *archive;
    int batches, labels; /* bytes of labels at the start of a record */
    const char *batch[MAX_BATCHES];
    struct {
        const char *file;
        int classes, at; /* which byte of the record */
    } names[2];          /* fine, coarse */
} variants[] = {
    {"cifar-10",
     "cifar-10-batches-bin",
     "cifar-10-binary.tar.gz",
     6,
     1,
     {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin",
      "test_batch.bin"},
     {{"batches.meta.txt", 10, 0}}},
    {"cifar-100",
     "cifar-100-binary",
     "cifar-100-binary.tar.gz",
     2,
     2,
     {"train.bin", "test.bin"},
     {{"fine_label_names.txt", 100, 1}, {"coarse_label_names.txt", 20, 0}}},
};

enum { VARIANTS = sizeof variants / sizeof *variants };

/* A set being read: its files as they lie. */
struct reading {
    const struct variant *variant;
    const char *path;
    struct data_parts *parts;
    struct {
        uint8_t *bytes;
        size_t size;
    } batch[MAX_BATCHES], names[2];
};

/* ---- Files ---- */

static enum descent_status check_batch(const struct variant *variant, const char *where,
                                       const uint8_t *bytes, size_t size)
{
    size_t record = (size_t)variant->labels + PIXELS;
    if (size == 0 || size % record != 0)
        return descent_fail(DESCENT_BAD_FORMAT,
                            "%s: record %zu is cut off at byte %zu; expected records of %zu bytes", where,
                            size / record, size, record);
    for (size_t i = 0; i < size; i += record)
        for (int k = 0; k < variant->labels; k++) {
            size_t at = i + (size_t)variant->names[k].at;
            if (bytes[at] >= variant->names[k].classes)
                return descent_fail(DESCENT_BAD_FORMAT,
                                    "%s: record %zu has label %d at byte %zu, expected 0 .. %d", where,
                                    i / record, bytes[at], at, variant->names[k].classes - 1);
        }
    return DESCENT_OK;
}

/* Reads `file` where it is one of ours, *known, and in an archive tells the variant by it. `where` is what
 * messages call it, `size` what an archive promises of it, at most `most` bytes. */
static enum descent_status read_file(struct reading *reading, struct data_stream *stream, const char *file,
                                     const char *where, uint64_t size, bool *known)
{
    int batch = -1, names = -1;
    const struct variant *variant = reading->variant ? reading->variant : variants;
    for (; variant < variants + VARIANTS; variant++) {
        for (int b = 0; b < variant->batches; b++)
            batch = strcmp(file, variant->batch[b]) == 0 ? b : batch;
        for (int k = 0; k < variant->labels; k++)
            names = strcmp(file, variant->names[k].file) == 0 ? k : names;
        if (batch >= 0 || names >= 0 || reading->variant)
            break;
    }
    *known = batch >= 0 || names >= 0;
    if (!*known)
        return DESCENT_OK;
    reading->variant = variant;

    uint64_t most = batch >= 0 ? MAX_RECORDS * (uint64_t)(variant->labels + PIXELS) : MAX_NAMES_BYTES;
    uint8_t **bytes = batch >= 0 ? &reading->batch[batch].bytes : &reading->names[names].bytes;
    size_t *got = batch >= 0 ? &reading->batch[batch].size : &reading->names[names].size;
    if (*bytes)
        return descent_fail(DESCENT_BAD_FORMAT, "%s: is there twice", where);
    enum descent_status status =
        data_stream_take(stream, (size_t)(size <= most ? size : most + 1), bytes, got);
    if (status != DESCENT_OK)
        return status;
    if (*got > most)
        return descent_fail(DESCENT_BAD_FORMAT, "%s: has more than the %" PRIu64 " bytes expected at most",
                            where, most);
    if (size != UNKNOWN && *got < size)
        return descent_fail(DESCENT_BAD_FORMAT, "%s: ends at byte %zu, the tar header promises %" PRIu64,
                            where, *got, size);
    return batch >= 0 ? check_batch(variant, where, *bytes, *got) : DESCENT_OK;
}

static enum descent_status read_directory(struct reading *reading)
{
    const struct variant *variant = reading->variant;
    for (int i = 0; i < variant->batches + variant->labels; i++) {
        bool known, is_batch = i < variant->batches;
        char path[PATH_MAX];
        struct data_stream *stream;
        const char *file = is_batch ? variant->batch[i] : variant->names[i - variant->batches].file;
        if (!data_stream_find(reading->path, file, path)) {
            if (!is_batch)
                continue; /* classes without names are numbers */
            return descent_fail(DESCENT_NOT_FOUND, "%s: %s is missing, plain or .gz", reading->path, file);
        }
        enum descent_status status = data_stream_open(path, &stream);
        if (status != DESCENT_OK)
            return status;
        status = read_file(reading, stream, file, path, UNKNOWN, &known);
        if (status == DESCENT_OK)
            status = data_add_file(reading->parts, stream);
        data_stream_close(stream);
        if (status != DESCENT_OK)
            return status;
    }
    return DESCENT_OK;
}

/* A member of the archive; what is not ours is passed over. */
static enum descent_status read_member(struct reading *reading, struct data_stream *stream,
                                       const struct data_tar_member *member)
{
    char where[PATH_MAX], md5[DATA_MD5_TEXT];
    bool known;
    snprintf(where, sizeof where, "%s in %s", member->name, data_stream_name(stream));
    enum descent_status status = read_file(reading, stream, member->name, where, member->size, &known);
    if (status != DESCENT_OK)
        return status;
    if (!known && member->size > MAX_OTHER_BYTES)
        return descent_fail(DESCENT_BAD_FORMAT,
                            "%s: %" PRIu64 " bytes of what is no part of CIFAR-10 or CIFAR-100, expected "
                            "at most %d",
                            where, member->size, MAX_OTHER_BYTES);
    if (!known)
        return data_tar_skip(stream, member->size);
    for (int b = 0; b < reading->variant->batches; b++)
        if (strcmp(member->name, reading->variant->batch[b]) == 0) {
            data_md5(reading->batch[b].bytes, reading->batch[b].size, md5);
            return data_add_member(reading->parts, member->name, md5);
        }
    return DESCENT_OK;
}

static enum descent_status read_archive(struct reading *reading, struct data_stream *stream)
{
    struct data_tar_member member;
    enum descent_status status;
    while ((status = data_tar_next(stream, &member)) == DESCENT_OK && *member.name)
        if ((status = read_member(reading, stream, &member)) != DESCENT_OK)
            return status;
    if (status != DESCENT_OK)
        return status;
    const struct variant *variant = reading->variant ? reading->variant : variants;
    for (int b = 0; b < variant->batches; b++)
        if (!reading->batch[b].bytes)
            return descent_fail(DESCENT_NOT_FOUND, "%s: %s is missing in the archive", reading->path,
                                variant->batch[b]);
    return data_add_file(reading->parts, stream);
}

/* ---- Samples ---- */

/* The record's planes, pixel by pixel. */
static void interleave(const uint8_t *planes, uint8_t *pixels)
{
    for (int i = 0; i < PLANE; i++)
        for (int c = 0; c < CHANNELS; c++)
            pixels[CHANNELS * i + c] = planes[PLANE * c + i];
}

/* Makes batches begin .. end - 1 one source, and frees them. */
static enum descent_status join(struct reading *reading, int label_at, int begin, int end,
                                struct data_source **source)
{
    size_t labels_bytes = (size_t)reading->variant->labels, record = labels_bytes + PIXELS, count = 0;
    for (int b = begin; b < end; b++)
        count += reading->batch[b].size / record;
    uint8_t *bytes = malloc(count * PIXELS), *to = bytes;
    int32_t *labels = malloc(count * sizeof *labels), *label = labels;
    for (int b = begin; b < end; b++) {
        const uint8_t *from = reading->batch[b].bytes, *stop = from + reading->batch[b].size;
        for (; bytes && labels && from < stop; from += record, to += PIXELS) {
            *label++ = from[label_at];
            interleave(from + labels_bytes, to);
        }
        free(reading->batch[b].bytes);
        reading->batch[b].bytes = NULL;
    }
    *source = data_source_in_memory((int64_t)count, SIDE, SIDE, CHANNELS, bytes, labels);
    return *source ? DESCENT_OK : DESCENT_OUT_OF_MEMORY;
}

/* One class a line; empty lines, with which the published files end, count for nothing. */
static enum descent_status name_classes(struct reading *reading, int granularity)
{
    const char *file = reading->variant->names[granularity].file;
    int classes = reading->variant->names[granularity].classes, count = 0;
    reading->parts->classes = classes;
    if (!reading->names[granularity].bytes)
        return DESCENT_OK;
    const char **names = descent_arena_alloc(reading->parts->arena, (size_t)classes * sizeof *names);
    const char *at = (const char *)reading->names[granularity].bytes,
               *end = at + reading->names[granularity].size;
    for (size_t length; names && at < end; at += length + 1) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        length = (size_t)((newline ? newline : end) - at);
        int printed = (int)(length > 0 && at[length - 1] == '\r' ? length - 1 : length);
        for (int i = 0; i < printed; i++)
            if ((unsigned char)at[i] < ' ')
                return descent_fail(DESCENT_BAD_FORMAT,
                                    "%s: %s: class name %d holds a control character of code %d",
                                    reading->path, file, count, at[i]);
        if (printed > 0 && count++ < classes)
            names[count - 1] = descent_arena_format(reading->parts->arena, "%.*s", printed, at);
    }
    if (names && count != classes)
        return descent_fail(DESCENT_BAD_FORMAT, "%s: %s names %d classes, expected %d", reading->path, file,
                            count, classes);
    for (int i = 0; names && i < classes; i++)
        if (!names[i])
            names = NULL;
    reading->parts->class_names = names;
    return names ? DESCENT_OK
                 : descent_fail(DESCENT_OUT_OF_MEMORY, "%s: no memory for its names", reading->path);
}

/* ---- The format ---- */

/* Where the files of a set are: a directory, or an archive. The path itself, or what is in it under the
 * published names. */
static bool locate(const char *path, const struct variant **variant, bool *archive, char place[PATH_MAX])
{
    struct stat about;
    char found[PATH_MAX];
    *archive = false;
    if (stat(path, &about) == 0 && S_ISREG(about.st_mode)) {
        struct data_stream *stream;
        if (data_stream_open(path, &stream) == DESCENT_OK)
            *archive = data_tar_recognize(stream);
        data_stream_close(stream);
        *variant = NULL;
        return *archive && snprintf(place, PATH_MAX, "%s", path) < PATH_MAX;
    }
    for (*variant = variants; *variant < variants + VARIANTS; ++*variant) {
        if (snprintf(place, PATH_MAX, "%s", path) < PATH_MAX &&
            data_stream_find(place, (*variant)->batch[0], found))
            return true;
        if (snprintf(place, PATH_MAX, "%s/%s", path, (*variant)->directory) < PATH_MAX &&
            data_stream_find(place, (*variant)->batch[0], found))
            return true;
        *archive = snprintf(place, PATH_MAX, "%s/%s", path, (*variant)->archive) < PATH_MAX &&
                   stat(place, &about) == 0 && S_ISREG(about.st_mode);
        if (*archive)
            return true;
    }
    return false;
}

static bool recognize(const char *path)
{
    const struct variant *variant;
    char place[PATH_MAX];
    bool archive;
    return locate(path, &variant, &archive, place);
}

static enum descent_status read_all(struct reading *reading, bool archive)
{
    struct data_stream *stream;
    if (!archive)
        return read_directory(reading);
    enum descent_status status = data_stream_open(reading->path, &stream);
    if (status == DESCENT_OK)
        status = read_archive(reading, stream);
    data_stream_close(stream);
    return status;
}

static enum descent_status open_cifar(const struct data_request *request, struct data_parts *parts)
{
    char path[PATH_MAX];
    bool archive;
    int granularity = (int)request->options[0].number;
    struct reading reading = {.path = path, .parts = parts};
    if (!locate(request->path, &reading.variant, &archive, path))
        return descent_fail(DESCENT_NOT_FOUND, "%s: is gone", request->path);
    enum descent_status status = read_all(&reading, archive);
    const struct variant *variant = reading.variant;
    if (status == DESCENT_OK && granularity >= variant->labels)
        status = descent_fail(DESCENT_BAD_ARGUMENT, "%s: labels=coarse is for CIFAR-100, this is %s", path,
                              variant->name);
    if (status == DESCENT_OK)
        status = name_classes(&reading, granularity);
    if (status == DESCENT_OK) {
        int label_at = variant->names[granularity].at, last = variant->batches - 1;
        parts->name = variant->name;
        status = join(&reading, label_at, 0, last, &parts->train);
        if (status == DESCENT_OK)
            status = join(&reading, label_at, last, last + 1, &parts->test);
    }
    for (int b = 0; b < MAX_BATCHES; b++)
        free(reading.batch[b].bytes);
    for (int k = 0; k < 2; k++)
        free(reading.names[k].bytes);
    return status;
}

const struct data_format data_format_cifar = {
    .info = {.name = "cifar",
             .summary = "CIFAR-10 or CIFAR-100, binary version: its directory or its .tar.gz",
             .options = options,
             .option_count = sizeof options / sizeof *options},
    .recognize = recognize,
    .open = open_cifar,
};
