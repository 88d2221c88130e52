/* Views: which samples of a part. Whole parts, and the stratified split of the training part. */
#include "base/random.h"
#include "data/set.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

/* A view with room for `count` samples, none yet. */
static struct data_view *view_new(const struct data_set *set, const struct data_source *source,
                                  int64_t count)
{
    struct data_view *view = malloc(sizeof *view + (size_t)count * sizeof *view->index);
    if (!view) {
        descent_fail(DESCENT_OUT_OF_MEMORY, "%s: no memory for a view of %lld samples", set->info.path,
                     (long long)count);
        return NULL;
    }
    *view = (struct data_view){.set = set, .source = source};
    return view;
}

static struct data_view *view_all(const struct data_set *set, const struct data_source *source)
{
    struct data_view *view = view_new(set, source, source->count);
    while (view && view->count < source->count) {
        view->index[view->count] = view->count;
        view->count++;
    }
    return view;
}

struct data_view *data_view_select(const struct data_view *from, const int64_t *samples, int64_t count)
{
    struct data_view *view = view_new(from->set, from->source, count);
    for (int64_t i = 0; view && i < count; i++) {
        if (samples[i] < 0 || samples[i] >= from->count) {
            descent_fail(DESCENT_BAD_ARGUMENT, "sample %lld asked for, expected 0 .. %lld",
                         (long long)samples[i], (long long)from->count - 1);
            data_view_free(view);
            return NULL;
        }
        view->index[view->count++] = from->index[samples[i]];
    }
    return view;
}

struct data_view *data_view_train(const struct data_set *set)
{
    return view_all(set, set->train);
}

struct data_view *data_view_test(const struct data_set *set)
{
    return view_all(set, set->test);
}

int64_t data_view_count(const struct data_view *view)
{
    return view->count;
}

int32_t data_view_label(const struct data_view *view, int64_t i)
{
    return view->source->labels[view->index[i]];
}

void data_view_free(struct data_view *view)
{
    free(view);
}

struct share {
    uint32_t *samples; /* of this class */
    uint32_t count;
    uint32_t taken; /* of them for validation */
    double remainder;
};

/* taken = fraction * count of each class, `total` in all: rounded down, then one more where most was lost,
 * the lower class first among equals. */
static void apportion(struct share *shares, int classes, double fraction, int64_t total)
{
    for (int c = 0; c < classes; c++) {
        double exact = fraction * shares[c].count;
        shares[c].taken = (uint32_t)exact;
        shares[c].remainder = exact - shares[c].taken;
        total -= shares[c].taken;
    }
    for (; total > 0; total--) {
        struct share *most = shares;
        for (int c = 1; c < classes; c++)
            if (shares[c].remainder > most->remainder)
                most = &shares[c];
        most->taken++;
        most->remainder = -1;
    }
}

enum descent_status data_split(const struct data_set *set, double fraction, uint64_t seed,
                               struct data_view **train, struct data_view **validation)
{
    *train = *validation = NULL;
    const struct data_source *source = set->train;
    int classes = set->info.classes;
    int64_t total = fraction > 0 && fraction < 1 ? llround(fraction * (double)source->count) : 0;
    if (total < 1 || total >= source->count)
        return descent_fail(
            DESCENT_BAD_ARGUMENT,
            "a validation part of %g of %lld training samples leaves nothing on one side; expected a "
            "fraction between 0 and 1",
            fraction, (long long)source->count);

    struct share *shares = calloc((size_t)classes, sizeof *shares);
    uint32_t *samples = malloc((size_t)source->count * sizeof *samples);
    bool *chosen = calloc((size_t)source->count, sizeof *chosen);
    *train = view_new(set, source, source->count - total);
    *validation = view_new(set, source, total);
    enum descent_status status = DESCENT_OK;
    if (!shares || !samples || !chosen || !*train || !*validation) {
        status = descent_fail(DESCENT_OUT_OF_MEMORY, "%s: no memory for a validation part", set->info.path);
        goto done;
    }

    for (int64_t i = 0; i < source->count; i++)
        shares[source->labels[i]].count++;
    apportion(shares, classes, fraction, total);
    for (int c = 0; c < classes; c++) {
        shares[c].samples = c ? shares[c - 1].samples + shares[c - 1].count : samples;
        uint32_t filled = 0;
        for (uint32_t i = 0; filled < shares[c].count; i++)
            if (source->labels[i] == c)
                shares[c].samples[filled++] = i;
        struct descent_random random = descent_random_new(seed, DESCENT_RANDOM_SPLIT, (uint64_t)c);
        descent_random_shuffle(&random, shares[c].samples, shares[c].count);
        for (uint32_t i = 0; i < shares[c].taken; i++)
            chosen[shares[c].samples[i]] = true;
    }
    for (uint32_t i = 0; i < source->count; i++) {
        struct data_view *view = chosen[i] ? *validation : *train;
        view->index[view->count++] = i;
    }

done:
    free(shares);
    free(samples);
    free(chosen);
    if (status != DESCENT_OK) {
        data_view_free(*train);
        data_view_free(*validation);
        *train = *validation = NULL;
    }
    return status;
}
