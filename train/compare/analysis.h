/* What the runs of a comparison say: read from its directory, from nothing else. The protocol and the
 * reasons for it are in docs/comparison.md.
 *
 * Times are to a target: an accuracy on the validation part. A run that missed it, or diverged, took
 * infinitely long; a run that is not there yet has NAN and counts nowhere. A run that diverged ends at
 * accuracy 0. */
#ifndef DESCENT_TRAIN_COMPARE_ANALYSIS_H
#define DESCENT_TRAIN_COMPARE_ANALYSIS_H

#include "train/compare/plan.h"
#include "train/compare/record.h"
#include "train/compare/space.h"
#include "train/compare/statistics.h"

enum { COMPARISON_TARGETS = 3, COMPARISON_PRIMARY = 1, COMPARISON_LEAGUES = 2, COMPARISON_CHECKS = 2 };

/* The share of its budget after which the target is what the best reference has reached. */
extern const double comparison_shares[COMPARISON_TARGETS];

enum comparison_clock { CLOCK_STEPS, CLOCK_EPOCHS, CLOCK_GRADIENTS, CLOCK_SECONDS /* of CPU */, CLOCKS };

enum comparison_verdict { NOT_DISTINGUISHABLE, SOONER, LATER };

/* One optimizer's times over the reference's, seed by seed. */
struct comparison_effect {
    int pairs;
    double ratio; /* their median; NAN without pairs */
    struct statistics_interval interval;
    enum comparison_verdict verdict;
    double
        smallest_p; /* that could be, after Holm's correction for all optimizers of this task and league */
    double p;       /* Wilcoxon's on the logarithms, so corrected; NAN where smallest_p is above 5 % */
};

struct comparison_summary {
    int count; /* 0: all else is NAN */
    double median, quartile[2], interquartile_mean;
    struct statistics_interval interval; /* of the interquartile mean; NAN for times */
};

/* Of accuracies at the end: one optimizer's less another's, the median over paired seeds. */
struct comparison_difference {
    int pairs; /* 0: all else is NAN */
    double median;
    struct statistics_interval interval;
};

struct comparison_final {
    struct record record;
    double time[COMPARISON_TARGETS][CLOCKS];
};

/* An optimizer in a league on a task. */
struct comparison_result {
    struct comparison_final *final; /* one a seed */
    const char *settings;           /* the spec of these runs; NULL: not chosen yet */
    int done, diverged;             /* of the final runs; the others are missing */
    bool lost; /* all trials diverged: there are no final runs, and each counts as diverged */
    struct comparison_summary validation, test; /* accuracies at the end */
    struct comparison_summary time[COMPARISON_TARGETS][CLOCKS];
    int reached[COMPARISON_TARGETS];
    struct comparison_effect steps[COMPARISON_TARGETS],
        seconds[COMPARISON_TARGETS];             /* none of the reference */
    struct comparison_difference over_reference; /* on the test part; none of the reference */
    double step_milliseconds;                    /* CPU time, the median over runs */
    double state_bytes_per_parameter;            /* NAN: no run yet */
};

/* The trials of an optimizer on a task. */
struct comparison_tuning {
    struct space space;
    struct record *trial;              /* plan.budget */
    double (*place)[SPACE_DIMENSIONS]; /* of each in the space, 0 .. 1 */
    double *lr;                        /* of each; NAN where it is not tuned */
    int finished, diverged;
    int best;                    /* -1: none is done */
    bool edge[SPACE_DIMENSIONS]; /* the best has the largest or smallest lr of all trials, or another value
                                    in the outer 5 % of its range */
    double basin;     /* decades of lr around the best in which every trial has at most 5/4 of its error */
    double *expected; /* expected[k - 1]: best final accuracy of k trials; `finished` of them */
};

/* "Tuned `better` must not lose to tuned `worse`": else the budget was too small. */
struct comparison_check {
    int better, worse; /* entries; -1: not both are in the plan */
    bool failed;
    struct comparison_effect steps;        /* of `better` over `worse`, to the primary target */
    struct comparison_difference accuracy; /* on the validation part, better - worse */
};

struct comparison_task {
    const char *data[2];               /* digests that its runs found; the second NULL: always the same */
    double target[COMPARISON_TARGETS]; /* NAN: not known yet, or half of the setter's runs diverged */
    int setter;                        /* the entry they come from */
    struct comparison_result *result[COMPARISON_LEAGUES]; /* of each entry; NULL: not played */
    struct comparison_tuning *tuning;                     /* of each entry; NULL: no tuned league */
    struct comparison_check check[COMPARISON_CHECKS];
};

/* An optimizer in a league over all tasks. */
struct comparison_overall {
    int problems; /* pairs of task and seed */
    double
        *slowdown; /* its steps to the primary target over those of the fastest optimizer on that problem */
    double score;  /* the mean of the performance profile over tau in [1, 4] */
    double mean_rank;               /* of the median steps; NAN with one task alone */
    struct comparison_effect steps; /* pooled over tasks; without p */
};

struct comparison {
    struct plan plan;
    struct comparison_task *task;
    struct comparison_overall *overall[COMPARISON_LEAGUES]; /* of each entry; NULL: not played */
    int ranked[COMPARISON_LEAGUES];                         /* tasks behind the mean ranks */
    double friedman_p[COMPARISON_LEAGUES];                  /* NAN with one task alone */
    double critical_difference[COMPARISON_LEAGUES];         /* of mean ranks; NAN with one task alone */
    int runs, finished, test_reads;
    const char *build[2];        /* of descent that made the runs; the second NULL: always the same */
    struct descent_arena *arena; /* of all the above but the records */
};

/* Reads OUT/comparison.json and all runs. *comparison is to be freed in any case. */
enum descent_status comparison_read(const char *out, struct comparison *comparison);
void comparison_free(struct comparison *comparison);

/* "SOONER": "sooner"; the third is "not distinguishable". */
const char *comparison_verdict_text(enum comparison_verdict verdict);

/* Names of the hyperparameters whose best value lies on the edge of its range: "lr beta1". Returns text. */
enum { COMPARISON_EDGES = 512 };
const char *comparison_edges(const struct comparison_tuning *tuning, char text[COMPARISON_EDGES]);

/* In place of a task. */
enum { COMPARISON_ALL_TASKS = -1 };

/* Entries of a league on a task, the best first: those that reached the primary target by their median
 * steps to it, then by accuracy. Over all tasks: by their mean rank, or else their profile's score. order:
 * plan.entry_count numbers. */
void comparison_rank(const struct comparison *comparison, int league, int task, int *order);

#endif
