/* One training run: what to do (a config), what happens meanwhile (an observer) and what came out (a
 * result). It knows neither the command line nor the display, so that whoever wants a run, a subcommand or
 * a comparison, calls train_run. */
#ifndef DESCENT_TRAIN_RUN_H
#define DESCENT_TRAIN_RUN_H

#include "base/status.h"
#include "data/data.h"
#include "nn/nn.h"
#include "optim/optim.h"

#include <stdbool.h>
#include <stdint.h>

enum { TRAIN_GROUPS = 16 };

struct train_config {
    const char *data;                         /* what data_open takes */
    const struct data_set *set;               /* that, already open; stays the caller's. NULL: open it */
    bool skip_bad;                            /* leave out images that cannot be decoded */
    const char *model, *optimizer, *schedule; /* spec strings */
    const char *augment;                      /* of training images: a spec, or NULL */
    const char *weights;                      /* a .safetensors file to start from, or NULL */
    const char *freeze;                       /* a shell pattern on parameter names, or NULL */
    const char *out;                          /* the run directory to make; NULL: none */
    bool number_out;                          /* make out-1, or out-2 if that is taken, ... */
    bool force;                               /* overwrite a run in `out` */
    int epochs;
    int steps;       /* end after so many instead; 0: epochs decide */
    bool train_only; /* nothing is evaluated and no model saved */
    bool no_test;    /* the test part is never read; needs a validation part, unless train_only */
    bool no_model;   /* no model is saved */
    int evaluations; /* of the held-out part, equally many steps apart, the last at the end; 0: one after
                        each epoch alone */
    int batch;       /* samples an optimizer step; 0: the whole training set */
    int micro_batch; /* samples a forward pass; 0: batch, or 256 when that is the whole training set */
    int eval_batch;  /* samples a forward pass of evaluation */
    bool drop_last;  /* leave out an epoch's last batch where it is short */
    enum data_order order;           /* of an epoch's samples */
    int workers;                     /* threads that prepare batches ahead; 0: none */
    double validation;               /* fraction of the training set; 0: none */
    uint64_t split_seed;             /* of which samples that is; 0: `seed` */
    double clip;                     /* global gradient norm; 0: off */
    const char *group[TRAIN_GROUPS]; /* "PATTERN:OVERRIDES", see optim_group; NULL after the last */
    double layer_decay;              /* see optim_layer_decay; 1: none */
    bool skip_not_finite;            /* skip steps whose gradient is not finite instead of failing */
    double label_smoothing;          /* of the training loss, not of the evaluated one */
    uint64_t seed;
    int threads;
    int log_every;  /* steps between "step" events */
    int trajectory; /* points of the weights' path to keep in the run directory; 0: none */
};

/* What is known before the first step. */
struct train_start {
    const struct train_config *config;
    const struct data_info *data;
    int64_t train_count, validation_count, test_count;
    int64_t steps, steps_per_epoch;
    int epochs;             /* begun, the last maybe not complete */
    int batch, micro_batch; /* as resolved: samples an optimizer step, samples a pass */
    nn_graph *graph;
    int layers;            /* nn_layer(graph, 0 .. layers - 1) is the model; after them, labels and loss */
    size_t train_bytes;    /* of the training plan's activations */
    bool batch_statistics; /* some layer normalizes by the batch */
    const bool *loaded;    /* a flag for each of nn_params(graph): came from `weights`; NULL: none given */
    int frozen;            /* parameters that `freeze` matched */
    struct optim *optim;
    const char *out; /* the run directory, NULL: none */
};

struct train_step {
    int64_t step; /* 1 .. steps */
    int epoch;    /* 1 .. epochs */
    double loss;  /* of this step's batch, as trained: with dropout and label smoothing */
    double lr, grad_norm;
    double update_norm;                /* NAN on steps that are not logged */
    double epoch_loss, epoch_accuracy; /* means over the epoch so far */
    double images_per_second;          /* of training, over the epoch so far */
};

struct train_score {
    double loss;
    /* The fraction of samples whose class is right; where targets are numbers, R^2: the fraction of their
     * squared distances from the training set's mean that predicting them takes away. */
    double accuracy;
};

/* Between epochs or at their ends: see train_config's evaluations. */
struct train_evaluation {
    int64_t step;
    double epoch;                /* begun ones, as far as they have come: 0.25 */
    double gradient_evaluations; /* see train_result */
    double seconds, cpu_seconds; /* of training, evaluations excluded, so far */
    bool validated;              /* as in train_epoch */
    struct train_score held_out;
};

struct train_epoch {
    int epoch;
    int64_t step;
    struct train_score train; /* from the training passes themselves */
    bool validated;           /* `held_out` is of the validation part, else of the test part */
    struct train_score held_out;
    double seconds; /* of training, evaluation excluded */
    double images_per_second;
};

enum train_outcome { TRAIN_DONE, TRAIN_INTERRUPTED, TRAIN_DIVERGED };

struct train_result {
    enum train_outcome outcome;
    int64_t steps;
    int64_t skipped;             /* of them, those whose gradient was not finite */
    int epochs;                  /* complete ones */
    double seconds;              /* of training, evaluation excluded */
    double cpu_seconds;          /* likewise, of CPU time */
    double gradient_evaluations; /* backward passes over a step's samples: one a step, and those that the
                                    optimizer asked for besides */
    int test_reads;              /* passes over the test part */
    struct train_score test;     /* NAN if diverged or never read */
};

/* Each may be NULL. They run on the caller's thread, between steps. */
struct train_observer {
    void *context;
    void (*started)(void *context, const struct train_start *start);
    void (*stepped)(void *context, const struct train_step *step);
    void (*evaluated)(void *context, const struct train_evaluation *evaluation);
    void (*epoch_ended)(void *context, const struct train_epoch *epoch);
    void (*ended)(void *context, const struct train_result *result);
    bool (*wants_stop)(void *context); /* asked after every step and epoch; true: TRAIN_INTERRUPTED */
};

/* Sets the schedule for so many batches. Its steps are the optimizer's: fewer than batches where it
 * accumulates gradients. */
enum descent_status train_schedule(struct optim *optim, const char *spec, int64_t batches,
                                   int64_t batches_per_epoch);

/* Trains from beginning to end and fills *result. DESCENT_BAD_ARGUMENT: something in the config cannot be
 * used. DESCENT_DIVERGED: a loss or gradient is not finite; the message names step and layer, and
 * everything up to there is in the run directory. */
enum descent_status train_run(const struct train_config *config, const struct train_observer *observer,
                              struct train_result *result);

#endif
