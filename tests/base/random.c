/* Philox against its published vectors, and the distributions at fixed seeds: each statistic is compared
 * with its expectation at 5 standard deviations. */
#include "base/random.h"

#include "tests/test.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static void philox_gives_the_published_vectors(void **state)
{
    (void)state;
    /* kat_vectors of Random123, philox4x32 10 */
    static const struct {
        uint64_t index;
        uint32_t stream[2], key[2], expected[4];
    } vector[] = {
        {0, {0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {UINT64_MAX,
         {UINT32_MAX, UINT32_MAX},
         {UINT32_MAX, UINT32_MAX},
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {0x85a308d3243f6a88,
         {0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < sizeof vector / sizeof *vector; i++) {
        struct descent_random random = {.next = 77};
        uint32_t out[4];
        memcpy(random.key, vector[i].key, sizeof random.key);
        memcpy(random.stream, vector[i].stream, sizeof random.stream);
        descent_random_block(&random, vector[i].index, out);
        assert_memory_equal(out, vector[i].expected, sizeof out);
        assert_int_equal(random.next, 77);
    }
}

/* Frozen: whoever changes these changes what every published seed means. */
static void a_seed_means_the_same_numbers_forever(void **state)
{
    (void)state;
    uint32_t out[4];
    struct descent_random random =
        descent_random_new(42, DESCENT_RANDOM_INIT, descent_hash("conv1.weight"));
    descent_random_block(&random, 5, out);
    const uint32_t expected[4] = {0xa3524016, 0xfb2fb38b, 0x4b83ef15, 0x554cd32e};
    assert_memory_equal(out, expected, sizeof out);
    uint32_t order[8] = {0, 1, 2, 3, 4, 5, 6, 7};
    const uint32_t shuffled[8] = {3, 0, 5, 7, 4, 2, 1, 6};
    random = descent_random_new(1, DESCENT_RANDOM_SHUFFLE, 3);
    descent_random_shuffle(&random, order, 8);
    assert_memory_equal(order, shuffled, sizeof order);
}

static void sequential_draws_are_the_blocks_in_order(void **state)
{
    (void)state;
    struct descent_random random = descent_random_new(7, DESCENT_RANDOM_TEST, 0), copy = random;
    for (uint64_t i = 0; i < 100; i++) {
        uint32_t block[4];
        descent_random_block(&copy, i, block);
        uint64_t word = (uint64_t)block[1] << 32 | block[0];
        double got = i % 2 ? descent_random_uniform(&random)
                           : (double)descent_random_below(&random, (uint64_t)1 << 53) * 0x1p-53;
        double expected =
            i % 2 ? (double)(word >> 11) * 0x1p-53 : (double)(word & ~(~0ull << 53)) * 0x1p-53;
        assert_true(got == expected);
        assert_int_equal(random.next, i + 1);
    }
    random.next = 31;
    copy.next = 31;
    assert_true(descent_random_normal(&random) == descent_random_normal(&copy));
}

/* Correlation of the uniforms of two sources over n draws: 0 with standard deviation 1 / sqrt(n). */
static double correlation(struct descent_random a, struct descent_random b)
{
    enum { DRAWS = 20000 };
    double sum = 0;
    for (int i = 0; i < DRAWS; i++)
        sum += 12 * (descent_random_uniform(&a) - 0.5) * (descent_random_uniform(&b) - 0.5);
    return sum / sqrt(DRAWS);
}

static void seeds_purposes_and_streams_are_independent(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < 8; i++) {
        struct descent_random random = descent_random_new(i, DESCENT_RANDOM_INIT, i), late = random;
        late.next = 1;
        const struct descent_random others[] = {
            descent_random_new(i + 1, DESCENT_RANDOM_INIT, i),
            descent_random_new(i, DESCENT_RANDOM_SHUFFLE, i),
            descent_random_new(i, DESCENT_RANDOM_INIT, i + 1),
            descent_random_new(i, DESCENT_RANDOM_INIT, i | (uint64_t)1 << 32),
            descent_random_new(i | (uint64_t)1 << 63, DESCENT_RANDOM_INIT, i),
            late,
        };
        for (size_t j = 0; j < sizeof others / sizeof *others; j++)
            assert_true(fabs(correlation(random, others[j])) < 5);
        assert_true(correlation(random, random) > 100);
    }
}

/* Chi-square of observed counts against equal expectations, in standard deviations from its mean. */
static double chi_square(const int *count, int cells, int draws)
{
    double expected = (double)draws / cells, sum = 0;
    for (int i = 0; i < cells; i++)
        sum += (count[i] - expected) * (count[i] - expected) / expected;
    return (sum - (cells - 1)) / sqrt(2.0 * (cells - 1));
}

static void uniform_fills_the_unit_interval_evenly(void **state)
{
    (void)state;
    enum { DRAWS = 400000, CELLS = 256 };
    struct descent_random random = descent_random_new(1, DESCENT_RANDOM_TEST, 1);
    int high[CELLS] = {0}, low[CELLS] = {0};
    double sum = 0, squares = 0;
    for (int i = 0; i < DRAWS; i++) {
        double x = descent_random_uniform(&random);
        assert_true(x >= 0 && x < 1);
        sum += x;
        squares += (x - 0.5) * (x - 0.5);
        high[(int)(x * CELLS)]++;
        low[(uint64_t)(x * 0x1p53) % CELLS]++; /* the last of the 53 bits are random as well */
    }
    assert_true(fabs(sum / DRAWS - 0.5) < 5 * sqrt(1.0 / 12 / DRAWS));
    assert_true(fabs(squares / DRAWS - 1.0 / 12) < 5 * sqrt(1.0 / 180 / DRAWS));
    assert_true(fabs(chi_square(high, CELLS, DRAWS)) < 5);
    assert_true(fabs(chi_square(low, CELLS, DRAWS)) < 5);
}

static void normal_has_the_moments_and_tails_of_the_normal(void **state)
{
    (void)state;
    enum { DRAWS = 400000, CELLS = 64 };
    struct descent_random random = descent_random_new(1, DESCENT_RANDOM_TEST, 2);
    double power[5] = {0};
    int count[CELLS] = {0};
    for (int i = 0; i < DRAWS; i++) {
        double x = descent_random_normal(&random), p = 1;
        for (int k = 1; k <= 4; k++)
            power[k] += p *= x;
        int cell = (int)(0.5 * erfc(-x / sqrt(2)) * CELLS); /* the distribution function makes it uniform */
        count[cell < CELLS ? cell : CELLS - 1]++;
    }
    assert_true(fabs(power[1] / DRAWS) < 5 * sqrt(1.0 / DRAWS));
    assert_true(fabs(power[2] / DRAWS - 1) < 5 * sqrt(2.0 / DRAWS));
    assert_true(fabs(power[3] / DRAWS) < 5 * sqrt(15.0 / DRAWS));
    assert_true(fabs(power[4] / DRAWS - 3) < 5 * sqrt(96.0 / DRAWS));
    assert_true(fabs(chi_square(count, CELLS, DRAWS)) < 5);
}

static void below_is_uniform_and_below_its_bound(void **state)
{
    (void)state;
    enum { DRAWS = 100000 };
    struct descent_random random = descent_random_new(1, DESCENT_RANDOM_TEST, 3);
    const int bounds[] = {1, 2, 3, 7, 10, 100};
    for (size_t b = 0; b < sizeof bounds / sizeof *bounds; b++) {
        int count[100] = {0};
        for (int i = 0; i < DRAWS; i++) {
            uint64_t x = descent_random_below(&random, (uint64_t)bounds[b]);
            assert_true(x < (uint64_t)bounds[b]);
            count[x]++;
        }
        if (bounds[b] > 1)
            assert_true(fabs(chi_square(count, bounds[b], DRAWS)) < 5);
    }
}

/* A plain remainder by 3/4 of 2^64 hits the first third half of the time. */
static void below_is_unbiased_for_huge_bounds(void **state)
{
    (void)state;
    enum { DRAWS = 60000 };
    struct descent_random random = descent_random_new(1, DESCENT_RANDOM_TEST, 4);
    const uint64_t third = (uint64_t)1 << 62;
    int count[3] = {0};
    for (int i = 0; i < DRAWS; i++) {
        uint64_t x = descent_random_below(&random, 3 * third);
        assert_true(x < 3 * third);
        count[x / third]++;
    }
    assert_true(fabs(chi_square(count, 3, DRAWS)) < 5);
    assert_true(random.next > DRAWS); /* 1 in 16 draws refuses both words of its first block */
}

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static void shuffle_keeps_the_elements(void **state)
{
    (void)state;
    enum { COUNT = 60001 };
    static uint32_t order[COUNT];
    int fixed = 0;
    for (uint32_t i = 0; i < COUNT; i++)
        order[i] = i;
    struct descent_random random = descent_random_new(1, DESCENT_RANDOM_TEST, 5);
    descent_random_shuffle(&random, order, 0);
    descent_random_shuffle(&random, order, 1);
    assert_int_equal(random.next, 0);
    descent_random_shuffle(&random, order, COUNT);
    for (uint32_t i = 0; i < COUNT; i++)
        fixed += order[i] == i;
    assert_in_range(fixed, 0, 10); /* Poisson with mean 1 */
    qsort(order, COUNT, sizeof *order, compare);
    for (uint32_t i = 0; i < COUNT; i++)
        assert_int_equal(order[i], i);
}

static void shuffle_gives_all_24_orders_of_4_equally_often(void **state)
{
    (void)state;
    enum { DRAWS = 120000 };
    struct descent_random random = descent_random_new(1, DESCENT_RANDOM_TEST, 6);
    int count[24] = {0};
    for (int i = 0; i < DRAWS; i++) {
        uint32_t order[4] = {0, 1, 2, 3};
        descent_random_shuffle(&random, order, 4);
        int rank = 0; /* Lehmer code */
        for (int j = 0; j < 4; j++) {
            int smaller = 0;
            for (int k = j + 1; k < 4; k++)
                smaller += order[k] < order[j];
            rank = rank * (4 - j) + smaller;
        }
        count[rank]++;
    }
    assert_true(fabs(chi_square(count, 24, DRAWS)) < 5);
}

static void hash_gives_the_published_fnv_1a_values(void **state)
{
    (void)state;
    assert_true(descent_hash("") == 0xcbf29ce484222325u);
    assert_true(descent_hash("a") == 0xaf63dc4c8601ec8cu);
    assert_true(descent_hash("foobar") == 0x85944171f73967e8u);
    assert_true(descent_hash("\xff") == 0xaf64724c8602eb6eu); /* bytes are unsigned */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(philox_gives_the_published_vectors),
        cmocka_unit_test(a_seed_means_the_same_numbers_forever),
        cmocka_unit_test(sequential_draws_are_the_blocks_in_order),
        cmocka_unit_test(seeds_purposes_and_streams_are_independent),
        cmocka_unit_test(uniform_fills_the_unit_interval_evenly),
        cmocka_unit_test(normal_has_the_moments_and_tails_of_the_normal),
        cmocka_unit_test(below_is_uniform_and_below_its_bound),
        cmocka_unit_test(below_is_unbiased_for_huge_bounds),
        cmocka_unit_test(shuffle_keeps_the_elements),
        cmocka_unit_test(shuffle_gives_all_24_orders_of_4_equally_often),
        cmocka_unit_test(hash_gives_the_published_fnv_1a_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
