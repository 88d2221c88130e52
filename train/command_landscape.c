/* `train landscape`: paths of optimizers over surfaces with two parameters, and the surface of a loss
 * around trained weights. What is asked for; the rest is in landscape/. */
#include "train/commands.h"
#include "train/landscape/landscape.h"
#include "train/landscape/surfaces.h"
#include "train/launch.h"
#include "train/options.h"

#include "base/pool.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>

static const char usage[] =
    "usage: train landscape --surface NAME [OPTIONS]\n"
    "       train landscape --run DIR [--run DIR ...] [--trajectory] [--course] [OPTIONS]\n"
    "\n"
    "--surface lets optimizers run over a surface with two parameters, and shows their paths: a table, a\n"
    "picture with contours, one in three dimensions, an animation and the numbers behind them. An "
    "optimizer\n"
    "without an lr of its own gets the best of --budget learning rates between 1e-5 and 100: the one "
    "whose\n"
    "path ends lowest, which looks at values and never at where the minimum is. Gradients are never "
    "clipped.\n"
    "\n"
    "--run shows the loss of a trained network, on training images without augmentation:\n"
    "  --run A                around its weights, on planes along pairs of random directions, normalized\n"
    "                         filter by filter (Li et al. 2018); how rough it is, and how sharp\n"
    "  --run A --run B        on the line through the weights of two runs of one model, training and test\n"
    "  --run A --trajectory   on the plane in which the weights moved most while they were trained, with\n"
    "                         their path (and that of another --run); needs train --trajectory\n"
    "  --run A --course       the course of the sharpness along that path (and those of other --run, to "
    "see\n"
    "                         how sharp it gets where different optimizers go)\n"
    "Batch norm's running statistics belong to the weights they were collected with: they are computed "
    "anew\n"
    "at every point. Points are measured in parallel, and kept as they come: the same command goes on "
    "where\n"
    "an earlier one was interrupted.\n"
    "\n"
    "Pictures are drawn by gnuplot, where it is installed.\n"
    "\n"
    "  train landscape --surface ravine\n"
    "      Why momentum was invented: plain descent zigzags between the walls.\n"
    "  train landscape --surface saddle --start 1,0 --noise 0.01\n"
    "      Where the gradient vanishes, noise finds the way down.\n"
    "  train landscape --run runs/a --grid 25 --directions 3\n"
    "      The valley that a training run ended in, on three planes.\n";

#define AT(field) offsetof(struct landscape_request, field)

static const char of_surfaces[] = "Optimizers on a surface", of_runs[] = "The loss of a network";

static const struct option_row rows[] = {
    {of_surfaces, "surface", "NAME", OPTION_TEXT, AT(surface), .help = "the surface, see below"},
    {NULL, "optimizers", "LIST", OPTION_LIST, AT(optimizer), "sgd,momentum,nesterov,rmsprop,adam",
     .max = LANDSCAPE_PATHS, .help = "names, separated by commas"},
    {NULL, "optimizer", "SPEC", OPTION_TEXTS, AT(optimizer), .max = LANDSCAPE_PATHS,
     .help = "one more, as 'train --optimizer' takes it; may be repeated"},
    {NULL, "steps", "N", OPTION_COUNT, AT(steps), "200", 1, 100000, .help = "steps of each"},
    {NULL, "start", "X,Y", OPTION_TEXT, AT(start), .help = "where to begin (default: the surface's own)"},
    {NULL, "noise", "S", OPTION_REAL, AT(noise), "0", 0, 1e6,
     .help = "add normal noise of this deviation to each part of the gradient"},
    {NULL, "schedule", "SPEC", OPTION_TEXT, AT(schedule), "constant",
     .help = "course of the learning rates; see 'train list schedules'"},
    {NULL, "budget", "N", OPTION_COUNT, AT(budget), "30", 1, 1000, .help = "learning rates to try"},

    {of_runs, "run", "DIR", OPTION_TEXTS, AT(run), .max = LANDSCAPE_RUNS,
     .help = "run directory that train made; may be repeated"},
    {NULL, "trajectory", NULL, OPTION_YES, AT(trajectory), .help = "the plane of the weights' path"},
    {NULL, "course", NULL, OPTION_YES, AT(course), .help = "the sharpness along the weights' path"},
    {NULL, "grid", "N", OPTION_COUNT, AT(grid), "51", 3, 1001,
     .help = "points a side, an odd number; between two runs: from the one to the other"},
    {NULL, "span", "S", OPTION_REAL, AT(span), "1", 1e-6, 1e6,
     .help = "how far to go, in norms of the weights"},
    {NULL, "directions", "K", OPTION_COUNT, AT(directions), "1", 1, 20,
     .help = "pairs of random directions, a surface each; the roughness gets a spread"},
    {NULL, "images", "N|all", OPTION_COUNT_OR_ALL, AT(images), "1000", 1, INT_MAX,
     .help = "training images (test images too, between two runs) to measure on, drawn by --seed"},
    {NULL, "statistics", "N", OPTION_COUNT, AT(statistics), "512", 2, INT_MAX,
     .help = "of these, for what needs fewer: running statistics at each point, and curvature"},
    {NULL, "data", "WHAT", OPTION_TEXT, AT(data), .help = "where the runs' data set is now, if it moved"},
    {NULL, "threads", "N", OPTION_COUNT, AT(threads), NULL, 1, DESCENT_MAX_THREADS,
     .help = "points measured at once; never changes a result (default: the CPUs it may use)"},
    {NULL, "force", NULL, OPTION_YES, AT(force), .help = "begin anew what --out holds of another request"},
    {NULL, "allow-code", NULL, OPTION_YES, AT(allow_code),
     .help = "compile and run the C file that a run names as its model, if you trust it"},

    {"Both", "seed", "N", OPTION_SEED, AT(seed), "1", 0, OPTION_LARGEST_SEED,
     .help = "of noise, directions and images"},
    {NULL, "out", "DIR", OPTION_TEXT, AT(out),
     .help = "where to write (default: runs/landscape-NAME, or a directory in the first run's)"},
    {NULL, "no-pictures", NULL, OPTION_YES, AT(no_pictures), .help = "write only the numbers"},
    {NULL, "help", NULL, OPTION_YES, AT(help), .help = "print this (also -h) and exit"},
};

static bool typed[sizeof rows / sizeof rows[0]];

static const struct option_table table = {
    .command = "train landscape", .rows = rows, .count = sizeof rows / sizeof rows[0], .typed = typed};

static void print_help(void)
{
    int count;
    const struct surface *all = surface_list(&count);
    fputs(usage, stdout);
    fputc('\n', stdout);
    options_print(&table, stdout);
    puts("\nsurfaces:");
    for (int i = 0; i < count; i++)
        printf("  %-18s %s\n", all[i].name, all[i].summary);
}

/* What is without effect is refused: somebody expects one. */
static enum descent_status check_effects(const struct landscape_request *request)
{
    static const char *const of_grids[] = {"grid", NULL}, *const of_planes[] = {"span", "directions", NULL};
    const char *name = options_typed_in(&table, request->surface ? of_runs : of_surfaces);
    if (name)
        return descent_fail(DESCENT_BAD_ARGUMENT, "--%s is of a --%s", name,
                            request->surface ? "run" : "surface");
    if (request->course && (name = options_typed(&table, of_grids)))
        return descent_fail(DESCENT_BAD_ARGUMENT, "--%s: --course measures the points of a path", name);
    if (request->run[1] || request->trajectory || request->course)
        name = options_typed(&table, of_planes);
    if (name)
        return descent_fail(DESCENT_BAD_ARGUMENT,
                            "--%s is of the planes around one --run, without --trajectory or --course",
                            name);
    if (request->grid % 2 == 0)
        return descent_fail(DESCENT_BAD_ARGUMENT,
                            "--grid %d: expected an odd number, so that the weights "
                            "themselves are among the points",
                            request->grid);
    return DESCENT_OK;
}

static enum descent_status check_runs(const struct landscape_request *request)
{
    int runs = 0;
    while (runs < LANDSCAPE_RUNS && request->run[runs])
        runs++;
    if (!request->surface == !runs)
        return descent_fail(DESCENT_BAD_ARGUMENT,
                            "train landscape: expected %s; 'train landscape --help' shows all",
                            runs ? "--surface or --run, not both" : "--surface NAME or --run DIR");
    if (request->trajectory && request->course)
        return descent_fail(DESCENT_BAD_ARGUMENT, "--trajectory and --course: expected one of them");
    if (runs > 2 && !request->trajectory && !request->course)
        return descent_fail(DESCENT_BAD_ARGUMENT,
                            "expected at most two --run without --trajectory or --course");
    return DESCENT_OK;
}

static int run_landscape(int argc, char **argv)
{
    struct landscape_request request = {.threads = descent_cpus()};
    bool done = true;
    enum descent_status status = options_read(&table, argc, argv, &request);
    if (status == DESCENT_OK && request.help)
        print_help();
    else {
        if (status == DESCENT_OK)
            status = check_runs(&request);
        if (status == DESCENT_OK)
            status = check_effects(&request);
        if (status == DESCENT_OK && request.surface)
            status = landscape_of_surface(&request);
        else if (status == DESCENT_OK) {
            launch_catch_signals();
            status = landscape_of_runs(&request, &done);
        }
    }
    options_free(&table, &request);
    if (status != DESCENT_OK)
        return report_error(status);
    return done ? EXIT_DONE : EXIT_SIGNAL + launch_signal();
}

const struct command command_landscape = {"landscape", "--surface|--run ...",
                                          "show the surface that optimizers walk on", run_landscape};
