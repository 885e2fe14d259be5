/* The codecs of chat completions: for the files of this folder only. */
#ifndef WEIR_DIALECT_CHAT_CODEC_H
#define WEIR_DIALECT_CHAT_CODEC_H

#include "dialect/codec_impl.h"

enum weir_status dialect__chat_read_prompt(struct weir_exchange *exchange, const struct weir_json_node *root,
                                           struct weir_prompt *prompt, struct weir_call_problem *problem);

/* A `stop`: a string or an array of them. */
enum weir_status dialect__read_stop(struct dialect__reading *reading, const struct weir_json_node *stop);
/* The list of functions, as ollama has it, too. */
enum weir_status dialect__read_chat_tools(struct dialect__reading *reading, const struct weir_json_node *tools);
/* "stop", "length", …; the value of finish_reason. */
const char *dialect__chat_finish_name(enum weir_finish finish);
/* {"prompt_tokens":…}; used_cu_milli below 0 is not told. */
void dialect__write_chat_usage(struct weir_json_writer *writer, const struct weir_usage *usage, bool estimated,
                               int64_t used_cu_milli);

/* --- the back end (chat_back.c, chat_back_read.c) --- */
enum weir_status dialect__chat_write_prompt(struct weir_exchange *exchange, const struct weir_prompt *prompt,
                                            struct weir_back_target *target, struct weir_buffer *out,
                                            struct weir_call_problem *problem);
enum weir_status dialect__chat_read_reply(struct weir_exchange *exchange, const struct weir_json_node *root,
                                          struct weir_reply *reply);
void *dialect__chat_begin_stream(struct weir_exchange *exchange);
enum weir_status dialect__chat_read_event(void *stream, const struct weir_sse_event *event,
                                          const struct weir_delta_sink *sink);
void dialect__chat_end_stream(void *stream, const struct weir_delta_sink *sink);
/* {"error":{"message":…,"type":…,"code":…}}, as both OpenAI dialects have it. */
bool dialect__openai_read_error(struct weir_arena *arena, const struct weir_json_node *root,
                                struct weir_provider_error *error);

#endif
