/* The Messages API as it goes through: what metering reads of it, and the few bytes that are changed. */
#include "formats_test.h"

enum { PICTURE = 48200, HIDDEN = 735 };

#define CALL(members) "{\"model\":\"claude\",\"max_tokens\":100,\"messages\":[]" members "}"
#define BLOCKS(blocks) \
    "{\"model\":\"claude\",\"max_tokens\":100,\"messages\":[{\"role\":\"user\",\"content\":[" blocks "]}]}"

static void calls_say_what_may_be_used(void **state) {
    (void)state;
    static const struct {
        const char *body;
        int64_t max_output, more_input;
        bool elsewhere;
    } rows[] = {
        {CALL(""), 100, 0, false},
        {CALL(",\"system\":\"[]\""), 100, 0, false},
        {BLOCKS("{\"type\":\"text\",\"text\":\"Hi\"}"), 100, 0, false},
        {BLOCKS(
             "{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"AA\"},{\"type\":\"redacted_thinking\",\"data\":\"AA\"}"),
         100, 0, false},
        {BLOCKS("{\"type\":\"image\",\"source\":{\"type\":\"base64\",\"media_type\":\"image/png\",\"data\":\"AA\"}}"),
         100, PICTURE, false},
        {BLOCKS("{\"type\":\"image\",\"source\":{\"type\":\"url\",\"url\":\"https://example.com/a.png\"}}"), 100, 0,
         true},
        {BLOCKS("{\"type\":\"image\",\"source\":{\"type\":\"file\",\"file_id\":\"file_1\"}}"), 100, 0, true},
        {BLOCKS("{\"type\":\"document\",\"source\":{\"type\":\"text\",\"media_type\":\"text/plain\",\"data\":\"A\"}}"),
         100, 0, false},
        {BLOCKS(
             "{\"type\":\"document\",\"source\":{\"type\":\"base64\",\"media_type\":\"application/pdf\",\"data\":\"A\"}}"),
         100, 0, true},
        {BLOCKS("{\"type\":\"document\",\"source\":{\"type\":\"content\",\"content\":[{\"type\":\"image\",\"source\":"
                "{\"type\":\"base64\",\"media_type\":\"image/png\",\"data\":\"AA\"}}]}}"),
         100, PICTURE, false},
        {BLOCKS("{\"type\":\"tool_result\",\"tool_use_id\":\"t\",\"content\":[{\"type\":\"text\",\"text\":\"x\"},"
                "{\"type\":\"image\",\"source\":{\"type\":\"base64\",\"media_type\":\"image/png\",\"data\":\"AA\"}}]}"),
         100, PICTURE, false},
        {BLOCKS("{\"type\":\"tool_result\",\"tool_use_id\":\"t\",\"content\":\"x\"}"), 100, 0, false},
        {BLOCKS(
             "{\"type\":\"tool_result\",\"content\":[],\"content\":[{\"type\":\"container_upload\",\"file_id\":\"f\"}]}"),
         100, 0, true},
        {BLOCKS("{\"type\":\"text\",\"type\":\"image\"}"), 100, 0, true},
        {BLOCKS("{\"type\":\"thing\"}"), 100, 0, true},
        {CALL(",\"tools\":[]"), 100, 0, false},
        {CALL(
             ",\"tools\":[{\"name\":\"a\",\"input_schema\":{\"type\":\"object\"}},{\"type\":\"custom\",\"name\":\"b\"}]"),
         100, HIDDEN, false},
        {CALL(",\"tools\":[{\"type\":\"bash_20250124\",\"name\":\"bash\"}]"), 100, 2 * HIDDEN, false},
        {CALL(",\"tools\":[{\"type\":\"web_search_20250305\",\"name\":\"web_search\"}]"), 100, HIDDEN, true},
        {CALL(",\"tools\":[{\"type\":\"custom\",\"name\":\"b\",\"type\":\"web_search_20250305\"}]"), 100, HIDDEN, true},
        {CALL(",\"mcp_servers\":[{\"type\":\"url\"}]"), 100, 0, true},
        {CALL(",\"mcp_servers\":[]"), 100, 0, false},
        {CALL(",\"container\":\"c\""), 100, 0, true},
        {CALL(",\"context_management\":{\"edits\":[{\"type\":\"clear_thinking_20251015\"}]}"), 100, 0, false},
        {CALL(",\"context_management\":{\"edits\":[{\"type\":\"compact_20260112\"}]}"), 100, 0, true},
        {"{\"model\":\"claude\",\"messages\":[],\"max_tokens\":0}", 0, 0, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct weir_call call = call_of(&weir_format_messages, rows[i].body);
        if (call.max_output_tokens != rows[i].max_output || call.more_input_tokens != rows[i].more_input ||
            call.input_is_elsewhere != rows[i].elsewhere)
            fail_msg("%s: %lld output, %lld more, elsewhere %d", rows[i].body, (long long)call.max_output_tokens,
                     (long long)call.more_input_tokens, call.input_is_elsewhere);
        assert_int_equal(call.makes_tokens, rows[i].max_output > 0);
    }
}

static void a_call_needs_a_model_a_limit_and_messages(void **state) {
    (void)state;
    static const struct {
        const char *body, *field;
        enum weir_reason reason;
    } rows[] = {
        {"{\"model\":\"m\",\"messages\":[]}", "max_tokens", WEIR_REASON_FIELD_MISSING},
        {"{\"model\":\"m\",\"messages\":[],\"max_tokens\":\"1\"}", "max_tokens", WEIR_REASON_FIELD_INVALID},
        {"{\"model\":\"m\",\"messages\":[],\"max_tokens\":-1}", "max_tokens", WEIR_REASON_FIELD_INVALID},
        {"{\"messages\":[],\"max_tokens\":1}", "model", WEIR_REASON_FIELD_MISSING},
        {"{\"model\":\"m\",\"max_tokens\":1}", "messages", WEIR_REASON_FIELD_MISSING},
        {"{\"model\":\"m\",\"max_tokens\":1,\"messages\":\"Hi\"}", "messages", WEIR_REASON_FIELD_INVALID},
        {"{\"model\":\"m\",\"max_tokens\":1,\"messages\":[],\"stream\":1}", "stream", WEIR_REASON_FIELD_INVALID},
        {"{\"model\":\"m\",\"model\":\"n\",\"max_tokens\":1,\"messages\":[]}", "", WEIR_REASON_JSON_DUPLICATE_MEMBER},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct weir_call call;
        struct weir_call_problem problem = {.field = NULL, .text = ""};
        assert_int_equal(weir_format_messages.read_call(arena, weir_span_of_string(rows[i].body), &call, &problem),
                         WEIR_EINVAL);
        assert_string_equal(problem.field, rows[i].field);
        assert_int_equal(problem.reason, rows[i].reason);
    }
    (void)call_of(&weir_format_count_tokens, "{\"model\":\"m\",\"messages\":[]}"); /* which needs no limit */
}

static void calls_are_edited_only_where_they_must_be(void **state) {
    (void)state;
    static const char body[] = "{ \"max_tokens\": 100, \"model\": \"claude\", \"messages\": [], \"top_k\": 5 }";
    struct weir_json_splice splice = {.count = 0};
    struct weir_call call = call_of(&weir_format_messages, body);
    assert_int_equal(weir_format_messages.edit_call(arena, &call, WEIR_SPAN("claude"), &splice), WEIR_OK);
    assert_int_equal(splice.count, 0);
    call.clamped_output_tokens = 60;
    assert_int_equal(weir_format_messages.edit_call(arena, &call, WEIR_SPAN("claude-opus"), &splice), WEIR_OK);
    assert_spliced(&splice, weir_span_of_string(body),
                   "{ \"max_tokens\": 60, \"model\": \"claude-opus\", \"messages\": [], \"top_k\": 5 }");
}

static void assert_usage(const char *text, const struct weir_usage *is, const struct weir_usage *should) {
    if (is->input != should->input || is->cached != should->cached || is->cache_write != should->cache_write ||
        is->cache_write_long != should->cache_write_long || is->output != should->output ||
        is->reasoning != should->reasoning)
        fail_msg("%s: input %lld, cached %lld, written %lld (for long %lld), output %lld, reasoning %lld", text,
                 (long long)is->input, (long long)is->cached, (long long)is->cache_write,
                 (long long)is->cache_write_long, (long long)is->output, (long long)is->reasoning);
}

static void usage_becomes_inclusive(void **state) {
    (void)state;
    static const struct {
        const char *body;
        bool has_usage;
        struct weir_usage usage;
    } rows[] = {
        {"{\"usage\":{\"input_tokens\":10,\"output_tokens\":20}}", true, {.input = 10, .output = 20}},
        {"{\"usage\":{\"input_tokens\":10,\"cache_read_input_tokens\":2000,\"cache_creation_input_tokens\":300,"
         "\"cache_creation\":{\"ephemeral_5m_input_tokens\":100,\"ephemeral_1h_input_tokens\":200},\"output_tokens\":20,"
         "\"output_tokens_details\":{\"thinking_tokens\":15},\"service_tier\":\"standard\"}}",
         true,
         {.input = 2310, .cached = 2000, .cache_write = 300, .cache_write_long = 200, .output = 20, .reasoning = 15}},
        {"{\"usage\":{\"input_tokens\":10,\"cache_creation\":{\"ephemeral_5m_input_tokens\":100,"
         "\"ephemeral_1h_input_tokens\":200},\"output_tokens\":20}}",
         true,
         {.input = 310, .cache_write = 300, .cache_write_long = 200, .output = 20}},
        {"{\"usage\":{\"input_tokens\":10,\"cache_creation_input_tokens\":100,"
         "\"cache_creation\":{\"ephemeral_1h_input_tokens\":200},\"output_tokens\":20}}",
         true,
         {.input = 110, .cache_write = 100, .cache_write_long = 100, .output = 20}},
        {"{\"usage\":{\"input_tokens\":10,\"cache_read_input_tokens\":null,\"cache_creation_input_tokens\":null,"
         "\"output_tokens\":20}}",
         true,
         {.input = 10, .output = 20}},
        /* the summary that was made on the way is in its rounds alone */
        {"{\"usage\":{\"input_tokens\":23000,\"output_tokens\":1000,\"iterations\":["
         "{\"type\":\"compaction\",\"input_tokens\":180000,\"cache_read_input_tokens\":5,\"cache_creation_input_tokens\":0,"
         "\"output_tokens\":3500},"
         "{\"type\":\"message\",\"input_tokens\":23000,\"cache_read_input_tokens\":0,\"cache_creation_input_tokens\":0,"
         "\"output_tokens\":1000}]}}",
         true,
         {.input = 203005, .cached = 5, .output = 4500}},
        {"{\"usage\":{\"input_tokens\":10,\"cache_creation_input_tokens\":30,\"cache_creation\":{\"ephemeral_1h_input_tokens\":7},"
         "\"output_tokens\":2,\"iterations\":["
         "{\"type\":\"message\",\"input_tokens\":4,\"cache_creation_input_tokens\":20,"
         "\"cache_creation\":{\"ephemeral_5m_input_tokens\":15,\"ephemeral_1h_input_tokens\":5},\"output_tokens\":1},"
         "{\"type\":\"message\",\"input_tokens\":10,\"cache_creation_input_tokens\":30,"
         "\"cache_creation\":{\"ephemeral_5m_input_tokens\":23,\"ephemeral_1h_input_tokens\":7},\"output_tokens\":2}]}}",
         true,
         {.input = 64, .cache_write = 50, .cache_write_long = 12, .output = 3}},
        {"{\"usage\":{\"input_tokens\":10,\"output_tokens\":20,\"iterations\":null}}",
         true,
         {.input = 10, .output = 20}},
        {"{\"usage\":{\"input_tokens\":10,\"output_tokens\":20,\"iterations\":[7]}}",
         true,
         {.input = 10, .output = 20}},
        {"{\"usage\":{\"input_tokens\":9223372036854775807,\"cache_read_input_tokens\":1,\"output_tokens\":1}}",
         false,
         {.input = 0}},
        {"{\"usage\":{\"input_tokens\":-1}}", false, {.input = 0}},
        {"{\"usage\":{}}", false, {.input = 0}},
        {"{\"usage\":null}", false, {.input = 0}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct weir_answer answer, piece = {.has_usage = false};
        assert_int_equal(weir_format_messages.read_answer(weir_span_of_string(rows[i].body), &answer), WEIR_OK);
        if (answer.has_usage != rows[i].has_usage)
            fail_msg("%s: has_usage is %d", rows[i].body, answer.has_usage);
        assert_usage(rows[i].body, &answer.usage, &rows[i].usage);
        assert_int_equal(weir_format_messages.find_usage(weir_span_of_string(rows[i].body), &piece), rows[i].has_usage);
        if (rows[i].has_usage)
            assert_usage(rows[i].body, &piece.usage, &rows[i].usage);
    }
}

static void what_was_used_stands_in_the_usage(void **state) {
    (void)state;
    static const struct {
        const struct weir_format *format;
        const char *body, *sent;
    } rows[] = {
        {&weir_format_messages, "{\"id\":\"msg_1\",\"usage\":{\"input_tokens\":1,\"output_tokens\":2}}",
         "{\"id\":\"msg_1\",\"usage\":{\"input_tokens\":1,\"output_tokens\":2,\"usedCUMilli\":77}}"},
        {&weir_format_messages, "{\"id\":\"msg_1\"}",
         "{\"id\":\"msg_1\",\"usage\":{\"input_tokens\":3,\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":0,"
         "\"output_tokens\":4,\"estimated\":true,\"usedCUMilli\":77}}"},
        {&weir_format_messages, "{\"usage\":null}",
         "{\"usage\":{\"input_tokens\":3,\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":0,"
         "\"output_tokens\":4,\"estimated\":true,\"usedCUMilli\":77}}"},
        {&weir_format_count_tokens, "{\"input_tokens\":9}", "{\"input_tokens\":9,\"usedCUMilli\":77}"},
    };
    const struct weir_usage estimated = {.input = 3, .output = 4};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct weir_answer answer;
        struct weir_json_splice splice = {.count = 0};
        assert_int_equal(rows[i].format->read_answer(weir_span_of_string(rows[i].body), &answer), WEIR_OK);
        assert_int_equal(rows[i].format->edit_answer(arena, &answer, &estimated, 77, &splice), WEIR_OK);
        assert_spliced(&splice, weir_span_of_string(rows[i].body), rows[i].sent);
    }
}

static struct weir_event event_of(const char *data) {
    const struct weir_sse_event sse = {.data = weir_span_of_string(data), .has_data = true};
    struct weir_event event;
    weir_format_messages.read_event(&sse, &event);
    return event;
}

static void events_are_what_they_say(void **state) {
    (void)state;
    static const struct {
        const char *data;
        enum weir_event_kind kind;
        bool has_text, has_usage;
    } rows[] = {
        {"{\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"content\":[],"
         "\"usage\":{\"input_tokens\":25,\"output_tokens\":1}}}",
         WEIR_EVENT_OTHER, false, true},
        {"{\"type\":\"ping\"}", WEIR_EVENT_OTHER, false, false},
        {"{\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}",
         WEIR_EVENT_OTHER, false, false},
        {"{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"Hi\"}}",
         WEIR_EVENT_CONTENT, true, false},
        {"{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"thinking_delta\",\"thinking\":\"Hm\"}}",
         WEIR_EVENT_CONTENT, true, false},
        {"{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"{\"}}",
         WEIR_EVENT_CONTENT, true, false},
        {"{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"signature_delta\",\"signature\":\"AA\"}}",
         WEIR_EVENT_CONTENT, false, false},
        {"{\"type\":\"content_block_stop\",\"index\":0}", WEIR_EVENT_OTHER, false, false},
        {"{\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\",\"stop_sequence\":null},"
         "\"usage\":{\"output_tokens\":15}}",
         WEIR_EVENT_FINISH, false, true},
        {"{\"type\":\"message_stop\"}", WEIR_EVENT_LAST, false, false},
        {"{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}", WEIR_EVENT_ERROR,
         false, false},
        {"{\"type\":\"something_new\"}", WEIR_EVENT_OTHER, false, false},
        {"", WEIR_EVENT_OTHER, false, false},
        {"{\"type\":", WEIR_EVENT_DAMAGED, false, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct weir_event event = event_of(rows[i].data);
        if (event.kind != rows[i].kind || event.has_text != rows[i].has_text ||
            event.answer.has_usage != rows[i].has_usage)
            fail_msg("%s: kind %d, text %d, usage %d", rows[i].data, (int)event.kind, event.has_text,
                     event.answer.has_usage);
        assert_int_equal(event.usage_is_begun, i == 0);
    }
    assert_text(event_of(rows[0].data).answer.id, "msg_1");
}

static void the_last_event_says_what_was_used(void **state) {
    (void)state;
    static const char data[] = "{\"type\":\"message_stop\"}";
    struct weir_event event = event_of(data);
    struct weir_json_splice splice = {.count = 0};
    assert_int_equal(weir_format_messages.mark_event(arena, &event, 77, &splice), WEIR_OK);
    assert_spliced(&splice, weir_span_of_string(data), "{\"type\":\"message_stop\",\"usedCUMilli\":77}");
}

static void most_of_two_counts_is_kept(void **state) {
    (void)state;
    struct weir_usage usage = {.output = 15};
    const struct weir_usage begun = {.input = 2010, .cached = 2000, .output = 1};
    weir_usage_keep_most(&usage, &begun);
    assert_usage("both", &usage, &(struct weir_usage){.input = 2010, .cached = 2000, .output = 15});
}

static void errors_end_a_stream_by_name(void **state) {
    (void)state;
    struct weir_buffer out;
    weir_buffer_init(&out, WEIR_MIB);
    const struct weir_error_answer error = {.reason = WEIR_REASON_UPSTREAM_CLOSED,
                                            .brand_upper = WEIR_SPAN("WEIR"),
                                            .request_id = WEIR_SPAN("r-1"),
                                            .detail = WEIR_SPAN("")};
    weir_format_messages.write_error_event(&out, &error);
    struct weir_span text = weir_buffer_span(&out), data = weir_span_from(text, strlen("event: error\ndata: "));
    assert_true(weir_span_starts_with(
        text, WEIR_SPAN("event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"api_error\",\"message\":\"")));
    assert_true(weir_span_ends_with(text, WEIR_SPAN("}\n\n")));
    static const struct weir_json_want wants[] = {{"request_id"}};
    struct weir_json_found found[1];
    assert_int_equal(weir_json_scan(data, wants, 1, found, NULL, NULL), WEIR_OK);
    assert_text(found[0].value, "\"r-1\"");
    weir_buffer_release(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(calls_say_what_may_be_used, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_call_needs_a_model_a_limit_and_messages, set_up, tear_down),
        cmocka_unit_test_setup_teardown(calls_are_edited_only_where_they_must_be, set_up, tear_down),
        cmocka_unit_test_setup_teardown(usage_becomes_inclusive, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_was_used_stands_in_the_usage, set_up, tear_down),
        cmocka_unit_test_setup_teardown(events_are_what_they_say, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_last_event_says_what_was_used, set_up, tear_down),
        cmocka_unit_test(most_of_two_counts_is_kept),
        cmocka_unit_test(errors_end_a_stream_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
