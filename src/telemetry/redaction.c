/* Three steps: the text is cut into strings and what stands between them (redaction_strings.c), detectors mark bytes (redaction_shapes.c), and the
 * bytes are written with a word in place of each marked run.
 *
 * Marks are one byte a byte of the text, so detectors need no order and may overlap: the first one that marked a byte has it. Strings that belong
 * together (the pieces of a streamed text) are joined before they are looked at, and each byte of the joined text knows where it came from.
 */
#include "telemetry/redaction_impl.h"

#include "base/memory.h"

static const char *const names[] = {"email", "card", "phone", "ipv4", "ipv6", "iban"};
enum { NAMES = sizeof names / sizeof *names };

unsigned weir_redaction_find(struct weir_span name) {
    for (size_t i = 0; i < NAMES; i++)
        if (weir_span_equal(name, weir_span_of_string(names[i])))
            return 1U << i;
    return 0;
}

const char *weir_redaction_name(size_t index) {
    return index < NAMES ? names[index] : NULL;
}

static void write_marked(struct weir_buffer *out, struct weir_span text, size_t shown, const unsigned char *marks) {
    for (size_t at = 0; at < shown;) {
        size_t begin = at;
        unsigned char mark = marks[at];
        while (at < shown && marks[at] == mark && (at == begin || mark == 0 || (mark & TELEMETRY__FIRST) == 0))
            at++;
        if (mark == 0) {
            weir_buffer_append(out, weir_span_of(text.at + begin, at - begin));
            continue;
        }
        if ((mark & TELEMETRY__FIRST) == 0)
            continue; /* more of what the word stands for */
        unsigned kind = mark & (TELEMETRY__FIRST - 1U);
        weir_buffer_append(out, WEIR_SPAN("[redacted:"));
        weir_buffer_append(out,
                           weir_span_of_string(kind == TELEMETRY__SECRET ? "secret" : names[kind - TELEMETRY__NAMED]));
        weir_buffer_append_byte(out, ']');
    }
}

static bool may_be_json(struct weir_span text) {
    text = weir_span_trim(text);
    return text.length > 0 && memchr("{[\"", text.at[0], 3) != NULL;
}

enum weir_status weir_redact(struct weir_buffer *out, struct weir_span text, size_t shown,
                             enum weir_redaction_form form, unsigned wanted) {
    if (text.length == 0)
        return WEIR_OK;
    if (form == WEIR_REDACT_JSON && !may_be_json(text))
        form = WEIR_REDACT_TEXT;
    unsigned char *marks = weir_memory_new(text.length, 1);
    enum weir_status status = marks == NULL ? WEIR_ENOMEM : WEIR_OK;
    if (status == WEIR_OK && form == WEIR_REDACT_TEXT) {
        const struct telemetry__view view = {.text = text, .marks = marks};
        telemetry__mark_shapes(&view, wanted);
    } else if (status == WEIR_OK) {
        status = telemetry__mark_strings(text, form == WEIR_REDACT_EVENTS, wanted, marks);
    }
    if (status == WEIR_OK)
        write_marked(out, text, shown < text.length ? shown : text.length, marks);
    weir_memory_free(marks);
    return status;
}
