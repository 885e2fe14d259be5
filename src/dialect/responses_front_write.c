/* Clients that speak the Responses API, to providers that do not: whole answers, and what streams share with them. */
#include "dialect/responses_codec.h"

bool dialect__responses_is_incomplete(enum weir_finish finish) {
    return finish == WEIR_FINISH_LENGTH || finish == WEIR_FINISH_CONTEXT || finish == WEIR_FINISH_FILTER;
}

void dialect__responses_write_usage(struct weir_json_writer *writer, const struct weir_usage *usage, bool estimated,
                                    int64_t used_cu_milli) {
    const struct weir_usage told = dialect__told_usage(usage);
    weir_json_write_object(writer);
    weir_json_member_int64(writer, "input_tokens", told.input);
    weir_json_write_name(writer, "input_tokens_details");
    weir_json_write_object(writer);
    weir_json_member_int64(writer, "cached_tokens", told.cached);
    weir_json_member_int64(writer, "cache_write_tokens", told.cache_write);
    weir_json_write_end(writer);
    weir_json_member_int64(writer, "output_tokens", told.output);
    weir_json_write_name(writer, "output_tokens_details");
    weir_json_write_object(writer);
    weir_json_member_int64(writer, "reasoning_tokens", told.reasoning);
    weir_json_write_end(writer);
    weir_json_member_int64(writer, "total_tokens", dialect__total_tokens(&told));
    if (estimated)
        weir_json_member_bool(writer, "estimated", true);
    if (used_cu_milli >= 0)
        weir_json_member_int64(writer, "usedCUMilli", used_cu_milli);
    weir_json_write_end(writer);
}

/* --- the response around its output --- */

void dialect__responses_begin(struct weir_json_writer *writer, const struct weir_exchange *exchange,
                              enum weir_finish finish, bool is_over) {
    bool is_incomplete = is_over && dialect__responses_is_incomplete(finish);
    weir_json_write_object(writer);
    dialect__member_id(writer, "id", "resp_", exchange);
    weir_json_member_text(writer, "object", "response");
    weir_json_member_int64(writer, "created_at", exchange->created_utc_us / 1000000);
    weir_json_member_text(writer, "status", is_incomplete ? "incomplete" : is_over ? "completed" : "in_progress");
    weir_json_member_bool(writer, "background", false);
    weir_json_member_text(writer, "error", NULL);
    weir_json_write_name(writer, "incomplete_details");
    if (is_incomplete) {
        weir_json_write_object(writer);
        weir_json_member_text(writer, "reason", finish == WEIR_FINISH_FILTER ? "content_filter" : "max_output_tokens");
        weir_json_write_end(writer);
    } else {
        weir_json_write_null(writer);
    }
    weir_json_member_string(writer, "model", exchange->front_model);
    weir_json_write_name(writer, "output");
    weir_json_write_array(writer);
}

static void write_value(struct weir_json_writer *writer, const char *name, const struct weir_prompt *prompt,
                        enum weir_parameter parameter, const char *otherwise) {
    struct weir_span value = prompt != NULL ? prompt->values[parameter] : WEIR_UNSAID;
    dialect__member_json(writer, name, weir_is_said(value) ? value : weir_span_of_string(otherwise));
}

/* What the client asked for is told again, as the vendor does. */
void dialect__responses_end(struct weir_json_writer *writer, const struct weir_exchange *exchange,
                            const struct weir_usage *usage, bool estimated, int64_t used_cu_milli) {
    const struct dialect__responses_memory *memory = exchange->front_memory;
    const struct weir_prompt *prompt = memory != NULL ? memory->prompt : NULL;
    weir_json_write_end(writer);
    write_value(writer, "instructions", prompt, WEIR_PARAMETER_SYSTEM, "null");
    write_value(writer, "max_output_tokens", prompt, WEIR_PARAMETER_MAX_OUTPUT_TOKENS, "null");
    write_value(writer, "metadata", prompt, WEIR_PARAMETER_METADATA, "{}");
    weir_json_member_bool(writer, "parallel_tool_calls", prompt == NULL || !prompt->one_tool_at_a_time);
    weir_json_member_text(writer, "previous_response_id", NULL);
    weir_json_write_name(writer, "reasoning");
    weir_json_write_object(writer);
    write_value(writer, "effort", prompt, WEIR_PARAMETER_REASONING, "null");
    write_value(writer, "summary", prompt, WEIR_PARAMETER_REASONING_SUMMARY, "null");
    weir_json_write_end(writer);
    weir_json_member_text(writer, "service_tier", "default");
    weir_json_member_bool(writer, "store", false);
    write_value(writer, "temperature", prompt, WEIR_PARAMETER_TEMPERATURE, "1.0");
    weir_json_write_name(writer, "text");
    weir_json_write_object(writer);
    write_value(writer, "format", prompt, WEIR_PARAMETER_RESPONSE_FORMAT, "{\"type\":\"text\"}");
    write_value(writer, "verbosity", prompt, WEIR_PARAMETER_VERBOSITY, "\"medium\"");
    weir_json_write_end(writer);
    write_value(writer, "tool_choice", prompt, WEIR_PARAMETER_TOOL_CHOICE, "\"auto\"");
    write_value(writer, "tools", prompt, WEIR_PARAMETER_TOOLS, "[]");
    write_value(writer, "top_logprobs", prompt, WEIR_PARAMETER_TOP_LOGPROBS, "0");
    write_value(writer, "top_p", prompt, WEIR_PARAMETER_TOP_P, "1.0");
    weir_json_member_text(writer, "truncation", "disabled");
    weir_json_write_name(writer, "usage");
    if (usage != NULL)
        dialect__responses_write_usage(writer, usage, estimated, used_cu_milli);
    else
        weir_json_write_null(writer);
    write_value(writer, "user", prompt, WEIR_PARAMETER_USER, "null");
}

/* --- items of the output --- */

void dialect__responses_member_item_id(struct weir_json_writer *writer, const char *name, const char *prefix,
                                       const struct weir_exchange *exchange, size_t index) {
    weir_json_write_name(writer, name);
    weir_json_write_raw(writer, WEIR_SPAN("\""));
    weir_buffer_append(writer->out, weir_span_of_string(prefix));
    weir_buffer_append(writer->out, exchange->seed);
    weir_buffer_append_byte(writer->out, '_');
    weir_buffer_append_uint64(writer->out, index);
    weir_buffer_append_byte(writer->out, '"');
}

void dialect__responses_write_thinking(struct weir_json_writer *writer, struct weir_exchange *exchange, size_t index,
                                       struct weir_span text, const struct weir_signature *signature) {
    weir_json_write_object(writer);
    dialect__responses_member_item_id(writer, "id", "rs_", exchange, index);
    weir_json_member_text(writer, "type", "reasoning");
    weir_json_write_name(writer, "summary");
    weir_json_write_array(writer);
    if (weir_is_said(text) && text.length > 0) {
        weir_json_write_object(writer);
        weir_json_member_text(writer, "type", "summary_text");
        dialect__member_wire(writer, "text", text);
        weir_json_write_end(writer);
    }
    weir_json_write_end(writer);
    if (signature != NULL && weir_is_said(signature->value))
        dialect__member_wire(writer, "encrypted_content", weir_signature_seal(exchange->arena, signature, false));
    weir_json_write_end(writer);
}

void dialect__responses_write_call(struct weir_json_writer *writer, struct weir_exchange *exchange, size_t index,
                                   struct weir_span id, struct weir_span name, struct weir_span arguments,
                                   const struct weir_signature *signature, bool is_over) {
    const struct dialect__responses_tool *tool = dialect__responses_tool(exchange, name);
    bool is_custom = tool != NULL && tool->is_custom;
    weir_json_write_object(writer);
    dialect__responses_member_item_id(writer, "id", is_custom ? "ctc_" : "fc_", exchange, index);
    weir_json_member_text(writer, "type", is_custom ? "custom_tool_call" : "function_call");
    weir_json_member_text(writer, "status", is_over ? "completed" : "in_progress");
    dialect__member_wire(writer, "call_id", dialect__seal_id(exchange, id, signature));
    dialect__member_wire(writer, "name", tool != NULL ? tool->name : name);
    if (tool != NULL)
        dialect__member_wire(writer, "namespace", tool->space);
    if (is_custom)
        dialect__member_wire(writer, "input", dialect__responses_free_text(exchange, arguments));
    else if (weir_is_said(arguments))
        dialect__member_arguments(writer, "arguments", arguments);
    else
        weir_json_member_text(writer, "arguments", "");
    weir_json_write_end(writer);
}

void dialect__responses_begin_message(struct weir_json_writer *writer, const struct weir_exchange *exchange,
                                      size_t index, bool is_over) {
    weir_json_write_object(writer);
    dialect__responses_member_item_id(writer, "id", "msg_", exchange, index);
    weir_json_member_text(writer, "type", "message");
    weir_json_member_text(writer, "status", is_over ? "completed" : "in_progress");
    weir_json_member_text(writer, "role", "assistant");
    weir_json_write_name(writer, "content");
    weir_json_write_array(writer);
}

void dialect__responses_write_words(struct weir_json_writer *writer, bool is_refusal, struct weir_span text,
                                    struct weir_span logprobs) {
    weir_json_write_object(writer);
    weir_json_member_text(writer, "type", is_refusal ? "refusal" : "output_text");
    dialect__member_wire(writer, is_refusal ? "refusal" : "text", weir_is_said(text) ? text : WEIR_SPAN(""));
    if (!is_refusal) {
        dialect__member_json(writer, "annotations", WEIR_SPAN("[]"));
        dialect__member_json(writer, "logprobs", logprobs);
    }
    weir_json_write_end(writer);
}

static bool is_words(const struct weir_part *part) {
    return part != NULL && (part->kind == WEIR_PART_TEXT || part->kind == WEIR_PART_REFUSAL);
}

/* The content of a chat completion's logprobs, which is how a text has them here. */
static struct weir_span content_of(struct weir_arena *arena, struct weir_span logprobs) {
    struct weir_json_node *root;
    if (!weir_is_said(logprobs) || weir_json_tree_read(arena, logprobs, &root, NULL) != WEIR_OK)
        return WEIR_UNSAID;
    const struct weir_json_node *content = weir_json_get(root, "content");
    return weir_json_is(content, WEIR_JSON_ARRAY) ? content->text : WEIR_UNSAID;
}

static void write_output(struct weir_json_writer *writer, struct weir_exchange *exchange,
                         const struct weir_choice *choice) {
    struct weir_span logprobs = content_of(exchange->arena, choice->logprobs);
    size_t index = 0;
    for (const struct weir_part *part = choice->parts; part != NULL; part = part->next) {
        if (part->kind == WEIR_PART_THINKING) {
            dialect__responses_write_thinking(writer, exchange, index++, part->text, &part->signature);
        } else if (part->kind == WEIR_PART_TOOL_CALL) {
            dialect__responses_write_call(writer, exchange, index++, part->id, part->name,
                                          weir_is_said(part->arguments) ? part->arguments : WEIR_SPAN("{}"),
                                          &part->signature, true);
        } else if (is_words(part)) {
            dialect__responses_begin_message(writer, exchange, index++, true);
            dialect__responses_write_words(writer, part->kind == WEIR_PART_REFUSAL, part->text, logprobs);
            for (; is_words(part->next); part = part->next)
                dialect__responses_write_words(writer, part->next->kind == WEIR_PART_REFUSAL, part->next->text,
                                               WEIR_UNSAID);
            weir_json_write_end(writer);
            weir_json_write_end(writer);
            logprobs = WEIR_UNSAID;
        }
    }
}

static void write_reply(struct weir_exchange *exchange, const struct weir_reply *reply, bool estimated,
                        int64_t used_cu_milli, struct weir_buffer *out) {
    struct weir_json_writer writer;
    const struct weir_choice *choice = reply->choices;
    weir_json_writer_init(&writer, out);
    dialect__responses_begin(&writer, exchange, choice != NULL ? choice->finish : WEIR_FINISH_STOP, true);
    if (choice != NULL)
        write_output(&writer, exchange, choice);
    dialect__responses_end(&writer, exchange, &reply->usage, estimated, used_cu_milli);
    weir_json_write_end(&writer);
}

static void write_count(struct weir_exchange *exchange, int64_t tokens, int64_t used_cu_milli,
                        struct weir_buffer *out) {
    struct weir_json_writer writer;
    (void)exchange;
    (void)used_cu_milli;
    weir_json_writer_init(&writer, out);
    weir_json_write_object(&writer);
    weir_json_member_text(&writer, "object", "response.input_tokens");
    weir_json_member_int64(&writer, "input_tokens", tokens);
    weir_json_write_end(&writer);
}

const struct weir_front weir_front_responses = {
    .read_prompt = dialect__responses_read_prompt,
    .write_reply = write_reply,
    .begin_stream = dialect__responses_begin_front_stream,
    .write_delta = dialect__responses_write_delta,
    .end_stream = dialect__responses_end_front_stream,
    .framing = WEIR_FRAMING_EVENTS,
    .write_count = write_count,
};
