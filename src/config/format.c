/* Values back to text, as they would be written in the file, and whether two are the same. */
#include "config/impl.h"

size_t config__utf8(struct weir_span text, size_t at, uint32_t *point) {
    unsigned char first = (unsigned char)text.at[at];
    size_t bytes = first < 0x80                    ? 1
                   : first >= 0xc2 && first < 0xe0 ? 2
                   : first >= 0xe0 && first < 0xf0 ? 3
                   : first >= 0xf0 && first < 0xf5 ? 4
                                                   : 0;
    if (bytes == 0 || bytes > text.length - at)
        return 0;
    uint32_t value = bytes == 1 ? first : (uint32_t)first & (0x7fU >> bytes);
    for (size_t i = 1; i < bytes; i++) {
        unsigned char next = (unsigned char)text.at[at + i];
        if ((next & 0xc0) != 0x80)
            return 0;
        value = value << 6 | (next & 0x3fU);
    }
    if ((bytes == 3 && (value < 0x800 || (value >= 0xd800 && value < 0xe000))) ||
        (bytes == 4 && (value < 0x10000 || value > 0x10ffff)))
        return 0;
    *point = value;
    return bytes;
}

bool config__is_utf8(struct weir_span text) {
    uint32_t point = 0;
    for (size_t at = 0; at < text.length;) {
        size_t bytes = config__utf8(text, at, &point);
        if (bytes == 0)
            return false;
        at += bytes;
    }
    return true;
}

const char *config__kind_name(enum weir_option_kind kind) {
    static const char *const names[] = {
        [WEIR_OPTION_TEXT] = "text",         [WEIR_OPTION_INTEGER] = "integer",     [WEIR_OPTION_BOOL] = "bool",
        [WEIR_OPTION_DURATION] = "duration", [WEIR_OPTION_SIZE] = "size",           [WEIR_OPTION_CHOICE] = "choice",
        [WEIR_OPTION_SECRET] = "secret",     [WEIR_OPTION_TEXTS] = "list of texts", [WEIR_OPTION_LIST] = "list",
    };
    return names[kind];
}

void config__append_duration(struct weir_buffer *out, int64_t milliseconds) {
    static const struct {
        const char *name;
        int64_t factor;
    } units[] = {{"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}};
    size_t i = milliseconds == 0 ? 3 : 0;
    while (milliseconds % units[i].factor != 0)
        i++;
    weir_buffer_append_int64(out, milliseconds / units[i].factor);
    weir_buffer_append(out, weir_span_of_string(units[i].name));
}

void config__append_size(struct weir_buffer *out, int64_t bytes) {
    static const char *const units[] = {"", "KiB", "MiB", "GiB", "TiB"};
    size_t i = 0;
    while (i < 4 && bytes != 0 && bytes % 1024 == 0) {
        bytes /= 1024;
        i++;
    }
    weir_buffer_append_int64(out, bytes);
    weir_buffer_append(out, weir_span_of_string(units[i]));
}

void config__append_yaml_text(struct weir_buffer *out, struct weir_span text) {
    weir_buffer_append_byte(out, '"');
    for (size_t at = 0; at < text.length;) {
        uint32_t point = 0xfffd;
        size_t bytes = config__utf8(text, at, &point);
        if (point == '"' || point == '\\') {
            weir_buffer_append_byte(out, '\\');
            weir_buffer_append_byte(out, (char)point);
        } else if (point == '\n') {
            weir_buffer_append(out, WEIR_SPAN("\\n"));
        } else if (point == '\t') {
            weir_buffer_append(out, WEIR_SPAN("\\t"));
        } else if (point < 0x20 || (point >= 0x7f && point <= 0xa0)) {
            weir_buffer_printf(out, "\\x%02x", (unsigned)point);
        } else if (point == 0x2028 || point == 0x2029 || point == 0xfeff || (point >= 0xfffe && point <= 0xffff)) {
            weir_buffer_printf(out, "\\u%04x", (unsigned)point);
        } else if (bytes == 0) {
            weir_buffer_append(out, WEIR_SPAN("\\ufffd"));
        } else {
            weir_buffer_append(out, weir_span_of(text.at + at, bytes));
        }
        at += bytes > 0 ? bytes : 1;
    }
    weir_buffer_append_byte(out, '"');
}

/* For people a text stands as it is when it is one plain printable line. */
static bool is_plain(struct weir_span text) {
    for (size_t i = 0; i < text.length; i++) {
        if ((unsigned char)text.at[i] < 0x20 || (unsigned char)text.at[i] >= 0x7f)
            return false;
    }
    return true;
}

static void append_text(struct weir_buffer *out, struct weir_span text, bool as_it_stands, enum config__style style) {
    if (style == CONFIG__FOR_PEOPLE && is_plain(text)) {
        weir_buffer_append(out, text);
        return;
    }
    struct weir_buffer scratch;
    weir_buffer_init(&scratch, 2 * CONFIG__MAX_TEXT_BYTES + 8);
    config__append_yaml_text(out, config__unexpand(&scratch, text, as_it_stands));
    if (weir_buffer_status(&scratch) != WEIR_OK && out->status == WEIR_OK)
        out->status = scratch.status;
    weir_buffer_release(&scratch);
}

void config__append_value(struct weir_buffer *out, const struct weir_option *row, const void *field,
                          enum config__style style) {
    const struct weir_span *text = field;
    const struct weir_texts *texts = field;
    switch (row->kind) {
    case WEIR_OPTION_TEXT: append_text(out, *text, row->plain, style); return;
    case WEIR_OPTION_SECRET:
        append_text(out, text->length == 0 || config__is_reference(*text) ? *text : WEIR_SPAN("(hidden)"), true, style);
        return;
    case WEIR_OPTION_INTEGER: weir_buffer_append_int64(out, *(const int64_t *)field); return;
    case WEIR_OPTION_DURATION: config__append_duration(out, *(const int64_t *)field); return;
    case WEIR_OPTION_SIZE: config__append_size(out, *(const int64_t *)field); return;
    case WEIR_OPTION_BOOL:
        weir_buffer_append(out, *(const bool *)field ? WEIR_SPAN("true") : WEIR_SPAN("false"));
        return;
    case WEIR_OPTION_CHOICE:
        append_text(out, weir_span_of_string(row->choices[*(const int *)field]), false, style);
        return;
    case WEIR_OPTION_TEXTS:
        weir_buffer_append_byte(out, '[');
        for (size_t i = 0; i < texts->count; i++) {
            if (i > 0)
                weir_buffer_append(out, WEIR_SPAN(", "));
            append_text(out, texts->at[i], row->references, style);
        }
        weir_buffer_append_byte(out, ']');
        return;
    case WEIR_OPTION_LIST:
    default: weir_bug_on(true);
    }
}

static bool items_equal(const struct weir_option_table *table, const struct weir_option_items *a,
                        const struct weir_option_items *b) {
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++) {
        const char *left = (const char *)a->at + i * table->size;
        const char *right = (const char *)b->at + i * table->size;
        for (size_t j = 0; j < table->count; j++) {
            const struct weir_option *row = &table->rows[j];
            if (!config__value_equal(row, left + row->offset, right + row->offset))
                return false;
        }
    }
    return true;
}

static bool texts_equal(const struct weir_texts *a, const struct weir_texts *b) {
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++) {
        if (!weir_span_equal(a->at[i], b->at[i]))
            return false;
    }
    return true;
}

bool config__value_equal(const struct weir_option *row, const void *a, const void *b) {
    switch (row->kind) {
    case WEIR_OPTION_TEXT:
    case WEIR_OPTION_SECRET: return weir_span_equal(*(const struct weir_span *)a, *(const struct weir_span *)b);
    case WEIR_OPTION_INTEGER:
    case WEIR_OPTION_DURATION:
    case WEIR_OPTION_SIZE: return *(const int64_t *)a == *(const int64_t *)b;
    case WEIR_OPTION_BOOL: return *(const bool *)a == *(const bool *)b;
    case WEIR_OPTION_CHOICE: return *(const int *)a == *(const int *)b;
    case WEIR_OPTION_TEXTS: return texts_equal(a, b);
    case WEIR_OPTION_LIST:
    default: return items_equal(row->items, a, b);
    }
}
