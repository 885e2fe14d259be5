/* Ollama's own API: chat, generate, embed.
 *
 * Facts: streams are the default, a JSON object a line; the last has "done":true and the counts, which stand at the top, not in a usage object; the count of
 * the prompt may be absent; what bounds the output stands in `options`; a failure within a stream is a line {"error":"…"}.
 */
#include "base/arithmetic.h"
#include "dialect/codec.h"
#include "dialect/impl.h"

/* --- calls --- */

enum {
    CALL_MODEL,
    CALL_STREAM,
    CALL_OPTIONS,
    CALL_LIMIT,
    CALL_MESSAGES,
    CALL_PROMPT,
    CALL_IMAGES,
    CALL_INPUT,
    CALL_COUNT
};
static const struct weir_json_want call_wants[CALL_COUNT] = {
    [CALL_MODEL] = {"model"},       [CALL_STREAM] = {"stream"},
    [CALL_OPTIONS] = {"options"},   [CALL_LIMIT] = {"options.num_predict"},
    [CALL_MESSAGES] = {"messages"}, [CALL_PROMPT] = {"prompt"},
    [CALL_IMAGES] = {"images"},     [CALL_INPUT] = {"input"},
};

/* A picture counts for no more tokens than this with any model that is run so. */
enum { MOST_TOKENS_A_PICTURE = 16384 };

static void add_pictures(struct weir_call *call, size_t count) {
    int64_t more = 0;
    if (!weir_multiply_int64((int64_t)count, MOST_TOKENS_A_PICTURE, &more) ||
        !weir_add_int64(call->more_input_tokens, more, &call->more_input_tokens))
        call->more_input_tokens = INT64_MAX;
}

static void bound_messages(const struct weir_json_found *messages, struct weir_call *call) {
    static const struct weir_json_want want[] = {{"images"}};
    struct weir_json_found message, images;
    struct weir_span name;
    size_t cursor = 0;
    while (messages->kind == WEIR_JSON_ARRAY && weir_json_next(messages->value, &cursor, &name, &message) == WEIR_OK) {
        if (message.kind == WEIR_JSON_OBJECT && weir_json_scan(message.value, want, 1, &images, NULL, NULL) == WEIR_OK)
            add_pictures(call, images.elements);
    }
}

static enum weir_status read_common(struct weir_arena *arena, struct weir_span body, struct weir_json_found *found,
                                    struct weir_call *call, struct weir_call_problem *problem) {
    const struct weir_json_found *limit = &found[CALL_LIMIT], *options = &found[CALL_OPTIONS];
    int64_t tokens = 0;
    if (dialect__scan_call(body, call_wants, CALL_COUNT, found, call, problem) != WEIR_OK ||
        dialect__read_model(arena, &found[CALL_MODEL], NULL, call, problem) != WEIR_OK ||
        dialect__read_flag(&found[CALL_STREAM], "stream", &call->stream, problem) != WEIR_OK)
        return WEIR_EINVAL;
    if (!dialect__is_absent(options) && options->kind != WEIR_JSON_OBJECT)
        return dialect__field_problem(problem, WEIR_REASON_FIELD_INVALID, "options", "an object", options);
    if (!dialect__is_absent(limit) &&
        (limit->kind != WEIR_JSON_NUMBER || weir_json_int64(limit->value, &tokens) != WEIR_OK))
        return dialect__field_problem(problem, WEIR_REASON_FIELD_INVALID, "options.num_predict", "a whole number",
                                      limit);
    call->stream = dialect__is_absent(&found[CALL_STREAM]) || call->stream;
    call->stream_member = found[CALL_STREAM];
    call->options_member = *options;
    call->wants_usage = true; /* it is always told */
    call->makes_tokens = true;
    call->max_output_tokens = tokens > 0 ? tokens : 0; /* below 1: as many as the model likes */
    call->output_limit_name = "num_predict";
    call->output_limits[0] = *limit;
    return WEIR_OK;
}

static enum weir_status read_chat(struct weir_arena *arena, struct weir_span body, struct weir_call *call,
                                  struct weir_call_problem *problem) {
    struct weir_json_found found[CALL_COUNT];
    const struct weir_json_found *messages = &found[CALL_MESSAGES];
    if (read_common(arena, body, found, call, problem) != WEIR_OK)
        return WEIR_EINVAL;
    if (!dialect__is_absent(messages) && messages->kind != WEIR_JSON_ARRAY)
        return dialect__field_problem(problem, WEIR_REASON_FIELD_INVALID, "messages", "an array of messages", messages);
    bound_messages(messages, call);
    return WEIR_OK;
}

static enum weir_status read_generate(struct weir_arena *arena, struct weir_span body, struct weir_call *call,
                                      struct weir_call_problem *problem) {
    struct weir_json_found found[CALL_COUNT];
    if (read_common(arena, body, found, call, problem) != WEIR_OK)
        return WEIR_EINVAL;
    add_pictures(call, found[CALL_IMAGES].elements);
    return WEIR_OK;
}

static enum weir_status read_embed(struct weir_arena *arena, struct weir_span body, struct weir_call *call,
                                   struct weir_call_problem *problem) {
    struct weir_json_found found[CALL_COUNT];
    if (dialect__scan_call(body, call_wants, CALL_COUNT, found, call, problem) != WEIR_OK ||
        dialect__read_model(arena, &found[CALL_MODEL], NULL, call, problem) != WEIR_OK)
        return WEIR_EINVAL;
    if (dialect__is_absent(&found[CALL_INPUT]) && dialect__is_absent(&found[CALL_PROMPT]))
        return dialect__require(&found[CALL_INPUT], "input", "a string or an array of strings", problem);
    return WEIR_OK;
}

/* The limit stands in an object of its own, which may have to be made. */
static enum weir_status edit_limit(struct weir_arena *arena, const struct weir_call *call,
                                   struct weir_json_splice *splice) {
    const struct weir_json_found *limit = &call->output_limits[0], *options = &call->options_member;
    long long tokens = call->clamped_output_tokens;
    if (tokens == 0)
        return WEIR_OK;
    bool is_there = limit->kind != WEIR_JSON_NONE, has_options = options->kind == WEIR_JSON_OBJECT;
    const char *text = is_there      ? weir_arena_format(arena, "%lld", tokens)
                       : has_options ? weir_arena_format(arena, "\"num_predict\":%lld%s", tokens,
                                                         options->elements > 0 ? "," : "")
                                     : weir_arena_format(arena, "\"options\":{\"num_predict\":%lld}%s", tokens,
                                                         call->root_is_empty ? "" : ",");
    if (text == NULL)
        return WEIR_ENOMEM;
    if (is_there)
        return weir_json_splice_add(splice, limit->value_at, limit->value.length, weir_span_of_string(text));
    if (has_options)
        return weir_json_splice_add(splice, options->value_at + 1, 0, weir_span_of_string(text));
    if (options->kind == WEIR_JSON_NULL) {
        text = weir_arena_format(arena, "{\"num_predict\":%lld}", tokens);
        return text == NULL
                   ? WEIR_ENOMEM
                   : weir_json_splice_add(splice, options->value_at, options->value.length, weir_span_of_string(text));
    }
    return weir_json_splice_add(splice, call->root_at + 1, 0, weir_span_of_string(text));
}

static enum weir_status edit_call(struct weir_arena *arena, const struct weir_call *call,
                                  struct weir_span upstream_model, struct weir_json_splice *splice) {
    enum weir_status status = dialect__edit_model(arena, call, upstream_model, splice);
    return status == WEIR_OK ? edit_limit(arena, call, splice) : status;
}

/* --- answers --- */

enum { ANSWER_INPUT, ANSWER_OUTPUT, ANSWER_DONE, ANSWER_ERROR, ANSWER_COUNT };
static const struct weir_json_want answer_wants[ANSWER_COUNT] = {
    [ANSWER_INPUT] = {"prompt_eval_count"},
    [ANSWER_OUTPUT] = {"eval_count"},
    [ANSWER_DONE] = {"done"},
    [ANSWER_ERROR] = {"error"},
};

static bool read_figure(const struct weir_json_found *found, int64_t *value) {
    *value = 0;
    return found->kind == WEIR_JSON_NUMBER && weir_json_int64(found->value, value) == WEIR_OK && *value >= 0;
}

static void begin_answer(struct weir_span body, const struct weir_json_found *root, const struct weir_json_found *found,
                         struct weir_answer *answer) {
    static const struct weir_json_found none = {.kind = WEIR_JSON_NONE};
    int64_t input = 0, output = 0;
    dialect__begin_answer(body, root, &none, &none, answer);
    bool says_input = read_figure(&found[ANSWER_INPUT], &input),
         says_output = read_figure(&found[ANSWER_OUTPUT], &output);
    answer->has_usage = answer->is_object && (says_input || says_output);
    answer->usage = (struct weir_usage){.input = says_input ? input : 0, .output = says_output ? output : 0};
}

static enum weir_status read_answer(struct weir_span body, struct weir_answer *answer) {
    struct weir_json_found found[ANSWER_COUNT], root;
    enum weir_status status = weir_json_scan(body, answer_wants, ANSWER_COUNT, found, &root, NULL);
    if (status != WEIR_OK)
        return status;
    begin_answer(body, &root, found, answer);
    answer->content_bytes = (int64_t)body.length;
    return WEIR_OK;
}

/* The last mention of a name that a number follows; in valid JSON the quoted name and a colon can only be a member's. */
static bool last_number(struct weir_span piece, struct weir_span quoted_name, int64_t *value) {
    for (size_t at = piece.length; at >= quoted_name.length; at--) {
        size_t start = at - quoted_name.length, digit = at;
        if (memcmp(piece.at + start, quoted_name.at, quoted_name.length) != 0)
            continue;
        while (digit < piece.length && (piece.at[digit] == ':' || piece.at[digit] == ' '))
            digit++;
        size_t end = digit;
        while (end < piece.length && piece.at[end] >= '0' && piece.at[end] <= '9')
            end++;
        if (end > digit && weir_json_int64(weir_span_of(piece.at + digit, end - digit), value) == WEIR_OK)
            return true;
    }
    return false;
}

static bool find_usage(struct weir_span piece, struct weir_answer *answer) {
    int64_t input = 0, output = 0;
    bool says_input = last_number(piece, WEIR_SPAN("\"prompt_eval_count\""), &input),
         says_output = last_number(piece, WEIR_SPAN("\"eval_count\""), &output);
    if (!says_input && !says_output)
        return false;
    answer->has_usage = true;
    answer->usage = (struct weir_usage){.input = input, .output = output};
    return true;
}

static bool has_text(struct weir_span line) {
    static const char *const names[] = {"\"content\":\"", "\"thinking\":\"", "\"response\":\""};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        size_t length = strlen(names[i]);
        const char *at = memmem(line.at, line.length, names[i], length);
        if (at != NULL && at + length < line.at + line.length && at[length] != '"')
            return true;
    }
    return memmem(line.at, line.length, "\"tool_calls\"", 12) != NULL;
}

static void read_event(const struct weir_sse_event *sse, struct weir_event *event) {
    struct weir_json_found found[ANSWER_COUNT], root;
    *event = (struct weir_event){.kind = WEIR_EVENT_OTHER};
    if (sse->data.length == 0)
        return;
    if (weir_json_scan(sse->data, answer_wants, ANSWER_COUNT, found, &root, NULL) != WEIR_OK) {
        event->kind = WEIR_EVENT_DAMAGED;
        return;
    }
    begin_answer(sse->data, &root, found, &event->answer);
    if (!dialect__is_absent(&found[ANSWER_ERROR]))
        event->kind = WEIR_EVENT_ERROR;
    else if (found[ANSWER_DONE].kind == WEIR_JSON_TRUE)
        event->kind = WEIR_EVENT_LAST;
    else
        event->kind = WEIR_EVENT_CONTENT;
    event->has_text = has_text(sse->data);
}

static void write_error_event(struct weir_buffer *out, const struct weir_error_answer *error) {
    dialect__write_ollama_error(out, error);
    weir_buffer_append_byte(out, '\n');
}

#define TEXT_FORMAT(format_name, call_reader, front_name)                                                             \
    {                                                                                                                 \
        .name = format_name, .flags = WEIR_FORMAT_TOKENS, .dialect = WEIR_DIALECT_OLLAMA, .task = WEIR_TASK_GENERATE, \
        .front = &weir_front_##front_name, .read_call = call_reader, .edit_call = edit_call,                          \
        .read_answer = read_answer, .find_usage = find_usage, .edit_answer = dialect__edit_answer,                    \
        .read_event = read_event, .mark_event = dialect__mark_event, .done = {.at = "", .length = 0},                 \
        .write_error_event = write_error_event,                                                                       \
    }
#define VECTORS_FORMAT(format_name, front_name)                                                                    \
    {                                                                                                              \
        .name = format_name, .flags = WEIR_FORMAT_TOKENS, .dialect = WEIR_DIALECT_OLLAMA, .task = WEIR_TASK_EMBED, \
        .front = &weir_front_##front_name, .read_call = read_embed, .edit_call = dialect__edit_model,              \
        .read_answer = read_answer, .find_usage = find_usage, .edit_answer = dialect__edit_answer,                 \
    }

const struct weir_format weir_format_ollama_chat = TEXT_FORMAT("ollama.chat", read_chat, ollama_chat);
const struct weir_format weir_format_ollama_generate = TEXT_FORMAT("ollama.generate", read_generate, ollama_generate);
const struct weir_format weir_format_ollama_embed = VECTORS_FORMAT("ollama.embed", ollama_embed);
const struct weir_format weir_format_ollama_embeddings = VECTORS_FORMAT("ollama.embeddings", ollama_embeddings);
