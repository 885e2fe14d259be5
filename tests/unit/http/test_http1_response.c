/* Responses: the same strictness, and what only they have: statuses, interim heads, bodies that end with the
 * connection. */
#include "transcript.h"

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

struct row {
    const char *name;
    struct weir_span input;
    const char *expected;
};
#define ROW(row_name, bytes, text) \
    { .name = row_name, .input = {.at = bytes, .length = sizeof(bytes) - 1}, .expected = text }

static void check(const struct row *row, bool no_body, struct weir_span expected) {
    for (transcript_cut cut = 0; cut < 24; cut++) {
        struct weir_buffer text = transcript_of(WEIR_HTTP1_RESPONSES, row->input, cut, no_body);
        if (!weir_span_equal(weir_buffer_span(&text), expected)) {
            fail_msg("%s, cut %u:\n%.*s---- expected:\n%.*s", row->name, cut, WEIR_SPAN_PRINT(weir_buffer_span(&text)),
                     WEIR_SPAN_PRINT(expected));
        }
        weir_buffer_release(&text);
    }
}

#define OK "HTTP/1.1 200 OK\r\n"

static const struct row accepted[] = {
    ROW("length", OK "Content-Length: 5\r\n\r\nhello",
        "head 200 [OK] 1.1 keep length=5\n  Content-Length=5\n  block=38\nbody hello\nend\n"),
    ROW("no text", "HTTP/1.1 404 \r\nContent-Length: 0\r\n\r\n",
        "head 404 [] 1.1 keep length=0\n  Content-Length=0\n  block=36\nend\n"),
    ROW("no text and no space", "HTTP/1.1 500\r\nContent-Length: 0\r\n\r\n",
        "head 500 [] 1.1 keep length=0\n  Content-Length=0\n  block=35\nend\n"),
    ROW("long text", "HTTP/1.1 429 Slow \t down, \xE9\r\nContent-Length: 0\r\n\r\n",
        "head 429 [Slow \t down, \xE9] 1.1 keep length=0\n  Content-Length=0\n  block=50\nend\n"),
    ROW("chunked", OK "Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
        "head 200 [OK] 1.1 keep chunked\n  Transfer-Encoding=chunked\n  block=47\nbody hi\nend\n"),
    ROW("trailers, the forbidden ones dropped",
        OK
        "Transfer-Encoding: chunked\r\n\r\n0\r\nA: 1\r\nContent-Length: 3\r\nHost: h\r\nB: 2\r\nSet-Cookie: c\r\n\r\n",
        "head 200 [OK] 1.1 keep chunked\n  Transfer-Encoding=chunked\n  block=47\ntrailer A=1\ntrailer B=2\nend\n"),
    ROW("until the end of the connection", OK "Connection: close\r\n\r\nhello\r\n\r\nHTTP/1.1 200 OK\r\n",
        "head 200 [OK] 1.1 close\n  Connection=close\n  block=38\nbody hello\r\n\r\nHTTP/1.1 200 OK\r\n\nend\n"),
    ROW("until the end, without saying close", OK "A: b\r\n\r\nhello",
        "head 200 [OK] 1.1 close\n  A=b\n  block=25\nbody hello\nend\n"),
    ROW("until the end, empty", OK "\r\n", "head 200 [OK] 1.1 close\n  block=19\nend\n"),
    ROW("1.0", "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx",
        "head 200 [OK] 1.0 close length=1\n  Content-Length=1\n  block=38\nbody x\nend\n"),
    ROW("1.0 keep-alive", "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nx",
        "head 200 [OK] 1.0 keep length=1\n  Connection=keep-alive\n  Content-Length=1\n  block=62\nbody x\nend\n"),
    ROW("1.0 keep-alive without a length", "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\nx",
        "head 200 [OK] 1.0 close\n  Connection=keep-alive\n  block=43\nbody x\nend\n"),
    ROW("204", "HTTP/1.1 204 No Content\r\n\r\n" OK "Content-Length: 0\r\n\r\n",
        "head 204 [No Content] 1.1 keep\n  block=27\nend\nhead 200 [OK] 1.1 keep length=0\n  Content-Length=0\n"
        "  block=38\nend\n"),
    ROW("204 with a length of nothing", "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n",
        "head 204 [No Content] 1.1 keep length=0\n  Content-Length=0\n  block=46\nend\n"),
    ROW("204 that promises a body", "HTTP/1.1 204 No Content\r\nContent-Length: 3\r\n\r\n",
        "head 204 [No Content] 1.1 close length=3\n  Content-Length=3\n  block=46\nend\n"),
    ROW("204 that promises chunks", "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n",
        "head 204 [No Content] 1.1 close chunked\n  Transfer-Encoding=chunked\n  block=55\nend\n"),
    ROW("304 with the length of what was not sent", "HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\n\r\n",
        "head 304 [Not Modified] 1.1 keep length=10\n  Content-Length=10\n  block=49\nend\n"),
    ROW("interim",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" OK "Content-Length: 1\r\n\r\nx",
        "interim 100 [Continue] 1.1 keep\ninterim 103 [Early Hints] 1.1 keep\n  Link=x\n"
        "head 200 [OK] 1.1 keep length=1\n  Content-Length=1\n  block=38\nbody x\nend\n"),
    ROW("interim and nothing more", "HTTP/1.1 100 Continue\r\n\r\n", "interim 100 [Continue] 1.1 keep\nclosed 200 \n"),
    ROW("101", "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
        "head 101 [Switching Protocols] 1.1 keep upgrade\n  Connection=upgrade\n  Upgrade=websocket\n"
        "  block=77\nend\n"),
    ROW("fields that mean something in requests only",
        OK "Host: ??\r\nHost: !!\r\nExpect: x\r\nUpgrade: h2c\r\nConnection: upgrade\r\nContent-Length: 0\r\n\r\n",
        "head 200 [OK] 1.1 keep length=0\n  Host=?\?\n  Host=!!\n  Expect=x\n  Upgrade=h2c\n"
        "  Connection=upgrade\n  Content-Length=0\n"
        "  block=104\nend\n"),
    ROW("cut in the head", OK "Conte", "closed 200 \n"),
    ROW("cut in the body", OK "Content-Length: 5\r\n\r\nhel",
        "head 200 [OK] 1.1 keep length=5\n  Content-Length=5\n  block=38\nbody hel\nclosed 200 \n"),
    ROW("cut in the chunks", OK "Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n",
        "head 200 [OK] 1.1 keep chunked\n  Transfer-Encoding=chunked\n  block=47\nbody hi\nclosed 200 \n"),
    ROW("cut before the last line", OK "Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n",
        "head 200 [OK] 1.1 keep chunked\n  Transfer-Encoding=chunked\n  block=47\nbody hi\nclosed 200 \n"),
};

static void test_accepted(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof(accepted) / sizeof(accepted[0]); i++) {
        check(&accepted[i], false, weir_span_of_string(accepted[i].expected));
    }
}

static const struct row bodiless[] = {
    ROW("HEAD with a length", OK "Content-Length: 5\r\n\r\n" OK "\r\n",
        "head 200 [OK] 1.1 keep length=5\n  Content-Length=5\n  block=38\nend\nhead 200 [OK] 1.1 keep\n"
        "  block=19\nend\n"),
    ROW("HEAD with chunks", OK "Transfer-Encoding: chunked\r\n\r\n",
        "head 200 [OK] 1.1 keep chunked\n  Transfer-Encoding=chunked\n  block=47\nend\n"),
    ROW("HEAD after an interim", "HTTP/1.1 103 x\r\n\r\n" OK "Content-Length: 5\r\n\r\n",
        "interim 103 [x] 1.1 keep\nhead 200 [OK] 1.1 keep length=5\n  Content-Length=5\n  block=38\nend\n"),
};

static void test_head_requests(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof(bodiless) / sizeof(bodiless[0]); i++) {
        check(&bodiless[i], true, weir_span_of_string(bodiless[i].expected));
    }
}

#define BAD(bytes, words) ROW(words, bytes, words)
#define LINE "status line does not begin with HTTP/1.1 or HTTP/1.0"

static const struct row malformed[] = {
    BAD("\r\n" OK "\r\n", "empty line before the start line"),
    BAD("ICY 200 OK\r\n\r\n", "not the beginning of an HTTP/1 message"),
    BAD("http/1.1 200 OK\r\n\r\n", "not the beginning of an HTTP/1 message"),
    BAD("\x15\x03\x01", "not the beginning of an HTTP/1 message"),
    BAD("HTTP/2 200 OK\r\n\r\n", LINE),
    BAD("HTTP/2.0 200 OK\r\n\r\n", LINE),
    BAD("HTTP/0.9 200 OK\r\n\r\n", LINE),
    BAD("HTTP/1.1\r\n\r\n", LINE),
    BAD("HTTP/1.1 20\r\n\r\n", LINE),
    BAD("HTTP/1.1\t200 OK\r\n\r\n", LINE),
    BAD("HTTP/1.1  200 OK\r\n\r\n", "status is not three digits"),
    BAD("HTTP/1.1 2000 OK\r\n\r\n", "status is not three digits"),
    BAD("HTTP/1.1 099 OK\r\n\r\n", "status is not three digits"),
    BAD("HTTP/1.1 2x0 OK\r\n\r\n", "status is not three digits"),
    BAD("HTTP/1.1 200OK\r\n\r\n", "status is not three digits"),
    BAD("HTTP/1.1 200 O\0K\r\n\r\n", "control byte in the status line"),
    BAD("HTTP/1.1 200 OK\rA: b\r\n\r\n", "control byte in the status line"),
    BAD("HTTP/1.1 200 OK\n\n", "bare LF"),
    BAD(OK "A: b\n\r\n", "bare LF"),
    BAD(OK "A: b\r\n c\r\n\r\n", "folded field line"),
    BAD(OK "A : b\r\n\r\n", "space before the colon of a field"),
    BAD(OK "A: \x01\r\n\r\n", "control byte in a field value"),
    BAD(OK "Content-Length: 1\r\nContent-Length: 1\r\n\r\nx", "more than one Content-Length"),
    BAD(OK "Content-Length: 1\r\nContent-Length: 2\r\n\r\nx", "more than one Content-Length"),
    BAD(OK "Content-Length: -1\r\n\r\n", "Content-Length is not a number"),
    BAD(OK "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", "both Content-Length and Transfer-Encoding"),
    BAD(OK "Transfer-Encoding: gzip, chunked\r\n\r\n", "Transfer-Encoding other than chunked"),
    BAD(OK "Transfer-Encoding: identity\r\n\r\n", "Transfer-Encoding other than chunked"),
    BAD("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "Transfer-Encoding in HTTP/1.0"),
    BAD("HTTP/1.1 100 Continue\r\nContent-Length: 1\r\n\r\n", "interim response with a body"),
    BAD("HTTP/1.1 102 x\r\nTransfer-Encoding: chunked\r\n\r\n", "interim response with a body"),
};

static void test_malformed(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof(malformed) / sizeof(malformed[0]); i++) {
        char expected[200];
        snprintf(expected, sizeof(expected), "protocol_error 400 %s\n", malformed[i].expected);
        check(&malformed[i], false, weir_span_of_string(expected));
    }
}

static void test_chunk_tricks(void **state) {
    (void)state;
    static const struct {
        const char *chunks;
        const char *words;
    } tricks[] = {
        {"2;x\r\nhi\r\n0\r\n\r\n", "chunk extension"},
        {"2 \r\nhi\r\n0\r\n\r\n", "bad byte in a chunk size"},
        {"0x2\r\nhi\r\n0\r\n\r\n", "bad byte in a chunk size"},
        {"2\nhi\r\n0\r\n\r\n", "bad byte in a chunk size"},
        {"12345678901234567\r\n", "chunk size of more than 16 digits"},
        {"0\r\nA : b\r\n\r\n", "space before the colon of a field"},
    };
    for (size_t i = 0; i < sizeof(tricks) / sizeof(tricks[0]); i++) {
        char input[200];
        char expected[300];
        snprintf(input, sizeof(input), OK "Transfer-Encoding: chunked\r\n\r\n%s", tricks[i].chunks);
        snprintf(expected, sizeof(expected),
                 "head 200 [OK] 1.1 keep chunked\n  Transfer-Encoding=chunked\n  block=47\nprotocol_error 400 %s\n",
                 tricks[i].words);
        const struct row row = {.name = tricks[i].chunks, .input = weir_span_of_string(input)};
        check(&row, false, weir_span_of_string(expected));
    }
}

static void test_interim_without_end(void **state) {
    (void)state;
    struct weir_buffer input;
    weir_buffer_init(&input, WEIR_MIB);
    for (unsigned i = 0; i < 33; i++) {
        weir_buffer_append(&input, WEIR_SPAN("HTTP/1.1 102 Processing\r\n\r\n"));
    }
    for (transcript_cut cut = 0; cut < 4; cut++) {
        struct weir_buffer text = transcript_of(WEIR_HTTP1_RESPONSES, weir_buffer_span(&input), cut, false);
        assert_true(weir_span_ends_with(weir_buffer_span(&text),
                                        WEIR_SPAN("\nprotocol_error 400 too many interim responses\n")));
        weir_buffer_release(&text);
    }
    weir_buffer_release(&input);
}

/* What follows a 101 is another protocol's. */
static enum weir_status ignore_head(void *owner, const struct weir_http_head *head, struct weir_span block) {
    (void)owner;
    (void)head;
    (void)block;
    return WEIR_OK;
}
static enum weir_status ignore_body(void *owner, struct weir_span data) {
    (void)owner;
    (void)data;
    return WEIR_OK;
}
static enum weir_status refuse_end(void *owner, const struct weir_http_field *trailers, size_t count) {
    unsigned *ends = owner;
    (void)trailers;
    assert_int_equal(count, 0);
    ++*ends;
    return *ends > 1 ? WEIR_EFULL : WEIR_OK;
}
static const struct weir_http1_events quiet = {.on_head = ignore_head, .on_body = ignore_body, .on_end = refuse_end};

static void test_after_upgrade(void **state) {
    (void)state;
    unsigned ends = 0;
    struct weir_http1 *parser = weir_http1_new(WEIR_HTTP1_RESPONSES, &quiet, &ends);
    /* Interim heads with nobody to tell pass by. */
    const struct weir_span input = WEIR_SPAN("HTTP/1.1 100 x\r\n\r\nHTTP/1.1 101 x\r\n\r\n\x81\x00");
    size_t consumed = 0;
    assert_false(weir_http1_in_message(parser));
    assert_int_equal(weir_http1_feed(parser, input, &consumed), WEIR_OK);
    assert_int_equal(consumed, input.length - 2);
    assert_int_equal(ends, 1);
    assert_int_equal(weir_http1_finish(parser), WEIR_OK);
    weir_http1_free(&parser);
}

/* on_end's own failure comes out of finish as well. */
static void test_finish_passes_failure_on(void **state) {
    (void)state;
    unsigned ends = 1;
    struct weir_http1 *parser = weir_http1_new(WEIR_HTTP1_RESPONSES, &quiet, &ends);
    size_t consumed = 0;
    assert_int_equal(weir_http1_feed(parser, WEIR_SPAN(OK "\r\nabc"), &consumed), WEIR_OK);
    assert_true(weir_http1_in_message(parser));
    assert_int_equal(weir_http1_finish(parser), WEIR_EFULL);
    assert_int_equal(weir_http1_feed(parser, WEIR_SPAN(OK), &consumed), WEIR_EFULL);
    weir_http1_free(&parser);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accepted),
        cmocka_unit_test(test_head_requests),
        cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_chunk_tricks),
        cmocka_unit_test(test_interim_without_end),
        cmocka_unit_test(test_after_upgrade),
        cmocka_unit_test(test_finish_passes_failure_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
