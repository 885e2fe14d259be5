/* The codecs of Ollama's API: for the files of this folder only. */
#ifndef WEIR_DIALECT_OLLAMA_CODEC_H
#define WEIR_DIALECT_OLLAMA_CODEC_H

#include "dialect/chat_codec.h"

/* Clients: ollama_front.c reads, ollama_front_write.c writes. Chat and generate differ in what is asked and in where the text stands. */
enum weir_status dialect__ollama_read_chat(struct weir_exchange *exchange, const struct weir_json_node *root,
                                           struct weir_prompt *prompt, struct weir_call_problem *problem);
enum weir_status dialect__ollama_read_generate(struct weir_exchange *exchange, const struct weir_json_node *root,
                                               struct weir_prompt *prompt, struct weir_call_problem *problem);
enum weir_status dialect__ollama_read_vectors_call(struct weir_exchange *exchange, const struct weir_json_node *root,
                                                   struct weir_vectors_call *call, struct weir_call_problem *problem);

/* Providers: ollama_back.c asks, ollama_back_read.c reads what they answer. */
enum weir_status dialect__ollama_write_prompt(struct weir_exchange *exchange, const struct weir_prompt *prompt,
                                              struct weir_back_target *target, struct weir_buffer *out,
                                              struct weir_call_problem *problem);
enum weir_status dialect__ollama_write_vectors_call(struct weir_exchange *exchange,
                                                    const struct weir_vectors_call *call,
                                                    struct weir_back_target *target, struct weir_buffer *out,
                                                    struct weir_call_problem *problem);

#endif
