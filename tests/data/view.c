/* Views and the split of the training part: nothing lost, nothing twice, each class its share. */
#include "tests/data/memory_set.h"

#include <string.h>

enum { COUNT = 1003, CLASSES = 7 };

/* Classes of very different sizes; class 3 has none, class 6 a single sample. */
static struct data_set *uneven_set(int64_t counts[CLASSES])
{
    int32_t labels[COUNT];
    memset(counts, 0, CLASSES * sizeof *counts);
    for (int i = 0; i < COUNT; i++) {
        labels[i] = i == 500 ? 6 : i % 2 ? 0 : i % 4 ? 1 : i % 8 ? 2 : i % 16 ? 4 : 5;
        counts[labels[i]]++;
    }
    return memory_set(COUNT, 2, 1, labels);
}

/* Adds 1 to seen[i] for each sample i, and to counts[c] for its class. */
static void tally(const struct data_set *set, const struct data_view *view, int seen[COUNT],
                  int64_t counts[CLASSES])
{
    for (int64_t i = 0; i < data_view_count(view); i++) {
        float x[6];
        int32_t label;
        assert_int_equal(data_sample(view, i, x, &label), DESCENT_OK);
        seen[number_of(set, x)]++;
        counts[label]++;
    }
}

static void split_is_complete_disjoint_and_stratified(void **state)
{
    (void)state;
    int64_t counts[CLASSES];
    struct data_set *set = uneven_set(counts);
    static const double fractions[] = {0.1, 0.5, 1.0 / 3, 0.9, 0.001};
    for (int f = 0; f < 5; f++) {
        struct data_view *train, *validation;
        int seen[COUNT] = {0};
        int64_t trained[CLASSES] = {0}, validated[CLASSES] = {0};
        assert_int_equal(data_split(set, fractions[f], 1, &train, &validation), DESCENT_OK);
        assert_int_equal(data_view_count(validation), llround(fractions[f] * COUNT));
        assert_int_equal(data_view_count(train) + data_view_count(validation), COUNT);
        tally(set, train, seen, trained);
        tally(set, validation, seen, validated);
        for (int i = 0; i < COUNT; i++)
            assert_int_equal(seen[i], 1);
        for (int c = 0; c < CLASSES; c++) {
            assert_int_equal(trained[c] + validated[c], counts[c]);
            assert_true(fabs((double)validated[c] - fractions[f] * (double)counts[c]) < 1);
        }
        data_view_free(train);
        data_view_free(validation);
    }
    data_free(set);
}

static void shares_are_rounded_by_largest_remainder(void **state)
{
    (void)state;
    /* 13, 6 and 1 of 20: a quarter is 3.25, 1.5 and 0.25 of 5: one is left over, for class 1. */
    int32_t labels[20] = {0};
    for (int i = 0; i < 7; i++)
        labels[i] = i < 6 ? 1 : 2;
    struct data_set *set = memory_set(20, 2, 1, labels);
    struct data_view *train, *validation;
    int seen[COUNT] = {0};
    int64_t counts[CLASSES] = {0};
    assert_int_equal(data_split(set, 0.25, 9, &train, &validation), DESCENT_OK);
    tally(set, validation, seen, counts);
    assert_int_equal(counts[0], 3);
    assert_int_equal(counts[1], 2);
    assert_int_equal(counts[2], 0);
    data_view_free(train);
    data_view_free(validation);
    data_free(set);
}

static void split_depends_on_the_seed_alone(void **state)
{
    (void)state;
    int64_t counts[CLASSES], ignored[CLASSES];
    struct data_set *set = uneven_set(counts);
    int seen[3][COUNT] = {{0}};
    for (int i = 0; i < 3; i++) {
        struct data_view *train, *validation;
        assert_int_equal(data_split(set, 0.2, i == 2 ? 8 : 7, &train, &validation), DESCENT_OK);
        tally(set, validation, seen[i], ignored);
        data_view_free(train);
        data_view_free(validation);
    }
    assert_memory_equal(seen[0], seen[1], sizeof seen[0]);
    assert_memory_not_equal(seen[0], seen[2], sizeof seen[0]);
    data_free(set);
}

static void classes_are_drawn_independently(void **state)
{
    (void)state;
    int32_t labels[200];
    for (int i = 0; i < 200; i++)
        labels[i] = i % 2;
    struct data_set *set = memory_set(200, 2, 1, labels);
    struct data_view *train, *validation;
    int seen[COUNT] = {0}, same = 0;
    int64_t counts[CLASSES] = {0};
    assert_int_equal(data_split(set, 0.5, 1, &train, &validation), DESCENT_OK);
    tally(set, validation, seen, counts);
    for (int i = 0; i < 200; i += 2)
        same += seen[i] == seen[i + 1];
    assert_true(same > 25 && same < 75); /* of 100 coin tosses */
    data_view_free(train);
    data_view_free(validation);
    data_free(set);
}

static void split_that_leaves_a_side_empty_is_refused(void **state)
{
    (void)state;
    struct data_set *set = memory_set(10, 2, 1, NULL);
    const double fractions[] = {0, 1, -0.5, 2, 0.01, 0.99, (double)NAN, (double)INFINITY};
    for (int i = 0; i < 8; i++) {
        struct data_view *train, *validation;
        assert_int_equal(data_split(set, fractions[i], 1, &train, &validation), DESCENT_BAD_ARGUMENT);
        assert_non_null(strstr(descent_error(), "of 10 training samples"));
        assert_true(!train && !validation);
    }
    data_free(set);
}

static void whole_parts_are_in_file_order(void **state)
{
    (void)state;
    struct data_set *set = memory_set(300, 2, 1, NULL);
    struct data_view *train = data_view_train(set), *test = data_view_test(set);
    assert_int_equal(data_view_count(train), 300);
    assert_int_equal(data_view_count(test), 5);
    float x[6];
    int32_t label;
    for (int64_t i = 0; i < 300; i++) {
        assert_int_equal(data_sample(train, i, x, &label), DESCENT_OK);
        assert_int_equal(number_of(set, x), i);
        assert_int_equal(label, i % 10);
    }
    assert_int_equal(data_sample(test, 5, x, NULL), DESCENT_BAD_ARGUMENT);
    assert_non_null(strstr(descent_error(), "sample 5"));
    assert_int_equal(data_sample(test, -1, x, NULL), DESCENT_BAD_ARGUMENT);
    assert_int_equal(data_sample(test, 4, x, NULL), DESCENT_OK);
    data_view_free(train);
    data_view_free(test);
    data_free(set);
}

static void selected_samples_come_in_the_order_given(void **state)
{
    (void)state;
    int64_t counts[CLASSES];
    struct data_set *set = uneven_set(counts);
    struct data_view *train, *validation;
    assert_int_equal(data_split(set, 0.5, 1, &train, &validation), DESCENT_OK);
    const int64_t samples[] = {7, 0, 7, 499};
    struct data_view *view = data_view_select(validation, samples, 4);
    assert_int_equal(data_view_count(view), 4);
    for (int i = 0; i < 4; i++) {
        float x[6], expected[6];
        int32_t label;
        assert_int_equal(data_sample(validation, samples[i], expected, &label), DESCENT_OK);
        assert_int_equal(data_view_label(view, i), label);
        assert_int_equal(data_sample(view, i, x, NULL), DESCENT_OK);
        assert_memory_equal(x, expected, sizeof x);
    }
    data_view_free(view);
    for (int64_t beyond = -1; beyond < 1000; beyond += data_view_count(validation) + 1) {
        assert_null(data_view_select(validation, &beyond, 1));
        assert_non_null(strstr(descent_error(), "sample "));
    }
    data_view_free(train);
    data_view_free(validation);
    data_free(set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(selected_samples_come_in_the_order_given),
        cmocka_unit_test(split_is_complete_disjoint_and_stratified),
        cmocka_unit_test(shares_are_rounded_by_largest_remainder),
        cmocka_unit_test(split_depends_on_the_seed_alone),
        cmocka_unit_test(classes_are_drawn_independently),
        cmocka_unit_test(split_that_leaves_a_side_empty_is_refused),
        cmocka_unit_test(whole_parts_are_in_file_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
