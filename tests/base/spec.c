#include "base/spec.h"

#include "tests/test.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct descent_option options[] = {
    {.name = "lr", .type = DESCENT_OPTION_REAL, .initial = "1e-3", .min = 0, .max = INFINITY},
    {.name = "beta1", .type = DESCENT_OPTION_REAL, .initial = "0.9", .min = 0, .max = 1, .open_max = true},
    {.name = "eps", .type = DESCENT_OPTION_REAL, .initial = "1e-8", .min = 0, .max = 1, .open_min = true},
    {.name = "shift", .type = DESCENT_OPTION_REAL, .initial = "0"},
    {.name = "rank", .type = DESCENT_OPTION_INTEGER, .initial = "4", .min = -3, .max = 64},
    {.name = "big", .type = DESCENT_OPTION_INTEGER, .initial = "0"},
    {.name = "nesterov", .type = DESCENT_OPTION_FLAG, .initial = "no"},
    {.name = "reduce", .type = DESCENT_OPTION_CHOICE, .initial = "mean", .choices = "mean|sum|none"},
    {.name = "betas",
     .type = DESCENT_OPTION_LIST,
     .initial = "0.9/0.999",
     .min = 0,
     .max = 1,
     .open_max = true},
    {.name = "widths", .type = DESCENT_OPTION_INTEGER_LIST, .initial = "256/128", .min = 1, .max = 4096},
    {.name = "warmup", .type = DESCENT_OPTION_DURATION, .initial = "5%"},
    {.name = "milestones", .type = DESCENT_OPTION_DURATION_LIST, .initial = "30ep/60ep"},
};
enum { LR, BETA1, EPS, SHIFT, RANK, BIG, NESTEROV, REDUCE, BETAS, WIDTHS, WARMUP, MILESTONES, OPTIONS };
_Static_assert(sizeof options / sizeof *options == OPTIONS, "an index for each option");

/* Reads a spec of one part by the table above. */
static enum descent_status read_spec(const char *text, struct descent_value values[OPTIONS])
{
    struct descent_spec spec;
    enum descent_status status = descent_spec_parse(text, &spec);
    if (!status) {
        assert_int_equal(spec.count, 1);
        status = descent_spec_read(&spec.part[0], "optimizer adam", options, OPTIONS, values);
    }
    descent_spec_free(&spec);
    return status;
}

static void assert_error(const char *text, const char *expected)
{
    struct descent_value values[OPTIONS];
    assert_int_equal(read_spec(text, values), DESCENT_BAD_ARGUMENT);
    if (strcmp(descent_error(), expected) != 0)
        fail_msg("%s\n  gave: %s\n  not:  %s", text, descent_error(), expected);
}

static struct descent_value value_of(const char *text, int option)
{
    struct descent_value values[OPTIONS];
    if (read_spec(text, values))
        fail_msg("%s: %s", text, descent_error());
    assert_true(values[option].given);
    return values[option];
}

/* Writes a parsed spec back: a bare value as "=value", parts on lines of their own. */
static void a_spec_is_split_into_parts_names_and_pairs(void **state)
{
    (void)state;
    static const struct {
        const char *text, *parts;
    } cases[] = {
        {"sgd", "sgd\n"},
        {"momentum:lr=0.1+sam:rho=0.05", "momentum lr=0.1\nsam rho=0.05\n"},
        {"crop:pad=4+flip", "crop pad=4\nflip\n"},
        {"cosine+warmup:5%", "cosine\nwarmup =5%\n"},
        {"mlp:256/128,dropout=0.5", "mlp =256/128 dropout=0.5\n"},
        {"momentum:lr=0.1,nesterov", "momentum lr=0.1 =nesterov\n"},
        {"adam:lr=1e+3+ema", "adam lr=1e+3\nema\n"},
        {"adam:+3+ema", "adam =+3\nema\n"},
        {"x:a=1/+2,b=+5+y", "x a=1/+2 b=+5\ny\n"},
        {"warmup:5%+./own.c", "warmup =5%\n./own.c\n"},
        {"./net.c", "./net.c\n"},
        {"./rule.c:lr=0.1+ema", "./rule.c lr=0.1\nema\n"},
        {"./my+rule.c:0.1+/c++/a:b/x.c", "./my+rule.c =0.1\n/c++/a:b/x.c\n"},
        {"./a.c+b:c=1", "./a.c\nb c=1\n"},
        {"../a.conf/net.c", "../a.conf/net.c\n"},
        {"./caf\xc3\xa9 1/net.c:2", "./caf\xc3\xa9 1/net.c =2\n"},
        {"dir/net.c:1", "dir/net.c =1\n"},
        {"2c2d", "2c2d\n"},
        {"3c3d:width=0.25+x", "3c3d width=0.25\nx\n"},
        {"x:a=1+3c3d", "x a=1+3c3d\n"},
        {"a+b+c+d+e+f+g+h", "a\nb\nc\nd\ne\nf\ng\nh\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct descent_spec spec;
        char parts[256] = "";
        assert_int_equal(descent_spec_parse(cases[i].text, &spec), DESCENT_OK);
        for (int p = 0; p < spec.count; p++) {
            const struct descent_spec_part *part = &spec.part[p];
            strcat(parts, part->name);
            for (int k = 0; k < part->count; k++) {
                const char *key = part->pair[k].key;
                snprintf(parts + strlen(parts), 64, " %s=%s", key ? key : "", part->pair[k].value);
            }
            strcat(parts, "\n");
        }
        assert_string_equal(parts, cases[i].parts);
        descent_spec_free(&spec);
    }
}

static void the_first_name_is_measured(void **state)
{
    (void)state;
    assert_int_equal(descent_spec_name_length("adam"), 4);
    assert_int_equal(descent_spec_name_length("adam:lr=1e+3+ema"), 4);
    assert_int_equal(descent_spec_name_length("adam+ema"), 4);
    assert_int_equal(descent_spec_name_length("./my+rule.c:lr=1+ema"), 11);
    assert_int_equal(descent_spec_name_length("./a.c+b"), 5);
}

static void a_malformed_spec_is_an_error_quoting_it_and_the_place(void **state)
{
    (void)state;
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"", "'': expected a name at character 1"},
        {"+", "'+': expected a name at character 1"},
        {"a++b", "'a++b': expected a name at character 3"},
        {"a+", "'a+': expected a name at character 3"},
        {":lr=1", "':lr=1': expected a name at character 1"},
        {"adam lr=1", "'adam lr=1': malformed name at character 1"},
        {"adam+lr=1", "'adam+lr=1': malformed name at character 6"},
        {"cosine+5", "'cosine+5': malformed name at character 1"},
        {"adam:", "'adam:': expected a value at character 6"},
        {"adam:+ema", "'adam:+ema': expected a value at character 6"},
        {"adam:lr=", "'adam:lr=': expected a value at character 9"},
        {"adam:lr=1,", "'adam:lr=1,': expected a value at character 11"},
        {"adam:lr=1,,b=2", "'adam:lr=1,,b=2': expected a value at character 11"},
        {"adam:=1", "'adam:=1': expected a key at character 6"},
        {"adam:1b=2", "'adam:1b=2': expected a key at character 6"},
        {"x+3c3d", "'x+3c3d': malformed name at character 1"},
        {"adam: lr=1", "'adam: lr=1': expected a key at character 6"},
        {"adam:lr=1=2", "'adam:lr=1=2': unexpected second '=' at character 10"},
        {"a+b+c+d+e+f+g+h+i", "'a+b+c+d+e+f+g+h+i': more than 8 parts at character 17"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct descent_spec spec;
        assert_int_equal(descent_spec_parse(cases[i].text, &spec), DESCENT_BAD_ARGUMENT);
        assert_string_equal(descent_error(), cases[i].message);
        assert_int_equal(spec.count, 0);
        assert_null(spec.storage);
    }
    char many[256] = "a:k=0";
    for (int i = 1; i < DESCENT_SPEC_KEYS; i++)
        strcat(many, ",k=0");
    struct descent_spec spec;
    assert_int_equal(descent_spec_parse(many, &spec), DESCENT_OK);
    descent_spec_free(&spec);
    assert_int_equal(descent_spec_parse(strcat(many, ",k=0"), &spec), DESCENT_BAD_ARGUMENT);
    assert_non_null(strstr(descent_error(), "more than 32 options"));
}

static void defaults_fill_what_is_not_given(void **state)
{
    (void)state;
    struct descent_value values[OPTIONS];
    assert_int_equal(read_spec("adam:rank=7", values), DESCENT_OK);
    for (int i = 0; i < OPTIONS; i++)
        assert_int_equal(values[i].given, i == RANK);
    assert_true(values[RANK].number == 7);
    assert_true(values[LR].number == 1e-3);
    assert_true(values[NESTEROV].number == 0);
    assert_true(values[REDUCE].number == 0);
    assert_int_equal(values[BETAS].count, 2);
    assert_true(values[BETAS].number == 0.9 && values[BETAS].list[0] == 0.9 &&
                values[BETAS].list[1] == 0.999);
    assert_int_equal(values[WARMUP].unit, DESCENT_PERCENT);
    assert_true(values[WARMUP].number == 5);
    assert_int_equal(values[MILESTONES].unit, DESCENT_EPOCHS);
    assert_true(values[MILESTONES].list[1] == 60);
}

static void every_type_is_read_as_it_is_written(void **state)
{
    (void)state;
    assert_true(value_of("a:0.5", LR).number == 0.5); /* the main key */
    assert_true(value_of("a:lr=1e+3", LR).number == 1000);
    assert_true(value_of("a:shift=-.5E-2", SHIFT).number == -0.005);
    assert_true(value_of("a:beta1=0", BETA1).number == 0);
    assert_true(value_of("a:rank=-3", RANK).number == -3);
    assert_true(value_of("a:rank=1e1", RANK).number == 10);
    assert_true(value_of("a:big=9007199254740992", BIG).number == 9007199254740992.0);
    static const char *const yes[] = {"a:nesterov=yes", "a:nesterov=true", "a:nesterov=on",
                                      "a:nesterov=1",   "a:nesterov",      "a:3,nesterov"};
    for (size_t i = 0; i < sizeof yes / sizeof *yes; i++)
        assert_true(value_of(yes[i], NESTEROV).number == 1);
    static const char *const no[] = {"a:nesterov=no", "a:nesterov=false", "a:nesterov=off", "a:nesterov=0"};
    for (size_t i = 0; i < sizeof no / sizeof *no; i++)
        assert_true(value_of(no[i], NESTEROV).number == 0);
    assert_true(value_of("a:reduce=sum", REDUCE).number == 1);
    assert_true(value_of("a:reduce=none", REDUCE).number == 2);
    struct descent_value list = value_of("a:widths=1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/4096", WIDTHS);
    assert_int_equal(list.count, DESCENT_LIST_MAX);
    assert_true(list.number == 1 && list.list[15] == 4096);
    struct descent_value steps = value_of("a:warmup=500", WARMUP),
                         epochs = value_of("a:warmup=2.5ep", WARMUP);
    assert_true(steps.number == 500 && steps.unit == DESCENT_STEPS);
    assert_true(epochs.number == 2.5 && epochs.unit == DESCENT_EPOCHS);
    assert_true(value_of("a:warmup=100%", WARMUP).number == 100);
    assert_true(value_of("a:warmup=0", WARMUP).number == 0);
    struct descent_value milestones = value_of("a:milestones=50%/75%/90%", MILESTONES);
    assert_true(milestones.count == 3 && milestones.list[2] == 90 && milestones.unit == DESCENT_PERCENT);
}

static void a_wrong_value_is_an_error_with_what_was_expected_and_the_default(void **state)
{
    (void)state;
#define LR_TAIL "; expected a number in [0, inf), default 1e-3"
    assert_error("a:lr=abc", "lr=abc for optimizer adam is not a number" LR_TAIL);
    assert_error("a:lr=nan", "lr=nan for optimizer adam is not a number" LR_TAIL);
    assert_error("a:lr=inf", "lr=inf for optimizer adam is not a number" LR_TAIL);
    assert_error("a:lr=1e999", "lr=1e999 for optimizer adam is not a number" LR_TAIL);
    assert_error("a:lr=0x10", "lr=0x10 for optimizer adam is not a number" LR_TAIL);
    assert_error("a:lr=1e", "lr=1e for optimizer adam is not a number" LR_TAIL);
    assert_error("a:lr=--1", "lr=--1 for optimizer adam is not a number" LR_TAIL);
    assert_error("a:lr=.", "lr=. for optimizer adam is not a number" LR_TAIL);
    assert_error("a:lr=5%", "lr=5% for optimizer adam is not a number" LR_TAIL);
    assert_error("a:lr=-1e-9", "lr=-1e-9 for optimizer adam is out of range" LR_TAIL);
    assert_error("a:beta1=1",
                 "beta1=1 for optimizer adam is out of range; expected a number in [0, 1), default 0.9");
    assert_error("a:eps=0",
                 "eps=0 for optimizer adam is out of range; expected a number in (0, 1], default 1e-8");
    assert_error("a:shift=x", "shift=x for optimizer adam is not a number; expected a number, default 0");
    assert_error(
        "a:rank=1.5",
        "rank=1.5 for optimizer adam is not an integer; expected an integer in [-3, 64], default 4");
    assert_error(
        "a:big=1e16",
        "big=1e16 for optimizer adam is not an integer of at most 2^53; expected an integer, default 0");
    assert_error("a:nesterov=maybe",
                 "nesterov=maybe for optimizer adam is neither yes nor no; expected yes or no, default no");
    assert_error(
        "a:reduce=su",
        "reduce=su for optimizer adam is not a choice; expected one of mean|sum|none, default mean");
#define BETAS_TAIL "; expected 1 to 16 numbers separated by '/', each in [0, 1), default 0.9/0.999"
    assert_error("a:betas=0.9/1", "betas=0.9/1 for optimizer adam: '1' is out of range" BETAS_TAIL);
    assert_error("a:betas=0.9/", "betas=0.9/ for optimizer adam: '' is not a number" BETAS_TAIL);
    assert_error(
        "a:betas=0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0",
        "betas=0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0 for optimizer adam has more than 16 numbers" BETAS_TAIL);
    assert_error(
        "a:widths=8/2.5/8",
        "widths=8/2.5/8 for optimizer adam: '2.5' is not an integer; expected 1 to 16 integers separated "
        "by '/', each in [1, 4096], default 256/128");
#define DURATION "a duration (500 steps, 2ep or 5%), default 5%"
    assert_error("a:warmup=5x", "warmup=5x for optimizer adam is not a duration; expected " DURATION);
    assert_error("a:warmup=101%",
                 "warmup=101% for optimizer adam is not within 0% and 100%; expected " DURATION);
    assert_error("a:warmup=-1ep", "warmup=-1ep for optimizer adam is negative; expected " DURATION);
    assert_error("a:warmup=1.5", "warmup=1.5 for optimizer adam is not an integer; expected " DURATION);
    assert_error(
        "a:milestones=1ep/20",
        "milestones=1ep/20 for optimizer adam: '20' is of another unit; expected 1 to 16 durations (500 "
        "steps, 2ep or 5%) of one unit separated by '/', default 30ep/60ep");
}

static void an_unknown_key_is_an_error_with_the_nearest_and_all(void **state)
{
    (void)state;
#define KNOWN "known: lr, beta1, eps, shift, rank, big, nesterov, reduce, betas, widths, warmup, milestones"
    assert_error("a:lrr=1", "unknown key 'lrr' for optimizer adam; did you mean 'lr'? " KNOWN);
    assert_error("a:nestrov=yes",
                 "unknown key 'nestrov' for optimizer adam; did you mean 'nesterov'? " KNOWN);
    assert_error("a:momentum=0.9", "unknown key 'momentum' for optimizer adam; " KNOWN);
    assert_error("a:LR=1", "unknown key 'LR' for optimizer adam; did you mean 'lr'? " KNOWN);
    assert_error("a:1,2",
                 "'2' for optimizer adam has no key; only a first value (lr) and flags may stand alone");
    assert_error("a:lr=1,lr=1", "lr is given twice for optimizer adam");
    assert_error("a:1,lr=1", "lr is given twice for optimizer adam");
    assert_error("a:nesterov,nesterov=no", "nesterov is given twice for optimizer adam");
    struct descent_spec spec;
    assert_int_equal(descent_spec_parse("flip:p=1", &spec), DESCENT_OK);
    assert_int_equal(descent_spec_read(&spec.part[0], "augmentation flip", NULL, 0, NULL),
                     DESCENT_BAD_ARGUMENT);
    assert_string_equal(descent_error(), "unknown key 'p' for augmentation flip, which takes no options");
    descent_spec_free(&spec);
    assert_int_equal(descent_spec_parse("flip:5", &spec), DESCENT_OK);
    assert_int_equal(descent_spec_read(&spec.part[0], "augmentation flip", NULL, 0, NULL),
                     DESCENT_BAD_ARGUMENT);
    assert_string_equal(descent_error(), "unknown key '5' for augmentation flip, which takes no options");
    descent_spec_free(&spec);
}

static void a_flag_may_be_the_main_key(void **state)
{
    (void)state;
    static const struct descent_option own[] = {
        {.name = "vertical", .type = DESCENT_OPTION_FLAG, .initial = "no"}};
    static const char *const values[] = {"vertical", "yes"};
    for (int i = 0; i < 2; i++) {
        struct descent_spec_part part = {.name = "flip", .count = 1, .pair = {{NULL, values[i]}}};
        struct descent_value value;
        assert_int_equal(descent_spec_read(&part, "augmentation flip", own, 1, &value), DESCENT_OK);
        assert_true(value.number == 1);
    }
}

static void a_table_that_is_wrong_or_demands_a_value_says_so(void **state)
{
    (void)state;
    static const struct descent_option own[] = {
        {.name = "rank", .type = DESCENT_OPTION_INTEGER, .min = 1, .max = 8},
        {.name = "scale", .type = DESCENT_OPTION_REAL, .initial = "2", .min = 0, .max = 1},
    };
    struct descent_value values[2];
    struct descent_spec_part part = {.name = "own"};
    assert_int_equal(descent_spec_read(&part, "optimizer own", own, 2, values), DESCENT_BAD_ARGUMENT);
    assert_string_equal(descent_error(), "optimizer own needs rank: an integer in [1, 8]");
    part.pair[part.count++].value = "9";
    assert_int_equal(descent_spec_read(&part, "optimizer own", own, 2, values), DESCENT_BAD_ARGUMENT);
    assert_string_equal(descent_error(),
                        "rank=9 for optimizer own is out of range; expected an integer in [1, 8]");
    part.pair[0].value = "2";
    assert_int_equal(descent_spec_read(&part, "optimizer own", own, 2, values), DESCENT_BAD_ARGUMENT);
    assert_string_equal(
        descent_error(),
        "scale=2 for optimizer own is out of range; expected a number in [0, 1], default 2");
}

static void long_hostile_texts_are_cut_in_messages(void **state)
{
    (void)state;
    char text[5000] = "a:lr=";
    memset(text + 5, 'x', sizeof text - 6);
    struct descent_value values[OPTIONS];
    assert_int_equal(read_spec(text, values), DESCENT_BAD_ARGUMENT);
    assert_non_null(strstr(descent_error(), "; expected a number in [0, inf), default 1e-3"));
    text[2] = 'y'; /* an unknown key */
    assert_int_equal(read_spec(text, values), DESCENT_BAD_ARGUMENT);
    assert_non_null(strstr(descent_error(), "unknown key 'yr'"));
    memset(text, 'z', sizeof text - 1);
    text[1] = ':';
    text[sizeof text - 3] = '=';
    assert_int_equal(read_spec(text, values), DESCENT_BAD_ARGUMENT);
    assert_non_null(strstr(descent_error(), KNOWN));

    enum { MANY = 100 };
    struct descent_option wide[MANY];
    char name[70];
    memset(name, 'n', sizeof name);
    name[sizeof name - 1] = 0;
    for (int i = 0; i < MANY; i++)
        wide[i] = (struct descent_option){.name = name, .initial = "1"};
    struct descent_spec_part part = {.name = "a", .count = 1, .pair = {{"x", "1"}}};
    struct descent_value wide_values[MANY];
    assert_int_equal(descent_spec_read(&part, "optimizer wide", wide, MANY, wide_values),
                     DESCENT_BAD_ARGUMENT);
    assert_non_null(strstr(descent_error(), "unknown key 'x' for optimizer wide; known: nnn"));
}

static void a_number_is_the_whole_text_or_nothing(void **state)
{
    (void)state;
    double number = 7;
    static const char *const wrong[] = {"",  " 1",  "1 ",  "1e",  "e1",  "1.2.3",
                                        "+", "inf", "nan", "0x1", "1,5", "1e400"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_false(descent_parse_number(wrong[i], &number));
    assert_true(number == 7);
    assert_true(descent_parse_number("-1.25e+2", &number) && number == -125);
    assert_true(descent_parse_number("5.", &number) && number == 5);
}

static void the_nearest_name_is_a_likely_typo_or_nothing(void **state)
{
    (void)state;
    static const char *const known[] = {"adam", "adamw",        "sgd",     "momentum",
                                        "lr",   "weight_decay", "rmsprop", "k"};
    static const struct {
        const char *name, *nearest;
    } cases[] = {
        {"adma", "adam"},
        {"Adam", "adam"},
        {"adamww", "adamw"},
        {"sdg", "sgd"},
        {"momentm", "momentum"},
        {"rms", "rmsprop"},
        {"weight", "weight_decay"},
        {"lion", NULL},
        {"x", NULL},
        {"", NULL},
        {"weigth_dcay", "weight_decay"},
        {"xy", NULL},
        {"m", NULL},
        {"axxm", NULL},
        {"lrx", "lr"},
        {"momentous", "momentum"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *nearest = descent_nearest(cases[i].name, known, sizeof known / sizeof *known);
        if (cases[i].nearest)
            assert_non_null(nearest);
        else
            assert_null(nearest);
        if (nearest)
            assert_string_equal(nearest, cases[i].nearest);
    }
    assert_null(descent_nearest("x", NULL, 0));
}

static void a_long_list_of_names_is_not_shown_beside_a_suggestion(void **state)
{
    (void)state;
    static const char *const known[] = {"adam", "sgd", "c", "d", "e", "f", "g", "h", "i",
                                        "j",    "k",   "l", "m", "n", "o", "p", "q"};
    assert_int_equal(descent_fail_unknown("optimizer", "adma", known, 2), DESCENT_BAD_ARGUMENT);
    assert_string_equal(descent_error(), "unknown optimizer 'adma'; did you mean 'adam'? known: adam, sgd");
    descent_fail_unknown("optimizer", "adma", known, 17);
    assert_string_equal(descent_error(), "unknown optimizer 'adma'; did you mean 'adam'?");
    descent_fail_unknown("optimizer", "lion", known, 17);
    assert_string_equal(
        descent_error(),
        "unknown optimizer 'lion'; known: adam, sgd, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q");
    descent_fail_unknown("optimizer", "lion", known, 0);
    assert_string_equal(descent_error(), "unknown optimizer 'lion'");
}

static void a_range_is_shown_as_an_interval(void **state)
{
    (void)state;
    char text[64];
    static const struct {
        struct descent_option option;
        const char *range;
    } cases[] = {
        {{.min = 0, .max = 1, .open_max = true}, "[0, 1)"},
        {{.min = 0, .max = INFINITY, .open_min = true}, "(0, inf)"},
        {{.min = -INFINITY, .max = 0}, "(-inf, 0]"},
        {{.min = 1, .max = 1048576}, "[1, 1048576]"},
        {{.min = 0.1, .max = 1e-1}, "[0.1, 0.1]"},
        {{.name = "no limits"}, ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        descent_option_range(&cases[i].option, text, sizeof text);
        assert_string_equal(text, cases[i].range);
    }
    descent_option_range(&cases[0].option, text, 4);
    assert_string_equal(text, "[0,"); /* cut, never past the end */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_spec_is_split_into_parts_names_and_pairs),
        cmocka_unit_test(the_first_name_is_measured),
        cmocka_unit_test(a_malformed_spec_is_an_error_quoting_it_and_the_place),
        cmocka_unit_test(defaults_fill_what_is_not_given),
        cmocka_unit_test(every_type_is_read_as_it_is_written),
        cmocka_unit_test(a_wrong_value_is_an_error_with_what_was_expected_and_the_default),
        cmocka_unit_test(an_unknown_key_is_an_error_with_the_nearest_and_all),
        cmocka_unit_test(a_flag_may_be_the_main_key),
        cmocka_unit_test(a_table_that_is_wrong_or_demands_a_value_says_so),
        cmocka_unit_test(long_hostile_texts_are_cut_in_messages),
        cmocka_unit_test(a_number_is_the_whole_text_or_nothing),
        cmocka_unit_test(the_nearest_name_is_a_likely_typo_or_nothing),
        cmocka_unit_test(a_long_list_of_names_is_not_shown_beside_a_suggestion),
        cmocka_unit_test(a_range_is_shown_as_an_interval),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
