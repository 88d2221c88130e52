/* Gaussian noise on every value (torchvision's GaussianNoise). */
#include "data/augment.h"

#include <math.h>

enum { SIGMA };

static const struct descent_option options[] = {
    [SIGMA] = {.name = "sigma",
               .type = DESCENT_OPTION_REAL,
               .initial = "0.05",
               .max = 1,
               .help = "standard deviation, where values are from 0 to 1"},
};

/* Two normal numbers of two words (Box & Muller 1958). */
static void normal_pair(const uint32_t word[2], float sigma, float normal[2])
{
    const float two_pi = 6.2831853F, unit = 0x1p-32F;
    float radius = sigma * sqrtf(-2 * logf(((float)word[0] + 0.5F) * unit));
    float angle = two_pi * ((float)word[1] * unit);
    normal[0] = radius * cosf(angle);
    normal[1] = radius * sinf(angle);
}

static void apply(const struct descent_value *values, struct data_image *image)
{
    float sigma = 255 * (float)values[SIGMA].number;
    size_t size = data_image_bytes(image);
    for (size_t k = 0; k < size; k += 4) {
        uint32_t word[4];
        float normal[4];
        descent_random_block(&image->random, image->random.next++, word);
        normal_pair(word, sigma, normal);
        normal_pair(word + 2, sigma, normal + 2);
        for (size_t i = k; i < k + 4 && i < size; i++)
            image->bytes[i] = (uint8_t)lroundf(fminf(255, fmaxf(0, image->bytes[i] + normal[i - k])));
    }
}

const struct data_augmentation data_augmentation_noise = {
    .info = {.name = "noise",
             .summary = "Gaussian noise on every value, cut to what a byte holds",
             .paper = "torchvision's GaussianNoise",
             .options = options,
             .option_count = sizeof options / sizeof *options},
    .apply = apply,
};
