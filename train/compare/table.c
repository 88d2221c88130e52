/* Tables; see table.h. */
#include "train/compare/table.h"

#include "base/file.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct table table_new(void)
{
    return (struct table){.columns = descent_json_array(), .rows = descent_json_array()};
}

void table_row(struct table *table)
{
    table->named = table->row != NULL;
    table->row = descent_json_array();
    descent_json_add(table->rows, table->row);
}

static void name(struct table *table, const char *column)
{
    if (!table->named)
        descent_json_add_text(table->columns, column);
}

void table_text(struct table *table, const char *column, const char *text)
{
    name(table, column);
    if (text)
        descent_json_add_text(table->row, text);
    else
        descent_json_add_number(table->row, NAN);
}

void table_number(struct table *table, const char *column, double number)
{
    if (isinf(number)) {
        table_text(table, column, number > 0 ? "inf" : "-inf");
        return;
    }
    name(table, column);
    descent_json_add_number(table->row, number);
}

void table_integer(struct table *table, const char *column, int64_t number)
{
    name(table, column);
    descent_json_add_integer(table->row, number);
}

struct descent_json *table_json(struct table *table)
{
    struct descent_json *json = descent_json_object();
    descent_json_set(json, "columns", table->columns);
    descent_json_set(json, "rows", table->rows);
    *table = (struct table){0};
    return json;
}

static void write_text(FILE *stream, const char *text)
{
    bool quoted = strpbrk(text, ",\"\n\r") != NULL;
    if (quoted)
        putc('"', stream);
    for (; *text; text++) {
        if (*text == '"')
            putc('"', stream);
        putc(*text, stream);
    }
    if (quoted)
        putc('"', stream);
}

static enum descent_status write_line(FILE *stream, const struct descent_json *fields)
{
    int count = descent_json_count(fields);
    for (int i = 0; i < count; i++) {
        const struct descent_json *field = descent_json_at(fields, i);
        const char *text = descent_json_as_text(field);
        double number;
        if (i > 0)
            putc(',', stream);
        if (text)
            write_text(stream, text);
        else if (descent_json_as_number(field, &number)) {
            char *digits = descent_json_line(field);
            if (!digits)
                return descent_fail(DESCENT_OUT_OF_MEMORY, "out of memory");
            fputs(digits, stream);
            free(digits);
        }
    }
    putc('\n', stream);
    return DESCENT_OK;
}

enum descent_status table_write_csv(const struct descent_json *json, const char *path)
{
    struct descent_file file;
    const struct descent_json *rows = descent_json_get(json, "rows");
    enum descent_status status = descent_file_create(&file, path);
    if (status != DESCENT_OK)
        return status;
    status = write_line(file.stream, descent_json_get(json, "columns"));
    for (int i = 0; status == DESCENT_OK && i < descent_json_count(rows); i++)
        status = write_line(file.stream, descent_json_at(rows, i));
    if (status == DESCENT_OK)
        return descent_file_commit(&file);
    descent_file_abandon(&file);
    return status;
}
