/* Responses: what is decided about one, how it is written, and the events in which it is told. */
#ifndef WEIR_SIM_RESPONSES_H
#define WEIR_SIM_RESPONSES_H

#include "sim/store.h"
#include "sim/task.h"

enum sim_item_kind { SIM_ITEM_REASONING, SIM_ITEM_TOOL_LIST, SIM_ITEM_SEARCH, SIM_ITEM_MESSAGE, SIM_ITEM_FUNCTION };

/* One item of the output. */
struct sim_item {
    enum sim_item_kind kind;
    const char *id;
    struct sim_text text;  /* of a message, of a function's arguments, of a summary */
    struct weir_span name; /* of a function, decoded */
    struct weir_span call_id;
    struct weir_span encrypted; /* of reasoning; empty: it is not told */
    bool refuses;               /* a message that is a refusal */
    bool cut;                   /* the limit ended it */
    int64_t weight;             /* tokens that one piece of the text counts as */
    int64_t other_tokens;       /* that no piece of the text stands for */
};

enum { SIM_MAX_ITEMS = 8 };

/* Lives in the arena of its object. */
struct sim_response {
    struct weir_span id;
    struct weir_span model;
    int64_t created_s;
    struct weir_span settings; /* the members that say again what was asked for */
    struct sim_item *items;
    size_t item_count;
    struct weir_usage usage;
    int64_t context_tokens; /* what a next response has before it */
    struct weir_span *inputs, *input_ids;
    size_t input_count;
    struct weir_span native_usage; /* what a script has in the usage's place; empty: nothing */
    bool background, incomplete, cancelled, chatty;
    bool kept;      /* it can be asked for later */
    bool filtered;  /* incomplete by a filter, not by the limit */
    unsigned asked; /* how often it was asked for */
};

/* "queued", "in_progress", "completed", "incomplete", "cancelled": as the next who asks is told. */
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
/* Makes task->scripted the response's items and usage; what it keeps lives in `arena`. WEIR_ENOMEM. */
WEIR_MUST enum weir_status sim__response_scripted(struct sim_task *task, struct weir_arena *arena,
                                                  struct sim_response *response);
/* Makes the response's events the answer, from that number on. The response must live as long as the task's arena. */
WEIR_MUST enum weir_status sim__response_stream(const struct sim_response *response, struct sim_task *task,
                                                size_t from);

#endif
