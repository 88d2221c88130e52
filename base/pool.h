/* A pool of POSIX threads that runs numbered chunks and never changes a bit.
 *
 * Work is cut into chunks by its shape alone, never by the number of threads; threads claim chunks,
 * each beginning in a part of its own, the same from run to run, so that the data it meets there is in its
 * cache; whatever is summed across chunks is summed in chunk order by the caller. So results are the same
 * for any thread count. Every thread that runs chunks, the caller's too, flushes denormals to zero
 * meanwhile and restores its mode. */
#ifndef DESCENT_BASE_POOL_H
#define DESCENT_BASE_POOL_H

#include <stdint.h>

enum { DESCENT_MAX_CHUNKS = 16, DESCENT_MAX_THREADS = 256 };

struct descent_pool;

/* CPUs this process may use: at least 1, and at most DESCENT_MAX_THREADS, as a pool has. */
int descent_cpus(void);

/* `threads` counts the caller's: 1 starts none. NULL on failure (see descent_error). */
struct descent_pool *descent_pool_new(int threads);
void descent_pool_free(struct descent_pool *pool);

/* Number of threads, the caller's included; 1 for NULL. */
int descent_pool_threads(const struct descent_pool *pool);

/* `chunk` says which part of the work; `thread` (0 .. threads-1) may pick scratch, never a result. */
typedef void descent_chunk_function(void *context, int chunk, int thread);

/* Runs chunks 0 .. chunks-1 and returns when all are done. Any number of chunks. With pool NULL or one
 * chunk they run in order on the calling thread, as thread 0; from inside a chunk too, there as the thread
 * that chunk was given (0 if it belongs to another pool). One caller at a time per pool. */
void descent_pool_run(struct descent_pool *pool, int chunks, descent_chunk_function *function,
                      void *context);

/* The part of 0 .. total-1 that belongs to `chunk` of `chunks`: *begin .. *end - 1; sizes differ by 1 at
 * most. */
static inline void descent_chunk_range(int64_t total, int chunks, int chunk, int64_t *begin, int64_t *end)
{
    int64_t each = total / chunks, rest = total % chunks;
    *begin = chunk * each + (chunk < rest ? chunk : rest);
    *end = *begin + each + (chunk < rest);
}

/* How many chunks `total` items deserve when one chunk should hold at least `least` of them: 1 .. 16. */
static inline int descent_chunk_count(int64_t total, int64_t least)
{
    int64_t chunks = total / (least > 0 ? least : 1);
    return chunks < 1 ? 1 : chunks > DESCENT_MAX_CHUNKS ? DESCENT_MAX_CHUNKS : (int)chunks;
}

#endif
