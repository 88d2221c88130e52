/* The objective that serves optimizers more than a gradient (optim/optim.h), over a network: this step's
 * mini-batch, in as many passes as the training loop made of it, with the same dropout masks; running
 * statistics are those of the training pass. It knows neither optimizers nor data sets. */
#ifndef DESCENT_TRAIN_OBJECTIVE_H
#define DESCENT_TRAIN_OBJECTIVE_H

#include "nn/nn.h"
#include "optim/optim.h"

/* How the loss of a sample follows from the network's output: what the curvature of the loss is, and what
 * labels the model predicts. */
enum objective_loss {
    OBJECTIVE_SOFTMAX, /* nn_softmax_cross_entropy; label smoothing and soft targets do not matter */
    OBJECTIVE_SQUARED, /* nn_mean_squared_error */
};

struct objective_options {
    nn_graph *graph;
    nn_plan *plan; /* for training; keeps `output` */
    const nn_node *output;
    enum objective_loss loss;
    int batch;                 /* of the plan */
    uint64_t seed;             /* of the labels that are drawn */
    unsigned needs;            /* OPTIM_NEEDS_...: what there must be memory for */
    struct descent_pool *pool; /* NULL: the calling thread; never changes a bit */
    /* Feeds the plan with pass 0, 1, ... of this step again, in this order; *n: its samples. */
    enum descent_status (*feed)(void *context, int pass, int *n);
    void *context;
};

struct objective;

/* NULL when out of memory. Plan and graph must outlive it. */
struct objective *objective_new(const struct objective_options *options);
void objective_free(struct objective *objective);

/* What optim_set_objective takes; belongs to the objective.
 *
 * Accuracy: loss, evaluate, sampled_gradient and layer_factors are those of the network. hessian_vector is
 * a central difference of gradients, gauss_newton_vector of outputs (the rest of it is exact): they step by
 * 0.5 % of the norm of the parameters along v, which leaves a relative error of about 1e-3 where the
 * network is smooth, and averages over the kinks of ReLUs where it is not. */
const struct optim_objective *objective_served(struct objective *objective);

/* Before the first pass of a step; and after its last: how many passes and samples it had, and the mean
 * loss. */
void objective_begin(struct objective *objective);
void objective_end(struct objective *objective, int passes, int64_t samples, double loss);

#endif
