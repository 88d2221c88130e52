/* What an operator is, to the graph and to the plan. Not public: included by nn/ and its tests only.
 *
 * An operator is one const struct nn_op, exported by its file as NN_OP(name) and listed in nn/meson.build.
 * Files of operators are compiled once per instruction set; nn_op_find returns the row for the CPU at hand.
 */
#ifndef DESCENT_NN_OP_H
#define DESCENT_NN_OP_H

#include "base/isa.h"
#include "base/memory.h"
#include "base/pool.h"
#include "base/random.h"
#include "nn/nn.h"

#include <math.h>
#include <string.h>

enum { NN_MAX_PARAMS = 4 };

struct nn_node {
    nn_graph *graph;
    const struct nn_op *op;
    const char *name;
    struct nn_shape shape;
    int index; /* in order of creation: inputs come before their users */
    bool poisoned;
    int input_count;
    nn_node *input[NN_MAX_INPUTS];
    int param_count;
    int param[NN_MAX_PARAMS]; /* indices into the graph's parameters */
    void *options;            /* a copy; the shape rule fills in defaults */
};

/* What a forward or backward call sees. Pointers hold n samples, NHWC. */
struct nn_call {
    const nn_node *node;
    const void *options;
    int n, batch;        /* samples in this call, and at most */
    struct nn_shape in;  /* of x[0] */
    struct nn_shape out; /* of y */
    const float *x[NN_MAX_INPUTS];
    float *y;
    float *dy;                /* backward may overwrite it: nobody reads it afterwards */
    float *dx[NN_MAX_INPUTS]; /* NULL where no gradient is wanted */
    bool add[NN_MAX_INPUTS];  /* dx[i] += ..., not = (only for operators that declare adds_dx) */
    struct descent_param *param[NN_MAX_PARAMS]; /* grad NULL: frozen. Gradients are added to grad ... */
    bool add_grad[NN_MAX_PARAMS]; /* ... or, where false, overwrite it (only if the operator declares
                                     writes_grad) */
    void *saved;                  /* from forward to backward */
    void *packed;                 /* what pack made of the parameters */
    void *workspace;              /* during this call */
    bool training;
    bool relu; /* fused: y = max(0, y), and dy arrives unmasked */
    bool hold_statistics;
    int64_t statistics_pass; /* above 0: running statistics become the mean over so many passes */
    uint64_t seed, step;
    struct descent_pool *pool;
};

/* Bytes an operator wants from the plan, for at most `batch` samples and `threads` threads. */
struct nn_needs {
    size_t saved, packed, forward, backward; /* the last two: workspace of each call */
};

struct nn_op {
    const char *name;
    size_t options_size, name_offset;
    size_t share_offset; /* of `nn_node *share` in the options; 0: parameters cannot be shared */
    int inputs; /* the options begin with that many node pointers; 0 with `variadic`: up to NN_MAX_INPUTS,
                   NULL ends them */
    bool variadic;
    /* Checks input shapes and options, fills in defaults, sets node->shape, declares parameters. On bad
     * input: nn_fail. */
    void (*shape)(nn_node *node);
    void (*plan)(const nn_node *node, int batch, bool training, int threads,
                 struct nn_needs *needs); /* NULL: nothing */
    void (*pack)(const struct nn_call
                     *call); /* fills call->packed whenever a parameter changed; NULL: nothing to pack */
    void (*forward)(const struct nn_call *call);
    void (*backward)(const struct nn_call *call);
    double (*flops)(const nn_node *node); /* of one sample's forward; NULL: one per element of y */
    /* Of an operator that is W a + b at each position of its output: fills in kernel, stride, padding and
     * dilation where they are not a dense layer's; false if this node is none, as grouped convolutions are.
     * NULL: none is. */
    bool (*linear)(const nn_node *node, struct nn_linear_layer *layer);
    unsigned reads_x;           /* bit i: backward reads x[i] */
    bool reads_y;               /* backward reads y */
    unsigned in_place;          /* bit i: forward may write y over x[i] (equal size) */
    unsigned backward_in_place; /* bit i: backward may write dx[i] over dy (equal size) */
    bool (*view)(
        const nn_node *node); /* y has the bytes of x[0], so they may share memory: forward and backward
                                 then see y == x[0], dx[0] == dy and have nothing to do; NULL: never */
    bool fuses_relu;          /* honors call->relu; backward then reads y */
    bool adds_dx;             /* honors call->add */
    bool writes_grad;         /* honors call->add_grad */
    unsigned takes_labels;    /* bit i: x[i] may be nn_labels */
    bool integer;             /* values are int32 and have no gradient */
    /* A random small valid instance, for the gradient check: odd sizes, every option. NULL: not by itself
     * (inputs). */
    nn_node *(*sample)(nn_graph *graph, struct descent_random *random);
};

#define NN_OP(name) DESCENT_FOR_ISA(nn_op_##name)

/* The operator of that name for this CPU, or NULL. */
const struct nn_op *nn_op_find(const char *name);
const struct nn_op *nn_op_at(int i); /* NULL past the end */

/* Poisons the node; keeps the graph's first message: "conv2d 'stem': " and what is given. */
void nn_fail(nn_node *node, const char *format, ...) __attribute__((format(printf, 2, 3)));

struct nn_param_spec {
    const char *name; /* "weight": the parameter is "<layer>.weight" */
    enum descent_param_kind kind;
    int rank;
    int64_t shape[DESCENT_MAX_RANK];
    const char *init; /* what the user asked for, or NULL */
    const char *default_init;
    int64_t fan_in, fan_out; /* 0: from the shape */
};
/* Declares the node's next parameter (node->param[0], [1], ...). */
void nn_add_param(nn_node *node, const struct nn_param_spec *spec);

/* Fills `value` by an initializer spec; the numbers are a function of (seed, parameter's name, element). */
enum descent_status nn_initialize(struct descent_param *param, const char *init, int64_t fan_in,
                                  int64_t fan_out, uint64_t seed);
enum descent_status nn_initializer_check(const char *init);

/* Runs chunk 0 .. chunks-1 on the plan's pool. `thread` picks scratch memory, never a result. */
typedef void nn_chunk_function(const struct nn_call *call, int chunk, int chunks, int thread);
void nn_run_chunks(const struct nn_call *call, int chunks, nn_chunk_function *function);

/* sum[i] += the chunks' partial sums in chunk order; partial: chunks x size. */
void nn_add_partials(const struct nn_call *call, const float *partial, int chunks, int64_t size,
                     float *sum);

/* Numbers of a sample: at most NN_MAX_SIZE in a node that is not poisoned. */
static inline int64_t nn_size(struct nn_shape shape)
{
    return (int64_t)shape.channels * shape.height * shape.width;
}

#define NN_MAX_SIZE (INT64_C(1) << 40)

/* Whether a shape of positive sides is within that. */
static inline bool nn_size_fits(struct nn_shape shape)
{
    int64_t size;
    return !__builtin_mul_overflow((int64_t)shape.channels * shape.height, shape.width, &size) &&
           size <= NN_MAX_SIZE;
}

static inline int64_t nn_space(struct nn_shape shape)
{
    return (int64_t)shape.height * shape.width;
}

static inline bool nn_same_shape(struct nn_shape a, struct nn_shape b)
{
    return a.channels == b.channels && a.height == b.height && a.width == b.width;
}

/* The shape rule of operators whose output looks like their (first) input. */
static inline void nn_shape_of_input(nn_node *node)
{
    node->shape = node->input[0]->shape;
}

/* Element-wise operators cut the elements of y: into how many chunks, and which elements are a chunk's. */
static inline int nn_element_chunks(const struct nn_call *call)
{
    return descent_chunk_count(call->n * nn_size(call->out), 16384);
}

static inline void nn_chunk_elements(const struct nn_call *call, int chunk, int chunks, int64_t *begin,
                                     int64_t *end)
{
    descent_chunk_range(call->n * nn_size(call->out), chunks, chunk, begin, end);
}

/* Others cut the samples, into as many chunks as the elements deserve. */
static inline int nn_sample_chunks(const struct nn_call *call)
{
    int chunks = descent_chunk_count(call->n * nn_size(call->in), 16384);
    return chunks < call->n ? chunks : call->n;
}

/* Two draws never stand in one expression or initializer list: C leaves their order to the compiler, and
 * another one would test other shapes. */
static inline int nn_random_between(struct descent_random *random, int low, int high)
{
    return low + (int)descent_random_below(random, (uint64_t)(high - low + 1));
}

/* What most samples begin with: an image of odd size. */
static inline nn_node *nn_sample_input(nn_graph *graph, struct descent_random *random)
{
    int channels = nn_random_between(random, 1, 9), height = nn_random_between(random, 1, 5);
    return nn_input(graph, channels, height, nn_random_between(random, 1, 5));
}

#endif
