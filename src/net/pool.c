/* A pool of connections to one upstream.
 *
 * A connection is an attempt, idle, or in use: which of them is the list that it is in (in use: none, only counted). Those
 * who wait stand in one of two lines, as some insist on a fresh connection. What changes the lines or the counts calls for
 * pump(), which runs at the end of the turn and is the only place where attempts begin and waiters are told: so nobody is
 * called back from within acquire or release, save with an idle connection that is at hand.
 *
 * An attempt belongs to no waiter: who has waited longest gets the next connection, or the next failure.
 */
#include "net/pool.h"

#include "net/resolver.h"

struct line {
    struct weir_list list;
    size_t count;
};

struct weir_pool {
    struct weir_loop *loop;
    struct weir_resolver *resolver;
    struct weir_pool_settings settings;
    char host[NET_MAX_NAME_BYTES + 1];
    char server_name[NET_MAX_NAME_BYTES + 1];
    struct weir_list attempts;
    size_t attempt_count;
    struct weir_list idle; /* oldest first; taken from the end */
    size_t idle_count;
    size_t in_use_count;
    struct line any;     /* wait for a connection */
    struct line fresh;   /* wait for a new one */
    struct line refused; /* too many; told by pump() */
    struct weir_timer expiry;
    struct weir_deferred pump;
    bool pump_in_use;
    bool pumping;
    bool freed; /* by its owner */
};

struct connection {
    struct weir_list link; /* in pool->idle, or in no list */
    struct weir_pool *pool;
    struct weir_stream *stream;
    int64_t idle_since_ns;
    bool used; /* has carried a request */
};

struct attempt {
    struct weir_list link;
    struct weir_pool *pool;
    struct net_query query;
    struct weir_timer timer;
    int64_t deadline_ns;
    struct weir_stream *stream;
    struct net_address addresses[NET_MAX_ADDRESSES];
    size_t count;
    size_t next;
    enum weir_reason reason; /* of the last failure */
    char detail[256];
};

static void line_append(struct line *line, struct weir_pool_wait *wait) {
    weir_list_append(&line->list, &wait->link);
    line->count++;
    wait->impl = line;
}

static void line_remove(struct line *line, struct weir_pool_wait *wait) {
    weir_list_remove(&wait->link);
    line->count--;
    wait->impl = NULL;
}

/* Removes and returns the first; NULL: nobody. */
static struct weir_pool_wait *line_take(struct line *line) {
    if (line->count == 0) {
        return NULL;
    }
    struct weir_pool_wait *wait = WEIR_CONTAINER_OF(line->list.next, struct weir_pool_wait, link);
    line_remove(line, wait);
    return wait;
}

/* Who gets the next new connection, or learns that there is none. */
static struct weir_pool_wait *take_waiter(struct weir_pool *pool) {
    struct weir_pool_wait *wait = line_take(&pool->fresh);
    return wait != NULL ? wait : line_take(&pool->any);
}

static size_t waiting(const struct weir_pool *pool) {
    return pool->any.count + pool->fresh.count;
}

static void free_if_done(struct weir_pool *pool) {
    if (pool->freed && !pool->pumping && pool->in_use_count == 0) {
        weir_memory_free(pool);
    }
}

static void pump(void *argument);

static void pump_soon(struct weir_pool *pool) {
    if (!pool->pump_in_use && !pool->freed) {
        pool->pump_in_use = true;
        weir_loop_defer(pool->loop, &pool->pump, pump, pool);
    }
}

/* --- idle connections --- */

static void drop(struct connection *connection) {
    weir_stream_close(&connection->stream);
    weir_memory_free(connection);
}

static void drop_idle(struct connection *connection) {
    weir_list_remove(&connection->link);
    connection->pool->idle_count--;
    pump_soon(connection->pool);
    drop(connection);
}

static void idle_on_data(void *owner, struct weir_span data) {
    (void)data; /* nobody asked anything: whatever it is, the next request must not take it for its answer */
    drop_idle(owner);
}

static void idle_on_end(void *owner) {
    drop_idle(owner);
}

static void idle_on_fail(void *owner, enum weir_status status, const char *detail) {
    (void)status;
    (void)detail;
    drop_idle(owner);
}

static const struct weir_stream_events idle_events = {
    .on_data = idle_on_data,
    .on_end = idle_on_end,
    .on_fail = idle_on_fail,
};

static void expire(void *argument) {
    struct weir_pool *pool = argument;
    int64_t now_ns = weir_loop_now_ns(pool->loop);
    while (!weir_list_is_empty(&pool->idle)) {
        struct connection *oldest = WEIR_CONTAINER_OF(pool->idle.next, struct connection, link);
        int64_t left_ms = pool->settings.idle_ms - (now_ns - oldest->idle_since_ns) / 1000000;
        if (left_ms > 0) {
            weir_timer_start(pool->loop, &pool->expiry, left_ms, expire, pool);
            return;
        }
        drop_idle(oldest);
    }
}

static void make_idle(struct connection *connection) {
    struct weir_pool *pool = connection->pool;
    connection->idle_since_ns = weir_loop_now_ns(pool->loop);
    weir_list_append(&pool->idle, &connection->link);
    pool->idle_count++;
    weir_stream_own(connection->stream, &idle_events, connection);
    weir_stream_read_start(connection->stream);
    /* Left alone while it runs: when it goes off too early it is set anew. */
    if (!pool->expiry.active) {
        weir_timer_start(pool->loop, &pool->expiry, pool->settings.idle_ms, expire, pool);
    }
}

/* The youngest, which is the likeliest to be alive. */
static struct connection *take_idle(struct weir_pool *pool) {
    struct connection *connection = WEIR_CONTAINER_OF(pool->idle.previous, struct connection, link);
    weir_list_remove(&connection->link);
    pool->idle_count--;
    return connection;
}

/* The last thing that a caller does with the pool: on_ready may free it. */
static void hand_over(struct connection *connection, struct weir_pool_wait *wait) {
    bool reused = connection->used;
    connection->used = true;
    connection->pool->in_use_count++;
    weir_stream_own(connection->stream, NULL, NULL);
    wait->on_ready(wait->owner, connection->stream, reused);
}

/* --- attempts --- */

static void free_attempt(struct attempt *attempt) {
    weir_list_remove(&attempt->link);
    attempt->pool->attempt_count--;
    net__resolve_cancel(&attempt->query);
    weir_timer_stop(&attempt->timer);
    weir_stream_close(&attempt->stream);
    weir_memory_free(attempt);
}

/* Frees the attempt, and tells a waiter unless others still try for all of them. */
static void attempt_failed(struct attempt *attempt) {
    struct weir_pool *pool = attempt->pool;
    enum weir_reason reason = attempt->reason;
    char detail[sizeof attempt->detail];
    memcpy(detail, attempt->detail, sizeof detail);
    free_attempt(attempt);
    pump_soon(pool);
    struct weir_pool_wait *wait = waiting(pool) > pool->attempt_count ? take_waiter(pool) : NULL;
    if (wait != NULL) {
        wait->on_failed(wait->owner, reason, detail);
    }
}

static void describe(struct attempt *attempt, enum weir_reason reason, const char *what) {
    const struct weir_pool *pool = attempt->pool;
    char address[NET_ADDRESS_TEXT_SIZE] = "";
    attempt->reason = reason;
    if (attempt->next > 0) {
        net__address_format(&attempt->addresses[attempt->next - 1].socket.any, address);
    }
    if (address[0] == '\0' || strcmp(address, pool->host) == 0) {
        (void)snprintf(attempt->detail, sizeof attempt->detail, "%.80s port %u: %s", pool->host, pool->settings.port,
                       what);
    } else {
        (void)snprintf(attempt->detail, sizeof attempt->detail, "%.80s (%s) port %u: %s", pool->host, address,
                       pool->settings.port, what);
    }
}

static void on_attempt_open(void *owner) {
    struct attempt *attempt = owner;
    struct weir_pool *pool = attempt->pool;
    struct connection *connection = weir_memory_new(1, sizeof *connection);
    if (connection == NULL) {
        describe(attempt, WEIR_REASON_UPSTREAM_CONNECT_FAILED, "no memory for a connection");
        attempt_failed(attempt);
        return;
    }
    weir_list_init(&connection->link);
    connection->pool = pool;
    connection->stream = attempt->stream;
    attempt->stream = NULL;
    free_attempt(attempt);
    net__stream_on_open(connection->stream, NULL);
    net__stream_attach(connection->stream, connection);
    struct weir_pool_wait *wait = take_waiter(pool);
    if (wait != NULL) {
        hand_over(connection, wait);
    } else {
        make_idle(connection);
    }
}

static void try_next_address(struct attempt *attempt);

static void on_attempt_fail(void *owner, enum weir_status status, const char *detail) {
    struct attempt *attempt = owner;
    bool in_tls = weir_stream_is_tls(attempt->stream) && net__tls_filter_begun(net__stream_top(attempt->stream));
    describe(attempt,
             in_tls                    ? WEIR_REASON_UPSTREAM_TLS_FAILED
             : status == WEIR_ETIMEOUT ? WEIR_REASON_UPSTREAM_CONNECT_TIMEOUT
                                       : WEIR_REASON_UPSTREAM_CONNECT_FAILED,
             detail);
    try_next_address(attempt);
}

static const struct weir_stream_events attempt_events = {.on_fail = on_attempt_fail};

static void on_attempt_timeout(void *argument) {
    struct attempt *attempt = argument;
    char what[64];
    (void)snprintf(what, sizeof what, "no %s in time (%lld ms for all)", attempt->count == 0 ? "address" : "connection",
                   (long long)attempt->pool->settings.connect_timeout_ms);
    describe(attempt, WEIR_REASON_UPSTREAM_CONNECT_TIMEOUT, what);
    try_next_address(attempt);
}

static enum weir_status open_stream(struct attempt *attempt, const struct net_address *address,
                                    struct weir_error *error) {
    struct weir_pool *pool = attempt->pool;
    struct weir_filter *top = NULL;
    enum weir_status status = net__tcp_connect(pool->loop, address, &top, error);
    if (status != WEIR_OK) {
        return status;
    }
    struct weir_tls *tls = pool->settings.tls;
    if (tls != NULL && net__tls_filter_new(pool->loop, tls, pool->server_name, false, top, &top) != WEIR_OK) {
        return weir_fail(error, WEIR_ENOMEM, "no memory for TLS");
    }
    char text[NET_ADDRESS_TEXT_SIZE];
    net__address_format(&address->socket.any, text);
    status = net__stream_new(pool->loop, top, tls != NULL, text, &attempt->stream);
    if (status != WEIR_OK) {
        return weir_fail(error, status, "no memory for a stream");
    }
    net__stream_on_open(attempt->stream, on_attempt_open);
    weir_stream_own(attempt->stream, &attempt_events, attempt);
    return WEIR_OK;
}

static void try_next_address(struct attempt *attempt) {
    struct weir_pool *pool = attempt->pool;
    weir_stream_close(&attempt->stream);
    int64_t left_ms = (attempt->deadline_ns - weir_loop_now_ns(pool->loop)) / 1000000;
    while (attempt->next < attempt->count && left_ms > 0) {
        /* One that swallows everything must leave time for the others. */
        int64_t share_ms = left_ms / (int64_t)(attempt->count - attempt->next);
        struct net_address *address = &attempt->addresses[attempt->next++];
        struct weir_error error;
        if (open_stream(attempt, address, &error) == WEIR_OK) {
            weir_timer_start(pool->loop, &attempt->timer, share_ms, on_attempt_timeout, attempt);
            return;
        }
        describe(attempt, WEIR_REASON_UPSTREAM_CONNECT_FAILED, error.text);
    }
    attempt_failed(attempt);
}

static void on_resolved(void *owner, const struct net_address *addresses, size_t count, const char *detail) {
    struct attempt *attempt = owner;
    if (count == 0) {
        describe(attempt, WEIR_REASON_UPSTREAM_CONNECT_FAILED, detail);
        attempt_failed(attempt);
        return;
    }
    attempt->count = count < NET_MAX_ADDRESSES ? count : NET_MAX_ADDRESSES;
    memcpy(attempt->addresses, addresses, attempt->count * sizeof *addresses);
    for (size_t i = 0; i < attempt->count; i++) {
        if (attempt->addresses[i].socket.any.sa_family == AF_INET) {
            attempt->addresses[i].socket.v4.sin_port = htons(attempt->pool->settings.port);
        } else {
            attempt->addresses[i].socket.v6.sin6_port = htons(attempt->pool->settings.port);
        }
    }
    try_next_address(attempt);
}

/* May fail at once, and a waiter with it. */
static void begin_attempt(struct weir_pool *pool) {
    struct attempt *attempt = weir_memory_new(1, sizeof *attempt);
    if (attempt == NULL) {
        struct weir_pool_wait *wait = take_waiter(pool);
        if (wait != NULL)
            wait->on_failed(wait->owner, WEIR_REASON_UPSTREAM_CONNECT_FAILED, "no memory for a connection");
        return;
    }
    attempt->pool = pool;
    weir_list_append(&pool->attempts, &attempt->link);
    pool->attempt_count++;
    int64_t timeout_ms = pool->settings.connect_timeout_ms;
    attempt->deadline_ns = weir_loop_now_ns(pool->loop) + timeout_ms * 1000000;
    struct net_address literal;
    if (net__address_parse(pool->host, pool->settings.port, &literal)) {
        on_resolved(attempt, &literal, 1, NULL);
        return;
    }
    attempt->query.done = on_resolved;
    attempt->query.owner = attempt;
    weir_timer_start(pool->loop, &attempt->timer, timeout_ms, on_attempt_timeout, attempt);
    if (!net__resolve(pool->resolver, pool->host, &attempt->query)) {
        describe(attempt, WEIR_REASON_UPSTREAM_CONNECT_FAILED, "too many names are being resolved");
        attempt_failed(attempt);
    }
}

/* --- the pump --- */

static size_t connections(const struct weir_pool *pool) {
    return pool->attempt_count + pool->idle_count + pool->in_use_count;
}

/* One step: true when something was done, after which everything may be different. */
static bool pump_step(struct weir_pool *pool) {
    struct weir_pool_wait *refused = line_take(&pool->refused);
    if (refused != NULL) {
        refused->on_failed(refused->owner, WEIR_REASON_OVERLOADED, "too many requests wait for a connection");
        return true;
    }
    if (pool->idle_count > 0 && pool->any.count > 0) {
        hand_over(take_idle(pool), line_take(&pool->any));
        return true;
    }
    if (waiting(pool) <= pool->attempt_count) {
        return false;
    }
    if (connections(pool) >= pool->settings.max_connections) {
        if (pool->idle_count == 0) {
            return false;
        }
        /* Only who wants a fresh one waits here: an idle one makes room. */
        drop_idle(WEIR_CONTAINER_OF(pool->idle.next, struct connection, link));
    }
    begin_attempt(pool);
    return true;
}

static void pump(void *argument) {
    struct weir_pool *pool = argument;
    pool->pump_in_use = false;
    pool->pumping = true;
    while (!pool->freed && pump_step(pool)) {}
    pool->pumping = false;
    free_if_done(pool);
}

/* --- the interface --- */

enum weir_status weir_pool_new(struct weir_loop *loop, struct weir_resolver *resolver,
                               const struct weir_pool_settings *settings, struct weir_pool **out,
                               struct weir_error *error) {
    struct weir_span host = weir_span_of_string(settings->host);
    struct weir_span server_name = settings->server_name != NULL ? weir_span_of_string(settings->server_name) : host;
    struct weir_pool *pool = weir_memory_new(1, sizeof *pool);
    if (pool == NULL) {
        return weir_fail(error, WEIR_ENOMEM, "no memory for a connection pool");
    }
    if (host.length == 0 || weir_span_to_string(host, pool->host, sizeof pool->host) != WEIR_OK ||
        weir_span_to_string(server_name, pool->server_name, sizeof pool->server_name) != WEIR_OK) {
        weir_memory_free(pool);
        return weir_fail(error, WEIR_EINVAL, "an upstream's host is 1 to %d bytes long", NET_MAX_NAME_BYTES);
    }
    struct net_address literal;
    if (resolver == NULL && !net__address_parse(pool->host, settings->port, &literal)) {
        enum weir_status status = weir_fail(error, WEIR_EINVAL, "%.200s is no address, and there is no resolver",
                                            pool->host);
        weir_memory_free(pool);
        return status;
    }
    pool->loop = loop;
    pool->resolver = resolver;
    pool->settings = *settings;
    pool->settings.host = pool->host;
    pool->settings.server_name = pool->server_name;
    if (pool->settings.max_connections == 0) {
        pool->settings.max_connections = 1;
    }
    weir_list_init(&pool->attempts);
    weir_list_init(&pool->idle);
    weir_list_init(&pool->any.list);
    weir_list_init(&pool->fresh.list);
    weir_list_init(&pool->refused.list);
    *out = pool;
    return WEIR_OK;
}

void weir_pool_free(struct weir_pool **handle) {
    struct weir_pool *pool = *handle;
    if (pool == NULL) {
        return;
    }
    *handle = NULL;
    pool->freed = true;
    weir_timer_stop(&pool->expiry);
    if (pool->pump_in_use) {
        pool->pump_in_use = false;
        weir_list_remove(&pool->pump.link);
    }
    while (!weir_list_is_empty(&pool->attempts)) {
        free_attempt(WEIR_CONTAINER_OF(pool->attempts.next, struct attempt, link));
    }
    while (!weir_list_is_empty(&pool->idle)) {
        drop_idle(WEIR_CONTAINER_OF(pool->idle.next, struct connection, link));
    }
    bool outermost = !pool->pumping;
    pool->pumping = true; /* keeps the memory while waiters are told */
    for (;;) {
        struct weir_pool_wait *wait = line_take(&pool->refused);
        wait = wait != NULL ? wait : take_waiter(pool);
        if (wait == NULL) {
            break;
        }
        wait->on_failed(wait->owner, WEIR_REASON_NO_PROVIDER, "the upstream was removed");
    }
    if (outermost) {
        pool->pumping = false;
        free_if_done(pool);
    }
}

void weir_pool_acquire(struct weir_pool *pool, struct weir_pool_wait *wait, bool fresh) {
    wait->pool = pool;
    wait->impl = NULL;
    if (!fresh && pool->idle_count > 0 && pool->any.count == 0) {
        hand_over(take_idle(pool), wait);
        return;
    }
    size_t served = pool->settings.max_connections - pool->in_use_count;
    if (waiting(pool) >= served && waiting(pool) - served >= pool->settings.max_waiting) {
        line_append(&pool->refused, wait);
    } else {
        line_append(fresh ? &pool->fresh : &pool->any, wait);
    }
    pump_soon(pool);
}

void weir_pool_cancel(struct weir_pool_wait *wait) {
    if (wait->impl != NULL) {
        line_remove(wait->impl, wait);
    }
}

void weir_pool_release(struct weir_pool *pool, struct weir_stream **stream, bool reusable) {
    if (*stream == NULL) {
        return;
    }
    struct connection *connection = net__stream_attachment(*stream);
    weir_bug_on(connection == NULL || connection->pool != pool || connection->stream != *stream);
    pool->in_use_count--;
    bool kept = reusable && !pool->freed && net__stream_is_clean(*stream);
    *stream = NULL;
    if (kept) {
        make_idle(connection);
    } else {
        drop(connection);
    }
    if (waiting(pool) > 0) {
        pump_soon(pool);
    }
    free_if_done(pool);
}

size_t weir_pool_connections(const struct weir_pool *pool) {
    return connections(pool);
}
size_t weir_pool_idle(const struct weir_pool *pool) {
    return pool->idle_count;
}
