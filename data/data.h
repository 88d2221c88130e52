/* Data sets: finding them, describing them, and turning them into shuffled mini-batches of normalized
 * float32.
 *
 *     struct data_set *set;
 *     struct data_view *train, *validation;
 *     if (data_open("fashion-mnist", &set) || data_split(set, 0.1, 1, &train, &validation))
 *         return fprintf(stderr, "%s\n", descent_error()), 1;
 *     struct data_loader *loader =
 *         data_loader_new(train, &(struct data_loader_options){.batch = 64, .order = DATA_SHUFFLED});
 *     for (int64_t epoch = 0; epoch < 5; epoch++) {
 *         struct data_batch batch;
 *         data_loader_start(loader, epoch);
 *         while (data_loader_next(loader, &batch) > 0)
 *             ... batch.x, batch.labels, batch.n ...
 *     }
 *
 * CONVENTIONS. Images are height x width x channels, labels are classes counted from 0. Whoever gets an
 * object from data_open, data_view_*, data_split or data_loader_new frees it, the loader before its view,
 * the view before its set: each keeps a pointer to what it was made from. Errors as in base/status.h. A set
 * and its views never change, so that threads may share them; a loader belongs to one thread at a time. */
#ifndef DESCENT_DATA_DATA_H
#define DESCENT_DATA_DATA_H

#include "base/pool.h"
#include "base/spec.h"
#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

enum { DATA_MAX_CHANNELS = 4, DATA_MAX_CLASSES = 1000, DATA_MAX_TARGETS = 1000 };

/* A data set: a training and a test part of images of one size, with their labels. */
struct data_set;

/* Opens the data set `what`: a path, or the name of a known data set, looked for in this order:
 *
 *     WHAT                                    as a path
 *     $DESCENT_DATA/WHAT
 *     $XDG_CACHE_HOME/descent/WHAT            ~/.cache where XDG_CACHE_HOME is not set
 *     /usr/share/datasets/WHAT                where Debian's dataset-* packages put them
 *
 * The first of them that exists is read, whatever of these its content is, plain or gzipped:
 *
 *     IDX files       train-images-idx3-ubyte and three more, as MNIST, Fashion-MNIST, KMNIST, QMNIST and
 *                     EMNIST come, of any element type, 1 to 4 dimensions, spelled with -idx3- or .idx3-
 *     CIFAR           cifar-10-batches-bin or cifar-100-binary, or their .tar.gz as it is
 *     .npy files      x_train.npy, y_train.npy, x_test.npy, y_test.npy; y: classes, or numbers to predict
 *     pictures        CLASS/NAME.png, .jpg or .bmp, in train/ and test/ or split here
 *
 * Options of a format follow a colon: "photos:size=64,gray", "cifar-100:labels=coarse"; data_format lists
 * them. A path that exists is taken as it is, colon and all. Samples stay bytes, 1 a pixel and channel;
 * values that a byte does not keep are refused. DESCENT_NOT_FOUND lists the places searched;
 * DESCENT_BAD_FORMAT and DESCENT_MISMATCH name the file, what it holds and what was expected. On failure
 * *set is NULL.
 *
 * The classes of a directory that is named like a known data set are that set's; other sets have as many
 * classes as their largest label says, at most DATA_MAX_CLASSES. */
enum descent_status data_open(const char *what, struct data_set **set);

struct data_open_options {
    bool skip_bad;             /* leave out images that cannot be decoded, and count them */
    struct descent_pool *pool; /* decodes in parallel while opening; NULL: on the calling thread */
};

enum descent_status data_open_with(const char *what, const struct data_open_options *options,
                                   struct data_set **set);
void data_free(struct data_set *set);

/* A file that was read, and what is known of it. */
struct data_file {
    const char *name;       /* of the file, or of the member of an archive */
    char md5[33];           /* of its bytes as they lie there, in hexadecimal */
    const char *recognized; /* "mnist": the content is as published there; NULL: not known */
};

struct data_info {
    const char *name; /* of the directory it came from: "fashion-mnist" */
    const char *path; /* where it was found */
    int channels, height, width;
    int classes; /* 1 where targets are numbers: all samples are of it */
    int targets; /* numbers to predict, of each sample; 0: its class */
    /* `targets` of each, over the training part; a deviation of 0 is reported as 0 and normalized as 1. */
    const double *target_mean, *target_deviation;
    int64_t train_count, test_count;
    const char *const *class_names; /* `classes` of them: "sneaker", or "7" where nobody named them */
    /* Per channel, over every pixel of the training part scaled to 0 .. 1; a deviation of 0 is reported as
     * 0 and normalized as 1. */
    float mean[DATA_MAX_CHANNELS], deviation[DATA_MAX_CHANNELS];
    int64_t skipped;           /* images left out because they could not be decoded */
    const char *skipped_first; /* what was wrong with the first of them, or NULL */
    const struct data_file *files;
    int file_count;
};

/* Valid as long as the set. */
const struct data_info *data_describe(const struct data_set *set);

/* Whether all samples lie in memory: then a process forked from this one may read the set, too. */
bool data_in_memory(const struct data_set *set);

/* What data_open knows by name. */
struct data_known {
    const char *name;
    const char *summary; /* one line, lower case, no full stop */
    const char *supply;  /* how to get it */
    int classes;         /* 0: its files tell */
    const char *const *class_names;
    /* The files as published, and their MD5: of the file (or NULL where another is published), and of what
     * is in it where it is compressed (or NULL where that is not known). Ends with a name of NULL. */
    struct {
        const char *name, *md5, *content_md5;
    } files[13];
};

const struct data_known *data_known(int *count);

/* What a path may hold. */
struct data_format_info {
    const char *name;    /* "cifar" */
    const char *summary; /* "CIFAR-10 or CIFAR-100, binary version: its directory or its .tar.gz" */
    const struct descent_option *options;
    int option_count;
};

/* The i-th from 0, NULL past the end. */
const struct data_format_info *data_format(int i);

/* A view: some of the samples of one part, in the order of the files. data_view_train and data_view_test
 * see the whole part. NULL when out of memory. */
struct data_view;
struct data_view *data_view_train(const struct data_set *set);
struct data_view *data_view_test(const struct data_set *set);

/* Splits the training part in two: round(fraction * train_count) samples for validation, the rest for
 * training. Stratified: each class gives its share, rounded by largest remainder. Which samples is a
 * function of the seed alone. DESCENT_BAD_ARGUMENT unless both views get a sample. */
enum descent_status data_split(const struct data_set *set, double fraction, uint64_t seed,
                               struct data_view **train, struct data_view **validation);
/* Some samples of a view, in the order given; each in 0 .. data_view_count - 1. NULL on failure. */
struct data_view *data_view_select(const struct data_view *view, const int64_t *samples, int64_t count);

int64_t data_view_count(const struct data_view *view);
int32_t data_view_label(const struct data_view *view, int64_t i);
void data_view_free(struct data_view *view);

/* Sample i of 0 .. data_view_count - 1. x: height x width x channels, normalized; label may be NULL. */
enum descent_status data_sample(const struct data_view *view, int64_t i, float *x, int32_t *label);

/* Images that a set has more than once, pixel for pixel. */
struct data_duplicates {
    int64_t train;     /* training images that repeat an earlier one */
    int64_t test;      /* test images that repeat an earlier one, and are not in the training part */
    int64_t leaked;    /* test images that are in the training part too */
    int64_t relabeled; /* of all these, those whose label is another than the first one's */
};

/* Reads the whole set. */
enum descent_status data_find_duplicates(const struct data_set *set, struct data_duplicates *duplicates);

/* ---- Augmentation ----
 * Random changes of training images, named by specs: "crop:pad=4+flip+cutout:size=8" crops, flips, then
 * cuts out. What happens to an image is a function of (seed, epoch, sample) alone. */

/* What there is, for lists and help. */
struct data_augmentation_info {
    const char *name;    /* "crop" */
    const char *summary; /* "a window of the image's size, somewhere in the padded image" */
    const char *paper;   /* where it comes from, and what PyTorch calls it */
    const struct descent_option *options;
    int option_count;
};

/* The i-th from 0, NULL past the end. */
const struct data_augmentation_info *data_augmentation(int i);

/* ---- Loader ---- */

/* Which samples an epoch takes, and when: a function of (seed, epoch) alone. However it is, an epoch is as
 * many samples as the view has. */
enum data_order {
    DATA_IN_ORDER,         /* each once, as the view has them */
    DATA_SHUFFLED,         /* each once, in a new order each epoch */
    DATA_WITH_REPLACEMENT, /* each draw is from all of them */
    DATA_BALANCED,         /* every class equally often, to within one: a common class gives a part of its
                              samples, other ones each epoch; a rare one gives all, again and again */
};

/* "fixed", "shuffled", "replacement", "balanced"; NULL after the last. */
extern const char *const data_order_names[];

struct data_loader_options {
    int batch; /* samples a batch, at least 1 */
    enum data_order order;
    bool drop_last;      /* leave out the last batch where it is short */
    uint64_t seed;       /* of order and augmentation */
    int workers;         /* threads that prepare the next batches meanwhile, 0 .. DATA_MAX_WORKERS; 0: the
                            caller prepares each when it asks. Never changes a bit */
    const char *augment; /* a spec; NULL: images as they are */
};

enum { DATA_MAX_WORKERS = 64 };

struct data_loader;

/* A loader of the view's samples, at the start of epoch 0. NULL on failure. */
struct data_loader *data_loader_new(const struct data_view *view,
                                    const struct data_loader_options *options);

/* At any moment; batches being prepared are waited for. */
void data_loader_free(struct data_loader *loader);

/* Batches in an epoch. */
int64_t data_loader_batches(const struct data_loader *loader);

/* Whether it mixes images and their labels (mixup, CutMix): then batches have targets. */
bool data_loader_mixes(const struct data_loader *loader);

/* Begins an epoch, at its first batch. */
void data_loader_start(struct data_loader *loader, int64_t epoch);

/* n samples; the memory is the loader's, valid until its next call. */
struct data_batch {
    const float *x; /* n x height x width x channels, (pixel / 255 - mean) / deviation of its channel */
    const int32_t *labels; /* n; of a mixed image, the class with the larger share */
    /* What is to be predicted where it is not just a class: of mixed images n x classes, each row adds up
     * to 1; of a set with targets n x targets, (number - target_mean) / target_deviation. Else NULL. */
    const float *targets;
    int n;
};

/* The next batch: how many samples it holds, 0 at the end of the epoch, -1 on error, which a worker's is
 * too. */
int data_loader_next(struct data_loader *loader, struct data_batch *batch);

/* The position in the epoch: batches delivered so far, 0 .. data_loader_batches. To resume, start the epoch
 * and seek: the next batch is the one that would have been next. */
int64_t data_loader_position(const struct data_loader *loader);
enum descent_status data_loader_seek(struct data_loader *loader, int64_t position);

#endif
