/* Providers that speak the Responses API, for clients that do not: what they answer. See responses_back.c. */
#include "dialect/chat_codec.h"
#include "dialect/openai_vectors.h"
#include "dialect/responses_codec.h"

static struct weir_span text_of(const struct weir_json_node *object, const char *name) {
    const struct weir_json_node *value = weir_json_get(object, name);
    return weir_json_is(value, WEIR_JSON_STRING) ? weir_json_inside(value) : WEIR_UNSAID;
}

static enum weir_finish finish_of(const struct weir_json_node *response, bool has_calls, bool has_refused) {
    const struct weir_json_node *reason = weir_json_get(weir_json_get(response, "incomplete_details"), "reason");
    if (weir_json_says(reason, "content_filter"))
        return WEIR_FINISH_FILTER;
    if (weir_json_is(reason, WEIR_JSON_STRING) || weir_json_says(weir_json_get(response, "status"), "incomplete"))
        return WEIR_FINISH_LENGTH;
    return has_calls ? WEIR_FINISH_TOOL : has_refused ? WEIR_FINISH_REFUSAL : WEIR_FINISH_STOP;
}

static struct weir_span native_finish_of(const struct weir_json_node *response) {
    struct weir_span reason = text_of(weir_json_get(response, "incomplete_details"), "reason");
    return weir_is_said(reason) ? reason : text_of(response, "status");
}

/* {"content":[…]}, as chat completions have them. */
static struct weir_span logprobs_of(struct weir_arena *arena, const struct weir_json_node *content) {
    const struct weir_json_node *logprobs = weir_json_get(content, "logprobs");
    if (!weir_json_is(logprobs, WEIR_JSON_ARRAY) || logprobs->count == 0)
        return WEIR_UNSAID;
    char *text = weir_arena_format(arena, "{\"content\":%.*s,\"refusal\":null}", WEIR_SPAN_PRINT(logprobs->text));
    return text == NULL ? WEIR_UNSAID : weir_span_of_string(text);
}

/* --- whole answers --- */

static enum weir_status add_message(struct weir_arena *arena, struct weir_choice *choice,
                                    const struct weir_json_node *item) {
    for (const struct weir_json_node *one = weir_json_first(weir_json_get(item, "content")); one != NULL;
         one = one->next) {
        bool is_refusal = weir_json_says(weir_json_get(one, "type"), "refusal");
        struct weir_part *part = weir_part_add(arena, &choice->parts, is_refusal ? WEIR_PART_REFUSAL : WEIR_PART_TEXT);
        if (part == NULL)
            return WEIR_ENOMEM;
        part->text = text_of(one, is_refusal ? "refusal" : "text");
        if (!is_refusal && !weir_is_said(choice->logprobs))
            choice->logprobs = logprobs_of(arena, one);
    }
    return WEIR_OK;
}

static enum weir_status add_reasoning(struct weir_arena *arena, struct weir_choice *choice,
                                      const struct weir_json_node *item) {
    struct weir_part *texts = NULL;
    bool is_summary = weir_json_first(weir_json_get(item, "summary")) != NULL;
    for (const struct weir_json_node *one = weir_json_first(weir_json_get(item, is_summary ? "summary" : "content"));
         one != NULL; one = one->next) {
        struct weir_part *text = weir_part_add(arena, &texts, WEIR_PART_THINKING);
        if (text == NULL)
            return WEIR_ENOMEM;
        text->text = text_of(one, "text");
    }
    struct weir_part *part = weir_part_add(arena, &choice->parts, WEIR_PART_THINKING);
    if (part == NULL)
        return WEIR_ENOMEM;
    part->text = dialect__join_texts(arena, texts, WEIR_PART_THINKING, WEIR_SPAN("\\n\\n"));
    part->is_summary = is_summary;
    part->signature = (struct weir_signature){.value = text_of(item, "encrypted_content"),
                                              .from = WEIR_DIALECT_RESPONSES,
                                              .id = text_of(item, "id")};
    part->signature.is_redacted = weir_is_said(part->signature.value) && !weir_is_said(part->text);
    return WEIR_OK;
}

static enum weir_status add_call(struct weir_arena *arena, struct weir_choice *choice,
                                 const struct weir_json_node *item, bool is_custom) {
    const struct weir_json_node *arguments = weir_json_get(item, is_custom ? "input" : "arguments");
    struct weir_part *part = weir_part_add(arena, &choice->parts, WEIR_PART_TOOL_CALL);
    if (part == NULL)
        return WEIR_ENOMEM;
    part->id = text_of(item, "call_id");
    part->name = text_of(item, "name");
    part->is_custom = is_custom;
    if (!is_custom)
        return weir_wire_json(arena, weir_json_inside(arguments), &part->arguments);
    part->arguments = weir_json_is(arguments, WEIR_JSON_STRING) ? arguments->text : WEIR_SPAN("\"\"");
    return WEIR_OK;
}

enum weir_status dialect__responses_read_reply(struct weir_exchange *exchange, const struct weir_json_node *root,
                                               struct weir_reply *reply) {
    static const char *const types[] = {"message", "reasoning", "function_call", "custom_tool_call"};
    const struct weir_json_node *output = weir_json_get(root, "output"), *usage = weir_json_get(root, "usage");
    enum weir_status status = WEIR_OK;
    if (!weir_json_is(output, WEIR_JSON_ARRAY))
        return WEIR_EPROTO;
    struct weir_choice *choice = weir_reply_add_choice(exchange->arena, reply, 0);
    if (choice == NULL)
        return WEIR_ENOMEM;
    for (const struct weir_json_node *item = output->first; status == WEIR_OK && item != NULL; item = item->next) {
        switch (dialect__row_of(types, 4, weir_json_get(item, "type"))) {
        case 0: status = add_message(exchange->arena, choice, item); break;
        case 1: status = add_reasoning(exchange->arena, choice, item); break;
        case 2: status = add_call(exchange->arena, choice, item, false); break;
        case 3: status = add_call(exchange->arena, choice, item, true); break;
        default: break; /* what the provider has done for itself */
        }
    }
    choice->finish = finish_of(root, dialect__has_part(choice->parts, WEIR_PART_TOOL_CALL),
                               dialect__has_part(choice->parts, WEIR_PART_REFUSAL));
    choice->native_finish = native_finish_of(root);
    reply->id = text_of(root, "id");
    reply->model = text_of(root, "model");
    reply->service_tier = text_of(root, "service_tier");
    reply->has_usage = weir_json_is(usage, WEIR_JSON_OBJECT) && dialect__read_usage(usage->text, &reply->usage);
    return status;
}

/* --- streams --- */

struct item {
    struct item *next;
    int64_t output, content; /* the provider's places; content -1: the item itself */
    size_t part;
    enum weir_part_kind kind;
    int64_t summary; /* the last part of a summary that has come */
    bool is_custom, has_text, is_over;
};
struct stream {
    struct weir_exchange *exchange;
    const struct weir_delta_sink *sink;
    struct item *items;
    size_t parts;
    bool begun, ended, has_calls, has_refused;
    enum weir_status status;
};

void *dialect__responses_begin_back_stream(struct weir_exchange *exchange) {
    struct stream *stream = weir_arena_alloc(exchange->arena, sizeof *stream);
    if (stream != NULL)
        stream->exchange = exchange;
    return stream;
}

static void tell(struct stream *stream, const struct weir_delta *delta) {
    stream->sink->take(stream->sink->context, delta);
}

static struct item *find_item(struct stream *stream, int64_t output, int64_t content) {
    struct item *item = stream->items;
    while (item != NULL && (item->output != output || item->content != content))
        item = item->next;
    return item;
}

static struct item *begin_item(struct stream *stream, int64_t output, int64_t content, enum weir_part_kind kind,
                               const struct weir_json_node *from) {
    struct item *item = find_item(stream, output, content);
    if (item != NULL)
        return item;
    item = weir_arena_alloc(stream->exchange->arena, sizeof *item);
    if (item == NULL) {
        stream->status = WEIR_ENOMEM;
        return NULL;
    }
    *item = (struct item){.next = stream->items,
                          .output = output,
                          .content = content,
                          .part = stream->parts++,
                          .kind = kind,
                          .is_custom = weir_json_says(weir_json_get(from, "type"), "custom_tool_call")};
    stream->items = item;
    stream->has_calls = stream->has_calls || kind == WEIR_PART_TOOL_CALL;
    stream->has_refused = stream->has_refused || kind == WEIR_PART_REFUSAL;
    struct weir_delta delta = {.kind = WEIR_DELTA_PART_BEGIN,
                               .part = item->part,
                               .part_kind = kind,
                               .is_custom = item->is_custom};
    if (kind == WEIR_PART_TOOL_CALL) {
        delta.id = text_of(from, "call_id");
        delta.name = text_of(from, "name");
    }
    tell(stream, &delta);
    return item;
}

static void tell_text(struct stream *stream, struct item *item, struct weir_span text) {
    if (item == NULL || item->is_over || !weir_is_said(text) || text.length == 0)
        return;
    item->has_text = true;
    tell(stream, &(struct weir_delta){.kind = WEIR_DELTA_TEXT,
                                      .part = item->part,
                                      .part_kind = item->kind,
                                      .is_custom = item->is_custom,
                                      .text = text});
}

static void end_item(struct stream *stream, struct item *item) {
    if (item == NULL || item->is_over)
        return;
    item->is_over = true;
    tell(stream, &(struct weir_delta){.kind = WEIR_DELTA_PART_END, .part = item->part, .part_kind = item->kind});
}

static void on_item_added(struct stream *stream, const struct weir_json_node *root, int64_t output) {
    const struct weir_json_node *item = weir_json_get(root, "item"), *type = weir_json_get(item, "type");
    if (weir_json_says(type, "reasoning"))
        (void)begin_item(stream, output, -1, WEIR_PART_THINKING, item);
    else if (weir_json_says(type, "function_call") || weir_json_says(type, "custom_tool_call"))
        (void)begin_item(stream, output, -1, WEIR_PART_TOOL_CALL, item);
}

/* What has not come in pieces comes whole with the item. */
static void on_item_done(struct stream *stream, const struct weir_json_node *root, int64_t output) {
    const struct weir_json_node *node = weir_json_get(root, "item");
    on_item_added(stream, root, output);
    struct item *item = find_item(stream, output, -1);
    if (item == NULL) { /* a message: its parts have ended, or do now */
        for (struct item *one = stream->items; one != NULL; one = one->next)
            if (one->output == output)
                end_item(stream, one);
        return;
    }
    if (item->kind == WEIR_PART_TOOL_CALL && !item->has_text)
        tell_text(stream, item, text_of(node, item->is_custom ? "input" : "arguments"));
    if (item->kind == WEIR_PART_THINKING) {
        for (const struct weir_json_node *one = weir_json_first(weir_json_get(node, "summary"));
             !item->has_text && one != NULL; one = one->next)
            tell_text(stream, item, text_of(one, "text"));
        struct weir_signature signature = {.value = text_of(node, "encrypted_content"),
                                           .from = WEIR_DIALECT_RESPONSES,
                                           .is_redacted = !item->has_text,
                                           .id = text_of(node, "id")};
        if (weir_is_said(signature.value))
            tell(stream, &(struct weir_delta){.kind = WEIR_DELTA_SIGNATURE,
                                              .part = item->part,
                                              .part_kind = item->kind,
                                              .signature = signature});
    }
    end_item(stream, item);
}

static void on_summary(struct stream *stream, const struct weir_json_node *root, int64_t output) {
    int64_t summary = dialect__number(weir_json_get(root, "summary_index"), 0);
    struct item *item = begin_item(stream, output, -1, WEIR_PART_THINKING, NULL);
    if (item == NULL)
        return;
    if (summary > item->summary && item->has_text)
        tell_text(stream, item, WEIR_SPAN("\\n\\n"));
    item->summary = summary;
    tell_text(stream, item, text_of(root, "delta"));
}

static void on_text(struct stream *stream, const struct weir_json_node *root, int64_t output, int64_t content) {
    const struct weir_json_node *logprobs = weir_json_get(root, "logprobs");
    tell_text(stream, begin_item(stream, output, content, WEIR_PART_TEXT, NULL), text_of(root, "delta"));
    if (!weir_json_is(logprobs, WEIR_JSON_ARRAY) || logprobs->count == 0)
        return;
    struct weir_span json = logprobs_of(stream->exchange->scratch, root);
    if (weir_is_said(json))
        tell(stream, &(struct weir_delta){.kind = WEIR_DELTA_LOGPROBS, .json = json});
}

static void on_end(struct stream *stream, const struct weir_json_node *root) {
    const struct weir_json_node *response = weir_json_get(root, "response"), *usage = weir_json_get(response, "usage");
    struct weir_delta delta = {.kind = WEIR_DELTA_USAGE};
    stream->ended = true;
    for (struct item *item = stream->items; item != NULL; item = item->next)
        end_item(stream, item);
    if (weir_json_is(usage, WEIR_JSON_OBJECT) && dialect__read_usage(usage->text, &delta.usage))
        tell(stream, &delta);
    tell(stream, &(struct weir_delta){.kind = WEIR_DELTA_FINISH,
                                      .finish = finish_of(response, stream->has_calls, stream->has_refused),
                                      .native_finish = native_finish_of(response)});
    tell(stream, &(struct weir_delta){.kind = WEIR_DELTA_END});
}

/* `error` of a failed response, or the members of an event of that name. */
static void on_failure(struct stream *stream, const struct weir_json_node *root) {
    const struct weir_json_node *error = weir_json_get_value(weir_json_get(root, "response"), "error");
    struct weir_delta delta = {.kind = WEIR_DELTA_ERROR};
    if (error == NULL)
        error = weir_json_is(weir_json_get(root, "error"), WEIR_JSON_OBJECT) ? weir_json_get(root, "error") : root;
    delta.error.message = text_of(error, "message");
    delta.error.code = text_of(error, "code");
    delta.error.type = text_of(error, "type");
    if (weir_json_says(weir_json_get(error, "code"), "rate_limit_exceeded"))
        delta.error.status = 429;
    stream->ended = true;
    tell(stream, &delta);
}

enum weir_status dialect__responses_read_event(void *state, const struct weir_sse_event *event,
                                               const struct weir_delta_sink *sink) {
    static const char *const types[] = {"response.output_text.delta",
                                        "response.function_call_arguments.delta",
                                        "response.custom_tool_call_input.delta",
                                        "response.reasoning_summary_text.delta",
                                        "response.reasoning_text.delta",
                                        "response.refusal.delta",
                                        "response.output_item.added",
                                        "response.output_item.done",
                                        "response.content_part.done",
                                        "response.created",
                                        "response.completed",
                                        "response.incomplete",
                                        "response.failed",
                                        "error"};
    enum {
        TEXT,
        ARGUMENTS,
        INPUT,
        SUMMARY,
        THOUGHT,
        REFUSAL,
        ITEM_ADDED,
        ITEM_DONE,
        PART_DONE,
        CREATED,
        COMPLETED,
        INCOMPLETE,
        FAILED,
        ERROR,
        TYPES
    };
    struct stream *stream = state;
    struct weir_json_node *root;
    stream->sink = sink;
    if (event->data.length == 0 || stream->ended || weir_span_equal(event->data, WEIR_SPAN("[DONE]")))
        return WEIR_OK;
    enum weir_status status = weir_json_tree_read(stream->exchange->scratch, event->data, &root, NULL);
    if (status != WEIR_OK)
        return status == WEIR_ENOMEM ? status : WEIR_EPROTO;
    int64_t output = dialect__number(weir_json_get(root, "output_index"), 0),
            content = dialect__number(weir_json_get(root, "content_index"), 0);
    const struct weir_json_node *response = weir_json_get(root, "response");
    size_t type = dialect__row_of(types, TYPES, weir_json_get(root, "type"));
    if (!stream->begun && type != ERROR && type != FAILED) {
        stream->begun = true;
        tell(stream, &(struct weir_delta){.kind = WEIR_DELTA_BEGIN,
                                          .id = text_of(response, "id"),
                                          .model = text_of(response, "model")});
    }
    switch (type) {
    case TEXT: on_text(stream, root, output, content); break;
    case REFUSAL:
        tell_text(stream, begin_item(stream, output, content, WEIR_PART_REFUSAL, NULL), text_of(root, "delta"));
        break;
    case ARGUMENTS:
    case INPUT: tell_text(stream, find_item(stream, output, -1), text_of(root, "delta")); break;
    case SUMMARY:
    case THOUGHT: on_summary(stream, root, output); break;
    case ITEM_ADDED: on_item_added(stream, root, output); break;
    case ITEM_DONE: on_item_done(stream, root, output); break;
    case PART_DONE: end_item(stream, find_item(stream, output, content)); break;
    case COMPLETED:
    case INCOMPLETE: on_end(stream, root); break;
    case FAILED:
    case ERROR: on_failure(stream, root); break;
    default: break;
    }
    return stream->status;
}

/* A terminal event is always sent: without one the answer is not whole. */
void dialect__responses_end_back_stream(void *state, const struct weir_delta_sink *sink) {
    (void)state;
    (void)sink;
}

/* --- counts --- */

static enum weir_status write_count_call(struct weir_exchange *exchange, const struct weir_prompt *prompt,
                                         struct weir_back_target *target, struct weir_buffer *out,
                                         struct weir_call_problem *problem) {
    *target = (struct weir_back_target){.path = WEIR_SPAN("/responses/input_tokens")};
    return dialect__responses_write_body(exchange, prompt, true, out, problem);
}

static enum weir_status read_count(struct weir_exchange *exchange, const struct weir_json_node *root, int64_t *tokens) {
    (void)exchange;
    *tokens = dialect__number(weir_json_get(root, "input_tokens"), -1);
    return *tokens < 0 ? WEIR_EPROTO : WEIR_OK;
}

extern const struct weir_back weir_back_responses;
const struct weir_back weir_back_responses = {
    .dialect = WEIR_DIALECT_RESPONSES,
    .framing = WEIR_FRAMING_EVENTS,
    .write_prompt = dialect__responses_write_prompt,
    .read_reply = dialect__responses_read_reply,
    .begin_stream = dialect__responses_begin_back_stream,
    .read_event = dialect__responses_read_event,
    .end_stream = dialect__responses_end_back_stream,
    .read_error = dialect__openai_read_error,
    .write_vectors_call = dialect__openai_write_vectors_call,
    .read_vectors = dialect__openai_read_vectors,
    .write_count_call = write_count_call,
    .read_count = read_count,
};
