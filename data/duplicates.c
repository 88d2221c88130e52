/* Images that a set has more than once, told by the digests of their pixels. Not images that merely look
 * alike. */
#include "data/digest.h"
#include "data/set.h"

#include <stdlib.h>
#include <string.h>

struct image {
    char digest[DATA_MD5_TEXT];
    bool test;
    int32_t label;
    uint32_t number;
};

/* Training images first, each part in the order of the files. */
static int compare(const void *a, const void *b)
{
    const struct image *x = a, *y = b;
    int order = strcmp(x->digest, y->digest);
    if (order == 0)
        order = x->test - y->test;
    return order ? order : (x->number > y->number) - (x->number < y->number);
}

static enum descent_status read_part(const struct data_source *source, bool test, uint8_t *bytes,
                                     struct image *images)
{
    enum descent_status status = DESCENT_OK;
    for (int64_t i = 0; i < source->count && status == DESCENT_OK; i++) {
        images[i].test = test;
        images[i].label = source->labels[i];
        images[i].number = (uint32_t)i;
        status = source->read(source, i, bytes);
        if (status == DESCENT_OK)
            data_md5(bytes, data_source_sample_bytes(source), images[i].digest);
    }
    return status;
}

static void count(const struct image *images, int64_t total, struct data_duplicates *duplicates)
{
    const struct image *first = images;
    for (int64_t i = 1; i < total; i++) {
        const struct image *image = &images[i];
        if (strcmp(image->digest, first->digest) != 0) {
            first = image;
            continue;
        }
        duplicates->train += !image->test;
        duplicates->test += image->test && first->test;
        duplicates->leaked += image->test && !first->test;
        duplicates->relabeled += image->label != first->label;
    }
}

enum descent_status data_find_duplicates(const struct data_set *set, struct data_duplicates *duplicates)
{
    const struct data_source *train = set->train, *test = set->test;
    int64_t total = train->count + test->count;
    struct image *images = calloc((size_t)total, sizeof *images);
    uint8_t *bytes = malloc(data_source_sample_bytes(train));
    enum descent_status status = DESCENT_OK;
    *duplicates = (struct data_duplicates){0};
    if (!images || !bytes)
        status = descent_fail(DESCENT_OUT_OF_MEMORY, "no memory to compare %lld images", (long long)total);
    if (status == DESCENT_OK)
        status = read_part(train, false, bytes, images);
    if (status == DESCENT_OK)
        status = read_part(test, true, bytes, images + train->count);
    if (status == DESCENT_OK) {
        qsort(images, (size_t)total, sizeof *images, compare);
        count(images, total, duplicates);
    }
    free(images);
    free(bytes);
    return status;
}
