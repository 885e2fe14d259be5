/* Providers that speak the Responses API, for clients that do not: what they are asked.
 *
 * Nothing is kept there (store: false): what has been said comes with each call. Reasoning goes back as the provider gave it out, encrypted, and from no other.
 */
#include "dialect/responses_codec.h"

struct writing {
    struct weir_exchange *exchange;
    struct weir_call_problem *problem;
    struct weir_json_writer *writer;
};

static enum weir_status cannot(struct writing *writing, const char *field, const char *what) {
    return dialect__cannot_send(writing->problem, field, what, WEIR_DIALECT_RESPONSES);
}

/* --- content --- */

static void write_words(struct writing *writing, struct weir_span text) {
    struct weir_json_writer *writer = writing->writer;
    weir_json_write_object(writer);
    weir_json_member_text(writer, "type", "input_text");
    dialect__member_wire(writer, "text", weir_is_said(text) ? text : WEIR_SPAN(""));
    weir_json_write_end(writer);
}

static void write_data_url(struct weir_json_writer *writer, const char *name, const struct weir_media *media,
                           const char *otherwise) {
    weir_json_write_name(writer, name);
    weir_json_write_raw(writer, WEIR_SPAN("\""));
    if (media->source == WEIR_MEDIA_INLINE) {
        weir_buffer_append(writer->out, WEIR_SPAN("data:"));
        weir_buffer_append(writer->out, weir_is_said(media->type) ? media->type : weir_span_of_string(otherwise));
        weir_buffer_append(writer->out, WEIR_SPAN(";base64,"));
    }
    weir_buffer_append(writer->out, media->data);
    weir_buffer_append_byte(writer->out, '"');
}

static enum weir_status write_image(struct writing *writing, const struct weir_media *media) {
    struct weir_json_writer *writer = writing->writer;
    if (media->source != WEIR_MEDIA_INLINE && media->source != WEIR_MEDIA_URL)
        return cannot(writing, "messages", "an image by the id of a file");
    weir_json_write_object(writer);
    weir_json_member_text(writer, "type", "input_image");
    if (weir_is_said(media->detail))
        dialect__member_wire(writer, "detail", media->detail);
    else
        weir_json_member_text(writer, "detail", "auto");
    write_data_url(writer, "image_url", media, "image/png");
    weir_json_write_end(writer);
    return WEIR_OK;
}

static enum weir_status write_document(struct writing *writing, const struct weir_media *media) {
    struct weir_json_writer *writer = writing->writer;
    if (media->source == WEIR_MEDIA_TEXT) {
        write_words(writing, media->data);
        return WEIR_OK;
    }
    if (media->source == WEIR_MEDIA_FILE)
        return cannot(writing, "messages", "a document by the id of a file");
    weir_json_write_object(writer);
    weir_json_member_text(writer, "type", "input_file");
    if (media->source == WEIR_MEDIA_URL) {
        dialect__member_wire(writer, "file_url", media->data);
    } else {
        dialect__member_wire(writer, "filename",
                             weir_is_said(media->filename) ? media->filename : WEIR_SPAN("document.pdf"));
        write_data_url(writer, "file_data", media, "application/pdf");
    }
    weir_json_write_end(writer);
    return WEIR_OK;
}

static enum weir_status write_item(struct writing *writing, const struct weir_part *part) {
    char what[120];
    switch (part->kind) {
    case WEIR_PART_REFUSAL:
    case WEIR_PART_TEXT: write_words(writing, part->text); return WEIR_OK;
    case WEIR_PART_IMAGE: return write_image(writing, &part->media);
    case WEIR_PART_DOCUMENT: return write_document(writing, &part->media);
    case WEIR_PART_AUDIO: return cannot(writing, "messages", "sound");
    case WEIR_PART_OTHER:
        (void)snprintf(what, sizeof what, "content of the type '%.*s'",
                       (int)(part->name.length < 60 ? part->name.length : 60), part->name.at);
        return cannot(writing, "messages", what);
    case WEIR_PART_TOOL_CALL:
    case WEIR_PART_TOOL_RESULT:
    case WEIR_PART_THINKING: break;
    }
    return WEIR_OK;
}

static bool is_content(const struct weir_part *part) {
    return part->kind != WEIR_PART_TOOL_CALL && part->kind != WEIR_PART_TOOL_RESULT && part->kind != WEIR_PART_THINKING;
}

static bool is_words(const struct weir_part *part) {
    return part->kind == WEIR_PART_TEXT || part->kind == WEIR_PART_REFUSAL;
}

/* --- items --- */

static enum weir_status write_message(struct writing *writing, const char *role, const struct weir_part *parts) {
    struct weir_json_writer *writer = writing->writer;
    enum weir_status status = WEIR_OK;
    weir_json_write_object(writer);
    weir_json_member_text(writer, "type", "message");
    weir_json_member_text(writer, "role", role);
    weir_json_write_name(writer, "content");
    weir_json_write_array(writer);
    for (const struct weir_part *part = parts; status == WEIR_OK && part != NULL; part = part->next)
        if (is_content(part))
            status = write_item(writing, part);
    weir_json_write_end(writer);
    weir_json_write_end(writer);
    return status;
}

/* Of a call's id 64 bytes are taken; longer ones come from other dialects and are cut the same way in calls and results. */
enum { MAX_ID = 64 };
static struct weir_span short_id(struct weir_span id) {
    if (!weir_is_said(id))
        return WEIR_SPAN("call_0");
    return dialect__short_id(id, MAX_ID);
}

static void write_call(struct writing *writing, const struct weir_part *part) {
    struct weir_json_writer *writer = writing->writer;
    weir_json_write_object(writer);
    weir_json_member_text(writer, "type", part->is_custom ? "custom_tool_call" : "function_call");
    dialect__member_wire(writer, "call_id", short_id(part->id));
    dialect__member_wire(writer, "name", part->name);
    if (part->is_custom)
        dialect__member_json(writer, "input", part->arguments);
    else
        dialect__member_arguments(writer, "arguments", part->arguments);
    weir_json_write_end(writer);
}

static void write_thinking(struct writing *writing, const struct weir_part *part) {
    struct weir_json_writer *writer = writing->writer;
    if (!weir_is_said(part->signature.value) || part->signature.from != WEIR_DIALECT_RESPONSES)
        return;
    weir_json_write_object(writer);
    weir_json_member_text(writer, "type", "reasoning");
    if (weir_is_said(part->signature.id))
        dialect__member_wire(writer, "id", part->signature.id);
    weir_json_write_name(writer, "summary");
    weir_json_write_array(writer);
    if (weir_is_said(part->text) && part->text.length > 0) {
        weir_json_write_object(writer);
        weir_json_member_text(writer, "type", "summary_text");
        dialect__member_wire(writer, "text", part->text);
        weir_json_write_end(writer);
    }
    weir_json_write_end(writer);
    dialect__member_wire(writer, "encrypted_content", part->signature.value);
    weir_json_write_end(writer);
}

/* What the model has said stands as one text; its order among thoughts and calls is kept. */
static void write_said(struct writing *writing, struct weir_span text) {
    struct weir_json_writer *writer = writing->writer;
    weir_json_write_object(writer);
    weir_json_member_text(writer, "type", "message");
    weir_json_member_text(writer, "role", "assistant");
    dialect__member_wire(writer, "content", text);
    weir_json_write_end(writer);
}

static enum weir_status write_assistant(struct writing *writing, const struct weir_part *parts) {
    char what[120];
    for (const struct weir_part *part = parts; part != NULL; part = part->next) {
        if (part->kind == WEIR_PART_TOOL_CALL) {
            write_call(writing, part);
        } else if (part->kind == WEIR_PART_THINKING) {
            write_thinking(writing, part);
        } else if (is_words(part)) {
            if (weir_is_said(part->text) && part->text.length > 0)
                write_said(writing, part->text);
        } else {
            (void)snprintf(what, sizeof what, "content of the type '%.*s' that the model has made",
                           weir_is_said(part->name) && part->name.length < 60 ? (int)part->name.length : 0,
                           weir_is_said(part->name) ? part->name.at : "");
            return cannot(writing, "messages", what);
        }
    }
    return WEIR_OK;
}

static enum weir_status write_result(struct writing *writing, const struct weir_part *result) {
    struct weir_json_writer *writer = writing->writer;
    const struct weir_part *only = result->content;
    enum weir_status status = WEIR_OK;
    weir_json_write_object(writer);
    weir_json_member_text(writer, "type", result->is_custom ? "custom_tool_call_output" : "function_call_output");
    dialect__member_wire(writer, "call_id", short_id(result->id));
    weir_json_write_name(writer, "output");
    if (only == NULL || (only->next == NULL && is_words(only))) {
        dialect__write_wire(writer, only != NULL && weir_is_said(only->text) ? only->text : WEIR_SPAN(""));
    } else {
        weir_json_write_array(writer);
        for (const struct weir_part *part = only; status == WEIR_OK && part != NULL; part = part->next)
            status = write_item(writing, part);
        weir_json_write_end(writer);
    }
    weir_json_write_end(writer);
    return status;
}

static bool has_content(const struct weir_part *parts) {
    while (parts != NULL && !is_content(parts))
        parts = parts->next;
    return parts != NULL;
}

static enum weir_status write_turn(struct writing *writing, const struct weir_turn *turn) {
    enum weir_status status = WEIR_OK;
    if (turn->role == WEIR_TURN_ASSISTANT)
        return write_assistant(writing, turn->parts);
    for (const struct weir_part *part = turn->parts; status == WEIR_OK && part != NULL; part = part->next)
        if (part->kind == WEIR_PART_TOOL_RESULT)
            status = write_result(writing, part);
    if (status != WEIR_OK || !has_content(turn->parts))
        return status;
    return write_message(writing,
                         turn->role == WEIR_TURN_USER ? "user"
                         : turn->is_developer         ? "developer"
                                                      : "system",
                         turn->parts);
}

/* --- tools and the rest --- */

static enum weir_status write_tools(struct writing *writing, const struct weir_prompt *prompt) {
    struct weir_json_writer *writer = writing->writer;
    if (prompt->tools == NULL)
        return WEIR_OK;
    weir_json_write_name(writer, "tools");
    weir_json_write_array(writer);
    for (const struct weir_tool *tool = prompt->tools; tool != NULL; tool = tool->next) {
        char what[120];
        (void)snprintf(what, sizeof what, "the tool '%.*s', which its own provider runs,",
                       (int)(tool->name.length < 60 ? tool->name.length : 60), tool->name.at);
        if (tool->kind == WEIR_TOOL_HOSTED)
            return cannot(writing, "tools", what);
        bool is_custom = tool->kind == WEIR_TOOL_CUSTOM;
        weir_json_write_object(writer);
        weir_json_member_text(writer, "type", is_custom ? "custom" : "function");
        dialect__member_wire(writer, "name", tool->name);
        dialect__member_wire(writer, "description", tool->description);
        if (!is_custom) {
            /* Where nothing is said the vendor takes the schema for a strict one, and refuses those that are not. */
            dialect__member_json(writer, "parameters",
                                 weir_is_said(tool->parameters) ? tool->parameters
                                                                : WEIR_SPAN("{\"type\":\"object\",\"properties\":{}}"));
            dialect__member_json(writer, "strict",
                                 weir_is_said(tool->is_strict) ? tool->is_strict : WEIR_SPAN("false"));
        }
        weir_json_write_end(writer);
    }
    weir_json_write_end(writer);
    return WEIR_OK;
}

static void write_choice(struct weir_json_writer *writer, const struct weir_prompt *prompt) {
    static const char *const names[] = {
        [WEIR_CHOICE_AUTO] = "auto", [WEIR_CHOICE_NONE] = "none", [WEIR_CHOICE_ANY] = "required"};
    if (prompt->tool_choice == WEIR_CHOICE_UNSAID || prompt->tools == NULL)
        return;
    weir_json_write_name(writer, "tool_choice");
    if (prompt->chosen_tools == NULL) {
        weir_json_write_string(writer, weir_span_of_string(prompt->tool_choice == WEIR_CHOICE_ONE
                                                               ? "required"
                                                               : names[prompt->tool_choice]));
        return;
    }
    weir_json_write_object(writer);
    if (prompt->tool_choice == WEIR_CHOICE_ONE) {
        weir_json_member_text(writer, "type", "function");
        dialect__member_wire(writer, "name", prompt->chosen_tools->text);
        weir_json_write_end(writer);
        return;
    }
    weir_json_member_text(writer, "type", "allowed_tools");
    weir_json_member_text(writer, "mode", prompt->tool_choice == WEIR_CHOICE_ANY ? "required" : "auto");
    weir_json_write_name(writer, "tools");
    weir_json_write_array(writer);
    for (const struct weir_name *name = prompt->chosen_tools; name != NULL; name = name->next) {
        weir_json_write_object(writer);
        weir_json_member_text(writer, "type", "function");
        dialect__member_wire(writer, "name", name->text);
        weir_json_write_end(writer);
    }
    weir_json_write_end(writer);
    weir_json_write_end(writer);
}

static void write_text(struct weir_json_writer *writer, const struct weir_prompt *prompt) {
    struct weir_span verbosity = prompt->values[WEIR_PARAMETER_VERBOSITY];
    if (prompt->output_form == WEIR_FORM_TEXT && !weir_is_said(verbosity))
        return;
    weir_json_write_name(writer, "text");
    weir_json_write_object(writer);
    if (prompt->output_form != WEIR_FORM_TEXT) {
        weir_json_write_name(writer, "format");
        weir_json_write_object(writer);
        weir_json_member_text(writer, "type", prompt->output_form == WEIR_FORM_JSON ? "json_object" : "json_schema");
        if (prompt->output_form == WEIR_FORM_SCHEMA) {
            dialect__member_wire(writer, "name",
                                 weir_is_said(prompt->schema_name) ? prompt->schema_name : WEIR_SPAN("answer"));
            dialect__member_wire(writer, "description", prompt->schema_description);
            dialect__member_json(writer, "schema", prompt->schema);
            dialect__member_json(writer, "strict", prompt->schema_is_strict);
        }
        weir_json_write_end(writer);
    }
    dialect__member_json(writer, "verbosity", verbosity);
    weir_json_write_end(writer);
}

/* The encrypted form is asked for where the model thinks, for others refuse the wish. */
static void write_reasoning(struct weir_json_writer *writer, const struct weir_prompt *prompt, bool is_count) {
    enum weir_effort effort = prompt->effort;
    if (effort == WEIR_EFFORT_UNSAID && prompt->thinking_budget != 0)
        effort = weir_effort_of_budget(prompt->thinking_budget);
    bool thinks = effort > WEIR_EFFORT_NONE || prompt->wants_signatures;
    bool wants_logprobs = weir_is_said(prompt->values[WEIR_PARAMETER_LOGPROBS]);
    if (effort != WEIR_EFFORT_UNSAID || prompt->shows_thinking) {
        weir_json_write_name(writer, "reasoning");
        weir_json_write_object(writer);
        if (effort != WEIR_EFFORT_UNSAID)
            weir_json_member_text(writer, "effort", weir_effort_name(effort));
        if (prompt->shows_thinking)
            weir_json_member_text(writer, "summary", "auto");
        weir_json_write_end(writer);
    }
    if (is_count || (!thinks && !wants_logprobs))
        return;
    weir_json_write_name(writer, "include");
    weir_json_write_array(writer);
    if (thinks)
        weir_json_write_string(writer, WEIR_SPAN("reasoning.encrypted_content"));
    if (wants_logprobs)
        weir_json_write_string(writer, WEIR_SPAN("message.output_text.logprobs"));
    weir_json_write_end(writer);
}

static void write_values(struct weir_json_writer *writer, const struct weir_prompt *prompt) {
    static const struct {
        const char *name;
        enum weir_parameter parameter;
    } rows[] = {{"temperature", WEIR_PARAMETER_TEMPERATURE},
                {"top_p", WEIR_PARAMETER_TOP_P},
                {"top_logprobs", WEIR_PARAMETER_TOP_LOGPROBS},
                {"metadata", WEIR_PARAMETER_METADATA},
                {"user", WEIR_PARAMETER_USER},
                {"safety_identifier", WEIR_PARAMETER_SAFETY_IDENTIFIER},
                {"prompt_cache_key", WEIR_PARAMETER_PROMPT_CACHE_KEY}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        dialect__member_json(writer, rows[i].name, prompt->values[rows[i].parameter]);
}

/* The first system turn, where it is texts alone and no developer's. */
static const struct weir_turn *instructions_of(const struct weir_prompt *prompt) {
    const struct weir_turn *turn = prompt->turns;
    if (turn == NULL || turn->role != WEIR_TURN_SYSTEM || turn->is_developer)
        return NULL;
    for (const struct weir_part *part = turn->parts; part != NULL; part = part->next)
        if (part->kind != WEIR_PART_TEXT)
            return NULL;
    return turn;
}

enum weir_status dialect__responses_write_body(struct weir_exchange *exchange, const struct weir_prompt *prompt,
                                               bool is_count, struct weir_buffer *out,
                                               struct weir_call_problem *problem) {
    struct weir_json_writer writer;
    struct writing writing = {.exchange = exchange, .problem = problem, .writer = &writer};
    const struct weir_turn *instructions = instructions_of(prompt);
    int64_t limit = dialect__output_limit(exchange, prompt);
    enum weir_status status = WEIR_OK;
    weir_json_writer_init(&writer, out);
    weir_json_write_object(&writer);
    weir_json_member_string(&writer, "model", exchange->back_model);
    if (instructions != NULL)
        dialect__member_wire(&writer, "instructions",
                             dialect__join_texts(exchange->arena, instructions->parts, WEIR_PART_TEXT,
                                                 WEIR_SPAN("\\n\\n")));
    weir_json_write_name(&writer, "input");
    weir_json_write_array(&writer);
    for (const struct weir_turn *turn = prompt->turns; status == WEIR_OK && turn != NULL; turn = turn->next)
        if (turn != instructions)
            status = write_turn(&writing, turn);
    if (status != WEIR_OK)
        return status;
    weir_json_write_end(&writer);
    status = write_tools(&writing, prompt);
    if (status != WEIR_OK)
        return status;
    write_choice(&writer, prompt);
    if (prompt->one_tool_at_a_time && prompt->tools != NULL)
        weir_json_member_bool(&writer, "parallel_tool_calls", false);
    write_text(&writer, prompt);
    write_reasoning(&writer, prompt, is_count);
    if (is_count) {
        weir_json_write_end(&writer);
        return weir_buffer_status(out);
    }
    if (limit > 0)
        weir_json_member_int64(&writer, "max_output_tokens", limit);
    write_values(&writer, prompt);
    weir_json_member_bool(&writer, "store", false);
    if (prompt->stream)
        weir_json_member_bool(&writer, "stream", true);
    weir_json_write_end(&writer);
    return weir_buffer_status(out);
}

enum weir_status dialect__responses_write_prompt(struct weir_exchange *exchange, const struct weir_prompt *prompt,
                                                 struct weir_back_target *target, struct weir_buffer *out,
                                                 struct weir_call_problem *problem) {
    *target = (struct weir_back_target){.path = WEIR_SPAN("/responses")};
    return dialect__responses_write_body(exchange, prompt, false, out, problem);
}
