/* Whether a JSON value is as a JSON Schema says (a part of draft 2020-12), and where it is not.
 *
 * The schema is a document of ours, parsed once; the value is foreign. Nothing is compiled: the two are walked side by side. Of the keywords, these
 * are followed: type (one or several), enum, const, required, properties, additionalProperties, propertyNames, minProperties, maxProperties,
 * items, minItems, maxItems, uniqueItems, minimum, maximum, minLength, maxLength, pattern, format (date-time, date, uuid), anyOf, oneOf, $ref into the schema's own
 * document. Any other keyword is passed over: tools/operations refuses those in what weir itself uses.
 */
#ifndef WEIR_JSON_SCHEMA_H
#define WEIR_JSON_SCHEMA_H

#include "base/arena.h"

#include <yyjson.h>

/* What is wrong first. `member` is where: "limits.requests_per_second", "tags[2]", "" for the whole. */
struct weir_schema_problem {
    bool is_missing; /* a required member is absent */
    char member[200];
    char text[300]; /* "expected an integer >= 1, got \"x\"" */
};

/* The part of a schema's document that a reference names ("#/components/schemas/Key"); NULL: there is none. */
yyjson_val *weir_schema_find(yyjson_val *document, const char *pointer);
/* `document` is the root that references count from. WEIR_EINVAL with *problem. */
WEIR_MUST enum weir_status weir_schema_check(yyjson_val *document, yyjson_val *schema, yyjson_val *value,
                                             struct weir_schema_problem *problem);

/* Reads a JSON text from outside into `arena`: well-formed (UTF-8 and depth included), no member twice in any object, no NUL in any string. WEIR_EEXIST: a
 * member stands twice; WEIR_EINVAL, WEIR_ELIMIT: no such JSON; WEIR_ENOMEM. `problem` says where and what. */
WEIR_MUST enum weir_status weir_json_read(struct weir_arena *arena, struct weir_span text, yyjson_doc **document,
                                          struct weir_schema_problem *problem);
/* Well-formed UTF-8 without a NUL. */
bool weir_json_is_text(struct weir_span text);

/* For yyjson's own documents and texts: all of it comes from the arena, and nothing is freed by hand. */
yyjson_alc weir_json_allocator(struct weir_arena *arena);

#endif
