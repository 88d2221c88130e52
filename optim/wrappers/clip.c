/* Clipping of gradients, in place, before the step: by norm, root mean square, value, or relative to the
 * weights (AGC). The global norm that most use, PyTorch's clip_grad_norm_, is in the driver and costs
 * nothing: optim_clip. */
#include "optim/elementwise.h"

static void scale(descent_real *g, int64_t count, double factor)
{
    for (int64_t i = 0; i < count; i++)
        g[i] *= (descent_real)factor;
}

static double norm(const descent_real *x, int64_t count)
{
    double sum = 0;
    for (int64_t i = 0; i < count; i++)
        sum += (double)x[i] * (double)x[i];
    return sqrt(sum);
}

/* Applies `clip`, which sees one tensor, to all. */
static enum descent_status clip_tensors(struct optim_run *run, void (*clip)(struct optim_tensor *t))
{
    optim_for_tensors(run, clip);
    return optim_inner(run);
}

enum { LIMIT };

/* --- By norm. --- */

enum { SCOPE = LIMIT + 1 };
enum { ALL, EACH };

static const struct descent_option norm_options[] = {
    [LIMIT] = OPTIM_POSITIVE("norm", "1", true, 0.1, 10, "largest Euclidean norm"),
    [SCOPE] = {.name = "of",
               .type = DESCENT_OPTION_CHOICE,
               .initial = "all",
               .choices = "all|tensor",
               .help = "norm of all gradients together, or of each parameter's"},
};

static void square_norm(struct optim_tensor *t)
{
    double length = norm(t->param->grad, t->param->size);
    t->sums[0] = length * length;
}

static void scale_by_factor(struct optim_tensor *t)
{
    scale(t->param->grad, t->param->size, t->sums[1]);
}

static enum descent_status norm_step(struct optim_run *run)
{
    double squares = 0;
    optim_for_tensors(run, square_norm);
    for (int i = 0; i < run->count; i++)
        squares += run->tensor[i]->sums[0];
    for (int i = 0; i < run->count; i++) {
        struct optim_tensor *t = run->tensor[i];
        double length = sqrt((int)t->hyper[SCOPE].number == ALL ? squares : t->sums[0]);
        t->sums[1] = length < t->hyper[LIMIT].number ? 1 : t->hyper[LIMIT].number / length;
    }
    return isfinite(squares) ? clip_tensors(run, scale_by_factor) : optim_inner(run);
}

const struct optim_algorithm OPTIM_WRAPPER(clip_norm) = {
    .name = "clip_norm",
    .summary = "scale gradients down to a norm, all together or each tensor's",
    .answers = OPTIM_NOISE,
    .paper = "Pascanu et al. 2012, arXiv:1211.5063; optax.clip_by_global_norm, Keras clipnorm",
    .formula = "g <- g norm / |g| where |g| >= norm\n"
               "exact, as in optax; `--clip`, as in PyTorch, divides by |g| + 1e-6\n",
    .options = norm_options,
    .option_count = sizeof norm_options / sizeof *norm_options,
    .wraps = true,
    .step = norm_step,
};

/* --- By root mean square. --- */

static const struct descent_option rms_options[] = {
    [LIMIT] = OPTIM_POSITIVE("rms", "1", true, 0, 0, "largest root mean square of a tensor's gradient"),
};

static void clip_rms(struct optim_tensor *t)
{
    double rms = norm(t->param->grad, t->param->size) / sqrt((double)t->param->size);
    if (rms > t->hyper[LIMIT].number)
        scale(t->param->grad, t->param->size, t->hyper[LIMIT].number / rms);
}

static enum descent_status rms_step(struct optim_run *run)
{
    return clip_tensors(run, clip_rms);
}

const struct optim_algorithm OPTIM_WRAPPER(clip_rms) = {
    .name = "clip_rms",
    .summary = "scale each tensor's gradient down to a root mean square",
    .answers = OPTIM_NOISE,
    .paper = "Shazeer & Stern 2018, arXiv:1804.04235; optax.clip_by_block_rms",
    .formula = "each tensor: g <- g / max(1, RMS(g) / rms)\n",
    .options = rms_options,
    .option_count = sizeof rms_options / sizeof *rms_options,
    .wraps = true,
    .step = rms_step,
};

/* --- By value. --- */

static const struct descent_option value_options[] = {
    [LIMIT] = OPTIM_POSITIVE("value", "1", true, 0, 0, "largest magnitude of an element"),
};

/* NaN stays NaN: the step says so. */
static void clip_value(struct optim_tensor *t)
{
    descent_real limit = (descent_real)t->hyper[LIMIT].number;
    for (int64_t i = 0; i < t->param->size; i++) {
        descent_real g = t->param->grad[i];
        t->param->grad[i] = g > limit ? limit : g < -limit ? -limit : g;
    }
}

static enum descent_status value_step(struct optim_run *run)
{
    return clip_tensors(run, clip_value);
}

const struct optim_algorithm OPTIM_WRAPPER(clip_value) = {
    .name = "clip_value",
    .summary = "clip each element of the gradient",
    .answers = OPTIM_NOISE,
    .paper = "torch.nn.utils.clip_grad_value_, Keras clipvalue",
    .formula = "g <- min(max(g, -value), value), element by element; this changes the direction\n",
    .options = value_options,
    .option_count = sizeof value_options / sizeof *value_options,
    .wraps = true,
    .step = value_step,
};

/* --- Relative to the weights. --- */

enum { EPS = LIMIT + 1 };

static const struct descent_option agc_options[] = {
    [LIMIT] =
        OPTIM_POSITIVE("clip", "0.01", true, 1e-3, 0.2, "largest ratio of a row's gradient to its weights"),
    [EPS] = OPTIM_POSITIVE("eps", "1e-3", true, 0, 0, "a row's weights count as at least so long"),
};

/* A tensor with one axis is one row. The output layer is left alone. */
static void clip_rows(struct optim_tensor *t)
{
    const struct descent_param *param = t->param;
    int64_t rows = param->rank > 1 ? param->shape[0] : 1, length = rows > 0 ? param->size / rows : 0;
    if (param->role == DESCENT_ROLE_OUTPUT)
        return;
    for (int64_t row = 0; row < rows; row++) {
        descent_real *g = param->grad + row * length;
        double most =
            t->hyper[LIMIT].number * fmax(norm(param->value + row * length, length), t->hyper[EPS].number);
        double found = norm(g, length);
        if (found >= most)
            scale(g, length, most / fmax(found, 1e-6));
    }
}

static enum descent_status agc_step(struct optim_run *run)
{
    return clip_tensors(run, clip_rows);
}

const struct optim_algorithm OPTIM_WRAPPER(agc) = {
    .name = "agc",
    .summary = "clip the gradient of each output's weights relative to their length",
    .answers = OPTIM_LAYERS,
    .paper = "Brock et al. 2021, arXiv:2102.06171; as in timm",
    .formula =
        "each row (output): w = max(|x|, eps);  where |g| >= clip w: g <- g clip w / max(|g|, 1e-6)\n"
        "tensors with one axis count as one row; the output layer is left alone\n",
    .options = agc_options,
    .option_count = sizeof agc_options / sizeof *agc_options,
    .wraps = true,
    .step = agc_step,
};
