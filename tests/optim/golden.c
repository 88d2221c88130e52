/* Every optimizer against the reference vectors of vectors/golden.json, which outside implementations
 * confirm, and what those vectors are worth: one that a simpler rule passes proves nothing. Built in float
 * and in double. Errors are measured against the distance moved, not against the values. */
#include "base/isa.h"
#include "tests/optim/evidence.h"
#include "tests/optim/problem.h"

/* How a rule of golden.json is called here: a spec with {names} of its hyperparameters, a schedule too
 * where it has a warm-up of its own. `unused` are those that the rule does not look at. `passes` are the
 * simple rules that pass some of its vectors, as told_apart sees it, `why` the reason. */
struct rule {
    const char *name, *spec;
    double tolerance;       /* in double; 0: 1e-9 */
    double float_tolerance; /* in float; 0: 1e-4 */
    const char *schedule, *unused, *passes, *why;
};

static const struct rule rules[] = {
    {.name = "sgd", .spec = "sgd:lr={lr},weight_decay={wd}", .passes = "sgd", .why = "it is"},
    {.name = "momentum", .spec = "momentum:lr={lr},momentum={mu},weight_decay={wd}"},
    {.name = "nesterov", .spec = "nesterov:lr={lr},momentum={mu},weight_decay={wd}"},
    {.name = "momentum_damp.5", .spec = "momentum:lr={lr},momentum={mu},dampening=0.5,weight_decay={wd}"},
    {.name = "nesterov_keras", .spec = "nesterov:lr={lr},momentum={mu}"},
    {.name = "sgdw", .spec = "sgdw:lr={lr},momentum={mu},weight_decay={wd}"},
    {.name = "sgdw_nesterov", .spec = "sgdw:lr={lr},momentum={mu},nesterov,weight_decay={wd}"},
    {.name = "normalized_sgd", .spec = "normalized_sgd:lr={lr},eps={eps}"},
    {.name = "sign_sgd", .spec = "signsgd:lr={lr}"},
    {.name = "signum", .spec = "signum:lr={lr},beta={be}"},
    {.name = "asgd", .spec = "asgd:lr={lr},lambda={lam},alpha={al},t0={t0},weight_decay={wd}"},
    {.name = "rprop", .spec = "rprop:lr={lr},shrink={em},grow={ep},min_step={mn},max_step={mx}"},
    {.name = "qhm", .spec = "qhm:lr={lr},beta={be},nu={nu},weight_decay={wd}"},
    {.name = "aggmo", .spec = "aggmo:lr={lr},betas={bs},weight_decay={wd}"},
    {.name = "adagrad", .spec = "adagrad:lr={lr},lr_decay={ld},initial={s0},eps={eps},weight_decay={wd}"},
    {.name = "adagrad_optax", .spec = "adagrad:lr={lr},initial={s0},eps_root={eps},eps=0"},
    {.name = "adadelta", .spec = "adadelta:lr={lr},rho={rho},eps={eps},weight_decay={wd}"},
    {.name = "rmsprop", .spec = "rmsprop:lr={lr},alpha={al},eps={eps},weight_decay={wd}", .unused = "mu"},
    {.name = "rmsprop_centered",
     .spec = "rmsprop:lr={lr},alpha={al},centered,eps={eps},weight_decay={wd}",
     .unused = "mu"},
    {.name = "rmsprop_momentum.9",
     .spec = "rmsprop:lr={lr},alpha={al},momentum={mu},eps={eps},weight_decay={wd}"},
    {.name = "rmsprop_centered_momentum.9",
     .spec = "rmsprop:lr={lr},alpha={al},momentum={mu},centered,eps={eps},weight_decay={wd}"},
    {.name = "rmsprop_tf",
     .spec = "rmsprop_tf:lr={lr},alpha={al},momentum={mu},eps={eps},weight_decay={wd}"},
    {.name = "adam",
     .spec = "adam:lr={lr},beta1={b1},beta2={b2},eps={eps},weight_decay={wd}",
     .passes = "adam adamw",
     .why = "it is, and without decay the two are one"},
    {.name = "adam(eps=1e-3)",
     .spec = "adam:lr={lr},beta1={b1},beta2={b2},eps={eps},weight_decay={wd}",
     .passes = "adam adamw",
     .why = "it is, and without decay the two are one"},
    {.name = "adamw",
     .spec = "adamw:lr={lr},beta1={b1},beta2={b2},eps={eps},weight_decay={wd}",
     .passes = "adam adamw",
     .why = "it is, and without decay the two are one"},
    {.name = "sparse_adam", .spec = "adam:lr={lr},beta1={b1},beta2={b2},eps={eps},lazy,eps_hat"},
    {.name = "adam_epshat(eps=1e-3)",
     .spec = "adam:lr={lr},beta1={b1},beta2={b2},eps={eps},eps_hat,weight_decay={wd}"},
    {.name = "amsgrad",
     .spec = "amsgrad:lr={lr},beta1={b1},beta2={b2},eps={eps},weight_decay={wd}",
     .passes = "adam adamw",
     .why = "with beta2=0.999 v rises all the time here; its other rows and those in optimizers.json tell"},
    {.name = "amsgrad_optax", .spec = "amsgrad:lr={lr},beta1={b1},beta2={b2},eps={eps},corrected"},
    {.name = "stable_adamw",
     .spec = "stable_adamw:lr={lr},beta1={b1},beta2={b2},eps={eps},weight_decay={wd}"},
    {.name = "adamax", .spec = "adamax:lr={lr},beta1={b1},beta2={b2},eps={eps},weight_decay={wd}"},
    {.name = "nadam", .spec = "nadam:lr={lr},beta1={b1},beta2={b2},eps={eps},psi={psi},weight_decay={wd}"},
    {.name = "nadam_optax", .spec = "nadam_simple:lr={lr},beta1={b1},beta2={b2},eps={eps}"},
    {.name = "nadamw", .spec = "nadamw:lr={lr},beta1={b1},beta2={b2},eps={eps},weight_decay={wd}"},
    {.name = "qhadam",
     .spec = "qhadam:lr={lr},beta1={b1},beta2={b2},eps={eps},nu1={n1},nu2={n2},weight_decay={wd}"},
    {.name = "radam", .spec = "radam:lr={lr},beta1={b1},beta2={b2},eps={eps},weight_decay={wd}"},
    {.name = "adabound",
     .spec = "adabound:lr={lr},beta1={b1},beta2={b2},eps={eps},final_lr={fl},gamma={ga},weight_decay={wd}"},
    {.name = "amsbound",
     .spec = "amsbound:lr={lr},beta1={b1},beta2={b2},eps={eps},final_lr={fl},gamma={ga},weight_decay={wd}"},
    {.name = "padam(p=.125)",
     .spec = "padam:lr={lr},beta1={b1},beta2={b2},eps={eps},p={pp},weight_decay={wd}"},
    {.name = "adabelief", .spec = "adabelief:lr={lr},beta1={b1},beta2={b2},eps={eps},weight_decay={wd}"},
    {.name = "adabelief(no rectify)",
     .spec = "adabelief:lr={lr},beta1={b1},beta2={b2},eps={eps},rectify=no,weight_decay={wd}"},
    {.name = "yogi(init1e-6)", .spec = "yogi:lr={lr},beta1={b1},beta2={b2},eps={eps},initial={init}"},
    {.name = "adopt(clip t-1 ^.25)",
     .spec = "adopt:lr={lr},beta1={b1},beta2={b2},eps={eps},decoupled={dec},weight_decay={wd}"},
    {.name = "adopt(clip ^.333)",
     .spec = "adopt:lr={lr},beta1={b1},beta2={b2},eps={eps},decoupled={dec},weight_decay={wd},"
             "clip_power=0.333"},
    {.name = "adopt_dec",
     .spec = "adopt:lr={lr},beta1={b1},beta2={b2},eps={eps},decoupled,weight_decay={wd}"},
    {.name = "adan", .spec = "adan:lr={lr},beta1={b1},beta2={b2},beta3={b3},eps={eps},weight_decay={wd}"},
    {.name = "adan(no_prox)",
     .spec = "adan:lr={lr},beta1={b1},beta2={b2},beta3={b3},eps={eps},prox=no,weight_decay={wd}"},
    {.name = "adan_optax",
     .spec = "adan:lr={lr},beta1={b1},beta2={b2},beta3={b3},eps={eps},optax,prox=no,weight_decay={wd}"},
    {.name = "ademamix(no sched)",
     .spec = "ademamix:lr={lr},beta1={b1},beta2={b2},beta3={b3},alpha={al},eps={eps},weight_decay={wd}",
     .unused = "T"},
    {.name = "ademamix(T=20)",
     .spec = "ademamix:lr={lr},beta1={b1},beta2={b2},beta3={b3},alpha={al},ramp={T},eps={eps},"
             "weight_decay={wd}"},
    {.name = "madgrad", .spec = "madgrad:lr={lr},momentum={mu},eps={eps},weight_decay={wd}"},
    {.name = "lion", .spec = "lion:lr={lr},beta1={b1},beta2={b2},weight_decay={wd}"},
    {.name = "lars", .spec = "lars:lr={lr},momentum={mu},coefficient={c},eps={eps},weight_decay={wd}"},
    {.name = "lars(always_adapt)",
     .spec = "lars:lr={lr},momentum={mu},coefficient={c},eps={eps},weight_decay={wd},always_adapt"},
    {.name = "lars_optax",
     .spec = "lars:lr={lr},momentum={mu},coefficient={c},eps=1e-30,optax,weight_decay={wd}",
     .unused = "eps"},
    {.name = "lamb",
     .spec = "lamb:lr={lr},beta1={b1},beta2={b2},eps={eps},max_grad_norm={mx},weight_decay={wd}"},
    {.name = "lamb(no clip)",
     .spec = "lamb:lr={lr},beta1={b1},beta2={b2},eps={eps},max_grad_norm=0,always_adapt,"
             "weight_decay={wd}",
     .unused = "mx"},
    {.name = "lambc",
     .spec = "lamb:lr={lr},beta1={b1},beta2={b2},eps={eps},max_grad_norm={mx},clip_ratio,"
             "weight_decay={wd}"},
    {.name = "lamb(always_adapt)",
     .spec = "lamb:lr={lr},beta1={b1},beta2={b2},eps={eps},max_grad_norm={mx},always_adapt,"
             "weight_decay={wd}"},
    {.name = "novograd", .spec = "novograd:lr={lr},beta1={b1},beta2={b2},eps={eps},weight_decay={wd}"},
    {.name = "novograd(grad_averaging)",
     .spec = "novograd:lr={lr},beta1={b1},beta2={b2},eps={eps},average,weight_decay={wd}"},
    {.name = "novograd_optax",
     .spec = "novograd:lr={lr},beta1={b1},beta2={b2},eps={eps},weight_decay={wd}"},
    {.name = "adamp",
     .spec = "adamp:lr={lr},beta1={b1},beta2={b2},eps={eps},delta={delta},decay_ratio={ratio},"
             "weight_decay={wd}"},
    {.name = "adamp_nesterov",
     .spec = "adamp:lr={lr},beta1={b1},beta2={b2},eps={eps},delta={delta},decay_ratio={ratio},nesterov,"
             "weight_decay={wd}"},
    {.name = "adafactor_torch",
     .spec = "adafactor:lr={lr},power={tau},eps1={e1},eps2={e2},clip={d},weight_decay={wd}"},
    {.name = "adafactor_paper",
     .spec = "adafactor:lr={lr},power={tau},eps2={e2},clip={d},weight_decay={wd},paper",
     .unused = "e1"},
    {.name = "adafactor_optax",
     .spec = "adafactor:lr={lr},power={tau},eps2={e2},clip={d},paper,cap=no",
     .unused = "e1"},
    {.name = "schedule_free_sgd (y)",
     .spec = "schedule_free_sgd:lr={lr},beta={b1},r={r},weight_decay={wd}",
     .schedule = "constant+warmup:{warm}",
     .unused = "b2 eps"},
    {.name = "schedule_free_adamw (y)",
     .spec = "schedule_free_adamw:lr={lr},beta={b1},beta2={b2},eps={eps},r={r},weight_decay={wd}",
     .schedule = "constant+warmup:{warm}"},
    {.name = "muon_torch(original)",
     .spec = "muon:lr={lr},momentum={mu},nesterov={nest},weight_decay={wd}"},
    {.name = "muon_torch(match_rms)",
     .spec = "muon:lr={lr},momentum={mu},nesterov={nest},adjust=match_rms_adamw,weight_decay={wd}"},
    {.name = "muon_jordan", .spec = "muon:lr={lr},momentum={mu},nesterov={nest},add_eps,weight_decay={wd}"},
    {.name = "muon_airbench", .spec = "muon_airbench:lr={lr},momentum={mu},iterations={k}"},
    {.name = "shampoo_paper", .spec = "shampoo:lr={lr},eps={e},every=1"},
    {.name = "soap", .spec = "soap:lr={lr},beta1={b1},beta2={b2},eps={eps},every={k},weight_decay={wd}"},
    /* In float the steps of these, 1e-6 at first, are mostly rounding. */
    {.name = "dadapt_adam",
     .float_tolerance = 1e-2,
     .spec = "dadapt_adam:lr={lr},beta1={b1},beta2={b2},d0={d0},eps={eps},growth={growth},"
             "bias_correction={bias},weight_decay={wd}"},
    {.name = "dadapt_adam(optax)",
     .float_tolerance = 1e-2,
     .spec = "dadapt_adam:lr={lr},beta1={b1},beta2={b2},d0={d0},eps={eps},growth={growth},"
             "bias_correction,weight_decay={wd}",
     .unused = "bias"},
    {.name = "prodigy",
     .float_tolerance = 1e-2,
     .spec = "prodigy:lr={lr},beta1={b1},beta2={b2},d0={d0},eps={eps},growth={growth},"
             "coefficient={coef},safeguard={safe},weight_decay={wd}"},
    {.name = "dog", .spec = "dog:lr={lr},first_step={rel},eps={eps},weight_decay={wd}"},
    {.name = "ldog", .spec = "dog:lr={lr},first_step={rel},eps={eps},layerwise,weight_decay={wd}"},
    {.name = "gradient_centralization+sgd", .spec = "sgd:lr={lr}+centralize"},
    {.name = "clip_global_norm(optax)+sgd", .spec = "sgd:lr={lr}+clip_norm:{mx}"},
    {.name = "clip_block_rms+sgd", .spec = "sgd:lr={lr}+clip_rms:{d}"},
    {.name = "clip_value+sgd", .spec = "sgd:lr={lr}+clip_value:{c}"},
    {.name = "agc+sgd", .spec = "sgd:lr={lr}+agc:{c},eps={eps}"},
    /* In float the wrapped step is known to the rounding of the values: it is their difference. */
    {.name = "cautious_adamw",
     .float_tolerance = 1e-2,
     .spec = "adamw:lr={lr},beta1={b1},beta2={b2},eps={eps},weight_decay={wd}+cautious"},
    {.name = "cautious_lion", .spec = "lion:lr={lr},beta1={b1},beta2={b2},weight_decay={wd}+cautious"},
    {.name = "lookahead(k5,.5)+sgd", .spec = "sgd:lr={lr}+lookahead:{k},alpha={al}"},
    {.name = "accumulate2+sgd", .spec = "sgd:lr={lr}+accumulate:{k}"},
    {.name = "polyak_sgd", .spec = "sps:lr={lr},max_lr={maxlr},minimum={fmin},eps={eps}"},
    {.name = "adahessian",
     .spec = "adahessian:lr={lr},beta1={b1},beta2={b2},eps={eps},power={k},weight_decay={wd}"},
    {.name = "sophia_g",
     .float_tolerance = 1e-3, /* steps are 1e-4 of the values */
     .unused = "bs",          /* the objective's */
     .spec = "sophia_g:lr={lr},beta1={b1},beta2={b2},rho={rho},every={k},weight_decay={wd}"},
    {.name = "sophia_h",
     .unused = "clip", /* 1 in all of them */
     .spec = "sophia_h:lr={lr},beta1={b1},beta2={b2},gamma={ga},eps={eps},every={k},weight_decay={wd}"},
    {.name = "sam+momentum", .spec = "momentum:lr={lr},momentum={mu},weight_decay={wd}+sam:{rho}"},
    {.name = "asam+momentum", .spec = "momentum:lr={lr},momentum={mu},weight_decay={wd}+asam:{rho}"},
    {.name = "ema.9 of sgd", .spec = "sgd:lr={lr}+ema:decay={d}"},
    {.name = "swa of sgd", .spec = "sgd:lr={lr}+swa:start=0,every=1"},
};
enum { RULES = sizeof rules / sizeof *rules };

static struct descent_json *golden, *torch;

static int load(void **state)
{
    (void)state;
    golden = read_vectors("vectors/golden.json");
    torch = read_vectors("vectors/optimizers.json");
    return 0;
}

static int unload(void **state)
{
    (void)state;
    descent_json_free(golden);
    descent_json_free(torch);
    return 0;
}

static const struct rule *rule_of(const struct descent_json *row)
{
    const char *name = descent_json_text(row, "rule", "");
    for (int i = 0; i < RULES; i++)
        if (strcmp(rules[i].name, name) == 0)
            return &rules[i];
    return NULL;
}

/* For each vector whose rule is in the table. */
#define FOR_EACH_VECTOR(row, rule)                                                                         \
    for (const struct descent_json *rows_ = descent_json_get(golden, "rows"), *row; rows_; rows_ = NULL)   \
        for (int i_ = 0; (row = descent_json_at(rows_, i_)) != NULL; i_++)                                 \
            for (const struct rule *rule = rule_of(row); rule; rule = NULL)

/* "0.9", "0/0.9/0.99", "inf" of one hyperparameter, appended to the spec. */
static void append_value(char *spec, size_t size, const struct descent_json *value)
{
    double number;
    char *end = spec + strlen(spec);
    size_t left = size - strlen(spec);
    if (descent_json_is_array(value))
        for (int i = 0; i < descent_json_count(value); i++) {
            snprintf(spec + strlen(spec), size - strlen(spec), "%s", i ? "/" : "");
            append_value(spec, size, descent_json_at(value, i));
        }
    else if (descent_json_as_number(value, &number))
        snprintf(end, left, "%.17g", number);
    else if (strcmp(descent_json_as_text(value), "inf") == 0)
        snprintf(end, left, "0"); /* no limit */
    else
        snprintf(end, left, "%s", descent_json_as_text(value));
}

static bool has_word(const char *words, const char *word)
{
    size_t length = strlen(word);
    for (const char *at = words; at && (at = strstr(at, word)); at++)
        if ((at == words || at[-1] == ' ') && (at[length] == ' ' || at[length] == 0))
            return true;
    return false;
}

static bool has_place(const char *form, const char *name)
{
    char quoted[32];
    snprintf(quoted, sizeof quoted, "{%s}", name);
    return form && strstr(form, quoted);
}

/* A spec, or schedule, of a rule with the hyperparameters of a row: each {name} must be there, and each
 * that is there must be used. */
static void fill(const struct rule *rule, const char *form, const struct descent_json *row, char *spec,
                 size_t size)
{
    const struct descent_json *hyper = descent_json_get(row, "hyper");
    spec[0] = 0;
    for (const char *at = form; *at; at++) {
        char name[16];
        int length = 0;
        if (sscanf(at, "{%15[^}]}%n", name, &length) == 1 && length > 0) {
            const struct descent_json *value = descent_json_get(hyper, name);
            if (!value)
                fail_msg("%s has no '%s'", rule->name, name);
            append_value(spec, size, value);
            at += length - 1;
        } else {
            snprintf(spec + strlen(spec), size - strlen(spec), "%c", *at);
        }
    }
    assert_true(strlen(spec) + 1 < size);
    for (struct descent_json_member member = {0}; descent_json_next(hyper, &member);)
        if (!has_place(rule->spec, member.key) && !has_place(rule->schedule, member.key) &&
            !has_word(rule->unused, member.key))
            fail_msg("%s: the spec does not use '%s'", rule->name, member.key);
}

/* What a row's `needs` says of its gradients. */
static void set_gradients_of(struct problem *p, const struct descent_json *row, int t)
{
    set_gradients(p, t);
    if (strcmp(descent_json_text(row, "needs", ""), "sparse rows") == 0)
        for (int k = 0; k < A; k++)
            if ((t + k / 3) % 2 != 0)
                p->grad_a[k] = 0;
}

/* The largest error over the steps of a row, for an optimizer of this spec; schedule may be NULL. */
static double worst_error(const char *spec, const char *schedule, const struct descent_json *row)
{
    struct problem p;
    double worst = 0;
    int count = descent_json_count(descent_json_get(row, "tensors"));
    start(&p);
    const char *needs = descent_json_text(row, "needs", "");
    p.curved = strcmp(needs, "hessian problem") == 0 || strcmp(needs, "gradient at a second point") == 0;
    p.batch = descent_json_number(descent_json_get(row, "hyper"), "bs", 0);
    const struct optim_objective objective = {.context = &p,
                                              .loss = given_loss,
                                              .evaluate = given_evaluate,
                                              .hessian_vector = given_hessian_vector,
                                              .sampled_gradient = given_sampled_gradient};
    struct optim *optim = optim_new(spec, p.params, count);
    if (!optim)
        fail_msg("%s: %s", spec, descent_error());
    if (schedule)
        assert_int_equal(optim_schedule(optim, schedule, LAST, LAST), DESCENT_OK);
    optim_set_objective(optim, &objective);
    for (int t = 1; t <= LAST; t++) {
        const struct descent_json *expected = values_after(row, "values", t);
        const struct descent_json *average = values_after(row, "eval", t);
        set_gradients_of(&p, row, t);
        assert_int_equal(optim_step(optim), DESCENT_OK);
        /* A step in float rounds each value, at random, by up to half a unit in its last place. */
        double rounding = in_double ? 0 : sqrt(t) * 0x1p-24;
        if (expected)
            worst = fmax(worst, error(&p, expected, count, rounding));
        assert_int_equal(optim_evaluation_begin(optim), DESCENT_OK);
        if (average)
            worst = fmax(worst, error(&p, average, count, rounding));
        optim_evaluation_end(optim);
    }
    optim_free(optim);
    return worst;
}

/* The simple rules, and which of a row's hyperparameters they take. decay_all makes no difference here. */
static const struct simple {
    const char *name, *spec, *takes;
} simple[] = {
    {"no-op", "sgd:lr=0", ""},
    {"sgd", "sgd:decay_all", "lr wd"},
    {"adam", "adam:decay_all", "lr wd b1 b2 eps"},
    {"adamw", "adamw:decay_all", "lr wd b1 b2 eps"},
};
enum { SIMPLE = sizeof simple / sizeof *simple };

static void fill_simple(const struct simple *rule, const struct descent_json *row, char *spec, size_t size)
{
    static const char *const names[][2] = {
        {"lr", "lr"}, {"wd", "weight_decay"}, {"b1", "beta1"}, {"b2", "beta2"}, {"eps", "eps"}};
    snprintf(spec, size, "%s", rule->spec);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        double number = descent_json_number(descent_json_get(row, "hyper"), names[i][0], 0);
        if (has_word(rule->takes, names[i][0]) && (number > 0 || strcmp(names[i][0], "wd") == 0))
            snprintf(spec + strlen(spec), size - strlen(spec), ",%s=%.17g", names[i][1], number);
    }
}

/* Whether a simple rule fails a row by more than what any tolerance here forgives, but those of the
 * distance methods in float. */
static bool told_apart(const struct simple *other, const struct descent_json *row)
{
    char spec[400];
    fill_simple(other, row, spec, sizeof spec);
    return worst_error(spec, NULL, row) > 1e-3;
}

/* Whether a row says something: no simple rule passes it. */
static bool proves(const struct descent_json *row)
{
    bool all = true;
    for (int s = 0; s < SIMPLE; s++)
        all = all && told_apart(&simple[s], row);
    return all;
}

/* "A, max abs diff 1e-16 | B, ..." to "A; B", those that are new. */
static void add_oracles(char *oracles, size_t size, const char *checked)
{
    for (const char *at = checked, *next; *at; at = next) {
        const char *bar = strstr(at, " | "), *difference = strstr(at, ", max abs diff");
        char name[300];
        next = bar ? bar + 3 : at + strlen(at);
        snprintf(name, sizeof name, "%.*s", (int)(difference ? difference - at : next - at), at);
        if (!strstr(oracles, name))
            snprintf(oracles + strlen(oracles), size - strlen(oracles), "%s%s", *oracles ? "; " : "", name);
    }
}

/* The worst error of each rule, over all instruction sets: what can be said of it. */
static void trajectories_are_the_reference_ones(void **state)
{
    double worst[RULES] = {0};
    int vectors[RULES] = {0};
    (void)state;
    for (enum descent_isa isa = 0; isa < DESCENT_ISA_COUNT; isa++) {
        setenv("DESCENT_ISA", descent_isa_name(isa), 1);
        FOR_EACH_VECTOR (row, rule) {
            char spec[400], schedule[100];
            fill(rule, rule->spec, row, spec, sizeof spec);
            if (rule->schedule)
                fill(rule, rule->schedule, row, schedule, sizeof schedule);
            double given = in_double ? rule->tolerance : rule->float_tolerance;
            double tolerance = given > 0 ? given : in_double ? 1e-9 : 1e-4;
            double off = worst_error(spec, rule->schedule ? schedule : NULL, row);
            if (!(off <= tolerance))
                fail_msg("%s: %s is off by %.2g of the distance moved (%s)", rule->name, spec, off,
                         descent_isa_name(isa));
            worst[rule - rules] = fmax(worst[rule - rules], off);
            vectors[rule - rules] += isa == 0;
        }
    }
    unsetenv("DESCENT_ISA");
    for (int i = 0; i < RULES; i++) {
        char oracles[1000] = "";
        FOR_EACH_VECTOR (row, rule)
            if (rule == &rules[i] && proves(row))
                add_oracles(oracles, sizeof oracles, descent_json_text(row, "checked_against", ""));
        if (*oracles)
            evidence(evidence_subject(rules[i].spec), rules[i].name, oracles, vectors[i], worst[i]);
    }
}

static void simple_rules_fail_what_they_are_not(void **state)
{
    bool found[RULES][SIMPLE] = {{false}};
    (void)state;
    FOR_EACH_VECTOR (row, rule)
        for (int s = 0; s < SIMPLE; s++)
            if (!told_apart(&simple[s], row)) {
                found[rule - rules][s] = true;
                if (!has_word(rule->passes, simple[s].name))
                    fail_msg("%s passes a vector of %s", simple[s].name, rule->name);
            }
    for (int i = 0; i < RULES; i++)
        for (int s = 0; s < SIMPLE; s++)
            if (has_word(rules[i].passes, simple[s].name) && !found[i][s])
                fail_msg("%s passes no vector of %s: take it off the list", simple[s].name, rules[i].name);
}

static bool is_of(const char *spec, const char *algorithm)
{
    size_t length = strlen(algorithm);
    return strncmp(spec, algorithm, length) == 0 && spec[length] == ':';
}

/* Those that no row of vectors can show: what does. */
static const char *const elsewhere[][2] = {
    {"lbfgs", "searches.c: PyTorch's points and counts"},
    {"line_search", "searches.c: optax's points"},
    {"conjugate_gradient", "searches.c: linear conjugate gradients where the function is quadratic"},
    {"newton_cg", "searches.c: Newton's step, solved for"},
    {"hessian_free", "searches.c: the damped Gauss-Newton step, solved for"},
    {"distributed_shampoo", "matrix.c: AdamW's and Shampoo's steps"},
    {"kfac", "kfac.c: the linear system that its steps solve; Newton's method"},
};

/* What outside implementations say of an algorithm: rows that no simple rule passes, and rows of PyTorch's,
 * which vectors.c tells apart. */
static int count_evidence(const char *algorithm)
{
    int count = 0;
    const struct descent_json *rows = descent_json_get(torch, "optimizers");
    for (int i = 0; i < descent_json_count(rows); i++)
        count += is_of(descent_json_text(descent_json_at(rows, i), "spec", ""), algorithm);
    FOR_EACH_VECTOR (row, rule)
        if (is_of(rule->spec, algorithm))
            count += proves(row);
    return count;
}

static void every_algorithm_has_evidence(void **state)
{
    (void)state;
    int count;
    const struct optim_algorithm *const *algorithms = optim_algorithms(&count);
    for (int i = 0; i < count; i++) {
        bool shown = false;
        for (size_t j = 0; j < sizeof elsewhere / sizeof *elsewhere; j++)
            shown = shown || strcmp(elsewhere[j][0], algorithms[i]->name) == 0;
        if (!shown && count_evidence(algorithms[i]->name) == 0)
            fail_msg("there is no evidence that %s is what it says", algorithms[i]->name);
    }
}

/* A misspelled name would check nothing. */
static void every_rule_has_vectors(void **state)
{
    bool found[RULES] = {false};
    (void)state;
    FOR_EACH_VECTOR (row, rule)
        found[rule - rules] = true;
    for (int i = 0; i < RULES; i++)
        if (!found[i])
            fail_msg("there are no vectors of %s", rules[i].name);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_rule_has_vectors),
        cmocka_unit_test(trajectories_are_the_reference_ones),
        cmocka_unit_test(simple_rules_fail_what_they_are_not),
        cmocka_unit_test(every_algorithm_has_evidence),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
