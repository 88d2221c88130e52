/* SOAP: Adam in the eigenbasis of Shampoo's matrices, where elements are less entangled. Vyas et al. 2024,
 * arXiv:2409.11321. */
#include "optim/rules/matrix.h"

enum { LR, BETA1, BETA2, EPS, EVERY, MAX_DIM, WEIGHT_DECAY, DECAY_ALL, HYPERPARAMETERS };

static const struct descent_option options[] = {
    [LR] = OPTIM_LR("3e-3", 1e-4, 0.1),
    [BETA1] =
        OPTIM_RATE("beta1", "0.95", 0.5, 0.98, "decay rate of the first moment, in the original space"),
    [BETA2] = OPTIM_RATE("beta2", "0.95", 0, 0, "decay rate of the matrices and of the second moment"),
    [EPS] = OPTIM_EPS("1e-8"),
    [EVERY] = MATRIX_COUNT("every", "10", 1, "steps between new bases"),
    [MAX_DIM] = MATRIX_MAX_DIM("max_dim", "10000", 0, "longer axes are not rotated"),
    [WEIGHT_DECAY] = OPTIM_WEIGHT_DECAY("1e-2", 5e-3, 1),
    [DECAY_ALL] = OPTIM_DECAY_ALL,
};

/* tensor->slot */
enum { M, V };

struct soap {
    int count; /* of the axes that are rotated */
    struct matrix_axis axis[DESCENT_MAX_RANK];
    descent_real *gram[DESCENT_MAX_RANK], *basis[DESCENT_MAX_RANK]; /* n x n; columns of the basis */
    descent_real *rotated, *other;                                  /* of the tensor's size */
    descent_real *work;                                             /* 2 n x n and n */
    int *order;                                                     /* n */
    int64_t t;                                                      /* of this step: 0 in the first */
};

/* Of a vector nothing is rotated. */
static enum descent_status init_axes(struct optim_run *run, struct optim_tensor *t)
{
    static const char *const grams[] = {"P1", "P2", "P3", "P4"}, *const bases[] = {"Q1", "Q2", "Q3", "Q4"};
    struct soap *own = t->own;
    struct matrix_axis all[DESCENT_MAX_RANK];
    int64_t longest = 1;
    int axes = matrix_axes(t->param, all);
    for (int i = 0; i < axes && axes > 1; i++) {
        int64_t n = all[i].n;
        if ((double)n > t->hyper[MAX_DIM].number)
            continue;
        own->axis[own->count] = all[i];
        own->gram[own->count] = optim_state(run, t, grams[i], OPTIM_REAL, 2, (int64_t[]){n, n});
        own->basis[own->count] = optim_state(run, t, bases[i], OPTIM_REAL, 2, (int64_t[]){n, n});
        if (!own->gram[own->count] || !own->basis[own->count])
            return DESCENT_OUT_OF_MEMORY;
        own->count++;
        longest = n > longest ? n : longest;
    }
    own->work = matrix_scratch(run, (2 * longest + 1) * longest);
    own->order = optim_scratch(run, (size_t)longest * sizeof *own->order);
    return own->work && own->order ? DESCENT_OK : DESCENT_OUT_OF_MEMORY;
}

static enum descent_status init(struct optim_run *run)
{
    for (int i = 0; i < run->count; i++) {
        struct optim_tensor *t = run->tensor[i];
        struct soap *own = t->own = optim_scratch(run, sizeof *own);
        if (!own || init_axes(run, t))
            return DESCENT_OUT_OF_MEMORY;
        own->rotated = matrix_scratch(run, t->param->size);
        own->other = matrix_scratch(run, t->param->size);
        t->slot[MATRIX_DIRECTION] = matrix_scratch(run, t->param->size);
        if (!own->rotated || !own->other || !t->slot[MATRIX_DIRECTION])
            return DESCENT_OUT_OF_MEMORY;
    }
    return DESCENT_OK;
}

static void swap(descent_real **a, descent_real **b)
{
    descent_real *c = *a;
    *a = *b;
    *b = c;
}

/* x in the basis, or back from it; *x and `other` change places as often as needed. */
static void rotate(struct soap *own, bool back, descent_real **x)
{
    for (int i = 0; i < own->count; i++) {
        matrix_multiply_axis(&own->axis[i], !back, own->basis[i], *x, own->other);
        swap(x, &own->other);
    }
}

static void add_grams(struct soap *own, const descent_real *g, double beta2)
{
    for (int i = 0; i < own->count; i++)
        matrix_add_gram(&own->axis[i], g, (descent_real)beta2, (descent_real)(1 - beta2), own->gram[i]);
}

/* Eigenvectors, those of the largest eigenvalues first. */
static enum descent_status first_basis(struct soap *own, int i)
{
    int n = own->axis[i].n;
    size_t size = (size_t)n * (size_t)n;
    descent_real *a = own->work, *v = a + size, *w = v + size, *q = own->basis[i];
    memcpy(a, own->gram[i], size * sizeof *a);
    enum descent_status status = matrix_eigh(n, a, w, v);
    for (int row = 0; row < n && !status; row++)
        for (int j = 0; j < n; j++)
            q[row * n + j] = v[row * n + n - 1 - j];
    return status;
}

/* order: of the columns of the basis, the largest diag(Q^T P Q) first; equal ones stay in order. pq: P Q.
 */
static void sort_columns(const struct soap *own, int i, const descent_real *pq, descent_real *size)
{
    int n = own->axis[i].n;
    for (int j = 0; j < n; j++) {
        double sum = 0;
        for (int row = 0; row < n; row++)
            sum += (double)own->basis[i][row * n + j] * (double)pq[row * n + j];
        size[j] = (descent_real)sum;
        int at = j;
        for (; at > 0 && size[own->order[at - 1]] < size[j]; at--)
            own->order[at] = own->order[at - 1];
        own->order[at] = j;
    }
}

/* y = x, its slices along an axis in the new order. */
static void reorder(const struct matrix_axis *axis, const int *order, const descent_real *x,
                    descent_real *y)
{
    size_t after = (size_t)axis->after, slice = (size_t)axis->n * after;
    for (int b = 0; b < axis->before; b++, x += slice)
        for (int j = 0; j < axis->n; j++, y += after)
            memcpy(y, x + (size_t)order[j] * after, after * sizeof *y);
}

/* One power iteration: Q <- qr(P Q), its columns sorted first, and v with them. */
static enum descent_status next_basis(struct optim_tensor *t, int i)
{
    struct soap *own = t->own;
    int n = own->axis[i].n;
    size_t size = (size_t)n * (size_t)n;
    descent_real *pq = own->work;
    matrix_gemm(false, false, n, n, n, 1, own->gram[i], n, own->basis[i], n, 0, pq, n);
    sort_columns(own, i, pq, own->work + 2 * size);
    reorder(&own->axis[i], own->order, t->slot[V], own->other);
    memcpy(t->slot[V], own->other, (size_t)t->param->size * sizeof *own->other);
    reorder(&(struct matrix_axis){n, n, 1}, own->order, pq, own->basis[i]);
    return matrix_qr(n, n, own->basis[i], NULL);
}

/* m <- beta1 m + (1 - beta1) g;  v <- beta2 v + (1 - beta2) g'^2 */
static void advance(struct optim_tensor *t, const descent_real *g)
{
    struct soap *own = t->own;
    descent_real beta1 = (descent_real)t->hyper[BETA1].number,
                 new1 = (descent_real)(1 - t->hyper[BETA1].number),
                 beta2 = (descent_real)t->hyper[BETA2].number,
                 new2 = (descent_real)(1 - t->hyper[BETA2].number);
    descent_real *restrict m = t->slot[M], *restrict v = t->slot[V];
    const descent_real *restrict rotated = own->rotated;
    for (int64_t i = 0; i < t->param->size; i++) {
        m[i] = beta1 * m[i] + new1 * g[i];
        v[i] = beta2 * v[i] + new2 * (rotated[i] * rotated[i]);
    }
}

/* The direction Q_L (m' / (sqrt(v) + eps)) Q_R^T, m' = Q_L^T m Q_R. */
static void set_direction(struct optim_tensor *t)
{
    struct soap *own = t->own;
    descent_real *d = t->slot[MATRIX_DIRECTION], eps = (descent_real)t->hyper[EPS].number;
    const descent_real *v = t->slot[V];
    memcpy(d, t->slot[M], (size_t)t->param->size * sizeof *d);
    rotate(own, false, &d);
    for (int64_t i = 0; i < t->param->size; i++)
        d[i] /= sqrt(v[i]) + eps;
    rotate(own, true, &d);
    t->slot[MATRIX_DIRECTION] = d;
}

static void visit(struct optim_tensor *t)
{
    struct soap *own = t->own;
    double beta2 = t->hyper[BETA2].number;
    descent_real *g = t->slot[MATRIX_DIRECTION], scale = (descent_real)t->grad_scale;
    for (int64_t i = 0; i < t->param->size; i++)
        g[i] = scale * t->param->grad[i];
    if (own->t > 0) {
        memcpy(own->rotated, g, (size_t)t->param->size * sizeof *g);
        rotate(own, false, &own->rotated);
        advance(t, g);
    }
    add_grams(own, g, beta2);
    if (own->t > 0)
        set_direction(t);
    for (int i = 0; i < own->count && !t->status; i++)
        if (matrix_is_zero(own->basis[i], own->axis[i].n)) /* none yet */
            t->status = first_basis(own, i);
        else if (own->t % (int64_t)t->hyper[EVERY].number == 0)
            t->status = next_basis(t, i);
}

/* Decay comes after the step: x <- (x - lr d) (1 - lr weight_decay). */
static void set_rate(struct optim_tensor *t, int64_t time)
{
    double c1 = 1 - pow(t->hyper[BETA1].number, (double)time),
           c2 = 1 - pow(t->hyper[BETA2].number, (double)time);
    t->shrink = time > 0 ? t->lr * t->decay : 0;
    t->lr = time > 0 ? t->lr * sqrt(c2) / c1 * (1 - t->shrink) : 0;
}

static enum descent_status step(struct optim_run *run)
{
    for (int i = 0; i < run->count; i++) {
        struct soap *own = run->tensor[i]->own;
        own->t = run->tensor[i]->step - 1;
        set_rate(run->tensor[i], own->t);
    }
    enum descent_status status = matrix_for_tensors(run, visit);
    if (!status)
        optim_for_parts(run, matrix_step);
    return status;
}

const struct optim_algorithm OPTIM_ALGORITHM(soap) = {
    .name = "soap",
    .summary = "Adam in the slowly turning eigenbasis of Shampoo's matrices",
    .answers = OPTIM_CURVATURE,
    .paper = "Vyas et al. 2024, arXiv:2409.11321",
    .formula =
        "for each axis i, G_i being the gradient with axis i as rows:\n"
        "    P_i <- beta2 P_i + (1 - beta2) G_i G_i'\n"
        "    Q_i: eigenvectors of the first P_i; then, every so many steps, qr(P_i Q_i)\n"
        "g' = g with Q_i' along each axis\n"
        "m <- beta1 m + (1 - beta1) g           c1 = 1 - beta1^t\n"
        "v <- beta2 v + (1 - beta2) g'^2        c2 = 1 - beta2^t\n"
        "x <- x - lr sqrt(c2)/c1 (m' / (sqrt(v) + eps) with Q_i along each axis)\n"
        "x <- x - lr weight_decay x\n"
        "The authors' code: the first gradient only makes bases and is not counted; v is sorted with\n"
        "the columns of Q. Vectors are not rotated: TensorFlow's form of Adam.\n",
    .options = options,
    .option_count = HYPERPARAMETERS,
    .decay = OPTIM_OWN_DECAY,
    .slots = {"m", "v"},
    .init = init,
    .step = step,
};
