/* See rate.h. */
#include "train/rate.h"

#include "base/spec.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* By name or as a bare first value; other bare words are flags. */
static bool is_rate(const struct descent_spec_part *part, int i)
{
    const char *key = part->pair[i].key, *value = part->pair[i].value;
    return key ? strcmp(key, "lr") == 0 : i == 0 && !isalpha((unsigned char)value[0]);
}

bool rate_is_given(const char *spec)
{
    struct descent_spec parts;
    bool found = false;
    if (descent_spec_parse(spec, &parts) != DESCENT_OK)
        return true;
    for (int i = 0; i < parts.part[0].count; i++)
        found |= is_rate(&parts.part[0], i);
    descent_spec_free(&parts);
    return found;
}

struct writer {
    char *text;
    size_t size, used;
};

static void add(struct writer *writer, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void add(struct writer *writer, const char *format, ...)
{
    size_t left = writer->size - writer->used;
    va_list list;
    va_start(list, format);
    int length = vsnprintf(writer->text + writer->used, left, format, list);
    va_end(list);
    writer->used += length < 0 ? 0 : (size_t)length < left ? (size_t)length : left - 1;
}

const char *rate_insert(const char *spec, const char *lr, char *text, size_t size)
{
    struct writer writer = {.text = text, .size = size};
    struct descent_spec parts;
    if (descent_spec_parse(spec, &parts) != DESCENT_OK) {
        add(&writer, "%s", spec);
        return text;
    }
    bool inserted = false;
    for (int p = 0; p < parts.count; p++) {
        const struct descent_spec_part *part = &parts.part[p];
        add(&writer, "%s%s", p ? "+" : "", part->name);
        for (int i = 0; i < part->count; i++) {
            const char *key = part->pair[i].key;
            bool rate = p == 0 && is_rate(part, i);
            add(&writer, "%s%s%s%s", i ? "," : ":",
                rate  ? "lr"
                : key ? key
                      : "",
                rate || key ? "=" : "", rate ? lr : part->pair[i].value);
            inserted |= rate;
        }
        if (p == 0 && !inserted)
            add(&writer, "%slr=%s", part->count ? "," : ":", lr);
    }
    descent_spec_free(&parts);
    return text;
}
