/* Who steps which parameter with which hyperparameters: the levels of an optimizer (the spec's algorithm,
 * those of parameter groups and fallbacks, the wrappers) and the groups of its parameters. */
#include "optim/internal.h"

#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

enum { LR = 0 }; /* the first of every algorithm's options */

static int find_option(const struct optim_algorithm *algorithm, const char *name)
{
    for (int i = 0; i < algorithm->option_count; i++)
        if (strcmp(algorithm->options[i].name, name) == 0)
            return i;
    return -1;
}

/* --- Levels. --- */

static struct optim_level *new_level(struct optim *optim, const struct optim_algorithm *algorithm)
{
    size_t parts = (size_t)optim->count + DESCENT_MAX_CHUNKS;
    struct optim_level *level = descent_arena_alloc(optim->arena, sizeof *level);
    if (!level)
        return NULL;
    *level = (struct optim_level){.optim = optim, .algorithm = algorithm};
    level->weight_decay = find_option(algorithm, "weight_decay");
    level->decay_all = find_option(algorithm, "decay_all");
    level->momentum = find_option(algorithm, "momentum");
    if (level->momentum < 0)
        level->momentum = find_option(algorithm, "beta1");
    level->tensor = descent_arena_alloc(optim->arena, (size_t)optim->count * sizeof *level->tensor);
    level->run.tensor = descent_arena_alloc(optim->arena, (size_t)optim->count * sizeof *level->run.tensor);
    level->part = descent_arena_alloc(optim->arena, parts * sizeof *level->part);
    return level->tensor && level->run.tensor && level->part ? level : NULL;
}

/* The level of an algorithm, made if it is the first of its name. */
static struct optim_level *level_of(struct optim *optim, const struct optim_algorithm *algorithm)
{
    struct optim_level **end = &optim->base;
    for (; *end; end = &(*end)->next)
        if (strcmp((*end)->algorithm->name, algorithm->name) == 0)
            return *end;
    if (algorithm->option_count < 1 || strcmp(algorithm->options[LR].name, "lr") != 0) {
        descent_fail(DESCENT_BAD_ARGUMENT, "the first hyperparameter of optimizer %s is not lr",
                     algorithm->name);
        return NULL;
    }
    return *end = new_level(optim, algorithm);
}

/* --- Groups. --- */

static struct optim_group *new_group(struct optim *optim, struct optim_level *level)
{
    size_t bytes = ((size_t)level->algorithm->option_count + 1) * sizeof(struct descent_value);
    struct optim_group *group = descent_arena_alloc(optim->arena, sizeof *group);
    if (!group)
        return NULL;
    *group = (struct optim_group){.level = level,
                                  .hyper = descent_arena_alloc(optim->arena, bytes),
                                  .live = descent_arena_alloc(optim->arena, bytes),
                                  .next = optim->groups};
    return group->hyper && group->live ? group : NULL;
}

static enum descent_status check_group(const struct optim_group *group, const char *what)
{
    const struct optim_algorithm *algorithm = group->level->algorithm;
    memcpy(group->live, group->hyper, (size_t)algorithm->option_count * sizeof *group->live);
    if (algorithm->check && algorithm->check(group->hyper))
        return descent_fail_in(DESCENT_BAD_ARGUMENT, "%s", what);
    return DESCENT_OK;
}

/* What the fallback of `group` is told: its defaults, but for what the group says of it and of weight
 * decay. */
static enum descent_status add_fallback(struct optim *optim, struct optim_group *group)
{
    const struct optim_algorithm *algorithm = group->level->algorithm;
    if (!algorithm->fallback)
        return DESCENT_OK;
    const struct optim_algorithm *other = optim_find(algorithm->fallback);
    struct optim_level *level = other ? level_of(optim, other) : NULL;
    struct optim_group *fallback = level ? new_group(optim, level) : NULL;
    if (!fallback)
        return DESCENT_BAD_ARGUMENT;
    const struct descent_spec_part defaults = {.name = other->name};
    enum descent_status status =
        descent_spec_read(&defaults, other->name, other->options, other->option_count, fallback->hyper);
    if (status)
        return status;
    for (int i = 0; i < other->option_count; i++) {
        char name[80];
        snprintf(name, sizeof name, "%s_%s", other->name, other->options[i].name);
        int own = find_option(algorithm, name);
        if (own < 0 && (i == level->weight_decay || i == level->decay_all))
            own = find_option(algorithm, other->options[i].name);
        if (own >= 0)
            fallback->hyper[i] = group->hyper[own];
    }
    fallback->is_fallback = fallback->own_rate = true;
    group->fallback = fallback;
    return check_group(fallback, other->name);
}

/* The hyperparameters in `part`, checked; `base`, if not NULL, instead of the defaults. NULL on failure. */
static struct optim_group *read_group(struct optim *optim, struct optim_level *level,
                                      const struct descent_spec_part *part,
                                      const struct descent_value *base)
{
    const struct optim_algorithm *algorithm = level->algorithm;
    char what[300];
    snprintf(what, sizeof what, "%s %s", algorithm->wraps ? "wrapper" : "optimizer", algorithm->name);
    struct optim_group *group = new_group(optim, level);
    if (!group || descent_spec_read(part, what, algorithm->options, algorithm->option_count, group->hyper))
        return NULL;
    for (int i = 0; base && i < algorithm->option_count; i++)
        if (!group->hyper[i].given) {
            group->hyper[i] = base[i];
            group->hyper[i].given = false;
        }
    if (check_group(group, what) || add_fallback(optim, group))
        return NULL;
    return group;
}

static bool matches(const struct optim_owned *owned, const char *pattern)
{
    return !pattern || fnmatch(pattern, owned->param->name, 0) == 0;
}

/* A learning rate that steps nothing: all go to the fallback, which has one of its own. */
static enum descent_status check_rate(const struct optim *optim, const struct optim_group *group,
                                      const char *pattern)
{
    int members = 0, taken = 0;
    if (!group->fallback || !group->hyper[LR].given)
        return DESCENT_OK;
    for (int i = 0; i < optim->count; i++)
        if (matches(&optim->owned[i], pattern)) {
            members++;
            taken += group->level->algorithm->takes(optim->owned[i].param);
        }
    if (members == 0 || taken > 0)
        return DESCENT_OK;
    const char *name = group->fallback->level->algorithm->name;
    return descent_fail(DESCENT_BAD_ARGUMENT,
                        "lr is without effect: %s hands all of these to %s, whose learning rate is %s_lr",
                        group->level->algorithm->name, name, name);
}

/* Gives `group`, NULL for none, to the parameters that match, all with pattern NULL; returns how many. */
static int join(struct optim *optim, struct optim_group *group, const char *pattern)
{
    int joined = 0;
    for (int i = 0; i < optim->count; i++) {
        struct optim_owned *owned = &optim->owned[i];
        if (!matches(owned, pattern))
            continue;
        owned->group = group;
        if (group && group->fallback && !group->level->algorithm->takes(owned->param))
            owned->group = group->fallback;
        joined++;
    }
    if (group && joined > 0) {
        if (group->fallback) {
            group->fallback->next = optim->groups;
            optim->groups = group->fallback;
        }
        group->next = optim->groups;
        optim->groups = group;
    }
    return joined;
}

/* Tells each level its tensors. */
static void arrange(struct optim *optim)
{
    FOR_EACH_LEVEL (level, optim->base)
        level->count = 0;
    FOR_EACH_LEVEL (level, optim->wrapper)
        level->count = 0;
    for (int i = 0; i < optim->count; i++) {
        const struct optim_owned *owned = &optim->owned[i];
        if (!owned->group)
            continue;
        struct optim_level *own = owned->group->level;
        struct optim_tensor tensor = {.param = owned->param,
                                      .index = owned->index,
                                      .group = owned->group,
                                      .hyper = owned->group->live,
                                      .lr_scale = owned->lr_scale};
        own->tensor[own->count] = tensor;
        tensor.inner = &own->tensor[own->count++];
        tensor.grad_scale = 1;
        FOR_EACH_LEVEL (level, optim->wrapper) {
            tensor.hyper = level->group->live;
            level->tensor[level->count++] = tensor;
        }
    }
}

/* --- The whole. --- */

/* The parameters that have a gradient. */
static enum descent_status adopt(struct optim *optim, const char *name, struct descent_param *params,
                                 int count)
{
    int own = 0;
    for (int i = 0; i < count; i++)
        own += params[i].grad != NULL;
    if (own == 0)
        return descent_fail(DESCENT_BAD_ARGUMENT, "optimizer %s: none of %d parameters has a gradient",
                            name, count);
    optim->owned = descent_arena_alloc(optim->arena, (size_t)own * sizeof *optim->owned);
    if (!optim->owned)
        return DESCENT_OUT_OF_MEMORY;
    for (int i = 0; i < count; i++)
        if (params[i].grad)
            optim->owned[optim->count++] =
                (struct optim_owned){.param = &params[i], .index = i, .lr_scale = 1};
    return optim_declare_missed(optim, name, optim->owned[own - 1].index + 1);
}

static const char *reason_against(const struct optim_algorithm *wrapper,
                                  const struct optim_algorithm *inner)
{
    if (wrapper->outermost && inner->needs)
        return "which asks more of a batch than its gradient, and only the last batch is there to answer; "
               "`train` has --micro-batch";
    if (inner->wraps)
        return NULL;
    if (wrapper->evaluation && inner->evaluation)
        return "which has weights of its own to evaluate with";
    return wrapper->refuses ? wrapper->refuses(inner) : NULL;
}

static enum descent_status check_around(const struct optim_algorithm *wrapper,
                                        const struct optim_algorithm *inner)
{
    const char *reason = reason_against(wrapper, inner);
    if (!reason)
        return DESCENT_OK;
    return descent_fail(DESCENT_BAD_ARGUMENT, "wrapper %s cannot be around %s, %s", wrapper->name,
                        inner->name, reason);
}

/* A wrapper around those already there. */
static enum descent_status wrap(struct optim *optim, const struct descent_spec_part *part)
{
    enum descent_status status = DESCENT_OK;
    const struct optim_algorithm *wrapper = optim_find_wrapper(part->name);
    if (!wrapper)
        return DESCENT_BAD_ARGUMENT;
    FOR_EACH_LEVEL (level, optim->wrapper)
        if (level->algorithm == wrapper)
            return descent_fail(DESCENT_BAD_ARGUMENT, "optimizer %s is wrapped in %s twice",
                                optim->base->algorithm->name, wrapper->name);
    if (optim->wrapper && optim->wrapper->algorithm->outermost)
        return descent_fail(DESCENT_BAD_ARGUMENT, "wrapper %s must be the last; '%s' follows it",
                            optim->wrapper->algorithm->name, wrapper->name);
    FOR_EACH_LEVEL (inner, optim->base)
        status = status ? status : check_around(wrapper, inner->algorithm);
    FOR_EACH_LEVEL (inner, optim->wrapper)
        status = status ? status : check_around(wrapper, inner->algorithm);
    if (status)
        return status;
    struct optim_level *level = new_level(optim, wrapper);
    if (!level)
        return DESCENT_OUT_OF_MEMORY;
    level->group = read_group(optim, level, part, NULL);
    level->next = optim->wrapper;
    optim->wrapper = level;
    return level->group ? DESCENT_OK : DESCENT_BAD_ARGUMENT;
}

enum descent_status optim_assign(struct optim *optim, const struct optim_algorithm *algorithm,
                                 const struct descent_spec *spec, struct descent_param *params, int count)
{
    enum descent_status status = adopt(optim, algorithm->name, params, count);
    if (status)
        return status;
    struct optim_level *level = level_of(optim, algorithm);
    if (!level)
        return DESCENT_BAD_ARGUMENT;
    optim->base_group = read_group(optim, level, &spec->part[0], NULL);
    if (!optim->base_group)
        return DESCENT_BAD_ARGUMENT;
    for (int i = 1; i < spec->count && !status; i++)
        status = wrap(optim, &spec->part[i]);
    if (status)
        return status;
    join(optim, optim->base_group, NULL);
    arrange(optim);
    return optim_declare_state(optim);
}

static enum descent_status check_early(const struct optim *optim, const char *what)
{
    if (optim->base->run.step == 0)
        return DESCENT_OK;
    return descent_fail(DESCENT_BAD_ARGUMENT, "%s comes after step %lld; it must come before the first",
                        what, (long long)optim->base->run.step);
}

/* "sgd:lr=0.1" and "sgd" name an algorithm, "lr=0.1" and "centered" only hyperparameters. */
static bool names_algorithm(const char *overrides)
{
    if (descent_is_path(overrides))
        return true;
    char name[64];
    size_t length = strcspn(overrides, ":=,+");
    if (overrides[length] == '=' || overrides[length] == ',' || length >= sizeof name)
        return false;
    memcpy(name, overrides, length);
    name[length] = 0;
    int count;
    const struct optim_algorithm *const *all = optim_algorithms(&count);
    for (int i = 0; i < count; i++)
        if (strcmp(all[i]->name, name) == 0)
            return true;
    return overrides[length] == ':';
}

static enum descent_status check_inside(const struct optim *optim, const struct optim_algorithm *algorithm)
{
    enum descent_status status = DESCENT_OK;
    FOR_EACH_LEVEL (wrapper, optim->wrapper)
        status = status ? status : check_around(wrapper->algorithm, algorithm);
    return status;
}

/* The group that `overrides` describes; NULL on failure. */
static struct optim_group *read_overrides(struct optim *optim, const char *overrides)
{
    struct descent_spec spec;
    const struct optim_algorithm *algorithm = optim->base->algorithm;
    bool other = names_algorithm(overrides);
    const char *text =
        other ? overrides : descent_arena_format(optim->arena, "%s:%s", algorithm->name, overrides);
    if (!text || descent_spec_parse(text, &spec))
        return NULL;
    struct optim_group *group = NULL;
    if (spec.count > 1)
        descent_fail(DESCENT_BAD_ARGUMENT, "'%s' wraps the whole optimizer, not a group",
                     spec.part[1].name);
    else if (!other)
        group = read_group(optim, optim->base, &spec.part[0], optim->base_group->hyper);
    else if ((algorithm = optim_find(spec.part[0].name)) != NULL && !check_inside(optim, algorithm)) {
        struct optim_level *level = level_of(optim, algorithm);
        group = level ? read_group(optim, level, &spec.part[0], NULL) : NULL;
    }
    descent_spec_free(&spec);
    if (group)
        group->own_rate = other || group->hyper[LR].given;
    return group;
}

enum descent_status optim_group(struct optim *optim, const char *pattern, const char *overrides)
{
    enum descent_status status = check_early(optim, "a parameter group");
    struct optim_group *group = NULL;
    bool freeze = strcmp(overrides, "freeze") == 0;
    if (!status && !freeze) {
        group = read_overrides(optim, overrides);
        status = group ? check_rate(optim, group, pattern) : DESCENT_BAD_ARGUMENT;
    }
    if (status)
        return descent_fail_in(status, "parameter group '%s'", pattern);
    if (join(optim, group, pattern) == 0)
        return descent_fail(DESCENT_BAD_ARGUMENT,
                            "parameter group '%s' matches no parameter that has a gradient", pattern);
    arrange(optim);
    return optim_declare_state(optim);
}

/* Whether two names are of the same layer: the same up to their last dots. */
static bool same_layer(const char *a, const char *b)
{
    const char *dot = strrchr(a, '.');
    size_t length = dot ? (size_t)(dot - a) : strlen(a);
    return strncmp(a, b, length) == 0 && (dot ? strrchr(b, '.') == b + length : b[length] == 0);
}

enum descent_status optim_layer_decay(struct optim *optim, double factor)
{
    if (!(factor > 0 && factor <= 1))
        return descent_fail(DESCENT_BAD_ARGUMENT, "layer decay %g; expected a number in (0, 1]", factor);
    enum descent_status status = check_early(optim, "layer decay");
    double scale = 1;
    for (int i = optim->count - 1; i >= 0 && !status; i--) {
        if (i < optim->count - 1 &&
            !same_layer(optim->owned[i].param->name, optim->owned[i + 1].param->name))
            scale *= factor;
        optim->owned[i].lr_scale = scale;
    }
    if (status)
        return status;
    arrange(optim);
    return optim_declare_state(optim);
}
