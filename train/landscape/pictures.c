/* See pictures.h. */
#include "train/landscape/pictures.h"

#include "train/plot.h"

#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>

void script_add(struct script *script, const char *format, ...)
{
    size_t left = sizeof script->text - script->used;
    va_list list;
    va_start(list, format);
    int length = vsnprintf(script->text + script->used, left, format, list);
    va_end(list);
    script->used += length < 0 ? 0 : (size_t)length < left ? (size_t)length : left - 1;
}

void script_quoted(struct script *script, const char *text)
{
    char buffer[2 * PATH_MAX];
    script_add(script, "%s", plot_quoted(text, buffer, sizeof buffer));
}

void script_colors(struct script *script)
{
    script_add(script,
               "color(i) = int(word('0xd55e00 0x0072b2 0x009e73 0xcc79a7 0xe69f00 0x56b4e9 0xf0e442 "
               "0x000000 0x999999 0x882255 0x117733 0x332288', i + 1))\n");
}

void script_begin(struct script *script, const char *title, const char *x, const char *y,
                  const double low[2], const double high[2])
{
    script->used = 0;
    script_add(script,
               "set datafile separator ','\nset xrange [%g:%g]\nset yrange [%g:%g]\n"
               "set xlabel '%s' noenhanced\nset ylabel '%s' noenhanced\nset title ",
               low[0], high[0], low[1], high[1], x, y);
    script_quoted(script, title);
    script_add(script, " noenhanced\n");
    script_colors(script);
    script_add(script, "set palette maxcolors 64 defined (0 '#33415c', 0.4 '#8fa3bf', 1 '#f4f2ec')\n"
                       "unset colorbox\n"
                       "set key at screen 0.99, screen 0.92 right top samplen 2 noenhanced\n");
}

/* The next round number above z: 1, 2, 5, 10, or, fine, 1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10, ... */
static double next_round(double z, bool fine)
{
    static const double coarse_steps[] = {1, 2, 5, 10},
                        fine_steps[] = {1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10};
    const double *steps = fine ? fine_steps : coarse_steps;
    const int last = (int)(fine ? sizeof fine_steps : sizeof coarse_steps) / (int)sizeof *steps - 1;
    double decade = pow(10, floor(log10(z) + 1e-9));
    int i = 0;
    while (i < last && steps[i] * decade <= z * (1 + 1e-9))
        i++;
    return steps[i] * decade;
}

enum { CONTOURS = 20 }; /* at most so many where they are evenly spaced */

/* The lowest and the highest finite one; 0 and 0 if there is none. */
static void find_range(const double *values, size_t count, size_t stride, double *low, double *high)
{
    *low = INFINITY;
    *high = -INFINITY;
    for (size_t i = 0; i < count; i++) {
        double value = values[i * stride];
        *low = isfinite(value) ? fmin(*low, value) : *low;
        *high = isfinite(value) ? fmax(*high, value) : *high;
    }
    if (*low > *high)
        *low = *high = 0;
}

void script_log_scale(struct script *script, const double *values, size_t count, size_t stride)
{
    enum { MOST = 40 };
    double level[MOST], low, high;
    int levels = 0;
    find_range(values, count, stride, &low, &high);
    low = fmax(low, 1e-6);
    high = fmin(fmax(high, 1.01 * low), 1e6 * low);
    bool fine = high < 30 * low, even = high < 5 * low;
    double step = next_round((high - low) / CONTOURS, false);
    for (double z = even ? step * ceil(low / step) : next_round(low, fine); z < high && levels < MOST;
         z = even ? z + step : next_round(z, fine))
        level[levels++] = z;
    script_add(script,
               "low = %.9g\nhigh = %.9g\nh(z) = log10(z < low ? low : z > high ? high : z)\n"
               "set colorbox\nset cbrange [log10(low):log10(high)]\nset cblabel 'loss'\n",
               low, high);
    for (int kind = 0; kind < 2; kind++) {
        script_add(script, "set %s (", kind ? "ztics" : "cbtics");
        for (int i = 0; i < levels; i++)
            script_add(script, "%s'%.3g' %.6f", i ? ", " : "", level[i], log10(level[i]));
        script_add(script, "%s)\n", levels ? "" : "'' 0");
    }
    script_add(script, "set cntrparam levels discrete ");
    for (int i = 0; i < levels; i++)
        script_add(script, "%s%.6f", i ? ", " : "", log10(level[i]));
    script_add(script, "%s\n", levels ? "" : "log10(low)");
}

void script_linear_scale(struct script *script, const char *label, const double *values, size_t count,
                         size_t stride)
{
    double low, high;
    find_range(values, count, stride, &low, &high);
    if (low == high)
        high = low + fmax(1, fabs(low));
    double step = next_round((high - low) / CONTOURS, false);
    script_add(script,
               "low = %.9g\nhigh = %.9g\nh(z) = z < low ? low : z > high ? high : z\n"
               "set colorbox\nset cbrange [low:high]\nset cblabel '%s' noenhanced\n"
               "set cntrparam levels incremental %.9g, %.9g, high\n",
               low, high, label, step * ceil(low / step), step);
}

void script_from_above(struct script *script, const char *file, int index, int column, int every)
{
    script_add(script,
               "set lmargin at screen 0.09\nset rmargin at screen 0.72\nset bmargin at screen 0.1\n"
               "set tmargin at screen 0.93\nset view map\nset contour base\nset cntrlabel onecolor\n"
               "splot '%s' skip 1 index %d using 1:2:(0):(h($%d)) with image nocontour notitle, \\\n"
               "  '' skip 1 index %d every %d:%d using 1:2:(h($%d)) with lines nosurface lc rgb "
               "'#80ffffff' lw 0.5 "
               "notitle",
               file, index, column, index, every, every, column);
}

void script_in_3d(struct script *script, const char *file, int index, int column, int every)
{
    script_add(script,
               "set view 50, 325\nset xyplane 0.05\n"
               "splot '%s' skip 1 index %d every %d:%d using 1:2:(h($%d)) with pm3d notitle",
               file, index, every, every, column);
}
