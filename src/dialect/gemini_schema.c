/* The vendor's subset of OpenAPI as JSON Schema, which all others take: types in small letters, "nullable" as a type besides, members in camelCase, counts that
 * come as strings as numbers. What JSON Schema has no word for stays as it is, under its own name: validators pass over names that they do not know.
 */
#include "base/limits.h"
#include "dialect/gemini_codec.h"

enum { DEPTH = 64 };

static bool is_one_of(struct weir_span name, const char *const *names, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (weir_span_equal(name, weir_span_of_string(names[i])))
            return true;
    return false;
}
#define IS_ONE_OF(name, names) is_one_of(name, names, sizeof(names) / sizeof *(names))

static void write_schema(struct weir_buffer *out, const struct weir_json_node *schema, unsigned depth);

/* "any_of" as "anyOf" */
static struct weir_span camel(struct weir_span name, char *text, size_t size) {
    size_t length = 0;
    if (name.length >= size || memchr(name.at, '_', name.length) == NULL)
        return name;
    for (size_t i = 0; i < name.length; i++) {
        bool joins = name.at[i] == '_' && i > 0 && i + 1 < name.length && name.at[i + 1] >= 'a' &&
                     name.at[i + 1] <= 'z';
        if (joins)
            i++;
        text[length++] = joins ? (char)(name.at[i] - 'a' + 'A') : name.at[i];
    }
    return weir_span_of(text, length);
}

static void write_list(struct weir_buffer *out, const struct weir_json_node *list, bool with_null, unsigned depth) {
    weir_buffer_append_byte(out, '[');
    for (const struct weir_json_node *item = weir_json_first(list); item != NULL; item = item->next) {
        write_schema(out, item, depth + 1);
        if (item->next != NULL)
            weir_buffer_append_byte(out, ',');
    }
    if (with_null)
        weir_buffer_append(out, list->count > 0 ? WEIR_SPAN(",{\"type\":\"null\"}") : WEIR_SPAN("{\"type\":\"null\"}"));
    weir_buffer_append_byte(out, ']');
}

static void write_map(struct weir_buffer *out, const struct weir_json_node *map, unsigned depth) {
    weir_buffer_append_byte(out, '{');
    for (const struct weir_json_node *member = weir_json_first(map); member != NULL; member = member->next) {
        weir_json_append_string(out, member->name);
        weir_buffer_append_byte(out, ':');
        write_schema(out, member, depth + 1);
        if (member->next != NULL)
            weir_buffer_append_byte(out, ',');
    }
    weir_buffer_append_byte(out, '}');
}

static void write_lower(struct weir_buffer *out, struct weir_span token) {
    for (size_t i = 0; i < token.length; i++)
        weir_buffer_append_byte(out, token.at[i] >= 'A' && token.at[i] <= 'Z' ? (char)(token.at[i] - 'A' + 'a')
                                                                              : token.at[i]);
}

static void write_type(struct weir_buffer *out, const struct weir_json_node *type, bool nullable) {
    if (nullable)
        weir_buffer_append_byte(out, '[');
    write_lower(out, type->text);
    if (nullable)
        weir_buffer_append(out, WEIR_SPAN(",\"null\"]"));
}

static void write_enum(struct weir_buffer *out, const struct weir_json_node *values, bool nullable) {
    if (!nullable || values->count == 0) {
        weir_json_append_compact(out, values->text);
        return;
    }
    weir_buffer_append_byte(out, '[');
    for (const struct weir_json_node *value = values->first; value != NULL; value = value->next) {
        weir_json_append_compact(out, value->text);
        weir_buffer_append_byte(out, ',');
    }
    weir_buffer_append(out, WEIR_SPAN("null]"));
}

static bool is_digits(struct weir_span text) {
    for (size_t i = 0; i < text.length; i++)
        if (text.at[i] < '0' || text.at[i] > '9')
            return false;
    return text.length > 0 && text.length < 19 && (text.length == 1 || text.at[0] != '0');
}

static void write_value(struct weir_buffer *out, struct weir_span name, const struct weir_json_node *value,
                        bool nullable, unsigned depth) {
    static const char *const lists[] = {"anyOf", "oneOf", "allOf", "prefixItems"};
    static const char *const maps[] = {"properties", "$defs", "defs", "patternProperties"};
    static const char *const schemas[] = {"items", "additionalProperties"};
    static const char *const counts[] = {"minItems",  "maxItems",      "minLength",
                                         "maxLength", "minProperties", "maxProperties"};
    bool is_type = weir_span_equal(name, WEIR_SPAN("type"));
    if (is_type && value->kind == WEIR_JSON_STRING)
        write_type(out, value, nullable);
    else if (weir_span_equal(name, WEIR_SPAN("enum")) && value->kind == WEIR_JSON_ARRAY)
        write_enum(out, value, nullable);
    else if (value->kind == WEIR_JSON_ARRAY && IS_ONE_OF(name, lists))
        write_list(out, value, nullable && weir_span_equal(name, WEIR_SPAN("anyOf")), depth);
    else if (value->kind == WEIR_JSON_OBJECT && IS_ONE_OF(name, maps))
        write_map(out, value, depth);
    else if (value->kind == WEIR_JSON_OBJECT && IS_ONE_OF(name, schemas))
        write_schema(out, value, depth + 1);
    else if (value->kind == WEIR_JSON_STRING && IS_ONE_OF(name, counts) && is_digits(weir_json_inside(value)))
        weir_buffer_append(out, weir_json_inside(value));
    else
        weir_json_append_compact(out, value->text);
}

static void write_schema(struct weir_buffer *out, const struct weir_json_node *schema, unsigned depth) {
    const struct weir_json_node *nullable = weir_json_get(schema, "nullable");
    char text[32];
    bool first = true;
    if (schema->kind != WEIR_JSON_OBJECT || depth > DEPTH) {
        weir_json_append_compact(out, schema->text);
        return;
    }
    weir_buffer_append_byte(out, '{');
    for (const struct weir_json_node *member = schema->first; member != NULL; member = member->next) {
        struct weir_span name = camel(member->name, text, sizeof text);
        bool says_nothing = weir_json_says(member, "TYPE_UNSPECIFIED") && weir_span_equal(name, WEIR_SPAN("type"));
        if (member == nullable || says_nothing || member->kind == WEIR_JSON_NULL)
            continue;
        if (!first)
            weir_buffer_append_byte(out, ',');
        first = false;
        weir_json_append_string(out, name);
        weir_buffer_append_byte(out, ':');
        write_value(out, name, member, weir_json_is(nullable, WEIR_JSON_TRUE), depth);
    }
    weir_buffer_append_byte(out, '}');
}

enum weir_status dialect__gemini_schema(struct weir_exchange *exchange, const struct weir_json_node *schema,
                                        struct weir_span *json) {
    struct weir_buffer out;
    weir_buffer_init(&out, 4 * schema->text.length + 64);
    write_schema(&out, schema, 0);
    enum weir_status status = weir_buffer_status(&out) == WEIR_OK
                                  ? weir_arena_dup(exchange->arena, weir_buffer_span(&out), json)
                                  : WEIR_ENOMEM;
    weir_buffer_release(&out);
    return status;
}
