/* Search spaces; see space.h. */
#include "train/compare/space.h"

#include "optim/optim.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const struct optim_algorithm *algorithm_of(const struct descent_spec *spec, int part)
{
    const char *name = spec->part[part].name;
    return part == 0 ? optim_find(name) : optim_find_wrapper(name);
}

static enum descent_status read_part(const struct descent_spec *spec, int part,
                                     const struct optim_algorithm **algorithm,
                                     struct descent_value values[DESCENT_SPEC_KEYS])
{
    char what[64];
    *algorithm = algorithm_of(spec, part);
    if (!*algorithm)
        return descent_is_path(spec->part[part].name) ? DESCENT_NOT_FOUND : DESCENT_BAD_ARGUMENT;
    snprintf(what, sizeof what, "optimizer %s", spec->part[part].name);
    return descent_spec_read(&spec->part[part], what, (*algorithm)->options, (*algorithm)->option_count,
                             values);
}

static enum descent_status add_part(struct space *space, const struct descent_spec *spec, int part)
{
    const struct optim_algorithm *algorithm;
    struct descent_value values[DESCENT_SPEC_KEYS];
    enum descent_status status = read_part(spec, part, &algorithm, values);
    if (status != DESCENT_OK)
        return status;
    for (int i = 0; i < algorithm->option_count; i++) {
        const struct descent_option *option = &algorithm->options[i];
        if (option->search_max <= option->search_min || values[i].given)
            continue;
        if (space->count == SPACE_DIMENSIONS)
            return descent_fail(DESCENT_BAD_ARGUMENT, "optimizer %s: more than %d hyperparameters to tune",
                                spec->part[0].name, SPACE_DIMENSIONS);
        space->dimension[space->count++] = (struct space_dimension){
            .part = part,
            .option = option,
            .complement = option->search_log && option->open_max && option->max == 1};
    }
    return DESCENT_OK;
}

enum descent_status space_of(const char *text, struct space *space)
{
    struct descent_spec spec;
    *space = (struct space){0};
    enum descent_status status = descent_spec_parse(text, &spec);
    for (int part = 0; status == DESCENT_OK && part < spec.count; part++)
        status = add_part(space, &spec, part);
    descent_spec_free(&spec);
    return status;
}

/* The bounds in which a dimension is even. */
static void scale(const struct space_dimension *dimension, double *low, double *high)
{
    const struct descent_option *option = dimension->option;
    *low = option->search_min;
    *high = option->search_max;
    if (dimension->complement) {
        *low = log(1 - option->search_max);
        *high = log(1 - option->search_min);
    } else if (option->search_log) {
        *low = log(*low);
        *high = log(*high);
    }
}

static double value_at(const struct space_dimension *dimension, double place)
{
    double low, high;
    scale(dimension, &low, &high);
    double even = low + place * (high - low);
    return dimension->complement ? 1 - exp(even) : dimension->option->search_log ? exp(even) : even;
}

static double place_of(const struct space_dimension *dimension, double value)
{
    double low, high;
    scale(dimension, &low, &high);
    double even = dimension->complement           ? log(1 - value)
                  : dimension->option->search_log ? log(value)
                                                  : value;
    return fmin(fmax((even - low) / (high - low), 0), 1);
}

/* A value in four digits, of 1 - value where that is what is even; whole where it must be. */
static void print_value(const struct space_dimension *dimension, double place, char text[32])
{
    double value = value_at(dimension, place);
    if (dimension->option->type == DESCENT_OPTION_INTEGER)
        snprintf(text, 32, "%.0f", value);
    else if (dimension->complement) {
        double rest = 1 - value;
        int digits = (int)ceil(-log10(rest)) + 3;
        snprintf(text, 32, "%.*f", digits, value);
    } else
        snprintf(text, 32, "%.4g", value);
}

enum descent_status space_spec(const char *spec_text, const struct space *space, const double *point,
                               char text[SPEC_LENGTH])
{
    struct descent_spec spec;
    enum descent_status status = descent_spec_parse(spec_text, &spec);
    size_t used = 0;
    char value[32];
    text[0] = 0;
    for (int part = 0; status == DESCENT_OK && part < spec.count; part++) {
        const struct descent_spec_part *words = &spec.part[part];
        const char *before = ":";
        used += (size_t)snprintf(text + used, SPEC_LENGTH - used, "%s%s", part ? "+" : "", words->name);
        for (int i = 0; i < words->count && used < SPEC_LENGTH; i++, before = ",")
            used += (size_t)snprintf(text + used, SPEC_LENGTH - used, "%s%s%s%s", before,
                                     words->pair[i].key ? words->pair[i].key : "",
                                     words->pair[i].key ? "=" : "", words->pair[i].value);
        for (int i = 0; i < space->count && used < SPEC_LENGTH; i++) {
            if (space->dimension[i].part != part)
                continue;
            print_value(&space->dimension[i], point[i], value);
            used += (size_t)snprintf(text + used, SPEC_LENGTH - used, "%s%s=%s", before,
                                     space->dimension[i].option->name, value);
            before = ",";
        }
        if (used >= SPEC_LENGTH)
            status = descent_fail(DESCENT_BAD_ARGUMENT, "optimizer %s: the spec is too long", words->name);
    }
    descent_spec_free(&spec);
    return status;
}

enum descent_status space_locate(const char *text, const struct space *space, double *point)
{
    struct descent_spec spec;
    enum descent_status status = descent_spec_parse(text, &spec);
    for (int i = 0; status == DESCENT_OK && i < space->count; i++) {
        const struct space_dimension *dimension = &space->dimension[i];
        const struct optim_algorithm *algorithm = NULL;
        struct descent_value values[DESCENT_SPEC_KEYS];
        if (dimension->part >= spec.count)
            status = descent_fail(DESCENT_BAD_ARGUMENT, "%s: a part is missing", text);
        else
            status = read_part(&spec, dimension->part, &algorithm, values);
        if (status == DESCENT_OK)
            point[i] = place_of(dimension, values[dimension->option - algorithm->options].number);
    }
    descent_spec_free(&spec);
    return status;
}
