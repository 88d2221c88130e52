/* Data sets: where they lie, which format reads them, and the statistics of their pixels.
 */
#include "base/spec.h"
#include "data/known.h"
#include "data/set.h"

#include "format_list.h" /* DATA_FORMAT_LIST: made by meson.build */

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define X(name) extern const struct data_format data_format_##name;
DATA_FORMAT_LIST(X)
#undef X

/* Formats are asked in this order whether a path is theirs. */
static const struct data_format *const formats[] = {
#define X(name) &data_format_##name,
    DATA_FORMAT_LIST(X)
#undef X
};

enum { FORMATS = sizeof formats / sizeof *formats };

const struct data_format_info *data_format(int i)
{
    return i >= 0 && i < FORMATS ? &formats[i]->info : NULL;
}

static bool exists(const char *path)
{
    struct stat about;
    return stat(path, &about) == 0;
}

static const char *environment(const char *name)
{
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

/* *path: the first of data_open's places that exists. */
static enum descent_status locate(struct descent_arena *arena, const char *what, const char **path)
{
    *path = what;
    if (exists(what))
        return DESCENT_OK;
    const struct data_known *known = data_find_known(what);
    if (!known)
        return data_fail_unknown(what);

    const char *places[3];
    int count = 0;
    const char *own = environment("DESCENT_DATA"), *cache = environment("XDG_CACHE_HOME"),
               *home = environment("HOME");
    if (own)
        places[count++] = descent_arena_format(arena, "%s/%s", own, what);
    if (cache)
        places[count++] = descent_arena_format(arena, "%s/descent/%s", cache, what);
    else if (home)
        places[count++] = descent_arena_format(arena, "%s/.cache/descent/%s", home, what);
    places[count++] = descent_arena_format(arena, "/usr/share/datasets/%s", what);

    const char *searched = descent_arena_format(arena, "./%s", what);
    for (int i = 0; i < count; i++) {
        if (!places[i] || !searched)
            return descent_fail(DESCENT_OUT_OF_MEMORY, "no memory to look for data set %s", what);
        *path = places[i];
        if (exists(*path))
            return DESCENT_OK;
        searched = descent_arena_format(arena, "%s, %s", searched, places[i]);
    }
    return descent_fail(DESCENT_NOT_FOUND, "data set %s not found; searched %s%s; %s", what,
                        searched ? searched : "", own ? "" : " (DESCENT_DATA is not set)", known->supply);
}

/* The options of the set at `path` from "key=value,...", or NULL for none. */
static enum descent_status read_options(const struct data_format *format, const char *path,
                                        const char *text, struct descent_value *values)
{
    char spec_text[1024], what[64];
    struct descent_spec spec;
    int length = snprintf(spec_text, sizeof spec_text, "data%s%s", text ? ":" : "", text ? text : "");
    if (length >= (int)sizeof spec_text)
        return descent_fail(DESCENT_BAD_ARGUMENT, "data options of %d characters, expected at most %d",
                            length, (int)sizeof spec_text - 1);
    enum descent_status status = descent_spec_parse(spec_text, &spec);
    if (status != DESCENT_OK)
        return descent_fail_in(status, "%s", path);
    snprintf(what, sizeof what, "data format %s", format->info.name);
    if (spec.count > 1)
        status = descent_fail(DESCENT_BAD_ARGUMENT, "data options '%s': unexpected '+'", text);
    else
        status =
            descent_spec_read(&spec.part[0], what, format->info.options, format->info.option_count, values);
    descent_spec_free(&spec);
    return status;
}

static enum descent_status open_parts(struct data_request *request, const char *options,
                                      struct data_parts *parts)
{
    struct descent_value values[DATA_FORMAT_OPTIONS];
    request->options = values;
    for (int i = 0; i < FORMATS; i++) {
        if (!formats[i]->recognize(request->path))
            continue;
        assert(formats[i]->info.option_count <= DATA_FORMAT_OPTIONS);
        enum descent_status status = read_options(formats[i], request->path, options, values);
        return status == DESCENT_OK ? formats[i]->open(request, parts) : status;
    }
    char expected[1024] = "";
    for (int i = 0; i < FORMATS; i++)
        snprintf(expected + strlen(expected), sizeof expected - strlen(expected), "%s%s", i ? "; or " : "",
                 formats[i]->info.summary);
    return descent_fail(DESCENT_NOT_FOUND, "%s: no data found there; expected %s", request->path, expected);
}

/* "PATH:key=value,..." in two; a path that exists is taken as it is. *options: NULL where there are none.
 */
static enum descent_status split_options(struct descent_arena *arena, const char *what, const char **path,
                                         const char **options)
{
    *path = what;
    *options = NULL;
    const char *colon = strrchr(what, ':');
    if (!colon || exists(what))
        return DESCENT_OK;
    *path = descent_arena_format(arena, "%.*s", (int)(colon - what), what);
    *options = colon[1] ? colon + 1 : NULL;
    return *path ? DESCENT_OK : DESCENT_OUT_OF_MEMORY;
}

/* A set is named by its content, else as its directory, also for "." and "mnist/". One that says nothing of
 * its classes has those of the known set whose name it bears. */
static enum descent_status name_set(const char *path, struct data_parts *parts, struct data_set **set)
{
    char *real = realpath(path, NULL);
    const char *slash = real ? strrchr(real, '/') : NULL;
    const char *name = parts->name ? parts->name : slash && slash[1] ? slash + 1 : path;
    const struct data_known *known = data_find_known(name);
    if (known && !parts->class_names && !parts->train->targets &&
        (!parts->classes || parts->classes == known->classes)) {
        parts->classes = known->classes;
        parts->class_names = known->class_names;
    }
    enum descent_status status = data_set_new(name, path, parts, set);
    free(real);
    return status;
}

enum descent_status data_open_with(const char *what, const struct data_open_options *options,
                                   struct data_set **set)
{
    const char *name, *option_text;
    struct data_parts parts = {.arena = descent_arena_new()};
    *set = NULL;
    if (!parts.arena)
        return descent_fail(DESCENT_OUT_OF_MEMORY, "no memory to look for data set %s", what);
    struct data_request request = {.skip_bad = options->skip_bad, .pool = options->pool};
    enum descent_status status = split_options(parts.arena, what, &name, &option_text);
    if (status == DESCENT_OK)
        status = locate(parts.arena, name, &request.path);
    if (status == DESCENT_OK)
        status = open_parts(&request, option_text, &parts);
    if (status == DESCENT_OK)
        return name_set(request.path, &parts, set);
    data_parts_free(&parts);
    return status;
}

enum descent_status data_open(const char *what, struct data_set **set)
{
    return data_open_with(what, &(struct data_open_options){0}, set);
}

/* How many classes there are, if that is not known yet, is what the largest label says. */
static enum descent_status check_labels(const struct data_set *set, const char *part,
                                        const struct data_source *source, int *classes)
{
    int declared = set->parts.classes, limit = declared ? declared : DATA_MAX_CLASSES;
    for (int64_t i = 0; i < source->count; i++) {
        int32_t label = source->labels[i];
        if (label < 0 || label >= limit)
            return descent_fail(DESCENT_BAD_FORMAT, "%s: %s label %lld is %d, expected 0 .. %d%s%s",
                                set->info.path, part, (long long)i, (int)label, limit - 1,
                                declared ? " for a data set named " : "", declared ? set->info.name : "");
        if (label >= *classes)
            *classes = label + 1;
    }
    if (declared)
        *classes = declared;
    return DESCENT_OK;
}

static enum descent_status name_classes(struct data_set *set)
{
    struct data_info *info = &set->info;
    static const char *const all[] = {"all"};
    info->class_names = info->targets ? all : set->parts.class_names;
    if (info->class_names)
        return DESCENT_OK;
    const char **names = descent_arena_alloc(set->parts.arena, (size_t)info->classes * sizeof *names);
    bool complete = names != NULL;
    for (int i = 0; complete && i < info->classes; i++)
        complete = (names[i] = descent_arena_format(set->parts.arena, "%d", i)) != NULL;
    info->class_names = names;
    return complete ? DESCENT_OK
                    : descent_fail(DESCENT_OUT_OF_MEMORY, "%s: no memory for its names", info->path);
}

/* How often each value occurs in each channel. */
static enum descent_status count_values(const struct data_source *source, uint64_t (*counts)[256])
{
    size_t size = data_source_sample_bytes(source);
    uint8_t *bytes = malloc(size);
    if (!bytes)
        return descent_fail(DESCENT_OUT_OF_MEMORY, "no memory for a sample of %zu bytes", size);
    enum descent_status status = DESCENT_OK;
    for (int64_t i = 0; i < source->count && status == DESCENT_OK; i++) {
        status = source->read(source, i, bytes);
        if (status == DESCENT_OK)
            data_count_values(counts, bytes, size, (size_t)source->channels);
    }
    free(bytes);
    return status;
}

/* Mean and deviation of each channel from counts of the 256 values, so that sums are exact, and the scale
 * and shift that follow. */
static enum descent_status measure(struct data_set *set)
{
    const struct data_source *train = set->train;
    uint64_t own[DATA_MAX_CHANNELS][256] = {0};
    uint64_t(*counts)[256] = set->parts.counts;
    if (!counts) {
        enum descent_status status = count_values(train, own);
        if (status != DESCENT_OK)
            return status;
        counts = own;
    }

    double total = (double)train->count * train->height * train->width;
    for (int c = 0; c < train->channels; c++) {
        uint64_t sum = 0;
        double squares = 0;
        for (int v = 0; v < 256; v++)
            sum += counts[c][v] * (uint64_t)v;
        double mean = (double)sum / total;
        for (int v = 0; v < 256; v++)
            squares += (double)counts[c][v] * (v - mean) * (v - mean);
        set->info.mean[c] = (float)(mean / 255);
        set->info.deviation[c] = (float)(sqrt(squares / total) / 255);

        /* From the floats just reported, so that whoever keeps them with a model normalizes alike. */
        double deviation = set->info.deviation[c] > 0 ? set->info.deviation[c] : 1;
        for (int k = c; k < DATA_PERIOD; k += train->channels) {
            set->scale[k] = (float)(1 / (255 * deviation));
            set->shift[k] = (float)(-set->info.mean[c] / deviation);
        }
    }
    return DESCENT_OK;
}

/* Mean and deviation of each target. */
static enum descent_status measure_targets(struct data_set *set)
{
    const struct data_source *train = set->train;
    int targets = set->info.targets = train->target_count;
    double *mean = descent_arena_alloc(set->parts.arena, 2 * (size_t)targets * sizeof *mean);
    double *deviation = mean ? mean + targets : NULL;
    if (!mean)
        return descent_fail(DESCENT_OUT_OF_MEMORY, "%s: no memory for its targets", set->info.path);
    for (int64_t i = 0; i < train->count * targets; i++)
        mean[i % targets] += train->targets[i] / (double)train->count;
    for (int64_t i = 0; i < train->count * targets; i++)
        deviation[i % targets] += pow(train->targets[i] - mean[i % targets], 2) / (double)train->count;
    for (int k = 0; k < targets; k++)
        deviation[k] = sqrt(deviation[k]);
    set->info.target_mean = mean;
    set->info.target_deviation = deviation;
    return DESCENT_OK;
}

static enum descent_status complete(struct data_set *set)
{
    const struct data_source *train = set->train, *test = set->test;
    if (train->height != test->height || train->width != test->width || train->channels != test->channels)
        return descent_fail(DESCENT_MISMATCH,
                            "%s: training images are %d x %d x %d, test images %d x %d x %d",
                            set->info.path, train->height, train->width, train->channels, test->height,
                            test->width, test->channels);
    if (train->target_count != test->target_count)
        return descent_fail(DESCENT_MISMATCH,
                            "%s: training samples have %d target numbers, test samples %d (0: a class)",
                            set->info.path, train->target_count, test->target_count);
    enum descent_status status = check_labels(set, "training", train, &set->info.classes);
    if (status == DESCENT_OK)
        status = check_labels(set, "test", test, &set->info.classes);
    if (status == DESCENT_OK && train->targets)
        status = measure_targets(set);
    if (status == DESCENT_OK)
        status = name_classes(set);
    return status == DESCENT_OK ? measure(set) : status;
}

enum descent_status data_set_new(const char *name, const char *path, struct data_parts *parts,
                                 struct data_set **result)
{
    *result = NULL;
    if (!parts->arena)
        parts->arena = descent_arena_new();
    struct descent_arena *arena = parts->arena;
    struct data_set *set = arena ? descent_arena_alloc(arena, sizeof *set) : NULL;
    name = set ? descent_arena_string(arena, name) : NULL;
    path = name ? descent_arena_string(arena, path) : NULL;
    if (!path) {
        data_parts_free(parts);
        return descent_fail(DESCENT_OUT_OF_MEMORY, "no memory for a data set");
    }
    const struct data_source *train = parts->train, *test = parts->test;
    assert(train->channels <= DATA_MAX_CHANNELS && train->count <= UINT32_MAX && test->count <= UINT32_MAX);
    *set = (struct data_set){
        .parts = *parts,
        .train = train,
        .test = test,
        .info = {.name = name,
                 .path = path,
                 .channels = train->channels,
                 .height = train->height,
                 .width = train->width,
                 .train_count = train->count,
                 .test_count = test->count,
                 .skipped = parts->skipped,
                 .skipped_first = parts->skipped_first,
                 .files = parts->files,
                 .file_count = parts->file_count},
    };
    enum descent_status status = complete(set);
    if (status == DESCENT_OK)
        *result = set;
    else
        data_free(set);
    return status;
}

void data_free(struct data_set *set)
{
    if (!set)
        return;
    struct data_parts parts = set->parts;
    data_parts_free(&parts);
}

bool data_in_memory(const struct data_set *set)
{
    return data_source_is_in_memory(set->train) && data_source_is_in_memory(set->test);
}

const struct data_info *data_describe(const struct data_set *set)
{
    return &set->info;
}
