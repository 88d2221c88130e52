/* Schedules from their specs: parts that wrap one another, durations turned into steps. The formulas are in
 * schedules/. */
#include "optim/schedule.h"

#include "base/memory.h"
#include "optim/internal.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { OPTIONS = 16 }; /* at most, of one kind */

struct optim_schedule_part {
    const struct optim_schedule_kind *kind;
    struct descent_value values[OPTIONS];
};

struct optim_schedule {
    int64_t total;
    int count;
    struct optim_schedule_part part[DESCENT_SPEC_PARTS]; /* each wraps those before it */
};

#define X(name) extern const struct optim_schedule_kind optim_schedule_##name;
OPTIM_SCHEDULE_LIST(X)
#undef X

static const struct optim_schedule_kind *const kinds[] = {
#define X(name) &optim_schedule_##name,
    OPTIM_SCHEDULE_LIST(X)
#undef X
};
enum { KINDS = sizeof kinds / sizeof *kinds };

const struct optim_schedule_kind *const *optim_schedule_kinds(int *count)
{
    *count = KINDS;
    return kinds;
}

static const struct optim_schedule_kind *find(const char *name)
{
    const char *names[KINDS];
    for (int i = 0; i < KINDS; i++) {
        if (strcmp(kinds[i]->name, name) == 0)
            return kinds[i];
        names[i] = kinds[i]->name;
    }
    descent_fail_unknown("schedule", name, names, KINDS);
    return NULL;
}

static void to_steps(struct descent_value *value, int64_t total, int64_t per_epoch)
{
    double unit = value->unit == DESCENT_EPOCHS    ? (double)per_epoch
                  : value->unit == DESCENT_PERCENT ? (double)total / 100
                                                   : 1;
    for (int i = 0; i < value->count; i++)
        value->list[i] = round(value->list[i] * unit);
    value->number = value->list[0];
    value->unit = DESCENT_STEPS;
}

static enum descent_status read_part(const struct descent_spec_part *spec, bool first,
                                     struct optim_schedule *schedule, int64_t per_epoch)
{
    struct optim_schedule_part *part = &schedule->part[schedule->count];
    char what[64];
    part->kind = find(spec->name);
    if (!part->kind)
        return DESCENT_BAD_ARGUMENT;
    if (part->kind->wraps && first)
        return descent_fail(DESCENT_BAD_ARGUMENT,
                            "'%s' wraps a schedule and cannot stand first; write constant+%s", spec->name,
                            spec->name);
    if (!part->kind->wraps && !first)
        return descent_fail(DESCENT_BAD_ARGUMENT, "'%s' is a schedule of its own and cannot follow a '+'",
                            spec->name);
    assert(part->kind->option_count <= OPTIONS);
    snprintf(what, sizeof what, "schedule %s", part->kind->name);
    enum descent_status status =
        descent_spec_read(spec, what, part->kind->options, part->kind->option_count, part->values);
    for (int i = 0; i < part->kind->option_count && !status; i++)
        if (part->kind->options[i].type == DESCENT_OPTION_DURATION ||
            part->kind->options[i].type == DESCENT_OPTION_DURATION_LIST)
            to_steps(&part->values[i], schedule->total, per_epoch);
    schedule->count++;
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
    enum descent_status status = schedule ? DESCENT_OK : DESCENT_OUT_OF_MEMORY;
    if (schedule)
        schedule->total = total_steps;
    for (int i = 0; i < spec.count && !status; i++)
        status = read_part(&spec.part[i], i == 0, schedule, steps_per_epoch);
    descent_spec_free(&spec);
    if (status) {
        descent_free(schedule);
        return NULL;
    }
    return schedule;
}

void optim_schedule_free(struct optim_schedule *schedule)
{
    descent_free(schedule);
}

static double rate(const struct optim_schedule_part *part, double base, int64_t step, int64_t total)
{
    struct optim_schedule_at at = {
        .part = part, .values = part->values, .base = base, .step = step, .total = total};
    return part->kind->rate(&at);
}

double optim_schedule_inner(const struct optim_schedule_at *at, int64_t step, int64_t total)
{
    return rate(at->part - 1, at->base, step, total);
}

double optim_schedule_rate(const struct optim_schedule *schedule, double base, int64_t step)
{
    return schedule ? rate(&schedule->part[schedule->count - 1], base, step, schedule->total) : base;
}
