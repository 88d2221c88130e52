/* See plot.h. */
#include "train/plot.h"

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

/* gnuplot FILE in a directory, silently. */
static bool run_gnuplot(const char *directory, const char *file)
{
    int status = 1;
    pid_t child = fork();
    if (child == 0) {
        int null = open("/dev/null", O_RDWR);
        if (null >= 0)
            dup2(null, STDIN_FILENO), dup2(null, STDOUT_FILENO), dup2(null, STDERR_FILENO);
        if (chdir(directory) == 0)
            execlp("gnuplot", "gnuplot", file, (char *)NULL);
        _exit(127);
    }
    while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    return child > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

enum descent_status plot_draw(const char *directory, const char *name, enum plot_format format, int width,
                              int height, const char *script, bool *drawn)
{
    char path[PATH_MAX], file[NAME_MAX];
    struct descent_file out;
    *drawn = false;
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
    *drawn = status == DESCENT_OK && run_gnuplot(directory, file);
    return status;
}
