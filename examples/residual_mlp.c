/* A multilayer perceptron with residual blocks, for `train`:
 *
 *     train --model ./residual_mlp.c:blocks=4,dropout=0.1
 *
 * x + dense(relu(norm(x))), as in He et al., "Identity mappings in deep residual networks", ECCV 2016. */
#include "models/models.h"

enum { UNITS, BLOCKS, DROPOUT, OPTIONS };
static const struct descent_option options[OPTIONS] = {
    [UNITS] = {"units", DESCENT_OPTION_INTEGER, "128", 1, 65536, .help = "width of every block"},
    [BLOCKS] = {"blocks", DESCENT_OPTION_INTEGER, "3", 0, 1000, .help = "how many"},
    [DROPOUT] = {"dropout", DESCENT_OPTION_REAL, "0", 0, 1, .open_max = true, .help = "in each block"},
};

static nn_node *block(nn_node *x, const struct descent_value *values, int number)
{
    nn_node *y = nn_relu(nn_layer_norm(x, .name = nn_name(x, "block%d.norm", number)));
    if (values[DROPOUT].number > 0)
        y = nn_dropout(y, values[DROPOUT].number);
    y = nn_dense(y, (int)values[UNITS].number, .name = nn_name(x, "block%d.fc", number));
    return nn_add(x, y);
}

static nn_node *build(nn_node *x, int classes, const struct descent_value *values)
{
    x = nn_dense(nn_flatten(x), (int)values[UNITS].number, .name = "stem");
    for (int i = 1; i <= (int)values[BLOCKS].number; i++)
        x = block(x, values, i);
    return nn_dense(nn_layer_norm(x, .name = "norm"), classes, .name = "head");
}

MODEL_EXPORT = {
    .summary = "a multilayer perceptron with residual blocks",
    .paper = "He, Zhang, Ren & Sun, Identity mappings in deep residual networks, ECCV 2016",
    .options = options,
    .option_count = OPTIONS,
    .build = build,
};
