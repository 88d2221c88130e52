/* descent's side of the benchmark: times whole training steps on synthetic data already in memory. Not a
 * program for people: it answers the requests of training.py (side.h).
 *
 * - train NETWORK BATCH THREADS COUNT: seconds of COUNT steps (after one that is not timed), last loss
 * - sgemm SIZE THREADS COUNT: seconds of COUNT products of SIZE x SIZE matrices, on each thread at once
 * - flops NETWORK: of one sample's training step: forward, weight and input gradients
 *
 * Step: forward, backward into fresh gradients, SGD with momentum; each of several mini-batches in turn. */
#include "base/clock.h"
#include "base/linalg.h"
#include "base/memory.h"
#include "base/random.h"
#include "bench/side.h"
#include "models/models.h"
#include "optim/optim.h"

#include <stdio.h>
#include <string.h>

enum { CLASSES = 10, BATCHES = 8, MAX_SESSIONS = 16 };

/* The networks as both sides of the benchmark build them; networks.py is the other. */
static const struct {
    const char *name, *spec;
    struct nn_shape sample;
} networks[] = {
    {"mlp", "mlp:256/128", {1, 28, 28}},
    {"lenet5", "lenet5", {1, 28, 28}},
    {"cnn", "cnn", {1, 28, 28}},
    {"resnet20", "resnet20", {3, 32, 32}},
};
enum { NETWORKS = sizeof networks / sizeof networks[0] };

/* A network being trained; kept, warm, for the next request. */
struct session {
    int network, batch, threads;
    struct descent_pool *pool;
    nn_graph *graph;
    nn_node *x, *labels, *loss;
    nn_plan *plan;
    struct optim *optim;
    float *images;    /* BATCHES x batch x height x width x channels */
    int32_t *classes; /* BATCHES x batch */
    int steps;
};

static nn_node *build_graph(struct session *session)
{
    struct nn_shape s = networks[session->network].sample;
    session->graph = need(nn_graph_new(1));
    session->x = nn_input(session->graph, s.channels, s.height, s.width);
    session->labels = nn_labels(session->graph, CLASSES);
    nn_node *logits = need(model_build(networks[session->network].spec, session->x, CLASSES));
    session->loss = nn_softmax_cross_entropy(logits, session->labels);
    return logits;
}

static void open_session(struct session *session)
{
    struct nn_shape s = networks[session->network].sample;
    session->pool = need(descent_pool_new(session->threads));
    nn_node *logits = build_graph(session);
    session->plan = need(nn_compile(session->graph, .output = logits, .loss = session->loss,
                                    .batch = session->batch, .training = true, .pool = session->pool));
    int count;
    struct descent_param *params = nn_params(session->graph, &count);
    session->optim = need(optim_new("momentum:lr=0.01,momentum=0.9", params, count));
    optim_set_pool(session->optim, session->pool);
    optim_single_pass(session->optim, true);

    size_t samples = (size_t)BATCHES * (size_t)session->batch;
    session->images = noise(samples * (size_t)(s.channels * s.height * s.width));
    session->classes = need(descent_alloc(samples * sizeof *session->classes));
    struct descent_random random = descent_random_new(1, DESCENT_RANDOM_TEST, 0);
    for (size_t i = 0; i < samples; i++)
        session->classes[i] = (int32_t)descent_random_below(&random, CLASSES);
}

static struct session *find_session(int network, int batch, int threads)
{
    static struct session sessions[MAX_SESSIONS];
    static int count;
    for (int i = 0; i < count; i++)
        if (sessions[i].network == network && sessions[i].batch == batch && sessions[i].threads == threads)
            return &sessions[i];
    if (count == MAX_SESSIONS)
        return NULL;
    sessions[count] = (struct session){.network = network, .batch = batch, .threads = threads};
    open_session(&sessions[count]);
    return &sessions[count++];
}

static void step(struct session *session)
{
    struct nn_shape s = networks[session->network].sample;
    size_t first = (size_t)(session->steps++ % BATCHES) * (size_t)session->batch;
    nn_feed(session->plan, session->x, session->images + first * (size_t)(s.channels * s.height * s.width));
    nn_feed(session->plan, session->labels, session->classes + first);
    must(nn_forward(session->plan, session->batch));
    must(nn_backward(session->plan, .clear = true));
    must(optim_step(session->optim));
}

static void time_training(struct session *session, int count)
{
    step(session);
    double start = descent_seconds();
    for (int i = 0; i < count; i++)
        step(session);
    printf("%.9f %.9g\n", descent_seconds() - start, nn_loss(session->plan));
}

struct products {
    int size, count;
    float *a, *b, *c; /* c: one size x size matrix a chunk */
};

static void multiply(void *context, int chunk, int thread)
{
    (void)thread;
    struct products *p = context;
    float *c = p->c + (size_t)chunk * (size_t)p->size * (size_t)p->size;
    for (int i = 0; i < p->count; i++)
        descent_sgemm(false, false, p->size, p->size, p->size, 1, p->a, p->size, p->b, p->size, 0, c,
                      p->size);
}

static void time_sgemm(int size, int threads, int count)
{
    size_t elements = (size_t)size * (size_t)size;
    struct descent_pool *pool = need(descent_pool_new(threads));
    struct products products = {size, 1, noise(elements), noise(elements),
                                noise((size_t)threads * elements)};
    descent_pool_run(pool, threads, multiply, &products);
    products.count = count;
    double start = descent_seconds();
    descent_pool_run(pool, threads, multiply, &products);
    printf("%.9f\n", descent_seconds() - start);
    descent_free(products.a);
    descent_free(products.b);
    descent_free(products.c);
    descent_pool_free(pool);
}

/* Backward costs twice the forward, but the first layer that computes has no use for its input's gradient.
 */
static void count_flops(int network)
{
    struct session session = {.network = network};
    build_graph(&session);
    struct nn_layer_info layer;
    double all = 0, first = 0;
    for (int i = 0; nn_layer(session.graph, i, &layer); i++) {
        if (first == 0)
            first = layer.flops;
        all += layer.flops;
    }
    printf("%.0f\n", 3 * all - first);
    nn_graph_free(session.graph);
}

static int network_called(const char *name)
{
    for (int i = 0; i < NETWORKS; i++)
        if (strcmp(networks[i].name, name) == 0)
            return i;
    return -1;
}

/* False if the request makes no sense. */
static bool answer(const char *request)
{
    char name[32];
    int a, b, c;
    if (sscanf(request, "train %31s %d %d %d", name, &a, &b, &c) == 4) {
        int network = network_called(name);
        struct session *session = network >= 0 && a > 0 && b > 0 ? find_session(network, a, b) : NULL;
        if (!session || c < 1)
            return false;
        time_training(session, c);
    } else if (sscanf(request, "sgemm %d %d %d", &a, &b, &c) == 3 && a > 0 && b > 0 && c > 0) {
        time_sgemm(a, b, c);
    } else if (sscanf(request, "flops %31s", name) == 1 && network_called(name) >= 0) {
        count_flops(network_called(name));
    } else {
        return false;
    }
    return true;
}

int main(void)
{
    return serve("steps", answer);
}
