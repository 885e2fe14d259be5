/* Chat completions, and the older completions, which differ in what is asked and in where the text stands.
 *
 * Facts: usage in streams comes only when asked for, in a chunk of its own with empty choices; every other chunk then says "usage":null; some servers
 * repeat usage in each chunk, or put it into the one that finishes; a stream ends with `data: [DONE]`; an error within a stream is
 * `data: {"error":…}`.
 */
#include "base/arithmetic.h"
#include "dialect/codec.h"
#include "dialect/impl.h"

/* --- requests --- */

enum {
    CALL_MODEL,
    CALL_MESSAGES, /* or the prompt */
    CALL_STREAM,
    CALL_OPTIONS,
    CALL_INCLUDE_USAGE,
    CALL_MAX_TOKENS,
    CALL_MAX_COMPLETION_TOKENS,
    CALL_N,
    CALL_BEST_OF,
    CALL_TOOLS,
    CALL_SEARCH,
    CALL_AUDIO,
    CALL_MODALITIES,
    CALL_COUNT
};
#define COMMON_WANTS                                                                                          \
    [CALL_MODEL] = {"model"}, [CALL_STREAM] = {"stream"}, [CALL_OPTIONS] = {"stream_options"},                \
    [CALL_INCLUDE_USAGE] = {"stream_options.include_usage"}, [CALL_MAX_TOKENS] = {"max_tokens"},              \
    [CALL_MAX_COMPLETION_TOKENS] = {"max_completion_tokens"}, [CALL_N] = {"n"}, [CALL_BEST_OF] = {"best_of"}, \
    [CALL_TOOLS] = {"tools"}, [CALL_SEARCH] = {"web_search_options"}, [CALL_AUDIO] = {"audio"},               \
    [CALL_MODALITIES] = {"modalities"}
static const struct weir_json_want chat_wants[CALL_COUNT] = {COMMON_WANTS, [CALL_MESSAGES] = {"messages"}};
static const struct weir_json_want prompt_wants[CALL_COUNT] = {COMMON_WANTS, [CALL_MESSAGES] = {"prompt"}};

/* What both endpoints take. */
static enum weir_status read_common(struct weir_arena *arena, const struct weir_json_found *found,
                                    struct weir_call *call, struct weir_call_problem *problem) {
    const struct weir_json_found *options = &found[CALL_OPTIONS];
    int64_t older = 0;
    call->makes_tokens = true;
    call->output_limits[0] = found[CALL_MAX_COMPLETION_TOKENS];
    call->output_limits[1] = found[CALL_MAX_TOKENS];
    call->stream_member = found[CALL_STREAM];
    call->options_member = *options;
    call->include_usage_member = found[CALL_INCLUDE_USAGE];
    if (dialect__read_model(arena, &found[CALL_MODEL], NULL, call, problem) != WEIR_OK ||
        dialect__read_flag(&found[CALL_STREAM], "stream", &call->stream, problem) != WEIR_OK)
        return WEIR_EINVAL;
    if (!dialect__is_absent(options) && options->kind != WEIR_JSON_OBJECT)
        return dialect__field_problem(problem, WEIR_REASON_FIELD_INVALID, "stream_options", "an object", options);
    if (dialect__read_flag(&found[CALL_INCLUDE_USAGE], "stream_options.include_usage", &call->wants_usage, problem) !=
            WEIR_OK ||
        dialect__read_count(&found[CALL_MAX_TOKENS], "max_tokens", 0, &older, problem) != WEIR_OK ||
        dialect__read_count(&found[CALL_MAX_COMPLETION_TOKENS], "max_completion_tokens", 0, &call->max_output_tokens,
                            problem) != WEIR_OK)
        return WEIR_EINVAL;
    if (older > call->max_output_tokens) /* a provider may know either */
        call->max_output_tokens = older;
    return dialect__read_count(&found[CALL_N], "n", 1, &call->choices, problem);
}

static enum weir_status read_chat(struct weir_arena *arena, struct weir_span body, struct weir_call *call,
                                  struct weir_call_problem *problem) {
    struct weir_json_found found[CALL_COUNT];
    const struct weir_json_found *messages = &found[CALL_MESSAGES];
    if (dialect__scan_call(body, chat_wants, CALL_COUNT, found, call, problem) != WEIR_OK ||
        read_common(arena, found, call, problem) != WEIR_OK ||
        dialect__require(messages, "messages", "an array of messages", problem) != WEIR_OK)
        return WEIR_EINVAL;
    if (messages->kind != WEIR_JSON_ARRAY)
        return dialect__field_problem(problem, WEIR_REASON_FIELD_INVALID, "messages", "an array of messages", messages);
    call->output_limit_name = "max_completion_tokens";
    call->input_is_elsewhere = !dialect__is_absent(&found[CALL_SEARCH]);
    call->may_make_audio = !dialect__is_absent(&found[CALL_AUDIO]) || found[CALL_MODALITIES].elements > 1;
    dialect__bound_messages(messages, false, call);
    dialect__bound_tools(&found[CALL_TOOLS], call);
    return WEIR_OK;
}

/* Several prompts in one call: an array of texts, or of arrays of tokens. */
static int64_t count_prompts(const struct weir_json_found *prompt) {
    struct weir_json_found first;
    struct weir_span name;
    size_t cursor = 0;
    if (prompt->kind != WEIR_JSON_ARRAY || weir_json_next(prompt->value, &cursor, &name, &first) != WEIR_OK ||
        first.kind == WEIR_JSON_NUMBER)
        return 1;
    return (int64_t)prompt->elements;
}

static enum weir_status read_completion(struct weir_arena *arena, struct weir_span body, struct weir_call *call,
                                        struct weir_call_problem *problem) {
    struct weir_json_found found[CALL_COUNT];
    const struct weir_json_found *prompt = &found[CALL_MESSAGES];
    int64_t best_of = 1;
    if (dialect__scan_call(body, prompt_wants, CALL_COUNT, found, call, problem) != WEIR_OK ||
        read_common(arena, found, call, problem) != WEIR_OK ||
        dialect__require(prompt, "prompt", "a string or an array", problem) != WEIR_OK ||
        dialect__read_count(&found[CALL_BEST_OF], "best_of", 1, &best_of, problem) != WEIR_OK)
        return WEIR_EINVAL;
    if (prompt->kind != WEIR_JSON_STRING && prompt->kind != WEIR_JSON_ARRAY)
        return dialect__field_problem(problem, WEIR_REASON_FIELD_INVALID, "prompt", "a string or an array", prompt);
    call->output_limit_name = "max_tokens";
    if (best_of > call->choices) /* all of them are made and billed, the best are sent */
        call->choices = best_of;
    if (!weir_multiply_int64(call->choices, count_prompts(prompt), &call->choices))
        call->choices = INT64_MAX;
    return WEIR_OK;
}

static enum weir_status edit_call(struct weir_arena *arena, const struct weir_call *call,
                                  struct weir_span upstream_model, struct weir_json_splice *splice) {
    enum weir_status status = dialect__edit_model(arena, call, upstream_model, splice);
    if (status == WEIR_OK)
        status = dialect__edit_output_limit(arena, call, splice);
    if (status != WEIR_OK || !call->stream || call->wants_usage)
        return status;
    const struct weir_json_found *options = &call->options_member, *include = &call->include_usage_member;
    if (include->kind != WEIR_JSON_NONE)
        return weir_json_splice_add(splice, include->value_at, include->value.length, WEIR_SPAN("true"));
    if (options->kind == WEIR_JSON_OBJECT)
        return weir_json_splice_add(splice, options->value_at + 1, 0,
                                    options->elements > 0 ? WEIR_SPAN("\"include_usage\":true,")
                                                          : WEIR_SPAN("\"include_usage\":true"));
    if (options->kind == WEIR_JSON_NULL)
        return weir_json_splice_add(splice, options->value_at, options->value.length,
                                    WEIR_SPAN("{\"include_usage\":true}"));
    const struct weir_json_found *stream = &call->stream_member;
    return weir_json_splice_add(splice, stream->value_at + stream->value.length, 0,
                                WEIR_SPAN(",\"stream_options\":{\"include_usage\":true}"));
}

/* --- answers and events --- */

enum { ANSWER_ID, ANSWER_CHOICES, ANSWER_ERROR, ANSWER_USAGE, ANSWER_COUNT };
static const struct weir_json_want answer_wants[ANSWER_COUNT] = {
    [ANSWER_ID] = {"id"},
    [ANSWER_CHOICES] = {"choices"},
    [ANSWER_ERROR] = {"error"},
    [ANSWER_USAGE] = {"usage"},
};

static enum weir_status read_answer(struct weir_span body, struct weir_answer *answer) {
    struct weir_json_found choices;
    enum weir_status status = dialect__scan_answer(body, "choices", &choices, answer);
    if (status == WEIR_OK && choices.kind == WEIR_JSON_ARRAY)
        answer->content_bytes = (int64_t)choices.value.length;
    return status;
}

/* --- streams --- */

/* A look at the bytes before the exact answer: in valid JSON this sequence is a member's name (or a string of that very text), and
 * nearly every event of a stream says null there. */
static bool may_have_finish(struct weir_span choices) {
    static const char name[] = "\"finish_reason\"";
    const char *end = choices.at + choices.length;
    for (const char *at = choices.at; (at = memmem(at, (size_t)(end - at), name, sizeof name - 1)) != NULL;) {
        at += sizeof name - 1;
        while (at < end && (*at == ':' || strchr(" \t\r\n", *at) != NULL))
            at++;
        if (end - at < 4 || memcmp(at, "null", 4) != 0)
            return true;
    }
    return false;
}

/* Whether any choice of the array says why it finished. */
static bool has_finish(struct weir_span choices) {
    if (!may_have_finish(choices))
        return false;
    static const struct weir_json_want want[] = {{"finish_reason"}};
    struct weir_json_found choice, reason;
    struct weir_span name;
    size_t cursor = 0;
    while (weir_json_next(choices, &cursor, &name, &choice) == WEIR_OK)
        if (choice.kind == WEIR_JSON_OBJECT && weir_json_scan(choice.value, want, 1, &reason, NULL, NULL) == WEIR_OK &&
            reason.kind == WEIR_JSON_STRING)
            return true;
    return false;
}

/* Whether a member of that name holds a string that is not empty. As above, the quoted name is always a member's. */
static bool has_nonempty(struct weir_span choices, const char *quoted_name) {
    const char *end = choices.at + choices.length;
    size_t length = strlen(quoted_name);
    for (const char *at = choices.at; (at = memmem(at, (size_t)(end - at), quoted_name, length)) != NULL;) {
        at += length;
        while (at < end && (*at == ':' || strchr(" \t\r\n", *at) != NULL))
            at++;
        if (end - at >= 2 && at[0] == '"' && at[1] != '"')
            return true;
    }
    return false;
}

/* About a token: an estimate counts these events where a provider gives no usage. */
static bool has_text(struct weir_span choices) {
    static const char *const names[] = {"\"content\"",   "\"arguments\"", "\"reasoning_content\"",
                                        "\"reasoning\"", "\"refusal\"",   "\"text\""};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (has_nonempty(choices, names[i]))
            return true;
    return false;
}

static void read_event(const struct weir_sse_event *sse, struct weir_event *event) {
    *event = (struct weir_event){.kind = WEIR_EVENT_OTHER};
    if (sse->data.length == 0)
        return;
    if (weir_span_equal(sse->data, WEIR_SPAN("[DONE]"))) {
        event->kind = WEIR_EVENT_DONE;
        return;
    }
    struct weir_json_found found[ANSWER_COUNT], root;
    if (weir_json_scan(sse->data, answer_wants, ANSWER_COUNT, found, &root, NULL) != WEIR_OK) {
        event->kind = WEIR_EVENT_DAMAGED;
        return;
    }
    dialect__begin_answer(sse->data, &root, &found[ANSWER_ID], &found[ANSWER_USAGE], &event->answer);
    if (!event->answer.is_object)
        return;
    event->usage_is_null = found[ANSWER_USAGE].kind == WEIR_JSON_NULL;
    const struct weir_json_found *choices = &found[ANSWER_CHOICES];
    if (!dialect__is_absent(&found[ANSWER_ERROR]))
        event->kind = WEIR_EVENT_ERROR;
    else if (event->answer.has_usage && (choices->kind != WEIR_JSON_ARRAY || choices->elements == 0))
        event->kind = WEIR_EVENT_USAGE;
    else if (choices->kind == WEIR_JSON_ARRAY && choices->elements > 0)
        event->kind = has_finish(choices->value) ? WEIR_EVENT_FINISH : WEIR_EVENT_CONTENT;
    event->has_text = choices->kind == WEIR_JSON_ARRAY && has_text(choices->value);
}

/* Removes "usage":null with the comma that joins it to its neighbour. */
static enum weir_status hide_usage(struct weir_span data, const struct weir_event *event,
                                   struct weir_json_splice *splice) {
    if (!event->usage_is_null)
        return WEIR_OK;
    size_t from = event->answer.usage_member.member_at;
    size_t until = event->answer.usage_member.value_at + event->answer.usage_member.value.length;
    size_t left = from;
    while (left > 0 && strchr(" \t\r\n", data.at[left - 1]) != NULL)
        left--;
    if (left > 0 && data.at[left - 1] == ',')
        return weir_json_splice_add(splice, left - 1, until - left + 1, WEIR_SPAN(""));
    size_t right = until;
    while (right < data.length && strchr(" \t\r\n", data.at[right]) != NULL)
        right++;
    if (right < data.length && data.at[right] == ',')
        until = right + 1;
    return weir_json_splice_add(splice, from, until - from, WEIR_SPAN(""));
}

/* What is asked differs; all that comes back is read alike. */
#define CHOICES_FORMAT(format_name, call_reader, front_name)                                                          \
    {                                                                                                                 \
        .name = format_name, .flags = WEIR_FORMAT_TOKENS, .dialect = WEIR_DIALECT_OPENAI, .task = WEIR_TASK_GENERATE, \
        .front = &weir_front_##front_name, .read_call = call_reader, .edit_call = edit_call,                          \
        .read_answer = read_answer, .find_usage = dialect__find_usage, .edit_answer = dialect__edit_estimated_answer, \
        .read_event = read_event, .hide_usage = hide_usage, .mark_event = dialect__mark_event,                        \
        .done = {.at = "data: [DONE]\n\n", .length = 14}, .write_error_event = dialect__write_error_event,            \
    }

const struct weir_format weir_format_chat = CHOICES_FORMAT("chat.completions", read_chat, chat);
const struct weir_format weir_format_completions = CHOICES_FORMAT("completions", read_completion, completions);
