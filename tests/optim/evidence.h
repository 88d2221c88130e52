/* What docs/evidence.md is made of: tests that hold an optimizer to something from outside, or to an exact
 * identity, say so here. tools/docs.sh collects it. */
#ifndef DESCENT_TESTS_OPTIM_EVIDENCE_H
#define DESCENT_TESTS_OPTIM_EVIDENCE_H

#include "base/param.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* That `subject`, an algorithm or a wrapper, has been compared in a form of it ("adam(eps=1e-3)") with an
 * oracle ("PyTorch 2.15.0") in so many trajectories or other results, and is off by at most `worst` of the
 * distance moved. 0 results: an exact identity, which `oracle` puts in words. */
static inline void evidence(const char *subject, const char *form, const char *oracle, int results,
                            double worst)
{
    const char *path = getenv("DESCENT_EVIDENCE");
    FILE *file = path ? fopen(path, "a") : NULL;
    if (!file)
        return;
    fprintf(file, "%s\t%s\t%s\t%d\t%s\t%.3g\n", subject, form, oracle, results,
            sizeof(descent_real) == sizeof(double) ? "double" : "float", worst);
    fclose(file);
}

/* What a row of vectors is about: the wrapper of a spec, or else its algorithm. */
static inline const char *evidence_subject(const char *spec)
{
    static char name[40];
    const char *plus = strrchr(spec, '+'), *begin = plus ? plus + 1 : spec;
    size_t length = strcspn(begin, ":");
    length = length < sizeof name ? length : sizeof name - 1;
    memcpy(name, begin, length);
    name[length] = 0;
    return name;
}

#endif
