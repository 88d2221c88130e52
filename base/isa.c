/* The choice of instruction set, from CPUID as the compiler's runtime reads it (which also asks the system
 * whether it saves the wide registers). */
#include "base/isa.h"

#include <stdlib.h>
#include <string.h>

static const char *const names[DESCENT_ISA_COUNT] = {"generic", "avx2", "avx512"};

static enum descent_isa best(void)
{
#ifdef __x86_64__
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw"))
        return DESCENT_ISA_AVX512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return DESCENT_ISA_AVX2;
#endif
    return DESCENT_ISA_GENERIC;
}

enum descent_isa descent_isa(void)
{
    enum descent_isa limit = best();
    const char *wanted = getenv("DESCENT_ISA");
    for (enum descent_isa isa = DESCENT_ISA_GENERIC; wanted && isa < limit; isa++)
        if (strcmp(wanted, names[isa]) == 0)
            return isa;
    return limit;
}

const char *descent_isa_name(enum descent_isa isa)
{
    return names[isa];
}
