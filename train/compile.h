/* The system's C compiler: from a user's own C file to a shared object in a cache. */
#ifndef DESCENT_TRAIN_COMPILE_H
#define DESCENT_TRAIN_COMPILE_H

#include "base/status.h"

#include <limits.h>

/* Writes to `object` the path of the shared object for the C file at `path`: the one in the cache
 * ($XDG_CACHE_HOME/descent or ~/.cache/descent) that was made of the same source, headers, compiler and
 * flags, or a new one, whose making removes from the cache what was not used for 90 days. The compiler is
 * $CC, or cc; its own words go to standard error. DESCENT_BAD_ARGUMENT: it found errors, or the path does
 * not end in .c: by that compilers know a C file, and the preprocessor, given something else, finds nothing
 * and no error; DESCENT_NOT_FOUND: there is no compiler or no header. */
enum descent_status compile_shared(const char *path, char object[PATH_MAX]);

#endif
