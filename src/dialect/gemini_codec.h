/* What the codecs of the Gemini API share. */
#ifndef WEIR_DIALECT_GEMINI_CODEC_H
#define WEIR_DIALECT_GEMINI_CODEC_H

#include "dialect/gemini_impl.h"

/* --- the front (gemini_front.c, gemini_schema.c) --- */

enum weir_status dialect__gemini_read_prompt(struct weir_exchange *exchange, const struct weir_json_node *root,
                                             struct weir_prompt *prompt, struct weir_call_problem *problem);
enum weir_status dialect__gemini_read_vectors_call(struct weir_exchange *exchange, const struct weir_json_node *root,
                                                   struct weir_vectors_call *call, struct weir_call_problem *problem);
/* A member by either of its spellings; NULL also where it is null. */
const struct weir_json_node *dialect__gemini_get(const struct weir_json_node *object, const char *camel);
/* Writes the vendor's subset of OpenAPI as JSON Schema: types in small letters, "nullable" as a type besides. WEIR_ENOMEM. */
enum weir_status dialect__gemini_schema(struct weir_exchange *exchange, const struct weir_json_node *schema,
                                        struct weir_span *json);

/* --- the back (gemini_back.c, gemini_back_read.c) --- */

enum weir_status dialect__gemini_write_prompt(struct weir_exchange *exchange, const struct weir_prompt *prompt,
                                              struct weir_back_target *target, struct weir_buffer *out,
                                              struct weir_call_problem *problem);
enum weir_status dialect__gemini_write_count_call(struct weir_exchange *exchange, const struct weir_prompt *prompt,
                                                  struct weir_back_target *target, struct weir_buffer *out,
                                                  struct weir_call_problem *problem);
/* Whether a call is of a tool that takes free text: what the writer has left in the exchange. */
bool dialect__gemini_is_custom(const struct weir_exchange *exchange, struct weir_span name);
/* "/models/NAME:verb", and "models/NAME" as bodies have it. Past the arena's cap: empty. */
struct weir_span dialect__gemini_path(struct weir_exchange *exchange, const char *verb);
struct weir_span dialect__gemini_model_name(struct weir_exchange *exchange);
/* The one member of the object that a custom tool's text travels in. */
#define DIALECT__GEMINI_CUSTOM_MEMBER "input"

#endif
