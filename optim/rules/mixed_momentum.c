/* Momentum hedged: QHM mixes the momentum's step with the plain gradient's, AggMo averages the steps of
 * several momenta, so that slow ones carry far and fast ones damp. Ma & Yarats 2018, arXiv:1810.06801;
 * Lucas et al. 2018, arXiv:1804.00325. */
#include "optim/elementwise.h"

#include <stdio.h>

enum { LR, BETA = 1, BETAS = 1, NU };
enum { QHM_DECAY = 3, QHM_DECAY_ALL, QHM_HYPERPARAMETERS };
enum { AGGMO_DECAY = 2, AGGMO_DECAY_ALL, AGGMO_HYPERPARAMETERS };

static const struct descent_option qhm_options[] = {
    [LR] = OPTIM_LR("0.1", 3e-3, 3),
    [BETA] = OPTIM_RATE("beta", "0.999", 0.7, 0.999, "decay rate of the mean of the gradient"),
    [NU] =
        OPTIM_BETWEEN("nu", "0.7", 0, 1, "share of the momentum in the step, the rest being the gradient"),
    [QHM_DECAY] = OPTIM_WEIGHT_DECAY("0", 0, 0),
    [QHM_DECAY_ALL] = OPTIM_DECAY_ALL,
};

static const struct descent_option aggmo_options[] = {
    [LR] = OPTIM_LR("0.1", 3e-3, 3),
    [BETAS] = {.name = "betas",
               .type = DESCENT_OPTION_LIST,
               .initial = "0/0.9/0.99",
               .max = 1,
               .open_max = true,
               .help = "the momenta that are averaged, at most 6"},
    [AGGMO_DECAY] = OPTIM_WEIGHT_DECAY("0", 0, 0),
    [AGGMO_DECAY_ALL] = OPTIM_DECAY_ALL,
};

enum { MU, FRESH, ALONG_G, ALONG_B };

/* b <- beta b + (1 - beta) g;  d = (1 - nu) g + nu b */
OPTIM_INLINE descent_real qhm_rule(const descent_real *k, struct optim_element *e)
{
    descent_real *b = &e->s[0];
    *b = k[MU] * *b + k[FRESH] * e->g;
    return k[ALONG_G] * e->g + k[ALONG_B] * *b;
}

static void qhm_loop(struct optim_part *part)
{
    optim_elementwise(part, 1, qhm_rule);
}

static enum descent_status qhm_step(struct optim_run *run)
{
    for (int i = 0; i < run->count; i++) {
        struct optim_tensor *t = run->tensor[i];
        double beta = t->hyper[BETA].number, nu = t->hyper[NU].number;
        t->k[MU] = (descent_real)beta;
        t->k[FRESH] = (descent_real)(1 - beta);
        t->k[ALONG_G] = (descent_real)(1 - nu);
        t->k[ALONG_B] = (descent_real)nu;
    }
    optim_for_parts(run, qhm_loop);
    return DESCENT_OK;
}

/* b_i <- beta_i b_i + g for the `count` first momenta;  d = sum of b_i, 1 / count being in lr */
OPTIM_INLINE descent_real sum_of_momenta(const descent_real *k, struct optim_element *e, int count)
{
    descent_real sum = 0;
    for (int i = 0; i < count; i++) {
        e->s[i] = k[i] * e->s[i] + e->g;
        sum += e->s[i];
    }
    return sum;
}

#define AGGMO_LIST(X) X(1) X(2) X(3) X(4) X(5) X(6)
#define X(count)                                                                                           \
    OPTIM_INLINE descent_real aggmo_rule_##count(const descent_real *k, struct optim_element *e)           \
    {                                                                                                      \
        return sum_of_momenta(k, e, count);                                                                \
    }
AGGMO_LIST(X)
#undef X

static void aggmo_loop(struct optim_part *part)
{
    switch (part->tensor->hyper[BETAS].count) {
#define X(count)                                                                                           \
    case count:                                                                                            \
        optim_elementwise(part, count, aggmo_rule_##count);                                                \
        break;
        AGGMO_LIST(X)
#undef X
    }
}

static enum descent_status aggmo_check(const struct descent_value *hyper)
{
    if (hyper[BETAS].count > OPTIM_SLOTS)
        return descent_fail(DESCENT_BAD_ARGUMENT, "betas has %d numbers; expected at most %d",
                            hyper[BETAS].count, OPTIM_SLOTS);
    return DESCENT_OK;
}

static enum descent_status aggmo_init(struct optim_run *run)
{
    enum descent_status status = DESCENT_OK;
    for (int i = 0; i < run->count; i++)
        for (int j = 0; j < run->tensor[i]->hyper[BETAS].count && !status; j++) {
            char name[16];
            snprintf(name, sizeof name, "b%d", j + 1);
            status = optim_slot(run, run->tensor[i], j, name);
        }
    return status;
}

static enum descent_status aggmo_step(struct optim_run *run)
{
    for (int i = 0; i < run->count; i++) {
        struct optim_tensor *t = run->tensor[i];
        const struct descent_value *betas = &t->hyper[BETAS];
        t->lr /= betas->count;
        for (int j = 0; j < betas->count; j++)
            t->k[j] = (descent_real)betas->list[j];
    }
    optim_for_parts(run, aggmo_loop);
    return DESCENT_OK;
}

const struct optim_algorithm OPTIM_ALGORITHM(qhm) = {
    .name = "qhm",
    .summary = "quasi-hyperbolic momentum: the step is a mean of the momentum's and the gradient's",
    .answers = OPTIM_RAVINES,
    .paper = "Ma & Yarats 2018, arXiv:1810.06801",
    .formula = "g <- g + weight_decay x\n"
               "b <- beta b + (1 - beta) g\n"
               "x <- x - lr ((1 - nu) g + nu b)\n"
               "The authors' form: b is a mean, so lr is 1 / (1 - beta) times momentum's.\n",
    .options = qhm_options,
    .option_count = QHM_HYPERPARAMETERS,
    .decay = OPTIM_COUPLED,
    .slots = {"b"},
    .step = qhm_step,
    .single_pass = true,
};

const struct optim_algorithm OPTIM_ALGORITHM(aggmo) = {
    .name = "aggmo",
    .summary = "the mean of several momenta: slow ones carry far, fast ones damp",
    .answers = OPTIM_RAVINES,
    .paper = "Lucas et al. 2018, arXiv:1804.00325",
    .formula = "g <- g + weight_decay x\n"
               "b_i <- beta_i b_i + g for each of the K betas\n"
               "x <- x - lr/K (b_1 + ... + b_K)\n"
               "For lenet5 with batches of 64: lr=0.01.\n",
    .options = aggmo_options,
    .option_count = AGGMO_HYPERPARAMETERS,
    .decay = OPTIM_COUPLED,
    .check = aggmo_check,
    .init = aggmo_init,
    .step = aggmo_step,
    .single_pass = true,
};
