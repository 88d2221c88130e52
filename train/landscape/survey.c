/* See survey.h. */
#include "train/landscape/survey.h"

#include "base/file.h"
#include "base/pool.h"
#include "train/launch.h"
#include "train/npy.h"
#include "train/progress.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct state {
    const struct survey *survey;
    int file;
    int64_t items, each; /* measurements, values of one */
    double *values;
    void *worker[DESCENT_MAX_THREADS];

    pthread_mutex_t lock;          /* of all that follows */
    int64_t next, finished, found; /* found: of the finished, those that were in the file */
    enum descent_status status;    /* the first that failed */
    char error[1024];
    struct progress progress;
};

/* ---- The file ---- */

static enum descent_status fail_file(const struct state *state, const char *doing)
{
    return descent_fail_errno(doing, state->survey->path, errno);
}

static bool write_at(int file, const void *bytes, size_t size, off_t offset)
{
    ssize_t written;
    do
        written = pwrite(file, bytes, size, offset);
    while (written < 0 && errno == EINTR);
    return written == (ssize_t)size;
}

/* All NaN, beside its place and renamed: there never is a part of it. */
static enum descent_status create_file(const struct state *state, const char *header)
{
    struct descent_file out;
    enum descent_status status = descent_file_create(&out, state->survey->path);
    if (status != DESCENT_OK)
        return status;
    fwrite(header, 1, NPY_HEADER, out.stream);
    fwrite(state->values, sizeof *state->values, (size_t)(state->items * state->each), out.stream);
    return descent_file_commit(&out);
}

/* Fills state->values from the file, or makes one. */
static enum descent_status open_file(struct state *state)
{
    const struct survey *survey = state->survey;
    char header[NPY_HEADER], found[NPY_HEADER];
    size_t bytes = (size_t)(state->items * state->each) * sizeof *state->values;
    enum descent_status status = DESCENT_OK;
    struct stat info;
    npy_header(header, "'<f8'", survey->rank, survey->shape);
    state->file = open(survey->path, O_RDWR | O_CLOEXEC);
    if (state->file < 0 && errno == ENOENT) {
        status = create_file(state, header);
        if (status == DESCENT_OK)
            state->file = open(survey->path, O_RDWR | O_CLOEXEC);
    }
    if (status != DESCENT_OK)
        return status;
    if (state->file < 0 || fstat(state->file, &info) != 0)
        return fail_file(state, "open");
    if (info.st_size != (off_t)(NPY_HEADER + bytes))
        return descent_fail(DESCENT_BAD_FORMAT,
                            "%s: %lld bytes, expected %lld; it was cut off or is another array: remove it",
                            survey->path, (long long)info.st_size, (long long)(NPY_HEADER + bytes));
    if (pread(state->file, found, NPY_HEADER, 0) != NPY_HEADER ||
        pread(state->file, state->values, bytes, NPY_HEADER) != (ssize_t)bytes)
        return fail_file(state, "read");
    if (memcmp(found, header, NPY_HEADER) != 0)
        return descent_fail(DESCENT_MISMATCH, "%s: is another array; remove it", survey->path);
    return DESCENT_OK;
}

static bool is_finished(const struct state *state, int64_t item)
{
    for (int64_t k = 0; k < state->each; k++)
        if (isnan(state->values[item * state->each + k]))
            return false;
    return true;
}

/* ---- Measuring ---- */

static void keep_error(struct state *state, enum descent_status status)
{
    pthread_mutex_lock(&state->lock);
    if (state->status == DESCENT_OK) {
        state->status = status;
        snprintf(state->error, sizeof state->error, "%s", descent_error());
    }
    pthread_mutex_unlock(&state->lock);
}

/* The next item without values; -1: none, or it is time to stop. */
static int64_t claim(struct state *state)
{
    int64_t item = -1;
    pthread_mutex_lock(&state->lock);
    while (state->next < state->items && is_finished(state, state->next))
        state->next++;
    if (state->next < state->items && state->status == DESCENT_OK && !launch_wants_stop(NULL))
        item = state->next++;
    pthread_mutex_unlock(&state->lock);
    return item;
}

static void work(void *context, int chunk, int thread)
{
    struct state *state = context;
    void *worker = state->worker[chunk];
    (void)thread;
    for (int64_t item; (item = claim(state)) >= 0;) {
        double *values = state->values + item * state->each;
        size_t bytes = (size_t)state->each * sizeof *values;
        enum descent_status status = state->survey->measure(state->survey->context, worker, item, values);
        if (status == DESCENT_OK &&
            !write_at(state->file, values, bytes, (off_t)(NPY_HEADER + (size_t)item * bytes)))
            status = fail_file(state, "write");
        if (status != DESCENT_OK) {
            keep_error(state, status);
            return;
        }
        pthread_mutex_lock(&state->lock);
        state->finished++;
        progress_show(&state->progress, state->finished, state->items, state->found);
        pthread_mutex_unlock(&state->lock);
    }
}

static enum descent_status measure_all(struct state *state)
{
    const struct survey *survey = state->survey;
    int64_t left = state->items - state->finished;
    int threads = left < survey->threads ? (int)left : survey->threads;
    enum descent_status status = DESCENT_OK;
    for (int i = 0; i < threads && status == DESCENT_OK; i++)
        status = survey->begin(survey->context, &state->worker[i]);
    struct descent_pool *pool = status == DESCENT_OK ? descent_pool_new(threads) : NULL;
    if (status == DESCENT_OK && !pool)
        status = DESCENT_OUT_OF_MEMORY;
    if (status == DESCENT_OK) {
        state->progress = progress_on(stdout, survey->what);
        descent_pool_run(pool, threads, work, state);
        progress_end(&state->progress);
        if (state->status != DESCENT_OK)
            status = descent_fail(state->status, "%s", state->error);
    }
    descent_pool_free(pool);
    for (int i = 0; i < threads; i++)
        survey->end(state->worker[i]);
    return status;
}

enum descent_status survey_run(const struct survey *survey, double **values, bool *done)
{
    struct state state = {.survey = survey, .file = -1, .items = 1};
    *values = NULL;
    *done = false;
    for (int i = 0; i < survey->rank - 1; i++)
        state.items *= survey->shape[i];
    state.each = survey->shape[survey->rank - 1];
    state.values = malloc((size_t)(state.items * state.each) * sizeof *state.values);
    if (!state.values)
        return descent_fail(DESCENT_OUT_OF_MEMORY, "out of memory");
    for (int64_t i = 0; i < state.items * state.each; i++)
        state.values[i] = NAN;
    pthread_mutex_init(&state.lock, NULL);
    enum descent_status status = open_file(&state);
    for (int64_t i = 0; i < state.items && status == DESCENT_OK; i++)
        state.found += is_finished(&state, i);
    state.finished = state.found;
    if (status == DESCENT_OK && state.finished < state.items)
        status = measure_all(&state);
    if (state.file >= 0)
        close(state.file);
    pthread_mutex_destroy(&state.lock);
    *done = status == DESCENT_OK && state.finished == state.items;
    if (*done)
        *values = state.values;
    else
        free(state.values);
    return status;
}
