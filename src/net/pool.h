/* Connections of one loop to one upstream: resolving, connecting, TLS, reuse, limits.
 *
 * A request asks for a connection and gets one, at once or later, or is told why not. Idle connections are watched: one that
 * the peer closes leaves the pool without anyone noticing.
 */
#ifndef WEIR_NET_POOL_H
#define WEIR_NET_POOL_H

#include "base/reasons.h"
#include "net/stream.h"
#include "net/tls.h"

struct weir_resolver; /* names to addresses with TTLs (c-ares); one a loop */
WEIR_MUST enum weir_status weir_resolver_new(struct weir_loop *loop, struct weir_resolver **resolver,
                                             struct weir_error *error);
void weir_resolver_free(struct weir_resolver **resolver);

struct weir_pool;

struct weir_pool_settings {
    const char *host; /* name or address, no brackets; copied */
    uint16_t port;
    struct weir_tls *tls;       /* NULL for plain TCP; borrowed */
    const char *server_name;    /* SNI and the name to verify; NULL: host */
    size_t max_connections;     /* in use and idle together */
    size_t max_waiting;         /* requests that may wait for one */
    int64_t idle_ms;            /* how long an unused connection is kept */
    int64_t connect_timeout_ms; /* resolving, connecting, handshake */
};

/* `resolver` is borrowed and may be NULL where the host is an address. Addresses are tried in the resolver's order, the next after a failure. */
WEIR_MUST enum weir_status weir_pool_new(struct weir_loop *loop, struct weir_resolver *resolver,
                                         const struct weir_pool_settings *settings, struct weir_pool **pool,
                                         struct weir_error *error);
/* Closes idle connections and fails waiters with NO_PROVIDER (within the call). Connections in use are closed when they are released: the
 * pool's memory goes with the last one. *pool becomes NULL. */
void weir_pool_free(struct weir_pool **pool);

/* Embedded in the asking request. Exactly one of the callbacks is called unless it is cancelled; never from within
 * weir_pool_acquire unless an idle connection was at hand (then on_ready is). */
struct weir_pool_wait {
    struct weir_list link;
    struct weir_pool *pool;
    void *owner;
    /* `reused`: it has carried a request before, so its peer may be closing it right now. The owner calls
     * weir_stream_own and weir_stream_read_start. */
    void (*on_ready)(void *owner, struct weir_stream *stream, bool reused);
    /* UPSTREAM_CONNECT_FAILED, UPSTREAM_CONNECT_TIMEOUT, UPSTREAM_TLS_FAILED, OVERLOADED (too many waiting), NO_PROVIDER. */
    void (*on_failed)(void *owner, enum weir_reason reason, const char *detail);
    void *impl; /* the pool's */
};
/* `fresh`: never an idle connection (for a second try after a reused one was found closed). */
void weir_pool_acquire(struct weir_pool *pool, struct weir_pool_wait *wait, bool fresh);
/* Legal at any time, also when nothing is waited for (zeroed memory). */
void weir_pool_cancel(struct weir_pool_wait *wait);
/* Gives a connection back: for reuse, or to be closed (`reusable` false, or it has ended or failed, or bytes are pending).
 * *stream becomes NULL. The only way to part with a pool's connection: never weir_stream_close. Calls nobody back. */
void weir_pool_release(struct weir_pool *pool, struct weir_stream **stream, bool reusable);
size_t weir_pool_connections(const struct weir_pool *pool);
size_t weir_pool_idle(const struct weir_pool *pool);

#endif
