/* The tree's reader: the same strict grammar as the scanner's, by the same string and number scanners. */
#include "json/tree.h"

#include "base/limits.h"
#include "json/impl.h"

enum { NODES_A_BLOCK = 32 };

struct reader {
    struct weir_arena *arena;
    const char *start, *end;
    struct weir_json_node *spare; /* the rest of the last block */
    size_t spare_count;
    enum weir_status status;
    const char *problem, *bad_at;
};

/* Open arrays and objects, and where the next node of each is linked. */
struct open {
    struct weir_json_node *node, **link;
};

static const char *fail(struct reader *reader, enum weir_status status, const char *problem, const char *at) {
    reader->status = status;
    reader->problem = problem;
    reader->bad_at = at;
    return NULL;
}

static const char *unexpected(struct reader *reader, const char *at) {
    return fail(reader, WEIR_EINVAL, at == reader->end ? "unexpected end" : "unexpected byte", at);
}

static const char *skip_space(const char *at, const char *end) {
    while (at < end && (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t'))
        at++;
    return at;
}

static struct weir_json_node *take_node(struct reader *reader) {
    if (reader->spare_count == 0) {
        reader->spare = weir_arena_array(reader->arena, NODES_A_BLOCK, sizeof *reader->spare);
        if (reader->spare == NULL)
            return NULL;
        reader->spare_count = NODES_A_BLOCK;
    }
    reader->spare_count--;
    return reader->spare++;
}

static bool decode(struct weir_arena *arena, struct weir_span token, struct weir_span *text) {
    char *decoded = weir_arena_alloc_raw(arena, token.length);
    size_t length = 0;
    if (decoded == NULL || weir_json_decode(token, decoded, token.length, &length) != WEIR_OK)
        return false;
    *text = weir_span_of(decoded, length);
    return true;
}

/* From a name's quote to its value's first byte. */
static const char *read_name(struct reader *reader, const char *at, struct weir_span *name) {
    const char *problem, *bad_at;
    bool escaped = false;
    if (at == reader->end || *at != '"')
        return unexpected(reader, at);
    const char *closing = json__skip_string(at + 1, reader->end, &escaped, &problem, &bad_at);
    if (closing == NULL)
        return fail(reader, WEIR_EINVAL, problem, bad_at);
    *name = weir_span_of(at + 1, (size_t)(closing - at - 1));
    if (escaped && !decode(reader->arena, weir_span_of(at, (size_t)(closing + 1 - at)), name))
        return fail(reader, WEIR_ENOMEM, "no memory", at);
    at = skip_space(closing + 1, reader->end);
    if (at == reader->end || *at != ':')
        return unexpected(reader, at);
    return skip_space(at + 1, reader->end);
}

static const char *read_literal(struct reader *reader, const char *at, const char *literal, enum weir_json_kind kind,
                                struct weir_json_node *node) {
    size_t length = strlen(literal);
    node->kind = kind;
    if ((size_t)(reader->end - at) < length || memcmp(at, literal, length) != 0)
        return unexpected(reader, at);
    return at + length;
}

/* A scalar whole; of an array or object the bracket. */
static const char *read_value(struct reader *reader, const char *at, struct weir_json_node *node) {
    const char *problem, *bad_at;
    bool escaped = false;
    if (at == reader->end)
        return unexpected(reader, at);
    switch (*at) {
    case '{': node->kind = WEIR_JSON_OBJECT; return at + 1;
    case '[': node->kind = WEIR_JSON_ARRAY; return at + 1;
    case 't': return read_literal(reader, at, "true", WEIR_JSON_TRUE, node);
    case 'f': return read_literal(reader, at, "false", WEIR_JSON_FALSE, node);
    case 'n': return read_literal(reader, at, "null", WEIR_JSON_NULL, node);
    case '"':
        node->kind = WEIR_JSON_STRING;
        at = json__skip_string(at + 1, reader->end, &escaped, &problem, &bad_at);
        return at == NULL ? fail(reader, WEIR_EINVAL, problem, bad_at) : at + 1;
    default:
        node->kind = WEIR_JSON_NUMBER;
        if (*at != '-' && (*at < '0' || *at > '9'))
            return unexpected(reader, at);
        at = json__skip_number(at, reader->end, &bad_at);
        return at == NULL ? fail(reader, WEIR_EINVAL, "bad number", bad_at) : at;
    }
}

static const char *read_all(struct reader *reader, const char *at, struct weir_json_node **root) {
    struct open open[WEIR_MAX_JSON_DEPTH + 1]; /* open[0] is around the root */
    size_t depth = 0;
    open[0] = (struct open){.node = NULL, .link = root};
    for (;;) {
        struct weir_json_node *node = take_node(reader), *around = open[depth].node;
        if (node == NULL)
            return fail(reader, WEIR_ENOMEM, "no memory", at);
        node->name = WEIR_SPAN("");
        if (around != NULL && around->kind == WEIR_JSON_OBJECT && (at = read_name(reader, at, &node->name)) == NULL)
            return NULL;
        const char *begin = at;
        if ((at = read_value(reader, at, node)) == NULL)
            return NULL;
        node->text = weir_span_of(begin, (size_t)(at - begin));
        *open[depth].link = node;
        open[depth].link = &node->next;
        if (around != NULL)
            around->count++;
        bool opened = node->kind == WEIR_JSON_ARRAY || node->kind == WEIR_JSON_OBJECT;
        if (opened) {
            if (depth == WEIR_MAX_JSON_DEPTH)
                return fail(reader, WEIR_ELIMIT, "nested too deep", begin);
            open[++depth] = (struct open){.node = node, .link = &node->first};
        }
        at = skip_space(at, reader->end);
        while (depth > 0 && at < reader->end && *at == (open[depth].node->kind == WEIR_JSON_OBJECT ? '}' : ']')) {
            at++;
            open[depth].node->text.length = (size_t)(at - open[depth].node->text.at);
            depth--;
            at = skip_space(at, reader->end);
            opened = false;
        }
        if (depth == 0)
            return at;
        if (opened)
            continue;
        if (at == reader->end || *at != ',')
            return unexpected(reader, at);
        at = skip_space(at + 1, reader->end);
    }
}

enum weir_status weir_json_tree_read(struct weir_arena *arena, struct weir_span text, struct weir_json_node **root,
                                     struct weir_json_problem *problem) {
    if (text.length == 0)
        text.at = ""; /* an empty span may point nowhere */
    struct reader reader = {.arena = arena, .start = text.at, .end = text.at + text.length, .status = WEIR_OK};
    *root = NULL;
    const char *at = read_all(&reader, skip_space(reader.start, reader.end), root);
    if (at != NULL && at != reader.end)
        at = unexpected(&reader, at);
    if (at != NULL)
        return WEIR_OK;
    *root = NULL;
    if (problem != NULL)
        *problem = (struct weir_json_problem){.text = reader.problem,
                                              .offset = (size_t)(reader.bad_at - reader.start),
                                              .member = WEIR_SPAN("")};
    return reader.status;
}

const struct weir_json_node *weir_json_get(const struct weir_json_node *object, const char *name) {
    if (!weir_json_is(object, WEIR_JSON_OBJECT))
        return NULL;
    size_t length = strlen(name);
    for (const struct weir_json_node *member = object->first; member != NULL; member = member->next)
        if (member->name.length == length && memcmp(member->name.at, name, length) == 0)
            return member;
    return NULL;
}

const struct weir_json_node *weir_json_get_value(const struct weir_json_node *object, const char *name) {
    const struct weir_json_node *member = weir_json_get(object, name);
    return member != NULL && member->kind == WEIR_JSON_NULL ? NULL : member;
}

bool weir_json_says(const struct weir_json_node *node, const char *plain) {
    return weir_json_is(node, WEIR_JSON_STRING) && weir_json_string_equals(node->text, weir_span_of_string(plain));
}

struct weir_span weir_json_inside(const struct weir_json_node *node) {
    return weir_json_is(node, WEIR_JSON_STRING) ? weir_span_of(node->text.at + 1, node->text.length - 2)
                                                : WEIR_SPAN("");
}

enum weir_status weir_json_decoded(struct weir_arena *arena, const struct weir_json_node *node,
                                   struct weir_span *text) {
    *text = WEIR_SPAN("");
    if (!weir_json_is(node, WEIR_JSON_STRING) || weir_json_plain_string(node->text, text))
        return WEIR_OK;
    return decode(arena, node->text, text) ? WEIR_OK : WEIR_ENOMEM;
}

void weir_json_append_compact(struct weir_buffer *out, struct weir_span value) {
    const char *at = value.at, *end = value.at + value.length, *problem, *bad_at;
    bool escaped = false;
    while (at < end) {
        const char *begin = at;
        while (at < end && *at != '"' && *at != ' ' && *at != '\t' && *at != '\n' && *at != '\r')
            at++;
        if (at < end && *at == '"') {
            const char *closing = json__skip_string(at + 1, end, &escaped, &problem, &bad_at);
            at = closing == NULL ? end : closing + 1; /* a value that was read has no string without an end */
        }
        weir_buffer_append(out, weir_span_of(begin, (size_t)(at - begin)));
        at = skip_space(at, end);
    }
}
