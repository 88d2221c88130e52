/* tests/vectors/reference.safetensors was written by Python's safetensors (write_safetensors.py beside it).
 */
#include "base/safetensors.h"

#include "base/file.h"
#include "tests/scratch.h"
#include "tests/test.h"

#include <stdbool.h>
#include <string.h>

static const char REFERENCE[] = "vectors/reference.safetensors";

static char *read_whole(const char *path, size_t *size)
{
    char *data;
    assert_int_equal(descent_file_read(path, 1 << 20, &data, size), DESCENT_OK);
    return data;
}

static const struct descent_tensor *expect_tensor(const struct descent_safetensors *file, const char *name,
                                                  enum descent_dtype dtype, int rank, const int64_t *shape)
{
    const struct descent_tensor *tensor = descent_safetensors_find(file, name);
    assert_non_null(tensor);
    assert_int_equal(tensor->dtype, dtype);
    assert_int_equal(tensor->rank, rank);
    for (int i = 0; i < rank; i++)
        assert_int_equal(tensor->shape[i], shape[i]);
    return tensor;
}

static void what_python_wrote_is_read(void **state)
{
    (void)state;
    struct descent_safetensors file;
    assert_int_equal(descent_safetensors_read(REFERENCE, &file), DESCENT_OK);
    assert_int_equal(file.count, 7);
    const float *weight =
        expect_tensor(&file, "conv1.weight", DESCENT_F32, 4, (int64_t[]){2, 3, 1, 2})->data;
    for (int i = 0; i < 12; i++)
        assert_true(weight[i] == (float)i / 8 - 0.5F);
    const double *mean = expect_tensor(&file, "running.mean", DESCENT_F64, 1, (int64_t[]){3})->data;
    assert_true(mean[0] == 1e-300 && mean[1] == -2.5 && mean[2] == 1e300);
    const unsigned char *labels = expect_tensor(&file, "labels", DESCENT_U8, 2, (int64_t[]){1, 3})->data;
    assert_memory_equal(labels, ((unsigned char[]){0, 1, 255}), 3);
    const int64_t *steps = expect_tensor(&file, "steps", DESCENT_I64, 0, NULL)->data;
    assert_true(*steps == INT64_C(9007199254740993));
    const int32_t *shift = expect_tensor(&file, "shift", DESCENT_I32, 1, (int64_t[]){2})->data;
    assert_true(shift[0] == -1 && shift[1] == INT32_MAX);
    assert_int_equal(expect_tensor(&file, "empty", DESCENT_F32, 2, (int64_t[]){0, 4})->bytes, 0);
    const float *odd =
        expect_tensor(&file, "n\xc3\xa4me \"quoted\"\\", DESCENT_F32, 1, (int64_t[]){1})->data;
    assert_true(*odd == 7);
    assert_int_equal(file.metadata_count, 2);
    assert_string_equal(descent_safetensors_metadata(&file, "model"), "mlp:256/128");
    assert_string_equal(descent_safetensors_metadata(&file, "note"), "line\nbreak, \xc3\xa9\xe2\x82\xac");
    assert_null(descent_safetensors_metadata(&file, "absent"));
    assert_null(descent_safetensors_find(&file, "absent"));
    descent_safetensors_free(&file);
}

static void what_python_wrote_is_written_again_byte_for_byte(void **state)
{
    (void)state;
    const char *path = scratch_path("again.safetensors");
    struct descent_safetensors file;
    assert_int_equal(descent_safetensors_read(REFERENCE, &file), DESCENT_OK);
    assert_int_equal(
        descent_safetensors_write(path, file.tensors, file.count, file.metadata, file.metadata_count),
        DESCENT_OK);
    size_t expected_size, size;
    char *expected = read_whole(REFERENCE, &expected_size), *data = read_whole(path, &size);
    assert_int_equal(size, expected_size);
    assert_memory_equal(data, expected, size);
    free(expected);
    free(data);
    descent_safetensors_free(&file);
}

/* A byte tensor before a double one: the file must hold them aligned for readers that map it. */
static void tensors_are_aligned_in_file_and_memory(void **state)
{
    (void)state;
    unsigned char bytes[3] = {1, 2, 3};
    float single = 4;
    double wide = 5;
    const struct descent_tensor tensors[] = {
        {.name = "u", .dtype = DESCENT_U8, .rank = 1, .shape = {3}, .data = bytes, .bytes = 3},
        {.name = "f", .dtype = DESCENT_F32, .data = &single, .bytes = 4},
        {.name = "d", .dtype = DESCENT_F64, .data = &wide, .bytes = 8},
    };
    const char *path = scratch_path("aligned.safetensors");
    assert_int_equal(descent_safetensors_write(path, tensors, 3, NULL, 0), DESCENT_OK);
    size_t size;
    char *data = read_whole(path, &size);
    uint64_t header;
    memcpy(&header, data, sizeof header);
    assert_int_equal(header % 8, 0);
    assert_null(strstr(data + 8, "__metadata__")); /* no metadata, no mention of it */
    assert_int_equal(size, 8 + header + 15);
    assert_memory_equal(data + 8 + header, &wide, 8);
    assert_memory_equal(data + 8 + header + 8, &single, 4);
    free(data);
    struct descent_safetensors file;
    assert_int_equal(descent_safetensors_read(path, &file), DESCENT_OK);
    for (int i = 0; i < file.count; i++)
        assert_int_equal((uintptr_t)file.tensors[i].data % 64, 0);
    descent_safetensors_free(&file);
}

static void tensors_are_listed_in_the_order_of_the_file(void **state)
{
    (void)state;
    static const char header[] =
        "{\"last\":{\"dtype\":\"U8\",\"shape\":[1,1,1,1,1,1,1,2],\"data_offsets\":[3,5]},"
        "\"b\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[0,3]},"
        "\"empty1\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]},"
        "\"empty2\":{\"dtype\":\"F64\",\"shape\":[3,0],\"data_offsets\":[0,0]}}";
    static const char *const order[] = {"empty1", "empty2", "b", "last"};
    char data[sizeof header + 12];
    uint64_t length = sizeof header - 1;
    memcpy(data, &length, 8);
    memcpy(data + 8, header, length);
    memcpy(data + 8 + length, "bbbll", 5);
    struct descent_safetensors file;
    assert_int_equal(descent_safetensors_read(scratch_file("order.safetensors", data, 13 + length), &file),
                     DESCENT_OK);
    assert_int_equal(file.count, 4);
    for (int i = 0; i < 4; i++)
        assert_string_equal(file.tensors[i].name, order[i]);
    assert_memory_equal(file.tensors[2].data, "bbb", 3);
    assert_memory_equal(file.tensors[3].data, "ll", 2);
    const char *path = scratch_path("rank8.safetensors");
    assert_int_equal(descent_safetensors_write(path, file.tensors, file.count, NULL, 0), DESCENT_OK);
    descent_safetensors_free(&file);
    assert_int_equal(descent_safetensors_read(path, &file), DESCENT_OK);
    expect_tensor(&file, "last", DESCENT_U8, 8, (int64_t[]){1, 1, 1, 1, 1, 1, 1, 2});
    descent_safetensors_free(&file);
}

/* A file with this header and `data_bytes` zero bytes after it. */
static enum descent_status read_made(const char *header, size_t data_bytes)
{
    char data[4096] = {0};
    uint64_t length = strlen(header);
    memcpy(data, &length, 8);
    memcpy(data + 8, header, length);
    struct descent_safetensors file;
    enum descent_status status =
        descent_safetensors_read(scratch_file("made.safetensors", data, 8 + length + data_bytes), &file);
    descent_safetensors_free(&file);
    return status;
}

static void a_header_that_promises_what_the_file_is_not_is_an_error_saying_so(void **state)
{
    (void)state;
    static const struct {
        const char *header;
        size_t data_bytes;
        const char *message; /* NULL: the file is good */
    } cases[] = {
        {"{}", 0, NULL},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 8, NULL},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4],\"more\":1}}   ", 4, NULL},
        {"{\"b\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[3,4]},\"a\":{\"dtype\":\"U8\",\"shape\":"
         "[3],\"data_offsets\":[0,3]}}",
         4, NULL},
        {"", 0, "does not begin with '{'"},
        {" {}", 0, "does not begin with '{'"},
        {"[]", 0, "does not begin with '{'"},
        {"{", 0, "line 1"},
        {"{}x", 0, "line 1"},
        {"{\"a\":1}", 0, "dtype"},
        {"{\"a\":{}}", 0, "dtype"},
        {"{\"a\":{\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[0,4]}}", 4, "'F16' is not one of F32"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 7, "the tensors need 8 bytes"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 9, "the file has 9"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}}", 4,
         "4 bytes of data for a shape of 8"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,0]}}", 8, "data_offsets"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8,9]}}", 8, "data_offsets"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0]}}", 8, "data_offsets"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8.0]}}", 8, "data_offsets"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2]}}", 8, "data_offsets"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[4,12]}}", 12, "bytes between tensors"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[-2],\"data_offsets\":[0,8]}}", 8, "shape"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":2,\"data_offsets\":[0,8]}}", 8, "shape"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,1]}}", 1, "shape"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,0]}}", 0,
         "larger than any memory"},
        {"{\"a\":{\"dtype\":\"F64\",\"shape\":[2305843009213693953],\"data_offsets\":[0,8]}}", 8,
         "larger than any memory"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[9223372036854775807],\"data_offsets\":[0,9223372036854775807]"
         "}}",
         8, "the file has 8"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[9223372036854775808],\"data_offsets\":[0,8]}}", 8, "integer"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]},\"b\":{\"dtype\":\"U8\",\"shape\":"
         "[2],\"data_offsets\":[1,3]}}",
         3, "tensor 'b': begins at 1, expected 2: tensors overlap"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]},\"b\":{\"dtype\":\"U8\",\"shape\":"
         "[2],\"data_offsets\":[0,2]}}",
         2, "tensors overlap"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},\"a\":{\"dtype\":\"U8\",\"shape\":"
         "[1],\"data_offsets\":[1,2]}}",
         2, "duplicate"},
        {"{\"__metadata__\":{\"a\":1}}", 0, "metadata 'a' is not a string"},
        {"{\"__metadata__\":[]}", 0, "__metadata__ is not an object"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        enum descent_status status = read_made(cases[i].header, cases[i].data_bytes);
        assert_int_equal(status, cases[i].message ? DESCENT_BAD_FORMAT : DESCENT_OK);
        if (cases[i].message && !strstr(descent_error(), cases[i].message))
            fail_msg("%s\n  gave: %s\n  not:  %s", cases[i].header, descent_error(), cases[i].message);
        if (status)
            assert_non_null(strstr(descent_error(), "made.safetensors"));
    }
}

static void every_truncation_is_an_error(void **state)
{
    (void)state;
    size_t size;
    char *data = read_whole(REFERENCE, &size);
    for (size_t length = 0; length < size; length++) {
        struct descent_safetensors file;
        const char *path = scratch_file("cut.safetensors", data, length);
        assert_int_equal(descent_safetensors_read(path, &file), DESCENT_BAD_FORMAT);
        assert_null(file.tensors);
    }
    free(data);
}

/* A flipped header bit may leave a valid file (another name); never tensors outside of their memory. */
static void every_flipped_header_bit_is_an_error_or_another_valid_file(void **state)
{
    (void)state;
    size_t size, errors = 0;
    char *data = read_whole(REFERENCE, &size);
    uint64_t header;
    memcpy(&header, data, sizeof header);
    for (size_t bit = 0; bit < 8 * (8 + header); bit++) {
        struct descent_safetensors file;
        data[bit / 8] ^= (char)(1 << bit % 8);
        size_t bytes = 0;
        if (descent_safetensors_read(scratch_file("bit.safetensors", data, size), &file)) {
            errors++;
        } else {
            for (int i = 0; i < file.count; i++)
                bytes += file.tensors[i].bytes;
            assert_int_equal(bytes, size - 8 - header);
        }
        descent_safetensors_free(&file);
        data[bit / 8] ^= (char)(1 << bit % 8);
    }
    assert_true(errors > 4 * header);
    free(data);
}

static void tensors_that_do_not_add_up_are_refused_and_nothing_is_written(void **state)
{
    (void)state;
    float data[2] = {0};
    const struct descent_tensor good = {.name = "a", .rank = 1, .shape = {2}, .data = data, .bytes = 8};
    struct descent_tensor wrong[6][2];
    for (int i = 0; i < 6; i++)
        wrong[i][0] = wrong[i][1] = good;
    wrong[1][1].name = "__metadata__";
    wrong[2][1].name = "caf\xe9";
    wrong[3][1] = (struct descent_tensor){.name = "b", .rank = 9, .data = data, .bytes = 8};
    wrong[4][1] = (struct descent_tensor){.name = "b", .rank = 1, .shape = {3}, .data = data, .bytes = 8};
    wrong[5][1] =
        (struct descent_tensor){.name = "b", .rank = 2, .shape = {INT64_MAX, 8}, .data = data, .bytes = 8};
    static const char *const messages[] = {"another tensor", "reserved",        "not UTF-8",
                                           "rank",           "number of bytes", "number of bytes"};
    const char *path = scratch_path("refused.safetensors");
    for (int i = 0; i < 6; i++) {
        assert_int_equal(descent_safetensors_write(path, wrong[i], 2, NULL, 0), DESCENT_BAD_ARGUMENT);
        assert_non_null(strstr(descent_error(), messages[i]));
        assert_int_not_equal(access(path, F_OK), 0);
    }
    assert_int_equal(descent_safetensors_write(path, &good, 1, NULL, 0), DESCENT_OK);
}

static void a_missing_file_or_a_directory_is_an_error_naming_it(void **state)
{
    (void)state;
    struct descent_safetensors file;
    assert_int_equal(descent_safetensors_read("no/such.safetensors", &file), DESCENT_NOT_FOUND);
    assert_string_equal(descent_error(), "cannot read no/such.safetensors: No such file or directory");
    assert_int_equal(descent_safetensors_read("vectors", &file), DESCENT_IO_ERROR);
    assert_non_null(strstr(descent_error(), "vectors"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_python_wrote_is_read),
        cmocka_unit_test(what_python_wrote_is_written_again_byte_for_byte),
        cmocka_unit_test(tensors_are_aligned_in_file_and_memory),
        cmocka_unit_test(tensors_are_listed_in_the_order_of_the_file),
        cmocka_unit_test(a_header_that_promises_what_the_file_is_not_is_an_error_saying_so),
        cmocka_unit_test(every_truncation_is_an_error),
        cmocka_unit_test(every_flipped_header_bit_is_an_error_or_another_valid_file),
        cmocka_unit_test(tensors_that_do_not_add_up_are_refused_and_nothing_is_written),
        cmocka_unit_test(a_missing_file_or_a_directory_is_an_error_naming_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
