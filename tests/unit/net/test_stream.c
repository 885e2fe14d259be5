/* Streams over plain TCP, against bare sockets on the other side. */
#include "support.h"

/* A stream and the socket of its peer. */
static struct weir_stream *make_pair(struct fixture *fixture, int *peer) {
    uint16_t port = 0;
    int listening = peer_listen(8, &port);
    *peer = peer_connect(port);
    int fd = accept4(listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    assert_true(fd >= 0);
    close(listening);
    struct weir_filter *filter = NULL;
    struct weir_stream *stream = NULL;
    assert_int_equal(net__tcp_accepted(fixture->loop, fd, &filter), WEIR_OK);
    assert_int_equal(net__stream_new(fixture->loop, filter, false, "127.0.0.1", &stream), WEIR_OK);
    return stream;
}

struct pair {
    struct fixture *fixture;
    struct owner owner;
    int peer;
};

static void pair_open(struct pair *pair, void **state) {
    pair->fixture = *state;
    owner_init(&pair->owner);
    owner_take(&pair->owner, make_pair(pair->fixture, &pair->peer));
}

static void pair_close(struct pair *pair) {
    owner_release(&pair->owner);
    if (pair->peer >= 0) {
        close(pair->peer);
    }
}

static void test_echo(void **state) {
    struct pair pair;
    pair_open(&pair, state);
    pair.owner.echo = true;
    weir_stream_read_start(pair.owner.stream);
    assert_int_equal(send(pair.peer, "hello", 5, 0), 5);
    run_until(pair.fixture, &pair.owner.got_data);
    assert_received(&pair.owner, "hello");
    peer_expect(pair.peer, "hello");
    assert_int_equal(weir_stream_bytes_read(pair.owner.stream), 5);
    assert_int_equal(weir_stream_bytes_written(pair.owner.stream), 5);
    assert_string_equal(weir_stream_peer_address(pair.owner.stream), "127.0.0.1");
    assert_false(weir_stream_is_tls(pair.owner.stream));
    pair_close(&pair);
}

static void test_parts_in_order(void **state) {
    struct pair pair;
    pair_open(&pair, state);
    struct weir_span parts[70];
    char expected[71];
    for (size_t i = 0; i < 70; i++) {
        static const char letters[] = "abcdefghijklmnopqrstuvwxyz";
        parts[i] = weir_span_of(letters + i % 26, i == 3 ? 0 : 1);
        expected[i] = letters[i % 26];
    }
    memmove(expected + 3, expected + 4, 66);
    expected[69] = '\0';
    assert_int_equal(weir_stream_write(pair.owner.stream, parts, 70), WEIR_OK);
    peer_expect(pair.peer, expected);
    assert_int_equal(weir_stream_write(pair.owner.stream, parts, 0), WEIR_OK);
    assert_int_equal(weir_stream_pending_bytes(pair.owner.stream), 0);
    pair_close(&pair);
}

static unsigned char pattern(size_t at) {
    return (unsigned char)(at * 31 + (at >> 11));
}

/* More than the system takes: pending bytes rise, the peer reads, drain comes, and not a byte is changed. */
static void test_back_pressure(void **state) {
    enum { TOTAL = 24 * 1024 * 1024, PIECE = 1024 * 1024 };
    struct pair pair;
    pair_open(&pair, state);
    char *piece = test_malloc(PIECE);
    size_t written = 0;
    while (written < TOTAL) {
        for (size_t i = 0; i < PIECE; i++) {
            piece[i] = (char)pattern(written + i);
        }
        struct weir_span parts[3] = {weir_span_of(piece, 1), weir_span_of(piece + 1, 70000),
                                     weir_span_of(piece + 70001, PIECE - 70001)};
        assert_int_equal(weir_stream_write(pair.owner.stream, parts, 3), WEIR_OK);
        written += PIECE;
    }
    assert_true(weir_stream_pending_bytes(pair.owner.stream) > 0);
    assert_false(pair.owner.drained);
    assert_int_equal(fcntl(pair.peer, F_SETFL, O_NONBLOCK), 0);
    size_t got = 0;
    bool right = true;
    weir_timer_start(pair.fixture->loop, &pair.fixture->guard, 20000, on_guard, pair.fixture);
    while (got < TOTAL && !pair.fixture->expired) {
        ssize_t count = recv(pair.peer, piece, PIECE, 0);
        for (ssize_t i = 0; i < count; i++) {
            right = right && (unsigned char)piece[i] == pattern(got + (size_t)i);
        }
        got += count > 0 ? (size_t)count : 0;
        (void)weir_loop_run_once(pair.fixture->loop);
    }
    weir_timer_stop(&pair.fixture->guard);
    assert_int_equal(got, TOTAL);
    assert_true(right);
    assert_int_equal(pair.owner.drains, 1);
    assert_int_equal(weir_stream_pending_bytes(pair.owner.stream), 0);
    test_free(piece);
    pair_close(&pair);
}

/* A stopped reader gets nothing, however long; a started one gets it all. */
static void test_read_stop(void **state) {
    struct pair pair;
    pair_open(&pair, state);
    weir_stream_read_start(pair.owner.stream);
    weir_stream_read_stop(pair.owner.stream);
    assert_int_equal(send(pair.peer, "one", 3, 0), 3);
    run_for_ms(pair.fixture, 30);
    assert_false(pair.owner.got_data);
    weir_stream_read_start(pair.owner.stream);
    weir_stream_read_stop(pair.owner.stream);
    weir_stream_read_start(pair.owner.stream);
    run_until(pair.fixture, &pair.owner.got_data);
    assert_received(&pair.owner, "one");
    pair_close(&pair);
}

/* Stopping within the callback holds back the rest, also when the peer has ended in the meantime. */
static void test_stop_within_callback(void **state) {
    struct pair pair;
    pair_open(&pair, state);
    pair.owner.stop_on_data = true;
    weir_stream_read_start(pair.owner.stream);
    char *block = test_calloc(1, 200000);
    assert_int_equal(send(pair.peer, block, 200000, 0), 200000);
    assert_int_equal(shutdown(pair.peer, SHUT_WR), 0);
    int rounds = 0;
    while (!pair.owner.ended && rounds++ < 1000) {
        size_t before = pair.owner.received.length;
        pair.owner.got_data = false;
        run_for_ms(pair.fixture, 1);
        assert_true(pair.owner.received.length - before <= WEIR_READ_BUFFER_BYTES);
        weir_stream_read_start(pair.owner.stream);
    }
    assert_int_equal(pair.owner.received.length, 200000);
    assert_int_equal(pair.owner.ends, 1);
    test_free(block);
    pair_close(&pair);
}

static void test_half_close(void **state) {
    struct pair pair;
    pair_open(&pair, state);
    weir_stream_read_start(pair.owner.stream);
    assert_int_equal(send(pair.peer, "ask", 3, 0), 3);
    assert_int_equal(shutdown(pair.peer, SHUT_WR), 0);
    run_until(pair.fixture, &pair.owner.ended);
    assert_received(&pair.owner, "ask");
    run_for_ms(pair.fixture, 20); /* the end stays an end, and is not told twice */
    assert_int_equal(pair.owner.ends, 1);
    assert_int_equal(write_text(pair.owner.stream, "answer"), WEIR_OK);
    weir_stream_shutdown(pair.owner.stream);
    assert_int_equal(write_text(pair.owner.stream, "more"), WEIR_ECLOSED);
    peer_expect(pair.peer, "answer");
    char byte;
    assert_int_equal(peer_read(pair.peer, &byte, 1), 0);
    run_for_ms(pair.fixture, 20);
    assert_int_equal(pair.owner.fails, 0);
    pair_close(&pair);
}

/* Nobody reads, but the end is told when nothing is left before it. */
static void test_end_while_stopped(void **state) {
    struct pair pair;
    pair_open(&pair, state);
    weir_stream_read_start(pair.owner.stream);
    assert_int_equal(send(pair.peer, "x", 1, 0), 1);
    run_until(pair.fixture, &pair.owner.got_data);
    weir_stream_read_stop(pair.owner.stream);
    assert_int_equal(shutdown(pair.peer, SHUT_WR), 0);
    run_until(pair.fixture, &pair.owner.ended);
    pair_close(&pair);
}

static void test_end_while_stopped_waits_for_data(void **state) {
    struct pair pair;
    pair_open(&pair, state);
    weir_stream_read_start(pair.owner.stream);
    run_turns(pair.fixture, 2);
    weir_stream_read_stop(pair.owner.stream);
    assert_int_equal(send(pair.peer, "rest", 4, 0), 4);
    assert_int_equal(shutdown(pair.peer, SHUT_WR), 0);
    run_for_ms(pair.fixture, 20);
    assert_false(pair.owner.got_data);
    assert_false(pair.owner.ended);
    weir_stream_read_start(pair.owner.stream);
    run_until(pair.fixture, &pair.owner.ended);
    assert_received(&pair.owner, "rest");
    pair_close(&pair);
}

static void test_peer_resets(void **state) {
    struct pair pair;
    pair_open(&pair, state);
    weir_stream_read_start(pair.owner.stream);
    run_turns(pair.fixture, 2);
    peer_reset(pair.peer);
    pair.peer = -1;
    run_until(pair.fixture, &pair.owner.failed);
    assert_int_equal(pair.owner.status, WEIR_ECLOSED);
    assert_string_equal(pair.owner.detail, "connection reset by peer");
    pair_close(&pair);
}

/* Also while nobody reads, and after the peer's end. */
static void test_peer_resets_while_stopped(void **state) {
    struct pair pair;
    pair_open(&pair, state);
    weir_stream_read_start(pair.owner.stream);
    assert_int_equal(send(pair.peer, "x", 1, 0), 1);
    run_until(pair.fixture, &pair.owner.got_data);
    weir_stream_read_stop(pair.owner.stream);
    assert_int_equal(send(pair.peer, "y", 1, 0), 1); /* makes the loop notice that nobody reads */
    run_for_ms(pair.fixture, 10);
    weir_stream_read_start(pair.owner.stream);
    run_for_ms(pair.fixture, 10);
    weir_stream_read_stop(pair.owner.stream);
    peer_reset(pair.peer);
    pair.peer = -1;
    run_until(pair.fixture, &pair.owner.failed);
    pair_close(&pair);
}

static void test_peer_resets_after_end(void **state) {
    struct pair pair;
    pair_open(&pair, state);
    weir_stream_read_start(pair.owner.stream);
    assert_int_equal(shutdown(pair.peer, SHUT_WR), 0);
    run_until(pair.fixture, &pair.owner.ended);
    run_for_ms(pair.fixture, 10);
    peer_reset(pair.peer);
    pair.peer = -1;
    run_until(pair.fixture, &pair.owner.failed);
    pair_close(&pair);
}

/* The early answer of a peer that resets the connection is not lost. */
static void test_data_before_reset(void **state) {
    struct pair pair;
    pair_open(&pair, state);
    assert_int_equal(write_text(pair.owner.stream, "unread"), WEIR_OK);
    assert_int_equal(send(pair.peer, "no", 2, 0), 2);
    close(pair.peer); /* with bytes unread: a reset */
    pair.peer = -1;
    run_for_ms(pair.fixture, 10);
    weir_stream_read_start(pair.owner.stream);
    run_until(pair.fixture, &pair.owner.failed);
    assert_received(&pair.owner, "no");
    assert_int_equal(pair.owner.ends, 0);
    pair_close(&pair);
}

/* Writing to a peer that is gone: the status says so, on_fail follows once, and nothing kills the process. */
static void test_write_to_closed(void **state) {
    struct pair pair;
    pair_open(&pair, state);
    peer_reset(pair.peer);
    pair.peer = -1;
    assert_int_equal(write_text(pair.owner.stream, "a"), WEIR_ECLOSED);
    assert_int_equal(pair.owner.fails, 0);
    assert_int_equal(write_text(pair.owner.stream, "b"), WEIR_ECLOSED);
    run_until(pair.fixture, &pair.owner.failed);
    run_turns(pair.fixture, 3);
    assert_int_equal(pair.owner.fails, 1);
    pair_close(&pair);
}

/* Who waits for a drain that cannot come is told. */
static void test_reset_while_pending(void **state) {
    struct pair pair;
    pair_open(&pair, state);
    char *block = test_calloc(1, 16 * 1024 * 1024);
    struct weir_span span = weir_span_of(block, 16 * 1024 * 1024);
    assert_int_equal(weir_stream_write(pair.owner.stream, &span, 1), WEIR_OK);
    assert_true(weir_stream_pending_bytes(pair.owner.stream) > 0);
    run_turns(pair.fixture, 2);
    peer_reset(pair.peer);
    pair.peer = -1;
    run_until(pair.fixture, &pair.owner.failed);
    assert_int_equal(pair.owner.drains, 0);
    test_free(block);
    pair_close(&pair);
}

static void test_reset_is_seen(void **state) {
    struct pair pair;
    pair_open(&pair, state);
    assert_int_equal(write_text(pair.owner.stream, "half"), WEIR_OK);
    weir_stream_reset(&pair.owner.stream);
    assert_null(pair.owner.stream);
    char bytes[16];
    ssize_t got = peer_read(pair.peer, bytes, sizeof bytes);
    got = got > 0 ? peer_read(pair.peer, bytes, sizeof bytes) : got;
    assert_int_equal(got, -1);
    assert_int_equal(errno, ECONNRESET);
    pair_close(&pair);
}

static void test_close_within_callbacks(void **state) {
    struct pair pair;
    pair_open(&pair, state);
    pair.owner.close_on_data = true;
    weir_stream_read_start(pair.owner.stream);
    assert_int_equal(send(pair.peer, "bye", 3, 0), 3);
    assert_int_equal(shutdown(pair.peer, SHUT_WR), 0);
    run_until(pair.fixture, &pair.owner.got_data);
    run_turns(pair.fixture, 3);
    assert_int_equal(pair.owner.ends, 0);
    pair_close(&pair);

    pair_open(&pair, state);
    pair.owner.close_on_end = true;
    weir_stream_read_start(pair.owner.stream);
    assert_int_equal(shutdown(pair.peer, SHUT_WR), 0);
    run_until(pair.fixture, &pair.owner.ended);
    pair_close(&pair);
}

/* No callbacks, no harm. */
static void test_null_events(void **state) {
    struct pair pair;
    pair_open(&pair, state);
    weir_stream_own(pair.owner.stream, NULL, NULL);
    weir_stream_read_start(pair.owner.stream);
    assert_int_equal(send(pair.peer, "dropped", 7, 0), 7);
    run_for_ms(pair.fixture, 10);
    assert_int_equal(weir_stream_bytes_read(pair.owner.stream), 7);
    peer_reset(pair.peer);
    pair.peer = -1;
    run_for_ms(pair.fixture, 10);
    pair_close(&pair);
}

/* The peer sends on while the answer is on its way: it gets all of it, then the end, and no reset. */
static void test_close_gently(void **state) {
    enum { SIZE = 8 * 1024 * 1024 };
    struct pair pair;
    pair_open(&pair, state);
    char *block = test_calloc(1, SIZE);
    struct weir_span span = weir_span_of(block, SIZE);
    assert_int_equal(weir_stream_write(pair.owner.stream, &span, 1), WEIR_OK);
    weir_stream_close_gently(&pair.owner.stream, PATIENCE_MS);
    assert_null(pair.owner.stream);
    assert_int_equal(fcntl(pair.peer, F_SETFL, O_NONBLOCK), 0);
    size_t got = 0;
    ssize_t count = -1;
    weir_timer_start(pair.fixture->loop, &pair.fixture->guard, PATIENCE_MS, on_guard, pair.fixture);
    while (count != 0 && !pair.fixture->expired) {
        (void)send(pair.peer, "unasked", 7, MSG_NOSIGNAL);
        count = recv(pair.peer, block, SIZE, 0);
        assert_true(count >= 0 || errno == EAGAIN);
        got += count > 0 ? (size_t)count : 0;
        (void)weir_loop_run_once(pair.fixture->loop);
    }
    weir_timer_stop(&pair.fixture->guard);
    assert_int_equal(got, SIZE);
    assert_int_equal(count, 0);
    test_free(block);
    pair_close(&pair);
}

/* A peer that takes nothing does not keep the stream for ever, and sees that the answer was cut. */
static void test_close_gently_gives_up(void **state) {
    enum { SIZE = 16 * 1024 * 1024 };
    struct pair pair;
    pair_open(&pair, state);
    char *block = test_calloc(1, SIZE);
    struct weir_span span = weir_span_of(block, SIZE);
    assert_int_equal(weir_stream_write(pair.owner.stream, &span, 1), WEIR_OK);
    weir_stream_close_gently(&pair.owner.stream, 30);
    run_for_ms(pair.fixture, 80);
    ssize_t count;
    do {
        count = peer_read(pair.peer, block, SIZE);
    } while (count > 0);
    assert_int_equal(count, -1);
    assert_int_equal(errno, ECONNRESET);
    test_free(block);
    pair_close(&pair);
}

/* A stream that is left open is no leak when it is closed before any turn. */
static void test_close_without_turn(void **state) {
    struct pair pair;
    pair_open(&pair, state);
    assert_int_equal(write_text(pair.owner.stream, "x"), WEIR_OK);
    weir_stream_close(&pair.owner.stream);
    weir_stream_close(&pair.owner.stream);
    weir_stream_reset(&pair.owner.stream);
    weir_stream_close_gently(&pair.owner.stream, 1);
    pair_close(&pair);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_echo, setup, teardown),
        cmocka_unit_test_setup_teardown(test_parts_in_order, setup, teardown),
        cmocka_unit_test_setup_teardown(test_back_pressure, setup, teardown),
        cmocka_unit_test_setup_teardown(test_read_stop, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stop_within_callback, setup, teardown),
        cmocka_unit_test_setup_teardown(test_half_close, setup, teardown),
        cmocka_unit_test_setup_teardown(test_end_while_stopped, setup, teardown),
        cmocka_unit_test_setup_teardown(test_end_while_stopped_waits_for_data, setup, teardown),
        cmocka_unit_test_setup_teardown(test_peer_resets, setup, teardown),
        cmocka_unit_test_setup_teardown(test_peer_resets_while_stopped, setup, teardown),
        cmocka_unit_test_setup_teardown(test_peer_resets_after_end, setup, teardown),
        cmocka_unit_test_setup_teardown(test_data_before_reset, setup, teardown),
        cmocka_unit_test_setup_teardown(test_write_to_closed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_reset_while_pending, setup, teardown),
        cmocka_unit_test_setup_teardown(test_reset_is_seen, setup, teardown),
        cmocka_unit_test_setup_teardown(test_close_within_callbacks, setup, teardown),
        cmocka_unit_test_setup_teardown(test_null_events, setup, teardown),
        cmocka_unit_test_setup_teardown(test_close_gently, setup, teardown),
        cmocka_unit_test_setup_teardown(test_close_gently_gives_up, setup, teardown),
        cmocka_unit_test_setup_teardown(test_close_without_turn, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
