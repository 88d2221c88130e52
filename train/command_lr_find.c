/* `train lr-find`: the learning-rate range test. Trains for some steps while the rate climbs from far too
 * small to far too large, and shows where the loss falls. Smith 2015, arXiv:1506.01186; smoothing and the
 * point that is suggested as in fastai and pytorch-lr-finder. */
#include "train/commands.h"
#include "train/extension.h"
#include "train/launch.h"
#include "train/plot.h"
#include "train/progress.h"
#include "train/rate.h"
#include "train/train_options.h"

#include "base/file.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STEPS = 100, SKIP_FIRST = 10, SKIP_LAST = 5 };

static const double SMOOTHING = 0.05; /* share of the newest loss in the smoothed one */
static const double TOO_MUCH = 5;     /* times the lowest loss: stop */

struct search {
    double *rate, *loss, *smooth;
    int64_t count, steps;
    int batches; /* with the last rate: several where gradients are accumulated */
    double lowest;
    bool live, exploded, quiet;
    char out[PATH_MAX];
};

static const char introduction[] =
    "usage: train lr-find [OPTIONS]\n"
    "\n"
    "Looks for a learning rate: trains for 100 steps (--steps) while it climbs from 1e-7 to 10, or "
    "between\n"
    "other bounds (--schedule range_test:low=1e-5,high=1), until the loss is five times its lowest, and\n"
    "suggests the rate at which the loss fell fastest. Reads no test data and keeps no weights. Writes\n"
    "lr-find.csv and, where gnuplot is installed, lr-find.svg to a directory (--out; default:\n"
    "runs/lr-find-MODEL-DATA-N). All options are those of train; the optimizer's own lr, --epochs and what "
    "is\n"
    "evaluated or saved (--evaluations, --no-test, --no-model) play no part.\n"
    "\n"
    "  train lr-find --model cnn --optimizer adamw:weight_decay=0.05 --batch 128\n"
    "\n";

/* ---- While it trains ---- */

static void started(void *context, const struct train_start *start)
{
    struct search *search = context;
    search->steps = start->steps;
    snprintf(search->out, sizeof search->out, "%s", start->out);
    search->rate = calloc(3 * (size_t)start->steps, sizeof *search->rate);
    search->loss = search->rate ? search->rate + start->steps : NULL;
    search->smooth = search->rate ? search->loss + start->steps : NULL;
}

static void stepped(void *context, const struct train_step *step)
{
    struct search *search = context;
    if (!search->rate || search->count >= search->steps || !isfinite(step->loss))
        return;
    bool again = search->count > 0 && search->rate[search->count - 1] == step->lr;
    int64_t i = again ? search->count - 1 : search->count;
    search->batches = again ? search->batches + 1 : 1;
    search->rate[i] = step->lr;
    search->loss[i] += (step->loss - search->loss[i]) / search->batches; /* their mean; from 0 */
    search->smooth[i] =
        i == 0 ? search->loss[i] : SMOOTHING * search->loss[i] + (1 - SMOOTHING) * search->smooth[i - 1];
    search->lowest = i == 0 ? search->smooth[i] : fmin(search->lowest, search->smooth[i]);
    search->exploded = search->smooth[i] > TOO_MUCH * search->lowest;
    search->count = i + 1;
    if (!search->live)
        return;
    char line[128];
    snprintf(line, sizeof line, "step %lld of %lld  lr %.1e  loss %.4f ", (long long)step->step,
             (long long)search->steps, step->lr, step->loss);
    progress_rewrite(stdout, line);
}

static bool wants_stop(void *context)
{
    const struct search *search = context;
    return search->exploded || !search->rate || launch_wants_stop(NULL);
}

/* ---- What came out ---- */

static enum descent_status write_csv(const struct search *search)
{
    char path[PATH_MAX + 16];
    struct descent_file file;
    snprintf(path, sizeof path, "%s/lr-find.csv", search->out);
    enum descent_status status = descent_file_create(&file, path);
    if (status != DESCENT_OK)
        return status;
    fprintf(file.stream, "lr,loss,smoothed_loss\n");
    for (int64_t i = 0; i < search->count; i++)
        fprintf(file.stream, "%.9g,%.9g,%.9g\n", search->rate[i], search->loss[i], search->smooth[i]);
    return descent_file_commit(&file);
}

/* The steps that say something: the first see too little, the last explode. */
static void telling_steps(const struct search *search, int64_t *begin, int64_t *end)
{
    *begin = search->count > 2 * SKIP_FIRST ? SKIP_FIRST : 0;
    *end = search->count > 2 * SKIP_FIRST ? search->count - SKIP_LAST : search->count;
}

/* Where the smoothed loss falls fastest with the logarithm of the rate, and where it is lowest; -1 if it
 * falls nowhere. */
static void find_points(const struct search *search, int64_t *steepest, int64_t *lowest)
{
    int64_t begin, end;
    double least = 0;
    telling_steps(search, &begin, &end);
    *steepest = -1;
    *lowest = begin;
    for (int64_t i = begin; i < end; i++) {
        if (search->smooth[i] < search->smooth[*lowest])
            *lowest = i;
        if (i == begin || i + 1 >= end)
            continue;
        double slope = (search->smooth[i + 1] - search->smooth[i - 1]) /
                       log(search->rate[i + 1] / search->rate[i - 1]);
        if (slope < least) {
            least = slope;
            *steepest = i;
        }
    }
}

static enum descent_status draw(const struct search *search, int64_t steepest, enum plot_outcome *outcome)
{
    char script[1500];
    int64_t begin, end;
    telling_steps(search, &begin, &end);
    snprintf(
        script, sizeof script,
        "set datafile separator ','\nset yrange [*:%g]\nset logscale x\nset format x '%%g'\n"
        "set xlabel 'learning rate'\nset ylabel 'loss of a mini-batch'\nset grid\n"
        "set key top left\nset title 'learning-rate range test'\n"
        "set arrow from %g, graph 0 to %g, graph 1 nohead lc rgb '#d55e00' dt 2 lw 2\n"
        "set label 'falls fastest: lr = %.2g' at %g, graph 0.05 right offset -1,0 tc rgb '#d55e00'\n"
        "plot 'lr-find.csv' using 1:2 every ::%lld::%lld with points pt 7 ps 0.4 lc rgb '#999999' title "
        "'loss', '' using 1:3 every ::%lld::%lld with lines lw 2 lc rgb '#0072b2' title 'smoothed'\n",
        1.5 * search->smooth[begin], search->rate[steepest], search->rate[steepest], search->rate[steepest],
        search->rate[steepest], (long long)begin + 1, (long long)end, (long long)begin + 1, (long long)end);
    return plot_draw(search->out, "lr-find", PLOT_SVG, 800, 500, script, outcome);
}

static void print_points(const struct search *search, const char *optimizer, int64_t steepest,
                         int64_t lowest)
{
    char rate[32], spec[1024];
    printf("%lld learning rates from %.2g to %.2g%s\n", (long long)search->count, search->rate[0],
           search->rate[search->count - 1],
           search->exploded ? "; stopped there: the loss is five times its lowest" : "");
    if (steepest < 0) {
        printf("the loss falls nowhere; try other bounds: --schedule range_test:low=...,high=...\n");
        return;
    }
    snprintf(rate, sizeof rate, "%.2g", search->rate[steepest]);
    printf("the loss falls fastest at lr %s: try --optimizer %s\n", rate,
           rate_insert(optimizer, rate, spec, sizeof spec));
    printf("it is lowest at lr %.2g; a tenth of that, %.2g, is the careful choice\n", search->rate[lowest],
           search->rate[lowest] / 10);
}

static enum descent_status report(const struct search *search, const char *optimizer)
{
    int64_t steepest, lowest;
    enum plot_outcome outcome = PLOT_NONE;
    if (!search->rate)
        return descent_fail(DESCENT_OUT_OF_MEMORY, "out of memory");
    enum descent_status status = write_csv(search);
    if (status != DESCENT_OK || search->count == 0)
        return status;
    find_points(search, &steepest, &lowest);
    if (steepest >= 0)
        status = draw(search, steepest, &outcome);
    if (status != DESCENT_OK || search->quiet)
        return status;
    print_points(search, optimizer, steepest, lowest);
    printf("wrote %s/lr-find.csv%s%s\n", search->out, outcome == PLOT_DRAWN ? " and lr-find.svg" : "",
           plot_excuse(outcome));
    return DESCENT_OK;
}

/* ---- The command ---- */

static int find(struct train_config *config, bool quiet)
{
    if (strcmp(config->schedule, "constant") == 0)
        config->schedule = "range_test";
    if (strncmp(config->schedule, "range_test", strlen("range_test")) != 0)
        return report_error(descent_fail(
            DESCENT_BAD_ARGUMENT, "train lr-find --schedule %s: expected range_test:low=...,high=...",
            config->schedule));
    config->steps = config->steps > 0 ? config->steps : STEPS;
    config->train_only = true;
    config->evaluations = 0;
    enum descent_status status = extension_load_config(config);
    if (status != DESCENT_OK)
        return report_error(status);
    char out[256];
    launch_out(config, "lr-find-", out, sizeof out);

    struct search search = {.live = progress_is_live(stdout) && !quiet, .quiet = quiet};
    struct train_observer observer = {
        .context = &search, .started = started, .stepped = stepped, .wants_stop = wants_stop};
    struct train_result result;
    launch_catch_signals();
    status = train_run(config, &observer, &result);
    if (search.live)
        progress_clear(stdout);
    if (status == DESCENT_OK || (status == DESCENT_DIVERGED && search.count > 0))
        status = report(&search, config->optimizer);
    free(search.rate);
    if (status != DESCENT_OK)
        return report_error(status);
    return launch_signal() ? EXIT_SIGNAL + launch_signal() : EXIT_DONE;
}

static int run_lr_find(int argc, char **argv)
{
    struct train_options options;
    int code = EXIT_DONE;
    enum descent_status status = train_options_read("train lr-find", argc, argv, &options);
    if (status != DESCENT_OK)
        code = report_error(status);
    else if (options.help) {
        fputs(introduction, stdout);
        train_options_print(stdout);
    } else
        code = find(&options.config, options.quiet);
    train_options_free(&options);
    return code;
}

const struct command command_lr_find = {"lr-find", "[OPTIONS]", "find a learning rate", run_lr_find};
