/* JSON values, over the system's JSON library. Only base/json.c knows which one. */
#ifndef DESCENT_BASE_JSON_H
#define DESCENT_BASE_JSON_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct descent_json; /* an object, array, string, number, boolean or null */

struct descent_json *descent_json_object(void); /* keys keep their order of insertion */
struct descent_json *descent_json_array(void);
void descent_json_free(struct descent_json *json);

/* Set a key of an object. Not-finite numbers become null, as JSON has none; bytes of a text that is not
 * UTF-8 become '?'. `child` is owned by the object afterwards. Out of memory is remembered by the thread
 * and reported by its next descent_json_line or descent_json_write, so that setters need no check. */
void descent_json_set_text(struct descent_json *object, const char *key, const char *text); /* NULL: null */
void descent_json_set_number(struct descent_json *object, const char *key, double number);
void descent_json_set_integer(struct descent_json *object, const char *key, int64_t number);
void descent_json_set_flag(struct descent_json *object, const char *key, bool flag);
void descent_json_set(struct descent_json *object, const char *key, struct descent_json *child);
void descent_json_add(struct descent_json *array, struct descent_json *child);
void descent_json_add_text(struct descent_json *array, const char *text);
void descent_json_add_number(struct descent_json *array, double number);
void descent_json_add_integer(struct descent_json *array, int64_t number);

/* Parses `size` bytes; NULL on error, the message names `name` (a file), line and column. Duplicate keys
 * are errors. */
struct descent_json *descent_json_parse(const char *name, const char *text, size_t size);

/* The same of a file of at most `limit` bytes; also the errors of descent_file_read. */
enum descent_status descent_json_read(const char *path, size_t limit, struct descent_json **json);

/* Read access; missing or of another type: the fallback. */
double descent_json_number(const struct descent_json *object, const char *key, double fallback);
const char *descent_json_text(const struct descent_json *object, const char *key, const char *fallback);
const struct descent_json *descent_json_get(const struct descent_json *object,
                                            const char *key); /* or NULL */
int descent_json_count(const struct descent_json *json);      /* members or elements */
const struct descent_json *descent_json_at(const struct descent_json *array,
                                           int i); /* i-th element, or NULL */

/* The members of an object, in order:
 *     for (struct descent_json_member member = {0}; descent_json_next(object, &member);) ... member.key,
 * member.value ... */
struct descent_json_member {
    const char *key;
    const struct descent_json *value;
    void *position;
};
bool descent_json_next(const struct descent_json *object, struct descent_json_member *member);

bool descent_json_is_object(const struct descent_json *json);
bool descent_json_is_array(const struct descent_json *json);
bool descent_json_as_number(const struct descent_json *json, double *number);
bool descent_json_as_integer(const struct descent_json *json, int64_t *number); /* an exact integer */
const char *descent_json_as_text(const struct descent_json *json);              /* or NULL */

/* One line, no newline inside, numbers round-trip in the fewest digits; malloc'ed, NULL when out of memory.
 */
char *descent_json_line(const struct descent_json *json);

/* Indented, written beside `path` and renamed. */
enum descent_status descent_json_write(const char *path, const struct descent_json *json);

#endif
