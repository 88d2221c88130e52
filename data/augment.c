/* Chains of augmentations from their specs. What each does is in augment/. */
#include "data/augment.h"

#include "augment_list.h" /* DATA_AUGMENTATION_LIST: made by meson.build */

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define X(name) extern const struct data_augmentation data_augmentation_##name;
DATA_AUGMENTATION_LIST(X)
#undef X

static const struct data_augmentation *const kinds[] = {
#define X(name) &data_augmentation_##name,
    DATA_AUGMENTATION_LIST(X)
#undef X
};
enum { KINDS = sizeof kinds / sizeof *kinds };

struct part {
    const struct data_augmentation *kind;
    struct descent_value values[DATA_AUGMENT_OPTIONS];
};

/* The mixers stand last. */
struct data_augment {
    int count, mixers;
    struct part part[DESCENT_SPEC_PARTS];
};

const struct data_augmentation_info *data_augmentation(int i)
{
    return i >= 0 && i < KINDS ? &kinds[i]->info : NULL;
}

static const struct data_augmentation *find(const char *name)
{
    const char *names[KINDS];
    for (int i = 0; i < KINDS; i++) {
        if (strcmp(kinds[i]->info.name, name) == 0)
            return kinds[i];
        names[i] = kinds[i]->info.name;
    }
    descent_fail_unknown("augmentation", name, names, KINDS);
    return NULL;
}

static enum descent_status read_part(const struct descent_spec_part *spec, const struct data_info *info,
                                     struct data_augment *augment)
{
    struct part *part = &augment->part[augment->count];
    char what[64];
    part->kind = find(spec->name);
    if (!part->kind)
        return DESCENT_BAD_ARGUMENT;
    const struct data_augmentation_info *card = &part->kind->info;
    assert(card->option_count <= DATA_AUGMENT_OPTIONS);
    snprintf(what, sizeof what, "augmentation %s", card->name);
    enum descent_status status =
        descent_spec_read(spec, what, card->options, card->option_count, part->values);
    if (status == DESCENT_OK && part->kind->check) {
        status = part->kind->check(part->values, info->height, info->width);
        if (status != DESCENT_OK)
            descent_fail_in(status, "%s", what);
    }
    if (status != DESCENT_OK)
        return status;
    if (augment->mixers > 0 && !part->kind->mix)
        return descent_fail(DESCENT_BAD_ARGUMENT,
                            "augmentation %s mixes finished images; expected it after %s",
                            augment->part[augment->count - 1].kind->info.name, card->name);
    augment->mixers += part->kind->mix != NULL;
    augment->count++;
    return DESCENT_OK;
}

struct data_augment *data_augment_new(const char *text, const struct data_info *info)
{
    struct descent_spec spec;
    if (descent_spec_parse(text, &spec) != DESCENT_OK)
        return NULL;
    struct data_augment *augment = calloc(1, sizeof *augment);
    enum descent_status status =
        augment ? DESCENT_OK : descent_fail(DESCENT_OUT_OF_MEMORY, "no memory for augmentation %s", text);
    for (int i = 0; i < spec.count && status == DESCENT_OK; i++)
        status = read_part(&spec.part[i], info, augment);
    descent_spec_free(&spec);
    if (status == DESCENT_OK)
        return augment;
    data_augment_free(augment);
    return NULL;
}

void data_augment_free(struct data_augment *augment)
{
    free(augment);
}

bool data_augment_mixes(const struct data_augment *augment)
{
    return augment->mixers > 0;
}

void data_augment_apply(const struct data_augment *augment, struct data_image *image)
{
    for (int i = 0; i < augment->count - augment->mixers; i++)
        augment->part[i].kind->apply(augment->part[i].values, image);
}

/* Of several mixers, each image meets one. */
double data_augment_mix(const struct data_augment *augment, struct data_mixture *mixture)
{
    int chosen = augment->mixers > 1 ? data_below(&mixture->random, augment->mixers) : 0;
    const struct part *part = &augment->part[augment->count - augment->mixers + chosen];
    return part->kind->mix(part->values, mixture);
}
