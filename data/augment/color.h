/* Changes of an image's colors that several augmentations share, as torchvision's functional forms make
 * them of bytes. All work in place but sharpness. A factor of 1 changes nothing. */
#ifndef DESCENT_DATA_AUGMENT_COLOR_H
#define DESCENT_DATA_AUGMENT_COLOR_H

#include "data/augment.h"

void data_brightness(struct data_image *image, double factor); /* 0: black */
void data_contrast(struct data_image *image, double factor);   /* 0: the mean gray */
void data_saturation(struct data_image *image, double factor); /* 0: gray; of RGB images only */
void data_sharpness(struct data_image *image, double factor);  /* 0: blurred; the border stays */

void data_posterize(struct data_image *image, int bits);        /* keeps the highest bits */
void data_solarize(struct data_image *image, double threshold); /* inverts from there up */
void data_autocontrast(struct data_image *image);               /* each channel stretched to 0 .. 255 */
void data_equalize(struct data_image *image); /* each channel's values made equally common */

#endif
