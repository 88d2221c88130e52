/* The training loop; see run.h. */
#include "train/run.h"

#include "base/clock.h"
#include "train/network.h"
#include "train/objective.h"
#include "train/rundir.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FULL_BATCH_MICRO = 256 }; /* samples a pass when a step sees the whole training set */

struct run {
    const struct train_config *config;
    const struct train_observer *observer;
    struct train_result *result;
    struct train_start start;

    struct descent_pool *pool;
    struct data_set *opened; /* by this run, or NULL */
    const struct data_set *set;
    struct data_view *train, *validation, *test; /* the last two: NULL if there is no such part */
    struct data_loader *train_loader, *validation_loader, *test_loader;
    struct network network; /* with labels and targets both where images are mixed */
    nn_plan *train_plan, *eval_plan;
    struct optim *optim;
    struct objective *objective;      /* where the optimizer needs more than gradients, or NULL ... */
    struct data_loader *again_loader; /* ... which reads a step's passes again, if it has several */
    struct {
        int epoch, passes, samples; /* samples: of the last pass */
        int64_t position;           /* the training loader's, before the first pass */
    } current;                      /* step */
    struct rundir *rundir;
    bool *loaded;
    float *statistics; /* running statistics of training, while others are in their place */
    struct clocks {
        double wall, cpu;
    } since;                   /* when the training time was last added up */
    int64_t judged_at;         /* the step after which ... */
    struct train_score judged; /* ... the held-out part was evaluated last */
};

/* ---- Setting up ---- */

static struct data_loader *new_loader(const struct run *run, const struct data_view *view, int batch,
                                      bool training, int workers)
{
    const struct train_config *config = run->config;
    const struct data_loader_options options = {.batch = batch,
                                                .order = training ? config->order : DATA_IN_ORDER,
                                                .seed = config->seed,
                                                .workers = workers,
                                                .augment = training ? config->augment : NULL};
    return data_loader_new(view, &options);
}

/* Resolves how many samples make a step and a pass. Accumulated passes must fill a step exactly, or the
 * next step would begin within one. */
static enum descent_status resolve_batch(struct run *run)
{
    const struct train_config *config = run->config;
    int64_t count = run->start.train_count;
    int batch = config->batch > 0 && config->batch < count ? config->batch : (int)count;
    int micro = config->micro_batch > 0 ? config->micro_batch
                : config->batch > 0     ? batch
                                        : FULL_BATCH_MICRO;
    micro = micro < batch ? micro : batch;
    if (batch < count && batch % micro != 0)
        return descent_fail(DESCENT_BAD_ARGUMENT, "--micro-batch %d does not divide --batch %d", micro,
                            batch);
    if (config->drop_last && config->batch > count)
        return descent_fail(DESCENT_BAD_ARGUMENT,
                            "--batch %d with --drop-last leaves no batch of %lld training images",
                            config->batch, (long long)count);
    run->start.batch = batch;
    run->start.micro_batch = micro;
    run->start.steps_per_epoch = config->drop_last ? count / batch : (count + batch - 1) / batch;
    int64_t per_epoch = run->start.steps_per_epoch;
    run->start.steps = config->steps > 0 ? config->steps : per_epoch * config->epochs;
    run->start.epochs = (int)((run->start.steps + per_epoch - 1) / per_epoch);
    return DESCENT_OK;
}

static enum descent_status open_data(struct run *run)
{
    const struct train_config *config = run->config;
    struct train_start *start = &run->start;
    const struct data_open_options options = {.skip_bad = config->skip_bad, .pool = run->pool};
    if (config->no_test && config->validation == 0 && !config->train_only)
        return descent_fail(DESCENT_BAD_ARGUMENT,
                            "--no-test without --validation: there is nothing to judge the run by");
    enum descent_status status =
        config->set ? DESCENT_OK : data_open_with(config->data, &options, &run->opened);
    if (status != DESCENT_OK)
        return status;
    run->set = config->set ? config->set : run->opened;
    if (config->validation > 0)
        status =
            data_split(run->set, config->validation, config->split_seed ? config->split_seed : config->seed,
                       &run->train, &run->validation);
    else if (!(run->train = data_view_train(run->set)))
        status = DESCENT_OUT_OF_MEMORY;
    if (status == DESCENT_OK && !config->no_test && !(run->test = data_view_test(run->set)))
        status = DESCENT_OUT_OF_MEMORY;
    if (status != DESCENT_OK)
        return status;

    start->data = data_describe(run->set);
    start->train_count = data_view_count(run->train);
    start->validation_count = run->validation ? data_view_count(run->validation) : 0;
    start->test_count = run->test ? data_view_count(run->test) : 0;
    status = resolve_batch(run);
    if (status != DESCENT_OK)
        return status;
    run->train_loader = new_loader(run, run->train, start->micro_batch, true, config->workers);
    if (!run->train_loader)
        return DESCENT_BAD_ARGUMENT;
    if (run->test)
        run->test_loader = new_loader(run, run->test, config->eval_batch, false, config->workers);
    if (run->validation)
        run->validation_loader =
            new_loader(run, run->validation, config->eval_batch, false, config->workers);
    bool made = (run->test_loader || !run->test) && (run->validation_loader || !run->validation);
    return made ? DESCENT_OK : DESCENT_OUT_OF_MEMORY;
}

static enum descent_status freeze(struct run *run)
{
    const char *pattern = run->config->freeze;
    if (!pattern)
        return DESCENT_OK;
    run->start.frozen = nn_freeze(run->network.graph, pattern);
    if (run->start.frozen == 0)
        return descent_fail(DESCENT_BAD_ARGUMENT, "--freeze %s: matches no parameter of model %s", pattern,
                            run->config->model);
    return DESCENT_OK;
}

/* The loss of training where it is another than that of evaluation, so that losses compare between runs:
 * with label smoothing, or on mixed images. */
static enum descent_status build_train_loss(struct run *run, nn_node **loss)
{
    const struct train_config *config = run->config;
    struct network *network = &run->network;
    bool mixes = data_loader_mixes(run->train_loader);
    *loss = network->loss;
    if (!network->labels && config->label_smoothing > 0)
        return descent_fail(DESCENT_BAD_ARGUMENT,
                            "--label-smoothing %g: the targets of %s are numbers, not classes",
                            config->label_smoothing, network->data->path);
    if (!network->labels || (!mixes && config->label_smoothing <= 0))
        return DESCENT_OK;
    if (mixes)
        network->targets = nn_input(network->graph, network->data->classes, 1, 1);
    *loss = nn_softmax_cross_entropy(network->output, mixes ? network->targets : network->labels,
                                     .label_smoothing = config->label_smoothing);
    return DESCENT_OK;
}

/* The network with its two plans. */
static enum descent_status build_network(struct run *run)
{
    const struct train_config *config = run->config;
    struct network *network = &run->network;
    nn_node *train_loss;
    enum descent_status status = network_build(config->model, run->start.data, config->seed, network);
    if (status != DESCENT_OK)
        return status;
    run->start.layers = network->layers;
    status = build_train_loss(run, &train_loss);
    if (status == DESCENT_OK)
        status = freeze(run);
    if (status != DESCENT_OK)
        return status;
    run->train_plan = nn_compile(network->graph, .output = network->output, .loss = train_loss,
                                 .batch = run->start.micro_batch, .training = true, .pool = run->pool);
    if (!run->train_plan)
        return descent_fail_in(DESCENT_BAD_ARGUMENT, "model %s", config->model);
    run->eval_plan = nn_compile(network->graph, .output = network->output, .loss = network->loss,
                                .batch = config->eval_batch, .pool = run->pool);
    if (!run->eval_plan)
        return descent_fail_in(DESCENT_OUT_OF_MEMORY, "model %s", config->model);
    return DESCENT_OK;
}

static enum descent_status load_weights(struct run *run)
{
    int count;
    struct descent_param *param = nn_params(run->network.graph, &count);
    for (int i = 0; i < count; i++)
        run->start.batch_statistics |= param[i].kind == DESCENT_BUFFER;
    if (!run->config->weights)
        return DESCENT_OK;
    run->start.loaded = run->loaded = calloc((size_t)count + 1, sizeof *run->loaded);
    if (!run->loaded)
        return descent_fail(DESCENT_OUT_OF_MEMORY, "out of memory");
    enum descent_status status = nn_load(run->network.graph, run->config->weights, run->loaded);
    return status == DESCENT_OK ? status : descent_fail_in(status, "--weights");
}

/* "conv*:lr=1e-4": the pattern ends at the first colon. */
static enum descent_status add_group(struct optim *optim, const char *group)
{
    char pattern[256];
    size_t length = strcspn(group, ":");
    if (group[length] != ':' || length == 0 || length >= sizeof pattern)
        return descent_fail(DESCENT_BAD_ARGUMENT,
                            "--group %s: expected PATTERN:OVERRIDES, such as 'conv*:lr=1e-4'", group);
    snprintf(pattern, sizeof pattern, "%.*s", (int)length, group);
    enum descent_status status = optim_group(optim, pattern, group + length + 1);
    return status == DESCENT_OK ? status : descent_fail_in(status, "--group %s", group);
}

static enum descent_status set_groups(struct run *run)
{
    const struct train_config *config = run->config;
    enum descent_status status = DESCENT_OK;
    for (int i = 0; i < TRAIN_GROUPS && config->group[i] && status == DESCENT_OK; i++)
        status = add_group(run->optim, config->group[i]);
    if (status != DESCENT_OK)
        return status;
    status = optim_layer_decay(run->optim, config->layer_decay);
    return status == DESCENT_OK ? status : descent_fail_in(status, "--layer-decay");
}

enum descent_status train_schedule(struct optim *optim, const char *spec, int64_t batches,
                                   int64_t batches_per_epoch)
{
    int64_t calls = optim_calls_per_step(optim), steps = batches / calls,
            per_epoch = batches_per_epoch / calls;
    return optim_schedule(optim, spec, steps > 0 ? steps : 1, per_epoch > 0 ? per_epoch : 1);
}

static enum descent_status set_schedule(struct run *run)
{
    enum descent_status status =
        train_schedule(run->optim, run->config->schedule, run->start.steps, run->start.steps_per_epoch);
    if (status == DESCENT_OK && optim_follows_reports(run->optim) && !run->validation)
        return descent_fail(DESCENT_BAD_ARGUMENT,
                            "schedule '%s' follows the loss on a validation part; give --validation",
                            run->config->schedule);
    return status;
}

/* A pass of the current step for the objective. What a step of one pass was fed is still there. */
static enum descent_status feed_again(void *context, int pass, int *n)
{
    struct run *run = context;
    struct data_batch batch;
    *n = run->current.samples;
    if (run->current.passes == 1)
        return DESCENT_OK;
    if (pass == 0) {
        data_loader_start(run->again_loader, run->current.epoch - 1);
        enum descent_status status = data_loader_seek(run->again_loader, run->current.position);
        if (status != DESCENT_OK)
            return status;
    }
    *n = data_loader_next(run->again_loader, &batch);
    if (*n <= 0)
        return DESCENT_IO_ERROR;
    network_feed(&run->network, run->train_plan, &batch);
    return DESCENT_OK;
}

static enum descent_status set_objective(struct run *run)
{
    const struct train_start *start = &run->start;
    const struct objective_options options = {.graph = run->network.graph,
                                              .plan = run->train_plan,
                                              .output = run->network.output,
                                              .loss = start->data->targets > 0 ? OBJECTIVE_SQUARED
                                                                               : OBJECTIVE_SOFTMAX,
                                              .batch = start->micro_batch,
                                              .seed = run->config->seed,
                                              .needs = optim_needs(run->optim),
                                              .pool = run->pool,
                                              .feed = feed_again,
                                              .context = run};
    if (!options.needs)
        return DESCENT_OK;
    run->objective = objective_new(&options);
    if (start->micro_batch < start->batch)
        run->again_loader = new_loader(run, run->train, start->micro_batch, true, 0);
    if (!run->objective || (start->micro_batch < start->batch && !run->again_loader))
        return DESCENT_OUT_OF_MEMORY;
    optim_set_objective(run->optim, objective_served(run->objective));
    return DESCENT_OK;
}

static enum descent_status make_optimizer(struct run *run)
{
    int count;
    struct descent_param *param = nn_params(run->network.graph, &count);
    run->optim = optim_new(run->config->optimizer, param, count);
    if (!run->optim)
        return DESCENT_BAD_ARGUMENT;
    optim_set_pool(run->optim, run->pool);
    optim_single_pass(run->optim, true); /* a step that fails is the last */
    optim_skip_not_finite(run->optim, run->config->skip_not_finite);
    enum descent_status status = set_groups(run);
    if (status == DESCENT_OK)
        status = set_schedule(run);
    if (status == DESCENT_OK)
        status = set_objective(run);
    return status == DESCENT_OK ? optim_clip(run->optim, run->config->clip) : status;
}

static enum descent_status set_up(struct run *run)
{
    run->pool = descent_pool_new(run->config->threads);
    if (!run->pool)
        return DESCENT_OUT_OF_MEMORY;
    enum descent_status (*const stages[])(struct run *) = {open_data, build_network, load_weights,
                                                           make_optimizer};
    for (size_t i = 0; i < sizeof stages / sizeof stages[0]; i++) {
        enum descent_status status = stages[i](run);
        if (status != DESCENT_OK)
            return status;
    }
    run->start.config = run->config;
    run->start.graph = run->network.graph;
    run->start.optim = run->optim;
    run->start.train_bytes = nn_plan_bytes(run->train_plan);
    return rundir_create(&run->start, &run->rundir);
}

static void tear_down(struct run *run)
{
    rundir_close(run->rundir);
    optim_free(run->optim);
    objective_free(run->objective);
    nn_plan_free(run->eval_plan);
    nn_plan_free(run->train_plan);
    nn_graph_free(run->network.graph);
    data_loader_free(run->validation_loader);
    data_loader_free(run->test_loader);
    data_loader_free(run->again_loader);
    data_loader_free(run->train_loader);
    data_view_free(run->validation);
    data_view_free(run->test);
    data_view_free(run->train);
    data_free(run->opened);
    descent_pool_free(run->pool);
    free(run->loaded);
    free(run->statistics);
}

/* ---- Passes ---- */

/* The next training batch through the training plan, added to the tally. *n: its samples. */
static enum descent_status forward(struct run *run, struct tally *tally, int *n)
{
    struct data_batch batch;
    enum descent_status status =
        network_forward(&run->network, run->train_plan, run->train_loader, &batch, n);
    if (status == DESCENT_OK && *n > 0)
        tally_add(tally, run->train_plan, &run->network, &batch, *n);
    return status;
}

static enum descent_status evaluate(struct run *run, struct data_loader *loader, struct train_score *result)
{
    run->result->test_reads += loader == run->test_loader;
    return network_evaluate(&run->network, run->eval_plan, loader, result);
}

/* ---- Weights to evaluate with, where the optimizer has others than those it trains ---- */

/* Copies the network's running statistics to run->statistics, or back. */
static void copy_statistics(struct run *run, bool back)
{
    int count;
    struct descent_param *param = nn_params(run->network.graph, &count);
    float *copy = run->statistics;
    for (int i = 0; i < count; i++)
        if (param[i].kind == DESCENT_BUFFER) {
            size_t bytes = (size_t)param[i].size * sizeof *copy;
            memcpy(back ? param[i].value : copy, back ? copy : param[i].value, bytes);
            param[i].version += back;
            copy += param[i].size;
        }
}

static enum descent_status keep_statistics(struct run *run)
{
    int count;
    size_t size = 0;
    const struct descent_param *param = nn_params(run->network.graph, &count);
    for (int i = 0; i < count; i++)
        size += param[i].kind == DESCENT_BUFFER ? (size_t)param[i].size : 0;
    if (!run->statistics)
        run->statistics = malloc(size * sizeof *run->statistics);
    if (!run->statistics)
        return descent_fail(DESCENT_OUT_OF_MEMORY, "out of memory");
    copy_statistics(run, false);
    return DESCENT_OK;
}

/* Running statistics of the weights in place, from the training set. Training then goes on as if this had
 * not been. */
static enum descent_status average_statistics(struct run *run)
{
    int64_t position = data_loader_position(run->train_loader);
    uint64_t step = nn_step(run->train_plan);
    enum descent_status status =
        network_average_statistics(&run->network, run->train_plan, run->train_loader);
    nn_set_step(run->train_plan, step);
    data_loader_start(run->train_loader, run->current.epoch - 1);
    return status == DESCENT_OK ? data_loader_seek(run->train_loader, position) : status;
}

static enum descent_status begin_evaluation(struct run *run)
{
    enum descent_status status = optim_evaluation_begin(run->optim);
    if (status != DESCENT_OK || !run->start.batch_statistics || !optim_has_evaluation(run->optim))
        return status;
    status = keep_statistics(run);
    return status == DESCENT_OK ? average_statistics(run) : status;
}

static void end_evaluation(struct run *run)
{
    optim_evaluation_end(run->optim);
    if (run->start.batch_statistics && optim_has_evaluation(run->optim) && run->statistics)
        copy_statistics(run, true);
}

/* Saves the model and evaluates it (on no part: only saves), with the weights that are meant for it. */
static enum descent_status save_and_evaluate(struct run *run, bool save, struct data_loader *loader,
                                             struct train_score *result)
{
    save = save && !run->config->no_model;
    if (run->config->train_only || (!save && !loader))
        return DESCENT_OK;
    enum descent_status status = begin_evaluation(run);
    if (status == DESCENT_OK && save)
        status = rundir_save_model(run->rundir, run->network.graph);
    if (status == DESCENT_OK && loader)
        status = evaluate(run, loader, result);
    end_evaluation(run);
    return status;
}

/* Evaluates the held-out part after the step just made, unless that has been done. */
static enum descent_status judge(struct run *run, bool save)
{
    bool again = run->judged_at == run->result->steps;
    struct data_loader *loader = run->validation ? run->validation_loader : run->test_loader;
    enum descent_status status = save_and_evaluate(run, save, again ? NULL : loader, &run->judged);
    run->judged_at = run->result->steps;
    return status;
}

/* ---- Training ---- */

static enum descent_status diverged(struct run *run, const struct train_step *step)
{
    const char *layer = nn_first_not_finite(run->train_plan);
    return descent_fail(
        DESCENT_DIVERGED,
        "diverged at step %lld (epoch %d): the loss is not finite; the first layer that is not: %s",
        (long long)step->step, step->epoch, layer ? layer : "the loss");
}

static struct clocks clocks(void)
{
    return (struct clocks){descent_seconds(), descent_cpu_seconds()};
}

/* Counts the time since the last call, or since run->since was set, as training. */
static void add_time(struct run *run)
{
    struct clocks now = clocks();
    run->result->seconds += now.wall - run->since.wall;
    run->result->cpu_seconds += now.cpu - run->since.cpu;
    run->since = now;
}

/* One optimizer step on the next `size` samples, in passes of at most micro_batch weighted by their size.
 */
static enum descent_status train_step(struct run *run, int64_t size, struct tally *epoch,
                                      struct train_step *step)
{
    struct tally tally = {0};
    enum descent_status status = DESCENT_OK;
    int64_t before = nn_backward_passes(run->train_plan);
    run->current.epoch = step->epoch;
    run->current.passes = 0;
    run->current.position = data_loader_position(run->train_loader);
    if (run->objective)
        objective_begin(run->objective);
    while (status == DESCENT_OK && tally.samples < size) {
        int n;
        status = forward(run, &tally, &n);
        run->current.passes++;
        run->current.samples = n;
        step->loss = tally.loss / (double)tally.samples;
        if (status == DESCENT_OK && !isfinite(step->loss))
            status = diverged(run, step);
        if (status == DESCENT_OK)
            status = nn_backward(run->train_plan, .scale = n / (double)size, .clear = tally.samples == n);
    }
    if (status != DESCENT_OK)
        return status;
    epoch->loss += tally.loss;
    epoch->wrong += tally.wrong;
    epoch->most += tally.most;
    epoch->samples += tally.samples;

    if (run->objective)
        objective_end(run->objective, run->current.passes, tally.samples, step->loss);
    status = optim_step(run->optim);
    step->grad_norm = optim_gradient_norm(run->optim);
    run->result->gradient_evaluations +=
        (double)(nn_backward_passes(run->train_plan) - before) / run->current.passes;
    if (status == DESCENT_DIVERGED)
        return descent_fail_in(status, "diverged at step %lld (epoch %d)", (long long)step->step,
                               step->epoch);
    return status;
}

static bool wants_stop(const struct run *run)
{
    return run->observer->wants_stop && run->observer->wants_stop(run->observer->context);
}

/* Whether the held-out part is evaluated after a step of the run: as many times as the config says. */
static bool is_due(const struct run *run, int64_t step)
{
    int64_t count = run->config->evaluations, steps = run->start.steps;
    return step * count / steps > (step - 1) * count / steps;
}

static enum descent_status evaluate_on_the_way(struct run *run)
{
    struct train_result *result = run->result;
    struct train_evaluation evaluation = {.step = result->steps,
                                          .epoch =
                                              (double)result->steps / (double)run->start.steps_per_epoch,
                                          .gradient_evaluations = result->gradient_evaluations,
                                          .seconds = result->seconds,
                                          .cpu_seconds = result->cpu_seconds,
                                          .validated = run->validation != NULL};
    enum descent_status status = judge(run, false);
    evaluation.held_out = run->judged;
    if (status == DESCENT_OK)
        status = rundir_evaluation(run->rundir, &evaluation);
    if (status == DESCENT_OK && run->observer->evaluated)
        run->observer->evaluated(run->observer->context, &evaluation);
    run->since = clocks();
    return status;
}

/* Whether a point of the weights' path is kept after this step: the last one, and as many before it, the
 * initial weights among them, as were asked for, equally far apart. */
static bool is_kept(const struct run *run, int64_t step)
{
    int64_t intervals = run->config->trajectory - 1, steps = run->start.steps;
    return intervals > 0 && step * intervals / steps > (step - 1) * intervals / steps;
}

/* Trains an epoch; interrupted, it ends after the current step with result->outcome set. */
static enum descent_status train_epoch(struct run *run, int epoch, struct train_epoch *done)
{
    const struct train_observer *observer = run->observer;
    struct train_result *result = run->result;
    struct tally tally = {0};
    double before = result->seconds;
    run->since = clocks();
    data_loader_start(run->train_loader, epoch - 1);
    for (int64_t i = 0; i < run->start.steps_per_epoch && result->steps < run->start.steps; i++) {
        struct train_step step = {.step = result->steps + 1,
                                  .epoch = epoch,
                                  .lr = optim_lr_at(run->optim, optim_steps(run->optim)),
                                  .grad_norm = NAN,
                                  .update_norm = NAN};
        int64_t left = run->start.train_count - i * run->start.batch;
        bool logged = step.step % run->config->log_every == 0;
        optim_measure(run->optim, logged);
        enum descent_status status =
            train_step(run, left < run->start.batch ? left : run->start.batch, &tally, &step);
        add_time(run);
        done->seconds = result->seconds - before;
        if (status == DESCENT_DIVERGED)
            return rundir_step(run->rundir, &step) == DESCENT_OK ? status : DESCENT_IO_ERROR;
        if (status != DESCENT_OK)
            return status;
        result->steps++;
        struct train_score mean = tally_score(&tally);
        step.epoch_loss = mean.loss;
        step.epoch_accuracy = mean.accuracy;
        step.images_per_second = (double)tally.samples / done->seconds;
        if (logged) {
            step.update_norm = optim_update_norm(run->optim);
            status = rundir_step(run->rundir, &step);
        }
        if (observer->stepped)
            observer->stepped(observer->context, &step);
        if (status == DESCENT_OK && is_kept(run, result->steps))
            status = rundir_keep_weights(run->rundir, result->steps);
        if (status == DESCENT_OK && is_due(run, result->steps))
            status = evaluate_on_the_way(run);
        if (status != DESCENT_OK)
            return status;
        if (i + 1 < run->start.steps_per_epoch && result->steps < run->start.steps && wants_stop(run)) {
            result->outcome = TRAIN_INTERRUPTED;
            return rundir_keep_weights(run->rundir, result->steps);
        }
    }
    done->epoch = epoch;
    done->step = result->steps;
    done->train = tally_score(&tally);
    done->images_per_second = (double)tally.samples / done->seconds;
    return DESCENT_OK;
}

/* What follows an epoch: save, evaluate on the validation part, or on the test part where there is none,
 * report. */
static enum descent_status end_epoch(struct run *run, struct train_epoch *epoch)
{
    epoch->validated = run->validation != NULL;
    enum descent_status status = judge(run, true);
    epoch->held_out = run->judged;
    if (status == DESCENT_OK && epoch->validated)
        optim_report(run->optim, epoch->held_out.loss);
    if (status == DESCENT_OK)
        status = rundir_epoch(run->rundir, epoch);
    if (status != DESCENT_OK)
        return status;
    run->result->epochs++;
    if (run->observer->epoch_ended)
        run->observer->epoch_ended(run->observer->context, epoch);
    if (wants_stop(run) && epoch->epoch < run->start.epochs)
        run->result->outcome = TRAIN_INTERRUPTED;
    return DESCENT_OK;
}

/* All epochs, then the test part, unless the last epoch just evaluated it. */
static enum descent_status train_all(struct run *run)
{
    struct train_result *result = run->result;
    struct train_epoch epoch = {0};
    enum descent_status status = DESCENT_OK;
    for (int i = 1; i <= run->start.epochs && result->outcome == TRAIN_DONE && status == DESCENT_OK; i++) {
        epoch = (struct train_epoch){0};
        status = train_epoch(run, i, &epoch);
        if (status == DESCENT_OK && epoch.epoch == i)
            status = end_epoch(run, &epoch);
    }
    if (status != DESCENT_OK)
        return status;
    if (epoch.step == result->steps && !epoch.validated) {
        result->test = epoch.held_out;
        return DESCENT_OK;
    }
    return save_and_evaluate(run, true, run->test_loader, &result->test);
}

enum descent_status train_run(const struct train_config *config, const struct train_observer *observer,
                              struct train_result *result)
{
    struct run run = {
        .config = config, .observer = observer, .result = result, .judged_at = -1, .judged = {NAN, NAN}};
    *result = (struct train_result){.test = {NAN, NAN}};
    enum descent_status status = set_up(&run);
    if (status == DESCENT_OK) {
        if (observer->started)
            observer->started(observer->context, &run.start);
        status = train_all(&run);
        if (status == DESCENT_DIVERGED)
            result->outcome = TRAIN_DIVERGED;
        result->skipped = optim_skipped(run.optim);
        if (status == DESCENT_OK || status == DESCENT_DIVERGED) {
            enum descent_status written = rundir_end(run.rundir, result);
            status = written == DESCENT_OK ? status : written;
            if (observer->ended)
                observer->ended(observer->context, result);
        }
    }
    tear_down(&run);
    return status;
}
