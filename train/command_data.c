/* `train data`: what a data set holds, and a picture of what the network will see of it. */
#include "train/commands.h"
#include "train/sheet.h"

#include "base/spec.h"
#include "data/data.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "usage: train data [DATASET] [OPTIONS]\n"
    "\n"
    "Shows what a data set holds (fashion-mnist, or a name or path as --data takes it): counts, classes,\n"
    "statistics, images that are there twice, files. Draws a contact sheet: images of each class, or, "
    "with\n"
    "--augment, one image of each as the first epochs will see it.\n"
    "\n"
    "  --augment SPEC   augmentations as 'train --augment' takes them, see 'train list augmentations'\n"
    "  --sheet FILE     the PNG file to write (default: DATASET.png, in this directory)\n"
    "  --no-sheet       write none\n"
    "  --skip-bad       leave out and count images that cannot be decoded\n"
    "  --seed N         of the augmentations (default: 1)\n"
    "  --help           print this and exit\n";

struct request {
    const char *data, *sheet, *augment;
    bool no_sheet, skip_bad, help;
    uint64_t seed;
};

static enum descent_status read_seed(const char *text, uint64_t *seed)
{
    const double largest = 9007199254740992.0; /* 2^53 */
    double number;
    if (!descent_parse_number(text, &number) || number < 0 || number > largest ||
        number != (double)(uint64_t)number)
        return descent_fail(DESCENT_BAD_ARGUMENT, "--seed %s: expected a whole number from 0 to %.0f", text,
                            largest);
    *seed = (uint64_t)number;
    return DESCENT_OK;
}

static enum descent_status read_request(int argc, char **argv, struct request *request)
{
    static const struct option table[] = {{"augment", required_argument, NULL, 'a'},
                                          {"sheet", required_argument, NULL, 's'},
                                          {"no-sheet", no_argument, NULL, 'n'},
                                          {"seed", required_argument, NULL, 'r'},
                                          {"skip-bad", no_argument, NULL, 'b'},
                                          {"help", no_argument, NULL, 'h'},
                                          {0}};
    enum descent_status status = DESCENT_OK;
    *request = (struct request){.data = "fashion-mnist", .seed = 1};
    optind = 1;
    opterr = 0;
    for (int found; status == DESCENT_OK && (found = getopt_long(argc, argv, ":h", table, NULL)) != -1;) {
        switch (found) {
        case 'a':
            request->augment = optarg;
            break;
        case 's':
            request->sheet = optarg;
            break;
        case 'n':
            request->no_sheet = true;
            break;
        case 'b':
            request->skip_bad = true;
            break;
        case 'r':
            status = read_seed(optarg, &request->seed);
            break;
        case 'h':
            request->help = true;
            break;
        default:
            status = descent_fail(DESCENT_BAD_ARGUMENT, "train data: %s %s; 'train data --help' shows all",
                                  found == ':' ? "no value for" : "unknown option", argv[optind - 1]);
        }
    }
    if (status == DESCENT_OK && optind < argc)
        request->data = argv[optind++];
    if (status == DESCENT_OK && optind < argc)
        status = descent_fail(DESCENT_BAD_ARGUMENT, "train data: unexpected argument '%s'", argv[optind]);
    return status;
}

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

static int run_data(int argc, char **argv)
{
    struct request request;
    struct data_set *set = NULL;
    enum descent_status status = read_request(argc, argv, &request);
    if (status == DESCENT_OK && request.help) {
        fputs(usage, stdout);
        return EXIT_DONE;
    }
    if (status == DESCENT_OK)
        status = open_set(&request, &set);
    if (status == DESCENT_OK)
        status = show(set, &request);
    data_free(set);
    return report_error(status);
}

const struct command command_data = {
    "data", "[DATASET] [OPTIONS]", "show what a data set holds, and draw a sheet of its images", run_data};
