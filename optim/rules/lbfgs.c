/* L-BFGS: Newton's direction from the last gradients alone. Pairs of steps and gradient differences make an
 * approximate inverse Hessian, applied by the two-loop recursion and never formed. Liu & Nocedal 1989, On
 * the limited memory BFGS method for large scale optimization. The order of tests is that of PyTorch's
 * lbfgs.py, so that iterations and evaluations can be counted against it. */
#include "optim/rules/line_search.h"

enum {
    LR,
    MAX_ITERATIONS,
    MAX_EVALUATIONS,
    TOLERANCE_GRADIENT,
    TOLERANCE_CHANGE,
    HISTORY,
    LINE_SEARCH,
    WEIGHT_DECAY,
    DECAY_ALL,
    HYPERPARAMETERS,
};

enum { NO_SEARCH, STRONG_WOLFE };
enum { MOST_IN_SEARCH = 25 };

static const struct descent_option options[] = {
    [LR] = OPTIM_POSITIVE("lr", "1", false, 0, 0, "length of the step, or of the first one that is tried"),
    [MAX_ITERATIONS] = {.name = "iterations",
                        .type = DESCENT_OPTION_INTEGER,
                        .initial = "20",
                        .min = 1,
                        .max = 1e6,
                        .help = "most iterations in an optimizer step"},
    [MAX_EVALUATIONS] = {.name = "evaluations",
                         .type = DESCENT_OPTION_INTEGER,
                         .initial = "0",
                         .max = 1e9,
                         .help = "evaluations after which a step ends; 0: 5/4 of the iterations"},
    [TOLERANCE_GRADIENT] = OPTIM_POSITIVE("tolerance_grad", "1e-7", false, 0, 0,
                                          "the step ends when no element of the gradient is larger"),
    [TOLERANCE_CHANGE] = OPTIM_POSITIVE("tolerance_change", "1e-9", false, 0, 0,
                                        "the step ends when the loss, or every value, changes by less"),
    [HISTORY] = {.name = "history",
                 .type = DESCENT_OPTION_INTEGER,
                 .initial = "10",
                 .min = 1,
                 .max = 1000,
                 .help = "pairs that are kept, each twice the size of the model"},
    [LINE_SEARCH] = {.name = "line_search",
                     .type = DESCENT_OPTION_CHOICE,
                     .initial = "strong_wolfe",
                     .choices = "none|strong_wolfe",
                     .help = "how the length of a step is found"},
    [WEIGHT_DECAY] = OPTIM_WEIGHT_DECAY("0", 0, 0),
    [DECAY_ALL] = OPTIM_DECAY_ALL,
};

/* Of the whole model, saved as so many numbers. */
struct progress {
    double iterations, evaluations; /* since the beginning */
    double pairs;                   /* ever stored: pair i lies at i % history */
    double t;                       /* of the last iteration, along `direction` */
    double scale;                   /* H0 = scale I */
};

struct lbfgs {
    struct whole whole;
    struct progress *progress;
    int history;
    double *rho; /* 1 / <y, s> of each pair */
    double *alpha;
    whole_vector *s, *y;            /* by place in the history */
    whole_vector direction, before; /* of the last iteration, and the gradient it began with */
    whole_vector from, room[2];
};

/* A state of `history` rows a tensor, as so many vectors. */
static whole_vector *new_rows(struct lbfgs *own, struct optim_run *run, const char *name)
{
    whole_vector *rows = optim_scratch(run, (size_t)own->history * sizeof *rows);
    for (int i = 0; rows && i < own->history; i++)
        if (!(rows[i] = optim_scratch(run, (size_t)own->whole.length * sizeof **rows)))
            return NULL;
    for (int i = 0; rows && i < run->count; i++) {
        struct optim_tensor *t = run->tensor[i];
        const int64_t shape[] = {own->history, t->param->size};
        descent_real *memory = optim_state(run, t, name, OPTIM_REAL, 2, shape);
        if (!memory)
            return NULL;
        for (int row = 0; row < own->history; row++)
            rows[row][t->index] = memory + row * t->param->size;
    }
    return rows;
}

static enum descent_status init(struct optim_run *run)
{
    struct lbfgs *own = whole_new(run, sizeof *own);
    if (!own)
        return DESCENT_OUT_OF_MEMORY;
    struct whole *w = &own->whole;
    own->history = (int)whole_hyper(w)[HISTORY].number;
    const int64_t numbers[] = {sizeof *own->progress / sizeof(double)}, pairs[] = {own->history};
    own->progress = optim_state(run, NULL, "progress", DESCENT_F64, 1, numbers);
    own->rho = optim_state(run, NULL, "rho", DESCENT_F64, 1, pairs);
    own->alpha = optim_scratch(run, (size_t)own->history * sizeof *own->alpha);
    own->s = new_rows(own, run, "s");
    own->y = new_rows(own, run, "y");
    own->direction = whole_new_vector(w, "direction");
    own->before = whole_new_vector(w, "gradient");
    own->from = whole_new_vector(w, NULL);
    own->room[0] = whole_new_vector(w, NULL);
    own->room[1] = whole_new_vector(w, NULL);
    bool made = own->progress && own->rho && own->alpha && own->s && own->y && own->direction &&
                own->before && own->from && own->room[0] && own->room[1];
    return made ? DESCENT_OK : DESCENT_OUT_OF_MEMORY;
}

/* s = t d and y = g - g of the iteration before, if they show positive curvature. They are made in the
 * place of the oldest pair, which a rejected pair must not destroy: y goes to scratch first. */
static void remember(struct lbfgs *own)
{
    struct whole *w = &own->whole;
    struct progress *p = own->progress;
    int place = (int)fmod(p->pairs, own->history);
    whole_vector y = own->room[0];
    whole_sum(w, y, w->grad, -1, own->before);
    double curvature = p->t * whole_dot(w, y, own->direction);
    if (!(curvature > 1e-10))
        return;
    whole_set(w, own->y[place], 1, y);
    whole_set(w, own->s[place], p->t, own->direction);
    own->rho[place] = 1 / curvature;
    p->scale = curvature / whole_dot(w, y, y);
    p->pairs++;
}

/* d = -H g by the two-loop recursion */
static void find_direction(struct lbfgs *own)
{
    struct whole *w = &own->whole;
    double last = own->progress->pairs, first = fmax(0, last - own->history);
    whole_vector d = own->direction;
    whole_set(w, d, -1, w->grad);
    for (double i = last - 1; i >= first; i--) {
        int k = (int)fmod(i, own->history);
        own->alpha[k] = own->rho[k] * whole_dot(w, own->s[k], d);
        whole_blend(w, d, 1, -own->alpha[k], own->y[k]);
    }
    whole_scale(w, d, own->progress->scale);
    for (double i = first; i < last; i++) {
        int k = (int)fmod(i, own->history);
        double beta = own->rho[k] * whole_dot(w, own->y[k], d);
        whole_blend(w, d, 1, own->alpha[k] - beta, own->s[k]);
    }
}

/* Moves along the direction. Without a line search the last iteration of a step does not look where it
 * arrived. */
static enum descent_status move(struct lbfgs *own, double *loss, double slope, bool last, int *evaluated)
{
    struct whole *w = &own->whole;
    const struct descent_value *hyper = whole_hyper(w);
    struct line line = {.whole = w,
                        .x = own->from,
                        .d = own->direction,
                        .origin = {.loss = *loss, .slope = slope, .grad = own->before},
                        .room = {own->room[0], own->room[1]},
                        .decrease = 1e-4,
                        .curvature = 0.9,
                        .least = hyper[TOLERANCE_CHANGE].number,
                        .most = MOST_IN_SEARCH};
    whole_set(w, own->from, 1, w->value);
    *evaluated = !last;
    if (hyper[LINE_SEARCH].number == NO_SEARCH) {
        whole_move(w, own->from, own->progress->t, own->direction);
        return last ? DESCENT_OK : whole_evaluate(w, loss);
    }
    struct line_point found = line.origin;
    enum descent_status status = line_strong_wolfe(&line, own->progress->t, &found);
    *evaluated = line.evaluations;
    *loss = found.loss;
    own->progress->t = found.t;
    return status;
}

/* One iteration; *more is whether there is reason for another. */
static enum descent_status iterate(struct lbfgs *own, double *loss, bool last, int *evaluated, bool *more)
{
    struct whole *w = &own->whole;
    struct progress *p = own->progress;
    const struct descent_value *hyper = whole_hyper(w);
    double before = *loss, tolerance = hyper[TOLERANCE_CHANGE].number;
    p->t = whole_lr(w);
    if (++p->iterations == 1) {
        p->scale = 1;
        p->t *= fmin(1, 1 / whole_norm1(w, w->grad));
    }
    find_direction(own);
    whole_set(w, own->before, 1, w->grad);
    double slope = whole_dot(w, w->grad, own->direction);
    *more = !(slope > -tolerance);
    *evaluated = 0;
    if (!*more)
        return DESCENT_OK;
    enum descent_status status = move(own, loss, slope, last, evaluated);
    *more = !last && whole_largest(w, w->grad) > hyper[TOLERANCE_GRADIENT].number &&
            fabs(p->t) * whole_largest(w, own->direction) > tolerance && fabs(*loss - before) >= tolerance;
    return status;
}

static enum descent_status step(struct optim_run *run)
{
    struct lbfgs *own = run->tensor[0]->own;
    struct whole *w = &own->whole;
    const struct descent_value *hyper = run->tensor[0]->hyper;
    double loss, most = hyper[MAX_ITERATIONS].number, budget = hyper[MAX_EVALUATIONS].number;
    enum descent_status status = whole_begin(w, run, &loss);
    if (status)
        return status;
    budget = budget > 0 ? budget : floor(most * 5 / 4);
    double spent = 1;
    bool more = whole_lr(w) > 0 && whole_largest(w, w->grad) > hyper[TOLERANCE_GRADIENT].number;
    for (double i = 1; more && !status; i++) {
        int evaluated;
        if (own->progress->iterations > 0)
            remember(own);
        status = iterate(own, &loss, i == most, &evaluated, &more);
        spent += evaluated;
        more = more && spent < budget;
    }
    own->progress->evaluations += spent;
    return whole_end(w, status);
}

const struct optim_algorithm OPTIM_ALGORITHM(lbfgs) = {
    .name = "lbfgs",
    .summary = "Newton's direction from the last gradients, with a line search",
    .answers = OPTIM_CURVATURE,
    .paper = "Liu & Nocedal 1989, On the limited memory BFGS method for large scale optimization",
    .formula = "a step is up to `iterations` of these, on one and the same batch:\n"
               "s = x - x', y = g - g', kept if <y, s> > 1e-10, the oldest dropped past `history`\n"
               "q = -g;  newest to oldest: a_i = <s_i, q> / <y_i, s_i>,  q <- q - a_i y_i\n"
               "d = q <y, s> / <y, y> of the newest;  oldest to newest:\n"
               "    d <- d + (a_i - <y_i, d> / <y_i, s_i>) s_i\n"
               "x <- x + t d, t from the strong Wolfe conditions (c1 = 1e-4, c2 = 0.9), lr tried first;\n"
               "    in the very first iteration lr min(1, 1 / |g|_1)\n"
               "PyTorch's form, whose defaults are history=100 and line_search=none. Gradients are not\n"
               "clipped; weight decay is a part of the loss. Differences of noisy gradients say nothing\n"
               "about curvature: --batch all, or a thousand; docs/results.md compares sizes.\n",
    .options = options,
    .option_count = HYPERPARAMETERS,
    .decay = OPTIM_COUPLED,
    .needs = OPTIM_NEEDS_LOSS | OPTIM_NEEDS_EVALUATE,
    .init = init,
    .unscheduled = true,
    .step = step,
};
