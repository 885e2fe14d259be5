/* The file as a tree of nodes with their places, from libyaml's events.
 *
 * Only what a settings file needs: one document of mappings, lists and scalars. Anchors, aliases and tags are refused
 * (no expansion bombs, no second meaning). In a file of another program they are read: an alias shares the elements of its
 * anchor, so that nothing grows, and a merge key copies members but not what is in them. The first of these errors ends the reading; a tree with a hole in it would
 * only give follow-up messages. A name that stands twice is noted and read on after.
 */
#include "config/impl.h"

#include <yaml.h>

struct builder {
    struct config__reader *reader;
    struct weir_span text;
    struct config__node *root;
    struct config__node *open[CONFIG__MAX_DEPTH];
    size_t depth;
    size_t nodes;
    struct weir_span key; /* read, its value comes next */
    struct config__place key_place;
    bool has_key;
    unsigned documents;
    struct anchor *anchors; /* in a foreign file; the newest first, for a name can be given again */
    size_t anchor_count;
};

struct anchor {
    struct anchor *next;
    struct weir_span name;
    struct config__node *node;
};

static struct config__place place_of(yaml_mark_t mark) {
    return (struct config__place){.line = mark.line + 1, .column = mark.column + 1};
}

const struct config__node *config__node_find(const struct config__node *mapping, struct weir_span key) {
    if (mapping == NULL || mapping->shape != CONFIG__MAPPING)
        return NULL;
    for (const struct config__node *node = mapping->first; node != NULL; node = node->next) {
        if (weir_span_equal(node->key, key))
            return node;
    }
    return NULL;
}

static enum weir_status out_of_memory(struct builder *builder) {
    builder->reader->no_memory = true;
    return WEIR_ENOMEM;
}

/* libyaml gives no mark for bytes that it could not decode, only an offset. */
static struct config__place place_of_offset(struct weir_span text, size_t offset) {
    struct config__place place = {.line = 1, .column = 1};
    for (size_t i = 0; i < offset && i < text.length; i++) {
        if (text.at[i] == '\n') {
            place.line++;
            place.column = 1;
        } else if (((unsigned char)text.at[i] & 0xc0) != 0x80) {
            place.column++;
        }
    }
    return place;
}

/* The byte at a mark: marks count characters, so count them too. */
static char byte_at(struct weir_span text, size_t character) {
    for (size_t i = 0; i < text.length; i++) {
        if (((unsigned char)text.at[i] & 0xc0) == 0x80)
            continue;
        if (character == 0)
            return text.at[i];
        character--;
    }
    return '\0';
}

static enum weir_status syntax_problem(struct builder *builder, const yaml_parser_t *parser) {
    if (parser->error == YAML_MEMORY_ERROR)
        return out_of_memory(builder);
    const char *problem = parser->problem != NULL ? parser->problem : "it cannot be read";
    if (parser->error == YAML_READER_ERROR) {
        config__problem_at(builder->reader, place_of_offset(builder->text, parser->problem_offset),
                           "not valid YAML: %s", problem);
        return WEIR_EINVAL;
    }
    bool tab = byte_at(builder->text, parser->problem_mark.index) == '\t';
    config__problem_at(builder->reader, place_of(parser->problem_mark), "not valid YAML: %s%s%s%s", problem,
                       parser->context != NULL ? " " : "", parser->context != NULL ? parser->context : "",
                       tab ? "; indent with spaces, not tabs" : "");
    return WEIR_EINVAL;
}

static struct config__node *add_node(struct builder *builder, enum config__shape shape, yaml_mark_t mark) {
    struct config__node *node = weir_arena_alloc(builder->reader->arena, sizeof *node);
    if (node == NULL)
        return NULL;
    node->shape = shape;
    node->place = place_of(mark);
    if (builder->depth == 0) {
        builder->root = node;
        return node;
    }
    struct config__node *parent = builder->open[builder->depth - 1];
    if (parent->shape == CONFIG__MAPPING) {
        node->key = builder->key;
        node->key_place = builder->key_place;
        builder->has_key = false;
    }
    if (parent->last != NULL)
        parent->last->next = node;
    else
        parent->first = node;
    parent->last = node;
    parent->count++;
    return node;
}

static bool awaits_key(const struct builder *builder) {
    return builder->depth > 0 && builder->open[builder->depth - 1]->shape == CONFIG__MAPPING && !builder->has_key;
}

static enum weir_status take_key(struct builder *builder, struct weir_span text, yaml_mark_t mark) {
    const struct config__node *mapping = builder->open[builder->depth - 1];
    const struct config__node *first = builder->reader->is_foreign ? NULL : config__node_find(mapping, text);
    size_t most = builder->reader->is_foreign ? CONFIG__MAX_FOREIGN_MEMBERS : CONFIG__MAX_MEMBERS;
    struct config__place place = place_of(mark);
    if (first != NULL) {
        const struct config__origin origin = {.source = CONFIG__FROM_FILE, .place = place};
        if (config__problem_begin(builder->reader, &origin, NULL)) {
            config__append_quoted(builder->reader->problems, text);
            weir_buffer_printf(builder->reader->problems, " stands twice; first at %s:%zu:%zu", builder->reader->name,
                               first->key_place.line, first->key_place.column);
            config__problem_end(builder->reader);
        }
    }
    if (mapping->count >= most) {
        config__problem_at(builder->reader, place, "more than %zu names in one mapping", most);
        return WEIR_EINVAL;
    }
    if (weir_arena_dup(builder->reader->arena, text, &builder->key) != WEIR_OK)
        return out_of_memory(builder);
    builder->key_place = place;
    builder->has_key = true;
    return WEIR_OK;
}

static bool is_null_word(struct weir_span text) {
    return text.length == 0 || weir_span_equal(text, WEIR_SPAN("~")) || weir_span_equal(text, WEIR_SPAN("null")) ||
           weir_span_equal(text, WEIR_SPAN("Null")) || weir_span_equal(text, WEIR_SPAN("NULL"));
}

static enum weir_status take_scalar(struct builder *builder, const yaml_event_t *event) {
    struct weir_span text = weir_span_of((const char *)event->data.scalar.value, event->data.scalar.length);
    if (weir_span_index(text, '\0') < text.length) {
        config__problem_at(builder->reader, place_of(event->start_mark), "a text may not hold a NUL byte");
        return WEIR_EINVAL;
    }
    if (awaits_key(builder))
        return take_key(builder, text, event->start_mark);
    struct config__node *node = add_node(builder, CONFIG__SCALAR, event->start_mark);
    if (node == NULL)
        return out_of_memory(builder);
    char *copy = weir_arena_string(builder->reader->arena, text);
    if (copy == NULL)
        return out_of_memory(builder);
    node->text = weir_span_of(copy, text.length);
    node->is_null = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE && is_null_word(text);
    return WEIR_OK;
}

static enum weir_status open_collection(struct builder *builder, enum config__shape shape, yaml_mark_t mark) {
    if (awaits_key(builder)) {
        config__problem_at(builder->reader, place_of(mark), "a name must be a single word");
        return WEIR_EINVAL;
    }
    if (builder->depth == CONFIG__MAX_DEPTH) {
        config__problem_at(builder->reader, place_of(mark), "nested more than %d deep", CONFIG__MAX_DEPTH);
        return WEIR_EINVAL;
    }
    struct config__node *node = add_node(builder, shape, mark);
    if (node == NULL)
        return out_of_memory(builder);
    node->is_open = true;
    builder->open[builder->depth++] = node;
    return WEIR_OK;
}

static enum weir_status refuse(struct builder *builder, yaml_mark_t mark, const char *what) {
    config__problem_at(builder->reader, place_of(mark), "%s are not supported here", what);
    return WEIR_EINVAL;
}

/* --- what only a file of another program may have --- */

/* The node that was just begun gets the name. */
static enum weir_status keep_anchor(struct builder *builder, const void *name, struct config__node *node) {
    struct weir_span text = weir_span_of_string(name);
    struct anchor *anchor = weir_arena_alloc(builder->reader->arena, sizeof *anchor);
    if (anchor == NULL || weir_arena_dup(builder->reader->arena, text, &anchor->name) != WEIR_OK)
        return out_of_memory(builder);
    if (++builder->anchor_count > CONFIG__MAX_ANCHORS) {
        config__problem_at(builder->reader, node->place, "more than %d anchors", CONFIG__MAX_ANCHORS);
        return WEIR_EINVAL;
    }
    anchor->node = node;
    anchor->next = builder->anchors;
    builder->anchors = anchor;
    return WEIR_OK;
}

static enum weir_status take_alias(struct builder *builder, const yaml_event_t *event) {
    struct weir_span name = weir_span_of_string((const char *)event->data.alias.anchor);
    const struct anchor *anchor = builder->anchors;
    while (anchor != NULL && !weir_span_equal(anchor->name, name))
        anchor = anchor->next;
    if (anchor == NULL || anchor->node->is_open || awaits_key(builder)) {
        config__problem_at(builder->reader, place_of(event->start_mark), "the alias *%.*s %s",
                           (int)(name.length < 60 ? name.length : 60), name.at,
                           anchor == NULL          ? "has no anchor before it"
                           : anchor->node->is_open ? "stands inside of its own anchor"
                                                   : "cannot be a name");
        return WEIR_EINVAL;
    }
    struct config__node *node = add_node(builder, anchor->node->shape, event->start_mark);
    if (node == NULL)
        return out_of_memory(builder);
    node->is_null = anchor->node->is_null;
    node->text = anchor->node->text;
    node->first = anchor->node->first;
    node->last = anchor->node->last;
    node->count = anchor->node->count;
    return WEIR_OK;
}

/* What `from` has and `into` has not yet goes into it. */
static enum weir_status merge_mapping(struct builder *builder, struct config__node *into,
                                      const struct config__node *from) {
    for (const struct config__node *member = from->first; member != NULL; member = member->next) {
        if (config__node_find(into, member->key) != NULL)
            continue;
        struct config__node *copy = weir_arena_alloc(builder->reader->arena, sizeof *copy);
        if (copy == NULL)
            return out_of_memory(builder);
        if (++builder->nodes > CONFIG__MAX_NODES || into->count >= CONFIG__MAX_FOREIGN_MEMBERS) {
            config__problem_at(builder->reader, into->place, "too much is merged into this mapping");
            return WEIR_EINVAL;
        }
        *copy = *member;
        copy->next = NULL;
        into->last->next = copy; /* there is one at least: the merge key itself */
        into->last = copy;
        into->count++;
    }
    return WEIR_OK;
}

/* `<<: *defaults` or `<<: [*a, *b]`. The merge key stays; its reader passes over it. */
static enum weir_status merge_keys(struct builder *builder, struct config__node *mapping) {
    const struct config__node *merge = config__node_find(mapping, WEIR_SPAN("<<"));
    enum weir_status status = WEIR_OK;
    if (merge == NULL)
        return WEIR_OK;
    if (merge->shape == CONFIG__MAPPING)
        return merge_mapping(builder, mapping, merge);
    if (merge->shape == CONFIG__SEQUENCE && merge->count > CONFIG__MAX_DEPTH)
        return refuse(builder, (yaml_mark_t){.line = merge->place.line - 1, .column = merge->place.column - 1},
                      "more than 32 mappings in one merge key");
    for (const struct config__node *one = merge->first; one != NULL && status == WEIR_OK; one = one->next)
        if (one->shape == CONFIG__MAPPING)
            status = merge_mapping(builder, mapping, one);
    return status;
}

static enum weir_status close_collection(struct builder *builder) {
    struct config__node *node = builder->open[--builder->depth];
    node->is_open = false;
    return builder->reader->is_foreign && node->shape == CONFIG__MAPPING ? merge_keys(builder, node) : WEIR_OK;
}

/* What every value may not have; WEIR_OK when it has neither. */
static enum weir_status check_properties(struct builder *builder, const yaml_event_t *event, const void *anchor,
                                         const void *tag) {
    if (anchor != NULL && !builder->reader->is_foreign)
        return refuse(builder, event->start_mark, "anchors");
    if (tag != NULL && !builder->reader->is_foreign)
        return refuse(builder, event->start_mark, "tags");
    if (++builder->nodes > CONFIG__MAX_NODES)
        return refuse(builder, event->start_mark, "more than 200000 values");
    return WEIR_OK;
}

/* The node that an event began: the newest. */
static struct config__node *newest(const struct builder *builder, enum yaml_event_type_e type) {
    if (type != YAML_SCALAR_EVENT)
        return builder->open[builder->depth - 1];
    return builder->depth > 0 ? builder->open[builder->depth - 1]->last : builder->root;
}

static enum weir_status take_value(struct builder *builder, const yaml_event_t *event, const void *anchor,
                                   const void *tag) {
    bool is_key = awaits_key(builder);
    enum weir_status status = check_properties(builder, event, anchor, tag);
    if (status != WEIR_OK)
        return status;
    if (event->type == YAML_SCALAR_EVENT)
        status = take_scalar(builder, event);
    else
        status = open_collection(builder, event->type == YAML_SEQUENCE_START_EVENT ? CONFIG__SEQUENCE : CONFIG__MAPPING,
                                 event->start_mark);
    if (status == WEIR_OK && anchor != NULL && !is_key)
        status = keep_anchor(builder, anchor, newest(builder, event->type));
    return status;
}

static enum weir_status take_event(struct builder *builder, const yaml_event_t *event) {
    switch (event->type) {
    case YAML_DOCUMENT_START_EVENT:
        if (++builder->documents > 1) {
            config__problem_at(builder->reader, place_of(event->start_mark),
                               "a second document begins; one is allowed");
            return WEIR_EINVAL;
        }
        return WEIR_OK;
    case YAML_ALIAS_EVENT:
        if (++builder->nodes > CONFIG__MAX_NODES || !builder->reader->is_foreign)
            return refuse(builder, event->start_mark, "aliases");
        return take_alias(builder, event);
    case YAML_SCALAR_EVENT: return take_value(builder, event, event->data.scalar.anchor, event->data.scalar.tag);
    case YAML_SEQUENCE_START_EVENT:
        return take_value(builder, event, event->data.sequence_start.anchor, event->data.sequence_start.tag);
    case YAML_MAPPING_START_EVENT:
        return take_value(builder, event, event->data.mapping_start.anchor, event->data.mapping_start.tag);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT: return close_collection(builder);
    case YAML_NO_EVENT:
    case YAML_STREAM_START_EVENT:
    case YAML_STREAM_END_EVENT:
    case YAML_DOCUMENT_END_EVENT:
    default: return WEIR_OK;
    }
}

enum weir_status config__yaml_read(struct config__reader *reader, struct weir_span text, struct config__node **root) {
    struct builder builder = {.reader = reader, .text = text};
    yaml_parser_t parser;
    if (!yaml_parser_initialize(&parser)) {
        reader->no_memory = true;
        return WEIR_ENOMEM;
    }
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, (const unsigned char *)(text.length > 0 ? text.at : ""), text.length);
    enum weir_status status = WEIR_OK;
    bool ended = false;
    while (status == WEIR_OK && !ended) {
        yaml_event_t event;
        if (!yaml_parser_parse(&parser, &event)) {
            status = syntax_problem(&builder, &parser);
            break;
        }
        ended = event.type == YAML_STREAM_END_EVENT;
        status = take_event(&builder, &event);
        yaml_event_delete(&event);
    }
    yaml_parser_delete(&parser);
    if (status == WEIR_OK)
        *root = builder.root;
    return status;
}
