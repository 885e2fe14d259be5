/* Anthropic's Messages API as it goes through, and its counting of tokens.
 *
 * Facts: `max_tokens` is required; input_tokens does not count what came from a cache or went into one; a stream's events have names, its first has a
 * usage with the input, its last but one (message_delta) the whole usage, cumulative, where older servers leave out the input; message_stop ends it and no
 * [DONE] follows; thinking is part of the output. Both versions of the API (2023-06-01, 2026-10-21) go through untouched: they differ in what is accepted.
 */
#include "base/arithmetic.h"
#include "dialect/anthropic_impl.h"

/* --- requests --- */

enum {
    CALL_MODEL,
    CALL_MESSAGES,
    CALL_STREAM,
    CALL_MAX_TOKENS,
    CALL_SYSTEM,
    CALL_TOOLS,
    CALL_MCP_SERVERS,
    CALL_CONTAINER,
    CALL_CONTEXT,
    CALL_COUNT
};
static const struct weir_json_want call_wants[CALL_COUNT] = {
    [CALL_MODEL] = {"model"},
    [CALL_MESSAGES] = {"messages"},
    [CALL_STREAM] = {"stream"},
    [CALL_MAX_TOKENS] = {"max_tokens"},
    [CALL_SYSTEM] = {"system"},
    [CALL_TOOLS] = {"tools"},
    [CALL_MCP_SERVERS] = {"mcp_servers"},
    [CALL_CONTAINER] = {"container"},
    [CALL_CONTEXT] = {"context_management"},
};

static enum weir_status read_common(struct weir_arena *arena, struct weir_span body, struct weir_json_found *found,
                                    struct weir_call *call, struct weir_call_problem *problem) {
    const struct weir_json_found *messages = &found[CALL_MESSAGES];
    if (dialect__scan_call(body, call_wants, CALL_COUNT, found, call, problem) != WEIR_OK ||
        dialect__read_model(arena, &found[CALL_MODEL], NULL, call, problem) != WEIR_OK ||
        dialect__require(messages, "messages", "an array of messages", problem) != WEIR_OK)
        return WEIR_EINVAL;
    if (messages->kind != WEIR_JSON_ARRAY)
        return dialect__field_problem(problem, WEIR_REASON_FIELD_INVALID, "messages", "an array of messages", messages);
    return WEIR_OK;
}

/* Summaries that the provider makes when a conversation grows too long are calls of their own, over all of it. An escaped name counts as one, too. */
static bool may_compact(const struct weir_json_found *context) {
    struct weir_span text = context->value;
    return context->kind == WEIR_JSON_OBJECT &&
           (memmem(text.at, text.length, "compact", 7) != NULL || memchr(text.at, '\\', text.length) != NULL);
}

static enum weir_status read_call(struct weir_arena *arena, struct weir_span body, struct weir_call *call,
                                  struct weir_call_problem *problem) {
    struct weir_json_found found[CALL_COUNT];
    const struct weir_json_found *limit = &found[CALL_MAX_TOKENS];
    if (read_common(arena, body, found, call, problem) != WEIR_OK ||
        dialect__read_flag(&found[CALL_STREAM], "stream", &call->stream, problem) != WEIR_OK ||
        dialect__require(limit, "max_tokens", "a whole number, 0 or more", problem) != WEIR_OK ||
        dialect__read_count(limit, "max_tokens", 0, &call->max_output_tokens, problem) != WEIR_OK)
        return WEIR_EINVAL;
    call->stream_member = found[CALL_STREAM];
    call->wants_usage = true; /* a stream always tells it */
    /* With 0 the prompt goes into the provider's cache and nothing is made. */
    call->makes_tokens = call->max_output_tokens > 0;
    call->output_limit_name = call->makes_tokens ? "max_tokens" : NULL;
    call->output_limits[0] = *limit;
    call->input_is_elsewhere = found[CALL_MCP_SERVERS].elements > 0 || !dialect__is_absent(&found[CALL_CONTAINER]) ||
                               may_compact(&found[CALL_CONTEXT]);
    dialect__bound_anthropic_messages(&found[CALL_MESSAGES], call);
    dialect__bound_anthropic_tools(&found[CALL_TOOLS], call);
    return WEIR_OK;
}

static enum weir_status edit_call(struct weir_arena *arena, const struct weir_call *call,
                                  struct weir_span upstream_model, struct weir_json_splice *splice) {
    enum weir_status status = dialect__edit_model(arena, call, upstream_model, splice);
    return status == WEIR_OK ? dialect__edit_output_limit(arena, call, splice) : status;
}

static enum weir_status read_count_call(struct weir_arena *arena, struct weir_span body, struct weir_call *call,
                                        struct weir_call_problem *problem) {
    struct weir_json_found found[CALL_COUNT];
    return read_common(arena, body, found, call, problem);
}

/* --- usage --- */

enum { INPUT, READ, WRITTEN, WRITTEN_5M, WRITTEN_1H, OUTPUT, THINKING, ITERATIONS, FIGURES };
static const struct weir_json_want usage_wants[FIGURES] = {
    [INPUT] = {"input_tokens"},
    [READ] = {"cache_read_input_tokens"},
    [WRITTEN] = {"cache_creation_input_tokens"},
    [WRITTEN_5M] = {"cache_creation.ephemeral_5m_input_tokens"},
    [WRITTEN_1H] = {"cache_creation.ephemeral_1h_input_tokens"},
    [OUTPUT] = {"output_tokens"},
    [THINKING] = {"output_tokens_details.thinking_tokens"},
    [ITERATIONS] = {"iterations"},
};

/* False: it is not said, or no count. */
static bool read_figure(const struct weir_json_found *found, int64_t *value) {
    *value = 0;
    if (found->kind == WEIR_JSON_NUMBER && weir_json_int64(found->value, value) == WEIR_OK && *value >= 0)
        return true;
    *value = 0;
    return false;
}

/* Adds one count to *usage, iterations aside. False: it says nothing, or more than can be. */
static bool add_figures(const struct weir_json_found *found, struct weir_usage *usage) {
    int64_t value[FIGURES] = {0};
    bool said[FIGURES] = {false};
    for (size_t i = 0; i < ITERATIONS; i++)
        said[i] = read_figure(&found[i], &value[i]);
    if (!said[WRITTEN] && !weir_add_int64(value[WRITTEN_5M], value[WRITTEN_1H], &value[WRITTEN]))
        return false;
    if (value[WRITTEN_1H] > value[WRITTEN])
        value[WRITTEN_1H] = value[WRITTEN];
    return (said[INPUT] || said[OUTPUT]) && weir_add_int64(usage->input, value[INPUT], &usage->input) &&
           weir_add_int64(usage->input, value[READ], &usage->input) &&
           weir_add_int64(usage->input, value[WRITTEN], &usage->input) &&
           weir_add_int64(usage->cached, value[READ], &usage->cached) &&
           weir_add_int64(usage->cache_write, value[WRITTEN], &usage->cache_write) &&
           weir_add_int64(usage->cache_write_long, value[WRITTEN_1H], &usage->cache_write_long) &&
           weir_add_int64(usage->output, value[OUTPUT], &usage->output) &&
           weir_add_int64(usage->reasoning, value[THINKING], &usage->reasoning);
}

/* What a call's rounds (of tools that the provider runs, of summaries that it makes) have used together; the figures beside them leave some out. */
static bool add_iterations(const struct weir_json_found *iterations, struct weir_usage *usage) {
    struct weir_json_found element, found[FIGURES];
    struct weir_span name;
    size_t cursor = 0;
    while (weir_json_next(iterations->value, &cursor, &name, &element) == WEIR_OK)
        if (element.kind != WEIR_JSON_OBJECT ||
            weir_json_scan(element.value, usage_wants, FIGURES, found, NULL, NULL) != WEIR_OK ||
            !add_figures(found, usage))
            return false;
    return true;
}

bool dialect__read_anthropic_usage(struct weir_span object, struct weir_usage *usage) {
    struct weir_json_found found[FIGURES];
    struct weir_usage rounds = {.input = 0}, plain = {.input = 0};
    *usage = plain;
    if (weir_json_scan(object, usage_wants, FIGURES, found, NULL, NULL) != WEIR_OK || !add_figures(found, &plain))
        return false;
    if (found[ITERATIONS].kind == WEIR_JSON_ARRAY && found[ITERATIONS].elements > 0 &&
        add_iterations(&found[ITERATIONS], &rounds))
        weir_usage_keep_most(&plain, &rounds);
    *usage = plain;
    return true;
}

/* --- answers --- */

static void begin_answer(struct weir_span body, const struct weir_json_found *root, const struct weir_json_found *id,
                         const struct weir_json_found *usage, struct weir_answer *answer) {
    static const struct weir_json_found none = {.kind = WEIR_JSON_NONE};
    dialect__begin_answer(body, root, id, &none, answer);
    if (!answer->is_object)
        return;
    answer->usage_member = *usage;
    if (usage->kind == WEIR_JSON_OBJECT)
        answer->has_usage = dialect__read_anthropic_usage(usage->value, &answer->usage);
}

static enum weir_status read_answer(struct weir_span body, struct weir_answer *answer) {
    enum { ID, USAGE, CONTENT, COUNT };
    static const struct weir_json_want wants[COUNT] = {[ID] = {"id"}, [USAGE] = {"usage"}, [CONTENT] = {"content"}};
    struct weir_json_found found[COUNT], root;
    enum weir_status status = weir_json_scan(body, wants, COUNT, found, &root, NULL);
    if (status != WEIR_OK)
        return status;
    begin_answer(body, &root, &found[ID], &found[USAGE], answer);
    answer->content_bytes = (int64_t)(found[CONTENT].kind == WEIR_JSON_ARRAY ? found[CONTENT].value.length
                                                                             : body.length);
    return WEIR_OK;
}

static bool find_usage(struct weir_span piece, struct weir_answer *answer) {
    return dialect__find_usage_by(piece, "\"usage\"", dialect__read_anthropic_usage, answer);
}

static enum weir_status edit_answer(struct weir_arena *arena, const struct weir_answer *answer,
                                    const struct weir_usage *estimated, int64_t used_cu_milli,
                                    struct weir_json_splice *splice) {
    const struct weir_json_found *usage = &answer->usage_member;
    if (!answer->is_object || usage->kind == WEIR_JSON_OBJECT)
        return dialect__edit_answer(arena, answer, estimated, used_cu_milli, splice);
    char *text =
        weir_arena_format(arena,
                          "%s{\"input_tokens\":%lld,\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":0,"
                          "\"output_tokens\":%lld,\"estimated\":true,\"usedCUMilli\":%lld}",
                          usage->kind != WEIR_JSON_NONE ? ""
                          : answer->root_is_empty       ? "\"usage\":"
                                                        : ",\"usage\":",
                          (long long)estimated->input, (long long)estimated->output, (long long)used_cu_milli);
    if (text == NULL)
        return WEIR_ENOMEM;
    if (usage->kind != WEIR_JSON_NONE)
        return weir_json_splice_add(splice, usage->value_at, usage->value.length, weir_span_of_string(text));
    return weir_json_splice_add(splice, answer->root_end, 0, weir_span_of_string(text));
}

/* --- events --- */

static void read_event(const struct weir_sse_event *sse, struct weir_event *event) {
    enum { TYPE, ID, BEGUN, USAGE, REASON, PIECE, ERROR, COUNT };
    static const struct weir_json_want wants[COUNT] = {
        [TYPE] = {"type"},
        [ID] = {"message.id"},
        [BEGUN] = {"message.usage"},
        [USAGE] = {"usage"},
        [REASON] = {"delta.stop_reason"},
        [PIECE] = {"delta.type"},
        [ERROR] = {"error"},
    };
    struct weir_json_found found[COUNT], root;
    *event = (struct weir_event){.kind = WEIR_EVENT_OTHER};
    if (sse->data.length == 0)
        return;
    if (weir_json_scan(sse->data, wants, COUNT, found, &root, NULL) != WEIR_OK) {
        event->kind = WEIR_EVENT_DAMAGED;
        return;
    }
    const struct weir_json_found *type = &found[TYPE];
    event->usage_is_begun = dialect__is(type, "message_start");
    begin_answer(sse->data, &root, &found[ID], &found[event->usage_is_begun ? BEGUN : USAGE], &event->answer);
    if (dialect__is(type, "content_block_delta")) {
        event->kind = WEIR_EVENT_CONTENT;
        event->has_text = dialect__is(&found[PIECE], "text_delta") || dialect__is(&found[PIECE], "thinking_delta") ||
                          dialect__is(&found[PIECE], "input_json_delta");
    } else if (dialect__is(type, "message_delta")) {
        event->kind = found[REASON].kind == WEIR_JSON_STRING ? WEIR_EVENT_FINISH : WEIR_EVENT_OTHER;
    } else if (dialect__is(type, "message_stop")) {
        event->kind = WEIR_EVENT_LAST;
    } else if (dialect__is(type, "error") || !dialect__is_absent(&found[ERROR])) {
        event->kind = WEIR_EVENT_ERROR;
    }
}

/* --- errors --- */

static void write_error_event(struct weir_buffer *out, const struct weir_error_answer *error) {
    weir_buffer_append(out, WEIR_SPAN("event: error\ndata: "));
    dialect__write_anthropic_error(out, error);
    weir_buffer_append(out, WEIR_SPAN("\n\n"));
}

const struct weir_format weir_format_messages = {
    .name = "messages",
    .flags = WEIR_FORMAT_TOKENS,
    .dialect = WEIR_DIALECT_ANTHROPIC,
    .task = WEIR_TASK_GENERATE,
    .front = &weir_front_messages,
    .read_call = read_call,
    .edit_call = edit_call,
    .read_answer = read_answer,
    .find_usage = find_usage,
    .edit_answer = edit_answer,
    .read_event = read_event,
    .mark_event = dialect__mark_event,
    .done = {.at = "", .length = 0},
    .write_error_event = write_error_event,
};

const struct weir_format weir_format_count_tokens = {
    .name = "messages.count_tokens",
    .dialect = WEIR_DIALECT_ANTHROPIC,
    .task = WEIR_TASK_COUNT,
    .front = &weir_front_messages,
    .read_call = read_count_call,
    .edit_call = dialect__edit_model,
    .read_answer = dialect__read_answer,
    .find_usage = dialect__find_usage,
    .edit_answer = dialect__edit_answer,
};
