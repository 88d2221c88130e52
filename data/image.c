/* Pictures; see image.h. Only this file includes stb_image (Sean Barrett, public domain), with the formats
 * it needs and no other, no files, and memory from a fixed arena, which thereby is the memory limit. */
#include "data/image.h"
#include "data/source.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- stb_image's memory ---- */

/* Blocks one after the other, each behind its size; only the last can be freed or grow in place. */
static struct {
    uint8_t *base;
    size_t bytes, used, peak;
    uint8_t *last;
} arena;

enum { ALIGNMENT = 16 };

static void *arena_take(size_t size)
{
    size_t room = arena.bytes - arena.used;
    if (size > room || room - size < 2 * ALIGNMENT)
        return NULL;
    uint8_t *block = arena.base + arena.used + ALIGNMENT;
    memcpy(block - ALIGNMENT, &size, sizeof size);
    arena.used += ALIGNMENT + (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    arena.peak = arena.used > arena.peak ? arena.used : arena.peak;
    arena.last = block;
    return block;
}

static void arena_give(void *block)
{
    if (block && block == arena.last)
        arena.used = (size_t)(arena.last - ALIGNMENT - arena.base);
}

static void *arena_resize(void *block, size_t size)
{
    size_t old = 0;
    if (block)
        memcpy(&old, (uint8_t *)block - ALIGNMENT, sizeof old);
    size_t used = arena.used;
    arena_give(block);
    void *grown = arena_take(size);
    if (grown && old && grown != block)
        memcpy(grown, block, old < size ? old : size);
    if (!grown)
        arena.used = used;
    return grown;
}

#define STBI_ONLY_PNG
#define STBI_ONLY_JPEG
#define STBI_ONLY_BMP
#define STBI_NO_STDIO
#define STBI_NO_LINEAR
#define STBI_MAX_DIMENSIONS    16384
#define STBI_MALLOC(size)      arena_take(size)
#define STBI_REALLOC(p, size)  arena_resize(p, size)
#define STBI_FREE(p)           arena_give(p)
#define STBI_ASSERT(condition) ((condition) ? (void)0 : __builtin_trap())
#define STBIDEF                __attribute__((visibility("hidden")))
#define STB_IMAGE_IMPLEMENTATION
#include <stb/stb_image.h>

static void explain(struct data_image *image, const char *reason)
{
    if (strcmp(reason, "outofmem") == 0)
        reason = "more memory needed than a decoder has";
    snprintf(image->problem, sizeof image->problem, "%s", reason);
}

static uint8_t *decode(const uint8_t *file, size_t size, int channels, struct data_image *image)
{
    int stored;
    stbi__g_failure_reason =
        "outofmem"; /* when a first allocation fails it gives no reason, or an old one */
    uint8_t *pixels =
        stbi_load_from_memory(file, (int)size, &image->width, &image->height, &stored, channels);
    if (!pixels)
        explain(image, stbi_failure_reason());
    return pixels;
}

_Static_assert(STBI_MAX_DIMENSIONS == DATA_MAX_SIDE, "one limit");

/* ---- Scaling ---- */

/* A picture or a part of one: rows are `stride` bytes apart. */
struct part {
    const uint8_t *pixels;
    int height, width, channels;
    size_t stride;
};

static struct part middle(struct part whole, int height, int width)
{
    struct part part = whole;
    part.pixels += (size_t)((whole.height - height) / 2) * whole.stride +
                   (size_t)((whole.width - width) / 2) * (size_t)whole.channels;
    part.height = height;
    part.width = width;
    return part;
}

/* The largest middle part with the proportions of height x width. */
static struct part cover(struct part whole, int height, int width)
{
    int64_t high = (int64_t)whole.width * height / width, wide = (int64_t)whole.height * width / height;
    if (high <= whole.height)
        return middle(whole, high > 0 ? (int)high : 1, whole.width);
    return middle(whole, whole.height, wide > 0 ? (int)wide : 1);
}

/* Pixel `to` of `count` along an axis that had `size` pixels is the average of first .. first + taps - 1,
 * weighted by a triangle around its center: as wide as the step between pixels where that exceeds 1. */
struct taps {
    int first, taps;
    float *weight;
};

static struct taps taps_of(int to, int count, int size, float *weight)
{
    double step = (double)size / count, support = step > 1 ? step : 1, center = (to + 0.5) * step;
    int first = (int)floor(center - support), end = (int)ceil(center + support);
    first = first > 0 ? first : 0;
    end = end < size ? end : size;
    double sum = 0;
    for (int i = first; i < end; i++)
        sum += fmax(0, 1 - fabs(i + 0.5 - center) / support);
    for (int i = first; i < end; i++)
        weight[i - first] = (float)(fmax(0, 1 - fabs(i + 0.5 - center) / support) / sum);
    return (struct taps){first, end - first, weight};
}

/* One row scaled along its width: `row` of `width` pixels to `scaled`. */
static void scale_row(const uint8_t *row, int channels, const struct taps *taps, int width, float *scaled)
{
    for (int x = 0; x < width; x++)
        for (int c = 0; c < channels; c++) {
            float sum = 0;
            for (int i = 0; i < taps[x].taps; i++)
                sum += taps[x].weight[i] * row[(taps[x].first + i) * channels + c];
            scaled[x * channels + c] = sum;
        }
}

/* Along the width each row once, then along the height. False when out of memory. */
static bool scale(struct part from, int height, int width, uint8_t *pixels)
{
    size_t row = (size_t)width * (size_t)from.channels;
    size_t across = (size_t)ceil(2 * fmax(1, (double)from.width / width)) + 2,
           down = (size_t)ceil(2 * fmax(1, (double)from.height / height)) + 2;
    float *rows = arena_take((size_t)from.height * row * sizeof *rows),
          *weights = arena_take(((size_t)width * across + down) * sizeof *weights);
    struct taps *taps = arena_take((size_t)width * sizeof *taps);
    if (!rows || !weights || !taps)
        return false;
    for (int x = 0; x < width; x++)
        taps[x] = taps_of(x, width, from.width, weights + down + (size_t)x * across);
    for (int y = 0; y < from.height; y++)
        scale_row(from.pixels + (size_t)y * from.stride, from.channels, taps, width,
                  rows + (size_t)y * row);
    for (int y = 0; y < height; y++) {
        struct taps column = taps_of(y, height, from.height, weights);
        for (size_t k = 0; k < row; k++) {
            float sum = 0.5F;
            for (int i = 0; i < column.taps; i++)
                sum += column.weight[i] * rows[(size_t)(column.first + i) * row + k];
            pixels[(size_t)y * row + k] = (uint8_t)(sum < 255 ? sum : 255);
        }
    }
    return true;
}

static void fit(struct part part, const struct data_image_size *wanted, uint8_t *pixels,
                struct data_image *image)
{
    int height = wanted->height, width = wanted->width;
    if (wanted->fit == DATA_FIT_CROP && (height > part.height || width > part.width)) {
        snprintf(image->problem, sizeof image->problem, "is %d x %d, less than the %d x %d to crop",
                 part.height, part.width, height, width);
        return;
    }
    if (wanted->fit == DATA_FIT_EXACT && (height != part.height || width != part.width)) {
        snprintf(image->problem, sizeof image->problem,
                 "is %d x %d, expected %d x %d like the first; a size makes them alike", part.height,
                 part.width, height, width);
        return;
    }
    if (wanted->fit == DATA_FIT_CROP)
        part = middle(part, height, width);
    else if (wanted->fit == DATA_FIT_COVER)
        part = cover(part, height, width);
    if (height != part.height || width != part.width) {
        if (!scale(part, height, width, pixels))
            explain(image, "outofmem");
        return;
    }
    size_t row = (size_t)width * (size_t)part.channels;
    for (int y = 0; y < height; y++)
        memcpy(pixels + (size_t)y * row, part.pixels + (size_t)y * part.stride, row);
}

struct data_image data_image_decode(const uint8_t *file, size_t size, const struct data_image_size *wanted,
                                    void *memory, size_t memory_bytes, uint8_t *pixels, size_t capacity)
{
    struct data_image image = {0};
    if (!data_image_check(file, size, image.problem))
        return image;
    arena.base = memory;
    arena.bytes = memory_bytes;
    arena.used = arena.peak = 0;
    arena.last = NULL;
    uint8_t *decoded = decode(file, size, wanted->channels, &image);
    struct data_image_size exact = *wanted;
    if (wanted->height == 0) {
        exact.height = image.height;
        exact.width = image.width;
    }
    struct part whole = {decoded, image.height, image.width, wanted->channels,
                         (size_t)image.width * (size_t)wanted->channels};
    if (decoded && (size_t)exact.height * (size_t)exact.width * (size_t)wanted->channels > capacity)
        explain(&image, "too large");
    else if (decoded)
        fit(whole, &exact, pixels, &image);
    image.used = arena.peak;
    return image;
}
