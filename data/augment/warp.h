/* Affine maps of an image, as torchvision's F.affine makes them. */
#ifndef DESCENT_DATA_AUGMENT_WARP_H
#define DESCENT_DATA_AUGMENT_WARP_H

#include "data/augment.h"

/* Around `center`, in pixels from the middle of the image: shear, then scale, then turn, then move. Angles
 * in degrees, the turn clockwise. */
struct data_warp {
    double angle, move_x, move_y, scale, shear_x, shear_y, center_x, center_y;
};

enum data_interpolation { DATA_NEAREST, DATA_BILINEAR };

void data_warp_image(struct data_image *image, const struct data_warp *warp,
                     enum data_interpolation interpolation, enum data_fill fill);

/* Rows of tables. */
#define DATA_INTERPOLATION                                                                                 \
    {                                                                                                      \
        .name = "interpolation", .type = DESCENT_OPTION_CHOICE, .initial = "bilinear",                     \
        .choices = "nearest|bilinear", .help = "how a pixel between pixels is found"                       \
    }
#define DATA_FILL(initial_)                                                                                \
    {                                                                                                      \
        .name = "fill", .type = DESCENT_OPTION_CHOICE, .initial = initial_, .choices = DATA_FILL_CHOICES,  \
        .help = "pixels from outside the image: black, or the training set's mean color"                   \
    }

#endif
