/* See plane.h. */
#include "train/landscape/plane.h"

#include "base/linalg.h"
#include "base/random.h"
#include "train/vector.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

double plane_at(const struct plane *plane, int axis, int i)
{
    int last = plane->points[axis] - 1;
    return last > 0 ? plane->low[axis] + (plane->high[axis] - plane->low[axis]) * i / last
                    : plane->low[axis];
}

void plane_place(const struct plane *plane, double x, double y, struct descent_param *param, int count)
{
    const float *origin = plane->origin, *a = plane->direction[0], *b = plane->direction[1];
    int64_t at = 0;
    for (int i = 0; i < count; i++) {
        if (param[i].kind == DESCENT_BUFFER)
            continue;
        for (int64_t k = 0; k < param[i].size; k++, at++)
            param[i].value[k] =
                (float)((double)origin[at] + x * (double)a[at] + (b ? y * (double)b[at] : 0));
        param[i].version++;
    }
}

/* ---- Random directions ---- */

static double norm(const float *v, int64_t size)
{
    return sqrt(vector_dot(v, v, size));
}

void random_direction(const struct descent_param *param, int count, uint64_t seed, uint64_t which,
                      float *direction)
{
    for (int i = 0; i < count; i++) {
        const struct descent_param *p = &param[i];
        if (p->kind == DESCENT_BUFFER)
            continue;
        struct descent_random random =
            descent_random_new(seed, DESCENT_RANDOM_DIRECTION, descent_hash(p->name) + which);
        int64_t filter = p->rank > 1 ? p->size / p->shape[0] : p->size;
        for (int64_t begin = 0; begin < p->size; begin += filter) {
            float *d = direction + begin;
            for (int64_t k = 0; k < filter; k++)
                d[k] = p->rank > 1 ? (float)descent_random_normal(&random) : 0;
            double factor = norm(p->value + begin, filter) / (norm(d, filter) + 1e-10);
            for (int64_t k = 0; k < filter; k++)
                d[k] = (float)(factor * (double)d[k]);
        }
        direction += p->size;
    }
}

/* ---- The plane of a path ---- */

static double dot_of_differences(const float *a, const float *b, const float *origin, int64_t size)
{
    double sum = 0;
    for (int64_t k = 0; k < size; k++)
        sum += ((double)a[k] - (double)origin[k]) * ((double)b[k] - (double)origin[k]);
    return sum;
}

/* Share of the path's length that its projection lacks; distances from the Gram matrix. */
static double length_outside(const double *gram, int count, const int *paths, int path_count,
                             const double *at)
{
    double length = 0, shown = 0;
    int next = 0;
    for (int i = 0; i < count; i++) {
        if (next < path_count && paths[next] == i) {
            next++;
            continue;
        }
        const double *g = gram + (size_t)i * (size_t)count + i;
        double squared = g[0] - 2 * g[-1] + g[-1 - count];
        length += sqrt(fmax(0, squared));
        shown += hypot(at[2 * i] - at[2 * i - 2], at[2 * i + 1] - at[2 * i - 1]);
    }
    return length > 0 ? fmax(0, 1 - shown / length) : 0;
}

/* From M M^T = U W U^T, M's rows the differences: directions are M^T u / sqrt(w), projections M d =
 * sqrt(w) u. */
enum descent_status principal_plane(const float *const *rows, int count, const float *origin, int64_t size,
                                    const int *paths, int path_count, float *directions,
                                    struct principal *principal)
{
    size_t n = (size_t)count;
    double *gram = malloc((3 * n * n + n) * sizeof *gram);
    if (!gram)
        return descent_fail(DESCENT_OUT_OF_MEMORY, "out of memory");
    double *work = gram + n * n, *u = work + n * n, *w = u + n * n, total = 0;
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j <= i; j++)
            gram[i * n + j] = gram[j * n + i] = dot_of_differences(rows[i], rows[j], origin, size);
        total += gram[i * n + i];
    }
    memcpy(work, gram, n * n * sizeof *gram);
    enum descent_status status = descent_deigh(count, work, w, u);
    if (status == DESCENT_OK && (count < 3 || !(w[n - 2] > 1e-12 * total)))
        status =
            descent_fail(DESCENT_BAD_ARGUMENT, "%d kept points of the weights do not span a plane", count);
    for (size_t axis = 0; axis < 2 && status == DESCENT_OK; axis++) {
        const double *column = u + (n - 1 - axis);
        double root = sqrt(w[n - 1 - axis]);
        float *direction = directions + axis * (size_t)size;
        principal->share[axis] = w[n - 1 - axis] / total;
        for (size_t i = 0; i < n; i++)
            principal->at[2 * i + axis] = root * column[i * n];
        for (int64_t k = 0; k < size; k++) {
            double sum = 0;
            for (size_t i = 0; i < n; i++)
                sum += column[i * n] * ((double)rows[i][k] - (double)origin[k]);
            direction[k] = (float)(sum / root);
        }
    }
    if (status == DESCENT_OK)
        principal->outside = length_outside(gram, count, paths, path_count, principal->at);
    free(gram);
    return status;
}
