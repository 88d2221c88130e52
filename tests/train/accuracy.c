/* What networks reach on real pictures, by the `train` program as a user runs it. Thresholds lie below what
 * seeds 1 to 3 reach, far above what a wrong gradient, schedule or normalization leaves. */
#include "tests/train/program.h"

#include <math.h>

static double accuracy_of(const char *arguments)
{
    static int runs;
    char name[32];
    snprintf(name, sizeof name, "run-%d", ++runs);
    struct path out = path_of(name);
    struct program program = program_run("--quiet --out %s %s", out.text, arguments);
    program_must_say(&program, 0, "");
    program_free(&program);
    struct descent_json *end = metrics_event(out.text, "end", 0);
    assert_non_null(end);
    double accuracy = descent_json_number(end, "test_accuracy", NAN);
    descent_json_free(end);
    return accuracy;
}

static void must_reach(double least, const char *arguments)
{
    double accuracy = accuracy_of(arguments);
    print_message("%.2f %% (at least %.1f %%): train %s\n", 100 * accuracy, 100 * least, arguments);
    if (!(accuracy >= least))
        fail_msg("too low");
}

static void every_network_learns_the_committed_sample(void **state)
{
    (void)state;
    must_reach(0.81, "--data " SAMPLE " --model mlp --epochs 4");
    must_reach(0.81, "--data " SAMPLE
                     " --model lenet5 --epochs 10 --optimizer adam:lr=2e-3 --schedule cosine+warmup:5%");
    must_reach(0.75, "--data " SAMPLE " --model cnn --epochs 3 --optimizer momentum:lr=0.02 --clip 5");
    must_reach(0.70, "--data " SAMPLE
                     " --model resnet20:width=0.5 --epochs 2 --batch 32 --optimizer adam:lr=3e-3");
}

/* The first two of the five epochs after which it stands at 88.5 %. */
static void lenet5_learns_fashion_mnist(void **state)
{
    (void)state;
    if (access("/usr/share/datasets/fashion-mnist", R_OK) != 0) {
        print_message("fashion-mnist is not installed\n");
        skip();
    }
    must_reach(0.855, "--data fashion-mnist --model lenet5 --optimizer adam:lr=1e-3 --batch 64 --epochs 2");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_network_learns_the_committed_sample),
        cmocka_unit_test(lenet5_learns_fashion_mnist),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
