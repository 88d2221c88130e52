/* Adamax: Adam with the largest recent gradient in place of the root of the mean square. Kingma & Ba 2014,
 * arXiv:1412.6980, section 7. */
#include "optim/rules/adam.h"

static const struct descent_option options[] = {
    ADAM_ROWS("2e-3", 6e-5, 6e-2, "0.9", 0, 0),
    DECAY_ROWS("0", 0, 0),
};

/* m <- beta1 m + (1 - beta1) g;  u <- max(beta2 u, |g| + eps);  d = a m / u */
OPTIM_INLINE descent_real rule(const descent_real *k, struct optim_element *e)
{
    descent_real *m = &e->s[0], *u = &e->s[1];
    descent_real old = k[B2] * *u, new = fabs(e->g) + k[EPSILON];
    *m = k[B1] * *m + k[NEW1] * e->g;
    *u = old > new ? old : new;
    return k[ALONG_M] * *m / *u;
}

static void loop(struct optim_part *part)
{
    optim_elementwise(part, 2, rule);
}

static enum descent_status step(struct optim_run *run)
{
    for (int i = 0; i < run->count; i++)
        set_adam_scalars(run->tensor[i]);
    optim_for_parts(run, loop);
    return DESCENT_OK;
}

const struct optim_algorithm OPTIM_ALGORITHM(adamax) = {
    .name = "adamax",
    .summary = "Adam measured by the largest recent gradient instead of the mean square",
    .answers = OPTIM_SCALES,
    .paper = "Kingma & Ba 2014, arXiv:1412.6980, section 7",
    .formula = COUPLED_FORMULA "m <- beta1 m + (1 - beta1) g          c1 = 1 - beta1^t\n"
                               "u <- max(beta2 u, |g| + eps)\n"
                               "x <- x - lr/c1 m / u\n"
                               "PyTorch's form; the paper has no eps.\n",
    TABLE(options),
    .decay = OPTIM_COUPLED,
    .slots = {"m", "u"},
    .step = step,
    .single_pass = true,
};
