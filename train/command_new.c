/* `train new`: a C file to begin with, which trains as it stands. */
#include "train/commands.h"

#include "base/file.h"
#include "base/spec.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* train/template/KIND.c, NAME standing for the name. Made by meson.build. */
static const struct template
{
    const char *kind, *text, *option;
}
templates[] = {
    {"model",
#include "template_model.inc"
     , "--model"},
    {"optimizer",
#include "template_optimizer.inc"
     , "--optimizer"},
};

enum { TEMPLATES = sizeof templates / sizeof templates[0] };

static const char usage[] =
    "usage: train new model|optimizer NAME\n"
    "\n"
    "Writes NAME.c, a network or an update rule to begin with: it compiles and trains as it stands, and "
    "says\n"
    "what may be changed. Then\n"
    "\n"
    "  train --model ./NAME.c:units=128\n"
    "  train --optimizer ./NAME.c:lr=0.05\n"
    "      compile it with $CC (or cc) when it has changed, load it and train. Such a path may stand\n"
    "      wherever the name of a model or an optimizer may.\n"
    "  train list models ./NAME.c\n"
    "  train list optimizers ./NAME.c\n"
    "      show its card.\n";

static const struct template *find_template(const char *kind)
{
    const char *known[TEMPLATES];
    for (int i = 0; i < TEMPLATES; i++) {
        known[i] = templates[i].kind;
        if (strcmp(kind, known[i]) == 0)
            return &templates[i];
    }
    descent_fail_unknown("kind of C file", kind, known, TEMPLATES);
    return NULL;
}

/* The text with every NAME replaced. */
static void write_named(FILE *stream, const char *text, const char *name)
{
    static const char mark[] = "NAME";
    for (const char *next; (next = strstr(text, mark)); text = next + strlen(mark))
        fprintf(stream, "%.*s%s", (int)(next - text), text, name);
    fputs(text, stream);
}

static enum descent_status write_new(const struct template *template, const char *name)
{
    static const char fits[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
    char path[80];
    if (!*name || *name == '-' || name[strspn(name, fits)] || strlen(name) > 64)
        return descent_fail(DESCENT_BAD_ARGUMENT,
                            "train new %s '%s': expected a name of letters, digits, _ and -, without .c",
                            template->kind, name);
    snprintf(path, sizeof path, "%s.c", name);
    FILE *stream = fopen(path, "wx"); /* x: fails if it is there */
    if (!stream && errno == EEXIST)
        return descent_fail(DESCENT_EXISTS, "%s: already exists", path);
    if (!stream)
        return descent_fail_errno("write", path, errno);
    write_named(stream, template->text, name);
    bool bad = ferror(stream);
    if (fclose(stream) != 0 || bad)
        return descent_fail_errno("write", path, errno);
    printf("wrote %s; try: train %s ./%s\n", path, template->option, path);
    return DESCENT_OK;
}

static int run_new(int argc, char **argv)
{
    if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        fputs(usage, stdout);
        return EXIT_DONE;
    }
    if (argc != 3)
        return report_error(descent_fail(DESCENT_BAD_ARGUMENT,
                                         "train new takes two arguments: model or optimizer, and a name"));
    const struct template *template = find_template(argv[1]);
    return report_error(template ? write_new(template, argv[2]) : DESCENT_BAD_ARGUMENT);
}

const struct command command_new = {"new", "model|optimizer NAME", "write a C file to begin with", run_new};
