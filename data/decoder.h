/* Decoding pictures of unknown origin in processes of their own, which can do nothing but read what they
 * are sent, decode it and answer.
 *
 * A worker is forked with a fixed arena as its only memory, closes every file but its socket, and on Linux
 * enters SECCOMP_MODE_STRICT, or where that is refused installs a filter that says the same: no system call
 * but read, write and exit. The caller keeps the clock. A picture that crashes the worker, or keeps it too
 * long, costs that picture: the worker is killed and replaced, and the message says what became of it. The
 * same pictures give the same pixels with any number of workers. */
#ifndef DESCENT_DATA_DECODER_H
#define DESCENT_DATA_DECODER_H

#include "base/status.h"
#include "data/digest.h"
#include "data/image.h"

#include <sys/types.h>

enum { DATA_DECODER_SECONDS = 10, DATA_MAX_IMAGE_FILE = 1 << 26, DATA_MAX_PIXELS = 1 << 28 }; /* bytes */

struct data_decoder;

/* Workers are started when they are first needed, at most `workers`. `seconds`: how long one may take for a
 * picture. NULL when out of memory. */
struct data_decoder *data_decoder_new(int workers, double seconds);
void data_decoder_free(struct data_decoder *decoder);

/* Decodes the file at `path` into pixels: height x width x channels as wanted, at most DATA_MAX_PIXELS. Any
 * number of threads may call it; each has a worker to itself, or waits for one. `digest`, if not NULL, gets
 * the MD5 of the file's bytes, if they could be read. DESCENT_BAD_FORMAT: no picture, and the message names
 * the path; any other failure is none of the picture's. */
enum descent_status data_decoder_read(struct data_decoder *decoder, const char *path,
                                      const struct data_image_size *wanted, uint8_t *pixels,
                                      char digest[DATA_MD5_TEXT]);

/* The height and width of a picture. */
enum descent_status data_decoder_measure(struct data_decoder *decoder, const char *path, int *height,
                                         int *width);

/* The process of a worker, 0 where none runs. */
pid_t data_decoder_process(struct data_decoder *decoder, int worker);

#endif
