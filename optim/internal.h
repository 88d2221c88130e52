/* What the files of the driver share; neither users nor algorithms see it. */
#ifndef DESCENT_OPTIM_INTERNAL_H
#define DESCENT_OPTIM_INTERNAL_H

#include "base/memory.h"
#include "optim/algorithm.h"
#include "optim/schedule.h"
#include "optim_list.h"

/* What is compiled once per instruction set (table.c). */
struct optim_table {
    const struct optim_algorithm *const *algorithm;
    int count;
    optim_loop *sum_squares; /* of the gradient, into part->sum */
};

/* Hyperparameters of some of the tensors. */
struct optim_group {
    struct descent_value *hyper; /* as the user set them */
    struct descent_value
        *live; /* with this step's momentum; what the tensors see. lr is not scheduled here */
    struct optim_group *next;
};

struct optim_state {
    struct descent_tensor tensor;
    void *data; /* tensor.data, to be written; owned, except the step count's */
};

struct optim {
    struct optim_run run; /* first: an algorithm's run is its optimizer */
    const struct optim_algorithm *algorithm;
    const struct optim_table *table;
    struct descent_arena *arena; /* whatever lives as long as this, except state */
    int count;
    struct optim_tensor *tensor;       /* of the parameters with a gradient when this was made */
    int weight_decay, decay_all;       /* their places among the hyperparameters, or -1 */
    int momentum;                      /* momentum, or else beta1: what schedules cycle; or -1 */
    struct optim_group *base, *groups; /* of the spec itself; all, newest first */

    struct optim_part *part; /* this step's work: chunk i is part[first[i]] .. part[first[i + 1] - 1] */
    int chunks, first[DESCENT_MAX_CHUNKS + 1];

    struct optim_state *state; /* state[0] is the step count */
    int state_count, state_capacity;

    struct optim_schedule *schedule; /* or NULL */
    double *schedule_memory;         /* state; NULL unless a schedule has wanted it */
    double max_norm, update_norm;
    bool measure;
};

/* The copy for this CPU. */
const struct optim_table *optim_find_table(void);

/* Declares all state anew, zeroed (state.c). */
enum descent_status optim_declare_state(struct optim *optim);
void optim_free_state(struct optim *optim);

/* Gives the schedule a memory, zeroed, if it wants one. */
enum descent_status optim_declare_memory(struct optim *optim, struct optim_schedule *schedule);

#endif
