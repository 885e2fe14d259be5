/* Listening sockets and the accepting of connections.
 *
 * accept4 gives the peer's address with the connection, and Linux hands TCP_NODELAY of the listening socket down to what is
 * accepted from it: so a new connection costs one call here. How many are accepted a turn adapts: one while they come singly
 * (no second call only to hear that there is none), up to 64 in a burst.
 */
#include "net/listener.h"

#include "net/impl.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BACKLOG = 4096, MAX_ACCEPTS_PER_TURN = 64, RETRY_MS = 100 };

struct weir_listener {
    struct weir_loop *loop;
    int fd;
    uv_poll_t poll;
    struct weir_tls *tls;
    void (*on_accept)(void *owner, struct weir_stream *stream);
    void *owner;
    unsigned share; /* accepts in the next turn */
    bool closed;
    struct weir_timer retry;
    int64_t logged_ns; /* when it last complained */
};

/* "host:port" or "[host]:port". */
static enum weir_status split_address(const char *address, char host[256], char port[8], struct weir_error *error) {
    struct weir_span all = weir_span_of_string(address);
    struct weir_span name = all;
    struct weir_span number = {.at = "", .length = 0};
    const char *colon = strrchr(address, ':');
    if (colon != NULL) {
        name = weir_span_first(all, (size_t)(colon - address));
        number = weir_span_from(all, name.length + 1);
    }
    bool bracketed = name.length > 2 && name.at[0] == '[' && name.at[name.length - 1] == ']';
    if (bracketed) {
        name = weir_span_of(name.at + 1, name.length - 2);
    } else if (weir_span_index(name, ':') != name.length) {
        return weir_fail(error, WEIR_EINVAL, "%.200s: write an IPv6 address in brackets, for example [::1]:8080",
                         address);
    }
    uint64_t value = 0;
    if (name.length == 0 || weir_span_to_uint64(number, &value) != WEIR_OK || value > 65535 ||
        weir_span_to_string(name, host, 256) != WEIR_OK || weir_span_to_string(number, port, 8) != WEIR_OK) {
        return weir_fail(error, WEIR_EINVAL, "%.200s is not an address: write HOST:PORT, for example 127.0.0.1:8080",
                         address);
    }
    return WEIR_OK;
}

static enum weir_status refuse(struct weir_error *error, const char *address, int number) {
    switch (number) {
    case EADDRINUSE:
        return weir_fail(error, WEIR_EBUSY, "%.200s is in use: stop the other program or choose another address",
                         address);
    case EACCES:
    case EPERM:
        return weir_fail(
            error, WEIR_EDENIED,
            "%.200s: not permitted; ports below 1024 need the capability CAP_NET_BIND_SERVICE, or choose a "
            "higher port",
            address);
    case EADDRNOTAVAIL:
        return weir_fail(error, WEIR_EINVAL,
                         "%.200s is not an address of this machine: listen on one that is, or on 0.0.0.0", address);
    default: return weir_fail(error, WEIR_EIO, "cannot listen on %.200s: %s", address, net__errno_text(number));
    }
}

static int open_socket(const struct addrinfo *info, bool share, int *fd) {
    *fd = socket(info->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (*fd < 0) {
        return errno;
    }
    int on = 1;
    (void)setsockopt(*fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    (void)setsockopt(*fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if ((share && setsockopt(*fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) != 0) ||
        bind(*fd, info->ai_addr, info->ai_addrlen) != 0 || listen(*fd, BACKLOG) != 0) {
        int number = errno;
        (void)close(*fd);
        *fd = -1;
        return number;
    }
    return 0;
}

enum weir_status weir_listen_socket(const char *address, bool share, int *out, uint16_t *port,
                                    struct weir_error *error) {
    char host[256];
    char service[8];
    enum weir_status status = split_address(address, host, service, error);
    if (status != WEIR_OK) {
        return status;
    }
    /* At boot, or for a new listener of a reload: a name here comes from /etc/hosts. */
    struct addrinfo hints = {.ai_family = AF_UNSPEC,
                             .ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    int result = getaddrinfo(host, service, &hints, &found);
    if (result != 0) {
        return weir_fail(error, WEIR_EINVAL, "%.200s: the host is not known: %s", address, gai_strerror(result));
    }
    int fd = -1;
    int number = EADDRNOTAVAIL;
    /* "localhost" may be ::1 first where IPv6 is off: the next one is tried then, but never past one that is in use. */
    for (const struct addrinfo *info = found; info != NULL && fd < 0; info = info->ai_next) {
        number = open_socket(info, share, &fd);
        if (number == EADDRINUSE) {
            break;
        }
    }
    freeaddrinfo(found);
    if (fd < 0) {
        return refuse(error, address, number);
    }
    struct net_address bound = {.length = sizeof bound.socket};
    if (port != NULL && getsockname(fd, &bound.socket.any, &bound.length) == 0) {
        *port = ntohs(bound.socket.any.sa_family == AF_INET ? bound.socket.v4.sin_port : bound.socket.v6.sin6_port);
    }
    *out = fd;
    return WEIR_OK;
}

static void on_poll(uv_poll_t *handle, int status, int events);

static void resume(void *argument) {
    struct weir_listener *listener = argument;
    int result = uv_poll_start(&listener->poll, UV_READABLE, on_poll);
    weir_bug_on(result != 0);
}

static void pause_accepting(struct weir_listener *listener, const char *detail) {
    int64_t now_ns = weir_loop_now_ns(listener->loop);
    if (listener->logged_ns == 0 || now_ns - listener->logged_ns >= 1000000000) {
        listener->logged_ns = now_ns;
        weir_log(weir_loop_log(listener->loop), WEIR_LOG_WARNING, "accept_paused", WEIR_LOG_T("detail", detail),
                 WEIR_LOG_I("retry_ms", RETRY_MS));
    }
    (void)uv_poll_stop(&listener->poll);
    weir_timer_start(listener->loop, &listener->retry, RETRY_MS, resume, listener);
}

/* False: no memory. */
static bool hand_over(struct weir_listener *listener, int fd, const struct sockaddr *peer) {
    struct weir_filter *top = NULL;
    if (net__tcp_accepted(listener->loop, fd, &top) != WEIR_OK) {
        return false;
    }
    if (listener->tls != NULL && net__tls_filter_new(listener->loop, listener->tls, NULL, true, top, &top) != WEIR_OK) {
        return false;
    }
    char text[NET_ADDRESS_TEXT_SIZE];
    net__address_format(peer, text);
    struct weir_stream *stream = NULL;
    if (net__stream_new(listener->loop, top, listener->tls != NULL, text, &stream) != WEIR_OK) {
        return false;
    }
    listener->on_accept(listener->owner, stream);
    return true;
}

static void on_poll(uv_poll_t *handle, int status, int events) {
    struct weir_listener *listener = handle->data;
    (void)events;
    if (status < 0) {
        pause_accepting(listener, uv_strerror(status));
        return;
    }
    unsigned share = listener->share;
    for (unsigned i = 0; i < share; i++) {
        struct net_address peer = {.length = sizeof peer.socket};
        int fd = accept4(listener->fd, &peer.socket.any, &peer.length, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            if (!hand_over(listener, fd, &peer.socket.any) && !listener->closed) {
                pause_accepting(listener, "no memory for a connection");
                return;
            }
            if (listener->closed) {
                return;
            }
            continue;
        }
        int number = errno;
        if (number == EAGAIN) {
            listener->share = i > 1 ? i : 1;
            return;
        }
        if (number == EMFILE || number == ENFILE || number == ENOBUFS || number == ENOMEM) {
            pause_accepting(listener, net__errno_text(number));
            return;
        }
        /* A connection that broke while it waited, or a network error of its own (accept(2)): the next. */
    }
    listener->share = share * 2 < MAX_ACCEPTS_PER_TURN ? share * 2 : MAX_ACCEPTS_PER_TURN;
}

enum weir_status weir_listener_new(struct weir_loop *loop, int fd, struct weir_tls *tls,
                                   void (*on_accept)(void *owner, struct weir_stream *stream), void *owner,
                                   struct weir_listener **out, struct weir_error *error) {
    struct weir_listener *listener = weir_memory_new(1, sizeof *listener);
    if (listener == NULL) {
        return weir_fail(error, WEIR_ENOMEM, "no memory for a listener");
    }
    int result = uv_poll_init(weir_loop_uv(loop), &listener->poll, fd);
    if (result != 0) {
        weir_memory_free(listener);
        return weir_fail(error, WEIR_EIO, "cannot accept connections: %s", uv_strerror(result));
    }
    int on = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    listener->loop = loop;
    listener->fd = fd;
    listener->poll.data = listener;
    listener->tls = tls;
    listener->on_accept = on_accept;
    listener->owner = owner;
    listener->share = 1;
    resume(listener);
    *out = listener;
    return WEIR_OK;
}

static void on_closed(uv_handle_t *handle) {
    weir_memory_free(handle->data);
}

void weir_listener_free(struct weir_listener **handle) {
    struct weir_listener *listener = *handle;
    if (listener != NULL) {
        *handle = NULL;
        listener->closed = true;
        weir_timer_stop(&listener->retry);
        uv_close((uv_handle_t *)&listener->poll, on_closed);
    }
}
