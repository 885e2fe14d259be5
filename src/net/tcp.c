/* The bottom filter: a TCP connection under uv_poll with reads and writes of our own.
 *
 * Why not uv_tcp_t: bytes go out by one sendmsg at once (MSG_NOSIGNAL) and only what the system refuses is copied; reads use the
 * loop's one buffer; and a stop of reading costs nothing until data really arrives. So polling is changed only when an event
 * comes that nobody wants (disarm), or when one is wanted that is not polled for (arm): never in the usual course of a request.
 *
 * What an error of the socket leaves to read is delivered before the failure, so that an early answer of a peer that resets
 * the connection is not lost.
 */
#include "net/impl.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum { READS_PER_TURN = 4, PARTS_PER_CALL = 32 };

struct net_tcp {
    struct weir_filter filter; /* first */
    struct weir_loop *loop;
    uv_poll_t poll;
    int fd;
    int armed; /* what uv polls for */
    bool connecting;
    bool reading;
    bool ended;        /* the peer's end was read */
    bool hangup_seen;  /* an end or error was polled that may not be told yet: polling for it again would spin */
    bool write_failed; /* writing is over; reading may have something left */
    bool failed;       /* on_fail was told */
    bool shutdown_wanted;
    bool closed;
    int write_errno;
    size_t queue_sent;             /* of the queue's bytes */
    struct weir_buffer queue;      /* accepted, not yet taken by the system */
    struct weir_deferred deferred; /* telling of a failed write */
    bool deferred_in_use;
};

const char *net__errno_text(int number) {
    switch (number) {
    case ECONNRESET: return "connection reset by peer";
    case ECONNREFUSED: return "connection refused";
    case EPIPE: return "connection closed by peer";
    case ETIMEDOUT: return "connection timed out";
    case EHOSTUNREACH: return "host is unreachable";
    case ENETUNREACH: return "network is unreachable";
    case EADDRNOTAVAIL: return "no local address or port left";
    case EMFILE: return "too many open files in this process";
    case ENFILE: return "too many open files in the system";
    case ENOBUFS:
    case ENOMEM: return "the system has no memory for it";
    case EACCES:
    case EPERM: return "not permitted";
    default: return uv_strerror(-number);
    }
}

static struct net_tcp *tcp_of(struct weir_filter *filter) {
    return (struct net_tcp *)(void *)filter;
}

static size_t pending(const struct net_tcp *tcp) {
    return tcp->queue.length - tcp->queue_sent;
}

static int wanted_events(const struct net_tcp *tcp) {
    if (tcp->failed) {
        return 0;
    }
    if (tcp->connecting) {
        return UV_WRITABLE;
    }
    int events = pending(tcp) > 0 && !tcp->write_failed ? UV_WRITABLE : 0;
    if (tcp->reading && !tcp->ended) {
        return events | UV_READABLE | UV_DISCONNECT;
    }
    if (tcp->hangup_seen) {
        return events;
    }
    /* Something has to be polled for, or libuv would not tell of a reset. */
    return events | (tcp->ended ? UV_PRIORITIZED : UV_DISCONNECT);
}

static void on_poll(uv_poll_t *handle, int status, int events);

/* Polls for exactly what is wanted. */
static void arm_exactly(struct net_tcp *tcp) {
    int events = wanted_events(tcp);
    if (events == tcp->armed || tcp->closed) {
        return;
    }
    int result = events == 0 ? uv_poll_stop(&tcp->poll) : uv_poll_start(&tcp->poll, events, on_poll);
    weir_bug_on(result != 0);
    tcp->armed = events;
}

/* Polls for at least what is wanted: what is too much is corrected when it happens. */
static void arm(struct net_tcp *tcp) {
    if ((wanted_events(tcp) & ~tcp->armed) != 0) {
        arm_exactly(tcp);
    }
}

static enum weir_status status_of(int number) {
    switch (number) {
    case ETIMEDOUT: return WEIR_ETIMEOUT;
    case ENOMEM: return WEIR_ENOMEM;
    case ECONNRESET:
    case EPIPE: return WEIR_ECLOSED;
    default: return WEIR_EIO;
    }
}

static void fail(struct net_tcp *tcp, int number) {
    if (tcp->failed || tcp->closed) {
        return;
    }
    tcp->failed = true;
    tcp->write_failed = true;
    tcp->queue_sent = 0;
    weir_buffer_release(&tcp->queue);
    arm_exactly(tcp);
    tcp->filter.events->on_fail(tcp->filter.upper, status_of(number), net__errno_text(number));
}

static void end(struct net_tcp *tcp) {
    tcp->ended = true;
    tcp->filter.events->on_end(tcp->filter.upper);
}

static ssize_t receive(const struct net_tcp *tcp, void *to, size_t size, int flags) {
    ssize_t got;
    do {
        got = recv(tcp->fd, to, size, flags);
    } while (got < 0 && errno == EINTR);
    return got;
}

/* Reads what there is, up to the turn's share (`all`: to the end), and tells the end or the failure when it is reached. */
static void read_some(struct net_tcp *tcp, bool all) {
    for (int i = 0; all || i < READS_PER_TURN; i++) {
        size_t room = WEIR_READ_BUFFER_BYTES;
        char *place = tcp->filter.events->place != NULL ? tcp->filter.events->place(tcp->filter.upper, &room) : NULL;
        if (place == NULL) {
            place = tcp->loop->read_buffer;
            room = WEIR_READ_BUFFER_BYTES;
        }
        ssize_t got = receive(tcp, place, room, 0);
        if (got < 0) {
            if (errno != EAGAIN) {
                fail(tcp, errno);
            }
            return;
        }
        if (got == 0) {
            if (tcp->write_failed) {
                /* After a reset that a write came upon, the system shows an ordinary end. */
                fail(tcp, tcp->write_errno);
            } else {
                end(tcp);
            }
            return;
        }
        tcp->filter.events->on_data(tcp->filter.upper, weir_span_of(place, (size_t)got));
        if (tcp->closed || !tcp->reading) {
            return;
        }
        if ((size_t)got < room && !all) {
            return;
        }
    }
}

/* The peer has hung up while nobody reads: told now where nothing is left to read before it, else when reading starts. */
static void hang_up_unread(struct net_tcp *tcp) {
    char byte;
    ssize_t got = receive(tcp, &byte, 1, MSG_PEEK);
    if (got == 0) {
        end(tcp);
    } else if (got < 0 && errno != EAGAIN) {
        fail(tcp, errno);
    } else {
        tcp->hangup_seen = true;
    }
}

static int socket_error(const struct net_tcp *tcp) {
    int number = 0;
    socklen_t size = sizeof number;
    return getsockopt(tcp->fd, SOL_SOCKET, SO_ERROR, &number, &size) == 0 ? number : errno;
}

/* The socket has an error. Whoever reads gets what is left to read first; whoever waits for a drain that cannot come any more
 * must know at once. */
static void broken(struct net_tcp *tcp) {
    if (tcp->reading && !tcp->ended) {
        read_some(tcp, true);
        if (!tcp->closed && tcp->write_failed && tcp->reading && !tcp->ended) {
            fail(tcp, tcp->write_errno);
        }
    } else if (tcp->ended || tcp->write_failed || pending(tcp) > 0) {
        int number = tcp->write_failed ? tcp->write_errno : socket_error(tcp);
        fail(tcp, number != 0 ? number : ECONNRESET);
    } else {
        hang_up_unread(tcp);
    }
}

static void tell_failed_write(void *argument) {
    struct net_tcp *tcp = argument;
    tcp->deferred_in_use = false;
    if (!tcp->closed && !tcp->failed) {
        broken(tcp);
    }
}

static void end_our_side(struct net_tcp *tcp) {
    if (shutdown(tcp->fd, SHUT_WR) != 0 && errno != ENOTCONN) {
        weir_log(&tcp->loop->log, WEIR_LOG_DEBUG, "shutdown_failed", WEIR_LOG_T("detail", net__errno_text(errno)));
    }
}

static void flush(struct net_tcp *tcp) {
    while (pending(tcp) > 0) {
        ssize_t sent = send(tcp->fd, tcp->queue.at + tcp->queue_sent, pending(tcp), MSG_NOSIGNAL);
        if (sent < 0) {
            if (errno == EINTR) {
                continue;
            }
            if (errno != EAGAIN) {
                tcp->write_failed = true;
                tcp->write_errno = errno;
                arm_exactly(tcp);
                broken(tcp);
            }
            return;
        }
        bool all = (size_t)sent == pending(tcp);
        tcp->queue_sent += (size_t)sent;
        if (!all) {
            return; /* the next try would be refused */
        }
    }
    tcp->queue_sent = 0;
    weir_buffer_release(&tcp->queue);
    if (tcp->shutdown_wanted) {
        end_our_side(tcp);
    }
    arm_exactly(tcp);
    tcp->filter.events->on_drain(tcp->filter.upper);
}

static void finish_connecting(struct net_tcp *tcp) {
    int number = socket_error(tcp);
    if (number != 0) {
        fail(tcp, number);
        return;
    }
    tcp->connecting = false;
    /* What is polled for is corrected by the read_start or write that comes from here. */
    tcp->filter.events->on_open(tcp->filter.upper);
    if (!tcp->closed && !tcp->failed) {
        if (pending(tcp) > 0) {
            flush(tcp);
        } else if (tcp->shutdown_wanted) {
            end_our_side(tcp);
        }
        arm_exactly(tcp);
    }
}

static void on_poll(uv_poll_t *handle, int status, int events) {
    struct net_tcp *tcp = handle->data;
    if (status < 0) {
        tcp->armed = 0; /* libuv has stopped polling: the socket has an error to fetch */
        if (tcp->connecting) {
            finish_connecting(tcp);
        } else {
            broken(tcp);
        }
        return;
    }
    if (tcp->connecting) {
        finish_connecting(tcp);
        return;
    }
    if ((events & UV_WRITABLE) != 0) {
        if (pending(tcp) > 0 && !tcp->write_failed) {
            flush(tcp);
        } else {
            arm_exactly(tcp);
        }
        if (tcp->closed || tcp->failed) {
            return;
        }
    }
    if ((events & (UV_READABLE | UV_DISCONNECT | UV_PRIORITIZED)) == 0) {
        return;
    }
    if (tcp->ended) {
        /* Either the end is polled for still, or nothing but urgent data or a hang-up of both sides is left. */
        tcp->hangup_seen = tcp->hangup_seen || (events & UV_PRIORITIZED) != 0;
        arm_exactly(tcp);
    } else if (tcp->reading) {
        read_some(tcp, (events & UV_DISCONNECT) != 0);
    } else {
        if ((events & UV_DISCONNECT) != 0) {
            hang_up_unread(tcp);
        }
        arm_exactly(tcp);
    }
}

static void tcp_read_start(struct weir_filter *filter) {
    struct net_tcp *tcp = tcp_of(filter);
    tcp->reading = true;
    if (!tcp->closed && !tcp->connecting) {
        arm(tcp);
    }
}

static void tcp_read_stop(struct weir_filter *filter) {
    tcp_of(filter)->reading = false;
}

static enum weir_status enqueue(struct net_tcp *tcp, const struct weir_span *parts, size_t count, size_t skip) {
    if (tcp->queue_sent > tcp->queue.length / 2) {
        weir_buffer_consume(&tcp->queue, tcp->queue_sent);
        tcp->queue_sent = 0;
    }
    for (size_t i = 0; i < count; i++) {
        if (skip >= parts[i].length) {
            skip -= parts[i].length;
        } else {
            weir_buffer_append(&tcp->queue, weir_span_from(parts[i], skip));
            skip = 0;
        }
    }
    if (weir_buffer_status(&tcp->queue) != WEIR_OK) {
        /* A message with a hole must not go out. */
        tcp->write_failed = true;
        tcp->write_errno = ENOMEM;
        tcp->queue_sent = 0;
        weir_buffer_release(&tcp->queue);
        return WEIR_ENOMEM;
    }
    arm(tcp);
    return WEIR_OK;
}

static enum weir_status write_failure(struct net_tcp *tcp, int number) {
    tcp->write_failed = true;
    tcp->write_errno = number;
    if (!tcp->deferred_in_use) {
        tcp->deferred_in_use = true;
        weir_loop_defer(tcp->loop, &tcp->deferred, tell_failed_write, tcp);
    }
    return WEIR_ECLOSED;
}

/* Sends up to PARTS_PER_CALL parts after `skip` bytes. Returns what sendmsg does; *asked gets what was offered. */
static ssize_t send_parts(const struct net_tcp *tcp, const struct weir_span *parts, size_t count, size_t skip,
                          size_t *asked) {
    struct iovec vector[PARTS_PER_CALL];
    size_t used = 0;
    size_t bytes = 0;
    for (size_t i = 0; i < count && used < PARTS_PER_CALL; i++) {
        if (skip >= parts[i].length) {
            skip -= parts[i].length;
            continue;
        }
        /* iovec has no const, sendmsg does not write: the union keeps the cast out. */
        union {
            const char *read;
            void *base;
        } at = {.read = parts[i].at + skip};
        vector[used++] = (struct iovec){.iov_base = at.base, .iov_len = parts[i].length - skip};
        bytes += parts[i].length - skip;
        skip = 0;
    }
    *asked = bytes;
    struct msghdr message = {.msg_iov = vector, .msg_iovlen = used};
    ssize_t sent;
    do {
        sent = used == 1 ? send(tcp->fd, vector[0].iov_base, vector[0].iov_len, MSG_NOSIGNAL)
                         : sendmsg(tcp->fd, &message, MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    return sent;
}

static enum weir_status tcp_write(struct weir_filter *filter, const struct weir_span *parts, size_t count) {
    struct net_tcp *tcp = tcp_of(filter);
    if (tcp->write_failed || tcp->shutdown_wanted) {
        return WEIR_ECLOSED;
    }
    size_t total = 0;
    for (size_t i = 0; i < count; i++) {
        total += parts[i].length;
    }
    if (total == 0) {
        return WEIR_OK;
    }
    if (total > NET_MAX_QUEUE_BYTES - pending(tcp)) {
        return WEIR_ENOMEM;
    }
    size_t done = 0;
    while (!tcp->connecting && pending(tcp) == 0 && done < total) {
        size_t asked;
        ssize_t sent = send_parts(tcp, parts, count, done, &asked);
        if (sent < 0 && errno != EAGAIN) {
            return write_failure(tcp, errno);
        }
        done += sent > 0 ? (size_t)sent : 0;
        if (sent < 0 || (size_t)sent < asked) {
            break;
        }
    }
    return done == total ? WEIR_OK : enqueue(tcp, parts, count, done);
}

static void tcp_shutdown(struct weir_filter *filter) {
    struct net_tcp *tcp = tcp_of(filter);
    if (tcp->shutdown_wanted || tcp->write_failed) {
        return;
    }
    tcp->shutdown_wanted = true;
    if (!tcp->connecting && pending(tcp) == 0) {
        end_our_side(tcp);
    }
}

static void on_closed(uv_handle_t *handle) {
    struct net_tcp *tcp = handle->data;
    weir_buffer_release(&tcp->queue);
    weir_memory_free(tcp);
}

static void tcp_close(struct weir_filter *filter, bool reset) {
    struct net_tcp *tcp = tcp_of(filter);
    if (reset) {
        struct linger linger = {.l_onoff = 1, .l_linger = 0};
        (void)setsockopt(tcp->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    }
    tcp->closed = true;
    if (tcp->deferred_in_use) {
        weir_list_remove(&tcp->deferred.link);
    }
    uv_close((uv_handle_t *)&tcp->poll, on_closed);
    (void)close(tcp->fd);
}

static size_t tcp_pending_bytes(const struct weir_filter *filter) {
    return pending((const struct net_tcp *)(const void *)filter);
}

static const struct weir_filter_ops tcp_ops = {
    .name = "tcp",
    .write = tcp_write,
    .read_start = tcp_read_start,
    .read_stop = tcp_read_stop,
    .shutdown = tcp_shutdown,
    .close = tcp_close,
    .pending_bytes = tcp_pending_bytes,
};

static struct net_tcp *tcp_new(struct weir_loop *loop, int fd) {
    struct net_tcp *tcp = weir_memory_new(1, sizeof *tcp);
    if (tcp == NULL || uv_poll_init(&loop->uv, &tcp->poll, fd) != 0) {
        weir_memory_free(tcp);
        (void)close(fd);
        return NULL;
    }
    tcp->filter.ops = &tcp_ops;
    tcp->loop = loop;
    tcp->poll.data = tcp;
    tcp->fd = fd;
    weir_buffer_init(&tcp->queue, NET_MAX_QUEUE_BYTES);
    return tcp;
}

enum weir_status net__tcp_accepted(struct weir_loop *loop, int fd, struct weir_filter **filter) {
    struct net_tcp *tcp = tcp_new(loop, fd);
    if (tcp == NULL) {
        return WEIR_ENOMEM;
    }
    *filter = &tcp->filter;
    return WEIR_OK;
}

enum weir_status net__tcp_connect(struct weir_loop *loop, const struct net_address *address,
                                  struct weir_filter **filter, struct weir_error *error) {
    int fd = socket(address->socket.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return weir_fail(error, WEIR_EIO, "%s", net__errno_text(errno));
    }
    int on = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    int result;
    do {
        result = connect(fd, &address->socket.any, address->length);
    } while (result != 0 && errno == EINTR);
    if (result != 0 && errno != EINPROGRESS) {
        int number = errno;
        (void)close(fd);
        return weir_fail(error, status_of(number), "%s", net__errno_text(number));
    }
    struct net_tcp *tcp = tcp_new(loop, fd);
    if (tcp == NULL) {
        return weir_fail(error, WEIR_ENOMEM, "no memory for a connection");
    }
    tcp->connecting = true;
    arm_exactly(tcp);
    *filter = &tcp->filter;
    return WEIR_OK;
}
