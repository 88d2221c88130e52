/* mixup (Zhang et al. 2017, arXiv:1710.09412) and CutMix (Yun et al. 2019, arXiv:1905.04899): two images
 * and their labels in shares drawn from Beta(alpha, alpha). Here each image has a share of its own and is
 * mixed with its successor in the epoch; the papers' code draws one share for a whole batch. */
#include "data/augment.h"

#include <math.h>
#include <string.h>

enum { ALPHA, P };

static const struct descent_option options[] = {
    [ALPHA] =
        {.name = "alpha",
         .type = DESCENT_OPTION_REAL,
         .initial = "1",
         .max = 1000,
         .open_min = true,
         .help =
             "shares are of Beta(alpha, alpha): below 1 mostly one image, 1 uniform, above mostly half"},
    [P] = DATA_CHANCE("1", "chance that an image is mixed at all"),
};

/* The logarithm of a number of Gamma(shape, 1) (Marsaglia & Tsang 2000): for small shapes the number itself
 * can be too small for a double. */
static double log_gamma_number(struct descent_random *random, double shape)
{
    if (shape < 1) {
        double u = 1 - descent_random_uniform(random); /* in (0, 1] */
        return log_gamma_number(random, shape + 1) + log(u) / shape;
    }
    double d = shape - 1.0 / 3, c = 1 / sqrt(9 * d);
    for (;;) {
        double x = descent_random_normal(random), v = pow(1 + c * x, 3);
        double u = 1 - descent_random_uniform(random);
        if (1 + c * x > 0 && log(u) < 0.5 * x * x + d * (1 - v + log(v)))
            return log(d * v);
    }
}

/* Of Beta(alpha, alpha); 1 where there is no mixing. */
static double draw_share(const struct descent_value *values, struct descent_random *random)
{
    if (!data_chance(random, values[P].number))
        return 1;
    double a = log_gamma_number(random, values[ALPHA].number);
    double b = log_gamma_number(random, values[ALPHA].number);
    return 1 / (1 + exp(b - a));
}

static double mixup(const struct descent_value *values, struct data_mixture *mixture)
{
    float share = (float)draw_share(values, &mixture->random);
    size_t size = (size_t)mixture->height * (size_t)mixture->width * (size_t)mixture->channels;
    for (size_t k = 0; k < size; k++)
        mixture->x[k] = share * mixture->x[k] + (1 - share) * mixture->other[k];
    return (double)share;
}

/* A rectangle of the image's shape and the other's share of its area, its center anywhere: what lies
 * outside is lost, and the shares are those of the pixels. */
static double cutmix(const struct descent_value *values, struct data_mixture *mixture)
{
    int height = mixture->height, width = mixture->width;
    double half = 0.5 * sqrt(1 - draw_share(values, &mixture->random));
    int y = data_below(&mixture->random, height), x = data_below(&mixture->random, width);
    int reach_y = (int)(half * height), reach_x = (int)(half * width);
    int top = y > reach_y ? y - reach_y : 0, bottom = y + reach_y < height ? y + reach_y : height;
    int left = x > reach_x ? x - reach_x : 0, right = x + reach_x < width ? x + reach_x : width;
    size_t pixel = (size_t)mixture->channels;
    for (int row = top; row < bottom; row++) {
        size_t at = ((size_t)row * (size_t)width + (size_t)left) * pixel;
        memcpy(mixture->x + at, mixture->other + at, (size_t)(right - left) * pixel * sizeof *mixture->x);
    }
    return 1 - (double)(bottom - top) * (right - left) / ((double)height * width);
}

const struct data_augmentation data_augmentation_mixup = {
    .info = {.name = "mixup",
             .summary = "a weighted mean of two images, and of their labels; stands last",
             .paper = "Zhang et al. 2017, arXiv:1710.09412; torchvision's MixUp",
             .options = options,
             .option_count = sizeof options / sizeof *options},
    .mix = mixup,
};

const struct data_augmentation data_augmentation_cutmix = {
    .info = {.name = "cutmix",
             .summary = "a rectangle of another image, labels in shares of the area; stands last",
             .paper = "Yun et al. 2019, arXiv:1905.04899; torchvision's CutMix",
             .options = options,
             .option_count = sizeof options / sizeof *options},
    .mix = cutmix,
};
