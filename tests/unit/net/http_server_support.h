/* A server's end of HTTP/1.1 connections with a handler that answers each request with its path and body, at a moment that the test chooses;
 * and clients of it over loopback that keep every byte. Everything is static: each test is one program. */
#ifndef WEIR_TESTS_NET_HTTP_SERVER_SUPPORT_H
#define WEIR_TESTS_NET_HTTP_SERVER_SUPPORT_H

#include "support.h"

#include "net/http_server.h"

enum moment { AT_REQUEST, AT_FIRST_BODY, AT_COMPLETE, LATER, BY_HAND };
enum { MAX_REQUESTS = 1024 };

struct scene;

struct request {
    struct scene *scene;
    struct weir_http_connection *connection; /* NULL: finished or gone */
    struct weir_buffer body;
    struct weir_timer timer;
    char method[16];
    char path[64];
    bool complete, gone;
    enum weir_reason reason;
    int drains;
};

struct scene {
    struct fixture *fixture;
    int fd;
    uint16_t port;
    struct weir_listener *listener;
    struct weir_http_server *server;
    enum moment moment;
    size_t pad_bytes; /* added to each answer */
    bool says_continue;
    bool ends_by_close;    /* the next answers have no length */
    bool refuses_silently; /* on_refused writes nothing */
    struct request requests[MAX_REQUESTS];
    size_t count;
    int refusals;
    enum weir_reason refused;
    char problem[100];
    int gone;
    bool told_gone;
};

/* --- the handler --- */

static void answer(struct request *request) {
    struct scene *scene = request->scene;
    struct weir_http_connection *connection = request->connection;
    struct weir_buffer out;
    bool head_only = strcmp(request->method, "HEAD") == 0;
    assert_non_null(connection);
    weir_buffer_init(&out, 64 * WEIR_MIB);
    if (scene->ends_by_close) {
        weir_http_connection_end_by_close(connection);
    }
    bool close = weir_http_connection_must_close(connection);
    size_t length = strlen(request->path) + 1 + request->body.length + scene->pad_bytes;
    weir_buffer_printf(&out, "HTTP/1.1 200 OK\r\n%s", close ? "Connection: close\r\n" : "");
    if (!scene->ends_by_close) {
        weir_buffer_printf(&out, "Content-Length: %zu\r\n", length);
    }
    weir_buffer_append(&out, WEIR_SPAN("\r\n"));
    if (!head_only) {
        weir_buffer_printf(&out, "%s=", request->path);
        weir_buffer_append(&out, weir_buffer_span(&request->body));
        for (size_t i = 0; i < scene->pad_bytes; i++) {
            weir_buffer_append_byte(&out, '.');
        }
    }
    const struct weir_span part = weir_buffer_span(&out);
    assert_int_equal(weir_buffer_status(&out), WEIR_OK);
    if (weir_http_connection_write(connection, &part, 1) == WEIR_OK) {
        request->connection = NULL;
        weir_http_connection_finish(connection);
    } else {
        request->connection = NULL;
        weir_http_connection_abort(connection);
    }
    weir_buffer_release(&out);
}

static void answer_later(void *argument) {
    struct request *request = argument;
    if (request->connection != NULL) {
        answer(request);
    }
}

static void on_body(void *owner, struct weir_span data) {
    struct request *request = owner;
    assert_non_null(request->connection);
    assert_false(request->complete);
    weir_buffer_append(&request->body, data);
    if (request->scene->moment == AT_FIRST_BODY) {
        answer(request);
    }
}

static void on_complete(void *owner) {
    struct request *request = owner;
    assert_non_null(request->connection);
    assert_false(request->complete);
    request->complete = true;
    if (request->scene->moment == LATER) {
        weir_timer_start(request->scene->fixture->loop, &request->timer, 1, answer_later, request);
    } else if (request->scene->moment != BY_HAND) {
        answer(request);
    }
}

static void on_gone(void *owner, enum weir_reason reason) {
    struct request *request = owner;
    assert_non_null(request->connection);
    request->gone = true;
    request->reason = reason;
    request->scene->gone++;
    request->scene->told_gone = true;
    weir_timer_stop(&request->timer);
    if (reason == WEIR_REASON_CLIENT_CLOSED) {
        request->connection = NULL;
    } else {
        (void)snprintf(request->path, sizeof request->path, "gone-%d", (int)reason);
        answer(request);
    }
}

static void on_drain(void *owner) {
    ((struct request *)owner)->drains++;
}

static const struct weir_http_request_events request_events = {.on_body = on_body,
                                                               .on_complete = on_complete,
                                                               .on_gone = on_gone,
                                                               .on_drain = on_drain};

static struct request *begin(struct scene *scene, struct weir_http_connection *connection) {
    assert_true(scene->count < MAX_REQUESTS);
    struct request *request = &scene->requests[scene->count++];
    request->scene = scene;
    request->connection = connection;
    weir_buffer_init(&request->body, 64 * WEIR_MIB);
    return request;
}

static void on_request(void *owner, struct weir_http_connection *connection, const struct weir_http_head *head,
                       struct weir_span block) {
    struct scene *scene = owner;
    struct request *request = begin(scene, connection);
    assert_true(block.length > 0);
    assert_int_equal(weir_span_to_string(head->method, request->method, sizeof request->method), WEIR_OK);
    assert_int_equal(weir_span_to_string(head->path, request->path, sizeof request->path), WEIR_OK);
    assert_string_equal(weir_http_connection_peer(connection), "127.0.0.1");
    assert_ptr_equal(weir_http_connection_loop(connection), scene->fixture->loop);
    if (scene->moment == AT_REQUEST) {
        answer(request); /* without weir_http_connection_serve: the operator plane does so */
        return;
    }
    weir_http_connection_serve(connection, &request_events, request);
    if (scene->says_continue) {
        weir_http_connection_continue(connection);
    }
}

static void on_refused(void *owner, struct weir_http_connection *connection, enum weir_reason reason,
                       const char *problem) {
    struct scene *scene = owner;
    scene->refusals++;
    scene->refused = reason;
    (void)snprintf(scene->problem, sizeof scene->problem, "%s", problem);
    if (scene->refuses_silently) {
        return;
    }
    struct request *request = begin(scene, connection);
    weir_http_connection_serve(connection, &request_events, request); /* as the data plane does */
    (void)snprintf(request->path, sizeof request->path, "refused-%d", (int)reason);
    answer(request);
}

static const struct weir_http_handler handler = {.on_request = on_request, .on_refused = on_refused};

static void on_accept(void *owner, struct weir_stream *stream) {
    weir_http_server_accept(((struct scene *)owner)->server, stream);
}

/* --- the scene --- */

static const struct weir_http_server_settings usual = {.head_timeout_ms = 60000,
                                                       .body_timeout_ms = 60000,
                                                       .keep_alive_timeout_ms = 60000,
                                                       .keep_alive_requests = 0,
                                                       .max_connections = 100};

static struct scene *scene_open(void **state, const struct weir_http_server_settings *settings, enum moment moment) {
    struct scene *scene = test_calloc(1, sizeof *scene);
    scene->fixture = *state;
    scene->moment = moment;
    scene->server = weir_http_server_new(scene->fixture->loop, settings, &handler, scene);
    assert_non_null(scene->server);
    assert_int_equal(weir_listen_socket("127.0.0.1:0", false, &scene->fd, &scene->port, NULL), WEIR_OK);
    assert_int_equal(weir_listener_new(scene->fixture->loop, scene->fd, NULL, on_accept, scene, &scene->listener, NULL),
                     WEIR_OK);
    return scene;
}

static void forget_requests(struct scene *scene) {
    for (size_t i = 0; i < scene->count; i++) {
        weir_timer_stop(&scene->requests[i].timer);
        weir_buffer_release(&scene->requests[i].body);
    }
    memset(scene->requests, 0, scene->count * sizeof scene->requests[0]);
    scene->count = 0;
}

static void scene_close(struct scene *scene) {
    weir_listener_free(&scene->listener);
    weir_http_server_free(&scene->server);
    assert_null(scene->server);
    forget_requests(scene);
    close(scene->fd);
    test_free(scene);
}

/* --- the client --- */

struct client {
    struct scene *scene;
    int fd;
    struct weir_buffer got;
    bool ended, was_reset;
};

static void client_open(struct client *client, struct scene *scene) {
    *client = (struct client){.scene = scene, .fd = peer_connect(scene->port)};
    weir_buffer_init(&client->got, 256 * WEIR_MIB);
}

static void client_close(struct client *client) {
    if (client->fd >= 0) {
        close(client->fd);
    }
    client->fd = -1;
    weir_buffer_release(&client->got);
}

/* One turn of the loop, and what it has brought. */
static bool client_step(struct client *client, bool read) {
    char bytes[65536];
    (void)weir_loop_run_once(client->scene->fixture->loop);
    ssize_t count = read ? recv(client->fd, bytes, sizeof bytes, MSG_DONTWAIT) : -1;
    if (count > 0) {
        weir_buffer_append(&client->got, weir_span_of(bytes, (size_t)count));
        return true;
    }
    if (read && count == 0) {
        client->ended = true;
    } else if (read && errno == ECONNRESET) {
        client->was_reset = true;
    } else {
        (void)poll(NULL, 0, 1);
    }
    return false;
}

static bool client_has(const struct client *client, const char *text) {
    return client->got.length > 0 && memmem(client->got.at, client->got.length, text, strlen(text)) != NULL;
}

/* Waits up to 5 s for `text`, and forgets everything up to its end. */
static void client_expect(struct client *client, const char *text) {
    int64_t until_ns = weir_loop_now_ns(client->scene->fixture->loop) + INT64_C(5000000000);
    while (!client_has(client, text)) {
        bool late = weir_loop_now_ns(client->scene->fixture->loop) > until_ns;
        if (late || client->ended || client->was_reset) {
            print_error("expected '%s', got '%.*s'%s\n", text,
                        (int)(client->got.length < 2000 ? client->got.length : 2000),
                        client->got.at != NULL ? client->got.at : "", late ? " in time" : " and the end");
            fail();
        }
        (void)client_step(client, true);
    }
    const char *at = memmem(client->got.at, client->got.length, text, strlen(text));
    weir_buffer_consume(&client->got, (size_t)(at - client->got.at) + strlen(text));
}

/* Everything up to the end or reset; 5 s at most. */
static void client_read_all(struct client *client) {
    int64_t until_ns = weir_loop_now_ns(client->scene->fixture->loop) + INT64_C(5000000000);
    while (!client->ended && !client->was_reset && weir_loop_now_ns(client->scene->fixture->loop) < until_ns) {
        (void)client_step(client, true);
    }
}

/* The connection ends in order, and nothing comes before that. */
static void client_expect_end(struct client *client) {
    client_read_all(client);
    assert_int_equal(client->got.length, 0);
    assert_true(client->ended);
    assert_false(client->was_reset);
}

static void client_send(const struct client *client, const char *text, size_t length) {
    assert_int_equal(send(client->fd, text, length, MSG_NOSIGNAL), (ssize_t)length);
}

static void client_say(const struct client *client, const char *text) {
    client_send(client, text, strlen(text));
}

/* Runs the loop until `done` says so. */
static void wait_for(struct scene *scene, bool (*done)(const struct scene *scene)) {
    int64_t until_ns = weir_loop_now_ns(scene->fixture->loop) + INT64_C(5000000000);
    while (!done(scene)) {
        assert_true(weir_loop_now_ns(scene->fixture->loop) < until_ns);
        (void)weir_loop_run_once(scene->fixture->loop);
        (void)poll(NULL, 0, 1);
    }
}

static bool has_request(const struct scene *scene) {
    return scene->count > 0;
}
static bool has_complete_request(const struct scene *scene) {
    return scene->count > 0 && scene->requests[scene->count - 1].complete;
}
static bool has_none(const struct scene *scene) {
    return weir_http_server_connections(scene->server) == 0;
}
static bool has_gone(const struct scene *scene) {
    return scene->told_gone;
}

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"
#define OK "HTTP/1.1 200 OK\r\n"

#endif
