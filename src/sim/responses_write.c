/* See responses.h: a response and its items in JSON. */
#include "sim/responses.h"

const char *sim__response_status(const struct sim_response *response) {
    if (response->cancelled) {
        return "cancelled";
    }
    if (response->background && response->asked < 2) {
        return response->asked == 0 ? "queued" : "in_progress";
    }
    return response->failed ? "failed" : response->incomplete != NULL ? "incomplete" : "completed";
}

void sim__response_usage(const struct weir_usage *usage, const struct sim_task *task, struct weir_buffer *out) {
    int64_t input = sim__task_said(task, usage->input);
    int64_t output = sim__task_said(task, usage->output);
    int64_t total = input + output;
    weir_buffer_printf(
        out,
        "{\"input_tokens\":%lld,\"input_tokens_details\":{\"cached_tokens\":%lld,\"cache_write_tokens\":%lld},"
        "\"output_tokens\":%lld,\"output_tokens_details\":{\"reasoning_tokens\":%lld},"
        "\"total_tokens\":%lld}",
        (long long)input, (long long)sim__task_said(task, usage->cached),
        (long long)sim__task_said(task, usage->cache_write), (long long)output,
        (long long)sim__task_said(task, usage->reasoning), (long long)total);
}

static void write_reasoning(const struct sim_item *item, bool done, struct weir_buffer *out) {
    weir_buffer_append(out, WEIR_SPAN("\"reasoning\",\"summary\":["));
    if (done && item->text.count > 0) {
        weir_buffer_append(out, WEIR_SPAN("{\"type\":\"summary_text\",\"text\":"));
        sim__text_write(&item->text, out);
        weir_buffer_append_byte(out, '}');
    }
    weir_buffer_append_byte(out, ']');
    if (item->encrypted != NULL) {
        /* While it is made it is not whole yet, and said to be so. */
        struct weir_span content = weir_span_of_string(item->encrypted);
        weir_buffer_append(out, WEIR_SPAN(",\"encrypted_content\":"));
        size_t shown = done || content.length < 8 ? content.length : 8;
        while (shown < content.length && ((unsigned char)content.at[shown] & 0xc0U) == 0x80U) {
            shown++; /* within a character of several bytes */
        }
        weir_json_append_string(out, weir_span_first(content, shown));
    }
}

static void write_message(const struct sim_item *item, bool done, struct weir_buffer *out) {
    weir_buffer_append(out, WEIR_SPAN("\"message\",\"role\":\"assistant\""));
    if (item->phase != NULL) {
        weir_buffer_printf(out, ",\"phase\":\"%s\"", item->phase);
    }
    weir_buffer_append(out, WEIR_SPAN(",\"content\":["));
    if (done) {
        weir_buffer_append(out,
                           item->refusal
                               ? WEIR_SPAN("{\"type\":\"refusal\",\"refusal\":")
                               : WEIR_SPAN("{\"type\":\"output_text\",\"annotations\":[],\"logprobs\":[],\"text\":"));
        sim__text_write(&item->text, out);
        weir_buffer_append_byte(out, '}');
    }
    weir_buffer_append_byte(out, ']');
}

/* `start`: the type, and the name of the member that the text is. */
static void write_call(const struct sim_item *item, bool done, const char *start, struct weir_buffer *out) {
    weir_buffer_append(out, weir_span_of_string(start));
    if (done) {
        sim__text_write(&item->text, out);
    } else {
        weir_buffer_append(out, WEIR_SPAN("\"\""));
    }
    weir_buffer_append(out, WEIR_SPAN(",\"call_id\":"));
    weir_json_append_string(out, item->call_id);
    weir_buffer_append(out, WEIR_SPAN(",\"name\":"));
    weir_json_append_string(out, item->name);
    if (!weir_span_is_empty(item->space)) {
        weir_buffer_append(out, WEIR_SPAN(",\"namespace\":"));
        weir_json_append_string(out, item->space);
    }
}

void sim__item_write(const struct sim_item *item, bool done, struct weir_buffer *out) {
    weir_buffer_printf(out, "{\"id\":\"%s\",\"type\":", item->id);
    switch (item->kind) {
    case SIM_ITEM_REASONING: write_reasoning(item, done, out); break;
    case SIM_ITEM_MESSAGE: write_message(item, done, out); break;
    case SIM_ITEM_FUNCTION: write_call(item, done, "\"function_call\",\"arguments\":", out); break;
    case SIM_ITEM_CUSTOM: write_call(item, done, "\"custom_tool_call\",\"input\":", out); break;
    case SIM_ITEM_SEARCH:
        weir_buffer_append(out, WEIR_SPAN("\"web_search_call\",\"action\":{\"type\":\"search\",\"query\":\"water\"}"));
        break;
    case SIM_ITEM_TOOL_LIST:
        weir_buffer_append(out, WEIR_SPAN("\"mcp_list_tools\",\"server_label\":\"sim\",\"tools\":[]}"));
        return; /* the one kind without a status */
    }
    weir_buffer_append(out, !done       ? WEIR_SPAN(",\"status\":\"in_progress\"}")
                            : item->cut ? WEIR_SPAN(",\"status\":\"incomplete\"}")
                                        : WEIR_SPAN(",\"status\":\"completed\"}"));
}

void sim__response_write(const struct sim_response *response, const char *status, const struct sim_task *task,
                         struct weir_buffer *out) {
    bool completed = strcmp(status, "completed") == 0;
    bool failed = strcmp(status, "failed") == 0;
    bool done = completed || strcmp(status, "incomplete") == 0;
    weir_buffer_append(out, WEIR_SPAN("{\"id\":\""));
    weir_buffer_append(out, response->id);
    weir_buffer_printf(out, "\",\"object\":\"response\",\"created_at\":%lld,\"status\":\"%s\",\"background\":%s,",
                       (long long)response->created_s, status, response->background ? "true" : "false");
    if (completed) {
        weir_buffer_printf(out, "\"completed_at\":%lld,", (long long)response->created_s);
    }
    weir_buffer_append(out, failed ? WEIR_SPAN(
                                         "\"error\":{\"code\":\"server_error\",\"message\":\"The model failed while it "
                                         "made this response.\"}")
                                   : WEIR_SPAN("\"error\":null"));
    if (done && !completed) {
        weir_buffer_printf(out, ",\"incomplete_details\":{\"reason\":\"%s\"}", response->incomplete);
    } else {
        weir_buffer_append(out, WEIR_SPAN(",\"incomplete_details\":null"));
    }
    weir_buffer_append(out, WEIR_SPAN(",\"model\":"));
    weir_json_append_string(out, response->model);
    weir_buffer_append(out, WEIR_SPAN(",\"output\":["));
    for (size_t i = 0; done && i < response->item_count; i++) {
        weir_buffer_append(out, i > 0 ? WEIR_SPAN(",") : WEIR_SPAN(""));
        sim__item_write(&response->items[i], true, out);
    }
    weir_buffer_append(out, WEIR_SPAN("],"));
    weir_buffer_append(out, response->settings);
    if (!done) {
        weir_buffer_append(out, WEIR_SPAN(",\"usage\":null"));
    } else if (!weir_span_is_empty(response->native_usage)) {
        weir_buffer_append(out, WEIR_SPAN(",\"usage\":"));
        weir_buffer_append(out, response->native_usage);
    } else if (!task->no_usage) {
        weir_buffer_append(out, WEIR_SPAN(",\"usage\":"));
        sim__response_usage(&response->usage, task, out);
    }
    weir_buffer_append_byte(out, '}');
}
