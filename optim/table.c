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

/* In double: squares of float gradients neither overflow nor vanish. */
static void sum_squares(struct optim_part *part)
{
    const descent_real *g = part->tensor->param->grad + part->begin;
    int64_t n = part->end - part->begin, i = 0;
    double lane[OPTIM_LANES] = {0}, sum = 0;
    for (; i + OPTIM_LANES <= n; i += OPTIM_LANES)
        for (int j = 0; j < OPTIM_LANES; j++)
            lane[j] += (double)g[i + j] * (double)g[i + j];
    for (; i < n; i++)
        sum += (double)g[i] * (double)g[i];
    for (int j = 0; j < OPTIM_LANES; j++)
        sum += lane[j];
    part->sum = sum;
}

const struct optim_table DESCENT_FOR_ISA(optim_table) = {
    .algorithm = algorithms,
    .count = sizeof algorithms / sizeof *algorithms,
    .sum_squares = sum_squares,
};
