/* Every optimizer and schedule against PyTorch's trajectories (vectors/make_optimizers.py). Built in float
 * and in double. Errors are measured against the distance moved, not against the values. */
#include "base/file.h"
#include "base/isa.h"
#include "base/json.h"
#include "optim/optim.h"
#include "tests/test.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { TENSORS = 2, A = 6, B = 4, LAST = 50, MOST_ROWS = 64 };

static const bool in_double = sizeof(descent_real) == sizeof(double);

struct problem {
    descent_real a[A], b[B], grad_a[A], grad_b[B];
    struct descent_param params[TENSORS];
};

static void start(struct problem *p)
{
    for (int k = 0; k < A; k++)
        p->a[k] = (descent_real)(0.5 * k - 1.2);
    for (int k = 0; k < B; k++)
        p->b[k] = (descent_real)(0.3 * k - 0.4);
    p->params[0] = (struct descent_param){
        .name = "a", .rank = 2, .shape = {2, 3}, .size = A, .value = p->a, .grad = p->grad_a};
    p->params[1] = (struct descent_param){
        .name = "b", .rank = 1, .shape = {4}, .size = B, .value = p->b, .grad = p->grad_b};
}

static void set_gradients(struct problem *p, int t)
{
    for (int k = 0; k < A; k++)
        p->grad_a[k] = (descent_real)(sin(1.7 * t + 0.9 * k) * (1 + 0.5 * k));
    for (int k = 0; k < B; k++)
        p->grad_b[k] = (descent_real)cos(1.3 * t + 0.7 * k);
}

/* The largest, over both tensors, of ||values - expected|| / ||expected - start||. */
static double error(const struct problem *p, const struct descent_json *expected)
{
    struct problem origin;
    double worst = 0;
    start(&origin);
    for (int i = 0; i < TENSORS; i++) {
        const struct descent_json *values = descent_json_at(expected, i);
        double off = 0, moved = 0;
        assert_int_equal(descent_json_count(values), p->params[i].size);
        for (int k = 0; k < p->params[i].size; k++) {
            double x;
            assert_true(descent_json_as_number(descent_json_at(values, k), &x));
            off += pow((double)p->params[i].value[k] - x, 2);
            moved += pow((double)origin.params[i].value[k] - x, 2);
        }
        worst = fmax(worst, sqrt(off / moved));
    }
    return worst;
}

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
    char *text;
    size_t size;
    (void)state;
    assert_int_equal(descent_file_read("vectors/optimizers.json", 1 << 20, &text, &size), DESCENT_OK);
    vectors = descent_json_parse("optimizers.json", text, size);
    free(text);
    assert_non_null(vectors);
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
    char key[16];
    snprintf(key, sizeof key, "%d", t);
    const struct descent_json *expected = descent_json_get(descent_json_get(row, "values"), key);
    double tolerance = in_double ? 1e-9 : 1e-4;
    if (expected && !(error(p, expected) <= tolerance))
        fail_msg("%s after %d steps: off by %.2g of the distance moved (%s)", spec, t, error(p, expected),
                 getenv("DESCENT_ISA"));
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
        const struct descent_json *expected = descent_json_get(descent_json_get(row, "values"), "50");
        for (int j = 0; j <= count; j++)
            if (j != i && error(&end[j], expected) < 1e-3)
                fail_msg("%s passes for %s",
                         j < count ? descent_json_text(descent_json_at(rows, j), "spec", "") : "no-op",
                         descent_json_text(row, "spec", ""));
    }
}

static void every_algorithm_has_a_vector(void **state)
{
    (void)state;
    int count;
    const struct optim_algorithm *const *algorithms = optim_algorithms(&count);
    const struct descent_json *rows = descent_json_get(vectors, "optimizers");
    for (int i = 0; i < count; i++) {
        size_t length = strlen(algorithms[i]->name);
        bool found = false;
        for (int j = 0; j < descent_json_count(rows); j++) {
            const char *spec = descent_json_text(descent_json_at(rows, j), "spec", "");
            found = found || (strncmp(spec, algorithms[i]->name, length) == 0 && spec[length] == ':');
        }
        if (!found)
            fail_msg("%s has no reference vector", algorithms[i]->name);
    }
}

static void schedules_are_those_of_pytorch(void **state)
{
    (void)state;
    const struct descent_json *rows = descent_json_get(vectors, "schedules");
    assert_int_equal(descent_json_count(rows), 6);
    for (int i = 0; i < descent_json_count(rows); i++) {
        const struct descent_json *row = descent_json_at(rows, i), *lr = descent_json_get(row, "lr");
        const char *spec = descent_json_text(row, "spec", "");
        struct problem p;
        start(&p);
        struct optim *optim = optim_new("sgd:lr=1", p.params, TENSORS);
        int total = (int)descent_json_number(row, "total", 0);
        assert_int_equal(optim_schedule(optim, spec, total, 10), DESCENT_OK);
        assert_int_equal(descent_json_count(lr), total);
        for (int e = 0; e < total; e++) {
            double expected;
            assert_true(descent_json_as_number(descent_json_at(lr, e), &expected));
            if (!(fabs(optim_lr_at(optim, e) - expected) <= 1e-12))
                fail_msg("%s after %d steps: %.17g; expected %.17g", spec, e, optim_lr_at(optim, e),
                         expected);
        }
        optim_free(optim);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(trajectories_are_those_of_pytorch),
        cmocka_unit_test(every_vector_fails_every_other_rule_and_no_rule),
        cmocka_unit_test(every_algorithm_has_a_vector),
        cmocka_unit_test(schedules_are_those_of_pytorch),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
