/* Adam, AdamW, AMSGrad: each parameter's step is measured in units of its gradient's own size. Kingma & Ba
 * 2014, arXiv:1412.6980; Loshchilov & Hutter 2017, arXiv:1711.05101; Reddi, Kale & Kumar 2018,
 * arXiv:1904.09237. */
#include "optim/rules/adam.h"

enum { EPS_HAT = OWN, LAZY, CORRECTED = OWN };

#define EPS_HAT_ROW                                                                                        \
    OPTIM_FLAG("eps_hat", "no", "add eps to the uncorrected root, as TensorFlow does; Keras: eps=1e-7")

static const struct descent_option adam_options[] = {
    ADAM_ROWS("1e-3", 3e-5, 3e-2, "0.9", 0, 0),
    EPS_HAT_ROW,
    OPTIM_FLAG("lazy", "no", "leave rows alone whose gradient is exactly 0"),
    DECAY_ROWS("0", 0, 0),
};

static const struct descent_option adamw_options[] = {
    ADAM_ROWS("1e-3", 1e-4, 1e-2, "0.9", 0.5, 0.98),
    EPS_HAT_ROW,
    DECAY_ROWS("1e-2", 5e-3, 1),
};

static const struct descent_option amsgrad_options[] = {
    ADAM_ROWS("1e-3", 3e-5, 3e-2, "0.9", 0, 0),
    OPTIM_FLAG("corrected", "no", "take the maximum of v / c2, as optax does"),
    DECAY_ROWS("0", 0, 0),
};

static void adam_loop(struct optim_part *part)
{
    optim_elementwise(part, 2, adam_rule);
}

static bool any(const descent_real *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if (x[i] != 0)
            return true;
    return false;
}

/* Row by row; a row that hangs over the part is looked at as a whole all the same. */
static void lazy_loop(struct optim_part *part)
{
    const struct descent_param *param = part->tensor->param;
    int64_t row = param->rank > 1 ? param->size / param->shape[0] : 1;
    struct optim_part piece = *part;
    double sum = 0, gradient = 0;
    for (int64_t first = part->begin / row * row; first < part->end; first += row) {
        piece.begin = first > part->begin ? first : part->begin;
        piece.end = first + row < part->end ? first + row : part->end;
        if (any(param->grad + first, row)) {
            optim_elementwise(&piece, 2, adam_rule);
            sum += piece.sum;
            gradient += piece.gradient;
        }
    }
    part->sum = sum;
    part->gradient = gradient;
}

static void adam_or_lazy_loop(struct optim_part *part)
{
    if (part->tensor->hyper[LAZY].number != 0)
        lazy_loop(part);
    else
        adam_loop(part);
}

static void set_scalars(struct optim_run *run)
{
    for (int i = 0; i < run->count; i++) {
        struct optim_tensor *t = run->tensor[i];
        set_adam_scalars(t);
        if (t->hyper[EPS_HAT].number != 0)
            t->k[EPSILON] = (descent_real)(t->hyper[EPS].number / sqrt(adam_c2(t)));
    }
}

static enum descent_status adam_step(struct optim_run *run)
{
    set_scalars(run);
    optim_for_parts(run, adam_or_lazy_loop);
    return DESCENT_OK;
}

static enum descent_status adamw_step(struct optim_run *run)
{
    set_scalars(run);
    optim_for_parts(run, adam_loop);
    return DESCENT_OK;
}

enum { CORRECTION = FREE };

/* top <- max(top, v), v corrected or not;  d = a m / (sqrt(top) / sqrt(c2) + eps) */
OPTIM_INLINE descent_real amsgrad_rule(const descent_real *k, struct optim_element *e)
{
    advance_moments(k, e);
    descent_real *top = &e->s[2], v = k[CORRECTION] * e->s[1];
    *top = v > *top ? v : *top;
    return k[ALONG_M] * e->s[0] / corrected_root(k, *top);
}

static void amsgrad_loop(struct optim_part *part)
{
    optim_elementwise(part, 3, amsgrad_rule);
}

static enum descent_status amsgrad_step(struct optim_run *run)
{
    for (int i = 0; i < run->count; i++) {
        struct optim_tensor *t = run->tensor[i];
        set_adam_scalars(t);
        t->k[CORRECTION] = 1;
        if (t->hyper[CORRECTED].number != 0) {
            t->k[CORRECTION] = (descent_real)(1 / adam_c2(t));
            t->k[ROOT_C2] = 1;
        }
    }
    optim_for_parts(run, amsgrad_loop);
    return DESCENT_OK;
}

#define ADAM_FORMULA MOMENTS_FORMULA "x <- x - lr/c1 m / (sqrt(v)/sqrt(c2) + eps)\n"
#define EPS_FORMULA                                                                                        \
    "PyTorch's eps; TensorFlow's is that of eps_hat:\n"                                                    \
    "x <- x - lr sqrt(c2)/c1 m / (sqrt(v) + eps)\n"

const struct optim_algorithm OPTIM_ALGORITHM(adam) = {
    .name = "adam",
    .summary = "momentum divided by the root of the mean squared gradient, parameter by parameter",
    .answers = OPTIM_SCALES,
    .paper = "Kingma & Ba 2014, arXiv:1412.6980",
    .formula = COUPLED_FORMULA ADAM_FORMULA EPS_FORMULA
    "lazy: where a row of g (an element of a vector) is 0, its x, m and v stay as they are; with\n"
    "eps_hat, PyTorch's SparseAdam.\n",
    TABLE(adam_options),
    .decay = OPTIM_COUPLED,
    .slots = {"m", "v"},
    .step = adam_step,
    .single_pass = true,
};

const struct optim_algorithm OPTIM_ALGORITHM(adamw) = {
    .name = "adamw",
    .summary = "Adam with weight decay kept out of the moments",
    .answers = OPTIM_SCALES,
    .paper = "Loshchilov & Hutter 2017, arXiv:1711.05101",
    .formula = DECOUPLED_FORMULA ADAM_FORMULA EPS_FORMULA "PyTorch's decay: before the step, times lr.\n",
    TABLE(adamw_options),
    .decay = OPTIM_DECOUPLED,
    .slots = {"m", "v"},
    .step = adamw_step,
    .single_pass = true,
};

const struct optim_algorithm OPTIM_ALGORITHM(amsgrad) = {
    .name = "amsgrad",
    .summary = "Adam that never forgets a large gradient: what it divides by cannot fall",
    .answers = OPTIM_SCALES,
    .paper = "Reddi, Kale & Kumar 2018, arXiv:1904.09237",
    .formula = COUPLED_FORMULA MOMENTS_FORMULA "top <- max(top, v)\n"
                                               "x <- x - lr/c1 m / (sqrt(top)/sqrt(c2) + eps)\n"
                                               "PyTorch's maximum, of the uncorrected v; corrected is "
                                               "optax's: top <- max(top, v/c2), not corrected after.\n",
    TABLE(amsgrad_options),
    .decay = OPTIM_COUPLED,
    .slots = {"m", "v", "top"},
    .step = amsgrad_step,
    .single_pass = true,
};
