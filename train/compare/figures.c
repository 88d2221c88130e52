/* The pictures of a comparison; see figures.h. Of many optimizers, the reference and the best five have a
 * color, a line style and a mark of their own, the others are gray; the colors are those of Okabe & Ito
 * (2008), which color-blind readers tell apart. */
#include "train/compare/figures.h"

#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WIDTH = 460, HEIGHT = 380, PANEL_WIDTH = 270, PANEL_HEIGHT = 190, HIGHLIGHTS = 5, ROW = 20 };

static const double FARTHEST = 10; /* a ratio beyond it is drawn at the edge */

static const char gray[] = "#bdbdbd";
static const char *const colors[HIGHLIGHTS + 1] = {"#000000", "#0072B2", "#D55E00",
                                                   "#009E73", "#CC79A7", "#E69F00"};
static const int dashes[HIGHLIGHTS + 1] = {1, 1, 2, 4, 5, 3}, marks[HIGHLIGHTS + 1] = {7, 5, 9, 13, 11, 15};

/* A script being written, for one league (and task). */
struct drawing {
    const struct comparison *comparison;
    const char *directory;
    enum plot_outcome *outcome;
    int league, task;
    int order[PLAN_ENTRIES],
        place[PLAN_ENTRIES]; /* place: 0 the reference, 1 .. 5 the best others, -1 gray */
    FILE *script;
    char *text;
    size_t size;
};

const char *figure_name(enum figure figure, int league, int task, int entry, char name[64])
{
    static const char *const names[FIGURES] = {"curves",   "ratios", "times",   "lr",
                                               "expected", "panel",  "profile", "ranks"};
    int used = snprintf(name, 64, "%s-%s", names[figure], plan_leagues[league]);
    if (figure < FIGURE_PROFILE)
        used += snprintf(name + used, 64 - (size_t)used, "-%d", task + 1);
    if (figure == FIGURE_PANEL)
        snprintf(name + used, 64 - (size_t)used, "-%d", entry + 1);
    return name;
}

/* ---- A script ---- */

static enum descent_status begin(struct drawing *drawing)
{
    drawing->script = open_memstream(&drawing->text, &drawing->size);
    if (!drawing->script)
        return descent_fail(DESCENT_OUT_OF_MEMORY, "out of memory");
    fputs("set termoption noenhanced\nset border 3 lc '#555555'\nset tics nomirror\n"
          "set grid ytics lc '#e4e4e4' lt 1\nset key below height 0.6 samplen 2.5 spacing 0.95\n",
          drawing->script);
    return DESCENT_OK;
}

static enum descent_status end(struct drawing *drawing, const char *name, int width, int height)
{
    if (fclose(drawing->script) != 0) {
        free(drawing->text);
        return descent_fail(DESCENT_OUT_OF_MEMORY, "out of memory");
    }
    enum descent_status status =
        plot_draw(drawing->directory, name, PLOT_SVG, width, height, drawing->text, drawing->outcome);
    free(drawing->text);
    return status;
}

static void quote(FILE *script, const char *text)
{
    char buffer[512];
    fputs(plot_quoted(text, buffer, sizeof buffer), script);
}

/* A label of an axis is a format: "start=50%". */
static void quote_format(FILE *script, const char *text)
{
    char doubled[512];
    size_t used = 0;
    for (; *text && used + 3 < sizeof doubled; text++) {
        if (*text == '%')
            doubled[used++] = '%';
        doubled[used++] = *text;
    }
    doubled[used] = 0;
    quote(script, doubled);
}

static const char *label(const struct drawing *drawing, int entry)
{
    return drawing->comparison->plan.entry[entry].label;
}

static const struct comparison_result *result_of(const struct drawing *drawing, int entry)
{
    return &drawing->comparison->task[drawing->task].result[drawing->league][entry];
}

/* Entries to draw, gray ones first so that they lie below. */
#define FOR_EACH_LAYER(e, drawing)                                                                         \
    for (int layer_ = -1; layer_ <= HIGHLIGHTS; layer_++)                                                  \
        for (int e = 0; e < (drawing)->comparison->plan.entry_count; e++)                                  \
            if ((drawing)->place[e] == (layer_ < 0 ? -1 : HIGHLIGHTS - layer_))

static void style(const struct drawing *drawing, int e, bool marked)
{
    int place = drawing->place[e];
    if (place < 0)
        fprintf(drawing->script, "lw 1 lc '%s' dt 1%s notitle", gray, marked ? " pt 7 ps 0.3" : "");
    else {
        fprintf(drawing->script, "lw %s lc '%s' dt %d ", place ? "2" : "2.5", colors[place], dashes[place]);
        if (marked)
            fprintf(drawing->script, "pt %d ps 0.6 ", marks[place]);
        fputs("title ", drawing->script);
        quote(drawing->script, label(drawing, e));
    }
}

/* ---- Curves ---- */

/* Accuracy after each of the points over the runs there are, in percent: epoch, median, quartiles. */
static bool curve_data(const struct drawing *drawing, int e)
{
    const struct comparison_result *result = result_of(drawing, e);
    const struct plan *plan = &drawing->comparison->plan;
    if (result->done == 0)
        return false;
    fprintf(drawing->script, "$e%d << EOD\n", e);
    for (int p = 0; p < plan->points; p++) {
        double values[PLAN_SEEDS], epoch = NAN;
        int n = 0;
        for (int i = 0; i < plan->seeds; i++) {
            const struct record *record = &result->final[i].record;
            if (record->state == RECORD_MISSING)
                continue;
            bool there = p < record->count && isfinite(record->point[p].accuracy);
            values[n++] = there ? 100 * record->point[p].accuracy : 0; /* a run that diverged */
            if (there)
                epoch = record->point[p].epoch;
        }
        if (isfinite(epoch))
            fprintf(drawing->script, "%.6g %.6g %.6g %.6g\n", epoch, statistics_median(values, n),
                    statistics_quantile(values, n, 0.25), statistics_quantile(values, n, 0.75));
    }
    fputs("EOD\n", drawing->script);
    return true;
}

/* From somewhat below the first target to the best end; runs that are much worse leave the picture below.
 */
static void accuracy_range(const struct drawing *drawing)
{
    const struct comparison_task *task = &drawing->comparison->task[drawing->task];
    double best = task->target[COMPARISON_TARGETS - 1];
    for (int league = 0; league < COMPARISON_LEAGUES; league++)
        for (int e = 0; task->result[league] && e < drawing->comparison->plan.entry_count; e++)
            best = fmax(best, task->result[league][e].validation.quartile[1]); /* fmax skips NAN */
    double low = task->target[0] - 1.5 * (best - task->target[0]) - 0.01;
    if (isfinite(low))
        fprintf(drawing->script, "set yrange [%.4g:%.4g]\n", 100 * fmax(low, 0),
                100 * fmin(1, best + 0.05 * (best - low)));
}

static void mark_targets(const struct drawing *drawing)
{
    for (int k = 0; k < COMPARISON_TARGETS; k++) {
        double target = drawing->comparison->task[drawing->task].target[k];
        if (isfinite(target))
            fprintf(drawing->script,
                    "set arrow from graph 0, first %.6g to graph 1, first %.6g nohead "
                    "lw %s lc '#888888' dt 3 back\n",
                    100 * target, 100 * target, k == COMPARISON_PRIMARY ? "1.5" : "0.7");
    }
}

static void draw_band(const struct drawing *drawing, int e, const char *color)
{
    fprintf(drawing->script,
            ", $e%d using 1:3:4 with filledcurves fs transparent solid 0.15 noborder lc '%s' "
            "notitle",
            e, color);
}

static enum descent_status draw_curves(struct drawing *drawing)
{
    char name[64];
    bool any[PLAN_ENTRIES] = {false};
    enum descent_status status = begin(drawing);
    if (status != DESCENT_OK)
        return status;
    accuracy_range(drawing);
    mark_targets(drawing);
    fputs("set xlabel 'epoch'\nset ylabel 'validation accuracy, %'\n", drawing->script);
    for (int e = 0; e < drawing->comparison->plan.entry_count; e++)
        any[e] = curve_data(drawing, e);
    fputs("plot NaN notitle", drawing->script);
    FOR_EACH_LAYER(e, drawing)
    if (any[e] && drawing->place[e] >= 0)
        draw_band(drawing, e, colors[drawing->place[e]]);
    FOR_EACH_LAYER(e, drawing)
    if (any[e]) {
        fprintf(drawing->script, ", $e%d using 1:2 with lines ", e);
        style(drawing, e, false);
    }
    putc('\n', drawing->script);
    return end(drawing, figure_name(FIGURE_CURVES, drawing->league, drawing->task, 0, name), WIDTH, HEIGHT);
}

static enum descent_status draw_panel(struct drawing *drawing, int e)
{
    char name[64];
    int reference = drawing->comparison->plan.reference;
    if (result_of(drawing, e)->done == 0)
        return DESCENT_OK;
    enum descent_status status = begin(drawing);
    if (status != DESCENT_OK)
        return status;
    accuracy_range(drawing);
    mark_targets(drawing);
    fputs("set title ", drawing->script);
    quote(drawing->script, label(drawing, e));
    fputs(" offset 0,-0.5\nunset key\n", drawing->script);
    curve_data(drawing, e);
    bool both = e != reference && curve_data(drawing, reference);
    fputs("plot NaN notitle", drawing->script);
    draw_band(drawing, e, e == reference ? colors[0] : colors[1]);
    if (both)
        fprintf(drawing->script, ", $e%d using 1:2 with lines lw 1.5 lc '%s' dt 2", reference, colors[0]);
    fprintf(drawing->script, ", $e%d using 1:2 with lines lw 2 lc '%s'\n", e,
            e == reference ? colors[0] : colors[1]);
    return end(drawing, figure_name(FIGURE_PANEL, drawing->league, drawing->task, e, name), PANEL_WIDTH,
               PANEL_HEIGHT);
}

/* ---- One row an optimizer ---- */

struct bar {
    int entry;
    double value, low, high;
    const char *color;
    int mark;
};

/* Rows from the top, a mark and a whisker each. */
static void bar_rows(const struct drawing *drawing, const struct bar *bars, int count)
{
    fprintf(drawing->script,
            "unset key\nset grid noytics xtics\nset yrange [%d.6:0.4] noreverse\nset ytics (", count);
    for (int i = 0; i < count; i++) {
        fputs(i ? ", " : "", drawing->script);
        quote_format(drawing->script, label(drawing, bars[i].entry));
        fprintf(drawing->script, " %d", i + 1);
    }
    fputs(")\n", drawing->script);
    for (int i = 0; i < count; i++)
        fprintf(drawing->script, "$b%d << EOD\n%.6g %d %.6g %.6g\nEOD\n", i, bars[i].value, i + 1,
                bars[i].low, bars[i].high);
}

static void bar_whiskers(const struct drawing *drawing, const struct bar *bars, int count)
{
    for (int i = 0; i < count; i++)
        fprintf(drawing->script, ", $b%d using 1:2:3:4 with xerrorbars lw 1.5 lc '%s' pt %d ps 0.8", i,
                bars[i].color, bars[i].mark);
    putc('\n', drawing->script);
}

static int bar_height(int count)
{
    return 70 + ROW * count;
}

static enum descent_status draw_ratios(struct drawing *drawing)
{
    static const struct {
        const char *color;
        int mark;
    } looks[] = {
        [NOT_DISTINGUISHABLE] = {"#888888", 6}, [SOONER] = {"#0072B2", 7}, [LATER] = {"#D55E00", 5}};
    struct bar bars[PLAN_ENTRIES];
    char name[64];
    int count = 0;
    for (int i = 0; i < drawing->comparison->plan.entry_count; i++) {
        int e = drawing->order[i];
        const struct comparison_effect *effect = &result_of(drawing, e)->steps[COMPARISON_PRIMARY];
        if (effect->pairs == 0)
            continue;
        bars[count++] = (struct bar){.entry = e,
                                     .value = fmin(fmax(effect->ratio, 1 / FARTHEST), FARTHEST),
                                     .low = fmin(fmax(effect->interval.low, 1 / FARTHEST), FARTHEST),
                                     .high = fmin(fmax(effect->interval.high, 1 / FARTHEST), FARTHEST),
                                     .color = looks[effect->verdict].color,
                                     .mark = looks[effect->verdict].mark};
    }
    if (count == 0)
        return DESCENT_OK;
    enum descent_status status = begin(drawing);
    if (status != DESCENT_OK)
        return status;
    bar_rows(drawing, bars, count);
    fprintf(drawing->script,
            "set logscale x\nset xrange [%g:%g]\nset xtics (%s)\n"
            "set arrow from 1, graph 0 to 1, graph 1 nohead lw 1.5 lc '#000000'\nset xlabel ",
            1 / FARTHEST / 1.1, FARTHEST * 1.1, "'0.1' 0.1, '0.2' 0.2, '0.5' 0.5, 1, 2, 5, '10+' 10");
    char text[300];
    snprintf(text, sizeof text, "steps to the target, times those of %s",
             label(drawing, drawing->comparison->plan.reference));
    quote(drawing->script, text);
    fputs("\nplot NaN notitle", drawing->script);
    bar_whiskers(drawing, bars, count);
    return end(drawing, figure_name(FIGURE_RATIOS, drawing->league, drawing->task, 0, name), WIDTH,
               bar_height(count));
}

static enum descent_status draw_times(struct drawing *drawing)
{
    struct bar bars[PLAN_ENTRIES];
    char name[64];
    int count = 0;
    double longest = 0;
    for (int i = 0; i < drawing->comparison->plan.entry_count; i++) {
        const struct comparison_result *result = result_of(drawing, drawing->order[i]);
        const struct comparison_summary *time = &result->time[COMPARISON_PRIMARY][CLOCK_STEPS];
        if (time->count == 0)
            continue;
        for (int s = 0; s < drawing->comparison->plan.seeds; s++)
            longest = fmax(longest, result->final[s].record.steps);
        bool missed = isinf(time->median);
        bars[count++] = (struct bar){.entry = drawing->order[i],
                                     .value = time->median,
                                     .low = time->quartile[0],
                                     .high = time->quartile[1],
                                     .color = missed                              ? "#888888"
                                              : drawing->place[drawing->order[i]] ? "#0072B2"
                                                                                  : "#000000",
                                     .mark = missed ? 8 : 7};
    }
    if (count == 0)
        return DESCENT_OK;
    enum descent_status status = begin(drawing);
    if (status != DESCENT_OK)
        return status;
    for (int i = 0; i < count; i++) {
        bars[i].value = fmin(bars[i].value, longest);
        bars[i].low = fmin(bars[i].low, longest);
        bars[i].high = fmin(bars[i].high, longest);
    }
    bar_rows(drawing, bars, count);
    fprintf(drawing->script,
            "set xrange [0:%.6g]\nset xlabel 'steps to the target (open: missed)'\n"
            "set style fill solid 0.35 noborder\nplot NaN notitle",
            1.03 * longest);
    for (int i = 0; i < count; i++)
        if (bars[i].mark == 7)
            fprintf(drawing->script, ", $b%d using (0):2:(0):1:($2-0.35):($2+0.35) with boxxyerror lc '%s'",
                    i, bars[i].color);
    bar_whiskers(drawing, bars, count);
    return end(drawing, figure_name(FIGURE_TIMES, drawing->league, drawing->task, 0, name), WIDTH,
               bar_height(count));
}

static enum descent_status draw_ranks(struct drawing *drawing)
{
    const struct comparison_overall *overall = drawing->comparison->overall[drawing->league];
    struct bar bars[PLAN_ENTRIES];
    char name[64];
    int count = drawing->comparison->plan.entry_count;
    double half = drawing->comparison->critical_difference[drawing->league] / 2;
    for (int e = 0; e < count; e++) { /* by mean rank */
        int place = e;
        for (; place > 0 && overall[e].mean_rank < bars[place - 1].value; place--)
            bars[place] = bars[place - 1];
        bars[place] =
            (struct bar){.entry = e,
                         .value = overall[e].mean_rank,
                         .low = overall[e].mean_rank - half,
                         .high = overall[e].mean_rank + half,
                         .color = e == drawing->comparison->plan.reference ? "#000000" : "#0072B2",
                         .mark = 7};
    }
    if (isnan(overall[0].mean_rank))
        return DESCENT_OK;
    enum descent_status status = begin(drawing);
    if (status != DESCENT_OK)
        return status;
    bar_rows(drawing, bars, count);
    fputs("set xlabel 'mean rank (1: the soonest everywhere)'\nplot NaN notitle", drawing->script);
    bar_whiskers(drawing, bars, count);
    return end(drawing, figure_name(FIGURE_RANKS, drawing->league, 0, 0, name), WIDTH, bar_height(count));
}

/* ---- Lines over something else ---- */

static int by_first(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Accuracy of the trials over their learning rates, in rising order. */
static bool lr_data(const struct drawing *drawing, int e)
{
    const struct comparison_tuning *tuning = &drawing->comparison->task[drawing->task].tuning[e];
    double pairs[PLAN_TRIALS][2];
    int count = 0;
    for (int i = 0; i < drawing->comparison->plan.budget; i++) {
        double accuracy = record_outcome(&tuning->trial[i]);
        if (isnan(accuracy) || isnan(tuning->lr[i]))
            continue;
        pairs[count][0] = tuning->lr[i];
        pairs[count++][1] = 100 * accuracy;
    }
    qsort(pairs, (size_t)count, sizeof *pairs, by_first);
    fprintf(drawing->script, "$e%d << EOD\n", e);
    for (int i = 0; i < count; i++)
        fprintf(drawing->script, "%.6g %.6g\n", pairs[i][0], pairs[i][1]);
    fputs("EOD\n", drawing->script);
    return count > 0;
}

static bool expected_data(const struct drawing *drawing, int e)
{
    const struct comparison_tuning *tuning = &drawing->comparison->task[drawing->task].tuning[e];
    fprintf(drawing->script, "$e%d << EOD\n", e);
    for (int k = 0; k < tuning->finished; k++)
        fprintf(drawing->script, "%d %.6g\n", k + 1, 100 * tuning->expected[k]);
    fputs("EOD\n", drawing->script);
    return tuning->finished > 0;
}

static bool profile_data(const struct drawing *drawing, int e)
{
    const struct comparison_overall *overall = &drawing->comparison->overall[drawing->league][e];
    fprintf(drawing->script, "$e%d << EOD\n", e);
    for (int i = 0; i <= 300 && overall->problems; i++) {
        double tau = 1 + i / 100.0;
        fprintf(drawing->script, "%.2f %.6g\n", tau,
                statistics_profile(overall->slowdown, overall->problems, tau));
    }
    fputs("EOD\n", drawing->script);
    return overall->problems > 0;
}

/* A line an optimizer, of what `data` wrote. */
static enum descent_status draw_lines(struct drawing *drawing, enum figure figure, const char *settings,
                                      bool data(const struct drawing *, int), bool marked)
{
    char name[64];
    bool any[PLAN_ENTRIES] = {false}, some = false;
    enum descent_status status = begin(drawing);
    if (status != DESCENT_OK)
        return status;
    if (figure != FIGURE_PROFILE)
        accuracy_range(drawing);
    fputs(settings, drawing->script);
    for (int e = 0; e < drawing->comparison->plan.entry_count; e++)
        some |= any[e] = data(drawing, e);
    fputs("plot NaN notitle", drawing->script);
    FOR_EACH_LAYER(e, drawing)
    if (any[e]) {
        fprintf(drawing->script, ", $e%d using 1:2 with %s ", e, marked ? "linespoints" : "lines");
        style(drawing, e, marked);
    }
    putc('\n', drawing->script);
    if (some)
        return end(drawing, figure_name(figure, drawing->league, drawing->task, 0, name), WIDTH, HEIGHT);
    fclose(drawing->script);
    free(drawing->text);
    return DESCENT_OK;
}

/* ---- All ---- */

static void choose_highlights(struct drawing *drawing, int task)
{
    const struct plan *plan = &drawing->comparison->plan;
    comparison_rank(drawing->comparison, drawing->league, task, drawing->order);
    for (int i = 0, best = 0; i < plan->entry_count; i++) {
        int e = drawing->order[i];
        drawing->place[e] = e == plan->reference ? 0 : best < HIGHLIGHTS ? ++best : -1;
    }
}

static enum descent_status draw_task(struct drawing *drawing)
{
    static const char lr_settings[] =
        "set logscale x\nset xlabel 'lr'\nset format x '%g'\nset ylabel 'validation accuracy, %'\n";
    static const char expected_settings[] =
        "set xlabel 'trials'\nset xtics 1\nset ylabel 'expected best accuracy, %'\n";
    const struct comparison *comparison = drawing->comparison;
    choose_highlights(drawing, drawing->task);
    enum descent_status status = DESCENT_OK;
    if (isnan(comparison->task[drawing->task].target[COMPARISON_PRIMARY]))
        return status; /* nothing has run */
    status = draw_curves(drawing);
    for (int e = 0; status == DESCENT_OK && e < comparison->plan.entry_count; e++)
        status = draw_panel(drawing, e);
    if (status == DESCENT_OK)
        status = draw_ratios(drawing);
    if (status == DESCENT_OK)
        status = draw_times(drawing);
    if (drawing->league == 0)
        return status;
    if (status == DESCENT_OK)
        status = draw_lines(drawing, FIGURE_LR, lr_settings, lr_data, true);
    if (status == DESCENT_OK)
        status = draw_lines(drawing, FIGURE_EXPECTED, expected_settings, expected_data, true);
    return status;
}

/* Pictures and scripts of runs that are no longer there would be taken for theirs. */
static enum descent_status remove_old(const char *directory)
{
    DIR *files = opendir(directory);
    if (!files)
        return descent_fail_errno("open", directory, errno);
    for (const struct dirent *file; (file = readdir(files));) {
        const char *end = strrchr(file->d_name, '.');
        if (end && (strcmp(end, ".svg") == 0 || strcmp(end, ".gnuplot") == 0))
            unlinkat(dirfd(files), file->d_name, 0);
    }
    closedir(files);
    return DESCENT_OK;
}

enum descent_status figures_draw(const struct comparison *comparison, const char *directory,
                                 enum plot_outcome *outcome)
{
    static const char profile_settings[] =
        "set xrange [1:4]\nset yrange [0:1.03]\nset xlabel 'tau'\nset ylabel 'share of problems solved'\n";
    *outcome = PLOT_NONE;
    enum descent_status status = remove_old(directory);
    for (int league = 0; league < COMPARISON_LEAGUES; league++) {
        struct drawing drawing = {
            .comparison = comparison, .directory = directory, .outcome = outcome, .league = league};
        if (!comparison->overall[league])
            continue;
        for (; status == DESCENT_OK && drawing.task < comparison->plan.task_count; drawing.task++)
            status = draw_task(&drawing);
        drawing.task = 0;
        if (status == DESCENT_OK)
            choose_highlights(&drawing, COMPARISON_ALL_TASKS);
        if (status == DESCENT_OK)
            status = draw_lines(&drawing, FIGURE_PROFILE, profile_settings, profile_data, false);
        if (status == DESCENT_OK)
            status = draw_ranks(&drawing);
    }
    return status;
}
