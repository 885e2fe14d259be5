/* How a wire format speaks: pure functions between bytes and what the gateway must know of them.
 *
 * Where both sides speak the same dialect a body goes through as it is, save the edits on one list: the model's name, the stream
 * options that metering needs, and usedCUMilli on the way back. A dialect is one const struct in <name>.c and a row in
 * dialects.def; its endpoints' bodies are formats (formats.def), each a const struct too. Their functions have no clock, no I/O and no credentials.
 */
#ifndef WEIR_DIALECT_DIALECT_H
#define WEIR_DIALECT_DIALECT_H

#include "base/arena.h"
#include "base/limits.h"
#include "base/reasons.h"
#include "base/usage.h"
#include "dialect/common.h"
#include "http/sse.h"
#include "json/scan.h"
#include "json/splice.h"

/* Why a body cannot be taken, for the client. `field` is "" where no single one is to blame; `text` says what was expected. */
struct weir_call_problem {
    enum weir_reason reason;
    const char *field;
    char text[200];
};

/* What a request asks for, as far as the gateway acts on it. Spans point into the body, the form's fields or the arena. */
struct weir_call {
    struct weir_span body;  /* JSON; empty for forms */
    struct weir_span model; /* decoded */
    bool names_model;       /* false: `model` is the format's default */
    bool stream;
    bool wants_usage; /* the client asked for usage in the stream */
    struct weir_json_found model_member, stream_member, options_member, include_usage_member;
    size_t root_at; /* offset of the opening brace */
    bool root_is_empty;

    /* how much it may use */
    bool makes_tokens;                   /* its answer is tokens, as many as max_output_tokens says */
    int64_t max_output_tokens;           /* per choice; 0: not said */
    int64_t choices;                     /* n, at least 1 */
    int64_t more_input_tokens;           /* the most that its input may count beyond a token a byte: pictures */
    bool may_take_audio, may_make_audio; /* some of its input, or output, may be sound */
    const char
        *output_limit_name; /* the member that bounds the output, where it has none; NULL: it cannot be bounded */
    struct weir_json_found output_limits[2]; /* the members that bound it */
    int64_t clamped_output_tokens;           /* what edit_call makes of that bound, lower than it was; 0: it stays */
    bool input_is_elsewhere; /* part of its input is at the provider: it may be as long as the model takes */
    struct weir_usage guess; /* what it is taken to use where nobody says; zeros: to be told from the bytes */
    enum weir_unit unit;     /* what else it is billed by */
    int64_t units;           /* the most of them; what is made, where `units_are_exact` */
    bool units_are_exact;
    struct weir_span variant; /* the kind of call that prices know ("hd/1024x1792"); empty without */

    /* what else matters on its way */
    bool is_kept;               /* the provider keeps the answer under its id */
    bool background;            /* the answer is made later, unseen by us */
    bool wants_base64;          /* embeddings as base64 */
    struct weir_span issued_id; /* of a provider's object that it builds on: goes to who issued it; empty without */
    const char *issued_field;   /* the member that names it */
};

/* A form's fields, its files aside: in the order of the form. */
struct weir_form_field {
    struct weir_span name, value;
};
struct weir_form {
    const struct weir_form_field *fields;
    size_t field_count, file_count;
    uint64_t file_bytes;
    struct weir_span file_head; /* the first bytes of the first file, WEIR_FORM_FILE_HEAD at most */
};
enum { WEIR_FORM_FILE_HEAD = 64 };

/* What an answer says. */
struct weir_answer {
    bool is_object; /* a JSON object: it can be edited */
    bool has_usage; /* the figures are the provider's own */
    struct weir_usage usage;
    struct weir_span id; /* the provider's id, without quotes; empty without */
    struct weir_json_found usage_member;
    size_t root_end; /* offset of the closing brace */
    bool root_is_empty;
    int64_t content_bytes; /* of all choices' contents, for estimates */
};

enum weir_event_kind {
    WEIR_EVENT_OTHER,   /* forwarded as it is */
    WEIR_EVENT_DAMAGED, /* its data is not what this format's data is */
    WEIR_EVENT_CONTENT, /* carries a part of the answer */
    WEIR_EVENT_FINISH,  /* says that a choice is finished */
    WEIR_EVENT_USAGE,   /* usage alone, without choices */
    WEIR_EVENT_ERROR,   /* the provider tells of a failure */
    WEIR_EVENT_LAST,    /* the terminal event, which carries data */
    WEIR_EVENT_DONE     /* the terminal event, which carries none */
};

struct weir_event {
    enum weir_event_kind kind;
    struct weir_answer answer; /* usage and places, relative to the data */
    bool usage_is_null;
    /* It is what there was at the beginning: the input, of the output hardly any. A later one may leave out what this one said. */
    bool usage_is_begun;
    bool repeats;     /* what it carries has come in pieces before, where any have come */
    bool failed;      /* WEIR_EVENT_LAST: it tells of a failure */
    bool has_text;    /* it carries a piece of the answer: content, reasoning, a refusal, arguments of a call */
    int64_t sequence; /* its number in the stream; 0 where events have none */
};

/* The last event of a stream that was read, as a pattern: most events differ from the one before in a text or a number alone, and need not be read as
 * a whole to know what they are. */
enum { WEIR_EVENT_HOLES = 3, WEIR_EVENT_PATTERN_BYTES = 1024 };
struct weir_event_pattern {
    char data[WEIR_EVENT_PATTERN_BYTES];
    size_t length; /* 0: none */
    struct {
        size_t at, length;     /* of a string's content, or of a number */
        bool is_number;        /* the sequence number */
        bool is_text;          /* a piece of the answer */
    } holes[WEIR_EVENT_HOLES]; /* in order */
    size_t hole_count;
    struct weir_event event;
    unsigned made, matched; /* over the stream: where most events differ otherwise, none is made any more */
};
/* Before the first event of a stream. */
void weir_event_pattern_init(struct weir_event_pattern *pattern);
/* Makes a pattern of an event that was read with content and nothing else of note; of any other, none. */
void weir_event_pattern_set(struct weir_event_pattern *pattern, struct weir_span data, const struct weir_event *event);
/* True: `data` differs from the pattern in its holes alone and is as valid; *event is what reading it would have given, but for the answer's id. */
WEIR_MUST bool weir_event_pattern_read(struct weir_event_pattern *pattern, struct weir_span data,
                                       struct weir_event *event);

/* A limit or budget that is reached: what a client is told of it. */
struct weir_error_limit {
    const char *scope, *window; /* "key", "month"; window "" for what is at once */
    const char *limit_name;     /* "requests_per_minute"; NULL: it is a budget */
    const char *budget;         /* its id; "" for limits */
    int64_t used, limit;        /* milli-CU of a budget, spent and held; else requests or tokens */
    int64_t needed;             /* of a budget: what the request may cost at most */
};
/* An error as a client is told: the words come from the reasons table. */
struct weir_error_answer {
    enum weir_reason reason;
    struct weir_span brand_upper; /* "WEIR" */
    unsigned status;              /* of the answer, where it is not the reason's; else 0 */
    struct weir_span request_id;
    struct weir_span detail; /* what exactly, empty without */
    struct weir_span
        provider_code; /* a provider's own word for it, where its error is told in another dialect; else empty */
    const char *field; /* NULL or "" without */
    const struct weir_error_limit *limit; /* that is reached; NULL without */
    struct weir_span problems;            /* all that is wrong, a line each; empty without */
    unsigned retry_after_seconds;         /* that the client is told to wait; 0: not said */
    struct weir_span roles;               /* whose it is, a line each; empty without */
    /* within a stream: what its events have told */
    struct weir_span answer_id;
    int64_t sequence;             /* of the next event */
    struct weir_span asked_model; /* as the client has named it */
    int64_t asked_utc_us;
};

struct weir_front; /* codec.h */

enum weir_format_flag {
    WEIR_FORMAT_TEXT = 1,          /* an answer may be plain text */
    WEIR_FORMAT_BYTES = 2,         /* an answer may be anything, and goes through as it comes: sound, a file */
    WEIR_FORMAT_TOKENS = 4,        /* an answer without usage is estimated: it is tokens */
    WEIR_FORMAT_MODEL_IN_PATH = 8, /* not in the body */
    WEIR_FORMAT_ARRAY_STREAM = 16  /* a stream may be one JSON array, as application/json */
};

/* The bodies of one endpoint. */
struct weir_format {
    const char *name;
    unsigned flags;
    enum weir_dialect_kind dialect;
    enum weir_task task;            /* what providers of other dialects may be asked instead */
    const struct weir_front *front; /* NULL: never translated */
    /* Reads a request's body. WEIR_EINVAL with *problem. */
    enum weir_status (*read_call)(struct weir_arena *arena, struct weir_span body, struct weir_call *call,
                                  struct weir_call_problem *problem);
    /* The same from a form. NULL: the endpoint takes none. */
    enum weir_status (*read_form)(struct weir_arena *arena, const struct weir_form *form, struct weir_call *call,
                                  struct weir_call_problem *problem);
    /* The edits to send `call` to a target. */
    enum weir_status (*edit_call)(struct weir_arena *arena, const struct weir_call *call,
                                  struct weir_span upstream_model, struct weir_json_splice *splice);
    /* May be NULL. Writes a whole answer anew in the form that the call asked for: WEIR_OK, `out` has it; WEIR_END: it stays as it is. */
    enum weir_status (*rewrite_answer)(const struct weir_call *call, struct weir_span body, struct weir_buffer *out);
    /* Reads a whole JSON answer. WEIR_EINVAL: it is not JSON. */
    enum weir_status (*read_answer)(struct weir_span body, struct weir_answer *answer);
    /* Looks for the usage in a piece of an answer that is too large to be held whole (its beginning, or its end). Fills usage and has_usage of
     * *answer; false: it is not there. */
    bool (*find_usage)(struct weir_span piece, struct weir_answer *answer);
    /* Puts what was used into a whole answer. `estimated` figures are written where it has none. */
    enum weir_status (*edit_answer)(struct weir_arena *arena, const struct weir_answer *answer,
                                    const struct weir_usage *estimated, int64_t used_cu_milli,
                                    struct weir_json_splice *splice);
    /* Reads one event of a stream. What is JSON is never refused: what nobody knows is OTHER. */
    void (*read_event)(const struct weir_sse_event *sse, struct weir_event *event);
    /* May be NULL. Takes out what metering asked for and the client did not. */
    enum weir_status (*hide_usage)(struct weir_span data, const struct weir_event *event,
                                   struct weir_json_splice *splice);
    /* Puts usedCUMilli at the top level of the last data event. */
    enum weir_status (*mark_event)(struct weir_arena *arena, const struct weir_event *event, int64_t used_cu_milli,
                                   struct weir_json_splice *splice);
    struct weir_span done; /* the terminal event's bytes, empty where it carries data or there is none */
    /* Writes an error event that ends a stream. */
    void (*write_error_event)(struct weir_buffer *out, const struct weir_error_answer *error);
};

#define X(name) extern const struct weir_format weir_format_##name;
#include "dialect/formats.def"
#undef X

struct weir_dialect {
    const char *name;
    enum weir_dialect_kind kind;
    /* Writes an error body. */
    void (*write_error)(struct weir_buffer *out, const struct weir_error_answer *error);
    /* Adds error_code and request_id to a provider's own error body, the rest untouched. WEIR_EINVAL where it is no error of this
     * dialect. */
    enum weir_status (*edit_error)(struct weir_arena *arena, struct weir_span body,
                                   const struct weir_error_answer *error, struct weir_json_splice *splice);
    /* The same for an error within a stream, which may have another shape. */
    enum weir_status (*edit_error_event)(struct weir_arena *arena, struct weir_span data,
                                         const struct weir_error_answer *error, struct weir_json_splice *splice);
};

const struct weir_dialect *weir_dialect_of(enum weir_dialect_kind kind);

/* A rough count for when a provider gives none: four bytes a token, rounded up. */
int64_t weir_dialect_estimate_tokens(size_t bytes);

/* The flat error body of paths that belong to no dialect: error, error_code, details, request_id, detail. */
void weir_dialect_write_flat_error(struct weir_buffer *out, const struct weir_error_answer *error);

/* The members of a provider's objects that stand for something it keeps: "id", "output_file_id", "error_file_id". Fills at most `room` spans (into
 * `body`), returns how many. For a list, those of its elements are told by weir_dialect_list_items. */
size_t weir_dialect_issued_ids(struct weir_span body, struct weir_span *ids, size_t room);

/* The same of Google's objects, which have names: "files/abc", "batches/123", "cachedContents/x". */
size_t weir_dialect_issued_names(struct weir_span body, struct weir_span *names, size_t room);

/* A list's elements ({"object":"list","data":[{"id":…},…]}), for leaving out those of others. */
struct weir_list_item {
    struct weir_span id;   /* empty where it has none */
    struct weir_span text; /* the element's bytes */
};
/* WEIR_EINVAL: `body` is no such list. *items is in the arena. *has_more: the provider has another page. */
WEIR_MUST enum weir_status weir_dialect_list_items(struct weir_arena *arena, struct weir_span body,
                                                   struct weir_list_item **items, size_t *count, bool *has_more);
/* False: the list does not say where its next page begins, but for its last item. */
bool weir_dialect_list_next(struct weir_span body, const char **parameter, struct weir_span *token);
/* Writes the list with only the items whose keep[i] is true, and first_id and last_id to match; every other byte as it is. */
WEIR_MUST enum weir_status weir_dialect_write_list(struct weir_span body, const struct weir_list_item *items,
                                                   const bool *keep, size_t count, struct weir_buffer *out);

#endif
