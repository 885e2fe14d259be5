/* The OpenAI dialect: what is read from requests, answers and events, and which bytes are changed on the way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/limits.h"
#include "dialect/dialect.h"

static struct weir_arena *arena;
static const struct weir_dialect *dialect;

static int set_up(void **state) {
    (void)state;
    arena = weir_arena_new(0, WEIR_MIB);
    dialect = weir_dialect_of(WEIR_DIALECT_OPENAI);
    return arena == NULL;
}

static int tear_down(void **state) {
    (void)state;
    weir_arena_free(&arena);
    return 0;
}

static void assert_spliced(struct weir_json_splice *splice, struct weir_span text, const char *expected) {
    struct weir_buffer out;
    weir_buffer_init(&out, WEIR_MIB);
    weir_json_splice_write(splice, text, &out);
    assert_int_equal(weir_buffer_status(&out), WEIR_OK);
    weir_buffer_append_byte(&out, '\0');
    assert_string_equal(out.at, expected);
    assert_int_equal(weir_json_splice_length(splice, text.length), strlen(expected));
    weir_buffer_release(&out);
}

static void requests_are_edited_only_where_they_must_be(void **state) {
    (void)state;
    static const struct {
        const char *body, *model, *sent;
    } rows[] = {
        {"{\"model\":\"a\",\"messages\":[],\"x\":1.0e2}", "a", "{\"model\":\"a\",\"messages\":[],\"x\":1.0e2}"},
        {"{\"model\":\"a\",\"messages\":[]}", "b\"c", "{\"model\":\"b\\\"c\",\"messages\":[]}"},
        {"{ \"messages\" : [] , \"stream\" : true , \"model\" : \"a\" }", "a",
         "{ \"messages\" : [] , \"stream\" : true,\"stream_options\":{\"include_usage\":true} , \"model\" : \"a\" }"},
        {"{\"model\":\"a\",\"messages\":[],\"stream\":true,\"stream_options\":{}}", "a",
         "{\"model\":\"a\",\"messages\":[],\"stream\":true,\"stream_options\":{\"include_usage\":true}}"},
        {"{\"model\":\"a\",\"messages\":[],\"stream\":true,\"stream_options\":{\"include_obfuscation\":false}}", "a",
         "{\"model\":\"a\",\"messages\":[],\"stream\":true,\"stream_options\":{\"include_usage\":true,\"include_obfuscation\":false}}"},
        {"{\"model\":\"a\",\"messages\":[],\"stream\":true,\"stream_options\":null}", "a",
         "{\"model\":\"a\",\"messages\":[],\"stream\":true,\"stream_options\":{\"include_usage\":true}}"},
        {"{\"model\":\"a\",\"messages\":[],\"stream\":true,\"stream_options\":{\"include_usage\":false}}", "a",
         "{\"model\":\"a\",\"messages\":[],\"stream\":true,\"stream_options\":{\"include_usage\":true}}"},
        {"{\"model\":\"a\",\"messages\":[],\"stream\":true,\"stream_options\":{\"include_usage\":true}}", "z",
         "{\"model\":\"z\",\"messages\":[],\"stream\":true,\"stream_options\":{\"include_usage\":true}}"},
        {"{\"model\":\"a\\u0062\",\"messages\":[]}", "ab", "{\"model\":\"a\\u0062\",\"messages\":[]}"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct weir_call call;
        struct weir_call_problem problem;
        struct weir_json_splice splice = {.count = 0};
        assert_int_equal(weir_format_chat.read_call(arena, weir_span_of_string(rows[i].body), &call, &problem),
                         WEIR_OK);
        assert_int_equal(weir_format_chat.edit_call(arena, &call, weir_span_of_string(rows[i].model), &splice),
                         WEIR_OK);
        assert_spliced(&splice, weir_span_of_string(rows[i].body), rows[i].sent);
    }
}

static void request_numbers_are_read(void **state) {
    (void)state;
    struct weir_call call;
    struct weir_call_problem problem;
    assert_int_equal(
        weir_format_chat.read_call(
            arena, WEIR_SPAN("{\"model\":\"m\",\"messages\":[],\"max_tokens\":7,\"max_completion_tokens\":9,\"n\":3}"),
            &call, &problem),
        WEIR_OK);
    assert_int_equal(call.max_output_tokens, 9);
    assert_int_equal(call.choices, 3);
    assert_false(call.stream);
    assert_int_equal(weir_format_chat.read_call(
                         arena,
                         WEIR_SPAN("{\"model\":\"m\",\"messages\":[],\"max_tokens\":null,\"n\":null,\"stream\":null}"),
                         &call, &problem),
                     WEIR_OK);
    assert_int_equal(call.max_output_tokens, 0);
    assert_int_equal(call.choices, 1);
}

static void bad_requests_name_the_field(void **state) {
    (void)state;
    static const struct {
        const char *body;
        enum weir_reason reason;
        const char *field, *part;
    } rows[] = {
        {"", WEIR_REASON_JSON_INVALID, "", "byte 0"},
        {"{\"model\":\"a\"", WEIR_REASON_JSON_INVALID, "", "byte"},
        {"[]", WEIR_REASON_FIELD_INVALID, "body", "a JSON object, not an array"},
        {"{\"messages\":[]}", WEIR_REASON_FIELD_MISSING, "model", "must be"},
        {"{\"model\":7,\"messages\":[]}", WEIR_REASON_FIELD_INVALID, "model", "not a number"},
        {"{\"model\":\"\",\"messages\":[]}", WEIR_REASON_FIELD_INVALID, "model", "a string that names a model"},
        {"{\"model\":\"a\"}", WEIR_REASON_FIELD_MISSING, "messages", "an array of messages"},
        {"{\"model\":\"a\",\"messages\":{}}", WEIR_REASON_FIELD_INVALID, "messages", "not an object"},
        {"{\"model\":\"a\",\"messages\":[],\"stream\":\"yes\"}", WEIR_REASON_FIELD_INVALID, "stream",
         "true or false, not a string"},
        {"{\"model\":\"a\",\"messages\":[],\"stream_options\":1}", WEIR_REASON_FIELD_INVALID, "stream_options",
         "an object"},
        {"{\"model\":\"a\",\"messages\":[],\"max_tokens\":-1}", WEIR_REASON_FIELD_INVALID, "max_tokens", "0 or more"},
        {"{\"model\":\"a\",\"messages\":[],\"max_tokens\":1.5}", WEIR_REASON_FIELD_INVALID, "max_tokens", "whole"},
        {"{\"model\":\"a\",\"messages\":[],\"n\":0}", WEIR_REASON_FIELD_INVALID, "n", "1 or more"},
        {"{\"model\":\"a\",\"messages\":[],\"model\":\"b\"}", WEIR_REASON_JSON_DUPLICATE_MEMBER, "", "model"},
        {"{\"model\":\"a\",\"messages\":[],\"mod\\u0065l\":\"b\"}", WEIR_REASON_JSON_DUPLICATE_MEMBER, "", "byte"},
        {"{\"model\":\"a\",\"messages\":[],\"stream_options\":{},\"stream_options\":{}}",
         WEIR_REASON_JSON_DUPLICATE_MEMBER, "", "stream_options"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct weir_call call;
        struct weir_call_problem problem = {.field = NULL};
        assert_int_equal(weir_format_chat.read_call(arena, weir_span_of_string(rows[i].body), &call, &problem),
                         WEIR_EINVAL);
        assert_int_equal(problem.reason, rows[i].reason);
        assert_string_equal(problem.field, rows[i].field);
        if (strstr(problem.text, rows[i].part) == NULL)
            fail_msg("row %zu: '%s' does not say '%s'", i, problem.text, rows[i].part);
    }
}

static void answers_get_what_was_used(void **state) {
    (void)state;
    static const struct {
        const char *body, *sent;
    } rows[] = {
        {"{\"id\":\"c\",\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":2},\"z\":1}",
         "{\"id\":\"c\",\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":2,\"usedCUMilli\":77},\"z\":1}"},
        {"{\"usage\":{}}", "{\"usage\":{\"usedCUMilli\":77}}"},
        {"{\"usage\":null,\"a\":1}",
         "{\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4,\"total_tokens\":7,\"estimated\":true,\"usedCUMilli\":77},\"a\":1}"},
        {"{\"a\":{\"b\":\"}\"}} \n",
         "{\"a\":{\"b\":\"}\"},\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4,\"total_tokens\":7,\"estimated\":true,\"usedCUMilli\":77}} \n"},
        {"{}",
         "{\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4,\"total_tokens\":7,\"estimated\":true,\"usedCUMilli\":77}}"},
        {"[1]", "[1]"},
    };
    const struct weir_usage estimated = {.input = 3, .output = 4};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct weir_answer answer;
        struct weir_json_splice splice = {.count = 0};
        struct weir_span body = weir_span_of_string(rows[i].body);
        assert_int_equal(weir_format_chat.read_answer(body, &answer), WEIR_OK);
        assert_int_equal(weir_format_chat.edit_answer(arena, &answer, &estimated, 77, &splice), WEIR_OK);
        assert_spliced(&splice, body, rows[i].sent);
    }
    struct weir_answer answer;
    assert_int_not_equal(weir_format_chat.read_answer(WEIR_SPAN("<html>"), &answer), WEIR_OK);
}

static void usage_is_found_in_a_piece(void **state) {
    (void)state;
    static const struct {
        const char *piece;
        bool found;
        int64_t input, output;
    } rows[] = {
        {"ab\"}}],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":2,\"prompt_tokens_details\":{\"cached_tokens\":1}},\"x\":1}",
         true, 5, 2},
        {"\"usage\" : {\"prompt_tokens\" : 7, \"completion_tokens\":8}", true, 7, 8},
        {"\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":1},\"y\":{\"usage\":null}", true, 1, 1},
        {"said \\\"usage\\\":{\\\"prompt_tokens\\\":9}", false, 0, 0},
        {"\"usage\":{\"prompt_tokens\":5,\"comp", false, 0, 0},
        {"\"usage\":{}", false, 0, 0},
        {"\"usage\"", false, 0, 0},
        {"", false, 0, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct weir_answer answer = {.has_usage = false};
        assert_int_equal(weir_format_chat.find_usage(weir_span_of_string(rows[i].piece), &answer), rows[i].found);
        assert_int_equal(answer.usage.input, rows[i].input);
        assert_int_equal(answer.usage.output, rows[i].output);
    }
}

static void usage_details_are_read(void **state) {
    (void)state;
    struct weir_answer answer;
    assert_int_equal(
        weir_format_chat.read_answer(
            WEIR_SPAN(
                "{\"usage\":{\"prompt_tokens\":100,\"completion_tokens\":50,\"prompt_tokens_details\":{\"cached_tokens\":40,"
                "\"cache_write_tokens\":10},\"completion_tokens_details\":{\"reasoning_tokens\":30}}}"),
            &answer),
        WEIR_OK);
    assert_true(answer.has_usage);
    assert_int_equal(answer.usage.input, 100);
    assert_int_equal(answer.usage.cached, 40);
    assert_int_equal(answer.usage.cache_write, 10);
    assert_int_equal(answer.usage.output, 50);
    assert_int_equal(answer.usage.reasoning, 30);
}

static void events_are_told_apart(void **state) {
    (void)state;
    static const struct {
        const char *data;
        enum weir_event_kind kind;
    } rows[] = {
        {"[DONE]", WEIR_EVENT_DONE},
        {"not json", WEIR_EVENT_DAMAGED},
        {"", WEIR_EVENT_OTHER},
        {"{\"choices\":[{\"delta\":{\"content\":\"finish_reason: stop\"},\"finish_reason\":null}]}",
         WEIR_EVENT_CONTENT},
        {"{\"choices\":[{\"delta\":{},\"finish_reason\":null},{\"delta\":{},\"finish_reason\":\"stop\"}]}",
         WEIR_EVENT_FINISH},
        {"{\"choices\":[{\"delta\":{},\"finish_reason\" :\n \"stop\"}]}", WEIR_EVENT_FINISH},
        {"{\"choices\":[{\"delta\":{},\"finish_reason\" : null}]}", WEIR_EVENT_CONTENT},
        {"{\"choices\":[{\"delta\":{\"content\":\"finish_reason\"},\"finish_reason\":null}]}", WEIR_EVENT_CONTENT},
        {"{\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2}}", WEIR_EVENT_USAGE},
        {"{\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2}}", WEIR_EVENT_USAGE},
        {"{\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":1}}",
         WEIR_EVENT_FINISH},
        {"{\"choices\":[],\"prompt_filter_results\":[]}", WEIR_EVENT_OTHER},
        {"{\"error\":{\"message\":\"x\"}}", WEIR_EVENT_ERROR},
        {"{\"error\":null,\"choices\":[{\"delta\":{}}]}", WEIR_EVENT_CONTENT},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct weir_event event;
        const struct weir_sse_event sse = {.data = weir_span_of_string(rows[i].data), .has_data = true};
        weir_format_chat.read_event(&sse, &event);
        if (event.kind != rows[i].kind)
            fail_msg("row %zu: kind %d, expected %d", i, event.kind, rows[i].kind);
    }
}

static void null_usage_is_hidden_and_the_last_event_marked(void **state) {
    (void)state;
    static const struct {
        const char *data, *sent;
    } rows[] = {
        {"{\"a\":1,\"usage\":null}", "{\"a\":1,\"usedCUMilli\":5}"},
        {"{\"usage\":null,\"a\":1}", "{\"a\":1,\"usedCUMilli\":5}"},
        {"{\"a\":1 , \"usage\" : null , \"b\":2 }", "{\"a\":1  , \"b\":2 ,\"usedCUMilli\":5}"},
        {"{\"a\":1}", "{\"a\":1,\"usedCUMilli\":5}"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct weir_event event;
        struct weir_json_splice splice = {.count = 0};
        struct weir_span data = weir_span_of_string(rows[i].data);
        const struct weir_sse_event sse = {.data = data, .has_data = true};
        weir_format_chat.read_event(&sse, &event);
        assert_int_equal(weir_format_chat.hide_usage(data, &event, &splice), WEIR_OK);
        assert_int_equal(weir_format_chat.mark_event(arena, &event, 5, &splice), WEIR_OK);
        assert_spliced(&splice, data, rows[i].sent);
    }
}

static void errors_have_the_familys_shape(void **state) {
    (void)state;
    struct weir_buffer out;
    const struct weir_error_answer error = {.reason = WEIR_REASON_MODEL_NOT_FOUND,
                                            .brand_upper = WEIR_SPAN("WEIR"),
                                            .request_id = WEIR_SPAN("r-1"),
                                            .detail = WEIR_SPAN("'x\"y'"),
                                            .field = "model"};
    weir_buffer_init(&out, WEIR_MIB);
    dialect->write_error(&out, &error);
    static const struct weir_json_want wants[] = {{"error.message"}, {"error.type"},       {"error.param"},
                                                  {"error.code"},    {"error.error_code"}, {"error.request_id"},
                                                  {"error_code"},    {"request_id"},       {"details.field"}};
    struct weir_json_found found[9];
    assert_int_equal(weir_json_scan(weir_buffer_span(&out), wants, 9, found, NULL, NULL), WEIR_OK);
    static const char *const expected[] = {NULL,
                                           "\"invalid_request_error\"",
                                           "\"model\"",
                                           "\"model_not_found\"",
                                           "\"WEIR_NOT_FOUND\"",
                                           "\"r-1\"",
                                           "\"WEIR_NOT_FOUND\"",
                                           "\"r-1\"",
                                           "\"model\""};
    for (size_t i = 1; i < 9; i++)
        assert_true(weir_span_equal(found[i].value, weir_span_of_string(expected[i])));
    assert_int_equal(found[0].kind, WEIR_JSON_STRING);
    weir_buffer_release(&out);
}

static void a_providers_error_keeps_its_words(void **state) {
    (void)state;
    const struct weir_error_answer error = {.reason = WEIR_REASON_UPSTREAM_RATE_LIMITED,
                                            .brand_upper = WEIR_SPAN("WEIR"),
                                            .request_id = WEIR_SPAN("r")};
    struct weir_json_splice splice = {.count = 0};
    struct weir_span body = WEIR_SPAN("{\"error\":{\"message\":\"slow\",\"param\":null}}");
    assert_int_equal(dialect->edit_error(arena, body, &error, &splice), WEIR_OK);
    assert_spliced(
        &splice, body,
        "{\"error\":{\"message\":\"slow\",\"param\":null,\"error_code\":\"WEIR_RATE_LIMITED\",\"request_id\":\"r\"},"
        "\"error_code\":\"WEIR_RATE_LIMITED\",\"request_id\":\"r\"}");
    assert_int_equal(dialect->edit_error(arena, WEIR_SPAN("{\"detail\":\"x\"}"), &error, &splice), WEIR_EINVAL);
    assert_int_equal(dialect->edit_error(arena, WEIR_SPAN("oops"), &error, &splice), WEIR_EINVAL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_are_edited_only_where_they_must_be),
        cmocka_unit_test(request_numbers_are_read),
        cmocka_unit_test(bad_requests_name_the_field),
        cmocka_unit_test(answers_get_what_was_used),
        cmocka_unit_test(usage_details_are_read),
        cmocka_unit_test(usage_is_found_in_a_piece),
        cmocka_unit_test(events_are_told_apart),
        cmocka_unit_test(null_usage_is_hidden_and_the_last_event_marked),
        cmocka_unit_test(errors_have_the_familys_shape),
        cmocka_unit_test(a_providers_error_keeps_its_words),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
