/* Arrays: reading their elements, and turning them into pixels and labels without losing anything. */
#include "data/array.h"
#include "base/memory.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    size_t bytes;
    const char *text;
} elements[] = {
#define X(name, bytes, text) {bytes, text},
    DATA_ELEMENT_LIST(X)
#undef X
};

/* "60000 x 28 x 28" */
static const char *shape_text(const struct data_array *array, char *text, size_t size)
{
    int used = 0;
    for (int i = 0; i < array->rank; i++)
        used += snprintf(text + used, size - (size_t)used, "%s%" PRIu64, i ? " x " : "", array->shape[i]);
    return text;
}

enum descent_status data_array_read(struct data_stream *stream, struct data_array *array)
{
    const char *name = data_stream_name(stream);
    char shape[96];
    size_t bytes = elements[array->element].bytes, got;
    bool overflow = false, empty = false;
    array->bytes = NULL;
    for (int i = 0; i < array->rank; i++) {
        empty |= array->shape[i] == 0;
        overflow |= !descent_size_multiply(bytes, array->shape[i], &bytes);
    }
    shape_text(array, shape, sizeof shape);
    if (empty)
        return descent_fail(DESCENT_BAD_FORMAT, "%s: is empty: its header says %s", name, shape);
    uint64_t limit = data_stream_limit(stream), header = data_stream_offset(stream);
    if (overflow || bytes > limit)
        return descent_fail(DESCENT_BAD_FORMAT,
                            "%s: header promises %s %s, more than the %" PRIu64 " bytes that its %" PRIu64
                            " bytes can hold",
                            name, shape, elements[array->element].text, limit, data_stream_size(stream));
    array->size = bytes / elements[array->element].bytes;
    enum descent_status status = data_stream_take(stream, bytes, &array->bytes, &got);
    if (status == DESCENT_OK && got < bytes)
        status =
            descent_fail(DESCENT_BAD_FORMAT, "%s: ends at byte %" PRIu64 ", its header promises %" PRIu64,
                         name, header + got, header + bytes);
    if (status == DESCENT_OK)
        status = data_stream_expect_end(stream, "its header");
    if (status != DESCENT_OK)
        data_array_free(array);
    return status;
}

void data_array_free(struct data_array *array)
{
    free(array->bytes);
    array->bytes = NULL;
}

/* Element i as a number; 64-bit integers beyond 2^53 are rounded. */
static double value_at(const struct data_array *array, size_t i)
{
    size_t bytes = elements[array->element].bytes;
    const uint8_t *at = array->bytes + i * bytes;
    uint64_t raw = 0;
    for (size_t k = 0; k < bytes; k++)
        raw = raw << 8 | at[array->big_endian ? k : bytes - 1 - k];
    float single;
    double number;
    switch (array->element) {
    case DATA_I8:
        return (int8_t)raw;
    case DATA_I16:
        return (int16_t)raw;
    case DATA_I32:
        return (int32_t)raw;
    case DATA_I64:
        return (double)(int64_t)raw;
    case DATA_F32:
        memcpy(&single, &(uint32_t){(uint32_t)raw}, sizeof single);
        return (double)single;
    case DATA_F64:
        memcpy(&number, &raw, sizeof number);
        return number;
    case DATA_U8:
    case DATA_U16:
    case DATA_U32:
    case DATA_U64:
        break;
    }
    return (double)raw;
}

/* Pictures of floating-point numbers are bytes divided by 255 where nothing exceeds 1. */
static double pixel_scale(const struct data_array *array)
{
    if (!data_is_real(array))
        return 1;
    for (size_t i = 0; i < array->size; i++)
        if (!(value_at(array, i) <= 1))
            return 1;
    return 255;
}

/* The pixels, in place: they never take more room than the elements. */
static enum descent_status make_pixels(struct data_array *array, const char *name)
{
    const double slack = 1e-3; /* float16 pictures that became float32 are refused */
    const char *fractions = ", or these divided by 255";
    if (array->scale > 0 && data_is_real(array))
        fractions =
            array->scale > 1 ? " divided by 255, as in the training part" : ", as in the training part";
    else if (!(array->scale > 0))
        array->scale = pixel_scale(array);
    if (array->element == DATA_U8)
        return DESCENT_OK;
    double scale = data_is_real(array) ? array->scale : 1;
    for (size_t i = 0; i < array->size; i++) {
        double value = value_at(array, i), pixel = round(value * scale);
        if (!(pixel >= 0 && pixel <= 255 && fabs(value * scale - pixel) <= slack))
            return descent_fail(DESCENT_BAD_FORMAT,
                                "%s: value %zu is %.9g; pixels are kept as bytes: expected whole numbers "
                                "0 .. 255%s",
                                name, i, value, fractions);
        array->bytes[i] = (uint8_t)pixel;
    }
    array->element = DATA_U8;
    uint8_t *fitting = realloc(array->bytes, array->size); /* of 8 bytes a pixel 7 are free now */
    if (fitting)
        array->bytes = fitting;
    return DESCENT_OK;
}

static enum descent_status make_labels(const struct data_array *array, const char *name, int lowest,
                                       int32_t **labels)
{
    size_t count = (size_t)array->shape[0], stride = array->size / count;
    *labels = malloc(count * sizeof **labels);
    if (!*labels)
        return descent_fail(DESCENT_OUT_OF_MEMORY, "%s: no memory for %zu labels", name, count);
    for (size_t i = 0; i < count; i++) {
        double value = value_at(array, i * stride);
        if (!(value >= lowest && value - lowest < DATA_MAX_CLASSES && value == floor(value))) {
            free(*labels);
            *labels = NULL;
            return descent_fail(DESCENT_BAD_FORMAT,
                                "%s: label %zu is %.9g, expected whole numbers %d .. %d", name, i, value,
                                lowest, lowest + DATA_MAX_CLASSES - 1);
        }
        (*labels)[i] = (int32_t)value - lowest;
    }
    return DESCENT_OK;
}

static enum descent_status make_targets(const struct data_array *array, const char *name, double **targets)
{
    *targets = malloc(array->size * sizeof **targets);
    if (!*targets)
        return descent_fail(DESCENT_OUT_OF_MEMORY, "%s: no memory for %zu targets", name, array->size);
    for (size_t i = 0; i < array->size; i++) {
        double value = (*targets)[i] = value_at(array, i);
        if (!(fabs(value) <= (double)FLT_MAX)) {
            free(*targets);
            *targets = NULL;
            return descent_fail(DESCENT_BAD_FORMAT,
                                "%s: target %zu is %g, expected finite numbers within +-%.3g", name, i,
                                value, (double)FLT_MAX);
        }
    }
    return DESCENT_OK;
}

/* Numbers a sample. */
static uint64_t width_of(const struct data_array *labels)
{
    return labels->rank > 1 ? labels->shape[1] : 1;
}

static enum descent_status check_shapes(const struct data_array *images, const char *images_name,
                                        const struct data_array *labels, const char *labels_name)
{
    char shape[96];
    uint64_t height = images->rank > 2 ? images->shape[1] : 1,
             width = images->shape[images->rank > 2 ? 2 : 1],
             channels = images->rank > 3 ? images->shape[3] : 1;
    if (images->shape[0] != labels->shape[0])
        return descent_fail(DESCENT_MISMATCH,
                            "%s holds %" PRIu64 " images, but %s holds %" PRIu64 " labels", images_name,
                            images->shape[0], labels_name, labels->shape[0]);
    if (images->shape[0] > UINT32_MAX)
        return descent_fail(DESCENT_BAD_FORMAT, "%s: %" PRIu64 " images, expected at most %" PRIu32,
                            images_name, images->shape[0], UINT32_MAX);
    if (height > DATA_MAX_SIDE || width > DATA_MAX_SIDE)
        return descent_fail(DESCENT_BAD_FORMAT,
                            "%s: images of %" PRIu64 " x %" PRIu64 " pixels, at most %d a side expected",
                            images_name, height, width, DATA_MAX_SIDE);
    if (channels > DATA_MAX_CHANNELS)
        return descent_fail(DESCENT_BAD_FORMAT,
                            "%s: its shape is %s, expected images x height x width x at most %d channels",
                            images_name, shape_text(images, shape, sizeof shape), DATA_MAX_CHANNELS);
    return DESCENT_OK;
}

enum descent_status data_source_of_arrays(struct data_array *images, const char *images_name,
                                          struct data_array *labels, const char *labels_name, int lowest,
                                          struct data_source **source)
{
    int32_t *classes = NULL;
    double *targets = NULL;
    bool numbers = lowest == DATA_NUMBERS;
    *source = NULL;
    enum descent_status status = check_shapes(images, images_name, labels, labels_name);
    if (status == DESCENT_OK)
        status = make_pixels(images, images_name);
    if (status == DESCENT_OK && numbers && width_of(labels) > DATA_MAX_TARGETS)
        status = descent_fail(DESCENT_BAD_FORMAT, "%s: %" PRIu64 " targets a sample, expected at most %d",
                              labels_name, width_of(labels), DATA_MAX_TARGETS);
    if (status == DESCENT_OK)
        status = numbers ? make_targets(labels, labels_name, &targets)
                         : make_labels(labels, labels_name, lowest, &classes);
    data_array_free(labels);
    if (status != DESCENT_OK) {
        data_array_free(images);
        return status;
    }
    int height = images->rank > 2 ? (int)images->shape[1] : 1,
        width = (int)images->shape[images->rank > 2 ? 2 : 1],
        channels = images->rank > 3 ? (int)images->shape[3] : 1;
    if (numbers)
        classes = calloc((size_t)images->shape[0], sizeof *classes);
    *source =
        data_source_in_memory((int64_t)images->shape[0], height, width, channels, images->bytes, classes);
    images->bytes = NULL; /* the source's now */
    if (*source && numbers)
        data_source_add_targets(*source, targets, (int)width_of(labels));
    else
        free(targets);
    return *source ? DESCENT_OK : DESCENT_OUT_OF_MEMORY;
}
