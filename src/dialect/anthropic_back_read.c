/* Providers that speak Anthropic's Messages API, for clients that do not: whole answers, errors, counts. Streams are in anthropic_back_stream.c. */
#include "dialect/anthropic_impl.h"

#define COUNT(list) (sizeof(list) / sizeof *(list))

static struct weir_span text_of(const struct weir_json_node *object, const char *name) {
    const struct weir_json_node *value = weir_json_get(object, name);
    return weir_json_is(value, WEIR_JSON_STRING) ? weir_json_inside(value) : WEIR_UNSAID;
}

enum weir_finish dialect__anthropic_finish(const struct weir_json_node *stop_reason) {
    static const char *const names[] = {"end_turn",   "stop_sequence", "max_tokens", "tool_use",
                                        "pause_turn", "refusal",       "compaction", "model_context_window_exceeded"};
    static const enum weir_finish finishes[] = {WEIR_FINISH_STOP,   WEIR_FINISH_STOP_SEQUENCE, WEIR_FINISH_LENGTH,
                                                WEIR_FINISH_TOOL,   WEIR_FINISH_PAUSE,         WEIR_FINISH_REFUSAL,
                                                WEIR_FINISH_LENGTH, WEIR_FINISH_CONTEXT,       WEIR_FINISH_STOP};
    return finishes[dialect__row_of(names, COUNT(names), stop_reason)];
}

const struct weir_tool *dialect__anthropic_find_tool(const struct weir_exchange *exchange, struct weir_span name) {
    const struct dialect__anthropic_memory *memory = exchange->back_memory;
    const struct weir_tool *tool = memory != NULL ? memory->tools : NULL;
    while (tool != NULL && !weir_span_equal(dialect__anthropic_name(exchange->scratch, tool->name), name))
        tool = tool->next;
    return tool;
}

/* --- blocks --- */

static struct weir_part *add_part(struct weir_exchange *exchange, struct weir_choice *choice,
                                  enum weir_part_kind kind) {
    struct weir_part *part = weir_part_add(exchange->arena,
                                           choice->last_part != NULL ? &choice->last_part->next : &choice->parts, kind);
    if (part != NULL)
        choice->last_part = part;
    return part;
}

static enum weir_status read_text(struct weir_exchange *exchange, const struct weir_json_node *block,
                                  struct weir_choice *choice) {
    const struct weir_json_node *citations = weir_json_get_value(block, "citations");
    struct weir_part *part = add_part(exchange, choice, WEIR_PART_TEXT);
    if (part == NULL)
        return WEIR_ENOMEM;
    part->text = text_of(block, "text");
    if (citations != NULL)
        part->citations = citations->text;
    return WEIR_OK;
}

static enum weir_status read_thinking(struct weir_exchange *exchange, const struct weir_json_node *block,
                                      struct weir_choice *choice) {
    bool is_redacted = weir_json_says(weir_json_get(block, "type"), "redacted_thinking");
    struct weir_span text = text_of(block, "thinking"), value = text_of(block, is_redacted ? "data" : "signature");
    struct weir_part *part = add_part(exchange, choice, WEIR_PART_THINKING);
    if (part == NULL)
        return WEIR_ENOMEM;
    part->text = text.length > 0 ? text : WEIR_UNSAID;
    if (value.length > 0)
        part->signature = (struct weir_signature){.value = value,
                                                  .from = WEIR_DIALECT_ANTHROPIC,
                                                  .is_redacted = is_redacted,
                                                  .id = WEIR_UNSAID};
    return WEIR_OK;
}

/* The text of a tool that takes free text, as a JSON string: what stands in the object, or the object itself. */
static enum weir_status read_free_text(struct weir_exchange *exchange, const struct weir_json_node *input,
                                       struct weir_span *arguments) {
    const struct weir_json_node *text = weir_json_get(input, "input");
    struct weir_buffer token;
    if (weir_json_is(text, WEIR_JSON_STRING)) {
        *arguments = text->text;
        return WEIR_OK;
    }
    weir_buffer_init(&token, 2 * input->text.length + 16);
    weir_buffer_append_byte(&token, '"');
    weir_append_json_as_wire(&token, input->text);
    weir_buffer_append_byte(&token, '"');
    enum weir_status status = weir_buffer_status(&token);
    if (status == WEIR_OK)
        status = weir_arena_dup(exchange->arena, weir_buffer_span(&token), arguments);
    weir_buffer_release(&token);
    return status;
}

static enum weir_status read_call(struct weir_exchange *exchange, const struct weir_json_node *block,
                                  struct weir_choice *choice) {
    const struct weir_json_node *input = weir_json_get_value(block, "input");
    struct weir_span name = text_of(block, "name");
    const struct weir_tool *tool = dialect__anthropic_find_tool(exchange, name);
    struct weir_part *part = add_part(exchange, choice, WEIR_PART_TOOL_CALL);
    if (part == NULL)
        return WEIR_ENOMEM;
    part->id = text_of(block, "id");
    part->name = tool != NULL ? tool->name : name;
    part->is_custom = tool != NULL && tool->kind == WEIR_TOOL_CUSTOM;
    part->arguments = input != NULL ? input->text : WEIR_SPAN("{}");
    if (part->is_custom && input != NULL)
        return read_free_text(exchange, input, &part->arguments);
    return WEIR_OK;
}

static enum weir_status read_block(struct weir_exchange *exchange, const struct weir_json_node *block,
                                   struct weir_choice *choice) {
    static const struct {
        const char *type;
        enum weir_status (*read)(struct weir_exchange *exchange, const struct weir_json_node *block,
                                 struct weir_choice *choice);
    } rows[] = {{"text", read_text},
                {"thinking", read_thinking},
                {"redacted_thinking", read_thinking},
                {"tool_use", read_call}};
    const struct weir_json_node *type = weir_json_get(block, "type");
    for (size_t i = 0; i < COUNT(rows); i++)
        if (weir_json_says(type, rows[i].type))
            return rows[i].read(exchange, block, choice);
    struct weir_part *part = add_part(exchange, choice, WEIR_PART_OTHER);
    if (part == NULL)
        return WEIR_ENOMEM;
    part->name = text_of(block, "type");
    part->json = block->text;
    return WEIR_OK;
}

enum weir_status dialect__anthropic_read_reply(struct weir_exchange *exchange, const struct weir_json_node *root,
                                               struct weir_reply *reply) {
    const struct weir_json_node *content = weir_json_get(root, "content"), *usage = weir_json_get(root, "usage"),
                                *reason = weir_json_get(root, "stop_reason");
    if (!weir_json_is(content, WEIR_JSON_ARRAY))
        return WEIR_EPROTO;
    struct weir_choice *choice = weir_reply_add_choice(exchange->arena, reply, 0);
    if (choice == NULL)
        return WEIR_ENOMEM;
    reply->id = text_of(root, "id");
    reply->model = text_of(root, "model");
    reply->service_tier = text_of(usage, "service_tier");
    reply->has_usage = weir_json_is(usage, WEIR_JSON_OBJECT) &&
                       dialect__read_anthropic_usage(usage->text, &reply->usage);
    enum weir_status status = WEIR_OK;
    for (const struct weir_json_node *block = content->first; status == WEIR_OK && block != NULL; block = block->next)
        status = read_block(exchange, block, choice);
    choice->finish = dialect__anthropic_finish(reason);
    choice->native_finish = text_of(root, "stop_reason");
    choice->stop_sequence = text_of(root, "stop_sequence");
    choice->finish_text = text_of(weir_json_get(root, "stop_details"), "explanation");
    return status;
}

/* --- errors, counts --- */

bool dialect__anthropic_read_error(struct weir_arena *arena, const struct weir_json_node *root,
                                   struct weir_provider_error *error) {
    static const char *const types[] = {"invalid_request_error", "authentication_error",
                                        "billing_error",         "permission_error",
                                        "not_found_error",       "request_too_large",
                                        "rate_limit_error",      "api_error",
                                        "timeout_error",         "overloaded_error"};
    static const unsigned statuses[] = {400, 401, 402, 403, 404, 413, 429, 500, 504, 529, 0};
    const struct weir_json_node *told = weir_json_get_value(root, "error");
    (void)arena;
    *error = (struct weir_provider_error){.status = 0};
    if (!weir_json_is(told, WEIR_JSON_OBJECT))
        return false;
    error->message = text_of(told, "message");
    error->type = text_of(told, "type");
    error->code = text_of(told, "code");
    error->status = statuses[dialect__row_of(types, COUNT(types), weir_json_get(told, "type"))];
    return true;
}

static enum weir_status read_count(struct weir_exchange *exchange, const struct weir_json_node *root, int64_t *tokens) {
    int64_t read = dialect__number(weir_json_get(root, "input_tokens"), -1);
    (void)exchange;
    if (read < 0)
        return WEIR_EPROTO;
    *tokens = read;
    return WEIR_OK;
}

const struct weir_back weir_back_anthropic = {
    .dialect = WEIR_DIALECT_ANTHROPIC,
    .framing = WEIR_FRAMING_EVENTS,
    .write_prompt = dialect__anthropic_write_prompt,
    .read_reply = dialect__anthropic_read_reply,
    .begin_stream = dialect__anthropic_begin_stream,
    .read_event = dialect__anthropic_read_event,
    .end_stream = dialect__anthropic_end_stream,
    .read_error = dialect__anthropic_read_error,
    .write_count_call = dialect__anthropic_write_count,
    .read_count = read_count,
};
