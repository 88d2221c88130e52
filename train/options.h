/* The command line of a training run, from one table: parsing, checks, defaults and help. */
#ifndef DESCENT_TRAIN_OPTIONS_H
#define DESCENT_TRAIN_OPTIONS_H

#include "train/run.h"

#include <stdio.h>

struct train_options {
    struct train_config config;
    bool quiet, help;
};

/* Reads argv[1 ..] into *options, defaults first. Strings point into argv. DESCENT_BAD_ARGUMENT names the
 * option, what was found and what was expected. */
enum descent_status train_options_read(int argc, char **argv, struct train_options *options);

/* Every option with its default, by topic. */
void train_options_print(FILE *stream);

#endif
