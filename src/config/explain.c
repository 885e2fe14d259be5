/* `weir config explain`: what a setting means, may be, is by default and is now; for people or as JSON. */
#include "config/impl.h"

#include "json/write.h"

enum { MAX_CANDIDATES = 512, MAX_NEAR = 3 };

/* What is looked for, and what was seen on the way. */
struct explanation {
    struct weir_span setting; /* without [indexes]; empty: all */
    bool json;
    struct weir_buffer *out;
    struct weir_json_writer writer;
    size_t shown;
    struct weir_buffer names; /* all full names, one a line, for the nearest */
};

static void append_choices(struct weir_buffer *out, const struct weir_option *row) {
    bool first = true;
    for (size_t i = 0; row->choices[i] != NULL; i++) {
        if (strchr(row->choices[i], '=') != NULL)
            continue;
        weir_buffer_printf(out, "%s%s", first ? "" : ", ", row->choices[i]);
        first = false;
    }
}

static void explain_text(struct explanation *all, const struct weir_option *row, struct weir_span name,
                         const void *values) {
    struct weir_buffer *out = all->out;
    if (all->shown > 0)
        weir_buffer_append_byte(out, '\n');
    weir_buffer_printf(out, "%.*s\n  %s\n", WEIR_SPAN_PRINT(name), row->prose != NULL ? row->prose : "");
    weir_buffer_printf(out, "  kind      %s", config__kind_name(row->kind));
    if (row->kind == WEIR_OPTION_CHOICE) {
        weir_buffer_append(out, WEIR_SPAN(": "));
        append_choices(out, row);
    }
    struct weir_buffer bounds;
    weir_buffer_init(&bounds, 256);
    config__append_bounds(&bounds, row);
    if (bounds.length > 0)
        weir_buffer_printf(out, ", %.*s", WEIR_SPAN_PRINT(weir_buffer_span(&bounds)));
    weir_buffer_release(&bounds);
    weir_buffer_append(out, row->required ? WEIR_SPAN(", required\n") : WEIR_SPAN("\n"));
    if (row->initial != NULL)
        weir_buffer_printf(out, "  default   %s\n", row->initial);
    if (values != NULL && row->kind == WEIR_OPTION_LIST) {
        const struct weir_option_items *items = config__field(values, row);
        weir_buffer_printf(out, "  now       %zu in the list\n", items->count);
    } else if (values != NULL) {
        weir_buffer_append(out, WEIR_SPAN("  now       "));
        config__append_value(out, row, config__field(values, row), CONFIG__FOR_PEOPLE);
        weir_buffer_append_byte(out, '\n');
    }
    if (row->environment != NULL)
        weir_buffer_printf(out, "  variable  %s\n", row->environment);
    weir_buffer_printf(out, "  change    %s\n", row->live ? "taken by a running server (SIGHUP)" : "needs a restart");
}

static void write_value(struct weir_json_writer *writer, const struct weir_option *row, const void *field) {
    const struct weir_texts *texts = field;
    switch (row->kind) {
    case WEIR_OPTION_INTEGER:
    case WEIR_OPTION_DURATION:
    case WEIR_OPTION_SIZE: weir_json_write_int64(writer, *(const int64_t *)field); return;
    case WEIR_OPTION_BOOL: weir_json_write_bool(writer, *(const bool *)field); return;
    case WEIR_OPTION_TEXT: weir_json_write_string(writer, *(const struct weir_span *)field); return;
    case WEIR_OPTION_SECRET:
        if (((const struct weir_span *)field)->length == 0)
            weir_json_write_null(writer);
        else if (config__is_reference(*(const struct weir_span *)field))
            weir_json_write_string(writer, *(const struct weir_span *)field);
        else
            weir_json_write_string(writer, WEIR_SPAN("(hidden)"));
        return;
    case WEIR_OPTION_CHOICE:
        weir_json_write_string(writer, weir_span_of_string(row->choices[*(const int *)field]));
        return;
    case WEIR_OPTION_TEXTS:
        weir_json_write_array(writer);
        for (size_t i = 0; i < texts->count; i++)
            weir_json_write_string(writer, texts->at[i]);
        weir_json_write_end(writer);
        return;
    case WEIR_OPTION_LIST:
    default: weir_json_write_int64(writer, (int64_t)((const struct weir_option_items *)field)->count);
    }
}

static void explain_json(struct explanation *all, const struct weir_option *row, struct weir_span name,
                         const void *values) {
    struct weir_json_writer *writer = &all->writer;
    weir_json_write_object(writer);
    weir_json_member_string(writer, "name", name);
    weir_json_member_text(writer, "kind", config__kind_name(row->kind));
    if (row->minimum != 0 || row->maximum != 0) {
        weir_json_member_int64(writer, "minimum", row->minimum);
        if (row->maximum >= row->minimum)
            weir_json_member_int64(writer, "maximum", row->maximum);
    }
    if (row->kind == WEIR_OPTION_CHOICE) {
        weir_json_write_name(writer, "choices");
        weir_json_write_array(writer);
        for (size_t i = 0; row->choices[i] != NULL; i++) {
            if (strchr(row->choices[i], '=') == NULL)
                weir_json_write_string(writer, weir_span_of_string(row->choices[i]));
        }
        weir_json_write_end(writer);
    }
    weir_json_member_text(writer, "unit",
                          row->kind == WEIR_OPTION_DURATION ? "ms"
                          : row->kind == WEIR_OPTION_SIZE   ? "bytes"
                                                            : row->unit);
    weir_json_member_text(writer, "default", row->initial);
    weir_json_member_text(writer, "environment", row->environment);
    weir_json_member_bool(writer, "required", row->required);
    weir_json_member_bool(writer, "live", row->live);
    weir_json_member_text(writer, "prose", row->prose);
    if (values != NULL) {
        weir_json_write_name(writer, row->kind == WEIR_OPTION_LIST ? "count" : "value");
        write_value(writer, row, config__field(values, row));
    }
    weir_json_write_end(writer);
}

/* True when `name` is what was asked for, or lies below it. Brackets are left out on both sides. */
static bool is_wanted(struct weir_span wanted, struct weir_span name) {
    size_t i = 0, j = 0;
    while (i < wanted.length && j < name.length) {
        if (name.at[j] == '[' || name.at[j] == ']') {
            j++;
            continue;
        }
        if (wanted.at[i] == '[') {
            while (i < wanted.length && wanted.at[i] != ']')
                i++;
            i += i < wanted.length ? 1 : 0;
            continue;
        }
        if (wanted.at[i] != name.at[j])
            return false;
        i++;
        j++;
    }
    while (i < wanted.length && wanted.at[i] == '[') {
        size_t end = weir_span_index(weir_span_from(wanted, i), ']');
        i = i + end < wanted.length ? i + end + 1 : wanted.length;
    }
    return i == wanted.length && (j == name.length || wanted.length == 0 || name.at[j] == '.' || name.at[j] == '[');
}

static void walk(struct explanation *all, const struct weir_option_table *table, const void *values,
                 struct weir_span prefix) {
    for (size_t i = 0; i < table->count; i++) {
        const struct weir_option *row = &table->rows[i];
        struct weir_buffer name;
        weir_buffer_init(&name, 4096);
        weir_buffer_append(&name, prefix);
        weir_buffer_append(&name, weir_span_of_string(row->name));
        struct weir_span full = weir_buffer_span(&name);
        weir_buffer_append(&all->names, full);
        weir_buffer_append_byte(&all->names, '\0');
        if (is_wanted(all->setting, full)) {
            if (all->json)
                explain_json(all, row, full, values);
            else
                explain_text(all, row, full, values);
            all->shown++;
        }
        if (row->kind == WEIR_OPTION_LIST) {
            weir_buffer_append(&name, WEIR_SPAN("[]."));
            walk(all, row->items, NULL, weir_buffer_span(&name));
        }
        weir_buffer_release(&name);
    }
}

/* The nearest full names; a name alone is also compared with the last part of each, so that "max_request_bytes" finds
 * its section. */
static size_t find_near(struct explanation *all, const char *near[MAX_NEAR]) {
    const char *names[MAX_CANDIDATES], *parts[MAX_CANDIDATES];
    size_t count = 0, found = 0;
    for (size_t at = 0; at < all->names.length && count < MAX_CANDIDATES; count++) {
        names[count] = all->names.at + at;
        const char *dot = strrchr(names[count], '.');
        parts[count] = dot != NULL ? dot + 1 : names[count];
        at += strlen(names[count]) + 1;
    }
    while (found < MAX_NEAR && count > 0) {
        const char *full = weir_config_nearest(all->setting, names, count);
        const char *part = full == NULL ? weir_config_nearest(all->setting, parts, count) : NULL;
        size_t i = 0;
        while (i < count && names[i] != full && (part == NULL || parts[i] != part))
            i++;
        if (i == count)
            break;
        near[found++] = names[i];
        count--;
        names[i] = names[count];
        parts[i] = parts[count];
    }
    return found;
}

static void explain_unknown(struct explanation *all) {
    const char *near[MAX_NEAR];
    size_t count = find_near(all, near);
    if (all->json) {
        weir_buffer_clear(all->out);
        weir_json_writer_init(&all->writer, all->out);
        weir_json_write_object(&all->writer);
        weir_json_member_text(&all->writer, "error", "unknown setting");
        weir_json_member_string(&all->writer, "name", all->setting);
        weir_json_write_name(&all->writer, "nearest");
        weir_json_write_array(&all->writer);
        for (size_t i = 0; i < count; i++)
            weir_json_write_string(&all->writer, weir_span_of_string(near[i]));
        weir_json_write_end(&all->writer);
        weir_json_write_end(&all->writer);
    } else {
        weir_buffer_append(all->out, WEIR_SPAN("unknown setting "));
        config__append_quoted(all->out, all->setting);
        for (size_t i = 0; i < count; i++)
            weir_buffer_printf(all->out, "%s'%s'", i == 0 ? "; did you mean " : ", ", near[i]);
        if (count > 0)
            weir_buffer_append_byte(all->out, '?');
    }
    weir_buffer_append_byte(all->out, '\n');
}

enum weir_status weir_config_explain(const struct weir_config_section *sections, size_t count, struct weir_span setting,
                                     bool json, struct weir_buffer *out) {
    struct explanation all = {.setting = setting, .json = json, .out = out};
    enum weir_status status = WEIR_OK;
    weir_buffer_init(&all.names, 1 << 20);
    weir_json_writer_init(&all.writer, out);
    if (json)
        weir_json_write_array(&all.writer);
    for (size_t i = 0; i < count; i++) {
        const struct weir_option_table *table = sections[i].table;
        struct weir_buffer prefix;
        weir_buffer_init(&prefix, 4096);
        weir_buffer_append(&prefix, weir_span_of_string(table->section));
        if (prefix.length > 0)
            weir_buffer_append_byte(&prefix, '.');
        walk(&all, table, sections[i].values, weir_buffer_span(&prefix));
        weir_buffer_release(&prefix);
    }
    if (all.shown == 0 && setting.length > 0) {
        explain_unknown(&all);
        status = WEIR_ENOTFOUND;
    } else if (json) {
        weir_json_write_end(&all.writer);
        weir_buffer_append_byte(out, '\n');
    }
    weir_buffer_release(&all.names);
    return status;
}
