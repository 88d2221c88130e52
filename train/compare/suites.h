/* What is compared when nobody says: lists of optimizers by name, and whole comparisons of a stated size.
 */
#ifndef DESCENT_TRAIN_COMPARE_SUITES_H
#define DESCENT_TRAIN_COMPARE_SUITES_H

/* A list of optimizers. */
struct preset {
    const char *name, *summary;
    const char *optimizers; /* specs, separated by commas; NULL: all that work on mini-batches */
};

/* Ends with a name of NULL. */
extern const struct preset presets[];

/* A whole comparison. */
struct suite {
    const char *name, *summary;
    const char *tasks;      /* as --task takes them, separated by spaces */
    const char *optimizers; /* names and presets, separated by commas */
    int budget, seeds;
};

extern const struct suite suites[];

#endif
