/* See visit.h. */
#include "train/landscape/visit.h"

#include "base/file.h"
#include "base/random.h"
#include "data/digest.h"
#include "train/extension.h"
#include "train/landscape/survey.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- Runs and images ---- */

/* `count` of a view's images (0: all), drawn by seed, in the order drawn. */
static enum descent_status choose(const struct data_view *view, int64_t count, uint64_t seed,
                                  struct data_view **chosen)
{
    int64_t all = data_view_count(view);
    count = count == 0 || count > all ? all : count;
    uint32_t *order = malloc((size_t)all * sizeof *order);
    int64_t *samples = malloc((size_t)all * sizeof *samples);
    *chosen = NULL;
    if (order && samples) {
        struct descent_random random = descent_random_new(seed, DESCENT_RANDOM_SUBSET, 0);
        for (int64_t i = 0; i < all; i++)
            order[i] = (uint32_t)i;
        descent_random_shuffle(&random, order, (uint32_t)all);
        for (int64_t i = 0; i < count; i++)
            samples[i] = order[i];
        *chosen = data_view_select(view, samples, count);
    }
    free(order);
    free(samples);
    return *chosen ? DESCENT_OK : DESCENT_OUT_OF_MEMORY;
}

static enum descent_status open_images(struct visit *visit)
{
    const struct landscape_request *request = visit->request;
    const struct reopened *run = &visit->run[0];
    enum descent_status status = choose(run->train, request->images, request->seed, &visit->images);
    if (status == DESCENT_OK)
        status = choose(run->test, request->images, request->seed, &visit->test);
    if (status == DESCENT_OK)
        status = choose(visit->images, request->statistics, request->seed, &visit->few);
    return status;
}

/* Models must agree by their spec; runs of another spec may still fit, which loading their weights tells.
 * All losses are measured on the first run's data. */
static enum descent_status check_same(const struct reopened *first, const struct reopened *run)
{
    char one[DATA_MD5_TEXT], other[DATA_MD5_TEXT];
    if (strcmp(run->model, first->model) != 0)
        return descent_fail(DESCENT_MISMATCH, "%s is a run of %s, %s of %s; expected the same model",
                            first->path, first->model, run->path, run->model);
    enum descent_status status = reopened_data_digest(first, one);
    if (status == DESCENT_OK)
        status = reopened_data_digest(run, other);
    if (status == DESCENT_OK && strcmp(one, other) != 0)
        status = descent_fail(
            DESCENT_MISMATCH,
            "%s was trained on %s, %s on %s, which is another data set, or was read in another "
            "way; expected the same",
            first->path, descent_json_text(first->config, "data", "?"), run->path,
            descent_json_text(run->config, "data", "?"));
    return status;
}

static enum descent_status open_runs(struct visit *visit)
{
    enum descent_status status = DESCENT_OK;
    while (visit->runs < LANDSCAPE_RUNS && visit->request->run[visit->runs] && status == DESCENT_OK) {
        status = reopen_run(visit->request->run[visit->runs], visit->request->allow_code,
                            &visit->run[visit->runs]);
        visit->runs += status == DESCENT_OK;
    }
    for (int i = 1; i < visit->runs && status == DESCENT_OK; i++)
        status = check_same(&visit->run[0], &visit->run[i]);
    if (status != DESCENT_OK)
        return status;
    visit->pool = descent_pool_new(visit->request->threads);
    return visit->pool ? reopen_data(&visit->run[0], visit->request->data, visit->pool)
                       : DESCENT_OUT_OF_MEMORY;
}

/* Such a request takes weights from their path, and needs no model. */
static bool of_path(const struct landscape_request *request)
{
    return request->trajectory || request->course;
}

static enum descent_status open_probe(struct visit *visit)
{
    const struct probe_options options = {.run = &visit->run[0],
                                          .part = {visit->few},
                                          .statistics = visit->few,
                                          .curvature = true,
                                          .pool = visit->pool};
    enum descent_status status = probe_new(&options, &visit->probe);
    if (status != DESCENT_OK)
        return status;
    visit->param = probe_params(visit->probe, &visit->count);
    visit->size = vector_size(visit->param, visit->count);
    if (of_path(visit->request))
        return DESCENT_OK;
    visit->weights = malloc((size_t)visit->size * sizeof *visit->weights);
    if (!visit->weights)
        return descent_fail(DESCENT_OUT_OF_MEMORY, "out of memory");
    status = probe_load(visit->probe, &visit->run[0]);
    vector_read(visit->param, visit->count, visit->weights);
    return status;
}

enum descent_status visit_read_paths(const struct visit *visit, struct visit_paths *paths)
{
    char path[PATH_MAX + 24];
    *paths = (struct visit_paths){.first = {0}};
    for (int run = 0; run < visit->runs; run++) {
        struct track_points *track = &paths->track[run];
        enum descent_status status = track_read(
            reopened_file(&visit->run[run], "trajectory.npy", path, sizeof path), visit->size, track);
        if (status == DESCENT_OK && track->count == 0)
            status = descent_fail(DESCENT_BAD_ARGUMENT, "%s: no point of the weights was kept", path);
        if (status != DESCENT_OK)
            return status;
        paths->first[run + 1] = paths->first[run] + track->count;
    }
    return DESCENT_OK;
}

void visit_free_paths(struct visit_paths *paths)
{
    for (int run = 0; run < LANDSCAPE_RUNS; run++)
        track_points_free(&paths->track[run]);
}

/* ---- The record ---- */

const char *visit_measure_name(const struct visit *visit)
{
    return data_describe(visit->run[0].set)->targets > 0 ? "R^2" : "accuracy";
}

const char *visit_file(const struct visit *visit, const char *name, char path[PATH_MAX + 32])
{
    snprintf(path, PATH_MAX + 32, "%s/%s", visit->out, name);
    return path;
}

/* In blocks: a path of weights may be large. */
static enum descent_status digest_file(const char *path, char md5[DATA_MD5_TEXT])
{
    char block[1 << 16];
    FILE *stream = fopen(path, "rb");
    if (!stream)
        return descent_fail_errno("read", path, errno);
    struct data_digest *digest = data_digest_new();
    for (size_t size; digest && (size = fread(block, 1, sizeof block, stream)) > 0;)
        data_digest_add(digest, block, size);
    enum descent_status status = !digest          ? descent_fail(DESCENT_OUT_OF_MEMORY, "out of memory")
                                 : ferror(stream) ? descent_fail_errno("read", path, errno)
                                                  : DESCENT_OK;
    if (status == DESCENT_OK)
        data_digest_text(digest, md5);
    data_digest_free(digest);
    fclose(stream);
    return status;
}

/* A file of a run, by its MD5: what tells one state of the weights from another. */
static enum descent_status add_digest(struct descent_json *json, const struct reopened *run,
                                      const char *name)
{
    char path[PATH_MAX + 24], md5[DATA_MD5_TEXT];
    enum descent_status status = digest_file(reopened_file(run, name, path, sizeof path), md5);
    if (status == DESCENT_OK)
        descent_json_set_text(json, name, md5);
    return status;
}

/* Everything that the numbers depend on. */
static enum descent_status describe(const struct visit *visit, const char *kind, struct descent_json *json)
{
    const struct landscape_request *request = visit->request;
    bool path = of_path(request);
    char code[EXTENSION_DIGESTS], data[DATA_MD5_TEXT];
    enum descent_status status = DESCENT_OK;
    descent_json_set_text(json, "kind", kind);
    struct descent_json *runs = descent_json_array();
    for (int i = 0; i < visit->runs && status == DESCENT_OK; i++) {
        struct descent_json *run = descent_json_object();
        descent_json_set_text(run, "model", visit->run[i].model);
        if (*extension_digests(visit->run[i].model, code))
            descent_json_set_text(run, "code", code);
        status = add_digest(run, &visit->run[i], path ? "trajectory.npy" : "model.safetensors");
        descent_json_add(runs, run);
    }
    if (status != DESCENT_OK && path)
        status = descent_fail_in(status, "the weights' path, which train --trajectory keeps");
    descent_json_set(json, "runs", runs);
    if (status == DESCENT_OK)
        status = reopened_data_digest(&visit->run[0], data);
    if (status == DESCENT_OK)
        descent_json_set_text(json, "data", data);
    descent_json_set_integer(json, "seed", (int64_t)request->seed);
    descent_json_set_integer(json, "images", data_view_count(visit->images));
    descent_json_set_integer(json, "statistics", data_view_count(visit->few));
    if (!request->course)
        descent_json_set_integer(json, "grid", request->grid);
    if (!path && visit->runs == 1) {
        descent_json_set_number(json, "span", request->span);
        descent_json_set_integer(json, "directions", request->directions);
    }
    return status;
}

/* The first member of a request that is another in an older one. */
static enum descent_status compare(const struct visit *visit, const struct descent_json *now,
                                   const struct descent_json *then)
{
    for (struct descent_json_member member = {0}; descent_json_next(now, &member);) {
        char *a = descent_json_line(member.value);
        const struct descent_json *other = descent_json_get(then, member.key);
        char *b = other ? descent_json_line(other) : NULL;
        bool equal = a && b && strcmp(a, b) == 0;
        enum descent_status status =
            equal ? DESCENT_OK
                  : descent_fail(DESCENT_EXISTS,
                                 "%s holds what another request found, with %s %s instead of %s; choose "
                                 "another --out, or begin anew with --force",
                                 visit->out, member.key, b ? b : "absent", a ? a : "?");
        free(a);
        free(b);
        if (!equal)
            return status;
    }
    return DESCENT_OK;
}

static enum descent_status remove_old(const struct visit *visit)
{
    static const char *const files[] = {"landscape.json", "grid.npy", "course.npy"};
    char path[PATH_MAX + 32];
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        if (unlink(visit_file(visit, files[i], path)) != 0 && errno != ENOENT)
            return descent_fail_errno("remove", path, errno);
    return DESCENT_OK;
}

/* Holds the request against the record in the directory, if there is one. */
static enum descent_status check_record(const struct visit *visit, const struct descent_json *request)
{
    char path[PATH_MAX + 32];
    struct stat info;
    struct descent_json *json;
    if (stat(visit_file(visit, "landscape.json", path), &info) != 0 && errno == ENOENT) {
        if (stat(visit_file(visit, "grid.npy", path), &info) == 0 ||
            stat(visit_file(visit, "course.npy", path), &info) == 0)
            return descent_fail(
                DESCENT_EXISTS,
                "%s: is there without a landscape.json that says what it is; choose another "
                "--out, or begin anew with --force",
                path);
        return DESCENT_OK;
    }
    enum descent_status status = descent_json_read(path, 1 << 20, &json);
    if (status != DESCENT_OK)
        return status;
    status = compare(visit, request, descent_json_get(json, "request"));
    descent_json_free(json);
    return status;
}

enum descent_status visit_record(const struct visit *visit)
{
    char path[PATH_MAX + 32];
    return descent_json_write(visit_file(visit, "landscape.json", path), visit->record);
}

void visit_print_files(const struct visit *visit, const char *files, const char *pictures,
                       enum plot_outcome outcome)
{
    bool drawn = outcome == PLOT_DRAWN;
    printf("wrote %s: landscape.json, %s%s%s%s\n", visit->out, files, drawn ? pictures : "",
           drawn ? ".svg and .png" : "", plot_excuse(outcome));
}

static enum descent_status open_out(struct visit *visit, const char *kind)
{
    snprintf(visit->out, sizeof visit->out, "%s", visit->request->out ? visit->request->out : "");
    if (!visit->request->out &&
        snprintf(visit->out, sizeof visit->out, "%s/%s", visit->run[0].path, kind) >= PATH_MAX)
        return descent_fail(DESCENT_BAD_ARGUMENT, "--run %s: the path is too long", visit->run[0].path);
    struct descent_json *request = descent_json_object();
    visit->record = descent_json_object();
    enum descent_status status = describe(visit, kind, request);
    if (status == DESCENT_OK)
        status = descent_make_directories(visit->out);
    if (status == DESCENT_OK) {
        status = check_record(visit, request);
        if (status != DESCENT_OK && visit->request->force)
            status = remove_old(visit);
    }
    descent_json_set(visit->record, "request", request);
    return status == DESCENT_OK ? visit_record(visit) : status;
}

/* ---- All together ---- */

enum descent_status visit_begin(const struct landscape_request *request, const char *kind,
                                struct visit *visit)
{
    *visit = (struct visit){.request = request};
    enum descent_status status = open_runs(visit);
    if (status == DESCENT_OK)
        status = open_images(visit);
    if (status == DESCENT_OK)
        status = open_probe(visit);
    return status == DESCENT_OK ? open_out(visit, kind) : status;
}

void visit_end(struct visit *visit)
{
    free(visit->weights);
    probe_free(visit->probe);
    data_view_free(visit->few);
    data_view_free(visit->images);
    data_view_free(visit->test);
    for (int i = 0; i < visit->runs; i++)
        reopened_close(&visit->run[i]);
    descent_json_free(visit->record);
    descent_pool_free(visit->pool);
}

/* ---- Grids ---- */

struct grid {
    const struct visit *visit;
    const struct plane *planes;
    const struct data_view *const *part;
};

static enum descent_status begin_worker(void *context, void **worker)
{
    const struct grid *grid = context;
    struct probe *probe;
    enum descent_status status = probe_new(&(struct probe_options){.run = &grid->visit->run[0],
                                                                   .part = {grid->part[0], grid->part[1]},
                                                                   .statistics = grid->visit->few},
                                           &probe);
    *worker = probe;
    return status;
}

static enum descent_status measure_point(void *context, void *worker, int64_t item, double *values)
{
    const struct grid *grid = context;
    const struct plane *planes = grid->planes;
    int columns = planes[0].points[0], rows = planes[0].points[1], count;
    int64_t points = (int64_t)columns * rows;
    const struct plane *plane = &planes[item / points];
    struct descent_param *param = probe_params(worker, &count);
    struct train_score score[PROBE_PARTS];
    plane_place(plane, plane_at(plane, 0, (int)(item % columns)),
                plane_at(plane, 1, (int)(item % points / columns)), param, count);
    enum descent_status status = probe_score(worker, score);
    for (int i = 0; i < PROBE_PARTS && grid->part[i]; i++) {
        values[2 * i] = score[i].loss;
        values[2 * i + 1] = score[i].accuracy;
    }
    return status;
}

/* A header, then the rows of each plane as gnuplot wants them: an empty line after each, two after a plane.
 */
static enum descent_status write_csv(const struct visit *visit, const struct plane *planes, int count,
                                     int each, const char *columns, const double *values)
{
    char path[PATH_MAX + 32];
    struct descent_file file;
    enum descent_status status = descent_file_create(&file, visit_file(visit, "grid.csv", path));
    if (status != DESCENT_OK)
        return status;
    fprintf(file.stream, "%s,plane\n", columns);
    for (int i = 0; i < count; i++) {
        const struct plane *plane = &planes[i];
        for (int row = 0; row < plane->points[1]; row++) {
            for (int column = 0; column < plane->points[0]; column++) {
                fprintf(file.stream, "%.9g,", plane_at(plane, 0, column));
                if (plane->direction[1])
                    fprintf(file.stream, "%.9g,", plane_at(plane, 1, row));
                for (int k = 0; k < each; k++)
                    fprintf(file.stream, "%.9g,", *values++);
                fprintf(file.stream, "%d\n", i + 1);
            }
            fputc('\n', file.stream);
        }
        fputc('\n', file.stream);
    }
    return descent_file_commit(&file);
}

enum descent_status visit_measure(const struct visit *visit, const struct plane *planes, int count,
                                  const struct data_view *const part[PROBE_PARTS], const char *columns,
                                  double **values, bool *done)
{
    char path[PATH_MAX + 32];
    struct grid grid = {.visit = visit, .planes = planes, .part = part};
    int each = part[1] ? 4 : 2;
    const struct survey survey = {.path = visit_file(visit, "grid.npy", path),
                                  .rank = 4,
                                  .shape = {count, planes[0].points[1], planes[0].points[0], each},
                                  .threads = visit->request->threads,
                                  .what = "points",
                                  .context = &grid,
                                  .begin = begin_worker,
                                  .measure = measure_point,
                                  .end = probe_end};
    enum descent_status status = survey_run(&survey, values, done);
    if (status != DESCENT_OK || !*done)
        return status;
    status = write_csv(visit, planes, count, each, columns, *values);
    if (status != DESCENT_OK) {
        free(*values);
        *values = NULL;
    }
    return status;
}
