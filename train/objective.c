/* The objective over a network; see objective.h. Gradients of its own passes go to other memory by pointing
 * param->grad there meanwhile. */
#include "train/objective.h"

#include "base/linalg.h"
#include "base/memory.h"
#include "base/random.h"

#include <float.h>
#include <math.h>
#include <string.h>

enum { ROWS = 256 }; /* of a layer's inputs, or output gradients, multiplied at once */

/* Kronecker factors of a layer, as of the last sweep. */
struct factors {
    struct nn_linear_layer layer;
    int64_t inputs, outputs;
    float *a, *s;
};

struct objective {
    struct objective_options options;
    struct optim_objective served;
    struct descent_arena *arena;
    struct descent_param *param;
    int count;
    int64_t outputs; /* of a sample */

    /* This step. */
    uint64_t first; /* plan's count of passes when it began */
    int passes;
    int64_t samples;
    double loss;

    float **value; /* copies of the values, while they are changed */
    float **grad;  /* the gradients proper, while others are in their place */
    float **none;  /* no gradients */
    float *jv, *u; /* of the outputs of a pass: change along a vector, gradient */
    struct factors *factors;
    int layers;
    bool swept;             /* the factors are of this step */
    float *rows_a, *rows_s; /* ROWS of the largest layer */
};

static int64_t size_of(struct nn_shape shape)
{
    return (int64_t)shape.channels * shape.height * shape.width;
}

/* ---- Passes ---- */

/* Runs a pass forward as it was, on what was fed. */
static enum descent_status repeat(struct objective *o, int pass, int n)
{
    nn_set_step(o->options.plan, o->first + (uint64_t)pass);
    nn_hold_statistics(o->options.plan, true);
    enum descent_status status = nn_forward(o->options.plan, n);
    nn_hold_statistics(o->options.plan, false);
    return status;
}

static enum descent_status forward(struct objective *o, int pass, int *n)
{
    enum descent_status status = o->options.feed(o->options.context, pass, n);
    return status ? status : repeat(o, pass, *n);
}

/* The next pass is the next step's. */
static enum descent_status finish(struct objective *o, enum descent_status status)
{
    nn_set_step(o->options.plan, o->first + (uint64_t)o->passes);
    return status;
}

/* Adds the gradients of `sign` times the objective where param->grad points. */
static enum descent_status add_gradients(struct objective *o, double sign, bool clear, double *loss)
{
    enum descent_status status = DESCENT_OK;
    *loss = 0;
    for (int pass = 0; pass < o->passes && !status; pass++) {
        int n;
        status = forward(o, pass, &n);
        if (status)
            break;
        *loss += nn_loss(o->options.plan) * n;
        status = nn_backward(o->options.plan, .scale = sign * n / (double)o->samples,
                             .clear = clear && pass == 0);
    }
    *loss /= (double)o->samples;
    return status;
}

/* Points param->grad to `to`, whose NULLs are left out; and back. */
static void redirect(struct objective *o, float *const *to)
{
    for (int i = 0; i < o->count; i++) {
        o->grad[i] = o->param[i].grad;
        o->param[i].grad = o->grad[i] ? to[i] : NULL;
    }
}

static void direct_back(struct objective *o)
{
    for (int i = 0; i < o->count; i++)
        o->param[i].grad = o->grad[i];
}

/* ---- Along a vector ---- */

static double norm_of(const struct objective *o, const float *const *v)
{
    double sum = 0;
    for (int i = 0; i < o->count; i++)
        for (int64_t k = 0; k < o->param[i].size && o->param[i].grad && v[i]; k++)
            sum += (double)v[i][k] * (double)v[i][k];
    return sqrt(sum);
}

static void keep_values(struct objective *o)
{
    for (int i = 0; i < o->count; i++)
        if (o->param[i].grad)
            memcpy(o->value[i], o->param[i].value, (size_t)o->param[i].size * sizeof(float));
}

/* values = kept + h v */
static void move(struct objective *o, double h, const float *const *v)
{
    for (int i = 0; i < o->count; i++) {
        struct descent_param *param = &o->param[i];
        if (!o->value[i] || !v[i])
            continue;
        for (int64_t k = 0; k < param->size; k++)
            param->value[k] = o->value[i][k] + (float)h * v[i][k];
        param->version++;
    }
}

/* How far to step along v for a central difference: the cube root of the precision, in norms of the
 * parameters. 0 where v is 0. */
static double step_along(struct objective *o, const float *const *v)
{
    double length = norm_of(o, v);
    keep_values(o);
    double size = norm_of(o, (const float *const *)o->value);
    return length > 0 ? cbrt((double)FLT_EPSILON) * (size > 0 ? size : 1) / length : 0;
}

static void scale(const struct objective *o, double factor, float *const *v)
{
    for (int i = 0; i < o->count; i++)
        for (int64_t k = 0; k < o->param[i].size && o->param[i].grad && v[i]; k++)
            v[i][k] = (float)factor * v[i][k];
}

/* ---- What is served ---- */

static enum descent_status known_loss(void *context, double *loss)
{
    *loss = ((const struct objective *)context)->loss;
    return DESCENT_OK;
}

static enum descent_status evaluate(void *context, double *loss)
{
    struct objective *o = context;
    return finish(o, add_gradients(o, 1, true, loss));
}

/* (g(x + h v) - g(x - h v)) / 2h */
static enum descent_status hessian_vector(void *context, const float *const *v, float *const *product)
{
    struct objective *o = context;
    double h = step_along(o, v), loss;
    redirect(o, product);
    move(o, -h, v);
    enum descent_status status = add_gradients(o, -1, true, &loss);
    move(o, h, v);
    if (!status)
        status = add_gradients(o, 1, false, &loss);
    move(o, 0, v);
    direct_back(o);
    scale(o, h > 0 ? 1 / (2 * h) : 0, product);
    return finish(o, status);
}

/* p of a sample's logits, in place. */
static void softmax(float *p, int64_t count)
{
    double largest = -INFINITY, sum = 0;
    for (int64_t j = 0; j < count; j++)
        largest = fmax(largest, (double)p[j]);
    for (int64_t j = 0; j < count; j++)
        sum += exp((double)p[j] - largest);
    for (int64_t j = 0; j < count; j++)
        p[j] = (float)(exp((double)p[j] - largest) / sum);
}

/* u = L w, L the Hessian of a sample's loss in its output y. */
static void curve(const struct objective *o, const float *y, const float *w, float *u)
{
    double mean = 0;
    if (o->options.loss == OBJECTIVE_SQUARED) {
        for (int64_t j = 0; j < o->outputs; j++)
            u[j] = 2 * w[j] / (float)o->outputs;
        return;
    }
    memcpy(u, y, (size_t)o->outputs * sizeof *u);
    softmax(u, o->outputs);
    for (int64_t j = 0; j < o->outputs; j++)
        mean += (double)u[j] * (double)w[j];
    for (int64_t j = 0; j < o->outputs; j++)
        u[j] *= w[j] - (float)mean;
}

static const float *output_of(const struct objective *o)
{
    return nn_value(o->options.plan, o->options.output);
}

/* One pass of J^T L J v: J v from the outputs at both sides, the rest backward from where v starts. */
static enum descent_status add_gauss_newton(struct objective *o, int pass, double h, const float *const *v)
{
    int n;
    move(o, -h, v);
    enum descent_status status = forward(o, pass, &n);
    int64_t count = n * o->outputs;
    if (!status)
        memcpy(o->jv, output_of(o), (size_t)count * sizeof *o->jv);
    move(o, h, v);
    if (!status)
        status = repeat(o, pass, n);
    for (int64_t k = 0; k < count && !status; k++)
        o->jv[k] = (float)(((double)output_of(o)[k] - (double)o->jv[k]) / (2 * h));
    move(o, 0, v);
    if (!status)
        status = repeat(o, pass, n);
    if (status)
        return status;
    for (int i = 0; i < n; i++)
        curve(o, output_of(o) + i * o->outputs, o->jv + i * o->outputs, o->u + i * o->outputs);
    return nn_backward(o->options.plan, .from = o->options.output, .gradient = o->u,
                       .scale = 1 / (double)o->samples, .clear = pass == 0);
}

static enum descent_status gauss_newton_vector(void *context, const float *const *v, float *const *product)
{
    struct objective *o = context;
    double h = step_along(o, v);
    enum descent_status status = DESCENT_OK;
    redirect(o, product);
    for (int pass = 0; pass < o->passes && h > 0 && !status; pass++)
        status = add_gauss_newton(o, pass, h, v);
    direct_back(o);
    if (h == 0)
        for (int i = 0; i < o->count; i++)
            if (o->param[i].grad && product[i])
                memset(product[i], 0, (size_t)o->param[i].size * sizeof(float));
    return finish(o, status);
}

/* The gradient of a sample's loss in its output y, on a label drawn from what the model predicts: a class,
 * or y and noise such that the gradient's second moment is L again. */
static void draw(const struct objective *o, struct descent_random *random, const float *y, float *u)
{
    if (o->options.loss == OBJECTIVE_SQUARED) {
        for (int64_t j = 0; j < o->outputs; j++)
            u[j] = (float)(sqrt(2 / (double)o->outputs) * descent_random_normal(random));
        return;
    }
    memcpy(u, y, (size_t)o->outputs * sizeof *u);
    softmax(u, o->outputs);
    double at = descent_random_uniform(random), sum = (double)u[0];
    int64_t drawn = 0;
    while (drawn < o->outputs - 1 && sum <= at)
        sum += (double)u[++drawn];
    u[drawn] -= 1;
}

/* One pass forward, and in u the gradients of its samples' own losses on labels drawn. */
static enum descent_status draw_pass(struct objective *o, int pass, int *n)
{
    enum descent_status status = forward(o, pass, n);
    struct descent_random random =
        descent_random_new(o->options.seed, DESCENT_RANDOM_LABELS, o->first + (uint64_t)pass);
    for (int i = 0; i < *n && !status; i++)
        draw(o, &random, output_of(o) + i * o->outputs, o->u + i * o->outputs);
    return status;
}

static enum descent_status sampled_gradient(void *context, double *batch)
{
    struct objective *o = context;
    enum descent_status status = DESCENT_OK;
    for (int pass = 0; pass < o->passes && !status; pass++) {
        int n;
        status = draw_pass(o, pass, &n);
        if (!status)
            status = nn_backward(o->options.plan, .from = o->options.output, .gradient = o->u,
                                 .scale = 1 / (double)o->samples, .clear = pass == 0);
    }
    *batch = (double)o->samples;
    return finish(o, status);
}

/* ---- Kronecker factors ---- */

/* The inputs of the layer at an output position, in the order of its weights (channel, row, column), and a
 * 1 for the bias. */
static void unfold(const struct nn_linear_layer *l, const float *x, int row, int column, float *to)
{
    for (int c = 0; c < l->in.channels; c++)
        for (int i = 0; i < l->kernel; i++)
            for (int j = 0; j < l->kernel; j++) {
                int y = row * l->stride + i * l->dilation - l->padding;
                int z = column * l->stride + j * l->dilation - l->padding;
                bool inside = y >= 0 && y < l->in.height && z >= 0 && z < l->in.width;
                *to++ = inside ? x[((int64_t)y * l->in.width + z) * l->in.channels + c] : 0;
            }
    if (l->bias >= 0)
        *to = 1;
}

/* A += rows_a^T rows_a / (samples positions), S += rows_s^T rows_s / samples */
static void multiply_rows(struct objective *o, const struct factors *f, int rows)
{
    int in = (int)f->inputs, out = (int)f->outputs, positions = f->layer.out.height * f->layer.out.width;
    double samples = (double)o->samples;
    descent_sgemm(true, false, in, in, rows, (float)(1 / (samples * positions)), o->rows_a, in, o->rows_a,
                  in, 1, f->a, in);
    descent_sgemm(true, false, out, out, rows, (float)(1 / samples), o->rows_s, out, o->rows_s, out, 1,
                  f->s, out);
}

static void add_factors(void *context, int i, const struct nn_linear_layer *l)
{
    struct objective *o = context;
    const struct factors *f = &o->factors[i];
    int rows = 0;
    for (int s = 0; s < l->n; s++)
        for (int row = 0; row < l->out.height; row++)
            for (int column = 0; column < l->out.width; column++) {
                int64_t position = ((int64_t)s * l->out.height + row) * l->out.width + column;
                unfold(l, l->x + s * size_of(l->in), row, column, o->rows_a + rows * f->inputs);
                memcpy(o->rows_s + rows * f->outputs, l->dy + position * f->outputs,
                       (size_t)f->outputs * sizeof(float));
                if (++rows == ROWS) {
                    multiply_rows(o, f, rows);
                    rows = 0;
                }
            }
    multiply_rows(o, f, rows);
}

/* All factors, of the current values. */
static enum descent_status sweep(struct objective *o)
{
    enum descent_status status = DESCENT_OK;
    for (int i = 0; i < o->layers; i++) {
        const struct factors *f = &o->factors[i];
        memset(f->a, 0, (size_t)(f->inputs * f->inputs) * sizeof *f->a);
        memset(f->s, 0, (size_t)(f->outputs * f->outputs) * sizeof *f->s);
    }
    redirect(o, o->none);
    for (int pass = 0; pass < o->passes && !status; pass++) {
        int n;
        status = draw_pass(o, pass, &n);
        if (!status)
            status = nn_backward(o->options.plan, .from = o->options.output, .gradient = o->u,
                                 .visit = add_factors, .context = o);
    }
    direct_back(o);
    return finish(o, status);
}

/* Asking for the first layer's makes those of all; others are then at hand. */
static enum descent_status layer_factors(void *context, int i, struct optim_layer *layer, float *a,
                                         float *s)
{
    struct objective *o = context;
    if (i < 0 || i >= o->layers)
        return DESCENT_NOT_FOUND;
    const struct factors *f = &o->factors[i];
    *layer = (struct optim_layer){
        .weight = f->layer.weight, .bias = f->layer.bias, .inputs = f->inputs, .outputs = f->outputs};
    if (!a || !s)
        return DESCENT_OK;
    enum descent_status status = i == 0 || !o->swept ? sweep(o) : DESCENT_OK;
    o->swept = !status;
    if (status)
        return status;
    memcpy(a, f->a, (size_t)(f->inputs * f->inputs) * sizeof *a);
    memcpy(s, f->s, (size_t)(f->outputs * f->outputs) * sizeof *s);
    return DESCENT_OK;
}

/* ---- Making one ---- */

static bool make_factors(struct objective *o)
{
    struct nn_linear_layer layer;
    int64_t inputs = 1, outputs = 1;
    while (nn_linear_layer(o->options.plan, o->layers, &layer))
        o->layers++;
    o->factors = descent_arena_alloc(o->arena, (size_t)o->layers * sizeof *o->factors);
    for (int i = 0; i < o->layers && o->factors; i++) {
        struct factors *f = &o->factors[i];
        nn_linear_layer(o->options.plan, i, &f->layer);
        f->inputs =
            (int64_t)f->layer.in.channels * f->layer.kernel * f->layer.kernel + (f->layer.bias >= 0);
        f->outputs = f->layer.out.channels;
        f->a = descent_arena_alloc(o->arena, (size_t)(f->inputs * f->inputs) * sizeof *f->a);
        f->s = descent_arena_alloc(o->arena, (size_t)(f->outputs * f->outputs) * sizeof *f->s);
        if (!f->a || !f->s)
            return false;
        inputs = f->inputs > inputs ? f->inputs : inputs;
        outputs = f->outputs > outputs ? f->outputs : outputs;
    }
    o->rows_a = descent_arena_alloc(o->arena, (size_t)(ROWS * inputs) * sizeof *o->rows_a);
    o->rows_s = descent_arena_alloc(o->arena, (size_t)(ROWS * outputs) * sizeof *o->rows_s);
    return o->factors && o->rows_a && o->rows_s;
}

static bool make(struct objective *o)
{
    const unsigned products = OPTIM_NEEDS_HESSIAN_VECTOR | OPTIM_NEEDS_GAUSS_NEWTON_VECTOR;
    size_t pointers = (size_t)o->count * sizeof *o->grad;
    size_t outputs = (size_t)(o->options.batch * o->outputs) * sizeof *o->u;
    o->value = descent_arena_alloc(o->arena, pointers);
    o->grad = descent_arena_alloc(o->arena, pointers);
    o->none = descent_arena_alloc(o->arena, pointers);
    o->u = descent_arena_alloc(o->arena, outputs);
    o->jv = descent_arena_alloc(o->arena, outputs);
    if (!o->value || !o->grad || !o->none || !o->u || !o->jv)
        return false;
    for (int i = 0; i < o->count && o->options.needs & products; i++)
        if (o->param[i].grad &&
            !(o->value[i] = descent_arena_alloc(o->arena, (size_t)o->param[i].size * sizeof(float))))
            return false;
    return !(o->options.needs & OPTIM_NEEDS_LAYER_FACTORS) || make_factors(o);
}

struct objective *objective_new(const struct objective_options *options)
{
    struct descent_arena *arena = descent_arena_new();
    struct objective *o = arena ? descent_arena_alloc(arena, sizeof *o) : NULL;
    if (o) {
        o->arena = arena;
        o->options = *options;
        o->outputs = size_of(nn_shape_of(options->output));
        o->param = nn_params(options->graph, &o->count);
        o->served = (struct optim_objective){.context = o,
                                             .loss = known_loss,
                                             .evaluate = evaluate,
                                             .hessian_vector = hessian_vector,
                                             .gauss_newton_vector = gauss_newton_vector,
                                             .sampled_gradient = sampled_gradient,
                                             .layer_factors = layer_factors};
    }
    if (o && make(o))
        return o;
    descent_arena_free(arena);
    return NULL;
}

void objective_free(struct objective *objective)
{
    if (objective)
        descent_arena_free(objective->arena);
}

const struct optim_objective *objective_served(struct objective *objective)
{
    return &objective->served;
}

void objective_begin(struct objective *objective)
{
    objective->first = nn_step(objective->options.plan);
}

void objective_end(struct objective *objective, int passes, int64_t samples, double loss)
{
    objective->passes = passes;
    objective->samples = samples;
    objective->loss = loss;
    objective->swept = false;
}
