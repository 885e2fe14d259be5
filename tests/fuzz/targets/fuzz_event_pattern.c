/* links: base json http dialect */
/* Two events, a line each: where the second is told by its likeness to the first, reading it as a whole tells the same. */
#include "dialect/dialect.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct weir_format *const formats[] = {&weir_format_chat, &weir_format_responses,
                                                    &weir_format_transcriptions, &weir_format_completions};

static void expect(bool holds) {
    if (!holds)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2)
        return 0;
    const struct weir_format *format = formats[data[0] % 4];
    struct weir_span text = weir_span_of((const char *)data + 1, size - 1), before, after;
    if (!weir_span_split(text, '\n', &before, &after))
        return 0;
    struct weir_sse_event sse = {.data = before, .has_data = true};
    struct weir_event event, likely;
    struct weir_event_pattern pattern;
    format->read_event(&sse, &event);
    weir_event_pattern_init(&pattern);
    weir_event_pattern_set(&pattern, before, &event);
    if (!weir_event_pattern_read(&pattern, after, &likely))
        return 0;
    sse.data = after;
    format->read_event(&sse, &event);
    expect(event.kind == likely.kind && event.has_text == likely.has_text && event.failed == likely.failed);
    expect(event.usage_is_null == likely.usage_is_null && event.sequence == likely.sequence);
    expect(event.answer.has_usage == likely.answer.has_usage && event.answer.is_object == likely.answer.is_object);
    expect(event.answer.root_end == likely.answer.root_end &&
           event.answer.root_is_empty == likely.answer.root_is_empty);
    expect(event.answer.usage_member.kind == likely.answer.usage_member.kind &&
           event.answer.usage_member.member_at == likely.answer.usage_member.member_at &&
           event.answer.usage_member.value_at == likely.answer.usage_member.value_at &&
           event.answer.usage_member.value.length == likely.answer.usage_member.value.length);
    return 0;
}
