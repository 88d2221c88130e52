/* What a thousand times the gradients do to each algorithm: most do not notice, which no simpler rule would
 * pass for. And what the order of a tensor's axes does to Adafactor. Built in double. */
#include "tests/optim/problem.h"

enum { STEPS = 8 };

/* Those that notice: displacements grow by `factor`, to within `tolerance` of themselves. Factor 0: by
 * nothing in particular. All others do not notice, to within 1e-6. */
static const struct invariance {
    const char *name, *options;
    double factor, tolerance;
} exceptions[] = {
    {"sgd", "", 1000, 1e-9},
    {"momentum", "", 1000, 1e-9},
    {"nesterov", "", 1000, 1e-9},
    {"sgdw", "", 1000, 1e-9},
    {"asgd", ",lambda=0", 1000, 1e-9},
    {"qhm", "", 1000, 1e-9},
    {"aggmo", "", 1000, 1e-9},
    {"lars", "", 1000, 1e-9}, /* without decay, momentum; with it, its eps and decay would show */
    {"schedule_free_sgd", "", 1000, 1e-9},
    {"madgrad", "", 10, 1e-5},             /* a cube root; its eps */
    {"padam", "", 177.827941003892, 1e-6}, /* 1000^(1 - 2p) */
    {"rmsprop_tf", ",eps=1e-30", 0, 0},    /* its second moment starts at 1 */
    {"radam", "", 0, 0},                   /* momentum in its first steps */
    {"adabelief", "", 0, 0},               /* likewise */
    {"adabelief", ",rectify=no", 1, 1e-6},
    {"adabound", "", 0, 0}, /* its bounds are of learning rates */
    {"amsbound", "", 0, 0},
    {"adadelta", "", 1, 1e-4}, /* its eps */
    {"shampoo", "", 1, 1e-4},  /* likewise */
    {"yogi", "", 1, 4e-3},     /* its start value */
    {"lamb", ",max_grad_norm=0,eps=1e-9", 1,
     1e-6}, /* by itself, not because gradients are clipped to one length */
};
enum { EXCEPTIONS = sizeof exceptions / sizeof *exceptions };

static void run(const char *spec, double scale, struct problem *p)
{
    start(p);
    struct optim *optim = optim_new(spec, p->params, TENSORS);
    if (!optim)
        fail_msg("%s: %s", spec, descent_error());
    for (int t = 1; t <= STEPS; t++) {
        set_gradients(p, t);
        for (int i = 0; i < TENSORS; i++)
            for (int k = 0; k < p->params[i].size; k++)
                p->params[i].grad[k] *= scale;
        assert_int_equal(optim_step(optim), DESCENT_OK);
    }
    optim_free(optim);
}

/* The largest, of both tensors, of |moved - factor * (moved by gradients of scale 1)| / |moved|. */
static double off(const char *spec, double factor)
{
    struct problem origin, one, thousand;
    double worst = 0;
    start(&origin);
    run(spec, 1, &one);
    run(spec, 1000, &thousand);
    for (int i = 0; i < TENSORS; i++) {
        double difference = 0, moved = 0;
        for (int k = 0; k < one.params[i].size; k++) {
            double begin = origin.params[i].value[k], x = one.params[i].value[k] - begin,
                   y = thousand.params[i].value[k] - begin;
            difference += pow(y - factor * x, 2);
            moved += y * y;
        }
        worst = fmax(worst, sqrt(difference / moved));
    }
    return worst;
}

static void check(const struct invariance *row)
{
    char spec[200];
    snprintf(spec, sizeof spec, "%s:weight_decay=0%s", row->name, row->options);
    double same = off(spec, 1), grown = off(spec, row->factor);
    if (row->factor == 0 ? same < 0.1 : !(grown <= row->tolerance))
        fail_msg("%s: a thousand times the gradients go %g times as far only to within %.2g; "
                 "as far as before to within %.2g",
                 spec, row->factor, grown, same);
}

static void a_thousand_times_the_gradients_change_nothing_but_where_they_must(void **state)
{
    (void)state;
    int count;
    const struct optim_algorithm *const *all = optim_algorithms(&count);
    for (int i = 0; i < count; i++) {
        bool listed = false;
        for (int j = 0; j < EXCEPTIONS; j++)
            listed = listed || strcmp(exceptions[j].name, all[i]->name) == 0;
        if (!listed && !all[i]->needs) /* the problem serves gradients alone */
            check(&(struct invariance){all[i]->name, "", 1, 1e-6});
    }
    for (int j = 0; j < EXCEPTIONS; j++)
        check(&exceptions[j]);
}

/* ---- The order of axes ---- */

enum { OUT = 128, IN = 50, KERNEL = 9, WEIGHTS = OUT * IN * KERNEL };

/* Element (o, i, k) of a convolution's weights, or of those with the kernel's axes first. */
static int64_t place(bool kernel_first, int o, int i, int k)
{
    return kernel_first ? ((int64_t)k * OUT + o) * IN + i : ((int64_t)o * IN + i) * KERNEL + k;
}

/* Large enough for several chunks, which end within a kernel. */
static void adapt(bool kernel_first, const char *spec, descent_real *x)
{
    static descent_real grad[WEIGHTS];
    struct descent_param param = {.name = "w", .rank = 4, .size = WEIGHTS, .value = x, .grad = grad};
    const int64_t shapes[2][4] = {{OUT, IN, 3, 3}, {3, 3, OUT, IN}};
    memcpy(param.shape, shapes[kernel_first], sizeof shapes[0]);
    struct optim *optim = optim_new(spec, &param, 1);
    assert_non_null(optim);
    for (int t = 0; t <= STEPS; t++) {
        for (int o = 0; o < OUT; o++)
            for (int i = 0; i < IN; i++)
                for (int k = 0; k < KERNEL; k++) {
                    int64_t at = place(kernel_first, o, i, k), same = place(false, o, i, k);
                    if (t == 0)
                        x[at] = (descent_real)cos(0.7 * (double)same);
                    grad[at] = (descent_real)sin(0.37 * (double)same * (t + 1));
                }
        if (t > 0)
            assert_int_equal(optim_step(optim), DESCENT_OK);
    }
    optim_free(optim);
}

/* Of a convolution the two largest axes are its channels, wherever they stand. */
static void adafactor_finds_the_largest_axes_in_any_order(void **state)
{
    static descent_real first[WEIGHTS], last[WEIGHTS], kernels[WEIGHTS];
    (void)state;
    adapt(false, "adafactor:axes=largest", first);
    adapt(true, "adafactor:axes=last", last);
    adapt(false, "adafactor:axes=last", kernels);
    double off = 0, other = 0, size = 0;
    for (int o = 0; o < OUT; o++)
        for (int i = 0; i < IN; i++)
            for (int k = 0; k < KERNEL; k++) {
                int64_t a = place(false, o, i, k), b = place(true, o, i, k);
                off += pow((double)(first[a] - last[b]), 2);
                other += pow((double)(kernels[a] - last[b]), 2);
                size += pow((double)first[a], 2);
            }
    assert_true(off < 1e-24 * size);
    assert_true(other > 1e-8 * size);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_thousand_times_the_gradients_change_nothing_but_where_they_must),
        cmocka_unit_test(adafactor_finds_the_largest_axes_in_any_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
