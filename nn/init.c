/* Initial values of parameters. Each number is a function of (seed, parameter's name, element), so adding a
 * layer changes no other. */
#include "base/linalg.h"
#include "base/spec.h"
#include "nn/op.h"

#include <stdio.h>
#include <stdlib.h>

struct fans {
    double in, out;
};

struct initializer {
    struct nn_initializer_info info;
    const struct descent_option *options;
    int option_count;
    enum descent_status (*fill)(struct descent_param *param, const struct descent_value *value,
                                struct fans fans, struct descent_random random);
};

static void fill_uniform(struct descent_param *param, double low, double high, struct descent_random random)
{
    for (int64_t i = 0; i < param->size; i++)
        param->value[i] = (float)(low + (high - low) * descent_random_uniform(&random));
}

static void fill_normal(struct descent_param *param, double mean, double deviation,
                        struct descent_random random)
{
    for (int64_t i = 0; i < param->size; i++)
        param->value[i] = (float)(mean + deviation * descent_random_normal(&random));
}

/* The two shapes every variance-scaling rule comes in: uniform on +-sqrt(3 variance), or normal. */
static void fill_variance(struct descent_param *param, double variance, bool uniform,
                          struct descent_random random)
{
    if (uniform)
        fill_uniform(param, -sqrt(3 * variance), sqrt(3 * variance), random);
    else
        fill_normal(param, 0, sqrt(variance), random);
}

#define FILL(name)                                                                                         \
    static enum descent_status name(struct descent_param *param, const struct descent_value *value,        \
                                    struct fans fans, struct descent_random random)
#define UNUSED (void)value, (void)fans, (void)random

FILL(constant)
{
    UNUSED;
    for (int64_t i = 0; i < param->size; i++)
        param->value[i] = (float)value[0].number;
    return DESCENT_OK;
}

FILL(zeros)
{
    const struct descent_value zero = {.number = 0};
    (void)value;
    return constant(param, &zero, fans, random);
}

FILL(uniform)
{
    UNUSED;
    fill_uniform(param, value[0].number, value[1].number, random);
    return DESCENT_OK;
}

FILL(normal)
{
    UNUSED;
    fill_normal(param, value[1].number, value[0].number, random);
    return DESCENT_OK;
}

/* Drawn anew beyond two standard deviations, as TensorFlow does; the deviation of what is left is 0.88 std.
 */
FILL(truncated_normal)
{
    UNUSED;
    for (int64_t i = 0; i < param->size; i++) {
        double drawn;
        do
            drawn = descent_random_normal(&random);
        while (fabs(drawn) > 2);
        param->value[i] = (float)(value[1].number + value[0].number * drawn);
    }
    return DESCENT_OK;
}

/* PyTorch's default of nn.Linear and nn.Conv2d, weights and biases alike: U(-1/sqrt(fan_in),
 * 1/sqrt(fan_in)). */
FILL(fan_in_uniform)
{
    fill_variance(param, value[0].number * value[0].number / (3 * fans.in), true, random);
    return DESCENT_OK;
}

/* value: gain. variance = gain^2 2 / (fan_in + fan_out) */
static double xavier_variance(const struct descent_value *value, struct fans fans)
{
    return value[0].number * value[0].number * 2 / (fans.in + fans.out);
}

FILL(xavier_uniform)
{
    fill_variance(param, xavier_variance(value, fans), true, random);
    return DESCENT_OK;
}

FILL(xavier_normal)
{
    fill_variance(param, xavier_variance(value, fans), false, random);
    return DESCENT_OK;
}

/* value: mode (0: fan_in, 1: fan_out), slope of a leaky ReLU. variance = 2 / ((1 + slope^2) fan) */
static double kaiming_variance(const struct descent_value *value, struct fans fans)
{
    return 2 / ((1 + value[1].number * value[1].number) * (value[0].number > 0 ? fans.out : fans.in));
}

FILL(kaiming_uniform)
{
    fill_variance(param, kaiming_variance(value, fans), true, random);
    return DESCENT_OK;
}

FILL(kaiming_normal)
{
    fill_variance(param, kaiming_variance(value, fans), false, random);
    return DESCENT_OK;
}

FILL(lecun_uniform)
{
    (void)value;
    fill_variance(param, 1 / fans.in, true, random);
    return DESCENT_OK;
}

FILL(lecun_normal)
{
    (void)value;
    fill_variance(param, 1 / fans.in, false, random);
    return DESCENT_OK;
}

/* Q of the QR of a Gaussian matrix, uniform over orthogonal matrices since the diagonal of R is made
 * positive. Rows are orthonormal when there are fewer rows than columns. */
FILL(orthogonal)
{
    (void)fans;
    int rows = (int)param->shape[0], columns = (int)(param->size / param->shape[0]);
    int tall = rows > columns ? rows : columns, thin = rows > columns ? columns : rows;
    float *q = malloc((size_t)param->size * sizeof *q);
    if (!q)
        return descent_fail(DESCENT_OUT_OF_MEMORY, "out of memory to initialize it");
    for (int64_t i = 0; i < param->size; i++)
        q[i] = (float)descent_random_normal(&random);
    enum descent_status status = descent_sqr(tall, thin, q, NULL);
    for (int64_t i = 0; i < param->size && !status; i++) {
        int64_t row = i / columns, column = i % columns;
        param->value[i] = (float)value[0].number * (rows > columns ? q[i] : q[column * thin + row]);
    }
    free(q);
    return status;
}

#define GAIN                                                                                               \
    {                                                                                                      \
        .name = "gain", .type = DESCENT_OPTION_REAL, .initial = "1", .min = 0, .max = INFINITY,            \
        .help = "multiplies the result"                                                                    \
    }

static const struct descent_option constant_options[] = {
    {.name = "value", .type = DESCENT_OPTION_REAL, .initial = "0", .help = "the value of every element"},
};
static const struct descent_option uniform_options[] = {
    {.name = "low", .type = DESCENT_OPTION_REAL, .initial = "-0.05", .help = "lower limit"},
    {.name = "high", .type = DESCENT_OPTION_REAL, .initial = "0.05", .help = "upper limit"},
};
static const struct descent_option normal_options[] = {
    {.name = "std",
     .type = DESCENT_OPTION_REAL,
     .initial = "0.01",
     .max = INFINITY,
     .help = "standard deviation"},
    {.name = "mean", .type = DESCENT_OPTION_REAL, .initial = "0", .help = "mean"},
};
static const struct descent_option gain_options[] = {GAIN};
static const struct descent_option kaiming_options[] = {
    {.name = "mode",
     .type = DESCENT_OPTION_CHOICE,
     .initial = "fan_in",
     .choices = "fan_in|fan_out",
     .help = "what to preserve: forward variance (fan_in) or backward"},
    {.name = "slope",
     .type = DESCENT_OPTION_REAL,
     .initial = "0",
     .max = INFINITY,
     .help = "negative slope of the activation that follows"},
};

#define OPTIONS(table) table, (int)(sizeof(table) / sizeof *(table))

#define GLOROT "Glorot & Bengio 2010"
#define HE     "He et al. 2015, arXiv 1502.01852"

static const struct initializer initializers[] = {
    {{"zeros", "every element 0", NULL}, NULL, 0, zeros},
    {{"constant", "every element the same", NULL}, OPTIONS(constant_options), constant},
    {{"uniform", "uniform between low and high", NULL}, OPTIONS(uniform_options), uniform},
    {{"normal", "normal with std and mean", NULL}, OPTIONS(normal_options), normal},
    {{"truncated-normal", "normal with std and mean, within two std", NULL},
     OPTIONS(normal_options),
     truncated_normal},
    {{"fan-in-uniform", "uniform on +-gain/sqrt(fan_in); PyTorch's default for dense and conv2d", NULL},
     OPTIONS(gain_options),
     fan_in_uniform},
    {{"xavier-uniform", "uniform, variance 2/(fan_in + fan_out)", GLOROT},
     OPTIONS(gain_options),
     xavier_uniform},
    {{"xavier-normal", "normal, variance 2/(fan_in + fan_out)", GLOROT},
     OPTIONS(gain_options),
     xavier_normal},
    {{"kaiming-uniform", "uniform, variance 2/fan for ReLU networks", HE},
     OPTIONS(kaiming_options),
     kaiming_uniform},
    {{"kaiming-normal", "normal, variance 2/fan for ReLU networks", HE},
     OPTIONS(kaiming_options),
     kaiming_normal},
    {{"lecun-uniform", "uniform, variance 1/fan_in", "LeCun et al. 1998, Efficient BackProp"},
     NULL,
     0,
     lecun_uniform},
    {{"lecun-normal", "normal, variance 1/fan_in; for SELU", "Klambauer et al. 2017, arXiv 1706.02515"},
     NULL,
     0,
     lecun_normal},
    {{"orthogonal", "random orthogonal matrix", "Saxe et al. 2013, arXiv 1312.6120"},
     OPTIONS(gain_options),
     orthogonal},
};
enum { INITIALIZERS = sizeof initializers / sizeof *initializers };

const struct nn_initializer_info *nn_initializer(int i)
{
    return i >= 0 && i < INITIALIZERS ? &initializers[i].info : NULL;
}

static enum descent_status parse(const char *init, const struct initializer **found,
                                 struct descent_value *values)
{
    struct descent_spec spec;
    enum descent_status status = descent_spec_parse(init, &spec);
    if (status)
        return status;
    const char *names[INITIALIZERS], *name = spec.part[0].name;
    *found = NULL;
    for (int i = 0; i < INITIALIZERS; i++) {
        names[i] = initializers[i].info.name;
        if (!strcmp(names[i], name))
            *found = &initializers[i];
    }
    if (spec.count > 1)
        status = descent_fail(DESCENT_BAD_ARGUMENT, "initializer '%s' has more than one part", init);
    else if (!*found) {
        status = descent_fail_unknown("initializer", name, names, INITIALIZERS);
    } else {
        char what[64];
        snprintf(what, sizeof what, "initializer %s", name);
        status = descent_spec_read(&spec.part[0], what, (*found)->options, (*found)->option_count, values);
    }
    descent_spec_free(&spec);
    return status;
}

enum descent_status nn_initializer_check(const char *init)
{
    const struct initializer *found;
    struct descent_value values[2];
    return parse(init, &found, values);
}

enum descent_status nn_initialize(struct descent_param *param, const char *init, int64_t fan_in,
                                  int64_t fan_out, uint64_t seed)
{
    const struct initializer *found;
    struct descent_value values[2];
    enum descent_status status = parse(init, &found, values);
    if (status)
        return status;
    int64_t per_row = param->shape[0] ? param->size / param->shape[0] : 1;
    struct fans fans = {fan_in ? (double)fan_in : (double)per_row,
                        fan_out ? (double)fan_out : (double)param->shape[0]};
    return found->fill(param, values, fans,
                       descent_random_new(seed, DESCENT_RANDOM_INIT, descent_hash(param->name)));
}
