/* Translated answers that are whole: texts, vectors, counts, and what providers say went wrong.
 *
 * They are held until they are whole, whatever their size up to a bound; what is settled is settled before the client gets a byte. Nothing of the provider's head
 * goes on but its advice on retrying: its other fields speak of a format that the client does not know.
 */
#include "gateway/translate.h"
#include "provider/outcome.h"

static const struct weir_span json_type = {.at = "application/json", .length = 16};

static bool type_is(const struct weir_request *request, const char *media_type) {
    const struct weir_span *type = weir_http_head_find(request->upstream.head, WEIR_SPAN("content-type"));
    return type != NULL && weir_http_media_type_is(*type, weir_span_of_string(media_type));
}

/* By what the provider says that it sends; where it sends a JSON text, it is a stream only of those whose streams are JSON texts. */
static bool is_stream(const struct weir_request *request, enum weir_framing *framing) {
    const struct gateway__translation *translation = request->translation;
    *framing = translation->back->framing;
    if (translation->task != WEIR_TASK_GENERATE || !request->call.stream)
        return false;
    if (type_is(request, "text/event-stream"))
        *framing = WEIR_FRAMING_EVENTS;
    else if (type_is(request, "application/x-ndjson"))
        *framing = WEIR_FRAMING_LINES;
    else
        return *framing == WEIR_FRAMING_ARRAY && type_is(request, "application/json");
    return true;
}

enum weir_status gateway__translate_head(struct weir_request *request) {
    struct gateway__relay *relay = &request->relay;
    bool is_success = request->upstream.status >= 200 && request->upstream.status < 300;
    enum weir_framing framing;
    if (is_success && is_stream(request, &framing)) {
        if (gateway__translate_begin_streams(request) != WEIR_OK)
            return WEIR_ENOMEM;
        weir_frames_begin(&relay->frames, framing);
        relay->mode = RELAY_STREAM;
        weir_metrics_add_active(request->worker->metrics, 0, 1, 0);
        return WEIR_OK;
    }
    relay->mode = RELAY_BUFFER;
    relay->body.max_bytes = is_success ? WEIR_MAX_TRANSLATED_ANSWER_BYTES : WEIR_MAX_BUFFERED_ANSWER_BYTES;
    return WEIR_OK;
}

/* --- what went wrong --- */

enum { MOST_WAIT_S = 24 * 3600 };

static struct weir_span plain_of(const struct weir_request *request, struct weir_span wire) {
    struct weir_span plain;
    if (!weir_is_said(wire) || weir_wire_plain(request->arena, wire, &plain) != WEIR_OK)
        return WEIR_SPAN("");
    return plain;
}

void gateway__note_provider_error(struct weir_request *request, const struct weir_provider_error *error) {
    struct gateway__translation *translation = request->translation;
    struct weir_span code = plain_of(request,
                                     weir_is_said(error->code) && error->code.length > 0 ? error->code : error->type);
    struct weir_buffer text;
    weir_buffer_init(&text, WEIR_MAX_BUFFERED_ANSWER_BYTES);
    weir_buffer_append(&text, plain_of(request, error->message));
    gateway__hide_credential(request, &text, 0);
    if (weir_buffer_status(&text) != WEIR_OK ||
        weir_arena_dup(request->arena, weir_buffer_span(&text), &request->detail) != WEIR_OK)
        request->detail = WEIR_SPAN("");
    weir_buffer_clear(&text);
    weir_buffer_append(&text, code);
    gateway__hide_credential(request, &text, 0);
    if (weir_buffer_status(&text) != WEIR_OK ||
        weir_arena_dup(request->arena, weir_buffer_span(&text), &translation->provider_code) != WEIR_OK)
        translation->provider_code = WEIR_SPAN("");
    weir_buffer_release(&text);
    int64_t seconds = error->retry_after_ms / 1000 + (error->retry_after_ms % 1000 != 0);
    translation->retry_after_seconds = seconds > 0 && seconds < MOST_WAIT_S ? (unsigned)seconds : 0;
}

void gateway__translate_error(struct weir_request *request, struct weir_span body) {
    struct gateway__translation *translation = request->translation;
    struct weir_provider_error error = {.status = 0};
    struct weir_json_node *root;
    weir_arena_reset(translation->scratch);
    if (weir_json_tree_read(translation->scratch, body, &root, NULL) == WEIR_OK &&
        translation->back->read_error(translation->scratch, root, &error))
        gateway__note_provider_error(request, &error);
}

void gateway__write_retry_fields(const struct weir_request *request, struct weir_buffer *out) {
    static const struct weir_span names[] = {{"retry-after", 11}, {"retry-after-ms", 14}, {"x-should-retry", 14}};
    const struct weir_http_head *head = request->upstream.head;
    for (size_t i = 0; head != NULL && i < sizeof names / sizeof *names; i++) {
        const struct weir_span *value = weir_http_head_find(head, names[i]);
        if (value != NULL)
            (void)weir_http_write_field(out, names[i], *value);
    }
}

/* A success that says nothing but that it failed. */
static enum gateway__next told_failure(struct weir_request *request, const struct weir_json_node *root) {
    struct weir_provider_error error = {.status = 0};
    if (!request->translation->back->read_error(request->translation->scratch, root, &error))
        return gateway__upstream_failed(request, WEIR_REASON_UPSTREAM_PROTOCOL,
                                        "its answer is not what its dialect has");
    gateway__attempt_ended(request, WEIR_REASON_UPSTREAM_ERROR);
    if (request->next_candidate < request->candidates.count)
        return RETRY;
    (void)gateway__fail(request, WEIR_REASON_UPSTREAM_ERROR, NULL, NULL);
    gateway__note_provider_error(request, &error);
    return ANSWER;
}

/* --- what went well --- */

static enum gateway__next send(struct weir_request *request) {
    struct gateway__translation *translation = request->translation;
    struct gateway__relay *relay = &request->relay;
    struct weir_span body = weir_buffer_span(&translation->body);
    struct weir_buffer *head = &relay->out;
    if (request->connection == NULL)
        return NEXT;
    if (weir_buffer_status(&translation->body) != WEIR_OK)
        return gateway__fail(request, WEIR_REASON_INTERNAL, NULL, NULL);
    weir_buffer_clear(head);
    gateway__write_head(request, 200, head);
    (void)weir_http_write_field(head, WEIR_SPAN("Content-Type"), json_type);
    weir_http_write_field_uint64(head, WEIR_SPAN("x-weir-used-cu-milli"), (uint64_t)request->entry.cost_cu_milli);
    weir_http_write_field_uint64(head, WEIR_SPAN("Content-Length"), body.length);
    weir_http_write_head_end(head);
    const struct weir_span parts[] = {weir_buffer_span(head), body};
    if (request->capture != NULL) {
        gateway__capture_type(request, json_type);
        gateway__capture_answer(request, &parts[1], 1);
    }
    if (weir_buffer_status(head) != WEIR_OK || weir_http_connection_write(request->connection, parts, 2) != WEIR_OK)
        return gateway__fail(request, WEIR_REASON_CLIENT_CLOSED, NULL, NULL);
    relay->head_sent = true;
    gateway__client_done(request);
    return NEXT;
}

static size_t bytes_of(const struct weir_part *part) {
    size_t bytes = 0;
    for (; part != NULL; part = part->next)
        bytes += part->text.length + part->name.length + part->arguments.length + part->json.length;
    return bytes;
}

static enum gateway__next answer_text(struct weir_request *request, const struct weir_json_node *root) {
    struct gateway__translation *translation = request->translation;
    struct weir_reply reply = {.has_usage = false};
    size_t bytes = 0;
    enum weir_status status = translation->back->read_reply(&translation->exchange, root, &reply);
    if (status == WEIR_ENOMEM)
        return gateway__upstream_failed(request, WEIR_REASON_UPSTREAM_TOO_LARGE, NULL);
    if (status != WEIR_OK)
        return told_failure(request, root);
    for (const struct weir_choice *choice = reply.choices; choice != NULL; choice = choice->next)
        bytes += bytes_of(choice->parts);
    request->has_usage = reply.has_usage;
    request->usage = reply.usage;
    request->relay.content_events = weir_dialect_estimate_tokens(bytes);
    if (request->call.stream)
        return gateway__translate_tell(request, &reply) == WEIR_OK
                   ? NEXT
                   : gateway__fail(request, WEIR_REASON_CLIENT_CLOSED, NULL, NULL);
    gateway__settle(request);
    reply.usage = request->usage;
    bool is_estimated = !reply.has_usage;
    reply.has_usage = true;
    weir_buffer_clear(&translation->body);
    request->format->front->write_reply(&translation->exchange, &reply, is_estimated, request->entry.cost_cu_milli,
                                        &translation->body);
    return send(request);
}

static enum gateway__next answer_vectors(struct weir_request *request, const struct weir_json_node *root) {
    struct gateway__translation *translation = request->translation;
    struct weir_vectors_reply reply = {.has_usage = false};
    enum weir_status status = translation->back->read_vectors(&translation->exchange, root, &reply);
    size_t count = 0;
    if (status == WEIR_ENOMEM)
        return gateway__upstream_failed(request, WEIR_REASON_UPSTREAM_TOO_LARGE, NULL);
    if (status != WEIR_OK)
        return told_failure(request, root);
    for (const struct weir_vector *vector = reply.vectors; vector != NULL; vector = vector->next)
        count++;
    if (count != translation->vectors.count)
        return gateway__upstream_failed(request, WEIR_REASON_UPSTREAM_PROTOCOL,
                                        "it has not as many vectors as there are inputs");
    request->has_usage = reply.has_usage;
    request->usage = reply.usage;
    request->relay.content_events = 1; /* it has brought something */
    gateway__settle(request);
    reply.usage = request->usage;
    reply.has_usage = true;
    weir_buffer_clear(&translation->body);
    request->format->front->write_vectors(&translation->exchange, &translation->vectors, &reply,
                                          request->entry.cost_cu_milli, &translation->body);
    return send(request);
}

static enum gateway__next answer_count(struct weir_request *request, const struct weir_json_node *root) {
    struct gateway__translation *translation = request->translation;
    int64_t tokens = 0;
    if (translation->back->read_count(&translation->exchange, root, &tokens) != WEIR_OK)
        return told_failure(request, root);
    gateway__settle(request);
    weir_buffer_clear(&translation->body);
    request->format->front->write_count(&translation->exchange, tokens, request->entry.cost_cu_milli,
                                        &translation->body);
    return send(request);
}

enum gateway__next gateway__translate_whole(struct weir_request *request) {
    struct gateway__translation *translation = request->translation;
    struct weir_json_node *root;
    weir_arena_reset(translation->scratch);
    if (!request->call.stream && type_is(request, "text/event-stream"))
        return gateway__upstream_failed(request, WEIR_REASON_UPSTREAM_PROTOCOL,
                                        "its answer is a stream, which was not asked for");
    enum weir_status status = weir_json_tree_read(translation->scratch, weir_buffer_span(&request->relay.body), &root,
                                                  NULL);
    if (status == WEIR_ENOMEM)
        return gateway__upstream_failed(request, WEIR_REASON_UPSTREAM_TOO_LARGE,
                                        "it has more values than can be translated");
    if (status != WEIR_OK)
        return gateway__upstream_failed(request, WEIR_REASON_UPSTREAM_PROTOCOL, "its answer is not JSON");
    if (translation->task == WEIR_TASK_EMBED)
        return answer_vectors(request, root);
    return translation->task == WEIR_TASK_COUNT ? answer_count(request, root) : answer_text(request, root);
}

/* --- counting without a provider --- */

/* What a picture counts, about: as one of a thousand pixels a side does with most. */
enum { IMAGE_TOKENS = 1000 };

static void count_parts(const struct weir_part *part, size_t *bytes, int64_t *images) {
    for (; part != NULL; part = part->next) {
        *bytes += part->text.length + part->name.length + part->arguments.length + part->json.length;
        if (part->kind == WEIR_PART_IMAGE)
            (*images)++;
        else
            *bytes += part->media.data.length;
        for (const struct weir_part *inner = part->content; inner != NULL; inner = inner->next) {
            *bytes += inner->text.length + inner->json.length;
            *images += inner->kind == WEIR_PART_IMAGE ? 1 : 0;
        }
    }
}

enum gateway__next gateway__answer_estimated_count(struct weir_request *request) {
    static const struct weir_http_field estimated = {.name = {"x-weir-estimated", 16}, .value = {"true", 4}};
    struct gateway__translation *translation = request->translation;
    const struct weir_prompt *prompt = &translation->prompt;
    size_t bytes = prompt->schema.length;
    int64_t images = 0;
    for (const struct weir_turn *turn = prompt->turns; turn != NULL; turn = turn->next)
        count_parts(turn->parts, &bytes, &images);
    for (const struct weir_tool *tool = prompt->tools; tool != NULL; tool = tool->next)
        bytes += tool->name.length + tool->description.length + tool->parameters.length + tool->json.length;
    weir_buffer_clear(&translation->body);
    request->format->front->write_count(&translation->exchange,
                                        weir_dialect_estimate_tokens(bytes) + images * IMAGE_TOKENS, 0,
                                        &translation->body);
    if (weir_buffer_status(&translation->body) != WEIR_OK)
        return gateway__fail(request, WEIR_REASON_INTERNAL, NULL, NULL);
    gateway__answer_fields(request, 200, json_type, weir_buffer_span(&translation->body), &estimated, 1);
    return ANSWER;
}
