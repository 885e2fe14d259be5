/* links: base http */
/* Events: the same however the stream is cut, also where one is over the limit (the first byte sets it); the same as a
 * plain line-by-line reader finds; and their raw bytes are all the stream's, save a byte order mark and LFs that are
 * dropped.
 */
#include "../../unit/http/sse_transcript.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition) {
    if (!condition) {
        abort();
    }
}

/* The specification's own words in the plainest shape: one line after the other. Writes name|data of each event that
 * has any data line; what has not ended by the end of the input gives nothing. */
static struct weir_buffer plain_events(struct weir_span input) {
    struct weir_buffer out;
    struct weir_buffer data;
    weir_buffer_init(&out, 64 * WEIR_MIB);
    weir_buffer_init(&data, 64 * WEIR_MIB);
    struct weir_span name = WEIR_SPAN("");
    size_t at = weir_span_starts_with(input, WEIR_SPAN("\xEF\xBB\xBF")) ? 3 : 0;
    size_t line_start = at;
    while (at < input.length) {
        if (input.at[at] != '\n' && input.at[at] != '\r') {
            at++;
            continue;
        }
        struct weir_span line = weir_span_of(input.at + line_start, at - line_start);
        at += input.at[at] == '\r' && at + 1 < input.length && input.at[at + 1] == '\n' ? 2 : 1;
        line_start = at;
        struct weir_span field;
        struct weir_span value;
        weir_span_split(line, ':', &field, &value);
        value = value.length > 0 && value.at[0] == ' ' ? weir_span_from(value, 1) : value;
        if (line.length == 0) {
            if (data.length > 0) {
                weir_buffer_append(&out, name);
                weir_buffer_append(&out, WEIR_SPAN("|"));
                weir_buffer_append(&out, weir_span_of(data.at, data.length - 1));
                weir_buffer_append(&out, WEIR_SPAN(">"));
            }
            weir_buffer_clear(&data);
            name = WEIR_SPAN("");
        } else if (weir_span_equal(field, WEIR_SPAN("data"))) {
            weir_buffer_append(&data, value);
            weir_buffer_append_byte(&data, '\n');
        } else if (weir_span_equal(field, WEIR_SPAN("event"))) {
            name = value;
        }
    }
    weir_buffer_release(&data);
    return out;
}

static void check_against_plain(struct weir_span input) {
    struct weir_buffer plain = plain_events(input);
    struct weir_buffer ours;
    weir_buffer_init(&ours, 64 * WEIR_MIB);
    struct weir_sse sse;
    weir_sse_init(&sse, 16 * WEIR_MIB);
    struct weir_span rest = input;
    struct weir_sse_event event;
    size_t raw_bytes = 0;
    size_t events = 0;
    while (weir_sse_next(&sse, &rest, &event) == WEIR_OK) {
        require(event.raw.length > 0);
        raw_bytes += event.raw.length;
        events++;
        if (event.has_data) {
            weir_buffer_append(&ours, event.name);
            weir_buffer_append(&ours, WEIR_SPAN("|"));
            weir_buffer_append(&ours, event.data);
            weir_buffer_append(&ours, WEIR_SPAN(">"));
        }
    }
    require(rest.length == 0);
    size_t held = weir_sse_rest(&sse).length;
    require(raw_bytes + held <= input.length && raw_bytes + held + 3 + events >= input.length);
    /* A CR at the very end may be a blank line that we still wait on. */
    if (input.length == 0 || input.at[input.length - 1] != '\r') {
        require(weir_span_equal(weir_buffer_span(&plain), weir_buffer_span(&ours)));
    } else {
        require(weir_span_starts_with(weir_buffer_span(&plain), weir_buffer_span(&ours)));
    }
    weir_sse_release(&sse);
    weir_buffer_release(&ours);
    weir_buffer_release(&plain);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) {
        return 0;
    }
    size_t limit = data[0] < 128 ? data[0] : 16 * WEIR_MIB;
    const struct weir_span input = weir_span_of((const char *)data + 1, size - 1);
    struct weir_buffer whole = sse_transcript_of(input, limit, 0);
    const transcript_cut cuts[] = {1, ((unsigned)size * 31 + data[size - 1]) | 2U,
                                   (data[0] * 7U + data[size / 2]) | 2U};
    for (size_t i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++) {
        struct weir_buffer pieces = sse_transcript_of(input, limit, cuts[i]);
        require(weir_span_equal(weir_buffer_span(&whole), weir_buffer_span(&pieces)));
        weir_buffer_release(&pieces);
    }
    weir_buffer_release(&whole);
    check_against_plain(input);
    return 0;
}
