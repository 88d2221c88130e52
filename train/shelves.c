/* The shelves of `train list`. */
#include "train/shelves.h"

#include "data/data.h"
#include "models/models.h"
#include "nn/nn.h"
#include "optim/optim.h"

#include <stdio.h>
#include <string.h>

static bool get_model(int i, struct entry *entry)
{
    int count;
    const struct model *const *all = model_list(&count);
    if (i >= count)
        return false;
    *entry = (struct entry){.name = all[i]->name,
                            .summary = all[i]->summary,
                            .paper = all[i]->paper,
                            .options = all[i]->options,
                            .option_count = all[i]->option_count};
    return true;
}

/* "the loss, products with the Hessian": what an algorithm asks of the objective; "" for nothing. */
static void describe_needs(unsigned needs, char *text, size_t size)
{
    static const char *const what[] = {
        [OPTIM_HAS_LOSS] = "the loss",
        [OPTIM_HAS_EVALUATE] =
            "losses and gradients at other points, each another pass over the mini-batch",
        [OPTIM_HAS_HESSIAN_VECTOR] = "products with the Hessian",
        [OPTIM_HAS_GAUSS_NEWTON_VECTOR] = "products with the Gauss-Newton matrix",
        [OPTIM_HAS_SAMPLED_GRADIENT] = "a gradient on labels drawn from the model",
        [OPTIM_HAS_LAYER_FACTORS] = "Kronecker factors of the layers",
    };
    text[0] = 0;
    for (size_t i = 0; i < sizeof what / sizeof what[0]; i++)
        if (needs & 1u << i)
            snprintf(text + strlen(text), size - strlen(text), "%s%s", *text ? ", " : "", what[i]);
}

static void get_algorithm(const struct optim_algorithm *algorithm, const char *first_note,
                          struct entry *entry)
{
    static char needs[400], fallback[200];
    char what[300];
    int notes = 0;
    *entry = (struct entry){.name = algorithm->name,
                            .summary = algorithm->summary,
                            .group = optim_difficulty_text(algorithm->answers),
                            .paper = algorithm->paper,
                            .formula = algorithm->formula,
                            .options = algorithm->options,
                            .option_count = algorithm->option_count};
    entry->notes[notes++] = first_note;
    describe_needs(algorithm->needs, what, sizeof what);
    if (*what) {
        snprintf(needs, sizeof needs, "needs more than a gradient: %s", what);
        entry->notes[notes++] = needs;
    }
    if (algorithm->unscheduled)
        entry->notes[notes++] = "meant for a constant learning rate, without a schedule";
    if (algorithm->fallback) {
        snprintf(fallback, sizeof fallback,
                 "parameters that it does not take are stepped by %s; the assignment is printed",
                 algorithm->fallback);
        entry->notes[notes++] = fallback;
    }
    if (algorithm->evaluation)
        entry->notes[notes++] =
            "evaluated and saved are other weights than those trained; the statistics of "
            "batch norm are computed anew for them";
}

static bool get_optimizer(int i, struct entry *entry)
{
    static const char *const decay[] = {
        [OPTIM_COUPLED] = "weight decay is added to the gradient (L2)",
        [OPTIM_DECOUPLED] = "weight decay shrinks values apart from the gradient (decoupled)",
        [OPTIM_OWN_DECAY] = "the rule itself places weight decay",
    };
    int count;
    const struct optim_algorithm *const *all = optim_algorithms(&count);
    if (i >= count)
        return false;
    bool decays = false;
    for (int j = 0; j < all[i]->option_count; j++)
        decays = decays || strcmp(all[i]->options[j].name, "weight_decay") == 0;
    get_algorithm(all[i], decays ? decay[all[i]->decay] : "no weight decay", entry);
    return true;
}

static bool get_wrapper(int i, struct entry *entry)
{
    static char place[200];
    int count;
    const struct optim_algorithm *const *all = optim_wrappers(&count);
    if (i >= count)
        return false;
    snprintf(place, sizeof place, "follows an optimizer: --optimizer momentum:lr=0.1+%s", all[i]->name);
    get_algorithm(all[i], place, entry);
    return true;
}

static bool get_schedule(int i, struct entry *entry)
{
    static const char *const place[] = {
        [OPTIM_SCHEDULE] = "after another schedule it takes that one's lr for its own: exponential+step",
        [OPTIM_SCHEDULE_WRAP] = "follows another schedule: cosine+warmup:5%",
        [OPTIM_SCHEDULE_JOIN] = "stands between two schedules: constant+then:80%+cosine",
    };
    static const char *const before[] = {
        [OPTIM_SCHEDULE] = "", [OPTIM_SCHEDULE_WRAP] = "cosine+", [OPTIM_SCHEDULE_JOIN] = "linear+"};
    static char course[100];
    int count;
    const struct optim_schedule_kind *const *all = optim_schedule_kinds(&count);
    if (i >= count)
        return false;
    snprintf(course, sizeof course, "%s%s%s", before[all[i]->role], all[i]->name,
             all[i]->role == OPTIM_SCHEDULE_JOIN ? "+cosine" : "");
    *entry = (struct entry){.name = all[i]->name,
                            .summary = all[i]->summary,
                            .paper = all[i]->paper,
                            .formula = all[i]->formula,
                            .notes = {place[all[i]->role]},
                            .course = course,
                            .options = all[i]->options,
                            .option_count = all[i]->option_count};
    return true;
}

static bool get_data(int i, struct entry *entry)
{
    int count;
    const struct data_known *all = data_known(&count);
    if (i >= count)
        return false;
    *entry = (struct entry){.name = all[i].name, .summary = all[i].summary, .notes = {all[i].supply}};
    return true;
}

static bool get_format(int i, struct entry *entry)
{
    const struct data_format_info *info = data_format(i);
    if (info)
        *entry = (struct entry){.name = info->name,
                                .summary = info->summary,
                                .notes = {"recognized by content; options follow the path: --data "
                                          "PATH:key=value"},
                                .options = info->options,
                                .option_count = info->option_count};
    return info != NULL;
}

static bool get_augmentation(int i, struct entry *entry)
{
    const struct data_augmentation_info *info = data_augmentation(i);
    if (info)
        *entry = (struct entry){.name = info->name,
                                .summary = info->summary,
                                .paper = info->paper,
                                .options = info->options,
                                .option_count = info->option_count};
    return info != NULL;
}

static bool get_initializer(int i, struct entry *entry)
{
    const struct nn_initializer_info *info = nn_initializer(i);
    if (info)
        *entry = (struct entry){.name = info->name, .summary = info->summary, .paper = info->paper};
    return info != NULL;
}

static const struct shelf table[] = {
    {"models", "model", get_model},
    {"optimizers", "optimizer", get_optimizer},
    {"wrappers", "optimizer wrapper", get_wrapper},
    {"schedules", "schedule", get_schedule},
    {"datasets", "dataset", get_data},
    {"formats", "format", get_format},
    {"augmentations", "augmentation", get_augmentation},
    {"initializers", "initializer", get_initializer},
};

const struct shelf *shelves(int *count)
{
    *count = sizeof table / sizeof table[0];
    return table;
}

bool begins_group(const struct shelf *shelf, int i, const char *group)
{
    struct entry entry;
    for (int j = 0; j < i; j++)
        if (shelf->get(j, &entry) && strcmp(entry.group, group) == 0)
            return false;
    return true;
}

void option_range(const struct descent_option *option, char *text, int size)
{
    if (option->choices)
        snprintf(text, (size_t)size, "%s", option->choices);
    else
        descent_option_range(option, text, size);
}
