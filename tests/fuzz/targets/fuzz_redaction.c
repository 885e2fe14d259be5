/* links: base telemetry json */
/* Redaction: no text makes it fail or grow without bound, in any form; nothing is added but its words; what is planted behind any text, in a string
 * of JSON or in pieces over events, does not get through.
 */
#include "base/limits.h"
#include "json/write.h"
#include "telemetry/redaction.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition) {
    if (!condition) {
        abort();
    }
}

static const char canary[] = "canary.of.mine@example.org";

/* The least that a word stands for is one byte. */
static void check(struct weir_span text, size_t shown, enum weir_redaction_form form, unsigned wanted) {
    struct weir_buffer out;
    weir_buffer_init(&out, 64 * WEIR_MIB);
    require(weir_redact(&out, text, shown, form, wanted) == WEIR_OK);
    require(weir_buffer_status(&out) == WEIR_OK && out.length <= 17 * text.length);
    weir_buffer_release(&out);
}

static void require_gone(const struct weir_buffer *text, enum weir_redaction_form form, struct weir_span what) {
    struct weir_buffer out;
    weir_buffer_init(&out, 64 * WEIR_MIB);
    require(weir_redact(&out, weir_buffer_span(text), text->length, form, WEIR_REDACT_EMAIL) == WEIR_OK);
    require(out.length == 0 || memmem(out.at, out.length, what.at, what.length) == NULL);
    weir_buffer_release(&out);
}

static void check_planted(struct weir_span around) {
    struct weir_buffer plain, text;
    struct weir_json_writer writer;
    if (around.length > 0 &&
        (memmem(around.at, around.length, "canary", 6) != NULL || memmem(around.at, around.length, "mine@", 5) != NULL))
        return;
    weir_buffer_init(&plain, 16 * WEIR_MIB);
    weir_buffer_init(&text, 64 * WEIR_MIB);
    weir_buffer_append(&plain, around);
    weir_buffer_append_byte(&plain, ' ');
    weir_buffer_append(&plain, weir_span_of_string(canary));
    require_gone(&plain, WEIR_REDACT_TEXT, weir_span_of_string(canary));
    weir_json_writer_init(&writer, &text);
    weir_json_write_object(&writer);
    weir_json_member_string(&writer, "text", weir_buffer_span(&plain));
    weir_json_write_end(&writer);
    require_gone(&text, WEIR_REDACT_JSON, weir_span_of_string(canary));
    /* The text, a byte or two an event. */
    weir_buffer_clear(&text);
    weir_buffer_clear(&plain);
    weir_buffer_append_byte(&plain, ' ');
    weir_buffer_append(&plain, weir_span_of_string(canary));
    for (size_t at = 0; at < plain.length; at += 2) {
        size_t left = plain.length - at;
        weir_buffer_append(&text, WEIR_SPAN("data: {\"a\":{\"t\":"));
        weir_json_append_string(&text, weir_span_of(plain.at + at, left < 2 ? left : 2));
        weir_buffer_append(&text, WEIR_SPAN("}}\n\n"));
    }
    require_gone(&text, WEIR_REDACT_EVENTS, WEIR_SPAN("\"mi\""));
    weir_buffer_release(&text);
    weir_buffer_release(&plain);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2)
        return 0;
    unsigned wanted = data[0] & 63U;
    const struct weir_span text = weir_span_of((const char *)data + 2, size - 2);
    size_t shown = text.length * data[1] / 255;
    check(text, shown, WEIR_REDACT_TEXT, wanted);
    check(text, shown, WEIR_REDACT_JSON, wanted);
    check(text, shown, WEIR_REDACT_EVENTS, wanted);
    check_planted(text);
    return 0;
}
