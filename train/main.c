/* The `train` program: picks the subcommand. What each does is in its own file. */
#include "train/commands.h"

#include "base/spec.h"
#include "build.h" /* BUILD_VERSION, BUILD_COMMIT: made by meson.build */

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct command *const table[] = {&command_train,     &command_compare, &command_lr_find,
                                              &command_landscape, &command_list,    &command_data,
                                              &command_new};

const struct command *const *commands(int *count)
{
    *count = sizeof table / sizeof table[0];
    return table;
}

int report_error(enum descent_status status)
{
    if (status != DESCENT_OK)
        fprintf(stderr, "train: %s\n", *descent_error() ? descent_error() : descent_status_text(status));
    switch (status) {
    case DESCENT_OK:
        return EXIT_DONE;
    case DESCENT_BAD_ARGUMENT:
        return EXIT_USAGE;
    case DESCENT_DIVERGED:
        return EXIT_DIVERGED;
    default:
        return EXIT_FAILED;
    }
}

static enum descent_status unknown_command(const char *name)
{
    const char *known[sizeof table / sizeof table[0]];
    int count;
    const struct command *const *all = commands(&count);
    for (int i = 0; i < count; i++)
        known[i] = all[i]->name;
    return descent_fail_unknown("subcommand", name, known + 1, count - 1); /* the first has no name */
}

static int run(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--version") == 0) {
        printf("descent %s (%s)\n", BUILD_VERSION, BUILD_COMMIT);
        return EXIT_DONE;
    }
    int count;
    const struct command *const *all = commands(&count);
    for (int i = 1; i < count && argc > 1; i++)
        if (strcmp(argv[1], all[i]->name) == 0)
            return all[i]->run(argc - 1, argv + 1);
    if (argc > 1 && argv[1][0] != '-')
        return report_error(unknown_command(argv[1]));
    return command_train.run(argc, argv);
}

/* What was printed is a result: that it got lost must be known. */
int main(int argc, char **argv)
{
    int code = run(argc, argv);
    errno = EIO; /* for an earlier error of the stream, whose cause is gone */
    if (fflush(stdout) == 0 && !ferror(stdout))
        return code;
    fprintf(stderr, "train: cannot write to standard output: %s\n", strerror(errno));
    return code == EXIT_DONE ? EXIT_FAILED : code;
}
