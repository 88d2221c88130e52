/* Any bytes are a picture, of exactly the size asked for, or an error with a message, and the decoder goes
 * on.
 */
#include "data/decoder.h"
#include "data/gz.h"
#include "tests/fuzz/target.h"
#include "tests/scratch.h"

#include <string.h>

/* Makes the checksums of PNG chunks right, or few mutations would come past them. */
static void mend(uint8_t *data, size_t size)
{
    for (size_t at = 8; size >= 8 && size - at >= 12;) {
        size_t length =
            (size_t)data[at] << 24 | (size_t)data[at + 1] << 16 | (size_t)data[at + 2] << 8 | data[at + 3];
        if (length > size - at - 12)
            break;
        uint32_t checksum = data_crc32(data + at + 4, 4 + length);
        at += 8 + length;
        for (int shift = 24; shift >= 0; shift -= 8)
            data[at++] = (uint8_t)(checksum >> shift);
    }
}

static void check(const uint8_t *data, size_t size)
{
    enum { SIDE = 8, GUARD = 64 };
    static struct data_decoder *decoder;
    if (!decoder)
        decoder = data_decoder_new(1, DATA_DECODER_SECONDS);
    const struct data_image_size wanted = {SIDE, SIDE, 3, (enum data_fit)(size % 3)};
    uint8_t pixels[SIDE * SIDE * 3 + GUARD];
    char problem[DATA_IMAGE_PROBLEM] = "";
    char digest[DATA_MD5_TEXT];
    int height, width;
    memset(pixels, 77, sizeof pixels);
    const char *path = scratch_file("fuzz.picture", data, size);
    enum descent_status status = data_decoder_read(decoder, path, &wanted, pixels, digest);
    for (int i = 0; i < GUARD; i++)
        fuzz_expect(pixels[SIDE * SIDE * 3 + i] == 77);
    fuzz_expect(strlen(digest) == DATA_MD5_TEXT - 1);
    bool whole = data_image_check(data, size, problem); /* here, too, where libFuzzer sees its coverage */
    fuzz_expect(whole == !*problem && (whole || status));
    if (status)
        fuzz_expect(strstr(descent_error(), path));
    else if (size % 2 && data_decoder_measure(decoder, path, &height, &width) == DESCENT_OK)
        fuzz_expect(height > 0 && width > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char problem[DATA_IMAGE_PROBLEM] = "";
    if (size < 8 || memcmp(data, "\x89PNG", 4) != 0) {
        check(data, size);
        return 0;
    }
    fuzz_expect(data_image_check(data, size, problem) == !*problem);
    uint8_t *mended = malloc(size);
    if (!mended)
        abort();
    memcpy(mended, data, size);
    mend(mended, size);
    check(mended, size);
    free(mended);
    return 0;
}
