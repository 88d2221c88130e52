/* descent's side of the loader's benchmark: times whole epochs of a loader, with nothing that uses the
 * batches. Not a program for people: it answers the requests of loading.py, one line each, on standard
 * output.
 *
 * - load PATH WORKERS BATCH IMAGES COUNT AUGMENT: seconds of COUNT epochs of the first IMAGES training
 * images, shuffled (after one that is not timed); AUGMENT is a spec or "none"
 * - memory, version: see side.h */
#include "base/clock.h"
#include "bench/side.h"
#include "data/data.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A loader of one set, kept, warm, for the next request. */
struct session {
    char path[512], augment[256];
    int workers, batch;
    int64_t images, epoch;
    struct data_set *set;
    struct data_view *view;
    struct data_loader *loader;
};

static void close_session(struct session *session)
{
    data_loader_free(session->loader);
    data_view_free(session->view);
    data_free(session->set);
    *session = (struct session){0};
}

static void open_session(struct session *session)
{
    must(data_open(session->path, &session->set));
    struct data_view *all = need(data_view_train(session->set));
    int64_t *first = need(calloc((size_t)session->images, sizeof *first));
    for (int64_t i = 0; i < session->images; i++)
        first[i] = i;
    session->view = need(data_view_select(all, first, session->images));
    const struct data_loader_options options = {
        .batch = session->batch,
        .order = DATA_SHUFFLED,
        .seed = 1,
        .workers = session->workers,
        .augment = strcmp(session->augment, "none") ? session->augment : NULL};
    session->loader = need(data_loader_new(session->view, &options));
    data_view_free(all);
    free(first);
}

static void epoch(struct session *session)
{
    struct data_batch batch;
    int n;
    data_loader_start(session->loader, session->epoch++);
    while ((n = data_loader_next(session->loader, &batch)) > 0)
        ;
    if (n < 0)
        must(DESCENT_IO_ERROR);
}

/* False if the request makes no sense. */
static bool answer(const char *request)
{
    static struct session session;
    struct session wanted = {0};
    long long images;
    int count;
    if (sscanf(request, "load %511s %d %d %lld %d %255s", wanted.path, &wanted.workers, &wanted.batch,
               &images, &count, wanted.augment) != 6 ||
        images < 1 || count < 1)
        return false;
    wanted.images = images;
    if (strcmp(wanted.path, session.path) != 0 || strcmp(wanted.augment, session.augment) != 0 ||
        wanted.workers != session.workers || wanted.batch != session.batch ||
        wanted.images != session.images) {
        close_session(&session);
        session = wanted;
        open_session(&session);
        epoch(&session);
    }
    double start = descent_seconds();
    for (int i = 0; i < count; i++)
        epoch(&session);
    printf("%.9f\n", descent_seconds() - start);
    return true;
}

int main(void)
{
    return serve("loading", answer);
}
