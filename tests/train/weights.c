/* `train landscape --run`: the loss around trained weights. Its parts against what they must give, the
 * program against itself: threads, interruptions and other requests. */
#include "tests/train/program.h"
#include "train/landscape/pictures.h"
#include "train/landscape/plane.h"
#include "train/landscape/roughness.h"
#include "train/landscape/sharpness.h"
#include "train/objective.h"
#include "train/track.h"

#include "base/linalg.h"
#include "base/random.h"
#include "base/safetensors.h"

#include <math.h>
#include <signal.h>
#include <time.h>

/* ---- Parts ---- */

static void directions_have_the_norms_of_the_filters(void **state)
{
    (void)state;
    float conv[2 * 3 * 4], bias[2] = {1, 2}, running[2] = {3, 4}, d[2][26];
    for (int k = 0; k < 24; k++)
        conv[k] = (float)(k + 1) / 10;
    struct descent_param param[] = {
        {.name = "conv.weight", .rank = 4, .shape = {2, 3, 2, 2}, .size = 24, .value = conv},
        {.name = "running_mean",
         .kind = DESCENT_BUFFER,
         .rank = 1,
         .shape = {2},
         .size = 2,
         .value = running},
        {.name = "conv.bias", .kind = DESCENT_BIAS, .rank = 1, .shape = {2}, .size = 2, .value = bias},
    };
    assert_int_equal(vector_size(param, 3), 26);
    for (uint64_t which = 0; which < 2; which++)
        random_direction(param, 3, 5, which, d[which]);
    for (int filter = 0; filter < 2; filter++) {
        double of_weights = 0, of_direction = 0, both = 0;
        for (int k = 12 * filter; k < 12 * filter + 12; k++) {
            of_weights += pow((double)conv[k], 2);
            of_direction += pow((double)d[0][k], 2);
            both += (double)d[0][k] * (double)d[1][k];
        }
        assert_float_equal(sqrt(of_direction), sqrt(of_weights), 1e-5 * sqrt(of_weights));
        assert_true(fabs(both) < 0.9 * of_weights); /* two directions, not one */
    }
    assert_true(d[0][24] == 0 && d[0][25] == 0);

    float origin[26];
    vector_read(param, 3, origin);
    const struct plane plane = {.size = 26, .origin = origin, .direction = {d[0], d[1]}};
    plane_place(&plane, 0.5, -2, param, 3);
    assert_float_equal(conv[7], origin[7] + 0.5f * d[0][7] - 2 * d[1][7], 1e-6);
    assert_true(running[0] == 3 && bias[1] == 2 && param[0].version == 1);
}

/* a x^2 + b y^2 + c x y on a grid */
static struct roughness roughness_of_form(double a, double b, double c)
{
    enum { ROWS = 5, COLUMNS = 7 };
    double value[ROWS * COLUMNS * 2], dx = 0.25, dy = 0.5;
    for (int i = 0; i < ROWS; i++)
        for (int j = 0; j < COLUMNS; j++) {
            double x = j * dx, y = i * dy;
            value[(i * COLUMNS + j) * 2] = a * x * x + b * y * y + c * x * y;
            value[(i * COLUMNS + j) * 2 + 1] = NAN;
        }
    return roughness_of(value, ROWS, COLUMNS, 2, dx, dy);
}

static void roughness_of_quadratic_forms_is_known(void **state)
{
    (void)state;
    struct roughness bowl = roughness_of_form(3, 1, 0.5), saddle = roughness_of_form(2, -1, 0),
                     turned = roughness_of_form(0, 0, 1), dome = roughness_of_form(-1, -2, 0);
    assert_int_equal(bowl.points, 15);
    assert_float_equal(bowl.mean, 0, 1e-12);
    assert_float_equal(bowl.share, 0, 0);
    assert_float_equal(saddle.mean, 0.5, 1e-9);
    assert_float_equal(saddle.share, 1, 0);
    assert_float_equal(turned.mean, 1, 1e-9); /* x y: -1 and 1 along the diagonals */
    assert_float_equal(dome.mean, 1, 1e-9);
}

/* Rows of a curve in a plane of a space of 6, with a third direction in which one point lies. */
static void principal_plane_is_the_one_that_the_path_lies_in(void **state)
{
    (void)state;
    static const double along[5][3] = {{3, 1, 0}, {2, 2, 0}, {1, 1, 0}, {0, 1, 0}, {0, 0, 0}};
    static const float u[6] = {0.6f, 0, 0.8f, 0, 0, 0}, v[6] = {0, 1, 0, 0, 0, 0},
                       w[6] = {0, 0, 0, 0, 0, 1};
    float row[5][6], origin[6] = {5, 4, 3, 2, 1, 0}, directions[12];
    const float *rows[5];
    double at[10];
    const int paths[] = {0};
    for (int bent = 0; bent < 2; bent++) {
        for (int i = 0; i < 5; i++) {
            rows[i] = row[i];
            for (int k = 0; k < 6; k++)
                row[i][k] = origin[k] + (float)along[i][0] * u[k] + (float)along[i][1] * v[k] +
                            (float)(bent && i == 2 ? 0.5 : 0) * w[k];
        }
        struct principal principal = {.at = at};
        assert_int_equal(principal_plane(rows, 5, origin, 6, paths, 1, directions, &principal), DESCENT_OK);
        double all = principal.share[0] + principal.share[1];
        if (bent)
            assert_true(all < 1 - 1e-3 && principal.outside > 0.01);
        else
            assert_true(fabs(all - 1) < 1e-9 && principal.outside < 1e-6);
        assert_true(principal.share[0] > principal.share[1]);
        assert_float_equal(at[8], 0, 1e-6); /* the origin is in the plane */
        assert_float_equal(at[9], 0, 1e-6);
        for (int i = 0; i < 5 && !bent; i++)
            for (int k = 0; k < 6; k++)
                assert_float_equal(
                    row[i][k], origin[k] + at[2 * i] * directions[k] + at[2 * i + 1] * directions[6 + k],
                    1e-5);
    }
    assert_int_equal(
        principal_plane(rows, 2, origin, 6, paths, 1, directions, &(struct principal){.at = at}),
        DESCENT_BAD_ARGUMENT);
}

/* Where all values are the same, however large: what is above them and how far is a number all the same. */
static void scales_of_equal_values_are_finite(void **state)
{
    (void)state;
    static const double magnitudes[] = {0, 1, -1e20, 1e300};
    static struct script script;
    for (size_t i = 0; i < sizeof magnitudes / sizeof *magnitudes; i++) {
        const double values[] = {magnitudes[i], magnitudes[i]};
        double low = NAN, high = NAN, first = NAN, step = NAN;
        script.used = 0;
        script_linear_scale(&script, "R^2", values, 2, 1);
        assert_int_equal(sscanf(script.text, "low = %lf\nhigh = %lf", &low, &high), 2);
        const char *levels = strstr(script.text, "incremental ");
        assert_non_null(levels);
        assert_int_equal(sscanf(levels, "incremental %lf, %lf", &first, &step), 2);
        assert_true(low < high && step > 0 && first >= low && isfinite(first + high));
        script.used = 0;
        script_log_scale(&script, values, 2, 1);
        assert_null(strstr(script.text, "nan"));
    }
}

/* ---- Sharpness ---- */

enum { FEATURES = 6, UNITS = 5, CLASSES = 4, SAMPLES = 12, MOST = 64 };

struct net {
    nn_graph *graph;
    nn_node *x, *labels, *logits;
    nn_plan *plan;
    float image[SAMPLES * FEATURES];
    int32_t label[SAMPLES];
};

static enum descent_status feed(void *context, int pass, int *n)
{
    struct net *net = context;
    (void)pass;
    *n = SAMPLES;
    nn_feed(net->plan, net->x, net->image);
    nn_feed(net->plan, net->labels, net->label);
    return DESCENT_OK;
}

static void gradient(struct net *net, const struct descent_param *param, int count, double *to)
{
    int n;
    feed(net, 0, &n);
    assert_int_equal(nn_forward(net->plan, n), DESCENT_OK);
    assert_int_equal(nn_backward(net->plan, .clear = true), DESCENT_OK);
    for (int i = 0; i < count; i++)
        for (int64_t k = 0; k < param[i].size; k++)
            *to++ = (double)param[i].grad[k];
}

/* The largest eigenvalue of the Hessian, each column a central difference of gradients. */
static double largest_eigenvalue(struct net *net, struct descent_param *param, int count, int size)
{
    double h = 1e-2, *hessian = malloc((size_t)(2 * size * size) * sizeof *hessian), w[MOST],
           ahead[MOST] = {0}, behind[MOST] = {0};
    assert_non_null(hessian);
    int column = 0;
    for (int i = 0; i < count; i++)
        for (int64_t k = 0; k < param[i].size; k++, column++) {
            float value = param[i].value[k];
            param[i].value[k] = value + (float)h;
            param[i].version++;
            gradient(net, param, count, ahead);
            param[i].value[k] = value - (float)h;
            param[i].version++;
            gradient(net, param, count, behind);
            param[i].value[k] = value;
            param[i].version++;
            for (int row = 0; row < size; row++)
                hessian[row * size + column] = (ahead[row] - behind[row]) / (2 * h);
        }
    for (int i = 0; i < size; i++)
        for (int j = 0; j < i; j++)
            hessian[i * size + j] = hessian[j * size + i] =
                (hessian[i * size + j] + hessian[j * size + i]) / 2;
    assert_int_equal(descent_deigh(size, hessian, w, hessian + size * size), DESCENT_OK);
    free(hessian);
    return w[size - 1];
}

static void sharpness_is_the_largest_eigenvalue_of_the_whole_hessian(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        struct net net = {.graph = nn_graph_new(seed)};
        struct descent_random random = descent_random_new(seed, DESCENT_RANDOM_TEST, 0);
        for (int i = 0; i < SAMPLES * FEATURES; i++)
            net.image[i] = (float)descent_random_normal(&random);
        for (int i = 0; i < SAMPLES; i++)
            net.label[i] = (int32_t)descent_random_below(&random, CLASSES);
        net.x = nn_input(net.graph, FEATURES, 1, 1);
        net.logits = nn_dense(nn_tanh(nn_dense(net.x, UNITS)), CLASSES);
        net.labels = nn_labels(net.graph, CLASSES);
        net.plan = nn_compile(net.graph, .output = net.logits,
                              .loss = nn_softmax_cross_entropy(net.logits, net.labels), .batch = SAMPLES,
                              .training = true);
        assert_non_null(net.plan);
        int count;
        struct descent_param *param = nn_params(net.graph, &count);
        struct objective *objective =
            objective_new(&(struct objective_options){.graph = net.graph,
                                                      .plan = net.plan,
                                                      .output = net.logits,
                                                      .batch = SAMPLES,
                                                      .needs = OPTIM_NEEDS_HESSIAN_VECTOR,
                                                      .feed = feed,
                                                      .context = &net});
        assert_non_null(objective);
        objective_begin(objective);
        objective_end(objective, 1, SAMPLES, 0);
        struct sharpness sharpness;
        assert_int_equal(sharpness_find(objective_served(objective), param, count, 2e-3, &sharpness),
                         DESCENT_OK);
        double expected = largest_eigenvalue(&net, param, count, (int)vector_size(param, count));
        if (!(fabs(sharpness.largest - expected) <= 0.01 * expected))
            fail_msg("sharpness %g, largest eigenvalue of the whole Hessian %g", sharpness.largest,
                     expected);
        assert_true(sharpness.error <= 2e-3 && sharpness.smallest < sharpness.largest);
        objective_free(objective);
        nn_plan_free(net.plan);
        nn_graph_free(net.graph);
    }
}

/* ---- The program ---- */

static struct path data_path, run_path, norm_path;

static struct path train_run_in(const char *name, const char *options)
{
    struct path path = path_of(name);
    struct program program = program_run("--data %s --epochs 1 --batch 50 --quiet --out %s %s",
                                         data_path.text, path.text, options);
    program_must_say(&program, 0, "");
    program_free(&program);
    return path;
}

static int make_runs(void **state)
{
    (void)state;
    data_path = small_data("small-set");
    run_path = train_run_in("run-mlp", "--model mlp:16");
    norm_path = train_run_in("run-norm", "--model resnet20:width=0.125");
    return 0;
}

static void must_be_equal(const char *a, const char *b)
{
    char *x, *y;
    size_t m, n;
    assert_int_equal(descent_file_read(a, 1 << 20, &x, &m), DESCENT_OK);
    assert_int_equal(descent_file_read(b, 1 << 20, &y, &n), DESCENT_OK);
    assert_int_equal(m, n);
    assert_memory_equal(x, y, m);
    free(x);
    free(y);
}

static struct path in(struct path directory, const char *name)
{
    struct path path;
    assert_true(snprintf(path.text, sizeof path.text, "%s/%s", directory.text, name) <
                (int)sizeof path.text);
    return path;
}

static const char small[] = "--grid 5 --images 60 --statistics 40 --no-pictures";

/* With batch norm, whose statistics each point computes anew. */
static void grid_does_not_depend_on_threads(void **state)
{
    (void)state;
    struct path one = path_of("one-thread"), three = path_of("three-threads");
    struct program program = program_run("landscape --run %s %s --directions 2 --threads 1 --out %s",
                                         norm_path.text, small, one.text);
    program_must_say(&program, 0, "");
    assert_non_null(strstr(program.out, "running statistics are computed anew at every point"));
    assert_non_null(strstr(program.out, "roughness "));
    assert_non_null(strstr(program.out, "sharpness "));
    assert_null(strstr(program.out, "\r")); /* no terminal, no progress */
    program_free(&program);
    program = program_run("landscape --run %s %s --directions 2 --threads 3 --out %s", norm_path.text,
                          small, three.text);
    program_must_say(&program, 0, "");
    program_free(&program);
    must_be_equal(in(one, "grid.npy").text, in(three, "grid.npy").text);
    must_be_equal(in(one, "grid.csv").text, in(three, "grid.csv").text);
}

/* Numbers of a file that are not NaN, after the header. */
static int finished(const char *path)
{
    char *bytes;
    size_t size;
    int count = 0;
    if (descent_file_read(path, 1 << 20, &bytes, &size) != DESCENT_OK)
        return 0;
    for (size_t at = 256; at + 8 <= size; at += 8) {
        double number;
        memcpy(&number, bytes + at, 8);
        count += !isnan(number);
    }
    free(bytes);
    return count;
}

static void killed_request_goes_on_where_it_was(void **state)
{
    (void)state;
    struct path whole = path_of("whole"), killed = path_of("killed");
    struct path whole_grid = in(whole, "grid.npy"), grid = in(killed, "grid.npy");
    char arguments[1024];
    struct program program =
        program_run("landscape --run %s --grid 7 --no-pictures --images 30 --statistics 20 --out %s",
                    norm_path.text, whole.text);
    program_must_say(&program, 0, "");
    program_free(&program);
    snprintf(arguments, sizeof arguments,
             "landscape --run %s --grid 7 --no-pictures --images 30 --statistics 20 --out %s",
             norm_path.text, killed.text);
    const struct timespec moment = {.tv_nsec = 1000000};
    for (int tries = 0; tries < 10 && program.code != -SIGKILL; tries++) { /* it may be done too soon */
        remove(grid.text);
        pid_t child = program_start(arguments);
        for (int i = 0; i < 60000 && finished(grid.text) < 6; i++)
            nanosleep(&moment, NULL);
        kill(child, SIGKILL);
        program = program_wait(child);
        program_free(&program);
    }
    assert_int_equal(program.code, -SIGKILL);
    int before = finished(grid.text);
    assert_in_range(before, 6, 2 * 49 - 1);
    program = program_run("%s", arguments);
    program_must_say(&program, 0, "");
    program_free(&program);
    must_be_equal(whole_grid.text, grid.text);
}

static void cut(const char *path)
{
    char *bytes;
    size_t size;
    assert_int_equal(descent_file_read(path, 1 << 20, &bytes, &size), DESCENT_OK);
    FILE *stream = fopen(path, "wb");
    assert_non_null(stream);
    assert_int_equal(fwrite(bytes, 1, size - 8, stream), size - 8);
    assert_int_equal(fclose(stream), 0);
    free(bytes);
}

static void must_fail(int code, const char *message, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void must_fail(int code, const char *message, const char *format, ...)
{
    char arguments[2048];
    va_list list;
    va_start(list, format);
    vsnprintf(arguments, sizeof arguments, format, list);
    va_end(list);
    struct program program = program_run("landscape %s", arguments);
    program_must_say(&program, code, message);
    program_free(&program);
}

/* ---- Between runs, and along the path of one ---- */

/* What follows `head` in the only line of a file that begins with it. */
static void rest_of_line(const char *path, const char *head, char rest[200])
{
    char line[200];
    FILE *stream = fopen(path, "r");
    assert_non_null(stream);
    *rest = 0;
    while (fgets(line, sizeof line, stream))
        if (strncmp(line, head, strlen(head)) == 0)
            snprintf(rest, 200, "%s", line + strlen(head));
    assert_int_equal(fclose(stream), 0);
}

static int lines_of(const char *path)
{
    int lines = 0;
    FILE *stream = fopen(path, "r");
    assert_non_null(stream);
    for (int c; (c = fgetc(stream)) != EOF;)
        lines += c == '\n';
    assert_int_equal(fclose(stream), 0);
    return lines;
}

static void line_between_runs_ends_at_their_losses(void **state)
{
    (void)state;
    struct path other = train_run_in("run-other", "--model mlp:16 --seed 2"), out = path_of("line");
    struct program program = program_run("landscape --run %s --run %s --grid 3 --images all --out %s",
                                         run_path.text, other.text, out.text);
    program_must_say(&program, 0, "");
    assert_non_null(strstr(program.out, "barrier "));
    program_free(&program);
    const char *runs[] = {run_path.text, other.text};
    for (int i = 0; i < 2; i++) {
        double loss = NAN, accuracy = NAN;
        char row[200];
        rest_of_line(in(out, "grid.csv").text, i ? "1," : "0,", row);
        struct descent_json *end = metrics_event(runs[i], "end", 0);
        assert_non_null(end);
        assert_int_equal(sscanf(row, "%*f,%*f,%lf,%lf", &loss, &accuracy), 2);
        assert_float_equal(loss, descent_json_number(end, "test_loss", NAN), 1e-4 * loss);
        assert_float_equal(accuracy, descent_json_number(end, "test_accuracy", NAN), 1e-9);
        descent_json_free(end);
    }
    must_fail(1, "expected the same model", "--run %s --run %s", run_path.text, norm_path.text);
}

static void trajectory_holds_the_weights_from_first_to_last(void **state)
{
    (void)state;
    struct path run = train_run_in("run-track", "--model mlp:16 --steps 9 --trajectory=4");
    struct path file = in(run, "trajectory.npy");
    const int64_t size = 784 * 16 + 16 + 16 * 10 + 10;
    struct track_points points;
    struct descent_safetensors model;
    assert_int_equal(track_read(file.text, size, &points), DESCENT_OK);
    assert_int_equal(points.count, 4);
    for (int i = 0; i < 4; i++)
        assert_int_equal(points.step[i], 3 * i);
    assert_int_equal(descent_safetensors_read(in(run, "model.safetensors").text, &model), DESCENT_OK);
    const struct descent_tensor *first = descent_safetensors_find(&model, "fc1.weight"),
                                *last = descent_safetensors_find(&model, "fc2.bias");
    assert_true(first && last);
    assert_memory_equal(points.weights[3], first->data, first->bytes);
    assert_memory_equal(points.weights[3] + size - 10, last->data, last->bytes);
    assert_memory_not_equal(points.weights[0], first->data, first->bytes);
    descent_safetensors_free(&model);
    track_points_free(&points);

    assert_int_equal(track_read(file.text, size + 1, &points), DESCENT_MISMATCH);
    cut(file.text);
    assert_int_equal(track_read(file.text, size, &points), DESCENT_BAD_FORMAT);
    must_fail(1, "4 points of", "--run %s --trajectory", run.text);
    must_fail(1, "which train --trajectory keeps", "--run %s --course", run_path.text);
}

static void plane_and_course_of_a_path_are_written(void **state)
{
    (void)state;
    struct path run = train_run_in("run-path", "--model mlp:16 --steps 6 --trajectory=4");
    struct path plane = path_of("plane"), course = path_of("course");
    struct program program =
        program_run("landscape --run %s --trajectory %s --out %s", run.text, small, plane.text);
    program_must_say(&program, 0, "");
    assert_non_null(strstr(program.out, "of the paths' length"));
    program_free(&program);
    char last[200];
    double x = NAN, y = NAN;
    rest_of_line(in(plane, "paths.csv").text, "0,6,", last);
    assert_int_equal(sscanf(last, "%lf,%lf", &x, &y), 2);
    assert_true(fabs(x) < 1e-6 && fabs(y) < 1e-6); /* the plane goes through the last point */

    program = program_run("landscape --run %s --course --statistics 50 --no-pictures --out %s", run.text,
                          course.text);
    program_must_say(&program, 0, "");
    program_free(&program);
    assert_int_equal(lines_of(in(course, "course.csv").text), 1 + 4);

    /* Another run beside it changes nothing of the first's numbers. */
    struct path other =
                    train_run_in("run-aside", "--model mlp:16 --optimizer sgd --steps 9 --trajectory=4"),
                both = path_of("courses");
    program = program_run("landscape --run %s --run %s --course --statistics 50 --out %s", run.text,
                          other.text, both.text);
    program_must_say(&program, 0, "");
    char told[300], alone[200], beside[200];
    snprintf(told, sizeof told, "at step 9: %s\n", other.text);
    assert_non_null(strstr(program.out, told));
    program_free(&program);
    struct path csv = in(both, "course.csv");
    assert_int_equal(lines_of(csv.text), 1 + 4 + 4);
    for (int step = 0; step <= 6; step += 2) {
        snprintf(told, sizeof told, "0,%d,", step);
        rest_of_line(in(course, "course.csv").text, told, alone);
        rest_of_line(csv.text, told, beside);
        assert_true(*alone && strcmp(alone, beside) == 0);
    }
    double loss[2] = {NAN, NAN};
    for (int i = 0; i < 2; i++) { /* one seed: both began at the same weights */
        rest_of_line(csv.text, i ? "1,0," : "0,0,", beside);
        assert_int_equal(sscanf(beside, "%*f,%*f,%lf", &loss[i]), 1);
    }
    assert_true(loss[0] == loss[1]);
    rest_of_line(csv.text, "1,9,", beside);
    char *script = file_text(in(both, "course.gnuplot").text);
    assert_non_null(strstr(script, other.text));
    free(script);
}

/* What a person or an archive called a run is no command to gnuplot. */
static void names_in_scripts_are_quoted(void **state)
{
    (void)state;
    struct path run = train_run_in("a';system('touch>owned');#", "--model mlp:16"), out = path_of("quoted");
    struct program program = program_run("landscape --run %s %s --out %s", run.text,
                                         "--grid 3 --images 20 --statistics 10", out.text);
    program_must_say(&program, 0, "");
    program_free(&program);
    char *script;
    size_t size;
    struct stat info;
    assert_int_equal(descent_file_read(in(out, "landscape-1.gnuplot").text, SIZE_MAX, &script, &size),
                     DESCENT_OK);
    assert_non_null(strstr(script, "a'';system(''touch>owned'');#"));
    free(script);
    assert_int_equal(stat(in(out, "owned").text, &info), -1);
}

static void other_requests_and_damaged_grids_are_refused(void **state)
{
    (void)state;
    struct path out = path_of("refused");
    struct program program = program_run("landscape --run %s %s --out %s", run_path.text, small, out.text);
    program_must_say(&program, 0, "");
    program_free(&program);
    must_fail(1, "what another request found, with seed 1 instead of 2", "--run %s %s --seed 2 --out %s",
              run_path.text, small, out.text);
    must_fail(1, "with runs ", "--run %s %s --out %s", norm_path.text, small, out.text);
    cut(in(out, "grid.npy").text);
    must_fail(1, "bytes, expected", "--run %s %s --out %s", run_path.text, small, out.text);
    assert_int_equal(remove(in(out, "landscape.json").text), 0);
    must_fail(1, "without a landscape.json", "--run %s %s --out %s", run_path.text, small, out.text);
    program =
        program_run("landscape --run %s %s --seed 2 --out %s --force", run_path.text, small, out.text);
    program_must_say(&program, 0, "");
    program_free(&program);
}

/* The same request goes on with what is there, however wrong it is. */
static void force_goes_on_where_the_request_is_the_same(void **state)
{
    (void)state;
    struct path out = path_of("forced"), grid = in(out, "grid.npy");
    struct program program = program_run("landscape --run %s %s --out %s", run_path.text, small, out.text);
    program_must_say(&program, 0, "");
    program_free(&program);
    const double marked = 1234;
    char *bytes;
    size_t size;
    for (int same = 1; same >= 0; same--) {
        FILE *stream = fopen(grid.text, "r+b");
        assert_non_null(stream);
        assert_int_equal(fseek(stream, 256, SEEK_SET), 0);
        assert_int_equal(fwrite(&marked, sizeof marked, 1, stream), 1);
        assert_int_equal(fclose(stream), 0);
        program = program_run("landscape --run %s %s --seed %d --out %s --force", run_path.text, small,
                              same ? 1 : 2, out.text);
        program_must_say(&program, 0, "");
        program_free(&program);
        assert_int_equal(descent_file_read(grid.text, 1 << 20, &bytes, &size), DESCENT_OK);
        assert_int_equal(memcmp(bytes + 256, &marked, sizeof marked) == 0, same);
        free(bytes);
    }
}

/* The first `from` in a file replaced by `to`. */
static void edit(const char *path, const char *from, const char *to)
{
    char *text;
    size_t size, at = 0;
    assert_int_equal(descent_file_read(path, 1 << 20, &text, &size), DESCENT_OK);
    while (at < size && strncmp(text + at, from, strlen(from)) != 0)
        at++;
    assert_true(at < size);
    FILE *stream = fopen(path, "wb");
    assert_non_null(stream);
    assert_int_equal(fwrite(text, 1, at, stream), at);
    assert_true(fputs(to, stream) >= 0);
    at += strlen(from);
    assert_int_equal(fwrite(text + at, 1, size - at, stream), size - at);
    assert_int_equal(fclose(stream), 0);
    free(text);
}

static void images_read_in_another_way_are_another_data_set(void **state)
{
    (void)state;
    struct path run = train_run_in("run-read", "--model mlp:16"), json = in(run, "run.json");
    edit(json.text, "\"height\": 28", "\"height\": 27");
    must_fail(1, "not what it was trained on: height is 28, was 27", "--run %s", run.text);
    edit(json.text, "\"height\": 27", "\"height\": 28");
    edit(json.text, "\"mean\": [0.", "\"mean\": [1.");
    must_fail(1, "the mean of its pixels is 0.", "--run %s", run.text);
}

static void runs_of_two_data_sets_share_no_picture(void **state)
{
    (void)state;
    struct path run = path_of("run-elsewhere"),
                split = train_run_in("run-split", "--model mlp:16 --validation 0.1"),
                elsewhere = path_of("other-set");
    assert_int_equal(mkdir(elsewhere.text, 0700), 0);
    write_part(elsewhere.text, "train", SMALL_TEST, SMALL_TEST);
    write_part(elsewhere.text, "t10k", SMALL_TEST, SMALL_TEST);
    struct program program =
        program_run("--data %s --model mlp:16 --steps 2 --quiet --out %s", elsewhere.text, run.text);
    program_must_say(&program, 0, "");
    program_free(&program);
    must_fail(1, "which is another data set", "--run %s --run %s", run_path.text, run.text);
    program = program_run("landscape --run %s --run %s --grid 3 --images 20 --no-pictures --out %s",
                          run_path.text, split.text,
                          path_of("split-line").text); /* the same set, another part held out */
    program_must_say(&program, 0, "");
    program_free(&program);
}

static void a_path_needs_no_model(void **state)
{
    (void)state;
    static const char few[] = "--images 20 --statistics 20 --no-pictures";
    struct path norm = train_run_in("bare-norm",
                                    "--model resnet20:width=0.125 --steps 4 --trajectory=3 --no-model"),
                plain = train_run_in("bare-mlp", "--model mlp:16 --steps 4 --trajectory=3 --no-model"),
                plane = path_of("bare-plane"), course = path_of("bare-course");
    struct program program =
        program_run("landscape --run %s --trajectory --grid 3 %s --out %s", norm.text, few, plane.text);
    program_must_say(&program, 0, "");
    program_free(&program);
    program = program_run("landscape --run %s --course %s --out %s", plain.text, few, course.text);
    program_must_say(&program, 0, "");
    program_free(&program);
    must_fail(1, "model.safetensors", "--run %s", plain.text);
}

static void runs_that_cannot_be_reopened_are_named(void **state)
{
    (void)state;
    struct path nothing = path_of("nothing"), bare = train_run_in("bare", "--model mlp:16");
    must_fail(1, "cannot open the run", "--run %s", nothing.text);
    must_fail(1, "holds no run.json", "--run %s", data_path.text);
    must_fail(1, "what it was trained on", "--run %s --data %s", run_path.text, SAMPLE);
    must_fail(1, "nowhere", "--run %s --data nowhere", run_path.text);
    must_fail(2, "--grid 4: expected an odd number", "--run %s --grid 4", run_path.text);
    assert_int_equal(remove(in(bare, "model.safetensors").text), 0);
    must_fail(1, "model.safetensors", "--run %s", bare.text);
    FILE *stream = fopen(in(bare, "run.json").text, "w");
    assert_non_null(stream);
    fputs("{}", stream);
    assert_int_equal(fclose(stream), 0);
    must_fail(1, "expected the config of a run", "--run %s", bare.text);
    stream = fopen(in(bare, "run.json").text, "w");
    assert_non_null(stream);
    fputs("{\"config\": {\"model\": \"./net.c\", \"data\": \"mnist\"}}", stream);
    assert_int_equal(fclose(stream), 0);
    must_fail(2, "--allow-code", "--run %s", bare.text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(directions_have_the_norms_of_the_filters),
        cmocka_unit_test(roughness_of_quadratic_forms_is_known),
        cmocka_unit_test(principal_plane_is_the_one_that_the_path_lies_in),
        cmocka_unit_test(scales_of_equal_values_are_finite),
        cmocka_unit_test(sharpness_is_the_largest_eigenvalue_of_the_whole_hessian),
        cmocka_unit_test(grid_does_not_depend_on_threads),
        cmocka_unit_test(killed_request_goes_on_where_it_was),
        cmocka_unit_test(line_between_runs_ends_at_their_losses),
        cmocka_unit_test(trajectory_holds_the_weights_from_first_to_last),
        cmocka_unit_test(plane_and_course_of_a_path_are_written),
        cmocka_unit_test(names_in_scripts_are_quoted),
        cmocka_unit_test(other_requests_and_damaged_grids_are_refused),
        cmocka_unit_test(force_goes_on_where_the_request_is_the_same),
        cmocka_unit_test(images_read_in_another_way_are_another_data_set),
        cmocka_unit_test(runs_of_two_data_sets_share_no_picture),
        cmocka_unit_test(a_path_needs_no_model),
        cmocka_unit_test(runs_that_cannot_be_reopened_are_named),
    };
    return cmocka_run_group_tests(tests, make_runs, NULL);
}
