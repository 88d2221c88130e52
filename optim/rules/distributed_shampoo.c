/* Distributed Shampoo: Shampoo as it is used in practice: averages instead of sums, in blocks of bounded
 * size, decomposed now and then, for a step that is as long as a simpler rule's. (What is distributed
 * elsewhere, the blocks among machines, is not here.) Anil et al. 2020, arXiv:2002.09018; Shi et al. 2023,
 * arXiv:2309.06497. */
#include "optim/rules/matrix.h"
#include "optim/rules/moments.h"

enum {
    LR,
    BETA1,
    BETA2,
    EPS,
    GRAFT,
    GRAFT_EPS,
    BLOCK,
    EVERY,
    START,
    WEIGHT_DECAY,
    DECAY_ALL,
    HYPERPARAMETERS
};

enum { ADAM, SGD };

static const struct descent_option options[] = {
    [LR] = OPTIM_LR("1e-3", 3e-5, 3e-2),
    [BETA1] = MOMENT_BETA1("0.9", 0.5, 0.98),
    [BETA2] = OPTIM_RATE("beta2", "0.999", 0, 0, "decay rate of the matrices and of the second moment"),
    [EPS] = OPTIM_POSITIVE("eps", "1e-12", true, 0, 0, "added to the matrices' eigenvalues"),
    [GRAFT] = {.name = "graft",
               .type = DESCENT_OPTION_CHOICE,
               .initial = "adam",
               .choices = "adam|sgd",
               .help = "rule whose step gives each block's step its length"},
    [GRAFT_EPS] = OPTIM_POSITIVE("graft_eps", "1e-8", true, 0, 0, "eps of that Adam"),
    [BLOCK] = MATRIX_MAX_DIM("block", "1024", 1, "most rows and columns of a block"),
    [EVERY] = MATRIX_COUNT("every", "50", 1, "steps between new roots"),
    [START] =
        MATRIX_COUNT("start", "25", 1, "first step that is Shampoo's; before, they are the other rule's"),
    [WEIGHT_DECAY] = OPTIM_WEIGHT_DECAY("0", 5e-3, 1),
    [DECAY_ALL] = OPTIM_DECAY_ALL,
};

/* tensor->slot: state, and the place of MATRIX_DIRECTION, at first the other rule's direction. */
enum { M, V, DIRECTION };
enum { INVERSE_C1 = MORE, WITH_ROOT, WITHOUT };

/* A tensor as a matrix, cut in blocks of nearly equal size, across x down of them. The matrices of all
 * blocks stand one after the other; left ones, of a vector, there are none. */
struct blocks {
    int rows, columns, down, across;
    descent_real *left, *left_root, *right, *right_root;
    descent_real *work, *product;
    bool active, refresh; /* in this step */
    double correction;    /* of the averages */
};

/* Where the i-th of `count` nearly equal parts of 0 .. n-1 begins. */
static int begin_of(int n, int count, int i)
{
    return (int)((int64_t)n * i / count);
}

/* The sum of squared sizes of those parts. */
static int64_t count_elements(int n, int count)
{
    int64_t sum = 0;
    for (int i = 0; i < count; i++) {
        int64_t size = begin_of(n, count, i + 1) - begin_of(n, count, i);
        sum += size * size;
    }
    return sum;
}

static enum descent_status init_tensor(struct optim_run *run, struct optim_tensor *t)
{
    struct blocks *own = t->own = optim_scratch(run, sizeof *own);
    int64_t block = (int64_t)t->hyper[BLOCK].number;
    if (!own)
        return DESCENT_OUT_OF_MEMORY;
    own->rows = matrix_rows(t->param);
    own->columns = matrix_columns(t->param);
    own->down = (int)((own->rows + block - 1) / block);
    own->across = (int)((own->columns + block - 1) / block);
    int64_t tall = (own->rows + own->down - 1) / own->down,
            wide = (own->columns + own->across - 1) / own->across, longest = tall > wide ? tall : wide;
    int64_t left[] = {count_elements(own->rows, own->down) * own->across},
            right[] = {count_elements(own->columns, own->across) * own->down};
    if (own->rows > 1) {
        own->left = optim_state(run, t, "L", OPTIM_REAL, 1, left);
        own->left_root = optim_state(run, t, "rootL", OPTIM_REAL, 1, left);
        if (!own->left || !own->left_root)
            return DESCENT_OUT_OF_MEMORY;
    }
    own->right = optim_state(run, t, "R", OPTIM_REAL, 1, right);
    own->right_root = optim_state(run, t, "rootR", OPTIM_REAL, 1, right);
    own->work = matrix_scratch(run, matrix_power_work(longest));
    own->product = matrix_scratch(run, tall * wide);
    t->slot[DIRECTION] = t->slot[MATRIX_DIRECTION] = matrix_scratch(run, t->param->size);
    return own->right && own->right_root && own->work && own->product && t->slot[DIRECTION]
               ? DESCENT_OK
               : DESCENT_OUT_OF_MEMORY;
}

static enum descent_status init(struct optim_run *run)
{
    enum descent_status status = DESCENT_OK;
    for (int i = 0; i < run->count && !status; i++)
        status = init_tensor(run, run->tensor[i]);
    return status;
}

/* The moments, and the other rule's direction: m / c1, divided by sqrt(v) / sqrt(c2) + eps if it is Adam.
 */
OPTIM_INLINE void terms(const descent_real *k, struct optim_element *e, double *term)
{
    (void)term;
    first_moment(k, &e->s[M], e->g);
    second_moment(k, &e->s[V], e->g);
    e->s[DIRECTION] = k[INVERSE_C1] * e->s[M] / (k[WITH_ROOT] * corrected_root(k, e->s[V]) + k[WITHOUT]);
}

static void advance(struct optim_part *part)
{
    optim_sum_elements(part, 3, 0, terms);
}

/* One block: `rows` x `columns` of the tensor, whose rows are `stride` apart. Left matrices may be NULL. */
struct block {
    int rows, columns, stride;
    const descent_real *grad, *m;
    descent_real *direction, *left, *left_root, *right, *right_root;
};

static void add_grams(const struct optim_tensor *t, const struct block *b)
{
    double beta2 = t->hyper[BETA2].number;
    descent_real keep = (descent_real)beta2,
                 new = (descent_real)((1 - beta2) * t->grad_scale * t->grad_scale);
    if (b->left)
        matrix_gemm(false, true, b->rows, b->rows, b->columns, new, b->grad, b->stride, b->grad, b->stride,
                    keep, b->left, b->rows);
    matrix_gemm(true, false, b->columns, b->columns, b->rows, new, b->grad, b->stride, b->grad, b->stride,
                keep, b->right, b->columns);
}

static enum descent_status new_roots(const struct optim_tensor *t, const struct block *b)
{
    const struct blocks *own = t->own;
    double eps = t->hyper[EPS].number, scale = 1 / own->correction, power = b->left ? -0.25 : -0.5;
    enum descent_status status = DESCENT_OK;
    if (b->left)
        status = matrix_power(b->rows, b->left, scale, eps, power, own->work, b->left_root);
    if (!status)
        status = matrix_power(b->columns, b->right, scale, eps, power, own->work, b->right_root);
    return status;
}

static double norm(const struct block *b)
{
    double sum = 0;
    for (int i = 0; i < b->rows; i++)
        for (int j = 0; j < b->columns; j++)
            sum += pow((double)b->direction[(size_t)i * (size_t)b->stride + (size_t)j], 2);
    return sqrt(sum);
}

/* The direction becomes root(L) m root(R), as long as it has been. */
static void precondition(const struct optim_tensor *t, const struct block *b)
{
    const struct blocks *own = t->own;
    const descent_real *m = b->m;
    int stride = b->stride;
    double length = norm(b);
    if (b->left) {
        matrix_gemm(false, false, b->rows, b->columns, b->rows, 1, b->left_root, b->rows, m, stride, 0,
                    own->product, b->columns);
        m = own->product;
        stride = b->columns;
    }
    matrix_gemm(false, false, b->rows, b->columns, b->columns, 1, m, stride, b->right_root, b->columns, 0,
                b->direction, b->stride);
    double found = norm(b);
    descent_real scale = (descent_real)(found > 0 ? length / found : 0);
    for (int i = 0; i < b->rows; i++)
        for (int j = 0; j < b->columns; j++)
            b->direction[(size_t)i * (size_t)b->stride + (size_t)j] *= scale;
}

static void visit(struct optim_tensor *t)
{
    struct blocks *own = t->own;
    size_t left = 0, right = 0;
    for (int i = 0; i < own->down && !t->status; i++)
        for (int j = 0; j < own->across && !t->status; j++) {
            int row = begin_of(own->rows, own->down, i), column = begin_of(own->columns, own->across, j);
            size_t at = (size_t)row * (size_t)own->columns + (size_t)column;
            struct block b = {.rows = begin_of(own->rows, own->down, i + 1) - row,
                              .columns = begin_of(own->columns, own->across, j + 1) - column,
                              .stride = own->columns,
                              .grad = t->param->grad + at,
                              .m = t->slot[M] + at,
                              .direction = t->slot[DIRECTION] + at,
                              .left = own->left ? own->left + left : NULL,
                              .left_root = own->left ? own->left_root + left : NULL,
                              .right = own->right + right,
                              .right_root = own->right_root + right};
            left += (size_t)b.rows * (size_t)b.rows;
            right += (size_t)b.columns * (size_t)b.columns;
            add_grams(t, &b);
            if (own->refresh || (own->active && matrix_is_zero(b.right_root, b.columns))) /* none yet */
                t->status = new_roots(t, &b);
            if (own->active && !t->status)
                precondition(t, &b);
        }
}

static void set_scalars(const struct optim_run *run, struct optim_tensor *t)
{
    struct blocks *own = t->own;
    double beta1 = t->hyper[BETA1].number, beta2 = t->hyper[BETA2].number;
    bool adam = t->hyper[GRAFT].number == ADAM;
    set_moments(t, beta1, beta2, t->hyper[GRAFT_EPS].number);
    t->k[INVERSE_C1] = (descent_real)(1 / bias_correction(beta1, t));
    t->k[WITH_ROOT] = adam;
    t->k[WITHOUT] = !adam;
    own->correction = bias_correction(beta2, t);
    own->active = (double)run->step >= t->hyper[START].number;
    own->refresh = own->active && run->step % (int64_t)t->hyper[EVERY].number == 0;
}

static enum descent_status step(struct optim_run *run)
{
    for (int i = 0; i < run->count; i++)
        set_scalars(run, run->tensor[i]);
    optim_for_parts(run, advance);
    enum descent_status status = matrix_for_tensors(run, visit);
    if (!status)
        optim_for_parts(run, matrix_step);
    return status;
}

const struct optim_algorithm OPTIM_ALGORITHM(distributed_shampoo) = {
    .name = "distributed_shampoo",
    .summary = "Shampoo's direction at Adam's length, in blocks that stay cheap",
    .answers = OPTIM_CURVATURE,
    .paper = "Anil et al. 2020, arXiv:2002.09018; Shi et al. 2023, arXiv:2309.06497",
    .formula = "of each block G of at most block x block:\n"
               "L <- beta2 L + (1 - beta2) G G'        c1 = 1 - beta1^t\n"
               "R <- beta2 R + (1 - beta2) G' G        c2 = 1 - beta2^t\n"
               "M <- beta1 M + (1 - beta1) G,  V <- beta2 V + (1 - beta2) G^2\n"
               "D = (L/c2 + eps I)^(-1/4) M (R/c2 + eps I)^(-1/4), roots renewed every so many steps\n"
               "A = M/c1 / (sqrt(V)/sqrt(c2) + graft_eps), or M/c1 with graft=sgd\n"
               "x <- x (1 - lr weight_decay) - lr |A|/|D| D, from step `start` on; before, - lr A\n"
               "Convolutions are out x in h w, vectors have R alone, to the power -1/2. The form of\n"
               "facebookresearch/optimizers; Google's has momentum behind the matrices instead.\n",
    .options = options,
    .option_count = HYPERPARAMETERS,
    .decay = OPTIM_DECOUPLED,
    .slots = {"m", "v"},
    .init = init,
    .step = step,
};
