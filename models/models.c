/* Finds models by name in the generated table and builds them from spec strings. */
#include "models/models.h"

#include "table.h" /* models[]: made by meson.build */

#include <stdio.h>
#include <string.h>

enum { MODELS = sizeof models / sizeof models[0] };

const struct model *const *model_list(int *count)
{
    *count = MODELS;
    return models;
}

const struct model *model_find(const char *name)
{
    const char *known[MODELS];
    for (int i = 0; i < MODELS; i++) {
        if (strcmp(models[i]->name, name) == 0)
            return models[i];
        known[i] = models[i]->name;
    }
    descent_fail_unknown("model", name, known, MODELS);
    return NULL;
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
    char what[64];
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
