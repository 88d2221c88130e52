/* Which instruction set the hot loops use. Files of hot loops are compiled once for each set (`isas` in the
 * root meson.build, with -DDESCENT_ISA=generic, avx2 or avx512); the CPU decides at start-up which copy
 * runs. */
#ifndef DESCENT_BASE_ISA_H
#define DESCENT_BASE_ISA_H

enum descent_isa {
    DESCENT_ISA_GENERIC, /* whatever the compiler takes for granted: SSE2 on x86-64 */
    DESCENT_ISA_AVX2,    /* with FMA */
    DESCENT_ISA_AVX512,  /* F, DQ, VL, BW */
    DESCENT_ISA_COUNT,
};

/* The best set this CPU and this build have, or the one named by the environment variable DESCENT_ISA if
 * that is less. Asks anew each time: keep the answer. */
enum descent_isa descent_isa(void);

/* "generic", "avx2", "avx512": as in DESCENT_ISA, in symbols and in run records. */
const char *descent_isa_name(enum descent_isa isa);

/* In a file of hot loops, the name of this copy: DESCENT_FOR_ISA(optim_adam) is optim_adam_avx2. */
#ifndef DESCENT_ISA
#define DESCENT_ISA generic
#endif
#define DESCENT_FOR_ISA(name)       DESCENT_ISA_PASTE_(name, DESCENT_ISA)
#define DESCENT_ISA_PASTE_(name, i) DESCENT_ISA_JOIN_(name, i)
#define DESCENT_ISA_JOIN_(name, i)  name##_##i

#endif
