/* How much the input of a call may count beyond its bytes, and how its output limit is lowered. */
#include "formats_test.h"

enum { PICTURE = 48200 };

struct row {
    const char *body;
    int64_t more_input;
    bool elsewhere, audio;
};

static void assert_bounds(const struct weir_format *format, const struct row *rows, size_t count) {
    for (size_t i = 0; i < count; i++) {
        struct weir_call call = call_of(format, rows[i].body);
        if (call.more_input_tokens != rows[i].more_input || call.input_is_elsewhere != rows[i].elsewhere ||
            call.may_take_audio != rows[i].audio)
            fail_msg("%s: %lld more, elsewhere %d, audio %d", rows[i].body, (long long)call.more_input_tokens,
                     call.input_is_elsewhere, call.may_take_audio);
    }
}
#define ASSERT_BOUNDS(format, rows) assert_bounds(format, rows, sizeof(rows) / sizeof *(rows))

#define CHAT(messages) "{\"model\":\"m\",\"messages\":[" messages "]}"
#define PARTS(parts) CHAT("{\"role\":\"user\",\"content\":[" parts "]}")

static void chat_messages_say_what_they_hold(void **state) {
    (void)state;
    static const struct row rows[] = {
        {CHAT(""), 0, false, false},
        {CHAT("{\"role\":\"user\",\"content\":\"Hi\"}"), 0, false, false},
        {CHAT("{\"role\":\"user\",\"content\":\"[1] {\\\"type\\\":\\\"file\\\"}\"}"), 0, false, false},
        {CHAT("{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"c\",\"type\":\"function\"}]}"), 0,
         false, false},
        {PARTS("{\"type\":\"text\",\"text\":\"Hi\"},\"Hi\""), 0, false, false},
        {PARTS("{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/png;base64,AA\"}}"), PICTURE, false, false},
        {PARTS("{\"image_url\":{\"detail\":\"low\",\"url\":\"data:image/png;base64,AA\"},\"type\":\"image_url\"},"
               "{\"type\":\"image_url\",\"image_url\":\"data:image/gif;base64,AA\"}"),
         2 * PICTURE, false, false},
        {PARTS("{\"type\":\"image_url\",\"image_url\":{\"url\":\"https://example.com/a.png\"}}"), 0, true, false},
        {PARTS("{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:application/pdf;base64,AA\"}}"), 0, true, false},
        {PARTS("{\"type\":\"image_url\"}"), 0, true, false},
        {PARTS("{\"type\":\"input_audio\",\"input_audio\":{\"data\":\"AA\",\"format\":\"wav\"}}"), 0, false, true},
        {PARTS("{\"type\":\"file\",\"file\":{\"file_id\":\"file-1\"}}"), 0, true, false},
        {PARTS("{\"type\":\"file\",\"file\":{\"file_data\":\"AA\"}}"), 0, true, false},
        {PARTS("{\"type\":\"video_url\",\"video_url\":{\"url\":\"data:video/mp4;base64,AA\"}}"), 0, true, false},
        {PARTS("{\"typ\\u0065\":\"fil\\u0065\",\"file\":{}}"), 0, true, false},
        {PARTS("{}"), 0, false, false}, /* there is nothing in it */
        {PARTS("{\"type\":\"file\",\"type\":\"text\"}"), 0, true, false},
        {"{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"cont\\u0065nt\":[{\"type\":\"file\"}]}]}", 0, true,
         false},
        {CHAT("{\"role\":\"user\",\"content\":\"if (x) {\"},{ \"role\":\"user\",\"content\":[{\n\"type\":\"file\"}]}"),
         0, true, false},
        {CHAT("{\"role\":\"user\",\"content\":\"if (x) {\"},{\"role\":\"user\",\"content\":\"{}\"}"), 0, false, false},
        {CHAT("{\"role\":\"assistant\",\"audio\":{\"id\":\"audio_1\"}}"), 0, true, false},
        {CHAT("{\"role\":\"assistant\",\"audio\":null}"), 0, false, false},
        {"{\"model\":\"m\",\"messages\":[],\"tools\":[{\"type\":\"function\",\"function\":{}},{\"type\":\"custom\"}]}",
         0, false, false},
        {"{\"model\":\"m\",\"messages\":[],\"tools\":[{\"type\":\"function\"},{\"type\":\"web_search\"}]}", 0, true,
         false},
        {"{\"model\":\"m\",\"messages\":[],\"web_search_options\":{}}", 0, true, false},
        {"{\"model\":\"m\",\"messages\":[],\"web_search_options\":null,\"tools\":null}", 0, false, false},
    };
    ASSERT_BOUNDS(&weir_format_chat, rows);
    assert_true(
        call_of(&weir_format_chat, "{\"model\":\"m\",\"messages\":[],\"audio\":{\"voice\":\"a\"}}").may_make_audio);
    assert_true(call_of(&weir_format_chat, "{\"model\":\"m\",\"messages\":[],\"modalities\":[\"text\",\"audio\"]}")
                    .may_make_audio);
    assert_false(
        call_of(&weir_format_chat, "{\"model\":\"m\",\"messages\":[],\"modalities\":[\"text\"]}").may_make_audio);
}

#define INPUT(items) "{\"model\":\"m\",\"input\":[" items "]}"

static void items_of_responses_say_what_they_hold(void **state) {
    (void)state;
    static const struct row rows[] = {
        {"{\"model\":\"m\",\"input\":\"Hi\"}", 0, false, false},
        {INPUT("{\"role\":\"user\",\"content\":\"Hi\"}"), 0, false, false},
        {INPUT("{\"type\":\"message\",\"role\":\"user\",\"content\":[{\"type\":\"input_text\",\"text\":\"Hi\"}]}"), 0,
         false, false},
        {INPUT(
             "{\"role\":\"user\",\"content\":[{\"type\":\"input_image\",\"image_url\":\"data:image/png;base64,AA\"}]}"),
         PICTURE, false, false},
        {INPUT("{\"role\":\"user\",\"content\":[{\"type\":\"input_image\",\"file_id\":\"file-1\"}]}"), 0, true, false},
        {INPUT(
             "{\"role\":\"user\",\"content\":[{\"type\":\"input_file\",\"file_url\":\"https://example.com/a.pdf\"}]}"),
         0, true, false},
        {INPUT("{\"type\":\"function_call\",\"name\":\"f\"},{\"type\":\"function_call_output\",\"output\":\"x\"}"), 0,
         false, false},
        {INPUT(
             "{\"type\":\"function_call_output\",\"output\":[{\"type\":\"input_image\",\"image_url\":\"data:image/png;base64,AA\"}]}"),
         PICTURE, false, false},
        {INPUT("{\"type\":\"reasoning\",\"summary\":[],\"encrypted_content\":\"AA\"}"), 0, false, false},
        {INPUT("{\"type\":\"item_reference\",\"id\":\"rs_1\"}"), 0, true, false},
        {INPUT("{\"typ\\u0065\":\"item_reference\",\"id\":\"rs_1\"}"), 0, true, false},
        {"{\"model\":\"m\",\"input\":\"x\",\"tools\":[{\"type\":\"file_search\"}]}", 0, true, false},
        {"{\"model\":\"m\",\"input\":\"x\",\"tools\":[{\"type\":\"mcp\",\"server_url\":\"https://example.com\"}]}", 0,
         true, false},
        {"{\"model\":\"m\",\"input\":\"x\",\"tools\":[{\"type\":\"function\",\"name\":\"f\"},{\"type\":\"local_shell\"}]}",
         0, false, false},
    };
    ASSERT_BOUNDS(&weir_format_responses, rows);
}

static void the_larger_of_two_output_limits_counts(void **state) {
    (void)state;
    assert_int_equal(call_of(&weir_format_chat,
                             "{\"model\":\"m\",\"messages\":[],\"max_tokens\":70,\"max_completion_tokens\":5}")
                         .max_output_tokens,
                     70);
    assert_int_equal(call_of(&weir_format_chat,
                             "{\"model\":\"m\",\"messages\":[],\"max_tokens\":7,\"max_completion_tokens\":50}")
                         .max_output_tokens,
                     50);
}

static void a_clamped_call_tells_the_provider_so(void **state) {
    (void)state;
    static const struct {
        const struct weir_format *format;
        const char *body, *sent;
    } rows[] = {
        {&weir_format_chat, "{\"model\":\"m\",\"messages\":[],\"max_tokens\":500}",
         "{\"model\":\"m\",\"messages\":[],\"max_tokens\":42}"},
        {&weir_format_chat, "{\"model\":\"m\",\"max_completion_tokens\" : 500,\"messages\":[],\"max_tokens\":null}",
         "{\"model\":\"m\",\"max_completion_tokens\" : 42,\"messages\":[],\"max_tokens\":null}"},
        {&weir_format_chat, "{\"model\":\"m\",\"max_completion_tokens\":500,\"messages\":[],\"max_tokens\":600}",
         "{\"model\":\"m\",\"max_completion_tokens\":42,\"messages\":[],\"max_tokens\":42}"},
        {&weir_format_chat, "{\"model\":\"m\",\"messages\":[]}",
         "{\"max_completion_tokens\":42,\"model\":\"m\",\"messages\":[]}"},
        {&weir_format_chat, "{\"model\":\"m\",\"max_tokens\":null,\"messages\":[]}",
         "{\"model\":\"m\",\"max_tokens\":42,\"messages\":[]}"},
        {&weir_format_completions, "{\"model\":\"m\",\"prompt\":\"x\"}",
         "{\"max_tokens\":42,\"model\":\"m\",\"prompt\":\"x\"}"},
        {&weir_format_responses, "{\"model\":\"m\",\"input\":\"x\"}",
         "{\"max_output_tokens\":42,\"model\":\"m\",\"input\":\"x\"}"},
        {&weir_format_responses, "{\"model\":\"m\",\"input\":\"x\",\"max_output_tokens\":1e3}",
         "{\"model\":\"m\",\"input\":\"x\",\"max_output_tokens\":42}"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct weir_call call = call_of(rows[i].format, rows[i].body);
        struct weir_json_splice splice = {.count = 0};
        call.clamped_output_tokens = 42;
        assert_int_equal(rows[i].format->edit_call(arena, &call, WEIR_SPAN("m"), &splice), WEIR_OK);
        assert_spliced(&splice, weir_span_of_string(rows[i].body), rows[i].sent);
    }
    assert_null(call_of(&weir_format_speech, "{\"model\":\"m\",\"input\":\"x\"}").output_limit_name);
    assert_null(call_of(&weir_format_embeddings, "{\"model\":\"m\",\"input\":\"x\"}").output_limit_name);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(chat_messages_say_what_they_hold, set_up, tear_down),
        cmocka_unit_test_setup_teardown(items_of_responses_say_what_they_hold, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_larger_of_two_output_limits_counts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_clamped_call_tells_the_provider_so, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
