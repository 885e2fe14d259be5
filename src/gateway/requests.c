/* How a request begins and ends: the object, its arena, its ids, its client's callbacks.
 *
 * Objects are kept for the next request, each with its arena's first block and its buffers, so that the common request allocates nothing.
 */
#include "base/memory.h"
#include "gateway/translate.h"
#include "telemetry/traceparent.h"

enum {
    SPARE_REQUESTS = 256,
    KEPT_BUFFER_BYTES = 64 * 1024,
    ARENA_FIRST_BYTES = 8 * 1024,
    PLACED_BYTES = 16 * 1024,          /* less is copied as fast as it is asked for */
    LARGE_BODY_BYTES = 2 * 1024 * 1024 /* a worker keeps one buffer of up to so much */
};

static void object_free(struct weir_request *request) {
    weir_http1_free(&request->upstream.parser);
    weir_arena_free(&request->arena);
    weir_buffer_release(&request->body);
    weir_buffer_release(&request->relay.body);
    weir_buffer_release(&request->relay.out);
    weir_buffer_release(&request->relay.last);
    weir_frames_release(&request->relay.frames);
    weir_memory_free(request);
}

/* Keeps a buffer's memory where it is small. */
static struct weir_buffer kept(struct weir_buffer *buffer, size_t max_bytes) {
    if (buffer->capacity > KEPT_BUFFER_BYTES)
        weir_buffer_release(buffer);
    weir_buffer_clear(buffer);
    buffer->max_bytes = max_bytes;
    return *buffer;
}

/* Zeroes all but what is kept. */
static void object_clear(struct weir_request *request, size_t max_body_bytes) {
    struct weir_request clean = {.arena = request->arena,
                                 .upstream = {.parser = request->upstream.parser},
                                 .relay = {.frames = request->relay.frames},
                                 .body = kept(&request->body, max_body_bytes),
                                 .detail = WEIR_SPAN(""),
                                 .cause = WEIR_SPAN(""),
                                 .path_variable = WEIR_SPAN(""),
                                 .call = {.model = WEIR_SPAN(""), .variant = WEIR_SPAN(""), .issued_id = WEIR_SPAN("")},
                                 .issued = {.provider = WEIR_SPAN("")}};
    clean.relay.body = kept(&request->relay.body, WEIR_MAX_BUFFERED_ANSWER_BYTES);
    clean.relay.out = kept(&request->relay.out, WEIR_MAX_EVENT_BYTES + WEIR_MIB);
    clean.relay.last = kept(&request->relay.last, WEIR_MAX_EVENT_BYTES);
    const struct weir_sse *sse = &clean.relay.frames.sse;
    if (sse->held.capacity > KEPT_BUFFER_BYTES || sse->joined.capacity > KEPT_BUFFER_BYTES)
        weir_frames_release(&clean.relay.frames);
    weir_frames_begin(&clean.relay.frames, WEIR_FRAMING_EVENTS);
    weir_arena_reset(request->arena);
    *request = clean;
}

static struct weir_request *object_new(void) {
    struct weir_request *request = weir_memory_new(1, sizeof *request);
    if (request == NULL)
        return NULL;
    request->arena = weir_arena_new(ARENA_FIRST_BYTES, WEIR_MAX_REQUEST_ARENA_BYTES);
    if (request->arena == NULL) {
        weir_memory_free(request);
        return NULL;
    }
    weir_frames_init(&request->relay.frames, WEIR_MAX_EVENT_BYTES);
    object_clear(request, 0);
    return request;
}

static struct weir_request *request_new(struct weir_worker *worker) {
    struct weir_request *request;
    if (weir_list_is_empty(&worker->spare_requests)) {
        request = object_new();
        if (request == NULL)
            return NULL;
    } else { /* the one that was used last: it is still in the caches */
        request = WEIR_CONTAINER_OF(worker->spare_requests.previous, struct weir_request, link);
        weir_list_remove(&request->link);
        worker->spare_count--;
    }
    const struct weir_published *published = worker->live->published;
    int64_t limit = published->settings->limits.max_request_bytes, largest = published->revision->max_request_bytes;
    /* Which model's limit counts is known once the body is read. */
    request->body.max_bytes = (size_t)(largest > limit ? largest : limit);
    request->worker = worker;
    request->keys_epoch = worker->keys_epoch;
    request->held = worker->live;
    gateway__held_ref(request->held);
    weir_list_append(&worker->requests, &request->link);
    worker->request_count++;
    return request;
}

/* One large body's memory stays with the worker: fresh memory costs more than what is done with a body of a megabyte. */
static void keep_large_body(struct weir_worker *worker, struct weir_buffer *body) {
    if (body->capacity > KEPT_BUFFER_BYTES && body->capacity <= LARGE_BODY_BYTES &&
        worker->large_body.capacity < body->capacity) {
        weir_buffer_release(&worker->large_body);
        worker->large_body = weir_buffer_take(body);
    }
}

void gateway__body_reserve(struct weir_request *request, size_t length) {
    struct weir_buffer *large = &request->worker->large_body;
    if (request->body.capacity < length && large->capacity >= length && request->body.length == 0) {
        size_t max_bytes = request->body.max_bytes;
        weir_buffer_release(&request->body);
        request->body = weir_buffer_take(large);
        weir_buffer_clear(&request->body);
        request->body.max_bytes = max_bytes;
    }
    if (weir_buffer_reserve(&request->body, length) == NULL)
        weir_buffer_clear(&request->body); /* it is tried again as the bytes come */
}

void gateway__request_free(struct weir_request *request) {
    struct weir_worker *worker = request->worker;
    keep_large_body(worker, &request->body);
    weir_timer_stop(&request->deadline);
    gateway__unpark(request);
    if (request->journal_opened && !request->settled) /* its client had gone, and then the worker ended */
        (void)gateway__fail(request, WEIR_REASON_SHUTTING_DOWN, NULL, NULL);
    gateway__settle(request); /* no ending can leak a hold: this is where all of them come to */
    gateway__upstream_end(request, false);
    gateway__lookup_drop(request);
    gateway__form_free(request);
    gateway__translation_end(request);
    gateway__client_done(request);
    weir_list_remove(&request->link);
    worker->request_count--;
    weir_metrics_add_active(worker->metrics, -1, request->relay.mode == RELAY_STREAM ? -1 : 0, 0);
    gateway__held_unref(request->held);
    request->held = NULL;
    if (worker->spare_count >= SPARE_REQUESTS) {
        object_free(request);
        return;
    }
    object_clear(request, 0); /* now: what waits for the next request must hold no large buffers of the last one */
    weir_list_append(&worker->spare_requests, &request->link);
    worker->spare_count++;
}

void gateway__requests_free_spare(struct weir_worker *worker) {
    while (!weir_list_is_empty(&worker->spare_requests)) {
        struct weir_request *request = WEIR_CONTAINER_OF(worker->spare_requests.next, struct weir_request, link);
        weir_list_remove(&request->link);
        object_free(request);
    }
}

/* --- the client's callbacks --- */

static void on_body(void *owner, struct weir_span data) {
    struct weir_request *request = owner;
    if (request->reason != WEIR_REASON_NONE)
        return;
    if (request->form != NULL) {
        if (gateway__form_take(request, data) == ANSWER)
            gateway__resume(request, ANSWER);
        return;
    }
    if (data.at == request->body.at + request->body.length && request->body.length < request->body.capacity)
        weir_buffer_commit(&request->body, data.length);
    else
        weir_buffer_append(&request->body, data);
    if (weir_buffer_status(&request->body) == WEIR_OK)
        return;
    (void)gateway__fail(request, WEIR_REASON_BODY_TOO_LARGE, NULL, "more than %lld bytes",
                        (long long)request->body.max_bytes);
    gateway__resume(request, ANSWER);
}

/* A long body is read to where it is kept. One that says how long it is: what follows it must not get there. */
static char *place(void *owner, size_t *room) {
    struct weir_request *request = owner;
    struct weir_buffer *body = &request->body;
    if (request->reason != WEIR_REASON_NONE || request->form != NULL || !request->head->has_content_length ||
        body->capacity < request->head->content_length)
        return NULL;
    *room = (size_t)request->head->content_length - body->length;
    return *room >= PLACED_BYTES ? body->at + body->length : NULL;
}

static void on_complete(void *owner) {
    struct weir_request *request = owner;
    request->body_complete = true;
    request->read_ns = weir_loop_now_ns(request->worker->loop);
    gateway__resume(request, request->form != NULL ? gateway__form_end(request) : NEXT);
}

static void on_gone(void *owner, enum weir_reason reason) {
    struct weir_request *request = owner;
    if (reason == WEIR_REASON_CLIENT_CLOSED)
        request->connection = NULL;
    (void)gateway__fail(request, reason, NULL, NULL);
    gateway__upstream_end(request, false);
    gateway__resume(request, ANSWER);
}

static void on_drain(void *owner) {
    gateway__upstream_pause(owner, false);
}

static const struct weir_http_request_events request_events = {
    .on_body = on_body, .place = place, .on_complete = on_complete, .on_gone = on_gone, .on_drain = on_drain};

void gateway__request_cut(struct weir_request *request, enum weir_reason reason) {
    gateway__upstream_end(request, false);
    if (request->relay.complete) { /* only the upstream's leftovers were waited for */
        gateway__resume(request, NEXT);
        return;
    }
    gateway__attempt_ended(request, reason);
    gateway__resume(request, gateway__fail(request, reason, NULL, NULL));
}

static void on_deadline(void *owner) {
    gateway__request_cut(owner, WEIR_REASON_REQUEST_DEADLINE);
}

/* --- what a head tells --- */

static bool is_id_byte(unsigned char byte) {
    return (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
           (byte != 0 && strchr("-_.:+/=", byte) != NULL);
}

static bool is_acceptable_id(struct weir_span text, size_t max_bytes) {
    if (text.length == 0 || text.length > max_bytes)
        return false;
    for (size_t i = 0; i < text.length; i++)
        if (!is_id_byte((unsigned char)text.at[i]))
            return false;
    return true;
}

/* `x-weir-tags: team=search, feature=summary`: at most ten, each of at most 64 bytes; others are left out. Kept as "a=b,c=d". */
static void take_tags(struct weir_request *request, struct weir_span list) {
    char text[WEIR_MAX_TAGS * (WEIR_MAX_TAG_BYTES + 1)];
    size_t length = 0, count = 0;
    struct weir_span item;
    for (bool more = true; more && count < WEIR_MAX_TAGS;) {
        more = weir_span_split(list, ',', &item, &list);
        item = weir_span_trim(item);
        if (!is_acceptable_id(item, WEIR_MAX_TAG_BYTES))
            continue;
        if (count++ > 0)
            text[length++] = ',';
        memcpy(&text[length], item.at, item.length);
        length += item.length;
    }
    if (weir_arena_dup(request->arena, weir_span_of(text, length), &request->tags) != WEIR_OK)
        request->tags = WEIR_SPAN("");
}

static void take_trace(struct weir_request *request) {
    struct weir_traceparent trace;
    const struct weir_span *inbound = weir_http_head_find(request->head, WEIR_SPAN("traceparent"));
    struct weir_random *random = weir_loop_random(request->worker->loop);
    if (inbound == NULL || weir_traceparent_parse(*inbound, &trace) != WEIR_OK)
        weir_traceparent_new(random, &trace);
    else
        weir_traceparent_child(random, &trace, &trace);
    weir_traceparent_format(&trace, request->traceparent);
    request->trace_id = weir_span_of(&request->traceparent[3], 32);
}

static void take_ids(struct weir_request *request) {
    request->start_ns = weir_loop_now_ns(request->worker->loop);
    request->start_utc_us = weir_loop_utc_us(request->worker->loop);
    request->id = weir_uuid_v7(weir_loop_random(request->worker->loop), request->start_utc_us);
    weir_uuid_format(&request->id, request->id_text);
    const struct weir_span *id = weir_http_head_find(request->head, WEIR_SPAN("x-request-id"));
    if (id == NULL)
        id = weir_http_head_find(request->head, WEIR_SPAN("x-sp-request-id"));
    const struct weir_span *tags = weir_http_head_find(request->head, WEIR_SPAN("x-weir-tags"));
    request->client_request_id = id != NULL && is_acceptable_id(*id, WEIR_MAX_CLIENT_REQUEST_ID_BYTES) ? *id
                                                                                                       : WEIR_SPAN("");
    request->tags = WEIR_SPAN("");
    if (tags != NULL)
        take_tags(request, *tags);
    take_trace(request);
    gateway__find_client_address(request);
}

/* Copies the head: its bytes stand in the loop's read buffer. */
static enum weir_status take_head(struct weir_request *request, const struct weir_http_head *head,
                                  struct weir_span block) {
    struct weir_span copy;
    size_t size = offsetof(struct weir_http_head, fields) + head->field_count * sizeof head->fields[0];
    request->head = weir_arena_alloc_raw(request->arena, sizeof *request->head);
    if (request->head == NULL || weir_arena_dup(request->arena, block, &copy) != WEIR_OK)
        return WEIR_ENOMEM;
    memcpy(request->head, head, size);
    weir_http_head_rebase(request->head, block.at, copy.at, block.length);
    return WEIR_OK;
}

static struct weir_request *begin(struct weir_worker *worker, struct weir_http_connection *connection,
                                  const struct weir_http_head *head, struct weir_span block) {
    struct weir_request *request = request_new(worker);
    if (request == NULL) {
        weir_http_connection_abort(connection);
        return NULL;
    }
    request->connection = connection;
    weir_metrics_add_active(worker->metrics, 1, 0, 0);
    weir_http_connection_serve(connection, &request_events, request);
    if (take_head(request, head, block) != WEIR_OK) {
        weir_http_connection_abort(connection);
        request->connection = NULL;
        gateway__request_free(request);
        return NULL;
    }
    take_ids(request);
    weir_timer_start(worker->loop, &request->deadline, gateway__settings(request)->timeouts.request_ms, on_deadline,
                     request);
    return request;
}

static void on_request(void *owner, struct weir_http_connection *connection, const struct weir_http_head *head,
                       struct weir_span block) {
    struct weir_request *request = begin(owner, connection, head, block);
    if (request == NULL)
        return;
    const char *allow = NULL;
    request->endpoint = gateway__endpoint_find(request->head->method, request->head->path, &request->path_variable,
                                               &allow);
    request->format = request->endpoint != NULL ? request->endpoint->format : NULL;
    request->allow = allow;
    request->dialect = gateway__dialect_of(request);
    request->query = gateway__query_to_forward(request);
    if (request->endpoint == NULL && allow != NULL)
        (void)gateway__fail(request, WEIR_REASON_METHOD_NOT_ALLOWED, NULL, "this one takes %s", allow);
    else if (request->endpoint == NULL)
        (void)gateway__fail(request, WEIR_REASON_PATH_NOT_FOUND, NULL, "%.*s",
                            (int)(request->head->path.length < 100 ? request->head->path.length : 100),
                            request->head->path.at);
    gateway__run(request);
}

static void on_refused(void *owner, struct weir_http_connection *connection, enum weir_reason reason,
                       const char *problem) {
    static const struct weir_http_head no_head = {.path = {"/v1/", 4}, .method = {"", 0}, .authority = {"", 0}};
    struct weir_request *request = begin(owner, connection, &no_head, WEIR_SPAN(""));
    if (request == NULL)
        return;
    request->dialect = weir_dialect_of(WEIR_DIALECT_OPENAI);
    (void)gateway__fail(request, reason, NULL, "%s", problem);
    gateway__run(request);
}

const struct weir_http_handler gateway__handler = {.on_request = on_request, .on_refused = on_refused};
