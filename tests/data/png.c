/* A picture comes back from its PNG file as it was, with every checksum right. */
#include "data/png.h"
#include "base/file.h"
#include "tests/scratch.h"
#include "tests/test.h"

#include <string.h>
#include <zlib.h>

static uint32_t get32(const uint8_t *from)
{
    return (uint32_t)from[0] << 24 | (uint32_t)from[1] << 16 | (uint32_t)from[2] << 8 | from[3];
}

/* The next chunk: its data, its size and, checked, its type and checksum. */
static const uint8_t *chunk(const uint8_t **at, const char *type, uint32_t *size)
{
    const uint8_t *data = *at + 8;
    *size = get32(*at);
    assert_memory_equal(*at + 4, type, 4);
    assert_int_equal(get32(data + *size), crc32(0, *at + 4, *size + 4));
    *at = data + *size + 4;
    return data;
}

static void picture_is_what_its_file_holds(void **state)
{
    (void)state;
    enum { HEIGHT = 13, WIDTH = 21, ROW = 3 * WIDTH };
    uint8_t pixels[HEIGHT * ROW], filtered[HEIGHT * (ROW + 1)];
    for (int i = 0; i < HEIGHT * ROW; i++)
        pixels[i] = (uint8_t)(i * i * 7 >> 3);
    const char *path = scratch_path("picture.png");
    assert_int_equal(data_write_png(path, pixels, HEIGHT, WIDTH), DESCENT_OK);

    char *file;
    size_t size;
    uint32_t length;
    uLongf unpacked = sizeof filtered;
    assert_int_equal(descent_file_read(path, 1 << 20, &file, &size), DESCENT_OK);
    const uint8_t *at = (const uint8_t *)file + 8;
    assert_memory_equal(file, "\x89PNG\r\n\x1a\n", 8);
    const uint8_t *header = chunk(&at, "IHDR", &length);
    assert_int_equal(length, 13);
    assert_int_equal(get32(header), WIDTH);
    assert_int_equal(get32(header + 4), HEIGHT);
    assert_memory_equal(header + 8, "\x08\x02\x00\x00\x00", 5); /* 8 bits, RGB, not interlaced */
    const uint8_t *data = chunk(&at, "IDAT", &length);
    assert_int_equal(uncompress(filtered, &unpacked, data, length), Z_OK);
    assert_int_equal(unpacked, sizeof filtered);
    chunk(&at, "IEND", &length);
    assert_int_equal(length, 0);
    assert_ptr_equal(at, (const uint8_t *)file + size);

    for (int y = 0; y < HEIGHT; y++) {
        const uint8_t *row = filtered + (size_t)y * (ROW + 1);
        assert_int_equal(row[0], 2); /* above */
        for (int k = 0; k < ROW; k++) {
            uint8_t above = y > 0 ? pixels[(y - 1) * ROW + k] : 0;
            assert_int_equal((uint8_t)(row[1 + k] + above), pixels[y * ROW + k]);
        }
    }
    free(file);
}

static void place_that_cannot_be_written_is_an_error_naming_it(void **state)
{
    (void)state;
    const uint8_t pixel[3] = {0};
    const char *path = scratch_path("no-such-directory/picture.png");
    assert_int_not_equal(data_write_png(path, pixel, 1, 1), DESCENT_OK);
    assert_non_null(strstr(descent_error(), path));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(picture_is_what_its_file_holds),
        cmocka_unit_test(place_that_cannot_be_written_is_an_error_naming_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
