/* One attempt: a connection, the request's bytes, the answer's bytes, and every way in which that can go wrong.
 *
 * The parser's callbacks only note what happened; the pipeline goes on after the parser has returned, because going on may end the request and
 * with it the parser. A reused connection that turns out to be closed costs nothing: if nothing was answered the same bytes go out again on a
 * fresh one.
 */
#include "gateway/translate.h"
#include "provider/outcome.h"

static enum weir_status on_head(void *owner, const struct weir_http_head *head, struct weir_span block);
static enum weir_status on_body(void *owner, struct weir_span data);
static enum weir_status on_end(void *owner, const struct weir_http_field *trailers, size_t trailer_count);
static const struct weir_http1_events parser_events = {.on_head = on_head, .on_body = on_body, .on_end = on_end};

enum { DRAIN_MS = 1000 };

/* Of an attempt: 0 would mean that it never came to it. */
static uint32_t since_start_us(const struct weir_request *request) {
    uint32_t us = gateway__record_us(request, weir_loop_now_ns(request->worker->loop));
    return us < 1 ? 1 : us;
}

static struct weir_ledger_attempt *attempt(struct weir_request *request) {
    return &request->entry.attempts[request->entry.attempt_count - 1];
}

void gateway__upstream_end(struct weir_request *request, bool reusable) {
    struct gateway__upstream *upstream = &request->upstream;
    weir_pool_cancel(&upstream->wait);
    weir_timer_stop(&upstream->timer);
    if (upstream->stream != NULL)
        weir_pool_release(upstream->pool, &upstream->stream, reusable);
}

void gateway__attempt_ended(struct weir_request *request, enum weir_reason reason) {
    if (request->entry.attempt_count == 0 || attempt(request)->reason != WEIR_REASON_NONE)
        return;
    gateway__estimate_attempt(request, reason);
    attempt(request)->reason = (uint16_t)reason;
    attempt(request)->end_us = since_start_us(request);
    weir_metrics_add_attempt(request->worker->metrics, attempt(request)->provider, reason);
}

/* The attempt is over without an answer for the client: note it, and try another target if one may. */
enum gateway__next gateway__upstream_failed(struct weir_request *request, enum weir_reason reason, const char *detail) {
    gateway__upstream_end(request, false);
    gateway__attempt_ended(request, reason);
    bool untouched = !request->relay.head_sent;
    if (untouched && request->next_candidate < request->candidates.count && weir_provider_may_fall_back(reason))
        return RETRY;
    (void)gateway__fail(request, reason, NULL, detail != NULL ? "%s" : NULL, detail);
    return ANSWER;
}

static void fail_and_resume(struct weir_request *request, enum weir_reason reason, const char *detail) {
    gateway__resume(request, gateway__upstream_failed(request, reason, detail));
}

/* --- connecting and sending --- */

static void on_ready(void *owner, struct weir_stream *stream, bool reused);

/* Names and addresses of our network are for the operator, not for the client. */
static void on_connect_failed(void *owner, enum weir_reason reason, const char *detail) {
    struct weir_request *request = owner;
    const char *cause = detail == NULL ? NULL
                                       : weir_arena_format(request->arena, "%.*s: %s",
                                                           WEIR_SPAN_PRINT(request->target->provider->name), detail);
    if (cause != NULL)
        request->cause = weir_span_of_string(cause);
    weir_log(weir_loop_log(request->worker->loop), WEIR_LOG_WARNING, "connect_failed",
             WEIR_LOG_T("reason", weir_reason_row(reason)->name), WEIR_LOG_T("detail", detail != NULL ? detail : ""),
             WEIR_LOG_S("provider", request->target->provider->name),
             WEIR_LOG_S("request_id", weir_span_of(request->id_text, WEIR_UUID_TEXT_SIZE - 1)));
    fail_and_resume(request, reason, NULL);
}

static void acquire(struct weir_request *request, bool fresh) {
    struct gateway__upstream *upstream = &request->upstream;
    upstream->wait = (struct weir_pool_wait){.owner = request, .on_ready = on_ready, .on_failed = on_connect_failed};
    weir_pool_acquire(upstream->pool, &upstream->wait, fresh);
}

static void on_silence(void *argument) {
    struct weir_request *request = argument;
    if (request->relay.mode == RELAY_DRAIN) {
        gateway__upstream_end(request, false);
        gateway__resume(request, NEXT);
        return;
    }
    fail_and_resume(request,
                    request->upstream.head_seen ? WEIR_REASON_UPSTREAM_IDLE_TIMEOUT
                                                : WEIR_REASON_UPSTREAM_FIRST_BYTE_TIMEOUT,
                    NULL);
}

static void watch(struct weir_request *request) {
    const struct weir_gateway_settings *settings = gateway__settings(request);
    int64_t wait_ms = request->relay.mode == RELAY_DRAIN ? DRAIN_MS
                      : request->upstream.head_seen      ? settings->timeouts.idle_ms
                                                         : settings->timeouts.first_byte_ms;
    weir_timer_start(request->worker->loop, &request->upstream.timer, wait_ms, on_silence, request);
}

void gateway__upstream_pause(struct weir_request *request, bool pause) {
    struct gateway__upstream *upstream = &request->upstream;
    if (upstream->stream == NULL || upstream->paused == pause)
        return;
    upstream->paused = pause;
    if (pause) {
        weir_stream_read_stop(upstream->stream);
        weir_timer_stop(
            &upstream->timer); /* the provider is not to blame for a slow client; the deadline still counts */
    } else {
        weir_stream_read_start(upstream->stream);
        watch(request);
    }
}

static void begin_attempt(struct weir_request *request) {
    request->meter.attempt = request->entry.attempt_count;
    request->entry.attempts[request->entry.attempt_count++] =
        (struct weir_ledger_attempt){.provider = request->target->provider->name,
                                     .upstream_model = request->target->model,
                                     .upstream_request_id = WEIR_SPAN(""),
                                     .start_us = since_start_us(request)};
}

/* The connection broke or ended. */
static void connection_lost(struct weir_request *request, const char *detail) {
    struct gateway__upstream *upstream = &request->upstream;
    if (request->relay.mode == RELAY_DRAIN) {
        gateway__upstream_end(request, false);
        gateway__resume(request, NEXT);
        return;
    }
    if (upstream->reused && !upstream->any_byte && !upstream->tried_fresh &&
        request->entry.attempt_count < WEIR_MAX_ATTEMPTS) {
        gateway__upstream_end(request, false);
        gateway__attempt_ended(request, WEIR_REASON_UPSTREAM_CLOSED);
        begin_attempt(request); /* the provider may have read the first one */
        upstream->tried_fresh = true;
        upstream->sending = false;
        acquire(request, true);
        return;
    }
    fail_and_resume(request, WEIR_REASON_UPSTREAM_CLOSED, detail);
}

/* --- the answer's bytes --- */

static enum weir_status on_head(void *owner, const struct weir_http_head *head, struct weir_span block) {
    struct weir_request *request = owner;
    struct gateway__upstream *upstream = &request->upstream;
    struct weir_span copy;
    upstream->head = weir_arena_alloc_raw(request->arena, sizeof *upstream->head);
    if (upstream->head == NULL || weir_arena_dup(request->arena, block, &copy) != WEIR_OK)
        return WEIR_ENOMEM;
    memcpy(upstream->head, head, offsetof(struct weir_http_head, fields) + head->field_count * sizeof head->fields[0]);
    weir_http_head_rebase(upstream->head, block.at, copy.at, block.length);
    upstream->head_seen = true;
    upstream->status = head->status;
    upstream->keep_alive = head->keep_alive;
    attempt(request)->status = (uint16_t)head->status;
    attempt(request)->first_byte_us = since_start_us(request);
    const struct weir_span *id = weir_http_head_find(upstream->head, WEIR_SPAN("x-request-id"));
    attempt(request)->upstream_request_id = id != NULL ? *id : WEIR_SPAN("");
    if (head->upgrade && head->status == 101)
        return WEIR_EPROTO;
    return gateway__relay_head(request);
}

static enum weir_status on_body(void *owner, struct weir_span data) {
    return gateway__relay_body(owner, data);
}

static enum weir_status on_end(void *owner, const struct weir_http_field *trailers, size_t trailer_count) {
    struct weir_request *request = owner;
    (void)trailers;
    (void)trailer_count;
    request->upstream.ended = true;
    return WEIR_OK;
}

/* An answer may come before its request has been read: then the connection is in the middle of a body, and of no more use. */
static void message_ended(struct weir_request *request, bool connection_is_clean) {
    attempt(request)->end_us = since_start_us(request);
    gateway__upstream_end(request, connection_is_clean && request->upstream.keep_alive && !request->upstream.sending);
    enum gateway__next next = request->relay.mode == RELAY_DRAIN ? NEXT : gateway__relay_end(request);
    if (next != WAIT)
        gateway__resume(request, next);
}

static void on_data(void *owner, struct weir_span data) {
    struct weir_request *request = owner;
    struct gateway__upstream *upstream = &request->upstream;
    size_t consumed = 0;
    upstream->any_byte = true;
    enum weir_status status = weir_http1_feed(upstream->parser, data, &consumed);
    if (status == WEIR_ECLOSED) { /* the client went while its answer was being written */
        if (request->connection != NULL)
            weir_http_connection_abort(request->connection);
        request->connection = NULL;
        fail_and_resume(request, WEIR_REASON_CLIENT_CLOSED, NULL);
    } else if (status == WEIR_ELIMIT || status == WEIR_ENOMEM) {
        fail_and_resume(request, WEIR_REASON_UPSTREAM_TOO_LARGE, NULL);
    } else if (status == WEIR_EBUSY) { /* it has failed in words, and another target may do better */
        gateway__upstream_end(request, false);
        gateway__resume(request, RETRY);
    } else if (status == WEIR_END) { /* the relay has what it needs and knows how it ends */
        gateway__upstream_end(request, false);
        gateway__resume(request, ANSWER);
    } else if (status != WEIR_OK) {
        fail_and_resume(request, WEIR_REASON_UPSTREAM_PROTOCOL,
                        upstream->problem != NULL ? upstream->problem : weir_http1_problem(upstream->parser));
    } else if (request->upstream.ended) {
        message_ended(request, consumed == data.length);
    } else if (!upstream->paused) {
        watch(request);
    }
}

static void on_stream_end(void *owner) {
    struct weir_request *request = owner;
    if (request->upstream.head_seen && weir_http1_finish(request->upstream.parser) == WEIR_OK &&
        request->upstream.ended)
        message_ended(request, false);
    else
        connection_lost(request, NULL);
}

static void on_stream_fail(void *owner, enum weir_status status, const char *detail) {
    (void)status;
    connection_lost(owner, detail);
}

/* A connection that has closed may hold an answer: servers refuse early and hang up. That is read first, and on_stream_fail comes behind it. */
static bool is_unsendable(enum weir_status status) {
    return status != WEIR_OK && status != WEIR_ECLOSED;
}

/* There is room for more of the request's body; the wait for the answer begins anew with each piece. */
static void on_stream_drain(void *owner) {
    struct weir_request *request = owner;
    if (!request->upstream.sending)
        return;
    if (is_unsendable(gateway__send_more(request)))
        connection_lost(request, NULL);
    else if (!request->upstream.head_seen)
        watch(request);
}

static const struct weir_stream_events stream_events = {.on_data = on_data,
                                                        .on_end = on_stream_end,
                                                        .on_drain = on_stream_drain,
                                                        .on_fail = on_stream_fail};

static void on_ready(void *owner, struct weir_stream *stream, bool reused) {
    struct weir_request *request = owner;
    struct gateway__upstream *upstream = &request->upstream;
    upstream->stream = stream;
    upstream->reused = reused;
    attempt(request)->connected_us = since_start_us(request);
    attempt(request)->reused_connection = reused;
    if (upstream->parser == NULL)
        upstream->parser = weir_http1_new(WEIR_HTTP1_RESPONSES, &parser_events, request);
    else
        weir_http1_reset(upstream->parser);
    if (upstream->parser == NULL) {
        fail_and_resume(request, WEIR_REASON_INTERNAL, NULL);
        return;
    }
    weir_stream_own(stream, &stream_events, request);
    if (is_unsendable(gateway__send_request(request))) {
        connection_lost(request, NULL);
        return;
    }
    weir_stream_read_start(stream);
    watch(request);
}

/* --- the row --- */

static enum weir_status open_journal(struct weir_request *request) {
    const struct weir_published *published = request->held->published;
    if (request->journal_opened)
        return WEIR_OK;
    const struct weir_journal_open record = {
        .request_id = request->id,
        .start_utc_us = request->start_utc_us,
        .reserved_cu_milli = request->reserved_cu_milli,
        .reserved = request->reserved_usage,
        .revision = published->revision->number,
        .stream = request->call.stream,
        .unpriced = request->price == NULL && !request->endpoint->is_free,
        .key_id = weir_span_of_string(request->key->id),
        .workspace = request->key->workspace,
        .team = request->key->owner != NULL ? request->key->owner->team : WEIR_SPAN(""),
        .user = request->key->owner != NULL ? request->key->owner->user : WEIR_SPAN(""),
        .family = gateway__family_of(request->key),
        .endpoint = weir_span_of_string(request->endpoint->name),
        .model = request->call.model,
        .provider = request->target->provider->name,
        .upstream_model = request->target->model,
        .price_version = request->price != NULL ? weir_prices_version(published->prices) : WEIR_SPAN(""),
        .client_request_id = request->client_request_id,
        .tags = request->tags,
    };
    if (!weir_journal_ready(request->worker->journal))
        return WEIR_EFULL;
    enum weir_status status = weir_journal_append_open(request->worker->journal, &record);
    request->journal_opened = status == WEIR_OK;
    return status;
}

enum gateway__next gateway__step_send(struct weir_request *request) {
    if (request->next_candidate >= request->candidates.count || request->entry.attempt_count == WEIR_MAX_ATTEMPTS)
        return gateway__no_candidate(request);
    enum gateway__next next = NEXT;
    if (request->translation != NULL)
        next = gateway__translate_attempt(request, &request->candidates.at[request->next_candidate]);
    if (next == NEXT)
        next = gateway__provider_admit(request);
    if (next != NEXT)
        return next;
    request->target = &request->candidates.at[request->next_candidate++];
    request->price = gateway__price_of(request, request->target);
    if (open_journal(request) != WEIR_OK)
        return gateway__fail(request, WEIR_REASON_RECORDING_UNAVAILABLE, NULL, NULL);
    begin_attempt(request);
    struct weir_http1 *parser = request->upstream.parser;
    request->upstream = (struct gateway__upstream){
        .parser = parser, .pool = request->held->pools[request->target->provider->index]->pool};
    gateway__relay_reset(request);
    acquire(request, request->endpoint->once || request->call.background);
    return WAIT;
}
