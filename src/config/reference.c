/* docs/reference/settings.md, from the rows: one table a section, one below it for the elements of each list. */
#include "config/impl.h"

/* Inside a table a pipe would end the cell, a line break the row. */
static void append_cell(struct weir_buffer *out, const char *text) {
    for (size_t i = 0; text != NULL && text[i] != '\0'; i++) {
        if (text[i] == '|')
            weir_buffer_append_byte(out, '\\');
        weir_buffer_append_byte(out, text[i] == '\n' ? ' ' : text[i]);
    }
}

static void append_code(struct weir_buffer *out, const char *text) {
    if (text == NULL || text[0] == '\0')
        return;
    weir_buffer_append_byte(out, '`');
    append_cell(out, text);
    weir_buffer_append_byte(out, '`');
}

static void append_limits(struct weir_buffer *out, const struct weir_option *row) {
    config__append_bounds(out, row);
    if (row->kind == WEIR_OPTION_LIST)
        weir_buffer_append(out, WEIR_SPAN("see below"));
    bool first = true;
    for (size_t i = 0; row->kind == WEIR_OPTION_CHOICE && row->choices[i] != NULL; i++) {
        if (strchr(row->choices[i], '=') != NULL)
            continue;
        weir_buffer_append(out, first ? WEIR_SPAN("") : WEIR_SPAN(", "));
        append_code(out, row->choices[i]);
        first = false;
    }
}

static void append_row(struct weir_buffer *out, const struct weir_option *row) {
    weir_buffer_append(out, WEIR_SPAN("| "));
    append_code(out, row->name);
    weir_buffer_printf(out, "%s | %s | ", row->required ? " (required)" : "", config__kind_name(row->kind));
    append_code(out, row->initial);
    weir_buffer_append(out, WEIR_SPAN(" | "));
    append_limits(out, row);
    weir_buffer_append(out, WEIR_SPAN(" | "));
    append_code(out, row->environment);
    weir_buffer_printf(out, " | %s | ", row->live ? "yes" : "no");
    append_cell(out, row->prose);
    weir_buffer_append(out, WEIR_SPAN(" |\n"));
}

static void append_table(struct weir_buffer *out, const struct weir_option_table *table, const char *heading,
                         struct weir_span name) {
    if (name.length > 0)
        weir_buffer_printf(out, "\n%s `%.*s`\n", heading, WEIR_SPAN_PRINT(name));
    else
        weir_buffer_printf(out, "\n%s Top level\n", heading);
    weir_buffer_append(out,
                       WEIR_SPAN("\n| setting | kind | default | bounds | environment variable | live | what it is |\n"
                                 "|---|---|---|---|---|---|---|\n"));
    for (size_t i = 0; i < table->count; i++)
        append_row(out, &table->rows[i]);
    for (size_t i = 0; i < table->count; i++) {
        if (table->rows[i].kind != WEIR_OPTION_LIST)
            continue;
        struct weir_buffer list;
        weir_buffer_init(&list, 4096);
        weir_buffer_append(&list, name);
        weir_buffer_printf(&list, "%s%s[]", name.length > 0 ? "." : "", table->rows[i].name);
        append_table(out, table->rows[i].items, "###", weir_buffer_span(&list));
        weir_buffer_release(&list);
    }
}

void weir_config_reference(const struct weir_config_section *sections, size_t count, struct weir_buffer *out) {
    weir_buffer_append(
        out,
        WEIR_SPAN(
            "# Settings\n\n"
            "Generated from the option tables; do not edit.\n\n"
            "A value comes from the file, else from its environment variable (when that is not empty), else it is\n"
            "the default. In the file `${NAME}` stands for a variable, `${NAME:-word}` gives a default, `$${` is a\n"
            "literal `${`. A text or secret may be `env:NAME` or `file:PATH` as a whole; `$$env:` and `$$file:`\n"
            "are literal. Durations are written `250ms`, `30s`, `5m`, `2h`, `7d`; sizes `512`, `64KiB`, `1MiB`,\n"
            "`2GiB`. *Live* settings are taken by a running server on SIGHUP; the others need a restart.\n"));
    for (size_t i = 0; i < count; i++)
        append_table(out, sections[i].table, "##", weir_span_of_string(sections[i].table->section));
}
