/* Names to addresses with c-ares, remembered for their time to live (within 1 s and 5 minutes).
 *
 * One entry a name, 64 at most; askers of a name that is being looked up wait at its entry, so a burst of connections costs one
 * look-up. Failures are not remembered: the pool's callers bound how often they ask.
 */
#include "net/resolver.h"

#include <ares.h>

enum { MAX_ENTRIES = 64, MIN_TTL_S = 1, MAX_TTL_S = 300, MAX_TIMER_MS = 1000 };

struct entry {
    struct weir_resolver *resolver;
    char name[NET_MAX_NAME_BYTES + 1];
    bool looking_up;
    bool answered; /* the look-up is over, askers are told in the deferred call */
    struct weir_list waiting;
    struct net_address addresses[NET_MAX_ADDRESSES];
    size_t count;
    int64_t expires_ns;
    int64_t used_ns;
    char detail[160];
};

struct weir_resolver {
    struct weir_loop *loop;
    ares_channel channel;
    struct weir_timer timer;   /* retransmission */
    struct weir_deferred work; /* telling of answers */
    bool work_in_use;
    bool closing;
    struct weir_list sockets;
    struct entry *entries[MAX_ENTRIES];
};

/* One socket of c-ares. */
struct watched {
    struct weir_list link;
    struct weir_resolver *resolver;
    uv_poll_t poll;
    ares_socket_t fd;
};

static void update_timer(struct weir_resolver *resolver);

static void on_poll(uv_poll_t *handle, int status, int events) {
    struct watched *watched = handle->data;
    struct weir_resolver *resolver = watched->resolver;
    bool readable = status < 0 || (events & UV_READABLE) != 0;
    bool writable = status < 0 || (events & UV_WRITABLE) != 0;
    ares_socket_t fd = watched->fd;
    ares_process_fd(resolver->channel, readable ? fd : ARES_SOCKET_BAD, writable ? fd : ARES_SOCKET_BAD);
    update_timer(resolver);
}

static void on_timer(void *argument) {
    struct weir_resolver *resolver = argument;
    ares_process_fd(resolver->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    update_timer(resolver);
}

static void update_timer(struct weir_resolver *resolver) {
    struct timeval most = {.tv_sec = MAX_TIMER_MS / 1000, .tv_usec = 0};
    struct timeval left;
    if (weir_list_is_empty(&resolver->sockets)) {
        weir_timer_stop(&resolver->timer);
        return;
    }
    const struct timeval *wait = ares_timeout(resolver->channel, &most, &left);
    int64_t wait_ms = wait->tv_sec * 1000 + wait->tv_usec / 1000 + 1;
    weir_timer_start(resolver->loop, &resolver->timer, wait_ms, on_timer, resolver);
}

static void on_closed(uv_handle_t *handle) {
    weir_memory_free(handle->data);
}

static void on_socket_state(void *data, ares_socket_t fd, int readable, int writable) {
    struct weir_resolver *resolver = data;
    struct watched *watched = NULL;
    for (struct weir_list *link = resolver->sockets.next; link != &resolver->sockets; link = link->next) {
        struct watched *candidate = WEIR_CONTAINER_OF(link, struct watched, link);
        if (candidate->fd == fd) {
            watched = candidate;
            break;
        }
    }
    int events = (readable ? UV_READABLE : 0) | (writable ? UV_WRITABLE : 0);
    if (events == 0) {
        if (watched != NULL) {
            weir_list_remove(&watched->link);
            uv_close((uv_handle_t *)&watched->poll, on_closed);
        }
        return;
    }
    if (watched == NULL) {
        /* Without memory the socket is not watched, and the look-up ends by its timeout. */
        watched = weir_memory_new(1, sizeof *watched);
        if (watched == NULL || uv_poll_init(weir_loop_uv(resolver->loop), &watched->poll, (int)fd) != 0) {
            weir_memory_free(watched);
            return;
        }
        watched->resolver = resolver;
        watched->poll.data = watched;
        watched->fd = fd;
        weir_list_append(&resolver->sockets, &watched->link);
    }
    (void)uv_poll_start(&watched->poll, events, on_poll);
}

enum weir_status weir_resolver_new(struct weir_loop *loop, struct weir_resolver **out, struct weir_error *error) {
    struct weir_resolver *resolver = weir_memory_new(1, sizeof *resolver);
    if (resolver == NULL) {
        return weir_fail(error, WEIR_ENOMEM, "no memory for a resolver");
    }
    resolver->loop = loop;
    weir_list_init(&resolver->sockets);
    struct ares_options options = {.timeout = 2000,
                                   .tries = 3,
                                   .sock_state_cb = on_socket_state,
                                   .sock_state_cb_data = resolver};
    int result = ares_init_options(&resolver->channel, &options,
                                   ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB);
    if (result != ARES_SUCCESS) {
        weir_memory_free(resolver);
        return weir_fail(error, WEIR_EIO, "cannot make a resolver: %s", ares_strerror(result));
    }
    *out = resolver;
    return WEIR_OK;
}

void weir_resolver_free(struct weir_resolver **handle) {
    struct weir_resolver *resolver = *handle;
    if (resolver == NULL) {
        return;
    }
    *handle = NULL;
    resolver->closing = true;
    weir_timer_stop(&resolver->timer);
    ares_destroy(resolver->channel);
    if (resolver->work_in_use) {
        weir_list_remove(&resolver->work.link);
    }
    for (size_t i = 0; i < MAX_ENTRIES; i++) {
        struct entry *entry = resolver->entries[i];
        while (entry != NULL && !weir_list_is_empty(&entry->waiting)) {
            net__resolve_cancel(WEIR_CONTAINER_OF(entry->waiting.next, struct net_query, link));
        }
        weir_memory_free(entry);
    }
    weir_memory_free(resolver);
}

/* Tells the askers of every name that is known by now, or known not to be. */
static void tell(void *argument) {
    struct weir_resolver *resolver = argument;
    resolver->work_in_use = false;
    for (size_t i = 0; i < MAX_ENTRIES; i++) {
        struct entry *entry = resolver->entries[i];
        /* An asker may ask again from its callback: that one is told in the next call. */
        struct weir_list told;
        weir_list_init(&told);
        while (entry != NULL && entry->answered && !weir_list_is_empty(&entry->waiting)) {
            struct weir_list *link = entry->waiting.next;
            weir_list_remove(link);
            weir_list_append(&told, link);
        }
        while (!weir_list_is_empty(&told)) {
            struct net_query *query = WEIR_CONTAINER_OF(told.next, struct net_query, link);
            net__resolve_cancel(query);
            query->done(query->owner, entry->addresses, entry->count, entry->detail);
        }
    }
}

static void tell_soon(struct weir_resolver *resolver) {
    if (!resolver->work_in_use) {
        resolver->work_in_use = true;
        weir_loop_defer(resolver->loop, &resolver->work, tell, resolver);
    }
}

static void free_answer(struct ares_addrinfo *answer) {
    if (answer != NULL) {
        ares_freeaddrinfo(answer);
    }
}

static void on_answer(void *argument, int status, int timeouts, struct ares_addrinfo *answer) {
    struct entry *entry = argument;
    struct weir_resolver *resolver = entry->resolver;
    (void)timeouts;
    entry->looking_up = false;
    if (resolver->closing) {
        free_answer(answer);
        return;
    }
    int ttl_s = MAX_TTL_S;
    entry->count = 0;
    for (const struct ares_addrinfo_node *node = answer != NULL ? answer->nodes : NULL;
         status == ARES_SUCCESS && node != NULL && entry->count < NET_MAX_ADDRESSES; node = node->ai_next) {
        struct net_address *address = &entry->addresses[entry->count];
        if ((node->ai_family != AF_INET && node->ai_family != AF_INET6) ||
            (size_t)node->ai_addrlen > sizeof address->socket) {
            continue;
        }
        memset(address, 0, sizeof *address);
        memcpy(&address->socket, node->ai_addr, (size_t)node->ai_addrlen);
        address->length = (socklen_t)node->ai_addrlen;
        entry->count++;
        ttl_s = node->ai_ttl < ttl_s ? node->ai_ttl : ttl_s;
    }
    free_answer(answer);
    if (ttl_s < MIN_TTL_S) {
        ttl_s = MIN_TTL_S;
    }
    (void)snprintf(entry->detail, sizeof entry->detail, "the name %.80s cannot be resolved: %s", entry->name,
                   status == ARES_SUCCESS ? "it has no address" : ares_strerror(status));
    entry->answered = true;
    entry->expires_ns = entry->count > 0 ? weir_loop_now_ns(resolver->loop) + ttl_s * INT64_C(1000000000) : 0;
    tell_soon(resolver);
}

/* The name's entry, or the best place for a new one. NULL: no memory, or every entry is being looked up. */
static struct entry *find_entry(struct weir_resolver *resolver, const char *name) {
    size_t place = MAX_ENTRIES;
    for (size_t i = 0; i < MAX_ENTRIES; i++) {
        struct entry *entry = resolver->entries[i];
        if (entry == NULL) {
            place = i;
            break; /* they are filled from the front */
        }
        if (strcmp(entry->name, name) == 0) {
            return entry;
        }
        bool in_use = entry->looking_up || !weir_list_is_empty(&entry->waiting);
        if (!in_use && (place == MAX_ENTRIES || entry->used_ns < resolver->entries[place]->used_ns)) {
            place = i;
        }
    }
    if (place == MAX_ENTRIES) {
        return NULL;
    }
    struct entry *entry = resolver->entries[place];
    if (entry == NULL) {
        entry = weir_memory_new(1, sizeof *entry);
        if (entry == NULL) {
            return NULL;
        }
        resolver->entries[place] = entry;
    }
    memset(entry, 0, sizeof *entry);
    entry->resolver = resolver;
    weir_list_init(&entry->waiting);
    if (weir_span_to_string(weir_span_of_string(name), entry->name, sizeof entry->name) != WEIR_OK) {
        entry->name[0] = '\0';
    }
    return entry;
}

bool net__resolver_remember(struct weir_resolver *resolver, const char *name, const struct net_address *addresses,
                            size_t count) {
    struct entry *entry = find_entry(resolver, name);
    if (entry == NULL || count > NET_MAX_ADDRESSES) {
        return false;
    }
    memcpy(entry->addresses, addresses, count * sizeof *addresses);
    entry->count = count;
    entry->answered = true;
    entry->expires_ns = weir_loop_now_ns(resolver->loop) + 60 * INT64_C(1000000000);
    return true;
}

bool net__resolve(struct weir_resolver *resolver, const char *name, struct net_query *query) {
    struct entry *entry = find_entry(resolver, name);
    if (entry == NULL) {
        return false;
    }
    int64_t now_ns = weir_loop_now_ns(resolver->loop);
    entry->used_ns = now_ns;
    weir_list_append(&entry->waiting, &query->link);
    query->active = true;
    if (entry->looking_up) {
        return true;
    }
    if (entry->answered && entry->expires_ns > now_ns) {
        tell_soon(resolver);
        return true;
    }
    entry->answered = false;
    entry->looking_up = true;
    struct ares_addrinfo_hints hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    ares_getaddrinfo(resolver->channel, name, NULL, &hints, on_answer, entry);
    update_timer(resolver);
    return true;
}

void net__resolve_cancel(struct net_query *query) {
    if (query->active) {
        query->active = false;
        weir_list_remove(&query->link);
    }
}
