/* `train`: one run from the command line, shown as it goes. */
#include "train/commands.h"
#include "train/display.h"
#include "train/extension.h"
#include "train/launch.h"
#include "train/train_options.h"

#include <stdio.h>

static const char usage[] = "usage: train [OPTIONS]                          train a network\n";

static const char introduction[] =
    "\n"
    "Trains a network on labeled images, shows how it learns, and writes what came out to a directory.\n"
    "Where the data set has numbers to predict instead of classes (.npy pairs), the loss is their mean "
    "squared\n"
    "error, each normalized by its mean and deviation in the training set, and R^2 takes the place of "
    "accuracy.\n"
    "\n"
    "Examples:\n"
    "  train --data fashion-mnist --model lenet5 --optimizer adam:lr=1e-3 --epochs 5 --out runs/a\n"
    "      The classic first run: five passes over 60,000 pictures of clothes, about 89 % on the test "
    "set.\n"
    "  train --model cnn --batch 128 --optimizer adamw:lr=2e-3,weight_decay=0.05 --schedule "
    "cosine+warmup:5%\n"
    "      A stronger network; the learning rate climbs over the first 5 % of the steps, then falls along "
    "half a cosine.\n"
    "  train --data cifar-10-binary.tar.gz --model resnet20 --augment crop:pad=4+flip --epochs 30\n"
    "      The archive as it was downloaded; each epoch sees its pictures shifted and mirrored.\n"
    "  train --data ./photos:size=64 --model cnn --validation 0.1\n"
    "      Your own pictures, a folder a class; a tenth of the training set judges each epoch, the test "
    "set "
    "only the end.\n"
    "  train --model ./mynet.c:width=2 --optimizer ./myrule.c:lr=0.05\n"
    "      Your own network and update rule, compiled and loaded; 'train new model mynet' writes one to "
    "begin "
    "with.\n"
    "  train --model cnn --weights runs/a/model.safetensors --freeze 'conv*'\n"
    "      Start from saved weights, whatever of them fits, and train only the other layers.\n"
    "\n";

static const char grammar[] =
    "\n"
    "Specs name models, optimizers and schedules, and set their options:\n"
    "  adamw                       a name: every option has its default\n"
    "  adamw:lr=3e-4,beta2=0.98    options after a colon, separated by commas\n"
    "  mlp:256/128                 a bare first value is the first option; lists are separated by slashes\n"
    "  cosine+warmup:5%            what wraps the first part follows a plus sign\n"
    "  ./mynet.c:width=2           a path that begins with . or / is your own C file: compiled with $CC "
    "(or "
    "cc), kept in\n"
    "                              $XDG_CACHE_HOME/descent or ~/.cache/descent, and compiled again when it "
    "or a header changes\n"
    "  500, 2ep, 5%                durations: steps, epochs, a part of the whole run\n"
    "  'train list models', 'train list optimizers adamw', ... show names, options, defaults and papers.\n"
    "\n"
    "The run directory holds run.json (the whole configuration and the machine), metrics.jsonl (one JSON "
    "object a line: steps,\n"
    "epochs, the end; accuracies are fractions, seconds count training only) and model.safetensors "
    "(PyTorch's names and layouts;\n"
    "written before the first step and after each epoch, so that there always is one); with --trajectory "
    "also trajectory.npy,\n"
    "records of a step and all weights.\n"
    "\n"
    "Ctrl-C ends the run after the current step: the model is saved, tested once and reported, and the "
    "exit code is 130 (143 after\n"
    "SIGTERM). A second Ctrl-C kills at once.\n"
    "\n"
    "Exit codes: 0 done; 1 failed (a file, memory, an existing --out); 2 wrong usage; 3 training "
    "diverged.\n"
    "\n"
    "Environment: DESCENT_DATA, a directory of data sets; DESCENT_ISA=generic|avx2|avx512 limits the "
    "instruction set; NO_COLOR.\n";

static void print_help(FILE *stream)
{
    int count;
    const struct command *const *all = commands(&count);
    fputs(usage, stream);
    for (int i = 1; i < count; i++)
        fprintf(stream, "       train %-9s %-24s %s\n", all[i]->name, all[i]->arguments, all[i]->summary);
    fputs(introduction, stream);
    train_options_print(stream);
    fputs(grammar, stream);
}

static int train(struct train_config *config, bool quiet)
{
    enum descent_status status = extension_load_config(config);
    if (status != DESCENT_OK)
        return report_error(status);
    char out[256];
    launch_out(config, "", out, sizeof out);
    struct display display = display_on(stdout);
    struct train_observer observer = quiet ? (struct train_observer){0} : display_observer(&display);
    observer.wants_stop = launch_wants_stop;
    struct train_result result;
    launch_catch_signals();
    status = train_run(config, &observer, &result);
    if (status != DESCENT_OK) {
        if (!quiet)
            display_clear(&display);
        return report_error(status);
    }
    return result.outcome == TRAIN_INTERRUPTED ? EXIT_SIGNAL + launch_signal() : EXIT_DONE;
}

static int run_train(int argc, char **argv)
{
    struct train_options options;
    int code = EXIT_DONE;
    if (argc == 1) {
        fprintf(stderr, "%s       try: train --data fashion-mnist --model lenet5, or train --help\n",
                usage);
        return EXIT_USAGE;
    }
    enum descent_status status = train_options_read("train", argc, argv, &options);
    if (status != DESCENT_OK)
        code = report_error(status);
    else if (options.help)
        print_help(stdout);
    else
        code = train(&options.config, options.quiet);
    train_options_free(&options);
    return code;
}

const struct command command_train = {"", "[OPTIONS]", "train a network", run_train};
