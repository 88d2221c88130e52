/* Adafactor: the second moment of a matrix kept as one number a row and one a column, and no first moment
 * unless asked, so that its state hardly counts. Steps are in proportion to the tensor's own size. Shazeer
 * & Stern 2018, arXiv:1804.04235. */
#include "optim/elementwise.h"

#include <float.h>

enum { LR, POWER, EPS1, EPS2, CLIP, BETA1, PAPER, CAP, WEIGHT_DECAY, DECAY_ALL, HYPERPARAMETERS };

static const struct descent_option options[] = {
    [LR] = OPTIM_LR("1e-2", 3e-4, 0.3),
    [POWER] = OPTIM_BETWEEN("power", "-0.8", -1, 0, "a gradient's share in the averages is t^power"),
    [EPS1] = OPTIM_POSITIVE("eps1", "1.1920929e-07", true, 0, 0,
                            "smallest root of the second moment and mean of its rows"),
    [EPS2] = OPTIM_POSITIVE("eps2", "1e-3", true, 0, 0, "smallest size of a tensor, for its step"),
    [CLIP] = OPTIM_POSITIVE("clip", "1", true, 0, 0, "largest root mean square of a scaled gradient"),
    [BETA1] = OPTIM_RATE("beta1", "0", 0, 0, "decay rate of an average of the steps; 0: none is kept"),
    [PAPER] = OPTIM_FLAG("paper", "no", "the paper's form: no eps1, and decay in proportion to the step"),
    [CAP] = OPTIM_FLAG("cap", "yes", "lr is at most 1/sqrt(t); optax: no"),
    [WEIGHT_DECAY] = OPTIM_WEIGHT_DECAY("0", 0, 0),
    [DECAY_ALL] = OPTIM_DECAY_ALL,
};

static const double added = 1e-30; /* to squared gradients, in the paper's form */

static bool is_paper(const struct optim_tensor *t)
{
    return t->hyper[PAPER].number != 0;
}

/* A tensor as `count` matrices in a row, those of its last two axes; a vector is one row that is not
 * factored: its columns' averages are its second moment. */
struct factors {
    int64_t count, rows, columns;
    descent_real *row;    /* count x rows: mean of g^2 over columns */
    descent_real *column; /* count x columns: mean of g^2 over rows */
    double *mean;         /* count: of `row`, in PyTorch's form at least eps1 */
    double *squares;      /* columns: scratch */
};

static enum descent_status init_tensor(struct optim_run *run, struct optim_tensor *t)
{
    const struct descent_param *param = t->param;
    int rank = param->rank;
    struct factors *f = t->own = optim_scratch(run, sizeof *f);
    if (!f)
        return DESCENT_OUT_OF_MEMORY;
    f->rows = rank > 1 ? param->shape[rank - 2] : 1;
    f->columns = rank > 0 ? param->shape[rank - 1] : 1;
    f->count = param->size / (f->rows * f->columns);
    int64_t row_shape[] = {f->count, f->rows}, column_shape[] = {f->count, f->columns};
    if (rank > 1 && !(f->row = optim_state(run, t, "rows", OPTIM_REAL, 2, row_shape)))
        return DESCENT_OUT_OF_MEMORY;
    if (t->hyper[BETA1].number > 0 && optim_slot(run, t, 0, "m"))
        return DESCENT_OUT_OF_MEMORY;
    f->column = optim_state(run, t, "columns", OPTIM_REAL, 2, column_shape);
    f->mean = optim_scratch(run, (size_t)f->count * sizeof *f->mean);
    f->squares = optim_scratch(run, (size_t)f->columns * sizeof *f->squares);
    return f->column && f->mean && f->squares ? DESCENT_OK : DESCENT_OUT_OF_MEMORY;
}

static enum descent_status init(struct optim_run *run)
{
    enum descent_status status = DESCENT_OK;
    for (int i = 0; i < run->count && !status; i++)
        status = init_tensor(run, run->tensor[i]);
    return status;
}

enum { SHARE, FLOOR };

/* The averages of the b-th matrix. */
static void average(struct optim_tensor *t, struct factors *f, int64_t b)
{
    const descent_real *g = t->param->grad + b * f->rows * f->columns;
    descent_real *column = f->column + b * f->columns;
    double share = (double)t->k[SHARE], scale = t->grad_scale * t->grad_scale, mean = 0,
           more = is_paper(t) ? added : 0;
    for (int64_t j = 0; j < f->columns; j++)
        f->squares[j] = 0;
    for (int64_t i = 0; i < f->rows; i++, g += f->columns) {
        double sum = 0;
        for (int64_t j = 0; j < f->columns; j++) {
            double square = scale * (double)g[j] * (double)g[j] + more;
            f->squares[j] += square;
            sum += square;
        }
        if (!f->row)
            continue;
        descent_real *row = &f->row[b * f->rows + i];
        *row += (descent_real)(share * (sum / (double)f->columns - (double)*row));
        mean += (double)*row;
    }
    for (int64_t j = 0; j < f->columns; j++)
        column[j] += (descent_real)(share * (f->squares[j] / (double)f->rows - (double)column[j]));
    f->mean[b] = fmax(mean / (double)f->rows, is_paper(t) ? 0 : t->hyper[EPS1].number);
}

/* The number by which a column's average, in this row of all matrices, becomes the second moment. */
static descent_real factor(const struct factors *f, int64_t row)
{
    return f->row ? (descent_real)((double)f->row[row] / f->mean[row / f->rows]) : 1;
}

/* g / sqrt(max(V, floor)) */
OPTIM_INLINE descent_real scaled(descent_real g, descent_real v, descent_real floor)
{
    return g / sqrt(v > floor ? v : floor);
}

/* Averages, then how long the step is: lr max(eps2, RMS(x)) / max(1, RMS(u) / clip), lr capped. */
static void visit(struct optim_tensor *t)
{
    struct factors *f = t->own;
    const descent_real *g = t->param->grad, *x = t->param->value;
    descent_real scale = (descent_real)t->grad_scale;
    double uu = 0, xx = 0, n = (double)t->param->size;
    for (int64_t b = 0; b < f->count; b++)
        average(t, f, b);
    for (int64_t row = 0; row < f->count * f->rows; row++, g += f->columns, x += f->columns) {
        const descent_real *column = f->column + row / f->rows * f->columns;
        descent_real v = factor(f, row);
        for (int64_t j = 0; j < f->columns; j++) {
            double u = (double)scaled(scale * g[j], v * column[j], t->k[FLOOR]);
            uu += u * u;
            xx += (double)x[j] * (double)x[j];
        }
    }
    double size = fmax(t->hyper[EPS2].number, sqrt(xx / n));
    if (is_paper(t))
        t->shrink *= size;
    t->lr *= size / fmax(1, sqrt(uu / n) / t->hyper[CLIP].number);
}

/* x <- x - (lr u + shrink x), row by row; or, m <- beta1 m + (1 - beta1) lr u, x <- x - (m + shrink x). */
static void loop(struct optim_part *part)
{
    const struct optim_tensor *t = part->tensor;
    const struct factors *f = t->own;
    descent_real scale = (descent_real)t->grad_scale, lr = (descent_real)t->lr,
                 shrink = (descent_real)t->shrink, floor = t->k[FLOOR],
                 beta1 = (descent_real)t->hyper[BETA1].number;
    descent_real *restrict m = t->slot[0];
    double sum = 0;
    for (int64_t begin = part->begin, end; begin < part->end; begin = end) {
        int64_t row = begin / f->columns, first = row * f->columns;
        end = first + f->columns < part->end ? first + f->columns : part->end;
        const descent_real *restrict column = f->column + row / f->rows * f->columns - first;
        const descent_real *restrict g = t->param->grad;
        descent_real *restrict x = t->param->value, v = factor(f, row);
        for (int64_t i = begin; i < end; i++) {
            descent_real old = x[i], u = lr * scaled(scale * g[i], v * column[i], floor);
            if (m)
                u = m[i] = beta1 * m[i] + (1 - beta1) * u;
            x[i] = old - (u + shrink * old);
            double change = (double)(x[i] - old);
            sum += change * change;
        }
    }
    part->sum = sum;
}

static enum descent_status step(struct optim_run *run)
{
    double time = (double)run->step;
    for (int i = 0; i < run->count; i++) {
        struct optim_tensor *t = run->tensor[i];
        t->k[SHARE] = (descent_real)pow(time, t->hyper[POWER].number);
        /* Where V underflows in the paper's form g is 0, and 0/0 must not be. */
        t->k[FLOOR] = (descent_real)(is_paper(t) ? FLT_MIN : pow(t->hyper[EPS1].number, 2));
        t->shrink = t->lr * t->decay;
        if (t->hyper[CAP].number != 0)
            t->lr = fmin(t->lr, 1 / sqrt(time));
        if (is_paper(t))
            t->shrink = t->lr * t->decay; /* times the tensor's size */
    }
    optim_for_tensors(run, visit);
    optim_for_parts(run, loop);
    return DESCENT_OK;
}

const struct optim_algorithm OPTIM_ALGORITHM(adafactor) = {
    .name = "adafactor",
    .summary = "adaptive steps whose state is one number a row and one a column",
    .answers = OPTIM_MEMORY,
    .paper = "Shazeer & Stern 2018, arXiv:1804.04235",
    .formula =
        "x <- x (1 - lr weight_decay), lr as scheduled\n"
        "w = t^power\n"
        "R <- R + w (mean of g^2 over each row - R);  C likewise over each column\n"
        "V = R C / max(mean(R), eps1);  of a vector V <- V + w (g^2 - V)\n"
        "u = g / sqrt(max(V, eps1^2))\n"
        "x <- x - min(lr, 1/sqrt(t)) max(eps2, RMS(x)) / max(1, RMS(u)/clip) u\n"
        "PyTorch's form. The paper's and timm's, with paper: instead of the bounds of V and mean(R)\n"
        "1e-30 is added to g^2, and what decays is weight_decay times the step's lr max(eps2, RMS(x)).\n"
        "With beta1, m <- beta1 m + (1 - beta1) step, x <- x - m. optax: paper and cap=no, the lr as\n"
        "given. Rows and columns are the last two axes, of a convolution those of its kernels, as in\n"
        "PyTorch; timm and optax factor the two largest, optax from 128 on.\n",
    .options = options,
    .option_count = HYPERPARAMETERS,
    .decay = OPTIM_OWN_DECAY,
    .init = init,
    .step = step,
};
