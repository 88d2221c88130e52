/* The tables of a comparison; see tables.h. */
#include "train/compare/tables.h"

#include "base/file.h"
#include "base/json.h"
#include "train/compare/table.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const states[] = {
    [RECORD_MISSING] = "missing", [RECORD_DONE] = "done", [RECORD_DIVERGED] = "diverged"};

/* "steps_50": of the target at 50 % of the budget. */
static const char *at_target(const char *what, int target, char column[64])
{
    snprintf(column, 64, "%s_%.0f", what, 100 * comparison_shares[target]);
    return column;
}

static void add_labels(struct table *table, const struct comparison *comparison, int league, int task,
                       int entry)
{
    table_row(table);
    table_text(table, "league", plan_leagues[league]);
    table_text(table, "task", comparison->plan.task[task].name);
    table_text(table, "optimizer", comparison->plan.entry[entry].label);
}

static void add_effect(struct table *table, const struct comparison_effect *effect, int target)
{
    char column[64];
    table_number(table, at_target("ratio", target, column), effect->ratio);
    table_number(table, at_target("ratio_low", target, column), effect->interval.low);
    table_number(table, at_target("ratio_high", target, column), effect->interval.high);
    table_text(table, at_target("verdict", target, column),
               effect->pairs ? comparison_verdict_text(effect->verdict) : NULL);
    table_number(table, at_target("smallest_p", target, column), effect->smallest_p);
    table_number(table, at_target("p", target, column), effect->p);
}

static void add_summary(struct table *table, const char *what, const struct comparison_summary *summary)
{
    static const char *const parts[] = {"median", "low_quartile", "high_quartile",
                                        "iqm",    "iqm_low",      "iqm_high"};
    const double values[] = {summary->median,       summary->quartile[0],
                             summary->quartile[1],  summary->interquartile_mean,
                             summary->interval.low, summary->interval.high};
    for (int i = 0; i < 6; i++) {
        char column[64];
        snprintf(column, sizeof column, "%s_%s", what, parts[i]);
        table_number(table, column, values[i]);
    }
}

/* Calls `add` for each optimizer in each league on each task, the best of these first. */
static struct descent_json *each_result(const struct comparison *comparison,
                                        void add(struct table *, const struct comparison *, int league,
                                                 int task, int entry))
{
    struct table table = table_new();
    int order[PLAN_ENTRIES];
    for (int league = COMPARISON_LEAGUES - 1; league >= 0; league--)
        for (int t = 0; t < comparison->plan.task_count; t++) {
            if (!comparison->task[t].result[league])
                continue;
            comparison_rank(comparison, league, t, order);
            for (int i = 0; i < comparison->plan.entry_count; i++)
                add(&table, comparison, league, t, order[i]);
        }
    return table_json(&table);
}

static void add_leader(struct table *table, const struct comparison *comparison, int league, int t, int e)
{
    const struct comparison_result *result = &comparison->task[t].result[league][e];
    char column[64];
    add_labels(table, comparison, league, t, e);
    table_text(table, "settings", result->settings);
    table_integer(table, "done", result->done);
    table_integer(table, "diverged", result->diverged);
    for (int k = 0; k < COMPARISON_TARGETS; k++) {
        table_integer(table, at_target("reached", k, column), result->reached[k]);
        table_number(table, at_target("steps", k, column), result->time[k][CLOCK_STEPS].median);
        table_number(table, at_target("epochs", k, column), result->time[k][CLOCK_EPOCHS].median);
        table_number(table, at_target("gradient_evaluations", k, column),
                     result->time[k][CLOCK_GRADIENTS].median);
        add_effect(table, &result->steps[k], k);
    }
    add_summary(table, "validation", &result->validation);
    add_summary(table, "test", &result->test);
    table_number(table, "test_over_reference", result->over_reference.median);
    table_number(table, "test_over_reference_low", result->over_reference.interval.low);
    table_number(table, "test_over_reference_high", result->over_reference.interval.high);
    table_number(table, "state_bytes_per_parameter", result->state_bytes_per_parameter);
}

static void add_measured_leader(struct table *table, const struct comparison *comparison, int league, int t,
                                int e)
{
    const struct comparison_result *result = &comparison->task[t].result[league][e];
    char column[64];
    add_labels(table, comparison, league, t, e);
    table_number(table, "milliseconds_per_step", result->step_milliseconds);
    for (int k = 0; k < COMPARISON_TARGETS; k++) {
        table_number(table, at_target("cpu_seconds", k, column), result->time[k][CLOCK_SECONDS].median);
        add_effect(table, &result->seconds[k], k);
    }
}

static void add_finals(struct table *table, const struct comparison *comparison, int league, int t, int e)
{
    for (int i = 0; i < comparison->plan.seeds; i++) {
        const struct comparison_final *final = &comparison->task[t].result[league][e].final[i];
        const struct record *record = &final->record;
        char column[64];
        add_labels(table, comparison, league, t, e);
        table_integer(table, "seed", i + 1);
        table_text(table, "outcome", states[record->state]);
        for (int k = 0; k < COMPARISON_TARGETS; k++) {
            table_number(table, at_target("steps", k, column), final->time[k][CLOCK_STEPS]);
            table_number(table, at_target("epochs", k, column), final->time[k][CLOCK_EPOCHS]);
            table_number(table, at_target("gradient_evaluations", k, column),
                         final->time[k][CLOCK_GRADIENTS]);
        }
        table_number(table, "validation_accuracy", record_final(record));
        table_number(table, "test_accuracy", record->test_accuracy);
        table_number(table, "test_loss", record->test_loss);
        table_integer(table, "test_reads", record->test_reads);
        table_text(table, "spec", record->spec);
    }
}

static void add_measured_finals(struct table *table, const struct comparison *comparison, int league, int t,
                                int e)
{
    for (int i = 0; i < comparison->plan.seeds; i++) {
        const struct comparison_final *final = &comparison->task[t].result[league][e].final[i];
        bool ended = final->record.state != RECORD_MISSING;
        char column[64];
        add_labels(table, comparison, league, t, e);
        table_integer(table, "seed", i + 1);
        table_number(table, "seconds", ended ? final->record.seconds : NAN);
        table_number(table, "cpu_seconds", ended ? final->record.cpu_seconds : NAN);
        for (int k = 0; k < COMPARISON_TARGETS; k++)
            table_number(table, at_target("cpu_seconds", k, column), final->time[k][CLOCK_SECONDS]);
    }
}

static struct descent_json *targets(const struct comparison *comparison)
{
    struct table table = table_new();
    for (int t = 0; t < comparison->plan.task_count; t++)
        for (int k = 0; k < COMPARISON_TARGETS; k++) {
            table_row(&table);
            table_text(&table, "task", comparison->plan.task[t].name);
            table_text(&table, "set_by", comparison->plan.entry[comparison->task[t].setter].label);
            table_number(&table, "share_of_budget", comparison_shares[k]);
            table_number(&table, "validation_accuracy", comparison->task[t].target[k]);
        }
    return table_json(&table);
}

static struct descent_json *tuning(const struct comparison *comparison)
{
    struct table table = table_new();
    for (int t = 0; t < comparison->plan.task_count; t++)
        for (int e = 0; comparison->task[t].tuning && e < comparison->plan.entry_count; e++) {
            const struct comparison_tuning *found = &comparison->task[t].tuning[e];
            char text[COMPARISON_EDGES];
            table_row(&table);
            table_text(&table, "task", comparison->plan.task[t].name);
            table_text(&table, "optimizer", comparison->plan.entry[e].label);
            table_integer(&table, "hyperparameters", found->space.count);
            table_integer(&table, "trials", found->finished);
            table_integer(&table, "diverged", found->diverged);
            table_integer(&table, "best", found->best + 1);
            table_text(&table, "settings", comparison->task[t].result[1][e].settings);
            table_text(&table, "on_the_edge", comparison_edges(found, text));
            table_number(&table, "lr_basin_decades", found->basin);
        }
    return table_json(&table);
}

static struct descent_json *trials(const struct comparison *comparison)
{
    struct table table = table_new();
    for (int t = 0; t < comparison->plan.task_count; t++)
        for (int i = 0;
             comparison->task[t].tuning && i < comparison->plan.entry_count * comparison->plan.budget;
             i++) {
            int e = i / comparison->plan.budget, trial = i % comparison->plan.budget;
            const struct comparison_tuning *found = &comparison->task[t].tuning[e];
            const struct record *record = &found->trial[trial];
            table_row(&table);
            table_text(&table, "task", comparison->plan.task[t].name);
            table_text(&table, "optimizer", comparison->plan.entry[e].label);
            table_integer(&table, "trial", trial + 1);
            table_text(&table, "outcome", states[record->state]);
            table_number(&table, "lr", found->lr[trial]);
            table_number(&table, "validation_accuracy", record_final(record));
            table_number(&table, "expected_best", trial < found->finished ? found->expected[trial] : NAN);
            table_text(&table, "spec", record->spec);
        }
    return table_json(&table);
}

static struct descent_json *checks(const struct comparison *comparison)
{
    struct table table = table_new();
    for (int t = 0; t < comparison->plan.task_count; t++)
        for (int c = 0; c < COMPARISON_CHECKS; c++) {
            const struct comparison_check *check = &comparison->task[t].check[c];
            if (check->better < 0)
                continue;
            table_row(&table);
            table_text(&table, "task", comparison->plan.task[t].name);
            table_text(&table, "must_not_lose", comparison->plan.entry[check->better].label);
            table_text(&table, "to", comparison->plan.entry[check->worse].label);
            table_text(&table, "failed", check->failed ? "yes" : "no");
            add_effect(&table, &check->steps, COMPARISON_PRIMARY);
            table_number(&table, "accuracy_difference_low", check->accuracy.interval.low);
            table_number(&table, "accuracy_difference_high", check->accuracy.interval.high);
        }
    return table_json(&table);
}

static struct descent_json *overall(const struct comparison *comparison)
{
    struct table table = table_new();
    for (int league = 0; league < COMPARISON_LEAGUES; league++)
        for (int e = 0; comparison->overall[league] && e < comparison->plan.entry_count; e++) {
            const struct comparison_overall *found = &comparison->overall[league][e];
            table_row(&table);
            table_text(&table, "league", plan_leagues[league]);
            table_text(&table, "optimizer", comparison->plan.entry[e].label);
            table_integer(&table, "problems", found->problems);
            table_number(&table, "profile_score", found->score);
            table_number(&table, "mean_rank", found->mean_rank);
            add_effect(&table, &found->steps, COMPARISON_PRIMARY);
            table_number(&table, "friedman_p", comparison->friedman_p[league]);
            table_number(&table, "critical_difference", comparison->critical_difference[league]);
        }
    return table_json(&table);
}

/* ---- Curves ---- */

static const struct record *record_of(const struct comparison *comparison, const struct plan_run *run)
{
    const struct comparison_task *task = &comparison->task[run->task];
    return run->kind == PLAN_TRIAL_RUN
               ? &task->tuning[run->entry].trial[run->index]
               : &task->result[run->kind == PLAN_TUNED_RUN][run->entry].final[run->index].record;
}

/* What an evaluation holds besides its step; the last two are measured by a clock. */
enum { SERIES = 6, EXACT_SERIES = 4 };
static const char *const series[SERIES] = {
    "epoch", "gradient_evaluations", "validation_loss", "validation_accuracy", "seconds", "cpu_seconds"};

static double series_value(const struct record_point *point, int i)
{
    const double values[SERIES] = {point->epoch,   point->gradient_evaluations,
                                   point->loss,    point->accuracy,
                                   point->seconds, point->cpu_seconds};
    return values[i];
}

/* The evaluations of all runs, in the plan's order: series from `first` up to `end`. */
static struct descent_json *curves(const struct comparison *comparison, int first, int end)
{
    struct table table = table_new();
    for (int r = 0; r < comparison->runs; r++) {
        struct plan_run run = plan_run(&comparison->plan, r);
        const struct record *record = record_of(comparison, &run);
        for (int i = 0; i < record->count; i++) {
            table_row(&table);
            table_text(&table, "task", comparison->plan.task[run.task].name);
            table_text(&table, "optimizer", comparison->plan.entry[run.entry].label);
            table_text(&table, "run", plan_kinds[run.kind]);
            table_integer(&table, "number", run.index + 1);
            table_integer(&table, "step", (int64_t)record->point[i].step);
            for (int s = first; s < end; s++)
                table_number(&table, series[s], series_value(&record->point[i], s));
        }
    }
    return table_json(&table);
}

/* The same for JSON, which would repeat too much: an object a run, whose series are arrays. */
static struct descent_json *compact_curves(const struct comparison *comparison, int first, int end)
{
    struct descent_json *runs = descent_json_array();
    for (int r = 0; r < comparison->runs; r++) {
        struct plan_run run = plan_run(&comparison->plan, r);
        const struct record *record = record_of(comparison, &run);
        if (record->count == 0)
            continue;
        struct descent_json *json = descent_json_object(), *steps = descent_json_array();
        descent_json_set_text(json, "task", comparison->plan.task[run.task].name);
        descent_json_set_text(json, "optimizer", comparison->plan.entry[run.entry].label);
        descent_json_set_text(json, "run", plan_kinds[run.kind]);
        descent_json_set_integer(json, "number", run.index + 1);
        for (int i = 0; i < record->count; i++)
            descent_json_add_integer(steps, (int64_t)record->point[i].step);
        descent_json_set(json, "step", steps);
        for (int s = first; s < end; s++) {
            struct descent_json *values = descent_json_array();
            for (int i = 0; i < record->count; i++)
                descent_json_add_number(values, series_value(&record->point[i], s));
            descent_json_set(json, series[s], values);
        }
        descent_json_add(runs, json);
    }
    return runs;
}

static enum descent_status add_curves(const struct comparison *comparison, const char *directory,
                                      bool measured, struct descent_json *into)
{
    const char *name = measured ? "measured_curves" : "curves";
    int first = measured ? EXACT_SERIES : 0, end = measured ? SERIES : EXACT_SERIES;
    char path[PLAN_PATH];
    snprintf(path, sizeof path, "%s/%s.csv", directory, name);
    struct descent_json *table = curves(comparison, first, end);
    enum descent_status status = table_write_csv(table, path);
    descent_json_free(table);
    descent_json_set(into, name, compact_curves(comparison, first, end));
    return status;
}

/* ---- All ---- */

static enum descent_status add_tables(const char *directory, const char *const *names,
                                      struct descent_json *const *tables, int count,
                                      struct descent_json *into)
{
    enum descent_status status = DESCENT_OK;
    for (int i = 0; i < count; i++) {
        char path[PLAN_PATH];
        snprintf(path, sizeof path, "%s/%s.csv", directory, names[i]);
        if (status == DESCENT_OK)
            status = table_write_csv(tables[i], path);
        descent_json_set(into, names[i], tables[i]);
    }
    return status;
}

enum descent_status tables_write(const struct comparison *comparison, const char *out,
                                 const char *directory, struct descent_json **everything)
{
    static const char *const names[] = {"leaderboard", "overall", "targets", "tuning",
                                        "checks",      "finals",  "trials"};
    static const char *const measured_names[] = {"measured_leaderboard", "measured_finals"};
    struct descent_json *plan;
    char path[PLAN_PATH];
    *everything = NULL;
    enum descent_status status = plan_read_json(out, path, &plan);
    if (status != DESCENT_OK)
        return status;
    struct descent_json *json = *everything = descent_json_object();
    descent_json_set(json, "plan", plan);
    descent_json_set_integer(json, "runs", comparison->runs);
    descent_json_set_integer(json, "finished", comparison->finished);
    descent_json_set_integer(json, "test_reads", comparison->test_reads);
    struct descent_json *const tables[] = {each_result(comparison, add_leader),
                                           overall(comparison),
                                           targets(comparison),
                                           tuning(comparison),
                                           checks(comparison),
                                           each_result(comparison, add_finals),
                                           trials(comparison)};
    status = add_tables(directory, names, tables, (int)(sizeof names / sizeof *names), json);
    if (status == DESCENT_OK)
        status = add_curves(comparison, directory, false, json);
    snprintf(path, sizeof path, "%s/comparison.json", directory);
    if (status == DESCENT_OK)
        status = descent_json_write(path, json);
    if (status != DESCENT_OK)
        return status;
    struct descent_json *const measured[] = {each_result(comparison, add_measured_leader),
                                             each_result(comparison, add_measured_finals)};
    status = add_tables(directory, measured_names, measured,
                        (int)(sizeof measured_names / sizeof *measured_names), json);
    return status == DESCENT_OK ? add_curves(comparison, directory, true, json) : status;
}
