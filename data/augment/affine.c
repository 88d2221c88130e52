/* Random rotations and affine maps (torchvision's RandomRotation and RandomAffine). */
#include "data/augment/warp.h"

#include <math.h>

static double either_way(struct descent_random *random, double most)
{
    return data_between(random, -most, most);
}

enum { ROTATE_DEGREES, ROTATE_INTERPOLATION, ROTATE_FILL };

static const struct descent_option rotate_options[] = {
    [ROTATE_DEGREES] = {.name = "degrees",
                        .type = DESCENT_OPTION_REAL,
                        .initial = "15",
                        .max = 180,
                        .help = "largest angle, either way"},
    [ROTATE_INTERPOLATION] = DATA_INTERPOLATION,
    [ROTATE_FILL] = DATA_FILL("zero"),
};

static void apply_rotate(const struct descent_value *values, struct data_image *image)
{
    const struct data_warp warp = {.angle = either_way(&image->random, values[ROTATE_DEGREES].number),
                                   .scale = 1};
    data_warp_image(image, &warp, (enum data_interpolation)values[ROTATE_INTERPOLATION].number,
                    (enum data_fill)values[ROTATE_FILL].number);
}

enum { DEGREES, MOVE, SCALE, SHEAR, INTERPOLATION, FILL };

static const struct descent_option affine_options[] = {
    [DEGREES] = {.name = "degrees",
                 .type = DESCENT_OPTION_REAL,
                 .initial = "10",
                 .max = 180,
                 .help = "largest angle of rotation, either way"},
    [MOVE] = {.name = "translate",
              .type = DESCENT_OPTION_REAL,
              .initial = "0.1",
              .max = 1,
              .help = "largest shift along each axis, as a fraction of that side; whole pixels"},
    [SCALE] = {.name = "scale",
               .type = DESCENT_OPTION_REAL,
               .initial = "0.1",
               .max = 1,
               .open_max = true,
               .help = "largest relative change of size: factors from 1 - scale to 1 + scale"},
    [SHEAR] = {.name = "shear",
               .type = DESCENT_OPTION_REAL,
               .initial = "0",
               .max = 80,
               .help = "largest angle of shear along the horizontal axis, in degrees, either way"},
    [INTERPOLATION] = DATA_INTERPOLATION,
    [FILL] = DATA_FILL("zero"),
};

static void apply_affine(const struct descent_value *values, struct data_image *image)
{
    struct descent_random *random = &image->random;
    struct data_warp warp = {.angle = either_way(random, values[DEGREES].number)};
    warp.move_x = rint(either_way(random, values[MOVE].number * image->width));
    warp.move_y = rint(either_way(random, values[MOVE].number * image->height));
    warp.scale = 1 + either_way(random, values[SCALE].number);
    warp.shear_x = either_way(random, values[SHEAR].number);
    data_warp_image(image, &warp, (enum data_interpolation)values[INTERPOLATION].number,
                    (enum data_fill)values[FILL].number);
}

const struct data_augmentation data_augmentation_rotate = {
    .info = {.name = "rotate",
             .summary = "turned around its center, by a random angle",
             .paper = "torchvision's RandomRotation",
             .options = rotate_options,
             .option_count = sizeof rotate_options / sizeof *rotate_options},
    .apply = apply_rotate,
};

const struct data_augmentation data_augmentation_affine = {
    .info = {.name = "affine",
             .summary = "turned, moved, scaled and sheared, each at random",
             .paper = "torchvision's RandomAffine",
             .options = affine_options,
             .option_count = sizeof affine_options / sizeof *affine_options},
    .apply = apply_affine,
};
