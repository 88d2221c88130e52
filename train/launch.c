/* Run names and signals; see launch.h. */
#include "train/launch.h"

#include "base/file.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

static volatile sig_atomic_t stop_signal; /* the first SIGINT or SIGTERM, 0 before */

static void on_signal(int number)
{
    if (stop_signal) {
        signal(SIGINT, SIG_DFL);
        signal(SIGTERM, SIG_DFL);
        raise(number); /* waits until this returns */
    } else
        stop_signal = number;
}

void launch_catch_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    sigaddset(&action.sa_mask, SIGINT); /* one at a time */
    sigaddset(&action.sa_mask, SIGTERM);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

bool launch_wants_stop(void *context)
{
    (void)context;
    return stop_signal != 0;
}

int launch_signal(void)
{
    return stop_signal;
}

/* The name of a run: the spec's or path's telling part, without what a file name should not hold. */
static void telling_part(const char *text, char *name, size_t size)
{
    size_t length = strcspn(text, ":+");
    const char *base = descent_base_name(text, &length);
    snprintf(name, size, "%.*s", (int)length, base);
}

void launch_out(struct train_config *config, const char *prefix, char *out, size_t size)
{
    char model[80], data[80];
    if (config->out)
        return;
    telling_part(config->model, model, sizeof model);
    telling_part(config->data, data, sizeof data);
    snprintf(out, size, "runs/%s%s-%s", prefix, model, data);
    config->out = out;
    config->number_out = true;
}
