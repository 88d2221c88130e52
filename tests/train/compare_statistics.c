/* The statistics of a comparison against SciPy's, NumPy's and rliable's, and against what can be worked out
 * by hand. */
#include "train/compare/statistics.h"

#include "base/file.h"
#include "base/json.h"
#include "base/random.h"

#include "tests/test.h"

#include <math.h>
#include <stdlib.h>

static struct descent_json *vectors;

static int read_vectors(void **state)
{
    (void)state;
    char *text;
    size_t size;
    if (descent_file_read("vectors/comparison.json", 1 << 20, &text, &size))
        return 1;
    vectors = descent_json_parse("comparison.json", text, size);
    free(text);
    return !vectors;
}

static int free_vectors(void **state)
{
    (void)state;
    descent_json_free(vectors);
    return 0;
}

/* The row's list of numbers; returns how many. */
static int numbers(const struct descent_json *row, const char *key, double *out)
{
    const struct descent_json *list = descent_json_get(row, key);
    int n = descent_json_count(list);
    assert_in_range(n, 1, 64);
    for (int i = 0; i < n; i++)
        assert_true(descent_json_as_number(descent_json_at(list, i), &out[i]));
    return n;
}

/* The rows of a section that is not empty. */
#define FOR_EACH_ROW(row, section)                                                                         \
    assert_non_null(descent_json_at(descent_json_get(vectors, section), 0));                               \
    for (int row_ = 0; row_ < descent_json_count(descent_json_get(vectors, section)); row_++)              \
        for (const struct descent_json *row = descent_json_at(descent_json_get(vectors, section), row_);   \
             row; row = NULL)

static void near(double value, double expected, double tolerance)
{
    if (!(fabs(value - expected) <= tolerance))
        fail_msg("%.17g is not %.17g", value, expected);
}

static void quantiles_and_interquartile_means_are_numpys_and_rliables(void **state)
{
    (void)state;
    FOR_EACH_ROW (row, "samples") {
        double values[64], expected[6];
        const double q[6] = {0, 0.1, 0.25, 0.5, 0.75, 1};
        int n = numbers(row, "values", values);
        numbers(row, "quantiles", expected);
        for (int i = 0; i < 6; i++)
            near(statistics_quantile(values, n, q[i]), expected[i], 1e-12);
        near(statistics_interquartile_mean(values, n), descent_json_number(row, "interquartile_mean", NAN),
             1e-12);
    }
}

/* Both sides draw at random: the ends of the intervals may differ by a few per cent of their length. */
static void near_interval(const double *values, const int *sizes, int strata,
                          double statistic(double *, int), const double expected[2])
{
    struct statistics_interval interval;
    assert_int_equal(statistics_bootstrap(values, sizes, strata, statistic, 3, &interval), DESCENT_OK);
    double length = expected[1] - expected[0];
    near(interval.low, expected[0], 0.04 * length);
    near(interval.high, expected[1], 0.04 * length);
}

static void bootstrap_intervals_are_scipys(void **state)
{
    (void)state;
    FOR_EACH_ROW (row, "samples") {
        double values[64], expected[64];
        int n = numbers(row, "values", values);
        numbers(row, "mean_interval", expected);
        near_interval(values, &n, 1, statistics_mean, expected);
        numbers(row, "median_interval", expected);
        near_interval(values, &n, 1, statistics_median, expected);
    }
}

static void stratified_bootstrap_intervals_are_rliables(void **state)
{
    (void)state;
    FOR_EACH_ROW (row, "strata") {
        const struct descent_json *tasks = descent_json_get(row, "tasks");
        double values[64], expected[64];
        int sizes[8], strata = descent_json_count(tasks), n = 0;
        for (int s = 0; s < strata; s++) {
            const struct descent_json *task = descent_json_at(tasks, s);
            sizes[s] = descent_json_count(task);
            for (int i = 0; i < sizes[s]; i++)
                assert_true(descent_json_as_number(descent_json_at(task, i), &values[n++]));
        }
        numbers(row, "interval", expected);
        near_interval(values, sizes, strata, statistics_interquartile_mean, expected);
        near(statistics_interquartile_mean(values, n), descent_json_number(row, "interquartile_mean", NAN),
             1e-12);
    }
}

static void a_bootstrap_is_a_function_of_its_seed(void **state)
{
    (void)state;
    double values[20];
    int n = 20;
    for (int i = 0; i < n; i++)
        values[i] = i * i;
    struct statistics_interval a, b, c;
    assert_int_equal(statistics_bootstrap(values, &n, 1, statistics_mean, 1, &a), DESCENT_OK);
    assert_int_equal(statistics_bootstrap(values, &n, 1, statistics_mean, 1, &b), DESCENT_OK);
    assert_int_equal(statistics_bootstrap(values, &n, 1, statistics_mean, 2, &c), DESCENT_OK);
    assert_true(a.low == b.low && a.high == b.high);
    assert_true(a.low != c.low);
}

/* 95 % intervals of a mean of 20 normal values hold it in about 92 to 95 of 100 samples: the percentile
 * interval is a little short. */
static void intervals_cover_as_often_as_they_say(void **state)
{
    (void)state;
    struct descent_random random = descent_random_new(9, DESCENT_RANDOM_TEST, 0);
    int n = 20, covered = 0;
    for (int i = 0; i < 200; i++) {
        double values[20];
        for (int j = 0; j < n; j++)
            values[j] = descent_random_normal(&random);
        struct statistics_interval interval;
        assert_int_equal(statistics_bootstrap(values, &n, 1, statistics_mean, (uint64_t)i, &interval),
                         DESCENT_OK);
        covered += interval.low <= 0 && interval.high >= 0;
    }
    assert_in_range(covered, 172, 198);
}

static void missed_targets_are_infinite_and_never_nan(void **state)
{
    (void)state;
    assert_true(statistics_ratio(INFINITY, INFINITY) == 1);
    assert_true(statistics_ratio(INFINITY, 3) == INFINITY);
    assert_true(statistics_ratio(3, INFINITY) == 0);
    assert_true(statistics_ratio(3, 2) == 1.5);
    double mostly[] = {INFINITY, 2, INFINITY, 1, INFINITY}, half[] = {INFINITY, 1, 2, INFINITY};
    assert_true(statistics_quantile(mostly, 5, 0.25) == 2);
    assert_true(statistics_median(mostly, 5) == INFINITY);
    assert_true(statistics_median(half, 4) == INFINITY);
    assert_true(statistics_quantile(half, 4, 1.0 / 3) == 2);

    /* Half of the pairs never got there: nothing is known above. */
    const double ratios[] = {1, 1.5, 2, INFINITY, INFINITY, INFINITY};
    int n = 6;
    struct statistics_interval interval;
    assert_int_equal(statistics_bootstrap(ratios, &n, 1, statistics_median, 0, &interval), DESCENT_OK);
    assert_true(interval.low >= 1 && interval.low <= 2);
    assert_true(interval.high == INFINITY);
}

static void wilcoxon_is_scipys_with_ties_and_zeros(void **state)
{
    (void)state;
    FOR_EACH_ROW (row, "wilcoxon") {
        double differences[64], p;
        int n = numbers(row, "differences", differences);
        assert_int_equal(statistics_wilcoxon(differences, n, &p), DESCENT_OK);
        near(p, descent_json_number(row, "p", NAN), 1e-12);
    }
    double nothing[3] = {0, 0, 0}, missed[6] = {INFINITY, INFINITY, INFINITY, INFINITY, 1, 2}, p;
    assert_int_equal(statistics_wilcoxon(nothing, 3, &p), DESCENT_OK);
    assert_true(p == 1);
    assert_int_equal(statistics_wilcoxon(missed, 6, &p), DESCENT_OK);
    near(p, 2.0 / 64, 1e-15);
}

static void five_seeds_can_never_decide_and_ten_carry_25_comparisons(void **state)
{
    (void)state;
    assert_true(statistics_smallest_p(5, 1) > 0.05);
    assert_true(statistics_smallest_p(10, 25) <= 0.05);
    assert_true(statistics_smallest_p(10, 26) > 0.05);
    assert_true(statistics_smallest_p(1, 10) == 1);
    double all_better[10], p;
    for (int i = 0; i < 10; i++)
        all_better[i] = i + 1;
    assert_int_equal(statistics_wilcoxon(all_better, 10, &p), DESCENT_OK);
    near(p, statistics_smallest_p(10, 1), 1e-15);
}

/* The example of Holm's procedure in R's manual of p.adjust and its kind, worked by hand. */
static void holm_multiplies_by_what_remains_and_never_decreases(void **state)
{
    (void)state;
    double p[] = {0.04, 0.01, 0.03, 0.005, 0.9, 0};
    const double expected[] = {0.09, 0.04, 0.09, 0.025, 0.9, 0};
    statistics_holm(p, 6);
    for (int i = 0; i < 6; i++)
        near(p[i], expected[i], 1e-15);
    double large[] = {0.6, 0.7};
    statistics_holm(large, 2);
    assert_true(large[0] == 1 && large[1] == 1);
}

static void friedman_is_scipys_with_ties(void **state)
{
    (void)state;
    FOR_EACH_ROW (row, "friedman") {
        const struct descent_json *problems = descent_json_get(row, "problems");
        double values[160], expected[64], ranks[64], p;
        int methods = numbers(row, "mean_ranks", expected), n = 0;
        for (int i = 0; i < descent_json_count(problems); i++)
            for (int m = 0; m < methods; m++)
                assert_true(
                    descent_json_as_number(descent_json_at(descent_json_at(problems, i), m), &values[n++]));
        assert_int_equal(statistics_friedman(values, n / methods, methods, ranks, &p), DESCENT_OK);
        near(p, descent_json_number(row, "p", NAN), 1e-12);
        for (int m = 0; m < methods; m++)
            near(ranks[m], expected[m], 1e-12);
    }
    const double equal[6] = {1, 1, 1, INFINITY, INFINITY, INFINITY};
    double ranks[3], p;
    assert_int_equal(statistics_friedman(equal, 2, 3, ranks, &p), DESCENT_OK);
    assert_true(p == 1 && ranks[0] == 2 && ranks[2] == 2);
}

static void critical_differences_are_the_studentized_range(void **state)
{
    (void)state;
    FOR_EACH_ROW (row, "ranges") {
        int methods = (int)descent_json_number(row, "methods", 0);
        double expected =
            descent_json_number(row, "point", NAN) * sqrt(methods * (methods + 1) / (6.0 * 4));
        near(statistics_critical_difference(4, methods), expected, 1e-7 * expected);
    }
}

static void a_profile_is_the_share_solved_and_its_score_the_area(void **state)
{
    (void)state;
    const double ratios[] = {1, 1, 2, 5, INFINITY};
    assert_true(statistics_profile(ratios, 5, 1) == 0.4);
    assert_true(statistics_profile(ratios, 5, 1.99) == 0.4);
    assert_true(statistics_profile(ratios, 5, 2) == 0.6);
    assert_true(statistics_profile(ratios, 5, 4) == 0.6);
    near(statistics_profile_score(ratios, 5, 4), 0.4 * 1 / 3 + 0.6 * 2 / 3, 1e-15);
}

/* Against the mean over all subsets. */
static void expected_best_is_the_mean_over_all_choices(void **state)
{
    (void)state;
    double values[8] = {0.3, 0.9, 0.1, 0.5, 0.5, 0, 0.7, 0.65};
    const double original[8] = {0.3, 0.9, 0.1, 0.5, 0.5, 0, 0.7, 0.65};
    for (int k = 1; k <= 8; k++) {
        double sum = 0;
        int subsets = 0;
        for (unsigned subset = 0; subset < 256; subset++) {
            double best = 0;
            int size = 0;
            for (int i = 0; i < 8; i++)
                if (subset >> i & 1) {
                    size++;
                    best = fmax(best, original[i]);
                }
            sum += size == k ? best : 0;
            subsets += size == k;
        }
        near(statistics_expected_best(values, 8, k), sum / subsets, 1e-14);
    }
    double one = 3;
    assert_true(statistics_expected_best(&one, 1, 1) == 3);
}

/* Whichever of two optimizers is called the reference, one's ratio is the other's upside down. */
static void median_ratios_can_be_inverted(void **state)
{
    (void)state;
    double two[] = {2, 0.5}, missed[] = {0.9, 0}, misses[] = {INFINITY, 0.9}, both[] = {0, INFINITY};
    near(statistics_median_ratio(two, 2), 1, 1e-15);
    near(statistics_median_ratio(missed, 2), 0, 0);
    assert_true(isinf(statistics_median_ratio(misses, 2)));
    near(statistics_median_ratio(both, 2), 1, 0);
    struct descent_random random = descent_random_new(1, DESCENT_RANDOM_TEST, 0);
    for (int n = 1; n < 12; n++) {
        double ratio[12], inverse[12];
        for (int i = 0; i < n; i++) {
            ratio[i] = i % 5 == 4 ? INFINITY : i % 5 == 3 ? 0 : exp(descent_random_normal(&random));
            inverse[i] = 1 / ratio[i];
        }
        double one = statistics_median_ratio(ratio, n), other = statistics_median_ratio(inverse, n);
        if (isinf(one))
            near(other, 0, 0);
        else if (one == 0)
            assert_true(isinf(other));
        else
            near(one * other, 1, 1e-14);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(median_ratios_can_be_inverted),
        cmocka_unit_test(quantiles_and_interquartile_means_are_numpys_and_rliables),
        cmocka_unit_test(bootstrap_intervals_are_scipys),
        cmocka_unit_test(stratified_bootstrap_intervals_are_rliables),
        cmocka_unit_test(a_bootstrap_is_a_function_of_its_seed),
        cmocka_unit_test(intervals_cover_as_often_as_they_say),
        cmocka_unit_test(missed_targets_are_infinite_and_never_nan),
        cmocka_unit_test(wilcoxon_is_scipys_with_ties_and_zeros),
        cmocka_unit_test(five_seeds_can_never_decide_and_ten_carry_25_comparisons),
        cmocka_unit_test(holm_multiplies_by_what_remains_and_never_decreases),
        cmocka_unit_test(friedman_is_scipys_with_ties),
        cmocka_unit_test(critical_differences_are_the_studentized_range),
        cmocka_unit_test(a_profile_is_the_share_solved_and_its_score_the_area),
        cmocka_unit_test(expected_best_is_the_mean_over_all_choices),
    };
    return cmocka_run_group_tests(tests, read_vectors, free_vectors);
}
