/* The JSON writer: appends to a buffer, places commas, escapes strings.
 *
 * Failures are the buffer's business (it remembers the first). What is written is always valid JSON as long as calls
 * nest as JSON does, which is our own affair and checked in every build.
 */
#include "json/write.h"

#include "json/impl.h"

void weir_json_writer_init(struct weir_json_writer *writer, struct weir_buffer *out) {
    *writer = (struct weir_json_writer){.out = out};
}

/* Before each value: the comma that it may need, and the check that one may stand here. */
static void begin_value(struct weir_json_writer *writer) {
    weir_bug_on(writer->depth == 0 && writer->need_comma); /* one value at the top */
    weir_bug_on(writer->depth > 0 && writer->open[writer->depth - 1] == '{' && !writer->after_name);
    if (writer->need_comma)
        weir_buffer_append_byte(writer->out, ',');
    writer->after_name = false;
    writer->need_comma = true;
}

static void open_level(struct weir_json_writer *writer, char bracket) {
    begin_value(writer);
    weir_bug_on(writer->depth == WEIR_JSON_WRITE_DEPTH);
    weir_buffer_append_byte(writer->out, bracket);
    writer->open[writer->depth++] = bracket;
    writer->need_comma = false;
}

void weir_json_write_object(struct weir_json_writer *writer) {
    open_level(writer, '{');
}
void weir_json_write_array(struct weir_json_writer *writer) {
    open_level(writer, '[');
}

void weir_json_write_end(struct weir_json_writer *writer) {
    weir_bug_on(writer->depth == 0 || writer->after_name);
    writer->depth--;
    weir_buffer_append_byte(writer->out, writer->open[writer->depth] == '{' ? '}' : ']');
    writer->need_comma = true;
}

void weir_json_write_name(struct weir_json_writer *writer, const char *name) {
    weir_bug_on(writer->depth == 0 || writer->open[writer->depth - 1] != '{' || writer->after_name);
    if (writer->need_comma)
        weir_buffer_append_byte(writer->out, ',');
    weir_json_append_string(writer->out, weir_span_of_string(name));
    weir_buffer_append_byte(writer->out, ':');
    writer->need_comma = false;
    writer->after_name = true;
}

void weir_json_write_string(struct weir_json_writer *writer, struct weir_span text) {
    begin_value(writer);
    weir_json_append_string(writer->out, text);
}

void weir_json_write_int64(struct weir_json_writer *writer, int64_t value) {
    begin_value(writer);
    weir_buffer_append_int64(writer->out, value);
}

void weir_json_write_bool(struct weir_json_writer *writer, bool value) {
    begin_value(writer);
    weir_buffer_append(writer->out, value ? WEIR_SPAN("true") : WEIR_SPAN("false"));
}

void weir_json_write_null(struct weir_json_writer *writer) {
    begin_value(writer);
    weir_buffer_append(writer->out, WEIR_SPAN("null"));
}

void weir_json_write_raw(struct weir_json_writer *writer, struct weir_span json) {
    begin_value(writer);
    weir_buffer_append(writer->out, json);
}

void weir_json_member_string(struct weir_json_writer *writer, const char *name, struct weir_span text) {
    weir_json_write_name(writer, name);
    weir_json_write_string(writer, text);
}

void weir_json_member_text(struct weir_json_writer *writer, const char *name, const char *text) {
    weir_json_write_name(writer, name);
    if (text == NULL)
        weir_json_write_null(writer);
    else
        weir_json_write_string(writer, weir_span_of_string(text));
}

void weir_json_member_int64(struct weir_json_writer *writer, const char *name, int64_t value) {
    weir_json_write_name(writer, name);
    weir_json_write_int64(writer, value);
}

void weir_json_member_bool(struct weir_json_writer *writer, const char *name, bool value) {
    weir_json_write_name(writer, name);
    weir_json_write_bool(writer, value);
}

static void append_escape(struct weir_buffer *out, char byte) {
    static const char hex[] = "0123456789abcdef";
    char letter = '\0';
    switch (byte) {
    case '"':
    case '\\': letter = byte; break;
    case '\b': letter = 'b'; break;
    case '\f': letter = 'f'; break;
    case '\n': letter = 'n'; break;
    case '\r': letter = 'r'; break;
    case '\t': letter = 't'; break;
    default: break;
    }
    if (letter != '\0') {
        const char escape[] = {'\\', letter};
        weir_buffer_append(out, weir_span_of(escape, sizeof(escape)));
    } else {
        const char escape[] = {'\\', 'u', '0', '0', hex[(unsigned char)byte >> 4], hex[(unsigned char)byte & 15U]};
        weir_buffer_append(out, weir_span_of(escape, sizeof(escape)));
    }
}

void weir_json_append_string(struct weir_buffer *out, struct weir_span text) {
    if (text.length == 0)
        text.at = ""; /* an empty span may point nowhere */
    const char *at = text.at;
    const char *end = text.at + text.length;
    weir_buffer_append_byte(out, '"');
    while (at < end) {
        const char *run = at;
        size_t length = 1;
        /* A run is what can stand as it is: plain bytes and well-formed sequences. */
        for (;;) {
            at = json__skip_plain(at, end);
            if (at == end || (unsigned char)*at < 0x80)
                break;
            length = json__utf8_length(at, end);
            if (length == 0)
                break;
            at += length;
        }
        if (at > run)
            weir_buffer_append(out, weir_span_of(run, (size_t)(at - run)));
        if (at == end)
            break;
        if (length == 0)
            weir_buffer_append(out, WEIR_SPAN("\xEF\xBF\xBD"));
        else
            append_escape(out, *at);
        at++;
    }
    weir_buffer_append_byte(out, '"');
}
