/* See track.h. */
#include "train/track.h"

#include "base/file.h"
#include "train/npy.h"
#include "train/vector.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct track {
    FILE *stream;
    char path[PATH_MAX];
    const struct descent_param *param;
    int count;
    int64_t size, points, last; /* last: the step of the newest point, -1 if there is none */
    float *vector;
};

static void header_of(int64_t points, int64_t size, char header[NPY_HEADER])
{
    char descr[100];
    snprintf(descr, sizeof descr, "[('step', '<i8'), ('weights', '<f4', (%lld,))]", (long long)size);
    npy_header(header, descr, 1, &points);
}

/* ---- Writing ---- */

static enum descent_status write_header(struct track *track)
{
    char header[NPY_HEADER];
    header_of(track->points, track->size, header);
    if (fseek(track->stream, 0, SEEK_SET) != 0 ||
        fwrite(header, 1, NPY_HEADER, track->stream) != NPY_HEADER || fflush(track->stream) != 0)
        return descent_fail_errno("write", track->path, errno);
    return DESCENT_OK;
}

enum descent_status track_create(const char *path, const struct descent_param *param, int count,
                                 struct track **out)
{
    struct track *track = calloc(1, sizeof *track);
    *out = NULL;
    if (!track)
        return descent_fail(DESCENT_OUT_OF_MEMORY, "out of memory");
    track->param = param;
    track->count = count;
    track->size = vector_size(param, count);
    track->last = -1;
    track->vector = malloc((size_t)track->size * sizeof *track->vector);
    snprintf(track->path, sizeof track->path, "%s", path);
    track->stream = fopen(path, "wb");
    enum descent_status status = !track->vector   ? descent_fail(DESCENT_OUT_OF_MEMORY, "out of memory")
                                 : !track->stream ? descent_fail_errno("create", path, errno)
                                                  : write_header(track);
    if (status == DESCENT_OK)
        *out = track;
    else
        track_close(track);
    return status;
}

void track_close(struct track *track)
{
    if (!track)
        return;
    if (track->stream)
        fclose(track->stream);
    free(track->vector);
    free(track);
}

enum descent_status track_add(struct track *track, int64_t step)
{
    size_t n = (size_t)track->size;
    if (track->last == step)
        return DESCENT_OK;
    vector_read(track->param, track->count, track->vector);
    if (fseek(track->stream, 0, SEEK_END) != 0 || fwrite(&step, sizeof step, 1, track->stream) != 1 ||
        fwrite(track->vector, sizeof *track->vector, n, track->stream) != n || fflush(track->stream) != 0)
        return descent_fail_errno("write", track->path, errno);
    track->last = step;
    track->points++;
    return write_header(track);
}

/* ---- Reading ---- */

/* The points of a file's bytes, which they point into: header and records are multiples of 4 bytes. */
static enum descent_status split(const char *path, const char *bytes, size_t bytes_size, int64_t size,
                                 struct track_points *points)
{
    char header[NPY_HEADER];
    long long width = 0, count = 0;
    size_t each = sizeof(int64_t) + (size_t)size * sizeof(float);
    if (bytes_size < NPY_HEADER ||
        sscanf(bytes + 10,
               "{'descr': [('step', '<i8'), ('weights', '<f4', (%lld,))], 'fortran_order': False, "
               "'shape': (%lld, ), }",
               &width, &count) != 2 ||
        count < 0 || count > INT_MAX)
        return descent_fail(DESCENT_BAD_FORMAT, "%s: is not the path of a run's weights", path);
    if (width != size)
        return descent_fail(DESCENT_MISMATCH, "%s: holds vectors of %lld weights, the model has %lld", path,
                            width, (long long)size);
    header_of(count, size, header);
    if (memcmp(header, bytes, NPY_HEADER) != 0 || (bytes_size - NPY_HEADER) / each < (size_t)count)
        return descent_fail(DESCENT_BAD_FORMAT,
                            "%s: %lld points of %lld bytes are promised, the file has %lld", path, count,
                            (long long)each, (long long)bytes_size);
    points->count = (int)count;
    points->step = malloc(((size_t)count + 1) * sizeof *points->step);
    points->weights = malloc(((size_t)count + 1) * sizeof *points->weights);
    if (!points->step || !points->weights)
        return descent_fail(DESCENT_OUT_OF_MEMORY, "out of memory");
    for (int i = 0; i < points->count; i++) {
        const char *record = bytes + NPY_HEADER + (size_t)i * each;
        memcpy(&points->step[i], record, sizeof(int64_t));
        points->weights[i] = (const float *)(const void *)(record + sizeof(int64_t));
    }
    return DESCENT_OK;
}

enum descent_status track_read(const char *path, int64_t size, struct track_points *points)
{
    char *bytes;
    size_t bytes_size;
    *points = (struct track_points){0};
    enum descent_status status = descent_file_read(path, SIZE_MAX, &bytes, &bytes_size);
    if (status != DESCENT_OK)
        return status;
    points->storage = bytes;
    status = split(path, bytes, bytes_size, size, points);
    if (status != DESCENT_OK)
        track_points_free(points);
    return status;
}

void track_points_free(struct track_points *points)
{
    free(points->step);
    free(points->weights);
    free(points->storage);
    *points = (struct track_points){0};
}
