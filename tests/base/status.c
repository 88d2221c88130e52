/* The last-error text. */
#include "base/status.h"

#include "tests/test.h"

#include <pthread.h>
#include <string.h>

static void every_status_has_words(void **state)
{
    (void)state;
#define X(name, words) assert_string_equal(descent_status_text(DESCENT_##name), words);
    DESCENT_STATUS_LIST(X)
#undef X
    assert_string_equal(descent_status_text((enum descent_status)999), "unknown status");
}

static void fail_returns_the_status_and_keeps_the_message(void **state)
{
    (void)state;
    assert_int_equal(descent_fail(DESCENT_NOT_FOUND, "%s: no layer '%s'", "net.c", "stem"),
                     DESCENT_NOT_FOUND);
    assert_string_equal(descent_error(), "net.c: no layer 'stem'");
    assert_int_equal(descent_fail(DESCENT_EXISTS, "runs/%d", 7), DESCENT_EXISTS);
    assert_string_equal(descent_error(), "runs/7");
}

static void prefixes_go_before_the_message(void **state)
{
    (void)state;
    descent_fail(DESCENT_BAD_FORMAT, "no magic number");
    assert_int_equal(descent_fail_in(DESCENT_BAD_FORMAT, "file %d", 2), DESCENT_BAD_FORMAT);
    assert_int_equal(descent_fail_in(DESCENT_BAD_FORMAT, "data"), DESCENT_BAD_FORMAT);
    assert_string_equal(descent_error(), "data: file 2: no magic number");
}

static void a_message_may_quote_the_one_before(void **state)
{
    (void)state;
    descent_fail(DESCENT_IO_ERROR, "disk full");
    descent_fail(DESCENT_IO_ERROR, "cannot save (%s), tried twice: %s", descent_error(), descent_error());
    assert_string_equal(descent_error(), "cannot save (disk full), tried twice: disk full");
    descent_fail_in(DESCENT_IO_ERROR, "[%s]", descent_error());
    assert_string_equal(descent_error(), "[cannot save (disk full), tried twice: disk full]: "
                                         "cannot save (disk full), tried twice: disk full");
}

static void long_messages_are_cut_at_1023_bytes(void **state)
{
    (void)state;
    char text[3000];
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    descent_fail(DESCENT_IO_ERROR, "%s", text);
    assert_int_equal(strlen(descent_error()), 1023);
    descent_fail_in(DESCENT_IO_ERROR, "b");
    assert_int_equal(strlen(descent_error()), 1023);
    assert_memory_equal(descent_error(), "b: aaa", 6);
}

static void control_characters_do_not_reach_a_terminal(void **state)
{
    (void)state;
    descent_fail(DESCENT_BAD_FORMAT, "tensor '%s'",
                 "\033[2J\r\n\x7f stra\xc3\x9f"
                 "e");
    assert_string_equal(descent_error(), "tensor '?[2J??? stra\xc3\x9f"
                                         "e'");
    descent_fail_in(DESCENT_BAD_FORMAT, "a\tb");
    assert_string_equal(descent_error(), "a?b: tensor '?[2J??? stra\xc3\x9f"
                                         "e'");
}

static void *fail_elsewhere(void *seen)
{
    strcpy(seen, descent_error());
    descent_fail(DESCENT_IO_ERROR, "theirs");
    return NULL;
}

static void each_thread_has_its_own_message(void **state)
{
    (void)state;
    char seen[16] = "?";
    pthread_t thread;
    descent_fail(DESCENT_IO_ERROR, "mine");
    assert_int_equal(pthread_create(&thread, NULL, fail_elsewhere, seen), 0);
    pthread_join(thread, NULL);
    assert_string_equal(seen, "");
    assert_string_equal(descent_error(), "mine");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_status_has_words),
        cmocka_unit_test(fail_returns_the_status_and_keeps_the_message),
        cmocka_unit_test(prefixes_go_before_the_message),
        cmocka_unit_test(a_message_may_quote_the_one_before),
        cmocka_unit_test(long_messages_are_cut_at_1023_bytes),
        cmocka_unit_test(control_characters_do_not_reach_a_terminal),
        cmocka_unit_test(each_thread_has_its_own_message),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
