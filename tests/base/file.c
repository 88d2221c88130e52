#include "base/file.h"

#include "tests/scratch.h"
#include "tests/test.h"

#include <dirent.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>

static void assert_content(const char *path, const char *expected)
{
    char *data;
    size_t size;
    assert_int_equal(descent_file_read(path, 1000, &data, &size), DESCENT_OK);
    assert_int_equal(size, strlen(expected));
    assert_string_equal(data, expected);
    free(data);
}

static int count_entries(const char *directory)
{
    DIR *stream = opendir(directory);
    int count = 0;
    assert_non_null(stream);
    while (readdir(stream))
        count++;
    closedir(stream);
    return count - 2; /* . and .. */
}

static void the_last_good_file_stays_until_commit(void **state)
{
    (void)state;
    assert_int_equal(descent_make_directories(scratch_path("commit")), DESCENT_OK);
    const char *path = scratch_file("commit/a.txt", "old", 3);
    struct descent_file file;
    assert_int_equal(descent_file_create(&file, path), DESCENT_OK);
    fputs("new content", file.stream);
    fflush(file.stream);
    assert_content(path, "old"); /* as after a kill at this moment */
    assert_int_equal(descent_file_commit(&file), DESCENT_OK);
    assert_content(path, "new content");
    assert_int_equal(count_entries(scratch_path("commit")), 1);
}

static void an_abandoned_file_leaves_nothing(void **state)
{
    (void)state;
    assert_int_equal(descent_make_directories(scratch_path("abandon")), DESCENT_OK);
    struct descent_file file;
    assert_int_equal(descent_file_create(&file, scratch_path("abandon/a.txt")), DESCENT_OK);
    fputs("x", file.stream);
    descent_file_abandon(&file);
    assert_int_equal(count_entries(scratch_path("abandon")), 0);
    descent_file_abandon(&file); /* twice is once */
}

static void a_directory_that_cannot_be_written_is_an_error_naming_it_and_the_reason(void **state)
{
    (void)state;
    struct descent_file file;
    assert_int_equal(descent_file_create(&file, "no/such/a.txt"), DESCENT_NOT_FOUND);
    assert_string_equal(descent_error(), "cannot create no/such/a.txt: No such file or directory");
    scratch_file("plain", "x", 1);
    assert_int_equal(descent_file_create(&file, scratch_path("plain/a.txt")), DESCENT_IO_ERROR);
    assert_non_null(strstr(descent_error(), "plain/a.txt: Not a directory"));
    if (geteuid() == 0)
        return; /* root may write anywhere */
    assert_int_equal(mkdir(scratch_path("closed"), 0500), 0);
    assert_int_equal(descent_file_create(&file, scratch_path("closed/a.txt")), DESCENT_IO_ERROR);
    assert_non_null(strstr(descent_error(), "closed/a.txt: Permission denied"));
}

/* A limit on the size of files stands for a full disk: it is hit by a write, or only when the rest is
 * flushed. */
static void a_full_disk_is_an_error_and_the_last_good_file_stays(void **state)
{
    (void)state;
    assert_int_equal(descent_make_directories(scratch_path("full")), DESCENT_OK);
    const char *path = scratch_file("full/a.txt", "old", 3);
    struct rlimit before, small;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = before;
    small.rlim_cur = 4096;
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    for (int size = 5000; size < 1000000; size *= 100) {
        struct descent_file file;
        assert_int_equal(descent_file_create(&file, path), DESCENT_OK);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
        for (int i = 0; i < size; i++)
            fputc('x', file.stream);
        enum descent_status status = descent_file_commit(&file);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
        assert_int_equal(status, DESCENT_IO_ERROR);
        assert_non_null(strstr(descent_error(), "cannot write "));
        assert_non_null(strstr(descent_error(), "full/a.txt: File too large"));
        assert_content(path, "old");
        assert_int_equal(count_entries(scratch_path("full")), 1);
    }
    signal(SIGXFSZ, handler);
}

static void a_target_that_is_a_directory_is_an_error_and_the_temporary_is_gone(void **state)
{
    (void)state;
    assert_int_equal(descent_make_directories(scratch_path("target/a")), DESCENT_OK);
    struct descent_file file;
    assert_int_equal(descent_file_create(&file, scratch_path("target/a")), DESCENT_OK);
    assert_int_equal(descent_file_commit(&file), DESCENT_IO_ERROR);
    assert_non_null(strstr(descent_error(), "target/a: Is a directory"));
    assert_int_equal(count_entries(scratch_path("target")), 1);
}

static void a_file_is_read_whole_up_to_its_limit(void **state)
{
    (void)state;
    char *data;
    size_t size;
    const char *path = scratch_file("whole", "a\0b", 3);
    assert_int_equal(descent_file_read(path, 3, &data, &size), DESCENT_OK);
    assert_int_equal(size, 3);
    assert_memory_equal(data, "a\0b", 4); /* a 0 byte after it */
    free(data);
    assert_int_equal(descent_file_read(path, 2, &data, &size), DESCENT_BAD_FORMAT);
    assert_non_null(strstr(descent_error(), "whole: larger than 2 bytes"));
    assert_null(data);
    assert_content(scratch_file("nothing", "", 0), "");
    assert_int_equal(descent_file_read("no/such", 10, &data, &size), DESCENT_NOT_FOUND);
    assert_string_equal(descent_error(), "cannot read no/such: No such file or directory");
    assert_int_equal(descent_file_read("base", 10, &data, &size), DESCENT_IO_ERROR);
    assert_string_equal(descent_error(), "cannot read base: Is a directory");
}

/* A pipe has no size to trust. */
static void what_has_no_size_is_read_to_its_end(void **state)
{
    (void)state;
    int ends[2];
    char sent[5000], name[32], *data;
    size_t size;
    for (size_t limit = sizeof sent - 1; limit <= sizeof sent; limit++) {
        memset(sent, 'x', sizeof sent);
        assert_int_equal(pipe(ends), 0);
        assert_int_equal(write(ends[1], sent, sizeof sent), sizeof sent);
        close(ends[1]);
        snprintf(name, sizeof name, "/dev/fd/%d", ends[0]);
        enum descent_status status = descent_file_read(name, limit, &data, &size);
        close(ends[0]);
        assert_int_equal(status, limit < sizeof sent ? DESCENT_BAD_FORMAT : DESCENT_OK);
    }
    assert_int_equal(size, sizeof sent);
    assert_memory_equal(data, sent, size);
    free(data);
}

static void directories_are_made_with_their_parents(void **state)
{
    (void)state;
    const char *path = scratch_path("a/b//c/");
    struct stat info;
    assert_int_equal(descent_make_directories(path), DESCENT_OK);
    assert_true(stat(path, &info) == 0 && S_ISDIR(info.st_mode));
    assert_int_equal(descent_make_directories(scratch_path("only/long/names")), DESCENT_OK);
    assert_int_equal(count_entries(scratch_path("only")), 1);
    assert_int_equal(count_entries(scratch_path("only/long")), 1);
    assert_int_equal(descent_make_directories(path), DESCENT_OK); /* again: nothing to do */
    assert_int_equal(descent_make_directories("."), DESCENT_OK);
    assert_int_equal(descent_make_directories("/"), DESCENT_OK);
    assert_int_equal(descent_make_directories(""), DESCENT_NOT_FOUND);
    scratch_file("plain", "x", 1);
    assert_int_equal(descent_make_directories(scratch_path("plain")), DESCENT_IO_ERROR);
    assert_int_equal(descent_make_directories(scratch_path("plain/b")), DESCENT_IO_ERROR);
    assert_non_null(strstr(descent_error(), "plain/b: Not a directory"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_good_file_stays_until_commit),
        cmocka_unit_test(an_abandoned_file_leaves_nothing),
        cmocka_unit_test(a_directory_that_cannot_be_written_is_an_error_naming_it_and_the_reason),
        cmocka_unit_test(a_full_disk_is_an_error_and_the_last_good_file_stays),
        cmocka_unit_test(a_target_that_is_a_directory_is_an_error_and_the_temporary_is_gone),
        cmocka_unit_test(a_file_is_read_whole_up_to_its_limit),
        cmocka_unit_test(what_has_no_size_is_read_to_its_end),
        cmocka_unit_test(directories_are_made_with_their_parents),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
