/* Clients that speak the Gemini API, to providers that do not: what they ask. What they get is in gemini_front_write.c.
 *
 * Members have two spellings. Signatures come back on the part that they were given out with: one that we have sealed says whose it is, any other is the vendor's
 * own. Schemas in the vendor's subset of OpenAPI become JSON Schema here, so that nobody behind has to know it.
 */
#include "dialect/gemini_codec.h"

#define COUNT(list) (sizeof(list) / sizeof *(list))

const struct weir_json_node *dialect__gemini_get(const struct weir_json_node *object, const char *camel) {
    char snake[64];
    size_t length = 0;
    const struct weir_json_node *value = weir_json_get_value(object, camel);
    if (value != NULL)
        return value;
    for (size_t i = 0; camel[i] != '\0' && length + 3 < sizeof snake; i++) {
        bool is_capital = camel[i] >= 'A' && camel[i] <= 'Z';
        if (is_capital)
            snake[length++] = '_';
        snake[length++] = is_capital ? (char)(camel[i] - 'A' + 'a') : camel[i];
    }
    snake[length] = '\0';
    return weir_json_get_value(object, snake);
}

/* What says no more than saying nothing would. */
static enum weir_status forget(struct dialect__reading *reading, const struct weir_json_node *value, bool is_default) {
    for (size_t i = 0; is_default && i < WEIR_PARAMETER_COUNT; i++)
        if (reading->prompt->values[i].at == value->text.at)
            reading->prompt->values[i] = WEIR_UNSAID;
    return WEIR_OK;
}

static enum weir_status note_unknown(struct dialect__reading *reading, const char *name) {
    struct weir_prompt *prompt = reading->prompt;
    for (const struct weir_name *there = prompt->unknown; there != NULL; there = there->next)
        if (weir_span_equal(there->text, weir_span_of_string(name)))
            return WEIR_OK;
    return weir_name_add(reading->exchange->arena, &prompt->unknown, &prompt->last_unknown,
                         weir_span_of_string(name)) == NULL
               ? WEIR_ENOMEM
               : WEIR_OK;
}

/* --- parts --- */

static enum weir_part_kind kind_of_type(struct weir_span type) {
    if (weir_span_starts_with(type, WEIR_SPAN("image/")))
        return WEIR_PART_IMAGE;
    if (weir_span_starts_with(type, WEIR_SPAN("audio/")))
        return WEIR_PART_AUDIO;
    return weir_span_starts_with(type, WEIR_SPAN("video/")) ? WEIR_PART_OTHER : WEIR_PART_DOCUMENT;
}

/* {"mimeType","data"} or {"mimeType","fileUri"}; what the vendor keeps itself no other provider can read. */
/* Bytes may be written in either alphabet of base64; other vendors take the standard one alone. */
static enum weir_status in_standard_base64(struct weir_arena *arena, struct weir_span *data) {
    if (memchr(data->at, '-', data->length) == NULL && memchr(data->at, '_', data->length) == NULL)
        return WEIR_OK;
    char *copy = weir_arena_alloc_raw(arena, data->length);
    if (copy == NULL)
        return WEIR_ENOMEM;
    for (size_t i = 0; i < data->length; i++)
        copy[i] = data->at[i] == '-' ? '+' : data->at[i] == '_' ? '/' : data->at[i];
    *data = weir_span_of(copy, data->length);
    return WEIR_OK;
}

static enum weir_status read_media(struct dialect__reading *reading, const struct weir_json_node *blob,
                                   const char *member, const char *path, struct weir_part *part) {
    const struct weir_json_node *data = dialect__gemini_get(blob, member),
                                *type = dialect__gemini_get(blob, "mimeType");
    enum weir_status status = dialect__take_text(reading, type, dialect__path(reading, "%s.mimeType", path),
                                                 &part->media.type);
    if (status != WEIR_OK)
        return status;
    if (!weir_json_is(data, WEIR_JSON_STRING))
        return dialect__must_be(reading, dialect__path(reading, "%s.%s", path, member), "a string", data);
    bool is_inline = member[0] == 'd';
    part->media.data = weir_json_inside(data);
    bool is_kept = !weir_span_starts_with(part->media.data, WEIR_SPAN("http")) ||
                   weir_span_starts_with(part->media.data, WEIR_SPAN("https://generativelanguage.googleapis.com/"));
    part->media.source = is_inline ? WEIR_MEDIA_INLINE : is_kept ? WEIR_MEDIA_FILE : WEIR_MEDIA_URL;
    part->kind = kind_of_type(part->media.type);
    part->name = WEIR_SPAN("video");
    if (is_inline && in_standard_base64(reading->exchange->arena, &part->media.data) != WEIR_OK)
        return WEIR_ENOMEM;
    return dialect__take_text(reading, dialect__gemini_get(blob, "displayName"),
                              dialect__path(reading, "%s.displayName", path), &part->media.filename);
}

static enum weir_status read_call(struct dialect__reading *reading, const struct weir_json_node *call, const char *path,
                                  struct weir_part *part) {
    const struct weir_json_node *name = weir_json_get_value(call, "name"), *args = weir_json_get_value(call, "args");
    part->kind = WEIR_PART_TOOL_CALL;
    if (!weir_json_is(name, WEIR_JSON_STRING))
        return dialect__must_be(reading, dialect__path(reading, "%s.name", path), "a string", name);
    part->name = weir_json_inside(name);
    part->arguments = args != NULL ? args->text : WEIR_SPAN("{}");
    return dialect__take_text(reading, weir_json_get(call, "id"), dialect__path(reading, "%s.id", path), &part->id);
}

/* A result's one member, where it has the meaning of the whole: "result", "output", "error". */
static const struct weir_json_node *only_member(const struct weir_json_node *response, const char *name) {
    return weir_json_is(response, WEIR_JSON_OBJECT) && response->count == 1 ? weir_json_get(response, name) : NULL;
}

static enum weir_status add_result_text(struct dialect__reading *reading, const struct weir_json_node *value,
                                        struct weir_part *result) {
    struct weir_part *text = weir_part_add(reading->exchange->arena, &result->content, WEIR_PART_TEXT);
    struct weir_buffer wire;
    if (text == NULL)
        return WEIR_ENOMEM;
    if (weir_json_is(value, WEIR_JSON_STRING)) {
        text->text = weir_json_inside(value);
        return WEIR_OK;
    }
    weir_buffer_init(&wire, 2 * value->text.length + 16);
    weir_append_json_as_wire(&wire, value->text);
    enum weir_status status = weir_arena_dup(reading->exchange->arena, weir_buffer_span(&wire), &text->text);
    weir_buffer_release(&wire);
    return status;
}

static enum weir_status read_parts(struct dialect__reading *reading, const struct weir_json_node *parts,
                                   const char *path, bool in_result, struct weir_part **list);

static enum weir_status read_result(struct dialect__reading *reading, const struct weir_json_node *result,
                                    const char *path, struct weir_part *part) {
    const struct weir_json_node *response = weir_json_get_value(result, "response"),
                                *error = only_member(response, "error"), *value = error;
    part->kind = WEIR_PART_TOOL_RESULT;
    part->is_error = error != NULL;
    if (value == NULL)
        value = only_member(response, "result");
    if (value == NULL)
        value = only_member(response, "output");
    if (value == NULL)
        value = response;
    enum weir_status status = dialect__take_text(reading, weir_json_get(result, "id"),
                                                 dialect__path(reading, "%s.id", path), &part->id);
    if (status == WEIR_OK)
        status = dialect__take_text(reading, weir_json_get(result, "name"), dialect__path(reading, "%s.name", path),
                                    &part->name);
    if (part->id.length == 0)
        part->id = WEIR_UNSAID;
    if (status == WEIR_OK && value != NULL)
        status = add_result_text(reading, value, part);
    const struct weir_json_node *parts = weir_json_get_value(result, "parts");
    return status == WEIR_OK && parts != NULL
               ? read_parts(reading, parts, dialect__path(reading, "%s.parts", path), true, &part->content)
               : status;
}

static enum weir_status read_signature(struct dialect__reading *reading, const struct weir_json_node *item,
                                       const char *path, struct weir_part *part) {
    struct weir_span value;
    enum weir_status status = dialect__take_text(reading, dialect__gemini_get(item, "thoughtSignature"),
                                                 dialect__path(reading, "%s.thoughtSignature", path), &value);
    if (status == WEIR_OK && value.length > 0 &&
        !weir_signature_open(reading->exchange->arena, value, &part->signature))
        part->signature = (struct weir_signature){.value = value, .from = WEIR_DIALECT_GEMINI, .id = WEIR_UNSAID};
    return status;
}

static struct weir_span type_of(const struct weir_json_node *item) {
    for (const struct weir_json_node *member = weir_json_first(item); member != NULL; member = member->next)
        if (member->kind == WEIR_JSON_OBJECT)
            return member->name;
    return WEIR_SPAN("unknown");
}

static enum weir_status read_part(struct dialect__reading *reading, const struct weir_json_node *item, const char *path,
                                  bool in_result, struct weir_part **list) {
    const struct weir_json_node *text = weir_json_get_value(item, "text"),
                                *blob = dialect__gemini_get(item, "inlineData"),
                                *file = dialect__gemini_get(item, "fileData"),
                                *call = dialect__gemini_get(item, "functionCall"),
                                *result = dialect__gemini_get(item, "functionResponse");
    struct weir_part *part = weir_part_add(reading->exchange->arena, list, WEIR_PART_OTHER);
    if (part == NULL)
        return WEIR_ENOMEM;
    if (!weir_json_is(item, WEIR_JSON_OBJECT))
        return dialect__must_be(reading, path, "an object", item);
    part->json = item->text;
    enum weir_status status = read_signature(reading, item, path, part);
    if (status != WEIR_OK)
        return status;
    if (text != NULL || (part->signature.value.length > 0 && blob == NULL && file == NULL && call == NULL)) {
        bool is_thought = weir_json_is(weir_json_get(item, "thought"), WEIR_JSON_TRUE);
        part->kind = is_thought ? WEIR_PART_THINKING : WEIR_PART_TEXT;
        status = dialect__take_text(reading, text, dialect__path(reading, "%s.text", path), &part->text);
        if (is_thought && part->text.length == 0)
            part->text = WEIR_UNSAID;
        return status;
    }
    if (blob != NULL)
        return read_media(reading, blob, "data", dialect__path(reading, "%s.inlineData", path), part);
    if (file != NULL)
        return read_media(reading, file, "fileUri", dialect__path(reading, "%s.fileData", path), part);
    if (call != NULL && !in_result)
        return read_call(reading, call, dialect__path(reading, "%s.functionCall", path), part);
    if (result != NULL && !in_result)
        return read_result(reading, result, dialect__path(reading, "%s.functionResponse", path), part);
    part->name = type_of(item);
    return WEIR_OK;
}

static enum weir_status read_parts(struct dialect__reading *reading, const struct weir_json_node *parts,
                                   const char *path, bool in_result, struct weir_part **list) {
    enum weir_status status = WEIR_OK;
    unsigned index = 0;
    if (weir_json_is(parts, WEIR_JSON_OBJECT))
        return read_part(reading, parts, path, in_result, list);
    if (!weir_json_is(parts, WEIR_JSON_ARRAY))
        return dialect__must_be(reading, path, "an array of parts", parts);
    for (const struct weir_json_node *item = parts->first; status == WEIR_OK && item != NULL; item = item->next)
        status = read_part(reading, item, dialect__path(reading, "%s[%u]", path, index++), in_result, list);
    return status;
}

/* --- contents --- */

static enum weir_status read_content(struct dialect__reading *reading, const struct weir_json_node *content,
                                     const char *path, enum weir_turn_role role) {
    struct weir_turn *turn = weir_prompt_add_turn(reading->exchange->arena, reading->prompt, role);
    const struct weir_json_node *parts = weir_json_get_value(content, "parts");
    if (turn == NULL)
        return WEIR_ENOMEM;
    if (weir_json_is(content, WEIR_JSON_OBJECT) && parts == NULL)
        return WEIR_OK; /* an answer that had none comes back so */
    return read_parts(reading, parts, dialect__path(reading, "%s.parts", path), false, &turn->parts);
}

static enum weir_status read_contents(struct dialect__reading *reading, const struct weir_json_node *root) {
    static const char *const names[] = {"user", "model", "function"};
    static const enum weir_turn_role roles[] = {WEIR_TURN_USER, WEIR_TURN_ASSISTANT, WEIR_TURN_USER};
    const struct weir_json_node *system = dialect__gemini_get(root, "systemInstruction"),
                                *contents = weir_json_get(root, "contents");
    enum weir_status status = WEIR_OK;
    unsigned index = 0;
    if (system != NULL)
        status = read_content(reading, system, "systemInstruction", WEIR_TURN_SYSTEM);
    if (status == WEIR_OK && weir_json_is(contents, WEIR_JSON_OBJECT))
        return read_content(reading, contents, "contents", WEIR_TURN_USER);
    if (status == WEIR_OK && !weir_json_is(contents, WEIR_JSON_ARRAY))
        return dialect__must_be(reading, "contents", "an array of contents", contents);
    for (const struct weir_json_node *content = weir_json_first(contents); status == WEIR_OK && content != NULL;
         content = content->next, index++) {
        const struct weir_json_node *role = weir_json_get_value(content, "role");
        size_t row = role == NULL ? 0 : dialect__row_of(names, COUNT(names), role);
        if (row == COUNT(names))
            return dialect__must_be(reading, dialect__path(reading, "contents[%u].role", index), "'user' or 'model'",
                                    role);
        status = read_content(reading, content, dialect__path(reading, "contents[%u]", index), roles[row]);
    }
    return status;
}

/* --- tools --- */

static enum weir_status read_declaration(struct dialect__reading *reading, const struct weir_json_node *node,
                                         const char *path) {
    static const char *const left_out[] = {"response", "responseJsonSchema", "behavior"};
    const struct weir_json_node *name = weir_json_get(node, "name"),
                                *schema = dialect__gemini_get(node, "parametersJsonSchema"),
                                *openapi = weir_json_get_value(node, "parameters");
    struct weir_tool *tool = weir_prompt_add_tool(reading->exchange->arena, reading->prompt, WEIR_TOOL_FUNCTION);
    if (tool == NULL)
        return WEIR_ENOMEM;
    if (!weir_json_is(name, WEIR_JSON_STRING))
        return dialect__must_be(reading, dialect__path(reading, "%s.name", path), "a string", name);
    tool->name = weir_json_inside(name);
    enum weir_status status = dialect__take_text(reading, weir_json_get(node, "description"),
                                                 dialect__path(reading, "%s.description", path), &tool->description);
    for (size_t i = 0; status == WEIR_OK && i < COUNT(left_out); i++)
        if (dialect__gemini_get(node, left_out[i]) != NULL)
            status = note_unknown(reading, dialect__path(reading, "tools[].functionDeclarations[].%s", left_out[i]));
    if (status != WEIR_OK)
        return status;
    if (schema != NULL) {
        tool->parameters = schema->text;
        return WEIR_OK;
    }
    if (openapi != NULL && openapi->kind != WEIR_JSON_OBJECT)
        return dialect__must_be(reading, dialect__path(reading, "%s.parameters", path), "an object", openapi);
    return openapi == NULL ? WEIR_OK : dialect__gemini_schema(reading->exchange, openapi, &tool->parameters);
}

static enum weir_status read_tool(struct dialect__reading *reading, const struct weir_json_node *node,
                                  const char *path) {
    const struct weir_json_node *own = dialect__gemini_get(node, "functionDeclarations");
    enum weir_status status = WEIR_OK;
    unsigned index = 0;
    if (!weir_json_is(node, WEIR_JSON_OBJECT))
        return dialect__must_be(reading, path, "an object", node);
    for (const struct weir_json_node *one = weir_json_first(own); status == WEIR_OK && one != NULL; one = one->next)
        status = read_declaration(reading, one, dialect__path(reading, "%s.functionDeclarations[%u]", path, index++));
    for (const struct weir_json_node *member = node->first; status == WEIR_OK && member != NULL;
         member = member->next) {
        if (member == own || member->kind == WEIR_JSON_NULL)
            continue;
        struct weir_tool *tool = weir_prompt_add_tool(reading->exchange->arena, reading->prompt, WEIR_TOOL_HOSTED);
        if (tool == NULL)
            return WEIR_ENOMEM;
        tool->name = member->name;
        tool->json = node->text;
    }
    return status;
}

static enum weir_status read_tools(struct dialect__reading *reading, const struct weir_json_node *tools) {
    enum weir_status status = WEIR_OK;
    unsigned index = 0;
    if (tools->kind == WEIR_JSON_OBJECT)
        return read_tool(reading, tools, "tools");
    if (tools->kind != WEIR_JSON_ARRAY)
        return dialect__must_be(reading, "tools", "an array", tools);
    for (const struct weir_json_node *tool = tools->first; status == WEIR_OK && tool != NULL; tool = tool->next)
        status = read_tool(reading, tool, dialect__path(reading, "tools[%u]", index++));
    return status == WEIR_OK ? forget(reading, tools, tools->count == 0) : status;
}

static enum weir_status read_choice(struct dialect__reading *reading, const struct weir_json_node *config) {
    static const char *const names[] = {"AUTO", "VALIDATED", "MODE_UNSPECIFIED", "ANY", "NONE"};
    static const enum weir_tool_choice choices[] = {WEIR_CHOICE_AUTO, WEIR_CHOICE_AUTO, WEIR_CHOICE_AUTO,
                                                    WEIR_CHOICE_ANY, WEIR_CHOICE_NONE};
    const struct weir_json_node *calling = dialect__gemini_get(config, "functionCallingConfig"),
                                *mode = weir_json_get_value(calling, "mode"),
                                *allowed = dialect__gemini_get(calling, "allowedFunctionNames");
    struct weir_prompt *prompt = reading->prompt;
    struct weir_name *last = NULL;
    size_t row = mode == NULL ? 0 : dialect__row_of(names, COUNT(names), mode);
    if (row == COUNT(names))
        return dialect__must_be(reading, "toolConfig.functionCallingConfig.mode",
                                "'AUTO', 'ANY', 'NONE' or 'VALIDATED'", mode);
    prompt->tool_choice = choices[row];
    for (const struct weir_json_node *name = weir_json_first(allowed);
         prompt->tool_choice == WEIR_CHOICE_ANY && name != NULL; name = name->next) {
        if (name->kind != WEIR_JSON_STRING)
            return dialect__must_be(reading, "toolConfig.functionCallingConfig.allowedFunctionNames",
                                    "an array of strings", name);
        if (weir_name_add(reading->exchange->arena, &prompt->chosen_tools, &last, weir_json_inside(name)) == NULL)
            return WEIR_ENOMEM;
    }
    if (prompt->chosen_tools != NULL && prompt->chosen_tools->next == NULL)
        prompt->tool_choice = WEIR_CHOICE_ONE;
    return forget(reading, config, prompt->tool_choice == WEIR_CHOICE_AUTO);
}

/* --- generationConfig --- */

static enum weir_status read_limit(struct dialect__reading *reading, const struct weir_json_node *value) {
    return dialect__take_count(reading, value, "generationConfig.maxOutputTokens", 1,
                               &reading->prompt->max_output_tokens);
}

static enum weir_status read_count(struct dialect__reading *reading, const struct weir_json_node *value) {
    return forget(reading, value, dialect__number(value, 0) == 1);
}

static enum weir_status read_flag(struct dialect__reading *reading, const struct weir_json_node *value) {
    return forget(reading, value, value->kind == WEIR_JSON_FALSE);
}

static enum weir_status read_stops(struct dialect__reading *reading, const struct weir_json_node *stops) {
    struct weir_prompt *prompt = reading->prompt;
    unsigned index = 0;
    if (stops->kind != WEIR_JSON_ARRAY)
        return dialect__must_be(reading, "generationConfig.stopSequences", "an array of strings", stops);
    for (const struct weir_json_node *stop = stops->first; stop != NULL; stop = stop->next, index++) {
        if (stop->kind != WEIR_JSON_STRING)
            return dialect__must_be(reading, dialect__path(reading, "generationConfig.stopSequences[%u]", index),
                                    "a string", stop);
        if (weir_name_add(reading->exchange->arena, &prompt->stops, &prompt->last_stop, weir_json_inside(stop)) == NULL)
            return WEIR_ENOMEM;
    }
    return forget(reading, stops, stops->count == 0);
}

static enum weir_status read_type(struct dialect__reading *reading, const struct weir_json_node *type) {
    bool is_json = weir_json_says(type, "application/json");
    if (!is_json && !weir_json_says(type, "text/plain"))
        return dialect__must_be(reading, "generationConfig.responseMimeType", "'application/json' or 'text/plain'",
                                type);
    if (is_json && reading->prompt->output_form == WEIR_FORM_TEXT)
        reading->prompt->output_form = WEIR_FORM_JSON;
    return forget(reading, type, !is_json);
}

static enum weir_status read_json_schema(struct dialect__reading *reading, const struct weir_json_node *schema) {
    if (schema->kind != WEIR_JSON_OBJECT)
        return dialect__must_be(reading, "generationConfig.responseJsonSchema", "an object", schema);
    reading->prompt->output_form = WEIR_FORM_SCHEMA;
    reading->prompt->schema = schema->text;
    return WEIR_OK;
}

static enum weir_status read_schema(struct dialect__reading *reading, const struct weir_json_node *schema) {
    if (schema->kind != WEIR_JSON_OBJECT)
        return dialect__must_be(reading, "generationConfig.responseSchema", "an object", schema);
    reading->prompt->output_form = WEIR_FORM_SCHEMA;
    return dialect__gemini_schema(reading->exchange, schema, &reading->prompt->schema);
}

static enum weir_status read_modalities(struct dialect__reading *reading, const struct weir_json_node *list) {
    bool is_text = weir_json_is(list, WEIR_JSON_ARRAY);
    for (const struct weir_json_node *one = weir_json_first(list); one != NULL; one = one->next)
        is_text = is_text && weir_json_says(one, "TEXT");
    return forget(reading, list, is_text);
}

static enum weir_status read_thinking(struct dialect__reading *reading, const struct weir_json_node *config) {
    static const char *const names[] = {"MINIMAL", "LOW", "MEDIUM", "HIGH", "XHIGH"};
    static const enum weir_effort efforts[] = {WEIR_EFFORT_MINIMAL, WEIR_EFFORT_LOW, WEIR_EFFORT_MEDIUM,
                                               WEIR_EFFORT_HIGH, WEIR_EFFORT_XHIGH};
    const struct weir_json_node *shown = dialect__gemini_get(config, "includeThoughts"),
                                *level = dialect__gemini_get(config, "thinkingLevel"),
                                *budget = dialect__gemini_get(config, "thinkingBudget");
    struct weir_prompt *prompt = reading->prompt;
    size_t row = dialect__row_of(names, COUNT(names), level);
    prompt->shows_thinking = weir_json_is(shown, WEIR_JSON_TRUE);
    if (prompt->shows_thinking)
        prompt->values[WEIR_PARAMETER_REASONING_SUMMARY] = shown->text;
    if (row < COUNT(names))
        prompt->effort = efforts[row];
    else if (level != NULL && !weir_json_says(level, "THINKING_LEVEL_UNSPECIFIED"))
        return dialect__must_be(reading, "generationConfig.thinkingConfig.thinkingLevel",
                                "'MINIMAL', 'LOW', 'MEDIUM', 'HIGH' or 'XHIGH'", level);
    enum weir_status status = dialect__take_count(reading, budget, "generationConfig.thinkingConfig.thinkingBudget", -1,
                                                  &prompt->thinking_budget);
    if (budget != NULL && prompt->thinking_budget == 0 && prompt->effort == WEIR_EFFORT_UNSAID)
        prompt->effort = WEIR_EFFORT_NONE;
    bool says_nothing = prompt->effort == WEIR_EFFORT_UNSAID && budget == NULL;
    return status == WEIR_OK ? forget(reading, config, says_nothing) : status;
}

#define ROW(member, parameter, function) \
    { member, WEIR_PARAMETER_##parameter, function }
#define BOTH(camel, snake, parameter, function) ROW(camel, parameter, function), ROW(snake, parameter, function)

static enum weir_status read_config(struct dialect__reading *reading, const struct weir_json_node *config) {
    static const struct dialect__member members[] = {
        BOTH("maxOutputTokens", "max_output_tokens", MAX_OUTPUT_TOKENS, read_limit),
        ROW("temperature", TEMPERATURE, NULL),
        BOTH("topP", "top_p", TOP_P, NULL),
        BOTH("topK", "top_k", TOP_K, NULL),
        BOTH("candidateCount", "candidate_count", N, read_count),
        BOTH("stopSequences", "stop_sequences", STOP, read_stops),
        ROW("seed", SEED, NULL),
        BOTH("frequencyPenalty", "frequency_penalty", FREQUENCY_PENALTY, NULL),
        BOTH("presencePenalty", "presence_penalty", PRESENCE_PENALTY, NULL),
        BOTH("responseLogprobs", "response_logprobs", LOGPROBS, read_flag),
        ROW("logprobs", TOP_LOGPROBS, NULL),
        BOTH("responseMimeType", "response_mime_type", RESPONSE_FORMAT, read_type),
        BOTH("responseSchema", "response_schema", RESPONSE_FORMAT, read_schema),
        BOTH("responseJsonSchema", "response_json_schema", RESPONSE_FORMAT, read_json_schema),
        ROW("_responseJsonSchema", RESPONSE_FORMAT, read_json_schema),
        BOTH("responseModalities", "response_modalities", MODALITIES, read_modalities),
        BOTH("speechConfig", "speech_config", AUDIO, NULL),
        BOTH("thinkingConfig", "thinking_config", REASONING, read_thinking),
        BOTH("mediaResolution", "media_resolution", MEDIA_RESOLUTION, NULL),
    };
    (void)forget(reading, config, true);
    if (config->kind != WEIR_JSON_OBJECT)
        return dialect__must_be(reading, "generationConfig", "an object", config);
    return dialect__read_members(reading, config, "generationConfig.", members, COUNT(members));
}

/* --- the whole --- */

static enum weir_status forget_empty(struct dialect__reading *reading, const struct weir_json_node *value) {
    return forget(reading, value, value->count == 0);
}

static const struct dialect__member members[] = {
    ROW("model", MODEL, NULL),
    ROW("contents", MESSAGES, NULL), /* read behind the system's text */
    BOTH("systemInstruction", "system_instruction", SYSTEM, NULL),
    BOTH("generationConfig", "generation_config", MAX_OUTPUT_TOKENS, read_config),
    ROW("tools", TOOLS, read_tools),
    BOTH("toolConfig", "tool_config", TOOL_CHOICE, read_choice),
    BOTH("safetySettings", "safety_settings", SAFETY_SETTINGS, forget_empty),
    BOTH("cachedContent", "cached_content", CACHED_CONTENT, NULL),
    ROW("labels", METADATA, forget_empty),
};

enum weir_status dialect__gemini_read_prompt(struct weir_exchange *exchange, const struct weir_json_node *root,
                                             struct weir_prompt *prompt, struct weir_call_problem *problem) {
    struct dialect__reading reading = {.exchange = exchange, .prompt = prompt, .problem = problem};
    const struct weir_json_node *inner = dialect__gemini_get(root, "generateContentRequest");
    prompt->wants_usage = true;
    if (inner != NULL) /* of a count */
        root = inner;
    if (!weir_json_is(root, WEIR_JSON_OBJECT))
        return dialect__must_be(&reading, "body", "a JSON object", root);
    enum weir_status status = dialect__read_members(&reading, root, "", members, COUNT(members));
    if (status == WEIR_OK)
        status = read_contents(&reading, root);
    return status == WEIR_OK ? weir_prompt_finish(exchange->arena, prompt, exchange->seed) : status;
}

/* --- vectors --- */

static enum weir_status read_input(struct dialect__reading *reading, const struct weir_json_node *request,
                                   const char *prefix, struct weir_vectors_call *call) {
    static const struct dialect__member known[] = {
        ROW("model", MODEL, NULL),
        ROW("content", MESSAGES, NULL),
        BOTH("outputDimensionality", "output_dimensionality", DIMENSIONS, NULL),
        BOTH("taskType", "task_type", TASK_TYPE, NULL),
        ROW("title", TITLE, NULL),
    };
    struct weir_arena *arena = reading->exchange->arena;
    struct weir_part *parts = NULL;
    const char *path = dialect__path(reading, "%scontent.parts", prefix);
    struct weir_vector_input *input = weir_arena_alloc(arena, sizeof *input);
    if (input == NULL)
        return WEIR_ENOMEM;
    enum weir_status status = dialect__read_members(reading, request, prefix, known, COUNT(known));
    if (status == WEIR_OK)
        status = read_parts(reading, weir_json_get(weir_json_get(request, "content"), "parts"), path, true, &parts);
    for (const struct weir_part *part = parts; status == WEIR_OK && part != NULL; part = part->next)
        if (part->kind != WEIR_PART_TEXT)
            return dialect__must_be(reading, path, "an array of texts", NULL);
    if (status != WEIR_OK)
        return status;
    input->text = dialect__join_texts(arena, parts, WEIR_PART_TEXT, WEIR_SPAN("\\n"));
    if (!weir_is_said(input->text))
        input->text = WEIR_SPAN("");
    if (call->last_input != NULL)
        call->last_input->next = input;
    else
        call->inputs = input;
    call->last_input = input;
    call->count++;
    return WEIR_OK;
}

enum weir_status dialect__gemini_read_vectors_call(struct weir_exchange *exchange, const struct weir_json_node *root,
                                                   struct weir_vectors_call *call, struct weir_call_problem *problem) {
    struct weir_prompt prompt = {.stream = false};
    struct dialect__reading reading = {.exchange = exchange, .prompt = &prompt, .problem = problem};
    const struct weir_json_node *requests = weir_json_get_value(root, "requests");
    enum weir_status status = WEIR_OK;
    unsigned index = 0;
    call->is_single = requests == NULL;
    if (requests == NULL)
        status = read_input(&reading, root, "", call);
    else if (requests->kind != WEIR_JSON_ARRAY)
        return dialect__must_be(&reading, "requests", "an array of requests", requests);
    for (const struct weir_json_node *one = weir_json_first(requests); status == WEIR_OK && one != NULL;
         one = one->next)
        status = read_input(&reading, one, dialect__path(&reading, "requests[%u].", index++), call);
    memcpy(call->values, prompt.values, sizeof call->values);
    call->unknown = prompt.unknown;
    call->last_unknown = prompt.last_unknown;
    return status;
}
