/* Random brightness, contrast and saturation, in random order (torchvision's ColorJitter without hue). */
#include "data/augment/color.h"

enum { BRIGHTNESS, CONTRAST, SATURATION, KINDS };

#define STRENGTH(name_, initial_)                                                                          \
    {                                                                                                      \
        .name = name_, .type = DESCENT_OPTION_REAL, .initial = initial_, .max = 1,                         \
        .help = "largest relative change of " name_ ", either way"                                         \
    }

static const struct descent_option options[] = {
    [BRIGHTNESS] = STRENGTH("brightness", "0.2"),
    [CONTRAST] = STRENGTH("contrast", "0.2"),
    [SATURATION] = STRENGTH("saturation", "0.2"),
};

static void apply(const struct descent_value *values, struct data_image *image)
{
    static void (*const change[])(struct data_image *, double) = {
        [BRIGHTNESS] = data_brightness, [CONTRAST] = data_contrast, [SATURATION] = data_saturation};
    uint32_t order[KINDS] = {BRIGHTNESS, CONTRAST, SATURATION};
    descent_random_shuffle(&image->random, order, KINDS);
    for (int i = 0; i < KINDS; i++) {
        double strength = values[order[i]].number;
        double factor = 1 + data_between(&image->random, -strength, strength);
        if (strength > 0)
            change[order[i]](image, factor);
    }
}

const struct data_augmentation data_augmentation_jitter = {
    .info = {.name = "jitter",
             .summary = "brightness, contrast and saturation changed at random, in random order",
             .paper = "torchvision's ColorJitter, without hue",
             .options = options,
             .option_count = sizeof options / sizeof *options},
    .apply = apply,
};
