/* See trajectory.h. Two parameters, an optimizer that knows nothing of where it is, and the surface's own
 * gradient. */
#include "train/landscape/trajectory.h"

#include "base/random.h"
#include "optim/optim.h"
#include "train/rate.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Where the optimizer stands; the objective's context. */
struct walk {
    const struct surface *surface;
    const struct trajectory_options *options;
    descent_real position[2], gradient[2];
    double loss;
    int step; /* of the noise */
};

static double evaluate_at(const struct walk *walk, double x, double y, double gradient[2])
{
    const double p[2] = {x, y};
    double value = walk->surface->value(p, gradient);
    struct descent_random random =
        descent_random_new(walk->options->seed, DESCENT_RANDOM_SURFACE, (uint64_t)walk->step);
    for (int i = 0; i < 2 && walk->options->noise > 0; i++)
        gradient[i] += walk->options->noise * (double)descent_random_normal(&random);
    return value;
}

static enum descent_status evaluate(void *context, double *loss)
{
    struct walk *walk = context;
    double gradient[2];
    *loss = walk->loss = evaluate_at(walk, (double)walk->position[0], (double)walk->position[1], gradient);
    walk->gradient[0] = (descent_real)gradient[0];
    walk->gradient[1] = (descent_real)gradient[1];
    return DESCENT_OK;
}

static enum descent_status loss_of(void *context, double *loss)
{
    *loss = ((struct walk *)context)->loss;
    return DESCENT_OK;
}

/* By central differences of the gradient, in double. */
static enum descent_status hessian_vector(void *context, const descent_real *const *v,
                                          descent_real *const *product)
{
    const struct walk *walk = context;
    double x = (double)walk->position[0], y = (double)walk->position[1], dx = (double)v[0][0],
           dy = (double)v[0][1], length = sqrt(dx * dx + dy * dy), ahead[2], behind[2];
    double h = length > 0 ? 1e-5 / length : 0;
    evaluate_at(walk, x + h * dx, y + h * dy, ahead);
    evaluate_at(walk, x - h * dx, y - h * dy, behind);
    for (int i = 0; i < 2; i++)
        product[0][i] = (descent_real)(length > 0 ? (ahead[i] - behind[i]) / (2 * h) : 0);
    return DESCENT_OK;
}

static bool inside(const struct surface *surface, const struct trajectory_point *p)
{
    return p->x >= surface->low[0] && p->x <= surface->high[0] && p->y >= surface->low[1] &&
           p->y <= surface->high[1];
}

static struct trajectory_point point_of(const struct walk *walk)
{
    const double p[2] = {(double)walk->position[0], (double)walk->position[1]};
    double gradient[2];
    return (struct trajectory_point){p[0], p[1], walk->surface->value(p, gradient)};
}

enum descent_status trajectory_take(const struct surface *surface, const char *spec, int steps,
                                    const struct trajectory_options *options, struct trajectory *path)
{
    struct walk walk = {.surface = surface, .options = options};
    const double *start = options->start ? options->start : surface->start;
    struct descent_param param = {.name = "xy",
                                  .kind = DESCENT_WEIGHT,
                                  .rank = 1,
                                  .shape = {2},
                                  .size = 2,
                                  .value = walk.position,
                                  .grad = walk.gradient};
    const struct optim_objective objective = {
        .context = &walk, .loss = loss_of, .evaluate = evaluate, .hessian_vector = hessian_vector};
    struct optim *optim = optim_new(spec, &param, 1);
    if (!optim)
        return DESCENT_BAD_ARGUMENT;
    walk.position[0] = (descent_real)start[0];
    walk.position[1] = (descent_real)start[1];
    enum descent_status status =
        optim_schedule(optim, options->schedule ? options->schedule : "constant", steps, steps);
    optim_set_objective(optim, &objective);
    path->steps = 0;
    path->left = path->diverged = false;
    path->lr = optim_lr(optim);
    path->point[0] = point_of(&walk);
    for (; path->steps < steps && !path->left && !path->diverged && status == DESCENT_OK; walk.step++) {
        double loss;
        evaluate(&walk, &loss);
        status = optim_step(optim);
        if (status == DESCENT_DIVERGED)
            path->diverged = true, status = DESCENT_OK;
        struct trajectory_point next = point_of(&walk);
        path->diverged |= !isfinite(next.x) || !isfinite(next.y) || !isfinite(next.value);
        if (path->diverged || status != DESCENT_OK)
            break;
        path->point[++path->steps] = next;
        path->left = !inside(surface, &next);
    }
    optim_free(optim);
    return status;
}

/* The value where a path ends, at the edge if it left; what diverged has reached nothing, what left a
 * surface without a minimum on its way down has no end. */
static double final_value(const struct surface *surface, const struct trajectory *path)
{
    double gradient[2];
    const struct trajectory_point *end = &path->point[path->steps];
    if (surface->unbounded && path->left && end->value < path->point[0].value)
        return -INFINITY;
    const double p[2] = {fmin(fmax(end->x, surface->low[0]), surface->high[0]),
                         fmin(fmax(end->y, surface->low[1]), surface->high[1])};
    return path->diverged ? INFINITY : surface->value(p, gradient);
}

static void insert_rate(const char *spec, double lr, struct trajectory *path)
{
    char text[32];
    snprintf(text, sizeof text, "%.3g", lr);
    rate_insert(spec, text, path->spec, sizeof path->spec);
}

enum descent_status trajectory_tune(const struct surface *surface, const char *spec, int steps,
                                    const struct trajectory_options *options, struct trajectory *path)
{
    double best = INFINITY, best_lr = 0;
    int best_steps = 0;
    for (int i = 0; i < options->budget; i++) {
        double lr = options->budget > 1 ? 1e-5 * pow(1e7, i / (double)(options->budget - 1)) : 1e-2;
        insert_rate(spec, lr, path);
        enum descent_status status = trajectory_take(surface, path->spec, steps, options, path);
        if (status != DESCENT_OK)
            return status;
        double value = final_value(surface, path);
        if (i == 0 || value < best || (value == best && path->steps < best_steps)) {
            best = value;
            best_lr = lr;
            best_steps = path->steps;
        }
    }
    insert_rate(spec, best_lr, path);
    return trajectory_take(surface, path->spec, steps, options, path);
}

int trajectory_arrival(const struct surface *surface, const struct trajectory *path, double share)
{
    int arrival = -1;
    double bound = surface->lowest + share * (path->point[0].value - surface->lowest);
    for (int i = path->steps; i >= 0; i--) {
        bool beyond = path->left && i == path->steps && surface->unbounded;
        if (!(path->point[i].value <= bound) && !beyond)
            break;
        arrival = i;
    }
    return path->diverged || (path->left && !surface->unbounded) ? -1 : arrival;
}

double trajectory_length(const struct trajectory *path)
{
    double length = 0;
    for (int i = 1; i <= path->steps; i++)
        length += hypot(path->point[i].x - path->point[i - 1].x, path->point[i].y - path->point[i - 1].y);
    return length;
}

int trajectory_turns(const struct surface *surface, const struct trajectory *path)
{
    int turns = 0;
    double least = 1e-3 * hypot(surface->high[0] - surface->low[0], surface->high[1] - surface->low[1]);
    double before[2] = {0, 0};
    for (int i = 1; i <= path->steps; i++) {
        double step[2] = {path->point[i].x - path->point[i - 1].x, path->point[i].y - path->point[i - 1].y};
        if (!(hypot(step[0], step[1]) >= least))
            step[0] = step[1] = 0;
        turns += step[0] * before[0] + step[1] * before[1] < 0;
        before[0] = step[0];
        before[1] = step[1];
    }
    return turns;
}
