/* Providers that speak chat completions, for clients that do not: what they are asked.
 *
 * Thoughts of earlier turns are left out: the format has no place for them that every server takes. A server's own extras (reasoning_content) are read, not written.
 */
#include "dialect/chat_codec.h"

struct writing {
    struct weir_exchange *exchange;
    struct weir_call_problem *problem;
    struct weir_json_writer *writer;
};

/* --- content --- */

static enum weir_status write_image(struct writing *writing, const struct weir_media *media) {
    struct weir_json_writer *writer = writing->writer;
    if (media->source != WEIR_MEDIA_INLINE && media->source != WEIR_MEDIA_URL)
        return dialect__cannot_send(writing->problem, "messages", "an image by the id of a file", WEIR_DIALECT_OPENAI);
    weir_json_write_object(writer);
    weir_json_member_text(writer, "type", "image_url");
    weir_json_write_name(writer, "image_url");
    weir_json_write_object(writer);
    weir_json_write_name(writer, "url");
    weir_json_write_raw(writer, WEIR_SPAN("\""));
    if (media->source == WEIR_MEDIA_INLINE) {
        weir_buffer_append(writer->out, WEIR_SPAN("data:"));
        weir_buffer_append(writer->out, weir_is_said(media->type) ? media->type : WEIR_SPAN("image/png"));
        weir_buffer_append(writer->out, WEIR_SPAN(";base64,"));
    }
    weir_buffer_append(writer->out, media->data);
    weir_buffer_append_byte(writer->out, '"');
    dialect__member_wire(writer, "detail", media->detail);
    weir_json_write_end(writer);
    weir_json_write_end(writer);
    return WEIR_OK;
}

static void write_words(struct writing *writing, struct weir_span text) {
    struct weir_json_writer *writer = writing->writer;
    weir_json_write_object(writer);
    weir_json_member_text(writer, "type", "text");
    dialect__member_wire(writer, "text", weir_is_said(text) ? text : WEIR_SPAN(""));
    weir_json_write_end(writer);
}

static enum weir_status write_document(struct writing *writing, const struct weir_media *media) {
    struct weir_json_writer *writer = writing->writer;
    if (media->source == WEIR_MEDIA_TEXT) {
        write_words(writing, media->data);
        return WEIR_OK;
    }
    if (media->source != WEIR_MEDIA_INLINE)
        return dialect__cannot_send(writing->problem, "messages",
                                    media->source == WEIR_MEDIA_URL ? "a document by URL"
                                                                    : "a document by the id of a file",
                                    WEIR_DIALECT_OPENAI);
    weir_json_write_object(writer);
    weir_json_member_text(writer, "type", "file");
    weir_json_write_name(writer, "file");
    weir_json_write_object(writer);
    dialect__member_wire(writer, "filename",
                         weir_is_said(media->filename) ? media->filename : WEIR_SPAN("document.pdf"));
    weir_json_write_name(writer, "file_data");
    weir_json_write_raw(writer, WEIR_SPAN("\"data:"));
    weir_buffer_append(writer->out, weir_is_said(media->type) ? media->type : WEIR_SPAN("application/pdf"));
    weir_buffer_append(writer->out, WEIR_SPAN(";base64,"));
    weir_buffer_append(writer->out, media->data);
    weir_buffer_append_byte(writer->out, '"');
    weir_json_write_end(writer);
    weir_json_write_end(writer);
    return WEIR_OK;
}

static enum weir_status write_sound(struct writing *writing, const struct weir_media *media) {
    static const struct {
        struct weir_span type;
        const char *format;
    } rows[] = {{{"audio/wav", 9}, "wav"},
                {{"audio/x-wav", 11}, "wav"},
                {{"audio/mp3", 9}, "mp3"},
                {{"audio/mpeg", 10}, "mp3"}};
    struct weir_json_writer *writer = writing->writer;
    const char *format = NULL;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (weir_is_said(media->type) && weir_span_equal(media->type, rows[i].type))
            format = rows[i].format;
    if (format == NULL || media->source != WEIR_MEDIA_INLINE)
        return dialect__cannot_send(writing->problem, "messages", "sound that is no inline WAV or MP3",
                                    WEIR_DIALECT_OPENAI);
    weir_json_write_object(writer);
    weir_json_member_text(writer, "type", "input_audio");
    weir_json_write_name(writer, "input_audio");
    weir_json_write_object(writer);
    dialect__member_wire(writer, "data", media->data);
    weir_json_member_text(writer, "format", format);
    weir_json_write_end(writer);
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
    case WEIR_PART_AUDIO: return write_sound(writing, &part->media);
    case WEIR_PART_OTHER:
        (void)snprintf(what, sizeof what, "content of the type '%.*s'",
                       (int)(part->name.length < 60 ? part->name.length : 60), part->name.at);
        return dialect__cannot_send(writing->problem, "messages", what, WEIR_DIALECT_OPENAI);
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

/* One text as a string, anything else as parts. */
static enum weir_status write_content(struct writing *writing, const struct weir_part *parts) {
    const struct weir_part *first = NULL;
    size_t count = 0;
    for (const struct weir_part *part = parts; part != NULL; part = part->next) {
        if (!is_content(part))
            continue;
        first = first == NULL ? part : first;
        count++;
    }
    weir_json_write_name(writing->writer, "content");
    if (count == 0 || (count == 1 && is_words(first))) {
        dialect__write_wire(writing->writer, count == 1 && weir_is_said(first->text) ? first->text : WEIR_SPAN(""));
        return WEIR_OK;
    }
    enum weir_status status = WEIR_OK;
    weir_json_write_array(writing->writer);
    for (const struct weir_part *part = parts; status == WEIR_OK && part != NULL; part = part->next)
        if (is_content(part))
            status = write_item(writing, part);
    weir_json_write_end(writing->writer);
    return status;
}

/* --- messages --- */

/* What a provider takes for an id is 40 bytes at most; longer ones come from other dialects and are cut the same way in calls and results. */
enum { MAX_ID = 40 };
static struct weir_span short_id(struct weir_span id) {
    if (!weir_is_said(id))
        return WEIR_SPAN("call_0");
    return dialect__short_id(id, MAX_ID);
}

static void begin_message(struct writing *writing, const char *role) {
    weir_json_write_object(writing->writer);
    weir_json_member_text(writing->writer, "role", role);
}

static enum weir_status write_result(struct writing *writing, const struct weir_part *result) {
    struct weir_json_writer *writer = writing->writer;
    begin_message(writing, "tool");
    dialect__member_wire(writer, "tool_call_id", short_id(result->id));
    weir_json_write_name(writer, "content");
    weir_json_write_raw(writer, WEIR_SPAN("\""));
    bool first = true;
    for (const struct weir_part *part = result->content; part != NULL; part = part->next) {
        struct weir_span text = part->kind == WEIR_PART_TEXT ? part->text
                                : part->kind == WEIR_PART_DOCUMENT && part->media.source == WEIR_MEDIA_TEXT
                                    ? part->media.data
                                    : WEIR_UNSAID;
        if (!weir_is_said(text))
            continue;
        if (!first)
            weir_buffer_append(writer->out, WEIR_SPAN("\\n"));
        weir_buffer_append(writer->out, text);
        first = false;
    }
    weir_buffer_append_byte(writer->out, '"');
    weir_json_write_end(writer);
    return WEIR_OK;
}

static bool is_for_user(const struct weir_part *part) {
    return part->kind == WEIR_PART_IMAGE || part->kind == WEIR_PART_AUDIO ||
           (part->kind == WEIR_PART_DOCUMENT && part->media.source != WEIR_MEDIA_TEXT);
}

/* Results can hold texts alone: their pictures come in a message of the user's behind them. */
static enum weir_status write_results(struct writing *writing, const struct weir_part *parts) {
    enum weir_status status = WEIR_OK;
    bool any = false;
    for (const struct weir_part *part = parts; status == WEIR_OK && part != NULL; part = part->next) {
        if (part->kind != WEIR_PART_TOOL_RESULT)
            continue;
        status = write_result(writing, part);
        for (const struct weir_part *inner = part->content; inner != NULL; inner = inner->next)
            any = any || is_for_user(inner);
    }
    if (!any || status != WEIR_OK)
        return status;
    begin_message(writing, "user");
    weir_json_write_name(writing->writer, "content");
    weir_json_write_array(writing->writer);
    for (const struct weir_part *part = parts; part != NULL; part = part->next)
        for (const struct weir_part *inner = part->content;
             status == WEIR_OK && part->kind == WEIR_PART_TOOL_RESULT && inner != NULL; inner = inner->next)
            if (is_for_user(inner))
                status = write_item(writing, inner);
    weir_json_write_end(writing->writer);
    weir_json_write_end(writing->writer);
    return status;
}

static void write_calls(struct writing *writing, const struct weir_part *parts) {
    struct weir_json_writer *writer = writing->writer;
    if (!dialect__has_part(parts, WEIR_PART_TOOL_CALL))
        return;
    weir_json_write_name(writer, "tool_calls");
    weir_json_write_array(writer);
    for (const struct weir_part *part = parts; part != NULL; part = part->next) {
        if (part->kind != WEIR_PART_TOOL_CALL)
            continue;
        weir_json_write_object(writer);
        dialect__member_wire(writer, "id", short_id(part->id));
        weir_json_member_text(writer, "type", part->is_custom ? "custom" : "function");
        weir_json_write_name(writer, part->is_custom ? "custom" : "function");
        weir_json_write_object(writer);
        dialect__member_wire(writer, "name", part->name);
        if (part->is_custom)
            dialect__member_json(writer, "input", part->arguments);
        else
            dialect__member_arguments(writer, "arguments", part->arguments);
        weir_json_write_end(writer);
        weir_json_write_end(writer);
    }
    weir_json_write_end(writer);
}

static bool has_content(const struct weir_part *parts) {
    while (parts != NULL && !is_content(parts))
        parts = parts->next;
    return parts != NULL;
}

static enum weir_status write_turn(struct writing *writing, const struct weir_turn *turn) {
    struct weir_json_writer *writer = writing->writer;
    enum weir_status status = WEIR_OK;
    if (turn->role == WEIR_TURN_USER && dialect__has_part(turn->parts, WEIR_PART_TOOL_RESULT)) {
        status = write_results(writing, turn->parts);
        if (status != WEIR_OK || !has_content(turn->parts))
            return status;
    }
    bool has_calls = dialect__has_part(turn->parts, WEIR_PART_TOOL_CALL);
    if (turn->role == WEIR_TURN_ASSISTANT && !has_calls && !has_content(turn->parts))
        return WEIR_OK; /* thoughts alone */
    begin_message(writing, turn->role == WEIR_TURN_SYSTEM      ? turn->is_developer ? "developer" : "system"
                           : turn->role == WEIR_TURN_ASSISTANT ? "assistant"
                                                               : "user");
    dialect__member_wire(writer, "name", turn->name);
    if (has_calls && !has_content(turn->parts))
        weir_json_member_text(writer, "content", NULL);
    else
        status = write_content(writing, turn->parts);
    write_calls(writing, turn->parts);
    weir_json_write_end(writer);
    return status;
}

/* --- tools and the rest --- */

static bool is_chosen(const struct weir_prompt *prompt, const struct weir_tool *tool) {
    const struct weir_name *name = prompt->chosen_tools;
    if (prompt->tool_choice == WEIR_CHOICE_ONE || name == NULL)
        return true;
    while (name != NULL && !weir_span_equal(name->text, tool->name))
        name = name->next;
    return name != NULL;
}

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
            return dialect__cannot_send(writing->problem, "tools", what, WEIR_DIALECT_OPENAI);
        if (!is_chosen(prompt, tool))
            continue;
        bool is_custom = tool->kind == WEIR_TOOL_CUSTOM;
        weir_json_write_object(writer);
        weir_json_member_text(writer, "type", is_custom ? "custom" : "function");
        weir_json_write_name(writer, is_custom ? "custom" : "function");
        weir_json_write_object(writer);
        dialect__member_wire(writer, "name", tool->name);
        dialect__member_wire(writer, "description", tool->description);
        if (!is_custom) {
            dialect__member_json(writer, "parameters", tool->parameters);
            dialect__member_json(writer, "strict", tool->is_strict);
        }
        weir_json_write_end(writer);
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
    if (prompt->tool_choice != WEIR_CHOICE_ONE || prompt->chosen_tools == NULL) {
        weir_json_member_text(writer, "tool_choice",
                              prompt->tool_choice == WEIR_CHOICE_ONE ? "required" : names[prompt->tool_choice]);
        return;
    }
    weir_json_write_name(writer, "tool_choice");
    weir_json_write_object(writer);
    weir_json_member_text(writer, "type", "function");
    weir_json_write_name(writer, "function");
    weir_json_write_object(writer);
    dialect__member_wire(writer, "name", prompt->chosen_tools->text);
    weir_json_write_end(writer);
    weir_json_write_end(writer);
}

static void write_form(struct weir_json_writer *writer, const struct weir_prompt *prompt) {
    if (prompt->output_form == WEIR_FORM_TEXT)
        return;
    weir_json_write_name(writer, "response_format");
    weir_json_write_object(writer);
    weir_json_member_text(writer, "type", prompt->output_form == WEIR_FORM_JSON ? "json_object" : "json_schema");
    if (prompt->output_form == WEIR_FORM_SCHEMA) {
        weir_json_write_name(writer, "json_schema");
        weir_json_write_object(writer);
        dialect__member_wire(writer, "name",
                             weir_is_said(prompt->schema_name) ? prompt->schema_name : WEIR_SPAN("answer"));
        dialect__member_wire(writer, "description", prompt->schema_description);
        dialect__member_json(writer, "schema", prompt->schema);
        dialect__member_json(writer, "strict", prompt->schema_is_strict);
        weir_json_write_end(writer);
    }
    weir_json_write_end(writer);
}

static void write_stops(struct weir_json_writer *writer, const struct weir_prompt *prompt) {
    if (prompt->stops == NULL)
        return;
    weir_json_write_name(writer, "stop");
    weir_json_write_array(writer);
    for (const struct weir_name *stop = prompt->stops; stop != NULL; stop = stop->next)
        dialect__write_wire(writer, stop->text);
    weir_json_write_end(writer);
}

static void write_effort(struct weir_json_writer *writer, const struct weir_prompt *prompt) {
    enum weir_effort effort = prompt->effort;
    if (effort == WEIR_EFFORT_UNSAID && prompt->thinking_budget != 0)
        effort = weir_effort_of_budget(prompt->thinking_budget);
    if (effort != WEIR_EFFORT_UNSAID)
        weir_json_member_text(writer, "reasoning_effort", weir_effort_name(effort));
}

/* Values that are as they were said. */
static void write_values(struct weir_json_writer *writer, const struct weir_prompt *prompt) {
    static const struct {
        const char *name;
        enum weir_parameter parameter;
    } rows[] = {{"temperature", WEIR_PARAMETER_TEMPERATURE},
                {"top_p", WEIR_PARAMETER_TOP_P},
                {"n", WEIR_PARAMETER_N},
                {"seed", WEIR_PARAMETER_SEED},
                {"frequency_penalty", WEIR_PARAMETER_FREQUENCY_PENALTY},
                {"presence_penalty", WEIR_PARAMETER_PRESENCE_PENALTY},
                {"logit_bias", WEIR_PARAMETER_LOGIT_BIAS},
                {"logprobs", WEIR_PARAMETER_LOGPROBS},
                {"top_logprobs", WEIR_PARAMETER_TOP_LOGPROBS},
                {"verbosity", WEIR_PARAMETER_VERBOSITY},
                {"user", WEIR_PARAMETER_USER},
                {"safety_identifier", WEIR_PARAMETER_SAFETY_IDENTIFIER},
                {"prompt_cache_key", WEIR_PARAMETER_PROMPT_CACHE_KEY}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        dialect__member_json(writer, rows[i].name, prompt->values[rows[i].parameter]);
}

enum weir_status dialect__chat_write_prompt(struct weir_exchange *exchange, const struct weir_prompt *prompt,
                                            struct weir_back_target *target, struct weir_buffer *out,
                                            struct weir_call_problem *problem) {
    struct weir_json_writer writer;
    struct writing writing = {.exchange = exchange, .problem = problem, .writer = &writer};
    enum weir_status status = WEIR_OK;
    int64_t limit = dialect__output_limit(exchange, prompt);
    *target = (struct weir_back_target){.path = WEIR_SPAN("/chat/completions")};
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
    write_choice(&writer, prompt);
    if (prompt->one_tool_at_a_time && prompt->tools != NULL)
        weir_json_member_bool(&writer, "parallel_tool_calls", false);
    if (limit > 0)
        weir_json_member_int64(&writer,
                               exchange->output_limit_member != NULL ? exchange->output_limit_member
                                                                     : "max_completion_tokens",
                               limit);
    write_values(&writer, prompt);
    write_stops(&writer, prompt);
    write_form(&writer, prompt);
    write_effort(&writer, prompt);
    if (prompt->stream) {
        weir_json_member_bool(&writer, "stream", true);
        if (exchange->takes_stream_options) {
            weir_json_write_name(&writer, "stream_options");
            weir_json_write_raw(&writer, WEIR_SPAN("{\"include_usage\":true}"));
        }
    }
    weir_json_write_end(&writer);
    return weir_buffer_status(out);
}
