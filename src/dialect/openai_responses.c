/* The Responses API: what today's coding agents speak.
 *
 * Facts: every event says what it is in `type` and has a `sequence_number`; one of response.completed, response.incomplete, response.failed or error
 * ends a stream, and no [DONE] follows; the usage is in the response that the last event carries; what is stored can be asked for and built on
 * later, at the provider that has it alone.
 */
#include "dialect/codec.h"
#include "dialect/impl.h"

enum {
    CALL_MODEL,
    CALL_STREAM,
    CALL_MAX_TOKENS,
    CALL_PREVIOUS,
    CALL_BACKGROUND,
    CALL_CONVERSATION,
    CALL_PROMPT,
    CALL_STORE,
    CALL_INPUT,
    CALL_TOOLS,
    CALL_COUNT
};
static const struct weir_json_want call_wants[CALL_COUNT] = {
    [CALL_MODEL] = {"model"},
    [CALL_STREAM] = {"stream"},
    [CALL_MAX_TOKENS] = {"max_output_tokens"},
    [CALL_PREVIOUS] = {"previous_response_id"},
    [CALL_BACKGROUND] = {"background"},
    [CALL_CONVERSATION] = {"conversation"},
    [CALL_PROMPT] = {"prompt"},
    [CALL_STORE] = {"store"},
    [CALL_INPUT] = {"input"},
    [CALL_TOOLS] = {"tools"},
};

static enum weir_status read_call(struct weir_arena *arena, struct weir_span body, struct weir_call *call,
                                  struct weir_call_problem *problem) {
    struct weir_json_found found[CALL_COUNT];
    if (dialect__scan_call(body, call_wants, CALL_COUNT, found, call, problem) != WEIR_OK ||
        dialect__read_model(arena, &found[CALL_MODEL], NULL, call, problem) != WEIR_OK ||
        dialect__read_flag(&found[CALL_STREAM], "stream", &call->stream, problem) != WEIR_OK ||
        dialect__read_flag(&found[CALL_BACKGROUND], "background", &call->background, problem) != WEIR_OK ||
        dialect__read_count(&found[CALL_MAX_TOKENS], "max_output_tokens", 0, &call->max_output_tokens, problem) !=
            WEIR_OK ||
        dialect__read_text(arena, &found[CALL_PREVIOUS], "previous_response_id", &call->issued_id, problem) != WEIR_OK)
        return WEIR_EINVAL;
    call->makes_tokens = true;
    call->is_kept = found[CALL_STORE].kind != WEIR_JSON_FALSE;
    call->issued_field = "previous_response_id";
    call->input_is_elsewhere = call->issued_id.length > 0 || !dialect__is_absent(&found[CALL_CONVERSATION]) ||
                               !dialect__is_absent(&found[CALL_PROMPT]);
    call->output_limit_name = "max_output_tokens";
    call->output_limits[0] = found[CALL_MAX_TOKENS];
    dialect__bound_messages(&found[CALL_INPUT], true, call);
    dialect__bound_tools(&found[CALL_TOOLS], call);
    return WEIR_OK;
}

static enum weir_status edit_call(struct weir_arena *arena, const struct weir_call *call,
                                  struct weir_span upstream_model, struct weir_json_splice *splice) {
    enum weir_status status = dialect__edit_model(arena, call, upstream_model, splice);
    return status == WEIR_OK ? dialect__edit_output_limit(arena, call, splice) : status;
}

static enum weir_status read_answer(struct weir_span body, struct weir_answer *answer) {
    struct weir_json_found output;
    enum weir_status status = dialect__scan_answer(body, "output", &output, answer);
    if (status == WEIR_OK)
        answer->content_bytes = (int64_t)(output.kind == WEIR_JSON_ARRAY ? output.value.length : body.length);
    return status;
}

static const struct {
    const char *type;
    enum weir_event_kind kind;
    bool failed;
} terminal[] = {
    {"response.completed", WEIR_EVENT_LAST, false},
    {"response.incomplete", WEIR_EVENT_LAST, false},
    {"response.cancelled", WEIR_EVENT_LAST, false},
    {"response.failed", WEIR_EVENT_LAST, true},
    {"error", WEIR_EVENT_ERROR, false},
};

static void read_event(const struct weir_sse_event *sse, struct weir_event *event) {
    enum { TYPE, SEQUENCE, ID, USAGE, COUNT };
    static const struct weir_json_want wants[COUNT] = {
        [TYPE] = {"type"}, [SEQUENCE] = {"sequence_number"}, [ID] = {"response.id"}, [USAGE] = {"response.usage"}};
    struct weir_json_found found[COUNT], root;
    struct weir_span type;
    *event = (struct weir_event){.kind = WEIR_EVENT_OTHER};
    if (sse->data.length == 0 || weir_span_equal(sse->data, WEIR_SPAN("[DONE]"))) /* some servers send that too */
        return;
    if (weir_json_scan(sse->data, wants, COUNT, found, &root, NULL) != WEIR_OK) {
        event->kind = WEIR_EVENT_DAMAGED;
        return;
    }
    dialect__begin_answer(sse->data, &root, &found[ID], &found[USAGE], &event->answer);
    if (found[SEQUENCE].kind == WEIR_JSON_NUMBER)
        if (weir_json_int64(found[SEQUENCE].value, &event->sequence) != WEIR_OK)
            event->sequence = 0;
    if (found[TYPE].kind != WEIR_JSON_STRING || !weir_json_plain_string(found[TYPE].value, &type))
        return;
    event->kind = WEIR_EVENT_CONTENT;
    event->has_text = weir_span_ends_with(type, WEIR_SPAN(".delta"));
    if (event->has_text)
        return;
    for (size_t i = 0; i < sizeof terminal / sizeof *terminal; i++) {
        if (!weir_span_equal(type, weir_span_of_string(terminal[i].type)))
            continue;
        event->kind = terminal[i].kind;
        event->failed = terminal[i].failed;
    }
}

/* A client that waits for one of the last events gets one: silence would be a success to some and a reason to try for ever to others. The response in it has every
 * member that the vendor's types require; what was asked for is not repeated. */
static void write_error_event(struct weir_buffer *out, const struct weir_error_answer *error) {
    struct weir_json_writer writer;
    weir_buffer_append(out, WEIR_SPAN("event: response.failed\ndata: "));
    weir_json_writer_init(&writer, out);
    weir_json_write_object(&writer);
    weir_json_member_text(&writer, "type", "response.failed");
    weir_json_member_int64(&writer, "sequence_number", error->sequence);
    weir_json_write_name(&writer, "response");
    weir_json_write_object(&writer);
    weir_json_member_string(&writer, "id", error->answer_id);
    weir_json_member_text(&writer, "object", "response");
    weir_json_member_int64(&writer, "created_at", error->asked_utc_us / 1000000);
    weir_json_member_string(&writer, "model", error->asked_model);
    weir_json_member_text(&writer, "status", "failed");
    weir_json_write_name(&writer, "error");
    weir_json_write_object(&writer);
    weir_json_member_text(&writer, "code", "server_error");
    dialect__write_message(&writer, "message", error);
    weir_json_write_end(&writer);
    weir_json_write_name(&writer, "output");
    weir_json_write_array(&writer);
    weir_json_write_end(&writer);
    weir_json_write_name(&writer, "tools");
    weir_json_write_array(&writer);
    weir_json_write_end(&writer);
    weir_json_member_text(&writer, "tool_choice", "auto");
    weir_json_member_bool(&writer, "parallel_tool_calls", true);
    weir_json_write_end(&writer);
    dialect__write_code(&writer, error);
    weir_json_member_string(&writer, "request_id", error->request_id);
    dialect__write_details(&writer, error);
    weir_json_write_end(&writer);
    weir_buffer_append(out, WEIR_SPAN("\n\n"));
}

/* What is asked is read alike; only the answer itself can come from a provider of another dialect. */
#define RESPONSES_FORMAT(format_name, format_task, format_front)                                                    \
    {                                                                                                               \
        .name = format_name, .flags = WEIR_FORMAT_TOKENS, .dialect = WEIR_DIALECT_RESPONSES, .task = format_task,   \
        .front = format_front, .read_call = read_call, .edit_call = edit_call, .read_answer = read_answer,          \
        .find_usage = dialect__find_usage, .edit_answer = dialect__edit_answer, .read_event = read_event,           \
        .mark_event = dialect__mark_event, .done = {.at = "", .length = 0}, .write_error_event = write_error_event, \
    }

const struct weir_format weir_format_responses = RESPONSES_FORMAT("responses", WEIR_TASK_GENERATE,
                                                                  &weir_front_responses);
const struct weir_format weir_format_response_tokens = RESPONSES_FORMAT("responses.input_tokens", WEIR_TASK_COUNT,
                                                                        &weir_front_responses);
const struct weir_format weir_format_response_compaction = RESPONSES_FORMAT("responses.compact", WEIR_TASK_NONE, NULL);
