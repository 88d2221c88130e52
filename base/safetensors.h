/* Reads and writes .safetensors: an 8-byte little-endian header length, a JSON header, then the tensors'
 * bytes (https://github.com/huggingface/safetensors, "Format"). What is written here opens with Python's
 * safetensors. */
#ifndef DESCENT_BASE_SAFETENSORS_H
#define DESCENT_BASE_SAFETENSORS_H

#include "base/param.h"
#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>

enum descent_dtype { DESCENT_F32, DESCENT_F64, DESCENT_I32, DESCENT_I64, DESCENT_U8 };

struct descent_tensor {
    const char *name;
    enum descent_dtype dtype;
    int rank; /* 0 .. 8 */
    int64_t shape[8];
    const void *data; /* row-major, aligned to the dtype */
    size_t bytes;
};

/* The bytes that the tensor's shape and dtype ask for; false if a dimension is negative or the product
 * overflows. Does not look at tensor->bytes. */
bool descent_tensor_bytes(const struct descent_tensor *tensor, size_t *bytes);

struct descent_metadata {
    const char *key, *value;
};

/* Writes beside `path` and renames, so that a kill at any moment leaves the last good file. Same input,
 * same bytes. */
enum descent_status descent_safetensors_write(const char *path, const struct descent_tensor *tensors,
                                              int count, const struct descent_metadata *metadata,
                                              int metadata_count);

/* A file read into memory. Every offset, size, shape and dtype is checked against the file before use:
 * overlapping or missing bytes, products that overflow, unknown dtypes, duplicate names and trailing bytes
 * are errors that name the file and the tensor. */
struct descent_safetensors {
    int count;
    struct descent_tensor *tensors; /* in file order */
    int metadata_count;
    struct descent_metadata *metadata;
    void *storage;
};

enum descent_status descent_safetensors_read(const char *path, struct descent_safetensors *file);
void descent_safetensors_free(struct descent_safetensors *file);
const struct descent_tensor *descent_safetensors_find(const struct descent_safetensors *file,
                                                      const char *name); /* or NULL */
const char *descent_safetensors_metadata(const struct descent_safetensors *file,
                                         const char *key); /* or NULL */

#endif
