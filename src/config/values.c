/* One text to one value, by the row's kind and bounds; what was expected is said in the same words everywhere.
 *
 * A wrong value of a SECRET row is never shown. A wrong default is our own mistake and aborts, unless it depends on the
 * environment.
 */
#include "config/impl.h"

#include "base/arithmetic.h"

/* "dev" at index 0; "development=dev" is an alias of it. */
static bool choice_index(const char *const *choices, struct weir_span text, int *index) {
    struct weir_span name = text;
    for (size_t i = 0; choices[i] != NULL; i++) {
        struct weir_span alias, target;
        if (weir_span_split(weir_span_of_string(choices[i]), '=', &alias, &target) && weir_span_equal(alias, text))
            name = target;
    }
    for (int i = 0; choices[i] != NULL; i++) {
        if (strchr(choices[i], '=') == NULL && weir_span_equal(weir_span_of_string(choices[i]), name)) {
            *index = i;
            return true;
        }
    }
    return false;
}

static bool parse_bool(struct weir_span text, bool digits, bool *value) {
    static const char *const words[] = {"true", "yes", "on", "1", "false", "no", "off", "0"};
    for (size_t i = 0; i < 8; i++) {
        if (!digits && (i == 3 || i == 7))
            continue;
        if (weir_span_equal_ignore_case(text, weir_span_of_string(words[i]))) {
            *value = i < 4;
            return true;
        }
    }
    return false;
}

struct unit {
    const char *name;
    int64_t factor;
};
static const struct unit duration_units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};
static const struct unit size_units[] = {{"", 1},
                                         {"b", 1},
                                         {"kib", INT64_C(1) << 10},
                                         {"mib", INT64_C(1) << 20},
                                         {"gib", INT64_C(1) << 30},
                                         {"tib", INT64_C(1) << 40}};

/* Digits, then a unit out of the table. */
static bool parse_with_unit(struct weir_span text, const struct unit *units, size_t count, int64_t *value) {
    size_t digits = 0;
    while (digits < text.length && text.at[digits] >= '0' && text.at[digits] <= '9')
        digits++;
    int64_t number = 0;
    if (weir_span_to_int64(weir_span_first(text, digits), &number) != WEIR_OK)
        return false;
    struct weir_span unit = weir_span_trim(weir_span_from(text, digits));
    for (size_t i = 0; i < count; i++) {
        if (weir_span_equal_ignore_case(unit, weir_span_of_string(units[i].name)))
            return weir_multiply_int64(number, units[i].factor, value);
    }
    return false;
}

static bool parse_duration(const struct weir_option *row, struct weir_span text, int64_t *value) {
    int64_t number = 0;
    if (weir_span_to_int64(text, &number) != WEIR_OK)
        return parse_with_unit(text, duration_units, sizeof duration_units / sizeof duration_units[0], value);
    bool seconds = row->unit != NULL && strcmp(row->unit, "s") == 0;
    bool milliseconds = row->unit != NULL && strcmp(row->unit, "ms") == 0;
    if (!seconds && !milliseconds && number != 0)
        return false; /* 30 what? */
    return weir_multiply_int64(number, seconds ? 1000 : 1, value);
}

static bool has_bounds(const struct weir_option *row) {
    return row->minimum != 0 || row->maximum != 0;
}

/* A lower bound alone has no maximum. */
static bool has_maximum(const struct weir_option *row) {
    return has_bounds(row) && row->maximum != INT64_MAX && !(row->maximum == 0 && row->minimum > 0);
}

static bool within(const struct weir_option *row, int64_t value) {
    return value >= row->minimum && (!has_maximum(row) || value <= row->maximum);
}

static void append_number(struct weir_buffer *out, const struct weir_option *row, int64_t value) {
    if (row->kind == WEIR_OPTION_DURATION)
        config__append_duration(out, value);
    else if (row->kind == WEIR_OPTION_SIZE)
        config__append_size(out, value);
    else
        weir_buffer_append_int64(out, value);
}

void config__append_bounds(struct weir_buffer *out, const struct weir_option *row) {
    if (row->kind != WEIR_OPTION_INTEGER && row->kind != WEIR_OPTION_DURATION && row->kind != WEIR_OPTION_SIZE)
        return;
    if (!has_bounds(row) && row->kind != WEIR_OPTION_INTEGER)
        return;
    if (has_maximum(row)) {
        weir_buffer_append(out, WEIR_SPAN("from "));
        append_number(out, row, row->minimum);
        weir_buffer_append(out, WEIR_SPAN(" to "));
        append_number(out, row, row->maximum);
    } else {
        append_number(out, row, row->minimum);
        weir_buffer_append(out, WEIR_SPAN(" or more"));
    }
}

static void append_choices(struct weir_buffer *out, const struct weir_option *row, struct weir_span got) {
    const char *names[64];
    size_t count = 0;
    weir_buffer_append(out, WEIR_SPAN("expected one of "));
    for (size_t i = 0; row->choices[i] != NULL && count < 64; i++) {
        if (strchr(row->choices[i], '=') != NULL)
            continue;
        weir_buffer_printf(out, "%s%s", count > 0 ? ", " : "", row->choices[i]);
        names[count++] = row->choices[i];
    }
    weir_buffer_append(out, WEIR_SPAN("; got "));
    config__append_quoted(out, got);
    const char *nearest = weir_config_nearest(got, names, count);
    if (nearest != NULL)
        weir_buffer_printf(out, "; did you mean '%s'?", nearest);
}

/* `parsed`: it has the right form but is out of bounds. */
static void append_expectation(struct weir_buffer *out, const struct weir_option *row, bool parsed) {
    static const char *const nouns[] = {
        [WEIR_OPTION_INTEGER] = "a whole number",
        [WEIR_OPTION_DURATION] = "a duration",
        [WEIR_OPTION_SIZE] = "a size",
        [WEIR_OPTION_BOOL] = "true or false",
        [WEIR_OPTION_LIST] = NULL,
    };
    weir_buffer_printf(out, "expected %s", nouns[row->kind]);
    if (!parsed && row->kind == WEIR_OPTION_DURATION)
        weir_buffer_append(out, WEIR_SPAN(" like 250ms, 30s, 5m, 2h or 7d"));
    else if (!parsed && row->kind == WEIR_OPTION_SIZE)
        weir_buffer_append(out, WEIR_SPAN(" like 1MiB"));
    if (row->kind == WEIR_OPTION_INTEGER || parsed) {
        weir_buffer_append_byte(out, ' ');
        if (has_bounds(row) || row->kind == WEIR_OPTION_INTEGER)
            config__append_bounds(out, row);
        else
            weir_buffer_append(out, WEIR_SPAN("of 0 or more"));
    }
}

static void wrong_value(struct config__reader *reader, const struct config__origin *origin,
                        const struct config__path *path, const struct weir_option *row, struct weir_span raw,
                        struct weir_span text, bool parsed) {
    weir_bug_on(origin->source == CONFIG__FROM_DEFAULT && weir_span_equal(raw, text));
    if (!config__problem_begin(reader, origin, path))
        return;
    struct weir_buffer *out = reader->problems;
    if (row->kind == WEIR_OPTION_CHOICE) {
        append_choices(out, row, text);
    } else {
        append_expectation(out, row, parsed);
        weir_buffer_append(out, WEIR_SPAN(", got "));
        config__append_quoted(out, text);
    }
    if (!weir_span_equal(raw, text)) {
        weir_buffer_append(out, WEIR_SPAN(" from "));
        config__append_quoted(out, raw);
    }
    config__problem_end(reader);
}

static void parse_number(struct config__reader *reader, const struct config__origin *origin,
                         const struct config__path *path, const struct weir_option *row, struct weir_span raw,
                         struct weir_span text, int64_t *field) {
    int64_t value = 0;
    bool parsed = false;
    struct weir_span trimmed = weir_span_trim(text);
    if (row->kind == WEIR_OPTION_INTEGER)
        parsed = weir_span_to_int64(trimmed, &value) == WEIR_OK;
    else if (row->kind == WEIR_OPTION_DURATION)
        parsed = parse_duration(row, trimmed, &value);
    else
        parsed = parse_with_unit(trimmed, size_units, sizeof size_units / sizeof size_units[0], &value);
    if (parsed && within(row, value))
        *field = value;
    else
        wrong_value(reader, origin, path, row, raw, text, parsed);
}

/* How many pieces of a comma list are not empty; writes the i-th to *piece while i == wanted. */
static size_t count_pieces(struct weir_span text, size_t wanted, struct weir_span *piece) {
    size_t count = 0;
    while (text.length > 0) {
        struct weir_span head, rest;
        weir_span_split(text, ',', &head, &rest);
        head = weir_span_trim(head);
        if (head.length > 0 && count++ == wanted)
            *piece = head;
        text = rest;
    }
    return count;
}

/* "a, b" or "[a, b]". */
static void parse_comma_list(struct config__reader *reader, struct weir_span text, struct weir_texts *field) {
    text = weir_span_trim(text);
    if (text.length >= 2 && text.at[0] == '[' && text.at[text.length - 1] == ']')
        text = weir_span_of(text.at + 1, text.length - 2);
    struct weir_span piece = {.at = "", .length = 0};
    size_t count = count_pieces(text, SIZE_MAX, &piece);
    *field = (struct weir_texts){.at = NULL, .count = 0};
    if (count == 0)
        return;
    struct weir_span *texts = weir_arena_array(reader->arena, count, sizeof *texts);
    size_t made = 0;
    while (texts != NULL && text.length > 0) {
        struct weir_span head, rest;
        weir_span_split(text, ',', &head, &rest);
        head = weir_span_trim(head);
        text = rest;
        if (head.length == 0)
            continue;
        char *copy = weir_arena_string(reader->arena, head);
        if (copy == NULL)
            break;
        texts[made++] = weir_span_of(copy, head.length);
    }
    if (made < count) {
        reader->no_memory = true;
        return;
    }
    *field = (struct weir_texts){.at = texts, .count = count};
}

/* What was found is not shown: it may be the secret itself. */
static void no_reference(struct config__reader *reader, const struct config__origin *origin,
                         const struct config__path *path) {
    if (config__problem_begin(reader, origin, path)) {
        weir_buffer_append(reader->problems, WEIR_SPAN("expected env:NAME or file:PATH"));
        config__problem_end(reader);
    }
}

void config__parse(struct config__reader *reader, const struct config__origin *origin, const struct config__path *path,
                   const struct weir_option *row, struct weir_span raw, void *field) {
    struct weir_span text = {.at = "", .length = 0};
    enum weir_status status = WEIR_OK;
    if (row->kind == WEIR_OPTION_TEXT && !row->plain)
        status = config__expand_text(reader, origin, path, raw, &text);
    else if (row->kind == WEIR_OPTION_SECRET)
        status = config__expand_secret(reader, origin, path, raw, &text);
    else
        status = config__expand(reader, origin, path, raw, &text);
    if (status != WEIR_OK)
        return;
    int choice = 0;
    bool flag = false;
    switch (row->kind) {
    case WEIR_OPTION_TEXT:
    case WEIR_OPTION_SECRET: *(struct weir_span *)field = text; return;
    case WEIR_OPTION_INTEGER:
    case WEIR_OPTION_DURATION:
    case WEIR_OPTION_SIZE: parse_number(reader, origin, path, row, raw, text, field); return;
    case WEIR_OPTION_BOOL:
        if (parse_bool(weir_span_trim(text), origin->source == CONFIG__FROM_ENVIRONMENT, &flag))
            *(bool *)field = flag;
        else
            wrong_value(reader, origin, path, row, raw, text, false);
        return;
    case WEIR_OPTION_CHOICE:
        if (choice_index(row->choices, weir_span_trim(text), &choice))
            *(int *)field = choice;
        else
            wrong_value(reader, origin, path, row, raw, text, false);
        return;
    case WEIR_OPTION_TEXTS:
        parse_comma_list(reader, text, field);
        for (size_t i = 0; row->references && i < ((const struct weir_texts *)field)->count; i++)
            if (!config__is_reference(((const struct weir_texts *)field)->at[i]))
                no_reference(reader, origin, path);
        return;
    case WEIR_OPTION_LIST:
    default: weir_bug_on(true);
    }
}

/* An element of a list of references. */
static enum weir_status expand_reference(struct config__reader *reader, const struct config__origin *origin,
                                         const struct config__path *path, struct weir_span raw,
                                         struct weir_span *text) {
    enum weir_status status = config__expand_secret(reader, origin, path, raw, text);
    if (status != WEIR_OK || config__is_reference(*text))
        return status;
    no_reference(reader, origin, path);
    return WEIR_EINVAL;
}

void config__parse_texts(struct config__reader *reader, const struct config__path *path, const struct weir_option *row,
                         const struct config__node *node, struct weir_texts *field) {
    *field = (struct weir_texts){.at = NULL, .count = 0};
    struct weir_span *texts = weir_arena_array(reader->arena, node->count, sizeof *texts);
    if (texts == NULL) {
        reader->no_memory = true;
        return;
    }
    size_t count = 0;
    for (const struct config__node *item = node->first; item != NULL; item = item->next) {
        const struct config__path item_path = {.parent = path, .is_element = true, .index = count};
        const struct config__origin origin = {.source = CONFIG__FROM_FILE, .place = item->place};
        struct weir_span text = {.at = "", .length = 0};
        if (item->shape != CONFIG__SCALAR || item->is_null) {
            if (config__problem_begin(reader, &origin, &item_path)) {
                weir_buffer_printf(reader->problems, "expected a text, got %s", config__shape_name(item));
                config__problem_end(reader);
            }
        } else if ((row->references ? expand_reference(reader, &origin, &item_path, item->text, &text)
                                    : config__expand_text(reader, &origin, &item_path, item->text, &text)) != WEIR_OK) {
            text = (struct weir_span){.at = "", .length = 0}; /* noted; the reading will be refused */
        }
        texts[count++] = text;
    }
    if (count > 0)
        *field = (struct weir_texts){.at = texts, .count = count};
}
