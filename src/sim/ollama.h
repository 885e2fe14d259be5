/* Ollama's own API (/api/…): what is read of a request, and the answer that is decided, as blocks.
 *
 * Ollama is written in Go, and refuses as Go's decoder does: "json: cannot unmarshal string into Go struct field …". Reading is split
 * from deciding and writing, so that chat and generate, which differ in both ends alone, share the middle.
 */
#ifndef WEIR_SIM_OLLAMA_H
#define WEIR_SIM_OLLAMA_H

#include "sim/scripted.h"
#include "sim/task.h"

struct yyjson_val;

#define SIM_OLLAMA_JSON "application/json; charset=utf-8"

enum { SIM_OLLAMA_MAX_STOPS = 32, SIM_OLLAMA_CONTEXT = 4096 };

struct sim_ollama {
    struct sim_task *task;
    struct yyjson_val *root;
    const char *created;
    bool generate; /* /api/generate, else /api/chat */
    /* what is asked for */
    bool logprobs, raw, unload, empty;
    unsigned top_logprobs;
    bool thinks;
    int64_t think_percent; /* of the usual length of thoughts */
    int64_t limit;         /* num_predict */
    int64_t context_size;  /* num_ctx */
    uint64_t hash, seed;
    struct weir_span stops[SIM_OLLAMA_MAX_STOPS];
    size_t stop_count;
    struct weir_buffer notes; /* what is said about pictures; released by whoever has read */
    int64_t images;
    /* the answer */
    struct sim_block *blocks;
    size_t block_count;
    struct weir_span done_reason;
    bool calls_together; /* all tool calls in one line */
    bool no_call_ids;
    int64_t token_weight; /* tokens that one piece of a text counts as */
};

/* --- reading: ollama_read.c --- */

/* The Go types of members, as far as they differ in what JSON they take. */
enum sim_ollama_type {
    SIM_OLLAMA_ANY,
    SIM_OLLAMA_STRING,
    SIM_OLLAMA_BOOL,
    SIM_OLLAMA_INT,
    SIM_OLLAMA_ARRAY,
    SIM_OLLAMA_OBJECT
};

struct sim_ollama_member {
    const char *name;
    enum sim_ollama_type type;
    const char *go_type;
};

/* Parses task->content into task->root. WEIR_EINVAL: task->refusal tells. */
WEIR_MUST enum weir_status sim__ollama_parse(struct sim_task *task, const char *go_type);
/* Checks the members of `object`, whose place in the request is `where` ("ChatRequest"). The table ends with a NULL name. */
bool sim__ollama_check(struct sim_task *task, struct yyjson_val *object, const char *where,
                       const struct sim_ollama_member *members);
/* The model, which must be known; the error where none is named. */
bool sim__ollama_model(struct sim_task *task, unsigned status, const char *otherwise);
/* keep_alive; *zero tells whether the model is to go at once. */
bool sim__ollama_keep_alive(struct sim_task *task, bool *zero);
/* num_predict, num_ctx, seed, stop, and the types of all others. */
bool sim__ollama_options(struct sim_ollama *ollama);
bool sim__ollama_think(struct sim_ollama *ollama);
/* The whole request of a chat or a generate: prompt tokens go to task->usage.input. WEIR_EINVAL: task->refusal tells; WEIR_ENOMEM. */
WEIR_MUST enum weir_status sim__ollama_read(struct sim_ollama *ollama);

/* --- writing: ollama_write.c --- */

/* The whole answer, or the lines of the stream. */
WEIR_MUST enum weir_status sim__ollama_write(struct sim_ollama *ollama);
/* One line without counts: the model was loaded ("load"), or is gone ("unload"). */
void sim__ollama_write_loaded(const struct sim_ollama *ollama, const char *reason);

/* --- the endpoints --- */

enum weir_status sim__ollama_chat(struct sim_task *task);
enum weir_status sim__ollama_generate(struct sim_task *task);
enum weir_status sim__ollama_embed(struct sim_task *task);
enum weir_status sim__ollama_embeddings(struct sim_task *task);
enum weir_status sim__ollama_tags(struct sim_task *task);
enum weir_status sim__ollama_show(struct sim_task *task);
enum weir_status sim__ollama_ps(struct sim_task *task);
enum weir_status sim__ollama_version(struct sim_task *task);
enum weir_status sim__ollama_root(struct sim_task *task);

#endif
