#include "base/json.h"

#include "tests/scratch.h"
#include "tests/test.h"

#include "base/file.h"

#include <math.h>
#include <string.h>

static struct descent_json *parse(const char *text)
{
    return descent_json_parse("f.json", text, strlen(text));
}

static void assert_line(struct descent_json *json, const char *expected)
{
    char *line = descent_json_line(json);
    assert_non_null(line);
    assert_string_equal(line, expected);
    free(line);
    descent_json_free(json);
}

static void an_object_is_one_line_in_order_of_insertion(void **state)
{
    (void)state;
    struct descent_json *json = descent_json_object(), *list = descent_json_array(),
                        *inner = descent_json_object();
    descent_json_set_text(json, "z", "a \"b\"\n\t\\ caf\xc3\xa9");
    descent_json_set_number(json, "lr", 0.1);
    descent_json_set_integer(json, "big", INT64_MIN);
    descent_json_set_flag(json, "yes", true);
    descent_json_set_text(json, "none", NULL);
    descent_json_add_number(list, 3);
    descent_json_add_integer(list, 3);
    descent_json_add_text(list, "x");
    descent_json_add(list, inner);
    descent_json_set(json, "list", list);
    descent_json_set_number(json, "lr", 0.2); /* keeps its place */
    assert_line(
        json,
        "{\"z\":\"a \\\"b\\\"\\n\\t\\\\ caf\xc3\xa9\",\"lr\":0.2,\"big\":-9223372036854775808,\"yes\":true,"
        "\"none\":null,\"list\":[3.0,3,\"x\",{}]}");
}

static void numbers_round_trip_in_the_fewest_digits(void **state)
{
    (void)state;
    static const struct {
        double number;
        const char *line;
    } cases[] = {
        {0.1, "[0.1]"},
        {1.0 / 3, "[0.3333333333333333]"},
        {0.1 + 0.2, "[0.30000000000000004]"},
        {-0.0, "[-0.0]"},
        {5e-324, "[4.94065645841247e-324]"},
        {1.7976931348623157e308, "[1.7976931348623157e308]"},
        {1e22, "[1e22]"},
        {100, "[100.0]"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct descent_json *list = descent_json_array();
        descent_json_add_number(list, cases[i].number);
        assert_line(list, cases[i].line);
        assert_true(strtod(cases[i].line + 1, NULL) == cases[i].number);
    }
}

static void what_is_not_finite_or_not_utf8_still_is_valid_json(void **state)
{
    (void)state;
    struct descent_json *json = descent_json_object();
    descent_json_set_number(json, "nan", (double)NAN);
    descent_json_set_number(json, "inf", -(double)INFINITY);
    descent_json_set_text(json, "path", "caf\xe9\x80.c");
    descent_json_set_text(json, "k\xff", "v");
    assert_line(json, "{\"nan\":null,\"inf\":null,\"path\":\"caf??.c\",\"k?\":\"v\"}");
}

static void a_missing_or_other_value_is_the_fallback(void **state)
{
    (void)state;
    struct descent_json *json = parse("{\"n\":2,\"r\":0.5,\"t\":\"x\",\"o\":{},\"a\":[1,2.5],\"b\":true}");
    assert_non_null(json);
    assert_true(descent_json_number(json, "n", -1) == 2);
    assert_true(descent_json_number(json, "r", -1) == 0.5);
    assert_true(descent_json_number(json, "t", -1) == -1);
    assert_true(descent_json_number(json, "absent", -1) == -1);
    assert_string_equal(descent_json_text(json, "t", "fallback"), "x");
    assert_string_equal(descent_json_text(json, "n", "fallback"), "fallback");
    assert_null(descent_json_get(json, "absent"));
    assert_int_equal(descent_json_count(json), 6);
    assert_true(descent_json_is_object(descent_json_get(json, "o")));
    const struct descent_json *list = descent_json_get(json, "a");
    int64_t number = 0;
    assert_true(descent_json_is_array(list) && !descent_json_is_object(list));
    assert_int_equal(descent_json_count(list), 2);
    assert_true(descent_json_as_integer(descent_json_at(list, 0), &number) && number == 1);
    assert_false(descent_json_as_integer(descent_json_at(list, 1), &number));
    assert_null(descent_json_at(list, 2));
    assert_null(descent_json_at(list, -1));
    assert_null(descent_json_at(json, 0));
    assert_null(descent_json_as_text(list));
    /* nothing is asked of a value that is not there */
    assert_null(descent_json_get(NULL, "n"));
    assert_int_equal(descent_json_count(NULL), 0);
    assert_false(descent_json_as_integer(NULL, &number));
    assert_false(descent_json_is_object(NULL));
    descent_json_free(json);
    descent_json_free(NULL);
}

static void members_are_walked_in_the_order_of_the_text(void **state)
{
    (void)state;
    struct descent_json *json = parse("{\"z\":\"1\",\"a\":\"2\",\"m\":\"3\"}");
    char seen[16] = "";
    for (struct descent_json_member member = {0}; descent_json_next(json, &member);) {
        strcat(seen, member.key);
        strcat(seen, descent_json_as_text(member.value));
    }
    assert_string_equal(seen, "z1a2m3");
    struct descent_json_member none = {0};
    assert_false(descent_json_next(NULL, &none));
    descent_json_free(json);
}

static void malformed_text_is_an_error_naming_file_and_line(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",      "{",          "{\"a\":1,\"a\":2}", "{\"a\":1} x",   "[1,]",
        "1",     "\"x\"",      "{\"a\":nan}",       "[.5]",          "['a']",
        "{a:1}", "[\"\xff\"]", "[1e999]",           "[\"\\u0000\"]", "[99999999999999999999]",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        assert_null(parse(texts[i]));
        assert_non_null(strstr(descent_error(), "f.json: line 1, column "));
    }
    assert_null(parse("{\n\"a\": 1,\n\"b\": }"));
    assert_non_null(strstr(descent_error(), "f.json: line 3, column "));
    char deep[20000];
    memset(deep, '[', sizeof deep);
    assert_null(descent_json_parse("f.json", deep, sizeof deep));
    assert_non_null(strstr(descent_error(), "depth"));
}

static void a_written_file_is_indented_and_reads_the_same(void **state)
{
    (void)state;
    static const char pretty[] =
        "{\n  \"model\": \"mlp\",\n  \"shape\": [1, 2],\n  \"empty\": {},\n  \"epochs\": [\n    {\n"
        "      \"loss\": 0.1\n    },\n    {}\n  ]\n}\n";
    struct descent_json *json = parse(pretty);
    assert_non_null(json);
    const char *path = scratch_path("run.json");
    assert_int_equal(descent_json_write(path, json), DESCENT_OK);
    char *text;
    size_t size;
    assert_int_equal(descent_file_read(path, 1000, &text, &size), DESCENT_OK);
    assert_string_equal(text, pretty);
    free(text);
    descent_json_free(json);
    static const char nested[] = "[\n  [1, 2],\n  {\n    \"a\": []\n  }\n]\n";
    json = parse(nested);
    assert_int_equal(descent_json_write(path, json), DESCENT_OK);
    assert_int_equal(descent_file_read(path, 1000, &text, &size), DESCENT_OK);
    assert_string_equal(text, nested);
    free(text);
    descent_json_free(json);
    json = parse("[1, 2]");
    assert_int_equal(descent_json_write(path, json), DESCENT_OK);
    assert_int_equal(descent_file_read(path, 1000, &text, &size), DESCENT_OK);
    assert_string_equal(text, "[1, 2]\n");
    free(text);
    assert_int_equal(descent_json_write("no/such/run.json", json), DESCENT_NOT_FOUND);
    assert_non_null(strstr(descent_error(), "no/such/run.json"));
    descent_json_free(json);
}

/* As when the child could not be made: the next text of the thread fails, and only that. */
static void memory_that_ran_out_is_reported_by_the_next_text(void **state)
{
    (void)state;
    struct descent_json *json = descent_json_object(), *list = descent_json_array();
    descent_json_set(json, "child", NULL);
    assert_null(descent_json_line(json));
    assert_non_null(strstr(descent_error(), "memory"));
    descent_json_add(list, NULL);
    const char *path = scratch_path("starved.json");
    assert_int_equal(descent_json_write(path, list), DESCENT_OUT_OF_MEMORY);
    assert_non_null(strstr(descent_error(), "starved.json: no memory"));
    assert_int_not_equal(access(path, F_OK), 0);
    assert_null(descent_json_line(NULL));
    descent_json_free(list);
    assert_line(json, "{}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_object_is_one_line_in_order_of_insertion),
        cmocka_unit_test(numbers_round_trip_in_the_fewest_digits),
        cmocka_unit_test(what_is_not_finite_or_not_utf8_still_is_valid_json),
        cmocka_unit_test(a_missing_or_other_value_is_the_fallback),
        cmocka_unit_test(members_are_walked_in_the_order_of_the_text),
        cmocka_unit_test(malformed_text_is_an_error_naming_file_and_line),
        cmocka_unit_test(a_written_file_is_indented_and_reads_the_same),
        cmocka_unit_test(memory_that_ran_out_is_reported_by_the_next_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
