/* Optimizers against PyTorch's trajectories (vectors/make_optimizers.py). Built in float
 * and in double. Errors are measured against the distance moved, not against the values. */
#include "base/isa.h"
#include "tests/optim/problem.h"

enum { MOST_ROWS = 64 };

/* Runs an optimizer for LAST steps; calls check(..., t) after each. */
typedef void check_function(const struct problem *p, int t, const struct descent_json *row,
                            const char *spec);

static void run(const char *spec, double clip, const struct descent_json *row, struct problem *p,
                check_function *check)
{
    start(p);
    struct optim *optim = optim_new(spec, p->params, TENSORS);
    if (!optim)
        fail_msg("%s: %s", spec, descent_error());
    assert_int_equal(optim_clip(optim, clip), DESCENT_OK);
    for (int t = 1; t <= LAST; t++) {
        set_gradients(p, t);
        assert_int_equal(optim_step(optim), DESCENT_OK);
        if (check)
            check(p, t, row, spec);
    }
    optim_free(optim);
}

static struct descent_json *vectors;

static int load(void **state)
{
    (void)state;
    vectors = read_vectors("vectors/optimizers.json");
    return 0;
}

static int unload(void **state)
{
    (void)state;
    descent_json_free(vectors);
    return 0;
}

static void compare(const struct problem *p, int t, const struct descent_json *row, const char *spec)
{
    const struct descent_json *expected = values_after(row, t);
    double tolerance = in_double ? 1e-9 : 1e-4;
    if (expected && !(error(p, expected, TENSORS, 0) <= tolerance))
        fail_msg("%s after %d steps: off by %.2g of the distance moved (%s)", spec, t,
                 error(p, expected, TENSORS, 0), getenv("DESCENT_ISA"));
}

static void trajectories_are_those_of_pytorch(void **state)
{
    (void)state;
    const struct descent_json *rows = descent_json_get(vectors, "optimizers");
    assert_int_equal(descent_json_count(rows), 28);
    for (enum descent_isa isa = 0; isa < DESCENT_ISA_COUNT; isa++) {
        setenv("DESCENT_ISA", descent_isa_name(isa), 1);
        for (int i = 0; i < descent_json_count(rows); i++) {
            const struct descent_json *row = descent_json_at(rows, i);
            struct problem p;
            run(descent_json_text(row, "spec", ""), descent_json_number(row, "clip", 0), row, &p, compare);
        }
    }
    unsetenv("DESCENT_ISA");
}

/* A vector that another rule or setting would pass proves nothing. The rows hold SGD's and Adam's own. */
static void every_vector_fails_every_other_rule_and_no_rule(void **state)
{
    (void)state;
    const struct descent_json *rows = descent_json_get(vectors, "optimizers");
    struct problem end[MOST_ROWS + 1];
    int count = descent_json_count(rows);
    assert_in_range(count, 1, MOST_ROWS);
    for (int i = 0; i < count; i++) {
        const struct descent_json *row = descent_json_at(rows, i);
        run(descent_json_text(row, "spec", ""), descent_json_number(row, "clip", 0), row, &end[i], NULL);
    }
    start(&end[count]);
    for (int i = 0; i < count; i++) {
        const struct descent_json *row = descent_json_at(rows, i);
        const struct descent_json *expected = values_after(row, LAST);
        for (int j = 0; j <= count; j++)
            if (j != i && error(&end[j], expected, TENSORS, 0) < 1e-3)
                fail_msg("%s passes for %s",
                         j < count ? descent_json_text(descent_json_at(rows, j), "spec", "") : "no-op",
                         descent_json_text(row, "spec", ""));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(trajectories_are_those_of_pytorch),
        cmocka_unit_test(every_vector_fails_every_other_rule_and_no_rule),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
