/* C files of one's own, as a user meets them: written outside the repository, compiled, loaded, trained. */
#include "train/extension.h"

#include "tests/train/program.h"

#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <math.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define EXAMPLES SOURCE "/examples"

/* A scratch file with a copy of a text file, `from` replaced by `to` in it. */
static struct path copy(const char *name, const char *source, const char *from, const char *to)
{
    char *text = file_text(source);
    size_t at = 0, length = strlen(from);
    while (text[at] && strncmp(text + at, from, length) != 0)
        at++;
    struct path path = path_of(name);
    FILE *stream = fopen(path.text, "w");
    assert_non_null(stream);
    if (!text[at])
        fail_msg("%s holds no '%s'", source, from);
    fprintf(stream, "%.*s%s%s", (int)at, text, to, text + at + length);
    assert_int_equal(fclose(stream), 0);
    free(text);
    return path;
}

static struct path write_text(const char *name, const char *text)
{
    scratch_file(name, text, strlen(text));
    return path_of(name);
}

static void must_succeed(struct program program)
{
    if (program.code != 0)
        fail_msg("exit code %d:\n%s", program.code, program.err);
    program_free(&program);
}

static void must_print(struct program program, const char *const *fragments)
{
    if (program.code != 0)
        fail_msg("exit code %d:\n%s", program.code, program.err);
    for (; *fragments; fragments++)
        if (!strstr(program.out, *fragments))
            fail_msg("'%s' is not in\n%s", *fragments, program.out);
    program_free(&program);
}

static double step_loss(const char *run, int step)
{
    struct descent_json *event = metrics_event(run, "step", step);
    assert_non_null(event);
    double loss = descent_json_number(event, "loss", NAN);
    descent_json_free(event);
    return loss;
}

static double test_accuracy(const char *run)
{
    struct descent_json *event = metrics_event(run, "end", 0);
    assert_non_null(event);
    double accuracy = descent_json_number(event, "test_accuracy", NAN);
    descent_json_free(event);
    return accuracy;
}

static struct path data, network, rule;

static void a_network_and_a_rule_of_ones_own_train(void **state)
{
    (void)state;
    struct path run = path_of("both");
    must_succeed(
        program_run("--data %s --model %s:64,blocks=2 --optimizer %s:lr=3e-3 --epochs 6 --batch 20 "
                    "--quiet --out %s",
                    data.text, network.text, rule.text, run.text));
    if (!(test_accuracy(run.text) >= 0.9))
        fail_msg("test accuracy %g", test_accuracy(run.text));

    char path[300];
    snprintf(path, sizeof path, "%s/run.json", run.text);
    char *json = file_text(path);
    assert_non_null(strstr(json, "\"code\""));
    assert_non_null(strstr(json, network.text));
    snprintf(path, sizeof path, "\"optimizer\": \"%s:lr=0.003,beta1=0.9,", rule.text);
    assert_non_null(strstr(json, path));
    free(json);
}

static void they_have_cards(void **state)
{
    (void)state;
    must_print(program_run("list models %s", network.text),
               (const char *[]){network.text, "a multilayer perceptron with residual blocks", "blocks",
                                "[0, 1000]", "ECCV 2016", NULL});
    must_print(program_run("list optimizers %s", rule.text),
               (const char *[]){rule.text, "x <- x (1 - lr weight_decay)", "beta2", "(decoupled)",
                                "searched from 3e-06 to 0.003, on a log scale", "arXiv:2411.16085", NULL});
}

/* The same rule made of what is built in. */
static void a_rule_of_ones_own_steps_as_the_built_in_one(void **state)
{
    (void)state;
    struct path own = path_of("own"), built_in = path_of("built-in");
    static const char options[] = "lr=1e-3,weight_decay=0.1";
    must_succeed(program_run("--data %s --model lenet5 --optimizer %s:%s --steps 12 --quiet --out %s",
                             data.text, rule.text, options, own.text));
    must_succeed(program_run("--data %s --model lenet5 --optimizer lion:%s+cautious --steps 12 --quiet "
                             "--out %s",
                             data.text, options, built_in.text));
    assert_true(step_loss(own.text, 11) < 0.95 * step_loss(own.text, 0));
    for (int step = 0; step < 12; step++) {
        double loss = step_loss(own.text, step), expected = step_loss(built_in.text, step);
        if (!(fabs(loss - expected) <= 1e-4 * expected))
            fail_msg("loss %.7g in step %d, expected %.7g", loss, step + 1, expected);
    }
}

static void a_wrapper_of_ones_own_wraps(void **state)
{
    (void)state;
    struct path wrapper = write_text(
        "odd.c", "#include \"optim/algorithm.h\"\n"
                 "static enum descent_status step(struct optim_run *run)\n"
                 "{\n"
                 "    return run->step % 2 == 1 ? optim_inner(run) : DESCENT_OK;\n"
                 "}\n"
                 "OPTIM_EXPORT = {.summary = \"every other step\", .wraps = true, .step = step};\n");
    struct path plain = path_of("plain"), wrapped = path_of("wrapped");
    must_print(program_run("list wrappers %s", wrapper.text),
               (const char *[]){"every other step", "follows an optimizer", NULL});
    must_succeed(program_run("--data %s --model mlp:16 --optimizer adamw --steps 3 --quiet --out %s",
                             data.text, plain.text));
    must_succeed(program_run("--data %s --model mlp:16 --optimizer adamw+%s --steps 3 --quiet --out %s",
                             data.text, wrapper.text, wrapped.text));
    assert_true(step_loss(plain.text, 1) == step_loss(wrapped.text, 1));
    assert_true(step_loss(plain.text, 2) != step_loss(wrapped.text, 2));
}

static void a_path_may_stand_where_a_name_may(void **state)
{
    (void)state;
    struct path run = path_of("places");
    must_print(
        program_run("--data %s --model mlp:16 --optimizer %s:lr=1e-3+lookahead --schedule "
                    "cosine+warmup:2 --group fc2*:%s:lr=1e-4 --group fc1.*:lr=1e-2 --steps 4 --out %s",
                    data.text, rule.text, rule.text, run.text),
        (const char *[]){"+lookahead:k=5", "test accuracy", NULL});
    must_print(program_run("--data %s --model mlp:16 --group fc2*:%s:beta1=0.8 --steps 2 --out %s --force",
                           data.text, rule.text, run.text),
               (const char *[]){"test accuracy", NULL});
    must_print(program_run("lr-find --data %s --model %s --optimizer %s:beta1=0.8 --out %s --force",
                           data.text, network.text, rule.text, run.text),
               (const char *[]){"learning rates from", NULL});
    must_print(program_run("landscape --surface ravine --optimizers %s --optimizer %s:beta1=0.8+lookahead "
                           "--steps 5 --budget 3 --no-pictures --out %s",
                           rule.text, rule.text, path_of("surface").text),
               (const char *[]){rule.text, NULL});
}

/* Weights belong to the network that was trained, not to what its file has become. */
static void a_changed_network_is_not_compiled_for_old_weights(void **state)
{
    (void)state;
    struct path run = path_of("changed-run"), out = path_of("changed-out"),
                own = copy("changed.c", network.text, "of one's own", "as trained");
    char record[300];
    must_succeed(
        program_run("--data %s --model %s:16 --steps 2 --quiet --out %s", data.text, own.text, run.text));
    must_succeed(program_run("landscape --run %s --allow-code --grid 3 --images 10 --no-pictures --out %s",
                             run.text, out.text));
    snprintf(record, sizeof record, "%s/landscape.json", out.text);
    char *json = file_text(record), md5[DATA_MD5_TEXT];
    assert_int_equal(extension_digest(own.text, md5), DESCENT_OK);
    assert_non_null(strstr(json, md5));
    free(json);
    copy("changed.c", network.text, "of one's own", "changed #error");
    struct program program =
        program_run("landscape --run %s --allow-code --grid 3 --images 10 --out %s", run.text, out.text);
    program_must_say(&program, 1, "changed.c is not what was trained");
    program_must_say(&program, 1, md5);
    program_free(&program);
}

static void they_take_part_in_a_comparison(void **state)
{
    (void)state;
    struct path out = path_of("comparison");
    must_succeed(
        program_run("compare --data %s --model %s:16,blocks=1 --optimizers adamw --optimizer "
                    "own=%s:weight_decay=0.1 --budget 2 --seeds 2 --epochs 1 --batch 20 --points 4 "
                    "--jobs 2 --quiet --out %s",
                    data.text, network.text, rule.text, out.text));
    struct program again = program_run("compare --out %s", out.text);
    program_must_say(&again, 2, "--allow-code");
    program_must_say(&again, 2, rule.text);
    program_free(&again);
    must_succeed(program_run("compare --out %s --allow-code --quiet", out.text));

    struct path own = copy("own.c", rule.text, "1e-3)", "2e-3)");
    must_succeed(program_run("compare --out %s --allow-code --optimizer %s --quiet", out.text, own.text));
    copy("own.c", rule.text, "1e-3)", "3e-3)");
    again = program_run("compare --out %s --allow-code", out.text);
    program_must_say(&again, 1, "own.c as it was before it was changed");
    program_free(&again);
}

static void new_files_train_as_they_stand(void **state)
{
    (void)state;
    struct path run = path_of("new");
    must_succeed(program_run("new model my_net"));
    must_succeed(program_run("new optimizer my-rule"));
    struct program again = program_run("new model my_net");
    program_must_say(&again, 1, "my_net.c: already exists");
    program_free(&again);
    must_succeed(
        program_run("--data %s --model ./my_net.c:32,dropout=0.1 --optimizer ./my-rule.c --epochs 3 "
                    "--batch 20 --out %s",
                    data.text, run.text));
    if (!(test_accuracy(run.text) >= 0.9))
        fail_msg("test accuracy %g", test_accuracy(run.text));
    must_print(
        program_run("list optimizers ./my-rule.c"),
        (const char *[]){"optimizer ./my-rule.c: gradient descent with momentum", "searched from", NULL});
    char *text = file_text("my_net.c");
    assert_non_null(strstr(text, "--model ./my_net.c"));
    assert_null(strstr(text, "NAME"));
    free(text);
    static const struct {
        const char *arguments, *message;
    } wrong[] = {
        {"new", "two arguments"},
        {"new model", "two arguments"},
        {"new models x", "did you mean 'model'?"},
        {"new model a/b", "expected a name of letters, digits"},
        {"new model x.c", "without .c"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct program program = program_run("%s", wrong[i].arguments);
        program_must_say(&program, 2, wrong[i].message);
        program_free(&program);
    }
}

/* ---- What can be wrong ---- */

static void must_fail(int code, const char *option, const char *path, const char *message)
{
    struct program program =
        program_run("--data %s %s %s --steps 1 --out %s", data.text, option, path, path_of("none").text);
    program_must_say(&program, code, message);
    program_must_say(&program, code, path);
    program_free(&program);
    assert_int_equal(access(path_of("none").text, F_OK), -1);
}

static void what_is_wrong_with_a_file_is_said(void **state)
{
    (void)state;
    static const char net[] = EXAMPLES "/residual_mlp.c", lion[] = EXAMPLES "/cautious_lion.c";
    struct path path = copy("syntax.c", net, "return nn_add(x, y);", "return nn_add(x, y)");
    must_fail(2, "--model", path.text, "error: expected");
    must_fail(2, "--model", path.text, "does not compile it");
    path = copy("header.c", net, "models/models.h", "models/no_such.h");
    must_fail(2, "--model", path.text, "models/no_such.h");
    path = copy("table.c", lion, ".options = options,", "");
    must_fail(2, "--optimizer", path.text, "has no table of hyperparameters: set .options");
    path = copy("count.c", lion, ".option_count = HYPERPARAMETERS,", "");
    must_fail(2, "--optimizer", path.text, "has no table of hyperparameters");
    path = copy("first.c", lion, "enum { LR, BETA1,", "enum { BETA1, LR,");
    must_fail(2, "--optimizer", path.text, "expected lr");
    path = copy("range.c", lion, "OPTIM_LR(\"1e-4\"", "OPTIM_LR(\"-1\"");
    must_fail(2, "--optimizer", path.text, "the default: lr=-1 for optimizer");
    path = copy("build.c", net, ".build = build,", ".build = 0, .paper = build ? 0 : 0,");
    must_fail(2, "--model", path.text, "has no function .build");
    path = copy("version.c", net, "\nMODEL_EXPORT", "\n#define DESCENT_INTERFACE 999\nMODEL_EXPORT");
    must_fail(2, "--model", path.text, "is for version 999 of descent's interface");
    path = copy("silent.c", net, "\nMODEL_EXPORT", "\nconst struct model model_export");
    must_fail(2, "--model", path.text, "does not say for which version of descent's interface");
    path = write_text("empty.c", "int nothing;\n");
    must_fail(2, "--model", path.text, "defines no model; it should end with MODEL_EXPORT = {...}");
    must_fail(2, "--optimizer", network.text, "is no optimizer: it defines a model");
    path =
        copy("undefined.c", net, "#include \"models/models.h\"",
             "#include \"models/models.h\"\nnn_node *nn_no_such(nn_node *x);\n#define nn_relu nn_no_such");
    must_fail(2, "--model", path.text, "nn_no_such");
    path = copy("net.o", net, "for `train`", "");
    must_fail(2, "--model", path.text, "expected a C file, whose name ends in .c");
    must_fail(1, "--model", path_of("missing.c").text, "cannot open");
    must_fail(2, "--model", "dir/net.c", "the path of a C file begins with '.' or '/': ./dir/net.c");
    struct program program = program_run("--data %s --model %s:block=3", data.text, network.text);
    program_must_say(&program, 2, "did you mean 'blocks'?");
    program_free(&program);
}

static void a_missing_compiler_is_named(void **state)
{
    (void)state;
    setenv("CC", "no-such-compiler -x", 1);
    must_fail(1, "--model", network.text, "the C compiler 'no-such-compiler' cannot be run");
    unsetenv("CC");
}

/* ---- The cache ---- */

/* How often the compiler of `set_counting_compiler` has compiled. */
static int count_compilations(void)
{
    char *log = file_text(scratch_path("compilations"));
    int count = 0;
    for (const char *line = log; *line; line = strchr(line, '\n') + 1)
        count++;
    free(log);
    return count;
}

static void set_counting_compiler(void)
{
    char script[1024];
    struct path path = path_of("counting-cc"), log = path_of("compilations");
    int size =
        snprintf(script, sizeof script,
                 "#!/bin/sh\ncase \"$*\" in *' -E '*) ;; *) echo >>%s ;; esac\nexec cc \"$@\"\n", log.text);
    scratch_file("counting-cc", script, (size_t)size);
    scratch_file("compilations", "", 0);
    assert_int_equal(chmod(path.text, 0700), 0);
    setenv("CC", path.text, 1);
}

static void only_what_changed_is_compiled(void **state)
{
    (void)state;
    set_counting_compiler();
    struct path part = write_text("part.h", "enum { SHARE = 1 };\n");
    struct path path = copy("cached.c", EXAMPLES "/residual_mlp.c", "#include \"models/models.h\"",
                            "#include \"models/models.h\"\n#include \"part.h\"");
    must_succeed(program_run("list models %s", path.text));
    assert_int_equal(count_compilations(), 1);
    must_succeed(program_run("list models %s", path.text));
    assert_int_equal(count_compilations(), 1);
    path = copy("cached.c", path.text, "residual blocks\"", "residual blocks, changed\"");
    must_print(program_run("list models %s", path.text),
               (const char *[]){"residual blocks, changed", NULL});
    assert_int_equal(count_compilations(), 2);
    write_text("part.h", "enum { SHARE = 2 };\n");
    must_succeed(program_run("list models %s", path.text));
    assert_int_equal(count_compilations(), 3);
    write_text("part.h", "enum { SHARE = 1 };\n"); /* as before: still there */
    must_succeed(program_run("list models %s", path.text));
    assert_int_equal(count_compilations(), 3);
    (void)part;
    unsetenv("CC");
}

/* As if last used so many days ago. */
static void make_old(const char *path, int days)
{
    struct timespec then[2];
    clock_gettime(CLOCK_REALTIME, &then[0]);
    then[0].tv_sec -= (time_t)days * 24 * 3600;
    then[1] = then[0];
    assert_int_equal(utimensat(AT_FDCWD, path, then, 0), 0);
}

static void what_was_not_used_for_long_leaves_the_cache(void **state)
{
    (void)state;
    struct path cache = path_of("old-cache");
    setenv("XDG_CACHE_HOME", cache.text, 1);
    must_succeed(program_run("list models %s", network.text));
    glob_t used;
    char pattern[300];
    snprintf(pattern, sizeof pattern, "%s/descent/*.so", cache.text);
    assert_int_equal(glob(pattern, 0, NULL, &used), 0);
    assert_int_equal(used.gl_pathc, 1);
    struct path old = write_text("old-cache/descent/old.so", ""),
                young = write_text("old-cache/descent/young.so", "");
    make_old(old.text, 91);
    make_old(young.text, 89);
    make_old(used.gl_pathv[0], 91);
    must_succeed(program_run("list models %s", network.text)); /* used: not old any more */
    assert_int_equal(access(old.text, F_OK), 0);               /* nothing was compiled */
    must_succeed(program_run("list optimizers %s", rule.text));
    assert_int_not_equal(access(old.text, F_OK), 0);
    assert_int_equal(access(young.text, F_OK), 0);
    assert_int_equal(access(used.gl_pathv[0], F_OK), 0);
    globfree(&used);
    setenv("XDG_CACHE_HOME", path_of("cache").text, 1);
}

static void code_is_not_loaded_from_where_others_can_write(void **state)
{
    (void)state;
    struct path cache = path_of("open");
    char directory[300];
    snprintf(directory, sizeof directory, "%s/descent", cache.text);
    assert_int_equal(mkdir(cache.text, 0700) || mkdir(directory, 0700) || chmod(directory, 0777), 0);
    setenv("XDG_CACHE_HOME", cache.text, 1);
    struct program program = program_run("list models %s", network.text);
    program_must_say(&program, 1, "others could write there");
    program_free(&program);
    setenv("XDG_CACHE_HOME", path_of("cache").text, 1);
}

/* ---- Code that a file names ---- */

static void code_that_is_only_found_is_not_compiled(void **state)
{
    (void)state;
    assert_true(spec_names_code("./net.c:1") && spec_names_code("adam+./wrap.c") &&
                spec_names_code("/a/rule.c:lr=1"));
    assert_false(spec_names_code("lenet5") || spec_names_code("lr=1e-3") ||
                 spec_names_code("mlp:256/128") || spec_names_code(NULL));
    struct path missing = path_of("found.c");
    assert_int_equal(extension_load_found(EXTENSION_MODEL, missing.text, "run.json", false),
                     DESCENT_BAD_ARGUMENT);
    assert_non_null(strstr(descent_error(), "run.json names C code"));
    assert_non_null(strstr(descent_error(), "--allow-code"));
    assert_int_equal(extension_load_found(EXTENSION_MODEL, missing.text, "run.json", true),
                     DESCENT_NOT_FOUND); /* so it looked */
    assert_int_equal(extension_load_found(EXTENSION_MODEL, "lenet5", "run.json", false), DESCENT_OK);
}

static int set_up(void **state)
{
    (void)state;
    data = small_data("small");
    setenv("XDG_CACHE_HOME", path_of("cache").text, 1);
    unsetenv("CC");
    network = copy("net.c", EXAMPLES "/residual_mlp.c", "for `train`", "of one's own");
    rule = copy("lion.c", EXAMPLES "/cautious_lion.c", "for `train`", "of one's own");
    return chdir(scratch_directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_network_and_a_rule_of_ones_own_train),
        cmocka_unit_test(they_have_cards),
        cmocka_unit_test(a_rule_of_ones_own_steps_as_the_built_in_one),
        cmocka_unit_test(a_wrapper_of_ones_own_wraps),
        cmocka_unit_test(a_path_may_stand_where_a_name_may),
        cmocka_unit_test(a_changed_network_is_not_compiled_for_old_weights),
        cmocka_unit_test(they_take_part_in_a_comparison),
        cmocka_unit_test(new_files_train_as_they_stand),
        cmocka_unit_test(what_is_wrong_with_a_file_is_said),
        cmocka_unit_test(a_missing_compiler_is_named),
        cmocka_unit_test(only_what_changed_is_compiled),
        cmocka_unit_test(what_was_not_used_for_long_leaves_the_cache),
        cmocka_unit_test(code_is_not_loaded_from_where_others_can_write),
        cmocka_unit_test(code_that_is_only_found_is_not_compiled),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
