/* The report of an import: a row a setting, the variables to set, and both written out. */
#include "config/import_impl.h"

#include "json/write.h"

#include <stdarg.h>

static const char *const outcome_names[] = {"exact", "approximate", "by hand", "unsupported"};
_Static_assert(sizeof outcome_names / sizeof *outcome_names == WEIR_IMPORT_OUTCOMES, "one an outcome");

const char *weir_import_outcome_name(enum weir_import_outcome outcome) {
    return outcome_names[outcome];
}

struct weir_span import__keep(struct import__state *state, const struct weir_buffer *buffer) {
    struct weir_span kept = WEIR_SPAN("");
    if (weir_buffer_status(buffer) != WEIR_OK ||
        weir_arena_dup(state->arena, weir_buffer_span(buffer), &kept) != WEIR_OK)
        state->no_memory = true;
    return kept;
}

struct weir_span import__text_of(struct import__state *state, const char *format, ...) {
    char text[IMPORT__MAX_WORDS_BYTES];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    size_t used = length < 0 ? 0 : (size_t)length < sizeof text ? (size_t)length : sizeof text - 1;
    struct weir_span kept = WEIR_SPAN("");
    if (weir_arena_dup(state->arena, weir_span_of(text, used), &kept) != WEIR_OK)
        state->no_memory = true;
    return kept;
}

struct weir_span import__shown(struct import__state *state, struct weir_span text) {
    struct weir_buffer buffer;
    weir_buffer_init(&buffer, 8 * CONFIG__MAX_SHOWN_BYTES);
    config__append_quoted(&buffer, text);
    struct weir_span kept = import__keep(state, &buffer);
    weir_buffer_release(&buffer);
    return kept;
}

static bool is_plain_name(struct weir_span name) {
    for (size_t i = 0; i < name.length; i++)
        if (name.at[i] <= 0x20 || name.at[i] >= 0x7f || name.at[i] == '\'')
            return false;
    return name.length > 0 && name.length <= CONFIG__MAX_SHOWN_BYTES;
}

struct weir_span import__path(struct import__state *state, struct weir_span parent, struct weir_span name) {
    struct weir_span shown = is_plain_name(name) ? name : import__shown(state, name);
    return import__text_of(state, "%.*s%s%.*s", WEIR_SPAN_PRINT(parent), parent.length > 0 ? "." : "",
                           WEIR_SPAN_PRINT(shown));
}

struct weir_span import__path_at(struct import__state *state, struct weir_span parent, size_t index) {
    return import__text_of(state, "%.*s[%zu]", WEIR_SPAN_PRINT(parent), index);
}

void import__row(struct import__state *state, enum weir_import_outcome outcome, struct weir_span setting,
                 struct config__place place, const char *format, ...) {
    char text[IMPORT__MAX_WORDS_BYTES];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    size_t used = length < 0 ? 0 : (size_t)length < sizeof text ? (size_t)length : sizeof text - 1;
    struct weir_import_row *row = weir_arena_alloc(state->arena, sizeof *row);
    if (row == NULL || weir_arena_dup(state->arena, weir_span_of(text, used), &row->words) != WEIR_OK) {
        state->no_memory = true;
        return;
    }
    row->outcome = outcome;
    row->setting = setting;
    row->file = state->document->name;
    row->line = place.line;
    if (++state->row_count > IMPORT__MAX_ROWS)
        return;
    if (state->last_row == NULL)
        state->import->rows = row;
    else
        state->last_row->next = row;
    state->last_row = row;
    state->import->counts[outcome]++;
}

void import__variable(struct import__state *state, struct weir_span name, bool is_new) {
    for (const struct weir_import_variable *one = state->import->variables; one != NULL; one = one->next)
        if (weir_span_equal(one->name, name))
            return;
    struct weir_import_variable *variable = weir_arena_alloc(state->arena, sizeof *variable);
    if (variable == NULL) {
        state->no_memory = true;
        return;
    }
    variable->name = name;
    variable->is_new = is_new;
    if (state->last_variable == NULL)
        state->import->variables = variable;
    else
        state->last_variable->next = variable;
    state->last_variable = variable;
}

/* --- writing it --- */

/* A file's name is written as it is, but on one line. */
static void append_printable(struct weir_buffer *out, struct weir_span text) {
    for (size_t i = 0; i < text.length; i++)
        weir_buffer_append_byte(out, (unsigned char)text.at[i] < 0x20 || text.at[i] == 0x7f ? '?' : text.at[i]);
}

static void write_text(const struct weir_import *import, struct weir_span source_name, struct weir_buffer *out) {
    static const enum weir_import_outcome order[] = {WEIR_IMPORT_BY_HAND, WEIR_IMPORT_UNSUPPORTED,
                                                     WEIR_IMPORT_APPROXIMATE, WEIR_IMPORT_EXACT};
    size_t all = 0;
    for (size_t i = 0; i < WEIR_IMPORT_OUTCOMES; i++)
        all += import->counts[i];
    append_printable(out, source_name);
    weir_buffer_printf(out, ": %zu settings: %zu exact, %zu approximate, %zu by hand, %zu unsupported\n", all,
                       import->counts[WEIR_IMPORT_EXACT], import->counts[WEIR_IMPORT_APPROXIMATE],
                       import->counts[WEIR_IMPORT_BY_HAND], import->counts[WEIR_IMPORT_UNSUPPORTED]);
    if (import->variables != NULL)
        weir_buffer_append(out, WEIR_SPAN("\nvariables that weir needs\n"));
    for (const struct weir_import_variable *one = import->variables; one != NULL; one = one->next)
        weir_buffer_printf(out, "  %.*s%s\n", WEIR_SPAN_PRINT(one->name),
                           one->is_new ? "  (set it: the source has no variable for this)" : "");
    for (size_t i = 0; i < WEIR_IMPORT_OUTCOMES; i++) {
        if (import->counts[order[i]] > 0)
            weir_buffer_printf(out, "\n%s\n", outcome_names[order[i]]);
        for (const struct weir_import_row *row = import->rows; row != NULL; row = row->next) {
            if (row->outcome != order[i])
                continue;
            weir_buffer_append(out, WEIR_SPAN("  "));
            append_printable(out, row->file);
            weir_buffer_printf(out, ":%zu  %.*s\n      %.*s\n", row->line, WEIR_SPAN_PRINT(row->setting),
                               WEIR_SPAN_PRINT(row->words));
        }
    }
    if (import->notes.length > 0)
        weir_buffer_append(out, WEIR_SPAN("\nprices\n"));
    for (struct weir_span rest = import->notes, line; rest.length > 0;) {
        (void)weir_span_split(rest, '\n', &line, &rest);
        weir_buffer_printf(out, "  %.*s\n", WEIR_SPAN_PRINT(line));
    }
}

static void write_json(const struct weir_import *import, struct weir_span source_name, struct weir_buffer *out) {
    struct weir_json_writer writer;
    weir_json_writer_init(&writer, out);
    weir_json_write_object(&writer);
    weir_json_member_string(&writer, "source", source_name);
    weir_json_write_name(&writer, "counts");
    weir_json_write_object(&writer);
    for (size_t i = 0; i < WEIR_IMPORT_OUTCOMES; i++)
        weir_json_member_int64(&writer, outcome_names[i], (int64_t)import->counts[i]);
    weir_json_write_end(&writer);
    weir_json_write_name(&writer, "variables");
    weir_json_write_array(&writer);
    for (const struct weir_import_variable *one = import->variables; one != NULL; one = one->next) {
        weir_json_write_object(&writer);
        weir_json_member_string(&writer, "name", one->name);
        weir_json_member_bool(&writer, "is_new", one->is_new);
        weir_json_write_end(&writer);
    }
    weir_json_write_end(&writer);
    weir_json_write_name(&writer, "rows");
    weir_json_write_array(&writer);
    for (const struct weir_import_row *row = import->rows; row != NULL; row = row->next) {
        weir_json_write_object(&writer);
        weir_json_member_string(&writer, "setting", row->setting);
        weir_json_member_string(&writer, "file", row->file);
        weir_json_member_int64(&writer, "line", (int64_t)row->line);
        weir_json_member_text(&writer, "outcome", outcome_names[row->outcome]);
        weir_json_member_string(&writer, "words", row->words);
        weir_json_write_end(&writer);
    }
    weir_json_write_end(&writer);
    weir_json_write_name(&writer, "notes");
    weir_json_write_array(&writer);
    for (struct weir_span rest = import->notes, line; rest.length > 0;) {
        (void)weir_span_split(rest, '\n', &line, &rest);
        weir_json_write_string(&writer, line);
    }
    weir_json_write_end(&writer);
    weir_json_write_end(&writer);
    weir_buffer_append_byte(out, '\n');
}

void weir_import_report(const struct weir_import *import, struct weir_span source_name, bool json,
                        struct weir_buffer *out) {
    if (json)
        write_json(import, source_name, out);
    else
        write_text(import, source_name, out);
}
