/* JSON Schemas as Anthropic takes them: of tools, and of the form of an answer.
 *
 * Facts: a tool's schema has the type "object" at its top; a form's objects are closed (additionalProperties is false), and what it cannot hold to (bounds of numbers,
 * lengths) is refused. The vendor's own library moves such bounds into the description, where the model may still heed them; so do we. Gemini's clients write
 * types in capitals.
 */
#include "dialect/anthropic_impl.h"

#define COUNT(list) (sizeof(list) / sizeof *(list))

struct schema {
    struct weir_buffer *out;
    bool is_form, has_capitals;
};

static bool is_named(const struct weir_json_node *node, const char *const *names, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (weir_span_equal(node->name, weir_span_of_string(names[i])))
            return true;
    return false;
}
#define IS_NAMED(node, names) is_named(node, names, COUNT(names))

static bool is_bound(const struct weir_json_node *member) {
    static const char *const bounds[] = {"minimum",   "maximum",   "exclusiveMinimum", "exclusiveMaximum", "multipleOf",
                                         "minLength", "maxLength", "maxItems",         "uniqueItems"};
    static const char *const least[] = {"minItems"};
    int64_t items = dialect__number(member, -1);
    return IS_NAMED(member, bounds) || (IS_NAMED(member, least) && items != 0 && items != 1);
}

static void write_name(struct schema *schema, struct weir_span name, bool *is_first) {
    if (!*is_first)
        weir_buffer_append_byte(schema->out, ',');
    *is_first = false;
    weir_json_append_string(schema->out, name);
    weir_buffer_append_byte(schema->out, ':');
}

static void write_schema(struct schema *schema, const struct weir_json_node *node);

/* An object of schemas, or an array of them. */
static void write_schemas(struct schema *schema, const struct weir_json_node *node) {
    bool is_object = node->kind == WEIR_JSON_OBJECT, is_first = true;
    weir_buffer_append_byte(schema->out, is_object ? '{' : '[');
    for (const struct weir_json_node *one = node->first; one != NULL; one = one->next) {
        if (is_object) {
            write_name(schema, one->name, &is_first);
        } else if (!is_first) {
            weir_buffer_append_byte(schema->out, ',');
        }
        is_first = false;
        write_schema(schema, one);
    }
    weir_buffer_append_byte(schema->out, is_object ? '}' : ']');
}

static void write_type(struct schema *schema, const struct weir_json_node *type) {
    static const char *const capitals[] = {"STRING", "NUMBER", "INTEGER", "BOOLEAN", "ARRAY", "OBJECT", "NULL"};
    static const char *const names[] = {"string", "number", "integer", "boolean", "array", "object", "null"};
    size_t row = dialect__row_of(capitals, COUNT(capitals), type);
    if (schema->has_capitals && row < COUNT(names)) {
        weir_json_append_string(schema->out, weir_span_of_string(names[row]));
        return;
    }
    weir_json_append_compact(schema->out, type->text);
}

/* The description with the bounds that only it can tell. */
static void write_description(struct schema *schema, const struct weir_json_node *node, bool *is_first) {
    const struct weir_json_node *description = weir_json_get(node, "description");
    bool any = false;
    for (const struct weir_json_node *member = node->first; schema->is_form && member != NULL; member = member->next)
        any = any || is_bound(member);
    if (!any && description == NULL)
        return;
    write_name(schema, WEIR_SPAN("description"), is_first);
    if (!any) {
        weir_json_append_compact(schema->out, description->text);
        return;
    }
    struct weir_span text = weir_json_inside(description);
    weir_buffer_append_byte(schema->out, '"');
    weir_buffer_append(schema->out, text);
    const char *between = text.length > 0 ? "\\n\\n{" : "{";
    for (const struct weir_json_node *member = node->first; member != NULL; member = member->next) {
        if (!is_bound(member))
            continue;
        weir_buffer_append(schema->out, weir_span_of_string(between));
        weir_buffer_append(schema->out, member->name); /* one of the names above: plain */
        weir_buffer_append(schema->out, WEIR_SPAN(": "));
        weir_append_json_as_wire(schema->out, member->text);
        between = ", ";
    }
    weir_buffer_append(schema->out, WEIR_SPAN("}\""));
}

static void write_member(struct schema *schema, const struct weir_json_node *member, bool *is_first) {
    static const char *const lists[] = {"properties", "$defs", "definitions", "patternProperties",
                                        "anyOf",      "allOf", "prefixItems"};
    static const char *const schemas[] = {"items", "additionalProperties", "not", "if", "then", "else"};
    static const char *const type[] = {"type"}, *const one_of[] = {"oneOf"};
    bool is_one_of = IS_NAMED(member, one_of);
    write_name(schema, schema->is_form && is_one_of ? WEIR_SPAN("anyOf") : member->name, is_first);
    if ((is_one_of || IS_NAMED(member, lists)) && (member->kind == WEIR_JSON_OBJECT || member->kind == WEIR_JSON_ARRAY))
        write_schemas(schema, member);
    else if (IS_NAMED(member, schemas))
        write_schema(schema, member);
    else if (IS_NAMED(member, type))
        write_type(schema, member);
    else
        weir_json_append_compact(schema->out, member->text);
}

static bool is_object_type(const struct weir_json_node *node) {
    const struct weir_json_node *type = weir_json_get(node, "type");
    return weir_json_says(type, "object") || weir_json_says(type, "OBJECT") ||
           (type == NULL && weir_json_get(node, "properties") != NULL);
}

static void write_schema(struct schema *schema, const struct weir_json_node *node) {
    bool is_first = true, described = false;
    if (node->kind != WEIR_JSON_OBJECT) { /* true or false */
        weir_json_append_compact(schema->out, node->text);
        return;
    }
    bool closes = schema->is_form && is_object_type(node);
    weir_buffer_append_byte(schema->out, '{');
    for (const struct weir_json_node *member = node->first; member != NULL; member = member->next) {
        static const char *const description[] = {"description"}, *const others[] = {"additionalProperties"};
        if (IS_NAMED(member, description)) {
            if (!described)
                write_description(schema, node, &is_first);
            described = true;
        } else if (!(schema->is_form && is_bound(member)) && !(closes && IS_NAMED(member, others))) {
            write_member(schema, member, &is_first);
        }
    }
    if (!described)
        write_description(schema, node, &is_first);
    if (closes) {
        write_name(schema, WEIR_SPAN("additionalProperties"), &is_first);
        weir_buffer_append(schema->out, WEIR_SPAN("false"));
    }
    weir_buffer_append_byte(schema->out, '}');
}

enum weir_status dialect__write_form_schema(struct weir_arena *arena, struct weir_buffer *out, struct weir_span json) {
    struct weir_json_node *root;
    struct schema schema = {.out = out, .is_form = true, .has_capitals = true};
    if (weir_json_tree_read(arena, json, &root, NULL) != WEIR_OK)
        return WEIR_ENOMEM; /* it has been read before */
    write_schema(&schema, root);
    return WEIR_OK;
}

enum weir_status dialect__write_tool_schema(struct weir_arena *arena, struct weir_buffer *out,
                                            const struct weir_tool *tool) {
    struct weir_json_node *root;
    bool is_strict = weir_span_equal(tool->is_strict, WEIR_SPAN("true")); /* held to as forms are */
    struct schema schema = {.out = out, .is_form = is_strict, .has_capitals = tool->has_openapi_schema};
    if (!weir_is_said(tool->parameters)) {
        weir_buffer_append(out, WEIR_SPAN("{\"type\":\"object\",\"properties\":{}}"));
        return WEIR_OK;
    }
    if (weir_json_tree_read(arena, tool->parameters, &root, NULL) != WEIR_OK)
        return WEIR_ENOMEM;
    if (root->kind == WEIR_JSON_OBJECT && weir_json_get(root, "type") == NULL) {
        struct weir_json_node type = {.name = WEIR_SPAN("type"),
                                      .text = WEIR_SPAN("\"object\""),
                                      .kind = WEIR_JSON_STRING,
                                      .next = root->first};
        const struct weir_json_node whole = {.kind = WEIR_JSON_OBJECT, .first = &type};
        write_schema(&schema, &whole);
        return WEIR_OK;
    }
    if (!tool->has_openapi_schema && !is_strict) {
        weir_json_append_compact(out, tool->parameters);
        return WEIR_OK;
    }
    write_schema(&schema, root);
    return WEIR_OK;
}
