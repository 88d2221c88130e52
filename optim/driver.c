/* The driver: makes an optimizer from its spec, keeps groups, and turns a step into the algorithm's loop
 * over pieces of all tensors. It knows no algorithm; those are in rules/. */
#include "optim/internal.h"

#include <fnmatch.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { LR = 0 }; /* the first of every algorithm's options */

/* Pieces of tensors are whole blocks, so that threads share no cache line and vectors stay aligned. A chunk
 * has enough of them to be worth a thread. */
enum { BLOCK = 1024 /* elements */, CHUNK_BLOCKS = 16 };

static int find_option(const struct optim_algorithm *algorithm, const char *name)
{
    for (int i = 0; i < algorithm->option_count; i++)
        if (strcmp(algorithm->options[i].name, name) == 0)
            return i;
    return -1;
}

/* The hyperparameters in `part`, checked; `base`, if not NULL, instead of the defaults. NULL on failure. */
static struct optim_group *read_group(struct optim *optim, const struct descent_spec_part *part,
                                      const struct descent_value *base)
{
    const struct optim_algorithm *algorithm = optim->algorithm;
    char what[80];
    snprintf(what, sizeof what, "optimizer %s", algorithm->name);
    struct optim_group *group = descent_arena_alloc(optim->arena, sizeof *group);
    size_t bytes = (size_t)algorithm->option_count * sizeof *group->hyper;
    if (group) {
        group->hyper = descent_arena_alloc(optim->arena, bytes);
        group->live = descent_arena_alloc(optim->arena, bytes);
    }
    if (!group || !group->hyper || !group->live)
        return NULL;
    if (descent_spec_read(part, what, algorithm->options, algorithm->option_count, group->hyper))
        return NULL;
    for (int i = 0; base && i < algorithm->option_count; i++)
        if (!group->hyper[i].given)
            group->hyper[i] = base[i];
    if (algorithm->check && algorithm->check(group->hyper)) {
        descent_fail_in(DESCENT_BAD_ARGUMENT, "%s", what);
        return NULL;
    }
    memcpy(group->live, group->hyper, bytes);
    return group;
}

/* The number of parameters that joined; with pattern NULL all do. */
static int add_group(struct optim *optim, struct optim_group *group, const char *pattern)
{
    int joined = 0;
    for (int i = 0; i < optim->count; i++)
        if (!pattern || fnmatch(pattern, optim->tensor[i].param->name, 0) == 0) {
            optim->tensor[i].hyper = group->live;
            joined++;
        }
    if (joined > 0) {
        group->next = optim->groups;
        optim->groups = group;
    }
    return joined;
}

/* The parameters that have a gradient, and room for the largest work list. */
static enum descent_status adopt(struct optim *optim, struct descent_param *params, int count)
{
    int own = 0;
    for (int i = 0; i < count; i++)
        own += params[i].grad != NULL;
    if (own == 0)
        return descent_fail(DESCENT_BAD_ARGUMENT, "optimizer %s: none of %d parameters has a gradient",
                            optim->algorithm->name, count);
    size_t parts = (size_t)own + DESCENT_MAX_CHUNKS;
    optim->tensor = descent_arena_alloc(optim->arena, (size_t)own * sizeof *optim->tensor);
    optim->run.tensor = descent_arena_alloc(optim->arena, (size_t)own * sizeof *optim->run.tensor);
    optim->part = descent_arena_alloc(optim->arena, parts * sizeof *optim->part);
    if (!optim->tensor || !optim->run.tensor || !optim->part)
        return DESCENT_OUT_OF_MEMORY;
    for (int i = 0; i < count; i++)
        if (params[i].grad)
            optim->tensor[optim->count++] = (struct optim_tensor){.param = &params[i], .index = i};
    return DESCENT_OK;
}

static enum descent_status fill(struct optim *optim, const struct descent_spec_part *part,
                                struct descent_param *params, int count)
{
    const struct optim_algorithm *algorithm = optim->algorithm;
    if (algorithm->option_count < 1 || strcmp(algorithm->options[LR].name, "lr") != 0)
        return descent_fail(DESCENT_BAD_ARGUMENT, "the first hyperparameter of optimizer %s is not lr",
                            algorithm->name);
    optim->table = optim_find_table();
    optim->weight_decay = find_option(algorithm, "weight_decay");
    optim->decay_all = find_option(algorithm, "decay_all");
    optim->momentum = find_option(algorithm, "momentum");
    if (optim->momentum < 0)
        optim->momentum = find_option(algorithm, "beta1");
    optim->arena = descent_arena_new();
    if (!optim->arena)
        return DESCENT_OUT_OF_MEMORY;
    struct optim_group *group = read_group(optim, part, NULL);
    if (!group)
        return DESCENT_BAD_ARGUMENT;
    enum descent_status status = adopt(optim, params, count);
    if (status)
        return status;
    optim->base = group;
    add_group(optim, group, NULL);
    return optim_declare_state(optim);
}

static struct optim *new_from(const struct optim_algorithm *algorithm, const struct descent_spec_part *part,
                              struct descent_param *params, int count)
{
    struct optim *optim = descent_alloc(sizeof *optim);
    if (!optim)
        return NULL;
    optim->algorithm = algorithm;
    if (fill(optim, part, params, count)) {
        optim_free(optim);
        return NULL;
    }
    return optim;
}

/* A spec of one part. */
static enum descent_status parse(const char *text, struct descent_spec *spec)
{
    enum descent_status status = descent_spec_parse(text, spec);
    if (!status && spec->count > 1) {
        status = descent_fail(DESCENT_BAD_ARGUMENT, "optimizer %s cannot be combined with '%s'",
                              spec->part[0].name, spec->part[1].name);
        descent_spec_free(spec);
    }
    return status;
}

struct optim *optim_new_from(const struct optim_algorithm *algorithm, const char *text,
                             struct descent_param *params, int count)
{
    struct descent_spec spec;
    if (parse(text, &spec))
        return NULL;
    struct optim *optim = new_from(algorithm, &spec.part[0], params, count);
    descent_spec_free(&spec);
    return optim;
}

struct optim *optim_new(const char *text, struct descent_param *params, int count)
{
    struct descent_spec spec;
    if (parse(text, &spec))
        return NULL;
    const struct optim_algorithm *algorithm = optim_find(spec.part[0].name);
    struct optim *optim = algorithm ? new_from(algorithm, &spec.part[0], params, count) : NULL;
    descent_spec_free(&spec);
    return optim;
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

enum descent_status optim_group(struct optim *optim, const char *pattern, const char *overrides)
{
    struct descent_spec spec;
    if (optim->run.step > 0)
        return descent_fail(DESCENT_BAD_ARGUMENT,
                            "parameter group '%s' comes after step %lld; groups come before the first",
                            pattern, (long long)optim->run.step);
    const char *text = descent_arena_format(optim->arena, "%s:%s", optim->algorithm->name, overrides);
    enum descent_status status = text ? parse(text, &spec) : DESCENT_OUT_OF_MEMORY;
    if (status)
        return status;
    struct optim_group *group = read_group(optim, &spec.part[0], optim->base->hyper);
    descent_spec_free(&spec);
    if (!group)
        return descent_fail_in(DESCENT_BAD_ARGUMENT, "parameter group '%s'", pattern);
    if (add_group(optim, group, pattern) == 0)
        return descent_fail(DESCENT_BAD_ARGUMENT,
                            "parameter group '%s' matches no parameter that has a gradient", pattern);
    return optim_declare_state(optim);
}

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
        group->hyper[LR].number = lr;
    return DESCENT_OK;
}

void optim_set_pool(struct optim *optim, struct descent_pool *pool)
{
    optim->run.pool = pool;
}

void optim_set_objective(struct optim *optim, const struct optim_objective *objective)
{
    optim->run.objective = objective;
}

void optim_measure(struct optim *optim, bool on)
{
    optim->measure = on;
}

/* --- Questions. --- */

const struct optim_algorithm *optim_algorithm(const struct optim *optim)
{
    return optim->algorithm;
}

const char *optim_spec(struct optim *optim)
{
    const struct optim_algorithm *algorithm = optim->algorithm;
    char *spec = descent_arena_string(optim->arena, algorithm->name);
    for (int i = 0; i < algorithm->option_count && spec; i++) {
        char value[400];
        descent_value_text(&algorithm->options[i], &optim->base->hyper[i], value, sizeof value);
        spec = descent_arena_format(optim->arena, "%s%c%s=%s", spec, i ? ',' : ':',
                                    algorithm->options[i].name, value);
    }
    return spec;
}

int64_t optim_steps(const struct optim *optim)
{
    return optim->run.step;
}

double optim_lr_at(const struct optim *optim, int64_t steps)
{
    return optim_schedule_rate(optim->schedule, optim->base->hyper[LR].number, steps);
}

double optim_lr(const struct optim *optim)
{
    return optim_lr_at(optim, optim->run.step > 0 ? optim->run.step - 1 : 0);
}

double optim_gradient_norm(const struct optim *optim)
{
    return optim->run.gradient_norm;
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
static void select_tensors(struct optim *optim)
{
    optim->run.count = 0;
    for (int i = 0; i < optim->count; i++)
        if (optim->tensor[i].param->grad)
            optim->run.tensor[optim->run.count++] = &optim->tensor[i];
}

/* This step's work: the blocks of all tensors in a row, shared out evenly among the chunks. */
static void cut(struct optim *optim)
{
    struct optim_run *run = &optim->run;
    int64_t blocks = 0, block = 0; /* of all tensors; the next one of tensor t */
    for (int i = 0; i < run->count; i++)
        blocks += count_blocks(run->tensor[i]);
    int parts = 0, t = 0;
    optim->chunks = descent_chunk_count(blocks, CHUNK_BLOCKS);
    for (int chunk = 0; chunk < optim->chunks; chunk++) {
        int64_t begin, end;
        descent_chunk_range(blocks, optim->chunks, chunk, &begin, &end);
        optim->first[chunk] = parts;
        for (int64_t left = end - begin; left > 0;) {
            struct optim_tensor *tensor = run->tensor[t];
            int64_t taken = minimum(left, count_blocks(tensor) - block);
            optim->part[parts++] =
                (struct optim_part){.tensor = tensor,
                                    .begin = block * BLOCK,
                                    .end = minimum((block + taken) * BLOCK, tensor->param->size),
                                    .measure = optim->measure};
            left -= taken;
            block += taken;
            if (block == count_blocks(tensor)) {
                block = 0;
                t++;
            }
        }
    }
    optim->first[optim->chunks] = parts;
}

struct region {
    struct optim *optim;
    optim_loop *loop;
};

static void run_chunk(void *context, int chunk, int thread)
{
    const struct region *region = context;
    (void)thread;
    for (int i = region->optim->first[chunk]; i < region->optim->first[chunk + 1]; i++)
        region->loop(&region->optim->part[i]);
}

void optim_for_parts(struct optim_run *run, optim_loop *loop)
{
    struct region region = {.optim = (struct optim *)run, .loop = loop};
    descent_pool_run(run->pool, region.optim->chunks, run_chunk, &region);
}

void optim_add_up(struct optim_run *run, optim_loop *loop)
{
    const struct optim *optim = (struct optim *)run;
    optim_for_parts(run, loop);
    for (int i = 0; i < run->count; i++)
        memset(run->tensor[i]->sums, 0, sizeof run->tensor[i]->sums);
    for (int i = 0; i < optim->first[optim->chunks]; i++)
        for (int j = 0; j < OPTIM_SUMS; j++)
            optim->part[i].tensor->sums[j] += optim->part[i].sums[j];
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

/* The root of the sum over all parts, in their order. */
static double root_of_sums(const struct optim *optim)
{
    double sum = 0;
    for (int i = 0; i < optim->first[optim->chunks]; i++)
        sum += optim->part[i].sum;
    return sqrt(sum);
}

static enum descent_status fail_not_finite(const struct optim *optim)
{
    const struct optim_run *run = &optim->run;
    for (int i = 0; i < run->count; i++) {
        const struct descent_param *param = run->tensor[i]->param;
        for (int64_t j = 0; j < param->size; j++)
            if (!isfinite(param->grad[j]))
                return descent_fail(
                    DESCENT_DIVERGED,
                    "the gradient of %s is not finite in step %lld (element %lld of %lld is %g)",
                    param->name, (long long)run->step + 1, (long long)j + 1, (long long)param->size,
                    (double)param->grad[j]);
    }
    return descent_fail(DESCENT_DIVERGED, "the gradient norm overflows in step %lld",
                        (long long)run->step + 1);
}

static enum descent_status check_objective(const struct optim *optim)
{
    const struct optim_objective none = {0},
                                 *objective = optim->run.objective ? optim->run.objective : &none;
    const struct {
        bool served;
        const char *name;
    } needs[] = {
#define X(name, function) {objective->function != NULL, #function},
        OPTIM_NEEDS_LIST(X)
#undef X
    };
    for (size_t i = 0; i < sizeof needs / sizeof *needs; i++)
        if (optim->algorithm->needs & 1u << i && !needs[i].served)
            return descent_fail(DESCENT_NOT_FOUND,
                                "optimizer %s needs '%s' of the objective, which has none",
                                optim->algorithm->name, needs[i].name);
    return DESCENT_OK;
}

static double weight_decay(const struct optim *optim, const struct optim_tensor *t)
{
    bool excluded = t->param->kind == DESCENT_BIAS || t->param->kind == DESCENT_NORM;
    bool all = optim->decay_all >= 0 && t->hyper[optim->decay_all].number != 0;
    return optim->weight_decay < 0 || (excluded && !all) ? 0 : t->hyper[optim->weight_decay].number;
}

/* This step's hyperparameters. No schedule gives momentum to a rule that was set to have none. */
static void set_live(const struct optim *optim, const struct optim_group *group)
{
    memcpy(group->live, group->hyper, (size_t)optim->algorithm->option_count * sizeof *group->live);
    if (optim->momentum >= 0 && group->hyper[optim->momentum].number > 0)
        group->live[optim->momentum].number =
            optim_schedule_momentum(optim->schedule, group->hyper[optim->momentum].number, optim->run.step);
}

static void set_scalars(struct optim *optim)
{
    for (const struct optim_group *group = optim->groups; group; group = group->next)
        set_live(optim, group);
    enum optim_decay how = optim->algorithm->decay;
    double clip = optim->max_norm > 0 ? fmin(1, optim->max_norm / (optim->run.gradient_norm + 1e-6)) : 1;
    for (int i = 0; i < optim->run.count; i++) {
        struct optim_tensor *t = optim->run.tensor[i];
        double decay = weight_decay(optim, t);
        t->lr = optim_schedule_rate(optim->schedule, t->hyper[LR].number, optim->run.step);
        t->grad_scale = clip;
        t->l2 = how == OPTIM_COUPLED ? decay : 0;
        t->shrink = how == OPTIM_DECOUPLED ? t->lr * decay : 0;
        t->decay = how == OPTIM_OWN_DECAY ? decay : 0;
    }
}

enum descent_status optim_step(struct optim *optim)
{
    struct optim_run *run = &optim->run;
    enum descent_status status = check_objective(optim);
    if (status)
        return status;
    select_tensors(optim);
    cut(optim);
    optim_for_parts(run, optim->table->sum_squares);
    double norm = root_of_sums(optim);
    if (!isfinite(norm))
        return fail_not_finite(optim);
    run->gradient_norm = norm;
    set_scalars(optim);
    run->step++;
    status = optim->algorithm->step(run);
    if (status) {
        run->step--;
        return status;
    }
    if (optim->measure)
        optim->update_norm = root_of_sums(optim);
    for (int i = 0; i < run->count; i++)
        run->tensor[i]->param->version++;
    return DESCENT_OK;
}
