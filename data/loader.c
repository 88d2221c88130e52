/* The loader: an order of the view's samples per epoch, decoded to normalized float32 batch by batch. */
#include "base/random.h"
#include "data/set.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK_BYTES = 1 << 14 }; /* of samples a chunk should hold at least, to be worth a thread's while */

struct data_loader {
    const struct data_view *view;
    struct data_loader_options options;
    size_t sample; /* numbers, or bytes, of one */
    int64_t batches, position;
    uint32_t *order; /* samples of the source, as this epoch takes them */

    float *x;         /* batch x sample */
    int32_t *labels;  /* batch */
    uint8_t *scratch; /* threads x sample */

    /* The batch being decoded, and what went wrong in each chunk of it: messages are kept per thread, so
     * they are carried over. */
    int n, chunks;
    struct {
        enum descent_status status;
        char message[1024];
    } failure[DESCENT_MAX_CHUNKS];
};

enum descent_status data_decode(const struct data_view *view, uint32_t sample, uint8_t *scratch, float *x)
{
    const struct data_source *source = view->source;
    const struct data_set *set = view->set;
    enum descent_status status = source->read(source, sample, scratch);
    if (status != DESCENT_OK)
        return status;
    size_t size = data_source_sample_bytes(source), channels = (size_t)source->channels;
    for (size_t c = 0; c < channels; c++) {
        const float *normalized = set->normalized[c];
        for (size_t k = c; k < size; k += channels)
            x[k] = normalized[scratch[k]];
    }
    return DESCENT_OK;
}

enum descent_status data_sample(const struct data_view *view, int64_t i, float *x, int32_t *label)
{
    if (i < 0 || i >= view->count)
        return descent_fail(DESCENT_BAD_ARGUMENT, "sample %lld asked for, expected 0 .. %lld", (long long)i,
                            (long long)view->count - 1);
    size_t size = data_source_sample_bytes(view->source);
    uint8_t *scratch = malloc(size);
    if (!scratch)
        return descent_fail(DESCENT_OUT_OF_MEMORY, "no memory for a sample of %zu bytes", size);
    enum descent_status status = data_decode(view, view->index[i], scratch, x);
    if (status == DESCENT_OK && label)
        *label = view->source->labels[view->index[i]];
    free(scratch);
    return status;
}

static bool allocate(struct data_loader *loader, size_t capacity)
{
    size_t threads = (size_t)descent_pool_threads(loader->options.pool), numbers, bytes, scratch;
    if (!descent_size_multiply(capacity, loader->sample, &numbers) ||
        !descent_size_multiply(numbers, sizeof *loader->x, &bytes) ||
        !descent_size_multiply(threads, descent_round_up(loader->sample), &scratch))
        return false;
    loader->x = descent_alloc(bytes);
    loader->scratch = descent_alloc(scratch);
    loader->labels = descent_alloc(capacity * sizeof *loader->labels);
    loader->order = descent_alloc(loader->view->count * sizeof *loader->order);
    return loader->x && loader->scratch && loader->labels && loader->order;
}

struct data_loader *data_loader_new(const struct data_view *view, const struct data_loader_options *options)
{
    if (options->batch < 1) {
        descent_fail(DESCENT_BAD_ARGUMENT, "batch %d, expected at least 1", options->batch);
        return NULL;
    }
    int64_t count = view->count, batch = options->batch;
    if (options->drop_last && batch > count) {
        descent_fail(DESCENT_BAD_ARGUMENT,
                     "batch %d of %lld samples leaves no full batch; expected at most %lld", options->batch,
                     (long long)count, (long long)count);
        return NULL;
    }
    struct data_loader *loader = calloc(1, sizeof *loader);
    if (loader) {
        loader->view = view;
        loader->options = *options;
        loader->sample = data_source_sample_bytes(view->source);
        loader->batches = options->drop_last ? count / batch : (count + batch - 1) / batch;
    }
    if (!loader || !allocate(loader, (size_t)(batch < count ? batch : count))) {
        data_loader_free(loader);
        descent_fail(DESCENT_OUT_OF_MEMORY, "no memory for batches of %d samples", options->batch);
        return NULL;
    }
    data_loader_start(loader, 0);
    return loader;
}

void data_loader_free(struct data_loader *loader)
{
    if (!loader)
        return;
    descent_free(loader->x);
    descent_free(loader->scratch);
    descent_free(loader->labels);
    descent_free(loader->order);
    free(loader);
}

int64_t data_loader_batches(const struct data_loader *loader)
{
    return loader->batches;
}

void data_loader_start(struct data_loader *loader, int64_t epoch)
{
    const struct data_view *view = loader->view;
    memcpy(loader->order, view->index, view->count * sizeof *loader->order);
    if (loader->options.shuffle) {
        struct descent_random random =
            descent_random_new(loader->options.seed, DESCENT_RANDOM_SHUFFLE, (uint64_t)epoch);
        descent_random_shuffle(&random, loader->order, view->count);
    }
    loader->position = 0;
}

static void decode_chunk(void *context, int chunk, int thread)
{
    struct data_loader *loader = context;
    const uint32_t *order = loader->order + loader->position * loader->options.batch;
    uint8_t *scratch = loader->scratch + (size_t)thread * descent_round_up(loader->sample);
    int64_t begin, end;
    descent_chunk_range(loader->n, loader->chunks, chunk, &begin, &end);
    enum descent_status status = DESCENT_OK;
    for (int64_t i = begin; i < end && status == DESCENT_OK; i++) {
        status = data_decode(loader->view, order[i], scratch, loader->x + (size_t)i * loader->sample);
        loader->labels[i] = loader->view->source->labels[order[i]];
    }
    loader->failure[chunk].status = status;
    if (status != DESCENT_OK)
        snprintf(loader->failure[chunk].message, sizeof loader->failure[chunk].message, "%s",
                 descent_error());
}

int data_loader_next(struct data_loader *loader, struct data_batch *batch)
{
    *batch = (struct data_batch){.x = loader->x, .labels = loader->labels};
    if (loader->position == loader->batches)
        return 0;
    int64_t left = loader->view->count - loader->position * loader->options.batch;
    loader->n = left < loader->options.batch ? (int)left : loader->options.batch;
    loader->chunks = descent_chunk_count(loader->n, 1 + (int64_t)(CHUNK_BYTES / loader->sample));
    descent_pool_run(loader->options.pool, loader->chunks, decode_chunk, loader);
    for (int i = 0; i < loader->chunks; i++) {
        if (loader->failure[i].status != DESCENT_OK) {
            descent_fail(loader->failure[i].status, "%s", loader->failure[i].message);
            return -1;
        }
    }
    loader->position++;
    batch->n = loader->n;
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
    loader->position = position;
    return DESCENT_OK;
}
