/* `train landscape --run A --trajectory`: the plane in which the weights of one or several runs moved most
 * while they were trained, its loss, and their paths on it. */
#include "train/landscape/pictures.h"
#include "train/landscape/visit.h"
#include "train/plot.h"

#include "base/file.h"

#include <math.h>
#include <stdlib.h>

static const double MARGIN = 0.2; /* of the path's extent, on each side */

struct paths {
    struct visit_paths of;
    int count; /* of points of all */
    const float **rows;
    float *directions;
    struct principal principal;
};

/* All points of all runs; the plane through the end of the first one's path. */
static enum descent_status find_plane(const struct visit *visit, struct paths *paths)
{
    enum descent_status status = visit_read_paths(visit, &paths->of);
    if (status != DESCENT_OK)
        return status;
    paths->count = paths->of.first[visit->runs];
    paths->rows = malloc((size_t)paths->count * sizeof *paths->rows);
    paths->directions = malloc(2 * (size_t)visit->size * sizeof *paths->directions);
    paths->principal.at = malloc(2 * (size_t)paths->count * sizeof *paths->principal.at);
    if (!paths->rows || !paths->directions || !paths->principal.at)
        return descent_fail(DESCENT_OUT_OF_MEMORY, "out of memory");
    for (int i = 0; i < visit->runs; i++)
        for (int k = 0; k < paths->of.track[i].count; k++)
            paths->rows[paths->of.first[i] + k] = paths->of.track[i].weights[k];
    return principal_plane(paths->rows, paths->count, paths->rows[paths->of.track[0].count - 1],
                           visit->size, paths->of.first, visit->runs, paths->directions, &paths->principal);
}

/* The box around all paths, and some more. */
static struct plane make_plane(const struct visit *visit, const struct paths *paths)
{
    struct plane plane = {.size = visit->size,
                          .origin = paths->rows[paths->of.track[0].count - 1],
                          .direction = {paths->directions, paths->directions + visit->size},
                          .points = {visit->request->grid, visit->request->grid}};
    for (int axis = 0; axis < 2; axis++) {
        double low = 0, high = 0;
        for (int i = 0; i < paths->count; i++) {
            low = fmin(low, paths->principal.at[2 * i + axis]);
            high = fmax(high, paths->principal.at[2 * i + axis]);
        }
        plane.low[axis] = low - MARGIN * (high - low);
        plane.high[axis] = high + MARGIN * (high - low);
    }
    return plane;
}

static void report_plane(const struct visit *visit, const struct paths *paths)
{
    const struct principal *p = &paths->principal;
    printf("paths      %d points of the weights, %lld numbers each\n", paths->count,
           (long long)visit->size);
    printf("plane      through the last point of %s; of the squared distances from there, the first "
           "direction\n           explains %.1f %% and the second %.1f %% (principal components, not "
           "centered)\n",
           visit->run[0].path, 100 * p->share[0], 100 * p->share[1]);
    printf("outside    %.1f %% of the paths' length: what their projections on the plane are shorter\n",
           100 * p->outside);
    fflush(stdout);
    descent_json_set_number(visit->record, "explained_1", p->share[0]);
    descent_json_set_number(visit->record, "explained_2", p->share[1]);
    descent_json_set_number(visit->record, "outside", p->outside);
}

static enum descent_status write_paths(const struct visit *visit, const struct paths *paths)
{
    char path[PATH_MAX + 32];
    struct descent_file file;
    enum descent_status status = descent_file_create(&file, visit_file(visit, "paths.csv", path));
    if (status != DESCENT_OK)
        return status;
    fputs("run,step,x,y\n", file.stream);
    for (int i = 0; i < visit->runs; i++)
        for (int k = 0; k < paths->of.track[i].count; k++) {
            const double *at = paths->principal.at + (size_t)(2 * (paths->of.first[i] + k));
            fprintf(file.stream, "%d,%lld,%.9g,%.9g\n", i, (long long)paths->of.track[i].step[k], at[0],
                    at[1]);
        }
    return descent_file_commit(&file);
}

static void begin(struct script *script, const struct visit *visit, const struct paths *paths,
                  const struct plane *plane, const double *values)
{
    char title[PATH_MAX + 128], x[80], y[80];
    size_t points = (size_t)visit->request->grid * (size_t)visit->request->grid;
    snprintf(title, sizeof title,
             "the path of the weights of %s, and the loss (%.0f %% of its length is "
             "outside the plane)",
             visit->run[0].model, 100 * paths->principal.outside);
    snprintf(x, sizeof x, "first direction (%.1f %%)", 100 * paths->principal.share[0]);
    snprintf(y, sizeof y, "second direction (%.1f %%)", 100 * paths->principal.share[1]);
    script_begin(script, title, x, y, plane->low, plane->high);
    script_log_scale(script, values, points, 2);
}

static enum descent_status draw(const struct visit *visit, const struct paths *paths,
                                const struct plane *plane, const double *values, enum plot_outcome *outcome)
{
    struct script script;
    begin(&script, visit, paths, plane, values);
    script_from_above(&script, "grid.csv", 0, 3, 1);
    for (int i = 0; i < visit->runs; i++) {
        script_add(&script,
                   ", \\\n  'paths.csv' skip 1 using ($1 == %d ? $3 : NaN):4:(0) with linespoints lc rgb "
                   "color(%d) lw 1.5 pt 7 ps 0.4 nocontour title ",
                   i, i);
        script_quoted(&script, visit->run[i].path);
    }
    script_add(&script, "\n");
    enum descent_status status =
        plot_draw(visit->out, "trajectory", PLOT_SVG_AND_PNG, 1000, 760, script.text, outcome);
    if (status != DESCENT_OK)
        return status;
    begin(&script, visit, paths, plane, values);
    script_in_3d(&script, "grid.csv", 0, 3, 1);
    script_add(&script, "\n");
    return plot_draw(visit->out, "surface", PLOT_SVG_AND_PNG, 1000, 760, script.text, outcome);
}

static enum descent_status report(const struct visit *visit, const struct paths *paths,
                                  const struct plane *plane, const double *values)
{
    enum plot_outcome outcome = PLOT_NONE;
    enum descent_status status = write_paths(visit, paths);
    if (status == DESCENT_OK)
        status = visit_record(visit);
    if (status == DESCENT_OK && !visit->request->no_pictures)
        status = draw(visit, paths, plane, values, &outcome);
    if (status == DESCENT_OK)
        visit_print_files(visit, "grid.npy, grid.csv, paths.csv", "; trajectory and surface, ", outcome);
    return status;
}

enum descent_status along_trajectory(struct visit *visit, bool *done)
{
    const struct data_view *const part[PROBE_PARTS] = {visit->images};
    struct paths paths = {.count = 0};
    double *values = NULL;
    enum descent_status status = find_plane(visit, &paths);
    if (status == DESCENT_OK) {
        struct plane plane = make_plane(visit, &paths);
        report_plane(visit, &paths);
        status = visit_measure(visit, &plane, 1, part, "x,y,loss,accuracy", &values, done);
        if (status == DESCENT_OK && *done)
            status = report(visit, &paths, &plane, values);
    }
    visit_free_paths(&paths.of);
    free(paths.rows);
    free(paths.directions);
    free(paths.principal.at);
    free(values);
    return status;
}
