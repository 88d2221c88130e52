/* The graph's inside, shared by graph.c and plan.c. */
#ifndef DESCENT_NN_GRAPH_H
#define DESCENT_NN_GRAPH_H

#include "nn/op.h"

struct nn_param_init {
    const char *init;
    int64_t fan_in, fan_out;
    bool frozen;
};

struct nn_graph {
    struct descent_arena *arena;
    uint64_t seed;
    nn_node **node;
    int node_count, node_room;
    struct descent_param *param;
    struct nn_param_init *init;
    int param_count, param_room;
    float *memory; /* values, then gradients, of all parameters; NULL until the first compile */
    size_t gradient_offset, gradient_count; /* floats */
    enum descent_status status;             /* of the first failure */
    const char *message;
};

/* Allocates and initializes the parameters, once. `output` tells which are those of the last layer. */
enum descent_status nn_graph_seal(nn_graph *graph, const nn_node *output);

#endif
