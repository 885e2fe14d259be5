/* Heads, whole answers and errors towards the client. Every answer of the data plane is begun here, so that none lacks its id. */
#include "gateway/translate.h"

static bool is_loopback_origin(struct weir_span origin) {
    struct weir_url url;
    return weir_url_parse(origin, &url, NULL) == WEIR_OK && url.path.length == 0 && weir_url_host_is_loopback(url.host);
}

bool gateway__origin_allowed(const struct weir_request *request, struct weir_span origin) {
    const struct weir_texts *origins = &gateway__settings(request)->cors.origins;
    for (size_t i = 0; i < origins->count; i++)
        if (weir_span_equal(origins->at[i], origin) || weir_span_equal(origins->at[i], WEIR_SPAN("*")))
            return true;
    return origins->count == 0 && request->worker->gateway->is_dev && is_loopback_origin(origin);
}

void gateway__write_cors(const struct weir_request *request, struct weir_buffer *out) {
    const struct weir_span *origin = weir_http_head_find(request->head, WEIR_SPAN("origin"));
    if (origin == NULL)
        return;
    (void)weir_http_write_field(out, WEIR_SPAN("Vary"), WEIR_SPAN("Origin"));
    if (!gateway__origin_allowed(request, *origin))
        return;
    (void)weir_http_write_field(out, WEIR_SPAN("Access-Control-Allow-Origin"), *origin);
    (void)weir_http_write_field(
        out, WEIR_SPAN("Access-Control-Expose-Headers"),
        WEIR_SPAN(
            "x-request-id, x-weir-used-cu-milli, x-weir-max-tokens-clamped, x-weir-ignored-params, x-weir-estimated, retry-after, x-should-retry, "
            "x-ratelimit-limit-requests, x-ratelimit-remaining-requests, "
            "x-ratelimit-reset-requests, x-ratelimit-limit-tokens, "
            "x-ratelimit-remaining-tokens, x-ratelimit-reset-tokens"));
}

/* The provider has said an id of its own where Anthropic's clients look for one, and that field goes through. */
static bool has_own_id(const struct weir_request *request) {
    const struct weir_http_head *head = request->upstream.head;
    return head != NULL && gateway__speaks_natively(request, request->target) &&
           (request->reason == WEIR_REASON_NONE || request->show_upstream_error) &&
           weir_http_head_find(head, WEIR_SPAN("request-id")) != NULL;
}

void gateway__write_head(struct weir_request *request, unsigned status, struct weir_buffer *out) {
    request->status = status;
    if (request->first_byte_ns == 0)
        request->first_byte_ns = weir_loop_now_ns(request->worker->loop);
    weir_http_write_status_line(out, status);
    weir_buffer_append(out, WEIR_SPAN("Date: "));
    weir_buffer_append(out, weir_span_of_string(request->worker->date));
    weir_buffer_append(out, WEIR_SPAN("\r\nX-Request-Id: "));
    weir_buffer_append(out, weir_span_of(request->id_text, WEIR_UUID_TEXT_SIZE - 1));
    if (request->dialect->kind == WEIR_DIALECT_ANTHROPIC && !has_own_id(request)) {
        weir_buffer_append(out, WEIR_SPAN("\r\nrequest-id: ")); /* where its clients look for it */
        weir_buffer_append(out, weir_span_of(request->id_text, WEIR_UUID_TEXT_SIZE - 1));
    }
    weir_buffer_append(out, WEIR_SPAN("\r\nX-Content-Type-Options: nosniff\r\n"));
    if (weir_http_connection_must_close(request->connection))
        weir_buffer_append(out, WEIR_SPAN("Connection: close\r\n"));
    else if (weir_http_connection_is_http10(request->connection))
        weir_buffer_append(out, WEIR_SPAN("Connection: keep-alive\r\n"));
    gateway__write_rates(request, out);
    if (request->translation != NULL)
        gateway__write_ignored(request, out);
    gateway__write_cors(request, out);
}

void gateway__client_done(struct weir_request *request) {
    struct weir_http_connection *connection = request->connection;
    if (connection == NULL)
        return;
    request->connection = NULL;
    request->relay.complete = true;
    weir_http_connection_finish(connection);
}

void gateway__client_written(struct weir_request *request, enum weir_status status) {
    if (status == WEIR_OK) {
        gateway__client_done(request);
    } else {
        weir_http_connection_abort(request->connection);
        request->connection = NULL;
    }
}

/* A client that is told to come back waits so long at most; later than that it gives up now. */
enum { SOON_S = 60, MOST_WAIT_S = 100 * 24 * 3600 };

static bool is_head_request(const struct weir_request *request) {
    return weir_span_equal(request->head->method, WEIR_SPAN("HEAD"));
}

static void send_whole(struct weir_request *request, struct weir_buffer *head, struct weir_span body) {
    weir_http_write_field_uint64(head, WEIR_SPAN("Content-Length"), body.length);
    weir_http_write_head_end(head);
    const struct weir_span parts[] = {weir_buffer_span(head), is_head_request(request) ? WEIR_SPAN("") : body};
    if (request->capture != NULL)
        gateway__capture_answer(request, &parts[1], 1);
    enum weir_status status = weir_buffer_status(head);
    if (status == WEIR_OK)
        status = weir_http_connection_write(request->connection, parts, 2);
    gateway__client_written(request, status);
}

void gateway__answer_body(struct weir_request *request, unsigned status, struct weir_span content_type,
                          struct weir_span body) {
    gateway__answer_fields(request, status, content_type, body, NULL, 0);
}

void gateway__answer_fields(struct weir_request *request, unsigned status, struct weir_span content_type,
                            struct weir_span body, const struct weir_http_field *fields, size_t count) {
    struct weir_buffer head;
    gateway__charge(request); /* whoever has the answer may ask again */
    weir_buffer_init(&head, WEIR_MAX_HEAD_BYTES);
    gateway__write_head(request, status, &head);
    (void)weir_http_write_field(&head, WEIR_SPAN("Content-Type"), content_type);
    if (request->capture != NULL)
        gateway__capture_type(request, content_type);
    (void)weir_http_write_field(&head, WEIR_SPAN("Cache-Control"), WEIR_SPAN("no-store"));
    for (size_t i = 0; i < count; i++)
        (void)weir_http_write_field(&head, fields[i].name, fields[i].value);
    send_whole(request, &head, body);
    weir_buffer_release(&head);
}

struct weir_error_answer gateway__error_of(const struct weir_request *request) {
    const struct weir_meter_refusal *refusal = request->meter.refusal;
    struct weir_error_limit *limit = NULL;
    if (refusal != NULL && refusal->reason == request->reason)
        limit = weir_arena_alloc(request->arena, sizeof *limit);
    if (limit != NULL)
        *limit = (struct weir_error_limit){.scope = refusal->scope_name,
                                           .window = refusal->window,
                                           .limit_name = gateway__is_budget(refusal) ? NULL : refusal->limit_name,
                                           .budget = refusal->budget,
                                           .used = refusal->used,
                                           .limit = refusal->limit,
                                           .needed = refusal->needed};
    return (struct weir_error_answer){.reason = request->reason,
                                      .limit = limit,
                                      .brand_upper = request->worker->gateway->brand_upper,
                                      .request_id = weir_span_of(request->id_text, WEIR_UUID_TEXT_SIZE - 1),
                                      .detail = request->detail,
                                      .provider_code = request->translation != NULL
                                                           ? request->translation->provider_code
                                                           : WEIR_SPAN(""),
                                      .status = request->upstream_error_status,
                                      .field = request->field,
                                      .answer_id = request->relay.answer_id,
                                      .sequence = request->relay.next_sequence,
                                      .asked_model = request->call.model,
                                      .asked_utc_us = request->start_utc_us};
}

/* A provider's own error goes through with its text, its retry advice and our ids. False: it has no shape that can. */
static bool write_upstream_error(struct weir_request *request, const struct weir_error_answer *error,
                                 struct weir_buffer *body) {
    struct weir_json_splice splice = {.count = 0};
    if (!request->show_upstream_error || request->dialect == NULL)
        return false;
    struct weir_span text = weir_buffer_span(&request->relay.body);
    if (request->dialect->edit_error(request->arena, text, error, &splice) != WEIR_OK)
        return false;
    weir_json_splice_write(&splice, text, body);
    gateway__hide_credential(request, body, 0);
    return true;
}

/* 0: nothing is said of when to come back. */
static unsigned wait_seconds(const struct weir_request *request) {
    const struct weir_reason_row *row = weir_reason_row(request->reason);
    const struct weir_meter_refusal *refusal = request->meter.refusal;
    if (request->translation != NULL && request->translation->retry_after_seconds > 0)
        return request->translation->retry_after_seconds;
    if (refusal != NULL && refusal->reason == request->reason)
        return refusal->retry_after_seconds < MOST_WAIT_S ? (unsigned)refusal->retry_after_seconds : MOST_WAIT_S;
    return row->status == 503 || request->upstream_error_status == 503 ? 5 : row->retry_after_seconds;
}

/* When to come back, and whether to. A provider's own word on the matter counts: `upstream` is its head, where the error is its own. */
static void write_retry(struct weir_request *request, const struct weir_http_head *upstream, struct weir_buffer *head) {
    const struct weir_reason_row *row = weir_reason_row(request->reason);
    const struct weir_meter_refusal *refusal = request->meter.refusal;
    bool is_refusal = refusal != NULL && refusal->reason == request->reason;
    bool has_time = upstream != NULL && weir_http_head_find(upstream, WEIR_SPAN("retry-after")) != NULL;
    bool has_word = upstream != NULL && weir_http_head_find(upstream, WEIR_SPAN("x-should-retry")) != NULL;
    unsigned wait = wait_seconds(request);
    if (wait > 0 && !has_time)
        weir_http_write_field_uint64(head, WEIR_SPAN("Retry-After"), wait);
    if (has_word)
        return;
    if (!row->may_retry && request->status != 409) /* what was in the way of a 409 is gone soon */
        (void)weir_http_write_field(head, WEIR_SPAN("x-should-retry"), WEIR_SPAN("false"));
    else if (is_refusal)
        (void)weir_http_write_field(head, WEIR_SPAN("x-should-retry"),
                                    wait <= SOON_S ? WEIR_SPAN("true") : WEIR_SPAN("false"));
}

void gateway__answer_error(struct weir_request *request) {
    const struct weir_reason_row *row = weir_reason_row(request->reason);
    struct weir_error_answer error = gateway__error_of(request);
    error.retry_after_seconds = wait_seconds(request);
    struct weir_buffer head, body;
    weir_buffer_init(&head, 2 * WEIR_MAX_HEAD_BYTES); /* the upstream's fields and ours */
    weir_buffer_init(&body, 2 * WEIR_MAX_BUFFERED_ANSWER_BYTES);
    bool upstreams_own = write_upstream_error(request, &error, &body);
    /* Clients of the family also get lost: what is no path of ours answers in their shape, so that their SDKs show the words. */
    bool is_dialect_route = request->endpoint == NULL || request->endpoint->needs_key ||
                            request->reason == WEIR_REASON_PATH_NOT_FOUND ||
                            request->dialect->kind != WEIR_DIALECT_OPENAI ||
                            weir_span_starts_with(request->head->path, WEIR_SPAN("/v1/"));
    if (!upstreams_own && is_dialect_route)
        request->dialect->write_error(&body, &error);
    else if (!upstreams_own)
        weir_dialect_write_flat_error(&body, &error);
    gateway__write_head(request, request->upstream_error_status != 0 ? request->upstream_error_status : row->status,
                        &head);
    (void)weir_http_write_field(&head, WEIR_SPAN("Content-Type"), WEIR_SPAN("application/json"));
    if (request->capture != NULL)
        gateway__capture_type(request, WEIR_SPAN("application/json"));
    (void)weir_http_write_field(&head, WEIR_SPAN("Cache-Control"), WEIR_SPAN("no-store"));
    bool is_retold = gateway__is_translated(request) && request->upstream_error_status != 0;
    const struct weir_http_head *upstream = upstreams_own || is_retold ? request->upstream.head : NULL;
    if (is_retold)
        gateway__write_retry_fields(request, &head);
    else if (upstream != NULL)
        gateway__write_upstream_fields(request, &head);
    write_retry(request, upstream, &head);
    if (row->status == 401)
        (void)weir_http_write_field(&head, WEIR_SPAN("WWW-Authenticate"), WEIR_SPAN("Bearer"));
    if (request->reason == WEIR_REASON_METHOD_NOT_ALLOWED)
        (void)weir_http_write_field(&head, WEIR_SPAN("Allow"), weir_span_of_string(request->allow));
    send_whole(request, &head, weir_buffer_span(&body));
    weir_buffer_release(&head);
    weir_buffer_release(&body);
}
