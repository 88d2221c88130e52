/* `train list`: what there is, and the whole card of one thing, all from the tables that the code itself
 * works by. */
#include "train/commands.h"

#include "base/spec.h"
#include "data/data.h"
#include "models/models.h"
#include "nn/nn.h"
#include "optim/optim.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* What every kind of thing has in common; what it has not is NULL. */
struct entry {
    const char *name, *summary, *group;
    const char *paper, *formula, *note;
    const char *course; /* spec of a schedule to draw */
    const struct descent_option *options;
    int option_count;
};

/* A kind of thing: its entries, counted from 0; false past the end. */
struct shelf {
    const char *name, *singular;
    bool (*get)(int i, struct entry *entry);
};

/* ---- The shelves ---- */

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

static bool get_optimizer(int i, struct entry *entry)
{
    static const char *const decay[] = {
        [OPTIM_COUPLED] = "weight decay is added to the gradient (L2); not for biases and norm parameters "
                          "unless decay_all=yes",
        [OPTIM_DECOUPLED] = "weight decay shrinks values apart from the gradient; not of biases and norm "
                            "parameters unless decay_all=yes",
        [OPTIM_OWN_DECAY] =
            "the rule itself places weight decay; not for biases and norm parameters unless decay_all=yes",
    };
    int count;
    const struct optim_algorithm *const *all = optim_algorithms(&count);
    if (i >= count)
        return false;
    *entry = (struct entry){.name = all[i]->name,
                            .summary = all[i]->summary,
                            .group = optim_difficulty_text(all[i]->answers),
                            .paper = all[i]->paper,
                            .formula = all[i]->formula,
                            .note = decay[all[i]->decay],
                            .options = all[i]->options,
                            .option_count = all[i]->option_count};
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
                            .note = place[all[i]->role],
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
    *entry = (struct entry){.name = all[i].name, .summary = all[i].summary, .note = all[i].supply};
    return true;
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

static const struct shelf shelves[] = {
    {"models", "model", get_model},
    {"optimizers", "optimizer", get_optimizer},
    {"schedules", "schedule", get_schedule},
    {"datasets", "dataset", get_data},
    {"augmentations", "augmentation", get_augmentation},
    {"initializers", "initializer", get_initializer},
};

enum { SHELVES = sizeof shelves / sizeof shelves[0] };

/* ---- Printing ---- */

static bool begins_group(const struct shelf *shelf, int i, const char *group)
{
    struct entry entry;
    for (int j = 0; j < i; j++)
        if (shelf->get(j, &entry) && strcmp(entry.group, group) == 0)
            return false;
    return true;
}

/* Entries of a group stand together, groups in the order of their first entries. */
static void print_shelf(const struct shelf *shelf)
{
    struct entry first, entry;
    printf("%s:\n", shelf->name);
    for (int i = 0; shelf->get(i, &first); i++) {
        if (!first.group)
            printf("  %-18s %s\n", first.name, first.summary);
        else if (begins_group(shelf, i, first.group)) {
            printf("  when %s:\n", first.group);
            for (int j = i; shelf->get(j, &entry); j++)
                if (strcmp(entry.group, first.group) == 0)
                    printf("    %-18s %s\n", entry.name, entry.summary);
        }
    }
}

static void print_options(const struct entry *entry)
{
    printf("\noptions%*s default          range\n", 13, "");
    for (int i = 0; i < entry->option_count; i++) {
        const struct descent_option *option = &entry->options[i];
        char range[64];
        descent_option_range(option, range, sizeof range);
        if (option->choices)
            snprintf(range, sizeof range, "%s", option->choices);
        printf("  %-18s %-16s %s\n      %s\n", option->name,
               option->initial ? option->initial : "(must be given)", range, option->help);
        if (option->search_max > option->search_min)
            printf("      searched from %g to %g%s\n", option->search_min, option->search_max,
                   option->search_log ? ", on a log scale" : "");
    }
}

/* The learning rate over a run, drawn; not of a schedule that waits for reports, which none makes here. */
static void print_course(const char *spec)
{
    enum { STEPS = 64, ROWS = 8 };
    descent_real value = 0, grad = 0;
    struct descent_param param = {.name = "x", .size = 1, .value = &value, .grad = &grad};
    struct optim *optim = optim_new("sgd:lr=1", &param, 1);
    if (optim && optim_schedule(optim, spec, STEPS, STEPS / 8) == DESCENT_OK &&
        !optim_follows_reports(optim)) {
        double top = 0;
        for (int step = 0; step < STEPS; step++)
            top = fmax(top, optim_lr_at(optim, step));
        printf("\nlr in a run of %d steps: %s\n", STEPS, spec);
        for (int row = ROWS - 1; row >= 0; row--) {
            char line[STEPS];
            int length = 0; /* to the last star */
            for (int step = 0; step < STEPS; step++) {
                bool here = lround(optim_lr_at(optim, step) / top * (ROWS - 1)) == row;
                line[step] = here ? '*' : ' ';
                length = here ? step + 1 : length;
            }
            printf("  |%.*s\n", length, line);
        }
    }
    optim_free(optim);
}

static void print_card(const struct shelf *shelf, const struct entry *entry)
{
    printf("%s %s: %s\n", shelf->singular, entry->name, entry->summary);
    if (entry->group)
        printf("\nfor when %s\n", entry->group);
    if (entry->formula) { /* some end with a newline */
        size_t length = strlen(entry->formula);
        printf("\n%s%s", entry->formula, length > 0 && entry->formula[length - 1] == '\n' ? "" : "\n");
    }
    if (entry->note)
        printf("\n%s\n", entry->note);
    if (entry->course)
        print_course(entry->course);
    if (entry->option_count > 0)
        print_options(entry);
    if (entry->paper)
        printf("\n%s\n", entry->paper);
}

/* ---- The command ---- */

enum { MOST = 256 }; /* names that a suggestion is looked for among */

static enum descent_status list_one(const struct shelf *shelf, const char *name)
{
    struct entry entry;
    const char *known[MOST];
    int count = 0;
    for (; count < MOST && shelf->get(count, &entry); count++) {
        known[count] = entry.name;
        if (strcmp(entry.name, name) == 0) {
            print_card(shelf, &entry);
            return DESCENT_OK;
        }
    }
    return descent_fail_unknown(shelf->singular, name, known, count);
}

static enum descent_status list_shelf(const char *name, const char *item)
{
    const char *known[SHELVES];
    for (int i = 0; i < SHELVES; i++) {
        known[i] = shelves[i].name;
        if (strcmp(name, shelves[i].name) != 0)
            continue;
        if (item)
            return list_one(&shelves[i], item);
        print_shelf(&shelves[i]);
        return DESCENT_OK;
    }
    return descent_fail_unknown("list", name, known, SHELVES);
}

static int run_list(int argc, char **argv)
{
    if (argc > 3)
        return report_error(
            descent_fail(DESCENT_BAD_ARGUMENT, "train list: unexpected argument '%s'", argv[3]));
    if (argc > 1)
        return report_error(list_shelf(argv[1], argc > 2 ? argv[2] : NULL));
    for (int i = 0; i < SHELVES; i++) {
        if (i > 0)
            putchar('\n');
        print_shelf(&shelves[i]);
    }
    return EXIT_DONE;
}

const struct command command_list = {"list", "[KIND [NAME]]",
                                     "show models, optimizers, ... or the card of one", run_list};
