/* Users' own C files: compiled with the system's compiler into a cache, loaded, and registered as a model
 * or an optimizer under the path by which a spec names them. Nothing is compiled by being looked up: only
 * what is asked for here, which is what a person typed on this command line. */
#ifndef DESCENT_TRAIN_EXTENSION_H
#define DESCENT_TRAIN_EXTENSION_H

#include "data/digest.h"
#include "train/run.h"

#include <limits.h>

enum extension_kind { EXTENSION_MODEL, EXTENSION_OPTIMIZER };

struct extension {
    const char *path, *full_path, *md5; /* as specs name it; from the root; of the source */
    const char *compiler;               /* its version */
};

/* Whether a spec, or what `--group` sets, names a C file. */
bool spec_names_code(const char *spec);

/* Loads the C files that a spec names, those of a training run's, or one by its path; once each. The
 * compiler's own words go to standard error. DESCENT_BAD_ARGUMENT: it does not compile, or is no such
 * thing, or for another version of descent. DESCENT_NOT_FOUND: there is no such file, or no compiler.
 * Before there are other threads. */
enum descent_status extension_load(enum extension_kind kind, const char *path);
enum descent_status extension_load_spec(enum extension_kind kind, const char *spec);
enum descent_status extension_load_config(const struct train_config *config);

/* The same of a spec that was not typed but found in `where`, a file of a run directory:
 * DESCENT_BAD_ARGUMENT unless --allow-code was given or it names no code. */
enum descent_status extension_load_found(enum extension_kind kind, const char *spec, const char *where,
                                         bool allow_code);

/* Of a C file as it is now, compiled or not. */
enum descent_status extension_digest(const char *path, char md5[DATA_MD5_TEXT]);

/* The digests of the sources of the loaded C files that a spec names, joined by "+"; "" if it names none.
 */
enum { EXTENSION_DIGESTS = 300 };
const char *extension_digests(const char *spec, char text[EXTENSION_DIGESTS]);

/* The loaded C file that config names as number i, counted from 0; NULL past the last. */
const struct extension *extension_of_config(const struct train_config *config, int i);

#endif
