/* Clients that speak Anthropic's Messages API, to providers that do not: what they ask. What they get is in anthropic_front_write.c.
 *
 * A block of thinking comes back with the signature that it was given out with: one that we have sealed says whose it is, any other is the vendor's own.
 * Blocks that no other format has (of tools that the provider runs) are kept whole; whether a provider can be asked without them its back end knows.
 */
#include "dialect/anthropic_impl.h"

#define COUNT(list) (sizeof(list) / sizeof *(list))

/* --- what is left out --- */

/* Once a name, whatever the number of the element that it stands in. */
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

/* Notes members of `object` that are not on the list, as `prefix` and their names. */
static enum weir_status note_others(struct dialect__reading *reading, const struct weir_json_node *object,
                                    const char *prefix, const char *const *names, size_t count) {
    for (const struct weir_json_node *member = weir_json_first(object); member != NULL; member = member->next) {
        size_t at = 0;
        while (at < count && !weir_span_equal(member->name, weir_span_of_string(names[at])))
            at++;
        bool says_something = member->kind != WEIR_JSON_NULL && member->kind != WEIR_JSON_FALSE;
        if (at < count || !says_something)
            continue;
        const char *name = dialect__path(reading, "%s%.*s", prefix,
                                         (int)(member->name.length < 60 ? member->name.length : 60), member->name.at);
        if (note_unknown(reading, name) != WEIR_OK)
            return WEIR_ENOMEM;
    }
    return WEIR_OK;
}

/* What says no more than saying nothing would. */
static enum weir_status forget(struct dialect__reading *reading, const struct weir_json_node *value, bool is_default) {
    for (size_t i = 0; is_default && i < WEIR_PARAMETER_COUNT; i++)
        if (reading->prompt->values[i].at == value->text.at)
            reading->prompt->values[i] = WEIR_UNSAID;
    return WEIR_OK;
}

/* --- content --- */

static struct weir_span cache_of(const struct weir_json_node *object) {
    const struct weir_json_node *cache = weir_json_get_value(object, "cache_control"),
                                *ttl = weir_json_get(cache, "ttl");
    if (!weir_json_is(cache, WEIR_JSON_OBJECT))
        return WEIR_UNSAID;
    return weir_json_is(ttl, WEIR_JSON_STRING) ? weir_json_inside(ttl) : WEIR_SPAN("");
}

static enum weir_status add_text(struct dialect__reading *reading, struct weir_span text, struct weir_part **parts) {
    struct weir_part *part = weir_part_add(reading->exchange->arena, parts, WEIR_PART_TEXT);
    if (part == NULL)
        return WEIR_ENOMEM;
    part->text = text;
    return WEIR_OK;
}

static enum weir_status require_text(struct dialect__reading *reading, const struct weir_json_node *object,
                                     const char *name, const char *path, struct weir_span *wire) {
    const struct weir_json_node *value = weir_json_get(object, name);
    if (!weir_json_is(value, WEIR_JSON_STRING))
        return dialect__must_be(reading, dialect__path(reading, "%s.%s", path, name), "a string", value);
    *wire = weir_json_inside(value);
    return WEIR_OK;
}

/* The `source` of an image or a document, but for "content". */
static enum weir_status read_source(struct dialect__reading *reading, const struct weir_json_node *source,
                                    const char *path, struct weir_media *media) {
    static const char *const types[] = {"base64", "text", "url", "file"};
    static const char *const members[] = {"data", "data", "url", "file_id"};
    static const enum weir_media_source sources[] = {WEIR_MEDIA_INLINE, WEIR_MEDIA_TEXT, WEIR_MEDIA_URL,
                                                     WEIR_MEDIA_FILE};
    const struct weir_json_node *type = weir_json_get(source, "type");
    size_t row = dialect__row_of(types, COUNT(types), type);
    path = dialect__path(reading, "%s.source", path);
    if (row == COUNT(types))
        return dialect__must_be(reading, dialect__path(reading, "%s.type", path),
                                "'base64', 'text', 'url', 'content' or 'file'", type);
    media->source = sources[row];
    enum weir_status status = require_text(reading, source, members[row], path, &media->data);
    return status == WEIR_OK ? dialect__take_text(reading, weir_json_get(source, "media_type"),
                                                  dialect__path(reading, "%s.media_type", path), &media->type)
                             : status;
}

static enum weir_status read_image(struct dialect__reading *reading, const struct weir_json_node *block,
                                   const char *path, struct weir_part **parts) {
    struct weir_part *part = weir_part_add(reading->exchange->arena, parts, WEIR_PART_IMAGE);
    if (part == NULL)
        return WEIR_ENOMEM;
    part->cache = cache_of(block);
    return read_source(reading, weir_json_get(block, "source"), path, &part->media);
}

/* Texts of blocks (or one text) as one document, each picture among them as a part of its own behind it. `head` stands before the texts, unsaid or not. */
static enum weir_status read_texts(struct dialect__reading *reading, const struct weir_json_node *content,
                                   const char *path, struct weir_span head, struct weir_media *media,
                                   struct weir_part **parts) {
    struct weir_arena *arena = reading->exchange->arena;
    struct weir_part *texts = NULL;
    unsigned index = 0;
    enum weir_status status = weir_is_said(head) ? add_text(reading, head, &texts) : WEIR_OK;
    if (status != WEIR_OK)
        return status;
    if (weir_json_is(content, WEIR_JSON_STRING))
        status = add_text(reading, weir_json_inside(content), &texts);
    else if (!weir_json_is(content, WEIR_JSON_ARRAY))
        return dialect__must_be(reading, path, "a string or an array of blocks", content);
    for (const struct weir_json_node *block = weir_json_first(content); status == WEIR_OK && block != NULL;
         block = block->next, index++) {
        const char *at = dialect__path(reading, "%s[%u]", path, index);
        struct weir_span text;
        if (weir_json_says(weir_json_get(block, "type"), "image")) {
            status = read_image(reading, block, at, parts);
            continue;
        }
        status = require_text(reading, block, "text", at, &text);
        if (status == WEIR_OK)
            status = add_text(reading, text, &texts);
    }
    media->source = WEIR_MEDIA_TEXT;
    media->type = WEIR_SPAN("text/plain");
    media->data = dialect__join_texts(arena, texts, WEIR_PART_TEXT, WEIR_SPAN("\\n"));
    if (status == WEIR_OK && !weir_is_said(media->data)) {
        if (texts != NULL)
            return WEIR_ENOMEM;
        media->data = WEIR_SPAN("");
    }
    return status;
}

static enum weir_status read_document(struct dialect__reading *reading, const struct weir_json_node *block,
                                      const char *path, struct weir_part **parts) {
    const struct weir_json_node *source = weir_json_get(block, "source");
    struct weir_span context;
    enum weir_status status = dialect__take_text(reading, weir_json_get(block, "context"),
                                                 dialect__path(reading, "%s.context", path), &context);
    if (status == WEIR_OK && weir_is_said(context)) /* told beside it, where a format has no place for it */
        status = add_text(reading, context, parts);
    if (status == WEIR_OK && weir_json_is(weir_json_get(weir_json_get(block, "citations"), "enabled"), WEIR_JSON_TRUE))
        status = note_unknown(reading, "messages[].content[].citations");
    if (status != WEIR_OK)
        return status;
    struct weir_part *part = weir_part_add(reading->exchange->arena, parts, WEIR_PART_DOCUMENT);
    if (part == NULL)
        return WEIR_ENOMEM;
    part->cache = cache_of(block);
    status = dialect__take_text(reading, weir_json_get(block, "title"), dialect__path(reading, "%s.title", path),
                                &part->media.filename);
    if (status != WEIR_OK)
        return status;
    if (weir_json_says(weir_json_get(source, "type"), "content"))
        return read_texts(reading, weir_json_get(source, "content"), dialect__path(reading, "%s.source.content", path),
                          WEIR_UNSAID, &part->media, parts);
    return read_source(reading, source, path, &part->media);
}

/* A document whose first line is where it was found. */
static enum weir_status read_search_result(struct dialect__reading *reading, const struct weir_json_node *block,
                                           const char *path, struct weir_part **parts) {
    struct weir_span source;
    struct weir_part *part = weir_part_add(reading->exchange->arena, parts, WEIR_PART_DOCUMENT);
    if (part == NULL)
        return WEIR_ENOMEM;
    part->cache = cache_of(block);
    enum weir_status status = require_text(reading, block, "source", path, &source);
    if (status == WEIR_OK)
        status = require_text(reading, block, "title", path, &part->media.filename);
    return status == WEIR_OK ? read_texts(reading, weir_json_get(block, "content"),
                                          dialect__path(reading, "%s.content", path), source, &part->media, parts)
                             : status;
}

static enum weir_status read_text(struct dialect__reading *reading, const struct weir_json_node *block,
                                  const char *path, struct weir_part **parts) {
    const struct weir_json_node *citations = weir_json_get_value(block, "citations");
    struct weir_part *part = weir_part_add(reading->exchange->arena, parts, WEIR_PART_TEXT);
    if (part == NULL)
        return WEIR_ENOMEM;
    part->cache = cache_of(block);
    if (citations != NULL)
        part->citations = citations->text;
    return require_text(reading, block, "text", path, &part->text);
}

static enum weir_status read_thinking(struct dialect__reading *reading, const struct weir_json_node *block,
                                      const char *path, struct weir_part **parts) {
    bool is_redacted = weir_json_says(weir_json_get(block, "type"), "redacted_thinking");
    struct weir_span value;
    struct weir_part *part = weir_part_add(reading->exchange->arena, parts, WEIR_PART_THINKING);
    if (part == NULL)
        return WEIR_ENOMEM;
    enum weir_status status = is_redacted ? require_text(reading, block, "data", path, &value)
                                          : dialect__take_text(reading, weir_json_get(block, "signature"),
                                                               dialect__path(reading, "%s.signature", path), &value);
    if (status == WEIR_OK && !is_redacted)
        status = require_text(reading, block, "thinking", path, &part->text);
    if (status != WEIR_OK)
        return status;
    if (part->text.length == 0)
        part->text = WEIR_UNSAID;
    if (value.length > 0 && !weir_signature_open(reading->exchange->arena, value, &part->signature))
        part->signature = (struct weir_signature){.value = value,
                                                  .from = WEIR_DIALECT_ANTHROPIC,
                                                  .is_redacted = is_redacted,
                                                  .id = WEIR_UNSAID};
    return WEIR_OK;
}

static enum weir_status read_call(struct dialect__reading *reading, const struct weir_json_node *block,
                                  const char *path, struct weir_part **parts) {
    const struct weir_json_node *input = weir_json_get_value(block, "input");
    struct weir_span id;
    struct weir_part *part = weir_part_add(reading->exchange->arena, parts, WEIR_PART_TOOL_CALL);
    if (part == NULL)
        return WEIR_ENOMEM;
    part->cache = cache_of(block);
    enum weir_status status = require_text(reading, block, "id", path, &id);
    if (status == WEIR_OK)
        status = require_text(reading, block, "name", path, &part->name);
    if (status != WEIR_OK)
        return status;
    part->id = dialect__open_id(reading->exchange, id, &part->signature);
    part->arguments = input != NULL ? input->text : WEIR_SPAN("{}");
    return WEIR_OK;
}

static enum weir_status read_content(struct dialect__reading *reading, const struct weir_json_node *content,
                                     const char *path, bool in_result, struct weir_part **parts);

static enum weir_status read_result(struct dialect__reading *reading, const struct weir_json_node *block,
                                    const char *path, struct weir_part **parts) {
    const struct weir_json_node *content = weir_json_get_value(block, "content");
    struct weir_span id;
    struct weir_part *part = weir_part_add(reading->exchange->arena, parts, WEIR_PART_TOOL_RESULT);
    if (part == NULL)
        return WEIR_ENOMEM;
    part->cache = cache_of(block);
    part->is_error = weir_json_is(weir_json_get(block, "is_error"), WEIR_JSON_TRUE);
    enum weir_status status = require_text(reading, block, "tool_use_id", path, &id);
    if (status != WEIR_OK || content == NULL)
        return status;
    part->id = dialect__open_id(reading->exchange, id, NULL);
    return read_content(reading, content, dialect__path(reading, "%s.content", path), true, &part->content);
}

static enum weir_status read_block(struct dialect__reading *reading, const struct weir_json_node *block,
                                   const char *path, bool in_result, struct weir_part **parts) {
    static const struct {
        const char *type;
        bool in_result;
        enum weir_status (*read)(struct dialect__reading *reading, const struct weir_json_node *block, const char *path,
                                 struct weir_part **parts);
    } rows[] = {
        {"text", true, read_text},          {"image", true, read_image},
        {"document", true, read_document},  {"search_result", true, read_search_result},
        {"tool_use", false, read_call},     {"tool_result", false, read_result},
        {"thinking", false, read_thinking}, {"redacted_thinking", false, read_thinking},
    };
    const struct weir_json_node *type = weir_json_get(block, "type");
    if (!weir_json_is(type, WEIR_JSON_STRING))
        return dialect__must_be(reading, dialect__path(reading, "%s.type", path), "a string", type);
    for (size_t i = 0; i < COUNT(rows); i++)
        if ((rows[i].in_result || !in_result) && weir_json_says(type, rows[i].type))
            return rows[i].read(reading, block, path, parts);
    struct weir_part *part = weir_part_add(reading->exchange->arena, parts, WEIR_PART_OTHER);
    if (part == NULL)
        return WEIR_ENOMEM;
    part->name = weir_json_inside(type);
    part->json = block->text;
    part->cache = cache_of(block);
    return WEIR_OK;
}

static enum weir_status read_content(struct dialect__reading *reading, const struct weir_json_node *content,
                                     const char *path, bool in_result, struct weir_part **parts) {
    unsigned index = 0;
    if (weir_json_is(content, WEIR_JSON_STRING))
        return add_text(reading, weir_json_inside(content), parts);
    if (!weir_json_is(content, WEIR_JSON_ARRAY))
        return dialect__must_be(reading, path, "a string or an array of blocks", content);
    for (const struct weir_json_node *block = content->first; block != NULL; block = block->next, index++) {
        enum weir_status status = read_block(reading, block, dialect__path(reading, "%s[%u]", path, index), in_result,
                                             parts);
        if (status != WEIR_OK)
            return status;
    }
    return WEIR_OK;
}

/* --- turns --- */

static enum weir_status read_turn(struct dialect__reading *reading, const struct weir_json_node *content,
                                  const char *path, enum weir_turn_role role) {
    struct weir_turn *turn = weir_prompt_add_turn(reading->exchange->arena, reading->prompt, role);
    return turn == NULL ? WEIR_ENOMEM : read_content(reading, content, path, false, &turn->parts);
}

/* The system's text comes first, wherever it stands in the body. */
static enum weir_status read_turns(struct dialect__reading *reading, const struct weir_json_node *root) {
    static const char *const names[] = {"system", "user", "assistant"};
    static const enum weir_turn_role roles[] = {WEIR_TURN_SYSTEM, WEIR_TURN_USER, WEIR_TURN_ASSISTANT};
    const struct weir_json_node *system = weir_json_get_value(root, "system"),
                                *messages = weir_json_get(root, "messages");
    enum weir_status status = WEIR_OK;
    unsigned index = 0;
    if (system != NULL)
        status = read_turn(reading, system, "system", WEIR_TURN_SYSTEM);
    if (status == WEIR_OK && !weir_json_is(messages, WEIR_JSON_ARRAY))
        return dialect__must_be(reading, "messages", "an array of messages", messages);
    for (const struct weir_json_node *message = weir_json_first(messages); status == WEIR_OK && message != NULL;
         message = message->next, index++) {
        const struct weir_json_node *role = weir_json_get(message, "role");
        size_t row = dialect__row_of(names, COUNT(names), role);
        if (row == COUNT(names))
            return dialect__must_be(reading, dialect__path(reading, "messages[%u].role", index),
                                    "'user', 'assistant' or 'system'", role);
        status = read_turn(reading, weir_json_get(message, "content"),
                           dialect__path(reading, "messages[%u].content", index), roles[row]);
    }
    return status;
}

/* --- tools --- */

static enum weir_status read_tool(struct dialect__reading *reading, const struct weir_json_node *node,
                                  const char *path) {
    static const char *const known[] = {"type",   "name",          "description",          "input_schema",
                                        "strict", "cache_control", "eager_input_streaming"};
    const struct weir_json_node *type = weir_json_get_value(node, "type"),
                                *schema = weir_json_get_value(node, "input_schema"),
                                *strict = weir_json_get_value(node, "strict");
    bool is_own = type == NULL || weir_json_says(type, "custom");
    struct weir_tool *tool = weir_prompt_add_tool(reading->exchange->arena, reading->prompt,
                                                  is_own ? WEIR_TOOL_FUNCTION : WEIR_TOOL_HOSTED);
    if (tool == NULL)
        return WEIR_ENOMEM;
    tool->cache = cache_of(node);
    if (!is_own) {
        tool->name = weir_json_inside(type);
        tool->json = node->text;
        return weir_json_is(type, WEIR_JSON_STRING)
                   ? WEIR_OK
                   : dialect__must_be(reading, dialect__path(reading, "%s.type", path), "a string", type);
    }
    enum weir_status status = require_text(reading, node, "name", path, &tool->name);
    if (status == WEIR_OK)
        status = dialect__take_text(reading, weir_json_get(node, "description"),
                                    dialect__path(reading, "%s.description", path), &tool->description);
    if (status != WEIR_OK)
        return status;
    if (schema != NULL && schema->kind != WEIR_JSON_OBJECT)
        return dialect__must_be(reading, dialect__path(reading, "%s.input_schema", path), "an object", schema);
    if (schema != NULL)
        tool->parameters = schema->text;
    if (strict != NULL)
        tool->is_strict = strict->text;
    return note_others(reading, node, "tools[].", known, COUNT(known));
}

static enum weir_status read_tools(struct dialect__reading *reading, const struct weir_json_node *tools) {
    enum weir_status status = WEIR_OK;
    unsigned index = 0;
    if (tools->kind != WEIR_JSON_ARRAY)
        return dialect__must_be(reading, "tools", "an array", tools);
    for (const struct weir_json_node *tool = tools->first; status == WEIR_OK && tool != NULL; tool = tool->next)
        status = read_tool(reading, tool, dialect__path(reading, "tools[%u]", index++));
    return status == WEIR_OK ? forget(reading, tools, tools->count == 0) : status;
}

static enum weir_status read_choice(struct dialect__reading *reading, const struct weir_json_node *choice) {
    static const char *const names[] = {"auto", "any", "tool", "none"};
    static const enum weir_tool_choice choices[] = {WEIR_CHOICE_AUTO, WEIR_CHOICE_ANY, WEIR_CHOICE_ONE,
                                                    WEIR_CHOICE_NONE};
    struct weir_prompt *prompt = reading->prompt;
    struct weir_name *last = NULL;
    const struct weir_json_node *type = weir_json_get(choice, "type"),
                                *alone = weir_json_get(choice, "disable_parallel_tool_use");
    size_t row = dialect__row_of(names, COUNT(names), type);
    if (row == COUNT(names))
        return dialect__must_be(reading, "tool_choice.type", "'auto', 'any', 'tool' or 'none'", type);
    prompt->tool_choice = choices[row];
    if (weir_json_is(alone, WEIR_JSON_TRUE)) {
        prompt->one_tool_at_a_time = true;
        prompt->values[WEIR_PARAMETER_PARALLEL_TOOL_CALLS] = alone->text;
    }
    if (prompt->tool_choice == WEIR_CHOICE_ONE) {
        struct weir_span name;
        if (require_text(reading, choice, "name", "tool_choice", &name) != WEIR_OK)
            return WEIR_EINVAL;
        if (weir_name_add(reading->exchange->arena, &prompt->chosen_tools, &last, name) == NULL)
            return WEIR_ENOMEM;
    }
    return forget(reading, choice, prompt->tool_choice == WEIR_CHOICE_AUTO);
}

/* --- thinking, form --- */

/* Comes before or after the effort, which counts unless thinking is off. */
static enum weir_status read_thinking_mode(struct dialect__reading *reading, const struct weir_json_node *thinking) {
    static const char *const names[] = {"enabled", "adaptive", "disabled", "between_tools"};
    enum { ENABLED, ADAPTIVE, MODES = COUNT(names) };
    struct weir_prompt *prompt = reading->prompt;
    const struct weir_json_node *display = weir_json_get_value(thinking, "display"),
                                *type = weir_json_get(thinking, "type");
    size_t row = dialect__row_of(names, MODES, type);
    if (row == MODES)
        return dialect__must_be(reading, "thinking.type", "'enabled', 'adaptive', 'disabled' or 'between_tools'", type);
    if (row > ADAPTIVE) {
        prompt->effort = WEIR_EFFORT_NONE;
        prompt->thinking_budget = 0;
        return WEIR_OK;
    }
    prompt->shows_thinking = !weir_json_says(display, "omitted");
    if (display != NULL)
        prompt->values[WEIR_PARAMETER_REASONING_SUMMARY] = display->text;
    prompt->thinking_budget = -1;
    if (row == ADAPTIVE)
        return WEIR_OK;
    if (weir_json_get_value(thinking, "budget_tokens") == NULL)
        return dialect__must_be(reading, "thinking.budget_tokens", "a whole number, 1 or more", NULL);
    return dialect__take_count(reading, weir_json_get(thinking, "budget_tokens"), "thinking.budget_tokens", 1,
                               &prompt->thinking_budget);
}

static enum weir_status read_effort(struct dialect__reading *reading, const struct weir_json_node *effort) {
    enum weir_effort read = weir_effort_of(effort);
    if (read <= WEIR_EFFORT_NONE)
        return dialect__must_be(reading, "output_config.effort", "'low', 'medium', 'high', 'xhigh' or 'max'", effort);
    if (reading->prompt->effort != WEIR_EFFORT_NONE)
        reading->prompt->effort = read;
    return WEIR_OK;
}

static enum weir_status read_form(struct dialect__reading *reading, const struct weir_json_node *format) {
    const struct weir_json_node *type = weir_json_get(format, "type"), *schema = weir_json_get(format, "schema");
    if (!weir_json_says(type, "json_schema"))
        return dialect__must_be(reading, "output_config.format.type", "'json_schema'", type);
    if (!weir_json_is(schema, WEIR_JSON_OBJECT))
        return dialect__must_be(reading, "output_config.format.schema", "an object", schema);
    reading->prompt->output_form = WEIR_FORM_SCHEMA;
    reading->prompt->schema = schema->text;
    return WEIR_OK;
}

static enum weir_status read_output_config(struct dialect__reading *reading, const struct weir_json_node *config) {
    static const struct dialect__member members[] = {
        {"effort", WEIR_PARAMETER_REASONING, read_effort},
        {"format", WEIR_PARAMETER_RESPONSE_FORMAT, read_form},
    };
    (void)forget(reading, config, true);
    if (config->kind != WEIR_JSON_OBJECT)
        return dialect__must_be(reading, "output_config", "an object", config);
    return dialect__read_members(reading, config, "output_config.", members, COUNT(members));
}

/* --- the rest --- */

static enum weir_status read_limit(struct dialect__reading *reading, const struct weir_json_node *value) {
    return dialect__take_count(reading, value, "max_tokens", 1, &reading->prompt->max_output_tokens);
}

static enum weir_status read_stream(struct dialect__reading *reading, const struct weir_json_node *value) {
    if (value->kind != WEIR_JSON_TRUE && value->kind != WEIR_JSON_FALSE)
        return dialect__must_be(reading, "stream", "true or false", value);
    reading->prompt->stream = value->kind == WEIR_JSON_TRUE;
    return WEIR_OK;
}

static enum weir_status read_stops(struct dialect__reading *reading, const struct weir_json_node *stops) {
    struct weir_prompt *prompt = reading->prompt;
    unsigned index = 0;
    if (stops->kind != WEIR_JSON_ARRAY)
        return dialect__must_be(reading, "stop_sequences", "an array of strings", stops);
    for (const struct weir_json_node *stop = stops->first; stop != NULL; stop = stop->next, index++) {
        if (stop->kind != WEIR_JSON_STRING)
            return dialect__must_be(reading, dialect__path(reading, "stop_sequences[%u]", index), "a string", stop);
        if (weir_name_add(reading->exchange->arena, &prompt->stops, &prompt->last_stop, weir_json_inside(stop)) == NULL)
            return WEIR_ENOMEM;
    }
    return forget(reading, stops, stops->count == 0);
}

static enum weir_status read_metadata(struct dialect__reading *reading, const struct weir_json_node *metadata) {
    static const struct dialect__member members[] = {{"user_id", WEIR_PARAMETER_USER, NULL}};
    (void)forget(reading, metadata, true);
    return dialect__read_members(reading, metadata, "metadata.", members, COUNT(members));
}

/* In the words of chat completions, which the common form has. */
static enum weir_status read_tier(struct dialect__reading *reading, const struct weir_json_node *tier) {
    if (weir_json_says(tier, "standard_only"))
        reading->prompt->values[WEIR_PARAMETER_SERVICE_TIER] = WEIR_SPAN("\"default\"");
    return forget(reading, tier, weir_json_says(tier, "auto"));
}

static enum weir_status read_mark(struct dialect__reading *reading, const struct weir_json_node *mark) {
    const struct weir_json_node *ttl = weir_json_get(mark, "ttl");
    reading->prompt->cache = weir_json_is(ttl, WEIR_JSON_STRING) ? weir_json_inside(ttl) : WEIR_SPAN("");
    return WEIR_OK;
}

static enum weir_status forget_empty(struct dialect__reading *reading, const struct weir_json_node *value) {
    return forget(reading, value, value->count == 0);
}

static enum weir_status forget_default(struct dialect__reading *reading, const struct weir_json_node *value) {
    return forget(reading, value, weir_json_says(value, "standard") || weir_json_says(value, "global"));
}

#define ROW(member, parameter, function) \
    { member, WEIR_PARAMETER_##parameter, function }
static const struct dialect__member members[] = {
    ROW("model", MODEL, NULL),
    ROW("messages", MESSAGES, NULL), /* read behind the system's text */
    ROW("system", SYSTEM, NULL),
    ROW("max_tokens", MAX_OUTPUT_TOKENS, read_limit),
    ROW("stream", STREAM, read_stream),
    ROW("temperature", TEMPERATURE, NULL),
    ROW("top_p", TOP_P, NULL),
    ROW("top_k", TOP_K, NULL),
    ROW("stop_sequences", STOP, read_stops),
    ROW("tools", TOOLS, read_tools),
    ROW("tool_choice", TOOL_CHOICE, read_choice),
    ROW("mcp_servers", MCP_SERVERS, forget_empty),
    ROW("container", CONTAINER, NULL),
    ROW("thinking", REASONING, read_thinking_mode),
    ROW("output_config", RESPONSE_FORMAT, read_output_config),
    ROW("output_format", RESPONSE_FORMAT, read_form),
    ROW("context_management", CONTEXT_MANAGEMENT, forget_empty),
    ROW("cache_control", CACHE_CONTROL, read_mark),
    ROW("metadata", USER, read_metadata),
    ROW("service_tier", SERVICE_TIER, read_tier),
    ROW("speed", SPEED, forget_default),
    ROW("inference_geo", INFERENCE_GEO, forget_default),
    ROW("diagnostics", DIAGNOSTICS, NULL),
};

enum weir_status dialect__anthropic_read_prompt(struct weir_exchange *exchange, const struct weir_json_node *root,
                                                struct weir_prompt *prompt, struct weir_call_problem *problem) {
    struct dialect__reading reading = {.exchange = exchange, .prompt = prompt, .problem = problem};
    prompt->wants_usage = true;
    if (!weir_json_is(root, WEIR_JSON_OBJECT))
        return dialect__must_be(&reading, "body", "a JSON object", root);
    enum weir_status status = dialect__read_members(&reading, root, "", members, COUNT(members));
    if (status == WEIR_OK)
        status = read_turns(&reading, root);
    return status == WEIR_OK ? weir_prompt_finish(exchange->arena, prompt, exchange->seed) : status;
}
