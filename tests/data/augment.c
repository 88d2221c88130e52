/* What augmentations do to an image: exactly torchvision's numbers where there is no chance in it, and
 * otherwise exactly one of the outcomes that there should be, with all of them coming up.
 * vectors/augmentations.safetensors is of make_augmentations.py beside it. */
#include "data/augment.h"
#include "base/safetensors.h"
#include "data/augment/color.h"
#include "data/augment/warp.h"
#include "tests/test.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LARGEST = 64 * 64 * 3 };

static const uint8_t mean[] = {30, 200, 90};

/* An image with the memory it works on. */
struct picture {
    struct data_image image;
    uint8_t memory[2][LARGEST];
};

static void set_picture(struct picture *picture, int height, int width, int channels, const void *bytes)
{
    picture->image = (struct data_image){.height = height,
                                         .width = width,
                                         .channels = channels,
                                         .bytes = picture->memory[0],
                                         .spare = picture->memory[1],
                                         .mean = mean};
    assert_true(data_image_bytes(&picture->image) <= LARGEST);
    memcpy(picture->memory[0], bytes, data_image_bytes(&picture->image));
    memset(picture->memory[1], 0xee, LARGEST);
}

static struct data_augment *augment_new(const char *spec, int height, int width, int channels)
{
    const struct data_info info = {.height = height, .width = width, .channels = channels};
    struct data_augment *augment = data_augment_new(spec, &info);
    if (!augment)
        fail_msg("%s", descent_error());
    return augment;
}

/* The i-th image of an epoch, made of `bytes`. */
static const uint8_t *outcome(const struct data_augment *augment, struct picture *picture, int height,
                              int width, int channels, const void *bytes, uint64_t i, int64_t epoch)
{
    set_picture(picture, height, width, channels, bytes);
    picture->image.random = descent_random_new(7, DESCENT_RANDOM_AUGMENT, (uint64_t)epoch << 32 | i);
    picture->image.fixed = descent_random_new(7, DESCENT_RANDOM_AUGMENT, (uint64_t)-1 << 32 | i);
    picture->image.epoch = epoch;
    data_augment_apply(augment, &picture->image);
    return picture->image.bytes;
}

/* ---- The changes themselves ---- */

/* Changes the image as a vector's name says; false if it says nothing known. */
static bool change(const char *name, const double number[8], struct data_image *image)
{
    static const struct {
        const char *name;
        void (*change)(struct data_image *, double);
    } by_factor[] = {{"brightness", data_brightness},
                     {"contrast", data_contrast},
                     {"saturation", data_saturation},
                     {"sharpness", data_sharpness},
                     {"solarize", data_solarize}};
    for (size_t i = 0; i < sizeof by_factor / sizeof *by_factor; i++)
        if (strcmp(name, by_factor[i].name) == 0) {
            by_factor[i].change(image, number[0]);
            return true;
        }
    if (strcmp(name, "posterize") == 0)
        data_posterize(image, (int)number[0]);
    else if (strcmp(name, "autocontrast") == 0)
        data_autocontrast(image);
    else if (strcmp(name, "equalize") == 0)
        data_equalize(image);
    else if (strncmp(name, "nearest", 7) == 0 || strncmp(name, "bilinear", 8) == 0) {
        const struct data_warp warp = {.angle = number[0],
                                       .move_x = number[1],
                                       .move_y = number[2],
                                       .scale = number[3],
                                       .shear_x = number[4],
                                       .shear_y = number[5],
                                       .center_x = number[6],
                                       .center_y = number[7]};
        data_warp_image(image, &warp, *name == 'n' ? DATA_NEAREST : DATA_BILINEAR,
                        strstr(name, "mean") ? DATA_FILL_MEAN : DATA_FILL_ZERO);
    } else {
        return false;
    }
    return true;
}

/* To the byte, but for a step in one of a hundred where float32 is cut down, with or without fused
 * multiplication. */
static void changes_of_an_image_are_torchvisions(void **state)
{
    struct descent_safetensors *vectors = *state;
    int done = 0;
    for (int i = 0; i < vectors->count; i++) {
        const struct descent_tensor *expected = &vectors->tensors[i];
        char from[16], name[32];
        double number[8] = {0};
        if (sscanf(expected->name, "%15s %31s %lf %lf %lf %lf %lf %lf %lf %lf", from, name, number,
                   number + 1, number + 2, number + 3, number + 4, number + 5, number + 6, number + 7) < 2)
            continue; /* an image */
        const struct descent_tensor *image = descent_safetensors_find(vectors, from);
        struct picture picture;
        set_picture(&picture, (int)image->shape[0], (int)image->shape[1], (int)image->shape[2],
                    image->data);
        if (!change(name, number, &picture.image))
            fail_msg("no change called %s", name);
        size_t steps = 0;
        for (size_t k = 0; k < expected->bytes; k++) {
            int found = picture.image.bytes[k], wanted = ((const uint8_t *)expected->data)[k];
            if (abs(found - wanted) > 1)
                fail_msg("%s: byte %zu is %d, torchvision's is %d", expected->name, k, found, wanted);
            steps += found != wanted;
        }
        if (steps > expected->bytes / 100)
            fail_msg("%s: %zu of %zu bytes are not torchvision's", expected->name, steps, expected->bytes);
        done++;
    }
    assert_int_equal(done, 2 * (4 * 6 + 3 + 4 + 2 + 15));
}

/* To within a step in a few bytes: torchvision's strengths are float32. */
static bool is_nearly(const uint8_t *a, const uint8_t *b, size_t size)
{
    int differences = 0;
    for (size_t k = 0; k < size && differences <= 4; k++)
        differences += abs(a[k] - b[k]);
    return differences <= 4;
}

static void trivial_augment_makes_what_torchvisions_makes_and_all_of_it(void **state)
{
    enum { SIDE = 9, SIZE = SIDE * SIDE * 3, DRAWS = 15000, MOST = 1000 };
    struct descent_safetensors *vectors = *state;
    const struct descent_tensor *image = descent_safetensors_find(vectors, "small");
    const struct descent_tensor *all = descent_safetensors_find(vectors, "trivial_augment");
    struct data_augment *augment = augment_new("trivial_augment", SIDE, SIDE, 3);
    struct picture picture;
    int seen[MOST] = {0};
    assert_true(all->shape[0] > 400 && all->shape[0] < MOST && all->bytes == (size_t)all->shape[0] * SIZE);
    for (int i = 0; i < DRAWS; i++) {
        const uint8_t *made = outcome(augment, &picture, SIDE, SIDE, 3, image->data, (uint64_t)i, 0);
        int matches = 0;
        for (int64_t j = 0; j < all->shape[0]; j++)
            if (is_nearly((const uint8_t *)all->data + j * SIZE, made, SIZE)) {
                seen[j]++;
                matches++;
            }
        if (matches == 0)
            fail_msg("draw %d is none of torchvision's", i);
    }
    for (int64_t j = 0; j < all->shape[0]; j++)
        assert_true(seen[j] > 0);
    data_augment_free(augment);
}

static void mean_around_the_mean_color_changes_nothing(void **state)
{
    (void)state;
    enum { SIDE = 11 };
    uint8_t bytes[SIDE * SIDE * 3];
    for (int k = 0; k < SIDE * SIDE * 3; k++)
        bytes[k] = mean[k % 3];
    struct data_augment *augment =
        augment_new("affine:degrees=180,translate=0.5,shear=30,fill=mean", SIDE, SIDE, 3);
    for (uint64_t draw = 0; draw < 50; draw++) {
        struct picture picture;
        assert_memory_equal(outcome(augment, &picture, SIDE, SIDE, 3, bytes, draw, 0), bytes, sizeof bytes);
    }
    data_augment_free(augment);
}

/* ---- Crops, flips, cutouts ---- */

enum { HEIGHT = 5, WIDTH = 4, CHANNELS = 3, SIZE = HEIGHT * WIDTH * CHANNELS };

static void fill_distinct(uint8_t *bytes, int size)
{
    for (int k = 0; k < size; k++)
        bytes[k] = (uint8_t)(k + 1);
}

/* Where pixel i of a line of `size` comes from, walking there; -1: nowhere. */
static int padded(int i, int size, const char *mode)
{
    int direction = 1, at = 0;
    if (strcmp(mode, "zero") == 0)
        return i >= 0 && i < size ? i : -1;
    if (strcmp(mode, "edge") == 0)
        return i < 0 ? 0 : i < size ? i : size - 1;
    for (int step = abs(i); step > 0; step--) { /* reflection at 0 leaves the distance as it is */
        if (at + direction < 0 || at + direction >= size)
            direction = -direction;
        at += direction;
    }
    return at;
}

static bool is_window(const uint8_t *made, const uint8_t *from, int down, int right, const char *mode)
{
    for (int y = 0; y < HEIGHT; y++)
        for (int x = 0; x < WIDTH; x++)
            for (int c = 0; c < CHANNELS; c++) {
                int source_y = padded(y + down, HEIGHT, mode), source_x = padded(x + right, WIDTH, mode);
                int expected =
                    source_y < 0 || source_x < 0 ? 0 : from[(source_y * WIDTH + source_x) * CHANNELS + c];
                if (*made++ != expected)
                    return false;
            }
    return true;
}

static void crops_are_all_the_windows_of_the_padded_image(void **state)
{
    (void)state;
    static const struct {
        const char *mode;
        int pad;
    } cases[] = {{"zero", 2}, {"zero", 7}, {"edge", 2}, {"edge", 7}, {"reflect", 3}};
    uint8_t bytes[SIZE];
    fill_distinct(bytes, SIZE);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char spec[64];
        int pad = cases[i].pad, side = 2 * pad + 1, seen[15 * 15] = {0};
        snprintf(spec, sizeof spec, "crop:pad=%d,mode=%s", pad, cases[i].mode);
        struct data_augment *augment = augment_new(spec, HEIGHT, WIDTH, CHANNELS);
        for (uint64_t draw = 0; draw < 4000; draw++) {
            struct picture picture;
            const uint8_t *made = outcome(augment, &picture, HEIGHT, WIDTH, CHANNELS, bytes, draw, 0);
            int matches = 0;
            for (int k = 0; k < side * side; k++)
                if (is_window(made, bytes, k / side - pad, k % side - pad, cases[i].mode)) {
                    seen[k]++;
                    matches++;
                }
            assert_true(matches > 0);
        }
        for (int k = 0; k < side * side; k++)
            assert_true(seen[k] > 0);
        data_augment_free(augment);
    }
}

enum mirrored { AS_IT_WAS, LEFT_RIGHT, UPSIDE_DOWN };

static enum mirrored mirrored(const uint8_t *made, const uint8_t *from)
{
    bool same = true, left_right = true, upside_down = true;
    for (int y = 0; y < HEIGHT; y++)
        for (int x = 0; x < WIDTH; x++)
            for (int c = 0; c < CHANNELS; c++) {
                uint8_t byte = *made++;
                same &= byte == from[(y * WIDTH + x) * CHANNELS + c];
                left_right &= byte == from[(y * WIDTH + WIDTH - 1 - x) * CHANNELS + c];
                upside_down &= byte == from[((HEIGHT - 1 - y) * WIDTH + x) * CHANNELS + c];
            }
    assert_int_equal(same + left_right + upside_down, 1);
    return same ? AS_IT_WAS : left_right ? LEFT_RIGHT : UPSIDE_DOWN;
}

static void flips_come_as_often_as_asked(void **state)
{
    (void)state;
    static const struct {
        const char *spec;
        enum mirrored how;
        int least, most; /* of 1000 */
    } cases[] = {{"flip", LEFT_RIGHT, 440, 560},
                 {"flip:0.1", LEFT_RIGHT, 65, 140},
                 {"flip:p=0", LEFT_RIGHT, 0, 0},
                 {"flip:1", LEFT_RIGHT, 1000, 1000},
                 {"flip:1+flip:1", LEFT_RIGHT, 0, 0},
                 {"vertical_flip", UPSIDE_DOWN, 440, 560},
                 {"vertical_flip:1", UPSIDE_DOWN, 1000, 1000}};
    uint8_t bytes[SIZE];
    fill_distinct(bytes, SIZE);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct data_augment *augment = augment_new(cases[i].spec, HEIGHT, WIDTH, CHANNELS);
        int count = 0;
        for (uint64_t draw = 0; draw < 1000; draw++) {
            struct picture picture;
            enum mirrored how =
                mirrored(outcome(augment, &picture, HEIGHT, WIDTH, CHANNELS, bytes, draw, 3), bytes);
            assert_true(how == AS_IT_WAS || how == cases[i].how);
            count += how != AS_IT_WAS;
        }
        assert_in_range(count, cases[i].least, cases[i].most);
        data_augment_free(augment);
    }
}

static void alternating_flip_is_random_once_and_then_alternates(void **state)
{
    (void)state;
    uint8_t bytes[SIZE];
    fill_distinct(bytes, SIZE);
    struct data_augment *augment = augment_new("alternating_flip", HEIGHT, WIDTH, CHANNELS);
    int first = 0;
    for (uint64_t draw = 0; draw < 1000; draw++) {
        struct picture picture;
        enum mirrored how[4];
        for (int epoch = 0; epoch < 4; epoch++)
            how[epoch] =
                mirrored(outcome(augment, &picture, HEIGHT, WIDTH, CHANNELS, bytes, draw, epoch), bytes);
        assert_true(how[0] != how[1] && how[0] == how[2] && how[1] == how[3]);
        first += how[0] == LEFT_RIGHT;
    }
    assert_in_range(first, 440, 560);
    data_augment_free(augment);
}

static void cutouts_are_the_squares_around_every_pixel(void **state)
{
    (void)state;
    uint8_t bytes[SIZE];
    memset(bytes, 255, SIZE);
    for (int size = 1; size <= 4; size++) {
        for (int fill = 0; fill < 2; fill++) {
            char spec[64];
            int seen[HEIGHT * WIDTH] = {0};
            snprintf(spec, sizeof spec, "cutout:%d,fill=%s", size, fill ? "mean" : "zero");
            struct data_augment *augment = augment_new(spec, HEIGHT, WIDTH, CHANNELS);
            for (uint64_t draw = 0; draw < 500; draw++) {
                struct picture picture;
                const uint8_t *made = outcome(augment, &picture, HEIGHT, WIDTH, CHANNELS, bytes, draw, 0);
                int matches = 0;
                for (int center = 0; center < HEIGHT * WIDTH; center++) {
                    int top = center / WIDTH - size / 2, left = center % WIDTH - size / 2;
                    bool same = true;
                    for (int k = 0; k < SIZE; k++) {
                        int y = k / CHANNELS / WIDTH, x = k / CHANNELS % WIDTH;
                        bool cut = y >= top && y < top + size && x >= left && x < left + size;
                        same &= made[k] == (!cut ? 255 : fill ? mean[k % CHANNELS] : 0);
                    }
                    seen[center] += same;
                    matches += same;
                }
                assert_int_equal(matches, 1);
            }
            for (int center = 0; center < HEIGHT * WIDTH; center++)
                assert_true(seen[center] > 0);
            data_augment_free(augment);
        }
    }
}

/* ---- Random rectangles, colors, noise ---- */

static void erased_rectangles_have_the_sizes_and_shapes_asked_for(void **state)
{
    (void)state;
    enum { SIDE = 40 };
    static uint8_t bytes[SIDE * SIDE];
    memset(bytes, 0, sizeof bytes);
    struct data_augment *augment =
        augment_new("erasing:p=0.75,scale=0.05/0.2,ratio=0.5/2,fill=mean", SIDE, SIDE, 1);
    int erased = 0, tall = 0;
    for (uint64_t draw = 0; draw < 2000; draw++) {
        struct picture picture;
        const uint8_t *made = outcome(augment, &picture, SIDE, SIDE, 1, bytes, draw, 0);
        int top = SIDE, bottom = -1, left = SIDE, right = -1, count = 0;
        for (int k = 0; k < SIDE * SIDE; k++) {
            assert_true(made[k] == 0 || made[k] == mean[0]);
            if (made[k] == 0)
                continue;
            int y = k / SIDE, x = k % SIDE;
            top = y < top ? y : top, bottom = y > bottom ? y : bottom;
            left = x < left ? x : left, right = x > right ? x : right;
            count++;
        }
        if (count == 0)
            continue;
        int height = bottom - top + 1, width = right - left + 1;
        assert_int_equal(count, height * width);
        /* To within the rounding of both sides. */
        assert_true((height + 0.5) * (width + 0.5) >= 0.05 * SIDE * SIDE);
        assert_true((height - 0.5) * (width - 0.5) <= 0.2 * SIDE * SIDE);
        assert_true((height + 0.5) / (width - 0.5) >= 0.5 && (height - 0.5) / (width + 0.5) <= 2);
        erased++;
        tall += height > width;
    }
    assert_in_range(erased, 1400, 1600);
    assert_in_range(tall, 600, 900); /* half, but for squares: the logarithm is uniform */
    data_augment_free(augment);
}

static void erasing_fills_with_noise_by_default(void **state)
{
    (void)state;
    enum { SIDE = 20 };
    uint8_t bytes[SIDE * SIDE] = {0};
    struct data_augment *augment = augment_new("erasing:p=1", SIDE, SIDE, 1);
    int counts[256] = {0};
    for (uint64_t draw = 0; draw < 500; draw++) {
        struct picture picture;
        const uint8_t *made = outcome(augment, &picture, SIDE, SIDE, 1, bytes, draw, 0);
        for (int k = 0; k < SIDE * SIDE; k++)
            counts[made[k]]++;
    }
    for (int v = 1; v < 256; v++)
        assert_in_range(counts[v], 70, 300); /* 500 x 400 x 17 % / 256 = 133 */
    data_augment_free(augment);
}

/* The numbers that one channel of a uniform image becomes. */
static void jittered(const char *spec, const uint8_t color[3], int channel, double *low, double *high)
{
    enum { SIDE = 3 };
    uint8_t bytes[SIDE * SIDE * 3];
    struct data_augment *augment = augment_new(spec, SIDE, SIDE, 3);
    for (int k = 0; k < SIDE * SIDE * 3; k++)
        bytes[k] = color[k % 3];
    *low = 255, *high = 0;
    for (uint64_t draw = 0; draw < 3000; draw++) {
        struct picture picture;
        const uint8_t *made = outcome(augment, &picture, SIDE, SIDE, 3, bytes, draw, 0);
        for (int k = 3; k < SIDE * SIDE * 3; k++)
            assert_int_equal(made[k], made[k - 3]);
        *low = fmin(*low, made[channel]), *high = fmax(*high, made[channel]);
    }
    data_augment_free(augment);
}

static void jitter_reaches_its_limits_and_keeps_to_them(void **state)
{
    (void)state;
    const uint8_t gray[3] = {100, 100, 100}, color[3] = {200, 100, 0}; /* of luma 118 */
    double low, high;
    jittered("jitter:brightness=0.5,contrast=0,saturation=0", gray, 0, &low, &high);
    assert_true(low == 50 && high == 149); /* 150 is not reached: cut down to bytes */
    jittered("jitter:brightness=0,contrast=1,saturation=1", gray, 0, &low, &high);
    assert_true(low >= 97 && high <= 102); /* 1 a step: the luma of 100 is cut down to 99 */
    jittered("jitter:brightness=0,contrast=0,saturation=0", color, 0, &low, &high);
    assert_true(low == 200 && high == 200);
    jittered("jitter:brightness=0,contrast=0,saturation=0.5", color, 0, &low, &high);
    assert_true(low == 159 && high == 240); /* 118 + 82 (1 -+ 0.5) */
    jittered("jitter:brightness=0,contrast=0.5,saturation=0", color, 0, &low, &high);
    assert_true(low == 159 && high == 240);
}

static void noise_has_the_deviation_asked_for(void **state)
{
    (void)state;
    enum { SIDE = 63, COUNT = SIDE * SIDE * 3 };
    static uint8_t bytes[COUNT];
    static const struct {
        int level;
        double mean, deviation;
    } cases[] = {
        {128, 128, 25.5}, {0, 25.5 * 0.39894, 25.5 * 0.58381}, {255, 255 - 25.5 * 0.39894, 14.887}};
    struct data_augment *augment = augment_new("noise:0.1", SIDE, SIDE, 3);
    for (int i = 0; i < 3; i++) {
        struct picture picture;
        double sum = 0, squares = 0, neighbors = 0;
        memset(bytes, cases[i].level, COUNT);
        const uint8_t *made = outcome(augment, &picture, SIDE, SIDE, 3, bytes, (uint64_t)i, 0);
        for (int k = 0; k < COUNT; k++) {
            double value = made[k] - cases[i].mean;
            sum += value;
            squares += value * value;
            neighbors += k > 0 ? value * (made[k - 1] - cases[i].mean) : 0;
        }
        assert_true(fabs(sum / COUNT) < 0.9);
        assert_true(fabs(sqrt(squares / COUNT) - cases[i].deviation) < 0.6);
        assert_true(fabs(neighbors / squares) < 0.03);
    }
    data_augment_free(augment);
}

static void affine_without_turning_moves_by_whole_pixels_up_to_its_limit(void **state)
{
    (void)state;
    uint8_t bytes[SIZE];
    int seen[3][3] = {0};
    fill_distinct(bytes, SIZE);
    struct data_augment *augment =
        augment_new("affine:degrees=0,scale=0,translate=0.25", HEIGHT, WIDTH, CHANNELS);
    for (uint64_t draw = 0; draw < 1000; draw++) {
        struct picture picture;
        const uint8_t *made = outcome(augment, &picture, HEIGHT, WIDTH, CHANNELS, bytes, draw, 0);
        int matches = 0;
        for (int k = 0; k < 9; k++)
            if (is_window(made, bytes, k / 3 - 1, k % 3 - 1, "zero")) {
                seen[k / 3][k % 3]++;
                matches++;
            }
        assert_int_equal(matches, 1);
    }
    for (int k = 0; k < 9; k++)
        assert_true(seen[k / 3][k % 3] > 0);
    data_augment_free(augment);
}

/* A bright pixel left of the center: how far it turns. */
static void rotation_keeps_to_its_angle(void **state)
{
    (void)state;
    enum { SIDE = 21, FAR = 9 };
    uint8_t bytes[SIDE * SIDE] = {0};
    bytes[SIDE / 2 * SIDE + SIDE / 2 - FAR] = 255;
    struct data_augment *augment = augment_new("rotate:20", SIDE, SIDE, 1);
    double low = 90, high = -90;
    for (uint64_t draw = 0; draw < 300; draw++) {
        struct picture picture;
        const uint8_t *made = outcome(augment, &picture, SIDE, SIDE, 1, bytes, draw, 0);
        double sum = 0, up = 0, left = 0;
        for (int k = 0; k < SIDE * SIDE; k++) {
            sum += made[k];
            up += made[k] * (SIDE / 2 - k / SIDE);
            left += made[k] * (SIDE / 2 - k % SIDE);
        }
        assert_true(sum > 100);
        double angle = atan2(up, left) * 180 / 3.14159265358979;
        low = fmin(low, angle), high = fmax(high, angle);
    }
    assert_true(low > -21.5 && low < -18 && high > 18 && high < 21.5);
    data_augment_free(augment);
}

/* ---- Mixing ---- */

enum { MIXED = 12 * 10 * 2 };

/* Mixes ones into zeros. */
static double mix(const struct data_augment *augment, uint64_t draw, float x[MIXED])
{
    float other[MIXED] = {0};
    for (int k = 0; k < MIXED; k++)
        x[k] = 1;
    struct data_mixture mixture = {.height = 12,
                                   .width = 10,
                                   .channels = 2,
                                   .x = x,
                                   .other = other,
                                   .random = descent_random_new(5, DESCENT_RANDOM_AUGMENT, draw)};
    return data_augment_mix(augment, &mixture);
}

/* Beta(a, a): mean 1/2, variance 1 / (4 (2 a + 1)). */
static void mixup_shares_are_of_the_beta_distribution(void **state)
{
    (void)state;
    static const double alphas[] = {0.01, 0.2, 1, 5};
    for (int i = 0; i < 4; i++) {
        enum { DRAWS = 20000 };
        char spec[32];
        double sum = 0, squares = 0, variance = 1 / (4 * (2 * alphas[i] + 1));
        snprintf(spec, sizeof spec, "mixup:%g", alphas[i]);
        struct data_augment *augment = augment_new(spec, 12, 10, 2);
        assert_true(data_augment_mixes(augment));
        for (uint64_t draw = 0; draw < DRAWS; draw++) {
            float x[MIXED];
            double share = mix(augment, draw, x);
            assert_true(share >= 0 && share <= 1);
            for (int k = 0; k < MIXED; k++)
                assert_true(fabs((double)x[k] - share) <= 1e-6);
            sum += share - 0.5;
            squares += (share - 0.5) * (share - 0.5);
        }
        assert_true(fabs(sum / DRAWS) < 0.015);
        assert_true(fabs(squares / DRAWS / variance - 1) < 0.03);
        data_augment_free(augment);
    }
}

static void cutmix_shares_are_those_of_the_pixels(void **state)
{
    (void)state;
    enum { DRAWS = 4000 };
    struct data_augment *augment = augment_new("cutmix", 12, 10, 2);
    int hit[MIXED] = {0}, half = 0;
    for (uint64_t draw = 0; draw < DRAWS; draw++) {
        float x[MIXED];
        double share = mix(augment, draw, x), own = 0;
        int top = 12, bottom = -1, left = 10, right = -1;
        for (int k = 0; k < MIXED; k++) {
            bool other = x[k] == 0;
            assert_true(other || x[k] == 1);
            own += !other;
            hit[k] += other;
            if (other) {
                top = k / 20 < top ? k / 20 : top, bottom = k / 20 > bottom ? k / 20 : bottom;
                left = k % 20 / 2 < left ? k % 20 / 2 : left,
                right = k % 20 / 2 > right ? k % 20 / 2 : right;
            }
        }
        assert_true(fabs(share - own / MIXED) < 1e-12);
        if (bottom >= 0)
            assert_true(MIXED - own == 2 * (bottom - top + 1) * (right - left + 1));
        half += share < 0.5;
    }
    for (int k = 0; k < MIXED; k++)
        assert_true(hit[k] > DRAWS / 20);
    assert_in_range(half, DRAWS / 20, DRAWS / 4); /* less than half of a clipped rectangle is left */
    data_augment_free(augment);
}

static void some_images_are_left_unmixed_and_two_mixers_take_turns(void **state)
{
    (void)state;
    struct data_augment *augment = augment_new("mixup:p=0.5+cutmix", 12, 10, 2);
    int blended = 0, whole = 0;
    for (uint64_t draw = 0; draw < 2000; draw++) {
        float x[MIXED];
        double share = mix(augment, draw, x);
        bool blend = x[0] > 0 && x[0] < 1;
        blended += blend;
        whole += share == 1;
    }
    assert_in_range(blended, 420, 580);
    assert_in_range(whole, 500, 700); /* a quarter by chance, and rectangles too small to have a pixel */
    data_augment_free(augment);
}

/* ---- Specs ---- */

static void impossible_specs_are_refused_in_the_users_words(void **state)
{
    (void)state;
    static const struct {
        const char *spec, *message;
    } cases[] = {
        {"corp", "unknown augmentation 'corp'; did you mean 'crop'?"},
        {"crop:pad=0", "pad=0 for augmentation crop is out of range; expected"},
        {"crop:pad=28,mode=reflect",
         "augmentation crop: pad=28,mode=reflect of images 28 x 32; expected a pad "
         "below 28"},
        {"crop:pad=2,mode=wrap", "mode=wrap for augmentation crop"},
        {"flip:1.5", "p=1.5 for augmentation flip is out of range; expected a number in [0, 1]"},
        {"alternating_flip:p=1", "unknown key 'p' for augmentation alternating_flip"},
        {"mixup+flip", "augmentation mixup mixes finished images; expected it after flip"},
        {"erasing:scale=0.5",
         "augmentation erasing: scale: expected the smallest and the largest, as in 0.02/0.33"},
        {"erasing:ratio=3/2", "augmentation erasing: ratio"},
        {"affine:scale=1", "scale=1 for augmentation affine is out of range"},
        {"", "expected a name"},
    };
    const struct data_info info = {.height = 28, .width = 32, .channels = 1};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_null(data_augment_new(cases[i].spec, &info));
        if (!strstr(descent_error(), cases[i].message))
            fail_msg("'%s': %s", cases[i].spec, descent_error());
    }
}

static int set_up(void **state)
{
    static struct descent_safetensors vectors;
    *state = &vectors;
    return descent_safetensors_read("vectors/augmentations.safetensors", &vectors);
}

static int tear_down(void **state)
{
    descent_safetensors_free(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(changes_of_an_image_are_torchvisions),
        cmocka_unit_test(trivial_augment_makes_what_torchvisions_makes_and_all_of_it),
        cmocka_unit_test(mean_around_the_mean_color_changes_nothing),
        cmocka_unit_test(crops_are_all_the_windows_of_the_padded_image),
        cmocka_unit_test(flips_come_as_often_as_asked),
        cmocka_unit_test(alternating_flip_is_random_once_and_then_alternates),
        cmocka_unit_test(cutouts_are_the_squares_around_every_pixel),
        cmocka_unit_test(erased_rectangles_have_the_sizes_and_shapes_asked_for),
        cmocka_unit_test(erasing_fills_with_noise_by_default),
        cmocka_unit_test(jitter_reaches_its_limits_and_keeps_to_them),
        cmocka_unit_test(noise_has_the_deviation_asked_for),
        cmocka_unit_test(affine_without_turning_moves_by_whole_pixels_up_to_its_limit),
        cmocka_unit_test(rotation_keeps_to_its_angle),
        cmocka_unit_test(mixup_shares_are_of_the_beta_distribution),
        cmocka_unit_test(cutmix_shares_are_those_of_the_pixels),
        cmocka_unit_test(some_images_are_left_unmixed_and_two_mixers_take_turns),
        cmocka_unit_test(impossible_specs_are_refused_in_the_users_words),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
