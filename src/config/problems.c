/* Messages about what is wrong: one line each, the place first, never more than a screenful.
 *
 * What a line shows of a value is cut and escaped here, so that neither a control sequence nor a line break from a file or
 * a variable reaches the terminal. Secrets never come here at all: values.c does not show them.
 */
#include "config/impl.h"

#include <stdarg.h>

void config__append_path(struct weir_buffer *out, const struct config__path *path) {
    if (path == NULL)
        return;
    config__append_path(out, path->parent);
    if (path->is_element) {
        weir_buffer_printf(out, "[%zu]", path->index);
        return;
    }
    if (path->name == NULL || path->name[0] == '\0')
        return;
    const struct config__path *parent = path->parent;
    while (parent != NULL && !parent->is_element && (parent->name == NULL || parent->name[0] == '\0'))
        parent = parent->parent;
    if (parent != NULL)
        weir_buffer_append_byte(out, '.');
    weir_buffer_append(out, weir_span_of_string(path->name));
}

void config__append_quoted(struct weir_buffer *out, struct weir_span text) {
    weir_buffer_append_byte(out, '\'');
    size_t at = 0;
    while (at < text.length && at < CONFIG__MAX_SHOWN_BYTES) {
        uint32_t point = 0;
        size_t bytes = config__utf8(text, at, &point);
        bool shown = bytes > 0 && point >= 0x20 && (point < 0x7f || point > 0x9f);
        if (shown)
            weir_buffer_append(out, weir_span_of(text.at + at, bytes));
        else if (text.at[at] == '\n')
            weir_buffer_append(out, WEIR_SPAN("\\n"));
        else if (text.at[at] == '\t')
            weir_buffer_append(out, WEIR_SPAN("\\t"));
        else
            weir_buffer_printf(out, "\\x%02x", (unsigned)(unsigned char)text.at[at]);
        at += shown ? bytes : 1;
    }
    if (at < text.length)
        weir_buffer_append(out, WEIR_SPAN("…"));
    weir_buffer_append_byte(out, '\'');
}

const char *config__shape_name(const struct config__node *node) {
    if (node->is_null)
        return "nothing";
    if (node->shape == CONFIG__SEQUENCE)
        return "a list";
    return node->shape == CONFIG__MAPPING ? "a mapping" : "a text";
}

bool config__problem_begin(struct config__reader *reader, const struct config__origin *origin,
                           const struct config__path *path) {
    reader->problem_count++;
    if (reader->problem_count > CONFIG__MAX_PROBLEMS)
        return false;
    struct weir_buffer *out = reader->problems;
    reader->line_at = out->length;
    if (origin->source == CONFIG__FROM_FILE)
        weir_buffer_printf(out, "%s:%zu:%zu: ", reader->name, origin->place.line, origin->place.column);
    else if (origin->source == CONFIG__FROM_ENVIRONMENT)
        weir_buffer_printf(out, "environment variable %s: ", origin->variable);
    else
        weir_buffer_append(out, WEIR_SPAN("default: "));
    if (path != NULL) {
        config__append_path(out, path);
        weir_buffer_append(out, WEIR_SPAN(": "));
    }
    return true;
}

void config__problem_end(struct config__reader *reader) {
    /* Names of files and settings come in as they are: whatever they hold, it is one line. */
    for (size_t i = reader->line_at; i < reader->problems->length; i++) {
        if ((unsigned char)reader->problems->at[i] < 0x20 || reader->problems->at[i] == 0x7f)
            reader->problems->at[i] = '?';
    }
    weir_buffer_append_byte(reader->problems, '\n');
}

void config__problem_at(struct config__reader *reader, struct config__place place, const char *format, ...) {
    const struct config__origin origin = {.source = CONFIG__FROM_FILE, .place = place};
    if (!config__problem_begin(reader, &origin, NULL))
        return;
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    weir_buffer_append(reader->problems, weir_span_of_string(text));
    config__problem_end(reader);
}

void config__problems_finish(struct config__reader *reader) {
    if (reader->problem_count > CONFIG__MAX_PROBLEMS)
        weir_buffer_printf(reader->problems, "%s: and %zu more\n", reader->name,
                           reader->problem_count - CONFIG__MAX_PROBLEMS);
}
