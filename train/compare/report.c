/* The report of a comparison; see report.h. The page of HTML has no scripts, loads nothing, and says
 * nothing in color alone. The summary is the same in Markdown and shorter: without what was measured by
 * a clock, the other two targets, and the pictures of single optimizers. */
#include "train/compare/report.h"

#include "base/file.h"
#include "base/json.h"
#include "train/compare/document.h"
#include "train/compare/figures.h"
#include "train/compare/tables.h"
#include "train/plot.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TEXT = 1024, LARGEST_PICTURE = 16 << 20 };

struct page {
    struct document document;
    const struct comparison *comparison;
    const char *figures; /* directory */
    enum plot_outcome pictures;
};

static const char *const league_titles[COMPARISON_LEAGUES] = {"One-shot: documented defaults, no tuning",
                                                              "Tuned: the same number of trials for each"};

/* ---- The sentence ---- */

/* Of an optimizer on a task, or on all of them together. */
static const struct comparison_effect *effect_of(const struct comparison *comparison, int league, int t,
                                                 int e)
{
    return t == COMPARISON_ALL_TASKS ? &comparison->overall[league][e].steps
                                     : &comparison->task[t].result[league][e].steps[COMPARISON_PRIMARY];
}

static int reached_by(const struct comparison *comparison, int league, int t, int e)
{
    int reached = 0;
    for (int i = 0; i < comparison->plan.task_count; i++)
        if (t == COMPARISON_ALL_TASKS || t == i)
            reached += comparison->task[i].result[league][e].reached[COMPARISON_PRIMARY];
    return reached;
}

struct count_of_verdicts {
    int sooner, later, undecided, all;
    int first; /* the soonest that is decided, or else the only one there is; -1: none */
};

static struct count_of_verdicts count_verdicts(const struct comparison *comparison, int league, int t)
{
    struct count_of_verdicts count = {.first = -1};
    int order[PLAN_ENTRIES], last = -1;
    comparison_rank(comparison, league, t, order); /* of equal ratios, 0 may be, the better one's */
    for (int i = 0; i < comparison->plan.entry_count; i++) {
        int e = order[i];
        const struct comparison_effect *effect = effect_of(comparison, league, t, e);
        if (effect->pairs == 0)
            continue;
        last = e;
        count.all++;
        count.sooner += effect->verdict == SOONER;
        count.later += effect->verdict == LATER;
        count.undecided += effect->verdict == NOT_DISTINGUISHABLE;
        if (effect->verdict == SOONER &&
            (count.first < 0 || effect->ratio < effect_of(comparison, league, t, count.first)->ratio))
            count.first = e;
    }
    if (count.all == 1)
        count.first = last;
    return count;
}

/* "1.50-2.10"; an end beyond which nothing is known is left open. */
static const char *interval_text(double low, double high, char text[64])
{
    if (isinf(high))
        snprintf(text, 64, "%.2f and more", low);
    else
        snprintf(text, 64, "%.2f–%.2f", low, high);
    return text;
}

/* "reached the target 1.80x sooner than adamw (95 % interval 1.50-2.10)": of what is sooner, the factor is
 * the reference's time over its own. */
static void describe_effect(const struct comparison *comparison, int league, int t, int e, char *text,
                            size_t size)
{
    const struct plan *plan = &comparison->plan;
    const struct comparison_effect *effect = effect_of(comparison, league, t, e);
    bool sooner = effect->verdict == SOONER;
    double factor = sooner ? 1 / effect->ratio : effect->ratio,
           low = sooner ? 1 / effect->interval.high : effect->interval.low,
           high = sooner ? 1 / effect->interval.low : effect->interval.high;
    const char *verdict = comparison_verdict_text(effect->verdict),
               *reference = plan->entry[plan->reference].label,
               *target = t == COMPARISON_ALL_TASKS ? "the targets" : "the target";
    char interval[64];
    interval_text(low, high, interval);
    if (effect->verdict == NOT_DISTINGUISHABLE)
        snprintf(text, size, "and %s are %s with %d seeds (95 %% interval of the ratio of their times %s)",
                 reference, verdict, plan->seeds, interval);
    else if (isinf(low))
        snprintf(text, size, "reached %s %s than %s, %s%s missed it", target, verdict, reference,
                 sooner ? "" : "if at all: ",
                 sooner ? reached_by(comparison, league, t, plan->reference) ? "most of whose runs"
                                                                             : "whose runs"
                 : reached_by(comparison, league, t, e) ? "most of its runs"
                                                        : "its runs");
    else if (isinf(factor))
        snprintf(text, size, "reached %s %s than %s (95 %% interval %s times)", target, verdict, reference,
                 interval);
    else
        snprintf(text, size, "reached %s %.2fx %s than %s (95 %% interval %s)", target, factor, verdict,
                 reference, interval);
}

/* Whether the runs are there that targets come from, and do not give any. */
static bool lacks_target(const struct comparison *comparison, int t)
{
    const struct comparison_task *task = &comparison->task[t];
    const struct comparison_result *result = task->result[task->result[1] ? 1 : 0];
    return isnan(task->target[0]) && result[task->setter].diverged > 0;
}

/* "On fashion-mnist with lenet5, within 5 epochs and 8 trials each,", "Over 4 tasks, with 8 trials each,"
 */
static void describe_place(const struct plan *plan, int league, int t, char *text, size_t size)
{
    char trials[64] = "with documented defaults";
    if (league == 1)
        snprintf(trials, sizeof trials, "%s %d trial%s each", t == COMPARISON_ALL_TASKS ? "with" : "and",
                 plan->budget, plan->budget == 1 ? "" : "s");
    if (t == COMPARISON_ALL_TASKS)
        snprintf(text, size, "Over %d tasks, %s,", plan->task_count, trials);
    else
        snprintf(text, size, "On %s with %s, within %d epoch%s %s,", plan->task[t].data_name,
                 plan->task[t].model_name, plan->task[t].epochs, plan->task[t].epochs == 1 ? "" : "s",
                 trials);
}

const char *comparison_sentence(const struct comparison *comparison, int league, int t, char *text,
                                size_t size)
{
    const struct plan *plan = &comparison->plan;
    struct count_of_verdicts count = count_verdicts(comparison, league, t);
    const char *target = t == COMPARISON_ALL_TASKS ? "them" : "it";
    char where[TEXT], effect[TEXT];
    describe_place(plan, league, t, where, sizeof where);
    if (t != COMPARISON_ALL_TASKS && lacks_target(comparison, t))
        snprintf(text, size, "%s there is no target: half of the runs of %s or more diverged.", where,
                 plan->entry[comparison->task[t].setter].label);
    else if (count.all == 0)
        snprintf(text, size, "%s there are not yet two optimizers to compare.", where);
    else if (count.first < 0)
        snprintf(
            text, size,
            "%s no optimizer reached the target%s sooner than %s: of %d, %d reached %s later or not at "
            "all, %d are not distinguishable with %d seeds.",
            where, t == COMPARISON_ALL_TASKS ? "s" : "", plan->entry[plan->reference].label, count.all,
            count.later, target, count.undecided, plan->seeds);
    else {
        bool sooner = effect_of(comparison, league, t, count.first)->verdict == SOONER;
        describe_effect(comparison, league, t, count.first, effect, sizeof effect);
        int used = snprintf(text, size, "%s %s %s", where, plan->entry[count.first].label, effect);
        if (count.all > 1 && used > 0 && (size_t)used < size)
            snprintf(
                text + used, size - (size_t)used,
                "; of the other %d optimizers, %d reached %s sooner, %d later or not at all, and %d are "
                "not distinguishable with %d seeds.",
                count.all - 1, count.sooner - sooner, target, count.later, count.undecided, plan->seeds);
        else if (used > 0 && (size_t)used < size)
            snprintf(text + used, size - (size_t)used, ".");
    }
    return text;
}

/* ---- Parts of both documents ---- */

static bool is_html(const struct page *page)
{
    return page->document.syntax == DOCUMENT_HTML;
}

static void put_html(const struct page *page, const char *html)
{
    document_html(&page->document, html);
}

static void put_cell(const struct page *page, const char *text)
{
    document_cell(&page->document, NULL, "%s", text);
}

/* A number in so many digits after the point; missed targets and unknown values in words. */
static void put_number(const struct page *page, double number, int digits)
{
    char text[64];
    snprintf(text, sizeof text, "%.*f", digits, number);
    put_cell(page, isnan(number) ? "–" : isinf(number) ? "missed" : text);
}

static void put_percent(const struct page *page, double share)
{
    put_number(page, 100 * share, 2);
}

#define PUT_HEAD(page, ...)                                                                                \
    document_begin_table(&(page)->document, (const char *const[]){__VA_ARGS__},                            \
                         (int)(sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *)))

static void begin_row_of(const struct page *page, int entry)
{
    bool reference = entry == page->comparison->plan.reference;
    document_begin_row(&page->document, reference ? "reference" : NULL);
}

/* The picture: its SVG, inline, or the file's name; nothing where there is none. */
static void put_figure(const struct page *page, enum figure figure, int league, int task, int entry,
                       const char *caption)
{
    char path[PLAN_PATH + 80], name[64], *text;
    size_t size;
    snprintf(path, sizeof path, "%s/%s.svg", page->figures, figure_name(figure, league, task, entry, name));
    if (access(path, R_OK) != 0)
        return;
    if (!is_html(page)) {
        fprintf(page->document.file, "![%s](figures/%s.svg)\n\n", caption, name);
        return;
    }
    if (descent_file_read(path, LARGEST_PICTURE, &text, &size) != DESCENT_OK)
        return;
    const char *svg = strstr(text, "<svg");
    if (svg) {
        put_html(page, "<figure>");
        put_html(page, svg);
        if (*caption) {
            put_html(page, "<figcaption>");
            document_text(&page->document, caption);
            put_html(page, "</figcaption>");
        }
        put_html(page, "</figure>\n");
    }
    free(text);
}

static const char style[] =
    "<style>\n"
    "body{font:16px/1.5 system-ui,sans-serif;color:#1a1a1a;background:#fff;margin:0 auto;max-width:72rem;"
    "padding:0 1rem 3rem}\n"
    "h1{font-size:1.5rem;margin:1.2rem 0 .4rem}h2{font-size:1.25rem;margin:2.2rem 0 .5rem;"
    "border-bottom:2px solid #ddd}h3{font-size:1.05rem;margin:1.6rem 0 .4rem}\n"
    ".lead{font-size:1.2rem;line-height:1.4}.note{color:#555;font-size:.9rem}"
    ".warn{border-left:5px solid #D55E00;background:#fdf3ec;padding:.5rem .8rem}\n"
    ".wide{overflow-x:auto;margin:.5rem 0}table{border-collapse:collapse;font-size:.86rem;"
    "font-variant-numeric:tabular-nums}\n"
    "th,td{padding:.25rem .55rem;border-bottom:1px solid #e2e2e2;text-align:right;white-space:nowrap}"
    "thead th{border-bottom:2px solid #888;vertical-align:bottom;white-space:normal;font-weight:600}\n"
    "th:first-child,td:first-child{text-align:left;position:sticky;left:0;background:#fff}"
    "td.edge{text-align:left}td.spec{text-align:left;font-family:monospace;white-space:normal;min-width:"
    "16rem}\n"
    "tr.reference "
    "td{font-weight:700}.sooner{color:#005a91;font-weight:600}.later{color:#a84800;font-weight:600}\n"
    ".figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,26rem),1fr));gap:1rem}\n"
    ".panels{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,15rem),1fr));gap:.3rem}\n"
    "figure{margin:0;break-inside:avoid}svg{width:100%;height:auto;max-width:40rem}"
    "figcaption{font-size:.85rem;color:#444}\n"
    "dl{display:grid;grid-template-columns:max-content 1fr;gap:.1rem 1rem}dt{color:#555}dd{margin:0}\n"
    "@media(max-width:30rem){dl{grid-template-columns:1fr}dd{margin-bottom:.4rem}.lead{font-size:1.08rem}"
    "td:first-child,th:first-child{min-width:6.5rem;white-space:normal;overflow-wrap:anywhere}}\n"
    "@page{size:A4 landscape;margin:10mm}@media "
    "print{body{max-width:none;font-size:10pt}.wide{overflow:visible}table{font-size:7pt}"
    "th,td{padding:.1rem .2rem}details:not([open])>*{display:none}}\n"
    "</style>\n";

static void put_top(const struct page *page)
{
    const struct comparison *comparison = page->comparison;
    const struct plan *plan = &comparison->plan;
    char text[2 * TEXT];
    put_html(page, "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
                   "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n"
                   "<title>Comparison of optimizers</title>\n");
    put_html(page, style);
    put_html(page, "</head><body>\n");
    document_heading(&page->document, 1, "Comparison of optimizers");
    int subject = plan->task_count > 1 ? COMPARISON_ALL_TASKS : 0;
    for (int league = COMPARISON_LEAGUES - 1; league >= 0; league--)
        if (comparison->overall[league])
            document_paragraph(&page->document, "lead", "%s",
                               comparison_sentence(comparison, league, subject, text, sizeof text));
    if (comparison->finished < comparison->runs)
        document_paragraph(
            &page->document, "warn",
            "Unfinished: %d of %d runs are done. What follows is what they say so far; targets "
            "and verdicts may still change.",
            comparison->finished, comparison->runs);
    if (page->pictures > PLOT_DRAWN)
        document_paragraph(&page->document, "warn",
                           page->pictures == PLOT_NO_GNUPLOT
                               ? "There are no pictures: gnuplot was not found. Install it and run 'train "
                                 "compare report' on this directory again, or run the scripts in "
                                 "report/figures by hand."
                               : "Pictures are missing: gnuplot failed on a script in report/figures.");
}

static void put_targets(const struct page *page, int t)
{
    const struct plan *plan = &page->comparison->plan;
    const struct comparison_task *task = &page->comparison->task[t];
    if (!isfinite(task->target[0]))
        return;
    document_fact(
        &page->document, "targets",
        "%.2f, %.2f and %.2f %% validation accuracy: where the median run of %s%s was after 25, 50 and "
        "100 %% of its budget. Verdicts are about the second.%s%s%s",
        100 * task->target[0], 100 * task->target[1], 100 * task->target[2],
        plan->leagues & PLAN_TUNED ? "tuned " : "", plan->entry[task->setter].label,
        plan->task_count > 1 ? " (" : "", plan->task_count > 1 ? plan->task[t].name : "",
        plan->task_count > 1 ? ")" : "");
}

static void put_facts(const struct page *page)
{
    const struct document *document = &page->document;
    const struct plan *plan = &page->comparison->plan;
    document_heading(document, 2, "What was compared");
    document_begin_facts(document);
    for (int t = 0; t < plan->task_count; t++)
        document_fact(document, "task", "%s, model %s, %d epoch%s", plan->task[t].data, plan->task[t].model,
                      plan->task[t].epochs, plan->task[t].epochs == 1 ? "" : "s");
    document_fact(document, "optimizers", "%d, against %s", plan->entry_count,
                  plan->entry[plan->reference].label);
    if (plan->leagues & PLAN_TUNED)
        document_fact(document, "tuning",
                      "%d trials each, scrambled Sobol points in the published search space, chosen by "
                      "validation accuracy",
                      plan->budget);
    document_fact(document, "seeds", "%d, paired: the same initial weights and batches for all optimizers",
                  plan->seeds);
    document_fact(document, "training",
                  "batches of %d, schedule %s%s%s, validation part %g %% of the training set", plan->batch,
                  plan->schedule, plan->augment ? ", augmented by " : "",
                  plan->augment ? plan->augment : "", 100 * plan->validation);
    document_fact(document, "test set",
                  "read %d times: once by each final run that did not diverge, by nothing else",
                  page->comparison->test_reads);
    for (int t = 0; t < plan->task_count; t++)
        put_targets(page, t);
    document_end_facts(document);
}

static void put_ratio(const struct page *page, const struct comparison_effect *effect)
{
    char text[96];
    if (effect->pairs == 0)
        snprintf(text, sizeof text, "–");
    else if (isinf(effect->interval.low))
        snprintf(text, sizeof text, "missed");
    else if (effect->ratio == 0)
        snprintf(text, sizeof text, "reference missed (–%.2f)", effect->interval.high);
    else if (isinf(effect->ratio) || isinf(effect->interval.high))
        snprintf(text, sizeof text, isinf(effect->ratio) ? "missed (%.2f–)" : "%.2f (%.2f–)",
                 isinf(effect->ratio) ? effect->interval.low : effect->ratio, effect->interval.low);
    else
        snprintf(text, sizeof text, "%.2f (%.2f–%.2f)", effect->ratio, effect->interval.low,
                 effect->interval.high);
    put_cell(page, text);
}

static void put_verdict(const struct page *page, const struct comparison_effect *effect, bool reference)
{
    static const char *const classes[] = {
        [NOT_DISTINGUISHABLE] = "text", [SOONER] = "text sooner", [LATER] = "text later"};
    const char *class = classes[effect->verdict];
    if (reference || effect->pairs == 0)
        document_cell(&page->document, class, "%s", reference ? "reference" : "");
    else if (effect->verdict == NOT_DISTINGUISHABLE && effect->pairs < page->comparison->plan.seeds)
        document_cell(&page->document, class, "not distinguishable (%d seeds)", effect->pairs);
    else
        document_cell(&page->document, class, "%s", comparison_verdict_text(effect->verdict));
}

static void put_leader(const struct page *page, int league, int t, int e)
{
    const struct plan *plan = &page->comparison->plan;
    const struct comparison_result *result = &page->comparison->task[t].result[league][e];
    const struct comparison_effect *steps = &result->steps[COMPARISON_PRIMARY];
    const struct comparison_summary *time = result->time[COMPARISON_PRIMARY];
    char text[96];
    begin_row_of(page, e);
    put_cell(page, plan->entry[e].label);
    put_ratio(page, steps);
    put_verdict(page, steps, e == plan->reference);
    if (isnan(steps->p))
        put_cell(page, "–");
    else
        put_number(page, steps->p, 3);
    put_number(page, time[CLOCK_STEPS].median, 0);
    document_cell(&page->document, NULL, "%d of %d", result->reached[COMPARISON_PRIMARY],
                  result->done + result->diverged);
    snprintf(text, sizeof text, "%.2f (%.2f–%.2f)", 100 * result->test.interquartile_mean,
             100 * result->test.interval.low, 100 * result->test.interval.high);
    put_cell(page, result->test.count ? text : "–");
    snprintf(text, sizeof text, "%+.2f (%+.2f to %+.2f)", 100 * result->over_reference.median,
             100 * result->over_reference.interval.low, 100 * result->over_reference.interval.high);
    put_cell(page, result->over_reference.pairs ? text : "–");
    if (is_html(page)) {
        put_percent(page, result->test.median);
        put_percent(page, result->validation.median);
        put_number(page, time[CLOCK_EPOCHS].median, 2);
        put_number(page, time[CLOCK_GRADIENTS].median, 0);
        put_ratio(page, &result->seconds[COMPARISON_PRIMARY]);
        put_number(page, time[CLOCK_SECONDS].median, 1);
        put_number(page, result->step_milliseconds, 2);
        put_number(page, result->state_bytes_per_parameter, 1);
        document_cell(&page->document, NULL, "%d", result->diverged);
    }
    document_end_row(&page->document);
}

static void put_other_targets(const struct page *page, int league, int t, const int *order)
{
    const struct plan *plan = &page->comparison->plan;
    put_html(page, "<details open><summary>The other two targets</summary>\n");
    PUT_HEAD(page, "optimizer", "25 %: steps", "ratio (95 % interval)", "verdict", "reached",
             "100 %: steps", "ratio (95 % interval)", "verdict", "reached");
    for (int i = 0; i < plan->entry_count; i++) {
        const struct comparison_result *result = &page->comparison->task[t].result[league][order[i]];
        begin_row_of(page, order[i]);
        put_cell(page, plan->entry[order[i]].label);
        for (int k = 0; k < COMPARISON_TARGETS; k++) {
            if (k == COMPARISON_PRIMARY)
                continue;
            put_number(page, result->time[k][CLOCK_STEPS].median, 0);
            put_ratio(page, &result->steps[k]);
            put_verdict(page, &result->steps[k], order[i] == plan->reference);
            document_cell(&page->document, NULL, "%d of %d", result->reached[k],
                          result->done + result->diverged);
        }
        document_end_row(&page->document);
    }
    document_end_table(&page->document);
    put_html(page, "</details>\n");
}

static void put_significance(const struct page *page, int league, int t)
{
    const struct comparison_result *results = page->comparison->task[t].result[league];
    double smallest = NAN, largest = NAN;
    for (int e = 0; e < page->comparison->plan.entry_count; e++) {
        smallest = fmin(smallest, results[e].steps[COMPARISON_PRIMARY].smallest_p);
        largest = fmax(largest, results[e].steps[COMPARISON_PRIMARY].smallest_p);
    }
    if (isnan(smallest))
        return;
    char missing[64] = "";
    if (largest > smallest)
        snprintf(missing, sizeof missing, " (%.2g where runs are missing)", largest);
    document_paragraph(
        &page->document, "note",
        "Ratio: steps to the target over the reference's, the median over paired seeds, with its 95 %% "
        "bootstrap interval; below 1 is sooner. p: Wilcoxon's signed-rank test, exact, with Holm's "
        "correction for these comparisons; the smallest it could be here is %.2g%s%s Test points: the "
        "difference at the end, the median over paired seeds; verdicts are not about it.",
        smallest, missing, largest > 0.05 ? ", and where that is above 0.05 none is printed." : ".");
}

static void put_league(const struct page *page, int league, int t)
{
    const struct comparison *comparison = page->comparison;
    int order[PLAN_ENTRIES];
    char text[64], over[96], sentence[2 * TEXT];
    document_heading(&page->document, 3, "%s", league_titles[league]);
    if (comparison->plan.task_count > 1)
        document_paragraph(&page->document, NULL, "%s",
                           comparison_sentence(comparison, league, t, sentence, sizeof sentence));
    comparison_rank(comparison, league, t, order);
    snprintf(text, sizeof text, "verdict with %d seeds", comparison->plan.seeds);
    snprintf(over, sizeof over, "test points over %.40s (95 %% interval)",
             comparison->plan.entry[comparison->plan.reference].label);
    enum { OF_BOTH = 8 }; /* columns; the rest are of HTML alone */
    const char *const titles[] = {"optimizer",
                                  "ratio of steps (95 % interval)",
                                  text,
                                  "p",
                                  "steps to target",
                                  "reached it",
                                  "test %: interquartile mean (95 % interval)",
                                  over,
                                  "test %: median",
                                  "validation %: median",
                                  "epochs to target",
                                  "gradient evaluations",
                                  "ratio of CPU seconds (95 % interval)",
                                  "CPU s to target",
                                  "CPU ms a step",
                                  "state bytes a parameter",
                                  "diverged"};
    document_begin_table(&page->document, titles,
                         is_html(page) ? (int)(sizeof titles / sizeof *titles) : OF_BOTH);
    for (int i = 0; i < comparison->plan.entry_count; i++)
        put_leader(page, league, t, order[i]);
    document_end_table(&page->document);
    put_significance(page, league, t);
    if (is_html(page))
        put_other_targets(page, league, t, order);
    put_html(page, "<div class=\"figures\">\n");
    put_figure(
        page, FIGURE_RATIOS, league, t, 0,
        "Steps to the target over the reference's, median and 95 % interval, logarithmic. Disc: sooner, "
        "square: later, open: not distinguishable.");
    put_figure(
        page, FIGURE_TIMES, league, t, 0,
        "Steps to the target, median and quartiles over seeds. Open marks at the right end: missed.");
    put_figure(page, FIGURE_CURVES, league, t, 0,
               "Validation accuracy, median over seeds, bands between quartiles. Dotted: the three "
               "targets. In color: the "
               "reference and the five soonest others; gray: the rest.");
    if (league == 1) {
        put_figure(
            page, FIGURE_LR, league, t, 0,
            "Accuracy of the trials over their learning rates. Other hyperparameters differ between trials "
            "too, so lines need not be smooth.");
        put_figure(page, FIGURE_EXPECTED, league, t, 0,
                   "Best validation accuracy to be expected of so many trials.");
    }
    put_html(page,
             "</div>\n<details open><summary>Each optimizer by itself, dashed the reference; same axes as "
             "above</summary>\n<div class=\"panels\">\n");
    for (int i = 0; is_html(page) && i < comparison->plan.entry_count; i++)
        put_figure(page, FIGURE_PANEL, league, t, order[i], "");
    put_html(page, "</div></details>\n");
}

static void put_tuning(const struct page *page, int t)
{
    const struct comparison *comparison = page->comparison;
    document_heading(&page->document, 3, "Chosen settings");
    PUT_HEAD(page, "optimizer", "settings of the best trial", "on the edge of the space",
             "lr basin, decades", "trials", "diverged", "best validation %");
    for (int e = 0; e < comparison->plan.entry_count; e++) {
        const struct comparison_tuning *tuning = &comparison->task[t].tuning[e];
        const char *settings = comparison->task[t].result[1][e].settings;
        const struct document *document = &page->document;
        char edges[COMPARISON_EDGES];
        document_begin_row(document, NULL);
        put_cell(page, comparison->plan.entry[e].label);
        document_code_cell(document, settings ? settings : "–");
        document_cell(document, "edge", "%s", comparison_edges(tuning, edges));
        put_number(page, tuning->basin, 1);
        document_cell(document, NULL, "%d", tuning->finished);
        document_cell(document, NULL, "%d", tuning->diverged);
        put_percent(page, tuning->best < 0 ? NAN : record_final(&tuning->trial[tuning->best]));
        document_end_row(document);
    }
    document_end_table(&page->document);
    document_paragraph(
        &page->document, "note",
        "On the edge: the best lr is the largest or smallest that was tried, or another value lies in the "
        "outer 5 %% of its range; a wider space might have done better. Basin: how far lr may be moved "
        "around "
        "the best trial before a trial has more than 5/4 of its error.");
}

/* Friedman's test and Nemenyi's difference: what the ranks over the tasks say, and whether they could. */
static void put_ranks(const struct page *page, int league)
{
    const struct comparison *comparison = page->comparison;
    int count = comparison->plan.entry_count;
    double difference = comparison->critical_difference[league], least = count, most = 1;
    if (isnan(comparison->friedman_p[league]))
        return;
    for (int e = 0; e < count; e++) {
        least = fmin(least, comparison->overall[league][e].mean_rank);
        most = fmax(most, comparison->overall[league][e].mean_rank);
    }
    document_paragraph(
        &page->document, NULL,
        "Friedman's test over %d tasks: p = %.3g. Two optimizers whose mean ranks differ by less than "
        "%.2f are a tie (Nemenyi, 5 %%).%s",
        comparison->ranked[league], comparison->friedman_p[league], difference,
        difference >= count - 1     ? " No difference of ranks is as large: with so few tasks and so many "
                                      "optimizers all are a tie, whatever they did."
        : most - least < difference ? " None differ by as much: by their ranks all are a tie."
                                    : "");
}

static void put_overall(const struct page *page, int league)
{
    int order[PLAN_ENTRIES];
    const struct comparison *comparison = page->comparison;
    const struct plan *plan = &comparison->plan;
    const struct comparison_overall *overall = comparison->overall[league];
    bool several = plan->task_count > 1;
    document_heading(&page->document, 3, "%s", league_titles[league]);
    put_ranks(page, league);
    comparison_rank(comparison, league, COMPARISON_ALL_TASKS, order);
    PUT_HEAD(page, "optimizer", "profile score", several ? "mean rank" : "problems",
             "ratio of steps, all tasks", "verdict");
    for (int i = 0; i < plan->entry_count; i++) {
        int e = order[i];
        begin_row_of(page, e);
        put_cell(page, plan->entry[e].label);
        put_number(page, overall[e].score, 3);
        put_number(page, several ? overall[e].mean_rank : overall[e].problems, several ? 2 : 0);
        put_ratio(page, &overall[e].steps);
        put_verdict(page, &overall[e].steps, e == plan->reference);
        document_end_row(&page->document);
    }
    document_end_table(&page->document);
    put_html(page, "<div class=\"figures\">\n");
    put_figure(page, FIGURE_PROFILE, league, 0, 0,
               "Performance profile (AlgoPerf): the share of problems, each a task with one seed, that an "
               "optimizer "
               "solved within tau times the steps of the soonest there. Its score is the mean height.");
    put_figure(page, FIGURE_RANKS, league, 0, 0,
               "Mean ranks over tasks; bars are half the critical difference to either side: optimizers "
               "whose bars "
               "overlap are a tie.");
    put_html(page, "</div>\n");
}

/* ---- Caveats ---- */

static void put_check(const struct page *page, int t, int c)
{
    const struct plan *plan = &page->comparison->plan;
    const struct comparison_check *check = &page->comparison->task[t].check[c];
    if (check->better < 0 || check->steps.pairs == 0)
        return;
    char interval[64];
    document_item(
        &page->document,
        "%s: inclusion check %s: tuned %s %s tuned %s (ratio of steps %s; %+.2f to %+.2f points of "
        "validation accuracy at the end).%s",
        plan->task[t].name, check->failed ? "failed" : "passed", plan->entry[check->better].label,
        check->failed ? "lost to" : "did not lose to", plan->entry[check->worse].label,
        interval_text(check->steps.interval.low, check->steps.interval.high, interval),
        100 * check->accuracy.interval.low, 100 * check->accuracy.interval.high,
        check->failed ? " So the budget of trials was too small, at least for it. Read every rank "
                        "of this task with that in mind."
                      : "");
}

static void put_task_caveats(const struct page *page, int t)
{
    const struct comparison *comparison = page->comparison;
    const struct plan *plan = &comparison->plan;
    const struct comparison_task *task = &comparison->task[t];
    bool checked = false;
    if (isfinite(task->target[0]))
        document_item(
            &page->document,
            "%s: the last target is one that about half of the runs of %s%s miss, as it comes from "
            "their median.",
            plan->task[t].name, task->tuning ? "tuned " : "", plan->entry[task->setter].label);
    if (task->data[1])
        document_item(&page->document,
                      "%s: its runs did not all find the same data: files have changed since the first.",
                      plan->task[t].name);
    for (int c = 0; c < COMPARISON_CHECKS; c++) {
        put_check(page, t, c);
        checked |= task->check[c].better >= 0;
    }
    if (task->tuning && !checked)
        document_item(
            &page->document,
            "%s: whether the budget sufficed could not be checked: that needs sgd and momentum, or adam "
            "and nadam.",
            plan->task[t].name);
    for (int e = 0; task->tuning && e < plan->entry_count; e++) {
        const struct comparison_tuning *tuning = &task->tuning[e];
        for (int d = 0; d < tuning->space.count; d++)
            if (tuning->edge[d] && tuning->space.dimension[d].part == 0 &&
                strcmp(tuning->space.dimension[d].option->name, "lr") == 0)
                document_item(&page->document, "%s: the best lr of %s lies on the edge of what was tried.",
                              plan->task[t].name, plan->entry[e].label);
    }
    for (int league = 0; league < COMPARISON_LEAGUES; league++)
        for (int e = 0; task->result[league] && e < plan->entry_count; e++)
            if (task->result[league][e].lost)
                document_item(&page->document,
                              "%s: all %d trials of %s diverged, so that it has no final runs; they count "
                              "as accuracy 0 and as having missed every target.",
                              plan->task[t].name, plan->budget, plan->entry[e].label);
            else if (task->result[league][e].diverged)
                document_item(
                    &page->document,
                    "%s, %s: %d of %d final runs of %s diverged; they count as accuracy 0 and as having "
                    "missed every target.",
                    plan->task[t].name, plan_leagues[league], task->result[league][e].diverged,
                    task->result[league][e].done + task->result[league][e].diverged, plan->entry[e].label);
}

static void put_caveats(const struct page *page)
{
    const struct plan *plan = &page->comparison->plan;
    document_heading(&page->document, 2, "Caveats");
    document_begin_list(&page->document);
    document_item(&page->document,
                  "This holds for %s, this budget, this batch size and this schedule; another task may say "
                  "otherwise.",
                  plan->task_count > 1 ? "these tasks" : "this task");
    if (statistics_smallest_p(plan->seeds, 1) > 0.05)
        document_item(&page->document,
                      "%d seeds cannot decide anything at 5 %%: at least 6 are needed, so every verdict is "
                      "\"not distinguishable\".",
                      plan->seeds);
    document_item(
        &page->document,
        "Verdicts come from 95 %% intervals, each for itself: of %d comparisons without any difference "
        "about %.1f would be decided by chance. The p-values are corrected for that.",
        plan->entry_count - 1, 0.05 * (plan->entry_count - 1));
    if (is_html(page))
        document_item(
            &page->document,
            "Seconds are CPU time of runs that may have shared the machine; compare them with caution. "
            "Everything else does not depend on the machine's load.");
    if (page->comparison->build[1])
        document_item(
            &page->document,
            "Runs were made by different builds of descent (%s and %s, at least), whose numbers may "
            "differ.",
            page->comparison->build[0], page->comparison->build[1]);
    for (int t = 0; t < plan->task_count; t++)
        put_task_caveats(page, t);
    document_end_list(&page->document);
}

/* ---- Raw numbers ---- */

/* JSON within a script element: "<" would end or open something. */
static enum descent_status put_raw(const struct page *page, const struct descent_json *everything)
{
    char *line = descent_json_line(everything);
    if (!line)
        return descent_fail(DESCENT_OUT_OF_MEMORY, "out of memory");
    document_heading(&page->document, 2, "Raw numbers");
    put_html(page,
             "<p>Every number of every run is in this page, in the element <code>#raw</code>, as JSON, and "
             "beside it as CSV: <code>finals.csv</code>, <code>trials.csv</code>, <code>curves.csv</code> "
             "and others. Whatever a clock measured is in files of its own, <code>measured_*.csv</code>; "
             "all else is the same bytes however often the comparison was interrupted.</p>\n"
             "<script type=\"application/json\" id=\"raw\">");
    for (const char *c = line; *c; c++)
        if (*c == '<')
            put_html(page, "\\u003c");
        else
            putc(*c, page->document.file);
    put_html(page, "</script>\n");
    free(line);
    return DESCENT_OK;
}

static void put_all_tasks(const struct page *page)
{
    document_heading(&page->document, 2, "All problems together");
    for (int league = COMPARISON_LEAGUES - 1; league >= 0; league--)
        if (page->comparison->overall[league])
            put_overall(page, league);
}

/* Of several tasks first what they say together; of one there is little more to say, in HTML alone. */
static void put_contents(const struct page *page)
{
    const struct comparison *comparison = page->comparison;
    bool several = comparison->plan.task_count > 1;
    put_top(page);
    put_facts(page);
    if (several)
        put_all_tasks(page);
    for (int t = 0; t < comparison->plan.task_count; t++) {
        document_heading(&page->document, 2, "%s with %s", comparison->plan.task[t].data_name,
                         comparison->plan.task[t].model_name);
        for (int league = COMPARISON_LEAGUES - 1; league >= 0; league--)
            if (comparison->task[t].result[league])
                put_league(page, league, t);
        if (comparison->task[t].tuning)
            put_tuning(page, t);
    }
    if (!several && is_html(page))
        put_all_tasks(page);
    put_caveats(page);
}

/* ---- All together ---- */

/* DIRECTORY/NAME in page->document's syntax. */
static enum descent_status write_document(struct page *page, const char *directory, const char *name,
                                          const struct descent_json *everything)
{
    char path[PLAN_PATH];
    struct descent_file file;
    snprintf(path, sizeof path, "%s/%s", directory, name);
    enum descent_status status = descent_file_create(&file, path);
    if (status != DESCENT_OK)
        return status;
    page->document.file = file.stream;
    put_contents(page);
    if (is_html(page))
        status = put_raw(page, everything);
    put_html(page, "</body></html>\n");
    if (status == DESCENT_OK)
        return descent_file_commit(&file);
    descent_file_abandon(&file);
    return status;
}

static enum descent_status write_report(const struct comparison *comparison, const char *out,
                                        const char *directory, const char *figures)
{
    struct descent_json *everything = NULL;
    struct page page = {.comparison = comparison, .figures = figures};
    enum descent_status status = tables_write(comparison, out, directory, &everything);
    if (status == DESCENT_OK)
        status = figures_draw(comparison, figures, &page.pictures);
    page.document.syntax = DOCUMENT_HTML;
    if (status == DESCENT_OK)
        status = write_document(&page, directory, "report.html", everything);
    page.document.syntax = DOCUMENT_MARKDOWN;
    if (status == DESCENT_OK)
        status = write_document(&page, directory, "summary.md", everything);
    descent_json_free(everything);
    return status;
}

/* Where there is no comparison, there is to be no report of it. */
enum descent_status compare_report(const char *out, char *sentence, size_t size)
{
    char path[PLAN_PATH], directory[PLAN_PATH - 64], figures[PLAN_PATH];
    struct comparison comparison = {.plan.task_count = 0};
    struct descent_json *plan = NULL;
    int turn = -1;
    snprintf(directory, sizeof directory, "%s/report", out);
    snprintf(figures, sizeof figures, "%s/figures", directory);
    enum descent_status status = plan_read_json(out, path, &plan);
    descent_json_free(plan);
    if (status == DESCENT_OK)
        status = descent_make_directories(figures);
    snprintf(path, sizeof path, "%s/.lock", directory);
    /* Several processes may end a comparison together, and gnuplot writes pictures where they are: one at a
     * time, each of the runs there are when it is its turn; all at once where there are no locks. */
    if (status == DESCENT_OK)
        (void)descent_file_lock(path, true, &turn);
    if (status == DESCENT_OK)
        status = comparison_read(out, &comparison);
    if (status == DESCENT_OK) {
        comparison_sentence(&comparison, comparison.overall[1] ? 1 : 0,
                            comparison.plan.task_count > 1 ? COMPARISON_ALL_TASKS : 0, sentence, size);
        status = write_report(&comparison, out, directory, figures);
    }
    comparison_free(&comparison);
    if (turn >= 0)
        close(turn);
    return status;
}
