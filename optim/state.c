/* The state of an optimizer: declared by its algorithm, saved and restored by name. */
#include "optim/internal.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

void optim_free_state(struct optim *optim)
{
    for (int i = 0; i < optim->state_count; i++)
        if (!optim->state[i].borrowed)
            descent_free(optim->state[i].data);
    optim->state_count = 0;
    optim->schedule_memory = NULL;
}

/* Room for one more; the outgrown array stays in the arena. */
static bool grow(struct optim *optim)
{
    if (optim->state_count < optim->state_capacity)
        return true;
    int capacity = 2 * optim->state_capacity + 16;
    struct optim_state *state = descent_arena_alloc(optim->arena, (size_t)capacity * sizeof *state);
    if (!state)
        return false;
    if (optim->state_count > 0)
        memcpy(state, optim->state, (size_t)optim->state_count * sizeof *state);
    optim->state = state;
    optim->state_capacity = capacity;
    return true;
}

void *optim_state(struct optim_run *run, struct optim_tensor *tensor, const char *name,
                  enum descent_dtype type, int rank, const int64_t *shape)
{
    const struct optim_level *level = (struct optim_level *)run;
    struct optim *optim = level->optim;
    struct descent_tensor state = {.dtype = type, .rank = rank};
    assert(rank >= 0 && rank <= (int)(sizeof state.shape / sizeof *state.shape));
    for (int i = 0; i < rank; i++)
        state.shape[i] = shape[i];
    state.name = descent_arena_format(optim->arena, tensor ? "%s.%s/%s" : "%s.%s", level->algorithm->name,
                                      name, tensor ? tensor->param->name : "");
    if (!state.name || !grow(optim))
        return NULL;
    if (!descent_tensor_bytes(&state, &state.bytes)) {
        descent_fail(DESCENT_OUT_OF_MEMORY, "state '%s' is larger than any memory", state.name);
        return NULL;
    }
    void *data = descent_alloc(state.bytes);
    if (!data)
        return NULL;
    state.data = data;
    optim->state[optim->state_count++] = (struct optim_state){.tensor = state, .data = data};
    return data;
}

void *optim_scratch(struct optim_run *run, size_t bytes)
{
    return descent_arena_alloc(((struct optim_level *)run)->optim->arena, bytes);
}

enum descent_status optim_slot(struct optim_run *run, struct optim_tensor *tensor, int slot,
                               const char *name)
{
    const struct descent_param *param = tensor->param;
    tensor->slot[slot] = optim_state(run, tensor, name, OPTIM_REAL, param->rank, param->shape);
    return tensor->slot[slot] ? DESCENT_OK : DESCENT_OUT_OF_MEMORY;
}

static enum descent_status declare_step(struct optim_level *level)
{
    struct optim *optim = level->optim;
    int64_t *count = &level->run.step;
    struct descent_tensor step = {.dtype = DESCENT_I64, .data = count, .bytes = sizeof *count};
    step.name = descent_arena_format(optim->arena, "%s.step", level->algorithm->name);
    if (!step.name || !grow(optim))
        return DESCENT_OUT_OF_MEMORY;
    optim->state[optim->state_count++] =
        (struct optim_state){.tensor = step, .data = count, .borrowed = true};
    return DESCENT_OK;
}

static enum descent_status declare_level(struct optim_level *level)
{
    const struct optim_algorithm *algorithm = level->algorithm;
    struct optim_run *run = &level->run;
    enum descent_status status = declare_step(level);
    run->count = level->count;
    for (int i = 0; i < level->count; i++) {
        run->tensor[i] = &level->tensor[i];
        memset(level->tensor[i].slot, 0, sizeof level->tensor[i].slot);
        for (int slot = 0; slot < OPTIM_SLOTS && algorithm->slots[slot] && !status; slot++)
            status = optim_slot(run, run->tensor[i], slot, algorithm->slots[slot]);
    }
    return !status && algorithm->init && level->count > 0 ? algorithm->init(run) : status;
}

enum descent_status optim_declare_state(struct optim *optim)
{
    enum descent_status status = DESCENT_OK;
    optim_free_state(optim);
    FOR_EACH_LEVEL (level, optim->base)
        status = status ? status : declare_level(level);
    FOR_EACH_LEVEL (level, optim->wrapper)
        status = status ? status : declare_level(level);
    return status ? status : optim_declare_memory(optim, optim->schedule);
}

enum descent_status optim_declare_memory(struct optim *optim, struct optim_schedule *schedule)
{
    const int64_t shape[] = {OPTIM_SCHEDULE_MEMORY};
    if (!optim_schedule_follows(schedule))
        return DESCENT_OK;
    if (!optim->schedule_memory)
        optim->schedule_memory = optim_state(&optim->base->run, NULL, "schedule", DESCENT_F64, 1, shape);
    if (!optim->schedule_memory)
        return DESCENT_OUT_OF_MEMORY;
    memset(optim->schedule_memory, 0, OPTIM_SCHEDULE_MEMORY * sizeof *optim->schedule_memory);
    optim_schedule_set_memory(schedule, optim->schedule_memory);
    return DESCENT_OK;
}

enum descent_status optim_declare_missed(struct optim *optim, const char *name, int count)
{
    struct optim_state *missed = &optim->missed;
    missed->tensor = (struct descent_tensor){.dtype = DESCENT_I64, .rank = 1, .shape = {count}};
    missed->tensor.name = descent_arena_format(optim->arena, "%s.missed", name);
    missed->tensor.bytes = (size_t)count * sizeof(int64_t);
    missed->tensor.data = missed->data = descent_arena_alloc(optim->arena, missed->tensor.bytes);
    return missed->tensor.name && missed->data ? DESCENT_OK : DESCENT_OUT_OF_MEMORY;
}

static bool has_missed(const struct optim *optim)
{
    const int64_t *missed = optim->missed.data;
    for (int64_t i = 0; i < optim->missed.tensor.shape[0]; i++)
        if (missed[i] != 0)
            return true;
    return false;
}

int optim_state_count(const struct optim *optim)
{
    return optim->state_count + has_missed(optim);
}

struct descent_tensor optim_state_get(const struct optim *optim, int i)
{
    assert(i >= 0 && i < optim_state_count(optim));
    return i < optim->state_count ? optim->state[i].tensor : optim->missed.tensor;
}

static const struct descent_tensor *find(const struct descent_tensor *tensors, int count, const char *name)
{
    for (int i = 0; i < count; i++)
        if (strcmp(tensors[i].name, name) == 0)
            return &tensors[i];
    return NULL;
}

/* "F32 [6, 1, 5, 5]" */
static const char *describe(const struct descent_tensor *tensor, char *text, size_t size)
{
    static const char *const types[] = {[DESCENT_F32] = "F32",
                                        [DESCENT_F64] = "F64",
                                        [DESCENT_I32] = "I32",
                                        [DESCENT_I64] = "I64",
                                        [DESCENT_U8] = "U8"};
    size_t length = (size_t)snprintf(text, size, "%s [", types[tensor->dtype]);
    for (int i = 0; i < tensor->rank && length < size; i++)
        length += (size_t)snprintf(text + length, size - length, "%s%lld", i ? ", " : "",
                                   (long long)tensor->shape[i]);
    if (length < size)
        snprintf(text + length, size - length, "]");
    return text;
}

static enum descent_status check_state(const struct descent_tensor *own,
                                       const struct descent_tensor *tensors, int count)
{
    const struct descent_tensor *given = find(tensors, count, own->name);
    if (!given)
        return descent_fail(DESCENT_MISMATCH, "the optimizer's state '%s' is missing", own->name);
    size_t shape_bytes = (size_t)own->rank * sizeof own->shape[0];
    if (given->dtype == own->dtype && given->rank == own->rank &&
        memcmp(given->shape, own->shape, shape_bytes) == 0)
        return DESCENT_OK;
    char found[200], expected[200];
    return descent_fail(DESCENT_MISMATCH, "the optimizer's state '%s' is %s; expected %s", own->name,
                        describe(given, found, sizeof found), describe(own, expected, sizeof expected));
}

/* A tensor under the name of an algorithm that is no state of this optimizer belongs to another model or
 * setting. */
static enum descent_status check_foreign(const struct optim *optim, const struct optim_level *level,
                                         const struct descent_tensor *given)
{
    size_t length = strlen(level->algorithm->name);
    if (strncmp(given->name, level->algorithm->name, length) != 0 || given->name[length] != '.')
        return DESCENT_OK;
    for (int i = 0; i < optim->state_count; i++)
        if (strcmp(optim->state[i].tensor.name, given->name) == 0)
            return DESCENT_OK;
    if (strcmp(optim->missed.tensor.name, given->name) == 0)
        return DESCENT_OK;
    return descent_fail(DESCENT_MISMATCH, "state '%s' belongs to no parameter or setting of this optimizer",
                        given->name);
}

/* Step counts are not negative. */
static enum descent_status check_count(const struct optim_state *own, const struct descent_tensor *tensors,
                                       int count)
{
    int64_t step;
    if (!own->borrowed)
        return DESCENT_OK;
    const struct descent_tensor *given = find(tensors, count, own->tensor.name);
    memcpy(&step, given->data, sizeof step);
    if (step >= 0)
        return DESCENT_OK;
    return descent_fail(DESCENT_MISMATCH, "'%s' is %lld; expected a number of steps", given->name,
                        (long long)step);
}

enum descent_status optim_state_load(struct optim *optim, const struct descent_tensor *tensors, int count)
{
    enum descent_status status = DESCENT_OK;
    for (int i = 0; i < optim->state_count && !status; i++)
        status = check_state(&optim->state[i].tensor, tensors, count);
    const struct descent_tensor *missed = find(tensors, count, optim->missed.tensor.name);
    if (missed && !status)
        status = check_state(&optim->missed.tensor, tensors, count);
    for (int i = 0; i < optim->state_count && !status; i++)
        status = check_count(&optim->state[i], tensors, count);
    for (int i = 0; i < count && !status; i++) {
        FOR_EACH_LEVEL (level, optim->base)
            status = status ? status : check_foreign(optim, level, &tensors[i]);
        FOR_EACH_LEVEL (level, optim->wrapper)
            status = status ? status : check_foreign(optim, level, &tensors[i]);
    }
    if (status)
        return status;
    for (int i = 0; i < optim->state_count; i++) {
        const struct descent_tensor *given = find(tensors, count, optim->state[i].tensor.name);
        memcpy(optim->state[i].data, given->data, optim->state[i].tensor.bytes);
    }
    if (missed)
        memcpy(optim->missed.data, missed->data, optim->missed.tensor.bytes);
    else
        memset(optim->missed.data, 0, optim->missed.tensor.bytes);
    return DESCENT_OK;
}
