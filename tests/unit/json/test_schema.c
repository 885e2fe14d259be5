/* JSON Schema: the published cases of every keyword that is followed, and the words and places of what is wrong. */
#include "base/memory.h"
#include "base/buffer.h"
#include "base/limits.h"
#include "json/schema.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const char *suite_path; /* the program's argument */

static yyjson_val *read_json(struct weir_arena *arena, const char *text) {
    struct weir_schema_problem problem;
    yyjson_doc *document;
    enum weir_status status = weir_json_read(arena, weir_span_of_string(text), &document, &problem);
    if (status != WEIR_OK)
        fail_msg("%s: %s: %s", text, problem.member, problem.text);
    return yyjson_doc_get_root(document);
}

static size_t count_wrong(yyjson_val *group) {
    yyjson_val *schema = yyjson_obj_get(group, "schema"), *test;
    size_t index, count, wrong = 0;
    yyjson_arr_foreach(yyjson_obj_get(group, "tests"), index, count, test) {
        struct weir_schema_problem problem;
        bool valid = weir_schema_check(schema, schema, yyjson_obj_get(test, "data"), &problem) == WEIR_OK;
        if (valid == yyjson_get_bool(yyjson_obj_get(test, "valid")))
            continue;
        wrong++;
        print_error("%s: %s: %s\n", yyjson_get_str(yyjson_obj_get(group, "description")),
                    yyjson_get_str(yyjson_obj_get(test, "description")), valid ? "is taken for valid" : problem.text);
    }
    return wrong;
}

static void test_the_published_cases(void **state) {
    (void)state;
    assert_non_null(suite_path);
    yyjson_doc *suite = yyjson_read_file(suite_path, 0, NULL, NULL);
    assert_non_null(suite);
    yyjson_val *groups = yyjson_obj_get(yyjson_doc_get_root(suite), "groups"), *group;
    size_t index, count, wrong = 0;
    assert_true(yyjson_arr_size(groups) > 100);
    yyjson_arr_foreach(groups, index, count, group) wrong += count_wrong(group);
    yyjson_doc_free(suite);
    assert_int_equal(wrong, 0);
}

static void test_what_is_wrong_is_named(void **state) {
    (void)state;
    static const char schema_text[] =
        "{\"type\":\"object\",\"required\":[\"id\"],\"additionalProperties\":false,\"properties\":{\"id\":{\"type\":"
        "\"string\",\"minLength\":1,\"maxLength\":4,\"pattern\":\"^[a-z]*$\"},\"limits\":{\"type\":[\"object\",\"null\"],"
        "\"properties\":{\"requests_per_second\":{\"type\":\"integer\",\"minimum\":1},\"share\":{\"type\":\"number\","
        "\"minimum\":0,\"maximum\":1}}},\"tags\":{\"type\":\"array\",\"maxItems\":2,\"uniqueItems\":true,\"items\":{\"type\":"
        "\"string\"}},\"kind\":{\"enum\":[\"a\",\"b\",null]},\"at\":{\"type\":\"string\",\"format\":\"date-time\"},\"either\":{"
        "\"anyOf\":[{\"type\":\"integer\"},{\"type\":\"object\",\"properties\":{\"n\":{\"type\":\"integer\"}}}]},\"password\":{"
        "\"type\":\"string\",\"minLength\":12,\"format\":\"password\"}}}";
    static const struct {
        const char *value, *member, *text;
    } rows[] = {
        {"[]", "", "expected an object, got an array"},
        {"{}", "id", "it is required"},
        {"{\"id\":3}", "id", "expected a string, got 3"},
        {"{\"id\":\"\"}", "id", "expected at least 1 characters, got \"\""},
        {"{\"id\":\"abcde\"}", "id", "expected at most 4 characters, got \"abcde\""},
        {"{\"id\":\"A\"}", "id", "expected a text like ^[a-z]*$, got \"A\""},
        {"{\"id\":\"a\",\"name\":1}", "name", "there is no such member here"},
        {"{\"name\":1}", "name", "there is no such member here"},
        {"{\"id\":\"a\",\"limits\":{\"requests_per_second\":\"x\"}}", "limits.requests_per_second",
         "expected an integer >= 1, got \"x\""},
        {"{\"id\":\"a\",\"limits\":{\"requests_per_second\":0}}", "limits.requests_per_second",
         "expected an integer >= 1, got 0"},
        {"{\"id\":\"a\",\"limits\":{\"requests_per_second\":1.5}}", "limits.requests_per_second",
         "expected an integer >= 1, got 1.5"},
        {"{\"id\":\"a\",\"limits\":{\"share\":2}}", "limits.share", "expected a number >= 0 and <= 1, got 2"},
        {"{\"id\":\"a\",\"limits\":7}", "limits", "expected an object or null, got 7"},
        {"{\"id\":\"a\",\"tags\":[\"x\",true]}", "tags[1]", "expected a string, got true"},
        {"{\"id\":\"a\",\"tags\":[\"x\",\"y\",\"z\"]}", "tags", "expected at most 2 items, got an array"},
        {"{\"id\":\"a\",\"tags\":[\"x\",\"x\"]}", "tags[1]", "expected items that are all different, got \"x\""},
        {"{\"id\":\"a\",\"kind\":\"c\"}", "kind", "expected one of \"a\", \"b\", null, got \"c\""},
        {"{\"id\":\"a\",\"at\":\"yesterday\"}", "at", "expected a date-time, got \"yesterday\""},
        {"{\"id\":\"a\",\"either\":{\"n\":\"x\"}}", "either.n", "expected an integer, got \"x\""},
        {"{\"id\":\"a\",\"password\":\"hunter2\"}", "password", "expected at least 12 characters"},
        {"{\"id\":\"a\",\"password\":12345678}", "password", "expected a string"},
    };
    struct weir_arena *arena = weir_arena_new(0, WEIR_MIB);
    yyjson_val *schema = read_json(arena, schema_text);
    struct weir_schema_problem problem;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(weir_schema_check(schema, schema, read_json(arena, rows[i].value), &problem), WEIR_EINVAL);
        assert_string_equal(problem.member, rows[i].member);
        assert_string_equal(problem.text, rows[i].text);
        assert_int_equal(problem.is_missing, i == 1);
    }
    assert_int_equal(weir_schema_check(schema, schema, read_json(arena, "{\"id\":\"a\",\"limits\":null}"), &problem),
                     WEIR_OK);
    weir_arena_free(&arena);
}

static void test_what_is_secret_is_not_told_again(void **state) {
    (void)state;
    static const struct {
        const char *value, *member, *text;
    } rows[] = {
        {"{\"password\":\"hunter2\"}", "password", "expected at least 12 characters"},
        {"{\"password\":8675309}", "password", "expected a string or null"},
        {"{\"password\":[\"hunter2\"]}", "password", "expected a string or null"},
        {"{\"either\":\"hunter2\"}", "either", "expected at least 12 characters"},
        {"{\"password\":null,\"name\":\"x\"}", "name", "expected an integer, got \"x\""},
    };
    struct weir_arena *arena = weir_arena_new(0, WEIR_MIB);
    struct weir_schema_problem problem;
    yyjson_val *schema = read_json(
        arena,
        "{\"properties\":{\"password\":{\"type\":[\"string\",\"null\"],\"minLength\":12,\"format\":\"password\"},"
        "\"either\":{\"format\":\"password\",\"anyOf\":[{\"type\":\"string\",\"minLength\":12}]},\"name\":{\"type\":"
        "\"integer\"}}}");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(weir_schema_check(schema, schema, read_json(arena, rows[i].value), &problem), WEIR_EINVAL);
        assert_string_equal(problem.member, rows[i].member);
        assert_string_equal(problem.text, rows[i].text);
    }
    weir_arena_free(&arena);
}

static void test_large_integers_are_compared_exactly(void **state) {
    (void)state;
    struct weir_arena *arena = weir_arena_new(0, WEIR_MIB);
    yyjson_val *schema =
        read_json(arena, "{\"type\":\"integer\",\"maximum\":9223372036854775807,\"minimum\":-9223372036854775807}");
    static const struct {
        const char *value;
        bool valid;
    } rows[] = {{"9223372036854775807", true},
                {"9223372036854775808", false},
                {"18446744073709551615", false},
                {"-9223372036854775807", true},
                {"-9223372036854775808", false},
                {"9223372036854774784.0", true},
                {"1e300", false},
                {"0", true},
                {"-1", true}};
    struct weir_schema_problem problem;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_int_equal(weir_schema_check(schema, schema, read_json(arena, rows[i].value), &problem) == WEIR_OK,
                         rows[i].valid);
    weir_arena_free(&arena);
}

static void test_a_schema_that_refers_to_itself_ends(void **state) {
    (void)state;
    struct weir_arena *arena = weir_arena_new(0, WEIR_MIB);
    struct weir_schema_problem problem;
    yyjson_val *schema = read_json(arena, "{\"$ref\":\"#\"}");
    assert_int_equal(weir_schema_check(schema, schema, schema, &problem), WEIR_EINVAL);
    schema = read_json(arena, "{\"$ref\":\"#/nowhere\"}");
    assert_int_equal(weir_schema_check(schema, schema, schema, &problem), WEIR_EINVAL);
    weir_arena_free(&arena);
}

static void test_texts_from_outside_are_read_strictly(void **state) {
    (void)state;
    static const struct {
        const char *text;
        enum weir_status status;
        const char *member;
    } rows[] = {
        {"{\"a\":1,\"b\":{\"c\":1,\"d\":2,\"c\":3}}", WEIR_EEXIST, "b.c"},
        {"[{\"a\":1},{\"a\":1,\"\\u0061\":1}]", WEIR_EEXIST, "[1].a"},
        {"{\"a\":[1,\"x\\u0000\"]}", WEIR_EINVAL, "a[1]"},
        {"{\"a\\u0000b\":1}", WEIR_EINVAL, "a"},
        {"", WEIR_EINVAL, ""},
        {"1 2", WEIR_EINVAL, ""},
        {"\"\xc3\"", WEIR_EINVAL, ""},
        {"nan", WEIR_EINVAL, ""},
    };
    struct weir_arena *arena = weir_arena_new(0, WEIR_MIB);
    struct weir_schema_problem problem;
    yyjson_doc *document = NULL;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(weir_json_read(arena, weir_span_of_string(rows[i].text), &document, &problem), rows[i].status);
        assert_string_equal(problem.member, rows[i].member);
        assert_true(problem.text[0] != '\0');
        assert_null(document);
    }
    weir_arena_free(&arena);
}

/* Names that differ in their length alone, in thousands: to find the one that stands twice must not take long. */
static void test_many_members_are_no_burden(void **state) {
    (void)state;
    struct weir_arena *arena = weir_arena_new(0, 64 * WEIR_MIB);
    struct weir_buffer text;
    struct weir_schema_problem problem;
    yyjson_doc *document = NULL;
    weir_buffer_init(&text, 4 * WEIR_MIB);
    weir_buffer_append_byte(&text, '{');
    for (unsigned i = 0; i < 60000; i++)
        weir_buffer_printf(&text, "\"name%u\":0,", i);
    weir_buffer_append(&text, WEIR_SPAN("\"name31234\":1}"));
    assert_int_equal(weir_json_read(arena, weir_buffer_span(&text), &document, &problem), WEIR_EEXIST);
    assert_string_equal(problem.member, "name31234");
    weir_buffer_release(&text);
    weir_arena_free(&arena);
}

static void test_what_a_text_is(void **state) {
    (void)state;
    assert_true(weir_json_is_text(WEIR_SPAN("")));
    assert_true(weir_json_is_text(WEIR_SPAN("gr\xc3\xbc\xc3\x9f")));
    assert_false(weir_json_is_text(WEIR_SPAN("a\0b")));
    assert_false(weir_json_is_text(WEIR_SPAN("\xff")));
    assert_false(weir_json_is_text(WEIR_SPAN("\xc3")));
    assert_false(weir_json_is_text(WEIR_SPAN("\xed\xa0\x80")));
}

int main(int argc, char **argv) {
    suite_path = argc > 1 ? argv[1] : NULL;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_published_cases),
        cmocka_unit_test(test_what_is_wrong_is_named),
        cmocka_unit_test(test_what_is_secret_is_not_told_again),
        cmocka_unit_test(test_large_integers_are_compared_exactly),
        cmocka_unit_test(test_a_schema_that_refers_to_itself_ends),
        cmocka_unit_test(test_texts_from_outside_are_read_strictly),
        cmocka_unit_test(test_many_members_are_no_burden),
        cmocka_unit_test(test_what_a_text_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
