/* Adafactor: the second moment of a matrix kept as one number a row and one a column, and no first moment
 * unless asked, so that its state hardly counts. Steps are in proportion to the tensor's own size. Shazeer
 * & Stern 2018, arXiv:1804.04235. */
#include "optim/elementwise.h"

#include <float.h>
#include <string.h>

enum { LR, POWER, EPS1, EPS2, CLIP, BETA1, AXES, PAPER, CAP, WEIGHT_DECAY, DECAY_ALL, HYPERPARAMETERS };

static const struct descent_option options[] = {
    [LR] = OPTIM_LR("1e-2", 3e-4, 0.3),
    [POWER] = OPTIM_BETWEEN("power", "-0.8", -1, 0, "a gradient's share in the averages is t^power"),
    [EPS1] = OPTIM_POSITIVE("eps1", "1.1920929e-07", true, 0, 0,
                            "smallest root of the second moment and mean of its rows"),
    [EPS2] = OPTIM_POSITIVE("eps2", "1e-3", true, 0, 0, "smallest size of a tensor, for its step"),
    [CLIP] = OPTIM_POSITIVE("clip", "1", true, 0, 0, "largest root mean square of a scaled gradient"),
    [BETA1] = OPTIM_RATE("beta1", "0", 0, 0, "decay rate of an average of the steps; 0: none is kept"),
    [AXES] = {.name = "axes",
              .type = DESCENT_OPTION_CHOICE,
              .choices = "last|largest",
              .initial = "last",
              .help = "which two are rows and columns; largest: of equal ones the last"},
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

/* A tensor as outer x rows x between x columns x inner: a matrix for each place in the other three. With
 * the last two axes between and inner are 1. A vector is one row that is not factored: its columns'
 * averages are its second moment. */
struct factors {
    int64_t outer, rows, between, columns, inner;
    descent_real *row;    /* outer x rows x between x inner: mean of g^2 over columns; NULL: a vector */
    descent_real *column; /* outer x between x columns x inner: mean of g^2 over rows */
    double *mean;         /* outer x between x inner: of `row`, in PyTorch's form at least eps1 */
    double *squares;      /* columns x inner: scratch */
};

/* The axes that are factored, rank > 1. */
static void choose_axes(const struct descent_param *param, bool largest, int *first, int *second)
{
    *first = param->rank - 2;
    *second = param->rank - 1;
    for (int i = param->rank - 3; i >= 0 && largest; i--) {
        const int64_t *shape = param->shape;
        int smaller = shape[*first] <= shape[*second] ? *first : *second;
        if (shape[i] > shape[smaller]) {
            *second = smaller == *first ? *second : *first;
            *first = i;
        }
    }
}

static void take_shape(struct factors *f, const struct descent_param *param, bool largest)
{
    int first = -1, second = param->rank - 1;
    if (param->rank > 1)
        choose_axes(param, largest, &first, &second);
    *f = (struct factors){.outer = 1, .rows = 1, .between = 1, .columns = 1, .inner = 1};
    for (int i = 0; i < param->rank; i++) {
        int64_t *part = i < first     ? &f->outer
                        : i == first  ? &f->rows
                        : i < second  ? &f->between
                        : i == second ? &f->columns
                                      : &f->inner;
        *part *= param->shape[i];
    }
}

static enum descent_status init_tensor(struct optim_run *run, struct optim_tensor *t)
{
    struct factors *f = t->own = optim_scratch(run, sizeof *f);
    if (!f)
        return DESCENT_OUT_OF_MEMORY;
    take_shape(f, t->param, t->hyper[AXES].number != 0);
    int64_t row_shape[] = {f->outer, f->rows * f->between * f->inner},
            column_shape[] = {f->outer * f->between, f->columns * f->inner};
    if (t->param->rank > 1 && !(f->row = optim_state(run, t, "rows", OPTIM_REAL, 2, row_shape)))
        return DESCENT_OUT_OF_MEMORY;
    if (t->hyper[BETA1].number > 0 && optim_slot(run, t, 0, "m"))
        return DESCENT_OUT_OF_MEMORY;
    f->column = optim_state(run, t, "columns", OPTIM_REAL, 2, column_shape);
    f->mean = optim_scratch(run, (size_t)(f->outer * f->between * f->inner) * sizeof *f->mean);
    f->squares = optim_scratch(run, (size_t)(f->columns * f->inner) * sizeof *f->squares);
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

/* The averages of the matrices at a place `a` in the outer axes and `b` between. */
static void average(struct optim_tensor *t, struct factors *f, int64_t a, int64_t b)
{
    int64_t place = a * f->between + b, width = f->columns * f->inner;
    descent_real *column = f->column + place * width;
    double *mean = f->mean + place * f->inner, least = is_paper(t) ? 0 : t->hyper[EPS1].number;
    double share = (double)t->k[SHARE], scale = t->grad_scale * t->grad_scale,
           more = is_paper(t) ? added : 0;
    memset(f->squares, 0, (size_t)width * sizeof *f->squares);
    memset(mean, 0, (size_t)f->inner * sizeof *mean);
    for (int64_t i = 0; i < f->rows; i++) {
        int64_t line = (a * f->rows + i) * f->between + b;
        const descent_real *g = t->param->grad + line * width;
        for (int64_t c = 0; c < f->inner; c++) {
            double sum = 0;
            for (int64_t k = c; k < width; k += f->inner) {
                double square = scale * (double)g[k] * (double)g[k] + more;
                f->squares[k] += square;
                sum += square;
            }
            if (!f->row)
                continue;
            descent_real *row = &f->row[line * f->inner + c];
            *row += (descent_real)(share * (sum / (double)f->columns - (double)*row));
            mean[c] += (double)*row;
        }
    }
    for (int64_t k = 0; k < width; k++)
        column[k] += (descent_real)(share * (f->squares[k] / (double)f->rows - (double)column[k]));
    for (int64_t c = 0; c < f->inner; c++)
        mean[c] = fmax(mean[c] / (double)f->rows, least);
}

/* The number by which a column's average becomes the second moment, in a row of all: a line of columns x
 * inner elements, and a place in inner. */
static descent_real factor(const struct factors *f, int64_t line, int64_t c)
{
    int64_t place = line / (f->rows * f->between) * f->between + line % f->between;
    return f->row ? (descent_real)((double)f->row[line * f->inner + c] / f->mean[place * f->inner + c]) : 1;
}

/* The columns' averages for the elements of a line. */
static const descent_real *columns_of(const struct factors *f, int64_t line)
{
    int64_t place = line / (f->rows * f->between) * f->between + line % f->between;
    return f->column + place * f->columns * f->inner;
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
    int64_t width = f->columns * f->inner, lines = f->outer * f->rows * f->between;
    for (int64_t a = 0; a < f->outer; a++)
        for (int64_t b = 0; b < f->between; b++)
            average(t, f, a, b);
    for (int64_t line = 0; line < lines; line++, g += width, x += width) {
        const descent_real *column = columns_of(f, line);
        for (int64_t c = 0; c < f->inner; c++) {
            descent_real v = factor(f, line, c);
            for (int64_t k = c; k < width; k += f->inner) {
                double u = (double)scaled(scale * g[k], v * column[k], t->k[FLOOR]);
                uu += u * u;
                xx += (double)x[k] * (double)x[k];
            }
        }
    }
    double size = fmax(t->hyper[EPS2].number, sqrt(xx / n));
    if (is_paper(t))
        t->shrink *= size;
    t->lr *= size / fmax(1, sqrt(uu / n) / t->hyper[CLIP].number);
}

/* x <- x - (lr u + shrink x) over elements begin, begin + stride .. end of a line; or, m <- beta1 m + (1 -
 * beta1) lr u, x <- x - (m + shrink x). Returns the sum of squared changes. */
OPTIM_INLINE double move(const struct optim_tensor *t, descent_real v, const descent_real *restrict column,
                         int64_t begin, int64_t end, int64_t stride)
{
    descent_real scale = (descent_real)t->grad_scale, lr = (descent_real)t->lr,
                 shrink = (descent_real)t->shrink, floor = t->k[FLOOR],
                 beta1 = (descent_real)t->hyper[BETA1].number;
    descent_real *restrict m = t->slot[0], *restrict x = t->param->value;
    const descent_real *restrict g = t->param->grad;
    double sum = 0;
    for (int64_t i = begin; i < end; i += stride) {
        descent_real old = x[i], u = lr * scaled(scale * g[i], v * column[i], floor);
        if (m)
            u = m[i] = beta1 * m[i] + (1 - beta1) * u;
        x[i] = old - (u + shrink * old);
        double change = (double)(x[i] - old);
        sum += change * change;
    }
    return sum;
}

/* Line by line. */
static void loop(struct optim_part *part)
{
    const struct optim_tensor *t = part->tensor;
    const struct factors *f = t->own;
    int64_t inner = f->inner, width = f->columns * inner;
    double sum = 0;
    for (int64_t begin = part->begin, end; begin < part->end; begin = end) {
        int64_t line = begin / width, first = line * width;
        end = first + width < part->end ? first + width : part->end;
        const descent_real *column = columns_of(f, line) - first;
        if (inner == 1)
            sum += move(t, factor(f, line, 0), column, begin, end, 1);
        for (int64_t c = 0; c < inner && inner > 1; c++)
            sum += move(t, factor(f, line, (begin + c - first) % inner), column, begin + c, end, inner);
    }
    part->sum = sum;
}

static enum descent_status step(struct optim_run *run)
{
    for (int i = 0; i < run->count; i++) {
        struct optim_tensor *t = run->tensor[i];
        double time = (double)t->step;
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
        "given, and axes=largest, from 128 on. Rows and columns are the last two axes, as in PyTorch: of\n"
        "a convolution those of its kernel, which saves little; timm takes its channels, as largest "
        "does.\n",
    .options = options,
    .option_count = HYPERPARAMETERS,
    .decay = OPTIM_OWN_DECAY,
    .init = init,
    .step = step,
};
