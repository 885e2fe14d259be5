/* See connection.h. One request is open at a time; bytes behind it wait in `held`. */
#include "sim/connection.h"

#include "base/memory.h"
#include "sim/answer.h"

#define MAX_REQUEST_BODY_BYTES (64 * WEIR_MIB)
#define MAX_OUT_BYTES (512 * WEIR_MIB)
/* A larger buffer is freed when its bytes have gone. */
#define KEPT_OUT_BYTES (1 * WEIR_MIB)
#define MAX_HELD_BYTES (1 * WEIR_MIB)
/* Held input, or unsent answers of a client that pipelines without reading, beyond which reading stops. */
#define STOP_READING_BYTES (256 * WEIR_KIB)
#define MAX_ARENA_BYTES (512 * WEIR_MIB)
#define LINGER_MS 2000

static void on_data(void *owner, struct weir_span data);
static void on_end(void *owner);
static void on_drain(void *owner);
static void on_fail(void *owner, enum weir_status status, const char *detail);

static const struct weir_stream_events stream_events = {
    .on_data = on_data,
    .on_end = on_end,
    .on_drain = on_drain,
    .on_fail = on_fail,
};

static void release(void *argument) {
    struct sim_connection *connection = argument;
    weir_http1_free(&connection->parser);
    weir_arena_free(&connection->arena);
    weir_buffer_release(&connection->head);
    weir_buffer_release(&connection->body);
    weir_buffer_release(&connection->held);
    weir_buffer_release(&connection->out);
    weir_buffer_release(&connection->marks);
    weir_memory_free(connection);
}

/* The stream has been dealt with; the memory goes at the end of the turn. */
static void forget(struct sim_connection *connection) {
    connection->phase = SIM_CLOSED;
    weir_timer_stop(&connection->timer);
    weir_list_remove(&connection->link);
    weir_list_remove(&connection->dirty);
    connection->server->connection_count--;
    weir_loop_defer(connection->server->loop, &connection->deferred, release, connection);
}

void sim__connection_drop(struct sim_connection *connection) {
    if (connection->phase != SIM_CLOSED) {
        weir_stream_close(&connection->stream);
        forget(connection);
    }
}

/* --- sending --- */

static enum weir_status write_out(struct sim_connection *connection) {
    const struct weir_buffer *out = &connection->out;
    const struct weir_buffer *marks = &connection->marks;
    size_t from = 0;
    enum weir_status status = weir_buffer_status(out);
    for (size_t i = 0; status == WEIR_OK && i + sizeof(size_t) <= marks->length; i += sizeof(size_t)) {
        size_t to = 0;
        memcpy(&to, marks->at + i, sizeof to);
        struct weir_span piece = weir_span_of(out->at + from, to - from);
        status = piece.length == 0 ? WEIR_OK : weir_stream_write(connection->stream, &piece, 1);
        from = to;
    }
    if (status == WEIR_OK && from < out->length) {
        struct weir_span rest = weir_span_of(out->at + from, out->length - from);
        status = weir_stream_write(connection->stream, &rest, 1);
    }
    if (out->capacity > KEPT_OUT_BYTES) {
        weir_buffer_release(&connection->out);
    }
    weir_buffer_clear(&connection->out);
    weir_buffer_clear(&connection->marks);
    return status;
}

static void on_pump_timer(void *argument) {
    sim__transfer_pump(argument);
}

static void send(struct sim_connection *connection) {
    if (write_out(connection) != WEIR_OK) {
        sim__connection_log(connection, false, true);
        sim__connection_drop(connection);
        return;
    }
    if (connection->ending == SIM_CLOSE) {
        weir_stream_close_gently(&connection->stream, LINGER_MS);
        forget(connection);
    } else if (connection->ending == SIM_RESET) {
        weir_stream_reset(&connection->stream);
        forget(connection);
    } else if (connection->phase == SIM_ANSWERING && connection->transfer.waits_for_drain &&
               weir_stream_pending_bytes(connection->stream) == 0) {
        /* The system took it all, so no drain will be told. A turn of the loop lies between, for the others' sake. */
        weir_timer_start(connection->server->loop, &connection->timer, 0, on_pump_timer, connection);
    }
}

/* The log first: what a client holds, the log must know. */
static void flush(void *argument) {
    struct sim_server *server = argument;
    server->flush_wanted = false;
    if (sim__calls_flush(&server->calls) != WEIR_OK) {
        server->failed = true;
    }
    if (server->failed) {
        weir_loop_stop(server->loop);
        return;
    }
    while (!weir_list_is_empty(&server->dirty)) {
        struct sim_connection *connection = WEIR_CONTAINER_OF(server->dirty.next, struct sim_connection, dirty);
        weir_list_remove(&connection->dirty);
        send(connection);
    }
}

static void want_flush(struct sim_server *server) {
    if (!server->flush_wanted) {
        server->flush_wanted = true;
        weir_loop_defer(server->loop, &server->flush, flush, server);
    }
}

void sim__connection_queue(struct sim_connection *connection) {
    if (connection->phase != SIM_CLOSED && weir_list_is_empty(&connection->dirty)) {
        weir_list_append(&connection->server->dirty, &connection->dirty);
    }
    want_flush(connection->server);
}

/* What of the whole has gone out, in proportion. */
static int64_t share(int64_t whole, const struct sim_transfer *transfer) {
    return transfer->units == 0 ? 0 : whole * (int64_t)transfer->next / (int64_t)transfer->units;
}

void sim__connection_log(struct sim_connection *connection, bool complete, bool aborted) {
    struct sim_call *call = &connection->call;
    const struct weir_usage *usage = &connection->task.usage;
    const struct sim_transfer *transfer = &connection->transfer;
    if (!connection->call_open) {
        return;
    }
    connection->call_open = false;
    connection->server->open_calls--;
    call->complete = complete;
    call->aborted = aborted;
    /* Only where the head of an answer has gone out has anything been served. */
    if (call->status == 200 && transfer->real) {
        call->usage = *usage;
        if (!complete) {
            int64_t out = transfer->streaming ? transfer->steps.kind->tokens_out(transfer->steps.what, transfer->next)
                                              : share(usage->output, transfer);
            call->usage.output = out < usage->output ? out
                                                     : usage->output; /* an old answer that is told again is free */
            call->usage.reasoning = call->usage.output < usage->reasoning ? call->usage.output : usage->reasoning;
            call->usage.units = share(usage->units, transfer);
        }
    }
    if (sim__calls_add(&connection->server->calls, call) != WEIR_OK) {
        connection->server->failed = true;
    }
    want_flush(connection->server);
}

/* --- answers at once --- */

void sim__write_head(struct sim_connection *connection, const struct sim_head *head, struct weir_buffer *out) {
    struct sim_server *server = connection->server;
    int64_t now_s = weir_loop_utc_us(server->loop) / 1000000;
    if (now_s != server->date_s) {
        server->date_s = now_s;
        weir_clock_format_http(now_s * 1000000, server->date);
    }
    weir_http_write_status_line(out, head->status);
    weir_buffer_append(out, WEIR_SPAN("date: "));
    weir_buffer_append(out, weir_span_of_string(server->date));
    weir_buffer_append(out, WEIR_SPAN("\r\ncontent-type: "));
    weir_buffer_append(out, weir_span_of_string(head->type));
    weir_buffer_append(out, WEIR_SPAN("\r\n"));
    weir_buffer_append(out, head->fields);
    if (head->length >= 0) {
        weir_buffer_append(out, WEIR_SPAN("content-length: "));
        weir_buffer_append_int64(out, head->length);
        weir_buffer_append(out, WEIR_SPAN("\r\n"));
    } else if (head->chunked) {
        weir_buffer_append(out, WEIR_SPAN("transfer-encoding: chunked\r\n"));
    }
    if (head->close) {
        weir_buffer_append(out, WEIR_SPAN("connection: close\r\n"));
    } else if (connection->request.http10) {
        weir_buffer_append(out, WEIR_SPAN("connection: keep-alive\r\n"));
    }
    weir_buffer_append(out, WEIR_SPAN("\r\n"));
}

void sim__reply(struct sim_connection *connection, unsigned status, const char *type, struct weir_span body) {
    struct sim_head head = {
        .status = status,
        .type = type,
        .length = (int64_t)body.length,
        .close = !connection->request.keep_alive,
        .fields = WEIR_SPAN(""),
    };
    sim__write_head(connection, &head, &connection->out);
    if (!weir_span_equal(connection->request.method, WEIR_SPAN("HEAD"))) {
        weir_buffer_append(&connection->out, body);
    }
    sim__connection_done(connection);
}

void sim__reply_refusal(struct sim_connection *connection, const struct sim_refusal *refusal) {
    const struct sim_dialect *dialect = connection->request.dialect;
    struct weir_buffer body;
    weir_buffer_init(&body, 64 * WEIR_KIB);
    dialect = dialect != NULL ? dialect : &sim__openai;
    dialect->write_error(refusal, connection->server->served, &body);
    sim__reply(connection, refusal->status, "application/json", weir_buffer_span(&body));
    weir_buffer_release(&body);
}

/* --- reading --- */

static enum weir_status on_head(void *owner, const struct weir_http_head *head, struct weir_span block) {
    struct sim_connection *connection = owner;
    weir_buffer_clear(&connection->head);
    weir_buffer_clear(&connection->body);
    weir_buffer_append(&connection->head, block);
    if (weir_buffer_status(&connection->head) != WEIR_OK) {
        return WEIR_ENOMEM;
    }
    sim__serve_head(connection, head, block);
    if (head->expect_continue && !connection->request.answered) {
        weir_buffer_append(&connection->out, WEIR_SPAN("HTTP/1.1 100 Continue\r\n\r\n"));
        sim__connection_queue(connection);
    }
    return WEIR_OK;
}

static enum weir_status on_body(void *owner, struct weir_span data) {
    struct sim_connection *connection = owner;
    if (connection->request.answered) {
        return WEIR_OK;
    }
    weir_buffer_append(&connection->body, data);
    return weir_buffer_status(&connection->body);
}

static enum weir_status on_message_end(void *owner, const struct weir_http_field *trailers, size_t trailer_count) {
    struct sim_connection *connection = owner;
    (void)trailers;
    (void)trailer_count;
    connection->request_whole = true;
    return WEIR_OK;
}

static const struct weir_http1_events parser_events = {
    .on_head = on_head,
    .on_body = on_body,
    .on_end = on_message_end,
};

static void stop_reading(struct sim_connection *connection) {
    if (!connection->stopped) {
        connection->stopped = true;
        weir_stream_read_stop(connection->stream);
    }
}

static void refuse_input(struct sim_connection *connection, enum weir_status status) {
    struct sim_refusal refusal;
    bool too_large = status == WEIR_ELIMIT && weir_http1_reason(connection->parser) == WEIR_REASON_NONE;
    if (too_large) {
        sim__answer_status_refusal(413, NULL, &refusal);
    } else {
        unsigned code = weir_reason_row(weir_http1_reason(connection->parser))->status;
        sim__refuse(&refusal, code >= 400 ? code : 400, NULL, NULL, "The request is no HTTP/1.1 as it should be: %s.",
                    weir_http1_problem(connection->parser));
    }
    connection->call.status = refusal.status;
    sim__connection_log(connection, true, false);
    connection->fault.set = 0;
    connection->phase = SIM_ANSWERING;
    connection->request = (struct sim_request){.keep_alive = false, .method = WEIR_SPAN("POST")};
    sim__reply_refusal(connection, &refusal);
}

static void hold(struct sim_connection *connection, struct weir_span data) {
    weir_buffer_append(&connection->held, data);
    if (weir_buffer_status(&connection->held) != WEIR_OK) {
        sim__connection_log(connection, false, false);
        sim__connection_drop(connection);
    } else if (connection->held.length > STOP_READING_BYTES) {
        stop_reading(connection);
    }
}

static void feed(struct sim_connection *connection, struct weir_span data) {
    if (connection->closes_next && data.length > 0) {
        connection->ending = SIM_CLOSE;
        sim__connection_queue(connection);
        return;
    }
    connection->in_feed = true;
    while (data.length > 0 && connection->phase == SIM_READING && connection->ending == SIM_KEEP) {
        size_t consumed = 0;
        enum weir_status status = weir_http1_feed(connection->parser, data, &consumed);
        if (status != WEIR_OK) {
            refuse_input(connection, status);
            break;
        }
        data = weir_span_from(data, consumed);
        if (connection->request_whole) {
            connection->request_whole = false;
            connection->phase = SIM_ANSWERING;
            sim__serve(connection);
            if (connection->closes_next) {
                break;
            }
        }
    }
    connection->in_feed = false;
    if (data.length > 0 && connection->phase == SIM_READING && connection->closes_next) {
        feed(connection, data);
        return;
    }
    if (data.length > 0 && connection->phase == SIM_ANSWERING && connection->ending == SIM_KEEP) {
        hold(connection, data);
    }
}

void sim__connection_done(struct sim_connection *connection) {
    if (sim__fault_has(&connection->fault, SIM_FAULT_EARLY_RESET) && connection->request.answered) {
        /* Nothing more is read, so that the reset meets a client that is still sending. */
        connection->phase = SIM_ANSWERING;
        stop_reading(connection);
        sim__connection_queue(connection);
        if (!connection->timer.active) {
            sim__transfer_reset_soon(connection);
        }
        return;
    }
    connection->closes_next |= sim__fault_has(&connection->fault, SIM_FAULT_CLOSE_NEXT);
    if (!connection->request.keep_alive || sim__fault_has(&connection->fault, SIM_FAULT_CLOSE_IDLE)) {
        connection->ending = SIM_CLOSE;
    }
    sim__connection_queue(connection);
    if (connection->phase != SIM_ANSWERING) {
        return; /* an answer before the body: the message goes on */
    }
    connection->phase = SIM_READING;
    weir_http1_reset(connection->parser);
    weir_arena_reset(connection->arena);
    if (connection->ending != SIM_KEEP || connection->in_feed) {
        return;
    }
    if (connection->held.length > 0) {
        struct weir_buffer held = weir_buffer_take(&connection->held);
        weir_buffer_init(&connection->held, MAX_HELD_BYTES);
        feed(connection, weir_buffer_span(&held));
        weir_buffer_release(&held);
    }
    if (connection->stopped && connection->phase == SIM_READING) {
        connection->stopped = false;
        weir_stream_read_start(connection->stream);
    }
}

static void on_data(void *owner, struct weir_span data) {
    struct sim_connection *connection = owner;
    if (connection->phase == SIM_ANSWERING) {
        hold(connection, data);
        return;
    }
    feed(connection, data);
    if (connection->phase == SIM_READING && weir_stream_pending_bytes(connection->stream) > STOP_READING_BYTES) {
        stop_reading(connection);
    }
}

static void on_drain(void *owner) {
    struct sim_connection *connection = owner;
    if (connection->phase == SIM_READING && connection->stopped) {
        connection->stopped = false;
        weir_stream_read_start(connection->stream);
    }
    if (connection->phase == SIM_ANSWERING && connection->transfer.waits_for_drain) {
        sim__transfer_pump(connection);
    }
}

static void on_end(void *owner) {
    struct sim_connection *connection = owner;
    if (connection->call_open || connection->phase == SIM_ANSWERING) {
        sim__connection_log(connection, false, true);
        sim__connection_drop(connection);
    } else {
        connection->ending = SIM_CLOSE;
        sim__connection_queue(connection);
    }
}

static void on_fail(void *owner, enum weir_status status, const char *detail) {
    struct sim_connection *connection = owner;
    (void)status;
    (void)detail;
    sim__connection_log(connection, false, true);
    sim__connection_drop(connection);
}

void sim__connection_accept(struct sim_server *server, struct weir_stream *stream) {
    struct sim_connection *connection = weir_memory_new(1, sizeof *connection);
    server->accepted++;
    if (connection == NULL) {
        weir_stream_close(&stream);
        return;
    }
    connection->server = server;
    connection->stream = stream;
    connection->parser = weir_http1_new(WEIR_HTTP1_REQUESTS, &parser_events, connection);
    connection->arena = weir_arena_new(0, MAX_ARENA_BYTES);
    connection->phase = SIM_READING;
    weir_buffer_init(&connection->head, 2 * WEIR_MAX_HEAD_BYTES);
    weir_buffer_init(&connection->body, MAX_REQUEST_BODY_BYTES);
    weir_buffer_init(&connection->held, MAX_HELD_BYTES);
    weir_buffer_init(&connection->out, MAX_OUT_BYTES);
    weir_buffer_init(&connection->marks, MAX_OUT_BYTES);
    weir_list_init(&connection->dirty);
    weir_list_append(&server->connections, &connection->link);
    server->connection_count++;
    if (connection->parser == NULL || connection->arena == NULL) {
        sim__connection_drop(connection);
        return;
    }
    weir_stream_own(stream, &stream_events, connection);
    weir_stream_read_start(stream);
}
