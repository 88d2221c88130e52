/* `train landscape --run`: which of its kinds is asked for, and what they all begin and end with. */
#include "train/landscape/visit.h"

enum { AROUND, BETWEEN, ALONG, COURSE };

static const struct kind {
    const char *name; /* and the directory in the run's */
    enum descent_status (*find)(struct visit *visit, bool *done);
} kinds[] = {
    [AROUND] = {"landscape", around_weights},
    [BETWEEN] = {"line", between_runs},
    [ALONG] = {"trajectory", along_trajectory},
    [COURSE] = {"course", course_of_sharpness},
};

static const struct kind *kind_of(const struct landscape_request *request)
{
    return &kinds[request->trajectory ? ALONG
                  : request->course   ? COURSE
                  : request->run[1]   ? BETWEEN
                                      : AROUND];
}

static void print_head(const struct visit *visit)
{
    for (int i = 0; i < visit->runs; i++)
        printf("%s %s: %s\n", i ? "          " : "run       ", visit->run[i].path, visit->run[i].model);
    printf("images     %lld of %lld training images of %s, without augmentation\n",
           (long long)data_view_count(visit->images), (long long)data_view_count(visit->run[0].train),
           data_describe(visit->run[0].set)->name);
    if (probe_has_statistics(visit->probe))
        printf(
            "batch norm running statistics are computed anew at every point, from %lld of these images\n",
            (long long)data_view_count(visit->few));
}

enum descent_status landscape_of_runs(const struct landscape_request *request, bool *done)
{
    const struct kind *kind = kind_of(request);
    struct visit visit;
    enum descent_status status = visit_begin(request, kind->name, &visit);
    *done = false;
    if (status == DESCENT_OK) {
        print_head(&visit);
        status = kind->find(&visit, done);
    }
    if (status == DESCENT_OK && !*done)
        printf("interrupted; the same command goes on from here\n");
    visit_end(&visit);
    return status;
}
