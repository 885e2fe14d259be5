/* A small JSON value that fits a JSON Schema: what structured outputs and tool arguments are made of.
 *
 * It covers what clients send: object, array, string (with the common formats and a minimum length), number, integer
 * (bounds), boolean, null, const, enum, anyOf/oneOf/allOf (the first that ends), $ref to definitions of the same
 * document. It does not validate, and a schema that nothing fits gets some value all the same.
 */
#ifndef WEIR_SIM_SCHEMA_H
#define WEIR_SIM_SCHEMA_H

#include "sim/text.h"

struct yyjson_val;

/* Appends the instance. `schema` may be NULL (anything: {}). The same schema and seed give the same bytes. */
void sim__schema_write(struct yyjson_val *schema, uint64_t seed, struct weir_buffer *out);

/* The same as the text of an answer; `schema` may be NULL. WEIR_ENOMEM. */
WEIR_MUST enum weir_status sim__schema_text(struct weir_arena *arena, struct yyjson_val *schema, uint64_t seed,
                                            struct sim_text *text);
/* A small object, where JSON is asked for without a schema. WEIR_ENOMEM. */
WEIR_MUST enum weir_status sim__schema_free_text(struct weir_arena *arena, uint64_t seed, struct sim_text *text);

#endif
