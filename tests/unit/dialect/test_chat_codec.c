/* Chat completions through the common form: what is asked, answered and streamed arrives as the published format has it. */
#include "base/limits.h"
#include "dialect/codec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct weir_exchange exchange;

static int begin(void **state) {
    (void)state;
    exchange = (struct weir_exchange){.arena = weir_arena_new(0, WEIR_MIB),
                                      .scratch = weir_arena_new(0, WEIR_MIB),
                                      .seed = WEIR_SPAN("00ff"),
                                      .created_utc_us = 1700000000000000,
                                      .front_model = WEIR_SPAN("asked"),
                                      .back_model = WEIR_SPAN("upstream"),
                                      .output_limit_member = "max_tokens",
                                      .takes_stream_options = true};
    return 0;
}

static int end(void **state) {
    (void)state;
    weir_arena_free(&exchange.arena);
    weir_arena_free(&exchange.scratch);
    return 0;
}

static const struct weir_json_node *tree(const char *text) {
    struct weir_json_node *root;
    assert_int_equal(weir_json_tree_read(exchange.arena, weir_span_of_string(text), &root, NULL), WEIR_OK);
    return root;
}

static void expect_text(struct weir_buffer *out, const char *expected) {
    weir_buffer_append_byte(out, '\0');
    assert_string_equal(out->at, expected);
    weir_buffer_release(out);
}

static void expect_prompt(const char *asked, const char *expected) {
    struct weir_prompt prompt = {.stream = false};
    struct weir_call_problem problem;
    struct weir_back_target target;
    struct weir_buffer out;
    weir_buffer_init(&out, WEIR_MIB);
    assert_int_equal(weir_front_chat.read_prompt(&exchange, tree(asked), &prompt, &problem), WEIR_OK);
    assert_int_equal(weir_back_of(WEIR_DIALECT_OPENAI)->write_prompt(&exchange, &prompt, &target, &out, &problem),
                     WEIR_OK);
    expect_text(&out, expected);
}

static void test_prompts(void **state) {
    (void)state;
    expect_prompt("{\"messages\":[{\"role\":\"user\",\"content\":\"Hi \\u00e9\"}],\"model\":\"asked\"}",
                  "{\"model\":\"upstream\",\"messages\":[{\"role\":\"user\",\"content\":\"Hi \\u00e9\"}]}");
    expect_prompt(
        "{\"model\":\"m\",\"stream\":true,\"max_completion_tokens\":7,\"temperature\":0.70,\"stop\":\"END\",\"messages\":["
        "{\"role\":\"developer\",\"content\":\"Be brief\"},"
        "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"look\"},{\"type\":\"image_url\",\"image_url\":{\"url\":"
        "\"data:image/png;base64,AAAA\",\"detail\":\"low\"}}]},"
        "{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"call_a\",\"type\":\"function\",\"function\":{\"name\":"
        "\"f\",\"arguments\":\"{\\\"x\\\": \\\"a b\\\"}\"}},{\"id\":\"call_b\",\"type\":\"function\",\"function\":{\"name\":\"g\","
        "\"arguments\":\"\"}}]},"
        "{\"role\":\"tool\",\"tool_call_id\":\"call_a\",\"content\":\"1\"},{\"role\":\"tool\",\"tool_call_id\":\"call_b\","
        "\"content\":[{\"type\":\"text\",\"text\":\"2\"}]}],"
        "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"description\":\"d\",\"parameters\":{\"type\": \"object\"}}}],"
        "\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"f\"}},\"parallel_tool_calls\":false}",
        "{\"model\":\"upstream\",\"messages\":[{\"role\":\"developer\",\"content\":\"Be brief\"},"
        "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"look\"},{\"type\":\"image_url\",\"image_url\":{\"url\":"
        "\"data:image/png;base64,AAAA\",\"detail\":\"low\"}}]},"
        "{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"call_a\",\"type\":\"function\",\"function\":{\"name\":"
        "\"f\",\"arguments\":\"{\\\"x\\\":\\\"a b\\\"}\"}},{\"id\":\"call_b\",\"type\":\"function\",\"function\":{\"name\":\"g\","
        "\"arguments\":\"{}\"}}]},"
        "{\"role\":\"tool\",\"tool_call_id\":\"call_a\",\"content\":\"1\"},{\"role\":\"tool\",\"tool_call_id\":\"call_b\","
        "\"content\":\"2\"}],"
        "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"description\":\"d\",\"parameters\":{\"type\":\"object\"}}}],"
        "\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"f\"}},\"parallel_tool_calls\":false,\"max_tokens\":7,"
        "\"temperature\":0.70,\"stop\":[\"END\"],\"stream\":true,\"stream_options\":{\"include_usage\":true}}");
}

static void test_replies(void **state) {
    (void)state;
    struct weir_reply reply = {.has_usage = false};
    struct weir_buffer out;
    weir_buffer_init(&out, WEIR_MIB);
    assert_int_equal(
        weir_back_of(WEIR_DIALECT_OPENAI)
            ->read_reply(
                &exchange,
                tree(
                    "{\"id\":\"x\",\"model\":\"upstream\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":"
                    "null,\"reasoning_content\":\"hm\",\"tool_calls\":[{\"id\":\"c\",\"type\":\"function\",\"function\":{\"name\":\"f\","
                    "\"arguments\":\"{\\\"a\\\":1}\"}}]},\"finish_reason\":\"tool_calls\"}],\"usage\":{\"prompt_tokens\":9,"
                    "\"completion_tokens\":5,\"prompt_tokens_details\":{\"cached_tokens\":4},\"completion_tokens_details\":{"
                    "\"reasoning_tokens\":2}}}"),
                &reply),
        WEIR_OK);
    assert_true(reply.has_usage);
    weir_front_chat.write_reply(&exchange, &reply, false, 77, &out);
    expect_text(
        &out,
        "{\"id\":\"chatcmpl-00ff\",\"object\":\"chat.completion\",\"created\":1700000000,\"model\":\"asked\",\"choices\":[{\"index\":0,"
        "\"message\":{\"role\":\"assistant\",\"content\":null,\"refusal\":null,\"reasoning_content\":\"hm\",\"tool_calls\":[{\"id\":\"c\","
        "\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"a\\\":1}\"}}]},\"logprobs\":null,\"finish_reason\":"
        "\"tool_calls\",\"native_finish_reason\":\"tool_calls\"}],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":5,\"total_tokens\":14,"
        "\"prompt_tokens_details\":{\"cached_tokens\":4,\"cache_write_tokens\":0,\"audio_tokens\":0},\"completion_tokens_details\":{"
        "\"reasoning_tokens\":2,\"audio_tokens\":0,\"accepted_prediction_tokens\":0,\"rejected_prediction_tokens\":0},\"usedCUMilli\":77}}");
}

struct relay {
    void *front;
    struct weir_buffer out;
    bool ended;
    struct weir_usage usage;
};

static void take(void *context, const struct weir_delta *delta) {
    struct relay *relay = context;
    if (delta->kind == WEIR_DELTA_USAGE)
        relay->usage = delta->usage;
    relay->ended = relay->ended || delta->kind == WEIR_DELTA_END;
    weir_front_chat.write_delta(relay->front, delta, &relay->out);
}

static void test_streams(void **state) {
    (void)state;
    static const char *const events[] = {
        "{\"id\":\"x\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"finish_reason\":null}]}",
        "{\"id\":\"x\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hi \\ud83d\"},\"finish_reason\":null}]}",
        "{\"id\":\"x\",\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"a\",\"type\":\"function\",\"function\":{\"name\":"
        "\"f\",\"arguments\":\"\"}},{\"index\":1,\"id\":\"b\",\"type\":\"function\",\"function\":{\"name\":\"g\",\"arguments\":\"{}\"}}]}}]}",
        "{\"id\":\"x\",\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"{\\\"a\\\":\"}}]}}]}",
        "{\"id\":\"x\",\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"1}\"}}]}}]}",
        "{\"id\":\"x\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"tool_calls\"}]}",
        "{\"id\":\"x\",\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4}}",
        "[DONE]"};
    const struct weir_back *back = weir_back_of(WEIR_DIALECT_OPENAI);
    struct relay relay = {.ended = false};
    const struct weir_delta_sink sink = {.take = take, .context = &relay};
    weir_buffer_init(&relay.out, WEIR_MIB);
    relay.front = weir_front_chat.begin_stream(&exchange);
    void *stream = back->begin_stream(&exchange);
    for (size_t i = 0; i < sizeof events / sizeof *events; i++) {
        const struct weir_sse_event event = {.data = weir_span_of_string(events[i]), .has_data = true};
        weir_arena_reset(exchange.scratch);
        assert_int_equal(back->read_event(stream, &event, &sink), WEIR_OK);
    }
    assert_true(relay.ended);
    weir_front_chat.end_stream(relay.front, &relay.usage, false, 5, &relay.out);
#define CHUNK(delta, finish)                                                                                                                                      \
    "data: {\"id\":\"chatcmpl-00ff\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"asked\",\"choices\":[{\"index\":0,\"delta\":{" delta \
    "},\"logprobs\":null,\"finish_reason\":" finish
    expect_text(
        &relay.out,
        CHUNK("\"role\":\"assistant\",\"content\":\"\"", "null}]}\n\n") CHUNK("\"content\":\"Hi \\ud83d\"", "null}]}\n\n") CHUNK(
            "\"tool_calls\":[{\"index\":0,\"id\":\"a\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"\"}}]",
            "null}]}\n\n")
            CHUNK(
                "\"tool_calls\":[{\"index\":1,\"id\":\"b\",\"type\":\"function\",\"function\":{\"name\":\"g\",\"arguments\":\"\"}}]",
                "null}]}\n\n") CHUNK("\"tool_calls\":[{\"index\":1,\"function\":{\"arguments\":\"{}\"}}]",
                                     "null}]}\n\n")
                CHUNK("\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"{\\\"a\\\":\"}}]", "null}]}\n\n")
                    CHUNK("\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"1}\"}}]", "null}]}\n\n") CHUNK(
                        "",
                        "\"tool_calls\",\"native_finish_reason\":\"tool_calls\"}],\"usedCUMilli\":5}\n\n") "data: [DONE]\n\n");
}

static void test_signatures(void **state) {
    (void)state;
    const struct weir_signature given = {.value = WEIR_SPAN("EqQBCgIYAhIM"),
                                         .from = WEIR_DIALECT_ANTHROPIC,
                                         .is_redacted = true,
                                         .id = WEIR_UNSAID};
    struct weir_signature back;
    for (int for_id = 0; for_id < 2; for_id++) {
        struct weir_span sealed = weir_signature_seal(exchange.arena, &given, for_id != 0);
        assert_true(weir_signature_open(exchange.arena, sealed, &back));
        assert_true(weir_span_equal(back.value, given.value));
        assert_int_equal(back.from, WEIR_DIALECT_ANTHROPIC);
        assert_true(back.is_redacted);
    }
    assert_false(weir_signature_open(exchange.arena, given.value, &back));
    assert_false(weir_signature_open(exchange.arena, WEIR_SPAN(""), &back));
    assert_false(weir_signature_open(exchange.arena, WEIR_SPAN("\\\"!!!!"), &back));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_prompts, begin, end),
        cmocka_unit_test_setup_teardown(test_replies, begin, end),
        cmocka_unit_test_setup_teardown(test_streams, begin, end),
        cmocka_unit_test_setup_teardown(test_signatures, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
