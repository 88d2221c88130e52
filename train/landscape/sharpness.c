/* See sharpness.h. */
#include "train/landscape/sharpness.h"

#include "base/linalg.h"
#include "base/memory.h"
#include "base/random.h"
#include "train/vector.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 60 };

struct search {
    const struct optim_objective *objective;
    const struct descent_param *param;
    int count;
    int64_t size;                /* numbers of all parameters with a gradient */
    struct descent_arena *arena; /* of the vectors */
    float *basis[MOST + 1];      /* orthonormal */
    float **in, **out;           /* a pointer for each parameter */
    double projected[MOST][MOST];
};

static void scale(float *v, double factor, int64_t size)
{
    for (int64_t k = 0; k < size; k++)
        v[k] = (float)(factor * (double)v[k]);
}

static enum descent_status multiply(struct search *s, float *v, float *product)
{
    int64_t at = 0;
    for (int i = 0; i < s->count; i++) {
        bool free = s->param[i].grad != NULL;
        s->in[i] = free ? v + at : NULL;
        s->out[i] = free ? product + at : NULL;
        at += free ? s->param[i].size : 0;
    }
    return s->objective->hessian_vector(s->objective->context, (const float *const *)s->in, s->out);
}

/* The next vector of the basis from H times the last one, less what the others have of it (twice, for
 * rounding), and the row of the projected Hessian. *rest: the length of what was left. */
static enum descent_status extend(struct search *s, int j, double *rest)
{
    float *next = descent_arena_alloc(s->arena, (size_t)s->size * sizeof *next);
    if (!next)
        return descent_fail(DESCENT_OUT_OF_MEMORY, "out of memory");
    enum descent_status status = multiply(s, s->basis[j], next);
    for (int round = 0; round < 2 && status == DESCENT_OK; round++)
        for (int i = 0; i <= j; i++) {
            double part = vector_dot(s->basis[i], next, s->size);
            for (int64_t k = 0; k < s->size; k++)
                next[k] -= (float)(part * (double)s->basis[i][k]);
            s->projected[i][j] += part;
        }
    *rest = sqrt(vector_dot(next, next, s->size));
    if (status == DESCENT_OK && !isfinite(*rest))
        status = descent_fail(DESCENT_DIVERGED, "the Hessian is not finite");
    if (*rest > 0)
        scale(next, 1 / *rest, s->size);
    s->basis[j + 1] = next;
    return status;
}

/* Ritz values of the first n vectors. Differences of gradients are not quite symmetric: what is above the
 * diagonal counts. */
static enum descent_status solve(const struct search *s, int n, double rest, struct sharpness *sharpness)
{
    double a[MOST * MOST], w[MOST], v[MOST * MOST];
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++)
            a[i * n + j] = s->projected[i < j ? i : j][i < j ? j : i];
    enum descent_status status = descent_deigh(n, a, w, v);
    if (status != DESCENT_OK)
        return status;
    sharpness->largest = w[n - 1];
    sharpness->smallest = w[0];
    sharpness->error = w[n - 1] != 0 ? fabs(rest * v[(n - 1) * n + n - 1] / w[n - 1]) : rest;
    return DESCENT_OK;
}

static enum descent_status begin(struct search *s)
{
    struct descent_random random = descent_random_new(1, DESCENT_RANDOM_DIRECTION, 0);
    s->basis[0] = descent_arena_alloc(s->arena, (size_t)s->size * sizeof(float));
    s->in = descent_arena_alloc(s->arena, (size_t)s->count * sizeof *s->in);
    s->out = descent_arena_alloc(s->arena, (size_t)s->count * sizeof *s->out);
    if (!s->basis[0] || !s->in || !s->out)
        return descent_fail(DESCENT_OUT_OF_MEMORY, "out of memory");
    for (int64_t k = 0; k < s->size; k++)
        s->basis[0][k] = (float)descent_random_normal(&random);
    scale(s->basis[0], 1 / sqrt(vector_dot(s->basis[0], s->basis[0], s->size)), s->size);
    return DESCENT_OK;
}

enum descent_status sharpness_find(const struct optim_objective *objective,
                                   const struct descent_param *param, int count, double tolerance,
                                   struct sharpness *sharpness)
{
    struct search *s = calloc(1, sizeof *s);
    double rest = 0;
    *sharpness = (struct sharpness){0};
    if (!s || !(s->arena = descent_arena_new())) {
        free(s);
        return descent_fail(DESCENT_OUT_OF_MEMORY, "out of memory");
    }
    s->objective = objective;
    s->param = param;
    s->count = count;
    for (int i = 0; i < count; i++)
        s->size += param[i].grad ? param[i].size : 0;
    int64_t most = s->size < MOST ? s->size : MOST;
    enum descent_status status = begin(s);
    for (int j = 0; j < most && status == DESCENT_OK; j++) {
        status = extend(s, j, &rest);
        if (status == DESCENT_OK)
            status = solve(s, j + 1, rest, sharpness);
        sharpness->products = j + 1;
        if (sharpness->error <= tolerance)
            break;
    }
    descent_arena_free(s->arena);
    free(s);
    return status;
}
