/* A fuzz target: one function that takes any bytes, aborts if a promise is broken and returns 0. It runs
 * under libFuzzer or under driver.c. A target whose code reads files makes one of the bytes with
 * scratch_file (tests/scratch.h). */
#ifndef DESCENT_TESTS_FUZZ_TARGET_H
#define DESCENT_TESTS_FUZZ_TARGET_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* In every build, unlike assert. */
#define fuzz_expect(promise)                                                                               \
    do {                                                                                                   \
        if (!(promise)) {                                                                                  \
            fprintf(stderr, "%s:%d: broken promise: %s\n", __FILE__, __LINE__, #promise);                  \
            abort();                                                                                       \
        }                                                                                                  \
    } while (0)

#endif
