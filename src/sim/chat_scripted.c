/* See chat_scripted.h. Texts are one content, thoughts are `reasoning_content` as vLLM and DeepSeek have it; signatures and what is redacted
 * have no place in a chat completion. */
#include "sim/chat_scripted.h"

#include "sim/media.h"
#include "sim/scripted.h"

#include <yyjson.h>

#define MAX_EVENT_BYTES ((size_t)64 * 1024 * 1024)

/* --- what a script says --- */

static struct weir_span finish_of(const struct sim_scripted *scripted) {
    static const char *const names[] = {
        [SIM_FINISH_STOP] = "stop",        [SIM_FINISH_LENGTH] = "length",
        [SIM_FINISH_TOOLS] = "tool_calls", [SIM_FINISH_FILTER] = "content_filter",
        [SIM_FINISH_SEQUENCE] = "stop",    [SIM_FINISH_PAUSE] = "stop",
        [SIM_FINISH_CONTEXT] = "length",
    };
    if (!weir_span_is_empty(scripted->native_finish)) {
        return scripted->native_finish;
    }
    if (scripted->finish == SIM_FINISH_FILTER && !scripted->has_finish) {
        return WEIR_SPAN("stop"); /* a refusal in words is an answer that has come to its end */
    }
    return weir_span_of_string(names[scripted->finish]);
}

static void write_usage(const struct sim_task *task, struct weir_buffer *out) {
    const struct weir_usage *usage = &task->usage;
    if (!weir_span_is_empty(task->scripted->native_usage)) {
        weir_buffer_append(out, task->scripted->native_usage);
        return;
    }
    int64_t prompt = sim__task_said(task, usage->input);
    int64_t completion = sim__task_said(task, usage->output);
    weir_buffer_printf(
        out,
        "{\"prompt_tokens\":%lld,\"completion_tokens\":%lld,\"total_tokens\":%lld,\"prompt_tokens_details\":"
        "{\"cached_tokens\":%lld,\"cache_write_tokens\":%lld,\"audio_tokens\":%lld,\"image_tokens\":%lld},"
        "\"completion_tokens_details\":{\"reasoning_tokens\":%lld,\"audio_tokens\":%lld,"
        "\"accepted_prediction_tokens\":0,\"rejected_prediction_tokens\":0}}",
        (long long)prompt, (long long)completion, (long long)(prompt + completion),
        (long long)sim__task_said(task, usage->cached), (long long)sim__task_said(task, usage->cache_write),
        (long long)sim__task_said(task, usage->input_audio), (long long)sim__task_said(task, usage->input_image),
        (long long)sim__task_said(task, usage->reasoning), (long long)sim__task_said(task, usage->output_audio));
}

/* All texts of a kind as one string; null where there is none. */
static enum weir_status write_texts(const struct sim_task *task, enum sim_block_kind kind, struct weir_buffer *out) {
    const struct sim_scripted *scripted = task->scripted;
    struct weir_buffer all;
    bool found = false;
    weir_buffer_init(&all, MAX_EVENT_BYTES);
    for (size_t i = 0; i < scripted->count; i++) {
        if (scripted->blocks[i].kind == kind) {
            weir_buffer_append(&all, scripted->blocks[i].text.bytes);
            found = true;
        }
    }
    if (found) {
        weir_json_append_string(out, weir_buffer_span(&all));
    } else {
        weir_buffer_append(out, WEIR_SPAN("null"));
    }
    enum weir_status status = weir_buffer_status(&all);
    weir_buffer_release(&all);
    return status;
}

static bool has_kind(const struct sim_scripted *scripted, enum sim_block_kind kind) {
    bool found = false;
    for (size_t i = 0; i < scripted->count; i++) {
        found |= scripted->blocks[i].kind == kind;
    }
    return found;
}

/* {"id":…,"type":"function","function":{"name":…,"arguments": */
static void begin_tool(const struct sim_block *block, struct weir_buffer *out) {
    weir_buffer_append(out, WEIR_SPAN("\"id\":"));
    weir_json_append_string(out, block->id);
    weir_buffer_append(out, WEIR_SPAN(",\"type\":\"function\",\"function\":{\"name\":"));
    weir_json_append_string(out, block->name);
    weir_buffer_append(out, WEIR_SPAN(",\"arguments\":"));
}

/* --- whole --- */

static void write_tools(const struct sim_scripted *scripted, struct weir_buffer *out) {
    const char *comma = ",\"tool_calls\":[";
    for (size_t i = 0; i < scripted->count; i++) {
        const struct sim_block *block = &scripted->blocks[i];
        if (block->kind == SIM_BLOCK_TOOL) {
            weir_buffer_append(out, weir_span_of_string(comma));
            weir_buffer_append_byte(out, '{');
            begin_tool(block, out);
            sim__text_write(&block->text, out);
            weir_buffer_append(out, WEIR_SPAN("}}"));
            comma = ",";
        }
    }
    weir_buffer_append(out, WEIR_SPAN("]"));
}

static enum weir_status write_whole(struct sim_task *task, const struct sim_chat *chat,
                                    const struct sim_answer_facts *facts) {
    const struct sim_scripted *scripted = task->scripted;
    struct weir_buffer *out = task->out;
    weir_buffer_printf(out, "{\"id\":\"%s\",\"object\":\"chat.completion\",\"created\":%lld,\"model\":", facts->id,
                       (long long)facts->created_s);
    weir_buffer_append(out, chat->model_json);
    weir_buffer_append(out, WEIR_SPAN(",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":"));
    enum weir_status status = write_texts(task, SIM_BLOCK_TEXT, out);
    weir_buffer_append(out, WEIR_SPAN(",\"refusal\":"));
    status = status == WEIR_OK ? write_texts(task, SIM_BLOCK_REFUSAL, out) : status;
    if (has_kind(scripted, SIM_BLOCK_THINKING)) {
        weir_buffer_append(out, WEIR_SPAN(",\"reasoning_content\":"));
        status = status == WEIR_OK ? write_texts(task, SIM_BLOCK_THINKING, out) : status;
    }
    if (has_kind(scripted, SIM_BLOCK_TOOL)) {
        write_tools(scripted, out);
    }
    weir_buffer_append(out, WEIR_SPAN(",\"annotations\":[]},\"logprobs\":null,\"finish_reason\":"));
    weir_json_append_string(out, finish_of(scripted));
    weir_buffer_append(out, WEIR_SPAN("}],\"service_tier\":\"default\",\"system_fingerprint\":\"fp_weir_sim\""));
    if (!task->no_usage) {
        weir_buffer_append(out, WEIR_SPAN(",\"usage\":"));
        write_usage(task, out);
    }
    weir_buffer_append_byte(out, '}');
    task->object = true;
    return status;
}

/* --- streamed --- */

struct telling {
    struct sim_script script;
    struct weir_buffer event;
    struct weir_span prefix; /* of every event, up to the choices */
    const char *end;         /* what follows a choice in every event */
    unsigned tools;          /* calls so far */
};

static void begin(struct telling *telling) {
    weir_buffer_append(&telling->event, telling->prefix);
    weir_buffer_append(&telling->event, WEIR_SPAN("{\"index\":0,\"delta\":{"));
}

static void end(struct telling *telling, int64_t tokens) {
    weir_buffer_append(&telling->event, weir_span_of_string(telling->end));
    sim__script_take(&telling->script, NULL, &telling->event, tokens);
}

/* A run of tokens between what stands in the event so far and `after`. */
static void tell_run(struct telling *telling, const char *after, const struct sim_text *text) {
    struct weir_span start;
    const char *behind = weir_arena_format(telling->script.arena, "%s%s", after, telling->end);
    if (behind == NULL || weir_buffer_status(&telling->event) != WEIR_OK ||
        weir_arena_dup(telling->script.arena, weir_buffer_span(&telling->event), &start) != WEIR_OK) {
        telling->script.failed = true;
    } else {
        sim__script_text(&telling->script, NULL, start, weir_span_of_string(behind), *text, 1);
    }
    weir_buffer_clear(&telling->event);
}

static void tell_block(struct telling *telling, const struct sim_block *block) {
    const char *member = block->kind == SIM_BLOCK_TEXT       ? "content"
                         : block->kind == SIM_BLOCK_THINKING ? "reasoning_content"
                                                             : "refusal";
    if (block->kind == SIM_BLOCK_REDACTED) {
        return;
    }
    if (block->kind == SIM_BLOCK_TOOL) {
        begin(telling);
        weir_buffer_printf(&telling->event, "\"tool_calls\":[{\"index\":%u,", telling->tools);
        begin_tool(block, &telling->event);
        weir_buffer_append(&telling->event, WEIR_SPAN("\"\"}}]"));
        end(telling, 1);
        begin(telling);
        weir_buffer_printf(&telling->event,
                           "\"tool_calls\":[{\"index\":%u,\"function\":{\"arguments\":", telling->tools++);
        tell_run(telling, "}}]", &block->text);
        return;
    }
    begin(telling);
    weir_buffer_printf(&telling->event, "\"%s\":", member);
    tell_run(telling, "", &block->text);
}

static enum weir_status tell(struct sim_task *task, const struct sim_chat *chat, const struct sim_answer_facts *facts) {
    struct telling telling = {.tools = 0};
    bool has_usage = chat->include_usage && !task->no_usage;
    const char *prefix =
        weir_arena_format(task->arena,
                          "{\"id\":\"%s\",\"object\":\"chat.completion.chunk\",\"created\":%lld,\"model\":%.*s,"
                          "\"service_tier\":\"default\",\"system_fingerprint\":\"fp_weir_sim\",\"choices\":[",
                          facts->id, (long long)facts->created_s, WEIR_SPAN_PRINT(chat->model_json));
    if (prefix == NULL) {
        return WEIR_ENOMEM;
    }
    telling.prefix = weir_span_of_string(prefix);
    telling.end = has_usage ? "},\"logprobs\":null,\"finish_reason\":null}],\"usage\":null"
                            : "},\"logprobs\":null,\"finish_reason\":null}]";
    sim__script_init(&telling.script, task->arena, SIM_FRAMING_EVENTS);
    weir_buffer_init(&telling.event, MAX_EVENT_BYTES);
    begin(&telling);
    weir_buffer_append(&telling.event, WEIR_SPAN("\"role\":\"assistant\",\"content\":"));
    weir_buffer_append(&telling.event,
                       has_kind(task->scripted, SIM_BLOCK_TEXT) ? WEIR_SPAN("\"\"") : WEIR_SPAN("null"));
    end(&telling, 0);
    for (size_t i = 0; i < task->scripted->count; i++) {
        tell_block(&telling, &task->scripted->blocks[i]);
    }
    begin(&telling);
    weir_buffer_append(&telling.event, WEIR_SPAN("},\"logprobs\":null,\"finish_reason\":"));
    weir_json_append_string(&telling.event, finish_of(task->scripted));
    weir_buffer_append(&telling.event, has_usage ? WEIR_SPAN("}],\"usage\":null") : WEIR_SPAN("}]"));
    sim__script_take(&telling.script, NULL, &telling.event, 0);
    if (has_usage) {
        weir_buffer_append(&telling.event, telling.prefix);
        weir_buffer_append(&telling.event, WEIR_SPAN("],\"usage\":"));
        write_usage(task, &telling.event);
        sim__script_take(&telling.script, NULL, &telling.event, 0);
    }
    sim__script_plain(&telling.script, "[DONE]");
    telling.script.terminal = 1;
    weir_buffer_release(&telling.event);
    return sim__task_stream(task, &telling.script);
}

enum weir_status sim__chat_scripted(struct sim_task *task, const struct sim_chat *chat,
                                    const struct sim_answer_facts *facts) {
    int64_t input = task->usage.input;
    task->usage = task->scripted->usage;
    task->usage.input = task->scripted->has_input ? task->usage.input : input;
    task->thinking = 0;
    return chat->stream ? tell(task, chat, facts) : write_whole(task, chat, facts);
}

/* --- what came with a prompt --- */

static enum weir_status note_data(struct weir_arena *arena, const char *kind, struct weir_span base64,
                                  struct weir_span name, struct weir_buffer *notes) {
    struct weir_span bytes;
    size_t bad = 0;
    enum weir_status status = sim__base64_decode(arena, base64, &bytes, &bad);
    if (status == WEIR_OK) {
        sim__media_describe(kind, bytes, name, notes);
    }
    return status;
}

/* An address, or data: with the bytes themselves. */
static enum weir_status note_url(struct weir_arena *arena, const char *kind, struct weir_span url,
                                 struct weir_span name, struct weir_buffer *notes) {
    struct weir_span type;
    struct weir_span base64;
    enum weir_status status = WEIR_EINVAL;
    if (weir_span_is_empty(url)) {
        return WEIR_OK;
    }
    if (sim__media_data_url(url, &type, &base64)) {
        status = note_data(arena, kind, base64, name, notes);
    }
    if (status == WEIR_EINVAL) {
        sim__media_refer(kind, url, notes);
        status = WEIR_OK;
    }
    return status;
}

static enum weir_status note_part(struct weir_arena *arena, yyjson_val *part, struct weir_buffer *notes) {
    yyjson_val *type = yyjson_obj_get(part, "type");
    yyjson_val *image = yyjson_obj_get(part, "image_url");
    yyjson_val *file = sim__input_is(type, "file") ? yyjson_obj_get(part, "file") : part;
    yyjson_val *audio = yyjson_obj_get(part, "input_audio");
    const char *kind = sim__input_is(type, "image_url") || sim__input_is(type, "input_image") ? "image" : "document";
    struct weir_span name = sim__input_text(yyjson_obj_get(file, "filename"));
    enum weir_status status = note_url(arena, kind,
                                       sim__input_text(yyjson_is_obj(image) ? yyjson_obj_get(image, "url") : image),
                                       name, notes);
    if (status == WEIR_OK) {
        status = note_url(arena, kind, sim__input_text(yyjson_obj_get(file, "file_data")), name, notes);
    }
    if (status == WEIR_OK) {
        status = note_url(arena, kind, sim__input_text(yyjson_obj_get(file, "file_url")), name, notes);
    }
    if (status == WEIR_OK) {
        status = note_url(arena, kind, sim__input_text(yyjson_obj_get(file, "file_id")), name, notes);
    }
    if (status == WEIR_OK && yyjson_is_str(yyjson_obj_get(audio, "data"))) {
        status = note_data(arena, "audio", sim__input_text(yyjson_obj_get(audio, "data")), WEIR_SPAN(""), notes);
    }
    return status == WEIR_ENOMEM ? status : WEIR_OK;
}

enum weir_status sim__openai_notes(struct weir_arena *arena, yyjson_val *content, struct weir_buffer *notes) {
    size_t index;
    size_t count;
    yyjson_val *part;
    enum weir_status status = WEIR_OK;
    yyjson_arr_foreach(content, index, count, part) {
        if (status == WEIR_OK && yyjson_is_obj(part)) {
            status = note_part(arena, part, notes);
        }
    }
    return status;
}
