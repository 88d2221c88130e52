/* Data sets: where names are looked for, what malformed directories are told, and the statistics of the
 * real ones. */
#include "data/data.h"
#include "tests/data/idx_files.h"

#include <math.h>
#include <sys/stat.h>

static const char sample[] = "../data/sample/fashion-mnist";
static const char package[] = "/usr/share/datasets/fashion-mnist";

/* An environment in which nothing is found. */
static int clear_environment(void **state)
{
    (void)state;
    return unsetenv("DESCENT_DATA") || unsetenv("XDG_CACHE_HOME") ||
           setenv("HOME", scratch_path("nobody"), 1);
}

static void expect_error(enum descent_status expected, const char *what, const char *const *words)
{
    struct data_set *set;
    assert_int_equal(data_open(what, &set), expected);
    assert_null(set);
    for (; *words; words++)
        if (!strstr(descent_error(), *words))
            fail_msg("'%s' does not say '%s'", descent_error(), *words);
}

#define EXPECT_ERROR(status, what, ...) expect_error(status, what, (const char *const[]){__VA_ARGS__, NULL})

static void expect_found(const char *what, const char *path)
{
    struct data_set *set;
    if (data_open(what, &set) != DESCENT_OK)
        fail_msg("%s", descent_error());
    assert_string_equal(data_describe(set)->path, path);
    data_free(set);
}

static void expect_labels(struct data_view *view, int64_t each)
{
    int64_t counts[10] = {0};
    float x[28 * 28];
    for (int64_t i = 0; i < data_view_count(view); i++) {
        int32_t label;
        assert_int_equal(data_sample(view, i, x, &label), DESCENT_OK);
        counts[label]++;
    }
    for (int c = 0; c < 10; c++)
        assert_int_equal(counts[c], each);
    data_view_free(view);
}

/* mean and deviation as NumPy computes them in float64 over the whole training part. */
static void expect_fashion(const char *path, int64_t train, int64_t test, double mean, double deviation)
{
    struct data_set *set;
    if (data_open(path, &set) != DESCENT_OK)
        fail_msg("%s", descent_error());
    const struct data_info *info = data_describe(set);
    assert_string_equal(info->name, "fashion-mnist");
    assert_string_equal(info->path, path);
    assert_int_equal(info->channels, 1);
    assert_int_equal(info->height, 28);
    assert_int_equal(info->width, 28);
    assert_int_equal(info->classes, 10);
    assert_string_equal(info->class_names[9], "ankle boot");
    assert_int_equal(info->train_count, train);
    assert_int_equal(info->test_count, test);
    assert_true(fabs((double)info->mean[0] - mean) <= 1e-7);
    assert_true(fabs((double)info->deviation[0] - deviation) <= 1e-7);
    expect_labels(data_view_train(set), train / 10);
    expect_labels(data_view_test(set), test / 10);
    data_free(set);
}

static void sample_has_its_statistics(void **state)
{
    (void)state;
    expect_fashion(sample, 4500, 1000, 0.2874809523809524, 0.354519868334998);
}

static void fashion_mnist_has_its_published_statistics(void **state)
{
    (void)state;
    if (access(package, R_OK) != 0) {
        print_message("%s is absent: not tested (package dataset-fashion-mnist)\n", package);
        skip();
    }
    expect_fashion(package, 60000, 10000, 0.2860405969887955, 0.35302424451492254);
}

static void names_are_looked_for_in_the_documented_order(void **state)
{
    (void)state;
    char here[1024], path[256];
    write_set("home/.cache/descent/mnist");
    write_set("cache/descent/mnist");
    write_set("own/mnist");
    snprintf(path, sizeof path, "%s", write_set("here/mnist"));
    setenv("HOME", scratch_path("home"), 1);
    expect_found("mnist", scratch_path("home/.cache/descent/mnist"));
    setenv("XDG_CACHE_HOME", scratch_path("cache"), 1);
    expect_found("mnist", scratch_path("cache/descent/mnist"));
    setenv("DESCENT_DATA", scratch_path("own"), 1);
    expect_found("mnist", scratch_path("own/mnist"));
    expect_found(path, path);
    assert_non_null(getcwd(here, sizeof here));
    assert_int_equal(chdir(scratch_path("here")), 0);
    expect_found("mnist", "mnist");
    assert_int_equal(chdir(here), 0);
}

static void missing_name_lists_the_places_searched(void **state)
{
    (void)state;
    EXPECT_ERROR(DESCENT_NOT_FOUND, "mnist", "mnist not found", "DESCENT_DATA is not set",
                 "fetch.sh mnist");
    setenv("DESCENT_DATA", "/own/place", 1);
    setenv("XDG_CACHE_HOME", "/some/cache", 1);
    EXPECT_ERROR(DESCENT_NOT_FOUND, "mnist", "./mnist", "/own/place/mnist", "/some/cache/descent/mnist",
                 "/usr/share/datasets/mnist");
}

static void known_names_come_with_a_way_to_get_them(void **state)
{
    (void)state;
    int count;
    const struct data_known *known = data_known(&count);
    assert_int_equal(count, 7);
    for (int i = 0; i < count; i++) {
        assert_true(known[i].name && known[i].summary && known[i].supply);
        assert_true(!known[i].classes == !known[i].class_names);
        int files = 0;
        while (known[i].files[files].name)
            files++;
        assert_true(files > 0 && files < 13);
    }
}

static void unknown_name_suggests_the_nearest(void **state)
{
    (void)state;
    EXPECT_ERROR(DESCENT_NOT_FOUND, "fashon-mnist", "'fashon-mnist'", "did you mean 'fashion-mnist'");
    EXPECT_ERROR(DESCENT_NOT_FOUND, "/no/such/directory", "/no/such/directory", "no such path");
    EXPECT_ERROR(DESCENT_NOT_FOUND, "", "''", "known: cifar-10, cifar-100");
}

static void path_without_data_says_what_it_should_hold(void **state)
{
    (void)state;
    const char *path = scratch_path("empty");
    assert_int_equal(descent_make_directories(path), DESCENT_OK);
    EXPECT_ERROR(DESCENT_NOT_FOUND, path, path, "train-images-idx3-ubyte");
    EXPECT_ERROR(DESCENT_NOT_FOUND, "data/dataset.c", "data/dataset.c", "expected a directory");
}

static void missing_file_is_named(void **state)
{
    (void)state;
    static const char *const files[] = {"train-labels-idx1-ubyte", "t10k-images-idx3-ubyte",
                                        "t10k-labels-idx1-ubyte"};
    for (int i = 0; i < 3; i++) {
        char file[512];
        const char *path = write_set("incomplete");
        snprintf(file, sizeof file, "%s/%s", path, files[i]);
        assert_int_equal(unlink(file), 0);
        EXPECT_ERROR(DESCENT_NOT_FOUND, path, path, files[i], "missing");
    }
}

static void all_spellings_are_recognized_by_content(void **state)
{
    (void)state;
    struct bytes images = idx_images(6, 4, 5), labels = idx_labels(6, 3);
    struct bytes zipped_images = gzip_stored(&images), zipped_labels = gzip_stored(&labels);
    write_file("spelled", "train-images.idx3-ubyte", &images);
    write_file("spelled", "train-labels.idx1-ubyte.gz", &zipped_labels);
    write_file("spelled", "t10k-images-idx3-ubyte", &zipped_images); /* gzip without saying so */
    write_file("spelled", "t10k-labels-idx1-ubyte.gz", &labels);     /* and the reverse */
    const char *path = scratch_path("spelled");
    expect_found(path, path);
}

static void malformed_file_is_named_with_its_path(void **state)
{
    (void)state;
    struct bytes images = idx_header(3, 1U << 31, 28, 28);
    write_set("promising");
    write_file("promising", "train-images-idx3-ubyte", &images);
    EXPECT_ERROR(DESCENT_BAD_FORMAT, scratch_path("promising"),
                 scratch_path("promising/train-images-idx3-ubyte"), "promises 2147483648 x 28 x 28");
}

static void counts_that_differ_name_both_files(void **state)
{
    (void)state;
    struct bytes labels = idx_labels(7, 3);
    write_set("uneven");
    write_file("uneven", "train-labels-idx1-ubyte", &labels);
    EXPECT_ERROR(DESCENT_MISMATCH, scratch_path("uneven"), "train-images-idx3-ubyte holds 6 images",
                 "train-labels-idx1-ubyte holds 7 labels");
}

static void image_sizes_that_differ_are_an_error(void **state)
{
    (void)state;
    struct bytes images = idx_images(3, 5, 4);
    write_set("sizes");
    write_file("sizes", "t10k-images-idx3-ubyte", &images);
    EXPECT_ERROR(DESCENT_MISMATCH, scratch_path("sizes"), scratch_path("sizes"), "4 x 5 x 1", "5 x 4 x 1");
}

static void oversized_images_are_an_error(void **state)
{
    (void)state;
    struct bytes labels = idx_labels(1, 1), images = idx_header(3, 1, 1, 16385);
    write_set("wide");
    write_file("wide", "train-images-idx3-ubyte", &images);
    write_file("wide", "train-labels-idx1-ubyte", &labels);
    assert_int_equal(truncate(scratch_path("wide/train-images-idx3-ubyte"), 16 + 16385), 0); /* grows it */
    EXPECT_ERROR(DESCENT_BAD_FORMAT, scratch_path("wide"), "train-images-idx3-ubyte", "1 x 16385", "16384");
}

static void label_out_of_range_is_located(void **state)
{
    (void)state;
    struct bytes labels = idx_labels(3, 3);
    labels.at[8 + 2] = 10;
    write_set("out/mnist"); /* takes its ten classes from the name */
    write_file("out/mnist", "t10k-labels-idx1-ubyte", &labels);
    EXPECT_ERROR(DESCENT_BAD_FORMAT, scratch_path("out/mnist"), scratch_path("out/mnist"),
                 "test label 2 is 10", "0 .. 9", "named mnist");
}

static void unnamed_classes_are_counted_by_label(void **state)
{
    (void)state;
    struct data_set *set;
    struct bytes labels = idx_labels(3, 3);
    labels.at[8 + 2] = 12;
    write_set("mine");
    write_file("mine", "t10k-labels-idx1-ubyte", &labels);
    assert_int_equal(data_open(scratch_path("mine"), &set), DESCENT_OK);
    assert_string_equal(data_describe(set)->name, "mine");
    assert_int_equal(data_describe(set)->classes, 13);
    assert_string_equal(data_describe(set)->class_names[12], "12");
    data_free(set);
}

static void set_is_named_after_its_directory_however_written(void **state)
{
    (void)state;
    struct data_set *set;
    write_set("written/mnist");
    assert_int_equal(data_open(scratch_path("written/mnist/../mnist/"), &set), DESCENT_OK);
    assert_string_equal(data_describe(set)->name, "mnist");
    assert_int_equal(data_describe(set)->classes, 10);
    data_free(set);
}

/* The byte of pixel k of training sample i. */
static int pixel(const struct data_set *set, int64_t i, int k, int32_t *label)
{
    const struct data_info *info = data_describe(set);
    struct data_view *view = data_view_train(set);
    float x[64];
    int c = k % info->channels;
    assert_int_equal(data_sample(view, i, x, label), DESCENT_OK);
    data_view_free(view);
    return (int)lround(((double)x[k] * (double)info->deviation[c] + (double)info->mean[c]) * 255);
}

static struct data_set *open_at(const char *path)
{
    struct data_set *set;
    if (data_open(path, &set) != DESCENT_OK)
        fail_msg("%s", descent_error());
    return set;
}

/* An IDX header of any type and rank. */
static struct bytes idx_of(int type, int rank, const uint32_t *shape)
{
    struct bytes file = {0};
    put_big_endian(&file, (uint32_t)(type << 8 | rank));
    for (int i = 0; i < rank; i++)
        put_big_endian(&file, shape[i]);
    return file;
}

static void emnist_is_turned_and_names_its_split(void **state)
{
    (void)state;
    char path[256];
    struct bytes images = idx_images(2, 3, 3), labels = idx_labels(2, 2);
    labels.at[8] = 26;
    labels.at[9] = 1;
    write_file("emnist", "emnist-letters-train-images-idx3-ubyte", &images);
    write_file("emnist", "emnist-letters-train-labels-idx1-ubyte", &labels);
    write_file("emnist", "emnist-letters-test-images-idx3-ubyte", &images);
    write_file("emnist", "emnist-letters-test-labels-idx1-ubyte", &labels);
    snprintf(path, sizeof path, "%s:split=letters", scratch_path("emnist"));
    struct data_set *set = open_at(path);
    assert_string_equal(data_describe(set)->name, "emnist");
    assert_int_equal(data_describe(set)->classes, 26);
    assert_string_equal(data_describe(set)->class_names[25], "Z");
    int32_t label;
    assert_int_equal(pixel(set, 0, 1, &label), 3); /* row 0, column 1 is the file's row 1, column 0 */
    assert_int_equal(pixel(set, 1, 6, NULL), 7 + 2);
    assert_int_equal(label, 25);
    data_free(set);
    EXPECT_ERROR(DESCENT_NOT_FOUND, scratch_path("emnist"), "emnist-balanced-train-images");
    snprintf(path, sizeof path, "%s:split=digits", write_set("no-emnist"));
    EXPECT_ERROR(DESCENT_BAD_ARGUMENT, path, "split=digits is for EMNIST");
    snprintf(path, sizeof path, "%s:split=words", scratch_path("emnist"));
    EXPECT_ERROR(DESCENT_BAD_ARGUMENT, path, "split=words", "letters");
}

static void options_that_are_none_are_nothing_and_bad_ones_name_the_set(void **state)
{
    (void)state;
    char spec[256];
    snprintf(spec, sizeof spec, "%s:", write_set("optional"));
    expect_found(spec, scratch_path("optional"));
    snprintf(spec, sizeof spec, "%s:split=", scratch_path("optional"));
    EXPECT_ERROR(DESCENT_BAD_ARGUMENT, spec, "optional: ", "expected a value");
}

static void qmnist_labels_are_the_first_of_eight_integers(void **state)
{
    (void)state;
    struct bytes images = idx_images(2, 4, 5), labels = idx_of(0x0C, 2, (uint32_t[]){2, 8});
    for (uint32_t i = 0; i < 16; i++)
        put_big_endian(&labels, i < 8 ? 7 - i : 9 + i);
    labels.at[labels.size - 29] = 5;
    write_file("qmnist", "qmnist-train-images-idx3-ubyte", &images);
    write_file("qmnist", "qmnist-train-labels-idx2-int", &labels);
    write_file("qmnist", "qmnist-test-images-idx3-ubyte", &images);
    write_file("qmnist", "qmnist-test-labels-idx2-int", &labels);
    struct data_set *set = open_at(scratch_path("qmnist"));
    int32_t label;
    assert_int_equal(pixel(set, 0, 0, &label), 0);
    assert_int_equal(label, 7);
    pixel(set, 1, 0, &label);
    assert_int_equal(label, 5);
    assert_int_equal(data_describe(set)->classes, 10);
    data_free(set);
}

static void idx_of_other_ranks_and_types_is_read(void **state)
{
    (void)state;
    struct bytes color = idx_of(0x08, 4, (uint32_t[]){2, 1, 2, 3}),
                 flat = idx_of(0x0B, 2, (uint32_t[]){2, 3}), labels = idx_labels(2, 2);
    for (uint8_t i = 0; i < 12; i++)
        color.at[color.size++] = (uint8_t)(10 * i);
    for (uint8_t i = 0; i < 12; i++)
        flat.at[flat.size++] = i % 2 ? (uint8_t)(40 * (i / 2)) : 0;
    write_file("color", "train-images-idx4-ubyte", &color);
    write_file("color", "train-labels-idx1-ubyte", &labels);
    write_file("color", "test-images-idx4-ubyte", &color);
    write_file("color", "test-labels-idx1-ubyte", &labels);
    struct data_set *set = open_at(scratch_path("color"));
    assert_int_equal(data_describe(set)->channels, 3);
    assert_int_equal(pixel(set, 1, 5, NULL), 110);
    data_free(set);
    write_file("flat", "train-images.idx2-short", &flat);
    write_file("flat", "train-labels-idx1-ubyte", &labels);
    write_file("flat", "t10k-images.idx2-short", &flat);
    write_file("flat", "t10k-labels-idx1-ubyte", &labels);
    set = open_at(scratch_path("flat"));
    assert_int_equal(data_describe(set)->height, 1);
    assert_int_equal(data_describe(set)->width, 3);
    assert_int_equal(pixel(set, 1, 2, NULL), 200);
    data_free(set);
    flat.at[12] = 1; /* the first value is 256 */
    write_file("flat", "train-images.idx2-short", &flat);
    EXPECT_ERROR(DESCENT_BAD_FORMAT, scratch_path("flat"), "train-images.idx2-short", "value 0 is 256");
}

static void published_files_are_recognized_by_their_digests(void **state)
{
    (void)state;
    struct data_set *set = open_at(sample);
    assert_int_equal(data_describe(set)->file_count, 4);
    assert_string_equal(data_describe(set)->files[0].name, "train-images-idx3-ubyte.gz");
    for (int i = 0; i < 4; i++)
        assert_null(data_describe(set)->files[i].recognized);
    data_free(set);
    if (access(package, R_OK) != 0) {
        print_message("%s is absent: not tested (package dataset-fashion-mnist)\n", package);
        skip();
    }
    set = open_at(package); /* Debian has compressed them anew: it is the content that is known */
    for (int i = 0; i < 4; i++)
        assert_string_equal(data_describe(set)->files[i].recognized, "fashion-mnist");
    data_free(set);
}

#define TEST(function) cmocka_unit_test_setup(function, clear_environment)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(sample_has_its_statistics),
        TEST(fashion_mnist_has_its_published_statistics),
        TEST(names_are_looked_for_in_the_documented_order),
        TEST(missing_name_lists_the_places_searched),
        TEST(known_names_come_with_a_way_to_get_them),
        TEST(unknown_name_suggests_the_nearest),
        TEST(path_without_data_says_what_it_should_hold),
        TEST(missing_file_is_named),
        TEST(all_spellings_are_recognized_by_content),
        TEST(malformed_file_is_named_with_its_path),
        TEST(counts_that_differ_name_both_files),
        TEST(image_sizes_that_differ_are_an_error),
        TEST(oversized_images_are_an_error),
        TEST(label_out_of_range_is_located),
        TEST(unnamed_classes_are_counted_by_label),
        TEST(set_is_named_after_its_directory_however_written),
        TEST(emnist_is_turned_and_names_its_split),
        TEST(options_that_are_none_are_nothing_and_bad_ones_name_the_set),
        TEST(qmnist_labels_are_the_first_of_eight_integers),
        TEST(idx_of_other_ranks_and_types_is_read),
        TEST(published_files_are_recognized_by_their_digests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
