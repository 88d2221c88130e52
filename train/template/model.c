/* NAME: a network of one's own.
 *
 *     train --model ./NAME.c --data fashion-mnist --epochs 2
 *     train --model ./NAME.c:128,dropout=0.2
 *     train list models ./NAME.c
 *
 * `train` compiles this file when it has changed. All layers, with their options and defaults, are in
 * nn/nn.h, the manual; options in base/spec.h. */
#include "models/models.h"

/* What may stand after the colon of ./NAME.c:128,dropout=0.2, and how `build` finds it. A bare first value
 * is that of the first row. */
enum { UNITS, DROPOUT, OPTIONS };
static const struct descent_option options[OPTIONS] = {
    [UNITS] = {"units", DESCENT_OPTION_INTEGER, "64", 1, 65536, .help = "units of the hidden layer"},
    [DROPOUT] = {"dropout", DESCENT_OPTION_REAL, "0", 0, 1, .open_max = true,
                 .help = "share of hidden units dropped in training"},
};

/* From pictures x (channels x height x width) to logits, one a class. A shape that does not fit is reported
 * when the network is compiled, so there is nothing to check here. */
static nn_node *build(nn_node *x, int classes, const struct descent_value *values)
{
    x = nn_relu(nn_batch_norm(nn_conv2d(x, 8, .kernel = 3, .padding = 1)));
    x = nn_max_pool2d(x, 2);
    x = nn_relu(nn_dense(nn_flatten(x), (int)values[UNITS].number));
    if (values[DROPOUT].number > 0)
        x = nn_dropout(x, values[DROPOUT].number);
    return nn_dense(x, classes);
}

MODEL_EXPORT = {
    .summary = "a convolution and a hidden layer", /* for train list models ./NAME.c */
    .options = options,
    .option_count = OPTIONS,
    .build = build,
};
