/* Whether a picture's file is whole; see image.h. References: PNG (W3C, second edition), JPEG (ITU T.81),
 * BMP (the BITMAPINFOHEADER of Windows 3 and its successors). */
#include "data/gz.h"
#include "data/image.h"

#include <stdio.h>
#include <string.h>

enum { PNG_HEAD = 8, CHUNK_FRAME = 12, BMP_HEAD = 14 };

static const uint8_t png_head[PNG_HEAD] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};

static uint32_t big(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static uint32_t little(const uint8_t *at)
{
    return (uint32_t)at[3] << 24 | (uint32_t)at[2] << 16 | (uint32_t)at[1] << 8 | at[0];
}

#define PROBLEM(...) (snprintf(problem, DATA_IMAGE_PROBLEM, __VA_ARGS__), false)

/* Chunks: length, type, data, checksum of type and data; IEND ends the file. */
static bool check_png(const uint8_t *file, size_t size, char *problem)
{
    for (size_t at = PNG_HEAD;;) {
        if (size - at < CHUNK_FRAME)
            return PROBLEM("ends at byte %zu, in a PNG chunk that begins at byte %zu", size, at);
        uint32_t length = big(file + at);
        if (length > size - at - CHUNK_FRAME)
            return PROBLEM("ends at byte %zu, the PNG chunk at byte %zu promises %u bytes", size, at,
                           (unsigned)length);
        const uint8_t *type = file + at + 4, *end = type + 4 + length;
        uint32_t checksum = data_crc32(type, 4 + (size_t)length);
        if (checksum != big(end))
            return PROBLEM("PNG chunk at byte %zu has checksum %08x, expected %08x", at, (unsigned)checksum,
                           (unsigned)big(end));
        if (memcmp(type, "IEND", 4) == 0)
            return true;
        at += CHUNK_FRAME + length;
    }
}

/* The tables of a DHT segment: a number, the codes of each length 1 .. 16, a value each. stb_image 2.27
 * writes past its arrays for more than 256 codes. */
static bool check_huffman(const uint8_t *file, size_t at, size_t length, char *problem)
{
    enum { COUNTS = 16, MOST = 256 };
    for (const uint8_t *table = file + at, *end = table + length; table < end;) {
        size_t codes = 0, left = (size_t)(end - table);
        for (size_t i = 1; i <= COUNTS && i < left; i++)
            codes += table[i];
        if (codes > MOST || left < 1 + COUNTS + codes)
            return PROBLEM("JPEG Huffman table at byte %zu has %zu codes in %zu bytes, expected at most %d",
                           (size_t)(table - file), codes, left, MOST);
        table += 1 + COUNTS + codes;
    }
    return true;
}

/* Segments of marker, length and content; the scans' entropy-coded data, in which 0xFF is followed by 0 or
 * a restart marker; at the end EOI. */
static bool check_jpeg(const uint8_t *file, size_t size, char *problem)
{
    enum { TEM = 0x01, DHT = 0xC4, RST0 = 0xD0, RST7 = 0xD7, EOI = 0xD9, SOS = 0xDA, MARKER = 0xFF };
    size_t at = 2;
    while (size - at >= 2) {
        if (file[at] != MARKER)
            return PROBLEM("no JPEG marker at byte %zu: %02x, expected ff", at, file[at]);
        uint8_t marker = file[at + 1];
        if (marker == EOI)
            return true;
        bool bare = marker == TEM || (marker >= RST0 && marker <= RST7);
        if (marker == MARKER || bare) { /* padding, or a marker without content */
            at += bare ? 2 : 1;
            continue;
        }
        if (size - at < 4)
            break;
        size_t length = (size_t)file[at + 2] << 8 | file[at + 3];
        if (length < 2 || length > size - at - 2)
            return PROBLEM("ends at byte %zu, the JPEG segment %02x at byte %zu promises %zu bytes", size,
                           marker, at, length);
        if (marker == DHT && !check_huffman(file, at + 4, length - 2, problem))
            return false;
        at += 2 + length;
        while (marker == SOS && size - at >= 2 &&
               (file[at] != MARKER || file[at + 1] == 0 || file[at + 1] == MARKER ||
                (file[at + 1] >= RST0 && file[at + 1] <= RST7)))
            at++;
    }
    return PROBLEM("ends at byte %zu without JPEG's end marker", size);
}

/* The file's header, the picture's, then rows of multiples of 4 bytes where the former says. */
static bool check_bmp(const uint8_t *file, size_t size, char *problem)
{
    if (size < BMP_HEAD + 12)
        return PROBLEM("ends at byte %zu, in the BMP header", size);
    const uint8_t *header = file + BMP_HEAD;
    uint32_t begin = little(file + 10), kind = little(header);
    uint64_t width, height, bits, compression = 0;
    if (kind == 12) { /* of OS/2: 16-bit numbers */
        width = header[4] | (uint64_t)header[5] << 8;
        height = header[6] | (uint64_t)header[7] << 8;
        bits = header[10] | (uint64_t)header[11] << 8;
    } else {
        if (kind < 40 || size < BMP_HEAD + 40)
            return PROBLEM("BMP header of %u bytes in a file of %zu, expected 12 or at least 40",
                           (unsigned)kind, size);
        width = little(header + 4);
        height = little(header + 8);
        height = height >> 31 ? (uint32_t)-height : height; /* rows from the top */
        bits = header[14] | (uint64_t)header[15] << 8;
        compression = little(header + 16);
    }
    if (compression != 0 && compression != 3)
        return PROBLEM("BMP compression %u is not supported", (unsigned)compression);
    uint64_t row = (width * bits + 31) / 32 * 4;
    if (begin > size || (row > 0 && height > (size - begin) / row))
        return PROBLEM("has %zu bytes, its BMP header promises %llu rows of %llu bytes from byte %u", size,
                       (unsigned long long)height, (unsigned long long)row, (unsigned)begin);
    return true;
}

bool data_image_check(const uint8_t *file, size_t size, char problem[DATA_IMAGE_PROBLEM])
{
    if (size >= PNG_HEAD && memcmp(file, png_head, PNG_HEAD) == 0)
        return check_png(file, size, problem);
    if (size >= 2 && file[0] == 0xFF && file[1] == 0xD8)
        return check_jpeg(file, size, problem);
    if (size >= 2 && file[0] == 'B' && file[1] == 'M')
        return check_bmp(file, size, problem);
    return PROBLEM("begins with %02x %02x %02x %02x in %zu bytes: neither PNG, JPEG nor BMP",
                   size > 0 ? file[0] : 0, size > 1 ? file[1] : 0, size > 2 ? file[2] : 0,
                   size > 3 ? file[3] : 0, size);
}
