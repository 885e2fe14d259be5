/* See chat.h. The request is read with yyjson, not with weir's own scanner: two readers that agree prove more than
 * one. */
#include "sim/chat.h"

#include "json/scan.h"
#include "json/write.h"
#include "sim/schema.h"
#include "sim/settings.h"

#include <stdarg.h>
#include <yyjson.h>

enum { IMAGE_TOKENS = 85, OTHER_PART_TOKENS = 50, MAX_CHOICES = 128, MAX_STOPS = 4, MAX_COUNTED_DEPTH = 64 };
enum { JSON_MAX_BYTES = 4 * 1024 * 1024 };

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
    struct weir_arena *arena;
    yyjson_val *root;
    const struct sim_wishes *wishes;
    struct sim_chat *chat;
    struct sim_refusal *refusal;
    uint64_t hash; /* of the messages */
    uint64_t seed; /* the hash with the request's own seed */
};

static void *alc_malloc(void *arena, size_t size) {
    return weir_arena_alloc_raw(arena, size);
}

static void *alc_realloc(void *arena, void *memory, size_t old_size, size_t size) {
    if (size <= old_size) {
        return memory;
    }
    void *larger = weir_arena_alloc_raw(arena, size);
    if (larger != NULL) {
        memcpy(larger, memory, old_size);
    }
    return larger;
}

static void alc_free(void *arena, void *memory) {
    (void)arena;
    (void)memory;
}

void sim__refuse(struct sim_refusal *refusal, unsigned status, const char *param, const char *code, const char *format,
                 ...) {
    *refusal = (struct sim_refusal){.status = status, .type = "invalid_request_error", .param = param, .code = code};
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(refusal->message, sizeof refusal->message, format, arguments);
    va_end(arguments);
}

static struct weir_span text_of(yyjson_val *value) {
    return yyjson_is_str(value) ? weir_span_of(yyjson_get_str(value), yyjson_get_len(value)) : WEIR_SPAN("");
}

static bool is_text(yyjson_val *value, const char *text) {
    return yyjson_is_str(value) && weir_span_equal(text_of(value), weir_span_of_string(text));
}

static int64_t tokens_of(size_t bytes) {
    return (int64_t)((bytes + 3) / 4);
}

/* All strings within, names included: for tools, of which nobody knows how they are written into the prompt. */
static size_t string_bytes(yyjson_val *value, unsigned depth) {
    if (yyjson_is_str(value)) {
        return yyjson_get_len(value);
    }
    size_t bytes = 0;
    size_t index;
    size_t count;
    yyjson_val *name;
    yyjson_val *element;
    if (depth == 0) {
        return 0;
    }
    if (yyjson_is_arr(value)) {
        yyjson_arr_foreach(value, index, count, element) {
            bytes += string_bytes(element, depth - 1);
        }
    } else if (yyjson_is_obj(value)) {
        yyjson_obj_foreach(value, index, count, name, element) {
            bytes += yyjson_get_len(name) + string_bytes(element, depth - 1);
        }
    }
    return bytes;
}

static int64_t count_part(struct reading *reading, yyjson_val *part) {
    yyjson_val *type = yyjson_obj_get(part, "type");
    if (is_text(type, "text") || is_text(type, "refusal")) {
        struct weir_span text = text_of(yyjson_obj_get(part, is_text(type, "text") ? "text" : "refusal"));
        reading->hash = sim__hash(reading->hash, text);
        return tokens_of(text.length);
    }
    if (is_text(type, "image_url")) {
        reading->hash = sim__hash(reading->hash, text_of(yyjson_obj_get(yyjson_obj_get(part, "image_url"), "url")));
        return IMAGE_TOKENS;
    }
    return OTHER_PART_TOKENS;
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
        reading->hash = sim__hash(reading->hash, text_of(role));
        if (yyjson_is_str(content)) {
            reading->hash = sim__hash(reading->hash, text_of(content));
            tokens += tokens_of(yyjson_get_len(content));
        } else if (yyjson_is_arr(content)) {
            size_t part_index;
            size_t part_count;
            yyjson_val *part;
            yyjson_arr_foreach(content, part_index, part_count, part) {
                tokens += count_part(reading, part);
            }
        }
        tokens += tokens_of(string_bytes(yyjson_obj_get(message, "tool_calls"), MAX_COUNTED_DEPTH));
        tokens += tokens_of(yyjson_get_len(yyjson_obj_get(message, "name")));
    }
    tokens += tokens_of(string_bytes(yyjson_obj_get(reading->root, "tools"), MAX_COUNTED_DEPTH));
    reading->chat->prompt_tokens = tokens;
    return true;
}

/* An optional whole number; null is the same as none. */
static bool read_number(struct reading *reading, const char *name, int64_t minimum, int64_t maximum, int64_t *value) {
    yyjson_val *member = yyjson_obj_get(reading->root, name);
    if (member == NULL || yyjson_is_null(member)) {
        return true;
    }
    bool fits = yyjson_is_int(member) && !(yyjson_is_uint(member) && yyjson_get_uint(member) > INT64_MAX);
    int64_t number = fits ? yyjson_get_sint(member) : 0;
    if (!fits || number < minimum || number > maximum) {
        sim__refuse(reading->refusal, 400, name, fits ? "integer_out_of_range" : "invalid_type",
                    "Invalid value for '%s': expected a whole number from %lld to %lld.", name, (long long)minimum,
                    (long long)maximum);
        return false;
    }
    *value = number;
    return true;
}

static bool read_flag(struct reading *reading, yyjson_val *object, const char *name, bool *value) {
    yyjson_val *member = yyjson_obj_get(object, name);
    if (member == NULL || yyjson_is_null(member)) {
        return true;
    }
    if (!yyjson_is_bool(member)) {
        sim__refuse(reading->refusal, 400, name, "invalid_type", "Invalid type for '%s': expected a boolean.", name);
        return false;
    }
    *value = yyjson_get_bool(member);
    return true;
}

static bool read_model(struct reading *reading) {
    yyjson_val *model = yyjson_obj_get(reading->root, "model");
    if (!yyjson_is_str(model) || yyjson_get_len(model) == 0) {
        sim__refuse(reading->refusal, 400, "model", NULL, "you must provide a model parameter");
        return false;
    }
    if (weir_arena_dup(reading->arena, text_of(model), &reading->chat->model) != WEIR_OK) {
        return false;
    }
    if (is_text(model, "unknown-model")) {
        sim__refuse(reading->refusal, 404, NULL, "model_not_found",
                    "The model `unknown-model` does not exist or you do not have access to it.");
        return false;
    }
    return true;
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
    return is_text(yyjson_obj_get(tool, "type"), "function") &&
           yyjson_is_str(yyjson_obj_get(yyjson_obj_get(tool, "function"), "name"));
}

static bool last_is_user(yyjson_val *root) {
    return is_text(yyjson_obj_get(yyjson_arr_get_last(yyjson_obj_get(root, "messages")), "role"), "user");
}

/* The tools to call: the one that tool_choice names, else the first, or the first two in parallel. */
static size_t choose_tools(yyjson_val *root, yyjson_val *chosen[2]) {
    yyjson_val *tool_choice = yyjson_obj_get(root, "tool_choice");
    if (is_text(tool_choice, "none") || !last_is_user(root)) {
        return 0;
    }
    struct weir_span wanted = text_of(yyjson_obj_get(yyjson_obj_get(tool_choice, "function"), "name"));
    size_t most = yyjson_is_true(yyjson_obj_get(root, "parallel_tool_calls")) && wanted.length == 0 ? 2 : 1;
    size_t found = 0;
    size_t index;
    size_t count;
    yyjson_val *tool;
    yyjson_arr_foreach(yyjson_obj_get(root, "tools"), index, count, tool) {
        struct weir_span name = text_of(yyjson_obj_get(yyjson_obj_get(tool, "function"), "name"));
        if (found < most && is_function(tool) && (wanted.length == 0 || weir_span_equal(wanted, name))) {
            chosen[found++] = tool;
        }
    }
    return found;
}

static bool write_schema(struct reading *reading, yyjson_val *schema, uint64_t seed, struct sim_text *text) {
    struct weir_buffer buffer;
    weir_buffer_init(&buffer, JSON_MAX_BYTES);
    sim__schema_write(schema, seed, &buffer);
    struct weir_span bytes;
    return keep(reading->arena, &buffer, &bytes) && sim__text_pieces(reading->arena, bytes, text) == WEIR_OK;
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
        if (weir_arena_dup(reading->arena, text_of(yyjson_obj_get(function, "name")), &call->name) != WEIR_OK ||
            !write_schema(reading, parameters, seed, &call->arguments)) {
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

static size_t read_stops(yyjson_val *root, struct weir_span stops[MAX_STOPS]) {
    yyjson_val *stop = yyjson_obj_get(root, "stop");
    if (yyjson_is_str(stop)) {
        stops[0] = text_of(stop);
        return 1;
    }
    size_t found = 0;
    size_t index;
    size_t count;
    yyjson_val *one;
    yyjson_arr_foreach(stop, index, count, one) {
        if (found < MAX_STOPS && yyjson_is_str(one)) {
            stops[found++] = text_of(one);
        }
    }
    return found;
}

/* The schema of response_format; *json tells whether JSON is asked for at all. */
static yyjson_val *wanted_schema(yyjson_val *root, bool *json) {
    yyjson_val *format = yyjson_obj_get(root, "response_format");
    yyjson_val *type = yyjson_obj_get(format, "type");
    *json = is_text(type, "json_schema") || is_text(type, "json_object");
    return is_text(type, "json_schema") ? yyjson_obj_get(yyjson_obj_get(format, "json_schema"), "schema") : NULL;
}

static bool make_json_object(struct reading *reading, struct sim_text *text) {
    struct sim_text words = sim__text_words(reading->seed, 2);
    struct weir_span first = sim__text_token(&words, 0);
    struct weir_span second = sim__text_token(&words, 1);
    char *json = weir_arena_format(reading->arena, "{\"answer\":\"%.*s%.*s\"}", WEIR_SPAN_PRINT(first),
                                   WEIR_SPAN_PRINT(second));
    return json != NULL && sim__text_pieces(reading->arena, weir_span_of_string(json), text) == WEIR_OK;
}

static bool make_text(struct reading *reading, size_t choice, size_t natural, size_t limit, struct sim_choice *made) {
    bool json = false;
    bool stopped = false;
    yyjson_val *schema = wanted_schema(reading->root, &json);
    made->finish_reason = "stop";
    if (!json) {
        made->text = sim__text_words(sim__mix(reading->seed + choice), natural < limit ? natural : limit);
        if (natural > limit) {
            made->finish_reason = "length";
        }
    } else if (!(schema != NULL ? write_schema(reading, schema, reading->seed, &made->text)
                                : make_json_object(reading, &made->text))) {
        return false;
    } else if (made->text.count > limit) {
        made->text.count = limit;
        made->finish_reason = "length";
    }
    struct weir_span stops[MAX_STOPS];
    size_t stop_count = read_stops(reading->root, stops);
    if (stop_count > 0 && sim__text_stop(reading->arena, stops, stop_count, &made->text, &stopped) != WEIR_OK) {
        return false;
    }
    if (stopped) {
        made->finish_reason = "stop";
    }
    return true;
}

static bool make_huge(struct reading *reading, size_t bytes, struct sim_choice *choice) {
    char *filler = weir_arena_alloc_raw(reading->arena, bytes);
    size_t *ends = weir_arena_array(reading->arena, 1, sizeof *ends);
    if (filler == NULL || ends == NULL) {
        return false;
    }
    memset(filler, 'a', bytes);
    ends[0] = bytes;
    choice->text = (struct sim_text){.count = 1, .bytes = weir_span_of(filler, bytes), .ends = ends};
    choice->finish_reason = "stop";
    reading->chat->token_weight = tokens_of(bytes);
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

static bool contains(struct weir_span text, const char *part) {
    return memmem(text.at, text.length, part, strlen(part)) != NULL;
}

/* A repeated prompt, and any prompt of a model whose name says so, has three quarters of its tokens in the cache. */
static void count_cached(struct reading *reading, struct sim_memory *memory) {
    struct sim_chat *chat = reading->chat;
    uint64_t hash = sim__hash(reading->hash, chat->model) | 1U; /* never 0, the mark of a free slot */
    uint64_t *slot = &memory->seen[(hash >> 8) % (sizeof memory->seen / sizeof memory->seen[0])];
    if (*slot == hash || contains(chat->model, "cached")) {
        chat->cached_tokens = chat->prompt_tokens * 3 / 4;
    }
    *slot = hash;
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
    if (contains(chat->model, "reasoner") && !is_text(yyjson_obj_get(reading->root, "reasoning_effort"), "none")) {
        reasoning = 8 + (int64_t)(sim__mix(reading->seed) % 25);
        reasoning = reasoning < limit ? reasoning : limit;
    }
    if (!make_choices(reading, (size_t)reading->wishes->tokens, (size_t)(limit - reasoning), huge_bytes)) {
        return false;
    }
    chat->reasoning_tokens = reasoning * (int64_t)chat->n;
    chat->completion_tokens = sim__chat_tokens_out(chat, chat->longest, 0);
    return true;
}

enum weir_status sim__chat_read(struct weir_arena *arena, struct weir_arena *scratch, struct weir_span body,
                                const struct sim_wishes *wishes, int64_t huge_bytes, struct sim_memory *memory,
                                struct sim_chat *chat, struct sim_refusal *refusal) {
    yyjson_alc allocator = {.malloc = alc_malloc, .realloc = alc_realloc, .free = alc_free, .ctx = scratch};
    yyjson_read_err problem = {.code = YYJSON_READ_SUCCESS};
    *chat = (struct sim_chat){.model = WEIR_SPAN("")};
    *refusal = (struct sim_refusal){.status = 0};
    /* yyjson promises not to write into the text without its in-situ flag; only its signature does not say so. */
    union {
        const char *is;
        char *wanted;
    } text = {.is = body.at};
    yyjson_doc *document = yyjson_read_opts(text.wanted, body.length, YYJSON_READ_BIGNUM_AS_RAW, &allocator, &problem);
    struct reading reading = {
        .arena = arena, .root = yyjson_doc_get_root(document), .wishes = wishes, .chat = chat, .refusal = refusal};
    if (document == NULL && problem.code == YYJSON_READ_ERROR_MEMORY_ALLOCATION) {
        return WEIR_ENOMEM;
    }
    if (!yyjson_is_obj(reading.root)) {
        sim__refuse(refusal, 400, NULL, NULL, "We could not parse the JSON body of your request. (%s at byte %zu)",
                    document == NULL ? problem.msg : "expected an object", document == NULL ? problem.pos : (size_t)0);
        return WEIR_EINVAL;
    }
    int64_t limit = INT32_MAX;
    bool read = read_model(&reading) && keep_model_json(&reading) && read_messages(&reading) &&
                read_options(&reading, &limit) && (!wishes->echo || keep_echo(&reading, body));
    if (read) {
        count_cached(&reading, memory);
        read = make_answer(&reading, limit, huge_bytes);
    }
    return read ? WEIR_OK : refusal->status != 0 ? WEIR_EINVAL : WEIR_ENOMEM;
}

int64_t sim__chat_tokens_out(const struct sim_chat *chat, size_t pieces, size_t more) {
    int64_t tokens = 0;
    for (size_t i = 0; i < chat->n; i++) {
        size_t whole = pieces + (i < more ? 1 : 0);
        tokens += (int64_t)(whole < chat->choices[i].text.count ? whole : chat->choices[i].text.count);
    }
    return tokens * chat->token_weight + (pieces + more > 0 || chat->longest == 0 ? chat->reasoning_tokens : 0);
}
