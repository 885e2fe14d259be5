/* Translated streams: the provider's events become deltas, and those the client's own events, as they come.
 *
 * The front keeps what says why the answer has finished, and the usage, until the provider's stream is whole; then the journal's close is written, and the last
 * events leave with the cost. Nothing has left before a delta has written something, so that until then another candidate can still be tried.
 */
#include "gateway/translate.h"
#include "provider/outcome.h"

struct weir_span gateway__stream_type(const struct weir_request *request) {
    switch (request->translation->exchange.front_framing) {
    case WEIR_FRAMING_LINES: return WEIR_SPAN("application/x-ndjson");
    case WEIR_FRAMING_ARRAY: return WEIR_SPAN("application/json");
    case WEIR_FRAMING_EVENTS: break;
    }
    return WEIR_SPAN("text/event-stream; charset=utf-8");
}

/* Where the format has both: events where the query says alt=sse, else one array. */
static enum weir_framing framing_of(const struct weir_request *request) {
    struct weir_span item, query = request->head->query;
    if ((request->format->flags & WEIR_FORMAT_ARRAY_STREAM) == 0)
        return request->format->front->framing;
    for (bool more = query.length > 0; more;) {
        more = weir_span_split(query, '&', &item, &query);
        if (weir_span_equal(item, WEIR_SPAN("alt=sse")) || weir_span_equal(item, WEIR_SPAN("$alt=sse")))
            return WEIR_FRAMING_EVENTS;
    }
    return WEIR_FRAMING_ARRAY;
}

enum weir_status gateway__translate_begin_streams(struct weir_request *request) {
    struct gateway__translation *translation = request->translation;
    const struct weir_front *front = request->format->front;
    translation->has_ended = translation->has_failed = translation->has_usage = false;
    translation->exchange.front_framing = framing_of(request);
    request->relay.out.max_bytes = WEIR_MAX_TRANSLATED_BYTES; /* some formats say everything again at the end */
    translation->front_stream = front->begin_stream(&translation->exchange);
    translation->back_stream = translation->back->begin_stream(&translation->exchange);
    return translation->front_stream != NULL && translation->back_stream != NULL ? WEIR_OK : WEIR_ENOMEM;
}

/* Usage that is told before the answer has finished counts what had been used by then: it is the last word only of a stream that has. */
static void note_end(struct weir_request *request, const struct weir_delta *delta) {
    struct gateway__translation *translation = request->translation;
    struct gateway__relay *relay = &request->relay;
    relay->finish_seen = relay->finish_seen || delta->kind == WEIR_DELTA_FINISH;
    if (delta->kind == WEIR_DELTA_USAGE) {
        translation->has_usage = true;
        relay->begun_usage = delta->usage;
    }
    if (!relay->finish_seen || !translation->has_usage)
        return;
    request->has_usage = true;
    request->usage = relay->begun_usage;
}

static void take(void *context, const struct weir_delta *delta) {
    struct weir_request *request = context;
    struct gateway__translation *translation = request->translation;
    struct gateway__relay *relay = &request->relay;
    if (translation->has_ended || translation->has_failed)
        return;
    if (delta->kind == WEIR_DELTA_END) {
        translation->has_ended = true;
        return;
    }
    if (delta->kind == WEIR_DELTA_ERROR) {
        translation->has_failed = true;
        translation->error = delta->error;
        return;
    }
    if (delta->kind == WEIR_DELTA_TEXT && delta->text.length > 0)
        relay->content_events++;
    if (delta->kind == WEIR_DELTA_BEGIN)
        relay->begun_usage = delta->usage;
    if (delta->kind == WEIR_DELTA_USAGE || delta->kind == WEIR_DELTA_FINISH)
        note_end(request, delta);
    request->format->front->write_delta(translation->front_stream, delta, &relay->out);
}

/* The provider tells of a failure: before anything has left it can still become another attempt, or an answer of its own. */
static enum weir_status on_error(struct weir_request *request) {
    struct gateway__translation *translation = request->translation;
    const struct weir_provider_error *error = &translation->error;
    struct weir_provider_outcome outcome = weir_provider_classify(error->status >= 400 ? error->status : 500);
    enum weir_reason reason = outcome.reason != WEIR_REASON_NONE ? outcome.reason : WEIR_REASON_UPSTREAM_ERROR;
    bool has_begun = request->relay.head_sent || request->relay.content_events > 0;
    gateway__attempt_ended(request, reason);
    if (!has_begun && outcome.may_fall_back && request->next_candidate < request->candidates.count)
        return WEIR_EBUSY;
    (void)gateway__fail(request, reason, NULL, NULL);
    if (outcome.show_body)
        gateway__note_provider_error(request, error);
    if (!has_begun)
        request->upstream_error_status = error->status >= 400 ? gateway__client_status(request, outcome.client_status)
                                                              : 0;
    return WEIR_END;
}

enum weir_status gateway__translate_event(struct weir_request *request, const struct weir_sse_event *event) {
    struct gateway__translation *translation = request->translation;
    const struct weir_delta_sink sink = {.take = take, .context = request};
    weir_arena_reset(translation->scratch);
    enum weir_status status = translation->back->read_event(translation->back_stream, event, &sink);
    if (status == WEIR_EPROTO || status == WEIR_EINVAL) {
        request->upstream.problem = "an event is not what its dialect has";
        return WEIR_EPROTO;
    }
    if (status != WEIR_OK)
        return status;
    return translation->has_failed ? on_error(request) : WEIR_OK;
}

bool gateway__translate_body_end(struct weir_request *request) {
    struct gateway__translation *translation = request->translation;
    const struct weir_delta_sink sink = {.take = take, .context = request};
    weir_arena_reset(translation->scratch);
    translation->back->end_stream(translation->back_stream, &sink);
    return translation->has_ended;
}

void gateway__translate_end(struct weir_request *request) {
    request->format->front->end_stream(request->translation->front_stream, &request->usage, !request->has_usage,
                                       request->entry.cost_cu_milli, &request->relay.out);
}

/* --- a whole answer where a stream was asked for --- */

enum weir_status gateway__translate_tell(struct weir_request *request, const struct weir_reply *reply) {
    const struct weir_delta_sink sink = {.take = take, .context = request};
    int64_t content_events = request->relay.content_events;
    weir_metrics_add_active(request->worker->metrics, 0, 1, 0);
    request->relay.mode = RELAY_STREAM;
    enum weir_status status = gateway__translate_begin_streams(request);
    if (status != WEIR_OK)
        return status;
    status = weir_reply_tell(&request->translation->exchange, reply, &sink);
    if (status != WEIR_OK)
        return status;
    request->relay.content_events = content_events; /* as it is counted where it comes whole */
    return gateway__stream_complete(request);
}
