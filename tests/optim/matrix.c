/* What defines the matrix methods, beside their reference vectors: steps without a preferred direction,
 * preconditioners in closed form. Built in double. */
#include "base/linalg.h"
#include "optim/optim.h"
#include "tests/optim/evidence.h"
#include "tests/test.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 256 };

/* A weight, its gradients given. */
struct weight {
    double value[MOST], grad[MOST];
    struct descent_param param;
};

static void weight_start(struct weight *w, int rank, const int64_t *shape)
{
    memset(w, 0, sizeof *w);
    w->param =
        (struct descent_param){.name = "w", .rank = rank, .size = 1, .value = w->value, .grad = w->grad};
    for (int i = 0; i < rank; i++)
        w->param.size *= w->param.shape[i] = shape[i];
    assert_in_range(w->param.size, 1, MOST);
}

static struct optim *weight_optim(struct weight *w, const char *spec)
{
    struct optim *optim = optim_new(spec, &w->param, 1);
    if (!optim)
        fail_msg("%s: %s", spec, descent_error());
    return optim;
}

/* Of the t-th step; numbers from nowhere in particular. */
static double noise(int t, int k)
{
    double x = sin(12.9898 * k + 78.233 * t + 1) * 43758.5453;
    return 2 * (x - floor(x)) - 1;
}

static void step(struct weight *w, struct optim *optim)
{
    for (int k = 0; k < w->param.size; k++)
        w->grad[k] = noise((int)optim_steps(optim), k);
    assert_int_equal(optim_step(optim), DESCENT_OK);
}

/* value[rows][columns] <- U value V', orthogonal U (rows x rows) and V. */
static void turn(int rows, int columns, const double *u, const double *v, double *value)
{
    double other[MOST];
    descent_dgemm(false, false, rows, columns, rows, 1, u, rows, value, columns, 0, other, columns);
    descent_dgemm(false, true, rows, columns, columns, 1, other, columns, v, columns, 0, value, columns);
}

static void set_orthogonal(int n, double *q)
{
    for (int k = 0; k < n * n; k++)
        q[k] = noise(1000 + n, k);
    assert_int_equal(descent_dqr(n, n, q, NULL), DESCENT_OK);
}

/* In a space whose axes are turned, the steps are the same steps, turned: no direction is preferred, and no
 * element-wise rule can do it. (Were there two columns more than rows, SOAP's first basis would be
 * arbitrary.) */
static void turned_gradients_turn_the_steps(void **state)
{
    static const char *const specs[] = {
        "muon:lr=0.1,weight_decay=0",
        "muon:lr=0.1,weight_decay=0.1,adjust=match_rms_adamw,nesterov=no",
        "muon_airbench:lr=0.1",
        "shampoo:lr=0.1,every=3",
        "soap:lr=0.1,weight_decay=0.1,every=3",
        "distributed_shampoo:lr=0.1,graft=sgd,start=2,every=3",
    };
    enum { ROWS = 5, COLUMNS = 6, STEPS = 12 };
    double u[ROWS * ROWS], v[COLUMNS * COLUMNS];
    (void)state;
    set_orthogonal(ROWS, u);
    set_orthogonal(COLUMNS, v);
    for (size_t s = 0; s < sizeof specs / sizeof *specs; s++) {
        struct weight plain, turned;
        weight_start(&plain, 2, (int64_t[]){ROWS, COLUMNS});
        weight_start(&turned, 2, (int64_t[]){ROWS, COLUMNS});
        for (int k = 0; k < ROWS * COLUMNS; k++)
            plain.value[k] = turned.value[k] = noise(-1, k);
        turn(ROWS, COLUMNS, u, v, turned.value);
        struct optim *one = weight_optim(&plain, specs[s]), *other = weight_optim(&turned, specs[s]);
        for (int t = 0; t < STEPS; t++) {
            step(&plain, one);
            memcpy(turned.grad, plain.grad, sizeof plain.grad);
            turn(ROWS, COLUMNS, u, v, turned.grad);
            assert_int_equal(optim_step(other), DESCENT_OK);
        }
        turn(ROWS, COLUMNS, u, v, plain.value);
        for (int k = 0; k < ROWS * COLUMNS; k++)
            if (fabs(plain.value[k] - turned.value[k]) > 1e-9)
                fail_msg("%s: value %d is %.12g, not %.12g", specs[s], k, turned.value[k], plain.value[k]);
        optim_free(one);
        optim_free(other);
    }
}

/* The change that the t-th step made, divided by -scale. */
static void take_step(struct weight *w, struct optim *optim, double scale, double *change)
{
    memcpy(change, w->value, sizeof w->value);
    step(w, optim);
    for (int k = 0; k < w->param.size; k++)
        change[k] = (change[k] - w->value[k]) / scale;
}

static void muons_steps_have_singular_values_near_1(void **state)
{
    static const int64_t shapes[][4] = {{7, 12}, {12, 7}, {9, 9}, {6, 2, 3, 3}};
    static const int ranks[] = {2, 2, 2, 4};
    (void)state;
    for (int i = 0; i < 4; i++) {
        struct weight w;
        double change[MOST], u[MOST], s[MOST], vt[MOST];
        weight_start(&w, ranks[i], shapes[i]);
        struct optim *optim = weight_optim(&w, "muon:lr=0.1,weight_decay=0");
        int rows = (int)shapes[i][0], columns = (int)w.param.size / rows;
        for (int t = 0; t < 5; t++) {
            take_step(&w, optim, 0.1 * sqrt(fmax(1, (double)rows / columns)), change);
            assert_int_equal(descent_dsvd(rows, columns, change, u, s, vt), DESCENT_OK);
            for (int k = 0; k < rows && k < columns; k++)
                if (!(s[k] > 0.65 && s[k] < 1.25))
                    fail_msg("singular value %d of a %d x %d step is %g", k, rows, columns, s[k]);
        }
        optim_free(optim);
    }
}

/* The same numbers under two shapes that must be the same to a rule. */
static void assert_same_as(const char *spec, int rank, const int64_t *shape, int other_rank,
                           const int64_t *other_shape)
{
    struct weight a, b;
    weight_start(&a, rank, shape);
    weight_start(&b, other_rank, other_shape);
    struct optim *one = weight_optim(&a, spec), *other = weight_optim(&b, spec);
    for (int t = 0; t < 5; t++) {
        step(&a, one);
        step(&b, other);
    }
    for (int k = 0; k < a.param.size; k++)
        if (!(fabs(a.value[k] - b.value[k]) < 1e-12))
            fail_msg("%s depends on a shape that it should not see", spec);
    optim_free(one);
    optim_free(other);
}

static void muon_sees_kernels_as_rows_of_a_matrix(void **state)
{
    (void)state;
    assert_same_as("muon", 4, (int64_t[]){6, 2, 3, 3}, 2, (int64_t[]){6, 18});
    assert_same_as("muon_airbench", 4, (int64_t[]){6, 2, 3, 3}, 2, (int64_t[]){6, 18});
}

static void muon_leaves_all_but_hidden_matrices_to_adamw(void **state)
{
    static const struct {
        int rank;
        enum descent_param_kind kind;
        enum descent_param_role role;
        const char *algorithm;
    } cases[] = {
        {2, DESCENT_WEIGHT, DESCENT_ROLE_HIDDEN, "muon"},
        {4, DESCENT_WEIGHT, DESCENT_ROLE_HIDDEN, "muon"},
        {2, DESCENT_WEIGHT, DESCENT_ROLE_OUTPUT, "adamw"},
        {1, DESCENT_WEIGHT, DESCENT_ROLE_HIDDEN, "adamw"},
        {1, DESCENT_BIAS, DESCENT_ROLE_HIDDEN, "adamw"},
        {1, DESCENT_NORM, DESCENT_ROLE_HIDDEN, "adamw"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct weight w, plain;
        weight_start(&w, cases[i].rank, (int64_t[]){4, 3, 2, 2});
        weight_start(&plain, cases[i].rank, (int64_t[]){4, 3, 2, 2});
        w.param.kind = plain.param.kind = cases[i].kind;
        w.param.role = cases[i].role;
        struct optim *optim = weight_optim(&w, "muon:lr=0.1,adamw_lr=0.01,adamw_beta1=0.8"),
                     *adamw = weight_optim(&plain, "adamw:lr=0.01,beta1=0.8,beta2=0.95,weight_decay=0.1");
        assert_string_equal(optim_algorithm_of(optim, 0)->name, cases[i].algorithm);
        for (int t = 0; t < 3; t++) {
            step(&w, optim);
            step(&plain, adamw);
        }
        bool same = memcmp(w.value, plain.value, sizeof w.value) == 0;
        assert_int_equal(same, strcmp(cases[i].algorithm, "adamw") == 0);
        optim_free(optim);
        optim_free(adamw);
    }
}

/* Of one gradient G = U diag(s) V', the preconditioned one is U V'. */
static void shampoos_first_step_is_the_nearest_orthogonal_matrix(void **state)
{
    enum { ROWS = 5, COLUMNS = 7 };
    struct weight w;
    double change[MOST], u[MOST], s[MOST], vt[MOST], grad[MOST], polar[MOST];
    (void)state;
    weight_start(&w, 2, (int64_t[]){ROWS, COLUMNS});
    struct optim *optim = weight_optim(&w, "shampoo:lr=0.1,eps=1e-14");
    take_step(&w, optim, 0.1, change);
    memcpy(grad, w.grad, sizeof grad);
    assert_int_equal(descent_dsvd(ROWS, COLUMNS, grad, u, s, vt), DESCENT_OK);
    descent_dgemm(false, false, ROWS, COLUMNS, ROWS, 1, u, ROWS, vt, COLUMNS, 0, polar, COLUMNS);
    for (int k = 0; k < ROWS * COLUMNS; k++)
        assert_true(fabs(change[k] - polar[k]) < 1e-6);
    optim_free(optim);
}

/* Of a product of vectors, one for each axis, the preconditioned gradient is g / |g|, whatever the rank. */
static void shampoo_has_a_matrix_for_each_axis(void **state)
{
    (void)state;
    for (int rank = 1; rank <= 4; rank++) {
        struct weight w;
        weight_start(&w, rank, (int64_t[]){3, 2, 4, 5});
        struct optim *optim = weight_optim(&w, "shampoo:lr=0.1,eps=1e-14");
        double norm = 0;
        for (int k = 0; k < w.param.size; k++) {
            w.grad[k] = 3;
            for (int i = rank - 1, rest = k; i >= 0; rest /= (int)w.param.shape[i--])
                w.grad[k] *= 1.5 + noise(i, rest % (int)w.param.shape[i]);
            norm += w.grad[k] * w.grad[k];
        }
        assert_int_equal(optim_step(optim), DESCENT_OK);
        for (int k = 0; k < w.param.size; k++)
            assert_true(fabs(w.value[k] + 0.1 * w.grad[k] / sqrt(norm)) < 1e-6);
        optim_free(optim);
    }
}

/* Steps of two specs on the same gradients. */
static void assert_same_steps(const char *spec, const char *other_spec, int rank, const int64_t *shape,
                              int delay)
{
    struct weight a, b;
    weight_start(&a, rank, shape);
    weight_start(&b, rank, shape);
    struct optim *one = weight_optim(&a, spec), *other = weight_optim(&b, other_spec);
    for (int t = 0; t < 6; t++) {
        step(&a, one);
        memcpy(b.grad, a.grad, sizeof b.grad);
        if (t >= delay)
            assert_int_equal(optim_step(other), DESCENT_OK);
    }
    for (int k = 0; k < a.param.size; k++)
        if (!(fabs(a.value[k] - b.value[k]) < 1e-12))
            fail_msg("%s is not %s: value %d is %.15g, not %.15g", spec, other_spec, k, a.value[k],
                     b.value[k]);
    optim_free(one);
    optim_free(other);
}

static void without_matrices_they_are_element_wise(void **state)
{
    (void)state;
    assert_same_steps("shampoo:lr=0.1,eps=1e-3,max_dim=3", "adagrad:lr=0.1,eps_root=1e-3,eps=1e-30", 1,
                      (int64_t[]){30}, 0);
    assert_same_steps("soap:lr=0.1,max_dim=3,weight_decay=0,beta1=0.9,beta2=0.99",
                      "adam:lr=0.1,eps_hat,beta1=0.9,beta2=0.99", 2, (int64_t[]){4, 5}, 1);
    assert_same_steps("soap:lr=0.1,weight_decay=0,beta1=0.9,beta2=0.99",
                      "adam:lr=0.1,eps_hat,beta1=0.9,beta2=0.99", 1, (int64_t[]){20}, 1);
}

/* Distributed Shampoo is Adam before it starts; from there on, where its averages are as good as sums, it
 * is Shampoo at another length; and blocks are like tensors of their own. Together that is its rule. */
static void distributed_shampoo_has_anothers_length(void **state)
{
    (void)state;
    assert_same_steps("distributed_shampoo:lr=0.1,beta2=0.99,weight_decay=0.1,start=100",
                      "adamw:lr=0.1,beta2=0.99,weight_decay=0.1", 2, (int64_t[]){4, 5}, 0);
    for (int adam = 0; adam < 2; adam++) {
        struct weight w;
        double change[MOST], other[MOST], length = 0, found = 0;
        weight_start(&w, 2, (int64_t[]){4, 5});
        struct optim *optim = weight_optim(
                         &w, adam ? "distributed_shampoo:lr=0.1,beta1=0,start=1,every=1"
                                  : "distributed_shampoo:lr=0.1,beta1=0,start=1,every=1,graft=sgd"),
                     *anothers = weight_optim(&w, adam ? "adam:lr=0.1,beta1=0" : "sgd:lr=0.1");
        for (int t = 0; t < 4; t++) {
            take_step(&w, optim, 1, change);
            memcpy(other, w.value, sizeof other);
            assert_int_equal(optim_step(anothers), DESCENT_OK);
            length = found = 0;
            for (int k = 0; k < w.param.size; k++) {
                length += pow(w.value[k] - other[k], 2);
                found += change[k] * change[k];
            }
            assert_true(length > 0 && fabs(sqrt(found / length) - 1) < 1e-9);
        }
        optim_free(optim);
        optim_free(anothers);
    }
    evidence("distributed_shampoo", "before start, and in length", "adamw, adam and sgd here", 0, 0);
}

static void distributed_shampoo_has_shampoos_direction(void **state)
{
    (void)state;
    for (int rank = 1; rank <= 2; rank++) {
        struct weight a, b;
        weight_start(&a, rank, (int64_t[]){4, 5});
        weight_start(&b, rank, (int64_t[]){4, 5});
        struct optim *shampoo = weight_optim(&a, "shampoo:lr=0.1,eps=1e-12,every=1"),
                     *optim = weight_optim(&b, "distributed_shampoo:lr=0.1,beta1=0,beta2=0.9999999999,"
                                               "start=1,every=1");
        for (int t = 0; t < 6; t++) {
            double direction[MOST], change[MOST], dot = 0, dd = 0, cc = 0;
            take_step(&a, shampoo, 1, direction);
            take_step(&b, optim, 1, change);
            for (int k = 0; k < a.param.size; k++) {
                dot += direction[k] * change[k];
                dd += direction[k] * direction[k];
                cc += change[k] * change[k];
            }
            assert_true(fabs(dot / sqrt(dd * cc) - 1) < 1e-9);
        }
        optim_free(shampoo);
        optim_free(optim);
    }
    evidence("distributed_shampoo", "in direction, beta1 0, beta2 near 1", "shampoo here", 0, 0);
}

static void blocks_are_like_tensors_of_their_own(void **state)
{
    static const char *const spec = "distributed_shampoo:lr=0.1,block=3,start=3,every=2,weight_decay=0.1";
    static const int row[] = {0, 2, 5}, column[] = {0, 2, 4, 7}; /* 5 x 7 in parts of at most 3 */
    struct weight whole, part[2][3];
    struct optim *optim, *other[2][3];
    (void)state;
    weight_start(&whole, 2, (int64_t[]){5, 7});
    optim = weight_optim(&whole, spec);
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 3; j++) {
            weight_start(&part[i][j], 2, (int64_t[]){row[i + 1] - row[i], column[j + 1] - column[j]});
            other[i][j] = weight_optim(&part[i][j], spec);
        }
    for (int t = 0; t < 6; t++) {
        step(&whole, optim);
        for (int k = 0; k < 35; k++) {
            int i = k / 7 >= row[1], j = (k % 7 >= column[1]) + (k % 7 >= column[2]);
            int at = (k / 7 - row[i]) * (column[j + 1] - column[j]) + k % 7 - column[j];
            part[i][j].grad[at] = whole.grad[k];
        }
        for (int i = 0; i < 2; i++)
            for (int j = 0; j < 3; j++)
                assert_int_equal(optim_step(other[i][j]), DESCENT_OK);
        for (int k = 0; k < 35; k++) {
            int i = k / 7 >= row[1], j = (k % 7 >= column[1]) + (k % 7 >= column[2]);
            int at = (k / 7 - row[i]) * (column[j + 1] - column[j]) + k % 7 - column[j];
            assert_true(fabs(part[i][j].value[at] - whole.value[k]) < 1e-12);
        }
    }
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 3; j++)
            optim_free(other[i][j]);
    optim_free(optim);
}

/* Along an axis longer than max_dim P is its diagonal: of a matrix with one element in each row and column,
 * it is one anyway. */
static void long_axes_keep_the_diagonal(void **state)
{
    (void)state;
    static const char *const specs[] = {"shampoo:lr=0.1", "shampoo:lr=0.1,max_dim=4"};
    struct weight w[2];
    for (int s = 0; s < 2; s++) {
        weight_start(&w[s], 3, (int64_t[]){5, 4, 5});
        struct optim *optim = weight_optim(&w[s], specs[s]);
        for (int t = 0; t < 4; t++) {
            for (int i = 0; i < 4; i++)
                w[s].grad[(i + 1) * 20 + i * 5 + (i + 2) % 5] = noise(t, i);
            assert_int_equal(optim_step(optim), DESCENT_OK);
        }
        assert_int_equal(optim_state_get(optim, 1).rank, s == 0 ? 2 : 1);
        assert_int_equal(optim_state_get(optim, 3).rank, 2);
        optim_free(optim);
    }
    for (int k = 0; k < w[0].param.size; k++)
        assert_true(fabs(w[0].value[k] - w[1].value[k]) < 1e-12);
    assert_true(w[0].value[20 + 2] != 0);
}

/* As a parameter that is thawed later does: it does not wait for the next decomposition. */
static void first_gradient_may_come_late(void **state)
{
    static const char *const specs[] = {"shampoo:every=5", "soap:lr=0.1,weight_decay=0,every=5",
                                        "distributed_shampoo:every=1000,start=90"};
    (void)state;
    for (int s = 0; s < 3; s++) {
        struct weight w;
        weight_start(&w, 2, (int64_t[]){4, 6});
        struct optim *optim = weight_optim(&w, specs[s]);
        w.param.grad = NULL;
        for (int t = 0; t < 100; t++)
            assert_int_equal(optim_step(optim), DESCENT_OK);
        w.param.grad = w.grad;
        for (int t = 0; t < 2; t++)
            step(&w, optim);
        for (int k = 0; k < w.param.size; k++)
            assert_true(isfinite(w.value[k]) && w.value[k] != 0);
        optim_free(optim);
    }
}

/* Roots and bases are older than the statistics most of the time. */
static void what_is_between_decompositions_is_saved(void **state)
{
    static const char *const specs[] = {"shampoo:every=2", "soap:every=3",
                                        "distributed_shampoo:start=2,every=3"};
    (void)state;
    for (int s = 0; s < 3; s++) {
        struct weight a, b;
        struct descent_tensor tensors[8];
        weight_start(&a, 2, (int64_t[]){4, 6});
        weight_start(&b, 2, (int64_t[]){4, 6});
        struct optim *one = weight_optim(&a, specs[s]), *other = weight_optim(&b, specs[s]);
        for (int t = 0; t < 35; t++)
            step(&a, one);
        assert_in_range(optim_state_count(one), 5, 8);
        for (int i = 0; i < optim_state_count(one); i++)
            tensors[i] = optim_state_get(one, i);
        assert_int_equal(optim_state_load(other, tensors, optim_state_count(one)), DESCENT_OK);
        memcpy(b.value, a.value, sizeof b.value);
        for (int t = 0; t < 4; t++) {
            step(&a, one);
            step(&b, other);
        }
        assert_memory_equal(a.value, b.value, sizeof a.value);
        optim_free(one);
        optim_free(other);
    }
}

static void overflowing_statistics_are_an_error_that_names_the_tensor(void **state)
{
    (void)state;
    struct weight w;
    weight_start(&w, 2, (int64_t[]){2, 2});
    struct optim *optim = weight_optim(&w, "shampoo");
    for (int k = 0; k < 4; k++)
        w.grad[k] = 0.5e154;
    for (int t = 0; t < 3; t++)
        assert_int_equal(optim_step(optim), DESCENT_OK);
    struct weight before = w;
    assert_int_equal(optim_step(optim), DESCENT_DIVERGED);
    assert_non_null(strstr(descent_error(), "the matrices of w cannot be decomposed in step 4"));
    assert_memory_equal(w.value, before.value, sizeof w.value);
    optim_free(optim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(turned_gradients_turn_the_steps),
        cmocka_unit_test(muons_steps_have_singular_values_near_1),
        cmocka_unit_test(muon_sees_kernels_as_rows_of_a_matrix),
        cmocka_unit_test(muon_leaves_all_but_hidden_matrices_to_adamw),
        cmocka_unit_test(shampoos_first_step_is_the_nearest_orthogonal_matrix),
        cmocka_unit_test(shampoo_has_a_matrix_for_each_axis),
        cmocka_unit_test(without_matrices_they_are_element_wise),
        cmocka_unit_test(distributed_shampoo_has_anothers_length),
        cmocka_unit_test(distributed_shampoo_has_shampoos_direction),
        cmocka_unit_test(blocks_are_like_tensors_of_their_own),
        cmocka_unit_test(long_axes_keep_the_diagonal),
        cmocka_unit_test(first_gradient_may_come_late),
        cmocka_unit_test(what_is_between_decompositions_is_saved),
        cmocka_unit_test(overflowing_statistics_are_an_error_that_names_the_tensor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
