/* Clients that speak the Responses API, to providers that do not: what they ask. What they get is in responses_front_write.c and responses_front_stream.c.
 *
 * What builds on something that a provider keeps is refused by the table of parameters. Coding agents name tools that other providers do not have: members of a
 * namespace are sent as functions of their own, and tools that take free text as functions of one text; the answer calls them as the client knows them. A search that the provider
 * would run is left out and told, for the model may do without it.
 */
#include "dialect/responses_codec.h"

/* --- content --- */

static enum weir_status add_words(struct dialect__reading *reading, const struct weir_json_node *item,
                                  const char *member, enum weir_part_kind kind, const char *path,
                                  struct weir_part **parts) {
    const struct weir_json_node *text = weir_json_get(item, member);
    if (!weir_json_is(text, WEIR_JSON_STRING))
        return dialect__must_be(reading, dialect__path(reading, "%s.%s", path, member), "a string", text);
    struct weir_part *part = weir_part_add(reading->exchange->arena, parts, kind);
    if (part == NULL)
        return WEIR_ENOMEM;
    part->text = weir_json_inside(text);
    return WEIR_OK;
}

static enum weir_status add_media(struct dialect__reading *reading, const struct weir_json_node *item, const char *path,
                                  bool is_image, struct weir_part **parts) {
    const struct weir_json_node *data = weir_json_get_value(item, is_image ? "image_url" : "file_data"),
                                *url = weir_json_get_value(item, "file_url"),
                                *id = weir_json_get_value(item, "file_id"), *detail = weir_json_get(item, "detail"),
                                *name = weir_json_get(item, "filename");
    const struct weir_json_node *said = data != NULL ? data : url != NULL ? url : id;
    if (!weir_json_is(said, WEIR_JSON_STRING))
        return dialect__must_be(reading, dialect__path(reading, "%s.%s", path, is_image ? "image_url" : "file_data"),
                                "a string", said);
    struct weir_part *part = weir_part_add(reading->exchange->arena, parts,
                                           is_image ? WEIR_PART_IMAGE : WEIR_PART_DOCUMENT);
    if (part == NULL)
        return WEIR_ENOMEM;
    dialect__read_data_url(weir_json_inside(said), &part->media);
    if (said == data && !is_image && part->media.source == WEIR_MEDIA_URL)
        part->media.source = WEIR_MEDIA_INLINE; /* base64 without its head */
    if (said == id)
        part->media.source = WEIR_MEDIA_FILE;
    if (!is_image && said == data && !weir_is_said(part->media.type))
        part->media.type = WEIR_SPAN("application/pdf");
    if (weir_json_is(detail, WEIR_JSON_STRING) && is_image)
        part->media.detail = weir_json_inside(detail);
    if (weir_json_is(name, WEIR_JSON_STRING))
        part->media.filename = weir_json_inside(name);
    return WEIR_OK;
}

static enum weir_status add_sound(struct dialect__reading *reading, const struct weir_json_node *item, const char *path,
                                  struct weir_part **parts) {
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

static enum weir_status add_other(struct dialect__reading *reading, const struct weir_json_node *item,
                                  struct weir_part **parts) {
    const struct weir_json_node *type = weir_json_get(item, "type");
    struct weir_part *part = weir_part_add(reading->exchange->arena, parts, WEIR_PART_OTHER);
    if (part == NULL)
        return WEIR_ENOMEM;
    part->name = weir_json_is(type, WEIR_JSON_STRING) ? weir_json_inside(type) : WEIR_SPAN("");
    part->json = item->text;
    return WEIR_OK;
}

static enum weir_status read_content_item(struct dialect__reading *reading, const struct weir_json_node *item,
                                          const char *path, struct weir_part **parts) {
    static const char *const types[] = {"input_text",  "output_text", "text",       "refusal",
                                        "input_image", "input_file",  "input_audio"};
    enum { INPUT_TEXT, OUTPUT_TEXT, TEXT, REFUSAL, IMAGE, FILE_PART, SOUND, TYPES };
    size_t type = dialect__row_of(types, TYPES, weir_json_get(item, "type"));
    if (!weir_json_is(weir_json_get(item, "type"), WEIR_JSON_STRING))
        return dialect__must_be(reading, dialect__path(reading, "%s.type", path), "a string",
                                weir_json_get(item, "type"));
    if (type <= TEXT)
        return add_words(reading, item, "text", WEIR_PART_TEXT, path, parts);
    switch (type) {
    case REFUSAL: return add_words(reading, item, "refusal", WEIR_PART_REFUSAL, path, parts);
    case IMAGE: return add_media(reading, item, path, true, parts);
    case FILE_PART: return add_media(reading, item, path, false, parts);
    case SOUND: return add_sound(reading, item, path, parts);
    default: return add_other(reading, item, parts);
    }
}

static enum weir_status read_content(struct dialect__reading *reading, const struct weir_json_node *content,
                                     const char *path, struct weir_part **parts) {
    unsigned index = 0;
    enum weir_status status = WEIR_OK;
    if (weir_json_is(content, WEIR_JSON_STRING)) {
        struct weir_part *part = weir_part_add(reading->exchange->arena, parts, WEIR_PART_TEXT);
        if (part == NULL)
            return WEIR_ENOMEM;
        part->text = weir_json_inside(content);
        return WEIR_OK;
    }
    if (!weir_json_is(content, WEIR_JSON_ARRAY))
        return dialect__must_be(reading, path, "a string or an array of parts", content);
    for (const struct weir_json_node *item = content->first; status == WEIR_OK && item != NULL; item = item->next)
        status = read_content_item(reading, item, dialect__path(reading, "%s[%u]", path, index++), parts);
    return status;
}

/* --- items of the input --- */

/* What the model has said in one turn comes as items of their own: they are one turn again. */
static struct weir_turn *turn_of(struct dialect__reading *reading, enum weir_turn_role role, bool joins) {
    struct weir_turn *last = reading->prompt->last_turn;
    return joins && last != NULL && last->role == role
               ? last
               : weir_prompt_add_turn(reading->exchange->arena, reading->prompt, role);
}

static enum weir_status read_message(struct dialect__reading *reading, const struct weir_json_node *item,
                                     const char *path) {
    static const char *const roles[] = {"user", "assistant", "system", "developer"};
    enum { USER, ASSISTANT, SYSTEM, DEVELOPER, ROLES };
    size_t role = dialect__row_of(roles, ROLES, weir_json_get(item, "role"));
    if (role == ROLES)
        return dialect__must_be(reading, dialect__path(reading, "%s.role", path),
                                "one of 'user', 'assistant', 'system', 'developer'", weir_json_get(item, "role"));
    struct weir_turn *turn = turn_of(reading,
                                     role == USER        ? WEIR_TURN_USER
                                     : role == ASSISTANT ? WEIR_TURN_ASSISTANT
                                                         : WEIR_TURN_SYSTEM,
                                     role == ASSISTANT);
    if (turn == NULL)
        return WEIR_ENOMEM;
    turn->is_developer = role == DEVELOPER;
    return read_content(reading, weir_json_get(item, "content"), dialect__path(reading, "%s.content", path),
                        &turn->parts);
}

/* `{"input":"…"}`, as the function that stands for a tool of free text takes it. */
static struct weir_span wrap_free_text(struct weir_arena *arena, struct weir_span wire) {
    char *text = weir_arena_format(arena, "{\"input\":\"%.*s\"}", WEIR_SPAN_PRINT(wire));
    return weir_span_of_string(text);
}

/* "space__name", as members of a namespace are called by their provider. */
static struct weir_span join_names(struct weir_arena *arena, struct weir_span space, struct weir_span name) {
    if (!weir_is_said(space))
        return name;
    return weir_span_of_string(weir_arena_format(arena, "%.*s__%.*s", WEIR_SPAN_PRINT(space), WEIR_SPAN_PRINT(name)));
}

static struct weir_span said_text(const struct weir_json_node *object, const char *name) {
    const struct weir_json_node *value = weir_json_get(object, name);
    return weir_json_is(value, WEIR_JSON_STRING) ? weir_json_inside(value) : WEIR_UNSAID;
}

static enum weir_status read_call(struct dialect__reading *reading, const struct weir_json_node *item, const char *path,
                                  bool is_custom) {
    struct weir_arena *arena = reading->exchange->arena;
    struct weir_span id = said_text(item, "call_id"), name = said_text(item, "name"),
                     given = said_text(item, is_custom ? "input" : "arguments");
    if (!weir_is_said(id) || !weir_is_said(name))
        return dialect__must_be(reading, dialect__path(reading, "%s.%s", path, weir_is_said(id) ? "name" : "call_id"),
                                "a string", weir_json_get(item, weir_is_said(id) ? "name" : "call_id"));
    struct weir_turn *turn = turn_of(reading, WEIR_TURN_ASSISTANT, true);
    struct weir_part *part = turn != NULL ? weir_part_add(arena, &turn->parts, WEIR_PART_TOOL_CALL) : NULL;
    if (part == NULL)
        return WEIR_ENOMEM;
    part->id = dialect__open_id(reading->exchange, id, &part->signature);
    part->name = join_names(arena, said_text(item, "namespace"), name);
    if (!is_custom)
        return weir_wire_json(arena, given, &part->arguments);
    part->arguments = wrap_free_text(arena, weir_is_said(given) ? given : WEIR_SPAN(""));
    return part->arguments.length == 0 ? WEIR_ENOMEM : WEIR_OK;
}

static enum weir_status read_output(struct dialect__reading *reading, const struct weir_json_node *item,
                                    const char *path) {
    struct weir_span id = said_text(item, "call_id");
    if (!weir_is_said(id))
        return dialect__must_be(reading, dialect__path(reading, "%s.call_id", path), "a string",
                                weir_json_get(item, "call_id"));
    struct weir_turn *last = reading->prompt->last_turn;
    bool joins = last != NULL && last->parts != NULL && last->parts->kind == WEIR_PART_TOOL_RESULT;
    struct weir_turn *turn = turn_of(reading, WEIR_TURN_USER, joins);
    struct weir_part *part = turn != NULL ? weir_part_add(reading->exchange->arena, &turn->parts, WEIR_PART_TOOL_RESULT)
                                          : NULL;
    if (part == NULL)
        return WEIR_ENOMEM;
    part->id = dialect__open_id(reading->exchange, id, NULL);
    return read_content(reading, weir_json_get(item, "output"), dialect__path(reading, "%s.output", path),
                        &part->content);
}

static enum weir_status read_reasoning(struct dialect__reading *reading, const struct weir_json_node *item) {
    struct weir_arena *arena = reading->exchange->arena;
    const struct weir_json_node *hidden = weir_json_get_value(item, "encrypted_content");
    struct weir_part *texts = NULL;
    bool is_summary = weir_json_first(weir_json_get(item, "content")) == NULL;
    for (const struct weir_json_node *one = weir_json_first(weir_json_get(item, is_summary ? "summary" : "content"));
         one != NULL; one = one->next) {
        struct weir_part *text = weir_part_add(arena, &texts, WEIR_PART_THINKING);
        if (text == NULL)
            return WEIR_ENOMEM;
        text->text = said_text(one, "text");
    }
    struct weir_turn *turn = turn_of(reading, WEIR_TURN_ASSISTANT, true);
    struct weir_part *part = turn != NULL ? weir_part_add(arena, &turn->parts, WEIR_PART_THINKING) : NULL;
    if (part == NULL)
        return WEIR_ENOMEM;
    part->text = dialect__join_texts(arena, texts, WEIR_PART_THINKING, WEIR_SPAN("\\n\\n"));
    part->is_summary = is_summary;
    if (weir_json_is(hidden, WEIR_JSON_STRING) &&
        !weir_signature_open(arena, weir_json_inside(hidden), &part->signature))
        part->signature = (struct weir_signature){.value = weir_json_inside(hidden),
                                                  .from = WEIR_DIALECT_RESPONSES,
                                                  .id = said_text(item, "id")};
    return WEIR_OK;
}

static enum weir_status read_item(struct dialect__reading *reading, const struct weir_json_node *item,
                                  const char *path) {
    static const char *const types[] = {"message",          "function_call",           "function_call_output",
                                        "custom_tool_call", "custom_tool_call_output", "reasoning"};
    enum { MESSAGE, CALL, OUTPUT, CUSTOM, CUSTOM_OUTPUT, REASONING, TYPES };
    const struct weir_json_node *type = weir_json_get_value(item, "type");
    if (item->kind != WEIR_JSON_OBJECT)
        return dialect__must_be(reading, path, "an object", item);
    switch (type == NULL ? MESSAGE : dialect__row_of(types, TYPES, type)) {
    case MESSAGE: return read_message(reading, item, path);
    case CALL: return read_call(reading, item, path, false);
    case CUSTOM: return read_call(reading, item, path, true);
    case OUTPUT:
    case CUSTOM_OUTPUT: return read_output(reading, item, path);
    case REASONING: return read_reasoning(reading, item);
    default: break;
    }
    struct weir_turn *turn = turn_of(reading, WEIR_TURN_ASSISTANT, true);
    return turn == NULL ? WEIR_ENOMEM : add_other(reading, item, &turn->parts);
}

static enum weir_status read_input(struct dialect__reading *reading, const struct weir_json_node *input) {
    unsigned index = 0;
    enum weir_status status = WEIR_OK;
    if (input->kind == WEIR_JSON_STRING) {
        struct weir_turn *turn = weir_prompt_add_turn(reading->exchange->arena, reading->prompt, WEIR_TURN_USER);
        return turn == NULL ? WEIR_ENOMEM : read_content(reading, input, "input", &turn->parts);
    }
    if (input->kind != WEIR_JSON_ARRAY)
        return dialect__must_be(reading, "input", "a string or an array of items", input);
    for (const struct weir_json_node *item = input->first; status == WEIR_OK && item != NULL; item = item->next)
        status = read_item(reading, item, dialect__path(reading, "input[%u]", index++));
    return status;
}

/* They come before the input, wherever the member stands. */
static enum weir_status read_instructions(struct dialect__reading *reading, const struct weir_json_node *instructions) {
    struct weir_prompt *prompt = reading->prompt, first = {.turns = NULL};
    struct dialect__reading of_first = {.exchange = reading->exchange, .prompt = &first, .problem = reading->problem};
    struct weir_turn *turn = weir_prompt_add_turn(reading->exchange->arena, &first, WEIR_TURN_SYSTEM);
    if (turn == NULL)
        return WEIR_ENOMEM;
    enum weir_status status = read_content(&of_first, instructions, "instructions", &turn->parts);
    turn->next = prompt->turns;
    prompt->turns = turn;
    if (prompt->last_turn == NULL)
        prompt->last_turn = turn;
    return status;
}

/* --- tools --- */

const struct dialect__responses_tool *dialect__responses_tool(const struct weir_exchange *exchange,
                                                              struct weir_span sent) {
    const struct dialect__responses_memory *memory = exchange->front_memory;
    const struct dialect__responses_tool *tool = memory != NULL ? memory->tools : NULL;
    while (tool != NULL && !weir_span_equal(tool->sent, sent))
        tool = tool->next;
    return tool;
}

struct weir_span dialect__responses_free_text(struct weir_exchange *exchange, struct weir_span arguments) {
    struct weir_json_node *root;
    if (!weir_is_said(arguments) || weir_json_tree_read(exchange->arena, arguments, &root, NULL) != WEIR_OK)
        return WEIR_SPAN("");
    const struct weir_json_node *input = weir_json_get(root, "input");
    return weir_json_inside(input != NULL ? input : root);
}

static enum weir_status add_tool(struct dialect__reading *reading, const struct weir_json_node *item,
                                 struct weir_span space, const char *path, bool is_custom) {
    static const struct weir_span free_text = {
        .at =
            "{\"type\":\"object\",\"properties\":{\"input\":{\"type\":\"string\",\"description\":\"What the tool is given, as it "
            "is\"}},\"required\":[\"input\"],\"additionalProperties\":false}",
        .length =
            sizeof "{\"type\":\"object\",\"properties\":{\"input\":{\"type\":\"string\",\"description\":\"What the tool is given, as it "
                   "is\"}},\"required\":[\"input\"],\"additionalProperties\":false}" -
            1};
    struct weir_arena *arena = reading->exchange->arena;
    struct dialect__responses_memory *memory = reading->exchange->front_memory;
    const struct weir_json_node *name = weir_json_get(item, "name"), *schema = weir_json_get_value(item, "parameters"),
                                *strict = weir_json_get_value(item, "strict");
    if (!weir_json_is(name, WEIR_JSON_STRING))
        return dialect__must_be(reading, dialect__path(reading, "%s.name", path), "a string", name);
    struct weir_tool *tool = weir_prompt_add_tool(arena, reading->prompt, WEIR_TOOL_FUNCTION);
    struct dialect__responses_tool *known = weir_arena_alloc(arena, sizeof *known);
    if (tool == NULL || known == NULL)
        return WEIR_ENOMEM;
    tool->name = join_names(arena, space, weir_json_inside(name));
    tool->parameters = is_custom ? free_text : schema != NULL ? schema->text : WEIR_UNSAID;
    if (strict != NULL && !is_custom)
        tool->is_strict = strict->text;
    *known = (struct dialect__responses_tool){.next = memory->tools,
                                              .sent = tool->name,
                                              .name = weir_json_inside(name),
                                              .space = space,
                                              .is_custom = is_custom};
    memory->tools = known;
    return dialect__take_text(reading, weir_json_get(item, "description"),
                              dialect__path(reading, "%s.description", path), &tool->description);
}

static enum weir_status leave_out(struct dialect__reading *reading, struct weir_span type) {
    char *path = weir_arena_format(reading->exchange->arena, "tools[%.*s]", WEIR_SPAN_PRINT(type));
    struct weir_prompt *prompt = reading->prompt;
    return path == NULL || weir_name_add(reading->exchange->arena, &prompt->unknown, &prompt->last_unknown,
                                         weir_span_of_string(path)) == NULL
               ? WEIR_ENOMEM
               : WEIR_OK;
}

static enum weir_status read_tool(struct dialect__reading *reading, const struct weir_json_node *item,
                                  struct weir_span space, const char *path) {
    const struct weir_json_node *type = weir_json_get(item, "type");
    unsigned index = 0;
    enum weir_status status = WEIR_OK;
    if (!weir_json_is(type, WEIR_JSON_STRING))
        return dialect__must_be(reading, dialect__path(reading, "%s.type", path), "a string", type);
    if (weir_json_says(type, "function") || weir_json_says(type, "custom"))
        return add_tool(reading, item, space, path, weir_json_says(type, "custom"));
    if (weir_json_says(type, "namespace") && !weir_is_said(space)) {
        for (const struct weir_json_node *one = weir_json_first(weir_json_get(item, "tools"));
             status == WEIR_OK && one != NULL; one = one->next)
            status = read_tool(reading, one, said_text(item, "name"),
                               dialect__path(reading, "%s.tools[%u]", path, index++));
        return status;
    }
    if (weir_span_starts_with(weir_json_inside(type), WEIR_SPAN("web_search")) || weir_json_says(type, "tool_search"))
        return leave_out(reading, weir_json_inside(type));
    struct weir_tool *hosted = weir_prompt_add_tool(reading->exchange->arena, reading->prompt, WEIR_TOOL_HOSTED);
    if (hosted == NULL)
        return WEIR_ENOMEM;
    hosted->name = weir_json_inside(type);
    hosted->json = item->text;
    return WEIR_OK;
}

static enum weir_status read_tools(struct dialect__reading *reading, const struct weir_json_node *tools) {
    unsigned index = 0;
    enum weir_status status = WEIR_OK;
    if (tools->kind != WEIR_JSON_ARRAY)
        return dialect__must_be(reading, "tools", "an array", tools);
    if (tools->count == 0)
        reading->prompt->values[WEIR_PARAMETER_TOOLS] = WEIR_UNSAID;
    for (const struct weir_json_node *tool = tools->first; status == WEIR_OK && tool != NULL; tool = tool->next)
        status = read_tool(reading, tool, WEIR_UNSAID, dialect__path(reading, "tools[%u]", index++));
    return status;
}

/* More than any vendor takes; each tool is looked for among them. */
enum { MOST_CHOSEN = 1000 };

static enum weir_status add_chosen(struct dialect__reading *reading, const struct weir_json_node *tool) {
    struct weir_arena *arena = reading->exchange->arena;
    struct weir_name *last = reading->prompt->chosen_tools;
    struct weir_span name = said_text(tool, "name");
    if (!weir_is_said(name))
        return dialect__must_be(reading, "tool_choice.name", "the name of a tool that the client runs",
                                weir_json_get(tool, "name"));
    size_t count = 1;
    for (; last != NULL && last->next != NULL; count++)
        last = last->next;
    if (count > MOST_CHOSEN)
        return dialect__must_be(reading, "tool_choice", "about at most 1000 tools", tool);
    name = join_names(arena, said_text(tool, "namespace"), name);
    return weir_name_add(arena, &reading->prompt->chosen_tools, &last, name) == NULL ? WEIR_ENOMEM : WEIR_OK;
}

static enum weir_status read_choice(struct dialect__reading *reading, const struct weir_json_node *choice) {
    static const char *const names[] = {"auto", "none", "required"};
    static const enum weir_tool_choice choices[] = {WEIR_CHOICE_AUTO, WEIR_CHOICE_NONE, WEIR_CHOICE_ANY};
    struct weir_prompt *prompt = reading->prompt;
    size_t row = dialect__row_of(names, 3, choice);
    enum weir_status status = WEIR_OK;
    if (row == 0)
        prompt->values[WEIR_PARAMETER_TOOL_CHOICE] = WEIR_UNSAID;
    if (row < 3) {
        prompt->tool_choice = choices[row];
        return WEIR_OK;
    }
    if (choice->kind != WEIR_JSON_OBJECT)
        return dialect__must_be(reading, "tool_choice", "'auto', 'none', 'required' or an object", choice);
    if (!weir_json_says(weir_json_get(choice, "type"), "allowed_tools")) {
        prompt->tool_choice = WEIR_CHOICE_ONE;
        return add_chosen(reading, choice);
    }
    prompt->tool_choice = weir_json_says(weir_json_get(choice, "mode"), "auto") ? WEIR_CHOICE_AUTO : WEIR_CHOICE_ANY;
    for (const struct weir_json_node *tool = weir_json_first(weir_json_get(choice, "tools"));
         status == WEIR_OK && tool != NULL; tool = tool->next)
        status = add_chosen(reading, tool);
    return status;
}

/* --- the rest --- */

static enum weir_status read_text_form(struct dialect__reading *reading, const struct weir_json_node *format) {
    static const char *const names[] = {"text", "json_object", "json_schema"};
    struct weir_prompt *prompt = reading->prompt;
    const struct weir_json_node *schema = weir_json_get(format, "schema"),
                                *strict = weir_json_get_value(format, "strict");
    size_t row = dialect__row_of(names, 3, weir_json_get(format, "type"));
    if (row == 3)
        return dialect__must_be(reading, "text.format.type", "'text', 'json_object' or 'json_schema'",
                                weir_json_get(format, "type"));
    prompt->output_form = (enum weir_output_form)row;
    if (row > 0)
        prompt->values[WEIR_PARAMETER_RESPONSE_FORMAT] = format->text;
    if (row < 2)
        return WEIR_OK;
    if (!weir_json_is(schema, WEIR_JSON_OBJECT))
        return dialect__must_be(reading, "text.format.schema", "an object", schema);
    prompt->schema = schema->text;
    prompt->schema_name = said_text(format, "name");
    prompt->schema_description = said_text(format, "description");
    if (strict != NULL)
        prompt->schema_is_strict = strict->text;
    return WEIR_OK;
}

static enum weir_status read_text(struct dialect__reading *reading, const struct weir_json_node *text) {
    const struct weir_json_node *format = weir_json_get_value(text, "format"),
                                *verbosity = weir_json_get_value(text, "verbosity");
    reading->prompt->values[WEIR_PARAMETER_RESPONSE_FORMAT] = WEIR_UNSAID;
    if (verbosity != NULL && !weir_json_says(verbosity, "medium"))
        reading->prompt->values[WEIR_PARAMETER_VERBOSITY] = verbosity->text;
    return format != NULL ? read_text_form(reading, format) : WEIR_OK;
}

static enum weir_status read_reasoning_wish(struct dialect__reading *reading, const struct weir_json_node *reasoning) {
    struct weir_prompt *prompt = reading->prompt;
    const struct weir_json_node *effort = weir_json_get_value(reasoning, "effort"),
                                *summary = weir_json_get_value(reasoning, "summary");
    prompt->values[WEIR_PARAMETER_REASONING] = WEIR_UNSAID;
    if (summary != NULL) {
        prompt->values[WEIR_PARAMETER_REASONING_SUMMARY] = summary->text;
        prompt->shows_thinking = true;
    }
    if (effort == NULL)
        return WEIR_OK;
    prompt->values[WEIR_PARAMETER_REASONING] = effort->text;
    prompt->effort = weir_effort_of(effort);
    return prompt->effort != WEIR_EFFORT_UNSAID
               ? WEIR_OK
               : dialect__must_be(reading, "reasoning.effort",
                                  "one of 'none', 'minimal', 'low', 'medium', 'high', 'xhigh', 'max'", effort);
}

static enum weir_status read_include(struct dialect__reading *reading, const struct weir_json_node *include) {
    struct weir_prompt *prompt = reading->prompt;
    prompt->values[WEIR_PARAMETER_INCLUDE] = WEIR_UNSAID;
    for (const struct weir_json_node *one = weir_json_first(include); one != NULL; one = one->next) {
        if (weir_json_says(one, "reasoning.encrypted_content"))
            prompt->wants_signatures = true;
        else if (weir_json_says(one, "message.output_text.logprobs"))
            prompt->values[WEIR_PARAMETER_LOGPROBS] = WEIR_SPAN("true");
    }
    return WEIR_OK;
}

static enum weir_status read_limit(struct dialect__reading *reading, const struct weir_json_node *value) {
    return dialect__take_count(reading, value, "max_output_tokens", 1, &reading->prompt->max_output_tokens);
}

static enum weir_status read_stream(struct dialect__reading *reading, const struct weir_json_node *value) {
    reading->prompt->stream = value->kind == WEIR_JSON_TRUE;
    return WEIR_OK;
}

static enum weir_status read_parallel(struct dialect__reading *reading, const struct weir_json_node *value) {
    reading->prompt->one_tool_at_a_time = value->kind == WEIR_JSON_FALSE;
    if (value->kind != WEIR_JSON_FALSE)
        reading->prompt->values[WEIR_PARAMETER_PARALLEL_TOOL_CALLS] = WEIR_UNSAID;
    return WEIR_OK;
}

/* Makes those unsaid whose value says what is meant without them. */
static enum weir_status forget_default(struct dialect__reading *reading, const struct weir_json_node *value) {
    bool is_default = value->kind == WEIR_JSON_FALSE || weir_json_says(value, "auto") ||
                      weir_json_says(value, "default") || weir_json_says(value, "disabled") ||
                      (value->kind == WEIR_JSON_OBJECT && value->count == 0) ||
                      (value->kind == WEIR_JSON_NUMBER && dialect__number(value, 1) == 0);
    for (size_t i = 0; is_default && i < WEIR_PARAMETER_COUNT; i++)
        if (reading->prompt->values[i].at == value->text.at)
            reading->prompt->values[i] = WEIR_UNSAID;
    return WEIR_OK;
}

#define ROW(member, parameter, function) \
    { member, WEIR_PARAMETER_##parameter, function }
static const struct dialect__member members[] = {
    ROW("model", MODEL, NULL),
    ROW("input", MESSAGES, read_input),
    ROW("instructions", SYSTEM, read_instructions),
    ROW("stream", STREAM, read_stream),
    ROW("stream_options", STREAM_OPTIONS, NULL),
    ROW("max_output_tokens", MAX_OUTPUT_TOKENS, read_limit),
    ROW("temperature", TEMPERATURE, NULL),
    ROW("top_p", TOP_P, NULL),
    ROW("top_logprobs", TOP_LOGPROBS, forget_default),
    ROW("text", RESPONSE_FORMAT, read_text),
    ROW("tools", TOOLS, read_tools),
    ROW("tool_choice", TOOL_CHOICE, read_choice),
    ROW("parallel_tool_calls", PARALLEL_TOOL_CALLS, read_parallel),
    ROW("max_tool_calls", MAX_TOOL_CALLS, NULL),
    ROW("reasoning", REASONING, read_reasoning_wish),
    ROW("include", INCLUDE, read_include),
    ROW("store", STORE, forget_default),
    ROW("previous_response_id", PREVIOUS_RESPONSE_ID, NULL),
    ROW("conversation", CONVERSATION, NULL),
    ROW("background", BACKGROUND, forget_default),
    ROW("prompt", PROMPT_TEMPLATE, NULL),
    ROW("truncation", TRUNCATION, forget_default),
    ROW("context_management", CONTEXT_MANAGEMENT, NULL),
    ROW("prompt_cache_key", PROMPT_CACHE_KEY, NULL),
    ROW("prompt_cache_retention", PROMPT_CACHE_RETENTION, NULL),
    ROW("prompt_cache_options", PROMPT_CACHE_OPTIONS, NULL),
    ROW("user", USER, NULL),
    ROW("safety_identifier", SAFETY_IDENTIFIER, NULL),
    ROW("metadata", METADATA, forget_default),
    ROW("service_tier", SERVICE_TIER, forget_default),
    ROW("moderation", MODERATION, NULL),
};

enum weir_status dialect__responses_read_prompt(struct weir_exchange *exchange, const struct weir_json_node *root,
                                                struct weir_prompt *prompt, struct weir_call_problem *problem) {
    struct dialect__reading reading = {.exchange = exchange, .prompt = prompt, .problem = problem};
    struct dialect__responses_memory *memory = weir_arena_alloc(exchange->arena, sizeof *memory);
    if (memory == NULL)
        return WEIR_ENOMEM;
    memory->prompt = prompt;
    exchange->front_memory = memory;
    prompt->wants_usage = true;
    if (weir_json_get_value(root, "input") == NULL)
        return dialect__must_be(&reading, "input", "a string or an array of items", NULL);
    enum weir_status status = dialect__read_members(&reading, root, "", members, sizeof members / sizeof *members);
    return status == WEIR_OK ? weir_prompt_finish(exchange->arena, prompt, exchange->seed) : status;
}
