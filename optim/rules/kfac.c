/* K-FAC: natural gradient descent with a layer's Fisher matrix taken for the Kronecker product of two small
 * ones, of the layer's inputs and of the gradients of its outputs. Martens & Grosse 2015, arXiv:1503.05671;
 * Grosse & Martens 2016, arXiv:1602.01407 (convolutions). */
#include "optim/rules/matrix.h"

enum {
    LR,
    MOMENTUM,
    DAMPING,
    STAT_DECAY,
    KL_CLIP,
    FACTORS_EVERY,
    INVERSE_EVERY,
    MAX_DIM,
    DECAY_AFTER,
    WEIGHT_DECAY,
    DECAY_ALL,
    HYPERPARAMETERS
};

static const struct descent_option options[] = {
    [LR] = OPTIM_LR("1e-3", 3e-5, 3e-2),
    [MOMENTUM] = OPTIM_RATE("momentum", "0.9", 0.7, 0.99, "share of the last step that goes on"),
    [DAMPING] = OPTIM_POSITIVE("damping", "1e-3", false, 3e-5, 3e-2, "added to the eigenvalues of A x S"),
    [STAT_DECAY] = OPTIM_RATE("stat_decay", "0.95", 0, 0, "decay rate of the averages A and S"),
    [KL_CLIP] = OPTIM_POSITIVE("kl_clip", "1e-3", false, 0, 0,
                               "largest step in units of the Fisher matrix; 0: do not clip"),
    [FACTORS_EVERY] = MATRIX_COUNT("factors_every", "10", 1, "steps between new factors in the averages"),
    [INVERSE_EVERY] = MATRIX_COUNT("inverse_every", "100", 1, "steps between new eigendecompositions"),
    [MAX_DIM] =
        MATRIX_MAX_DIM("max_dim", "4096", 0, "layers with more inputs or outputs are left to momentum"),
    [DECAY_AFTER] = MATRIX_COUNT("decay_after", "200", 0, "steps before weight decay begins"),
    [WEIGHT_DECAY] = OPTIM_WEIGHT_DECAY("0", 0, 0),
    [DECAY_ALL] = OPTIM_DECAY_ALL,
};

/* One of a layer's two factors, and its eigenvectors (columns) and eigenvalues; n x n and n. */
struct factor {
    int n;
    descent_real *average, *vectors, *values; /* state */
    descent_real *now;                        /* of this mini-batch */
};

/* A weight, and what it is part of in this step. Its matrix has a column for the bias, used or not. */
struct layer {
    int rows, columns;
    struct factor a, s;
    descent_real *grad, *other, *work; /* rows x columns; 2 n x n and n, n the longer */
    struct optim_tensor *bias;         /* or NULL */
    bool active, with_bias, renew; /* has factors; A's last row is the bias's; the eigenvectors are old */
    double product;                /* <V, G> lr^2 */
};

/* Of every tensor: NULL for what is no layer's weight. */
static struct layer *layer_of(const struct optim_tensor *t)
{
    return t->own;
}

static enum descent_status init_factor(struct optim_run *run, struct optim_tensor *t, struct factor *f,
                                       int n, const char *const *names)
{
    const int64_t shape[] = {n, n};
    f->n = n;
    f->average = optim_state(run, t, names[0], OPTIM_REAL, 2, shape);
    f->vectors = optim_state(run, t, names[1], OPTIM_REAL, 2, shape);
    f->values = optim_state(run, t, names[2], OPTIM_REAL, 1, shape);
    f->now = matrix_scratch(run, (int64_t)n * n);
    if (!f->average || !f->vectors || !f->values || !f->now)
        return DESCENT_OUT_OF_MEMORY;
    for (int i = 0; i < n; i++)
        f->average[i * n + i] = 1;
    return DESCENT_OK;
}

static enum descent_status init_layer(struct optim_run *run, struct optim_tensor *t)
{
    static const char *const a[] = {"A", "QA", "dA"}, *const s[] = {"S", "QS", "dS"};
    int rows = matrix_rows(t->param), columns = matrix_columns(t->param) + 1;
    int64_t n = rows > columns ? rows : columns, size = (int64_t)rows * columns;
    if (t->param->kind != DESCENT_WEIGHT || t->param->rank < 2 || (double)n > t->hyper[MAX_DIM].number)
        return DESCENT_OK;
    struct layer *layer = t->own = optim_scratch(run, sizeof *layer);
    if (!layer)
        return DESCENT_OUT_OF_MEMORY;
    layer->rows = rows;
    layer->columns = columns;
    layer->grad = matrix_scratch(run, size);
    layer->other = matrix_scratch(run, size);
    layer->work = matrix_scratch(run, (2 * n + 1) * n);
    enum descent_status status = init_factor(run, t, &layer->a, columns, a);
    if (!status)
        status = init_factor(run, t, &layer->s, rows, s);
    return status                                       ? status
           : layer->grad && layer->other && layer->work ? DESCENT_OK
                                                        : DESCENT_OUT_OF_MEMORY;
}

static enum descent_status init(struct optim_run *run)
{
    enum descent_status status = DESCENT_OK;
    for (int i = 0; i < run->count && !status; i++) {
        struct optim_tensor *t = run->tensor[i];
        t->slot[MATRIX_DIRECTION] = matrix_scratch(run, t->param->size);
        status = t->slot[MATRIX_DIRECTION] ? init_layer(run, t) : DESCENT_OUT_OF_MEMORY;
    }
    return status;
}

/* --- The objective's layers. --- */

static struct optim_tensor *find(const struct optim_run *run, int index)
{
    for (int i = 0; i < run->count && index >= 0; i++)
        if (run->tensor[i]->index == index)
            return run->tensor[i];
    return NULL;
}

/* Whether `t` has new factors in this step; the first step has. */
static bool is_due(const struct optim_run *run, const struct optim_tensor *t, int every)
{
    return (run->step - 1) % (int64_t)t->hyper[every].number == 0;
}

/* average <- decay average + (1 - decay) now, which is n x n of the average's first rows and columns */
static void add_to_average(struct factor *f, int n, double decay)
{
    descent_real keep = (descent_real)decay, new = (descent_real)(1 - decay);
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) {
            descent_real *to = &f->average[i * f->n + j];
            *to = keep * *to + new * f->now[i * n + j];
        }
}

/* The i-th of the objective's layers, its factors included if they are due. */
static enum descent_status see_layer(struct optim_run *run, int i)
{
    const struct optim_objective *objective = run->objective;
    struct optim_layer found;
    enum descent_status status = objective->layer_factors(objective->context, i, &found, NULL, NULL);
    struct optim_tensor *t = status ? NULL : find(run, found.weight);
    if (status || !t || !layer_of(t))
        return status; /* frozen, another algorithm's or too large */
    struct layer *layer = layer_of(t);
    bool with_bias = found.inputs == layer->columns;
    if (found.outputs != layer->rows || found.inputs != layer->columns - !with_bias)
        return descent_fail(DESCENT_MISMATCH, "%s is %d x %d; its layer's factors are for %lld x %lld",
                            t->param->name, layer->rows, layer->columns - 1, (long long)found.outputs,
                            (long long)found.inputs);
    layer->active = true;
    layer->bias = find(run, found.bias);
    layer->with_bias = layer->bias && with_bias;
    if (!is_due(run, t, FACTORS_EVERY))
        return DESCENT_OK;
    status = objective->layer_factors(objective->context, i, &found, layer->a.now, layer->s.now);
    if (status)
        return status;
    add_to_average(&layer->a, (int)found.inputs, t->hyper[STAT_DECAY].number);
    add_to_average(&layer->s, layer->rows, t->hyper[STAT_DECAY].number);
    return DESCENT_OK;
}

static enum descent_status see_layers(struct optim_run *run)
{
    for (int i = 0; i < run->count; i++)
        if (layer_of(run->tensor[i]))
            layer_of(run->tensor[i])->active = false;
    for (int i = 0;; i++) {
        enum descent_status status = see_layer(run, i);
        if (status)
            return status == DESCENT_NOT_FOUND ? DESCENT_OK : status;
    }
}

/* --- The natural gradient. --- */

/* Of the first n rows and columns. What is 0 but for rounding counts as 0. */
static enum descent_status decompose(struct factor *f, int n, descent_real *work)
{
    for (int i = 0; i < n; i++)
        memcpy(work + i * n, f->average + i * f->n, (size_t)n * sizeof *work);
    enum descent_status status = matrix_eigh(n, work, f->values, f->vectors);
    for (int i = 0; i < n && !status; i++)
        if (f->values[i] < (descent_real)1e-10)
            f->values[i] = 0;
    return status;
}

/* The layer's gradient as one matrix, the bias's in its last column. */
static void gather(struct optim_tensor *t, int columns)
{
    const struct layer *layer = t->own;
    const descent_real *g = t->param->grad;
    int inputs = layer->columns - 1;
    for (int i = 0; i < layer->rows; i++) {
        descent_real *row = layer->grad + i * columns;
        for (int j = 0; j < inputs; j++)
            row[j] = (descent_real)t->grad_scale * g[i * inputs + j];
        if (layer->with_bias)
            row[inputs] = (descent_real)layer->bias->grad_scale * layer->bias->param->grad[i];
    }
}

static void scatter(struct optim_tensor *t, int columns)
{
    const struct layer *layer = t->own;
    int inputs = layer->columns - 1;
    for (int i = 0; i < layer->rows; i++) {
        const descent_real *row = layer->grad + i * columns;
        memcpy(t->slot[MATRIX_DIRECTION] + i * inputs, row, (size_t)inputs * sizeof *row);
        if (layer->with_bias)
            layer->bias->slot[MATRIX_DIRECTION][i] = row[inputs];
    }
}

/* V = QS [(QS' G QA) / (dS dA' + damping)] QA'; where that is 0 / 0, 0. Returns <V, G>, the sum of squares
 * in the eigenbasis. */
static double precondition(struct layer *layer, int columns, double damping)
{
    const descent_real *qs = layer->s.vectors, *qa = layer->a.vectors;
    descent_real *g = layer->grad, *other = layer->other;
    int rows = layer->rows;
    double product = 0;
    matrix_gemm(true, false, rows, columns, rows, 1, qs, rows, g, columns, 0, other, columns);
    matrix_gemm(false, false, rows, columns, columns, 1, other, columns, qa, columns, 0, g, columns);
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < columns; j++) {
            double x = (double)g[i * columns + j],
                   fisher = (double)layer->s.values[i] * (double)layer->a.values[j] + damping,
                   scaled = fisher > 0 ? x / fisher : 0;
            product += scaled * x;
            g[i * columns + j] = (descent_real)scaled;
        }
    matrix_gemm(false, false, rows, columns, rows, 1, qs, rows, g, columns, 0, other, columns);
    matrix_gemm(false, true, rows, columns, columns, 1, other, columns, qa, columns, 0, g, columns);
    return product;
}

static void visit(struct optim_tensor *t)
{
    struct layer *layer = t->own;
    if (!layer || !layer->active)
        return;
    int columns = layer->columns - !layer->with_bias;
    if (layer->renew) {
        t->status = decompose(&layer->a, columns, layer->work);
        if (!t->status)
            t->status = decompose(&layer->s, layer->rows, layer->work);
    }
    if (t->status)
        return;
    gather(t, columns);
    layer->product = precondition(layer, columns, t->hyper[DAMPING].number) * t->lr * t->lr;
    scatter(t, columns);
}

/* --- The step. --- */

enum { MU, PRECONDITIONED };

/* b <- momentum b + g, g as preconditioned;  d = b */
OPTIM_INLINE descent_real rule(const descent_real *k, struct optim_element *e)
{
    e->s[0] = k[MU] * e->s[0] + e->g;
    return e->s[0];
}

/* Where there is a direction, it is what the loop takes for the gradient. */
static void loop(struct optim_part *part)
{
    struct descent_param param = *part->tensor->param;
    struct optim_tensor tensor = *part->tensor;
    struct optim_part piece = *part;
    if (tensor.k[PRECONDITIONED] != 0)
        param.grad = tensor.slot[MATRIX_DIRECTION];
    tensor.param = &param;
    piece.tensor = &tensor;
    optim_elementwise(&piece, 1, rule);
    part->sum = piece.sum;
}

static void set_scalars(struct optim_run *run, struct optim_tensor *t)
{
    struct layer *layer = layer_of(t);
    t->k[MU] = (descent_real)t->hyper[MOMENTUM].number;
    t->k[PRECONDITIONED] = 0;
    if ((double)run->step <= t->hyper[DECAY_AFTER].number)
        t->l2 = 0;
    if (layer)
        layer->renew =
            is_due(run, t, INVERSE_EVERY) || matrix_is_zero(layer->s.vectors, layer->rows); /* none yet */
}

/* The part of the natural gradient that is stepped along: as much as the KL clip lets pass. */
static void set_natural(struct optim_tensor *t, double total)
{
    const struct layer *layer = layer_of(t);
    double limit = t->hyper[KL_CLIP].number, part = 1;
    if (!layer || !layer->active)
        return;
    if (limit > 0 && total > limit)
        part = sqrt(limit / total);
    t->k[PRECONDITIONED] = 1;
    t->grad_scale = part;
    if (layer->with_bias) {
        layer->bias->k[PRECONDITIONED] = 1;
        layer->bias->grad_scale = part;
    }
}

static enum descent_status step(struct optim_run *run)
{
    enum descent_status status = see_layers(run);
    double total = 0;
    if (status)
        return status;
    for (int i = 0; i < run->count; i++)
        set_scalars(run, run->tensor[i]);
    status = matrix_for_tensors(run, visit);
    if (status)
        return status;
    for (int i = 0; i < run->count; i++) {
        const struct layer *layer = layer_of(run->tensor[i]);
        if (layer && layer->active)
            total += layer->product;
    }
    for (int i = 0; i < run->count; i++)
        set_natural(run->tensor[i], total);
    optim_for_parts(run, loop);
    return DESCENT_OK;
}

const struct optim_algorithm OPTIM_ALGORITHM(kfac) = {
    .name = "kfac",
    .summary = "natural gradient: each layer's Fisher matrix as a product of two small ones",
    .answers = OPTIM_CURVATURE,
    .paper = "Martens & Grosse 2015, arXiv:1503.05671; Grosse & Martens 2016, arXiv:1602.01407",
    .formula =
        "of each layer y = W a, the bias being W's last column, at times:\n"
        "    A <- stat_decay A + (1 - stat_decay) E[a a'],  A = I at first\n"
        "    S <- stat_decay S + (1 - stat_decay) E[s s'],  s the gradient in y on sampled labels\n"
        "    A = QA diag(dA) QA',  S = QS diag(dS) QS'\n"
        "V = QS [(QS' G QA) / (dS dA' + damping)] QA'\n"
        "nu = min(1, sqrt(kl_clip / sum over layers of lr^2 <V, G>))\n"
        "b <- momentum b + nu V + weight_decay x, decay only after decay_after steps\n"
        "x <- x - lr b\n"
        "Parameters of no such layer: plain momentum. The form of alecwangcq/KFAC-Pytorch; the paper\n"
        "adapts damping and momentum, and takes the inverse of A + pi sqrt(damping) I and S likewise.\n"
        "For lenet5 with batches of 64: damping=0.03.\n",
    .options = options,
    .option_count = HYPERPARAMETERS,
    .decay = OPTIM_COUPLED,
    .needs = OPTIM_NEEDS_LAYER_FACTORS,
    .slots = {"b"},
    .init = init,
    .step = step,
};
