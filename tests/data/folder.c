/* Folders of pictures: their classes, order, split and sizes, what is bad in them, and that it does not
 * matter how many of them stay in memory. */
#include "data/data.h"
#include "data/png.h"
#include "tests/scratch.h"
#include "tests/test.h"

#include "base/file.h"

#include <limits.h>
#include <math.h>
#include <string.h>
#include <sys/resource.h>

enum { SIDE = 6, BYTES = SIDE * SIDE * 3 };

/* DIRECTORY/NAME, of height x width pixels which all are `value`, but for the first. */
static void write_picture(const char *directory, const char *name, int height, int width, int value)
{
    static uint8_t pixels[16 * 16 * 3];
    char path[512];
    memset(pixels, value, sizeof pixels);
    pixels[0] = 255;
    assert_int_equal(descent_make_directories(scratch_path(directory)), DESCENT_OK);
    snprintf(path, sizeof path, "%s/%s", scratch_path(directory), name);
    assert_int_equal(data_write_png(path, pixels, height, width), DESCENT_OK);
}

/* `count` pictures, 00.png and so on, picture i of value first + i in class i % 2 of cat and dog. */
static void write_part(const char *directory, int count, int first)
{
    for (int i = 0; i < count; i++) {
        char class[128], name[32];
        snprintf(class, sizeof class, "%s/%s", directory, i % 2 ? "dog" : "cat");
        snprintf(name, sizeof name, "%02d.png", i);
        write_picture(class, name, SIDE, SIDE, first + i);
    }
}

static struct data_set *open_with(const char *what, const char *options, bool skip_bad)
{
    struct data_set *set;
    char spec[512];
    snprintf(spec, sizeof spec, "%s%s", scratch_path(what), options);
    if (data_open_with(spec, &(struct data_open_options){.skip_bad = skip_bad}, &set) != DESCENT_OK)
        fail_msg("%s", descent_error());
    return set;
}

static struct data_set *open_set(const char *what, const char *options)
{
    return open_with(what, options, false);
}

static void expect_error(const char *what, const char *options, const char *const *words)
{
    struct data_set *set;
    char spec[512];
    snprintf(spec, sizeof spec, "%s%s", scratch_path(what), options);
    assert_int_not_equal(data_open(spec, &set), DESCENT_OK);
    assert_null(set);
    for (; *words; words++)
        if (!strstr(descent_error(), *words))
            fail_msg("'%s' does not say '%s'", descent_error(), *words);
}

#define EXPECT_ERROR(what, options, ...)                                                                   \
    expect_error(what, options, (const char *const[]){__VA_ARGS__, NULL})

/* The value of sample i's last pixel. */
static int value_of(const struct data_set *set, const struct data_view *view, int64_t i, int32_t *label)
{
    const struct data_info *info = data_describe(set);
    static float x[16 * 16 * 3];
    if (data_sample(view, i, x, label) != DESCENT_OK)
        fail_msg("%s", descent_error());
    size_t last = (size_t)(info->height * info->width * info->channels) - 1;
    int c = info->channels - 1;
    double scale = info->deviation[c] > 0 ? (double)info->deviation[c] : 1;
    return (int)lround(((double)x[last] * scale + (double)info->mean[c]) * 255);
}

static void numbered_pictures_keep_their_order_across_classes(void **state)
{
    (void)state;
    write_part("ordered/train", 12, 10);
    write_part("ordered/test", 5, 100);
    write_picture("ordered/train/.hidden", "0.png", 1, 1, 0);
    scratch_file("ordered/train/cat/notes.txt", "x", 1);
    struct data_set *set = open_set("ordered", "");
    const struct data_info *info = data_describe(set);
    assert_string_equal(info->name, "ordered");
    assert_int_equal(info->classes, 2);
    assert_string_equal(info->class_names[0], "cat");
    assert_string_equal(info->class_names[1], "dog");
    assert_int_equal(info->height, SIDE);
    assert_int_equal(info->width, SIDE);
    assert_int_equal(info->channels, 3);
    assert_int_equal(info->train_count, 12);
    assert_int_equal(info->test_count, 5);
    /* 35 of 36 pixels are 10 + i */
    assert_true(fabs((double)info->mean[2] * 255 - 15.5) < 1e-4);
    struct data_view *train = data_view_train(set), *test = data_view_test(set);
    for (int i = 0; i < 12; i++) {
        int32_t label;
        assert_int_equal(value_of(set, train, i, &label), 10 + i);
        assert_int_equal(label, i % 2);
    }
    assert_int_equal(value_of(set, test, 4, NULL), 104);
    data_view_free(train);
    data_view_free(test);
    data_free(set);
}

static void split_is_deterministic_and_takes_its_share_of_each_class(void **state)
{
    (void)state;
    int seen[2][20] = {{0}};
    write_part("whole", 20, 0);
    for (int round = 0; round < 2; round++) {
        struct data_set *set = open_set("whole", ":test=0.3");
        assert_int_equal(data_describe(set)->train_count, 14);
        assert_int_equal(data_describe(set)->test_count, 6);
        struct data_view *test = data_view_test(set), *train = data_view_train(set);
        int dogs = 0;
        for (int i = 0; i < 6; i++) {
            int32_t label;
            seen[round][value_of(set, test, i, &label)] = 1;
            dogs += label;
        }
        for (int i = 0; i < 14; i++)
            assert_int_equal(seen[round][value_of(set, train, i, NULL)], 0);
        assert_int_equal(dogs, 3);
        data_view_free(test);
        data_view_free(train);
        data_free(set);
    }
    assert_memory_equal(seen[0], seen[1], sizeof seen[0]);
    struct data_set *set = open_set("whole", "");
    assert_int_equal(data_describe(set)->test_count, 4);
    data_free(set);
}

static void size_fit_and_gray_are_options(void **state)
{
    (void)state;
    write_part("sizes/train", 4, 50);
    write_part("sizes/test", 2, 60);
    write_picture("sizes/train/cat", "wide.png", 8, 12, 70);
    EXPECT_ERROR("sizes", "", "train/cat/wide.png", "is 8 x 12, expected 6 x 6 like the first");
    const struct {
        const char *options;
        int height, width, channels;
    } cases[] = {{":size=4", 4, 4, 3}, {":5/3,fit=stretch", 5, 3, 3}, {":4,fit=crop,gray", 4, 4, 1}};
    for (int i = 0; i < 3; i++) {
        struct data_set *set = open_set("sizes", cases[i].options);
        assert_int_equal(data_describe(set)->height, cases[i].height);
        assert_int_equal(data_describe(set)->width, cases[i].width);
        assert_int_equal(data_describe(set)->channels, cases[i].channels);
        struct data_view *train = data_view_train(set);
        assert_int_equal(value_of(set, train, 3, NULL), 53);
        assert_int_equal(value_of(set, train, 4, NULL), 70);
        data_view_free(train);
        data_free(set);
    }
    EXPECT_ERROR("sizes", ":7,fit=crop", "is 6 x 6, less than the 7 x 7 to crop");
    EXPECT_ERROR("sizes", ":size=1/2/3", "height/width");
    EXPECT_ERROR("sizes", ":size=20000", "size=20000", "16384");
    EXPECT_ERROR("sizes", ":size=12000", "sizes: pictures of 12000 x 12000 x 3 are 432000000 bytes each",
                 "at most 268435456");
    EXPECT_ERROR("sizes", ":fit=squash", "cover");
    EXPECT_ERROR("sizes", ":test=0.5", "test=0.5", "without a test part");
    EXPECT_ERROR("sizes", ":labels=fine", "labels", "known: size, fit, gray, test, cache");
}

static void bad_picture_is_named_or_left_out_and_counted(void **state)
{
    (void)state;
    write_part("bad/train", 6, 20);
    write_part("bad/test", 2, 30);
    scratch_file("bad/train/cat/02.png", "no picture", 10);
    scratch_file("bad/train/dog/05.png", "\x89PNG\r\n\x1a\n", 8);
    EXPECT_ERROR("bad", "", "bad/train/cat/02.png", "neither PNG, JPEG nor BMP", "2 of 6 pictures",
                 "--skip-bad");
    struct data_set *set = open_with("bad", "", true);
    const struct data_info *info = data_describe(set);
    assert_int_equal(info->skipped, 2);
    assert_non_null(strstr(info->skipped_first, "bad/train/cat/02.png"));
    assert_int_equal(info->train_count, 4);
    static const int left[] = {20, 21, 23, 24};
    struct data_view *train = data_view_train(set);
    for (int i = 0; i < 4; i++) {
        int32_t label;
        assert_int_equal(value_of(set, train, i, &label), left[i]);
        assert_int_equal(label, left[i] % 2);
    }
    data_view_free(train);
    data_free(set);
    scratch_file("bad/test/cat/00.png", "", 0);
    scratch_file("bad/test/dog/01.png", "", 0);
    char path[256];
    snprintf(path, sizeof path, "%s", scratch_path("bad"));
    assert_int_equal(data_open_with(path, &(struct data_open_options){.skip_bad = true}, &set),
                     DESCENT_BAD_FORMAT);
    assert_non_null(strstr(descent_error(), "so are all 2 pictures of the test part"));
}

/* What is no picture's fault is not skipped, whichever pictures are bad before it. */
static void what_is_not_the_pictures_fault_is_not_skipped(void **state)
{
    (void)state;
    struct data_set *set;
    char path[256];
    write_part("lost/train", 6, 20);
    write_part("lost/test", 2, 30);
    scratch_file("lost/train/cat/00.png", "no picture", 10);
    assert_int_equal(symlink("nowhere.png", scratch_path("lost/train/dog/99.png")), 0);
    snprintf(path, sizeof path, "%s:size=6", scratch_path("lost"));
    for (int skip = 0; skip < 2; skip++) {
        assert_int_equal(data_open_with(path, &(struct data_open_options){.skip_bad = skip}, &set),
                         DESCENT_NOT_FOUND);
        assert_non_null(strstr(descent_error(), "lost/train/dog/99.png: cannot be opened"));
    }
}

/* 16 x 16 x 3 bytes each: a cache of 0 MiB holds none of them. */
static void cache_and_threads_change_nothing(void **state)
{
    (void)state;
    write_part("cached/train", 40, 1);
    write_part("cached/test", 4, 1);
    char digest[33];
    float mean = 0;
    struct descent_pool *pool = descent_pool_new(3);
    for (int i = 0; i < 3; i++) {
        struct data_set *set;
        char spec[300];
        snprintf(spec, sizeof spec, "%s%s", scratch_path("cached"), i ? ":cache=0,size=16" : ":size=16");
        const struct data_open_options options = {.pool = i == 2 ? pool : NULL};
        assert_int_equal(data_open_with(spec, &options, &set), DESCENT_OK);
        const struct data_info *info = data_describe(set);
        assert_int_equal(info->file_count, 2);
        if (i == 0) {
            memcpy(digest, info->files[0].md5, sizeof digest);
            mean = info->mean[1];
        }
        assert_string_equal(info->files[0].md5, digest);
        assert_true(!(info->mean[1] < mean) && !(info->mean[1] > mean));
        struct data_view *train = data_view_train(set);
        for (int k = 0; k < 40; k++)
            assert_int_equal(value_of(set, train, k, NULL), 1 + k);
        data_view_free(train);
        if (i == 1) { /* what is decoded again may have changed meanwhile */
            scratch_file("cached/train/cat/00.png", "gone bad", 8);
            struct data_view *again = data_view_train(set);
            static float x[16 * 16 * 3];
            assert_int_equal(data_sample(again, 0, x, NULL), DESCENT_BAD_FORMAT);
            assert_non_null(strstr(descent_error(), "cached/train/cat/00.png"));
            data_view_free(again);
            write_picture("cached/train/cat", "00.png", SIDE, SIDE, 1);
        }
        data_free(set);
    }
    descent_pool_free(pool);
}

static void folders_that_make_no_sense_are_errors(void **state)
{
    (void)state;
    write_part("untested/train", 4, 0);
    EXPECT_ERROR("untested", "", "untested", "none named test or val");
    write_part("untested/val", 2, 0);
    data_free(open_set("untested", ""));
    write_picture("untested/val/cow", "0.png", SIDE, SIDE, 0);
    EXPECT_ERROR("untested", "", "untested/val", "class 'cow'", "training part");
    write_part("hollow", 4, 0);
    assert_int_equal(descent_make_directories(scratch_path("hollow/empty")), DESCENT_OK);
    EXPECT_ERROR("hollow", "", "hollow/empty", "holds no picture");
    write_part("few", 2, 0);
    EXPECT_ERROR("few", "", "2 pictures to train on and 0 to test on");
    EXPECT_ERROR("hollow/empty", "", "no data found", "CLASS/NAME.png");
}

static void class_may_be_of_trains(void **state)
{
    (void)state;
    for (int i = 0; i < 10; i++) {
        char name[32];
        snprintf(name, sizeof name, "%02d.png", i);
        write_picture(i % 2 ? "vehicles/train" : "vehicles/car", name, SIDE, SIDE, i);
    }
    struct data_set *set = open_set("vehicles", "");
    assert_int_equal(data_describe(set)->classes, 2);
    assert_string_equal(data_describe(set)->class_names[1], "train");
    assert_int_equal(data_describe(set)->train_count, 8);
    data_free(set);
    write_picture("vehicles/test/car", "0.png", SIDE, SIDE, 0);
    EXPECT_ERROR("vehicles", "",
                 "no data found"); /* of the two folders of a divided set, one holds no class */
}

static void folder_that_cannot_be_listed_says_why(void **state)
{
    (void)state;
    struct data_set *set;
    char path[PATH_MAX];
    struct rlimit before;
    write_part("locked", 8, 0);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &(struct rlimit){0, before.rlim_max}), 0);
    enum descent_status status = data_open(scratch_path("locked"), &set);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(status, DESCENT_IO_ERROR);
    assert_non_null(strstr(descent_error(), "cannot list"));
    assert_non_null(strstr(descent_error(), "locked: Too many open files"));

    /* cat/00.png is just too much. */
    size_t length = (size_t)snprintf(path, sizeof path, "%s", scratch_path("locked"));
    for (; length + strlen("/cat/00.png") < PATH_MAX; length += 2)
        memcpy(path + length, "/.", 3);
    assert_int_equal(data_open(path, &set), DESCENT_BAD_ARGUMENT);
    assert_non_null(strstr(descent_error(), "a path of more than 4095 bytes: "));
    assert_non_null(strstr(descent_error(), scratch_path("locked")));
    path[length - 2] = 0;
    assert_int_equal(data_open(path, &set), DESCENT_OK);
    data_free(set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbered_pictures_keep_their_order_across_classes),
        cmocka_unit_test(split_is_deterministic_and_takes_its_share_of_each_class),
        cmocka_unit_test(size_fit_and_gray_are_options),
        cmocka_unit_test(bad_picture_is_named_or_left_out_and_counted),
        cmocka_unit_test(what_is_not_the_pictures_fault_is_not_skipped),
        cmocka_unit_test(cache_and_threads_change_nothing),
        cmocka_unit_test(folders_that_make_no_sense_are_errors),
        cmocka_unit_test(class_may_be_of_trains),
        cmocka_unit_test(folder_that_cannot_be_listed_says_why),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
