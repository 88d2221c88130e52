/* One picture from the bytes of a PNG, JPEG or BMP file, scaled to a size. stb_image does not claim to be
 * safe on files of unknown origin, so that this runs in the confined processes of data/decoder.c: no system
 * call, no memory but what it is given, not thread-safe. */
#ifndef DESCENT_DATA_IMAGE_H
#define DESCENT_DATA_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum data_fit {
    DATA_FIT_COVER,   /* scaled to cover the size, and what then juts out is cut off on both sides */
    DATA_FIT_STRETCH, /* scaled to the size, whatever becomes of the proportions */
    DATA_FIT_CROP,    /* the middle, not scaled */
    DATA_FIT_EXACT,   /* a picture of another size is a problem */
};

struct data_image_size {
    int height, width; /* 0 x 0: as large as the picture is */
    int channels;      /* 1: gray, 3: color */
    enum data_fit fit;
};

enum { DATA_IMAGE_PROBLEM = 128 };

struct data_image {
    int height, width;                /* of the picture in the file */
    size_t used;                      /* bytes of the arena that were touched */
    char problem[DATA_IMAGE_PROBLEM]; /* why there is none, or "" */
};

/* Whether the bytes are a PNG, JPEG or BMP file, whole as far as the format lets one tell, which stb_image
 * does not ask: chunks and their checksums, segments up to the end marker, as many pixels as the header
 * promises. Otherwise false, with the problem and its offset. */
bool data_image_check(const uint8_t *file, size_t size, char problem[DATA_IMAGE_PROBLEM]);

/* Decodes file[0 .. size-1] into pixels, height x width x channels, at most `capacity` bytes. Memory is
 * taken from `arena`, whose content before does not matter. A pixel is copied as it is where no scaling is
 * asked for; scaling averages over the area that a pixel of the result covers (bilinear, as torchvision's
 * antialiased Resize). */
struct data_image data_image_decode(const uint8_t *file, size_t size, const struct data_image_size *wanted,
                                    void *arena, size_t arena_bytes, uint8_t *pixels, size_t capacity);

#endif
