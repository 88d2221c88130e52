/* The thread pool: every chunk once, whoever is late; and no trace left in the caller's floating-point
 * mode. */
#include "base/pool.h"

#include "base/status.h"
#include "tests/test.h"

#include <float.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

#ifdef __linux__ /* a machine with as many CPUs as the system can count */
static bool many_cpus;
int __real_sched_getaffinity(int process, size_t size, void *set);
int __wrap_sched_getaffinity(int process, size_t size, void *set);

int __wrap_sched_getaffinity(int process, size_t size, void *set)
{
    return many_cpus ? memset(set, 255, size), 0 : __real_sched_getaffinity(process, size, set);
}

static void all_cpus_of_a_large_machine_make_a_pool(void **state)
{
    (void)state;
    assert_in_range(descent_cpus(), 1, DESCENT_MAX_THREADS);
    many_cpus = true;
    assert_int_equal(descent_cpus(), DESCENT_MAX_THREADS);
    many_cpus = false;
}
#endif

static const int thread_counts[] = {1, 2, 3, 8};
#define FOR_EACH_POOL(pool)                                                                                \
    for (size_t i_ = 0; i_ < sizeof thread_counts / sizeof *thread_counts; i_++)                           \
        for (struct descent_pool *pool = descent_pool_new(thread_counts[i_]); pool;                        \
             descent_pool_free(pool), pool = NULL)

enum { MOST_CHUNKS = 1000 };

struct tally {
    atomic_int runs[MOST_CHUNKS];
    atomic_bool bad_thread;
    int threads;
};

static void count_run(void *context, int chunk, int thread)
{
    struct tally *tally = context;
    atomic_fetch_add(&tally->runs[chunk], 1);
    if (thread < 0 || thread >= tally->threads)
        atomic_store(&tally->bad_thread, true);
}

static void assert_each_chunk_ran_once(struct descent_pool *pool, int chunks)
{
    static struct tally tally;
    memset(&tally, 0, sizeof tally);
    tally.threads = descent_pool_threads(pool);
    descent_pool_run(pool, chunks, count_run, &tally);
    for (int chunk = 0; chunk < MOST_CHUNKS; chunk++)
        assert_int_equal(atomic_load(&tally.runs[chunk]), chunk < chunks);
    assert_false(atomic_load(&tally.bad_thread));
}

static void every_chunk_runs_exactly_once(void **state)
{
    (void)state;
    const int counts[] = {0, 1, 2, 3, 7, 16, 17, MOST_CHUNKS};
    int pools = 0;
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        assert_each_chunk_ran_once(NULL, counts[i]);
    FOR_EACH_POOL (pool) {
        assert_int_equal(descent_pool_threads(pool), thread_counts[pools++]);
        for (int round = 0; round < 5; round++)
            for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
                assert_each_chunk_ran_once(pool, counts[i]);
    }
    assert_int_equal(pools, 4);
}

/* Chunks that wait for one another finish only if as many threads run them at the same time. */
struct meeting {
    int parties;
    atomic_int present, thread_of[8];
};

static void meet(void *context, int chunk, int thread)
{
    struct meeting *meeting = context;
    atomic_store(&meeting->thread_of[chunk], thread);
    atomic_fetch_add(&meeting->present, 1);
    while (atomic_load(&meeting->present) < meeting->parties)
        sched_yield();
}

static void chunks_run_at_the_same_time_each_on_the_thread_it_is_nearest_to(void **state)
{
    (void)state;
    FOR_EACH_POOL (pool) {
        for (int round = 0; round < 20; round++) {
            struct meeting meeting = {.parties = descent_pool_threads(pool)};
            if (round % 5 == 4) /* all asleep by then */
                nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
            descent_pool_run(pool, meeting.parties, meet, &meeting);
            for (int chunk = 0; chunk < meeting.parties; chunk++)
                assert_int_equal(atomic_load(&meeting.thread_of[chunk]), chunk);
        }
    }
}

/* Regions of two kinds by turns, each with its own context on the caller's stack: a late thread that ran a
 * chunk with a former region's function or context would show. */
struct region {
    int number, kind;
    int done[16];
};
static atomic_int confusions;

static void even(void *context, int chunk, int thread)
{
    (void)thread;
    struct region *region = context;
    if (region->kind != 0)
        atomic_fetch_add(&confusions, 1);
    region->done[chunk] += region->number;
}

static void odd(void *context, int chunk, int thread)
{
    (void)thread;
    struct region *region = context;
    if (region->kind != 1)
        atomic_fetch_add(&confusions, 1);
    region->done[chunk] -= region->number;
}

static void a_late_thread_never_mistakes_the_region(void **state)
{
    (void)state;
    FOR_EACH_POOL (pool) {
        int regions = descent_pool_threads(pool) <= 3 ? 100000 : 20000;
        for (int i = 1; i <= regions; i++) {
            struct region region = {.number = i, .kind = i % 2};
            int chunks = 2 + i % 7;
            descent_pool_run(pool, chunks, i % 2 ? odd : even, &region);
            for (int chunk = 0; chunk < 16; chunk++)
                if (region.done[chunk] != (chunk >= chunks ? 0 : i % 2 ? -i : i))
                    fail_msg("region %d, chunk %d", i, chunk);
        }
    }
    assert_int_equal(atomic_load(&confusions), 0);
}

/* Gaps around the spinning time, so that threads are caught just as they fall asleep or wake. */
static void no_wake_up_is_lost_at_the_edge_of_sleep(void **state)
{
    (void)state;
    FOR_EACH_POOL (pool) {
        for (int i = 0; i < 1000; i++) {
            struct meeting meeting = {.parties = descent_pool_threads(pool)};
            descent_pool_run(pool, meeting.parties, meet, &meeting);
            struct timespec start, now;
            clock_gettime(CLOCK_MONOTONIC, &start);
            do
                clock_gettime(CLOCK_MONOTONIC, &now);
            while ((now.tv_sec - start.tv_sec) * 1000000000 + now.tv_nsec - start.tv_nsec < i % 100 * 1000);
        }
    }
}

struct nest {
    struct descent_pool *pool, *other;
    int order[8][4];
    bool bad_thread[8];
    pthread_t runner[8];
    int at, outer_chunk, thread;
};

static void inner(void *context, int chunk, int thread)
{
    struct nest *nest = context;
    nest->order[nest->outer_chunk][nest->at++] = chunk;
    if (thread != nest->thread || !pthread_equal(pthread_self(), nest->runner[nest->outer_chunk]))
        nest->bad_thread[nest->outer_chunk] = true;
}

static void outer(void *context, int chunk, int thread)
{
    struct nest *shared = context;
    struct nest mine = {.outer_chunk = chunk, .thread = thread};
    mine.runner[chunk] = pthread_self();
    descent_pool_run(shared->pool, 2, inner, &mine); /* of the same pool: the enclosing chunk's thread */
    mine.thread = 0;
    descent_pool_run(shared->other, 1, inner, &mine); /* of another pool, or of none: thread 0 */
    descent_pool_run(NULL, 1, inner, &mine);
    memcpy(shared->order[chunk], mine.order[chunk], sizeof mine.order[chunk]);
    shared->bad_thread[chunk] = mine.bad_thread[chunk];
}

static void nested_runs_are_serial_and_in_order(void **state)
{
    (void)state;
    struct descent_pool *other = descent_pool_new(2);
    FOR_EACH_POOL (pool) {
        for (int round = 0; round < 100; round++) {
            struct nest nest = {.pool = pool, .other = other};
            memset(nest.order, 0xff, sizeof nest.order);
            descent_pool_run(pool, 8, outer, &nest);
            for (int chunk = 0; chunk < 8; chunk++) {
                const int expected[4] = {0, 1, 0, 0};
                assert_memory_equal(nest.order[chunk], expected, sizeof expected);
                assert_false(nest.bad_thread[chunk]);
            }
        }
    }
    descent_pool_free(other);
}

static void many_pools_come_and_go(void **state)
{
    (void)state;
    for (int i = 0; i < 300; i++) {
        struct descent_pool *pool = descent_pool_new(1 + i % 5);
        assert_non_null(pool);
        if (i % 3)
            assert_each_chunk_ran_once(pool, 5);
        descent_pool_free(pool);
    }
    struct descent_pool *first = descent_pool_new(3), *second = descent_pool_new(2);
    assert_each_chunk_ran_once(first, 10);
    assert_each_chunk_ran_once(second, 10);
    assert_each_chunk_ran_once(first, 10);
    descent_pool_free(first);
    assert_each_chunk_ran_once(second, 10);
    descent_pool_free(second);
    descent_pool_free(NULL);
}

static void absurd_thread_counts_are_refused(void **state)
{
    (void)state;
    const int counts[] = {0, -1, DESCENT_MAX_THREADS + 1};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        assert_null(descent_pool_new(counts[i]));
        assert_non_null(strstr(descent_error(), "expected 1 to 256"));
    }
    assert_int_equal(descent_pool_threads(NULL), 1);
}

#if defined(__SSE__) || defined(__aarch64__)
static bool denormals_are_flushed(void)
{
    volatile float least = FLT_MIN, denormal = 1e-40f, half = 0.5f, huge = 1e38f;
    bool to_zero = least * half == 0, are_zero = denormal * huge == 0;
    assert_int_equal(to_zero, are_zero);
    return to_zero;
}

static void look_at_mode(void *context, int chunk, int thread)
{
    (void)chunk, (void)thread;
    if (!denormals_are_flushed())
        atomic_fetch_add((atomic_int *)context, 1);
    descent_pool_run(NULL, 1, count_run, &(struct tally){.threads = 1}); /* a nested run must not end it */
    if (!denormals_are_flushed())
        atomic_fetch_add((atomic_int *)context, 1);
}

static void denormals_are_flushed_inside_and_only_inside(void **state)
{
    (void)state;
    atomic_int unflushed = 0;
    assert_false(denormals_are_flushed());
    descent_pool_run(NULL, 3, look_at_mode, &unflushed);
    assert_false(denormals_are_flushed());
    FOR_EACH_POOL (pool) {
        for (int chunks = 1; chunks < 50; chunks++) {
            descent_pool_run(pool, chunks, look_at_mode, &unflushed);
            assert_false(denormals_are_flushed());
        }
    }
    assert_int_equal(atomic_load(&unflushed), 0);
}
#endif

static int64_t cpu_nanoseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void idle_pools_burn_no_cpu(void **state)
{
    (void)state;
    struct descent_pool *pools[] = {descent_pool_new(2), descent_pool_new(3), descent_pool_new(8)};
    for (int i = 0; i < 3; i++)
        assert_each_chunk_ran_once(pools[i], 16);
    nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL); /* they may spin for a moment */
    int64_t before = cpu_nanoseconds();
    nanosleep(&(struct timespec){.tv_nsec = 200000000}, NULL);
    assert_in_range(cpu_nanoseconds() - before, 0, 20000000);
    for (int i = 0; i < 3; i++)
        descent_pool_free(pools[i]);
}

static void chunk_ranges_cover_everything_once(void **state)
{
    (void)state;
    const int64_t totals[] = {0, 1, 15, 16, 17, 1000003, (int64_t)1 << 40};
    for (size_t i = 0; i < sizeof totals / sizeof *totals; i++)
        for (int chunks = 1; chunks <= DESCENT_MAX_CHUNKS; chunks++) {
            int64_t next = 0;
            for (int chunk = 0; chunk < chunks; chunk++) {
                int64_t begin, end;
                descent_chunk_range(totals[i], chunks, chunk, &begin, &end);
                assert_int_equal(begin, next);
                assert_in_range(end - begin, totals[i] / chunks, totals[i] / chunks + 1);
                next = end;
            }
            assert_int_equal(next, totals[i]);
        }
    assert_int_equal(descent_chunk_count(0, 100), 1);
    assert_int_equal(descent_chunk_count(199, 100), 1);
    assert_int_equal(descent_chunk_count(200, 100), 2);
    assert_int_equal(descent_chunk_count((int64_t)1 << 40, 1), 16);
    assert_int_equal(descent_chunk_count(5, 0), 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_chunk_runs_exactly_once),
        cmocka_unit_test(chunks_run_at_the_same_time_each_on_the_thread_it_is_nearest_to),
        cmocka_unit_test(a_late_thread_never_mistakes_the_region),
        cmocka_unit_test(no_wake_up_is_lost_at_the_edge_of_sleep),
        cmocka_unit_test(nested_runs_are_serial_and_in_order),
        cmocka_unit_test(many_pools_come_and_go),
#ifdef __linux__
        cmocka_unit_test(all_cpus_of_a_large_machine_make_a_pool),
#endif
        cmocka_unit_test(absurd_thread_counts_are_refused),
#if defined(__SSE__) || defined(__aarch64__)
        cmocka_unit_test(denormals_are_flushed_inside_and_only_inside),
#endif
        cmocka_unit_test(idle_pools_burn_no_cpu),
        cmocka_unit_test(chunk_ranges_cover_everything_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
