/* Training on numbers instead of classes: pairs of .npy arrays, from the command line. */
#include "tests/data/npy_files.h"
#include "tests/train/program.h"

#include "base/random.h"
#include "base/safetensors.h"

#include <math.h>

enum { TRAIN_COUNT = 160, TEST_COUNT = 40, SIDE = 4, PIXELS = SIDE * SIDE, TARGETS = 2 };

static struct path data;
static double test_targets[TEST_COUNT * TARGETS]; /* as in the file */
static double mean[TARGETS], deviation[TARGETS];  /* of the training part */

/* `count` images, and two targets that are linear in their pixels, of very different size. */
static void write_arrays(const char *part, int count, double *targets)
{
    struct descent_random random = descent_random_new(5, DESCENT_RANDOM_TEST, (uint64_t)count);
    uint8_t pixels[TRAIN_COUNT * PIXELS];
    char name[40], shape[40];
    for (int i = 0; i < count; i++) {
        double *y = targets + (size_t)i * TARGETS;
        y[0] = 2000;
        y[1] = 0;
        for (int k = 0; k < PIXELS; k++) {
            int pixel = pixels[i * PIXELS + k] = (uint8_t)descent_random_below(&random, 256);
            y[0] += 0.01 * (k - 5) * pixel;
            y[1] += 1e-6 * (k % 3 - 1) * pixel;
        }
    }
    snprintf(shape, sizeof shape, "(%d, %d, %d)", count, SIDE, SIDE);
    struct bytes file = npy("|u1", "False", shape, pixels, (size_t)count * PIXELS);
    snprintf(name, sizeof name, "x_%s.npy", part);
    write_file("numbers", name, &file);
    snprintf(shape, sizeof shape, "(%d, %d)", count, TARGETS);
    file = npy("<f8", "False", shape, targets, (size_t)count * TARGETS * sizeof *targets);
    snprintf(name, sizeof name, "y_%s.npy", part);
    write_file("numbers", name, &file);
}

static int make_data(void **state)
{
    static double targets[TRAIN_COUNT * TARGETS];
    (void)state;
    data = path_of("numbers");
    write_arrays("train", TRAIN_COUNT, targets);
    write_arrays("test", TEST_COUNT, test_targets);
    for (int k = 0; k < TARGETS; k++) {
        for (int i = 0; i < TRAIN_COUNT; i++)
            mean[k] += targets[i * TARGETS + k] / TRAIN_COUNT;
        for (int i = 0; i < TRAIN_COUNT; i++)
            deviation[k] += pow(targets[i * TARGETS + k] - mean[k], 2) / TRAIN_COUNT;
        deviation[k] = sqrt(deviation[k]);
    }
    return 0;
}

/* The run's last line, of a linear model. */
static struct descent_json *end_of(const char *name, const char *arguments)
{
    struct path out = path_of(name);
    struct program program =
        program_run("--quiet --model logreg --data %s --out %s %s", data.text, out.text, arguments);
    program_must_say(&program, 0, "");
    program_free(&program);
    struct descent_json *end = metrics_event(out.text, "end", 0);
    assert_non_null(end);
    return end;
}

/* A model of zeros predicts the training part's means, which are 0 once normalized. */
static void predicting_the_mean_has_loss_1_and_r2_0(void **state)
{
    (void)state;
    double squares = 0;
    for (int i = 0; i < TEST_COUNT * TARGETS; i++)
        squares += pow((test_targets[i] - mean[i % TARGETS]) / deviation[i % TARGETS], 2);
    struct descent_json *end = end_of("mean", "--optimizer sgd:lr=0 --epochs 1"),
                        *epoch = metrics_event(path_of("mean").text, "epoch", 0);
    assert_float_equal(descent_json_number(epoch, "train_loss", NAN), 1, 1e-5);
    assert_float_equal(descent_json_number(epoch, "train_r2", NAN), 0, 1e-9);
    assert_float_equal(descent_json_number(end, "test_r2", NAN), 0, 1e-9);
    assert_float_equal(descent_json_number(end, "test_loss", NAN), squares / (TEST_COUNT * TARGETS), 1e-5);
    assert_true(isnan(descent_json_number(end, "test_accuracy", NAN)));
    descent_json_free(end);
    descent_json_free(epoch);
}

static void linear_targets_are_learned_whatever_their_size(void **state)
{
    static const char *const arguments[] = {
        "--optimizer lbfgs --batch all --epochs 40", "--optimizer hessian_free --batch all --epochs 20",
        "--optimizer kfac:lr=0.5 --schedule cosine --batch 40 --epochs 40",
        "--optimizer momentum:lr=0.05 --epochs 100"};
    (void)state;
    for (int i = 0; i < 4; i++) {
        char name[20];
        snprintf(name, sizeof name, "learned-%d", i);
        struct descent_json *end = end_of(name, arguments[i]);
        double r2 = descent_json_number(end, "test_r2", NAN);
        if (!(r2 > 0.999 && r2 <= 1))
            fail_msg("%s: R^2 %g", arguments[i], r2);
        descent_json_free(end);
    }
}

static void run_directory_tells_how_targets_were_normalized(void **state)
{
    (void)state;
    struct path out = path_of("described");
    char path[300];
    descent_json_free(end_of("described", "--epochs 1 --validation 0.25"));
    snprintf(path, sizeof path, "%s/run.json", out.text);
    char *text = file_text(path);
    struct descent_json *json = descent_json_parse(path, text, strlen(text));
    const struct descent_json *about = descent_json_get(json, "data");
    assert_true(descent_json_number(about, "targets", NAN) == TARGETS);
    assert_null(descent_json_get(about, "class_names"));
    free(text);

    snprintf(path, sizeof path, "%s/model.safetensors", out.text);
    struct descent_safetensors model;
    assert_int_equal(descent_safetensors_read(path, &model), DESCENT_OK);
    assert_string_equal(descent_safetensors_metadata(&model, "targets"), "2");
    assert_null(descent_safetensors_metadata(&model, "classes"));
    for (int k = 0; k < TARGETS; k++) {
        static const char *const keys[] = {"target_mean", "target_deviation"};
        for (int i = 0; i < 2; i++) {
            const char *list = descent_safetensors_metadata(&model, keys[i]);
            double number = strtod(k == 0 ? list + 1 : strchr(list, ',') + 1, NULL);
            assert_float_equal(number, i == 0 ? mean[k] : deviation[k], 1e-9 * fabs(mean[k]));
        }
    }
    descent_safetensors_free(&model);
    descent_json_free(json);
}

static void what_is_of_classes_is_refused_and_a_person_sees_r2(void **state)
{
    (void)state;
    struct program program = program_run("--model logreg --label-smoothing 0.1 --data %s --out %s",
                                         data.text, scratch_path("no"));
    program_must_say(&program, 2, "--label-smoothing 0.1: the targets of");
    program_free(&program);
    program = program_run("compare --optimizers sgd,adam --data %s --out %s", data.text,
                          scratch_path("no-comparison"));
    program_must_say(&program, 2, "has numbers to predict; a comparison is of accuracies");
    program_free(&program);
    program = program_run("--model logreg --epochs 1 --data %s --out %s", data.text, scratch_path("seen"));
    program_must_say(&program, 0, "");
    assert_non_null(strstr(program.out, "2 numbers to predict from each"));
    assert_non_null(strstr(program.out, "test R^2 "));
    assert_null(strstr(program.out, "accuracy"));
    program_free(&program);
    program = program_run("data %s --no-sheet", data.text);
    program_must_say(&program, 0, "");
    assert_non_null(strstr(program.out, "targets     0: mean 20"));
    assert_null(strstr(program.out, "class"));
    program_free(&program);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(predicting_the_mean_has_loss_1_and_r2_0),
        cmocka_unit_test(linear_targets_are_learned_whatever_their_size),
        cmocka_unit_test(run_directory_tells_how_targets_were_normalized),
        cmocka_unit_test(what_is_of_classes_is_refused_and_a_person_sees_r2),
    };
    return cmocka_run_group_tests(tests, make_data, NULL);
}
