/* Random crop of the padded image, of the image's own size (He et al. 2015, arXiv:1512.03385, section 4.2;
 * torchvision's RandomCrop with padding). Not a crop that resizes. */
#include "data/augment.h"

#include <string.h>

enum { PAD, MODE };
enum mode { ZERO, REFLECT, EDGE };

static const struct descent_option options[] = {
    [PAD] = {.name = "pad",
             .type = DESCENT_OPTION_INTEGER,
             .initial = "4",
             .min = 1,
             .max = 1024,
             .help = "pixels added on each side"},
    [MODE] = {.name = "mode",
              .type = DESCENT_OPTION_CHOICE,
              .initial = "zero",
              .choices = "zero|reflect|edge",
              .help = "the added pixels: black; the image mirrored, its border not repeated; its border"},
};

static enum descent_status check(const struct descent_value *values, int height, int width)
{
    int side = height < width ? height : width;
    if ((enum mode)values[MODE].number == REFLECT && values[PAD].number >= side)
        return descent_fail(DESCENT_BAD_ARGUMENT,
                            "pad=%g,mode=reflect of images %d x %d; expected a pad below %d",
                            values[PAD].number, height, width, side);
    return DESCENT_OK;
}

/* Which of `size` pixels stands at `i`, before or after them. */
static int source_of(int i, int size, enum mode mode)
{
    if (mode == REFLECT)
        return i < 0 ? -i : 2 * size - 2 - i;
    return i < 0 ? 0 : size - 1;
}

/* Pixels begin .. end - 1 of a row that lies beyond `from`, `shift` pixels further. */
static void fill_border(uint8_t *to, const uint8_t *from, int width, int channels, int shift,
                        enum mode mode, int begin, int end)
{
    size_t pixel = (size_t)channels;
    for (int x = begin; x < end; x++)
        memcpy(to + (size_t)x * pixel, from + (size_t)source_of(x + shift, width, mode) * pixel, pixel);
}

/* The row of `width` pixels that begins `shift` pixels into `from`, over black. */
static void crop_row(uint8_t *to, const uint8_t *from, int width, int channels, int shift, enum mode mode)
{
    size_t pixel = (size_t)channels;
    int begin = shift < -width ? width : shift < 0 ? -shift : 0; /* inside: begin .. end - 1 */
    int end = shift > width ? 0 : shift > 0 ? width - shift : width;
    if (begin < end)
        memcpy(to + (size_t)begin * pixel, from + (size_t)(begin + shift) * pixel,
               (size_t)(end - begin) * pixel);
    if (mode == ZERO)
        return;
    fill_border(to, from, width, channels, shift, mode, 0, begin);
    fill_border(to, from, width, channels, shift, mode, end, width);
}

static void apply(const struct descent_value *values, struct data_image *image)
{
    int pad = (int)values[PAD].number;
    enum mode mode = (enum mode)values[MODE].number;
    int down = data_below(&image->random, 2 * pad + 1) - pad;
    int right = data_below(&image->random, 2 * pad + 1) - pad;
    size_t row = (size_t)image->width * (size_t)image->channels;
    if (mode == ZERO)
        memset(image->spare, 0, data_image_bytes(image));
    for (int y = 0; y < image->height; y++) {
        int source = y + down;
        bool inside = source >= 0 && source < image->height;
        if (!inside && mode != ZERO)
            source = source_of(source, image->height, mode);
        if (inside || mode != ZERO)
            crop_row(image->spare + (size_t)y * row, image->bytes + (size_t)source * row, image->width,
                     image->channels, right, mode);
    }
    data_image_swap(image);
}

const struct data_augmentation data_augmentation_crop = {
    .info = {.name = "crop",
             .summary = "a window of the image's own size, somewhere in the padded image",
             .paper =
                 "He et al. 2015, arXiv:1512.03385, section 4.2; torchvision's RandomCrop with padding",
             .options = options,
             .option_count = sizeof options / sizeof *options},
    .check = check,
    .apply = apply,
};
