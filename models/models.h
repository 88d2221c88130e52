/* The zoo: networks by name, written only with nn/nn.h. One file a family. */
#ifndef DESCENT_MODELS_MODELS_H
#define DESCENT_MODELS_MODELS_H

#include "base/spec.h"
#include "nn/nn.h"

struct model {
    const char *name, *summary, *paper;
    const struct descent_option *options;
    int option_count;
    /* Builds the network on x and returns logits, `classes` x 1 x 1 (or as many predictions, where the
     * loss is one of numbers). values: one for each option. */
    nn_node *(*build)(nn_node *x, int classes, const struct descent_value *values);
};

/* All models, least computation first. */
const struct model *const *model_list(int *count);

/* NULL if there is none of that name; the message suggests the nearest. */
const struct model *model_find(const char *name);

/* Builds the network a spec string names, "mlp:256/128" or "resnet20:shortcut=projection". NULL on a bad
 * spec (see descent_error); a shape that does not fit poisons the node, as always in nn. */
nn_node *model_build(const char *spec, nn_node *x, int classes);

#endif
