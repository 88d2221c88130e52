/* Affine maps; see warp.h. */
#include "data/augment/warp.h"

#include <math.h>

enum { A, B, C, D, E, F }; /* source x = a x + b y + c, source y = d x + e y + f */

/* The inverse of T C R S H C^-1: shear H, scale S, rotation R, around center C, moved by T. */
static void invert(const struct data_warp *warp, double m[6])
{
    const double degree = 3.14159265358979323846 / 180;
    double angle = warp->angle * degree, shear_y = warp->shear_y * degree,
           tan_x = tan(warp->shear_x * degree);
    double a = cos(angle - shear_y) / cos(shear_y), b = -(a * tan_x + sin(angle));
    double c = sin(angle - shear_y) / cos(shear_y), d = cos(angle) - c * tan_x;
    double x = warp->center_x + warp->move_x, y = warp->center_y + warp->move_y;
    m[A] = d / warp->scale, m[B] = -b / warp->scale;
    m[D] = -c / warp->scale, m[E] = a / warp->scale;
    m[C] = warp->center_x - m[A] * x - m[B] * y;
    m[F] = warp->center_y - m[D] * x - m[E] * y;
}

static const uint8_t *pixel_at(const struct data_image *image, int y, int x)
{
    bool inside = y >= 0 && y < image->height && x >= 0 && x < image->width;
    return inside ? image->bytes + ((size_t)y * (size_t)image->width + (size_t)x) * (size_t)image->channels
                  : NULL;
}

static void sample_nearest(const struct data_image *image, double y, double x, enum data_fill fill,
                           uint8_t *to)
{
    const uint8_t *from = pixel_at(image, (int)rint(y), (int)rint(x));
    for (int c = 0; c < image->channels; c++)
        to[c] = from ? from[c] : data_fill_byte(fill, image, c);
}

static void sample_bilinear(const struct data_image *image, double y, double x, enum data_fill fill,
                            uint8_t *to)
{
    int top = (int)floor(y), left = (int)floor(x);
    double down = y - top, right = x - left;
    const uint8_t *corner[4] = {pixel_at(image, top, left), pixel_at(image, top, left + 1),
                                pixel_at(image, top + 1, left), pixel_at(image, top + 1, left + 1)};
    const double weight[4] = {(1 - down) * (1 - right), (1 - down) * right, down * (1 - right),
                              down * right};
    for (int c = 0; c < image->channels; c++) {
        double value = 0;
        for (int i = 0; i < 4; i++)
            value += weight[i] * (corner[i] ? corner[i][c] : data_fill_byte(fill, image, c));
        to[c] = (uint8_t)rint(value);
    }
}

void data_warp_image(struct data_image *image, const struct data_warp *warp,
                     enum data_interpolation interpolation, enum data_fill fill)
{
    double m[6], middle_x = 0.5 * (image->width - 1), middle_y = 0.5 * (image->height - 1);
    uint8_t *to = image->spare;
    invert(warp, m);
    for (int i = 0; i < image->height; i++) {
        for (int j = 0; j < image->width; j++, to += image->channels) {
            double x = j - middle_x, y = i - middle_y;
            double from_x = m[A] * x + m[B] * y + m[C] + middle_x;
            double from_y = m[D] * x + m[E] * y + m[F] + middle_y;
            /* Far outside is outside, and fits an int. */
            from_x = fmin(fmax(from_x, -2), image->width + 1);
            from_y = fmin(fmax(from_y, -2), image->height + 1);
            if (interpolation == DATA_NEAREST)
                sample_nearest(image, from_y, from_x, fill, to);
            else
                sample_bilinear(image, from_y, from_x, fill, to);
        }
    }
    data_image_swap(image);
}
