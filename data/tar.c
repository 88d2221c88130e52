/* Tar archives; see tar.h. */
#include "data/tar.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    BLOCK = 512,
    NAME = 100,
    SIZE_AT = 124,
    SIZE_DIGITS = 12,
    CHECKSUM_AT = 148,
    CHECKSUM_DIGITS = 8,
    TYPE_AT = 156,
    MAX_EXTENSION = 1 << 16, /* bytes of a long name or of pax records, both passed over */
    MAX_PADDING = 1 << 20,   /* zeros after the end: whole records of whatever size was written */
};

/* Digits of base 8 between blanks, ended by a blank, a 0 or the field's end. */
static bool read_octal(const uint8_t *field, int digits, uint64_t *number)
{
    int i = 0, first;
    while (i < digits && field[i] == ' ')
        i++;
    *number = 0;
    for (first = i; i < digits && field[i] >= '0' && field[i] <= '7'; i++)
        *number = *number * 8 + (uint64_t)(field[i] - '0');
    return i > first && (i == digits || field[i] == ' ' || field[i] == 0);
}

/* The sum of all bytes, those of the checksum itself taken as blanks. */
static bool is_header(const uint8_t block[BLOCK])
{
    uint64_t sum = 0, expected;
    for (int i = 0; i < BLOCK; i++)
        sum += i >= CHECKSUM_AT && i < CHECKSUM_AT + CHECKSUM_DIGITS ? ' ' : block[i];
    return read_octal(block + CHECKSUM_AT, CHECKSUM_DIGITS, &expected) && sum == expected;
}

static bool is_zero(const uint8_t block[BLOCK])
{
    for (int i = 0; i < BLOCK; i++)
        if (block[i])
            return false;
    return true;
}

static enum descent_status read_block(struct data_stream *stream, uint8_t block[BLOCK])
{
    size_t got;
    uint64_t offset = data_stream_offset(stream);
    enum descent_status status = data_stream_read(stream, block, BLOCK, &got);
    if (status == DESCENT_OK && got < BLOCK)
        return descent_fail(DESCENT_BAD_FORMAT,
                            "%s: the tar archive ends at byte %" PRIu64
                            " of its content, where a header of "
                            "512 bytes is expected",
                            data_stream_name(stream), offset + got);
    return status;
}

bool data_tar_recognize(struct data_stream *stream)
{
    uint8_t block[BLOCK];
    return read_block(stream, block) == DESCENT_OK && is_header(block);
}

enum descent_status data_tar_skip(struct data_stream *stream, uint64_t size)
{
    uint8_t buffer[1 << 12];
    while (size > 0) {
        size_t slice = size < sizeof buffer ? (size_t)size : sizeof buffer, got;
        enum descent_status status = data_stream_read(stream, buffer, slice, &got);
        if (status != DESCENT_OK)
            return status;
        if (got < slice)
            return descent_fail(DESCENT_BAD_FORMAT,
                                "%s: the tar archive ends at byte %" PRIu64 " of its content, %" PRIu64
                                " bytes early",
                                data_stream_name(stream), data_stream_offset(stream), size - got);
        size -= slice;
    }
    return DESCENT_OK;
}

/* Zeros to the end of the stream. */
static enum descent_status read_end(struct data_stream *stream)
{
    uint8_t block[BLOCK];
    uint64_t begin = data_stream_offset(stream);
    for (size_t got = BLOCK; got > 0;) {
        enum descent_status status = data_stream_read(stream, block, BLOCK, &got);
        if (status != DESCENT_OK)
            return status;
        memset(block + got, 0, BLOCK - got);
        if (!is_zero(block) || data_stream_offset(stream) - begin > MAX_PADDING)
            return descent_fail(DESCENT_BAD_FORMAT,
                                "%s: goes on after the end of the tar archive at byte %" PRIu64
                                " of its content, where at most %d zeros are expected",
                                data_stream_name(stream), begin, MAX_PADDING);
    }
    return DESCENT_OK;
}

/* The header's name without its directories. */
static void copy_name(const uint8_t block[BLOCK], char name[NAME + 1])
{
    char whole[NAME + 1];
    memcpy(whole, block, NAME);
    whole[NAME] = 0;
    const char *slash = strrchr(whole, '/');
    strcpy(name, slash ? slash + 1 : whole);
}

enum descent_status data_tar_next(struct data_stream *stream, struct data_tar_member *member)
{
    const char *name = data_stream_name(stream);
    for (;;) {
        uint8_t block[BLOCK];
        *member = (struct data_tar_member){.size = 0};
        uint64_t offset = data_stream_offset(stream);
        enum descent_status status = data_tar_skip(stream, (BLOCK - offset % BLOCK) % BLOCK);
        offset = data_stream_offset(stream);
        if (status == DESCENT_OK)
            status = read_block(stream, block);
        if (status != DESCENT_OK)
            return status;
        if (is_zero(block))
            return read_end(stream);
        if (!is_header(block) || !read_octal(block + SIZE_AT, SIZE_DIGITS, &member->size))
            return descent_fail(DESCENT_BAD_FORMAT, "%s: no tar header at byte %" PRIu64 " of its content",
                                name, offset);
        if (member->size > data_stream_limit(stream))
            return descent_fail(DESCENT_BAD_FORMAT,
                                "%s: tar header at byte %" PRIu64 " of its content promises %" PRIu64
                                " bytes, more than the %" PRIu64 " that its %" PRIu64 " bytes can hold",
                                name, offset, member->size, data_stream_limit(stream),
                                data_stream_size(stream));
        uint8_t type = block[TYPE_AT];
        if (type == 0 || type == '0') {
            copy_name(block, member->name);
            if (*member->name)
                return DESCENT_OK;
        } else if (member->size > MAX_EXTENSION) { /* of a directory, a link, a long name, pax records */
            return descent_fail(DESCENT_BAD_FORMAT,
                                "%s: tar member of type '%c' at byte %" PRIu64
                                " of its content has %" PRIu64 " bytes, expected at most %d",
                                name, type >= ' ' && type < 127 ? type : '?', offset, member->size,
                                MAX_EXTENSION);
        }
        status = data_tar_skip(stream, member->size);
        if (status != DESCENT_OK)
            return status;
    }
}
