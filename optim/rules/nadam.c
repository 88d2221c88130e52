/* Nesterov's look ahead within Adam: the step goes along the momentum as it will be, so the present
 * gradient counts more. Three forms in use, which differ in how that sum is bias-corrected; and QHAdam,
 * which mixes gradient and momentum as it is told. Dozat 2016, Incorporating Nesterov momentum into Adam;
 * Dahl et al. 2023, arXiv:2306.07179; Ma & Yarats 2018, arXiv:1810.06801. */
#include "optim/rules/adam.h"

enum { PSI = OWN, NU1 = OWN, NU2 };

static const struct descent_option nadam_options[] = {
    ADAM_ROWS("2e-3", 6e-5, 6e-2, "0.9", 0, 0),
    OPTIM_POSITIVE("psi", "4e-3", false, 0, 0, "how fast the momentum rises from beta1 / 2 to beta1"),
    DECAY_ROWS("0", 0, 0),
};

static const struct descent_option nadam_simple_options[] = {
    ADAM_ROWS("1e-3", 3e-5, 3e-2, "0.9", 0, 0),
    DECAY_ROWS("0", 0, 0),
};

static const struct descent_option nadamw_options[] = {
    ADAM_ROWS("1e-3", 1e-4, 1e-2, "0.9", 0.5, 0.98),
    DECAY_ROWS("1e-2", 5e-3, 1),
};

static const struct descent_option qhadam_options[] = {
    ADAM_ROWS("1e-3", 3e-5, 3e-2, "0.995", 0, 0),
    OPTIM_BETWEEN("nu1", "0.7", 0, 1, "share of the first moment in the step, the rest being the gradient"),
    OPTIM_BETWEEN("nu2", "1", 0, 1, "share of the second moment under the root, the rest being its square"),
    DECAY_ROWS("0", 0, 0),
};

static void loop(struct optim_part *part)
{
    optim_elementwise(part, 2, adam_rule);
}

/* The product of all mu so far; starts at 1. */
static enum descent_status nadam_init(struct optim_run *run)
{
    for (int i = 0; i < run->count; i++) {
        double *product = optim_state(run, run->tensor[i], "mu_product", DESCENT_F64, 0, NULL);
        if (!product)
            return DESCENT_OUT_OF_MEMORY;
        *product = 1;
        run->tensor[i]->own = product;
    }
    return DESCENT_OK;
}

static double mu(const struct optim_tensor *t, int64_t step)
{
    return t->hyper[BETA1].number * (1 - 0.5 * pow(0.96, (double)step * t->hyper[PSI].number));
}

static enum descent_status nadam_step(struct optim_run *run)
{
    for (int i = 0; i < run->count; i++) {
        struct optim_tensor *t = run->tensor[i];
        double now = mu(t, t->step), next = mu(t, t->step + 1), *product = t->own;
        *product *= now;
        set_adam_scalars(t);
        t->k[ALONG_G] = (descent_real)((1 - now) / (1 - *product));
        t->k[ALONG_M] = (descent_real)(next / (1 - *product * next));
    }
    optim_for_parts(run, loop);
    return DESCENT_OK;
}

/* a = beta1 / corrected, b = (1 - beta1) / c1: the gradient's share is corrected for the steps so far, the
 * momentum's for `ahead` more. */
static enum descent_status step_ahead(struct optim_run *run, int ahead)
{
    for (int i = 0; i < run->count; i++) {
        struct optim_tensor *t = run->tensor[i];
        double beta1 = t->hyper[BETA1].number;
        set_adam_scalars(t);
        t->k[ALONG_M] = (descent_real)(beta1 / (1 - pow(beta1, (double)(t->step + ahead))));
        t->k[ALONG_G] = (descent_real)((1 - beta1) / adam_c1(t));
    }
    optim_for_parts(run, loop);
    return DESCENT_OK;
}

static enum descent_status nadam_simple_step(struct optim_run *run)
{
    return step_ahead(run, 1);
}

static enum descent_status nadamw_step(struct optim_run *run)
{
    return step_ahead(run, 0);
}

enum { UNDER_V = FREE, UNDER_G };

/* d = (a m + b g) / (sqrt(u v + w g^2) / sqrt(c2) + eps) */
OPTIM_INLINE descent_real qhadam_rule(const descent_real *k, struct optim_element *e)
{
    advance_moments(k, e);
    descent_real square = k[UNDER_V] * e->s[1] + k[UNDER_G] * (e->g * e->g);
    return (k[ALONG_M] * e->s[0] + k[ALONG_G] * e->g) / corrected_root(k, square);
}

static void qhadam_loop(struct optim_part *part)
{
    optim_elementwise(part, 2, qhadam_rule);
}

static enum descent_status qhadam_step(struct optim_run *run)
{
    for (int i = 0; i < run->count; i++) {
        struct optim_tensor *t = run->tensor[i];
        double nu1 = t->hyper[NU1].number, nu2 = t->hyper[NU2].number;
        set_adam_scalars(t);
        t->k[ALONG_M] = (descent_real)(nu1 / adam_c1(t));
        t->k[ALONG_G] = (descent_real)(1 - nu1);
        t->k[UNDER_V] = (descent_real)nu2;
        t->k[UNDER_G] = (descent_real)((1 - nu2) * adam_c2(t));
    }
    optim_for_parts(run, qhadam_loop);
    return DESCENT_OK;
}

const struct optim_algorithm OPTIM_ALGORITHM(nadam) = {
    .name = "nadam",
    .summary = "Adam with Nesterov's look ahead and a momentum that rises",
    .answers = OPTIM_SCALES,
    .paper = "Dozat 2016, Incorporating Nesterov momentum into Adam",
    .formula = COUPLED_FORMULA MOMENTS_FORMULA
    "mu_t = beta1 (1 - 0.96^(t psi) / 2)   P <- P mu_t, P being 1 at first\n"
    "d = (1 - mu_t)/(1 - P) g + mu_(t+1)/(1 - P mu_(t+1)) m\n"
    "x <- x - lr d / (sqrt(v/c2) + eps)\n"
    "PyTorch's form since 2.0 (1.13 had a slip in the second term); Keras's is psi=1,eps=1e-7, optax's\n"
    "nadam_simple.\n",
    TABLE(nadam_options),
    .decay = OPTIM_COUPLED,
    .slots = {"m", "v"},
    .init = nadam_init,
    .step = nadam_step,
    .single_pass = true,
};

const struct optim_algorithm OPTIM_ALGORITHM(nadam_simple) = {
    .name = "nadam_simple",
    .summary = "NAdam with a constant momentum",
    .answers = OPTIM_SCALES,
    .paper = "Dozat 2016, Incorporating Nesterov momentum into Adam",
    .formula = COUPLED_FORMULA MOMENTS_FORMULA "d = beta1 m / (1 - beta1^(t+1)) + (1 - beta1) g / c1\n"
                                               "x <- x - lr d / (sqrt(v/c2) + eps)\n"
                                               "optax's form.\n",
    TABLE(nadam_simple_options),
    .decay = OPTIM_COUPLED,
    .slots = {"m", "v"},
    .step = nadam_simple_step,
    .single_pass = true,
};

const struct optim_algorithm OPTIM_ALGORITHM(nadamw) = {
    .name = "nadamw",
    .summary = "AdamW with Nesterov's look ahead",
    .answers = OPTIM_SCALES,
    .paper = "Dozat 2016; Dahl et al. 2023 (AlgoPerf), arXiv:2306.07179",
    .formula = DECOUPLED_FORMULA MOMENTS_FORMULA
    "x <- x - lr/c1 (beta1 m + (1 - beta1) g) / (sqrt(v)/sqrt(c2) + eps)\n"
    "AlgoPerf's and timm's form, where both terms are corrected by c1.\n",
    TABLE(nadamw_options),
    .decay = OPTIM_DECOUPLED,
    .slots = {"m", "v"},
    .step = nadamw_step,
    .single_pass = true,
};

const struct optim_algorithm OPTIM_ALGORITHM(qhadam) = {
    .name = "qhadam",
    .summary = "quasi-hyperbolic Adam: the step mixes moments and the present gradient",
    .answers = OPTIM_SCALES,
    .paper = "Ma & Yarats 2018, arXiv:1810.06801",
    .formula = COUPLED_FORMULA MOMENTS_FORMULA
    "x <- x - lr ((1 - nu1) g + nu1 m/c1) / (sqrt((1 - nu2) g^2 + nu2 v/c2) + eps)\n"
    "The authors' form, with the values they recommend; nu1=1 and nu2=1 are Adam.\n",
    TABLE(qhadam_options),
    .decay = OPTIM_COUPLED,
    .slots = {"m", "v"},
    .step = qhadam_step,
    .single_pass = true,
};
