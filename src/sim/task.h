/* One call to an endpoint of the API: what came, and what a family of endpoints makes of it.
 *
 * A family's function reads, checks and decides; it sends nothing and changes nothing. What is to be remembered it puts into
 * `commit`, which runs only where the answer is really begun, so that a call that gets a fault instead leaves no trace.
 */
#ifndef WEIR_SIM_TASK_H
#define WEIR_SIM_TASK_H

#include "base/ids.h"
#include "base/usage.h"
#include "json/write.h"
#include "sim/script.h"

struct sim_task;
struct sim_form;
struct sim_caller;
struct sim_dialect;
struct sim_scripted;
struct sim_store;

/* How a body is read before the family sees it. */
enum sim_body { SIM_BODY_NONE, SIM_BODY_RAW, SIM_BODY_JSON, SIM_BODY_FORM, SIM_BODY_FORM_OR_JSON };

/* A row of a dialect's table. */
struct sim_endpoint {
    const char *method;
    /* Behind one of the dialect's prefixes. {id} stands for one segment, {model} for all up to what follows it (slashes too). */
    const char *path;
    enum sim_body body;
    /* WEIR_EINVAL: task->refusal tells; WEIR_ENOMEM. */
    enum weir_status (*answer)(struct sim_task *task);
    bool aside; /* no call: it makes no line in the log and gets no fault (lists of models) */
};

struct sim_task {
    /* what came */
    struct weir_arena *arena;   /* of the request: what the answer is made of */
    struct weir_arena *scratch; /* reset when the family's function has returned */
    struct sim_memory *memory;
    struct sim_store *store;
    struct weir_random *random;
    const struct sim_wishes *wishes;
    const struct sim_dialect *dialect;
    const struct sim_caller *caller;
    const struct sim_scripted *scripted; /* the answer that is asked for word by word (scripted.h); NULL: none */
    struct weir_span id, query;
    struct weir_span content;    /* the body as it came */
    struct yyjson_val *root;     /* of a JSON body; in `arena` */
    const struct sim_form *form; /* of a multipart body; `root` is then what of it are no files */
    int64_t now_s;
    uint64_t served;
    int64_t usage_percent; /* of the truth, rounded down */
    int64_t huge_bytes;    /* > 0: how long the answer's content is to be */
    bool no_usage, no_end;
    /* what is made of it */
    struct weir_span model;
    bool stream;
    struct weir_usage usage; /* the truth, for the log */
    int64_t thinking;        /* tokens of reasoning before the first token, in one choice */
    const char *type;        /* of the answer; NULL: application/json */
    struct weir_buffer *out; /* the answer's body is built here */
    struct weir_span body;   /* or stands here, where `out` is empty; lives for the request */
    bool huge_done;          /* the content is as long as was asked */
    bool object;             /* the body is an object that takes more members at its end */
    struct sim_steps steps;  /* or it goes out in steps */
    struct sim_refusal refusal;
    void (*commit)(struct sim_task *task);
    void *effect; /* for commit */
};

/* prefix and `digits` random letters and digits, in the arena; NULL: no memory. */
char *sim__task_id(struct sim_task *task, const char *prefix, size_t digits);
/* A number of the usage as the answer is to say it. */
int64_t sim__task_said(const struct sim_task *task, int64_t tokens);
/* The members of an OpenAI usage of completions: {"prompt_tokens":…} */
void sim__task_usage(const struct sim_task *task, struct weir_buffer *out);
/* task->model in JSON */
void sim__task_model(const struct sim_task *task, struct weir_buffer *out);
/* Moves `script` into the arena and makes it the answer. */
WEIR_MUST enum weir_status sim__task_stream(struct sim_task *task, const struct sim_script *script);
/* The {id} or {model} of the path, percent-decoded into the arena. WEIR_EINVAL: *refusal tells; WEIR_ENOMEM. */
WEIR_MUST enum weir_status sim__task_name(struct sim_task *task, struct weir_span *name);
/* A parameter of the query, decoded into the arena; false: not given, or not well formed. */
bool sim__task_query(struct sim_task *task, const char *name, struct weir_span *value);
/* Appends a unit vector that is drawn from `seed`, in floats. */
void sim__embedding_write(uint64_t seed, int64_t dimensions, struct weir_buffer *out);
/* WEIR_EINVAL where a refusal is set, else WEIR_ENOMEM: how a function that was told false ends. */
WEIR_MUST enum weir_status sim__task_failed(const struct sim_task *task);

/* The families. */
enum weir_status sim__chat_answer(struct sim_task *task);
enum weir_status sim__completions(struct sim_task *task);
enum weir_status sim__embeddings(struct sim_task *task);
enum weir_status sim__moderations(struct sim_task *task);
enum weir_status sim__speech(struct sim_task *task);
enum weir_status sim__transcriptions(struct sim_task *task);
enum weir_status sim__translations(struct sim_task *task);
enum weir_status sim__rerank(struct sim_task *task);
enum weir_status sim__files_create(struct sim_task *task);
enum weir_status sim__files_list(struct sim_task *task);
enum weir_status sim__files_get(struct sim_task *task);
enum weir_status sim__files_delete(struct sim_task *task);
enum weir_status sim__files_content(struct sim_task *task);
enum weir_status sim__uploads_create(struct sim_task *task);
enum weir_status sim__uploads_part(struct sim_task *task);
enum weir_status sim__uploads_complete(struct sim_task *task);
enum weir_status sim__uploads_cancel(struct sim_task *task);
enum weir_status sim__batches_create(struct sim_task *task);
enum weir_status sim__batches_list(struct sim_task *task);
enum weir_status sim__batches_get(struct sim_task *task);
enum weir_status sim__batches_cancel(struct sim_task *task);
enum weir_status sim__images_generations(struct sim_task *task);
enum weir_status sim__images_edits(struct sim_task *task);
enum weir_status sim__images_variations(struct sim_task *task);
enum weir_status sim__responses(struct sim_task *task);
enum weir_status sim__responses_get(struct sim_task *task);
enum weir_status sim__responses_delete(struct sim_task *task);
enum weir_status sim__responses_cancel(struct sim_task *task);
enum weir_status sim__responses_inputs(struct sim_task *task);
enum weir_status sim__responses_tokens(struct sim_task *task);
enum weir_status sim__responses_compact(struct sim_task *task);

#endif
