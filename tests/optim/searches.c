/* What searches along lines, against others in double: L-BFGS against PyTorch 1.13 on Rosenbrock's function
 * (1 - x)^2 + 100 (y - x^2)^2 from (-1.2, 1), with the same counts of iterations and evaluations; the
 * backtracking search against optax there (vectors/make_searches.py); nonlinear conjugate gradients against
 * the linear ones on a quadratic. Built in float and in double. */
#include "tests/optim/evidence.h"
#include "tests/optim/problem.h"

/* Rosenbrock's function. */
struct valley {
    descent_real x[2], grad[2];
    double loss;
    struct descent_param param;
    struct optim_objective objective;
};

static enum descent_status evaluate(void *context, double *loss)
{
    struct valley *v = context;
    double x = (double)v->x[0], y = (double)v->x[1], bend = y - x * x;
    v->loss = *loss = (1 - x) * (1 - x) + 100 * bend * bend;
    v->grad[0] = (descent_real)(-2 * (1 - x) - 400 * x * bend);
    v->grad[1] = (descent_real)(200 * bend);
    return DESCENT_OK;
}

static enum descent_status loss_of(void *context, double *loss)
{
    *loss = ((struct valley *)context)->loss;
    return DESCENT_OK;
}

static struct optim *begin(struct valley *v, const char *spec)
{
    *v = (struct valley){.x = {(descent_real)-1.2, 1}};
    v->param = (struct descent_param){
        .name = "x", .rank = 1, .shape = {2}, .size = 2, .value = v->x, .grad = v->grad};
    v->objective = (struct optim_objective){.context = v, .loss = loss_of, .evaluate = evaluate};
    struct optim *optim = optim_new(spec, &v->param, 1);
    if (!optim)
        fail_msg("%s", descent_error());
    optim_set_objective(optim, &v->objective);
    return optim;
}

/* After that many calls of step. */
static const struct expected {
    const char *spec;
    int calls;
    double x, y, loss;
    int iterations, evaluations;
} table[] = {
    {"lbfgs", 1, 0.38001654949, 0.124489556541, 0.424072, 19, 25},
    {"lbfgs", 2, 0.999999333408, 0.999998674382, 4.50071e-13, 36, 45},
    {"lbfgs", 3, 0.999999333408, 0.999998674382, 4.50071e-13, 37, 46},
    {"lbfgs:lr=0.001,line_search=none", 1, -1.19689611639, 1.00227081611, 23.3413, 20, 20},
    {"lbfgs:lr=0.001,line_search=none", 2, -1.19499125622, 1.00595424858, 22.6306, 40, 40},
};

static double state_number(const struct optim *optim, const char *name, int i)
{
    for (int k = 0; k < optim_state_count(optim); k++) {
        struct descent_tensor state = optim_state_get(optim, k);
        if (strcmp(state.name, name) == 0)
            return ((const double *)state.data)[i];
    }
    fail_msg("no state '%s'", name);
    return NAN;
}

static void table_of_pytorch_is_reproduced(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        const struct expected *row = &table[i];
        struct valley v;
        struct optim *optim = begin(&v, row->spec);
        for (int call = 0; call < row->calls; call++) {
            evaluate(&v, &v.loss);
            assert_int_equal(optim_step(optim), DESCENT_OK);
        }
        double iterations = state_number(optim, "lbfgs.progress", 0),
               evaluations = state_number(optim, "lbfgs.progress", 1);
        double off = fmax(fabs((double)v.x[0] - row->x), fabs((double)v.x[1] - row->y));
        assert_true(off < (in_double ? 1e-11 : 2e-4));
        assert_true(iterations == row->iterations);
        assert_true(evaluations == row->evaluations);
        evidence("lbfgs", row->spec, "PyTorch 1.13 on Rosenbrock, iterations and evaluations equal", 1,
                 off);
        optim_free(optim);
    }
}

/* In float a test that optax just passes may just fail, so that paths part after some steps. */
static void backtracking_visits_the_points_of_optax(void **state)
{
    struct descent_json *vectors = read_vectors("vectors/searches.json");
    const struct descent_json *rows = descent_json_get(vectors, "searches");
    (void)state;
    assert_int_equal(descent_json_count(rows), 3);
    for (int i = 0; i < descent_json_count(rows); i++) {
        const struct descent_json *row = descent_json_at(rows, i);
        struct valley v;
        double worst = 0;
        const char *spec = descent_json_text(row, "spec", "");
        struct optim *optim = begin(&v, spec);
        for (int t = 1; t <= (in_double ? 200 : 8); t++) {
            evaluate(&v, &v.loss);
            assert_int_equal(optim_step(optim), DESCENT_OK);
            const struct descent_json *point = values_after(row, "points", t);
            for (int k = 0; point && k < 2; k++) {
                double x;
                assert_true(descent_json_as_number(descent_json_at(point, k), &x));
                if (!(fabs((double)v.x[k] - x) < (in_double ? 1e-10 : 1e-5)))
                    fail_msg("%s: after %d steps x[%d] is %.12g, not %.12g", spec, t, k, (double)v.x[k], x);
                worst = fmax(worst, fabs((double)v.x[k] - x));
            }
        }
        evidence("line_search", spec, "optax 0.2.8, backtracking on Rosenbrock", 1, worst);
        optim_free(optim);
    }
    descent_json_free(vectors);
}

enum { N = 6 };

/* x' diag(1, 2, 4, ...) x / 2 - sum of x */
struct bowl {
    descent_real x[N], grad[N];
    double loss;
};

static enum descent_status bowl_evaluate(void *context, double *loss)
{
    struct bowl *b = context;
    b->loss = 0;
    for (int i = 0; i < N; i++) {
        double x = (double)b->x[i];
        b->loss += ldexp(x * x, i - 1) - x;
        b->grad[i] = (descent_real)(ldexp(x, i) - 1);
    }
    *loss = b->loss;
    return DESCENT_OK;
}

static enum descent_status bowl_loss(void *context, double *loss)
{
    *loss = ((struct bowl *)context)->loss;
    return DESCENT_OK;
}

/* A step of linear conjugate gradients; r: residual, d: direction. */
static void linear_step(double *x, double *r, double *d)
{
    double square = 0, curvature = 0, next = 0;
    for (int i = 0; i < N; i++) {
        square += r[i] * r[i];
        curvature += ldexp(d[i] * d[i], i);
    }
    for (int i = 0; i < N; i++) {
        x[i] += square / curvature * d[i];
        r[i] -= square / curvature * ldexp(d[i], i);
        next += r[i] * r[i];
    }
    for (int i = 0; i < N; i++)
        d[i] = r[i] + next / square * d[i];
}

static void conjugate_gradients_are_the_linear_ones_on_a_quadratic(void **state)
{
    struct bowl b = {.x = {0}};
    double x[N] = {0}, r[N], d[N], worst = 0;
    (void)state;
    struct descent_param param = {
        .name = "x", .rank = 1, .shape = {N}, .size = N, .value = b.x, .grad = b.grad};
    const struct optim_objective objective = {.context = &b, .loss = bowl_loss, .evaluate = bowl_evaluate};
    struct optim *optim = optim_new("conjugate_gradient:curvature=1e-6", &param, 1);
    assert_non_null(optim);
    optim_set_objective(optim, &objective);
    for (int i = 0; i < N; i++)
        r[i] = d[i] = 1;
    for (int t = 1; t <= N; t++) {
        bowl_evaluate(&b, &b.loss);
        assert_int_equal(optim_step(optim), DESCENT_OK);
        linear_step(x, r, d);
        for (int i = 0; i < N; i++) {
            worst = fmax(worst, fabs((double)b.x[i] - x[i]));
            if (!(worst < (in_double ? 1e-6 : 1e-3)))
                fail_msg("after %d steps x[%d] is %.9g, not %.9g", t, i, (double)b.x[i], x[i]);
        }
    }
    evidence("conjugate_gradient", "conjugate_gradient:curvature=1e-6",
             "the linear method on a quadratic, where exact line searches make them one", N, worst);
    for (int i = 0; i < N; i++)
        assert_true(fabs(x[i] - ldexp(1, -i)) < 1e-12);
    optim_free(optim);
}

/* The bowl's Hessian is diag(1, 2, 4, ...). */
static enum descent_status bowl_product(void *context, const descent_real *const *v,
                                        descent_real *const *product)
{
    (void)context;
    for (int i = 0; i < N; i++)
        product[0][i] = (descent_real)ldexp((double)v[0][i], i);
    return DESCENT_OK;
}

static enum descent_status bowl_sampled(void *context, double *batch)
{
    struct bowl *b = context;
    for (int i = 0; i < N; i++)
        b->grad[i] = (descent_real)sqrt(ldexp(1, i));
    *batch = 1;
    return DESCENT_OK;
}

/* A step of the bowl from 0. */
static struct bowl bowl_step(const char *spec)
{
    struct bowl b = {.x = {0}};
    struct descent_param param = {
        .name = "x", .rank = 1, .shape = {N}, .size = N, .value = b.x, .grad = b.grad};
    const struct optim_objective objective = {.context = &b,
                                              .loss = bowl_loss,
                                              .evaluate = bowl_evaluate,
                                              .hessian_vector = bowl_product,
                                              .gauss_newton_vector = bowl_product,
                                              .sampled_gradient = bowl_sampled};
    struct optim *optim = optim_new(spec, &param, 1);
    if (!optim)
        fail_msg("%s", descent_error());
    optim_set_objective(optim, &objective);
    bowl_evaluate(&b, &b.loss);
    assert_int_equal(optim_step(optim), DESCENT_OK);
    optim_free(optim);
    return b;
}

/* (H + damping I)^-1 of the gradient, which is -1 in each element; weight decay 0.5 adds 0.5 to H. */
static void newton_steps_solve_the_linear_system(void **state)
{
    (void)state;
    struct bowl exact = bowl_step("newton_cg"), decayed = bowl_step("newton_cg:weight_decay=0.5"),
                damped = bowl_step("hessian_free:damping=3"),
                both = bowl_step("hessian_free:damping=3,weight_decay=0.5");
    for (int i = 0; i < N; i++) {
        double curvature = ldexp(1, i);
        /* Newton-CG stops at half of the gradient's norm at the latest. */
        assert_true(fabs((double)exact.x[i] * curvature - 1) <= 0.5 * sqrt(N));
        assert_true(fabs((double)decayed.x[i] * (curvature + 0.5) - 1) <= 0.5 * sqrt(N));
        assert_true(fabs((double)damped.x[i] - 1 / (curvature + 3)) < (in_double ? 1e-12 : 1e-6));
        assert_true(fabs((double)both.x[i] - 1 / (curvature + 3.5)) < (in_double ? 1e-12 : 1e-6));
    }
    evidence("newton_cg", "newton_cg", "Newton's linear system, to half of the gradient's norm", 0, 0);
    evidence("hessian_free", "hessian_free", "the damped Gauss-Newton system, solved", 0, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table_of_pytorch_is_reproduced),
        cmocka_unit_test(backtracking_visits_the_points_of_optax),
        cmocka_unit_test(conjugate_gradients_are_the_linear_ones_on_a_quadratic),
        cmocka_unit_test(newton_steps_solve_the_linear_system),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
