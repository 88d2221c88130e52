/* Writing pictures. */
#ifndef DESCENT_DATA_PNG_H
#define DESCENT_DATA_PNG_H

#include "base/status.h"

#include <stdint.h>

/* Writes height x width x 3 bytes, red, green and blue, as a PNG file. */
enum descent_status data_write_png(const char *path, const uint8_t *pixels, int height, int width);

#endif
