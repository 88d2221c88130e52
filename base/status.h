/* Status codes and the last-error text.
 *
 * CONVENTIONS (all of descent). A function that can fail returns an enum descent_status, or NULL where it
 * returns an object; either way descent_error() then holds one sentence that names the file, option or
 * layer, what was found and what was expected. Libraries never print, exit or abort on what a user or a
 * file gave them. Whoever calls *_new or *_open owns the result and passes it to the matching *_free; those
 * accept NULL. */
#ifndef DESCENT_BASE_STATUS_H
#define DESCENT_BASE_STATUS_H

#define DESCENT_STATUS_LIST(X)                                                                             \
    X(OK, "done")                                                                                          \
    X(OUT_OF_MEMORY, "out of memory")                                                                      \
    X(BAD_ARGUMENT, "bad argument")   /* a value, name or option that cannot be used */                    \
    X(NOT_FOUND, "not found")         /* a file, a name, a capability */                                   \
    X(IO_ERROR, "input/output error") /* the operating system said no */                                   \
    X(BAD_FORMAT, "malformed file")   /* a file's content is not what its format promises */               \
    X(MISMATCH, "mismatch")           /* two things that must agree do not: names, shapes, counts */       \
    X(EXISTS, "already exists")       /* refused, to lose nothing */                                       \
    X(DIVERGED, "not finite")         /* a loss, gradient or parameter is NaN or infinite */

enum descent_status {
#define X(name, text) DESCENT_##name,
    DESCENT_STATUS_LIST(X)
#undef X
};

/* The code in words: "malformed file". Never NULL. */
const char *descent_status_text(enum descent_status status);

/* The last message of the calling thread: one sentence without a final newline; "" if nothing failed yet.
 * Valid until the next failure on this thread. */
const char *descent_error(void);

/* Keeps a message (printf style, cut at 1,023 bytes, '?' for control characters) and returns `status`, so
 * that a function can end with `return descent_fail(DESCENT_BAD_FORMAT, "%s: ...", path)`. */
enum descent_status descent_fail(enum descent_status status, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Puts "prefix: " before the message already kept; returns `status` unchanged. */
enum descent_status descent_fail_in(enum descent_status status, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
