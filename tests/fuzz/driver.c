/* Stands in for libFuzzer in the test suite: feeds a fuzz target every seed, every truncation of it and
 * some thousand mutations ($FUZZ_MUTATIONS says another number), the same in every run. It looks for no
 * coverage: for long runs build with clang and -Dfuzz=true. usage: fuzz-TARGET SEED-FILE-OR-DIRECTORY ...
 */
#include "base/file.h"
#include "base/random.h"
#include "tests/fuzz/target.h"

#include <ctype.h>
#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { MUTATIONS = 5000, LARGEST_SEED = 1 << 16, ROOM = 64 };

struct input {
    uint8_t bytes[LARGEST_SEED + ROOM];
    size_t size;
};

static struct descent_random source;
static long mutations = MUTATIONS;

static size_t below(size_t bound)
{
    return (size_t)descent_random_below(&source, bound ? bound : 1);
}

/* A block of exactly this size, so that AddressSanitizer sees a read past its end. */
static void feed(const struct input *input)
{
    uint8_t *copy = malloc(input->size ? input->size : 1);
    if (!copy)
        abort();
    memcpy(copy, input->bytes, input->size);
    LLVMFuzzerTestOneInput(copy, input->size);
    free(copy);
}

static void replace(struct input *input, size_t at, size_t removed, const void *bytes, size_t added)
{
    if (input->size - removed + added > sizeof input->bytes)
        return;
    memmove(input->bytes + at + added, input->bytes + at + removed, input->size - at - removed);
    memcpy(input->bytes + at, bytes, added);
    input->size += added - removed;
}

static void flip_bit(struct input *input)
{
    input->bytes[below(input->size)] ^= (uint8_t)(1U << below(8));
}

static void set_byte(struct input *input)
{
    input->bytes[below(input->size)] = (uint8_t)below(256);
}

/* A binary number of 1 to 8 bytes at a limit, in either byte order: huge dimensions, products that
 * overflow. */
static void set_extreme(struct input *input)
{
    static const uint64_t extremes[] = {
        0,          1,          INT8_MAX,          INT16_MAX,         INT32_MAX,        INT64_MAX,
        UINT32_MAX, UINT64_MAX, UINT64_C(1) << 31, UINT64_C(1) << 32, UINT64_C(1) << 63};
    uint64_t number = extremes[below(sizeof extremes / sizeof *extremes)];
    size_t width = (size_t)1 << below(4), at = below(input->size);
    if (at + width > input->size)
        return;
    if (below(2))
        number = __builtin_bswap64(number << (64 - 8 * width));
    memcpy(input->bytes + at, &number, width);
}

/* The same for a decimal number of a text, the first at or after some place. */
static void set_decimal(struct input *input)
{
    static const char *const decimals[] = {
        "0", "-1", "1e999", "0.5", "4294967296", "9223372036854775807", "1000000000", "1e+3", "nan"};
    const char *decimal = decimals[below(sizeof decimals / sizeof *decimals)];
    size_t begin = below(input->size), end;
    while (begin < input->size && !isdigit(input->bytes[begin]))
        begin++;
    for (end = begin; end < input->size && isdigit(input->bytes[end]);)
        end++;
    if (end > begin)
        replace(input, begin, end - begin, decimal, strlen(decimal));
}

static void delete_range(struct input *input)
{
    size_t at = below(input->size);
    replace(input, at, below(input->size - at + 1), "", 0);
}

/* Copies up to ROOM bytes from one place to another. */
static void copy_range(struct input *input)
{
    uint8_t bytes[ROOM];
    size_t from = below(input->size), count = below(input->size - from + 1);
    count = count < ROOM ? count : ROOM;
    memcpy(bytes, input->bytes + from, count);
    replace(input, below(input->size), 0, bytes, count);
}

static void mutate(struct input *input)
{
    static void (*const ways[])(struct input *) = {flip_bit,    set_byte,     set_extreme,
                                                   set_decimal, delete_range, copy_range};
    for (size_t count = 1 + below(3); count > 0 && input->size > 0; count--)
        ways[below(sizeof ways / sizeof *ways)](input);
}

static int run_file(const char *path)
{
    static struct input seed, input;
    char *data;
    if (descent_file_read(path, LARGEST_SEED, &data, &seed.size)) {
        fprintf(stderr, "%s\n", descent_error());
        return 1;
    }
    memcpy(seed.bytes, data, seed.size);
    free(data);
    printf("%s: %zu truncations, %ld mutations\n", path, seed.size, mutations);
    fflush(stdout); /* the last line says which seed crashed */
    input = seed;
    for (input.size = 0; input.size < seed.size; input.size++)
        feed(&input);
    feed(&seed);
    source = descent_random_new(1, DESCENT_RANDOM_TEST, descent_hash(path));
    for (long i = 0; i < mutations; i++) {
        input = seed;
        mutate(&input);
        feed(&input);
    }
    return 0;
}

/* Runs the files of a directory; fails if there are none. */
static int run_directory(const char *path)
{
    struct dirent **entries;
    int count = scandir(path, &entries, NULL, alphasort), files = 0, failed = 0;
    for (int i = 0; i < count; i++) {
        char file[1024];
        snprintf(file, sizeof file, "%s/%s", path, entries[i]->d_name);
        if (*entries[i]->d_name != '.') {
            failed |= run_file(file);
            files++;
        }
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
    if (files == 0)
        fprintf(stderr, "%s: no seeds\n", path);
    return failed || files == 0;
}

int main(int count, char **arguments)
{
    int failed = count < 2;
    if (getenv("FUZZ_MUTATIONS"))
        mutations = atol(getenv("FUZZ_MUTATIONS"));
    for (int i = 1; i < count; i++) {
        struct stat info;
        bool directory = stat(arguments[i], &info) == 0 && S_ISDIR(info.st_mode);
        failed |= directory ? run_directory(arguments[i]) : run_file(arguments[i]);
    }
    return failed;
}
