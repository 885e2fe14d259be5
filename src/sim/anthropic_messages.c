/* POST /v1/messages and /v1/messages/count_tokens: what the answer consists of. See anthropic.h for the rest. */
#include "sim/anthropic.h"

#include "sim/files.h"
#include "sim/media.h"
#include "sim/schema.h"
#include "sim/scripted.h"
#include "sim/signature.h"

#include <yyjson.h>

enum { PREAMBLE_TOKENS = 6, REFUSED_TOKENS = 4, MAX_STOPS = 64, MOST_TOOLS = 2 };
#define MAX_NOTES_BYTES ((size_t)1024 * 1024)
#define MAX_RAW_BYTES ((size_t)64 * 1024)

struct making {
    struct sim_asked *asked;
    struct sim_task *task;
    struct sim_message *message;
    uint64_t seed;
    int64_t limit; /* tokens that are left */
};

/* --- the blocks of the answer --- */

static struct sim_content *add_content(struct making *making, enum sim_content_kind kind) {
    struct sim_message *message = making->message;
    weir_bug_on(message->count == SIM_MAX_CONTENTS);
    struct sim_content *content = &message->contents[message->count++];
    *content = (struct sim_content){.kind = kind, .weight = 1};
    return content;
}

/* What of a text the limit leaves; true when it leaves all. */
static bool take_tokens(struct making *making, struct sim_text *text) {
    bool whole = (int64_t)text->count <= making->limit;
    text->count = whole ? text->count : (size_t)making->limit;
    making->limit -= (int64_t)text->count;
    making->message->usage.output += (int64_t)text->count;
    return whole;
}

/* All of a text as bytes in the arena. */
static bool text_bytes(struct making *making, const struct sim_text *text, struct weir_span *bytes) {
    struct sim_text written = *text;
    bool stopped = false;
    bool done = sim__text_stop(making->task->arena, NULL, 0, &written, &stopped) == WEIR_OK;
    *bytes = written.bytes;
    return done;
}

static bool thinks(const struct sim_asked *asked) {
    switch (asked->thinking) {
    case SIM_THINKING_ENABLED: return true;
    case SIM_THINKING_ADAPTIVE: return asked->last_is_user;
    case SIM_THINKING_BETWEEN_TOOLS: return asked->last_is_user && asked->has_results;
    case SIM_THINKING_OFF: break;
    }
    return false;
}

/* 8 to 32 tokens of thoughts; false: no memory. */
static bool add_thinking(struct making *making) {
    struct sim_task *task = making->task;
    struct sim_message *message = making->message;
    struct sim_text text = sim__text_words(sim__mix(making->seed + 77), 8 + sim__mix(making->seed) % 25);
    struct weir_span bytes;
    if (!thinks(making->asked) || making->limit == 0) {
        return true;
    }
    bool redacted = sim__input_contains(task->model, "redacted");
    struct sim_content *content = add_content(making, redacted ? SIM_CONTENT_REDACTED : SIM_CONTENT_THINKING);
    (void)take_tokens(making, &text);
    message->usage.reasoning = (int64_t)text.count;
    content->text = text;
    if (redacted || making->asked->hides_thinking) {
        content->hidden_tokens = (int64_t)text.count;
        content->text.count = 0;
        task->thinking = content->hidden_tokens;
    }
    return text_bytes(making, &content->text, &bytes) &&
           sim__signature_make(task->arena, making->seed, redacted ? WEIR_SPAN("redacted") : bytes,
                               &content->signature);
}

/* --- tools --- */

static bool is_custom(yyjson_val *tool) {
    yyjson_val *type = yyjson_obj_get(tool, "type");
    return type == NULL || yyjson_is_null(type) || sim__input_is(type, "custom");
}

/* The tools to call: the one that tool_choice names, else the first two, or the first where parallel calls are off. */
static size_t choose_tools(const struct sim_asked *asked, yyjson_val *chosen[MOST_TOOLS]) {
    yyjson_val *choice = yyjson_obj_get(asked->task->root, "tool_choice");
    yyjson_val *type = yyjson_obj_get(choice, "type");
    struct weir_span wanted = sim__input_text(yyjson_obj_get(choice, "name"));
    bool forced = sim__input_is(type, "any") || sim__input_is(type, "tool");
    bool single = yyjson_is_true(yyjson_obj_get(choice, "disable_parallel_tool_use")) || wanted.length > 0;
    size_t found = 0;
    size_t index;
    size_t count;
    yyjson_val *tool;
    if (sim__input_is(type, "none") || !asked->last_is_user || (asked->has_results && !forced)) {
        return 0;
    }
    yyjson_arr_foreach(asked->tools, index, count, tool) {
        struct weir_span name = sim__input_text(yyjson_obj_get(tool, "name"));
        if (found < (single ? 1U : MOST_TOOLS) && is_custom(tool) &&
            (wanted.length == 0 || weir_span_equal(wanted, name))) {
            chosen[found++] = tool;
        }
    }
    return found;
}

/* False: no memory. */
static bool add_tools(struct making *making, yyjson_val *const *tools, size_t count) {
    struct weir_arena *arena = making->task->arena;
    making->message->stop_reason = WEIR_SPAN("tool_use");
    if (sim__input_contains(making->task->model, "chatty") && making->limit > 0) {
        struct sim_content *content = add_content(making, SIM_CONTENT_TEXT);
        content->text = sim__text_words(sim__mix(making->seed + 5), PREAMBLE_TOKENS);
        (void)take_tokens(making, &content->text);
    }
    for (size_t i = 0; i < count; i++) {
        uint64_t seed = sim__mix(making->seed + i);
        const char *id = weir_arena_format(arena, "toolu_%016llx", (unsigned long long)seed);
        if (making->limit == 0) {
            making->message->stop_reason = WEIR_SPAN("max_tokens");
            return true;
        }
        struct sim_content *content = add_content(making, SIM_CONTENT_TOOL);
        content->id = weir_span_of_string(id);
        if (id == NULL ||
            weir_arena_dup(arena, sim__input_text(yyjson_obj_get(tools[i], "name")), &content->name) != WEIR_OK ||
            sim__schema_text(arena, yyjson_obj_get(tools[i], "input_schema"), seed, &content->text) != WEIR_OK) {
            return false;
        }
        content->hidden_tokens = 1;
        making->limit--;
        making->message->usage.output++;
        if (!take_tokens(making, &content->text)) {
            content->cut = true;
            making->message->stop_reason = WEIR_SPAN("max_tokens");
            return true;
        }
    }
    return true;
}

static bool has_search(const struct sim_asked *asked) {
    size_t index;
    size_t count;
    yyjson_val *tool;
    bool found = false;
    yyjson_arr_foreach(asked->tools, index, count, tool) {
        found |= weir_span_starts_with(sim__input_text(yyjson_obj_get(tool, "type")), WEIR_SPAN("web_search_"));
    }
    return found && asked->last_is_user &&
           !sim__input_is(yyjson_obj_get(yyjson_obj_get(asked->task->root, "tool_choice"), "type"), "none");
}

/* The provider's own search: a call and its result, both in the answer. */
static bool add_search(struct making *making) {
    struct weir_arena *arena = making->task->arena;
    const char *id = weir_arena_format(arena, "srvtoolu_%016llx", (unsigned long long)sim__mix(making->seed + 9));
    struct sim_content *content = add_content(making, SIM_CONTENT_SERVER_TOOL);
    content->id = weir_span_of_string(id);
    content->name = WEIR_SPAN("web_search");
    if (id == NULL || sim__text_pieces(arena, WEIR_SPAN("{\"query\":\"water\"}"), &content->text) != WEIR_OK) {
        return false;
    }
    content->cut = !take_tokens(making, &content->text);
    making->message->searches = 1;
    content = add_content(making, SIM_CONTENT_RAW);
    const char *raw = weir_arena_format(
        arena,
        "{\"type\":\"web_search_tool_result\",\"tool_use_id\":\"%s\",\"content\":[{\"type\":\"web_search_result\","
        "\"url\":\"https://example.com/water\",\"title\":\"Water\",\"encrypted_content\":\"d2F0ZXI=\","
        "\"page_age\":null}]",
        id);
    content->raw = weir_span_of_string(raw);
    return raw != NULL;
}

/* --- text --- */

static bool note_block(struct making *making, yyjson_val *block, struct weir_buffer *notes);

static bool note_blocks(struct making *making, yyjson_val *content, struct weir_buffer *notes) {
    size_t index;
    size_t count;
    yyjson_val *block;
    yyjson_arr_foreach(content, index, count, block) {
        if (!note_block(making, block, notes)) {
            return false;
        }
    }
    return true;
}

static bool note_block(struct making *making, yyjson_val *block, struct weir_buffer *notes) {
    yyjson_val *type = yyjson_obj_get(block, "type");
    yyjson_val *source = yyjson_obj_get(block, "source");
    yyjson_val *how = yyjson_obj_get(source, "type");
    const char *kind = sim__input_is(type, "image") ? "image" : "document";
    const char *what = sim__input_is(type, "image") ? "image" : "file";
    struct weir_span media = sim__input_text(yyjson_obj_get(source, "media_type"));
    struct weir_span data = sim__input_text(yyjson_obj_get(source, "data"));
    struct weir_span title = sim__input_text(yyjson_obj_get(block, "title"));
    if (sim__input_is(type, "tool_result")) {
        return note_blocks(making, yyjson_obj_get(block, "content"), notes);
    }
    if (!sim__input_is(type, "image") && !sim__input_is(type, "document")) {
        return true;
    }
    if (sim__input_is(how, "base64")) {
        struct weir_span bytes;
        size_t bad = 0;
        enum weir_status status = sim__base64_decode(making->task->arena, data, &bytes, &bad);
        if (status == WEIR_OK) {
            sim__media_describe(what, media, bytes, title, notes);
        }
        return status == WEIR_OK ||
               (status == WEIR_EINVAL &&
                sim__anthropic_refuse(making->task, "messages: %s source: Invalid base64 data", kind));
    }
    if (sim__input_is(how, "url")) {
        sim__media_refer(what, "url", sim__input_text(yyjson_obj_get(source, "url")), notes);
    } else if (sim__input_is(how, "file")) {
        struct weir_span id = sim__input_text(yyjson_obj_get(source, "file_id"));
        const struct sim_object *object = sim__store_find(making->task->store, SIM_OBJECT_NATIVE_FILE, id);
        const struct sim_file *file = object->value;
        sim__media_describe(what, WEIR_SPAN(""), file->content, file->name, notes);
    } else if (sim__input_is(how, "text")) {
        sim__media_describe(what, media, data, title, notes);
    } else {
        sim__media_refer(what, "file", WEIR_SPAN("its blocks"), notes);
    }
    return true;
}

/* The notes on what came with the last turn, before the words. False: refused, or no memory. */
static bool add_notes(struct making *making, struct sim_text *text) {
    struct weir_buffer notes;
    size_t index;
    size_t count;
    yyjson_val *message;
    bool done = true;
    weir_buffer_init(&notes, MAX_NOTES_BYTES);
    yyjson_arr_foreach(making->asked->messages, index, count, message) {
        done = done &&
               (index < making->asked->last_turn || note_blocks(making, yyjson_obj_get(message, "content"), &notes));
    }
    if (done && notes.length > 0) {
        done = weir_buffer_status(&notes) == WEIR_OK &&
               sim__text_after(making->task->arena, weir_buffer_span(&notes), text) == WEIR_OK;
    }
    weir_buffer_release(&notes);
    return done;
}

/* Ends the text at the first stop sequence, and says which it was. False: no memory. */
static bool apply_stops(struct making *making, struct sim_text *text) {
    yyjson_val *stops = yyjson_obj_get(making->task->root, "stop_sequences");
    struct weir_span bytes;
    size_t index;
    size_t count;
    yyjson_val *stop;
    size_t first = SIZE_MAX;
    struct weir_span found = WEIR_SPAN("");
    bool stopped = false;
    if (yyjson_arr_size(stops) == 0) {
        return true;
    }
    if (!text_bytes(making, text, &bytes)) {
        return false;
    }
    yyjson_arr_foreach(stops, index, count, stop) {
        struct weir_span sequence = sim__input_text(stop);
        const char *at = memmem(bytes.at, bytes.length, sequence.at, sequence.length);
        if (at != NULL && (size_t)(at - bytes.at) < first) {
            first = (size_t)(at - bytes.at);
            found = sequence;
        }
    }
    if (first == SIZE_MAX) {
        return true;
    }
    making->message->stop_reason = WEIR_SPAN("stop_sequence");
    return sim__text_stop(making->task->arena, &found, 1, text, &stopped) == WEIR_OK &&
           weir_arena_dup(making->task->arena, found, &making->message->stop_sequence) == WEIR_OK;
}

static bool make_words(struct making *making, struct sim_text *text) {
    struct sim_task *task = making->task;
    yyjson_val *format = yyjson_obj_get(yyjson_obj_get(task->root, "output_config"), "format");
    yyjson_val *schema = yyjson_obj_get(format, "schema");
    if (schema != NULL) {
        return sim__schema_text(task->arena, schema, making->seed, text) == WEIR_OK;
    }
    *text = sim__text_words(sim__mix(making->seed), (size_t)task->wishes->tokens);
    return add_notes(making, text);
}

/* Models whose names say how they end. */
static void end_by_name(struct making *making, struct sim_text *text) {
    static const struct {
        const char *part, *reason;
    } rows[] = {
        {"refusing", "refusal"},
        {"pausing", "pause_turn"},
        {"overflowing", "model_context_window_exceeded"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (sim__input_contains(making->task->model, rows[i].part)) {
            making->message->stop_reason = weir_span_of_string(rows[i].reason);
            making->message->refused = i == 0;
        }
    }
    if (making->message->refused && text->count > REFUSED_TOKENS) {
        text->count = REFUSED_TOKENS;
    }
}

static bool add_text(struct making *making) {
    struct sim_text text;
    if (making->task->huge_bytes > 0) {
        struct sim_content *content = add_content(making, SIM_CONTENT_TEXT);
        content->weight = sim__input_tokens((size_t)making->task->huge_bytes);
        making->message->usage.output += content->weight;
        making->task->huge_done = true;
        return sim__text_filler(making->task->arena, (size_t)making->task->huge_bytes, &content->text) == WEIR_OK;
    }
    if (!make_words(making, &text)) {
        return false;
    }
    bool whole = (int64_t)text.count <= making->limit;
    text.count = whole ? text.count : (size_t)making->limit;
    if (!whole) {
        making->message->stop_reason = WEIR_SPAN("max_tokens");
    }
    if (!apply_stops(making, &text)) {
        return false;
    }
    end_by_name(making, &text);
    (void)take_tokens(making, &text);
    if (text.count > 0) {
        add_content(making, SIM_CONTENT_TEXT)->text = text;
    }
    return true;
}

/* --- what a script wants --- */

static bool add_scripted(struct making *making, const struct sim_block *block) {
    static const enum sim_content_kind kinds[] = {
        [SIM_BLOCK_TEXT] = SIM_CONTENT_TEXT,         [SIM_BLOCK_THINKING] = SIM_CONTENT_THINKING,
        [SIM_BLOCK_REDACTED] = SIM_CONTENT_REDACTED, [SIM_BLOCK_TOOL] = SIM_CONTENT_TOOL,
        [SIM_BLOCK_REFUSAL] = SIM_CONTENT_TEXT,
    };
    struct sim_message *message = making->message;
    struct sim_content *content = &message->contents[message->count++];
    *content = (struct sim_content){
        .kind = kinds[block->kind],
        .text = block->text,
        .name = block->name,
        .id = block->id,
        .weight = 1,
        .hidden_tokens = block->kind == SIM_BLOCK_TOOL ? 1 : 0,
        .signature = block->kind == SIM_BLOCK_REDACTED ? block->text.bytes : block->signature,
    };
    if (block->kind == SIM_BLOCK_THINKING && weir_span_is_empty(block->signature)) {
        return sim__signature_make(making->task->arena, making->seed + message->count, block->text.bytes,
                                   &content->signature);
    }
    return true;
}

static bool follow_script(struct making *making) {
    static const char *const reasons[] = {
        [SIM_FINISH_STOP] = "end_turn",
        [SIM_FINISH_LENGTH] = "max_tokens",
        [SIM_FINISH_TOOLS] = "tool_use",
        [SIM_FINISH_FILTER] = "refusal",
        [SIM_FINISH_SEQUENCE] = "stop_sequence",
        [SIM_FINISH_PAUSE] = "pause_turn",
        [SIM_FINISH_CONTEXT] = "model_context_window_exceeded",
    };
    const struct sim_scripted *scripted = making->task->scripted;
    struct sim_message *message = making->message;
    struct weir_usage counted = message->usage;
    message->contents = weir_arena_array(making->task->arena, scripted->count, sizeof *message->contents);
    if (message->contents == NULL) {
        return false;
    }
    for (size_t i = 0; i < scripted->count; i++) {
        if (!add_scripted(making, &scripted->blocks[i])) {
            return false;
        }
    }
    message->stop_reason = weir_span_is_empty(scripted->native_finish) ? weir_span_of_string(reasons[scripted->finish])
                                                                       : scripted->native_finish;
    message->stop_sequence = scripted->stop_sequence;
    message->refused = weir_span_equal(message->stop_reason, WEIR_SPAN("refusal"));
    message->usage = scripted->usage;
    message->written_1h = scripted->cache_write_1h;
    if (!scripted->has_input) {
        message->usage.input = counted.input;
    }
    message->searches = scripted->searches;
    message->fetches = scripted->fetches;
    message->native_usage = scripted->native_usage;
    return true;
}

/* --- the message --- */

/* What is remembered when the answer goes out: prefixes of prompts, and signatures. */
struct effect {
    const struct sim_prompt *prompt;
    const struct sim_message *message;
};

static void commit(struct sim_task *task) {
    const struct effect *effect = task->effect;
    for (size_t i = 0; i < effect->prompt->hash_count; i++) {
        sim__memory_keep(task->memory, effect->prompt->hashes[i]);
    }
    for (size_t i = 0; task->scripted != NULL && i < effect->message->count; i++) {
        const struct sim_content *content = &effect->message->contents[i];
        if (content->kind == SIM_CONTENT_THINKING || content->kind == SIM_CONTENT_REDACTED) {
            struct weir_span text = content->kind == SIM_CONTENT_THINKING ? content->text.bytes : WEIR_SPAN("redacted");
            sim__memory_keep(task->memory, sim__signature_hash(content->signature, text));
        }
    }
}

static bool make_contents(struct making *making) {
    yyjson_val *tools[MOST_TOOLS];
    struct sim_message *message = making->message;
    if (making->task->scripted != NULL) {
        return follow_script(making);
    }
    message->contents = weir_arena_array(making->task->arena, SIM_MAX_CONTENTS, sizeof *message->contents);
    message->stop_reason = making->limit > 0 ? WEIR_SPAN("end_turn") : WEIR_SPAN("max_tokens");
    if (message->contents == NULL || !add_thinking(making)) {
        return false;
    }
    size_t count = making->task->huge_bytes > 0 ? 0 : choose_tools(making->asked, tools);
    if (count > 0) {
        return add_tools(making, tools, count);
    }
    if (making->limit == 0) {
        message->stop_reason = WEIR_SPAN("max_tokens");
        return true;
    }
    return (!has_search(making->asked) || add_search(making)) && add_text(making);
}

enum weir_status sim__message_make(struct sim_asked *asked, struct sim_message *message) {
    struct sim_task *task = asked->task;
    struct sim_prompt *prompt = weir_arena_alloc(task->arena, sizeof *prompt);
    struct effect *effect = weir_arena_alloc(task->arena, sizeof *effect);
    char *id = sim__task_id(task, "msg_01", 22);
    if (prompt == NULL || effect == NULL || id == NULL || !sim__anthropic_count(asked, prompt)) {
        return WEIR_ENOMEM;
    }
    *message = (struct sim_message){
        .id = weir_span_of_string(id),
        .model = task->model,
        .stop_sequence = WEIR_SPAN(""),
        .native_usage = WEIR_SPAN(""),
        .usage = {.input = prompt->tokens,
                  .cached = prompt->read,
                  .cache_write = prompt->written_5m + prompt->written_1h},
        .written_1h = prompt->written_1h,
    };
    struct making making = {
        .asked = asked,
        .task = task,
        .message = message,
        .seed = prompt->seed,
        .limit = asked->max_tokens,
    };
    if (!make_contents(&making)) {
        return sim__task_failed(task);
    }
    task->usage = message->usage;
    *effect = (struct effect){.prompt = prompt, .message = message};
    task->effect = effect;
    task->commit = commit;
    return WEIR_OK;
}

enum weir_status sim__anthropic_messages(struct sim_task *task) {
    struct sim_asked asked = {.task = task};
    struct sim_message *message = weir_arena_alloc(task->arena, sizeof *message);
    if (message == NULL) {
        return WEIR_ENOMEM;
    }
    if (!sim__anthropic_check(&asked)) {
        return sim__task_failed(task);
    }
    enum weir_status status = sim__message_make(&asked, message);
    if (status != WEIR_OK || task->stream) {
        return status != WEIR_OK ? status : sim__message_stream(message, task);
    }
    sim__message_write(message, task, task->out);
    weir_buffer_append_byte(task->out, '}');
    task->object = true;
    return WEIR_OK;
}

enum weir_status sim__anthropic_count_tokens(struct sim_task *task) {
    struct sim_asked asked = {.task = task, .counting = true};
    struct sim_prompt prompt;
    if (!sim__anthropic_check(&asked) || !sim__anthropic_count(&asked, &prompt)) {
        return sim__task_failed(task);
    }
    int64_t tokens = task->scripted != NULL && task->scripted->has_input ? task->scripted->usage.input : prompt.tokens;
    weir_buffer_printf(task->out, "{\"input_tokens\":%lld}", (long long)tokens);
    task->object = true;
    return WEIR_OK;
}
