/* The model as one point: vectors over all of its tensors, sums and products of them, and the objective
 * with weight decay as a part of it, for algorithms that evaluate it at points of their own choice. What
 * belongs to one element goes through elementwise.h instead. Gradients are not clipped here: a clipped one
 * belongs to no function, and a line search would look for its minimum. */
#ifndef DESCENT_OPTIM_RULES_WHOLE_H
#define DESCENT_OPTIM_RULES_WHOLE_H

#include "optim/elementwise.h"

/* An array for each tensor, by tensor->index, as the objective takes them. */
typedef descent_real **whole_vector;

/* An algorithm's own begins with this; it is every tensor's `own`. */
struct whole {
    struct optim_run *run;
    int length;               /* of vectors */
    whole_vector value, grad; /* the tensors' own */
    whole_vector start;       /* the values when the step began */
    /* Of the pass that is running. */
    whole_vector to;
    descent_real *const *x, *const *y;
    descent_real a, b;
};

/* Weight decay is a part of the objective: f + weight_decay / 2 |x|^2. */
#define WHOLE_DECAY_ROWS OPTIM_WEIGHT_DECAY("0", 0, 0), OPTIM_DECAY_ALL

static inline struct whole *whole_of(const struct optim_part *part)
{
    return part->tensor->own;
}

/* --- For `init`. --- */

/* A vector that is kept as state under `name`, or with NULL is scratch. NULL when out of memory. */
static inline whole_vector whole_new_vector(struct whole *w, const char *name)
{
    whole_vector v = optim_scratch(w->run, (size_t)w->length * sizeof *v);
    for (int i = 0; v && i < w->run->count; i++) {
        struct optim_tensor *t = w->run->tensor[i];
        const struct descent_param *param = t->param;
        descent_real **to = &v[t->index];
        *to = name ? optim_state(w->run, t, name, OPTIM_REAL, param->rank, param->shape)
                   : optim_scratch(w->run, (size_t)param->size * sizeof **to);
        if (!*to)
            return NULL;
    }
    return v;
}

/* An algorithm's own, of `size` bytes; NULL when out of memory. */
static inline void *whole_new(struct optim_run *run, size_t size)
{
    struct whole *w = optim_scratch(run, size);
    if (!w)
        return NULL;
    w->run = run;
    for (int i = 0; i < run->count; i++) {
        run->tensor[i]->own = w;
        if (w->length <= run->tensor[i]->index)
            w->length = run->tensor[i]->index + 1;
    }
    w->value = optim_scratch(run, (size_t)w->length * sizeof *w->value);
    w->grad = optim_scratch(run, (size_t)w->length * sizeof *w->grad);
    w->start = whole_new_vector(w, NULL);
    return w->value && w->grad && w->start ? w : NULL;
}

/* --- Passes over memory. Restrict holds: no two operands of a pass are the same. --- */

OPTIM_INLINE void whole_set_range(int64_t n, descent_real *restrict to, descent_real a,
                                  const descent_real *restrict x)
{
    for (int64_t i = 0; i < n; i++)
        to[i] = a * x[i];
}

OPTIM_INLINE void whole_scale_range(int64_t n, descent_real *restrict to, descent_real a)
{
    for (int64_t i = 0; i < n; i++)
        to[i] *= a;
}

OPTIM_INLINE void whole_blend_range(int64_t n, descent_real *restrict to, descent_real a, descent_real b,
                                    const descent_real *restrict x)
{
    for (int64_t i = 0; i < n; i++)
        to[i] = a * to[i] + b * x[i];
}

OPTIM_INLINE void whole_sum_range(int64_t n, descent_real *restrict to, const descent_real *restrict x,
                                  descent_real b, const descent_real *restrict y)
{
    for (int64_t i = 0; i < n; i++)
        to[i] = x[i] + b * y[i];
}

static inline void whole_set_loop(struct optim_part *part)
{
    const struct whole *w = whole_of(part);
    int i = part->tensor->index;
    whole_set_range(part->end - part->begin, w->to[i] + part->begin, w->a, w->x[i] + part->begin);
}

static inline void whole_scale_loop(struct optim_part *part)
{
    const struct whole *w = whole_of(part);
    whole_scale_range(part->end - part->begin, w->to[part->tensor->index] + part->begin, w->a);
}

static inline void whole_blend_loop(struct optim_part *part)
{
    const struct whole *w = whole_of(part);
    int i = part->tensor->index;
    whole_blend_range(part->end - part->begin, w->to[i] + part->begin, w->a, w->b, w->x[i] + part->begin);
}

static inline void whole_sum_loop(struct optim_part *part)
{
    const struct whole *w = whole_of(part);
    int i = part->tensor->index;
    whole_sum_range(part->end - part->begin, w->to[i] + part->begin, w->x[i] + part->begin, w->b,
                    w->y[i] + part->begin);
}

/* to = a x */
static inline void whole_set(struct whole *w, whole_vector to, double a, descent_real *const *x)
{
    w->to = to, w->x = x, w->a = (descent_real)a;
    optim_for_parts(w->run, whole_set_loop);
}

/* to = a to */
static inline void whole_scale(struct whole *w, whole_vector to, double a)
{
    w->to = to, w->a = (descent_real)a;
    optim_for_parts(w->run, whole_scale_loop);
}

/* to = a to + b x */
static inline void whole_blend(struct whole *w, whole_vector to, double a, double b, descent_real *const *x)
{
    w->to = to, w->x = x, w->a = (descent_real)a, w->b = (descent_real)b;
    optim_for_parts(w->run, whole_blend_loop);
}

/* to = x + b y */
static inline void whole_sum(struct whole *w, whole_vector to, descent_real *const *x, double b,
                             descent_real *const *y)
{
    w->to = to, w->x = x, w->y = y, w->b = (descent_real)b;
    optim_for_parts(w->run, whole_sum_loop);
}

/* What the passes that add up left, over all tensors. */
static inline double whole_total(const struct whole *w, int which)
{
    double sum = 0;
    for (int i = 0; i < w->run->count; i++)
        sum += w->run->tensor[i]->sums[which];
    return sum;
}

/* Into part->sums: <x, y> and |x|_1. Products in double, in lanes, in a fixed order. */
static inline void whole_dot_loop(struct optim_part *part)
{
    const struct whole *w = whole_of(part);
    const descent_real *x = w->x[part->tensor->index], *y = w->y[part->tensor->index];
    double dot[OPTIM_LANES] = {0}, size[OPTIM_LANES] = {0};
    int64_t i = part->begin;
    for (; i + OPTIM_LANES <= part->end; i += OPTIM_LANES)
        for (int j = 0; j < OPTIM_LANES; j++) {
            dot[j] += (double)x[i + j] * (double)y[i + j];
            size[j] += fabs((double)x[i + j]);
        }
    for (int j = 0; i < part->end; i++, j++) {
        dot[j] += (double)x[i] * (double)y[i];
        size[j] += fabs((double)x[i]);
    }
    part->sums[0] = part->sums[1] = 0;
    for (int j = 0; j < OPTIM_LANES; j++) {
        part->sums[0] += dot[j];
        part->sums[1] += size[j];
    }
}

static inline double whole_dot(struct whole *w, descent_real *const *x, descent_real *const *y)
{
    w->x = x, w->y = y;
    optim_add_up(w->run, whole_dot_loop);
    return whole_total(w, 0);
}

/* |x|_1 */
static inline double whole_norm1(struct whole *w, descent_real *const *x)
{
    whole_dot(w, x, x);
    return whole_total(w, 1);
}

static inline void whole_largest_visit(struct optim_tensor *t)
{
    const struct whole *w = t->own;
    const descent_real *x = w->x[t->index];
    descent_real largest = 0;
    for (int64_t i = 0; i < t->param->size; i++)
        largest = fabs(x[i]) > largest ? fabs(x[i]) : largest;
    t->sums[0] = (double)largest;
}

/* max |x_i| */
static inline double whole_largest(struct whole *w, descent_real *const *x)
{
    double largest = 0;
    w->x = x;
    optim_for_tensors(w->run, whole_largest_visit);
    for (int i = 0; i < w->run->count; i++)
        largest = fmax(largest, w->run->tensor[i]->sums[0]);
    return largest;
}

/* --- The objective. --- */

/* Adds weight decay to the gradients; the sum is |x|^2. */
static inline void whole_decay_loop(struct optim_part *part)
{
    const struct optim_tensor *t = part->tensor;
    const descent_real *x = t->param->value;
    descent_real *g = t->param->grad, l2 = (descent_real)t->l2;
    part->sums[0] = 0;
    for (int64_t i = part->begin; i < part->end && t->l2 > 0; i++) {
        g[i] += l2 * x[i];
        part->sums[0] += (double)x[i] * (double)x[i];
    }
}

static inline double whole_add_decay(struct whole *w)
{
    double sum = 0;
    optim_add_up(w->run, whole_decay_loop);
    for (int i = 0; i < w->run->count; i++)
        sum += w->run->tensor[i]->l2 / 2 * w->run->tensor[i]->sums[0];
    return sum;
}

/* At the beginning of a step: where it starts, the loss there, and gradients with weight decay. */
static inline enum descent_status whole_begin(struct whole *w, struct optim_run *run, double *loss)
{
    w->run = run;
    for (int i = 0; i < run->count; i++) {
        w->value[run->tensor[i]->index] = run->tensor[i]->param->value;
        w->grad[run->tensor[i]->index] = run->tensor[i]->param->grad;
    }
    enum descent_status status = run->objective->loss(run->objective->context, loss);
    if (status)
        return status;
    whole_set(w, w->start, 1, w->value);
    *loss += whole_add_decay(w);
    return DESCENT_OK;
}

/* Loss and gradients at the current values. A point where either is not finite has the loss INFINITY. */
static inline enum descent_status whole_evaluate(struct whole *w, double *loss)
{
    enum descent_status status = optim_evaluate(w->run, loss);
    if (status)
        return status;
    *loss += whole_add_decay(w);
    if (!isfinite(*loss) || !isfinite(whole_dot(w, w->grad, w->grad)))
        *loss = INFINITY;
    return DESCENT_OK;
}

/* values = x + b d */
static inline void whole_move(struct whole *w, descent_real *const *x, double b, descent_real *const *d)
{
    whole_sum(w, w->value, x, b, d);
}

static inline void whole_length_loop(struct optim_part *part)
{
    const struct whole *w = whole_of(part);
    const descent_real *x = part->tensor->param->value, *start = w->start[part->tensor->index];
    part->sum = 0;
    for (int64_t i = part->begin; i < part->end && part->measure; i++) {
        double change = (double)x[i] - (double)start[i];
        part->sum += change * change;
    }
}

/* At the end of a step: what its length is, or back to where it began. */
static inline enum descent_status whole_end(struct whole *w, enum descent_status status)
{
    if (status) {
        whole_set(w, w->value, 1, w->start);
        for (int i = 0; i < w->run->count; i++)
            w->run->tensor[i]->param->version++;
        return status;
    }
    optim_for_parts(w->run, whole_length_loop);
    return DESCENT_OK;
}

/* The hyperparameters of the whole model, those of its first tensor where groups differ. */
static inline const struct descent_value *whole_hyper(const struct whole *w)
{
    return w->run->tensor[0]->hyper;
}

static inline double whole_lr(const struct whole *w)
{
    return w->run->tensor[0]->lr;
}

#endif
