/* Known answers: comparisons whose outcome is known beforehand, because it was made. */
#include "train/compare/analysis.h"

#include "base/random.h"

#include "tests/train/compare_runs.h"

#include <stdlib.h>

static const struct plan small = {
    .task_count = 1,
    .task = {{.data = "made", .model = "curve", .epochs = 2}},
    .leagues = PLAN_DEFAULTS | PLAN_TUNED,
    .budget = 8,
    .seeds = 10,
    .points = 20,
    .batch = 64,
    .validation = 0.1,
    .seed = 3,
    .schedule = "cosine",
};

static struct plan plan_of(int seeds, int entries, const struct plan_entry *entry)
{
    struct plan plan = small;
    plan.seeds = seeds;
    plan.entry_count = entries;
    memcpy(plan.entry, entry, (size_t)entries * sizeof *entry);
    return plan;
}

static void read_comparison(const char *out, struct comparison *comparison)
{
    if (comparison_read(out, comparison) != DESCENT_OK)
        fail_msg("%s", descent_error());
}

static void near(double value, double expected, double tolerance)
{
    if (!(fabs(value - expected) <= tolerance))
        fail_msg("%.17g is not %.17g", value, expected);
}

/* About `deviation` of a run's length, its own; seeds make part of it common to all optimizers. */
static double noise(const struct plan_run *run, double deviation)
{
    struct descent_random own = descent_random_new((uint64_t)run->index, DESCENT_RANDOM_TEST,
                                                   (uint64_t)(run->entry * 10 + (int)run->kind)),
                          common = descent_random_new((uint64_t)run->index, DESCENT_RANDOM_TEST, 1000);
    return exp(deviation * descent_random_normal(&own) + 2 * deviation * descent_random_normal(&common));
}

/* ---- Effects ---- */

static const struct plan_entry handicaps[] = {
    {.label = "adamw", .spec = "adamw"},          {.label = "same", .spec = "adamw"},
    {.label = "twin", .spec = "adamw"},           {.label = "handicapped", .spec = "adamw"},
    {.label = "lr/100", .spec = "adamw:lr=1e-5"},
};
enum { ADAMW, SAME, TWIN, HANDICAPPED, HUNDREDTH };

static struct made_run make_handicaps(const struct plan *plan, const struct plan_run *run)
{
    (void)plan;
    struct plan_run as = *run;
    if (run->entry == SAME)
        as.entry = ADAMW;
    double slowness = run->entry == HANDICAPPED ? 1.3 : run->entry == HUNDREDTH ? 100 : 1;
    return (struct made_run){.rise = 150 * slowness * noise(&as, 0.05), .top = 0.9, .test = 0.8};
}

static void a_twin_is_not_distinguishable_and_a_handicap_is_found(void **state)
{
    (void)state;
    const char *out = scratch_path("handicaps");
    struct plan plan = plan_of(10, 5, handicaps);
    make_comparison(&plan, out, make_handicaps);
    struct comparison comparison;
    read_comparison(out, &comparison);
    assert_int_equal(comparison.runs, 5 * (8 + 20));
    assert_int_equal(comparison.finished, comparison.runs);
    assert_int_equal(comparison.test_reads, 5 * 20);
    for (int league = 0; league < 2; league++) {
        const struct comparison_result *result = comparison.task[0].result[league];
        for (int k = 0; k < 2; k++) { /* of the last target some seeds of all fall short */
            const struct comparison_effect *same = &result[SAME].steps[k], *twin = &result[TWIN].steps[k],
                                           *handicapped = &result[HANDICAPPED].steps[k];
            assert_int_equal(same->verdict, NOT_DISTINGUISHABLE);
            assert_true(same->ratio == 1 && same->interval.low == 1 && same->interval.high == 1 &&
                        same->p == 1);
            assert_int_equal(twin->verdict, NOT_DISTINGUISHABLE);
            assert_true(twin->interval.low <= 1 && twin->interval.high >= 1 && twin->p > 0.05);
            assert_true(twin->interval.high - twin->interval.low < 0.3);
            assert_int_equal(handicapped->verdict, LATER);
            assert_true(handicapped->interval.low <= 1.3 && handicapped->interval.high >= 1.3);
            near(handicapped->smallest_p, 4 * ldexp(1, -9), 1e-15);
            assert_true(handicapped->p <= 0.05);
            near(result[HANDICAPPED].seconds[k].ratio, handicapped->ratio, 1e-9);
        }
        const struct comparison_effect *hundredth = &result[HUNDREDTH].steps[COMPARISON_PRIMARY];
        assert_int_equal(hundredth->verdict, LATER);
        assert_true(isinf(hundredth->ratio) && isinf(hundredth->interval.low));
        assert_int_equal(result[HUNDREDTH].reached[COMPARISON_PRIMARY], 0);
        assert_int_equal(result[ADAMW].steps[0].pairs, 0); /* the reference against itself */
        near(result[ADAMW].test.median, 0.8, 1e-15);
        near(result[ADAMW].step_milliseconds, 10, 1e-9);
        near(result[ADAMW].state_bytes_per_parameter, 8, 1e-12);
    }
    int order[5];
    comparison_rank(&comparison, 1, 0, order);
    assert_int_equal(order[4], HUNDREDTH);
    assert_int_equal(order[3], HANDICAPPED);
    comparison_free(&comparison);
}

static struct made_run make_clear_cut(const struct plan *plan, const struct plan_run *run)
{
    (void)plan;
    return (struct made_run){.rise = run->entry ? 300 : 100, .top = 0.9};
}

static void five_seeds_never_decide(void **state)
{
    (void)state;
    const struct plan_entry entries[] = {{.label = "a", .spec = "adamw"}, {.label = "b", .spec = "lion"}};
    for (int seeds = 5; seeds <= 6; seeds++) {
        const char *out = scratch_path(seeds == 5 ? "five" : "six");
        struct plan plan = plan_of(seeds, 2, entries);
        make_comparison(&plan, out, make_clear_cut);
        struct comparison comparison;
        read_comparison(out, &comparison);
        const struct comparison_effect *effect = &comparison.task[0].result[1][1].steps[COMPARISON_PRIMARY];
        assert_int_equal(effect->verdict, seeds == 5 ? NOT_DISTINGUISHABLE : LATER);
        assert_true(isnan(effect->p) == (seeds == 5));
        near(effect->smallest_p, seeds == 5 ? 1.0 / 16 : 1.0 / 32, 1e-15);
        comparison_free(&comparison);
    }
}

/* ---- Targets and times ---- */

static const struct plan_entry four[] = {{.label = "lion", .spec = "lion"},
                                         {.label = "momentum", .spec = "momentum"},
                                         {.label = "adamw", .spec = "adamw"},
                                         {.label = "sgd", .spec = "sgd"}};

/* Straight lines to 0.4, 0.6, 0.8 and 1.0, all off by the same for a seed. */
static struct made_run make_lines(const struct plan *plan, const struct plan_run *run)
{
    (void)plan;
    const double ends[4] = {1, 0.6, 0.8, 0.4};
    double offset = run->kind == PLAN_TRIAL_RUN ? 0 : (run->index - 2) * 0.01;
    double end = ends[run->entry] + (run->kind == PLAN_DEFAULT_RUN ? -0.1 : 0) + offset;
    return (struct made_run){.rise = 1000, .top = end, .straight = true, .test = end};
}

static void targets_are_those_of_the_better_tuned_reference(void **state)
{
    (void)state;
    const char *out = scratch_path("lines");
    struct plan plan = plan_of(5, 4, four);
    make_comparison(&plan, out, make_lines);
    struct comparison comparison;
    read_comparison(out, &comparison);
    const struct comparison_task *task = &comparison.task[0];
    assert_int_equal(task->setter, 2); /* adamw, though the reference, lion, is better */
    near(task->target[0], 0.2, 1e-12);
    near(task->target[1], 0.4, 1e-12);
    near(task->target[2], 0.8, 1e-12);

    /* lion's middle seed reaches 0.4 after 0.4 of its 1000 steps, between the points at 350 and 400; in the
     * other league its line ends at 0.9. */
    const struct comparison_result *tuned = &task->result[1][0], *defaults = &task->result[0][0];
    near(tuned->final[2].time[1][CLOCK_STEPS], 400, 1e-9);
    near(tuned->final[2].time[1][CLOCK_EPOCHS], 0.8, 1e-9);
    near(tuned->final[2].time[1][CLOCK_GRADIENTS], 400, 1e-9);
    near(tuned->final[2].time[1][CLOCK_SECONDS], 4, 1e-9);
    near(defaults->final[2].time[1][CLOCK_STEPS], 400 / 0.9, 1e-9);
    near(defaults->time[1][CLOCK_STEPS].median, 400 / 0.9, 1e-9);
    near(defaults->validation.median, 0.9, 1e-12);
    near(defaults->validation.quartile[0], 0.89, 1e-12);
    near(defaults->validation.interquartile_mean, 0.9, 1e-12);
    /* sgd ends at 0.38 .. 0.42: the target 0.4 is one that half of the seeds reach */
    assert_int_equal(task->result[1][3].reached[1], 3);
    assert_true(isinf(task->result[1][3].final[0].time[1][CLOCK_STEPS]));
    comparison_free(&comparison);
}

static struct made_run make_unfinished(const struct plan *plan, const struct plan_run *run)
{
    struct made_run made = make_lines(plan, run);
    if (run->kind == PLAN_TUNED_RUN && run->entry == 2 && run->index < 2)
        made.missing = true;
    if (run->kind == PLAN_TUNED_RUN && run->entry == 1)
        made.missing = true;
    if (run->kind == PLAN_TUNED_RUN && run->entry == 3 && run->index == 4)
        made.diverges_at = 15;
    if (run->kind == PLAN_TRIAL_RUN && run->entry == 3 && run->index < 3)
        made.diverges_at = 1;
    return made;
}

static void missing_runs_count_nowhere_and_diverged_ones_as_failures(void **state)
{
    (void)state;
    const char *out = scratch_path("unfinished");
    struct plan plan = plan_of(5, 4, four);
    make_comparison(&plan, out, make_unfinished);
    struct comparison comparison;
    read_comparison(out, &comparison);
    assert_int_equal(comparison.finished, comparison.runs - 7);
    assert_int_equal(comparison.test_reads, 40 - 7 - 1);
    const struct comparison_result *tuned = comparison.task[0].result[1];
    assert_int_equal(tuned[2].done, 3);
    assert_int_equal(tuned[2].steps[1].pairs, 3);
    assert_int_equal(tuned[1].validation.count, 0);
    assert_true(isnan(tuned[1].validation.median) && isnan(tuned[1].steps[1].ratio));
    assert_int_equal(tuned[3].diverged, 1);
    assert_true(isinf(tuned[3].final[4].time[0][CLOCK_STEPS])); /* though it was there before */
    near(tuned[3].validation.median, 0.39, 1e-12);              /* of 0, 0.38 .. 0.41 */
    assert_int_equal(comparison.task[0].tuning[3].diverged, 3);
    comparison_free(&comparison);
}

static void a_comparison_that_has_only_a_plan_is_no_error(void **state)
{
    (void)state;
    const char *out = scratch_path("empty");
    struct plan plan = plan_of(5, 4, four);
    struct descent_arena *arena = descent_arena_new();
    assert_int_equal(plan_complete(&plan, arena), DESCENT_OK);
    assert_int_equal(descent_make_directories(out), DESCENT_OK);
    assert_int_equal(plan_write(&plan, out), DESCENT_OK);
    descent_arena_free(arena);
    struct comparison comparison;
    read_comparison(out, &comparison);
    assert_int_equal(comparison.finished, 0);
    assert_true(isnan(comparison.task[0].target[1]));
    assert_true(isnan(comparison.task[0].result[1][1].time[1][CLOCK_STEPS].median));
    comparison_free(&comparison);
    assert_int_equal(comparison_read(scratch_path("nowhere"), &comparison), DESCENT_NOT_FOUND);
    comparison_free(&comparison);
}

/* sgd's trials all diverge. */
static struct made_run make_lost(const struct plan *plan, const struct plan_run *run)
{
    struct made_run made = make_lines(plan, run);
    if (run->entry == 3 && run->kind == PLAN_TRIAL_RUN)
        made.diverges_at = 2;
    if (run->entry == 3 && run->kind == PLAN_TUNED_RUN)
        made.missing = true;
    return made;
}

static void an_optimizer_whose_trials_all_diverge_has_lost(void **state)
{
    (void)state;
    const char *out = scratch_path("lost");
    struct plan plan = plan_of(6, 4, four);
    make_comparison(&plan, out, make_lost);
    struct comparison comparison;
    read_comparison(out, &comparison);
    assert_int_equal(comparison.finished, comparison.runs);
    const struct comparison_result *sgd = &comparison.task[0].result[1][3];
    assert_true(sgd->lost && sgd->diverged == 6);
    assert_int_equal(sgd->steps[1].verdict, LATER);
    assert_true(isinf(sgd->steps[1].ratio));
    near(sgd->steps[1].smallest_p, 3 * ldexp(1, -5), 1e-15); /* it is one of three comparisons */
    near(sgd->test.median, 0, 0);
    assert_int_equal(comparison.overall[1][3].problems, 6);
    near(comparison.overall[1][3].score, 0, 0);
    comparison_free(&comparison);
}

/* Runs of an earlier state of things: a trial at another point, a final run with settings of no winner. */
static void settings_are_read_from_the_runs(void **state)
{
    (void)state;
    const char *out = scratch_path("drift");
    struct plan plan = plan_of(6, 4, four);
    make_comparison(&plan, out, make_lines);
    struct comparison comparison;
    read_comparison(out, &comparison);
    for (int i = 0; i < comparison.runs; i++) {
        struct plan_run run = plan_run(&plan, i);
        struct made_run made = make_lines(&plan, &run);
        if (run.entry != 3 || run.kind == PLAN_DEFAULT_RUN)
            continue;
        made.top = run.kind == PLAN_TRIAL_RUN && run.index == 4 ? 0.9 : made.top;
        made.spec = run.kind == PLAN_TRIAL_RUN && run.index == 4   ? "sgd:lr=0.0777,nesterov=no"
                    : run.index == 5 && run.kind == PLAN_TUNED_RUN ? "sgd:lr=0.0778"
                    : run.kind == PLAN_TUNED_RUN                   ? "sgd:nesterov=no,lr=0.0777"
                                                                   : NULL;
        make_run(&comparison.plan, &run, out, &made);
    }
    comparison_free(&comparison);
    read_comparison(out, &comparison);
    const struct comparison_result *sgd = &comparison.task[0].result[1][3];
    assert_int_equal(comparison.task[0].tuning[3].best, 4);
    assert_string_equal(sgd->settings, "sgd:lr=0.0777,nesterov=no");
    near(comparison.task[0].tuning[3].lr[4], 0.0777, 1e-12);
    assert_int_equal(sgd->done, 5);
    assert_int_equal(comparison.finished, comparison.runs - 1);
    comparison_free(&comparison);
}

static struct made_run make_no_target(const struct plan *plan, const struct plan_run *run)
{
    struct made_run made = make_lines(plan, run);
    if (run->kind == PLAN_TUNED_RUN && run->index < 3 && (run->entry == 1 || run->entry == 2))
        made.diverges_at = 3;
    return made;
}

static void where_half_of_its_runs_diverge_nobody_sets_a_target(void **state)
{
    (void)state;
    const char *out = scratch_path("no-target");
    struct plan plan = plan_of(6, 4, four);
    make_comparison(&plan, out, make_no_target);
    struct comparison comparison;
    read_comparison(out, &comparison);
    assert_true(isnan(comparison.task[0].target[0]) && isnan(comparison.task[0].target[2]));
    assert_int_equal(comparison.task[0].result[1][3].steps[1].pairs, 0);
    comparison_free(&comparison);
}

/* ---- Tuning ---- */

static const struct plan_entry two[] = {{.label = "momentum", .spec = "momentum"},
                                        {.label = "sgd", .spec = "sgd"}};

/* The lr of an sgd trial. */
static double trial_lr(const struct plan *plan, const struct plan_run *run)
{
    char spec[1024];
    assert_int_equal(plan_spec(plan, run, spec, sizeof spec), DESCENT_OK);
    const char *lr = strstr(spec, "lr=");
    assert_non_null(lr);
    return strtod(lr + 3, NULL);
}

/* sgd wants the largest lr of all; momentum one in the middle, and learns at half of sgd's pace. */
static struct made_run make_tuning(const struct plan *plan, const struct plan_run *run)
{
    double top = 0.9;
    if (run->kind == PLAN_TRIAL_RUN) {
        double lr = trial_lr(plan, run);
        top = run->entry ? 0.8 + 0.02 * lr : 0.9 - 0.3 * fabs(log10(lr / 0.03));
    }
    return (struct made_run){.rise = run->entry ? 100 : 200, .top = top};
}

static void edges_basins_and_a_budget_too_small_are_found(void **state)
{
    (void)state;
    const char *out = scratch_path("tuning");
    struct plan plan = plan_of(10, 2, two);
    make_comparison(&plan, out, make_tuning);
    struct comparison comparison;
    read_comparison(out, &comparison);
    const struct comparison_tuning *momentum = &comparison.task[0].tuning[0],
                                   *sgd = &comparison.task[0].tuning[1];
    assert_int_equal(sgd->space.count, 1);
    assert_true(sgd->edge[0]);
    assert_false(momentum->edge[0]);
    double largest = 0;
    for (int i = 0; i < 8; i++)
        largest = fmax(largest, sgd->lr[i]);
    assert_true(sgd->lr[sgd->best] == largest);
    assert_non_null(strstr(comparison.task[0].result[1][1].settings, "sgd:lr="));
    assert_string_equal(comparison.task[0].result[0][1].settings, "sgd");

    /* by hand: trials of momentum whose error is at most 5/4 of the best's are a run of lrs, as accuracy
     * falls to both sides of 0.03 */
    double error[8], least = 1, low = INFINITY, high = 0;
    for (int i = 0; i < 8; i++) {
        struct plan_run run = {.entry = 0, .kind = PLAN_TRIAL_RUN, .index = i};
        struct made_run made = make_tuning(&plan, &run);
        error[i] = 1 - made_accuracy(&made, 1000);
        least = fmin(least, error[i]);
    }
    for (int i = 0; i < 8; i++)
        if (error[i] <= 1.25 * least) {
            low = fmin(low, momentum->lr[i]);
            high = fmax(high, momentum->lr[i]);
        }
    near(momentum->basin, log10(high / low), 1e-9);
    assert_true(momentum->basin > 0 && momentum->basin < 2);

    for (int k = 1; k < 8; k++)
        assert_true(momentum->expected[k] > momentum->expected[k - 1]);
    near(momentum->expected[7], 1 - least, 1e-12);

    const struct comparison_check *check = &comparison.task[0].check[0];
    assert_true(check->failed);
    assert_int_equal(check->steps.verdict, LATER);
    assert_int_equal(comparison.task[0].check[1].better, -1); /* no nadam here */
    comparison_free(&comparison);
}

/* ---- Several tasks ---- */

/* Entry e is (e + 1) times as slow as the first on every task; the last never arrives. */
static void give_three_tasks(struct plan *plan)
{
    static const char *const names[] = {"one", "two", "three"};
    plan->task_count = 3;
    for (int t = 0; t < 3; t++)
        plan->task[t] = (struct plan_task){.data = names[t], .model = "curve", .epochs = 2};
}

static struct made_run make_tasks(const struct plan *plan, const struct plan_run *run)
{
    (void)plan;
    return (struct made_run){.rise =
                                 run->entry == 3 ? 1e9 : 100 * (run->entry + 1) * (1 + 0.01 * run->index),
                             .top = 0.5 + 0.1 * run->task};
}

/* In the tuned league one optimizer has not run on the third task. */
static struct made_run make_two_tuned_tasks(const struct plan *plan, const struct plan_run *run)
{
    struct made_run made = make_tasks(plan, run);
    made.missing = run->kind == PLAN_TUNED_RUN && run->task == 2 && run->entry == 3;
    return made;
}

static void leagues_have_ranks_of_their_own_tasks(void **state)
{
    (void)state;
    const char *out = scratch_path("leagues");
    struct plan plan = plan_of(6, 4, four);
    give_three_tasks(&plan);
    make_comparison(&plan, out, make_two_tuned_tasks);
    struct comparison comparison;
    read_comparison(out, &comparison);
    for (int league = 0; league < 2; league++) {
        int tasks = league ? 2 : 3;
        assert_int_equal(comparison.ranked[league], tasks);
        near(comparison.critical_difference[league], 2.569 * sqrt(4 * 5 / (6.0 * tasks)), 1e-3);
    }
    comparison_free(&comparison);
}

static void several_tasks_give_ranks_profiles_and_one_pooled_effect(void **state)
{
    (void)state;
    const char *out = scratch_path("tasks");
    struct plan plan = plan_of(6, 4, four);
    give_three_tasks(&plan);
    make_comparison(&plan, out, make_tasks);
    struct comparison comparison;
    read_comparison(out, &comparison);
    assert_int_equal(comparison.ranked[1], 3);
    near(comparison.critical_difference[1], 2.569 * sqrt(4 * 5 / 18.0), 1e-3);
    assert_true(comparison.friedman_p[1] < 0.05);
    const struct comparison_overall *overall = comparison.overall[1];
    for (int e = 0; e < 4; e++) {
        near(overall[e].mean_rank, e + 1, 1e-12);
        assert_int_equal(overall[e].problems, 18);
    }
    for (int i = 0; i < 18; i++) {
        assert_true(overall[0].slowdown[i] == 1);
        near(overall[1].slowdown[i], 2, 0.05);
        assert_true(isinf(overall[3].slowdown[i]));
    }
    near(overall[0].score, 1, 1e-12);
    near(overall[1].score, 2.0 / 3, 0.02);
    assert_true(overall[3].score == 0);
    assert_int_equal(overall[1].steps.pairs, 18);
    assert_int_equal(overall[1].steps.verdict, LATER);
    near(overall[1].steps.ratio, 2, 0.05);
    comparison_free(&comparison);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_twin_is_not_distinguishable_and_a_handicap_is_found),
        cmocka_unit_test(five_seeds_never_decide),
        cmocka_unit_test(targets_are_those_of_the_better_tuned_reference),
        cmocka_unit_test(missing_runs_count_nowhere_and_diverged_ones_as_failures),
        cmocka_unit_test(a_comparison_that_has_only_a_plan_is_no_error),
        cmocka_unit_test(edges_basins_and_a_budget_too_small_are_found),
        cmocka_unit_test(an_optimizer_whose_trials_all_diverge_has_lost),
        cmocka_unit_test(settings_are_read_from_the_runs),
        cmocka_unit_test(where_half_of_its_runs_diverge_nobody_sets_a_target),
        cmocka_unit_test(leagues_have_ranks_of_their_own_tasks),
        cmocka_unit_test(several_tasks_give_ranks_profiles_and_one_pooled_effect),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
