/* The loader: the orders of an epoch, the same bits for any number of workers, a position that can be
 * resumed, errors wherever they happen. What augmentations do is in augment.c. */
#include "tests/data/memory_set.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* A spec has at most eight parts. */
#define THIS_HALF  "crop+flip+alternating_flip+vertical_flip+rotate+affine+jitter+mixup"
#define OTHER_HALF "noise+trivial_augment+cutout:size=3+erasing+mixup+cutmix"

enum { COUNT = 1001, SIDE = 9, SAMPLE = SIDE * SIDE * 3 };

/* The linker sends the program's allocations through these. */
static atomic_int allocations;

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
int __real_posix_memalign(void **memory, size_t alignment, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
int __wrap_posix_memalign(void **memory, size_t alignment, size_t size);

void *__wrap_malloc(size_t size)
{
    allocations++;
    return __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    allocations++;
    return __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
    allocations++;
    return __real_realloc(memory, size);
}

int __wrap_posix_memalign(void **memory, size_t alignment, size_t size)
{
    allocations++;
    return __real_posix_memalign(memory, alignment, size);
}

struct fixture {
    struct data_set *set;
    struct data_view *view;
};

static int set_up(void **state)
{
    static struct fixture fixture;
    fixture.set = memory_set(COUNT, SIDE, SIDE, NULL);
    fixture.view = data_view_train(fixture.set);
    *state = &fixture;
    return !fixture.view;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    data_view_free(fixture->view);
    data_free(fixture->set);
    return 0;
}

static struct data_loader *loader_new(const struct data_view *view, struct data_loader_options options)
{
    struct data_loader *loader = data_loader_new(view, &options);
    if (!loader)
        fail_msg("%s", descent_error());
    return loader;
}

/* The numbers of an epoch's samples in their order; returns how many. */
static int64_t read_epoch(const struct fixture *fixture, struct data_loader *loader, int64_t epoch,
                          int64_t order[COUNT])
{
    struct data_batch batch;
    int64_t count = 0;
    int n;
    data_loader_start(loader, epoch);
    while ((n = data_loader_next(loader, &batch)) > 0) {
        assert_int_equal(batch.n, n);
        for (int i = 0; i < n; i++) {
            order[count] = number_of(fixture->set, batch.x + (size_t)i * SAMPLE);
            assert_int_equal(batch.labels[i], order[count] % 10);
            count++;
        }
    }
    assert_int_equal(n, 0);
    assert_int_equal(data_loader_next(loader, &batch), 0); /* and stays there */
    return count;
}

static void every_sample_comes_exactly_once_an_epoch(void **state)
{
    struct data_loader *loader =
        loader_new(((struct fixture *)*state)->view,
                   (struct data_loader_options){.batch = 64, .order = DATA_SHUFFLED, .seed = 3});
    for (int epoch = 0; epoch < 3; epoch++) {
        int64_t order[COUNT];
        int seen[COUNT] = {0};
        assert_int_equal(read_epoch(*state, loader, epoch, order), COUNT);
        for (int i = 0; i < COUNT; i++)
            seen[order[i]]++;
        for (int i = 0; i < COUNT; i++)
            assert_int_equal(seen[i], 1);
    }
    data_loader_free(loader);
}

static void order_is_a_function_of_seed_and_epoch(void **state)
{
    const struct data_view *view = ((struct fixture *)*state)->view;
    int64_t first[COUNT], other[COUNT];
    struct data_loader_options options = {.batch = 64, .order = DATA_SHUFFLED, .seed = 3};
    struct data_loader *loader = loader_new(view, options);
    read_epoch(*state, loader, 5, first);
    read_epoch(*state, loader, 6, other);
    assert_memory_not_equal(first, other, sizeof first);
    read_epoch(*state, loader, 5, other);
    assert_memory_equal(first, other, sizeof first);
    data_loader_free(loader);

    options.batch = 7; /* does not matter */
    loader = loader_new(view, options);
    read_epoch(*state, loader, 5, other);
    assert_memory_equal(first, other, sizeof first);
    data_loader_free(loader);

    options.seed = 4;
    loader = loader_new(view, options);
    read_epoch(*state, loader, 5, other);
    assert_memory_not_equal(first, other, sizeof first);
    data_loader_free(loader);
}

static void without_shuffling_the_order_is_the_views(void **state)
{
    int64_t order[COUNT];
    struct data_loader *loader =
        loader_new(((struct fixture *)*state)->view, (struct data_loader_options){.batch = 64, .seed = 3});
    assert_int_equal(read_epoch(*state, loader, 2, order), COUNT);
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(order[i], i);
    data_loader_free(loader);
}

/* All that a batch can hold, of every order, with everything that augments. */
static void batches_are_bit_identical_for_any_number_of_workers(void **state)
{
    const struct fixture *fixture = *state;
    static const char *const specs[] = {NULL, THIS_HALF, OTHER_HALF};
    for (int i = 0; data_augmentation(i); i++)
        assert_true(strstr(specs[1], data_augmentation(i)->name) ||
                    strstr(specs[2], data_augmentation(i)->name));
    const size_t classes = 10;
    for (int k = 0; k < 3 * (DATA_BALANCED + 1); k++) {
        struct data_loader_options options = {
            .batch = 60, .order = (enum data_order)(k / 3), .seed = 1, .augment = specs[k % 3]};
        struct data_loader *alone = loader_new(fixture->view, options);
        for (options.workers = 1; options.workers <= 4; options.workers *= 2) {
            struct data_loader *loader = loader_new(fixture->view, options);
            struct data_batch expected, batch;
            data_loader_start(alone, 1);
            data_loader_start(loader, 1);
            while (data_loader_next(alone, &expected) > 0) {
                assert_int_equal(data_loader_next(loader, &batch), expected.n);
                size_t n = (size_t)expected.n;
                assert_memory_equal(batch.x, expected.x, n * SAMPLE * sizeof(float));
                assert_memory_equal(batch.labels, expected.labels, n * sizeof(int32_t));
                assert_true(!batch.targets == !specs[k % 3] && !expected.targets == !specs[k % 3]);
                if (batch.targets)
                    assert_memory_equal(batch.targets, expected.targets, n * classes * sizeof(float));
            }
            assert_int_equal(data_loader_next(loader, &batch), 0);
            data_loader_free(loader);
        }
        data_loader_free(alone);
    }
}

static void short_last_batch_is_kept_or_dropped(void **state)
{
    const struct data_view *view = ((struct fixture *)*state)->view;
    const struct {
        int batch;
        bool drop_last;
        int64_t batches;
        int last;
    } cases[] = {{100, false, 11, 1}, {100, true, 10, 100},   {1001, true, 1, 1001}, {91, false, 11, 91},
                 {91, true, 11, 91},  {5000, false, 1, 1001}, {1, false, 1001, 1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct data_loader *loader = loader_new(
            view, (struct data_loader_options){
                      .batch = cases[i].batch, .drop_last = cases[i].drop_last, .order = DATA_SHUFFLED});
        assert_int_equal(data_loader_batches(loader), cases[i].batches);
        struct data_batch batch;
        int64_t batches = 0;
        int last = 0, n;
        for (; (n = data_loader_next(loader, &batch)) > 0; batches++)
            last = n;
        assert_int_equal(batches, cases[i].batches);
        assert_int_equal(last, cases[i].last);
        data_loader_free(loader);
    }
}

static void seeking_continues_with_the_very_next_batch(void **state)
{
    const struct data_view *view = ((struct fixture *)*state)->view;
    struct data_loader_options options = {
        .batch = 100, .order = DATA_SHUFFLED, .seed = 1, .augment = OTHER_HALF};
    struct data_loader *straight = loader_new(view, options);
    options.workers = 2;
    struct data_loader *resumed = loader_new(view, options);
    struct data_batch expected, batch;
    data_loader_start(straight, 4);
    for (int64_t position = 0; position < data_loader_batches(straight); position++) {
        assert_int_equal(data_loader_position(straight), position);
        assert_true(data_loader_next(straight, &expected) > 0);
        data_loader_start(resumed, 4);
        assert_int_equal(data_loader_seek(resumed, position), DESCENT_OK);
        assert_int_equal(data_loader_next(resumed, &batch), expected.n);
        assert_memory_equal(batch.x, expected.x, (size_t)expected.n * SAMPLE * sizeof(float));
    }
    /* Also by a loader that has seen nothing else, and back again in the middle. */
    struct data_loader *fresh = loader_new(view, options);
    data_loader_start(straight, 7);
    data_loader_start(fresh, 7);
    assert_int_equal(data_loader_seek(straight, 5), DESCENT_OK);
    assert_int_equal(data_loader_seek(fresh, 5), DESCENT_OK);
    while (data_loader_next(straight, &expected) > 0) {
        assert_int_equal(data_loader_next(fresh, &batch), expected.n);
        assert_memory_equal(batch.x, expected.x, (size_t)expected.n * SAMPLE * sizeof(float));
    }
    data_loader_free(fresh);
    assert_int_equal(data_loader_seek(resumed, 11), DESCENT_OK);
    assert_int_equal(data_loader_next(resumed, &batch), 0);
    assert_int_equal(data_loader_seek(resumed, 12), DESCENT_BAD_ARGUMENT);
    assert_int_equal(data_loader_seek(resumed, -1), DESCENT_BAD_ARGUMENT);
    assert_non_null(strstr(descent_error(), "position -1"));
    assert_int_equal(data_loader_position(resumed), 11);
    data_loader_free(straight);
    data_loader_free(resumed);
}

static void training_part_has_mean_0_and_deviation_1(void **state)
{
    struct data_loader *loader =
        loader_new(((struct fixture *)*state)->view, (struct data_loader_options){.batch = 64});
    struct data_batch batch;
    double sum[3] = {0}, squares[3] = {0};
    while (data_loader_next(loader, &batch) > 0) {
        for (int k = 0; k < batch.n * SAMPLE; k++) {
            sum[k % 3] += (double)batch.x[k];
            squares[k % 3] += (double)batch.x[k] * (double)batch.x[k];
        }
    }
    for (int c = 0; c < 3; c++) {
        assert_true(fabs(sum[c] / (COUNT * SIDE * SIDE)) <= 1e-5);
        assert_true(fabs(squares[c] / (COUNT * SIDE * SIDE) - 1) <= 1e-5);
    }
    data_loader_free(loader);
}

static void constant_channel_becomes_0(void **state)
{
    (void)state;
    uint8_t *bytes = malloc(4 * 6);
    int32_t *labels = calloc(4, sizeof *labels);
    assert_non_null(bytes);
    memset(bytes, 77, 4 * 6);
    struct data_parts parts = {
        .train = data_source_in_memory(4, 2, 3, 1, bytes, labels),
        .test = data_source_in_memory(1, 2, 3, 1, calloc(6, 1), calloc(1, sizeof *labels)),
    };
    struct data_set *set;
    assert_int_equal(data_set_new("constant", "constant", &parts, &set), DESCENT_OK);
    struct data_view *view = data_view_train(set);
    float x[6];
    assert_int_equal(data_sample(view, 3, x, NULL), DESCENT_OK);
    assert_true(data_describe(set)->deviation[0] == 0);
    for (int k = 0; k < 6; k++)
        assert_true(fabs((double)x[k]) <= 1e-7);
    data_view_free(view);
    data_free(set);
}

/* A source that cannot read some of its samples once `broken` is set. */
struct failing {
    struct data_source base;
    struct data_source *good;
    bool broken;
};

static enum descent_status failing_read(const struct data_source *source, int64_t i, uint8_t *bytes)
{
    const struct failing *failing = (const struct failing *)source;
    if (failing->broken && i >= 750)
        return descent_fail(DESCENT_IO_ERROR, "sample %d is unreadable", (int)i);
    return failing->good->read(failing->good, i, bytes);
}

static void failing_free(struct data_source *source)
{
    data_source_free(((struct failing *)source)->good);
}

static void unreadable_sample_is_reported_in_its_turn_whoever_met_it(void **state)
{
    (void)state;
    struct failing failing = {.good = memory_source(1000, SIDE, SIDE, NULL)};
    failing.base = *failing.good;
    failing.base.read = failing_read;
    failing.base.free = failing_free;
    struct data_set *set;
    struct data_parts parts = {.train = &failing.base, .test = memory_source(1, SIDE, SIDE, NULL)};
    assert_int_equal(data_set_new("failing", "failing", &parts, &set), DESCENT_OK);
    failing.broken = true;
    struct data_view *view = data_view_train(set);
    for (int workers = 0; workers <= 3; workers++) {
        struct data_loader *loader =
            loader_new(view, (struct data_loader_options){.batch = 500, .workers = workers});
        struct data_batch batch;
        assert_int_equal(data_loader_next(loader, &batch), 500);
        descent_fail(DESCENT_OK, "something else");
        assert_int_equal(data_loader_next(loader, &batch), -1);
        assert_string_equal(descent_error(), "sample 750 is unreadable");
        assert_int_equal(data_loader_position(loader), 1);
        data_loader_free(loader);
    }
    data_view_free(view);
    data_free(set);
}

static void with_replacement_samples_repeat_and_every_one_comes_in_time(void **state)
{
    struct data_loader *loader =
        loader_new(((struct fixture *)*state)->view,
                   (struct data_loader_options){.batch = 64, .order = DATA_WITH_REPLACEMENT, .seed = 3});
    int seen[COUNT] = {0}, missing = 0;
    for (int epoch = 0; epoch < 12; epoch++) {
        int64_t order[COUNT];
        assert_int_equal(read_epoch(*state, loader, epoch, order), COUNT);
        for (int i = 0; i < COUNT; i++)
            seen[order[i]]++;
        if (epoch == 0) {
            for (int i = 0; i < COUNT; i++)
                missing += !seen[i];
            assert_in_range(missing, COUNT * 0.33, COUNT * 0.41); /* 1 / e */
        }
    }
    for (int i = 0; i < COUNT; i++)
        assert_in_range(seen[i], 1, 40); /* 12 expected */
    data_loader_free(loader);
}

/* 900 samples of class 0, 70 of class 1, 30 of class 3, none of class 2. */
static void balanced_epochs_give_every_class_the_same_share(void **state)
{
    (void)state;
    enum { SAMPLES = 1000, CLASSES = 4 };
    static const int size[CLASSES] = {900, 70, 0, 30};
    int32_t labels[SAMPLES];
    for (int i = 0; i < SAMPLES; i++)
        labels[i] = i < size[0] ? 0 : i < size[0] + size[1] ? 1 : 3;
    struct data_set *set = memory_set(SAMPLES, SIDE, SIDE, labels);
    struct data_view *view = data_view_train(set);
    struct data_loader *loader =
        loader_new(view, (struct data_loader_options){.batch = 100, .order = DATA_BALANCED, .seed = 3});
    int ever[SAMPLES] = {0}, extra[CLASSES] = {0};
    for (int epoch = 0; epoch < 30; epoch++) {
        int seen[SAMPLES] = {0}, of_class[CLASSES] = {0}, first[CLASSES] = {0};
        struct data_batch batch;
        data_loader_start(loader, epoch);
        while (data_loader_next(loader, &batch) > 0)
            for (int i = 0; i < batch.n; i++) {
                int64_t number = number_of(set, batch.x + (size_t)i * SAMPLE);
                assert_int_equal(batch.labels[i], labels[number]);
                seen[number]++, ever[number]++, of_class[labels[number]]++;
                first[labels[number]] += data_loader_position(loader) == 1;
            }
        for (int c = 0; c < CLASSES; c++) {
            if (size[c] > 0)
                assert_in_range(of_class[c], 333, 334);
            extra[c] += of_class[c] == 334;
            assert_in_range(first[c], size[c] > 0 ? 15 : 0, size[c] > 0 ? 55 : 0); /* mixed, not in turn */
        }
        for (int i = 0; i < SAMPLES; i++) /* each sample of a class as often as the others, to within one */
            assert_in_range(seen[i], 333 / size[labels[i]], 334 / size[labels[i]] + 1);
    }
    for (int c = 0; c < CLASSES; c++)
        assert_int_equal(extra[c], size[c] > 0 ? 10 : 0); /* each class in its turn */
    for (int i = 0; i < SAMPLES; i++)
        assert_true(ever[i] > 0);
    data_loader_free(loader);
    data_view_free(view);
    data_free(set);
}

/* The pictures of an epoch, each at the place of its sample; `order` says which sample comes when. */
static void pictures(const struct data_view *view, struct data_loader_options options, int64_t epoch,
                     const int64_t order[COUNT], float to[COUNT][SAMPLE])
{
    struct data_loader *loader = loader_new(view, options);
    struct data_batch batch;
    int place = 0;
    data_loader_start(loader, epoch);
    while (data_loader_next(loader, &batch) > 0)
        for (int i = 0; i < batch.n; i++)
            memcpy(to[order[place++]], batch.x + (size_t)i * SAMPLE, SAMPLE * sizeof(float));
    assert_int_equal(place, COUNT);
    data_loader_free(loader);
}

static void augmentation_is_a_function_of_seed_epoch_and_sample(void **state)
{
    const struct fixture *fixture = *state;
    static float expected[COUNT][SAMPLE], other[COUNT][SAMPLE];
    int64_t shuffled[COUNT], in_order[COUNT];
    struct data_loader_options options = {.batch = 64, .order = DATA_SHUFFLED, .seed = 3};
    struct data_loader *loader = loader_new(fixture->view, options);
    read_epoch(fixture, loader, 5, shuffled);
    data_loader_free(loader);
    for (int i = 0; i < COUNT; i++)
        in_order[i] = i;

    options.augment = "crop+flip+noise";
    pictures(fixture->view, options, 5, shuffled, expected);
    options.batch = 10;
    options.order = DATA_IN_ORDER;
    pictures(fixture->view, options, 5, in_order, other);
    assert_memory_equal(other, expected, sizeof expected);
    pictures(fixture->view, options, 6, in_order, other);
    for (int i = 0; i < COUNT; i++)
        assert_memory_not_equal(other[i], expected[i], sizeof expected[i]);
    options.seed = 4;
    pictures(fixture->view, options, 5, in_order, other);
    for (int i = 0; i < COUNT; i++)
        assert_memory_not_equal(other[i], expected[i], sizeof expected[i]);
}

/* Whatever the batches: mixtures of each image with its successor in the epoch, the last with the first. */
static void images_are_mixed_with_their_successors(void **state)
{
    const struct fixture *fixture = *state;
    static float plain[COUNT][SAMPLE];
    int32_t label[COUNT];
    struct data_loader_options options = {.batch = COUNT, .order = DATA_SHUFFLED, .seed = 2};
    struct data_loader *loader = loader_new(fixture->view, options);
    struct data_batch batch;
    assert_int_equal(data_loader_next(loader, &batch), COUNT);
    assert_null(batch.targets);
    memcpy(plain, batch.x, sizeof plain);
    memcpy(label, batch.labels, sizeof label);
    data_loader_free(loader);

    options.augment = "mixup";
    for (options.batch = 7; options.batch <= COUNT; options.batch *= 11) {
        int place = 0, handed_over = 0;
        loader = loader_new(fixture->view, options);
        while (data_loader_next(loader, &batch) > 0)
            for (int i = 0; i < batch.n; i++, place++) {
                int next = (place + 1) % COUNT;
                const float *target = batch.targets + (size_t)i * 10;
                double share = (double)target[label[place]], sum = 0;
                for (int c = 0; c < 10; c++)
                    sum += (double)target[c];
                assert_true(fabs(sum - 1) < 1e-6);
                if (label[next] == label[place]) {
                    assert_true(share > 1 - 1e-6);
                    assert_int_equal(batch.labels[i], label[place]);
                    continue;
                }
                assert_true(fabs((double)target[label[next]] - (1 - share)) < 1e-6);
                assert_int_equal(batch.labels[i], label[share >= 0.5 ? place : next]);
                handed_over += share < 0.5;
                for (int k = 0; k < SAMPLE; k++) {
                    double expected =
                        share * (double)plain[place][k] + (1 - share) * (double)plain[next][k];
                    assert_true(fabs((double)batch.x[i * SAMPLE + k] - expected) < 1e-4);
                }
            }
        assert_int_equal(place, COUNT);
        assert_in_range(handed_over, COUNT / 3, COUNT * 2 / 3);
        data_loader_free(loader);
    }
}

/* In balanced epochs a rare sample comes many times: each time it is another picture. */
static void repeated_samples_are_augmented_anew(void **state)
{
    (void)state;
    int32_t labels[100] = {[50] = 1};
    struct data_set *set = memory_set(100, SIDE, SIDE, labels);
    struct data_view *view = data_view_train(set);
    struct data_loader *loader = loader_new(
        view, (struct data_loader_options){.batch = 100, .order = DATA_BALANCED, .augment = "noise"});
    struct data_batch batch;
    const float *seen[100];
    int count = 0;
    assert_int_equal(data_loader_next(loader, &batch), 100);
    for (int i = 0; i < 100; i++)
        if (batch.labels[i] == 1)
            seen[count++] = batch.x + (size_t)i * SAMPLE;
    assert_int_equal(count, 50);
    for (int i = 0; i < count; i++)
        for (int j = 0; j < i; j++)
            assert_memory_not_equal(seen[i], seen[j], SAMPLE * sizeof(float));
    data_loader_free(loader);
    data_view_free(view);
    data_free(set);
}

/* Workers have all the time they want to get too far ahead. */
static void batch_is_left_alone_until_the_next_call(void **state)
{
    const struct data_view *view = ((struct fixture *)*state)->view;
    static float copy[20 * SAMPLE];
    for (int workers = 1; workers <= 3; workers++) {
        struct data_loader *loader =
            loader_new(view, (struct data_loader_options){.batch = 20, .workers = workers});
        for (int i = 0; i < 8; i++) {
            struct data_batch batch;
            assert_int_equal(data_loader_next(loader, &batch), 20);
            memcpy(copy, batch.x, sizeof copy);
            nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
            assert_memory_equal(batch.x, copy, sizeof copy);
        }
        data_loader_free(loader);
    }
}

static void epochs_allocate_nothing(void **state)
{
    const struct data_view *view = ((struct fixture *)*state)->view;
    static const char *const specs[] = {THIS_HALF, OTHER_HALF};
    int before = allocations;
    for (int k = 0; k < 2 * (DATA_BALANCED + 1); k++)
        for (int workers = 0; workers <= 2; workers++) {
            struct data_loader *loader =
                loader_new(view, (struct data_loader_options){.batch = 50,
                                                              .order = (enum data_order)(k / 2),
                                                              .workers = workers,
                                                              .augment = specs[k % 2]});
            struct data_batch batch;
            assert_true(allocations > before); /* they are counted */
            before = allocations;
            for (int epoch = 0; epoch < 2; epoch++) {
                data_loader_start(loader, epoch);
                while (data_loader_next(loader, &batch) > 0)
                    ;
            }
            assert_int_equal(allocations, before);
            data_loader_free(loader);
        }
}

static void loader_can_be_freed_at_any_moment(void **state)
{
    const struct data_view *view = ((struct fixture *)*state)->view;
    for (int taken = 0; taken < 6; taken++) {
        struct data_loader *loader = loader_new(
            view, (struct data_loader_options){.batch = 200, .workers = 3, .augment = THIS_HALF});
        struct data_batch batch;
        for (int i = 0; i < taken; i++)
            assert_int_equal(data_loader_next(loader, &batch), i < 5 ? 200 : 1);
        data_loader_free(loader);
    }
}

static void impossible_options_are_refused(void **state)
{
    const struct data_view *view = ((struct fixture *)*state)->view;
    assert_null(data_loader_new(view, &(struct data_loader_options){.batch = 0}));
    assert_non_null(strstr(descent_error(), "batch 0"));
    assert_null(data_loader_new(view, &(struct data_loader_options){.batch = -5}));
    assert_null(data_loader_new(view, &(struct data_loader_options){.batch = 1, .workers = -1}));
    assert_non_null(strstr(descent_error(), "-1 workers"));
    assert_null(data_loader_new(view, &(struct data_loader_options){.batch = 1, .augment = "corp"}));
    assert_non_null(strstr(descent_error(), "did you mean 'crop'"));
    assert_null(data_loader_new(view, &(struct data_loader_options){.batch = 1002, .drop_last = true}));
    assert_non_null(strstr(descent_error(), "1001"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_sample_comes_exactly_once_an_epoch),
        cmocka_unit_test(order_is_a_function_of_seed_and_epoch),
        cmocka_unit_test(without_shuffling_the_order_is_the_views),
        cmocka_unit_test(batches_are_bit_identical_for_any_number_of_workers),
        cmocka_unit_test(short_last_batch_is_kept_or_dropped),
        cmocka_unit_test(seeking_continues_with_the_very_next_batch),
        cmocka_unit_test(training_part_has_mean_0_and_deviation_1),
        cmocka_unit_test(constant_channel_becomes_0),
        cmocka_unit_test(unreadable_sample_is_reported_in_its_turn_whoever_met_it),
        cmocka_unit_test(with_replacement_samples_repeat_and_every_one_comes_in_time),
        cmocka_unit_test(balanced_epochs_give_every_class_the_same_share),
        cmocka_unit_test(augmentation_is_a_function_of_seed_epoch_and_sample),
        cmocka_unit_test(images_are_mixed_with_their_successors),
        cmocka_unit_test(repeated_samples_are_augmented_anew),
        cmocka_unit_test(batch_is_left_alone_until_the_next_call),
        cmocka_unit_test(epochs_allocate_nothing),
        cmocka_unit_test(loader_can_be_freed_at_any_moment),
        cmocka_unit_test(impossible_options_are_refused),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
