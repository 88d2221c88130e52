/* Contact sheets: what the network sees of a data set. */
#ifndef DESCENT_TRAIN_SHEET_H
#define DESCENT_TRAIN_SHEET_H

#include "data/data.h"

struct sheet {
    const char *path;    /* of the PNG file to write */
    const char *augment; /* a spec, or NULL */
    uint64_t seed;
};

/* A row for each class, at most SHEET_ROWS: its name and its first SHEET_COLUMNS training images; with
 * `augment`, its first training image as it is, and as the first epochs see it. */
enum { SHEET_ROWS = 24, SHEET_COLUMNS = 9 };
enum descent_status sheet_write(const struct data_set *set, const struct sheet *sheet);

#endif
