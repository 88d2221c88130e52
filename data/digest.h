/* MD5, the digest that the well-known data sets are published with: it tells files apart and finds damage;
 * it proves nothing against someone who wants to deceive. Only data/digest.c knows the library. */
#ifndef DESCENT_DATA_DIGEST_H
#define DESCENT_DATA_DIGEST_H

#include <stddef.h>

enum { DATA_MD5_TEXT = 33 }; /* 32 hexadecimal digits and a 0 */

struct data_digest;

/* NULL when out of memory. */
struct data_digest *data_digest_new(void);
void data_digest_free(struct data_digest *digest);
void data_digest_add(struct data_digest *digest, const void *bytes, size_t size);

/* The digest of all that was added; begins anew. */
void data_digest_text(struct data_digest *digest, char text[DATA_MD5_TEXT]);

/* Of one block of memory. */
void data_md5(const void *bytes, size_t size, char text[DATA_MD5_TEXT]);

#endif
