/* Providers that speak the Gemini API, for clients that do not: what they are asked. What they answer is in gemini_back_read.c.
 *
 * Turns of one role that follow each other are one content, with all results of tools first, as the vendor wants them. System messages are collected in
 * systemInstruction, wherever they stood. A signature goes back with the very part that it came with, and only to the dialect that gave it.
 */
#include "dialect/gemini_codec.h"

struct writing {
    struct weir_exchange *exchange;
    struct weir_call_problem *problem;
    struct weir_json_writer *writer;
};

/* --- names --- */

static bool is_path_byte(unsigned char byte) {
    return (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z') ||
           memchr("-._~/:@", byte, 7) != NULL;
}

struct weir_span dialect__gemini_model_name(struct weir_exchange *exchange) {
    struct weir_span model = exchange->back_model;
    if (weir_span_starts_with(model, WEIR_SPAN("models/")) || weir_span_starts_with(model, WEIR_SPAN("tunedModels/")))
        return model;
    const char *name = weir_arena_format(exchange->arena, "models/%.*s", WEIR_SPAN_PRINT(model));
    return name == NULL ? WEIR_SPAN("") : weir_span_of_string(name);
}

struct weir_span dialect__gemini_path(struct weir_exchange *exchange, const char *verb) {
    struct weir_span model = dialect__gemini_model_name(exchange), path = WEIR_SPAN("");
    struct weir_buffer text;
    weir_buffer_init(&text, 4 * model.length + 64);
    weir_buffer_append_byte(&text, '/');
    for (size_t i = 0; i < model.length; i++) {
        if (is_path_byte((unsigned char)model.at[i]))
            weir_buffer_append_byte(&text, model.at[i]);
        else
            weir_buffer_printf(&text, "%%%02X", (unsigned)(unsigned char)model.at[i]);
    }
    weir_buffer_append(&text, weir_span_of_string(verb));
    if (weir_buffer_status(&text) != WEIR_OK ||
        weir_arena_dup(exchange->arena, weir_buffer_span(&text), &path) != WEIR_OK)
        path = WEIR_SPAN("");
    weir_buffer_release(&text);
    return path;
}

/* 0: the name does not say. */
static int generation_of(struct weir_span model) {
    static const char mark[] = "gemini-";
    const char *at = memmem(model.at, model.length, mark, sizeof mark - 1);
    if (at == NULL || at + sizeof mark - 1 >= model.at + model.length)
        return 0;
    char digit = at[sizeof mark - 1];
    return digit >= '1' && digit <= '9' ? digit - '0' : 0;
}

/* From the third generation on a model says how much it thinks by levels, and wants its signatures back. */
static bool has_levels(struct weir_span model) {
    return generation_of(model) >= 3;
}

/* One of a name that does not say may be one of them. */
static bool looks_for_signatures(struct weir_span model) {
    int generation = generation_of(model);
    return generation == 0 || generation >= 3;
}

/* --- parts --- */

static enum weir_status write_media(struct writing *writing, const struct weir_media *media, const char *what,
                                    struct weir_span type) {
    struct weir_json_writer *writer = writing->writer;
    bool is_inline = media->source == WEIR_MEDIA_INLINE;
    if (!is_inline && media->source != WEIR_MEDIA_URL)
        return dialect__cannot_send(writing->problem, "messages", what, WEIR_DIALECT_GEMINI);
    weir_json_write_object(writer);
    weir_json_write_name(writer, is_inline ? "inlineData" : "fileData");
    weir_json_write_object(writer);
    if (is_inline || weir_is_said(media->type))
        dialect__member_wire(writer, "mimeType", weir_is_said(media->type) ? media->type : type);
    dialect__member_wire(writer, is_inline ? "data" : "fileUri", media->data);
    weir_json_write_end(writer);
    weir_json_write_end(writer);
    return WEIR_OK;
}

static void write_signature(struct weir_json_writer *writer, const struct weir_signature *signature) {
    if (weir_is_said(signature->value) && signature->from == WEIR_DIALECT_GEMINI)
        dialect__member_wire(writer, "thoughtSignature", signature->value);
}

static void write_words(struct weir_json_writer *writer, const struct weir_part *part, struct weir_span text) {
    weir_json_write_object(writer);
    dialect__member_wire(writer, "text", weir_is_said(text) ? text : WEIR_SPAN(""));
    if (part->kind == WEIR_PART_THINKING && weir_is_said(part->text))
        weir_json_member_bool(writer, "thought", true);
    write_signature(writer, &part->signature);
    weir_json_write_end(writer);
}

static bool is_object(struct weir_span json) {
    struct weir_json_found root;
    return weir_json_scan(json, NULL, 0, NULL, &root, NULL) == WEIR_OK && root.kind == WEIR_JSON_OBJECT;
}

/* What a model has made up and is no object goes into one. */
static void write_arguments(struct weir_json_writer *writer, const struct weir_part *call) {
    struct weir_span arguments = weir_is_said(call->arguments) ? call->arguments : WEIR_SPAN("{}");
    if (!call->is_custom && is_object(arguments)) {
        dialect__member_json(writer, "args", arguments);
        return;
    }
    weir_json_write_name(writer, "args");
    weir_json_write_object(writer);
    dialect__member_json(writer, DIALECT__GEMINI_CUSTOM_MEMBER, arguments);
    weir_json_write_end(writer);
}

/* The vendor's word for a call that comes from elsewhere, in front of a model that looks for its own signature. */
static void write_call(struct weir_json_writer *writer, const struct weir_part *call, bool is_foreign) {
    weir_json_write_object(writer);
    weir_json_write_name(writer, "functionCall");
    weir_json_write_object(writer);
    dialect__member_wire(writer, "id", call->id);
    dialect__member_wire(writer, "name", call->name);
    write_arguments(writer, call);
    weir_json_write_end(writer);
    if (is_foreign)
        weir_json_member_text(writer, "thoughtSignature", "skip_thought_signature_validator");
    else
        write_signature(writer, &call->signature);
    weir_json_write_end(writer);
}

/* A result is an object: a text that says one is it, any other goes into one. */
static enum weir_status write_result(struct writing *writing, const struct weir_part *result) {
    struct weir_json_writer *writer = writing->writer;
    struct weir_arena *arena = writing->exchange->arena;
    struct weir_part *texts = NULL;
    struct weir_span plain;
    for (const struct weir_part *part = result->content; part != NULL; part = part->next) {
        bool is_text = part->kind == WEIR_PART_DOCUMENT && part->media.source == WEIR_MEDIA_TEXT;
        if (part->kind != WEIR_PART_TEXT && !is_text)
            continue;
        struct weir_part *text = weir_part_add(arena, &texts, WEIR_PART_TEXT);
        if (text == NULL)
            return WEIR_ENOMEM;
        text->text = is_text ? part->media.data : part->text;
    }
    struct weir_span text = dialect__join_texts(arena, texts, WEIR_PART_TEXT, WEIR_SPAN("\\n"));
    if (weir_wire_plain(arena, text, &plain) != WEIR_OK)
        return WEIR_ENOMEM;
    weir_json_write_object(writer);
    weir_json_write_name(writer, "functionResponse");
    weir_json_write_object(writer);
    dialect__member_wire(writer, "id", result->id);
    dialect__member_wire(writer, "name", weir_is_said(result->name) ? result->name : WEIR_SPAN("unknown"));
    if (!result->is_error && is_object(plain)) {
        dialect__member_json(writer, "response", plain);
    } else {
        weir_json_write_name(writer, "response");
        weir_json_write_object(writer);
        dialect__member_wire(writer, result->is_error ? "error" : "result", weir_is_said(text) ? text : WEIR_SPAN(""));
        weir_json_write_end(writer);
    }
    weir_json_write_end(writer);
    weir_json_write_end(writer);
    return WEIR_OK;
}

static bool is_for_user(const struct weir_part *part) {
    return part->kind == WEIR_PART_IMAGE || part->kind == WEIR_PART_AUDIO ||
           (part->kind == WEIR_PART_DOCUMENT && part->media.source != WEIR_MEDIA_TEXT);
}

static enum weir_status write_part(struct writing *writing, const struct weir_part *part, bool is_foreign) {
    struct weir_json_writer *writer = writing->writer;
    char what[120];
    switch (part->kind) {
    case WEIR_PART_TEXT:
    case WEIR_PART_REFUSAL:
    case WEIR_PART_THINKING: write_words(writer, part, part->text); return WEIR_OK;
    case WEIR_PART_IMAGE:
        return write_media(writing, &part->media, "an image by the id of a file", WEIR_SPAN("image/png"));
    case WEIR_PART_AUDIO:
        return write_media(writing, &part->media, "sound by the id of a file", WEIR_SPAN("audio/wav"));
    case WEIR_PART_DOCUMENT:
        if (part->media.source == WEIR_MEDIA_TEXT) {
            write_words(writer, part, part->media.data);
            return WEIR_OK;
        }
        return write_media(writing, &part->media, "a document by the id of a file", WEIR_SPAN("application/pdf"));
    case WEIR_PART_TOOL_CALL: write_call(writer, part, is_foreign); return WEIR_OK;
    case WEIR_PART_TOOL_RESULT: return write_result(writing, part);
    case WEIR_PART_OTHER: break;
    }
    (void)snprintf(what, sizeof what, "content of the type '%.*s'",
                   (int)(part->name.length < 60 ? part->name.length : 60), part->name.at);
    return dialect__cannot_send(writing->problem, "messages", what, WEIR_DIALECT_GEMINI);
}

/* Thoughts are the model's own affair: only those that it signed go back. */
static bool is_sent(const struct weir_part *part) {
    if (part->kind == WEIR_PART_THINKING)
        return weir_is_said(part->signature.value) && part->signature.from == WEIR_DIALECT_GEMINI;
    if (part->kind == WEIR_PART_TEXT && part->text.length == 0)
        return weir_is_said(part->signature.value) && part->signature.from == WEIR_DIALECT_GEMINI;
    return true;
}

/* --- contents --- */

static bool has_own_signature(const struct weir_part *part) {
    for (; part != NULL; part = part->next)
        if (part->kind == WEIR_PART_TOOL_CALL && weir_is_said(part->signature.value) &&
            part->signature.from == WEIR_DIALECT_GEMINI)
            return true;
    return false;
}

enum pass { RESULTS, PICTURES, REST, PASSES };

static enum weir_status write_turn(struct writing *writing, const struct weir_turn *turn, enum pass pass) {
    enum weir_status status = WEIR_OK;
    bool needs_mark = looks_for_signatures(writing->exchange->back_model) && !has_own_signature(turn->parts);
    for (const struct weir_part *part = turn->parts; status == WEIR_OK && part != NULL; part = part->next) {
        bool is_result = part->kind == WEIR_PART_TOOL_RESULT, is_call = part->kind == WEIR_PART_TOOL_CALL;
        if (pass == PICTURES && is_result)
            for (const struct weir_part *inner = part->content; status == WEIR_OK && inner != NULL; inner = inner->next)
                status = is_for_user(inner) ? write_part(writing, inner, false) : WEIR_OK;
        if ((pass == RESULTS && is_result) || (pass == REST && !is_result && is_sent(part)))
            status = write_part(writing, part, needs_mark && is_call);
        needs_mark = needs_mark && !(pass == REST && is_call);
    }
    return status;
}

static bool has_parts(const struct weir_turn *turn) {
    for (const struct weir_part *part = turn->parts; part != NULL; part = part->next)
        if (is_sent(part))
            return true;
    return false;
}

/* The next turn that is told in the contents. */
static const struct weir_turn *next_told(const struct weir_turn *turn, bool with_system) {
    while (turn != NULL && ((turn->role == WEIR_TURN_SYSTEM && !with_system) || !has_parts(turn)))
        turn = turn->next;
    return turn;
}

static bool is_models(const struct weir_turn *turn) {
    return turn->role == WEIR_TURN_ASSISTANT;
}

static enum weir_status write_contents(struct writing *writing, const struct weir_prompt *prompt, bool with_system) {
    struct weir_json_writer *writer = writing->writer;
    const struct weir_turn *turn = next_told(prompt->turns, with_system);
    enum weir_status status = WEIR_OK;
    weir_json_write_name(writer, "contents");
    weir_json_write_array(writer);
    while (status == WEIR_OK && turn != NULL) {
        const struct weir_turn *end = turn;
        while (end != NULL && is_models(end) == is_models(turn))
            end = next_told(end->next, with_system);
        weir_json_write_object(writer);
        weir_json_member_text(writer, "role", is_models(turn) ? "model" : "user");
        weir_json_write_name(writer, "parts");
        weir_json_write_array(writer);
        for (enum pass pass = RESULTS; pass < PASSES; pass++)
            for (const struct weir_turn *one = turn; status == WEIR_OK && one != end;
                 one = next_told(one->next, with_system))
                status = write_turn(writing, one, pass);
        if (status != WEIR_OK)
            return status;
        weir_json_write_end(writer);
        weir_json_write_end(writer);
        turn = end;
    }
    weir_json_write_end(writer);
    return status;
}

static enum weir_status write_system(struct writing *writing, const struct weir_prompt *prompt) {
    struct weir_json_writer *writer = writing->writer;
    enum weir_status status = WEIR_OK;
    bool any = false;
    for (const struct weir_turn *turn = prompt->turns; turn != NULL; turn = turn->next)
        any = any || (turn->role == WEIR_TURN_SYSTEM && has_parts(turn));
    if (!any)
        return WEIR_OK;
    weir_json_write_name(writer, "systemInstruction");
    weir_json_write_object(writer);
    weir_json_write_name(writer, "parts");
    weir_json_write_array(writer);
    for (const struct weir_turn *turn = prompt->turns; status == WEIR_OK && turn != NULL; turn = turn->next)
        if (turn->role == WEIR_TURN_SYSTEM)
            status = write_turn(writing, turn, REST);
    if (status != WEIR_OK)
        return status;
    weir_json_write_end(writer);
    weir_json_write_end(writer);
    return WEIR_OK;
}

/* --- tools --- */

static enum weir_status write_declaration(struct writing *writing, const struct weir_tool *tool) {
    struct weir_json_writer *writer = writing->writer;
    char what[120];
    if (tool->kind == WEIR_TOOL_HOSTED) {
        (void)snprintf(what, sizeof what, "the tool '%.*s', which its own provider runs,",
                       (int)(tool->name.length < 60 ? tool->name.length : 60), tool->name.at);
        return dialect__cannot_send(writing->problem, "tools", what, WEIR_DIALECT_GEMINI);
    }
    weir_json_write_object(writer);
    dialect__member_wire(writer, "name", tool->name);
    dialect__member_wire(writer, "description", tool->description);
    if (tool->kind == WEIR_TOOL_CUSTOM) {
        weir_json_write_name(writer, "parametersJsonSchema");
        weir_json_write_raw(writer, WEIR_SPAN("{\"type\":\"object\",\"properties\":{\"" DIALECT__GEMINI_CUSTOM_MEMBER
                                              "\":{\"type\":\"string\"}},\"required\":"
                                              "[\"" DIALECT__GEMINI_CUSTOM_MEMBER "\"]}"));
    } else {
        dialect__member_json(writer, tool->has_openapi_schema ? "parameters" : "parametersJsonSchema",
                             tool->parameters);
    }
    weir_json_write_end(writer);
    return WEIR_OK;
}

static enum weir_status write_tools(struct writing *writing, const struct weir_prompt *prompt) {
    struct weir_json_writer *writer = writing->writer;
    enum weir_status status = WEIR_OK;
    if (prompt->tools == NULL)
        return WEIR_OK;
    weir_json_write_name(writer, "tools");
    weir_json_write_array(writer);
    weir_json_write_object(writer);
    weir_json_write_name(writer, "functionDeclarations");
    weir_json_write_array(writer);
    for (const struct weir_tool *tool = prompt->tools; status == WEIR_OK && tool != NULL; tool = tool->next)
        status = write_declaration(writing, tool);
    if (status != WEIR_OK)
        return status;
    weir_json_write_end(writer);
    weir_json_write_end(writer);
    weir_json_write_end(writer);
    return WEIR_OK;
}

static void write_choice(struct weir_json_writer *writer, const struct weir_prompt *prompt) {
    static const char *const modes[] = {
        [WEIR_CHOICE_AUTO] = "AUTO", [WEIR_CHOICE_NONE] = "NONE", [WEIR_CHOICE_ANY] = "ANY", [WEIR_CHOICE_ONE] = "ANY"};
    if (prompt->tool_choice == WEIR_CHOICE_UNSAID || prompt->tools == NULL)
        return;
    weir_json_write_name(writer, "toolConfig");
    weir_json_write_object(writer);
    weir_json_write_name(writer, "functionCallingConfig");
    weir_json_write_object(writer);
    weir_json_member_text(writer, "mode", modes[prompt->tool_choice]);
    if (prompt->chosen_tools != NULL && prompt->tool_choice >= WEIR_CHOICE_ANY) {
        weir_json_write_name(writer, "allowedFunctionNames");
        weir_json_write_array(writer);
        for (const struct weir_name *name = prompt->chosen_tools; name != NULL; name = name->next)
            dialect__write_wire(writer, name->text);
        weir_json_write_end(writer);
    }
    weir_json_write_end(writer);
    weir_json_write_end(writer);
}

/* --- generationConfig --- */

static const char *level_of(enum weir_effort effort, struct weir_span model) {
    bool is_light = memmem(model.at, model.length, "flash", 5) != NULL;
    switch (effort) {
    case WEIR_EFFORT_NONE: /* it cannot be turned off: the least there is */
    case WEIR_EFFORT_MINIMAL: return is_light ? "MINIMAL" : "LOW";
    case WEIR_EFFORT_LOW: return "LOW";
    case WEIR_EFFORT_MEDIUM: return "MEDIUM";
    case WEIR_EFFORT_HIGH:
    case WEIR_EFFORT_XHIGH:
    case WEIR_EFFORT_MAX: return "HIGH";
    case WEIR_EFFORT_UNSAID: break;
    }
    return NULL;
}

static void write_thinking(struct writing *writing, const struct weir_prompt *prompt) {
    struct weir_json_writer *writer = writing->writer;
    enum weir_effort effort = prompt->effort;
    int64_t budget = prompt->thinking_budget;
    if (effort == WEIR_EFFORT_UNSAID && budget == 0 && !prompt->shows_thinking)
        return;
    weir_json_write_name(writer, "thinkingConfig");
    weir_json_write_object(writer);
    if (prompt->shows_thinking)
        weir_json_member_bool(writer, "includeThoughts", true);
    if (has_levels(writing->exchange->back_model)) {
        if (effort == WEIR_EFFORT_UNSAID && budget > 0)
            effort = weir_effort_of_budget(budget);
        if (effort != WEIR_EFFORT_UNSAID)
            weir_json_member_text(writer, "thinkingLevel", level_of(effort, writing->exchange->back_model));
    } else if (budget != 0 || effort != WEIR_EFFORT_UNSAID) {
        weir_json_member_int64(writer, "thinkingBudget", budget != 0 ? budget : weir_effort_budget(effort));
    }
    weir_json_write_end(writer);
}

static enum weir_status write_stops(struct writing *writing, const struct weir_prompt *prompt) {
    enum { MOST_STOPS = 5 };
    size_t count = 0;
    if (prompt->stops == NULL)
        return WEIR_OK;
    weir_json_write_name(writing->writer, "stopSequences");
    weir_json_write_array(writing->writer);
    for (const struct weir_name *stop = prompt->stops; stop != NULL; stop = stop->next) {
        if (count++ == MOST_STOPS)
            return dialect__cannot_send(writing->problem, "stop", "a sixth sequence to stop at", WEIR_DIALECT_GEMINI);
        dialect__write_wire(writing->writer, stop->text);
    }
    weir_json_write_end(writing->writer);
    return WEIR_OK;
}

static enum weir_status write_config(struct writing *writing, const struct weir_prompt *prompt) {
    static const struct {
        const char *name;
        enum weir_parameter parameter;
    } rows[] = {{"temperature", WEIR_PARAMETER_TEMPERATURE},
                {"topP", WEIR_PARAMETER_TOP_P},
                {"topK", WEIR_PARAMETER_TOP_K},
                {"candidateCount", WEIR_PARAMETER_N},
                {"seed", WEIR_PARAMETER_SEED},
                {"frequencyPenalty", WEIR_PARAMETER_FREQUENCY_PENALTY},
                {"presencePenalty", WEIR_PARAMETER_PRESENCE_PENALTY},
                {"responseLogprobs", WEIR_PARAMETER_LOGPROBS},
                {"logprobs", WEIR_PARAMETER_TOP_LOGPROBS}};
    struct weir_json_writer *writer = writing->writer;
    int64_t limit = dialect__output_limit(writing->exchange, prompt);
    weir_json_write_name(writer, "generationConfig");
    weir_json_write_object(writer);
    if (limit > 0)
        weir_json_member_int64(writer, "maxOutputTokens", limit);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        dialect__member_json(writer, rows[i].name, prompt->values[rows[i].parameter]);
    enum weir_status status = write_stops(writing, prompt);
    if (status != WEIR_OK)
        return status;
    if (prompt->output_form != WEIR_FORM_TEXT)
        weir_json_member_text(writer, "responseMimeType", "application/json");
    if (prompt->output_form == WEIR_FORM_SCHEMA)
        dialect__member_json(writer, "responseJsonSchema", prompt->schema);
    write_thinking(writing, prompt);
    weir_json_write_end(writer);
    return WEIR_OK;
}

/* --- the whole --- */

bool dialect__gemini_is_custom(const struct weir_exchange *exchange, struct weir_span name) {
    for (const struct weir_tool *tool = exchange->back_memory; tool != NULL; tool = tool->next)
        if (tool->kind == WEIR_TOOL_CUSTOM && weir_span_equal(tool->name, name))
            return true;
    return false;
}

static enum weir_status write_members(struct writing *writing, const struct weir_prompt *prompt) {
    bool only_system = next_told(prompt->turns, false) == NULL; /* there must be contents */
    writing->exchange->back_memory = prompt->tools;
    enum weir_status status = write_contents(writing, prompt, only_system);
    if (status == WEIR_OK && !only_system)
        status = write_system(writing, prompt);
    if (status == WEIR_OK)
        status = write_tools(writing, prompt);
    return status;
}

enum weir_status dialect__gemini_write_prompt(struct weir_exchange *exchange, const struct weir_prompt *prompt,
                                              struct weir_back_target *target, struct weir_buffer *out,
                                              struct weir_call_problem *problem) {
    struct weir_json_writer writer;
    struct writing writing = {.exchange = exchange, .problem = problem, .writer = &writer};
    *target = (struct weir_back_target){.path = dialect__gemini_path(exchange, prompt->stream ? ":streamGenerateContent"
                                                                                              : ":generateContent"),
                                        .query = prompt->stream ? WEIR_SPAN("alt=sse") : WEIR_SPAN("")};
    if (target->path.length == 0)
        return WEIR_ENOMEM;
    weir_json_writer_init(&writer, out);
    weir_json_write_object(&writer);
    enum weir_status status = write_members(&writing, prompt);
    if (status != WEIR_OK)
        return status;
    write_choice(&writer, prompt);
    status = write_config(&writing, prompt);
    if (status != WEIR_OK)
        return status;
    weir_json_write_end(&writer);
    return weir_buffer_status(out);
}

enum weir_status dialect__gemini_write_count_call(struct weir_exchange *exchange, const struct weir_prompt *prompt,
                                                  struct weir_back_target *target, struct weir_buffer *out,
                                                  struct weir_call_problem *problem) {
    struct weir_json_writer writer;
    struct writing writing = {.exchange = exchange, .problem = problem, .writer = &writer};
    *target = (struct weir_back_target){.path = dialect__gemini_path(exchange, ":countTokens"), .query = WEIR_SPAN("")};
    if (target->path.length == 0)
        return WEIR_ENOMEM;
    weir_json_writer_init(&writer, out);
    weir_json_write_object(&writer);
    weir_json_write_name(&writer, "generateContentRequest");
    weir_json_write_object(&writer);
    weir_json_member_string(&writer, "model", dialect__gemini_model_name(exchange));
    enum weir_status status = write_members(&writing, prompt);
    if (status != WEIR_OK)
        return status;
    weir_json_write_end(&writer);
    weir_json_write_end(&writer);
    return weir_buffer_status(out);
}
