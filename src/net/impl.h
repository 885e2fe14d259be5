/* What net's own files share: the loop's fields, the bottom filter, and the making of streams. Nobody else includes it
 * (unit tests of net do). */
#ifndef WEIR_NET_IMPL_H
#define WEIR_NET_IMPL_H

#include "base/buffer.h"
#include "base/limits.h"
#include "base/memory.h"
#include "net/filter.h"
#include "net/loop.h"
#include "net/stream.h"

#include <netinet/in.h>
#include <stdatomic.h>
#include <uv.h>

enum {
    NET_WHEEL_TICK_MS = 4,
    NET_WHEEL_BITS = 8,
    NET_WHEEL_SLOTS = 1 << NET_WHEEL_BITS,
    NET_WHEEL_LEVELS = 3, /* 1 s, 4.4 minutes, 18.6 hours; what is later goes round again */
    NET_WHEEL_WORDS = NET_WHEEL_SLOTS / 64
};

/* A hierarchical timer wheel: start and stop are O(1), the next event is found in bitmaps. */
struct net_wheel {
    struct weir_list slots[NET_WHEEL_LEVELS * NET_WHEEL_SLOTS];
    uint64_t occupied[NET_WHEEL_LEVELS][NET_WHEEL_WORDS];
    int64_t tick;       /* everything due up to and including it has run */
    int64_t armed_tick; /* when the uv timer goes off; INT64_MAX: it is stopped */
    size_t active;
    uv_timer_t timer;
};

struct net_clock {
    bool stale; /* a turn has begun since the last reading */
    int64_t now_ns;
    int64_t utc_minus_monotonic_us;
    int64_t compared_ns; /* when the two clocks were last compared; 0: never */
};

struct net_tls_scratch; /* tls_filter.c: buffers that all TLS streams of a loop share; made with the first of them */

struct weir_loop {
    uv_loop_t uv;
    uv_prepare_t before_wait;
    uv_check_t after_turn;
    uv_async_t mailbox_signal;
    _Atomic(struct weir_message *) mailbox; /* newest first */
    struct weir_list deferred;
    struct net_clock *clock; /* by pointer: reading the time of a const loop may refresh it */
    struct net_clock own_clock;
    struct net_wheel wheel;
    struct weir_random random;
    struct weir_log log;
    char *read_buffer; /* WEIR_READ_BUFFER_BYTES, lent to one read at a time */
    struct net_tls_scratch *tls_scratch;
};

/* timers.c */
void net__timers_init(struct weir_loop *loop);
void net__timers_close(struct weir_loop *loop);

/* The most that may wait in one stream for its peer; far above what back-pressure lets grow. */
#define NET_MAX_QUEUE_BYTES (256 * WEIR_MIB)

struct net_address {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } socket;
    socklen_t length;
};
/* A literal IPv4 or IPv6 address without brackets. */
bool net__address_parse(const char *host, uint16_t port, struct net_address *address);
enum { NET_ADDRESS_TEXT_SIZE = 64 };
/* Without port; an IPv4 address mapped into IPv6 is written as IPv4. "" for other families. */
void net__address_format(const struct sockaddr *address, char out[NET_ADDRESS_TEXT_SIZE]);

/* tcp.c: takes over a connected, non-blocking descriptor (closed on failure too). */
WEIR_MUST enum weir_status net__tcp_accepted(struct weir_loop *loop, int fd, struct weir_filter **filter);
/* Begins to connect; on_open or on_fail comes later. */
WEIR_MUST enum weir_status net__tcp_connect(struct weir_loop *loop, const struct net_address *address,
                                            struct weir_filter **filter, struct weir_error *error);
/* Constant text for an errno value. */
const char *net__errno_text(int number);

/* stream.c: takes over the filter (closed on failure too). `peer` as text, "" where unknown. */
WEIR_MUST enum weir_status net__stream_new(struct weir_loop *loop, struct weir_filter *top, bool is_tls,
                                           const char *peer, struct weir_stream **stream);
/* For the pool: told once when the stream is connected and its handshake done; `attachment` is the pool's own. */
void net__stream_on_open(struct weir_stream *stream, void (*on_open)(void *owner));
void net__stream_attach(struct weir_stream *stream, void *attachment);
void *net__stream_attachment(const struct weir_stream *stream);
struct weir_filter *net__stream_top(const struct weir_stream *stream);
/* Neither ended nor failed, and nothing left to send. */
bool net__stream_is_clean(const struct weir_stream *stream);

/* tls_filter.c: a TLS side above `lower`, which it takes over (closed on failure too). `server_name` for clients: SNI and the
 * name or address to verify. The handshake begins at once (`lower_is_open`) or with the lower filter's on_open. */
struct weir_tls;
WEIR_MUST enum weir_status net__tls_filter_new(struct weir_loop *loop, struct weir_tls *tls, const char *server_name,
                                               bool lower_is_open, struct weir_filter *lower,
                                               struct weir_filter **filter);
/* Whether the handshake has begun, so that a failure is not one of connecting. */
bool net__tls_filter_begun(const struct weir_filter *filter);
/* Whether the session was resumed: for tests. */
bool net__tls_filter_resumed(const struct weir_filter *filter);
void net__tls_scratch_free(struct net_tls_scratch **scratch);

#endif
