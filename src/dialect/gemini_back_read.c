/* Providers that speak the Gemini API, for clients that do not: what they answer, and vectors and counts whole. See gemini_back.c.
 *
 * A stream's pieces are answers of their own whose usage is cumulative; calls come whole. An answer that ends with calls says STOP like any other. A prompt that a
 * filter has stopped has no candidates: it becomes an answer without content that says why.
 */
#include "dialect/gemini_codec.h"

static struct weir_span text_of(const struct weir_json_node *object, const char *name) {
    const struct weir_json_node *value = weir_json_get(object, name);
    return weir_json_is(value, WEIR_JSON_STRING) ? weir_json_inside(value) : WEIR_UNSAID;
}

static enum weir_finish finish_of(const struct weir_json_node *reason) {
    static const char *const names[] = {"STOP",
                                        "MAX_TOKENS",
                                        "CONTINUATION",
                                        "MALFORMED_FUNCTION_CALL",
                                        "UNEXPECTED_TOOL_CALL",
                                        "TOO_MANY_TOOL_CALLS",
                                        "MISSING_THOUGHT_SIGNATURE",
                                        "MALFORMED_RESPONSE"};
    static const enum weir_finish finishes[] = {WEIR_FINISH_STOP,   WEIR_FINISH_LENGTH, WEIR_FINISH_LENGTH,
                                                WEIR_FINISH_BROKEN, WEIR_FINISH_BROKEN, WEIR_FINISH_BROKEN,
                                                WEIR_FINISH_BROKEN, WEIR_FINISH_BROKEN};
    size_t row = dialect__row_of(names, sizeof names / sizeof *names, reason);
    return row < sizeof names / sizeof *names ? finishes[row] : WEIR_FINISH_FILTER;
}

static bool has_finished(const struct weir_json_node *reason) {
    return weir_json_is(reason, WEIR_JSON_STRING) && !weir_json_says(reason, "FINISH_REASON_UNSPECIFIED");
}

static struct weir_signature signature_of(const struct weir_json_node *part) {
    struct weir_span value = text_of(part, "thoughtSignature");
    return (struct weir_signature){.value = value.length > 0 ? value : WEIR_UNSAID,
                                   .from = WEIR_DIALECT_GEMINI,
                                   .id = WEIR_UNSAID};
}

/* --- log probabilities, in the shape of chat completions --- */

static void write_token(struct weir_json_writer *writer, const struct weir_json_node *token) {
    const struct weir_json_node *number = weir_json_get(token, "logProbability");
    struct weir_span text = text_of(token, "token");
    dialect__member_wire(writer, "token", weir_is_said(text) ? text : WEIR_SPAN(""));
    dialect__member_json(writer, "logprob", weir_json_is(number, WEIR_JSON_NUMBER) ? number->text : WEIR_SPAN("0"));
    weir_json_member_text(writer, "bytes", NULL);
}

/* {"chosenCandidates":[…],"topCandidates":[{"candidates":[…]},…]}, one a token. */
static enum weir_status read_logprobs(struct weir_arena *arena, const struct weir_json_node *result,
                                      struct weir_span *json) {
    const struct weir_json_node *top = weir_json_first(weir_json_get(result, "topCandidates"));
    struct weir_json_writer writer;
    struct weir_buffer out;
    *json = WEIR_UNSAID;
    if (!weir_json_is(weir_json_get(result, "chosenCandidates"), WEIR_JSON_ARRAY))
        return WEIR_OK;
    weir_buffer_init(&out, 8 * result->text.length + 256);
    weir_json_writer_init(&writer, &out);
    weir_json_write_object(&writer);
    weir_json_write_name(&writer, "content");
    weir_json_write_array(&writer);
    for (const struct weir_json_node *token = weir_json_first(weir_json_get(result, "chosenCandidates")); token != NULL;
         token = token->next) {
        weir_json_write_object(&writer);
        write_token(&writer, token);
        weir_json_write_name(&writer, "top_logprobs");
        weir_json_write_array(&writer);
        for (const struct weir_json_node *other = weir_json_first(weir_json_get(top, "candidates")); other != NULL;
             other = other->next) {
            weir_json_write_object(&writer);
            write_token(&writer, other);
            weir_json_write_end(&writer);
        }
        weir_json_write_end(&writer);
        weir_json_write_end(&writer);
        top = top != NULL ? top->next : NULL;
    }
    weir_json_write_end(&writer);
    weir_json_write_end(&writer);
    enum weir_status status = weir_buffer_status(&out) == WEIR_OK ? weir_arena_dup(arena, weir_buffer_span(&out), json)
                                                                  : WEIR_ENOMEM;
    weir_buffer_release(&out);
    return status;
}

/* --- parts --- */

/* Calls without an id get one of the exchange's; `number` counts them through the choice. */
static enum weir_status read_call(struct weir_exchange *exchange, const struct weir_json_node *call, int64_t choice,
                                  unsigned number, struct weir_part *part) {
    const struct weir_json_node *arguments = weir_json_get_value(call, "args");
    part->id = text_of(call, "id");
    part->name = text_of(call, "name");
    if (!weir_is_said(part->name))
        part->name = WEIR_SPAN("");
    if (part->id.length == 0) {
        char *id = weir_arena_format(exchange->arena, "call_%.*s_%lld_%u", WEIR_SPAN_PRINT(exchange->seed),
                                     (long long)choice, number);
        if (id == NULL)
            return WEIR_ENOMEM;
        part->id = weir_span_of_string(id);
    }
    part->is_custom = dialect__gemini_is_custom(exchange, part->name);
    if (part->is_custom)
        arguments = weir_json_get_value(arguments, DIALECT__GEMINI_CUSTOM_MEMBER);
    part->arguments = arguments != NULL ? arguments->text : part->is_custom ? WEIR_SPAN("\"\"") : WEIR_SPAN("{}");
    return WEIR_OK;
}

/* The type of a part that no other format has is the member beside the common ones. */
static struct weir_span type_of(const struct weir_json_node *item) {
    for (const struct weir_json_node *member = weir_json_first(item); member != NULL; member = member->next)
        if (member->kind == WEIR_JSON_OBJECT && !weir_span_equal(member->name, WEIR_SPAN("videoMetadata")))
            return member->name;
    return WEIR_SPAN("part");
}

/* Into *part, which is zeroed. */
static enum weir_status read_part(struct weir_exchange *exchange, const struct weir_json_node *item, int64_t choice,
                                  unsigned call_number, struct weir_part *part) {
    const struct weir_json_node *call = weir_json_get_value(item, "functionCall"),
                                *blob = weir_json_get_value(item, "inlineData"),
                                *text = weir_json_get_value(item, "text");
    part->signature = signature_of(item);
    if (call != NULL) {
        part->kind = WEIR_PART_TOOL_CALL;
        return read_call(exchange, call, choice, call_number, part);
    }
    if (weir_json_is(text, WEIR_JSON_STRING) || (blob == NULL && weir_is_said(part->signature.value))) {
        part->kind = weir_json_is(weir_json_get(item, "thought"), WEIR_JSON_TRUE) ? WEIR_PART_THINKING : WEIR_PART_TEXT;
        part->text = text != NULL ? weir_json_inside(text) : WEIR_SPAN("");
        return WEIR_OK;
    }
    part->kind = WEIR_PART_OTHER;
    part->name = type_of(item);
    part->json = item->text;
    if (blob != NULL) {
        struct weir_span type = text_of(blob, "mimeType");
        part->kind = weir_span_starts_with(type, WEIR_SPAN("image/"))   ? WEIR_PART_IMAGE
                     : weir_span_starts_with(type, WEIR_SPAN("audio/")) ? WEIR_PART_AUDIO
                                                                        : WEIR_PART_OTHER;
        part->media = (struct weir_media){.source = WEIR_MEDIA_INLINE, .data = text_of(blob, "data"), .type = type};
    }
    return WEIR_OK;
}

/* --- whole answers --- */

/* A filter that lets no prompt pass gives a reason and nothing else. */
static const struct weir_json_node *block_of(const struct weir_json_node *root) {
    return weir_json_get_value(weir_json_get(root, "promptFeedback"), "blockReason");
}

static struct weir_span block_text(const struct weir_json_node *root) {
    struct weir_span text = text_of(weir_json_get(root, "promptFeedback"), "blockReasonMessage");
    return weir_is_said(text) ? text : weir_json_inside(block_of(root));
}

static enum weir_status read_candidate(struct weir_exchange *exchange, const struct weir_json_node *item, int64_t place,
                                       struct weir_reply *reply) {
    const struct weir_json_node *reason = weir_json_get(item, "finishReason"),
                                *logprobs = weir_json_get_value(item, "logprobsResult");
    int64_t index = dialect__number(weir_json_get(item, "index"), place);
    struct weir_choice *choice = weir_reply_add_choice(exchange->arena, reply, index);
    unsigned calls = 0;
    enum weir_status status = WEIR_OK;
    if (choice == NULL)
        return WEIR_ENOMEM;
    for (const struct weir_json_node *one = weir_json_first(weir_json_get(weir_json_get(item, "content"), "parts"));
         status == WEIR_OK && one != NULL; one = one->next) {
        struct weir_part read = {.kind = WEIR_PART_TEXT};
        status = read_part(exchange, one, index, calls, &read);
        struct weir_part *part = status == WEIR_OK ? weir_part_add(exchange->arena, &choice->parts, read.kind) : NULL;
        if (part == NULL)
            return WEIR_ENOMEM;
        *part = read;
        calls += read.kind == WEIR_PART_TOOL_CALL ? 1 : 0;
    }
    choice->finish = has_finished(reason) ? finish_of(reason) : WEIR_FINISH_STOP;
    choice->native_finish = text_of(item, "finishReason");
    choice->finish_text = text_of(item, "finishMessage");
    if (calls > 0 && choice->finish == WEIR_FINISH_STOP)
        choice->finish = WEIR_FINISH_TOOL;
    return status == WEIR_OK && logprobs != NULL ? read_logprobs(exchange->arena, logprobs, &choice->logprobs) : status;
}

static enum weir_status read_reply(struct weir_exchange *exchange, const struct weir_json_node *root,
                                   struct weir_reply *reply) {
    const struct weir_json_node *candidates = weir_json_get(root, "candidates"), *blocked = block_of(root),
                                *usage = weir_json_get(root, "usageMetadata");
    enum weir_status status = WEIR_OK;
    int64_t place = 0;
    reply->id = text_of(root, "responseId");
    reply->model = text_of(root, "modelVersion");
    reply->has_usage = weir_json_is(usage, WEIR_JSON_OBJECT) && dialect__read_gemini_usage(usage->text, &reply->usage);
    for (const struct weir_json_node *item = weir_json_first(candidates); status == WEIR_OK && item != NULL;
         item = item->next)
        status = read_candidate(exchange, item, place++, reply);
    if (status != WEIR_OK || reply->choices != NULL)
        return status;
    if (!weir_json_is(blocked, WEIR_JSON_STRING))
        return WEIR_EPROTO;
    struct weir_choice *choice = weir_reply_add_choice(exchange->arena, reply, 0);
    if (choice == NULL)
        return WEIR_ENOMEM;
    choice->finish = WEIR_FINISH_FILTER;
    choice->native_finish = weir_json_inside(blocked);
    choice->finish_text = block_text(root);
    return WEIR_OK;
}

/* --- errors --- */

/* google.rpc.Code */
static unsigned status_of(const struct weir_json_node *name) {
    static const char *const names[] = {
        "INVALID_ARGUMENT",  "FAILED_PRECONDITION", "OUT_OF_RANGE",   "UNAUTHENTICATED",
        "PERMISSION_DENIED", "NOT_FOUND",           "ALREADY_EXISTS", "ABORTED",
        "CANCELLED",         "RESOURCE_EXHAUSTED",  "INTERNAL",       "UNKNOWN",
        "DATA_LOSS",         "UNIMPLEMENTED",       "UNAVAILABLE",    "DEADLINE_EXCEEDED"};
    static const unsigned statuses[] = {400, 400, 400, 401, 403, 404, 409, 409, 499, 429, 500, 500, 500, 501, 503, 504};
    size_t row = dialect__row_of(names, sizeof names / sizeof *names, name);
    return row < sizeof names / sizeof *names ? statuses[row] : 0;
}

/* "3s", "3.5s" */
static int64_t milliseconds_of(const struct weir_json_node *delay) {
    struct weir_span text = weir_json_is(delay, WEIR_JSON_STRING) ? weir_json_inside(delay) : WEIR_SPAN("");
    int64_t value = 0;
    bool rounded;
    if (!weir_span_ends_with(text, WEIR_SPAN("s")) || text.at[0] == '-' ||
        weir_json_scaled_int64(weir_span_first(text, text.length - 1), 3, &value, &rounded) != WEIR_OK)
        return 0;
    return value;
}

static bool read_error(struct weir_arena *arena, const struct weir_json_node *root, struct weir_provider_error *error) {
    if (weir_json_is(root, WEIR_JSON_ARRAY)) /* a stream that was asked for as one */
        root = root->first;
    const struct weir_json_node *told = weir_json_get_value(root, "error");
    (void)arena;
    *error = (struct weir_provider_error){.status = 0};
    if (!weir_json_is(told, WEIR_JSON_OBJECT))
        return false;
    int64_t code = dialect__number(weir_json_get(told, "code"), 0);
    error->message = text_of(told, "message");
    error->type = text_of(told, "status");
    error->code = error->type;
    error->status = code >= 400 && code <= 599 ? (unsigned)code : status_of(weir_json_get(told, "status"));
    for (const struct weir_json_node *detail = weir_json_first(weir_json_get(told, "details")); detail != NULL;
         detail = detail->next) {
        const struct weir_json_node *type = weir_json_get(detail, "@type");
        if (weir_json_says(type, "type.googleapis.com/google.rpc.RetryInfo"))
            error->retry_after_ms = milliseconds_of(weir_json_get(detail, "retryDelay"));
        else if (weir_json_says(type, "type.googleapis.com/google.rpc.ErrorInfo") &&
                 weir_is_said(text_of(detail, "reason")))
            error->code = text_of(detail, "reason");
    }
    return true;
}

/* --- streams --- */

struct choice {
    struct choice *next;
    int64_t index;
    size_t parts; /* begun so far */
    unsigned calls;
    bool in_words, has_finished;
    enum weir_part_kind words; /* of the part that is open, which is the last */
};
struct stream {
    struct weir_exchange *exchange;
    const struct weir_delta_sink *sink;
    struct choice *choices;
    bool begun, ended, finished;
};

static void *begin_stream(struct weir_exchange *exchange) {
    struct stream *stream = weir_arena_alloc(exchange->arena, sizeof *stream);
    if (stream != NULL)
        stream->exchange = exchange;
    return stream;
}

static void tell(const struct stream *stream, const struct weir_delta *delta) {
    stream->sink->take(stream->sink->context, delta);
}

/* NULL: no memory. */
static struct choice *choice_of(struct stream *stream, int64_t index) {
    struct choice *choice = stream->choices;
    while (choice != NULL && choice->index != index)
        choice = choice->next;
    if (choice != NULL)
        return choice;
    choice = weir_arena_alloc(stream->exchange->arena, sizeof *choice);
    if (choice == NULL)
        return NULL;
    choice->index = index;
    choice->next = stream->choices;
    stream->choices = choice;
    return choice;
}

static void end_words(const struct stream *stream, struct choice *choice) {
    if (choice->in_words)
        tell(stream,
             &(struct weir_delta){.kind = WEIR_DELTA_PART_END, .choice = choice->index, .part = choice->parts - 1});
    choice->in_words = false;
}

/* A signature ends the part that it stands in: what follows is a part of its own. */
static void take_words(const struct stream *stream, struct choice *choice, const struct weir_part *part) {
    bool is_signed = weir_is_said(part->signature.value);
    if (part->text.length == 0 && !is_signed)
        return;
    if (choice->in_words && choice->words != part->kind)
        end_words(stream, choice);
    if (!choice->in_words) {
        choice->in_words = true;
        choice->words = part->kind;
        tell(stream, &(struct weir_delta){.kind = WEIR_DELTA_PART_BEGIN,
                                          .choice = choice->index,
                                          .part = choice->parts++,
                                          .part_kind = part->kind});
    }
    struct weir_delta delta = {.choice = choice->index,
                               .part = choice->parts - 1,
                               .part_kind = part->kind,
                               .text = part->text};
    delta.kind = WEIR_DELTA_TEXT;
    if (part->text.length > 0)
        tell(stream, &delta);
    delta.kind = WEIR_DELTA_SIGNATURE;
    delta.text = WEIR_UNSAID;
    delta.signature = part->signature;
    if (!is_signed)
        return;
    tell(stream, &delta);
    end_words(stream, choice);
}

static enum weir_status take_call(const struct stream *stream, struct choice *choice, const struct weir_part *part) {
    struct weir_delta delta = {.kind = WEIR_DELTA_PART_BEGIN,
                               .choice = choice->index,
                               .part_kind = WEIR_PART_TOOL_CALL,
                               .is_custom = part->is_custom,
                               .id = part->id,
                               .name = part->name,
                               .signature = part->signature};
    struct weir_span text = WEIR_SPAN("");
    enum weir_status status = WEIR_OK;
    end_words(stream, choice);
    delta.part = choice->parts++;
    choice->calls++;
    tell(stream, &delta);
    if (part->is_custom && part->arguments.at[0] == '"') {
        text = weir_span_of(part->arguments.at + 1, part->arguments.length - 2);
    } else {
        struct weir_buffer wire;
        weir_buffer_init(&wire, part->arguments.length * 2 + 16);
        weir_append_json_as_wire(&wire, part->arguments);
        status = weir_arena_dup(stream->exchange->scratch, weir_buffer_span(&wire), &text);
        weir_buffer_release(&wire);
    }
    delta.kind = WEIR_DELTA_TEXT;
    delta.text = text;
    if (status == WEIR_OK && text.length > 0)
        tell(stream, &delta);
    delta.kind = WEIR_DELTA_PART_END;
    tell(stream, &delta);
    return status;
}

/* What comes whole in one piece and is no text: pictures, sound, code that the provider ran. */
static void take_other(const struct stream *stream, struct choice *choice, const struct weir_part *part) {
    end_words(stream, choice);
    struct weir_delta delta = {.kind = WEIR_DELTA_PART_BEGIN,
                               .choice = choice->index,
                               .part = choice->parts++,
                               .part_kind = part->kind,
                               .name = part->name,
                               .json = part->json};
    tell(stream, &delta);
    delta.kind = WEIR_DELTA_PART_END;
    tell(stream, &delta);
}

static void take_finish(struct stream *stream, struct choice *choice, enum weir_finish finish, struct weir_span native,
                        struct weir_span text) {
    if (choice->has_finished)
        return;
    end_words(stream, choice);
    choice->has_finished = stream->finished = true;
    if (finish == WEIR_FINISH_STOP && choice->calls > 0)
        finish = WEIR_FINISH_TOOL;
    tell(stream, &(struct weir_delta){.kind = WEIR_DELTA_FINISH,
                                      .choice = choice->index,
                                      .finish = finish,
                                      .native_finish = native,
                                      .finish_text = text});
}

static enum weir_status take_candidate(struct stream *stream, const struct weir_json_node *item, int64_t place) {
    const struct weir_json_node *reason = weir_json_get(item, "finishReason"),
                                *logprobs = weir_json_get_value(item, "logprobsResult");
    struct choice *choice = choice_of(stream, dialect__number(weir_json_get(item, "index"), place));
    enum weir_status status = choice == NULL ? WEIR_ENOMEM : WEIR_OK;
    if (choice == NULL || choice->has_finished)
        return status;
    for (const struct weir_json_node *one = weir_json_first(weir_json_get(weir_json_get(item, "content"), "parts"));
         status == WEIR_OK && one != NULL; one = one->next) {
        struct weir_part part = {.kind = WEIR_PART_TEXT};
        status = read_part(stream->exchange, one, choice->index, choice->calls, &part);
        if (status != WEIR_OK)
            return status;
        if (part.kind == WEIR_PART_TOOL_CALL)
            status = take_call(stream, choice, &part);
        else if (part.kind == WEIR_PART_TEXT || part.kind == WEIR_PART_THINKING)
            take_words(stream, choice, &part);
        else
            take_other(stream, choice, &part);
    }
    struct weir_delta delta = {.kind = WEIR_DELTA_LOGPROBS, .choice = choice->index, .json = WEIR_UNSAID};
    if (status == WEIR_OK && logprobs != NULL)
        status = read_logprobs(stream->exchange->scratch, logprobs, &delta.json);
    if (status == WEIR_OK && weir_is_said(delta.json))
        tell(stream, &delta);
    if (status == WEIR_OK && has_finished(reason))
        take_finish(stream, choice, finish_of(reason), weir_json_inside(reason), text_of(item, "finishMessage"));
    return status;
}

static enum weir_status take_blocked(struct stream *stream, const struct weir_json_node *root) {
    struct choice *choice = choice_of(stream, 0);
    if (choice == NULL)
        return WEIR_ENOMEM;
    take_finish(stream, choice, WEIR_FINISH_FILTER, weir_json_inside(block_of(root)), block_text(root));
    return WEIR_OK;
}

static enum weir_status read_event(void *state, const struct weir_sse_event *event,
                                   const struct weir_delta_sink *sink) {
    struct stream *stream = state;
    struct weir_json_node *root;
    struct weir_delta delta = {.kind = WEIR_DELTA_ERROR};
    int64_t place = 0;
    stream->sink = sink;
    if (event->data.length == 0 || stream->ended)
        return WEIR_OK;
    enum weir_status status = weir_json_tree_read(stream->exchange->scratch, event->data, &root, NULL);
    if (status != WEIR_OK)
        return status == WEIR_ENOMEM ? status : WEIR_EPROTO;
    if (read_error(stream->exchange->scratch, root, &delta.error)) {
        tell(stream, &delta);
        return WEIR_OK;
    }
    if (!stream->begun)
        tell(stream, &(struct weir_delta){.kind = WEIR_DELTA_BEGIN,
                                          .id = text_of(root, "responseId"),
                                          .model = text_of(root, "modelVersion")});
    stream->begun = true;
    for (const struct weir_json_node *item = weir_json_first(weir_json_get(root, "candidates"));
         status == WEIR_OK && item != NULL; item = item->next)
        status = take_candidate(stream, item, place++);
    if (status == WEIR_OK && place == 0 && weir_json_is(block_of(root), WEIR_JSON_STRING))
        status = take_blocked(stream, root);
    const struct weir_json_node *usage = weir_json_get(root, "usageMetadata");
    delta.kind = WEIR_DELTA_USAGE;
    if (status == WEIR_OK && weir_json_is(usage, WEIR_JSON_OBJECT) &&
        dialect__read_gemini_usage(usage->text, &delta.usage))
        tell(stream, &delta);
    return status;
}

/* Nothing ends a stream but its body: it is whole where a candidate has said why it has finished. */
static void end_stream(void *state, const struct weir_delta_sink *sink) {
    struct stream *stream = state;
    bool all = stream->finished;
    stream->sink = sink;
    for (const struct choice *choice = stream->choices; choice != NULL; choice = choice->next)
        all = all && choice->has_finished;
    if (!stream->ended && all)
        tell(stream, &(struct weir_delta){.kind = WEIR_DELTA_END});
    stream->ended = true;
}

/* --- vectors and counts --- */

static void write_input(struct weir_json_writer *writer, const struct weir_vectors_call *call,
                        const struct weir_vector_input *input) {
    weir_json_write_name(writer, "content");
    weir_json_write_object(writer);
    weir_json_write_name(writer, "parts");
    weir_json_write_array(writer);
    weir_json_write_object(writer);
    dialect__member_wire(writer, "text", input->text);
    weir_json_write_end(writer);
    weir_json_write_end(writer);
    weir_json_write_end(writer);
    dialect__member_json(writer, "outputDimensionality", call->values[WEIR_PARAMETER_DIMENSIONS]);
}

static enum weir_status write_vectors_call(struct weir_exchange *exchange, const struct weir_vectors_call *call,
                                           struct weir_back_target *target, struct weir_buffer *out,
                                           struct weir_call_problem *problem) {
    struct weir_json_writer writer;
    struct weir_span model = dialect__gemini_model_name(exchange);
    *target = (struct weir_back_target){.path = dialect__gemini_path(exchange, call->is_single ? ":embedContent"
                                                                                               : ":batchEmbedContents"),
                                        .query = WEIR_SPAN("")};
    if (target->path.length == 0)
        return WEIR_ENOMEM;
    for (const struct weir_vector_input *input = call->inputs; input != NULL; input = input->next)
        if (!weir_is_said(input->text))
            return dialect__cannot_send(problem, "input", "a list of tokens", WEIR_DIALECT_GEMINI);
    weir_json_writer_init(&writer, out);
    weir_json_write_object(&writer);
    if (call->is_single && call->inputs != NULL) {
        weir_json_member_string(&writer, "model", model);
        write_input(&writer, call, call->inputs);
    } else {
        weir_json_write_name(&writer, "requests");
        weir_json_write_array(&writer);
        for (const struct weir_vector_input *input = call->inputs; input != NULL; input = input->next) {
            weir_json_write_object(&writer);
            weir_json_member_string(&writer, "model", model);
            write_input(&writer, call, input);
            weir_json_write_end(&writer);
        }
        weir_json_write_end(&writer);
    }
    weir_json_write_end(&writer);
    return weir_buffer_status(out);
}

static enum weir_status add_vector(struct weir_exchange *exchange, const struct weir_json_node *item,
                                   struct weir_vectors_reply *reply) {
    const struct weir_json_node *numbers = weir_json_get(item, "values");
    struct weir_vector *vector = weir_arena_alloc(exchange->arena, sizeof *vector);
    if (vector == NULL)
        return WEIR_ENOMEM;
    if (!weir_json_is(numbers, WEIR_JSON_ARRAY))
        return WEIR_EPROTO;
    vector->numbers = numbers->text;
    if (reply->last_vector != NULL)
        reply->last_vector->next = vector;
    else
        reply->vectors = vector;
    reply->last_vector = vector;
    return WEIR_OK;
}

static enum weir_status read_vectors(struct weir_exchange *exchange, const struct weir_json_node *root,
                                     struct weir_vectors_reply *reply) {
    const struct weir_json_node *one = weir_json_get_value(root, "embedding"),
                                *several = weir_json_get_value(root, "embeddings"),
                                *usage = weir_json_get(root, "usageMetadata");
    enum weir_status status = WEIR_OK;
    if (one == NULL && !weir_json_is(several, WEIR_JSON_ARRAY))
        return WEIR_EPROTO;
    if (one != NULL)
        status = add_vector(exchange, one, reply);
    for (const struct weir_json_node *item = weir_json_first(several); status == WEIR_OK && item != NULL;
         item = item->next)
        status = add_vector(exchange, item, reply);
    reply->has_usage = weir_json_is(usage, WEIR_JSON_OBJECT) && dialect__read_gemini_usage(usage->text, &reply->usage);
    return status;
}

static enum weir_status read_count(struct weir_exchange *exchange, const struct weir_json_node *root, int64_t *tokens) {
    (void)exchange;
    *tokens = dialect__number(weir_json_get(root, "totalTokens"), -1);
    return *tokens >= 0 ? WEIR_OK : WEIR_EPROTO;
}

extern const struct weir_back weir_back_gemini;
const struct weir_back weir_back_gemini = {
    .dialect = WEIR_DIALECT_GEMINI,
    .framing = WEIR_FRAMING_EVENTS,
    .write_prompt = dialect__gemini_write_prompt,
    .read_reply = read_reply,
    .begin_stream = begin_stream,
    .read_event = read_event,
    .end_stream = end_stream,
    .read_error = read_error,
    .write_vectors_call = write_vectors_call,
    .read_vectors = read_vectors,
    .write_count_call = dialect__gemini_write_count_call,
    .read_count = read_count,
};
