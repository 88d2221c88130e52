/* CIFAR-10 and CIFAR-100: directories and archives give the same samples, and what is malformed is told
 * apart by file and record. */
#include "data/data.h"
#include "tests/data/idx_files.h"

#include <math.h>

enum { PIXELS = 3072, TAR_BLOCK = 512 };

/* `count` records whose labels are first .. first + count - 1 (coarse ones half of that), whose byte k is a
 * mixture of k and the label. */
static struct bytes records(int label_bytes, int first, int count)
{
    struct bytes file = {0};
    for (int i = first; i < first + count; i++) {
        if (label_bytes == 2)
            file.at[file.size++] = (uint8_t)(i / 2);
        file.at[file.size++] = (uint8_t)i;
        for (int k = 0; k < PIXELS; k++)
            file.at[file.size++] = (uint8_t)(i * 31 + k / 1024 * 64 + k % 1024 / 8);
    }
    return file;
}

static struct bytes lines(const char *word, int count)
{
    struct bytes file = {0};
    for (int i = 0; i < count; i++)
        file.size += (size_t)sprintf((char *)file.at + file.size, "%s %d\n", word, i);
    file.at[file.size++] = '\n'; /* as the published files end */
    return file;
}

/* Appends a member of a tar archive. */
static void add_member(struct bytes *tar, const char *name, char type, const struct bytes *content)
{
    char *header = (char *)tar->at + tar->size;
    memset(header, 0, TAR_BLOCK);
    strcpy(header, name);
    sprintf(header + 124, "%011zo", content->size);
    memset(header + 148, ' ', 8);
    header[156] = type;
    unsigned sum = 0;
    for (int i = 0; i < TAR_BLOCK; i++)
        sum += (unsigned char)header[i];
    sprintf(header + 148, "%06o", sum);
    memcpy(header + TAR_BLOCK, content->at, content->size);
    size_t padded = (content->size + TAR_BLOCK - 1) / TAR_BLOCK * TAR_BLOCK;
    memset(header + TAR_BLOCK + content->size, 0, padded - content->size);
    tar->size += TAR_BLOCK + padded;
}

static void end_tar(struct bytes *tar)
{
    memset(tar->at + tar->size, 0, 2 * TAR_BLOCK);
    tar->size += 2 * TAR_BLOCK;
}

static const char *const batches[] = {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin",
                                      "data_batch_4.bin", "data_batch_5.bin", "test_batch.bin"};

/* CIFAR-10 with one image a batch, of classes 0 .. 4, and 5 in the test batch. */
static const char *write_cifar10(const char *directory)
{
    for (int b = 0; b < 6; b++) {
        struct bytes batch = records(1, b, 1);
        write_file(directory, batches[b], &batch);
    }
    struct bytes names = lines("kind", 10);
    write_file(directory, "batches.meta.txt", &names);
    return scratch_path(directory);
}

/* The same as an archive, its members in disorder as in the published one. */
static struct bytes cifar10_tar(void)
{
    static const int order[] = {3, 0, 5, 4, 1, 2};
    struct bytes tar = {0}, empty = {0}, names = lines("kind", 10);
    add_member(&tar, "cifar-10-batches-bin/", '5', &empty);
    for (int i = 0; i < 6; i++) {
        char name[128];
        struct bytes batch = records(1, order[i], 1);
        snprintf(name, sizeof name, "cifar-10-batches-bin/%s", batches[order[i]]);
        add_member(&tar, name, '0', &batch);
        if (i == 2)
            add_member(&tar, "cifar-10-batches-bin/batches.meta.txt", '0', &names);
    }
    struct bytes page = lines("<html>", 20);
    add_member(&tar, "cifar-10-batches-bin/readme.html", '0', &page);
    end_tar(&tar);
    return tar;
}

static struct bytes cifar100_tar(void)
{
    struct bytes tar = {0}, train = records(2, 7, 1), test = records(2, 39, 1), fine = lines("f", 100),
                 coarse = lines("c", 20);
    add_member(&tar, "cifar-100-binary/train.bin", '0', &train);
    add_member(&tar, "cifar-100-binary/fine_label_names.txt", '0', &fine);
    add_member(&tar, "cifar-100-binary/coarse_label_names.txt", '0', &coarse);
    add_member(&tar, "cifar-100-binary/test.bin", '0', &test);
    end_tar(&tar);
    return tar;
}

static struct data_set *open_set(const char *what)
{
    struct data_set *set;
    if (data_open(what, &set) != DESCENT_OK)
        fail_msg("%s", descent_error());
    return set;
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

/* One image a class, in order, with the pixels of records(). */
static void expect_samples(const struct data_set *set, struct data_view *view, int first, int count)
{
    const struct data_info *info = data_describe(set);
    static float x[PIXELS];
    assert_int_equal(data_view_count(view), count);
    for (int i = 0; i < count; i++) {
        int32_t label;
        assert_int_equal(data_sample(view, i, x, &label), DESCENT_OK);
        assert_int_equal(label, first + i);
        for (int k = 0; k < PIXELS; k++) {
            int c = k % 3, byte = (uint8_t)((first + i) * 31 + c * 64 + k / 3 / 8);
            double pixel = (double)x[k] * (double)info->deviation[c] + (double)info->mean[c];
            assert_true(fabs(pixel * 255 - byte) < 1e-2);
        }
    }
    data_view_free(view);
}

static void expect_cifar10(const char *path)
{
    struct data_set *set = open_set(path);
    const struct data_info *info = data_describe(set);
    assert_string_equal(info->name, "cifar-10");
    assert_int_equal(info->height, 32);
    assert_int_equal(info->width, 32);
    assert_int_equal(info->channels, 3);
    assert_int_equal(info->classes, 10);
    assert_string_equal(info->class_names[9], "kind 9");
    expect_samples(set, data_view_train(set), 0, 5);
    expect_samples(set, data_view_test(set), 5, 1);
    data_free(set);
}

static void directory_and_archive_give_the_same_samples(void **state)
{
    (void)state;
    struct bytes tar = cifar10_tar(), zipped = gzip_stored(&tar);
    expect_cifar10(write_cifar10("above/cifar-10-batches-bin"));
    expect_cifar10(scratch_path("above"));
    write_file("plain", "any.name", &tar);
    expect_cifar10(scratch_path("plain/any.name"));
    write_file("zipped", "cifar-10-binary.tar.gz", &zipped);
    expect_cifar10(scratch_path("zipped/cifar-10-binary.tar.gz"));
    expect_cifar10(scratch_path("zipped"));
    struct bytes batch = records(1, 2, 1), gzipped = gzip_stored(&batch);
    write_file("above/cifar-10-batches-bin", "data_batch_3.bin.gz", &gzipped);
    unlink(scratch_path("above/cifar-10-batches-bin/data_batch_3.bin"));
    expect_cifar10(scratch_path("above"));
}

static void coarse_and_fine_labels_are_chosen_by_an_option(void **state)
{
    (void)state;
    char path[256];
    struct bytes tar = cifar100_tar();
    write_file("hundred", "cifar-100-binary.tar.gz", &tar);
    const char *const choices[] = {"", ":labels=fine", ":fine", ":labels=coarse"};
    for (int i = 0; i < 4; i++) {
        snprintf(path, sizeof path, "%s%s", scratch_path("hundred"), choices[i]);
        struct data_set *set = open_set(path);
        const struct data_info *info = data_describe(set);
        int32_t label;
        static float x[PIXELS];
        struct data_view *view = data_view_train(set);
        assert_int_equal(data_sample(view, 0, x, &label), DESCENT_OK);
        assert_string_equal(info->name, "cifar-100");
        assert_int_equal(info->classes, i == 3 ? 20 : 100);
        assert_string_equal(info->class_names[3], i == 3 ? "c 3" : "f 3");
        assert_int_equal(label, i == 3 ? 3 : 7);
        data_view_free(view);
        data_free(set);
    }
    snprintf(path, sizeof path, "%s:labels=medium", scratch_path("hundred"));
    EXPECT_ERROR(DESCENT_BAD_ARGUMENT, path, "labels=medium", "fine", "coarse");
    snprintf(path, sizeof path, "%s:size=3", scratch_path("hundred"));
    EXPECT_ERROR(DESCENT_BAD_ARGUMENT, path, "size", "known: labels");
    snprintf(path, sizeof path, "%s:labels=coarse", write_cifar10("ten"));
    EXPECT_ERROR(DESCENT_BAD_ARGUMENT, path, "labels=coarse", "this is cifar-10");
}

static void digest_of_every_file_is_reported(void **state)
{
    (void)state;
    struct bytes tar = cifar100_tar();
    write_file("digests", "a.tar", &tar);
    struct data_set *set = open_set(scratch_path("digests/a.tar"));
    const struct data_info *info = data_describe(set);
    assert_int_equal(info->file_count, 3);
    assert_string_equal(info->files[0].name, "train.bin");
    assert_string_equal(info->files[0].md5, "3b043014a4fd65fbd7a6da76e228fad6");
    assert_string_equal(info->files[2].name, "a.tar");
    assert_null(info->files[2].recognized);
    data_free(set);
}

static void malformed_batch_names_file_and_record(void **state)
{
    (void)state;
    char path[256];
    snprintf(path, sizeof path, "%s", write_cifar10("bad"));
    struct bytes batch = records(1, 0, 3);
    batch.size -= 100;
    write_file("bad", "data_batch_2.bin", &batch);
    EXPECT_ERROR(DESCENT_BAD_FORMAT, path, "bad/data_batch_2.bin", "record 2 is cut off at byte 9119",
                 "3073");
    batch = records(1, 0, 3);
    batch.at[2 * 3073] = 10;
    write_file("bad", "data_batch_2.bin", &batch);
    EXPECT_ERROR(DESCENT_BAD_FORMAT, path, "bad/data_batch_2.bin", "record 2 has label 10 at byte 6146",
                 "0 .. 9");
    batch.size = 0;
    write_file("bad", "data_batch_2.bin", &batch);
    EXPECT_ERROR(DESCENT_BAD_FORMAT, path, "data_batch_2.bin", "record 0 is cut off at byte 0");
    unlink(scratch_path("bad/data_batch_2.bin"));
    EXPECT_ERROR(DESCENT_NOT_FOUND, path, path, "data_batch_2.bin is missing");
    struct bytes names = lines("kind", 9);
    snprintf(path, sizeof path, "%s", write_cifar10("names"));
    write_file("names", "batches.meta.txt", &names);
    EXPECT_ERROR(DESCENT_BAD_FORMAT, path, "batches.meta.txt names 9 classes, expected 10");
    names = lines("bell\a", 10);
    write_file("names", "batches.meta.txt", &names);
    EXPECT_ERROR(DESCENT_BAD_FORMAT, path, "class name 0", "control character of code 7");
}

/* A tar archive of one member whose header promises so many bytes, in octal. */
static void promise(struct bytes *tar, const char size[12])
{
    struct bytes content = records(2, 7, 1);
    *tar = (struct bytes){0};
    add_member(tar, "other", '0', &content);
    memcpy(tar->at + 124, size, 11);
    memset(tar->at + 148, ' ', 8);
    unsigned sum = 0;
    for (int i = 0; i < TAR_BLOCK; i++)
        sum += tar->at[i];
    sprintf((char *)tar->at + 148, "%06o", sum);
}

static void malformed_archive_names_member_and_offset(void **state)
{
    (void)state;
    struct bytes tar = cifar100_tar(), again = tar, train = records(2, 7, 1);
    char path[256];
    snprintf(path, sizeof path, "%s", scratch_path("archive/a.tar"));

    tar.at[TAR_BLOCK + 1] = 100;
    write_file("archive", "a.tar", &tar);
    EXPECT_ERROR(DESCENT_BAD_FORMAT, path, "train.bin in ", "a.tar", "record 0 has label 100 at byte 1");

    tar = again;
    tar.at[TAR_BLOCK + 3584 + 20] ^= 1;
    write_file("archive", "a.tar", &tar);
    EXPECT_ERROR(DESCENT_BAD_FORMAT, path, "no tar header at byte 4096");

    tar = again;
    tar.size -= 2 * TAR_BLOCK;
    add_member(&tar, "train.bin", '0', &train);
    write_file("archive", "a.tar", &tar);
    EXPECT_ERROR(DESCENT_BAD_FORMAT, path, "train.bin in ", "is there twice");

    tar = again;
    tar.at[tar.size++] = 1;
    write_file("archive", "a.tar", &tar);
    EXPECT_ERROR(DESCENT_BAD_FORMAT, path, "goes on after the end of the tar archive");

    tar = (struct bytes){0};
    add_member(&tar, "train.bin", '0', &train);
    end_tar(&tar);
    write_file("archive", "a.tar", &tar);
    EXPECT_ERROR(DESCENT_NOT_FOUND, path, "test.bin is missing in the archive");

    promise(&tar, "77777777777");
    write_file("archive", "a.tar", &tar);
    EXPECT_ERROR(DESCENT_BAD_FORMAT, path, "tar header at byte 0", "promises 8589934591 bytes");

    promise(&tar, "00006000000"); /* 1.5 MiB, which the file then has */
    write_file("archive", "a.tar", &tar);
    assert_int_equal(truncate(path, 1 << 21), 0);
    EXPECT_ERROR(DESCENT_BAD_FORMAT, path, "other in ", "1572864 bytes",
                 "no part of CIFAR-10 or CIFAR-100");
}

static void every_truncation_of_an_archive_is_an_error(void **state)
{
    (void)state;
    struct bytes tar = cifar100_tar(), zipped = gzip_stored(&tar);
    const struct {
        const struct bytes *file;
        size_t end; /* of what must be there: one block of zeros is enough */
    } cases[] = {{&tar, tar.size - TAR_BLOCK}, {&zipped, zipped.size}};
    for (int i = 0; i < 2; i++)
        for (size_t size = 0; size < cases[i].end; size++) {
            struct data_set *set;
            const char *path = scratch_file("cut.tar", cases[i].file->at, size);
            assert_int_not_equal(data_open(path, &set), DESCENT_OK);
            assert_non_null(strstr(descent_error(), "cut.tar"));
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(directory_and_archive_give_the_same_samples),
        cmocka_unit_test(coarse_and_fine_labels_are_chosen_by_an_option),
        cmocka_unit_test(digest_of_every_file_is_reported),
        cmocka_unit_test(malformed_batch_names_file_and_record),
        cmocka_unit_test(malformed_archive_names_member_and_offset),
        cmocka_unit_test(every_truncation_of_an_archive_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
