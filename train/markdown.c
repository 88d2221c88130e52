/* A shelf as a page of Markdown: docs/optimizers.md and its like, which a test compares with what this
 * prints. */
#include "train/shelves.h"

#include <ctype.h>
#include <stdio.h>

/* Within a cell of a table. */
static void print_cell(const char *text)
{
    for (; *text; text++)
        printf(*text == '|' ? "\\|" : "%c", *text);
}

/* What is to be read as it stands. */
static void print_code(const char *text)
{
    putchar('`');
    print_cell(text);
    putchar('`');
}

static void print_options(const struct entry *entry)
{
    printf("\n| option | default | range | search | |\n|---|---|---|---|---|\n");
    for (int i = 0; i < entry->option_count; i++) {
        const struct descent_option *option = &entry->options[i];
        char range[64];
        option_range(option, range, sizeof range);
        printf("| ");
        print_code(option->name);
        printf(" | ");
        print_cell(option->initial ? option->initial : "must be given");
        printf(" | ");
        print_cell(option->type == DESCENT_OPTION_FLAG ? "yes, no" : range);
        printf(" | ");
        if (option->search_max > option->search_min)
            printf("%g to %g%s", option->search_min, option->search_max, option->search_log ? ", log" : "");
        printf(" | ");
        print_cell(option->help);
        printf(" |\n");
    }
}

static void print_entry(const struct entry *entry)
{
    printf("\n### %s\n\n%c%s.\n", entry->name, toupper((unsigned char)entry->summary[0]),
           entry->summary + 1);
    if (entry->formula) {
        printf("\n```text\n");
        char last = 0;
        for (const char *at = entry->formula; *at; at++)
            putchar(last = *at);
        printf("%s```\n", last == '\n' ? "" : "\n");
    }
    for (int i = 0; i < ENTRY_NOTES && entry->notes[i]; i++)
        printf("%s* %s\n", i ? "" : "\n", entry->notes[i]);
    if (entry->option_count > 0)
        print_options(entry);
    if (entry->paper)
        printf("\n%s\n", entry->paper);
}

/* Those of a group; all with NULL. */
static void print_entries(const struct shelf *shelf, const char *group, void (*print)(const struct entry *))
{
    struct entry entry;
    for (int i = 0; shelf->get(i, &entry); i++)
        if (!group || entry.group == group)
            print(&entry);
}

static void print_row(const struct entry *entry)
{
    printf("| [%s](#%s) | ", entry->name, entry->name);
    print_cell(entry->summary);
    printf(" |\n");
}

void print_markdown(const struct shelf *shelf)
{
    struct entry entry;
    printf("# %c%s\n\nMade by `train list %s --markdown` from the tables that the code itself works by: "
           "change "
           "those.\n",
           toupper((unsigned char)shelf->name[0]), shelf->name + 1, shelf->name);
    for (int i = 0; shelf->get(i, &entry); i++) {
        const char *group = entry.group;
        if (i > 0 && !(group && begins_group(shelf, i, group)))
            continue;
        if (group)
            printf("\nWhen %s:\n", group);
        printf("\n| name | |\n|---|---|\n");
        print_entries(shelf, group, print_row);
    }
    for (int i = 0; shelf->get(i, &entry); i++) {
        const char *group = entry.group;
        if (i > 0 && !(group && begins_group(shelf, i, group)))
            continue;
        printf("\n## %s%s\n", group ? "When " : "One by one", group ? group : "");
        print_entries(shelf, group, print_entry);
    }
}
