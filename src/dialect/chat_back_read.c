/* Providers that speak chat completions, for clients that do not: what they answer. See chat_back.c.
 *
 * Thoughts come as `reasoning_content` or `reasoning`, by server. In a stream the pieces of a call are told apart by their index, and calls may come interleaved: a call is
 * over when another begins and its arguments are whole, else at the choice's end.
 */
#include "dialect/chat_codec.h"

static enum weir_finish finish_of(const struct weir_json_node *reason) {
    static const char *const names[] = {"stop",          "length",         "tool_calls",
                                        "function_call", "content_filter", "abort",
                                        "eos",           "error",          "insufficient_system_resource"};
    static const enum weir_finish finishes[] = {WEIR_FINISH_STOP, WEIR_FINISH_LENGTH, WEIR_FINISH_TOOL,
                                                WEIR_FINISH_TOOL, WEIR_FINISH_FILTER, WEIR_FINISH_STOP,
                                                WEIR_FINISH_STOP, WEIR_FINISH_BROKEN, WEIR_FINISH_LENGTH};
    size_t row = dialect__row_of(names, sizeof names / sizeof *names, reason);
    return row < sizeof names / sizeof *names ? finishes[row] : WEIR_FINISH_STOP;
}

static struct weir_span text_of(const struct weir_json_node *object, const char *name) {
    const struct weir_json_node *value = weir_json_get(object, name);
    return weir_json_is(value, WEIR_JSON_STRING) ? weir_json_inside(value) : WEIR_UNSAID;
}

static struct weir_span thoughts_of(const struct weir_json_node *object) {
    struct weir_span text = text_of(object, "reasoning_content");
    return weir_is_said(text) ? text : text_of(object, "reasoning");
}

/* --- whole answers --- */

static enum weir_status add_words(struct weir_arena *arena, struct weir_choice *choice, enum weir_part_kind kind,
                                  struct weir_span text) {
    if (!weir_is_said(text) || text.length == 0)
        return WEIR_OK;
    struct weir_part *part = weir_part_add(arena, &choice->parts, kind);
    if (part == NULL)
        return WEIR_ENOMEM;
    part->text = text;
    return WEIR_OK;
}

static enum weir_status add_call(struct weir_exchange *exchange, struct weir_choice *choice,
                                 const struct weir_json_node *call, struct weir_span id) {
    bool is_custom = weir_json_get(call, "custom") != NULL;
    const struct weir_json_node *function = weir_json_get(call, is_custom ? "custom" : "function");
    struct weir_part *part = weir_part_add(exchange->arena, &choice->parts, WEIR_PART_TOOL_CALL);
    if (part == NULL)
        return WEIR_ENOMEM;
    part->id = weir_is_said(id) && id.length > 0 ? id : WEIR_UNSAID;
    part->name = text_of(function, "name");
    part->is_custom = is_custom;
    const struct weir_json_node *arguments = weir_json_get_value(function, is_custom ? "input" : "arguments");
    if (is_custom ||
        (arguments != NULL && arguments->kind != WEIR_JSON_STRING)) { /* some servers send the object itself */
        part->arguments = arguments != NULL ? arguments->text : WEIR_SPAN("{}");
        return WEIR_OK;
    }
    return weir_wire_json(exchange->arena, weir_json_inside(arguments), &part->arguments);
}

/* A text, or parts of it. */
static enum weir_status add_content(struct weir_arena *arena, struct weir_choice *choice,
                                    const struct weir_json_node *message) {
    const struct weir_json_node *content = weir_json_get(message, "content");
    enum weir_status status = WEIR_OK;
    if (!weir_json_is(content, WEIR_JSON_ARRAY))
        return add_words(arena, choice, WEIR_PART_TEXT, text_of(message, "content"));
    for (const struct weir_json_node *item = content->first; status == WEIR_OK && item != NULL; item = item->next)
        status = add_words(arena, choice, WEIR_PART_TEXT, text_of(item, "text"));
    return status;
}

/* Calls without an id get one of the exchange's. */
static enum weir_status name_calls(struct weir_exchange *exchange, struct weir_choice *choice) {
    unsigned made = 0;
    for (struct weir_part *part = choice->parts; part != NULL; part = part->next) {
        if (part->kind != WEIR_PART_TOOL_CALL || weir_is_said(part->id))
            continue;
        char *id = weir_arena_format(exchange->arena, "call_%.*s_%lld_%u", WEIR_SPAN_PRINT(exchange->seed),
                                     (long long)choice->index, made++);
        if (id == NULL)
            return WEIR_ENOMEM;
        part->id = weir_span_of_string(id);
    }
    return WEIR_OK;
}

static enum weir_status read_choice(struct weir_exchange *exchange, const struct weir_json_node *item,
                                    struct weir_reply *reply) {
    struct weir_arena *arena = exchange->arena;
    const struct weir_json_node *message = weir_json_get(item, "message"),
                                *call = weir_json_get_value(message, "function_call"),
                                *logprobs = weir_json_get_value(item, "logprobs");
    struct weir_choice *choice = weir_reply_add_choice(arena, reply, dialect__number(weir_json_get(item, "index"), 0));
    if (choice == NULL)
        return WEIR_ENOMEM;
    enum weir_status status = add_words(arena, choice, WEIR_PART_THINKING, thoughts_of(message));
    if (status == WEIR_OK)
        status = add_content(arena, choice, message);
    if (status == WEIR_OK)
        status = add_words(arena, choice, WEIR_PART_REFUSAL, text_of(message, "refusal"));
    for (const struct weir_json_node *one = weir_json_first(weir_json_get(message, "tool_calls"));
         status == WEIR_OK && one != NULL; one = one->next)
        status = add_call(exchange, choice, one, text_of(one, "id"));
    if (status == WEIR_OK && call != NULL) {
        const struct weir_json_node older = {.kind = WEIR_JSON_OBJECT,
                                             .first = &(struct weir_json_node){.name = WEIR_SPAN("function"),
                                                                               .text = call->text,
                                                                               .first = call->first,
                                                                               .kind = call->kind}};
        status = add_call(exchange, choice, &older, WEIR_UNSAID);
    }
    choice->finish = finish_of(weir_json_get(item, "finish_reason"));
    choice->native_finish = text_of(item, "finish_reason");
    if (dialect__has_part(choice->parts, WEIR_PART_TOOL_CALL) && choice->finish == WEIR_FINISH_STOP)
        choice->finish = WEIR_FINISH_TOOL; /* some servers say "stop" */
    if (dialect__has_part(choice->parts, WEIR_PART_REFUSAL) && choice->finish == WEIR_FINISH_STOP)
        choice->finish = WEIR_FINISH_REFUSAL;
    if (logprobs != NULL)
        choice->logprobs = logprobs->text;
    return status == WEIR_OK ? name_calls(exchange, choice) : status;
}

enum weir_status dialect__chat_read_reply(struct weir_exchange *exchange, const struct weir_json_node *root,
                                          struct weir_reply *reply) {
    const struct weir_json_node *choices = weir_json_get(root, "choices"), *usage = weir_json_get(root, "usage");
    enum weir_status status = WEIR_OK;
    if (!weir_json_is(choices, WEIR_JSON_ARRAY))
        return WEIR_EPROTO;
    reply->id = text_of(root, "id");
    reply->model = text_of(root, "model");
    reply->service_tier = text_of(root, "service_tier");
    reply->has_usage = weir_json_is(usage, WEIR_JSON_OBJECT) && dialect__read_usage(usage->text, &reply->usage);
    for (const struct weir_json_node *item = choices->first; status == WEIR_OK && item != NULL; item = item->next)
        status = read_choice(exchange, item, reply);
    return status;
}

/* --- streams --- */

struct call {
    struct call *next;
    int64_t index; /* the provider's */
    size_t part;
    struct weir_braces braces;
    bool is_whole, is_over, is_custom;
};
struct choice {
    struct choice *next;
    int64_t index;
    size_t parts; /* begun so far */
    bool in_words;
    enum weir_part_kind words; /* of the part that is open */
    size_t words_part;
    struct call *calls, **last_call;
    bool has_finished, has_refused;
};
struct stream {
    struct weir_exchange *exchange;
    const struct weir_delta_sink *sink;
    struct choice *choices;
    bool begun, ended, finished;
    enum weir_status status;
};

void *dialect__chat_begin_stream(struct weir_exchange *exchange) {
    struct stream *stream = weir_arena_alloc(exchange->arena, sizeof *stream);
    if (stream != NULL)
        stream->exchange = exchange;
    return stream;
}

static void tell(struct stream *stream, const struct weir_delta *delta) {
    stream->sink->take(stream->sink->context, delta);
}

static struct choice *choice_of(struct stream *stream, int64_t index) {
    struct choice *choice = stream->choices;
    while (choice != NULL && choice->index != index)
        choice = choice->next;
    if (choice != NULL)
        return choice;
    choice = weir_arena_alloc(stream->exchange->arena, sizeof *choice);
    if (choice == NULL) {
        stream->status = WEIR_ENOMEM;
        return NULL;
    }
    choice->index = index;
    choice->last_call = &choice->calls;
    choice->next = stream->choices;
    stream->choices = choice;
    return choice;
}

static void end_part(struct stream *stream, const struct choice *choice, size_t part) {
    tell(stream, &(struct weir_delta){.kind = WEIR_DELTA_PART_END, .choice = choice->index, .part = part});
}

static void end_words(struct stream *stream, struct choice *choice) {
    if (choice->in_words)
        end_part(stream, choice, choice->words_part);
    choice->in_words = false;
}

static void end_calls(struct stream *stream, struct choice *choice, bool whole_alone) {
    for (struct call *call = choice->calls; call != NULL; call = call->next) {
        if (call->is_over || (whole_alone && !call->is_whole))
            continue;
        call->is_over = true;
        end_part(stream, choice, call->part);
    }
}

static void take_words(struct stream *stream, struct choice *choice, enum weir_part_kind kind, struct weir_span text) {
    if (!weir_is_said(text) || text.length == 0)
        return;
    if (choice->in_words && choice->words != kind)
        end_words(stream, choice);
    if (!choice->in_words) {
        end_calls(stream, choice, true);
        choice->in_words = true;
        choice->words = kind;
        choice->words_part = choice->parts++;
        tell(stream, &(struct weir_delta){.kind = WEIR_DELTA_PART_BEGIN,
                                          .choice = choice->index,
                                          .part = choice->words_part,
                                          .part_kind = kind});
    }
    tell(stream, &(struct weir_delta){.kind = WEIR_DELTA_TEXT,
                                      .choice = choice->index,
                                      .part = choice->words_part,
                                      .part_kind = kind,
                                      .text = text});
}

static struct call *begin_call(struct stream *stream, struct choice *choice, int64_t index,
                               const struct weir_json_node *item, bool is_custom) {
    struct call *call = weir_arena_alloc(stream->exchange->arena, sizeof *call);
    struct weir_span id = text_of(item, "id");
    if (call != NULL && (!weir_is_said(id) || id.length == 0)) {
        char *made = weir_arena_format(stream->exchange->arena, "call_%.*s_%lld_%lld",
                                       WEIR_SPAN_PRINT(stream->exchange->seed), (long long)choice->index,
                                       (long long)index);
        id = weir_span_of_string(made);
    }
    if (call == NULL || id.length == 0) {
        stream->status = WEIR_ENOMEM;
        return NULL;
    }
    end_words(stream, choice);
    end_calls(stream, choice, true);
    call->index = index;
    call->is_custom = is_custom;
    call->part = choice->parts++;
    *choice->last_call = call;
    choice->last_call = &call->next;
    tell(stream, &(struct weir_delta){.kind = WEIR_DELTA_PART_BEGIN,
                                      .choice = choice->index,
                                      .part = call->part,
                                      .part_kind = WEIR_PART_TOOL_CALL,
                                      .is_custom = is_custom,
                                      .id = id,
                                      .name = text_of(weir_json_get(item, is_custom ? "custom" : "function"), "name")});
    return call;
}

static bool begins_another(const struct call *call, const struct weir_json_node *item) {
    struct weir_span id = text_of(item, "id");
    return call->is_over && weir_is_said(id) && id.length > 0;
}

static void take_call(struct stream *stream, struct choice *choice, const struct weir_json_node *item, int64_t place) {
    int64_t index = dialect__number(weir_json_get(item, "index"), place);
    bool is_custom = weir_json_get(item, "custom") != NULL;
    const struct weir_json_node *arguments = weir_json_get_value(weir_json_get(item, is_custom ? "custom" : "function"),
                                                                 is_custom ? "input" : "arguments");
    struct call *call = NULL;
    for (struct call *one = choice->calls; one != NULL; one = one->next)
        if (one->index == index && !begins_another(one, item))
            call = one;
    if (call == NULL)
        call = begin_call(stream, choice, index, item, is_custom);
    if (call == NULL || call->is_over || arguments == NULL)
        return;
    struct weir_span text = weir_json_inside(arguments);
    if (arguments->kind != WEIR_JSON_STRING) { /* some servers send the object itself, whole */
        struct weir_buffer wire;
        weir_buffer_init(&wire, arguments->text.length * 2 + 16);
        weir_append_json_as_wire(&wire, arguments->text);
        if (weir_arena_dup(stream->exchange->scratch, weir_buffer_span(&wire), &text) != WEIR_OK)
            stream->status = WEIR_ENOMEM;
        weir_buffer_release(&wire);
    }
    if (text.length == 0)
        return;
    call->is_whole = !call->is_custom && weir_braces_take(&call->braces, text);
    tell(stream, &(struct weir_delta){.kind = WEIR_DELTA_TEXT,
                                      .choice = choice->index,
                                      .part = call->part,
                                      .part_kind = WEIR_PART_TOOL_CALL,
                                      .is_custom = call->is_custom,
                                      .text = text});
}

static void take_finish(struct stream *stream, struct choice *choice, const struct weir_json_node *reason) {
    enum weir_finish finish = finish_of(reason);
    if (choice->has_finished)
        return;
    end_words(stream, choice);
    end_calls(stream, choice, false);
    choice->has_finished = stream->finished = true;
    if (finish == WEIR_FINISH_STOP && choice->calls != NULL)
        finish = WEIR_FINISH_TOOL;
    if (finish == WEIR_FINISH_STOP && choice->has_refused)
        finish = WEIR_FINISH_REFUSAL;
    tell(stream, &(struct weir_delta){.kind = WEIR_DELTA_FINISH,
                                      .choice = choice->index,
                                      .finish = finish,
                                      .native_finish = weir_json_inside(reason)});
}

static void take_choice(struct stream *stream, const struct weir_json_node *item) {
    struct choice *choice = choice_of(stream, dialect__number(weir_json_get(item, "index"), 0));
    const struct weir_json_node *delta = weir_json_get(item, "delta"), *calls = weir_json_get(delta, "tool_calls"),
                                *logprobs = weir_json_get_value(item, "logprobs"),
                                *reason = weir_json_get(item, "finish_reason");
    int64_t place = 0;
    if (choice == NULL || choice->has_finished)
        return;
    take_words(stream, choice, WEIR_PART_THINKING, thoughts_of(delta));
    take_words(stream, choice, WEIR_PART_TEXT, text_of(delta, "content"));
    struct weir_span refusal = text_of(delta, "refusal");
    choice->has_refused = choice->has_refused || (weir_is_said(refusal) && refusal.length > 0);
    take_words(stream, choice, WEIR_PART_REFUSAL, refusal);
    for (const struct weir_json_node *call = weir_json_first(calls); call != NULL; call = call->next)
        take_call(stream, choice, call, place++);
    if (logprobs != NULL)
        tell(stream,
             &(struct weir_delta){.kind = WEIR_DELTA_LOGPROBS, .choice = choice->index, .json = logprobs->text});
    if (weir_json_is(reason, WEIR_JSON_STRING))
        take_finish(stream, choice, reason);
}

bool dialect__openai_read_error(struct weir_arena *arena, const struct weir_json_node *root,
                                struct weir_provider_error *error) {
    const struct weir_json_node *told = weir_json_get_value(root, "error");
    (void)arena;
    *error = (struct weir_provider_error){.status = 0};
    if (weir_json_is(told, WEIR_JSON_STRING)) { /* some servers send a text */
        error->message = weir_json_inside(told);
        return true;
    }
    const struct weir_json_node *code = weir_json_get_value(told, "code");
    error->message = text_of(told, "message");
    error->type = text_of(told, "type");
    error->code = weir_json_is(code, WEIR_JSON_NUMBER) ? code->text : text_of(told, "code");
    int64_t status = dialect__number(code, 0);
    if (status >= 400 && status <= 599)
        error->status = (unsigned)status;
    return weir_json_is(told, WEIR_JSON_OBJECT);
}

static void begin(struct stream *stream, const struct weir_json_node *root) {
    if (stream->begun)
        return;
    stream->begun = true;
    tell(stream,
         &(struct weir_delta){.kind = WEIR_DELTA_BEGIN, .id = text_of(root, "id"), .model = text_of(root, "model")});
}

enum weir_status dialect__chat_read_event(void *state, const struct weir_sse_event *event,
                                          const struct weir_delta_sink *sink) {
    struct stream *stream = state;
    struct weir_json_node *root;
    struct weir_delta delta = {.kind = WEIR_DELTA_ERROR};
    stream->sink = sink;
    if (event->data.length == 0 || stream->ended)
        return WEIR_OK;
    if (weir_span_equal(weir_span_trim(event->data), WEIR_SPAN("[DONE]"))) {
        stream->ended = true;
        tell(stream, &(struct weir_delta){.kind = WEIR_DELTA_END});
        return stream->status;
    }
    enum weir_status status = weir_json_tree_read(stream->exchange->scratch, event->data, &root, NULL);
    if (status != WEIR_OK)
        return status == WEIR_ENOMEM ? status : WEIR_EPROTO;
    if (weir_json_get_value(root, "error") != NULL &&
        dialect__openai_read_error(stream->exchange->scratch, root, &delta.error)) {
        tell(stream, &delta);
        return stream->status;
    }
    const struct weir_json_node *usage = weir_json_get(root, "usage");
    begin(stream, root);
    for (const struct weir_json_node *item = weir_json_first(weir_json_get(root, "choices")); item != NULL;
         item = item->next)
        take_choice(stream, item);
    delta.kind = WEIR_DELTA_USAGE;
    if (weir_json_is(usage, WEIR_JSON_OBJECT) && dialect__read_usage(usage->text, &delta.usage))
        tell(stream, &delta);
    return stream->status;
}

/* Some servers end without [DONE]: where a choice has finished the answer is whole. */
void dialect__chat_end_stream(void *state, const struct weir_delta_sink *sink) {
    struct stream *stream = state;
    stream->sink = sink;
    if (!stream->ended && stream->finished)
        tell(stream, &(struct weir_delta){.kind = WEIR_DELTA_END});
    stream->ended = true;
}
