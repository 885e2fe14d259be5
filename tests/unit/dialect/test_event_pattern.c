/* Events read by their likeness to the one before: told the same as when they are read as a whole, or not told at all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "dialect/dialect.h"

static struct weir_event whole(const struct weir_format *format, const char *data) {
    const struct weir_sse_event sse = {.data = weir_span_of_string(data), .has_data = true};
    struct weir_event event;
    format->read_event(&sse, &event);
    return event;
}

static void assert_same(const struct weir_event *a, const struct weir_event *b) {
    assert_int_equal(a->kind, b->kind);
    assert_int_equal(a->has_text, b->has_text);
    assert_int_equal(a->usage_is_null, b->usage_is_null);
    assert_int_equal(a->sequence, b->sequence);
    assert_int_equal(a->answer.root_end, b->answer.root_end);
    assert_int_equal(a->answer.usage_member.kind, b->answer.usage_member.kind);
    assert_int_equal(a->answer.usage_member.member_at, b->answer.usage_member.member_at);
    assert_int_equal(a->answer.usage_member.value_at, b->answer.usage_member.value_at);
    assert_ptr_equal(a->answer.usage_member.value.at, b->answer.usage_member.value.at);
}

#define CHAT(text, more) \
    "{\"id\":\"c\",\"usage\":null,\"choices\":[{\"index\":0,\"delta\":{\"content\":" text "}" more "}]}"
#define RESPONSE(number, text) \
    "{\"type\":\"response.output_text.delta\",\"sequence_number\":" number ",\"delta\":" text ",\"obfuscation\":\"x\"}"

static void likeness_tells_what_reading_tells(void **state) {
    (void)state;
    static const struct {
        const struct weir_format *format;
        const char *before, *after;
    } rows[] = {
        {&weir_format_chat, CHAT("\"a\"", ",\"finish_reason\":null"),
         CHAT("\"a longer one\"", ",\"finish_reason\":null")},
        {&weir_format_chat, CHAT("\"a long one\"", ""), CHAT("\"b\"", "")},
        {&weir_format_chat, CHAT("\"a\"", ""), CHAT("\"\\n \\u00e9 \\\" finish_reason\"", "")},
        {&weir_format_chat, CHAT("\"\\n\"", ""), CHAT("\"\u6c34\u9580\"", "")},
        {&weir_format_chat, "{\"choices\":[{\"delta\":{\"content\":\"a\"}}],\"obfuscation\":\"zz\",\"usage\":null}",
         "{\"choices\":[{\"delta\":{\"content\":\"bcd\"}}],\"obfuscation\":\"\",\"usage\":null}"},
        {&weir_format_responses, RESPONSE("9", "\"a\""), RESPONSE("10", "\"bc\"")},
        {&weir_format_responses, RESPONSE("99", "\"a\""), RESPONSE("100", "\"\\t\"")},
        {&weir_format_transcriptions, "{\"type\":\"transcript.text.delta\",\"delta\":\"a\"}",
         "{\"type\":\"transcript.text.delta\",\"delta\":\" b\"}"},
        {&weir_format_completions, "{\"choices\":[{\"text\":\"a\"}]}", "{\"choices\":[{\"text\":\"b\"}]}"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct weir_event_pattern pattern;
        struct weir_event event = whole(rows[i].format, rows[i].before), likely;
        weir_event_pattern_init(&pattern);
        weir_event_pattern_set(&pattern, weir_span_of_string(rows[i].before), &event);
        if (!weir_event_pattern_read(&pattern, weir_span_of_string(rows[i].after), &likely))
            fail_msg("row %zu is not taken", i);
        event = whole(rows[i].format, rows[i].after);
        assert_same(&likely, &event);
    }
}

static void what_differs_elsewhere_is_read_as_a_whole(void **state) {
    (void)state;
    static const struct {
        const struct weir_format *format;
        const char *before, *after;
    } rows[] = {
        {&weir_format_chat, CHAT("\"a\"", ",\"finish_reason\":null"), CHAT("\"b\"", ",\"finish_reason\":\"stop\"")},
        {&weir_format_chat, CHAT("\"a\"", ""), CHAT("\"\"", "")},
        {&weir_format_chat, CHAT("\"a\"", ""), CHAT("null", "")},
        {&weir_format_chat, CHAT("\"a\"", ""), CHAT("\"b\"", ",\"x\":1")},
        {&weir_format_chat, CHAT("\"a\"", ""), CHAT("\"b\",\"role\":\"user\"", "")},
        {&weir_format_chat, CHAT("\"a\"", ""), CHAT("\"\\q\"", "")},
        {&weir_format_chat, CHAT("\"a\"", ""), CHAT("\"\xff\"", "")},
        {&weir_format_chat, CHAT("\"a\"", ""), CHAT("\"\x01\"", "")},
        {&weir_format_chat, CHAT("\"a\"", ""),
         "{\"id\":\"c\",\"usage\":null,\"choices\":[{\"index\":0,\"delta\":{\"content\":\"b"},
        {&weir_format_chat, CHAT("\"a\"", ""), "[DONE]"},
        {&weir_format_chat, CHAT("\"a\"", ""), ""},
        {&weir_format_chat, CHAT("\"a\"", ",\"finish_reason\":\"stop\""), CHAT("\"b\"", ",\"finish_reason\":\"stop\"")},
        {&weir_format_responses, RESPONSE("9", "\"a\""), RESPONSE("010", "\"a\"")},
        {&weir_format_responses, RESPONSE("9", "\"a\""), RESPONSE("-1", "\"a\"")},
        {&weir_format_responses, RESPONSE("9", "\"a\""), RESPONSE("9.5", "\"a\"")},
        {&weir_format_responses, RESPONSE("9", "\"a\""), RESPONSE("9999999999999999999", "\"a\"")},
        /* Of another object; and what moves stands within a usage. */
        {&weir_format_responses,
         "{\"type\":\"x.delta\",\"o\":{\"sequence_number\":1},\"sequence_number\":7,\"delta\":\"a\"}",
         "{\"type\":\"x.delta\",\"o\":{\"sequence_number\":2},\"sequence_number\":7,\"delta\":\"a\"}"},
        {&weir_format_chat, "{\"usage\":{\"text\":\"a\"},\"choices\":[{\"delta\":{\"content\":\"b\"}}]}",
         "{\"usage\":{\"text\":\"aa\"},\"choices\":[{\"delta\":{\"content\":\"b\"}}]}"},
        {&weir_format_responses, "{\"type\":\"response.completed\",\"delta\":\"a\"}",
         "{\"type\":\"response.completed\",\"delta\":\"a\"}"},
        {&weir_format_images, "{\"type\":\"image_generation.completed\",\"text\":\"a\"}",
         "{\"type\":\"image_generation.completed\",\"text\":\"a\"}"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct weir_event_pattern pattern;
        struct weir_event event = whole(rows[i].format, rows[i].before), likely;
        weir_event_pattern_init(&pattern);
        weir_event_pattern_set(&pattern, weir_span_of_string(rows[i].before), &event);
        if (weir_event_pattern_read(&pattern, weir_span_of_string(rows[i].after), &likely))
            fail_msg("row %zu is taken", i);
    }
}

static void what_is_too_long_is_no_pattern(void **state) {
    (void)state;
    static char data[WEIR_EVENT_PATTERN_BYTES + 200];
    struct weir_event_pattern pattern;
    struct weir_event likely;
    (void)snprintf(data, sizeof data, CHAT("\"%0*d\"", ""), WEIR_EVENT_PATTERN_BYTES, 7);
    struct weir_event event = whole(&weir_format_chat, data);
    weir_event_pattern_init(&pattern);
    weir_event_pattern_set(&pattern, weir_span_of_string(data), &event);
    assert_false(weir_event_pattern_read(&pattern, weir_span_of_string(data), &likely));
}

static void a_stream_whose_events_all_differ_is_left_alone(void **state) {
    (void)state;
    static const char *const events[] = {CHAT("\"a\"", ",\"x\":1"), CHAT("\"b\"", ",\"x\":2")};
    struct weir_event_pattern pattern;
    struct weir_event likely;
    weir_event_pattern_init(&pattern);
    for (size_t i = 0; i < 100; i++) {
        struct weir_event event = whole(&weir_format_chat, events[i % 2]);
        assert_false(weir_event_pattern_read(&pattern, weir_span_of_string(events[i % 2]), &likely));
        weir_event_pattern_set(&pattern, weir_span_of_string(events[i % 2]), &event);
    }
    assert_int_equal(pattern.length, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(likeness_tells_what_reading_tells),
        cmocka_unit_test(what_differs_elsewhere_is_read_as_a_whole),
        cmocka_unit_test(what_is_too_long_is_no_pattern),
        cmocka_unit_test(a_stream_whose_events_all_differ_is_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
