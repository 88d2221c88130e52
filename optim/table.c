/* What the driver picks by instruction set: the algorithms (optim_list.h is made by meson.build) and its
 * own hot loop. */
#include "optim/elementwise.h"
#include "optim/internal.h"

#define X(name) extern const struct optim_algorithm OPTIM_ALGORITHM(name);
OPTIM_ALGORITHM_LIST(X)
#undef X

static const struct optim_algorithm *const algorithms[] = {
#define X(name) &OPTIM_ALGORITHM(name),
    OPTIM_ALGORITHM_LIST(X)
#undef X
};

#define X(name) extern const struct optim_algorithm OPTIM_WRAPPER(name);
OPTIM_WRAPPER_LIST(X)
#undef X

static const struct optim_algorithm *const wrappers[] = {
#define X(name) &OPTIM_WRAPPER(name),
    OPTIM_WRAPPER_LIST(X)
#undef X
};

/* In double: squares of float gradients neither overflow nor vanish. One stream of reads
 * leaves the memory waiting; four together are up to three times as fast. */
static void sum_squares(struct optim_part *part)
{
    enum { STREAMS = 4 };
    const descent_real *g = part->tensor->param->grad + part->begin;
    int64_t n = part->end - part->begin, length = n / STREAMS / OPTIM_LANES * OPTIM_LANES;
    double lane[OPTIM_LANES] = {0}, sum = 0;
    for (int64_t i = 0; i < length; i += OPTIM_LANES)
        for (int s = 0; s < STREAMS; s++)
            for (int j = 0; j < OPTIM_LANES; j++)
                lane[j] += (double)g[s * length + i + j] * (double)g[s * length + i + j];
    for (int64_t i = STREAMS * length; i < n; i++)
        sum += (double)g[i] * (double)g[i];
    for (int j = 0; j < OPTIM_LANES; j++)
        sum += lane[j];
    part->gradient = sum;
}

const struct optim_table DESCENT_FOR_ISA(optim_table) = {
    .algorithm = algorithms,
    .count = sizeof algorithms / sizeof *algorithms,
    .wrapper = wrappers,
    .wrapper_count = sizeof wrappers / sizeof *wrappers,
    .sum_squares = sum_squares,
};
