/* Providers that speak Ollama's API, for clients that do not: what they are asked. */
#include "dialect/ollama_codec.h"

struct writing {
    struct weir_exchange *exchange;
    struct weir_call_problem *problem;
    struct weir_json_writer *writer;
};

static enum weir_status cannot(struct writing *writing, const char *what) {
    return dialect__cannot_send(writing->problem, "messages", what, WEIR_DIALECT_OLLAMA);
}

/* --- messages --- */

static bool is_picture(const struct weir_part *part) {
    return part->kind == WEIR_PART_IMAGE && part->media.source == WEIR_MEDIA_INLINE;
}

/* Nothing but texts and pictures has a place. */
static enum weir_status check_part(struct writing *writing, const struct weir_part *part) {
    char what[120];
    switch (part->kind) {
    case WEIR_PART_IMAGE: return is_picture(part) ? WEIR_OK : cannot(writing, "an image that is not inline");
    case WEIR_PART_DOCUMENT:
        return part->media.source == WEIR_MEDIA_TEXT ? WEIR_OK : cannot(writing, "a document that is no plain text");
    case WEIR_PART_AUDIO: return cannot(writing, "sound");
    case WEIR_PART_OTHER:
        (void)snprintf(what, sizeof what, "content of the type '%.*s'",
                       (int)(part->name.length < 60 ? part->name.length : 60), part->name.at);
        return cannot(writing, what);
    case WEIR_PART_TEXT:
    case WEIR_PART_REFUSAL:
    case WEIR_PART_THINKING:
    case WEIR_PART_TOOL_CALL:
    case WEIR_PART_TOOL_RESULT: break;
    }
    return WEIR_OK;
}

static struct weir_span words_of(const struct weir_part *part) {
    if (part->kind == WEIR_PART_TEXT || part->kind == WEIR_PART_REFUSAL)
        return part->text;
    return part->kind == WEIR_PART_DOCUMENT && part->media.source == WEIR_MEDIA_TEXT ? part->media.data : WEIR_UNSAID;
}

static enum weir_status write_content(struct writing *writing, const struct weir_part *parts) {
    struct weir_json_writer *writer = writing->writer;
    bool is_first = true, has_pictures = false;
    weir_json_write_name(writer, "content");
    weir_json_write_raw(writer, WEIR_SPAN("\""));
    for (const struct weir_part *part = parts; part != NULL; part = part->next) {
        enum weir_status status = check_part(writing, part);
        struct weir_span words = words_of(part);
        if (status != WEIR_OK)
            return status;
        has_pictures = has_pictures || is_picture(part);
        if (!weir_is_said(words))
            continue;
        if (!is_first)
            weir_buffer_append(writer->out, WEIR_SPAN("\\n"));
        weir_buffer_append(writer->out, words);
        is_first = false;
    }
    weir_buffer_append_byte(writer->out, '"');
    if (!has_pictures)
        return WEIR_OK;
    weir_json_write_name(writer, "images");
    weir_json_write_array(writer);
    for (const struct weir_part *part = parts; part != NULL; part = part->next)
        if (is_picture(part))
            dialect__write_wire(writer, part->media.data);
    weir_json_write_end(writer);
    return WEIR_OK;
}

/* Its arguments have to be an object. */
static void write_calls(struct writing *writing, const struct weir_part *parts) {
    struct weir_json_writer *writer = writing->writer;
    if (!dialect__has_part(parts, WEIR_PART_TOOL_CALL))
        return;
    weir_json_write_name(writer, "tool_calls");
    weir_json_write_array(writer);
    for (const struct weir_part *part = parts; part != NULL; part = part->next) {
        if (part->kind != WEIR_PART_TOOL_CALL)
            continue;
        struct weir_span json = weir_span_trim(weir_is_said(part->arguments) ? part->arguments : WEIR_SPAN("{}"));
        bool is_object = json.length > 0 && json.at[0] == '{';
        weir_json_write_object(writer);
        weir_json_write_name(writer, "function");
        weir_json_write_object(writer);
        dialect__member_wire(writer, "name", part->name);
        weir_json_write_name(writer, "arguments");
        weir_json_write_raw(writer, is_object ? WEIR_SPAN("") : WEIR_SPAN("{\"input\":"));
        weir_json_append_compact(writer->out, json);
        if (!is_object)
            weir_buffer_append_byte(writer->out, '}');
        weir_json_write_end(writer);
        weir_json_write_end(writer);
    }
    weir_json_write_end(writer);
}

static enum weir_status write_results(struct writing *writing, const struct weir_part *parts) {
    struct weir_json_writer *writer = writing->writer;
    enum weir_status status = WEIR_OK;
    for (const struct weir_part *part = parts; status == WEIR_OK && part != NULL; part = part->next) {
        if (part->kind != WEIR_PART_TOOL_RESULT)
            continue;
        weir_json_write_object(writer);
        weir_json_member_text(writer, "role", "tool");
        status = write_content(writing, part->content);
        dialect__member_wire(writer, "tool_name", part->name);
        weir_json_write_end(writer);
    }
    return status;
}

/* Thoughts go back where nobody has signed them; those that another provider has signed are that one's. */
static struct weir_span thoughts_of(struct weir_arena *arena, const struct weir_part *parts) {
    for (const struct weir_part *part = parts; part != NULL; part = part->next)
        if (part->kind == WEIR_PART_THINKING && weir_is_said(part->signature.value))
            return WEIR_UNSAID;
    return dialect__join_texts(arena, parts, WEIR_PART_THINKING, WEIR_SPAN("\\n"));
}

static bool is_said_by_user(const struct weir_part *part) {
    return part->kind != WEIR_PART_TOOL_RESULT;
}

static enum weir_status write_turn(struct writing *writing, const struct weir_turn *turn) {
    static const char *const roles[] = {
        [WEIR_TURN_SYSTEM] = "system", [WEIR_TURN_USER] = "user", [WEIR_TURN_ASSISTANT] = "assistant"};
    struct weir_json_writer *writer = writing->writer;
    const struct weir_part *said = turn->parts;
    enum weir_status status = write_results(writing, turn->parts);
    while (said != NULL && !is_said_by_user(said))
        said = said->next;
    if (status != WEIR_OK || said == NULL)
        return status;
    weir_json_write_object(writer);
    weir_json_member_text(writer, "role", roles[turn->role]);
    status = write_content(writing, said);
    if (turn->role == WEIR_TURN_ASSISTANT) {
        dialect__member_wire(writer, "thinking", thoughts_of(writing->exchange->arena, turn->parts));
        write_calls(writing, turn->parts);
    }
    weir_json_write_end(writer);
    return status;
}

/* --- tools, options --- */

static enum weir_status write_tools(struct writing *writing, const struct weir_prompt *prompt) {
    struct weir_json_writer *writer = writing->writer;
    if (prompt->tools == NULL || prompt->tool_choice == WEIR_CHOICE_NONE)
        return WEIR_OK;
    weir_json_write_name(writer, "tools");
    weir_json_write_array(writer);
    for (const struct weir_tool *tool = prompt->tools; tool != NULL; tool = tool->next) {
        char what[120];
        (void)snprintf(what, sizeof what, "the tool '%.*s', which is no function,",
                       (int)(tool->name.length < 60 ? tool->name.length : 60), tool->name.at);
        if (tool->kind != WEIR_TOOL_FUNCTION)
            return dialect__cannot_send(writing->problem, "tools", what, WEIR_DIALECT_OLLAMA);
        weir_json_write_object(writer);
        weir_json_member_text(writer, "type", "function");
        weir_json_write_name(writer, "function");
        weir_json_write_object(writer);
        dialect__member_wire(writer, "name", tool->name);
        dialect__member_wire(writer, "description", tool->description);
        dialect__member_json(writer, "parameters",
                             weir_is_said(tool->parameters) ? tool->parameters
                                                            : WEIR_SPAN("{\"type\":\"object\",\"properties\":{}}"));
        weir_json_write_end(writer);
        weir_json_write_end(writer);
    }
    weir_json_write_end(writer);
    return WEIR_OK;
}

static void write_options(struct weir_json_writer *writer, const struct weir_exchange *exchange,
                          const struct weir_prompt *prompt) {
    static const struct {
        const char *name;
        enum weir_parameter parameter;
    } rows[] = {{"temperature", WEIR_PARAMETER_TEMPERATURE},
                {"top_p", WEIR_PARAMETER_TOP_P},
                {"top_k", WEIR_PARAMETER_TOP_K},
                {"min_p", WEIR_PARAMETER_MIN_P},
                {"seed", WEIR_PARAMETER_SEED},
                {"frequency_penalty", WEIR_PARAMETER_FREQUENCY_PENALTY},
                {"presence_penalty", WEIR_PARAMETER_PRESENCE_PENALTY},
                {"repeat_penalty", WEIR_PARAMETER_REPEAT_PENALTY}};
    int64_t limit = dialect__output_limit(exchange, prompt);
    bool any = limit > 0 || prompt->stops != NULL;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        any = any || weir_is_said(prompt->values[rows[i].parameter]);
    if (!any)
        return;
    weir_json_write_name(writer, "options");
    weir_json_write_object(writer);
    if (limit > 0)
        weir_json_member_int64(writer, "num_predict", limit);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        dialect__member_json(writer, rows[i].name, prompt->values[rows[i].parameter]);
    if (prompt->stops != NULL) {
        weir_json_write_name(writer, "stop");
        weir_json_write_array(writer);
        for (const struct weir_name *stop = prompt->stops; stop != NULL; stop = stop->next)
            dialect__write_wire(writer, stop->text);
        weir_json_write_end(writer);
    }
    weir_json_write_end(writer);
}

/* Three levels, of which models that know none take each for "on". */
static void write_think(struct weir_json_writer *writer, const struct weir_prompt *prompt) {
    enum weir_effort effort = prompt->effort;
    if (effort == WEIR_EFFORT_UNSAID && prompt->thinking_budget != 0)
        effort = weir_effort_of_budget(prompt->thinking_budget);
    if (effort == WEIR_EFFORT_UNSAID)
        return;
    if (effort == WEIR_EFFORT_NONE)
        weir_json_member_bool(writer, "think", false);
    else
        weir_json_member_text(writer, "think",
                              effort <= WEIR_EFFORT_LOW      ? "low"
                              : effort == WEIR_EFFORT_MEDIUM ? "medium"
                                                             : "high");
}

enum weir_status dialect__ollama_write_prompt(struct weir_exchange *exchange, const struct weir_prompt *prompt,
                                              struct weir_back_target *target, struct weir_buffer *out,
                                              struct weir_call_problem *problem) {
    struct weir_json_writer writer;
    struct writing writing = {.exchange = exchange, .problem = problem, .writer = &writer};
    enum weir_status status = WEIR_OK;
    *target = (struct weir_back_target){.path = WEIR_SPAN("/api/chat")};
    weir_json_writer_init(&writer, out);
    weir_json_write_object(&writer);
    weir_json_member_string(&writer, "model", exchange->back_model);
    weir_json_write_name(&writer, "messages");
    weir_json_write_array(&writer);
    for (const struct weir_turn *turn = prompt->turns; status == WEIR_OK && turn != NULL; turn = turn->next)
        status = write_turn(&writing, turn);
    if (status != WEIR_OK)
        return status;
    weir_json_write_end(&writer);
    status = write_tools(&writing, prompt);
    if (status != WEIR_OK)
        return status;
    if (prompt->output_form == WEIR_FORM_JSON)
        weir_json_member_text(&writer, "format", "json");
    else if (prompt->output_form == WEIR_FORM_SCHEMA)
        dialect__member_json(&writer, "format", prompt->schema);
    write_think(&writer, prompt);
    write_options(&writer, exchange, prompt);
    dialect__member_json(&writer, "logprobs", prompt->values[WEIR_PARAMETER_LOGPROBS]);
    dialect__member_json(&writer, "top_logprobs", prompt->values[WEIR_PARAMETER_TOP_LOGPROBS]);
    weir_json_member_bool(&writer, "stream", prompt->stream);
    weir_json_write_end(&writer);
    return weir_buffer_status(out);
}

enum weir_status dialect__ollama_write_vectors_call(struct weir_exchange *exchange,
                                                    const struct weir_vectors_call *call,
                                                    struct weir_back_target *target, struct weir_buffer *out,
                                                    struct weir_call_problem *problem) {
    struct weir_json_writer writer;
    *target = (struct weir_back_target){.path = WEIR_SPAN("/api/embed")};
    weir_json_writer_init(&writer, out);
    weir_json_write_object(&writer);
    weir_json_member_string(&writer, "model", exchange->back_model);
    weir_json_write_name(&writer, "input");
    weir_json_write_array(&writer);
    for (const struct weir_vector_input *input = call->inputs; input != NULL; input = input->next) {
        if (!weir_is_said(input->text))
            return dialect__cannot_send(problem, "input", "a text in tokens", WEIR_DIALECT_OLLAMA);
        dialect__write_wire(&writer, input->text);
    }
    weir_json_write_end(&writer);
    dialect__member_json(&writer, "dimensions", call->values[WEIR_PARAMETER_DIMENSIONS]);
    weir_json_write_end(&writer);
    return weir_buffer_status(out);
}
