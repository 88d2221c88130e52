/* The plan of a comparison; see plan.h. */
#include "train/compare/plan.h"

#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "train/compare/sobol.h"
#include "train/compare/space.h"

#include <ctype.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { VERSION = 1, LEAGUES = 2, EVAL_BATCH = 256, SEEDS_APART = 1000 };

const char *const plan_leagues[] = {"defaults", "tuned", NULL};
const char *const plan_kinds[] = {
    [PLAN_DEFAULT_RUN] = "default", [PLAN_TRIAL_RUN] = "trial", [PLAN_TUNED_RUN] = "tuned"};

/* ---- Runs ---- */

static int finals(const struct plan *plan)
{
    return plan->task_count * plan->entry_count *
           ((plan->leagues & PLAN_TUNED ? 1 : 0) + (plan->leagues & PLAN_DEFAULTS ? 1 : 0));
}

static int trials(const struct plan *plan)
{
    return plan->leagues & PLAN_TUNED ? plan->budget : 0;
}

int plan_runs(const struct plan *plan)
{
    return plan->task_count * plan->entry_count * trials(plan) + finals(plan) * plan->seeds;
}

struct plan_run plan_run(const struct plan *plan, int i)
{
    int entries = plan->entry_count, round = plan->task_count * entries;
    bool trial = i < round * trials(plan);
    if (!trial)
        i -= round * trials(plan);
    int within = i % round;
    struct plan_run run = {.task = within / entries, .entry = within % entries, .index = i / round};
    if (trial)
        run.kind = PLAN_TRIAL_RUN;
    else if (plan->leagues == (PLAN_DEFAULTS | PLAN_TUNED)) {
        run.kind = run.index % 2 ? PLAN_DEFAULT_RUN : PLAN_TUNED_RUN;
        run.index /= 2;
    } else
        run.kind = plan->leagues & PLAN_TUNED ? PLAN_TUNED_RUN : PLAN_DEFAULT_RUN;
    return run;
}

int plan_find(const struct plan *plan, const struct plan_run *run)
{
    int round = plan->task_count * plan->entry_count, within = run->task * plan->entry_count + run->entry;
    bool both = plan->leagues == (PLAN_DEFAULTS | PLAN_TUNED);
    if (run->kind == PLAN_TRIAL_RUN)
        return run->index < trials(plan) ? run->index * round + within : -1;
    if (run->index >= plan->seeds ||
        !(plan->leagues & (run->kind == PLAN_TUNED_RUN ? PLAN_TUNED : PLAN_DEFAULTS)))
        return -1;
    int pass = both ? 2 * run->index + (run->kind == PLAN_DEFAULT_RUN) : run->index;
    return (trials(plan) + pass) * round + within;
}

const char *plan_path(const struct plan *plan, const struct plan_run *run, const char *out,
                      char path[PLAN_PATH])
{
    snprintf(path, PLAN_PATH, "%s/runs/%s/%s/%s-%02d", out, plan->task[run->task].name,
             plan->entry[run->entry].name, plan_kinds[run->kind], run->index + 1);
    return path;
}

enum descent_status plan_spec(const struct plan *plan, const struct plan_run *run, char *text, int size)
{
    const char *spec = plan->entry[run->entry].spec;
    if (run->kind != PLAN_TRIAL_RUN) {
        snprintf(text, (size_t)size, "%s", spec);
        return DESCENT_OK;
    }
    struct space space;
    double point[SPACE_DIMENSIONS];
    char trial[SPEC_LENGTH];
    enum descent_status status = space_of(spec, &space);
    if (status != DESCENT_OK)
        return status;
    if (space.count > 0)
        sobol_point(plan->seed, run->index, space.count, point);
    status = space_spec(spec, &space, point, trial);
    snprintf(text, (size_t)size, "%s", trial);
    return status;
}

bool plan_unscheduled(const struct plan *plan, int entry)
{
    char name[256];
    const char *spec = plan->entry[entry].spec;
    struct descent_spec parts;
    if (descent_spec_parse(spec, &parts) != DESCENT_OK)
        return false;
    snprintf(name, sizeof name, "%s", parts.part[0].name);
    descent_spec_free(&parts);
    const struct optim_algorithm *algorithm = optim_find(name);
    return algorithm && algorithm->unscheduled;
}

struct train_config plan_config(const struct plan *plan, const struct plan_run *run, const char *spec)
{
    const struct plan_task *task = &plan->task[run->task];
    bool trial = run->kind == PLAN_TRIAL_RUN;
    return (struct train_config){
        .data = task->data,
        .model = task->model,
        .optimizer = spec,
        .schedule = plan_unscheduled(plan, run->entry) ? "constant" : plan->schedule,
        .augment = plan->augment,
        .force = true,
        .epochs = task->epochs,
        .no_test = trial,
        .no_model = true,
        .evaluations = plan->points,
        .batch = plan->batch,
        .eval_batch = EVAL_BATCH,
        .order = DATA_SHUFFLED,
        .validation = plan->validation,
        .split_seed = plan->seed,
        .layer_decay = 1,
        .seed = plan->seed * SEEDS_APART + (trial ? 0 : 1 + (uint64_t)run->index),
        .threads = 1,
        .log_every = INT_MAX,
    };
}

/* ---- Completing and checking ---- */

/* A name for a directory: everything else becomes '-', and none begins with a dot. */
static const char *directory_name(struct descent_arena *arena, const char *text)
{
    char *name = descent_arena_string(arena, text);
    for (char *c = name; c && *c; c++)
        if (!isalnum((unsigned char)*c) && !strchr("_=.,", *c))
            *c = '-';
    if (name && *name == '.')
        *name = '-';
    return name;
}

/* A spec without the directories of the path that it begins with: "photos/cats:size=64" is "cats:size=64".
 */
static const char *base_name(struct descent_arena *arena, const char *spec)
{
    size_t length = strcspn(spec, ":");
    const char *options = spec + length, *base = descent_base_name(spec, &length);
    return descent_arena_format(arena, "%.*s%s", (int)length, base, options);
}

static enum descent_status name_task(const struct plan *plan, struct plan_task *task,
                                     struct descent_arena *arena)
{
    task->data_name = base_name(arena, task->data);
    task->model_name = base_name(arena, task->model);
    if (!task->name && task->data_name && task->model_name)
        task->name = descent_arena_format(arena, "%s-%s", task->data_name, task->model_name);
    task->name = task->name ? directory_name(arena, task->name) : NULL;
    if (!task->data_name || !task->model_name || !task->name)
        return descent_fail(DESCENT_OUT_OF_MEMORY, "out of memory");
    if (strlen(task->name) > NAME_MAX)
        return descent_fail(DESCENT_BAD_ARGUMENT, "the name of task %.40s... is longer than %d characters",
                            task->name, NAME_MAX);
    for (const struct plan_task *other = plan->task; other < task; other++)
        if (strcmp(other->name, task->name) == 0)
            return descent_fail(DESCENT_BAD_ARGUMENT, "tasks %s:%s and %s:%s are both called %s",
                                other->data, other->model, task->data, task->model, task->name);
    return DESCENT_OK;
}

static enum descent_status check_entry(const struct plan *plan, int i)
{
    struct space space;
    const struct plan_entry *entry = &plan->entry[i];
    enum descent_status status = space_of(entry->spec, &space);
    for (int j = 0; j < i && status == DESCENT_OK; j++)
        if (strcmp(plan->entry[j].name, entry->name) == 0)
            return descent_fail(DESCENT_BAD_ARGUMENT,
                                "optimizer %s is given twice; call one of them something else: "
                                "--optimizer NAME=SPEC",
                                entry->label);
    return status == DESCENT_NOT_FOUND ? DESCENT_OK
                                       : status; /* of code that is not loaded, no table tells */
}

enum descent_status plan_complete(struct plan *plan, struct descent_arena *arena)
{
    for (int i = 0; i < plan->task_count; i++) {
        enum descent_status status = name_task(plan, &plan->task[i], arena);
        if (status != DESCENT_OK)
            return status;
    }
    for (int i = 0; i < plan->entry_count; i++) {
        plan->entry[i].name = directory_name(arena, plan->entry[i].label);
        if (!plan->entry[i].name)
            return descent_fail(DESCENT_OUT_OF_MEMORY, "out of memory");
        if (strlen(plan->entry[i].name) > NAME_MAX)
            return descent_fail(DESCENT_BAD_ARGUMENT,
                                "the name of optimizer %.40s... is longer than %d characters; give it a "
                                "short one: --optimizer NAME=SPEC",
                                plan->entry[i].label, NAME_MAX);
        enum descent_status status = check_entry(plan, i);
        if (status != DESCENT_OK)
            return status;
    }
    return DESCENT_OK;
}

static bool same(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

/* ---- comparison.json ---- */

static struct descent_json *tasks_json(const struct plan *plan)
{
    struct descent_json *json = descent_json_array();
    for (int i = 0; i < plan->task_count; i++) {
        struct descent_json *task = descent_json_object();
        descent_json_set_text(task, "name", plan->task[i].name);
        descent_json_set_text(task, "data", plan->task[i].data);
        descent_json_set_text(task, "model", plan->task[i].model);
        if (plan->task[i].code)
            descent_json_set_text(task, "code", plan->task[i].code);
        descent_json_set_integer(task, "epochs", plan->task[i].epochs);
        descent_json_add(json, task);
    }
    return json;
}

static struct descent_json *entries_json(const struct plan *plan)
{
    struct descent_json *json = descent_json_array();
    for (int i = 0; i < plan->entry_count; i++) {
        struct descent_json *entry = descent_json_object();
        descent_json_set_text(entry, "label", plan->entry[i].label);
        descent_json_set_text(entry, "spec", plan->entry[i].spec);
        if (plan->entry[i].code)
            descent_json_set_text(entry, "code", plan->entry[i].code);
        descent_json_add(json, entry);
    }
    return json;
}

enum descent_status plan_write(const struct plan *plan, const char *out)
{
    char path[PLAN_PATH];
    snprintf(path, sizeof path, "%s/comparison.json", out);
    struct descent_json *json = descent_json_object();
    descent_json_set_integer(json, "version", VERSION);
    descent_json_set(json, "tasks", tasks_json(plan));
    descent_json_set(json, "optimizers", entries_json(plan));
    descent_json_set_text(json, "reference", plan->entry[plan->reference].label);
    struct descent_json *leagues = descent_json_array();
    for (int i = 0; i < LEAGUES; i++)
        if (plan->leagues & 1U << i)
            descent_json_add_text(leagues, plan_leagues[i]);
    descent_json_set(json, "leagues", leagues);
    descent_json_set_integer(json, "budget", plan->budget);
    descent_json_set_integer(json, "seeds", plan->seeds);
    descent_json_set_integer(json, "points", plan->points);
    descent_json_set_integer(json, "batch", plan->batch);
    descent_json_set_number(json, "validation", plan->validation);
    descent_json_set_integer(json, "seed", (int64_t)plan->seed);
    descent_json_set_text(json, "schedule", plan->schedule);
    descent_json_set_text(json, "augment", plan->augment);
    enum descent_status status = descent_json_write(path, json);
    descent_json_free(json);
    return status;
}

/* Reads what plan_write wrote; `fault` remembers the first key that is missing or out of range. */
struct reader {
    const struct descent_json *json;
    struct descent_arena *arena;
    const char *fault;
};

static const char *text_of(struct reader *reader, const struct descent_json *json, const char *key)
{
    const char *text = descent_json_text(json, key, NULL);
    const char *copy = text && *text ? descent_arena_string(reader->arena, text) : NULL;
    if (!copy)
        reader->fault = key;
    return copy;
}

static const char *optional_text_of(struct reader *reader, const struct descent_json *json, const char *key)
{
    return descent_json_text(json, key, NULL) ? text_of(reader, json, key) : NULL;
}

static int count_of(struct reader *reader, const struct descent_json *json, const char *key, int least,
                    int most)
{
    double number = descent_json_number(json, key, NAN);
    if (number >= least && number <= most && floor(number) == number)
        return (int)number;
    reader->fault = key;
    return least;
}

static void read_lists(struct reader *reader, struct plan *plan)
{
    const struct descent_json *tasks = descent_json_get(reader->json, "tasks"),
                              *entries = descent_json_get(reader->json, "optimizers"), *item;
    while (plan->task_count < PLAN_TASKS && (item = descent_json_at(tasks, plan->task_count))) {
        plan->task[plan->task_count++] =
            (struct plan_task){.name = optional_text_of(reader, item, "name"),
                               .data = text_of(reader, item, "data"),
                               .model = text_of(reader, item, "model"),
                               .code = optional_text_of(reader, item, "code"),
                               .epochs = count_of(reader, item, "epochs", 1, 1000000)};
    }
    while (plan->entry_count < PLAN_ENTRIES && (item = descent_json_at(entries, plan->entry_count)))
        plan->entry[plan->entry_count++] =
            (struct plan_entry){.label = text_of(reader, item, "label"),
                                .spec = text_of(reader, item, "spec"),
                                .code = optional_text_of(reader, item, "code")};
    if (plan->task_count == 0)
        reader->fault = "tasks";
    if (plan->entry_count == 0)
        reader->fault = "optimizers";
}

static void read_settings(struct reader *reader, struct plan *plan)
{
    const struct descent_json *json = reader->json;
    count_of(reader, json, "version", VERSION, VERSION);
    const char *reference = text_of(reader, json, "reference");
    plan->reference = -1;
    for (int i = 0; i < plan->entry_count && reference && !reader->fault; i++)
        if (strcmp(plan->entry[i].label, reference) == 0)
            plan->reference = i;
    if (plan->reference < 0)
        reader->fault = "reference";
    const struct descent_json *leagues = descent_json_get(json, "leagues"), *league;
    for (int i = 0; (league = descent_json_at(leagues, i)); i++)
        for (int k = 0; k < LEAGUES; k++)
            if (same(descent_json_as_text(league), plan_leagues[k]))
                plan->leagues |= 1U << k;
    if (!plan->leagues)
        reader->fault = "leagues";
    plan->budget = count_of(reader, json, "budget", plan->leagues & PLAN_TUNED ? 1 : 0, PLAN_TRIALS);
    plan->seeds = count_of(reader, json, "seeds", 1, PLAN_SEEDS);
    plan->points = count_of(reader, json, "points", PLAN_LEAST_POINTS, 100000);
    plan->batch = count_of(reader, json, "batch", 1, INT_MAX);
    plan->seed = (uint64_t)count_of(reader, json, "seed", 1, INT_MAX);
    plan->validation = descent_json_number(json, "validation", NAN);
    if (!(plan->validation > 0 && plan->validation < 1))
        reader->fault = "validation";
    plan->schedule = text_of(reader, json, "schedule");
    plan->augment = optional_text_of(reader, json, "augment");
}

enum descent_status plan_read_json(const char *out, char path[PLAN_PATH], struct descent_json **json)
{
    snprintf(path, PLAN_PATH, "%s/comparison.json", out);
    return descent_json_read(path, 1 << 20, json);
}

enum descent_status plan_read(const char *out, struct descent_arena *arena, struct plan *plan)
{
    char path[PLAN_PATH];
    struct descent_json *json;
    *plan = (struct plan){0};
    enum descent_status status = plan_read_json(out, path, &json);
    if (status != DESCENT_OK)
        return status;
    struct reader reader = {.json = json, .arena = arena};
    read_lists(&reader, plan);
    read_settings(&reader, plan);
    descent_json_free(json);
    if (reader.fault)
        return descent_fail(DESCENT_BAD_FORMAT, "%s: '%s' is missing or out of range", path, reader.fault);
    status = plan_complete(plan, arena);
    return status == DESCENT_OK ? status : descent_fail_in(status, "%s", path);
}

/* ---- Two plans ---- */

static const char *difference(const struct plan *a, const struct plan *b)
{
    if (a->task_count != b->task_count)
        return "tasks";
    for (int i = 0; i < a->task_count; i++)
        if (!same(a->task[i].data, b->task[i].data) || !same(a->task[i].model, b->task[i].model) ||
            a->task[i].epochs != b->task[i].epochs)
            return "tasks or their epochs";
    return a->leagues != b->leagues          ? "leagues"
           : a->budget != b->budget          ? "budget"
           : a->points != b->points          ? "points"
           : a->batch != b->batch            ? "batch"
           : a->validation != b->validation  ? "validation"
           : a->seed != b->seed              ? "seed"
           : !same(a->schedule, b->schedule) ? "schedule"
           : !same(a->augment, b->augment)   ? "augment"
                                             : NULL;
}

enum descent_status plan_merge(struct plan *plan, const struct plan *stored, const char *out)
{
    const char *other = difference(plan, stored);
    if (other)
        return descent_fail(
            DESCENT_MISMATCH,
            "%s holds a comparison with other %s; choose another --out, or continue that one "
            "with 'train compare --out %s' alone",
            out, other, out);
    struct plan both = *stored;
    for (int i = 0; i < plan->entry_count; i++) {
        int found = -1;
        for (int j = 0; j < both.entry_count && found < 0; j++)
            if (strcmp(plan->entry[i].name, both.entry[j].name) == 0)
                found = j;
        if (found >= 0 && strcmp(plan->entry[i].spec, both.entry[found].spec) != 0)
            return descent_fail(DESCENT_MISMATCH, "%s holds a comparison in which %s is %s, not %s", out,
                                plan->entry[i].label, both.entry[found].spec, plan->entry[i].spec);
        if (found < 0 && both.entry_count == PLAN_ENTRIES)
            return descent_fail(DESCENT_BAD_ARGUMENT, "more than %d optimizers", PLAN_ENTRIES);
        if (found < 0) {
            found = both.entry_count++;
            both.entry[found] = plan->entry[i];
        }
        if (i == plan->reference)
            both.reference = found;
    }
    if (plan->seeds > both.seeds)
        both.seeds = plan->seeds;
    *plan = both;
    return DESCENT_OK;
}
