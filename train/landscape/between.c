/* `train landscape --run A --run B`: the loss on the straight line through the weights of two runs, as
 * Goodfellow, Vinyals & Saxe, "Qualitatively characterizing neural network optimization problems", ICLR
 * 2015, draw it. */
#include "train/landscape/pictures.h"
#include "train/landscape/visit.h"
#include "train/plot.h"

#include <math.h>
#include <stdlib.h>

/* Weights of the second run, less those of the first. The probe's are the first's again afterwards. */
static enum descent_status difference(struct visit *visit, float *to)
{
    int count;
    struct descent_param *param = probe_params(visit->probe, &count);
    enum descent_status status = probe_load(visit->probe, &visit->run[1]);
    if (status != DESCENT_OK)
        return status;
    vector_read(param, count, to);
    for (int64_t k = 0; k < visit->size; k++)
        to[k] -= visit->weights[k];
    vector_write(param, count, visit->weights);
    return DESCENT_OK;
}

/* The highest loss between the ends above the higher one of them: the barrier. */
static double barrier(const double *values, int first, int last)
{
    double most = values[4 * first];
    for (int i = first; i <= last; i++)
        most = fmax(most, values[4 * i]);
    return most - fmax(values[4 * first], values[4 * last]);
}

static void report_numbers(const struct visit *visit, const double *values)
{
    int first = visit->request->grid / 2, last = first + visit->request->grid - 1;
    const char *name = visit_measure_name(visit);
    for (int i = 0; i < 2; i++) {
        const double *at = values + (size_t)(4 * (i ? last : first));
        printf("%s loss %.4f, %s %.4f on training images; %.4f, %.4f on test images: %s\n",
               i ? "at x = 1  " : "at x = 0  ", at[0], name, at[1], at[2], at[3], visit->run[i].path);
    }
    printf("barrier    %.4f, how far the training loss between them rises above the higher end\n",
           barrier(values, first, last));
    descent_json_set_number(visit->record, "barrier", barrier(values, first, last));
}

static enum descent_status draw(const struct visit *visit, enum plot_outcome *outcome)
{
    struct script script = {.used = 0};
    char title[3 * PATH_MAX];
    snprintf(title, sizeof title, "%s (x = 0) to %s (x = 1), %s", visit->run[0].path, visit->run[1].path,
             visit->run[0].model);
    script_add(&script, "set datafile separator ','\nset xrange [-0.5:1.5]\nset title ");
    script_quoted(&script, title);
    script_add(&script,
               " noenhanced\nset xlabel 'x'\nset ylabel 'loss'\nset y2label '%s'\nset ytics nomirror\n"
               "set y2tics\nset grid x\nset key top center horizontal\nset logscale y\nset y2range [0:1]\n",
               visit_measure_name(visit));
    script_add(
        &script,
        "set arrow from 0, graph 0 to 0, graph 1 nohead lc rgb '#999999' dt 3\n"
        "set arrow from 1, graph 0 to 1, graph 1 nohead lc rgb '#999999' dt 3\n"
        "plot 'grid.csv' skip 1 using 1:2 with lines lw 2 lc rgb '#0072b2' title 'loss, training', \\\n"
        "  '' skip 1 using 1:4 with lines lw 2 dt 2 lc rgb '#0072b2' title 'test', \\\n"
        "  '' skip 1 using 1:3 axes x1y2 with lines lw 2 lc rgb '#d55e00' title '%s, training', \\\n"
        "  '' skip 1 using 1:5 axes x1y2 with lines lw 2 dt 2 lc rgb '#d55e00' title 'test'\n",
        visit_measure_name(visit));
    return plot_draw(visit->out, "line", PLOT_SVG_AND_PNG, 900, 560, script.text, outcome);
}

static enum descent_status report(const struct visit *visit, const double *values)
{
    enum plot_outcome outcome = PLOT_NONE;
    report_numbers(visit, values);
    enum descent_status status = visit_record(visit);
    if (status == DESCENT_OK && !visit->request->no_pictures)
        status = draw(visit, &outcome);
    if (status == DESCENT_OK)
        visit_print_files(visit, "grid.npy, grid.csv", ", line", outcome);
    return status;
}

enum descent_status between_runs(struct visit *visit, bool *done)
{
    int grid = visit->request->grid;
    float *direction = malloc((size_t)visit->size * sizeof *direction);
    const struct data_view *const part[PROBE_PARTS] = {visit->images, visit->test};
    double *values = NULL;
    enum descent_status status =
        direction ? difference(visit, direction) : descent_fail(DESCENT_OUT_OF_MEMORY, "out of memory");
    if (status == DESCENT_OK) {
        const struct plane line = {.size = visit->size,
                                   .origin = visit->weights,
                                   .direction = {direction},
                                   .low = {-0.5},
                                   .high = {1.5},
                                   .points = {2 * grid - 1, 1}};
        printf(
            "line       %d points from the one's weights (x = 0) to the other's (x = 1), and half as far "
            "beyond both; on %lld test images too\n",
            grid, (long long)data_view_count(visit->test));
        fflush(stdout);
        status =
            visit_measure(visit, &line, 1, part, "x,loss,accuracy,test_loss,test_accuracy", &values, done);
    }
    if (status == DESCENT_OK && *done)
        status = report(visit, values);
    free(values);
    free(direction);
    return status;
}
