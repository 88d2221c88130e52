/* Folders of pictures, CLASS/NAME.png, .jpg, .jpeg or .bmp, as people keep their own: with train/ and test/
 * above the classes, or split here. Every picture is decoded once while opening, which finds the bad ones
 * and measures the good ones; as many as the cache holds stay in memory, the others are decoded again each
 * time. Not pictures in deeper folders. */
#include "base/file.h"
#include "base/random.h"
#include "data/decoder.h"
#include "data/known.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

enum { MAX_WORKERS = 16, CHUNKS = 64 };

enum { OPTION_SIZE, OPTION_FIT, OPTION_GRAY, OPTION_TEST, OPTION_CACHE, OPTIONS };

static const struct descent_option options[OPTIONS] = {
    {.name = "size",
     .type = DESCENT_OPTION_INTEGER_LIST,
     .initial = "0",
     .max = DATA_MAX_SIDE,
     .help = "side, or height/width, that pictures are brought to; 0: they are all of one size"},
    {.name = "fit",
     .type = DESCENT_OPTION_CHOICE,
     .initial = "cover",
     .choices = "cover|stretch|crop",
     .help = "scaled and cut to the size, scaled out of proportion, or the middle as it is"},
    {.name = "gray", .type = DESCENT_OPTION_FLAG, .initial = "no", .help = "one channel instead of three"},
    {.name = "test",
     .type = DESCENT_OPTION_REAL,
     .initial = "0.2",
     .max = 1,
     .open_min = true,
     .open_max = true,
     .help = "share of each class that is the test part, where there is no folder test/"},
    {.name = "cache",
     .type = DESCENT_OPTION_INTEGER,
     .initial = "1024",
     .max = 1 << 20,
     .help = "MiB of decoded pictures kept in memory"},
};

/* ---- The source ---- */

struct picture {
    const char *class, *name;
    int32_t label;
};

/* What the training and the test part have in common. */
struct shared {
    struct data_decoder *decoder;
    int owners;
};

struct folder {
    struct data_source base;
    struct shared *shared;
    const char *directory; /* above the classes */
    struct data_image_size size;
    struct picture *picture; /* base.count */
    int32_t *labels;
    uint8_t *cache; /* of the first `cached` pictures */
    int64_t cached;
};

static const char *path_of(const struct folder *folder, int64_t i, char path[PATH_MAX])
{
    const struct picture *picture = &folder->picture[i];
    snprintf(path, PATH_MAX, "%s/%s/%s", folder->directory, picture->class, picture->name);
    return path;
}

static enum descent_status read_picture(const struct data_source *source, int64_t i, uint8_t *bytes)
{
    const struct folder *folder = (const struct folder *)source;
    size_t size = data_source_sample_bytes(source);
    char path[PATH_MAX];
    if (i >= folder->cached)
        return data_decoder_read(folder->shared->decoder, path_of(folder, i, path), &folder->size, bytes,
                                 NULL);
    memcpy(bytes, folder->cache + (size_t)i * size, size);
    return DESCENT_OK;
}

static void release(struct shared *shared)
{
    if (shared && --shared->owners <= 0) {
        data_decoder_free(shared->decoder);
        free(shared);
    }
}

static void free_folder(struct data_source *source)
{
    struct folder *folder = (struct folder *)source;
    release(folder->shared);
    free(folder->picture);
    free(folder->labels);
    free(folder->cache);
    free(folder);
}

/* ---- What there is ---- */

/* A list of pictures or of classes that grows. */
struct list {
    struct picture *at;
    size_t count, room;
};

static enum descent_status append(struct list *list, struct picture picture)
{
    if (list->count == list->room) {
        size_t room = 2 * list->room + 64;
        struct picture *grown = realloc(list->at, room * sizeof *grown);
        if (!grown)
            return descent_fail(DESCENT_OUT_OF_MEMORY, "no memory for a list of %zu pictures", room);
        list->at = grown;
        list->room = room;
    }
    list->at[list->count++] = picture;
    return picture.name ? DESCENT_OK : descent_fail(DESCENT_OUT_OF_MEMORY, "no memory for a file name");
}

static bool is_picture(const char *name)
{
    static const char *const endings[] = {".png", ".jpg", ".jpeg", ".bmp"};
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; dot && dot != name && i < sizeof endings / sizeof *endings; i++)
        if (strcasecmp(dot, endings[i]) == 0)
            return true;
    return false;
}

static bool is_directory(const char *path)
{
    struct stat about;
    return stat(path, &about) == 0 && S_ISDIR(about.st_mode);
}

static enum descent_status fail_too_long(const char *path)
{
    return descent_fail(DESCENT_BAD_ARGUMENT, "a path of more than %d bytes: %.200s...", PATH_MAX - 1,
                        path);
}

/* Appends the pictures in PARENT/CLASS, or where `class` is NULL the folders in PARENT, by name. */
static enum descent_status list_directory(struct descent_arena *arena, const char *parent,
                                          const char *class, int32_t label, struct list *list)
{
    char path[PATH_MAX], inside[PATH_MAX];
    if (snprintf(path, sizeof path, "%s%s%s", parent, class ? "/" : "", class ? class : "") >= PATH_MAX)
        return fail_too_long(parent);
    DIR *directory = opendir(path);
    enum descent_status status = DESCENT_OK;
    if (!directory)
        return descent_fail_errno("list", path, errno);
    for (struct dirent *entry; status == DESCENT_OK && (errno = 0, entry = readdir(directory));) {
        const char *name = entry->d_name;
        if (*name == '.' || (class && !is_picture(name)))
            continue;
        if (snprintf(inside, sizeof inside, "%s/%s", path, name) >= PATH_MAX)
            status = fail_too_long(inside);
        else if (class || is_directory(inside))
            status = append(list, (struct picture){class, descent_arena_string(arena, name), label});
    }
    if (status == DESCENT_OK && errno)
        status = descent_fail_errno("list", path, errno);
    closedir(directory);
    return status;
}

/* The folder of the test part beside train/, or NULL. */
static const char *find_test(struct descent_arena *arena, const char *path)
{
    static const char *const names[] = {"test", "val"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *directory = descent_arena_format(arena, "%s/%s", path, names[i]);
        if (directory && is_directory(directory))
            return directory;
    }
    return NULL;
}

/* The folder above the classes of the training part: PATH/train, unless that is itself a class, of pictures
 * of trains: one without folders in it, and without a test part beside it. */
static const char *find_train(struct descent_arena *arena, const char *path)
{
    struct list folders = {0};
    const char *train = descent_arena_format(arena, "%s/train", path);
    bool divided = train && is_directory(train) &&
                   (find_test(arena, path) ||
                    list_directory(arena, train, NULL, 0, &folders) != DESCENT_OK || folders.count > 0);
    free(folders.at);
    return divided ? train : path;
}

/* By file name, then by class, so that the order of numbered pictures survives their being sorted into
 * classes. */
static int compare(const void *a, const void *b)
{
    const struct picture *left = a, *right = b;
    int order = strcmp(left->name, right->name);
    return order ? order : left->label - right->label;
}

static void sort(struct list *list)
{
    if (list->count > 0)
        qsort(list->at, list->count, sizeof *list->at, compare);
}

/* The classes of the training part are all there are. */
static enum descent_status check_classes(const char *directory, const struct list *classes,
                                         const struct list *known)
{
    for (size_t i = 0; i < classes->count; i++) {
        bool found = false;
        for (size_t k = 0; k < known->count && !found; k++)
            found = strcmp(known->at[k].name, classes->at[i].name) == 0;
        if (!found)
            return descent_fail(DESCENT_MISMATCH, "%s: has a class '%s' that the training part has not",
                                directory, classes->at[i].name);
    }
    return DESCENT_OK;
}

/* The pictures of every class of `classes`. Empty classes are an error where `full`. */
static enum descent_status list_pictures(struct descent_arena *arena, const char *directory,
                                         const struct list *classes, bool full, struct list *pictures)
{
    char path[PATH_MAX];
    for (size_t i = 0; i < classes->count; i++) {
        const char *class = classes->at[i].name;
        size_t before = pictures->count;
        enum descent_status status = DESCENT_OK;
        if (snprintf(path, sizeof path, "%s/%s", directory, class) >= PATH_MAX)
            status = fail_too_long(path);
        else if (is_directory(path))
            status = list_directory(arena, directory, class, (int32_t)i, pictures);
        if (status != DESCENT_OK)
            return status;
        if (full && pictures->count == before)
            return descent_fail(DESCENT_NOT_FOUND,
                                "%s: holds no picture; expected files .png, .jpg or .bmp", path);
    }
    sort(pictures);
    return DESCENT_OK;
}

/* ---- Splitting ---- */

struct ticket {
    uint64_t hash;
    size_t picture;
};

static int compare_tickets(const void *a, const void *b)
{
    const struct ticket *left = a, *right = b;
    if (left->hash != right->hash)
        return left->hash < right->hash ? -1 : 1;
    return left->picture < right->picture ? -1 : left->picture > right->picture;
}

/* Moves a share of each class from `train` to `test`: those with the smallest hashes of their names, so
 * that a picture more or less moves hardly another. */
static enum descent_status split(const char *directory, double share, int classes, struct list *train,
                                 struct list *test)
{
    struct ticket *tickets = malloc((train->count + 1) * sizeof *tickets);
    bool *chosen = calloc(train->count + 1, sizeof *chosen);
    enum descent_status status = DESCENT_OK;
    if (!tickets || !chosen)
        status = descent_fail(DESCENT_OUT_OF_MEMORY, "%s: no memory to split it", directory);
    for (int c = 0; c < classes && status == DESCENT_OK; c++) {
        size_t count = 0;
        for (size_t i = 0; i < train->count; i++)
            if (train->at[i].label == c)
                tickets[count++] = (struct ticket){descent_hash(train->at[i].name), i};
        qsort(tickets, count, sizeof *tickets, compare_tickets);
        size_t taken = (size_t)llround(share * (double)count);
        for (size_t i = 0; i < taken; i++)
            chosen[tickets[i].picture] = true;
    }
    size_t left = 0;
    for (size_t i = 0; i < train->count && status == DESCENT_OK; i++)
        if (chosen[i])
            status = append(test, train->at[i]);
        else
            train->at[left++] = train->at[i];
    train->count = left;
    free(tickets);
    free(chosen);
    return status;
}

/* ---- Decoding everything once ---- */

struct pass {
    struct folder *folder;
    uint64_t (*counts)[DATA_MAX_CHANNELS][256]; /* a thread's each */
    char (*digest)[DATA_MD5_TEXT];              /* "" of a picture that cannot be decoded */
    uint8_t *scratch;                           /* a sample a thread */
    int chunks;

    pthread_mutex_t mutex;
    int64_t bad, first; /* how many, and the first of them; one that is no picture's fault goes before */
    enum descent_status status;
    char message[1024];
};

static void note_failure(struct pass *pass, int64_t i, enum descent_status status)
{
    pthread_mutex_lock(&pass->mutex);
    bool fatal = status != DESCENT_BAD_FORMAT,
         was_fatal = pass->bad > 0 && pass->status != DESCENT_BAD_FORMAT;
    if (pass->bad++ == 0 || fatal > was_fatal || (fatal == was_fatal && i < pass->first)) {
        pass->first = i;
        pass->status = status;
        snprintf(pass->message, sizeof pass->message, "%s", descent_error());
    }
    pthread_mutex_unlock(&pass->mutex);
    pass->digest[i][0] = 0;
}

static void decode_chunk(void *context, int chunk, int thread)
{
    struct pass *pass = context;
    struct folder *folder = pass->folder;
    size_t size = data_source_sample_bytes(&folder->base);
    int64_t begin, end;
    char path[PATH_MAX];
    enum descent_status status = DESCENT_OK;
    descent_chunk_range(folder->base.count, pass->chunks, chunk, &begin, &end);
    for (int64_t i = begin; i < end && (status == DESCENT_OK || status == DESCENT_BAD_FORMAT); i++) {
        uint8_t *bytes = i < folder->cached ? folder->cache + (size_t)i * size
                                            : pass->scratch + (size_t)thread * descent_round_up(size);
        status = data_decoder_read(folder->shared->decoder, path_of(folder, i, path), &folder->size, bytes,
                                   pass->digest[i]);
        if (status == DESCENT_OK)
            data_count_values(pass->counts[thread], bytes, size, (size_t)folder->base.channels);
        else
            note_failure(pass, i, status);
    }
}

/* Leaves out what could not be decoded. */
static void compact(const struct pass *pass)
{
    struct folder *folder = pass->folder;
    size_t size = data_source_sample_bytes(&folder->base);
    int64_t kept = 0, cached = 0;
    for (int64_t i = 0; i < folder->base.count; i++) {
        if (!*pass->digest[i])
            continue;
        if (i < folder->cached) {
            memmove(folder->cache + (size_t)cached * size, folder->cache + (size_t)i * size, size);
            cached++;
        }
        folder->picture[kept] = folder->picture[i];
        folder->labels[kept] = folder->labels[i];
        memmove(pass->digest[kept], pass->digest[i], DATA_MD5_TEXT);
        kept++;
    }
    folder->base.count = kept;
    folder->cached = cached;
}

/* One digest of all: of every picture's class, name and digest. */
static enum descent_status add_digest(struct data_parts *parts, const struct pass *pass, const char *part)
{
    const struct folder *folder = pass->folder;
    char name[64], md5[DATA_MD5_TEXT];
    struct data_digest *digest = data_digest_new();
    if (!digest)
        return descent_fail(DESCENT_OUT_OF_MEMORY, "no memory for a digest");
    for (int64_t i = 0; i < folder->base.count; i++) {
        data_digest_add(digest, folder->picture[i].class, strlen(folder->picture[i].class) + 1);
        data_digest_add(digest, folder->picture[i].name, strlen(folder->picture[i].name) + 1);
        data_digest_add(digest, pass->digest[i], DATA_MD5_TEXT);
    }
    data_digest_text(digest, md5);
    data_digest_free(digest);
    snprintf(name, sizeof name, "%s part: %lld pictures", part, (long long)folder->base.count);
    return data_add_member(parts, name, md5);
}

/* Sums the threads' counts into parts->counts. */
static enum descent_status add_counts(struct data_parts *parts, const struct pass *pass, int threads)
{
    parts->counts = descent_arena_alloc(parts->arena, DATA_MAX_CHANNELS * sizeof *parts->counts);
    if (!parts->counts)
        return descent_fail(DESCENT_OUT_OF_MEMORY, "no memory for statistics");
    for (int t = 0; t < threads; t++)
        for (int c = 0; c < DATA_MAX_CHANNELS; c++)
            for (int v = 0; v < 256; v++)
                parts->counts[c][v] += pass->counts[t][c][v];
    return DESCENT_OK;
}

static enum descent_status judge(const struct data_request *request, const char *part, struct pass *pass,
                                 struct data_parts *parts)
{
    int64_t count = pass->folder->base.count;
    if (pass->bad > 0 && pass->status != DESCENT_BAD_FORMAT)
        return descent_fail(pass->status, "%s", pass->message);
    if (pass->bad > 0 && !request->skip_bad)
        return descent_fail(pass->status,
                            "%s (%lld of %lld pictures of the %s part are bad; --skip-bad "
                            "leaves them out)",
                            pass->message, (long long)pass->bad, (long long)count, part);
    if (pass->bad == count)
        return descent_fail(pass->status, "%s (and so are all %lld pictures of the %s part)", pass->message,
                            (long long)count, part);
    if (pass->bad > 0 && !parts->skipped_first)
        parts->skipped_first = descent_arena_string(parts->arena, pass->message);
    parts->skipped += pass->bad;
    return DESCENT_OK;
}

static enum descent_status decode_all(const struct data_request *request, const char *part,
                                      struct folder *folder, struct data_parts *parts)
{
    size_t threads = (size_t)descent_pool_threads(request->pool), count = (size_t)folder->base.count,
           size = data_source_sample_bytes(&folder->base);
    struct pass pass = {.folder = folder, .chunks = count < CHUNKS ? (int)count : CHUNKS};
    pass.counts = calloc(threads, sizeof *pass.counts);
    pass.digest = calloc(count, sizeof *pass.digest);
    pass.scratch = malloc(threads * descent_round_up(size));
    enum descent_status status = DESCENT_OUT_OF_MEMORY;
    if (pass.counts && pass.digest && pass.scratch) {
        pthread_mutex_init(&pass.mutex, NULL);
        descent_pool_run(request->pool, pass.chunks, decode_chunk, &pass);
        pthread_mutex_destroy(&pass.mutex);
        status = judge(request, part, &pass, parts);
        if (status == DESCENT_OK)
            compact(&pass);
        if (status == DESCENT_OK && strcmp(part, "training") == 0)
            status = add_counts(parts, &pass, (int)threads);
        if (status == DESCENT_OK)
            status = add_digest(parts, &pass, part);
    } else {
        descent_fail(status, "%s: no memory to read its pictures", request->path);
    }
    free(pass.counts);
    free(pass.digest);
    free(pass.scratch);
    return status;
}

/* ---- The format ---- */

/* A folder being opened. */
struct opening {
    const struct data_request *request;
    struct data_parts *parts;
    struct list classes, train, test;
    struct shared *shared;
    const char *train_directory, *test_directory;
    struct data_image_size size;
    size_t cache; /* bytes left */
};

static enum descent_status list_everything(struct opening *opening)
{
    struct descent_arena *arena = opening->parts->arena;
    const char *path = opening->request->path;
    const struct descent_value *share = &opening->request->options[OPTION_TEST];
    opening->train_directory = opening->test_directory = find_train(arena, path);
    enum descent_status status =
        list_directory(arena, opening->train_directory, NULL, 0, &opening->classes);
    sort(&opening->classes);
    if (status == DESCENT_OK && opening->classes.count > DATA_MAX_CLASSES)
        status = descent_fail(DESCENT_BAD_FORMAT, "%s: holds %zu classes, expected at most %d",
                              opening->train_directory, opening->classes.count, DATA_MAX_CLASSES);
    if (status == DESCENT_OK)
        status = list_pictures(arena, opening->train_directory, &opening->classes, true, &opening->train);
    if (status != DESCENT_OK)
        return status;
    if (opening->train_directory == path)
        return split(path, share->number, (int)opening->classes.count, &opening->train, &opening->test);

    struct list classes = {0};
    opening->test_directory = find_test(arena, path);
    if (!opening->test_directory)
        return descent_fail(DESCENT_NOT_FOUND, "%s: has a folder train, but none named test or val", path);
    if (share->given)
        return descent_fail(DESCENT_BAD_ARGUMENT,
                            "%s: test=%g is for folders without a test part, this has "
                            "one",
                            path, share->number);
    status = list_directory(arena, opening->test_directory, NULL, 0, &classes);
    if (status == DESCENT_OK)
        status = check_classes(opening->test_directory, &classes, &opening->classes);
    if (status == DESCENT_OK)
        status = list_pictures(arena, opening->test_directory, &opening->classes, false, &opening->test);
    free(classes.at);
    return status;
}

/* Without a size: that of the first training picture that can be decoded. */
static enum descent_status measure(struct opening *opening)
{
    struct data_image_size *size = &opening->size;
    const struct list *train = &opening->train;
    enum descent_status status = DESCENT_BAD_FORMAT;
    size->fit = DATA_FIT_EXACT;
    for (size_t i = 0; i < train->count && status == DESCENT_BAD_FORMAT; i++) {
        char path[PATH_MAX];
        snprintf(path, sizeof path, "%s/%s/%s", opening->train_directory, train->at[i].class,
                 train->at[i].name);
        status = data_decoder_measure(opening->shared->decoder, path, &size->height, &size->width);
    }
    return status;
}

static enum descent_status open_part(struct opening *opening, const char *part, const char *directory,
                                     struct list *pictures, struct data_source **source)
{
    struct folder *folder = calloc(1, sizeof *folder);
    if (!folder)
        return descent_fail(DESCENT_OUT_OF_MEMORY, "%s: no memory to read it", directory);
    const struct data_image_size *size = &opening->size;
    opening->shared->owners++;
    folder->base = (struct data_source){.count = (int64_t)pictures->count,
                                        .height = size->height,
                                        .width = size->width,
                                        .channels = size->channels,
                                        .read = read_picture,
                                        .free = free_folder};
    folder->shared = opening->shared;
    folder->directory = directory;
    folder->size = *size;
    folder->picture = pictures->at;
    pictures->at = NULL;
    *source = &folder->base;

    size_t sample = data_source_sample_bytes(&folder->base), room = opening->cache / sample;
    folder->cached = (int64_t)(room < pictures->count ? room : pictures->count);
    opening->cache -= (size_t)folder->cached * sample;
    folder->cache = malloc((size_t)folder->cached * sample + 1);
    folder->base.labels = folder->labels = malloc(pictures->count * sizeof *folder->labels);
    if (!folder->cache || !folder->labels)
        return descent_fail(DESCENT_OUT_OF_MEMORY, "%s: no memory for %lld pictures; cache=MIB takes fewer",
                            directory, (long long)folder->cached);
    for (size_t i = 0; i < pictures->count; i++)
        folder->labels[i] = folder->picture[i].label;
    return decode_all(opening->request, part, folder, opening->parts);
}

static enum descent_status open_parts(struct opening *opening)
{
    const struct descent_value *values = opening->request->options;
    struct data_parts *parts = opening->parts;
    const char **names = descent_arena_alloc(parts->arena, opening->classes.count * sizeof *names);
    opening->cache = (size_t)values[OPTION_CACHE].number << 20;
    opening->size.fit = (enum data_fit)values[OPTION_FIT].number;
    opening->size.channels = values[OPTION_GRAY].number > 0 ? 1 : 3;
    opening->size.height = (int)values[OPTION_SIZE].list[0];
    opening->size.width = (int)values[OPTION_SIZE].list[values[OPTION_SIZE].count > 1];
    if (values[OPTION_SIZE].count > 2 || !opening->size.height != !opening->size.width)
        return descent_fail(DESCENT_BAD_ARGUMENT, "%s: size expects one side, or height/width",
                            opening->request->path);
    if (opening->train.count == 0 || opening->test.count == 0)
        return descent_fail(DESCENT_NOT_FOUND,
                            "%s: %zu pictures to train on and %zu to test on; expected "
                            "some of each",
                            opening->request->path, opening->train.count, opening->test.count);
    if (opening->train.count > UINT32_MAX || !names)
        return descent_fail(DESCENT_OUT_OF_MEMORY, "%s: no memory for its names", opening->request->path);
    for (size_t i = 0; i < opening->classes.count; i++)
        names[i] = opening->classes.at[i].name;
    parts->classes = (int)opening->classes.count;
    parts->class_names = names;

    enum descent_status status = opening->size.height == 0 ? measure(opening) : DESCENT_OK;
    const struct data_image_size *size = &opening->size;
    int64_t bytes = (int64_t)size->height * size->width * size->channels;
    if (status == DESCENT_OK && bytes > DATA_MAX_PIXELS)
        status =
            descent_fail(DESCENT_BAD_ARGUMENT,
                         "%s: pictures of %d x %d x %d are %lld bytes each, expected at most %d; a size "
                         "makes them smaller",
                         opening->request->path, size->height, size->width, size->channels,
                         (long long)bytes, DATA_MAX_PIXELS);
    if (status == DESCENT_OK)
        status = open_part(opening, "training", opening->train_directory, &opening->train, &parts->train);
    if (status == DESCENT_OK)
        status = open_part(opening, "test", opening->test_directory, &opening->test, &parts->test);
    return status;
}

static enum descent_status open_folder(const struct data_request *request, struct data_parts *parts)
{
    int workers = descent_cpus() < MAX_WORKERS ? descent_cpus() : MAX_WORKERS;
    struct opening opening = {
        .request = request, .parts = parts, .shared = calloc(1, sizeof(struct shared))};
    enum descent_status status = DESCENT_OUT_OF_MEMORY;
    if (opening.shared) {
        opening.shared->owners = 1;
        opening.shared->decoder = data_decoder_new(workers, DATA_DECODER_SECONDS);
    }
    if (opening.shared && opening.shared->decoder)
        status = list_everything(&opening);
    else
        descent_fail(status, "%s: no memory to read it", request->path);
    if (status == DESCENT_OK)
        status = open_parts(&opening);
    release(opening.shared);
    free(opening.classes.at);
    free(opening.train.at);
    free(opening.test.at);
    return status;
}

/* A folder, in it or in its train/, with a picture; or one that cannot be listed, so that the message says
 * why. */
static bool recognize(const char *path)
{
    struct descent_arena *arena = descent_arena_new();
    struct list folders = {0}, pictures = {0};
    enum descent_status status = DESCENT_OK;
    bool possible = arena && is_directory(path);
    if (possible) {
        path = find_train(arena, path);
        status = list_directory(arena, path, NULL, 0, &folders);
    }
    for (size_t i = 0; status == DESCENT_OK && i < folders.count && pictures.count == 0; i++)
        status = list_directory(arena, path, folders.at[i].name, 0, &pictures);
    free(folders.at);
    free(pictures.at);
    descent_arena_free(arena);
    return possible && (pictures.count > 0 || status != DESCENT_OK);
}

const struct data_format data_format_folder = {
    .info = {.name = "folder",
             .summary =
                 "a folder of pictures CLASS/NAME.png, .jpg or .bmp, or two of them named train and test",
             .options = options,
             .option_count = OPTIONS},
    .recognize = recognize,
    .open = open_folder,
};
