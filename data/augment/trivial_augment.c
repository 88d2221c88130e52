/* TrivialAugment, the wide space (Mueller & Hutter 2021, arXiv:2103.10158; torchvision's
 * TrivialAugmentWide): one change of fourteen, at one of 31 strengths, either way where there are two. */
#include "data/augment/color.h"
#include "data/augment/warp.h"

#include <math.h>

enum { BINS = 31 };
enum { FILL };

enum change {
    IDENTITY,
    SHEAR_X,
    SHEAR_Y,
    MOVE_X,
    MOVE_Y,
    ROTATE,
    BRIGHTNESS,
    COLOR,
    CONTRAST,
    SHARPNESS,
    POSTERIZE,
    SOLARIZE,
    AUTOCONTRAST,
    EQUALIZE,
    CHANGES
};

static const struct descent_option options[] = {[FILL] = DATA_FILL("zero")};

static void warp(struct data_image *image, struct data_warp warp, enum data_fill fill)
{
    warp.scale = 1;
    data_warp_image(image, &warp, DATA_NEAREST, fill);
}

/* Shears keep the top left corner where it is, as the reference. */
static void shear(struct data_image *image, double x, double y, enum data_fill fill)
{
    const double degrees = 180 / 3.14159265358979323846;
    warp(image,
         (struct data_warp){.shear_x = atan(x) * degrees,
                            .shear_y = atan(y) * degrees,
                            .center_x = -0.5 * image->width,
                            .center_y = -0.5 * image->height},
         fill);
}

static void apply(const struct descent_value *values, struct data_image *image)
{
    enum data_fill fill = (enum data_fill)values[FILL].number;
    enum change change = (enum change)data_below(&image->random, CHANGES);
    double strength = data_below(&image->random, BINS) / (double)(BINS - 1); /* 0 .. 1 */
    double either = data_below(&image->random, 2) ? strength : -strength;
    switch (change) {
    case SHEAR_X:
        shear(image, 0.99 * either, 0, fill);
        break;
    case SHEAR_Y:
        shear(image, 0, 0.99 * either, fill);
        break;
    case MOVE_X:
        warp(image, (struct data_warp){.move_x = trunc(32 * either)}, fill);
        break;
    case MOVE_Y:
        warp(image, (struct data_warp){.move_y = trunc(32 * either)}, fill);
        break;
    case ROTATE:
        warp(image, (struct data_warp){.angle = 135 * either}, fill);
        break;
    case BRIGHTNESS:
        data_brightness(image, 1 + 0.99 * either);
        break;
    case COLOR:
        data_saturation(image, 1 + 0.99 * either);
        break;
    case CONTRAST:
        data_contrast(image, 1 + 0.99 * either);
        break;
    case SHARPNESS:
        data_sharpness(image, 1 + 0.99 * either);
        break;
    case POSTERIZE:
        data_posterize(image, 8 - (int)rint(6 * strength));
        break;
    case SOLARIZE:
        data_solarize(image, 255 * (1 - strength));
        break;
    case AUTOCONTRAST:
        data_autocontrast(image);
        break;
    case EQUALIZE:
        data_equalize(image);
        break;
    default:
        break;
    }
}

const struct data_augmentation data_augmentation_trivial_augment = {
    .info = {.name = "trivial_augment",
             .summary = "one of fourteen changes of shape or color, at a random strength",
             .paper = "Mueller & Hutter 2021, arXiv:2103.10158; torchvision's TrivialAugmentWide",
             .options = options,
             .option_count = sizeof options / sizeof *options},
    .apply = apply,
};
