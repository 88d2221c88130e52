/* Spec strings: the one grammar by which models, optimizers, schedules and augmentations are named.
 *
 *     spec  = part { "+" part }           adamw:lr=1e-3,beta2=0.98     cosine+warmup:5%
 *     part  = name [ ":" [ value "," ] key "=" value { "," key "=" value } ]
 *
 * A bare first value stands for the part's main key, the first of its table: warmup:5%, mlp:256/128. A bare
 * word that names a flag, anywhere, sets it: momentum:lr=0.1,nesterov. Lists are 256/128; durations 500
 * (steps), 2ep (epochs), 5% (of the whole run). Nothing needs quoting in a shell. A "+" before a digit
 * belongs to a number (lr=1e+3), so only the first part's name may begin with one (3c3d:width=0.25); keys
 * begin with a letter. A name that begins with "." or "/"
 * is the path of a C file (./mynet.c, ./myrule.c:lr=0.1); it ends after its first
 * ".c" that a ":", a "+" or the end of the spec follows, so ./my+rule.c and ./c++/net.c are paths, ./a.c+b
 * is two parts. */
#ifndef DESCENT_BASE_SPEC_H
#define DESCENT_BASE_SPEC_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>

enum { DESCENT_SPEC_PARTS = 8, DESCENT_SPEC_KEYS = 32, DESCENT_LIST_MAX = 16 };

struct descent_spec_part {
    const char *name;
    int count;
    struct {
        const char *key;   /* NULL for a bare word */
        const char *value; /* never empty */
    } pair[DESCENT_SPEC_KEYS];
};

struct descent_spec {
    int count; /* at least 1 */
    struct descent_spec_part part[DESCENT_SPEC_PARTS];
    char *storage; /* owned: what the names and values point into */
};

/* Splits `text`. On failure *spec is empty; the message quotes the text and the place. Free with
 * descent_spec_free. */
enum descent_status descent_spec_parse(const char *text, struct descent_spec *spec);
void descent_spec_free(struct descent_spec *spec);

/* How long the first name of a spec is; and whether a name is the path of a C file. */
size_t descent_spec_name_length(const char *spec);
bool descent_is_path(const char *name);

enum descent_option_type {
    DESCENT_OPTION_REAL,
    DESCENT_OPTION_INTEGER,
    DESCENT_OPTION_FLAG,   /* yes/no, true/false, on/off, 1/0; a bare key means yes */
    DESCENT_OPTION_CHOICE, /* one of `choices`, "mean|sum"; number is its index */
    DESCENT_OPTION_LIST,   /* 1 .. 16 numbers separated by "/" */
    DESCENT_OPTION_INTEGER_LIST,
    DESCENT_OPTION_DURATION,      /* number and unit, not negative: whole steps, epochs or at most 100 % */
    DESCENT_OPTION_DURATION_LIST, /* of one unit: 30ep/60ep/80ep */
};

enum descent_unit { DESCENT_STEPS, DESCENT_EPOCHS, DESCENT_PERCENT };

/* One row of an algorithm's, model's or schedule's table of options. The same rows drive parsing, range
 * checks, help and documentation, checkpoints and search spaces. */
struct descent_option {
    const char *name;
    enum descent_option_type type;
    const char *initial; /* the default, as a user would write it: "1e-3", "256/128", "5%", "no"; NULL: must
                            be given */
    double min,
        max; /* of each number, whatever its unit; both 0: no limits; INFINITY: no limit on that side */
    bool open_min, open_max; /* the limit itself is not allowed: beta1 in [0, 1) */
    const char *choices;
    const char *help; /* one line, lower case, no full stop: "exponential decay rate of the first moment" */
    double search_min, search_max; /* published search range; both 0: not searched */
    bool search_log;
};

struct descent_value {
    double number; /* REAL, INTEGER, FLAG (0/1), CHOICE (index), DURATION (in `unit`), the first of a list;
                      finite */
    enum descent_unit unit; /* of durations */
    int count;              /* lists: how many */
    double list[DESCENT_LIST_MAX];
    bool given; /* by the user, not the default */
};

/* Reads a part by a table of `count` options into values[0 .. count-1], defaults filled in. `what` says
 * whose options these are in messages: "optimizer adam". Unknown, repeated, malformed and out-of-range
 * values fail with DESCENT_BAD_ARGUMENT: unknown key 'lrr' for optimizer adam; did you mean 'lr'? known:
 * lr, beta1, beta2, eps, weight_decay beta1=1.2 for optimizer adam is out of range; expected a number in
 * [0, 1), default 0.9 lr=abc for optimizer adam is not a number; expected a number in [0, inf), default
 * 1e-3 Defaults are read and checked the same way, so a wrong table (a user's own) is such an error too. */
enum descent_status descent_spec_read(const struct descent_spec_part *part, const char *what,
                                      const struct descent_option *options, int count,
                                      struct descent_value *values);

/* Whether a table, a user's own, can be read by: names and help are there, defaults fit. `what` as above.
 */
enum descent_status descent_options_check(const char *what, const struct descent_option *options,
                                          int count);

/* One finite decimal number (the whole string): false if it is not one, `*number` untouched. */
bool descent_parse_number(const char *text, double *number);

/* The known name nearest to `name` (edit distance at most 2, or a prefix), or NULL: for "did you mean
 * ...?". */
const char *descent_nearest(const char *name, const char *const *known, int count);

/* A value as a user would write it: "0.001", "256/128", "5%", "yes"; cut to `size`. Read back, it is the
 * same value. Returns text. */
const char *descent_value_text(const struct descent_option *option, const struct descent_value *value,
                               char *text, int size);

/* Fails with DESCENT_BAD_ARGUMENT: "unknown optimizer 'adm'; did you mean 'adam'? known: sgd, adam". A long
 * list of the known is left out when there is a suggestion. Of a name that is or seems to be a C file's
 * path the message says so. */
enum descent_status descent_fail_unknown(const char *what, const char *name, const char *const *known,
                                         int count);

/* "[0, 1)" into text of `size` > 0 bytes; "" when there are no limits. */
void descent_option_range(const struct descent_option *option, char *text, int size);

#endif
