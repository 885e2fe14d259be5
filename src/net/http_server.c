/* See http_server.h. A connection is in one of the phases below; one function moves it.
 *
 * The parser is fed in place from the loop's read buffer. Bytes behind a complete request (pipelining) are kept until its
 * answer is finished; past a bound the connection stops reading, so a client cannot make us hold more. Frees happen at the end of the
 * loop turn, so every function here may go on after a callback has closed the connection, as long as it looks at the phase.
 */
#include "net/http_server.h"

#include "base/memory.h"

enum phase {
    PHASE_IDLE,      /* between requests */
    PHASE_HEAD,      /* a head has begun */
    PHASE_BODY,      /* a request is open, its body is coming */
    PHASE_ANSWERING, /* a request is open and has come whole */
    PHASE_DISCARD,   /* answered before its body had come: the rest is read and dropped */
    PHASE_CLOSING,   /* the last answer is complete, not all of it is on its way yet; what comes is dropped */
    PHASE_CLOSED
};

/* An unread body up to this size is read and dropped to keep the connection. */
#define DISCARD_MAX_BYTES (64 * WEIR_KIB)
/* Pipelined bytes that are kept while a request is being answered. */
#define PIPELINE_MAX_BYTES (64 * WEIR_KIB + WEIR_MAX_HEAD_BYTES)
#define LINGER_MS 2000

struct weir_http_server {
    struct weir_loop *loop;
    struct weir_http_server_settings settings;
    const struct weir_http_handler *handler;
    void *owner;
    struct weir_list connections;
    size_t count;
    bool draining;
};

struct weir_http_connection {
    struct weir_list link;         /* first */
    struct weir_deferred deferred; /* freeing */
    struct weir_deferred next;     /* going on with what was kept */
    struct weir_http_server *server;
    struct weir_stream *stream;
    struct weir_http1 *parser;
    const struct weir_http_request_events *events;
    void *request;
    struct weir_buffer pipelined;
    struct weir_timer timer;
    uint64_t body_left;
    size_t unsent_bytes; /* in PHASE_CLOSING: when its timer was started */
    int64_t requests;
    enum phase phase;
    bool body_length_known;
    bool keep_alive;
    bool http10;
    bool expects_continue;
    bool reading;
    bool in_feed;
    bool reset_parser; /* before the next message; never from within the parser's own callbacks */
    bool refused;
    bool next_in_use;
};

static void on_timer(void *argument);

static void release(void *argument) {
    struct weir_http_connection *connection = argument;
    weir_http1_free(&connection->parser);
    weir_buffer_release(&connection->pipelined);
    weir_memory_free(connection);
}

/* Takes the connection off the server's list and frees it when the turn ends. The stream has been dealt with. */
static void forget(struct weir_http_connection *connection) {
    connection->phase = PHASE_CLOSED;
    connection->events = NULL;
    weir_timer_stop(&connection->timer);
    weir_list_remove(&connection->link);
    connection->server->count--;
    weir_loop_defer(connection->server->loop, &connection->deferred, release, connection);
}

/* No more requests: from here on only the stream's own events matter. */
static bool is_over(const struct weir_http_connection *connection) {
    return connection->phase == PHASE_CLOSING || connection->phase == PHASE_CLOSED;
}

/* What was cut must not look whole: so a reset where bytes are left. */
static void close_now(struct weir_http_connection *connection) {
    if (connection->phase == PHASE_CLOSED)
        return;
    if (weir_stream_pending_bytes(connection->stream) > 0)
        weir_stream_reset(&connection->stream);
    else
        weir_stream_close(&connection->stream);
    forget(connection);
}

static void set_reading(struct weir_http_connection *connection, bool reading) {
    if (connection->reading == reading)
        return;
    connection->reading = reading;
    if (reading)
        weir_stream_read_start(connection->stream);
    else
        weir_stream_read_stop(connection->stream);
}

/* The one place where a phase changes, with the timer that belongs to it. */
static void set_phase(struct weir_http_connection *connection, enum phase phase) {
    const struct weir_http_server_settings *settings = &connection->server->settings;
    static const bool timed[] = {[PHASE_IDLE] = true,    [PHASE_HEAD] = true,    [PHASE_BODY] = true,
                                 [PHASE_DISCARD] = true, [PHASE_CLOSING] = true, [PHASE_CLOSED] = false};
    connection->phase = phase;
    if (!timed[phase]) {
        weir_timer_stop(&connection->timer);
        return;
    }
    int64_t wait = phase == PHASE_IDLE   ? settings->keep_alive_timeout_ms
                   : phase == PHASE_HEAD ? settings->head_timeout_ms
                                         : settings->body_timeout_ms;
    weir_timer_start(connection->server->loop, &connection->timer, wait, on_timer, connection);
}

static void linger(struct weir_http_connection *connection) {
    weir_stream_close_gently(&connection->stream, LINGER_MS);
    forget(connection);
}

/* Ends the connection when all that was written is on its way, for as long as the client goes on reading. */
static void close_gently(struct weir_http_connection *connection) {
    if (is_over(connection))
        return;
    connection->events = NULL;
    connection->unsent_bytes = weir_stream_pending_bytes(connection->stream);
    if (connection->unsent_bytes == 0) {
        linger(connection);
        return;
    }
    set_phase(connection, PHASE_CLOSING);
    set_reading(connection, true); /* a client that is stuck in sending does not read */
}

/* Tells the open request that its client is gone or broken. */
static void tell_gone(struct weir_http_connection *connection, enum weir_reason reason) {
    const struct weir_http_request_events *events = connection->events;
    void *request = connection->request;
    if (events == NULL)
        return;
    if (reason == WEIR_REASON_CLIENT_CLOSED)
        connection->events = NULL;
    else
        connection->keep_alive = false;
    events->on_gone(request, reason);
}

static void client_left(struct weir_http_connection *connection) {
    tell_gone(connection, WEIR_REASON_CLIENT_CLOSED);
    close_now(connection);
}

/* The client has had the time between two pieces of a body: enough if it took anything. */
static void on_closing_timer(struct weir_http_connection *connection) {
    size_t unsent_bytes = weir_stream_pending_bytes(connection->stream);
    if (unsent_bytes >= connection->unsent_bytes) {
        close_now(connection);
        return;
    }
    connection->unsent_bytes = unsent_bytes;
    set_phase(connection, PHASE_CLOSING);
}

static void on_timer(void *argument) {
    struct weir_http_connection *connection = argument;
    if (connection->phase == PHASE_CLOSING) {
        on_closing_timer(connection);
        return;
    }
    if (connection->phase == PHASE_BODY && connection->events != NULL) {
        tell_gone(connection, WEIR_REASON_REQUEST_TIMEOUT);
        if (!is_over(connection) && connection->events != NULL)
            client_left(connection);
        return;
    }
    if (connection->phase == PHASE_HEAD) {
        connection->refused = true;
        connection->server->handler->on_refused(connection->server->owner, connection, WEIR_REASON_REQUEST_TIMEOUT,
                                                "the head did not arrive in time");
    }
    close_gently(connection);
}

static void next_request(struct weir_http_connection *connection);

static enum weir_status on_head(void *owner, const struct weir_http_head *head, struct weir_span block) {
    struct weir_http_connection *connection = owner;
    struct weir_http_server *server = connection->server;
    connection->requests++;
    connection->http10 = head->minor_version == 0;
    connection->expects_continue = head->expect_continue && !connection->http10;
    connection->body_length_known = !head->chunked;
    connection->body_left = head->has_content_length ? head->content_length : 0;
    connection->keep_alive = head->keep_alive && !server->draining &&
                             (server->settings.keep_alive_requests == 0 ||
                              connection->requests < server->settings.keep_alive_requests);
    set_phase(connection, PHASE_BODY);
    server->handler->on_request(server->owner, connection, head, block);
    return is_over(connection) ? WEIR_ECLOSED : WEIR_OK;
}

static enum weir_status on_body(void *owner, struct weir_span data) {
    struct weir_http_connection *connection = owner;
    connection->body_left -= connection->body_left < data.length ? connection->body_left : data.length;
    connection->expects_continue = false;
    if (connection->phase == PHASE_BODY && connection->events != NULL) {
        set_phase(connection, PHASE_BODY);
        connection->events->on_body(connection->request, data);
    }
    return is_over(connection) ? WEIR_ECLOSED : WEIR_OK;
}

static enum weir_status on_end(void *owner, const struct weir_http_field *trailers, size_t trailer_count) {
    struct weir_http_connection *connection = owner;
    (void)trailers;
    (void)trailer_count;
    connection->body_left = 0;
    connection->body_length_known = true;
    connection->expects_continue = false;
    if (connection->phase == PHASE_DISCARD && connection->server->draining) {
        close_gently(connection);
    } else if (connection->phase == PHASE_DISCARD) {
        next_request(connection);
    } else if (connection->phase == PHASE_BODY && connection->events != NULL) {
        set_phase(connection, PHASE_ANSWERING);
        connection->events->on_complete(connection->request);
    }
    return is_over(connection) ? WEIR_ECLOSED : WEIR_OK;
}

static const struct weir_http1_events parser_events = {.on_head = on_head, .on_body = on_body, .on_end = on_end};

static void refuse(struct weir_http_connection *connection) {
    struct weir_http_server *server = connection->server;
    connection->keep_alive = false;
    connection->refused = true;
    if (connection->events != NULL) {
        tell_gone(connection, WEIR_REASON_REQUEST_MALFORMED);
        if (!is_over(connection) && connection->events != NULL)
            client_left(connection);
        return;
    }
    if (connection->phase != PHASE_DISCARD)
        server->handler->on_refused(server->owner, connection, weir_http1_reason(connection->parser),
                                    weir_http1_problem(connection->parser));
    close_gently(connection);
}

/* A client that asks and asks and never reads: its next request waits until it has taken what was answered. */
static bool is_clogged(const struct weir_http_connection *connection) {
    return connection->phase == PHASE_IDLE &&
           weir_stream_pending_bytes(connection->stream) > WEIR_MAX_STREAM_PENDING_BYTES;
}

/* Feeds what can be fed now; the rest is kept for after the answer. */
static void feed(struct weir_http_connection *connection, struct weir_span data) {
    connection->in_feed = true;
    while (data.length > 0 && connection->phase != PHASE_ANSWERING && !is_over(connection) && !is_clogged(connection)) {
        size_t consumed = 0;
        if (connection->phase == PHASE_IDLE)
            set_phase(connection, PHASE_HEAD);
        if (connection->reset_parser)
            weir_http1_reset(connection->parser);
        connection->reset_parser = false;
        enum weir_status status = weir_http1_feed(connection->parser, data, &consumed);
        if (is_over(connection))
            break;
        if (status != WEIR_OK) {
            refuse(connection);
            break;
        }
        data = weir_span_from(data, consumed);
    }
    connection->in_feed = false;
    if (is_over(connection) || data.length == 0)
        return;
    weir_buffer_append(&connection->pipelined, data);
    if (weir_buffer_status(&connection->pipelined) != WEIR_OK)
        client_left(connection);
    else if (connection->pipelined.length >= PIPELINE_MAX_BYTES / 2)
        set_reading(connection, false);
}

/* Goes on with what was kept. The buffer is moved out first: feeding may fill it again. */
static void feed_pipelined(struct weir_http_connection *connection) {
    while (connection->pipelined.length > 0 && connection->phase == PHASE_IDLE && !is_clogged(connection)) {
        struct weir_buffer kept = weir_buffer_take(&connection->pipelined);
        weir_buffer_init(&connection->pipelined, PIPELINE_MAX_BYTES + WEIR_READ_BUFFER_BYTES);
        feed(connection, weir_buffer_span(&kept));
        weir_buffer_release(&kept);
    }
    if (!is_over(connection))
        set_reading(connection, connection->pipelined.length < PIPELINE_MAX_BYTES / 2);
}

/* What has been closed in the meantime is freed after this: deferred calls run in order. */
static void feed_pipelined_deferred(void *argument) {
    struct weir_http_connection *connection = argument;
    connection->next_in_use = false;
    if (connection->phase == PHASE_IDLE)
        feed_pipelined(connection);
}

static void next_request(struct weir_http_connection *connection) {
    connection->events = NULL;
    connection->request = NULL;
    connection->reset_parser = true;
    set_phase(connection, PHASE_IDLE);
    /* Within a feed its own loop goes on. Outside, a long pipeline must not recurse through answer after answer, so the next
     * request begins when this turn's callbacks are done. */
    if (!connection->in_feed && connection->pipelined.length > 0 && !connection->next_in_use) {
        connection->next_in_use = true;
        weir_loop_defer(connection->server->loop, &connection->next, feed_pipelined_deferred, connection);
    }
}

static void on_data(void *owner, struct weir_span data) {
    struct weir_http_connection *connection = owner;
    if (is_over(connection))
        return;
    if (connection->pipelined.length == 0) {
        feed(connection, data);
        return;
    }
    weir_buffer_append(&connection->pipelined, data);
    if (weir_buffer_status(&connection->pipelined) != WEIR_OK)
        client_left(connection);
    else if (connection->phase == PHASE_IDLE)
        feed_pipelined(connection);
    else if (connection->pipelined.length >= PIPELINE_MAX_BYTES / 2)
        set_reading(connection, false);
}

/* While a request is open its client has left; else it has nothing more to ask, and gets what was answered. */
static void on_stream_end(void *owner) {
    struct weir_http_connection *connection = owner;
    if (connection->events != NULL)
        client_left(connection);
    else
        close_gently(connection);
}

static void on_stream_fail(void *owner, enum weir_status status, const char *detail) {
    (void)status;
    (void)detail;
    client_left(owner);
}

static void on_stream_drain(void *owner) {
    struct weir_http_connection *connection = owner;
    if (connection->phase == PHASE_CLOSING)
        linger(connection);
    else if (connection->events != NULL && connection->events->on_drain != NULL)
        connection->events->on_drain(connection->request);
    else if (connection->phase == PHASE_IDLE && connection->pipelined.length > 0)
        feed_pipelined(connection);
}

static char *place(void *owner, size_t *room) {
    struct weir_http_connection *connection = owner;
    if (connection->phase != PHASE_BODY || connection->events == NULL || connection->events->place == NULL ||
        connection->pipelined.length > 0)
        return NULL;
    return connection->events->place(connection->request, room);
}

static const struct weir_stream_events stream_events = {.on_data = on_data,
                                                        .place = place,
                                                        .on_end = on_stream_end,
                                                        .on_drain = on_stream_drain,
                                                        .on_fail = on_stream_fail};

struct weir_http_server *weir_http_server_new(struct weir_loop *loop, const struct weir_http_server_settings *settings,
                                              const struct weir_http_handler *handler, void *owner) {
    struct weir_http_server *server = weir_memory_new(1, sizeof *server);
    if (server == NULL)
        return NULL;
    server->loop = loop;
    server->settings = *settings;
    server->handler = handler;
    server->owner = owner;
    weir_list_init(&server->connections);
    return server;
}

void weir_http_server_configure(struct weir_http_server *server, const struct weir_http_server_settings *settings) {
    server->settings = *settings;
}

void weir_http_server_free(struct weir_http_server **server) {
    if (*server == NULL)
        return;
    while (!weir_list_is_empty(&(*server)->connections)) {
        struct weir_http_connection *connection = WEIR_CONTAINER_OF((*server)->connections.next,
                                                                    struct weir_http_connection, link);
        client_left(connection);
    }
    weir_memory_free(*server);
    *server = NULL;
}

void weir_http_server_accept(struct weir_http_server *server, struct weir_stream *stream) {
    struct weir_http_connection *connection = NULL;
    if (server->count < (size_t)server->settings.max_connections)
        connection = weir_memory_new(1, sizeof *connection);
    if (connection == NULL) {
        weir_stream_close(&stream);
        return;
    }
    connection->parser = weir_http1_new(WEIR_HTTP1_REQUESTS, &parser_events, connection);
    if (connection->parser == NULL) {
        weir_memory_free(connection);
        weir_stream_close(&stream);
        return;
    }
    connection->server = server;
    connection->stream = stream;
    weir_buffer_init(&connection->pipelined, PIPELINE_MAX_BYTES + WEIR_READ_BUFFER_BYTES);
    weir_list_append(&server->connections, &connection->link);
    server->count++;
    set_phase(connection, PHASE_IDLE);
    weir_stream_own(stream, &stream_events, connection);
    set_reading(connection, true);
}

void weir_http_server_drain(struct weir_http_server *server) {
    server->draining = true;
    for (struct weir_list *link = server->connections.next, *next; link != &server->connections; link = next) {
        struct weir_http_connection *connection = WEIR_CONTAINER_OF(link, struct weir_http_connection, link);
        next = link->next;
        connection->keep_alive = false;
        if (connection->phase != PHASE_IDLE || connection->pipelined.length > 0)
            continue;
        if (connection->requests == 0)
            continue; /* just opened: its first request is on its way, and gets an answer */
        if (weir_stream_pending_bytes(connection->stream) > 0)
            close_gently(connection);
        else
            close_now(connection);
    }
}

size_t weir_http_server_connections(const struct weir_http_server *server) {
    return server->count;
}

size_t weir_http_server_unsent(const struct weir_http_server *server) {
    size_t count = 0;
    for (const struct weir_list *link = server->connections.next; link != &server->connections; link = link->next)
        count += ((const struct weir_http_connection *)(const void *)link)->phase == PHASE_CLOSING;
    return count;
}

void weir_http_connection_serve(struct weir_http_connection *connection, const struct weir_http_request_events *events,
                                void *request) {
    connection->events = events;
    connection->request = request;
}

/* A body that is still to come is read and dropped when it is short, so that the connection can go on. */
static bool body_is_discardable(const struct weir_http_connection *connection) {
    return connection->body_length_known && connection->body_left <= DISCARD_MAX_BYTES && !connection->expects_continue;
}

bool weir_http_connection_must_close(const struct weir_http_connection *connection) {
    if (!connection->keep_alive || connection->server->draining || connection->refused)
        return true;
    return connection->phase == PHASE_BODY && !body_is_discardable(connection);
}

void weir_http_connection_end_by_close(struct weir_http_connection *connection) {
    connection->keep_alive = false;
}

bool weir_http_connection_is_http10(const struct weir_http_connection *connection) {
    return connection->http10;
}

enum weir_status weir_http_connection_write(struct weir_http_connection *connection, const struct weir_span *parts,
                                            size_t count) {
    if (is_over(connection))
        return WEIR_ECLOSED;
    return weir_stream_write(connection->stream, parts, count);
}

size_t weir_http_connection_pending_bytes(const struct weir_http_connection *connection) {
    return is_over(connection) ? 0 : weir_stream_pending_bytes(connection->stream);
}

void weir_http_connection_continue(struct weir_http_connection *connection) {
    if (!connection->expects_continue || connection->phase != PHASE_BODY)
        return;
    connection->expects_continue = false;
    const struct weir_span line = WEIR_SPAN("HTTP/1.1 100 Continue\r\n\r\n");
    if (weir_stream_write(connection->stream, &line, 1) != WEIR_OK)
        return; /* the stream tells of its failure by itself */
}

void weir_http_connection_finish(struct weir_http_connection *connection) {
    if (is_over(connection))
        return;
    bool close = weir_http_connection_must_close(connection);
    connection->events = NULL;
    connection->request = NULL;
    if (close) {
        close_gently(connection);
    } else if (connection->phase == PHASE_BODY) {
        set_phase(connection, PHASE_DISCARD); /* also without a body: the parser has yet to say so */
    } else {
        next_request(connection);
    }
}

void weir_http_connection_abort(struct weir_http_connection *connection) {
    if (connection->phase == PHASE_CLOSED)
        return;
    weir_stream_reset(&connection->stream);
    forget(connection);
}

const char *weir_http_connection_peer(const struct weir_http_connection *connection) {
    return connection->phase == PHASE_CLOSED ? "" : weir_stream_peer_address(connection->stream);
}

struct weir_loop *weir_http_connection_loop(const struct weir_http_connection *connection) {
    return connection->server->loop;
}
