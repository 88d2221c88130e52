/* Gradient centralization: no gradient of a matrix or kernel moves the mean of the weights of one output.
 * Yong et al. 2020. Writes the gradients. */
#include "optim/elementwise.h"

static void centralize(struct optim_tensor *t)
{
    const struct descent_param *param = t->param;
    if (param->rank < 2 || param->size == 0)
        return;
    int64_t inputs = param->size / param->shape[0];
    for (int64_t row = 0; row < param->shape[0]; row++) {
        descent_real *g = param->grad + row * inputs;
        double sum = 0;
        for (int64_t i = 0; i < inputs; i++)
            sum += (double)g[i];
        descent_real mean = (descent_real)(sum / (double)inputs);
        for (int64_t i = 0; i < inputs; i++)
            g[i] -= mean;
    }
}

static enum descent_status step(struct optim_run *run)
{
    optim_for_tensors(run, centralize);
    return optim_inner(run);
}

const struct optim_algorithm OPTIM_WRAPPER(centralize) = {
    .name = "centralize",
    .summary = "take from each output's gradient its mean over the inputs",
    .answers = OPTIM_RAVINES,
    .paper = "Yong et al. 2020, arXiv:2004.01461",
    .formula = "tensors with more than one axis: g <- g - mean of g over all axes but the first\n",
    .wraps = true,
    .step = step,
};
