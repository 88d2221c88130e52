/* The path that a run's weights take while they are trained: some points of it, in one file that grows. It
 * is a .npy of records, which NumPy reads at any moment: np.load(path)["step"] (int64), ["weights"]
 * (float32, a vector as in train/vector.h; 8 + 4 n bytes a record for n weights). A record counts once the
 * header says so, which is written after it. */
#ifndef DESCENT_TRAIN_TRACK_H
#define DESCENT_TRAIN_TRACK_H

#include "base/param.h"
#include "base/status.h"

#include <stdint.h>

struct track;

/* An empty file for these parameters, which must outlive the track. */
enum descent_status track_create(const char *path, const struct descent_param *param, int count,
                                 struct track **track);
void track_close(struct track *track);

/* Adds the parameters' present values, unless this step's are the last there. */
enum descent_status track_add(struct track *track, int64_t step);

struct track_points {
    int count;
    int64_t *step;         /* count */
    const float **weights; /* count vectors */
    void *storage;         /* the file */
};

/* Reads all points. DESCENT_NOT_FOUND: there is no such file; DESCENT_MISMATCH: of vectors of another size;
 * DESCENT_BAD_FORMAT: cut off, or no such thing. */
enum descent_status track_read(const char *path, int64_t size, struct track_points *points);
void track_points_free(struct track_points *points);

#endif
