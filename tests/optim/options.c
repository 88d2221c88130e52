/* Specs, messages, cards and schedules: what a user writes and reads. */
#include "optim/algorithm.h"
#include "tests/optim/model.h"

#include <ctype.h>

static struct model *model;

static int set_up(void **state)
{
    (void)state;
    model = model_new();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    free(model);
    return 0;
}

static void assert_message_has(const char *spec, const char *const *texts, int count)
{
    for (int i = 0; i < count; i++)
        if (!strstr(descent_error(), texts[i]))
            fail_msg("%s: '%s' is not in: %s", spec, texts[i], descent_error());
}

static void assert_refused(const char *spec, const char *const *texts, int count)
{
    struct optim *optim = optim_new(spec, model->params, MODEL_TENSORS);
    if (optim)
        fail_msg("%s is accepted", spec);
    assert_message_has(spec, texts, count);
}
#define REFUSED(spec, ...)                                                                                 \
    assert_refused(spec, (const char *const[]){__VA_ARGS__},                                               \
                   sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

static void unknown_optimizer_is_an_error_with_a_hint(void **state)
{
    (void)state;
    REFUSED("adamm", "unknown optimizer 'adamm'", "did you mean 'adam'");
    REFUSED("gauss", "unknown optimizer 'gauss'", "known: sgd, momentum, ");
    REFUSED("", "expected a name");
    REFUSED("adam+lokahead", "unknown optimizer wrapper 'lokahead'", "did you mean 'lookahead'");
    REFUSED("adam+sgd", "unknown optimizer wrapper 'sgd'", "known: centralize, ");
    REFUSED("adam+lookahead:k=0", "k=0 for wrapper lookahead", "default 5");
    REFUSED("adam+ema+lookahead+ema", "optimizer adam is wrapped in ema twice");
    REFUSED("adam+accumulate:4+ema", "wrapper accumulate must be the last; 'ema' follows it");
    REFUSED("sgd:lr=0.1,nesterov", "nesterov=yes needs momentum above 0");
    REFUSED("momentum:nesterov,dampening=0.5", "dampening=0.5");
}

/* A table of options, and where what it describes stands in a spec: "%s" is its name, "%s" what follows. */
struct described {
    const char *name, *form;
    const struct descent_option *options;
    int count;
    bool schedule;
};

/* Every text must be in the message that refuses name:values. */
static void assert_values_refused(const struct described *d, const char *values, const char *const *texts,
                                  int count)
{
    char part[200], spec[300];
    snprintf(part, sizeof part, "%s:%s", d->name, values);
    snprintf(spec, sizeof spec, d->form, part);
    if (!d->schedule) {
        assert_refused(spec, texts, count);
        return;
    }
    struct optim *optim = model_optim(model, "sgd");
    if (optim_schedule(optim, spec, 100, 10) != DESCENT_BAD_ARGUMENT)
        fail_msg("%s is accepted", spec);
    assert_message_has(spec, texts, count);
    optim_free(optim);
}
#define VALUES_REFUSED(described, values, ...)                                                             \
    assert_values_refused(described, values, (const char *const[]){__VA_ARGS__},                           \
                          sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

static void assert_bad_values_refused(const struct described *d)
{
    VALUES_REFUSED(d, "lrr=1", d->name, "'lrr'");
    for (int i = 0; i < d->count; i++) {
        const struct descent_option *option = &d->options[i];
        const char *initial = option->initial ? option->initial : "1";
        char text[100], range[64];
        VALUES_REFUSED(d, "lrr=1", option->name); /* among the known */
        snprintf(text, sizeof text, "%s=abc", option->name);
        VALUES_REFUSED(d, text, text, d->name, option->initial ? "default " : "", initial);
        snprintf(text, sizeof text, "%s=%s,%s=%s", option->name, initial, option->name, initial);
        VALUES_REFUSED(d, text, option->name, "given twice");
        descent_option_range(option, range, sizeof range);
        if (option->type == DESCENT_OPTION_FLAG || option->type == DESCENT_OPTION_CHOICE)
            continue;
        if (option->type == DESCENT_OPTION_DURATION || option->type == DESCENT_OPTION_DURATION_LIST)
            snprintf(range, sizeof range, "duration"); /* not negative, as messages explain */
        assert_string_not_equal(range, "");
        snprintf(text, sizeof text, "%s=%.17g", option->name, option->min - 1e-9);
        VALUES_REFUSED(d, text, text, range, option->initial ? "default " : "", initial);
        snprintf(text, sizeof text, "%s=nan", option->name);
        VALUES_REFUSED(d, text, text);
        snprintf(text, sizeof text, "%s=%.17g", option->name, option->max);
        if (option->open_max || isinf(option->max))
            VALUES_REFUSED(d, text, option->name, range);
    }
}

static void every_bad_hyperparameter_is_named_with_its_range_and_default(void **state)
{
    static const char *const forms[] = {[OPTIM_SCHEDULE] = "%s",
                                        [OPTIM_SCHEDULE_WRAP] = "cosine+%s",
                                        [OPTIM_SCHEDULE_JOIN] = "constant+%s+cosine"};
    (void)state;
    int count;
    const struct optim_algorithm *const *algorithms = optim_algorithms(&count);
    for (int i = 0; i < count; i++)
        assert_bad_values_refused(&(struct described){.name = algorithms[i]->name,
                                                      .form = "%s",
                                                      .options = algorithms[i]->options,
                                                      .count = algorithms[i]->option_count});
    const struct optim_algorithm *const *wrappers = optim_wrappers(&count);
    for (int i = 0; i < count; i++)
        assert_bad_values_refused(&(struct described){.name = wrappers[i]->name,
                                                      .form = "adam+%s",
                                                      .options = wrappers[i]->options,
                                                      .count = wrappers[i]->option_count});
    const struct optim_schedule_kind *const *kinds = optim_schedule_kinds(&count);
    for (int i = 0; i < count; i++)
        assert_bad_values_refused(&(struct described){.name = kinds[i]->name,
                                                      .form = forms[kinds[i]->role],
                                                      .options = kinds[i]->options,
                                                      .count = kinds[i]->option_count,
                                                      .schedule = true});
}

static void adagrad_divides_by_something(void **state)
{
    (void)state;
    REFUSED("adagrad:eps=0", "eps=0 needs initial or eps_root above 0");
    optim_free(model_optim(model, "adagrad:eps=0,eps_root=1e-7"));
    optim_free(model_optim(model, "adagrad:eps=0,initial=0.1"));
}

static void counts_fit_an_int(void **state)
{
    (void)state;
    REFUSED("muon:iterations=3e9", "iterations=3e9 for optimizer muon is out of range");
    REFUSED("soap:every=3e9", "every=3e9 for optimizer soap is out of range");
}

static void resolved_spec_makes_the_same_optimizer(void **state)
{
    (void)state;
    FOR_EACH_ALGORITHM (name) {
        char first[400];
        struct optim *optim =
            model_optim(model, spec_of(name, "lr=0.012345678901234567,weight_decay=3e-7,decay_all"));
        snprintf(first, sizeof first, "%s", optim_spec(optim));
        assert_non_null(strstr(first, "weight_decay=3e-07,decay_all=yes"));
        optim_free(optim);
        optim = model_optim(model, first);
        assert_string_equal(optim_spec(optim), first);
        assert_true(optim_lr(optim) == 0.012345678901234567);
        optim_free(optim);
    }
}

static void assert_option_rows(const char *name, const struct descent_option *options, int count)
{
    for (int i = 0; i < count; i++) {
        const char *help = options[i].help;
        bool word = isupper((unsigned char)help[0]) && isupper((unsigned char)help[1]);
        if (!*help || (isupper((unsigned char)*help) && !word) || help[strlen(help) - 1] == '.')
            fail_msg("%s: help of %s: \"%s\"", name, options[i].name, help);
        if (options[i].search_max != 0) {
            assert_true(options[i].search_min < options[i].search_max);
            assert_true(options[i].search_min >= options[i].min && options[i].search_max <= options[i].max);
        }
    }
}

static void every_card_is_complete(void **state)
{
    (void)state;
    int count;
    FOR_EACH_ALGORITHM (name) {
        const struct optim_algorithm *a = optim_find(name);
        if (!a->summary || !a->paper || !a->formula || a->option_count < 1)
            fail_msg("the card of %s is not complete", name);
        assert_in_range(a->answers, 0, OPTIM_DIFFICULTIES - 1);
        assert_true(strlen(optim_difficulty_title(a->answers)) > 0 &&
                    strlen(optim_difficulty_text(a->answers)) > 0);
        assert_int_equal(a->formula[strlen(a->formula) - 1], '\n');
        assert_string_equal(a->options[0].name, "lr");
        assert_option_rows(name, a->options, a->option_count);
        if (descent_options_check(name, a->options, a->option_count))
            fail_msg("%s", descent_error());
    }
    const struct optim_schedule_kind *const *kinds = optim_schedule_kinds(&count);
    for (int i = 0; i < count; i++) {
        assert_true(kinds[i]->summary && kinds[i]->formula);
        assert_option_rows(kinds[i]->name, kinds[i]->options, kinds[i]->option_count);
    }
}

static void bad_schedule_is_an_error_and_keeps_the_old_one(void **state)
{
    static const char *const bad[][2] = {
        {"cosin", "unknown schedule 'cosin'; did you mean 'cosine'"},
        {"sawtooth", "known: constant, step, "},
        {"warmup:5%", "write constant+warmup"},
        {"cosine:min=-1",
         "min=-1 for schedule cosine is out of range; expected a number in [0, inf), default 0"},
        {"constant:lr=1", "unknown key 'lr' for schedule constant"},
        {"cosine+warmup:x", "length=x for schedule warmup is not a duration"},
        {"cosine+warmup:length=120%", "length=120% for schedule warmup"},
        {"", "expected a name"},
    };
    (void)state;
    struct optim *optim = model_optim(model, "sgd:lr=1");
    assert_int_equal(optim_schedule(optim, "cosine", 4, 2), DESCENT_OK);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(optim_schedule(optim, bad[i][0], 4, 2), DESCENT_BAD_ARGUMENT);
        if (!strstr(descent_error(), bad[i][1]))
            fail_msg("'%s': '%s' is not in: %s", bad[i][0], bad[i][1], descent_error());
    }
    assert_int_equal(optim_schedule(optim, "constant", 0, 2), DESCENT_BAD_ARGUMENT);
    assert_int_equal(optim_schedule(optim, "constant", 4, 0), DESCENT_BAD_ARGUMENT);
    assert_true(fabs(optim_lr_at(optim, 2) - 0.5) < 1e-15);
    optim_free(optim);
}

static double rate(const char *spec, int64_t total, int64_t per_epoch, int64_t step)
{
    struct optim *optim = model_optim(model, "sgd:lr=1");
    assert_int_equal(optim_schedule(optim, spec, total, per_epoch), DESCENT_OK);
    double lr = optim_lr_at(optim, step);
    optim_free(optim);
    return lr;
}

static void schedules_are_closed_forms(void **state)
{
    (void)state;
    assert_true(fabs(rate("cosine", 2000000, 100, 1000000) - 0.5) < 1e-12);
    assert_true(fabs(rate("cosine+warmup:5%", 2000000, 100, 100000 + 950000) - 0.5) < 1e-12);
    assert_true(rate("cosine:min=0.01", 100, 10, 100) == 0.01);
    assert_true(rate("cosine:min=0.01", 100, 10, 1000000) == 0.01); /* PyTorch's would rise again */
    assert_true(rate("constant", 100, 10, 1000000) == 1);
}

static void durations_are_steps_epochs_or_shares(void **state)
{
    (void)state;
    assert_true(rate("constant+warmup:8", 100, 10, 3) == 0.5);
    assert_true(rate("constant+warmup:2ep", 100, 10, 9) == 0.5);
    assert_true(rate("constant+warmup:20%", 100, 10, 9) == 0.5);
    assert_true(rate("constant+warmup:0.4ep", 100, 10, 1) == 0.5);
    assert_true(rate("constant+warmup:2.6%", 100, 10, 1) == 2.0 / 3); /* 2.6 steps, rounded */
    assert_true(rate("constant+warmup:0", 100, 10, 0) == 1);
    assert_true(rate("cosine+warmup:100%", 100, 10, 49) == 0.5);
    assert_true(rate("constant+warmup", 100, 10, 0) == 0.2);
}

/* Last: there is no way back. */
static void what_is_registered_works_like_what_is_built_in(void **state)
{
    (void)state;
    static struct optim_algorithm rule, wrapper;
    int before, after;
    rule = *optim_find("lion");
    wrapper = *optim_find_wrapper("lookahead");
    optim_algorithms(&before);
    assert_int_equal(optim_register(&rule), DESCENT_EXISTS);
    rule.name = "./own+rule.c";
    wrapper.name = "/own/wrapper.c";
    REFUSED("./own+rule.c:lr=0.1", "'./own+rule.c': that C file has not been loaded");
    REFUSED("own.c", "the path of a C file begins with '.' or '/': ./own.c");
    assert_int_equal(optim_register(&rule), DESCENT_OK);
    assert_int_equal(optim_register(&wrapper), DESCENT_OK);
    assert_ptr_equal(optim_algorithms(&after)[before], &rule);
    assert_int_equal(after, before + 1);
    assert_int_equal(optim_register(&rule), DESCENT_EXISTS);
    assert_ptr_equal(optim_find("sgd"), optim_algorithms(&after)[0]);

    REFUSED("/own/wrapper.c", "/own/wrapper.c defines a wrapper");
    REFUSED("adam+./own+rule.c", "./own+rule.c defines an optimizer");
    REFUSED("./own+rule.c:beta=0.1", "unknown key 'beta' for optimizer ./own+rule.c");
    struct optim *optim =
        optim_new("./own+rule.c:lr=0.5+/own/wrapper.c:k=2+ema", model->params, MODEL_TENSORS);
    assert_non_null(optim);
    assert_ptr_equal(optim_algorithm(optim), &rule);
    const char *name = model->params[0].name;
    assert_int_equal(optim_group(optim, name, "beta1=0.5"), DESCENT_OK);
    assert_int_equal(optim_group(optim, name, "sgd"), DESCENT_OK);
    assert_ptr_equal(optim_algorithm_of(optim, 0), optim_find("sgd"));
    assert_int_equal(optim_group(optim, name, "./own+rule.c"), DESCENT_OK);
    assert_ptr_equal(optim_algorithm_of(optim, 0), &rule);
    assert_int_equal(optim_group(optim, name, "./other.c:lr=1"), DESCENT_BAD_ARGUMENT);
    assert_error_has("'./other.c': that C file has not been loaded");
    assert_non_null(strstr(optim_spec(optim), "./own+rule.c:lr=0.5,"));
    assert_non_null(strstr(optim_spec(optim), "+/own/wrapper.c:k=2,"));
    model_gradient(model, 0);
    assert_int_equal(optim_step(optim), DESCENT_OK);
    optim_free(optim);
}

static double by_thirds(const struct optim_schedule_at *at)
{
    return at->base * pow(at->values[0].number, (double)(3 * at->step / at->total));
}

/* Last, likewise. */
static void a_schedule_of_ones_own_works_like_what_is_built_in(void **state)
{
    (void)state;
    static const struct descent_option options[] = {OPTIM_BETWEEN("factor", "0.5", 0, 1, "of each third")};
    static const struct optim_schedule_kind thirds = {
        .name = "thirds", .summary = "by thirds", .options = options, .option_count = 1, .rate = by_thirds};
    struct optim_schedule_kind flawed = {.name = "flawed"};
    struct optim *optim = model_optim(model, "sgd:lr=1");
    assert_int_equal(optim_schedule(optim, "thirds", 30, 1), DESCENT_BAD_ARGUMENT);
    assert_int_equal(optim_schedule_register(&thirds), DESCENT_OK);
    assert_int_equal(optim_schedule_register(&thirds), DESCENT_EXISTS);
    assert_true(rate("thirds", 30, 1, 9) == 1 && rate("thirds", 30, 1, 10) == 0.5);
    assert_true(rate("thirds:0.1+warmup:10", 40, 1, 4) == 0.5 &&
                rate("thirds:0.1+warmup:10", 40, 1, 20) == 0.1);
    assert_int_equal(optim_schedule(optim, "thirds:2", 30, 1), DESCENT_BAD_ARGUMENT);
    assert_error_has("factor=2 for schedule thirds is out of range");
    assert_int_equal(optim_schedule(optim, "third", 30, 1), DESCENT_BAD_ARGUMENT);
    assert_error_has("did you mean 'thirds'");
    assert_int_equal(optim_schedule_register(&flawed), DESCENT_BAD_ARGUMENT);
    assert_error_has("schedule flawed has no .summary");
    flawed.summary = "flawed";
    assert_int_equal(optim_schedule_register(&flawed), DESCENT_BAD_ARGUMENT);
    assert_error_has("schedule flawed has no function .rate");
    flawed.rate = by_thirds, flawed.role = OPTIM_SCHEDULE_JOIN;
    assert_int_equal(optim_schedule_register(&flawed), DESCENT_BAD_ARGUMENT);
    optim_free(optim);
}

static void a_flawed_algorithm_is_not_registered(void **state)
{
    (void)state;
    static const struct descent_option no_lr[] = {OPTIM_EPS("1e-8")};
    static const struct descent_option no_help[] = {OPTIM_LR("1", 0, 0), OPTIM_FLAG("x", "no", NULL)};
    static const struct descent_option twice[] = {OPTIM_LR("1", 0, 0), OPTIM_LR("1", 0, 0)};
    static const struct descent_option bad_default[] = {OPTIM_LR("one", 0, 0)};
    static const struct descent_option beyond[] = {OPTIM_LR("1", -1, 1)}, from_0[] = {OPTIM_LR("1", 0, 1)};
    const struct optim_algorithm *adam = optim_find("adam");
    struct optim_algorithm flawed[14];
    for (int i = 0; i < 14; i++) {
        flawed[i] = *adam;
        flawed[i].name = "flawed";
    }
    flawed[0].summary = NULL;
    flawed[1].step = NULL;
    flawed[2].options = NULL;
    flawed[3].option_count = 0;
    flawed[4].options = no_lr, flawed[4].option_count = 1;
    flawed[5].options = no_help, flawed[5].option_count = 2;
    flawed[6].options = twice, flawed[6].option_count = 2;
    flawed[7].options = bad_default, flawed[7].option_count = 1;
    flawed[8].fallback = "sgd";
    flawed[9].answers = OPTIM_DIFFICULTIES;
    flawed[10].options = beyond, flawed[10].option_count = 1;
    flawed[11].options = from_0, flawed[11].option_count = 1;
    for (int i = 12; i < 14; i++) {
        flawed[i] = *optim_find_wrapper("accumulate");
        flawed[i].name = "flawed";
    }
    flawed[12].options = NULL, flawed[12].option_count = 0;
    flawed[13].options = no_lr;
    static const char *const messages[] = {
        "optimizer flawed has no .summary",
        "has no function .step",
        "has no table of hyperparameters",
        "has no table of hyperparameters",
        "is eps; expected lr",
        "option 2 (x) has no help",
        "option 2 (lr) has the name of",
        "the default: lr=one for",
        "has no function .takes",
        "has no difficulty",
        "option 1 (lr) has a search range that is none of its type and limits",
        "option 1 (lr) has a search range that no logarithm can hold",
        "has no first option of at least 1",
        "has no first option of at least 1",
    };
    for (int i = 0; i < 14; i++) {
        assert_int_equal(optim_register(&flawed[i]), DESCENT_BAD_ARGUMENT);
        assert_error_has(messages[i]);
    }
    assert_null(optim_find("flawed"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unknown_optimizer_is_an_error_with_a_hint),
        cmocka_unit_test(every_bad_hyperparameter_is_named_with_its_range_and_default),
        cmocka_unit_test(adagrad_divides_by_something),
        cmocka_unit_test(counts_fit_an_int),
        cmocka_unit_test(resolved_spec_makes_the_same_optimizer),
        cmocka_unit_test(every_card_is_complete),
        cmocka_unit_test(bad_schedule_is_an_error_and_keeps_the_old_one),
        cmocka_unit_test(schedules_are_closed_forms),
        cmocka_unit_test(durations_are_steps_epochs_or_shares),
        cmocka_unit_test(a_flawed_algorithm_is_not_registered),
        cmocka_unit_test(what_is_registered_works_like_what_is_built_in),
        cmocka_unit_test(a_schedule_of_ones_own_works_like_what_is_built_in),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
