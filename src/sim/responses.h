/* Responses: what is decided about one, how it is written, and the events in which it is told. */
#ifndef WEIR_SIM_RESPONSES_H
#define WEIR_SIM_RESPONSES_H

#include "sim/scripted.h"
#include "sim/store.h"
#include "sim/task.h"

enum sim_item_kind {
    SIM_ITEM_REASONING,
    SIM_ITEM_TOOL_LIST,
    SIM_ITEM_SEARCH,
    SIM_ITEM_MESSAGE,
    SIM_ITEM_FUNCTION,
    SIM_ITEM_CUSTOM
};

/* One item of the output. */
struct sim_item {
    enum sim_item_kind kind;
    const char *id;
    struct sim_text text;         /* of a message, of a tool's arguments or input, of a summary */
    struct weir_span name, space; /* of a tool and its namespace, decoded */
    struct weir_span call_id;
    const char *encrypted; /* of reasoning; NULL: it is not told */
    const char *phase;     /* of a message; NULL: none */
    bool refusal;          /* the message is one */
    bool cut;              /* the limit ended it */
    int64_t weight;        /* tokens that one piece of the text counts as */
    int64_t other_tokens;  /* that no piece of the text stands for */
};

/* Lives in the arena of its object. */
struct sim_response {
    struct weir_span id;
    struct weir_span model;
    int64_t created_s;
    struct weir_span settings; /* the members that say again what was asked for */
    struct sim_item *items;
    size_t item_count;
    struct weir_usage usage;
    struct weir_span native_usage; /* what stands in the usage's place as it is; empty: the usage */
    int64_t context_tokens;        /* what a next response has before it */
    struct weir_span *inputs, *input_ids;
    size_t input_count;
    const char *incomplete; /* why it is not whole; NULL: it is */
    bool background, cancelled, chatty, failed;
    unsigned asked; /* how often it was asked for */
};

/* A response while it is made. */
struct sim_deciding {
    struct sim_task *task;
    struct sim_object *object;
    struct sim_response *response;
    struct weir_arena *arena;  /* the object's */
    struct weir_buffer *notes; /* what came besides text */
    int64_t limit;             /* tokens that are left */
    uint64_t seed;
    size_t item_room;
};

/* responses_input.c: whether the items of task->root's input are what they must be. False: *refusal tells. */
bool sim__response_check_items(struct sim_task *task);
/* Tells of all pictures, files and sounds in the input. False: *refusal tells, or (status 0) there is no memory. */
bool sim__response_describe(struct sim_task *task, struct weir_buffer *notes);
/* The encrypted content of the reasoning item with that id; NULL: no memory. */
const char *sim__response_encrypt(struct weir_arena *arena, struct weir_span id, uint64_t seed);
/* What a content that was not made by sim__response_encrypt is remembered by (sim__memory_keep). */
uint64_t sim__response_encrypted_hash(struct weir_span content);
/* responses_output.c: decides the items, and counts them in task->usage. False: no memory. */
bool sim__response_make_output(struct sim_deciding *deciding);

/* "queued", "in_progress", "completed", "incomplete", "failed", "cancelled": as the next who asks is told. */
const char *sim__response_status(const struct sim_response *response);
/* Appends the response in that state; the task says what the usage is to say. */
void sim__response_write(const struct sim_response *response, const char *status, const struct sim_task *task,
                         struct weir_buffer *out);
/* {"input_tokens":…} */
void sim__response_usage(const struct weir_usage *usage, const struct sim_task *task, struct weir_buffer *out);
/* Appends an item, as it is when it has been added, or when it is done. */
void sim__item_write(const struct sim_item *item, bool done, struct weir_buffer *out);
/* Tokens of what a request for a response has in it. */
int64_t sim__responses_count(struct yyjson_val *root);
/* Makes the response's events the answer, from that number on. The response must live as long as the task's arena. */
WEIR_MUST enum weir_status sim__response_stream(const struct sim_response *response, struct sim_task *task,
                                                size_t from);

#endif
