/* The subcommands of `train`: each one file, one row of the table in main.c. */
#ifndef DESCENT_TRAIN_COMMANDS_H
#define DESCENT_TRAIN_COMMANDS_H

#include "base/status.h"

enum exit_code {
    EXIT_DONE,
    EXIT_FAILED,       /* a file, the system or memory said no */
    EXIT_USAGE,        /* the command line cannot be carried out */
    EXIT_DIVERGED,     /* a loss or gradient is not finite */
    EXIT_SIGNAL = 128, /* plus the signal's number: interrupted, as the shell counts */
};

struct command {
    const char *name, *arguments, *summary;
    int (*run)(int argc, char **argv); /* argv[0]: the subcommand's own name. Returns the exit code */
};

extern const struct command command_train; /* without a name */
extern const struct command command_lr_find;
extern const struct command command_compare;
extern const struct command command_landscape;
extern const struct command command_list;
extern const struct command command_data;
extern const struct command command_new;

/* All of them, command_train first. */
const struct command *const *commands(int *count);

/* Prints "train: " and the last error to standard error; returns the exit code for a status. */
int report_error(enum descent_status status);

#endif
