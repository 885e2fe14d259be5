/* Embeddings of the OpenAI family: for the files of this folder only. */
#ifndef WEIR_DIALECT_OPENAI_VECTORS_H
#define WEIR_DIALECT_OPENAI_VECTORS_H

#include "dialect/codec_impl.h"

/* An array of numbers as the base64 of its floats (little-endian, 32 bits), in quotes. `floats` is room for them. False: it holds something else. */
bool dialect__write_base64_vector(struct weir_span array, struct weir_buffer *floats, struct weir_buffer *out);

enum weir_status dialect__openai_write_vectors_call(struct weir_exchange *exchange,
                                                    const struct weir_vectors_call *call,
                                                    struct weir_back_target *target, struct weir_buffer *out,
                                                    struct weir_call_problem *problem);
enum weir_status dialect__openai_read_vectors(struct weir_exchange *exchange, const struct weir_json_node *root,
                                              struct weir_vectors_reply *reply);

#endif
