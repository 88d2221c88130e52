/* cnn: a small modern convolutional network: twice convolution - batch norm - ReLU - pooling, then a dense
 * layer. Ioffe & Szegedy, "Batch normalization: accelerating deep network training by reducing internal
 * covariate shift", ICML 2015. */
#include "models/models.h"

enum { WIDTH, DROPOUT, OPTIONS };
static const struct descent_option options[OPTIONS] = {
    [WIDTH] = {"width", DESCENT_OPTION_REAL, "1", 1.0 / 32, 32,
               .help = "multiplies the 32, 64 and 128 channels of the layers"},
    [DROPOUT] = {"dropout", DESCENT_OPTION_REAL, "0", 0, 1, .open_max = true,
                 .help = "dropout before the last layer"},
};

/* 3x3 convolution - batch norm - ReLU - 2x2 pooling. The convolution's bias stays, as a plain stack of
 * PyTorch layers has it. */
static nn_node *stage(nn_node *x, int number, int filters)
{
    x = nn_conv2d(x, filters, .padding = 1, .name = nn_name(x, "conv%d", number));
    x = nn_relu(nn_batch_norm(x, .name = nn_name(x, "bn%d", number)));
    return nn_max_pool2d(x, 2);
}

static nn_node *build(nn_node *x, int classes, const struct descent_value *values)
{
    double width = values[WIDTH].number;
    x = stage(x, 1, (int)(32 * width));
    x = stage(x, 2, (int)(64 * width));
    x = nn_relu(nn_dense(nn_flatten(x), (int)(128 * width), .name = "fc1"));
    if (values[DROPOUT].number > 0)
        x = nn_dropout(x, values[DROPOUT].number);
    return nn_dense(x, classes, .name = "fc2");
}

const struct model model_cnn = {
    .name = "cnn",
    .summary = "two convolutions with batch norm, one hidden dense layer",
    .paper = "Ioffe & Szegedy, Batch normalization: accelerating deep network training, ICML 2015",
    .options = options,
    .option_count = OPTIONS,
    .build = build,
};
