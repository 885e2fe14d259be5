/* What the tests of codecs share: an exchange, JSON written with single quotes, prompts from one format to another, streams cut at any byte, and deltas as lines. */
#ifndef WEIR_TESTS_CODEC_TEST_H
#define WEIR_TESTS_CODEC_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/limits.h"
#include "dialect/codec.h"

static struct weir_exchange exchange;

static inline int begin(void **state) {
    (void)state;
    exchange = (struct weir_exchange){.arena = weir_arena_new(0, 8 * WEIR_MIB),
                                      .scratch = weir_arena_new(0, 8 * WEIR_MIB),
                                      .seed = WEIR_SPAN("00ff"),
                                      .created_utc_us = 1700000000000000,
                                      .front_model = WEIR_SPAN("asked"),
                                      .back_model = WEIR_SPAN("upstream"),
                                      .front_version = WEIR_UNSAID,
                                      .output_limit_member = "max_tokens",
                                      .takes_stream_options = true,
                                      .front_answer_id = WEIR_SPAN("")};
    return exchange.arena == NULL || exchange.scratch == NULL;
}

static inline int end(void **state) {
    (void)state;
    weir_arena_free(&exchange.arena);
    weir_arena_free(&exchange.scratch);
    return 0;
}

/* Single quotes for double ones. */
static inline struct weir_span quoted(const char *text) {
    size_t length = strlen(text);
    char *copy = weir_arena_alloc_raw(exchange.arena, length + 1);
    assert_non_null(copy);
    for (size_t i = 0; i <= length; i++)
        copy[i] = text[i];
    for (size_t i = 0; i < length; i++)
        if (copy[i] == '\'')
            copy[i] = '"';
    return weir_span_of(copy, length);
}

static inline const struct weir_json_node *tree(const char *text) {
    struct weir_json_node *root;
    struct weir_json_problem problem = {.text = ""};
    if (weir_json_tree_read(exchange.arena, quoted(text), &root, &problem) != WEIR_OK)
        fail_msg("%s at byte %zu of\n%s", problem.text, problem.offset, text);
    return root;
}

static inline void assert_same(struct weir_span is, struct weir_span should) {
    if (!weir_span_equal(is, should))
        fail_msg("it is\n%.*s\nand should be\n%.*s", WEIR_SPAN_PRINT(is), WEIR_SPAN_PRINT(should));
}

static inline void assert_said(struct weir_span is, const char *should) {
    assert_same(is, weir_span_of_string(should));
}

static inline struct weir_prompt prompt_of(const struct weir_front *front, const char *asked) {
    struct weir_prompt prompt = {.stream = false};
    struct weir_call_problem problem = {.field = "", .text = ""};
    if (front->read_prompt(&exchange, tree(asked), &prompt, &problem) != WEIR_OK)
        fail_msg("%s: %s\n%s", problem.field, problem.text, asked);
    return prompt;
}

/* The names that were ignored, with commas between. */
static inline struct weir_span ignored(void) {
    const char *text = "";
    for (const struct weir_name *name = exchange.ignored; name != NULL; name = name->next)
        text = weir_arena_format(exchange.arena, "%s%s%.*s", text, text[0] != '\0' ? "," : "",
                                 WEIR_SPAN_PRINT(name->text));
    return weir_span_of_string(text);
}

/* What a provider of that dialect is asked, and what is ignored on the way. */
static inline void expect_call(const struct weir_front *front, enum weir_dialect_kind front_kind,
                               enum weir_dialect_kind back, const char *asked, const char *expected,
                               const char *expected_ignored) {
    struct weir_prompt prompt = prompt_of(front, asked);
    struct weir_call_problem problem = {.field = "", .text = ""};
    struct weir_back_target target;
    struct weir_buffer out;
    weir_buffer_init(&out, WEIR_MIB);
    if (weir_check_parameters(&exchange, front_kind, back, prompt.values, prompt.unknown, false, &problem) != WEIR_OK ||
        weir_back_of(back)->write_prompt(&exchange, &prompt, &target, &out, &problem) != WEIR_OK)
        fail_msg("%s: %s\n%s", problem.field, problem.text, asked);
    assert_same(weir_buffer_span(&out), quoted(expected));
    assert_said(ignored(), expected_ignored);
    weir_buffer_release(&out);
}

/* Hands a stream's events over, the bytes cut into pieces of that length. */
static inline enum weir_status each_event(struct weir_span bytes, size_t piece,
                                          enum weir_status (*take)(void *context, const struct weir_sse_event *event),
                                          void *context) {
    struct weir_sse sse;
    struct weir_sse_event event;
    enum weir_status status = WEIR_OK;
    weir_sse_init(&sse, WEIR_MIB);
    while (status == WEIR_OK && bytes.length > 0) {
        struct weir_span input = weir_span_first(bytes, piece < bytes.length ? piece : bytes.length);
        bytes = weir_span_from(bytes, input.length);
        while ((status = weir_sse_next(&sse, &input, &event)) == WEIR_OK && (status = take(context, &event)) == WEIR_OK)
            weir_arena_reset(exchange.scratch);
        if (status == WEIR_AGAIN)
            status = WEIR_OK;
    }
    weir_sse_release(&sse);
    return status;
}

/* --- deltas as lines --- */

static inline const char *part_kind_name(enum weir_part_kind kind) {
    static const char *const names[] = {
        [WEIR_PART_TEXT] = "text",         [WEIR_PART_IMAGE] = "image",     [WEIR_PART_DOCUMENT] = "document",
        [WEIR_PART_AUDIO] = "audio",       [WEIR_PART_TOOL_CALL] = "call",  [WEIR_PART_TOOL_RESULT] = "result",
        [WEIR_PART_THINKING] = "thinking", [WEIR_PART_REFUSAL] = "refusal", [WEIR_PART_OTHER] = "other"};
    return names[kind];
}

static inline void log_delta(void *context, const struct weir_delta *delta) {
    struct weir_buffer *out = context;
    unsigned part = (unsigned)delta->part;
    switch (delta->kind) {
    case WEIR_DELTA_BEGIN:
        weir_buffer_printf(out, "begin %.*s %.*s\n", WEIR_SPAN_PRINT(delta->id), WEIR_SPAN_PRINT(delta->model));
        break;
    case WEIR_DELTA_PART_BEGIN:
        weir_buffer_printf(out, "part %u %s%s %.*s %.*s\n", part, delta->is_custom ? "custom " : "",
                           part_kind_name(delta->part_kind), WEIR_SPAN_PRINT(delta->id), WEIR_SPAN_PRINT(delta->name));
        break;
    case WEIR_DELTA_TEXT: weir_buffer_printf(out, "text %u [%.*s]\n", part, WEIR_SPAN_PRINT(delta->text)); break;
    case WEIR_DELTA_SIGNATURE:
        weir_buffer_printf(out, "signature %u %s%s %.*s\n", part, weir_dialect_kind_name(delta->signature.from),
                           delta->signature.is_redacted ? " redacted" : "", WEIR_SPAN_PRINT(delta->signature.value));
        break;
    case WEIR_DELTA_CITATION: weir_buffer_printf(out, "citation %u %.*s\n", part, WEIR_SPAN_PRINT(delta->json)); break;
    case WEIR_DELTA_LOGPROBS: weir_buffer_printf(out, "logprobs %.*s\n", WEIR_SPAN_PRINT(delta->json)); break;
    case WEIR_DELTA_PART_END: weir_buffer_printf(out, "end %u\n", part); break;
    case WEIR_DELTA_FINISH:
        weir_buffer_printf(out, "finish %d %.*s [%.*s] [%.*s]\n", (int)delta->finish,
                           WEIR_SPAN_PRINT(delta->native_finish), WEIR_SPAN_PRINT(delta->stop_sequence),
                           WEIR_SPAN_PRINT(delta->finish_text));
        break;
    case WEIR_DELTA_USAGE:
        weir_buffer_printf(out, "usage input %lld cached %lld written %lld output %lld reasoning %lld\n",
                           (long long)delta->usage.input, (long long)delta->usage.cached,
                           (long long)delta->usage.cache_write, (long long)delta->usage.output,
                           (long long)delta->usage.reasoning);
        break;
    case WEIR_DELTA_END: weir_buffer_printf(out, "whole\n"); break;
    case WEIR_DELTA_ERROR:
        weir_buffer_printf(out, "error %u %.*s: %.*s\n", delta->error.status, WEIR_SPAN_PRINT(delta->error.type),
                           WEIR_SPAN_PRINT(delta->error.message));
        break;
    }
}

struct back_stream {
    const struct weir_back *back;
    void *stream;
    struct weir_delta_sink sink;
};

static inline enum weir_status take_back_event(void *context, const struct weir_sse_event *event) {
    struct back_stream *reading = context;
    return reading->back->read_event(reading->stream, event, &reading->sink);
}

/* The deltas of a provider's stream, however it is cut, as lines. */
static inline void expect_deltas(enum weir_dialect_kind kind, const char *bytes, const char *expected) {
    static const size_t pieces[] = {1000000, 7, 1};
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        struct weir_buffer out;
        weir_buffer_init(&out, WEIR_MIB);
        struct back_stream reading = {.back = weir_back_of(kind), .sink = {.take = log_delta, .context = &out}};
        reading.stream = reading.back->begin_stream(&exchange);
        assert_int_equal(each_event(quoted(bytes), pieces[i], take_back_event, &reading), WEIR_OK);
        reading.back->end_stream(reading.stream, &reading.sink);
        assert_said(weir_buffer_span(&out), expected);
        weir_buffer_release(&out);
    }
}

#endif
