/* Not a header: the body of linalg.c for one REAL type; included there for float and for double. */

static enum descent_status PRIVATE(check_finite)(const char *what, const REAL *a, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!isfinite(a[i]))
            return descent_fail(DESCENT_DIVERGED, "%s of a matrix that is not finite", what);
    return DESCENT_OK;
}

void DESCENT(gemm)(bool transpose_a, bool transpose_b, int m, int n, int k, REAL alpha, const REAL *a,
                   int lda, const REAL *b, int ldb, REAL beta, REAL *c, int ldc)
{
    assert(m >= 0 && n >= 0 && k >= 0);
    assert(lda >= (transpose_a ? m : k) && ldb >= (transpose_b ? k : n) && ldc >= n);
    use_one_thread();
    CBLAS(gemm, CblasRowMajor, transpose_a ? CblasTrans : CblasNoTrans,
          transpose_b ? CblasTrans : CblasNoTrans, m, n, k, alpha, a, at_least_1(lda), b, at_least_1(ldb),
          beta, c, at_least_1(ldc));
}

enum descent_status DESCENT(eigh)(int n, REAL *a, REAL *w, REAL *v)
{
    const char *what = "symmetric eigendecomposition";
    enum descent_status status = check_size(what, n, n);
    if (status == DESCENT_OK)
        status = PRIVATE(check_finite)(what, a, (size_t)n * (size_t)n);
    if (status != DESCENT_OK || n == 0)
        return status;
    use_one_thread();
    int info, work_count = -1, integer_count = -1, integer_answer;
    REAL answer;
    LAPACK(syevd, "V", "L", &n, a, &n, w, &answer, &work_count, &integer_answer, &integer_count, &info, 1,
           1);
    work_count = workspace((double)answer);
    integer_count = integer_answer;
    REAL *work = descent_alloc((size_t)work_count * sizeof *work);
    int *integers = descent_alloc((size_t)integer_count * sizeof *integers);
    if (!work || !integers) {
        status = DESCENT_OUT_OF_MEMORY;
    } else {
        LAPACK(syevd, "V", "L", &n, a, &n, w, work, &work_count, integers, &integer_count, &info, 1, 1);
        if (info != 0)
            status = descent_fail(DESCENT_DIVERGED, "%s of a %d x %d matrix did not converge", what, n, n);
    }
    descent_free(work);
    descent_free(integers);
    if (status != DESCENT_OK)
        return status;
    /* LAPACK's columns are our rows: eigenvector j stands in row j of a, and belongs into column j of v. */
    for (size_t i = 0; i < (size_t)n; i++)
        for (size_t j = 0; j < (size_t)n; j++)
            v[i * (size_t)n + j] = a[j * (size_t)n + i];
    return DESCENT_OK;
}

enum descent_status DESCENT(cholesky)(int n, REAL *a)
{
    const char *what = "Cholesky factorization";
    enum descent_status status = check_size(what, n, n);
    for (size_t i = 0; i < (size_t)n && status == DESCENT_OK; i++)
        status = PRIVATE(check_finite)(what, a + i * (size_t)n, i + 1);
    if (status != DESCENT_OK || n == 0)
        return status;
    use_one_thread();
    int info;
    LAPACK(potrf, "U", &n, a, &n, &info, 1);
    if (info > 0)
        return descent_fail(DESCENT_BAD_ARGUMENT,
                            "%s: the %d x %d matrix is not positive definite (row %d)", what, n, n, info);
    for (size_t i = 0; i < (size_t)n; i++)
        memset(a + i * (size_t)n + i + 1, 0, ((size_t)n - i - 1) * sizeof *a);
    return DESCENT_OK;
}

enum descent_status DESCENT(cholesky_solve)(int n, int columns, const REAL *l, REAL *b)
{
    enum descent_status status = check_size("Cholesky solution", n, n);
    if (status == DESCENT_OK)
        status = check_size("Cholesky solution", n, columns);
    if (status != DESCENT_OK || n == 0 || columns == 0)
        return status;
    use_one_thread();
    /* L Y = B, then L^T X = Y */
    CBLAS(trsm, CblasRowMajor, CblasLeft, CblasLower, CblasNoTrans, CblasNonUnit, n, columns, 1, l, n, b,
          columns);
    CBLAS(trsm, CblasRowMajor, CblasLeft, CblasLower, CblasTrans, CblasNonUnit, n, columns, 1, l, n, b,
          columns);
    return DESCENT_OK;
}

/* To LAPACK, A is the n x m matrix A^T = L Q' with L = R^T and Q' = Q^T: the LQ factorization. */
enum descent_status DESCENT(qr)(int m, int n, REAL *a, REAL *r)
{
    const char *what = "QR factorization";
    enum descent_status status = check_size(what, m, n);
    if (status == DESCENT_OK && m < n)
        status = descent_fail(DESCENT_BAD_ARGUMENT, "%s of a %d x %d matrix; expected rows >= columns",
                              what, m, n);
    if (status == DESCENT_OK)
        status = PRIVATE(check_finite)(what, a, (size_t)m * (size_t)n);
    if (status != DESCENT_OK || n == 0)
        return status;
    use_one_thread();
    int info, query = -1, work_count;
    REAL answer[2], unused;
    LAPACK(gelqf, &n, &m, a, &n, &unused, &answer[0], &query, &info);
    LAPACK(orglq, &n, &m, &n, a, &n, &unused, &answer[1], &query, &info);
    work_count = workspace((double)(answer[0] > answer[1] ? answer[0] : answer[1]));
    REAL *work = descent_alloc(((size_t)work_count + 2 * (size_t)n) * sizeof *work);
    if (!work)
        return DESCENT_OUT_OF_MEMORY;
    REAL *tau = work + work_count, *sign = tau + n;
    LAPACK(gelqf, &n, &m, a, &n, tau, work, &work_count, &info);
    size_t columns = (size_t)n;
    for (size_t i = 0; i < columns; i++) {
        sign[i] = a[i * columns + i] < 0 ? -1 : 1;
        if (!r)
            continue;
        for (size_t j = 0; j < columns; j++)
            r[i * columns + j] = j < i ? 0 : sign[i] * a[i * columns + j];
    }
    LAPACK(orglq, &n, &m, &n, a, &n, tau, work, &work_count, &info);
    for (size_t i = 0; i < (size_t)m; i++)
        for (size_t j = 0; j < columns; j++)
            a[i * columns + j] *= sign[j];
    descent_free(work);
    return DESCENT_OK;
}

/* To LAPACK, A is the n x m matrix A^T = V diag(s) U^T: its left vectors, stored by columns, are our vt. */
enum descent_status DESCENT(svd)(int m, int n, REAL *a, REAL *u, REAL *s, REAL *vt)
{
    const char *what = "singular value decomposition";
    enum descent_status status = check_size(what, m, n);
    if (status == DESCENT_OK)
        status = PRIVATE(check_finite)(what, a, (size_t)m * (size_t)n);
    if (status != DESCENT_OK || m == 0 || n == 0)
        return status;
    use_one_thread();
    int info, work_count = -1, p = m < n ? m : n, unused;
    REAL answer;
    LAPACK(gesdd, "S", &n, &m, a, &n, s, vt, &n, u, &p, &answer, &work_count, &unused, &info, 1);
    work_count = workspace((double)answer);
    REAL *work = descent_alloc((size_t)work_count * sizeof *work);
    int *integers = descent_alloc(8 * (size_t)p * sizeof *integers);
    if (!work || !integers) {
        status = DESCENT_OUT_OF_MEMORY;
    } else {
        LAPACK(gesdd, "S", &n, &m, a, &n, s, vt, &n, u, &p, work, &work_count, integers, &info, 1);
        if (info != 0)
            status = descent_fail(DESCENT_DIVERGED, "%s of a %d x %d matrix did not converge", what, m, n);
    }
    descent_free(work);
    descent_free(integers);
    return status;
}
