/* What must hold for every registered algorithm, exactly. Table-driven: a new one cannot skip it. */
#include "base/pool.h"
#include "base/safetensors.h"
#include "tests/optim/model.h"
#include "tests/scratch.h"

#include <float.h>

/* Equal runs, bit for bit. */
static void assert_same(const char *spec, const char *other, int steps)
{
    struct model *a = model_trained(spec, steps), *b = model_trained(other, steps);
    if (memcmp(a->value, b->value, sizeof a->value) != 0)
        fail_msg("%s is not %s", spec, other);
    free(a);
    free(b);
}

/* Equal but for the rounding of formulas that are written differently: compilers fuse their products and
 * sums as they like. */
static void assert_close(const char *spec, const char *other, int steps)
{
    struct model *a = model_trained(spec, steps), *b = model_trained(other, steps);
    const descent_real *x = a->value, *y = b->value;
    for (size_t i = 0; i < sizeof a->value / sizeof *x; i++)
        if (!(fabs((double)x[i] - (double)y[i]) <= 8 * FLT_EPSILON * fmax(fabs((double)x[i]), 1e-2)))
            fail_msg("%s is not %s: value %zu is %.9g, not %.9g", spec, other, i, (double)x[i],
                     (double)y[i]);
    free(a);
    free(b);
}

/* In the second step at the latest: some only look at first. */
static void every_rule_moves(void **state)
{
    (void)state;
    FOR_EACH_ALGORITHM (name) {
        struct model *a = model_new(), *b = model_trained(hurried(name, "0.01"), 2);
        for (int i = 0; i < MODEL_TENSORS; i++)
            if (b->params[i].grad && a->params[i].value[1] == b->params[i].value[1])
                fail_msg("%s leaves %s where it is", name, a->params[i].name);
        free(a);
        free(b);
    }
}

static void lr_0_changes_nothing(void **state)
{
    (void)state;
    FOR_EACH_ALGORITHM (name) {
        if (sets_norm(name))
            continue;
        struct model *a = model_new(), *b = model_trained(at_rate(name, "0", ",weight_decay=0.1"), 3);
        assert_same_values(a, b);
        free(a);
        free(b);
    }
}

static void special_cases_are_the_simpler_rule(void **state)
{
    (void)state;
    assert_same("momentum:lr=0.1,momentum=0", "sgd:lr=0.1", 4);
    assert_same("momentum:lr=0.1,momentum=0,dampening=0.5", "sgd:lr=0.1", 4);
    assert_same("sgd:lr=0.1,momentum=0.9", "momentum:lr=0.1", 4);
    assert_same("sgd:lr=0.1,momentum=0.9,nesterov", "nesterov:lr=0.1", 4);
    assert_same("sgdw:lr=0.1,momentum=0.9", "momentum:lr=0.1", 4);
    assert_same("qhm:lr=0.1,nu=0", "sgd:lr=0.1", 4);
    assert_same("aggmo:lr=0.1,betas=0", "sgd:lr=0.1", 4);
    assert_same("aggmo:lr=0.1,betas=0.9", "momentum:lr=0.1", 4);
    assert_same("signum:lr=0.1,beta=0", "signsgd:lr=0.1", 4);
    assert_same("asgd:lr=0.1,lambda=0", "sgd:lr=0.1", 4);
    assert_same("adamw:lr=0.01,weight_decay=0", "adam:lr=0.01", 4);
    assert_close("qhadam:lr=0.01,beta1=0.9,nu1=1,nu2=1", "adam:lr=0.01", 4);
    assert_close("nadamw:lr=0.01,beta1=0,weight_decay=0", "adam:lr=0.01,beta1=0", 4);
    assert_close("nadam_simple:lr=0.01,beta1=0", "adam:lr=0.01,beta1=0", 4);
    assert_close("nadam:lr=0.01,beta1=0", "adam:lr=0.01,beta1=0", 4);
    assert_same("ademamix:lr=0.01,weight_decay=0.1", "ademamix:lr=0.01,weight_decay=0.1,ramp=1", 4);
    assert_close("lion:lr=0.01,beta1=0.9,beta2=0.9", "signum:lr=0.01,beta=0.9", 4);
}

static void threads_do_not_change_a_bit(void **state)
{
    static const int threads[] = {1, 2, 3, 8};
    (void)state;
    FOR_EACH_ALGORITHM (name) {
        struct model *serial = model_new();
        struct optim *one = model_optim(serial, spec_of(name, "lr=0.01,weight_decay=0.1"));
        optim_measure(one, true);
        assert_int_equal(optim_clip(one, 5), DESCENT_OK);
        model_steps(serial, one, 4);
        for (size_t i = 0; i < sizeof threads / sizeof *threads; i++) {
            struct descent_pool *pool = descent_pool_new(threads[i]);
            struct model *m = model_new();
            struct optim *optim = model_optim(m, spec_of(name, "lr=0.01,weight_decay=0.1"));
            optim_set_pool(optim, pool);
            optim_measure(optim, true);
            assert_int_equal(optim_clip(optim, 5), DESCENT_OK);
            model_steps(m, optim, 4);
            assert_same_values(m, serial);
            assert_true(optim_gradient_norm(optim) == optim_gradient_norm(one));
            assert_true(optim_update_norm(optim) == optim_update_norm(one));
            optim_free(optim);
            descent_pool_free(pool);
            free(m);
        }
        optim_free(one);
        free(serial);
    }
}

static void measuring_does_not_change_a_bit(void **state)
{
    (void)state;
    FOR_EACH_ALGORITHM (name) {
        const char *spec = spec_of(name, "lr=0.01,weight_decay=0.1");
        struct model *plain = model_trained(spec, 3), *m = model_new();
        struct optim *optim = model_optim(m, spec);
        optim_measure(optim, true);
        model_steps(m, optim, 3);
        assert_same_values(m, plain);
        optim_free(optim);
        free(m);
        free(plain);
    }
}

static void measured_norms_are_those_of_the_arrays(void **state)
{
    (void)state;
    FOR_EACH_ALGORITHM (name) {
        struct model *m = model_new(), *before = model_new();
        struct optim *optim = model_optim(m, spec_of(name, "lr=0.01,weight_decay=0.1"));
        optim_measure(optim, true);
        model_steps(m, optim, 2);
        memcpy(before->value, m->value, sizeof m->value);
        model_gradient(m, 2);
        double gradient = 0, update = 0;
        for (int k = 0; k < MODEL_SIZE - 7; k++)
            gradient += pow((double)m->grad[k], 2);
        assert_int_equal(optim_step(optim), DESCENT_OK);
        for (int k = 0; k < MODEL_SIZE - 7; k++)
            update += pow((double)m->value[k] - (double)before->value[k], 2);
        assert_true(fabs(optim_gradient_norm(optim) / sqrt(gradient) - 1) < 1e-12);
        assert_true(fabs(optim_update_norm(optim) / sqrt(update) - 1) < 1e-6);
        optim_free(optim);
        free(m);
        free(before);
    }
}

static void group_with_the_same_values_changes_nothing(void **state)
{
    (void)state;
    FOR_EACH_ALGORITHM (name) {
        const char *spec = spec_of(name, "lr=0.01,weight_decay=0.1");
        struct model *whole = model_trained(spec, 4), *m = model_new();
        struct optim *optim = model_optim(m, spec);
        assert_int_equal(optim_group(optim, "conv1.*", "lr=0.01,weight_decay=0.1"), DESCENT_OK);
        model_steps(m, optim, 4);
        assert_same_values(m, whole);
        optim_free(optim);
        free(m);
        free(whole);
    }
}

/* These look at whole tensors, or add up over the model in the order of its tensors. */
static bool sees_tensors(const char *name)
{
    static const char *const names[] = {"lars",      "lamb",        "novograd",      "adamp",
                                        "adafactor", "dadapt_adam", "dadapt_sgd",    "stable_adamw",
                                        "prodigy",   "dog",         "shampoo",       "distributed_shampoo",
                                        "soap",      "muon",        "muon_airbench", "kfac"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return optim_find(name)->needs & OPTIM_NEEDS_EVALUATE; /* products of vectors over the model */
}

static void tensor_cut_in_three_changes_nothing(void **state)
{
    (void)state;
    FOR_EACH_ALGORITHM (name) {
        if (sees_tensors(name))
            continue;
        const char *spec = spec_of(name, "lr=0.01,weight_decay=0.1");
        struct model *whole = model_trained(spec, 4), *m = model_new();
        struct descent_param cut[MODEL_TENSORS + 2];
        static const char *const names[3] = {"x", "y", "z"};
        static const int64_t ends[4] = {0, 1003, 30000, 231 * 260};
        for (int i = 0; i < 3; i++)
            cut[i] = (struct descent_param){.name = names[i],
                                            .rank = 1,
                                            .shape = {ends[i + 1] - ends[i]},
                                            .size = ends[i + 1] - ends[i],
                                            .value = m->value + ends[i],
                                            .grad = m->grad + ends[i]};
        memcpy(cut + 3, m->params + 1, (MODEL_TENSORS - 1) * sizeof *cut);
        struct optim *optim = model_optim_of(m, spec, cut, MODEL_TENSORS + 2);
        model_steps(m, optim, 4);
        assert_same_values(m, whole);
        optim_free(optim);
        free(m);
        free(whole);
    }
}

static void save_load_continue_is_not_stopping(void **state)
{
    (void)state;
    FOR_EACH_ALGORITHM (name) {
        const char *spec = spec_of(name, "lr=0.01,weight_decay=0.1"),
                   *path = scratch_path("state.safetensors");
        struct model *m = model_new(), *resumed = model_new();
        struct optim *optim = model_optim(m, spec), *second = model_optim(resumed, spec);
        struct descent_tensor tensors[32];
        struct descent_safetensors file;
        assert_int_equal(optim_schedule(optim, "cosine+warmup:3", 10, 10), DESCENT_OK);
        assert_int_equal(optim_schedule(second, "cosine+warmup:3", 10, 10), DESCENT_OK);
        model_steps(m, optim, 5);
        assert_in_range(optim_state_count(optim), 1, 32);
        for (int i = 0; i < optim_state_count(optim); i++)
            tensors[i] = optim_state_get(optim, i);
        assert_int_equal(descent_safetensors_write(path, tensors, optim_state_count(optim), NULL, 0),
                         DESCENT_OK);
        memcpy(resumed->value, m->value, sizeof m->value);
        model_steps(m, optim, 5);

        assert_int_equal(descent_safetensors_read(path, &file), DESCENT_OK);
        assert_int_equal(optim_state_load(second, file.tensors, file.count), DESCENT_OK);
        descent_safetensors_free(&file);
        assert_int_equal(optim_steps(second), 5);
        model_steps(resumed, second, 5);
        assert_same_values(resumed, m);
        optim_free(optim);
        optim_free(second);
        free(m);
        free(resumed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_rule_moves),
        cmocka_unit_test(lr_0_changes_nothing),
        cmocka_unit_test(special_cases_are_the_simpler_rule),
        cmocka_unit_test(threads_do_not_change_a_bit),
        cmocka_unit_test(measuring_does_not_change_a_bit),
        cmocka_unit_test(measured_norms_are_those_of_the_arrays),
        cmocka_unit_test(group_with_the_same_values_changes_nothing),
        cmocka_unit_test(tensor_cut_in_three_changes_nothing),
        cmocka_unit_test(save_load_continue_is_not_stopping),
    };
#ifdef __SANITIZE_THREAD__
    cmocka_set_test_filter("threads_*"); /* the others have one */
#endif
    return cmocka_run_group_tests(tests, NULL, NULL);
}
