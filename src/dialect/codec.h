/* Codecs: between a format's bytes and the common form (common.h). A front codec reads what clients ask and writes what they get; a back codec writes what a
 * provider is asked and reads what it answers.
 *
 * Pure functions: time, ids and models are handed in with the exchange. What is written depends on what was read alone, members always in the same order.
 */
#ifndef WEIR_DIALECT_CODEC_H
#define WEIR_DIALECT_CODEC_H

#include "dialect/common.h"
#include "dialect/dialect.h"
#include "http/framing.h"

/* One request's way through two formats. */
struct weir_exchange {
    struct weir_arena *arena;   /* the request's: prompts, replies, and what streams keep */
    struct weir_arena *scratch; /* reset before each event: its tree, and what deltas point to */
    struct weir_span
        seed; /* plain, hexadecimal; one a request: ids that a format needs and the other side has not are made of it */
    int64_t created_utc_us;
    struct weir_span front_model; /* plain: as the client called it, and as answers do */
    struct weir_span back_model;  /* plain */
    /* of the client's request */
    struct weir_span front_version; /* anthropic-version, or unsaid */
    bool wants_usage;               /* a stream's usage was asked for, where it has to be */
    bool wants_base64;
    enum weir_framing front_framing; /* of the stream that it gets: the front's, or ARRAY where it can be both */
    /* of the provider */
    int64_t
        output_limit; /* tokens a choice: what is reserved, where the request says nothing, or is clamped to; 0: not known */
    bool is_clamped;                 /* output_limit goes before what the prompt says */
    const char *output_limit_member; /* of chat completions: "max_tokens", "max_completion_tokens" */
    bool takes_stream_options;
    void *front_memory; /* what the front's reader leaves for its own writers; in the arena */
    void *back_memory;  /* what the back's writer leaves for its own readers; in the arena */
    /* what came of it */
    enum weir_dialect_kind front;             /* by weir_check_parameters */
    struct weir_name *ignored, *last_ignored; /* parameters, as the front calls them */
    /* what the front's stream has told, for an error event behind it; where its events have such things */
    struct weir_span front_answer_id;
    int64_t front_sequence; /* of the next event */
};

/* Where a provider is asked, behind its base URL. */
struct weir_back_target {
    struct weir_span path;  /* "/messages", "/models/m:generateContent"; percent-encoded where it must be */
    struct weir_span query; /* without '?'; empty: none */
    struct weir_span version_name, version_value; /* a header field; empty: none */
};

/* Takes a delta; its spans live until the event has been read. */
struct weir_delta_sink {
    void (*take)(void *context, const struct weir_delta *delta);
    void *context;
};

/* A whole answer as the deltas of a stream, from BEGIN to the last FINISH; usage and the end are the caller's. WEIR_ENOMEM. */
WEIR_MUST enum weir_status weir_reply_tell(struct weir_exchange *exchange, const struct weir_reply *reply,
                                           const struct weir_delta_sink *sink);

struct weir_front {
    /* WEIR_EINVAL with *problem (its field is the front's own path: "messages[2].content[0].type"); WEIR_ENOMEM. `prompt` comes zeroed but for spans unsaid. */
    enum weir_status (*read_prompt)(struct weir_exchange *exchange, const struct weir_json_node *root,
                                    struct weir_prompt *prompt, struct weir_call_problem *problem);
    /* A whole answer, usedCUMilli within its usage. `estimated`: the figures are ours; it says so as the format's own estimates do. */
    void (*write_reply)(struct weir_exchange *exchange, const struct weir_reply *reply, bool estimated,
                        int64_t used_cu_milli, struct weir_buffer *out);
    /* A stream: the state (NULL: no memory), its pieces, and its end. FINISH and USAGE are kept until the end, for usedCUMilli stands in the last event that has
     * data; END is told by end_stream. An error event is written by the format's write_error_event. */
    void *(*begin_stream)(struct weir_exchange *exchange);
    void (*write_delta)(void *stream, const struct weir_delta *delta, struct weir_buffer *out);
    void (*end_stream)(void *stream, const struct weir_usage *usage, bool estimated, int64_t used_cu_milli,
                       struct weir_buffer *out);
    enum weir_framing framing;
    /* Vectors and counts; NULL where the format has none. */
    enum weir_status (*read_vectors_call)(struct weir_exchange *exchange, const struct weir_json_node *root,
                                          struct weir_vectors_call *call, struct weir_call_problem *problem);
    void (*write_vectors)(struct weir_exchange *exchange, const struct weir_vectors_call *call,
                          const struct weir_vectors_reply *reply, int64_t used_cu_milli, struct weir_buffer *out);
    void (*write_count)(struct weir_exchange *exchange, int64_t tokens, int64_t used_cu_milli, struct weir_buffer *out);
};

struct weir_back {
    enum weir_dialect_kind dialect;
    enum weir_framing framing;
    /* WEIR_EINVAL with *problem: this provider cannot be asked that, for a reason that no row of parameters.def tells (an image by URL, a hosted tool). */
    enum weir_status (*write_prompt)(struct weir_exchange *exchange, const struct weir_prompt *prompt,
                                     struct weir_back_target *target, struct weir_buffer *out,
                                     struct weir_call_problem *problem);
    /* WEIR_EPROTO: it is no such answer. */
    enum weir_status (*read_reply)(struct weir_exchange *exchange, const struct weir_json_node *root,
                                   struct weir_reply *reply);
    /* A stream: the state (NULL: no memory) and its events, unknown ones passed over. WEIR_EPROTO: damaged. */
    void *(*begin_stream)(struct weir_exchange *exchange);
    enum weir_status (*read_event)(void *stream, const struct weir_sse_event *event,
                                   const struct weir_delta_sink *sink);
    /* The body has ended. Tells END where it was whole by what it said and none has been told (gemini has no terminal event). */
    void (*end_stream)(void *stream, const struct weir_delta_sink *sink);
    /* False: the body is no error of this dialect. */
    bool (*read_error)(struct weir_arena *arena, const struct weir_json_node *root, struct weir_provider_error *error);
    enum weir_status (*write_vectors_call)(struct weir_exchange *exchange, const struct weir_vectors_call *call,
                                           struct weir_back_target *target, struct weir_buffer *out,
                                           struct weir_call_problem *problem);
    enum weir_status (*read_vectors)(struct weir_exchange *exchange, const struct weir_json_node *root,
                                     struct weir_vectors_reply *reply);
    enum weir_status (*write_count_call)(struct weir_exchange *exchange, const struct weir_prompt *prompt,
                                         struct weir_back_target *target, struct weir_buffer *out,
                                         struct weir_call_problem *problem);
    enum weir_status (*read_count)(struct weir_exchange *exchange, const struct weir_json_node *root, int64_t *tokens);
};

/* NULL: not there. The rows: fronts.def, X(name) for weir_front_<name>; backs by dialect. */
#define X(name) extern const struct weir_front weir_front_##name;
#include "dialect/fronts.def"
#undef X
const struct weir_back *weir_back_of(enum weir_dialect_kind dialect);
/* Whether providers of this dialect can do the task at all. */
bool weir_back_can(const struct weir_back *back, enum weir_task task);

/* Before write_prompt: holds what was said against parameters.def. Ignored ones are noted in the exchange, unknown members too. WEIR_EINVAL with *problem: one is
 * refused, or ignored while `strict`. `values` and `unknown` are those of the prompt or the call. */
WEIR_MUST enum weir_status weir_check_parameters(struct weir_exchange *exchange, enum weir_dialect_kind front,
                                                 enum weir_dialect_kind back, const struct weir_span *values,
                                                 const struct weir_name *unknown, bool strict,
                                                 struct weir_call_problem *problem);

enum weir_treatment { WEIR_HONOURED, WEIR_MAPPED, WEIR_IGNORED, WEIR_REFUSED };
struct weir_parameter_row {
    const char *name;                       /* "temperature" */
    const char *called[WEIR_DIALECT_COUNT]; /* NULL: clients of that dialect cannot say it */
    enum weir_treatment treatment[WEIR_DIALECT_COUNT];
};
const struct weir_parameter_row *weir_parameter_row(enum weir_parameter parameter);
const char *weir_treatment_name(enum weir_treatment treatment);

#endif
