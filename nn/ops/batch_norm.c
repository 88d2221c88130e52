/* batch_norm: each channel to mean 0 and variance 1 over batch and space, then a learned scale and shift
 * (Ioffe & Szegedy 2015, arXiv 1502.03167; torch.nn.BatchNorm1d/2d without the buffer num_batches_tracked,
 * which only counts).
 *
 * Two passes over memory each way: sums, then what follows from them. A ReLU that comes next is part of
 * both. */
#include "nn/ops/normalize.h"

static void shape(nn_node *node)
{
    struct nn_batch_norm_options *o = node->options;
    struct nn_param_spec spec = {.rank = 1, .shape = {node->input[0]->shape.channels}};
    nn_shape_of_input(node);
    o->momentum = o->momentum == 0 ? 0.1 : o->momentum;
    if (!check_eps(node, &o->eps))
        return;
    if (!(o->momentum > 0 && o->momentum <= 1)) {
        nn_fail(node, "momentum %g; expected more than 0 and at most 1", o->momentum);
        return;
    }
    if (!o->no_affine)
        add_scale_and_shift(node, spec);
    spec.kind = DESCENT_BUFFER;
    spec.name = "running_mean";
    spec.default_init = "zeros";
    nn_add_param(node, &spec);
    spec.name = "running_var";
    spec.default_init = "constant:1";
    nn_add_param(node, &spec);
}

/* Saved: mean and 1 / sqrt(variance + eps) of each channel. Workspace: coefficients, then sums of each
 * chunk. */
static void plan(const nn_node *node, int batch, bool training, int threads, struct nn_needs *needs)
{
    struct columns columns = columns_of(node->shape.channels);
    (void)batch, (void)threads;
    needs->saved = training ? 2 * (size_t)node->shape.channels * sizeof(double) : 0;
    needs->forward = needs->backward =
        coefficients_bytes(columns) + DESCENT_MAX_CHUNKS * sums_bytes(columns);
}

static struct coefficients coefficients_of(const struct nn_call *call)
{
    return coefficients_at(call->workspace, columns_of(call->out.channels));
}

static struct sums sums_of(const struct nn_call *call, int chunk)
{
    struct columns columns = columns_of(call->out.channels);
    return sums_at((char *)call->workspace + coefficients_bytes(columns) +
                       (size_t)chunk * sums_bytes(columns),
                   columns);
}

struct part {
    int64_t first, pixels; /* the chunk's */
};

static struct part part_of(const struct nn_call *call, int chunk, int chunks)
{
    int64_t begin, end;
    descent_chunk_range(call->n * nn_space(call->out), chunks, chunk, &begin, &end);
    return (struct part){begin * call->out.channels, end - begin};
}

/* The last two parameters. */
enum { RUNNING_MEAN = -2, RUNNING_VAR = -1 };

static struct descent_param *running(const struct nn_call *call, int which)
{
    return call->param[call->node->param_count + which];
}

static bool affine(const struct nn_call *call)
{
    const struct nn_batch_norm_options *o = call->options;
    return !o->no_affine;
}

/* Scale or shift, or NULL for no_affine. */
static const float *learned(const struct nn_call *call, int which)
{
    return affine(call) ? call->param[which]->value : NULL;
}

/* The coefficients of y, given mean and 1 / sqrt(variance + eps) of each channel. */
static void set_coefficients(const struct nn_call *call, const double *mean, const double *inverse)
{
    struct coefficients k = coefficients_of(call);
    for (int c = 0; c < call->out.channels; c++)
        set_forward(k, c, c + 1, mean[c], inverse[c], learned(call, SCALE), learned(call, SHIFT));
    repeat_coefficients(k, columns_of(call->out.channels));
}

static int chunk_count(const struct nn_call *call)
{
    return descent_chunk_count(call->n * nn_size(call->out), 32768);
}

static void moments_chunk(const struct nn_call *call, int chunk, int chunks, int thread)
{
    struct part part = part_of(call, chunk, chunks);
    (void)thread;
    moments(call->x[0] + part.first, part.pixels, columns_of(call->out.channels), sums_of(call, chunk));
}

static void normalize_chunk(const struct nn_call *call, int chunk, int chunks, int thread)
{
    struct part part = part_of(call, chunk, chunks);
    (void)thread;
    normalize(call->y + part.first, call->x[0] + part.first, part.pixels, columns_of(call->out.channels),
              coefficients_of(call), call->relu);
}

/* Moments of the whole batch, in chunk 0's place. */
static struct sums batch_moments(const struct nn_call *call)
{
    struct sums all = sums_of(call, 0);
    int chunks = chunk_count(call);
    nn_run_chunks(call, chunks, moments_chunk);
    int64_t count = part_of(call, 0, chunks).pixels;
    for (int chunk = 1; chunk < chunks; chunk++) {
        struct sums more = sums_of(call, chunk);
        int64_t pixels = part_of(call, chunk, chunks).pixels;
        merge_moments(all.first, all.second, (double)count, more.first, more.second, (double)pixels,
                      call->out.channels);
        count += pixels;
    }
    return all;
}

/* The new running statistic. Of momentum 1 it is the batch's alone, also where the old one is not finite:
 * the first pass of an average forgets what was before. */
static float renew(float old, double batch, double momentum)
{
    return (float)(momentum == 1 ? batch : (1 - momentum) * (double)old + momentum * batch);
}

/* running = (1 - momentum) running + momentum batch. One number a channel has no unbiased variance (PyTorch
 * refuses to train on it): then the running statistics stay as they are. */
static void update_running(const struct nn_call *call, struct sums batch, double count)
{
    const struct nn_batch_norm_options *o = call->options;
    struct descent_param *mean = running(call, RUNNING_MEAN), *variance = running(call, RUNNING_VAR);
    if (call->hold_statistics || count < 2)
        return;
    double momentum = call->statistics_pass > 0 ? 1 / (double)call->statistics_pass : o->momentum;
    for (int c = 0; c < call->out.channels; c++) {
        double unbiased = batch.second[c] / (count - 1);
        mean->value[c] = renew(mean->value[c], batch.first[c], momentum);
        variance->value[c] = renew(variance->value[c], unbiased, momentum);
    }
    mean->version++;
    variance->version++;
}

static void forward(const struct nn_call *call)
{
    const struct nn_batch_norm_options *o = call->options;
    int channels = call->out.channels;
    struct sums place = sums_of(call, 0);
    double *mean = place.first, *inverse = place.second;
    if (call->training) {
        double count = (double)(call->n * nn_space(call->out));
        struct sums batch = batch_moments(call);
        update_running(call, batch, count);
        mean = call->saved;
        inverse = mean + channels;
        for (int c = 0; c < channels; c++) {
            mean[c] = batch.first[c];
            inverse[c] = 1 / sqrt(batch.second[c] / count + o->eps);
        }
    } else {
        for (int c = 0; c < channels; c++) {
            mean[c] = (double)running(call, RUNNING_MEAN)->value[c];
            inverse[c] = 1 / sqrt((double)running(call, RUNNING_VAR)->value[c] + o->eps);
        }
    }
    set_coefficients(call, mean, inverse);
    nn_run_chunks(call, chunk_count(call), normalize_chunk);
}

static void gradient_sums_chunk(const struct nn_call *call, int chunk, int chunks, int thread)
{
    struct part part = part_of(call, chunk, chunks);
    (void)thread;
    gradient_sums(call->dy + part.first, call->x[0] + part.first, part.pixels,
                  columns_of(call->out.channels), coefficients_of(call), call->relu, sums_of(call, chunk));
}

static void input_gradient_chunk(const struct nn_call *call, int chunk, int chunks, int thread)
{
    struct part part = part_of(call, chunk, chunks);
    (void)thread;
    normalize_backward(call->dx[0] + part.first, call->dy + part.first, call->x[0] + part.first,
                       part.pixels, columns_of(call->out.channels), coefficients_of(call), call->relu);
}

static void add_to(struct descent_param *param, int c, double gradient)
{
    if (param->grad)
        param->grad[c] += (float)gradient;
}

/* Of m numbers z = (x - mean) / sqrt(variance + eps) a channel, y = scale z + shift:
 *
 *     dshift = sum dy,   dscale = sum dy z
 *     dx = scale / sqrt(variance + eps) (dy - dshift / m - z dscale / m) */
static void backward(const struct nn_call *call)
{
    struct columns columns = columns_of(call->out.channels);
    struct coefficients k = coefficients_of(call);
    struct sums sum = sums_of(call, 0);
    const double *mean = call->saved, *inverse = mean + columns.channels;
    double m = (double)(call->n * nn_space(call->out));
    int chunks = chunk_count(call);
    set_coefficients(call, mean, inverse);
    nn_run_chunks(call, chunks, gradient_sums_chunk);
    for (int chunk = 1; chunk < chunks; chunk++)
        for (int c = 0; c < columns.channels; c++) {
            sum.first[c] += sums_of(call, chunk).first[c];
            sum.second[c] += sums_of(call, chunk).second[c];
        }
    for (int c = 0; c < columns.channels; c++) {
        double scale = affine(call) ? (double)call->param[SCALE]->value[c] : 1;
        double dshift = sum.first[c], dscale = sum_of_dy_z(sum, c, mean[c], inverse[c]);
        set_backward(k, c, c + 1, mean[c], inverse[c], learned(call, SCALE), scale * dshift / m,
                     scale * dscale / m);
        if (affine(call)) {
            add_to(call->param[SCALE], c, dscale);
            add_to(call->param[SHIFT], c, dshift);
        }
    }
    repeat_coefficients(k, columns);
    if (call->dx[0])
        nn_run_chunks(call, chunks, input_gradient_chunk);
}

static double flops(const nn_node *node)
{
    return 2.0 * (double)nn_size(node->shape);
}

static nn_node *sample(nn_graph *graph, struct descent_random *random)
{
    int channels = nn_random_between(random, 1, 9), height = nn_random_between(random, 1, 5);
    int width = nn_random_between(random, 1, height);
    double eps = descent_random_below(random, 2) ? 0.01 : 0;
    double momentum = descent_random_below(random, 2) ? 0.3 : 0;
    return nn_batch_norm(nn_input(graph, channels, height, width), .eps = eps, .momentum = momentum,
                         .no_affine = descent_random_below(random, 3) == 0);
}

/* y = (x - mean) / sqrt(variance + eps) weight + bias */
const struct nn_op NN_OP(batch_norm) = {
    .name = "batch_norm",
    .options_size = sizeof(struct nn_batch_norm_options),
    .name_offset = offsetof(struct nn_batch_norm_options, name),
    .inputs = 1,
    .shape = shape,
    .plan = plan,
    .forward = forward,
    .backward = backward,
    .flops = flops,
    .reads_x = 1,
    .in_place = 1,
    .backward_in_place = 1,
    .fuses_relu = true,
    .sample = sample,
};
