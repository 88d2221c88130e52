/* Scrambled Sobol points: the sequence against SciPy's, the scrambling by what it must keep and by what it
 * must gain over random points. */
#include "train/compare/sobol.h"

#include "base/file.h"
#include "base/json.h"
#include "base/random.h"

#include "tests/test.h"

#include <math.h>
#include <stdlib.h>

static void unscrambled_points_are_scipys(void **state)
{
    (void)state;
    char *text;
    size_t size;
    assert_int_equal(descent_file_read("vectors/comparison.json", 1 << 20, &text, &size), DESCENT_OK);
    struct descent_json *vectors = descent_json_parse("comparison.json", text, size);
    assert_non_null(vectors);
    const struct descent_json *rows = descent_json_get(vectors, "sobol");
    assert_in_range(descent_json_count(rows), 5, 100);
    for (int i = 0; i < descent_json_count(rows); i++) {
        const struct descent_json *row = descent_json_at(rows, i), *point = descent_json_get(row, "point");
        assert_int_equal(descent_json_count(point), SOBOL_DIMENSIONS);
        for (int d = 0; d < SOBOL_DIMENSIONS; d++) {
            int64_t expected;
            assert_true(descent_json_as_integer(descent_json_at(point, d), &expected));
            assert_int_equal(sobol_coordinate(d, (uint32_t)descent_json_number(row, "index", 0)), expected);
        }
    }
    descent_json_free(vectors);
    free(text);
}

static void every_prefix_of_a_power_of_two_is_balanced(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 5; seed++)
        for (int n = 1; n <= 256; n *= 2) {
            int hits[SOBOL_DIMENSIONS][256] = {{0}};
            for (int i = 0; i < n; i++) {
                double point[SOBOL_DIMENSIONS];
                sobol_point(seed, i, SOBOL_DIMENSIONS, point);
                for (int d = 0; d < SOBOL_DIMENSIONS; d++) {
                    assert_true(point[d] > 0 && point[d] < 1);
                    hits[d][(int)(point[d] * n)]++;
                }
            }
            for (int d = 0; d < SOBOL_DIMENSIONS; d++)
                for (int i = 0; i < n; i++)
                    assert_int_equal(hits[d][i], 1);
        }
}

/* Every rectangle of 2^-a by 2^-(6-a) holds one of the first 64 points. */
static void the_first_two_dimensions_remain_a_net(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++)
        for (int a = 0; a <= 6; a++) {
            int hits[64] = {0};
            for (int i = 0; i < 64; i++) {
                double point[2];
                sobol_point(seed, i, 2, point);
                hits[(int)(point[0] * (1 << a)) << (6 - a) | (int)(point[1] * (64 >> a))]++;
            }
            for (int i = 0; i < 64; i++)
                assert_int_equal(hits[i], 1);
        }
}

static void a_point_depends_on_seed_and_index_alone(void **state)
{
    (void)state;
    double few[3], many[SOBOL_DIMENSIONS], other[3];
    sobol_point(7, 5, 3, few);
    sobol_point(7, 5, SOBOL_DIMENSIONS, many);
    sobol_point(8, 5, 3, other);
    for (int d = 0; d < 3; d++) {
        assert_true(few[d] == many[d]);
        assert_true(few[d] != other[d]);
    }
}

/* Each point alone is uniform over the seeds: mean 1/2, variance 1/12, pairs of coordinates uncorrelated.
 */
static void scrambling_is_unbiased(void **state)
{
    (void)state;
    enum { SEEDS = 4000 };
    for (int index = 0; index < 8; index += 3) {
        double sum = 0, squares = 0, product = 0;
        for (uint64_t seed = 0; seed < SEEDS; seed++) {
            double point[2];
            sobol_point(seed, index, 2, point);
            double x = point[0] - 0.5, y = point[1] - 0.5;
            sum += x;
            squares += x * x;
            product += x * y;
        }
        /* five standard deviations of each */
        assert_true(fabs(sum / SEEDS) < 5 * sqrt(1.0 / 12 / SEEDS));
        assert_true(fabs(squares / SEEDS - 1.0 / 12) < 5 * sqrt((1.0 / 80 - 1.0 / 144) / SEEDS));
        assert_true(fabs(product / SEEDS) < 5 * (1.0 / 12) / sqrt(SEEDS));
    }
}

/* Squared L2 star discrepancy (Warnock 1972) of n points in 4 dimensions. */
static double discrepancy(int n, double (*point)[4])
{
    double one = 0, two = 0;
    for (int i = 0; i < n; i++) {
        double product = 1;
        for (int d = 0; d < 4; d++)
            product *= (1 - point[i][d] * point[i][d]) / 2;
        one += product;
        for (int j = 0; j < n; j++) {
            product = 1;
            for (int d = 0; d < 4; d++)
                product *= 1 - fmax(point[i][d], point[j][d]);
            two += product;
        }
    }
    return 1.0 / 81 - 2 * one / n + two / n / n;
}

static void points_are_spread_better_than_random_ones(void **state)
{
    (void)state;
    enum { SEEDS = 50, POINTS = 64 };
    double sobol = 0, uniform = 0, point[POINTS][4];
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        for (int i = 0; i < POINTS; i++)
            sobol_point(seed, i, 4, point[i]);
        sobol += discrepancy(POINTS, point);
        struct descent_random random = descent_random_new(seed, DESCENT_RANDOM_TEST, 0);
        for (int i = 0; i < POINTS * 4; i++)
            point[i / 4][i % 4] = descent_random_uniform(&random);
        uniform += discrepancy(POINTS, point);
    }
    assert_true(sobol < uniform / 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unscrambled_points_are_scipys),
        cmocka_unit_test(every_prefix_of_a_power_of_two_is_balanced),
        cmocka_unit_test(the_first_two_dimensions_remain_a_net),
        cmocka_unit_test(a_point_depends_on_seed_and_index_alone),
        cmocka_unit_test(scrambling_is_unbiased),
        cmocka_unit_test(points_are_spread_better_than_random_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
