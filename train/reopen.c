/* See reopen.h. */
#include "train/reopen.h"

#include "base/file.h"
#include "base/spec.h"
#include "train/extension.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { LARGEST_RUN_JSON = 64 << 20 }; /* bytes; a folder of pictures lists many files */

const char *reopened_file(const struct reopened *run, const char *name, char *path, size_t size)
{
    snprintf(path, size, "%s/%s", run->path, name);
    return path;
}

/* ---- run.json ---- */

static enum descent_status read_json(struct reopened *run)
{
    char path[PATH_MAX + 16];
    struct stat info;
    if (stat(run->path, &info) != 0)
        return descent_fail_errno("open the run", run->path, errno);
    reopened_file(run, "run.json", path, sizeof path);
    if (stat(path, &info) != 0 && errno == ENOENT)
        return descent_fail(DESCENT_NOT_FOUND, "%s: no run directory, it holds no run.json", run->path);
    enum descent_status status = descent_json_read(path, LARGEST_RUN_JSON, &run->json);
    if (status != DESCENT_OK)
        return status;
    run->config = descent_json_get(run->json, "config");
    run->model = run->config ? descent_json_text(run->config, "model", NULL) : NULL;
    return run->model && descent_json_text(run->config, "data", NULL)
               ? DESCENT_OK
               : descent_fail(DESCENT_BAD_FORMAT, "%s: expected the config of a run, with model and data",
                              path);
}

/* ---- The model's C file ---- */

/* Must be the one that was trained; asked before it is compiled. The headers it includes are not looked at.
 */
static enum descent_status check_code(const struct reopened *run)
{
    const struct descent_json *code = descent_json_get(run->json, "code");
    size_t length = descent_spec_name_length(run->model);
    for (int i = 0; i < descent_json_count(code); i++) {
        const struct descent_json *file = descent_json_at(code, i);
        const char *name = descent_json_text(file, "name", ""), *then = descent_json_text(file, "md5", "");
        char now[DATA_MD5_TEXT];
        if (strlen(name) != length || strncmp(name, run->model, length) != 0)
            continue;
        enum descent_status status = extension_digest(name, now);
        if (status == DESCENT_OK && strcmp(now, then) != 0)
            status = descent_fail(DESCENT_MISMATCH,
                                  "%s: %s is not what was trained, which was %s: its MD5 is %s, was %s",
                                  run->path, name, descent_json_text(file, "path", "?"), now, then);
        if (status != DESCENT_OK)
            return status;
    }
    return DESCENT_OK;
}

/* ---- The data set ---- */

static enum descent_status changed(const struct reopened *run, const char *what, const char *now,
                                   const char *then)
{
    return descent_fail(DESCENT_MISMATCH,
                        "%s: its data set is not what it was trained on: %s is %s, was %s", run->path, what,
                        now, then);
}

static enum descent_status check_count(const struct reopened *run, const char *what, int64_t now,
                                       double then)
{
    char a[32], b[32];
    if ((double)now == then)
        return DESCENT_OK;
    snprintf(a, sizeof a, "%lld", (long long)now);
    snprintf(b, sizeof b, "%.0f", then);
    return changed(run, what, a, b);
}

/* Of each channel, of pixels in 0 .. 1. */
static enum descent_status check_numbers(const struct reopened *run, const char *what, const float *now,
                                         int count, const struct descent_json *then)
{
    const double tolerance = 1e-5;
    char a[32], b[32];
    for (int i = 0; i < descent_json_count(then) && i < count; i++) {
        double number = NAN;
        descent_json_as_number(descent_json_at(then, i), &number);
        snprintf(a, sizeof a, "%.6g", (double)now[i]);
        snprintf(b, sizeof b, "%.6g", number);
        if (!(fabs((double)now[i] - number) <= tolerance))
            return changed(run, what, a, b);
    }
    return DESCENT_OK;
}

/* What makes pixels of the files: a folder of pictures may be opened at any size. */
static enum descent_status check_images(const struct reopened *run, const struct descent_json *data,
                                        const struct data_info *info)
{
    const struct {
        const char *name;
        int now;
    } sizes[] = {{"channels", info->channels}, {"height", info->height}, {"width", info->width}};
    enum descent_status status = DESCENT_OK;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes && status == DESCENT_OK; i++)
        status = check_count(run, sizes[i].name, sizes[i].now,
                             descent_json_number(data, sizes[i].name, sizes[i].now));
    if (status == DESCENT_OK)
        status = check_numbers(run, "the mean of its pixels", info->mean, info->channels,
                               descent_json_get(data, "mean"));
    if (status == DESCENT_OK)
        status = check_numbers(run, "the deviation of its pixels", info->deviation, info->channels,
                               descent_json_get(data, "deviation"));
    return status;
}

static enum descent_status check_files(const struct reopened *run, const struct descent_json *files,
                                       const struct data_info *info)
{
    for (int i = 0; i < descent_json_count(files); i++) {
        const char *name = descent_json_text(descent_json_at(files, i), "name", "");
        const char *then = descent_json_text(descent_json_at(files, i), "md5", ""), *now = "not there";
        for (int k = 0; k < info->file_count; k++)
            if (strcmp(info->files[k].name, name) == 0)
                now = info->files[k].md5;
        if (strcmp(now, then) != 0)
            return changed(run, name, now, then);
    }
    return DESCENT_OK;
}

/* With those that were held out. */
static double trained_on(const struct descent_json *data)
{
    return descent_json_number(data, "train_count", 0) + descent_json_number(data, "validation_count", 0);
}

/* A run without a test part counted none. */
static enum descent_status check_data(const struct reopened *run, const struct data_info *info)
{
    const struct descent_json *data = descent_json_get(run->json, "data");
    enum descent_status status = DESCENT_OK;
    double test = descent_json_number(data, "test_count", 0);
    if (data)
        status = check_files(run, descent_json_get(data, "files"), info);
    if (status == DESCENT_OK && data)
        status = check_images(run, data, info);
    if (status == DESCENT_OK)
        status = check_count(run, "the number of training images", info->train_count, trained_on(data));
    if (status == DESCENT_OK && test > 0)
        status = check_count(run, "the number of test images", info->test_count, test);
    return status;
}

enum descent_status reopened_data_digest(const struct reopened *run, char md5[DATA_MD5_TEXT])
{
    static const char *const members[] = {"channels",    "height",           "width", "mean", "deviation",
                                          "target_mean", "target_deviation", "files"};
    const struct descent_json *data = descent_json_get(run->json, "data");
    struct data_digest *digest = data_digest_new();
    char count[32];
    if (!digest)
        return descent_fail(DESCENT_OUT_OF_MEMORY, "out of memory");
    snprintf(count, sizeof count, "%.0f", trained_on(data));
    data_digest_add(digest, count, strlen(count) + 1);
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        const struct descent_json *member = descent_json_get(data, members[i]);
        char *line = member ? descent_json_line(member) : NULL;
        if (line)
            data_digest_add(digest, line, strlen(line) + 1);
        free(line);
    }
    data_digest_text(digest, md5);
    data_digest_free(digest);
    return DESCENT_OK;
}

static enum descent_status open_views(struct reopened *run)
{
    double fraction = descent_json_number(run->config, "validation", 0);
    double seed = descent_json_number(run->config, "seed", 1);
    seed = descent_json_number(run->config, "split_seed", seed);
    enum descent_status status = DESCENT_OK;
    if (fraction > 0)
        status = data_split(run->set, fraction, (uint64_t)seed, &run->train, &run->validation);
    else if (!(run->train = data_view_train(run->set)))
        status = DESCENT_OUT_OF_MEMORY;
    if (status == DESCENT_OK && !(run->test = data_view_test(run->set)))
        status = DESCENT_OUT_OF_MEMORY;
    return status;
}

enum descent_status reopen_data(struct reopened *run, const char *data, struct descent_pool *pool)
{
    const char *where = data ? data : descent_json_text(run->config, "data", "");
    const struct data_open_options how = {
        .skip_bad = descent_json_number(descent_json_get(run->json, "data"), "skipped", 0) > 0,
        .pool = pool};
    enum descent_status status = data_open_with(where, &how, &run->set);
    if (status != DESCENT_OK && !data)
        return descent_fail_in(status, "%s: its data set is needed; --data says where it is now",
                               run->path);
    if (status == DESCENT_OK)
        status = check_data(run, data_describe(run->set));
    return status == DESCENT_OK ? open_views(run) : status;
}

enum descent_status reopen_run(const char *path, bool allow_code, struct reopened *run)
{
    char where[PATH_MAX + 16];
    *run = (struct reopened){0};
    if (strlen(path) >= sizeof run->path)
        return descent_fail(DESCENT_BAD_ARGUMENT, "%.40s...: the path of the run is too long", path);
    snprintf(run->path, sizeof run->path, "%s", path);
    enum descent_status status = read_json(run);
    if (status == DESCENT_OK && allow_code)
        status = check_code(run);
    if (status == DESCENT_OK)
        status = extension_load_found(EXTENSION_MODEL, run->model,
                                      reopened_file(run, "run.json", where, sizeof where), allow_code);
    if (status != DESCENT_OK)
        reopened_close(run);
    return status;
}

void reopened_close(struct reopened *run)
{
    data_view_free(run->train);
    data_view_free(run->validation);
    data_view_free(run->test);
    data_free(run->set);
    descent_json_free(run->json);
    *run = (struct reopened){0};
}

/* ---- The network ---- */

enum descent_status reopened_build(const struct reopened *run, struct network *network)
{
    enum descent_status status = network_build(run->model, data_describe(run->set), 1, network);
    return status == DESCENT_OK ? status : descent_fail_in(status, "%s", run->path);
}

enum descent_status reopened_load(const struct reopened *run, nn_graph *graph)
{
    char path[PATH_MAX + 24];
    return nn_load(graph, reopened_file(run, "model.safetensors", path, sizeof path), NULL);
}
