/* Comparisons without training: run directories as `train compare` leaves them, whose accuracy follows a
 * curve that a test chooses. */
#ifndef DESCENT_TESTS_TRAIN_COMPARE_RUNS_H
#define DESCENT_TESTS_TRAIN_COMPARE_RUNS_H

#include "train/compare/plan.h"
#include "train/compare/record.h"
#include "train/compare/space.h"

#include "base/file.h"
#include "base/memory.h"

#include "tests/scratch.h"
#include "tests/test.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MADE_STEPS = 1000, MADE_PARAMETERS = 500 };

struct made_run {
    double rise; /* accuracy is top * (1 - 2^(-step / rise)), or top * step / rise if `straight` */
    double top;
    bool straight;
    bool missing;     /* the run has no end */
    double pace;      /* CPU seconds a step; 0: 0.01 */
    int diverges_at;  /* after so many points; 0: never */
    double test;      /* accuracy on the test part */
    const char *spec; /* NULL: what the plan says */
};

static inline double made_accuracy(const struct made_run *run, double step)
{
    return run->top * (run->straight ? step / run->rise : 1 - exp2(-step / run->rise));
}

/* Of a tuned run the best trial's, which must have been made before. */
static inline void made_spec(const struct plan *plan, const struct plan_run *which, const char *out,
                             char spec[SPEC_LENGTH])
{
    struct record trial[PLAN_TRIALS];
    struct plan_run run = *which;
    char path[PLAN_PATH];
    if (which->kind == PLAN_TUNED_RUN) {
        run.kind = PLAN_TRIAL_RUN;
        for (run.index = 0; run.index < plan->budget; run.index++)
            assert_int_equal(record_read(plan_path(plan, &run, out, path), &trial[run.index]), DESCENT_OK);
        run.index = record_best(trial, plan->budget);
        for (int i = 0; i < plan->budget; i++)
            record_free(&trial[i]);
    }
    assert_int_equal(plan_spec(plan, run.index < 0 ? which : &run, spec, SPEC_LENGTH), DESCENT_OK);
}

static inline void make_run(const struct plan *plan, const struct plan_run *which, const char *out,
                            const struct made_run *run)
{
    char path[PLAN_PATH], file[PLAN_PATH + 32], spec[SPEC_LENGTH];
    assert_int_equal(descent_make_directories(plan_path(plan, which, out, path)), DESCENT_OK);
    if (run->spec)
        snprintf(spec, sizeof spec, "%s", run->spec);
    else
        made_spec(plan, which, out, spec);
    snprintf(file, sizeof file, "%s/run.json", path);
    FILE *stream = fopen(file, "w");
    assert_non_null(stream);
    fprintf(stream,
            "{\"steps\": %d, \"steps_per_epoch\": 500, \"model\": {\"trained_parameters\": %d}, "
            "\"optimizer\": {\"spec\": \"%s\", \"state_bytes\": %d}}\n",
            MADE_STEPS, MADE_PARAMETERS, spec, 8 * MADE_PARAMETERS);
    assert_int_equal(fclose(stream), 0);

    snprintf(file, sizeof file, "%s/metrics.jsonl", path);
    stream = fopen(file, "w");
    assert_non_null(stream);
    int points = run->diverges_at ? run->diverges_at : plan->points;
    for (int i = 1; i <= points; i++) {
        double step = (double)MADE_STEPS * i / plan->points, accuracy = made_accuracy(run, step),
               pace = run->pace > 0 ? run->pace : 0.01;
        fprintf(
            stream,
            "{\"event\": \"evaluation\", \"step\": %.0f, \"epoch\": %.17g, \"gradient_evaluations\": %.0f, "
            "\"seconds\": %.17g, \"cpu_seconds\": %.17g, \"validation_loss\": %.17g, "
            "\"validation_accuracy\": %.17g}\n",
            step, step / 500, step, 2 * pace * step, pace * step, 2 - accuracy, accuracy);
    }
    bool tested = which->kind != PLAN_TRIAL_RUN && !run->diverges_at;
    char test[32] = "null";
    if (tested)
        snprintf(test, sizeof test, "%.17g", run->test);
    if (!run->missing)
        fprintf(
            stream,
            "{\"event\": \"end\", \"outcome\": \"%s\", \"steps\": %d, \"seconds\": 20, \"cpu_seconds\": "
            "10, "
            "\"gradient_evaluations\": %d, \"test_reads\": %d, \"test_loss\": %s, \"test_accuracy\": %s}\n",
            run->diverges_at ? "diverged" : "done", MADE_STEPS, MADE_STEPS, tested, tested ? "1" : "null",
            test);
    assert_int_equal(fclose(stream), 0);
}

/* Writes OUT/comparison.json and all runs, as `make` says. */
static inline void make_comparison(const struct plan *unnamed, const char *out,
                                   struct made_run make(const struct plan *plan,
                                                        const struct plan_run *run))
{
    struct descent_arena *arena = descent_arena_new();
    struct plan named = *unnamed, *plan = &named;
    assert_non_null(arena);
    assert_int_equal(plan_complete(plan, arena), DESCENT_OK);
    assert_int_equal(descent_make_directories(out), DESCENT_OK);
    assert_int_equal(plan_write(plan, out), DESCENT_OK);
    for (int i = 0; i < plan_runs(plan); i++) {
        struct plan_run which = plan_run(plan, i);
        struct made_run run = make(plan, &which);
        make_run(plan, &which, out, &run);
    }
    descent_arena_free(arena);
}

#endif
