/* PNG files, written (W3C, "Portable Network Graphics", second edition): 8 bits a channel, RGB, not
 * interlaced. Reading them is image.c's. */
#include "data/png.h"

#include "base/file.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

static void put32(uint8_t *to, uint32_t number)
{
    for (int i = 0; i < 4; i++)
        to[i] = (uint8_t)(number >> (24 - 8 * i));
}

/* What cannot be written is found when the file is committed. */
static void write_chunk(FILE *stream, const char *type, const uint8_t *data, uint32_t size)
{
    uint8_t head[8], tail[4];
    put32(head, size);
    memcpy(head + 4, type, 4);
    uLong crc = crc32(crc32(0, head + 4, 4), size > 0 ? data : head, size);
    put32(tail, (uint32_t)crc);
    fwrite(head, sizeof head, 1, stream);
    if (size > 0)
        fwrite(data, size, 1, stream);
    fwrite(tail, sizeof tail, 1, stream);
}

/* Each row after its filter's number: 2, the difference from the row above. */
static void filter(const uint8_t *pixels, size_t height, size_t row, uint8_t *to)
{
    for (size_t y = 0; y < height; y++) {
        const uint8_t *here = pixels + y * row;
        *to++ = 2;
        for (size_t k = 0; k < row; k++)
            *to++ = (uint8_t)(here[k] - (y > 0 ? here[k - row] : 0));
    }
}

enum descent_status data_write_png(const char *path, const uint8_t *pixels, int height, int width)
{
    size_t row = 3 * (size_t)width, size = (size_t)height * (row + 1);
    uLongf packed_size = compressBound(size);
    uint8_t *filtered = malloc(size), *packed = malloc(packed_size), header[13] = {0};
    struct descent_file file;
    enum descent_status status = DESCENT_OUT_OF_MEMORY;
    if (filtered && packed) {
        filter(pixels, (size_t)height, row, filtered);
        if (compress2(packed, &packed_size, filtered, size, Z_DEFAULT_COMPRESSION) == Z_OK)
            status = DESCENT_OK;
    }
    if (status != DESCENT_OK)
        descent_fail(status, "%s: no memory for a picture of %d x %d pixels", path, height, width);
    else
        status = descent_file_create(&file, path);
    if (status == DESCENT_OK) {
        put32(header, (uint32_t)width);
        put32(header + 4, (uint32_t)height);
        header[8] = 8; /* bits a channel */
        header[9] = 2; /* RGB */
        fwrite("\x89PNG\r\n\x1a\n", 8, 1, file.stream);
        write_chunk(file.stream, "IHDR", header, sizeof header);
        write_chunk(file.stream, "IDAT", packed, (uint32_t)packed_size);
        write_chunk(file.stream, "IEND", NULL, 0);
        status = descent_file_commit(&file);
    }
    free(filtered);
    free(packed);
    return status;
}
