/* Who steps what: groups with other algorithms, frozen parameters, layer-wise rates, fallbacks, wrappers,
 * and weights to evaluate with. */
#include "optim/algorithm.h"
#include "tests/optim/model.h"

static void assert_tensor_same(const struct model *a, const struct model *b, int i)
{
    size_t bytes = (size_t)a->params[i].size * sizeof(descent_real);
    if (memcmp(a->params[i].value, b->params[i].value, bytes) != 0)
        fail_msg("%s differs", a->params[i].name);
}

/* The clip is of all gradients together, whoever steps them. */
static void group_with_another_algorithm_is_stepped_by_it(void **state)
{
    (void)state;
    struct model *m = model_new(), *adam = model_new(), *lion = model_new();
    struct optim *both = model_optim(m, "adam:lr=0.01,weight_decay=0.1");
    assert_int_equal(optim_group(both, "dense.*", "lion:lr=0.02"), DESCENT_OK);
    struct optim *first = model_optim(adam, "adam:lr=0.01,weight_decay=0.1"),
                 *second = model_optim(lion, "lion:lr=0.02");
    assert_string_equal(optim_algorithm_of(both, 0)->name, "adam");
    assert_string_equal(optim_algorithm_of(both, 2)->name, "lion");
    assert_null(optim_algorithm_of(both, 4));
    for (int t = 0; t < 3; t++) {
        struct optim *all[] = {both, first, second};
        struct model *models[] = {m, adam, lion};
        for (int i = 0; i < 3; i++) {
            assert_int_equal(optim_clip(all[i], 2), DESCENT_OK);
            for (int k = 0; k < MODEL_SIZE; k++) /* exact sums */
                models[i]->grad[k] = (descent_real)(k % 8 + t - 4);
            assert_int_equal(optim_step(all[i]), DESCENT_OK);
        }
        assert_true(optim_gradient_norm(both) == optim_gradient_norm(first));
    }
    assert_tensor_same(m, adam, 0);
    assert_tensor_same(m, adam, 1);
    assert_tensor_same(m, lion, 2);
    assert_tensor_same(m, adam, 3);
    optim_free(both), optim_free(first), optim_free(second);
    free(m), free(adam), free(lion);
}

static void frozen_group_stays_and_has_no_state(void **state)
{
    (void)state;
    struct model *m = model_new(), *before = model_new();
    struct optim *optim = model_optim(m, "adam:lr=0.01+ema");
    assert_int_equal(optim_group(optim, "conv1.*", "freeze"), DESCENT_OK);
    model_steps(m, optim, 2);
    assert_tensor_same(m, before, 0);
    assert_tensor_same(m, before, 1);
    assert_int_equal(m->params[0].version, 0);
    for (int i = 0; i < optim_state_count(optim); i++)
        assert_null(strstr(optim_state_get(optim, i).name, "conv1"));
    optim_free(optim);
    free(m), free(before);
}

static void layers_below_learn_slower(void **state)
{
    (void)state;
    struct model *m = model_new(), *slow = model_new();
    struct optim *decayed = model_optim(m, "sgd:lr=0.1"), *plain = model_optim(slow, "sgd:lr=0.1");
    assert_int_equal(optim_layer_decay(decayed, 0.5), DESCENT_OK);
    assert_int_equal(optim_group(plain, "conv1.*", "lr=0.025"), DESCENT_OK);
    assert_int_equal(optim_group(plain, "dense.*", "lr=0.05"), DESCENT_OK);
    model_steps(m, decayed, 3);
    model_steps(slow, plain, 3);
    for (int i = 0; i < 4; i++)
        assert_tensor_same(m, slow, i);
    assert_int_equal(optim_layer_decay(decayed, 0.5), DESCENT_BAD_ARGUMENT);
    assert_error_has("after step 3");
    assert_int_equal(optim_layer_decay(plain, 0), DESCENT_BAD_ARGUMENT);
    optim_free(decayed), optim_free(plain);
    free(m), free(slow);
}

static void names_without_a_dot_are_layers(void **state)
{
    (void)state;
    static const char *const names[] = {"w", "w2", "w.x", "w2.x"};
    descent_real value[4] = {0}, grad[4] = {1, 1, 1, 1};
    struct descent_param params[4];
    for (int i = 0; i < 4; i++)
        params[i] = (struct descent_param){
            .name = names[i], .rank = 1, .shape = {1}, .size = 1, .value = &value[i], .grad = &grad[i]};
    struct optim *optim = optim_new("sgd:lr=1", params, 4);
    assert_int_equal(optim_layer_decay(optim, 0.5), DESCENT_OK);
    assert_int_equal(optim_step(optim), DESCENT_OK);
    for (int i = 0; i < 4; i++)
        assert_true(value[i] == -(descent_real)pow(0.5, 3 - i));
    optim_free(optim);
}

static void bad_groups_are_errors(void **state)
{
    (void)state;
    static const char *const bad[][3] = {{"dense.*", "lino:lr=1", "did you mean 'lion'"},
                                         {"dense.*", "adam:lrr=1", "unknown key 'lrr'"},
                                         {"dense.*", "adam+ema", "'ema' wraps the whole optimizer"},
                                         {"dense.*", "lr=-1", "lr=-1"},
                                         {"nothing", "freeze", "matches no parameter"}};
    struct model *m = model_new();
    struct optim *optim = model_optim(m, "adam:lr=0.01");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(optim_group(optim, bad[i][0], bad[i][1]), DESCENT_BAD_ARGUMENT);
        assert_error_has(bad[i][2]);
        assert_error_has(bad[i][0]);
    }
    model_steps(m, optim, 1);
    optim_free(optim);
    free(m);
}

/* --- Fallback: an algorithm of matrices alone, whose step goes 1 down. --- */

static enum descent_status step_down(struct optim_run *run)
{
    for (int i = 0; i < run->count; i++)
        for (int64_t k = 0; k < run->tensor[i]->param->size; k++)
            run->tensor[i]->param->value[k] -= (descent_real)run->tensor[i]->lr;
    return DESCENT_OK;
}

static bool is_matrix(const struct descent_param *param)
{
    return param->rank > 1;
}

static const struct descent_option matrix_options[] = {
    OPTIM_LR("0.5", 0, 0), OPTIM_POSITIVE("sgd_lr", "0.25", false, 0, 0, "learning rate of sgd")};
static const struct optim_algorithm matrices_only = {.name = "matrices_only",
                                                     .options = matrix_options,
                                                     .option_count = 2,
                                                     .takes = is_matrix,
                                                     .fallback = "sgd",
                                                     .step = step_down};

static void what_an_algorithm_does_not_take_goes_to_its_fallback(void **state)
{
    (void)state;
    struct model *m = model_new(), *sgd = model_new();
    struct optim *optim = optim_new_from(&matrices_only, "x:lr=0.5", m->params, MODEL_TENSORS),
                 *other = model_optim(sgd, "sgd:lr=0.25");
    assert_non_null(optim);
    assert_int_equal(optim_group(optim, "norm.*", "sgd_lr=0"), DESCENT_OK);
    descent_real before = m->value[7], still = m->params[3].value[0];
    model_steps(m, optim, 2);
    model_steps(sgd, other, 2);
    assert_true(m->value[7] == before - 1);
    assert_tensor_same(m, sgd, 1);
    assert_true(m->params[3].value[0] == still);
    assert_ptr_equal(optim_algorithm_of(optim, 2), &matrices_only);
    assert_string_equal(optim_algorithm_of(optim, 1)->name, "sgd");
    optim_free(optim), optim_free(other);
    free(m), free(sgd);
}

static void a_rate_that_steps_nothing_is_an_error(void **state)
{
    (void)state;
    struct model *m = model_new();
    struct optim *optim = optim_new_from(&matrices_only, "x:lr=0.5", m->params, MODEL_TENSORS);
    assert_non_null(optim);
    assert_int_equal(optim_group(optim, "*.bias", "lr=1e-4"), DESCENT_BAD_ARGUMENT);
    assert_error_has("parameter group '*.bias': lr is without effect");
    assert_error_has("sgd, whose learning rate is sgd_lr");
    assert_int_equal(optim_group(optim, "*.bias", "sgd_lr=1e-4"), DESCENT_OK);
    assert_int_equal(optim_group(optim, "conv1.*", "lr=1e-4"), DESCENT_OK);
    assert_int_equal(optim_group(optim, "none.*", "lr=1e-4"), DESCENT_BAD_ARGUMENT);
    assert_error_has("matches no parameter");
    model_steps(m, optim, 1);
    optim_free(optim);
    free(m);
}

/* As they would in a training with the rate that it finds. */
static void a_range_test_leaves_rates_of_their_own_alone(void **state)
{
    (void)state;
    struct model *m = model_new(), *swept = model_new(), *kept = model_new(), *halved = model_new();
    struct optim *all[] = {optim_new_from(&matrices_only, "x:lr=9", m->params, MODEL_TENSORS),
                           model_optim(swept, "sgd:lr=9"), model_optim(kept, "sgd:lr=0.25"),
                           model_optim(halved, "sgd:lr=9")};
    assert_int_equal(optim_group(all[0], "dense.*", "sgd:lr=0.5"), DESCENT_OK);
    assert_int_equal(optim_group(all[1], "dense.*", "weight_decay=0"), DESCENT_OK);
    assert_int_equal(optim_group(all[3], "dense.*", "lr=0.5"), DESCENT_OK);
    assert_int_equal(optim_group(all[3], "conv1.*", "sgd"), DESCENT_OK);
    struct model *models[] = {m, swept, kept, halved};
    for (int i = 0; i < 4; i++) {
        if (i != 2)
            assert_int_equal(optim_schedule(all[i], "range_test:low=1,high=100", 3, 1), DESCENT_OK);
        for (int k = 0; k < MODEL_SIZE; k++)
            models[i]->grad[k] = 1;
        assert_int_equal(optim_step(all[i]), DESCENT_OK);
    }
    struct model *start = model_new();
    assert_true(m->value[7] == start->value[7] - 1); /* its own step, at the swept rate */
    assert_tensor_same(m, kept, 1);                  /* the fallback's */
    assert_tensor_same(m, halved, 2);                /* a group with another algorithm */
    assert_tensor_same(m, kept, 3);                  /* the fallback's */
    assert_true(swept->params[2].value[0] == start->params[2].value[0] - 1); /* a group without a rate */
    assert_true(fabs((double)(halved->value[0] - start->value[0]) + 1e-3) < 1e-6); /* sgd's default */
    for (int i = 0; i < 4; i++)
        optim_free(all[i]), free(models[i]);
    free(start);
}

/* b is kept up in the steps in which a schedule takes momentum to 0. */
static void momentum_that_a_schedule_takes_to_0_comes_back(void **state)
{
    (void)state;
    struct model *a = model_new(), *b = model_new();
    struct optim *none = model_optim(a, "rmsprop:lr=0.01,momentum=0.5"),
                 *tiny = model_optim(b, "rmsprop:lr=0.01,momentum=0.5");
    assert_int_equal(optim_schedule(none, "cyclic:2,momentum_min=0,momentum_max=0.9", 8, 1), DESCENT_OK);
    assert_int_equal(optim_schedule(tiny, "cyclic:2,momentum_min=1e-9,momentum_max=0.9", 8, 1), DESCENT_OK);
    model_steps(a, none, 8);
    model_steps(b, tiny, 8);
    for (int k = 0; k < MODEL_SIZE; k++)
        assert_true(fabs((double)(a->value[k] - b->value[k])) <= 1e-6);
    optim_free(none), optim_free(tiny);
    free(a), free(b);
}

/* --- Wrappers. --- */

/* The mean of four gradients, each in a call of its own, is one step. */
static void accumulation_steps_once_for_several_gradients(void **state)
{
    (void)state;
    struct model *m = model_new(), *whole = model_new();
    struct optim *optim = model_optim(m, "momentum:lr=0.1+accumulate:4"),
                 *one = model_optim(whole, "momentum:lr=0.1");
    assert_int_equal(optim_calls_per_step(optim), 4);
    assert_int_equal(optim_schedule(optim, "linear", 2, 1), DESCENT_OK);
    assert_int_equal(optim_schedule(one, "linear", 2, 1), DESCENT_OK);
    for (int t = 0; t < 8; t++) {
        for (int k = 0; k < MODEL_SIZE; k++) /* exact sums */
            m->grad[k] = (descent_real)((t % 4 + 1) * (k % 8));
        assert_int_equal(optim_step(optim), DESCENT_OK);
        assert_int_equal(optim_steps(optim), (t + 1) / 4);
        for (int k = 0; k < MODEL_SIZE && t % 4 == 3; k++)
            whole->grad[k] = (descent_real)(2.5 * (k % 8));
        assert_true(t % 4 < 3 || optim_step(one) == DESCENT_OK);
    }
    for (int k = 0; k < MODEL_SIZE; k++)
        assert_true(fabs((double)(m->value[k] - whole->value[k])) <= 1e-5);
    optim_free(optim), optim_free(one);
    free(m), free(whole);
}

static void what_cannot_be_wrapped_is_refused_with_the_reason(void **state)
{
    (void)state;
    static const char *const bad[][2] = {
        {"sgd+sam+accumulate", "wrapper accumulate cannot be around sam"},
        {"sps+accumulate", "around sps, which asks more of a batch"},
        {"lbfgs+accumulate", "--micro-batch"},
        {"sophia_g+lookahead+accumulate", "accumulate cannot be around sophia_g"},
        {"schedule_free_adamw+ema",
         "ema cannot be around schedule_free_adamw, which has weights of its own"},
        {"dog+ema", "ema cannot be around dog"},
        {"asgd+lookahead+swa", "lookahead cannot be around asgd, whose weights to evaluate with"},
        {"asgd+swa", "swa cannot be around asgd"},
        {"schedule_free_sgd+lookahead", "lookahead cannot be around schedule_free_sgd"},
        {"lbfgs+cautious", "cautious cannot be around lbfgs, which leaves another point's gradient behind"},
        {"line_search+cautious", "cautious cannot be around line_search"},
        {"conjugate_gradient+cautious", "cautious cannot be around conjugate_gradient"},
        {"newton_cg+cautious", "cautious cannot be around newton_cg"},
        {"hessian_free+cautious", "cautious cannot be around hessian_free"},
    };
    static const char *const groups[][2] = {{"sgd+accumulate", "sps"},
                                            {"sgd+ema", "dog"},
                                            {"sgd+lookahead", "asgd"},
                                            {"sgd+cautious", "lbfgs"}};
    struct model *m = model_new();
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (optim_new(bad[i][0], m->params, MODEL_TENSORS))
            fail_msg("%s is accepted", bad[i][0]);
        assert_error_has(bad[i][1]);
    }
    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++) {
        struct optim *optim = model_optim(m, groups[i][0]);
        assert_int_equal(optim_group(optim, "dense.*", groups[i][1]), DESCENT_BAD_ARGUMENT);
        assert_error_has("cannot be around");
        model_steps(m, optim, 1);
        optim_free(optim);
    }
    optim_free(model_optim(m, "adahessian+sam+cautious+lookahead+ema+swa"));
    optim_free(model_optim(m, "sophia_g+cautious"));
    free(m);
}

/* Of a step of rate 0 but for its decay, nothing may be taken for a part of the step and scaled up. */
static void what_is_left_out_of_a_step_is_not_its_decay(void **state)
{
    (void)state;
    struct model *plain = model_new(), *masked = model_new();
    struct optim *one = model_optim(plain,
                                    "adamw:lr=1e-3,beta1=0,beta2=0,eps=1e30,weight_decay=0.1,decay_all"),
                 *other = model_optim(
                     masked, "adamw:lr=1e-3,beta1=0,beta2=0,eps=1e30,weight_decay=0.1,decay_all+cautious");
    model_steps(plain, one, 50);
    model_steps(masked, other, 50);
    for (int k = 0; k < MODEL_SIZE; k++)
        assert_true(fabs((double)(plain->value[k] - masked->value[k])) <=
                    1e-6 * fabs((double)plain->value[k]));
    optim_free(one), optim_free(other);
    free(plain), free(masked);
}

/* Sophia's look at the curvature, in each step here, is none of the mask's business. */
static void a_sampled_gradient_does_not_stay(void **state)
{
    (void)state;
    struct model *m = model_new(), *before = model_new();
    struct optim *optim = model_optim(m, "sophia_g:every=1+cautious");
    model_gradient(m, 0);
    memcpy(before->grad, m->grad, sizeof m->grad);
    assert_int_equal(optim_step(optim), DESCENT_OK);
    assert_memory_equal(m->grad, before->grad, (MODEL_SIZE - 7) * sizeof *m->grad);
    for (int k = 0; k < 231 * 260; k++)
        assert_true((m->value[k] - before->value[k]) * before->grad[k] <= 0);
    optim_free(optim);
    free(m), free(before);
}

/* --- Weights to evaluate with. --- */

static void evaluation_weights_come_and_go_bit_for_bit(void **state)
{
    (void)state;
    struct model *m = model_new(), *kept = model_new();
    struct optim *optim = model_optim(m, "adam:lr=0.1+ema:decay=0.5");
    assert_true(optim_has_evaluation(optim));
    model_steps(m, optim, 3);
    memcpy(kept->value, m->value, sizeof m->value);
    uint64_t version = m->params[0].version;
    assert_int_equal(optim_evaluation_begin(optim), DESCENT_OK);
    assert_true(memcmp(kept->value, m->value, 60 * 1001 * sizeof(descent_real)) != 0);
    assert_true(m->params[0].version > version);
    assert_int_equal(optim_step(optim), DESCENT_BAD_ARGUMENT);
    optim_evaluation_end(optim);
    assert_memory_equal(kept->value, m->value, sizeof m->value);
    optim_evaluation_end(optim); /* nothing */
    assert_memory_equal(kept->value, m->value, sizeof m->value);
    model_steps(m, optim, 1);
    optim_free(optim);
    free(m), free(kept);
}

static void without_averages_evaluation_is_of_the_values(void **state)
{
    (void)state;
    struct model *m = model_new(), *kept = model_new();
    struct optim *optim = model_optim(m, "adam:lr=0.1+lookahead+cautious");
    assert_false(optim_has_evaluation(optim));
    assert_int_equal(optim_evaluation_begin(optim), DESCENT_OK);
    assert_memory_equal(kept->value, m->value, sizeof m->value);
    model_steps(m, optim, 1);
    optim_free(optim);
    free(m), free(kept);
}

static void averages_begin_where_they_are_told(void **state)
{
    (void)state;
    struct model *m = model_new(), *at = model_new();
    struct optim *optim = model_optim(m, "sgd:lr=0.1+swa:start=50%,every=1ep");
    model_gradient(m, 0);
    assert_int_equal(optim_step(optim), DESCENT_BAD_ARGUMENT);
    assert_error_has("optim_schedule was not called");
    assert_int_equal(optim_schedule(optim, "constant", 8, 2), DESCENT_OK);
    double mean = 0;
    for (int t = 0; t < 8; t++) {
        model_gradient(m, t);
        assert_int_equal(optim_step(optim), DESCENT_OK);
        if (t == 5 || t == 7)
            mean += (double)m->value[3] / 2;
        memcpy(at->value, m->value, sizeof m->value);
        assert_int_equal(optim_evaluation_begin(optim), DESCENT_OK);
        if (t < 5)
            assert_memory_equal(at->value, m->value, sizeof m->value);
        optim_evaluation_end(optim);
    }
    assert_int_equal(optim_evaluation_begin(optim), DESCENT_OK);
    assert_true(fabs((double)m->value[3] - mean) < 1e-6);
    optim_free(optim);
    free(m), free(at);
}

/* At the ends of the epochs after 75 % of the run: the last one's at least. */
static void the_shortest_runs_have_an_average(void **state)
{
    (void)state;
    static const int averaged[] = {0, 1, 1, 1, 1, 2, 2, 2, 2, 3}; /* in so many epochs of 4 steps */
    for (int epochs = 1; epochs < 10; epochs++) {
        struct model *m = model_new();
        struct optim *optim = model_optim(m, "sgd:lr=0.1+swa");
        assert_int_equal(optim_schedule(optim, "constant", 4 * epochs, 4), DESCENT_OK);
        double mean = 0;
        for (int t = 1; t <= 4 * epochs; t++) {
            model_gradient(m, t);
            assert_int_equal(optim_step(optim), DESCENT_OK);
            if (t % 4 == 0 && t / 4 > epochs - averaged[epochs])
                mean += (double)m->value[3] / averaged[epochs];
        }
        assert_int_equal(optim_evaluation_begin(optim), DESCENT_OK);
        assert_true(fabs((double)m->value[3] - mean) < 1e-6);
        optim_free(optim);
        free(m);
    }
}

/* --- Gradients that come late. --- */

enum { LATE = 10, THEN = 8, DENSE = 2 };

/* Where the others matter too: all that can be said then is that a late one is not thrown off. */
static bool looks_at_all_tensors(const char *name)
{
    static const char *const names[] = {"normalized_sgd", "lamb",        "shampoo", "distributed_shampoo",
                                        "dadapt_sgd",     "dadapt_adam", "prodigy", "dog"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return optim_find(name)->needs != 0;
}

static void steps_from(struct model *m, struct optim *optim, int first, int steps)
{
    for (int t = first; t < first + steps; t++) {
        model_gradient(m, t);
        if (optim_step(optim))
            fail_msg("%s: %s", optim_spec(optim), descent_error());
    }
}

/* The first steps without a gradient of dense.weight. */
static struct optim *without_dense(struct model *m, const char *spec)
{
    descent_real *grad = m->params[DENSE].grad;
    struct optim *optim = model_optim(m, spec);
    assert_int_equal(optim_schedule(optim, "constant", 100, 10), DESCENT_OK);
    m->params[DENSE].grad = NULL;
    steps_from(m, optim, 0, LATE);
    m->params[DENSE].grad = grad;
    return optim;
}

/* |x - y| / |y| of dense.weight, as it is or evaluated. */
static double distance(const struct model *x, const struct model *y)
{
    double off = 0, size = 0;
    for (int64_t k = 0; k < x->params[DENSE].size; k++) {
        off += pow((double)x->params[DENSE].value[k] - (double)y->params[DENSE].value[k], 2);
        size += pow((double)y->params[DENSE].value[k], 2);
    }
    return sqrt(off / size);
}

/* As if it had been trained alone from its first gradient on; evaluated too, before that and after. */
static void assert_late_is_as_alone(const char *spec, bool alone)
{
    struct model *m = model_new(), *only = model_new(), *start = model_new();
    struct optim *optim = without_dense(m, spec),
                 *other = model_optim_of(only, spec, only->params + DENSE, 1);
    assert_int_equal(optim_schedule(other, "constant", 100, 10), DESCENT_OK);
    assert_int_equal(optim_evaluation_begin(optim), DESCENT_OK);
    assert_true(distance(m, start) == 0);
    optim_evaluation_end(optim);
    for (int evaluated = 0; evaluated < 2; evaluated++) {
        if (alone && !evaluated)
            steps_from(only, other, LATE, THEN);
        if (!evaluated)
            steps_from(m, optim, LATE, THEN);
        assert_true(!evaluated || optim_evaluation_begin(optim) == DESCENT_OK);
        assert_true(!evaluated || optim_evaluation_begin(other) == DESCENT_OK);
        if (alone ? !(distance(m, only) <= 1e-5) : !(distance(m, start) < 0.3))
            fail_msg("%s: a late parameter is %g off %s", spec, distance(m, alone ? only : start),
                     evaluated ? "when evaluated" : "in training");
    }
    for (int i = 0; i < optim_state_count(optim); i++) {
        struct descent_tensor kept = optim_state_get(optim, i);
        if (strstr(kept.name, ".start/dense.weight"))
            assert_memory_equal(kept.data, start->params[DENSE].value, kept.bytes);
    }
    optim_free(optim), optim_free(other);
    free(m), free(only), free(start);
}

static void what_comes_late_begins_like_the_others(void **state)
{
    (void)state;
    FOR_EACH_ALGORITHM (name)
        if (!(optim_find(name)->needs & OPTIM_NEEDS_EVALUATE)) /* which go as far as the loss falls */
            assert_late_is_as_alone(at_rate(name, "0.01", ",weight_decay=0.1"),
                                    !looks_at_all_tensors(name));
    static const char *const specs[] = {"momentum:lr=0.01,dampening=0.5",
                                        "dog:layerwise",
                                        "sgd:lr=0.01+lookahead",
                                        "sgd:lr=0.01+ema",
                                        "sgd:lr=0.01+ema:warmup",
                                        "sgd:lr=0.01+swa:start=0,every=1",
                                        "adopt:lr=0.01+lookahead+ema:decay=0.5"};
    for (size_t i = 0; i < sizeof specs / sizeof *specs; i++)
        assert_late_is_as_alone(specs[i], true);
}

static void what_comes_late_is_saved_and_restored(void **state)
{
    (void)state;
    static const char spec[] = "adopt:lr=0.01+lookahead+ema:decay=0.5";
    struct model *m = model_new(), *again = model_new();
    struct optim *optim = without_dense(m, spec), *other = model_optim(again, spec);
    struct descent_tensor tensors[32];
    int count = optim_state_count(optim);
    assert_int_equal(optim_state_count(other), count - 1);
    for (int i = 0; i < count; i++)
        tensors[i] = optim_state_get(optim, i);
    assert_string_equal(tensors[count - 1].name, "adopt.missed");
    assert_int_equal(((const int64_t *)tensors[count - 1].data)[DENSE], LATE);
    assert_int_equal(optim_state_load(other, tensors, count), DESCENT_OK);
    memcpy(again->value, m->value, sizeof m->value);
    steps_from(m, optim, LATE, THEN);
    steps_from(again, other, LATE, THEN);
    assert_same_values(m, again);

    for (int i = 0; i < count; i++)
        tensors[i] = optim_state_get(optim, i);
    assert_int_equal(optim_state_load(other, tensors, count - 1), DESCENT_OK); /* then none was late */
    assert_int_equal(optim_state_count(other), count - 1);
    tensors[count - 1].shape[0]++;
    assert_int_equal(optim_state_load(other, tensors, count), DESCENT_MISMATCH);
    assert_error_has("adopt.missed");
    optim_free(optim), optim_free(other);
    free(m), free(again);
}

/* --- Gradients that are not finite. --- */

static void skipped_steps_change_nothing_and_are_counted(void **state)
{
    (void)state;
    static const char *const specs[] = {"adam:lr=0.1", "adam:lr=0.1+ema", "adam:lr=0.1+clip_norm:1",
                                        "adam:lr=0.1+accumulate:2", "adam:lr=0.1+lookahead:2"};
    for (size_t i = 0; i < sizeof specs / sizeof *specs; i++) {
        struct model *m = model_new(), *clean = model_new();
        struct optim *optim = model_optim(m, specs[i]), *other = model_optim(clean, specs[i]);
        optim_skip_not_finite(optim, true);
        for (int t = 0; t < 4; t++) {
            model_gradient(m, t);
            m->grad[100] = (descent_real)NAN;
            assert_int_equal(optim_step(optim), DESCENT_OK);
        }
        assert_int_equal(optim_skipped(optim), strstr(specs[i], "accumulate") ? 2 : 4);
        assert_int_equal(optim_steps(optim), 0);
        model_steps(m, optim, 4);
        model_steps(clean, other, 4);
        if (memcmp(m->value, clean->value, sizeof m->value) != 0)
            fail_msg("%s remembers a step that was skipped", specs[i]);
        optim_free(optim), optim_free(other);
        free(m), free(clean);
    }
}

static enum descent_status diverge(struct optim_run *run)
{
    run->tensor[0]->param->value[0]++;
    return descent_fail(DESCENT_DIVERGED, "a matrix that cannot be decomposed");
}

static void a_rule_that_fails_is_not_a_step_that_is_skipped(void **state)
{
    (void)state;
    struct optim_algorithm failing = matrices_only;
    failing.fallback = NULL, failing.takes = NULL, failing.step = diverge;
    struct model *m = model_new();
    struct optim *optim = optim_new_from(&failing, "x", m->params, MODEL_TENSORS);
    assert_non_null(optim);
    optim_skip_not_finite(optim, true);
    model_gradient(m, 0);
    m->grad[100] = (descent_real)NAN;
    assert_int_equal(optim_step(optim), DESCENT_OK);
    model_gradient(m, 0);
    assert_int_equal(optim_step(optim), DESCENT_DIVERGED);
    assert_error_has("cannot be decomposed");
    assert_int_equal(optim_skipped(optim), 1);
    optim_free(optim);
    free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(group_with_another_algorithm_is_stepped_by_it),
        cmocka_unit_test(frozen_group_stays_and_has_no_state),
        cmocka_unit_test(layers_below_learn_slower),
        cmocka_unit_test(names_without_a_dot_are_layers),
        cmocka_unit_test(bad_groups_are_errors),
        cmocka_unit_test(what_an_algorithm_does_not_take_goes_to_its_fallback),
        cmocka_unit_test(a_rate_that_steps_nothing_is_an_error),
        cmocka_unit_test(a_range_test_leaves_rates_of_their_own_alone),
        cmocka_unit_test(momentum_that_a_schedule_takes_to_0_comes_back),
        cmocka_unit_test(accumulation_steps_once_for_several_gradients),
        cmocka_unit_test(what_cannot_be_wrapped_is_refused_with_the_reason),
        cmocka_unit_test(what_is_left_out_of_a_step_is_not_its_decay),
        cmocka_unit_test(a_sampled_gradient_does_not_stay),
        cmocka_unit_test(evaluation_weights_come_and_go_bit_for_bit),
        cmocka_unit_test(without_averages_evaluation_is_of_the_values),
        cmocka_unit_test(averages_begin_where_they_are_told),
        cmocka_unit_test(the_shortest_runs_have_an_average),
        cmocka_unit_test(what_comes_late_begins_like_the_others),
        cmocka_unit_test(what_comes_late_is_saved_and_restored),
        cmocka_unit_test(a_rule_that_fails_is_not_a_step_that_is_skipped),
        cmocka_unit_test(skipped_steps_change_nothing_and_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
