/* Rates from the history of squared gradients: Adagrad sums all of them, Adadelta averages recent ones and
 * measures its own steps the same way, so that no unit remains. Duchi, Hazan & Singer 2011, Adaptive
 * subgradient methods; Zeiler 2012, arXiv:1212.5701. */
#include "optim/elementwise.h"

enum {
    LR,
    LR_DECAY = 1,
    INITIAL,
    EPS,
    EPS_ROOT,
    ADAGRAD_DECAY,
    ADAGRAD_DECAY_ALL,
    ADAGRAD_HYPERPARAMETERS
};
enum { RHO = 1, ADADELTA_EPS, ADADELTA_DECAY, ADADELTA_DECAY_ALL, ADADELTA_HYPERPARAMETERS };

static const struct descent_option adagrad_options[] = {
    [LR] = OPTIM_LR("1e-2", 3e-4, 0.3),
    [LR_DECAY] = OPTIM_POSITIVE("lr_decay", "0", false, 0, 0, "lr falls as 1 / (1 + lr_decay (t - 1))"),
    [INITIAL] = OPTIM_POSITIVE("initial", "0", false, 0, 0, "what the sum of squares begins with"),
    [EPS] = OPTIM_POSITIVE("eps", "1e-10", false, 0, 0, "added to the denominator, outside the root"),
    [EPS_ROOT] = OPTIM_POSITIVE("eps_root", "0", false, 0, 0, "added inside the root"),
    [ADAGRAD_DECAY] = OPTIM_WEIGHT_DECAY("0", 0, 0),
    [ADAGRAD_DECAY_ALL] = OPTIM_DECAY_ALL,
};

static const struct descent_option adadelta_options[] = {
    [LR] = OPTIM_LR("1", 3e-2, 30),
    [RHO] = OPTIM_RATE("rho", "0.9", 0, 0, "decay rate of both mean squares"),
    [ADADELTA_EPS] = OPTIM_POSITIVE("eps", "1e-6", true, 0, 0, "added inside both roots; starts the steps"),
    [ADADELTA_DECAY] = OPTIM_WEIGHT_DECAY("0", 0, 0),
    [ADADELTA_DECAY_ALL] = OPTIM_DECAY_ALL,
};

static enum descent_status adagrad_check(const struct descent_value *hyper)
{
    if (hyper[EPS].number + hyper[INITIAL].number + hyper[EPS_ROOT].number > 0)
        return DESCENT_OK;
    return descent_fail(DESCENT_BAD_ARGUMENT,
                        "eps=0 needs initial or eps_root above 0: a gradient may be 0");
}

enum { INSIDE, OUTSIDE };

/* S <- S + g^2;  d = g / (sqrt(S + inside) + outside), what S begins with being inside */
OPTIM_INLINE descent_real adagrad_rule(const descent_real *k, struct optim_element *e)
{
    e->s[0] += e->g * e->g;
    return e->g / (sqrt(e->s[0] + k[INSIDE]) + k[OUTSIDE]);
}

static void adagrad_loop(struct optim_part *part)
{
    optim_elementwise(part, 1, adagrad_rule);
}

static enum descent_status adagrad_step(struct optim_run *run)
{
    for (int i = 0; i < run->count; i++) {
        struct optim_tensor *t = run->tensor[i];
        t->lr /= 1 + (double)(t->step - 1) * t->hyper[LR_DECAY].number;
        t->k[INSIDE] = (descent_real)(t->hyper[INITIAL].number + t->hyper[EPS_ROOT].number);
        t->k[OUTSIDE] = (descent_real)t->hyper[EPS].number;
    }
    optim_for_parts(run, adagrad_loop);
    return DESCENT_OK;
}

enum { OLD, NEW, EPSILON };

/* E <- rho E + (1 - rho) g^2;  d = sqrt(D + eps) / sqrt(E + eps) g;  D <- rho D + (1 - rho) d^2 */
OPTIM_INLINE descent_real adadelta_rule(const descent_real *k, struct optim_element *e)
{
    descent_real *gradients = &e->s[0], *steps = &e->s[1];
    *gradients = k[OLD] * *gradients + k[NEW] * (e->g * e->g);
    descent_real d = sqrt((*steps + k[EPSILON]) / (*gradients + k[EPSILON])) * e->g;
    *steps = k[OLD] * *steps + k[NEW] * (d * d);
    return d;
}

static void adadelta_loop(struct optim_part *part)
{
    optim_elementwise(part, 2, adadelta_rule);
}

static enum descent_status adadelta_step(struct optim_run *run)
{
    for (int i = 0; i < run->count; i++) {
        struct optim_tensor *t = run->tensor[i];
        t->k[OLD] = (descent_real)t->hyper[RHO].number;
        t->k[NEW] = (descent_real)(1 - t->hyper[RHO].number);
        t->k[EPSILON] = (descent_real)t->hyper[ADADELTA_EPS].number;
    }
    optim_for_parts(run, adadelta_loop);
    return DESCENT_OK;
}

const struct optim_algorithm OPTIM_ALGORITHM(adagrad) = {
    .name = "adagrad",
    .summary = "each parameter's rate falls with the sum of its squared gradients; rare ones stay quick",
    .answers = OPTIM_SCALES,
    .paper = "Duchi, Hazan & Singer 2011, Adaptive subgradient methods",
    .formula = "g <- g + weight_decay x\n"
               "S <- S + g^2, S being initial at first\n"
               "x <- x - lr/(1 + lr_decay (t - 1)) g / (sqrt(S + eps_root) + eps)\n"
               "PyTorch's form; optax has initial=0.1, eps_root=1e-7 and eps=0.\n",
    .options = adagrad_options,
    .option_count = ADAGRAD_HYPERPARAMETERS,
    .decay = OPTIM_COUPLED,
    .slots = {"sum"},
    .check = adagrad_check,
    .step = adagrad_step,
    .single_pass = true,
};

const struct optim_algorithm OPTIM_ALGORITHM(adadelta) = {
    .name = "adadelta",
    .summary = "Adagrad over recent gradients, in the units of the parameter: no lr to guess",
    .answers = OPTIM_TUNING,
    .paper = "Zeiler 2012, arXiv:1212.5701",
    .formula = "g <- g + weight_decay x\n"
               "E <- rho E + (1 - rho) g^2\n"
               "d = sqrt(D + eps) / sqrt(E + eps) g\n"
               "D <- rho D + (1 - rho) d^2\n"
               "x <- x - lr d\n"
               "PyTorch's form; Keras multiplies by lr=1e-3, the paper by none.\n",
    .options = adadelta_options,
    .option_count = ADADELTA_HYPERPARAMETERS,
    .decay = OPTIM_COUPLED,
    .slots = {"gradients", "steps"},
    .step = adadelta_step,
    .single_pass = true,
};
