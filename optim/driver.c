/* The driver: makes an optimizer from its spec and turns a step into the algorithms' loops over pieces of
 * all tensors. It knows no algorithm; those are in rules/ and wrappers/. */
#include "optim/internal.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { LR = 0 }; /* the first of every algorithm's options */

/* Pieces of tensors are whole blocks, so that threads share no cache line and vectors stay aligned. A chunk
 * has enough of them to be worth a thread. */
enum { BLOCK = 1024 /* elements */, CHUNK_BLOCKS = 16 };

/* By the algorithm, or with NULL by the one that the spec names. */
struct optim *optim_new_from(const struct optim_algorithm *algorithm, const char *text,
                             struct descent_param *params, int count)
{
    struct descent_spec spec;
    if (descent_spec_parse(text, &spec))
        return NULL;
    if (!algorithm)
        algorithm = optim_find(spec.part[0].name);
    struct optim *optim = algorithm ? descent_alloc(sizeof *optim) : NULL;
    enum descent_status status = optim ? DESCENT_OK : DESCENT_OUT_OF_MEMORY;
    if (optim) {
        optim->table = optim_find_table();
        optim->arena = descent_arena_new();
        status =
            optim->arena ? optim_assign(optim, algorithm, &spec, params, count) : DESCENT_OUT_OF_MEMORY;
    }
    descent_spec_free(&spec);
    if (!status)
        return optim;
    optim_free(optim);
    return NULL;
}

struct optim *optim_new(const char *text, struct descent_param *params, int count)
{
    return optim_new_from(NULL, text, params, count);
}

void optim_free(struct optim *optim)
{
    if (!optim)
        return;
    optim_free_state(optim);
    optim_schedule_free(optim->schedule);
    descent_arena_free(optim->arena);
    descent_free(optim);
}

/* --- Settings. --- */

enum descent_status optim_schedule(struct optim *optim, const char *spec, int64_t total_steps,
                                   int64_t steps_per_epoch)
{
    struct optim_schedule *schedule = optim_schedule_new(spec, total_steps, steps_per_epoch);
    if (!schedule)
        return DESCENT_BAD_ARGUMENT;
    enum descent_status status = optim_declare_memory(optim, schedule);
    if (status) {
        optim_schedule_free(schedule);
        return status;
    }
    optim_schedule_free(optim->schedule);
    optim->schedule = schedule;
    optim->total_steps = total_steps;
    optim->steps_per_epoch = steps_per_epoch;
    return DESCENT_OK;
}

bool optim_follows_reports(const struct optim *optim)
{
    return optim_schedule_follows(optim->schedule);
}

void optim_report(struct optim *optim, double value)
{
    optim_schedule_report(optim->schedule, value);
}

enum descent_status optim_clip(struct optim *optim, double max_norm)
{
    if (!(max_norm >= 0) || isinf(max_norm))
        return descent_fail(DESCENT_BAD_ARGUMENT,
                            "clipping at gradient norm %g; expected a positive number, or 0 for none",
                            max_norm);
    optim->max_norm = max_norm;
    return DESCENT_OK;
}

enum descent_status optim_set_lr(struct optim *optim, double lr)
{
    if (!(lr >= 0) || isinf(lr))
        return descent_fail(DESCENT_BAD_ARGUMENT, "learning rate %g; expected a number in [0, inf)", lr);
    for (struct optim_group *group = optim->groups; group; group = group->next)
        if (!group->is_fallback)
            group->hyper[LR].number = lr;
    return DESCENT_OK;
}

void optim_skip_not_finite(struct optim *optim, bool on)
{
    optim->skips = on;
}

void optim_set_pool(struct optim *optim, struct descent_pool *pool)
{
    optim->pool = pool;
}

void optim_set_objective(struct optim *optim, const struct optim_objective *objective)
{
    optim->objective = objective;
}

void optim_single_pass(struct optim *optim, bool on)
{
    optim->single_pass = on;
}

void optim_measure(struct optim *optim, bool on)
{
    optim->measure = on;
}

/* --- Questions. --- */

const struct optim_algorithm *optim_algorithm(const struct optim *optim)
{
    return optim->base->algorithm;
}

const struct optim_algorithm *optim_algorithm_of(const struct optim *optim, int i)
{
    for (int k = 0; k < optim->count; k++)
        if (optim->owned[k].index == i)
            return optim->owned[k].group ? optim->owned[k].group->level->algorithm : NULL;
    return NULL;
}

unsigned optim_needs(const struct optim *optim)
{
    unsigned needs = 0;
    FOR_EACH_LEVEL (level, optim->base)
        needs |= level->algorithm->needs;
    FOR_EACH_LEVEL (level, optim->wrapper)
        needs |= level->algorithm->needs;
    return needs;
}

/* "adam:lr=0.001,beta1=0.9", or "adam" if it has no hyperparameters. */
static char *part_text(struct optim *optim, const struct optim_algorithm *algorithm,
                       const struct descent_value *hyper)
{
    char *text = descent_arena_string(optim->arena, algorithm->name);
    for (int i = 0; i < algorithm->option_count && text; i++) {
        char value[400];
        descent_value_text(&algorithm->options[i], &hyper[i], value, sizeof value);
        text = descent_arena_format(optim->arena, "%s%c%s=%s", text, i ? ',' : ':',
                                    algorithm->options[i].name, value);
    }
    return text;
}

const char *optim_spec(struct optim *optim)
{
    char *wrappers = descent_arena_string(optim->arena, "");
    FOR_EACH_LEVEL (level, optim->wrapper) {
        const char *part = part_text(optim, level->algorithm, level->group->hyper);
        wrappers = part && wrappers ? descent_arena_format(optim->arena, "+%s%s", part, wrappers) : NULL;
    }
    const char *base = part_text(optim, optim->base->algorithm, optim->base_group->hyper);
    return base && wrappers ? descent_arena_format(optim->arena, "%s%s", base, wrappers) : NULL;
}

int64_t optim_steps(const struct optim *optim)
{
    return optim->base->run.step;
}

int64_t optim_calls_per_step(const struct optim *optim)
{
    const struct optim_level *outer = optim->wrapper;
    return outer && outer->algorithm->outermost ? (int64_t)outer->group->hyper[0].number : 1;
}

int64_t optim_skipped(const struct optim *optim)
{
    return optim->skipped;
}

double optim_lr_at(const struct optim *optim, int64_t steps)
{
    return optim_schedule_rate(optim->schedule, optim->base_group->hyper[LR].number, steps);
}

double optim_lr(const struct optim *optim)
{
    int64_t steps = optim_steps(optim);
    return optim_lr_at(optim, steps > 0 ? steps - 1 : 0);
}

double optim_gradient_norm(const struct optim *optim)
{
    return optim->gradient_norm;
}

double optim_update_norm(const struct optim *optim)
{
    return optim->update_norm;
}

/* --- A step. --- */

static int64_t minimum(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t count_blocks(const struct optim_tensor *tensor)
{
    return (tensor->param->size + BLOCK - 1) / BLOCK;
}

/* This step's tensors, those that have a gradient now. */
static void select_tensors(struct optim_level *level)
{
    level->run.count = 0;
    for (int i = 0; i < level->count; i++)
        if (level->tensor[i].param->grad)
            level->run.tensor[level->run.count++] = &level->tensor[i];
}

/* This step's work: the blocks of all tensors in a row, shared out evenly among the chunks. */
static void cut(struct optim_level *level, bool measure, bool look)
{
    const struct optim_run *run = &level->run;
    int64_t blocks = 0, block = 0; /* of all tensors; the next one of tensor t */
    for (int i = 0; i < run->count; i++)
        blocks += count_blocks(run->tensor[i]);
    int parts = 0, t = 0;
    level->chunks = descent_chunk_count(blocks, CHUNK_BLOCKS);
    for (int chunk = 0; chunk < level->chunks; chunk++) {
        int64_t begin, end;
        descent_chunk_range(blocks, level->chunks, chunk, &begin, &end);
        level->first[chunk] = parts;
        for (int64_t left = end - begin; left > 0;) {
            struct optim_tensor *tensor = run->tensor[t];
            int64_t taken = minimum(left, count_blocks(tensor) - block);
            level->part[parts++] =
                (struct optim_part){.tensor = tensor,
                                    .begin = block * BLOCK,
                                    .end = minimum((block + taken) * BLOCK, tensor->param->size),
                                    .measure = measure,
                                    .look = look};
            left -= taken;
            block += taken;
            if (block == count_blocks(tensor)) {
                block = 0;
                t++;
            }
        }
    }
    level->first[level->chunks] = parts;
}

/* A level's part in this step. */
static void prepare(struct optim_level *level, bool measure, bool look)
{
    level->run.pool = level->optim->pool;
    level->run.objective = level->optim->objective;
    level->run.total_steps = level->optim->total_steps;
    level->run.steps_per_epoch = level->optim->steps_per_epoch;
    select_tensors(level);
    cut(level, measure, look);
}

struct region {
    struct optim_level *level;
    optim_loop *loop;
};

static void run_chunk(void *context, int chunk, int thread)
{
    const struct region *region = context;
    (void)thread;
    for (int i = region->level->first[chunk]; i < region->level->first[chunk + 1]; i++)
        region->loop(&region->level->part[i]);
}

void optim_for_parts(struct optim_run *run, optim_loop *loop)
{
    struct region region = {.level = (struct optim_level *)run, .loop = loop};
    descent_pool_run(run->pool, region.level->chunks, run_chunk, &region);
}

void optim_add_up(struct optim_run *run, optim_loop *loop)
{
    const struct optim_level *level = (struct optim_level *)run;
    optim_for_parts(run, loop);
    for (int i = 0; i < run->count; i++)
        memset(run->tensor[i]->sums, 0, sizeof run->tensor[i]->sums);
    for (int i = 0; i < level->first[level->chunks]; i++)
        for (int j = 0; j < OPTIM_SUMS; j++)
            level->part[i].tensor->sums[j] += level->part[i].sums[j];
}

struct copy {
    const struct optim_level *level;
    int slot;
    bool evaluation;
};

static void copy_chunk(void *context, int chunk, int thread)
{
    const struct copy *copy = context;
    (void)thread;
    for (int i = copy->level->first[chunk]; i < copy->level->first[chunk + 1]; i++) {
        const struct optim_part *part = &copy->level->part[i];
        const struct optim_tensor *t = part->tensor;
        descent_real *slot = t->slot[copy->slot] + part->begin;
        size_t bytes = (size_t)(part->end - part->begin) * sizeof *slot;
        if (copy->evaluation && t->step > 0)
            memcpy(t->evaluation + part->begin, slot, bytes);
        else if (!copy->evaluation)
            memcpy(slot, t->param->value + part->begin, bytes);
    }
}

static void copy_slot(struct optim_run *run, int slot, bool evaluation)
{
    struct copy copy = {.level = (struct optim_level *)run, .slot = slot, .evaluation = evaluation};
    descent_pool_run(run->pool, copy.level->chunks, copy_chunk, &copy);
}

void optim_keep_values(struct optim_run *run, int slot)
{
    copy_slot(run, slot, false);
}

void optim_evaluate_slot(struct optim_run *run, int slot)
{
    copy_slot(run, slot, true);
}

struct visit {
    struct optim_run *run;
    int chunks;
    void (*visit)(struct optim_tensor *tensor);
};

static void visit_chunk(void *context, int chunk, int thread)
{
    const struct visit *visit = context;
    int64_t begin, end;
    (void)thread;
    descent_chunk_range(visit->run->count, visit->chunks, chunk, &begin, &end);
    for (int64_t i = begin; i < end; i++)
        visit->visit(visit->run->tensor[i]);
}

void optim_for_tensors(struct optim_run *run, void (*visit)(struct optim_tensor *tensor))
{
    struct visit context = {run, descent_chunk_count(run->count, 1), visit};
    descent_pool_run(run->pool, context.chunks, visit_chunk, &context);
}

/* Roots of sums over all parts of all algorithms, in their order. */
static struct norms {
    double gradient, update;
} norms_of_parts(const struct optim *optim)
{
    struct norms sum = {0, 0};
    FOR_EACH_LEVEL (level, optim->base)
        for (int i = 0; i < level->first[level->chunks]; i++) {
            sum.gradient += level->part[i].gradient;
            sum.update += level->part[i].sum;
        }
    return (struct norms){sqrt(sum.gradient), sqrt(sum.update)};
}

static enum descent_status fail_not_finite(const struct optim *optim)
{
    long long step = (long long)optim_steps(optim) + 1;
    for (int i = 0; i < optim->count; i++) {
        const struct descent_param *param = optim->owned[i].param;
        for (int64_t j = 0; j < param->size && param->grad && optim->owned[i].group; j++)
            if (!isfinite(param->grad[j]))
                return descent_fail(
                    DESCENT_DIVERGED,
                    "the gradient of %s is not finite in step %lld (element %lld of %lld is %g)",
                    param->name, step, (long long)j + 1, (long long)param->size, (double)param->grad[j]);
    }
    return descent_fail(DESCENT_DIVERGED, "the gradient norm overflows in step %lld", step);
}

static enum descent_status check_objective(const struct optim *optim, const struct optim_level *level)
{
    const struct optim_objective none = {0}, *objective = optim->objective ? optim->objective : &none;
    const struct {
        bool served;
        const char *name;
    } needs[] = {
#define X(name, function) {objective->function != NULL, #function},
        OPTIM_NEEDS_LIST(X)
#undef X
    };
    for (size_t i = 0; i < sizeof needs / sizeof *needs; i++)
        if (level->algorithm->needs & 1u << i && !needs[i].served)
            return descent_fail(DESCENT_NOT_FOUND, "%s %s needs '%s' of the objective, which has none",
                                level->algorithm->wraps ? "wrapper" : "optimizer", level->algorithm->name,
                                needs[i].name);
    return DESCENT_OK;
}

static double weight_decay(const struct optim_level *level, const struct optim_tensor *t)
{
    bool excluded = t->param->kind == DESCENT_BIAS || t->param->kind == DESCENT_NORM;
    bool all = level->decay_all >= 0 && t->hyper[level->decay_all].number != 0;
    return level->weight_decay < 0 || (excluded && !all) ? 0 : t->hyper[level->weight_decay].number;
}

/* This step's hyperparameters. No schedule gives momentum to a rule that was set to have none. */
static void set_live(const struct optim *optim, const struct optim_group *group)
{
    const struct optim_level *level = group->level;
    memcpy(group->live, group->hyper, (size_t)level->algorithm->option_count * sizeof *group->live);
    if (level->momentum >= 0 && group->hyper[level->momentum].number > 0)
        group->live[level->momentum].number =
            optim_schedule_momentum(optim->schedule, group->hyper[level->momentum].number, level->run.step);
}

static double scheduled_rate(const struct optim *optim, const struct optim_tensor *t, int64_t step)
{
    double lr = t->hyper[LR].number;
    bool keeps = t->group->own_rate && optim_schedule_sweeps(optim->schedule);
    return keeps ? lr : optim_schedule_rate(optim->schedule, lr, step);
}

static void set_scalars(const struct optim *optim, const struct optim_level *level)
{
    enum optim_decay how = level->algorithm->decay;
    double clip = optim->max_norm > 0 ? fmin(1, optim->max_norm / (optim->gradient_norm + 1e-6)) : 1;
    for (int i = 0; i < level->run.count; i++) {
        struct optim_tensor *t = level->run.tensor[i];
        double decay = weight_decay(level, t);
        t->lr = t->lr_scale * scheduled_rate(optim, t, level->run.step);
        t->grad_scale = clip;
        t->l2 = how == OPTIM_COUPLED ? decay : 0;
        t->shrink = how == OPTIM_DECOUPLED ? t->lr * decay : 0;
        t->decay = how == OPTIM_OWN_DECAY ? decay : 0;
    }
}

/* Of each tensor: those it had a gradient in. */
static void count_steps(struct optim_level *level)
{
    const int64_t *missed = level->optim->missed.data;
    for (int i = 0; i < level->run.count; i++)
        level->run.tensor[i]->step = level->run.step - missed[level->run.tensor[i]->index];
}

static enum descent_status step_level(struct optim_level *level)
{
    level->run.step++;
    count_steps(level);
    enum descent_status status = level->run.count > 0 ? level->algorithm->step(&level->run) : DESCENT_OK;
    if (status)
        level->run.step--;
    return status;
}

static void count_versions(const struct optim *optim)
{
    for (int i = 0; i < optim->count; i++)
        if (optim->owned[i].param->grad && optim->owned[i].group)
            optim->owned[i].param->version++;
}

static void count_missed(const struct optim *optim)
{
    int64_t *missed = optim->missed.data;
    for (int i = 0; i < optim->count; i++)
        missed[optim->owned[i].index] += !optim->owned[i].param->grad;
}

static bool takes_a_single_pass(const struct optim *optim)
{
    bool single = optim->single_pass && !optim->skips && !optim->wrapper && !(optim->max_norm > 0);
    FOR_EACH_LEVEL (level, optim->base)
        single &= level->algorithm->single_pass;
    return single;
}

/* Keeps the gradients' norm, which was found before the algorithms' step or, in a single pass, during it.
 */
static enum descent_status look_at_gradients(struct optim *optim, bool stepped)
{
    double norm = norms_of_parts(optim).gradient;
    if (isfinite(norm)) {
        optim->gradient_norm = norm;
        return DESCENT_OK;
    }
    FOR_EACH_LEVEL (level, optim->base)
        level->run.step -= stepped;
    optim->not_finite = true;
    return fail_not_finite(optim);
}

/* The step of all algorithms. */
static enum descent_status step_algorithms(struct optim *optim)
{
    enum descent_status status = DESCENT_OK;
    bool single = takes_a_single_pass(optim);
    FOR_EACH_LEVEL (level, optim->base) {
        prepare(level, optim->measure, single);
        if (!single)
            optim_for_parts(&level->run, optim->table->sum_squares);
    }
    status = single ? DESCENT_OK : look_at_gradients(optim, false);
    if (status)
        return status;
    for (const struct optim_group *group = optim->groups; group; group = group->next)
        set_live(optim, group);
    FOR_EACH_LEVEL (level, optim->base) {
        level->run.gradient_norm = optim->gradient_norm;
        set_scalars(optim, level);
    }
    FOR_EACH_LEVEL (level, optim->base)
        status = status ? status : step_level(level);
    if (status)
        return status;
    if (optim->measure)
        optim->update_norm = norms_of_parts(optim).update;
    count_versions(optim);
    status = single ? look_at_gradients(optim, true) : DESCENT_OK;
    if (!status)
        count_missed(optim);
    return status;
}

static enum descent_status step_wrapper(struct optim_level *level)
{
    prepare(level, false, false);
    return step_level(level);
}

enum descent_status optim_inner(struct optim_run *run)
{
    struct optim_level *level = (struct optim_level *)run;
    return level->next ? step_wrapper(level->next) : step_algorithms(level->optim);
}

enum descent_status optim_evaluate(struct optim_run *run, double *loss)
{
    count_versions(((struct optim_level *)run)->optim);
    return run->objective->evaluate(run->objective->context, loss);
}

enum descent_status optim_step(struct optim *optim)
{
    enum descent_status status = DESCENT_OK;
    if (optim->evaluating)
        return descent_fail(DESCENT_BAD_ARGUMENT, "a step while the weights to evaluate with are in place");
    FOR_EACH_LEVEL (level, optim->base)
        status = status ? status : check_objective(optim, level);
    FOR_EACH_LEVEL (level, optim->wrapper)
        status = status ? status : check_objective(optim, level);
    if (status)
        return status;
    optim->not_finite = false;
    status = optim->wrapper ? step_wrapper(optim->wrapper) : step_algorithms(optim);
    if (optim->wrapper)
        count_versions(optim);
    if (status && optim->not_finite && optim->skips) {
        optim->skipped++;
        return DESCENT_OK;
    }
    return status;
}

enum descent_status optim_duration(const struct optim_run *run, const struct descent_value *value,
                                   int64_t *steps)
{
    double unit = optim_schedule_unit(value->unit, run->total_steps, run->steps_per_epoch);
    if (unit == 0)
        return descent_fail(DESCENT_BAD_ARGUMENT,
                            "a duration in epochs or percent, and optim_schedule was not called");
    *steps = (int64_t)llround(value->number * unit);
    return DESCENT_OK;
}

/* --- Weights to evaluate with. --- */

/* The outermost wrapper that has such weights, or NULL. */
static struct optim_level *averaging_wrapper(const struct optim *optim)
{
    FOR_EACH_LEVEL (level, optim->wrapper)
        if (level->algorithm->evaluation)
            return level;
    return NULL;
}

bool optim_has_evaluation(const struct optim *optim)
{
    bool any = averaging_wrapper(optim) != NULL;
    FOR_EACH_LEVEL (level, optim->base)
        any |= level->algorithm->evaluation && level->count > 0;
    return any;
}

/* Has a level fill the spare memory of its parameters, which holds their values until then. */
static void fill_spare(struct optim_level *level)
{
    if (!level->algorithm->evaluation)
        return;
    prepare(level, false, false);
    count_steps(level);
    for (int i = 0, k = 0; i < level->optim->count && k < level->count; i++)
        if (level->tensor[k].index == level->optim->owned[i].index)
            level->tensor[k++].evaluation = level->optim->owned[i].spare;
    if (level->run.count > 0)
        level->algorithm->evaluation(&level->run);
}

static void swap_spare(const struct optim *optim)
{
    for (int i = 0; i < optim->count; i++) {
        struct descent_param *param = optim->owned[i].param;
        descent_real *restrict value = param->value, *restrict spare = optim->owned[i].spare;
        for (int64_t j = 0; j < param->size; j++) {
            descent_real kept = value[j];
            value[j] = spare[j];
            spare[j] = kept;
        }
        param->version++;
    }
}

enum descent_status optim_evaluation_begin(struct optim *optim)
{
    if (!optim_has_evaluation(optim) || optim->evaluating)
        return DESCENT_OK;
    for (int i = 0; i < optim->count; i++) {
        struct optim_owned *owned = &optim->owned[i];
        size_t bytes = (size_t)owned->param->size * sizeof *owned->spare;
        if (!owned->spare && !(owned->spare = descent_arena_alloc(optim->arena, bytes)))
            return DESCENT_OUT_OF_MEMORY;
        memcpy(owned->spare, owned->param->value, bytes);
    }
    struct optim_level *wrapper = averaging_wrapper(optim);
    if (wrapper)
        fill_spare(wrapper);
    else
        FOR_EACH_LEVEL (level, optim->base)
            fill_spare(level);
    swap_spare(optim);
    optim->evaluating = true;
    return DESCENT_OK;
}

void optim_evaluation_end(struct optim *optim)
{
    if (!optim->evaluating)
        return;
    swap_spare(optim);
    optim->evaluating = false;
}
