/* `train landscape --run A --course`: how sharp the loss is along the path that a run's weights took. */
#include "train/landscape/pictures.h"
#include "train/landscape/survey.h"
#include "train/landscape/visit.h"
#include "train/plot.h"
#include "train/track.h"

#include "base/file.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { LARGEST, SMALLEST, LOSS, ACCURACY, VALUES };

struct course {
    const struct visit *visit;
    struct track_points track;
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
    int count;
    struct descent_param *param = probe_params(worker, &count);
    vector_write(param, count, course->track.weights[item]);
    enum descent_status status = probe_score(worker, score);
    if (status == DESCENT_OK)
        status = probe_sharpness(worker, &sharpness);
    if (status != DESCENT_OK)
        return descent_fail_in(status, "after step %lld", (long long)course->track.step[item]);
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
    fputs("step,sharpness,smallest_eigenvalue,loss,accuracy\n", file.stream);
    for (int i = 0; i < course->track.count; i++) {
        const double *v = values + (size_t)(i * VALUES);
        fprintf(file.stream, "%lld,%.9g,%.9g,%.9g,%.9g\n", (long long)course->track.step[i], v[LARGEST],
                v[SMALLEST], v[LOSS], v[ACCURACY]);
    }
    return descent_file_commit(&file);
}

static void report_numbers(const struct course *course, const double *values)
{
    int last = course->track.count - 1, most = 0;
    for (int i = 0; i <= last; i++)
        most = values[i * VALUES + LARGEST] > values[most * VALUES + LARGEST] ? i : most;
    printf("sharpness  %.4g at step %lld, at most %.4g at step %lld, %.4g at step %lld\n", values[LARGEST],
           (long long)course->track.step[0], values[most * VALUES + LARGEST],
           (long long)course->track.step[most], values[last * VALUES + LARGEST],
           (long long)course->track.step[last]);
}

static enum descent_status draw(const struct visit *visit, enum plot_outcome *outcome)
{
    struct script script = {.used = 0};
    char title[2 * PATH_MAX];
    snprintf(title, sizeof title, "sharpness of %s (%s) while it was trained", visit->run[0].path,
             visit->run[0].model);
    script_add(&script, "set datafile separator ','\nset title ");
    script_quoted(&script, title);
    script_add(
        &script,
        " noenhanced\nset xlabel 'step'\nset ylabel 'largest eigenvalue of the Hessian'\nset logscale y\n"
        "set y2label 'loss'\nset y2tics\nset ytics nomirror\nset grid\nset key top right\n"
        "plot 'course.csv' skip 1 using 1:2 with linespoints lw 2 pt 7 ps 0.4 lc rgb '#d55e00' title "
        "'sharpness', \\\n  '' skip 1 using 1:4 axes x1y2 with lines lw 2 lc rgb '#0072b2' title "
        "'loss'\n");
    return plot_draw(visit->out, "course", PLOT_SVG_AND_PNG, 900, 560, script.text, outcome);
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
                                  .shape = {course->track.count, VALUES},
                                  .threads = course->visit->request->threads,
                                  .what = "points",
                                  .context = course,
                                  .begin = begin_worker,
                                  .measure = measure_point,
                                  .end = probe_end};
    printf(
        "path       %d points of the weights; the loss and the largest eigenvalue of its Hessian on %lld "
        "images\n",
        course->track.count, (long long)data_view_count(course->visit->few));
    fflush(stdout);
    enum descent_status status = survey_run(&survey, &values, done);
    if (status == DESCENT_OK && *done)
        status = report(course, values);
    free(values);
    return status;
}

enum descent_status course_of_sharpness(struct visit *visit, bool *done)
{
    char path[PATH_MAX + 24];
    struct course course = {.visit = visit};
    enum descent_status status = track_read(
        reopened_file(&visit->run[0], "trajectory.npy", path, sizeof path), visit->size, &course.track);
    if (status == DESCENT_OK && course.track.count == 0)
        status = descent_fail(DESCENT_BAD_ARGUMENT, "%s: no point of the weights was kept", path);
    if (status == DESCENT_OK)
        status = measure(&course, done);
    track_points_free(&course.track);
    return status;
}
