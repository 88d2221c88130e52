/* Surfaces are what they say, and optimizers do on them what the textbooks say they do. */
#include "tests/train/program.h"
#include "train/landscape/trajectory.h"

#include <math.h>

enum { STEPS = 200 };

#define FOR_EACH_SURFACE(s)                                                                                \
    for (int count_, i_ = 0; i_ == 0; i_ = 1)                                                              \
        for (const struct surface *s = surface_list(&count_), *end_ = s + count_; s < end_; s++)

/* Of points all over the domain. */
static double spread(const struct surface *s, int axis, int k)
{
    double share = fmod(0.137 + k * (axis ? 0.7548776662 : 0.5698402910), 1);
    return s->low[axis] + share * (s->high[axis] - s->low[axis]);
}

static void gradients_are_those_of_the_values(void **state)
{
    (void)state;
    FOR_EACH_SURFACE (s)
        for (int k = 0; k < 200; k++) {
            double p[2] = {spread(s, 0, k), spread(s, 1, k)}, gradient[2], ignored[2];
            double value = s->value(p, gradient), size = fabs(value) + hypot(gradient[0], gradient[1]) + 1;
            for (int axis = 0; axis < 2; axis++) {
                double h = 1e-5, ahead[2] = {p[0], p[1]}, behind[2] = {p[0], p[1]};
                ahead[axis] += h;
                behind[axis] -= h;
                double slope = (s->value(ahead, ignored) - s->value(behind, ignored)) / (2 * h);
                if (!(fabs(slope - gradient[axis]) <= 1e-5 * size))
                    fail_msg("%s at (%g, %g): slope %g, gradient %g", s->name, p[0], p[1], slope,
                             gradient[axis]);
            }
        }
}

static void minima_are_where_they_are_said_to_be(void **state)
{
    (void)state;
    FOR_EACH_SURFACE (s) {
        double gradient[2];
        for (int m = 0; m < s->minima; m++) {
            double value = s->value(s->minimum[m], gradient);
            if (!(fabs(value - s->lowest) <= 1e-5) ||
                !(s->unbounded || hypot(gradient[0], gradient[1]) <= 2e-3))
                fail_msg("%s: minimum %d is %.9g with gradient (%g, %g)", s->name, m, value, gradient[0],
                         gradient[1]);
        }
        for (int k = 0; k < 2000; k++) {
            double p[2] = {spread(s, 0, k), spread(s, 1, k)};
            if (s->value(p, gradient) < s->lowest - 1e-9)
                fail_msg("%s is lower than its lowest at (%g, %g)", s->name, p[0], p[1]);
        }
    }
}

/* The path of an optimizer that has found its own learning rate. */
static struct trajectory tuned(const char *surface, const char *spec, const double *start, double noise)
{
    static struct trajectory_point point[STEPS + 1];
    struct trajectory path = {.point = point};
    const struct trajectory_options options = {.start = start, .noise = noise, .seed = 1, .budget = 30};
    const struct surface *s = surface_find(surface);
    assert_non_null(s);
    if (trajectory_tune(s, spec, STEPS, &options, &path) != DESCENT_OK)
        fail_msg("%s: %s", spec, descent_error());
    return path;
}

static int arrival(const char *surface, const char *spec)
{
    struct trajectory path = tuned(surface, spec, NULL, 0);
    int step = trajectory_arrival(surface_find(surface), &path, 1e-3);
    return step < 0 ? STEPS + 1 : step;
}

/* Within a hundred steps at a condition of 100; plain descent needs hundreds. */
static void momentum_gets_through_the_ravine(void **state)
{
    (void)state;
    assert_true(arrival("ravine", "sgd") > STEPS);
    assert_true(arrival("ravine", "momentum") < 100);
    assert_true(arrival("ravine", "nesterov") < 100);
    assert_true(arrival("rotated_ravine", "sgd") > STEPS);
    assert_true(arrival("rotated_ravine", "momentum") < 100);
}

/* Rates of single parameters help where the ravine is in line with them. */
static void rates_of_parameters_straighten_only_the_aligned_ravine(void **state)
{
    (void)state;
    assert_true(arrival("ravine", "rmsprop") < 100);
    assert_true(arrival("rotated_ravine", "rmsprop") > 1.5 * arrival("ravine", "rmsprop"));
}

/* The zigzag: how often the steps turn back across the ravine. */
static int turns(const struct trajectory *path)
{
    int count = 0;
    for (int i = 2; i <= path->steps; i++)
        count += (path->point[i].y - path->point[i - 1].y) * (path->point[i - 1].y - path->point[i - 2].y) <
                 -1e-6;
    return count;
}

/* At the same learning rate, near the limit of stability. */
static void momentum_damps_the_zigzag(void **state)
{
    (void)state;
    static struct trajectory_point point[2][STEPS + 1];
    const struct trajectory_options options = {.seed = 1, .budget = 1};
    const struct surface *s = surface_find("ravine");
    struct trajectory plain = {.point = point[0]}, heavy = {.point = point[1]};
    assert_int_equal(trajectory_take(s, "sgd:lr=0.0195", STEPS, &options, &plain), DESCENT_OK);
    assert_int_equal(trajectory_take(s, "momentum:lr=0.0195,momentum=0.7", STEPS, &options, &heavy),
                     DESCENT_OK);
    assert_true(turns(&plain) > 2 * turns(&heavy));
}

/* On the ridge of the saddle the gradient leads to it and never away. */
static void noise_finds_the_way_off_the_saddle(void **state)
{
    (void)state;
    static const double ridge[2] = {1, 0};
    assert_false(tuned("saddle", "sgd", ridge, 0).left);
    assert_true(tuned("saddle", "sgd", ridge, 0.01).left);
    assert_true(tuned("saddle", "momentum", NULL, 0).left);
}

static void command_writes_paths_and_grid(void **state)
{
    (void)state;
    char file[300];
    struct path out = path_of("landscape");
    struct program program =
        program_run("landscape --surface rosenbrock --optimizers adam,lion "
                    "--optimizer momentum:lr=1e-3+ema --steps 20 --no-pictures --out %s",
                    out.text);
    program_must_say(&program, 0, "");
    assert_non_null(strstr(program.out, "momentum:lr=1e-3+ema"));
    program_free(&program);
    static const char *const files[] = {"paths.csv", "grid.csv"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        snprintf(file, sizeof file, "%s/%s", out.text, files[i]);
        free(file_text(file));
    }
}

static void wrong_requests_exit_2(void **state)
{
    (void)state;
    static const struct {
        const char *arguments, *message;
    } wrong[] = {
        {"landscape", "expected --surface NAME or --run DIR"},
        {"landscape --surface saddle --run a", "expected --surface or --run, not both"},
        {"landscape --surface rosenbrok", "unknown surface 'rosenbrok'; did you mean 'rosenbrock'?"},
        {"landscape --surface saddle --start 9,0", "--start 9,0 is outside the domain of surface saddle"},
        {"landscape --surface saddle --start 1", "--start 1: expected X,Y"},
        {"landscape --surface saddle --optimizers sgd,adm", "unknown optimizer 'adm'"},
        {"landscape --surface saddle --steps 0", "--steps 0: expected a whole number from 1"},
        {"landscape --surfase saddle", "unknown option --surfase"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct program program = program_run("%s", wrong[i].arguments);
        program_must_say(&program, 2, wrong[i].message);
        program_free(&program);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_are_those_of_the_values),
        cmocka_unit_test(minima_are_where_they_are_said_to_be),
        cmocka_unit_test(momentum_gets_through_the_ravine),
        cmocka_unit_test(rates_of_parameters_straighten_only_the_aligned_ravine),
        cmocka_unit_test(momentum_damps_the_zigzag),
        cmocka_unit_test(noise_finds_the_way_off_the_saddle),
        cmocka_unit_test(command_writes_paths_and_grid),
        cmocka_unit_test(wrong_requests_exit_2),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
