/* The zoo: networks by name, written only with nn/nn.h. One file a family. */
#ifndef DESCENT_MODELS_MODELS_H
#define DESCENT_MODELS_MODELS_H

#include "base/interface.h"
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

/* All models, least computation first, then those registered. */
const struct model *const *model_list(int *count);

/* Adds a model, which must outlive its use; while no other thread looks for one. DESCENT_BAD_ARGUMENT names
 * what is missing or wrong in it, DESCENT_EXISTS a name that is taken. */
enum descent_status model_register(const struct model *model);

/* A model in a C file of one's own, at its end (no `name`: it is called by its path):
 *
 *     MODEL_EXPORT = {.summary = "...", .options = options, .option_count = OPTIONS, .build = build};
 *
 * `train --model ./mynet.c:width=2` compiles and loads it; `train new model mynet` writes one to begin
 * with.
 */
#define MODEL_EXPORT                                                                                       \
    DESCENT_EXPORT_INTERFACE(model_export_interface);                                                      \
    extern const struct model model_export;                                                                \
    const struct model model_export

/* NULL if there is none of that name; the message suggests the nearest. */
const struct model *model_find(const char *name);

/* Builds the network a spec string names, "mlp:256/128" or "resnet20:shortcut=projection". NULL on a bad
 * spec (see descent_error); a shape that does not fit poisons the node, as always in nn. */
nn_node *model_build(const char *spec, nn_node *x, int classes);

#endif
