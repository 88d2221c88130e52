/* A stand-in for a network: five tensors of all kinds, large enough for several chunks, and a gradient that
 * pulls each value towards a target with a strength of its own, so that any rule has something to do. */
#ifndef DESCENT_TESTS_OPTIM_MODEL_H
#define DESCENT_TESTS_OPTIM_MODEL_H

#include "optim/optim.h"
#include "tests/test.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MODEL_TENSORS = 5, MODEL_SIZE = 231 * 260 + 37 + 40 * 33 + 5 + 7 };

struct model {
    descent_real value[MODEL_SIZE], grad[MODEL_SIZE];
    struct descent_param params[MODEL_TENSORS];
};

static inline struct model *model_new(void)
{
    static const struct descent_param shapes[MODEL_TENSORS] = {
        {.name = "conv1.weight", .kind = DESCENT_WEIGHT, .rank = 2, .shape = {231, 260}, .size = 231 * 260},
        {.name = "conv1.bias", .kind = DESCENT_BIAS, .rank = 1, .shape = {37}, .size = 37},
        {.name = "dense.weight", .kind = DESCENT_WEIGHT, .rank = 2, .shape = {40, 33}, .size = 40 * 33},
        {.name = "norm.weight", .kind = DESCENT_NORM, .rank = 1, .shape = {5}, .size = 5},
        {.name = "norm.running_mean", .kind = DESCENT_BUFFER, .rank = 1, .shape = {7}, .size = 7},
    };
    struct model *m = malloc(sizeof *m);
    assert_non_null(m);
    for (int k = 0; k < MODEL_SIZE; k++)
        m->value[k] = (descent_real)sin(12.9898 * (k + 1)) + (descent_real)0.01;
    int64_t at = 0;
    for (int i = 0; i < MODEL_TENSORS; i++) {
        m->params[i] = shapes[i];
        m->params[i].value = m->value + at;
        m->params[i].grad = shapes[i].kind == DESCENT_BUFFER ? NULL : m->grad + at;
        at += shapes[i].size;
    }
    assert_int_equal(at, MODEL_SIZE);
    return m;
}

/* Of the step after `t` others; noisy, as mini-batches are. */
static inline void model_gradient(struct model *m, int t)
{
    for (int k = 0; k < MODEL_SIZE; k++) {
        double target = cos(0.37 * k), strength = 0.02 + (k % 50) / 50.0,
               noise = 0.1 * sin(1.3 * t + 0.7 * k);
        m->grad[k] = (descent_real)(strength * ((double)m->value[k] - target) + noise);
    }
}

static inline struct optim *model_optim(struct model *m, const char *spec)
{
    struct optim *optim = optim_new(spec, m->params, MODEL_TENSORS);
    if (!optim)
        fail_msg("%s: %s", spec, descent_error());
    return optim;
}

static inline void model_steps(struct model *m, struct optim *optim, int steps)
{
    for (int i = 0; i < steps; i++) {
        model_gradient(m, (int)optim_steps(optim));
        assert_int_equal(optim_step(optim), DESCENT_OK);
    }
}

static inline void assert_same_values(const struct model *a, const struct model *b)
{
    assert_memory_equal(a->value, b->value, sizeof a->value);
}

/* The model after `steps` of a new optimizer. */
static inline struct model *model_trained(const char *spec, int steps)
{
    struct model *m = model_new();
    struct optim *optim = model_optim(m, spec);
    model_steps(m, optim, steps);
    optim_free(optim);
    return m;
}

/* For each registered algorithm: its name. */
#define FOR_EACH_ALGORITHM(name)                                                                           \
    for (int i_ = 0, count_; i_ < (optim_algorithms(&count_), count_); i_++)                               \
        for (const char *name = optim_algorithms(&count_)[i_]->name; name; name = NULL)

static inline const char *spec_of(const char *name, const char *options)
{
    static char text[4][300];
    static int next;
    next = (next + 1) % 4;
    snprintf(text[next], sizeof text[next], "%s:%s", name, options);
    return text[next];
}

#endif
