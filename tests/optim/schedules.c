/* Every schedule against reference courses (vectors/make_schedules.py), and what schedules promise: closed
 * forms, continuity, composition, options that are named when they are wrong. */
#include "optim/schedule.h"

#include "base/file.h"
#include "base/json.h"
#include "tests/test.h"

#include <stdlib.h>
#include <string.h>

static struct descent_json *vectors;

static int load(void **state)
{
    char *text;
    size_t size;
    (void)state;
    assert_int_equal(descent_file_read("vectors/schedules.json", 1 << 20, &text, &size), DESCENT_OK);
    vectors = descent_json_parse("schedules.json", text, size);
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

static struct optim_schedule *must_make(const char *spec, int64_t total, int64_t per_epoch)
{
    struct optim_schedule *schedule = optim_schedule_new(spec, total, per_epoch);
    static double memory[OPTIM_SCHEDULE_MEMORY];
    if (!schedule)
        fail_msg("%s: %s", spec, descent_error());
    memset(memory, 0, sizeof memory);
    optim_schedule_set_memory(schedule, memory);
    return schedule;
}

static double rate(const char *spec, int64_t total, int64_t step)
{
    struct optim_schedule *schedule = must_make(spec, total, 10);
    double lr = optim_schedule_rate(schedule, 1, step);
    optim_schedule_free(schedule);
    return lr;
}

static double item(const struct descent_json *list, int i)
{
    double number;
    assert_true(descent_json_as_number(descent_json_at(list, i), &number));
    return number;
}

static void assert_near(const char *spec, const char *what, int64_t step, double found, double expected)
{
    if (!(fabs(found - expected) <= 1e-12 * fabs(expected)))
        fail_msg("%s: %s after %lld steps is %.17g; expected %.17g", spec, what, (long long)step, found,
                 expected);
}

static void courses_are_those_of_the_reference(void **state)
{
    (void)state;
    const struct descent_json *rows = descent_json_get(vectors, "schedules");
    assert_int_equal(descent_json_count(rows), 40);
    for (int i = 0; i < descent_json_count(rows); i++) {
        const struct descent_json *row = descent_json_at(rows, i), *lr = descent_json_get(row, "lr");
        const struct descent_json *momentum = descent_json_get(row, "momentum");
        const struct descent_json *report = descent_json_get(row, "report");
        const char *spec = descent_json_text(row, "spec", "");
        int total = (int)descent_json_number(row, "total", 0);
        struct optim_schedule *schedule = must_make(spec, total, 1);
        assert_int_equal(optim_schedule_follows(schedule), report != NULL);
        assert_in_range(descent_json_count(lr), total, total + 1);
        for (int e = 0; e < descent_json_count(lr); e++) {
            assert_near(spec, "lr", e, optim_schedule_rate(schedule, 1, e), item(lr, e));
            assert_near(spec, "momentum", e, optim_schedule_momentum(schedule, 0.9, e),
                        momentum ? item(momentum, e) : 0.9);
            if (report && e < descent_json_count(report))
                optim_schedule_report(schedule, item(report, e));
        }
        optim_schedule_free(schedule);
    }
}

static void later_steps_are_those_of_the_reference(void **state)
{
    (void)state;
    const struct descent_json *rows = descent_json_get(vectors, "schedules");
    int found = 0;
    for (int i = 0; i < descent_json_count(rows); i++) {
        const struct descent_json *row = descent_json_at(rows, i), *at = descent_json_get(row, "at");
        const char *spec = descent_json_text(row, "spec", "");
        struct optim_schedule *schedule = must_make(spec, (int)descent_json_number(row, "total", 0), 1);
        for (int64_t step = 10000; at && step <= 1000000; step *= 100) {
            double expected = descent_json_number(at, step == 10000 ? "10000" : "1000000", NAN);
            assert_near(spec, "lr", step, optim_schedule_rate(schedule, 1, step), expected);
            found++;
        }
        optim_schedule_free(schedule);
    }
    assert_int_equal(found, 16);
}

/* Whether the spec has a part of that name. */
static bool uses(const char *spec, const char *name)
{
    size_t length = strlen(name);
    for (const char *at = spec; at; at = strchr(at, '+')) {
        at += *at == '+';
        if (strncmp(at, name, length) == 0 && (at[length] == 0 || strchr(":+", at[length])))
            return true;
    }
    return false;
}

static void every_schedule_has_a_vector_that_the_plain_lr_fails(void **state)
{
    (void)state;
    int count;
    const struct optim_schedule_kind *const *kinds = optim_schedule_kinds(&count);
    const struct descent_json *rows = descent_json_get(vectors, "schedules");
    for (int i = 0; i < count; i++) {
        bool found = false;
        for (int j = 0; j < descent_json_count(rows); j++) {
            const struct descent_json *row = descent_json_at(rows, j), *lr = descent_json_get(row, "lr");
            double change = 0;
            for (int e = 0; e < descent_json_count(lr); e++)
                change = fmax(change, fabs(item(lr, e) - 1));
            found = found || (change > 0.1 && uses(descent_json_text(row, "spec", ""), kinds[i]->name));
        }
        if (!found)
            fail_msg("schedule %s has no reference vector", kinds[i]->name);
    }
}

static void cycled_momentum_reaches_the_rule(void **state)
{
    (void)state;
    const struct descent_json *rows = descent_json_get(vectors, "trajectories");
    assert_int_equal(descent_json_count(rows), 4);
    for (int i = 0; i < descent_json_count(rows); i++) {
        const struct descent_json *row = descent_json_at(rows, i),
                                  *values = descent_json_get(row, "values");
        descent_real b[4], grad[4];
        struct descent_param param = {
            .name = "b", .rank = 1, .shape = {4}, .size = 4, .value = b, .grad = grad};
        for (int k = 0; k < 4; k++)
            b[k] = (descent_real)(0.3 * k - 0.4);
        struct optim *optim = optim_new(descent_json_text(row, "spec", ""), &param, 1);
        assert_non_null(optim);
        assert_int_equal(optim_schedule(optim, descent_json_text(row, "schedule", ""), 10, 10), DESCENT_OK);
        for (int t = 1; t <= 10; t++) {
            for (int k = 0; k < 4; k++)
                grad[k] = (descent_real)cos(1.3 * t + 0.7 * k);
            assert_int_equal(optim_step(optim), DESCENT_OK);
            double tolerance = sizeof(descent_real) == sizeof(double) ? 1e-12 : 1e-6;
            for (int k = 0; k < 4; k++)
                if (!(fabs((double)b[k] - item(descent_json_at(values, t - 1), k)) <= tolerance))
                    fail_msg("%s under %s: element %d after %d steps is %.9g; expected %.9g",
                             descent_json_text(row, "spec", ""), descent_json_text(row, "schedule", ""), k,
                             t, (double)b[k], item(descent_json_at(values, t - 1), k));
        }
        optim_free(optim);
    }
}

/* A complete schedule around one of any role. */
static const char *complete(const struct optim_schedule_kind *kind)
{
    static char spec[100];
    static const char *const formats[] = {[OPTIM_SCHEDULE] = "%s",
                                          [OPTIM_SCHEDULE_WRAP] = "cosine+%s",
                                          [OPTIM_SCHEDULE_JOIN] = "linear+%s+cosine"};
    const char *hole = strchr(formats[kind->role], '%');
    snprintf(spec, sizeof spec, "%.*s%s%s", (int)(hole - formats[kind->role]), formats[kind->role],
             kind->name, hole + 2);
    return spec;
}

static void every_schedule_is_finite_far_beyond_the_end_and_for_any_length(void **state)
{
    (void)state;
    static const int64_t steps[] = {0, 1, 2, 999, 1000, 1001, 1000000, INT64_C(1) << 52};
    int count;
    const struct optim_schedule_kind *const *kinds = optim_schedule_kinds(&count);
    for (int i = 0; i < count; i++)
        for (int64_t total = 10; total <= 1000000; total *= 100)
            for (size_t k = 0; k < sizeof steps / sizeof *steps; k++) {
                struct optim_schedule *schedule = must_make(complete(kinds[i]), total, total / 10);
                double lr = optim_schedule_rate(schedule, 0.5, steps[k]);
                double momentum = optim_schedule_momentum(schedule, 0.5, steps[k]);
                if (!(lr >= 0 && lr <= (uses("range_test", kinds[i]->name) ? 10 : 0.5)))
                    fail_msg("%s: lr %g after %lld of %lld steps", kinds[i]->name, lr, (long long)steps[k],
                             (long long)total);
                if (!(momentum >= 0 && momentum < 1))
                    fail_msg("%s: momentum %g after %lld of %lld steps", kinds[i]->name, momentum,
                             (long long)steps[k], (long long)total);
                optim_schedule_free(schedule);
            }
}

static void shortest_runs_are_finite(void **state)
{
    (void)state;
    static const char *const specs[] = {
        "constant",
        "exponential",
        "linear",
        "polynomial",
        "cosine",
        "one_cycle",
        "one_cycle:rise=0",
        "one_cycle:rise=1",
        "one_cycle:rise=0.5,three_phase",
        "cyclic:1,down=0",
        "wsd",
        "inverse_sqrt:1",
        "inverse_time",
        "sgdr:1",
        "step:1",
        "multistep",
        "range_test",
        "cosine+warmup:1",
        "one_cycle+warmup:100%",
        "linear+warmup:5",
    };
    for (size_t i = 0; i < sizeof specs / sizeof *specs; i++)
        for (int64_t total = 1; total <= 4; total++)
            for (int64_t step = 0; step <= 5; step++) {
                double lr = rate(specs[i], total, step);
                if (!(lr >= 0 && lr <= 10))
                    fail_msg("%s: lr %g after %lld of %lld steps", specs[i], lr, (long long)step,
                             (long long)total);
            }
}

static void decays_never_rise(void **state)
{
    (void)state;
    static const char *const specs[] = {
        "step",
        "multistep",
        "exponential",
        "linear",
        "polynomial",
        "cosine",
        "wsd",
        "wsd:shape=sqrt",
        "wsd:shape=square",
        "wsd:shape=cosine,min=0.2",
        "inverse_time",
        "inverse_sqrt:1",
        "constant+then:50%+linear",
        "exponential+step",
    };
    for (size_t i = 0; i < sizeof specs / sizeof *specs; i++) {
        struct optim_schedule *schedule = must_make(specs[i], 100, 10);
        assert_true(optim_schedule_rate(schedule, 1, 0) == 1);
        for (int e = 0; e < 120; e++)
            if (optim_schedule_rate(schedule, 1, e + 1) > optim_schedule_rate(schedule, 1, e))
                fail_msg("%s rises after step %d", specs[i], e);
        assert_true(optim_schedule_rate(schedule, 1, 100) < 1);
        optim_schedule_free(schedule);
    }
}

/* In a run of N steps no step changes lr by more than a few Nths, but for the roots' steep ends. */
static void smooth_courses_have_no_jumps(void **state)
{
    (void)state;
    static const char *const specs[] = {
        "exponential:every=10%",
        "linear",
        "polynomial:2",
        "cosine:min=0.1",
        "one_cycle",
        "cyclic",
        "one_cycle:shape=linear,three_phase",
        "cyclic:mode=triangular2",
        "inverse_sqrt",
        "wsd",
        "wsd:shape=cosine",
        "wsd:shape=square",
        "cosine+warmup",
        "linear+warmup_exponential",
        "constant+then:50%+cosine",
        "wsd:20%+warmup:20%",
    };
    enum { TOTAL = 100000 };
    for (size_t i = 0; i < sizeof specs / sizeof *specs; i++) {
        struct optim_schedule *schedule = must_make(specs[i], TOTAL, TOTAL / 10);
        for (int e = 0; e < TOTAL + 10; e++)
            if (fabs(optim_schedule_rate(schedule, 1, e + 1) - optim_schedule_rate(schedule, 1, e)) >
                110.0 / TOTAL)
                fail_msg("%s jumps after step %d", specs[i], e);
        optim_schedule_free(schedule);
    }
}

static void simpler_schedules_are_special_cases(void **state)
{
    (void)state;
    static const char *const same[][2] = {
        {"polynomial:1", "linear"},
        {"sgdr:100%,multiplier=1", "cosine"},
        {"multistep:30/60/90", "step:30"},
        {"wsd:100%", "linear"},
        {"wsd:100%,shape=cosine,min=0.1", "cosine:min=0.1"},
        {"wsd:20%", "constant+then:80%+linear"},
        {"constant:0.5", "linear:0.5,start=0.5"},
        {"exponential:0.81,every=2", "exponential:0.9,every=1"},
        {"cosine+constant", "constant+cosine"},
        {"exponential+step", "step+exponential"},
        {"cosine+warmup:0", "cosine"},
        {"constant+then:1ep+constant:0.5+then:2ep+constant:0.25",
         "step:10,gamma=0.5+then:30+constant:0.25"},
    };
    for (size_t i = 0; i < sizeof same / sizeof *same; i++)
        for (int e = 0; e < 100; e++)
            if (!(fabs(rate(same[i][0], 100, e) - rate(same[i][1], 100, e)) <= 1e-15))
                fail_msg("%s and %s differ after %d steps", same[i][0], same[i][1], e);
}

static void sequence_counts_from_0_in_each_of_its_schedules(void **state)
{
    (void)state;
    assert_true(rate("cosine+then:40+cosine", 100, 20) == 0.5);
    assert_true(rate("cosine+then:40+cosine", 100, 40) == 1);
    assert_true(rate("cosine+then:40+cosine", 100, 70) == 0.5);
    assert_true(rate("constant+then:50%+cosine+warmup:10", 100, 54) == 0.5);
    assert_true(rate("constant+then:50%+cosine+warmup:10", 100, 80) == 0.5);
    assert_true(rate("constant:0.1+then:20%+constant:0.2+then:40%+constant:0.3", 100, 39) == 0.2);
    assert_true(rate("constant:0.1+then:20%+constant:0.2+then:40%+constant:0.3", 100, 40) == 0.3);
}

/* What warms up waits; what multiplies goes on. */
static void product_multiplies_at_the_same_step(void **state)
{
    (void)state;
    assert_true(fabs(rate("cosine+step:25,gamma=0.5", 100, 50) - 0.5 * 0.25) < 1e-15);
    assert_true(fabs(rate("cosine+warmup:20+step:25,gamma=0.5", 100, 60) - 0.5 * 0.25) < 1e-15);
    struct optim_schedule *schedule = must_make("one_cycle:rise=0.5+warmup:20", 101, 1);
    assert_true(fabs(optim_schedule_momentum(schedule, 0.5, 10) - 0.95) < 1e-15);
    assert_true(optim_schedule_momentum(schedule, 0.5, 60) < 0.8501);
    assert_true(optim_schedule_momentum(NULL, 0.5, 60) == 0.5 && optim_schedule_rate(NULL, 0.5, 60) == 0.5);
    optim_schedule_free(schedule);
}

/* A warm-up as long as the run leads to where the schedule would have begun. */
static void a_warmup_of_the_whole_run_ends_where_the_schedule_begins(void **state)
{
    (void)state;
    assert_true(rate("constant:0.5+warmup:100%", 100, 99) == 0.5);
    assert_true(rate("constant:0.5+warmup:100%", 100, 49) == 0.25);
    assert_true(rate("linear:start=0.5+warmup:100%", 100, 99) == 0.5);
    assert_true(rate("one_cycle+warmup:100%", 100, 99) == 1.0 / 25);
    struct optim_schedule *schedule = must_make("one_cycle+warmup:100%", 100, 1);
    assert_true(optim_schedule_momentum(schedule, 0.5, 99) == 0.95);
    optim_schedule_free(schedule);
}

static struct optim *on_a_plateau(struct descent_param *param)
{
    struct optim *optim = optim_new("sgd:lr=1", param, 1);
    assert_non_null(optim);
    assert_false(optim_follows_reports(optim));
    assert_int_equal(optim_schedule(optim, "cosine+plateau:1,factor=0.5", 100, 10), DESCENT_OK);
    assert_true(optim_follows_reports(optim));
    return optim;
}

static void what_a_plateau_remembers_is_saved_and_restored(void **state)
{
    (void)state;
    descent_real x = 1, g = 1;
    struct descent_param param = {.name = "x", .rank = 0, .size = 1, .value = &x, .grad = &g};
    struct optim *a = on_a_plateau(&param), *b = on_a_plateau(&param);
    double reports[] = {1, NAN, 2, 0.9, 1, 1, 1, 1, 0.5};
    for (int i = 0; i < 9; i++) {
        struct descent_tensor saved[2];
        assert_int_equal(optim_state_count(a), 2);
        saved[1] = optim_state_get(a, 0);
        saved[0] = optim_state_get(a, 1);
        assert_string_equal(saved[0].name, "sgd.schedule");
        assert_int_equal(optim_state_load(b, saved, 2), DESCENT_OK);
        assert_true(optim_lr_at(a, i) == optim_lr_at(b, i));
        optim_report(a, reports[i]);
    }
    assert_true(fabs(optim_lr_at(a, 50) - 0.5 * 0.125) < 1e-15);
    assert_int_equal(optim_group(a, "x", "lr=2"), DESCENT_OK); /* before the first step: all begins anew */
    assert_true(fabs(optim_lr_at(a, 50) - 0.5) < 1e-15);
    assert_int_equal(optim_schedule(b, "cosine+plateau", 100, 10), DESCENT_OK);
    assert_true(fabs(optim_lr_at(b, 50) - 0.5) < 1e-15);
    assert_int_equal(optim_schedule(b, "cosine", 100, 10), DESCENT_OK);
    optim_report(b, 1);
    optim_free(a);
    optim_free(b);
}

static void bad_option_is_named(void **state)
{
    (void)state;
    static const char *const bad[][2] = {
        {"step:0", "every=0 for schedule step is out of range"},
        {"step:0.1%", "schedule step: every=0.1% rounds to 0 steps in a run of 100"},
        {"step:gamma=1.5", "gamma=1.5 for schedule step is out of range; expected a number in [0, 1]"},
        {"exponential:every=0", "every=0 for schedule exponential"},
        {"multistep:40/20", "schedule multistep: at is out of order: step 20 after step 40"},
        {"multistep:40/20%", "at=40/20% for schedule multistep: '20%' is of another unit"},
        {"polynomial:0", "power=0 for schedule polynomial"},
        {"linear:start=-1", "start=-1 for schedule linear"},
        {"sgdr:0", "first=0 for schedule sgdr"},
        {"sgdr:multiplier=1.5", "multiplier=1.5 for schedule sgdr is not an integer"},
        {"sgdr:multiplier=0", "multiplier=0 for schedule sgdr"},
        {"one_cycle:rise=1.5", "rise=1.5 for schedule one_cycle"},
        {"one_cycle:div=0", "div=0 for schedule one_cycle"},
        {"one_cycle:three_phase,rise=0.6", "schedule one_cycle: three_phase=yes"},
        {"one_cycle:momentum_max=1", "momentum_max=1 for schedule one_cycle"},
        {"one_cycle:shape=cos", "shape=cos for schedule one_cycle is not a choice; expected one of cosine"},
        {"cyclic:0", "up=0 for schedule cyclic"},
        {"cyclic:low=2", "low=2 for schedule cyclic"},
        {"wsd:101", "schedule wsd: decay of 101 steps is longer than the 100 that there are"},
        {"wsd:50%+warmup:60%", "schedule wsd: decay of 50 steps is longer than the 40 that there are"},
        {"inverse_sqrt:0", "warmup=0 for schedule inverse_sqrt"},
        {"range_test:0", "low=0 for schedule range_test"},
        {"plateau:factor=1", "factor=1 for schedule plateau"},
        {"plateau:patience=2.5", "patience=2.5 for schedule plateau is not an integer"},
        {"plateau+plateau", "schedule plateau: only one part can follow reports"},
        {"warmup", "write constant+warmup"},
        {"constant+then:50%+warmup", "'warmup' wraps the schedule before it"},
        {"constant+then", "'then' stands between two schedules"},
        {"then:10+constant", "'then' stands between two schedules"},
        {"constant+then:10+then:20+constant", "'then' stands between two schedules"},
        {"constant+then:0+cosine", "at=0 for schedule then"},
        {"constant+then:100+cosine", "at=100 for schedule then is out of order"},
        {"constant+then:50+cosine+then:40+linear",
         "at=40 for schedule then is out of order; what it ends begins at step 50 of a run of 100"},
        {"constant+then:50+cosine+then:50+linear", "at=50 for schedule then is out of order"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (optim_schedule_new(bad[i][0], 100, 10))
            fail_msg("%s is accepted", bad[i][0]);
        if (!strstr(descent_error(), bad[i][1]))
            fail_msg("'%s': '%s' is not in: %s", bad[i][0], bad[i][1], descent_error());
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(courses_are_those_of_the_reference),
        cmocka_unit_test(later_steps_are_those_of_the_reference),
        cmocka_unit_test(every_schedule_has_a_vector_that_the_plain_lr_fails),
        cmocka_unit_test(cycled_momentum_reaches_the_rule),
        cmocka_unit_test(every_schedule_is_finite_far_beyond_the_end_and_for_any_length),
        cmocka_unit_test(shortest_runs_are_finite),
        cmocka_unit_test(decays_never_rise),
        cmocka_unit_test(smooth_courses_have_no_jumps),
        cmocka_unit_test(simpler_schedules_are_special_cases),
        cmocka_unit_test(sequence_counts_from_0_in_each_of_its_schedules),
        cmocka_unit_test(product_multiplies_at_the_same_step),
        cmocka_unit_test(a_warmup_of_the_whole_run_ends_where_the_schedule_begins),
        cmocka_unit_test(what_a_plateau_remembers_is_saved_and_restored),
        cmocka_unit_test(bad_option_is_named),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
