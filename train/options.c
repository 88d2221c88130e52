/* Options of a training run; see options.h. */
#include "train/options.h"

#include "base/spec.h"

#include <getopt.h>
#include <limits.h>
#include <math.h>
#include <stddef.h>
#include <string.h>

enum kind {
    TEXT,
    TEXTS,        /* given several times: an array of TRAIN_GROUPS */
    COUNT,        /* int in [min, max] */
    COUNT_OR_ALL, /* as COUNT, and "all" is 0 */
    SEED,         /* uint64_t in [min, max] */
    ORDER,        /* enum data_order, by its name */
    REAL,         /* double in [min, max) */
    YES,          /* sets a bool */
    NO,           /* clears it */
};

struct row {
    const char *topic; /* of this row and the next, until another is given */
    const char *name, *argument;
    enum kind kind;
    size_t offset;       /* in struct train_options */
    const char *initial; /* default as a user would write it; NULL: none */
    double min, max;
    const char *help;
};

#define AT(field)    offsetof(struct train_options, field)
#define LARGEST_SEED 9007199254740992.0 /* 2^53 */

static const struct row rows[] = {
    {"What to train", "data", "NAME|PATH", TEXT, AT(config.data), "fashion-mnist", 0, 0,
     "data set: a name that 'train list datasets' shows, or a path of what 'train list formats' shows"},
    {NULL, "skip-bad", NULL, YES, AT(config.skip_bad), NULL, 0, 0,
     "leave out and count images that cannot be decoded (default: stop at them)"},
    {NULL, "augment", "SPEC", TEXT, AT(config.augment), NULL, 0, 0,
     "random changes of training images, as crop+flip; see 'train list augmentations'"},
    {NULL, "model", "SPEC", TEXT, AT(config.model), "lenet5", 0, 0, "network; see 'train list models'"},
    {NULL, "optimizer", "SPEC", TEXT, AT(config.optimizer), "adam", 0, 0,
     "update rule; see 'train list optimizers'"},
    {NULL, "schedule", "SPEC", TEXT, AT(config.schedule), "constant", 0, 0,
     "course of the learning rate; see 'train list schedules'"},
    {NULL, "weights", "FILE", TEXT, AT(config.weights), NULL, 0, 0,
     "start from these .safetensors weights, from what matches by name and shape"},
    {NULL, "freeze", "PATTERN", TEXT, AT(config.freeze), NULL, 0, 0,
     "do not train parameters whose names match, like 'conv*'"},

    {"How to train", "epochs", "N", COUNT, AT(config.epochs), "5", 1, 1e6, "passes over the training set"},
    {NULL, "steps", "N", COUNT, AT(config.steps), NULL, 1, INT_MAX,
     "end after so many optimizer steps instead"},
    {NULL, "batch", "N|all", COUNT_OR_ALL, AT(config.batch), "64", 1, INT_MAX,
     "images an optimizer step; all: the whole training set, gradients added up"},
    {NULL, "micro-batch", "N", COUNT, AT(config.micro_batch), NULL, 1, 65536,
     "images a forward pass, less than a batch to save memory (default: --batch; with all, 256)"},
    {NULL, "drop-last", NULL, YES, AT(config.drop_last), NULL, 0, 0,
     "leave out an epoch's last batch where it is short"},
    {NULL, "keep-last", NULL, NO, AT(config.drop_last), NULL, 0, 0, "train on it too (the default)"},
    {NULL, "order", "HOW", ORDER, AT(config.order), "shuffled", 0, 0,
     "of an epoch: fixed, shuffled, replacement (each image drawn from all), balanced (as many of each "
     "class)"},
    {NULL, "clip", "NORM", REAL, AT(config.clip), "0", 0, INFINITY,
     "scale gradients down to this global norm; 0: off"},
    {NULL, "group", "PATTERN:SET", TEXTS, AT(config.group), NULL, 0, 0,
     "other settings for parameters whose names match: 'conv*:lr=1e-4', 'fc*:lion:lr=1e-4', "
     "'fc1.*:freeze'; may be repeated"},
    {NULL, "layer-decay", "F", REAL, AT(config.layer_decay), "1", 0, INFINITY,
     "multiply a layer's lr by F for each layer after it; for fine-tuning, 0.65 to 0.9"},
    {NULL, "skip-not-finite", NULL, YES, AT(config.skip_not_finite), NULL, 0, 0,
     "skip and count steps whose gradient is not finite (default: stop)"},
    {NULL, "label-smoothing", "E", REAL, AT(config.label_smoothing), "0", 0, 1,
     "share of the target spread over all classes, in training"},
    {NULL, "seed", "N", SEED, AT(config.seed), "1", 0, LARGEST_SEED,
     "of initial weights, order, split, augmentation and dropout; same seed, same bits"},
    {NULL, "threads", "N", COUNT, AT(config.threads), NULL, 1, DESCENT_MAX_THREADS,
     "never changes a result (default: the CPUs it may use)"},
    {NULL, "workers", "N", COUNT, AT(config.workers), "1", 0, DATA_MAX_WORKERS,
     "threads that prepare the next batches meanwhile; 0: none; never changes a result"},

    {"How to judge", "validation", "FRACTION", REAL, AT(config.validation), "0", 0, 1,
     "hold out this part of the training set; the test set is then read once, at the end"},
    {NULL, "split-seed", "N", SEED, AT(config.split_seed), NULL, 1, LARGEST_SEED,
     "of which images are held out (default: --seed)"},
    {NULL, "evaluations", "N", COUNT, AT(config.evaluations), NULL, 1, 1e6,
     "evaluate N times over the run, equally many steps apart (default: after each epoch)"},
    {NULL, "no-test", NULL, YES, AT(config.no_test), NULL, 0, 0,
     "never read the test set: for choosing settings by --validation"},
    {NULL, "eval-batch", "N", COUNT, AT(config.eval_batch), "256", 1, 65536,
     "images a forward pass of evaluation"},

    {"What to write", "out", "DIR", TEXT, AT(config.out), NULL, 0, 0,
     "run directory to make (default: runs/MODEL-DATA-N with the first N that is free)"},
    {NULL, "force", NULL, YES, AT(config.force), NULL, 0, 0, "overwrite the run in an existing directory"},
    {NULL, "no-model", NULL, YES, AT(config.no_model), NULL, 0, 0, "do not save the model"},
    {NULL, "log-every", "N", COUNT, AT(config.log_every), "1", 1, INT_MAX,
     "steps between step lines in metrics.jsonl"},
    {NULL, "quiet", NULL, YES, AT(quiet), NULL, 0, 0, "print nothing but errors"},
    {NULL, "help", NULL, YES, AT(help), NULL, 0, 0, "print this (also -h) and exit"},
};

enum { ROWS = sizeof rows / sizeof rows[0] };

/* ---- Values ---- */

static enum descent_status fail_value(const struct row *row, const char *text, const char *expected)
{
    return descent_fail(DESCENT_BAD_ARGUMENT, "--%s %s: expected %s%s%s", row->name, text, expected,
                        row->initial ? "; default " : "", row->initial ? row->initial : "");
}

static enum descent_status read_number(const struct row *row, const char *text, double *number)
{
    char expected[128];
    bool real = row->kind == REAL;
    if (descent_parse_number(text, number) && *number >= row->min && (real || *number <= row->max) &&
        (real ? *number < row->max : floor(*number) == *number))
        return DESCENT_OK;
    if (real && isinf(row->max))
        snprintf(expected, sizeof expected, "a number of at least %g", row->min);
    else if (real)
        snprintf(expected, sizeof expected, "a number in [%g, %g)", row->min, row->max);
    else
        snprintf(expected, sizeof expected, "a whole number from %.0f to %.0f%s", row->min, row->max,
                 row->kind == COUNT_OR_ALL ? ", or all" : "");
    return fail_value(row, text, expected);
}

static enum descent_status set(const struct row *row, const char *text, struct train_options *options)
{
    void *field = (char *)options + row->offset;
    double number = 0;
    enum descent_status status = DESCENT_OK;
    switch (row->kind) {
    case TEXT:
        if (!*text)
            return fail_value(row, "''", row->argument);
        *(const char **)field = text;
        return DESCENT_OK;
    case TEXTS:
        for (int i = 0; i < TRAIN_GROUPS; i++)
            if (!((const char **)field)[i]) {
                ((const char **)field)[i] = text;
                return DESCENT_OK;
            }
        return descent_fail(DESCENT_BAD_ARGUMENT, "--%s given more than %d times", row->name, TRAIN_GROUPS);
    case YES:
    case NO:
        *(bool *)field = row->kind == YES;
        return DESCENT_OK;
    case COUNT_OR_ALL:
        if (strcmp(text, "all") == 0) {
            *(int *)field = 0;
            return DESCENT_OK;
        }
        break;
    case ORDER:
        for (int i = 0; data_order_names[i]; i++)
            if (strcmp(text, data_order_names[i]) == 0) {
                *(enum data_order *)field = (enum data_order)i;
                return DESCENT_OK;
            }
        return fail_value(row, text, "fixed, shuffled, replacement or balanced");
    default:
        break;
    }
    status = read_number(row, text, &number);
    if (status != DESCENT_OK)
        return status;
    if (row->kind == REAL)
        *(double *)field = number;
    else if (row->kind == SEED)
        *(uint64_t *)field = (uint64_t)number;
    else
        *(int *)field = (int)number;
    return DESCENT_OK;
}

static enum descent_status set_defaults(struct train_options *options)
{
    *options = (struct train_options){0};
    options->config.threads = descent_cpus() < DESCENT_MAX_THREADS ? descent_cpus() : DESCENT_MAX_THREADS;
    for (int i = 0; i < ROWS; i++) {
        enum descent_status status = rows[i].initial ? set(&rows[i], rows[i].initial, options) : DESCENT_OK;
        if (status != DESCENT_OK)
            return status;
    }
    return DESCENT_OK;
}

/* ---- The command line ---- */

/* Why getopt_long did not take `argument`: unknown, ambiguous, or a flag that was given a value. */
static enum descent_status fail_option(const char *argument)
{
    if (strncmp(argument, "--", 2) != 0)
        return descent_fail(DESCENT_BAD_ARGUMENT, "unknown option %s; 'train --help' shows all", argument);
    const char *known[ROWS], *name = argument + 2;
    int length = (int)strcspn(name, "="), matches = 0;
    char typed[64];
    snprintf(typed, sizeof typed, "%.*s", length, name);
    for (int i = 0; i < ROWS; i++) {
        known[i] = rows[i].name;
        if (strcmp(rows[i].name, typed) == 0)
            return descent_fail(DESCENT_BAD_ARGUMENT, "--%s takes no value", typed);
        matches += strncmp(rows[i].name, typed, strlen(typed)) == 0;
    }
    if (matches > 1)
        return descent_fail(DESCENT_BAD_ARGUMENT, "option --%s is ambiguous; write it in full", typed);
    const char *nearest = descent_nearest(typed, known, ROWS);
    if (nearest)
        return descent_fail(DESCENT_BAD_ARGUMENT, "unknown option --%s; did you mean --%s?", typed,
                            nearest);
    return descent_fail(DESCENT_BAD_ARGUMENT, "unknown option --%s; 'train --help' shows all", typed);
}

/* What does not fit together, whatever the data. */
static enum descent_status check(const struct train_config *config)
{
    if (config->batch > 0 && config->micro_batch > config->batch)
        return descent_fail(DESCENT_BAD_ARGUMENT, "--micro-batch %d is more than --batch %d",
                            config->micro_batch, config->batch);
    if (config->no_test && config->validation == 0)
        return descent_fail(DESCENT_BAD_ARGUMENT,
                            "--no-test without --validation: there is nothing to judge the run by");
    if (config->force && !config->out)
        return descent_fail(DESCENT_BAD_ARGUMENT, "--force without --out: there is nothing to overwrite");
    return DESCENT_OK;
}

enum descent_status train_options_read(int argc, char **argv, struct train_options *options)
{
    enum { FIRST = 256 }; /* getopt's value of rows[0], beyond all characters */
    struct option table[ROWS + 1] = {0};
    for (int i = 0; i < ROWS; i++)
        table[i] = (struct option){.name = rows[i].name,
                                   .has_arg = rows[i].argument ? required_argument : no_argument,
                                   .val = FIRST + i};
    enum descent_status status = set_defaults(options);
    optind = 1;
    opterr = 0;
    for (int found; status == DESCENT_OK && (found = getopt_long(argc, argv, ":h", table, NULL)) != -1;) {
        if (found == 'h')
            options->help = true;
        else if (found == ':')
            status = descent_fail(DESCENT_BAD_ARGUMENT, "--%s needs a value: %s", rows[optopt - FIRST].name,
                                  rows[optopt - FIRST].argument);
        else if (found == '?')
            status = fail_option(argv[optind - 1]);
        else
            status = set(&rows[found - FIRST], optarg, options);
    }
    if (status == DESCENT_OK && optind < argc && !options->help)
        status = descent_fail(DESCENT_BAD_ARGUMENT,
                              "unexpected argument '%s'; 'train --help' shows what there is", argv[optind]);
    return status == DESCENT_OK ? check(&options->config) : status;
}

void train_options_print(FILE *stream)
{
    for (int i = 0; i < ROWS; i++) {
        const struct row *row = &rows[i];
        char left[64];
        snprintf(left, sizeof left, "--%s%s%s", row->name, row->argument ? " " : "",
                 row->argument ? row->argument : "");
        if (row->topic)
            fprintf(stream, "%s%s:\n", i ? "\n" : "", row->topic);
        fprintf(stream, "  %-22s %s", left, row->help);
        if (row->initial)
            fprintf(stream, " (default: %s)", row->initial);
        fputc('\n', stream);
    }
}
