/* Random erasing (Zhong et al. 2017, arXiv:1708.04896; torchvision's RandomErasing): a rectangle of random
 * size and shape, all of it inside the image. */
#include "data/augment.h"

#include <math.h>

enum { P, SCALE, RATIO, FILL };
enum { TRIES = 10 };
enum fill { ZERO, MEAN, RANDOM };

static const struct descent_option options[] = {
    [P] = DATA_CHANCE("0.5", "chance that an image loses a rectangle"),
    [SCALE] = {.name = "scale",
               .type = DESCENT_OPTION_LIST,
               .initial = "0.02/0.33",
               .max = 1,
               .open_min = true,
               .help = "smallest and largest area, as fractions of the image"},
    [RATIO] = {.name = "ratio",
               .type = DESCENT_OPTION_LIST,
               .initial = "0.3/3.3",
               .max = 100,
               .open_min = true,
               .help = "smallest and largest height / width; uniform on a log scale"},
    [FILL] = {.name = "fill",
              .type = DESCENT_OPTION_CHOICE,
              .initial = "random",
              .choices = "zero|mean|random",
              .help = "what is in the rectangle: black, the mean color, or noise, a random byte each"},
};

static enum descent_status check(const struct descent_value *values, int height, int width)
{
    (void)height, (void)width;
    for (int i = SCALE; i <= RATIO; i++)
        if (values[i].count != 2 || values[i].list[0] > values[i].list[1])
            return descent_fail(DESCENT_BAD_ARGUMENT, "%s: expected the smallest and the largest, as in %s",
                                options[i].name, options[i].initial);
    return DESCENT_OK;
}

static void erase(struct data_image *image, int top, int left, int height, int width, enum fill fill)
{
    for (int y = top; y < top + height; y++) {
        uint8_t *to =
            image->bytes + ((size_t)y * (size_t)image->width + (size_t)left) * (size_t)image->channels;
        for (int x = 0; x < width; x++)
            for (int c = 0; c < image->channels; c++)
                *to++ = fill == RANDOM
                            ? (uint8_t)data_below(&image->random, 256)
                            : data_fill_byte(fill == MEAN ? DATA_FILL_MEAN : DATA_FILL_ZERO, image, c);
    }
}

/* A rectangle that does not fit is drawn again; after some tries the image stays as it is. */
static void apply(const struct descent_value *values, struct data_image *image)
{
    struct descent_random *random = &image->random;
    const double *scale = values[SCALE].list, *ratio = values[RATIO].list;
    if (!data_chance(random, values[P].number))
        return;
    for (int i = 0; i < TRIES; i++) {
        double area = data_between(random, scale[0], scale[1]) * image->height * image->width;
        double shape = exp(data_between(random, log(ratio[0]), log(ratio[1])));
        double height = rint(sqrt(area * shape)), width = rint(sqrt(area / shape));
        if (height < 1 || width < 1 || height >= image->height || width >= image->width)
            continue;
        int top = data_below(random, image->height - (int)height + 1);
        int left = data_below(random, image->width - (int)width + 1);
        erase(image, top, left, (int)height, (int)width, (enum fill)values[FILL].number);
        return;
    }
}

const struct data_augmentation data_augmentation_erasing = {
    .info = {.name = "erasing",
             .summary = "a rectangle of random size and shape is erased",
             .paper = "Zhong et al. 2017, arXiv:1708.04896; torchvision's RandomErasing",
             .options = options,
             .option_count = sizeof options / sizeof *options},
    .check = check,
    .apply = apply,
};
