/* Walking members, problems in words, wire texts in writers, ids that carry signatures, what was used as it is told. */
#include "base/arithmetic.h"
#include "dialect/codec_impl.h"

#include <stdarg.h>

/* --- reading --- */

static const struct dialect__member *find_member(const struct dialect__member *members, size_t count,
                                                 struct weir_span name) {
    for (size_t i = 0; i < count; i++)
        if (members[i].name[0] == (name.length > 0 ? name.at[0] : '\0') &&
            weir_span_equal(weir_span_of_string(members[i].name), name))
            return &members[i];
    return NULL;
}

static enum weir_status note_unknown(struct dialect__reading *reading, const char *prefix, struct weir_span name) {
    char *path = weir_arena_format(reading->exchange->arena, "%s%.*s", prefix,
                                   (int)(name.length < 100 ? name.length : 100), name.at);
    struct weir_prompt *prompt = reading->prompt;
    return path == NULL || weir_name_add(reading->exchange->arena, &prompt->unknown, &prompt->last_unknown,
                                         weir_span_of_string(path)) == NULL
               ? WEIR_ENOMEM
               : WEIR_OK;
}

enum weir_status dialect__read_members(struct dialect__reading *reading, const struct weir_json_node *object,
                                       const char *prefix, const struct dialect__member *members, size_t count) {
    for (const struct weir_json_node *value = weir_json_first(object); value != NULL; value = value->next) {
        if (value->kind == WEIR_JSON_NULL)
            continue;
        const struct dialect__member *member = find_member(members, count, value->name);
        enum weir_status status = WEIR_OK;
        if (member == NULL) {
            status = note_unknown(reading, prefix, value->name);
        } else {
            reading->prompt->values[member->parameter] = value->text;
            if (member->read != NULL)
                status = member->read(reading, value);
        }
        if (status != WEIR_OK)
            return status;
    }
    return WEIR_OK;
}

enum weir_status dialect__must_be(struct dialect__reading *reading, const char *path, const char *expected,
                                  const struct weir_json_node *value) {
    struct weir_call_problem *problem = reading->problem;
    bool absent = value == NULL || value->kind == WEIR_JSON_NULL;
    problem->reason = absent ? WEIR_REASON_FIELD_MISSING : WEIR_REASON_FIELD_INVALID;
    problem->field = path;
    if (absent || value->kind == WEIR_JSON_STRING || value->kind == WEIR_JSON_NUMBER)
        (void)snprintf(problem->text, sizeof problem->text, "'%s' must be %s", path, expected);
    else
        (void)snprintf(problem->text, sizeof problem->text, "'%s' must be %s, not %s", path, expected,
                       weir_json_kind_name(value->kind));
    return WEIR_EINVAL;
}

const char *dialect__path(struct dialect__reading *reading, const char *format, ...) {
    char text[200];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    const char *path = weir_arena_string(reading->exchange->arena, weir_span_of_string(text));
    return path != NULL ? path : "";
}

enum weir_status dialect__take_text(struct dialect__reading *reading, const struct weir_json_node *value,
                                    const char *path, struct weir_span *wire) {
    *wire = WEIR_UNSAID;
    if (value == NULL || value->kind == WEIR_JSON_NULL)
        return WEIR_OK;
    if (value->kind != WEIR_JSON_STRING)
        return dialect__must_be(reading, path, "a string", value);
    *wire = weir_json_inside(value);
    return WEIR_OK;
}

enum weir_status dialect__take_count(struct dialect__reading *reading, const struct weir_json_node *value,
                                     const char *path, int64_t least, int64_t *number) {
    int64_t read = 0;
    if (value == NULL || value->kind == WEIR_JSON_NULL)
        return WEIR_OK;
    if (value->kind != WEIR_JSON_NUMBER || weir_json_int64(value->text, &read) != WEIR_OK || read < least)
        return dialect__must_be(reading, path, dialect__path(reading, "a whole number, %lld or more", (long long)least),
                                value);
    *number = read;
    return WEIR_OK;
}

int64_t dialect__number(const struct weir_json_node *node, int64_t otherwise) {
    int64_t value = 0;
    return weir_json_is(node, WEIR_JSON_NUMBER) && weir_json_int64(node->text, &value) == WEIR_OK ? value : otherwise;
}

/* RFC 2397; of a wire text, whose slashes may be escaped: then it is taken for a URL, which no client writes. */
void dialect__read_data_url(struct weir_span wire, struct weir_media *media) {
    static const struct weir_span begin = {.at = "data:", .length = 5};
    struct weir_span head, data, type, rest;
    media->source = WEIR_MEDIA_URL;
    media->data = wire;
    if (!weir_span_starts_with(wire, begin) ||
        !weir_span_split(weir_span_from(wire, begin.length), ',', &head, &data) ||
        !weir_span_ends_with(head, WEIR_SPAN(";base64")))
        return;
    (void)weir_span_split(head, ';', &type, &rest);
    media->source = WEIR_MEDIA_INLINE;
    media->data = data;
    media->type = type.length > 0 ? type : WEIR_UNSAID;
}

size_t dialect__row_of(const char *const *names, size_t count, const struct weir_json_node *value) {
    size_t row = 0;
    while (row < count && !weir_json_says(value, names[row]))
        row++;
    return row;
}

/* --- ids --- */

static const struct weir_span id_mark = {.at = "__sig__", .length = 7};

struct weir_span dialect__open_id(struct weir_exchange *exchange, struct weir_span wire,
                                  struct weir_signature *signature) {
    if (wire.length <= id_mark.length)
        return wire;
    const char *at = memmem(wire.at, wire.length, id_mark.at, id_mark.length);
    if (at == NULL)
        return wire;
    size_t length = (size_t)(at - wire.at);
    struct weir_signature opened;
    if (!weir_signature_open(exchange->arena, weir_span_from(wire, length + id_mark.length), &opened))
        return wire;
    if (signature != NULL)
        *signature = opened;
    return weir_span_first(wire, length);
}

struct weir_span dialect__seal_id(struct weir_exchange *exchange, struct weir_span id,
                                  const struct weir_signature *signature) {
    if (!weir_is_said(signature->value))
        return id;
    struct weir_span sealed = weir_signature_seal(exchange->arena, signature, true);
    char *text = weir_arena_alloc_raw(exchange->arena, id.length + id_mark.length + sealed.length);
    if (!weir_is_said(sealed) || text == NULL)
        return id;
    if (id.length > 0)
        memcpy(text, id.at, id.length);
    memcpy(text + id.length, id_mark.at, id_mark.length);
    memcpy(text + id.length + id_mark.length, sealed.at, sealed.length);
    return weir_span_of(text, id.length + id_mark.length + sealed.length);
}

struct weir_span dialect__short_id(struct weir_span id, size_t most) {
    size_t at = 0;
    while (at < id.length && id.length - at > most) {
        if (id.at[at] == '\\')
            at += at + 1 < id.length && id.at[at + 1] == 'u' ? 6 : 2;
        else
            at++;
        while (at < id.length && ((unsigned char)id.at[at] & 0xc0) == 0x80)
            at++;
    }
    return weir_span_from(id, at < id.length ? at : id.length);
}

/* --- writing --- */

void dialect__write_wire(struct weir_json_writer *writer, struct weir_span wire) {
    weir_json_write_raw(writer, WEIR_SPAN("\""));
    weir_buffer_append(writer->out, wire);
    weir_buffer_append_byte(writer->out, '"');
}

void dialect__member_wire(struct weir_json_writer *writer, const char *name, struct weir_span wire) {
    if (!weir_is_said(wire))
        return;
    weir_json_write_name(writer, name);
    dialect__write_wire(writer, wire);
}

void dialect__member_json(struct weir_json_writer *writer, const char *name, struct weir_span json) {
    if (!weir_is_said(json))
        return;
    weir_json_write_name(writer, name);
    weir_json_write_raw(writer, WEIR_SPAN(""));
    weir_json_append_compact(writer->out, json);
}

void dialect__member_arguments(struct weir_json_writer *writer, const char *name, struct weir_span json) {
    weir_json_write_name(writer, name);
    weir_json_write_raw(writer, WEIR_SPAN("\""));
    weir_append_json_as_wire(writer->out, weir_is_said(json) ? json : WEIR_SPAN("{}"));
    weir_buffer_append_byte(writer->out, '"');
}

void dialect__member_id(struct weir_json_writer *writer, const char *name, const char *prefix,
                        const struct weir_exchange *exchange) {
    weir_json_write_name(writer, name);
    weir_json_write_raw(writer, WEIR_SPAN("\""));
    weir_buffer_append(writer->out, weir_span_of_string(prefix));
    weir_buffer_append(writer->out, exchange->seed);
    weir_buffer_append_byte(writer->out, '"');
}

bool dialect__has_part(const struct weir_part *parts, enum weir_part_kind kind) {
    while (parts != NULL && parts->kind != kind)
        parts = parts->next;
    return parts != NULL;
}

struct weir_span dialect__join_texts(struct weir_arena *arena, const struct weir_part *parts, enum weir_part_kind kind,
                                     struct weir_span between) {
    size_t count = 0, length = 0;
    struct weir_span only = WEIR_UNSAID;
    for (const struct weir_part *part = parts; part != NULL; part = part->next) {
        if (part->kind != kind || !weir_is_said(part->text))
            continue;
        only = part->text;
        count++;
        length += part->text.length + between.length;
    }
    if (count <= 1)
        return only;
    char *text = weir_arena_alloc_raw(arena, length), *at = text;
    for (const struct weir_part *part = parts; text != NULL && part != NULL; part = part->next) {
        if (part->kind != kind || !weir_is_said(part->text))
            continue;
        if (at != text && between.length > 0) {
            memcpy(at, between.at, between.length);
            at += between.length;
        }
        if (part->text.length > 0)
            memcpy(at, part->text.at, part->text.length);
        at += part->text.length;
    }
    return text == NULL ? WEIR_UNSAID : weir_span_of(text, (size_t)(at - text));
}

enum weir_status dialect__cannot_send(struct weir_call_problem *problem, const char *field, const char *what,
                                      enum weir_dialect_kind back) {
    problem->reason = WEIR_REASON_PARAMETER_UNSUPPORTED;
    problem->field = field;
    (void)snprintf(problem->text, sizeof problem->text, "%s cannot be sent to a provider that speaks %s", what,
                   weir_dialect_kind_name(back));
    return WEIR_EINVAL;
}

void dialect__note_ignored(struct weir_exchange *exchange, const char *name) {
    for (const struct weir_name *there = exchange->ignored; there != NULL; there = there->next)
        if (weir_span_equal(there->text, weir_span_of_string(name)))
            return;
    (void)weir_name_add(exchange->arena, &exchange->ignored, &exchange->last_ignored, weir_span_of_string(name));
}

int64_t dialect__output_limit(const struct weir_exchange *exchange, const struct weir_prompt *prompt) {
    int64_t said = prompt->max_output_tokens, limit = exchange->output_limit;
    return exchange->is_clamped && (said == 0 || limit < said) ? limit : said;
}

struct dialect__open_part *dialect__find_part(struct dialect__open_part *parts, const struct weir_delta *delta) {
    while (parts != NULL && (parts->choice != delta->choice || parts->part != delta->part))
        parts = parts->next;
    return parts;
}

/* --- what was used --- */

static int64_t within(int64_t part, int64_t whole) {
    if (part < 0)
        return 0;
    return part < whole ? part : whole;
}

/* Providers have been seen to count the same token twice; who comes first has his, as where they are priced. */
struct weir_usage dialect__told_usage(const struct weir_usage *usage) {
    struct weir_usage told = *usage;
    told.input = within(usage->input, INT64_MAX);
    told.output = within(usage->output, INT64_MAX);
    told.cached = within(usage->cached, told.input);
    told.cache_write = within(usage->cache_write, told.input - told.cached);
    told.cache_write_long = within(usage->cache_write_long, told.cache_write);
    told.input_audio = within(usage->input_audio, told.input);
    told.input_image = within(usage->input_image, told.input);
    told.reasoning = within(usage->reasoning, told.output);
    told.output_audio = within(usage->output_audio, told.output - told.reasoning);
    told.output_image = within(usage->output_image, told.output - told.reasoning);
    return told;
}

int64_t dialect__total_tokens(const struct weir_usage *usage) {
    int64_t total;
    return weir_add_int64(usage->input, usage->output, &total) ? total : INT64_MAX;
}
