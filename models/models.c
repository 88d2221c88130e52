/* Finds models by name in the generated table and builds them from spec strings. */
#include "models/models.h"

#include "table.h" /* models[]: made by meson.build */

#include <stdio.h>
#include <string.h>

enum { BUILT_IN = sizeof models / sizeof models[0], MODELS = BUILT_IN + 32 };

/* Once a model was registered: the built-in ones and the registered ones after them. */
static const struct model *all[MODELS];
static int registered;

const struct model *const *model_list(int *count)
{
    *count = BUILT_IN + registered;
    return registered > 0 ? all : models;
}

static const struct model *find(const char *name)
{
    int count;
    const struct model *const *list = model_list(&count);
    for (int i = 0; i < count; i++)
        if (strcmp(list[i]->name, name) == 0)
            return list[i];
    return NULL;
}

const struct model *model_find(const char *name)
{
    int count;
    const char *known[MODELS];
    const struct model *const *list = model_list(&count), *model = find(name);
    for (int i = 0; i < count; i++)
        known[i] = list[i]->name;
    if (!model)
        descent_fail_unknown("model", name, known, count);
    return model;
}

enum descent_status model_register(const struct model *model)
{
    char what[300];
    if (!model->name)
        return descent_fail(DESCENT_BAD_ARGUMENT, "a model without a name");
    snprintf(what, sizeof what, "model %s", model->name);
    if (find(model->name))
        return descent_fail(DESCENT_EXISTS, "%s is there already", what);
    if (!model->summary || !model->build)
        return descent_fail(DESCENT_BAD_ARGUMENT, "%s has no %s", what,
                            model->summary ? "function .build" : ".summary");
    enum descent_status status = descent_options_check(what, model->options, model->option_count);
    if (status)
        return status;
    if (BUILT_IN + registered == MODELS)
        return descent_fail(DESCENT_BAD_ARGUMENT, "%s: %d models are registered already", what, registered);
    if (registered == 0)
        memcpy(all, models, sizeof models);
    all[BUILT_IN + registered++] = model;
    return DESCENT_OK;
}

/* The model a spec string names, its options read into values[0 .. DESCENT_SPEC_KEYS - 1]. */
static const struct model *read_spec(const struct descent_spec *spec, struct descent_value *values)
{
    const struct descent_spec_part *part = &spec->part[0];
    if (spec->count > 1) {
        descent_fail(DESCENT_BAD_ARGUMENT, "model %s: '+%s' is not known: a model has one part", part->name,
                     spec->part[1].name);
        return NULL;
    }
    const struct model *model = model_find(part->name);
    char what[300];
    snprintf(what, sizeof what, "model %s", part->name);
    if (!model || descent_spec_read(part, what, model->options, model->option_count, values) != DESCENT_OK)
        return NULL;
    return model;
}

nn_node *model_build(const char *text, nn_node *x, int classes)
{
    struct descent_spec spec;
    if (descent_spec_parse(text, &spec) != DESCENT_OK)
        return NULL;
    struct descent_value values[DESCENT_SPEC_KEYS];
    const struct model *model = read_spec(&spec, values);
    nn_node *logits = model ? model->build(x, classes, values) : NULL;
    descent_spec_free(&spec);
    return logits;
}
