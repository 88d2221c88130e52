/* Command lines from tables; see options.h. */
#include "train/options.h"

#include "base/spec.h"

#include <assert.h>
#include <getopt.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- Values ---- */

static const char *dashes(const struct option_row *row)
{
    return row->name ? "--" : "";
}

static const char *name_of(const struct option_row *row)
{
    return row->name ? row->name : row->argument;
}

static enum descent_status fail_value(const struct option_row *row, const char *text, const char *expected)
{
    return descent_fail(DESCENT_BAD_ARGUMENT, "%s%s %s: expected %s%s%s", dashes(row), name_of(row),
                        *text ? text : "''", expected, row->initial ? "; default " : "",
                        row->initial ? row->initial : "");
}

static enum descent_status read_number(const struct option_row *row, const char *text, double *number)
{
    char expected[128];
    bool real = row->kind == OPTION_REAL;
    if (descent_parse_number(text, number) && *number >= row->min && (real || *number <= row->max) &&
        (real ? *number < row->max : floor(*number) == *number))
        return DESCENT_OK;
    if (real && isinf(row->max))
        snprintf(expected, sizeof expected, "a number of at least %g", row->min);
    else if (real)
        snprintf(expected, sizeof expected, "a number in [%g, %g)", row->min, row->max);
    else
        snprintf(expected, sizeof expected, "a whole number from %.0f to %.0f%s", row->min, row->max,
                 row->kind == OPTION_COUNT_OR_ALL ? ", or all" : "");
    return fail_value(row, text, expected);
}

static enum descent_status read_choice(const struct option_row *row, const char *text, int *choice)
{
    char expected[256] = "";
    for (int i = 0; row->choices[i]; i++) {
        size_t used = strlen(expected);
        if (strcmp(text, row->choices[i]) == 0) {
            *choice = i;
            return DESCENT_OK;
        }
        snprintf(expected + used, sizeof expected - used, "%s%s",
                 i == 0                ? ""
                 : row->choices[i + 1] ? ", "
                                       : " or ",
                 row->choices[i]);
    }
    return fail_value(row, text, expected);
}

/* Adds a copy of the first `length` bytes of `text`. */
static enum descent_status append(const struct option_row *row, const char *text, size_t length,
                                  const char **field)
{
    int count = 0, most = (int)row->max;
    while (count < most && field[count])
        count++;
    if (length == 0)
        return fail_value(row, text, row->argument);
    if (count == most)
        return descent_fail(DESCENT_BAD_ARGUMENT, "--%s %s: more than %d", row->name, text, most);
    field[count] = strndup(text, length);
    return field[count] ? DESCENT_OK : descent_fail(DESCENT_OUT_OF_MEMORY, "out of memory");
}

static enum descent_status append_list(const struct option_row *row, const char *text, const char **field)
{
    enum descent_status status = DESCENT_OK;
    for (bool more = true; more && status == DESCENT_OK;) {
        size_t length = strcspn(text, ",");
        status = append(row, text, length, field);
        more = text[length] == ',';
        text += length + more;
    }
    return status;
}

static enum descent_status set(const struct option_row *row, const char *text, void *into)
{
    void *field = (char *)into + row->offset;
    double number = 0;
    enum descent_status status = DESCENT_OK;
    switch (row->kind) {
    case OPTION_TEXT:
        if (!*text)
            return fail_value(row, text, row->argument);
        *(const char **)field = text;
        return DESCENT_OK;
    case OPTION_TEXTS:
        return append(row, text, strlen(text), field);
    case OPTION_LIST:
        return append_list(row, text, field);
    case OPTION_CHOICE:
        return read_choice(row, text, field);
    case OPTION_YES:
    case OPTION_NO:
        *(bool *)field = row->kind == OPTION_YES;
        return DESCENT_OK;
    case OPTION_COUNT_OR_ALL:
        if (strcmp(text, "all") == 0) {
            *(int *)field = 0;
            return DESCENT_OK;
        }
        break;
    default:
        break;
    }
    status = read_number(row, text, &number);
    if (status != DESCENT_OK)
        return status;
    if (row->kind == OPTION_REAL)
        *(double *)field = number;
    else if (row->kind == OPTION_SEED)
        *(uint64_t *)field = (uint64_t)number;
    else
        *(int *)field = (int)number;
    return DESCENT_OK;
}

/* ---- Defaults ---- */

static bool is_texts(const struct option_row *row)
{
    return row->kind == OPTION_TEXTS || row->kind == OPTION_LIST;
}

/* Of the texts that may be several where `texts`, which wait until it is known that none is given, or else
 * of everything else. */
static enum descent_status set_defaults(const struct option_row *rows, int count, bool texts, void *into)
{
    enum descent_status status = DESCENT_OK;
    for (int i = 0; i < count && status == DESCENT_OK; i++) {
        const char *const *field = (const char *const *)(void *)((char *)into + rows[i].offset);
        if (rows[i].initial && is_texts(&rows[i]) == texts && !(texts && field[0]))
            status = set(&rows[i], rows[i].initial, into);
    }
    return status;
}

void options_free(const struct option_table *table, void *into)
{
    for (int i = 0; i < table->count; i++) {
        const struct option_row *row = &table->rows[i];
        char **field = (char **)(void *)((char *)into + row->offset);
        for (int k = 0; is_texts(row) && k < (int)row->max; k++) {
            free(field[k]);
            field[k] = NULL;
        }
    }
}

/* ---- The command line ---- */

static enum descent_status fail_unknown(const struct option_table *table, const char *name)
{
    return descent_fail(DESCENT_BAD_ARGUMENT, "unknown option %s; '%s --help' shows all", name,
                        table->command);
}

/* Why getopt_long did not take `argument`: unknown, ambiguous, or a flag that was given a value. */
static enum descent_status fail_option(const struct option_table *table, const char *argument)
{
    const char *known[OPTION_ROWS];
    int length = (int)strcspn(argument, "="), matches = 0;
    char typed[64];
    snprintf(typed, sizeof typed, "%.*s", length, argument);
    for (int i = 0; i < table->count; i++) {
        known[i] = table->rows[i].name;
        if (strcmp(known[i], typed + 2) == 0)
            return descent_fail(DESCENT_BAD_ARGUMENT, "%s takes no value", typed);
        matches += strncmp(known[i], typed + 2, strlen(typed + 2)) == 0;
    }
    if (matches > 1)
        return descent_fail(DESCENT_BAD_ARGUMENT, "option %s is ambiguous; write it in full", typed);
    const char *nearest = descent_nearest(typed + 2, known, table->count);
    if (nearest)
        return descent_fail(DESCENT_BAD_ARGUMENT, "unknown option %s; did you mean --%s?", typed, nearest);
    return fail_unknown(table, typed);
}

static enum descent_status read_arguments(const struct option_table *table, int count, char **argument,
                                          void *into)
{
    enum descent_status status = DESCENT_OK;
    if (count > table->argument_count)
        return descent_fail(DESCENT_BAD_ARGUMENT,
                            "unexpected argument '%s'; '%s --help' shows what there is",
                            argument[table->argument_count], table->command);
    if (count < table->required)
        return descent_fail(DESCENT_BAD_ARGUMENT, "%s: %s is missing; '%s --help' shows what there is",
                            table->command, table->arguments[count].argument, table->command);
    for (int i = 0; i < count && status == DESCENT_OK; i++)
        status = set(&table->arguments[i], argument[i], into);
    return status;
}

enum descent_status options_read(const struct option_table *table, int argc, char **argv, void *into)
{
    enum { FIRST = 256 }; /* getopt's value of rows[0], beyond all characters */
    const struct option_row *help = NULL;
    struct option known[OPTION_ROWS + 1] = {0};
    assert(table->count <= OPTION_ROWS);
    for (int i = 0; i < table->count; i++) {
        known[i] = (struct option){.name = table->rows[i].name,
                                   .has_arg = table->rows[i].bare       ? optional_argument
                                              : table->rows[i].argument ? required_argument
                                                                        : no_argument,
                                   .val = FIRST + i};
        if (strcmp(table->rows[i].name, "help") == 0)
            help = &table->rows[i];
        if (table->typed)
            table->typed[i] = false;
    }
    assert(help);
    enum descent_status status = set_defaults(table->rows, table->count, false, into);
    if (status == DESCENT_OK)
        status = set_defaults(table->arguments, table->argument_count, false, into);
    optind = 1;
    opterr = 0;
    for (int found; status == DESCENT_OK && (found = getopt_long(argc, argv, ":h", known, NULL)) != -1;) {
        const struct option_row *row = found >= FIRST ? &table->rows[found - FIRST] : help;
        if (found == ':')
            status = descent_fail(DESCENT_BAD_ARGUMENT, "--%s needs a value: %s",
                                  table->rows[optopt - FIRST].name, table->rows[optopt - FIRST].argument);
        else if (found == '?' && optopt != 0 && optopt < FIRST)
            status = fail_unknown(table, (const char[]){'-', (char)optopt, 0});
        else if (found == '?')
            status = fail_option(table, argv[optind - 1]);
        else {
            status = set(row, optarg ? optarg : row->bare, into);
            if (table->typed)
                table->typed[row - table->rows] = true;
        }
        if (status == DESCENT_OK && row == help)
            return DESCENT_OK;
    }
    if (status == DESCENT_OK)
        status = set_defaults(table->rows, table->count, true, into);
    return status == DESCENT_OK ? read_arguments(table, argc - optind, argv + optind, into) : status;
}

const char *options_typed(const struct option_table *table, const char *const *names)
{
    for (; *names; names++)
        for (int i = 0; i < table->count; i++)
            if (table->typed[i] && strcmp(table->rows[i].name, *names) == 0)
                return *names;
    return NULL;
}

const char *options_typed_in(const struct option_table *table, const char *topic)
{
    const char *now = NULL;
    for (int i = 0; i < table->count; i++) {
        now = table->rows[i].topic ? table->rows[i].topic : now;
        if (table->typed[i] && now && strcmp(now, topic) == 0)
            return table->rows[i].name;
    }
    return NULL;
}

/* ---- Help ---- */

/* "--name ARGUMENT" or "--name[=ARGUMENT]" into text; returns its length. */
static int describe(const struct option_row *row, char *text, size_t size)
{
    const char *between = row->bare ? "[=" : row->name && row->argument ? " " : "";
    return snprintf(text, size, "%s%s%s%s%s", dashes(row), row->name ? row->name : "", between,
                    row->argument ? row->argument : "", row->bare ? "]" : "");
}

static int widest(const struct option_row *rows, int count, int width)
{
    char left[64];
    for (int i = 0; i < count; i++) {
        int own = describe(&rows[i], left, sizeof left);
        width = own > width ? own : width;
    }
    return width;
}

static void print_row(const struct option_row *row, int width, FILE *stream)
{
    char left[64];
    describe(row, left, sizeof left);
    fprintf(stream, "  %-*s %s", width, left, row->help);
    if (row->initial)
        fprintf(stream, " (default: %s)", row->initial);
    fputc('\n', stream);
}

void options_print(const struct option_table *table, FILE *stream)
{
    int width = widest(table->arguments, table->argument_count, 22);
    width = widest(table->rows, table->count, width);
    for (int i = 0; i < table->argument_count; i++)
        print_row(&table->arguments[i], width, stream);
    for (int i = 0; i < table->count; i++) {
        if (table->rows[i].topic)
            fprintf(stream, "%s%s:\n", i > 0 || table->argument_count > 0 ? "\n" : "",
                    table->rows[i].topic);
        print_row(&table->rows[i], width, stream);
    }
}
