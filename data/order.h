/* The order of an epoch. */
#ifndef DESCENT_DATA_ORDER_H
#define DESCENT_DATA_ORDER_H

#include "data/set.h"

/* `order` and `scratch`: the view's count; `begin`: the set's classes + 1. Fills `order` with the samples
 * of the source that the epoch takes. */
struct data_order_work {
    uint32_t *order, *scratch, *begin;
};

void data_order_fill(const struct data_view *view, enum data_order how, uint64_t seed, int64_t epoch,
                     struct data_order_work *work);

#endif
