/* nn: define a network in C, compile it, run it forward and backward.
 *
 *     nn_graph *graph = nn_graph_new(1);                      // seed of the initial weights
 *     nn_node *x = nn_input(graph, 1, 28, 28);                // channels, height, width
 *     nn_node *h = nn_max_pool2d(nn_relu(nn_conv2d(x, 6, .kernel = 5, .padding = 2)), 2);
 *     nn_node *logits = nn_dense(nn_flatten(h), 10);
 *     nn_node *labels = nn_labels(graph, 10);
 *     nn_node *loss = nn_softmax_cross_entropy(logits, labels);
 *     nn_plan *plan = nn_compile(graph, .output = logits, .loss = loss, .batch = 64, .training = true);
 *     nn_feed(plan, x, images), nn_feed(plan, labels, classes);
 *     nn_forward(plan, 64), nn_backward(plan, .clear = true); // then nn_loss(plan) and nn_params(graph)
 *
 * CONVENTIONS
 * - Shapes are those of one sample, channels x height x width as in PyTorch; a vector of n features is
 *   n x 1 x 1. The batch is not part of a shape. In memory activations are float32, batch x height x width
 * x channels (NHWC); so is what nn_feed takes.
 * - Parameters keep PyTorch's layouts: convolution out x in/groups x height x width, dense out x in,
 * flatten in CHW order.
 * - A layer is a macro over a struct of options: nn_conv2d(x, 6, .kernel = 5). Positional arguments come
 *   first, the rest are named, and an option left out means its default. Each layer's default
 * initialization is PyTorch's.
 * - Builders never fail loudly and never return NULL: a bad shape poisons the node and whatever is built on
 *   it, and the graph keeps the first message, which nn_compile reports.
 * - A graph owns its nodes and parameters; plans share them and must be freed before the graph. Not
 *   thread-safe: one thread at a time works on a graph and its plans. */
#ifndef DESCENT_NN_NN_H
#define DESCENT_NN_NN_H

#include "base/param.h"
#include "base/pool.h"
#include "base/safetensors.h"
#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct nn_graph nn_graph;
typedef struct nn_node nn_node;
typedef struct nn_plan nn_plan;

struct nn_shape { /* of one sample */
    int channels, height, width;
};

enum { NN_MAX_INPUTS = 8 }; /* of one node */

/* ---- The graph ---- */

/* An empty graph; `seed` fixes initial weights and dropout masks. NULL when out of memory. */
nn_graph *nn_graph_new(uint64_t seed);
void nn_graph_free(nn_graph *graph);

/* An image or, with height and width 1, a vector, fed by nn_feed. */
nn_node *nn_input(nn_graph *graph, int channels, int height, int width);

/* Class indices 0 .. classes-1, one int32 a sample, fed by nn_feed. */
nn_node *nn_labels(nn_graph *graph, int classes);

struct nn_shape nn_shape_of(const nn_node *node);

/* A name made printf-style, kept as long as the graph: nn_conv2d(x, 16, .name = nn_name(x, "block%d.conv",
 * i)). */
const char *nn_name(const nn_node *any, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- Layers ---- */

/* Makes a node of the operator called `name` from its options struct, which begins with its inputs; what
 * all the macros below call. */
nn_node *nn_build(const char *name, const void *options);

/* y = x W^T + b. x: a vector; W: units x features; b: units. */
struct nn_dense_options {
    nn_node *x;
    int units;
    bool no_bias;
    const char *init, *bias_init; /* initializers, see nn_initializer; default: PyTorch's nn.Linear */
    nn_node *share;               /* use the parameters of this other dense layer */
    const char *name;
};
#define nn_dense(...) nn_build("dense", &(struct nn_dense_options){.x = __VA_ARGS__})

/* Cross-correlation, torch.nn.Conv2d. W: filters x channels/groups x kernel x kernel. groups = channels
 * makes it depthwise. */
struct nn_conv2d_options {
    nn_node *x;
    int filters;
    int kernel; /* default 3 */
    int stride; /* default 1 */
    int padding;
    int dilation; /* default 1 */
    int groups;   /* default 1 */
    bool no_bias;
    const char *init, *bias_init; /* default: PyTorch's nn.Conv2d */
    nn_node *share;               /* use the parameters of this other conv2d layer */
    const char *name;
};
#define nn_conv2d(...) nn_build("conv2d", &(struct nn_conv2d_options){.x = __VA_ARGS__})

/* Maximum and average over kernel x kernel windows; only whole windows count (ceil_mode off). Padding, at
 * most kernel/2, never wins a maximum; the average counts it as zeros unless .exclude_padding (PyTorch's
 * count_include_pad). */
struct nn_pool2d_options {
    nn_node *x;
    int kernel;
    int stride; /* default: kernel */
    int padding;
    bool exclude_padding; /* average only */
    const char *name;
};
#define nn_max_pool2d(...) nn_build("max_pool2d", &(struct nn_pool2d_options){.x = __VA_ARGS__})
#define nn_avg_pool2d(...) nn_build("avg_pool2d", &(struct nn_pool2d_options){.x = __VA_ARGS__})

/* Mean over height and width: a vector of channels. */
struct nn_plain_options {
    nn_node *x;
    const char *name;
};
#define nn_global_avg_pool(...) nn_build("global_avg_pool", &(struct nn_plain_options){.x = __VA_ARGS__})

/* Normalizes each channel over batch, height and width (torch.nn.BatchNorm1d/2d): in training by the
 * batch's own mean and (biased) variance, else by the running ones. running = (1 - momentum) running +
 * momentum batch, with the unbiased variance. A batch with one number a channel, which PyTorch refuses,
 * normalizes to 0 and leaves the running statistics alone. There is no num_batches_tracked. */
struct nn_batch_norm_options {
    nn_node *x;
    double eps;      /* default 1e-5 */
    double momentum; /* default 0.1 */
    bool no_affine;  /* no learned scale and shift */
    const char *name;
};
#define nn_batch_norm(...) nn_build("batch_norm", &(struct nn_batch_norm_options){.x = __VA_ARGS__})

/* Normalizes each sample over channels, height and width (torch.nn.LayerNorm over C, H, W). Scale and shift
 * have the sample's shape. */
struct nn_layer_norm_options {
    nn_node *x;
    double eps; /* default 1e-5 */
    bool no_affine;
    const char *name;
};
#define nn_layer_norm(...) nn_build("layer_norm", &(struct nn_layer_norm_options){.x = __VA_ARGS__})

/* Normalizes each sample over each of `groups` runs of neighboring channels (torch.nn.GroupNorm). */
struct nn_group_norm_options {
    nn_node *x;
    int groups;
    double eps; /* default 1e-5 */
    bool no_affine;
    const char *name;
};
#define nn_group_norm(...) nn_build("group_norm", &(struct nn_group_norm_options){.x = __VA_ARGS__})

/* Activations, element-wise. */
#define nn_relu(...) nn_build("relu", &(struct nn_plain_options){.x = __VA_ARGS__})
#define nn_selu(...) nn_build("selu", &(struct nn_plain_options){.x = __VA_ARGS__})
#define nn_gelu(...) nn_build("gelu", &(struct nn_plain_options){.x = __VA_ARGS__}) /* exact: x Phi(x) */
#define nn_gelu_tanh(...)                                                                                  \
    nn_build("gelu_tanh", &(struct nn_plain_options){.x = __VA_ARGS__}) /* the tanh approximation */
#define nn_silu(...)       nn_build("silu", &(struct nn_plain_options){.x = __VA_ARGS__})
#define nn_hard_swish(...) nn_build("hard_swish", &(struct nn_plain_options){.x = __VA_ARGS__})
#define nn_sigmoid(...)    nn_build("sigmoid", &(struct nn_plain_options){.x = __VA_ARGS__})
#define nn_tanh(...)       nn_build("tanh", &(struct nn_plain_options){.x = __VA_ARGS__})
#define nn_softplus(...)   nn_build("softplus", &(struct nn_plain_options){.x = __VA_ARGS__})

struct nn_slope_options {
    nn_node *x;
    double slope; /* leaky_relu: of the negative side, default 0.01; elu: alpha, default 1 */
    const char *name;
};
#define nn_leaky_relu(...) nn_build("leaky_relu", &(struct nn_slope_options){.x = __VA_ARGS__})
#define nn_elu(...)        nn_build("elu", &(struct nn_slope_options){.x = __VA_ARGS__})

/* Over channels, at each position. */
#define nn_softmax(...)     nn_build("softmax", &(struct nn_plain_options){.x = __VA_ARGS__})
#define nn_log_softmax(...) nn_build("log_softmax", &(struct nn_plain_options){.x = __VA_ARGS__})

/* In training zeroes each element with probability `rate` and scales the rest by 1/(1 - rate); else does
 * nothing. rate in [0, 1). */
struct nn_dropout_options {
    nn_node *x;
    double rate;
    const char *name;
};
#define nn_dropout(...) nn_build("dropout", &(struct nn_dropout_options){.x = __VA_ARGS__})

/* The sample as a vector, in CHW order as in PyTorch. */
#define nn_flatten(...) nn_build("flatten", &(struct nn_plain_options){.x = __VA_ARGS__})

/* The same elements in CHW order, seen as channels x height x width. */
struct nn_reshape_options {
    nn_node *x;
    int channels, height, width; /* height and width default to 1 */
    const char *name;
};
#define nn_reshape(...) nn_build("reshape", &(struct nn_reshape_options){.x = __VA_ARGS__})

/* Joins 2 to 8 nodes of equal height and width along channels: nn_concat(a, b, c). */
struct nn_concat_options {
    nn_node *x[NN_MAX_INPUTS];
    const char *name;
};
#define nn_concat(...) nn_build("concat", &(struct nn_concat_options){.x = {__VA_ARGS__}})

/* Adds `before` and `after` channels of zeros. */
struct nn_pad_channels_options {
    nn_node *x;
    int before, after;
    const char *name;
};
#define nn_pad_channels(...) nn_build("pad_channels", &(struct nn_pad_channels_options){.x = __VA_ARGS__})

/* Element-wise a + b and a * b. b has a's shape, or is broadcast over space (channels x 1 x 1), over
 * channels (1 x height x width), or both (1 x 1 x 1). */
struct nn_pair_options {
    nn_node *a, *b;
    const char *name;
};
#define nn_add(...)      nn_build("add", &(struct nn_pair_options){.a = __VA_ARGS__})
#define nn_multiply(...) nn_build("multiply", &(struct nn_pair_options){.a = __VA_ARGS__})

/* y = factor x + offset. */
struct nn_scale_options {
    nn_node *x;
    double factor, offset;
    const char *name;
};
#define nn_scale(...) nn_build("scale", &(struct nn_scale_options){.x = __VA_ARGS__})

/* A parameter of its own, the same for every sample: a learned bias or scale for nn_add and nn_multiply. */
struct nn_parameter_options {
    nn_node *like;               /* any node of the graph */
    int channels, height, width; /* default 1 */
    const char *init;            /* default "zeros" */
    const char *name;
};
#define nn_parameter(...) nn_build("parameter", &(struct nn_parameter_options){.like = __VA_ARGS__})

/* ---- Losses ----
 * A loss is a node with one number a sample (1 x 1 x 1), so losses can be added and scaled; what nn_loss
 * and nn_backward use is its mean over the batch, PyTorch's reduction='mean'. `target` is nn_labels (class
 * indices) or an nn_input. */
struct nn_cross_entropy_options {
    nn_node *x;      /* classes x 1 x 1: logits, or log-probabilities for nn_negative_log_likelihood */
    nn_node *target; /* labels, or probabilities of the shape of x */
    double label_smoothing;
    const float *class_weights; /* `classes` numbers, copied; NULL: all 1. As in PyTorch, with class indices
                                   the mean is weighted */
    const char *name;
};
/* Softmax and negative log-likelihood, compiled into one numerically safe step. */
nn_node *nn_softmax_cross_entropy_with(struct nn_cross_entropy_options options);
#define nn_softmax_cross_entropy(...)                                                                      \
    nn_softmax_cross_entropy_with((struct nn_cross_entropy_options){.x = __VA_ARGS__})
#define nn_negative_log_likelihood(...)                                                                    \
    nn_build("negative_log_likelihood", &(struct nn_cross_entropy_options){.x = __VA_ARGS__})

struct nn_loss_options {
    nn_node *x, *target;
    double delta; /* Huber only: default 1 */
    const char *name;
};
#define nn_binary_cross_entropy(...)                                                                       \
    nn_build("binary_cross_entropy", &(struct nn_loss_options){.x = __VA_ARGS__}) /* x: logits */
#define nn_mean_squared_error(...)                                                                         \
    nn_build("mean_squared_error", &(struct nn_loss_options){.x = __VA_ARGS__})
#define nn_huber(...) nn_build("huber", &(struct nn_loss_options){.x = __VA_ARGS__})

/* ---- Parameters ---- */

/* All parameters and buffers in order of creation; *count of them. The array is final once the graph was
 * first compiled. */
struct descent_param *nn_params(nn_graph *graph, int *count);

/* Freezes the parameters whose names match a shell pattern ("conv*"): no gradient, not optimized. Before
 * the first nn_compile. Returns how many matched. */
int nn_freeze(nn_graph *graph, const char *pattern);

void nn_clear_gradients(nn_graph *graph);

/* Writes all parameters and running statistics, by name and in PyTorch's layouts, to a .safetensors file
 * (base/safetensors.h). */
enum descent_status nn_save(nn_graph *graph, const char *path, const struct descent_metadata *metadata,
                            int metadata_count);

/* Copies the tensors of a .safetensors file (float32 or float64) into the parameters and running statistics
 * of a compiled graph. With `loaded` NULL each must be there by name and shape: DESCENT_MISMATCH names the
 * first that is not, and nothing is changed. Else it has one flag for each of nn_params, whatever matches
 * is copied, and only a file of which nothing matches is an error. */
enum descent_status nn_load(nn_graph *graph, const char *path, bool *loaded);

/* Initializers by spec string: "kaiming-normal", "normal:std=0.02", "xavier-uniform:gain=2". */
struct nn_initializer_info {
    const char *name, *summary, *paper;
};
const struct nn_initializer_info *nn_initializer(int i); /* NULL past the end */

/* ---- Plans ---- */

enum nn_without {                          /* planner switches, for tests and for hunting errors */
                  NN_WITHOUT_REUSE = 1,    /* every buffer has memory of its own */
                  NN_WITHOUT_IN_PLACE = 2, /* no operator overwrites its input */
                  NN_WITHOUT_FUSION = 4,
                  NN_POISON = 8, /* fills dead buffers and rows past the batch with NaN */
};

struct nn_compile_options {
    nn_graph *graph;
    nn_node *output; /* kept readable by nn_value; NULL: none */
    nn_node *loss;   /* NULL: inference only */
    int batch;       /* largest number of samples a call */
    bool training;   /* gradients, batch statistics and dropout; else evaluation with running statistics */
    struct descent_pool *pool; /* NULL: one thread */
    bool input_gradients;      /* in training: of the loss with respect to the inputs too (nn_gradient) */
    unsigned without;          /* of enum nn_without */
};

/* A static schedule of operators over planned memory. The first call also allocates and initializes the
 * parameters. NULL on failure: the graph's first error, in the user's words, or out of memory. The step
 * loop below allocates nothing. */
#define nn_compile(...) nn_compile_with((struct nn_compile_options){.graph = __VA_ARGS__})
nn_plan *nn_compile_with(struct nn_compile_options options);
void nn_plan_free(nn_plan *plan);

/* Where an input's samples are: at least n of them at each nn_forward, until fed anew. float32 NHWC, int32
 * for labels. Not copied, not changed. Inputs the plan does not need are ignored. */
void nn_feed(nn_plan *plan, const nn_node *input, const void *data);

/* Computes output and loss of the first n samples, 1 <= n <= batch. Fails on an input that was not fed and
 * on labels out of range. */
enum descent_status nn_forward(nn_plan *plan, int n);

/* A layer y = W a + b, once for each position of its output: dense (one position), or conv2d without
 * groups; one that is trained and shares its parameters with no other layer. */
struct nn_linear_layer {
    int weight, bias; /* places among nn_params; bias -1 if there is none */
    struct nn_shape in, out;
    int kernel, stride, padding, dilation; /* dense: 1, 1, 0, 1 */
    /* For a visitor: n samples of the layer's input and of the gradient with respect to its output, NHWC.
     */
    int n;
    const float *x, *dy;
};

/* The i-th of a training plan; false past the end. */
bool nn_linear_layer(const nn_plan *plan, int i, struct nn_linear_layer *layer);

struct nn_backward_options {
    nn_plan *plan;
    double scale; /* default 1 */
    bool clear;   /* as after nn_clear_gradients, and without its pass over memory */
    /* Backward from this node instead of the loss: n samples of the gradient with respect to it (NHWC).
     * Whatever leads to the loss must go through it. */
    const nn_node *from;
    const float *gradient;
    void (*visit)(void *context, int i, const struct nn_linear_layer *layer); /* each of them; or NULL */
    void *context;
};

/* Adds the gradient of (scale times) the mean loss of the last nn_forward to the parameters' grad. Once
 * after each nn_forward. A parameter whose grad is NULL meanwhile is left out. */
#define nn_backward(...) nn_backward_with((struct nn_backward_options){.plan = __VA_ARGS__})
enum descent_status nn_backward_with(struct nn_backward_options options);

/* How often nn_backward has been called: what the gradients of a training run cost. */
int64_t nn_backward_passes(const nn_plan *plan);

/* n samples of the gradient with respect to an input (NHWC), after nn_backward and until the next
 * nn_forward: a saliency map, or the direction of an adversarial example. NULL if the plan was compiled
 * without input_gradients or its loss does not depend on that input. */
const float *nn_gradient(const nn_plan *plan, const nn_node *input);

/* Mean loss of the last nn_forward. */
double nn_loss(const nn_plan *plan);

/* n samples of the plan's output or loss node after nn_forward (NHWC), or, in a plan compiled with
 * `without` NN_WITHOUT_REUSE | NN_WITHOUT_IN_PLACE | NN_WITHOUT_FUSION, of any node that leads to them.
 * NULL if the plan does not keep that node. */
const float *nn_value(const nn_plan *plan, const nn_node *node);

/* How many of the first n samples of the last nn_forward have their largest logit at the label; the first
 * of equals counts. 0 if the plan does not keep `logits`. */
int nn_count_correct(const nn_plan *plan, const nn_node *logits, const int32_t *labels, int n);

/* Dropout masks are a function of (seed, step): a training plan counts its nn_forward calls from 0. Set it
 * to resume, or to repeat a step. */
void nn_set_step(nn_plan *plan, uint64_t step);
uint64_t nn_step(const nn_plan *plan); /* of the next nn_forward */

/* While true, nn_forward in training leaves running statistics alone: for evaluating the same objective
 * again. */
void nn_hold_statistics(nn_plan *plan, bool hold);

/* Has the forward passes that follow average: in pass 1, 2, ... of a series the running statistics become
 * the mean over the series' batches so far, each counting the same (torch.optim.swa_utils.update_bn). 0, as
 * at first: each layer's own momentum. */
void nn_average_statistics(nn_plan *plan, int64_t pass);

/* Runs the last batch forward once more and names the first layer whose output, or whose parameter, is not
 * finite; NULL if all are. For the message of a diverged run. */
const char *nn_first_not_finite(nn_plan *plan);

/* ---- Looking at it
 * ------------------------------------------------------------------------------------------------------ */

struct nn_layer_info {
    const char *name, *op;
    struct nn_shape shape;
    int64_t params; /* trainable and frozen, without buffers */
    double flops;   /* of one sample's forward; a multiply-add counts as two */
    int64_t bytes;  /* of one sample's output */
};

/* The i-th layer (inputs included) in order of creation; false past the end. */
bool nn_layer(const nn_graph *graph, int i, struct nn_layer_info *info);

/* Memory of a plan in bytes: activations, gradients of activations, workspace; without parameters. */
size_t nn_plan_bytes(const nn_plan *plan);

#endif
