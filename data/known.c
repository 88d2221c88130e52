/* The well-known data sets, one row each. Digests of files are as their publishers or torchvision 0.21
 * state them, digests of contents were computed from files that agreed with those or whose statistics did.
 */
#include "data/known.h"
#include "base/spec.h"

#include <stdio.h>
#include <string.h>

static const char *const digits[] = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"};
static const char *const clothes[] = {"t-shirt/top", "trouser", "pullover", "dress", "coat",
                                      "sandal",      "shirt",   "sneaker",  "bag",   "ankle boot"};
static const char *const kana[] = {"o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"};
static const char *const things[] = {"airplane", "automobile", "bird",  "cat",  "deer",
                                     "dog",      "frog",       "horse", "ship", "truck"};

#define FETCH(name) "'data/fetch.sh " name "' downloads it"

static const struct data_known known_sets[] = {
    {.name = "cifar-10",
     .summary = "60,000 color photographs, 32 x 32, 10 classes (Krizhevsky 2009)",
     .supply = FETCH("cifar-10"),
     .classes = 10,
     .class_names = things,
     .files = {{"cifar-10-binary.tar.gz", "c32a1d4ab5d03f1284b67883e8d87530", NULL},
               {"data_batch_1.bin", NULL, "5dd7e06a14cb22eb9f671a540d1b7c25"},
               {"data_batch_2.bin", NULL, "5ea93a67294ea407fff1d09f752e9692"},
               {"data_batch_3.bin", NULL, "942cd6a4bcdd0dd3c604fbe906cb4421"},
               {"data_batch_4.bin", NULL, "ae636b3ba5c66a11e91e8cb52e771fcb"},
               {"data_batch_5.bin", NULL, "53f37980c15c3d472c316c40844f3f0d"},
               {"test_batch.bin", NULL, "803d5f7f4d78ea53de84dbe85f74fb6d"}}},
    {.name = "cifar-100",
     .summary = "60,000 color photographs, 32 x 32, 100 classes in 20 groups (Krizhevsky 2009)",
     .supply = FETCH("cifar-100"),
     .files = {{"cifar-100-binary.tar.gz", "03b5dce01913d631647c71ecec9e9cb8", NULL},
               {"train.bin", NULL, "6172c7755cfe09b2fe270c85cebc1b15"},
               {"test.bin", NULL, "4499cfba6c016c1be1438163640a0898"}}},
    {.name = "emnist",
     .summary = "814,255 gray images of handwritten characters, 28 x 28, 6 splits (Cohen et al. 2017)",
     .supply = FETCH("emnist"),
     .files = {{"gzip.zip", "58c8d27c78d21e728a6bc7b3cc06412e", NULL}}},
    {.name = "fashion-mnist",
     .summary = "70,000 gray images of clothing, 28 x 28, 10 classes (Xiao et al. 2017)",
     .supply =
         FETCH("fashion-mnist") "; on Debian and Ubuntu, 'apt install dataset-fashion-mnist' supplies it",
     .classes = 10,
     .class_names = clothes,
     .files = {{"train-images-idx3-ubyte.gz", "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
                "f4a8712d7a061bf5bd6d2ca38dc4d50a"},
               {"train-labels-idx1-ubyte.gz", "25c81989df183df01b3e8a0aad5dffbe",
                "9018921c3c673c538a1fc5bad174d6f9"},
               {"t10k-images-idx3-ubyte.gz", "bef4ecab320f06d8554ea6380940ec79",
                "8181f5470baa50b63fa0f6fddb340f0a"},
               {"t10k-labels-idx1-ubyte.gz", "bb300cfdad3c16e7a12a480ee83cd310",
                "15d484375f8d13e6eb1aabb0c3f46965"}}},
    {.name = "kmnist",
     .summary = "70,000 gray images of cursive Japanese, 28 x 28, 10 classes (Clanuwat et al. 2018)",
     .supply = FETCH("kmnist"),
     .classes = 10,
     .class_names = kana,
     .files = {{"train-images-idx3-ubyte.gz", "bdb82020997e1d708af4cf47b453dcf7", NULL},
               {"train-labels-idx1-ubyte.gz", "e144d726b3acfaa3e44228e80efcd344", NULL},
               {"t10k-images-idx3-ubyte.gz", "5c965bf0a639b31b8f53240b1b52f4d7", NULL},
               {"t10k-labels-idx1-ubyte.gz", "7320c461ea6c1c855c0b718fb2a4b134", NULL}}},
    {.name = "mnist",
     .summary = "70,000 gray images of handwritten digits, 28 x 28, 10 classes (LeCun et al. 1998)",
     .supply = FETCH("mnist"),
     .classes = 10,
     .class_names = digits,
     .files = {{"train-images-idx3-ubyte.gz", "f68b3c2dcbeaaa9fbdd348bbdeb94873",
                "6bbc9ace898e44ae57da46a324031adb"},
               {"train-labels-idx1-ubyte.gz", "d53e105ee54ea40749a09fcbcd1e9432",
                "a25bea736e30d166cdddb491f175f624"},
               {"t10k-images-idx3-ubyte.gz", "9fb629c4189551a2d022fa330f9573f3",
                "2646ac647ad5339dbf082846283269ea"},
               {"t10k-labels-idx1-ubyte.gz", "ec29112dd5afa0611ce80d1b7f02629c",
                "27ae3e4e09519cfbb04c329615203637"}}},
    {.name = "qmnist",
     .summary = "120,000 gray images of handwritten digits, 28 x 28, 10 classes (Yadav & Bottou 2019)",
     .supply = "put the four files of its training and test parts into one of these places",
     .classes = 10,
     .class_names = digits,
     .files = {{"qmnist-train-images-idx3-ubyte.gz", "ed72d4157d28c017586c42bc6afe6370", NULL},
               {"qmnist-train-labels-idx2-int.gz", "0058f8dd561b90ffdd0f734c6a30e5e4", NULL},
               {"qmnist-test-images-idx3-ubyte.gz", "1394631089c404de565df7b7aeaf9412", NULL},
               {"qmnist-test-labels-idx2-int.gz", "5b5b05890a5e13444e108efe57b788aa", NULL}}},
};

enum { KNOWN = sizeof known_sets / sizeof *known_sets };

const struct data_known *data_known(int *count)
{
    *count = KNOWN;
    return known_sets;
}

const struct data_known *data_find_known(const char *name)
{
    for (int i = 0; i < KNOWN; i++)
        if (strcmp(known_sets[i].name, name) == 0)
            return &known_sets[i];
    return NULL;
}

enum descent_status data_fail_unknown(const char *what)
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

/* The data set that published a file of these digests, or NULL. */
static const char *publisher(const char *md5, const char *content_md5)
{
    for (int i = 0; i < KNOWN; i++)
        for (int k = 0; known_sets[i].files[k].name; k++) {
            const char *file = known_sets[i].files[k].md5, *content = known_sets[i].files[k].content_md5;
            if ((file && strcmp(file, md5) == 0) || (content && strcmp(content, content_md5) == 0))
                return known_sets[i].name;
        }
    return NULL;
}

static enum descent_status add(struct data_parts *parts, const char *name, const char *md5,
                               const char *content_md5)
{
    size_t size = (size_t)parts->file_count * sizeof *parts->files;
    struct data_file *files = descent_arena_alloc(parts->arena, size + sizeof *files);
    const char *copy = descent_arena_string(parts->arena, name);
    if (!files || !copy)
        return descent_fail(DESCENT_OUT_OF_MEMORY, "%s: no memory for its digest", name);
    if (size)
        memcpy(files, parts->files, size);
    struct data_file *file = &files[parts->file_count++];
    file->name = copy;
    memcpy(file->md5, md5, sizeof file->md5);
    file->recognized = publisher(md5, content_md5);
    parts->files = files;
    return DESCENT_OK;
}

enum descent_status data_add_file(struct data_parts *parts, struct data_stream *stream)
{
    char file[DATA_MD5_TEXT], content[DATA_MD5_TEXT];
    const char *path = data_stream_name(stream), *slash = strrchr(path, '/');
    data_stream_md5(stream, file, content);
    return add(parts, slash ? slash + 1 : path, file, content);
}

enum descent_status data_add_member(struct data_parts *parts, const char *name, const char *md5)
{
    return add(parts, name, md5, md5);
}
