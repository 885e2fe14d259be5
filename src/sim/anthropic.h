/* Anthropic's Messages API: what a request asks for, what is decided about the answer, and how it is written.
 *
 * The checks are the vendor's, with the vendor's words where they are known: a translator that sends what the real API refuses must
 * not find a simulator that takes it.
 */
#ifndef WEIR_SIM_ANTHROPIC_H
#define WEIR_SIM_ANTHROPIC_H

#include "base/usage.h"
#include "sim/dialect.h"
#include "sim/store.h"
#include "sim/text.h"

struct yyjson_val;

enum sim_thinking { SIM_THINKING_OFF, SIM_THINKING_ENABLED, SIM_THINKING_ADAPTIVE, SIM_THINKING_BETWEEN_TOOLS };

/* A request that has passed the checks. */
struct sim_asked {
    struct sim_task *task;
    struct yyjson_val *messages, *system, *tools;
    bool current;       /* the version is 2026-10-21 */
    bool counting;      /* only the prompt's tokens are asked for */
    int64_t max_tokens; /* of thinking and answer together */
    enum sim_thinking thinking;
    int64_t budget_tokens;
    bool hides_thinking; /* display: omitted */
    bool last_is_user;
    bool has_results; /* the last user turn answers tool calls */
    size_t last_turn; /* the first message of the last turn */
    size_t marks;     /* of cache_control */
    bool short_mark;  /* one for five minutes was seen */
};

/* False: task->refusal tells, or (status 0) there is no memory. */
bool sim__anthropic_check(struct sim_asked *asked);
bool sim__anthropic_check_tools(struct sim_asked *asked);
bool sim__anthropic_check_messages(struct sim_asked *asked);
/* The field anthropic-version; *current tells whether it is the newer one. */
bool sim__anthropic_check_version(struct sim_task *task, bool *current);
/* A mark for the prompt cache at `where`, which may be missing. */
bool sim__anthropic_check_mark(struct sim_asked *asked, struct yyjson_val *block, const char *where);
/* Members of an object that are not among the words of `known` are refused. */
bool sim__anthropic_check_members(struct sim_task *task, struct yyjson_val *object, const char *where,
                                  const char *known);
/* Refuses with status 400; always false. */
bool sim__anthropic_refuse(struct sim_task *task, const char *format, ...) WEIR_PRINTF(2, 3);

/* The prompt in tokens, and what of it the cache has. */
struct sim_prompt {
    int64_t tokens; /* all */
    int64_t read, written_5m, written_1h;
    uint64_t seed;    /* of the answer: a hash of all that was said */
    uint64_t *hashes; /* what the cache keeps from now on */
    size_t hash_count;
};
/* False: no memory. */
bool sim__anthropic_count(const struct sim_asked *asked, struct sim_prompt *prompt);

enum sim_content_kind {
    SIM_CONTENT_TEXT,
    SIM_CONTENT_THINKING,
    SIM_CONTENT_REDACTED,
    SIM_CONTENT_TOOL,
    SIM_CONTENT_SERVER_TOOL,
    SIM_CONTENT_RAW /* JSON that is known already, without its last brace */
};

/* One block of the answer. */
struct sim_content {
    enum sim_content_kind kind;
    struct sim_text text;       /* or the input of a tool, as JSON */
    struct weir_span signature; /* of thinking; or the data that are redacted */
    struct weir_span name, id;  /* of a tool */
    struct weir_span raw;
    int64_t weight;        /* tokens that one piece of the text counts as */
    int64_t hidden_tokens; /* that no piece of the text stands for */
    bool cut;              /* the limit ended it */
};

enum { SIM_MAX_CONTENTS = 8 };

struct sim_message {
    struct weir_span id, model;
    struct sim_content *contents;
    size_t count;
    struct weir_span stop_reason;
    struct weir_span stop_sequence; /* empty: null */
    bool refused;                   /* with stop_details */
    struct weir_usage usage;
    int64_t written_1h; /* of usage.cache_write */
    int64_t searches, fetches;
    struct weir_span native_usage;
};

/* The answer without its last brace, and as a stream. */
void sim__message_write(const struct sim_message *message, const struct sim_task *task, struct weir_buffer *out);
WEIR_MUST enum weir_status sim__message_stream(const struct sim_message *message, struct sim_task *task);
/* Decides on an answer. WEIR_EINVAL: task->refusal tells; WEIR_ENOMEM. */
WEIR_MUST enum weir_status sim__message_make(struct sim_asked *asked, struct sim_message *message);

/* 2026-11-21T14:37:33Z in quotes */
void sim__anthropic_time(int64_t time_s, struct weir_buffer *out);
/* A page of objects, the newest first: data, first_id, last_id, has_more, next_page. */
WEIR_MUST enum weir_status sim__anthropic_page(struct sim_task *task, enum sim_object_kind kind,
                                               void (*write)(const struct sim_object *object, struct weir_buffer *out));

enum weir_status sim__anthropic_messages(struct sim_task *task);
enum weir_status sim__anthropic_count_tokens(struct sim_task *task);
enum weir_status sim__anthropic_models(struct sim_task *task);
enum weir_status sim__anthropic_model(struct sim_task *task);
enum weir_status sim__anthropic_files_create(struct sim_task *task);
enum weir_status sim__anthropic_files_list(struct sim_task *task);
enum weir_status sim__anthropic_files_get(struct sim_task *task);
enum weir_status sim__anthropic_files_delete(struct sim_task *task);
enum weir_status sim__anthropic_files_content(struct sim_task *task);
enum weir_status sim__anthropic_batches_create(struct sim_task *task);
enum weir_status sim__anthropic_batches_list(struct sim_task *task);
enum weir_status sim__anthropic_batches_get(struct sim_task *task);
enum weir_status sim__anthropic_batches_delete(struct sim_task *task);
enum weir_status sim__anthropic_batches_cancel(struct sim_task *task);
enum weir_status sim__anthropic_batches_results(struct sim_task *task);

#endif
