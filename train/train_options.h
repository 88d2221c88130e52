/* The command line of a training run, its table of options. */
#ifndef DESCENT_TRAIN_TRAIN_OPTIONS_H
#define DESCENT_TRAIN_TRAIN_OPTIONS_H

#include "train/run.h"

#include <stdio.h>

struct train_options {
    struct train_config config;
    bool quiet, help;
};

/* Reads argv[1 ..] into *options, defaults first; `command` ("train lr-find") is for messages. Strings
 * point into argv, see options_read. Free with train_options_free, after a failure too. */
enum descent_status train_options_read(const char *command, int argc, char **argv,
                                       struct train_options *options);
void train_options_free(struct train_options *options);

/* Every option with its default, by topic. */
void train_options_print(FILE *stream);

#endif
