/* What the files of the Messages API share. */
#ifndef WEIR_DIALECT_ANTHROPIC_IMPL_H
#define WEIR_DIALECT_ANTHROPIC_IMPL_H

#include "dialect/codec_impl.h"
#include "dialect/impl.h"

/* --- bounding calls (anthropic_bounds.c): as dialect__bound_messages and dialect__bound_tools --- */

void dialect__bound_anthropic_messages(const struct weir_json_found *messages, struct weir_call *call);
void dialect__bound_anthropic_tools(const struct weir_json_found *tools, struct weir_call *call);

/* --- usage (anthropic.c) --- */

/* An exclusive count (input without what caches gave and took) as the inclusive one of struct weir_usage. False: it says nothing. */
bool dialect__read_anthropic_usage(struct weir_span object, struct weir_usage *usage);

/* --- the front (anthropic_front.c) --- */

enum weir_status dialect__anthropic_read_prompt(struct weir_exchange *exchange, const struct weir_json_node *root,
                                                struct weir_prompt *prompt, struct weir_call_problem *problem);

/* What the input of a call has to be: an object; anything else stands in one, {"input":…}. */
void dialect__write_anthropic_input(struct weir_json_writer *writer, struct weir_span arguments);

/* --- schemas (anthropic_schema.c): WEIR_ENOMEM --- */

enum weir_status dialect__write_form_schema(struct weir_arena *arena, struct weir_buffer *out, struct weir_span json);
enum weir_status dialect__write_tool_schema(struct weir_arena *arena, struct weir_buffer *out,
                                            const struct weir_tool *tool);

/* --- the back end (anthropic_back*.c) --- */

struct dialect__anthropic_writing {
    struct weir_exchange *exchange;
    const struct weir_prompt *prompt;
    struct weir_call_problem *problem;
    struct weir_json_writer *writer;
    size_t marks, first_mark; /* caching marks passed so far, and the first that is written: the vendor takes few */
    const struct weir_turn *first_turn; /* behind those that the system's text is made of */
    const struct weir_part *last_text;  /* that the model is to go on with: no spaces at its end */
};
/* Where the system's text ends, how many marks there are, and what is gone on with. */
void dialect__anthropic_begin(struct dialect__anthropic_writing *writing);
void dialect__anthropic_write_system(struct dialect__anthropic_writing *writing);
enum weir_status dialect__anthropic_write_messages(struct dialect__anthropic_writing *writing);
void dialect__anthropic_write_mark(struct dialect__anthropic_writing *writing, struct weir_span cache);
/* Calls and results of earlier turns stand in the prompt. */
bool dialect__anthropic_has_calls(const struct weir_prompt *prompt);
/* Whether tools are left out, for others were chosen. */
bool dialect__anthropic_takes_tool(const struct weir_prompt *prompt, const struct weir_tool *tool);
/* A name or an id of at most 64 letters, digits, '_' and '-': itself, or what always becomes of it. Unsaid: no memory. */
struct weir_span dialect__anthropic_name(struct weir_arena *arena, struct weir_span wire);

/* What the reader of answers has to know of what was asked (exchange->back_memory). */
struct dialect__anthropic_memory {
    const struct weir_tool *tools;
};

enum weir_status dialect__anthropic_write_prompt(struct weir_exchange *exchange, const struct weir_prompt *prompt,
                                                 struct weir_back_target *target, struct weir_buffer *out,
                                                 struct weir_call_problem *problem);
enum weir_status dialect__anthropic_write_count(struct weir_exchange *exchange, const struct weir_prompt *prompt,
                                                struct weir_back_target *target, struct weir_buffer *out,
                                                struct weir_call_problem *problem);

enum weir_status dialect__anthropic_read_reply(struct weir_exchange *exchange, const struct weir_json_node *root,
                                               struct weir_reply *reply);
bool dialect__anthropic_read_error(struct weir_arena *arena, const struct weir_json_node *root,
                                   struct weir_provider_error *error);
void *dialect__anthropic_begin_stream(struct weir_exchange *exchange);
enum weir_status dialect__anthropic_read_event(void *stream, const struct weir_sse_event *event,
                                               const struct weir_delta_sink *sink);
void dialect__anthropic_end_stream(void *stream, const struct weir_delta_sink *sink);
/* The tool that was asked for under that name; NULL: none was. */
const struct weir_tool *dialect__anthropic_find_tool(const struct weir_exchange *exchange, struct weir_span name);
enum weir_finish dialect__anthropic_finish(const struct weir_json_node *stop_reason);

/* The one text of an object {"input":"…"} whose JSON comes in pieces (wire texts). */
struct dialect__anthropic_input {
    char held[8]; /* an escape that is not whole yet */
    size_t held_length;
    unsigned quotes; /* passed: the third begins the text, the fourth ends it */
    bool escaped;    /* within the member's name */
};
/* Appends what `wire` holds of it, as a wire text. */
void dialect__anthropic_unwrap(struct dialect__anthropic_input *input, struct weir_span wire, struct weir_buffer *out);

#endif
