/* Any bytes are an IDX file, plain or gzipped, all of whose elements its shape counts, or an error with a
 * message. Memory is not taken on the word of a header. */
#include "data/idx.h"
#include "tests/fuzz/target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    for (int rank = 1; size > 0 && rank <= DATA_MAX_RANK; rank += 2) {
        struct data_stream *stream;
        struct data_array idx = {0};
        FILE *file = fmemopen((void *)(uintptr_t)data, size, "rb");
        fuzz_expect(file && data_stream_over(file, "fuzz", size, &stream) == DESCENT_OK);
        if (data_idx_read(stream, rank, rank, &idx) == DESCENT_OK) {
            size_t product = 1, got;
            uint8_t beyond;
            for (int i = 0; i < rank; i++)
                product *= idx.shape[i];
            fuzz_expect(product > 0 && product == idx.size && product <= data_stream_limit(stream));
            fuzz_expect(data_stream_read(stream, &beyond, 1, &got) == DESCENT_OK && got == 0);
        } else {
            fuzz_expect(*descent_error() && !idx.bytes);
        }
        free(idx.bytes);
        data_stream_close(stream);
    }
    return 0;
}
