/* See progress.h. */
#include "train/progress.h"

#include "base/clock.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static const double REFRESH = 0.1; /* seconds between updates */

bool progress_is_live(FILE *stream)
{
    const char *terminal = getenv("TERM");
    return isatty(fileno(stream)) && terminal && strcmp(terminal, "dumb") != 0;
}

bool progress_is_due(double *shown)
{
    double now = descent_seconds();
    bool due = now - *shown >= REFRESH;
    *shown = due ? now : *shown;
    return due;
}

void progress_rewrite(FILE *stream, const char *text)
{
    struct winsize window = {0};
    int width =
        ioctl(fileno(stream), TIOCGWINSZ, &window) == 0 && window.ws_col > 1 ? window.ws_col - 1 : 79;
    fprintf(stream, "\r\033[K%.*s", width, text);
    fflush(stream);
}

void progress_clear(FILE *stream)
{
    fprintf(stream, "\r\033[K");
    fflush(stream);
}

const char *progress_duration(double seconds, char text[24])
{
    long long s = (long long)(seconds + 0.5);
    if (s >= 3600)
        snprintf(text, 24, "%lld:%02lld:%02lld", s / 3600, s / 60 % 60, s % 60);
    else
        snprintf(text, 24, "%lld:%02lld", s / 60, s % 60);
    return text;
}

struct progress progress_on(FILE *stream, const char *what)
{
    return (struct progress){
        .stream = stream, .live = progress_is_live(stream), .what = what, .begin = descent_seconds()};
}

void progress_show(struct progress *progress, int64_t done, int64_t all, int64_t before)
{
    double rate = (double)(done - before) / (descent_seconds() - progress->begin);
    char line[160], left[24];
    if (!progress->live || done <= before || !progress_is_due(&progress->shown))
        return;
    snprintf(line, sizeof line, "%lld/%lld %s  %.3g/s  %s left", (long long)done, (long long)all,
             progress->what, rate, progress_duration((double)(all - done) / rate, left));
    progress_rewrite(progress->stream, line);
}

void progress_end(struct progress *progress)
{
    if (progress->live)
        progress_clear(progress->stream);
}
