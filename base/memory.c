/* Aligned zeroed memory on posix_memalign, and an arena of blocks chained on top of it. Not an allocator:
 * what a training step needs is laid out by the plan beforehand. */
#include "base/memory.h"

#include "base/status.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum {
    HUGE_PAGE = 2 << 20,       /* bytes */
    HUGE_FROM = 2 * HUGE_PAGE, /* smaller blocks would mostly be rounding */
};

void *descent_alloc(size_t bytes)
{
    void *memory = NULL;
    bool huge = bytes >= HUGE_FROM;
    if (bytes == 0)
        bytes = 1;
    if (bytes > PTRDIFF_MAX || posix_memalign(&memory, huge ? HUGE_PAGE : DESCENT_ALIGNMENT, bytes) != 0) {
        descent_fail(DESCENT_OUT_OF_MEMORY, "out of memory: no %zu bytes to be had", bytes);
        return NULL;
    }
#ifdef MADV_HUGEPAGE
    /* Before the first touch, so that the zeroing below faults in whole huge pages. A mere hint: it may
     * fail. */
    if (huge)
        (void)madvise(memory, bytes / HUGE_PAGE * HUGE_PAGE, MADV_HUGEPAGE);
#endif
    return memset(memory, 0, bytes);
}

void descent_free(void *memory)
{
    free(memory);
}

enum { ARENA_ALIGNMENT = 16, ARENA_BLOCK = 32 << 10 /* bytes */ };

struct arena_block {
    struct arena_block *next;
    size_t used, size; /* bytes of data */
    _Alignas(ARENA_ALIGNMENT) unsigned char data[];
};

struct descent_arena {
    struct arena_block *blocks; /* the one being filled comes first */
};

struct descent_arena *descent_arena_new(void)
{
    return descent_alloc(sizeof(struct descent_arena));
}

void descent_arena_free(struct descent_arena *arena)
{
    if (!arena)
        return;
    for (struct arena_block *block = arena->blocks, *next; block; block = next) {
        next = block->next;
        descent_free(block);
    }
    descent_free(arena);
}

void *descent_arena_alloc(struct descent_arena *arena, size_t bytes)
{
    struct arena_block *block = arena->blocks;
    if (bytes > PTRDIFF_MAX - ARENA_BLOCK) {
        descent_fail(DESCENT_OUT_OF_MEMORY, "out of memory: no %zu bytes to be had", bytes);
        return NULL;
    }
    bytes = bytes ? (bytes + ARENA_ALIGNMENT - 1) / ARENA_ALIGNMENT * ARENA_ALIGNMENT : ARENA_ALIGNMENT;
    if (!block || block->size - block->used < bytes) {
        size_t size = bytes > ARENA_BLOCK ? bytes : ARENA_BLOCK;
        struct arena_block *fresh = descent_alloc(sizeof *fresh + size);
        if (!fresh)
            return NULL;
        fresh->size = size;
        /* A block made for one large piece is full at once; the room left in the current one stays in use.
         */
        struct arena_block **place = block && bytes > ARENA_BLOCK ? &block->next : &arena->blocks;
        fresh->next = *place;
        *place = fresh;
        block = fresh;
    }
    void *memory = block->data + block->used;
    block->used += bytes;
    return memory;
}

char *descent_arena_string(struct descent_arena *arena, const char *text)
{
    size_t bytes = strlen(text) + 1;
    char *copy = descent_arena_alloc(arena, bytes);
    return copy ? memcpy(copy, text, bytes) : NULL;
}

char *descent_arena_vformat(struct descent_arena *arena, const char *format, va_list arguments)
{
    va_list again;
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, again);
    va_end(again);
    if (length < 0) {
        descent_fail(DESCENT_BAD_ARGUMENT, "cannot format '%s'", format);
        return NULL;
    }
    char *text = descent_arena_alloc(arena, (size_t)length + 1);
    if (text)
        vsnprintf(text, (size_t)length + 1, format, arguments);
    return text;
}

char *descent_arena_format(struct descent_arena *arena, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    char *text = descent_arena_vformat(arena, format, arguments);
    va_end(arguments);
    return text;
}
