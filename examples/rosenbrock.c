/* Minimizes a function of a plain array with optim/optim.h alone: Rosenbrock's (1 - x)^2 + 100 (y - x^2)^2.
 * rosenbrock [OPTIMIZER [STEPS]], "lbfgs" and 3 if not given. */
#include "optim/optim.h"

#include <stdio.h>
#include <stdlib.h>

static float point[2] = {-1.2F, 1}, gradient[2];

static enum descent_status evaluate(void *context, double *loss)
{
    double x = point[0], bend = point[1] - x * x;
    *(double *)context = *loss = (1 - x) * (1 - x) + 100 * bend * bend;
    gradient[0] = (float)(2 * (x - 1) - 400 * x * bend);
    gradient[1] = (float)(200 * bend);
    return DESCENT_OK;
}

static enum descent_status last_loss(void *context, double *loss)
{
    *loss = *(const double *)context;
    return DESCENT_OK;
}

int main(int argc, char **argv)
{
    double loss;
    struct descent_param param = {
        .name = "point", .rank = 1, .shape = {2}, .size = 2, .value = point, .grad = gradient};
    const struct optim_objective objective = {.context = &loss, .loss = last_loss, .evaluate = evaluate};
    struct optim *optim = optim_new(argc > 1 ? argv[1] : "lbfgs", &param, 1);
    enum descent_status status = optim ? DESCENT_OK : DESCENT_BAD_ARGUMENT;
    if (optim)
        optim_set_objective(optim, &objective); /* for those that need more than a gradient */
    for (int step = argc > 2 ? atoi(argv[2]) : 3; step > 0 && !status; step--) {
        evaluate(&loss, &loss);
        status = optim_step(optim);
    }
    optim_free(optim);
    if (status)
        return fprintf(stderr, "rosenbrock: %s\n", descent_error()), 1;
    evaluate(&loss, &loss);
    printf("x %.4f  y %.4f  loss %.2g\n", (double)point[0], (double)point[1], loss);
    return 0;
}
