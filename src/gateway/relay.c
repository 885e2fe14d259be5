/* The way back for answers that are not event streams.
 *
 * JSON is held until it is whole, so that the usage can be read, recorded and added before the last byte leaves; so is every error, so that
 * another target may still be tried. What is too large to hold goes through as it comes, its last piece kept back until the ledger has it.
 */
#include "gateway/translate.h"
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
    weir_frames_begin(&relay->frames, WEIR_FRAMING_EVENTS);
    relay->has_last = false;
    relay->finish_seen = false;
    relay->content_events = 0;
    relay->begun_usage = (struct weir_usage){.input = 0};
    relay->units_made = relay->next_sequence = 0;
    relay->answer_id = WEIR_SPAN("");
    relay->pattern = NULL;
    relay->is_opaque = false;
    request->entry.issued_count = 0;
    request->has_usage = false; /* what a failed attempt has used is not the client's */
    request->usage = (struct weir_usage){.input = 0};
    relay->passed_bytes = 0;
}

static bool is_success(const struct weir_request *request) {
    return request->upstream.status >= 200 && request->upstream.status < 300;
}

/* How much of an answer is held. A list is sorted, and vectors are written anew: these have to be whole. */
static size_t most_held(const struct weir_request *request) {
    if (request->endpoint->lists)
        return WEIR_MAX_LIST_BYTES;
    return request->call.wants_base64 ? WEIR_MAX_VECTORS_BYTES : WEIR_MAX_BUFFERED_ANSWER_BYTES;
}

static bool type_is(const struct weir_span *type, const char *media_type) {
    return type != NULL && weir_http_media_type_is(*type, weir_span_of_string(media_type));
}

static bool may_be_bytes(const struct weir_request *request) {
    return request->format != NULL && (request->format->flags & WEIR_FORMAT_BYTES) != 0;
}

/* The one answer that may be a page of HTML. */
static bool is_file_content(const struct weir_request *request) {
    return may_be_bytes(request) && request->endpoint->place == PLACE_OF_ID;
}

/* As the provider calls it; a JSON text may be a stream where the format has such. */
static bool is_stream(const struct weir_request *request, const struct weir_span *type, enum weir_framing *framing) {
    *framing = WEIR_FRAMING_EVENTS;
    if (request->format == NULL || request->format->read_event == NULL)
        return false;
    if (type_is(type, "text/event-stream"))
        return true;
    *framing = WEIR_FRAMING_LINES;
    if (type_is(type, "application/x-ndjson"))
        return true;
    *framing = WEIR_FRAMING_ARRAY;
    return request->call.stream && (request->format->flags & WEIR_FORMAT_ARRAY_STREAM) != 0 &&
           type_is(type, "application/json");
}

enum weir_status gateway__relay_head(struct weir_request *request) {
    struct gateway__relay *relay = &request->relay;
    const struct weir_http_head *head = request->upstream.head;
    const struct weir_span *type = weir_http_head_find(head, WEIR_SPAN("content-type"));
    const struct weir_span *coding = weir_http_head_find(head, WEIR_SPAN("content-encoding"));
    if (coding != NULL && !weir_span_equal_ignore_case(*coding, WEIR_SPAN("identity")))
        return WEIR_EPROTO; /* none was asked for, and what cannot be read cannot be metered */
    if (gateway__is_translated(request))
        return gateway__translate_head(request);
    enum weir_framing framing;
    if (is_success(request) && is_stream(request, type, &framing)) {
        weir_frames_begin(&relay->frames, framing);
        relay->mode = RELAY_STREAM;
        weir_metrics_add_active(request->worker->metrics, 0, 1, 0);
        return WEIR_OK;
    }
    relay->mode = RELAY_BUFFER;
    relay->body.max_bytes = most_held(request);
    relay->is_page = is_success(request) && type_is(type, "text/html") && !is_file_content(request);
    relay->is_opaque = is_success(request) && head->status != 204 && may_be_bytes(request) && !relay->is_page &&
                       !type_is(type, "application/json");
    if (head->has_content_length && head->content_length <= relay->body.max_bytes)
        (void)weir_buffer_reserve(&relay->body, (size_t)head->content_length);
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
                                               {"x-powered-by", 12},
                                               {"x-weir-used-cu-milli", 20},
                                               {"x-weir-max-tokens-clamped", 25}};
    if (weir_http_is_hop_by_hop(name) || weir_http_name_in(name, dropped, sizeof dropped / sizeof *dropped))
        return true;
    return name.length > 15 && weir_span_equal_ignore_case(weir_span_first(name, 15), WEIR_SPAN("access-control-"));
}

/* Whether a Connection field names it: there may be several (RFC 9110, section 7.6.1). */
static bool is_of_connection(const struct weir_http_head *head, struct weir_span name) {
    for (size_t i = 0; i < head->field_count; i++)
        if (weir_span_equal_ignore_case(head->fields[i].name, WEIR_SPAN("connection")) &&
            weir_http_list_has(head->fields[i].value, name))
            return true;
    return false;
}

void gateway__hide_credential(const struct weir_request *request, struct weir_buffer *out, size_t from) {
    enum { LEAST = 8 }; /* a shorter one is a word like others */
    const struct weir_secret *secret = request->target != NULL ? request->target->provider->credential : NULL;
    struct weir_span credential = weir_secret_reveal(secret);
    if (credential.length < LEAST || out->length < credential.length || out->length < from)
        return;
    char *at = out->at + from;
    while ((at = memmem(at, out->length - (size_t)(at - out->at), credential.at, credential.length)) != NULL) {
        memset(at, '*', credential.length);
        at += credential.length;
    }
}

void gateway__write_upstream_fields(struct weir_request *request, struct weir_buffer *out) {
    const struct weir_http_head *head = request->upstream.head;
    size_t begin = out->length;
    bool has_connection = weir_http_head_find(head, WEIR_SPAN("connection")) != NULL;
    bool error = request->reason != WEIR_REASON_NONE;
    bool own_rates = request->meter.rates.requests.limit > 0 || request->meter.rates.tokens.limit > 0;
    for (size_t i = 0; i < head->field_count; i++) {
        const struct weir_http_field *field = &head->fields[i];
        if (is_dropped(field->name) || (has_connection && is_of_connection(head, field->name)))
            continue;
        if (own_rates && field->name.length > 12 && /* ours stand there */
            weir_span_equal_ignore_case(weir_span_first(field->name, 12), WEIR_SPAN("x-ratelimit-")))
            continue;
        /* an error's body and its type are written anew; its advice on retrying is the provider's */
        if (error && (weir_span_equal_ignore_case(field->name, WEIR_SPAN("content-type")) ||
                      weir_span_equal_ignore_case(field->name, WEIR_SPAN("cache-control"))))
            continue;
        if (gateway__is_upload_url(request, field->name))
            gateway__write_upload_url(request, field->value, out);
        else
            (void)weir_http_write_field(out, field->name, field->value);
    }
    if (!is_success(request))
        gateway__hide_credential(request, out, begin);
}

/* --- answers too large to hold --- */

/* The usage stands near the beginning or the end of an answer; what passes in between is only counted. The end is looked at last, and counts: an answer may
 * say again, before its own usage, what a client has written. */
enum { TAIL_BYTES = 64 * 1024 };

static void look_for_usage(struct weir_request *request, struct weir_span piece) {
    struct weir_answer answer = {.has_usage = false};
    if (request->endpoint->is_free || !request->format->find_usage(piece, &answer))
        return;
    request->has_usage = true;
    request->usage = answer.usage;
}

/* Keeps the newest bytes. `out` is free while an answer is passed through. */
static void keep_tail(struct weir_request *request, struct weir_span data) {
    struct weir_buffer *tail = &request->relay.out;
    request->relay.passed_bytes += data.length;
    request->relay.content_events = weir_dialect_estimate_tokens(request->relay.passed_bytes);
    if (request->relay.is_opaque || request->endpoint->is_free)
        return;
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
    if (request->connection == NULL)
        return WEIR_ECLOSED;
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

static enum weir_status pass_piece(struct weir_request *request, struct weir_span held, struct weir_span data,
                                   struct weir_span end) {
    char chunk_head[WEIR_HTTP_CHUNK_HEAD_SIZE];
    bool chunked = request->relay.chunked && held.length + data.length > 0;
    size_t length = chunked ? weir_http_format_chunk_head(held.length + data.length, chunk_head) : 0;
    const struct weir_span parts[] = {weir_span_of(chunk_head, length), held, data,
                                      chunked ? WEIR_SPAN("\r\n") : WEIR_SPAN(""), end};
    if (request->capture != NULL)
        gateway__capture_answer(request, &parts[1], 2);
    enum weir_status status = weir_http_connection_write(request->connection, parts, 5);
    if (status == WEIR_OK && weir_http_connection_pending_bytes(request->connection) > WEIR_MAX_STREAM_PENDING_BYTES)
        gateway__upstream_pause(request, true);
    return status == WEIR_OK ? WEIR_OK : WEIR_ECLOSED;
}

/* Everything but the last byte goes out: that one waits for the journal. */
static enum weir_status pass_body(struct weir_request *request, struct weir_span data) {
    struct weir_buffer *held = &request->relay.body;
    if (data.length == 0)
        return WEIR_OK;
    enum weir_status status = pass_piece(request, weir_buffer_span(held), weir_span_first(data, data.length - 1),
                                         WEIR_SPAN(""));
    keep_tail(request, data);
    weir_buffer_clear(held);
    weir_buffer_append(held, weir_span_from(data, data.length - 1));
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
    if (request->connection == NULL ||
        pass_piece(request, weir_buffer_span(&request->relay.body), WEIR_SPAN(""), end) != WEIR_OK)
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
    if (relay->mode == RELAY_BUFFER && !relay->is_opaque && data.length <= relay->body.max_bytes - relay->body.length) {
        weir_buffer_append(&relay->body, data);
        return weir_buffer_status(&relay->body);
    }
    if (request->connection == NULL)
        return WEIR_ECLOSED;
    if (relay->mode == RELAY_BUFFER && (!is_success(request) || request->endpoint->lists || relay->is_page))
        return WEIR_ELIMIT;
    if (relay->mode == RELAY_BUFFER && gateway__is_translated(request)) {
        request->upstream.problem = "its answer is larger than one that is translated may be";
        return WEIR_EPROTO;
    }
    if (relay->mode == RELAY_BUFFER && gateway__relay_pass_begin(request) != WEIR_OK)
        return WEIR_ECLOSED;
    return pass_body(request, data);
}

/* --- whole answers --- */

enum gateway__next gateway__relay_whole(struct weir_request *request, struct weir_span *parts, size_t count,
                                        size_t body_length) {
    struct gateway__relay *relay = &request->relay;
    struct weir_buffer *head = &relay->out;
    if (request->connection == NULL)
        return NEXT;
    weir_buffer_clear(head);
    gateway__write_head(request, request->upstream.status, head);
    gateway__write_upstream_fields(request, head);
    weir_http_write_field_uint64(head, used_field, (uint64_t)request->entry.cost_cu_milli);
    if (request->upstream.status != 204)
        weir_http_write_field_uint64(head, WEIR_SPAN("Content-Length"), body_length);
    weir_http_write_head_end(head);
    parts[0] = weir_buffer_span(head);
    if (request->capture != NULL)
        gateway__capture_answer(request, &parts[1], count - 1);
    if (weir_buffer_status(head) != WEIR_OK || weir_http_connection_write(request->connection, parts, count) != WEIR_OK)
        return gateway__fail(request, WEIR_REASON_CLIENT_CLOSED, NULL, NULL);
    relay->head_sent = true;
    gateway__client_done(request);
    return NEXT;
}

/* As it came: nothing of it is billed, or nothing of it can be read. */
static enum gateway__next whole_unread(struct weir_request *request) {
    struct weir_span parts[2] = {WEIR_SPAN(""), weir_buffer_span(&request->relay.body)};
    const struct weir_span *type = weir_http_head_find(request->upstream.head, WEIR_SPAN("content-type"));
    if (parts[1].length > 0 && type_is(type, "application/json") && !is_file_content(request) &&
        weir_json_scan(parts[1], NULL, 0, NULL, NULL, NULL) != WEIR_OK)
        return gateway__upstream_failed(request, WEIR_REASON_UPSTREAM_PROTOCOL, "its answer is not JSON");
    if (request->endpoint->issues && (request->call.is_kept || request->endpoint->place == PLACE_OF_ID))
        gateway__note_issued(request, parts[1]);
    request->relay.content_events = weir_dialect_estimate_tokens(parts[1].length);
    gateway__settle(request);
    return gateway__relay_whole(request, parts, 2, parts[1].length);
}

/* The answer in the form that was asked for, where the provider knows another one only. */
static enum weir_status rewrite(struct weir_request *request) {
    struct weir_buffer *body = &request->relay.body;
    if (request->format->rewrite_answer == NULL || !request->call.wants_base64)
        return WEIR_OK;
    struct weir_buffer out;
    weir_buffer_init(&out, WEIR_MAX_VECTORS_BYTES);
    enum weir_status status = request->format->rewrite_answer(&request->call, weir_buffer_span(body), &out);
    if (status == WEIR_OK) {
        weir_buffer_release(body);
        *body = weir_buffer_take(&out);
    }
    weir_buffer_release(&out);
    return status == WEIR_END ? WEIR_OK : status;
}

static enum gateway__next buffered_success(struct weir_request *request) {
    struct gateway__relay *relay = &request->relay;
    const struct weir_span *type = weir_http_head_find(request->upstream.head, WEIR_SPAN("content-type"));
    struct weir_answer answer;
    struct weir_json_splice splice = {.count = 0};
    if (relay->is_page)
        return gateway__upstream_failed(request, WEIR_REASON_UPSTREAM_PROTOCOL, "its answer is a page of HTML");
    if (request->endpoint->lists)
        return gateway__answer_list(request);
    if (request->endpoint->is_free || request->upstream.status == 204)
        return whole_unread(request);
    if ((request->format->flags & WEIR_FORMAT_TEXT) != 0 && !type_is(type, "application/json"))
        return whole_unread(request);
    if (rewrite(request) != WEIR_OK)
        return gateway__fail(request, WEIR_REASON_INTERNAL, NULL, NULL);
    struct weir_span body = weir_buffer_span(&relay->body);
    if (request->format->read_answer(body, &answer) != WEIR_OK)
        return gateway__upstream_failed(request, WEIR_REASON_UPSTREAM_PROTOCOL, "its answer is not JSON");
    request->has_usage = answer.has_usage;
    request->usage = answer.usage;
    relay->units_made = answer.usage.units;
    relay->content_events = weir_dialect_estimate_tokens((size_t)answer.content_bytes);
    if (request->endpoint->issues && request->call.is_kept)
        gateway__note_issued(request, body);
    gateway__settle(request);
    if (request->format->edit_answer(request->arena, &answer, &request->usage, request->entry.cost_cu_milli, &splice) !=
        WEIR_OK)
        return gateway__fail(request, WEIR_REASON_INTERNAL, NULL, NULL);
    struct weir_span parts[2 + 2 * WEIR_JSON_MAX_EDITS];
    size_t count = 1 + weir_json_splice_parts(&splice, body, &parts[1]);
    return gateway__relay_whole(request, parts, count, weir_json_splice_length(&splice, body.length));
}

unsigned gateway__client_status(const struct weir_request *request, unsigned status) {
    enum { OVERLOADED = 529 }; /* Anthropic's, which its own clients know */
    return status == OVERLOADED && request->dialect->kind != WEIR_DIALECT_ANTHROPIC ? 503 : status;
}

/* An answer that is no success: another target, or the provider's own words with our ids. */
static enum gateway__next buffered_failure(struct weir_request *request) {
    struct weir_provider_outcome outcome = weir_provider_classify(request->upstream.status);
    enum weir_reason reason = outcome.reason != WEIR_REASON_NONE ? outcome.reason : WEIR_REASON_UPSTREAM_REFUSED;
    gateway__attempt_ended(request, reason);
    if (outcome.may_fall_back && request->next_candidate < request->candidates.count)
        return RETRY;
    if (gateway__is_translated(request)) {
        (void)gateway__fail(request, reason, NULL, "HTTP %u", request->upstream.status);
        if (outcome.show_body)
            gateway__translate_error(request, weir_buffer_span(&request->relay.body));
        request->upstream_error_status = gateway__client_status(request, outcome.client_status);
        return ANSWER;
    }
    request->show_upstream_error = outcome.show_body;
    request->upstream_error_status = gateway__client_status(request, outcome.client_status);
    return gateway__fail(request, reason, NULL, "HTTP %u", request->upstream.status);
}

enum gateway__next gateway__relay_end(struct weir_request *request) {
    if (request->relay.mode == RELAY_STREAM)
        return gateway__stream_end(request);
    if (request->relay.is_opaque && request->relay.mode == RELAY_BUFFER && /* there is nothing of it */
        gateway__relay_pass_begin(request) != WEIR_OK)
        return gateway__fail(request, WEIR_REASON_CLIENT_CLOSED, NULL, NULL);
    if (request->relay.mode == RELAY_PASS)
        return pass_end(request);
    if (gateway__is_translated(request) && is_success(request))
        return gateway__translate_whole(request);
    return is_success(request) ? buffered_success(request) : buffered_failure(request);
}
