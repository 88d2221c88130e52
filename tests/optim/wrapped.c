/* Every wrapper around every optimizer: what must hold exactly for each pair. On a small quadratic, whose
 * objective serves all that can be asked of a function but the factors of layers. */
#include "base/pool.h"
#include "tests/optim/model.h"

enum { MATRIX = 12, VECTOR = 5, ALL = MATRIX + VECTOR };

struct bowl {
    descent_real value[ALL], grad[ALL];
    struct descent_param params[2];
    struct optim_objective objective;
    int t;
    double loss; /* where the last gradient is from */
};

static double strength(int k)
{
    return 0.1 + 0.05 * k;
}

static void slope(struct bowl *bowl, int t)
{
    bowl->t = t;
    bowl->loss = 0;
    for (int k = 0; k < ALL; k++) {
        double away = (double)bowl->value[k] - cos(0.7 * k), noise = 0.1 * sin(1.3 * t + 0.7 * k);
        bowl->grad[k] = (descent_real)(strength(k) * away + noise);
        bowl->loss += strength(k) * away * away / 2 + noise * away + 1;
    }
}

static enum descent_status bowl_loss(void *context, double *loss)
{
    *loss = ((struct bowl *)context)->loss;
    return DESCENT_OK;
}

static enum descent_status bowl_evaluate(void *context, double *loss)
{
    struct bowl *bowl = context;
    slope(bowl, bowl->t);
    return bowl_loss(bowl, loss);
}

static enum descent_status bowl_vector(void *context, const descent_real *const *v,
                                       descent_real *const *product)
{
    (void)context;
    for (int k = 0; k < ALL; k++) {
        int i = k >= MATRIX, at = k - i * MATRIX;
        product[i][at] = (descent_real)strength(k) * v[i][at];
    }
    return DESCENT_OK;
}

static enum descent_status bowl_sampled(void *context, double *batch)
{
    slope(context, ((struct bowl *)context)->t + 1);
    *batch = 64;
    return DESCENT_OK;
}

static void bowl_start(struct bowl *bowl)
{
    *bowl = (struct bowl){.objective = {.context = bowl,
                                        .loss = bowl_loss,
                                        .evaluate = bowl_evaluate,
                                        .hessian_vector = bowl_vector,
                                        .gauss_newton_vector = bowl_vector,
                                        .sampled_gradient = bowl_sampled}};
    for (int k = 0; k < ALL; k++)
        bowl->value[k] = (descent_real)sin(2.1 * k + 1);
    bowl->params[0] = (struct descent_param){.name = "weight",
                                             .rank = 2,
                                             .shape = {3, 4},
                                             .size = MATRIX,
                                             .value = bowl->value,
                                             .grad = bowl->grad};
    bowl->params[1] = (struct descent_param){.name = "bias",
                                             .kind = DESCENT_BIAS,
                                             .rank = 1,
                                             .shape = {VECTOR},
                                             .size = VECTOR,
                                             .value = bowl->value + MATRIX,
                                             .grad = bowl->grad + MATRIX};
}

/* swa begins after 6 steps of the 8. */
static struct optim *bowl_optim(struct bowl *bowl, const char *spec)
{
    struct optim *optim = optim_new(spec, bowl->params, 2);
    if (!optim)
        fail_msg("%s: %s", spec, descent_error());
    optim_set_objective(optim, &bowl->objective);
    assert_int_equal(optim_schedule(optim, "constant", 8, 1), DESCENT_OK);
    return optim;
}

/* From call `first` on: a step, or with accumulate a part of one. */
static void bowl_steps(struct bowl *bowl, struct optim *optim, int first, int calls)
{
    for (int i = 0; i < calls; i++) {
        slope(bowl, first + i);
        if (optim_step(optim))
            fail_msg("%s: %s", optim_spec(optim), descent_error());
    }
}

/* What optim_new refuses; levels.c says why. */
static bool fits(const struct optim_algorithm *wrapper, const struct optim_algorithm *inner)
{
    bool looks_back = inner->needs & OPTIM_NEEDS_EVALUATE, averages = inner->evaluation;
    return !(wrapper->outermost && inner->needs) && !(wrapper->evaluation && averages) &&
           !(strcmp(wrapper->name, "lookahead") == 0 && averages) &&
           !(strcmp(wrapper->name, "cautious") == 0 && looks_back);
}

/* For each pair that fits and whose needs are served: the wrapper and the name of the algorithm. */
#define FOR_EACH_PAIR(wrapper, name)                                                                       \
    for (int w_ = 0, wrappers_; w_ < (optim_wrappers(&wrappers_), wrappers_); w_++)                        \
        for (const struct optim_algorithm *wrapper = optim_wrappers(&wrappers_)[w_]; wrapper;              \
             wrapper = NULL)                                                                               \
            FOR_EACH_ALGORITHM (name)                                                                      \
                if (!(optim_find(name)->needs & OPTIM_NEEDS_LAYER_FACTORS) &&                              \
                    fits(wrapper, optim_find(name)))

/* Both kinds of values, at the end. */
static void assert_same_end(const char *spec, struct bowl *a, struct optim *one, struct bowl *b,
                            struct optim *other)
{
    for (int evaluated = 0; evaluated < 2; evaluated++) {
        if (evaluated) {
            assert_int_equal(optim_evaluation_begin(one), DESCENT_OK);
            assert_int_equal(optim_evaluation_begin(other), DESCENT_OK);
        }
        if (memcmp(a->value, b->value, sizeof a->value) != 0)
            fail_msg("%s: %s values differ", spec, evaluated ? "evaluated" : "trained");
    }
    optim_evaluation_end(one);
    optim_evaluation_end(other);
}

static void save_load_continue_is_not_stopping(void **state)
{
    enum { STATES = 64 };
    (void)state;
    FOR_EACH_PAIR (wrapper, name) {
        char spec[100];
        snprintf(spec, sizeof spec, "%s:lr=0.01,weight_decay=0.1+%s", name, wrapper->name);
        struct bowl straight, broken;
        struct descent_tensor tensors[STATES];
        bowl_start(&straight);
        bowl_start(&broken);
        struct optim *one = bowl_optim(&straight, spec), *first = bowl_optim(&broken, spec),
                     *second = bowl_optim(&broken, spec);
        bowl_steps(&straight, one, 0, 13);
        bowl_steps(&broken, first, 0, 7);
        assert_in_range(optim_state_count(first), 1, STATES);
        for (int i = 0; i < optim_state_count(first); i++)
            tensors[i] = optim_state_get(first, i);
        if (optim_state_load(second, tensors, optim_state_count(first)))
            fail_msg("%s: %s", spec, descent_error());
        bowl_steps(&broken, second, 7, 6);
        assert_same_end(spec, &straight, one, &broken, second);
        optim_free(one), optim_free(first), optim_free(second);
    }
}

static void lr_0_changes_nothing(void **state)
{
    (void)state;
    FOR_EACH_PAIR (wrapper, name) {
        char spec[100];
        snprintf(spec, sizeof spec, "%s+%s", at_rate(name, "0", ",weight_decay=0.1"), wrapper->name);
        struct bowl bowl, before;
        bowl_start(&bowl);
        bowl_start(&before);
        struct optim *optim = bowl_optim(&bowl, spec);
        bowl_steps(&bowl, optim, 0, sets_norm(name) ? 0 : 6);
        if (memcmp(bowl.value, before.value, sizeof before.value) != 0)
            fail_msg("%s moves", spec);
        optim_free(optim);
    }
}

static void group_with_the_same_values_changes_nothing(void **state)
{
    (void)state;
    FOR_EACH_PAIR (wrapper, name) {
        bool takes_biases = !optim_find(name)->fallback; /* or their rate is another */
        char spec[100];
        snprintf(spec, sizeof spec, "%s:lr=0.01,weight_decay=0.1+%s", name, wrapper->name);
        struct bowl whole, split;
        bowl_start(&whole);
        bowl_start(&split);
        struct optim *one = bowl_optim(&whole, spec), *two = bowl_optim(&split, spec);
        assert_int_equal(
            optim_group(two, "bias", takes_biases ? "lr=0.01,weight_decay=0.1" : "weight_decay=0.1"),
            DESCENT_OK);
        bowl_steps(&whole, one, 0, 7);
        bowl_steps(&split, two, 0, 7);
        assert_same_end(spec, &whole, one, &split, two);
        optim_free(one), optim_free(two);
    }
}

/* On a model of several chunks. */
static void threads_do_not_change_a_bit(void **state)
{
    (void)state;
    int count;
    const struct optim_algorithm *const *wrappers = optim_wrappers(&count);
    for (int i = 0; i < count; i++) {
        char spec[100];
        snprintf(spec, sizeof spec, "adamw:lr=0.01,weight_decay=0.1+%s", wrappers[i]->name);
        struct model *serial = model_new();
        struct optim *one = model_optim(serial, spec);
        assert_int_equal(optim_schedule(one, "constant", 4, 1), DESCENT_OK);
        model_steps(serial, one, 6);
        assert_int_equal(optim_evaluation_begin(one), DESCENT_OK);
        for (int threads = 2; threads <= 3; threads++) {
            struct descent_pool *pool = descent_pool_new(threads);
            struct model *m = model_new();
            struct optim *optim = model_optim(m, spec);
            optim_set_pool(optim, pool);
            assert_int_equal(optim_schedule(optim, "constant", 4, 1), DESCENT_OK);
            model_steps(m, optim, 6);
            assert_int_equal(optim_evaluation_begin(optim), DESCENT_OK);
            assert_same_values(m, serial);
            optim_free(optim);
            descent_pool_free(pool);
            free(m);
        }
        optim_free(one);
        free(serial);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(save_load_continue_is_not_stopping),
        cmocka_unit_test(lr_0_changes_nothing),
        cmocka_unit_test(group_with_the_same_values_changes_nothing),
        cmocka_unit_test(threads_do_not_change_a_bit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
