/* The common form: what a request, an answer or a piece of a stream says, whatever format said it.
 *
 * Where a client and its provider speak different formats, a body is read into this form by the front's or back's codec (codec.h) and written out of it by the other's.
 * Five formats need ten readers and ten writers this way, not fifty translators.
 *
 * A text here is a *wire text*: the inside of a JSON string token, without its quotes, with its escapes as they came. It goes into another JSON string as it is:
 * nothing is decoded that is only passed on, a character cut in two by a stream stays so, and two wire texts joined are one. `at` NULL: not said. Values named
 * "JSON" are whole tokens, with quotes or brackets. All of it points into the body that was read, or into the request's arena.
 */
#ifndef WEIR_DIALECT_COMMON_H
#define WEIR_DIALECT_COMMON_H

#include "base/arena.h"
#include "base/usage.h"
#include "json/tree.h"

/* The wire formats' families, in the order of the option providers.dialect. */
enum weir_dialect_kind {
    WEIR_DIALECT_OPENAI,
    WEIR_DIALECT_RESPONSES,
    WEIR_DIALECT_ANTHROPIC,
    WEIR_DIALECT_GEMINI,
    WEIR_DIALECT_OLLAMA,
    WEIR_DIALECT_COUNT
};

/* What an endpoint is for, as far as other dialects have it. */
enum weir_task {
    WEIR_TASK_NONE, /* this dialect's alone: never translated */
    WEIR_TASK_GENERATE,
    WEIR_TASK_EMBED,
    WEIR_TASK_COUNT
};

/* Not said, or said. */
#define WEIR_UNSAID ((struct weir_span){.at = NULL, .length = 0})
static inline bool weir_is_said(struct weir_span text) {
    return text.at != NULL;
}

/* --- parameters: parameters.def has a row each --- */

enum weir_parameter {
#define X(name, ...) WEIR_PARAMETER_##name,
#include "dialect/parameters.def"
#undef X
    WEIR_PARAMETER_COUNT
};

/* --- what messages consist of --- */

enum weir_part_kind {
    WEIR_PART_TEXT,
    WEIR_PART_IMAGE,
    WEIR_PART_DOCUMENT, /* a PDF, a plain text, any other file */
    WEIR_PART_AUDIO,
    WEIR_PART_TOOL_CALL,
    WEIR_PART_TOOL_RESULT,
    WEIR_PART_THINKING, /* text may be unsaid: its signature alone, or what is hidden from the reader */
    WEIR_PART_REFUSAL,
    WEIR_PART_OTHER /* none that other formats have; `json` is the whole part, `name` its type */
};

enum weir_media_source {
    WEIR_MEDIA_INLINE, /* data: base64, standard alphabet */
    WEIR_MEDIA_TEXT,   /* data: wire text of a document */
    WEIR_MEDIA_URL,    /* data: the URL */
    WEIR_MEDIA_FILE    /* data: an id of something that the provider keeps: no other provider has it */
};
struct weir_media {
    enum weir_media_source source;
    struct weir_span data;
    struct weir_span type;     /* "image/png"; unsaid where the client has not told */
    struct weir_span detail;   /* of images: "low", "high", "auto" */
    struct weir_span filename; /* or title */
};

/* What a provider wants back with the next turn exactly as it gave it out, and which no other can read. */
struct weir_signature {
    struct weir_span value;      /* wire text; unsaid: none */
    enum weir_dialect_kind from; /* who gave it */
    bool is_redacted;            /* it stands for thinking that nobody may read */
    struct weir_span id;         /* of the item that it belongs to, where the format gives it one (responses) */
};

struct weir_part {
    struct weir_part *next;
    struct weir_part *near_last; /* of a list's first: the last that weir_part_add has added */
    enum weir_part_kind kind;
    struct weir_span text;   /* TEXT, THINKING, REFUSAL */
    struct weir_media media; /* IMAGE, DOCUMENT, AUDIO */
    struct weir_span id;     /* TOOL_CALL; of a TOOL_RESULT: the call's. Unsaid: the format has none */
    struct weir_span
        name; /* TOOL_CALL; TOOL_RESULT where known (weir_prompt_finish fills both from the calls); OTHER: its type */
    struct weir_span arguments; /* TOOL_CALL, JSON: an object; anything else that a model has made up stays as it is */
    bool is_custom; /* TOOL_CALL, TOOL_RESULT: of a tool that takes free text; `arguments` is then a JSON string */
    struct weir_part *content;       /* TOOL_RESULT: texts, images, documents */
    bool is_error;                   /* TOOL_RESULT */
    struct weir_signature signature; /* THINKING; with gemini also TEXT and TOOL_CALL */
    bool is_summary;                 /* THINKING: a summary, not the thoughts */
    struct weir_span cache;          /* a caching mark stands behind it: its ttl, "" where none is said; unsaid: none */
    struct weir_span citations;      /* TEXT, JSON; as the format has them */
    struct weir_span json;           /* OTHER */
};

enum weir_turn_role { WEIR_TURN_SYSTEM, WEIR_TURN_USER, WEIR_TURN_ASSISTANT };
struct weir_turn {
    struct weir_turn *next;
    enum weir_turn_role role;
    bool is_developer; /* SYSTEM: called developer by the client */
    struct weir_span name;
    struct weir_part *parts; /* results of tools are parts of a user's message */
};

enum weir_tool_kind {
    WEIR_TOOL_FUNCTION,
    WEIR_TOOL_CUSTOM /* takes free text */,
    WEIR_TOOL_HOSTED /* run by the provider */
};
struct weir_tool {
    struct weir_tool *next;
    enum weir_tool_kind kind;
    struct weir_span name, description;
    struct weir_span parameters; /* JSON Schema; unsaid: takes nothing */
    bool has_openapi_schema;     /* `parameters` is gemini's subset, with types in capitals */
    struct weir_span is_strict;  /* JSON true or false */
    struct weir_span cache;      /* as of a part */
    struct weir_span json;       /* HOSTED: the whole tool; `name` is its type */
};

enum weir_tool_choice { WEIR_CHOICE_UNSAID, WEIR_CHOICE_AUTO, WEIR_CHOICE_NONE, WEIR_CHOICE_ANY, WEIR_CHOICE_ONE };
enum weir_output_form { WEIR_FORM_TEXT, WEIR_FORM_JSON, WEIR_FORM_SCHEMA };
enum weir_effort {
    WEIR_EFFORT_UNSAID,
    WEIR_EFFORT_NONE, /* thinking is off */
    WEIR_EFFORT_MINIMAL,
    WEIR_EFFORT_LOW,
    WEIR_EFFORT_MEDIUM,
    WEIR_EFFORT_HIGH,
    WEIR_EFFORT_XHIGH,
    WEIR_EFFORT_MAX
};

struct weir_name {
    struct weir_name *next;
    struct weir_span text;
};

/* A request. */
struct weir_prompt {
    struct weir_turn *turns, *last_turn; /* in order; system messages where they stood */
    struct weir_tool *tools, *last_tool; /* in the client's order, which provider caches depend on */

    /* Parameters as JSON tokens, as said; unsaid where absent, null, or where the value says what is meant without it (n: 1). Those below besides, read. */
    struct weir_span values[WEIR_PARAMETER_COUNT];
    bool stream, wants_usage;
    int64_t max_output_tokens; /* 0: not said */
    struct weir_name *stops, *last_stop;
    enum weir_tool_choice tool_choice;
    struct weir_name *chosen_tools; /* ONE: its name; ANY: those that are allowed, NULL for all */
    bool one_tool_at_a_time;        /* parallel calls are off */
    enum weir_output_form output_form;
    struct weir_span schema, schema_name, schema_description, schema_is_strict; /* schema: JSON */
    enum weir_effort effort;
    int64_t thinking_budget;                  /* tokens; 0: not said; -1: the model decides */
    bool shows_thinking;                      /* summaries or thoughts are wanted in the answer */
    bool wants_signatures;                    /* responses: include reasoning.encrypted_content */
    struct weir_span cache;                   /* a mark for the whole prompt, as of a part */
    struct weir_name *unknown, *last_unknown; /* members that the front's format does not have, by their paths */
};

/* --- answers --- */

enum weir_finish {
    WEIR_FINISH_UNSAID,
    WEIR_FINISH_STOP,
    WEIR_FINISH_STOP_SEQUENCE,
    WEIR_FINISH_LENGTH,
    WEIR_FINISH_CONTEXT, /* the model's window is full */
    WEIR_FINISH_TOOL,
    WEIR_FINISH_REFUSAL, /* the model declines */
    WEIR_FINISH_FILTER,  /* a filter of the provider's */
    WEIR_FINISH_PAUSE,   /* to be gone on with */
    WEIR_FINISH_BROKEN   /* a call that is none */
};

struct weir_choice {
    struct weir_choice *next;
    int64_t index;
    struct weir_part *parts, *last_part;
    enum weir_finish finish;
    struct weir_span native_finish, stop_sequence, finish_text /* why, in words */;
    struct weir_span logprobs; /* JSON, in the shape of chat completions: {"content":[…]} */
};

/* A whole answer. */
struct weir_reply {
    struct weir_span id, model; /* as the provider says */
    struct weir_choice *choices, *last_choice;
    bool has_usage;
    struct weir_usage usage;
    struct weir_span service_tier, system_fingerprint;
};

/* --- streams --- */

enum weir_delta_kind {
    WEIR_DELTA_BEGIN,      /* id, model; first, once. `usage`: what had been used by then, where that is told */
    WEIR_DELTA_PART_BEGIN, /* choice, part, part_kind; id and name of a call */
    WEIR_DELTA_TEXT, /* choice, part: a piece of the part's text, or of a call's arguments (a wire text, too: of the JSON that they are) */
    WEIR_DELTA_SIGNATURE, /* choice, part */
    WEIR_DELTA_CITATION,  /* choice, part: json */
    WEIR_DELTA_LOGPROBS,  /* choice: json, in the shape of chat completions */
    WEIR_DELTA_PART_END,  /* choice, part. Parts may overlap: calls that come interleaved */
    WEIR_DELTA_FINISH,    /* choice: finish, native_finish, stop_sequence; its open parts have been ended */
    WEIR_DELTA_USAGE,     /* usage; of several the last counts */
    WEIR_DELTA_END,       /* the stream is whole */
    WEIR_DELTA_ERROR      /* the provider tells of a failure: error */
};

/* What a provider says went wrong. */
struct weir_provider_error {
    struct weir_span message, type, code; /* wire texts */
    unsigned status;                      /* that its type stands for, in a stream; 0: not known */
    int64_t retry_after_ms;               /* 0: not said */
};

struct weir_delta {
    enum weir_delta_kind kind;
    int64_t choice;
    size_t part; /* counts through the choice's parts */
    enum weir_part_kind part_kind;
    bool is_custom, is_summary;
    struct weir_span text, id, name, model, json;
    struct weir_signature signature;
    enum weir_finish finish;
    struct weir_span native_finish, stop_sequence, finish_text, service_tier;
    struct weir_usage usage;
    struct weir_provider_error error;
};

/* --- vectors --- */

struct weir_vector_input {
    struct weir_vector_input *next;
    struct weir_span text;   /* wire text; unsaid: */
    struct weir_span tokens; /* JSON array of numbers */
};
struct weir_vectors_call {
    struct weir_vector_input *inputs, *last_input;
    size_t count;
    struct weir_span values[WEIR_PARAMETER_COUNT]; /* dimensions and the like */
    struct weir_name *unknown, *last_unknown;
    bool is_single; /* one text was asked for, not a list of one */
};
struct weir_vector {
    struct weir_vector *next;
    struct weir_span numbers; /* JSON array; unsaid: */
    struct weir_span base64;  /* wire text: little-endian float32 */
};
struct weir_vectors_reply {
    struct weir_span id, model;
    struct weir_vector *vectors, *last_vector;
    bool has_usage;
    struct weir_usage usage;
};

/* --- building it: NULL where the arena is full --- */

struct weir_turn *weir_prompt_add_turn(struct weir_arena *arena, struct weir_prompt *prompt, enum weir_turn_role role);
/* Appends to a list of parts; its last is found at once where *parts is the same for all of them, else by walking. */
struct weir_part *weir_part_add(struct weir_arena *arena, struct weir_part **parts, enum weir_part_kind kind);
struct weir_tool *weir_prompt_add_tool(struct weir_arena *arena, struct weir_prompt *prompt, enum weir_tool_kind kind);
struct weir_name *weir_name_add(struct weir_arena *arena, struct weir_name **first, struct weir_name **last,
                                struct weir_span text);
struct weir_choice *weir_reply_add_choice(struct weir_arena *arena, struct weir_reply *reply, int64_t index);
/* After all messages have been read: gives calls without an id one ("call_<seed>_<n>"), results without an id or a name those of their calls (in order where
 * nothing else tells), so that every writer finds both. `seed` is plain. WEIR_ENOMEM. */
WEIR_MUST enum weir_status weir_prompt_finish(struct weir_arena *arena, struct weir_prompt *prompt,
                                              struct weir_span seed);

/* --- wire texts --- */

/* A plain text as a wire text; where nothing has to be escaped, the text itself. Past the arena's cap: empty. */
struct weir_span weir_wire_text(struct weir_arena *arena, struct weir_span plain);
/* The text that a wire text says. WEIR_ENOMEM. */
WEIR_MUST enum weir_status weir_wire_plain(struct weir_arena *arena, struct weir_span wire, struct weir_span *plain);
/* {"a":1} for the wire text {\"a\":1}: for arguments that come as a string. Where it says no JSON value, it is a JSON string of it. */
WEIR_MUST enum weir_status weir_wire_json(struct weir_arena *arena, struct weir_span wire, struct weir_span *json);
/* Appends "wire", in quotes. */
void weir_append_wire(struct weir_buffer *out, struct weir_span wire);
/* Appends JSON as the inside of a string: for arguments that go out as a string. */
void weir_append_json_as_wire(struct weir_buffer *out, struct weir_span json);

/* Whether the braces of JSON that comes in pieces (wire texts) are all closed: then a call's arguments are whole. */
struct weir_braces {
    size_t depth;
    bool in_string, escaped, begun;
};
bool weir_braces_take(struct weir_braces *braces, struct weir_span wire);

/* --- signatures through formats that do not know them --- */

/* A signature as another format's opaque text can carry it, base64 (standard, or for ids the URL's alphabet without padding): it says who gave it, so that it is
 * given back to that one alone. Past the arena's cap: unsaid. */
struct weir_span weir_signature_seal(struct weir_arena *arena, const struct weir_signature *signature, bool for_id);
/* False: the text is no such thing; then it is a signature of the format in which it came. Anybody can make one: what it holds is a wire text, no more. */
bool weir_signature_open(struct weir_arena *arena, struct weir_span wire, struct weir_signature *signature);

/* --- tables --- */

const char *weir_dialect_kind_name(enum weir_dialect_kind kind); /* "anthropic" */
/* The tokens that an effort stands for (minimal 1024, low 1024, medium 2048, high 4096, xhigh 8192, max 16384), and back. */
int64_t weir_effort_budget(enum weir_effort effort);
enum weir_effort weir_effort_of_budget(int64_t tokens);
/* "none", "minimal", …; UNSAID where the text is none of them. */
const char *weir_effort_name(enum weir_effort effort);
enum weir_effort weir_effort_of(const struct weir_json_node *node);

#endif
