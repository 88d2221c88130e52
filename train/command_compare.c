/* `train compare`: optimizers on real data, by a protocol that its reader can trust. What is compared
 * follows from options; plan.h says what that means, work.h how it gets done, report.h what comes out. */
#include "train/commands.h"
#include "train/compare/plan.h"
#include "train/compare/report.h"
#include "train/compare/space.h"
#include "train/compare/suites.h"
#include "train/compare/work.h"
#include "train/extension.h"
#include "train/launch.h"
#include "train/network.h"
#include "train/options.h"
#include "train/progress.h"

#include "base/file.h"
#include "base/memory.h"
#include "models/models.h"

#include <ctype.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LEADERS = 4 /* optimizers on the live line */, USUAL_EPOCHS = 5 };

/* Numbers that are 0, texts that are NULL and a league of -1 were not given. */
struct request {
    const char *data, *model, *suite, *reference, *schedule, *augment, *out;
    const char *task[PLAN_TASKS + 1], *optimizers[PLAN_ENTRIES + 1], *optimizer[PLAN_ENTRIES + 1];
    int league, budget, seeds, points, epochs, batch, jobs;
    double validation;
    uint64_t seed;
    bool allow_code, quiet, help;
};

#define AT(field) offsetof(struct request, field)

static const char *const leagues[] = {"defaults", "tuned", "both", NULL}; /* enum plan_league - 1 */

static const struct option_row rows[] = {
    {"What to compare", "optimizers", "LIST", OPTION_LIST, AT(optimizers), .max = PLAN_ENTRIES,
     .help = "names, and presets that stand for several (see below), separated by commas (default: "
             "classic,adamw,lamb,lion)"},
    {NULL, "optimizer", "[NAME=]SPEC", OPTION_TEXTS, AT(optimizer), .max = PLAN_ENTRIES,
     .help = "one more, as 'train --optimizer' takes it, beside --optimizers or a suite's; what it sets is "
             "not tuned; may be repeated"},
    {NULL, "reference", "NAME", OPTION_TEXT, AT(reference),
     .help = "the one that all others are measured against (default: adamw, or else the first)"},
    {NULL, "data", "NAME|PATH", OPTION_TEXT, AT(data),
     .help = "data set, as 'train --data' takes it (default: fashion-mnist)"},
    {NULL, "model", "SPEC", OPTION_TEXT, AT(model), .help = "network (default: lenet5)"},
    {NULL, "task", "DATA:MODEL[@EPOCHS]", OPTION_TEXTS, AT(task), .max = PLAN_TASKS,
     .help = "instead of --data and --model; may be repeated"},
    {NULL, "suite", "NAME", OPTION_TEXT, AT(suite), .help = "a whole comparison, see below"},

    {"By which protocol", "league", "WHICH", OPTION_CHOICE, AT(league), .choices = leagues,
     .help = "defaults: documented settings; tuned: the best settings of --budget trials; both (the "
             "default)"},
    {NULL, "budget", "N", OPTION_COUNT, AT(budget), .min = 1, .max = PLAN_TRIALS,
     .help = "trials that each optimizer is tuned by (default: 8)"},
    {NULL, "seeds", "N", OPTION_COUNT, AT(seeds), .min = 1, .max = PLAN_SEEDS,
     .help = "final runs of each optimizer in each league; the i-th of all begin alike (default: 10)"},
    {NULL, "epochs", "N", OPTION_COUNT, AT(epochs), .min = 1, .max = 1e6,
     .help = "of every run (default: 5)"},
    {NULL, "batch", "N", OPTION_COUNT, AT(batch), .min = 1, .max = INT_MAX,
     .help = "images a step (default: 64)"},
    {NULL, "schedule", "SPEC", OPTION_TEXT, AT(schedule),
     .help = "of all but the optimizers made to do without (default: cosine+warmup:5%)"},
    {NULL, "augment", "SPEC", OPTION_TEXT, AT(augment), .help = "random changes of training images"},
    {NULL, "validation", "FRACTION", OPTION_REAL, AT(validation), .min = 1e-6, .max = 1,
     .help = "of the training set, held out from all runs (default: 0.1)"},
    {NULL, "points", "N", OPTION_COUNT, AT(points), .min = PLAN_LEAST_POINTS, .max = 100000,
     .help = "evaluations of a run on the validation part, outside the clock (default: 20)"},
    {NULL, "seed", "N", OPTION_SEED, AT(seed), .min = 1, .max = INT_MAX,
     .help = "of the split, the trials and the seeds of runs (default: 1)"},

    {"Where", "out", "DIR", OPTION_TEXT, AT(out),
     .help = "directory of the comparison; one that holds it is continued (default: "
             "runs/compare-MODEL-DATA, of the first task, or runs/compare-SUITE)"},
    {NULL, "jobs", "N", OPTION_COUNT, AT(jobs), .min = 1, .max = 256,
     .help = "runs at a time, each with one thread (default: the CPUs it may use)"},
    {NULL, "allow-code", NULL, OPTION_YES, AT(allow_code),
     .help = "compile and run the C files that the directory's plan names"},
    {NULL, "quiet", NULL, OPTION_YES, AT(quiet), .help = "print nothing but errors"},
    {NULL, "help", NULL, OPTION_YES, AT(help), .help = "print this (also -h) and exit"},
};

static const struct option_table table = {
    .command = "train compare", .rows = rows, .count = sizeof rows / sizeof rows[0]};

static const char introduction[] =
    "usage: train compare [OPTIONS]\n"
    "       train compare report DIR       make the report of DIR once more\n"
    "\n"
    "Compares optimizers on real data. Each gets the same number of trials in its published search space,\n"
    "judged on a validation part alone; the best settings then run on fresh seeds, with the same initial\n"
    "weights and batches for all; the test set is read once, at the end of each of these runs. What is\n"
    "reported is how soon each reaches the reference's targets, with intervals, and what cannot be told\n"
    "apart. Results do not depend on --jobs; a comparison that was killed goes on with the same command,\n"
    "and several processes, on one machine or on many that share the directory, may work on it at once.\n"
    "\n"
    "  train compare --suite quick\n"
    "      Eight optimizers on pictures of clothes, in minutes.\n"
    "  train compare --optimizers classic,adamw --model mlp --epochs 3 --seeds 5 --out runs/mlp\n"
    "  train compare --optimizer slow=adamw:lr=1e-5 --optimizer adamw+ema --reference adamw+ema\n"
    "      Specs, under names of your own; settings that a spec gives are not tuned.\n"
    "  train compare --out runs/mlp --optimizers lion\n"
    "      One more optimizer in a comparison that exists; --seeds may grow likewise.\n"
    "\n";

static void print_help(void)
{
    fputs(introduction, stdout);
    options_print(&table, stdout);
    printf("\npresets:\n");
    for (const struct preset *preset = presets; preset->name; preset++)
        printf("  %-10s %s%s%s\n", preset->name, preset->summary, preset->optimizers ? ": " : "",
               preset->optimizers ? preset->optimizers : "");
    printf("\nsuites:\n");
    for (const struct suite *suite = suites; suite->name; suite++)
        printf("  %-10s %s: %s; %s; %d trials, %d seeds\n", suite->name, suite->summary, suite->tasks,
               suite->optimizers, suite->budget, suite->seeds);
}

/* ---- From options to a plan ---- */

static enum descent_status out_of_memory(void)
{
    return descent_fail(DESCENT_OUT_OF_MEMORY, "out of memory");
}

static enum descent_status add_entry(struct plan *plan, struct descent_arena *arena, const char *label,
                                     const char *spec)
{
    if (plan->entry_count == PLAN_ENTRIES)
        return descent_fail(DESCENT_BAD_ARGUMENT, "more than %d optimizers", PLAN_ENTRIES);
    struct plan_entry *entry = &plan->entry[plan->entry_count];
    *entry = (struct plan_entry){.label = descent_arena_string(arena, label),
                                 .spec = descent_arena_string(arena, spec)};
    if (!entry->label || !entry->spec)
        return out_of_memory();
    enum descent_status status = extension_load_spec(EXTENSION_OPTIMIZER, entry->spec);
    if (status != DESCENT_OK)
        return status;
    for (int i = 0; i < plan->entry_count; i++) /* presets overlap */
        if (strcmp(plan->entry[i].label, label) == 0 && strcmp(plan->entry[i].spec, spec) == 0)
            return DESCENT_OK;
    plan->entry_count++;
    return DESCENT_OK;
}

/* All algorithms but those that look along a line in every batch: what they save in steps they lose to
 * the noise of mini-batches. */
static enum descent_status add_all(struct plan *plan, struct descent_arena *arena)
{
    int count;
    const struct optim_algorithm *const *all = optim_algorithms(&count);
    enum descent_status status = DESCENT_OK;
    for (int i = 0; i < count && status == DESCENT_OK; i++)
        if (!(all[i]->needs & OPTIM_NEEDS_EVALUATE))
            status = add_entry(plan, arena, all[i]->name, all[i]->name);
    return status;
}

static enum descent_status add_names(struct plan *plan, struct descent_arena *arena, const char *list);

static enum descent_status add_name(struct plan *plan, struct descent_arena *arena, const char *name)
{
    for (const struct preset *preset = presets; preset->name; preset++)
        if (strcmp(preset->name, name) == 0)
            return preset->optimizers ? add_names(plan, arena, preset->optimizers) : add_all(plan, arena);
    return add_entry(plan, arena, name, name);
}

static enum descent_status add_names(struct plan *plan, struct descent_arena *arena, const char *list)
{
    enum descent_status status = DESCENT_OK;
    char *copy = descent_arena_string(arena, list), *rest = NULL;
    if (!copy)
        return out_of_memory();
    for (char *name = strtok_r(copy, ",", &rest); name && status == DESCENT_OK;
         name = strtok_r(NULL, ",", &rest))
        status = add_name(plan, arena, name);
    return status;
}

/* "twin=adamw:lr=1e-3": a name ends at a '=' that comes before whatever a spec has. */
static enum descent_status add_spec(struct plan *plan, struct descent_arena *arena, const char *text)
{
    size_t length = strcspn(text, "=:+,");
    if (text[length] != '=')
        return add_entry(plan, arena, text, text);
    char *label = descent_arena_format(arena, "%.*s", (int)length, text);
    if (!label)
        return out_of_memory();
    if (length == 0 || !text[length + 1])
        return descent_fail(DESCENT_BAD_ARGUMENT, "--optimizer %s: expected SPEC or NAME=SPEC", text);
    return add_entry(plan, arena, label, text + length + 1);
}

static enum descent_status add_entries(struct plan *plan, struct descent_arena *arena,
                                       const struct request *request, const struct suite *suite)
{
    enum descent_status status = DESCENT_OK;
    if (!request->optimizers[0] && (suite || !request->optimizer[0]))
        status = add_names(plan, arena, suite ? suite->optimizers : "classic,adamw,lamb,lion");
    for (int i = 0; request->optimizers[i] && status == DESCENT_OK; i++)
        status = add_name(plan, arena, request->optimizers[i]);
    for (int i = 0; request->optimizer[i] && status == DESCENT_OK; i++)
        status = add_spec(plan, arena, request->optimizer[i]);
    return status;
}

/* Whether text begins with a model: the path of a C file, or a name that is known. */
static bool begins_with_model(const char *text)
{
    char name[64];
    int count;
    if (*text == '.' || *text == '/')
        return strstr(text, ".c") != NULL;
    snprintf(name, sizeof name, "%.*s", (int)strcspn(text, ":@"), text);
    const struct model *const *models = model_list(&count);
    for (int i = 0; i < count; i++)
        if (strcmp(models[i]->name, name) == 0)
            return true;
    return false;
}

/* DATA:MODEL[@EPOCHS], each of which may have options after colons of their own. */
static enum descent_status read_task(struct plan_task *task, struct descent_arena *arena, const char *text,
                                     int epochs)
{
    char *copy = descent_arena_string(arena, text);
    if (!copy)
        return out_of_memory();
    double number = epochs;
    char *at = strrchr(copy, '@'), *colon = copy;
    if (at) {
        *at = 0;
        if (!descent_parse_number(at + 1, &number) || number < 1 || number > 1e6 || floor(number) != number)
            return descent_fail(DESCENT_BAD_ARGUMENT,
                                "--task %s: expected a whole number of epochs after '@'", text);
    }
    while ((colon = strchr(colon, ':')) && !begins_with_model(colon + 1))
        colon++;
    if (!colon || colon == copy)
        return descent_fail(DESCENT_BAD_ARGUMENT,
                            "--task %s: expected DATA:MODEL[@EPOCHS] with a model that 'train list models' "
                            "shows, or a C file",
                            text);
    *colon = 0;
    *task = (struct plan_task){.data = copy, .model = colon + 1, .epochs = (int)number};
    return DESCENT_OK;
}

static enum descent_status add_task(struct plan *plan, struct descent_arena *arena, const char *text,
                                    int epochs)
{
    if (plan->task_count == PLAN_TASKS)
        return descent_fail(DESCENT_BAD_ARGUMENT, "more than %d tasks", PLAN_TASKS);
    struct plan_task *task = &plan->task[plan->task_count++];
    enum descent_status status = read_task(task, arena, text, epochs);
    return status == DESCENT_OK ? extension_load_spec(EXTENSION_MODEL, task->model) : status;
}

/* What is compared on where no --task and no suite says so. */
static struct plan_task usual_task(const struct request *request)
{
    return (struct plan_task){.data = request->data ? request->data : "fashion-mnist",
                              .model = request->model ? request->model : "lenet5",
                              .epochs = request->epochs > 0 ? request->epochs : USUAL_EPOCHS};
}

static enum descent_status add_tasks(struct plan *plan, struct descent_arena *arena,
                                     const struct request *request, const struct suite *suite)
{
    int epochs = usual_task(request).epochs;
    enum descent_status status = DESCENT_OK;
    char *rest = NULL;
    for (int i = 0; request->task[i] && status == DESCENT_OK; i++)
        status = add_task(plan, arena, request->task[i], epochs);
    if (request->task[0] || status != DESCENT_OK)
        return status;
    if (suite) {
        char *copy = descent_arena_string(arena, suite->tasks);
        if (!copy)
            return out_of_memory();
        for (char *text = strtok_r(copy, " ", &rest); text && status == DESCENT_OK;
             text = strtok_r(NULL, " ", &rest))
            status = add_task(plan, arena, text, epochs);
        return status;
    }
    struct plan_task *task = &plan->task[plan->task_count++];
    *task = usual_task(request);
    return extension_load_spec(EXTENSION_MODEL, task->model);
}

static enum descent_status find_suite(const char *name, const struct suite **suite)
{
    const char *known[16];
    int count = 0;
    *suite = NULL;
    if (!name)
        return DESCENT_OK;
    for (const struct suite *each = suites; each->name; each++) {
        if (strcmp(each->name, name) == 0) {
            *suite = each;
            return DESCENT_OK;
        }
        known[count++] = each->name;
    }
    return descent_fail_unknown("suite", name, known, count);
}

static enum descent_status find_reference(struct plan *plan, const char *name)
{
    plan->reference = 0;
    for (int i = 0; i < plan->entry_count; i++)
        if (strcmp(plan->entry[i].label, name ? name : "adamw") == 0) {
            plan->reference = i;
            return DESCENT_OK;
        }
    return name ? descent_fail(DESCENT_BAD_ARGUMENT,
                               "--reference %s: is not among the optimizers that are compared", name)
                : DESCENT_OK;
}

/* The plan of a comparison that is new, but for what `stored` has and the request leaves open. */
static enum descent_status make_plan(struct plan *plan, struct descent_arena *arena,
                                     const struct request *request, const struct plan *stored)
{
    static const struct plan usual = {.leagues = PLAN_DEFAULTS | PLAN_TUNED,
                                      .budget = 8,
                                      .seeds = 10,
                                      .points = 20,
                                      .batch = 64,
                                      .validation = 0.1,
                                      .seed = 1,
                                      .schedule = "cosine+warmup:5%"};
    const struct suite *suite;
    const struct plan *open = stored ? stored : &usual;
    enum descent_status status = find_suite(request->suite, &suite);
    if (status != DESCENT_OK)
        return status;
    if (suite && (request->task[0] || request->data || request->model || request->epochs))
        return descent_fail(DESCENT_BAD_ARGUMENT, "--suite %s has tasks and epochs of its own",
                            suite->name);
    if (request->task[0] && (request->data || request->model))
        return descent_fail(DESCENT_BAD_ARGUMENT, "--task stands instead of --data and --model");
    *plan = (struct plan){.leagues = request->league >= 0 ? (unsigned)request->league + 1 : open->leagues,
                          .budget = request->budget ? request->budget
                                    : suite         ? suite->budget
                                                    : open->budget,
                          .seeds = request->seeds ? request->seeds
                                   : suite        ? suite->seeds
                                                  : open->seeds,
                          .points = request->points ? request->points : open->points,
                          .batch = request->batch ? request->batch : open->batch,
                          .validation = request->validation > 0 ? request->validation : open->validation,
                          .seed = request->seed ? request->seed : open->seed,
                          .schedule = request->schedule ? request->schedule : open->schedule,
                          .augment = request->augment ? request->augment : open->augment};
    if (!(plan->leagues & PLAN_TUNED) && request->budget)
        return descent_fail(DESCENT_BAD_ARGUMENT, "--budget %d: nothing is tuned in --league defaults",
                            request->budget);
    if (!(plan->leagues & PLAN_TUNED))
        plan->budget = 0;
    bool same_tasks = stored && !suite && !request->task[0] && !request->data && !request->model;
    if (same_tasks) {
        plan->task_count = stored->task_count;
        memcpy(plan->task, stored->task, sizeof plan->task);
        for (int i = 0; i < plan->task_count && request->epochs; i++)
            plan->task[i].epochs = request->epochs;
    } else
        status = add_tasks(plan, arena, request, suite);
    if (status == DESCENT_OK && stored && !suite && !request->optimizers[0] && !request->optimizer[0]) {
        plan->entry_count = stored->entry_count;
        memcpy(plan->entry, stored->entry, sizeof plan->entry);
    } else if (status == DESCENT_OK)
        status = add_entries(plan, arena, request, suite);
    if (status == DESCENT_OK)
        status = plan_complete(plan, arena);
    return status;
}

/* C files that the stored plan names and nobody typed. */
static enum descent_status load_found(const struct plan *stored, const struct request *request,
                                      const char *out)
{
    char where[PATH_MAX];
    enum descent_status status = DESCENT_OK;
    snprintf(where, sizeof where, "%s/comparison.json", out);
    for (int i = 0; i < stored->entry_count && status == DESCENT_OK; i++) {
        struct space space;
        const char *spec = stored->entry[i].spec;
        if (space_of(spec, &space) == DESCENT_NOT_FOUND)
            status = extension_load_found(EXTENSION_OPTIMIZER, spec, where, request->allow_code);
    }
    for (int i = 0; i < stored->task_count && status == DESCENT_OK; i++)
        if (!request->model && !request->task[0])
            status =
                extension_load_found(EXTENSION_MODEL, stored->task[i].model, where, request->allow_code);
    return status;
}

/* Notes by which C file an entry or task runs. One that has changed would mix its runs with those of
 * before. */
static enum descent_status note_code(struct descent_arena *arena, const char *spec, const char *out,
                                     const char **code)
{
    char digests[EXTENSION_DIGESTS];
    if (!*extension_digests(spec, digests))
        return DESCENT_OK;
    if (*code && strcmp(*code, digests) != 0)
        return descent_fail(
            DESCENT_MISMATCH,
            "%s holds runs of %s as it was before it was changed; choose another --out, or, "
            "for an optimizer, give it a name of its own: --optimizer NAME=%s",
            out, spec, spec);
    *code = descent_arena_string(arena, digests);
    return *code ? DESCENT_OK : out_of_memory();
}

static enum descent_status note_all_code(struct plan *plan, struct descent_arena *arena, const char *out)
{
    enum descent_status status = DESCENT_OK;
    for (int i = 0; i < plan->entry_count && status == DESCENT_OK; i++)
        status = note_code(arena, plan->entry[i].spec, out, &plan->entry[i].code);
    for (int i = 0; i < plan->task_count && status == DESCENT_OK; i++)
        status = note_code(arena, plan->task[i].model, out, &plan->task[i].code);
    return status;
}

/* Merges with what the directory holds, if anything, and says what it is from now on. */
static enum descent_status settle(struct plan *plan, struct descent_arena *arena,
                                  const struct request *request, const char *out)
{
    struct plan stored;
    enum descent_status status = plan_read(out, arena, &stored);
    if (status != DESCENT_OK && status != DESCENT_NOT_FOUND)
        return status;
    bool exists = status == DESCENT_OK;
    status = make_plan(plan, arena, request, exists ? &stored : NULL);
    if (status == DESCENT_OK && exists)
        status = load_found(&stored, request, out);
    if (status == DESCENT_OK && exists) {
        plan->reference = -1;
        status = plan_merge(plan, &stored, out);
    }
    if (status == DESCENT_OK)
        status = note_all_code(plan, arena, out);
    if (status == DESCENT_OK && (!exists || request->reference))
        status = find_reference(plan, request->reference);
    if (status == DESCENT_OK && plan->entry_count < 2)
        return descent_fail(DESCENT_BAD_ARGUMENT,
                            "%s alone is no comparison; expected two optimizers or more",
                            plan->entry[0].label);
    return status;
}

/* Others may be adding to the same directory: what is there now is read, merged and written by one process
 * at a time. Data was opened meanwhile, which may have taken long. */
static enum descent_status settle_and_write(struct plan *plan, struct descent_arena *arena,
                                            const struct request *request, const char *out)
{
    char path[PATH_MAX + 16];
    int file = -1;
    enum descent_status status = descent_make_directories(out);
    snprintf(path, sizeof path, "%s/.lock", out);
    if (status == DESCENT_OK)
        status = descent_file_lock(path, true, &file);
    if (status == DESCENT_OK)
        status = settle(plan, arena, request, out);
    if (status == DESCENT_OK)
        status = plan_write(plan, out);
    if (file >= 0)
        close(file);
    return status;
}

/* ---- Before the first run ---- */

/* Every entry on a network like the task's: what is wrong with a spec is said now, not in hours. */
static enum descent_status try_entries(const struct plan *plan, int task, const struct data_info *data,
                                       int64_t steps_per_epoch)
{
    int64_t steps = steps_per_epoch * plan->task[task].epochs;
    struct network network;
    enum descent_status status = network_build(plan->task[task].model, data, 1, &network);
    if (status != DESCENT_OK)
        return status;
    nn_plan *compiled = nn_compile(network.graph, .output = network.output, .batch = 1);
    status = compiled ? DESCENT_OK : DESCENT_BAD_ARGUMENT;
    int count;
    struct descent_param *params = nn_params(network.graph, &count);
    for (int i = 0; i < plan->entry_count && status == DESCENT_OK; i++) {
        struct optim *optim = optim_new(plan->entry[i].spec, params, count);
        status =
            optim ? train_schedule(optim, plan->schedule, steps, steps_per_epoch) : DESCENT_BAD_ARGUMENT;
        if (status == DESCENT_OK && optim_follows_reports(optim))
            status = descent_fail(DESCENT_BAD_ARGUMENT,
                                  "--schedule %s: follows validation, which here only "
                                  "judges",
                                  plan->schedule);
        optim_free(optim);
    }
    nn_plan_free(compiled);
    nn_graph_free(network.graph);
    return status;
}

/* Splits the data as each run will, and tries what depends on it. */
static enum descent_status try_task(const struct plan *plan, int task, const struct data_set *set)
{
    struct data_view *train = NULL, *validation = NULL;
    struct data_loader *loader = NULL;
    int64_t steps_per_epoch = 0;
    enum descent_status status = data_split(set, plan->validation, plan->seed, &train, &validation);
    if (status == DESCENT_OK) {
        int64_t count = data_view_count(train);
        int batch = plan->batch < count ? plan->batch : (int)count;
        steps_per_epoch = (count + batch - 1) / batch;
        loader = data_loader_new(
            train, &(struct data_loader_options){
                       .batch = batch, .order = DATA_SHUFFLED, .seed = 1, .augment = plan->augment});
        status = loader ? DESCENT_OK : DESCENT_BAD_ARGUMENT;
    }
    if (status == DESCENT_OK)
        status = try_entries(plan, task, data_describe(set), steps_per_epoch);
    data_loader_free(loader);
    data_view_free(train);
    data_view_free(validation);
    return status;
}

/* Opens the data of each task; sets[i] stays NULL where each run must do so itself. */
static enum descent_status open_data(const struct plan *plan, struct data_set *sets[PLAN_TASKS])
{
    enum descent_status status = DESCENT_OK;
    for (int i = 0; i < plan->task_count && status == DESCENT_OK; i++) {
        for (int j = 0; j < i && !sets[i]; j++)
            sets[i] = strcmp(plan->task[j].data, plan->task[i].data) == 0 ? sets[j] : NULL;
        if (!sets[i])
            status = data_open(plan->task[i].data, &sets[i]);
        if (status == DESCENT_OK && data_describe(sets[i])->targets > 0)
            status = descent_fail(DESCENT_BAD_ARGUMENT,
                                  "--data %s: has numbers to predict; a comparison is of accuracies, it "
                                  "wants classes",
                                  plan->task[i].data);
        if (status == DESCENT_OK)
            status = try_task(plan, i, sets[i]);
    }
    return status;
}

static void close_data(const struct plan *plan, struct data_set *sets[PLAN_TASKS])
{
    for (int i = 0; i < plan->task_count; i++) {
        for (int j = i + 1; j < plan->task_count; j++)
            sets[j] = sets[j] == sets[i] ? NULL : sets[j];
        data_free(sets[i]);
    }
}

/* ---- Meanwhile ---- */

struct display {
    bool live;
    double shown;
};

/* The optimizers whose best run so far has the highest accuracy, on the first task. */
static void print_leaders(const struct work_progress *progress, char *text, size_t size)
{
    const struct plan *plan = progress->plan;
    double best[PLAN_ENTRIES];
    size_t used = 0;
    for (int i = 0; i < plan->entry_count; i++)
        best[i] = -1;
    for (int i = 0; i < progress->runs; i++) {
        struct plan_run run = plan_run(plan, i);
        if (run.task == 0 && progress->accuracy[i] > best[run.entry])
            best[run.entry] = progress->accuracy[i];
    }
    *text = 0;
    for (int k = 0; k < LEADERS; k++) {
        int leader = 0;
        for (int i = 1; i < plan->entry_count; i++)
            leader = best[i] > best[leader] ? i : leader;
        if (best[leader] < 0 || used >= size)
            return;
        used += (size_t)snprintf(text + used, size - used, "%s%s %.2f %%", k ? ", " : "  best ",
                                 plan->entry[leader].label, 100 * best[leader]);
        best[leader] = -1;
    }
}

static void progressed(void *context, const struct work_progress *progress)
{
    struct display *display = context;
    char line[1024], left[24], leaders[600];
    if (!display->live || !progress_is_due(&display->shown))
        return;
    print_leaders(progress, leaders, sizeof leaders);
    snprintf(line, sizeof line, "%d/%d runs, %d now  %s left%s", progress->done, progress->runs,
             progress->running,
             isfinite(progress->seconds_left) ? progress_duration(progress->seconds_left, left) : "?",
             leaders);
    progress_rewrite(stdout, line);
}

static void failed(void *context, const char *path, const char *why)
{
    struct display *display = context;
    if (display->live)
        progress_clear(stdout);
    fprintf(stderr, "train: %s: %s\n", path, why);
}

static void announce(const struct plan *plan, const char *out, int jobs)
{
    printf("tasks      ");
    for (int i = 0; i < plan->task_count; i++)
        printf("%s%s with %s, %d epoch%s", i ? "; " : "", plan->task[i].data_name, plan->task[i].model_name,
               plan->task[i].epochs, plan->task[i].epochs == 1 ? "" : "s");
    printf("\noptimizers ");
    for (int i = 0; i < plan->entry_count; i++)
        printf("%s%s", i ? ", " : "", plan->entry[i].label);
    printf("\nreference  %s\nprotocol   ", plan->entry[plan->reference].label);
    if (plan->leagues & PLAN_TUNED)
        printf("%d trial%s each, ", plan->budget, plan->budget == 1 ? "" : "s");
    printf("%d seed%s; batches of %d, %s; %g %% of the training set for validation\n", plan->seeds,
           plan->seeds == 1 ? "" : "s", plan->batch, plan->schedule, 100 * plan->validation);
    printf("runs       %d, %d at a time, in %s\n\n", plan_runs(plan), jobs, out);
    fflush(stdout);
}

/* ---- All together ---- */

static enum descent_status compare(const struct request *request, const char *out,
                                   struct descent_arena *arena, int *code)
{
    struct plan plan;
    struct data_set *sets[PLAN_TASKS] = {NULL};
    const struct data_set *shared[PLAN_TASKS] = {NULL};
    struct display display = {.live = !request->quiet && progress_is_live(stdout)};
    const struct work_observer observer = {
        .context = &display, .progressed = progressed, .failed = failed, .wants_stop = launch_wants_stop};
    struct work_result result = {0};
    int jobs = request->jobs ? request->jobs : descent_cpus();
    enum descent_status status = settle(&plan, arena, request, out);
    if (status != DESCENT_OK)
        return status;
    status = open_data(&plan, sets);
    for (int i = 0; i < plan.task_count && status == DESCENT_OK; i++)
        shared[i] = data_in_memory(sets[i]) ? sets[i] : NULL;
    if (status == DESCENT_OK)
        status = settle_and_write(&plan, arena, request, out);
    if (status == DESCENT_OK && !request->quiet)
        announce(&plan, out, jobs);
    if (status == DESCENT_OK) {
        launch_catch_signals();
        status = work(&plan, out, jobs, shared, &observer, &result);
    }
    if (display.live)
        progress_clear(stdout);
    close_data(&plan, sets);
    if (status == DESCENT_OK && result.stopped && !request->quiet)
        printf("stopped with %d of %d runs to do; the same command goes on\n", result.missing,
               plan_runs(&plan));
    *code = result.stopped ? EXIT_SIGNAL + launch_signal() : result.failed ? EXIT_FAILED : EXIT_DONE;
    return status;
}

/* Makes the report, and says what it says. */
static enum descent_status make_report(const char *out, bool quiet)
{
    char sentence[1024];
    enum descent_status status = compare_report(out, sentence, sizeof sentence);
    if (status == DESCENT_OK && !quiet)
        printf("%s\n\nreport     %s/report/report.html\nsummary    %s/report/summary.md\n", sentence, out,
               out);
    return status;
}

static int run_report(int argc, char **argv)
{
    enum descent_status status =
        argc == 3 && argv[2][0] != '-'
            ? make_report(argv[2], false)
            : descent_fail(DESCENT_BAD_ARGUMENT,
                           "train compare report: expected the directory of a comparison");
    return status == DESCENT_OK ? EXIT_DONE : report_error(status);
}

/* The directory of a comparison: what was asked for, or a name that tells what it is of. */
static enum descent_status find_out(const struct request *request, struct descent_arena *arena, char *out,
                                    size_t size)
{
    struct plan_task task = usual_task(request);
    enum descent_status status = DESCENT_OK;
    if (request->out || request->suite) {
        int length = snprintf(out, size, "%s%s", request->out ? "" : "runs/compare-",
                              request->out ? request->out : request->suite);
        return (size_t)length < size
                   ? DESCENT_OK
                   : descent_fail(DESCENT_BAD_ARGUMENT, "--out %.60s...: is too long", out);
    }
    if (request->task[0])
        status = read_task(&task, arena, request->task[0], task.epochs);
    struct train_config config = {.model = task.model, .data = task.data};
    if (status == DESCENT_OK)
        launch_out(&config, "compare-", out, size);
    return status;
}

static int run_compare(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "report") == 0)
        return run_report(argc, argv);
    struct request request = {.league = -1};
    int code = EXIT_DONE;
    char out[PATH_MAX];
    enum descent_status status = options_read(&table, argc, argv, &request);
    struct descent_arena *arena = descent_arena_new();
    if (status == DESCENT_OK && !arena)
        status = out_of_memory();
    if (status == DESCENT_OK && request.help)
        print_help();
    else if (status == DESCENT_OK) {
        status = find_out(&request, arena, out, sizeof out);
        if (status == DESCENT_OK)
            status = compare(&request, out, arena, &code);
        if (status == DESCENT_OK && (code == EXIT_DONE || code == EXIT_FAILED))
            status = make_report(out, request.quiet);
    }
    descent_arena_free(arena);
    options_free(&table, &request);
    return status == DESCENT_OK ? code : report_error(status);
}

const struct command command_compare = {"compare", "[OPTIONS]", "compare optimizers by a protocol",
                                        run_compare};
