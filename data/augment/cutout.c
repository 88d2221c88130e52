/* A square cut out of the image (DeVries & Taylor 2017, arXiv:1708.04552). */
#include "data/augment.h"

#include <string.h>

enum { SIZE, P, FILL };

static const struct descent_option options[] = {
    [SIZE] = {.name = "size",
              .type = DESCENT_OPTION_INTEGER,
              .initial = "8",
              .min = 1,
              .max = 16384,
              .help = "side of the square, in pixels"},
    [P] = DATA_CHANCE("1", "chance that an image loses a square"),
    [FILL] = {.name = "fill",
              .type = DESCENT_OPTION_CHOICE,
              .initial = "mean",
              .choices = DATA_FILL_CHOICES,
              .help = "what is in the square: black, or the mean color, which is 0 after normalizing"},
};

/* The square's center is any pixel, so that parts of it can lie outside: in the authors' words, what makes
 * it work. An even square reaches one pixel further to the left and the top, as theirs. */
static void apply(const struct descent_value *values, struct data_image *image)
{
    if (!data_chance(&image->random, values[P].number))
        return;
    int size = (int)values[SIZE].number, channels = image->channels;
    int top = data_below(&image->random, image->height) - size / 2;
    int left = data_below(&image->random, image->width) - size / 2;
    int bottom = top + size < image->height ? top + size : image->height;
    int right = left + size < image->width ? left + size : image->width;
    top = top > 0 ? top : 0;
    left = left > 0 ? left : 0;
    for (int y = top; y < bottom; y++)
        for (int x = left; x < right; x++)
            for (int c = 0; c < channels; c++)
                image
                    ->bytes[((size_t)y * (size_t)image->width + (size_t)x) * (size_t)channels + (size_t)c] =
                    data_fill_byte((enum data_fill)values[FILL].number, image, c);
}

const struct data_augmentation data_augmentation_cutout = {
    .info = {.name = "cutout",
             .summary = "a square, somewhere, is blanked out",
             .paper = "DeVries & Taylor 2017, arXiv:1708.04552",
             .options = options,
             .option_count = sizeof options / sizeof *options},
    .apply = apply,
};
