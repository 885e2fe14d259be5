/* The way back for event streams: forwarded as they come, metered on the way.
 *
 * The status line is held until the upstream's first event. The data event that says why the answer finished, or that carries the usage, is held
 * until what follows it is known, because the last one gets usedCUMilli. The journal's close is written before the terminal event leaves. A
 * slow client stops the reading upstream; nothing is kept but the unsent bytes and the held event.
 */
#include "gateway/impl.h"

/* The status line and the fields, unless they have left. */
static void write_stream_head(struct weir_request *request, struct weir_buffer *head) {
    struct gateway__relay *relay = &request->relay;
    if (relay->head_sent)
        return;
    relay->chunked = !weir_http_connection_is_http10(request->connection);
    if (!relay->chunked)
        weir_http_connection_end_by_close(request->connection);
    gateway__write_head(request, request->upstream.status, head);
    gateway__write_upstream_fields(request, head);
    if (weir_http_head_find(request->upstream.head, WEIR_SPAN("cache-control")) == NULL)
        (void)weir_http_write_field(head, WEIR_SPAN("Cache-Control"), WEIR_SPAN("no-cache"));
    if (relay->chunked)
        weir_buffer_append(head, WEIR_SPAN("Transfer-Encoding: chunked\r\nTrailer: x-weir-used-cu-milli\r\n"));
    weir_http_write_head_end(head);
}

/* One chunk with all that this turn brought, the head before it where it has not left, and the end of the body where it is over: one write. */
static enum weir_status flush(struct weir_request *request, struct weir_span end) {
    struct gateway__relay *relay = &request->relay;
    if (relay->out.length == 0 && end.length == 0)
        return WEIR_OK;
    if (request->connection == NULL)
        return WEIR_ECLOSED;
    if (weir_buffer_status(&relay->out) != WEIR_OK)
        return WEIR_ELIMIT;
    struct weir_buffer head;
    weir_buffer_init(&head, 2 * WEIR_MAX_HEAD_BYTES); /* the upstream's fields and ours */
    write_stream_head(request, &head);
    char chunk_head[WEIR_HTTP_CHUNK_HEAD_SIZE];
    bool chunk = relay->chunked && relay->out.length > 0;
    size_t length = chunk ? weir_http_format_chunk_head(relay->out.length, chunk_head) : 0;
    const struct weir_span parts[] = {weir_buffer_span(&head), weir_span_of(chunk_head, length),
                                      weir_buffer_span(&relay->out), chunk ? WEIR_SPAN("\r\n") : WEIR_SPAN(""),
                                      relay->chunked ? end : WEIR_SPAN("")};
    if (request->capture != NULL)
        gateway__capture_answer(request, &parts[2], 1);
    enum weir_status status = weir_buffer_status(&head);
    if (status == WEIR_OK)
        status = weir_http_connection_write(request->connection, parts, sizeof parts / sizeof *parts);
    weir_buffer_release(&head);
    weir_buffer_clear(&relay->out);
    if (status != WEIR_OK)
        return WEIR_ECLOSED;
    relay->head_sent = true;
    if (weir_http_connection_pending_bytes(request->connection) > WEIR_MAX_STREAM_PENDING_BYTES)
        gateway__upstream_pause(request, true);
    return WEIR_OK;
}

/* Appends an event with its data edited. Data that came on several lines goes out on one: in JSON a line end can only stand where a space may. */
static void append_edited(struct weir_buffer *out, const struct weir_sse_event *sse, struct weir_json_splice *splice) {
    bool in_place = sse->data.at >= sse->raw.at && sse->data.at + sse->data.length <= sse->raw.at + sse->raw.length;
    if (in_place) {
        size_t before = (size_t)(sse->data.at - sse->raw.at);
        weir_buffer_append(out, weir_span_first(sse->raw, before));
        weir_json_splice_write(splice, sse->data, out);
        weir_buffer_append(out, weir_span_from(sse->raw, before + sse->data.length));
        return;
    }
    weir_buffer_append(out, WEIR_SPAN("data: "));
    size_t from = out->length;
    weir_json_splice_write(splice, sse->data, out);
    for (size_t i = from; i < out->length; i++)
        if (out->at[i] == '\n')
            out->at[i] = ' ';
    weir_buffer_append(out, WEIR_SPAN("\n\n"));
}

static void append_event(struct weir_buffer *out, const struct weir_sse_event *sse, struct weir_json_splice *splice) {
    if (splice->count == 0)
        weir_buffer_append(out, sse->raw);
    else
        append_edited(out, sse, splice);
}

static void release_last(struct gateway__relay *relay) {
    if (!relay->has_last)
        return;
    weir_buffer_append(&relay->out, weir_buffer_span(&relay->last));
    weir_buffer_clear(&relay->last);
    relay->has_last = false;
}

/* Keeps the event (already edited) back: it may be the last one with data. */
static enum weir_status hold(struct weir_request *request, const struct weir_sse_event *sse,
                             struct weir_json_splice *splice) {
    struct gateway__relay *relay = &request->relay;
    release_last(relay);
    append_event(&relay->last, sse, splice);
    relay->has_last = true;
    return weir_buffer_status(&relay->last) == WEIR_OK ? WEIR_OK : WEIR_ELIMIT;
}

/* Puts usedCUMilli into the held event and lets it go. */
static void release_marked(struct weir_request *request) {
    struct gateway__relay *relay = &request->relay;
    if (!relay->has_last)
        return;
    if (request->endpoint->is_free) { /* nothing was used by asking for it again */
        release_last(relay);
        return;
    }
    struct weir_sse again;
    struct weir_sse_event sse;
    struct weir_event event;
    struct weir_json_splice splice = {.count = 0};
    struct weir_span input = weir_buffer_span(&relay->last);
    weir_sse_init(&again, WEIR_MAX_EVENT_BYTES);
    if (weir_sse_next(&again, &input, &sse) == WEIR_OK) {
        request->format->read_event(&sse, &event);
        if (request->format->mark_event(request->arena, &event, request->entry.cost_cu_milli, &splice) == WEIR_OK)
            append_event(&relay->out, &sse, &splice);
    } else {
        weir_buffer_append(&relay->out, weir_buffer_span(&relay->last));
    }
    weir_sse_release(&again);
    weir_buffer_clear(&relay->last);
    relay->has_last = false;
}

/* Everything has been said: settle, then the marked event, the terminal one and the end of the body. */
static enum weir_status complete(struct weir_request *request, struct weir_span done) {
    struct gateway__relay *relay = &request->relay;
    char end[GATEWAY_END_SIZE];
    gateway__settle(request);
    release_marked(request);
    weir_buffer_append(&relay->out, done);
    enum weir_status status = flush(request, gateway__end_of_body(request, end));
    if (status != WEIR_OK)
        return status;
    gateway__client_done(request);
    relay->mode = RELAY_DRAIN;
    gateway__upstream_pause(request, false); /* nobody tells any more when the client has room */
    weir_metrics_add_active(request->worker->metrics, 0, -1, 0);
    return WEIR_OK;
}

/* The provider tells of a failure: before anything has left it can still become an answer of its own. */
static enum weir_status on_error_event(struct weir_request *request, const struct weir_sse_event *sse) {
    struct gateway__relay *relay = &request->relay;
    gateway__attempt_ended(request, WEIR_REASON_UPSTREAM_ERROR);
    if (!relay->head_sent) {
        weir_buffer_clear(&relay->body);
        weir_buffer_append(&relay->body, sse->data);
        request->show_upstream_error = true;
        (void)gateway__fail(request, WEIR_REASON_UPSTREAM_ERROR, NULL, "in the stream's first event");
        return WEIR_END;
    }
    (void)gateway__fail(request, WEIR_REASON_UPSTREAM_ERROR, NULL, NULL);
    struct weir_error_answer error = gateway__error_of(request);
    struct weir_json_splice splice = {.count = 0};
    release_last(relay);
    if (request->dialect->edit_error_event(request->arena, sse->data, &error, &splice) != WEIR_OK)
        splice.count = 0;
    size_t begin = relay->out.length;
    append_event(&relay->out, sse, &splice);
    gateway__hide_credential(request, &relay->out, begin);
    relay->finish_seen = true; /* its own words have been passed on: stream_fail only ends the body */
    return WEIR_END;
}

/* By its likeness to the one before, where that will do. */
static void read_event(struct weir_request *request, const struct weir_sse_event *sse, struct weir_event *event) {
    struct gateway__relay *relay = &request->relay;
    if (relay->pattern != NULL && weir_event_pattern_read(relay->pattern, sse->data, event))
        return;
    request->format->read_event(sse, event);
    if (event->kind == WEIR_EVENT_CONTENT && relay->pattern == NULL) {
        relay->pattern = weir_arena_alloc_raw(request->arena, sizeof *relay->pattern);
        if (relay->pattern != NULL)
            weir_event_pattern_init(relay->pattern);
    }
    if (event->kind == WEIR_EVENT_CONTENT && relay->pattern != NULL)
        weir_event_pattern_set(relay->pattern, sse->data, event);
}

/* What an event tells, besides what it is for the client. */
static void note_event(struct weir_request *request, const struct weir_event *event) {
    struct gateway__relay *relay = &request->relay;
    if (event->answer.has_usage) {
        struct weir_usage *usage = event->usage_is_begun ? &relay->begun_usage : &request->usage;
        request->has_usage = request->has_usage || !event->usage_is_begun;
        *usage = event->answer.usage;
        if (!event->usage_is_begun)
            weir_usage_keep_most(usage, &relay->begun_usage);
    }
    if (event->answer.usage.unit == WEIR_UNIT_IMAGE)
        relay->units_made += event->answer.usage.units;
    if (event->sequence >= relay->next_sequence && event->sequence < INT64_MAX)
        relay->next_sequence = event->sequence + 1;
    if (relay->answer_id.length > 0 || event->answer.id.length == 0)
        return;
    if (weir_arena_dup(request->arena, event->answer.id, &relay->answer_id) != WEIR_OK)
        relay->answer_id = WEIR_SPAN("");
    if (request->endpoint->issues && request->call.is_kept)
        gateway__note_issued_id(request, relay->answer_id);
}

static enum weir_status on_event(struct weir_request *request, const struct weir_sse_event *sse) {
    struct gateway__relay *relay = &request->relay;
    struct weir_event event;
    struct weir_json_splice splice = {.count = 0};
    read_event(request, sse, &event);
    note_event(request, &event);
    if (event.kind == WEIR_EVENT_DAMAGED) {
        request->upstream.problem = "an event's data is not JSON";
        return WEIR_EPROTO;
    }
    if (event.kind == WEIR_EVENT_LAST) {
        if (event.failed)
            (void)gateway__fail(request, WEIR_REASON_UPSTREAM_ERROR, NULL, NULL);
        enum weir_status status = hold(request, sse, &splice);
        return status == WEIR_OK ? complete(request, WEIR_SPAN("")) : status;
    }
    if (event.kind == WEIR_EVENT_DONE)
        return complete(request, sse->raw);
    if (event.kind == WEIR_EVENT_ERROR)
        return on_error_event(request, sse);
    if (event.has_text && !(event.repeats && relay->content_events > 0))
        relay->content_events++;
    if (event.kind == WEIR_EVENT_FINISH)
        relay->finish_seen = true;
    if (event.kind == WEIR_EVENT_USAGE && !request->call.wants_usage)
        return WEIR_OK; /* metering asked for it, the client did not */
    if (!request->call.wants_usage && request->format->hide_usage != NULL &&
        request->format->hide_usage(sse->data, &event, &splice) != WEIR_OK)
        return WEIR_ENOMEM;
    if (event.kind == WEIR_EVENT_FINISH || event.kind == WEIR_EVENT_USAGE)
        return hold(request, sse, &splice);
    if (sse->has_data)
        release_last(relay);
    append_event(&relay->out, sse, &splice);
    return WEIR_OK;
}

enum weir_status gateway__stream_body(struct weir_request *request, struct weir_span data) {
    struct gateway__relay *relay = &request->relay;
    struct weir_sse_event sse;
    enum weir_status status = WEIR_OK;
    while (status == WEIR_OK && relay->mode == RELAY_STREAM) {
        status = weir_sse_next(&relay->sse, &data, &sse);
        if (status == WEIR_OK)
            status = on_event(request, &sse);
    }
    if (status == WEIR_END || status == WEIR_ELIMIT || status == WEIR_ENOMEM || relay->mode == RELAY_DRAIN)
        return status == WEIR_AGAIN ? WEIR_OK : status;
    return status == WEIR_AGAIN ? flush(request, WEIR_SPAN("")) : status;
}

/* The body has ended without a terminal event. If the answer had said that it was finished, it is whole: the dialect's own end is put. Otherwise
 * a client must not take the silence for success. */
enum gateway__next gateway__stream_end(struct weir_request *request) {
    if (!request->relay.finish_seen)
        return gateway__upstream_failed(request, WEIR_REASON_UPSTREAM_CLOSED, NULL);
    if (complete(request, request->format->done) != WEIR_OK)
        return gateway__fail(request, WEIR_REASON_CLIENT_CLOSED, NULL, NULL);
    return NEXT;
}

void gateway__stream_fail(struct weir_request *request) {
    struct gateway__relay *relay = &request->relay;
    struct weir_error_answer error = gateway__error_of(request);
    bool already_told = request->reason == WEIR_REASON_UPSTREAM_ERROR && relay->out.length > 0;
    if (!already_told)
        request->format->write_error_event(&relay->out, &error);
    char end[GATEWAY_END_SIZE];
    if (flush(request, gateway__end_of_body(request, end)) == WEIR_OK) {
        gateway__client_done(request);
    } else if (request->connection != NULL) {
        weir_http_connection_abort(request->connection);
        request->connection = NULL;
    }
}
