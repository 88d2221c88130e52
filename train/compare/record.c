/* Records of runs; see record.h. */
#include "train/compare/record.h"

#include "base/file.h"
#include "base/json.h"

#include <limits.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_BYTES = 64 << 20 };

static const double MOST_STEPS = 9007199254740992; /* 2^53: up to here they are whole */

static const struct record nothing = {.test_loss = NAN, .test_accuracy = NAN};

/* "36b63eed68b6 avx2", malloc'ed. */
static char *describe_build(const struct descent_json *build)
{
    char text[200];
    snprintf(text, sizeof text, "%s %s", descent_json_text(build, "commit", "unknown"),
             descent_json_text(build, "instruction_set", "unknown"));
    return strdup(text);
}

/* Malloc'ed. */
static char *join_digests(const struct descent_json *files)
{
    enum { EACH = 33 };
    size_t count = (size_t)descent_json_count(files), used = 0;
    char *text = calloc(count + 1, EACH);
    for (size_t i = 0; text && i < count; i++)
        used += (size_t)snprintf(text + used, EACH + 1, "%.32s ",
                                 descent_json_text(descent_json_at(files, (int)i), "md5", "?"));
    return text;
}

static enum descent_status read_json(const char *directory, struct record *record)
{
    char path[4200];
    struct descent_json *json;
    snprintf(path, sizeof path, "%s/run.json", directory);
    enum descent_status status = descent_json_read(path, MOST_BYTES, &json);
    if (status != DESCENT_OK)
        return status;
    const struct descent_json *optimizer = descent_json_get(json, "optimizer"),
                              *model = descent_json_get(json, "model");
    const char *spec = descent_json_text(optimizer, "spec", NULL);
    record->build = describe_build(descent_json_get(json, "build"));
    record->data = join_digests(descent_json_get(descent_json_get(json, "data"), "files"));
    record->steps = descent_json_number(json, "steps", NAN);
    record->steps_per_epoch = descent_json_number(json, "steps_per_epoch", NAN);
    record->parameters = descent_json_number(model, "trained_parameters", NAN);
    record->state_bytes = descent_json_number(optimizer, "state_bytes", NAN);
    record->spec = spec ? strdup(spec) : NULL;
    descent_json_free(json);
    if (!record->build || !record->data)
        return descent_fail(DESCENT_OUT_OF_MEMORY, "out of memory");
    if (!record->spec || !isfinite(record->steps) || !isfinite(record->steps_per_epoch) ||
        !isfinite(record->parameters) || !isfinite(record->state_bytes))
        return descent_fail(DESCENT_BAD_FORMAT, "%s: optimizer, steps or model is missing", path);
    return DESCENT_OK;
}

static enum descent_status add_point(struct record *record, const struct descent_json *event)
{
    if ((record->count & (record->count - 1)) == 0) {
        size_t room = record->count ? 2 * (size_t)record->count : 1;
        struct record_point *point = realloc(record->point, room * sizeof *point);
        if (!point)
            return descent_fail(DESCENT_OUT_OF_MEMORY, "out of memory");
        record->point = point;
    }
    record->point[record->count++] = (struct record_point){
        .step = descent_json_number(event, "step", NAN),
        .epoch = descent_json_number(event, "epoch", NAN),
        .gradient_evaluations = descent_json_number(event, "gradient_evaluations", NAN),
        .seconds = descent_json_number(event, "seconds", NAN),
        .cpu_seconds = descent_json_number(event, "cpu_seconds", NAN),
        .loss = descent_json_number(event, "validation_loss", NAN),
        .accuracy = descent_json_number(event, "validation_accuracy", NAN),
    };
    const struct record_point *last = &record->point[record->count - 1];
    if (last->step >= 0 && last->step < MOST_STEPS && isfinite(last->epoch) &&
        isfinite(last->gradient_evaluations) && isfinite(last->seconds) && isfinite(last->cpu_seconds))
        return DESCENT_OK;
    return descent_fail(DESCENT_BAD_FORMAT, "an evaluation without step, epoch or time");
}

static void end(struct record *record, const struct descent_json *event)
{
    const char *outcome = descent_json_text(event, "outcome", "");
    record->state = strcmp(outcome, "done") == 0       ? RECORD_DONE
                    : strcmp(outcome, "diverged") == 0 ? RECORD_DIVERGED
                                                       : RECORD_MISSING;
    record->seconds = descent_json_number(event, "seconds", NAN);
    record->cpu_seconds = descent_json_number(event, "cpu_seconds", NAN);
    double reads = descent_json_number(event, "test_reads", 0);
    record->test_reads = reads > 0 ? (int)fmin(reads, INT_MAX) : 0;
    record->test_loss = descent_json_number(event, "test_loss", NAN);
    record->test_accuracy = descent_json_number(event, "test_accuracy", NAN);
}

static enum descent_status read_event(struct record *record, const char *path, const char *line)
{
    struct descent_json *json = descent_json_parse(path, line, strlen(line));
    if (!json)
        return DESCENT_BAD_FORMAT;
    enum descent_status status = DESCENT_OK;
    const char *event = descent_json_text(json, "event", "");
    if (strcmp(event, "evaluation") == 0)
        status = add_point(record, json);
    else if (strcmp(event, "end") == 0)
        end(record, json);
    descent_json_free(json);
    return status == DESCENT_OK ? status : descent_fail_in(status, "%s", path);
}

/* Lines are written whole, the last of them when the run has ended: without it nothing else matters. */
static bool has_ended(const char *text, size_t size)
{
    if (size == 0 || text[size - 1] != '\n')
        return false;
    size_t begin = size - 1;
    while (begin > 0 && text[begin - 1] != '\n')
        begin--;
    return strstr(text + begin, "\"event\": \"end\"") != NULL;
}

enum descent_status record_read(const char *directory, struct record *record)
{
    char path[4200], *text, *rest = NULL;
    size_t size;
    *record = nothing;
    snprintf(path, sizeof path, "%s/metrics.jsonl", directory);
    enum descent_status status = descent_file_read(path, MOST_BYTES, &text, &size);
    if (status == DESCENT_NOT_FOUND)
        return DESCENT_OK;
    if (status != DESCENT_OK)
        return status;
    if (has_ended(text, size)) {
        for (char *line = strtok_r(text, "\n", &rest); line && status == DESCENT_OK;
             line = strtok_r(NULL, "\n", &rest))
            status = read_event(record, path, line);
        if (status == DESCENT_OK && record->state != RECORD_MISSING)
            status = read_json(directory, record);
    }
    free(text);
    if (status == DESCENT_OK && record->state == RECORD_DONE && record->count == 0)
        status = descent_fail(DESCENT_BAD_FORMAT, "%s: a finished run without an evaluation", path);
    return status;
}

void record_free(struct record *record)
{
    free(record->spec);
    free(record->build);
    free(record->data);
    free(record->point);
    *record = nothing;
}

double record_final(const struct record *record)
{
    return record->state == RECORD_DONE ? record->point[record->count - 1].accuracy : NAN;
}

double record_outcome(const struct record *record)
{
    return record->state == RECORD_DIVERGED ? 0 : record_final(record);
}

int record_best(const struct record *trials, int count)
{
    int best = -1;
    for (int i = 0; i < count; i++) {
        double accuracy = record_final(&trials[i]);
        if (isnan(accuracy))
            continue;
        double most = best < 0 ? -1 : record_final(&trials[best]);
        const struct record_point *last = &trials[i].point[trials[i].count - 1];
        if (accuracy > most ||
            (accuracy == most && last->loss < trials[best].point[trials[best].count - 1].loss))
            best = i;
    }
    return best;
}
