/* The one loop of all element-wise algorithms: clipping, weight decay, the rule and the measured length of
 * the step in a single pass over memory. It is inlined into each algorithm's own loop together with the
 * rule, and vectorized there. */
#ifndef DESCENT_OPTIM_ELEMENTWISE_H
#define DESCENT_OPTIM_ELEMENTWISE_H

#include "optim/algorithm.h"

#include <stddef.h>
#include <tgmath.h> /* sqrt of a descent_real is that of its type */

#define OPTIM_INLINE static inline __attribute__((always_inline))

/* One element: its value x, its gradient g (clipped, with coupled decay), its slots s, which the rule
 * updates. */
struct optim_element {
    descent_real x, g, s[OPTIM_SLOTS];
};

/* Returns the direction d of x <- x - (lr d + shrink x). `k` is tensor->k. To stay vectorized a rule has no
 * branches; it may select. */
typedef descent_real optim_rule(const descent_real *k, struct optim_element *e);

/* The driver's scalars, as the loop computes with them. A copy of its own, so that no store in the loop can
 * change them. */
struct optim_scalars {
    descent_real lr, grad_scale, l2, shrink, k[OPTIM_CONSTANTS];
};

/* The slots of a range of elements, a name each: GCC forgets `restrict` where pointers are kept in an
 * array, or where a function inlined into the loop says it anew, and then checks in every round whether two
 * of them meet. So only what contains the loop says it, and what is inlined there takes ordinary pointers.
 */
#define OPTIM_SLOT_PARAMETERS(restrict)                                                                    \
    descent_real *restrict s0, descent_real *restrict s1, descent_real *restrict s2,                       \
        descent_real *restrict s3, descent_real *restrict s4, descent_real *restrict s5
#define OPTIM_SLOT_ARGUMENTS s0, s1, s2, s3, s4, s5
#define OPTIM_EACH_SLOT(X)   X(0, s0) X(1, s1) X(2, s2) X(3, s3) X(4, s4) X(5, s5)
#define OPTIM_READ(j, slot)                                                                                \
    if (slots > (j))                                                                                       \
        e.s[j] = (slot)[i];
#define OPTIM_WRITE(j, slot)                                                                               \
    if (slots > (j))                                                                                       \
        (slot)[i] = e.s[j];

/* The i-th element: updates it and returns its change. */
OPTIM_INLINE descent_real optim_advance(descent_real *value, const descent_real *grad,
                                        OPTIM_SLOT_PARAMETERS(), int64_t i,
                                        const struct optim_scalars *scalars, int slots, optim_rule *rule)
{
    descent_real old = value[i];
    struct optim_element e = {.x = old, .g = scalars->grad_scale * grad[i] + scalars->l2 * old};
    OPTIM_EACH_SLOT(OPTIM_READ)
    descent_real d = rule(scalars->k, &e);
    OPTIM_EACH_SLOT(OPTIM_WRITE)
    value[i] = old - (scalars->lr * d + scalars->shrink * old);
    return value[i] - old;
}

/* Sums are kept in so many partial sums, which the compiler holds in vectors. A fixed number, for fixed
 * bits. */
enum { OPTIM_LANES = 16 };

/* What a range may add up: squares of gradients and of changes. */
struct optim_squares {
    double gradient, change;
};

/* n elements; sums the squares of their gradients if `look`, and of their changes if `measure` besides,
 * else 0. */
OPTIM_INLINE struct optim_squares optim_range(int64_t n, descent_real *restrict value,
                                              const descent_real *restrict grad,
                                              OPTIM_SLOT_PARAMETERS(restrict),
                                              const struct optim_scalars *scalars, int slots,
                                              optim_rule *rule, bool look, bool measure)
{
    double gradients[OPTIM_LANES] = {0}, changes[OPTIM_LANES] = {0};
    struct optim_squares sum = {0, 0};
    int64_t i = 0;
    if (!look) {
        for (; i < n; i++)
            optim_advance(value, grad, OPTIM_SLOT_ARGUMENTS, i, scalars, slots, rule);
        return sum;
    }
    for (; i + OPTIM_LANES <= n; i += OPTIM_LANES)
        for (int j = 0; j < OPTIM_LANES; j++) {
            double gradient = (double)grad[i + j];
            double change =
                (double)optim_advance(value, grad, OPTIM_SLOT_ARGUMENTS, i + j, scalars, slots, rule);
            gradients[j] += gradient * gradient;
            if (measure)
                changes[j] += change * change;
        }
    for (; i < n; i++) {
        double gradient = (double)grad[i];
        double change = (double)optim_advance(value, grad, OPTIM_SLOT_ARGUMENTS, i, scalars, slots, rule);
        sum.gradient += gradient * gradient;
        sum.change += change * change;
    }
    for (int j = 0; j < OPTIM_LANES; j++) {
        sum.gradient += gradients[j];
        sum.change += changes[j];
    }
    return sum;
}

OPTIM_INLINE struct optim_scalars optim_scalars(const struct optim_tensor *t)
{
    struct optim_scalars scalars = {.lr = (descent_real)t->lr,
                                    .grad_scale = (descent_real)t->grad_scale,
                                    .l2 = (descent_real)t->l2,
                                    .shrink = (descent_real)t->shrink};
    for (int j = 0; j < OPTIM_CONSTANTS; j++)
        scalars.k[j] = t->k[j];
    return scalars;
}

/* Where the first `slots` slots of a part begin. */
OPTIM_INLINE void optim_slots(const struct optim_part *part, int slots, descent_real **s)
{
    for (int j = 0; j < OPTIM_SLOTS; j++)
        s[j] = j < slots ? part->tensor->slot[j] + part->begin : NULL;
}

/* The loop of a rule with `slots` slots; both constants. */
OPTIM_INLINE void optim_elementwise(struct optim_part *part, int slots, optim_rule *rule)
{
    const struct optim_tensor *t = part->tensor;
    struct optim_scalars scalars = optim_scalars(t);
    descent_real *s[OPTIM_SLOTS];
    optim_slots(part, slots, s);
    int64_t n = part->end - part->begin;
    descent_real *value = t->param->value + part->begin;
    const descent_real *grad = t->param->grad + part->begin;
#define RANGE(look, measure)                                                                               \
    optim_range(n, value, grad, s[0], s[1], s[2], s[3], s[4], s[5], &scalars, slots, rule, look, measure)
    struct optim_squares sum = part->measure ? RANGE(true, true)
                               : part->look  ? RANGE(true, false)
                                             : RANGE(false, false);
#undef RANGE
    part->sum = sum.change;
    if (part->look)
        part->gradient = sum.gradient;
}

/* What to add up over elements: terms of one. It may update the slots. `k` is tensor->k. */
typedef void optim_terms(const descent_real *k, struct optim_element *e, double *term);

/* The i-th element's terms, added to lane[0 .. sums - 1][j]. */
OPTIM_INLINE void optim_add_terms(const descent_real *value, const descent_real *grad,
                                  OPTIM_SLOT_PARAMETERS(), int64_t i, const struct optim_scalars *scalars,
                                  int slots, int sums, optim_terms *terms,
                                  double lane[OPTIM_SUMS][OPTIM_LANES], int j)
{
    double term[OPTIM_SUMS];
    struct optim_element e = {.x = value[i], .g = scalars->grad_scale * grad[i] + scalars->l2 * value[i]};
    OPTIM_EACH_SLOT(OPTIM_READ)
    terms(scalars->k, &e, term);
    OPTIM_EACH_SLOT(OPTIM_WRITE)
    for (int l = 0; l < sums; l++)
        lane[l][j] += term[l];
}

/* n elements; their sums, of which there are `sums`, into `sum`. */
OPTIM_INLINE void optim_sum_range(int64_t n, const descent_real *restrict value,
                                  const descent_real *restrict grad, OPTIM_SLOT_PARAMETERS(restrict),
                                  const struct optim_scalars *scalars, int slots, int sums,
                                  optim_terms *terms, double *sum)
{
    double lane[OPTIM_SUMS][OPTIM_LANES] = {{0}};
    int64_t i = 0;
    for (; i + OPTIM_LANES <= n; i += OPTIM_LANES)
        for (int j = 0; j < OPTIM_LANES; j++)
            optim_add_terms(value, grad, OPTIM_SLOT_ARGUMENTS, i + j, scalars, slots, sums, terms, lane, j);
    for (; i < n; i++)
        optim_add_terms(value, grad, OPTIM_SLOT_ARGUMENTS, i, scalars, slots, sums, terms, lane, 0);
    for (int l = 0; l < sums; l++) {
        sum[l] = 0;
        for (int j = 0; j < OPTIM_LANES; j++)
            sum[l] += lane[l][j];
    }
}

/* The loop of a pass over memory that only adds up, into part->sums; the first `slots` slots, constants
 * both. */
OPTIM_INLINE void optim_sum_elements(struct optim_part *part, int slots, int sums, optim_terms *terms)
{
    const struct optim_tensor *t = part->tensor;
    struct optim_scalars scalars = optim_scalars(t);
    descent_real *s[OPTIM_SLOTS];
    optim_slots(part, slots, s);
    optim_sum_range(part->end - part->begin, t->param->value + part->begin, t->param->grad + part->begin,
                    s[0], s[1], s[2], s[3], s[4], s[5], &scalars, slots, sums, terms, part->sums);
}

#endif
