/* `train landscape --run A --course`: how sharp the loss is along the paths that the weights of one or
 * several runs took. All are measured on the same images, of the first run's training set. */
#include "train/landscape/pictures.h"
#include "train/landscape/survey.h"
#include "train/landscape/visit.h"
#include "train/plot.h"

#include "base/file.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { LARGEST, SMALLEST, LOSS, ACCURACY, VALUES };

struct course {
    const struct visit *visit;
    struct visit_paths paths;
};

static enum descent_status begin_worker(void *context, void **worker)
{
    const struct course *course = context;
    struct probe *probe;
    enum descent_status status = probe_new(&(struct probe_options){.run = &course->visit->run[0],
                                                                   .part = {course->visit->few},
                                                                   .statistics = course->visit->few,
                                                                   .curvature = true},
                                           &probe);
    *worker = probe;
    return status;
}

static enum descent_status measure_point(void *context, void *worker, int64_t item, double *values)
{
    const struct course *course = context;
    struct train_score score[PROBE_PARTS];
    struct sharpness sharpness;
    int count, run = 0;
    struct descent_param *param = probe_params(worker, &count);
    while (item >= course->paths.first[run + 1])
        run++;
    const struct track_points *track = &course->paths.track[run];
    int64_t point = item - course->paths.first[run];
    vector_write(param, count, track->weights[point]);
    enum descent_status status = probe_score(worker, score);
    if (status == DESCENT_OK)
        status = probe_sharpness(worker, &sharpness);
    if (status != DESCENT_OK)
        return descent_fail_in(status, "%s after step %lld", course->visit->run[run].path,
                               (long long)track->step[point]);
    values[LARGEST] = sharpness.largest;
    values[SMALLEST] = sharpness.smallest;
    values[LOSS] = score[0].loss;
    values[ACCURACY] = score[0].accuracy;
    return DESCENT_OK;
}

/* ---- What came out ---- */

static enum descent_status write_csv(const struct course *course, const double *values)
{
    char path[PATH_MAX + 32];
    struct descent_file file;
    enum descent_status status = descent_file_create(&file, visit_file(course->visit, "course.csv", path));
    if (status != DESCENT_OK)
        return status;
    fputs("run,step,sharpness,smallest_eigenvalue,loss,accuracy\n", file.stream);
    for (int run = 0; run < course->visit->runs; run++)
        for (int i = 0; i < course->paths.track[run].count; i++, values += VALUES)
            fprintf(file.stream, "%d,%lld,%.9g,%.9g,%.9g,%.9g\n", run,
                    (long long)course->paths.track[run].step[i], values[LARGEST], values[SMALLEST],
                    values[LOSS], values[ACCURACY]);
    return descent_file_commit(&file);
}

static void report_numbers(const struct course *course, const double *values)
{
    const struct visit *visit = course->visit;
    for (int run = 0; run < visit->runs; run++) {
        const struct track_points *track = &course->paths.track[run];
        const double *v = values + (size_t)(course->paths.first[run] * VALUES);
        int last = track->count - 1, most = 0;
        for (int i = 0; i <= last; i++)
            most = v[i * VALUES + LARGEST] > v[most * VALUES + LARGEST] ? i : most;
        printf("%s %.4g at step %lld, at most %.4g at step %lld, %.4g at step %lld%s%s\n",
               run ? "          " : "sharpness ", v[LARGEST], (long long)track->step[0],
               v[most * VALUES + LARGEST], (long long)track->step[most], v[last * VALUES + LARGEST],
               (long long)track->step[last], visit->runs > 1 ? ": " : "",
               visit->runs > 1 ? visit->run[run].path : "");
    }
}

/* One run: both in one panel. */
static void script_one(struct script *script, const struct visit *visit)
{
    char title[2 * PATH_MAX];
    snprintf(title, sizeof title, "sharpness of %s (%s) while it was trained", visit->run[0].path,
             visit->run[0].model);
    script_add(script, "set title ");
    script_quoted(script, title);
    script_add(
        script,
        " noenhanced\nset xlabel 'step'\nset ylabel 'largest eigenvalue of the Hessian'\nset logscale y\n"
        "set y2label 'loss'\nset y2tics\nset ytics nomirror\nset grid\nset key top right\n"
        "plot 'course.csv' skip 1 using 2:3 with linespoints lw 2 pt 7 ps 0.4 lc rgb '#d55e00' title "
        "'sharpness', \\\n  '' skip 1 using 2:5 axes x1y2 with lines lw 2 lc rgb '#0072b2' title "
        "'loss'\n");
}

/* A line a run; the keys of the two panels would be the same. */
static void add_panel(struct script *script, const struct visit *visit, int column, bool key)
{
    for (int run = 0; run < visit->runs; run++) {
        script_add(
            script,
            "%s'course.csv' skip 1 using ($1 == %d ? $2 : NaN):%d with linespoints lw 1.5 pt 7 ps 0.4 lc "
            "rgb color(%d) ",
            run ? ", \\\n  " : "plot ", run, column, run);
        script_add(script, key ? "title " : "notitle");
        if (key)
            script_quoted(script, visit->run[run].path);
    }
    script_add(script, "\n");
}

/* Several: the sharpness above the loss. */
static void script_several(struct script *script, const struct visit *visit)
{
    char title[PATH_MAX];
    snprintf(title, sizeof title, "sharpness of %s while it was trained", visit->run[0].model);
    script_colors(script);
    script_add(script, "set multiplot layout 2, 1 title ");
    script_quoted(script, title);
    script_add(script,
               " noenhanced\nset grid\nset lmargin 10\nset logscale y\nset key tmargin left Left "
               "reverse maxcols 1 samplen 2 noenhanced\nset ylabel 'largest eigenvalue of the Hessian'\n");
    add_panel(script, visit, 3, true);
    script_add(script, "unset logscale y\nset xlabel 'step'\nset ylabel 'loss'\n");
    add_panel(script, visit, 5, false);
    script_add(script, "unset multiplot\n");
}

static enum descent_status draw(const struct visit *visit, enum plot_outcome *outcome)
{
    struct script script = {.used = 0};
    bool several = visit->runs > 1;
    script_add(&script, "set datafile separator ','\n");
    (several ? script_several : script_one)(&script, visit);
    return plot_draw(visit->out, "course", PLOT_SVG_AND_PNG, 900, several ? 800 : 560, script.text,
                     outcome);
}

static enum descent_status report(const struct course *course, const double *values)
{
    const struct visit *visit = course->visit;
    enum plot_outcome outcome = PLOT_NONE;
    report_numbers(course, values);
    enum descent_status status = write_csv(course, values);
    if (status == DESCENT_OK && !visit->request->no_pictures)
        status = draw(visit, &outcome);
    if (status == DESCENT_OK)
        visit_print_files(visit, "course.npy, course.csv", ", course", outcome);
    return status;
}

static enum descent_status measure(struct course *course, bool *done)
{
    char path[PATH_MAX + 32];
    double *values = NULL;
    const struct survey survey = {.path = visit_file(course->visit, "course.npy", path),
                                  .rank = 2,
                                  .shape = {course->paths.first[course->visit->runs], VALUES},
                                  .threads = course->visit->request->threads,
                                  .what = "points",
                                  .context = course,
                                  .begin = begin_worker,
                                  .measure = measure_point,
                                  .end = probe_end};
    printf(
        "path%s      %d points of the weights; the loss and the largest eigenvalue of its Hessian on %lld "
        "images\n",
        course->visit->runs > 1 ? "s" : " ", course->paths.first[course->visit->runs],
        (long long)data_view_count(course->visit->few));
    fflush(stdout);
    enum descent_status status = survey_run(&survey, &values, done);
    if (status == DESCENT_OK && *done)
        status = report(course, values);
    free(values);
    return status;
}

enum descent_status course_of_sharpness(struct visit *visit, bool *done)
{
    struct course course = {.visit = visit};
    enum descent_status status = visit_read_paths(visit, &course.paths);
    if (status == DESCENT_OK)
        status = measure(&course, done);
    visit_free_paths(&course.paths);
    return status;
}
