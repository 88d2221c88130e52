/* The loader: an order of the view's samples per epoch, read, augmented and normalized to float32 batch by
 * batch, by the caller or by workers that are a few batches ahead of it.
 *
 * Batches go round a ring of slots, batch b in slot b modulo their number. A worker claims the next batch,
 * prepares all of it and says so; the caller takes batches in order. What is in a batch depends on nothing
 * but its number, so it does not matter who prepares it. Of what workers and caller share, all but the
 * content of claimed slots is under the mutex. */
#include "base/random.h"
#include "data/augment.h"
#include "data/order.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A prepared batch. */
struct slot {
    int64_t batch;   /* which is in it, -1: none */
    float *x;        /* capacity x sample */
    int32_t *labels; /* capacity */
    float *targets;  /* capacity x loader->targets, or NULL */
    int n;
    enum descent_status status; /* and what went wrong: messages are kept per thread */
    char message[1024];
};

/* Two samples, for a thread that prepares batches. */
struct scratch {
    uint8_t *bytes, *spare;
};

struct worker {
    struct data_loader *loader;
    struct scratch scratch;
    pthread_t handle;
};

struct data_loader {
    const struct data_view *view;
    struct data_loader_options options;
    struct data_augment *augment; /* NULL: none */
    bool mixes;
    int targets;   /* numbers a sample, 0: none */
    size_t sample; /* numbers, or bytes, of one */
    uint8_t mean[DATA_MAX_CHANNELS];
    int64_t epoch, batches, position;
    struct data_order_work order;
    struct scratch scratch; /* the caller's */

    pthread_mutex_t mutex;
    pthread_cond_t work, done;
    bool stop, running; /* workers run from the first data_loader_next on */
    int64_t claimed;    /* batches that a worker has prepared or is at */
    int64_t released;   /* batches before this one may be overwritten */
    int busy;           /* workers in a batch */
    int slots, workers; /* made and started so far */
    struct slot *slot;
    struct worker *worker;
};

/* x = (bytes / 255 - mean) / deviation of its channel, over as many channels as there are: the compiler
 * makes vectors of the inner loop. */
static void normalize(const struct data_set *set, const uint8_t *restrict bytes, size_t size,
                      float *restrict x)
{
    const float *restrict scale = set->scale, *restrict shift = set->shift;
    size_t k = 0;
    for (; k + DATA_PERIOD <= size; k += DATA_PERIOD)
        for (size_t i = 0; i < DATA_PERIOD; i++)
            x[k + i] = (float)bytes[k + i] * scale[i] + shift[i];
    for (size_t i = 0; k < size; i++, k++)
        x[k] = (float)bytes[k] * scale[i] + shift[i];
}

enum descent_status data_sample(const struct data_view *view, int64_t i, float *x, int32_t *label)
{
    if (i < 0 || i >= view->count)
        return descent_fail(DESCENT_BAD_ARGUMENT, "sample %lld asked for, expected 0 .. %lld", (long long)i,
                            (long long)view->count - 1);
    const struct data_source *source = view->source;
    size_t size = data_source_sample_bytes(source);
    uint8_t *bytes = malloc(size);
    if (!bytes)
        return descent_fail(DESCENT_OUT_OF_MEMORY, "no memory for a sample of %zu bytes", size);
    enum descent_status status = source->read(source, view->index[i], bytes);
    if (status == DESCENT_OK) {
        normalize(view->set, bytes, size, x);
        if (label)
            *label = source->labels[view->index[i]];
    }
    free(bytes);
    return status;
}

/* ---- Preparing a batch ---- */

/* The random numbers of the sample at `place` in the epoch. Where samples repeat, each time has its own. */
static struct descent_random random_of(const struct data_loader *loader, int64_t epoch, int64_t place)
{
    bool repeats = loader->options.order == DATA_WITH_REPLACEMENT || loader->options.order == DATA_BALANCED;
    struct descent_random random = descent_random_new(loader->options.seed, DESCENT_RANDOM_AUGMENT,
                                                      (uint64_t)epoch << 32 | loader->order.order[place]);
    random.next = repeats ? (uint64_t)place << 32 : 0;
    return random;
}

enum { EVERY_EPOCH = -1 };

static enum descent_status prepare(const struct data_loader *loader, int64_t place,
                                   const struct scratch *scratch, float *x)
{
    const struct data_source *source = loader->view->source;
    enum descent_status status = source->read(source, loader->order.order[place], scratch->bytes);
    if (status != DESCENT_OK)
        return status;
    struct data_image image = {.height = source->height,
                               .width = source->width,
                               .channels = source->channels,
                               .bytes = scratch->bytes,
                               .spare = scratch->spare,
                               .mean = loader->mean,
                               .epoch = loader->epoch};
    if (loader->augment) {
        image.random = random_of(loader, loader->epoch, place);
        image.fixed = random_of(loader, EVERY_EPOCH, place);
        data_augment_apply(loader->augment, &image);
    }
    normalize(loader->view->set, image.bytes, loader->sample, x);
    return DESCENT_OK;
}

/* What is to be predicted of a sample: its numbers, normalized, or a 1 at its class. */
static void fill_targets(const struct data_loader *loader, uint32_t sample, float *row)
{
    const struct data_info *info = &loader->view->set->info;
    const struct data_source *source = loader->view->source;
    for (int k = 0; k < loader->targets; k++) {
        if (info->targets > 0) {
            double deviation = info->target_deviation[k] > 0 ? info->target_deviation[k] : 1;
            double number = source->targets[(int64_t)sample * info->targets + k];
            row[k] = (float)((number - info->target_mean[k]) / deviation);
        } else {
            row[k] = source->labels[sample] == k;
        }
    }
}

/* Each image of the batch with its successor in the epoch, which is why there is one more than n. So a
 * mixture does not depend on where batches begin. Its random numbers are the second half of the sample's.
 */
static void mix(const struct data_loader *loader, int64_t first, struct slot *slot)
{
    const struct data_source *source = loader->view->source;
    for (int64_t i = 0; i < slot->n; i++) {
        struct data_mixture mixture = {.height = source->height,
                                       .width = source->width,
                                       .channels = source->channels,
                                       .x = slot->x + (size_t)i * loader->sample,
                                       .other = slot->x + (size_t)(i + 1) * loader->sample,
                                       .random = random_of(loader, loader->epoch, first + i)};
        mixture.random.next += 1u << 31;
        double share = data_augment_mix(loader->augment, &mixture);
        float *target = slot->targets + i * loader->targets, *other = target + loader->targets;
        for (int k = 0; k < loader->targets; k++)
            target[k] = (float)share * target[k] + (float)(1 - share) * other[k];
        if (share < 0.5)
            slot->labels[i] = slot->labels[i + 1];
    }
}

static void fill(const struct data_loader *loader, int64_t batch, const struct scratch *scratch,
                 struct slot *slot)
{
    int64_t count = loader->view->count, first = batch * loader->options.batch, left = count - first;
    enum descent_status status = DESCENT_OK;
    slot->n = left < loader->options.batch ? (int)left : loader->options.batch;
    for (int i = 0; i < slot->n + loader->mixes && status == DESCENT_OK; i++) {
        int64_t place = (first + i) % count;
        uint32_t sample = loader->order.order[place];
        slot->labels[i] = loader->view->source->labels[sample];
        if (loader->targets > 0)
            fill_targets(loader, sample, slot->targets + (int64_t)i * loader->targets);
        status = prepare(loader, place, scratch, slot->x + (size_t)i * loader->sample);
    }
    if (status == DESCENT_OK && loader->mixes)
        mix(loader, first, slot);
    slot->status = status;
    if (status != DESCENT_OK)
        snprintf(slot->message, sizeof slot->message, "%s", descent_error());
}

/* ---- Workers ---- */

static bool can_claim(const struct data_loader *loader)
{
    return loader->running && loader->claimed < loader->batches &&
           loader->claimed < loader->released + loader->slots;
}

static void *work(void *argument)
{
    struct worker *worker = argument;
    struct data_loader *loader = worker->loader;
    pthread_mutex_lock(&loader->mutex);
    for (;;) {
        while (!loader->stop && !can_claim(loader))
            pthread_cond_wait(&loader->work, &loader->mutex);
        if (loader->stop)
            break;
        int64_t batch = loader->claimed++;
        struct slot *slot = &loader->slot[batch % loader->slots];
        loader->busy++;
        pthread_mutex_unlock(&loader->mutex);
        fill(loader, batch, &worker->scratch, slot);
        pthread_mutex_lock(&loader->mutex);
        slot->batch = batch;
        loader->busy--;
        pthread_cond_signal(&loader->done);
    }
    pthread_mutex_unlock(&loader->mutex);
    return NULL;
}

/* Afterwards no worker is in a batch and none begins one. */
static void halt(struct data_loader *loader)
{
    pthread_mutex_lock(&loader->mutex);
    loader->running = false;
    while (loader->busy > 0)
        pthread_cond_wait(&loader->done, &loader->mutex);
    pthread_mutex_unlock(&loader->mutex);
}

/* The slot with the batch at the position; what was delivered before it is given back. */
static struct slot *await(struct data_loader *loader)
{
    struct slot *slot = &loader->slot[loader->position % loader->slots];
    pthread_mutex_lock(&loader->mutex);
    if (!loader->running) {
        for (int i = 0; i < loader->slots; i++)
            loader->slot[i].batch = -1;
        loader->claimed = loader->position;
        loader->running = true;
    }
    loader->released = loader->position;
    pthread_cond_broadcast(&loader->work);
    while (slot->batch != loader->position)
        pthread_cond_wait(&loader->done, &loader->mutex);
    pthread_mutex_unlock(&loader->mutex);
    return slot;
}

/* ---- The loader ---- */

static bool allocate_scratch(const struct data_loader *loader, struct scratch *scratch)
{
    scratch->bytes = descent_alloc(loader->sample);
    scratch->spare = descent_alloc(loader->sample);
    return scratch->bytes && scratch->spare;
}

static void free_scratch(struct scratch *scratch)
{
    descent_free(scratch->bytes);
    descent_free(scratch->spare);
}

/* A slot for each worker, and one for the batch that the caller has. */
static bool allocate_slots(struct data_loader *loader)
{
    int64_t count = loader->view->count;
    size_t batch = (size_t)(loader->options.batch < count ? loader->options.batch : count), bytes;
    size_t capacity = batch + loader->mixes;
    int wanted = loader->options.workers + 1;
    loader->slot = calloc((size_t)wanted, sizeof *loader->slot);
    if (!loader->slot || !descent_size_multiply(capacity, loader->sample * sizeof(float), &bytes))
        return false;
    for (; loader->slots < wanted; loader->slots++) {
        struct slot *slot = &loader->slot[loader->slots];
        slot->x = descent_alloc(bytes);
        slot->labels = descent_alloc(capacity * sizeof *slot->labels);
        if (loader->targets > 0)
            slot->targets = descent_alloc(capacity * (size_t)loader->targets * sizeof(float));
        if (!slot->x || !slot->labels || (loader->targets > 0 && !slot->targets)) {
            loader->slots++;
            return false;
        }
    }
    return true;
}

static bool allocate(struct data_loader *loader)
{
    struct data_order_work *order = &loader->order;
    size_t count = loader->view->count, classes = (size_t)loader->view->set->info.classes;
    bool balanced = loader->options.order == DATA_BALANCED;
    order->order = descent_alloc(count * sizeof *order->order);
    order->scratch = balanced ? descent_alloc(count * sizeof *order->scratch) : NULL;
    order->begin = balanced ? descent_alloc((classes + 1) * sizeof *order->begin) : NULL;
    return order->order && (!balanced || (order->scratch && order->begin)) &&
           allocate_scratch(loader, &loader->scratch) && allocate_slots(loader);
}

static enum descent_status start_workers(struct data_loader *loader)
{
    int wanted = loader->options.workers;
    loader->worker = calloc((size_t)wanted + 1, sizeof *loader->worker);
    if (!loader->worker)
        return descent_fail(DESCENT_OUT_OF_MEMORY, "no memory for %d workers", wanted);
    for (; loader->workers < wanted; loader->workers++) {
        struct worker *worker = &loader->worker[loader->workers];
        worker->loader = loader;
        int error = allocate_scratch(loader, &worker->scratch) ? 0 : ENOMEM;
        if (error == 0)
            error = pthread_create(&worker->handle, NULL, work, worker);
        if (error != 0) {
            free_scratch(&worker->scratch);
            return descent_fail(DESCENT_OUT_OF_MEMORY, "cannot start worker %d of %d: %s",
                                loader->workers + 1, wanted, strerror(error));
        }
    }
    return DESCENT_OK;
}

static enum descent_status check(const struct data_loader_options *options, int64_t count)
{
    if (options->batch < 1)
        return descent_fail(DESCENT_BAD_ARGUMENT, "batch %d, expected at least 1", options->batch);
    if (options->drop_last && options->batch > count)
        return descent_fail(DESCENT_BAD_ARGUMENT,
                            "batch %d of %lld samples leaves no full batch; expected at most %lld",
                            options->batch, (long long)count, (long long)count);
    if (options->workers < 0 || options->workers > DATA_MAX_WORKERS)
        return descent_fail(DESCENT_BAD_ARGUMENT, "%d workers, expected 0 to %d", options->workers,
                            DATA_MAX_WORKERS);
    return DESCENT_OK;
}

static enum descent_status set_up(struct data_loader *loader)
{
    const struct data_info *info = &loader->view->set->info;
    const struct data_loader_options *options = &loader->options;
    int64_t count = loader->view->count, batch = options->batch;
    loader->sample = data_source_sample_bytes(loader->view->source);
    loader->batches = options->drop_last ? count / batch : (count + batch - 1) / batch;
    for (int c = 0; c < info->channels; c++)
        loader->mean[c] = (uint8_t)lroundf(255 * info->mean[c]);
    if (options->augment && !(loader->augment = data_augment_new(options->augment, info)))
        return DESCENT_BAD_ARGUMENT;
    loader->mixes = loader->augment && data_augment_mixes(loader->augment);
    loader->targets = info->targets > 0 ? info->targets : loader->mixes ? info->classes : 0;
    loader->options.augment = NULL; /* the caller's string, read */
    if (!allocate(loader))
        return descent_fail(DESCENT_OUT_OF_MEMORY, "no memory for batches of %d samples", options->batch);
    data_loader_start(loader, 0);
    return start_workers(loader);
}

struct data_loader *data_loader_new(const struct data_view *view, const struct data_loader_options *options)
{
    if (check(options, view->count) != DESCENT_OK)
        return NULL;
    struct data_loader *loader = calloc(1, sizeof *loader);
    if (!loader) {
        descent_fail(DESCENT_OUT_OF_MEMORY, "no memory for batches of %d samples", options->batch);
        return NULL;
    }
    loader->view = view;
    loader->options = *options;
    pthread_mutex_init(&loader->mutex, NULL);
    pthread_cond_init(&loader->work, NULL);
    pthread_cond_init(&loader->done, NULL);
    if (set_up(loader) != DESCENT_OK) {
        data_loader_free(loader);
        return NULL;
    }
    return loader;
}

void data_loader_free(struct data_loader *loader)
{
    if (!loader)
        return;
    pthread_mutex_lock(&loader->mutex);
    loader->stop = true;
    pthread_cond_broadcast(&loader->work);
    pthread_mutex_unlock(&loader->mutex);
    for (int i = 0; i < loader->workers; i++) {
        pthread_join(loader->worker[i].handle, NULL);
        free_scratch(&loader->worker[i].scratch);
    }
    for (int i = 0; i < loader->slots; i++) {
        descent_free(loader->slot[i].x);
        descent_free(loader->slot[i].labels);
        descent_free(loader->slot[i].targets);
    }
    free_scratch(&loader->scratch);
    descent_free(loader->order.order);
    descent_free(loader->order.scratch);
    descent_free(loader->order.begin);
    data_augment_free(loader->augment);
    pthread_cond_destroy(&loader->done);
    pthread_cond_destroy(&loader->work);
    pthread_mutex_destroy(&loader->mutex);
    free(loader->worker);
    free(loader->slot);
    free(loader);
}

int64_t data_loader_batches(const struct data_loader *loader)
{
    return loader->batches;
}

bool data_loader_mixes(const struct data_loader *loader)
{
    return loader->mixes;
}

void data_loader_start(struct data_loader *loader, int64_t epoch)
{
    halt(loader);
    data_order_fill(loader->view, loader->options.order, loader->options.seed, epoch, &loader->order);
    loader->epoch = epoch;
    loader->position = 0;
}

int data_loader_next(struct data_loader *loader, struct data_batch *batch)
{
    *batch = (struct data_batch){0};
    if (loader->position == loader->batches)
        return 0;
    struct slot *slot = loader->slot;
    if (loader->workers > 0)
        slot = await(loader);
    else
        fill(loader, loader->position, &loader->scratch, slot);
    if (slot->status != DESCENT_OK) {
        descent_fail(slot->status, "%s", slot->message);
        return -1;
    }
    loader->position++;
    *batch =
        (struct data_batch){.x = slot->x, .labels = slot->labels, .targets = slot->targets, .n = slot->n};
    return batch->n;
}

int64_t data_loader_position(const struct data_loader *loader)
{
    return loader->position;
}

enum descent_status data_loader_seek(struct data_loader *loader, int64_t position)
{
    if (position < 0 || position > loader->batches)
        return descent_fail(DESCENT_BAD_ARGUMENT, "position %lld in an epoch, expected 0 .. %lld",
                            (long long)position, (long long)loader->batches);
    halt(loader);
    loader->position = position;
    return DESCENT_OK;
}
