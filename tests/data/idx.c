/* The IDX reader and the stream under it, plain and gzipped: what is accepted, and that nothing malformed
 * slips through. */
#include "data/idx.h"
#include "base/random.h"
#include "tests/data/idx_files.h"

static const char sample_labels[] = "../data/sample/fashion-mnist/t10k-labels-idx1-ubyte.gz";

/* Reads `size` bytes as if they were the file "memory". */
static enum descent_status read_bytes(const void *bytes, size_t size, int rank, struct data_array *idx)
{
    struct data_stream *stream;
    FILE *file = size ? fmemopen((void *)(uintptr_t)bytes, size, "rb") : fopen("/dev/null", "rb");
    assert_non_null(file);
    enum descent_status status = data_stream_over(file, "memory", size, &stream);
    *idx = (struct data_array){0};
    if (status == DESCENT_OK)
        status = data_idx_read(stream, rank, rank, idx);
    data_stream_close(stream);
    return status;
}

static void expect_error(const struct bytes *file, int rank, const char *const *words)
{
    struct data_array idx;
    assert_int_not_equal(read_bytes(file->at, file->size, rank, &idx), DESCENT_OK);
    assert_null(idx.bytes);
    for (; *words; words++)
        if (!strstr(descent_error(), *words))
            fail_msg("'%s' does not say '%s'", descent_error(), *words);
}

#define EXPECT_ERROR(file, rank, ...) expect_error(file, rank, (const char *const[]){__VA_ARGS__, NULL})

/* A real gzipped file of the sample. */
static struct bytes load_sample(void)
{
    struct bytes file = {0};
    FILE *stream = fopen(sample_labels, "rb");
    assert_non_null(stream);
    file.size = fread(file.at, 1, sizeof file.at, stream);
    assert_true(feof(stream));
    fclose(stream);
    return file;
}

static void plain_and_gzipped_files_read_alike(void **state)
{
    (void)state;
    struct bytes plain = idx_images(5, 3, 2), zipped = gzip_stored(&plain);
    for (int i = 0; i < 2; i++) {
        const struct bytes *file = i ? &zipped : &plain;
        struct data_array idx;
        assert_int_equal(read_bytes(file->at, file->size, 3, &idx), DESCENT_OK);
        assert_int_equal(idx.rank, 3);
        assert_int_equal(idx.shape[0], 5);
        assert_int_equal(idx.shape[1], 3);
        assert_int_equal(idx.shape[2], 2);
        assert_int_equal(idx.size, 30);
        assert_memory_equal(idx.bytes, plain.at + 16, 30);
        free(idx.bytes);
    }
}

static void gzip_members_are_read_one_after_the_other(void **state)
{
    (void)state;
    struct bytes whole = idx_images(5, 3, 2), first = whole, second = {.size = 16};
    first.size -= 16;
    memcpy(second.at, whole.at + first.size, 16);
    struct bytes file = gzip_stored(&first), rest = gzip_stored(&second);
    memcpy(file.at + file.size, rest.at, rest.size);
    file.size += rest.size;
    struct data_array idx;
    assert_int_equal(read_bytes(file.at, file.size, 3, &idx), DESCENT_OK);
    assert_memory_equal(idx.bytes, whole.at + 16, 30);
    free(idx.bytes);
}

static void truncated_file_is_an_error_naming_the_offset(void **state)
{
    (void)state;
    struct bytes plain = idx_images(5, 3, 2), stored = gzip_stored(&plain), real = load_sample();
    struct data_array idx;
    const struct {
        const struct bytes *file;
        int rank;
    } cases[] = {{&plain, 3}, {&stored, 3}, {&real, 1}};
    for (int i = 0; i < 3; i++) {
        assert_int_equal(read_bytes(cases[i].file->at, cases[i].file->size, cases[i].rank, &idx),
                         DESCENT_OK);
        free(idx.bytes);
        for (size_t size = 0; size < cases[i].file->size; size++) {
            /* A copy of its very size, so that AddressSanitizer sees a read past the end. */
            uint8_t *cut = malloc(size + !size);
            memcpy(cut, cases[i].file->at, size);
            assert_int_equal(read_bytes(cut, size, cases[i].rank, &idx), DESCENT_BAD_FORMAT);
            assert_null(idx.bytes);
            assert_ptr_equal(strstr(descent_error(), "memory: "), descent_error());
            char offset[32];
            snprintf(offset, sizeof offset, "at byte %zu", size);
            if (size >= 16) /* the shape itself is complete: the promise is held against the size */
                assert_true(strstr(descent_error(), offset) || strstr(descent_error(), "promises"));
            free(cut);
        }
    }
}

static void trailing_bytes_are_an_error(void **state)
{
    (void)state;
    struct bytes plain = idx_images(5, 3, 2);
    plain.at[plain.size++] = 0;
    EXPECT_ERROR(&plain, 3, "memory", "goes on after the 46 bytes");
    struct bytes zipped = gzip_stored(&plain);
    EXPECT_ERROR(&zipped, 3, "memory", "goes on after the 46 bytes");
    plain.size--;
    zipped = gzip_stored(&plain);
    zipped.at[zipped.size++] = 'x';
    EXPECT_ERROR(&zipped, 3, "memory", "gzip data");
}

static void wrong_checksum_is_an_error(void **state)
{
    (void)state;
    struct bytes plain = idx_images(5, 3, 2), zipped = gzip_stored(&plain);
    zipped.at[zipped.size - 8] ^= 1;
    EXPECT_ERROR(&zipped, 3, "memory", "corrupt gzip data", "incorrect data check");
}

static void wrong_headers_say_what_was_expected(void **state)
{
    (void)state;
    struct bytes file = idx_images(5, 3, 2);
    EXPECT_ERROR(&file, 1, "3 dimensions", "expected 1");
    file.at[2] = 0x0D;
    EXPECT_ERROR(&file, 3, "promises 5 x 3 x 2 float32 numbers", "46 bytes");
    file.at[2] = 0x77;
    EXPECT_ERROR(&file, 3, "0x77", "unknown", "0x08");
    memcpy(file.at, "\x89PNG", 4);
    EXPECT_ERROR(&file, 3, "89 50 4e 47", "00 00 08 03");
    file = idx_header(3, 0, 28, 28);
    EXPECT_ERROR(&file, 3, "empty", "0 x 28 x 28");
    file = idx_header(1, 0, 0, 0);
    EXPECT_ERROR(&file, 1, "empty");
}

static void promises_beyond_the_file_are_refused_before_memory_is_taken(void **state)
{
    (void)state;
    struct bytes file = idx_header(3, 1U << 31, 28, 28);
    EXPECT_ERROR(&file, 3, "promises 2147483648 x 28 x 28 bytes", "more than", "16 bytes can hold");
    struct bytes zipped = gzip_stored(&file);
    EXPECT_ERROR(&zipped, 3, "promises 2147483648 x 28 x 28 bytes", "more than");
    file = idx_header(3, UINT32_MAX, UINT32_MAX, UINT32_MAX); /* the product overflows 64 bits */
    EXPECT_ERROR(&file, 3, "promises 4294967295 x 4294967295 x 4294967295");
    file = idx_header(3, 1U << 22, 1U << 21, 1U << 21); /* to 0 */
    EXPECT_ERROR(&file, 3, "promises 4194304 x 2097152 x 2097152");
}

static void single_flipped_bytes_are_found(void **state)
{
    (void)state;
    struct data_array good, idx;
    struct bytes plain = idx_images(5, 3, 2), zipped = load_sample();
    for (size_t i = 0; i < 16; i++) {
        for (int bit = 0; bit < 8; bit++) {
            plain.at[i] ^= (uint8_t)(1 << bit);
            enum descent_status status = read_bytes(plain.at, plain.size, 3, &idx);
            bool is_signed = plain.at[2] == 9; /* another type of one byte */
            assert_true((status == DESCENT_OK) == is_signed);
            data_array_free(&idx);
            plain.at[i] ^= (uint8_t)(1 << bit);
        }
    }
    /* gzip: either its checksum sees it, or it hit what carries nothing: the time in the header, and the
     * bits that pad the last byte before the trailer of 8. */
    assert_int_equal(read_bytes(zipped.at, zipped.size, 1, &good), DESCENT_OK);
    for (size_t i = 0; i < zipped.size; i++) {
        zipped.at[i] ^= 0x10;
        if (read_bytes(zipped.at, zipped.size, 1, &idx) == DESCENT_OK) {
            assert_true(i < 10 || i == zipped.size - 9);
            assert_int_equal(idx.size, good.size);
            assert_memory_equal(idx.bytes, good.bytes, good.size);
            free(idx.bytes);
        }
        zipped.at[i] ^= 0x10;
    }
    free(good.bytes);
}

static void random_mutations_never_crash(void **state)
{
    (void)state;
    struct bytes plain = idx_images(5, 3, 2), stored = gzip_stored(&plain), real = load_sample();
    struct descent_random random = descent_random_new(1, DESCENT_RANDOM_TEST, 0);
    int accepted = 0, refused = 0;
    for (int round = 0; round < 20000; round++) {
        struct bytes file = round % 3 == 0 ? plain : round % 3 == 1 ? stored : real;
        for (uint64_t n = descent_random_below(&random, 4) + 1; n > 0; n--) {
            size_t at = (size_t)descent_random_below(&random, file.size);
            file.at[at] = (uint8_t)descent_random_below(&random, 256);
        }
        if (descent_random_below(&random, 4) == 0)
            file.size = (size_t)descent_random_below(&random, file.size + 8);
        int rank = round % 3 == 2 ? 1 : 3;
        struct data_array idx;
        if (read_bytes(file.at, file.size, rank, &idx) == DESCENT_OK) {
            accepted++;
            size_t product = idx.shape[0];
            for (int i = 1; i < rank; i++)
                product *= idx.shape[i];
            assert_int_equal(idx.size, product);
            free(idx.bytes);
        } else {
            refused++;
            assert_int_not_equal(strlen(descent_error()), 0);
        }
    }
    assert_true(accepted > 1000 && refused > 10000);
}

static void directories_and_missing_files_are_errors(void **state)
{
    (void)state;
    struct data_stream *stream;
    assert_int_equal(data_stream_open("no-such-file", &stream), DESCENT_NOT_FOUND);
    assert_non_null(strstr(descent_error(), "no-such-file"));
    assert_int_equal(data_stream_open(".", &stream), DESCENT_IO_ERROR);
    assert_non_null(strstr(descent_error(), "not a regular file"));
    assert_null(stream);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_and_gzipped_files_read_alike),
        cmocka_unit_test(gzip_members_are_read_one_after_the_other),
        cmocka_unit_test(truncated_file_is_an_error_naming_the_offset),
        cmocka_unit_test(trailing_bytes_are_an_error),
        cmocka_unit_test(wrong_checksum_is_an_error),
        cmocka_unit_test(wrong_headers_say_what_was_expected),
        cmocka_unit_test(promises_beyond_the_file_are_refused_before_memory_is_taken),
        cmocka_unit_test(single_flipped_bytes_are_found),
        cmocka_unit_test(random_mutations_never_crash),
        cmocka_unit_test(directories_and_missing_files_are_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
