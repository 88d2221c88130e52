/* JSON values over jansson. A struct descent_json is a json_t under another name; no other file knows
 * jansson. */
#include "base/json.h"

#include "base/file.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Some value could not be made on this thread: what is written next would lack it. */
static _Thread_local bool incomplete;

static json_t *inside(const struct descent_json *json)
{
    return (json_t *)json;
}

static struct descent_json *wrap(json_t *json)
{
    if (!json)
        incomplete = true;
    return (struct descent_json *)json;
}

struct descent_json *descent_json_object(void)
{
    return wrap(json_object());
}

struct descent_json *descent_json_array(void)
{
    return wrap(json_array());
}

void descent_json_free(struct descent_json *json)
{
    json_decref(inside(json));
}

/* A copy without the bytes beyond ASCII: what is left of a text that is not UTF-8. NULL when out of memory.
 */
static char *ascii_copy(const char *text)
{
    char *copy = strdup(text);
    for (char *at = copy; at && *at; at++)
        if ((unsigned char)*at >= 0x80)
            *at = '?';
    return copy;
}

static json_t *make_text(const char *text)
{
    if (!text)
        return json_null();
    json_t *json = json_string(text);
    if (json)
        return json;
    char *copy = ascii_copy(text);
    json = json_string(copy);
    free(copy);
    return json;
}

static json_t *make_number(double number)
{
    return isfinite(number) ? json_real(number) : json_null();
}

/* Takes `child`, which may be NULL for one that could not be made. */
static void set(struct descent_json *object, const char *key, json_t *child)
{
    if (json_object_set(inside(object), key, child)) {
        char *copy = ascii_copy(key);
        if (json_object_set(inside(object), copy, child))
            incomplete = true;
        free(copy);
    }
    json_decref(child);
}

static void add(struct descent_json *array, json_t *child)
{
    if (json_array_append_new(inside(array), child))
        incomplete = true;
}

void descent_json_set_text(struct descent_json *object, const char *key, const char *text)
{
    set(object, key, make_text(text));
}

void descent_json_set_number(struct descent_json *object, const char *key, double number)
{
    set(object, key, make_number(number));
}

void descent_json_set_integer(struct descent_json *object, const char *key, int64_t number)
{
    set(object, key, json_integer(number));
}

void descent_json_set_flag(struct descent_json *object, const char *key, bool flag)
{
    set(object, key, json_boolean(flag));
}

void descent_json_set(struct descent_json *object, const char *key, struct descent_json *child)
{
    set(object, key, inside(child));
}

void descent_json_add(struct descent_json *array, struct descent_json *child)
{
    add(array, inside(child));
}

void descent_json_add_text(struct descent_json *array, const char *text)
{
    add(array, make_text(text));
}

void descent_json_add_number(struct descent_json *array, double number)
{
    add(array, make_number(number));
}

void descent_json_add_integer(struct descent_json *array, int64_t number)
{
    add(array, json_integer(number));
}

struct descent_json *descent_json_parse(const char *name, const char *text, size_t size)
{
    json_error_t error;
    json_t *json = json_loadb(text, size, JSON_REJECT_DUPLICATES, &error);
    if (!json)
        descent_fail(DESCENT_BAD_FORMAT, "%s: line %d, column %d: %s", name, error.line, error.column,
                     error.text);
    return (struct descent_json *)json;
}

enum descent_status descent_json_read(const char *path, size_t limit, struct descent_json **json)
{
    char *text;
    size_t size;
    *json = NULL;
    enum descent_status status = descent_file_read(path, limit, &text, &size);
    if (status != DESCENT_OK)
        return status;
    *json = descent_json_parse(path, text, size);
    free(text);
    return *json ? DESCENT_OK : DESCENT_BAD_FORMAT;
}

double descent_json_number(const struct descent_json *object, const char *key, double fallback)
{
    const json_t *value = json_object_get(inside(object), key);
    return json_is_number(value) ? json_number_value(value) : fallback;
}

const char *descent_json_text(const struct descent_json *object, const char *key, const char *fallback)
{
    const json_t *value = json_object_get(inside(object), key);
    return json_is_string(value) ? json_string_value(value) : fallback;
}

const struct descent_json *descent_json_get(const struct descent_json *object, const char *key)
{
    return (const struct descent_json *)json_object_get(inside(object), key);
}

int descent_json_count(const struct descent_json *json)
{
    return (int)(json_is_array(inside(json)) ? json_array_size(inside(json))
                                             : json_object_size(inside(json)));
}

const struct descent_json *descent_json_at(const struct descent_json *array, int i)
{
    return i < 0 ? NULL : (const struct descent_json *)json_array_get(inside(array), (size_t)i);
}

bool descent_json_next(const struct descent_json *object, struct descent_json_member *member)
{
    json_t *json = inside(object);
    member->position =
        member->position ? json_object_iter_next(json, member->position) : json_object_iter(json);
    if (!member->position)
        return false;
    member->key = json_object_iter_key(member->position);
    member->value = (const struct descent_json *)json_object_iter_value(member->position);
    return true;
}

bool descent_json_is_object(const struct descent_json *json)
{
    return json_is_object(inside(json));
}

bool descent_json_is_array(const struct descent_json *json)
{
    return json_is_array(inside(json));
}

bool descent_json_as_integer(const struct descent_json *json, int64_t *number)
{
    if (!json_is_integer(inside(json)))
        return false;
    *number = json_integer_value(inside(json));
    return true;
}

bool descent_json_as_number(const struct descent_json *json, double *number)
{
    if (!json_is_number(inside(json)))
        return false;
    *number = json_number_value(inside(json));
    return true;
}

const char *descent_json_as_text(const struct descent_json *json)
{
    return json_string_value(inside(json));
}

/* The fewest significant digits, 15 to 17, that read back as the same number: 0.1 and not
 * 0.10000000000000001. */
static int shortest_precision(double number)
{
    for (int precision = 15; precision < 17; precision++) {
        char text[32];
        snprintf(text, sizeof text, "%.*g", precision, number);
        if (strtod(text, NULL) == number)
            return precision;
    }
    return 17;
}

static void print_scalar(FILE *out, const json_t *json)
{
    size_t flags = JSON_ENCODE_ANY;
    if (json_is_real(json))
        flags |= JSON_REAL_PRECISION((size_t)shortest_precision(json_real_value(json)));
    if (!json || json_dumpf(json, out, flags))
        incomplete = true;
}

static void print_break(FILE *out, int indent)
{
    if (indent >= 0)
        fprintf(out, "\n%*s", indent, "");
}

static void print_value(FILE *out, json_t *json, int indent);

static void print_object(FILE *out, json_t *json, int indent)
{
    int inner = indent < 0 ? -1 : indent + 2;
    const char *key;
    json_t *value;
    bool first = true;
    fputc('{', out);
    json_object_foreach(json, key, value)
    {
        json_t *name = json_string(key);
        fputs(first ? "" : ",", out);
        print_break(out, inner);
        print_scalar(out, name);
        fputs(indent < 0 ? ":" : ": ", out);
        print_value(out, value, inner);
        json_decref(name);
        first = false;
    }
    if (!first)
        print_break(out, indent);
    fputc('}', out);
}

/* An array of numbers or texts stays on its line. */
static void print_array(FILE *out, json_t *json, int indent)
{
    size_t count = json_array_size(json);
    bool nested = false;
    for (size_t i = 0; i < count; i++)
        nested |= json_is_object(json_array_get(json, i)) || json_is_array(json_array_get(json, i));
    int inner = indent < 0 || !nested ? -1 : indent + 2;
    const char *comma = indent < 0 || nested ? "," : ", ";
    fputc('[', out);
    for (size_t i = 0; i < count; i++) {
        fputs(i == 0 ? "" : comma, out);
        print_break(out, inner);
        print_value(out, json_array_get(json, i), inner);
    }
    if (nested)
        print_break(out, indent);
    fputc(']', out);
}

/* `indent` is the column that lines of this value begin in, -1 for all on one line. */
static void print_value(FILE *out, json_t *json, int indent)
{
    if (json_is_object(json))
        print_object(out, json, indent);
    else if (json_is_array(json))
        print_array(out, json, indent);
    else
        print_scalar(out, json);
}

/* malloc'ed, or NULL when it or something inside it ran out of memory. */
static char *print(const struct descent_json *json, int indent)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (out && !incomplete)
        print_value(out, inside(json), indent);
    bool whole = out && !incomplete && !ferror(out);
    whole = out && fclose(out) == 0 && whole;
    incomplete = false;
    if (whole)
        return text;
    free(text);
    descent_fail(DESCENT_OUT_OF_MEMORY, "no memory to write JSON");
    return NULL;
}

char *descent_json_line(const struct descent_json *json)
{
    return print(json, -1);
}

enum descent_status descent_json_write(const char *path, const struct descent_json *json)
{
    char *text = print(json, 0);
    if (!text)
        return descent_fail_in(DESCENT_OUT_OF_MEMORY, "%s", path);
    struct descent_file file;
    enum descent_status status = descent_file_create(&file, path);
    if (!status) {
        fprintf(file.stream, "%s\n", text);
        status = descent_file_commit(&file);
    }
    free(text);
    return status;
}
