/* Samples held in memory as bytes, the source of every format that fits there; and what formats hand over.
 */
#include "data/source.h"

#include <stdlib.h>
#include <string.h>

struct in_memory {
    struct data_source base;
    uint8_t *bytes;
    int32_t *labels;
    double *targets;
};

static enum descent_status read_in_memory(const struct data_source *source, int64_t i, uint8_t *bytes)
{
    size_t size = data_source_sample_bytes(source);
    memcpy(bytes, ((const struct in_memory *)source)->bytes + (size_t)i * size, size);
    return DESCENT_OK;
}

static void free_in_memory(struct data_source *source)
{
    struct in_memory *memory = (struct in_memory *)source;
    free(memory->bytes);
    free(memory->labels);
    free(memory->targets);
    free(memory);
}

struct data_source *data_source_in_memory(int64_t count, int height, int width, int channels,
                                          uint8_t *bytes, int32_t *labels)
{
    struct in_memory *memory = malloc(sizeof *memory);
    if (!memory || !bytes || !labels) {
        free(memory);
        free(bytes);
        free(labels);
        descent_fail(DESCENT_OUT_OF_MEMORY, "no memory for %lld samples", (long long)count);
        return NULL;
    }
    *memory = (struct in_memory){
        .base = {.count = count,
                 .height = height,
                 .width = width,
                 .channels = channels,
                 .labels = labels,
                 .read = read_in_memory,
                 .free = free_in_memory},
        .bytes = bytes,
        .labels = labels,
    };
    return &memory->base;
}

void data_source_add_targets(struct data_source *source, double *targets, int target_count)
{
    ((struct in_memory *)source)->targets = targets;
    source->targets = targets;
    source->target_count = target_count;
}

bool data_source_is_in_memory(const struct data_source *source)
{
    return source->read == read_in_memory;
}

void data_parts_free(struct data_parts *parts)
{
    data_source_free(parts->train);
    data_source_free(parts->test);
    descent_arena_free(parts->arena);
    *parts = (struct data_parts){0};
}
