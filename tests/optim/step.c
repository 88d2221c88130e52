/* What a step does and leaves alone: clipping, decay, frozen parameters, gradients that are not finite,
 * state, objectives. */
#include "optim/algorithm.h"
#include "tests/optim/model.h"

static void step_reads_gradients_and_counts_versions(void **state)
{
    (void)state;
    FOR_EACH_ALGORITHM (name) {
        struct model *m = model_new(), *before = model_new();
        struct optim *optim = model_optim(m, spec_of(name, "lr=0.01"));
        m->params[0].version = 41;
        model_gradient(m, 0);
        memcpy(before->grad, m->grad, sizeof m->grad);
        assert_int_equal(optim_step(optim), DESCENT_OK);
        if (!evaluates(name)) {
            assert_memory_equal(before->grad, m->grad, sizeof m->grad);
            assert_int_equal(m->params[0].version, 42);
            assert_int_equal(m->params[1].version, 1);
        }
        assert_in_range(m->params[0].version, 42, 100);
        assert_int_equal(m->params[4].version, 0);
        assert_int_equal(optim_steps(optim), 1);
        optim_free(optim);
        free(m);
        free(before);
    }
}

static void parameter_without_gradient_is_skipped(void **state)
{
    (void)state;
    FOR_EACH_ALGORITHM (name) {
        struct model *m = model_new(), *before = model_new();
        descent_real *grad = m->params[2].grad;
        struct optim *optim = model_optim(m, spec_of(name, "lr=0.01,weight_decay=0.1"));
        m->params[2].grad = NULL;
        grad[0] = (descent_real)NAN;
        model_steps(m, optim, 2);
        assert_memory_equal(m->params[2].value, before->params[2].value, 40 * 33 * sizeof *grad);
        assert_int_equal(m->params[2].version, 0);
        m->params[2].grad = grad;
        model_steps(m, optim, 1);
        assert_in_range(m->params[2].version, 1, evaluates(name) ? 100 : 1);
        optim_free(optim);
        free(m);
        free(before);
    }
}

static void frozen_from_the_start_has_no_state(void **state)
{
    (void)state;
    struct model *m = model_new();
    m->params[0].grad = m->params[2].grad = NULL;
    struct optim *optim = model_optim(m, "adam");
    assert_int_equal(optim_state_count(optim), 1 + 2 * 2);
    for (int i = 0; i < optim_state_count(optim); i++)
        assert_null(strstr(optim_state_get(optim, i).name, "dense"));
    optim_free(optim);
    for (int i = 0; i < MODEL_TENSORS; i++)
        m->params[i].grad = NULL;
    assert_null(optim_new("adam", m->params, MODEL_TENSORS));
    assert_error_has("none of 5 parameters has a gradient");
    free(m);
}

static void bad_gradient_is_named_and_nothing_changes(void **state)
{
    static const double bad[] = {NAN, INFINITY, -INFINITY};
    (void)state;
    FOR_EACH_ALGORITHM (name)
        for (int i = 0; i < 3; i++) {
            const char *spec = spec_of(name, "lr=0.01,weight_decay=0.1");
            struct model *m = model_new(), *straight = model_trained(spec, 4);
            struct optim *optim = model_optim(m, spec);
            model_steps(m, optim, 3);
            struct model before = *m;
            model_gradient(m, 3);
            m->params[2].grad[77] = m->params[3].grad[1] = (descent_real)bad[i];
            assert_int_equal(optim_step(optim), DESCENT_DIVERGED);
            assert_error_has("gradient of dense.weight is not finite in step 4 (element 78 of 1320");
            assert_memory_equal(m->value, before.value, sizeof m->value);
            assert_int_equal(m->params[2].version, before.params[2].version);
            assert_int_equal(optim_steps(optim), 3);
            model_steps(m, optim, 1);
            assert_same_values(m, straight);
            optim_free(optim);
            free(m);
            free(straight);
        }
}

/* Equal but for roundings: a compiler may fuse the products and sums of two loops in two ways. */
static void assert_about(const char *name, double found, double expected)
{
    if (!(fabs(found - expected) <= 1e-5 * fabs(expected) + 1e-6))
        fail_msg("%s: %.9g in a single pass, %.9g without", name, found, expected);
}

static void a_single_pass_makes_the_same_step(void **state)
{
    (void)state;
    int single = 0;
    FOR_EACH_ALGORITHM (name) {
        const char *spec = spec_of(name, "lr=0.01,weight_decay=0.1");
        struct model *a = model_new(), *b = model_new();
        struct optim *first_look = model_optim(a, spec), *look_along = model_optim(b, spec);
        optim_single_pass(look_along, true);
        for (int t = 0; t < 5; t++) {
            optim_measure(first_look, t % 2);
            optim_measure(look_along, t % 2);
            model_gradient(a, t), model_gradient(b, t);
            assert_int_equal(optim_step(first_look), DESCENT_OK);
            assert_int_equal(optim_step(look_along), DESCENT_OK);
            assert_about(name, optim_gradient_norm(look_along), optim_gradient_norm(first_look));
            if (t % 2)
                assert_about(name, optim_update_norm(look_along), optim_update_norm(first_look));
        }
        for (int k = 0; k < MODEL_SIZE; k++)
            assert_about(name, (double)b->value[k], (double)a->value[k]);
        single += optim_find(name)->single_pass;
        optim_free(first_look), optim_free(look_along);
        free(a), free(b);
    }
    assert_true(single >= 30);
}

static void a_single_pass_names_a_bad_gradient_and_spares_where_it_must(void **state)
{
    (void)state;
    for (int skips = 0; skips < 2; skips++) {
        struct model *m = model_new();
        struct optim *optim = model_optim(m, "adam");
        optim_single_pass(optim, true);
        optim_skip_not_finite(optim, skips);
        model_steps(m, optim, 3);
        struct model before = *m;
        model_gradient(m, 3);
        m->params[2].grad[77] = (descent_real)NAN;
        assert_int_equal(optim_step(optim), skips ? DESCENT_OK : DESCENT_DIVERGED);
        assert_int_equal(optim_steps(optim), 3);
        if (skips)
            assert_memory_equal(m->value, before.value, sizeof m->value);
        else
            assert_error_has("gradient of dense.weight is not finite in step 4 (element 78 of 1320");
        optim_free(optim);
        free(m);
    }
}

static void clipping_is_scaling_the_gradient(void **state)
{
    (void)state;
    FOR_EACH_ALGORITHM (name) {
        if (optim_find(name)->needs & OPTIM_NEEDS_LOSS)
            continue; /* a clipped gradient is not that of the loss */
        const char *spec = spec_of(name, "lr=0.01,weight_decay=0.1");
        struct model *clipped = model_new(), *scaled = model_new();
        struct optim *a = model_optim(clipped, spec), *b = model_optim(scaled, spec);
        assert_int_equal(optim_clip(a, 0.5), DESCENT_OK);
        for (int t = 0; t < 4; t++) {
            model_gradient(clipped, t);
            assert_int_equal(optim_step(a), DESCENT_OK);
            assert_true(optim_gradient_norm(a) > 0.5);
            model_gradient(scaled, t);
            for (int k = 0; k < MODEL_SIZE; k++)
                scaled->grad[k] *= (descent_real)(0.5 / (optim_gradient_norm(a) + 1e-6));
            assert_int_equal(optim_step(b), DESCENT_OK);
        }
        for (int k = 0; k < MODEL_SIZE; k++)
            assert_true(fabs((double)clipped->value[k] - (double)scaled->value[k]) < 2e-6);
        optim_free(a);
        optim_free(b);
        free(clipped);
        free(scaled);
    }
}

static void gradients_within_the_norm_are_not_clipped(void **state)
{
    (void)state;
    struct model *free_run = model_trained("momentum:lr=0.01", 3), *m = model_new();
    struct optim *optim = model_optim(m, "momentum:lr=0.01");
    assert_int_equal(optim_clip(optim, 1e6), DESCENT_OK);
    model_steps(m, optim, 3);
    assert_same_values(m, free_run);
    assert_int_equal(optim_clip(optim, -1), DESCENT_BAD_ARGUMENT);
    assert_int_equal(optim_clip(optim, (double)NAN), DESCENT_BAD_ARGUMENT);
    optim_free(optim);
    free(m);
    free(free_run);
}

/* Which tensors move when only decay acts; in the second step at the latest. */
static void check_decay(const char *spec, bool small)
{
    struct model *m = model_new(), *before = model_new();
    struct optim *optim = model_optim(m, spec);
    m->flat = true;
    model_steps(m, optim, 2);
    for (int i = 0; i < MODEL_TENSORS - 1; i++) {
        bool moved = m->params[i].value[0] != before->params[i].value[0];
        bool towards_0 = fabs((double)m->params[i].value[0]) < fabs((double)before->params[i].value[0]);
        bool expected = m->params[i].kind == DESCENT_WEIGHT || small;
        if (moved != expected || moved != towards_0)
            fail_msg("%s: %s %s", spec, m->params[i].name, moved ? "is decayed" : "is not decayed");
    }
    optim_free(optim);
    free(m);
    free(before);
}

/* What makes decay the only thing that moves a tensor. */
static const char *const quiet[][2] = {
    {"kfac", "decay_after=0"}, /* hundreds of steps without decay */
    {"asgd", "lambda=0"},      /* a decay of its own besides, of all parameters */
    {"yogi", "initial=0"},     /* moments that are not zero at first */
    {"dadapt_sgd", "d0=0.1"},  /* these begin with steps that float hardly sees */
    {"dadapt_adam", "d0=0.1"}, {"prodigy", "d0=0.1"}, {"dog", "first_step=0.1"},
};

static void biases_and_norms_are_not_decayed_unless_asked(void **state)
{
    (void)state;
    FOR_EACH_ALGORITHM (name) {
        char spec[200];
        snprintf(spec, sizeof spec, "%s", spec_of(name, "lr=0.01,weight_decay=0.1"));
        for (size_t i = 0; i < sizeof quiet / sizeof *quiet; i++)
            if (strcmp(quiet[i][0], name) == 0)
                snprintf(spec, sizeof spec, "%s:lr=0.01,weight_decay=0.1,%s", name, quiet[i][1]);
        check_decay(spec, false);
        snprintf(spec + strlen(spec), sizeof spec - strlen(spec), ",decay_all");
        check_decay(spec, true);
    }
}

static void decoupled_decay_follows_the_schedule(void **state)
{
    (void)state;
    struct model *m = model_new(), *before = model_new();
    struct optim *optim = model_optim(m, "adamw:lr=0.5,weight_decay=0.2");
    assert_int_equal(optim_schedule(optim, "constant+warmup:5", 10, 1), DESCENT_OK);
    memset(m->grad, 0, sizeof m->grad);
    assert_int_equal(optim_step(optim), DESCENT_OK);
    assert_true(fabs((double)(m->value[0] / before->value[0]) - (1 - 0.5 / 5 * 0.2)) < 1e-6);
    optim_free(optim);
    free(m);
    free(before);
}

static void group_overrides_what_it_names(void **state)
{
    (void)state;
    struct model *m = model_new(), *base = model_trained("momentum:lr=0.1,weight_decay=0.1", 3),
                 *slow = model_trained("momentum:lr=0.001,weight_decay=0.1", 3);
    struct optim *optim = model_optim(m, "momentum:lr=0.1,weight_decay=0.1");
    assert_int_equal(optim_group(optim, "*.weight", "lr=1"), DESCENT_OK);
    assert_int_equal(optim_group(optim, "dense.*", "lr=1e-3"), DESCENT_OK);
    assert_int_equal(optim_group(optim, "conv1.weight", "lr=0"), DESCENT_OK);
    assert_int_equal(optim_group(optim, "norm.*", "lr=0.1"), DESCENT_OK);
    model_steps(m, optim, 3);
    struct model *start = model_new();
    assert_memory_equal(m->params[0].value, start->params[0].value, 231 * 260 * sizeof(descent_real));
    assert_memory_equal(m->params[1].value, base->params[1].value, 37 * sizeof(descent_real));
    assert_memory_equal(m->params[2].value, slow->params[2].value, 40 * 33 * sizeof(descent_real));
    assert_memory_equal(m->params[3].value, base->params[3].value, 5 * sizeof(descent_real));
    assert_int_equal(optim_group(optim, "conv1.*", "lr=1"), DESCENT_BAD_ARGUMENT);
    assert_error_has("after step 3; it must come before the first");
    optim_free(optim);
    free(m);
    free(base);
    free(slow);
    free(start);
}

static void group_may_have_state_that_others_lack(void **state)
{
    (void)state;
    struct model *m = model_new(), *plain = model_trained("sgd:lr=0.1", 3),
                 *heavy = model_trained("momentum:lr=0.1", 3);
    struct optim *optim = model_optim(m, "sgd:lr=0.1");
    assert_int_equal(optim_state_count(optim), 1);
    assert_int_equal(optim_group(optim, "dense.*", "momentum=0.9"), DESCENT_OK);
    assert_int_equal(optim_state_count(optim), 2);
    model_steps(m, optim, 3);
    assert_memory_equal(m->params[0].value, plain->params[0].value, 231 * 260 * sizeof(descent_real));
    assert_memory_equal(m->params[2].value, heavy->params[2].value, 40 * 33 * sizeof(descent_real));
    optim_free(optim);
    free(m);
    free(plain);
    free(heavy);
}

static void bad_group_is_an_error_and_changes_nothing(void **state)
{
    (void)state;
    struct model *m = model_new(), *straight = model_trained("nesterov:lr=0.1", 2);
    struct optim *optim = model_optim(m, "nesterov:lr=0.1");
    assert_int_equal(optim_group(optim, "conv9.*", "lr=1"), DESCENT_BAD_ARGUMENT);
    assert_error_has("'conv9.*' matches no parameter");
    assert_int_equal(optim_group(optim, "*running_mean", "lr=1"), DESCENT_BAD_ARGUMENT);
    assert_int_equal(optim_group(optim, "conv1.*", "lrr=1"), DESCENT_BAD_ARGUMENT);
    assert_error_has("did you mean 'lr'");
    assert_int_equal(optim_group(optim, "conv1.*", "momentum=0"), DESCENT_BAD_ARGUMENT);
    assert_error_has("parameter group 'conv1.*': optimizer nesterov: nesterov=yes needs momentum above 0");
    assert_int_equal(optim_group(optim, "conv1.*", ""), DESCENT_BAD_ARGUMENT);
    assert_int_equal(optim_group(optim, "conv1.*", "lr=1+sam"), DESCENT_BAD_ARGUMENT);
    model_steps(m, optim, 2);
    assert_same_values(m, straight);
    optim_free(optim);
    free(m);
    free(straight);
}

static void set_lr_applies_to_all_groups_under_the_schedule(void **state)
{
    (void)state;
    struct model *m = model_new(), *straight = model_new();
    struct optim *optim = model_optim(m, "sgd:lr=9"), *other = model_optim(straight, "sgd:lr=0.25");
    assert_int_equal(optim_group(optim, "conv1.*", "lr=7"), DESCENT_OK);
    assert_int_equal(optim_set_lr(optim, 0.25), DESCENT_OK);
    assert_int_equal(optim_set_lr(optim, -1), DESCENT_BAD_ARGUMENT);
    assert_int_equal(optim_set_lr(optim, (double)NAN), DESCENT_BAD_ARGUMENT);
    assert_int_equal(optim_schedule(optim, "cosine", 4, 1), DESCENT_OK);
    assert_int_equal(optim_schedule(other, "cosine", 4, 1), DESCENT_OK);
    assert_true(optim_lr(optim) == 0.25);
    model_steps(m, optim, 3);
    model_steps(straight, other, 3);
    assert_same_values(m, straight);
    assert_true(fabs(optim_lr(optim) - 0.125) < 1e-15);
    optim_free(optim);
    optim_free(other);
    free(m);
    free(straight);
}

/* Loads the state of `optim` into itself, one tensor replaced by `changed` or, with NULL, left out. */
static enum descent_status reload(struct optim *optim, int which, const struct descent_tensor *changed)
{
    struct descent_tensor tensors[32];
    int count = 0;
    for (int i = 0; i < optim_state_count(optim); i++) {
        if (i != which)
            tensors[count++] = optim_state_get(optim, i);
        else if (changed)
            tensors[count++] = *changed;
    }
    return optim_state_load(optim, tensors, count);
}

static void state_of_another_run_is_refused(void **state)
{
    (void)state;
    struct model *m = model_new(), *straight = model_trained("adam", 3);
    struct optim *optim = model_optim(m, "adam");
    model_steps(m, optim, 2);
    assert_string_equal(optim_state_get(optim, 0).name, "adam.step");
    assert_string_equal(optim_state_get(optim, 1).name, "adam.m/conv1.weight");
    assert_string_equal(optim_state_get(optim, 2).name, "adam.v/conv1.weight");

    assert_int_equal(reload(optim, 1, NULL), DESCENT_MISMATCH);
    assert_error_has("'adam.m/conv1.weight' is missing");
    struct descent_tensor changed = optim_state_get(optim, 5);
    assert_string_equal(changed.name, "adam.m/dense.weight");
    changed.shape[0] = 33;
    changed.shape[1] = 40;
    assert_int_equal(reload(optim, 5, &changed), DESCENT_MISMATCH);
    assert_error_has("'adam.m/dense.weight' is F32 [33, 40]; expected F32 [40, 33]");
    changed = optim_state_get(optim, 5);
    changed.dtype = DESCENT_I32;
    assert_int_equal(reload(optim, 5, &changed), DESCENT_MISMATCH);
    int64_t negative = -1;
    changed = optim_state_get(optim, 0);
    changed.data = &negative;
    assert_int_equal(reload(optim, 0, &changed), DESCENT_MISMATCH);
    assert_error_has("expected a number of steps");

    struct descent_tensor tensors[32];
    int count = optim_state_count(optim);
    for (int i = 0; i < count; i++)
        tensors[i] = optim_state_get(optim, i);
    tensors[count] = tensors[1];
    tensors[count].name = "adam.m/conv2.weight";
    assert_int_equal(optim_state_load(optim, tensors, count + 1), DESCENT_MISMATCH);
    assert_error_has("'adam.m/conv2.weight' belongs to no parameter");
    tensors[count].name = "adamant.m/conv2.weight";
    assert_int_equal(optim_state_load(optim, tensors, count + 1), DESCENT_OK);

    model_steps(m, optim, 1);
    assert_same_values(m, straight);
    optim_free(optim);
    free(m);
    free(straight);
}

static enum descent_status unreachable(void *context, double *loss)
{
    (void)context;
    *loss = 0;
    return descent_fail(DESCENT_NOT_FOUND, "no loss today");
}

static void a_search_that_fails_leaves_no_length_behind(void **state)
{
    (void)state;
    static const char *const specs[] = {"line_search", "line_search:search=strong_wolfe",
                                        "conjugate_gradient"};
    for (size_t i = 0; i < sizeof specs / sizeof *specs; i++) {
        struct model *m = model_new();
        struct optim *optim = model_optim(m, specs[i]);
        struct descent_tensor last = optim_state_get(optim, 1);
        double before[2], after[2];
        assert_non_null(strstr(last.name, ".last"));
        assert_int_equal(last.bytes, sizeof before);
        memcpy(before, last.data, sizeof before);
        m->objective.evaluate = unreachable;
        model_gradient(m, 0);
        assert_int_equal(optim_step(optim), DESCENT_NOT_FOUND);
        memcpy(after, last.data, sizeof after);
        assert_memory_equal(before, after, sizeof before);
        optim_free(optim);
        free(m);
    }
}

/* An algorithm of a user's own: gradient descent on the gradient of a second evaluation; it counts its
 * calls for the whole model. */
static const struct descent_option own_options[] = {OPTIM_LR("1", 0, 0)};
static int64_t *own_calls;

static enum descent_status own_init(struct optim_run *run)
{
    own_calls = optim_state(run, NULL, "calls", DESCENT_I64, 0, NULL);
    return own_calls ? DESCENT_OK : DESCENT_OUT_OF_MEMORY;
}

static void own_loop(struct optim_part *part)
{
    for (int64_t i = part->begin; i < part->end; i++)
        part->tensor->param->value[i] -= part->tensor->param->grad[i];
}

static enum descent_status own_step(struct optim_run *run)
{
    double loss;
    enum descent_status status = run->objective->evaluate(run->objective->context, &loss);
    if (status)
        return status;
    ++*own_calls;
    optim_for_parts(run, own_loop);
    return DESCENT_OK;
}

static const struct optim_algorithm own = {
    .name = "own",
    .options = own_options,
    .option_count = 1,
    .needs = OPTIM_NEEDS_EVALUATE,
    .init = own_init,
    .step = own_step,
};

static enum descent_status evaluate(void *context, double *loss)
{
    struct model *m = context;
    *loss = 0;
    if (m->value[0] == 0)
        return descent_fail(DESCENT_DIVERGED, "asked at 0");
    for (int k = 0; k < MODEL_SIZE; k++)
        m->grad[k] = m->value[k];
    return DESCENT_OK;
}

static void missing_capability_is_named_and_a_served_one_is_used(void **state)
{
    (void)state;
    struct model *m = model_new();
    struct optim *optim = optim_new_from(&own, "./own.c", m->params, MODEL_TENSORS);
    assert_non_null(optim);
    model_gradient(m, 0);
    assert_int_equal(optim_step(optim), DESCENT_NOT_FOUND);
    assert_error_has("optimizer own needs 'evaluate'");
    struct optim_objective objective = {.context = m};
    optim_set_objective(optim, &objective);
    assert_int_equal(optim_step(optim), DESCENT_NOT_FOUND);
    objective.evaluate = evaluate;
    assert_int_equal(optim_step(optim), DESCENT_OK);
    for (int k = 0; k < MODEL_SIZE - 7; k++)
        assert_true(m->value[k] == 0);
    assert_int_equal(optim_step(optim), DESCENT_DIVERGED);
    assert_error_has("asked at 0");
    assert_int_equal(optim_steps(optim), 1);
    assert_int_equal(m->params[0].version, 1);
    assert_string_equal(optim_state_get(optim, 1).name, "own.calls");
    assert_int_equal(*(const int64_t *)optim_state_get(optim, 1).data, 1);
    optim_free(optim);
    free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(step_reads_gradients_and_counts_versions),
        cmocka_unit_test(parameter_without_gradient_is_skipped),
        cmocka_unit_test(frozen_from_the_start_has_no_state),
        cmocka_unit_test(bad_gradient_is_named_and_nothing_changes),
        cmocka_unit_test(a_single_pass_makes_the_same_step),
        cmocka_unit_test(a_single_pass_names_a_bad_gradient_and_spares_where_it_must),
        cmocka_unit_test(clipping_is_scaling_the_gradient),
        cmocka_unit_test(gradients_within_the_norm_are_not_clipped),
        cmocka_unit_test(biases_and_norms_are_not_decayed_unless_asked),
        cmocka_unit_test(decoupled_decay_follows_the_schedule),
        cmocka_unit_test(group_overrides_what_it_names),
        cmocka_unit_test(group_may_have_state_that_others_lack),
        cmocka_unit_test(bad_group_is_an_error_and_changes_nothing),
        cmocka_unit_test(set_lr_applies_to_all_groups_under_the_schedule),
        cmocka_unit_test(state_of_another_run_is_refused),
        cmocka_unit_test(a_search_that_fails_leaves_no_length_behind),
        cmocka_unit_test(missing_capability_is_named_and_a_served_one_is_used),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
