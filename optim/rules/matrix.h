/* What the matrix methods share: base/linalg.h in descent_real's precision, and steps whose direction is
 * known only when a whole tensor has been looked at. */
#ifndef DESCENT_OPTIM_RULES_MATRIX_H
#define DESCENT_OPTIM_RULES_MATRIX_H

#include "base/linalg.h"
#include "optim/elementwise.h"

#include <string.h>

#define matrix_gemm _Generic((descent_real)0, float : descent_sgemm, double : descent_dgemm)
#define matrix_eigh _Generic((descent_real)0, float : descent_seigh, double : descent_deigh)
#define matrix_qr   _Generic((descent_real)0, float : descent_sqr, double : descent_dqr)

#define MATRIX_COUNT(name_, initial_, min_, help_)                                                         \
    {                                                                                                      \
        .name = (name_), .type = DESCENT_OPTION_INTEGER, .initial = (initial_), .min = (min_), .max = 1e6, \
        .help = (help_)                                                                                    \
    }

/* The length of an axis up to which it has a matrix, at most what base/linalg.h decomposes. */
#define MATRIX_MAX_DIM(name_, initial_, min_, help_)                                                       \
    {                                                                                                      \
        .name = (name_), .type = DESCENT_OPTION_INTEGER, .initial = (initial_), .min = (min_),             \
        .max = 1 << 14, .help = (help_)                                                                    \
    }

/* Place in tensor->slot of a step's direction, scratch of the tensor's size. */
enum { MATRIX_DIRECTION = OPTIM_SLOTS - 1 };

OPTIM_INLINE descent_real matrix_direction(const descent_real *k, struct optim_element *e)
{
    (void)k;
    return e->s[0];
}

/* A loop: x <- x - (lr d + shrink x). */
static inline void matrix_step(struct optim_part *part)
{
    const struct optim_tensor *t = part->tensor;
    struct optim_scalars scalars = optim_scalars(t);
    descent_real *value = t->param->value + part->begin, *d = t->slot[MATRIX_DIRECTION] + part->begin;
    const descent_real *grad = t->param->grad + part->begin;
    int64_t n = part->end - part->begin;
#define RANGE(measure)                                                                                     \
    optim_range(n, value, grad, d, NULL, NULL, NULL, NULL, NULL, &scalars, 1, matrix_direction, measure,   \
                measure)
    part->sum = part->measure ? RANGE(true).change : RANGE(false).change;
#undef RANGE
}

/* A weight as a matrix: what makes one output is a row, so a convolution's kernels are out x in h w. A
 * vector is one row. */
static inline int matrix_rows(const struct descent_param *param)
{
    return param->rank > 1 && param->size > 0 ? (int)param->shape[0] : 1;
}

static inline int matrix_columns(const struct descent_param *param)
{
    return (int)(param->size / matrix_rows(param));
}

static inline descent_real *matrix_scratch(struct optim_run *run, int64_t count)
{
    return optim_scratch(run, (size_t)count * sizeof(descent_real));
}

/* State that no step has written yet is 0. */
static inline bool matrix_is_zero(const descent_real *x, int count)
{
    for (int i = 0; i < count; i++)
        if (x[i] != 0)
            return false;
    return true;
}

/* An axis of a tensor that is before x n x after. */
struct matrix_axis {
    int before, n, after;
};

/* All of a tensor; a single number has one axis. Returns their number. */
static inline int matrix_axes(const struct descent_param *param, struct matrix_axis *axis)
{
    int count = param->rank > 0 ? param->rank : 1, before = 1;
    for (int i = 0; i < count; i++) {
        int n = param->rank > 0 ? (int)param->shape[i] : 1;
        axis[i] = (struct matrix_axis){before, n, n > 0 ? (int)(param->size / before / n) : 0};
        before = n > 0 ? before * n : 1;
    }
    return count;
}

/* gram <- keep gram + new sum of x x^T over everything but this axis: n x n. */
static inline void matrix_add_gram(const struct matrix_axis *axis, const descent_real *x, descent_real keep,
                                   descent_real new, descent_real *gram)
{
    int n = axis->n, after = axis->after;
    if (after == 1)
        matrix_gemm(true, false, n, n, axis->before, new, x, n, x, n, keep, gram, n);
    else
        for (int b = 0; b < axis->before; b++, x += (size_t)n * (size_t)after)
            matrix_gemm(false, true, n, n, after, new, x, after, x, after, b ? 1 : keep, gram, n);
}

/* y = x with every vector along this axis multiplied by a (n x n), or by its transpose. */
static inline void matrix_multiply_axis(const struct matrix_axis *axis, bool transpose,
                                        const descent_real *a, const descent_real *x, descent_real *y)
{
    int n = axis->n, after = axis->after;
    size_t slice = (size_t)n * (size_t)after;
    if (after == 1)
        matrix_gemm(false, !transpose, axis->before, n, n, 1, x, n, a, n, 0, y, n);
    else
        for (int b = 0; b < axis->before; b++, x += slice, y += slice)
            matrix_gemm(transpose, false, n, after, n, 1, a, n, x, after, 0, y, after);
}

/* root = (scale gram + eps I)^power, for which there are two n x n matrices and a vector to work with.
 * Eigenvalues that rounding has made negative count as 0. */
static inline enum descent_status matrix_power(int n, const descent_real *gram, double scale, double eps,
                                               double power, descent_real *work, descent_real *root)
{
    size_t size = (size_t)n * (size_t)n;
    descent_real *a = work, *v = work + size, *w = v + size;
    for (size_t i = 0; i < size; i++)
        a[i] = (descent_real)scale * gram[i];
    enum descent_status status = matrix_eigh(n, a, w, v);
    if (status)
        return status;
    for (int j = 0; j < n; j++)
        w[j] = (descent_real)pow(fmax((double)w[j], 0) + eps, power);
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++)
            a[i * n + j] = v[i * n + j] * w[j];
    matrix_gemm(false, true, n, n, n, 1, a, n, v, n, 0, root, n);
    return DESCENT_OK;
}

/* How many numbers matrix_power works with. */
static inline int64_t matrix_power_work(int64_t n)
{
    return (2 * n + 1) * n;
}

/* optim_for_tensors for a visit that decomposes matrices and leaves in tensor->status whether it could.
 * Failures happen on any thread; the message of the first is made here, on the caller's. */
static inline enum descent_status matrix_for_tensors(struct optim_run *run,
                                                     void (*visit)(struct optim_tensor *tensor))
{
    for (int i = 0; i < run->count; i++)
        run->tensor[i]->status = DESCENT_OK;
    optim_for_tensors(run, visit);
    for (int i = 0; i < run->count; i++) {
        const struct optim_tensor *t = run->tensor[i];
        if (t->status)
            return descent_fail(t->status, "the matrices of %s cannot be decomposed in step %lld: %s",
                                t->param->name, (long long)run->step, descent_status_text(t->status));
    }
    return DESCENT_OK;
}

#endif
