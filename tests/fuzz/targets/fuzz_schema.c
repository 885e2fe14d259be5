/* links: json base */
/* A JSON text from outside against a schema that has every keyword. Whatever comes, the check ends, and what it finds has a place and words.
 *
 * A first byte of 's' makes the rest a schema instead, which is held against a fixed value: schemas are ours, but a walk that trusts them blindly
 * would hide mistakes in them.
 */
#include "base/limits.h"
#include "json/schema.h"

#include <stdlib.h>

static const char schema_text[] =
    "{\"components\":{\"schemas\":{\"Node\":{\"type\":\"object\",\"properties\":{\"next\":{\"$ref\":\"#/components/schemas/Node\"},"
    "\"value\":{\"type\":[\"integer\",\"null\"],\"minimum\":-5,\"maximum\":9}},\"additionalProperties\":false}}},"
    "\"type\":\"object\",\"required\":[\"id\"],\"minProperties\":1,\"maxProperties\":9,\"propertyNames\":{\"maxLength\":12},"
    "\"properties\":{\"id\":{\"type\":\"string\",\"pattern\":\"^[a-z][a-z0-9-]{0,15}$\",\"minLength\":1,\"maxLength\":16},"
    "\"at\":{\"type\":\"string\",\"format\":\"date-time\"},\"day\":{\"type\":\"string\",\"format\":\"date\"},\"uuid\":{\"type\":"
    "\"string\",\"format\":\"uuid\"},\"list\":{\"type\":\"array\",\"minItems\":1,\"maxItems\":8,\"uniqueItems\":true,\"items\":{"
    "\"anyOf\":[{\"type\":\"number\"},{\"$ref\":\"#/components/schemas/Node\"}]}},\"one\":{\"oneOf\":[{\"const\":1},{\"enum\":[1,"
    "\"two\",{\"three\":[3]}]}]},\"node\":{\"$ref\":\"#/components/schemas/Node\"}},\"additionalProperties\":{\"type\":\"boolean\"}}";
static const char value_text[] = "{\"a\":[1,2.5,\"x\",null,true,{\"b\":\"2026-11-21T00:00:00Z\"}],\"c\":-3,\"d\":{}}";

static void check(struct weir_arena *arena, struct weir_span schema, struct weir_span value) {
    struct weir_schema_problem problem;
    yyjson_doc *rules = NULL, *read = NULL;
    if (weir_json_read(arena, schema, &rules, &problem) != WEIR_OK ||
        weir_json_read(arena, value, &read, &problem) != WEIR_OK) {
        if (problem.text[0] == '\0' && weir_arena_used_bytes(arena) < WEIR_MIB)
            abort();
        return;
    }
    yyjson_val *root = yyjson_doc_get_root(rules);
    if (weir_schema_check(root, root, yyjson_doc_get_root(read), &problem) != WEIR_OK && problem.text[0] == '\0')
        abort();
    if (!weir_json_is_text(weir_span_of_string(problem.text)) && schema.at == schema_text)
        abort();
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size) {
    struct weir_arena *arena = weir_arena_new(0, 16 * WEIR_MIB);
    struct weir_span input = weir_span_of((const char *)data, size);
    if (arena == NULL || size > 4096) {
        weir_arena_free(&arena);
        return 0;
    }
    if (size > 0 && data[0] == 's')
        check(arena, weir_span_from(input, 1), weir_span_of_string(value_text));
    else
        check(arena, weir_span_of_string(schema_text), input);
    weir_arena_free(&arena);
    return 0;
}
