/* Variables and references inside the texts of the file.
 *
 *   ${NAME}         the variable's value; unset is an error
 *   ${NAME:-word}   the word where the variable is unset or empty
 *   $${             a literal ${
 *   env:NAME        as a whole: the variable's value
 *   file:PATH       as a whole: the file's content without its last newline; PATH may hold ${…}
 *   $$env:, $$file: a literal env: or file: at the beginning
 *
 * References are looked for in what the file says, never in what a variable gave: a variable cannot make weir read a
 * file. For secrets the reference itself is the value, so that their bytes do not enter the configuration at all.
 */
#include "config/impl.h"

static bool is_name_byte(char byte, bool first) {
    return (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z') || byte == '_' ||
           (!first && byte >= '0' && byte <= '9');
}

static bool is_name(struct weir_span text) {
    if (text.length == 0 || text.length > 255)
        return false;
    for (size_t i = 0; i < text.length; i++) {
        if (!is_name_byte(text.at[i], i == 0))
            return false;
    }
    return true;
}

bool config__is_reference(struct weir_span text) {
    if (weir_span_starts_with(text, WEIR_SPAN("env:")))
        return is_name(weir_span_from(text, 4));
    return (weir_span_starts_with(text, WEIR_SPAN("file:")) && text.length > 5) ||
           (weir_span_starts_with(text, WEIR_SPAN("secret:")) && text.length > 7);
}

static bool has_prefix(struct weir_span text) {
    return weir_span_starts_with(text, WEIR_SPAN("env:")) || weir_span_starts_with(text, WEIR_SPAN("file:"));
}

/* True for `$$env:`, `$$$$file:`, …: one pair is the escape. */
static bool has_escaped_prefix(struct weir_span text) {
    size_t pairs = 0;
    while (weir_span_starts_with(text, WEIR_SPAN("$$"))) {
        text = weir_span_from(text, 2);
        pairs++;
    }
    return pairs > 0 && has_prefix(text);
}

struct weir_span config__unexpand(struct weir_buffer *scratch, struct weir_span text, bool is_secret) {
    weir_buffer_clear(scratch);
    if (!is_secret && (has_prefix(text) || has_escaped_prefix(text)))
        weir_buffer_append(scratch, WEIR_SPAN("$$"));
    for (size_t i = 0; i < text.length; i++) {
        if (text.at[i] == '$' && i + 1 < text.length && text.at[i + 1] == '{')
            weir_buffer_append_byte(scratch, '$');
        weir_buffer_append_byte(scratch, text.at[i]);
    }
    return weir_buffer_span(scratch);
}

static void say(struct config__reader *reader, const struct config__origin *origin, const struct config__path *path,
                const char *text) {
    if (config__problem_begin(reader, origin, path)) {
        weir_buffer_append(reader->problems, weir_span_of_string(text));
        config__problem_end(reader);
    }
}

/* The variable's value, or NULL; *no_memory where the name could not be copied. */
static const char *look_up(struct config__reader *reader, struct weir_span name) {
    char text[256];
    if (weir_span_to_string(name, text, sizeof text) != WEIR_OK)
        return NULL;
    return reader->lookup(reader->lookup_context, text);
}

static enum weir_status unset(struct config__reader *reader, const struct config__origin *origin,
                              const struct config__path *path, struct weir_span name) {
    if (config__problem_begin(reader, origin, path)) {
        weir_buffer_printf(reader->problems,
                           "the environment variable %.*s is not set (${%.*s:-word} would give a default)",
                           WEIR_SPAN_PRINT(name), WEIR_SPAN_PRINT(name));
        config__problem_end(reader);
    }
    return WEIR_EINVAL;
}

/* A finished text into the arena, checked: UTF-8 without NUL. */
static enum weir_status keep(struct config__reader *reader, const struct config__origin *origin,
                             const struct config__path *path, struct weir_span bytes, struct weir_span *text) {
    if (!config__is_utf8(bytes) || weir_span_index(bytes, '\0') < bytes.length) {
        say(reader, origin, path, "the text is not valid UTF-8 or holds a NUL byte");
        return WEIR_EINVAL;
    }
    char *copy = weir_arena_string(reader->arena, bytes);
    if (copy == NULL) {
        reader->no_memory = true;
        return WEIR_ENOMEM;
    }
    *text = weir_span_of(copy, bytes.length);
    return WEIR_OK;
}

/* One `${…}` whose inside is `inside`. */
static enum weir_status replace_one(struct config__reader *reader, const struct config__origin *origin,
                                    const struct config__path *path, struct weir_span inside, struct weir_buffer *out) {
    size_t end = 0;
    while (end < inside.length && is_name_byte(inside.at[end], end == 0))
        end++;
    struct weir_span name = weir_span_first(inside, end);
    struct weir_span rest = weir_span_from(inside, end);
    bool has_word = weir_span_starts_with(rest, WEIR_SPAN(":-"));
    if (!is_name(name) || (rest.length > 0 && !has_word)) {
        say(reader, origin, path, "expected ${NAME} or ${NAME:-word}; write $${ for a literal ${");
        return WEIR_EINVAL;
    }
    const char *value = look_up(reader, name);
    if (has_word && (value == NULL || value[0] == '\0'))
        weir_buffer_append(out, weir_span_from(rest, 2));
    else if (value != NULL)
        weir_buffer_append(out, weir_span_of_string(value));
    else
        return unset(reader, origin, path, name);
    return WEIR_OK;
}

static enum weir_status replace_all(struct config__reader *reader, const struct config__origin *origin,
                                    const struct config__path *path, struct weir_span raw, struct weir_buffer *out) {
    while (raw.length > 0) {
        if (weir_span_starts_with(raw, WEIR_SPAN("$${"))) {
            weir_buffer_append(out, WEIR_SPAN("${"));
            raw = weir_span_from(raw, 3);
        } else if (weir_span_starts_with(raw, WEIR_SPAN("${"))) {
            struct weir_span inside = weir_span_from(raw, 2);
            size_t end = weir_span_index(inside, '}');
            if (end == inside.length) {
                say(reader, origin, path, "'${' without its '}'; write $${ for a literal ${");
                return WEIR_EINVAL;
            }
            enum weir_status status = replace_one(reader, origin, path, weir_span_first(inside, end), out);
            if (status != WEIR_OK)
                return status;
            raw = weir_span_from(inside, end + 1);
        } else {
            weir_buffer_append_byte(out, raw.at[0]);
            raw = weir_span_from(raw, 1);
        }
        if (weir_buffer_status(out) == WEIR_ELIMIT) {
            say(reader, origin, path, "the text is longer than 1 MiB");
            return WEIR_EINVAL;
        }
    }
    return WEIR_OK;
}

enum weir_status config__expand(struct config__reader *reader, const struct config__origin *origin,
                                const struct config__path *path, struct weir_span raw, struct weir_span *text) {
    if (origin->source == CONFIG__FROM_ENVIRONMENT || weir_span_index(raw, '$') == raw.length)
        return keep(reader, origin, path, raw, text);
    struct weir_buffer out;
    weir_buffer_init(&out, CONFIG__MAX_TEXT_BYTES);
    enum weir_status status = replace_all(reader, origin, path, raw, &out);
    if (status == WEIR_OK && weir_buffer_status(&out) != WEIR_OK) {
        reader->no_memory = true;
        status = WEIR_ENOMEM;
    }
    if (status == WEIR_OK)
        status = keep(reader, origin, path, weir_buffer_span(&out), text);
    weir_buffer_release(&out);
    return status;
}

static enum weir_status read_reference(struct config__reader *reader, const struct config__origin *origin,
                                       const struct config__path *path, struct weir_span file, struct weir_span *text) {
    struct weir_span content;
    struct weir_error error;
    if (file.length == 0) {
        say(reader, origin, path, "expected file:PATH");
        return WEIR_EINVAL;
    }
    if (config__read_file(reader->arena, file.at, CONFIG__MAX_TEXT_BYTES, true, &content, &error) != WEIR_OK) {
        say(reader, origin, path, error.text);
        return WEIR_EINVAL;
    }
    if (weir_span_ends_with(content, WEIR_SPAN("\n")))
        content.length--;
    if (weir_span_ends_with(content, WEIR_SPAN("\r")))
        content.length--;
    return keep(reader, origin, path, content, text);
}

enum weir_status config__expand_text(struct config__reader *reader, const struct config__origin *origin,
                                     const struct config__path *path, struct weir_span raw, struct weir_span *text) {
    if (origin->source == CONFIG__FROM_ENVIRONMENT)
        return keep(reader, origin, path, raw, text);
    if (has_escaped_prefix(raw))
        return config__expand(reader, origin, path, weir_span_from(raw, 2), text);
    if (weir_span_starts_with(raw, WEIR_SPAN("env:"))) {
        struct weir_span name = weir_span_from(raw, 4);
        if (!is_name(name)) {
            say(reader, origin, path, "expected env:NAME");
            return WEIR_EINVAL;
        }
        const char *value = look_up(reader, name);
        return value == NULL ? unset(reader, origin, path, name)
                             : keep(reader, origin, path, weir_span_of_string(value), text);
    }
    if (weir_span_starts_with(raw, WEIR_SPAN("file:"))) {
        struct weir_span file;
        enum weir_status status = config__expand(reader, origin, path, weir_span_from(raw, 5), &file);
        return status == WEIR_OK ? read_reference(reader, origin, path, file, text) : status;
    }
    return config__expand(reader, origin, path, raw, text);
}

/* The NAME of a text that is `${NAME}` as a whole, or `${NAME:-word}` where the variable has a value. */
static bool is_one_variable(struct config__reader *reader, struct weir_span raw, struct weir_span *name) {
    if (!weir_span_starts_with(raw, WEIR_SPAN("${")) || weir_span_index(raw, '}') != raw.length - 1)
        return false;
    struct weir_span inside = weir_span_of(raw.at + 2, raw.length - 3);
    size_t colon = weir_span_index(inside, ':');
    struct weir_span rest = weir_span_from(inside, colon);
    *name = weir_span_first(inside, colon);
    if (!is_name(*name) || (rest.length > 0 && !weir_span_starts_with(rest, WEIR_SPAN(":-"))))
        return false;
    const char *value = look_up(reader, *name);
    return value != NULL && (rest.length == 0 || value[0] != '\0');
}

enum weir_status config__expand_secret(struct config__reader *reader, const struct config__origin *origin,
                                       const struct config__path *path, struct weir_span raw, struct weir_span *text) {
    struct weir_span name;
    bool of_environment = origin->source == CONFIG__FROM_ENVIRONMENT;
    if (of_environment && config__is_reference(raw))
        return keep(reader, origin, path, raw, text);
    if (of_environment)
        name = weir_span_of_string(origin->variable);
    else if (!is_one_variable(reader, raw, &name))
        return config__expand(reader, origin, path, raw, text);
    char *reference = weir_arena_format(reader->arena, "env:%.*s", WEIR_SPAN_PRINT(name));
    if (reference == NULL) {
        reader->no_memory = true;
        return WEIR_ENOMEM;
    }
    *text = weir_span_of_string(reference);
    return WEIR_OK;
}
