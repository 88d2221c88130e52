/* Which samples an epoch takes, and when. A pure function of (seed, epoch): nothing is carried from one
 * epoch to the next. */
#include "data/order.h"

#include "base/random.h"

#include <string.h>

const char *const data_order_names[] = {[DATA_IN_ORDER] = "fixed",
                                        [DATA_SHUFFLED] = "shuffled",
                                        [DATA_WITH_REPLACEMENT] = "replacement",
                                        [DATA_BALANCED] = "balanced",
                                        [DATA_BALANCED + 1] = NULL};

/* scratch[begin[c] .. begin[c + 1] - 1]: the view's samples of class c. */
static void group_by_class(const struct data_view *view, struct data_order_work *work)
{
    const int32_t *labels = view->source->labels;
    int classes = view->set->info.classes;
    memset(work->begin, 0, ((size_t)classes + 1) * sizeof *work->begin);
    for (uint32_t i = 0; i < view->count; i++)
        work->begin[labels[view->index[i]] + 1]++;
    for (int c = 0; c < classes; c++)
        work->begin[c + 1] += work->begin[c];
    for (uint32_t i = 0; i < view->count; i++)
        work->scratch[work->begin[labels[view->index[i]]]++] = view->index[i];
    for (int c = classes; c > 0; c--) /* each begin has become its end */
        work->begin[c] = work->begin[c - 1];
    work->begin[0] = 0;
}

/* Each class that the view has gives count / present samples, and `count % present` of them, others each
 * epoch, one more. A class that is used up begins again in a new order. */
static void draw_balanced(const struct data_view *view, struct descent_random *random, int64_t epoch,
                          struct data_order_work *work)
{
    int classes = view->set->info.classes;
    uint32_t present = 0, rank = 0, filled = 0;
    group_by_class(view, work);
    for (int c = 0; c < classes; c++)
        present += work->begin[c + 1] > work->begin[c];
    for (int c = 0; c < classes; c++) {
        uint32_t *group = work->scratch + work->begin[c], size = work->begin[c + 1] - work->begin[c];
        if (size == 0)
            continue;
        uint32_t turn = (uint32_t)((rank++ + (uint64_t)epoch) % present);
        uint32_t share = view->count / present + (turn < view->count % present);
        for (uint32_t k = 0; k < share; k++) {
            if (k % size == 0)
                descent_random_shuffle(random, group, size);
            work->order[filled++] = group[k % size];
        }
    }
}

void data_order_fill(const struct data_view *view, enum data_order how, uint64_t seed, int64_t epoch,
                     struct data_order_work *work)
{
    struct descent_random random = descent_random_new(seed, DESCENT_RANDOM_SHUFFLE, (uint64_t)epoch);
    if (how == DATA_WITH_REPLACEMENT) {
        for (uint32_t i = 0; i < view->count; i++)
            work->order[i] = view->index[descent_random_below(&random, view->count)];
        return;
    }
    if (how == DATA_BALANCED)
        draw_balanced(view, &random, epoch, work);
    else
        memcpy(work->order, view->index, view->count * sizeof *work->order);
    if (how != DATA_IN_ORDER)
        descent_random_shuffle(&random, work->order, view->count);
}
