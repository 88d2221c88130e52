/* Flips: at random left to right (Krizhevsky et al. 2012), every other epoch (Jordan 2024,
 * arXiv:2404.00498), at random upside down. */
#include "data/augment.h"

#include <string.h>

enum { P };

static void flip_row(uint8_t *to, const uint8_t *from, int width, int channels)
{
    from += (width - 1) * channels;
    for (int x = 0; x < width; x++, to += channels, from -= channels)
        for (int c = 0; c < channels; c++)
            to[c] = from[c];
}

/* The number of channels as a constant, so that the compiler can do better than a loop over it. */
static void flip_left_right(struct data_image *image)
{
    int width = image->width, channels = image->channels;
    uint8_t *to = image->spare;
    const uint8_t *from = image->bytes;
    for (int y = 0; y < image->height; y++, to += width * channels, from += width * channels) {
        if (channels == 1)
            flip_row(to, from, width, 1);
        else if (channels == 3)
            flip_row(to, from, width, 3);
        else
            flip_row(to, from, width, channels);
    }
    data_image_swap(image);
}

static void apply_flip(const struct descent_value *values, struct data_image *image)
{
    if (data_chance(&image->random, values[P].number))
        flip_left_right(image);
}

static void apply_alternating(const struct descent_value *values, struct data_image *image)
{
    (void)values;
    if ((data_below(&image->fixed, 2) + image->epoch) % 2 == 1)
        flip_left_right(image);
}

static void apply_vertical(const struct descent_value *values, struct data_image *image)
{
    if (!data_chance(&image->random, values[P].number))
        return;
    size_t row = (size_t)image->width * (size_t)image->channels, height = (size_t)image->height;
    for (size_t y = 0; y < height; y++)
        memcpy(image->spare + y * row, image->bytes + (height - 1 - y) * row, row);
    data_image_swap(image);
}

static const struct descent_option options[] = {
    [P] = DATA_CHANCE("0.5", "chance that an image is flipped"),
};

const struct data_augmentation data_augmentation_flip = {
    .info = {.name = "flip",
             .summary = "left and right exchanged, at random",
             .paper = "Krizhevsky et al. 2012, section 4.1; torchvision's RandomHorizontalFlip",
             .options = options,
             .option_count = sizeof options / sizeof *options},
    .apply = apply_flip,
};

const struct data_augmentation data_augmentation_alternating_flip = {
    .info = {.name = "alternating_flip",
             .summary = "left and right exchanged every other epoch, at random in the first",
             .paper = "Jordan 2024, arXiv:2404.00498, section 3.6; airbench"},
    .apply = apply_alternating,
};

const struct data_augmentation data_augmentation_vertical_flip = {
    .info = {.name = "vertical_flip",
             .summary = "upside down, at random",
             .paper = "torchvision's RandomVerticalFlip",
             .options = options,
             .option_count = sizeof options / sizeof *options},
    .apply = apply_vertical,
};
