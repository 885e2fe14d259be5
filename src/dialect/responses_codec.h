/* The codecs of the Responses API: for the files of this folder only. */
#ifndef WEIR_DIALECT_RESPONSES_CODEC_H
#define WEIR_DIALECT_RESPONSES_CODEC_H

#include "dialect/codec_impl.h"

/* A tool as providers know it, and as the client does: members of a namespace have its name before theirs, tools that take free text are functions of one text. */
struct dialect__responses_tool {
    struct dialect__responses_tool *next;
    struct weir_span sent; /* its name, sent to providers */
    struct weir_span name, space;
    bool is_custom;
};
struct dialect__responses_memory {
    const struct weir_prompt *prompt;
    struct dialect__responses_tool *tools;
};

enum weir_status dialect__responses_read_prompt(struct weir_exchange *exchange, const struct weir_json_node *root,
                                                struct weir_prompt *prompt, struct weir_call_problem *problem);
/* NULL: the client has not named it. */
const struct dialect__responses_tool *dialect__responses_tool(const struct weir_exchange *exchange,
                                                              struct weir_span sent);
/* The free text that the arguments of such a tool hold, as a wire text. */
struct weir_span dialect__responses_free_text(struct weir_exchange *exchange, struct weir_span arguments);

/* --- what clients get (responses_front_write.c, responses_front_stream.c) --- */

void dialect__responses_write_usage(struct weir_json_writer *writer, const struct weir_usage *usage, bool estimated,
                                    int64_t used_cu_milli);
/* {"id":…,"object":"response",…,"output":[ : what is behind it is dialect__responses_end's. */
void dialect__responses_begin(struct weir_json_writer *writer, const struct weir_exchange *exchange,
                              enum weir_finish finish, bool is_over);
/* Behind the output. usage NULL: not yet known. The object stays open. */
void dialect__responses_end(struct weir_json_writer *writer, const struct weir_exchange *exchange,
                            const struct weir_usage *usage, bool estimated, int64_t used_cu_milli);
bool dialect__responses_is_incomplete(enum weir_finish finish);
/* Items of the output. `index` makes their ids. */
void dialect__responses_write_thinking(struct weir_json_writer *writer, struct weir_exchange *exchange, size_t index,
                                       struct weir_span text, const struct weir_signature *signature);
void dialect__responses_write_call(struct weir_json_writer *writer, struct weir_exchange *exchange, size_t index,
                                   struct weir_span id, struct weir_span name, struct weir_span arguments,
                                   const struct weir_signature *signature, bool is_over);
void dialect__responses_begin_message(struct weir_json_writer *writer, const struct weir_exchange *exchange,
                                      size_t index, bool is_over); /* leaves its content open */
void dialect__responses_write_words(struct weir_json_writer *writer, bool is_refusal, struct weir_span text,
                                    struct weir_span logprobs);
void dialect__responses_member_item_id(struct weir_json_writer *writer, const char *name, const char *prefix,
                                       const struct weir_exchange *exchange, size_t index);

void *dialect__responses_begin_front_stream(struct weir_exchange *exchange);
void dialect__responses_write_delta(void *stream, const struct weir_delta *delta, struct weir_buffer *out);
void dialect__responses_end_front_stream(void *stream, const struct weir_usage *usage, bool estimated,
                                         int64_t used_cu_milli, struct weir_buffer *out);

/* --- the back end --- */

enum weir_status dialect__responses_write_prompt(struct weir_exchange *exchange, const struct weir_prompt *prompt,
                                                 struct weir_back_target *target, struct weir_buffer *out,
                                                 struct weir_call_problem *problem);
/* What generation and counting have in common: everything but the path and what makes the answer. */
enum weir_status dialect__responses_write_body(struct weir_exchange *exchange, const struct weir_prompt *prompt,
                                               bool is_count, struct weir_buffer *out,
                                               struct weir_call_problem *problem);
enum weir_status dialect__responses_read_reply(struct weir_exchange *exchange, const struct weir_json_node *root,
                                               struct weir_reply *reply);
void *dialect__responses_begin_back_stream(struct weir_exchange *exchange);
enum weir_status dialect__responses_read_event(void *stream, const struct weir_sse_event *event,
                                               const struct weir_delta_sink *sink);
void dialect__responses_end_back_stream(void *stream, const struct weir_delta_sink *sink);

#endif
