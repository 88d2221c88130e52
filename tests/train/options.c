/* The table parser of command lines, where no subcommand shows it: lists, repeated texts, positional
 * arguments, help. tests/train/usage.c has the messages as a user meets them. */
#include "train/options.h"
#include "tests/test.h"

#include <string.h>

enum { MOST = 4 };

struct request {
    const char *from, *to;
    const char *name[MOST];
    int count, often;
    double share;
    bool help;
};

#define AT(field) offsetof(struct request, field)

static const struct option_row arguments[] = {
    {NULL, NULL, "FROM", OPTION_TEXT, AT(from), .help = "where to begin"},
    {NULL, NULL, "TO", OPTION_TEXT, AT(to), "end", .help = "where to end"},
};

static const struct option_row rows[] = {
    {"What", "names", "LIST", OPTION_LIST, AT(name), "a,b", 0, MOST, .help = "names"},
    {NULL, "name", "NAME", OPTION_TEXTS, AT(name), NULL, 0, MOST, .help = "one more"},
    {NULL, "count", "N", OPTION_COUNT, AT(count), .min = 1, .max = 9, .help = "how many"},
    {NULL, "share", "F", OPTION_REAL, AT(share), "0.5", 0, 1, .help = "which part"},
    {NULL, "often", "N", OPTION_COUNT, AT(often), .min = 1, .max = 9, .help = "how often", .bare = "3"},
    {"Else", "help", NULL, OPTION_YES, AT(help), .help = "this"},
};

static bool typed[6];
static const struct option_table table = {"train test", rows, 6, arguments, 2, 1, typed};

/* The words of `line` into *request. */
static enum descent_status read_line(const char *line, struct request *request)
{
    static char words[200];
    char *argv[20] = {"test"};
    int argc = 1;
    snprintf(words, sizeof words, "%s", line);
    for (char *word = strtok(words, " "); word; word = strtok(NULL, " "))
        argv[argc++] = word;
    return options_read(&table, argc, argv, request);
}

static void assert_names(const char *line, const char *expected)
{
    struct request request = {0};
    char found[100] = "";
    assert_int_equal(read_line(line, &request), DESCENT_OK);
    for (int i = 0; i < MOST && request.name[i]; i++)
        snprintf(found + strlen(found), sizeof found - strlen(found), "[%s]", request.name[i]);
    assert_string_equal(found, expected);
    options_free(&table, &request);
    assert_null(request.name[0]);
}

static void lists_and_repeated_texts_add_up_in_the_order_given(void **state)
{
    (void)state;
    assert_names("x", "[a][b]");
    assert_names("x --names c", "[c]");
    assert_names("x --names c,d --name e:lr=1,k=2", "[c][d][e:lr=1,k=2]");
    assert_names("x --name e:lr=1,k=2 --names c,d", "[e:lr=1,k=2][c][d]");
    assert_names("x --names c,d,e,f", "[c][d][e][f]");
}

static void positional_arguments_stand_anywhere(void **state)
{
    (void)state;
    struct request request = {.count = 7};
    assert_int_equal(read_line("here --share 0.25 there", &request), DESCENT_OK);
    assert_string_equal(request.from, "here");
    assert_string_equal(request.to, "there");
    assert_float_equal(request.share, 0.25, 0);
    assert_int_equal(request.count, 7); /* as the caller set it */
    options_free(&table, &request);
    request = (struct request){0};
    assert_int_equal(read_line("here", &request), DESCENT_OK);
    assert_string_equal(request.to, "end");
    assert_float_equal(request.share, 0.5, 0);
    options_free(&table, &request);
}

static void wrong_lines_say_what_was_expected(void **state)
{
    (void)state;
    static const struct {
        const char *line, *message;
    } wrong[] = {
        {"", "train test: FROM is missing; 'train test --help' shows what there is"},
        {"a b c", "unexpected argument 'c'; 'train test --help' shows what there is"},
        {"a --names c,,d", "expected LIST; default a,b"},
        {"a --names c,", "--names '': expected LIST"},
        {"a --names c,d,e,f,g", "--names g: more than 4"},
        {"a --names c,d,e --name f --name g", "--name g: more than 4"},
        {"a --count 10", "--count 10: expected a whole number from 1 to 9"},
        {"a --share 1", "--share 1: expected a number in [0, 1); default 0.5"},
        {"a --nmes c", "unknown option --nmes; did you mean --names?"},
        {"a --something", "unknown option --something; 'train test --help' shows all"},
        {"a --name", "--name needs a value: NAME"},
        {"a --help=1", "--help takes no value"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct request request = {0};
        assert_int_equal(read_line(wrong[i].line, &request), DESCENT_BAD_ARGUMENT);
        if (!strstr(descent_error(), wrong[i].message))
            fail_msg("%s: expected '%s', got '%s'", wrong[i].line, wrong[i].message, descent_error());
        options_free(&table, &request);
    }
}

static void help_ends_all_checks_and_shows_every_row(void **state)
{
    (void)state;
    struct request request = {0};
    assert_int_equal(read_line("--name c -h --unheard-of", &request), DESCENT_OK);
    assert_true(request.help);
    options_free(&table, &request);

    char text[1000] = "";
    FILE *stream = tmpfile();
    assert_non_null(stream);
    options_print(&table, stream);
    rewind(stream);
    assert_true(fread(text, 1, sizeof text - 1, stream) > 0);
    fclose(stream);
    assert_string_equal(text, "  FROM                   where to begin\n"
                              "  TO                     where to end (default: end)\n"
                              "\n"
                              "What:\n"
                              "  --names LIST           names (default: a,b)\n"
                              "  --name NAME            one more\n"
                              "  --count N              how many\n"
                              "  --share F              which part (default: 0.5)\n"
                              "  --often[=N]            how often\n"
                              "\n"
                              "Else:\n"
                              "  --help                 this\n");
}

static void option_alone_has_a_value_of_its_own(void **state)
{
    (void)state;
    struct request request = {0};
    assert_int_equal(read_line("x --often", &request), DESCENT_OK);
    assert_int_equal(request.often, 3);
    options_free(&table, &request);
    request = (struct request){0};
    assert_int_equal(read_line("x --often=5 y", &request), DESCENT_OK);
    assert_int_equal(request.often, 5);
    assert_string_equal(request.to, "y");
    options_free(&table, &request);
    request = (struct request){0};
    assert_int_equal(read_line("x --often=10", &request), DESCENT_BAD_ARGUMENT);
    options_free(&table, &request);
}

static void what_was_typed_is_known_by_name_and_by_topic(void **state)
{
    (void)state;
    static const char *const numbers[] = {"share", "count", NULL}, *const names[] = {"names", NULL};
    struct request request = {0};
    assert_int_equal(read_line("here --count 3 --share 0.5", &request), DESCENT_OK);
    assert_string_equal(options_typed(&table, numbers), "share");
    assert_null(options_typed(&table, names));
    assert_string_equal(options_typed_in(&table, "What"), "count");
    assert_null(options_typed_in(&table, "Else"));
    options_free(&table, &request);
    assert_int_equal(read_line("here", &request), DESCENT_OK);
    assert_null(options_typed(&table, numbers));
    options_free(&table, &request);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(option_alone_has_a_value_of_its_own),
        cmocka_unit_test(lists_and_repeated_texts_add_up_in_the_order_given),
        cmocka_unit_test(positional_arguments_stand_anywhere),
        cmocka_unit_test(wrong_lines_say_what_was_expected),
        cmocka_unit_test(what_was_typed_is_known_by_name_and_by_topic),
        cmocka_unit_test(help_ends_all_checks_and_shows_every_row),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
