/* The OpenAI chat dialect: OpenAI itself, vLLM, Ollama's and llama.cpp's compatible servers, and the many clones.
 *
 * Facts: the published OpenAPI description, and what clients and servers really do: usage in streams comes only when
 * asked for, in a chunk of its own with empty choices; every other chunk then says "usage":null; some servers repeat usage
 * in each chunk, or put it into the one that finishes; a stream ends with `data: [DONE]`; an error within a stream is
 * `data: {"error":…}`.
 */
#include "dialect/impl.h"

/* --- requests --- */

enum {
    CALL_MODEL,
    CALL_MESSAGES,
    CALL_STREAM,
    CALL_OPTIONS,
    CALL_INCLUDE_USAGE,
    CALL_MAX_TOKENS,
    CALL_MAX_COMPLETION_TOKENS,
    CALL_N,
    CALL_COUNT
};
static const struct weir_json_want call_wants[CALL_COUNT] = {
    [CALL_MODEL] = {"model"},
    [CALL_MESSAGES] = {"messages"},
    [CALL_STREAM] = {"stream"},
    [CALL_OPTIONS] = {"stream_options"},
    [CALL_INCLUDE_USAGE] = {"stream_options.include_usage"},
    [CALL_MAX_TOKENS] = {"max_tokens"},
    [CALL_MAX_COMPLETION_TOKENS] = {"max_completion_tokens"},
    [CALL_N] = {"n"},
};

static enum weir_status field_problem(struct weir_call_problem *problem, enum weir_reason reason, const char *field,
                                      const char *expected, const struct weir_json_found *found) {
    problem->reason = reason;
    problem->field = field;
    if (found == NULL || found->kind == WEIR_JSON_NONE)
        (void)snprintf(problem->text, sizeof problem->text, "'%s' must be %s", field, expected);
    else
        (void)snprintf(problem->text, sizeof problem->text, "'%s' must be %s, not %s", field, expected,
                       weir_json_kind_name(found->kind));
    return WEIR_EINVAL;
}

static bool is_absent(const struct weir_json_found *found) {
    return found->kind == WEIR_JSON_NONE || found->kind == WEIR_JSON_NULL;
}

/* An optional integer of at least `least`. */
static enum weir_status read_count(const struct weir_json_found *found, const char *field, int64_t least,
                                   int64_t *value, struct weir_call_problem *problem) {
    static const char *const expected[] = {"a whole number, 0 or more", "a whole number, 1 or more"};
    if (is_absent(found))
        return WEIR_OK;
    int64_t read = 0;
    if (found->kind != WEIR_JSON_NUMBER || weir_json_int64(found->value, &read) != WEIR_OK || read < least)
        return field_problem(problem, WEIR_REASON_FIELD_INVALID, field, expected[least],
                             found->kind == WEIR_JSON_NUMBER ? NULL : found);
    *value = read;
    return WEIR_OK;
}

static enum weir_status scan_problem(enum weir_status status, const struct weir_json_problem *from,
                                     struct weir_call_problem *problem) {
    problem->field = "";
    if (status == WEIR_EEXIST) {
        problem->reason = WEIR_REASON_JSON_DUPLICATE_MEMBER;
        (void)snprintf(problem->text, sizeof problem->text, "%.*s at byte %zu",
                       (int)(from->member.length < 100 ? from->member.length : 100),
                       from->member.at != NULL ? from->member.at : "", from->offset);
    } else {
        problem->reason = WEIR_REASON_JSON_INVALID;
        (void)snprintf(problem->text, sizeof problem->text, "%s at byte %zu", from->text, from->offset);
    }
    return WEIR_EINVAL;
}

static enum weir_status read_model(struct weir_arena *arena, const struct weir_json_found *found,
                                   struct weir_call *call, struct weir_call_problem *problem) {
    if (is_absent(found))
        return field_problem(problem, WEIR_REASON_FIELD_MISSING, "model", "the name of a model", NULL);
    if (found->kind != WEIR_JSON_STRING || found->value.length <= 2)
        return field_problem(problem, WEIR_REASON_FIELD_INVALID, "model", "a string that names a model",
                             found->kind == WEIR_JSON_STRING ? NULL : found);
    if (weir_json_plain_string(found->value, &call->model))
        return WEIR_OK;
    char *decoded = weir_arena_alloc_raw(arena, found->value.length);
    size_t length = 0;
    if (decoded == NULL || weir_json_decode(found->value, decoded, found->value.length, &length) != WEIR_OK)
        return field_problem(problem, WEIR_REASON_FIELD_INVALID, "model", "a string that names a model", NULL);
    call->model = weir_span_of(decoded, length);
    return WEIR_OK;
}

static enum weir_status read_call(struct weir_arena *arena, struct weir_span body, struct weir_call *call,
                                  struct weir_call_problem *problem) {
    struct weir_json_found found[CALL_COUNT], root;
    struct weir_json_problem at = {.text = ""};
    enum weir_status status = weir_json_scan(body, call_wants, CALL_COUNT, found, &root, &at);
    if (status != WEIR_OK)
        return scan_problem(status, &at, problem);
    *call = (struct weir_call){.body = body,
                               .choices = 1,
                               .model_member = found[CALL_MODEL],
                               .stream_member = found[CALL_STREAM],
                               .options_member = found[CALL_OPTIONS],
                               .include_usage_member = found[CALL_INCLUDE_USAGE]};
    if (root.kind != WEIR_JSON_OBJECT)
        return field_problem(problem, WEIR_REASON_FIELD_INVALID, "body", "a JSON object", &root);
    if (read_model(arena, &found[CALL_MODEL], call, problem) != WEIR_OK)
        return WEIR_EINVAL;
    if (is_absent(&found[CALL_MESSAGES]))
        return field_problem(problem, WEIR_REASON_FIELD_MISSING, "messages", "an array of messages", NULL);
    if (found[CALL_MESSAGES].kind != WEIR_JSON_ARRAY)
        return field_problem(problem, WEIR_REASON_FIELD_INVALID, "messages", "an array of messages",
                             &found[CALL_MESSAGES]);
    const struct weir_json_found *stream = &found[CALL_STREAM], *options = &found[CALL_OPTIONS],
                                 *include = &found[CALL_INCLUDE_USAGE];
    if (!is_absent(stream) && stream->kind != WEIR_JSON_TRUE && stream->kind != WEIR_JSON_FALSE)
        return field_problem(problem, WEIR_REASON_FIELD_INVALID, "stream", "true or false", stream);
    if (!is_absent(options) && options->kind != WEIR_JSON_OBJECT)
        return field_problem(problem, WEIR_REASON_FIELD_INVALID, "stream_options", "an object", options);
    if (!is_absent(include) && include->kind != WEIR_JSON_TRUE && include->kind != WEIR_JSON_FALSE)
        return field_problem(problem, WEIR_REASON_FIELD_INVALID, "stream_options.include_usage", "true or false",
                             include);
    call->stream = stream->kind == WEIR_JSON_TRUE;
    call->wants_usage = include->kind == WEIR_JSON_TRUE;
    if (read_count(&found[CALL_MAX_TOKENS], "max_tokens", 0, &call->max_output_tokens, problem) != WEIR_OK ||
        read_count(&found[CALL_MAX_COMPLETION_TOKENS], "max_completion_tokens", 0, &call->max_output_tokens, problem) !=
            WEIR_OK ||
        read_count(&found[CALL_N], "n", 1, &call->choices, problem) != WEIR_OK)
        return WEIR_EINVAL;
    return WEIR_OK;
}

static enum weir_status edit_model(struct weir_arena *arena, const struct weir_call *call,
                                   struct weir_span upstream_model, struct weir_json_splice *splice) {
    if (weir_span_equal(call->model, upstream_model))
        return WEIR_OK;
    struct weir_buffer text;
    weir_buffer_init(&text, 4096);
    weir_json_append_string(&text, upstream_model);
    struct weir_span copy = {.at = "", .length = 0};
    enum weir_status status = weir_buffer_status(&text);
    if (status == WEIR_OK)
        status = weir_arena_dup(arena, weir_buffer_span(&text), &copy);
    weir_buffer_release(&text);
    return status != WEIR_OK
               ? status
               : weir_json_splice_add(splice, call->model_member.value_at, call->model_member.value.length, copy);
}

static enum weir_status edit_call(struct weir_arena *arena, const struct weir_call *call,
                                  struct weir_span upstream_model, struct weir_json_splice *splice) {
    enum weir_status status = edit_model(arena, call, upstream_model, splice);
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

/* --- answers --- */

enum {
    ANSWER_ID,
    ANSWER_CHOICES,
    ANSWER_ERROR,
    ANSWER_USAGE,
    ANSWER_INPUT,
    ANSWER_OUTPUT,
    ANSWER_CACHED,
    ANSWER_CACHE_WRITE,
    ANSWER_REASONING,
    ANSWER_COUNT
};
static const struct weir_json_want answer_wants[ANSWER_COUNT] = {
    [ANSWER_ID] = {"id"},
    [ANSWER_CHOICES] = {"choices"},
    [ANSWER_ERROR] = {"error"},
    [ANSWER_USAGE] = {"usage"},
    [ANSWER_INPUT] = {"usage.prompt_tokens"},
    [ANSWER_OUTPUT] = {"usage.completion_tokens"},
    [ANSWER_CACHED] = {"usage.prompt_tokens_details.cached_tokens"},
    [ANSWER_CACHE_WRITE] = {"usage.prompt_tokens_details.cache_write_tokens"},
    [ANSWER_REASONING] = {"usage.completion_tokens_details.reasoning_tokens"},
};

static int64_t read_tokens(const struct weir_json_found *found) {
    int64_t value = 0;
    if (found->kind != WEIR_JSON_NUMBER || weir_json_int64(found->value, &value) != WEIR_OK || value < 0)
        return 0;
    return value;
}

static size_t closing_brace(struct weir_span text) {
    size_t at = text.length;
    while (at > 0 && text.at[at - 1] != '}')
        at--;
    return at > 0 ? at - 1 : 0;
}

static void read_common(struct weir_span body, const struct weir_json_found *found, const struct weir_json_found *root,
                        struct weir_answer *answer) {
    *answer = (struct weir_answer){.is_object = root->kind == WEIR_JSON_OBJECT, .id = WEIR_SPAN("")};
    if (!answer->is_object)
        return;
    answer->root_end = closing_brace(body);
    answer->root_is_empty = root->elements == 0;
    answer->usage_member = found[ANSWER_USAGE];
    if (found[ANSWER_ID].kind == WEIR_JSON_STRING && !weir_json_plain_string(found[ANSWER_ID].value, &answer->id))
        answer->id = WEIR_SPAN("");
    if (found[ANSWER_INPUT].kind != WEIR_JSON_NUMBER)
        return;
    answer->has_usage = true;
    answer->usage = (struct weir_usage){.input = read_tokens(&found[ANSWER_INPUT]),
                                        .cached = read_tokens(&found[ANSWER_CACHED]),
                                        .cache_write = read_tokens(&found[ANSWER_CACHE_WRITE]),
                                        .output = read_tokens(&found[ANSWER_OUTPUT]),
                                        .reasoning = read_tokens(&found[ANSWER_REASONING])};
}

static enum weir_status read_answer(struct weir_span body, struct weir_answer *answer) {
    struct weir_json_found found[ANSWER_COUNT], root;
    enum weir_status status = weir_json_scan(body, answer_wants, ANSWER_COUNT, found, &root, NULL);
    if (status != WEIR_OK)
        return status;
    read_common(body, found, &root, answer);
    if (found[ANSWER_CHOICES].kind == WEIR_JSON_ARRAY)
        answer->content_bytes = (int64_t)found[ANSWER_CHOICES].value.length;
    return WEIR_OK;
}

/* From the last mention to the first: in valid JSON the quoted word and a colon can only be a member's name, for a quote inside a string is
 * escaped. */
static bool find_usage(struct weir_span piece, struct weir_answer *answer) {
    static const char name[] = "\"usage\"";
    static const struct weir_json_want wants[] = {{"prompt_tokens"},
                                                  {"completion_tokens"},
                                                  {"prompt_tokens_details.cached_tokens"},
                                                  {"prompt_tokens_details.cache_write_tokens"},
                                                  {"completion_tokens_details.reasoning_tokens"}};
    enum { USAGE_MAX_BYTES = 4096 };
    for (size_t at = piece.length; at >= sizeof name - 1; at--) {
        size_t start = at - (sizeof name - 1);
        if (piece.at[start] != '"' || memcmp(piece.at + start, name, sizeof name - 1) != 0)
            continue;
        size_t value = at;
        while (value < piece.length && (piece.at[value] == ':' || strchr(" \t\r\n", piece.at[value]) != NULL))
            value++;
        size_t limit = piece.length - value < USAGE_MAX_BYTES ? piece.length - value : USAGE_MAX_BYTES;
        struct weir_json_found found[5];
        /* Its end is the brace after which it is an object: usage objects are small and hold few others. */
        for (size_t end = 0; end < limit; end++) {
            if (piece.at[value + end] != '}' ||
                weir_json_scan(weir_span_of(piece.at + value, end + 1), wants, 5, found, NULL, NULL) != WEIR_OK)
                continue;
            answer->has_usage = found[0].kind == WEIR_JSON_NUMBER;
            answer->usage = (struct weir_usage){.input = read_tokens(&found[0]),
                                                .output = read_tokens(&found[1]),
                                                .cached = read_tokens(&found[2]),
                                                .cache_write = read_tokens(&found[3]),
                                                .reasoning = read_tokens(&found[4])};
            break;
        }
        if (answer->has_usage)
            return true;
    }
    return false;
}

static enum weir_status edit_answer(struct weir_arena *arena, struct weir_span body, const struct weir_answer *answer,
                                    const struct weir_usage *estimated, int64_t used_cu_milli,
                                    struct weir_json_splice *splice) {
    (void)body;
    if (!answer->is_object)
        return WEIR_OK;
    const struct weir_json_found *usage = &answer->usage_member;
    char *text;
    if (usage->kind == WEIR_JSON_OBJECT) {
        text = weir_arena_format(arena, "%s\"usedCUMilli\":%lld", usage->elements > 0 ? "," : "",
                                 (long long)used_cu_milli);
        return text == NULL ? WEIR_ENOMEM
                            : weir_json_splice_add(splice, usage->value_at + closing_brace(usage->value), 0,
                                                   weir_span_of_string(text));
    }
    text = weir_arena_format(
        arena,
        "%s{\"prompt_tokens\":%lld,\"completion_tokens\":%lld,\"total_tokens\":%lld,\"estimated\":true,\"usedCUMilli\":%lld}",
        usage->kind != WEIR_JSON_NONE ? ""
        : answer->root_is_empty       ? "\"usage\":"
                                      : ",\"usage\":",
        (long long)estimated->input, (long long)estimated->output,
        (long long)estimated->input + (long long)estimated->output, (long long)used_cu_milli);
    if (text == NULL)
        return WEIR_ENOMEM;
    if (usage->kind != WEIR_JSON_NONE)
        return weir_json_splice_add(splice, usage->value_at, usage->value.length, weir_span_of_string(text));
    return weir_json_splice_add(splice, answer->root_end, 0, weir_span_of_string(text));
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
    if (!sse->has_data)
        return;
    if (weir_span_equal(sse->data, WEIR_SPAN("[DONE]"))) {
        event->kind = WEIR_EVENT_DONE;
        return;
    }
    struct weir_json_found found[ANSWER_COUNT], root;
    if (weir_json_scan(sse->data, answer_wants, ANSWER_COUNT, found, &root, NULL) != WEIR_OK)
        return;
    read_common(sse->data, found, &root, &event->answer);
    if (!event->answer.is_object)
        return;
    event->usage_is_null = found[ANSWER_USAGE].kind == WEIR_JSON_NULL;
    const struct weir_json_found *choices = &found[ANSWER_CHOICES];
    if (!is_absent(&found[ANSWER_ERROR]))
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

static enum weir_status mark_event(struct weir_arena *arena, const struct weir_event *event, int64_t used_cu_milli,
                                   struct weir_json_splice *splice) {
    if (!event->answer.is_object)
        return WEIR_OK;
    char *text = weir_arena_format(arena, "%s\"usedCUMilli\":%lld", event->answer.root_is_empty ? "" : ",",
                                   (long long)used_cu_milli);
    return text == NULL ? WEIR_ENOMEM
                        : weir_json_splice_add(splice, event->answer.root_end, 0, weir_span_of_string(text));
}

/* --- errors --- */

static void write_error(struct weir_buffer *out, const struct weir_error_answer *error) {
    const struct weir_reason_row *row = weir_reason_row(error->reason);
    struct weir_json_writer writer;
    weir_json_writer_init(&writer, out);
    weir_json_write_object(&writer);
    weir_json_write_name(&writer, "error");
    weir_json_write_object(&writer);
    dialect__write_message(&writer, "message", error);
    weir_json_member_text(&writer, "type", row->type);
    weir_json_member_text(&writer, "param", error->field != NULL && error->field[0] != '\0' ? error->field : NULL);
    weir_json_member_text(&writer, "code", row->name);
    dialect__write_code(&writer, error);
    weir_json_member_string(&writer, "request_id", error->request_id);
    dialect__write_details(&writer, error);
    weir_json_write_end(&writer);
    dialect__write_code(&writer, error);
    weir_json_member_string(&writer, "request_id", error->request_id);
    dialect__write_details(&writer, error);
    weir_json_write_end(&writer);
}

static void write_error_event(struct weir_buffer *out, const struct weir_error_answer *error) {
    weir_buffer_append(out, WEIR_SPAN("data: "));
    write_error(out, error);
    weir_buffer_append(out, WEIR_SPAN("\n\n"));
}

static enum weir_status edit_error(struct weir_arena *arena, struct weir_span body,
                                   const struct weir_error_answer *error, struct weir_json_splice *splice) {
    static const struct weir_json_want wants[] = {
        {"error"}, {"error_code"}, {"request_id"}, {"error.error_code"}, {"error.request_id"}};
    struct weir_json_found found[5], root;
    if (weir_json_scan(body, wants, 5, found, &root, NULL) != WEIR_OK || root.kind != WEIR_JSON_OBJECT ||
        found[0].kind != WEIR_JSON_OBJECT || found[0].elements == 0)
        return WEIR_EINVAL;
    char *text = weir_arena_format(arena, ",\"error_code\":\"%.*s_%s\",\"request_id\":\"%.*s\"",
                                   WEIR_SPAN_PRINT(error->brand_upper), weir_reason_row(error->reason)->code,
                                   WEIR_SPAN_PRINT(error->request_id));
    if (text == NULL)
        return WEIR_ENOMEM;
    enum weir_status status = WEIR_OK;
    if (found[3].kind == WEIR_JSON_NONE && found[4].kind == WEIR_JSON_NONE)
        status = weir_json_splice_add(splice, found[0].value_at + closing_brace(found[0].value), 0,
                                      weir_span_of_string(text));
    if (status == WEIR_OK && found[1].kind == WEIR_JSON_NONE && found[2].kind == WEIR_JSON_NONE)
        status = weir_json_splice_add(splice, closing_brace(body), 0, weir_span_of_string(text));
    return status;
}

const struct weir_dialect dialect__openai = {
    .name = "openai",
    .chat_path = "/chat/completions",
    .read_call = read_call,
    .edit_call = edit_call,
    .read_answer = read_answer,
    .find_usage = find_usage,
    .edit_answer = edit_answer,
    .read_event = read_event,
    .hide_usage = hide_usage,
    .mark_event = mark_event,
    .done = {.at = "data: [DONE]\n\n", .length = 14},
    .write_error = write_error,
    .write_error_event = write_error_event,
    .edit_error = edit_error,
};
