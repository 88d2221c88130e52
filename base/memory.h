/* Aligned memory, checked sizes, and an arena for what lives and dies together. */
#ifndef DESCENT_BASE_MEMORY_H
#define DESCENT_BASE_MEMORY_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

enum { DESCENT_ALIGNMENT = 64 }; /* bytes: a cache line and the widest vector */

/* Zeroed memory aligned to DESCENT_ALIGNMENT (from 4 MiB: to 2 MiB, advised as huge pages); NULL when there
 * is none (see descent_error). `bytes` 0 is taken as 1. Free with descent_free. */
void *descent_alloc(size_t bytes);
void descent_free(void *memory);

/* *product = a * b; false on overflow. */
static inline bool descent_size_multiply(size_t a, size_t b, size_t *product)
{
    return !__builtin_mul_overflow(a, b, product);
}

/* Rounds up to a multiple of DESCENT_ALIGNMENT. */
static inline size_t descent_round_up(size_t bytes)
{
    return (bytes + DESCENT_ALIGNMENT - 1) & ~(size_t)(DESCENT_ALIGNMENT - 1);
}

/* An arena: memory of any size that is freed all at once. Blocks are zeroed and aligned to 16 bytes, and
 * never move. */
struct descent_arena;
struct descent_arena *descent_arena_new(void); /* NULL when out of memory */
void descent_arena_free(struct descent_arena *arena);
void *descent_arena_alloc(struct descent_arena *arena, size_t bytes); /* NULL when out of memory */
char *descent_arena_string(struct descent_arena *arena, const char *text);
char *descent_arena_format(struct descent_arena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
char *descent_arena_vformat(struct descent_arena *arena, const char *format, va_list arguments)
    __attribute__((format(printf, 2, 0)));

#endif
