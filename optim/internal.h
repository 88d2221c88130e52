/* What the files of the driver share; neither users nor algorithms see it. */
#ifndef DESCENT_OPTIM_INTERNAL_H
#define DESCENT_OPTIM_INTERNAL_H

#include "base/memory.h"
#include "optim/algorithm.h"
#include "optim/schedule.h"
#include "optim_list.h"

/* What is compiled once per instruction set (table.c). */
struct optim_table {
    const struct optim_algorithm *const *algorithm, *const *wrapper;
    int count, wrapper_count;
    optim_loop *sum_squares; /* into part->gradient */
};

/* Hyperparameters of some of a level's tensors. */
struct optim_group {
    struct optim_level *level;
    struct descent_value *hyper; /* as the user set them */
    struct descent_value
        *live; /* with this step's momentum; what the tensors see. lr is not scheduled here */
    struct optim_group *fallback; /* for tensors that the level's algorithm does not take; or NULL */
    bool is_fallback;
    bool own_rate;            /* lr is not that of the parameters in no group */
    struct optim_group *next; /* of all, newest first */
};

/* An algorithm with the tensors that it steps, or a wrapper with all of them. */
struct optim_level {
    struct optim_run run; /* first: an algorithm's run is its level */
    struct optim *optim;
    const struct optim_algorithm *algorithm;
    struct optim_level *next;    /* of an algorithm: another one. Of a wrapper: what it wraps, NULL: the
                                    algorithms */
    int weight_decay, decay_all; /* their places among the hyperparameters, or -1 */
    int momentum;                /* momentum, or else beta1: what schedules cycle; or -1 */
    struct optim_group *group;   /* a wrapper's hyperparameters */
    int count;
    struct optim_tensor *tensor; /* room for all */
    struct optim_part *part;     /* this step's work: chunk i is part[first[i]] .. part[first[i + 1] - 1] */
    int chunks, first[DESCENT_MAX_CHUNKS + 1];
};

/* A parameter with a gradient when the optimizer was made. */
struct optim_owned {
    struct descent_param *param;
    int index;                 /* among the params that the caller gave */
    struct optim_group *group; /* NULL: frozen */
    double lr_scale;
    descent_real
        *spare; /* while evaluation weights are in its place, the values; NULL before the first time */
};

struct optim_state {
    struct descent_tensor tensor;
    void *data; /* tensor.data, to be written; owned, except step counts */
    bool borrowed;
};

struct optim {
    const struct optim_table *table;
    struct descent_arena *arena; /* whatever lives as long as this, except state */
    int count;
    struct optim_owned *owned;
    struct optim_level *base;    /* the algorithm of the spec, and after it those of groups and fallbacks */
    struct optim_level *wrapper; /* the outermost, NULL: none */
    struct optim_group *base_group, *groups; /* of the spec itself; all */

    struct optim_state *state;
    int state_count, state_capacity;
    struct optim_state missed; /* int64: steps in which each of the caller's params had no gradient. Saved
                                  only where one is not 0 */

    struct descent_pool *pool;
    const struct optim_objective *objective;
    struct optim_schedule *schedule; /* or NULL */
    double *schedule_memory;         /* state; NULL unless a schedule has wanted it */
    double max_norm, gradient_norm, update_norm;
    int64_t total_steps, steps_per_epoch, skipped;
    bool measure, skips, single_pass, evaluating;
    bool not_finite; /* that is why this step failed: of the gradients, before anything changed */
};

/* The level after `level` of the same kind: for (level = first; level; level = level->next). */
#define FOR_EACH_LEVEL(level, first) for (struct optim_level *level = (first); level; level = level->next)

/* The copy for this CPU. */
const struct optim_table *optim_find_table(void);

/* Declares all state anew, zeroed (state.c), but for that of steps that the first `count` of the caller's
 * params have missed: that is declared once, under the name of the spec's algorithm. */
enum descent_status optim_declare_state(struct optim *optim);
enum descent_status optim_declare_missed(struct optim *optim, const char *name, int count);
void optim_free_state(struct optim *optim);

/* Gives the schedule a memory, zeroed, if it wants one. */
enum descent_status optim_declare_memory(struct optim *optim, struct optim_schedule *schedule);

/* Who steps which parameter: the algorithm and the wrappers of a spec, for the parameters that have a
 * gradient (groups.c). */
enum descent_status optim_assign(struct optim *optim, const struct optim_algorithm *algorithm,
                                 const struct descent_spec *spec, struct descent_param *params, int count);

#endif
