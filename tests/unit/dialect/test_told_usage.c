/* What clients are told was used where a provider's parts are more than their wholes, or its wholes more than can be added: no figure is negative, and
 * what a client works out of them is not either. */
#include "base/limits.h"
#include "dialect/codec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static void expect_usage(const struct weir_front *front, const struct weir_usage *usage, const char *expected) {
    struct weir_exchange exchange = {.arena = weir_arena_new(0, WEIR_MIB),
                                     .scratch = weir_arena_new(0, WEIR_MIB),
                                     .seed = WEIR_SPAN("00ff"),
                                     .created_utc_us = 1700000000000000,
                                     .front_model = WEIR_SPAN("asked"),
                                     .back_model = WEIR_SPAN("upstream")};
    const struct weir_reply reply = {.has_usage = true, .usage = *usage};
    struct weir_buffer out;
    weir_buffer_init(&out, WEIR_MIB);
    front->write_reply(&exchange, &reply, false, 77, &out);
    weir_buffer_append_byte(&out, '\0');
    assert_int_equal(weir_buffer_status(&out), WEIR_OK);
    if (strstr(out.at, expected) == NULL)
        fail_msg("%s lacks %s", out.at, expected);
    weir_buffer_release(&out);
    weir_arena_free(&exchange.arena);
    weir_arena_free(&exchange.scratch);
}

static const struct weir_usage doubled = {
    .input = 100, .cached = 90, .cache_write = 40, .input_audio = 101, .output = 8, .reasoning = 6, .output_audio = 6};
static const struct weir_usage most = {
    .input = INT64_MAX, .cached = INT64_MAX, .cache_write = INT64_MAX, .output = INT64_MAX, .reasoning = INT64_MAX};

static void chat(void **state) {
    (void)state;
    expect_usage(
        &weir_front_chat, &doubled,
        "\"usage\":{\"prompt_tokens\":100,\"completion_tokens\":8,\"total_tokens\":108,\"prompt_tokens_details\":{"
        "\"cached_tokens\":90,\"cache_write_tokens\":10,\"audio_tokens\":100},\"completion_tokens_details\":{"
        "\"reasoning_tokens\":6,\"audio_tokens\":2,");
    expect_usage(&weir_front_chat, &most,
                 "\"usage\":{\"prompt_tokens\":9223372036854775807,\"completion_tokens\":9223372036854775807,"
                 "\"total_tokens\":9223372036854775807,");
}

static void responses(void **state) {
    (void)state;
    expect_usage(
        &weir_front_responses, &doubled,
        "\"usage\":{\"input_tokens\":100,\"input_tokens_details\":{\"cached_tokens\":90,\"cache_write_tokens\":10},"
        "\"output_tokens\":8,\"output_tokens_details\":{\"reasoning_tokens\":6},\"total_tokens\":108,");
    expect_usage(&weir_front_responses, &most, "\"total_tokens\":9223372036854775807,");
}

static void messages(void **state) {
    (void)state;
    expect_usage(
        &weir_front_messages, &doubled,
        "\"usage\":{\"input_tokens\":0,\"cache_creation_input_tokens\":10,\"cache_read_input_tokens\":90,\"output_tokens\":8,"
        "\"output_tokens_details\":{\"thinking_tokens\":6},");
    expect_usage(
        &weir_front_messages, &most,
        "\"usage\":{\"input_tokens\":0,\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":9223372036854775807,");
}

static void content(void **state) {
    (void)state;
    expect_usage(
        &weir_front_gemini, &doubled,
        "\"usageMetadata\":{\"promptTokenCount\":100,\"cachedContentTokenCount\":90,\"candidatesTokenCount\":2,"
        "\"thoughtsTokenCount\":6,\"totalTokenCount\":108,\"promptTokensDetails\":[{\"modality\":\"AUDIO\",\"tokenCount\":100}],"
        "\"candidatesTokensDetails\":[{\"modality\":\"AUDIO\",\"tokenCount\":2}],");
    expect_usage(
        &weir_front_gemini, &most,
        "\"candidatesTokenCount\":0,\"thoughtsTokenCount\":9223372036854775807,\"totalTokenCount\":9223372036854775807,");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chat),
        cmocka_unit_test(responses),
        cmocka_unit_test(messages),
        cmocka_unit_test(content),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
