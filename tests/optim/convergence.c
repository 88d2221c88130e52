/* Every algorithm must arrive, and what looks at curvature must arrive sooner: a rotated ravine of
 * condition 100, Rosenbrock's valley, and logistic regression on images of data/sample. Table-driven, so
 * that a new one cannot skip it: an algorithm runs on every problem that offers what it needs.
 *
 * One rule says what arriving is, for all: with a problem's budget of gradient evaluations an algorithm
 * leaves no more of the loss than plain gradient descent with the best constant learning rate leaves with
 * a twentieth of them. Twenty is what the test keeps from an algorithm: its learning rate is the best of
 * four powers of ten only, so up to ten times smaller than the best there is, and halved on average by the
 * cosine schedule, without which steps of constant length would circle around a minimum. (Those that search
 * along a line, and those whose card says that they are meant for one, get a constant schedule.) An
 * evaluation of the loss, a sampled gradient or a layer's factors count as one gradient evaluation, a
 * product with the curvature as two. Weight decay, which has another minimum, is off. Settings other than
 * the defaults are in `exceptions`, each with its reason. */
#include "base/random.h"
#include "data/data.h"
#include "tests/optim/model.h"

enum { MOST = 520 }; /* parameters of a problem */

enum { SLACK = 20 };

/* A function of `size` parameters, with as much of an objective as is known of it. */
struct task {
    const char *name;
    int rank;
    int64_t shape[2], size;
    void (*start)(descent_real *x);
    double (*evaluate)(const descent_real *x, descent_real *gradient);
    void (*hessian_vector)(const descent_real *x, const descent_real *v, descent_real *product);
    void (*gauss_newton_vector)(const descent_real *x, const descent_real *v, descent_real *product);
    double (*sampled_gradient)(const descent_real *x, uint64_t draw, descent_real *gradient);
    int budget;          /* gradient evaluations */
    double first, least; /* loss at the start, and the least there is: measured before the tests */
};

/* --- x'Ax / 2 with condition 100, rotated: A = H diag(1 .. 0.01) H, H the reflection along (1, ..., 1).
 * --- */

enum { N = 8 };

static void reflect(const double *x, double *y)
{
    double sum = 0;
    for (int i = 0; i < N; i++)
        sum += x[i];
    for (int i = 0; i < N; i++)
        y[i] = x[i] - 2 * sum / N;
}

/* product = A^power x; returns x' A^power x. */
static double ravine_power(const descent_real *x, double power, descent_real *product)
{
    double point[N], y[N], turned[N], square = 0;
    for (int i = 0; i < N; i++)
        point[i] = (double)x[i];
    reflect(point, y);
    for (int i = 0; i < N; i++)
        y[i] *= pow(0.01, power * i / (N - 1));
    reflect(y, turned);
    for (int i = 0; i < N; i++) {
        square += point[i] * turned[i];
        product[i] = (descent_real)turned[i];
    }
    return square;
}

static void ravine_start(descent_real *x)
{
    static const descent_real start[N] = {1, 1, -1, 1, -1, 1, 1, 2};
    memcpy(x, start, sizeof start);
}

static double ravine_evaluate(const descent_real *x, descent_real *gradient)
{
    return ravine_power(x, 1, gradient) / 2;
}

static void ravine_hessian(const descent_real *x, const descent_real *v, descent_real *product)
{
    (void)x;
    ravine_power(v, 1, product);
}

/* Of a distribution whose second moment is A. */
static double ravine_sampled(const descent_real *x, uint64_t draw, descent_real *gradient)
{
    struct descent_random random = descent_random_new(1, DESCENT_RANDOM_TEST, draw);
    descent_real noise[N];
    (void)x;
    for (int i = 0; i < N; i++)
        noise[i] = (descent_real)descent_random_normal(&random);
    ravine_power(noise, 0.5, gradient);
    return 1;
}

/* --- Rosenbrock: r1^2 + r2^2, r1 = 1 - x, r2 = 10 (y - x^2). --- */

static void valley_start(descent_real *x)
{
    x[0] = (descent_real)-1.2;
    x[1] = 1;
}

static double valley_evaluate(const descent_real *p, descent_real *gradient)
{
    double x = (double)p[0], r1 = 1 - x, r2 = 10 * ((double)p[1] - x * x);
    gradient[0] = (descent_real)(-2 * r1 - 40 * x * r2);
    gradient[1] = (descent_real)(20 * r2);
    return r1 * r1 + r2 * r2;
}

/* 2 J^T J v, and beside it the second derivatives of r2 where `exact`. */
static void valley_product(const descent_real *p, const descent_real *v, bool exact, descent_real *product)
{
    double x = (double)p[0], r2 = 10 * ((double)p[1] - x * x);
    double jv1 = -(double)v[0], jv2 = 10 * (double)v[1] - 20 * x * (double)v[0];
    product[0] = (descent_real)(-2 * jv1 - 40 * x * jv2 - (exact ? 40 * r2 * (double)v[0] : 0));
    product[1] = (descent_real)(20 * jv2);
}

static void valley_hessian(const descent_real *p, const descent_real *v, descent_real *product)
{
    valley_product(p, v, true, product);
}

static void valley_gauss_newton(const descent_real *p, const descent_real *v, descent_real *product)
{
    valley_product(p, v, false, product);
}

/* J^T u, u of second moment 2. */
static double valley_sampled(const descent_real *p, uint64_t draw, descent_real *gradient)
{
    struct descent_random random = descent_random_new(2, DESCENT_RANDOM_TEST, draw);
    double u1 = sqrt(2) * descent_random_normal(&random), u2 = sqrt(2) * descent_random_normal(&random);
    gradient[0] = (descent_real)(-u1 - 20 * (double)p[0] * u2);
    gradient[1] = (descent_real)(10 * u2);
    return 1;
}

/* --- Softmax regression on images shrunk to 7 x 7, with weight decay: convex, so that its Hessian is its
 * Gauss-Newton matrix. --- */

enum { IMAGES = 60, SIDE = 28, SHRUNK = 7, INPUTS = SHRUNK * SHRUNK + 1, CLASS_COUNT = 10 };

static const double decay = 1e-2;
static double image[IMAGES][INPUTS]; /* the last input is 1 */
static int32_t label[IMAGES];

static void shrink(const float *x, double *to)
{
    enum { BLOCK = SIDE / SHRUNK };
    for (int i = 0; i < SIDE; i++)
        for (int j = 0; j < SIDE; j++)
            to[i / BLOCK * SHRUNK + j / BLOCK] += (double)x[i * SIDE + j] / (BLOCK * BLOCK);
    to[INPUTS - 1] = 1;
}

static void load_images(void)
{
    struct data_set *set;
    float x[SIDE * SIDE];
    if (data_open(SAMPLE, &set))
        fail_msg("%s", descent_error());
    struct data_view *view = data_view_train(set);
    assert_non_null(view);
    for (int i = 0; i < IMAGES; i++) {
        assert_int_equal(data_sample(view, i, x, &label[i]), DESCENT_OK);
        shrink(x, image[i]);
    }
    data_view_free(view);
    data_free(set);
}

static void images_start(descent_real *w)
{
    memset(w, 0, CLASS_COUNT * INPUTS * sizeof *w);
}

static void multiply(const descent_real *w, const double *x, double *y)
{
    for (int c = 0; c < CLASS_COUNT; c++) {
        y[c] = 0;
        for (int i = 0; i < INPUTS; i++)
            y[c] += (double)w[c * INPUTS + i] * x[i];
    }
}

/* Probabilities; returns log of what they were divided by. */
static double softmax(const descent_real *w, const double *x, double *p)
{
    double largest = -INFINITY, sum = 0;
    multiply(w, x, p);
    for (int c = 0; c < CLASS_COUNT; c++)
        largest = fmax(largest, p[c]);
    for (int c = 0; c < CLASS_COUNT; c++)
        sum += p[c] = exp(p[c] - largest);
    for (int c = 0; c < CLASS_COUNT; c++)
        p[c] /= sum;
    return largest + log(sum);
}

/* sum[c][i] += u[c] x[i] / IMAGES */
static void add_outer(const double *u, const double *x, double *sum)
{
    for (int c = 0; c < CLASS_COUNT; c++)
        for (int i = 0; i < INPUTS; i++)
            sum[c * INPUTS + i] += u[c] * x[i] / IMAGES;
}

/* What was summed up, and weight decay. */
static void store(const double *sum, const descent_real *w, descent_real *to)
{
    for (int k = 0; k < CLASS_COUNT * INPUTS; k++)
        to[k] = (descent_real)(sum[k] + decay * (double)w[k]);
}

static double images_evaluate(const descent_real *w, descent_real *gradient)
{
    double sum[CLASS_COUNT * INPUTS] = {0}, loss = 0, p[CLASS_COUNT], logits[CLASS_COUNT];
    for (int k = 0; k < IMAGES; k++) {
        multiply(w, image[k], logits);
        loss += (softmax(w, image[k], p) - logits[label[k]]) / IMAGES;
        p[label[k]] -= 1;
        add_outer(p, image[k], sum);
    }
    for (int k = 0; k < CLASS_COUNT * INPUTS; k++)
        loss += decay / 2 * (double)w[k] * (double)w[k];
    store(sum, w, gradient);
    return loss;
}

static void images_hessian(const descent_real *w, const descent_real *v, descent_real *product)
{
    double sum[CLASS_COUNT * INPUTS] = {0}, p[CLASS_COUNT], r[CLASS_COUNT];
    for (int k = 0; k < IMAGES; k++) {
        double mean = 0;
        softmax(w, image[k], p);
        multiply(v, image[k], r);
        for (int c = 0; c < CLASS_COUNT; c++)
            mean += p[c] * r[c];
        for (int c = 0; c < CLASS_COUNT; c++)
            r[c] = p[c] * (r[c] - mean);
        add_outer(r, image[k], sum);
    }
    store(sum, v, product);
}

/* p - (1 at a class drawn from p) */
static void sample_output_gradient(const descent_real *w, int k, uint64_t draw, double *p)
{
    struct descent_random random = descent_random_new(3, DESCENT_RANDOM_TEST, draw * IMAGES + (uint64_t)k);
    double u = descent_random_uniform(&random);
    int drawn = 0;
    softmax(w, image[k], p);
    for (double sum = p[0]; drawn < CLASS_COUNT - 1 && sum <= u; sum += p[drawn])
        drawn++;
    p[drawn] -= 1;
}

static double images_sampled(const descent_real *w, uint64_t draw, descent_real *gradient)
{
    double sum[CLASS_COUNT * INPUTS] = {0}, u[CLASS_COUNT];
    for (int k = 0; k < IMAGES; k++) {
        sample_output_gradient(w, k, draw, u);
        add_outer(u, image[k], sum);
    }
    for (int k = 0; k < CLASS_COUNT * INPUTS; k++)
        gradient[k] = (descent_real)sum[k];
    return IMAGES;
}

/* --- The objective of a task. --- */

static struct task tasks[] = {
    {.name = "ravine",
     .rank = 2,
     .shape = {2, N / 2},
     .size = N,
     .start = ravine_start,
     .evaluate = ravine_evaluate,
     .hessian_vector = ravine_hessian,
     .gauss_newton_vector = ravine_hessian,
     .sampled_gradient = ravine_sampled,
     .budget = 4000},
    {.name = "valley",
     .rank = 1,
     .shape = {2},
     .size = 2,
     .start = valley_start,
     .evaluate = valley_evaluate,
     .hessian_vector = valley_hessian,
     .gauss_newton_vector = valley_gauss_newton,
     .sampled_gradient = valley_sampled,
     .budget = 10000},
    {.name = "images",
     .rank = 2,
     .shape = {CLASS_COUNT, INPUTS},
     .size = CLASS_COUNT * INPUTS,
     .start = images_start,
     .evaluate = images_evaluate,
     .hessian_vector = images_hessian,
     .gauss_newton_vector = images_hessian,
     .sampled_gradient = images_sampled,
     .budget = 300},
};
enum { TASKS = sizeof tasks / sizeof *tasks };

struct attempt {
    const struct task *task;
    descent_real x[MOST], gradient[MOST];
    struct descent_param param;
    double loss;
    uint64_t draws;
    int spent; /* gradient evaluations */
};

static enum descent_status known_loss(void *context, double *loss)
{
    *loss = ((struct attempt *)context)->loss;
    return DESCENT_OK;
}

static enum descent_status evaluate(void *context, double *loss)
{
    struct attempt *a = context;
    a->spent++;
    *loss = a->loss = a->task->evaluate(a->x, a->gradient);
    return DESCENT_OK;
}

static enum descent_status hessian_vector(void *context, const descent_real *const *v,
                                          descent_real *const *product)
{
    struct attempt *a = context;
    a->spent += 2;
    a->task->hessian_vector(a->x, v[0], product[0]);
    return DESCENT_OK;
}

static enum descent_status gauss_newton_vector(void *context, const descent_real *const *v,
                                               descent_real *const *product)
{
    struct attempt *a = context;
    a->spent += 2;
    a->task->gauss_newton_vector(a->x, v[0], product[0]);
    return DESCENT_OK;
}

static enum descent_status sampled_gradient(void *context, double *batch)
{
    struct attempt *a = context;
    a->spent++;
    *batch = a->task->sampled_gradient(a->x, a->draws++, a->gradient);
    return DESCENT_OK;
}

/* Of softmax regression, the one layer that there is. */
static enum descent_status layer_factors(void *context, int layer, struct optim_layer *of, descent_real *a,
                                         descent_real *s)
{
    struct attempt *attempt = context;
    double u[CLASS_COUNT], inputs[INPUTS * INPUTS] = {0}, outputs[CLASS_COUNT * CLASS_COUNT] = {0};
    if (layer > 0)
        return DESCENT_NOT_FOUND;
    *of = (struct optim_layer){.weight = 0, .bias = -1, .inputs = INPUTS, .outputs = CLASS_COUNT};
    if (!a || !s)
        return DESCENT_OK;
    attempt->draws++;
    attempt->spent++;
    for (int k = 0; k < IMAGES; k++) {
        sample_output_gradient(attempt->x, k, attempt->draws, u);
        for (int i = 0; i < INPUTS; i++)
            for (int j = 0; j < INPUTS; j++)
                inputs[i * INPUTS + j] += image[k][i] * image[k][j] / IMAGES;
        for (int i = 0; i < CLASS_COUNT; i++)
            for (int j = 0; j < CLASS_COUNT; j++)
                outputs[i * CLASS_COUNT + j] += u[i] * u[j] / IMAGES;
    }
    for (int i = 0; i < INPUTS * INPUTS; i++)
        a[i] = (descent_real)inputs[i];
    for (int i = 0; i < CLASS_COUNT * CLASS_COUNT; i++)
        s[i] = (descent_real)outputs[i];
    return DESCENT_OK;
}

static const struct optim_objective *offered(struct attempt *a, struct optim_objective *objective)
{
    bool curved = a->task->hessian_vector != NULL, images = a->task->evaluate == images_evaluate;
    *objective = (struct optim_objective){.context = a,
                                          .loss = known_loss,
                                          .evaluate = evaluate,
                                          .hessian_vector = curved ? hessian_vector : NULL,
                                          .gauss_newton_vector = curved ? gauss_newton_vector : NULL,
                                          .sampled_gradient = curved ? sampled_gradient : NULL,
                                          .layer_factors = images ? layer_factors : NULL};
    return objective;
}

/* --- Runs. --- */

static struct optim *begin(struct attempt *a, const char *spec, const struct task *task,
                           struct optim_objective *objective)
{
    *a = (struct attempt){.task = task};
    a->param = (struct descent_param){
        .name = "x", .rank = task->rank, .size = task->size, .value = a->x, .grad = a->gradient};
    memcpy(a->param.shape, task->shape, sizeof task->shape);
    task->start(a->x);
    struct optim *optim = optim_new(spec, &a->param, 1);
    if (!optim)
        fail_msg("%s: %s", spec, descent_error());
    optim_set_objective(optim, offered(a, objective));
    a->loss = task->evaluate(a->x, a->gradient);
    return optim;
}

/* What is left above the least loss, as a share of what there was at the start. */
static double left_of(const struct task *task, double loss)
{
    return (loss - task->least) / (task->first - task->least);
}

/* Least losses are 0, but that of images, which Newton's method finds: its loss is strongly convex, so that
 * what is above the least is at most |gradient|^2 / (2 decay). */
static int set_up(void **state)
{
    static struct attempt a;
    struct optim_objective objective;
    double square = 0;
    (void)state;
    load_images();
    for (int k = 0; k < TASKS; k++) {
        tasks[k].start(a.x);
        tasks[k].first = tasks[k].evaluate(a.x, a.gradient);
    }
    struct optim *optim = begin(&a, "newton_cg", &tasks[TASKS - 1], &objective);
    for (int t = 0; t < 10; t++) {
        assert_int_equal(optim_step(optim), DESCENT_OK);
        tasks[TASKS - 1].least = tasks[TASKS - 1].evaluate(a.x, a.gradient);
    }
    optim_free(optim);
    for (int k = 0; k < MOST; k++)
        square += (double)a.gradient[k] * (double)a.gradient[k];
    assert_true(square / (2 * decay) < 1e-6 * tasks[TASKS - 1].first);
    return 0;
}

/* What `spec` leaves within the budget, INFINITY where it diverges. */
static double run(const char *spec, const struct task *task)
{
    static struct attempt a;
    struct optim_objective objective;
    struct optim *optim = begin(&a, spec, task, &objective);
    const char *schedule = optim_algorithm(optim)->unscheduled ? "constant" : "cosine";
    int steps = task->budget;
    enum descent_status status = DESCENT_OK;
    for (int t = 0; t < steps && a.spent < task->budget && !status; t++) {
        if (t == 1) /* the first has told what a step costs */
            steps = task->budget / a.spent;
        if (t < 2)
            assert_int_equal(optim_schedule(optim, schedule, steps, steps), DESCENT_OK);
        a.spent++;
        status = optim_step(optim);
        a.loss = task->evaluate(a.x, a.gradient);
        if (status && status != DESCENT_DIVERGED)
            fail_msg("%s on %s: %s", spec, task->name, descent_error());
    }
    if (!status)
        status = optim_evaluation_begin(optim);
    double last = task->evaluate(a.x, a.gradient);
    optim_evaluation_end(optim);
    optim_free(optim);
    return status || !isfinite(last) ? INFINITY : left_of(task, last);
}

/* What plain gradient descent with the best constant learning rate leaves after so many steps. */
static double best_descent(const struct task *task, int steps)
{
    static descent_real x[MOST], gradient[MOST];
    double best = INFINITY;
    for (double rate = 10; rate > 1e-4; rate /= 1.1) {
        double loss = 0;
        task->start(x);
        for (int t = 0; t <= steps; t++) {
            loss = task->evaluate(x, gradient);
            for (int64_t k = 0; k < task->size && t < steps; k++)
                x[k] -= (descent_real)rate * gradient[k];
        }
        best = isfinite(loss) ? fmin(best, left_of(task, loss)) : best;
    }
    return best;
}

/* What the method's own theory says it needs on a problem. */
static const struct {
    const char *algorithm, *task, *more;
} exceptions[] = {
    /* These end as gradient descent at final_lr, 0.1 otherwise; at the bottom of the valley, of curvature
     * 1002, that diverges beyond 2 / 1002. */
    {"adabound", "valley", ",final_lr=1e-3"},
    {"amsbound", "valley", ",final_lr=1e-3"},
    /* Its first five steps are momentum's, without a second moment: they would be as long as the gradient
     * at the start, 233, times the learning rate that its other steps need. */
    {"radam", "valley", "+clip_norm:1"},
};

/* `algorithm` at a learning rate, for a problem. */
static const char *spec_for(const struct optim_algorithm *algorithm, const struct task *task,
                            const char *rate)
{
    char more[80] = "";
    for (int i = 0; i < algorithm->option_count; i++)
        if (strcmp(algorithm->options[i].name, "weight_decay") == 0)
            snprintf(more, sizeof more, ",weight_decay=0");
    for (size_t i = 0; i < sizeof exceptions / sizeof *exceptions; i++)
        if (strcmp(exceptions[i].algorithm, algorithm->name) == 0 &&
            strcmp(exceptions[i].task, task->name) == 0)
            strcat(more, exceptions[i].more);
    return at_rate(algorithm->name, rate, more);
}

static bool check(const struct optim_algorithm *algorithm, const struct task *task, double goal)
{
    static const char *const rates[] = {"0.1", "1", "0.01", "0.001"};
    double best = INFINITY;
    for (size_t i = 0; i < sizeof rates / sizeof *rates && best > goal; i++)
        best = fmin(best, run(spec_for(algorithm, task, rates[i]), task));
    if (!(best <= goal))
        print_error("%s leaves %.2g of the loss of %s, not %.2g\n", algorithm->name, best, task->name,
                    goal);
    return best <= goal;
}

static void every_algorithm_arrives(void **state)
{
    bool arrived = true;
    int count;
    const struct optim_algorithm *const *algorithms = optim_algorithms(&count);
    (void)state;
    for (int k = 0; k < TASKS; k++) {
        double goal = best_descent(&tasks[k], tasks[k].budget / SLACK);
        print_message("%s: %.2g\n", tasks[k].name, goal);
        for (int i = 0; i < count; i++)
            if (!sets_norm(algorithms[i]->name) &&
                (!(algorithms[i]->needs & OPTIM_NEEDS_LAYER_FACTORS) || k == TASKS - 1))
                arrived = check(algorithms[i], &tasks[k], goal) && arrived;
    }
    assert_true(arrived);
}

/* The steps until no more than `left` is left, at the most `most` of them. */
static int steps_to(const char *spec, const struct task *task, double left, int most)
{
    static struct attempt a;
    struct optim_objective objective;
    int steps = 0;
    struct optim *optim = begin(&a, spec, task, &objective);
    while (steps < most && left_of(task, a.loss) > left) {
        if (optim_step(optim))
            break;
        a.loss = task->evaluate(a.x, a.gradient);
        steps++;
    }
    bool arrived = left_of(task, a.loss) <= left;
    optim_free(optim);
    return arrived ? steps : most;
}

/* To a thousandth of the loss, with the best of many learning rates for gradient descent and momentum. */
static void curvature_beats_tuned_gradient_descent_in_steps(void **state)
{
    static const char *const specs[] = {"hessian_free", "newton_cg", "lbfgs:iterations=1"};
    const struct task *const on[] = {&tasks[0], &tasks[TASKS - 1]};
    const double left = 1e-3;
    (void)state;
    for (int k = 0; k < 2; k++) {
        int best = 500;
        char spec[60], winner[60] = "";
        for (double rate = 10; rate > 1e-2; rate /= 1.25)
            for (int momentum = 0; momentum < 2; momentum++) {
                snprintf(spec, sizeof spec, "%s:lr=%g", momentum ? "momentum" : "sgd", rate);
                int steps = steps_to(spec, on[k], left, best);
                if (steps < best)
                    snprintf(winner, sizeof winner, "%s", spec);
                best = steps < best ? steps : best;
            }
        for (int i = 0; i < 3; i++) {
            int own = steps_to(specs[i], on[k], left, best);
            print_message("%-30s %-7s %4d steps, %s %d\n", specs[i], on[k]->name, own, winner, best);
            assert_true(own < best);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_algorithm_arrives),
        cmocka_unit_test(curvature_beats_tuned_gradient_descent_in_steps),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
