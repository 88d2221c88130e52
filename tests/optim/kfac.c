/* K-FAC against what it claims to compute: on a layer whose Fisher matrix is a Kronecker product, a linear
 * regression, it is Newton's method. Built in double. */
#include "optim/optim.h"
#include "tests/optim/evidence.h"
#include "tests/test.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- A layer y = W a, the bias in W's last column, with the loss tr(S D A D') / 2, D = W - its minimum.
 * Its Hessian is A x S: that of a linear regression on inputs of covariance A, with an error measured by S.
 * A third parameter, |free|^2 / 2, is of no layer. --- */

enum { ROWS = 3, COLUMNS = 5, WEIGHTS = ROWS * (COLUMNS - 1), FREE = 2 };

struct layer {
    double a[COLUMNS * COLUMNS], s[ROWS * ROWS]; /* of the loss */
    double factor;                               /* what the objective answers: factor a, s */
    double w[WEIGHTS], b[ROWS], free[FREE], grad_w[WEIGHTS], grad_b[ROWS], grad_free[FREE];
    struct descent_param params[3];
    struct optim_objective objective;
    int64_t rows_told;
};

static double minimum(int i, int j)
{
    return sin(3.7 * i + 1.3 * j);
}

static double away(const struct layer *l, int i, int j)
{
    return (j < COLUMNS - 1 ? l->w[i * (COLUMNS - 1) + j] : l->b[i]) - minimum(i, j);
}

/* S X A of a ROWS x COLUMNS matrix X. */
static void multiply(const struct layer *l, double x[ROWS][COLUMNS], double y[ROWS][COLUMNS])
{
    for (int i = 0; i < ROWS; i++)
        for (int j = 0; j < COLUMNS; j++) {
            y[i][j] = 0;
            for (int p = 0; p < ROWS; p++)
                for (int q = 0; q < COLUMNS; q++)
                    y[i][j] += l->s[i * ROWS + p] * x[p][q] * l->a[q * COLUMNS + j];
        }
}

/* Sets the gradients; returns the loss. */
static double layer_gradient(struct layer *l)
{
    double d[ROWS][COLUMNS], g[ROWS][COLUMNS], loss = 0;
    for (int i = 0; i < ROWS; i++)
        for (int j = 0; j < COLUMNS; j++)
            d[i][j] = away(l, i, j);
    multiply(l, d, g);
    for (int i = 0; i < ROWS; i++)
        for (int j = 0; j < COLUMNS; j++) {
            loss += d[i][j] * g[i][j] / 2;
            *(j < COLUMNS - 1 ? &l->grad_w[i * (COLUMNS - 1) + j] : &l->grad_b[i]) = g[i][j];
        }
    memcpy(l->grad_free, l->free, sizeof l->free);
    return loss;
}

static enum descent_status layer_factors(void *context, int i, struct optim_layer *layer, double *a,
                                         double *s)
{
    struct layer *l = context;
    if (i > 0)
        return descent_fail(DESCENT_NOT_FOUND, "there is one layer");
    *layer = (struct optim_layer){.weight = 1, .bias = 0, .inputs = COLUMNS, .outputs = l->rows_told};
    for (int k = 0; a && k < COLUMNS * COLUMNS; k++)
        a[k] = l->factor * l->a[k];
    for (int k = 0; s && k < ROWS * ROWS; k++)
        s[k] = l->s[k];
    return DESCENT_OK;
}

/* M M' + diagonal I, of numbers from nowhere in particular. */
static void set_covariance(int n, double *to, double diagonal)
{
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) {
            to[i * n + j] = i == j ? diagonal : 0;
            for (int k = 0; k < n; k++)
                to[i * n + j] += sin(2.1 * i + 5.3 * k + n) * sin(2.1 * j + 5.3 * k + n) / n;
        }
}

static void layer_start(struct layer *l)
{
    *l = (struct layer){.factor = 1, .free = {1, -2}, .rows_told = ROWS};
    l->objective = (struct optim_objective){.context = l, .layer_factors = layer_factors};
    set_covariance(COLUMNS, l->a, 0.1);
    set_covariance(ROWS, l->s, 0.2);
    l->params[0] = (struct descent_param){.name = "layer.bias",
                                          .kind = DESCENT_BIAS,
                                          .rank = 1,
                                          .shape = {ROWS},
                                          .size = ROWS,
                                          .value = l->b,
                                          .grad = l->grad_b};
    l->params[1] = (struct descent_param){.name = "layer.weight",
                                          .rank = 2,
                                          .shape = {ROWS, COLUMNS - 1},
                                          .size = WEIGHTS,
                                          .value = l->w,
                                          .grad = l->grad_w};
    l->params[2] = (struct descent_param){.name = "free",
                                          .kind = DESCENT_NORM,
                                          .rank = 1,
                                          .shape = {FREE},
                                          .size = FREE,
                                          .value = l->free,
                                          .grad = l->grad_free};
}

static struct optim *layer_optim(struct layer *l, const char *spec)
{
    struct optim *optim = optim_new(spec, l->params, 3);
    if (!optim)
        fail_msg("%s: %s", spec, descent_error());
    optim_set_objective(optim, &l->objective);
    return optim;
}

#define NOW ",stat_decay=0,factors_every=1,inverse_every=1"

static void without_damping_it_is_newtons_method(void **state)
{
    (void)state;
    struct layer l;
    layer_start(&l);
    double first = layer_gradient(&l);
    struct optim *optim = layer_optim(&l, "kfac:lr=1,momentum=0,damping=0,kl_clip=0" NOW);
    assert_int_equal(optim_step(optim), DESCENT_OK);
    assert_true(first > 0.1 && layer_gradient(&l) < 1e-20 * first);
    optim_free(optim);
    evidence("kfac", "linear regression, damping 0", "Newton's method: one step", 0, 0);
}

/* The layer's change in the last step. */
static void change(const struct layer *l, const struct layer *before, double v[ROWS][COLUMNS])
{
    for (int i = 0; i < ROWS; i++)
        for (int j = 0; j < COLUMNS; j++)
            v[i][j] = away(before, i, j) - away(l, i, j);
}

/* The change of each step solves S V A + damping V = lr G for the averages at the last decomposition: of A,
 * (1 - share) I + share a, as after n factors it is 1 - decay^n. */
static void steps_solve_the_damped_system(void **state)
{
    (void)state;
    struct layer l, before;
    layer_start(&l);
    struct optim *optim = layer_optim(&l, "kfac:lr=0.3,momentum=0,damping=0.05,kl_clip=0,stat_decay=0.6,"
                                          "factors_every=2,inverse_every=4");
    for (int t = 1; t <= 9; t++) {
        double v[ROWS][COLUMNS], image[ROWS][COLUMNS];
        layer_gradient(&l);
        before = l;
        assert_int_equal(optim_step(optim), DESCENT_OK);
        change(&l, &before, v);
        int factors = t < 5 ? 1 : t < 9 ? 3 : 5;
        struct layer average = l;
        for (int k = 0; k < COLUMNS * COLUMNS; k++)
            average.a[k] += pow(0.6, factors) * ((k % (COLUMNS + 1) == 0) - l.a[k]);
        for (int k = 0; k < ROWS * ROWS; k++)
            average.s[k] += pow(0.6, factors) * ((k % (ROWS + 1) == 0) - l.s[k]);
        multiply(&average, v, image);
        for (int i = 0; i < ROWS; i++)
            for (int j = 0; j < COLUMNS; j++) {
                double g = j < COLUMNS - 1 ? before.grad_w[i * (COLUMNS - 1) + j] : before.grad_b[i];
                assert_true(fabs(image[i][j] + 0.05 * v[i][j] - 0.3 * g) < 1e-12);
            }
    }
    optim_free(optim);
    evidence("kfac", "S V A + damping V = G", "products of averages kept by the test", 0, 0);
}

static void kl_clip_bounds_the_step_in_the_fisher_norm(void **state)
{
    (void)state;
    struct layer l, before;
    double v[ROWS][COLUMNS], whole[ROWS][COLUMNS], clipped = 0, product = 0;
    for (int clip = 0; clip < 2; clip++) {
        layer_start(&l);
        layer_gradient(&l);
        before = l;
        struct optim *optim = layer_optim(&l, clip ? "kfac:lr=0.3,momentum=0,damping=0.05,kl_clip=1e-3" NOW
                                                   : "kfac:lr=0.3,momentum=0,damping=0.05,kl_clip=0" NOW);
        assert_int_equal(optim_step(optim), DESCENT_OK);
        change(&l, &before, clip ? v : whole);
        optim_free(optim);
    }
    for (int i = 0; i < ROWS; i++)
        for (int j = 0; j < COLUMNS; j++) {
            double g = 0.3 * (j < COLUMNS - 1 ? before.grad_w[i * (COLUMNS - 1) + j] : before.grad_b[i]);
            product += whole[i][j] * g;
            clipped += v[i][j] * g;
        }
    assert_true(product > 2e-3);
    assert_true(fabs(clipped / product / sqrt(1e-3 / product) - 1) < 1e-12);
    for (int i = 0; i < ROWS; i++)
        for (int j = 0; j < COLUMNS; j++)
            assert_true(fabs(v[i][j] - whole[i][j] * clipped / product) < 1e-12);
}

static void parameters_of_no_layer_have_momentum(void **state)
{
    (void)state;
    struct layer l, plain;
    layer_start(&l);
    layer_start(&plain);
    struct optim *kfac = layer_optim(&l, "kfac:lr=0.1"), *momentum = layer_optim(&plain, "momentum:lr=0.1");
    for (int t = 1; t <= 4; t++) {
        layer_gradient(&l);
        layer_gradient(&plain);
        assert_int_equal(optim_step(kfac), DESCENT_OK);
        assert_int_equal(optim_step(momentum), DESCENT_OK);
        for (int k = 0; k < FREE; k++)
            assert_true(fabs(l.free[k] - plain.free[k]) < 1e-15);
    }
    optim_free(kfac);
    optim_free(momentum);
}

static void weight_decay_waits_and_is_not_preconditioned(void **state)
{
    (void)state;
    struct layer l, before;
    layer_start(&l);
    l.w[0] = 2;
    struct optim *optim = layer_optim(&l, "kfac:lr=0.1,momentum=0,weight_decay=0.2,decay_after=2");
    for (int t = 1; t <= 3; t++) {
        before = l;
        assert_int_equal(optim_step(optim), DESCENT_OK); /* with gradients of 0 */
        for (int k = 0; k < WEIGHTS; k++)
            assert_true(fabs(l.w[k] - before.w[k] * (t > 2 ? 1 - 0.1 * 0.2 : 1)) < 1e-15);
        assert_memory_equal(l.b, before.b, sizeof l.b);
    }
    optim_free(optim);
}

static void frozen_bias_leaves_the_weights_problem(void **state)
{
    (void)state;
    struct layer l;
    layer_start(&l);
    l.params[0].grad = NULL;
    struct optim *optim = layer_optim(&l, "kfac:lr=1,momentum=0,damping=0,kl_clip=0" NOW);
    layer_gradient(&l);
    assert_int_equal(optim_step(optim), DESCENT_OK);
    layer_gradient(&l);
    for (int k = 0; k < WEIGHTS; k++)
        assert_true(fabs(l.grad_w[k]) < 1e-12);
    for (int k = 0; k < ROWS; k++)
        assert_true(l.b[k] == 0 && fabs(l.grad_b[k]) > 1e-3);
    optim_free(optim);
}

static void wrong_objective_is_an_error(void **state)
{
    (void)state;
    struct layer l;
    layer_start(&l);
    struct optim *optim = layer_optim(&l, "kfac");
    optim_set_objective(optim, NULL);
    layer_gradient(&l);
    assert_int_equal(optim_step(optim), DESCENT_NOT_FOUND);
    assert_non_null(strstr(descent_error(), "layer_factors"));
    optim_set_objective(optim, &l.objective);
    l.rows_told = ROWS + 1;
    assert_int_equal(optim_step(optim), DESCENT_MISMATCH);
    assert_non_null(strstr(descent_error(), "layer.weight is 3 x 4; its layer's factors are for 4 x 5"));
    l.rows_told = ROWS;
    l.factor = INFINITY;
    assert_int_equal(optim_step(optim), DESCENT_DIVERGED);
    assert_non_null(strstr(descent_error(), "layer.weight"));
    optim_free(optim);
}

/* --- Races. --- */

/* A of condition 100, rotated, in place of the layer's own, and S = I; equally far from the minimum in all
 * directions. */
static void make_ravine(struct layer *l)
{
    memset(l->s, 0, sizeof l->s);
    memset(l->free, 0, sizeof l->free);
    for (int i = 0; i < ROWS; i++) {
        l->s[i * ROWS + i] = 1;
        l->b[i] = minimum(i, COLUMNS - 1) + 1;
        for (int j = 0; j < COLUMNS - 1; j++)
            l->w[i * (COLUMNS - 1) + j] = minimum(i, j) + 1;
    }
    for (int i = 0; i < COLUMNS; i++)
        for (int j = 0; j < COLUMNS; j++) {
            double *to = &l->a[i * COLUMNS + j];
            *to = 0;
            for (int k = 0; k < COLUMNS; k++) /* H diag(1 .. 0.01) H, H a reflection */
                *to += pow(0.1, 0.5 * k) * ((i == k) - 2. / COLUMNS) * ((j == k) - 2. / COLUMNS);
        }
}

enum { NEVER = 2000 };

/* Steps until the loss that `gradient` of `problem` returns is `target`; NEVER also where it diverges. */
static int count_steps(struct optim *optim, double (*gradient)(void *problem), void *problem, double target)
{
    int steps = 0;
    while (steps < NEVER && gradient(problem) > target)
        steps = optim_step(optim) ? NEVER : steps + 1;
    optim_free(optim);
    return steps;
}

static double ravine_gradient(void *problem)
{
    return layer_gradient(problem);
}

static int ravine_steps(const char *spec)
{
    struct layer l;
    layer_start(&l);
    make_ravine(&l);
    return count_steps(layer_optim(&l, spec), ravine_gradient, &l, 1e-6 * layer_gradient(&l));
}

/* A classifier of full batches: 6 inputs of very different sizes, 8 hidden units, 3 classes. */
enum { SAMPLES = 96, INPUTS = 6, HIDDEN = 8, CLASSES = 3 };

struct classifier {
    double x[SAMPLES][INPUTS + 1], h[SAMPLES][HIDDEN + 1], p[SAMPLES][CLASSES]; /* inputs end with a 1 */
    int label[SAMPLES];
    double w1[HIDDEN][INPUTS], b1[HIDDEN], w2[CLASSES][HIDDEN], b2[CLASSES];
    double grad_w1[HIDDEN][INPUTS], grad_b1[HIDDEN], grad_w2[CLASSES][HIDDEN], grad_b2[CLASSES];
    struct descent_param params[4];
    struct optim_objective objective;
};

static void classifier_forward(struct classifier *c, int n)
{
    double sum = 0;
    for (int i = 0; i < HIDDEN; i++) {
        double y = c->b1[i];
        for (int j = 0; j < INPUTS; j++)
            y += c->w1[i][j] * c->x[n][j];
        c->h[n][i] = tanh(y);
    }
    c->h[n][HIDDEN] = 1;
    for (int i = 0; i < CLASSES; i++) {
        double y = c->b2[i];
        for (int j = 0; j < HIDDEN; j++)
            y += c->w2[i][j] * c->h[n][j];
        sum += c->p[n][i] = exp(y);
    }
    for (int i = 0; i < CLASSES; i++)
        c->p[n][i] /= sum;
}

/* The derivative of a sample's loss in the hidden units' sums, given that in the logits. */
static void classifier_backward(const struct classifier *c, int n, const double *logits, double *hidden)
{
    for (int j = 0; j < HIDDEN; j++) {
        hidden[j] = 0;
        for (int i = 0; i < CLASSES; i++)
            hidden[j] += c->w2[i][j] * logits[i];
        hidden[j] *= 1 - c->h[n][j] * c->h[n][j];
    }
}

/* Sets the gradients; returns the mean loss. */
static double classifier_gradient(void *problem)
{
    struct classifier *c = problem;
    double loss = 0, logits[CLASSES], hidden[HIDDEN];
    for (int i = 0; i < 4; i++)
        memset(c->params[i].grad, 0, (size_t)c->params[i].size * sizeof(double));
    for (int n = 0; n < SAMPLES; n++) {
        classifier_forward(c, n);
        loss -= log(c->p[n][c->label[n]]) / SAMPLES;
        for (int i = 0; i < CLASSES; i++) {
            logits[i] = (c->p[n][i] - (i == c->label[n])) / SAMPLES;
            c->grad_b2[i] += logits[i];
            for (int j = 0; j < HIDDEN; j++)
                c->grad_w2[i][j] += logits[i] * c->h[n][j];
        }
        classifier_backward(c, n, logits, hidden);
        for (int i = 0; i < HIDDEN; i++) {
            c->grad_b1[i] += hidden[i];
            for (int j = 0; j < INPUTS; j++)
                c->grad_w1[i][j] += hidden[i] * c->x[n][j];
        }
    }
    return loss;
}

/* to += scale x x' */
static void add_square(double *to, const double *x, int n, double scale)
{
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++)
            to[i * n + j] += scale * x[i] * x[j];
}

/* Over all labels, each as probable as the model says, instead of sampled ones. */
static enum descent_status classifier_factors(void *context, int i, struct optim_layer *layer, double *a,
                                              double *s)
{
    static const struct optim_layer layers[] = {{0, 1, INPUTS + 1, HIDDEN}, {2, 3, HIDDEN + 1, CLASSES}};
    struct classifier *c = context;
    if (i > 1)
        return descent_fail(DESCENT_NOT_FOUND, "there are two layers");
    *layer = layers[i];
    if (!a)
        return DESCENT_OK;
    memset(a, 0, (size_t)(layer->inputs * layer->inputs) * sizeof *a);
    memset(s, 0, (size_t)(layer->outputs * layer->outputs) * sizeof *s);
    for (int n = 0; n < SAMPLES; n++) {
        add_square(a, i ? c->h[n] : c->x[n], (int)layer->inputs, 1. / SAMPLES);
        for (int label = 0; label < CLASSES; label++) {
            double logits[CLASSES], hidden[HIDDEN];
            for (int k = 0; k < CLASSES; k++)
                logits[k] = c->p[n][k] - (k == label);
            classifier_backward(c, n, logits, hidden);
            add_square(s, i ? logits : hidden, (int)layer->outputs, c->p[n][label] / SAMPLES);
        }
    }
    return DESCENT_OK;
}

static void classifier_start(struct classifier *c)
{
    static const char *const names[] = {"1.weight", "1.bias", "2.weight", "2.bias"};
    double *const values[] = {c->w1[0], c->b1, c->w2[0], c->b2};
    double *const grads[] = {c->grad_w1[0], c->grad_b1, c->grad_w2[0], c->grad_b2};
    static const int64_t rows[] = {HIDDEN, HIDDEN, CLASSES, CLASSES}, columns[] = {INPUTS, 1, HIDDEN, 1};
    memset(c, 0, sizeof *c);
    for (int n = 0; n < SAMPLES; n++) {
        c->label[n] = n % CLASSES;
        for (int j = 0; j < INPUTS; j++)
            c->x[n][j] =
                pow(0.5, j) * (cos(2.1 * c->label[n] + 1.7 * j) + 1.2 * sin(12.9898 * n + 11.3 * j * j));
        c->x[n][INPUTS] = 1;
    }
    for (int i = 0; i < 4; i++) {
        c->params[i] = (struct descent_param){.name = names[i],
                                              .kind = columns[i] > 1 ? DESCENT_WEIGHT : DESCENT_BIAS,
                                              .rank = columns[i] > 1 ? 2 : 1,
                                              .shape = {rows[i], columns[i]},
                                              .size = rows[i] * columns[i],
                                              .value = values[i],
                                              .grad = grads[i]};
        for (int k = 0; k < c->params[i].size && columns[i] > 1; k++)
            values[i][k] = 0.5 * sin(12.3 * k + i);
    }
    c->objective = (struct optim_objective){.context = c, .layer_factors = classifier_factors};
}

static int classifier_steps(const char *spec)
{
    struct classifier *c = malloc(sizeof *c);
    assert_non_null(c);
    classifier_start(c);
    struct optim *optim = optim_new(spec, c->params, 4);
    if (!optim)
        fail_msg("%s: %s", spec, descent_error());
    optim_set_objective(optim, &c->objective);
    int steps = count_steps(optim, classifier_gradient, c, 0.05);
    free(c);
    return steps;
}

/* The fewest over learning rates 2^low .. 2^high. */
static int fewest(int (*race)(const char *spec), const char *name, const char *more, int low, int high)
{
    int best = NEVER;
    for (int i = low; i <= high; i++) {
        char spec[200];
        snprintf(spec, sizeof spec, "%s:lr=%g%s", name, pow(2, i), more);
        int steps = race(spec);
        best = steps < best ? steps : best;
    }
    return best;
}

static void it_arrives_in_fewer_steps_than_tuned_gradient_descent(void **state)
{
    static const char *const kfac = ",momentum=0,damping=1e-3,kl_clip=0" NOW;
    static int (*const races[])(const char *) = {ravine_steps, classifier_steps};
    static const char *const names[] = {"condition 100", "classifier"};
    (void)state;
    for (int i = 0; i < 2; i++) {
        int natural = fewest(races[i], "kfac", kfac, -6, 0), sgd = fewest(races[i], "sgd", "", -6, 6),
            momentum = fewest(races[i], "momentum", "", -8, 4);
        print_message("%s: kfac %d steps, sgd %d, momentum %d\n", names[i], natural, sgd, momentum);
        assert_true(sgd < NEVER && natural < sgd / 2 && natural < momentum);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_damping_it_is_newtons_method),
        cmocka_unit_test(steps_solve_the_damped_system),
        cmocka_unit_test(kl_clip_bounds_the_step_in_the_fisher_norm),
        cmocka_unit_test(parameters_of_no_layer_have_momentum),
        cmocka_unit_test(weight_decay_waits_and_is_not_preconditioned),
        cmocka_unit_test(frozen_bias_leaves_the_weights_problem),
        cmocka_unit_test(wrong_objective_is_an_error),
        cmocka_unit_test(it_arrives_in_fewer_steps_than_tuned_gradient_descent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
