/* Specs, messages, cards and schedules: what a user writes and reads. */
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unknown_optimizer_is_an_error_with_a_hint),
        cmocka_unit_test(every_bad_hyperparameter_is_named_with_its_range_and_default),
        cmocka_unit_test(resolved_spec_makes_the_same_optimizer),
        cmocka_unit_test(every_card_is_complete),
        cmocka_unit_test(bad_schedule_is_an_error_and_keeps_the_old_one),
        cmocka_unit_test(schedules_are_closed_forms),
        cmocka_unit_test(durations_are_steps_epochs_or_shares),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
