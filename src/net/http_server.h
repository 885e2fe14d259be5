/* The server's end of HTTP/1.1 connections: reading requests one after the other, keeping the order, ending them well.
 *
 * It joins a stream and a parser and knows the rules between messages: pipelining, keep-alive and its limits, what happens to
 * an unread body, timeouts for slow or silent clients. What a request means is the handler's affair: it gets the head, the body's
 * bytes, and writes whole heads and bodies itself. One request at a time is open on a connection.
 */
#ifndef WEIR_NET_HTTP_SERVER_H
#define WEIR_NET_HTTP_SERVER_H

#include "http/http1.h"
#include "net/stream.h"

struct weir_http_server;
struct weir_http_connection;

struct weir_http_server_settings {
    int64_t head_timeout_ms;       /* from the first byte of a head to its end */
    int64_t body_timeout_ms;       /* between two pieces of a body */
    int64_t keep_alive_timeout_ms; /* between requests */
    int64_t keep_alive_requests;   /* then the connection is closed; 0: no limit */
    int64_t max_connections;
};

/* Called on the loop's thread. */
struct weir_http_handler {
    /* A request begins. `head` and `block` live for the call. The handler calls weir_http_connection_serve, or answers
     * and finishes at once. */
    void (*on_request)(void *owner, struct weir_http_connection *connection, const struct weir_http_head *head,
                       struct weir_span block);
    /* What came is no request: the handler may write an answer; the connection closes after the call. */
    void (*on_refused)(void *owner, struct weir_http_connection *connection, enum weir_reason reason,
                       const char *problem);
};

/* One request's callbacks. */
struct weir_http_request_events {
    void (*on_body)(void *request, struct weir_span data);
    /* May be NULL. Where the next bytes of the body are wanted, and how many at most: never more than the body has left. NULL: anywhere. What is then
     * given to on_body may stand there already. */
    char *(*place)(void *request, size_t *room);
    void (*on_complete)(void *request); /* the whole request has come */
    /* The client left (reset, or end of its side), or its body stalled or broke: `reason` is CLIENT_CLOSED, REQUEST_TIMEOUT
     * or REQUEST_MALFORMED. For CLIENT_CLOSED the connection is gone after the call; for the others an answer may be
     * written and finished. */
    void (*on_gone)(void *request, enum weir_reason reason);
    void (*on_drain)(void *request); /* all that was written is on its way */
};

/* `settings` is copied; `owner` goes to the handler. NULL: no memory. */
struct weir_http_server *weir_http_server_new(struct weir_loop *loop, const struct weir_http_server_settings *settings,
                                              const struct weir_http_handler *handler, void *owner);
/* Closes every connection at once (requests get on_gone) and frees. */
void weir_http_server_free(struct weir_http_server **server);
/* Takes a new connection (from a listener). Past max_connections it is closed. */
void weir_http_server_accept(struct weir_http_server *server, struct weir_stream *stream);
/* From now on every answer closes its connection; idle connections are closed now. */
void weir_http_server_drain(struct weir_http_server *server);
size_t weir_http_server_connections(const struct weir_http_server *server);
/* Closing connections whose answer is complete but not yet all on its way; weir_http_server_free cuts these with a reset. */
size_t weir_http_server_unsent(const struct weir_http_server *server);
void weir_http_server_configure(struct weir_http_server *server, const struct weir_http_server_settings *settings);

/* Says who takes the rest of the current request. */
void weir_http_connection_serve(struct weir_http_connection *connection, const struct weir_http_request_events *events,
                                void *request);
/* True when the answer must say `Connection: close`: the client or a limit wants it, or too much of the body is unread. */
bool weir_http_connection_must_close(const struct weir_http_connection *connection);
/* The answer has neither a length nor a chunked coding: only the end of the connection ends it. Before must_close is asked. */
void weir_http_connection_end_by_close(struct weir_http_connection *connection);
/* The request's protocol is 1.0: no chunked coding in the answer. */
bool weir_http_connection_is_http10(const struct weir_http_connection *connection);
WEIR_MUST enum weir_status weir_http_connection_write(struct weir_http_connection *connection,
                                                      const struct weir_span *parts, size_t count);
size_t weir_http_connection_pending_bytes(const struct weir_http_connection *connection);
/* The client waits for `100 Continue` before it sends its body: say so. */
void weir_http_connection_continue(struct weir_http_connection *connection);
/* The answer is written: the connection goes on with the next request, or closes when must_close was true. No callback of
 * this request comes any more. */
void weir_http_connection_finish(struct weir_http_connection *connection);
/* The answer cannot be completed: the connection is reset, so that the client cannot take it for whole. */
void weir_http_connection_abort(struct weir_http_connection *connection);
const char *weir_http_connection_peer(const struct weir_http_connection *connection);
struct weir_loop *weir_http_connection_loop(const struct weir_http_connection *connection);

#endif
