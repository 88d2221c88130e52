/* `train landscape --surface`: paths of optimizers over surfaces with two parameters, in numbers and
 * pictures. */
#include "train/extension.h"
#include "train/landscape/landscape.h"
#include "train/landscape/pictures.h"
#include "train/landscape/trajectory.h"
#include "train/plot.h"
#include "train/rate.h"

#include "base/file.h"
#include "base/spec.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GRID = 161 /* points a side */ };

static const double ARRIVED = 1e-3; /* share of the way down at which a path has arrived */

struct task {
    const struct surface *surface;
    const char *const *optimizer;
    int optimizers, steps;
    struct trajectory_options options;
    double start[2];
    const char *out;
    bool no_pictures;
};

/* ---- The request ---- */

static enum descent_status read_start(struct task *task, const char *text)
{
    const struct surface *s = task->surface;
    char x[64];
    size_t length = strcspn(text, ",");
    snprintf(x, sizeof x, "%.*s", (int)length, text);
    if (text[length] != ',' || !descent_parse_number(x, &task->start[0]) ||
        !descent_parse_number(text + length + 1, &task->start[1]))
        return descent_fail(DESCENT_BAD_ARGUMENT, "--start %s: expected X,Y, two numbers", text);
    for (int i = 0; i < 2; i++)
        if (task->start[i] < s->low[i] || task->start[i] > s->high[i])
            return descent_fail(DESCENT_BAD_ARGUMENT,
                                "--start %g,%g is outside the domain of surface %s, %g to %g and %g to %g",
                                task->start[0], task->start[1], s->name, s->low[0], s->high[0], s->low[1],
                                s->high[1]);
    task->options.start = task->start;
    return DESCENT_OK;
}

static enum descent_status read_task(const struct landscape_request *request, struct task *task)
{
    *task = (struct task){.surface = surface_find(request->surface),
                          .optimizer = request->optimizer,
                          .steps = request->steps,
                          .options = {.noise = request->noise,
                                      .seed = request->seed,
                                      .budget = request->budget,
                                      .schedule = request->schedule},
                          .out = request->out,
                          .no_pictures = request->no_pictures};
    if (!task->surface)
        return DESCENT_BAD_ARGUMENT;
    while (task->optimizers < LANDSCAPE_PATHS && task->optimizer[task->optimizers])
        task->optimizers++;
    return request->start ? read_start(task, request->start) : DESCENT_OK;
}

/* ---- Paths ---- */

static enum descent_status take_paths(const struct task *task, struct trajectory *path)
{
    enum descent_status status = DESCENT_OK;
    for (int i = 0; i < task->optimizers && status == DESCENT_OK; i++) {
        const char *spec = task->optimizer[i];
        path[i].point = calloc((size_t)task->steps + 1, sizeof *path[i].point);
        if (!path[i].point)
            return descent_fail(DESCENT_OUT_OF_MEMORY, "out of memory");
        snprintf(path[i].spec, sizeof path[i].spec, "%s", spec);
        status = extension_load_spec(EXTENSION_OPTIMIZER, spec);
        if (status != DESCENT_OK)
            return status;
        status = rate_is_given(spec)
                     ? trajectory_take(task->surface, spec, task->steps, &task->options, &path[i])
                     : trajectory_tune(task->surface, spec, task->steps, &task->options, &path[i]);
    }
    return status;
}

static const char *ending(const struct task *task, const struct trajectory *path)
{
    if (path->diverged)
        return "diverged";
    if (path->left)
        return task->surface->unbounded ? "reached the edge" : "left the domain";
    return trajectory_arrival(task->surface, path, ARRIVED) >= 0 ? "arrived" : "on its way";
}

static void print_table(const struct task *task, const struct trajectory *path)
{
    const struct surface *s = task->surface;
    const double *start = task->options.start ? task->options.start : s->start;
    printf("%s: %s\n%s\nfrom (%g, %g), %d steps", s->name, s->summary, s->formula, start[0], start[1],
           task->steps);
    if (task->options.noise > 0)
        printf(", noise %g, seed %llu", task->options.noise, (unsigned long long)task->options.seed);
    if (strcmp(task->options.schedule, "constant") != 0)
        printf(", schedule %s", task->options.schedule);
    printf("; learning rates that are not given: best of %d by the last value\n\n", task->options.budget);
    printf("%-32s %7s %7s %6s %11s  %-22s\n", "optimizer", "arrived", "length", "turns", "last value",
           "last point");
    for (int i = 0; i < task->optimizers; i++) {
        const struct trajectory_point *end = &path[i].point[path[i].steps];
        int arrival = trajectory_arrival(s, &path[i], ARRIVED);
        char step[16] = "-", point[40];
        if (arrival >= 0)
            snprintf(step, sizeof step, "%d", arrival);
        snprintf(point, sizeof point, "(%.4g, %.4g)", end->x, end->y);
        printf("%-32s %7s %7.4g %6d %11.5g  %-22s %s\n", path[i].spec, step, trajectory_length(&path[i]),
               trajectory_turns(s, &path[i]), end->value, point, ending(task, &path[i]));
    }
    printf("\narrived: the step from which on the value stays within %g of the way from the start down to "
           "the lowest, %.6g\nlength: of the path; turns: steps more than 90 degrees off the one before\n",
           ARRIVED, s->lowest);
}

/* ---- Files ---- */

static enum descent_status write_paths(const struct task *task, const struct trajectory *path,
                                       const char *directory)
{
    char name[PATH_MAX + 16];
    struct descent_file file;
    snprintf(name, sizeof name, "%s/paths.csv", directory);
    enum descent_status status = descent_file_create(&file, name);
    if (status != DESCENT_OK)
        return status;
    fputs("path,step,x,y,value,optimizer\n", file.stream);
    for (int i = 0; i < task->optimizers; i++)
        for (int k = 0; k <= path[i].steps; k++)
            fprintf(file.stream, "%d,%d,%.9g,%.9g,%.9g,\"%s\"\n", i, k, path[i].point[k].x,
                    path[i].point[k].y, path[i].point[k].value, path[i].spec);
    return descent_file_commit(&file);
}

/* Rows of equal x, an empty line between them, as gnuplot wants grids. */
static enum descent_status write_grid(const struct surface *s, const char *directory)
{
    char name[PATH_MAX + 16];
    struct descent_file file;
    snprintf(name, sizeof name, "%s/grid.csv", directory);
    enum descent_status status = descent_file_create(&file, name);
    if (status != DESCENT_OK)
        return status;
    fputs("x,y,value\n", file.stream);
    for (int i = 0; i < GRID; i++) {
        for (int j = 0; j < GRID; j++) {
            double gradient[2], p[2] = {s->low[0] + (s->high[0] - s->low[0]) * i / (GRID - 1),
                                        s->low[1] + (s->high[1] - s->low[1]) * j / (GRID - 1)};
            fprintf(file.stream, "%.6g,%.6g,%.9g\n", p[0], p[1], s->value(p, gradient));
        }
        fputc('\n', file.stream);
    }
    return descent_file_commit(&file);
}

/* The highest value at the corners above the lowest. */
static double height_of(const struct surface *s)
{
    double gradient[2], most = 0;
    for (int i = 0; i < 4; i++) {
        const double corner[2] = {i & 1 ? s->low[0] : s->high[0], i & 2 ? s->low[1] : s->high[1]};
        most = fmax(most, s->value(corner, gradient) - s->lowest);
    }
    return most;
}

/* ---- Pictures ---- */

/* h(z), the height that is shown, is logarithmic, from the lowest value up. far(..): whether a point of a
 * path is far enough from the last that was drawn, (px, py), to be seen apart. */
static void begin_script(struct script *script, const struct surface *s)
{
    script_begin(script, s->name, "x", "y", s->low, s->high);
    script_add(script,
               "lowest = %.12g\nscale = %.6g\nh(z) = log10(1 + (z < lowest ? 0 : z - lowest) / scale)\n"
               "set cntrparam levels 12\nset datafile missing NaN\npx = py = 0\n"
               "far(step, x, y) = step == 0 || abs(x - px) / %g + abs(y - py) / %g > 0.005\n",
               s->lowest, height_of(s) / 1000 + 1e-12, s->high[0] - s->low[0], s->high[1] - s->low[1]);
}

/* The minima, as crosses, and the start. */
static void mark_places(struct script *script, const struct task *task)
{
    const struct surface *s = task->surface;
    const double *start = task->options.start ? task->options.start : s->start;
    for (int i = 0; i < s->minima && !s->unbounded; i++)
        script_add(script, "set label at %g,%g point pt 2 ps 1.2 lw 1.5 lc rgb '#ffffff' front\n",
                   s->minimum[i][0], s->minimum[i][1]);
    script_add(script, "set label at %g,%g point pt 6 ps 1.2 lc rgb '#000000' front\n", start[0], start[1]);
}

/* All paths up to the step `last`, an expression, at the height `z`, another. */
static void add_paths(struct script *script, const struct task *task, const struct trajectory *path,
                      const char *last, const char *z)
{
    for (int i = 0; i < task->optimizers; i++) {
        char name[41];
        snprintf(name, sizeof name, "%.40s", path[i].spec);
        script_add(
            script,
            ", \\\n  'paths.csv' skip 1 using ($1 == %d && $2 <= %s && far($2, $3, $4) ? "
            "(px = $3, py = $4, $3) : NaN):4:(%s) with linespoints lc rgb color(%d) lw 1.5 pt 7 ps 0.3 "
            "nocontour title ",
            i, last, z, i);
        script_quoted(script, name);
    }
    script_add(script, "\n");
}

static enum descent_status draw(const struct task *task, const struct trajectory *path,
                                const char *directory, enum plot_outcome *outcome)
{
    enum { FRAMES = 50 };
    struct script script;
    begin_script(&script, task->surface);
    mark_places(&script, task);
    script_from_above(&script, "grid.csv", 0, 3, 2);
    add_paths(&script, task, path, "1e9", "0");
    enum descent_status status =
        plot_draw(directory, "landscape", PLOT_SVG_AND_PNG, 1000, 640, script.text, outcome);
    if (status != DESCENT_OK)
        return status;

    begin_script(&script, task->surface);
    mark_places(&script, task);
    script_add(&script,
               "last = %d.0\nframes = %d\ndo for [f = 0 : frames + 8] {\nupto = f < frames ? last * f / "
               "frames : last\n",
               task->steps, FRAMES);
    script_from_above(&script, "grid.csv", 0, 3, 2);
    add_paths(&script, task, path, "upto", "0");
    script_add(&script, "}\n");
    status = plot_draw(directory, "animation", PLOT_GIF, 800, 520, script.text, outcome);
    if (status != DESCENT_OK)
        return status;

    begin_script(&script, task->surface);
    script_add(&script, "set ztics format ''\nset zlabel 'value, log' rotate\n");
    script_in_3d(&script, "grid.csv", 0, 3, 4);
    add_paths(&script, task, path, "1e9", "h($5) + 0.02");
    return plot_draw(directory, "surface", PLOT_SVG_AND_PNG, 1000, 720, script.text, outcome);
}

static enum descent_status write_all(const struct task *task, const struct trajectory *path)
{
    char directory[PATH_MAX];
    enum plot_outcome outcome = PLOT_NONE;
    snprintf(directory, sizeof directory, "runs/landscape-%s", task->surface->name);
    if (task->out)
        snprintf(directory, sizeof directory, "%s", task->out);
    enum descent_status status = descent_make_directories(directory);
    if (status == DESCENT_OK)
        status = write_paths(task, path, directory);
    if (status == DESCENT_OK)
        status = write_grid(task->surface, directory);
    if (status == DESCENT_OK && !task->no_pictures)
        status = draw(task, path, directory, &outcome);
    if (status == DESCENT_OK)
        printf("wrote %s: paths.csv, grid.csv%s%s\n", directory,
               outcome == PLOT_DRAWN ? ", landscape.svg and .png, surface.svg and .png, animation.gif" : "",
               plot_excuse(outcome));
    return status;
}

enum descent_status landscape_of_surface(const struct landscape_request *request)
{
    struct task task;
    struct trajectory path[LANDSCAPE_PATHS] = {0};
    enum descent_status status = read_task(request, &task);
    if (status == DESCENT_OK)
        status = take_paths(&task, path);
    if (status == DESCENT_OK) {
        print_table(&task, path);
        status = write_all(&task, path);
    }
    for (int i = 0; i < LANDSCAPE_PATHS; i++)
        free(path[i].point);
    return status;
}
