/* The way back for event streams: forwarded as they come, metered on the way.
 *
 * The status line is held until the upstream's first event. The data event that says why the answer finished, or that carries the usage, is held
 * until what follows it is known, because the last one gets usedCUMilli. The journal's close is written before the terminal event leaves. A
 * slow client stops the reading upstream; nothing is kept but the unsent bytes and the held event.
 */
#include "gateway/translate.h"

/* The status line and the fields, unless they have left. */
static void write_stream_head(struct weir_request *request, struct weir_buffer *head) {
    struct gateway__relay *relay = &request->relay;
    if (relay->head_sent)
        return;
    relay->chunked = !weir_http_connection_is_http10(request->connection);
    if (!relay->chunked)
        weir_http_connection_end_by_close(request->connection);
    gateway__write_head(request, request->upstream.status, head);
    bool is_translated = gateway__is_translated(request);
    if (is_translated) {
        (void)weir_http_write_field(head, WEIR_SPAN("Content-Type"), gateway__stream_type(request));
        if (request->capture != NULL)
            gateway__capture_type(request, gateway__stream_type(request));
    } else {
        gateway__write_upstream_fields(request, head);
    }
    if (is_translated || weir_http_head_find(request->upstream.head, WEIR_SPAN("cache-control")) == NULL)
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
    if (sse->name.length > 0) { /* clients tell events apart by it */
        weir_buffer_append(out, WEIR_SPAN("event: "));
        weir_buffer_append(out, sse->name);
        weir_buffer_append_byte(out, '\n');
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
    if (relay->frames.framing != WEIR_FRAMING_EVENTS) { /* theirs may stand elsewhere, and is found again */
        relay->last_data_length = weir_json_splice_length(splice, sse->data.length);
        relay->last_data_at = (size_t)(sse->data.at - sse->raw.at);
    }
    return weir_buffer_status(&relay->last) == WEIR_OK ? WEIR_OK : WEIR_ELIMIT;
}

/* The held piece as it was read; `again` is for events. */
static bool find_last(const struct gateway__relay *relay, struct weir_sse *again, struct weir_span *input,
                      struct weir_sse_event *event) {
    if (relay->frames.framing == WEIR_FRAMING_EVENTS)
        return weir_sse_next(again, input, event) == WEIR_OK;
    if (relay->last_data_at + relay->last_data_length > input->length)
        return false;
    *event = (struct weir_sse_event){.raw = *input,
                                     .name = WEIR_SPAN(""),
                                     .data = weir_span_of(input->at + relay->last_data_at, relay->last_data_length),
                                     .has_data = true};
    return true;
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
    if (find_last(relay, &again, &input, &sse)) {
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
    if (gateway__is_translated(request))
        gateway__translate_end(request);
    else
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

enum weir_status gateway__stream_complete(struct weir_request *request) {
    return complete(request, WEIR_SPAN(""));
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
    gateway__hide_credential(request, &relay->out, begin); /* its own words: stream_fail only ends the body */
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

static enum weir_status on_translated(struct weir_request *request, const struct weir_sse_event *sse) {
    enum weir_status status = gateway__translate_event(request, sse);
    return status == WEIR_OK && request->translation->has_ended ? complete(request, WEIR_SPAN("")) : status;
}

/* What stands between lines or elements, and an array's end: behind what is held. */
static void append_blank(struct gateway__relay *relay, struct weir_span raw) {
    weir_buffer_append(relay->has_last ? &relay->last : &relay->out, raw);
}

static enum weir_status on_event(struct weir_request *request, const struct weir_sse_event *sse) {
    struct gateway__relay *relay = &request->relay;
    struct weir_event event;
    struct weir_json_splice splice = {.count = 0};
    if (request->translation != NULL && gateway__is_translated(request))
        return on_translated(request, sse);
    if (relay->frames.framing != WEIR_FRAMING_EVENTS && !sse->has_data) {
        append_blank(relay, sse->raw);
        return WEIR_OK;
    }
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
        status = weir_frames_next(&relay->frames, &data, &sse);
        if (status == WEIR_OK)
            status = on_event(request, &sse);
    }
    if (status == WEIR_END || status == WEIR_EBUSY || status == WEIR_ELIMIT || status == WEIR_ENOMEM ||
        relay->mode == RELAY_DRAIN)
        return status == WEIR_AGAIN ? WEIR_OK : status;
    return status == WEIR_AGAIN ? flush(request, WEIR_SPAN("")) : status;
}

/* A last line, which had no end, is not what it should be. */
static enum gateway__next end_of_last(struct weir_request *request, enum weir_status status) {
    if (status == WEIR_EBUSY)
        return RETRY;
    if (status == WEIR_END)
        return ANSWER;
    if (status == WEIR_ECLOSED)
        return gateway__fail(request, WEIR_REASON_CLIENT_CLOSED, NULL, NULL);
    return gateway__upstream_failed(request, WEIR_REASON_UPSTREAM_CLOSED, request->upstream.problem);
}

/* The body has ended without a terminal event. If the answer had said that it was finished, it is whole: the dialect's own end is put. Otherwise
 * a client must not take the silence for success. */
enum gateway__next gateway__stream_end(struct weir_request *request) {
    struct weir_sse_event last;
    if (weir_frames_finish(&request->relay.frames, &last) == WEIR_OK) {
        enum weir_status status = on_event(request, &last);
        if (status != WEIR_OK)
            return end_of_last(request, status);
        if (request->relay.mode == RELAY_DRAIN)
            return NEXT;
    }
    if (gateway__is_translated(request) ? !gateway__translate_body_end(request) : !request->relay.finish_seen)
        return gateway__upstream_failed(request, WEIR_REASON_UPSTREAM_CLOSED, NULL);
    /* A front codec has written its own end. */
    if (complete(request, gateway__is_translated(request) ? WEIR_SPAN("") : request->format->done) != WEIR_OK)
        return gateway__fail(request, WEIR_REASON_CLIENT_CLOSED, NULL, NULL);
    return NEXT;
}

/* In an array it is an element, the last one. */
static void write_error(struct weir_request *request, const struct weir_error_answer *error, bool is_translated) {
    struct gateway__relay *relay = &request->relay;
    enum weir_framing framing = is_translated ? request->translation->exchange.front_framing : relay->frames.framing;
    if (framing != WEIR_FRAMING_ARRAY) {
        request->format->write_error_event(&relay->out, error);
        return;
    }
    weir_buffer_append(&relay->out, relay->head_sent || relay->out.length > 0 ? WEIR_SPAN(",") : WEIR_SPAN("["));
    request->dialect->write_error(&relay->out, error);
    weir_buffer_append(&relay->out, WEIR_SPAN("]"));
}

void gateway__stream_fail(struct weir_request *request) {
    struct gateway__relay *relay = &request->relay;
    struct weir_error_answer error = gateway__error_of(request);
    bool is_translated = gateway__is_translated(request);
    bool already_told = request->reason == WEIR_REASON_UPSTREAM_ERROR && relay->out.length > 0 && !is_translated;
    if (is_translated) {
        error.answer_id = request->translation->exchange.front_answer_id;
        error.sequence = request->translation->exchange.front_sequence;
    }
    if (!already_told)
        write_error(request, &error, is_translated);
    char end[GATEWAY_END_SIZE];
    if (flush(request, gateway__end_of_body(request, end)) == WEIR_OK) {
        gateway__client_done(request);
    } else if (request->connection != NULL) {
        weir_http_connection_abort(request->connection);
        request->connection = NULL;
    }
}
