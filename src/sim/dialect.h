/* The vendors' ways of speaking HTTP: their paths, how a caller proves himself, the fields of a head, and what an error looks like.
 *
 * A dialect is one constant struct with a table of endpoints, in a file of its own; dialect.c lists them all. What differs between the
 * answers themselves is the families' affair: they are told by task->dialect and task->caller whom they play.
 */
#ifndef WEIR_SIM_DIALECT_H
#define WEIR_SIM_DIALECT_H

#include "sim/task.h"

/* What of a request's head tells the dialects apart. The spans live as long as the request. */
struct sim_caller {
    struct weir_span path, query;
    struct weir_span host;
    struct weir_span authorization;
    struct weir_span x_api_key, google_key; /* x-api-key, x-goog-api-key */
    struct weir_span version, betas;        /* anthropic-version, anthropic-beta */
};

struct sim_dialect {
    const char *name;
    /* What may stand before a row's path, in the order in which it is tried; "" among them where nothing may. Ends with NULL. */
    const char *const *prefixes;
    const struct sim_endpoint *endpoints;
    size_t endpoint_count;
    /* Whether a request says by its head or path alone that it is meant for this one. A path that several have goes to the first that
     * claims it, else to the first that has it. */
    bool (*claims)(const struct sim_caller *caller);
    bool (*authorizes)(const struct sim_caller *caller);
    unsigned stranger; /* the status that whoever has not proved himself gets; 0: 401 */
    /* The error that the vendor gives with a status; `code` is what the fault `code=` asks for, or NULL. */
    void (*refuse)(unsigned status, const char *code, struct sim_refusal *refusal);
    /* Appends the body of an error. Families share checks that know OpenAI's types alone: other dialects take theirs from the status. */
    void (*write_error)(const struct sim_refusal *refusal, uint64_t served, struct weir_buffer *out);
    /* Appends whole lines: the fields of every answer to a call. `refusal` is NULL unless it is an error. */
    void (*write_fields)(uint64_t served, const struct sim_refusal *refusal, struct weir_buffer *out);
    /* How a stream ends when its provider breaks: the JSON of the last event or line, and the event's name (NULL: none). */
    const char *error_event;
    void (*write_stream_error)(struct weir_buffer *out);
};

extern const struct sim_dialect sim__openai, sim__anthropic, sim__gemini, sim__ollama;

/* The dialect that a request is spoken to in, never NULL; its row and the {id} of its path, NULL where it has none. */
const struct sim_dialect *sim__dialect_find(const struct sim_caller *caller, struct weir_span method,
                                            const struct sim_endpoint **endpoint, struct weir_span *id);
/* The row of this dialect; NULL: none. */
const struct sim_endpoint *sim__dialect_endpoint(const struct sim_dialect *dialect, struct weir_span method,
                                                 struct weir_span path, struct weir_span *id);
/* True when the caller has sent `Authorization: Bearer` and something behind it. */
bool sim__caller_has_bearer(const struct sim_caller *caller);

#endif
