/* Aligned memory and the arena. */
#include "base/memory.h"

#include "base/status.h"
#include "tests/test.h"

#include <string.h>

static bool all_zero(const unsigned char *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (bytes[i])
            return false;
    return true;
}

static void blocks_are_aligned_and_zeroed_even_when_recycled(void **state)
{
    (void)state;
    const size_t sizes[] = {0, 1, 63, 64, 65, 4095, 100000, (4 << 20) - 1, 4 << 20, (6 << 20) + 12345};
    for (int round = 0; round < 3; round++)
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            size_t bytes = sizes[i] ? sizes[i] : 1;
            unsigned char *block = descent_alloc(sizes[i]);
            assert_non_null(block);
            assert_int_equal((uintptr_t)block % (bytes < 4 << 20 ? 64 : 2 << 20), 0);
            assert_true(all_zero(block, bytes));
            memset(block, 0xff, bytes);
            descent_free(block);
        }
    descent_free(NULL);
}

static void absurd_sizes_are_refused_with_a_message(void **state)
{
    (void)state;
    struct descent_arena *arena = descent_arena_new();
    const size_t sizes[] = {SIZE_MAX, SIZE_MAX - 63, (size_t)PTRDIFF_MAX + 1};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        descent_fail(DESCENT_OK, "stale");
        assert_null(descent_alloc(sizes[i]));
        assert_non_null(strstr(descent_error(), "out of memory"));
        descent_fail(DESCENT_OK, "stale");
        assert_null(descent_arena_alloc(arena, sizes[i]));
        assert_non_null(strstr(descent_error(), "out of memory"));
    }
    assert_non_null(descent_arena_alloc(arena, 1));
    descent_arena_free(arena);
}

static void size_products_that_overflow_are_refused(void **state)
{
    (void)state;
    size_t product = 0, half = (size_t)1 << (sizeof(size_t) * 4);
    assert_true(descent_size_multiply(3, 5, &product));
    assert_int_equal(product, 15);
    assert_true(descent_size_multiply(half, half - 1, &product));
    assert_false(descent_size_multiply(half, half, &product));
    assert_false(descent_size_multiply(SIZE_MAX, 2, &product));
}

static void rounding_up_reaches_the_next_multiple_of_64(void **state)
{
    (void)state;
    assert_int_equal(descent_round_up(0), 0);
    assert_int_equal(descent_round_up(1), 64);
    assert_int_equal(descent_round_up(64), 64);
    assert_int_equal(descent_round_up(65), 128);
}

/* Small and large pieces mixed; each is filled with its own pattern, which must survive all later ones. */
static void arena_pieces_are_zeroed_aligned_and_never_move_or_overlap(void **state)
{
    (void)state;
    enum { PIECES = 3000 };
    static unsigned char *piece[PIECES];
    static size_t bytes[PIECES];
    struct descent_arena *arena = descent_arena_new();
    assert_non_null(arena);
    for (size_t i = 0; i < PIECES; i++) {
        bytes[i] = i % 100 == 99 ? 40000 + i : i * 7919 % 300;
        piece[i] = descent_arena_alloc(arena, bytes[i]);
        assert_non_null(piece[i]);
        assert_int_equal((uintptr_t)piece[i] % 16, 0);
        assert_true(all_zero(piece[i], bytes[i]));
        memset(piece[i], (int)(i % 255 + 1), bytes[i]);
    }
    for (size_t i = 0; i < PIECES; i++)
        for (size_t j = 0; j < bytes[i]; j++)
            assert_int_equal(piece[i][j], i % 255 + 1);
    descent_arena_free(arena);
    descent_arena_free(NULL);
}

static void a_large_piece_leaves_the_room_of_the_block_before_in_use(void **state)
{
    (void)state;
    struct descent_arena *arena = descent_arena_new();
    unsigned char *first = descent_arena_alloc(arena, 16);
    assert_non_null(descent_arena_alloc(arena, 1 << 20));
    unsigned char *second = descent_arena_alloc(arena, 16);
    assert_ptr_equal(second, first + 16);
    descent_arena_free(arena);
}

static void arena_copies_and_formats_text(void **state)
{
    (void)state;
    struct descent_arena *arena = descent_arena_new();
    char text[] = "conv1.weight";
    char *copy = descent_arena_string(arena, text);
    text[0] = 'x';
    assert_string_equal(copy, "conv1.weight");
    assert_string_equal(descent_arena_string(arena, ""), "");
    assert_string_equal(descent_arena_format(arena, "%s[%d]", copy, 42), "conv1.weight[42]");
    char *wide = descent_arena_format(arena, "%*d", 100000, 7);
    assert_int_equal(strlen(wide), 100000);
    assert_int_equal(wide[99999], '7');
    descent_arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_are_aligned_and_zeroed_even_when_recycled),
        cmocka_unit_test(absurd_sizes_are_refused_with_a_message),
        cmocka_unit_test(size_products_that_overflow_are_refused),
        cmocka_unit_test(rounding_up_reaches_the_next_multiple_of_64),
        cmocka_unit_test(arena_pieces_are_zeroed_aligned_and_never_move_or_overlap),
        cmocka_unit_test(a_large_piece_leaves_the_room_of_the_block_before_in_use),
        cmocka_unit_test(arena_copies_and_formats_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
