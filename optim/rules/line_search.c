/* Descent along a direction as far as the loss falls: down the gradient, or along directions that do not
 * undo one another (nonlinear conjugate gradients). Armijo 1966; Polak & Ribiere 1969; Nocedal & Wright,
 * Numerical Optimization, ch. 3 and 5. */
#include "optim/rules/line_search.h"

#define SEARCH_CARD                                                                                        \
    "Every length tried costs an evaluation. Gradients are not clipped; weight decay is a part of the\n"   \
    "loss. What lowers the loss of a small batch may raise it elsewhere, but an epoch of large ones is\n"  \
    "few steps; docs/results.md compares sizes.\n"

/* Both keep the length of the last step and where it is known, its slope. */
struct descent {
    struct whole whole;
    double *last; /* state: length, slope */
    whole_vector d, from, gradient, room[2];
};
enum { LENGTH, SLOPE, NUMBERS };

static struct descent *new_descent(struct optim_run *run, const char *direction, const char *gradient)
{
    struct descent *own = whole_new(run, sizeof *own);
    if (!own)
        return NULL;
    own->last = optim_state(run, NULL, "last", DESCENT_F64, 1, (const int64_t[]){NUMBERS});
    own->d = whole_new_vector(&own->whole, direction);
    own->gradient = whole_new_vector(&own->whole, gradient);
    own->from = own->whole.start;
    own->room[0] = whole_new_vector(&own->whole, NULL);
    own->room[1] = whole_new_vector(&own->whole, NULL);
    return own->last && own->d && own->gradient && own->room[0] && own->room[1] ? own : NULL;
}

/* The line from where the step began. */
static struct line line_of(struct descent *own, double loss, double slope, double decrease,
                           double curvature)
{
    enum { MOST = 30 };
    return (struct line){.whole = &own->whole,
                         .x = own->from,
                         .d = own->d,
                         .origin = {.loss = loss, .slope = slope, .grad = own->gradient},
                         .room = {own->room[0], own->room[1]},
                         .decrease = decrease,
                         .curvature = curvature,
                         .least = 1e-9,
                         .most = MOST};
}

/* --- Gradient descent with a line search. --- */

enum { LR, DECREASE, CURVATURE, FACTOR, GROW, SEARCH, WEIGHT_DECAY, DECAY_ALL, HYPERPARAMETERS };
enum { ARMIJO, STRONG_WOLFE };

#define DECREASE_ROW(initial)                                                                              \
    OPTIM_BETWEEN("decrease", initial, 0, 1, "share of what the slope promises that the loss must fall by")
#define CURVATURE_ROW(initial, help) OPTIM_BETWEEN("curvature", initial, 0, 1, help)

static const struct descent_option options[] = {
    [LR] = OPTIM_POSITIVE("lr", "1", false, 0, 0, "longest step, in gradients; where the search begins"),
    [DECREASE] = DECREASE_ROW("1e-4"),
    [CURVATURE] = CURVATURE_ROW("0.9", "strong_wolfe: share of its slope that may be left at the end"),
    [FACTOR] = {.name = "factor",
                .type = DESCENT_OPTION_REAL,
                .initial = "0.8",
                .max = 1,
                .open_min = true,
                .open_max = true,
                .help = "armijo: by which a step that is too long is cut"},
    [GROW] = OPTIM_POSITIVE("grow", "1.5", true, 0, 0, "first length tried, in lengths of the last step"),
    [SEARCH] = {.name = "search",
                .type = DESCENT_OPTION_CHOICE,
                .initial = "armijo",
                .choices = "armijo|strong_wolfe",
                .help = "backtrack until the loss falls enough, or look for a minimum along the line"},
    WHOLE_DECAY_ROWS,
};

static enum descent_status init(struct optim_run *run)
{
    struct descent *own = new_descent(run, NULL, NULL);
    if (!own)
        return DESCENT_OUT_OF_MEMORY;
    own->last[LENGTH] = INFINITY;
    return DESCENT_OK;
}

static enum descent_status step(struct optim_run *run)
{
    struct descent *own = run->tensor[0]->own;
    struct whole *w = &own->whole;
    const struct descent_value *hyper = run->tensor[0]->hyper;
    struct line_point found;
    double loss, factor = hyper[FACTOR].number;
    enum descent_status status = whole_begin(w, run, &loss);
    if (status)
        return status;
    whole_set(w, own->d, -1, w->grad);
    whole_set(w, own->gradient, 1, w->grad);
    double slope = -whole_dot(w, own->d, own->d);
    double t = fmin(hyper[GROW].number * own->last[LENGTH], whole_lr(w));
    if (t > 0 && slope < 0) {
        struct line line = line_of(own, loss, slope, hyper[DECREASE].number, hyper[CURVATURE].number);
        bool wolfe = hyper[SEARCH].number == STRONG_WOLFE;
        status = wolfe ? line_strong_wolfe(&line, t, &found) : line_backtrack(&line, t, factor, &found);
        /* After a search in vain the next one begins where it ended. */
        if (!status)
            own->last[LENGTH] = found.t > 0 ? found.t : t * pow(factor, line.evaluations);
    }
    return whole_end(w, status);
}

const struct optim_algorithm OPTIM_ALGORITHM(line_search) = {
    .name = "line_search",
    .summary = "gradient descent that looks for the length of each step",
    .answers = OPTIM_TUNING,
    .paper = "Armijo 1966, Minimization of functions having Lipschitz continuous first partial derivatives",
    .formula = "t = min(lr, grow t'), t' the last step's, lr at first\n"
               "armijo: t <- factor t until f(x - t g) <= f(x) - decrease t |g|^2\n"
               "strong_wolfe: and | <g(x - t g), g> | <= curvature |g|^2, by cubic interpolation\n"
               "x <- x - t g\n"
               "optax's form of the backtracking. " SEARCH_CARD,
    .options = options,
    .option_count = HYPERPARAMETERS,
    .decay = OPTIM_COUPLED,
    .needs = OPTIM_NEEDS_LOSS | OPTIM_NEEDS_EVALUATE,
    .init = init,
    .unscheduled = true,
    .step = step,
};

/* --- Nonlinear conjugate gradients. --- */

enum { CG_DECREASE = 1, CG_CURVATURE, CG_DECAY, CG_DECAY_ALL, CG_HYPERPARAMETERS };

static const struct descent_option cg_options[] = {
    [LR] = OPTIM_POSITIVE("lr", "1", false, 0, 0, "factor of the first length that is tried"),
    [CG_DECREASE] = DECREASE_ROW("1e-4"),
    [CG_CURVATURE] = CURVATURE_ROW("0.1", "share of its slope that may be left at the end of a line"),
    WHOLE_DECAY_ROWS,
};

static enum descent_status cg_init(struct optim_run *run)
{
    return new_descent(run, "direction", "gradient") ? DESCENT_OK : DESCENT_OUT_OF_MEMORY;
}

/* d <- -g + max(0, <g, g - g'> / <g', g'>) d, or -g where that does not go down; its slope. */
static double cg_direction(struct descent *own)
{
    struct whole *w = &own->whole;
    double square = whole_dot(w, w->grad, w->grad), slope = 0;
    double before = whole_dot(w, own->gradient, own->gradient);
    if (before > 0) {
        double beta = fmax(0, (square - whole_dot(w, w->grad, own->gradient)) / before);
        whole_blend(w, own->d, beta, -1, w->grad);
        slope = whole_dot(w, own->d, w->grad);
    }
    if (!(slope < 0)) {
        whole_set(w, own->d, -1, w->grad);
        slope = -square;
    }
    return slope;
}

static enum descent_status cg_step(struct optim_run *run)
{
    struct descent *own = run->tensor[0]->own;
    struct whole *w = &own->whole;
    const struct descent_value *hyper = run->tensor[0]->hyper;
    struct line_point found;
    double loss;
    enum descent_status status = whole_begin(w, run, &loss);
    if (status)
        return status;
    double slope = cg_direction(own);
    /* The first change of the loss is expected to be that of the last step. */
    double t = own->last[LENGTH] > 0 ? own->last[LENGTH] * own->last[SLOPE] / slope
                                     : fmin(1, 1 / whole_norm1(w, w->grad));
    whole_set(w, own->gradient, 1, w->grad);
    t *= whole_lr(w);
    if (t > 0 && slope < 0) {
        struct line line = line_of(own, loss, slope, hyper[CG_DECREASE].number, hyper[CG_CURVATURE].number);
        status = line_strong_wolfe(&line, t, &found);
        if (!status) {
            own->last[LENGTH] = found.t;
            own->last[SLOPE] = slope;
        }
    }
    return whole_end(w, status);
}

const struct optim_algorithm OPTIM_ALGORITHM(conjugate_gradient) = {
    .name = "conjugate_gradient",
    .summary = "line searches along directions that do not undo one another",
    .answers = OPTIM_RAVINES,
    .paper = "Polak & Ribiere 1969; Nocedal & Wright, Numerical Optimization, ch. 5",
    .formula = "d <- -g + max(0, <g, g - g'> / <g', g'>) d, g' the gradient of the step before\n"
               "d = -g at first, and where <g, d> >= 0\n"
               "t: strong Wolfe, f(x + t d) <= f + decrease t <g, d>, | <g(x + t d), d> | <= curvature | "
               "<g, d> |\n"
               "x <- x + t d\n"
               "Polak-Ribiere+. " SEARCH_CARD,
    .options = cg_options,
    .option_count = CG_HYPERPARAMETERS,
    .decay = OPTIM_COUPLED,
    .needs = OPTIM_NEEDS_LOSS | OPTIM_NEEDS_EVALUATE,
    .init = cg_init,
    .unscheduled = true,
    .step = cg_step,
};
