/* Surfaces are what they say, and optimizers do on them what the textbooks say they do. */
#include "tests/train/program.h"
#include "train/landscape/trajectory.h"
#include "train/rate.h"

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

/* Within a hundred steps at a condition of 100; plain descent needs hundreds. None of them sees where the
 * axes lie. */
static void momentum_gets_through_the_ravine(void **state)
{
    (void)state;
    static const char *const quick[] = {"momentum", "nesterov"};
    assert_true(arrival("ravine", "sgd") > STEPS);
    assert_true(arrival("rotated_ravine", "sgd") > STEPS);
    for (int i = 0; i < 2; i++) {
        int aligned = arrival("ravine", quick[i]), rotated = arrival("rotated_ravine", quick[i]);
        assert_in_range(aligned, 1, 100);
        assert_in_range(rotated, aligned - 2, aligned + 2);
    }
}

/* Rates of single parameters help where the ravine is in line with them. Adam, which has momentum as well,
 * is hurt least. */
static void rates_of_parameters_straighten_only_the_aligned_ravine(void **state)
{
    (void)state;
    assert_in_range(arrival("ravine", "adagrad"), 1, 100);
    assert_in_range(arrival("ravine", "rmsprop"), 1, 100);
    assert_in_range(arrival("ravine", "adam"), 1, 100);
    assert_true(arrival("rotated_ravine", "adagrad") > 3 * arrival("ravine", "adagrad"));
    assert_true(arrival("rotated_ravine", "rmsprop") > 2 * arrival("ravine", "rmsprop"));
    assert_in_range(arrival("rotated_ravine", "adam"), arrival("ravine", "adam"), 100);
}

static void momentum_gets_around_the_bend_of_rosenbrock(void **state)
{
    (void)state;
    int momentum = arrival("rosenbrock", "momentum");
    assert_true(arrival("rosenbrock", "sgd") > STEPS);
    assert_true(arrival("rosenbrock", "rmsprop") > STEPS);
    assert_true(momentum < arrival("rosenbrock", "nesterov"));
    assert_true(momentum < arrival("rosenbrock", "adam"));
    assert_true(arrival("rosenbrock", "nesterov") <= STEPS);
    assert_true(arrival("rosenbrock", "adam") <= STEPS);
}

/* The path of an optimizer whose spec gives the learning rate. */
static struct trajectory taken(const char *surface, const char *spec,
                               const struct trajectory_options *options)
{
    static struct trajectory_point point[STEPS + 1];
    struct trajectory path = {.point = point};
    if (trajectory_take(surface_find(surface), spec, STEPS, options, &path) != DESCENT_OK)
        fail_msg("%s: %s", spec, descent_error());
    return path;
}

/* At the same learning rate, near the limit of stability; too much momentum swings of itself. */
static void momentum_damps_the_zigzag(void **state)
{
    (void)state;
    static const char *const spec[] = {"sgd:lr=0.0195", "momentum:lr=0.0195,momentum=0.7",
                                       "momentum:lr=0.0195,momentum=0.95"};
    const struct trajectory_options options = {.seed = 1};
    double length[3];
    int turns[3];
    for (int i = 0; i < 3; i++) {
        struct trajectory path = taken("ravine", spec[i], &options);
        length[i] = trajectory_length(&path);
        turns[i] = trajectory_turns(surface_find("ravine"), &path);
    }
    assert_true(turns[0] > 10 * turns[1]);
    assert_true(length[0] > 2 * length[1]);
    assert_true(length[2] > 2 * length[1]);
}

/* Twice the inverse of the largest curvature, which is 100. */
static void steps_beyond_the_limit_of_stability_climb(void **state)
{
    (void)state;
    const struct trajectory_options options = {.seed = 1};
    struct trajectory path = taken("ravine", "sgd:lr=0.0199", &options);
    assert_true(path.steps == STEPS && fabs(path.point[STEPS].y) < 0.2);
    path = taken("ravine", "sgd:lr=0.0201", &options);
    assert_true(path.left && fabs(path.point[path.steps].y) > 2);
}

/* On the ridge of the saddle the gradient leads to it and never away, whoever follows it. */
static void noise_finds_the_way_off_the_saddle(void **state)
{
    (void)state;
    static const char *const all[] = {"sgd", "momentum", "nesterov", "rmsprop", "adam"};
    static const double ridge[2] = {1, 0};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        assert_false(tuned("saddle", all[i], ridge, 0).left);
        assert_true(tuned("saddle", all[i], ridge, 0.01).left);
    }
}

/* A thousandth off the ridge: momentum adds up what the gradient says, and others do not care how small it
 * is. */
static void momentum_leaves_the_saddle_sooner(void **state)
{
    (void)state;
    const struct trajectory_options options = {.seed = 1};
    struct trajectory plain = taken("saddle", "sgd:lr=0.05", &options);
    assert_true(plain.left);
    struct trajectory heavy = taken("saddle", "momentum:lr=0.05", &options);
    assert_true(heavy.left && 2 * heavy.steps < plain.steps);
    struct trajectory scaled = taken("saddle", "rmsprop:lr=0.05", &options);
    assert_true(scaled.left && 10 * scaled.steps < plain.steps);
}

/* The best learning rate on a surface without a minimum is the one that leaves it first, downwards. */
static void tuning_leaves_the_saddle_in_few_steps(void **state)
{
    (void)state;
    double gradient[2];
    struct trajectory path = tuned("saddle", "momentum", NULL, 0);
    const struct trajectory_point *end = &path.point[path.steps];
    const double p[2] = {end->x, end->y};
    assert_true(path.left && path.steps <= 10 && fabs(end->y) > 1.5);
    assert_true(surface_find("saddle")->value(p, gradient) < 0);
}

/* With noise, a constant learning rate keeps the path at a distance from the minimum. */
static void falling_rates_settle_in_noise(void **state)
{
    (void)state;
    enum { SEEDS = 20 };
    double sum[2] = {0, 0};
    static const char *const schedule[] = {"constant", "cosine"};
    for (int k = 0; k < 2; k++)
        for (int i = 0; i < SEEDS; i++) {
            const struct trajectory_options options = {
                .noise = 10, .seed = (uint64_t)i, .schedule = schedule[k]};
            struct trajectory path = taken("booth", "sgd:lr=0.03", &options);
            sum[k] += path.point[path.steps].value;
        }
    assert_true(sum[0] > 2 * sum[1]);
}

static void a_rate_takes_the_place_of_the_one_that_was_given(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"adam", "adam:lr=0.1"},
        {"adam+ema", "adam:lr=0.1+ema"},
        {"adam:eps=1e+3", "adam:eps=1e+3,lr=0.1"},
        {"adam:1e-2,beta1=0.8+ema:decay=0.9+lookahead", "adam:lr=0.1,beta1=0.8+ema:decay=0.9+lookahead"},
        {"momentum:nesterov,lr=1e+1", "momentum:nesterov,lr=0.1"},
        {"./my+rule.c:beta=1", "./my+rule.c:beta=1,lr=0.1"},
        {"adam:", "adam:"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[100];
        assert_string_equal(rate_insert(cases[i][0], "0.1", text, sizeof text), cases[i][1]);
        assert_true(rate_is_given(text));
    }
    assert_false(rate_is_given("adam+sam:0.1") || rate_is_given("momentum:nesterov"));
    assert_true(rate_is_given("adam:1e-3+ema"));
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
        {"landscape --surface ravine --grid 25 --images 3", "--grid is of a --run"},
        {"landscape --surface ravine --force", "--force is of a --run"},
        {"landscape --surface ravine --course", "--course is of a --run"},
        {"landscape --run ra --noise 5 --optimizers nonsense", "--optimizers is of a --surface"},
        {"landscape --run ra --steps 200", "--steps is of a --surface"},
        {"landscape --run ra --course --grid 4", "--grid: --course measures the points of a path"},
        {"landscape --run ra --trajectory --span 2", "--span is of the planes around one --run"},
        {"landscape --run ra --run rb --directions 1", "--directions is of the planes around one --run"},
        {"landscape --run ra --trajectory --course", "--trajectory and --course: expected one of them"},
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
        cmocka_unit_test(momentum_gets_around_the_bend_of_rosenbrock),
        cmocka_unit_test(steps_beyond_the_limit_of_stability_climb),
        cmocka_unit_test(noise_finds_the_way_off_the_saddle),
        cmocka_unit_test(momentum_leaves_the_saddle_sooner),
        cmocka_unit_test(tuning_leaves_the_saddle_in_few_steps),
        cmocka_unit_test(falling_rates_settle_in_noise),
        cmocka_unit_test(a_rate_takes_the_place_of_the_one_that_was_given),
        cmocka_unit_test(command_writes_paths_and_grid),
        cmocka_unit_test(wrong_requests_exit_2),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
