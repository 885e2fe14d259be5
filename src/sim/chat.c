/* See chat.h. */
#include "sim/chat.h"

#include "json/scan.h"
#include "json/write.h"
#include "sim/media.h"
#include "sim/schema.h"
#include "sim/settings.h"

#include <yyjson.h>

enum { IMAGE_TOKENS = 85, OTHER_PART_TOKENS = 50, MAX_CHOICES = 128, MAX_NOTES_BYTES = 1024 * 1024 };

/* All members of CreateChatCompletionRequest; anything else is unknown to the provider that is played. */
static const char *const known_fields[] = {
    "messages",
    "model",
    "metadata",
    "temperature",
    "top_p",
    "n",
    "stop",
    "stream",
    "stream_options",
    "max_tokens",
    "max_completion_tokens",
    "frequency_penalty",
    "presence_penalty",
    "logit_bias",
    "logprobs",
    "top_logprobs",
    "seed",
    "response_format",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "functions",
    "function_call",
    "reasoning_effort",
    "verbosity",
    "modalities",
    "audio",
    "prediction",
    "web_search_options",
    "service_tier",
    "store",
    "moderation",
    "user",
    "safety_identifier",
    "prompt_cache_key",
    "prompt_cache_retention",
    "prompt_cache",
};

/* What reading needs at every step. */
struct reading {
    struct weir_arena *arena, *scratch;
    yyjson_val *root;
    const struct sim_wishes *wishes;
    struct sim_chat *chat;
    struct sim_refusal *refusal;
    struct weir_buffer notes; /* what came besides text */
    uint64_t hash;            /* of the messages */
    uint64_t seed;            /* the hash with the request's own seed */
};

/* A picture, a file or a sound. */
static bool describe_part(struct reading *reading, yyjson_val *part, const char *where) {
    yyjson_val *type = yyjson_obj_get(part, "type");
    yyjson_val *file = yyjson_obj_get(part, "file");
    struct weir_span url = sim__input_text(yyjson_obj_get(yyjson_obj_get(part, "image_url"), "url"));
    struct weir_span id = sim__input_text(yyjson_obj_get(file, "file_id"));
    enum weir_status status = WEIR_OK;
    if (sim__input_is(type, "image_url")) {
        status = sim__media_address(reading->scratch, "image", url, WEIR_SPAN(""), &reading->notes);
    } else if (sim__input_is(type, "input_audio")) {
        struct weir_span data = sim__input_text(yyjson_obj_get(yyjson_obj_get(part, "input_audio"), "data"));
        status = sim__media_content(reading->scratch, "audio", data, WEIR_SPAN(""), &reading->notes);
    } else if (sim__input_is(type, "file") && !weir_span_is_empty(id)) {
        sim__media_refer("file", "file", id, &reading->notes);
    } else if (sim__input_is(type, "file")) {
        status = sim__media_content(reading->scratch, "file", sim__input_text(yyjson_obj_get(file, "file_data")),
                                    sim__input_text(yyjson_obj_get(file, "filename")), &reading->notes);
    }
    if (status == WEIR_EINVAL) {
        sim__refuse(
            reading->refusal, 400, "messages", "invalid_value",
            "Invalid '%s'. Expected a valid URL or base64-encoded content, but got a value with an invalid format.",
            where);
    }
    return status == WEIR_OK;
}

static bool read_part(struct reading *reading, yyjson_val *part, int64_t *tokens) {
    yyjson_val *type = yyjson_obj_get(part, "type");
    if (sim__input_is(type, "text") || sim__input_is(type, "refusal")) {
        struct weir_span text = sim__input_text(yyjson_obj_get(part, sim__input_is(type, "text") ? "text" : "refusal"));
        reading->hash = sim__hash(reading->hash, text);
        *tokens += sim__input_tokens(text.length);
        return true;
    }
    bool image = sim__input_is(type, "image_url");
    if (image) {
        reading->hash = sim__hash(reading->hash,
                                  sim__input_text(yyjson_obj_get(yyjson_obj_get(part, "image_url"), "url")));
    }
    *tokens += image ? IMAGE_TOKENS : OTHER_PART_TOKENS;
    return describe_part(reading, part,
                         image                         ? "image_url.url"
                         : sim__input_is(type, "file") ? "file.file_data"
                                                       : "input_audio.data");
}

static bool read_messages(struct reading *reading) {
    yyjson_val *messages = yyjson_obj_get(reading->root, "messages");
    if (!yyjson_is_arr(messages) || yyjson_arr_size(messages) == 0) {
        sim__refuse(reading->refusal, 400, "messages", NULL,
                    messages == NULL ? "Missing required parameter: 'messages'."
                                     : "Invalid 'messages': expected an array with at least one message.");
        return false;
    }
    int64_t tokens = 3;
    size_t index;
    size_t count;
    yyjson_val *message;
    yyjson_arr_foreach(messages, index, count, message) {
        yyjson_val *role = yyjson_obj_get(message, "role");
        yyjson_val *content = yyjson_obj_get(message, "content");
        if (!yyjson_is_str(role)) {
            sim__refuse(reading->refusal, 400, "messages", NULL, "Missing required parameter: 'messages[%zu].role'.",
                        index);
            return false;
        }
        tokens += 4;
        reading->hash = sim__hash(reading->hash, sim__input_text(role));
        if (yyjson_is_str(content)) {
            reading->hash = sim__hash(reading->hash, sim__input_text(content));
            tokens += sim__input_tokens(yyjson_get_len(content));
        } else if (yyjson_is_arr(content)) {
            size_t part_index;
            size_t part_count;
            yyjson_val *part;
            yyjson_arr_foreach(content, part_index, part_count, part) {
                if (!read_part(reading, part, &tokens)) {
                    return false;
                }
            }
        }
        tokens += sim__input_tokens(sim__input_string_bytes(yyjson_obj_get(message, "tool_calls")));
        tokens += sim__input_tokens(yyjson_get_len(yyjson_obj_get(message, "name")));
    }
    tokens += sim__input_tokens(sim__input_string_bytes(yyjson_obj_get(reading->root, "tools")));
    reading->chat->prompt_tokens = tokens;
    return true;
}

static bool read_number(struct reading *reading, const char *name, int64_t minimum, int64_t maximum, int64_t *value) {
    return sim__input_number(reading->root, name, minimum, maximum, value, reading->refusal);
}

static bool read_flag(struct reading *reading, yyjson_val *object, const char *name, bool *value) {
    return sim__input_flag(object, name, value, reading->refusal);
}

/* Appends through a buffer and moves the bytes into the arena. */
static bool keep(struct weir_arena *arena, struct weir_buffer *buffer, struct weir_span *kept) {
    bool done = weir_buffer_status(buffer) == WEIR_OK &&
                weir_arena_dup(arena, weir_buffer_span(buffer), kept) == WEIR_OK;
    weir_buffer_release(buffer);
    return done;
}

static bool keep_model_json(struct reading *reading) {
    struct weir_buffer buffer;
    weir_buffer_init(&buffer, 6 * reading->chat->model.length + 2);
    weir_json_append_string(&buffer, reading->chat->model);
    return keep(reading->arena, &buffer, &reading->chat->model_json);
}

static bool name_is(struct weir_span quoted, const char *plain) {
    return weir_json_string_equals(quoted, weir_span_of_string(plain));
}

/* The unknown fields with their exact bytes, so that whoever compares them sees what has changed on the way. */
static bool keep_echo(struct reading *reading, struct weir_span body) {
    struct weir_json_found root;
    if (weir_json_scan(body, NULL, 0, NULL, &root, NULL) != WEIR_OK) {
        return true;
    }
    struct weir_buffer buffer;
    weir_buffer_init(&buffer, body.length + 2);
    size_t cursor = 0;
    struct weir_span name;
    struct weir_json_found member;
    while (weir_json_next(root.value, &cursor, &name, &member) == WEIR_OK) {
        size_t i = 0;
        while (i < sizeof known_fields / sizeof known_fields[0] && !name_is(name, known_fields[i])) {
            i++;
        }
        if (i == sizeof known_fields / sizeof known_fields[0]) {
            weir_buffer_append_byte(&buffer, buffer.length == 0 ? '{' : ',');
            weir_buffer_append(&buffer, name);
            weir_buffer_append_byte(&buffer, ':');
            weir_buffer_append(&buffer, member.value);
        }
    }
    weir_buffer_append(&buffer, buffer.length == 0 ? WEIR_SPAN("{}") : WEIR_SPAN("}"));
    return keep(reading->arena, &buffer, &reading->chat->echo);
}

/* --- what the answer is made of --- */

static bool is_function(yyjson_val *tool) {
    return sim__input_is(yyjson_obj_get(tool, "type"), "function") &&
           yyjson_is_str(yyjson_obj_get(yyjson_obj_get(tool, "function"), "name"));
}

static bool last_is_user(yyjson_val *root) {
    return sim__input_is(yyjson_obj_get(yyjson_arr_get_last(yyjson_obj_get(root, "messages")), "role"), "user");
}

/* The tools to call: the one that tool_choice names, else the first, or the first two in parallel. */
static size_t choose_tools(yyjson_val *root, yyjson_val *chosen[2]) {
    yyjson_val *tool_choice = yyjson_obj_get(root, "tool_choice");
    if (sim__input_is(tool_choice, "none") || !last_is_user(root)) {
        return 0;
    }
    struct weir_span wanted = sim__input_text(yyjson_obj_get(yyjson_obj_get(tool_choice, "function"), "name"));
    size_t most = yyjson_is_true(yyjson_obj_get(root, "parallel_tool_calls")) && wanted.length == 0 ? 2 : 1;
    size_t found = 0;
    size_t index;
    size_t count;
    yyjson_val *tool;
    yyjson_arr_foreach(yyjson_obj_get(root, "tools"), index, count, tool) {
        struct weir_span name = sim__input_text(yyjson_obj_get(yyjson_obj_get(tool, "function"), "name"));
        if (found < most && is_function(tool) && (wanted.length == 0 || weir_span_equal(wanted, name))) {
            chosen[found++] = tool;
        }
    }
    return found;
}

static void add_step(struct sim_chat *chat, unsigned call, size_t token) {
    chat->steps[chat->longest++] = (struct sim_tool_step){.call = call, .token = token};
    chat->tools[call].begun = true;
    chat->tools[call].shown = token;
}

/* One token of each call in turn, so that parallel calls come interleaved, unless one after the other is wanted. */
static void order_steps(struct sim_chat *chat, size_t steps, bool sequential) {
    for (unsigned call = 0; sequential && call < chat->tool_count; call++) {
        for (size_t token = 0; token <= chat->tools[call].arguments.count && chat->longest < steps; token++) {
            add_step(chat, call, token);
        }
    }
    for (size_t token = 0; !sequential && chat->longest < steps; token++) {
        for (unsigned call = 0; call < chat->tool_count && chat->longest < steps; call++) {
            if (token <= chat->tools[call].arguments.count) {
                add_step(chat, call, token);
            }
        }
    }
}

static bool make_tool_calls(struct reading *reading, yyjson_val *const *tools, size_t count, size_t limit) {
    struct sim_chat *chat = reading->chat;
    chat->tools = weir_arena_array(reading->arena, count, sizeof *chat->tools);
    if (chat->tools == NULL) {
        return false;
    }
    size_t steps = 0;
    for (size_t i = 0; i < count; i++) {
        struct sim_tool_call *call = &chat->tools[i];
        yyjson_val *function = yyjson_obj_get(tools[i], "function");
        uint64_t seed = sim__mix(reading->seed + i);
        yyjson_val *parameters = yyjson_obj_get(function, "parameters");
        if (weir_arena_dup(reading->arena, sim__input_text(yyjson_obj_get(function, "name")), &call->name) != WEIR_OK ||
            sim__schema_text(reading->arena, parameters, seed, &call->arguments) != WEIR_OK) {
            return false;
        }
        (void)snprintf(call->id, sizeof call->id, "call_%016llx", (unsigned long long)seed);
        steps += 1 + call->arguments.count;
    }
    steps = steps < limit ? steps : limit;
    chat->tool_count = count;
    chat->steps = weir_arena_array(reading->arena, steps, sizeof *chat->steps);
    if (chat->steps == NULL) {
        return false;
    }
    order_steps(chat, steps, reading->wishes->sequential);
    return true;
}

/* The schema of response_format; *json tells whether JSON is asked for at all. */
static yyjson_val *wanted_schema(yyjson_val *root, bool *json) {
    yyjson_val *format = yyjson_obj_get(root, "response_format");
    yyjson_val *type = yyjson_obj_get(format, "type");
    *json = sim__input_is(type, "json_schema") || sim__input_is(type, "json_object");
    return sim__input_is(type, "json_schema") ? yyjson_obj_get(yyjson_obj_get(format, "json_schema"), "schema") : NULL;
}

/* What is said about pictures goes before the words, and counts. */
static bool add_notes(struct reading *reading, size_t limit, struct sim_choice *made) {
    if (sim__text_after(reading->arena, weir_buffer_span(&reading->notes), &made->text) != WEIR_OK) {
        return false;
    }
    if (made->text.count > limit) {
        made->text.count = limit;
        made->finish_reason = "length";
    }
    return true;
}

static bool make_text(struct reading *reading, size_t choice, size_t natural, size_t limit, struct sim_choice *made) {
    bool json = false;
    bool stopped = false;
    yyjson_val *schema = wanted_schema(reading->root, &json);
    json = json && !reading->chat->refusing;
    made->finish_reason = "stop";
    if (!json) {
        made->text = sim__text_words(sim__mix(reading->seed + choice), natural < limit ? natural : limit);
        if (natural > limit) {
            made->finish_reason = "length";
        }
        if (reading->notes.length > 0 && !reading->chat->refusing && !add_notes(reading, limit, made)) {
            return false;
        }
    } else if ((schema != NULL ? sim__schema_text(reading->arena, schema, reading->seed, &made->text)
                               : sim__schema_free_text(reading->arena, reading->seed, &made->text)) != WEIR_OK) {
        return false;
    } else if (made->text.count > limit) {
        made->text.count = limit;
        made->finish_reason = "length";
    }
    struct weir_span stops[SIM_MAX_STOPS];
    size_t stop_count = sim__input_stops(reading->root, stops);
    if (stop_count > 0 && sim__text_stop(reading->arena, stops, stop_count, &made->text, &stopped) != WEIR_OK) {
        return false;
    }
    if (stopped) {
        made->finish_reason = "stop";
    }
    if (sim__input_contains(reading->chat->model, "filtered")) {
        made->text.count = (made->text.count + 1) / 2;
        made->finish_reason = "content_filter";
    }
    return true;
}

static bool make_huge(struct reading *reading, size_t bytes, struct sim_choice *choice) {
    if (sim__text_filler(reading->arena, bytes, &choice->text) != WEIR_OK) {
        return false;
    }
    choice->finish_reason = "stop";
    reading->chat->token_weight = sim__input_tokens(bytes);
    return true;
}

static bool make_choices(struct reading *reading, size_t natural, size_t limit, int64_t huge_bytes) {
    struct sim_chat *chat = reading->chat;
    yyjson_val *tools[2];
    size_t tool_count = huge_bytes > 0 ? 0 : choose_tools(reading->root, tools);
    chat->token_weight = 1;
    chat->choices = weir_arena_array(reading->arena, chat->n, sizeof *chat->choices);
    if (chat->choices == NULL || (tool_count > 0 && !make_tool_calls(reading, tools, tool_count, limit))) {
        return false;
    }
    for (size_t i = 0; i < chat->n; i++) {
        struct sim_choice *choice = &chat->choices[i];
        if (chat->tools != NULL) {
            size_t all = 0;
            for (size_t call = 0; call < tool_count; call++) {
                all += 1 + chat->tools[call].arguments.count;
            }
            choice->text.count = chat->longest;
            choice->finish_reason = chat->longest < all ? "length" : "tool_calls";
        } else if (!(huge_bytes > 0 ? make_huge(reading, (size_t)huge_bytes, choice)
                                    : make_text(reading, i, natural, limit, choice))) {
            return false;
        }
        chat->longest = choice->text.count > chat->longest ? choice->text.count : chat->longest;
    }
    return true;
}

static bool read_options(struct reading *reading, int64_t *limit) {
    struct sim_chat *chat = reading->chat;
    int64_t n = 1;
    int64_t top_logprobs = 0;
    int64_t seed = 0;
    yyjson_val *options = yyjson_obj_get(reading->root, "stream_options");
    if (!read_flag(reading, reading->root, "stream", &chat->stream) ||
        !read_flag(reading, options, "include_usage", &chat->include_usage) ||
        !read_flag(reading, reading->root, "logprobs", &chat->logprobs) ||
        !read_number(reading, "n", 1, MAX_CHOICES, &n) || !read_number(reading, "top_logprobs", 0, 20, &top_logprobs) ||
        !read_number(reading, "seed", INT64_MIN, INT64_MAX, &seed) ||
        !read_number(reading, "max_tokens", 1, INT32_MAX, limit) ||
        !read_number(reading, "max_completion_tokens", 1, INT32_MAX, limit)) {
        return false;
    }
    if (yyjson_is_obj(options) && !chat->stream) {
        sim__refuse(reading->refusal, 400, "stream_options", NULL,
                    "The 'stream_options' parameter is only allowed when 'stream' is enabled.");
        return false;
    }
    chat->n = (size_t)n;
    chat->top_logprobs = (unsigned)top_logprobs;
    reading->seed = seed != 0 ? sim__mix(reading->hash ^ (uint64_t)seed) : reading->hash;
    return true;
}

static bool make_answer(struct reading *reading, int64_t limit, int64_t huge_bytes) {
    struct sim_chat *chat = reading->chat;
    int64_t reasoning = 0;
    chat->reasoning_name = sim__input_contains(chat->model, "deepseek") ? "reasoning_content"
                           : sim__input_contains(chat->model, "vllm")   ? "reasoning"
                                                                        : NULL;
    if (sim__input_contains(chat->model, "reasoner") &&
        !sim__input_is(yyjson_obj_get(reading->root, "reasoning_effort"), "none")) {
        reasoning = 8 + (int64_t)(sim__mix(reading->seed) % 25);
        reasoning = reasoning < limit ? reasoning : limit;
    }
    if (!make_choices(reading, (size_t)reading->wishes->tokens, (size_t)(limit - reasoning), huge_bytes)) {
        return false;
    }
    chat->reasoning_tokens = reasoning * (int64_t)chat->n;
    if (reasoning > 0 && chat->reasoning_name != NULL) {
        chat->thoughts = sim__text_words(sim__mix(reading->seed + 77), (size_t)reasoning);
        chat->longest += (size_t)reasoning;
    }
    chat->completion_tokens = sim__chat_tokens_out(chat, chat->longest, 0);
    return true;
}

enum weir_status sim__chat_read(struct weir_arena *arena, struct weir_arena *scratch, struct weir_span body,
                                const struct sim_wishes *wishes, int64_t huge_bytes, struct sim_memory *memory,
                                struct sim_chat *chat, struct sim_refusal *refusal) {
    *chat = (struct sim_chat){.model = WEIR_SPAN("")};
    *refusal = (struct sim_refusal){.status = 0};
    struct reading reading = {.arena = arena, .scratch = scratch, .wishes = wishes, .chat = chat, .refusal = refusal};
    enum weir_status status = sim__input_object(scratch, body, &reading.root, refusal);
    if (status != WEIR_OK) {
        return status;
    }
    int64_t limit = INT32_MAX;
    weir_buffer_init(&reading.notes, MAX_NOTES_BYTES);
    bool read = sim__input_model(arena, reading.root, &chat->model, refusal) && keep_model_json(&reading) &&
                read_messages(&reading) && read_options(&reading, &limit) &&
                (!wishes->echo || keep_echo(&reading, body));
    chat->refusing = sim__input_contains(chat->model, "refusing");
    if (read && weir_buffer_status(&reading.notes) != WEIR_OK) {
        read = false;
    }
    if (read) {
        chat->cached_tokens = sim__memory_cached(memory, reading.hash, chat->model, chat->prompt_tokens);
        read = make_answer(&reading, limit, huge_bytes);
    }
    weir_buffer_release(&reading.notes);
    return read ? WEIR_OK : refusal->status != 0 ? WEIR_EINVAL : WEIR_ENOMEM;
}

static size_t slot_of(const struct sim_memory *memory, uint64_t hash) {
    return (size_t)(hash >> 8) % (sizeof memory->seen / sizeof memory->seen[0]);
}

bool sim__memory_has(const struct sim_memory *memory, uint64_t hash) {
    return memory->seen[slot_of(memory, hash)] == (hash | 1U); /* never 0, the mark of a free slot */
}

void sim__memory_keep(struct sim_memory *memory, uint64_t hash) {
    memory->seen[slot_of(memory, hash)] = hash | 1U;
}

int64_t sim__memory_cached(struct sim_memory *memory, uint64_t hash, struct weir_span model, int64_t prompt_tokens) {
    hash = sim__hash(hash, model);
    bool cached = sim__memory_has(memory, hash) || sim__input_contains(model, "cached");
    sim__memory_keep(memory, hash);
    return cached ? prompt_tokens * 3 / 4 : 0;
}

int64_t sim__chat_tokens_out(const struct sim_chat *chat, size_t pieces, size_t more) {
    int64_t tokens = 0;
    int64_t thoughts = 0;
    for (size_t i = 0; i < chat->n; i++) {
        size_t whole = pieces + (i < more ? 1 : 0);
        size_t thought = whole < chat->thoughts.count ? whole : chat->thoughts.count;
        size_t said = whole - thought;
        thoughts += (int64_t)thought;
        tokens += (int64_t)(said < chat->choices[i].text.count ? said : chat->choices[i].text.count);
    }
    if (chat->thoughts.count == 0 && (pieces + more > 0 || chat->longest == 0)) {
        thoughts = chat->reasoning_tokens; /* hidden, and made before the first piece */
    }
    return tokens * chat->token_weight + thoughts;
}
