/* One client's connection, and the server it belongs to.
 *
 * The simulator does not use net's HTTP server: it must be able to do on purpose what that one exists to prevent. It
 * stands on streams and the HTTP/1.1 parser. What a turn of the loop has to send is collected per connection and goes
 * out when the turn's calls are in the log file.
 */
#ifndef WEIR_SIM_CONNECTION_H
#define WEIR_SIM_CONNECTION_H

#include "base/clock.h"
#include "http/http1.h"
#include "net/listener.h"
#include "sim/calls.h"
#include "sim/dialect.h"
#include "sim/fault.h"
#include "sim/kept.h"
#include "sim/settings.h"
#include "sim/task.h"
#include "sim/transfer.h"

struct sim_server {
    struct sim_settings settings;
    struct weir_loop *loop;
    struct weir_list connections;
    struct weir_list dirty; /* connections with something to send, or to close */
    struct weir_deferred flush;
    bool flush_wanted;
    struct sim_calls calls;
    struct sim_plan plan;
    struct sim_kept kept;
    struct sim_memory memory;
    struct sim_store *store;    /* files, responses and the like */
    struct weir_arena *scratch; /* a request's document, while it is read */
    struct weir_buffer body;    /* the body of the answer that is being built */
    struct weir_buffer units;   /* the events that go out now */
    uint64_t served;            /* calls begun */
    uint64_t accepted;          /* connections */
    size_t connection_count;
    size_t open_calls;
    int64_t started_ns;
    int64_t date_s;
    char date[WEIR_HTTP_DATE_SIZE];
    bool failed; /* the call log cannot be written: nothing may be answered any more */
};

enum sim_phase { SIM_READING, SIM_ANSWERING, SIM_CLOSED };
enum sim_ending { SIM_KEEP, SIM_CLOSE, SIM_RESET };

/* A request's head, as far as anybody cares. The spans live until the request has been served. */
struct sim_request {
    struct weir_span method, target, path, query, id, type;
    struct weir_span object; /* the {id} of its path */
    struct sim_wishes wishes;
    bool http10;
    bool keep_alive;
    bool authorized;
    struct sim_caller caller;
    const struct sim_dialect *dialect;   /* NULL: there was no head */
    const struct sim_endpoint *endpoint; /* NULL: none of the API */
    bool answered;                       /* before its body came */
    bool bad_wish;
    struct weir_error problem; /* of the wish or fault */
};

struct sim_connection {
    struct weir_list link;
    struct weir_list dirty;
    struct weir_deferred deferred;
    struct sim_server *server;
    struct weir_stream *stream;
    struct weir_http1 *parser;
    struct weir_arena *arena; /* of one request */
    struct weir_buffer head, body;
    struct weir_buffer held; /* input behind the request that is being answered */
    struct weir_buffer out;
    struct weir_buffer marks; /* size_t offsets in `out` where a write ends; empty: one write */
    enum sim_phase phase;
    enum sim_ending ending;
    bool request_whole;
    bool in_feed;
    bool closes_next; /* when the next request begins to come */
    bool stopped;     /* reading, because too much is unsent or held */
    struct sim_request request;
    struct sim_fault fault;
    struct sim_call call;
    bool call_open;
    struct sim_task task;
    struct sim_transfer transfer;
    struct weir_timer timer;
};

void sim__connection_accept(struct sim_server *server, struct weir_stream *stream);
/* Sends `out` and does what `ending` says when the turn ends. */
void sim__connection_queue(struct sim_connection *connection);
/* The answer is in `out`: on to the next request, unless the connection is to end. */
void sim__connection_done(struct sim_connection *connection);
/* Closes at once. */
void sim__connection_drop(struct sim_connection *connection);
/* Writes the line of the call that is open, if any. */
void sim__connection_log(struct sim_connection *connection, bool complete, bool aborted);

/* `length` < 0: no Content-Length; `chunked` then says how the body ends.
 * `fields` are whole lines. */
struct sim_head {
    unsigned status;
    const char *type;
    int64_t length;
    bool chunked;
    bool close;
    struct weir_span fields;
};
void sim__write_head(struct sim_connection *connection, const struct sim_head *head, struct weir_buffer *out);
/* A whole answer at once, outside of calls; done afterwards. */
void sim__reply(struct sim_connection *connection, unsigned status, const char *type, struct weir_span body);
void sim__reply_refusal(struct sim_connection *connection, const struct sim_refusal *refusal);

/* call.c: a call to an endpoint of the API, from its start to its answer. */
void sim__call_begin(struct sim_connection *connection);
void sim__call_serve(struct sim_connection *connection, struct weir_span body);
/* The same to an endpoint that is no call. */
void sim__call_aside(struct sim_connection *connection, struct weir_span body);
/* serve.c: what comes from a connection. */
void sim__serve_head(struct sim_connection *connection, const struct weir_http_head *head, struct weir_span block);
void sim__serve(struct sim_connection *connection);
/* control.c: true when the path was one of /_sim/. */
bool sim__control(struct sim_connection *connection, struct weir_span body);

#endif
