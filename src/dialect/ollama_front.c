/* Clients that speak Ollama's API, to providers that do not: what they ask. What they get is in ollama_front_write.c.
 *
 * Calls have no ids that clients keep: results find their calls by name and order.
 */
#include "dialect/ollama_codec.h"

static enum weir_status add_text(struct dialect__reading *reading, const struct weir_json_node *text,
                                 struct weir_part **parts) {
    if (!weir_json_is(text, WEIR_JSON_STRING) || text->text.length == 2)
        return WEIR_OK;
    struct weir_part *part = weir_part_add(reading->exchange->arena, parts, WEIR_PART_TEXT);
    if (part == NULL)
        return WEIR_ENOMEM;
    part->text = weir_json_inside(text);
    return WEIR_OK;
}

/* By the first characters of the base64: its first bytes. */
static struct weir_span picture_type(struct weir_span base64) {
    static const struct {
        struct weir_span begin, type;
    } rows[] = {{{"/9j/", 4}, {"image/jpeg", 10}},
                {{"iVBOR", 5}, {"image/png", 9}},
                {{"R0lGOD", 6}, {"image/gif", 9}},
                {{"UklGR", 5}, {"image/webp", 10}},
                {{"JVBERi", 6}, {"application/pdf", 15}}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (weir_span_starts_with(base64, rows[i].begin))
            return rows[i].type;
    return WEIR_SPAN("image/png");
}

static enum weir_status add_images(struct dialect__reading *reading, const struct weir_json_node *images,
                                   const char *path, struct weir_part **parts) {
    unsigned index = 0;
    if (images != NULL && images->kind != WEIR_JSON_ARRAY && images->kind != WEIR_JSON_NULL)
        return dialect__must_be(reading, path, "an array of base64 texts", images);
    for (const struct weir_json_node *image = weir_json_first(images); image != NULL; image = image->next, index++) {
        if (image->kind != WEIR_JSON_STRING)
            return dialect__must_be(reading, dialect__path(reading, "%s[%u]", path, index), "a base64 text", image);
        struct weir_part *part = weir_part_add(reading->exchange->arena, parts, WEIR_PART_IMAGE);
        if (part == NULL)
            return WEIR_ENOMEM;
        part->media.data = weir_json_inside(image);
        part->media.type = picture_type(part->media.data);
    }
    return WEIR_OK;
}

static enum weir_status add_calls(struct dialect__reading *reading, const struct weir_json_node *calls,
                                  const char *path, struct weir_part **parts) {
    unsigned index = 0;
    for (const struct weir_json_node *call = weir_json_first(calls); call != NULL; call = call->next, index++) {
        const struct weir_json_node *function = weir_json_get(call, "function"), *id = weir_json_get(call, "id"),
                                    *name = weir_json_get(function, "name"),
                                    *arguments = weir_json_get_value(function, "arguments");
        if (!weir_json_is(name, WEIR_JSON_STRING))
            return dialect__must_be(reading, dialect__path(reading, "%s.tool_calls[%u].function.name", path, index),
                                    "a string", name);
        struct weir_part *part = weir_part_add(reading->exchange->arena, parts, WEIR_PART_TOOL_CALL);
        if (part == NULL)
            return WEIR_ENOMEM;
        part->name = weir_json_inside(name);
        part->arguments = arguments != NULL ? arguments->text : WEIR_SPAN("{}");
        if (weir_json_is(id, WEIR_JSON_STRING) && id->text.length > 2)
            part->id = dialect__open_id(reading->exchange, weir_json_inside(id), &part->signature);
    }
    return WEIR_OK;
}

static enum weir_status read_result(struct dialect__reading *reading, const struct weir_json_node *message) {
    struct weir_prompt *prompt = reading->prompt;
    struct weir_turn *turn = prompt->last_turn;
    const struct weir_json_node *name = weir_json_get_value(message, "tool_name"),
                                *id = weir_json_get_value(message, "tool_call_id");
    if (name == NULL)
        name = weir_json_get_value(message, "name");
    if (turn == NULL || turn->parts == NULL || turn->parts->kind != WEIR_PART_TOOL_RESULT)
        turn = weir_prompt_add_turn(reading->exchange->arena, prompt, WEIR_TURN_USER);
    struct weir_part *part = turn != NULL ? weir_part_add(reading->exchange->arena, &turn->parts, WEIR_PART_TOOL_RESULT)
                                          : NULL;
    if (part == NULL)
        return WEIR_ENOMEM;
    if (weir_json_is(name, WEIR_JSON_STRING))
        part->name = weir_json_inside(name);
    if (weir_json_is(id, WEIR_JSON_STRING) && id->text.length > 2)
        part->id = dialect__open_id(reading->exchange, weir_json_inside(id), NULL);
    return add_text(reading, weir_json_get(message, "content"), &part->content);
}

static enum weir_status read_message(struct dialect__reading *reading, const struct weir_json_node *message,
                                     const char *path) {
    static const char *const roles[] = {"system", "user", "assistant", "tool"};
    static const enum weir_turn_role turns[] = {WEIR_TURN_SYSTEM, WEIR_TURN_USER, WEIR_TURN_ASSISTANT};
    size_t role = dialect__row_of(roles, 4, weir_json_get(message, "role"));
    const struct weir_json_node *thinking = weir_json_get(message, "thinking");
    if (role == 4)
        return dialect__must_be(reading, dialect__path(reading, "%s.role", path),
                                "one of 'system', 'user', 'assistant', 'tool'", weir_json_get(message, "role"));
    if (role == 3)
        return read_result(reading, message);
    struct weir_turn *turn = weir_prompt_add_turn(reading->exchange->arena, reading->prompt, turns[role]);
    if (turn == NULL)
        return WEIR_ENOMEM;
    if (weir_json_is(thinking, WEIR_JSON_STRING) && thinking->text.length > 2) {
        struct weir_part *part = weir_part_add(reading->exchange->arena, &turn->parts, WEIR_PART_THINKING);
        if (part == NULL)
            return WEIR_ENOMEM;
        part->text = weir_json_inside(thinking);
    }
    enum weir_status status = add_images(reading, weir_json_get(message, "images"),
                                         dialect__path(reading, "%s.images", path), &turn->parts);
    if (status == WEIR_OK)
        status = add_text(reading, weir_json_get(message, "content"), &turn->parts);
    if (status == WEIR_OK)
        status = add_calls(reading, weir_json_get(message, "tool_calls"), path, &turn->parts);
    return status;
}

static enum weir_status read_messages(struct dialect__reading *reading, const struct weir_json_node *messages) {
    unsigned index = 0;
    enum weir_status status = WEIR_OK;
    if (messages->kind != WEIR_JSON_ARRAY)
        return dialect__must_be(reading, "messages", "an array of messages", messages);
    for (const struct weir_json_node *message = messages->first; status == WEIR_OK && message != NULL;
         message = message->next)
        status = read_message(reading, message, dialect__path(reading, "messages[%u]", index++));
    return status;
}

/* --- options and the rest --- */

static enum weir_status read_limit(struct dialect__reading *reading, const struct weir_json_node *value) {
    int64_t limit = dialect__number(value, 0);
    if (limit > 0)
        reading->prompt->max_output_tokens = limit;
    else
        reading->prompt->values[WEIR_PARAMETER_MAX_OUTPUT_TOKENS] = WEIR_UNSAID;
    return WEIR_OK;
}

#define ROW(member, parameter, function) \
    { member, WEIR_PARAMETER_##parameter, function }
static enum weir_status read_options(struct dialect__reading *reading, const struct weir_json_node *options) {
    static const struct dialect__member members[] = {
        ROW("num_predict", MAX_OUTPUT_TOKENS, read_limit),
        ROW("temperature", TEMPERATURE, NULL),
        ROW("top_p", TOP_P, NULL),
        ROW("top_k", TOP_K, NULL),
        ROW("min_p", MIN_P, NULL),
        ROW("seed", SEED, NULL),
        ROW("stop", STOP, dialect__read_stop),
        ROW("frequency_penalty", FREQUENCY_PENALTY, NULL),
        ROW("presence_penalty", PRESENCE_PENALTY, NULL),
        ROW("repeat_penalty", REPEAT_PENALTY, NULL),
        ROW("num_ctx", CONTEXT_LENGTH, NULL),
    };
    return dialect__read_members(reading, options, "options.", members, sizeof members / sizeof *members);
}

/* A whole number of things has its own place: the object itself is none of them. */
static enum weir_status take_options(struct dialect__reading *reading, const struct weir_json_node *options) {
    reading->prompt->values[WEIR_PARAMETER_MODEL] = WEIR_UNSAID;
    return read_options(reading, options);
}

static enum weir_status read_form(struct dialect__reading *reading, const struct weir_json_node *format) {
    struct weir_prompt *prompt = reading->prompt;
    if (weir_json_says(format, "json")) {
        prompt->output_form = WEIR_FORM_JSON;
    } else if (format->kind == WEIR_JSON_OBJECT) {
        prompt->output_form = WEIR_FORM_SCHEMA;
        prompt->schema = format->text;
    } else {
        prompt->values[WEIR_PARAMETER_RESPONSE_FORMAT] = WEIR_UNSAID;
        if (!weir_json_says(format, ""))
            return dialect__must_be(reading, "format", "'json' or a JSON Schema", format);
    }
    return WEIR_OK;
}

static enum weir_status read_think(struct dialect__reading *reading, const struct weir_json_node *think) {
    struct weir_prompt *prompt = reading->prompt;
    if (think->kind == WEIR_JSON_TRUE)
        prompt->effort = WEIR_EFFORT_MEDIUM;
    else if (think->kind == WEIR_JSON_FALSE)
        prompt->effort = WEIR_EFFORT_NONE;
    else
        prompt->effort = weir_effort_of(think);
    if (prompt->effort == WEIR_EFFORT_UNSAID)
        return dialect__must_be(reading, "think", "true, false, 'low', 'medium' or 'high'", think);
    prompt->shows_thinking = prompt->effort != WEIR_EFFORT_NONE;
    if (prompt->effort == WEIR_EFFORT_NONE) { /* what is meant without it, where a model need not think */
        prompt->effort = WEIR_EFFORT_UNSAID;
        prompt->values[WEIR_PARAMETER_REASONING] = WEIR_UNSAID;
    }
    return WEIR_OK;
}

static enum weir_status read_logprobs(struct dialect__reading *reading, const struct weir_json_node *value) {
    if (value->kind == WEIR_JSON_FALSE)
        reading->prompt->values[WEIR_PARAMETER_LOGPROBS] = WEIR_UNSAID;
    return WEIR_OK;
}

static enum weir_status read_top(struct dialect__reading *reading, const struct weir_json_node *value) {
    if (dialect__number(value, 1) == 0)
        reading->prompt->values[WEIR_PARAMETER_TOP_LOGPROBS] = WEIR_UNSAID;
    return WEIR_OK;
}

/* Nothing that is said by an empty text or by false. */
static enum weir_status forget_empty(struct dialect__reading *reading, const struct weir_json_node *value) {
    bool is_empty = value->kind == WEIR_JSON_FALSE || weir_json_says(value, "") ||
                    (value->kind == WEIR_JSON_ARRAY && value->count == 0);
    for (size_t i = 0; is_empty && i < WEIR_PARAMETER_COUNT; i++)
        if (reading->prompt->values[i].at == value->text.at)
            reading->prompt->values[i] = WEIR_UNSAID;
    return WEIR_OK;
}

static enum weir_status begin(struct weir_exchange *exchange, const struct weir_json_node *root,
                              struct weir_prompt *prompt) {
    exchange->wants_usage = true;
    prompt->wants_usage = true;
    prompt->stream = !weir_json_is(weir_json_get(root, "stream"), WEIR_JSON_FALSE);
    return WEIR_OK;
}

#define COMMON_ROWS                                                                              \
    ROW("model", MODEL, NULL), ROW("stream", STREAM, NULL), ROW("options", MODEL, take_options), \
        ROW("format", RESPONSE_FORMAT, read_form), ROW("think", REASONING, read_think),          \
        ROW("keep_alive", KEEP_ALIVE, NULL), ROW("logprobs", LOGPROBS, read_logprobs),           \
        ROW("top_logprobs", TOP_LOGPROBS, read_top), ROW("truncate", TRUNCATION, NULL)

enum weir_status dialect__ollama_read_chat(struct weir_exchange *exchange, const struct weir_json_node *root,
                                           struct weir_prompt *prompt, struct weir_call_problem *problem) {
    static const struct dialect__member members[] = {
        COMMON_ROWS,
        ROW("messages", MESSAGES, read_messages),
        ROW("tools", TOOLS, dialect__read_chat_tools),
    };
    struct dialect__reading reading = {.exchange = exchange, .prompt = prompt, .problem = problem};
    enum weir_status status = begin(exchange, root, prompt);
    if (weir_json_first(weir_json_get(root, "messages")) == NULL)
        return dialect__must_be(&reading, "messages", "an array with a message", weir_json_get(root, "messages"));
    if (status == WEIR_OK)
        status = dialect__read_members(&reading, root, "", members, sizeof members / sizeof *members);
    return status == WEIR_OK ? weir_prompt_finish(exchange->arena, prompt, exchange->seed) : status;
}

enum weir_status dialect__ollama_read_generate(struct weir_exchange *exchange, const struct weir_json_node *root,
                                               struct weir_prompt *prompt, struct weir_call_problem *problem) {
    static const struct dialect__member members[] = {
        COMMON_ROWS,
        ROW("prompt", MESSAGES, NULL),
        ROW("system", SYSTEM, NULL),
        ROW("images", MESSAGES, NULL),
        ROW("suffix", SUFFIX, forget_empty),
        ROW("template", TEMPLATE, forget_empty),
        ROW("context", PROMPT_CONTEXT, forget_empty),
        ROW("raw", RAW_PROMPT, forget_empty),
    };
    struct dialect__reading reading = {.exchange = exchange, .prompt = prompt, .problem = problem};
    const struct weir_json_node *system = weir_json_get_value(root, "system"),
                                *text = weir_json_get_value(root, "prompt");
    enum weir_status status = begin(exchange, root, prompt);
    if (!weir_json_is(text, WEIR_JSON_STRING))
        return dialect__must_be(&reading, "prompt", "a string", text);
    if (status == WEIR_OK)
        status = dialect__read_members(&reading, root, "", members, sizeof members / sizeof *members);
    if (status == WEIR_OK && weir_json_is(system, WEIR_JSON_STRING) && system->text.length > 2) {
        struct weir_turn *turn = weir_prompt_add_turn(exchange->arena, prompt, WEIR_TURN_SYSTEM);
        status = turn == NULL ? WEIR_ENOMEM : add_text(&reading, system, &turn->parts);
    }
    struct weir_turn *turn = status == WEIR_OK ? weir_prompt_add_turn(exchange->arena, prompt, WEIR_TURN_USER) : NULL;
    if (turn == NULL)
        return status == WEIR_OK ? WEIR_ENOMEM : status;
    status = add_images(&reading, weir_json_get(root, "images"), "images", &turn->parts);
    return status == WEIR_OK ? add_text(&reading, text, &turn->parts) : status;
}

/* --- vectors --- */

static enum weir_status add_input(struct dialect__reading *reading, struct weir_vectors_call *call,
                                  const struct weir_json_node *item, const char *path) {
    if (!weir_json_is(item, WEIR_JSON_STRING))
        return dialect__must_be(reading, path, "a string", item);
    struct weir_vector_input *input = weir_arena_alloc(reading->exchange->arena, sizeof *input);
    if (input == NULL)
        return WEIR_ENOMEM;
    input->text = weir_json_inside(item);
    if (call->last_input != NULL)
        call->last_input->next = input;
    else
        call->inputs = input;
    call->last_input = input;
    call->count++;
    return WEIR_OK;
}

/* `prompt` is the older endpoint's name for the one text that it takes. */
enum weir_status dialect__ollama_read_vectors_call(struct weir_exchange *exchange, const struct weir_json_node *root,
                                                   struct weir_vectors_call *call, struct weir_call_problem *problem) {
    static const struct dialect__member members[] = {
        ROW("model", MODEL, NULL),           ROW("input", MESSAGES, NULL),      ROW("prompt", MESSAGES, NULL),
        ROW("dimensions", DIMENSIONS, NULL), ROW("truncate", TRUNCATION, NULL), ROW("keep_alive", KEEP_ALIVE, NULL),
        ROW("options", MODEL, NULL),
    };
    struct weir_prompt prompt = {.stream = false};
    struct dialect__reading reading = {.exchange = exchange, .prompt = &prompt, .problem = problem};
    const struct weir_json_node *input = weir_json_get_value(root, "input");
    unsigned index = 0;
    enum weir_status status = dialect__read_members(&reading, root, "", members, sizeof members / sizeof *members);
    memcpy(call->values, prompt.values, sizeof call->values);
    call->unknown = prompt.unknown;
    call->last_unknown = prompt.last_unknown;
    if (input == NULL)
        input = weir_json_get_value(root, "prompt");
    call->is_single = !weir_json_is(input, WEIR_JSON_ARRAY);
    if (status != WEIR_OK || call->is_single)
        return status != WEIR_OK ? status : add_input(&reading, call, input, "input");
    for (const struct weir_json_node *item = input->first; status == WEIR_OK && item != NULL; item = item->next)
        status = add_input(&reading, call, item, dialect__path(&reading, "input[%u]", index++));
    return status;
}
