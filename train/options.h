/* Command lines from tables. A subcommand declares its options as rows over a struct of its own; parsing,
 * range checks, defaults, help and messages come from there. Not what belongs to one subcommand: whether
 * two options fit together is for it to check. */
#ifndef DESCENT_TRAIN_OPTIONS_H
#define DESCENT_TRAIN_OPTIONS_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* What a row's field is. */
enum option_kind {
    OPTION_TEXT,         /* const char *, pointing into argv; not empty */
    OPTION_TEXTS,        /* given several times: const char *[max], NULL after the last; owned copies */
    OPTION_LIST,         /* as TEXTS, but of texts separated by commas; may share its field with a TEXTS */
    OPTION_COUNT,        /* int in [min, max] */
    OPTION_COUNT_OR_ALL, /* as COUNT, and "all" is 0 */
    OPTION_SEED,         /* uint64_t in [min, max] */
    OPTION_REAL,         /* double in [min, max) */
    OPTION_CHOICE,       /* int or enum: the index of one of `choices` */
    OPTION_YES,          /* sets a bool */
    OPTION_NO,           /* clears it */
};

#define OPTION_LARGEST_SEED 9007199254740992.0 /* 2^53 */

struct option_row {
    const char *topic;    /* of this row and the next, until another is given; NULL: none, or the last */
    const char *name;     /* without "--"; unused in positional arguments */
    const char *argument; /* as help names it; NULL for YES and NO */
    enum option_kind kind;
    size_t offset;       /* of the field in the caller's struct */
    const char *initial; /* default as a user would write it; NULL: none, the field stays as it was */
    double min, max;
    const char *help;
    const char *const *choices; /* of CHOICE; NULL after the last */
    const char *bare;           /* what "--name" alone means, then "--name=VALUE" gives another; or NULL */
};

enum { OPTION_ROWS = 64 };

/* One row is named "help" (-h is the same); its field is a bool. */
struct option_table {
    const char *command; /* as in messages: "train data" */
    const struct option_row *rows;
    int count;                          /* of rows, at most OPTION_ROWS */
    const struct option_row *arguments; /* positional ones, in order; none: NULL */
    int argument_count;
    int required; /* so many of the arguments must be given */
    bool *typed;  /* of each row, whether it was given; or NULL */
};

/* Reads argv[1 ..] into the struct at `into`, which the caller has set to zero or to defaults that no table
 * can hold. DESCENT_BAD_ARGUMENT names the option, what was found, what was expected and the default; then,
 * and after --help, which ends all checks, there may be less in the struct than was asked for. Reorders
 * argv. Free with options_free, after a failure too. */
enum descent_status options_read(const struct option_table *table, int argc, char **argv, void *into);

/* The first row that was given, as table->typed says, of these names (NULL after the last), or of a topic:
 * its name, or NULL. To refuse what would be without effect. */
const char *options_typed(const struct option_table *table, const char *const *names);
const char *options_typed_in(const struct option_table *table, const char *topic);

/* Frees the texts of TEXTS and LIST. */
void options_free(const struct option_table *table, void *into);

/* Every argument and option with its default, by topic. */
void options_print(const struct option_table *table, FILE *stream);

#endif
