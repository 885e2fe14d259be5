/* See responses.h: the events of a response, in the order in which OpenAI sends them. */
#include "sim/responses.h"

#define MAX_EVENT_BYTES ((size_t)256 * 1024 * 1024)

struct telling {
    struct sim_script script;
    const struct sim_response *response;
    const struct sim_task *task;
    struct weir_buffer event; /* the payload that is being built */
};

static void add(struct telling *telling, const char *event, int64_t tokens) {
    sim__script_take(&telling->script, event, &telling->event, tokens);
}

static void begin(struct telling *telling, const char *event) {
    weir_buffer_printf(&telling->event, "{\"type\":\"%s\"", event);
}

/* An event that carries the whole response. */
static void tell_state(struct telling *telling, const char *event, const char *status) {
    begin(telling, event);
    weir_buffer_append(&telling->event, WEIR_SPAN(",\"response\":"));
    sim__response_write(telling->response, status, telling->task, &telling->event);
    add(telling, event, 0);
}

static void tell_item(struct telling *telling, size_t index, bool done, int64_t tokens) {
    const char *event = done ? "response.output_item.done" : "response.output_item.added";
    begin(telling, event);
    weir_buffer_printf(&telling->event, ",\"output_index\":%zu,\"item\":", index);
    sim__item_write(&telling->response->items[index], done, &telling->event);
    add(telling, event, tokens);
}

/* The members that say what an event is about; `part` names the index within the item, or is NULL. */
static void begin_about(struct telling *telling, const char *event, size_t index, const char *part) {
    begin(telling, event);
    weir_buffer_printf(&telling->event, ",\"item_id\":\"%s\",\"output_index\":%zu", telling->response->items[index].id,
                       index);
    if (part != NULL) {
        weir_buffer_printf(&telling->event, ",\"%s\":0", part);
    }
}

static void tell_plain(struct telling *telling, const char *event, size_t index) {
    begin_about(telling, event, index, NULL);
    add(telling, event, 0);
}

/* An event with a text in it: nothing before it came, all of it afterwards. */
static void tell_text(struct telling *telling, const char *event, size_t index, const char *part, const char *start,
                      bool whole, const char *end) {
    begin_about(telling, event, index, part);
    weir_buffer_append(&telling->event, weir_span_of_string(start));
    if (whole) {
        sim__text_write(&telling->response->items[index].text, &telling->event);
    } else {
        weir_buffer_append(&telling->event, WEIR_SPAN("\"\""));
    }
    weir_buffer_append(&telling->event, weir_span_of_string(end));
    add(telling, event, 0);
}

static void tell_deltas(struct telling *telling, const char *event, size_t index, const char *part, const char *end) {
    const struct sim_item *item = &telling->response->items[index];
    struct weir_span start;
    begin_about(telling, event, index, part);
    weir_buffer_append(&telling->event, WEIR_SPAN(",\"delta\":"));
    if (weir_buffer_status(&telling->event) != WEIR_OK ||
        weir_arena_dup(telling->script.arena, weir_buffer_span(&telling->event), &start) != WEIR_OK) {
        telling->script.failed = true;
        return;
    }
    weir_buffer_clear(&telling->event);
    sim__script_text(&telling->script, event, start, weir_span_of_string(end), item->text, item->weight);
}

static void tell_reasoning(struct telling *telling, size_t index) {
    const struct sim_item *item = &telling->response->items[index];
    tell_item(telling, index, false, 0);
    if (item->text.count > 0) {
        static const char part[] = "summary_index";
        static const char start[] = ",\"part\":{\"type\":\"summary_text\",\"text\":";
        tell_text(telling, "response.reasoning_summary_part.added", index, part, start, false, "}");
        tell_deltas(telling, "response.reasoning_summary_text.delta", index, part, "");
        tell_text(telling, "response.reasoning_summary_text.done", index, part, ",\"text\":", true, "");
        tell_text(telling, "response.reasoning_summary_part.done", index, part, start, true, "}");
    }
    tell_item(telling, index, true, item->other_tokens);
}

static void tell_message(struct telling *telling, size_t index) {
    static const char part[] = "content_index";
    static const char text_start[] = ",\"part\":{\"type\":\"output_text\",\"annotations\":[],\"logprobs\":[],\"text\":";
    static const char refusal_start[] = ",\"part\":{\"type\":\"refusal\",\"refusal\":";
    bool refusal = telling->response->items[index].refusal;
    const char *start = refusal ? refusal_start : text_start;
    tell_item(telling, index, false, 0);
    tell_text(telling, "response.content_part.added", index, part, start, false, "}");
    if (refusal) {
        tell_deltas(telling, "response.refusal.delta", index, part, "");
    } else {
        tell_deltas(telling, "response.output_text.delta", index, part, ",\"logprobs\":[]");
    }
    if (telling->response->failed) {
        return; /* in the middle of it */
    }
    if (refusal) {
        tell_text(telling, "response.refusal.done", index, part, ",\"refusal\":", true, "");
    } else {
        tell_text(telling, "response.output_text.done", index, part, ",\"text\":", true, ",\"logprobs\":[]");
    }
    tell_text(telling, "response.content_part.done", index, part, start, true, "}");
    tell_item(telling, index, true, 0);
}

static void tell_function(struct telling *telling, size_t index) {
    const struct sim_item *item = &telling->response->items[index];
    static const char event[] = "response.function_call_arguments.done";
    tell_item(telling, index, false, item->other_tokens);
    tell_deltas(telling, "response.function_call_arguments.delta", index, NULL, "");
    begin_about(telling, event, index, NULL);
    weir_buffer_append(&telling->event, WEIR_SPAN(",\"name\":"));
    weir_json_append_string(&telling->event, item->name);
    weir_buffer_append(&telling->event, WEIR_SPAN(",\"arguments\":"));
    sim__text_write(&item->text, &telling->event);
    add(telling, event, 0);
    tell_item(telling, index, true, 0);
}

static void tell_custom(struct telling *telling, size_t index) {
    tell_item(telling, index, false, telling->response->items[index].other_tokens);
    tell_deltas(telling, "response.custom_tool_call_input.delta", index, NULL, "");
    tell_text(telling, "response.custom_tool_call_input.done", index, NULL, ",\"input\":", true, "");
    tell_item(telling, index, true, 0);
}

static void tell_others(struct telling *telling, size_t index) {
    tell_item(telling, index, false, 0);
    if (telling->response->items[index].kind == SIM_ITEM_SEARCH) {
        tell_plain(telling, "response.web_search_call.in_progress", index);
        tell_plain(telling, "response.web_search_call.searching", index);
        tell_plain(telling, "response.web_search_call.completed", index);
    } else {
        tell_plain(telling, "response.mcp_list_tools.in_progress", index);
        tell_plain(telling, "response.mcp_list_tools.completed", index);
        /* What no client has heard of, and no gateway. */
        begin(telling, "response.sim_novelty.happened");
        weir_buffer_append(&telling->event, WEIR_SPAN(",\"novelty\":{\"depth\":[1,{\"two\":null}],\"big\":1e400}"));
        add(telling, "response.sim_novelty.happened", 0);
    }
    tell_item(telling, index, true, 0);
}

enum weir_status sim__response_stream(const struct sim_response *response, struct sim_task *task, size_t from) {
    struct telling telling = {.response = response, .task = task};
    sim__script_init(&telling.script, task->arena, SIM_FRAMING_EVENTS);
    weir_buffer_init(&telling.event, MAX_EVENT_BYTES);
    telling.script.numbered = true;
    telling.script.skip = from;
    tell_state(&telling, "response.created", response->background ? "queued" : "in_progress");
    if (response->background) {
        tell_state(&telling, "response.queued", "queued");
    }
    tell_state(&telling, "response.in_progress", "in_progress");
    for (size_t i = 0; i < response->item_count; i++) {
        switch (response->items[i].kind) {
        case SIM_ITEM_REASONING: tell_reasoning(&telling, i); break;
        case SIM_ITEM_MESSAGE: tell_message(&telling, i); break;
        case SIM_ITEM_FUNCTION: tell_function(&telling, i); break;
        case SIM_ITEM_CUSTOM: tell_custom(&telling, i); break;
        case SIM_ITEM_SEARCH:
        case SIM_ITEM_TOOL_LIST: tell_others(&telling, i); break;
        }
    }
    if (response->failed) {
        tell_state(&telling, "response.failed", "failed");
    } else if (response->incomplete != NULL) {
        tell_state(&telling, "response.incomplete", "incomplete");
    } else {
        tell_state(&telling, "response.completed", "completed");
    }
    telling.script.terminal = 1;
    weir_buffer_release(&telling.event);
    return sim__task_stream(task, &telling.script);
}
