/* Run directories; see rundir.h. */
#include "train/rundir.h"

#include "base/file.h"
#include "base/isa.h"
#include "base/json.h"
#include "base/linalg.h"
#include "base/memory.h"
#include "build.h" /* BUILD_VERSION, BUILD_COMMIT: made by meson.build */
#include "train/extension.h"
#include "train/track.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#ifdef __clang__
#define COMPILER "clang " __clang_version__
#else
#define COMPILER "gcc " __VERSION__
#endif

enum { METADATA = 9 };

struct rundir {
    char path[PATH_MAX];
    FILE *metrics;
    struct descent_arena *arena;                /* of the metadata's values */
    struct descent_metadata metadata[METADATA]; /* of the model */
    int metadata_count;
    struct track *track;  /* of the weights, or NULL */
    const char *accuracy; /* what that is called in metrics.jsonl */
};

static const char *file_in(const struct rundir *rundir, const char *name, char path[PATH_MAX + 32])
{
    snprintf(path, PATH_MAX + 32, "%s/%s", rundir->path, name);
    return path;
}

/* ---- The directory ---- */

static enum descent_status make_parents(const char *path)
{
    char parent[PATH_MAX];
    snprintf(parent, sizeof parent, "%s", path);
    size_t end = strlen(parent);
    while (end > 1 && parent[end - 1] == '/')
        end--;
    while (end > 0 && parent[end - 1] != '/')
        end--;
    parent[end] = 0;
    return end > 0 ? descent_make_directories(parent) : DESCENT_OK;
}

/* mkdir is the one step that two runs started at once cannot both do. */
static enum descent_status make_directory(struct rundir *rundir, const struct train_config *config)
{
    size_t room = sizeof rundir->path;
    if (strlen(config->out) + 16 > room)
        return descent_fail(DESCENT_BAD_ARGUMENT, "--out: the path is too long");
    enum descent_status status = make_parents(config->out);
    if (status != DESCENT_OK)
        return descent_fail_in(status, "--out %s", config->out);
    for (int number = 1;; number++) {
        if (config->number_out)
            snprintf(rundir->path, room, "%s-%d", config->out, number);
        else
            snprintf(rundir->path, room, "%s", config->out);
        if (mkdir(rundir->path, 0777) == 0)
            return DESCENT_OK;
        if (errno != EEXIST)
            return descent_fail(DESCENT_IO_ERROR, "--out %s: %s", rundir->path, strerror(errno));
        if (!config->number_out)
            break;
    }
    struct stat info;
    if (stat(rundir->path, &info) != 0 || !S_ISDIR(info.st_mode))
        return descent_fail(DESCENT_IO_ERROR, "--out %s: exists and is not a directory", rundir->path);
    if (!config->force)
        return descent_fail(
            DESCENT_EXISTS,
            "--out %s: already exists; choose another, or overwrite the run in it with --force",
            rundir->path);
    return DESCENT_OK;
}

/* ---- run.json ---- */

static struct descent_json *config_json(const struct train_start *start)
{
    const struct train_config *config = start->config;
    struct descent_json *json = descent_json_object();
    descent_json_set_text(json, "data", config->data);
    descent_json_set_text(json, "model", config->model);
    descent_json_set_text(json, "optimizer", optim_spec(start->optim));
    descent_json_set_text(json, "schedule", config->schedule);
    descent_json_set_text(json, "augment", config->augment);
    descent_json_set_text(json, "weights", config->weights);
    descent_json_set_text(json, "freeze", config->freeze);
    descent_json_set_integer(json, "epochs", start->epochs);
    descent_json_set_integer(json, "batch", start->batch);
    descent_json_set_integer(json, "micro_batch", start->micro_batch);
    descent_json_set_integer(json, "eval_batch", config->eval_batch);
    descent_json_set_flag(json, "drop_last", config->drop_last);
    descent_json_set_text(json, "order", data_order_names[config->order]);
    descent_json_set_number(json, "validation", config->validation);
    descent_json_set_integer(json, "split_seed",
                             (int64_t)(config->split_seed ? config->split_seed : config->seed));
    descent_json_set_integer(json, "evaluations", config->evaluations);
    descent_json_set_number(json, "clip", config->clip);
    struct descent_json *groups = descent_json_array();
    for (int i = 0; i < TRAIN_GROUPS && config->group[i]; i++)
        descent_json_add_text(groups, config->group[i]);
    descent_json_set(json, "groups", groups);
    descent_json_set_number(json, "layer_decay", config->layer_decay);
    descent_json_set_flag(json, "skip_not_finite", config->skip_not_finite);
    descent_json_set_number(json, "label_smoothing", config->label_smoothing);
    descent_json_set_integer(json, "seed", (int64_t)config->seed);
    descent_json_set_integer(json, "threads", config->threads);
    descent_json_set_integer(json, "workers", config->workers);
    descent_json_set_integer(json, "log_every", config->log_every);
    descent_json_set_integer(json, "trajectory", config->trajectory);
    return json;
}

static struct descent_json *numbers(const float *number, int count)
{
    struct descent_json *json = descent_json_array();
    for (int i = 0; i < count; i++)
        descent_json_add_number(json, number[i]);
    return json;
}

static struct descent_json *doubles(const double *number, int count)
{
    struct descent_json *json = descent_json_array();
    for (int i = 0; i < count; i++)
        descent_json_add_number(json, number[i]);
    return json;
}

static struct descent_json *class_names(const struct data_info *data)
{
    struct descent_json *json = descent_json_array();
    for (int i = 0; i < data->classes; i++)
        descent_json_add_text(json, data->class_names[i]);
    return json;
}

/* What was read, with its digests. */
static struct descent_json *files_json(const struct data_info *data)
{
    struct descent_json *json = descent_json_array();
    for (int i = 0; i < data->file_count; i++) {
        struct descent_json *file = descent_json_object();
        descent_json_set_text(file, "name", data->files[i].name);
        descent_json_set_text(file, "md5", data->files[i].md5);
        if (data->files[i].recognized)
            descent_json_set_text(file, "recognized", data->files[i].recognized);
        descent_json_add(json, file);
    }
    return json;
}

static struct descent_json *data_json(const struct train_start *start)
{
    const struct data_info *data = start->data;
    struct descent_json *json = descent_json_object();
    descent_json_set_text(json, "name", data->name);
    descent_json_set_text(json, "path", data->path);
    descent_json_set_integer(json, "train_count", start->train_count);
    descent_json_set_integer(json, "validation_count", start->validation_count);
    descent_json_set_integer(json, "test_count", start->test_count);
    descent_json_set_integer(json, "channels", data->channels);
    descent_json_set_integer(json, "height", data->height);
    descent_json_set_integer(json, "width", data->width);
    descent_json_set(json, "mean", numbers(data->mean, data->channels));
    descent_json_set(json, "deviation", numbers(data->deviation, data->channels));
    if (data->targets > 0) {
        descent_json_set_integer(json, "targets", data->targets);
        descent_json_set(json, "target_mean", doubles(data->target_mean, data->targets));
        descent_json_set(json, "target_deviation", doubles(data->target_deviation, data->targets));
    } else {
        descent_json_set(json, "class_names", class_names(data));
    }
    descent_json_set(json, "files", files_json(data));
    descent_json_set_integer(json, "skipped", data->skipped);
    return json;
}

static struct descent_json *model_json(const struct train_start *start)
{
    int count;
    int64_t total = 0, trained = 0;
    const struct descent_param *param = nn_params(start->graph, &count);
    struct descent_json *loaded = descent_json_array();
    for (int i = 0; i < count; i++) {
        total += param[i].kind == DESCENT_BUFFER ? 0 : param[i].size;
        trained += param[i].grad ? param[i].size : 0;
        if (start->loaded && start->loaded[i])
            descent_json_add_text(loaded, param[i].name);
    }
    struct descent_json *json = descent_json_object();
    descent_json_set_integer(json, "parameters", total);
    descent_json_set_integer(json, "trained_parameters", trained);
    descent_json_set_integer(json, "activation_bytes", (int64_t)start->train_bytes);
    descent_json_set(json, "loaded", loaded);
    return json;
}

static struct descent_json *optimizer_json(const struct train_start *start)
{
    int64_t bytes = 0;
    for (int i = 0; i < optim_state_count(start->optim); i++)
        bytes += (int64_t)optim_state_get(start->optim, i).bytes;
    struct descent_json *json = descent_json_object();
    descent_json_set_text(json, "spec", optim_spec(start->optim));
    descent_json_set_integer(json, "state_bytes", bytes);
    return json;
}

/* The user's own C files in the run. */
static struct descent_json *code_json(const struct train_config *config)
{
    struct descent_json *json = descent_json_array();
    const struct extension *extension;
    for (int i = 0; (extension = extension_of_config(config, i)); i++) {
        struct descent_json *file = descent_json_object();
        descent_json_set_text(file, "name", extension->path);
        descent_json_set_text(file, "path", extension->full_path);
        descent_json_set_text(file, "md5", extension->md5);
        descent_json_set_text(file, "compiler", extension->compiler);
        descent_json_add(json, file);
    }
    return json;
}

static struct descent_json *build_json(void)
{
    struct descent_json *json = descent_json_object();
    descent_json_set_text(json, "version", BUILD_VERSION);
    descent_json_set_text(json, "commit", BUILD_COMMIT);
    descent_json_set_text(json, "compiler", COMPILER);
    descent_json_set_text(json, "instruction_set", descent_isa_name(descent_isa()));
    descent_json_set_text(json, "linalg", descent_linalg_version());
    return json;
}

static enum descent_status write_run_json(const struct rundir *rundir, const struct train_start *start)
{
    char path[PATH_MAX + 32], now[32];
    time_t seconds = time(NULL);
    struct tm utc;
    gmtime_r(&seconds, &utc);
    strftime(now, sizeof now, "%Y-%m-%dT%H:%M:%SZ", &utc);

    struct descent_json *json = descent_json_object();
    descent_json_set_text(json, "started", now);
    descent_json_set(json, "config", config_json(start));
    descent_json_set_integer(json, "steps", start->steps);
    descent_json_set_integer(json, "steps_per_epoch", start->steps_per_epoch);
    descent_json_set(json, "data", data_json(start));
    descent_json_set(json, "model", model_json(start));
    descent_json_set(json, "optimizer", optimizer_json(start));
    descent_json_set(json, "code", code_json(start->config));
    descent_json_set(json, "build", build_json());
    enum descent_status status = descent_json_write(file_in(rundir, "run.json", path), json);
    descent_json_free(json);
    return status;
}

/* ---- model.safetensors ---- */

/* Keeps a copy of the value. */
static bool add_metadata(struct rundir *rundir, const char *key, const char *value)
{
    const char *copy = value ? descent_arena_string(rundir->arena, value) : NULL;
    if (copy)
        rundir->metadata[rundir->metadata_count++] = (struct descent_metadata){key, copy};
    return copy != NULL;
}

static bool add_json(struct rundir *rundir, const char *key, struct descent_json *json)
{
    char *line = descent_json_line(json);
    bool done = add_metadata(rundir, key, line);
    free(line);
    descent_json_free(json);
    return done;
}

/* All that is needed to use the weights, and nothing that differs between equal runs. "format" is what
 * PyTorch's readers look at. */
static enum descent_status describe_model(struct rundir *rundir, const struct train_start *start)
{
    const struct data_info *data = start->data;
    char shape[64], outputs[16];
    snprintf(shape, sizeof shape, "[%d, %d, %d]", data->channels, data->height, data->width);
    snprintf(outputs, sizeof outputs, "%d", data->targets > 0 ? data->targets : data->classes);
    bool done = add_metadata(rundir, "format", "pt") &&
                add_metadata(rundir, "model", start->config->model) &&
                add_metadata(rundir, "data", data->name) && add_metadata(rundir, "input_shape", shape) &&
                add_json(rundir, "mean", numbers(data->mean, data->channels)) &&
                add_json(rundir, "deviation", numbers(data->deviation, data->channels));
    if (data->targets > 0)
        done = done && add_metadata(rundir, "targets", outputs) &&
               add_json(rundir, "target_mean", doubles(data->target_mean, data->targets)) &&
               add_json(rundir, "target_deviation", doubles(data->target_deviation, data->targets));
    else
        done = done && add_metadata(rundir, "classes", outputs) &&
               add_json(rundir, "class_names", class_names(data));
    return done ? DESCENT_OK : descent_fail(DESCENT_OUT_OF_MEMORY, "out of memory");
}

enum descent_status rundir_save_model(struct rundir *rundir, nn_graph *graph)
{
    char path[PATH_MAX + 32];
    if (!rundir)
        return DESCENT_OK;
    return nn_save(graph, file_in(rundir, "model.safetensors", path), rundir->metadata,
                   rundir->metadata_count);
}

/* ---- metrics.jsonl ---- */

static void begin_event(struct rundir *rundir, const char *event)
{
    fprintf(rundir->metrics, "{\"event\": \"%s\"", event);
}

static void add_integer(struct rundir *rundir, const char *key, int64_t number)
{
    fprintf(rundir->metrics, ", \"%s\": %lld", key, (long long)number);
}

/* JSON has no NaN and no infinity: null. */
static void add_number(struct rundir *rundir, const char *key, double number)
{
    if (isfinite(number))
        fprintf(rundir->metrics, ", \"%s\": %.9g", key, number);
    else
        fprintf(rundir->metrics, ", \"%s\": null", key);
}

/* Of the part "train", "validation" or "test". */
static void add_score(struct rundir *rundir, const char *part, const struct train_score *score)
{
    char key[64];
    snprintf(key, sizeof key, "%s_loss", part);
    add_number(rundir, key, score->loss);
    snprintf(key, sizeof key, "%s_%s", part, rundir->accuracy);
    add_number(rundir, key, score->accuracy);
}

static enum descent_status end_event(struct rundir *rundir)
{
    if (fputs("}\n", rundir->metrics) < 0 || fflush(rundir->metrics) != 0 || ferror(rundir->metrics))
        return descent_fail(DESCENT_IO_ERROR, "%s/metrics.jsonl: %s", rundir->path, strerror(errno));
    return DESCENT_OK;
}

enum descent_status rundir_step(struct rundir *rundir, const struct train_step *step)
{
    if (!rundir)
        return DESCENT_OK;
    begin_event(rundir, "step");
    add_integer(rundir, "step", step->step);
    add_integer(rundir, "epoch", step->epoch);
    add_number(rundir, "loss", step->loss);
    add_number(rundir, "lr", step->lr);
    add_number(rundir, "grad_norm", step->grad_norm);
    add_number(rundir, "update_norm", step->update_norm);
    return end_event(rundir);
}

enum descent_status rundir_evaluation(struct rundir *rundir, const struct train_evaluation *evaluation)
{
    if (!rundir)
        return DESCENT_OK;
    begin_event(rundir, "evaluation");
    add_integer(rundir, "step", evaluation->step);
    add_number(rundir, "epoch", evaluation->epoch);
    add_number(rundir, "gradient_evaluations", evaluation->gradient_evaluations);
    add_number(rundir, "seconds", evaluation->seconds);
    add_number(rundir, "cpu_seconds", evaluation->cpu_seconds);
    add_score(rundir, evaluation->validated ? "validation" : "test", &evaluation->held_out);
    return end_event(rundir);
}

enum descent_status rundir_epoch(struct rundir *rundir, const struct train_epoch *epoch)
{
    if (!rundir)
        return DESCENT_OK;
    begin_event(rundir, "epoch");
    add_integer(rundir, "epoch", epoch->epoch);
    add_score(rundir, "train", &epoch->train);
    add_score(rundir, epoch->validated ? "validation" : "test", &epoch->held_out);
    add_number(rundir, "seconds", epoch->seconds);
    add_number(rundir, "images_per_second", epoch->images_per_second);
    return end_event(rundir);
}

enum descent_status rundir_end(struct rundir *rundir, const struct train_result *result)
{
    static const char *const outcomes[] = {
        [TRAIN_DONE] = "done", [TRAIN_INTERRUPTED] = "interrupted", [TRAIN_DIVERGED] = "diverged"};
    if (!rundir)
        return DESCENT_OK;
    begin_event(rundir, "end");
    fprintf(rundir->metrics, ", \"outcome\": \"%s\"", outcomes[result->outcome]);
    add_integer(rundir, "steps", result->steps);
    add_integer(rundir, "skipped", result->skipped);
    add_integer(rundir, "epochs", result->epochs);
    add_number(rundir, "seconds", result->seconds);
    add_number(rundir, "cpu_seconds", result->cpu_seconds);
    add_number(rundir, "gradient_evaluations", result->gradient_evaluations);
    add_integer(rundir, "test_reads", result->test_reads);
    add_score(rundir, "test", &result->test);
    return end_event(rundir);
}

enum descent_status rundir_keep_weights(struct rundir *rundir, int64_t step)
{
    return rundir && rundir->track ? track_add(rundir->track, step) : DESCENT_OK;
}

/* ---- All together ---- */

/* The path of the weights begins with the initial ones. */
static enum descent_status start_track(struct rundir *rundir, const struct train_start *start)
{
    char path[PATH_MAX + 32];
    int count;
    const struct descent_param *param = nn_params(start->graph, &count);
    enum descent_status status =
        track_create(file_in(rundir, "trajectory.npy", path), param, count, &rundir->track);
    return status == DESCENT_OK ? track_add(rundir->track, 0) : status;
}

static enum descent_status fill(struct rundir *rundir, const struct train_start *start)
{
    static const char *const files[] = {"run.json", "metrics.jsonl", "model.safetensors", "trajectory.npy"};
    char path[PATH_MAX + 32];
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        if (unlink(file_in(rundir, files[i], path)) != 0 && errno != ENOENT)
            return descent_fail(DESCENT_IO_ERROR, "%s: %s", path, strerror(errno));
    rundir->metrics = fopen(file_in(rundir, "metrics.jsonl", path), "w");
    if (!rundir->metrics)
        return descent_fail(DESCENT_IO_ERROR, "%s: %s", path, strerror(errno));
    enum descent_status status = write_run_json(rundir, start);
    if (status == DESCENT_OK)
        status = describe_model(rundir, start);
    if (status == DESCENT_OK && start->config->trajectory > 0)
        status = start_track(rundir, start);
    if (status != DESCENT_OK || start->config->train_only || start->config->no_model)
        return status;
    return rundir_save_model(rundir, start->graph);
}

enum descent_status rundir_create(struct train_start *start, struct rundir **out)
{
    *out = NULL;
    if (!start->config->out)
        return DESCENT_OK;
    struct rundir *rundir = calloc(1, sizeof *rundir);
    if (!rundir || !(rundir->arena = descent_arena_new())) {
        free(rundir);
        return descent_fail(DESCENT_OUT_OF_MEMORY, "out of memory");
    }
    rundir->accuracy = start->data->targets > 0 ? "r2" : "accuracy";
    enum descent_status status = make_directory(rundir, start->config);
    if (status == DESCENT_OK)
        status = fill(rundir, start);
    if (status != DESCENT_OK) {
        rundir_close(rundir);
        return status;
    }
    start->out = rundir->path;
    *out = rundir;
    return DESCENT_OK;
}

void rundir_close(struct rundir *rundir)
{
    if (!rundir)
        return;
    if (rundir->metrics)
        fclose(rundir->metrics);
    track_close(rundir->track);
    descent_arena_free(rundir->arena);
    free(rundir);
}
