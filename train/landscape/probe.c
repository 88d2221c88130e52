/* See probe.h. */
#include "train/landscape/probe.h"

#include "train/objective.h"

#include <math.h>
#include <stdlib.h>

/* Images a pass. Batch statistics need many, evaluation is fastest where activations stay in the cache. */
enum { TRAIN_BATCH = 128, EVAL_BATCH = 32 };

struct probe {
    struct network network;
    nn_plan *eval_plan, *train_plan; /* the latter NULL where nothing needs it */
    struct data_loader *part[PROBE_PARTS], *statistics, *curvature;
    struct descent_param *param;
    int count;
    bool has_statistics;
    struct objective *objective;
};

/* ---- Making one ---- */

static struct data_loader *new_loader(const struct data_view *view, int batch, bool drop_last)
{
    return data_loader_new(view,
                           &(struct data_loader_options){
                               .batch = batch, .order = DATA_IN_ORDER, .drop_last = drop_last, .seed = 1});
}

static enum descent_status make_loaders(struct probe *probe, const struct probe_options *options)
{
    for (int i = 0; i < PROBE_PARTS && options->part[i]; i++)
        if (!(probe->part[i] = new_loader(options->part[i], EVAL_BATCH, false)))
            return DESCENT_OUT_OF_MEMORY;
    bool whole = data_view_count(options->statistics) >= TRAIN_BATCH;
    probe->statistics = new_loader(options->statistics, TRAIN_BATCH, whole);
    if (options->curvature)
        probe->curvature = new_loader(options->part[0], TRAIN_BATCH, false);
    return probe->statistics && (probe->curvature || !options->curvature) ? DESCENT_OK
                                                                          : DESCENT_OUT_OF_MEMORY;
}

static nn_plan *compile(const struct probe *probe, const struct probe_options *options, bool training)
{
    return nn_compile(probe->network.graph, .output = probe->network.output, .loss = probe->network.loss,
                      .batch = training ? TRAIN_BATCH : EVAL_BATCH, .training = training,
                      .pool = options->pool);
}

/* Batch `pass` of what curvature is measured on; passes come in order. */
static enum descent_status feed_part(void *context, int pass, int *n)
{
    struct probe *probe = context;
    struct data_batch batch;
    if (pass == 0)
        data_loader_start(probe->curvature, 0);
    *n = data_loader_next(probe->curvature, &batch);
    if (*n <= 0)
        return DESCENT_IO_ERROR;
    network_feed(&probe->network, probe->train_plan, &batch);
    return DESCENT_OK;
}

static enum descent_status make_network(struct probe *probe, const struct probe_options *options)
{
    enum descent_status status = reopened_build(options->run, &probe->network);
    if (status != DESCENT_OK)
        return status;
    probe->eval_plan = compile(probe, options, false);
    if (!probe->eval_plan)
        return descent_fail_in(DESCENT_BAD_ARGUMENT, "%s", options->run->path);
    probe->param = nn_params(probe->network.graph, &probe->count);
    for (int i = 0; i < probe->count; i++)
        probe->has_statistics |= probe->param[i].kind == DESCENT_BUFFER;
    if (probe->has_statistics || options->curvature)
        probe->train_plan = compile(probe, options, true);
    if (!probe->train_plan && (probe->has_statistics || options->curvature))
        return DESCENT_OUT_OF_MEMORY;
    if (options->curvature)
        probe->objective = objective_new(&(struct objective_options){
            .graph = probe->network.graph,
            .plan = probe->train_plan,
            .output = probe->network.output,
            .loss = probe->network.targets ? OBJECTIVE_SQUARED : OBJECTIVE_SOFTMAX,
            .batch = TRAIN_BATCH,
            .needs = OPTIM_NEEDS_HESSIAN_VECTOR,
            .pool = options->pool,
            .feed = feed_part,
            .context = probe});
    if (options->curvature && !probe->objective)
        return DESCENT_OUT_OF_MEMORY;
    return DESCENT_OK;
}

enum descent_status probe_new(const struct probe_options *options, struct probe **out)
{
    struct probe *probe = calloc(1, sizeof *probe);
    *out = NULL;
    if (!probe)
        return descent_fail(DESCENT_OUT_OF_MEMORY, "out of memory");
    enum descent_status status = make_loaders(probe, options);
    if (status == DESCENT_OK)
        status = make_network(probe, options);
    if (status != DESCENT_OK) {
        probe_free(probe);
        return status;
    }
    *out = probe;
    return DESCENT_OK;
}

void probe_free(struct probe *probe)
{
    if (!probe)
        return;
    objective_free(probe->objective);
    nn_plan_free(probe->eval_plan);
    nn_plan_free(probe->train_plan);
    nn_graph_free(probe->network.graph);
    for (int i = 0; i < PROBE_PARTS; i++)
        data_loader_free(probe->part[i]);
    data_loader_free(probe->statistics);
    data_loader_free(probe->curvature);
    free(probe);
}

void probe_end(void *probe)
{
    probe_free(probe);
}

struct descent_param *probe_params(struct probe *probe, int *count)
{
    *count = probe->count;
    return probe->param;
}

enum descent_status probe_load(struct probe *probe, const struct reopened *run)
{
    return reopened_load(run, probe->network.graph);
}

bool probe_has_statistics(const struct probe *probe)
{
    return probe->has_statistics;
}

/* ---- Measuring ---- */

enum descent_status probe_score(struct probe *probe, struct train_score score[PROBE_PARTS])
{
    enum descent_status status = DESCENT_OK;
    if (probe->has_statistics) {
        nn_set_step(probe->train_plan, 0);
        status = network_average_statistics(&probe->network, probe->train_plan, probe->statistics);
    }
    for (int i = 0; i < PROBE_PARTS && probe->part[i] && status == DESCENT_OK; i++) {
        status = network_evaluate(&probe->network, probe->eval_plan, probe->part[i], &score[i]);
        score[i].loss = isnan(score[i].loss) ? INFINITY : score[i].loss;
        score[i].accuracy = isnan(score[i].accuracy) ? -INFINITY : score[i].accuracy;
    }
    return status;
}

enum descent_status probe_sharpness(struct probe *probe, struct sharpness *sharpness)
{
    const double tolerance = 2e-3;
    int passes = (int)data_loader_batches(probe->curvature);
    int64_t samples = 0;
    nn_set_step(probe->train_plan, 0);
    objective_begin(probe->objective);
    for (int pass = 0, n; pass < passes; pass++, samples += n) {
        enum descent_status status = feed_part(probe, pass, &n);
        if (status != DESCENT_OK)
            return status;
    }
    objective_end(probe->objective, passes, samples, 0);
    return sharpness_find(objective_served(probe->objective), probe->param, probe->count, tolerance,
                          sharpness);
}
