/* A table, filled row by row, for JSON ({"columns": [...], "rows": [[...], ...]}) and CSV. Numbers
 * round-trip; an infinite one is the text inf, as JSON has none, and NAN is null, an empty field of CSV. */
#ifndef DESCENT_TRAIN_COMPARE_TABLE_H
#define DESCENT_TRAIN_COMPARE_TABLE_H

#include "base/json.h"
#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

struct table {
    struct descent_json *columns, *rows, *row; /* row: the one being filled, of `rows` */
    bool named;                                /* the first row, which names the columns, is complete */
};

struct table table_new(void);

/* Begins a row. Then its fields, in the same order in every row; `column` names the first row's. */
void table_row(struct table *table);
void table_text(struct table *table, const char *column, const char *text); /* NULL: null */
void table_number(struct table *table, const char *column, double number);
void table_integer(struct table *table, const char *column, int64_t number);

/* The table as JSON, which the caller owns; *table is empty afterwards. */
struct descent_json *table_json(struct table *table);

/* Writes table_json's result as CSV (RFC 4180, but lines end as Unix's do). */
enum descent_status table_write_csv(const struct descent_json *json, const char *path);

#endif
