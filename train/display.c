/* What a person sees of a run; see display.h. */
#include "train/display.h"

#include "base/clock.h"
#include "base/isa.h"
#include "base/linalg.h"
#include "base/spec.h"
#include "train/progress.h"

#include <stdlib.h>
#include <string.h>

struct display display_on(FILE *stream)
{
    const char *no_color = getenv("NO_COLOR");
    bool live = progress_is_live(stream);
    return (struct display){.stream = stream, .live = live, .color = live && !(no_color && *no_color)};
}

/* A number in three digits or more and a prefix, "61.7 k", for columns of a table. */
static const char *with_prefix(double number, char text[16])
{
    static const char prefix[] = " kMGTP";
    int i = 0;
    for (; number >= 1000 && prefix[i + 1]; i++)
        number /= 1000;
    snprintf(text, 16,
             i == 0         ? "%.0f %c"
             : number < 10  ? "%.2f %c"
             : number < 100 ? "%.1f %c"
                            : "%.0f %c",
             number, prefix[i]);
    return text;
}

/* ---- At the start ---- */

static void print_data(FILE *stream, const struct train_start *start)
{
    const struct data_info *data = start->data;
    fprintf(stream, "data       %s in %s: %lld training", data->name, data->path,
            (long long)start->train_count);
    if (start->validation_count > 0)
        fprintf(stream, ", %lld validation", (long long)start->validation_count);
    if (!start->config->no_test)
        fprintf(stream, " and %lld test", (long long)start->test_count);
    fprintf(stream, " images, %dx%dx%d, ", data->channels, data->height, data->width);
    if (data->targets > 0)
        fprintf(stream, "%d number%s to predict from each\n", data->targets, data->targets > 1 ? "s" : "");
    else
        fprintf(stream, "%d classes\n", data->classes);
    fprintf(stream, "           normalized by the training set: mean");
    for (int i = 0; i < data->channels; i++)
        fprintf(stream, " %.4f", (double)data->mean[i]);
    fprintf(stream, ", deviation");
    for (int i = 0; i < data->channels; i++)
        fprintf(stream, " %.4f", (double)data->deviation[i]);
    fprintf(stream, "%s\n", data->targets > 0 ? "; targets likewise" : "");
    int recognized = 0;
    for (int i = 0; i < data->file_count; i++)
        recognized += data->files[i].recognized != NULL;
    if (recognized > 0)
        fprintf(stream, "           %d of %d files are those published with %s, by their MD5\n", recognized,
                data->file_count, data->name);
    if (data->skipped > 0)
        fprintf(stream, "           %lld images could not be decoded and were left out; the first: %s\n",
                (long long)data->skipped, data->skipped_first);
}

static void print_layers(FILE *stream, const struct train_start *start)
{
    struct nn_layer_info layer;
    int64_t params = 0, bytes = 0;
    double flops = 0;
    char a[16], b[16], shape[40];
    fprintf(stream, "\n  %-24s %-16s %14s %12s %9s %9s\n", "layer", "operator", "output", "parameters",
            "FLOP", "bytes");
    for (int i = 0; i < start->layers && nn_layer(start->graph, i, &layer); i++) {
        snprintf(shape, sizeof shape, "%dx%dx%d", layer.shape.channels, layer.shape.height,
                 layer.shape.width);
        fprintf(stream, "  %-24s %-16s %14s %12lld %9s %9s\n", layer.name, layer.op, shape,
                (long long)layer.params, with_prefix(layer.flops, a), with_prefix((double)layer.bytes, b));
        params += layer.params;
        flops += layer.flops;
        bytes += layer.bytes;
    }
    fprintf(stream, "  %-24s %-16s %14s %12lld %9s %9s\n", "total", "", "", (long long)params,
            with_prefix(flops, a), with_prefix((double)bytes, b));
    fprintf(stream,
            "  FLOP and bytes are those of one image's forward pass; training a batch of %d keeps %sB of "
            "activations\n\n",
            start->micro_batch, with_prefix((double)start->train_bytes, a));
}

static void print_names(FILE *stream, const char *title, const struct train_start *start, bool loaded)
{
    int count;
    const struct descent_param *param = nn_params(start->graph, &count);
    fprintf(stream, "%s", title);
    for (int i = 0; i < count; i++)
        if (start->loaded[i] == loaded)
            fprintf(stream, " %s", param[i].name);
    fputc('\n', stream);
}

static void print_weights(FILE *stream, const struct train_start *start)
{
    int count, loaded = 0;
    nn_params(start->graph, &count);
    for (int i = 0; i < count; i++)
        loaded += start->loaded[i];
    fprintf(stream, "weights    %s: %d of %d tensors match by name and shape\n", start->config->weights,
            loaded, count);
    if (loaded < count) {
        print_names(stream, "           loaded:", start, true);
        print_names(stream, "           initialized anew:", start, false);
    }
}

/* The weight decay of an optimizer's resolved spec, 0 if it has none. */
static double weight_decay(const char *text)
{
    struct descent_spec spec;
    double decay = 0;
    if (descent_spec_parse(text, &spec) != DESCENT_OK)
        return 0;
    for (int i = 0; i < spec.part[0].count; i++)
        if (spec.part[0].pair[i].key && strcmp(spec.part[0].pair[i].key, "weight_decay") == 0)
            descent_parse_number(spec.part[0].pair[i].value, &decay);
    descent_spec_free(&spec);
    return decay;
}

/* Who steps what, where that is not one algorithm for all. */
static void print_assignment(FILE *stream, const struct train_start *start)
{
    int count, algorithms;
    const struct descent_param *param = nn_params(start->graph, &count);
    const struct optim_algorithm *const *all = optim_algorithms(&algorithms);
    bool mixed = false;
    for (int i = 0; i < count; i++) {
        const struct optim_algorithm *own = optim_algorithm_of(start->optim, i);
        mixed |= own && own != optim_algorithm(start->optim);
    }
    for (int k = 0; k < algorithms && mixed; k++) {
        const char *before = "";
        for (int i = 0; i < count; i++)
            if (optim_algorithm_of(start->optim, i) == all[k]) {
                if (!*before)
                    fprintf(stream, "           %s steps ", all[k]->name);
                fprintf(stream, "%s%s", before, param[i].name);
                before = ", ";
            }
        if (*before)
            fputc('\n', stream);
    }
}

static void print_training(FILE *stream, const struct train_start *start)
{
    const struct train_config *config = start->config;
    fprintf(stream, "optimizer  %s\n", optim_spec(start->optim));
    if (weight_decay(optim_spec(start->optim)) != 0)
        fprintf(stream,
                "           weight decay leaves out biases and norm parameters, unless decay_all=yes\n");
    print_assignment(stream, start);
    for (int i = 0; i < TRAIN_GROUPS && config->group[i]; i++)
        fprintf(stream, "%s  %s\n", i ? "         " : "groups   ", config->group[i]);
    if (config->augment)
        fprintf(stream, "augment    %s\n", config->augment);
    fprintf(stream, "schedule   %s over %lld steps, %lld an epoch\n", config->schedule,
            (long long)start->steps, (long long)start->steps_per_epoch);
    fprintf(stream, "batch      %s%d", config->batch == 0 ? "the whole training set, " : "", start->batch);
    if (start->micro_batch < start->batch)
        fprintf(stream, ", gradients added up over passes of %d", start->micro_batch);
    fputc('\n', stream);
    if (start->micro_batch < start->batch && start->batch_statistics)
        fprintf(
            stream,
            "           batch norm uses the mean and variance of each pass of %d, not of the whole batch,\n"
            "           and updates its running statistics after each\n",
            start->micro_batch);
    if (config->freeze)
        fprintf(stream, "frozen     %d parameter tensors match %s\n", start->frozen, config->freeze);
}

static void started(void *context, const struct train_start *start)
{
    struct display *display = context;
    FILE *stream = display->stream;
    display->config = start->config;
    display->steps = start->steps;
    display->epochs = start->epochs;
    display->numbers = start->data->targets > 0;
    display->steps_per_epoch = start->steps_per_epoch;
    display->out = start->out;
    print_data(stream, start);
    fprintf(stream, "model      %s\n", start->config->model);
    print_layers(stream, start);
    if (start->loaded)
        print_weights(stream, start);
    print_training(stream, start);
    fprintf(stream, "machine    %d thread%s, %s, %s\n", start->config->threads,
            start->config->threads == 1 ? "" : "s", descent_isa_name(descent_isa()),
            descent_linalg_version());
    if (start->out)
        fprintf(stream, "out        %s\n", start->out);
    fputc('\n', stream);
    fflush(stream);
    display->begin = descent_seconds();
}

/* ---- Meanwhile ---- */

/* "accuracy 91.25 %", "R^2 0.9125" */
static const char *accuracy(const struct display *display, double fraction, char text[32])
{
    if (display->numbers)
        snprintf(text, 32, "R^2 %.4f", fraction);
    else
        snprintf(text, 32, "accuracy %.2f %%", 100 * fraction);
    return text;
}

static void stepped(void *context, const struct train_step *step)
{
    struct display *display = context;
    double now = descent_seconds();
    if (!display->live || !progress_is_due(&display->shown))
        return;
    double done = (double)step->step / (double)display->steps;
    char line[256], left[24], text[32];
    snprintf(line, sizeof line, "epoch %d/%d  %lld/%lld  loss %.4f  %s  %s left  %.0f images/s",
             step->epoch, display->epochs, (long long)step->step, (long long)display->steps,
             step->epoch_loss, accuracy(display, step->epoch_accuracy, text),
             progress_duration((now - display->begin) * (1 - done) / done, left), step->images_per_second);
    progress_rewrite(display->stream, line);
}

void display_clear(struct display *display)
{
    if (display->live)
        progress_clear(display->stream);
    fflush(display->stream);
}

static void evaluated(void *context, const struct train_evaluation *evaluation)
{
    struct display *display = context;
    const char *part = evaluation->validated ? "validation" : "test";
    char text[32];
    display_clear(display);
    fprintf(display->stream, "step %lld, epoch %.2f  %s loss %.4f  %s %s\n", (long long)evaluation->step,
            evaluation->epoch, part, evaluation->held_out.loss, part,
            accuracy(display, evaluation->held_out.accuracy, text));
    fflush(display->stream);
}

static void epoch_ended(void *context, const struct train_epoch *epoch)
{
    struct display *display = context;
    const char *bold = display->color ? "\033[1m" : "", *plain = display->color ? "\033[0m" : "";
    const char *part = epoch->validated ? "validation" : "test";
    char train[32], held_out[32];
    display_clear(display);
    fprintf(display->stream, "epoch %d/%d  loss %.4f  %s  %s loss %.4f  %s%s %s%s  %.1f s  %.0f images/s\n",
            epoch->epoch, display->epochs, epoch->train.loss,
            accuracy(display, epoch->train.accuracy, train), part, epoch->held_out.loss, bold, part,
            accuracy(display, epoch->held_out.accuracy, held_out), plain, epoch->seconds,
            epoch->images_per_second);
    fflush(display->stream);
}

static void ended(void *context, const struct train_result *result)
{
    struct display *display = context;
    const char *bold = display->color ? "\033[1m" : "", *plain = display->color ? "\033[0m" : "";
    char text[32];
    display_clear(display);
    if (result->outcome == TRAIN_INTERRUPTED)
        fprintf(display->stream, "interrupted after step %lld\n", (long long)result->steps);
    if (result->outcome == TRAIN_DIVERGED)
        ;
    else if (result->test_reads == 0)
        fprintf(display->stream, "%lld steps in %.1f s of training; the test set was not read\n",
                (long long)result->steps, result->seconds);
    else
        fprintf(display->stream, "%stest %s%s, loss %.4f, after %lld steps in %.1f s of training\n", bold,
                accuracy(display, result->test.accuracy, text), plain, result->test.loss,
                (long long)result->steps, result->seconds);
    if (result->skipped > 0)
        fprintf(display->stream, "%lld steps were skipped: their gradients were not finite\n",
                (long long)result->skipped);
    if (display->out)
        fprintf(display->stream, "wrote %s\n", display->out);
    fflush(display->stream);
}

struct train_observer display_observer(struct display *display)
{
    return (struct train_observer){.context = display,
                                   .started = started,
                                   .stepped = stepped,
                                   .evaluated = evaluated,
                                   .epoch_ended = epoch_ended,
                                   .ended = ended};
}
