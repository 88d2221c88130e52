/* A plan's inside, shared by plan.c (what runs, which buffers), layout.c (where they lie) and run.c
 * (running it). */
#ifndef DESCENT_NN_PLAN_H
#define DESCENT_NN_PLAN_H

#include "nn/graph.h"

enum { NN_NONE = -1, NN_FOREVER = 1 << 30 };

/* Memory that is alive from time `first` to time `last`. Of F forward steps, step s runs at time s, the
 * loss gradient is written at time F, and step s runs backward at time 2F - s. */
struct nn_buffer {
    size_t bytes;
    int first, last;
    bool external; /* the user's memory, by nn_feed */
    size_t row;    /* bytes a sample; 0 for buffers that are not a row a sample */
    size_t offset;
    char *memory;
};

/* One operator call, forward and backward. `node` gives options and parameters, `out` names the value it
 * makes: they differ when the plan fused a node with its only reader. Buffers are indices, or NN_NONE. */
struct nn_step {
    const struct nn_op *op;
    nn_node *node, *out;
    int input_count;
    nn_node *input[NN_MAX_INPUTS];
    bool relu, has_backward, view;
    int x[NN_MAX_INPUTS], y;
    int dx[NN_MAX_INPUTS], dy;
    int scratch[NN_MAX_INPUTS]; /* where dx goes first when it must be added and the operator cannot add */
    bool add[NN_MAX_INPUTS];
    bool first[NN_MAX_PARAMS]; /* no step runs backward earlier that has this parameter too */
    int linear;                /* its place among the linear layers (nn_linear_layer), or NN_NONE */
    int saved, packed, forward_workspace, backward_workspace;
    uint64_t version[NN_MAX_PARAMS]; /* of the parameters when they were packed */
    struct nn_call call;
};

struct nn_plan {
    nn_graph *graph;
    int node_count; /* of the graph when it was compiled: later nodes are not this plan's */
    struct nn_compile_options options;
    struct nn_step *step;
    int step_count;
    struct nn_buffer *buffer;
    int buffer_count, buffer_room;
    int *value;    /* buffer of each node's value by node index, or NN_NONE */
    int *gradient; /* likewise */
    bool *reached; /* by parameter index: whether backward leads to it */
    char *memory;
    size_t bytes;
    uint64_t next_step;
    bool hold_statistics;
    int64_t statistics_pass, backward_passes;
    int n; /* samples of the last forward; 0: none yet */
    double loss;
};

/* Gives every internal buffer an offset such that buffers alive at the same time do not overlap; returns
 * the bytes needed. */
size_t nn_layout(struct nn_buffer *buffer, int count, bool reuse);

#endif
