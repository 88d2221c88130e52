/* Muon: momentum, made orthogonal. Where Adam gives every element a step of one length, Muon gives one to
 * every direction in which the weight matrix maps. Jordan et al. 2024, kellerjordan.github.io/posts/muon;
 * Liu et al. 2025, arXiv:2502.16982. */
#include "optim/rules/matrix.h"

/* What is added up: |u|^2, |x|^2. */
enum { UU, XX };
/* Beside "b", the algorithms' own slot: scratch, first u and then its direction. */
enum { B, U };
/* b <- k[DECAY] b + k[NEW] g;  u = k[ALONG_B] b + k[ALONG_G] g */
enum { DECAY, NEW, ALONG_B, ALONG_G };

struct muon {
    descent_real *other;             /* of the tensor's size */
    descent_real *gram, *polynomial; /* n x n, n the shorter side */
    double divisor;                  /* of u, before it is made orthogonal */
};

/* The first hyperparameters of both algorithms. */
enum {
    LR,
    MOMENTUM,
    ITERATIONS,
    EPS,
    ADAMW_LR,
    ADAMW_BETA1,
    ADAMW_BETA2,
    ADAMW_EPS,
    WEIGHT_DECAY,
    DECAY_ALL,
    OWN
};

#define ADAMW_ROWS                                                                                         \
    [ADAMW_LR] = OPTIM_POSITIVE("adamw_lr", "1e-3", false, 1e-4, 1e-2,                                     \
                                "learning rate of AdamW, for whatever is no hidden matrix"),               \
    [ADAMW_BETA1] = OPTIM_RATE("adamw_beta1", "0.9", 0, 0, "beta1 of AdamW"),                              \
    [ADAMW_BETA2] = OPTIM_RATE("adamw_beta2", "0.95", 0, 0, "beta2 of AdamW"),                             \
    [ADAMW_EPS] = OPTIM_POSITIVE("adamw_eps", "1e-8", true, 0, 0, "eps of AdamW")

static bool is_hidden_matrix(const struct descent_param *param)
{
    return param->kind == DESCENT_WEIGHT && param->role == DESCENT_ROLE_HIDDEN && param->rank > 1;
}

static int least(int a, int b)
{
    return a < b ? a : b;
}

static enum descent_status init(struct optim_run *run)
{
    for (int i = 0; i < run->count; i++) {
        struct optim_tensor *t = run->tensor[i];
        struct muon *own = t->own = optim_scratch(run, sizeof *own);
        int64_t n = least(matrix_rows(t->param), matrix_columns(t->param));
        if (!own)
            return DESCENT_OUT_OF_MEMORY;
        own->other = matrix_scratch(run, t->param->size);
        own->gram = matrix_scratch(run, n * n);
        own->polynomial = matrix_scratch(run, n * n);
        t->slot[U] = matrix_scratch(run, t->param->size);
        if (!own->other || !own->gram || !own->polynomial || !t->slot[U])
            return DESCENT_OUT_OF_MEMORY;
    }
    return DESCENT_OK;
}

OPTIM_INLINE void terms(const descent_real *k, struct optim_element *e, double *term)
{
    e->s[B] = k[DECAY] * e->s[B] + k[NEW] * e->g;
    e->s[U] = k[ALONG_B] * e->s[B] + k[ALONG_G] * e->g;
    term[UU] = (double)e->s[U] * (double)e->s[U];
    term[XX] = (double)e->x * (double)e->x;
}

static void advance(struct optim_part *part)
{
    optim_sum_elements(part, 2, 2, terms);
}

/* O = NS(u / divisor): X <- a X + (b A + c A^2) X, A = X X^T, or X^T X if that is smaller. Where |X| <= 1
 * at first it moves every singular value that is not very small to [0.7, 1.2]. */
static void orthogonalize(struct optim_tensor *t)
{
    static const descent_real a = (descent_real)3.4445, b = (descent_real)-4.7750, c = (descent_real)2.0315;
    struct muon *own = t->own;
    int rows = matrix_rows(t->param), columns = matrix_columns(t->param), n = least(rows, columns);
    bool wide = rows <= columns;
    descent_real scale = (descent_real)(1 / own->divisor);
    for (int64_t i = 0; i < t->param->size; i++)
        t->slot[U][i] *= scale;
    for (int i = 0; i < (int)t->hyper[ITERATIONS].number; i++) {
        descent_real *x = t->slot[U], *y = own->other;
        matrix_gemm(!wide, wide, n, n, wide ? columns : rows, 1, x, columns, x, columns, 0, own->gram, n);
        memcpy(own->polynomial, own->gram, (size_t)n * (size_t)n * sizeof *x);
        matrix_gemm(false, false, n, n, n, c, own->gram, n, own->gram, n, b, own->polynomial, n);
        memcpy(y, x, (size_t)t->param->size * sizeof *x);
        if (wide)
            matrix_gemm(false, false, n, columns, n, 1, own->polynomial, n, x, columns, a, y, columns);
        else
            matrix_gemm(false, false, rows, n, n, 1, x, n, own->polynomial, n, a, y, n);
        t->slot[U] = y;
        own->other = x;
    }
    t->slot[MATRIX_DIRECTION] = t->slot[U];
}

static double root(const struct optim_tensor *t, int sum)
{
    return sqrt(t->sums[sum]);
}

static void set_average(struct optim_tensor *t, double decay, double new, double along_b, double along_g)
{
    t->k[DECAY] = (descent_real)decay;
    t->k[NEW] = (descent_real) new;
    t->k[ALONG_B] = (descent_real)along_b;
    t->k[ALONG_G] = (descent_real)along_g;
}

/* The step along O, each tensor's divisor being set. */
static enum descent_status finish(struct optim_run *run)
{
    optim_for_tensors(run, orthogonalize);
    optim_for_parts(run, matrix_step);
    return DESCENT_OK;
}

#define NEWTON_SCHULZ_FORMULA                                                                              \
    "    A = X X', X <- 3.4445 X + (-4.7750 A + 2.0315 A^2) X, so often: singular values near 1\n"
#define MATRICES_FORMULA                                                                                   \
    "Of the matrices of hidden layers, a convolution's being out x in h w. Biases, norm parameters\n"      \
    "and the output layer are AdamW's, with adamw_lr.\n"

/* --- Muon --- */

enum { NESTEROV = OWN, ADJUST, ADD_EPS, MUON_COUNT };
enum { ORIGINAL, MATCH_RMS_ADAMW };

static const struct descent_option muon_options[] = {
    [LR] = OPTIM_LR("1e-3", 3e-5, 3e-2),
    [MOMENTUM] = OPTIM_RATE("momentum", "0.95", 0.7, 0.99, "decay rate of the mean gradient b"),
    [ITERATIONS] = MATRIX_COUNT("iterations", "5", 1, "number of Newton-Schulz iterations"),
    [EPS] = OPTIM_POSITIVE("eps", "1e-7", true, 0, 0, "smallest norm that u is divided by"),
    ADAMW_ROWS,
    [WEIGHT_DECAY] = OPTIM_WEIGHT_DECAY("0.1", 5e-3, 1),
    [DECAY_ALL] = OPTIM_DECAY_ALL,
    [NESTEROV] = OPTIM_FLAG("nesterov", "yes", "look ahead: the mean after another such gradient"),
    [ADJUST] = {.name = "adjust",
                .type = DESCENT_OPTION_CHOICE,
                .initial = "original",
                .choices = "original|match_rms_adamw",
                .help = "scale s of a matrix's step; match_rms_adamw is for AdamW's learning rates"},
    [ADD_EPS] = OPTIM_FLAG("add_eps", "no", "divide by |u| + eps, as Jordan's own code does"),
};

static double adjustment(const struct optim_tensor *t)
{
    double rows = matrix_rows(t->param), columns = matrix_columns(t->param);
    return t->hyper[ADJUST].number == ORIGINAL ? sqrt(fmax(1, rows / columns))
                                               : 0.2 * sqrt(fmax(rows, columns));
}

static enum descent_status muon_step(struct optim_run *run)
{
    for (int i = 0; i < run->count; i++) {
        struct optim_tensor *t = run->tensor[i];
        double momentum = t->hyper[MOMENTUM].number;
        double along_b = t->hyper[NESTEROV].number != 0 ? momentum : 1;
        set_average(t, momentum, 1 - momentum, along_b, 1 - along_b);
        t->lr *= adjustment(t);
    }
    optim_add_up(run, advance);
    for (int i = 0; i < run->count; i++) {
        struct optim_tensor *t = run->tensor[i];
        struct muon *own = t->own;
        double eps = t->hyper[EPS].number;
        own->divisor = t->hyper[ADD_EPS].number != 0 ? root(t, UU) + eps : fmax(root(t, UU), eps);
    }
    return finish(run);
}

const struct optim_algorithm OPTIM_ALGORITHM(muon) = {
    .name = "muon",
    .summary = "momentum made orthogonal: a step of one length in every direction a matrix maps",
    .answers = OPTIM_CURVATURE,
    .paper = "Jordan et al. 2024, kellerjordan.github.io/posts/muon; Liu et al. 2025, arXiv:2502.16982",
    .formula = "b <- momentum b + (1 - momentum) g\n"
               "u = momentum b + (1 - momentum) g with nesterov, else b\n"
               "O = X, where first X = u / max(|u|, eps), then, of a matrix or its "
               "transpose,\n" NEWTON_SCHULZ_FORMULA "x <- x (1 - lr weight_decay) - lr s O\n"
               "s = sqrt(max(1, rows/columns)), or 0.2 sqrt(max(rows, columns)) if "
               "adjust=match_rms_adamw\n" MATRICES_FORMULA
               "PyTorch's form, in float where PyTorch rounds to bfloat16. Jordan's is lr=0.02,add_eps,\n"
               "weight_decay=0; his code takes a convolution's s from its last two axes, so it is 1.\n"
               "For lenet5 with batches of 64: lr=0.01.\n",
    .options = muon_options,
    .option_count = MUON_COUNT,
    .decay = OPTIM_DECOUPLED,
    .slots = {"b"},
    .fallback = "adamw",
    .takes = is_hidden_matrix,
    .init = init,
    .step = muon_step,
};

/* --- Muon as in airbench --- */

static const struct descent_option airbench_options[] = {
    [LR] = OPTIM_LR("0.24", 8e-3, 8),
    [MOMENTUM] = OPTIM_RATE("momentum", "0.6", 0.3, 0.95, "share of the last step that goes on"),
    [ITERATIONS] = MATRIX_COUNT("iterations", "3", 1, "number of Newton-Schulz iterations"),
    [EPS] = OPTIM_POSITIVE("eps", "1e-7", true, 0, 0, "added to the norm that u is divided by"),
    ADAMW_ROWS,
    [WEIGHT_DECAY] = OPTIM_WEIGHT_DECAY("0", 0, 0),
    [DECAY_ALL] = OPTIM_DECAY_ALL,
};

static enum descent_status airbench_step(struct optim_run *run)
{
    for (int i = 0; i < run->count; i++) {
        double momentum = run->tensor[i]->hyper[MOMENTUM].number;
        set_average(run->tensor[i], momentum, 1, momentum, 1);
    }
    optim_add_up(run, advance);
    for (int i = 0; i < run->count; i++) {
        struct optim_tensor *t = run->tensor[i];
        struct muon *own = t->own;
        double rows = matrix_rows(t->param), norm = root(t, XX), scale = norm > 0 ? sqrt(rows) / norm : 1;
        own->divisor = root(t, UU) + t->hyper[EPS].number;
        t->shrink = 1 - scale * (1 - t->shrink);
    }
    return finish(run);
}

const struct optim_algorithm OPTIM_ALGORITHM(muon_airbench) = {
    .name = "muon_airbench",
    .summary = "Muon for convolutional networks: weights of a fixed norm, large steps",
    .answers = OPTIM_CURVATURE,
    .paper = "Jordan 2024, github.com/KellerJordan/cifar10-airbench",
    .formula =
        "b <- momentum b + g\n"
        "O = X, where first X = (g + momentum b) / (|g + momentum b| + eps), then\n" NEWTON_SCHULZ_FORMULA
        "x <- x sqrt(rows)/|x| (1 - lr weight_decay) - lr O\n" MATRICES_FORMULA
        "The weights' norm is set even if lr is 0. The form of airbench94_muon, whose other\n"
        "parameters are Nesterov momentum's; meant for layers before a normalization.\n"
        "For lenet5 with batches of 64: lr=0.03.\n",
    .options = airbench_options,
    .option_count = OWN,
    .decay = OPTIM_DECOUPLED,
    .slots = {"b"},
    .fallback = "adamw",
    .takes = is_hidden_matrix,
    .init = init,
    .step = airbench_step,
};
