/* Options of a training run; see train_options.h. */
#include "train/train_options.h"

#include "train/options.h"

#include <limits.h>
#include <math.h>

#define AT(field) offsetof(struct train_options, field)

static const struct option_row rows[] = {
    {"What to train", "data", "NAME|PATH", OPTION_TEXT, AT(config.data), "fashion-mnist",
     .help =
         "data set: a name that 'train list datasets' shows, or a path of what 'train list formats' shows"},
    {NULL, "skip-bad", NULL, OPTION_YES, AT(config.skip_bad),
     .help = "leave out and count images that cannot be decoded (default: stop at them)"},
    {NULL, "augment", "SPEC", OPTION_TEXT, AT(config.augment),
     .help = "random changes of training images, as crop+flip; see 'train list augmentations'"},
    {NULL, "model", "SPEC", OPTION_TEXT, AT(config.model), "lenet5",
     .help = "network; see 'train list models'"},
    {NULL, "optimizer", "SPEC", OPTION_TEXT, AT(config.optimizer), "adam",
     .help = "update rule; see 'train list optimizers'"},
    {NULL, "schedule", "SPEC", OPTION_TEXT, AT(config.schedule), "constant",
     .help = "course of the learning rate; see 'train list schedules'"},
    {NULL, "weights", "FILE", OPTION_TEXT, AT(config.weights),
     .help = "start from these .safetensors weights, from what matches by name and shape"},
    {NULL, "freeze", "PATTERN", OPTION_TEXT, AT(config.freeze),
     .help = "do not train parameters whose names match, like 'conv*'"},

    {"How to train", "epochs", "N", OPTION_COUNT, AT(config.epochs), "5", 1, 1e6,
     .help = "passes over the training set"},
    {NULL, "steps", "N", OPTION_COUNT, AT(config.steps), NULL, 1, INT_MAX,
     .help = "end after so many optimizer steps instead"},
    {NULL, "batch", "N|all", OPTION_COUNT_OR_ALL, AT(config.batch), "64", 1, INT_MAX,
     .help = "images an optimizer step; all: the whole training set, gradients added up"},
    {NULL, "micro-batch", "N", OPTION_COUNT, AT(config.micro_batch), NULL, 1, 65536,
     .help = "images a forward pass, less than a batch to save memory (default: --batch; with all, 256)"},
    {NULL, "drop-last", NULL, OPTION_YES, AT(config.drop_last),
     .help = "leave out an epoch's last batch where it is short"},
    {NULL, "keep-last", NULL, OPTION_NO, AT(config.drop_last), .help = "train on it too (the default)"},
    {NULL, "order", "HOW", OPTION_CHOICE, AT(config.order), "shuffled",
     .help =
         "of an epoch: fixed, shuffled, replacement (each image drawn from all), balanced (as many of each "
         "class)",
     .choices = data_order_names},
    {NULL, "clip", "NORM", OPTION_REAL, AT(config.clip), "0", 0, INFINITY,
     .help = "scale gradients down to this global norm; 0: off"},
    {NULL, "group", "PATTERN:SET", OPTION_TEXTS, AT(config.group), NULL, 0, TRAIN_GROUPS,
     .help = "other settings for parameters whose names match: 'conv*:lr=1e-4', 'fc*:lion:lr=1e-4', "
             "'fc1.*:freeze'; may be repeated"},
    {NULL, "layer-decay", "F", OPTION_REAL, AT(config.layer_decay), "1", 0, INFINITY,
     .help = "multiply a layer's lr by F for each layer after it; for fine-tuning, 0.65 to 0.9"},
    {NULL, "skip-not-finite", NULL, OPTION_YES, AT(config.skip_not_finite),
     .help = "skip and count steps whose gradient is not finite (default: stop)"},
    {NULL, "label-smoothing", "E", OPTION_REAL, AT(config.label_smoothing), "0", 0, 1,
     .help = "share of the target spread over all classes, in training"},
    {NULL, "seed", "N", OPTION_SEED, AT(config.seed), "1", 0, OPTION_LARGEST_SEED,
     .help = "of initial weights, order, split, augmentation and dropout; same seed, same bits"},
    {NULL, "threads", "N", OPTION_COUNT, AT(config.threads), NULL, 1, DESCENT_MAX_THREADS,
     .help = "never changes a result (default: the CPUs it may use)"},
    {NULL, "workers", "N", OPTION_COUNT, AT(config.workers), "1", 0, DATA_MAX_WORKERS,
     .help = "threads that prepare the next batches meanwhile; 0: none; never changes a result"},

    {"How to judge", "validation", "FRACTION", OPTION_REAL, AT(config.validation), "0", 0, 1,
     .help = "hold out this part of the training set; the test set is then read once, at the end"},
    {NULL, "split-seed", "N", OPTION_SEED, AT(config.split_seed), NULL, 1, OPTION_LARGEST_SEED,
     .help = "of which images are held out (default: --seed)"},
    {NULL, "evaluations", "N", OPTION_COUNT, AT(config.evaluations), NULL, 1, 1e6,
     .help = "evaluate N times over the run, equally many steps apart (default: after each epoch)"},
    {NULL, "no-test", NULL, OPTION_YES, AT(config.no_test),
     .help = "never read the test set: for choosing settings by --validation"},
    {NULL, "eval-batch", "N", OPTION_COUNT, AT(config.eval_batch), "256", 1, 65536,
     .help = "images a forward pass of evaluation"},

    {"What to write", "out", "DIR", OPTION_TEXT, AT(config.out),
     .help = "run directory to make (default: runs/MODEL-DATA-N with the first N that is free)"},
    {NULL, "force", NULL, OPTION_YES, AT(config.force),
     .help = "overwrite the run in an existing directory"},
    {NULL, "no-model", NULL, OPTION_YES, AT(config.no_model), .help = "do not save the model"},
    {NULL, "log-every", "N", OPTION_COUNT, AT(config.log_every), "1", 1, INT_MAX,
     .help = "steps between step lines in metrics.jsonl"},
    {NULL, "trajectory", "N", OPTION_COUNT, AT(config.trajectory), NULL, 3, 100000,
     .help = "keep N points (alone: 50) of the weights' path in trajectory.npy, for 'train landscape "
             "--trajectory'; 4 bytes a weight and point",
     .bare = "50"},
    {NULL, "quiet", NULL, OPTION_YES, AT(quiet), .help = "print nothing but errors"},
    {NULL, "help", NULL, OPTION_YES, AT(help), .help = "print this (also -h) and exit"},
};

/* What does not fit together, whatever the data. */
static enum descent_status check(const struct train_config *config)
{
    if (config->batch > 0 && config->micro_batch > config->batch)
        return descent_fail(DESCENT_BAD_ARGUMENT, "--micro-batch %d is more than --batch %d",
                            config->micro_batch, config->batch);
    if (config->split_seed && config->validation == 0)
        return descent_fail(DESCENT_BAD_ARGUMENT, "--split-seed without --validation: nothing is held out");
    if (config->force && !config->out)
        return descent_fail(DESCENT_BAD_ARGUMENT, "--force without --out: there is nothing to overwrite");
    return DESCENT_OK;
}

/* `command` reads what a training run takes. */
static struct option_table table_of(const char *command)
{
    return (struct option_table){.command = command, .rows = rows, .count = sizeof rows / sizeof rows[0]};
}

enum descent_status train_options_read(const char *command, int argc, char **argv,
                                       struct train_options *options)
{
    const struct option_table table = table_of(command);
    *options = (struct train_options){.config.threads = descent_cpus()};
    enum descent_status status = options_read(&table, argc, argv, options);
    return status == DESCENT_OK && !options->help ? check(&options->config) : status;
}

void train_options_free(struct train_options *options)
{
    const struct option_table table = table_of("train");
    options_free(&table, options);
}

void train_options_print(FILE *stream)
{
    const struct option_table table = table_of("train");
    options_print(&table, stream);
}
