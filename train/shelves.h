/* What `train list` shows: kinds of things, each a shelf of entries taken from the tables that the code
 * itself works by. */
#ifndef DESCENT_TRAIN_SHELVES_H
#define DESCENT_TRAIN_SHELVES_H

#include "base/spec.h"

enum { ENTRY_NOTES = 6 };

/* What every kind of thing has in common; what it has not is NULL. Texts last until the next entry. */
struct entry {
    const char *name, *summary, *group;
    const char *paper, *formula;
    const char *notes[ENTRY_NOTES]; /* from the first that is NULL on there are none */
    const char *course;             /* spec of a schedule to draw */
    const struct descent_option *options;
    int option_count;
};

/* A kind of thing: its entries, counted from 0; false past the end. */
struct shelf {
    const char *name, *singular;
    bool (*get)(int i, struct entry *entry);
};

const struct shelf *shelves(int *count);

/* Whether entry i is the first of its group: a group's entries are shown together, in the order of the
 * first ones. */
bool begins_group(const struct shelf *shelf, int i, const char *group);

/* An option's range as tables show it: "[0, 1)", "mean|sum". */
void option_range(const struct descent_option *option, char *text, int size);

/* The whole shelf as a page of Markdown, to standard output. */
void print_markdown(const struct shelf *shelf);

#endif
