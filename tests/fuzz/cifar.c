/* Any bytes are a CIFAR archive, a batch of CIFAR-100, or an error with a message. */
#include "data/data.h"
#include "tests/fuzz/target.h"
#include "tests/scratch.h"

#include <stdbool.h>
#include <string.h>

static void check(const char *path)
{
    struct data_set *set;
    if (data_open(path, &set) == DESCENT_OK) {
        const struct data_info *info = data_describe(set);
        fuzz_expect(info->train_count > 0 && info->test_count > 0 && info->height == 32 &&
                    info->width == 32);
        fuzz_expect(info->classes > 0 && info->class_names && info->file_count >= 2);
        for (int i = 0; i < info->classes; i++)
            fuzz_expect(*info->class_names[i]);
        data_free(set);
    } else {
        fuzz_expect(strstr(descent_error(), path) && !set);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t test[3074] = {1, 2, 3};
    static bool made;
    if (size == 0 || *data >= 20) { /* no coarse label */
        check(scratch_file("fuzz.tar", data, size));
        return 0;
    }
    if (!made) {
        mkdir(scratch_path("fuzz"), 0700);
        scratch_file("fuzz/test.bin", test, sizeof test);
        made = true;
    }
    scratch_file("fuzz/train.bin", data, size);
    check(scratch_path("fuzz"));
    return 0;
}
