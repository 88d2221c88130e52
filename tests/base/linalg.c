/* Linear algebra against naive loops in double, once for float32 and once for float64. The float functions
 * are reached through wrappers that convert from and to double, so that every test is written once. */
#include "base/linalg.h"

#include "base/pool.h"
#include "base/random.h"
#include "tests/test.h"

#include <float.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct precision {
    double eps;
    void (*gemm)(bool transpose_a, bool transpose_b, int m, int n, int k, double alpha, const double *a,
                 int lda, const double *b, int ldb, double beta, double *c, int ldc);
    enum descent_status (*eigh)(int n, double *a, double *w, double *v);
    enum descent_status (*cholesky)(int n, double *a);
    enum descent_status (*cholesky_solve)(int n, int columns, const double *l, double *b);
    enum descent_status (*qr)(int m, int n, double *a, double *r);
    enum descent_status (*svd)(int m, int n, double *a, double *u, double *s, double *vt);
};

static float *narrow(int count, const double *from)
{
    float *to = malloc((size_t)(count > 0 ? count : 1) * sizeof *to);
    assert_non_null(to);
    for (int i = 0; i < count; i++)
        to[i] = (float)from[i];
    return to;
}

static void widen_and_free(int count, float *from, double *to)
{
    for (int i = 0; i < count; i++)
        to[i] = from[i];
    free(from);
}

static void float_gemm(bool transpose_a, bool transpose_b, int m, int n, int k, double alpha,
                       const double *a, int lda, const double *b, int ldb, double beta, double *c, int ldc)
{
    float *fa = narrow((transpose_a ? k : m) * lda, a), *fb = narrow((transpose_b ? n : k) * ldb, b);
    float *fc = narrow(m * ldc, c);
    descent_sgemm(transpose_a, transpose_b, m, n, k, (float)alpha, fa, lda, fb, ldb, (float)beta, fc, ldc);
    widen_and_free(m * ldc, fc, c);
    free(fa);
    free(fb);
}

static enum descent_status float_eigh(int n, double *a, double *w, double *v)
{
    float *fa = narrow(n * n, a), *fw = narrow(n, w), *fv = narrow(n * n, v);
    enum descent_status status = descent_seigh(n, fa, fw, fv);
    widen_and_free(n * n, fa, a);
    widen_and_free(n, fw, w);
    widen_and_free(n * n, fv, v);
    return status;
}

static enum descent_status float_cholesky(int n, double *a)
{
    float *fa = narrow(n * n, a);
    enum descent_status status = descent_scholesky(n, fa);
    widen_and_free(n * n, fa, a);
    return status;
}

static enum descent_status float_cholesky_solve(int n, int columns, const double *l, double *b)
{
    float *fl = narrow(n * n, l), *fb = narrow(n * columns, b);
    enum descent_status status = descent_scholesky_solve(n, columns, fl, fb);
    widen_and_free(n * columns, fb, b);
    free(fl);
    return status;
}

static enum descent_status float_qr(int m, int n, double *a, double *r)
{
    float *fa = narrow(m * n, a), *fr = r ? narrow(n * n, r) : NULL;
    enum descent_status status = descent_sqr(m, n, fa, fr);
    widen_and_free(m * n, fa, a);
    if (r)
        widen_and_free(n * n, fr, r);
    return status;
}

static enum descent_status float_svd(int m, int n, double *a, double *u, double *s, double *vt)
{
    int p = m < n ? m : n;
    float *fa = narrow(m * n, a), *fu = narrow(m * p, u), *fs = narrow(p, s), *fvt = narrow(p * n, vt);
    enum descent_status status = descent_ssvd(m, n, fa, fu, fs, fvt);
    widen_and_free(m * n, fa, a);
    widen_and_free(m * p, fu, u);
    widen_and_free(p, fs, s);
    widen_and_free(p * n, fvt, vt);
    return status;
}

static const struct precision precisions[] = {
    {FLT_EPSILON, float_gemm, float_eigh, float_cholesky, float_cholesky_solve, float_qr, float_svd},
    {DBL_EPSILON, descent_dgemm, descent_deigh, descent_dcholesky, descent_dcholesky_solve, descent_dqr,
     descent_dsvd},
};
#define FOR_EACH_PRECISION(p) for (const struct precision *p = precisions; p < precisions + 2; p++)

/* Matrices of the tests: most of one size or less, on a stack of their own. */
enum { LARGEST = 80 * 80 };

static void fill(double *a, int count, uint64_t stream)
{
    struct descent_random random = descent_random_new(1, DESCENT_RANDOM_TEST, stream);
    for (int i = 0; i < count; i++)
        a[i] = (float)descent_random_normal(&random); /* exact in both precisions */
}

/* c (m x n) = op(a) op(b), densely stored */
static void multiply(bool transpose_a, bool transpose_b, int m, int n, int k, const double *a,
                     const double *b, double *c)
{
    for (int i = 0; i < m; i++)
        for (int j = 0; j < n; j++) {
            double sum = 0;
            for (int l = 0; l < k; l++)
                sum += a[transpose_a ? l * m + i : i * k + l] * b[transpose_b ? j * k + l : l * n + j];
            c[i * n + j] = sum;
        }
}

static double largest(const double *a, int count)
{
    double most = 0;
    for (int i = 0; i < count; i++)
        most = fmax(most, fabs(a[i]));
    return most;
}

static void assert_near(const double *got, const double *expected, int count, double tolerance)
{
    for (int i = 0; i < count; i++)
        if (!(fabs(got[i] - expected[i]) <= tolerance))
            fail_msg("element %d of %d: %.9g, expected %.9g within %g", i, count, got[i], expected[i],
                     tolerance);
}

/* The columns of a (m x n), or its rows, are orthonormal. */
static void assert_orthonormal(bool rows, int m, int n, const double *a, double tolerance)
{
    static double product[LARGEST], identity[LARGEST];
    int size = rows ? m : n;
    multiply(!rows, rows, size, size, rows ? n : m, a, a, product);
    memset(identity, 0, sizeof identity);
    for (int i = 0; i < size; i++)
        identity[i * size + i] = 1;
    assert_near(product, identity, size * size, tolerance);
}

/* Every transposition, odd sizes, strides larger than the rows, alpha and beta; what lies between the rows
 * of C stays. */
static void gemm_equals_the_naive_product(void **state)
{
    (void)state;
    const int sizes[][3] = {{1, 1, 1},    {3, 5, 7},    {17, 1, 33}, {1, 19, 2},
                            {31, 29, 65}, {64, 48, 80}, {2, 3, 0}};
    const double scalars[][2] = {{1, 0}, {1, 1}, {-0.5, 2}, {0, 1}, {2, 0}};
    static double a[LARGEST * 2], b[LARGEST * 2], c[LARGEST * 2], before[LARGEST * 2];
    FOR_EACH_PRECISION (p)
        for (int s = 0; s < 7; s++)
            for (int how = 0; how < 4; how++)
                for (int q = 0; q < 5; q++) {
                    bool ta = how & 1, tb = how & 2;
                    int m = sizes[s][0], n = sizes[s][1], k = sizes[s][2];
                    int lda = (ta ? m : k) + s % 3, ldb = (tb ? k : n) + how, ldc = n + q;
                    double alpha = scalars[q][0], beta = scalars[q][1];
                    fill(a, LARGEST * 2, 1);
                    fill(b, LARGEST * 2, 2);
                    fill(before, LARGEST * 2, 3);
                    memcpy(c, before, sizeof c);
                    if (beta == 0)
                        for (int i = 0; i < m; i++)
                            for (int j = 0; j < n; j++)
                                c[i * ldc + j] = NAN;
                    p->gemm(ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
                    for (int i = 0; i < m; i++) {
                        for (int j = 0; j < n; j++) {
                            double sum = 0, expected;
                            for (int l = 0; l < k; l++)
                                sum +=
                                    a[ta ? l * lda + i : i * lda + l] * b[tb ? j * ldb + l : l * ldb + j];
                            expected = alpha * sum + beta * before[i * ldc + j];
                            assert_near(&c[i * ldc + j], &expected, 1, 40 * p->eps * sqrt(k + 1.0));
                        }
                        assert_memory_equal(&c[i * ldc + n], &before[i * ldc + n],
                                            (size_t)(ldc - n) * sizeof *c);
                    }
                }
}

static void symmetrize(double *a, int n)
{
    for (int i = 0; i < n; i++)
        for (int j = 0; j < i; j++)
            a[i * n + j] = a[j * n + i];
}

static void eigh_rebuilds_the_matrix_from_ascending_eigenvalues(void **state)
{
    (void)state;
    const int sizes[] = {1, 2, 3, 7, 25, 33, 64, 77};
    static double a[LARGEST], given[LARGEST], w[80], v[LARGEST], scaled[LARGEST], rebuilt[LARGEST];
    FOR_EACH_PRECISION (p)
        for (int s = 0; s < 8; s++)
            for (int rank_deficient = 0; rank_deficient < 2; rank_deficient++) {
                int n = sizes[s];
                fill(given, n * n, (uint64_t)s);
                if (rank_deficient) { /* G G^T of an n x n/3 matrix G */
                    memcpy(a, given, sizeof a);
                    multiply(false, true, n, n, n / 3, a, a, given);
                }
                symmetrize(given, n);
                memcpy(a, given, sizeof a);
                assert_int_equal(p->eigh(n, a, w, v), DESCENT_OK);
                double tolerance = 20 * p->eps * n * fmax(1, largest(w, n));
                assert_orthonormal(false, n, n, v, 20 * p->eps * n);
                for (int i = 0; i < n; i++)
                    for (int j = 0; j < n; j++)
                        scaled[i * n + j] = v[i * n + j] * w[j];
                multiply(false, true, n, n, n, scaled, v, rebuilt);
                assert_near(rebuilt, given, n * n, tolerance);
                for (int i = 1; i < n; i++)
                    assert_true(w[i - 1] <= w[i]);
                if (rank_deficient)
                    for (int i = 0; i < n - n / 3; i++)
                        assert_true(fabs(w[i]) <= tolerance);
            }
}

/* A = G G^T + n I; garbage above the diagonal is not read. */
static void cholesky_rebuilds_the_matrix_and_solves(void **state)
{
    (void)state;
    const int sizes[] = {1, 2, 3, 7, 25, 33, 64, 77}, columns[] = {1, 2, 9, 0, 31};
    static double g[LARGEST], a[LARGEST], l[LARGEST], rebuilt[LARGEST], x[LARGEST], b[LARGEST], zero;
    FOR_EACH_PRECISION (p)
        for (int s = 0; s < 8; s++) {
            int n = sizes[s];
            fill(g, n * n, (uint64_t)s);
            multiply(false, true, n, n, n, g, g, a);
            for (int i = 0; i < n; i++)
                a[i * n + i] += n;
            memcpy(l, a, sizeof l);
            for (int i = 0; i < n; i++)
                for (int j = i + 1; j < n; j++)
                    l[i * n + j] = NAN;
            assert_int_equal(p->cholesky(n, l), DESCENT_OK);
            for (int i = 0; i < n; i++)
                for (int j = i; j < n; j++)
                    assert_true(j == i ? l[i * n + j] > 0 : l[i * n + j] == 0);
            multiply(false, true, n, n, n, l, l, rebuilt);
            assert_near(rebuilt, a, n * n, 4 * p->eps * n * largest(a, n * n));
            for (int c = 0; c < 5; c++) {
                fill(x, n * columns[c], 50);
                multiply(false, false, n, columns[c], n, a, x, b);
                assert_int_equal(p->cholesky_solve(n, columns[c], l, b), DESCENT_OK);
                assert_near(b, x, n * columns[c], 100 * p->eps * n);
            }
        }
    FOR_EACH_PRECISION (p) {
        assert_int_equal(p->cholesky(0, &zero), DESCENT_OK);
        assert_int_equal(p->cholesky_solve(0, 3, &zero, &zero), DESCENT_OK);
    }
}

static void cholesky_refuses_what_is_not_positive_definite(void **state)
{
    (void)state;
    FOR_EACH_PRECISION (p) {
        double indefinite[] = {4, 2, 0, 2, 1, 0, 0, 0, 5}, negative[] = {-1};
        assert_int_equal(p->cholesky(3, indefinite), DESCENT_BAD_ARGUMENT);
        assert_non_null(strstr(descent_error(), "not positive definite (row 2)"));
        assert_int_equal(p->cholesky(1, negative), DESCENT_BAD_ARGUMENT);
    }
}

static void qr_rebuilds_the_matrix_with_a_diagonal_that_is_not_negative(void **state)
{
    (void)state;
    const int sizes[][2] = {{1, 1}, {2, 1}, {5, 3}, {7, 7}, {40, 33}, {80, 80}, {79, 1}, {80, 41}};
    static double given[LARGEST], q[LARGEST], alone[LARGEST], r[LARGEST], rebuilt[LARGEST];
    FOR_EACH_PRECISION (p)
        for (int s = 0; s < 8; s++)
            for (int rank_deficient = 0; rank_deficient < 2; rank_deficient++) {
                int m = sizes[s][0], n = sizes[s][1];
                fill(given, m * n, (uint64_t)s);
                if (rank_deficient)
                    for (int i = 0; i < m; i++) { /* a zero column, and one that repeats */
                        given[i * n] = 0;
                        given[i * n + n - 1] = given[i * n + n / 2];
                    }
                memcpy(q, given, sizeof q);
                memcpy(alone, given, sizeof alone);
                for (int i = 0; i < n * n; i++)
                    r[i] = NAN;
                assert_int_equal(p->qr(m, n, q, r), DESCENT_OK);
                assert_orthonormal(false, m, n, q, 10 * p->eps * m);
                for (int i = 0; i < n; i++)
                    for (int j = 0; j <= i; j++)
                        assert_true(j == i ? r[i * n + j] >= 0 : r[i * n + j] == 0);
                multiply(false, false, m, n, n, q, r, rebuilt);
                assert_near(rebuilt, given, m * n, 10 * p->eps * m);
                assert_int_equal(p->qr(m, n, alone, NULL), DESCENT_OK);
                assert_memory_equal(alone, q, (size_t)(m * n) * sizeof *q);
            }
}

static void svd_rebuilds_the_matrix_from_descending_values(void **state)
{
    (void)state;
    const int sizes[][2] = {{1, 1}, {5, 3},   {3, 5},   {7, 7},  {1, 9},
                            {9, 1}, {80, 33}, {33, 80}, {77, 4}, {4, 77}};
    static double given[LARGEST], a[LARGEST], u[LARGEST], s[80], vt[LARGEST], rebuilt[LARGEST];
    FOR_EACH_PRECISION (p)
        for (int size = 0; size < 10; size++)
            for (int rank_one = 0; rank_one < 2; rank_one++) {
                int m = sizes[size][0], n = sizes[size][1], least = m < n ? m : n;
                fill(given, m * n, (uint64_t)size);
                if (rank_one)
                    for (int i = 0; i < m * n; i++)
                        given[i] = (i / n + 1) * (i % n % 5 - 2.5);
                memcpy(a, given, sizeof a);
                assert_int_equal(p->svd(m, n, a, u, s, vt), DESCENT_OK);
                double tolerance = 10 * p->eps * (m + n) * fmax(1, s[0]);
                assert_orthonormal(false, m, least, u, 10 * p->eps * (m + n));
                assert_orthonormal(true, least, n, vt, 10 * p->eps * (m + n));
                for (int i = 0; i < least; i++) {
                    assert_true(s[i] >= 0 && (i == 0 || s[i - 1] >= s[i]));
                    assert_true(!rank_one || i == 0 || s[i] <= tolerance);
                    for (int j = 0; j < m; j++)
                        u[j * least + i] *= s[i];
                }
                multiply(false, false, m, n, least, u, vt, rebuilt);
                assert_near(rebuilt, given, m * n, tolerance);
            }
}

static void empty_matrices_are_done_at_once(void **state)
{
    (void)state;
    FOR_EACH_PRECISION (p) {
        double none = 7, r = 7;
        p->gemm(false, false, 0, 0, 0, 1, &none, 0, &none, 0, 0, &none, 0);
        p->gemm(true, true, 0, 3, 0, 1, &none, 0, &none, 0, 0, &none, 3);
        assert_int_equal(p->eigh(0, &none, &none, &none), DESCENT_OK);
        assert_int_equal(p->qr(0, 0, &none, &r), DESCENT_OK);
        assert_int_equal(p->qr(3, 0, &none, &r), DESCENT_OK);
        assert_int_equal(p->svd(0, 4, &none, &none, &none, &none), DESCENT_OK);
        assert_int_equal(p->svd(4, 0, &none, &none, &none, &none), DESCENT_OK);
        assert_true(none == 7 && r == 7);
    }
}

static void bad_sizes_are_errors_before_memory_is_touched(void **state)
{
    (void)state;
    const int huge = 1 << 20;
    assert_int_equal(descent_seigh(huge, NULL, NULL, NULL), DESCENT_BAD_ARGUMENT);
    assert_non_null(strstr(descent_error(), "1048576 x 1048576"));
    assert_int_equal(descent_dcholesky(huge, NULL), DESCENT_BAD_ARGUMENT);
    assert_int_equal(descent_scholesky_solve(huge, 1, NULL, NULL), DESCENT_BAD_ARGUMENT);
    assert_int_equal(descent_scholesky_solve(1024, huge, NULL, NULL), DESCENT_BAD_ARGUMENT);
    assert_int_equal(descent_dqr(huge, huge, NULL, NULL), DESCENT_BAD_ARGUMENT);
    assert_int_equal(descent_ssvd(huge, huge, NULL, NULL, NULL, NULL), DESCENT_BAD_ARGUMENT);
    assert_int_equal(descent_deigh(-1, NULL, NULL, NULL), DESCENT_BAD_ARGUMENT);
    assert_int_equal(descent_dsvd(-1, 2, NULL, NULL, NULL, NULL), DESCENT_BAD_ARGUMENT);
    assert_int_equal(descent_sqr(2, 3, NULL, NULL), DESCENT_BAD_ARGUMENT);
    assert_non_null(strstr(descent_error(), "rows >= columns"));
}

static void what_is_not_finite_is_diverged(void **state)
{
    (void)state;
    const double bad[] = {NAN, INFINITY, -INFINITY};
    FOR_EACH_PRECISION (p)
        for (int i = 0; i < 3; i++) {
            static double a[9], v[9], w[3], u[9];
            fill(a, 9, 1);
            a[7] = bad[i];
            assert_int_equal(p->eigh(3, a, w, v), DESCENT_DIVERGED);
            assert_non_null(strstr(descent_error(), "not finite"));
            assert_int_equal(p->cholesky(3, a), DESCENT_DIVERGED);
            assert_int_equal(p->qr(3, 3, a, v), DESCENT_DIVERGED);
            assert_int_equal(p->svd(3, 3, a, u, w, v), DESCENT_DIVERGED);
        }
}

/* Large enough that OpenBLAS would share the work among threads if it were let. */
enum { M = 64, N = 64, K = 784, PRODUCTS = 16 };
static float left[M * K], right[K * N], products[PRODUCTS][M * N];

static void one_product(void *context, int chunk, int thread)
{
    (void)context, (void)thread;
    descent_sgemm(false, false, M, N, K, 1, left, K, right, N, 0, products[chunk], N);
}

static void *one_product_in_a_fresh_thread(void *unused)
{
    one_product(unused, 1, 0);
    return NULL;
}

static void threads_multiplying_at_once_give_the_bits_of_one(void **state)
{
    (void)state;
    static float alone[M * N];
    struct descent_random random = descent_random_new(1, DESCENT_RANDOM_TEST, 9);
    for (int i = 0; i < M * K; i++)
        left[i] = (float)descent_random_normal(&random);
    for (int i = 0; i < K * N; i++)
        right[i] = (float)descent_random_normal(&random);
    one_product(NULL, 0, 0);
    memcpy(alone, products[0], sizeof alone);
    struct descent_pool *pool = descent_pool_new(2);
    for (int round = 0; round < 50; round++) {
        memset(products, 0xff, sizeof products);
        descent_pool_run(pool, PRODUCTS, one_product, NULL);
        for (int i = 0; i < PRODUCTS; i++)
            assert_memory_equal(products[i], alone, sizeof alone);
    }
    descent_pool_free(pool);
    for (int round = 0; round < 20; round++) {
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, one_product_in_a_fresh_thread, NULL), 0);
        pthread_join(thread, NULL);
        assert_memory_equal(products[1], alone, sizeof alone);
    }
}

static double seconds(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* The processor time of the process that was not this thread's: spent by threads that OpenBLAS has started.
 */
static void *multiply_and_measure(void *foreign)
{
    enum { SIZE = 384 };
    static float a[SIZE * SIZE], b[SIZE * SIZE], c[SIZE * SIZE];
    double process = seconds(CLOCK_PROCESS_CPUTIME_ID), thread = seconds(CLOCK_THREAD_CPUTIME_ID);
    for (int i = 0; i < 20; i++)
        descent_sgemm(false, false, SIZE, SIZE, SIZE, 1, a, SIZE, b, SIZE, 0, c, SIZE);
    process = seconds(CLOCK_PROCESS_CPUTIME_ID) - process;
    thread = seconds(CLOCK_THREAD_CPUTIME_ID) - thread;
    *(double *)foreign = (process - thread) / process;
    return NULL;
}

static void a_product_runs_on_the_calling_thread_alone(void **state)
{
    (void)state;
    for (int round = 0; round < 3; round++) {
        double foreign;
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, multiply_and_measure, &foreign), 0);
        pthread_join(thread, NULL);
        if (foreign > 0.15)
            fail_msg("%.0f %% of the time was spent by other threads", 100 * foreign);
    }
}

static void the_version_names_openblas_and_its_core(void **state)
{
    (void)state;
    const char *version = descent_linalg_version();
    int major, minor, patch;
    char core[32];
    assert_int_equal(sscanf(version, "OpenBLAS %d.%d.%d %31s", &major, &minor, &patch, core), 4);
    assert_ptr_equal(descent_linalg_version(), version);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gemm_equals_the_naive_product),
        cmocka_unit_test(eigh_rebuilds_the_matrix_from_ascending_eigenvalues),
        cmocka_unit_test(cholesky_rebuilds_the_matrix_and_solves),
        cmocka_unit_test(cholesky_refuses_what_is_not_positive_definite),
        cmocka_unit_test(qr_rebuilds_the_matrix_with_a_diagonal_that_is_not_negative),
        cmocka_unit_test(svd_rebuilds_the_matrix_from_descending_values),
        cmocka_unit_test(empty_matrices_are_done_at_once),
        cmocka_unit_test(bad_sizes_are_errors_before_memory_is_touched),
        cmocka_unit_test(what_is_not_finite_is_diverged),
        cmocka_unit_test(threads_multiplying_at_once_give_the_bits_of_one),
        cmocka_unit_test(a_product_runs_on_the_calling_thread_alone),
        cmocka_unit_test(the_version_names_openblas_and_its_core),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
