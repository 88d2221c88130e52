/* .npy pairs: which types become pixels and labels, and that nothing else does. */
#include "data/source.h"
#include "tests/data/npy_files.h"

#include <math.h>

static const uint8_t pixels[] = {0, 51, 102, 153, 204, 255, 1, 2, 3, 4, 5, 6};

/* Two images of 2 x 3 and their labels in each part. */
static void write_pairs(const char *directory)
{
    const int64_t labels[] = {2, 0};
    struct bytes column = npy("<i8", "False", "(2, 1)", labels, 16),
                 x = npy("|u1", "False", "(2, 2, 3)", pixels, 12),
                 y = npy("<i8", "False", "(2,)", labels, 16);
    write_file(directory, "x_train.npy", &x);
    write_file(directory, "y_train.npy", &y);
    write_file(directory, "x_test.npy", &x);
    write_file(directory, "y_test.npy", &column);
}

static void expect_pixels(const char *directory)
{
    struct data_set *set;
    if (data_open(scratch_path(directory), &set) != DESCENT_OK)
        fail_msg("%s", descent_error());
    const struct data_info *info = data_describe(set);
    assert_int_equal(info->height, 2);
    assert_int_equal(info->width, 3);
    assert_int_equal(info->channels, 1);
    assert_int_equal(info->classes, 3);
    assert_int_equal(info->file_count, 4);
    struct data_view *view = data_view_train(set);
    for (int i = 0; i < 2; i++) {
        float x[6];
        int32_t label;
        assert_int_equal(data_sample(view, i, x, &label), DESCENT_OK);
        assert_int_equal(label, i ? 0 : 2);
        for (int k = 0; k < 6; k++)
            assert_int_equal(
                lround(((double)x[k] * (double)info->deviation[0] + (double)info->mean[0]) * 255),
                pixels[6 * i + k]);
    }
    data_view_free(view);
    data_free(set);
}

static void expect_error(const char *directory, const char *const *words)
{
    struct data_set *set;
    assert_int_not_equal(data_open(scratch_path(directory), &set), DESCENT_OK);
    assert_null(set);
    for (; *words; words++)
        if (!strstr(descent_error(), *words))
            fail_msg("'%s' does not say '%s'", descent_error(), *words);
}

#define EXPECT_ERROR(directory, ...) expect_error(directory, (const char *const[]){__VA_ARGS__, NULL})

static void every_type_that_loses_nothing_becomes_pixels(void **state)
{
    (void)state;
    float whole[12], fraction[12];
    double big[12];
    int16_t small[12];
    for (int i = 0; i < 12; i++) {
        whole[i] = pixels[i];
        fraction[i] = (float)pixels[i] / 255;
        uint64_t bits;
        double number = pixels[i];
        memcpy(&bits, &number, sizeof bits);
        bits = __builtin_bswap64(bits);
        memcpy(&big[i], &bits, sizeof bits);
        small[i] = pixels[i];
    }
    write_pairs("types");
    expect_pixels("types");
    const struct bytes files[] = {npy("<f4", "False", "(2, 2, 3)", whole, sizeof whole),
                                  npy("<f4", "False", "(2, 2, 3)", fraction, sizeof fraction),
                                  npy(">f8", "False", "(2, 2, 3)", big, sizeof big),
                                  npy("<i2", "False", "(2, 2, 3, 1)", small, sizeof small)};
    for (int i = 0; i < 4; i++) {
        write_file("types", "x_train.npy", &files[i]);
        expect_pixels("types");
    }
    struct bytes zipped = gzip_stored(&files[0]);
    unlink(scratch_path("types/x_train.npy"));
    write_file("types", "x_train.npy.gz", &zipped);
    expect_pixels("types");
}

/* A dark test set of whole numbers is no set of fractions, nor one of fractions whatever fits in a byte. */
static void training_part_decides_the_scale_of_both(void **state)
{
    (void)state;
    float whole[12], fraction[12], dark[12] = {1};
    for (int i = 0; i < 12; i++) {
        whole[i] = pixels[i];
        fraction[i] = (float)pixels[i] / 255;
    }
    struct bytes wholes = npy("<f4", "False", "(2, 2, 3)", whole, sizeof whole),
                 fractions = npy("<f4", "False", "(2, 2, 3)", fraction, sizeof fraction),
                 darks = npy("<f4", "False", "(2, 2, 3)", dark, sizeof dark);
    write_pairs("scales");
    write_file("scales", "x_train.npy", &wholes);
    write_file("scales", "x_test.npy", &darks);
    struct data_set *set;
    assert_int_equal(data_open(scratch_path("scales"), &set), DESCENT_OK);
    const struct data_info *info = data_describe(set);
    struct data_view *view = data_view_test(set);
    float x[6];
    assert_int_equal(data_sample(view, 0, x, NULL), DESCENT_OK);
    assert_int_equal(lround(((double)x[0] * (double)info->deviation[0] + (double)info->mean[0]) * 255), 1);
    data_view_free(view);
    data_free(set);
    write_file("scales", "x_test.npy", &fractions);
    EXPECT_ERROR("scales", "x_test.npy", "value 1 is 0.2",
                 "whole numbers 0 .. 255, as in the training part");
    write_file("scales", "x_train.npy", &fractions);
    write_file("scales", "x_test.npy", &wholes);
    EXPECT_ERROR("scales", "x_test.npy", "value 1 is 51", "divided by 255, as in the training part");
}

static void what_a_byte_or_a_class_cannot_keep_is_refused(void **state)
{
    (void)state;
    float values[12] = {0.5F, 0.25F};
    write_pairs("refused");
    struct bytes file = npy("<f4", "False", "(2, 2, 3)", values, sizeof values);
    write_file("refused", "x_train.npy", &file);
    EXPECT_ERROR("refused", "x_train.npy", "value 0 is 0.5", "0 .. 255");
    values[0] = 256;
    file = npy("<f4", "False", "(2, 2, 3)", values, sizeof values);
    write_file("refused", "x_train.npy", &file);
    EXPECT_ERROR("refused", "value 0 is 256");
    values[0] = NAN;
    file = npy("<f4", "False", "(2, 2, 3)", values, sizeof values);
    write_file("refused", "x_train.npy", &file);
    EXPECT_ERROR("refused", "value 0 is");
    write_pairs("refused");
    values[0] = 1;
    values[1] = 1.5F;
    file = npy("<f4", "False", "(2,)", values, 8);
    write_file("refused", "y_train.npy", &file);
    EXPECT_ERROR("refused:targets=classes", "y_train.npy", "label 1 is 1.5", "0 .. 999");
    EXPECT_ERROR("refused", "training samples have 1 target numbers, test samples 0 (0: a class)");
    values[1] = NAN;
    file = npy("<f4", "False", "(2,)", values, 8);
    write_file("refused", "y_train.npy", &file);
    EXPECT_ERROR("refused", "y_train.npy", "target 1 is", "nan");
    const double huge[] = {0, -1e39};
    file = npy("<f8", "False", "(2,)", huge, sizeof huge);
    write_file("refused", "y_train.npy", &file);
    EXPECT_ERROR("refused", "target 1 is -1e+39, expected finite numbers within +-3.4e+38");
    static const float wide[2 * (DATA_MAX_TARGETS + 1)];
    file = npy("<f4", "False", "(2, 1001)", wide, sizeof wide);
    write_file("refused", "y_train.npy", &file);
    EXPECT_ERROR("refused", "1001 targets a sample, expected at most 1000");
    file = npy("|u1", "False", "(2, 3)", (const uint8_t[]){0, 0, 1, 1, 0, 0}, 6);
    write_file("refused", "y_train.npy", &file);
    EXPECT_ERROR("refused", "y_train.npy: shape 2 x 3; expected N or N x 1 classes (one-hot?)");
    file = npy("<f4", "False", "(2, 3)", wide, 24);
    write_file("refused", "y_train.npy", &file);
    EXPECT_ERROR("refused:targets=classes", "y_train.npy: shape 2 x 3; expected N or N x 1 classes");
    const int32_t labels[] = {0, -1, 2};
    file = npy("<i4", "False", "(2,)", labels, 8);
    write_file("refused", "y_train.npy", &file);
    EXPECT_ERROR("refused", "label 1 is -1", "0 .. 999");
    file = npy("<i4", "False", "(3,)", labels, 12);
    write_file("refused", "y_train.npy", &file);
    EXPECT_ERROR("refused", "x_train.npy holds 2 images", "y_train.npy holds 3 labels");
    write_pairs("refused");
    unlink(scratch_path("refused/y_test.npy"));
    EXPECT_ERROR("refused", "y_test.npy is missing");
}

/* Two numbers a sample, the second the same in all training samples: normalized by the training part. */
static void real_targets_are_numbers_to_predict(void **state)
{
    (void)state;
    const double train[] = {1e6 + 1, 7, 1e6 + 5, 7}, test[] = {1e6 + 4, 9, 1e6 - 3, 7};
    const float expected[2][4] = {{-1, 0, 1, 0}, {0.5F, 2, -3, 0}};
    write_pairs("numbers");
    struct bytes file = npy("<f8", "False", "(2, 2)", train, sizeof train);
    write_file("numbers", "y_train.npy", &file);
    file = npy("<f8", "False", "(2, 2)", test, sizeof test);
    write_file("numbers", "y_test.npy", &file);
    struct data_set *set;
    assert_int_equal(data_open(scratch_path("numbers"), &set), DESCENT_OK);
    const struct data_info *info = data_describe(set);
    assert_int_equal(info->targets, 2);
    assert_int_equal(info->classes, 1);
    assert_float_equal(info->target_mean[0], 1e6 + 3, 1e-9);
    assert_float_equal(info->target_mean[1], 7, 1e-15);
    assert_float_equal(info->target_deviation[0], 2, 1e-9);
    assert_float_equal(info->target_deviation[1], 0, 1e-15);
    struct data_view *view[2] = {data_view_train(set), data_view_test(set)};
    for (int part = 0; part < 2; part++) {
        struct data_loader *loader = data_loader_new(view[part], &(struct data_loader_options){.batch = 2});
        struct data_batch batch;
        assert_int_equal(data_loader_next(loader, &batch), 2);
        for (int k = 0; k < 4; k++)
            assert_float_equal(batch.targets[k], expected[part][k], 1e-6);
        assert_true(batch.labels[0] == 0 && batch.labels[1] == 0);
        data_loader_free(loader);
        data_view_free(view[part]);
    }
    data_free(set);
    write_pairs("numbers"); /* integers, if they are said to be numbers */
    assert_int_equal(data_open(scratch_path("numbers:targets=numbers"), &set), DESCENT_OK);
    assert_int_equal(data_describe(set)->targets, 1);
    assert_float_equal(data_describe(set)->target_mean[0], 1, 1e-15);
    data_free(set);
}

/* Mixup gives an image the mixture of both targets that it is of both images. */
static void mixed_targets_follow_their_images(void **state)
{
    (void)state;
    const double targets[] = {0, 1};
    const uint8_t black_and_white[12] = {255, 255, 255, 255, 255, 255, 0, 0, 0, 0, 0, 0};
    struct bytes x = npy("|u1", "False", "(2, 2, 3)", black_and_white, 12),
                 y = npy("<f8", "False", "(2,)", targets, sizeof targets);
    write_pairs("mixed");
    write_file("mixed", "x_train.npy", &x);
    write_file("mixed", "y_train.npy", &y);
    write_file("mixed", "y_test.npy", &y);
    struct data_set *set;
    assert_int_equal(data_open(scratch_path("mixed"), &set), DESCENT_OK);
    struct data_view *view = data_view_train(set);
    struct data_loader *loader =
        data_loader_new(view, &(struct data_loader_options){.batch = 2, .augment = "mixup:1"});
    for (int epoch = 0, mixed = 0; epoch < 20; epoch++) {
        struct data_batch batch;
        data_loader_start(loader, epoch);
        assert_int_equal(data_loader_next(loader, &batch), 2);
        for (int i = 0; i < 2; i++) /* normalized, white and target 0 are 1 and -1 */
            assert_float_equal(batch.targets[i], -batch.x[6 * i], 1e-5);
        mixed += fabs((double)batch.targets[0]) < 0.9;
        assert_true(epoch < 19 || mixed > 5);
    }
    data_loader_free(loader);
    data_view_free(view);
    data_free(set);
}

static void malformed_header_says_what_was_expected(void **state)
{
    (void)state;
    const struct {
        struct bytes file;
        const char *found;
    } cases[] = {
        {npy("<c8", "False", "(2, 2, 3)", pixels, 12), "element type '<c8'"},
        {npy("|O", "False", "(2, 2, 3)", pixels, 12), "element type '|O'"},
        {npy("|u1", "True", "(2, 2, 3)", pixels, 12), "Fortran order"},
        {npy("|u1", "False", "(2, -2, 3)", pixels, 12), "shape (2, -2, 3)"},
        {npy("|u1", "False", "(2, 99999999999999999999)", pixels, 12), "shape (2, 99999"},
        {npy("|u1", "False", "(12,)", pixels, 12), "has 1 dimensions, expected 2 .. 4"},
        {npy("|u1", "False", "(1, 2, 1, 3, 2)", pixels, 12), "has 5 dimensions"},
        {npy("|u1", "False", "(2, 1, 1, 6)", pixels, 12), "at most 4 channels"},
        {npy("|u1", "False", "(2, 2, 4)", pixels, 12), "ends at byte 85, its header promises 89"},
        {npy("|u1", "False", "(4294967296, 4294967296, 3)", pixels, 12),
         "promises 4294967296 x 4294967296"},
        {npy("|u1", "False", "(2, 0)", pixels, 12), "is empty"},
        {npy("|u1", "False", "(2, 2, 2)", pixels, 12), "goes on after the"},
        {{.size = 12, .at = "\x93NUMPY\4\0\0\0\0"}, "version 4"},
        {{.size = 12, .at = "PK\3\4--------"}, "starts with 50 4b 03 04"},
        {{.size = 12, .at = "\x93NUMPY\2\0\xff\xff\xff\xff"}, "header of 4294967295 bytes"},
    };
    write_pairs("malformed");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        write_file("malformed", "x_train.npy", &cases[i].file);
        EXPECT_ERROR("malformed", "malformed/x_train.npy", cases[i].found);
    }
}

static void every_truncation_is_an_error(void **state)
{
    (void)state;
    write_pairs("cut");
    struct bytes file = npy("|u1", "False", "(2, 2, 3)", pixels, 12);
    for (size_t whole = file.size, size = 0; size < whole; size++) {
        file.size = size;
        write_file("cut", "x_train.npy", &file);
        EXPECT_ERROR("cut", "cut/x_train.npy: ");
    }
}

static void set_that_is_gone_is_not_found(void **state)
{
    (void)state;
    extern const struct data_format data_format_npy;
    struct data_parts parts = {0};
    const struct data_request request = {.path = scratch_path("gone")};
    assert_int_equal(data_format_npy.open(&request, &parts), DESCENT_NOT_FOUND);
    assert_non_null(strstr(descent_error(), "gone: is gone"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type_that_loses_nothing_becomes_pixels),
        cmocka_unit_test(training_part_decides_the_scale_of_both),
        cmocka_unit_test(what_a_byte_or_a_class_cannot_keep_is_refused),
        cmocka_unit_test(real_targets_are_numbers_to_predict),
        cmocka_unit_test(mixed_targets_follow_their_images),
        cmocka_unit_test(malformed_header_says_what_was_expected),
        cmocka_unit_test(every_truncation_is_an_error),
        cmocka_unit_test(set_that_is_gone_is_not_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
