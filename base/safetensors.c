/* .safetensors files, both ways. Not a checkpoint: what the tensors mean is the caller's business. */
#include "base/safetensors.h"

#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "tensors are stored as they lie in memory");

enum { MAX_RANK = 8, HEADER_ALIGNMENT = 8, LENGTH_BYTES = 8 };
static const uint64_t LARGEST_HEADER = 100000000; /* bytes; the limit of the reference implementation */
static const char METADATA[] = "__metadata__";

static const struct {
    const char *name;
    size_t size;
} dtypes[] = {
    [DESCENT_F32] = {"F32", 4}, [DESCENT_F64] = {"F64", 8}, [DESCENT_I32] = {"I32", 4},
    [DESCENT_I64] = {"I64", 8}, [DESCENT_U8] = {"U8", 1},
};
enum { DTYPES = sizeof dtypes / sizeof *dtypes };

bool descent_tensor_bytes(const struct descent_tensor *tensor, size_t *bytes)
{
    *bytes = dtypes[tensor->dtype].size;
    for (int i = 0; i < tensor->rank; i++)
        if (tensor->shape[i] < 0 || !descent_size_multiply(*bytes, (size_t)tensor->shape[i], bytes))
            return false;
    return true;
}

/* ---- writing ---- */

static enum descent_status add_header_entry(struct descent_json *header,
                                            const struct descent_tensor *tensor, int64_t begin,
                                            const char *path)
{
    const char *name = tensor->name, *problem = NULL;
    size_t bytes;
    if (strcmp(name, METADATA) == 0)
        problem = "the name is reserved";
    else if (descent_json_get(header, name))
        problem = "another tensor has this name";
    else if (tensor->rank < 0 || tensor->rank > MAX_RANK)
        problem = "the rank is not 0 to 8";
    else if (!descent_tensor_bytes(tensor, &bytes) || bytes != tensor->bytes)
        problem = "the number of bytes is not that of the shape";
    if (problem)
        return descent_fail(DESCENT_BAD_ARGUMENT, "%s: tensor '%s': %s", path, name, problem);

    struct descent_json *entry = descent_json_object(), *shape = descent_json_array(),
                        *offsets = descent_json_array();
    for (int i = 0; i < tensor->rank; i++)
        descent_json_add_integer(shape, tensor->shape[i]);
    descent_json_add_integer(offsets, begin);
    descent_json_add_integer(offsets, begin + (int64_t)tensor->bytes);
    descent_json_set_text(entry, "dtype", dtypes[tensor->dtype].name);
    descent_json_set(entry, "shape", shape);
    descent_json_set(entry, "data_offsets", offsets);
    descent_json_set(header, name, entry);
    if (!descent_json_get(header, name))
        return descent_fail(DESCENT_BAD_ARGUMENT, "%s: tensor '%s': the name is not UTF-8", path, name);
    return DESCENT_OK;
}

/* The header as malloc'ed text. Tensors follow each other in `order`. */
static enum descent_status make_header(const char *path, const struct descent_tensor *tensors,
                                       const int *order, int count, const struct descent_metadata *metadata,
                                       int metadata_count, char **text)
{
    struct descent_json *header = descent_json_object();
    if (metadata_count > 0) {
        struct descent_json *texts = descent_json_object();
        for (int i = 0; i < metadata_count; i++)
            descent_json_set_text(texts, metadata[i].key, metadata[i].value);
        descent_json_set(header, METADATA, texts);
    }
    int64_t begin = 0;
    enum descent_status status = DESCENT_OK;
    for (int i = 0; i < count && !status; i++) {
        status = add_header_entry(header, &tensors[order[i]], begin, path);
        begin += (int64_t)tensors[order[i]].bytes;
    }
    if (!status && !(*text = descent_json_line(header)))
        status = DESCENT_OUT_OF_MEMORY;
    descent_json_free(header);
    return status;
}

/* The order of the file: largest element first, so that every tensor is aligned to its dtype; else as
 * given. */
static void order_tensors(const struct descent_tensor *tensors, int count, int *order)
{
    int next = 0;
    for (size_t size = 8; size > 0; size /= 2)
        for (int i = 0; i < count; i++)
            if (dtypes[tensors[i].dtype].size == size)
                order[next++] = i;
}

static enum descent_status write_tensors(const char *path, const char *header,
                                         const struct descent_tensor *tensors, const int *order, int count)
{
    struct descent_file file;
    enum descent_status status = descent_file_create(&file, path);
    if (status)
        return status;
    size_t length = strlen(header), padding = -length % HEADER_ALIGNMENT;
    uint64_t total = length + padding;
    fwrite(&total, 1, sizeof total, file.stream);
    fprintf(file.stream, "%s%*s", header, (int)padding, "");
    for (int i = 0; i < count; i++)
        if (tensors[order[i]].bytes)
            fwrite(tensors[order[i]].data, 1, tensors[order[i]].bytes, file.stream);
    return descent_file_commit(&file); /* which sees an error of any of these */
}

enum descent_status descent_safetensors_write(const char *path, const struct descent_tensor *tensors,
                                              int count, const struct descent_metadata *metadata,
                                              int metadata_count)
{
    int *order = malloc(sizeof *order * (size_t)(count + 1));
    if (!order)
        return descent_fail(DESCENT_OUT_OF_MEMORY, "%s: no memory for %d tensors", path, count);
    order_tensors(tensors, count, order);
    char *header = NULL;
    enum descent_status status =
        make_header(path, tensors, order, count, metadata, metadata_count, &header);
    if (!status)
        status = write_tensors(path, header, tensors, order, count);
    free(header);
    free(order);
    return status;
}

/* ---- reading ---- */

/* What the tensors of a file point into. */
struct storage {
    struct descent_json *header; /* names and metadata */
    void *data;
};

struct entry {
    struct descent_tensor tensor;
    int64_t begin, end; /* bytes from the end of the header */
    int position;       /* in the header */
};

/* An array of at most `limit` integers, none negative: how many, or -1 if it is something else. */
static int read_integers(const struct descent_json *json, int limit, int64_t *numbers)
{
    int count = descent_json_count(json);
    if (!descent_json_is_array(json) || count > limit)
        return -1;
    for (int i = 0; i < count; i++)
        if (!descent_json_as_integer(descent_json_at(json, i), &numbers[i]) || numbers[i] < 0)
            return -1;
    return count;
}

static bool find_dtype(const char *name, enum descent_dtype *dtype)
{
    for (int i = 0; i < DTYPES; i++)
        if (strcmp(name, dtypes[i].name) == 0) {
            *dtype = (enum descent_dtype)i;
            return true;
        }
    return false;
}

static enum descent_status read_entry(const char *path, const char *name, const struct descent_json *json,
                                      struct entry *entry)
{
    struct descent_tensor *tensor = &entry->tensor;
    const char *dtype = descent_json_text(json, "dtype", "");
    int64_t offsets[2];
    size_t bytes;
    tensor->name = name;
    if (!find_dtype(dtype, &tensor->dtype))
        return descent_fail(DESCENT_BAD_FORMAT,
                            "%s: tensor '%.100s': dtype '%.20s' is not one of F32, F64, I32, I64, U8", path,
                            name, dtype);
    tensor->rank = read_integers(descent_json_get(json, "shape"), MAX_RANK, tensor->shape);
    if (tensor->rank < 0)
        return descent_fail(DESCENT_BAD_FORMAT, "%s: tensor '%.100s': shape is not 0 to 8 sizes", path,
                            name);
    if (read_integers(descent_json_get(json, "data_offsets"), 2, offsets) != 2 || offsets[0] > offsets[1])
        return descent_fail(DESCENT_BAD_FORMAT,
                            "%s: tensor '%.100s': data_offsets is not a begin and an end", path, name);
    entry->begin = offsets[0];
    entry->end = offsets[1];
    tensor->bytes = (size_t)(entry->end - entry->begin);
    if (!descent_tensor_bytes(tensor, &bytes))
        return descent_fail(DESCENT_BAD_FORMAT, "%s: tensor '%.100s': its shape is larger than any memory",
                            path, name);
    if (bytes != tensor->bytes)
        return descent_fail(DESCENT_BAD_FORMAT,
                            "%s: tensor '%.100s': %zu bytes of data for a shape of %zu bytes", path, name,
                            tensor->bytes, bytes);
    return DESCENT_OK;
}

static int compare_entries(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    if (x->end != y->end)
        return x->end < y->end ? -1 : 1;
    return x->position - y->position;
}

/* Sorts the entries by offset; they must cover `data_bytes` without a gap or an overlap. */
static enum descent_status check_offsets(const char *path, struct entry *entries, int count,
                                         int64_t data_bytes)
{
    int64_t end = 0;
    qsort(entries, (size_t)count, sizeof *entries, compare_entries);
    for (int i = 0; i < count; i++) {
        if (entries[i].begin != end)
            return descent_fail(DESCENT_BAD_FORMAT,
                                "%s: tensor '%.100s': begins at %" PRId64 ", expected %" PRId64 ": %s",
                                path, entries[i].tensor.name, entries[i].begin, end,
                                entries[i].begin < end ? "tensors overlap" : "bytes between tensors");
        end = entries[i].end;
    }
    if (end != data_bytes)
        return descent_fail(DESCENT_BAD_FORMAT,
                            "%s: the tensors need %" PRId64
                            " bytes after the header, the file has %" PRId64,
                            path, end, data_bytes);
    return DESCENT_OK;
}

static enum descent_status read_metadata(const char *path, const struct descent_json *json,
                                         struct descent_safetensors *file)
{
    struct descent_json_member member = {0};
    file->metadata = calloc((size_t)descent_json_count(json) + 1, sizeof *file->metadata);
    if (!file->metadata)
        return descent_fail(DESCENT_OUT_OF_MEMORY, "%s: no memory for its metadata", path);
    while (descent_json_next(json, &member)) {
        const char *text = descent_json_as_text(member.value);
        if (!text)
            return descent_fail(DESCENT_BAD_FORMAT, "%s: metadata '%.100s' is not a string", path,
                                member.key);
        file->metadata[file->metadata_count++] = (struct descent_metadata){member.key, text};
    }
    return descent_json_is_object(json)
               ? DESCENT_OK
               : descent_fail(DESCENT_BAD_FORMAT, "%s: %s is not an object", path, METADATA);
}

/* Reads and checks the entries of the header; leaves the tensors in file order, without data. */
static enum descent_status read_entries(const char *path, const struct descent_json *header,
                                        int64_t data_bytes, struct descent_safetensors *file)
{
    int members = descent_json_count(header), count = 0;
    struct entry *entries = calloc((size_t)members + 1, sizeof *entries);
    file->tensors = calloc((size_t)members + 1, sizeof *file->tensors);
    enum descent_status status = DESCENT_OK;
    if (!entries || !file->tensors)
        status = descent_fail(DESCENT_OUT_OF_MEMORY, "%s: no memory for %d tensors", path, members);
    for (struct descent_json_member member = {0}; !status && descent_json_next(header, &member);) {
        if (strcmp(member.key, METADATA) == 0) {
            status = read_metadata(path, member.value, file);
        } else {
            entries[count].position = count;
            status = read_entry(path, member.key, member.value, &entries[count++]);
        }
    }
    if (!status)
        status = check_offsets(path, entries, count, data_bytes);
    for (int i = 0; !status && i < count; i++)
        file->tensors[file->count++] = entries[i].tensor;
    free(entries);
    return status;
}

/* Reads each tensor to an aligned place of its own, whatever its offset in the file. */
static enum descent_status read_data(const char *path, FILE *stream, struct descent_safetensors *file)
{
    struct storage *storage = file->storage;
    size_t total = 0;
    for (int i = 0; i < file->count; i++)
        total += descent_round_up(file->tensors[i].bytes);
    char *at = storage->data = descent_alloc(total);
    if (!at)
        return descent_fail(DESCENT_OUT_OF_MEMORY, "%s: no memory for %zu bytes of tensors", path, total);
    for (int i = 0; i < file->count; i++) {
        struct descent_tensor *tensor = &file->tensors[i];
        if (fread(at, 1, tensor->bytes, stream) != tensor->bytes)
            return descent_fail(DESCENT_IO_ERROR, "%s: cannot read tensor '%.100s'", path, tensor->name);
        tensor->data = at;
        at += descent_round_up(tensor->bytes);
    }
    return DESCENT_OK;
}

/* Reads the length and the JSON of the header of a file of `size` bytes. */
static enum descent_status read_header(const char *path, FILE *stream, uint64_t size,
                                       struct storage *storage, int64_t *data_bytes)
{
    uint64_t length;
    if (size < LENGTH_BYTES || fread(&length, 1, sizeof length, stream) != sizeof length)
        return descent_fail(DESCENT_BAD_FORMAT, "%s: %" PRIu64 " bytes are too few for a safetensors file",
                            path, size);
    if (length > LARGEST_HEADER || length > size - LENGTH_BYTES)
        return descent_fail(DESCENT_BAD_FORMAT,
                            "%s: a header of %" PRIu64 " bytes in a file of %" PRIu64
                            ": truncated, or not a safetensors file",
                            path, length, size);
    char *text = malloc((size_t)length + 1);
    if (!text)
        return descent_fail(DESCENT_OUT_OF_MEMORY, "%s: no memory for a header of %" PRIu64 " bytes", path,
                            length);
    enum descent_status status = DESCENT_OK;
    if (fread(text, 1, (size_t)length, stream) != length)
        status = descent_fail(DESCENT_IO_ERROR, "%s: cannot read the header", path);
    else if (length == 0 || *text != '{')
        status =
            descent_fail(DESCENT_BAD_FORMAT, "%s: the header at offset 8 does not begin with '{'", path);
    else if (!(storage->header = descent_json_parse(path, text, (size_t)length)))
        status = DESCENT_BAD_FORMAT;
    free(text);
    *data_bytes = (int64_t)(size - LENGTH_BYTES - length);
    return status;
}

static enum descent_status read_file(const char *path, FILE *stream, struct descent_safetensors *file)
{
    struct stat info;
    if (fstat(fileno(stream), &info) || !S_ISREG(info.st_mode))
        return descent_fail(DESCENT_IO_ERROR, "%s: not a regular file", path);
    struct storage *storage = file->storage = calloc(1, sizeof *storage);
    if (!storage)
        return descent_fail(DESCENT_OUT_OF_MEMORY, "%s: no memory to read it", path);
    int64_t data_bytes = 0;
    enum descent_status status = read_header(path, stream, (uint64_t)info.st_size, storage, &data_bytes);
    if (!status)
        status = read_entries(path, storage->header, data_bytes, file);
    return status ? status : read_data(path, stream, file);
}

enum descent_status descent_safetensors_read(const char *path, struct descent_safetensors *file)
{
    *file = (struct descent_safetensors){0};
    FILE *stream = fopen(path, "rb");
    if (!stream)
        return descent_fail_errno("read", path, errno);
    enum descent_status status = read_file(path, stream, file);
    fclose(stream);
    if (status)
        descent_safetensors_free(file);
    return status;
}

void descent_safetensors_free(struct descent_safetensors *file)
{
    if (!file)
        return;
    struct storage *storage = file->storage;
    if (storage) {
        descent_json_free(storage->header);
        descent_free(storage->data);
    }
    free(storage);
    free(file->tensors);
    free(file->metadata);
    *file = (struct descent_safetensors){0};
}

const struct descent_tensor *descent_safetensors_find(const struct descent_safetensors *file,
                                                      const char *name)
{
    for (int i = 0; i < file->count; i++)
        if (strcmp(file->tensors[i].name, name) == 0)
            return &file->tensors[i];
    return NULL;
}

const char *descent_safetensors_metadata(const struct descent_safetensors *file, const char *key)
{
    for (int i = 0; i < file->metadata_count; i++)
        if (strcmp(file->metadata[i].key, key) == 0)
            return file->metadata[i].value;
    return NULL;
}
