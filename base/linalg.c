/* base/linalg.h over OpenBLAS. The one file that includes cblas.h and knows LAPACK's Fortran symbols; what
 * is the same for float and double is written once, in linalg_real.h.
 *
 * LAPACK is column-major: to it our row-major matrix is the transpose. Where the transpose has a twin
 * factorization (Cholesky: upper for lower; QR: LQ; SVD: U and V swapped) that one is called and nothing is
 * moved. */
#include "base/linalg.h"

#include "base/memory.h"

#include <cblas.h>

#include <assert.h>
#include <limits.h>
#include <math.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* Fortran passes everything by address and the lengths of CHARACTER arguments behind. INTEGER is int: LP64.
 */
#define DECLARE_LAPACK(REAL, p)                                                                            \
    void p##syevd_(const char *jobz, const char *uplo, const int *n, REAL *a, const int *lda, REAL *w,     \
                   REAL *work, const int *lwork, int *iwork, const int *liwork, int *info,                 \
                   size_t jobz_length, size_t uplo_length);                                                \
    void p##potrf_(const char *uplo, const int *n, REAL *a, const int *lda, int *info,                     \
                   size_t uplo_length);                                                                    \
    void p##gelqf_(const int *m, const int *n, REAL *a, const int *lda, REAL *tau, REAL *work,             \
                   const int *lwork, int *info);                                                           \
    void p##orglq_(const int *m, const int *n, const int *k, REAL *a, const int *lda, const REAL *tau,     \
                   REAL *work, const int *lwork, int *info);                                               \
    void p##gesdd_(const char *jobz, const int *m, const int *n, REAL *a, const int *lda, REAL *s,         \
                   REAL *u, const int *ldu, REAL *vt, const int *ldvt, REAL *work, const int *lwork,       \
                   int *iwork, int *info, size_t jobz_length)
DECLARE_LAPACK(float, s);
DECLARE_LAPACK(double, d);

/* LAPACK counts its workspace, up to some 4 matrices, in int. */
enum { MAX_ELEMENTS = 1 << 28 };

/* OpenBLAS's thread count is the process's in its pthread build, the calling thread's in its OpenMP build:
 * so every thread sets it, once. Setting it moves buffers without a lock of its own. */
static void use_one_thread(void)
{
    static _Thread_local bool done;
    static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    if (done)
        return;
    pthread_mutex_lock(&mutex);
    openblas_set_num_threads(1);
    pthread_mutex_unlock(&mutex);
    done = true;
}

static enum descent_status check_size(const char *what, int m, int n)
{
    if (m < 0 || n < 0 || (int64_t)m * n > MAX_ELEMENTS)
        return descent_fail(DESCENT_BAD_ARGUMENT, "%s of a %d x %d matrix; expected at most %d elements",
                            what, m, n, MAX_ELEMENTS);
    return DESCENT_OK;
}

/* A workspace size as LAPACK answers it: a float, rounded perhaps downwards. */
static int workspace(double answer)
{
    return (int)(answer * (1 + 0x1p-22)) + 1;
}

static int at_least_1(int n)
{
    return n > 1 ? n : 1;
}

#define REAL              float
#define DESCENT(name)     descent_s##name
#define LAPACK(name, ...) s##name##_(__VA_ARGS__)
#define CBLAS(name, ...)  cblas_s##name(__VA_ARGS__)
#define PRIVATE(name)     s_##name
#include "base/linalg_real.h"
#undef REAL
#undef DESCENT
#undef LAPACK
#undef CBLAS
#undef PRIVATE

#define REAL              double
#define DESCENT(name)     descent_d##name
#define LAPACK(name, ...) d##name##_(__VA_ARGS__)
#define CBLAS(name, ...)  cblas_d##name(__VA_ARGS__)
#define PRIVATE(name)     d_##name
#include "base/linalg_real.h"

static char version[64];

static void make_version(void)
{
    char name[32] = "?";
    sscanf(openblas_get_config(), "%*s %31s", name); /* "OpenBLAS 0.3.21 NO_LAPACKE DYNAMIC_ARCH ..." */
    snprintf(version, sizeof version, "OpenBLAS %s %s", name, openblas_get_corename());
}

const char *descent_linalg_version(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_version);
    return version;
}
