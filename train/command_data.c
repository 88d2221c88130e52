/* `train data`: what a data set holds, and a picture of what the network will see of it. */
#include "train/commands.h"
#include "train/options.h"
#include "train/sheet.h"

#include "data/data.h"

#include <stdio.h>
#include <stdlib.h>

static const char introduction[] =
    "usage: train data [DATASET] [OPTIONS]\n"
    "\n"
    "Shows what a data set holds: counts, classes, statistics, images that are there twice, files.\n"
    "Draws a contact sheet: images of each class, or, with --augment, one image of each as the first\n"
    "epochs will see it.\n"
    "\n";

struct request {
    const char *data, *sheet, *augment;
    bool no_sheet, skip_bad, help;
    uint64_t seed;
};

#define AT(field) offsetof(struct request, field)

static const struct option_row arguments[] = {
    {NULL, NULL, "DATASET", OPTION_TEXT, AT(data), "fashion-mnist",
     .help = "a name or path, as 'train --data' takes it"},
};

static const struct option_row rows[] = {
    {NULL, "augment", "SPEC", OPTION_TEXT, AT(augment),
     .help = "augmentations as 'train --augment' takes them, see 'train list augmentations'"},
    {NULL, "sheet", "FILE", OPTION_TEXT, AT(sheet),
     .help = "the PNG file to write (default: DATASET.png, in this directory)"},
    {NULL, "no-sheet", NULL, OPTION_YES, AT(no_sheet), .help = "write none"},
    {NULL, "skip-bad", NULL, OPTION_YES, AT(skip_bad),
     .help = "leave out and count images that cannot be decoded"},
    {NULL, "seed", "N", OPTION_SEED, AT(seed), "1", 0, OPTION_LARGEST_SEED, .help = "of the augmentations"},
    {NULL, "help", NULL, OPTION_YES, AT(help), .help = "print this (also -h) and exit"},
};

static bool typed[sizeof rows / sizeof rows[0]];

static const struct option_table table = {.command = "train data",
                                          .rows = rows,
                                          .count = sizeof rows / sizeof rows[0],
                                          .typed = typed,
                                          .arguments = arguments,
                                          .argument_count = 1};

/* ---- What it holds ---- */

static void print_numbers(const char *title, const float *numbers, int count)
{
    printf("%s", title);
    for (int i = 0; i < count; i++)
        printf(" %.4f", (double)numbers[i]);
}

static void print_set(const struct data_info *info)
{
    printf("data        %s in %s\n", info->name, info->path);
    printf("images      %lld training and %lld test, %d x %d, %d channel%s (height x width)\n",
           (long long)info->train_count, (long long)info->test_count, info->height, info->width,
           info->channels, info->channels == 1 ? "" : "s");
    if (info->skipped > 0)
        printf("skipped     %lld that could not be decoded; the first: %s\n", (long long)info->skipped,
               info->skipped_first);
    print_numbers("training    mean", info->mean, info->channels);
    print_numbers(", deviation", info->deviation, info->channels);
    printf(" of pixels in 0 .. 1\n");
}

static void print_files(const struct data_info *info)
{
    for (int i = 0; i < info->file_count; i++) {
        const struct data_file *file = &info->files[i];
        printf("%-11s %s  MD5 %s%s%s\n", i == 0 ? "files" : "", file->name, file->md5,
               file->recognized ? ", as published: " : "", file->recognized ? file->recognized : "");
    }
}

/* counts: `classes` numbers of a part's images. */
static void count_classes(const struct data_view *view, int64_t *counts)
{
    for (int64_t i = 0; i < data_view_count(view); i++)
        counts[data_view_label(view, i)]++;
}

static void print_balance(const struct data_info *info, const int64_t *train, const int64_t *test)
{
    enum { BAR = 40 };
    int64_t least = train[0], most = train[0];
    for (int c = 1; c < info->classes; c++) {
        least = train[c] < least ? train[c] : least;
        most = train[c] > most ? train[c] : most;
    }
    printf("\n  %-24s %10s %8s %10s\n", "class", "training", "share", "test");
    for (int c = 0; c < info->classes; c++) {
        printf("  %-24s %10lld %6.2f %% %10lld  ", info->class_names[c], (long long)train[c],
               100 * (double)train[c] / (double)info->train_count, (long long)test[c]);
        for (int64_t i = 0; most > 0 && i < BAR * train[c] / most; i++)
            putchar('#');
        putchar('\n');
    }
    if (least == most)
        printf("\nbalance     %d classes, %lld training images each\n", info->classes, (long long)most);
    else if (least > 0)
        printf("\nbalance     %d classes; the largest has %.3g times the training images of the smallest\n",
               info->classes, (double)most / (double)least);
    else
        printf("\nbalance     %d classes, some without a training image\n", info->classes);
}

static enum descent_status print_classes(const struct data_set *set)
{
    const struct data_info *info = data_describe(set);
    struct data_view *train = data_view_train(set), *test = data_view_test(set);
    int64_t *counts = calloc(2 * (size_t)info->classes, sizeof *counts);
    enum descent_status status = DESCENT_OK;
    if (train && test && counts) {
        count_classes(train, counts);
        count_classes(test, counts + info->classes);
        print_balance(info, counts, counts + info->classes);
    } else {
        status = descent_fail(DESCENT_OUT_OF_MEMORY, "%s: no memory to count its classes", info->path);
    }
    data_view_free(train);
    data_view_free(test);
    free(counts);
    return status;
}

static void print_targets(const struct data_info *info)
{
    enum { SHOWN = 10 };
    for (int i = 0; i < info->targets && i < SHOWN; i++)
        printf("%-11s %d: mean %.6g, deviation %.6g in the training part\n", i == 0 ? "targets" : "", i,
               info->target_mean[i], info->target_deviation[i]);
    if (info->targets > SHOWN)
        printf("%-11s and %d more\n", "", info->targets - SHOWN);
}

static enum descent_status print_duplicates(const struct data_set *set)
{
    struct data_duplicates found;
    enum descent_status status = data_find_duplicates(set, &found);
    if (status != DESCENT_OK)
        return status;
    printf("duplicates  %lld training images repeat another, %lld test images too; %lld test images are "
           "training images as well\n",
           (long long)found.train, (long long)found.test, (long long)found.leaked);
    if (found.relabeled > 0)
        printf("            %lld of all these have another label than the first of their kind\n",
               (long long)found.relabeled);
    return DESCENT_OK;
}

/* The sheet is drawn before anything is printed: what is wrong with it should not be found after a page. */
static enum descent_status show(const struct data_set *set, const struct request *request)
{
    const struct data_info *info = data_describe(set);
    char path[256];
    snprintf(path, sizeof path, "%s.png", info->name);
    const struct sheet sheet = {
        .path = request->sheet ? request->sheet : path, .augment = request->augment, .seed = request->seed};
    enum descent_status status = request->no_sheet ? DESCENT_OK : sheet_write(set, &sheet);
    if (status != DESCENT_OK)
        return status;
    print_set(info);
    print_files(info);
    if (info->targets > 0)
        print_targets(info);
    else
        status = print_classes(set);
    if (status == DESCENT_OK)
        status = print_duplicates(set);
    if (status == DESCENT_OK && !request->no_sheet)
        printf("sheet       %s: %s\n", sheet.path,
               sheet.augment ? "an image of each class as it is, then as the first epochs see it"
                             : "the first images of each class");
    return status;
}

static enum descent_status open_set(const struct request *request, struct data_set **set)
{
    struct descent_pool *pool = descent_pool_new(descent_cpus());
    const struct data_open_options options = {.skip_bad = request->skip_bad, .pool = pool};
    enum descent_status status =
        pool ? data_open_with(request->data, &options, set) : DESCENT_OUT_OF_MEMORY;
    descent_pool_free(pool);
    return status;
}

/* Only the sheet shows what they do. */
static enum descent_status check(const struct request *request)
{
    static const char *const of_sheet[] = {"augment", "sheet", "seed", NULL};
    const char *name = request->no_sheet ? options_typed(&table, of_sheet) : NULL;
    return name
               ? descent_fail(DESCENT_BAD_ARGUMENT, "--%s is of the sheet, and --no-sheet wants none", name)
               : DESCENT_OK;
}

static int run_data(int argc, char **argv)
{
    struct request request = {0};
    struct data_set *set = NULL;
    enum descent_status status = options_read(&table, argc, argv, &request);
    if (status == DESCENT_OK && request.help) {
        fputs(introduction, stdout);
        options_print(&table, stdout);
        return EXIT_DONE;
    }
    if (status == DESCENT_OK)
        status = check(&request);
    if (status == DESCENT_OK)
        status = open_set(&request, &set);
    if (status == DESCENT_OK)
        status = show(set, &request);
    data_free(set);
    return report_error(status);
}

const struct command command_data = {
    "data", "[DATASET] [OPTIONS]", "show what a data set holds, and draw a sheet of its images", run_data};
