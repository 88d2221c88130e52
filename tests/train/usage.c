/* What a user can get wrong on the command line of `train`: each has its message and its exit code. */
#include "optim/optim.h"
#include "tests/train/program.h"

#include <dirent.h>

static void must_fail(int code, const char *fragment, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void must_fail(int code, const char *fragment, const char *format, ...)
{
    char arguments[2048];
    va_list list;
    va_start(list, format);
    assert_true(vsnprintf(arguments, sizeof arguments, format, list) < (int)sizeof arguments);
    va_end(list);
    struct program program = program_run("%s", arguments);
    program_must_say(&program, code, fragment);
    assert_string_equal(program.out, "");
    program_free(&program);
}

static void wrong_options_exit_2_and_name_what_was_expected(void **state)
{
    (void)state;
    static const struct {
        const char *arguments, *message;
    } wrong[] = {
        {"--epoks 5", "unknown option --epoks; did you mean --epochs?"},
        {"--lr=0.1", "unknown option --lr"},
        {"-x", "unknown option -x;"},
        {"-data x", "unknown option -d;"},
        {"--batch", "--batch needs a value: N|all"},
        {"--batch 0", "--batch 0: expected a whole number from 1 to 2147483647, or all; default 64"},
        {"--batch -3", "--batch -3: expected a whole number"},
        {"--batch 1.5", "--batch 1.5: expected a whole number"},
        {"--batch 64x", "--batch 64x: expected a whole number"},
        {"--batch 2147483648", "--batch 2147483648: expected a whole number"},
        {"--epochs 0", "--epochs 0: expected a whole number from 1 to"},
        {"--threads 0", "--threads 0: expected a whole number from 1 to 256"},
        {"--seed -1", "--seed -1: expected a whole number"},
        {"--validation 1", "--validation 1: expected a number in [0, 1)"},
        {"--validation nan", "--validation nan: expected a number in [0, 1)"},
        {"--clip -1", "--clip -1: expected a number of at least 0"},
        {"--force=yes --out a", "--force takes no value"},
        {"--e 5", "option --e is ambiguous; write it in full"},
        {"--force", "--force without --out"},
        {"--split-seed 3", "--split-seed without --validation"},
        {"--batch 8 --micro-batch 16", "--micro-batch 16 is more than --batch 8"},
        {"--model lenet5 now", "unexpected argument 'now'"},
        {"lsit", "unknown subcommand 'lsit'; did you mean 'list'"},
        {"lr-find --schedule cosine", "--schedule cosine: expected range_test"},
        {"list models lenet", "unknown model 'lenet'; did you mean 'lenet5'?"},
        {"list model", "unknown list 'model'; did you mean 'models'?"},
        {"list models lenet5 now", "unexpected argument 'now'"},
        {"list wrappers lokahead", "unknown optimizer wrapper 'lokahead'; did you mean 'lookahead'?"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        must_fail(2, wrong[i].message, "%s", wrong[i].arguments);
}

static void wrong_specs_exit_2_and_name_the_nearest(void **state)
{
    (void)state;
    struct path data = small_data("specs"), out = path_of("specs-out");
    static const struct {
        const char *arguments, *message;
    } wrong[] = {
        {"--model lenet6", "unknown model 'lenet6'; did you mean 'lenet5'?"},
        {"--model mlp:unit=3", "unknown key 'unit' for model mlp"},
        {"--model mlp:0", "for model mlp"},
        {"--model resnet20:shortcut=no", "shortcut=no for model resnet20"},
        {"--model lenet5+ema", "model lenet5"},
        {"--optimizer adam:lr=abc", "lr=abc for optimizer adam is not a number"},
        {"--optimizer adma", "adam"},
        {"--optimizer sgd:lr=-1", "lr=-1"},
        {"--schedule cosin", "cosine"},
        {"--schedule plateau",
         "schedule 'plateau' follows the loss on a validation part; give --validation"},
        {"--schedule plateau",
         "schedule 'plateau' follows the loss on a validation part; give --validation"},
        {"--augment crop+flpi", "unknown augmentation 'flpi'; did you mean 'flip'?"},
        {"--augment crop:pad=-1", "pad=-1 for augmentation crop is out of range"},
        {"--order random", "--order random: expected fixed, shuffled, replacement or balanced"},
        {"--group conv1", "--group conv1: expected PATTERN:OVERRIDES"},
        {"--group nothing:lr=1", "--group nothing:lr=1: parameter group 'nothing' matches no parameter"},
        {"--group conv*:lino:lr=1", "did you mean 'lion'"},
        {"--layer-decay 2", "--layer-decay: layer decay 2; expected a number in (0, 1]"},
        {"--optimizer adam+emma", "unknown optimizer wrapper 'emma'; did you mean 'ema'?"},
        {"--freeze nothing*", "--freeze nothing*: matches no parameter of model lenet5"},
        {"--batch 96 --micro-batch 64", "--micro-batch 64 does not divide --batch 96"},
        {"--batch 201 --drop-last", "--batch 201 with --drop-last leaves no batch of 200 training images"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        must_fail(2, wrong[i].message, "--data %s --out %s %s", data.text, out.text, wrong[i].arguments);
    assert_int_equal(access(out.text, F_OK), -1);
}

/* In the same words in which the library refuses it, which tests/optim/options.c looks at. */
static void assert_refused(const struct path *data, const char *option, const char *form, const char *name,
                           const struct descent_option *options, int count)
{
    char part[200], spec[300], message[200];
    if (count > 0) {
        snprintf(part, sizeof part, "%s:%s=abc", name, options[0].name);
        snprintf(spec, sizeof spec, form, part);
        snprintf(message, sizeof message, "%s=abc for", options[0].name);
        must_fail(2, message, "--data %s %s %s", data->text, option, spec);
    }
    snprintf(part, sizeof part, "%s:unheard-of=1", name);
    snprintf(spec, sizeof spec, form, part);
    must_fail(2, "unknown key 'unheard-of' for", "--data %s %s %s", data->text, option, spec);
}

static void every_optimizer_wrapper_and_schedule_refuses_wrong_hyperparameters_with_exit_2(void **state)
{
    static const char *const forms[] = {[OPTIM_SCHEDULE] = "%s",
                                        [OPTIM_SCHEDULE_WRAP] = "cosine+%s",
                                        [OPTIM_SCHEDULE_JOIN] = "constant+%s+cosine"};
    struct path data = small_data("hyperparameters");
    int count;
    (void)state;
    const struct optim_algorithm *const *all = optim_algorithms(&count);
    for (int i = 0; i < count; i++)
        assert_refused(&data, "--optimizer", "%s", all[i]->name, all[i]->options, all[i]->option_count);
    all = optim_wrappers(&count);
    for (int i = 0; i < count; i++)
        assert_refused(&data, "--optimizer", "sgd+%s", all[i]->name, all[i]->options, all[i]->option_count);
    const struct optim_schedule_kind *const *kinds = optim_schedule_kinds(&count);
    for (int i = 0; i < count; i++)
        assert_refused(&data, "--schedule", forms[kinds[i]->role], kinds[i]->name, kinds[i]->options,
                       kinds[i]->option_count);
}

static void broken_data_exits_1_and_names_the_file(void **state)
{
    (void)state;
    must_fail(1, "no-such-place", "--data %s", scratch_path("no-such-place"));

    struct path empty = path_of("empty");
    assert_int_equal(mkdir(empty.text, 0700), 0);
    must_fail(1, "empty", "--data %s", empty.text);

    struct path differ = small_data("differ");
    write_part(differ.text, "train", SMALL_TRAIN, SMALL_TRAIN - 1);
    must_fail(1, "differ", "--data %s", differ.text);

    struct path huge = small_data("huge");
    write_part(huge.text, "train", 0x80000000u, SMALL_TRAIN);
    must_fail(1, "train-images-idx3-ubyte", "--data %s", huge.text);
}

/* The committed sample, its largest file cut in the middle. */
static void truncated_gzip_exits_1_and_names_the_file(void **state)
{
    (void)state;
    static const char *const names[] = {"train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz",
                                        "t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"};
    char path[512], copy[64], *data;
    size_t size;
    assert_int_equal(mkdir(scratch_path("cut"), 0700), 0);
    for (int i = 0; i < 4; i++) {
        snprintf(path, sizeof path, "%s/%s", SAMPLE, names[i]);
        assert_int_equal(descent_file_read(path, 64 << 20, &data, &size), DESCENT_OK);
        snprintf(copy, sizeof copy, "cut/%s", names[i]);
        scratch_file(copy, data, i == 0 ? size / 2 : size);
        free(data);
    }
    must_fail(1, names[0], "--data %s", scratch_path("cut"));
}

static void out_is_refused_before_training(void **state)
{
    (void)state;
    struct path data = small_data("out");
    struct path file = path_of("regular"), taken = path_of("taken");
    scratch_file("regular", "x", 1);
    must_fail(1, "regular/run", "--data %s --out %s/run", data.text, file.text);
    must_fail(1, "exists and is not a directory", "--data %s --force --out %s", data.text, file.text);

    /* Refused, and nothing in it touched. */
    assert_int_equal(mkdir(taken.text, 0700), 0);
    scratch_file("taken/model.safetensors", "precious", 8);
    must_fail(1, "already exists; choose another, or overwrite the run in it with --force",
              "--data %s --out %s", data.text, taken.text);
    char *kept = file_text(scratch_path("taken/model.safetensors"));
    assert_string_equal(kept, "precious");
    free(kept);
}

static void wrong_weights_exit_1_and_name_the_file(void **state)
{
    (void)state;
    struct path data = small_data("weights");
    must_fail(1, "--weights: ", "--data %s --weights %s --out %s", data.text, scratch_path("no-weights"),
              scratch_path("w"));
    scratch_file("junk.safetensors", "not a safetensors file", 22);
    must_fail(1, "junk.safetensors", "--data %s --weights %s --out %s", data.text,
              scratch_path("junk.safetensors"), scratch_path("w"));
    assert_int_equal(access(scratch_path("w"), F_OK), -1);
}

static void no_arguments_teach_where_to_begin(void **state)
{
    (void)state;
    struct program program = program_run("%s", "");
    program_must_say(&program, 2, "train --help");
    program_free(&program);
}

static void help_and_lists_come_from_the_tables(void **state)
{
    (void)state;
    static const struct {
        const char *arguments, *fragment;
    } right[] = {
        {"--help", "(default: 64)"},
        {"-h", "Exit codes: 0 done"},
        {"--version", "descent 0."},
        {"list", "initializers:"},
        {"list --help", "usage: train list [KIND"},
        {"list -h", "initializers\n"},
        {"list optimizers", "adamw"},
        {"list optimizers adamw", "Loshchilov"},
        {"list optimizers muon", "parameters that it does not take are stepped by adamw"},
        {"list optimizers sps", "needs more than a gradient: the loss\n"},
        {"list optimizers dog", "evaluated and saved are other weights than those trained"},
        {"list wrappers", "lookahead"},
        {"list wrappers sam", "momentum:lr=0.1+sam"},
        {"list wrappers --markdown", "\n### ema\n"},
        {"list models mlp", "256/128"},
        {"list schedules warmup", "options"},
        {"list schedules cosine", "\n  |            ****"},
        {"list datasets fashion-mnist", "clothing"},
        {"list augmentations cutout", "1708.04552"},
        {"list initializers kaiming-normal", "2/fan"},
    };
    for (size_t i = 0; i < sizeof right / sizeof right[0]; i++) {
        struct program program = program_run("%s", right[i].arguments);
        if (program.code != 0 || *program.err || !strstr(program.out, right[i].fragment))
            fail_msg("train %s: exit code %d\n%s%s", right[i].arguments, program.code, program.out,
                     program.err);
        program_free(&program);
    }
}

static void a_result_that_cannot_be_printed_is_a_failure(void **state)
{
    (void)state;
    int code;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        if (dup2(open("/dev/full", O_WRONLY), STDOUT_FILENO) >= 0 &&
            dup2(open(scratch_path("stderr"), O_WRONLY | O_CREAT | O_TRUNC, 0600), STDERR_FILENO) >= 0)
            execl(TRAIN, "train", "list", "optimizers", (char *)NULL);
        _exit(127);
    }
    assert_int_equal(waitpid(child, &code, 0), child);
    assert_true(WIFEXITED(code));
    assert_int_equal(WEXITSTATUS(code), 1);
    char *said = file_text(scratch_path("stderr"));
    assert_non_null(strstr(said, "cannot write to standard output"));
    free(said);
}

/* The sample that the repository carries, looked at. */
static void data_shows_what_a_set_holds_and_draws_a_sheet(void **state)
{
    (void)state;
    struct path sheet = path_of("sheet.png"), again = path_of("again.png"), plain = path_of("plain.png");
    static const char *const expected[] = {"4500 training and 1000 test, 28 x 28, 1 channel", "ankle boot",
                                           "10 classes, 450 training images each",
                                           "0 training images repeat another",
                                           "an image of each class as it is"};
    struct program program =
        program_run("data %s --augment crop+flip+cutout --sheet %s", SAMPLE, sheet.text);
    assert_int_equal(program.code, 0);
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++)
        if (!strstr(program.out, expected[i]))
            fail_msg("expected '%s' in:\n%s", expected[i], program.out);
    program_free(&program);
    program = program_run("data %s --augment crop+flip+cutout --seed 2 --sheet %s", SAMPLE, again.text);
    assert_int_equal(program.code, 0);
    program_free(&program);
    program = program_run("data %s --sheet %s", SAMPLE, plain.text);
    assert_int_equal(program.code, 0);
    program_free(&program);

    size_t size[3];
    char *png[3];
    const char *path[3] = {sheet.text, again.text, plain.text};
    for (int i = 0; i < 3; i++) {
        assert_int_equal(descent_file_read(path[i], 1 << 20, &png[i], &size[i]), DESCENT_OK);
        assert_true(size[i] > 10000);
        assert_memory_equal(png[i] + 12, "IHDR", 4);
        for (int j = 0; j < i; j++)
            assert_true(size[i] != size[j] || memcmp(png[i], png[j], size[i]) != 0);
    }
    for (int i = 0; i < 3; i++)
        free(png[i]);
    must_fail(2, "unknown augmentation 'corp'; did you mean 'crop'?", "data %s --augment corp --sheet %s",
              SAMPLE, sheet.text);
    must_fail(2, "--seed x", "data --seed x");
    must_fail(2, "--augment is of the sheet", "data %s --no-sheet --augment bogus", SAMPLE);
    must_fail(2, "--sheet is of the sheet", "data %s --no-sheet --sheet %s", SAMPLE, sheet.text);
    must_fail(2, "--seed is of the sheet", "data %s --no-sheet --seed 2", SAMPLE);
    must_fail(2, "unknown option --sheat", "data --sheat x");
    must_fail(2, "unexpected argument 'b'", "data a b");
    must_fail(1, "no-such-set", "data no-such-set");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_options_exit_2_and_name_what_was_expected),
        cmocka_unit_test(wrong_specs_exit_2_and_name_the_nearest),
        cmocka_unit_test(every_optimizer_wrapper_and_schedule_refuses_wrong_hyperparameters_with_exit_2),
        cmocka_unit_test(broken_data_exits_1_and_names_the_file),
        cmocka_unit_test(truncated_gzip_exits_1_and_names_the_file),
        cmocka_unit_test(out_is_refused_before_training),
        cmocka_unit_test(wrong_weights_exit_1_and_name_the_file),
        cmocka_unit_test(no_arguments_teach_where_to_begin),
        cmocka_unit_test(help_and_lists_come_from_the_tables),
        cmocka_unit_test(a_result_that_cannot_be_printed_is_a_failure),
        cmocka_unit_test(data_shows_what_a_set_holds_and_draws_a_sheet),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
