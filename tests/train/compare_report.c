/* The report of a comparison: its sentence, its page, its tables. Run directories are made, not trained. */
#include "train/compare/report.h"

#include "base/json.h"

#include "tests/train/compare_runs.h"

#include <stdlib.h>

static double pace = 0.01; /* CPU seconds a step of the runs made */

static const struct plan base = {
    .task_count = 1,
    .task = {{.data = "made", .model = "curve", .epochs = 2}},
    .leagues = PLAN_DEFAULTS | PLAN_TUNED,
    .budget = 4,
    .seeds = 6,
    .points = 20,
    .batch = 64,
    .validation = 0.1,
    .seed = 3,
    .schedule = "cosine",
    .entry_count = 4,
    .entry = {{.label = "adamw", .spec = "adamw"},
              {.label = "<b>\"bold\"</b> & 'x'", .spec = "lion"},
              {.label = "momentum", .spec = "momentum"},
              {.label = "sgd", .spec = "sgd"}},
};

/* lion takes half the steps of adamw, momentum as many, sgd three times as many and ends 5 points lower. */
static struct made_run make_four(const struct plan *plan, const struct plan_run *run)
{
    (void)plan;
    const double rise[] = {120, 60, 120, 360};
    return (struct made_run){.rise = rise[run->entry] * (1 + 0.01 * run->index),
                             .top = 0.9,
                             .pace = pace,
                             .test = run->entry == 3 ? 0.75 : 0.8};
}

static struct made_run make_half(const struct plan *plan, const struct plan_run *run)
{
    struct made_run made = make_four(plan, run);
    made.missing = run->kind != PLAN_TRIAL_RUN && run->index >= 3;
    return made;
}

static char *read_text(const char *directory, const char *name)
{
    static char *text; /* gcc 12 takes a part of it for a part of a variable on the stack */
    char path[PLAN_PATH];
    size_t size;
    snprintf(path, sizeof path, "%s/report/%s", directory, name);
    assert_int_equal(descent_file_read(path, 64 << 20, &text, &size), DESCENT_OK);
    return text;
}

/* How far into `text` a part of it begins. */
static size_t place_of(const char *text, const char *part)
{
    const char *found = strstr(text, part);
    assert_non_null(found);
    return (size_t)(found - text);
}

static const char *sentence(const char *out, int league, char text[1024])
{
    struct comparison comparison;
    assert_int_equal(comparison_read(out, &comparison), DESCENT_OK);
    comparison_sentence(&comparison, league, comparison.plan.task_count > 1 ? COMPARISON_ALL_TASKS : 0,
                        text, 1024);
    comparison_free(&comparison);
    return text;
}

static void make_report(const char *out)
{
    char first[1024], text[1024];
    if (compare_report(out, first, sizeof first) != DESCENT_OK)
        fail_msg("%s", descent_error());
    assert_string_equal(first, sentence(out, 1, text));
}

/* As where there is no gnuplot, which is also quicker. */
static void make_plain_report(const char *out)
{
    char path[4096];
    snprintf(path, sizeof path, "%s", getenv("PATH"));
    assert_int_equal(setenv("PATH", "/nonexistent", 1), 0);
    make_report(out);
    assert_int_equal(setenv("PATH", path, 1), 0);
}

static void the_first_sentence_says_what_the_intervals_say(void **state)
{
    (void)state;
    char text[1024];
    struct plan plan = base;
    const char *out = scratch_path("sentence");
    make_comparison(&plan, out, make_four);
    assert_string_equal(
        sentence(out, 1, text),
        "On made with curve, within 2 epochs and 4 trials each, <b>\"bold\"</b> & 'x' reached the "
        "target 2.00x sooner than adamw (95 % interval 1.99–2.00); of the other 2 optimizers, 0 reached "
        "it sooner, 1 later or not at all, and 1 are not distinguishable with 6 seeds.");

    plan = base;
    plan.entry_count = 2;
    plan.entry[1] = plan.entry[3];
    out = scratch_path("later");
    make_comparison(&plan, out, make_four); /* sgd in lion's place: the numbers of lion */
    assert_non_null(
        strstr(sentence(out, 0, text), "with documented defaults, sgd reached the target 2.00x sooner"));

    plan.reference = 1;
    out = scratch_path("other");
    make_comparison(&plan, out, make_four);
    assert_non_null(
        strstr(sentence(out, 1, text), "adamw reached the target 2.00x later than sgd (95 % interval "));

    plan = base;
    plan.seeds = 5;
    out = scratch_path("few");
    make_comparison(&plan, out, make_four);
    assert_non_null(strstr(sentence(out, 1, text),
                           "no optimizer reached the target sooner than adamw: of 3, 0 reached "
                           "it later or not at all, 3 are not distinguishable with 5 seeds."));
}

static void the_page_stands_alone_and_escapes_what_it_was_given(void **state)
{
    (void)state;
    struct plan plan = base;
    const char *out = scratch_path("page");
    make_comparison(&plan, out, make_four);
    make_report(out);
    char *page = read_text(out, "report.html");
    assert_null(strstr(page, "<b>\"bold"));
    assert_non_null(strstr(page, "&lt;b&gt;&quot;bold&quot;&lt;/b&gt; &amp; 'x'"));
    static const char *const outside[] = {" src=",    " href=\"http", "@import",
                                          "url(http", "<link",        "<iframe"};
    for (size_t i = 0; i < sizeof outside / sizeof *outside; i++)
        if (strstr(page, outside[i]))
            fail_msg("the page has '%s'", outside[i]);
    assert_null(strstr(page, "Unfinished"));
    assert_non_null(strstr(page, "read 48 times"));

    /* the raw numbers are all there: 2 leagues x 4 optimizers x 6 runs, 16 trials, 20 points each */
    const char mark[] = "<script type=\"application/json\" id=\"raw\">";
    size_t begin = place_of(page, mark) + strlen(mark), length = place_of(page + begin, "</script>");
    assert_null(strstr(page + begin, "<script"));
    struct descent_json *json = descent_json_parse("raw", page + begin, length);
    assert_non_null(json);
    const struct descent_json *curves = descent_json_get(json, "curves");
    assert_int_equal(descent_json_count(curves), 48 + 16);
    for (int i = 0; i < 48 + 16; i++)
        assert_int_equal(
            descent_json_count(descent_json_get(descent_json_at(curves, i), "validation_accuracy")), 20);
    assert_non_null(descent_json_get(json, "measured_finals"));
    descent_json_free(json);
    free(page);
}

static void tables_depend_on_no_clock_but_the_measured_ones(void **state)
{
    (void)state;
    static const char *const names[] = {"leaderboard.csv", "overall.csv", "targets.csv", "tuning.csv",
                                        "checks.csv",      "finals.csv",  "trials.csv",  "curves.csv",
                                        "comparison.json", "summary.md"};
    struct plan plan = base;
    const char *quick = scratch_path("quick"), *slow = scratch_path("slow");
    make_comparison(&plan, quick, make_four);
    plan = base;
    pace = 0.02;
    make_comparison(&plan, slow, make_four);
    pace = 0.01;
    make_plain_report(quick);
    make_plain_report(slow);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char *a = read_text(quick, names[i]), *b = read_text(slow, names[i]);
        assert_string_equal(a, b);
        assert_true(strlen(a) > 40);
        free(a);
        free(b);
    }
    char *a = read_text(quick, "measured_leaderboard.csv"),
         *b = read_text(slow, "measured_leaderboard.csv");
    assert_string_not_equal(a, b);
    assert_non_null(strstr(a, "tuned,made-curve,\"<b>\"\"bold\"\"</b> & 'x'\",10.0,"));
    free(a);
    free(b);
}

static void the_summary_says_in_markdown_what_the_page_says(void **state)
{
    (void)state;
    struct plan plan = base;
    plan.entry[2].label = "a|b`*";
    const char *out = scratch_path("summary");
    make_comparison(&plan, out, make_four);
    make_report(out);
    char *summary = read_text(out, "summary.md"), text[1024];
    const char *first = sentence(out, 1, text);
    assert_non_null(strstr(summary, "# Comparison of optimizers\n"));
    assert_non_null(strstr(summary, strstr(first, "x sooner than adamw")));
    assert_non_null(
        strstr(summary, "\n| &lt;b&gt;\"bold\"&lt;/b&gt; &amp; 'x' | 0.50 (0.50–0.50) | sooner |"));
    assert_non_null(strstr(summary, "\n| a\\|b\\`\\* | 1.00 (1.00–1.00) | not distinguishable |"));
    assert_non_null(strstr(summary, "| test points over adamw (95 % interval) |\n"));
    assert_non_null(strstr(summary, " | 75.00 (75.00–75.00) | -5.00 (-5.00 to -5.00) |\n"));
    assert_non_null(strstr(summary, "](figures/curves-tuned-1.svg)"));
    assert_non_null(strstr(summary, "* *test set*: read 48 times"));
    assert_null(strstr(summary, "CPU"));
    free(summary);
}

static void an_unfinished_comparison_has_a_report_that_says_so(void **state)
{
    (void)state;
    struct plan plan = base;
    const char *out = scratch_path("unfinished");
    make_comparison(&plan, out, make_half);
    make_plain_report(out);
    char *page = read_text(out, "report.html"), *finals = read_text(out, "finals.csv");
    assert_non_null(strstr(page, "40 of 64 runs are done"));
    assert_non_null(strstr(finals, "tuned,made-curve,sgd,4,missing,,"));
    free(page);
    free(finals);
}

static void without_gnuplot_the_tables_remain_and_the_page_says_how_to_get_pictures(void **state)
{
    (void)state;
    struct plan plan = base;
    const char *out = scratch_path("plain");
    make_comparison(&plan, out, make_four);
    make_plain_report(out);
    char *page = read_text(out, "report.html"), *script = read_text(out, "figures/curves-tuned-1.gnuplot");
    assert_non_null(strstr(page, "gnuplot was not found"));
    assert_null(strstr(page, "<svg"));
    assert_non_null(strstr(page, "1.00 (1.00–1.00)"));
    assert_non_null(strstr(script, "'<b>\"bold\"</b> & ''x'''"));
    free(page);
    free(script);
}

/* One of six runs of sgd reaches the target. */
static struct made_run make_misses(const struct plan *plan, const struct plan_run *run)
{
    struct made_run made = make_four(plan, run);
    if (run->kind == PLAN_TUNED_RUN && plan->entry[run->entry].spec[0] == 's')
        made.top = run->index ? 0.01 : made.top;
    return made;
}

static void missed_is_not_called_late(void **state)
{
    (void)state;
    struct plan plan = base;
    const char *out = scratch_path("misses");
    char sentence[1024];
    plan.entry_count = 2;
    plan.entry[0] = (struct plan_entry){.label = "adamw", .spec = "adamw"};
    plan.entry[1] = (struct plan_entry){.label = "sgd", .spec = "sgd"};
    plan.reference = 0;
    make_comparison(&plan, out, make_misses);
    if (compare_report(out, sentence, sizeof sentence) != DESCENT_OK)
        fail_msg("%s", descent_error());
    if (!strstr(sentence, "later than adamw, if at all: most of its runs missed it"))
        fail_msg("%s", sentence);
}

static void names_are_no_formats_in_pictures(void **state)
{
    (void)state;
    struct plan plan = base;
    const char *out = scratch_path("percent");
    plan.entry[1].label = "start=50%";
    make_comparison(&plan, out, make_four);
    make_plain_report(out);
    char *script = read_text(out, "figures/ratios-tuned-1.gnuplot");
    assert_non_null(strstr(script, "'start=50%%'"));
    free(script);
}

static void several_tasks_have_ranks_and_say_when_all_are_a_tie(void **state)
{
    (void)state;
    struct plan plan = base;
    plan.task_count = 2;
    plan.task[1] = (struct plan_task){.data = "other", .model = "curve", .epochs = 2};
    const char *out = scratch_path("several");
    make_comparison(&plan, out, make_four);
    make_plain_report(out);
    char *page = read_text(out, "report.html");
    /* 2 tasks, 4 optimizers: a critical difference of 3.32, while ranks differ by 3 at most */
    assert_non_null(strstr(page, "differ by less than 3.32 are a tie"));
    assert_non_null(strstr(page, "No difference of ranks is as large"));
    /* the page begins with what both tasks say together; each says its own in its place */
    size_t all = place_of(page, "Over 2 tasks, with 4 trials each, "),
           one = place_of(page, "On made with curve, within 2 epochs and 4 trials each, "),
           other = place_of(page, "On other with curve, ");
    assert_true(all < place_of(page, "All problems together") &&
                place_of(page, "All problems together") < one && one < other);
    free(page);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_sentence_says_what_the_intervals_say),
        cmocka_unit_test(the_page_stands_alone_and_escapes_what_it_was_given),
        cmocka_unit_test(tables_depend_on_no_clock_but_the_measured_ones),
        cmocka_unit_test(the_summary_says_in_markdown_what_the_page_says),
        cmocka_unit_test(an_unfinished_comparison_has_a_report_that_says_so),
        cmocka_unit_test(missed_is_not_called_late),
        cmocka_unit_test(names_are_no_formats_in_pictures),
        cmocka_unit_test(several_tasks_have_ranks_and_say_when_all_are_a_tie),
        cmocka_unit_test(without_gnuplot_the_tables_remain_and_the_page_says_how_to_get_pictures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
