/* See anthropic.h: a message in JSON, and as the vendor's events. */
#include "sim/anthropic.h"

#define MAX_EVENT_BYTES ((size_t)256 * 1024 * 1024)

/* --- the parts of a message --- */

/* {"input_tokens":…} as it stands at the start, where next to nothing has been said, or at the end. `whole` has what only a message has. */
static void write_usage(const struct sim_message *message, const struct sim_task *task, bool start, bool whole,
                        struct weir_buffer *out) {
    const struct weir_usage *usage = &message->usage;
    if (!weir_span_is_empty(message->native_usage)) {
        weir_buffer_append(out, message->native_usage);
        return;
    }
    int64_t written_5m = usage->cache_write - message->written_1h;
    int64_t output = start && usage->output > 1 ? 1 : usage->output;
    weir_buffer_printf(out,
                       "{\"input_tokens\":%lld,\"cache_creation_input_tokens\":%lld,\"cache_read_input_tokens\":%lld",
                       (long long)sim__task_said(task, usage->input - usage->cached - usage->cache_write),
                       (long long)sim__task_said(task, usage->cache_write),
                       (long long)sim__task_said(task, usage->cached));
    if (whole) {
        weir_buffer_printf(
            out,
            ",\"cache_creation\":{\"ephemeral_5m_input_tokens\":%lld,\"ephemeral_1h_input_tokens\":%lld},"
            "\"service_tier\":\"standard\",\"inference_geo\":\"global\"",
            (long long)sim__task_said(task, written_5m), (long long)sim__task_said(task, message->written_1h));
    }
    weir_buffer_printf(out, ",\"output_tokens\":%lld", (long long)sim__task_said(task, output));
    if (!start) {
        weir_buffer_printf(out, ",\"output_tokens_details\":{\"thinking_tokens\":%lld}",
                           (long long)sim__task_said(task, usage->reasoning));
    }
    if (!start && message->searches + message->fetches > 0) {
        weir_buffer_printf(out, ",\"server_tool_use\":{\"web_search_requests\":%lld,\"web_fetch_requests\":%lld}",
                           (long long)message->searches, (long long)message->fetches);
    }
    weir_buffer_append_byte(out, '}');
}

static void write_stop(const struct sim_message *message, struct weir_buffer *out) {
    weir_buffer_append(out, WEIR_SPAN("\"stop_reason\":"));
    weir_json_append_string(out, message->stop_reason);
    weir_buffer_append(out, WEIR_SPAN(",\"stop_sequence\":"));
    if (weir_span_is_empty(message->stop_sequence)) {
        weir_buffer_append(out, WEIR_SPAN("null"));
    } else {
        weir_json_append_string(out, message->stop_sequence);
    }
    if (message->refused) {
        weir_buffer_append(out, WEIR_SPAN(",\"stop_details\":{\"type\":\"refusal\",\"category\":\"cyber\","
                                          "\"explanation\":\"The simulator was asked to refuse.\"}"));
    }
}

/* A tool's input as it is: JSON, but for what the limit cut off or a script made up. */
static void write_input(const struct sim_content *content, struct weir_buffer *out) {
    size_t length = content->text.count > 0 ? content->text.ends[content->text.count - 1] : 0;
    struct weir_span json = weir_span_of(content->text.bytes.at, length);
    bool object = !content->cut && length > 1 && json.at[0] == '{' && json.at[length - 1] == '}';
    weir_buffer_append(out, object ? json : WEIR_SPAN("{}"));
}

/* One block; `start` leaves out what the deltas bring. Without its last brace. */
static void write_content(const struct sim_content *content, bool start, struct weir_buffer *out) {
    switch (content->kind) {
    case SIM_CONTENT_TEXT: weir_buffer_append(out, WEIR_SPAN("{\"type\":\"text\",\"text\":")); break;
    case SIM_CONTENT_THINKING:
        weir_buffer_append(out, WEIR_SPAN("{\"type\":\"thinking\",\"signature\":"));
        weir_json_append_string(out, start ? WEIR_SPAN("") : content->signature);
        weir_buffer_append(out, WEIR_SPAN(",\"thinking\":"));
        break;
    case SIM_CONTENT_REDACTED:
        weir_buffer_append(out, WEIR_SPAN("{\"type\":\"redacted_thinking\",\"data\":"));
        weir_json_append_string(out, content->signature);
        return;
    case SIM_CONTENT_TOOL:
    case SIM_CONTENT_SERVER_TOOL:
        weir_buffer_append(out, content->kind == SIM_CONTENT_TOOL ? WEIR_SPAN("{\"type\":\"tool_use\",\"id\":")
                                                                  : WEIR_SPAN("{\"type\":\"server_tool_use\",\"id\":"));
        weir_json_append_string(out, content->id);
        weir_buffer_append(out, WEIR_SPAN(",\"name\":"));
        weir_json_append_string(out, content->name);
        weir_buffer_append(out, WEIR_SPAN(",\"input\":"));
        if (start) {
            weir_buffer_append(out, WEIR_SPAN("{}"));
        } else {
            write_input(content, out);
        }
        return;
    case SIM_CONTENT_RAW: weir_buffer_append(out, content->raw); return;
    }
    if (start) {
        weir_buffer_append(out, WEIR_SPAN("\"\""));
    } else {
        sim__text_write(&content->text, out);
    }
}

static void begin_message(const struct sim_message *message, struct weir_buffer *out) {
    weir_buffer_append(out, WEIR_SPAN("{\"id\":"));
    weir_json_append_string(out, message->id);
    weir_buffer_append(out, WEIR_SPAN(",\"type\":\"message\",\"role\":\"assistant\",\"model\":"));
    weir_json_append_string(out, message->model);
    weir_buffer_append(out, WEIR_SPAN(",\"content\":["));
}

void sim__message_write(const struct sim_message *message, const struct sim_task *task, struct weir_buffer *out) {
    begin_message(message, out);
    for (size_t i = 0; i < message->count; i++) {
        weir_buffer_append(out, i > 0 ? WEIR_SPAN(",") : WEIR_SPAN(""));
        write_content(&message->contents[i], false, out);
        weir_buffer_append_byte(out, '}');
    }
    weir_buffer_append(out, WEIR_SPAN("],"));
    write_stop(message, out);
    if (!task->no_usage) {
        weir_buffer_append(out, WEIR_SPAN(",\"usage\":"));
        write_usage(message, task, false, true, out);
    }
}

/* --- events --- */

struct telling {
    struct sim_script script;
    const struct sim_message *message;
    struct weir_buffer event;
};

static void begin(struct telling *telling, const char *event) {
    weir_buffer_printf(&telling->event, "{\"type\":\"%s\"", event);
}

static void begin_block(struct telling *telling, const char *event, size_t index) {
    weir_buffer_printf(&telling->event, "{\"type\":\"%s\",\"index\":%zu", event, index);
}

static void tell(struct telling *telling, const char *event, int64_t tokens) {
    sim__script_take(&telling->script, event, &telling->event, tokens);
}

/* A run of deltas of one kind. */
static void tell_deltas(struct telling *telling, size_t index, const char *type, const char *member) {
    static const char event[] = "content_block_delta";
    const struct sim_content *content = &telling->message->contents[index];
    struct weir_span start;
    begin_block(telling, event, index);
    weir_buffer_printf(&telling->event, ",\"delta\":{\"type\":\"%s\",\"%s\":", type, member);
    if (weir_buffer_status(&telling->event) != WEIR_OK ||
        weir_arena_dup(telling->script.arena, weir_buffer_span(&telling->event), &start) != WEIR_OK) {
        telling->script.failed = true;
    } else {
        sim__script_text(&telling->script, event, start, WEIR_SPAN("}"), content->text, content->weight);
    }
    weir_buffer_clear(&telling->event);
}

static void tell_one_delta(struct telling *telling, size_t index, const char *type, const char *member,
                           struct weir_span value, int64_t tokens) {
    begin_block(telling, "content_block_delta", index);
    weir_buffer_printf(&telling->event, ",\"delta\":{\"type\":\"%s\",\"%s\":", type, member);
    weir_json_append_string(&telling->event, value);
    weir_buffer_append_byte(&telling->event, '}');
    tell(telling, "content_block_delta", tokens);
}

/* The vendor sends an empty fragment first, and nothing behind it where a tool is called with nothing. */
static void tell_input(struct telling *telling, size_t index) {
    const struct sim_content *content = &telling->message->contents[index];
    bool empty = weir_span_equal(content->text.bytes, WEIR_SPAN("{}"));
    int64_t tokens = content->hidden_tokens + (empty ? (int64_t)content->text.count * content->weight : 0);
    tell_one_delta(telling, index, "input_json_delta", "partial_json", WEIR_SPAN(""), tokens);
    if (!empty) {
        tell_deltas(telling, index, "input_json_delta", "partial_json");
    }
}

static void tell_content(struct telling *telling, size_t index) {
    const struct sim_content *content = &telling->message->contents[index];
    begin_block(telling, "content_block_start", index);
    weir_buffer_append(&telling->event, WEIR_SPAN(",\"content_block\":"));
    write_content(content, true, &telling->event);
    weir_buffer_append_byte(&telling->event, '}');
    tell(telling, "content_block_start", content->kind == SIM_CONTENT_REDACTED ? content->hidden_tokens : 0);
    if (index == 0) {
        begin(telling, "ping");
        tell(telling, "ping", 0);
    }
    switch (content->kind) {
    case SIM_CONTENT_TEXT: tell_deltas(telling, index, "text_delta", "text"); break;
    case SIM_CONTENT_THINKING:
        tell_deltas(telling, index, "thinking_delta", "thinking");
        tell_one_delta(telling, index, "signature_delta", "signature", content->signature, content->hidden_tokens);
        break;
    case SIM_CONTENT_TOOL:
    case SIM_CONTENT_SERVER_TOOL: tell_input(telling, index); break;
    case SIM_CONTENT_REDACTED:
    case SIM_CONTENT_RAW: break;
    }
    begin_block(telling, "content_block_stop", index);
    tell(telling, "content_block_stop", 0);
}

enum weir_status sim__message_stream(const struct sim_message *message, struct sim_task *task) {
    struct telling telling = {.message = message};
    sim__script_init(&telling.script, task->arena, SIM_FRAMING_EVENTS);
    weir_buffer_init(&telling.event, MAX_EVENT_BYTES);
    begin(&telling, "message_start");
    weir_buffer_append(&telling.event, WEIR_SPAN(",\"message\":"));
    begin_message(message, &telling.event);
    weir_buffer_append(&telling.event, WEIR_SPAN("],\"stop_reason\":null,\"stop_sequence\":null"));
    if (!task->no_usage) {
        weir_buffer_append(&telling.event, WEIR_SPAN(",\"usage\":"));
        write_usage(message, task, true, true, &telling.event);
    }
    weir_buffer_append_byte(&telling.event, '}');
    tell(&telling, "message_start", 0);
    for (size_t i = 0; i < message->count; i++) {
        tell_content(&telling, i);
    }
    begin(&telling, "message_delta");
    weir_buffer_append(&telling.event, WEIR_SPAN(",\"delta\":{"));
    write_stop(message, &telling.event);
    weir_buffer_append_byte(&telling.event, '}');
    if (!task->no_usage) {
        weir_buffer_append(&telling.event, WEIR_SPAN(",\"usage\":"));
        write_usage(message, task, false, false, &telling.event);
    }
    tell(&telling, "message_delta", 0);
    begin(&telling, "message_stop");
    tell(&telling, "message_stop", 0);
    telling.script.terminal = 1;
    weir_buffer_release(&telling.event);
    return sim__task_stream(task, &telling.script);
}
