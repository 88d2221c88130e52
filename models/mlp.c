/* mlp: a multilayer perceptron, dense layers with ReLU between them; the picture is flattened first.
 * Rumelhart, Hinton & Williams, "Learning representations by back-propagating errors", Nature 323, 1986. */
#include "models/models.h"

enum { UNITS, DROPOUT, OPTIONS };
static const struct descent_option options[OPTIONS] = {
    [UNITS] = {"units", DESCENT_OPTION_INTEGER_LIST, "256/128", 1, 65536,
               .help = "units of each hidden layer"},
    [DROPOUT] = {"dropout", DESCENT_OPTION_REAL, "0", 0, 1, .open_max = true,
                 .help = "dropout after each hidden layer"},
};

static nn_node *build(nn_node *x, int classes, const struct descent_value *values)
{
    const struct descent_value *units = &values[UNITS];
    x = nn_flatten(x);
    for (int i = 0; i < units->count; i++) {
        x = nn_relu(nn_dense(x, (int)units->list[i], .name = nn_name(x, "fc%d", i + 1)));
        if (values[DROPOUT].number > 0)
            x = nn_dropout(x, values[DROPOUT].number);
    }
    return nn_dense(x, classes, .name = nn_name(x, "fc%d", units->count + 1));
}

const struct model model_mlp = {
    .name = "mlp",
    .summary = "dense layers with ReLU",
    .paper =
        "Rumelhart, Hinton & Williams, Learning representations by back-propagating errors, Nature 1986",
    .options = options,
    .option_count = OPTIONS,
    .build = build,
};
