/* Arrays as IDX and .npy files hold them, and what they become: pixels of one byte, labels. */
#ifndef DESCENT_DATA_ARRAY_H
#define DESCENT_DATA_ARRAY_H

#include "data/gz.h"
#include "data/source.h"

#include <stdbool.h>

#define DATA_ELEMENT_LIST(X)                                                                               \
    X(U8, 1, "bytes")                                                                                      \
    X(I8, 1, "signed bytes")                                                                               \
    X(U16, 2, "unsigned 16-bit integers")                                                                  \
    X(I16, 2, "16-bit integers")                                                                           \
    X(U32, 4, "unsigned 32-bit integers")                                                                  \
    X(I32, 4, "32-bit integers")                                                                           \
    X(U64, 8, "unsigned 64-bit integers")                                                                  \
    X(I64, 8, "64-bit integers")                                                                           \
    X(F32, 4, "float32 numbers")                                                                           \
    X(F64, 8, "float64 numbers")

enum data_element {
#define X(name, bytes, text) DATA_##name,
    DATA_ELEMENT_LIST(X)
#undef X
};

enum { DATA_MAX_RANK = 4 };

struct data_array {
    enum data_element element;
    bool big_endian;
    int rank;
    uint64_t shape[DATA_MAX_RANK]; /* none of them 0 */
    size_t size;                   /* product of shape */
    double scale; /* makes pixels of floating-point numbers: 0 until data_source_of_arrays has decided it */
    uint8_t *bytes; /* row-major, malloc'ed */
};

/* Whether its elements are floating-point numbers. */
static inline bool data_is_real(const struct data_array *array)
{
    return array->element == DATA_F32 || array->element == DATA_F64;
}

/* Reads the elements, of which the caller has set type, order, rank and shape, and which must end the
 * stream. They are held against the stream's size before memory is taken. On failure array->bytes is NULL.
 */
enum descent_status data_array_read(struct data_stream *stream, struct data_array *array);
void data_array_free(struct data_array *array);

/* Makes a source of images and their labels, or targets, read from files of these names. Images of rank 2
 * are count x width, of rank 3 count x height x width, of rank 4 count x height x width x channels; their
 * values are whole numbers 0 .. 255, or fractions of 255 in 0 .. 1 as floating-point pictures hold them:
 * whatever one byte keeps without loss. Which of the two is decided by the training part, whose
 * images->scale the caller gives the test part's. Labels are whole numbers, of rank 1, or of rank 2 where
 * the first column counts; they and `lowest` make classes from 0. Where `lowest` is DATA_NUMBERS they are
 * targets instead, any numbers of float32's range, of rank 2 several a sample. Both arrays are freed or
 * taken over. */
enum { DATA_NUMBERS = -1 };
enum descent_status data_source_of_arrays(struct data_array *images, const char *images_name,
                                          struct data_array *labels, const char *labels_name, int lowest,
                                          struct data_source **source);

#endif
