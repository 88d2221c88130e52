/* Data sets: which are known, where they lie, which format reads them, and the statistics of their pixels.
 */
#include "base/spec.h"
#include "data/set.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* A format's row: formats are asked in this order whether a path is theirs. */
static const struct data_format *const formats[] = {&data_format_idx};

enum { FORMATS = sizeof formats / sizeof *formats };

static const char *const mnist_files[] = {"train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz",
                                          "t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz", NULL};
static const char *const digits[] = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"};
static const char *const clothes[] = {"t-shirt/top", "trouser", "pullover", "dress", "coat",
                                      "sandal",      "shirt",   "sneaker",  "bag",   "ankle boot"};

static const struct data_known known_sets[] = {
    {"fashion-mnist", "70,000 gray images of clothing, 28 x 28, 10 classes (Xiao et al. 2017)",
     "on Debian and Ubuntu, 'apt install dataset-fashion-mnist' supplies it", mnist_files, 10, clothes},
    {"mnist", "70,000 gray images of handwritten digits, 28 x 28, 10 classes (LeCun et al. 1998)",
     "put its four files, plain or .gz, into one of these places", mnist_files, 10, digits},
};

enum { KNOWN = sizeof known_sets / sizeof *known_sets };

const struct data_known *data_known(int *count)
{
    *count = KNOWN;
    return known_sets;
}

static const struct data_known *find_known(const char *name)
{
    for (int i = 0; i < KNOWN; i++)
        if (strcmp(known_sets[i].name, name) == 0)
            return &known_sets[i];
    return NULL;
}

static enum descent_status fail_unknown(const char *what)
{
    const char *names[KNOWN];
    char list[256] = "";
    for (int i = 0; i < KNOWN; i++) {
        names[i] = known_sets[i].name;
        snprintf(list + strlen(list), sizeof list - strlen(list), "%s%s", i ? ", " : "", names[i]);
    }
    const char *nearest = descent_nearest(what, names, KNOWN);
    return descent_fail(
        DESCENT_NOT_FOUND, "no data set '%s': no such path, and not a known name%s%s%s; known: %s", what,
        nearest ? "; did you mean '" : "", nearest ? nearest : "", nearest ? "'?" : "", list);
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
    const struct data_known *known = find_known(what);
    if (!known)
        return fail_unknown(what);

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

static enum descent_status open_parts(const char *path, struct data_source **train,
                                      struct data_source **test)
{
    for (int i = 0; i < FORMATS; i++)
        if (formats[i]->recognize(path))
            return formats[i]->open(path, train, test);
    char expected[512] = "";
    for (int i = 0; i < FORMATS; i++)
        snprintf(expected + strlen(expected), sizeof expected - strlen(expected), "%s%s", i ? "; or " : "",
                 formats[i]->expects);
    return descent_fail(DESCENT_NOT_FOUND, "%s: no data found there; expected a directory with %s", path,
                        expected);
}

enum descent_status data_open(const char *what, struct data_set **set)
{
    const char *path;
    struct data_source *train = NULL, *test = NULL;
    *set = NULL;
    struct descent_arena *arena = descent_arena_new();
    if (!arena)
        return descent_fail(DESCENT_OUT_OF_MEMORY, "no memory to look for data set %s", what);
    enum descent_status status = locate(arena, what, &path);
    if (status == DESCENT_OK)
        status = open_parts(path, &train, &test);
    if (status == DESCENT_OK) {
        /* The directory's own name, also for "." and "mnist/". */
        char *real = realpath(path, NULL);
        const char *slash = real ? strrchr(real, '/') : NULL;
        const char *name = slash && slash[1] ? slash + 1 : path;
        status = data_set_new(name, path, find_known(name), train, test, set);
        free(real);
    }
    descent_arena_free(arena);
    return status;
}

/* The classes of a set are those of the known set whose name it bears, else as many as its largest label
 * says. */
static enum descent_status check_labels(const char *path, const char *part,
                                        const struct data_source *source, const struct data_known *known,
                                        int *classes)
{
    int limit = known ? known->classes : DATA_MAX_CLASSES;
    for (int64_t i = 0; i < source->count; i++) {
        int32_t label = source->labels[i];
        if (label < 0 || label >= limit)
            return descent_fail(DESCENT_BAD_FORMAT, "%s: %s label %lld is %d, expected 0 .. %d%s%s", path,
                                part, (long long)i, (int)label, limit - 1,
                                known ? " for a data set named " : "", known ? known->name : "");
        if (label >= *classes)
            *classes = label + 1;
    }
    if (known)
        *classes = known->classes;
    return DESCENT_OK;
}

static enum descent_status name_everything(struct data_set *set, const char *name, const char *path,
                                           const struct data_known *known)
{
    struct data_info *info = &set->info;
    info->name = descent_arena_string(set->arena, name);
    info->path = descent_arena_string(set->arena, path);
    bool complete = info->name && info->path;
    if (known) {
        info->class_names = known->class_names;
    } else {
        const char **names = descent_arena_alloc(set->arena, (size_t)info->classes * sizeof *names);
        for (int i = 0; names && i < info->classes; i++)
            complete &= (names[i] = descent_arena_format(set->arena, "%d", i)) != NULL;
        complete &= names != NULL;
        info->class_names = names;
    }
    return complete ? DESCENT_OK : descent_fail(DESCENT_OUT_OF_MEMORY, "%s: no memory for its names", path);
}

/* Mean and deviation of each channel from counts of the 256 values, so that sums are exact, and the table
 * that follows. */
static enum descent_status measure(struct data_set *set)
{
    const struct data_source *train = set->train;
    size_t size = data_source_sample_bytes(train), channels = (size_t)train->channels;
    uint64_t counts[DATA_MAX_CHANNELS][256] = {0};
    uint8_t *bytes = malloc(size);
    if (!bytes)
        return descent_fail(DESCENT_OUT_OF_MEMORY, "no memory for a sample of %zu bytes", size);
    for (int64_t i = 0; i < train->count; i++) {
        enum descent_status status = train->read(train, i, bytes);
        if (status != DESCENT_OK) {
            free(bytes);
            return status;
        }
        for (size_t k = 0; k < size; k += channels)
            for (size_t c = 0; c < channels; c++)
                counts[c][bytes[k + c]]++;
    }
    free(bytes);

    double total = (double)train->count * train->height * train->width;
    for (size_t c = 0; c < channels; c++) {
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
        double shift = set->info.mean[c], scale = set->info.deviation[c] > 0 ? set->info.deviation[c] : 1;
        for (int v = 0; v < 256; v++)
            set->normalized[c][v] = (float)((v / 255.0 - shift) / scale);
    }
    return DESCENT_OK;
}

enum descent_status data_set_new(const char *name, const char *path, const struct data_known *known,
                                 struct data_source *train, struct data_source *test,
                                 struct data_set **result)
{
    *result = NULL;
    struct descent_arena *arena = descent_arena_new();
    struct data_set *set = arena ? descent_arena_alloc(arena, sizeof *set) : NULL;
    if (!set) {
        descent_arena_free(arena);
        data_source_free(train);
        data_source_free(test);
        return descent_fail(DESCENT_OUT_OF_MEMORY, "%s: no memory for the data set", path);
    }
    assert(train->channels <= DATA_MAX_CHANNELS && train->count <= UINT32_MAX && test->count <= UINT32_MAX);
    *set = (struct data_set){.arena = arena, .train = train, .test = test};
    set->info = (struct data_info){.channels = train->channels,
                                   .height = train->height,
                                   .width = train->width,
                                   .train_count = train->count,
                                   .test_count = test->count};
    enum descent_status status = DESCENT_OK;
    if (train->height != test->height || train->width != test->width || train->channels != test->channels)
        status = descent_fail(
            DESCENT_MISMATCH, "%s: training images are %d x %d x %d, test images %d x %d x %d", path,
            train->height, train->width, train->channels, test->height, test->width, test->channels);
    if (status == DESCENT_OK)
        status = check_labels(path, "training", train, known, &set->info.classes);
    if (status == DESCENT_OK)
        status = check_labels(path, "test", test, known, &set->info.classes);
    if (status == DESCENT_OK)
        status = name_everything(set, name, path, known);
    if (status == DESCENT_OK)
        status = measure(set);
    if (status != DESCENT_OK) {
        data_free(set);
        return status;
    }
    *result = set;
    return DESCENT_OK;
}

void data_free(struct data_set *set)
{
    if (!set)
        return;
    data_source_free(set->train);
    data_source_free(set->test);
    descent_arena_free(set->arena);
}

const struct data_info *data_describe(const struct data_set *set)
{
    return &set->info;
}
