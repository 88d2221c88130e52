/* Optimizers: from the gradients of an array of parameters to their next values.
 *
 * CONVENTIONS. An optimizer, its hyperparameters and a learning-rate schedule are named by spec strings
 * (base/spec.h): "adamw:lr=3e-4,beta2=0.98", "cosine+warmup:5%". optim/ sees no network: anything that
 * fills param->grad can be trained, a plain array too. One step is, in this order: gradient norm, clipping,
 * weight decay (coupled: added to the gradient; decoupled: the value loses lr * weight_decay * value beside
 * the step), the algorithm's rule. Parameters whose `grad` is NULL are skipped altogether: the step does
 * not count as theirs, and one that comes late begins like any other. Biases and norm parameters are not
 * decayed unless decay_all=yes. Steps count from 0 completed; the first step uses the schedule at 0 and, in
 * formulas, t = 1. The same gradients give the same bits for any number of threads. Errors: base/status.h.
 * One thread at a time per optimizer. */
#ifndef DESCENT_OPTIM_OPTIM_H
#define DESCENT_OPTIM_OPTIM_H

#include "base/param.h"
#include "base/pool.h"
#include "base/safetensors.h"
#include "base/spec.h"
#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

struct optim;

/* An optimizer for `count` parameters, which must outlive it. Those that have a gradient now are its own;
 * others (frozen, buffers) it never touches. NULL on an unknown name or hyperparameter, and when out of
 * memory. */
struct optim *optim_new(const char *spec, struct descent_param *params, int count);
void optim_free(struct optim *optim);

/* Reads the gradients, updates values and state, adds 1 to each updated param->version. Does not clear
 * gradients. DESCENT_DIVERGED if a gradient is not finite: nothing has changed then, and the message names
 * the parameter. After another failure, of the objective or a rule, state and values may be half a step on:
 * to go on from there, restore both. */
enum descent_status optim_step(struct optim *optim);

/* A parameter group, of the parameters whose names match `pattern` (as file names do: "conv1.*"): other
 * hyperparameters ("lr=1e-4,weight_decay=0"), another algorithm ("lion:lr=1e-4"), or "freeze" (they are
 * left as they are). A later group takes over what it matches. Only before the first step. An override of
 * nothing, or a pattern that matches nothing, is an error. */
enum descent_status optim_group(struct optim *optim, const char *pattern, const char *overrides);

/* Layer-wise learning rates: those of a layer's parameters are multiplied by factor^(layers after it). A
 * layer is what comes before the last dot of names, in order of appearance. Only before the first step;
 * 0 < factor <= 1. For fine-tuning; Clark et al. 2020, arXiv:2003.10555. */
enum descent_status optim_layer_decay(struct optim *optim, double factor);

/* The learning rate of each step, as a function of the steps done ("constant" until this is called): from
 * each group's own lr to a run's end. A schedule that cycles momentum (one_cycle, cyclic) sets the
 * hyperparameter momentum, or else beta1, where it is above 0. total_steps: length of the whole run, what
 * percentages refer to; steps_per_epoch: for durations like 2ep. Both at least 1. May be called at any
 * time; keeps the step count. */
enum descent_status optim_schedule(struct optim *optim, const char *spec, int64_t total_steps,
                                   int64_t steps_per_epoch);

/* Whether the schedule (plateau) waits for reports; and a report: a value that should fall, such as the
 * loss on validation data. Other schedules ignore it. What has been learned from reports is part of the
 * state. */
bool optim_follows_reports(const struct optim *optim);
void optim_report(struct optim *optim, double value);

/* Scales all gradients by min(1, max_norm / (norm + 1e-6)), norm being global, as PyTorch's clip_grad_norm_
 * does, without writing to them. 0: off, as at first. */
enum descent_status optim_clip(struct optim *optim, double max_norm);

/* Whether a gradient that is not finite skips the step, which then changes nothing and succeeds, instead of
 * failing; first off. And how many steps were skipped so; they do not count as steps. */
void optim_skip_not_finite(struct optim *optim, bool on);
int64_t optim_skipped(const struct optim *optim);

/* Whether to look at gradients - their norm, and whether all are finite - in the very pass over memory that
 * makes the step, instead of before; first off. It saves reading them twice, up to a fifth of a step that
 * waits for memory. A gradient that is not finite then still fails the step, but has spoiled values and
 * state by the time it is found: for runs that end there. The norm's last digits may differ. Without effect
 * where all gradients must be known before the first value changes: clipping, skipping, wrappers, and
 * algorithms that are not marked `single_pass`. */
void optim_single_pass(struct optim *optim, bool on);

/* Threads to use; NULL, as at first: the caller's alone. The pool stays the caller's. */
void optim_set_pool(struct optim *optim, struct descent_pool *pool);

/* Sets every group's learning rate, which a schedule then scales. Not negative, finite. */
enum descent_status optim_set_lr(struct optim *optim, double lr);

int64_t optim_steps(const struct optim *optim); /* completed */

/* Calls of optim_step that make a step: more than 1 where a wrapper accumulates gradients. */
int64_t optim_calls_per_step(const struct optim *optim);

/* The learning rate of a step: the last one's (before the first: the first one's), and the one's that
 * follows `steps` completed ones. Of the parameters in no group. */
double optim_lr(const struct optim *optim);
double optim_lr_at(const struct optim *optim, int64_t steps);

/* Of the last step: Euclidean norm of all gradients together, before clipping. */
double optim_gradient_norm(const struct optim *optim);

/* Measure the length of each step of the algorithm (without what wraps it), ||new values - old values||, in
 * the same pass over memory. First off. */
void optim_measure(struct optim *optim, bool on);
double optim_update_norm(const struct optim *optim); /* of the last step that was measured */

/* --- Weights to evaluate with. --- */

/* Whether what is evaluated and saved should be other values than those trained: an average (asgd, dog,
 * ema, swa) or Schedule-Free's point. Running statistics of a network must then be computed anew with them.
 */
bool optim_has_evaluation(const struct optim *optim);

/* Puts the values to evaluate with in the parameters' place; and puts back, bit for bit, those being
 * trained (a step fails in between). Nothing where there are none. May allocate, the first time. */
enum descent_status optim_evaluation_begin(struct optim *optim);
void optim_evaluation_end(struct optim *optim);

/* The hyperparameters of the parameters in no group, defaults written out: "adamw:lr=0.001,beta1=0.9,...".
 * Belongs to the optimizer; NULL when out of memory. */
const char *optim_spec(struct optim *optim);

/* What must be saved, beside the parameters, to go on as if never stopped: tensors "adam.m/conv1.weight"
 * for each state of each parameter, "adam.step" (int64, rank 0), what the algorithm keeps for the whole
 * model, and where parameters had no gradient in some steps, in how many: "adam.missed". Names and data
 * belong to the optimizer; data changes with every step. */
int optim_state_count(const struct optim *optim);
struct descent_tensor optim_state_get(const struct optim *optim, int i);

/* Restores what optim_state_get gave, from tensors in any order, by name: each state of this optimizer must
 * be there with its type and shape (but for "adam.missed"), and nothing else of this algorithm, or it is
 * DESCENT_MISMATCH and nothing has changed. Tensors of other names (a model's weights in the same file) are
 * ignored. */
enum descent_status optim_state_load(struct optim *optim, const struct descent_tensor *tensors, int count);

/* --- What there is: for help, lists, cards and search spaces. --- */

/* The difficulty of gradient descent that an algorithm answers. */
#define OPTIM_DIFFICULTY_LIST(X)                                                                           \
    X(NOISE, "noise", "gradients of mini-batches are noisy")                                               \
    X(RAVINES, "ravines", "the loss is steep in some directions and flat in others")                       \
    X(SADDLES, "saddles", "the gradient vanishes far from a minimum")                                      \
    X(SCALES, "differing scales", "parameters want different learning rates")                              \
    X(LAYERS, "layer scale", "layers want different learning rates, large batches above all")              \
    X(CURVATURE, "curvature", "the best direction is not the gradient's")                                  \
    X(MEMORY, "memory", "the optimizer's state does not fit")                                              \
    X(TUNING, "tuning", "the learning rate must be guessed")

enum optim_difficulty {
#define X(name, title, text) OPTIM_##name,
    OPTIM_DIFFICULTY_LIST(X)
#undef X
        OPTIM_DIFFICULTIES,
};

/* "differing scales", "parameters want different learning rates". */
const char *optim_difficulty_title(enum optim_difficulty difficulty);
const char *optim_difficulty_text(enum optim_difficulty difficulty);

/* How weight decay enters: added to the gradient (L2), shrinking the value by itself, or placed by the
 * rule. */
enum optim_decay { OPTIM_COUPLED, OPTIM_DECOUPLED, OPTIM_OWN_DECAY };

enum { OPTIM_SLOTS = 6 };

/* An algorithm, or a wrapper: what follows a "+" in a spec (adamw:lr=1e-3+lookahead:k=5) and works around
 * any algorithm. How to write one: optim/algorithm.h.
 * `formula` is lines of text, printed as they stand; where libraries differ it says which form this is.
 * `options` are its hyperparameters, lr first; for those whose maximum is an open 1 (decay rates) a
 * logarithmic search range is meant in 1 - value. `slots` names its state tensors of each parameter's
 * shape, zero at first: {"m", "v"}. Parameters that it does not take (`takes`; all if NULL) are stepped by
 * the algorithm `fallback`, whose hyperparameters are its defaults, except those that this one has under
 * the same name behind the fallback's ("adamw_lr"), and weight_decay and decay_all, which they share. */
struct optim_run;
struct optim_algorithm {
    const char *name;    /* "adamw" */
    const char *summary; /* one line: "Adam with decoupled weight decay" */
    enum optim_difficulty answers;
    const char *paper; /* "Loshchilov & Hutter 2017, arXiv:1711.05101" */
    const char *formula;
    const struct descent_option *options;
    int option_count;
    enum optim_decay decay;
    unsigned needs;   /* of the objective, besides gradients: OPTIM_NEEDS_... or'ed */
    bool wraps;       /* a wrapper; has no lr */
    bool outermost;   /* a wrapper that nothing else may wrap: it steps once for as many calls of optim_step
                         as its first option says */
    bool single_pass; /* its step is one optim_elementwise for each part, and wants nothing of the gradients
                         before: see optim_single_pass */
    bool unscheduled; /* sets the length of its steps itself, or was made to do without a schedule: meant to
                         run at a constant rate */
    const char *slots[OPTIM_SLOTS];
    const char *fallback;

    bool (*takes)(const struct descent_param *param);
    enum descent_status (*check)(const struct descent_value *values); /* all together; or NULL */
    enum descent_status (*init)(struct optim_run *run);               /* declares more state; or NULL */
    enum descent_status (*step)(struct optim_run *run);
    void (*evaluation)(struct optim_run *run); /* fills tensor->evaluation of each tensor; or NULL */
    /* Of a wrapper: why it cannot be around this algorithm, NULL where it can; or NULL. */
    const char *(*refuses)(const struct optim_algorithm *inner);
};

/* All of them, in order of increasing complexity, then those registered; by name, or NULL with a message
 * that names the nearest; an optimizer's; and the one that steps params[i], NULL where none does. */
const struct optim_algorithm *const *optim_algorithms(int *count);
const struct optim_algorithm *optim_find(const char *name);
const struct optim_algorithm *optim_algorithm(const struct optim *optim);
const struct optim_algorithm *optim_algorithm_of(const struct optim *optim, int i);

/* Adds an algorithm or a wrapper, which must outlive its use; while no other thread looks for one.
 * DESCENT_BAD_ARGUMENT names what is missing or wrong in it, DESCENT_EXISTS a name that is taken. */
enum descent_status optim_register(const struct optim_algorithm *algorithm);

/* All wrappers; by name, as above. */
const struct optim_algorithm *const *optim_wrappers(int *count);
const struct optim_algorithm *optim_find_wrapper(const char *name);

/* A part of a schedule's spec. Schedules proper multiply: one after a "+" takes for its lr what stands
 * before it (exponential:0.9+step:30%). A wrap changes what stands before it (cosine+warmup:5%). A join
 * ends what stands before it and begins what follows, each with a count of steps of its own
 * (constant+then:80%+cosine). How to write one: optim/schedule.h. */
enum optim_schedule_role { OPTIM_SCHEDULE, OPTIM_SCHEDULE_WRAP, OPTIM_SCHEDULE_JOIN };

enum { OPTIM_SCHEDULE_MEMORY = 5 };

/* What a part of a schedule is asked: the learning rate (or momentum) that follows `step` completed steps
 * of `total`, where that of the optimizer, or of the part before it, is `base`. `values` are the part's
 * options, durations in steps; of one whose open minimum is 0, at least 1. */
struct optim_schedule_at {
    const struct descent_value *values;
    const double *memory; /* of a part with `report` */
    double base;
    int64_t step, total; /* step is not negative, may be beyond total; total may be 0 or less after a long
                            warm-up */
};

struct optim_schedule_kind {
    const char *name;    /* "cosine" */
    const char *summary; /* "half a cosine from lr down to min at the end of the run" */
    const char *paper, *formula;
    const struct descent_option *options;
    int option_count;
    enum optim_schedule_role role;
    double (*rate)(const struct optim_schedule_at *at);     /* not for a join */
    double (*momentum)(const struct optim_schedule_at *at); /* NULL: left as it is */
    /* Of one that follows optim_report: `memory` is OPTIM_SCHEDULE_MEMORY numbers, 0 at first. */
    void (*report)(const struct descent_value *values, double *memory, double value);
    int64_t (*delay)(
        const struct descent_value *values); /* wrap: steps that what it wraps waits; or NULL */
    enum descent_status (*check)(const struct optim_schedule_at *at); /* options all together; or NULL */
    bool sweeps; /* its rates are none of the optimizer's: what has a learning rate of its own - a group
                    that gives one, or names an algorithm; a fallback - keeps that, unscheduled */
};

const struct optim_schedule_kind *const *optim_schedule_kinds(int *count);

/* Adds a part of a schedule, not a join, which must outlive its use; while no other thread looks for one.
 * A function of one's own - PyTorch's LambdaLR - is `rate` alone, and composes like any other:
 *
 *     static double rate(const struct optim_schedule_at *at)
 *     {
 *         return at->base / (1 + at->step / 1000);
 *     }
 *     static const struct optim_schedule_kind mine = {.name = "mine", .summary = "...", .rate = rate};
 *     ...
 *     optim_schedule_register(&mine);
 *     optim_schedule(optim, "mine+warmup:5%", total, per_epoch);
 *
 * DESCENT_BAD_ARGUMENT names what is missing or wrong in it, DESCENT_EXISTS a name that is taken. */
enum descent_status optim_schedule_register(const struct optim_schedule_kind *kind);

/* --- More than a gradient. --- */

/* What an algorithm may ask for during a step, in the order of optim_objective's functions. */
#define OPTIM_NEEDS_LIST(X)                                                                                \
    X(LOSS, loss)                                                                                          \
    X(EVALUATE, evaluate)                                                                                  \
    X(HESSIAN_VECTOR, hessian_vector)                                                                      \
    X(GAUSS_NEWTON_VECTOR, gauss_newton_vector)                                                            \
    X(SAMPLED_GRADIENT, sampled_gradient)                                                                  \
    X(LAYER_FACTORS, layer_factors)

enum { /* OPTIM_NEEDS_EVALUATE, ... */
#define X(name, function) OPTIM_HAS_##name,
       OPTIM_NEEDS_LIST(X)
#undef X
#define X(name, function) OPTIM_NEEDS_##name = 1 << OPTIM_HAS_##name,
           OPTIM_NEEDS_LIST(X)
#undef X
};

/* A layer y = W a, or y = W a + b where `a` ends with a 1: places among the optimizer's params, bias -1 if
 * there is none; and how many rows the factors have. */
struct optim_layer {
    int weight, bias;
    int64_t inputs, outputs; /* inputs counts the 1 */
};

/* What more is known about the function to minimize; each function NULL where the caller cannot serve it.
 * All concern this step's whole objective: the same mini-batch, the same dropout masks. Vectors are arrays
 * of pointers, one for each of the optimizer's params in their order, up to the last that has a gradient;
 * NULL, where one has none, stands for zeros.
 * "At the current values" means those in param->value at the time of the call. Functions that return no
 * gradient leave param->grad as it was. */
struct optim_objective {
    void *context; /* the first argument of all */
    /* *loss that belongs to the gradients which optim_step was called with. Costs nothing. */
    enum descent_status (*loss)(void *context, double *loss);
    /* Loss and gradients at the current values. Gradients are overwritten. */
    enum descent_status (*evaluate)(void *context, double *loss);
    /* product = H v, H the Hessian at the current values. */
    enum descent_status (*hessian_vector)(void *context, const descent_real *const *v,
                                          descent_real *const *product);
    /* product = G v, G = J^T L J the generalized Gauss-Newton matrix at the current values: J the Jacobian
     * of the network's outputs, L the Hessian of the loss in them, averaged over the batch. */
    enum descent_status (*gauss_newton_vector)(void *context, const descent_real *const *v,
                                               descent_real *const *product);
    /* Gradients are overwritten by those of the loss on labels drawn from the model's own predictions;
     * *batch is the number of samples that they are means over. */
    enum descent_status (*sampled_gradient)(void *context, double *batch);
    /* Layer `i` of those with Kronecker factors, counted from 0: DESCENT_NOT_FOUND past the last. With a
     * and s not NULL also A = E[a a^T] (inputs x inputs) and S = E[g g^T] (outputs x outputs) of the
     * samples of this mini-batch, g being the derivative of a sample's own loss on labels drawn from the
     * model's predictions; in convolutions both are summed over positions, and A divided by their number.
     */
    enum descent_status (*layer_factors)(void *context, int i, struct optim_layer *layer, descent_real *a,
                                         descent_real *s);
};

/* `objective` must outlive the optimizer or the next call. Without what the algorithm needs, optim_step
 * fails with DESCENT_NOT_FOUND and names it. */
void optim_set_objective(struct optim *optim, const struct optim_objective *objective);

/* What the optimizer's algorithms and wrappers need, or'ed. */
unsigned optim_needs(const struct optim *optim);

#endif
