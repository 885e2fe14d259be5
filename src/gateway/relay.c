/* The way back for answers that are not event streams.
 *
 * JSON is held until it is whole, so that the usage can be read, recorded and added before the last byte leaves; so is every error, so that
 * another target may still be tried. What is too large to hold goes through as it comes, its last piece kept back until the ledger has it.
 */
#include "gateway/impl.h"
#include "provider/outcome.h"

static const struct weir_span used_field = {.at = "x-weir-used-cu-milli", .length = 20};

void gateway__relay_reset(struct weir_request *request) {
    struct gateway__relay *relay = &request->relay;
    if (relay->mode == RELAY_STREAM)
        weir_metrics_add_active(request->worker->metrics, 0, -1, 0);
    relay->mode = RELAY_NONE;
    weir_buffer_clear(&relay->body);
    weir_buffer_clear(&relay->out);
    weir_buffer_clear(&relay->last);
    weir_sse_clear(&relay->sse);
    relay->has_last = false;
    relay->finish_seen = false;
    relay->content_events = 0;
    request->has_usage = false; /* what a failed attempt has used is not the client's */
    request->usage = (struct weir_usage){.input = 0};
    relay->passed_bytes = 0;
}

static bool is_success(const struct weir_request *request) {
    return request->upstream.status >= 200 && request->upstream.status < 300;
}

enum weir_status gateway__relay_head(struct weir_request *request) {
    const struct weir_http_head *head = request->upstream.head;
    const struct weir_span *type = weir_http_head_find(head, WEIR_SPAN("content-type"));
    const struct weir_span *coding = weir_http_head_find(head, WEIR_SPAN("content-encoding"));
    if (coding != NULL && !weir_span_equal_ignore_case(*coding, WEIR_SPAN("identity")))
        return WEIR_EPROTO; /* none was asked for, and what cannot be read cannot be metered */
    if (is_success(request) && type != NULL && weir_http_media_type_is(*type, WEIR_SPAN("text/event-stream"))) {
        request->relay.mode = RELAY_STREAM;
        weir_metrics_add_active(request->worker->metrics, 0, 1, 0);
    } else {
        request->relay.mode = RELAY_BUFFER;
        if (head->has_content_length && head->content_length <= WEIR_MAX_BUFFERED_ANSWER_BYTES)
            (void)weir_buffer_reserve(&request->relay.body, (size_t)head->content_length);
    }
    return WEIR_OK;
}

/* Fields of one connection, of the upstream's own site, or that we write ourselves. */
static bool is_dropped(struct weir_span name) {
    static const struct weir_span dropped[] = {{"content-length", 14},
                                               {"content-encoding", 16},
                                               {"set-cookie", 10},
                                               {"server", 6},
                                               {"date", 4},
                                               {"alt-svc", 7},
                                               {"x-request-id", 12},
                                               {"via", 3},
                                               {"strict-transport-security", 25},
                                               {"x-content-type-options", 22},
                                               {"vary", 4},
                                               {"trailer", 7},
                                               {"x-powered-by", 12}};
    if (weir_http_is_hop_by_hop(name) || weir_http_name_in(name, dropped, sizeof dropped / sizeof *dropped))
        return true;
    return name.length > 15 && weir_span_equal_ignore_case(weir_span_first(name, 15), WEIR_SPAN("access-control-"));
}

void gateway__write_upstream_fields(struct weir_request *request, struct weir_buffer *out) {
    const struct weir_http_head *head = request->upstream.head;
    const struct weir_span *connection = weir_http_head_find(head, WEIR_SPAN("connection"));
    bool error = request->reason != WEIR_REASON_NONE;
    for (size_t i = 0; i < head->field_count; i++) {
        const struct weir_http_field *field = &head->fields[i];
        if (is_dropped(field->name) || (connection != NULL && weir_http_list_has(*connection, field->name)))
            continue;
        /* an error's body and its type are written anew; its advice on retrying is the provider's */
        if (error && (weir_span_equal_ignore_case(field->name, WEIR_SPAN("content-type")) ||
                      weir_span_equal_ignore_case(field->name, WEIR_SPAN("cache-control"))))
            continue;
        (void)weir_http_write_field(out, field->name, field->value);
    }
}

/* --- answers too large to hold --- */

/* The usage stands near the beginning or the end of an answer; what passes in between is only counted. */
enum { TAIL_BYTES = 64 * 1024 };

static void look_for_usage(struct weir_request *request, struct weir_span piece) {
    struct weir_answer answer = {.has_usage = false};
    if (request->has_usage || !request->dialect->find_usage(piece, &answer))
        return;
    request->has_usage = true;
    request->usage = answer.usage;
}

/* Keeps the newest bytes. `out` is free while an answer is passed through. */
static void keep_tail(struct weir_request *request, struct weir_span data) {
    struct weir_buffer *tail = &request->relay.out;
    request->relay.passed_bytes += data.length;
    request->relay.content_events = weir_dialect_estimate_tokens(request->relay.passed_bytes);
    if (data.length > TAIL_BYTES)
        data = weir_span_from(data, data.length - TAIL_BYTES);
    if (tail->length + data.length > (size_t)2 * TAIL_BYTES)
        weir_buffer_consume(tail, tail->length - (TAIL_BYTES < tail->length ? TAIL_BYTES : tail->length));
    weir_buffer_append(tail, data);
}

/* Sends what was held and goes on piece by piece; the last bytes wait for the journal. */
enum weir_status gateway__relay_pass_begin(struct weir_request *request) {
    struct gateway__relay *relay = &request->relay;
    struct weir_buffer head;
    weir_buffer_init(&head, 2 * WEIR_MAX_HEAD_BYTES); /* the upstream's fields and ours */
    relay->mode = RELAY_PASS;
    relay->chunked = !weir_http_connection_is_http10(request->connection);
    if (!relay->chunked)
        weir_http_connection_end_by_close(request->connection);
    gateway__write_head(request, request->upstream.status, &head);
    gateway__write_upstream_fields(request, &head);
    if (relay->chunked) {
        (void)weir_http_write_field(&head, WEIR_SPAN("Transfer-Encoding"), WEIR_SPAN("chunked"));
        (void)weir_http_write_field(&head, WEIR_SPAN("Trailer"), used_field);
    }
    weir_http_write_head_end(&head);
    const struct weir_span part = weir_buffer_span(&head);
    enum weir_status status = weir_buffer_status(&head);
    if (status == WEIR_OK)
        status = weir_http_connection_write(request->connection, &part, 1);
    weir_buffer_release(&head);
    relay->head_sent = status == WEIR_OK;
    weir_buffer_clear(&relay->out);
    look_for_usage(request, weir_span_first(weir_buffer_span(&relay->body),
                                            relay->body.length < TAIL_BYTES ? relay->body.length : TAIL_BYTES));
    keep_tail(request, weir_buffer_span(&relay->body));
    return status;
}

static enum weir_status pass_piece(struct weir_request *request, struct weir_span data, struct weir_span end) {
    char chunk_head[WEIR_HTTP_CHUNK_HEAD_SIZE];
    bool chunked = request->relay.chunked && data.length > 0;
    size_t length = chunked ? weir_http_format_chunk_head(data.length, chunk_head) : 0;
    const struct weir_span parts[] = {weir_span_of(chunk_head, length), data,
                                      chunked ? WEIR_SPAN("\r\n") : WEIR_SPAN(""), end};
    enum weir_status status = weir_http_connection_write(request->connection, parts, 4);
    if (status == WEIR_OK && weir_http_connection_pending_bytes(request->connection) > WEIR_MAX_STREAM_PENDING_BYTES)
        gateway__upstream_pause(request, true);
    return status == WEIR_OK ? WEIR_OK : WEIR_ECLOSED;
}

/* Everything but the newest piece goes out, so that the last one can wait. */
static enum weir_status pass_body(struct weir_request *request, struct weir_span data) {
    struct weir_buffer *held = &request->relay.body;
    enum weir_status status = pass_piece(request, weir_buffer_span(held), WEIR_SPAN(""));
    keep_tail(request, data);
    weir_buffer_clear(held);
    weir_buffer_append(held, data);
    return status;
}

struct weir_span gateway__end_of_body(const struct weir_request *request, char text[GATEWAY_END_SIZE]) {
    int length = snprintf(text, GATEWAY_END_SIZE, "0\r\nx-weir-used-cu-milli: %lld\r\n\r\n",
                          (long long)request->entry.cost_cu_milli);
    return weir_span_of(text, (size_t)length);
}

static enum gateway__next pass_end(struct weir_request *request) {
    char text[GATEWAY_END_SIZE];
    look_for_usage(request, weir_buffer_span(&request->relay.out));
    gateway__settle(request);
    struct weir_span end = request->relay.chunked ? gateway__end_of_body(request, text) : WEIR_SPAN("");
    if (request->connection == NULL || pass_piece(request, weir_buffer_span(&request->relay.body), end) != WEIR_OK)
        return gateway__fail(request, WEIR_REASON_CLIENT_CLOSED, NULL, NULL);
    gateway__client_done(request);
    return NEXT;
}

enum weir_status gateway__relay_body(struct weir_request *request, struct weir_span data) {
    struct gateway__relay *relay = &request->relay;
    if (relay->mode == RELAY_STREAM)
        return gateway__stream_body(request, data);
    if (relay->mode == RELAY_DRAIN)
        return WEIR_OK;
    if (relay->mode == RELAY_BUFFER && data.length <= WEIR_MAX_BUFFERED_ANSWER_BYTES - relay->body.length) {
        weir_buffer_append(&relay->body, data);
        return weir_buffer_status(&relay->body);
    }
    if (request->connection == NULL)
        return WEIR_ECLOSED;
    if (relay->mode == RELAY_BUFFER && !is_success(request))
        return WEIR_ELIMIT;
    if (relay->mode == RELAY_BUFFER && gateway__relay_pass_begin(request) != WEIR_OK)
        return WEIR_ECLOSED;
    return pass_body(request, data);
}

/* --- whole answers --- */

static enum gateway__next buffered_success(struct weir_request *request) {
    struct gateway__relay *relay = &request->relay;
    struct weir_span body = weir_buffer_span(&relay->body);
    struct weir_answer answer;
    struct weir_json_splice splice = {.count = 0};
    if (request->dialect->read_answer(body, &answer) != WEIR_OK)
        return gateway__upstream_failed(request, WEIR_REASON_UPSTREAM_PROTOCOL, "its answer is not JSON");
    request->has_usage = answer.has_usage;
    request->usage = answer.usage;
    relay->content_events = weir_dialect_estimate_tokens((size_t)answer.content_bytes);
    gateway__settle(request);
    if (request->connection == NULL)
        return NEXT;
    if (request->dialect->edit_answer(request->arena, body, &answer, &request->usage, request->entry.cost_cu_milli,
                                      &splice) != WEIR_OK)
        return gateway__fail(request, WEIR_REASON_INTERNAL, NULL, NULL);
    struct weir_buffer *head = &relay->out;
    struct weir_span parts[2 + 2 * WEIR_JSON_MAX_EDITS];
    weir_buffer_clear(head);
    gateway__write_head(request, request->upstream.status, head);
    gateway__write_upstream_fields(request, head);
    weir_http_write_field_uint64(head, used_field, (uint64_t)request->entry.cost_cu_milli);
    weir_http_write_field_uint64(head, WEIR_SPAN("Content-Length"), weir_json_splice_length(&splice, body.length));
    weir_http_write_head_end(head);
    parts[0] = weir_buffer_span(head);
    size_t count = 1 + weir_json_splice_parts(&splice, body, &parts[1]);
    if (weir_buffer_status(head) != WEIR_OK || weir_http_connection_write(request->connection, parts, count) != WEIR_OK)
        return gateway__fail(request, WEIR_REASON_CLIENT_CLOSED, NULL, NULL);
    relay->head_sent = true;
    gateway__client_done(request);
    return NEXT;
}

/* An answer that is no success: another target, or the provider's own words with our ids. */
static enum gateway__next buffered_failure(struct weir_request *request) {
    struct weir_provider_outcome outcome = weir_provider_classify(request->upstream.status);
    enum weir_reason reason = outcome.reason != WEIR_REASON_NONE ? outcome.reason : WEIR_REASON_UPSTREAM_REFUSED;
    request->entry.attempts[request->entry.attempt_count - 1].reason = (uint16_t)reason;
    if (outcome.may_fall_back && request->next_candidate < request->candidates.count)
        return RETRY;
    request->show_upstream_error = outcome.show_body;
    request->upstream_error_status = outcome.client_status;
    return gateway__fail(request, reason, NULL, "HTTP %u", request->upstream.status);
}

enum gateway__next gateway__relay_end(struct weir_request *request) {
    if (request->relay.mode == RELAY_STREAM)
        return gateway__stream_end(request);
    if (request->relay.mode == RELAY_PASS)
        return pass_end(request);
    return is_success(request) ? buffered_success(request) : buffered_failure(request);
}
