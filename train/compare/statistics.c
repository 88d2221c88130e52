/* Statistics of small samples. Tested against SciPy and rliable; random numbers only in the bootstrap. */
#include "train/compare/statistics.h"

#include "base/random.h"

#include <math.h>
#include <stdlib.h>

enum { RESAMPLES = 10000 };

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Resamples are small and many: those are sorted by insertion. */
static void sort(double *values, int n)
{
    if (n > 32) {
        qsort(values, (size_t)n, sizeof *values, ascending);
        return;
    }
    for (int i = 1; i < n; i++) {
        double value = values[i];
        int place = i;
        for (; place > 0 && values[place - 1] > value; place--)
            values[place] = values[place - 1];
        values[place] = value;
    }
}

double statistics_quantile(double *values, int n, double q)
{
    sort(values, n);
    double position = q * (n - 1), share = position - floor(position);
    int below = (int)position;
    if (share == 0 || values[below] == values[below + 1]) /* also: both infinite */
        return values[below];
    return values[below] + share * (values[below + 1] - values[below]);
}

double statistics_median(double *values, int n)
{
    return statistics_quantile(values, n, 0.5);
}

/* Upside down it is the inverse, which an arithmetic mean of the middle two is not; least of all where one
 * is 0 or infinite. */
double statistics_median_ratio(double *values, int n)
{
    sort(values, n);
    double below = values[(n - 1) / 2], above = values[n / 2];
    if (below == 0)
        return isinf(above) ? 1 : 0;
    return below == above || isinf(above) ? above : sqrt(below * above);
}

double statistics_mean(double *values, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += values[i];
    return sum / n;
}

double statistics_interquartile_mean(double *values, int n)
{
    sort(values, n);
    return statistics_mean(values + n / 4, n - 2 * (n / 4));
}

double statistics_ratio(double x, double y)
{
    return isinf(x) && isinf(y) ? 1 : x / y;
}

enum descent_status statistics_bootstrap(const double *values, const int *sizes, int strata,
                                         double statistic(double *, int), uint64_t seed,
                                         struct statistics_interval *interval)
{
    int n = 0;
    for (int s = 0; s < strata; s++)
        n += sizes[s];
    double *drawn = malloc((size_t)(n + RESAMPLES) * sizeof *drawn), *results = drawn + n;
    if (!drawn)
        return descent_fail(DESCENT_OUT_OF_MEMORY, "out of memory");
    struct descent_random random = descent_random_new(seed, DESCENT_RANDOM_BOOTSTRAP, 0);
    for (int r = 0; r < RESAMPLES; r++) {
        for (int s = 0, first = 0; s < strata; first += sizes[s++])
            for (int i = 0; i < sizes[s]; i++)
                drawn[first + i] = values[first + (int)descent_random_below(&random, (uint64_t)sizes[s])];
        results[r] = statistic(drawn, n);
    }
    interval->low = statistics_quantile(results, RESAMPLES, 0.025);
    interval->high = statistics_quantile(results, RESAMPLES, 0.975);
    free(drawn);
    return DESCENT_OK;
}

void statistics_ranks(const double *values, int n, double *ranks)
{
    for (int i = 0; i < n; i++) {
        int less = 0, equal = 0;
        for (int j = 0; j < n; j++) {
            less += values[j] < values[i];
            equal += values[j] == values[i];
        }
        ranks[i] = less + (equal + 1) / 2.0;
    }
}

enum descent_status statistics_wilcoxon(const double *differences, int n, double *p)
{
    /* Ranks are halves at most, so twice the rank sum W+ is a whole number up to n (n + 1). */
    size_t sums = (size_t)n * ((size_t)n + 1) + 1;
    double *size = calloc(2 * (size_t)n + sums, sizeof *size), *rank = size + n, *chance = rank + n;
    if (!size)
        return descent_fail(DESCENT_OUT_OF_MEMORY, "out of memory");
    int pairs = 0;
    for (int i = 0; i < n; i++)
        if (differences[i] != 0)
            size[pairs++] = fabs(differences[i]);
    statistics_ranks(size, pairs, rank);

    size_t observed = 0, total = 0;
    chance[0] = 1;
    for (int i = 0, pair = 0; i < n; i++) {
        if (differences[i] == 0)
            continue;
        size_t twice = (size_t)(2 * rank[pair++]);
        observed += differences[i] > 0 ? twice : 0;
        total += twice;
        for (size_t s = total + 1; s-- > 0;) /* this rank counts with probability one half */
            chance[s] = (chance[s] + (s >= twice ? chance[s - twice] : 0)) / 2;
    }
    double below = 0, above = 0;
    for (size_t s = 0; s <= total; s++) {
        below += s <= observed ? chance[s] : 0;
        above += s >= observed ? chance[s] : 0;
    }
    *p = fmin(1, 2 * fmin(below, above));
    free(size);
    return DESCENT_OK;
}

double statistics_smallest_p(int n, int comparisons)
{
    return fmin(1, comparisons * ldexp(2, -n));
}

void statistics_holm(double *p, int n)
{
    /* Of the values not smaller than the i-th smallest, itself included, there are n - i: p_i times that,
     * and never less than the one before. A value once adjusted is marked by its sign. */
    double least = 0;
    for (int i = 0; i < n; i++) {
        int next = -1;
        for (int j = 0; j < n; j++)
            if (!signbit(p[j]) && (next < 0 || p[j] < p[next]))
                next = j;
        least = fmax(least, fmin(1, (n - i) * p[next]));
        p[next] = -least;
    }
    for (int i = 0; i < n; i++)
        p[i] = fabs(p[i]);
}

/* Chance that a chi-squared variable of so many degrees of freedom is larger than x: the regularized upper
 * incomplete gamma function Q(degrees / 2, x / 2), which for whole degrees is a finite sum (Abramowitz &
 * Stegun 26.4.4 and 26.4.5). */
static double chi_squared_tail(double x, int degrees)
{
    double half = x / 2, power = degrees % 2 ? 0.5 : 0;
    double term = degrees % 2 ? 2 * exp(-half) * sqrt(half / M_PI) : exp(-half);
    double tail = degrees % 2 ? erfc(sqrt(half)) : 0;
    for (; power < degrees / 2.0; power++) { /* term = e^-half half^power / Gamma(power + 1) */
        tail += term;
        term *= half / (power + 1);
    }
    return tail;
}

enum descent_status statistics_friedman(const double *values, int problems, int methods, double *mean_ranks,
                                        double *p)
{
    double *ranks = malloc((size_t)methods * sizeof *ranks);
    if (!ranks)
        return descent_fail(DESCENT_OUT_OF_MEMORY, "out of memory");
    for (int m = 0; m < methods; m++)
        mean_ranks[m] = 0;
    double center = (methods + 1) / 2.0, spread = 0, between = 0;
    for (int i = 0; i < problems; i++) {
        statistics_ranks(values + (size_t)i * (size_t)methods, methods, ranks);
        for (int m = 0; m < methods; m++) {
            mean_ranks[m] += ranks[m] / problems;
            spread += (ranks[m] - center) * (ranks[m] - center); /* less where there are ties */
        }
    }
    for (int m = 0; m < methods; m++)
        between += (mean_ranks[m] - center) * (mean_ranks[m] - center);
    *p = 1;
    if (spread > 0)
        *p = chi_squared_tail((methods - 1.0) * problems * problems * between / spread, methods - 1);
    free(ranks);
    return DESCENT_OK;
}

/* Chance that the range of k standard normal variables is at most q:
 * k times the integral of phi(z) (Phi(z) - Phi(z - q))^(k-1), by the trapezoidal rule, which converges
 * geometrically for such integrands. */
static double range_distribution(double q, int k)
{
    const double step = 0.05, bound = 9;
    double sum = 0;
    for (double z = -bound; z <= bound; z += step) {
        double inside = (erfc((z - q) * M_SQRT1_2) - erfc(z * M_SQRT1_2)) / 2;
        sum += exp(-z * z / 2) * pow(inside, k - 1);
    }
    return k * sum * step / sqrt(2 * M_PI);
}

double statistics_critical_difference(int problems, int methods)
{
    double low = 0, high = 20;
    for (int i = 0; i < 50; i++) { /* bisection to the last bits */
        double middle = (low + high) / 2;
        if (range_distribution(middle, methods) < 0.95)
            low = middle;
        else
            high = middle;
    }
    return low / M_SQRT2 * sqrt(methods * (methods + 1.0) / (6.0 * problems));
}

double statistics_profile(const double *ratios, int n, double tau)
{
    int solved = 0;
    for (int i = 0; i < n; i++)
        solved += ratios[i] <= tau;
    return (double)solved / n;
}

double statistics_profile_score(const double *ratios, int n, double limit)
{
    double area = 0; /* a problem counts from its ratio on */
    for (int i = 0; i < n; i++)
        area += fmax(0, limit - ratios[i]);
    return area / (limit - 1) / n;
}

double statistics_expected_best(double *values, int n, int k)
{
    /* The i-th smallest (from 1) is the largest of k with probability C(i-1, k-1) / C(n, k); from i = n,
     * where it is k / n, downwards: C(i-2, k-1) / C(i-1, k-1) = (i - k) / (i - 1). */
    sort(values, n);
    double expected = 0, chance = (double)k / n;
    for (int i = n; i >= k; i--) {
        expected += chance * values[i - 1];
        chance *= i > 1 ? (double)(i - k) / (i - 1) : 0;
    }
    return expected;
}
