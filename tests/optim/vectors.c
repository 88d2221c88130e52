/* Optimizers against trajectories of PyTorch's and of their authors' own (vectors/make_optimizers.py).
 * Built in float and in double. Errors are measured against the distance moved, not against the values. */
#include "base/isa.h"
#include "tests/optim/evidence.h"
#include "tests/optim/problem.h"

enum { MOST_ROWS = 64 };

/* Runs a row's optimizer for LAST steps; calls check(..., t) after each. */
typedef void check_function(const struct problem *p, struct optim *optim, int t,
                            const struct descent_json *row);

static void run(const struct descent_json *row, struct problem *p, check_function *check)
{
    const char *spec = descent_json_text(row, "spec", "");
    double fade = descent_json_number(row, "fade", 0);
    start(p);
    struct optim *optim = optim_new(spec, p->params, TENSORS);
    if (!optim)
        fail_msg("%s: %s", spec, descent_error());
    assert_int_equal(optim_clip(optim, descent_json_number(row, "clip", 0)), DESCENT_OK);
    for (int t = 1; t <= LAST; t++) {
        set_gradients(p, t);
        for (int i = 0; i < TENSORS; i++)
            for (int k = 0; k < p->params[i].size; k++)
                p->params[i].grad[k] *= (descent_real)pow(fade, t - 1);
        assert_int_equal(optim_step(optim), DESCENT_OK);
        if (check)
            check(p, optim, t, row);
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

static double worst; /* error, of what has been compared since this was set to 0 */

static void assert_near(const struct problem *p, int t, const struct descent_json *row, const char *what)
{
    const struct descent_json *expected = values_after(row, what, t);
    double tolerance = in_double ? 1e-9 : 1e-4, off = expected ? error(p, expected, TENSORS, 0) : 0;
    if (!(off <= tolerance))
        fail_msg("%s: %s after %d steps are off by %.2g of the distance moved (%s)",
                 descent_json_text(row, "spec", ""), what, t, off, getenv("DESCENT_ISA"));
    worst = fmax(worst, off);
}

static void compare(const struct problem *p, struct optim *optim, int t, const struct descent_json *row)
{
    assert_near(p, t, row, "values");
    assert_int_equal(optim_has_evaluation(optim), descent_json_get(row, "eval") != NULL);
    assert_int_equal(optim_evaluation_begin(optim), DESCENT_OK);
    assert_near(p, t, row, "eval");
    optim_evaluation_end(optim);
}

static void trajectories_are_those_of_the_oracles(void **state)
{
    (void)state;
    const struct descent_json *rows = descent_json_get(vectors, "optimizers");
    assert_int_equal(descent_json_count(rows), 50);
    for (int i = 0; i < descent_json_count(rows); i++) {
        const struct descent_json *row = descent_json_at(rows, i);
        const char *spec = descent_json_text(row, "spec", "");
        worst = 0;
        for (enum descent_isa isa = 0; isa < DESCENT_ISA_COUNT; isa++) {
            struct problem p;
            setenv("DESCENT_ISA", descent_isa_name(isa), 1);
            run(row, &p, compare);
        }
        evidence(evidence_subject(spec), evidence_subject(spec), descent_json_text(row, "oracle", ""), 1,
                 worst);
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
    for (int i = 0; i < count; i++)
        run(descent_json_at(rows, i), &end[i], NULL);
    start(&end[count]);
    for (int i = 0; i < count; i++) {
        const struct descent_json *row = descent_json_at(rows, i);
        const struct descent_json *expected = values_after(row, "values", LAST);
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
        cmocka_unit_test(trajectories_are_those_of_the_oracles),
        cmocka_unit_test(every_vector_fails_every_other_rule_and_no_rule),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
