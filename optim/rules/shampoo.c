/* Shampoo: the full-matrix Adagrad that a tensor's shape allows: one matrix an axis, of the gradients'
 * covariances along it. Gupta, Koren & Singer 2018, arXiv:1802.09568. */
#include "optim/rules/matrix.h"

enum { LR, EPS, EVERY, MAX_DIM, WEIGHT_DECAY, DECAY_ALL, HYPERPARAMETERS };

static const struct descent_option options[] = {
    [LR] = OPTIM_LR("0.1", 3e-3, 3),
    [EPS] = OPTIM_POSITIVE("eps", "1e-4", true, 0, 0, "what is on the diagonals at first"),
    [EVERY] = MATRIX_COUNT("every", "20", 1,
                           "steps between new roots; at first fewer: a sixteenth of those done"),
    [MAX_DIM] = MATRIX_MAX_DIM("max_dim", "1024", 0, "of longer axes only the diagonal is kept"),
    [WEIGHT_DECAY] = OPTIM_WEIGHT_DECAY("0", 0, 0),
    [DECAY_ALL] = OPTIM_DECAY_ALL,
};

struct shampoo {
    int count;
    struct matrix_axis axis[DESCENT_MAX_RANK];
    bool diagonal[DESCENT_MAX_RANK]; /* P and its root are n, not n x n */
    descent_real *gram[DESCENT_MAX_RANK], *root[DESCENT_MAX_RANK];
    descent_real *other, *work; /* of the tensor's size; for matrix_power */
    bool refresh;
};

static enum descent_status init_axis(struct optim_run *run, struct optim_tensor *t, int i)
{
    static const char *const grams[] = {"P1", "P2", "P3", "P4"}, *const roots[] = {"root1", "root2",
                                                                                   "root3", "root4"};
    struct shampoo *own = t->own;
    int n = own->axis[i].n;
    own->diagonal[i] = n > t->hyper[MAX_DIM].number;
    int rank = own->diagonal[i] ? 1 : 2;
    own->gram[i] = optim_state(run, t, grams[i], OPTIM_REAL, rank, (int64_t[]){n, n});
    own->root[i] = optim_state(run, t, roots[i], OPTIM_REAL, rank, (int64_t[]){n, n});
    return own->gram[i] && own->root[i] ? DESCENT_OK : DESCENT_OUT_OF_MEMORY;
}

static enum descent_status init_tensor(struct optim_run *run, struct optim_tensor *t)
{
    struct shampoo *own = t->own = optim_scratch(run, sizeof *own);
    if (!own)
        return DESCENT_OUT_OF_MEMORY;
    own->count = matrix_axes(t->param, own->axis);
    enum descent_status status = DESCENT_OK;
    int64_t longest = 0;
    for (int i = 0; i < own->count && !status; i++) {
        status = init_axis(run, t, i);
        if (!own->diagonal[i] && own->axis[i].n > longest)
            longest = own->axis[i].n;
    }
    own->work = matrix_scratch(run, matrix_power_work(longest));
    own->other = matrix_scratch(run, t->param->size);
    t->slot[MATRIX_DIRECTION] = matrix_scratch(run, t->param->size);
    return status                                                 ? status
           : own->work && own->other && t->slot[MATRIX_DIRECTION] ? DESCENT_OK
                                                                  : DESCENT_OUT_OF_MEMORY;
}

static enum descent_status init(struct optim_run *run)
{
    enum descent_status status = DESCENT_OK;
    for (int i = 0; i < run->count && !status; i++)
        status = init_tensor(run, run->tensor[i]);
    return status;
}

/* The squares of a diagonal P. */
static void add_squares(const struct matrix_axis *axis, const descent_real *x, descent_real *squares)
{
    for (int b = 0; b < axis->before; b++)
        for (int j = 0; j < axis->n; j++, x += axis->after) {
            double sum = 0;
            for (int i = 0; i < axis->after; i++)
                sum += (double)x[i] * (double)x[i];
            squares[j] += (descent_real)sum;
        }
}

static void multiply_diagonal(const struct matrix_axis *axis, const descent_real *root, descent_real *x)
{
    for (int b = 0; b < axis->before; b++)
        for (int j = 0; j < axis->n; j++, x += axis->after)
            for (int i = 0; i < axis->after; i++)
                x[i] *= root[j];
}

static enum descent_status new_root(const struct optim_tensor *t, int i)
{
    const struct shampoo *own = t->own;
    double eps = t->hyper[EPS].number, power = -0.5 / own->count;
    if (!own->diagonal[i])
        return matrix_power(own->axis[i].n, own->gram[i], 1, eps, power, own->work, own->root[i]);
    for (int j = 0; j < own->axis[i].n; j++)
        own->root[i][j] = (descent_real)pow((double)own->gram[i][j] + eps, power);
    return DESCENT_OK;
}

static void visit(struct optim_tensor *t)
{
    struct shampoo *own = t->own;
    descent_real *g = t->slot[MATRIX_DIRECTION], scale = (descent_real)t->grad_scale;
    for (int64_t i = 0; i < t->param->size; i++)
        g[i] = scale * t->param->grad[i];
    for (int i = 0; i < own->count && !t->status; i++) {
        if (own->diagonal[i])
            add_squares(&own->axis[i], g, own->gram[i]);
        else
            matrix_add_gram(&own->axis[i], g, 1, 1, own->gram[i]);
        if (own->refresh)
            t->status = new_root(t, i);
    }
    for (int i = 0; i < own->count && !t->status; i++) {
        descent_real *x = t->slot[MATRIX_DIRECTION];
        if (own->diagonal[i]) {
            multiply_diagonal(&own->axis[i], own->root[i], x);
            continue;
        }
        matrix_multiply_axis(&own->axis[i], false, own->root[i], x, own->other);
        t->slot[MATRIX_DIRECTION] = own->other;
        own->other = x;
    }
}

static enum descent_status step(struct optim_run *run)
{
    for (int i = 0; i < run->count; i++) {
        struct shampoo *own = run->tensor[i]->own;
        double every = fmin(run->tensor[i]->hyper[EVERY].number, (double)(run->step / 16));
        own->refresh = every <= 1 || run->step % (int64_t)every == 0 ||
                       matrix_is_zero(own->root[0], own->axis[0].n); /* none yet */
    }
    enum descent_status status = matrix_for_tensors(run, visit);
    if (!status)
        optim_for_parts(run, matrix_step);
    return status;
}

const struct optim_algorithm OPTIM_ALGORITHM(shampoo) = {
    .name = "shampoo",
    .summary = "Adagrad with a matrix for each axis of a tensor instead of a number for each element",
    .answers = OPTIM_CURVATURE,
    .paper = "Gupta, Koren & Singer 2018, arXiv:1802.09568",
    .formula = "for each axis i of k:\n"
               "    P_i <- P_i + G_i G_i', G_i the gradient with axis i as rows; P_i = eps I at first\n"
               "    g <- P_i^(-1/(2k)) along axis i\n"
               "x <- x (1 - lr weight_decay) - lr g\n"
               "The paper's form: of a matrix L^(-1/4) G R^(-1/4), of a vector P^(-1/2) g; convolutions\n"
               "have four axes. Some libraries take the power -1/k and build R from what L has already\n"
               "changed. Weight decay is ours: the paper has none.\n",
    .options = options,
    .option_count = HYPERPARAMETERS,
    .decay = OPTIM_DECOUPLED,
    .init = init,
    .step = step,
};
