/* Settings of runs; see settings.h. */
#include "train/compare/settings.h"

#include <stdio.h>
#include <string.h>

/* Where the values of both lie; false where that cannot be told. */
static bool locate_both(const struct plan_entry *entry, const char *a, const char *b, bool *equal)
{
    struct space space;
    double place[2][SPACE_DIMENSIONS];
    if (space_of(entry->spec, &space) != DESCENT_OK || space_locate(a, &space, place[0]) != DESCENT_OK ||
        space_locate(b, &space, place[1]) != DESCENT_OK)
        return false;
    *equal = memcmp(place[0], place[1], (size_t)space.count * sizeof place[0][0]) == 0;
    return true;
}

bool settings_differ(const struct plan_entry *entry, const char *a, const char *b)
{
    bool equal;
    return locate_both(entry, a, b, &equal) && !equal;
}

enum descent_status settings_of_trial(const struct plan *plan, const struct plan_run *run,
                                      const struct record *record, char spec[SPEC_LENGTH])
{
    bool equal;
    if (plan_spec(plan, run, spec, SPEC_LENGTH) == DESCENT_OK &&
        locate_both(&plan->entry[run->entry], spec, record->spec, &equal) && equal)
        return DESCENT_OK;
    if (strlen(record->spec) >= SPEC_LENGTH)
        return descent_fail(DESCENT_BAD_FORMAT, "%.60s...: the spec of a trial is too long", record->spec);
    snprintf(spec, SPEC_LENGTH, "%s", record->spec);
    return DESCENT_OK;
}
