/* Runs in parallel processes; see work.h. */
#include "train/compare/work.h"

#include "base/clock.h"
#include "base/file.h"
#include "train/compare/record.h"
#include "train/compare/settings.h"
#include "train/launch.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif

enum { MOST_JOBS = 256, REASON = 1024 };

static const double LOOK_AGAIN = 1; /* seconds until a run that another process has is looked at again */

/* A child's exit codes; with FAILED it leaves its reason in memory that both see. */
enum { ENDED, FAILED, TAKEN, STOPPED };

enum state {
    OPEN,
    RUNNING,
    FINISHED,
    BROKEN,
    BLOCKED, /* a tuned run of which a trial is broken: what the best settings are, is not known */
    LOST,    /* a tuned run that is not to be: all trials diverged */
};

struct item {
    enum state state;
    double look; /* OPEN: not before this moment of the clock */
    double cpu;  /* FINISHED: seconds of training */
};

struct job {
    pid_t process; /* 0: none */
    int run;
    char *reason; /* REASON bytes */
};

/* The settings of the best trial of an optimizer on a task. */
struct winner {
    bool known, lost; /* neither: trials are missing; lost: all diverged */
    char spec[SPEC_LENGTH];
};

struct shop {
    const struct plan *plan;
    const char *out;
    const struct data_set *const *sets;
    const struct work_observer *observer;
    int runs, jobs, failed;
    struct item *item;
    struct winner *winner; /* of each entry on each task */
    double *accuracy;
    struct job job[MOST_JOBS];
    double begin, spent; /* moment; seconds of its own runs that have ended */
    int ended;           /* by this process */
};

/* ---- A run, in a process of its own ---- */

static const char *file_in(const char *directory, const char *name, char path[PLAN_PATH + 16])
{
    snprintf(path, PLAN_PATH + 16, "%s/%s", directory, name);
    return path;
}

/* Makes the run this process's, unless it is another's: *taken. The lock is gone when the process is. */
static enum descent_status take(const char *directory, bool *taken)
{
    char path[PLAN_PATH + 16];
    int file;
    enum descent_status status = descent_make_directories(directory);
    if (status == DESCENT_OK)
        status = descent_file_lock(file_in(directory, "lock", path), false, &file);
    *taken = status == DESCENT_OK && file < 0;
    return status;
}

static int do_run(const struct shop *shop, const struct plan_run *run, const char *spec)
{
    char path[PLAN_PATH], lock[PLAN_PATH + 16];
    bool taken = false, done = false;
    struct record record;
    struct train_result result;
    const struct train_observer observer = {.wants_stop = launch_wants_stop};
    plan_path(shop->plan, run, shop->out, path);
    enum descent_status status = take(path, &taken);
    if (taken)
        return TAKEN;
    if (status == DESCENT_OK) {
        status = record_read(path, &record); /* maybe another has just done it */
        done = status == DESCENT_OK && record.state != RECORD_MISSING &&
               !(run->kind == PLAN_TUNED_RUN &&
                 settings_differ(&shop->plan->entry[run->entry], spec, record.spec));
        record_free(&record);
    }
    if (status == DESCENT_OK && !done) {
        struct train_config config = plan_config(shop->plan, run, spec);
        config.out = path;
        config.set = shop->sets[run->task];
        status = train_run(&config, &observer, &result);
        if (status == DESCENT_OK && result.outcome == TRAIN_INTERRUPTED)
            return STOPPED;
    }
    if (status != DESCENT_OK && status != DESCENT_DIVERGED)
        return FAILED;
    unlink(file_in(path, "lock", lock)); /* whoever has it open finds the run done */
    return ENDED;
}

/* ---- What is there ---- */

static struct winner *winner_of(const struct shop *shop, const struct plan_run *run)
{
    return &shop->winner[run->task * shop->plan->entry_count + run->entry];
}

/* Once all trials of the run's optimizer are finished; they do not change any more. */
static enum descent_status find_winner(const struct shop *shop, const struct plan_run *run)
{
    const struct plan *plan = shop->plan;
    struct winner *winner = winner_of(shop, run);
    struct plan_run trial = {run->task, run->entry, PLAN_TRIAL_RUN, 0};
    struct record record[PLAN_TRIALS];
    enum descent_status status = DESCENT_OK;
    int read = 0;
    if (winner->known || winner->lost)
        return DESCENT_OK;
    for (; trial.index < plan->budget; trial.index++)
        if (shop->item[plan_find(plan, &trial)].state != FINISHED)
            return DESCENT_OK;
    for (; read < plan->budget && status == DESCENT_OK; read++) {
        char path[PLAN_PATH];
        trial.index = read;
        status = record_read(plan_path(plan, &trial, shop->out, path), &record[read]);
    }
    trial.index = status == DESCENT_OK ? record_best(record, read) : -1;
    winner->lost = status == DESCENT_OK && trial.index < 0;
    if (trial.index >= 0)
        status = settings_of_trial(plan, &trial, &record[trial.index], winner->spec);
    winner->known = trial.index >= 0 && status == DESCENT_OK;
    for (int i = 0; i < read; i++)
        record_free(&record[i]);
    return status;
}

/* Takes a finished run into account. A tuned one with other settings than the best trial's is to be made
 * anew: another process, or another version, knew other trials. Until that is known it stays open. */
static enum descent_status look(struct shop *shop, int i)
{
    char path[PLAN_PATH];
    struct record record;
    struct plan_run run = plan_run(shop->plan, i);
    bool tuned = run.kind == PLAN_TUNED_RUN;
    enum descent_status status = record_read(plan_path(shop->plan, &run, shop->out, path), &record);
    bool there = status == DESCENT_OK && record.state != RECORD_MISSING;
    if (there && tuned)
        status = find_winner(shop, &run);
    if (there && tuned)
        there = winner_of(shop, &run)->known &&
                !settings_differ(&shop->plan->entry[run.entry], winner_of(shop, &run)->spec, record.spec);
    if (there) {
        shop->item[i].state = FINISHED;
        shop->item[i].cpu = record.cpu_seconds;
        shop->accuracy[i] = record_final(&record);
    }
    record_free(&record);
    return status;
}

/* The settings of a run; *known: false while trials are missing, and for good where one of them failed or
 * all diverged. */
static enum descent_status settings(struct shop *shop, const struct plan_run *run, char spec[SPEC_LENGTH],
                                    bool *known)
{
    const struct plan *plan = shop->plan;
    struct item *item = &shop->item[plan_find(plan, run)];
    const struct winner *winner = winner_of(shop, run);
    *known = true;
    if (run->kind != PLAN_TUNED_RUN)
        return plan_spec(plan, run, spec, SPEC_LENGTH);
    enum descent_status status = find_winner(shop, run);
    *known = winner->known;
    snprintf(spec, SPEC_LENGTH, "%s", winner->spec);
    if (winner->lost)
        item->state = LOST;
    for (int i = 0; i < plan->budget; i++) {
        const struct plan_run trial = {run->task, run->entry, PLAN_TRIAL_RUN, i};
        if (shop->item[plan_find(plan, &trial)].state == BROKEN)
            item->state = BLOCKED;
    }
    return status;
}

/* ---- Children ---- */

static enum descent_status begin(struct shop *shop, struct job *job, int i, const char *spec)
{
    struct plan_run run = plan_run(shop->plan, i);
    pid_t parent = getpid();
    fflush(NULL);
    pid_t process = fork();
    if (process < 0)
        return descent_fail(DESCENT_IO_ERROR, "cannot start a process: %s", strerror(errno));
    if (process == 0) {
#ifdef __linux__
        prctl(PR_SET_PDEATHSIG, SIGKILL);
#endif
        int code = getppid() == parent ? do_run(shop, &run, spec) : STOPPED;
        snprintf(job->reason, REASON, "%s", descent_error());
        _exit(code);
    }
    job->process = process;
    job->run = i;
    shop->item[i].state = RUNNING;
    return DESCENT_OK;
}

static void report_failure(struct shop *shop, const struct job *job, int code)
{
    char path[PLAN_PATH], signal[100];
    struct plan_run run = plan_run(shop->plan, job->run);
    if (!shop->observer->failed)
        return;
    if (WIFSIGNALED(code))
        snprintf(signal, sizeof signal, "killed by signal %d (%s)", WTERMSIG(code),
                 strsignal(WTERMSIG(code)));
    shop->observer->failed(shop->observer->context, plan_path(shop->plan, &run, shop->out, path),
                           WIFSIGNALED(code) ? signal : job->reason);
}

static enum descent_status end(struct shop *shop, struct job *job, int code, bool stopping)
{
    int i = job->run;
    enum descent_status status = DESCENT_OK;
    job->process = 0;
    shop->item[i].state = OPEN;
    if (WIFEXITED(code) && WEXITSTATUS(code) == ENDED) {
        status = look(shop, i);
        shop->ended++;
        shop->spent += shop->item[i].cpu;
        if (status == DESCENT_OK && shop->item[i].state != FINISHED)
            status = descent_fail(DESCENT_IO_ERROR, "a finished run has vanished from %s", shop->out);
    } else if (WIFEXITED(code) && WEXITSTATUS(code) == TAKEN)
        shop->item[i].look = descent_seconds() + LOOK_AGAIN;
    else if (!(WIFEXITED(code) && WEXITSTATUS(code) == STOPPED) && !stopping) {
        shop->item[i].state = BROKEN;
        shop->failed++;
        report_failure(shop, job, code);
    }
    return status;
}

/* Takes in all that have ended. *running: those that have not. */
static enum descent_status reap(struct shop *shop, bool stopping, int *running)
{
    enum descent_status status = DESCENT_OK;
    *running = 0;
    for (int i = 0; i < shop->jobs; i++) {
        struct job *job = &shop->job[i];
        int code;
        if (job->process && waitpid(job->process, &code, WNOHANG) == job->process) {
            enum descent_status ended = end(shop, job, code, stopping);
            status = status == DESCENT_OK ? ended : status;
        }
        *running += job->process != 0;
    }
    return status;
}

static struct job *idle(struct shop *shop)
{
    for (int i = 0; i < shop->jobs; i++)
        if (!shop->job[i].process)
            return &shop->job[i];
    return NULL;
}

/* Starts runs that are open until all jobs are busy. *open: whether some are left, maybe for others. */
static enum descent_status hand_out(struct shop *shop, bool *open)
{
    enum descent_status status = DESCENT_OK;
    double now = descent_seconds();
    struct job *job = idle(shop);
    *open = false;
    for (int i = 0; i < shop->runs && status == DESCENT_OK; i++) {
        struct item *item = &shop->item[i];
        if (item->state != OPEN)
            continue;
        *open = true;
        if (!job)
            break;
        if (item->look > now)
            continue;
        if (item->look > 0) /* another had it: it may be done */
            status = look(shop, i);
        bool known = false;
        char spec[SPEC_LENGTH];
        struct plan_run run = plan_run(shop->plan, i);
        if (status == DESCENT_OK && item->state == OPEN)
            status = settings(shop, &run, spec, &known);
        if (status == DESCENT_OK && known) {
            status = begin(shop, job, i, spec);
            job = idle(shop);
        }
    }
    return status;
}

/* ---- All together ---- */

/* Seconds for what is open, if each takes as long as the finished ones of its task and optimizer did, or
 * as all did. */
static double seconds_left(const struct shop *shop)
{
    const struct plan *plan = shop->plan;
    int pairs = plan->task_count * plan->entry_count;
    double *spent = calloc((size_t)pairs, 2 * sizeof *spent), all = 0, left = 0;
    int finished = 0;
    if (!spent)
        return NAN;
    double *count = spent + pairs;
    for (int i = 0; i < shop->runs; i++) {
        struct plan_run run = plan_run(plan, i);
        if (shop->item[i].state == FINISHED) {
            spent[run.task * plan->entry_count + run.entry] += shop->item[i].cpu;
            count[run.task * plan->entry_count + run.entry]++;
            all += shop->item[i].cpu;
            finished++;
        }
    }
    for (int i = 0; i < shop->runs; i++) {
        struct plan_run run = plan_run(plan, i);
        int pair = run.task * plan->entry_count + run.entry;
        if (shop->item[i].state == OPEN || shop->item[i].state == RUNNING)
            left += count[pair] > 0 ? spent[pair] / count[pair] : all / finished;
    }
    free(spent);
    double elapsed = descent_seconds() - shop->begin;
    /* Training alone was counted; how much more there is, the runs that have ended tell. */
    double more = shop->spent > 0 ? fmax(elapsed * shop->jobs / shop->spent, 1) : 1;
    return finished > 0 ? left * more / shop->jobs : NAN;
}

static void show(const struct shop *shop, int running)
{
    struct work_progress progress = {
        .plan = shop->plan, .runs = shop->runs, .running = running, .accuracy = shop->accuracy};
    if (!shop->observer->progressed)
        return;
    for (int i = 0; i < shop->runs; i++)
        progress.done += shop->item[i].state == FINISHED;
    progress.seconds_left = seconds_left(shop);
    shop->observer->progressed(shop->observer->context, &progress);
}

static void stop_all(const struct shop *shop)
{
    for (int i = 0; i < shop->jobs; i++)
        if (shop->job[i].process)
            kill(shop->job[i].process, SIGTERM);
}

static enum descent_status work_on(struct shop *shop, bool *stopped)
{
    enum descent_status status = DESCENT_OK;
    const struct timespec moment = {.tv_nsec = 50000000};
    int running = 0;
    bool open = true;
    for (int i = 0; i < shop->runs && status == DESCENT_OK; i++)
        status = look(shop, i);
    while (status == DESCENT_OK && (open || running > 0) && !*stopped) {
        status = reap(shop, false, &running);
        if (status == DESCENT_OK)
            status = hand_out(shop, &open);
        for (int i = running = 0; i < shop->jobs; i++)
            running += shop->job[i].process != 0;
        show(shop, running);
        if (shop->observer->wants_stop && shop->observer->wants_stop(shop->observer->context))
            *stopped = true;
        else if (open || running > 0)
            nanosleep(&moment, NULL);
    }
    for (stop_all(shop); running > 0; nanosleep(&moment, NULL)) {
        enum descent_status ended = reap(shop, true, &running);
        status = status == DESCENT_OK ? ended : status;
    }
    return status;
}

enum descent_status work(const struct plan *plan, const char *out, int jobs,
                         const struct data_set *const *sets, const struct work_observer *observer,
                         struct work_result *result)
{
    struct shop shop = {.plan = plan,
                        .out = out,
                        .sets = sets,
                        .observer = observer,
                        .runs = plan_runs(plan),
                        .jobs = jobs < MOST_JOBS ? jobs : MOST_JOBS,
                        .begin = descent_seconds()};
    *result = (struct work_result){0};
    size_t shared = (size_t)shop.jobs * REASON;
    char *reasons = mmap(NULL, shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    shop.item = calloc((size_t)shop.runs, sizeof *shop.item);
    shop.winner = calloc((size_t)(plan->task_count * plan->entry_count), sizeof *shop.winner);
    shop.accuracy = malloc((size_t)shop.runs * sizeof *shop.accuracy);
    enum descent_status status = DESCENT_OK;
    for (int i = 0; i < shop.jobs && reasons != MAP_FAILED; i++)
        shop.job[i].reason = reasons + i * REASON;
    if (!shop.item || !shop.winner || !shop.accuracy || reasons == MAP_FAILED)
        status = descent_fail(DESCENT_OUT_OF_MEMORY, "out of memory");
    for (int i = 0; i < shop.runs && shop.accuracy; i++)
        shop.accuracy[i] = NAN;
    if (status == DESCENT_OK)
        status = work_on(&shop, &result->stopped);
    for (int i = 0; i < shop.runs && shop.item; i++)
        result->missing += shop.item[i].state != FINISHED && shop.item[i].state != LOST;
    result->failed = shop.failed;
    if (reasons != MAP_FAILED)
        munmap(reasons, shared);
    free(shop.item);
    free(shop.winner);
    free(shop.accuracy);
    return status;
}
