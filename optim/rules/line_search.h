/* Line searches: a step length t along a direction d at which f(x + t d) is low enough, by the strong Wolfe
 * conditions with cubic interpolation, as PyTorch's L-BFGS and Schmidt's minFunc do it, or by Armijo's
 * alone with backtracking. Nocedal & Wright, Numerical Optimization, ch. 3. */
#ifndef DESCENT_OPTIM_RULES_LINE_SEARCH_H
#define DESCENT_OPTIM_RULES_LINE_SEARCH_H

#include "optim/rules/whole.h"

/* A point x + t d: loss, slope <gradient, d>, and where its gradient is kept. */
struct line_point {
    double t, loss, slope;
    descent_real **grad;
};

/* What is searched. The gradient at x stays in `origin.grad`; `room` are two vectors for those of others.
 */
struct line {
    struct whole *whole;
    whole_vector x, d;
    struct line_point origin;
    whole_vector room[2];
    double decrease;  /* c1: f must fall by this share of what the slope promises */
    double curvature; /* c2: the slope must fall to this share of the first one */
    double least;     /* a bracket whose ends lie closer than this in every element is given up */
    int most;         /* evaluations */
    int evaluations;  /* so far */
};

static inline bool line_low_enough(const struct line *line, const struct line_point *p)
{
    return p->loss <= line->origin.loss + line->decrease * p->t * line->origin.slope;
}

static inline bool line_flat_enough(const struct line *line, const struct line_point *p)
{
    return fabs(p->slope) <= -line->curvature * line->origin.slope;
}

/* Goes there; the gradient is that of the tensors. */
static inline enum descent_status line_try(struct line *line, double t, struct line_point *p)
{
    struct whole *w = line->whole;
    *p = (struct line_point){.t = t, .grad = w->grad};
    whole_move(w, line->x, t, line->d);
    enum descent_status status = whole_evaluate(w, &p->loss);
    line->evaluations++;
    if (!status)
        p->slope = whole_dot(w, w->grad, line->d);
    return status;
}

/* Keeps the gradient of a point while others are tried, in the room that `other` does not use. */
static inline void line_keep(struct line *line, struct line_point *p, const struct line_point *other)
{
    whole_vector room = line->room[other->grad == line->room[0]];
    if (p->grad == line->whole->grad)
        whole_set(line->whole, p->grad = room, 1, line->whole->grad);
}

/* Where the cubic through two points, with their slopes, is least, within [low, high]; their middle where
 * there is no such cubic. */
static inline double line_cubic(const struct line_point *a, const struct line_point *b, double low,
                                double high)
{
    const struct line_point *left = a->t <= b->t ? a : b, *right = a->t <= b->t ? b : a;
    double d1 = a->slope + b->slope - 3 * (a->loss - b->loss) / (a->t - b->t);
    double square = d1 * d1 - a->slope * b->slope;
    if (!(square >= 0))
        return (low + high) / 2;
    double d2 = sqrt(square);
    double t = right->t -
               (right->t - left->t) * ((right->slope + d2 - d1) / (right->slope - left->slope + 2 * d2));
    return isfinite(t) ? fmin(fmax(t, low), high) : (low + high) / 2;
}

/* Steps outwards until two neighbors enclose a minimum, or the second is one. */
static inline enum descent_status line_bracket(struct line *line, double t, struct line_point *before,
                                               struct line_point *p, bool *done)
{
    *before = line->origin;
    enum descent_status status = line_try(line, t, p);
    for (int i = 0; !status; i++) {
        if (i == line->most) { /* too far: all the way from the origin */
            *before = line->origin;
            return DESCENT_OK;
        }
        if (!line_low_enough(line, p) || (i > 1 && p->loss >= before->loss))
            return DESCENT_OK;
        *done = line_flat_enough(line, p);
        if (*done || p->slope >= 0)
            return DESCENT_OK;
        double next = line_cubic(before, p, p->t + 0.01 * (p->t - before->t), p->t * 10);
        line_keep(line, p, &line->origin);
        *before = *p;
        status = line_try(line, next, p);
    }
    return status;
}

/* A next point inside the bracket: the cubic's, but a tenth of the width away from the ends when the last
 * one was that close to them already. */
static inline double line_inside(const struct line_point *a, const struct line_point *b, bool *close)
{
    double low = fmin(a->t, b->t), high = fmax(a->t, b->t), margin = 0.1 * (high - low);
    double t = line_cubic(a, b, low, high);
    if (!(fmin(high - t, t - low) < margin)) {
        *close = false;
    } else if (*close || t >= high || t <= low) {
        t = fabs(t - high) < fabs(t - low) ? high - margin : low + margin;
        *close = false;
    } else {
        *close = true;
    }
    return t;
}

/* Searches from step length t; the origin has a negative slope. At the end values, gradients and *found are
 * those of the best point; where no step helps, the origin's. */
static inline enum descent_status line_strong_wolfe(struct line *line, double t, struct line_point *found)
{
    struct whole *w = line->whole;
    struct line_point end[2], p; /* of the bracket */
    bool done = false, close = false;
    double size = whole_largest(w, line->d);
    enum descent_status status = line_bracket(line, t, &end[0], &end[1], &done);
    int low = !done && end[0].loss <= end[1].loss ? 0 : 1;
    while (!status && !done && line->evaluations < line->most + 1 &&
           !(fabs(end[1].t - end[0].t) * size < line->least)) {
        line_keep(line, &end[1], &end[0]);
        status = line_try(line, line_inside(&end[0], &end[1], &close), &p);
        if (status)
            break;
        if (!line_low_enough(line, &p) || p.loss >= end[low].loss) {
            line_keep(line, &p, &end[low]);
            end[1 - low] = p;
            low = end[0].loss <= end[1].loss ? 0 : 1;
            continue;
        }
        done = line_flat_enough(line, &p);
        if (!done && p.slope * (end[1 - low].t - end[low].t) >= 0)
            end[1 - low] = end[low];
        if (!done)
            line_keep(line, &p, &end[1 - low]);
        end[low] = p;
    }
    if (status)
        return status;
    *found = end[low];
    if (found->grad != w->grad)
        whole_set(w, w->grad, 1, found->grad);
    found->grad = w->grad;
    whole_move(w, line->x, found->t, line->d);
    return DESCENT_OK;
}

/* Tries t, factor t, factor^2 t, ... until the loss is low enough; where none of `most` lengths is, *found
 * is the origin, whose values are put back. */
static inline enum descent_status line_backtrack(struct line *line, double t, double factor,
                                                 struct line_point *found)
{
    for (; line->evaluations < line->most; t *= factor) {
        enum descent_status status = line_try(line, t, found);
        if (status || line_low_enough(line, found))
            return status;
    }
    *found = line->origin;
    whole_move(line->whole, line->x, 0, line->d);
    return DESCENT_OK;
}

#endif
