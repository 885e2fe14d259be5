/* A chat completion that a test wants word by word (scripted.h), whole and streamed. Texts, tool calls and refusals may stand side by side
 * here, which they never do in what the simulator makes up; there is one choice. Thoughts are told by models that tell theirs. */
#include "sim/chat_scripted.h"

#include "json/write.h"

#define MAX_EVENT_BYTES ((size_t)64 * 1024 * 1024)

struct rendering {
    struct sim_task *task;
    const struct sim_chat *chat;
    const struct sim_answer_facts *facts;
    const struct sim_scripted *scripted;
    bool usage; /* the stream tells it */
};

static const char *finish_of(const struct rendering *rendering) {
    const struct sim_scripted *scripted = rendering->scripted;
    switch (scripted->finish) {
    case SIM_FINISH_LENGTH:
    case SIM_FINISH_CONTEXT: return "length";
    case SIM_FINISH_TOOLS: return "tool_calls";
    case SIM_FINISH_FILTER:
        for (size_t i = 0; i < scripted->count; i++) {
            if (scripted->blocks[i].kind == SIM_BLOCK_REFUSAL) {
                return "stop"; /* who refuses has finished */
            }
        }
        return "content_filter";
    case SIM_FINISH_STOP:
    case SIM_FINISH_SEQUENCE:
    case SIM_FINISH_PAUSE: break;
    }
    return "stop";
}

static void write_finish(const struct rendering *rendering, struct weir_buffer *out) {
    struct weir_span native = rendering->scripted->native_finish;
    weir_json_append_string(out, weir_span_is_empty(native) ? weir_span_of_string(finish_of(rendering)) : native);
}

static void write_usage(const struct rendering *rendering, struct weir_buffer *out) {
    const struct sim_task *task = rendering->task;
    const struct weir_usage *usage = &task->usage;
    if (!weir_span_is_empty(rendering->scripted->native_usage)) {
        weir_buffer_append(out, rendering->scripted->native_usage);
        return;
    }
    int64_t input = sim__task_said(task, usage->input);
    int64_t output = sim__task_said(task, usage->output);
    int64_t total = input + output;
    weir_buffer_printf(
        out,
        "{\"prompt_tokens\":%lld,\"completion_tokens\":%lld,\"total_tokens\":%lld,"
        "\"prompt_tokens_details\":{\"cached_tokens\":%lld,\"cache_write_tokens\":%lld,\"audio_tokens\":%lld},"
        "\"completion_tokens_details\":{\"reasoning_tokens\":%lld,\"audio_tokens\":%lld,"
        "\"accepted_prediction_tokens\":0,\"rejected_prediction_tokens\":0}}",
        (long long)input, (long long)output, (long long)total, (long long)sim__task_said(task, usage->cached),
        (long long)sim__task_said(task, usage->cache_write), (long long)sim__task_said(task, usage->input_audio),
        (long long)sim__task_said(task, usage->reasoning), (long long)sim__task_said(task, usage->output_audio));
}

static bool is_told(const struct rendering *rendering, const struct sim_block *block) {
    return block->kind != SIM_BLOCK_REDACTED &&
           (block->kind != SIM_BLOCK_THINKING || rendering->chat->reasoning_name != NULL);
}

/* --- whole --- */

/* All texts of a kind as one string, or null where there are none. */
static void write_joined(const struct rendering *rendering, enum sim_block_kind kind, struct weir_buffer *out) {
    struct weir_buffer joined;
    bool any = false;
    weir_buffer_init(&joined, MAX_EVENT_BYTES);
    for (size_t i = 0; i < rendering->scripted->count; i++) {
        const struct sim_block *block = &rendering->scripted->blocks[i];
        if (block->kind == kind) {
            any = true;
            weir_buffer_append(&joined, block->text.bytes);
        }
    }
    if (any) {
        weir_json_append_string(out, weir_buffer_span(&joined));
    } else {
        weir_buffer_append(out, WEIR_SPAN("null"));
    }
    weir_buffer_release(&joined);
}

static void write_calls(const struct rendering *rendering, struct weir_buffer *out) {
    size_t calls = 0;
    for (size_t i = 0; i < rendering->scripted->count; i++) {
        const struct sim_block *block = &rendering->scripted->blocks[i];
        if (block->kind != SIM_BLOCK_TOOL) {
            continue;
        }
        weir_buffer_append(out, calls++ == 0 ? WEIR_SPAN(",\"tool_calls\":[{\"id\":") : WEIR_SPAN(",{\"id\":"));
        weir_json_append_string(out, block->id);
        weir_buffer_append(out, WEIR_SPAN(",\"type\":\"function\",\"function\":{\"name\":"));
        weir_json_append_string(out, block->name);
        weir_buffer_append(out, WEIR_SPAN(",\"arguments\":"));
        weir_json_append_string(out, block->text.bytes);
        weir_buffer_append(out, WEIR_SPAN("}}"));
    }
    weir_buffer_append(out, calls > 0 ? WEIR_SPAN("]") : WEIR_SPAN(""));
}

static void write_whole(const struct rendering *rendering, struct weir_buffer *out) {
    const struct sim_answer_facts *facts = rendering->facts;
    weir_buffer_printf(out, "{\"id\":\"%s\",\"object\":\"chat.completion\",\"created\":%lld,\"model\":%.*s", facts->id,
                       (long long)facts->created_s, WEIR_SPAN_PRINT(rendering->chat->model_json));
    weir_buffer_append(out, WEIR_SPAN(",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":"));
    write_joined(rendering, SIM_BLOCK_TEXT, out);
    if (rendering->chat->reasoning_name != NULL) {
        weir_buffer_printf(out, ",\"%s\":", rendering->chat->reasoning_name);
        write_joined(rendering, SIM_BLOCK_THINKING, out);
    }
    weir_buffer_append(out, WEIR_SPAN(",\"refusal\":"));
    write_joined(rendering, SIM_BLOCK_REFUSAL, out);
    write_calls(rendering, out);
    weir_buffer_append(out, WEIR_SPAN(",\"annotations\":[]},\"logprobs\":null,\"finish_reason\":"));
    write_finish(rendering, out);
    weir_buffer_append(out, WEIR_SPAN("}]"));
    if (!facts->no_usage) {
        weir_buffer_append(out, WEIR_SPAN(",\"usage\":"));
        write_usage(rendering, out);
    }
    weir_buffer_append(out, WEIR_SPAN(",\"service_tier\":\"default\",\"system_fingerprint\":\"fp_weir_sim\"}"));
    rendering->task->object = true;
}

/* --- streamed --- */

static void begin_event(const struct rendering *rendering, struct weir_buffer *out) {
    const struct sim_answer_facts *facts = rendering->facts;
    weir_buffer_printf(out,
                       "{\"id\":\"%s\",\"object\":\"chat.completion.chunk\",\"created\":%lld,\"model\":%.*s,"
                       "\"service_tier\":\"default\",\"system_fingerprint\":\"fp_weir_sim\",\"choices\":[",
                       facts->id, (long long)facts->created_s, WEIR_SPAN_PRINT(rendering->chat->model_json));
}

static void begin_delta(const struct rendering *rendering, struct weir_buffer *out) {
    begin_event(rendering, out);
    weir_buffer_append(out, WEIR_SPAN("{\"index\":0,\"delta\":{"));
}

/* What follows a delta but in the last event of the choice. */
static struct weir_span end_of(const struct rendering *rendering) {
    return rendering->usage ? WEIR_SPAN("},\"logprobs\":null,\"finish_reason\":null}],\"usage\":null")
                            : WEIR_SPAN("},\"logprobs\":null,\"finish_reason\":null}]");
}

/* A text, token by token; `line` is what stands before each. */
static void tell_text(const struct rendering *rendering, struct sim_script *script, const struct sim_block *block,
                      const char *closing, struct weir_buffer *line) {
    struct weir_span before;
    const char *after = weir_arena_format(script->arena, "%s%.*s", closing, WEIR_SPAN_PRINT(end_of(rendering)));
    if (after == NULL || weir_buffer_status(line) != WEIR_OK ||
        weir_arena_dup(script->arena, weir_buffer_span(line), &before) != WEIR_OK) {
        script->failed = true;
    } else {
        sim__script_text(script, NULL, before, weir_span_of_string(after), block->text, 1);
    }
    weir_buffer_clear(line);
}

static void tell_call(const struct rendering *rendering, struct sim_script *script, const struct sim_block *block,
                      size_t index, struct weir_buffer *line) {
    begin_delta(rendering, line);
    weir_buffer_printf(line, "\"tool_calls\":[{\"index\":%zu,\"id\":", index);
    weir_json_append_string(line, block->id);
    weir_buffer_append(line, WEIR_SPAN(",\"type\":\"function\",\"function\":{\"name\":"));
    weir_json_append_string(line, block->name);
    weir_buffer_append(line, WEIR_SPAN(",\"arguments\":\"\"}}]"));
    weir_buffer_append(line, end_of(rendering));
    sim__script_take(script, NULL, line, 1);
    begin_delta(rendering, line);
    weir_buffer_printf(line, "\"tool_calls\":[{\"index\":%zu,\"function\":{\"arguments\":", index);
    tell_text(rendering, script, block, "}}]", line);
}

static void tell_end(const struct rendering *rendering, struct sim_script *script, struct weir_buffer *line) {
    begin_event(rendering, line);
    weir_buffer_append(line, WEIR_SPAN("{\"index\":0,\"delta\":{},\"logprobs\":null,\"finish_reason\":"));
    write_finish(rendering, line);
    weir_buffer_append(line, rendering->usage ? WEIR_SPAN("}],\"usage\":null") : WEIR_SPAN("}]"));
    sim__script_take(script, NULL, line, 0);
    if (rendering->usage) {
        begin_event(rendering, line);
        weir_buffer_append(line, WEIR_SPAN("],\"usage\":"));
        write_usage(rendering, line);
        sim__script_take(script, NULL, line, 0);
    }
    sim__script_plain(script, "[DONE]");
    script->terminal = 1;
}

static enum weir_status write_stream(const struct rendering *rendering) {
    struct sim_task *task = rendering->task;
    struct sim_script script;
    struct weir_buffer line;
    size_t calls = 0;
    sim__script_init(&script, task->arena, SIM_FRAMING_EVENTS);
    weir_buffer_init(&line, MAX_EVENT_BYTES);
    begin_delta(rendering, &line);
    weir_buffer_append(&line, WEIR_SPAN("\"role\":\"assistant\",\"content\":null,\"refusal\":null"));
    weir_buffer_append(&line, end_of(rendering));
    sim__script_take(&script, NULL, &line, 0);
    for (size_t i = 0; i < rendering->scripted->count; i++) {
        const struct sim_block *block = &rendering->scripted->blocks[i];
        if (!is_told(rendering, block)) {
            continue;
        }
        if (block->kind == SIM_BLOCK_TOOL) {
            tell_call(rendering, &script, block, calls++, &line);
            continue;
        }
        begin_delta(rendering, &line);
        weir_buffer_printf(&line, "\"%s\":",
                           block->kind == SIM_BLOCK_TEXT      ? "content"
                           : block->kind == SIM_BLOCK_REFUSAL ? "refusal"
                                                              : rendering->chat->reasoning_name);
        tell_text(rendering, &script, block, "", &line);
    }
    tell_end(rendering, &script, &line);
    weir_buffer_release(&line);
    return sim__task_stream(task, &script);
}

enum weir_status sim__chat_scripted(struct sim_task *task, const struct sim_chat *chat,
                                    const struct sim_answer_facts *facts) {
    const struct rendering rendering = {
        .task = task,
        .chat = chat,
        .facts = facts,
        .scripted = task->scripted,
        .usage = chat->include_usage && !facts->no_usage,
    };
    task->usage = task->scripted->usage;
    task->usage.input = task->scripted->has_input ? task->scripted->usage.input : chat->prompt_tokens;
    task->thinking = 0;
    if (chat->stream) {
        return write_stream(&rendering);
    }
    write_whole(&rendering, task->out);
    return WEIR_OK;
}
