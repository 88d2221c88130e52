/* The four loops of every normalization, over pixels x channels in memory: moments, y, gradient sums, dx.
 * Used by batch_norm.c on whole batches, by group_norm.c on single samples; layer_norm.c takes the first.
 *
 * The compiler vectorizes over columns: one a channel or, when channels are few, `repeat` pixels side by
 * side. Sums run in float over at most RUN rows and in double beyond. */
#ifndef DESCENT_NN_OPS_NORMALIZE_H
#define DESCENT_NN_OPS_NORMALIZE_H

#include "nn/op.h"
#include "nn/vector.h"

struct columns {
    int channels, repeat, width; /* width = repeat * channels; repeat is a power of two */
};

static inline struct columns columns_of(int channels)
{
    enum { NARROW = 64 }; /* columns that keep the loops busy; fewer become a multiple of 16 */
    int factor = channels & -channels, repeat = channels >= NARROW || factor >= 16 ? 1 : 16 / factor;
    while (repeat * channels < NARROW)
        repeat *= 2;
    return (struct columns){channels, repeat, repeat * channels};
}

/* What one thread needs to sum up a range of pixels: two sums a column, and the same of one run. */
struct sums {
    double *first, *second, *run_first, *run_second;
    float *float_first, *float_second;
};

static inline size_t sums_bytes(struct columns columns)
{
    return descent_round_up((size_t)columns.width * (4 * sizeof(double) + 2 * sizeof(float)));
}

static inline struct sums sums_at(void *memory, struct columns columns)
{
    int64_t width = columns.width;
    double *sum = memory;
    float *run = (float *)(sum + 4 * width);
    return (struct sums){sum, sum + width, sum + 2 * width, sum + 3 * width, run, run + width};
}

/* Of `count` numbers: their mean, and m2 = sum (x - mean)^2. Merges b into a, column by column (Chan, Golub
 * & LeVeque 1979). */
NN_INLINE void merge_moments(double *restrict mean, double *restrict m2, double count,
                             const double *restrict mean_b, const double *restrict m2_b, double count_b,
                             int width)
{
    double weight = count_b / (count + count_b), spread = count * weight;
    for (int j = 0; j < width; j++) {
        double apart = mean_b[j] - mean[j];
        mean[j] += weight * apart;
        m2[j] += m2_b[j] + spread * (apart * apart);
    }
}

enum { RUN = 64 };

/* Moments of the columns of `rows` <= RUN rows. Sums are of x minus the first row, so that a large mean
 * cancels nothing; if the first row is itself far out, it makes m2 as large as the error: relative to m2
 * that is < RUN eps. */
NN_INLINE void run_moments(const float *restrict x, int rows, int width, struct sums at)
{
    float *restrict sum = at.float_first, *restrict squares = at.float_second;
    double *restrict mean = at.run_first, *restrict m2 = at.run_second;
    memset(sum, 0, (size_t)width * sizeof *sum);
    memset(squares, 0, (size_t)width * sizeof *squares);
    for (int r = 1; r < rows; r++)
        for (int j = 0; j < width; j++) {
            float d = x[(int64_t)r * width + j] - x[j];
            sum[j] += d;
            squares[j] += d * d;
        }
    double one = 1.0 / rows;
    for (int j = 0; j < width; j++) {
        double offset = (double)sum[j] * one;
        mean[j] = (double)x[j] + offset;
        m2[j] = (double)squares[j] - (double)sum[j] * offset;
    }
}

/* at.first: mean, at.second: m2 of each channel of x: pixels x channels. */
static inline void moments(const float *x, int64_t pixels, struct columns columns, struct sums at)
{
    int width = columns.width, channels = columns.channels;
    int64_t rows = pixels / columns.repeat;
    memset(at.first, 0, (size_t)width * sizeof *at.first);
    memset(at.second, 0, (size_t)width * sizeof *at.second);
    for (int64_t r = 0; r < rows; r += RUN) {
        int run = rows - r < RUN ? (int)(rows - r) : RUN;
        run_moments(x + r * width, run, width, at);
        merge_moments(at.first, at.second, (double)r, at.run_first, at.run_second, run, width);
    }
    double count = (double)rows;
    for (int half = width / 2; half >= channels && rows; half /= 2, count *= 2)
        merge_moments(at.first, at.second, count, at.first + half, at.second + half, count, half);
    for (int64_t p = rows * columns.repeat; p < pixels; p++) {
        run_moments(x + p * channels, 1, channels, at);
        merge_moments(at.first, at.second, (double)p, at.run_first, at.run_second, 1, channels);
    }
}

/* One number a column. y = (x - mean) scale + shift; dx = of_dy dy + of_x (x - mean) + constant. */
struct coefficients {
    float *mean, *scale, *shift, *of_dy, *of_x, *constant;
};

static inline int64_t coefficient_room(struct columns columns) /* whole vectors may be read */
{
    return nn_whole_vectors(columns.width);
}

static inline size_t coefficients_bytes(struct columns columns)
{
    return descent_round_up(6 * (size_t)coefficient_room(columns) * sizeof(float));
}

static inline struct coefficients coefficients_at(void *memory, struct columns columns)
{
    int64_t room = coefficient_room(columns);
    float *m = memory;
    return (struct coefficients){m, m + room, m + 2 * room, m + 3 * room, m + 4 * room, m + 5 * room};
}

/* What float cannot hold of a mean; the coefficients make up for it. */
static inline double rest_of(double mean)
{
    return mean - (double)(float)mean;
}

/* Channels first .. end-1: y = (x - mean) inverse weight + bias; weight and bias NULL: 1 and 0. */
static inline void set_forward(struct coefficients k, int first, int end, double mean, double inverse,
                               const float *weight, const float *bias)
{
    double rest = rest_of(mean);
    for (int c = first; c < end; c++) {
        double scale = weight ? inverse * (double)weight[c] : inverse;
        k.mean[c] = (float)mean;
        k.scale[c] = (float)scale;
        k.shift[c] = (float)((bias ? (double)bias[c] : 0) - rest * scale);
    }
}

/* Channels first .. end-1: dx = inverse (weight dy - a - b z), z = (x - mean) inverse. */
static inline void set_backward(struct coefficients k, int first, int end, double mean, double inverse,
                                const float *weight, double a, double b)
{
    double of_x = -inverse * inverse * b, constant = -inverse * a - rest_of(mean) * of_x;
    for (int c = first; c < end; c++) {
        k.of_dy[c] = (float)(weight ? inverse * (double)weight[c] : inverse);
        k.of_x[c] = (float)of_x;
        k.constant[c] = (float)constant;
    }
}

/* Of the first channels' coefficients makes all columns'. */
static inline void repeat_coefficients(struct coefficients k, struct columns columns)
{
    float *row[] = {k.mean, k.scale, k.shift, k.of_dy, k.of_x, k.constant};
    for (int i = 0; i < 6; i++)
        for (int j = columns.channels; j < columns.width; j *= 2)
            memcpy(row[i] + j, row[i], (size_t)j * sizeof(float));
}

/* sum dy z from a channel's gradient sums. */
static inline double sum_of_dy_z(struct sums at, int c, double mean, double inverse)
{
    return inverse * (at.second[c] - rest_of(mean) * at.first[c]);
}

NN_INLINE nn_vector normalized(nn_vector x, struct coefficients k, int j)
{
    return (x - nn_vector_load(k.mean + j)) * nn_vector_load(k.scale + j) + nn_vector_load(k.shift + j);
}

NN_INLINE nn_vector normalized_relu(nn_vector x, struct coefficients k, int j)
{
    return nn_vector_relu(normalized(x, k, j));
}

/* Vectors rather than loops over floats, as y may be x, which compilers take for a reason not to vectorize.
 */
NN_INLINE void normalize_row(float *y, const float *x, struct coefficients k, int width,
                             nn_vector (*function)(nn_vector, struct coefficients, int))
{
    int j = 0;
    for (; j + NN_LANES <= width; j += NN_LANES)
        nn_vector_store(y + j, function(nn_vector_load(x + j), k, j));
    if (j < width)
        nn_vector_store_part(y + j, function(nn_vector_load_part(x + j, width - j), k, j), width - j);
}

/* y = (x - mean) scale + shift, with `relu` the positive part of it. y may be x. */
static inline void normalize(float *y, const float *x, int64_t pixels, struct columns columns,
                             struct coefficients k, bool relu)
{
    int64_t count = pixels * columns.channels;
    for (int64_t i = 0; i < count; i += columns.width) {
        int width = count - i < columns.width ? (int)(count - i) : columns.width;
        if (relu)
            normalize_row(y + i, x + i, k, width, normalized_relu);
        else
            normalize_row(y + i, x + i, k, width, normalized);
    }
}

/* dy where it passes the ReLU. */
NN_INLINE float passed(float dy, float from_mean, float scale, float shift, bool relu)
{
    return relu && !(from_mean * scale + shift > 0) ? 0 : dy;
}

NN_INLINE void run_gradient_sums(const float *restrict dy, const float *restrict x, int rows, int width,
                                 struct coefficients k, bool relu, struct sums at)
{
    const float *restrict mean = k.mean, *restrict scale = k.scale, *restrict shift = k.shift;
    float *restrict sum = at.float_first, *restrict product = at.float_second;
    memset(sum, 0, (size_t)width * sizeof *sum);
    memset(product, 0, (size_t)width * sizeof *product);
    for (int r = 0; r < rows; r++)
        for (int j = 0; j < width; j++) {
            float from_mean = x[(int64_t)r * width + j] - mean[j];
            float g = passed(dy[(int64_t)r * width + j], from_mean, scale[j], shift[j], relu);
            sum[j] += g;
            product[j] += g * from_mean;
        }
}

static inline void add_columns(double *restrict to, const float *restrict from, int width)
{
    for (int j = 0; j < width; j++)
        to[j] += (double)from[j];
}

static inline void fold_columns(double *sum, struct columns columns)
{
    for (int half = columns.width / 2; half >= columns.channels; half /= 2)
        for (int j = 0; j < half; j++)
            sum[j] += sum[j + half];
}

/* at.first: sum of dy, at.second: of dy (x - mean), for each channel; dy and x: pixels x channels. */
static inline void gradient_sums(const float *dy, const float *x, int64_t pixels, struct columns columns,
                                 struct coefficients k, bool relu, struct sums at)
{
    int64_t count = pixels * columns.channels, step = (int64_t)RUN * columns.width;
    memset(at.first, 0, (size_t)columns.width * sizeof *at.first);
    memset(at.second, 0, (size_t)columns.width * sizeof *at.second);
    for (int64_t i = 0; i < count;) {
        int rows = (int)((count - i < step ? count - i : step) / columns.width);
        int width = rows ? columns.width : (int)(count - i);
        rows = rows ? rows : 1;
        if (relu)
            run_gradient_sums(dy + i, x + i, rows, width, k, true, at);
        else
            run_gradient_sums(dy + i, x + i, rows, width, k, false, at);
        add_columns(at.first, at.float_first, width);
        add_columns(at.second, at.float_second, width);
        i += (int64_t)rows * width;
    }
    fold_columns(at.first, columns);
    fold_columns(at.second, columns);
}

NN_INLINE nn_vector input_gradient(nn_vector dy, nn_vector x, struct coefficients k, int j)
{
    nn_vector from_mean = x - nn_vector_load(k.mean + j);
    return nn_vector_load(k.of_dy + j) * dy +
           (nn_vector_load(k.of_x + j) * from_mean + nn_vector_load(k.constant + j));
}

NN_INLINE nn_vector input_gradient_relu(nn_vector dy, nn_vector x, struct coefficients k, int j)
{
    return input_gradient(nn_vector_and(dy, normalized(x, k, j) > 0), x, k, j);
}

NN_INLINE void normalize_backward_row(float *dx, const float *dy, const float *x, struct coefficients k,
                                      int width,
                                      nn_vector (*function)(nn_vector, nn_vector, struct coefficients, int))
{
    int j = 0;
    for (; j + NN_LANES <= width; j += NN_LANES)
        nn_vector_store(dx + j, function(nn_vector_load(dy + j), nn_vector_load(x + j), k, j));
    if (j < width) {
        nn_vector rest = nn_vector_load_part(dy + j, width - j);
        rest = function(rest, nn_vector_load_part(x + j, width - j), k, j);
        nn_vector_store_part(dx + j, rest, width - j);
    }
}

/* dx = of_dy dy + of_x (x - mean) + constant, dy where it passes the ReLU. dx may be dy. */
static inline void normalize_backward(float *dx, const float *dy, const float *x, int64_t pixels,
                                      struct columns columns, struct coefficients k, bool relu)
{
    int64_t count = pixels * columns.channels;
    for (int64_t i = 0; i < count; i += columns.width) {
        int width = count - i < columns.width ? (int)(count - i) : columns.width;
        if (relu)
            normalize_backward_row(dx + i, dy + i, x + i, k, width, input_gradient_relu);
        else
            normalize_backward_row(dx + i, dy + i, x + i, k, width, input_gradient);
    }
}

/* The learned scale and shift, parameters 0 and 1 of every normalization that has them. */
enum { SCALE, SHIFT };

static inline void add_scale_and_shift(nn_node *node, struct nn_param_spec like)
{
    like.kind = DESCENT_NORM;
    like.name = "weight";
    like.default_init = "constant:1";
    nn_add_param(node, &like);
    like.name = "bias";
    like.default_init = "zeros";
    nn_add_param(node, &like);
}

/* Fills in the default of eps; false, and the node failed, if it is out of range. */
static inline bool check_eps(nn_node *node, double *eps)
{
    *eps = *eps == 0 ? 1e-5 : *eps;
    bool good = *eps > 0 && isfinite(*eps);
    if (!good)
        nn_fail(node, "eps %g; expected more than 0", *eps);
    return good;
}

#endif
