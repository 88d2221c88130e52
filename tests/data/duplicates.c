/* Images that are there twice are counted, each where it is. */
#include "tests/data/memory_set.h"

#include <string.h>

/* One-pixel images of three channels, one letter each. */
static struct data_source *letters(const char *images, const int32_t *labels)
{
    size_t count = strlen(images);
    uint8_t *bytes = malloc(3 * count);
    int32_t *classes = malloc(count * sizeof *classes);
    assert_true(bytes && classes);
    for (size_t i = 0; i < count; i++) {
        memset(bytes + 3 * i, images[i], 3);
        classes[i] = labels[i];
    }
    return data_source_in_memory((int64_t)count, 1, 1, 3, bytes, classes);
}

static void repeated_leaked_and_relabeled_images_are_counted(void **state)
{
    (void)state;
    static const struct {
        const char *train, *test;
        int32_t train_labels[8], test_labels[8];
        struct data_duplicates expected;
    } cases[] = {
        {"abcd", "efg", {0, 1, 0, 1}, {0, 1, 1}, {0, 0, 0, 0}},
        {"abca", "efg", {0, 1, 0, 0}, {0, 1, 1}, {1, 0, 0, 0}},
        {"abca", "efg", {0, 1, 0, 1}, {0, 1, 1}, {1, 0, 0, 1}},
        {"abcd", "eff", {0, 1, 0, 1}, {0, 1, 1}, {0, 1, 0, 0}},
        {"abcd", "edc", {0, 1, 0, 1}, {0, 1, 1}, {0, 0, 2, 1}},
        {"zaaaz", "zxax", {0, 1, 1, 0, 0}, {1, 0, 1, 1}, {3, 1, 2, 3}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct data_parts parts = {.train = letters(cases[i].train, cases[i].train_labels),
                                   .test = letters(cases[i].test, cases[i].test_labels)};
        struct data_set *set;
        struct data_duplicates found;
        assert_int_equal(data_set_new("letters", "letters", &parts, &set), DESCENT_OK);
        assert_int_equal(data_find_duplicates(set, &found), DESCENT_OK);
        assert_int_equal(found.train, cases[i].expected.train);
        assert_int_equal(found.test, cases[i].expected.test);
        assert_int_equal(found.leaked, cases[i].expected.leaked);
        assert_int_equal(found.relabeled, cases[i].expected.relabeled);
        data_free(set);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(repeated_leaked_and_relabeled_images_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
