/* Analysis of a comparison's runs; see analysis.h. */
#include "train/compare/analysis.h"

#include "base/memory.h"
#include "train/compare/settings.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const double comparison_shares[COMPARISON_TARGETS] = {0.25, 0.5, 1};

static const double LEVEL = 0.05, EDGE = 0.05, BASIN = 1.25, PROFILE_LIMIT = 4;

/* Sets *memory to count zeroed items of the comparison's own. */
#define NEW(comparison, memory, count)                                                                     \
    ((*(memory) = descent_arena_alloc((comparison)->arena, (size_t)(count) * sizeof **(memory)))           \
         ? DESCENT_OK                                                                                      \
         : descent_fail(DESCENT_OUT_OF_MEMORY, "out of memory"))

static const int LEAGUE_RUNS[COMPARISON_LEAGUES] = {PLAN_DEFAULT_RUN, PLAN_TUNED_RUN};

static bool played(const struct plan *plan, int league)
{
    return plan->leagues & 1U << league;
}

/* ---- Reading ---- */

/* Remembers the first two that differ. */
static void note(const char *seen[2], const char *one)
{
    if (!seen[0])
        seen[0] = one;
    else if (!seen[1] && strcmp(seen[0], one) != 0)
        seen[1] = one;
}

/* winner: the trial whose settings a final run must have, or NULL; with others it is as if the run were not
 * there. */
static enum descent_status read_run(struct comparison *comparison, const char *out, struct plan_run run,
                                    const struct record *winner, struct record *record)
{
    char path[PLAN_PATH];
    enum descent_status status = record_read(plan_path(&comparison->plan, &run, out, path), record);
    if (status == DESCENT_OK && record->state != RECORD_MISSING && winner &&
        settings_differ(&comparison->plan.entry[run.entry], winner->spec, record->spec))
        record_free(record);
    if (status != DESCENT_OK || record->state == RECORD_MISSING)
        return status;
    comparison->finished++;
    comparison->test_reads += record->test_reads;
    note(comparison->build, record->build);
    note(comparison->task[run.task].data, record->data);
    return status;
}

static enum descent_status read_finals(struct comparison *comparison, const char *out, int league, int task,
                                       int entry)
{
    const struct plan *plan = &comparison->plan;
    struct comparison_result *result = &comparison->task[task].result[league][entry];
    enum descent_status status = NEW(comparison, &result->final, plan->seeds);
    result->state_bytes_per_parameter = NAN;
    const struct record *winner = NULL;
    if (league == 1) {
        const struct comparison_tuning *tuning = &comparison->task[task].tuning[entry];
        winner = tuning->best >= 0 ? &tuning->trial[tuning->best] : NULL;
        result->lost = tuning->best < 0 && tuning->finished == plan->budget;
    }
    for (int i = 0; status == DESCENT_OK && i < plan->seeds; i++) {
        struct record *record = &result->final[i].record;
        struct plan_run run = {.task = task, .entry = entry, .kind = LEAGUE_RUNS[league], .index = i};
        if (result->lost) {
            *record = (struct record){.state = RECORD_DIVERGED, .test_loss = NAN, .test_accuracy = NAN};
            comparison->finished++;
        } else
            status = read_run(comparison, out, run, winner, record);
        result->done += record->state == RECORD_DONE;
        result->diverged += record->state == RECORD_DIVERGED;
        if (record->state != RECORD_MISSING && !result->lost)
            result->state_bytes_per_parameter = record->state_bytes / record->parameters;
    }
    return status;
}

static enum descent_status read_trials(struct comparison *comparison, const char *out, int task, int entry)
{
    const struct plan *plan = &comparison->plan;
    struct comparison_tuning *tuning = &comparison->task[task].tuning[entry];
    enum descent_status status = NEW(comparison, &tuning->trial, plan->budget);
    if (status == DESCENT_OK)
        status = NEW(comparison, &tuning->place, plan->budget);
    if (status == DESCENT_OK)
        status = NEW(comparison, &tuning->lr, plan->budget);
    if (status == DESCENT_OK)
        status = NEW(comparison, &tuning->expected, plan->budget);
    for (int i = 0; status == DESCENT_OK && i < plan->budget; i++) {
        struct plan_run run = {.task = task, .entry = entry, .kind = PLAN_TRIAL_RUN, .index = i};
        status = read_run(comparison, out, run, NULL, &tuning->trial[i]);
        tuning->finished += tuning->trial[i].state != RECORD_MISSING;
        tuning->diverged += tuning->trial[i].state == RECORD_DIVERGED;
    }
    tuning->best = status == DESCENT_OK ? record_best(tuning->trial, plan->budget) : -1;
    return status;
}

static enum descent_status read_task(struct comparison *comparison, const char *out, int t)
{
    const struct plan *plan = &comparison->plan;
    struct comparison_task *task = &comparison->task[t];
    enum descent_status status = DESCENT_OK;
    if (played(plan, 1))
        status = NEW(comparison, &task->tuning, plan->entry_count);
    for (int e = 0; task->tuning && status == DESCENT_OK && e < plan->entry_count; e++)
        status = read_trials(comparison, out, t, e);
    for (int league = 0; status == DESCENT_OK && league < COMPARISON_LEAGUES; league++) {
        if (!played(plan, league))
            continue;
        status = NEW(comparison, &task->result[league], plan->entry_count);
        for (int e = 0; status == DESCENT_OK && e < plan->entry_count; e++)
            status = read_finals(comparison, out, league, t, e);
    }
    return status;
}

/* ---- Tuning ---- */

static double lr_at(const struct descent_option *option, double place)
{
    return option->search_log ? option->search_min * pow(option->search_max / option->search_min, place)
                              : option->search_min + place * (option->search_max - option->search_min);
}

/* The dimension that is the algorithm's learning rate; -1 if it is not tuned. */
static int lr_dimension(const struct space *space)
{
    for (int d = 0; d < space->count; d++)
        if (space->dimension[d].part == 0 && strcmp(space->dimension[d].option->name, "lr") == 0)
            return d;
    return -1;
}

static void find_edges(struct comparison_tuning *tuning, int budget, int lr)
{
    for (int d = 0; d < tuning->space.count; d++) {
        double best = tuning->place[tuning->best][d];
        int below = 0, above = 0;
        for (int i = 0; i < budget; i++) {
            below += tuning->place[i][d] < best;
            above += tuning->place[i][d] > best;
        }
        tuning->edge[d] = d == lr ? budget > 2 && (!below || !above) : best < EDGE || best > 1 - EDGE;
    }
}

/* From the best trial outwards, up to the first on either side that is worse by more than a quarter. */
static double basin_width(const struct comparison_tuning *tuning, int budget)
{
    const double *lr = tuning->lr, best = lr[tuning->best];
    double limit = BASIN * (1 - record_outcome(&tuning->trial[tuning->best]));
    double bad_below = 0, bad_above = INFINITY, low = best, high = best;
    for (int i = 0; i < budget; i++)
        if (1 - record_outcome(&tuning->trial[i]) > limit) {
            if (lr[i] < best)
                bad_below = fmax(bad_below, lr[i]);
            else
                bad_above = fmin(bad_above, lr[i]);
        }
    for (int i = 0; i < budget; i++)
        if (tuning->trial[i].state == RECORD_DONE && lr[i] > bad_below && lr[i] < bad_above) {
            low = fmin(low, lr[i]);
            high = fmax(high, lr[i]);
        }
    return log10(high / low);
}

/* Where the trials lie in the space of their optimizer, and its learning rates. An optimizer from a C file
 * that is not loaded has no table to tell: then nothing is known of either, and its space is empty. */
static enum descent_status locate_trials(struct comparison *comparison, int t, int e)
{
    const struct plan *plan = &comparison->plan;
    struct comparison_tuning *tuning = &comparison->task[t].tuning[e];
    enum descent_status status = space_of(plan->entry[e].spec, &tuning->space);
    bool unknown = status == DESCENT_NOT_FOUND;
    int lr = unknown ? -1 : lr_dimension(&tuning->space);
    if (unknown) {
        tuning->space = (struct space){0};
        status = DESCENT_OK;
    }
    for (int i = 0; status == DESCENT_OK && i < plan->budget; i++) {
        struct plan_run run = {.task = t, .entry = e, .kind = PLAN_TRIAL_RUN, .index = i};
        char spec[SPEC_LENGTH];
        const struct record *trial = &tuning->trial[i];
        if (!unknown && trial->state == RECORD_MISSING)
            status = plan_spec(plan, &run, spec, sizeof spec);
        if (!unknown && status == DESCENT_OK)
            status = space_locate(trial->state == RECORD_MISSING ? spec : trial->spec, &tuning->space,
                                  tuning->place[i]);
        tuning->lr[i] = lr < 0 ? NAN : lr_at(tuning->space.dimension[lr].option, tuning->place[i][lr]);
    }
    return status;
}

static enum descent_status analyse_tuning(struct comparison *comparison, int t, int e)
{
    const struct plan *plan = &comparison->plan;
    struct comparison_tuning *tuning = &comparison->task[t].tuning[e];
    double *values;
    enum descent_status status = locate_trials(comparison, t, e);
    if (status == DESCENT_OK)
        status = NEW(comparison, &values, plan->budget);
    if (status != DESCENT_OK)
        return status;
    for (int i = 0, n = 0; i < plan->budget; i++)
        if (tuning->trial[i].state != RECORD_MISSING)
            values[n++] = record_outcome(&tuning->trial[i]);
    for (int k = 1; k <= tuning->finished; k++)
        tuning->expected[k - 1] = statistics_expected_best(values, tuning->finished, k);

    tuning->basin = NAN;
    if (tuning->best < 0)
        return DESCENT_OK;
    int lr = lr_dimension(&tuning->space);
    find_edges(tuning, plan->budget, lr);
    if (lr >= 0)
        tuning->basin = basin_width(tuning, plan->budget);
    struct plan_run run = {.task = t, .entry = e, .kind = PLAN_TRIAL_RUN, .index = tuning->best};
    char spec[SPEC_LENGTH];
    status = settings_of_trial(plan, &run, &tuning->trial[tuning->best], spec);
    if (status != DESCENT_OK)
        return status;
    char *settings = descent_arena_string(comparison->arena, spec);
    comparison->task[t].result[1][e].settings = settings;
    return settings ? DESCENT_OK : descent_fail(DESCENT_OUT_OF_MEMORY, "out of memory");
}

/* ---- Targets and times ---- */

/* Of the values that are not NAN; without an interval. */
static struct comparison_summary summarize(const double *values, int n)
{
    struct comparison_summary summary = {
        .median = NAN, .quartile = {NAN, NAN}, .interquartile_mean = NAN, .interval = {NAN, NAN}};
    double known[PLAN_SEEDS];
    for (int i = 0; i < n; i++)
        if (!isnan(values[i]))
            known[summary.count++] = values[i];
    if (summary.count == 0)
        return summary;
    summary.median = statistics_median(known, summary.count);
    summary.quartile[0] = statistics_quantile(known, summary.count, 0.25);
    summary.quartile[1] = statistics_quantile(known, summary.count, 0.75);
    summary.interquartile_mean = statistics_interquartile_mean(known, summary.count);
    return summary;
}

/* The same with the interval; values: of each seed. */
static enum descent_status summarize_accuracy(const struct comparison *comparison, const double *values,
                                              struct comparison_summary *summary)
{
    double known[PLAN_SEEDS];
    int n = 0;
    for (int i = 0; i < comparison->plan.seeds; i++)
        if (!isnan(values[i]))
            known[n++] = values[i];
    *summary = summarize(values, comparison->plan.seeds);
    return n ? statistics_bootstrap(known, &n, 1, statistics_interquartile_mean, comparison->plan.seed,
                                    &summary->interval)
             : DESCENT_OK;
}

/* 0 of a run that diverged. */
static double test_outcome(const struct record *record)
{
    return record->state == RECORD_DIVERGED ? 0 : record->test_accuracy;
}

static enum descent_status summarize_ends(const struct comparison *comparison,
                                          struct comparison_result *result)
{
    double validation[PLAN_SEEDS], test[PLAN_SEEDS], pace[PLAN_SEEDS];
    for (int i = 0; i < comparison->plan.seeds; i++) {
        const struct record *record = &result->final[i].record;
        validation[i] = record_outcome(record);
        test[i] = test_outcome(record);
        const struct record_point *last = record->count ? &record->point[record->count - 1] : NULL;
        pace[i] = last && last->step > 0 ? 1000 * last->cpu_seconds / last->step : NAN;
    }
    result->step_milliseconds = summarize(pace, comparison->plan.seeds).median;
    enum descent_status status = summarize_accuracy(comparison, validation, &result->validation);
    return status == DESCENT_OK ? summarize_accuracy(comparison, test, &result->test) : status;
}

/* The entry that is this algorithm with nothing set; -1. */
static int find_entry(const struct plan *plan, const char *spec)
{
    for (int e = 0; e < plan->entry_count; e++)
        if (strcmp(plan->entry[e].spec, spec) == 0)
            return e;
    return -1;
}

/* After a share of the run, between points linearly. */
static double accuracy_after(const struct record *record, double share)
{
    if (record->state != RECORD_DONE)
        return record_outcome(record);
    double step = share * record->steps;
    const struct record_point *point = record->point;
    int i = 0;
    while (i < record->count - 1 && point[i].step < step)
        i++;
    if (i == 0 || point[i].step <= step)
        return point[i].accuracy;
    double within = (step - point[i - 1].step) / (point[i].step - point[i - 1].step);
    return point[i - 1].accuracy + within * (point[i].accuracy - point[i - 1].accuracy);
}

static void set_targets(const struct plan *plan, struct comparison_task *task)
{
    static const char *const candidates[] = {"momentum", "adamw"};
    const struct comparison_result *result = task->result[played(plan, 1) ? 1 : 0];
    task->setter = -1;
    for (int i = 0; i < 2; i++) {
        int e = find_entry(plan, candidates[i]);
        if (e >= 0 && result[e].validation.count > 0 &&
            (task->setter < 0 || result[e].validation.median > result[task->setter].validation.median))
            task->setter = e;
    }
    if (task->setter < 0)
        task->setter = plan->reference;
    for (int k = 0; k < COMPARISON_TARGETS; k++) {
        double values[PLAN_SEEDS];
        int n = 0;
        for (int i = 0; i < plan->seeds; i++) {
            const struct record *record = &result[task->setter].final[i].record;
            if (record->state != RECORD_MISSING)
                values[n++] = accuracy_after(record, comparison_shares[k]);
        }
        bool known = n > 0 && 2 * result[task->setter].diverged < n;
        task->target[k] = known ? statistics_median(values, n) : NAN;
    }
}

static double clock_of(const struct record_point *point, enum comparison_clock clock)
{
    return clock == CLOCK_STEPS       ? point->step
           : clock == CLOCK_EPOCHS    ? point->epoch
           : clock == CLOCK_GRADIENTS ? point->gradient_evaluations
                                      : point->cpu_seconds;
}

/* First crossing, between points linearly. Before the first point nothing is known: it is then the time. */
static double time_to(const struct record *record, double target, enum comparison_clock clock)
{
    if (record->state == RECORD_MISSING || isnan(target))
        return NAN;
    for (int i = 0; record->state == RECORD_DONE && i < record->count; i++) {
        const struct record_point *point = &record->point[i], *before = i ? point - 1 : NULL;
        if (!(point->accuracy >= target))
            continue;
        if (!before || !isfinite(before->accuracy))
            return clock_of(point, clock);
        double within = (target - before->accuracy) / (point->accuracy - before->accuracy);
        return clock_of(before, clock) + within * (clock_of(point, clock) - clock_of(before, clock));
    }
    return INFINITY;
}

static void measure_times(const struct comparison_task *task, int seeds, struct comparison_result *result)
{
    for (int k = 0; k < COMPARISON_TARGETS; k++)
        for (int clock = 0; clock < CLOCKS; clock++) {
            double values[PLAN_SEEDS];
            for (int i = 0; i < seeds; i++) {
                struct comparison_final *final = &result->final[i];
                values[i] = final->time[k][clock] =
                    time_to(&final->record, task->target[k], (enum comparison_clock)clock);
                result->reached[k] += clock == CLOCK_STEPS && isfinite(values[i]);
            }
            result->time[k][clock] = summarize(values, seeds);
        }
}

/* ---- Effects ---- */

static const struct comparison_effect no_effect = {
    .ratio = NAN, .interval = {NAN, NAN}, .smallest_p = NAN, .p = NAN};

/* Fewer pairs than a sign test needs for 5 % decide nothing, whatever a bootstrap of them says. */
static bool can_decide(int pairs)
{
    return statistics_smallest_p(pairs, 1) <= LEVEL;
}

static enum comparison_verdict judge(int pairs, struct statistics_interval interval)
{
    if (!can_decide(pairs))
        return NOT_DISTINGUISHABLE;
    return interval.high < 1 ? SOONER : interval.low > 1 ? LATER : NOT_DISTINGUISHABLE;
}

/* ratios of `strata` tasks; *effect without p. */
static enum descent_status measure_effect(const struct comparison *comparison, double *ratios,
                                          const int *sizes, int strata, struct comparison_effect *effect)
{
    *effect = no_effect;
    for (int s = 0; s < strata; s++)
        effect->pairs += sizes[s];
    if (effect->pairs == 0)
        return DESCENT_OK;
    enum descent_status status = statistics_bootstrap(ratios, sizes, strata, statistics_median_ratio,
                                                      comparison->plan.seed, &effect->interval);
    effect->verdict = judge(effect->pairs, effect->interval);
    effect->ratio = statistics_median_ratio(ratios, effect->pairs);
    return status;
}

/* Times of a over those of b, seed by seed, of the seeds that both have; returns how many. */
static int pair_up(const struct comparison *comparison, const struct comparison_result *a,
                   const struct comparison_result *b, int target, enum comparison_clock clock,
                   double ratios[PLAN_SEEDS])
{
    int n = 0;
    for (int i = 0; i < comparison->plan.seeds; i++) {
        double x = a->final[i].time[target][clock], y = b->final[i].time[target][clock];
        if (!isnan(x) && !isnan(y))
            ratios[n++] = statistics_ratio(x, y);
    }
    return n;
}

/* All optimizers against the reference, with Holm's correction over them. */
static enum descent_status compare_all(const struct comparison *comparison,
                                       struct comparison_result *results, int target,
                                       enum comparison_clock clock)
{
    const struct plan *plan = &comparison->plan;
    struct comparison_effect *compared[PLAN_ENTRIES];
    double p[PLAN_ENTRIES];
    int count = 0;
    for (int e = 0; e < plan->entry_count; e++) {
        double ratios[PLAN_SEEDS], logs[PLAN_SEEDS];
        struct comparison_effect *effect =
            clock == CLOCK_STEPS ? &results[e].steps[target] : &results[e].seconds[target];
        int pairs = pair_up(comparison, &results[e], &results[plan->reference], target, clock, ratios);
        *effect = no_effect;
        if (e == plan->reference || pairs == 0)
            continue;
        for (int i = 0; i < pairs; i++)
            logs[i] = log(ratios[i]);
        enum descent_status status = measure_effect(comparison, ratios, &pairs, 1, effect);
        if (status == DESCENT_OK)
            status = statistics_wilcoxon(logs, pairs, &p[count]);
        if (status != DESCENT_OK)
            return status;
        compared[count++] = effect;
    }
    statistics_holm(p, count);
    for (int i = 0; i < count; i++) {
        compared[i]->smallest_p = statistics_smallest_p(compared[i]->pairs, count);
        compared[i]->p = compared[i]->smallest_p <= LEVEL ? p[i] : NAN;
    }
    return DESCENT_OK;
}

static const struct comparison_difference no_difference = {.median = NAN, .interval = {NAN, NAN}};

/* a - b, of the seeds that both have. */
static enum descent_status measure_difference(const struct comparison *comparison,
                                              const struct comparison_result *a,
                                              const struct comparison_result *b,
                                              double outcome(const struct record *),
                                              struct comparison_difference *difference)
{
    double differences[PLAN_SEEDS];
    *difference = no_difference;
    for (int i = 0; i < comparison->plan.seeds; i++) {
        double value = outcome(&a->final[i].record) - outcome(&b->final[i].record);
        if (!isnan(value))
            differences[difference->pairs++] = value;
    }
    if (difference->pairs == 0)
        return DESCENT_OK;
    enum descent_status status = statistics_bootstrap(differences, &difference->pairs, 1, statistics_median,
                                                      comparison->plan.seed, &difference->interval);
    difference->median = statistics_median(differences, difference->pairs);
    return status;
}

static enum descent_status compare_ends(const struct comparison *comparison,
                                        struct comparison_result *results)
{
    enum descent_status status = DESCENT_OK;
    int reference = comparison->plan.reference;
    for (int e = 0; status == DESCENT_OK && e < comparison->plan.entry_count; e++)
        if (e == reference)
            results[e].over_reference = no_difference;
        else
            status = measure_difference(comparison, &results[e], &results[reference], test_outcome,
                                        &results[e].over_reference);
    return status;
}

static enum descent_status check_inclusion(const struct comparison *comparison,
                                           struct comparison_task *task)
{
    static const char *const pairs[COMPARISON_CHECKS][2] = {{"momentum", "sgd"}, {"nadam", "adam"}};
    const struct plan *plan = &comparison->plan;
    for (int c = 0; c < COMPARISON_CHECKS; c++) {
        struct comparison_check *check = &task->check[c];
        double ratios[PLAN_SEEDS];
        check->better = find_entry(plan, pairs[c][0]);
        check->worse = find_entry(plan, pairs[c][1]);
        check->steps = no_effect;
        if (check->better < 0 || check->worse < 0 || !task->tuning) {
            check->better = check->worse = -1;
            continue;
        }
        const struct comparison_result *a = &task->result[1][check->better],
                                       *b = &task->result[1][check->worse];
        int n = pair_up(comparison, a, b, COMPARISON_PRIMARY, CLOCK_STEPS, ratios);
        enum descent_status status = measure_effect(comparison, ratios, &n, 1, &check->steps);
        if (status == DESCENT_OK)
            status = measure_difference(comparison, a, b, record_outcome, &check->accuracy);
        if (status != DESCENT_OK)
            return status;
        bool lower = check->accuracy.interval.high < 0 && can_decide(check->accuracy.pairs);
        check->failed = check->steps.verdict == LATER || lower;
    }
    return DESCENT_OK;
}

static enum descent_status analyse_task(struct comparison *comparison, int t)
{
    const struct plan *plan = &comparison->plan;
    struct comparison_task *task = &comparison->task[t];
    enum descent_status status = DESCENT_OK;
    for (int e = 0; task->tuning && status == DESCENT_OK && e < plan->entry_count; e++)
        status = analyse_tuning(comparison, t, e);
    for (int e = 0; task->result[0] && e < plan->entry_count; e++)
        task->result[0][e].settings = plan->entry[e].spec;
    for (int i = 0; i < COMPARISON_LEAGUES * plan->entry_count && status == DESCENT_OK; i++)
        if (task->result[i / plan->entry_count])
            status =
                summarize_ends(comparison, &task->result[i / plan->entry_count][i % plan->entry_count]);
    if (status != DESCENT_OK)
        return status;
    set_targets(plan, task);
    for (int league = 0; league < COMPARISON_LEAGUES; league++) {
        struct comparison_result *results = task->result[league];
        for (int e = 0; results && e < plan->entry_count; e++)
            measure_times(task, plan->seeds, &results[e]);
        for (int k = 0; results && status == DESCENT_OK && k < COMPARISON_TARGETS; k++) {
            status = compare_all(comparison, results, k, CLOCK_STEPS);
            if (status == DESCENT_OK)
                status = compare_all(comparison, results, k, CLOCK_SECONDS);
        }
        if (results && status == DESCENT_OK)
            status = compare_ends(comparison, results);
    }
    return status == DESCENT_OK ? check_inclusion(comparison, task) : status;
}

/* ---- Over all tasks ---- */

static double primary_steps(const struct comparison *comparison, int league, int t, int e, int seed)
{
    return comparison->task[t].result[league][e].final[seed].time[COMPARISON_PRIMARY][CLOCK_STEPS];
}

static double fastest(const struct comparison *comparison, int league, int t, int seed)
{
    double best = INFINITY;
    for (int e = 0; e < comparison->plan.entry_count; e++)
        best = fmin(best, primary_steps(comparison, league, t, e, seed));
    return best;
}

static enum descent_status analyse_overall(struct comparison *comparison, int league, int e)
{
    const struct plan *plan = &comparison->plan;
    struct comparison_overall *overall = &comparison->overall[league][e];
    int sizes[PLAN_TASKS], pairs = 0;
    double *ratios;
    enum descent_status status = NEW(comparison, &overall->slowdown, plan->task_count * plan->seeds);
    if (status == DESCENT_OK)
        status = NEW(comparison, &ratios, plan->task_count * plan->seeds);
    if (status != DESCENT_OK)
        return status;
    for (int t = 0; t < plan->task_count; t++) {
        const struct comparison_result *results = comparison->task[t].result[league];
        for (int i = 0; i < plan->seeds; i++) {
            double steps = primary_steps(comparison, league, t, e, i);
            if (!isnan(steps)) /* a missed target is solved by no factor, even where all miss it */
                overall->slowdown[overall->problems++] =
                    isinf(steps) ? INFINITY : steps / fastest(comparison, league, t, i);
        }
        sizes[t] = pair_up(comparison, &results[e], &results[plan->reference], COMPARISON_PRIMARY,
                           CLOCK_STEPS, ratios + pairs);
        pairs += sizes[t];
    }
    overall->score = overall->problems
                         ? statistics_profile_score(overall->slowdown, overall->problems, PROFILE_LIMIT)
                         : NAN;
    overall->mean_rank = NAN;
    overall->steps = no_effect;
    return e == plan->reference
               ? DESCENT_OK
               : measure_effect(comparison, ratios, sizes, plan->task_count, &overall->steps);
}

/* Ranks by median steps, of the tasks where every optimizer has some. */
static enum descent_status rank_over_tasks(struct comparison *comparison, int league)
{
    const struct plan *plan = &comparison->plan;
    int methods = plan->entry_count, tasks = 0;
    double *values, ranks[PLAN_ENTRIES];
    comparison->friedman_p[league] = comparison->critical_difference[league] = NAN;
    enum descent_status status = NEW(comparison, &values, plan->task_count * methods);
    for (int t = 0; status == DESCENT_OK && t < plan->task_count; t++) {
        bool complete = true;
        for (int e = 0; e < methods; e++) {
            double median =
                comparison->task[t].result[league][e].time[COMPARISON_PRIMARY][CLOCK_STEPS].median;
            values[tasks * methods + e] = median;
            complete = complete && !isnan(median);
        }
        tasks += complete;
    }
    if (status != DESCENT_OK || tasks < 2 || methods < 2)
        return status;
    comparison->ranked[league] = tasks;
    comparison->critical_difference[league] = statistics_critical_difference(tasks, methods);
    status = statistics_friedman(values, tasks, methods, ranks, &comparison->friedman_p[league]);
    for (int e = 0; status == DESCENT_OK && e < methods; e++)
        comparison->overall[league][e].mean_rank = ranks[e];
    return status;
}

enum descent_status comparison_read(const char *out, struct comparison *comparison)
{
    *comparison = (struct comparison){.arena = descent_arena_new()};
    if (!comparison->arena)
        return descent_fail(DESCENT_OUT_OF_MEMORY, "out of memory");
    const struct plan *plan = &comparison->plan;
    enum descent_status status = plan_read(out, comparison->arena, &comparison->plan);
    if (status == DESCENT_OK)
        status = NEW(comparison, &comparison->task, plan->task_count);
    if (status != DESCENT_OK)
        return status;
    comparison->runs = plan_runs(plan);
    for (int t = 0; status == DESCENT_OK && t < plan->task_count; t++) {
        status = read_task(comparison, out, t);
        if (status == DESCENT_OK)
            status = analyse_task(comparison, t);
    }
    for (int league = 0; league < COMPARISON_LEAGUES && status == DESCENT_OK; league++) {
        if (!played(plan, league))
            continue;
        status = NEW(comparison, &comparison->overall[league], plan->entry_count);
        for (int e = 0; status == DESCENT_OK && e < plan->entry_count; e++)
            status = analyse_overall(comparison, league, e);
        if (status == DESCENT_OK)
            status = rank_over_tasks(comparison, league);
    }
    return status;
}

void comparison_free(struct comparison *comparison)
{
    const struct plan *plan = &comparison->plan;
    for (int t = 0; comparison->task && t < plan->task_count; t++) {
        struct comparison_task *task = &comparison->task[t];
        for (int e = 0; e < plan->entry_count; e++) {
            for (int i = 0; task->tuning && task->tuning[e].trial && i < plan->budget; i++)
                record_free(&task->tuning[e].trial[i]);
            for (int league = 0; league < COMPARISON_LEAGUES; league++)
                for (int i = 0; task->result[league] && task->result[league][e].final && i < plan->seeds;
                     i++)
                    record_free(&task->result[league][e].final[i].record);
        }
    }
    descent_arena_free(comparison->arena);
    *comparison = (struct comparison){0};
}

/* ---- Words and order ---- */

const char *comparison_verdict_text(enum comparison_verdict verdict)
{
    return verdict == SOONER ? "sooner" : verdict == LATER ? "later" : "not distinguishable";
}

const char *comparison_edges(const struct comparison_tuning *tuning, char text[COMPARISON_EDGES])
{
    size_t used = 0;
    text[0] = 0;
    for (int d = 0; d < tuning->space.count; d++)
        if (tuning->edge[d] && used < COMPARISON_EDGES)
            used += (size_t)snprintf(text + used, COMPARISON_EDGES - used, "%s%s", used ? " " : "",
                                     tuning->space.dimension[d].option->name);
    return text;
}

/* Whether a is to stand before b. */
static bool precedes(const struct comparison_result *a, const struct comparison_result *b)
{
    double steps[2] = {a->time[COMPARISON_PRIMARY][CLOCK_STEPS].median,
                       b->time[COMPARISON_PRIMARY][CLOCK_STEPS].median};
    double accuracy[2] = {a->validation.median, b->validation.median};
    for (int i = 0; i < 2; i++) {
        steps[i] = isnan(steps[i]) ? INFINITY : steps[i];
        accuracy[i] = isnan(accuracy[i]) ? -1 : accuracy[i];
    }
    return steps[0] != steps[1] ? steps[0] < steps[1] : accuracy[0] > accuracy[1];
}

static bool precedes_overall(const struct comparison_overall *a, const struct comparison_overall *b)
{
    return isnan(a->mean_rank) ? a->score > b->score : a->mean_rank < b->mean_rank;
}

void comparison_rank(const struct comparison *comparison, int league, int task, int *order)
{
    bool all = task == COMPARISON_ALL_TASKS;
    const struct comparison_result *results = all ? NULL : comparison->task[task].result[league];
    const struct comparison_overall *overall = comparison->overall[league];
    for (int e = 0; e < comparison->plan.entry_count; e++) { /* insertion: stable, and there are few */
        int place = e;
        for (; place > 0; place--) {
            int above = order[place - 1];
            if (!(all ? precedes_overall(&overall[e], &overall[above])
                      : precedes(&results[e], &results[above])))
                break;
            order[place] = above;
        }
        order[place] = e;
    }
}
