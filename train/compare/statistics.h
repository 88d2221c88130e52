/* The statistics of a comparison: small samples, doubles, no state. Times may be +infinity (a target that
 * was missed); no value may be NaN. A value is meant to be the larger the better, a time the smaller. */
#ifndef DESCENT_TRAIN_COMPARE_STATISTICS_H
#define DESCENT_TRAIN_COMPARE_STATISTICS_H

#include "base/status.h"

#include <stdint.h>

/* These sort `values` where they are; n > 0. Quantiles interpolate linearly (type 7 of Hyndman & Fan 1996,
 * as in NumPy); the interquartile mean leaves out n / 4 values, rounded down, at either end (as in
 * rliable). */
double statistics_quantile(double *values, int n, double q);
double statistics_median(double *values, int n);
double statistics_median_ratio(double *values, int n); /* of ratios: between two, their geometric mean */
double statistics_mean(double *values, int n);
double statistics_interquartile_mean(double *values, int n);

/* x / y of two times: 1 where both are infinite (neither reached the target: no difference was seen). */
double statistics_ratio(double x, double y);

struct statistics_interval {
    double low, high;
};

/* 95 % percentile bootstrap interval (Efron 1979) of a statistic of the values of one or more strata
 * (sizes[0] values, then sizes[1], ...), each resampled by itself, as rliable resamples the runs of each
 * task. Of paired data, give the ratios or differences: pairs are then drawn together.
 * DESCENT_OUT_OF_MEMORY is the only failure. */
enum descent_status statistics_bootstrap(const double *values, const int *sizes, int strata,
                                         double statistic(double *, int), uint64_t seed,
                                         struct statistics_interval *interval);

/* 1, 2, ... from the smallest; ties share the mean of their ranks. */
void statistics_ranks(const double *values, int n, double *ranks);

/* Two-sided p of Wilcoxon's signed-rank test, exact with ties too (all 2^n signs of these ranks); zeros are
 * left out, and p is 1 when nothing remains. DESCENT_OUT_OF_MEMORY is the only failure. */
enum descent_status statistics_wilcoxon(const double *differences, int n, double *p);

/* The smallest p which Wilcoxon's test of n pairs can give after Holm's correction for so many comparisons.
 */
double statistics_smallest_p(int n, int comparisons);

/* Holm's step-down adjustment (1979) of n p-values, in place. */
void statistics_holm(double *p, int n);

/* Friedman's test, corrected for ties, of `methods` methods on `problems` problems; values: problems x
 * methods. mean_ranks, of `methods`: 1 for the method that has the smallest value everywhere. The p is that
 * of the chi-squared distribution; 1 if all values of every problem are equal. DESCENT_OUT_OF_MEMORY is the
 * only failure. */
enum descent_status statistics_friedman(const double *values, int problems, int methods, double *mean_ranks,
                                        double *p);

/* Nemenyi's critical difference of mean ranks at 5 % (Demsar, JMLR 7, 2006). */
double statistics_critical_difference(int problems, int methods);

/* AlgoPerf's performance profile (Dahl et al. 2023, section 4.5): the share of problems solved within tau
 * times the time of the fastest method, and its mean over tau from 1 to `limit`. ratios: of the method's
 * time to the fastest one of each problem, infinity where it missed the target. */
double statistics_profile(const double *ratios, int n, double tau);
double statistics_profile_score(const double *ratios, int n, double limit);

/* Mean of the largest of k values drawn from n without replacement, 1 <= k <= n (Dodge et al. 2019 draw
 * with replacement, which promises less than n trials gave). Sorts `values`. */
double statistics_expected_best(double *values, int n, int k);

#endif
