/* `train list`: what there is, and the whole card of one thing. */
#include "train/commands.h"
#include "train/extension.h"
#include "train/shelves.h"

#include "optim/optim.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- Printing ---- */

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
        option_range(option, range, sizeof range);
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
    for (int i = 0; i < ENTRY_NOTES && entry->notes[i]; i++)
        printf("%s%s\n", i ? "" : "\n", entry->notes[i]);
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

/* A C file of one's own has a card too. */
static enum descent_status show_one(const struct shelf *shelf, const char *name)
{
    enum descent_status status = DESCENT_OK;
    if (descent_is_path(name) && strcmp(shelf->singular, "model") == 0)
        status = extension_load(EXTENSION_MODEL, name);
    else if (descent_is_path(name) && strncmp(shelf->singular, "optimizer", strlen("optimizer")) == 0)
        status = extension_load(EXTENSION_OPTIMIZER, name);
    return status == DESCENT_OK ? list_one(shelf, name) : status;
}

static enum descent_status list_shelf(const char *name, const char *item)
{
    const char *known[MOST];
    int count;
    const struct shelf *all = shelves(&count);
    for (int i = 0; i < count; i++) {
        known[i] = all[i].name;
        if (strcmp(name, all[i].name) != 0)
            continue;
        if (item && strcmp(item, "--markdown") == 0)
            print_markdown(&all[i]);
        else if (item)
            return show_one(&all[i], item);
        else
            print_shelf(&all[i]);
        return DESCENT_OK;
    }
    return descent_fail_unknown("list", name, known, count);
}

static const char usage[] =
    "usage: train list [KIND [NAME|--markdown]]\n"
    "\n"
    "Shows what there is: everything, what there is of one kind, or the card of one, with its options and\n"
    "defaults, formula and paper. NAME may be the path of a C file of your own. Kinds:\n";

static void print_help(void)
{
    int count;
    const struct shelf *all = shelves(&count);
    fputs(usage, stdout);
    for (int i = 0; i < count; i++)
        printf("  %s\n", all[i].name);
}

static int run_list(int argc, char **argv)
{
    if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        print_help();
        return EXIT_DONE;
    }
    if (argc > 3)
        return report_error(
            descent_fail(DESCENT_BAD_ARGUMENT, "train list: unexpected argument '%s'", argv[3]));
    if (argc > 1)
        return report_error(list_shelf(argv[1], argc > 2 ? argv[2] : NULL));
    int count;
    const struct shelf *all = shelves(&count);
    for (int i = 0; i < count; i++) {
        if (i > 0)
            putchar('\n');
        print_shelf(&all[i]);
    }
    return EXIT_DONE;
}

const struct command command_list = {"list", "[KIND [NAME|--markdown]]",
                                     "show models, optimizers, ... or the card of one", run_list};
