/* See plot.h. */
#include "train/plot.h"

#include "base/file.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

enum { NOT_INSTALLED = 127 };

const char *plot_excuse(enum plot_outcome outcome)
{
    return outcome == PLOT_NO_GNUPLOT ? "; for pictures install gnuplot"
           : outcome == PLOT_FAILED   ? "; gnuplot failed on a script there (*.gnuplot)"
                                      : "";
}

/* In single quotes nothing but the quote is special. */
const char *plot_quoted(const char *text, char *buffer, size_t size)
{
    size_t used = 0;
    buffer[used++] = '\'';
    for (; *text && used + 3 < size; text++) {
        if (*text == '\'')
            buffer[used++] = '\'';
        buffer[used++] = iscntrl((unsigned char)*text) ? ' ' : *text;
    }
    buffer[used++] = '\'';
    buffer[used] = 0;
    return buffer;
}

/* gnuplot FILE in a directory, silently. */
static enum plot_outcome run_gnuplot(const char *directory, const char *file)
{
    int status = 1;
    pid_t child = fork();
    if (child == 0) {
        int null = open("/dev/null", O_RDWR);
        if (null >= 0)
            dup2(null, STDIN_FILENO), dup2(null, STDOUT_FILENO), dup2(null, STDERR_FILENO);
        if (chdir(directory) == 0)
            execlp("gnuplot", "gnuplot", file, (char *)NULL);
        _exit(NOT_INSTALLED);
    }
    while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    if (child > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return PLOT_DRAWN;
    return child > 0 && WIFEXITED(status) && WEXITSTATUS(status) == NOT_INSTALLED ? PLOT_NO_GNUPLOT
                                                                                  : PLOT_FAILED;
}

enum descent_status plot_draw(const char *directory, const char *name, enum plot_format format, int width,
                              int height, const char *script, enum plot_outcome *outcome)
{
    char path[PATH_MAX], file[NAME_MAX];
    struct descent_file out;
    snprintf(file, sizeof file, "%s.gnuplot", name);
    snprintf(path, sizeof path, "%s/%s", directory, file);
    enum descent_status status = descent_file_create(&out, path);
    if (status != DESCENT_OK)
        return status;
    if (format == PLOT_GIF)
        fprintf(out.stream, "set terminal gif size %d,%d animate delay 8\nset output '%s.gif'\n%s", width,
                height, name, script);
    else
        fprintf(out.stream, "set terminal svg size %d,%d background '#ffffff'\nset output '%s.svg'\n%s",
                width, height, name, script);
    if (format == PLOT_SVG_AND_PNG)
        fprintf(out.stream,
                "reset\nset terminal pngcairo size %d,%d font 'sans,9'\nset output '%s.png'\n%s", width,
                height, name, script);
    status = descent_file_commit(&out);
    if (status != DESCENT_OK)
        return status;
    enum plot_outcome made = run_gnuplot(directory, file);
    if (made > *outcome)
        *outcome = made;
    return DESCENT_OK;
}
