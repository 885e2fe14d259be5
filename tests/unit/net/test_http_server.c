/* The server's end of HTTP/1.1 connections, over loopback: what a client sees of pipelining, limits, timeouts, refusals and
 * endings, and what a handler is told. */
#include "http_server_support.h"

/* --- one after the other --- */

static void test_keep_alive(void **state) {
    for (enum moment moment = AT_REQUEST; moment <= LATER; moment++) {
        struct scene *scene = scene_open(state, &usual, moment);
        struct client client;
        client_open(&client, scene);
        for (int i = 0; i < 3; i++) {
            client_say(&client, GET("/one"));
            client_expect(&client, OK "Content-Length: 5\r\n\r\n/one=");
        }
        assert_int_equal(weir_http_server_connections(scene->server), 1);
        client_close(&client);
        wait_for(scene, has_none);
        assert_int_equal(scene->count, 3);
        assert_int_equal(scene->gone, 0);
        scene_close(scene);
    }
}

static const char pipeline[] = GET(
    "/a") "POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
          "POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nfoo\r\n2\r\nba\r\n0\r\n\r\n"
          "POST /d HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n" GET("/e");
static const char pipeline_answers[] = OK "Content-Length: 3\r\n\r\n/a=" OK "Content-Length: 8\r\n\r\n/b=hello" OK
                                          "Content-Length: 8\r\n\r\n/c=fooba" OK "Content-Length: 3\r\n\r\n/d=" OK
                                          "Content-Length: 3\r\n\r\n/e=";

/* Sends the pipeline in two parts, or byte by byte (`split` 0), and compares every byte of the answers. */
static void check_pipeline(struct scene *scene, size_t split) {
    struct client client;
    client_open(&client, scene);
    const size_t length = sizeof pipeline - 1;
    if (split == 0) {
        for (size_t i = 0; i < length; i++) {
            client_send(&client, pipeline + i, 1);
            run_turns(scene->fixture, 2);
        }
    } else {
        client_send(&client, pipeline, split);
        run_turns(scene->fixture, 4);
        client_send(&client, pipeline + split, length - split);
    }
    client_expect(&client, "/e=");
    assert_int_equal(scene->count, 5);
    assert_int_equal(scene->refusals, 0);
    client_close(&client);
    wait_for(scene, has_none);
    forget_requests(scene);
}

static void test_pipelining(void **state) {
    static const enum moment moments[] = {AT_COMPLETE, LATER};
    for (size_t i = 0; i < sizeof moments / sizeof *moments; i++) {
        struct scene *scene = scene_open(state, &usual, moments[i]);
        for (size_t split = 0; split < sizeof pipeline; split += moments[i] == LATER ? 9 : 1) {
            check_pipeline(scene, split);
        }
        struct client client;
        client_open(&client, scene);
        client_say(&client, pipeline);
        client_expect(&client, pipeline_answers);
        assert_int_equal(client.got.length, 0);
        client_close(&client);
        scene_close(scene);
    }
}

/* Answered before the body has come: the short rest is dropped and the next request is found all the same. A chunked body has no known
 * end, so its request ends the connection. */
static void test_pipelining_answered_early(void **state) {
    static const char text[] = "POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello" GET("/e");
    static const enum moment moments[] = {AT_REQUEST, AT_FIRST_BODY};
    for (size_t i = 0; i < sizeof moments / sizeof *moments; i++) {
        struct scene *scene = scene_open(state, &usual, moments[i]);
        for (size_t split = 1; split < sizeof text - 1; split++) {
            struct client client;
            client_open(&client, scene);
            client_send(&client, text, split);
            run_turns(scene->fixture, 4);
            client_send(&client, text + split, sizeof text - 1 - split);
            client_expect(&client, "/b=");
            client_expect(&client, "/e=");
            client_close(&client);
            wait_for(scene, has_none);
            assert_int_equal(scene->count, 2);
            forget_requests(scene);
        }
        scene_close(scene);
    }
}

/* An answer that is finished outside of the reading of its request lets the next one begin in the same turn: a client that
 * pipelines is not served slower than one that waits. */
static void test_pipelining_waits_for_no_timer(void **state) {
    enum { ASKED = 100 };
    struct scene *scene = scene_open(state, &usual, BY_HAND);
    struct client client;
    client_open(&client, scene);
    for (int i = 0; i < ASKED; i++) {
        client_say(&client, GET("/x"));
    }
    wait_for(scene, has_complete_request);
    for (size_t i = 0; i < ASKED; i++) {
        assert_int_equal(scene->count, i + 1);
        answer(&scene->requests[i]);
        assert_int_equal(scene->count, i + 1); /* nothing begins within the call: a long pipeline must not recurse */
        (void)weir_loop_run_once(scene->fixture->loop);
    }
    for (int i = 0; i < ASKED; i++) {
        client_expect(&client, OK "Content-Length: 3\r\n\r\n/x=");
    }
    assert_int_equal(scene->count, ASKED);
    client_close(&client);
    scene_close(scene);
}

/* More comes, and the client leaves, while the next request waits for the end of the turn. */
static void test_pipelining_while_the_next_request_waits(void **state) {
    for (unsigned leaves = 0; leaves < 2; leaves++) {
        struct scene *scene = scene_open(state, &usual, BY_HAND);
        struct client client;
        client_open(&client, scene);
        client_say(&client, GET("/x") GET("/y"));
        wait_for(scene, has_complete_request);
        client_say(&client, GET("/z"));
        if (leaves == 1) {
            peer_reset(client.fd);
            client.fd = -1;
        }
        scene->moment = AT_COMPLETE;
        answer(&scene->requests[0]);
        if (leaves == 0) {
            client_expect(&client, "/x=");
            client_expect(&client, "/y=");
            client_expect(&client, "/z=");
            assert_int_equal(scene->count, 3);
        } else {
            wait_for(scene, has_none);
        }
        client_close(&client);
        scene_close(scene);
    }
}

static void test_keep_alive_limit(void **state) {
    struct weir_http_server_settings settings = usual;
    settings.keep_alive_requests = 3;
    for (enum moment moment = AT_REQUEST; moment <= LATER; moment++) {
        struct scene *scene = scene_open(state, &settings, moment);
        struct client client;
        client_open(&client, scene);
        client_say(&client, GET("/1") GET("/2") GET("/3") GET("/4") GET("/5"));
        client_expect(&client, OK "Content-Length: 3\r\n\r\n/1=" OK "Content-Length: 3\r\n\r\n/2=" OK
                                  "Connection: close\r\nContent-Length: 3\r\n\r\n/3=");
        client_expect_end(&client);
        assert_int_equal(scene->count, 3);
        client_close(&client);
        scene_close(scene);
    }
}

static void test_client_asks_to_close(void **state) {
    static const char *const heads[] = {"GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
                                        "GET /x HTTP/1.0\r\n\r\n"};
    for (size_t i = 0; i < 2; i++) {
        struct scene *scene = scene_open(state, &usual, LATER);
        struct client client;
        client_open(&client, scene);
        client_say(&client, heads[i]);
        client_expect(&client, OK "Connection: close\r\nContent-Length: 3\r\n\r\n/x=");
        client_expect_end(&client);
        client_close(&client);
        scene_close(scene);
    }
}

/* An answer without a length ends with its connection, whatever the client asked for. */
static void test_answer_without_length(void **state) {
    struct scene *scene = scene_open(state, &usual, LATER);
    struct client client;
    scene->ends_by_close = true;
    client_open(&client, scene);
    client_say(&client, "GET /x HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    client_expect(&client, OK "Connection: close\r\n\r\n/x=");
    client_expect_end(&client);
    client_close(&client);
    scene_close(scene);
}

static void test_head_has_no_body(void **state) {
    struct scene *scene = scene_open(state, &usual, AT_COMPLETE);
    struct client client;
    client_open(&client, scene);
    client_say(&client, "HEAD /x HTTP/1.1\r\nHost: a\r\n\r\n" GET("/y"));
    client_expect(&client, OK "Content-Length: 3\r\n\r\n" OK "Content-Length: 3\r\n\r\n/y=");
    client_close(&client);
    scene_close(scene);
}

/* --- bodies that nobody wants --- */

static void expect_early_answer(struct scene *scene, const char *head, bool close) {
    struct client client;
    client_open(&client, scene);
    client_say(&client, head);
    client_expect(&client,
                  close ? OK "Connection: close\r\nContent-Length: 3\r\n\r\n/x=" : OK "Content-Length: 3\r\n\r\n/x=");
    if (close) {
        client_expect_end(&client);
    }
    client_close(&client);
    wait_for(scene, has_none);
    forget_requests(scene);
}

static void test_unread_bodies(void **state) {
    struct scene *scene = scene_open(state, &usual, AT_REQUEST);
    expect_early_answer(scene, "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 65536\r\n\r\nstart", false);
    expect_early_answer(scene, "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 65537\r\n\r\nstart", true);
    expect_early_answer(scene, "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000000000\r\n\r\n", true);
    expect_early_answer(scene, "POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", true);
    /* It may never send the body that it was not asked for. */
    expect_early_answer(scene, "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n",
                        true);
    scene_close(scene);
}

/* The client has not read the answer yet and goes on sending: it must not be reset before it has. */
static void test_refusal_arrives_although_the_client_sends_on(void **state) {
    struct scene *scene = scene_open(state, &usual, AT_REQUEST);
    struct client client;
    char piece[16384];
    memset(piece, 'x', sizeof piece);
    client_open(&client, scene);
    client_say(&client, "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n");
    for (int i = 0; i < 64; i++) {
        client_send(&client, piece, sizeof piece);
        run_turns(scene->fixture, 2);
    }
    client_expect(&client, OK "Connection: close\r\nContent-Length: 3\r\n\r\n/x=");
    client_expect_end(&client);
    client_close(&client);
    scene_close(scene);
}

/* --- Expect: 100-continue --- */

static void test_continue(void **state) {
    struct scene *scene = scene_open(state, &usual, AT_COMPLETE);
    struct client client;
    scene->says_continue = true;
    client_open(&client, scene);
    for (int i = 0; i < 2; i++) {
        client_say(&client, "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
        client_expect(&client, "HTTP/1.1 100 Continue\r\n\r\n");
        assert_int_equal(client.got.length, 0);
        client_say(&client, "abc");
        client_expect(&client, OK "Content-Length: 6\r\n\r\n/x=abc");
    }
    /* Nobody waits for it: it is not said. HTTP/1.0 does not know it. */
    client_say(&client, "POST /y HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc");
    client_expect(&client, OK "Content-Length: 6\r\n\r\n/y=abc");
    client_say(&client, "POST /z HTTP/1.0\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
    run_turns(scene->fixture, 5);
    client_say(&client, "abc");
    client_expect(&client, OK "Connection: close\r\nContent-Length: 6\r\n\r\n/z=abc");
    assert_false(client_has(&client, "100 Continue"));
    client_close(&client);
    scene_close(scene);
}

/* --- what is no request --- */

static void test_refused(void **state) {
    static const struct {
        const char *text;
        enum weir_reason reason;
    } rows[] = {{"\x16\x03\x01\x02", WEIR_REASON_REQUEST_MALFORMED},
                {"GET / HTTP/1.1\r\n\r\n", WEIR_REASON_REQUEST_MALFORMED},
                {"GET / HTTP/1.1\nHost: a\n\n", WEIR_REASON_REQUEST_MALFORMED},
                {"GET / HTTP/1.1\r\nHost: a\r\nExpect: magic\r\n\r\n", WEIR_REASON_EXPECTATION_UNKNOWN}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        for (int second = 0; second < 2; second++) {
            struct scene *scene = scene_open(state, &usual, AT_COMPLETE);
            struct client client;
            char expected[100];
            client_open(&client, scene);
            if (second) {
                client_say(&client, GET("/first"));
            }
            client_say(&client, rows[i].text);
            if (second) {
                client_expect(&client, OK "Content-Length: 7\r\n\r\n/first=");
            }
            (void)snprintf(expected, sizeof expected, "refused-%d=", (int)rows[i].reason);
            client_expect(&client, OK "Connection: close\r\n");
            client_expect(&client, expected);
            client_expect_end(&client);
            assert_int_equal(scene->refusals, 1);
            assert_int_equal(scene->refused, rows[i].reason);
            assert_true(scene->problem[0] != '\0');
            client_close(&client);
            wait_for(scene, has_none);
            scene_close(scene);
        }
    }
}

static void test_refused_without_an_answer(void **state) {
    struct scene *scene = scene_open(state, &usual, AT_COMPLETE);
    struct client client;
    scene->refuses_silently = true;
    client_open(&client, scene);
    client_say(&client, "nonsense");
    client_expect_end(&client);
    client_close(&client);
    scene_close(scene);
}

/* A body that breaks: the open request is told, may answer, and the connection ends. */
static void test_broken_body(void **state) {
    struct scene *scene = scene_open(state, &usual, AT_COMPLETE);
    struct client client;
    char expected[100];
    client_open(&client, scene);
    client_say(&client, "POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n");
    (void)snprintf(expected, sizeof expected, "gone-%d=", (int)WEIR_REASON_REQUEST_MALFORMED);
    client_expect(&client, OK "Connection: close\r\n");
    client_expect(&client, expected);
    client_expect_end(&client);
    assert_int_equal(scene->gone, 1);
    assert_int_equal(scene->refusals, 0);
    client_close(&client);
    scene_close(scene);
}

/* --- time --- */

static void test_head_timeout(void **state) {
    struct weir_http_server_settings settings = usual;
    settings.head_timeout_ms = 50;
    for (int second = 0; second < 2; second++) {
        struct scene *scene = scene_open(state, &settings, AT_COMPLETE);
        struct client client;
        client_open(&client, scene);
        if (second) {
            client_say(&client, GET("/first"));
            client_expect(&client, "/first=");
        }
        /* It counts from the first byte; more bytes do not help. */
        for (int i = 0; i < 4; i++) {
            client_say(&client, &"GET "[i]);
            run_for_ms(scene->fixture, 5);
        }
        client_expect(&client, OK "Connection: close\r\n");
        client_expect(&client, "refused-");
        assert_int_equal(scene->refused, WEIR_REASON_REQUEST_TIMEOUT);
        client_read_all(&client);
        assert_true(client.ended);
        client_close(&client);
        scene_close(scene);
    }
}

static void test_body_timeout(void **state) {
    struct weir_http_server_settings settings = usual;
    settings.body_timeout_ms = 60;
    struct scene *scene = scene_open(state, &settings, AT_COMPLETE);
    struct client client;
    char expected[100];
    client_open(&client, scene);
    client_say(&client, "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 20\r\n\r\n");
    /* Each piece starts it anew. */
    for (int i = 0; i < 6; i++) {
        run_for_ms(scene->fixture, 20);
        client_say(&client, "a");
    }
    assert_int_equal(scene->gone, 0);
    (void)snprintf(expected, sizeof expected, "gone-%d=aaaaaa", (int)WEIR_REASON_REQUEST_TIMEOUT);
    client_expect(&client, OK "Connection: close\r\n");
    client_expect(&client, expected);
    client_expect_end(&client);
    client_close(&client);
    scene_close(scene);
}

static void test_idle_timeout(void **state) {
    struct weir_http_server_settings settings = usual;
    settings.keep_alive_timeout_ms = 30;
    struct scene *scene = scene_open(state, &settings, AT_COMPLETE);
    struct client client;
    client_open(&client, scene);
    client_say(&client, GET("/x"));
    client_expect(&client, "/x=");
    client_expect_end(&client);
    assert_int_equal(scene->refusals, 0);
    client_close(&client);
    scene_close(scene);
}

/* An answer that takes long is not an idle connection. */
static void test_no_timeout_while_answering(void **state) {
    struct weir_http_server_settings settings = {.head_timeout_ms = 20,
                                                 .body_timeout_ms = 20,
                                                 .keep_alive_timeout_ms = 20,
                                                 .max_connections = 1};
    struct scene *scene = scene_open(state, &settings, BY_HAND);
    struct client client;
    client_open(&client, scene);
    client_say(&client, GET("/x"));
    wait_for(scene, has_complete_request);
    run_for_ms(scene->fixture, 100);
    answer(&scene->requests[0]);
    client_expect(&client, "/x=");
    client_close(&client);
    scene_close(scene);
}

/* The rest of a body that is dropped does not come: the connection ends, without a word. */
static void test_discard_timeout(void **state) {
    struct weir_http_server_settings settings = usual;
    settings.body_timeout_ms = 30;
    struct scene *scene = scene_open(state, &settings, AT_REQUEST);
    struct client client;
    client_open(&client, scene);
    client_say(&client, "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 20\r\n\r\nabc");
    client_expect(&client, "/x=");
    client_expect_end(&client);
    client_close(&client);
    scene_close(scene);
}

static void test_new_settings_count_at_once(void **state) {
    struct weir_http_server_settings settings = usual;
    struct scene *scene = scene_open(state, &settings, AT_COMPLETE);
    struct client client;
    client_open(&client, scene);
    client_say(&client, GET("/x"));
    client_expect(&client, "/x=");
    settings.keep_alive_requests = 2;
    weir_http_server_configure(scene->server, &settings);
    client_say(&client, GET("/y"));
    client_expect(&client, OK "Connection: close\r\nContent-Length: 3\r\n\r\n/y=");
    client_expect_end(&client);
    client_close(&client);
    scene_close(scene);
}

/* --- the client leaves --- */

static void test_client_resets(void **state) {
    struct scene *scene = scene_open(state, &usual, BY_HAND);
    struct client client;
    client_open(&client, scene);
    client_say(&client, GET("/x"));
    wait_for(scene, has_complete_request);
    peer_reset(client.fd);
    client.fd = -1;
    wait_for(scene, has_gone);
    assert_int_equal(scene->gone, 1);
    assert_int_equal(scene->requests[0].reason, WEIR_REASON_CLIENT_CLOSED);
    assert_int_equal(weir_http_server_connections(scene->server), 0);
    client_close(&client);
    scene_close(scene);
}

/* In the middle of a large answer that it does not read, and with pipelined bytes that nobody has read. */
static void test_client_resets_while_it_is_written_to(void **state) {
    struct scene *scene = scene_open(state, &usual, BY_HAND);
    struct client client;
    static char piece[1024 * 1024];
    client_open(&client, scene);
    client_say(&client, GET("/x") "GET /y HTTP/1.1\r\n");
    wait_for(scene, has_complete_request);
    const struct weir_span part = weir_span_of(piece, sizeof piece);
    for (int i = 0; i < 16; i++) {
        assert_int_equal(weir_http_connection_write(scene->requests[0].connection, &part, 1), WEIR_OK);
    }
    assert_true(weir_http_connection_pending_bytes(scene->requests[0].connection) > 0);
    peer_reset(client.fd);
    client.fd = -1;
    wait_for(scene, has_gone);
    assert_int_equal(scene->gone, 1);
    assert_int_equal(scene->requests[0].drains, 0);
    client_close(&client);
    scene_close(scene);
}

static void test_client_ends_its_side_while_we_answer(void **state) {
    static const char *const texts[] = {GET("/x"), "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc"};
    for (size_t i = 0; i < 2; i++) {
        struct scene *scene = scene_open(state, &usual, BY_HAND);
        struct client client;
        client_open(&client, scene);
        client_say(&client, texts[i]);
        wait_for(scene, has_request);
        shutdown(client.fd, SHUT_WR);
        wait_for(scene, has_gone);
        assert_int_equal(scene->requests[0].reason, WEIR_REASON_CLIENT_CLOSED);
        client_read_all(&client);
        assert_true(client.ended || client.was_reset);
        client_close(&client);
        scene_close(scene);
    }
}

/* Asked, ended its side, and the answer was finished: it gets all of it, also what the system has not taken yet. */
static void test_client_ends_its_side_after_the_answer(void **state) {
    struct scene *scene = scene_open(state, &usual, AT_COMPLETE);
    struct client client;
    scene->pad_bytes = 16 * WEIR_MIB;
    client_open(&client, scene);
    client_say(&client, GET("/x"));
    shutdown(client.fd, SHUT_WR);
    run_for_ms(scene->fixture, 20);
    client_read_all(&client);
    assert_true(client.ended);
    assert_true(client.got.length > scene->pad_bytes);
    client_close(&client);
    scene_close(scene);
}

static void test_client_ends_its_side_in_a_head(void **state) {
    struct scene *scene = scene_open(state, &usual, AT_COMPLETE);
    struct client client;
    client_open(&client, scene);
    client_say(&client, "GET / HTTP/1.1\r\nHo");
    shutdown(client.fd, SHUT_WR);
    client_expect_end(&client);
    assert_int_equal(scene->count, 0);
    client_close(&client);
    scene_close(scene);
}

/* --- slow readers --- */

static void open_and_ask(struct scene *scene, struct client *client) {
    client_open(client, scene);
    client_say(client, GET("/x"));
    wait_for(scene, has_complete_request);
}

static void test_drain_is_told(void **state) {
    struct scene *scene = scene_open(state, &usual, BY_HAND);
    struct client client;
    static char piece[8 * 1024 * 1024];
    open_and_ask(scene, &client);
    const struct weir_span part = weir_span_of(piece, sizeof piece);
    assert_int_equal(weir_http_connection_write(scene->requests[0].connection, &part, 1), WEIR_OK);
    assert_true(weir_http_connection_pending_bytes(scene->requests[0].connection) > 0);
    while (scene->requests[0].drains == 0) {
        (void)client_step(&client, true);
    }
    assert_int_equal(weir_http_connection_pending_bytes(scene->requests[0].connection), 0);
    weir_http_connection_finish(scene->requests[0].connection);
    scene->requests[0].connection = NULL;
    client_close(&client);
    scene_close(scene);
}

/* A whole answer on a connection that closes: however slowly it is read, it arrives, as long as it is read at all. */
static void test_slow_reader_gets_all_before_the_close(void **state) {
    struct scene *scene = scene_open(state, &usual, AT_COMPLETE);
    struct client client;
    scene->pad_bytes = 16 * WEIR_MIB;
    client_open(&client, scene);
    client_say(&client, "GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    run_for_ms(scene->fixture, 2500);
    client_read_all(&client);
    assert_false(client.was_reset);
    assert_true(client.ended);
    assert_true(client.got.length > scene->pad_bytes);
    client_close(&client);
    wait_for(scene, has_none);
    scene_close(scene);
}

/* Who reads nothing at all is given up, with a reset: what was cut must not look whole. */
static void test_reader_of_nothing_is_given_up(void **state) {
    struct weir_http_server_settings settings = usual;
    settings.body_timeout_ms = 50;
    struct scene *scene = scene_open(state, &settings, AT_COMPLETE);
    struct client client;
    scene->pad_bytes = 16 * WEIR_MIB;
    client_open(&client, scene);
    client_say(&client, "GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    wait_for(scene, has_complete_request);
    wait_for(scene, has_none);
    client_read_all(&client);
    assert_true(client.was_reset);
    assert_true(client.got.length < scene->pad_bytes);
    client_close(&client);
    scene_close(scene);
}

/* Who asks again and again and reads nothing is not answered without end. */
static void test_pipelining_without_reading(void **state) {
    enum { ASKED = 200, HEAD_BYTES = sizeof OK "Content-Length: 131075\r\n\r\n/x=" - 1 };
    struct scene *scene = scene_open(state, &usual, AT_COMPLETE);
    struct client client;
    scene->pad_bytes = 128 * WEIR_KIB;
    client_open(&client, scene);
    for (int i = 0; i < ASKED; i++) {
        client_say(&client, GET("/x"));
    }
    run_for_ms(scene->fixture, 50);
    size_t begun = scene->count;
    assert_true(begun < ASKED);
    run_for_ms(scene->fixture, 20);
    assert_int_equal(scene->count, begun);
    while (client.got.length < ASKED * (HEAD_BYTES + scene->pad_bytes) && !client.ended && !client.was_reset) {
        (void)client_step(&client, true);
    }
    run_turns(scene->fixture, 5);
    (void)client_step(&client, true);
    assert_int_equal(client.got.length, ASKED * (HEAD_BYTES + scene->pad_bytes));
    assert_int_equal(scene->count, ASKED);
    client_close(&client);
    scene_close(scene);
}

/* Nor is it kept for ever: its next request waits, and the time of an unused connection runs. */
static void test_pipelining_without_reading_is_given_up(void **state) {
    struct weir_http_server_settings settings = usual;
    settings.keep_alive_timeout_ms = 50;
    settings.body_timeout_ms = 50;
    for (enum moment moment = AT_COMPLETE; moment <= LATER; moment++) {
        struct scene *scene = scene_open(state, &settings, moment);
        struct client client;
        scene->pad_bytes = 8 * WEIR_MIB;
        client_open(&client, scene);
        client_say(&client, GET("/x") GET("/y") GET("/z"));
        wait_for(scene, has_complete_request);
        wait_for(scene, has_none);
        assert_true(scene->count < 3);
        client_read_all(&client);
        assert_true(client.was_reset);
        client_close(&client);
        scene_close(scene);
    }
}

/* What is pipelined behind a long request is kept only up to a bound: the rest stays with the client, and comes later. */
static void test_pipelined_bytes_are_bounded(void **state) {
    enum { BODY_BYTES = 60000, MOST_PIECES = 1000 };
    static char piece[BODY_BYTES + 100];
    struct scene *scene = scene_open(state, &usual, BY_HAND);
    struct client client;
    int head = snprintf(piece, 100, "POST /y HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", BODY_BYTES);
    size_t length = (size_t)head + BODY_BYTES;
    size_t sent = 0;
    memset(piece + head, 'b', BODY_BYTES);
    client_open(&client, scene);
    client_say(&client, GET("/x"));
    wait_for(scene, has_complete_request);
    for (int refused = 0; refused < 50 && sent < MOST_PIECES * length;) {
        ssize_t count = send(client.fd, piece + sent % length, length - sent % length, MSG_DONTWAIT | MSG_NOSIGNAL);
        sent += count > 0 ? (size_t)count : 0;
        refused = count > 0 ? 0 : refused + 1;
        (void)client_step(&client, false);
    }
    assert_true(sent < MOST_PIECES * length);
    assert_int_equal(scene->count, 1);
    scene->moment = AT_COMPLETE;
    answer(&scene->requests[0]);
    size_t pieces = (sent + length - 1) / length;
    while (scene->count < pieces + 1 || !has_complete_request(scene)) {
        if (sent < pieces * length) {
            ssize_t count = send(client.fd, piece + sent % length, length - sent % length, MSG_DONTWAIT | MSG_NOSIGNAL);
            sent += count > 0 ? (size_t)count : 0;
        }
        (void)client_step(&client, true);
        assert_false(client.ended || client.was_reset);
    }
    client_expect(&client, "/x=");
    for (size_t i = 0; i < pieces; i++) {
        client_expect(&client, "/y=bbb");
    }
    client_close(&client);
    scene_close(scene);
}

/* --- the server's own endings --- */

static void test_max_connections(void **state) {
    struct weir_http_server_settings settings = usual;
    settings.max_connections = 2;
    struct scene *scene = scene_open(state, &settings, AT_COMPLETE);
    struct client clients[3];
    for (int i = 0; i < 2; i++) {
        client_open(&clients[i], scene);
        client_say(&clients[i], GET("/x"));
        client_expect(&clients[i], "/x=");
    }
    client_open(&clients[2], scene);
    client_read_all(&clients[2]);
    assert_true(clients[2].ended || clients[2].was_reset);
    assert_int_equal(weir_http_server_connections(scene->server), 2);
    client_close(&clients[2]);
    client_close(&clients[0]);
    run_for_ms(scene->fixture, 10);
    client_open(&clients[2], scene);
    client_say(&clients[2], GET("/z"));
    client_expect(&clients[2], "/z=");
    client_close(&clients[1]);
    client_close(&clients[2]);
    scene_close(scene);
}

static void test_drain(void **state) {
    struct scene *scene = scene_open(state, &usual, BY_HAND);
    struct client idle, busy, late, half;
    scene->moment = AT_REQUEST;
    client_open(&idle, scene);
    client_say(&idle, GET("/idle"));
    client_expect(&idle, OK "Content-Length: 6\r\n\r\n/idle=");
    client_open(&half, scene);
    client_say(&half, "POST /half HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc");
    client_expect(&half, OK "Content-Length: 6\r\n\r\n/half=");
    scene->moment = BY_HAND;
    client_open(&busy, scene);
    client_say(&busy, GET("/busy"));
    wait_for(scene, has_complete_request);
    /* One that was opened before and has asked nothing yet is about to: it gets its answer. */
    client_open(&late, scene);
    run_for_ms(scene->fixture, 50);
    weir_http_server_drain(scene->server);
    client_expect_end(&idle);
    client_say(&late, GET("/late"));
    while (scene->count < 4 || !has_complete_request(scene)) {
        (void)client_step(&late, true);
    }
    answer(&scene->requests[3]);
    client_expect(&late, OK "Connection: close\r\nContent-Length: 6\r\n\r\n/late=");
    client_expect_end(&late);
    answer(&scene->requests[2]);
    client_expect(&busy, OK "Connection: close\r\nContent-Length: 6\r\n\r\n/busy=");
    client_expect_end(&busy);
    /* One whose last body was still to be dropped ends behind it. */
    client_say(&half, "def");
    client_expect_end(&half);
    client_close(&idle);
    client_close(&busy);
    client_close(&late);
    client_close(&half);
    wait_for(scene, has_none);
    scene_close(scene);
}

/* A drain does not cut what is still on its way. */
static void test_drain_waits_for_unsent_bytes(void **state) {
    struct scene *scene = scene_open(state, &usual, AT_COMPLETE);
    struct client client;
    scene->pad_bytes = 16 * WEIR_MIB;
    client_open(&client, scene);
    client_say(&client, GET("/x"));
    wait_for(scene, has_complete_request);
    weir_http_server_drain(scene->server);
    assert_int_equal(weir_http_server_unsent(scene->server), 1);
    client_read_all(&client);
    assert_true(client.ended);
    assert_true(client.got.length > scene->pad_bytes);
    assert_int_equal(weir_http_server_unsent(scene->server), 0);
    client_close(&client);
    scene_close(scene);
}

static void test_abort_is_a_reset(void **state) {
    struct scene *scene = scene_open(state, &usual, BY_HAND);
    struct client client;
    open_and_ask(scene, &client);
    const struct weir_span part = WEIR_SPAN("HTTP/1.0 200 OK\r\n\r\npart");
    assert_int_equal(weir_http_connection_write(scene->requests[0].connection, &part, 1), WEIR_OK);
    weir_http_connection_abort(scene->requests[0].connection);
    client_read_all(&client);
    assert_true(client.was_reset);
    assert_int_equal(scene->gone, 0);
    client_close(&client);
    scene_close(scene);
}

static void test_free_tells_open_requests(void **state) {
    struct scene *scene = scene_open(state, &usual, BY_HAND);
    struct client clients[3];
    client_open(&clients[0], scene);
    client_open(&clients[1], scene);
    client_open(&clients[2], scene);
    client_say(&clients[0], GET("/x"));
    client_say(&clients[1], "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc");
    client_say(&clients[2], "GET /");
    while (scene->count < 2) {
        (void)client_step(&clients[0], true);
    }
    weir_http_server_free(&scene->server);
    assert_int_equal(scene->gone, 2);
    assert_int_equal(scene->requests[0].reason, WEIR_REASON_CLIENT_CLOSED);
    for (int i = 0; i < 3; i++) {
        client_read_all(&clients[i]);
        assert_true(clients[i].ended || clients[i].was_reset);
        client_close(&clients[i]);
    }
    scene_close(scene);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_keep_alive),
        TEST(test_pipelining),
        TEST(test_pipelining_answered_early),
        TEST(test_pipelining_waits_for_no_timer),
        TEST(test_pipelining_while_the_next_request_waits),
        TEST(test_keep_alive_limit),
        TEST(test_client_asks_to_close),
        TEST(test_answer_without_length),
        TEST(test_head_has_no_body),
        TEST(test_unread_bodies),
        TEST(test_refusal_arrives_although_the_client_sends_on),
        TEST(test_continue),
        TEST(test_refused),
        TEST(test_refused_without_an_answer),
        TEST(test_broken_body),
        TEST(test_head_timeout),
        TEST(test_body_timeout),
        TEST(test_idle_timeout),
        TEST(test_no_timeout_while_answering),
        TEST(test_discard_timeout),
        TEST(test_new_settings_count_at_once),
        TEST(test_client_resets),
        TEST(test_client_resets_while_it_is_written_to),
        TEST(test_client_ends_its_side_while_we_answer),
        TEST(test_client_ends_its_side_after_the_answer),
        TEST(test_client_ends_its_side_in_a_head),
        TEST(test_drain_is_told),
        TEST(test_slow_reader_gets_all_before_the_close),
        TEST(test_reader_of_nothing_is_given_up),
        TEST(test_pipelining_without_reading),
        TEST(test_pipelining_without_reading_is_given_up),
        TEST(test_pipelined_bytes_are_bounded),
        TEST(test_max_connections),
        TEST(test_drain),
        TEST(test_drain_waits_for_unsent_bytes),
        TEST(test_abort_is_a_reset),
        TEST(test_free_tells_open_requests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
