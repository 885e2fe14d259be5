/* What net's tests share: a loop that cannot hang, TCP peers on loopback, and an owner of streams that writes down what
 * happens to it. Everything is static: each test is one program. */
#ifndef WEIR_TESTS_NET_SUPPORT_H
#define WEIR_TESTS_NET_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "net/impl.h"
#include "net/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#define UNUSED __attribute__((unused))

struct fixture {
    struct weir_loop *loop;
    struct weir_timer guard;
    bool expired;
};

static void on_guard(void *argument) {
    ((struct fixture *)argument)->expired = true;
}

UNUSED static int setup(void **state) {
    static const struct weir_log log = {.fd = -1};
    struct fixture *fixture = test_calloc(1, sizeof *fixture);
    assert_int_equal(weir_loop_new(&log, &fixture->loop, NULL), WEIR_OK);
    *state = fixture;
    return 0;
}

UNUSED static int teardown(void **state) {
    struct fixture *fixture = *state;
    weir_timer_stop(&fixture->guard);
    weir_loop_free(&fixture->loop);
    test_free(fixture);
    return 0;
}

/* Only failures wait this long, so a busy machine is no reason for one. */
enum { PATIENCE_MS = 60000 };

/* Waits for `done`, PATIENCE_MS at most. */
UNUSED static void run_until(struct fixture *fixture, const bool *done) {
    weir_timer_start(fixture->loop, &fixture->guard, PATIENCE_MS, on_guard, fixture);
    struct uv_loop_s *uv = weir_loop_uv(fixture->loop);
    while (!*done && !fixture->expired) {
        (void)weir_loop_run_once(fixture->loop);
        if (!*done) {
            /* Shorter than the loop would wait: what deferred calls do is seen without an event. */
            struct pollfd events = {.fd = uv_backend_fd(uv), .events = POLLIN};
            int timeout_ms = uv_backend_timeout(uv);
            (void)poll(&events, 1, timeout_ms >= 0 && timeout_ms < 5 ? timeout_ms : 5);
        }
    }
    weir_timer_stop(&fixture->guard);
    assert_false(fixture->expired);
}

static void set_flag(void *argument) {
    *(bool *)argument = true;
}

/* A few turns without waiting. */
UNUSED static void run_turns(struct fixture *fixture, int turns) {
    for (int i = 0; i < turns; i++) {
        (void)weir_loop_run_once(fixture->loop);
    }
}

/* That long, and at least some turns: the time may pass in one if the machine is busy with something else. */
UNUSED static void run_for_ms(struct fixture *fixture, int64_t delay_ms) {
    struct weir_timer timer = {0};
    bool done = false;
    weir_timer_start(fixture->loop, &timer, delay_ms, set_flag, &done);
    run_until(fixture, &done);
    run_turns(fixture, 20);
}

UNUSED static int peer_connect(uint16_t port) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    struct net_address address;
    assert_true(net__address_parse("127.0.0.1", port, &address));
    assert_int_equal(connect(fd, &address.socket.any, address.length), 0);
    return fd;
}

/* A listening socket that nobody accepts from. */
UNUSED static int peer_listen(int backlog, uint16_t *port) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct net_address address;
    assert_true(net__address_parse("127.0.0.1", 0, &address));
    assert_int_equal(bind(fd, &address.socket.any, address.length), 0);
    assert_int_equal(listen(fd, backlog), 0);
    assert_int_equal(getsockname(fd, &address.socket.any, &address.length), 0);
    *port = ntohs(address.socket.v4.sin_port);
    return fd;
}

UNUSED static void peer_reset(int fd) {
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger), 0);
    close(fd);
}

/* Waits up to PATIENCE_MS for something to read. */
UNUSED static ssize_t peer_read(int fd, void *to, size_t size) {
    struct pollfd item = {.fd = fd, .events = POLLIN};
    assert_int_equal(poll(&item, 1, PATIENCE_MS), 1);
    return recv(fd, to, size, 0);
}

UNUSED static void peer_expect(int fd, const char *text) {
    char got[4096];
    size_t length = 0;
    while (length < strlen(text)) {
        ssize_t count = peer_read(fd, got + length, sizeof got - length);
        assert_true(count > 0);
        length += (size_t)count;
    }
    assert_int_equal(length, strlen(text));
    assert_memory_equal(got, text, length);
}

/* An owner of a stream. Its flags say what has happened. */
struct owner {
    struct weir_stream *stream;
    struct weir_buffer received;
    bool accepted, got_data, ended, drained, failed;
    int drains, ends, fails;
    enum weir_status status;
    char detail[256];
    size_t wanted; /* `got_wanted` is set when that much has come */
    bool got_wanted;
    bool close_on_data, close_on_end, echo, stop_on_data;
};

static void owner_on_data(void *argument, struct weir_span data) {
    struct owner *owner = argument;
    weir_buffer_append(&owner->received, data);
    owner->got_data = true;
    owner->got_wanted = owner->received.length >= owner->wanted;
    if (owner->echo) {
        assert_int_equal(weir_stream_write(owner->stream, &data, 1), WEIR_OK);
    }
    if (owner->stop_on_data) {
        weir_stream_read_stop(owner->stream);
    }
    if (owner->close_on_data) {
        weir_stream_close(&owner->stream);
    }
}

static void owner_on_end(void *argument) {
    struct owner *owner = argument;
    owner->ended = true;
    owner->ends++;
    if (owner->close_on_end) {
        weir_stream_close(&owner->stream);
    }
}

static void owner_on_drain(void *argument) {
    struct owner *owner = argument;
    owner->drained = true;
    owner->drains++;
}

static void owner_on_fail(void *argument, enum weir_status status, const char *detail) {
    struct owner *owner = argument;
    owner->failed = true;
    owner->fails++;
    owner->status = status;
    (void)snprintf(owner->detail, sizeof owner->detail, "%s", detail);
    weir_stream_close(&owner->stream);
}

static const struct weir_stream_events owner_events = {
    .on_data = owner_on_data,
    .on_end = owner_on_end,
    .on_drain = owner_on_drain,
    .on_fail = owner_on_fail,
};

UNUSED static void owner_init(struct owner *owner) {
    memset(owner, 0, sizeof *owner);
    weir_buffer_init(&owner->received, 64 * WEIR_MIB);
}

UNUSED static void owner_release(struct owner *owner) {
    weir_stream_close(&owner->stream);
    weir_buffer_release(&owner->received);
}

UNUSED static void owner_take(struct owner *owner, struct weir_stream *stream) {
    owner->stream = stream;
    owner->accepted = true;
    weir_stream_own(stream, &owner_events, owner);
}

/* For a listener. */
UNUSED static void owner_on_accept(void *argument, struct weir_stream *stream) {
    owner_take(argument, stream);
}

UNUSED static enum weir_status write_text(struct weir_stream *stream, const char *text) {
    struct weir_span span = weir_span_of_string(text);
    return weir_stream_write(stream, &span, 1);
}

UNUSED static void assert_received(const struct owner *owner, const char *text) {
    assert_int_equal(owner->received.length, strlen(text));
    assert_memory_equal(owner->received.at, text, strlen(text));
}

#endif
