/* Dense linear algebra in float32 and float64, row-major: the one door to BLAS and LAPACK (OpenBLAS).
 * Every function runs single-threaded on the calling thread, so that bits do not depend on the number of
 * threads, and may be called by many threads at once.
 *
 * Sizes may be 0. The factorizations take at most 2^28 elements; what is not finite, or does not converge,
 * is DESCENT_DIVERGED; after an error the outputs hold nothing of use. */
#ifndef DESCENT_BASE_LINALG_H
#define DESCENT_BASE_LINALG_H

#include "base/status.h"

#include <stdbool.h>

/* C[m x n] = alpha op(A)[m x k] op(B)[k x n] + beta C; op is the transpose where the flag says so. lda,
 * ldb, ldc: row strides as stored. With beta 0, C may hold anything, NaN included. */
void descent_sgemm(bool transpose_a, bool transpose_b, int m, int n, int k, float alpha, const float *a,
                   int lda, const float *b, int ldb, float beta, float *c, int ldc);
void descent_dgemm(bool transpose_a, bool transpose_b, int m, int n, int k, double alpha, const double *a,
                   int lda, const double *b, int ldb, double beta, double *c, int ldc);

/* Symmetric eigendecomposition A = V diag(w) V^T. a: n x n, symmetric, overwritten; w: n, ascending;
 * v: n x n, columns are eigenvectors. */
enum descent_status descent_seigh(int n, float *a, float *w, float *v);
enum descent_status descent_deigh(int n, double *a, double *w, double *v);

/* Cholesky A = L L^T in place (only the lower triangle is read; the strict upper is set to 0).
 * DESCENT_BAD_ARGUMENT if A is not positive definite. */
enum descent_status descent_scholesky(int n, float *a);
enum descent_status descent_dcholesky(int n, double *a);

/* Solves A X = B given A's Cholesky factor l (n x n); b: n x columns, overwritten by X. */
enum descent_status descent_scholesky_solve(int n, int columns, const float *l, float *b);
enum descent_status descent_dcholesky_solve(int n, int columns, const double *l, double *b);

/* Thin QR of a (m x n, m >= n), overwritten by Q (m x n, orthonormal columns); r: n x n upper triangular,
 * diagonal >= 0 (so that Q is unique), or NULL if not wanted. */
enum descent_status descent_sqr(int m, int n, float *a, float *r);
enum descent_status descent_dqr(int m, int n, double *a, double *r);

/* Thin SVD A = U diag(s) V^T. a: m x n, overwritten; with p = min(m, n), u: m x p, s: p, descending,
 * vt: p x n. */
enum descent_status descent_ssvd(int m, int n, float *a, float *u, float *s, float *vt);
enum descent_status descent_dsvd(int m, int n, double *a, double *u, double *s, double *vt);

/* "OpenBLAS 0.3.21 Zen", for run records. */
const char *descent_linalg_version(void);

#endif
