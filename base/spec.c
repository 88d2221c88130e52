/* The parser of spec strings and the reader of option tables. It knows no name of any model or optimizer:
 * their tables are theirs. */
#include "base/spec.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double LARGEST_INTEGER = 9007199254740992.0; /* 2^53: every integer up to it is a double */

static enum descent_status fail_at(const char *text, size_t place, const char *problem)
{
    return descent_fail(DESCENT_BAD_ARGUMENT, "'%.200s': %s at character %zu", text, problem, place + 1);
}

bool descent_is_path(const char *name)
{
    return *name == '.' || *name == '/';
}

/* A '+' before a digit belongs to a number. */
static size_t find_separator(const char *from)
{
    const char *plus = strchr(from, '+');
    while (plus && isdigit((unsigned char)plus[1]))
        plus = strchr(plus + 1, '+');
    return plus ? (size_t)(plus - from) : strlen(from);
}

/* A path ends after the first ".c" that a ':', a '+' or the end follows, so that it may hold those
 * (./c++/net.c). */
size_t descent_spec_name_length(const char *name)
{
    if (descent_is_path(name))
        for (const char *end = strstr(name, ".c"); end; end = strstr(end + 1, ".c"))
            if (strchr(":+", end[2]))
                return (size_t)(end + 2 - name);
    size_t colon = strcspn(name, ":"), plus = find_separator(name);
    return colon < plus ? colon : plus;
}

/* A name. A digit may begin the first of a spec: find_separator leaves no other that it could begin. */
static bool is_name(const char *text)
{
    if (!isalnum((unsigned char)*text))
        return false;
    for (; *text; text++)
        if (!isalnum((unsigned char)*text) && !strchr("_-./", *text))
            return false;
    return true;
}

static bool is_key(const char *text)
{
    return isalpha((unsigned char)*text) && is_name(text);
}

/* "key=value,flag" with its terminator, into `part`. */
static enum descent_status parse_pairs(const char *text, char *storage, char *at,
                                       struct descent_spec_part *part)
{
    for (char *next = at; next; at = next) {
        char *end = at + strcspn(at, ",");
        next = *end ? end + 1 : NULL;
        *end = 0;
        if (part->count == DESCENT_SPEC_KEYS)
            return fail_at(text, (size_t)(at - storage), "more than 32 options");
        char *equals = strchr(at, '='), *value = equals ? equals + 1 : at;
        if (equals)
            *equals = 0;
        if (equals && !is_key(at))
            return fail_at(text, (size_t)(at - storage), "expected a key");
        if (!*value)
            return fail_at(text, (size_t)(value - storage), "expected a value");
        if (strchr(value, '='))
            return fail_at(text, (size_t)(strchr(value, '=') - storage), "unexpected second '='");
        part->pair[part->count].key = equals ? at : NULL;
        part->pair[part->count].value = value;
        part->count++;
    }
    return DESCENT_OK;
}

static enum descent_status parse_parts(const char *text, struct descent_spec *spec)
{
    for (char *at = spec->storage, *next = at; next; at = next) {
        if (spec->count == DESCENT_SPEC_PARTS)
            return fail_at(text, (size_t)(at - spec->storage), "more than 8 parts");
        struct descent_spec_part *part = &spec->part[spec->count++];
        part->name = at;
        char *colon = at + descent_spec_name_length(at);
        char *end = *colon == ':' ? colon + find_separator(colon) : colon;
        bool has_options = *colon == ':';
        next = *end ? end + 1 : NULL;
        *end = *colon = 0;
        if (!descent_is_path(at) && !is_name(at))
            return fail_at(text, (size_t)(at - spec->storage), *at ? "malformed name" : "expected a name");
        if (!has_options)
            continue;
        enum descent_status status = parse_pairs(text, spec->storage, colon + 1, part);
        if (status)
            return status;
    }
    return DESCENT_OK;
}

enum descent_status descent_spec_parse(const char *text, struct descent_spec *spec)
{
    *spec = (struct descent_spec){0};
    size_t size = strlen(text) + 1;
    spec->storage = malloc(size);
    if (!spec->storage)
        return descent_fail(DESCENT_OUT_OF_MEMORY, "no memory to read a spec of %zu characters", size);
    memcpy(spec->storage, text, size);
    enum descent_status status = parse_parts(text, spec);
    if (status)
        descent_spec_free(spec);
    return status;
}

void descent_spec_free(struct descent_spec *spec)
{
    if (!spec)
        return;
    free(spec->storage);
    *spec = (struct descent_spec){0};
}

/* Reads [+-]digits[.digits][e[+-]digits]: what follows it, or NULL if no number begins `text`. No
 * hexadecimal, no inf, no nan. */
static const char *scan_number(const char *text, double *number)
{
    const char *at = text + (*text == '+' || *text == '-');
    size_t whole = strspn(at, "0123456789"), fraction = 0;
    at += whole;
    if (*at == '.') {
        fraction = strspn(at + 1, "0123456789");
        at += 1 + fraction;
    }
    if (whole + fraction == 0)
        return NULL;
    if (*at == 'e' || *at == 'E') {
        const char *digits = at + 1 + (at[1] == '+' || at[1] == '-');
        size_t count = strspn(digits, "0123456789");
        if (count)
            at = digits + count;
    }
    char *end;
    *number = strtod(text, &end);
    return end == at && isfinite(*number) ? at : NULL;
}

bool descent_parse_number(const char *text, double *number)
{
    double scanned;
    const char *end = scan_number(text, &scanned);
    if (!end || *end)
        return false;
    *number = scanned;
    return true;
}

static int minimum(int a, int b)
{
    return a < b ? a : b;
}

/* Edit distance that counts an insertion, a deletion, a substitution or a swap of neighbors as one,
 * ignoring case. */
static int edit_distance(const char *a, const char *b)
{
    enum { LONGEST = 64 };
    int rows[3][LONGEST + 1], m = (int)strlen(a), n = (int)strlen(b);
    if (n > LONGEST)
        return LONGEST;
    int *before = rows[0], *previous = rows[1], *row = rows[2];
    for (int j = 0; j <= n; j++)
        previous[j] = j;
    for (int i = 1; i <= m; i++) {
        row[0] = i;
        for (int j = 1; j <= n; j++) {
            int x = tolower((unsigned char)a[i - 1]), y = tolower((unsigned char)b[j - 1]);
            row[j] = minimum(previous[j - 1] + (x != y), 1 + minimum(previous[j], row[j - 1]));
            bool swapped = i > 1 && j > 1 && x == tolower((unsigned char)b[j - 2]) &&
                           y == tolower((unsigned char)a[i - 2]);
            if (swapped)
                row[j] = minimum(row[j], before[j - 2] + 1);
        }
        int *spare = before;
        before = previous;
        previous = row;
        row = spare;
    }
    return previous[n];
}

const char *descent_nearest(const char *name, const char *const *known, int count)
{
    const char *nearest = NULL;
    int best = 3;
    size_t length = strlen(name);
    for (int i = 0; i < count; i++) {
        size_t longer = strlen(known[i]) > length ? strlen(known[i]) : length;
        int distance = edit_distance(name, known[i]);
        if (distance > (longer > 4 ? 2 : 1) || (size_t)distance >= longer)
            distance = 3;
        if (distance == 3 && length > 1 && strncmp(name, known[i], length) == 0)
            distance = 2;
        if (distance < best) {
            best = distance;
            nearest = known[i];
        }
    }
    return nearest;
}

static enum descent_status fail_unknown(const char *what, const char *name, const char *where,
                                        const char *const *known, int count)
{
    enum { SHORT_LIST = 16 }; /* so many are shown beside a suggestion too */
    const char *nearest = descent_nearest(name, known, count);
    char list[700];
    size_t length = 0;
    for (int i = 0; i < count && length < sizeof list && (!nearest || count <= SHORT_LIST); i++)
        length +=
            (size_t)snprintf(list + length, sizeof list - length, "%s%s", i ? ", " : "; known: ", known[i]);
    list[length < sizeof list ? length : sizeof list - 1] = 0;
    return descent_fail(DESCENT_BAD_ARGUMENT, "unknown %s '%.60s'%s%s%s%s%s", what, name, where,
                        nearest ? "; did you mean '" : "", nearest ? nearest : "", nearest ? "'?" : "",
                        nearest && length > 0 ? list + 1 : list); /* no ';' after a '?' */
}

enum descent_status descent_fail_unknown(const char *what, const char *name, const char *const *known,
                                         int count)
{
    size_t length = strlen(name);
    if (descent_is_path(name))
        return descent_fail(DESCENT_BAD_ARGUMENT, "%s '%s': that C file has not been loaded", what, name);
    if (length > 2 && strcmp(name + length - 2, ".c") == 0)
        return descent_fail(DESCENT_BAD_ARGUMENT,
                            "unknown %s '%s'; the path of a C file begins with '.' or '/': ./%s", what,
                            name, name);
    return fail_unknown(what, name, "", known, count);
}

static bool has_limits(const struct descent_option *option)
{
    return option->min != 0 || option->max != 0;
}

void descent_option_range(const struct descent_option *option, char *text, int size)
{
    if (!has_limits(option)) {
        *text = 0;
        return;
    }
    char open = option->open_min || isinf(option->min) ? '(' : '[';
    char close = option->open_max || isinf(option->max) ? ')' : ']';
    snprintf(text, (size_t)size, "%c%.15g, %.15g%c", open, option->min, option->max, close);
}

static bool in_range(const struct descent_option *option, double number)
{
    if (!has_limits(option))
        return true;
    return (option->open_min ? number > option->min : number >= option->min) &&
           (option->open_max ? number < option->max : number <= option->max);
}

static bool is_list(enum descent_option_type type)
{
    return type == DESCENT_OPTION_LIST || type == DESCENT_OPTION_INTEGER_LIST ||
           type == DESCENT_OPTION_DURATION_LIST;
}

static bool is_duration(enum descent_option_type type)
{
    return type == DESCENT_OPTION_DURATION || type == DESCENT_OPTION_DURATION_LIST;
}

/* What a value of the option looks like: "a number in [0, 1)". */
static void describe_expected(const struct descent_option *option, char *text, size_t size)
{
    static const char *const kinds[] = {
        [DESCENT_OPTION_REAL] = "a number",
        [DESCENT_OPTION_INTEGER] = "an integer",
        [DESCENT_OPTION_FLAG] = "yes or no",
        [DESCENT_OPTION_CHOICE] = "one of ",
        [DESCENT_OPTION_LIST] = "1 to 16 numbers separated by '/'",
        [DESCENT_OPTION_INTEGER_LIST] = "1 to 16 integers separated by '/'",
        [DESCENT_OPTION_DURATION] = "a duration (500 steps, 2ep or 5%)",
        [DESCENT_OPTION_DURATION_LIST] =
            "1 to 16 durations (500 steps, 2ep or 5%) of one unit separated by '/'",
    };
    char range[64];
    descent_option_range(option, range, sizeof range);
    const char *kind = kinds[option->type];
    if (option->type == DESCENT_OPTION_CHOICE)
        snprintf(text, size, "%s%s", kind, option->choices);
    else if (*range)
        snprintf(text, size, "%s%s in %s", kind, is_list(option->type) ? ", each" : "", range);
    else
        snprintf(text, size, "%s", kind);
}

/* `text` is the value, `element` what of it is wrong if it is one of a list. */
static enum descent_status fail_value(const struct descent_option *option, const char *what,
                                      const char *text, const char *element, const char *problem)
{
    char expected[256], place[80] = "";
    describe_expected(option, expected, sizeof expected);
    if (element)
        snprintf(place, sizeof place, ": '%.*s'", (int)minimum(60, (int)strcspn(element, "/")), element);
    return descent_fail(DESCENT_BAD_ARGUMENT, "%s=%.100s for %s%s %s; expected %s%s%s", option->name, text,
                        what, place, problem, expected, option->initial ? ", default " : "",
                        option->initial ? option->initial : "");
}

static bool is_one_of(const char *word, const char *const words[4])
{
    for (int i = 0; i < 4; i++)
        if (strcmp(word, words[i]) == 0)
            return true;
    return false;
}

static enum descent_status read_flag(const struct descent_option *option, const char *what,
                                     const char *text, struct descent_value *value)
{
    static const char *const yes[4] = {"yes", "true", "on", "1"}, *const no[4] = {"no", "false", "off",
                                                                                  "0"};
    value->number = is_one_of(text, yes);
    return value->number != 0 || is_one_of(text, no)
               ? DESCENT_OK
               : fail_value(option, what, text, NULL, "is neither yes nor no");
}

static enum descent_status read_choice(const struct descent_option *option, const char *what,
                                       const char *text, struct descent_value *value)
{
    const char *choice = option->choices;
    for (int i = 0;; i++) {
        size_t length = strcspn(choice, "|");
        if (strlen(text) == length && memcmp(text, choice, length) == 0) {
            value->number = i;
            return DESCENT_OK;
        }
        if (!choice[length])
            return fail_value(option, what, text, NULL, "is not a choice");
        choice += length + 1;
    }
}

static const char *const suffixes[] = {
    [DESCENT_STEPS] = "", [DESCENT_EPOCHS] = "ep", [DESCENT_PERCENT] = "%"};

/* The unit of a duration from what follows its number; false if there is no such unit. */
static bool read_unit(const char *suffix, size_t length, enum descent_unit *unit)
{
    for (int i = 0; i < 3; i++)
        if (strlen(suffixes[i]) == length && memcmp(suffix, suffixes[i], length) == 0) {
            *unit = (enum descent_unit)i;
            return true;
        }
    return false;
}

/* Reads the number of `length` characters at `text`, with its unit if it is a duration. NULL, or what is
 * wrong with it. */
static const char *read_element(const struct descent_option *option, const char *text, size_t length,
                                double *number, enum descent_unit *unit)
{
    const char *end = scan_number(text, number);
    size_t suffix = end ? length - (size_t)(end - text) : 0;
    if (is_duration(option->type)) {
        if (!end || !read_unit(end, suffix, unit))
            return "is not a duration";
        if (*number < 0)
            return "is negative";
        if (*unit == DESCENT_PERCENT && *number > 100)
            return "is not within 0% and 100%";
    } else if (!end || suffix) {
        return "is not a number";
    }
    bool whole = option->type == DESCENT_OPTION_INTEGER || option->type == DESCENT_OPTION_INTEGER_LIST;
    if (is_duration(option->type))
        whole = *unit == DESCENT_STEPS;
    if (whole && *number != floor(*number))
        return "is not an integer";
    if (whole && fabs(*number) > LARGEST_INTEGER)
        return "is not an integer of at most 2^53";
    return in_range(option, *number) ? NULL : "is out of range";
}

static enum descent_status read_numbers(const struct descent_option *option, const char *what,
                                        const char *text, struct descent_value *value)
{
    const char *at = text;
    for (value->count = 0;; at++) {
        size_t length = is_list(option->type) ? strcspn(at, "/") : strlen(at);
        enum descent_unit unit = DESCENT_STEPS;
        if (value->count == DESCENT_LIST_MAX)
            return fail_value(option, what, text, NULL, "has more than 16 numbers");
        const char *problem = read_element(option, at, length, &value->list[value->count], &unit);
        if (!problem && value->count > 0 && unit != value->unit)
            problem = "is of another unit";
        if (problem)
            return fail_value(option, what, text, is_list(option->type) ? at : NULL, problem);
        value->unit = unit;
        value->count++;
        at += length;
        if (!*at)
            break;
    }
    value->number = value->list[0];
    return DESCENT_OK;
}

static enum descent_status read_value(const struct descent_option *option, const char *what,
                                      const char *text, struct descent_value *value)
{
    if (option->type == DESCENT_OPTION_FLAG)
        return read_flag(option, what, text, value);
    if (option->type == DESCENT_OPTION_CHOICE)
        return read_choice(option, what, text, value);
    return read_numbers(option, what, text, value);
}

static enum descent_status fail_unknown_key(const char *key, const char *what,
                                            const struct descent_option *options, int count)
{
    enum { MOST = 64 };
    const char *names[MOST];
    char where[200];
    count = minimum(count, MOST);
    for (int i = 0; i < count; i++)
        names[i] = options[i].name;
    snprintf(where, sizeof where, " for %s%s", what, count == 0 ? ", which takes no options" : "");
    return fail_unknown("key", key, where, names, count);
}

static int find_option(const char *name, const struct descent_option *options, int count)
{
    for (int i = 0; i < count; i++)
        if (strcmp(options[i].name, name) == 0)
            return i;
    return -1;
}

/* One key=value or bare word of the part, the `first` or a later one. */
static enum descent_status read_pair(const char *key, const char *text, bool first, const char *what,
                                     const struct descent_option *options, int count,
                                     struct descent_value *values)
{
    int i = find_option(key ? key : text, options, count);
    if (!key && i >= 0 && options[i].type == DESCENT_OPTION_FLAG)
        text = "yes";
    else if (!key && first && count > 0)
        i = 0;
    else if (!key && count > 0)
        return descent_fail(DESCENT_BAD_ARGUMENT,
                            "'%.60s' for %s has no key; only a first value (%s) and flags may stand alone",
                            text, what, options[0].name);
    if (i < 0)
        return fail_unknown_key(key ? key : text, what, options, count);
    if (values[i].given)
        return descent_fail(DESCENT_BAD_ARGUMENT, "%s is given twice for %s", options[i].name, what);
    values[i].given = true;
    return read_value(&options[i], what, text, &values[i]);
}

/* What makes a row unusable, or NULL. */
static const char *check_row(const struct descent_option *rows, int i)
{
    const struct descent_option *row = &rows[i];
    if (!row->name || !is_key(row->name))
        return "has no name that a spec could hold";
    if (find_option(row->name, rows, i) >= 0)
        return "has the name of another";
    if (!row->help)
        return "has no help";
    if (row->type == DESCENT_OPTION_CHOICE && !row->choices)
        return "has no choices";
    if (row->search_max > row->search_min) {
        double low = row->search_min, high = row->search_max;
        bool number = row->type == DESCENT_OPTION_REAL || row->type == DESCENT_OPTION_INTEGER;
        bool share = row->open_max && row->max == 1; /* even in log(1 - value) */
        bool limits = row->min != 0 || row->max != 0;
        if (!number || !isfinite(low) || !isfinite(high) || (limits && (low < row->min || high > row->max)))
            return "has a search range that is none of its type and limits";
        if (row->search_log && (share ? high >= 1 : low <= 0))
            return "has a search range that no logarithm can hold";
    }
    return row->type <= DESCENT_OPTION_DURATION_LIST ? NULL : "has no known type";
}

enum descent_status descent_options_check(const char *what, const struct descent_option *options, int count)
{
    if (count < 0 || count > DESCENT_SPEC_KEYS || (count > 0 && !options))
        return descent_fail(DESCENT_BAD_ARGUMENT, "%s says that it has %d options%s; expected at most %d",
                            what, count, options ? "" : " and has no table of them", DESCENT_SPEC_KEYS);
    for (int i = 0; i < count; i++) {
        const char *problem = check_row(options, i);
        if (problem)
            return descent_fail(DESCENT_BAD_ARGUMENT, "%s: option %d (%s) %s", what, i + 1,
                                options[i].name ? options[i].name : "?", problem);
        struct descent_value value = {0};
        if (options[i].initial && read_value(&options[i], what, options[i].initial, &value))
            return descent_fail_in(DESCENT_BAD_ARGUMENT, "the default");
    }
    return DESCENT_OK;
}

enum descent_status descent_spec_read(const struct descent_spec_part *part, const char *what,
                                      const struct descent_option *options, int count,
                                      struct descent_value *values)
{
    enum descent_status status = DESCENT_OK;
    for (int i = 0; i < count; i++)
        values[i] = (struct descent_value){0};
    for (int i = 0; i < part->count && !status; i++)
        status = read_pair(part->pair[i].key, part->pair[i].value, i == 0, what, options, count, values);
    for (int i = 0; i < count && !status; i++) {
        if (values[i].given)
            continue;
        if (!options[i].initial) {
            char expected[256];
            describe_expected(&options[i], expected, sizeof expected);
            return descent_fail(DESCENT_BAD_ARGUMENT, "%s needs %s: %s", what, options[i].name, expected);
        }
        status = read_value(&options[i], what, options[i].initial, &values[i]);
    }
    return status;
}

/* The fewest digits that read back as the same number. */
static void format_number(double number, char *text, size_t size)
{
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(text, size, "%.*g", digits, number);
        if (strtod(text, NULL) == number)
            return;
    }
}

const char *descent_value_text(const struct descent_option *option, const struct descent_value *value,
                               char *text, int size)
{
    if (option->type == DESCENT_OPTION_FLAG) {
        snprintf(text, (size_t)size, "%s", value->number != 0 ? "yes" : "no");
    } else if (option->type == DESCENT_OPTION_CHOICE) {
        const char *choice = option->choices;
        for (int i = 0; i < (int)value->number; i++)
            choice += strcspn(choice, "|") + 1;
        snprintf(text, (size_t)size, "%.*s", (int)strcspn(choice, "|"), choice);
    } else {
        const char *suffix = is_duration(option->type) ? suffixes[value->unit] : "";
        int length = 0, count = is_list(option->type) ? value->count : 1;
        for (int i = 0; i < count && length < size; i++) {
            char number[32];
            format_number(is_list(option->type) ? value->list[i] : value->number, number, sizeof number);
            length +=
                snprintf(text + length, (size_t)(size - length), "%s%s%s", i ? "/" : "", number, suffix);
        }
    }
    return text;
}
