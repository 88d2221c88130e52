/* .npy files (data/npy.h), and directories with pairs of them. */
#include "data/npy.h"
#include "data/known.h"

#include <ctype.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- A file ---- */

enum { HEAD = 8, MAX_HEADER = 1 << 12 };

/* Types by NumPy's letter and size. */
static const struct {
    const char *text;
    enum data_element element;
} types[] = {{"b1", DATA_U8},  {"u1", DATA_U8},  {"i1", DATA_I8},  {"u2", DATA_U16},
             {"i2", DATA_I16}, {"u4", DATA_U32}, {"i4", DATA_I32}, {"u8", DATA_U64},
             {"i8", DATA_I64}, {"f4", DATA_F32}, {"f8", DATA_F64}};

enum { TYPES = sizeof types / sizeof *types };

/* What follows 'KEY': in the header, a dictionary as Python writes it; NULL if there is no such key. */
static const char *find_value(const char *header, const char *key)
{
    char quoted[32];
    snprintf(quoted, sizeof quoted, "'%s':", key);
    const char *at = strstr(header, quoted);
    if (!at)
        return NULL;
    at += strlen(quoted);
    return at + strspn(at, " ");
}

static bool read_type(const char *value, struct data_array *array)
{
    if (!value || *value != '\'' || !value[1] || !strchr("<>|=", value[1]))
        return false;
    array->big_endian = value[1] == '>';
    for (int i = 0; i < TYPES; i++)
        if (strncmp(value + 2, types[i].text, 2) == 0 && value[4] == '\'') {
            array->element = types[i].element;
            return true;
        }
    return false;
}

/* "(3, 4)", "(3,)"; *rank may exceed DATA_MAX_RANK, the sizes beyond are not kept. */
static bool read_shape(const char *value, struct data_array *array)
{
    array->rank = 0;
    if (!value || *value != '(')
        return false;
    for (value++; *value != ')'; value += strspn(value, ", ")) {
        uint64_t size = 0;
        if (!isdigit((unsigned char)*value))
            return false;
        for (; isdigit((unsigned char)*value); value++) {
            if (size > (UINT64_MAX - 9) / 10)
                return false;
            size = 10 * size + (uint64_t)(*value - '0');
        }
        if (array->rank < DATA_MAX_RANK)
            array->shape[array->rank] = size;
        array->rank++;
    }
    return true;
}

static enum descent_status parse_header(const char *name, const char *header, int least, int most,
                                        struct data_array *array)
{
    const char *order = find_value(header, "fortran_order");
    if (!read_type(find_value(header, "descr"), array))
        return descent_fail(DESCENT_BAD_FORMAT,
                            "%s: .npy header with element type %.12s, expected integers of 1 to 8 bytes, "
                            "booleans, float32 or float64",
                            name, find_value(header, "descr") ? find_value(header, "descr") : "missing");
    if (!read_shape(find_value(header, "shape"), array))
        return descent_fail(DESCENT_BAD_FORMAT, "%s: .npy header with shape %.24s, expected (N, ...)", name,
                            find_value(header, "shape") ? find_value(header, "shape") : "missing");
    if (array->rank < least || array->rank > most)
        return descent_fail(DESCENT_BAD_FORMAT, "%s: has %d dimensions, expected %d .. %d (%s)", name,
                            array->rank, least, most,
                            least == 1 ? "labels" : "images x height x width x channels");
    if (!order || (strncmp(order, "False", 5) != 0 && array->rank > 1))
        return descent_fail(DESCENT_BAD_FORMAT, "%s: is in Fortran order, expected C order", name);
    return DESCENT_OK;
}

enum descent_status data_npy_read(struct data_stream *stream, int least, int most, struct data_array *array)
{
    const char *name = data_stream_name(stream);
    uint8_t head[HEAD], size[4] = {0};
    char header[MAX_HEADER + 1];
    *array = (struct data_array){.rank = 0};
    enum descent_status status = data_stream_read_all(stream, head, sizeof head, "the .npy header");
    if (status != DESCENT_OK)
        return status;
    if (memcmp(head, "\x93NUMPY", 6) != 0 || head[6] < 1 || head[6] > 3)
        return descent_fail(
            DESCENT_BAD_FORMAT,
            "%s: starts with %02x %02x %02x %02x, version %d; expected 93 4e 55 4d of a .npy "
            "file, version 1 to 3",
            name, head[0], head[1], head[2], head[3], head[6]);
    status = data_stream_read_all(stream, size, head[6] == 1 ? 2 : 4, "the .npy header");
    if (status != DESCENT_OK)
        return status;
    uint32_t length = (uint32_t)size[3] << 24 | (uint32_t)size[2] << 16 | (uint32_t)size[1] << 8 | size[0];
    if (length > MAX_HEADER)
        return descent_fail(DESCENT_BAD_FORMAT, "%s: .npy header of %" PRIu32 " bytes, expected at most %d",
                            name, length, MAX_HEADER);
    status = data_stream_read_all(stream, header, length, "the .npy header");
    header[length] = 0;
    if (status == DESCENT_OK)
        status = parse_header(name, header, least, most, array);
    return status == DESCENT_OK ? data_array_read(stream, array) : status;
}

/* ---- A directory ---- */

/* The files of images and labels of both parts. */
static const char *const namings[][4] = {
    {"x_train.npy", "y_train.npy", "x_test.npy", "y_test.npy"},
    {"X_train.npy", "y_train.npy", "X_test.npy", "y_test.npy"},
    {"train_images.npy", "train_labels.npy", "test_images.npy", "test_labels.npy"},
};

enum { NAMINGS = sizeof namings / sizeof *namings };

static int find_naming(const char *directory)
{
    char path[PATH_MAX];
    for (int i = 0; i < NAMINGS; i++)
        if (data_stream_find(directory, namings[i][0], path))
            return i;
    return -1;
}

static enum descent_status read_file(struct data_parts *parts, const char *directory, const char *name,
                                     bool labels, struct data_array *array, char path[PATH_MAX])
{
    struct data_stream *stream;
    if (!data_stream_find(directory, name, path))
        return descent_fail(DESCENT_NOT_FOUND, "%s: %s is missing, plain or .gz", directory, name);
    enum descent_status status = data_stream_open(path, &stream);
    if (status != DESCENT_OK)
        return status;
    status = labels ? data_npy_read(stream, 1, 2, array) : data_npy_read(stream, 2, 4, array);
    if (status == DESCENT_OK)
        status = data_add_file(parts, stream);
    data_stream_close(stream);
    return status;
}

enum { BY_TYPE, CLASSES, NUMBERS }; /* the option `targets` */

static const struct descent_option options[] = {
    {.name = "targets",
     .type = DESCENT_OPTION_CHOICE,
     .choices = "type|classes|numbers",
     .initial = "type",
     .help = "what y holds; type: classes where it is of integers, numbers to predict where it is not"},
};

static enum descent_status open_part(struct data_parts *parts, const struct data_request *request,
                                     const char *const names[2], struct data_source **source)
{
    const char *directory = request->path;
    int targets = (int)request->options[0].number;
    struct data_array images = {0}, labels = {0};
    char images_path[PATH_MAX], labels_path[PATH_MAX];
    enum descent_status status = read_file(parts, directory, names[0], false, &images, images_path);
    if (status == DESCENT_OK)
        status = read_file(parts, directory, names[1], true, &labels, labels_path);
    bool numbers = targets == NUMBERS || (targets == BY_TYPE && data_is_real(&labels));
    if (status == DESCENT_OK && !numbers && labels.rank == 2 && labels.shape[1] != 1)
        status = descent_fail(DESCENT_MISMATCH,
                              "%s: shape %" PRIu64 " x %" PRIu64 "; expected N or N x 1 classes (one-hot?)",
                              labels_path, labels.shape[0], labels.shape[1]);
    if (status == DESCENT_OK) {
        images.scale = parts->scale;
        status = data_source_of_arrays(&images, images_path, &labels, labels_path,
                                       numbers ? DATA_NUMBERS : 0, source);
        parts->scale = images.scale;
        return status;
    }
    data_array_free(&images);
    data_array_free(&labels);
    return status;
}

static bool recognize(const char *path)
{
    return find_naming(path) >= 0;
}

static enum descent_status open_directory(const struct data_request *request, struct data_parts *parts)
{
    int naming = find_naming(request->path);
    if (naming < 0)
        return descent_fail(DESCENT_NOT_FOUND, "%s: is gone", request->path);
    const char *const *names = namings[naming];
    enum descent_status status = open_part(parts, request, names, &parts->train);
    return status == DESCENT_OK ? open_part(parts, request, names + 2, &parts->test) : status;
}

const struct data_format data_format_npy = {
    .info = {.name = "npy",
             .summary = "a directory of NumPy arrays x_train.npy, y_train.npy, x_test.npy and y_test.npy",
             .options = options,
             .option_count = sizeof options / sizeof *options},
    .recognize = recognize,
    .open = open_directory,
};
