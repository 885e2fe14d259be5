/* The owner's face of a filter chain: callbacks that can be handed to another owner, byte counts, and the ways to close.
 * All bytes are the filters' business; nothing is buffered here.
 */
#include "net/impl.h"

#include <arpa/inet.h>

/* How long a peer may keep a gently closed stream after it has got everything. */
enum { LINGER_MS = 2000 };

struct weir_stream {
    struct weir_loop *loop;
    struct weir_filter *top; /* NULL once closed */
    const struct weir_stream_events *events;
    void *owner;
    void (*on_open)(void *owner);
    void *attachment;
    uint64_t bytes_read;
    uint64_t bytes_written;
    bool is_tls;
    bool ended; /* the peer's side */
    bool failed;
    struct weir_timer timer; /* gentle close */
    struct weir_deferred deferred;
    char peer[NET_ADDRESS_TEXT_SIZE];
};

static void top_on_open(void *upper) {
    struct weir_stream *stream = upper;
    if (stream->on_open != NULL) {
        stream->on_open(stream->owner);
    }
}

static void top_on_data(void *upper, struct weir_span data) {
    struct weir_stream *stream = upper;
    stream->bytes_read += data.length;
    if (stream->events != NULL && stream->events->on_data != NULL) {
        stream->events->on_data(stream->owner, data);
    }
}

static void top_on_end(void *upper) {
    struct weir_stream *stream = upper;
    stream->ended = true;
    if (stream->events != NULL && stream->events->on_end != NULL) {
        stream->events->on_end(stream->owner);
    }
}

static void top_on_drain(void *upper) {
    struct weir_stream *stream = upper;
    if (stream->events != NULL && stream->events->on_drain != NULL) {
        stream->events->on_drain(stream->owner);
    }
}

static void top_on_fail(void *upper, enum weir_status status, const char *detail) {
    struct weir_stream *stream = upper;
    stream->failed = true;
    if (stream->events != NULL && stream->events->on_fail != NULL) {
        stream->events->on_fail(stream->owner, status, detail);
    }
}

static char *top_place(void *upper, size_t *room) {
    struct weir_stream *stream = upper;
    if (stream->events == NULL || stream->events->place == NULL) {
        return NULL;
    }
    return stream->events->place(stream->owner, room);
}

static const struct weir_filter_events top_events = {
    .on_open = top_on_open,
    .place = top_place,
    .on_data = top_on_data,
    .on_end = top_on_end,
    .on_drain = top_on_drain,
    .on_fail = top_on_fail,
};

enum weir_status net__stream_new(struct weir_loop *loop, struct weir_filter *top, bool is_tls, const char *peer,
                                 struct weir_stream **out) {
    struct weir_stream *stream = weir_memory_new(1, sizeof *stream);
    if (stream == NULL) {
        top->ops->close(top, false);
        return WEIR_ENOMEM;
    }
    stream->loop = loop;
    stream->top = top;
    stream->is_tls = is_tls;
    if (weir_span_to_string(weir_span_of_string(peer), stream->peer, sizeof stream->peer) != WEIR_OK) {
        stream->peer[0] = '\0';
    }
    top->events = &top_events;
    top->upper = stream;
    *out = stream;
    return WEIR_OK;
}

void net__stream_on_open(struct weir_stream *stream, void (*on_open)(void *owner)) {
    stream->on_open = on_open;
}
void net__stream_attach(struct weir_stream *stream, void *attachment) {
    stream->attachment = attachment;
}
void *net__stream_attachment(const struct weir_stream *stream) {
    return stream->attachment;
}
struct weir_filter *net__stream_top(const struct weir_stream *stream) {
    return stream->top;
}
bool net__stream_is_clean(const struct weir_stream *stream) {
    return !stream->ended && !stream->failed && weir_stream_pending_bytes(stream) == 0;
}

void weir_stream_own(struct weir_stream *stream, const struct weir_stream_events *events, void *owner) {
    stream->events = events;
    stream->owner = owner;
}

struct weir_loop *weir_stream_loop(struct weir_stream *stream) {
    return stream->loop;
}

void weir_stream_read_start(struct weir_stream *stream) {
    stream->top->ops->read_start(stream->top);
}

void weir_stream_read_stop(struct weir_stream *stream) {
    stream->top->ops->read_stop(stream->top);
}

enum weir_status weir_stream_write(struct weir_stream *stream, const struct weir_span *parts, size_t count) {
    enum weir_status status = stream->top->ops->write(stream->top, parts, count);
    if (status == WEIR_OK) {
        for (size_t i = 0; i < count; i++) {
            stream->bytes_written += parts[i].length;
        }
    }
    return status;
}

size_t weir_stream_pending_bytes(const struct weir_stream *stream) {
    return stream->top->ops->pending_bytes(stream->top);
}

void weir_stream_shutdown(struct weir_stream *stream) {
    stream->top->ops->shutdown(stream->top);
}

static void free_stream(void *argument) {
    weir_memory_free(argument);
}

static void close_stream(struct weir_stream *stream, bool reset) {
    weir_timer_stop(&stream->timer);
    stream->events = NULL;
    stream->owner = NULL;
    stream->on_open = NULL;
    stream->top->ops->close(stream->top, reset);
    weir_loop_defer(stream->loop, &stream->deferred, free_stream, stream);
}

void weir_stream_close(struct weir_stream **stream) {
    if (*stream != NULL) {
        close_stream(*stream, false);
        *stream = NULL;
    }
}

void weir_stream_reset(struct weir_stream **stream) {
    if (*stream != NULL) {
        close_stream(*stream, true);
        *stream = NULL;
    }
}

static void gentle_on_data(void *owner, struct weir_span data) {
    (void)owner;
    (void)data;
}

static void gentle_on_end(void *owner) {
    struct weir_stream *stream = owner;
    if (weir_stream_pending_bytes(stream) == 0) {
        close_stream(stream, false);
    }
}

/* What is cut must not look whole: so a reset where bytes are left. */
static void gentle_on_timeout(void *argument) {
    struct weir_stream *stream = argument;
    close_stream(stream, weir_stream_pending_bytes(stream) > 0);
}

static void gentle_on_drain(void *owner) {
    struct weir_stream *stream = owner;
    if (weir_stream_pending_bytes(stream) > 0) {
        return;
    }
    if (stream->ended) {
        close_stream(stream, false);
        return;
    }
    int64_t left_ms = stream->timer.due_ms - weir_loop_now_ns(stream->loop) / 1000000;
    if (left_ms > LINGER_MS) {
        weir_timer_start(stream->loop, &stream->timer, LINGER_MS, gentle_on_timeout, stream);
    }
}

static void gentle_on_fail(void *owner, enum weir_status status, const char *detail) {
    (void)status;
    (void)detail;
    close_stream(owner, false);
}

static const struct weir_stream_events gentle_events = {
    .on_data = gentle_on_data,
    .on_end = gentle_on_end,
    .on_drain = gentle_on_drain,
    .on_fail = gentle_on_fail,
};

void weir_stream_close_gently(struct weir_stream **handle, int64_t timeout_ms) {
    struct weir_stream *stream = *handle;
    if (stream == NULL) {
        return;
    }
    *handle = NULL;
    weir_stream_shutdown(stream);
    if (stream->failed || (stream->ended && weir_stream_pending_bytes(stream) == 0)) {
        close_stream(stream, false);
        return;
    }
    weir_stream_own(stream, &gentle_events, stream);
    if (weir_stream_pending_bytes(stream) == 0 && timeout_ms > LINGER_MS) {
        timeout_ms = LINGER_MS;
    }
    weir_timer_start(stream->loop, &stream->timer, timeout_ms, gentle_on_timeout, stream);
    weir_stream_read_start(stream);
}

const char *weir_stream_peer_address(const struct weir_stream *stream) {
    return stream->peer;
}
bool weir_stream_is_tls(const struct weir_stream *stream) {
    return stream->is_tls;
}
uint64_t weir_stream_bytes_read(const struct weir_stream *stream) {
    return stream->bytes_read;
}
uint64_t weir_stream_bytes_written(const struct weir_stream *stream) {
    return stream->bytes_written;
}
