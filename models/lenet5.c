/* lenet5: two convolutions and three dense layers, in today's form: ReLU, max pooling and a linear output
 * instead of the original's scaled tanh, trainable subsampling and radial basis functions. LeCun, Bottou,
 * Bengio & Haffner, "Gradient-based learning applied to document recognition", Proc. IEEE 86, 1998. */
#include "models/models.h"

static nn_node *build(nn_node *x, int classes, const struct descent_value *values)
{
    (void)values;
    x = nn_relu(nn_conv2d(x, 6, .kernel = 5, .padding = 2, .name = "conv1"));
    x = nn_max_pool2d(x, 2);
    x = nn_relu(nn_conv2d(x, 16, .kernel = 5, .name = "conv2"));
    x = nn_max_pool2d(x, 2);
    x = nn_relu(nn_dense(nn_flatten(x), 120, .name = "fc1"));
    x = nn_relu(nn_dense(x, 84, .name = "fc2"));
    return nn_dense(x, classes, .name = "fc3");
}

const struct model model_lenet5 = {
    .name = "lenet5",
    .summary = "the classic convolutional network: two convolutions, three dense layers",
    .paper =
        "LeCun, Bottou, Bengio & Haffner, Gradient-based learning applied to document recognition, 1998",
    .build = build,
};
