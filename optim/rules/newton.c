/* Newton's method without a matrix: conjugate gradients solve for the step, on products with the Hessian
 * (Newton-CG: Nocedal & Wright, Numerical Optimization, ch. 7) or with the Gauss-Newton matrix, damped
 * (Hessian-free: Martens 2010, Deep learning via Hessian-free optimization). */
#include "optim/rules/line_search.h"

enum { LR, ITERATIONS, OWN };

/* (B + damping I) d = -g, B with weight decay. */
struct newton {
    struct whole whole;
    whole_vector g, d, r, p, product, room[2]; /* r: residual, p: direction of the conjugate gradients */
    double damping;

    /* Hessian-free */
    double *saved;         /* state: damping */
    whole_vector diagonal; /* state: mean of the squared sampled gradient */
    whole_vector scaled;   /* r, preconditioned */
    double correction;     /* of the mean's bias */
    double *q;             /* of each iterate: g'd + d'(B + damping I)d / 2 */
    whole_vector *kept;    /* iterates, to go back to ... */
    int *kept_at;          /* ... of these iterations */
    int kept_count;
};

/* The next iteration whose result is kept. */
static int next_kept(int i)
{
    return (int)ceil(1.3 * i + 1e-9) > i ? (int)ceil(1.3 * i + 1e-9) : i + 1;
}

static struct newton *new_newton(struct optim_run *run, const char *direction)
{
    struct newton *own = whole_new(run, sizeof *own);
    if (!own)
        return NULL;
    whole_vector *const vectors[] = {&own->g,       &own->r,       &own->p,
                                     &own->product, &own->room[0], &own->room[1]};
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++)
        if (!(*vectors[i] = whole_new_vector(&own->whole, NULL)))
            return NULL;
    own->d = whole_new_vector(&own->whole, direction);
    return own->d ? own : NULL;
}

/* product += (damping + weight decay) p, for all p at hand in w->x */
static void damp(struct optim_part *part)
{
    const struct optim_tensor *t = part->tensor;
    const struct newton *own = t->own;
    descent_real factor = (descent_real)(own->damping + t->l2);
    whole_blend_range(part->end - part->begin, own->product[t->index] + part->begin, 1, factor,
                      own->whole.x[t->index] + part->begin);
}

typedef enum descent_status product_function(void *context, const descent_real *const *v,
                                             descent_real *const *product);

/* own->product = (B + damping I) v */
static enum descent_status multiply(struct newton *own, product_function *function, whole_vector v)
{
    struct optim_run *run = own->whole.run;
    enum descent_status status =
        function(run->objective->context, (const descent_real *const *)v, own->product);
    own->whole.x = v;
    if (!status)
        optim_for_parts(run, damp);
    return status;
}

/* Moves to x + d, or less far if the loss does not fall by enough of what the slope promises. */
static enum descent_status search(struct newton *own, double loss, double slope, double decrease)
{
    enum { MOST = 40 };
    struct whole *w = &own->whole;
    struct line_point found;
    struct line line = {.whole = w,
                        .x = w->start,
                        .d = own->d,
                        .origin = {.loss = loss, .slope = slope, .grad = own->g},
                        .room = {own->room[0], own->room[1]},
                        .decrease = decrease,
                        .most = MOST};
    return line_backtrack(&line, whole_lr(w), 0.5, &found);
}

#define ITERATIONS_ROW(initial_)                                                                           \
    {                                                                                                      \
        .name = "iterations", .type = DESCENT_OPTION_INTEGER, .initial = (initial_), .min = 1, .max = 1e5, \
        .help = "most iterations of the conjugate gradients, a product each"                               \
    }

/* --- Newton-CG --- */

enum { DECAY = OWN, DECAY_ALL, HYPERPARAMETERS };

static const struct descent_option options[] = {
    [LR] = OPTIM_POSITIVE("lr", "1", false, 0, 0, "length of the step that is tried first"),
    [ITERATIONS] = ITERATIONS_ROW("50"),
    WHOLE_DECAY_ROWS,
};

static enum descent_status init(struct optim_run *run)
{
    return new_newton(run, NULL) ? DESCENT_OK : DESCENT_OUT_OF_MEMORY;
}

/* d from H d = -g, no closer than min(1/2, sqrt(|g|)) |g|, and no further than where the curvature is
 * negative; along -g if that is so at once. */
static enum descent_status solve(struct newton *own)
{
    struct whole *w = &own->whole;
    product_function *function = w->run->objective->hessian_vector;
    double square = whole_dot(w, own->g, own->g), size = sqrt(square);
    double tolerance = fmin(0.5, sqrt(size)) * size, most = whole_hyper(w)[ITERATIONS].number;
    whole_set(w, own->d, 0, own->g);
    whole_set(w, own->r, -1, own->g);
    whole_set(w, own->p, -1, own->g);
    for (int i = 0; i < most && sqrt(square) > tolerance; i++) {
        enum descent_status status = multiply(own, function, own->p);
        if (status)
            return status;
        double curvature = whole_dot(w, own->p, own->product);
        if (!(curvature > 0)) {
            if (i == 0)
                whole_set(w, own->d, -1, own->g);
            return DESCENT_OK;
        }
        whole_blend(w, own->d, 1, square / curvature, own->p);
        whole_blend(w, own->r, 1, -square / curvature, own->product);
        double next = whole_dot(w, own->r, own->r);
        whole_blend(w, own->p, next / square, 1, own->r);
        square = next;
    }
    return DESCENT_OK;
}

static enum descent_status step(struct optim_run *run)
{
    struct newton *own = run->tensor[0]->own;
    struct whole *w = &own->whole;
    double loss;
    enum descent_status status = whole_begin(w, run, &loss);
    if (status || whole_lr(w) == 0)
        return status ? status : whole_end(w, status);
    whole_set(w, own->g, 1, w->grad);
    status = solve(own);
    double slope = whole_dot(w, own->g, own->d);
    if (!status && slope < 0)
        status = search(own, loss, slope, 1e-4);
    return whole_end(w, status);
}

const struct optim_algorithm OPTIM_ALGORITHM(newton_cg) = {
    .name = "newton_cg",
    .summary = "Newton's step by conjugate gradients, down where the curvature is negative",
    .answers = OPTIM_SADDLES,
    .paper = "Nocedal & Wright, Numerical Optimization, ch. 7; Dembo & Steihaug 1983",
    .formula =
        "H d = -g by conjugate gradients from d = 0, until |H d + g| <= min(1/2, sqrt(|g|)) |g|,\n"
        "    or until p' H p <= 0 for one of their directions p: d as it is, -g if it is 0\n"
        "t = lr, lr/2, lr/4, ... until f(x + t d) <= f + 1e-4 t <g, d>\n"
        "x <- x + t d\n"
        "An iteration costs two gradients. Gradients are not clipped; weight decay is a part of the\n"
        "loss. A step solves the batch at hand and forgets all others, but an epoch of large batches is\n"
        "few steps; docs/results.md compares sizes.\n",
    .options = options,
    .option_count = HYPERPARAMETERS,
    .decay = OPTIM_COUPLED,
    .needs = OPTIM_NEEDS_LOSS | OPTIM_NEEDS_EVALUATE | OPTIM_NEEDS_HESSIAN_VECTOR,
    .init = init,
    .unscheduled = true,
    .step = step,
};

/* --- Hessian-free --- */

enum { DAMPING = OWN, HF_DECAY, HF_DECAY_ALL, HF_HYPERPARAMETERS };

static const double diagonal_rate = 0.95;

static const struct descent_option hf_options[] = {
    [LR] = OPTIM_POSITIVE("lr", "1", false, 0, 0, "length of the step that is tried first"),
    [ITERATIONS] = ITERATIONS_ROW("50"),
    [DAMPING] = OPTIM_POSITIVE("damping", "1", true, 1e-2, 100, "at first; it then follows the ratio"),
    WHOLE_DECAY_ROWS,
};

static enum descent_status hf_init(struct optim_run *run)
{
    struct newton *own = new_newton(run, "direction");
    if (!own)
        return DESCENT_OUT_OF_MEMORY;
    int most = (int)whole_hyper(&own->whole)[ITERATIONS].number, count = 1;
    for (int i = 1; i < most; i = next_kept(i))
        count++;
    own->saved = optim_state(run, NULL, "damping", DESCENT_F64, 0, NULL);
    own->diagonal = whole_new_vector(&own->whole, "diagonal");
    own->scaled = whole_new_vector(&own->whole, NULL);
    own->q = optim_scratch(run, ((size_t)most + 1) * sizeof *own->q);
    own->kept = optim_scratch(run, (size_t)count * sizeof *own->kept);
    own->kept_at = optim_scratch(run, (size_t)count * sizeof *own->kept_at);
    if (!own->saved || !own->diagonal || !own->scaled || !own->q || !own->kept || !own->kept_at)
        return DESCENT_OUT_OF_MEMORY;
    for (int i = 0; i < count; i++)
        if (!(own->kept[i] = whole_new_vector(&own->whole, NULL)))
            return DESCENT_OUT_OF_MEMORY;
    *own->saved = whole_hyper(&own->whole)[DAMPING].number;
    return DESCENT_OK;
}

/* diagonal <- rate diagonal + (1 - rate) batch s^2, s the sampled gradient; batch in w->a. */
static void average_squares(struct optim_part *part)
{
    const struct newton *own = part->tensor->own;
    descent_real *d = own->diagonal[part->tensor->index], rate = (descent_real)diagonal_rate;
    const descent_real *s = part->tensor->param->grad;
    for (int64_t i = part->begin; i < part->end; i++)
        d[i] = rate * d[i] + (1 - rate) * own->whole.a * s[i] * s[i];
}

/* scaled = r / (diagonal + weight decay + damping)^(3/4) */
static void precondition(struct optim_part *part)
{
    const struct optim_tensor *t = part->tensor;
    const struct newton *own = t->own;
    descent_real more = (descent_real)(own->damping + t->l2), correction = (descent_real)own->correction;
    for (int64_t i = part->begin; i < part->end; i++) {
        descent_real root = sqrt(own->diagonal[t->index][i] * correction + more);
        own->scaled[t->index][i] = own->r[t->index][i] / (root * sqrt(root));
    }
}

/* The diagonal that preconditions. Leaves the sampled gradient behind. */
static enum descent_status look_at_diagonal(struct newton *own)
{
    struct whole *w = &own->whole;
    double batch;
    enum descent_status status = w->run->objective->sampled_gradient(w->run->objective->context, &batch);
    w->a = (descent_real)batch;
    if (!status)
        optim_for_parts(w->run, average_squares);
    own->correction = 1 / (1 - pow(diagonal_rate, (double)w->run->step));
    return status;
}

/* q(d) of the quadratic model, from the residual r = -g - (B + damping I) d */
static double model_at(struct newton *own)
{
    struct whole *w = &own->whole;
    return (whole_dot(w, own->g, own->d) - whole_dot(w, own->r, own->d)) / 2;
}

/* Whether the last iterations have gained too little to go on. */
static bool stalls(const struct newton *own, int i)
{
    int back = i / 10 > 10 ? i / 10 : 10;
    double q = own->q[i];
    return i > back && q < 0 && (q - own->q[i - back]) / q < back * 5e-4;
}

/* Preconditioned conjugate gradients from the last step's d, keeping iterates on the way. */
static enum descent_status hf_solve(struct newton *own)
{
    struct whole *w = &own->whole;
    product_function *function = w->run->objective->gauss_newton_vector;
    int most = (int)whole_hyper(w)[ITERATIONS].number, keep = 1;
    double product = 0; /* <r, scaled> */
    enum descent_status status = multiply(own, function, own->d);
    whole_set(w, own->r, -1, own->g);
    whole_blend(w, own->r, 1, -1, own->product);
    own->q[0] = model_at(own);
    own->kept_count = 0;
    for (int i = 1; i <= most && !status; i++) {
        optim_for_parts(w->run, precondition);
        double next = whole_dot(w, own->r, own->scaled);
        if (!(next > 0))
            break;
        if (i == 1)
            whole_set(w, own->p, 1, own->scaled);
        else
            whole_blend(w, own->p, next / product, 1, own->scaled);
        product = next;
        status = multiply(own, function, own->p);
        double curvature = status ? 0 : whole_dot(w, own->p, own->product);
        if (!(curvature > 0))
            break;
        whole_blend(w, own->d, 1, product / curvature, own->p);
        whole_blend(w, own->r, 1, -product / curvature, own->product);
        own->q[i] = model_at(own);
        bool last = i == most || stalls(own, i);
        if (i == keep || last) {
            whole_set(w, own->kept[own->kept_count], 1, own->d);
            own->kept_at[own->kept_count++] = i;
        }
        keep = i == keep ? next_kept(i) : keep;
        if (last)
            break;
    }
    return status;
}

/* Goes back through the kept iterates as long as the loss falls. *at: the place of the best, *loss there.
 */
static enum descent_status backtrack(struct newton *own, int *at, double *loss)
{
    struct whole *w = &own->whole;
    *loss = INFINITY;
    for (int k = own->kept_count - 1; k >= 0; k--) {
        double here;
        whole_move(w, w->start, 1, own->kept[k]);
        enum descent_status status = whole_evaluate(w, &here);
        if (status)
            return status;
        if (!(here < *loss) && isfinite(*loss))
            break;
        *at = k;
        *loss = here;
    }
    return DESCENT_OK;
}

/* Levenberg and Marquardt: how far the model is to be trusted, by the fall of the loss over what it
 * promised. */
static void adapt_damping(struct newton *own, double ratio)
{
    if (!(ratio >= 0.25))
        *own->saved *= 1.5;
    else if (ratio > 0.75)
        *own->saved *= 2.0 / 3;
}

static enum descent_status hf_step(struct optim_run *run)
{
    struct newton *own = run->tensor[0]->own;
    struct whole *w = &own->whole;
    double loss, best;
    int at = 0;
    enum descent_status status = whole_begin(w, run, &loss);
    if (status || whole_lr(w) == 0)
        return status ? status : whole_end(w, status);
    whole_set(w, own->g, 1, w->grad);
    own->damping = *own->saved;
    status = look_at_diagonal(own);
    if (!status)
        status = hf_solve(own);
    if (!status && own->kept_count > 0)
        status = backtrack(own, &at, &best);
    if (!status && own->kept_count > 0) {
        adapt_damping(own, (best - loss) / own->q[own->kept_at[at]]);
        whole_set(w, w->grad, 1, own->g);
        /* Conjugate gradients go on from the last iterate, the step is along the best. */
        whole_vector last = own->d;
        own->d = own->kept[at];
        double slope = whole_dot(w, own->g, own->d);
        whole_set(w, w->value, 1, w->start);
        if (slope < 0)
            status = search(own, loss, slope, 1e-2);
        own->d = last;
    }
    return whole_end(w, status);
}

const struct optim_algorithm OPTIM_ALGORITHM(hessian_free) = {
    .name = "hessian_free",
    .summary = "damped Gauss-Newton steps by conjugate gradients",
    .answers = OPTIM_CURVATURE,
    .paper = "Martens 2010, Deep learning via Hessian-free optimization, ICML",
    .formula = "minimize q(d) = <g, d> + d' (G + damping I) d / 2 by conjugate gradients from the last d,\n"
               "    preconditioned by (D + damping)^(3/4), until q gains less than 5e-4 an iteration\n"
               "d is the best by the loss of iterates 1, 2, 3, 4, 6, 8, 11, ... and the last, from there\n"
               "ratio = (f(x + d) - f(x)) / q(d);  damping * 3/2 if ratio < 1/4, * 2/3 if ratio > 3/4\n"
               "t = lr, lr/2, lr/4, ... until f(x + t d) <= f + 0.01 t <g, d>;  x <- x + t d\n"
               "G: Gauss-Newton matrix; D: mean over steps of the squared gradient on labels drawn from\n"
               "the model, in place of Martens' squared gradients of single samples. Gradients are not\n"
               "clipped; weight decay is a part of the loss. docs/results.md compares sizes of batches.\n",
    .options = hf_options,
    .option_count = HF_HYPERPARAMETERS,
    .decay = OPTIM_COUPLED,
    .needs = OPTIM_NEEDS_LOSS | OPTIM_NEEDS_EVALUATE | OPTIM_NEEDS_GAUSS_NEWTON_VECTOR |
             OPTIM_NEEDS_SAMPLED_GRADIENT,
    .init = hf_init,
    .unscheduled = true,
    .step = hf_step,
};
