/* The problem of the reference vectors (vectors/make_optimizers.py): two tensors of different shapes, whose
 * gradients are given, not computed, so that a rule's whole history shows. */
#ifndef DESCENT_TESTS_OPTIM_PROBLEM_H
#define DESCENT_TESTS_OPTIM_PROBLEM_H

#include "base/file.h"
#include "base/json.h"
#include "optim/optim.h"
#include "tests/test.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TENSORS = 2, A = 6, B = 4, LAST = 50 };

static const bool in_double = sizeof(descent_real) == sizeof(double);

struct problem {
    descent_real a[A], b[B], grad_a[A], grad_b[B];
    struct descent_param params[TENSORS];
    bool curved;  /* the gradient is h value + the given one */
    double batch; /* of sampled gradients */
    int t;        /* of the last gradient */
};

/* Products stand by themselves: within one expression a compiler may fuse product and sum, which moves the
 * last bit of where a trajectory starts. */
static inline void start(struct problem *p)
{
    p->curved = false;
    for (int k = 0; k < A; k++) {
        double product = 0.5 * k;
        p->a[k] = (descent_real)(product - 1.2);
    }
    for (int k = 0; k < B; k++) {
        double product = 0.3 * k;
        p->b[k] = (descent_real)(product - 0.4);
    }
    p->params[0] = (struct descent_param){
        .name = "a", .rank = 2, .shape = {2, 3}, .size = A, .value = p->a, .grad = p->grad_a};
    p->params[1] = (struct descent_param){
        .name = "b", .rank = 1, .shape = {4}, .size = B, .value = p->b, .grad = p->grad_b};
}

/* The Hessian's diagonal where the problem is curved. */
static inline double curvature(int64_t k)
{
    return 1 + 0.5 * (double)k;
}

static inline void set_gradients(struct problem *p, int t)
{
    p->t = t;
    for (int k = 0; k < A; k++) {
        double given = sin(1.7 * t + 0.9 * k) * (1 + 0.5 * k);
        p->grad_a[k] = (descent_real)(given + (p->curved ? curvature(k) * (double)p->a[k] : 0));
    }
    for (int k = 0; k < B; k++) {
        double given = cos(1.3 * t + 0.7 * k);
        p->grad_b[k] = (descent_real)(given + (p->curved ? curvature(k) * (double)p->b[k] : 0));
    }
}

/* What the vectors give besides gradients: a loss that belongs to none of them. */
static inline enum descent_status given_loss(void *context, double *loss)
{
    *loss = 2 + sin(0.9 * ((const struct problem *)context)->t);
    return DESCENT_OK;
}

static inline enum descent_status given_evaluate(void *context, double *loss)
{
    struct problem *p = context;
    set_gradients(p, p->t);
    return given_loss(p, loss);
}

static inline enum descent_status given_hessian_vector(void *context, const descent_real *const *v,
                                                       descent_real *const *product)
{
    const struct problem *p = context;
    for (int i = 0; i < TENSORS; i++)
        for (int64_t k = 0; k < p->params[i].size; k++)
            product[i][k] = (descent_real)(p->curved ? curvature(k) : 0) * v[i][k];
    return DESCENT_OK;
}

static inline enum descent_status given_sampled_gradient(void *context, double *batch)
{
    struct problem *p = context;
    set_gradients(p, p->t);
    *batch = p->batch;
    return DESCENT_OK;
}

/* The largest, over the first `count` tensors, of ||values - expected|| / ||expected - start||; of the part
 * that is more than `allowed` times ||expected||. */
static inline double error(const struct problem *p, const struct descent_json *expected, int count,
                           double allowed)
{
    struct problem origin;
    double worst = 0;
    start(&origin);
    assert_int_equal(descent_json_count(expected), count);
    for (int i = 0; i < count; i++) {
        const struct descent_json *values = descent_json_at(expected, i);
        double off = 0, moved = 0, size = 0;
        assert_int_equal(descent_json_count(values), p->params[i].size);
        for (int k = 0; k < p->params[i].size; k++) {
            double x;
            assert_true(descent_json_as_number(descent_json_at(values, k), &x));
            off += pow((double)p->params[i].value[k] - x, 2);
            moved += pow((double)origin.params[i].value[k] - x, 2);
            size += x * x;
        }
        assert_true(isfinite(off));
        if (off == 0)
            continue; /* where nothing should move, as some rules only look at first, any move is inf */
        worst = fmax(worst, (sqrt(off) - allowed * sqrt(size)) / sqrt(moved));
    }
    return worst;
}

static inline struct descent_json *read_vectors(const char *path)
{
    char *text;
    size_t size;
    assert_int_equal(descent_file_read(path, 1 << 20, &text, &size), DESCENT_OK);
    struct descent_json *json = descent_json_parse(path, text, size);
    free(text);
    if (!json)
        fail_msg("%s", descent_error());
    return json;
}

/* Of a row's "values" or another such member, those after t steps; or NULL. */
static inline const struct descent_json *values_after(const struct descent_json *row, const char *member,
                                                      int t)
{
    char key[16];
    snprintf(key, sizeof key, "%d", t);
    return descent_json_get(descent_json_get(row, member), key);
}

#endif
