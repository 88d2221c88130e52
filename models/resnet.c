/* resnet20 to resnet110: the residual networks for small pictures (28x28, 32x32) of He, Zhang, Ren & Sun,
 * "Deep residual learning for image recognition", CVPR 2016, section 4.2; not the ImageNet ones. Depth 6n +
 * 2: three stages of n blocks with 16, 32 and 64 channels; and the plain ones they are compared with there.
 * Convolutions are initialized as there, by He's normal rule; parameters are named as in torchvision. */
#include "models/models.h"

enum { SHORTCUT, WIDTH, OPTIONS };
enum { IDENTITY, PROJECTION, NONE };
static const struct descent_option options[OPTIONS] = {
    [SHORTCUT] = {"shortcut", DESCENT_OPTION_CHOICE, "identity", .choices = "identity|projection|none",
                  .help = "where the shape changes: subsampling and zero channels (A), or 1x1 convolution "
                          "(B); none: the plain network of that depth, nothing is added anywhere"},
    [WIDTH] = {"width", DESCENT_OPTION_REAL, "1", 1.0 / 16, 16,
               .help = "multiplies the 16, 32 and 64 channels of the stages"},
};

static nn_node *conv_norm(nn_node *x, int filters, int kernel, int stride, const char *conv,
                          const char *norm)
{
    x = nn_conv2d(x, filters, .kernel = kernel, .stride = stride, .padding = kernel / 2, .no_bias = true,
                  .init = "kaiming-normal", .name = conv);
    return nn_batch_norm(x, .name = norm);
}

/* x itself where shapes agree. Option A adds the missing channels half before and half after, as zeros. */
static nn_node *shortcut(nn_node *x, int filters, int stride, int kind, const char *name)
{
    int missing = filters - nn_shape_of(x).channels;
    if (stride == 1 && missing == 0)
        return x;
    if (kind == PROJECTION)
        return conv_norm(x, filters, 1, stride, nn_name(x, "%s.downsample.0", name),
                         nn_name(x, "%s.downsample.1", name));
    if (stride > 1)
        x = nn_max_pool2d(x, 1, .stride = stride);
    return nn_pad_channels(x, missing / 2, missing - missing / 2);
}

static nn_node *block(nn_node *x, int filters, int stride, int kind, const char *name)
{
    nn_node *y = conv_norm(x, filters, 3, stride, nn_name(x, "%s.conv1", name), nn_name(x, "%s.bn1", name));
    y = conv_norm(nn_relu(y), filters, 3, 1, nn_name(x, "%s.conv2", name), nn_name(x, "%s.bn2", name));
    return nn_relu(kind == NONE ? y : nn_add(y, shortcut(x, filters, stride, kind, name)));
}

static nn_node *resnet(nn_node *x, int classes, const struct descent_value *values, int depth)
{
    int blocks = (depth - 2) / 6;
    int kind = (int)values[SHORTCUT].number;
    int filters = (int)(16 * values[WIDTH].number);

    x = nn_relu(conv_norm(x, filters, 3, 1, "conv1", "bn1"));
    for (int stage = 1; stage <= 3; stage++, filters *= 2)
        for (int i = 0; i < blocks; i++)
            x = block(x, filters, stage > 1 && i == 0 ? 2 : 1, kind, nn_name(x, "layer%d.%d", stage, i));
    return nn_dense(nn_global_avg_pool(x), classes, .name = "fc");
}

#define RESNET(depth)                                                                                      \
    static nn_node *build##depth(nn_node *x, int classes, const struct descent_value *values)              \
    {                                                                                                      \
        return resnet(x, classes, values, depth);                                                          \
    }                                                                                                      \
    const struct model model_resnet##depth = {                                                             \
        .name = "resnet" #depth,                                                                           \
        .summary = "residual network of " #depth " layers for 28x28 and 32x32 pictures",                   \
        .paper =                                                                                           \
            "He, Zhang, Ren & Sun, Deep residual learning for image recognition, CVPR 2016, section 4.2",  \
        .options = options,                                                                                \
        .option_count = OPTIONS,                                                                           \
        .build = build##depth,                                                                             \
    };

RESNET(20)
RESNET(32)
RESNET(44)
RESNET(56)
RESNET(110)
