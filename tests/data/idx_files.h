/* IDX files for tests: built in memory, wrapped as gzip without a compressor, written to directories that
 * are removed again. */
#ifndef DESCENT_TESTS_DATA_IDX_FILES_H
#define DESCENT_TESTS_DATA_IDX_FILES_H

#include "base/file.h"
#include "tests/scratch.h"
#include "tests/test.h"

#include <string.h>

struct bytes {
    size_t size;
    uint8_t at[1 << 15];
};

static inline void put_big_endian(struct bytes *file, uint32_t value)
{
    for (int shift = 24; shift >= 0; shift -= 8)
        file->at[file->size++] = (uint8_t)(value >> shift);
}

/* A header of unsigned bytes of `rank` dimensions; what follows is up to the caller. */
static inline struct bytes idx_header(int rank, uint32_t count, uint32_t height, uint32_t width)
{
    struct bytes file = {0};
    put_big_endian(&file, 0x800 + (uint32_t)rank);
    put_big_endian(&file, count);
    if (rank == 3) {
        put_big_endian(&file, height);
        put_big_endian(&file, width);
    }
    return file;
}

/* Pixel k of image i is 7 i + k. */
static inline struct bytes idx_images(uint32_t count, uint32_t height, uint32_t width)
{
    struct bytes file = idx_header(3, count, height, width);
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t k = 0; k < height * width; k++)
            file.at[file.size++] = (uint8_t)(7 * i + k);
    return file;
}

/* Labels 0, 1 ... classes - 1, 0, 1 ... */
static inline struct bytes idx_labels(uint32_t count, uint32_t classes)
{
    struct bytes file = idx_header(1, count, 0, 0);
    for (uint32_t i = 0; i < count; i++)
        file.at[file.size++] = (uint8_t)(i % classes);
    return file;
}

/* gzip with one stored block (RFC 1951, 3.2.4), which needs no compressor. */
static inline struct bytes gzip_stored(const struct bytes *content)
{
    static const uint8_t header[] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 1};
    struct bytes file = {.size = sizeof header};
    memcpy(file.at, header, sizeof header);
    uint32_t crc = ~(uint32_t)0, size = (uint32_t)content->size;
    for (size_t i = 0; i < content->size; i++) {
        crc ^= content->at[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (0xEDB88320U & (0U - (crc & 1)));
    }
    const uint32_t lengths = size | (~size & 0xffff) << 16, trailer[] = {~crc, size};
    for (int i = 0; i < 4; i++)
        file.at[file.size++] = (uint8_t)(lengths >> 8 * i);
    memcpy(file.at + file.size, content->at, content->size);
    file.size += content->size;
    for (int i = 0; i < 8; i++)
        file.at[file.size++] = (uint8_t)(trailer[i / 4] >> 8 * (i % 4));
    return file;
}

/* DIRECTORY/NAME in the test's scratch directory, where DIRECTORY is made. */
static inline void write_file(const char *directory, const char *name, const struct bytes *file)
{
    char path[128];
    assert_int_equal(descent_make_directories(scratch_path(directory)), DESCENT_OK);
    snprintf(path, sizeof path, "%s/%s", directory, name);
    scratch_file(path, file->at, file->size);
}

/* A data set of 6 + 3 images of 4 x 5 pixels in 3 classes, plain; returns its path. */
static inline const char *write_set(const char *directory)
{
    struct bytes images = idx_images(6, 4, 5), labels = idx_labels(6, 3);
    write_file(directory, "train-images-idx3-ubyte", &images);
    write_file(directory, "train-labels-idx1-ubyte", &labels);
    images = idx_images(3, 4, 5);
    labels = idx_labels(3, 3);
    write_file(directory, "t10k-images-idx3-ubyte", &images);
    write_file(directory, "t10k-labels-idx1-ubyte", &labels);
    return scratch_path(directory);
}

#endif
