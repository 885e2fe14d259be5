/* How a wire format speaks: pure functions between bytes and what the gateway must know of them.
 *
 * Where both sides speak the same dialect a body goes through as it is, save the edits on one list: the model's name, the stream
 * options that metering needs, and usedCUMilli on the way back. A dialect is one const struct in <name>.c and a row in
 * dialects.def; its functions have no clock, no I/O and no credentials.
 */
#ifndef WEIR_DIALECT_DIALECT_H
#define WEIR_DIALECT_DIALECT_H

#include "base/arena.h"
#include "base/reasons.h"
#include "base/usage.h"
#include "http/sse.h"
#include "json/scan.h"
#include "json/splice.h"

/* Why a body cannot be taken, for the client. `field` is "" where no single one is to blame; `text` says what was expected. */
struct weir_call_problem {
    enum weir_reason reason;
    const char *field;
    char text[200];
};

/* What a request asks for, as far as the gateway acts on it. Spans point into the body or the arena. */
struct weir_call {
    struct weir_span body;
    struct weir_span model; /* decoded */
    bool stream;
    bool wants_usage;          /* the client asked for usage in the stream */
    int64_t max_output_tokens; /* per choice; 0: not said */
    int64_t choices;           /* n, at least 1 */
    struct weir_json_found model_member, stream_member, options_member, include_usage_member;
};

/* What an answer says. */
struct weir_answer {
    bool is_object; /* a JSON object: it can be edited */
    bool has_usage; /* tokens are the provider's own */
    struct weir_usage usage;
    struct weir_span id; /* the provider's id, without quotes; empty without */
    struct weir_json_found usage_member;
    size_t root_end; /* offset of the closing brace */
    bool root_is_empty;
    int64_t content_bytes; /* of all choices' contents, for estimates */
};

enum weir_event_kind {
    WEIR_EVENT_OTHER,   /* forwarded as it is */
    WEIR_EVENT_CONTENT, /* carries a part of the answer */
    WEIR_EVENT_FINISH,  /* says that a choice is finished */
    WEIR_EVENT_USAGE,   /* usage alone, without choices */
    WEIR_EVENT_ERROR,   /* the provider tells of a failure */
    WEIR_EVENT_DONE     /* the terminal event */
};

struct weir_event {
    enum weir_event_kind kind;
    struct weir_answer answer; /* usage and places, relative to the data */
    bool usage_is_null;
    bool has_text; /* it carries a piece of the answer: content, reasoning, a refusal, arguments of a call */
};

/* An error as a client is told: the words come from the reasons table. */
struct weir_error_answer {
    enum weir_reason reason;
    struct weir_span brand_upper; /* "WEIR" */
    struct weir_span request_id;
    struct weir_span detail; /* what exactly, empty without */
    const char *field;       /* NULL or "" without */
};

struct weir_dialect {
    const char *name;
    const char *chat_path; /* below the provider's base URL */
    /* Reads a request's body. WEIR_EINVAL with *problem. */
    enum weir_status (*read_call)(struct weir_arena *arena, struct weir_span body, struct weir_call *call,
                                  struct weir_call_problem *problem);
    /* The edits to send `call` to a target. */
    enum weir_status (*edit_call)(struct weir_arena *arena, const struct weir_call *call,
                                  struct weir_span upstream_model, struct weir_json_splice *splice);
    /* Reads a whole JSON answer. WEIR_EINVAL: it is not JSON. */
    enum weir_status (*read_answer)(struct weir_span body, struct weir_answer *answer);
    /* Looks for the usage in a piece of an answer that is too large to be held whole (its beginning, or its end). Fills tokens and has_usage of
     * *answer; false: it is not there. */
    bool (*find_usage)(struct weir_span piece, struct weir_answer *answer);
    /* Puts what was used into a whole answer. `estimated` tokens are written where it has no usage. */
    enum weir_status (*edit_answer)(struct weir_arena *arena, struct weir_span body, const struct weir_answer *answer,
                                    const struct weir_usage *estimated, int64_t used_cu_milli,
                                    struct weir_json_splice *splice);
    /* Reads one event of a stream. Never fails: what cannot be read is OTHER. */
    void (*read_event)(const struct weir_sse_event *sse, struct weir_event *event);
    /* Takes out what metering asked for and the client did not. */
    enum weir_status (*hide_usage)(struct weir_span data, const struct weir_event *event,
                                   struct weir_json_splice *splice);
    /* Puts usedCUMilli at the top level of the last data event. */
    enum weir_status (*mark_event)(struct weir_arena *arena, const struct weir_event *event, int64_t used_cu_milli,
                                   struct weir_json_splice *splice);
    struct weir_span done; /* the terminal event's bytes, empty where the dialect has none */
    /* Writes an error body, and an error event that ends a stream. */
    void (*write_error)(struct weir_buffer *out, const struct weir_error_answer *error);
    void (*write_error_event)(struct weir_buffer *out, const struct weir_error_answer *error);
    /* Adds error_code and request_id to a provider's own error body, the rest untouched. WEIR_EINVAL where it is no error of this
     * dialect. *message is the provider's text, still encoded, for the record. */
    enum weir_status (*edit_error)(struct weir_arena *arena, struct weir_span body,
                                   const struct weir_error_answer *error, struct weir_json_splice *splice);
};

/* The dialects of dialects.def, in its order (which is that of the provider option's choices). */
const struct weir_dialect *weir_dialect_at(int index);

/* A rough count for when a provider gives none: four bytes a token, rounded up. */
int64_t weir_dialect_estimate_tokens(size_t bytes);

/* The flat error body of paths that belong to no dialect: error, error_code, details, request_id, detail. */
void weir_dialect_write_flat_error(struct weir_buffer *out, const struct weir_error_answer *error);

#endif
