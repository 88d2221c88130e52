/* `train landscape --run A`: the loss on planes through trained weights, along random directions normalized
 * filter by filter (Li et al. 2018). */
#include "train/landscape/pictures.h"
#include "train/landscape/roughness.h"
#include "train/landscape/visit.h"
#include "train/plot.h"

#include <math.h>
#include <stdlib.h>

static void print_request(const struct visit *visit)
{
    const struct landscape_request *request = visit->request;
    printf("plane      %d x %d points on [-%g, %g] x [-%g, %g], along %d pair%s of random directions, "
           "normalized filter by filter, seed %llu\n",
           request->grid, request->grid, request->span, request->span, request->span, request->span,
           request->directions, request->directions == 1 ? "" : "s", (unsigned long long)request->seed);
    fflush(stdout);
}

/* directions: 2 for each plane. */
static void make_planes(const struct visit *visit, struct plane *planes, float *directions)
{
    const struct landscape_request *request = visit->request;
    for (int i = 0; i < request->directions; i++) {
        planes[i] = (struct plane){.size = visit->size,
                                   .origin = visit->weights,
                                   .low = {-request->span, -request->span},
                                   .high = {request->span, request->span},
                                   .points = {request->grid, request->grid}};
        for (int axis = 0; axis < 2; axis++, directions += visit->size) {
            random_direction(visit->param, visit->count, request->seed, (uint64_t)(2 * i + axis),
                             directions);
            planes[i].direction[axis] = directions;
        }
    }
}

/* ---- What came out ---- */

static enum descent_status report_sharpness(const struct visit *visit)
{
    struct sharpness sharpness;
    enum descent_status status = probe_sharpness(visit->probe, &sharpness);
    if (status != DESCENT_OK)
        return status;
    printf("sharpness  %.4g, the largest eigenvalue of the loss's Hessian on %lld images (the smallest: "
           "%.3g; %d products, residual %.1g %%)\n",
           sharpness.largest, (long long)data_view_count(visit->few), sharpness.smallest,
           sharpness.products, 100 * sharpness.error);
    descent_json_set_number(visit->record, "sharpness", sharpness.largest);
    descent_json_set_number(visit->record, "smallest_eigenvalue", sharpness.smallest);
    return DESCENT_OK;
}

static struct roughness roughness_on(const struct visit *visit, int i, const double *values)
{
    int n = visit->request->grid;
    double step = 2 * visit->request->span / (n - 1);
    return roughness_of(values + (size_t)i * 2 * (size_t)n * (size_t)n, n, n, 2, step, step);
}

static void report_roughness(const struct visit *visit, const double *values)
{
    struct descent_json *list = descent_json_array();
    int n = visit->request->directions;
    double sum = 0, squares = 0, least = INFINITY, most = 0;
    for (int i = 0; i < n; i++) {
        struct roughness roughness = roughness_on(visit, i, values);
        printf("%s %.4f on plane %d; %.0f %% of its %d inner points curve down some way\n",
               i ? "          " : "roughness ", roughness.mean, i + 1, 100 * roughness.share,
               roughness.points);
        descent_json_add_number(list, roughness.mean);
        sum += roughness.mean;
        squares += roughness.mean * roughness.mean;
        least = fmin(least, roughness.mean);
        most = fmax(most, roughness.mean);
    }
    if (n > 1)
        printf("           mean %.4f, standard deviation %.4f, from %.4f to %.4f\n", sum / n,
               sqrt(fmax(0, (squares - sum * sum / n) / (n - 1))), least, most);
    printf(
        "           (mean over the inner points of |l1| / max(|l1|, |l2|) where l1 < 0, else of 0; l1 and "
        "l2: eigenvalues\n           of the plane's Hessian, as Li et al. 2018 compare those of the whole "
        "one; 0 is convex)\n");
    descent_json_set(visit->record, "roughness", list);
}

static void report_center(const struct visit *visit, const double *values)
{
    int n = visit->request->grid;
    const double *center = values + (size_t)(n * n / 2) * 2;
    printf("center     loss %.4f, %s %.4f\n", center[0], visit_measure_name(visit), center[1]);
    descent_json_set_number(visit->record, "loss", center[0]);
    descent_json_set_number(visit->record, "accuracy", center[1]);
}

/* ---- Pictures ---- */

struct picture {
    const char *name; /* of its files, before the number */
    bool accuracy;    /* rather than the loss */
    bool in_3d;
};

static const struct picture pictures[] = {
    {"landscape", .accuracy = false, .in_3d = false},
    {"surface", .accuracy = false, .in_3d = true},
    {"accuracy", .accuracy = true, .in_3d = false},
};
enum { PICTURES = sizeof pictures / sizeof *pictures };

static enum descent_status draw(const struct visit *visit, const struct picture *picture, int i,
                                const double *values, enum plot_outcome *outcome)
{
    const double low[2] = {-visit->request->span, -visit->request->span};
    const double high[2] = {visit->request->span, visit->request->span};
    size_t points = (size_t)visit->request->grid * (size_t)visit->request->grid;
    int column = picture->accuracy ? 4 : 3;
    const char *what = picture->accuracy ? visit_measure_name(visit) : "loss";
    struct script script;
    char title[PATH_MAX + 128], name[32];
    values += (size_t)i * 2 * points;
    snprintf(title, sizeof title, "%s around %s (%s)", what, visit->run[0].path, visit->run[0].model);
    script_begin(&script, title, "first direction", "second direction", low, high);
    if (picture->accuracy)
        script_linear_scale(&script, what, values + 1, points, 2);
    else
        script_log_scale(&script, values, points, 2);
    if (picture->in_3d)
        script_in_3d(&script, "grid.csv", i, column, 1);
    else {
        script_from_above(&script, "grid.csv", i, column, 1);
        script_add(&script, ", \\\n  '+' using (0):(0):(0) every ::0::0 with points pt 2 lc rgb '#d55e00' "
                            "nocontour title 'the weights'");
    }
    script_add(&script, "\n");
    snprintf(name, sizeof name, "%s-%d", picture->name, i + 1);
    return plot_draw(visit->out, name, PLOT_SVG_AND_PNG, 1000, 760, script.text, outcome);
}

static enum descent_status report(const struct visit *visit, const double *values)
{
    enum plot_outcome outcome = PLOT_NONE;
    report_center(visit, values);
    report_roughness(visit, values);
    enum descent_status status = report_sharpness(visit);
    int pictures_of_all = visit->request->no_pictures ? 0 : PICTURES * visit->request->directions;
    for (int i = 0; i < pictures_of_all && status == DESCENT_OK; i++)
        status = draw(visit, &pictures[i % PICTURES], i / PICTURES, values, &outcome);
    if (status == DESCENT_OK)
        status = visit_record(visit);
    if (status == DESCENT_OK)
        visit_print_files(visit, "grid.npy, grid.csv", "; landscape-N, surface-N and accuracy-N, ",
                          outcome);
    return status;
}

enum descent_status around_weights(struct visit *visit, bool *done)
{
    int count = visit->request->directions;
    struct plane *planes = calloc((size_t)count, sizeof *planes);
    float *directions = malloc((size_t)count * 2 * (size_t)visit->size * sizeof *directions);
    const struct data_view *const part[PROBE_PARTS] = {visit->images};
    double *values = NULL;
    enum descent_status status =
        planes && directions ? DESCENT_OK : descent_fail(DESCENT_OUT_OF_MEMORY, "out of memory");
    if (status == DESCENT_OK) {
        print_request(visit);
        make_planes(visit, planes, directions);
        status = visit_measure(visit, planes, count, part, "x,y,loss,accuracy", &values, done);
    }
    if (status == DESCENT_OK && *done)
        status = report(visit, values);
    free(values);
    free(directions);
    free(planes);
    return status;
}
