/* Data sets: where names are looked for, what malformed directories are told, and the statistics of the
 * real ones. */
#include "data/data.h"
#include "tests/data/idx_files.h"

#include <math.h>
#include <sys/stat.h>

static const char sample[] = "../data/sample/fashion-mnist";
static const char package[] = "/usr/share/datasets/fashion-mnist";

/* A directory of its own for each test, and an environment in which nothing is found. */
static char root[64];

static int make_root(void **state)
{
    (void)state;
    snprintf(root, sizeof root, "/tmp/descent-test-XXXXXX");
    return !mkdtemp(root) || unsetenv("DESCENT_DATA") || unsetenv("XDG_CACHE_HOME") ||
           setenv("HOME", root, 1);
}

static int remove_root(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", root);
    return system(command);
}

/* root/NAME, made with its parents; valid until the next call. */
static const char *directory(const char *name)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", root, name);
    for (char *slash = path + strlen(root) + 1; (slash = strchr(slash, '/')); slash++) {
        *slash = 0;
        mkdir(path, 0777);
        *slash = '/';
    }
    mkdir(path, 0777);
    return path;
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
    char path[4][256], here[1024];
    static const char *const places[] = {"home/.cache/descent/mnist", "cache/descent/mnist", "own/mnist",
                                         "here/mnist"};
    for (int i = 0; i < 4; i++) {
        snprintf(path[i], sizeof path[i], "%s", directory(places[i]));
        write_set(path[i]);
    }
    setenv("HOME", directory("home"), 1);
    expect_found("mnist", path[0]);
    setenv("XDG_CACHE_HOME", directory("cache"), 1);
    expect_found("mnist", path[1]);
    setenv("DESCENT_DATA", directory("own"), 1);
    expect_found("mnist", path[2]);
    assert_non_null(getcwd(here, sizeof here));
    assert_int_equal(chdir(directory("here")), 0);
    expect_found("mnist", "mnist");
    assert_int_equal(chdir(here), 0);
}

static void missing_name_lists_the_places_searched(void **state)
{
    (void)state;
    EXPECT_ERROR(DESCENT_NOT_FOUND, "mnist", "mnist not found", "DESCENT_DATA is not set", "four files");
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
    assert_int_equal(count, 2);
    for (int i = 0; i < count; i++) {
        assert_true(known[i].name && known[i].summary && known[i].supply);
        assert_string_equal(known[i].files[0], "train-images-idx3-ubyte.gz");
        assert_null(known[i].files[4]);
        assert_non_null(known[i].class_names[known[i].classes - 1]);
    }
}

static void unknown_name_suggests_the_nearest(void **state)
{
    (void)state;
    EXPECT_ERROR(DESCENT_NOT_FOUND, "fashon-mnist", "'fashon-mnist'", "did you mean 'fashion-mnist'");
    EXPECT_ERROR(DESCENT_NOT_FOUND, "/no/such/directory", "/no/such/directory", "no such path");
    EXPECT_ERROR(DESCENT_NOT_FOUND, "", "''", "known: fashion-mnist, mnist");
}

static void path_without_data_says_what_it_should_hold(void **state)
{
    (void)state;
    const char *path = directory("empty");
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
        const char *path = directory("set");
        write_set(path);
        snprintf(file, sizeof file, "%s/%s", path, files[i]);
        assert_int_equal(unlink(file), 0);
        EXPECT_ERROR(DESCENT_NOT_FOUND, path, path, files[i], "missing");
    }
}

static void all_spellings_are_recognized_by_content(void **state)
{
    (void)state;
    const char *path = directory("spelled");
    struct bytes images = idx_images(6, 4, 5), labels = idx_labels(6, 3);
    struct bytes zipped_images = gzip_stored(&images), zipped_labels = gzip_stored(&labels);
    write_file(path, "train-images.idx3-ubyte", &images);
    write_file(path, "train-labels.idx1-ubyte.gz", &zipped_labels);
    write_file(path, "t10k-images-idx3-ubyte", &zipped_images); /* gzip without saying so */
    write_file(path, "t10k-labels-idx1-ubyte.gz", &labels);     /* and the reverse */
    expect_found(path, path);
}

static void counts_that_differ_name_both_files(void **state)
{
    (void)state;
    const char *path = directory("set");
    write_set(path);
    struct bytes labels = idx_labels(7, 3);
    write_file(path, "train-labels-idx1-ubyte", &labels);
    EXPECT_ERROR(DESCENT_MISMATCH, path, "train-images-idx3-ubyte holds 6 images",
                 "train-labels-idx1-ubyte holds 7 labels");
}

static void image_sizes_that_differ_are_an_error(void **state)
{
    (void)state;
    const char *path = directory("set");
    write_set(path);
    struct bytes images = idx_images(3, 5, 4);
    write_file(path, "t10k-images-idx3-ubyte", &images);
    EXPECT_ERROR(DESCENT_MISMATCH, path, path, "4 x 5 x 1", "5 x 4 x 1");
}

static void oversized_images_are_an_error(void **state)
{
    (void)state;
    const char *path = directory("set");
    write_set(path);
    struct bytes labels = idx_labels(1, 1), images = idx_header(3, 1, 1, 16385);
    write_file(path, "train-images-idx3-ubyte", &images);
    write_file(path, "train-labels-idx1-ubyte", &labels);
    char file[512];
    snprintf(file, sizeof file, "%s/train-images-idx3-ubyte", path);
    assert_int_equal(truncate(file, 16 + 16385), 0); /* grows it with zeros */
    EXPECT_ERROR(DESCENT_BAD_FORMAT, path, "train-images-idx3-ubyte", "1 x 16385", "16384");
}

static void label_out_of_range_is_located(void **state)
{
    (void)state;
    struct bytes labels = idx_labels(3, 3);
    labels.at[8 + 2] = 10;
    const char *path = directory("mnist"); /* takes its ten classes from the name */
    write_set(path);
    write_file(path, "t10k-labels-idx1-ubyte", &labels);
    EXPECT_ERROR(DESCENT_BAD_FORMAT, path, path, "test label 2 is 10", "0 .. 9", "mnist");
}

static void unnamed_classes_are_counted_by_label(void **state)
{
    (void)state;
    struct data_set *set;
    struct bytes labels = idx_labels(3, 3);
    labels.at[8 + 2] = 12;
    const char *path = directory("mine");
    write_set(path);
    write_file(path, "t10k-labels-idx1-ubyte", &labels);
    assert_int_equal(data_open(path, &set), DESCENT_OK);
    assert_string_equal(data_describe(set)->name, "mine");
    assert_int_equal(data_describe(set)->classes, 13);
    assert_string_equal(data_describe(set)->class_names[12], "12");
    data_free(set);
}

static void set_is_named_after_its_directory_however_written(void **state)
{
    (void)state;
    struct data_set *set;
    char path[300];
    const char *plain = directory("mnist");
    write_set(plain);
    snprintf(path, sizeof path, "%s/../mnist/", plain);
    assert_int_equal(data_open(path, &set), DESCENT_OK);
    assert_string_equal(data_describe(set)->name, "mnist");
    assert_int_equal(data_describe(set)->classes, 10);
    data_free(set);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, make_root, remove_root)

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
        TEST(counts_that_differ_name_both_files),
        TEST(image_sizes_that_differ_are_an_error),
        TEST(oversized_images_are_an_error),
        TEST(label_out_of_range_is_located),
        TEST(unnamed_classes_are_counted_by_label),
        TEST(set_is_named_after_its_directory_however_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
