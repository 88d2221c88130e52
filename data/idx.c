/* IDX files (data/idx.h), and directories of four of them as MNIST (LeCun et al. 1998), Fashion-MNIST,
 * KMNIST, QMNIST (Yadav & Bottou 2019) and EMNIST (Cohen et al. 2017) come. */
#include "data/idx.h"
#include "data/known.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- A file ---- */

/* Element types by their code, and how file names spell them. */
static const struct {
    uint8_t code;
    enum data_element element;
    const char *spelled;
} types[] = {
    {0x08, DATA_U8, "ubyte"}, {0x09, DATA_I8, "byte"},   {0x0B, DATA_I16, "short"},
    {0x0C, DATA_I32, "int"},  {0x0D, DATA_F32, "float"}, {0x0E, DATA_F64, "double"},
};

enum { TYPES = sizeof types / sizeof *types };

enum descent_status data_idx_read(struct data_stream *stream, int least, int most, struct data_array *array)
{
    const char *name = data_stream_name(stream);
    uint8_t magic[4], sizes[4 * DATA_MAX_RANK];
    *array = (struct data_array){.big_endian = true};
    enum descent_status status = data_stream_read_all(stream, magic, sizeof magic, "the IDX header");
    if (status != DESCENT_OK)
        return status;
    if (magic[0] || magic[1])
        return descent_fail(DESCENT_BAD_FORMAT,
                            "%s: starts with %02x %02x %02x %02x, expected 00 00 08 %02x of an IDX file",
                            name, magic[0], magic[1], magic[2], magic[3], most);
    int type = 0;
    while (type < TYPES && types[type].code != magic[2])
        type++;
    if (type == TYPES)
        return descent_fail(DESCENT_BAD_FORMAT,
                            "%s: unknown IDX element type 0x%02X, expected 0x08, 0x09 or 0x0B .. 0x0E",
                            name, magic[2]);
    if (magic[3] < least || magic[3] > most)
        return descent_fail(DESCENT_BAD_FORMAT, "%s: has %d dimensions, expected %d .. %d (%s)", name,
                            magic[3], least, most,
                            least == 1 ? "labels" : "images x height x width x channels");
    array->element = types[type].element;
    array->rank = magic[3];
    status = data_stream_read_all(stream, sizes, 4 * (size_t)array->rank, "the IDX header");
    if (status != DESCENT_OK)
        return status;
    for (int i = 0; i < array->rank; i++) {
        const uint8_t *p = sizes + 4 * i;
        array->shape[i] = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
    }
    return data_array_read(stream, array);
}

/* ---- A directory ---- */

/* How the names of the two parts begin: "train-images-idx3-ubyte". */
static const struct {
    const char *train, *test;
} namings[] = {{"train", "t10k"}, {"train", "test"}, {"qmnist-train", "qmnist-test"}};

enum { NAMINGS = sizeof namings / sizeof *namings };

/* EMNIST's splits, with their classes in the order of its labels; those of "letters" begin at 1. */
static const struct {
    const char *name, *classes;
    int lowest;
} splits[] = {
    {"balanced", "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabdefghnqrt", 0},
    {"bymerge", "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabdefghnqrt", 0},
    {"byclass", "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", 0},
    {"letters", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", 1},
    {"digits", "0123456789", 0},
    {"mnist", "0123456789", 0},
};

enum { SPLITS = sizeof splits / sizeof *splits };

static const struct descent_option options[] = {
    {.name = "split",
     .type = DESCENT_OPTION_CHOICE,
     .initial = "balanced",
     .choices = "balanced|bymerge|byclass|letters|digits|mnist",
     .help = "which of EMNIST's splits"},
};

/* Whether `name` is BEGIN-idxRANK-TYPE in one of its spellings: with a dot before "idx", with .gz. */
static bool fits(const char *name, const char *begin)
{
    size_t length = strlen(begin);
    if (strncmp(name, begin, length) != 0)
        return false;
    name += length;
    if ((*name != '-' && *name != '.') || strncmp(name + 1, "idx", 3) != 0 || name[4] < '1' ||
        name[4] > '0' + DATA_MAX_RANK || name[5] != '-')
        return false;
    for (int i = 0; i < TYPES; i++) {
        length = strlen(types[i].spelled);
        if (strncmp(name + 6, types[i].spelled, length) == 0 &&
            (!name[6 + length] || strcmp(name + 6 + length, ".gz") == 0))
            return true;
    }
    return false;
}

/* Looks in the directory for STEM-CONTENT-idxRANK-TYPE; of several spellings takes the alphabetically
 * first.
 */
static bool find(const char *directory, const char *stem, const char *content, char path[PATH_MAX])
{
    char begin[64], best[NAME_MAX + 1] = "";
    snprintf(begin, sizeof begin, "%s-%s", stem, content);
    DIR *list = opendir(directory);
    for (struct dirent *entry; list && (entry = readdir(list));)
        if (fits(entry->d_name, begin) && (!*best || strcmp(entry->d_name, best) < 0))
            snprintf(best, sizeof best, "%s", entry->d_name);
    if (list)
        closedir(list);
    return *best && snprintf(path, PATH_MAX, "%s/%s", directory, best) < PATH_MAX;
}

/* Finds and reads one of the files; `path` is where it was. */
static enum descent_status read_file(struct data_parts *parts, const char *directory, const char *stem,
                                     const char *content, int rank, struct data_array *array,
                                     char path[PATH_MAX])
{
    if (!find(directory, stem, content, path))
        return descent_fail(DESCENT_NOT_FOUND, "%s: %s-%s-idx%d-ubyte is missing, plain or .gz", directory,
                            stem, content, rank);
    struct data_stream *stream;
    enum descent_status status = data_stream_open(path, &stream);
    if (status != DESCENT_OK)
        return status;
    status = rank == 1 ? data_idx_read(stream, 1, 2, array) : data_idx_read(stream, 2, 4, array);
    if (status == DESCENT_OK)
        status = data_add_file(parts, stream);
    data_stream_close(stream);
    return status;
}

/* EMNIST's images are MNIST's mirrored at the diagonal. */
static enum descent_status transpose(struct data_array *images, const char *path)
{
    if (images->rank != 3 || images->element != DATA_U8 || images->shape[1] != images->shape[2])
        return descent_fail(DESCENT_BAD_FORMAT, "%s: expected square images of bytes, as EMNIST's are",
                            path);
    size_t side = (size_t)images->shape[1];
    for (uint8_t *at = images->bytes; at < images->bytes + images->size; at += side * side)
        for (size_t y = 0; y < side; y++)
            for (size_t x = 0; x < y; x++) {
                uint8_t pixel = at[y * side + x];
                at[y * side + x] = at[x * side + y];
                at[x * side + y] = pixel;
            }
    return DESCENT_OK;
}

/* split: EMNIST's, or negative. */
static enum descent_status open_part(struct data_parts *parts, const char *directory, const char *stem,
                                     int split, struct data_source **source)
{
    struct data_array images = {0}, labels = {0};
    char images_path[PATH_MAX], labels_path[PATH_MAX];
    enum descent_status status = read_file(parts, directory, stem, "images", 3, &images, images_path);
    if (status == DESCENT_OK)
        status = read_file(parts, directory, stem, "labels", 1, &labels, labels_path);
    if (status == DESCENT_OK && split >= 0)
        status = transpose(&images, images_path);
    if (status == DESCENT_OK) {
        images.scale = parts->scale;
        status = data_source_of_arrays(&images, images_path, &labels, labels_path,
                                       split >= 0 ? splits[split].lowest : 0, source);
        parts->scale = images.scale;
        return status;
    }
    data_array_free(&images);
    data_array_free(&labels);
    return status;
}

static bool has_split(const char *directory, int split)
{
    char stem[32], found[PATH_MAX];
    snprintf(stem, sizeof stem, "emnist-%s-train", splits[split].name);
    return find(directory, stem, "images", found);
}

/* The naming of both parts, else of the training part, else -1. */
static int find_naming(const char *path)
{
    char found[PATH_MAX];
    int begun = -1;
    for (int i = 0; i < NAMINGS; i++) {
        if (!find(path, namings[i].train, "images", found))
            continue;
        if (find(path, namings[i].test, "images", found))
            return i;
        begun = begun < 0 ? i : begun;
    }
    return begun;
}

static bool recognize(const char *path)
{
    bool emnist = false;
    for (int i = 0; i < SPLITS; i++)
        emnist |= has_split(path, i);
    return emnist || find_naming(path) >= 0;
}

static enum descent_status open_split(const char *path, int split, struct data_parts *parts)
{
    char train[32], test[32];
    snprintf(train, sizeof train, "emnist-%s-train", splits[split].name);
    snprintf(test, sizeof test, "emnist-%s-test", splits[split].name);
    int classes = (int)strlen(splits[split].classes);
    const char **names = descent_arena_alloc(parts->arena, (size_t)classes * sizeof *names);
    for (int i = 0; names && i < classes; i++)
        if (!(names[i] = descent_arena_format(parts->arena, "%c", splits[split].classes[i])))
            names = NULL;
    if (!names)
        return descent_fail(DESCENT_OUT_OF_MEMORY, "%s: no memory for its names", path);
    parts->name = "emnist";
    parts->classes = classes;
    parts->class_names = names;
    enum descent_status status = open_part(parts, path, train, split, &parts->train);
    return status == DESCENT_OK ? open_part(parts, path, test, split, &parts->test) : status;
}

static enum descent_status open_directory(const struct data_request *request, struct data_parts *parts)
{
    const char *path = request->path;
    int naming = find_naming(path), split = (int)request->options[0].number;
    if (naming < 0)
        return open_split(path, split, parts);
    if (request->options[0].given)
        return descent_fail(DESCENT_BAD_ARGUMENT, "%s: split=%s is for EMNIST, which this is not", path,
                            splits[split].name);
    enum descent_status status = open_part(parts, path, namings[naming].train, -1, &parts->train);
    return status == DESCENT_OK ? open_part(parts, path, namings[naming].test, -1, &parts->test) : status;
}

const struct data_format data_format_idx = {
    .info = {.name = "idx",
             .summary = "a directory of IDX files train-images-idx3-ubyte, train-labels-idx1-ubyte, "
                        "t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte, plain or .gz",
             .options = options,
             .option_count = sizeof options / sizeof *options},
    .recognize = recognize,
    .open = open_directory,
};
