/* Where buffers lie: greedy by size, each at the lowest offset free during its life (Pisarchyk & Lee 2020,
 * arXiv 2001.03288). */
#include "nn/plan.h"

#include <stdlib.h>

static bool alive_together(const struct nn_buffer *a, const struct nn_buffer *b)
{
    return a->first <= b->last && b->first <= a->last;
}

/* The lowest offset at which `buffer` overlaps none of those placed before it that live at the same time.
 */
static size_t lowest_offset(struct nn_buffer *const *placed, int count, const struct nn_buffer *buffer,
                            bool reuse)
{
    size_t offset = 0;
    for (bool moved = true; moved;) {
        moved = false;
        for (int i = 0; i < count; i++) {
            const struct nn_buffer *other = placed[i];
            bool together = !reuse || alive_together(other, buffer);
            if (together && offset < other->offset + other->bytes &&
                other->offset < offset + buffer->bytes) {
                offset = other->offset + other->bytes;
                moved = true;
            }
        }
    }
    return offset;
}

static int by_size(const void *a, const void *b)
{
    const struct nn_buffer *x = *(struct nn_buffer *const *)a, *y = *(struct nn_buffer *const *)b;
    if (x->bytes != y->bytes)
        return x->bytes < y->bytes ? 1 : -1;
    return x < y ? -1 : x > y;
}

size_t nn_layout(struct nn_buffer *buffer, int count, bool reuse)
{
    struct nn_buffer **order = malloc(((size_t)count + 1) * sizeof(struct nn_buffer *));
    if (!order)
        return SIZE_MAX;
    int placed = 0;
    for (int i = 0; i < count; i++)
        if (!buffer[i].external)
            order[placed++] = &buffer[i];
    qsort(order, (size_t)placed, sizeof(struct nn_buffer *), by_size);
    size_t total = 0;
    for (int i = 0; i < placed; i++) {
        order[i]->offset = lowest_offset(order, i, order[i], reuse);
        if (order[i]->offset + order[i]->bytes > total)
            total = order[i]->offset + order[i]->bytes;
    }
    free(order);
    return total;
}
