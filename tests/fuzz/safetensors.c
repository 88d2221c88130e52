/* Any bytes are a file whose tensors hold, one after the other, all that follows its header, or an error
 * with a message. */
#include "base/safetensors.h"
#include "tests/fuzz/target.h"
#include "tests/scratch.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct descent_safetensors file;
    if (descent_safetensors_read(scratch_file("fuzz.safetensors", data, size), &file)) {
        fuzz_expect(*descent_error() && !file.tensors && !file.storage);
        return 0;
    }
    uint64_t header;
    memcpy(&header, data, sizeof header);
    const uint8_t *at = data + 8 + header;
    for (int i = 0; i < file.count; i++) {
        const struct descent_tensor *tensor = &file.tensors[i];
        fuzz_expect(tensor->bytes <= (size_t)(data + size - at) &&
                    memcmp(tensor->data, at, tensor->bytes) == 0);
        fuzz_expect(descent_safetensors_find(&file, tensor->name) == tensor);
        fuzz_expect(tensor->rank >= 0 && tensor->rank <= 8 && (uintptr_t)tensor->data % 8 == 0);
        at += tensor->bytes;
    }
    fuzz_expect(at == data + size);
    descent_safetensors_free(&file);
    return 0;
}
