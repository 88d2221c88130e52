/* The objective over a network; see objective.h. Gradients of its own passes go to other memory by pointing
 * param->grad there meanwhile. */
#include "train/objective.h"

#include "base/linalg.h"
#include "base/memory.h"
#include "base/random.h"

#include <float.h>
#include <math.h>
#include <string.h>

enum {
    ROWS = 256,   /* of a layer's inputs, or output gradients, multiplied at once */
    BLOCK = 32,   /* at least so many rows of a factor, and of these, a chunk */
    SHARE = 16384 /* at least so many elements of a vector a chunk */
};

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
    int64_t size;    /* of all parameters that have copies of their values */

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

struct vector_job;
/* What is done with elements begin .. end - 1 of parameter i; adds to *sum what is to be summed. */
typedef void part_function(const struct vector_job *job, int i, int64_t begin, int64_t end, double *sum);

struct vector_job {
    struct objective *o;
    part_function *function;
    double factor;
    float *const *v; /* written to by scale_part only */
    int chunks;
    double sum[DESCENT_MAX_CHUNKS];
};

static void run_parts(void *context, int chunk, int thread)
{
    struct vector_job *job = context;
    const struct objective *o = job->o;
    int64_t begin, end, first = 0; /* in all parameters; of this one */
    (void)thread;
    descent_chunk_range(o->size, job->chunks, chunk, &begin, &end);
    for (int i = 0; i < o->count; i++) {
        int64_t size = o->value[i] ? o->param[i].size : 0;
        int64_t from = begin > first ? begin - first : 0, to = end - first < size ? end - first : size;
        if (from < to && job->v[i])
            job->function(job, i, from, to, &job->sum[chunk]);
        first += size;
    }
}

/* Over what v has of the parameters; returns the sum, taken in the order of chunks. */
static double over(struct objective *o, part_function *function, double factor, const float *const *v)
{
    struct vector_job job = {.o = o,
                             .function = function,
                             .factor = factor,
                             .v = (float *const *)v,
                             .chunks = descent_chunk_count(o->size, SHARE)};
    double sum = 0;
    descent_pool_run(o->options.pool, job.chunks, run_parts, &job);
    for (int i = 0; i < job.chunks; i++)
        sum += job.sum[i];
    return sum;
}

static void square_part(const struct vector_job *job, int i, int64_t begin, int64_t end, double *sum)
{
    for (int64_t k = begin; k < end; k++)
        *sum += (double)job->v[i][k] * (double)job->v[i][k];
}

static void keep_part(const struct vector_job *job, int i, int64_t begin, int64_t end, double *sum)
{
    (void)sum;
    memcpy(job->o->value[i] + begin, job->o->param[i].value + begin, (size_t)(end - begin) * sizeof(float));
}

static void move_part(const struct vector_job *job, int i, int64_t begin, int64_t end, double *sum)
{
    const float *from = job->o->value[i], *v = job->v[i], h = (float)job->factor;
    float *to = job->o->param[i].value;
    (void)sum;
    for (int64_t k = begin; k < end; k++)
        to[k] = from[k] + h * v[k];
}

static void scale_part(const struct vector_job *job, int i, int64_t begin, int64_t end, double *sum)
{
    (void)sum;
    for (int64_t k = begin; k < end; k++)
        job->v[i][k] *= (float)job->factor;
}

/* values = kept + h v */
static void move(struct objective *o, double h, const float *const *v)
{
    over(o, move_part, h, v);
    for (int i = 0; i < o->count; i++)
        o->param[i].version += o->value[i] && v[i];
}

/* Keeps the values; how far to step along v for a central difference: the cube root of the precision, in
 * norms of the parameters. 0 where v is 0. */
static double step_along(struct objective *o, const float *const *v)
{
    const float *const *value = (const float *const *)o->value;
    over(o, keep_part, 0, value);
    double length = sqrt(over(o, square_part, 0, v)), size = sqrt(over(o, square_part, 0, value));
    return length > 0 ? cbrt((double)FLT_EPSILON) * (size > 0 ? size : 1) / length : 0;
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
    over(o, scale_part, h > 0 ? 1 / (2 * h) : 0, (const float *const *)product);
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

/* A batch of at most ROWS rows of a layer: pairs of sample and position. */
struct rows_job {
    struct objective *o;
    const struct factors *f;
    const struct nn_linear_layer *layer;
    int64_t first;                /* of the rows, among all of the pass */
    int rows, chunks_a, chunks_s; /* chunks of A, then of S */
};

static void fill_rows(void *context, int chunk, int thread)
{
    const struct rows_job *job = context;
    const struct nn_linear_layer *l = job->layer;
    const struct factors *f = job->f;
    int64_t begin, end, positions = (int64_t)l->out.height * l->out.width;
    (void)thread;
    descent_chunk_range(job->rows, descent_chunk_count(job->rows, BLOCK), chunk, &begin, &end);
    for (int64_t r = begin; r < end; r++) {
        int64_t row = job->first + r, sample = row / positions, position = row % positions;
        unfold(l, l->x + sample * size_of(l->in), (int)(position / l->out.width),
               (int)(position % l->out.width), job->o->rows_a + r * f->inputs);
        memcpy(job->o->rows_s + r * f->outputs, l->dy + row * f->outputs,
               (size_t)f->outputs * sizeof(float));
    }
}

/* Rows begin .. end - 1 of the symmetric sum += factor rows^T rows, from the diagonal on. */
static void multiply_part(const float *rows, int count, int size, int chunks, int chunk, double factor,
                          float *sum)
{
    int64_t begin, end;
    descent_chunk_range(size, chunks, chunk, &begin, &end);
    descent_sgemm(true, false, (int)(end - begin), size - (int)begin, count, (float)factor, rows + begin,
                  size, rows + begin, size, 1, sum + begin * size + begin, size);
}

/* A += rows_a^T rows_a / (samples positions), S += rows_s^T rows_s / samples */
static void multiply_rows(void *context, int chunk, int thread)
{
    const struct rows_job *job = context;
    const struct factors *f = job->f;
    double samples = (double)job->o->samples, positions = job->layer->out.height * job->layer->out.width;
    (void)thread;
    if (chunk < job->chunks_a)
        multiply_part(job->o->rows_a, job->rows, (int)f->inputs, job->chunks_a, chunk,
                      1 / (samples * positions), f->a);
    else
        multiply_part(job->o->rows_s, job->rows, (int)f->outputs, job->chunks_s, chunk - job->chunks_a,
                      1 / samples, f->s);
}

static void add_factors(void *context, int i, const struct nn_linear_layer *l)
{
    struct objective *o = context;
    const struct factors *f = &o->factors[i];
    int64_t total = (int64_t)l->n * l->out.height * l->out.width;
    struct rows_job job = {.o = o, .f = f, .layer = l};
    job.chunks_a = descent_chunk_count(f->inputs, BLOCK);
    job.chunks_s = descent_chunk_count(f->outputs, BLOCK);
    for (; job.first < total; job.first += job.rows) {
        job.rows = total - job.first < ROWS ? (int)(total - job.first) : ROWS;
        descent_pool_run(o->options.pool, descent_chunk_count(job.rows, BLOCK), fill_rows, &job);
        descent_pool_run(o->options.pool, job.chunks_a + job.chunks_s, multiply_rows, &job);
    }
}

/* Copies what is above the diagonal below it. */
static void mirror(float *matrix, int64_t size)
{
    for (int64_t i = 0; i < size; i++)
        for (int64_t j = 0; j < i; j++)
            matrix[i * size + j] = matrix[j * size + i];
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
    for (int i = 0; i < o->layers; i++) {
        mirror(o->factors[i].a, o->factors[i].inputs);
        mirror(o->factors[i].s, o->factors[i].outputs);
    }
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
    for (int i = 0; i < o->count && o->options.needs & products; i++) {
        if (!o->param[i].grad)
            continue;
        o->value[i] = descent_arena_alloc(o->arena, (size_t)o->param[i].size * sizeof(float));
        if (!o->value[i])
            return false;
        o->size += o->param[i].size;
    }
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
