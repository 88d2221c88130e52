/* 2c2d and 3c3d: the convolutional networks of DeepOBS, the benchmark suite for optimizers, with its
 * initialization. Schneider, Balles & Hennig, "DeepOBS: a deep learning optimizer benchmark suite", ICLR
 * 2019. Without its weight decay: that is an optimizer's option here.
 *
 * Padding. DeepOBS speaks TensorFlow: 'valid' is none, 'same' of a convolution half the kernel. Its 3x3
 * pooling of stride 2 with 'same' makes ceil(n/2) of n, as padding by 1 does here; but where n is even,
 * TensorFlow's last window hangs over the end of the picture, and here the first over its beginning. On
 * 32x32 pictures all three n are even, so this 3c3d is the original for pictures and kernels turned by 180
 * degrees. */
#include "models/models.h"

enum { WIDTH, OPTIONS };
#define PAPER "Schneider, Balles & Hennig, DeepOBS: a deep learning optimizer benchmark suite, ICLR 2019"

/* ---- 2c2d ---- */

static const struct descent_option options_2c2d[OPTIONS] = {
    [WIDTH] = {"width", DESCENT_OPTION_REAL, "1", 1.0 / 32, 32,
               .help = "multiplies the 32 and 64 channels and the 1024 units of the layers"},
};

#define INIT_2C2D .init = "truncated-normal:std=0.05", .bias_init = "constant:0.05"

static nn_node *stage_2c2d(nn_node *x, int filters, const char *name)
{
    x = nn_relu(nn_conv2d(x, filters, .kernel = 5, .padding = 2, INIT_2C2D, .name = name));
    return nn_max_pool2d(x, 2);
}

static nn_node *build_2c2d(nn_node *x, int classes, const struct descent_value *values)
{
    double width = values[WIDTH].number;
    x = stage_2c2d(x, (int)(32 * width), "conv1");
    x = stage_2c2d(x, (int)(64 * width), "conv2");
    x = nn_relu(nn_dense(nn_flatten(x), (int)(1024 * width), INIT_2C2D, .name = "fc1"));
    return nn_dense(x, classes, INIT_2C2D, .name = "fc2");
}

const struct model model_2c2d = {
    .name = "2c2d",
    .summary = "DeepOBS's network for 28x28 pictures: two convolutions, two dense layers",
    .paper = PAPER,
    .options = options_2c2d,
    .option_count = OPTIONS,
    .build = build_2c2d,
};

/* ---- 3c3d ---- */

static const struct descent_option options_3c3d[OPTIONS] = {
    [WIDTH] = {"width", DESCENT_OPTION_REAL, "1", 1.0 / 32, 32,
               .help = "multiplies the 64, 96 and 128 channels and the 512 and 256 units of the layers"},
};

static nn_node *stage_3c3d(nn_node *x, int filters, int kernel, int padding, const char *name)
{
    x = nn_conv2d(x, filters, .kernel = kernel, .padding = padding, .init = "xavier-normal",
                  .bias_init = "zeros", .name = name);
    return nn_max_pool2d(nn_relu(x), 3, .stride = 2, .padding = 1);
}

static nn_node *dense_3c3d(nn_node *x, int units, const char *name)
{
    return nn_dense(x, units, .init = "xavier-uniform", .bias_init = "zeros", .name = name);
}

static nn_node *build_3c3d(nn_node *x, int classes, const struct descent_value *values)
{
    double width = values[WIDTH].number;
    x = stage_3c3d(x, (int)(64 * width), 5, 0, "conv1");
    x = stage_3c3d(x, (int)(96 * width), 3, 0, "conv2");
    x = stage_3c3d(x, (int)(128 * width), 3, 1, "conv3");
    x = nn_relu(dense_3c3d(nn_flatten(x), (int)(512 * width), "fc1"));
    x = nn_relu(dense_3c3d(x, (int)(256 * width), "fc2"));
    return dense_3c3d(x, classes, "fc3");
}

const struct model model_3c3d = {
    .name = "3c3d",
    .summary = "DeepOBS's network for 32x32 pictures: three convolutions, three dense layers",
    .paper = PAPER,
    .options = options_3c3d,
    .option_count = OPTIONS,
    .build = build_3c3d,
};
