/* A byte stream over a chain of filters: TCP at the bottom, TLS above it where asked for; later HTTP/2 and more.
 *
 * One loop, one thread, for life. Callbacks never free their caller: weir_stream_close frees at the end of the turn and no
 * callback comes after it. Reading uses one buffer per loop, so an idle stream costs no buffer.
 */
#ifndef WEIR_NET_STREAM_H
#define WEIR_NET_STREAM_H

#include "net/loop.h"

struct weir_stream;
struct weir_tls; /* net/tls.h */

struct weir_stream_events {
    void (*on_data)(void *owner, struct weir_span data);
    /* May be NULL. Where the next bytes are wanted, so that they need not be copied there, and how many at most (*room, 1 or more);
     * NULL: anywhere. A wish: a stream with TLS does not ask. */
    char *(*place)(void *owner, size_t *room);
    /* The peer has ended its side; writing may go on. May come while reading is stopped, never before the data. */
    void (*on_end)(void *owner);
    /* All pending bytes are handed to the system, after a write had to leave some. */
    void (*on_drain)(void *owner);
    /* The stream broke (reset, TLS alert, write error), also while reading is stopped. Once; the owner closes it. A reset with
     * bytes unread is told after them, to a reader; a write that failed is told here too, later in the turn. `detail` lives
     * for the call. TLS: an end without close_notify is WEIR_ECLOSED, "truncated: …". */
    void (*on_fail)(void *owner, enum weir_status status, const char *detail);
};

/* Replaces the owner; NULL events drop everything that comes. */
void weir_stream_own(struct weir_stream *stream, const struct weir_stream_events *events, void *owner);
struct weir_loop *weir_stream_loop(struct weir_stream *stream);
/* Both cost no system call in the usual case: what is told to the system changes when data comes that nobody wants. */
void weir_stream_read_start(struct weir_stream *stream);
void weir_stream_read_stop(struct weir_stream *stream);
/* Writes the parts in order with as few system calls as can be (one writev on plain TCP). What the system does not take
 * now is copied and sent later; nothing is ever half-queued. WEIR_ECLOSED after a failure or a shutdown; WEIR_ENOMEM. */
WEIR_MUST enum weir_status weir_stream_write(struct weir_stream *stream, const struct weir_span *parts, size_t count);
/* Bytes accepted but not yet taken by the system: the caller's measure for back-pressure. */
size_t weir_stream_pending_bytes(const struct weir_stream *stream);
/* Ends our side once pending bytes are out (TLS: close_notify first). */
void weir_stream_shutdown(struct weir_stream *stream);
/* Closes at once and frees at the end of the turn; *stream becomes NULL (and may be NULL). Pending bytes are dropped. */
void weir_stream_close(struct weir_stream **stream);
/* As close, but with a TCP reset, so that the peer cannot take a cut message for a whole one. */
void weir_stream_reset(struct weir_stream **stream);
/* Ends our side, then closes when all pending bytes are out and the peer has ended its side too, 2 s after the last byte went
 * out, or when `timeout_ms` has passed (with a reset if bytes are left); reading input until then and dropping it, so that
 * the peer gets the answer instead of a reset ("lingering close"). The owner gets no more callbacks. */
void weir_stream_close_gently(struct weir_stream **stream, int64_t timeout_ms);
/* "127.0.0.1", "::1" without port; "" where unknown. Lives as long as the stream. */
const char *weir_stream_peer_address(const struct weir_stream *stream);
bool weir_stream_is_tls(const struct weir_stream *stream);
uint64_t weir_stream_bytes_read(const struct weir_stream *stream);
uint64_t weir_stream_bytes_written(const struct weir_stream *stream);

#endif
