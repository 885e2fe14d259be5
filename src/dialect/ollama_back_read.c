/* Providers that speak Ollama's API, for clients that do not: what they answer. See ollama_back.c. */
#include "dialect/ollama_codec.h"

static struct weir_span text_of(const struct weir_json_node *object, const char *name) {
    const struct weir_json_node *value = weir_json_get(object, name);
    return weir_json_is(value, WEIR_JSON_STRING) ? weir_json_inside(value) : WEIR_UNSAID;
}

static bool read_usage(const struct weir_json_node *root, struct weir_usage *usage) {
    int64_t input = dialect__number(weir_json_get(root, "prompt_eval_count"), -1),
            output = dialect__number(weir_json_get(root, "eval_count"), -1);
    *usage = (struct weir_usage){.input = input > 0 ? input : 0, .output = output > 0 ? output : 0};
    return input >= 0 || output >= 0;
}

static enum weir_finish finish_of(const struct weir_json_node *root, bool has_calls) {
    if (weir_json_says(weir_json_get(root, "done_reason"), "length"))
        return WEIR_FINISH_LENGTH;
    return has_calls ? WEIR_FINISH_TOOL : WEIR_FINISH_STOP;
}

/* Of older servers calls have no ids. */
static struct weir_span id_of(struct weir_exchange *exchange, const struct weir_json_node *call, size_t index) {
    struct weir_span id = text_of(call, "id");
    if (weir_is_said(id) && id.length > 0)
        return id;
    return weir_span_of_string(
        weir_arena_format(exchange->arena, "call_%.*s_%zu", WEIR_SPAN_PRINT(exchange->seed), index));
}

/* {"content":[…]}, as chat completions have them. */
static struct weir_span logprobs_of(struct weir_arena *arena, const struct weir_json_node *root) {
    const struct weir_json_node *logprobs = weir_json_get(root, "logprobs");
    if (!weir_json_is(logprobs, WEIR_JSON_ARRAY) || logprobs->count == 0)
        return WEIR_UNSAID;
    char *text = weir_arena_format(arena, "{\"content\":%.*s,\"refusal\":null}", WEIR_SPAN_PRINT(logprobs->text));
    return text == NULL ? WEIR_UNSAID : weir_span_of_string(text);
}

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

static enum weir_status read_reply(struct weir_exchange *exchange, const struct weir_json_node *root,
                                   struct weir_reply *reply) {
    const struct weir_json_node *message = weir_json_get(root, "message");
    size_t index = 0;
    if (!weir_json_is(message, WEIR_JSON_OBJECT))
        return WEIR_EPROTO;
    struct weir_choice *choice = weir_reply_add_choice(exchange->arena, reply, 0);
    if (choice == NULL)
        return WEIR_ENOMEM;
    enum weir_status status = add_words(exchange->arena, choice, WEIR_PART_THINKING, text_of(message, "thinking"));
    if (status == WEIR_OK)
        status = add_words(exchange->arena, choice, WEIR_PART_TEXT, text_of(message, "content"));
    for (const struct weir_json_node *call = weir_json_first(weir_json_get(message, "tool_calls"));
         status == WEIR_OK && call != NULL; call = call->next) {
        const struct weir_json_node *function = weir_json_get(call, "function"),
                                    *arguments = weir_json_get_value(function, "arguments");
        struct weir_part *part = weir_part_add(exchange->arena, &choice->parts, WEIR_PART_TOOL_CALL);
        if (part == NULL)
            return WEIR_ENOMEM;
        part->id = id_of(exchange, call, index++);
        part->name = text_of(function, "name");
        part->arguments = arguments != NULL ? arguments->text : WEIR_SPAN("{}");
    }
    choice->finish = finish_of(root, index > 0);
    choice->native_finish = text_of(root, "done_reason");
    choice->logprobs = logprobs_of(exchange->arena, root);
    reply->model = text_of(root, "model");
    reply->has_usage = read_usage(root, &reply->usage);
    return status;
}

/* --- streams --- */

struct stream {
    struct weir_exchange *exchange;
    const struct weir_delta_sink *sink;
    size_t parts, calls;
    bool begun, in_words, ended;
    enum weir_part_kind words; /* of the part that is open */
};

static void *begin_stream(struct weir_exchange *exchange) {
    struct stream *stream = weir_arena_alloc(exchange->arena, sizeof *stream);
    if (stream != NULL)
        stream->exchange = exchange;
    return stream;
}

static void tell(struct stream *stream, const struct weir_delta *delta) {
    stream->sink->take(stream->sink->context, delta);
}

static void end_words(struct stream *stream) {
    if (stream->in_words)
        tell(stream,
             &(struct weir_delta){.kind = WEIR_DELTA_PART_END, .part = stream->parts - 1, .part_kind = stream->words});
    stream->in_words = false;
}

static void take_words(struct stream *stream, enum weir_part_kind kind, struct weir_span text) {
    if (!weir_is_said(text) || text.length == 0)
        return;
    if (stream->in_words && stream->words != kind)
        end_words(stream);
    if (!stream->in_words) {
        stream->in_words = true;
        stream->words = kind;
        tell(stream, &(struct weir_delta){.kind = WEIR_DELTA_PART_BEGIN, .part = stream->parts++, .part_kind = kind});
    }
    tell(stream,
         &(struct weir_delta){.kind = WEIR_DELTA_TEXT, .part = stream->parts - 1, .part_kind = kind, .text = text});
}

/* Whole, each. */
static enum weir_status take_call(struct stream *stream, const struct weir_json_node *call) {
    const struct weir_json_node *function = weir_json_get(call, "function"),
                                *arguments = weir_json_get_value(function, "arguments");
    struct weir_span json = arguments != NULL ? arguments->text : WEIR_SPAN("{}"), wire = WEIR_SPAN("");
    struct weir_buffer text;
    weir_buffer_init(&text, json.length * 2 + 16);
    weir_append_json_as_wire(&text, json);
    enum weir_status status = weir_arena_dup(stream->exchange->scratch, weir_buffer_span(&text), &wire);
    weir_buffer_release(&text);
    struct weir_span id = id_of(stream->exchange, call, stream->calls);
    if (status != WEIR_OK || id.length == 0)
        return WEIR_ENOMEM;
    end_words(stream);
    struct weir_delta delta = {.kind = WEIR_DELTA_PART_BEGIN,
                               .part = stream->parts++,
                               .part_kind = WEIR_PART_TOOL_CALL,
                               .id = id,
                               .name = text_of(function, "name")};
    stream->calls++;
    tell(stream, &delta);
    delta.kind = WEIR_DELTA_TEXT;
    delta.text = wire;
    tell(stream, &delta);
    delta.kind = WEIR_DELTA_PART_END;
    tell(stream, &delta);
    return WEIR_OK;
}

static void take_end(struct stream *stream, const struct weir_json_node *root) {
    struct weir_delta delta = {.kind = WEIR_DELTA_USAGE};
    end_words(stream);
    if (read_usage(root, &delta.usage))
        tell(stream, &delta);
    tell(stream, &(struct weir_delta){.kind = WEIR_DELTA_FINISH,
                                      .finish = finish_of(root, stream->calls > 0),
                                      .native_finish = text_of(root, "done_reason")});
    stream->ended = true;
    tell(stream, &(struct weir_delta){.kind = WEIR_DELTA_END});
}

static bool read_error(struct weir_arena *arena, const struct weir_json_node *root, struct weir_provider_error *error) {
    return dialect__openai_read_error(arena, root, error); /* a text, or (where it stands in for OpenAI) an object */
}

static enum weir_status read_event(void *state, const struct weir_sse_event *event,
                                   const struct weir_delta_sink *sink) {
    struct stream *stream = state;
    struct weir_json_node *root;
    stream->sink = sink;
    if (event->data.length == 0 || stream->ended)
        return WEIR_OK;
    enum weir_status status = weir_json_tree_read(stream->exchange->scratch, event->data, &root, NULL);
    if (status != WEIR_OK)
        return status == WEIR_ENOMEM ? status : WEIR_EPROTO;
    if (weir_json_get_value(root, "error") != NULL) {
        struct weir_delta delta = {.kind = WEIR_DELTA_ERROR};
        (void)read_error(stream->exchange->scratch, root, &delta.error);
        tell(stream, &delta);
        return WEIR_OK;
    }
    if (!stream->begun)
        tell(stream, &(struct weir_delta){.kind = WEIR_DELTA_BEGIN, .model = text_of(root, "model")});
    stream->begun = true;
    const struct weir_json_node *message = weir_json_get(root, "message");
    take_words(stream, WEIR_PART_THINKING, text_of(message, "thinking"));
    take_words(stream, WEIR_PART_TEXT, text_of(message, "content"));
    for (const struct weir_json_node *call = weir_json_first(weir_json_get(message, "tool_calls"));
         status == WEIR_OK && call != NULL; call = call->next)
        status = take_call(stream, call);
    struct weir_span logprobs = logprobs_of(stream->exchange->scratch, root);
    if (weir_is_said(logprobs))
        tell(stream, &(struct weir_delta){.kind = WEIR_DELTA_LOGPROBS, .json = logprobs});
    if (status == WEIR_OK && weir_json_is(weir_json_get(root, "done"), WEIR_JSON_TRUE))
        take_end(stream, root);
    return status;
}

/* The line with "done":true is always sent: without it the answer is not whole. */
static void end_stream(void *state, const struct weir_delta_sink *sink) {
    (void)state;
    (void)sink;
}

static enum weir_status read_vectors(struct weir_exchange *exchange, const struct weir_json_node *root,
                                     struct weir_vectors_reply *reply) {
    const struct weir_json_node *list = weir_json_get(root, "embeddings");
    if (!weir_json_is(list, WEIR_JSON_ARRAY))
        return WEIR_EPROTO;
    for (const struct weir_json_node *numbers = list->first; numbers != NULL; numbers = numbers->next) {
        struct weir_vector *vector = weir_arena_alloc(exchange->arena, sizeof *vector);
        if (vector == NULL)
            return WEIR_ENOMEM;
        if (numbers->kind != WEIR_JSON_ARRAY)
            return WEIR_EPROTO;
        vector->numbers = numbers->text;
        if (reply->last_vector != NULL)
            reply->last_vector->next = vector;
        else
            reply->vectors = vector;
        reply->last_vector = vector;
    }
    reply->has_usage = read_usage(root, &reply->usage);
    return WEIR_OK;
}

extern const struct weir_back weir_back_ollama;
const struct weir_back weir_back_ollama = {
    .dialect = WEIR_DIALECT_OLLAMA,
    .framing = WEIR_FRAMING_LINES,
    .write_prompt = dialect__ollama_write_prompt,
    .read_reply = read_reply,
    .begin_stream = begin_stream,
    .read_event = read_event,
    .end_stream = end_stream,
    .read_error = read_error,
    .write_vectors_call = dialect__ollama_write_vectors_call,
    .read_vectors = read_vectors,
};
