/* descent's side of the optimizers' benchmark: times optimizer steps alone, on 12 matrices with constant
 * gradients. Not a program for people: it answers the requests of optimizers.py (side.h).
 *
 * - algorithms: the names of those that need no more than a gradient
 * - step ALGORITHM SIZE THREADS COUNT: seconds of COUNT steps (after one that is not timed), for SIZE
 *   numbers in all
 * - nothing ALGORITHM SIZE THREADS COUNT: the same for a loop over the same memory that computes nothing:
 * it reads gradients, values and all state of the parameters' shape, and writes all but gradients in place
 * - bytes ALGORITHM SIZE: of state for each number; and those that the loop above reads and writes
 * - forget: frees what the requests above left warm */
#include "base/clock.h"
#include "base/memory.h"
#include "bench/side.h"
#include "optim/optim.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { TENSORS = 12, MAX_SESSIONS = 64, MAX_THREADS = 8, CHUNKS = 16, STRIP = 64 /* floats */ };

/* An optimizer and what it optimizes; kept, warm, for the next request. */
struct session {
    char algorithm[32];
    int64_t size, each; /* as asked for; numbers in a tensor */
    struct descent_param param[TENSORS];
    float *value, *grad; /* of all tensors */
    struct optim *optim;
    int slots;                         /* states of the shape of their parameter */
    float *slot[OPTIM_SLOTS][TENSORS]; /* they belong to the optimizer */
};

static struct session sessions[MAX_SESSIONS];
static int session_count;

static struct descent_pool *pool_of(int threads)
{
    static struct descent_pool *pool[MAX_THREADS + 1];
    if (!pool[threads])
        pool[threads] = need(descent_pool_new(threads));
    return pool[threads];
}

/* The states of a tensor are told by their names, "adam.m/w0". */
static void find_slots(struct session *session)
{
    int found[TENSORS] = {0};
    for (int k = 0; k < optim_state_count(session->optim); k++) {
        struct descent_tensor state = optim_state_get(session->optim, k);
        const char *owner = strrchr(state.name, '/');
        for (int i = 0; i < TENSORS && owner; i++)
            if (strcmp(owner + 1, session->param[i].name) == 0 && state.rank == 2 &&
                state.shape[0] == session->param[i].shape[0] &&
                state.shape[1] == session->param[i].shape[1] && found[i] < OPTIM_SLOTS)
                session->slot[found[i]++][i] = (float *)(uintptr_t)state.data;
    }
    session->slots = found[0];
}

static void open_session(struct session *session)
{
    static const char names[TENSORS][8] = {"w0", "w1", "w2", "w3", "w4",  "w5",
                                           "w6", "w7", "w8", "w9", "w10", "w11"};
    int64_t rows = llround(sqrt((double)session->size / TENSORS / 2));
    session->each = rows * 2 * rows;
    session->value = noise((size_t)(TENSORS * session->each));
    session->grad = noise((size_t)(TENSORS * session->each));
    for (int i = 0; i < TENSORS; i++)
        session->param[i] = (struct descent_param){.name = names[i],
                                                   .kind = DESCENT_WEIGHT,
                                                   .rank = 2,
                                                   .shape = {rows, 2 * rows},
                                                   .size = session->each,
                                                   .value = session->value + i * session->each,
                                                   .grad = session->grad + i * session->each};
    session->optim = need(optim_new(session->algorithm, session->param, TENSORS));
    optim_single_pass(session->optim, true);
    find_slots(session);
}

static struct session *find_session(const char *algorithm, int64_t size)
{
    for (int i = 0; i < session_count; i++)
        if (strcmp(sessions[i].algorithm, algorithm) == 0 && sessions[i].size == size)
            return &sessions[i];
    if (session_count == MAX_SESSIONS || size < 2 * TENSORS || !optim_find(algorithm))
        return NULL;
    struct session *session = &sessions[session_count++];
    *session = (struct session){.size = size};
    snprintf(session->algorithm, sizeof session->algorithm, "%s", algorithm);
    open_session(session);
    return session;
}

static void forget(void)
{
    for (int i = 0; i < session_count; i++) {
        optim_free(sessions[i].optim);
        descent_free(sessions[i].value);
        descent_free(sessions[i].grad);
    }
    session_count = 0;
}

static void step(struct session *session, struct descent_pool *pool)
{
    optim_set_pool(session->optim, pool);
    must(optim_step(session->optim));
}

/* Not known to be 0 where it is added, so that everything is read and written; yet nothing changes. */
static volatile float zero = 0;

static void do_nothing(struct session *session, int tensor, int64_t begin, int64_t end)
{
    float nothing = zero;
    for (int64_t first = begin; first < end; first += STRIP) {
        int64_t count = end - first < STRIP ? end - first : STRIP;
        float *restrict value = session->param[tensor].value + first;
        const float *restrict grad = session->param[tensor].grad + first;
        for (int64_t i = 0; i < count; i++)
            value[i] += nothing * grad[i];
        for (int k = 0; k < session->slots; k++) {
            float *slot = session->slot[k][tensor] + first;
            for (int64_t i = 0; i < count; i++)
                slot[i] += nothing;
        }
    }
}

static void do_nothing_chunk(void *context, int chunk, int thread)
{
    struct session *session = context;
    (void)thread;
    for (int i = 0; i < TENSORS; i++) {
        int64_t begin, end;
        descent_chunk_range(session->each, CHUNKS, chunk, &begin, &end);
        do_nothing(session, i, begin, end);
    }
}

static void pass(struct session *session, struct descent_pool *pool)
{
    descent_pool_run(pool, CHUNKS, do_nothing_chunk, session);
}

static void time_it(void (*work)(struct session *, struct descent_pool *), struct session *session,
                    int threads, int count)
{
    struct descent_pool *pool = pool_of(threads);
    work(session, pool);
    double start = descent_seconds();
    for (int i = 0; i < count; i++)
        work(session, pool);
    printf("%.9f\n", descent_seconds() - start);
}

static void print_algorithms(void)
{
    int count;
    const struct optim_algorithm *const *all = optim_algorithms(&count);
    for (int i = 0; i < count; i++)
        if (!all[i]->needs)
            printf("%s ", all[i]->name);
    printf("\n");
}

static void print_bytes(const struct session *session)
{
    size_t state = 0;
    for (int k = 0; k < optim_state_count(session->optim); k++)
        state += optim_state_get(session->optim, k).bytes;
    printf("%.4g %d\n", (double)state / (double)(TENSORS * session->each),
           (int)sizeof(float) * (3 + 2 * session->slots));
}

/* False if the request makes no sense. */
static bool answer(const char *request)
{
    char name[32];
    int size, threads, count;
    bool steps = sscanf(request, "step %31s %d %d %d", name, &size, &threads, &count) == 4;
    if (steps || sscanf(request, "nothing %31s %d %d %d", name, &size, &threads, &count) == 4) {
        struct session *session = find_session(name, size);
        if (!session || threads < 1 || threads > MAX_THREADS || count < 1)
            return false;
        time_it(steps ? step : pass, session, threads, count);
    } else if (sscanf(request, "bytes %31s %d", name, &size) == 2 && find_session(name, size)) {
        print_bytes(find_session(name, size));
    } else if (strcmp(request, "algorithms\n") == 0) {
        print_algorithms();
    } else if (strcmp(request, "forget\n") == 0) {
        forget();
        printf("0\n");
    } else {
        return false;
    }
    return true;
}

int main(void)
{
    return serve("optimizer_steps", answer);
}
