/* See side.h. */
#include "bench/side.h"

#include "base/isa.h"
#include "base/linalg.h"
#include "base/memory.h"
#include "base/random.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

static void die(void)
{
    fprintf(stderr, "%s\n", descent_error());
    exit(1);
}

void *need(void *pointer)
{
    if (!pointer)
        die();
    return pointer;
}

void must(enum descent_status status)
{
    if (status != DESCENT_OK)
        die();
}

float *noise(size_t count)
{
    struct descent_random random = descent_random_new(1, DESCENT_RANDOM_TEST, count);
    float *values = need(descent_alloc(count * sizeof *values));
    for (size_t i = 0; i < count; i++)
        values[i] = (float)(2 * descent_random_uniform(&random) - 1);
    return values;
}

static bool answer_common(const char *request)
{
    struct rusage usage;
    if (strcmp(request, "memory\n") == 0) {
        getrusage(RUSAGE_SELF, &usage);
        printf("%ld\n", usage.ru_maxrss * 1024);
    } else if (strcmp(request, "version\n") == 0) {
        printf("descent (%s, %s, compiler %s)\n", descent_isa_name(descent_isa()), descent_linalg_version(),
               __VERSION__);
    } else {
        return false;
    }
    return true;
}

int serve(const char *program, bool (*answer)(const char *request))
{
    char request[1024];
    while (fgets(request, sizeof request, stdin)) {
        if (!answer_common(request) && !answer(request)) {
            fprintf(stderr, "%s: cannot serve the request %s", program, request);
            return 2;
        }
        if (fflush(stdout) != 0)
            return 1;
    }
    return 0;
}
