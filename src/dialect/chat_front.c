/* Clients that speak chat completions, to providers that do not: what they ask. What they get is in chat_front_write.c.
 *
 * Thinking has no place in the published format. Members that many servers and clients know hold it: `reasoning_content` its text, `reasoning_details` what a provider
 * wants back. Clients that drop what they do not know still send the ids of calls back: what a provider wants with a call travels in its id.
 */
#include "dialect/chat_codec.h"

/* --- content --- */

static enum weir_status read_image(struct dialect__reading *reading, const struct weir_json_node *item,
                                   const char *path, struct weir_part **parts) {
    const struct weir_json_node *image = weir_json_get(item, "image_url"), *url = image;
    if (weir_json_is(image, WEIR_JSON_OBJECT))
        url = weir_json_get(image, "url");
    if (!weir_json_is(url, WEIR_JSON_STRING))
        return dialect__must_be(reading, dialect__path(reading, "%s.image_url.url", path), "a string", url);
    struct weir_part *part = weir_part_add(reading->exchange->arena, parts, WEIR_PART_IMAGE);
    if (part == NULL)
        return WEIR_ENOMEM;
    dialect__read_data_url(weir_json_inside(url), &part->media);
    const struct weir_json_node *detail = weir_json_get(image, "detail");
    if (weir_json_is(detail, WEIR_JSON_STRING))
        part->media.detail = weir_json_inside(detail);
    return WEIR_OK;
}

static enum weir_status read_sound(struct dialect__reading *reading, const struct weir_json_node *item,
                                   const char *path, struct weir_part **parts) {
    const struct weir_json_node *sound = weir_json_get(item, "input_audio"), *data = weir_json_get(sound, "data");
    if (!weir_json_is(data, WEIR_JSON_STRING))
        return dialect__must_be(reading, dialect__path(reading, "%s.input_audio.data", path), "a string", data);
    struct weir_part *part = weir_part_add(reading->exchange->arena, parts, WEIR_PART_AUDIO);
    if (part == NULL)
        return WEIR_ENOMEM;
    part->media.data = weir_json_inside(data);
    part->media.type = weir_json_says(weir_json_get(sound, "format"), "mp3") ? WEIR_SPAN("audio/mp3")
                                                                             : WEIR_SPAN("audio/wav");
    return WEIR_OK;
}

static enum weir_status read_file(struct dialect__reading *reading, const struct weir_json_node *item, const char *path,
                                  struct weir_part **parts) {
    const struct weir_json_node *file = weir_json_get(item, "file"), *data = weir_json_get_value(file, "file_data"),
                                *id = weir_json_get_value(file, "file_id"), *name = weir_json_get(file, "filename");
    const struct weir_json_node *said = data != NULL ? data : id;
    if (!weir_json_is(said, WEIR_JSON_STRING))
        return dialect__must_be(reading, dialect__path(reading, "%s.file.file_data", path), "a string", said);
    struct weir_part *part = weir_part_add(reading->exchange->arena, parts, WEIR_PART_DOCUMENT);
    if (part == NULL)
        return WEIR_ENOMEM;
    if (data == NULL) {
        part->media.source = WEIR_MEDIA_FILE;
        part->media.data = weir_json_inside(id);
    } else {
        dialect__read_data_url(weir_json_inside(data), &part->media);
        if (part->media.source == WEIR_MEDIA_URL) /* base64 without its head */
            part->media.source = WEIR_MEDIA_INLINE;
        if (!weir_is_said(part->media.type))
            part->media.type = WEIR_SPAN("application/pdf");
    }
    if (weir_json_is(name, WEIR_JSON_STRING))
        part->media.filename = weir_json_inside(name);
    return WEIR_OK;
}

static enum weir_status read_words(struct dialect__reading *reading, const struct weir_json_node *item,
                                   const char *member, enum weir_part_kind kind, const char *path,
                                   struct weir_part **parts) {
    const struct weir_json_node *text = weir_json_get(item, member);
    if (!weir_json_is(text, WEIR_JSON_STRING))
        return dialect__must_be(reading, dialect__path(reading, "%s.%s", path, member), "a string", text);
    struct weir_part *part = weir_part_add(reading->exchange->arena, parts, kind);
    if (part == NULL)
        return WEIR_ENOMEM;
    part->text = weir_json_inside(text);
    const struct weir_json_node *cache = weir_json_get_value(item, "cache_control");
    if (cache != NULL) {
        const struct weir_json_node *ttl = weir_json_get(cache, "ttl");
        part->cache = weir_json_is(ttl, WEIR_JSON_STRING) ? weir_json_inside(ttl) : WEIR_SPAN("");
    }
    return WEIR_OK;
}

static enum weir_status read_item(struct dialect__reading *reading, const struct weir_json_node *item, const char *path,
                                  struct weir_part **parts) {
    const struct weir_json_node *type = weir_json_get(item, "type");
    if (item->kind != WEIR_JSON_OBJECT || !weir_json_is(type, WEIR_JSON_STRING))
        return dialect__must_be(reading, dialect__path(reading, "%s.type", path), "a string", type);
    if (weir_json_says(type, "text"))
        return read_words(reading, item, "text", WEIR_PART_TEXT, path, parts);
    if (weir_json_says(type, "refusal"))
        return read_words(reading, item, "refusal", WEIR_PART_REFUSAL, path, parts);
    if (weir_json_says(type, "image_url"))
        return read_image(reading, item, path, parts);
    if (weir_json_says(type, "input_audio"))
        return read_sound(reading, item, path, parts);
    if (weir_json_says(type, "file"))
        return read_file(reading, item, path, parts);
    struct weir_part *part = weir_part_add(reading->exchange->arena, parts, WEIR_PART_OTHER);
    if (part == NULL)
        return WEIR_ENOMEM;
    part->name = weir_json_inside(type);
    part->json = item->text;
    return WEIR_OK;
}

/* A string, or an array of parts. Absent and null are nothing. */
static enum weir_status read_content(struct dialect__reading *reading, const struct weir_json_node *content,
                                     const char *path, struct weir_part **parts) {
    if (content == NULL || content->kind == WEIR_JSON_NULL)
        return WEIR_OK;
    if (content->kind == WEIR_JSON_STRING) {
        struct weir_part *part = weir_part_add(reading->exchange->arena, parts, WEIR_PART_TEXT);
        if (part == NULL)
            return WEIR_ENOMEM;
        part->text = weir_json_inside(content);
        return WEIR_OK;
    }
    if (content->kind != WEIR_JSON_ARRAY)
        return dialect__must_be(reading, path, "a string or an array of parts", content);
    unsigned index = 0;
    for (const struct weir_json_node *item = content->first; item != NULL; item = item->next, index++) {
        enum weir_status status = read_item(reading, item, dialect__path(reading, "%s[%u]", path, index), parts);
        if (status != WEIR_OK)
            return status;
    }
    return WEIR_OK;
}

/* --- messages --- */

static enum weir_status read_call(struct dialect__reading *reading, const struct weir_json_node *call, const char *path,
                                  struct weir_part **parts) {
    bool is_custom = weir_json_says(weir_json_get(call, "type"), "custom");
    const struct weir_json_node *function = weir_json_get(call, is_custom ? "custom" : "function"),
                                *id = weir_json_get(call, "id"), *name = weir_json_get(function, "name"),
                                *arguments = weir_json_get(function, is_custom ? "input" : "arguments");
    if (!weir_json_is(name, WEIR_JSON_STRING))
        return dialect__must_be(reading, dialect__path(reading, "%s.function.name", path), "a string", name);
    if (arguments != NULL && arguments->kind != WEIR_JSON_STRING && arguments->kind != WEIR_JSON_NULL)
        return dialect__must_be(reading, dialect__path(reading, "%s.function.arguments", path), "a string", arguments);
    struct weir_part *part = weir_part_add(reading->exchange->arena, parts, WEIR_PART_TOOL_CALL);
    if (part == NULL)
        return WEIR_ENOMEM;
    part->name = weir_json_inside(name);
    part->is_custom = is_custom;
    if (weir_json_is(id, WEIR_JSON_STRING))
        part->id = dialect__open_id(reading->exchange, weir_json_inside(id), &part->signature);
    if (is_custom) {
        part->arguments = weir_json_is(arguments, WEIR_JSON_STRING) ? arguments->text : WEIR_SPAN("\"\"");
        return WEIR_OK;
    }
    return weir_wire_json(reading->exchange->arena, weir_json_inside(arguments), &part->arguments);
}

/* What was given out as reasoning_details; its text may stand in reasoning_content. */
static enum weir_status read_details(struct dialect__reading *reading, const struct weir_json_node *details,
                                     struct weir_span text, struct weir_part **parts) {
    struct weir_arena *arena = reading->exchange->arena;
    for (const struct weir_json_node *detail = weir_json_first(details); detail != NULL; detail = detail->next) {
        bool is_hidden = weir_json_says(weir_json_get(detail, "type"), "reasoning.encrypted");
        const struct weir_json_node *value = weir_json_get(detail, is_hidden ? "data" : "signature");
        const struct weir_json_node *own = weir_json_get(detail, "text");
        struct weir_part *part = weir_part_add(arena, parts, WEIR_PART_THINKING);
        if (part == NULL)
            return WEIR_ENOMEM;
        if (weir_json_is(own, WEIR_JSON_STRING))
            part->text = weir_json_inside(own);
        else if (!is_hidden)
            part->text = text;
        text = is_hidden || weir_json_is(own, WEIR_JSON_STRING) ? text : WEIR_UNSAID;
        if (weir_json_is(value, WEIR_JSON_STRING) &&
            !weir_signature_open(arena, weir_json_inside(value), &part->signature))
            part->signature = (struct weir_signature){.value = weir_json_inside(value), .from = WEIR_DIALECT_OPENAI};
    }
    return WEIR_OK;
}

static enum weir_status read_thinking(struct dialect__reading *reading, const struct weir_json_node *message,
                                      struct weir_part **parts) {
    const struct weir_json_node *text = weir_json_get_value(message, "reasoning_content"),
                                *details = weir_json_get(message, "reasoning_details");
    if (text == NULL)
        text = weir_json_get_value(message, "reasoning");
    struct weir_span wire = weir_json_is(text, WEIR_JSON_STRING) ? weir_json_inside(text) : WEIR_UNSAID;
    if (weir_json_is(details, WEIR_JSON_ARRAY) && details->count > 0)
        return read_details(reading, details, wire, parts);
    if (!weir_is_said(wire) || wire.length == 0)
        return WEIR_OK;
    struct weir_part *part = weir_part_add(reading->exchange->arena, parts, WEIR_PART_THINKING);
    if (part == NULL)
        return WEIR_ENOMEM;
    part->text = wire;
    return WEIR_OK;
}

static enum weir_status read_assistant(struct dialect__reading *reading, const struct weir_json_node *message,
                                       const char *path, struct weir_part **parts) {
    const struct weir_json_node *refusal = weir_json_get_value(message, "refusal"),
                                *calls = weir_json_get_value(message, "tool_calls"),
                                *call = weir_json_get_value(message, "function_call"),
                                *sound = weir_json_get_value(message, "audio");
    enum weir_status status = read_thinking(reading, message, parts);
    if (status == WEIR_OK)
        status = read_content(reading, weir_json_get(message, "content"), dialect__path(reading, "%s.content", path),
                              parts);
    if (status == WEIR_OK && refusal != NULL)
        status = read_words(reading, message, "refusal", WEIR_PART_REFUSAL, path, parts);
    if (status == WEIR_OK && sound != NULL) {
        struct weir_part *part = weir_part_add(reading->exchange->arena, parts, WEIR_PART_OTHER);
        if (part == NULL)
            return WEIR_ENOMEM;
        part->name = WEIR_SPAN("audio");
        part->json = sound->text;
    }
    unsigned index = 0;
    if (calls != NULL && calls->kind != WEIR_JSON_ARRAY)
        return dialect__must_be(reading, dialect__path(reading, "%s.tool_calls", path), "an array", calls);
    for (const struct weir_json_node *one = weir_json_first(calls); status == WEIR_OK && one != NULL; one = one->next)
        status = read_call(reading, one, dialect__path(reading, "%s.tool_calls[%u]", path, index++), parts);
    if (status != WEIR_OK || call == NULL)
        return status;
    /* the older form of one call: its object stands where a call has its function */
    const struct weir_json_node older = {.kind = WEIR_JSON_OBJECT,
                                         .first = &(struct weir_json_node){.name = WEIR_SPAN("function"),
                                                                           .text = call->text,
                                                                           .first = call->first,
                                                                           .kind = call->kind}};
    return read_call(reading, &older, dialect__path(reading, "%s.function_call", path), parts);
}

static enum weir_status read_result(struct dialect__reading *reading, const struct weir_json_node *message,
                                    const char *path, bool is_older, struct weir_part **parts) {
    const struct weir_json_node *id = weir_json_get(message, "tool_call_id"), *name = weir_json_get(message, "name");
    if (!is_older && !weir_json_is(id, WEIR_JSON_STRING))
        return dialect__must_be(reading, dialect__path(reading, "%s.tool_call_id", path), "a string", id);
    struct weir_part *part = weir_part_add(reading->exchange->arena, parts, WEIR_PART_TOOL_RESULT);
    if (part == NULL)
        return WEIR_ENOMEM;
    if (weir_json_is(id, WEIR_JSON_STRING))
        part->id = dialect__open_id(reading->exchange, weir_json_inside(id), NULL);
    if (weir_json_is(name, WEIR_JSON_STRING))
        part->name = weir_json_inside(name);
    return read_content(reading, weir_json_get(message, "content"), dialect__path(reading, "%s.content", path),
                        &part->content);
}

/* Results that follow each other are one turn. */
static struct weir_turn *turn_of(struct dialect__reading *reading, enum weir_turn_role role, bool is_result) {
    struct weir_turn *last = reading->prompt->last_turn;
    if (is_result && last != NULL && last->role == WEIR_TURN_USER && last->parts != NULL &&
        last->parts->kind == WEIR_PART_TOOL_RESULT)
        return last;
    return weir_prompt_add_turn(reading->exchange->arena, reading->prompt, role);
}

static enum weir_status read_message(struct dialect__reading *reading, const struct weir_json_node *message,
                                     const char *path) {
    static const char *const names[] = {"system", "developer", "user", "assistant", "tool", "function"};
    enum { SYSTEM, DEVELOPER, USER, ASSISTANT, TOOL, FUNCTION, ROLES };
    size_t role = dialect__row_of(names, ROLES, weir_json_get(message, "role"));
    const struct weir_json_node *name = weir_json_get_value(message, "name");
    if (role == ROLES)
        return dialect__must_be(reading, dialect__path(reading, "%s.role", path),
                                "one of 'system', 'developer', 'user', 'assistant', 'tool'",
                                weir_json_get(message, "role"));
    bool is_result = role == TOOL || role == FUNCTION;
    struct weir_turn *turn = turn_of(reading,
                                     role <= DEVELOPER   ? WEIR_TURN_SYSTEM
                                     : role == ASSISTANT ? WEIR_TURN_ASSISTANT
                                                         : WEIR_TURN_USER,
                                     is_result);
    if (turn == NULL)
        return WEIR_ENOMEM;
    turn->is_developer = role == DEVELOPER;
    if (is_result)
        return read_result(reading, message, path, role == FUNCTION, &turn->parts);
    if (weir_json_is(name, WEIR_JSON_STRING))
        turn->name = weir_json_inside(name);
    if (role == ASSISTANT)
        return read_assistant(reading, message, path, &turn->parts);
    if (weir_json_get_value(message, "content") == NULL)
        return dialect__must_be(reading, dialect__path(reading, "%s.content", path), "a string or an array of parts",
                                NULL);
    return read_content(reading, weir_json_get(message, "content"), dialect__path(reading, "%s.content", path),
                        &turn->parts);
}

static enum weir_status read_messages(struct dialect__reading *reading, const struct weir_json_node *messages) {
    unsigned index = 0;
    if (messages->kind != WEIR_JSON_ARRAY)
        return dialect__must_be(reading, "messages", "an array of messages", messages);
    for (const struct weir_json_node *message = messages->first; message != NULL; message = message->next, index++) {
        enum weir_status status = read_message(reading, message, dialect__path(reading, "messages[%u]", index));
        if (status != WEIR_OK)
            return status;
    }
    return WEIR_OK;
}

/* --- tools --- */

static enum weir_status read_function(struct dialect__reading *reading, const struct weir_json_node *function,
                                      const char *path, enum weir_tool_kind kind) {
    const struct weir_json_node *name = weir_json_get(function, "name"),
                                *schema = weir_json_get_value(function, "parameters"),
                                *strict = weir_json_get_value(function, "strict");
    if (!weir_json_is(name, WEIR_JSON_STRING))
        return dialect__must_be(reading, dialect__path(reading, "%s.name", path), "a string", name);
    if (schema != NULL && schema->kind != WEIR_JSON_OBJECT)
        return dialect__must_be(reading, dialect__path(reading, "%s.parameters", path), "an object", schema);
    struct weir_tool *tool = weir_prompt_add_tool(reading->exchange->arena, reading->prompt, kind);
    if (tool == NULL)
        return WEIR_ENOMEM;
    tool->name = weir_json_inside(name);
    if (schema != NULL)
        tool->parameters = schema->text;
    if (strict != NULL)
        tool->is_strict = strict->text;
    return dialect__take_text(reading, weir_json_get(function, "description"),
                              dialect__path(reading, "%s.description", path), &tool->description);
}

enum weir_status dialect__read_chat_tools(struct dialect__reading *reading, const struct weir_json_node *tools) {
    unsigned index = 0;
    if (tools->kind != WEIR_JSON_ARRAY)
        return dialect__must_be(reading, "tools", "an array", tools);
    if (tools->count == 0)
        reading->prompt->values[WEIR_PARAMETER_TOOLS] = WEIR_UNSAID;
    for (const struct weir_json_node *tool = tools->first; tool != NULL; tool = tool->next, index++) {
        const struct weir_json_node *type = weir_json_get(tool, "type");
        enum weir_status status = WEIR_OK;
        if (weir_json_says(type, "function")) {
            status = read_function(reading, weir_json_get(tool, "function"),
                                   dialect__path(reading, "tools[%u].function", index), WEIR_TOOL_FUNCTION);
        } else if (weir_json_says(type, "custom")) {
            status = read_function(reading, weir_json_get(tool, "custom"),
                                   dialect__path(reading, "tools[%u].custom", index), WEIR_TOOL_CUSTOM);
        } else if (!weir_json_is(type, WEIR_JSON_STRING)) {
            return dialect__must_be(reading, dialect__path(reading, "tools[%u].type", index), "a string", type);
        } else {
            struct weir_tool *hosted = weir_prompt_add_tool(reading->exchange->arena, reading->prompt,
                                                            WEIR_TOOL_HOSTED);
            if (hosted == NULL)
                return WEIR_ENOMEM;
            hosted->name = weir_json_inside(type);
            hosted->json = tool->text;
        }
        if (status != WEIR_OK)
            return status;
    }
    return WEIR_OK;
}

/* The older form of tools. */
static enum weir_status read_functions(struct dialect__reading *reading, const struct weir_json_node *functions) {
    unsigned index = 0;
    if (functions->kind != WEIR_JSON_ARRAY)
        return dialect__must_be(reading, "functions", "an array", functions);
    for (const struct weir_json_node *function = functions->first; function != NULL; function = function->next) {
        enum weir_status status = read_function(reading, function, dialect__path(reading, "functions[%u]", index++),
                                                WEIR_TOOL_FUNCTION);
        if (status != WEIR_OK)
            return status;
    }
    return WEIR_OK;
}

/* More than any vendor takes; each tool is looked for among them. */
enum { MOST_CHOSEN = 1000 };

static enum weir_status add_chosen(struct dialect__reading *reading, const struct weir_json_node *name) {
    struct weir_name *last = reading->prompt->chosen_tools;
    if (!weir_json_is(name, WEIR_JSON_STRING))
        return dialect__must_be(reading, "tool_choice.function.name", "a string", name);
    size_t count = 1;
    for (; last != NULL && last->next != NULL; count++)
        last = last->next;
    if (count > MOST_CHOSEN)
        return dialect__must_be(reading, "tool_choice", "about at most 1000 tools", name);
    return weir_name_add(reading->exchange->arena, &reading->prompt->chosen_tools, &last, weir_json_inside(name)) ==
                   NULL
               ? WEIR_ENOMEM
               : WEIR_OK;
}

static enum weir_status read_allowed(struct dialect__reading *reading, const struct weir_json_node *allowed) {
    reading->prompt->tool_choice = weir_json_says(weir_json_get(allowed, "mode"), "auto") ? WEIR_CHOICE_AUTO
                                                                                          : WEIR_CHOICE_ANY;
    for (const struct weir_json_node *tool = weir_json_first(weir_json_get(allowed, "tools")); tool != NULL;
         tool = tool->next) {
        const struct weir_json_node *function = weir_json_get(tool, "function");
        enum weir_status status = add_chosen(reading, weir_json_get(function != NULL ? function : tool, "name"));
        if (status != WEIR_OK)
            return status;
    }
    return WEIR_OK;
}

static enum weir_status read_choice(struct dialect__reading *reading, const struct weir_json_node *choice) {
    static const char *const names[] = {"auto", "none", "required"};
    static const enum weir_tool_choice choices[] = {WEIR_CHOICE_AUTO, WEIR_CHOICE_NONE, WEIR_CHOICE_ANY};
    size_t row = dialect__row_of(names, 3, choice);
    if (row < 3) {
        reading->prompt->tool_choice = choices[row];
        if (row == 0)
            reading->prompt->values[WEIR_PARAMETER_TOOL_CHOICE] = WEIR_UNSAID;
        return WEIR_OK;
    }
    if (choice->kind != WEIR_JSON_OBJECT)
        return dialect__must_be(reading, "tool_choice", "'auto', 'none', 'required' or an object", choice);
    const struct weir_json_node *function = weir_json_get(choice, "function"),
                                *custom = weir_json_get(choice, "custom"),
                                *allowed = weir_json_get(choice, "allowed_tools");
    if (allowed != NULL)
        return read_allowed(reading, allowed);
    reading->prompt->tool_choice = WEIR_CHOICE_ONE;
    /* The older function_call has the name alone. */
    return add_chosen(reading, weir_json_get(function != NULL ? function : custom != NULL ? custom : choice, "name"));
}

static enum weir_status read_parallel(struct dialect__reading *reading, const struct weir_json_node *value) {
    if (value->kind == WEIR_JSON_TRUE)
        reading->prompt->values[WEIR_PARAMETER_PARALLEL_TOOL_CALLS] = WEIR_UNSAID;
    else if (value->kind == WEIR_JSON_FALSE)
        reading->prompt->one_tool_at_a_time = true;
    else
        return dialect__must_be(reading, "parallel_tool_calls", "true or false", value);
    return WEIR_OK;
}

/* --- form, thinking, the rest --- */

static enum weir_status read_form(struct dialect__reading *reading, const struct weir_json_node *format) {
    static const char *const names[] = {"text", "json_object", "json_schema"};
    struct weir_prompt *prompt = reading->prompt;
    size_t row = dialect__row_of(names, 3, weir_json_get(format, "type"));
    if (row == 3)
        return dialect__must_be(reading, "response_format.type", "'text', 'json_object' or 'json_schema'",
                                weir_json_get(format, "type"));
    prompt->output_form = (enum weir_output_form)row;
    if (row == 0)
        prompt->values[WEIR_PARAMETER_RESPONSE_FORMAT] = WEIR_UNSAID;
    if (row < 2)
        return WEIR_OK;
    const struct weir_json_node *form = weir_json_get(format, "json_schema"), *schema = weir_json_get(form, "schema"),
                                *name = weir_json_get(form, "name"), *strict = weir_json_get_value(form, "strict");
    if (!weir_json_is(schema, WEIR_JSON_OBJECT))
        return dialect__must_be(reading, "response_format.json_schema.schema", "an object", schema);
    prompt->schema = schema->text;
    if (weir_json_is(name, WEIR_JSON_STRING))
        prompt->schema_name = weir_json_inside(name);
    if (strict != NULL)
        prompt->schema_is_strict = strict->text;
    return dialect__take_text(reading, weir_json_get(form, "description"), "response_format.json_schema.description",
                              &prompt->schema_description);
}

static enum weir_status read_effort(struct dialect__reading *reading, const struct weir_json_node *effort) {
    reading->prompt->effort = weir_effort_of(effort);
    if (reading->prompt->effort == WEIR_EFFORT_UNSAID)
        return dialect__must_be(reading, "reasoning_effort",
                                "one of 'none', 'minimal', 'low', 'medium', 'high', 'xhigh', 'max'", effort);
    return WEIR_OK;
}

enum weir_status dialect__read_stop(struct dialect__reading *reading, const struct weir_json_node *stop) {
    struct weir_prompt *prompt = reading->prompt;
    const struct weir_json_node *one = stop->kind == WEIR_JSON_ARRAY ? stop->first : stop;
    if (one == NULL)
        prompt->values[WEIR_PARAMETER_STOP] = WEIR_UNSAID;
    for (; one != NULL; one = stop->kind == WEIR_JSON_ARRAY ? one->next : NULL) {
        if (one->kind != WEIR_JSON_STRING)
            return dialect__must_be(reading, "stop", "a string or an array of strings", one);
        if (weir_name_add(reading->exchange->arena, &prompt->stops, &prompt->last_stop, weir_json_inside(one)) == NULL)
            return WEIR_ENOMEM;
    }
    return WEIR_OK;
}

static enum weir_status read_limit(struct dialect__reading *reading, const struct weir_json_node *value) {
    return dialect__take_count(reading, value, "max_completion_tokens", 1, &reading->prompt->max_output_tokens);
}

static enum weir_status read_stream(struct dialect__reading *reading, const struct weir_json_node *value) {
    reading->prompt->stream = value->kind == WEIR_JSON_TRUE;
    return WEIR_OK;
}

/* What says no more than saying nothing would. */
static enum weir_status forget(struct dialect__reading *reading, const struct weir_json_node *value, bool is_default) {
    for (size_t i = 0; is_default && i < WEIR_PARAMETER_COUNT; i++)
        if (reading->prompt->values[i].at == value->text.at)
            reading->prompt->values[i] = WEIR_UNSAID;
    return WEIR_OK;
}

static enum weir_status forget_false(struct dialect__reading *reading, const struct weir_json_node *value) {
    return forget(reading, value, value->kind == WEIR_JSON_FALSE);
}

/* Kept for evaluations alone: the answer is the same without. */
static enum weir_status read_store(struct dialect__reading *reading, const struct weir_json_node *value) {
    struct weir_prompt *prompt = reading->prompt;
    prompt->values[WEIR_PARAMETER_STORE] = WEIR_UNSAID;
    if (value->kind == WEIR_JSON_FALSE)
        return WEIR_OK;
    return weir_name_add(reading->exchange->arena, &prompt->unknown, &prompt->last_unknown, WEIR_SPAN("store")) == NULL
               ? WEIR_ENOMEM
               : WEIR_OK;
}

static enum weir_status forget_zero(struct dialect__reading *reading, const struct weir_json_node *value) {
    return forget(reading, value,
                  weir_span_equal(value->text, WEIR_SPAN("0")) || weir_span_equal(value->text, WEIR_SPAN("0.0")));
}

static enum weir_status forget_one(struct dialect__reading *reading, const struct weir_json_node *value) {
    return forget(reading, value, dialect__number(value, 0) == 1);
}

static enum weir_status forget_empty(struct dialect__reading *reading, const struct weir_json_node *value) {
    return forget(reading, value, value->count == 0);
}

static enum weir_status forget_auto(struct dialect__reading *reading, const struct weir_json_node *value) {
    return forget(reading, value, weir_json_says(value, "auto") || weir_json_says(value, "default"));
}

static enum weir_status forget_text(struct dialect__reading *reading, const struct weir_json_node *value) {
    return forget(reading, value, value->count == 1 && weir_json_says(value->first, "text"));
}

#define ROW(member, parameter, function) \
    { member, WEIR_PARAMETER_##parameter, function }
static const struct dialect__member members[] = {
    ROW("model", MODEL, NULL),
    ROW("messages", MESSAGES, read_messages),
    ROW("stream", STREAM, read_stream),
    ROW("stream_options", STREAM_OPTIONS, NULL),
    ROW("max_completion_tokens", MAX_OUTPUT_TOKENS, read_limit),
    ROW("max_tokens", MAX_OUTPUT_TOKENS, read_limit),
    ROW("temperature", TEMPERATURE, NULL),
    ROW("top_p", TOP_P, NULL),
    ROW("top_k", TOP_K, NULL),
    ROW("min_p", MIN_P, NULL),
    ROW("n", N, forget_one),
    ROW("stop", STOP, dialect__read_stop),
    ROW("seed", SEED, NULL),
    ROW("frequency_penalty", FREQUENCY_PENALTY, forget_zero),
    ROW("presence_penalty", PRESENCE_PENALTY, forget_zero),
    ROW("logit_bias", LOGIT_BIAS, forget_empty),
    ROW("logprobs", LOGPROBS, forget_false),
    ROW("top_logprobs", TOP_LOGPROBS, forget_zero),
    ROW("response_format", RESPONSE_FORMAT, read_form),
    ROW("verbosity", VERBOSITY, NULL),
    ROW("modalities", MODALITIES, forget_text),
    ROW("audio", AUDIO, NULL),
    ROW("prediction", PREDICTION, NULL),
    ROW("tools", TOOLS, dialect__read_chat_tools),
    ROW("functions", TOOLS, read_functions),
    ROW("tool_choice", TOOL_CHOICE, read_choice),
    ROW("function_call", TOOL_CHOICE, read_choice),
    ROW("parallel_tool_calls", PARALLEL_TOOL_CALLS, read_parallel),
    ROW("web_search_options", WEB_SEARCH, NULL),
    ROW("reasoning_effort", REASONING, read_effort),
    ROW("store", STORE, read_store),
    ROW("prompt_cache_key", PROMPT_CACHE_KEY, NULL),
    ROW("prompt_cache_retention", PROMPT_CACHE_RETENTION, NULL),
    ROW("prompt_cache_options", PROMPT_CACHE_OPTIONS, NULL),
    ROW("user", USER, NULL),
    ROW("safety_identifier", SAFETY_IDENTIFIER, NULL),
    ROW("metadata", METADATA, forget_empty),
    ROW("service_tier", SERVICE_TIER, forget_auto),
    ROW("moderation", MODERATION, NULL),
};

enum weir_status dialect__chat_read_prompt(struct weir_exchange *exchange, const struct weir_json_node *root,
                                           struct weir_prompt *prompt, struct weir_call_problem *problem) {
    struct dialect__reading reading = {.exchange = exchange, .prompt = prompt, .problem = problem};
    prompt->wants_usage = exchange->wants_usage;
    enum weir_status status = dialect__read_members(&reading, root, "", members, sizeof members / sizeof *members);
    return status == WEIR_OK ? weir_prompt_finish(exchange->arena, prompt, exchange->seed) : status;
}
