/* The simulator as its users meet it: a process of its own, spoken to over sockets. Every fault is looked at from the
 * client's side and in the call log. */
#include "sim/sim.h"

#include "base/span.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { PATIENCE_MS = 60000, ANSWER_SIZE = 1 << 20 };

struct fixture {
    pid_t pid;
    int port;
    char log[64];
    char *answer;
    size_t length;
    bool reset; /* the connection ended by a reset */
};

/* --- the process --- */

static void start_with(struct fixture *fixture, const char *const *more) {
    int ends[2];
    char line[200] = "";
    const char *arguments[20] = {"sim", "--log", fixture->log, "--with-parent", "--quiet"};
    int count = 5;
    while (*more != NULL) {
        arguments[count++] = *more++;
    }
    assert_int_equal(pipe(ends), 0);
    fixture->pid = fork();
    assert_true(fixture->pid >= 0);
    if (fixture->pid == 0) {
        char *copies[20];
        for (int i = 0; i < count; i++) {
            copies[i] = strdup(arguments[i]);
        }
        (void)dup2(ends[1], STDOUT_FILENO);
        (void)close(ends[0]);
        (void)close(ends[1]);
        int code = weir_sim_main(count, copies);
        for (int i = 0; i < count; i++) {
            free(copies[i]);
        }
        exit(code);
    }
    (void)close(ends[1]);
    size_t length = 0;
    while (length < sizeof line - 1 && memchr(line, '\n', length) == NULL) {
        ssize_t got = read(ends[0], line + length, sizeof line - 1 - length);
        assert_true(got > 0);
        length += (size_t)got;
    }
    (void)close(ends[0]);
    const char *start = "listening on http://127.0.0.1:";
    assert_int_equal(strncmp(line, start, strlen(start)), 0);
    fixture->port = (int)strtol(line + strlen(start), NULL, 10);
    assert_true(fixture->port > 0);
}

static int setup(void **state) {
    struct fixture *fixture = test_calloc(1, sizeof *fixture);
    const char *const none[] = {NULL};
    (void)snprintf(fixture->log, sizeof fixture->log, "/tmp/weir_sim_server_XXXXXX");
    int fd = mkstemp(fixture->log);
    assert_true(fd >= 0);
    (void)close(fd);
    fixture->answer = test_malloc(ANSWER_SIZE);
    *state = fixture;
    start_with(fixture, none);
    return 0;
}

static int stop(struct fixture *fixture) {
    int status = -1;
    (void)kill(fixture->pid, SIGTERM);
    assert_int_equal(waitpid(fixture->pid, &status, 0), fixture->pid);
    fixture->pid = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int teardown(void **state) {
    struct fixture *fixture = *state;
    if (fixture->pid != 0) {
        assert_int_equal(stop(fixture), 0);
    }
    (void)unlink(fixture->log);
    test_free(fixture->answer);
    test_free(fixture);
    return 0;
}

/* --- the client --- */

static int dial(const struct fixture *fixture) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)fixture->port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)(const void *)&address, sizeof address), 0);
    return fd;
}

static void send_text(int fd, const char *text, size_t length) {
    while (length > 0) {
        ssize_t sent = send(fd, text, length, MSG_NOSIGNAL);
        assert_true(sent > 0);
        text += sent;
        length -= (size_t)sent;
    }
}

/* Reads until the text has come, or to the end of the connection where `until` is NULL. */
static bool receive(struct fixture *fixture, int fd, const char *until) {
    fixture->length = 0;
    fixture->reset = false;
    fixture->answer[0] = '\0';
    while (until == NULL || strstr(fixture->answer, until) == NULL) {
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        assert_int_equal(poll(&wait, 1, PATIENCE_MS), 1);
        ssize_t got = recv(fd, fixture->answer + fixture->length, ANSWER_SIZE - 1 - fixture->length, 0);
        fixture->reset = got < 0 && errno == ECONNRESET;
        if (got <= 0) {
            return until == NULL;
        }
        fixture->length += (size_t)got;
        fixture->answer[fixture->length] = '\0';
    }
    return true;
}

static bool has(const struct fixture *fixture, const char *text) {
    return strstr(fixture->answer, text) != NULL;
}

static bool ends_with(const struct fixture *fixture, const char *text) {
    return weir_span_ends_with(weir_span_of(fixture->answer, fixture->length), weir_span_of_string(text));
}

static size_t occurrences(const struct fixture *fixture, const char *text) {
    size_t count = 0;
    for (const char *at = fixture->answer; (at = strstr(at, text)) != NULL; at += strlen(text)) {
        count++;
    }
    return count;
}

/* Sends a request and leaves the connection open. */
static void ask(int fd, const char *method, const char *path, const char *fields, const char *body) {
    char text[8000];
    int length = snprintf(text, sizeof text, "%s %s HTTP/1.1\r\nHost: sim\r\nContent-Length: %zu\r\n%s\r\n%s", method,
                          path, strlen(body), fields, body);
    send_text(fd, text, (size_t)length);
}

#define PLAIN "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"hello\"}]}"
#define STREAMED                                                                                                     \
    "{\"model\":\"m\",\"stream\":true,\"stream_options\":{\"include_usage\":true},\"messages\":[{\"role\":\"user\"," \
    "\"content\":\"hello\"}]}"

/* A call on a connection of its own, read to the connection's end. */
static void call(struct fixture *fixture, const char *fields, const char *body) {
    char all[600];
    int fd = dial(fixture);
    (void)snprintf(all, sizeof all, "Authorization: Bearer k\r\nConnection: close\r\n%s", fields);
    ask(fd, "POST", "/v1/chat/completions", all, body);
    assert_true(receive(fixture, fd, NULL));
    (void)close(fd);
}

static void control(struct fixture *fixture, const char *method, const char *path, const char *body) {
    int fd = dial(fixture);
    ask(fd, method, path, "Connection: close\r\n", body);
    assert_true(receive(fixture, fd, NULL));
    (void)close(fd);
}

/* Waits until the control endpoint's answer has the text: what a connection's end causes comes a moment later. */
static void await(struct fixture *fixture, const char *path, const char *text) {
    for (int i = 0; i < PATIENCE_MS / 10; i++) {
        control(fixture, "GET", path, "");
        if (has(fixture, text)) {
            return;
        }
        (void)poll(NULL, 0, 10);
    }
    print_message("%s\n", fixture->answer);
    fail_msg("%s never said %s", path, text);
}

/* --- ordinary service --- */

static void test_plain(void **state) {
    struct fixture *fixture = *state;
    call(fixture, "X-Request-Id: one\r\n", PLAIN);
    assert_true(has(fixture, "HTTP/1.1 200 OK\r\n"));
    assert_true(has(fixture, "x-request-id: req_sim_1\r\n"));
    assert_true(has(fixture, "\"x_sim\":{\"served\":1}"));
    control(fixture, "GET", "/_sim/log", "");
    assert_true(has(fixture, "{\"n\":1,\"time\":\"2"));
    assert_true(has(
        fixture,
        "\"request_id\":\"one\",\"model\":\"m\",\"stream\":false,\"status\":200,\"fault\":null,"
        "\"prompt_tokens\":9,\"completion_tokens\":16,\"cached_tokens\":0,\"cache_write_tokens\":0,\"reasoning_tokens\":0,"
        "\"units\":0,\"unit\":\"none\",\"complete\":true,\"aborted\":false}\n"));
    control(fixture, "DELETE", "/_sim/log", "");
    control(fixture, "GET", "/_sim/log", "");
    assert_true(has(fixture, "content-length: 0\r\n"));
    control(fixture, "GET", "/_sim/requests/last", "");
    assert_true(has(fixture, "\"x-request-id\":\"one\""));
    control(fixture, "GET", "/_sim/requests?id=one", "");
    assert_true(has(fixture, "\"path\":\"/v1/chat/completions\""));
    control(fixture, "GET", "/_sim/requests?id=two", "");
    assert_true(has(fixture, "HTTP/1.1 404"));
    control(fixture, "GET", "/_sim/requests", "");
    assert_true(has(fixture, "[{\"method\":\"POST\""));
    control(fixture, "GET", "/_sim/nothing", "");
    assert_true(has(fixture, "HTTP/1.1 404"));
}

static void test_other_endpoints(void **state) {
    struct fixture *fixture = *state;
    int fd = dial(fixture);
    ask(fd, "GET", "/v1/models", "Authorization: Bearer k\r\n", "");
    assert_true(receive(fixture, fd, "sim-reasoner"));
    ask(fd, "GET", "/v1/models/a%2Fb", "Authorization: Bearer k\r\n", "");
    assert_true(receive(fixture, fd, "{\"id\":\"a/b\""));
    ask(fd, "GET", "/v1/models/unknown-model", "Authorization: Bearer k\r\n", "");
    assert_true(receive(fixture, fd, "model_not_found"));
    ask(fd, "GET", "/v1/models", "Authorization: k\r\n", "");
    assert_true(receive(fixture, fd, "invalid_api_key"));
    ask(fd, "GET", "/health", "", "");
    assert_true(receive(fixture, fd, "{\"status\":\"ok\"}"));
    ask(fd, "POST", "/v1/nowhere", "", "{}");
    assert_true(receive(fixture, fd, "Invalid URL (POST /v1/nowhere)"));
    ask(fd, "POST", "/v1/chat/completions", "", PLAIN);
    assert_true(receive(fixture, fd, "invalid_api_key"));
    assert_true(has(fixture, "HTTP/1.1 401"));
    send_text(fd, "BROKEN\r\n\r\n", 10);
    assert_true(receive(fixture, fd, NULL));
    assert_true(has(fixture, "HTTP/1.1 400"));
    (void)close(fd);
    control(fixture, "GET", "/_sim/stats", "");
    assert_true(has(fixture, "\"by_status\":{\"401\":1}"));
}

static void test_pipelining(void **state) {
    struct fixture *fixture = *state;
    int fd = dial(fixture);
    char text[40000];
    size_t length = 0;
    for (int i = 0; i < 50; i++) {
        /* Every third answer is slow, so that the requests behind it have to wait. */
        length += (size_t)
            snprintf(text + length, sizeof text - length,
                     "POST /chat/completions HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer k\r\nX-Request-Id: "
                     "p%d\r\n%sContent-Length: %zu\r\n\r\n%s",
                     i, i % 3 == 0 ? "x-sim-ttft: 5\r\n" : "", strlen(PLAIN), PLAIN);
    }
    send_text(fd, text, length);
    assert_true(receive(fixture, fd, "{\"served\":50}"));
    assert_int_equal(occurrences(fixture, "HTTP/1.1 200 OK"), 50);
    const char *at = fixture->answer;
    for (int i = 1; i <= 50; i++) {
        char served[40];
        (void)snprintf(served, sizeof served, "{\"served\":%d}", i);
        at = strstr(at, served);
        assert_non_null(at);
    }
    (void)close(fd);
}

static void test_stream_shapes(void **state) {
    struct fixture *fixture = *state;
    call(fixture, "x-sim-tokens: 3\r\n", STREAMED);
    assert_true(has(fixture, "content-type: text/event-stream; charset=utf-8\r\n"));
    assert_int_equal(occurrences(fixture, "data: "), 1 + 3 + 1 + 1 + 1);
    assert_true(ends_with(fixture, "data: [DONE]\n\n\r\n0\r\n\r\n"));
    call(fixture, "x-sim-tokens: 3\r\nx-sim-crlf: 1\r\nx-sim-comments: 1\r\n", STREAMED);
    assert_true(ends_with(fixture, "data: [DONE]\r\n\r\n\r\n0\r\n\r\n"));
    assert_true(has(fixture, ": ping\r\n\r\n"));
    call(fixture, "x-sim-tokens: 3\r\nx-sim-split: 1\r\n", STREAMED);
    assert_true(has(fixture, "\r\n1\r\nd\r\n1\r\na\r\n1\r\nt\r\n1\r\na\r\n1\r\n:\r\n"));
    assert_true(ends_with(fixture, "1\r\n\n\r\n0\r\n\r\n"));
    call(fixture, "x-sim-ttft: 30\r\nx-sim-rate: 200\r\nx-sim-tokens: 10\r\n", STREAMED);
    assert_true(occurrences(fixture, "\n\n\r\n") > 3); /* several chunks: it came bit by bit */
    assert_true(ends_with(fixture, "data: [DONE]\n\n\r\n0\r\n\r\n"));
    control(fixture, "GET", "/_sim/stats", "");
    assert_true(has(fixture, "\"calls\":4,\"open\":0,\"complete\":4"));
}

static void test_http10_and_continue(void **state) {
    struct fixture *fixture = *state;
    int fd = dial(fixture);
    char text[1000];
    int length = snprintf(text, sizeof text,
                          "POST /v1/chat/completions HTTP/1.0\r\nHost: a\r\nAuthorization: Bearer k\r\n"
                          "Content-Length: %zu\r\n\r\n%s",
                          strlen(STREAMED), STREAMED);
    send_text(fd, text, (size_t)length);
    assert_true(receive(fixture, fd, NULL));
    assert_false(has(fixture, "chunked"));
    assert_true(ends_with(fixture, "data: [DONE]\n\n"));
    (void)close(fd);
    fd = dial(fixture);
    ask(fd, "POST", "/v1/chat/completions", "Authorization: Bearer k\r\nExpect: 100-continue\r\n", "");
    (void)receive(fixture, fd, "HTTP/1.1 400"); /* an empty body is whole at once */
    (void)close(fd);
    fd = dial(fixture);
    length = snprintf(text, sizeof text,
                      "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer k\r\nExpect: "
                      "100-continue\r\nContent-Length: %zu\r\n\r\n",
                      strlen(PLAIN));
    send_text(fd, text, (size_t)length);
    assert_true(receive(fixture, fd, "HTTP/1.1 100 Continue\r\n\r\n"));
    send_text(fd, PLAIN, strlen(PLAIN));
    assert_true(receive(fixture, fd, "\"served\":"));
    (void)close(fd);
}

static void test_too_large_a_body(void **state) {
    struct fixture *fixture = *state;
    int fd = dial(fixture);
    size_t size = (size_t)65 << 20;
    char *body = test_calloc(1, size);
    char text[200];
    int length = snprintf(text, sizeof text,
                          "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer k\r\n"
                          "Content-Length: %zu\r\n\r\n",
                          size);
    send_text(fd, text, (size_t)length);
    while (size > 0) {
        ssize_t sent = send(fd, body, size, MSG_NOSIGNAL);
        if (sent <= 0) {
            break; /* the answer may come before all has gone */
        }
        size -= (size_t)sent;
    }
    test_free(body);
    assert_true(receive(fixture, fd, "HTTP/1.1 413"));
    (void)close(fd);
    await(fixture, "/_sim/log", "\"status\":413,\"fault\":null,\"prompt_tokens\":0,");
}

static void test_large_and_slow_reader(void **state) {
    struct fixture *fixture = *state;
    int fd = dial(fixture);
    ask(fd, "POST", "/v1/chat/completions", "Authorization: Bearer k\r\nx-sim-tokens: 100000\r\nConnection: close\r\n",
        STREAMED);
    (void)poll(NULL, 0, 100); /* it must wait for us, not hold 20 MB */
    control(fixture, "GET", "/_sim/stats", "");
    assert_true(has(fixture, "\"open\":1"));
    size_t events = 0;
    char piece[65536];
    char last[64] = "";
    for (;;) {
        ssize_t got = recv(fd, piece, sizeof piece, 0);
        if (got <= 0) {
            break;
        }
        for (ssize_t i = 0; i < got; i++) {
            events += piece[i] == '{' && i + 5 < got && memcmp(piece + i, "{\"id\"", 5) == 0 ? 1 : 0;
        }
        size_t keep = (size_t)got < sizeof last - 1 ? (size_t)got : sizeof last - 1;
        memcpy(last, piece + got - keep, keep);
        last[keep] = '\0';
    }
    (void)close(fd);
    assert_in_range(events, 99000, 100003); /* those that reads cut in two are not counted */
    assert_non_null(strstr(last, "0\r\n\r\n"));
    await(
        fixture, "/_sim/log",
        "\"completion_tokens\":100000,\"cached_tokens\":0,\"cache_write_tokens\":0,\"reasoning_tokens\":0,\"units\":0,\"unit\":\"none\",\"complete\":true");
}

/* --- faults --- */

static void expect_log(struct fixture *fixture, const char *text) {
    await(fixture, "/_sim/log", text);
    control(fixture, "DELETE", "/_sim/log", "");
}

static void test_status_faults(void **state) {
    struct fixture *fixture = *state;
    call(fixture, "x-sim-fault: status=503; retry-after=2\r\n", PLAIN);
    assert_true(has(fixture, "HTTP/1.1 503"));
    assert_true(has(fixture, "retry-after: 2\r\n"));
    assert_true(has(fixture, "\"type\":\"server_error\""));
    expect_log(
        fixture,
        "\"status\":503,\"fault\":\"status=503; retry-after=2\",\"prompt_tokens\":0,\"completion_tokens\":0,"
        "\"cached_tokens\":0,\"cache_write_tokens\":0,\"reasoning_tokens\":0,\"units\":0,\"unit\":\"none\",\"complete\":true,\"aborted\":false}");
    call(fixture, "x-sim-fault: status=429; code=insufficient_quota\r\n", PLAIN);
    assert_true(has(fixture, "\"type\":\"insufficient_quota\",\"param\":null,\"code\":\"insufficient_quota\""));
    assert_false(has(fixture, "retry-after"));
    call(fixture, "x-sim-fault: wat\r\n", PLAIN);
    assert_true(has(fixture, "HTTP/1.1 400"));
    call(fixture, "x-sim-ttft: soon\r\n", PLAIN);
    assert_true(has(fixture, "x-sim-ttft must be"));
    call(fixture, "x-sim-fault: wrong-type\r\n", PLAIN);
    assert_true(has(fixture, "text/html"));
    call(fixture, "x-sim-fault: error-event\r\n", PLAIN);
    assert_true(has(fixture, "HTTP/1.1 500"));
    call(fixture, "x-sim-fault: interim\r\n", PLAIN);
    assert_true(has(fixture, "HTTP/1.1 103 Early Hints\r\n"));
    assert_true(has(fixture, "HTTP/1.1 200 OK\r\n"));
    call(fixture, "x-sim-fault: delay=30\r\n", PLAIN);
    assert_true(has(fixture, "HTTP/1.1 200 OK\r\n"));
}

static void test_connection_faults(void **state) {
    struct fixture *fixture = *state;
    call(fixture, "x-sim-fault: reset\r\n", PLAIN);
    assert_true(fixture->reset);
    assert_int_equal(fixture->length, 0);
    expect_log(
        fixture,
        "\"status\":0,\"fault\":\"reset\",\"prompt_tokens\":0,\"completion_tokens\":0,\"cached_tokens\":0,\"cache_write_tokens\":0,"
        "\"reasoning_tokens\":0,\"units\":0,\"unit\":\"none\",\"complete\":false,\"aborted\":false}");
    call(fixture, "x-sim-fault: close\r\n", PLAIN);
    assert_false(fixture->reset);
    assert_int_equal(fixture->length, 0);
    expect_log(fixture, "\"status\":0,\"fault\":\"close\"");
    call(fixture, "x-sim-fault: reset-after-head\r\n", PLAIN);
    assert_true(fixture->reset);
    assert_true(ends_with(fixture, "\r\n\r\n"));
    expect_log(fixture, "\"status\":200,\"fault\":\"reset-after-head\",\"prompt_tokens\":9,\"completion_tokens\":0");
    call(fixture, "x-sim-fault: reset-mid\r\n", STREAMED);
    assert_true(fixture->reset);
    assert_int_equal(occurrences(fixture, "data: "), 1 + 8);
    expect_log(
        fixture,
        "\"prompt_tokens\":9,\"completion_tokens\":8,\"cached_tokens\":6,\"cache_write_tokens\":0,\"reasoning_tokens\":0,\"units\":0,\"unit\":\"none\",\"complete\":false");
    call(fixture, "x-sim-fault: reset-mid\r\n", PLAIN);
    assert_true(fixture->reset);
    assert_true(has(fixture, "\"object\":"));
    assert_false(has(fixture, "x_sim"));
    call(fixture, "x-sim-fault: bad-chunk\r\n", STREAMED);
    assert_true(ends_with(fixture, "zz\r\nno chunk\r\n"));
    call(fixture, "x-sim-fault: bad-chunk\r\n", PLAIN);
    assert_true(ends_with(fixture, "zz\r\nno chunk\r\n"));
    assert_true(has(fixture, "chunked"));
}

static void test_cut_faults(void **state) {
    struct fixture *fixture = *state;
    call(fixture, "x-sim-fault: truncate=5\r\n", STREAMED);
    assert_int_equal(occurrences(fixture, "data: "), 1 + 5);
    assert_true(ends_with(fixture, "\r\n0\r\n\r\n"));
    expect_log(fixture, "\"fault\":\"truncate=5\",\"prompt_tokens\":9,\"completion_tokens\":5,");
    call(fixture, "x-sim-fault: truncate=5\r\n", PLAIN);
    assert_false(has(fixture, "x_sim"));
    expect_log(fixture, "\"complete\":false,\"aborted\":false}");
    call(fixture, "x-sim-fault: cut=5\r\n", STREAMED);
    assert_false(ends_with(fixture, "0\r\n\r\n"));
    assert_int_equal(occurrences(fixture, "data: "), 1 + 5);
    call(fixture, "x-sim-fault: error-event\r\n", STREAMED);
    assert_true(has(fixture, "data: {\"error\":{\"message\":"));
    assert_false(has(fixture, "[DONE]"));
    assert_true(ends_with(fixture, "\r\n0\r\n\r\n"));
    expect_log(fixture, "\"completion_tokens\":8,");
    call(fixture, "x-sim-fault: bad-json\r\n", STREAMED);
    assert_true(has(fixture, "\"content\":\"bro\n"));
    assert_true(has(fixture, "[DONE]"));
    call(fixture, "x-sim-fault: bad-json\r\n", PLAIN);
    assert_false(has(fixture, "x_sim"));
    call(fixture, "x-sim-fault: no-done\r\n", STREAMED);
    assert_false(has(fixture, "[DONE]"));
    assert_true(has(fixture, "\"usage\":{"));
    control(fixture, "DELETE", "/_sim/log", "");
    call(fixture, "x-sim-fault: no-usage\r\n", STREAMED);
    assert_false(has(fixture, "usage"));
    assert_true(has(fixture, "[DONE]"));
    expect_log(
        fixture,
        "\"completion_tokens\":16,\"cached_tokens\":6,\"cache_write_tokens\":0,\"reasoning_tokens\":0,\"units\":0,\"unit\":\"none\",\"complete\":true");
    call(fixture, "x-sim-fault: no-usage\r\n", PLAIN);
    assert_false(has(fixture, "usage"));
    call(fixture, "x-sim-fault: wrong-usage=1000\r\n", PLAIN);
    assert_true(has(fixture, "\"completion_tokens\":16000,"));
    call(fixture, "x-sim-fault: usage-percent=40\r\n", PLAIN);
    assert_true(has(fixture, "\"completion_tokens\":6,"));
    call(fixture, "x-sim-fault: negative-usage\r\n", STREAMED);
    assert_true(has(fixture, "\"completion_tokens\":-16,"));
    call(fixture, "x-sim-fault: negative-usage; wrong-usage=2\r\n", PLAIN);
    assert_true(has(fixture, "\"completion_tokens\":-32,"));
    call(fixture, "x-sim-fault: huge=100000\r\n", PLAIN);
    assert_in_range(fixture->length, 100000, 102000);
    call(fixture, "x-sim-fault: huge=100000\r\n", STREAMED);
    assert_true(has(fixture, "\"completion_tokens\":25000,"));
    call(fixture, "x-sim-fault: slow-body=2\r\n", PLAIN);
    assert_true(has(fixture, "\"x_sim\""));
    call(fixture, "x-sim-fault: slow-body=2\r\n", STREAMED);
    assert_true(has(fixture, "[DONE]"));
}

/* Faults after which nothing comes until the client has had enough. */
static void test_stalls(void **state) {
    static const struct {
        const char *fault, *body, *seen, *logged;
    } cases[] = {
        {"silence", PLAIN, NULL, "\"status\":0,\"fault\":\"silence\",\"prompt_tokens\":0,"},
        {"stall-head", PLAIN, "HTTP/1.1 200 OK\r\n", "\"status\":0,\"fault\":\"stall-head\""},
        {"stall=2", STREAMED, "data: ", "\"prompt_tokens\":9,\"completion_tokens\":2,"},
        {"stall", PLAIN, "\"object\":", "\"status\":200,\"fault\":\"stall\""},
        {"delay=600000", PLAIN, NULL, "\"status\":0,\"fault\":\"delay=600000\""},
    };
    struct fixture *fixture = *state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char fields[200];
        int fd = dial(fixture);
        (void)snprintf(fields, sizeof fields, "Authorization: Bearer k\r\nx-sim-fault: %s\r\n", cases[i].fault);
        ask(fd, "POST", "/v1/chat/completions", fields, cases[i].body);
        if (cases[i].seen != NULL) {
            assert_true(receive(fixture, fd, cases[i].seen));
        }
        await(fixture, "/_sim/stats", "\"open\":1");
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        (void)poll(&wait, 1, 20);
        (void)close(fd);
        await(fixture, "/_sim/stats", "\"open\":0");
        control(fixture, "GET", "/_sim/log", "");
        assert_true(has(fixture, cases[i].logged));
        assert_true(has(fixture, "\"complete\":false,\"aborted\":true}"));
        control(fixture, "DELETE", "/_sim/log", "");
    }
}

static void test_early_answer_and_close_idle(void **state) {
    struct fixture *fixture = *state;
    int fd = dial(fixture);
    char text[1000];
    int length = snprintf(text, sizeof text,
                          "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer k\r\n"
                          "x-sim-fault: early-answer=413\r\nContent-Length: %zu\r\n\r\n",
                          strlen(PLAIN));
    send_text(fd, text, (size_t)length);
    assert_true(receive(fixture, fd, "too large"));
    assert_true(has(fixture, "HTTP/1.1 413"));
    send_text(fd, PLAIN, strlen(PLAIN));
    ask(fd, "POST", "/v1/chat/completions", "Authorization: Bearer k\r\nx-sim-fault: close-idle\r\n", PLAIN);
    assert_true(receive(fixture, fd, NULL)); /* the same connection serves on, then is closed */
    assert_true(has(fixture, "HTTP/1.1 200 OK"));
    assert_false(has(fixture, "connection: close"));
    assert_true(has(fixture, "\"x_sim\""));
    (void)close(fd);
    control(fixture, "GET", "/_sim/log", "");
    assert_int_equal(occurrences(fixture, "\"complete\":true"), 2);
}

static void test_plan(void **state) {
    struct fixture *fixture = *state;
    control(fixture, "PUT", "/_sim/faults", "[{\"fault\":\"status=500\",\"count\":2},{\"fault\":\"reset\"}]");
    assert_true(has(fixture, "HTTP/1.1 200 OK"));
    call(fixture, "", PLAIN);
    assert_true(has(fixture, "HTTP/1.1 500"));
    call(fixture, "x-sim-fault: status=429\r\n", PLAIN); /* its own fault: the plan waits */
    assert_true(has(fixture, "HTTP/1.1 429"));
    call(fixture, "", PLAIN);
    assert_true(has(fixture, "HTTP/1.1 500"));
    call(fixture, "", PLAIN);
    assert_true(fixture->reset);
    call(fixture, "", PLAIN);
    assert_true(has(fixture, "HTTP/1.1 200 OK"));
    control(fixture, "GET", "/_sim/faults", "");
    assert_true(has(fixture, "\"given\":2"));
    control(fixture, "PUT", "/_sim/faults", "{\"fault\":\"what\"}");
    assert_true(has(fixture, "HTTP/1.1 400"));
    control(fixture, "DELETE", "/_sim/faults", "");
    assert_true(ends_with(fixture, "[]"));
}

/* --- the process itself --- */

static void test_client_leaves_mid_stream(void **state) {
    struct fixture *fixture = *state;
    int fd = dial(fixture);
    ask(fd, "POST", "/v1/chat/completions", "Authorization: Bearer k\r\nx-sim-rate: 50\r\nx-sim-tokens: 1000\r\n",
        STREAMED);
    assert_true(receive(fixture, fd, "data: "));
    (void)close(fd);
    await(fixture, "/_sim/stats", "\"aborted\":1");
    await(fixture, "/_sim/stats", "\"open\":0");
}

static size_t read_log(const struct fixture *fixture, char *text, size_t size) {
    FILE *file = fopen(fixture->log, "r");
    assert_non_null(file);
    size_t length = fread(text, 1, size - 1, file);
    text[length] = '\0';
    (void)fclose(file);
    return length;
}

static void test_log_file_survives_kill(void **state) {
    struct fixture *fixture = *state;
    char text[8000];
    int status;
    call(fixture, "X-Request-Id: kept\r\n", PLAIN);
    (void)kill(fixture->pid, SIGKILL); /* the answer is here, so the line is there */
    assert_int_equal(waitpid(fixture->pid, &status, 0), fixture->pid);
    assert_true(read_log(fixture, text, sizeof text) > 0);
    assert_non_null(strstr(text, "\"request_id\":\"kept\""));
    const char *const options[] = {"--output-tokens", "2", "--no-auth", "--listen=127.0.0.1:0", NULL};
    start_with(fixture, options);
    int fd = dial(fixture);
    ask(fd, "POST", "/v1/chat/completions", "", PLAIN);
    assert_true(receive(fixture, fd, "\"completion_tokens\":2,"));
    ask(fd, "POST", "/v1/chat/completions", "x-sim-fault: silence\r\nX-Request-Id: open\r\n", PLAIN);
    await(fixture, "/_sim/stats", "\"open\":1");
    assert_int_equal(stop(fixture), 0);
    (void)close(fd);
    (void)read_log(fixture, text, sizeof text);
    const char *line = strstr(text, "\"request_id\":\"open\"");
    assert_non_null(line);
    assert_non_null(strstr(line, "\"complete\":false,\"aborted\":false}\n"));
    assert_true(strstr(text, "\"request_id\":\"kept\"") < line);
}

static int run_main(const char *const *arguments, int count) {
    char *copies[8];
    for (int i = 0; i < count; i++) {
        copies[i] = strdup(arguments[i]);
    }
    int code = weir_sim_main(count, copies);
    for (int i = 0; i < count; i++) {
        free(copies[i]);
    }
    return code;
}

static void test_usage(void **state) {
    (void)state;
    const char *const help[] = {"sim", "--help"};
    const char *const unknown[] = {"sim", "--what"};
    const char *const missing[] = {"sim", "--log"};
    const char *const bad_number[] = {"sim", "--output-tokens", "many"};
    const char *const flag_value[] = {"sim", "--quiet=1"};
    const char *const bad_address[] = {"sim", "--listen", "nonsense"};
    const char *const bad_log[] = {"sim", "--log", "/nowhere/at/all"};
    assert_int_equal(run_main(help, 2), 0);
    assert_int_equal(run_main(unknown, 2), 2);
    assert_int_equal(run_main(missing, 2), 2);
    assert_int_equal(run_main(bad_number, 3), 2);
    assert_int_equal(run_main(flag_value, 2), 2);
    assert_int_equal(run_main(bad_address, 3), 1);
    assert_int_equal(run_main(bad_log, 3), 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_plain, setup, teardown),
        cmocka_unit_test_setup_teardown(test_other_endpoints, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pipelining, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stream_shapes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_http10_and_continue, setup, teardown),
        cmocka_unit_test_setup_teardown(test_too_large_a_body, setup, teardown),
        cmocka_unit_test_setup_teardown(test_large_and_slow_reader, setup, teardown),
        cmocka_unit_test_setup_teardown(test_status_faults, setup, teardown),
        cmocka_unit_test_setup_teardown(test_connection_faults, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cut_faults, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stalls, setup, teardown),
        cmocka_unit_test_setup_teardown(test_early_answer_and_close_idle, setup, teardown),
        cmocka_unit_test_setup_teardown(test_plan, setup, teardown),
        cmocka_unit_test_setup_teardown(test_client_leaves_mid_stream, setup, teardown),
        cmocka_unit_test_setup_teardown(test_log_file_survives_kill, setup, teardown),
        cmocka_unit_test(test_usage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
