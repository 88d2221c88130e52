/* `train landscape`: paths of optimizers over surfaces with two parameters, in numbers and pictures. */
#include "train/commands.h"
#include "train/extension.h"
#include "train/plot.h"
#include "train/trajectory.h"

#include "base/file.h"
#include "base/spec.h"

#include <ctype.h>
#include <getopt.h>
#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 12 /* paths in a picture */, GRID = 161 /* points a side */ };

static const double ARRIVED = 1e-3; /* share of the way down at which a path has arrived */

struct request {
    const struct surface *surface;
    const char *optimizer[MOST];
    int optimizers, steps;
    struct trajectory_options options;
    double start[2];
    const char *out;
    char *names; /* what `optimizer` of a list points into */
    bool no_pictures, help;
};

static const char usage[] =
    "usage: train landscape --surface NAME [OPTIONS]\n"
    "\n"
    "Lets optimizers run over a surface with two parameters, and shows their paths: a table, a picture "
    "with\n"
    "contours, one in three dimensions, an animation (all drawn by gnuplot, where it is installed) and "
    "the\n"
    "numbers behind them. An optimizer without an lr of its own gets the best of --budget learning rates\n"
    "between 1e-5 and 100: the one whose path ends lowest, which looks at values and never at where the\n"
    "minimum is. Gradients are never clipped.\n"
    "\n"
    "  --surface NAME      the surface, see below\n"
    "  --optimizers LIST   names, separated by commas (default: sgd,momentum,nesterov,rmsprop,adam)\n"
    "  --optimizer SPEC    one more, as 'train --optimizer' takes it; may be repeated\n"
    "  --steps N           steps of each (default: 200)\n"
    "  --start X,Y         where to begin (default: the surface's own)\n"
    "  --noise S           add normal noise of this deviation to each part of the gradient (default: 0)\n"
    "  --seed N            of the noise (default: 1)\n"
    "  --budget N          learning rates to try (default: 30)\n"
    "  --out DIR           where to write (default: runs/landscape-NAME)\n"
    "  --no-pictures       write only the numbers\n"
    "  --help              print this and exit\n"
    "\n"
    "  train landscape --surface ravine\n"
    "      Why momentum was invented: plain descent zigzags between the walls.\n"
    "  train landscape --surface saddle --start 1,0 --noise 0.01\n"
    "      Where the gradient vanishes, noise finds the way down.\n"
    "\n";

static void print_help(void)
{
    int count;
    const struct surface *all = surface_list(&count);
    fputs(usage, stdout);
    puts("surfaces:");
    for (int i = 0; i < count; i++)
        printf("  %-18s %s\n", all[i].name, all[i].summary);
}

/* ---- The command line ---- */

static enum descent_status add_optimizer(struct request *request, const char *spec)
{
    if (request->optimizers == MOST)
        return descent_fail(DESCENT_BAD_ARGUMENT, "train landscape: more than %d optimizers", MOST);
    request->optimizer[request->optimizers++] = spec;
    return DESCENT_OK;
}

/* A list of names, split in a copy. */
static enum descent_status add_optimizers(struct request *request, const char *list)
{
    enum descent_status status = DESCENT_OK;
    char *rest = NULL;
    if (request->names)
        return descent_fail(DESCENT_BAD_ARGUMENT, "train landscape: --optimizers is given twice");
    request->names = strdup(list);
    if (!request->names)
        return descent_fail(DESCENT_OUT_OF_MEMORY, "out of memory");
    for (char *name = strtok_r(request->names, ",", &rest); name && status == DESCENT_OK;
         name = strtok_r(NULL, ",", &rest))
        status = add_optimizer(request, name);
    return status;
}

static enum descent_status read_number(const char *option, const char *text, double least, double most,
                                       bool whole, double *number)
{
    if (descent_parse_number(text, number) && *number >= least && *number <= most &&
        (!whole || floor(*number) == *number))
        return DESCENT_OK;
    return descent_fail(DESCENT_BAD_ARGUMENT, "--%s %s: expected a %snumber from %g to %g", option, text,
                        whole ? "whole " : "", least, most);
}

static enum descent_status read_start(struct request *request, const char *text)
{
    char x[64];
    size_t length = strcspn(text, ",");
    snprintf(x, sizeof x, "%.*s", (int)length, text);
    if (text[length] != ',' || !descent_parse_number(x, &request->start[0]) ||
        !descent_parse_number(text + length + 1, &request->start[1]))
        return descent_fail(DESCENT_BAD_ARGUMENT, "--start %s: expected X,Y, two numbers", text);
    request->options.start = request->start;
    return DESCENT_OK;
}

static enum descent_status read_option(struct request *request, int option, const char *text)
{
    double number = 0;
    enum descent_status status = DESCENT_OK;
    switch (option) {
    case 'f':
        request->surface = surface_find(text);
        return request->surface ? DESCENT_OK : DESCENT_BAD_ARGUMENT;
    case 'l':
        return add_optimizers(request, text);
    case 'p':
        return add_optimizer(request, text);
    case 'a':
        return read_start(request, text);
    case 'n':
        status = read_number("steps", text, 1, 100000, true, &number);
        request->steps = (int)number;
        return status;
    case 'z':
        return read_number("noise", text, 0, 1e6, false, &request->options.noise);
    case 'r':
        status = read_number("seed", text, 0, 9007199254740992.0, true, &number);
        request->options.seed = (uint64_t)number;
        return status;
    case 'b':
        status = read_number("budget", text, 1, 1000, true, &number);
        request->options.budget = (int)number;
        return status;
    case 'o':
        request->out = text;
        return DESCENT_OK;
    case 'q':
        request->no_pictures = true;
        return DESCENT_OK;
    default:
        request->help = true;
        return DESCENT_OK;
    }
}

static enum descent_status check_start(const struct request *request)
{
    const struct surface *s = request->surface;
    for (int i = 0; i < 2 && request->options.start; i++)
        if (request->start[i] < s->low[i] || request->start[i] > s->high[i])
            return descent_fail(DESCENT_BAD_ARGUMENT,
                                "--start %g,%g is outside the domain of surface %s, %g to %g and %g to %g",
                                request->start[0], request->start[1], s->name, s->low[0], s->high[0],
                                s->low[1], s->high[1]);
    return DESCENT_OK;
}

static enum descent_status read_request(int argc, char **argv, struct request *request)
{
    static const struct option table[] = {
        {"surface", required_argument, NULL, 'f'},   {"optimizers", required_argument, NULL, 'l'},
        {"optimizer", required_argument, NULL, 'p'}, {"steps", required_argument, NULL, 'n'},
        {"start", required_argument, NULL, 'a'},     {"noise", required_argument, NULL, 'z'},
        {"seed", required_argument, NULL, 'r'},      {"budget", required_argument, NULL, 'b'},
        {"out", required_argument, NULL, 'o'},       {"help", no_argument, NULL, 'h'},
        {"no-pictures", no_argument, NULL, 'q'},     {0}};
    enum descent_status status = DESCENT_OK;
    *request = (struct request){.steps = 200, .options = {.seed = 1, .budget = 30}};
    optind = 1;
    opterr = 0;
    for (int found; status == DESCENT_OK && (found = getopt_long(argc, argv, ":h", table, NULL)) != -1;) {
        if (found == '?' || found == ':')
            status = descent_fail(DESCENT_BAD_ARGUMENT,
                                  "train landscape: %s %s; 'train landscape --help' shows all",
                                  found == ':' ? "no value for" : "unknown option", argv[optind - 1]);
        else
            status = read_option(request, found, optarg);
    }
    if (status == DESCENT_OK && optind < argc)
        status =
            descent_fail(DESCENT_BAD_ARGUMENT, "train landscape: unexpected argument '%s'", argv[optind]);
    if (status != DESCENT_OK || request->help)
        return status;
    if (!request->surface)
        return descent_fail(DESCENT_BAD_ARGUMENT,
                            "train landscape: --surface is missing; 'train landscape --help' shows all");
    if (request->optimizers == 0)
        status = add_optimizers(request, "sgd,momentum,nesterov,rmsprop,adam");
    return status == DESCENT_OK ? check_start(request) : status;
}

/* ---- Paths ---- */

/* Whether a spec sets lr itself: as a bare first value or by name. */
static bool has_lr(const char *spec)
{
    struct descent_spec parts;
    bool found = false;
    if (descent_spec_parse(spec, &parts) != DESCENT_OK)
        return true; /* the optimizer will say what is wrong */
    for (int i = 0; i < parts.part[0].count; i++) {
        const char *key = parts.part[0].pair[i].key, *value = parts.part[0].pair[i].value;
        found |= key ? strcmp(key, "lr") == 0 : i == 0 && !isalpha((unsigned char)value[0]);
    }
    descent_spec_free(&parts);
    return found;
}

static enum descent_status take_paths(const struct request *request, struct trajectory *path)
{
    enum descent_status status = DESCENT_OK;
    for (int i = 0; i < request->optimizers && status == DESCENT_OK; i++) {
        const char *spec = request->optimizer[i];
        path[i].point = calloc((size_t)request->steps + 1, sizeof *path[i].point);
        if (!path[i].point)
            return descent_fail(DESCENT_OUT_OF_MEMORY, "out of memory");
        snprintf(path[i].spec, sizeof path[i].spec, "%s", spec);
        status = extension_load_spec(EXTENSION_OPTIMIZER, spec);
        if (status != DESCENT_OK)
            return status;
        status = has_lr(spec)
                     ? trajectory_take(request->surface, spec, request->steps, &request->options, &path[i])
                     : trajectory_tune(request->surface, spec, request->steps, &request->options, &path[i]);
    }
    return status;
}

static const char *ending(const struct request *request, const struct trajectory *path)
{
    if (path->diverged)
        return "diverged";
    if (path->left)
        return request->surface->unbounded ? "reached the edge" : "left the domain";
    return trajectory_arrival(request->surface, path, ARRIVED) >= 0 ? "arrived" : "on its way";
}

static void print_table(const struct request *request, const struct trajectory *path)
{
    const struct surface *s = request->surface;
    const double *start = request->options.start ? request->options.start : s->start;
    printf("%s: %s\n%s\nfrom (%g, %g), %d steps", s->name, s->summary, s->formula, start[0], start[1],
           request->steps);
    if (request->options.noise > 0)
        printf(", noise %g, seed %llu", request->options.noise, (unsigned long long)request->options.seed);
    printf("; learning rates that are not given: best of %d by the last value\n\n",
           request->options.budget);
    printf("%-36s %8s %12s  %-24s\n", "optimizer", "arrived", "last value", "last point");
    for (int i = 0; i < request->optimizers; i++) {
        const struct trajectory_point *end = &path[i].point[path[i].steps];
        int arrival = trajectory_arrival(s, &path[i], ARRIVED);
        char step[16] = "-", point[40];
        if (arrival >= 0)
            snprintf(step, sizeof step, "%d", arrival);
        snprintf(point, sizeof point, "(%.4g, %.4g)", end->x, end->y);
        printf("%-36s %8s %12.5g  %-24s %s\n", path[i].spec, step, end->value, point,
               ending(request, &path[i]));
    }
    printf("\narrived: the step from which on the value stays within %g of the way from the start down to "
           "the lowest, %.6g\n",
           ARRIVED, s->lowest);
}

/* ---- Files ---- */

static enum descent_status write_paths(const struct request *request, const struct trajectory *path,
                                       const char *directory)
{
    char name[PATH_MAX + 16];
    struct descent_file file;
    snprintf(name, sizeof name, "%s/paths.csv", directory);
    enum descent_status status = descent_file_create(&file, name);
    if (status != DESCENT_OK)
        return status;
    fputs("path,step,x,y,value,optimizer\n", file.stream);
    for (int i = 0; i < request->optimizers; i++)
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

struct script {
    char text[24000];
    size_t used;
};

static void add(struct script *script, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void add(struct script *script, const char *format, ...)
{
    size_t left = sizeof script->text - script->used;
    va_list list;
    va_start(list, format);
    int length = vsnprintf(script->text + script->used, left, format, list);
    va_end(list);
    script->used += length < 0 ? 0 : (size_t)length < left ? (size_t)length : left - 1;
}

/* What all pictures begin with: ranges, and h(z), the height that is shown: logarithmic, from the lowest
 * value up. Colors: Okabe & Ito's first, which color-blind people can tell apart. */
static void begin_script(struct script *script, const struct surface *s)
{
    script->used = 0;
    add(script,
        "set datafile separator ','\nset xrange [%g:%g]\nset yrange [%g:%g]\nlowest = %.12g\nscale = %.6g\n"
        "h(z) = log10(1 + (z < lowest ? 0 : z - lowest) / scale)\n",
        s->low[0], s->high[0], s->low[1], s->high[1], s->lowest, height_of(s) / 1000 + 1e-12);
    add(script,
        "color(i) = int(word('0xd55e00 0x0072b2 0x009e73 0xcc79a7 0xe69f00 0x56b4e9 0xf0e442 0x000000 "
        "0x999999 0x882255 0x117733 0x332288', i + 1))\n"
        "set palette defined (0 '#33415c', 0.4 '#8fa3bf', 1 '#f4f2ec')\nunset colorbox\n"
        "set xlabel 'x'\nset ylabel 'y'\nset title '%s' noenhanced\nset key at screen 0.99, screen 0.92 "
        "right top samplen 2 noenhanced\n",
        s->name);
}

/* All paths up to the step `last`, an expression, at the height `z`, another. */
static void add_paths(struct script *script, const struct request *request, const struct trajectory *path,
                      const char *last, const char *z)
{
    for (int i = 0; i < request->optimizers; i++)
        add(script,
            ", \\\n  'paths.csv' skip 1 using ($1 == %d && $2 <= %s ? $3 : NaN):4:(%s) with linespoints lc "
            "rgb color(%d) lw 1.5 pt 7 ps 0.3 nocontour title '%.*s, lr %.2g'",
            i, last, z, i, (int)strcspn(path[i].spec, ":+"), path[i].spec, path[i].lr);
    add(script, "\n");
}

static const char from_above[] =
    "set lmargin at screen 0.07\nset rmargin at screen 0.75\nset bmargin at screen 0.1\nset tmargin at "
    "screen 0.93\nset view map\nset contour base\nset cntrparam levels 16\nset cntrlabel onecolor\n";
static const char ground[] =
    "splot 'grid.csv' skip 1 using 1:2:(0):(h($3)) with image nocontour notitle, \\\n"
    "  '' skip 1 using 1:2:(h($3)) with lines nosurface lc rgb '#80ffffff' lw 0.5 notitle";

static enum descent_status draw(const struct request *request, const struct trajectory *path,
                                const char *directory, bool *drawn)
{
    enum { FRAMES = 50 };
    struct script script;
    begin_script(&script, request->surface);
    add(&script, "%s%s", from_above, ground);
    add_paths(&script, request, path, "1e9", "0");
    enum descent_status status = plot_draw(directory, "landscape", PLOT_SVG, 1000, 640, script.text, drawn);
    if (status != DESCENT_OK)
        return status;

    begin_script(&script, request->surface);
    add(&script,
        "%slast = %d.0\nframes = %d\ndo for [f = 0 : frames + 8] {\nupto = f < frames ? last * f / frames "
        ": last\n%s",
        from_above, request->steps, FRAMES, ground);
    add_paths(&script, request, path, "upto", "0");
    add(&script, "}\n");
    status = plot_draw(directory, "animation", PLOT_GIF, 800, 520, script.text, drawn);
    if (status != DESCENT_OK)
        return status;

    begin_script(&script, request->surface);
    add(&script, "set view 50, 325\nset xyplane 0.05\nset ztics format ''\nset zlabel 'value, log' rotate\n"
                 "splot 'grid.csv' skip 1 every 4:4 using 1:2:(h($3)) with pm3d notitle");
    add_paths(&script, request, path, "1e9", "h($5) + 0.02");
    return plot_draw(directory, "surface", PLOT_SVG, 1000, 720, script.text, drawn);
}

static enum descent_status write_all(const struct request *request, const struct trajectory *path)
{
    char directory[PATH_MAX];
    bool drawn = false;
    snprintf(directory, sizeof directory, "runs/landscape-%s", request->surface->name);
    if (request->out)
        snprintf(directory, sizeof directory, "%s", request->out);
    enum descent_status status = descent_make_directories(directory);
    if (status == DESCENT_OK)
        status = write_paths(request, path, directory);
    if (status == DESCENT_OK)
        status = write_grid(request->surface, directory);
    if (status == DESCENT_OK && !request->no_pictures)
        status = draw(request, path, directory, &drawn);
    if (status == DESCENT_OK)
        printf("wrote %s: paths.csv, grid.csv%s\n", directory,
               drawn                  ? ", landscape.svg, surface.svg, animation.gif"
               : request->no_pictures ? ""
                                      : "; for pictures install gnuplot");
    return status;
}

/* ---- The command ---- */

static int run_landscape(int argc, char **argv)
{
    struct request request;
    struct trajectory path[MOST] = {0};
    enum descent_status status = read_request(argc, argv, &request);
    if (status == DESCENT_OK && request.help)
        print_help();
    else if (status == DESCENT_OK)
        status = take_paths(&request, path);
    if (status == DESCENT_OK && !request.help) {
        print_table(&request, path);
        status = write_all(&request, path);
    }
    for (int i = 0; i < MOST; i++)
        free(path[i].point);
    free(request.names);
    return status == DESCENT_OK ? EXIT_DONE : report_error(status);
}

const struct command command_landscape = {"landscape", "--surface NAME",
                                          "show the paths of optimizers over a surface", run_landscape};
