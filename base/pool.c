/* The thread pool: a region (one descent_pool_run) is published as a ticket, from which threads claim its
 * chunks. Not a task queue: one region at a time, and the caller works along.
 *
 * The ticket holds (region number, a bit for each share of the chunks not yet claimed). A thread reads the
 * ticket, then the region's function, then claims by compare-and-swap: the swap succeeds only if nobody
 * claimed meanwhile, hence the region not over and the function the right one. So nobody waits for a late
 * thread, and a late thread finds nothing to do.
 *
 * Each thread begins at a place of its own and goes upward, so that in one region after another it meets
 * the same part of the data in its own cache: another core's takes several times as long. Done there, it
 * helps out from the top.
 *
 * Threads without work spin for a moment, because the next region of a training step is microseconds away
 * and waking a sleeper takes tens of them; then they sleep. */
#if defined(__linux__) && !defined(_GNU_SOURCE)
#define _GNU_SOURCE /* sched_getaffinity */
#endif
#include "base/pool.h"

#include "base/memory.h"
#include "base/status.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#if defined(__SSE__)
#include <immintrin.h>
#endif

enum { SPIN_NANOSECONDS = 50000, MAX_SHARES = 32 };

struct worker {
    struct descent_pool *pool;
    int thread; /* 1 .. threads-1 */
    pthread_t handle;
};

struct descent_pool {
    int threads;
    bool spins; /* every thread can have a CPU of its own */

    /* Written by the caller before the ticket; atomic because a late thread may look, in vain. */
    _Atomic(descent_chunk_function *) function;
    _Atomic(void *) context;
    atomic_int chunks;

    _Alignas(DESCENT_ALIGNMENT) _Atomic(uint64_t) ticket; /* region << 32 | unclaimed shares */
    _Alignas(DESCENT_ALIGNMENT) atomic_int unfinished;    /* shares */

    /* A sleeper announces itself, then looks once more; who has news publishes it, then looks for sleepers.
     * All four are sequentially consistent, so at least one side sees the other. */
    _Alignas(DESCENT_ALIGNMENT) atomic_int sleeping_workers;
    atomic_bool sleeping_caller;
    atomic_bool stop;
    pthread_mutex_t mutex;
    pthread_cond_t work, finished;

    struct worker worker[]; /* threads - 1 */
};

/* The chunk this thread is in, if any: runs started from it are serial. */
static _Thread_local struct {
    bool inside;
    const struct descent_pool *pool;
    int thread;
} current;

/* Flush-to-zero and denormals-are-zero: arithmetic on denormals is tens of times slower. Returns the former
 * mode. */
static uint64_t flush_denormals(void)
{
#if defined(__SSE__)
    unsigned mode = _mm_getcsr();
    _mm_setcsr(mode | 0x8040);
    return mode;
#elif defined(__aarch64__)
    uint64_t mode;
    __asm__ volatile("mrs %0, fpcr" : "=r"(mode));
    __asm__ volatile("msr fpcr, %0" : : "r"(mode | 1u << 24));
    return mode;
#else
    return 0;
#endif
}

static void restore_denormals(uint64_t mode)
{
#if defined(__SSE__)
    _mm_setcsr((unsigned)mode);
#elif defined(__aarch64__)
    __asm__ volatile("msr fpcr, %0" : : "r"(mode));
#else
    (void)mode;
#endif
}

static void pause_briefly(void)
{
#if defined(__SSE__)
    _mm_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static int64_t nanoseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int clamp(long cpus)
{
    return cpus < 1 ? 1 : cpus > DESCENT_MAX_THREADS ? DESCENT_MAX_THREADS : (int)cpus;
}

int descent_cpus(void)
{
#ifdef __linux__
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0)
        return clamp(CPU_COUNT(&set));
#endif
    return clamp(sysconf(_SC_NPROCESSORS_ONLN));
}

static bool called_for(struct descent_pool *pool)
{
    return (uint32_t)atomic_load(&pool->ticket) != 0 || atomic_load(&pool->stop);
}

static bool all_finished(struct descent_pool *pool)
{
    return atomic_load(&pool->unfinished) == 0;
}

/* Whether `ready` came true soon. */
static bool spin(struct descent_pool *pool, bool (*ready)(struct descent_pool *))
{
    if (!pool->spins)
        return ready(pool);
    int64_t end = nanoseconds() + SPIN_NANOSECONDS;
    do
        for (int i = 0; i < 32; i++) {
            if (ready(pool))
                return true;
            pause_briefly();
        }
    while (nanoseconds() < end);
    return false;
}

/* A sleeper that has announced itself is past its last look, hence waiting, once the mutex can be had.
 * Signaling after letting go of it spares the woken thread a second wait. */
static void let_sleepers_settle(struct descent_pool *pool)
{
    pthread_mutex_lock(&pool->mutex);
    pthread_mutex_unlock(&pool->mutex);
}

static int shares_of(int chunks)
{
    return chunks < MAX_SHARES ? chunks : MAX_SHARES;
}

/* The share this thread should claim: its own first. */
static int choose(const struct descent_pool *pool, int chunks, uint32_t unclaimed, int thread)
{
    int place = shares_of(chunks) * thread / pool->threads;
    uint32_t upward = unclaimed >> place << place;
    return upward ? __builtin_ctz(upward) : 31 - __builtin_clz(unclaimed);
}

/* Claims and runs chunks until none is left to claim. */
static void run_chunks(struct descent_pool *pool, int thread)
{
    uint64_t ticket = atomic_load(&pool->ticket);
    while ((uint32_t)ticket != 0) {
        descent_chunk_function *function = atomic_load_explicit(&pool->function, memory_order_relaxed);
        void *context = atomic_load_explicit(&pool->context, memory_order_relaxed);
        int chunks = atomic_load_explicit(&pool->chunks, memory_order_relaxed);
        int share = choose(pool, chunks, (uint32_t)ticket, thread);
        if (!atomic_compare_exchange_weak(&pool->ticket, &ticket, ticket & ~(UINT64_C(1) << share)))
            continue; /* with the ticket as it is now */
        int64_t begin, end;
        descent_chunk_range(chunks, shares_of(chunks), share, &begin, &end);
        for (int64_t chunk = begin; chunk < end; chunk++)
            function(context, (int)chunk, thread);
        if (atomic_fetch_sub(&pool->unfinished, 1) == 1 && atomic_load(&pool->sleeping_caller)) {
            let_sleepers_settle(pool);
            pthread_cond_signal(&pool->finished);
        }
        ticket = atomic_load(&pool->ticket);
    }
}

static void *work(void *argument)
{
    struct worker *worker = argument;
    struct descent_pool *pool = worker->pool;
    flush_denormals();
    current.inside = true;
    current.pool = pool;
    current.thread = worker->thread;
    while (!atomic_load(&pool->stop)) {
        run_chunks(pool, worker->thread);
        if (spin(pool, called_for))
            continue;
        pthread_mutex_lock(&pool->mutex);
        atomic_fetch_add(&pool->sleeping_workers, 1);
        while (!called_for(pool))
            pthread_cond_wait(&pool->work, &pool->mutex);
        atomic_fetch_sub(&pool->sleeping_workers, 1);
        pthread_mutex_unlock(&pool->mutex);
    }
    return NULL;
}

static void wake_workers(struct descent_pool *pool, int wanted)
{
    int sleeping = atomic_load(&pool->sleeping_workers);
    if (sleeping == 0)
        return;
    let_sleepers_settle(pool);
    if (wanted < sleeping)
        for (int i = 0; i < wanted; i++)
            pthread_cond_signal(&pool->work);
    else
        pthread_cond_broadcast(&pool->work);
}

static void await_finish(struct descent_pool *pool)
{
    if (spin(pool, all_finished))
        return;
    pthread_mutex_lock(&pool->mutex);
    atomic_store(&pool->sleeping_caller, true);
    while (!all_finished(pool))
        pthread_cond_wait(&pool->finished, &pool->mutex);
    atomic_store(&pool->sleeping_caller, false);
    pthread_mutex_unlock(&pool->mutex);
}

struct descent_pool *descent_pool_new(int threads)
{
    if (threads < 1 || threads > DESCENT_MAX_THREADS) {
        descent_fail(DESCENT_BAD_ARGUMENT, "%d threads; expected 1 to %d", threads, DESCENT_MAX_THREADS);
        return NULL;
    }
    struct descent_pool *pool = descent_alloc(sizeof *pool + (size_t)(threads - 1) * sizeof(struct worker));
    if (!pool)
        return NULL;
    pool->spins = threads <= descent_cpus();
    pthread_mutex_init(&pool->mutex, NULL);
    pthread_cond_init(&pool->work, NULL);
    pthread_cond_init(&pool->finished, NULL);
    for (pool->threads = 1; pool->threads < threads; pool->threads++) {
        struct worker *worker = &pool->worker[pool->threads - 1];
        *worker = (struct worker){.pool = pool, .thread = pool->threads};
        int error = pthread_create(&worker->handle, NULL, work, worker);
        if (error) {
            descent_fail(DESCENT_OUT_OF_MEMORY, "cannot start thread %d of %d: %s", pool->threads + 1,
                         threads, strerror(error));
            descent_pool_free(pool);
            return NULL;
        }
    }
    return pool;
}

void descent_pool_free(struct descent_pool *pool)
{
    if (!pool)
        return;
    atomic_store(&pool->stop, true);
    wake_workers(pool, pool->threads);
    for (int i = 0; i < pool->threads - 1; i++)
        pthread_join(pool->worker[i].handle, NULL);
    pthread_cond_destroy(&pool->finished);
    pthread_cond_destroy(&pool->work);
    pthread_mutex_destroy(&pool->mutex);
    descent_free(pool);
}

int descent_pool_threads(const struct descent_pool *pool)
{
    return pool ? pool->threads : 1;
}

void descent_pool_run(struct descent_pool *pool, int chunks, descent_chunk_function *function,
                      void *context)
{
    if (current.inside) {
        for (int chunk = 0; chunk < chunks; chunk++)
            function(context, chunk, pool && pool == current.pool ? current.thread : 0);
        return;
    }
    uint64_t mode = flush_denormals();
    current.inside = true;
    current.pool = pool;
    current.thread = 0;
    if (descent_pool_threads(pool) == 1 || chunks <= 1) {
        for (int chunk = 0; chunk < chunks; chunk++)
            function(context, chunk, 0);
    } else {
        atomic_store_explicit(&pool->function, function, memory_order_relaxed);
        atomic_store_explicit(&pool->context, context, memory_order_relaxed);
        atomic_store_explicit(&pool->chunks, chunks, memory_order_relaxed);
        int shares = shares_of(chunks);
        atomic_store(&pool->unfinished, shares);
        uint64_t region = (atomic_load(&pool->ticket) >> 32) + 1;
        atomic_store(&pool->ticket, region << 32 | (UINT32_MAX >> (MAX_SHARES - shares)));
        wake_workers(pool, chunks - 1);
        run_chunks(pool, 0);
        await_finish(pool);
    }
    current.inside = false;
    restore_denormals(mode);
}
