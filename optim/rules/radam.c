/* RAdam: Adam whose first steps are plain momentum, until the second moment has seen enough gradients to be
 * divided by. Liu et al. 2019, arXiv:1908.03265. */
#include "optim/rules/adam.h"

static const struct descent_option options[] = {
    ADAM_ROWS("1e-3", 3e-5, 3e-2, "0.9", 0, 0),
    DECAY_ROWS("0", 0, 0),
};

static void loop(struct optim_part *part)
{
    optim_elementwise(part, 2, adam_rule);
}

/* The factor r of a step that is rectified; 0 if it is not. */
static double rectification(const struct optim_tensor *t)
{
    double beta2 = t->hyper[BETA2].number, time = (double)t->step;
    double limit = 2 / (1 - beta2) - 1, length = limit - 2 * time * pow(beta2, time) / adam_c2(t);
    if (length <= 5)
        return 0;
    return sqrt((length - 4) * (length - 2) * limit / ((limit - 4) * (limit - 2) * length));
}

static enum descent_status step(struct optim_run *run)
{
    for (int i = 0; i < run->count; i++) {
        struct optim_tensor *t = run->tensor[i];
        double r = rectification(t);
        set_adam_scalars(t);
        if (r > 0) {
            t->k[ALONG_M] = (descent_real)(r * sqrt(adam_c2(t)) / adam_c1(t));
            t->k[ROOT_C2] = 1;
        } else {
            t->k[ROOT_C2] = 0;
            t->k[EPSILON] = 1;
        }
    }
    optim_for_parts(run, loop);
    return DESCENT_OK;
}

const struct optim_algorithm OPTIM_ALGORITHM(radam) = {
    .name = "radam",
    .summary = "Adam that warms itself up: plain momentum until the second moment can be trusted",
    .answers = OPTIM_SCALES,
    .paper = "Liu et al. 2019, arXiv:1908.03265",
    .formula = COUPLED_FORMULA MOMENTS_FORMULA
    "q = 2/(1 - beta2) - 1                 p = q - 2 t beta2^t / c2\n"
    "r = sqrt((p - 4)(p - 2) q / ((q - 4)(q - 2) p))\n"
    "x <- x - lr r sqrt(c2)/c1 m / (sqrt(v) + eps) if p > 5, else x <- x - lr/c1 m\n"
    "PyTorch's form; optax begins at p = 5 and has eps outside the correction.\n",
    TABLE(options),
    .decay = OPTIM_COUPLED,
    .slots = {"m", "v"},
    .step = step,
    .single_pass = true,
};
