/* Any text is a spec whose values keep the promises of their table, or an error with a message. */
#include "base/spec.h"
#include "tests/fuzz/target.h"

#include <math.h>
#include <string.h>

static const struct descent_option options[] = {
    {.name = "lr", .type = DESCENT_OPTION_REAL, .initial = "1e-3", .min = 0, .max = INFINITY},
    {.name = "beta1", .type = DESCENT_OPTION_REAL, .initial = "0.9", .min = 0, .max = 1, .open_max = true},
    {.name = "rank", .type = DESCENT_OPTION_INTEGER, .initial = "4", .min = 1, .max = 64},
    {.name = "nesterov", .type = DESCENT_OPTION_FLAG, .initial = "no"},
    {.name = "reduce", .type = DESCENT_OPTION_CHOICE, .initial = "mean", .choices = "mean|sum|none"},
    {.name = "betas", .type = DESCENT_OPTION_LIST, .initial = "0.9/0.999", .min = 0, .max = 1},
    {.name = "widths", .type = DESCENT_OPTION_INTEGER_LIST, .initial = "256/128", .min = 1, .max = 4096},
    {.name = "warmup", .type = DESCENT_OPTION_DURATION, .initial = "5%"},
    {.name = "milestones", .type = DESCENT_OPTION_DURATION_LIST, .initial = "30ep/60ep"},
};
enum { OPTIONS = sizeof options / sizeof *options };

static void check_value(const struct descent_option *option, const struct descent_value *value)
{
    fuzz_expect(value->count >= 0 && value->count <= DESCENT_LIST_MAX);
    for (int i = 0; i < value->count; i++) {
        fuzz_expect(isfinite(value->list[i]));
        if (option->max != 0)
            fuzz_expect(value->list[i] >= option->min && value->list[i] <= option->max);
        if (option->open_max)
            fuzz_expect(value->list[i] < option->max);
    }
    if (option->type == DESCENT_OPTION_INTEGER || option->type == DESCENT_OPTION_INTEGER_LIST)
        fuzz_expect(value->number == floor(value->number));
    if (option->type == DESCENT_OPTION_CHOICE)
        fuzz_expect(value->number >= 0 && value->number < 3);
}

static void check_part(const struct descent_spec_part *part)
{
    struct descent_value values[OPTIONS];
    fuzz_expect(*part->name && part->count >= 0 && part->count <= DESCENT_SPEC_KEYS);
    for (int i = 0; i < part->count; i++)
        fuzz_expect(*part->pair[i].value && (!part->pair[i].key || *part->pair[i].key));
    if (descent_spec_read(part, "optimizer fuzz", options, OPTIONS, values))
        fuzz_expect(*descent_error());
    else
        for (int i = 0; i < OPTIONS; i++)
            check_value(&options[i], &values[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    if (!text)
        return 0;
    memcpy(text, data, size);
    text[size] = 0;
    text[strcspn(text, "\n")] = 0; /* a seed file ends with one */
    struct descent_spec spec;
    if (descent_spec_parse(text, &spec)) {
        fuzz_expect(spec.count == 0 && !spec.storage && *descent_error());
    } else {
        fuzz_expect(spec.count >= 1 && spec.count <= DESCENT_SPEC_PARTS);
        for (int i = 0; i < spec.count; i++)
            check_part(&spec.part[i]);
    }
    descent_spec_free(&spec);
    free(text);
    return 0;
}
