/* Any bytes are a .npy file, plain or gzipped, all of whose elements its shape counts, or an error with a
 * message. Whatever is read becomes pixels and labels or targets, or is refused. */
#include "data/npy.h"
#include "tests/fuzz/target.h"

static bool read_array(const uint8_t *data, size_t size, int least, int most, struct data_array *array)
{
    struct data_stream *stream;
    FILE *file = fmemopen((void *)(uintptr_t)data, size, "rb");
    fuzz_expect(file && data_stream_over(file, "fuzz", size, &stream) == DESCENT_OK);
    bool read = data_npy_read(stream, least, most, array) == DESCENT_OK;
    fuzz_expect(read ? array->bytes && array->size > 0 && array->size <= data_stream_limit(stream)
                     : *descent_error() && !array->bytes);
    data_stream_close(stream);
    return read;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct data_array images = {0}, labels = {0};
    struct data_source *source;
    if (size == 0 || !read_array(data, size, 1, DATA_MAX_RANK, &labels))
        return 0;
    if (labels.rank >= 2 && read_array(data, size, 2, DATA_MAX_RANK, &images)) {
        int lowest = size % 2 ? DATA_NUMBERS : 0;
        if (data_source_of_arrays(&images, "images", &labels, "labels", lowest, &source) == DESCENT_OK) {
            fuzz_expect((lowest == DATA_NUMBERS) == (source->target_count > 0));
            fuzz_expect(source->count > 0 && source->labels[source->count - 1] < DATA_MAX_CLASSES);
            data_source_free(source);
        } else {
            fuzz_expect(*descent_error() && !source);
        }
    }
    fuzz_expect(!images.bytes);
    data_array_free(&labels);
    return 0;
}
