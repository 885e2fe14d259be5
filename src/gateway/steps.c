/* The short rows of the pipeline: admission, identity, reading, understanding, routing, reserving, recording. */
#include "base/arithmetic.h"
#include "gateway/impl.h"
#include "telemetry/request_log.h"

/* Health paths are answered whatever the state; everything else only while we can keep our promises. */
enum gateway__next gateway__step_admit(struct weir_request *request) {
    const struct weir_board *board = request->worker->gateway->board;
    if (request->reason != WEIR_REASON_NONE)
        return ANSWER;
    if (request->endpoint->answer == gateway__answer_health)
        return NEXT;
    if (request->worker->draining || board->draining)
        return gateway__fail(request, WEIR_REASON_SHUTTING_DOWN, NULL, NULL);
    if (request->worker->request_count > (size_t)gateway__settings(request)->limits.max_active_requests)
        return gateway__fail(request, WEIR_REASON_OVERLOADED, NULL, NULL);
    return NEXT;
}

enum gateway__next gateway__step_identify(struct weir_request *request) {
    const struct weir_gateway *gateway = request->worker->gateway;
    if (!request->endpoint->needs_key)
        return NEXT;
    unsigned char hash[WEIR_KEY_HASH_SIZE];
    if (!gateway__find_beginner(request, hash)) {
        struct weir_span key;
        if (gateway__find_key(request, &key) == ANSWER)
            return ANSWER;
        enum weir_reason reason = weir_key_check(&gateway->key_format, key);
        if (reason != WEIR_REASON_NONE)
            return gateway__fail(request, reason, NULL, NULL);
        weir_key_hash(key, hash);
    }
    request->key = weir_keys_find(gateway->keys, hash);
    if (request->key == NULL || request->key->revoked)
        return gateway__fail(request, WEIR_REASON_KEY_UNKNOWN, NULL, NULL);
    if (request->key->expires_utc_us != 0 && request->key->expires_utc_us <= request->start_utc_us)
        return gateway__fail(request, WEIR_REASON_KEY_EXPIRED, NULL, NULL);
    unsigned capture = atomic_load_explicit(&request->key->shared->capture, memory_order_acquire);
    if (capture != 0)
        gateway__capture_begin(request, capture);
    return NEXT;
}

/* JSON, or a form where the endpoint takes one. */
static enum gateway__next begin_body(struct weir_request *request) {
    const struct weir_span *type = weir_http_head_find(request->head, WEIR_SPAN("content-type"));
    const struct weir_span *coding = weir_http_head_find(request->head, WEIR_SPAN("content-encoding"));
    unsigned bodies = request->endpoint->bodies;
    if (bodies == 0 || (bodies & BODY_ANY) != 0)
        return NEXT;
    if (coding != NULL && !weir_span_equal_ignore_case(*coding, WEIR_SPAN("identity")))
        return gateway__fail(request, WEIR_REASON_CONTENT_TYPE_UNSUPPORTED, NULL, "Content-Encoding: %.*s",
                             (int)(coding->length < 100 ? coding->length : 100), coding->at);
    if ((bodies & BODY_JSON) != 0 && (type == NULL || weir_http_media_type_is(*type, WEIR_SPAN("application/json"))))
        return NEXT;
    if (type == NULL || (bodies & BODY_FORM) == 0 || !weir_http_media_type_is(*type, WEIR_SPAN("multipart/form-data")))
        return gateway__fail(request, WEIR_REASON_CONTENT_TYPE_UNSUPPORTED, NULL, "%.*s, this path takes %s",
                             type == NULL ? 4 : (int)(type->length < 100 ? type->length : 100),
                             type == NULL ? "none" : type->at,
                             bodies == BODY_FORM   ? "multipart/form-data"
                             : bodies == BODY_JSON ? "application/json"
                                                   : "application/json and multipart/form-data");
    enum weir_status status = gateway__form_begin(request, *type);
    if (status == WEIR_EINVAL)
        return gateway__fail(request, WEIR_REASON_FORM_INVALID, NULL,
                             "its Content-Type has no boundary that is allowed");
    return status == WEIR_OK ? NEXT : gateway__fail(request, WEIR_REASON_OVERLOADED, NULL, NULL);
}

/* What a path that takes no body may get all the same: clients send "{}" where nothing is to be said. Some of these paths ask for no key. */
enum { UNWANTED_BODY_BYTES = 64 * 1024 };
/* A piece of a file, which is held until it is sent on: clients send 8 MiB at a time. */
enum { PIECE_BYTES = 16 * 1024 * 1024 };

/* Waits for the whole body. One that says it is too large is refused before it is sent. */
enum gateway__next gateway__step_read(struct weir_request *request) {
    if (request->body_complete)
        return NEXT;
    if (begin_body(request) == ANSWER)
        return ANSWER;
    if (request->endpoint->bodies == 0 && request->body.max_bytes > UNWANTED_BODY_BYTES)
        request->body.max_bytes = UNWANTED_BODY_BYTES;
    if ((request->endpoint->bodies & BODY_ANY) != 0 && request->body.max_bytes < PIECE_BYTES)
        request->body.max_bytes = PIECE_BYTES;
    uint64_t limit = request->form != NULL ? (uint64_t)gateway__settings(request)->limits.max_upload_bytes
                                           : request->body.max_bytes;
    if (request->head->has_content_length && request->head->content_length > limit)
        return gateway__fail(request, WEIR_REASON_BODY_TOO_LARGE, NULL, "%llu bytes, the limit is %llu",
                             (unsigned long long)request->head->content_length, (unsigned long long)limit);
    if (request->form == NULL && request->head->has_content_length && request->head->content_length > 0)
        gateway__body_reserve(request, (size_t)request->head->content_length);
    weir_http_connection_continue(request->connection);
    return WAIT;
}

enum gateway__next gateway__step_local(struct weir_request *request) {
    if (request->endpoint->answer == NULL)
        return NEXT;
    enum gateway__next next = request->endpoint->answer(request);
    return next == NEXT ? ANSWER : next;
}

enum gateway__next gateway__step_understand(struct weir_request *request) {
    struct weir_call_problem problem = {.reason = WEIR_REASON_NONE};
    const struct weir_format *format = request->format;
    enum weir_status status = WEIR_OK;
    if (request->form != NULL)
        status = format->read_form(request->arena, &request->form->form, &request->call, &problem);
    else if (request->endpoint->bodies != 0)
        status = format->read_call(request->arena, weir_buffer_span(&request->body), &request->call, &problem);
    if (status != WEIR_OK)
        return gateway__fail(request, problem.reason, problem.field[0] != '\0' ? problem.field : NULL, "%s",
                             problem.text);
    return gateway__read_path(request);
}

enum gateway__next gateway__step_route(struct weir_request *request) {
    if (request->endpoint->place != PLACE_OF_MODEL)
        return gateway__route_stored(request);
    uint64_t random;
    weir_random_fill(weir_loop_random(request->worker->loop), &random, sizeof random);
    struct weir_span model = request->call.model;
    if (weir_route_candidates(request->held->published->revision, model, random, &request->candidates) != WEIR_OK)
        return gateway__fail(request, WEIR_REASON_MODEL_NOT_FOUND, "model", "'%.*s'%s",
                             (int)(model.length < 100 ? model.length : 100), model.at,
                             request->call.names_model ? "" : ", which is meant where none is named");
    const struct weir_model *configured = request->candidates.model;
    bool own = configured != NULL && configured->max_request_bytes > 0;
    int64_t limit = own ? configured->max_request_bytes : gateway__settings(request)->limits.max_request_bytes;
    if (request->body.length > (size_t)limit)
        return gateway__fail(request, WEIR_REASON_BODY_TOO_LARGE, NULL, "%zu bytes, the limit is %lld (%s)",
                             request->body.length, (long long)limit,
                             own ? "max_request_bytes of the model" : "limits.max_request_bytes");
    enum gateway__next next = gateway__keep_native(request);
    return next == NEXT ? gateway__keep_issuer(request) : next;
}

enum gateway__next gateway__step_settle(struct weir_request *request) {
    gateway__settle(request);
    return NEXT;
}

/* Only failures get here without having been answered. */
enum gateway__next gateway__step_answer(struct weir_request *request) {
    if (request->connection == NULL || request->reason == WEIR_REASON_NONE)
        return NEXT;
    const struct gateway__relay *relay = &request->relay;
    /* What a stream has brought goes out before the news of its end, also where all of it has come at once. */
    bool has_begun = relay->head_sent || (relay->mode == RELAY_STREAM && relay->content_events > 0 &&
                                          relay->out.length > 0 && !request->show_upstream_error);
    if (!has_begun) {
        gateway__answer_error(request);
    } else if (relay->mode == RELAY_STREAM) {
        gateway__stream_fail(request);
    } else {
        weir_http_connection_abort(request->connection);
        request->connection = NULL;
    }
    return NEXT;
}

static int64_t since_start_us(const struct weir_request *request, int64_t now_ns) {
    return now_ns == 0 ? 0 : gateway__since_start_us(request, now_ns);
}

enum gateway__next gateway__step_record(struct weir_request *request) {
    const char *endpoint = request->endpoint != NULL ? request->endpoint->name : "none";
    struct weir_ledger_entry *entry = &request->entry;
    unsigned status = request->reason == WEIR_REASON_CLIENT_CLOSED ? 499 : request->status;
    int64_t now_ns = weir_loop_now_ns(request->worker->loop);
    bool streamed = request->relay.mode == RELAY_STREAM || request->relay.mode == RELAY_DRAIN;
    const struct weir_provider *provider = request->target != NULL ? request->target->provider : NULL;
    struct weir_metrics_request numbers = {.endpoint = endpoint,
                                           .provider = provider != NULL ? provider->name : WEIR_SPAN(""),
                                           .model = request->candidates.model != NULL ? request->candidates.model->name
                                                                                      : WEIR_SPAN(""),
                                           .status = status,
                                           .reason = request->reason,
                                           .duration_us = since_start_us(request, now_ns),
                                           .first_byte_us = streamed ? since_start_us(request, request->first_byte_ns)
                                                                     : 0,
                                           .usage = request->usage,
                                           .cost_cu_milli = entry->cost_cu_milli};
    bool is_named = request->candidates.model != NULL && !request->candidates.model->is_pattern;
    if (!is_named && request->price != NULL)
        numbers.model = request->price->model;
    weir_metrics_record(request->worker->metrics, &numbers);
    for (size_t i = 0; i < entry->attempt_count; i++)
        if (entry->attempts[i].reason == WEIR_REASON_NONE)
            weir_metrics_add_attempt(request->worker->metrics, entry->attempts[i].provider, WEIR_REASON_NONE);
    gateway__record_unbilled(request);
    if (request->capture != NULL)
        gateway__capture_end(request);
    const struct weir_log *log = weir_loop_log(request->worker->loop);
    bool quiet = request->endpoint != NULL && request->endpoint->answer == gateway__answer_health;
    if (log->minimum > (quiet ? WEIR_LOG_DEBUG : WEIR_LOG_INFO))
        return NEXT;
    const struct weir_request_line line = {
        .utc_us = weir_loop_utc_us(request->worker->loop),
        .request_id = weir_span_of(request->id_text, WEIR_UUID_TEXT_SIZE - 1),
        .client_request_id = request->client_request_id,
        .trace_id = request->trace_id,
        .key_id = weir_span_of_string(request->key != NULL ? request->key->id : ""),
        .workspace = request->key != NULL ? request->key->workspace : WEIR_SPAN(""),
        .method = request->head->method,
        .path = request->head->path,
        .endpoint = weir_span_of_string(endpoint),
        .model = request->call.model,
        .provider = numbers.provider,
        .upstream_model = request->target != NULL ? request->target->model : WEIR_SPAN(""),
        .status = status,
        .reason = request->reason,
        .outcome = weir_span_of_string(weir_outcome_name(gateway__is_aborted(request)          ? WEIR_OUTCOME_ABORTED
                                                         : request->reason != WEIR_REASON_NONE ? WEIR_OUTCOME_ERROR
                                                                                               : WEIR_OUTCOME_OK)),
        .stream = streamed || request->call.stream,
        .duration_us = numbers.duration_us,
        .first_byte_us = since_start_us(request, request->first_byte_ns),
        .usage = request->usage,
        .cost_cu_milli = entry->cost_cu_milli,
        .client_address = request->client_address,
        .attempts = (unsigned)entry->attempt_count,
        .revision = request->held->published->revision->number,
    };
    weir_request_log(log, &line);
    gateway__flush_log_later(request->worker);
    return NEXT;
}
