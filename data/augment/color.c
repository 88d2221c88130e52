/* Changes of an image's colors; see color.h. In float and cut down to bytes, as torchvision does; equalize
 * is Pillow's. */
#include "data/augment/color.h"

#include <math.h>

static uint8_t to_byte(float value)
{
    return (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
}

/* ratio x + (1 - ratio) other */
static uint8_t blend(float x, float other, double ratio)
{
    return to_byte(x * (float)ratio + (float)(1 - ratio) * other);
}

static float luma(const uint8_t *rgb)
{
    return floorf(0.2989F * rgb[0] + 0.587F * rgb[1] + 0.114F * rgb[2]);
}

void data_brightness(struct data_image *image, double factor)
{
    size_t size = data_image_bytes(image);
    for (size_t k = 0; k < size; k++)
        image->bytes[k] = to_byte(image->bytes[k] * (float)factor);
}

void data_contrast(struct data_image *image, double factor)
{
    size_t size = data_image_bytes(image), step = image->channels == 3 ? 3 : 1;
    double sum = 0;
    for (size_t k = 0; k < size; k += step)
        sum += (double)(step == 3 ? luma(image->bytes + k) : image->bytes[k]);
    float mean = (float)(sum / (double)(size / step));
    for (size_t k = 0; k < size; k++)
        image->bytes[k] = blend(image->bytes[k], mean, factor);
}

void data_saturation(struct data_image *image, double factor)
{
    size_t size = data_image_bytes(image);
    if (image->channels != 3)
        return;
    for (size_t k = 0; k < size; k += 3) {
        float gray = luma(image->bytes + k);
        for (size_t c = 0; c < 3; c++)
            image->bytes[k + c] = blend(image->bytes[k + c], gray, factor);
    }
}

/* Blurred by a 3 x 3 kernel of ones with a five in the middle. */
void data_sharpness(struct data_image *image, double factor)
{
    int height = image->height, width = image->width, channels = image->channels;
    ptrdiff_t row = (ptrdiff_t)width * channels;
    if (height <= 2 || width <= 2)
        return;
    for (int y = 0; y < height; y++) {
        for (int x = 0; x < width; x++) {
            bool border = y == 0 || y == height - 1 || x == 0 || x == width - 1;
            for (int c = 0; c < channels; c++) {
                ptrdiff_t at = y * row + (ptrdiff_t)x * channels + c;
                const uint8_t *here = image->bytes + at;
                image->spare[at] = *here;
                if (border)
                    continue;
                int sum = 4 * *here;
                for (int i = -1; i <= 1; i++)
                    for (int j = -1; j <= 1; j++)
                        sum += here[i * row + j * channels];
                float blurred = rintf((float)sum / 13), value = *here;
                image->spare[at] = to_byte(value + (float)(1 - factor) * (blurred - value));
            }
        }
    }
    data_image_swap(image);
}

void data_posterize(struct data_image *image, int bits)
{
    size_t size = data_image_bytes(image);
    for (size_t k = 0; k < size; k++)
        image->bytes[k] &= (uint8_t)(0xff << (8 - bits));
}

void data_solarize(struct data_image *image, double threshold)
{
    size_t size = data_image_bytes(image);
    for (size_t k = 0; k < size; k++)
        if (image->bytes[k] >= threshold)
            image->bytes[k] = (uint8_t)(255 - image->bytes[k]);
}

void data_autocontrast(struct data_image *image)
{
    size_t size = data_image_bytes(image), channels = (size_t)image->channels;
    for (size_t c = 0; c < channels; c++) {
        uint8_t low = 255, high = 0;
        for (size_t k = c; k < size; k += channels) {
            low = image->bytes[k] < low ? image->bytes[k] : low;
            high = image->bytes[k] > high ? image->bytes[k] : high;
        }
        float scale = (float)(high - low) * (1 / 255.0F);
        for (size_t k = c; k < size && low < high; k += channels)
            image->bytes[k] = to_byte((float)(image->bytes[k] - low) / scale);
    }
}

/* Value v becomes the number of pixels below it in steps of 1/255 of those that are not of the highest
 * value. */
void data_equalize(struct data_image *image)
{
    size_t size = data_image_bytes(image), channels = (size_t)image->channels;
    for (size_t c = 0; c < channels; c++) {
        size_t counts[256] = {0}, below = 0, highest = 255;
        uint8_t table[256];
        for (size_t k = c; k < size; k += channels)
            counts[image->bytes[k]]++;
        while (counts[highest] == 0)
            highest--;
        size_t step = (size / channels - counts[highest]) / 255;
        if (step == 0)
            continue;
        for (int v = 0; v < 256; v++) {
            size_t level = v == 0 ? 0 : (below + step / 2) / step;
            table[v] = (uint8_t)(level < 255 ? level : 255);
            below += counts[v];
        }
        for (size_t k = c; k < size; k += channels)
            image->bytes[k] = table[image->bytes[k]];
    }
}
