/* See transfer.h. Units are written only while little is unsent, so that a slow reader costs no memory and the call log
 * knows what has really gone out. Due times are counted from the start: late timers do not slow the pace. */
#include "sim/connection.h"

/* Unsent bytes beyond which no more units are written. */
#define MAX_UNSENT_BYTES (256 * WEIR_KIB)
/* Between the last bytes and a reset: a reset at once could overtake them in the client's system. */
#define RESET_DELAY_MS 20

static void on_timer(void *argument) {
    sim__transfer_pump(argument);
}

static void on_reset_timer(void *argument) {
    struct sim_connection *connection = argument;
    connection->ending = SIM_RESET;
    sim__connection_queue(connection);
}

void sim__transfer_reset_soon(struct sim_connection *connection) {
    weir_timer_start(connection->server->loop, &connection->timer, RESET_DELAY_MS, on_reset_timer, connection);
}

static void mark(struct sim_connection *connection) {
    if (connection->transfer.split > 0) {
        size_t offset = connection->out.length;
        weir_buffer_append(&connection->marks, weir_span_of((const char *)&offset, sizeof offset));
    }
}

static void append_chunk(struct sim_connection *connection, struct weir_span bytes) {
    struct weir_buffer *out = &connection->out;
    if (connection->transfer.chunked) {
        char size[WEIR_HTTP_CHUNK_HEAD_SIZE];
        weir_buffer_append(out, weir_span_of(size, weir_http_format_chunk_head(bytes.length, size)));
        weir_buffer_append(out, bytes);
        weir_buffer_append(out, WEIR_SPAN("\r\n"));
    } else {
        weir_buffer_append(out, bytes);
    }
    mark(connection);
}

static void append_body(struct sim_connection *connection, struct weir_span bytes) {
    size_t split = connection->transfer.split;
    while (split > 0 && bytes.length > split) {
        append_chunk(connection, weir_span_first(bytes, split));
        bytes = weir_span_from(bytes, split);
    }
    if (bytes.length > 0) {
        append_chunk(connection, bytes);
    }
}

static void append_end(struct sim_connection *connection) {
    if (connection->transfer.chunked) {
        weir_buffer_append(&connection->out, WEIR_SPAN("0\r\n\r\n"));
        mark(connection);
    }
}

static struct weir_span body_piece(const struct sim_transfer *transfer, size_t index) {
    size_t size = (transfer->body.length + transfer->units - 1) / transfer->units;
    size_t from = index * size < transfer->body.length ? index * size : transfer->body.length;
    size_t rest = transfer->body.length - from;
    return weir_span_of(transfer->body.at + from, rest < size ? rest : size);
}

static int64_t due_ns(const struct sim_transfer *transfer, size_t index) {
    size_t steps = transfer->streaming ? transfer->steps.kind->beats_before(transfer->steps.what, index) : index;
    return transfer->first_due_ns + (int64_t)steps * transfer->gap_ns;
}

static bool cut_is_next(const struct sim_transfer *transfer) {
    return transfer->cut != SIM_CUT_NONE && transfer->next == transfer->cut_at;
}

/* Writes the units that are due. *wait_ns is the time until the next; 0 when there is no such wait. */
static void write_due(struct sim_connection *connection, int64_t now_ns, int64_t *wait_ns) {
    struct sim_transfer *transfer = &connection->transfer;
    struct weir_buffer *units = &connection->server->units;
    size_t unsent = connection->out.length + weir_stream_pending_bytes(connection->stream);
    *wait_ns = 0;
    weir_buffer_clear(units);
    while (transfer->next < transfer->units) {
        if (due_ns(transfer, transfer->next) > now_ns) {
            *wait_ns = due_ns(transfer, transfer->next) - now_ns;
            break;
        }
        if (cut_is_next(transfer)) {
            if (transfer->cut != SIM_CUT_BROKEN) {
                break;
            }
            transfer->steps.kind->broken(transfer->steps.what, units);
            transfer->cut = SIM_CUT_NONE;
        }
        if (transfer->paced && units->length + unsent >= MAX_UNSENT_BYTES) {
            transfer->waits_for_drain = true;
            break;
        }
        if (transfer->streaming) {
            transfer->steps.kind->write(transfer->steps.what, transfer->next, units);
        } else if (transfer->paced) {
            weir_buffer_append(units, body_piece(transfer, transfer->next));
        } else {
            append_body(connection, transfer->body);
        }
        transfer->next++;
    }
    append_body(connection, weir_buffer_span(units));
}

static void apply_cut(struct sim_connection *connection) {
    struct sim_transfer *transfer = &connection->transfer;
    struct weir_buffer *units = &connection->server->units;
    if (transfer->cut == SIM_CUT_STALL) {
        return; /* the call ends when the client leaves */
    }
    sim__connection_log(connection, false, false);
    if (transfer->cut == SIM_CUT_ERROR_EVENT) {
        weir_buffer_clear(units);
        transfer->steps.kind->error(transfer->steps.what, units);
        append_body(connection, weir_buffer_span(units));
        append_end(connection);
        sim__connection_done(connection);
        return;
    }
    if (transfer->cut == SIM_CUT_RESET && !weir_span_is_empty(transfer->head)) {
        sim__transfer_reset_soon(connection);
        return;
    }
    if (transfer->cut == SIM_CUT_BAD_CHUNK) {
        weir_buffer_append(&connection->out, WEIR_SPAN("zz\r\nno chunk\r\n"));
    } else if (transfer->cut == SIM_CUT_END) {
        append_end(connection);
    }
    connection->ending = transfer->cut == SIM_CUT_RESET ? SIM_RESET : SIM_CLOSE;
}

static void wait_ns_for_pump(struct sim_connection *connection, int64_t wait_ns) {
    weir_timer_start(connection->server->loop, &connection->timer, (wait_ns + 999999) / 1000000, on_timer, connection);
}

void sim__transfer_pump(struct sim_connection *connection) {
    struct sim_transfer *transfer = &connection->transfer;
    int64_t now_ns = weir_loop_now_ns(connection->server->loop);
    if (connection->phase != SIM_ANSWERING) {
        return;
    }
    transfer->waits_for_drain = false;
    if (now_ns < transfer->head_due_ns) {
        wait_ns_for_pump(connection, transfer->head_due_ns - now_ns);
        return;
    }
    if (!transfer->head_sent) {
        transfer->head_sent = true;
        connection->call.status = transfer->status;
        weir_buffer_append(&connection->out, transfer->head);
        mark(connection);
    }
    int64_t wait_ns = 0;
    write_due(connection, now_ns, &wait_ns);
    sim__connection_queue(connection);
    if (wait_ns > 0) {
        wait_ns_for_pump(connection, wait_ns);
    } else if (transfer->waits_for_drain) {
        return;
    } else if (cut_is_next(transfer)) {
        apply_cut(connection);
    } else {
        append_end(connection);
        sim__connection_log(connection, !transfer->damaged, false);
        sim__connection_done(connection);
    }
}

void sim__transfer_start(struct sim_connection *connection) {
    connection->phase = SIM_ANSWERING;
    sim__transfer_pump(connection);
}
