/* A stand-in for a network: five tensors of all kinds, large enough for several chunks, and a gradient that
 * pulls each value towards a target with a strength of its own, so that any rule has something to do. It is
 * that of a quadratic, whose Hessian the objective knows. */
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
    struct descent_param *optimized; /* what the optimizer has of it */
    int optimized_count;
    struct optim_objective objective;
    double target[MODEL_SIZE], noise[MODEL_SIZE];
    int known;   /* the noise is that of the gradient before this one */
    bool flat;   /* gradients are 0 */
    int t;       /* the last gradient's */
    double loss; /* there */
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
    struct model *m = calloc(1, sizeof *m);
    assert_non_null(m);
    for (int k = 0; k < MODEL_SIZE; k++) {
        m->value[k] = (descent_real)sin(12.9898 * (k + 1)) + (descent_real)0.01;
        m->target[k] = cos(0.37 * k);
    }
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

static inline double model_strength(int64_t k)
{
    return 0.02 + (double)(k % 50) / 50;
}

/* Of the step after `t` others; noisy, as mini-batches are. */
static inline void model_gradient(struct model *m, int t)
{
    for (int k = 0; k < MODEL_SIZE && m->known != t + 1; k++)
        m->noise[k] = 0.1 * sin(1.3 * t + 0.7 * k);
    m->t = t;
    m->known = t + 1;
    m->loss = 0;
    for (int k = 0; k < MODEL_SIZE; k++) {
        double away = (double)m->value[k] - m->target[k], strength = model_strength(k);
        m->grad[k] = (descent_real)(m->flat ? 0 : strength * away + m->noise[k]);
        m->loss += m->flat ? 0 : strength * away * away / 2 + m->noise[k] * away;
    }
}

static inline enum descent_status model_loss(void *context, double *loss)
{
    *loss = ((struct model *)context)->loss;
    return DESCENT_OK;
}

static inline enum descent_status model_evaluate(void *context, double *loss)
{
    struct model *m = context;
    model_gradient(m, m->t);
    return model_loss(m, loss);
}

static inline enum descent_status model_hessian_vector(void *context, const descent_real *const *v,
                                                       descent_real *const *product)
{
    const struct model *m = context;
    for (int i = 0; i < m->optimized_count; i++) {
        const struct descent_param *param = &m->optimized[i];
        for (int64_t k = 0; k < param->size && param->grad; k++)
            product[i][k] = (descent_real)model_strength(param->value - m->value + k) * v[i][k];
    }
    return DESCENT_OK;
}

/* The gradient of another batch. */
static inline enum descent_status model_sampled_gradient(void *context, double *batch)
{
    struct model *m = context;
    model_gradient(m, m->t + 1);
    *batch = 64;
    return DESCENT_OK;
}

/* The weights are layers without a bias; a layer's factors are diagonal. */
static inline enum descent_status model_layer_factors(void *context, int i, struct optim_layer *layer,
                                                      descent_real *a, descent_real *s)
{
    const struct model *m = context;
    for (int j = 0; j < m->optimized_count; j++) {
        const struct descent_param *param = &m->optimized[j];
        if (param->kind != DESCENT_WEIGHT || param->rank != 2 || i-- > 0)
            continue;
        *layer = (struct optim_layer){j, -1, param->shape[1], param->shape[0]};
        for (int64_t k = 0; a && k < layer->inputs * layer->inputs; k++)
            a[k] = k % (layer->inputs + 1) ? 0 : (descent_real)(1 + m->t);
        for (int64_t k = 0; s && k < layer->outputs * layer->outputs; k++)
            s[k] = k % (layer->outputs + 1) ? 0 : (descent_real)model_strength(k);
        return DESCENT_OK;
    }
    return DESCENT_NOT_FOUND;
}

static inline struct optim *model_optim_of(struct model *m, const char *spec, struct descent_param *params,
                                           int count)
{
    struct optim *optim = optim_new(spec, params, count);
    if (!optim)
        fail_msg("%s: %s", spec, descent_error());
    m->optimized = params;
    m->optimized_count = count;
    m->objective = (struct optim_objective){.context = m,
                                            .loss = model_loss,
                                            .evaluate = model_evaluate,
                                            .hessian_vector = model_hessian_vector,
                                            .gauss_newton_vector = model_hessian_vector,
                                            .sampled_gradient = model_sampled_gradient,
                                            .layer_factors = model_layer_factors};
    optim_set_objective(optim, &m->objective);
    return optim;
}

static inline void assert_error_has(const char *text)
{
    if (!strstr(descent_error(), text))
        fail_msg("'%s' is not in: %s", text, descent_error());
}

static inline struct optim *model_optim(struct model *m, const char *spec)
{
    return model_optim_of(m, spec, m->params, MODEL_TENSORS);
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

/* Whether it evaluates the objective itself: gradients are not those it was called with then. */
static inline bool evaluates(const char *name)
{
    return optim_find(name)->needs & (OPTIM_NEEDS_EVALUATE | OPTIM_NEEDS_SAMPLED_GRADIENT);
}

static inline const char *spec_of(const char *name, const char *options)
{
    static char text[4][300];
    static int next;
    next = (next + 1) % 4;
    snprintf(text[next], sizeof text[next], "%s:%s", name, options);
    return text[next];
}

/* Settings without which a rule cannot arrive in so few steps, and why. */
static const char *const settings[][2] = {
    {"qhm", "beta=0.9"},         /* averages over 1000 steps otherwise */
    {"adadelta", "eps=1e-3"},    /* its steps start from sqrt(eps) lr, and grow slowly */
    {"lars", "coefficient=0.1"}, /* a step is a thousandth of the distance from 0 otherwise */
    {"dadapt_adam", "d0=0.01"},  /* these begin with steps that float hardly sees */
    {"prodigy", "d0=0.01"},       {"dog", "first_step=0.01"}, {"dadapt_sgd", "d0=1,momentum=0.9"},
    {"schedule_free_sgd", "r=3"}, /* the start is a part of 1/t of the average otherwise */
};

/* An algorithm at a learning rate, which is its fallback's too. */
static inline const char *at_rate(const char *name, const char *rate, const char *more)
{
    const char *fallback = optim_find(name)->fallback;
    char text[256];
    snprintf(text, sizeof text, "lr=%s%s", rate, more);
    if (fallback)
        snprintf(text, sizeof text, "lr=%s,%s_lr=%s%s", rate, fallback, rate, more);
    return spec_of(name, text);
}

static inline const char *hurried(const char *name, const char *rate)
{
    char more[60] = "";
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
        if (strcmp(settings[i][0], name) == 0)
            snprintf(more, sizeof more, ",%s", settings[i][1]);
    return at_rate(name, rate, more);
}

/* Gives weights a norm before each step, whatever the learning rate and wherever the minimum. */
static inline bool sets_norm(const char *name)
{
    return strcmp(name, "muon_airbench") == 0;
}

#endif
