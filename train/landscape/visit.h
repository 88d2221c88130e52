/* A request about trained weights while it is carried out: the runs reopened, the images chosen, the
 * directory that the results go to. */
#ifndef DESCENT_TRAIN_LANDSCAPE_VISIT_H
#define DESCENT_TRAIN_LANDSCAPE_VISIT_H

#include "train/landscape/landscape.h"
#include "train/landscape/plane.h"
#include "train/landscape/probe.h"
#include "train/plot.h"
#include "train/reopen.h"
#include "train/track.h"

#include <limits.h>
#include <stdio.h>

struct visit {
    const struct landscape_request *request;
    struct reopened run[LANDSCAPE_RUNS]; /* the first with its data set */
    int runs;
    struct descent_pool *pool;
    struct data_view *images, *few, *test; /* few: for statistics and curvature, of the images; test: as
                                              many as images */
    char out[PATH_MAX];
    struct descent_json *record; /* landscape.json: the request, then what came out */
    struct probe *probe;         /* on all threads; measures curvature on `few` */
    struct descent_param *param; /* the probe's */
    int count;
    int64_t size;   /* of a vector of weights */
    float *weights; /* of the first run; NULL where their path is asked for */
};

/* Opens the runs, and the output directory for a request of this kind: what is there of another request is
 * DESCENT_EXISTS without --force. */
enum descent_status visit_begin(const struct landscape_request *request, const char *kind,
                                struct visit *visit);
void visit_end(struct visit *visit);

/* The paths of the runs' weights. Free them in any case. */
struct visit_paths {
    struct track_points track[LANDSCAPE_RUNS];
    int first[LANDSCAPE_RUNS + 1]; /* of a run's points among all; after the last run: how many there are */
};

/* DESCENT_BAD_ARGUMENT: of a run no point was kept; else as track_read. */
enum descent_status visit_read_paths(const struct visit *visit, struct visit_paths *paths);
void visit_free_paths(struct visit_paths *paths);

/* out/NAME */
const char *visit_file(const struct visit *visit, const char *name, char path[PATH_MAX + 32]);

/* "accuracy", or "R^2" where the network predicts numbers. */
const char *visit_measure_name(const struct visit *visit);

/* Writes landscape.json with what has been added to visit->record. */
enum descent_status visit_record(const struct visit *visit);

/* Says what was written besides landscape.json: files, and pictures up to their ".svg and .png", with what
 * parts them from the files. */
void visit_print_files(const struct visit *visit, const char *files, const char *pictures,
                       enum plot_outcome outcome);

/* Loss and accuracy on the grids of planes of equal grids: planes x rows (y) x columns (x) x values, where
 * values are loss and accuracy of each part (the second NULL: one). Kept in grid.npy and, with the columns
 * named, grid.csv. *values is malloc'ed, and NULL where it is not done. */
enum descent_status visit_measure(const struct visit *visit, const struct plane *planes, int count,
                                  const struct data_view *const part[PROBE_PARTS], const char *columns,
                                  double **values, bool *done);

/* The kinds. */
enum descent_status around_weights(struct visit *visit, bool *done);
enum descent_status between_runs(struct visit *visit, bool *done);
enum descent_status along_trajectory(struct visit *visit, bool *done);
enum descent_status course_of_sharpness(struct visit *visit, bool *done);

#endif
