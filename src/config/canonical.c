/* All settings as one text that is the same for the same settings, and what differs between two readings.
 *
 * The text is YAML that reads back to itself: every row in the order of the tables, so that the order of the file, its
 * comments and its spelling (60s or 1m) do not matter. References to secrets stand in it, secrets do not.
 */
#include "config/impl.h"

enum { INDENT = 2 };

static void indent(struct weir_buffer *out, size_t depth) {
    for (size_t i = 0; i < depth * INDENT; i++)
        weir_buffer_append_byte(out, ' ');
}

static void append_rows(struct weir_buffer *out, const struct weir_option_table *table, const void *values,
                        size_t depth, bool first_is_placed);

static void append_row(struct weir_buffer *out, const struct weir_option *row, const void *values, size_t depth) {
    const void *field = config__field(values, row);
    weir_buffer_printf(out, "%s:", row->name);
    if (row->kind != WEIR_OPTION_LIST) {
        weir_buffer_append_byte(out, ' ');
        config__append_value(out, row, field, CONFIG__CANONICAL);
        weir_buffer_append_byte(out, '\n');
        return;
    }
    const struct weir_option_items *items = field;
    weir_buffer_append(out, items->count == 0 ? WEIR_SPAN(" []\n") : WEIR_SPAN("\n"));
    for (size_t i = 0; i < items->count; i++) {
        indent(out, depth);
        weir_buffer_append(out, WEIR_SPAN("- "));
        append_rows(out, row->items, (const char *)items->at + i * row->items->size, depth + 1, true);
    }
}

static void append_rows(struct weir_buffer *out, const struct weir_option_table *table, const void *values,
                        size_t depth, bool first_is_placed) {
    for (size_t i = 0; i < table->count; i++) {
        if (i > 0 || !first_is_placed)
            indent(out, depth);
        append_row(out, &table->rows[i], values, depth);
    }
}

static bool is_top(const struct weir_config_section *section) {
    return section->table->section == NULL || section->table->section[0] == '\0';
}

static bool same_section(const struct weir_config_section *a, const struct weir_config_section *b) {
    return !is_top(a) && !is_top(b) && strcmp(a->table->section, b->table->section) == 0;
}

static bool is_repeated(const struct weir_config_section *sections, size_t index) {
    for (size_t i = 0; i < index; i++) {
        if (same_section(&sections[i], &sections[index]))
            return true;
    }
    return false;
}

void weir_config_canonical(const struct weir_config_section *sections, size_t count, struct weir_buffer *out) {
    for (size_t i = 0; i < count; i++) {
        if (is_top(&sections[i])) {
            append_rows(out, sections[i].table, sections[i].values, 0, false);
            continue;
        }
        if (is_repeated(sections, i))
            continue;
        weir_buffer_printf(out, "%s:\n", sections[i].table->section);
        for (size_t j = i; j < count; j++) {
            if (same_section(&sections[i], &sections[j]))
                append_rows(out, sections[j].table, sections[j].values, 1, false);
        }
    }
}

void weir_config_needs_restart(const struct weir_config_section *before, const struct weir_config_section *after,
                               size_t count, struct weir_buffer *out) {
    for (size_t i = 0; i < count; i++) {
        const struct weir_option_table *table = before[i].table;
        weir_bug_on(table != after[i].table);
        for (size_t j = 0; j < table->count; j++) {
            const struct weir_option *row = &table->rows[j];
            if (row->live ||
                config__value_equal(row, config__field(before[i].values, row), config__field(after[i].values, row)))
                continue;
            if (!is_top(&before[i]))
                weir_buffer_printf(out, "%s.", table->section);
            weir_buffer_printf(out, "%s\n", row->name);
        }
    }
}
