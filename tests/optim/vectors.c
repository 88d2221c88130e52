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

/* ---- Adafactor over the two largest axes (vectors/make_adafactor.py) ---- */

enum { SHAPES = 3, LARGEST = 48 };

struct shaped {
    descent_real value[SHAPES][LARGEST], grad[SHAPES][LARGEST], first[SHAPES][LARGEST];
    struct descent_param params[SHAPES];
};

static void start_shaped(struct shaped *p, const struct descent_json *shapes)
{
    static const char *const names[SHAPES] = {"c", "d", "e"};
    for (int i = 0; i < SHAPES; i++) {
        const struct descent_json *shape = descent_json_at(shapes, i);
        struct descent_param *param = &p->params[i];
        *param = (struct descent_param){
            .name = names[i], .rank = descent_json_count(shape), .value = p->value[i], .grad = p->grad[i]};
        param->size = 1;
        for (int k = 0; k < param->rank; k++) {
            double size = 0;
            assert_true(descent_json_as_number(descent_json_at(shape, k), &size));
            param->shape[k] = (int64_t)size;
            param->size *= param->shape[k];
        }
        assert_in_range(param->size, 1, LARGEST);
        for (int64_t k = 0; k < param->size; k++)
            p->value[i][k] = p->first[i][k] = (descent_real)sin(2.3 * (double)k + i);
    }
}

/* Of the distance moved, the largest of a tensor. */
static double shaped_error(const struct shaped *p, const struct descent_json *expected)
{
    double largest = 0;
    for (int i = 0; i < SHAPES; i++) {
        double off = 0, moved = 0;
        for (int k = 0; k < p->params[i].size; k++) {
            double x;
            assert_true(descent_json_as_number(descent_json_at(descent_json_at(expected, i), k), &x));
            off += pow((double)p->value[i][k] - x, 2);
            moved += pow((double)p->first[i][k] - x, 2);
        }
        largest = fmax(largest, sqrt(off / moved));
    }
    return largest;
}

static double shaped_run(const struct descent_json *json, const struct descent_json *row, const char *spec)
{
    static struct shaped p;
    double largest = 0;
    start_shaped(&p, descent_json_get(json, "shapes"));
    struct optim *optim = optim_new(spec, p.params, SHAPES);
    if (!optim)
        fail_msg("%s: %s", spec, descent_error());
    for (int t = 1; t <= LAST; t++) {
        for (int i = 0; i < SHAPES; i++)
            for (int k = 0; k < p.params[i].size; k++)
                p.grad[i][k] = (descent_real)(sin(1.7 * t + 0.9 * k) * (1 + 0.3 * k));
        assert_int_equal(optim_step(optim), DESCENT_OK);
        const struct descent_json *expected = values_after(row, "values", t);
        largest = expected ? fmax(largest, shaped_error(&p, expected)) : largest;
    }
    optim_free(optim);
    return largest;
}

/* optax computes t^power in float32. */
static void adafactor_factors_the_largest_axes_as_optax_does(void **state)
{
    (void)state;
    struct descent_json *json = read_vectors("vectors/adafactor.json");
    const struct descent_json *rows = descent_json_get(json, "rows");
    assert_int_equal(descent_json_count(rows), 2);
    for (int i = 0; i < 2; i++) {
        const struct descent_json *row = descent_json_at(rows, i);
        const char *spec = descent_json_text(row, "spec", "");
        char last[100];
        double off = shaped_run(json, row, spec);
        if (!(off <= (in_double ? 1e-7 : 1e-4)))
            fail_msg("%s: off by %.2g of the distance moved", spec, off);
        evidence("adafactor", "adafactor(axes=largest)", descent_json_text(json, "oracle", ""), 1, off);
        snprintf(last, sizeof last, "%s", spec);
        char *axes = strstr(last, ",axes=");
        assert_non_null(axes);
        *axes = 0;
        assert_true(shaped_run(json, row, last) > 1e-2);
    }
    descent_json_free(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(adafactor_factors_the_largest_axes_as_optax_does),
        cmocka_unit_test(trajectories_are_those_of_the_oracles),
        cmocka_unit_test(every_vector_fails_every_other_rule_and_no_rule),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
