/* Schedules from their specs: parts applied one after the other, sequences, durations turned into steps.
 * The formulas are in schedules/. */
#include "optim/schedule.h"

#include "base/memory.h"
#include "optim/internal.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { OPTIONS = 16 }; /* at most, of one kind */

static const double LONGEST = 9007199254740992.0; /* steps; 2^53: exact in double */

struct part {
    const struct optim_schedule_kind *kind;
    struct descent_value values[OPTIONS];
};

/* Parts first .. last, each applied to what those before it give, from step `begin` on for `total` steps.
 */
struct stretch {
    int first, last;
    int64_t begin, total;
};

struct optim_schedule {
    int stretches;
    struct stretch stretch[DESCENT_SPEC_PARTS];
    struct part part[DESCENT_SPEC_PARTS];
    const struct part *follower; /* the part that reports go to, or NULL */
    double *memory;              /* its own; belongs to the caller */
    bool sweeps;
};

#define X(name) extern const struct optim_schedule_kind optim_schedule_##name;
OPTIM_SCHEDULE_LIST(X)
#undef X

#define X(name) +1
enum { BUILT_IN = 0 OPTIM_SCHEDULE_LIST(X), MOST = BUILT_IN + 32 };
#undef X

/* The built-in ones, and those registered after them. */
static const struct optim_schedule_kind *kinds[MOST] = {
#define X(name) &optim_schedule_##name,
    OPTIM_SCHEDULE_LIST(X)
#undef X
};
static int kind_count = BUILT_IN;

const struct optim_schedule_kind *const *optim_schedule_kinds(int *count)
{
    *count = kind_count;
    return kinds;
}

static const struct optim_schedule_kind *look_up(const char *name)
{
    for (int i = 0; i < kind_count; i++)
        if (strcmp(kinds[i]->name, name) == 0)
            return kinds[i];
    return NULL;
}

static const struct optim_schedule_kind *find(const char *name)
{
    const struct optim_schedule_kind *found = look_up(name);
    const char *names[MOST];
    for (int i = 0; i < kind_count; i++)
        names[i] = kinds[i]->name;
    if (!found)
        descent_fail_unknown("schedule", name, names, kind_count);
    return found;
}

enum descent_status optim_schedule_register(const struct optim_schedule_kind *kind)
{
    char what[300];
    if (!kind->name)
        return descent_fail(DESCENT_BAD_ARGUMENT, "a schedule without a name");
    if (look_up(kind->name))
        return descent_fail(DESCENT_EXISTS, "schedule %s is there already", kind->name);
    if (!kind->summary || !kind->rate)
        return descent_fail(DESCENT_BAD_ARGUMENT, "schedule %s has no %s", kind->name,
                            kind->summary ? "function .rate" : ".summary");
    if (kind->role == OPTIM_SCHEDULE_JOIN || kind->option_count > OPTIONS || kind_count == MOST)
        return descent_fail(DESCENT_BAD_ARGUMENT,
                            "schedule %s: expected no join, at most %d options and %d schedules in all",
                            kind->name, OPTIONS, MOST);
    snprintf(what, sizeof what, "schedule %s", kind->name);
    enum descent_status status = descent_options_check(what, kind->options, kind->option_count);
    if (!status)
        kinds[kind_count++] = kind;
    return status;
}

double optim_schedule_unit(enum descent_unit unit, int64_t total, int64_t per_epoch)
{
    return unit == DESCENT_EPOCHS ? (double)per_epoch : unit == DESCENT_PERCENT ? (double)total / 100 : 1;
}

/* Durations that must not be 0 have an open minimum. */
static enum descent_status to_steps(const struct descent_option *option, struct descent_value *value,
                                    int64_t total, int64_t per_epoch)
{
    double unit = optim_schedule_unit(value->unit, total, per_epoch);
    char text[400];
    descent_value_text(option, value, text, sizeof text);
    for (int i = 0; i < value->count; i++) {
        value->list[i] = fmin(round(value->list[i] * unit), LONGEST);
        if (option->open_min && value->list[i] < 1)
            return descent_fail(DESCENT_BAD_ARGUMENT,
                                "%s=%s rounds to 0 steps in a run of %lld; expected at least 1",
                                option->name, text, (long long)total);
    }
    value->number = value->list[0];
    value->unit = DESCENT_STEPS;
    return DESCENT_OK;
}

static enum descent_status read_part(const struct descent_spec_part *spec, int64_t total, int64_t per_epoch,
                                     struct part *part)
{
    char what[64];
    part->kind = find(spec->name);
    if (!part->kind)
        return DESCENT_BAD_ARGUMENT;
    assert(part->kind->option_count <= OPTIONS);
    snprintf(what, sizeof what, "schedule %s", part->kind->name);
    enum descent_status status =
        descent_spec_read(spec, what, part->kind->options, part->kind->option_count, part->values);
    for (int i = 0; i < part->kind->option_count && !status; i++) {
        const struct descent_option *option = &part->kind->options[i];
        if (option->type != DESCENT_OPTION_DURATION && option->type != DESCENT_OPTION_DURATION_LIST)
            continue;
        status = to_steps(option, &part->values[i], total, per_epoch);
        if (status)
            return descent_fail_in(status, "%s", what);
    }
    return status;
}

/* After a join, `join`: what stands before it ends where what follows begins. */
static enum descent_status begin_stretch(struct optim_schedule *schedule, int i, const struct part *join)
{
    struct stretch *before = &schedule->stretch[schedule->stretches - 1];
    int64_t at = (int64_t)join->values[0].number, end = before->begin + before->total;
    if (at <= before->begin || at >= end)
        return descent_fail(DESCENT_BAD_ARGUMENT,
                            "%s=%lld for schedule %s is out of order; what it ends begins at step %lld of "
                            "a run of %lld",
                            join->kind->options[0].name, (long long)at, join->kind->name,
                            (long long)before->begin, (long long)end);
    before->total = at - before->begin;
    schedule->stretch[schedule->stretches++] =
        (struct stretch){.first = i + 1, .last = i, .begin = at, .total = end - at};
    return DESCENT_OK;
}

/* Puts the i-th part, just read, into its place; the last of `count`. */
static enum descent_status place(struct optim_schedule *schedule, int i, int count)
{
    const struct part *part = &schedule->part[i];
    const char *name = part->kind->name;
    struct stretch *stretch = &schedule->stretch[schedule->stretches - 1];
    bool first = i == stretch->first;
    if (part->kind->role == OPTIM_SCHEDULE_WRAP && first)
        return descent_fail(DESCENT_BAD_ARGUMENT,
                            "'%s' wraps the schedule before it and cannot stand first; write constant+%s",
                            name, name);
    if (part->kind->role == OPTIM_SCHEDULE_JOIN && (first || i + 1 == count))
        return descent_fail(DESCENT_BAD_ARGUMENT,
                            "'%s' stands between two schedules; write constant+%s:50%%+cosine", name, name);
    if (part->kind->role == OPTIM_SCHEDULE_JOIN)
        return begin_stretch(schedule, i, part);
    stretch->last = i;
    schedule->sweeps |= part->kind->sweeps;
    if (part->kind->report && schedule->follower)
        return descent_fail(DESCENT_BAD_ARGUMENT, "schedule %s: only one part can follow reports", name);
    if (part->kind->report)
        schedule->follower = part;
    return DESCENT_OK;
}

static struct optim_schedule_at ask(const struct part *part, double base, int64_t step, int64_t total)
{
    return (struct optim_schedule_at){.values = part->values, .base = base, .step = step, .total = total};
}

/* Steps that what stands before the part waits. */
static int64_t delay(const struct part *part)
{
    return part->kind->delay ? part->kind->delay(part->values) : 0;
}

static enum descent_status check(const struct optim_schedule *schedule, const struct stretch *stretch)
{
    int64_t total = stretch->total;
    for (int i = stretch->last; i >= stretch->first; i--) {
        const struct part *part = &schedule->part[i];
        struct optim_schedule_at at = ask(part, 1, 0, total);
        if (part->kind->check && part->kind->check(&at))
            return descent_fail_in(DESCENT_BAD_ARGUMENT, "schedule %s", part->kind->name);
        total -= delay(part);
    }
    return DESCENT_OK;
}

static enum descent_status fill(struct optim_schedule *schedule, const struct descent_spec *spec,
                                int64_t total, int64_t per_epoch)
{
    enum descent_status status = DESCENT_OK;
    schedule->stretch[0].total = total;
    schedule->stretches = 1;
    for (int i = 0; i < spec->count && !status; i++) {
        status = read_part(&spec->part[i], total, per_epoch, &schedule->part[i]);
        if (!status)
            status = place(schedule, i, spec->count);
    }
    for (int i = 0; i < schedule->stretches && !status; i++)
        status = check(schedule, &schedule->stretch[i]);
    return status;
}

struct optim_schedule *optim_schedule_new(const char *text, int64_t total_steps, int64_t steps_per_epoch)
{
    struct descent_spec spec;
    if (total_steps < 1 || steps_per_epoch < 1) {
        descent_fail(DESCENT_BAD_ARGUMENT,
                     "a schedule for %lld steps, %lld an epoch; both must be at least 1",
                     (long long)total_steps, (long long)steps_per_epoch);
        return NULL;
    }
    if (descent_spec_parse(text, &spec))
        return NULL;
    struct optim_schedule *schedule = descent_alloc(sizeof *schedule);
    if (schedule && fill(schedule, &spec, total_steps, steps_per_epoch)) {
        descent_free(schedule);
        schedule = NULL;
    }
    descent_spec_free(&spec);
    return schedule;
}

void optim_schedule_free(struct optim_schedule *schedule)
{
    descent_free(schedule);
}

typedef double part_function(const struct optim_schedule_at *at);

static part_function *rate_of(const struct optim_schedule_kind *kind)
{
    return kind->rate;
}

static part_function *momentum_of(const struct optim_schedule_kind *kind)
{
    return kind->momentum;
}

/* What part i makes of what those before it, down to `first`, make of `base`. */
static double apply(const struct optim_schedule *schedule, int first, int i,
                    part_function *(*which)(const struct optim_schedule_kind *), double base, int64_t step,
                    int64_t total)
{
    if (i < first)
        return base;
    const struct part *part = &schedule->part[i];
    int64_t wait = delay(part), inner_step = step > wait ? step - wait : 0;
    base = apply(schedule, first, i - 1, which, base, inner_step, total - wait);
    struct optim_schedule_at at = ask(part, base, step, total);
    at.memory = schedule->memory;
    part_function *function = which(part->kind);
    return function ? function(&at) : base;
}

static double evaluate(const struct optim_schedule *schedule,
                       part_function *(*which)(const struct optim_schedule_kind *), double base,
                       int64_t step)
{
    if (!schedule)
        return base;
    int i = schedule->stretches - 1;
    while (i > 0 && step < schedule->stretch[i].begin)
        i--;
    const struct stretch *stretch = &schedule->stretch[i];
    return apply(schedule, stretch->first, stretch->last, which, base, step - stretch->begin,
                 stretch->total);
}

double optim_schedule_rate(const struct optim_schedule *schedule, double base, int64_t step)
{
    return evaluate(schedule, rate_of, base, step);
}

double optim_schedule_momentum(const struct optim_schedule *schedule, double base, int64_t step)
{
    return evaluate(schedule, momentum_of, base, step);
}

bool optim_schedule_sweeps(const struct optim_schedule *schedule)
{
    return schedule && schedule->sweeps;
}

bool optim_schedule_follows(const struct optim_schedule *schedule)
{
    return schedule && schedule->follower;
}

void optim_schedule_set_memory(struct optim_schedule *schedule, double *memory)
{
    schedule->memory = memory;
}

void optim_schedule_report(const struct optim_schedule *schedule, double value)
{
    if (optim_schedule_follows(schedule))
        schedule->follower->kind->report(schedule->follower->values, schedule->memory, value);
}

/* --- What several schedules share. --- */

int64_t optim_schedule_length(const struct optim_schedule_at *at, int option)
{
    return at->values[option].given ? (int64_t)at->values[option].number : at->total > 1 ? at->total : 1;
}

double optim_schedule_progress(const struct optim_schedule_at *at, int64_t length)
{
    return at->step <= 0 ? 0 : at->step < length ? (double)at->step / (double)length : 1;
}

double optim_schedule_cosine_between(double start, double end, double progress)
{
    const double pi = 3.14159265358979323846;
    return end + (start - end) * (1 + cos(pi * progress)) / 2;
}

double optim_schedule_line_between(double start, double end, double progress)
{
    return start + (end - start) * progress;
}
