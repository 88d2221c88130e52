/* What a user's own C file, compiled and loaded by `train`, exports beside its model or update rule: for
 * which interface it was compiled. Nobody needs this by name: MODEL_EXPORT (models/models.h) and
 * OPTIM_EXPORT (optim/algorithm.h) do. */
#ifndef DESCENT_BASE_INTERFACE_H
#define DESCENT_BASE_INTERFACE_H

/* Of the public headers. Raised whenever a structure in them changes its layout, or a function its meaning:
 * a program refuses a file that was compiled for another version. */
enum { DESCENT_INTERFACE = 2 };

struct descent_interface {
    int version;
    const char *compiler;
};

#define DESCENT_EXPORT_INTERFACE(name)                                                                     \
    extern const struct descent_interface name;                                                            \
    const struct descent_interface name = {DESCENT_INTERFACE, __VERSION__}

#endif
