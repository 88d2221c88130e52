/* Every rule that a framework of 2026 is expected to have, and what it is called here: an algorithm, a
 * wrapper, or either with an option. Tier 1 is what PyTorch has or the classic texts teach, tier 2 what
 * practitioners ask for besides. */
#include "optim/optim.h"
#include "tests/test.h"

#include <string.h>

static const struct tier_row {
    int tier;
    const char *rule, *spec;
} rows[] = {
    /* Plain, sign and line search */
    {1, "full-batch gradient descent", "sgd"}, /* with --batch all */
    {1, "SGD, mini-batch SGD", "sgd"},
    {1, "averaged SGD", "asgd"},
    {1, "Rprop", "rprop"},
    {2, "signSGD", "signsgd"},
    {2, "Signum", "signum"},
    {2, "normalized SGD", "normalized_sgd"},
    {2, "Polyak step SGD (SPS)", "sps"},
    {2, "gradient centralization", "sgd+centralize"},
    {2, "line search, Armijo", "line_search"},
    {2, "nonlinear conjugate gradient", "conjugate_gradient"},
    /* Momentum */
    {1, "momentum (heavy ball)", "momentum"},
    {1, "Nesterov momentum", "nesterov"},
    {2, "SGDW", "sgdw"},
    {2, "QHM", "qhm"},
    {2, "AggMo", "aggmo"},
    /* Adaptive per parameter */
    {1, "Adagrad", "adagrad"},
    {1, "Adadelta", "adadelta"},
    {1, "RMSprop", "rmsprop"},
    {1, "RMSprop, centered", "rmsprop:centered"},
    {1, "RMSprop with momentum", "rmsprop:momentum=0.9"},
    {2, "RMSprop-TF", "rmsprop_tf"},
    {1, "Adam", "adam"},
    {1, "AMSGrad", "amsgrad"},
    {2, "AMSGrad, optax's maximum", "amsgrad:corrected"},
    {1, "AdamW", "adamw"},
    {1, "Adamax", "adamax"},
    {1, "NAdam", "nadam"},
    {2, "NAdam, simple form", "nadam_simple"},
    {2, "NAdamW", "nadamw"},
    {2, "AdaBound", "adabound"},
    {2, "AMSBound", "amsbound"},
    {2, "Yogi", "yogi"},
    {2, "AdaBelief", "adabelief"},
    {2, "QHAdam", "qhadam"},
    {2, "AdamP", "adamp"},
    {2, "Adan", "adan"},
    {2, "MADGRAD", "madgrad"},
    {2, "AdEMAMix", "ademamix"},
    {2, "ADOPT", "adopt"},
    {2, "StableAdamW", "stable_adamw"},
    {2, "cautious mask", "adamw+cautious"},
    {1, "SparseAdam (lazy)", "adam:lazy,eps_hat"},
    /* Variance-rectified and layer-wise */
    {1, "RAdam", "radam"},
    {2, "NovoGrad", "novograd"},
    {2, "LARS", "lars"},
    {1, "LAMB", "lamb"},
    /* Sign momentum and little memory */
    {2, "Lion", "lion"},
    {1, "Adafactor", "adafactor"},
    {2, "Adafactor, the paper's form", "adafactor:paper"},
    /* Wrappers and averages */
    {1, "EMA of weights", "sgd+ema"},
    {1, "SWA", "sgd+swa"},
    {2, "Lookahead", "sgd+lookahead"},
    {2, "SAM", "sgd+sam"},
    {2, "ASAM", "sgd+asam"},
    {2, "Schedule-Free SGD", "schedule_free_sgd"},
    {2, "Schedule-Free AdamW", "schedule_free_adamw"},
    {1, "gradient accumulation", "sgd+accumulate"},
    /* Matrices and curvature */
    {1, "L-BFGS", "lbfgs"},
    {1, "Muon", "muon"},
    {2, "Muon for convolutions (airbench)", "muon_airbench"},
    {2, "Shampoo", "shampoo"},
    {2, "Distributed Shampoo", "distributed_shampoo"},
    {2, "SOAP", "soap"},
    {2, "K-FAC", "kfac"},
    {2, "K-FAC", "kfac"},
    {2, "Hessian-free", "hessian_free"},
    {2, "Newton-CG", "newton_cg"},
    {2, "AdaHessian", "adahessian"},
    {2, "Sophia-G", "sophia_g"},
    /* Without a learning rate */
    {2, "DoG", "dog"},
    {2, "L-DoG", "dog:layerwise"},
    {2, "D-Adapt SGD", "dadapt_sgd"},
    {2, "D-Adapt Adam", "dadapt_adam"},
    {2, "Prodigy", "prodigy"},
};

static void every_rule_of_tiers_1_and_2_is_there(void **state)
{
    (void)state;
    descent_real value[6] = {0}, grad[6] = {0};
    struct descent_param param = {
        .name = "w", .rank = 2, .shape = {2, 3}, .size = 6, .value = value, .grad = grad};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct optim *optim = optim_new(rows[i].spec, &param, 1);
        if (!optim)
            fail_msg("%s, of tier %d: %s", rows[i].rule, rows[i].tier, descent_error());
        optim_free(optim);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_rule_of_tiers_1_and_2_is_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
