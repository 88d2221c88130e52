/* The picture decoder: what it gives back, and that neither a malformed picture nor a worker that dies,
 * hangs or is too small for it costs more than that picture. */
#include "data/decoder.h"
#include "data/png.h"
#include "tests/scratch.h"
#include "tests/test.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#if defined(__linux__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define CONFINED 1
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#else
#define CONFINED 0
#endif

enum { HEIGHT = 5, WIDTH = 7, BYTES = HEIGHT * WIDTH * 3 };

static const struct data_image_size as_it_is = {HEIGHT, WIDTH, 3, DATA_FIT_EXACT};

/* The picture of tests/fuzz/make_corpus.py. */
static void expected_pixels(uint8_t pixels[BYTES])
{
    for (int y = 0; y < HEIGHT; y++)
        for (int x = 0; x < WIDTH; x++) {
            *pixels++ = (uint8_t)(20 * x);
            *pixels++ = (uint8_t)(30 * y);
            *pixels++ = (uint8_t)(255 - 10 * x - 10 * y);
        }
}

static struct data_decoder *new_decoder(int workers, double seconds)
{
    struct data_decoder *decoder = data_decoder_new(workers, seconds);
    assert_non_null(decoder);
    return decoder;
}

static void expect_error(struct data_decoder *decoder, const char *path, const char *const *words)
{
    uint8_t pixels[BYTES];
    assert_int_equal(data_decoder_read(decoder, path, &as_it_is, pixels, NULL), DESCENT_BAD_FORMAT);
    assert_ptr_equal(strstr(descent_error(), path), descent_error());
    for (; *words; words++)
        if (!strstr(descent_error(), *words))
            fail_msg("'%s' does not say '%s'", descent_error(), *words);
}

#define EXPECT_ERROR(decoder, path, ...)                                                                   \
    expect_error(decoder, path, (const char *const[]){__VA_ARGS__, NULL})

static void expect_good(struct data_decoder *decoder, const char *path)
{
    uint8_t pixels[BYTES], expected[BYTES];
    expected_pixels(expected);
    if (data_decoder_read(decoder, path, &as_it_is, pixels, NULL) != DESCENT_OK)
        fail_msg("%s", descent_error());
    assert_memory_equal(pixels, expected, BYTES);
}

static const char color[] = "fuzz/corpus/image/color2.png";

static void png_and_bmp_come_back_byte_for_byte(void **state)
{
    (void)state;
    struct data_decoder *decoder = new_decoder(1, 10);
    expect_good(decoder, color);
    expect_good(decoder, "fuzz/corpus/image/color6.png"); /* its transparency is left out */
    expect_good(decoder, "fuzz/corpus/image/bits24.bmp");
    uint8_t gray[HEIGHT * WIDTH];
    const struct data_image_size size = {HEIGHT, WIDTH, 1, DATA_FIT_EXACT};
    assert_int_equal(data_decoder_read(decoder, "fuzz/corpus/image/color0.png", &size, gray, NULL),
                     DESCENT_OK);
    for (int i = 0; i < HEIGHT * WIDTH; i++)
        assert_int_equal(gray[i], 20 * (i % WIDTH));
    int height, width;
    assert_int_equal(data_decoder_measure(decoder, color, &height, &width), DESCENT_OK);
    assert_int_equal(height, HEIGHT);
    assert_int_equal(width, WIDTH);
    data_decoder_free(decoder);
}

static void jpeg_comes_close(void **state)
{
    (void)state;
    static const char *const files[] = {"fuzz/corpus/image/baseline.jpg",
                                        "fuzz/corpus/image/progressive.jpg"};
    struct data_decoder *decoder = new_decoder(1, 10);
    uint8_t pixels[BYTES], expected[BYTES];
    expected_pixels(expected);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(data_decoder_read(decoder, files[i], &as_it_is, pixels, NULL), DESCENT_OK);
        for (int k = 0; k < BYTES; k++)
            assert_true(abs(pixels[k] - expected[k]) <= 8);
    }
    data_decoder_free(decoder);
}

/* A picture of 4 x 4 blocks of 2 x 2 equal pixels, halved, is one pixel a block but for what bilinear
 * weights mix in of the neighbors; a constant one stays constant. */
static void scaling_averages_and_keeps_what_is_constant(void **state)
{
    (void)state;
    struct data_decoder *decoder = new_decoder(1, 10);
    uint8_t pixels[12 * 8 * 3], scaled[64 * 64 * 3];
    memset(pixels, 200, sizeof pixels);
    char path[256];
    snprintf(path, sizeof path, "%s", scratch_path("constant.png"));
    assert_int_equal(data_write_png(path, pixels, 12, 8), DESCENT_OK);
    const int sizes[][2] = {{1, 1}, {3, 5}, {12, 8}, {24, 16}, {64, 64}, {5, 64}};
    for (int i = 0; i < 6; i++)
        for (int fit = DATA_FIT_COVER; fit <= DATA_FIT_STRETCH; fit++) {
            const struct data_image_size size = {sizes[i][0], sizes[i][1], 3, (enum data_fit)fit};
            assert_int_equal(data_decoder_read(decoder, path, &size, scaled, NULL), DESCENT_OK);
            for (int k = 0; k < sizes[i][0] * sizes[i][1] * 3; k++)
                assert_int_equal(scaled[k], 200);
        }
    /* A ramp down the rows: 10 y. Halved, row y is the average of rows 2y - 1 .. 2y + 2 weighted 1 3 3 1.
     */
    for (int k = 0; k < 12 * 8 * 3; k++)
        pixels[k] = (uint8_t)(10 * (k / 24));
    assert_int_equal(data_write_png(path, pixels, 12, 8), DESCENT_OK);
    const struct data_image_size half = {6, 4, 3, DATA_FIT_COVER}, middle = {2, 2, 3, DATA_FIT_CROP},
                                 wide = {3, 4, 3, DATA_FIT_COVER};
    assert_int_equal(data_decoder_read(decoder, path, &half, scaled, NULL), DESCENT_OK);
    for (int y = 1; y < 5; y++)
        assert_int_equal(scaled[12 * y], 20 * y + 5);
    assert_int_equal(data_decoder_read(decoder, path, &middle, scaled, NULL), DESCENT_OK);
    assert_int_equal(scaled[0], 50);
    assert_int_equal(scaled[6], 60);
    assert_int_equal(data_decoder_read(decoder, path, &wide, scaled, NULL), DESCENT_OK);
    assert_int_equal(scaled[12], 55); /* rows 3 .. 8 of 12 cover it */
    data_decoder_free(decoder);
}

static void truncated_and_damaged_pictures_are_errors(void **state)
{
    (void)state;
    static const char *const files[] = {"color2.png", "color3.png",   "bits8.bmp",
                                        "bits24.bmp", "baseline.jpg", "progressive.jpg"};
    struct data_decoder *decoder = new_decoder(1, 10);
    for (int i = 0; i < 6; i++) {
        char path[64];
        uint8_t bytes[1024], pixels[BYTES];
        snprintf(path, sizeof path, "fuzz/corpus/image/%s", files[i]);
        FILE *stream = fopen(path, "rb");
        assert_non_null(stream);
        size_t whole = fread(bytes, 1, sizeof bytes, stream);
        fclose(stream);
        for (size_t size = 0; size < whole; size++) {
            const char *cut = scratch_file("cut", bytes, size);
            assert_int_equal(data_decoder_read(decoder, cut, &as_it_is, pixels, NULL), DESCENT_BAD_FORMAT);
            assert_ptr_equal(strstr(descent_error(), cut), descent_error());
        }
        if (i < 2) /* PNG has checksums */
            for (size_t at = 0; at < whole; at++) {
                bytes[at] ^= 4;
                const char *damaged = scratch_file("damaged", bytes, whole);
                assert_int_equal(data_decoder_read(decoder, damaged, &as_it_is, pixels, NULL),
                                 DESCENT_BAD_FORMAT);
                bytes[at] ^= 4;
            }
    }
    EXPECT_ERROR(decoder, scratch_file("text", "hello", 5), "68 65 6c 6c in 5 bytes",
                 "neither PNG, JPEG nor BMP");
    EXPECT_ERROR(decoder, scratch_file("gif", "GIF89a-----------", 17), "neither PNG, JPEG nor BMP");
    EXPECT_ERROR(decoder, "fuzz/corpus/image/../idx/images", "neither PNG");
    static const uint8_t huffman[] = {0xFF, 0xD8, 0xFF, 0xC4, 0, 19, 0, 255, 2, 0, 0, 0,    0,
                                      0,    0,    0,    0,    0, 0,  0, 0,   0, 0, 0, 0xFF, 0xD9};
    EXPECT_ERROR(decoder, scratch_file("huffman.jpg", huffman, sizeof huffman), "Huffman table at byte 6",
                 "257 codes");
    const struct data_image_size other = {HEIGHT, WIDTH + 1, 3, DATA_FIT_EXACT};
    uint8_t pixels[BYTES + 3 * HEIGHT];
    assert_int_equal(data_decoder_read(decoder, color, &other, pixels, NULL), DESCENT_BAD_FORMAT);
    assert_non_null(strstr(descent_error(), "is 5 x 7, expected 5 x 8"));
    assert_int_equal(data_decoder_read(decoder, "no/such.png", &other, pixels, NULL), DESCENT_NOT_FOUND);
    assert_int_equal(data_decoder_read(decoder, "fuzz", &other, pixels, NULL), DESCENT_IO_ERROR);
    data_decoder_free(decoder);
}

static void picture_beyond_the_memory_limit_is_an_error(void **state)
{
    (void)state;
    struct data_decoder *decoder = new_decoder(1, 10);
    static const uint8_t head[] = "BM\0\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0\0\x40\0\0\0\x01\0\0\x01\0\x18";
    char path[256];
    snprintf(path, sizeof path, "%s", scratch_file("huge.bmp", head, sizeof head));
    assert_int_equal(truncate(path, 54 + (off_t)3 * 16384 * 256), 0);
    uint8_t pixels[3];
    const struct data_image_size one = {1, 1, 3, DATA_FIT_COVER};
    assert_int_equal(data_decoder_read(decoder, path, &one, pixels, NULL), DESCENT_OK); /* 16384 x 256 */
    assert_int_equal(truncate(path, DATA_MAX_IMAGE_FILE), 0);
    EXPECT_ERROR(decoder, path, "67108864 bytes or more");

    /* PNG: 16,384 x 16,384 pixels of 8 bytes promised in 69 bytes. */
    static const uint8_t png[] = {0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0x00, 0x00, 0x00, 0x0d,
                                  0x49, 0x48, 0x44, 0x52, 0x00, 0x00, 0x40, 0x00, 0x00, 0x00, 0x40, 0x00,
                                  0x10, 0x06, 0x00, 0x00, 0x00, 0xf9, 0x58, 0xcc, 0xc7, 0x00, 0x00, 0x00,
                                  0x0c, 0x49, 0x44, 0x41, 0x54, 0x78, 0x9c, 0x63, 0x60, 0xa0, 0x3d, 0x00,
                                  0x00, 0x00, 0x64, 0x00, 0x01, 0x86, 0x64, 0x3c, 0x35, 0x00, 0x00, 0x00,
                                  0x00, 0x49, 0x45, 0x4e, 0x44, 0xae, 0x42, 0x60, 0x82};
    EXPECT_ERROR(decoder, scratch_file("huge.png", png, sizeof png),
                 "more memory needed than a decoder has");
    const struct data_image_size large = {12000, 12000, 3, DATA_FIT_COVER};
    assert_int_equal(data_decoder_read(decoder, color, &large, NULL, NULL), DESCENT_BAD_ARGUMENT);
    assert_non_null(
        strstr(descent_error(), "12000 x 12000 x 3 are 432000000 bytes, expected at most 268435456"));
    expect_good(decoder, color);
    data_decoder_free(decoder);
}

static void killed_worker_is_that_pictures_failure_and_is_replaced(void **state)
{
    (void)state;
    struct data_decoder *decoder = new_decoder(1, 10);
    expect_good(decoder, color);
    pid_t first = data_decoder_process(decoder, 0);
    assert_true(first > 0);
    assert_int_equal(kill(first, SIGSEGV), 0);
    EXPECT_ERROR(decoder, color, "the decoder was killed by signal 11");
    assert_int_equal(data_decoder_process(decoder, 0), 0);
    expect_good(decoder, color);
    pid_t second = data_decoder_process(decoder, 0);
    assert_true(second > 0 && second != first);
    data_decoder_free(decoder);
    assert_int_equal(kill(second, 0), -1); /* gone, and waited for */
}

static void slow_worker_is_stopped_and_replaced(void **state)
{
    (void)state;
    struct data_decoder *decoder = new_decoder(1, 0.2);
    pid_t process = 0;
    for (int i = 0; i < 20 && !process; i++) { /* a busy machine may take longer than that to start it */
        uint8_t pixels[BYTES];
        if (data_decoder_read(decoder, color, &as_it_is, pixels, NULL) == DESCENT_OK)
            process = data_decoder_process(decoder, 0);
    }
    assert_true(process > 0);
    assert_int_equal(kill(process, SIGSTOP), 0);
    EXPECT_ERROR(decoder, color, "not decoded within 0.2 seconds");
    assert_int_equal(kill(process, 0), -1);
    data_decoder_free(decoder);
}

/* The number after `key` in /proc/PROCESS/status; -1: not there. */
static int status_of(pid_t process, const char *key)
{
    char path[64], line[256];
    int value = -1;
    snprintf(path, sizeof path, "/proc/%d/status", (int)process);
    FILE *status = fopen(path, "r");
    assert_non_null(status);
    while (fgets(line, sizeof line, status))
        if (strncmp(line, key, strlen(key)) == 0)
            value = atoi(line + strlen(key));
    fclose(status);
    return value;
}

/* In strict mode, or, where this process has a filter already, under one more. */
static void worker_is_confined(void **state)
{
    (void)state;
    if (!CONFINED)
        skip();
    struct data_decoder *decoder = new_decoder(1, 10);
    FILE *other = fopen(scratch_file("open", "", 0), "w"); /* must not reach the worker */
    expect_good(decoder, color);
    char path[64], line[256];
    pid_t worker = data_decoder_process(decoder, 0);
    if (status_of(getpid(), "Seccomp:") == 0)
        assert_int_equal(status_of(worker, "Seccomp:"), 1);
    else
        assert_int_equal(status_of(worker, "Seccomp_filters:"),
                         status_of(getpid(), "Seccomp_filters:") + 1);
    int descriptors = 0;
    for (int i = 0; i < 64; i++) {
        snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)worker, i);
        descriptors += readlink(path, line, sizeof line) > 0;
    }
    assert_int_equal(descriptors, 1);
    fclose(other);
    data_decoder_free(decoder);
}

#if CONFINED

/* Runs `test` in a process of its own under a filter that allows everything, as containers have one, or,
 * where `refuse` is not 0, all but prctl, which gives that error. The process ends with status 0 if the
 * test says true. */
static void run_filtered(bool (*test)(void), int refuse)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_prctl, 0, 1),
        BPF_STMT(BPF_RET | BPF_K,
                 refuse ? SECCOMP_RET_ERRNO | ((unsigned)refuse & SECCOMP_RET_DATA) : SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const struct sock_fprog filter = {sizeof code / sizeof *code, code};
    int status;
    pid_t process = fork();
    if (process == 0) {
        bool good = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
                    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0 && test();
        _exit(!good);
    }
    assert_int_equal(waitpid(process, &status, 0), process);
    assert_int_equal(status, 0);
}

static bool decodes(void)
{
    uint8_t pixels[BYTES], expected[BYTES];
    struct data_decoder *decoder = data_decoder_new(1, 10);
    expected_pixels(expected);
    bool good = data_decoder_read(decoder, color, &as_it_is, pixels, NULL) == DESCENT_OK &&
                memcmp(pixels, expected, BYTES) == 0 &&
                status_of(data_decoder_process(decoder, 0), "Seccomp_filters:") ==
                    status_of(getpid(), "Seccomp_filters:") + 1;
    data_decoder_free(decoder);
    return good;
}

static bool says_that_seccomp_is_refused(void)
{
    uint8_t pixels[BYTES];
    struct data_decoder *decoder = data_decoder_new(1, 10);
    bool good = true;
    for (int i = 0; i < 2; i++)
        good &= data_decoder_read(decoder, color, &as_it_is, pixels, NULL) == DESCENT_IO_ERROR &&
                strstr(descent_error(), "seccomp is refused: Operation not permitted") &&
                !strstr(descent_error(), color) && data_decoder_process(decoder, 0) == 0;
    data_decoder_free(decoder);
    return good;
}

#endif

static void worker_is_confined_where_a_filter_is_in_force(void **state)
{
    (void)state;
#if CONFINED
    run_filtered(decodes, 0);
    run_filtered(says_that_seccomp_is_refused, EPERM);
#else
    skip();
#endif
}

static void *decode_many(void *decoder)
{
    uint8_t expected[BYTES], pixels[BYTES];
    expected_pixels(expected);
    for (int i = 0; i < 100; i++)
        if (data_decoder_read(decoder, color, &as_it_is, pixels, NULL) != DESCENT_OK ||
            memcmp(pixels, expected, BYTES) != 0)
            return decoder;
    return NULL;
}

static void expect_good_in_threads(struct data_decoder *decoder)
{
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, decode_many, decoder), 0);
    for (int i = 0; i < 4; i++) {
        void *failed;
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
}

static void threads_share_fewer_workers(void **state)
{
    (void)state;
    struct data_decoder *decoder = new_decoder(2, 60);
    expect_good_in_threads(decoder);
    data_decoder_free(decoder);
}

/* Address space for one process to be started beside what runs, and not for two: the threads share it. */
static void worker_that_cannot_be_started_is_done_without(void **state)
{
    (void)state;
    if (!CONFINED)
        skip(); /* sanitizers take address space without end */
    struct rlimit before;
    struct data_decoder *decoder = new_decoder(4, 60);
    assert_int_equal(getrlimit(RLIMIT_AS, &before), 0);
    rlim_t used = (rlim_t)status_of(getpid(), "VmSize:") << 10;
    assert_int_equal(setrlimit(RLIMIT_AS, &(struct rlimit){used + (900 << 20), before.rlim_max}), 0);
    expect_good(decoder, color);
    expect_good_in_threads(decoder);
    assert_true(data_decoder_process(decoder, 0) > 0);
    for (int i = 1; i < 4; i++)
        assert_int_equal(data_decoder_process(decoder, i), 0);
    data_decoder_free(decoder);
    uint8_t pixels[BYTES];
    decoder = new_decoder(4, 60);
    assert_int_equal(setrlimit(RLIMIT_AS, &(struct rlimit){used + (100 << 20), before.rlim_max}), 0);
    assert_int_equal(data_decoder_read(decoder, color, &as_it_is, pixels, NULL), DESCENT_OUT_OF_MEMORY);
    assert_int_equal(setrlimit(RLIMIT_AS, &before), 0);
    data_decoder_free(decoder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(png_and_bmp_come_back_byte_for_byte),
        cmocka_unit_test(jpeg_comes_close),
        cmocka_unit_test(scaling_averages_and_keeps_what_is_constant),
        cmocka_unit_test(truncated_and_damaged_pictures_are_errors),
        cmocka_unit_test(picture_beyond_the_memory_limit_is_an_error),
        cmocka_unit_test(killed_worker_is_that_pictures_failure_and_is_replaced),
        cmocka_unit_test(slow_worker_is_stopped_and_replaced),
        cmocka_unit_test(worker_is_confined),
        cmocka_unit_test(worker_is_confined_where_a_filter_is_in_force),
        cmocka_unit_test(threads_share_fewer_workers),
        cmocka_unit_test(worker_that_cannot_be_started_is_done_without),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
