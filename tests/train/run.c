/* What a training run of the `train` program promises: its directory, its bits, its ends. */
#define _XOPEN_SOURCE 700 /* posix_openpt */
#include "tests/train/program.h"

#include "base/safetensors.h"

#include <math.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <time.h>

static struct path data;

static int make_data(void **state)
{
    (void)state;
    data = small_data("small");
    return 0;
}

/* A run that must succeed, quietly. */
static void must_run(const struct path *out, const char *arguments)
{
    struct program program = program_run("--quiet --data %s --out %s %s", data.text, out->text, arguments);
    program_must_say(&program, 0, "");
    assert_string_equal(program.out, "");
    assert_string_equal(program.err, "");
    program_free(&program);
}

static void file_in(const struct path *run, const char *name, char path[300])
{
    snprintf(path, 300, "%s/%s", run->text, name);
}

static struct descent_json *run_json(const struct path *run)
{
    char path[300];
    file_in(run, "run.json", path);
    char *text = file_text(path);
    struct descent_json *json = descent_json_parse(path, text, strlen(text));
    assert_non_null(json);
    free(text);
    return json;
}

static void must_be_equal_files(const struct path *a, const struct path *b, const char *name)
{
    char path[300], *first, *second;
    size_t first_size, second_size;
    file_in(a, name, path);
    assert_int_equal(descent_file_read(path, 64 << 20, &first, &first_size), DESCENT_OK);
    file_in(b, name, path);
    assert_int_equal(descent_file_read(path, 64 << 20, &second, &second_size), DESCENT_OK);
    assert_int_equal(first_size, second_size);
    assert_memory_equal(first, second, first_size);
    free(first);
    free(second);
}

/* The i-th event of the run has these keys, numbers all; more keys are no fault. */
static void event_must_have(const struct path *run, const char *event, int i, const char *const *keys)
{
    struct descent_json *json = metrics_event(run->text, event, i);
    assert_non_null(json);
    for (; *keys; keys++)
        if (isnan(descent_json_number(json, *keys, NAN)))
            fail_msg("event %s: '%s' is missing or no number", event, *keys);
    descent_json_free(json);
}

static double event_number(const struct path *run, const char *event, int i, const char *key)
{
    struct descent_json *json = metrics_event(run->text, event, i);
    assert_non_null(json);
    double number = descent_json_number(json, key, NAN);
    descent_json_free(json);
    return number;
}

static void run_directory_holds_configuration_events_and_model(void **state)
{
    (void)state;
    static const char *const step[] = {"step", "epoch", "loss", "lr", "grad_norm", "update_norm", NULL};
    static const char *const epoch[] = {
        "epoch",         "train_loss", "train_accuracy", "seconds", "images_per_second", "test_loss",
        "test_accuracy", NULL};
    static const char *const end[] = {"steps", "epochs", "seconds", "test_loss", "test_accuracy", NULL};
    struct path out = path_of("deep/er/run");
    must_run(&out, "--model mlp:32 --epochs 2 --batch 64 --optimizer adam:lr=1e-2 --schedule cosine");

    /* 200 images make 4 steps of 64 an epoch, the last one short. */
    event_must_have(&out, "step", 0, step);
    event_must_have(&out, "step", 7, step);
    assert_null(metrics_event(out.text, "step", 8));
    event_must_have(&out, "epoch", 1, epoch);
    assert_null(metrics_event(out.text, "epoch", 2));
    event_must_have(&out, "end", 0, end);
    assert_true(event_number(&out, "step", 0, "lr") == 1e-2);
    assert_true(event_number(&out, "step", 7, "lr") < 1e-3);
    assert_true(event_number(&out, "end", 0, "steps") == 8);
    assert_true(event_number(&out, "end", 0, "test_accuracy") ==
                event_number(&out, "epoch", 1, "test_accuracy"));
    double accuracy = event_number(&out, "epoch", 1, "train_accuracy");
    assert_true(accuracy > 0.3 && accuracy <= 1);

    struct descent_json *json = run_json(&out);
    const struct descent_json *config = descent_json_get(json, "config"),
                              *build = descent_json_get(json, "build");
    assert_string_equal(descent_json_text(config, "model", ""), "mlp:32");
    assert_non_null(strstr(descent_json_text(config, "optimizer", ""), "beta2=0.999"));
    assert_true(descent_json_number(config, "seed", NAN) == 1);
    assert_true(descent_json_number(descent_json_get(json, "data"), "train_count", NAN) == SMALL_TRAIN);
    assert_true(descent_json_number(descent_json_get(json, "model"), "parameters", NAN) ==
                785 * 32 + 33 * 10);
    assert_true(descent_json_number(descent_json_get(json, "data"), "skipped", NAN) == 0);
    const struct descent_json *file =
        descent_json_at(descent_json_get(descent_json_get(json, "data"), "files"), 0);
    assert_string_equal(descent_json_text(file, "name", ""), "train-images-idx3-ubyte");
    assert_int_equal(strlen(descent_json_text(file, "md5", "")), 32);
    assert_non_null(strstr(descent_json_text(build, "linalg", ""), "BLAS"));
    assert_true(*descent_json_text(build, "commit", "") && *descent_json_text(build, "compiler", ""));
    descent_json_free(json);

    char path[300];
    file_in(&out, "model.safetensors", path);
    struct descent_safetensors model;
    assert_int_equal(descent_safetensors_read(path, &model), DESCENT_OK);
    assert_string_equal(descent_safetensors_metadata(&model, "format"), "pt");
    assert_string_equal(descent_safetensors_metadata(&model, "model"), "mlp:32");
    assert_string_equal(descent_safetensors_metadata(&model, "input_shape"), "[1, 28, 28]");
    assert_non_null(strstr(descent_safetensors_metadata(&model, "class_names"), "\"9\""));
    const struct descent_tensor *weight = descent_safetensors_find(&model, "fc1.weight");
    assert_true(weight && weight->rank == 2 && weight->shape[0] == 32 && weight->shape[1] == 784);
    descent_safetensors_free(&model);
}

static void validation_part_judges_epochs_and_test_only_the_end(void **state)
{
    (void)state;
    static const char *const epoch[] = {"validation_loss", "validation_accuracy", NULL};
    static const char *const end[] = {"test_loss", "test_accuracy", NULL};
    struct path out = path_of("validated");
    must_run(&out, "--model mlp:16 --epochs 2 --validation 0.1");
    event_must_have(&out, "epoch", 1, epoch);
    event_must_have(&out, "end", 0, end);
    assert_true(isnan(event_number(&out, "epoch", 0, "test_loss")));
    struct descent_json *json = run_json(&out);
    const struct descent_json *counts = descent_json_get(json, "data");
    assert_true(descent_json_number(counts, "train_count", NAN) == SMALL_TRAIN * 0.9);
    assert_true(descent_json_number(counts, "validation_count", NAN) == SMALL_TRAIN * 0.1);
    descent_json_free(json);
}

/* No epoch is better at a rate of 1e-30, so that the rate falls as soon as patience is at an end. */
/* Averaged weights, batch norm and dropout: whatever an evaluation could disturb. */
static void evaluations_on_the_way_leave_training_as_it_is(void **state)
{
    (void)state;
    static const char *const keys[] = {
        "step", "epoch", "gradient_evaluations", "seconds", "cpu_seconds", "validation_loss", NULL};
    static const char common[] = "--model cnn:dropout=0.3 --optimizer sgd:lr=0.02+ema --epochs 2 "
                                 "--batch 32 --validation 0.2";
    char arguments[300];
    struct path seldom = path_of("judged-seldom"), often = path_of("judged-often");
    must_run(&seldom, common);
    snprintf(arguments, sizeof arguments, "%s --evaluations 7", common);
    must_run(&often, arguments);
    must_be_equal_files(&seldom, &often, "model.safetensors");

    /* 160 images make 5 steps an epoch, 10 in all. */
    static const int steps[] = {2, 3, 5, 6, 8, 9, 10};
    assert_null(metrics_event(seldom.text, "evaluation", 0));
    for (int i = 0; i < 7; i++) {
        event_must_have(&often, "evaluation", i, keys);
        assert_true(event_number(&often, "evaluation", i, "step") == steps[i]);
        assert_true(event_number(&often, "evaluation", i, "gradient_evaluations") == steps[i]);
    }
    assert_null(metrics_event(often.text, "evaluation", 7));
    assert_true(event_number(&often, "evaluation", 6, "validation_loss") ==
                event_number(&often, "epoch", 1, "validation_loss"));
}

static void test_set_is_read_once_or_never(void **state)
{
    (void)state;
    char model[300];
    struct path once = path_of("read-once"), never = path_of("read-never"), sam = path_of("sam");
    must_run(&once, "--model mlp:8 --epochs 3 --validation 0.2 --evaluations 6");
    assert_true(event_number(&once, "end", 0, "test_reads") == 1);
    must_run(&never, "--model mlp:8 --epochs 1 --validation 0.2 --no-test --no-model --split-seed 3");
    assert_true(event_number(&never, "end", 0, "test_reads") == 0);
    assert_true(isnan(event_number(&never, "end", 0, "test_accuracy")));
    file_in(&never, "model.safetensors", model);
    assert_int_not_equal(access(model, F_OK), 0);
    must_run(&sam, "--model mlp:8 --epochs 1 --optimizer sgd+sam");
    assert_true(event_number(&sam, "end", 0, "gradient_evaluations") == 8); /* two a step */
}

static void plateau_follows_the_validation_loss(void **state)
{
    (void)state;
    struct path out = path_of("plateau");
    must_run(&out, "--model mlp:8 --epochs 5 --batch 200 --validation 0.1 --optimizer sgd:lr=1e-30 "
                   "--schedule plateau:factor=0.5,patience=1");
    assert_true(event_number(&out, "step", 0, "lr") == 1e-30);
    assert_true(event_number(&out, "step", 4, "lr") < 0.6e-30);
}

static void any_number_of_threads_and_workers_gives_the_same_bits(void **state)
{
    (void)state;
    struct path one = path_of("one-thread");
    const char *arguments =
        "--model cnn:width=0.25,dropout=0.2 --epochs 1 --batch 50 --validation 0.2 --augment crop+flip";
    char text[200];
    snprintf(text, sizeof text, "%s --threads 1 --workers 0", arguments);
    must_run(&one, text);
    for (int threads = 1; threads <= 3; threads++) {
        char name[32];
        snprintf(name, sizeof name, "%d-threads", threads);
        struct path other = path_of(name);
        snprintf(text, sizeof text, "%s --threads %d --workers %d", arguments, threads, threads);
        must_run(&other, text);
        must_be_equal_files(&one, &other, "model.safetensors");
    }
}

/* Those that ask the objective for more than a gradient; the model is large enough for several chunks. */
static void any_number_of_threads_gives_curvature_the_same_bits(void **state)
{
    static const char *const optimizers[] = {"lbfgs:iterations=4", "hessian_free", "kfac",
                                             "sophia_g",           "sophia_h",     "adahessian"};
    (void)state;
    for (size_t i = 0; i < sizeof optimizers / sizeof *optimizers; i++) {
        char text[200], name[40];
        struct path one = {""};
        for (int threads = 1; threads <= 3; threads++) {
            snprintf(name, sizeof name, "%s-%d", optimizers[i], threads);
            struct path other = path_of(name);
            snprintf(text, sizeof text,
                     "--model mlp:64 --optimizer %s --steps 2 --batch 50 --micro-batch 25 --threads %d",
                     optimizers[i], threads);
            must_run(&other, text);
            if (threads == 1)
                one = other;
            must_be_equal_files(&one, &other, "model.safetensors");
        }
    }
}

/* Targets in shares go another way through the loss than classes do; with all in one share it is the same.
 */
static void mixing_trains_on_shares_and_is_judged_on_classes(void **state)
{
    (void)state;
    struct path plain = path_of("unmixed"), whole = path_of("whole-shares"), mixed = path_of("mixed");
    const char *model = "--model mlp:32 --epochs 3 --label-smoothing 0.1 --optimizer adam:lr=1e-2";
    char text[200];
    must_run(&plain, model);
    snprintf(text, sizeof text, "%s --augment mixup:p=0", model);
    must_run(&whole, text);
    must_be_equal_files(&plain, &whole, "model.safetensors");
    assert_true(event_number(&plain, "epoch", 2, "train_accuracy") ==
                event_number(&whole, "epoch", 2, "train_accuracy"));
    snprintf(text, sizeof text, "%s --augment flip+mixup:alpha=1+cutmix", model);
    must_run(&mixed, text);
    double plain_loss = event_number(&plain, "epoch", 2, "train_loss");
    double mixed_loss = event_number(&mixed, "epoch", 2, "train_loss");
    assert_true(mixed_loss > plain_loss + 0.1); /* no network can be sure of a mixture */
    double accuracy = event_number(&mixed, "epoch", 2, "train_accuracy");
    assert_true(accuracy > 0.2 && accuracy < event_number(&plain, "epoch", 2, "train_accuracy"));
    assert_true(event_number(&mixed, "end", 0, "test_accuracy") > accuracy);
}

static void another_seed_gives_another_model(void **state)
{
    (void)state;
    struct path one = path_of("seed-1"), two = path_of("seed-2");
    must_run(&one, "--model mlp:8 --epochs 1 --seed 1");
    must_run(&two, "--model mlp:8 --epochs 1 --seed 2");
    assert_true(event_number(&one, "step", 0, "loss") != event_number(&two, "step", 0, "loss"));
}

/* Without batch norm, passes that are weighted by size add up to the gradient of the whole batch: here 200
 * = 3 * 64 + 8. */
static void accumulated_passes_equal_the_whole_batch(void **state)
{
    (void)state;
    struct path whole = path_of("whole"), parts = path_of("parts");
    must_run(&whole, "--model lenet5 --epochs 3 --batch all --micro-batch 200 --optimizer sgd:lr=0.1");
    must_run(&parts, "--model lenet5 --epochs 3 --batch all --micro-batch 64 --optimizer sgd:lr=0.1");
    assert_true(event_number(&whole, "end", 0, "steps") == 3);
    for (int i = 0; i < 3; i++) {
        double a = event_number(&whole, "step", i, "loss"), b = event_number(&parts, "step", i, "loss");
        assert_true(fabs(a - b) < 1e-5 * a);
        a = event_number(&whole, "step", i, "grad_norm"), b = event_number(&parts, "step", i, "grad_norm");
        assert_true(fabs(a - b) < 1e-4 * a);
    }
}

/* conv1 is held by its group, fc* by Lion's lr of 0; the rest learns. */
static void groups_have_settings_of_their_own(void **state)
{
    (void)state;
    struct path out = path_of("groups"), start = path_of("groups-start");
    struct program program =
        program_run("--data %s --out %s --model lenet5 --epochs 1 --group conv1.*:freeze "
                    "--group fc*:lion:lr=0 --optimizer adam:lr=1e-3",
                    data.text, out.text);
    program_must_say(&program, 0, "");
    assert_non_null(strstr(program.out, "adam steps conv2.weight, conv2.bias"));
    assert_non_null(strstr(program.out, "lion steps fc1.weight"));
    program_free(&program);
    must_run(&start, "--model lenet5 --epochs 1 --optimizer sgd:lr=0");
    char path[300];
    struct descent_safetensors a, b;
    file_in(&out, "model.safetensors", path);
    assert_int_equal(descent_safetensors_read(path, &a), DESCENT_OK);
    file_in(&start, "model.safetensors", path);
    assert_int_equal(descent_safetensors_read(path, &b), DESCENT_OK);
    for (int i = 0; i < a.count; i++) {
        bool same = memcmp(a.tensors[i].data, b.tensors[i].data, a.tensors[i].bytes) == 0;
        assert_int_equal(same, strncmp(a.tensors[i].name, "conv2", 5) != 0);
    }
    descent_safetensors_free(&a);
    descent_safetensors_free(&b);
}

/* Batch norm's running statistics are those of the averaged weights in what is saved, and training does not
 * notice. */
static void averaged_weights_are_evaluated_and_saved(void **state)
{
    (void)state;
    struct path plain = path_of("not-averaged"), averaged = path_of("averaged");
    must_run(&plain, "--model cnn:width=0.125 --epochs 2 --optimizer momentum:lr=0.05");
    must_run(&averaged, "--model cnn:width=0.125 --epochs 2 --optimizer momentum:lr=0.05+ema:decay=0.8");
    for (int i = 0; i < 6; i++)
        assert_true(event_number(&plain, "step", i, "loss") == event_number(&averaged, "step", i, "loss"));
    assert_true(event_number(&plain, "end", 0, "test_loss") !=
                event_number(&averaged, "end", 0, "test_loss"));
}

static void steps_end_a_run_within_an_epoch(void **state)
{
    (void)state;
    struct path out = path_of("steps");
    must_run(&out, "--model mlp:8 --batch 64 --steps 5 --schedule linear:start=1,end=0");
    assert_true(event_number(&out, "end", 0, "steps") == 5);
    assert_true(event_number(&out, "end", 0, "epochs") == 2);
    assert_true(event_number(&out, "step", 4, "lr") > 0);
    assert_true(event_number(&out, "step", 4, "lr") < event_number(&out, "step", 3, "lr"));
}

static void lr_find_suggests_a_rate_and_writes_the_curve(void **state)
{
    (void)state;
    struct path out = path_of("lr-find");
    struct program program = program_run(
        "lr-find --data %s --out %s --model mlp:32 --optimizer adam --steps 60", data.text, out.text);
    program_must_say(&program, 0, "");
    double rate = 0;
    const char *suggestion = strstr(program.out, "try --optimizer adam:lr=");
    assert_non_null(suggestion);
    assert_int_equal(sscanf(suggestion, "try --optimizer adam:lr=%lf", &rate), 1);
    assert_true(rate > 1e-5 && rate < 1);
    program_free(&program);
    char path[300];
    file_in(&out, "lr-find.csv", path);
    char *csv = file_text(path);
    assert_int_equal(strncmp(csv, "lr,loss,smoothed_loss\n1e-07,", 28), 0);
    free(csv);
    file_in(&out, "model.safetensors", path);
    assert_true(access(path, F_OK) != 0);
    assert_true(isnan(event_number(&out, "end", 0, "test_loss")));
}

/* Batches whose gradients are accumulated have one rate: one point of the curve. And what was tested is
 * what is suggested. */
static void lr_find_suggests_what_it_tested(void **state)
{
    (void)state;
    struct path out = path_of("lr-find-wrapped");
    struct program program =
        program_run("lr-find --data %s --out %s --model mlp:32 --steps 96 --evaluations 3 "
                    "--no-test --optimizer adam:0.5,beta1=0.8+ema:decay=0.9+accumulate:4",
                    data.text, out.text);
    program_must_say(&program, 0, "");
    double rate = 0;
    int length = 0;
    const char *suggestion = strstr(program.out, "try --optimizer ");
    assert_non_null(suggestion);
    sscanf(suggestion, "try --optimizer adam:lr=%lf,beta1=0.8+ema:decay=0.9+accumulate:4\n%n", &rate,
           &length);
    assert_true(length > 0 && rate > 1e-5 && rate < 1);
    assert_non_null(strstr(program.out, "24 learning rates"));
    program_free(&program);
    char path[300];
    file_in(&out, "lr-find.csv", path);
    char *csv = file_text(path);
    assert_null(strstr(csv, "inf"));
    free(csv);
    assert_null(metrics_event(out.text, "evaluation", 0));

    program = program_run("lr-find --data %s --out %s --force --model mlp:32 --steps 30 --quiet", data.text,
                          out.text);
    program_must_say(&program, 0, "");
    assert_string_equal(program.out, "");
    program_free(&program);
}

static void full_batch_says_what_batch_norm_does(void **state)
{
    (void)state;
    struct program program =
        program_run("--data %s --out %s --model cnn:width=0.125 --epochs 1 --batch all --micro-batch 64",
                    data.text, scratch_path("full"));
    program_must_say(&program, 0, "");
    assert_non_null(strstr(program.out, "batch norm uses the mean and variance of each pass of 64"));
    program_free(&program);
}

static void last_batch_is_kept_or_dropped(void **state)
{
    (void)state;
    struct path out = path_of("dropped");
    must_run(&out, "--model mlp:8 --epochs 2 --batch 64 --drop-last --log-every 2");
    assert_true(event_number(&out, "end", 0, "steps") == 6);
    assert_true(event_number(&out, "step", 0, "step") == 2);
    assert_null(metrics_event(out.text, "step", 3));
}

/* A learning rate of 0 keeps the weights that were loaded. */
static void weights_are_loaded_whole_or_in_part_and_named(void **state)
{
    (void)state;
    struct path trained = path_of("trained"), again = path_of("again");
    must_run(&trained, "--model mlp:32/16 --epochs 3 --optimizer adam:lr=1e-2");

    struct program program =
        program_run("--data %s --out %s --model mlp:32/16 --optimizer sgd:lr=0 --epochs 1 --weights "
                    "%s/model.safetensors",
                    data.text, again.text, trained.text);
    program_must_say(&program, 0, "");
    assert_non_null(strstr(program.out, "6 of 6 tensors match"));
    assert_true(fabs(event_number(&again, "end", 0, "test_loss") -
                     event_number(&trained, "end", 0, "test_loss")) < 1e-6);
    program_free(&program);

    program = program_run(
        "--data %s --out %s --model mlp:32/20 --epochs 1 --freeze fc1.* --weights %s/model.safetensors",
        data.text, scratch_path("part"), trained.text);
    program_must_say(&program, 0, "");
    assert_non_null(strstr(program.out, "3 of 6 tensors match"));
    assert_non_null(strstr(program.out, "loaded: fc1.weight fc1.bias fc3.bias\n"));
    assert_non_null(strstr(program.out, "initialized anew: fc2.weight fc2.bias fc3.weight\n"));
    assert_non_null(strstr(program.out, "2 parameter tensors match fc1.*"));
    program_free(&program);

    /* Frozen means frozen: what was loaded is still there. */
    char path[300];
    struct descent_safetensors before, after;
    file_in(&trained, "model.safetensors", path);
    assert_int_equal(descent_safetensors_read(path, &before), DESCENT_OK);
    snprintf(path, sizeof path, "%s/model.safetensors", scratch_path("part"));
    assert_int_equal(descent_safetensors_read(path, &after), DESCENT_OK);
    const struct descent_tensor *a = descent_safetensors_find(&before, "fc1.weight");
    const struct descent_tensor *b = descent_safetensors_find(&after, "fc1.weight");
    assert_memory_equal(a->data, b->data, a->bytes);
    descent_safetensors_free(&before);
    descent_safetensors_free(&after);

    program = program_run("--data %s --out %s --model resnet20 --epochs 1 --weights %s/model.safetensors",
                          data.text, scratch_path("none"), trained.text);
    program_must_say(&program, 1, "none of its 6 tensors");
    program_free(&program);
}

static void diverged_run_exits_3_and_keeps_what_was(void **state)
{
    (void)state;
    struct path out = path_of("diverged");
    struct program program =
        program_run("--quiet --data %s --out %s --model mlp:16 --optimizer sgd:lr=1e30 --epochs 3",
                    data.text, out.text);
    program_must_say(&program, 3, "diverged at step ");
    program_must_say(&program, 3, "fc");
    program_free(&program);
    struct descent_json *end = metrics_event(out.text, "end", 0);
    assert_non_null(end);
    assert_string_equal(descent_json_text(end, "outcome", ""), "diverged");
    descent_json_free(end);
    assert_false(isnan(event_number(&out, "step", 0, "loss")));
    char path[300];
    struct descent_safetensors model;
    file_in(&out, "model.safetensors", path);
    assert_int_equal(descent_safetensors_read(path, &model), DESCENT_OK);
    descent_safetensors_free(&model);
}

static void output_that_is_no_terminal_is_plain_lines(void **state)
{
    (void)state;
    struct program program =
        program_run("--data %s --out %s --model mlp:8 --epochs 2", data.text, scratch_path("plain"));
    program_must_say(&program, 0, "");
    assert_null(strchr(program.out, '\033'));
    assert_null(strchr(program.out, '\r'));
    assert_non_null(strstr(program.out, "\nepoch 1/2  loss "));
    assert_non_null(strstr(program.out, "\nepoch 2/2  loss "));
    assert_null(strstr(strstr(program.out, "\nepoch 2/2") + 1, "\nepoch"));
    assert_non_null(strstr(program.out, "test accuracy"));
    program_free(&program);
}

static void force_overwrites_a_run(void **state)
{
    (void)state;
    struct path out = path_of("forced");
    must_run(&out, "--model mlp:8 --epochs 3");
    must_run(&out, "--model mlp:8 --epochs 1 --force");
    assert_null(metrics_event(out.text, "epoch", 1));
}

static void runs_without_out_are_numbered(void **state)
{
    (void)state;
    char before[4096];
    assert_non_null(getcwd(before, sizeof before));
    assert_int_equal(mkdir(scratch_path("home"), 0700), 0);
    assert_int_equal(chdir(scratch_path("home")), 0);
    for (int i = 1; i <= 2; i++) {
        struct program program = program_run("--data %s/ --model mlp:8 --epochs 1", data.text);
        program_must_say(&program, 0, "");
        char path[64];
        snprintf(path, sizeof path, "wrote runs/mlp-small-%d\n", i);
        assert_non_null(strstr(program.out, path));
        snprintf(path, sizeof path, "runs/mlp-small-%d/model.safetensors", i);
        assert_int_equal(access(path, R_OK), 0);
        program_free(&program);
    }
    assert_int_equal(chdir(before), 0);
}

/* Starts a long run and waits until `file` of its directory is there and longer than `size` bytes. */
static pid_t start_long_run(const struct path *out, const char *arguments, const char *file, long size)
{
    char words[1024], path[300];
    snprintf(words, sizeof words, "--data %s --out %s --quiet %s", data.text, out->text, arguments);
    file_in(out, file, path);
    pid_t child = program_start(words);
    struct stat info;
    for (int i = 0; i < 6000; i++) {
        if (stat(path, &info) == 0 && info.st_size > size)
            return child;
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
    kill(child, SIGKILL);
    fail_msg("no %s", path);
    return child;
}

static void must_end_interrupted(int signal)
{
    struct path out = path_of(signal == SIGINT ? "interrupted" : "terminated");
    pid_t child = start_long_run(&out, "--model mlp:8 --epochs 1000000", "metrics.jsonl", 2000);
    assert_int_equal(kill(child, signal), 0);
    struct program program = program_wait(child);
    program_must_say(&program, 128 + signal, "");
    program_free(&program);

    struct descent_json *end = metrics_event(out.text, "end", 0);
    assert_non_null(end);
    assert_string_equal(descent_json_text(end, "outcome", ""), "interrupted");
    double steps = descent_json_number(end, "steps", NAN),
           accuracy = descent_json_number(end, "test_accuracy", NAN);
    descent_json_free(end);
    assert_true(steps > 0 && accuracy >= 0 && accuracy <= 1);
    assert_true(event_number(&out, "step", (int)steps - 1, "step") == steps);
    assert_null(metrics_event(out.text, "step", (int)steps));

    /* The model is that of the last step: tested again, it gives the reported accuracy. */
    struct path again = path_of(signal == SIGINT ? "interrupted-again" : "terminated-again");
    char arguments[400];
    snprintf(arguments, sizeof arguments,
             "--model mlp:8 --epochs 1 --optimizer sgd:lr=0 --weights %s/model.safetensors", out.text);
    must_run(&again, arguments);
    assert_true(event_number(&again, "end", 0, "test_accuracy") == accuracy);
}

static void interrupt_stops_after_the_step_with_everything_written(void **state)
{
    (void)state;
    must_end_interrupted(SIGINT);
    must_end_interrupted(SIGTERM);
}

/* One step of this run takes seconds, so that the second signal finds it still computing. */
static void second_interrupt_kills_at_once(void **state)
{
    (void)state;
    const int second[] = {SIGINT, SIGTERM}; /* as a supervisor sends after a person's Ctrl-C */
    for (int i = 0; i < 2; i++) {
        struct path out = path_of(i ? "terminated-twice" : "killed");
        pid_t child = start_long_run(
            &out, "--model resnet110 --batch all --micro-batch 16 --eval-batch 16 --threads 1",
            "model.safetensors", 1000);
        assert_int_equal(kill(child, SIGINT), 0);
        nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
        assert_int_equal(kill(child, second[i]), 0);
        struct program program = program_wait(child);
        program_must_say(&program, -second[i], "");
        program_free(&program);
    }
}

/* A terminal of our own, on which `train` rewrites its last line; what it said there. */
static char *run_on_terminal(char *const *argv, rlim_t largest, int *code)
{
    int master = posix_openpt(O_RDWR | O_NOCTTY);
    assert_true(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        const struct rlimit limit = {largest, largest};
        int terminal = open(ptsname(master), O_RDWR | O_NOCTTY);
        setenv("TERM", "xterm", 1);
        signal(SIGXFSZ, SIG_IGN);
        if (dup2(terminal, STDOUT_FILENO) < 0 || dup2(open("/dev/null", O_WRONLY), STDERR_FILENO) < 0 ||
            setrlimit(RLIMIT_FSIZE, &limit) != 0)
            _exit(126);
        close(master);
        execv(TRAIN, argv);
        _exit(127);
    }
    enum { MOST = 1 << 20 };
    char *said = calloc(1, MOST);
    assert_non_null(said);
    size_t size = 0;
    for (bool ended = false; !ended;) { /* what is left is read once more after the end */
        ended = waitpid(child, code, WNOHANG) == child;
        struct pollfd wait = {.fd = master, .events = POLLIN};
        for (ssize_t n; poll(&wait, 1, 10) > 0 && wait.revents & POLLIN && size < MOST - 1;
             size += (size_t)n)
            if ((n = read(master, said + size, MOST - 1 - size)) <= 0)
                break;
    }
    close(master);
    *code = WEXITSTATUS(*code);
    return said;
}

/* The disk is full in the middle of an epoch: what follows is not written over the live line. */
static void a_failure_clears_the_live_line(void **state)
{
    (void)state;
    struct path out = path_of("disk-full");
    char *argv[] = {"train",    "--data", data.text, "--model", "mlp:8",      "--batch", "4",
                    "--epochs", "20",     "--out",   out.text,  "--no-model", NULL};
    static const char clear[] = "\r\033[K";
    int code;
    char *said = run_on_terminal(argv, 8000, &code);
    assert_int_equal(code, 1);
    if (!strstr(said, "epoch 1/20  "))
        fail_msg("no live line in:\n%s", said);
    assert_true(strlen(said) > strlen(clear));
    assert_string_equal(said + strlen(said) - strlen(clear), clear);
    free(said);
}

static void a_long_path_is_told_whole(void **state)
{
    (void)state;
    char part[151] = "", out[500], wrote[520];
    memset(part, 'x', sizeof part - 1);
    snprintf(out, sizeof out, "%s/%s/%s", scratch_path("long"), part, part);
    snprintf(wrote, sizeof wrote, "wrote %s\n", out);
    struct program program = program_run("--data %s --model mlp:8 --steps 2 --out %s", data.text, out);
    program_must_say(&program, 0, "");
    assert_non_null(strstr(program.out, wrote));
    program_free(&program);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(run_directory_holds_configuration_events_and_model),
        cmocka_unit_test(validation_part_judges_epochs_and_test_only_the_end),
        cmocka_unit_test(evaluations_on_the_way_leave_training_as_it_is),
        cmocka_unit_test(test_set_is_read_once_or_never),
        cmocka_unit_test(plateau_follows_the_validation_loss),
        cmocka_unit_test(any_number_of_threads_and_workers_gives_the_same_bits),
        cmocka_unit_test(any_number_of_threads_gives_curvature_the_same_bits),
        cmocka_unit_test(mixing_trains_on_shares_and_is_judged_on_classes),
        cmocka_unit_test(another_seed_gives_another_model),
        cmocka_unit_test(accumulated_passes_equal_the_whole_batch),
        cmocka_unit_test(groups_have_settings_of_their_own),
        cmocka_unit_test(averaged_weights_are_evaluated_and_saved),
        cmocka_unit_test(steps_end_a_run_within_an_epoch),
        cmocka_unit_test(lr_find_suggests_a_rate_and_writes_the_curve),
        cmocka_unit_test(lr_find_suggests_what_it_tested),
        cmocka_unit_test(full_batch_says_what_batch_norm_does),
        cmocka_unit_test(last_batch_is_kept_or_dropped),
        cmocka_unit_test(weights_are_loaded_whole_or_in_part_and_named),
        cmocka_unit_test(diverged_run_exits_3_and_keeps_what_was),
        cmocka_unit_test(output_that_is_no_terminal_is_plain_lines),
        cmocka_unit_test(force_overwrites_a_run),
        cmocka_unit_test(runs_without_out_are_numbered),
        cmocka_unit_test(interrupt_stops_after_the_step_with_everything_written),
        cmocka_unit_test(second_interrupt_kills_at_once),
        cmocka_unit_test(a_failure_clears_the_live_line),
        cmocka_unit_test(a_long_path_is_told_whole),
    };
    return cmocka_run_group_tests(tests, make_data, NULL);
}
