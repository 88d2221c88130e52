/* MD5 (RFC 1321), by nettle. */
#include "data/digest.h"

#include <nettle/md5.h>
#include <stdlib.h>

struct data_digest {
    struct md5_ctx md5;
};

static void write_text(struct md5_ctx *md5, char text[DATA_MD5_TEXT])
{
    static const char digits[] = "0123456789abcdef";
    uint8_t bytes[MD5_DIGEST_SIZE];
    md5_digest(md5, sizeof bytes, bytes);
    for (int i = 0; i < MD5_DIGEST_SIZE; i++) {
        text[2 * i] = digits[bytes[i] >> 4];
        text[2 * i + 1] = digits[bytes[i] & 15];
    }
    text[2 * MD5_DIGEST_SIZE] = 0;
}

struct data_digest *data_digest_new(void)
{
    struct data_digest *digest = malloc(sizeof *digest);
    if (digest)
        md5_init(&digest->md5);
    return digest;
}

void data_digest_free(struct data_digest *digest)
{
    free(digest);
}

void data_digest_add(struct data_digest *digest, const void *bytes, size_t size)
{
    md5_update(&digest->md5, size, bytes);
}

void data_digest_text(struct data_digest *digest, char text[DATA_MD5_TEXT])
{
    write_text(&digest->md5, text);
}

void data_md5(const void *bytes, size_t size, char text[DATA_MD5_TEXT])
{
    struct md5_ctx md5;
    md5_init(&md5);
    md5_update(&md5, size, bytes);
    write_text(&md5, text);
}
