/* How to write an optimizer. Not needed to use one: that is optim.h.
 *
 * An algorithm is one `const struct optim_algorithm OPTIM_ALGORITHM(name)` in a file under rules/ and its
 * name in a line of meson.build; help, parsing, range checks, lists, checkpoints and most tests follow from
 * the table. Its `step` is called once per optimizer step with every tensor it owns, so what concerns the
 * whole model is at hand. Files under rules/ are compiled once per instruction set, and in double for the
 * reference vectors: they compute scalars in double and elements in descent_real.
 *
 * An element-wise rule is a formula for one element (elementwise.h), a loop made of it, and a step that
 * computes the scalars:
 *
 *     OPTIM_INLINE descent_real rule(const descent_real *k, struct optim_element *e)
 *     {
 *         return k[0] * e->g;
 *     }
 *
 *     static void loop(struct optim_part *part)
 *     {
 *         optim_elementwise(part, 0, rule);
 *     }
 *
 *     static enum descent_status step(struct optim_run *run)
 *     {
 *         for (int i = 0; i < run->count; i++)
 *             run->tensor[i]->k[0] = (descent_real)run->tensor[i]->hyper[SCALE].number;
 *         optim_for_parts(run, loop);
 *         return DESCENT_OK;
 *     }
 *
 * In a C file of one's own the table is called OPTIM_EXPORT instead, has no `name` (it is called by its
 * path) and stands at the end:
 *
 *     OPTIM_EXPORT = {.summary = "...", .options = options, .option_count = ROWS, .step = step, ...};
 *
 * `train --optimizer ./myrule.c:lr=0.1` compiles and loads it; `train new optimizer myrule` writes one to
 * begin with. Such files are compiled for the machine they run on, with the flags of rules/, as float.
 *
 * A wrapper is such a table too, OPTIM_WRAPPER(name) in a file under wrappers/: its `step` calls
 * optim_inner for the step of what it wraps, and does its own before or after. It has tensors, slots and
 * hyperparameters of its own, and its run->step counts its own steps.
 */
#ifndef DESCENT_OPTIM_ALGORITHM_H
#define DESCENT_OPTIM_ALGORITHM_H

#include "base/interface.h"
#include "base/isa.h"
#include "optim/optim.h"

#include <math.h>

#define OPTIM_ALGORITHM(name) DESCENT_FOR_ISA(optim_##name)
#define OPTIM_WRAPPER(name)   DESCENT_FOR_ISA(optim_wrapper_##name)
#define OPTIM_EXPORT                                                                                       \
    DESCENT_EXPORT_INTERFACE(optim_export_interface);                                                      \
    extern const struct optim_algorithm optim_export;                                                      \
    const struct optim_algorithm optim_export

enum { OPTIM_CONSTANTS = 12, OPTIM_SUMS = 4 };

/* A parameter as an algorithm sees it. `hyper` are its group's hyperparameters, in the order of the
 * algorithm's options. The scalars are set by the driver before each step; a wrapper's are those of
 * gradients as they stand. */
struct optim_group;
struct optim_tensor {
    struct descent_param *param;     /* with a gradient; the driver counts its version */
    int index;                       /* its place among the optimizer's params */
    const struct optim_group *group; /* the driver's */
    const struct descent_value *hyper;
    descent_real *slot[OPTIM_SLOTS]; /* element-wise state, of param->size; NULL where not declared */

    int64_t step;      /* t: 1 in its first step; behind run->step where it had no gradient at times */
    double lr_scale;   /* of layer-wise learning rates */
    double lr;         /* scheduled and scaled; an algorithm may fold factors of its own into it */
    double grad_scale; /* clipping: the gradient is grad_scale * grad + l2 * value ... */
    double l2;         /* ... with coupled weight decay, 0 otherwise */
    double shrink;     /* decoupled: the value loses shrink * value beside the rule's step; 0 otherwise */
    double decay;      /* OPTIM_OWN_DECAY: for the rule to place; 0 where excluded */

    descent_real k[OPTIM_CONSTANTS]; /* what `step` computes for its rule */
    double sums[OPTIM_SUMS];         /* what optim_add_up found */
    enum descent_status status;      /* of a visit that may fail */
    void *own;                /* the algorithm's: what its init leaves here, such as an optim_state */
    descent_real *evaluation; /* for evaluation(): a copy of the values, to be replaced or left */
    const struct optim_tensor *inner; /* of a wrapper: the same parameter as the algorithm sees it, its
                                         scalars those of the last step; NULL in an algorithm */
};

struct optim_run {
    int64_t step; /* of the whole model, 1 in the first; a tensor's state began with its own first step */
    int count;
    struct optim_tensor **tensor;         /* those with a gradient */
    double gradient_norm;                 /* of all of them together, before clipping */
    int64_t total_steps, steps_per_epoch; /* as optim_schedule was told; 0 before */
    const struct optim_objective *objective;
    struct descent_pool *pool;
};

/* A duration in steps. An error if it is of epochs or percent and optim_schedule has not been called. */
enum descent_status optim_duration(const struct optim_run *run, const struct descent_value *value,
                                   int64_t *steps);

/* For a wrapper's `step`: the step of what it wraps. Gradients are read anew: a wrapper may have changed
 * them, or the values. Where they are not finite nothing has changed. After another failure - of the
 * objective, of a matrix that cannot be decomposed - a rule may have come half the way: its
 * state may have moved, and the values of other algorithms. Either way the wrapper puts back what it
 * changed itself. */
enum descent_status optim_inner(struct optim_run *run);

/* The objective's evaluate, for whoever has changed values: param->version says so first. */
enum descent_status optim_evaluate(struct optim_run *run, double *loss);

/* A piece of a tensor: elements begin .. end-1. Where `measure` is set, a step's last loop leaves the sum
 * of squared changes in `sum`, as optim_elementwise does; where `look` is, which only an algorithm in a
 * single pass sees, that of squared gradients in `gradient`. */
struct optim_part {
    struct optim_tensor *tensor;
    int64_t begin, end;
    bool measure, look;
    double sum, gradient;
    double sums[OPTIM_SUMS]; /* for optim_add_up */
};

/* Of all tensors: the slot becomes the values; and, for `evaluation`, what is evaluated the slot, of those
 * that have made a step. */
void optim_keep_values(struct optim_run *run, int slot);
void optim_evaluate_slot(struct optim_run *run, int slot);

/* Runs `loop` on pieces that cover all tensors, in parallel. They depend on the tensors' sizes alone. */
typedef void optim_loop(struct optim_part *part);
void optim_for_parts(struct optim_run *run, optim_loop *loop);

/* The same for a loop that leaves sums over its piece in part->sums (optim_sum_elements does): adds them
 * up for each tensor, in tensor->sums, in the order of the pieces. */
void optim_add_up(struct optim_run *run, optim_loop *loop);

/* For what cannot be cut in pieces: whole tensors, several in parallel. */
void optim_for_tensors(struct optim_run *run, void (*visit)(struct optim_tensor *tensor));

/* For `init`: zeroed state under a name ("step_size"), of one tensor or, with NULL, of the whole model.
 * Saved and restored; freed with the optimizer. NULL when out of memory. `shape` may be NULL where rank is
 * 0. */
void *optim_state(struct optim_run *run, struct optim_tensor *tensor, const char *name,
                  enum descent_dtype type, int rank, const int64_t *shape);

/* State of the tensor's own shape, as tensor->slot[slot]. What the table's `slots` does for all tensors. */
enum descent_status optim_slot(struct optim_run *run, struct optim_tensor *tensor, int slot,
                               const char *name);

/* For `init`: zeroed memory that is not saved; freed with the optimizer. NULL when out of memory. */
void *optim_scratch(struct optim_run *run, size_t bytes);

/* descent_real's own, for optim_state. */
#define OPTIM_REAL (sizeof(descent_real) == sizeof(float) ? DESCENT_F32 : DESCENT_F64)

/* An optimizer with an algorithm that is in no table and not registered, such as a test's. `spec` is as for
 * optim_new; its name is not looked at. */
struct optim *optim_new_from(const struct optim_algorithm *algorithm, const char *spec,
                             struct descent_param *params, int count);

/* Rows of hyperparameters that algorithms share. low, high: the published search range; both 0: not
 * searched. */
#define OPTIM_POSITIVE(name_, initial_, open_, low, high, help_)                                           \
    {                                                                                                      \
        .name = (name_), .type = DESCENT_OPTION_REAL, .initial = (initial_), .max = INFINITY,              \
        .open_min = (open_), .help = (help_), .search_min = (low), .search_max = (high),                   \
        .search_log = true                                                                                 \
    }
/* In [low, high], not searched. */
#define OPTIM_BETWEEN(name_, initial_, low, high, help_)                                                   \
    {                                                                                                      \
        .name = (name_), .type = DESCENT_OPTION_REAL, .initial = (initial_), .min = (low), .max = (high),  \
        .help = (help_)                                                                                    \
    }
#define OPTIM_FLAG(name_, initial_, help_)                                                                 \
    {                                                                                                      \
        .name = (name_), .type = DESCENT_OPTION_FLAG, .initial = (initial_), .help = (help_)               \
    }
#define OPTIM_LR(initial, low, high) OPTIM_POSITIVE("lr", initial, false, low, high, "learning rate")
#define OPTIM_EPS(initial)                                                                                 \
    OPTIM_POSITIVE("eps", initial, true, 0, 0, "added to the denominator, outside the root")
#define OPTIM_WEIGHT_DECAY(initial, low, high)                                                             \
    OPTIM_POSITIVE("weight_decay", initial, false, low, high,                                              \
                   "weight decay; not of biases and norm parameters, see decay_all")
#define OPTIM_DECAY_ALL OPTIM_FLAG("decay_all", "no", "decay biases and norm parameters too")
/* A decay rate of an average, in [0, 1). */
#define OPTIM_RATE(name_, initial_, low, high, help_)                                                      \
    {                                                                                                      \
        .name = (name_), .type = DESCENT_OPTION_REAL, .initial = (initial_), .max = 1, .open_max = true,   \
        .help = (help_), .search_min = (low), .search_max = (high), .search_log = true                     \
    }

#endif
