/* Requests: what is accepted and how it is understood, what is refused and with which reason. Each row is fed whole,
 * byte by byte and in random pieces. */
#include "transcript.h"

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

#define HOST "Host: a\r\n"

static void check(const char *name, struct weir_span input, struct weir_span expected) {
    for (transcript_cut cut = 0; cut < 24; cut++) {
        struct weir_buffer text = transcript_of(WEIR_HTTP1_REQUESTS, input, cut, false);
        if (!weir_span_equal(weir_buffer_span(&text), expected)) {
            fail_msg("%s, cut %u:\n%.*s---- expected:\n%.*s", name, cut, WEIR_SPAN_PRINT(weir_buffer_span(&text)),
                     WEIR_SPAN_PRINT(expected));
        }
        weir_buffer_release(&text);
    }
}

struct row {
    const char *name;
    struct weir_span input;
    const char *expected;
};
#define ROW(row_name, bytes, text) \
    { .name = row_name, .input = {.at = bytes, .length = sizeof(bytes) - 1}, .expected = text }

static const struct row accepted[] = {
    ROW("plain", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "head GET / - a 1.1 keep\n  Host=a\n  block=27\nend\n"),
    ROW("query", "GET /v1/models?a=b&c=%20? HTTP/1.1\r\n" HOST "\r\n",
        "head GET /v1/models a=b&c=%20? a 1.1 keep\n  Host=a\n  block=47\nend\n"),
    ROW("host with port, blanks around", "GET / HTTP/1.1\r\nhOST: \t example.com:8080 \t\r\n\r\n",
        "head GET / - example.com:8080 1.1 keep\n  hOST=example.com:8080\n  block=46\nend\n"),
    ROW("IPv6 host", "GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n",
        "head GET / - [::1]:80 1.1 keep\n  Host=[::1]:80\n  block=34\nend\n"),
    ROW("empty value, value with obs-text and tab", "GET / HTTP/1.1\r\n" HOST "A:\r\nB: \r\nC: x\ty\xE9\xFF\r\n\r\n",
        "head GET / - a 1.1 keep\n  Host=a\n  A=\n  B=\n  C=x\ty\xE9\xFF\n  block=46\nend\n"),
    ROW("every token byte", "GET / HTTP/1.1\r\n" HOST "aZ09!#$%&'*+-.^_`|~: 1\r\n\r\n",
        "head GET / - a 1.1 keep\n  Host=a\n  aZ09!#$%&'*+-.^_`|~=1\n  block=51\nend\n"),
    ROW("close", "GET / HTTP/1.1\r\n" HOST "Connection: foo, Close\r\n\r\n",
        "head GET / - a 1.1 close\n  Host=a\n  Connection=foo, Close\n  block=51\nend\n"),
    ROW("1.0 without Host", "GET / HTTP/1.0\r\n\r\n", "head GET / - - 1.0 close\n  block=18\nend\n"),
    ROW("1.0 keep-alive", "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n",
        "head GET / - - 1.0 keep\n  Connection=Keep-Alive\n  block=42\nend\n"),
    ROW("1.0 both", "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\nConnection: close\r\n\r\n",
        "head GET / - - 1.0 close\n  Connection=Keep-Alive\n  Connection=close\n  block=61\nend\n"),
    ROW("absolute", "GET http://h:81/p?q HTTP/1.1\r\nHost: H:81\r\n\r\n",
        "head GET /p q h:81 1.1 keep\n  Host=H:81\n  block=44\nend\n"),
    ROW("absolute, default port written once", "GET HTTPS://h:443/p HTTP/1.1\r\nHost: h\r\n\r\n",
        "head GET /p - h:443 1.1 keep\n  Host=h\n  block=41\nend\n"),
    ROW("absolute without path", "GET http://h HTTP/1.1\r\nHost: h\r\n\r\n",
        "head GET / - h 1.1 keep\n  Host=h\n  block=34\nend\n"),
    ROW("absolute with a query alone", "GET http://h?q HTTP/1.1\r\nHost: h\r\n\r\n",
        "head GET / q h 1.1 keep\n  Host=h\n  block=36\nend\n"),
    ROW("OPTIONS of all", "OPTIONS * HTTP/1.1\r\n" HOST "\r\n",
        "head OPTIONS * - a 1.1 keep\n  Host=a\n  block=31\nend\n"),
    ROW("OPTIONS of all, absolute", "OPTIONS http://a HTTP/1.1\r\n" HOST "\r\n",
        "head OPTIONS * - a 1.1 keep\n  Host=a\n  block=38\nend\n"),
    ROW("two slashes", "GET //x/ HTTP/1.1\r\n" HOST "\r\n", "head GET //x/ - a 1.1 keep\n  Host=a\n  block=30\nend\n"),
    ROW("body", "POST /a HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello",
        "head POST /a - a 1.1 keep length=5\n  Host=a\n  Content-Length=5\n  block=48\nbody hello\nend\n"),
    ROW("body of nothing", "POST /a HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n",
        "head POST /a - a 1.1 keep length=0\n  Host=a\n  Content-Length=0\n  block=48\nend\n"),
    ROW("body of GET", "GET /a HTTP/1.1\r\n" HOST "content-length: 002\r\n\r\n\r\n",
        "head GET /a - a 1.1 keep length=2\n  Host=a\n  content-length=002\n  block=49\nbody \r\n\nend\n"),
    ROW("body in 1.0", "POST / HTTP/1.0\r\nContent-Length: 1\r\n\r\nx",
        "head POST / - - 1.0 close length=1\n  Content-Length=1\n  block=38\nbody x\nend\n"),
    ROW("expect", "POST / HTTP/1.1\r\n" HOST "Expect: 100-Continue\r\nContent-Length: 1\r\n\r\nx",
        "head POST / - a 1.1 keep length=1 continue\n  Host=a\n  Expect=100-Continue\n  Content-Length=1\n"
        "  block=69\nbody x\nend\n"),
    ROW("expect in 1.0 means nothing", "POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx",
        "head POST / - - 1.0 close length=1\n  Expect=100-continue\n  Content-Length=1\n  block=60\nbody x\nend\n"),
    ROW("upgrade", "GET / HTTP/1.1\r\n" HOST "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n",
        "head GET / - a 1.1 keep upgrade\n  Host=a\n  Connection=keep-alive, Upgrade\n  Upgrade=websocket\n"
        "  block=80\nend\n"),
    ROW("upgrade not announced", "GET / HTTP/1.1\r\n" HOST "Upgrade: websocket\r\n\r\n",
        "head GET / - a 1.1 keep\n  Host=a\n  Upgrade=websocket\n  block=47\nend\n"),
    ROW("upgrade with a body",
        "POST / HTTP/1.1\r\n" HOST "Connection: upgrade\r\nUpgrade: h2c\r\nContent-Length: 2\r\n\r\nhi",
        "head POST / - a 1.1 keep length=2 upgrade\n  Host=a\n  Connection=upgrade\n  Upgrade=h2c\n"
        "  Content-Length=2\n  block=82\nbody hi\nend\n"),
    ROW("chunks",
        "POST / HTTP/1.1\r\n" HOST "transfer-encoding: Chunked\r\n\r\n3\r\nabc\r\n00A\r\n0123456789\r\n0\r\n\r\n",
        "head POST / - a 1.1 keep chunked\n  Host=a\n  transfer-encoding=Chunked\n  block=56\n"
        "body abc0123456789\nend\n"),
    ROW("no chunks", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0000000000000000\r\n\r\n",
        "head POST / - a 1.1 keep chunked\n  Host=a\n  Transfer-Encoding=chunked\n  block=56\nend\n"),
    ROW("trailers",
        "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nA: b\r\nC:\t d \r\n\r\n",
        "head POST / - a 1.1 keep chunked\n  Host=a\n  Transfer-Encoding=chunked\n  block=56\nbody x\n"
        "trailer A=b\ntrailer C=d\nend\n"),
    ROW("pipelined",
        "GET /1 HTTP/1.1\r\n" HOST "\r\nPOST /2 HTTP/1.1\r\n" HOST "Content-Length: 1\r\n\r\nxGET /3 HTTP/1.1\r\n" HOST
        "\r\n",
        "head GET /1 - a 1.1 keep\n  Host=a\n  block=28\nend\nhead POST /2 - a 1.1 keep length=1\n  Host=a\n"
        "  Content-Length=1\n"
        "  block=48\nbody x\nend\nhead GET /3 - a 1.1 keep\n  Host=a\n  block=28\nend\n"),
    ROW("pipelined after chunks",
        "POST / HTTP/1.1\r\n" HOST
        "Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nT: 1\r\n\r\nGET / HTTP/1.1\r\n" HOST "\r\n",
        "head POST / - a 1.1 keep chunked\n  Host=a\n  Transfer-Encoding=chunked\n  block=56\nbody x\n"
        "trailer T=1\nend\n"
        "head GET / - a 1.1 keep\n  Host=a\n  block=27\nend\n"),
};

static void test_accepted(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof(accepted) / sizeof(accepted[0]); i++) {
        check(accepted[i].name, accepted[i].input, weir_span_of_string(accepted[i].expected));
    }
}

static void test_every_method(void **state) {
    (void)state;
    static const char *const names[] = {"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char input[64];
        char expected[64];
        int length = snprintf(input, sizeof(input), "%s / HTTP/1.1\r\nHost: a\r\n\r\n", names[i]);
        snprintf(expected, sizeof(expected), "head %s / - a 1.1 keep\n  Host=a\n  block=%d\nend\n", names[i], length);
        check(names[i], weir_span_of_string(input), weir_span_of_string(expected));
    }
}

/* Refused before on_head. */
#define BAD(line, words) ROW(words, line, words)
#define FIELD(line, words) ROW(words, "POST / HTTP/1.1\r\n" HOST line "\r\n\r\n0\r\n\r\n", words)

static const struct row malformed[] = {
    BAD("\r\nGET / HTTP/1.1\r\n" HOST "\r\n", "empty line before the start line"),
    BAD("\nGET / HTTP/1.1\r\n" HOST "\r\n", "empty line before the start line"),
    BAD(" GET / HTTP/1.1\r\n" HOST "\r\n", "not the beginning of an HTTP/1 message"),
    BAD("\x16\x03\x01\x02", "not the beginning of an HTTP/1 message"),
    BAD("get / HTTP/1.1\r\n" HOST "\r\n", "not the beginning of an HTTP/1 message"),
    BAD("FOO / HTTP/1.1\r\n" HOST "\r\n", "unknown method"),
    BAD("GETS / HTTP/1.1\r\n" HOST "\r\n", "unknown method"),
    BAD("Get / HTTP/1.1\r\n" HOST "\r\n", "unknown method"),
    BAD("PURGE / HTTP/1.1\r\n" HOST "\r\n", "unknown method"),
    BAD("PROPFIND / HTTP/1.1\r\n" HOST "\r\n", "unknown method"),
    BAD("DESCRIBE / RTSP/1.0\r\n" HOST "\r\n", "unknown method"),
    BAD("SOURCE / ICE/1.0\r\n" HOST "\r\n", "unknown method"),
    BAD("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "unknown method"),
    BAD("GET\r\n\r\n", "unknown method"),
    BAD("GET\t/ HTTP/1.1\r\n" HOST "\r\n", "unknown method"),
    BAD("CONNECT a:443 HTTP/1.1\r\n" HOST "\r\n", "CONNECT is not served"),
    BAD("GET  / HTTP/1.1\r\n" HOST "\r\n", "doubled space in the request line"),
    BAD("GET /\r\n\r\n", "request line does not end in one space and HTTP/1.1 or HTTP/1.0"),
    BAD("GET /  HTTP/1.1\r\n" HOST "\r\n", "request line does not end in one space and HTTP/1.1 or HTTP/1.0"),
    BAD("GET / HTTP/1.1 \r\n" HOST "\r\n", "request line does not end in one space and HTTP/1.1 or HTTP/1.0"),
    BAD("GET / x HTTP/1.1\r\n" HOST "\r\n", "request line does not end in one space and HTTP/1.1 or HTTP/1.0"),
    BAD("GET / HTTP/0.9\r\n" HOST "\r\n", "request line does not end in one space and HTTP/1.1 or HTTP/1.0"),
    BAD("GET / HTTP/1.2\r\n" HOST "\r\n", "request line does not end in one space and HTTP/1.1 or HTTP/1.0"),
    BAD("GET / HTTP/2.0\r\n" HOST "\r\n", "request line does not end in one space and HTTP/1.1 or HTTP/1.0"),
    BAD("GET / HTTP/11\r\n" HOST "\r\n", "request line does not end in one space and HTTP/1.1 or HTTP/1.0"),
    BAD("GET / HTTP/1.10\r\n" HOST "\r\n", "request line does not end in one space and HTTP/1.1 or HTTP/1.0"),
    BAD("GET / http/1.1\r\n" HOST "\r\n", "request line does not end in one space and HTTP/1.1 or HTTP/1.0"),
    BAD("GET / HTTP/1.1\r\r\n" HOST "\r\n", "request line does not end in one space and HTTP/1.1 or HTTP/1.0"),
    BAD("GET x HTTP/1.1\r\n" HOST "\r\n", "request target is neither a path nor an http URL"),
    BAD("GET ftp://a/ HTTP/1.1\r\n" HOST "\r\n", "request target is neither a path nor an http URL"),
    BAD("GET http:/a/ HTTP/1.1\r\n" HOST "\r\n", "request target is neither a path nor an http URL"),
    BAD("GET http:///x HTTP/1.1\r\n" HOST "\r\n", "request target is neither a path nor an http URL"),
    BAD("GET http://u@a/ HTTP/1.1\r\n" HOST "\r\n", "request target is neither a path nor an http URL"),
    BAD("GET http://a:0/ HTTP/1.1\r\n" HOST "\r\n", "request target is neither a path nor an http URL"),
    BAD("GET * HTTP/1.1\r\n" HOST "\r\n", "request target * with a method other than OPTIONS"),
    BAD("OPTIONS *x HTTP/1.1\r\n" HOST "\r\n", "request target is neither a path nor an http URL"),
    BAD("GET /#a HTTP/1.1\r\n" HOST "\r\n", "fragment in the request target"),
    BAD("GET http://a/#a HTTP/1.1\r\n" HOST "\r\n", "fragment in the request target"),
    BAD("GET /\xC3\xA9 HTTP/1.1\r\n" HOST "\r\n", "bad byte in the request target"),
    BAD("GET /\x7F HTTP/1.1\r\n" HOST "\r\n", "bad byte in the request target"),
    BAD("GET /\t HTTP/1.1\r\n" HOST "\r\n", "bad byte in the request target"),
    BAD("GET /\0 HTTP/1.1\r\n" HOST "\r\n", "bad byte in the request target"),
    BAD("GET /\rX: y HTTP/1.1\r\n" HOST "\r\n", "bad byte in the request target"),
    BAD("GET / HTTP/1.1\n" HOST "\r\n", "bare LF"),
    BAD("GET / HTTP/1.1\r\nHost: a\n\r\n", "bare LF"),
    BAD("GET / HTTP/1.1\r\nHost: a\r\n\n", "bare LF"),
    BAD("GET / HTTP/1.1\n\nrest", "bare LF"),
    BAD("GET / HTTP/1.1\r\n\r\n", "no Host"),
    BAD("GET http://a/ HTTP/1.1\r\n\r\n", "no Host"),
    BAD("GET / HTTP/1.1\r\nHost:\r\n\r\n", "Host is not a host and port"),
    BAD("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", "Host is not a host and port"),
    BAD("GET / HTTP/1.1\r\nHost: a,b\r\n\r\n", "Host is not a host and port"),
    BAD("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", "Host is not a host and port"),
    BAD("GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", "Host is not a host and port"),
    BAD("GET / HTTP/1.1\r\nHost: a:\r\n\r\n", "Host is not a host and port"),
    BAD("GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n", "Host is not a host and port"),
    BAD("GET / HTTP/1.1\r\nHost: a:8x\r\n\r\n", "Host is not a host and port"),
    BAD("GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", "Host is not a host and port"),
    BAD("GET / HTTP/1.1\r\nHost: [::1]x\r\n\r\n", "Host is not a host and port"),
    BAD("GET / HTTP/1.1\r\nHost: [v1.x]\r\n\r\n", "Host is not a host and port"),
    BAD("GET / HTTP/1.0\r\nHost: ?\r\n\r\n", "Host is not a host and port"),
    BAD("GET / HTTP/1.1\r\n" HOST HOST "\r\n", "more than one Host"),
    BAD("GET / HTTP/1.1\r\n" HOST "hOsT: b\r\n\r\n", "more than one Host"),
    BAD("GET / HTTP/1.0\r\n" HOST HOST "\r\n", "more than one Host"),
    BAD("GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n", "Host differs from the request target"),
    BAD("GET http://a/ HTTP/1.1\r\nHost: a:81\r\n\r\n", "Host differs from the request target"),
    BAD("GET / HTTP/1.1\r\n" HOST " b\r\n\r\n", "folded field line"),
    BAD("GET / HTTP/1.1\r\n " HOST "\r\n", "folded field line"),
    FIELD("A: b\r\n\tc", "folded field line"),
    FIELD(": b", "empty field name"),
    FIELD("A : b", "space before the colon of a field"),
    FIELD("A\t: b", "space before the colon of a field"),
    FIELD("Content-Length : 5", "space before the colon of a field"),
    FIELD("A b: c", "space before the colon of a field"),
    FIELD("A", "field line without a colon"),
    FIELD("A\xE9: b", "bad byte in a field name"),
    FIELD("A\0: b", "bad byte in a field name"),
    FIELD("A(b): c", "bad byte in a field name"),
    FIELD("A\rB: c", "bad byte in a field name"),
    FIELD("A: b\rB: c", "control byte in a field value"),
    FIELD("A: b\r\r", "control byte in a field value"),
    FIELD("A: b\0c", "control byte in a field value"),
    FIELD("A: \x1F", "control byte in a field value"),
    FIELD("A: 01234567890123456789\x7F 0123456789", "control byte in a field value"),
    FIELD("A: \x0B", "control byte in a field value"),
};

/* The framing of bodies: where smuggling lives. */
static const struct row smuggling[] = {
    FIELD("Content-Length: 5\r\nTransfer-Encoding: chunked", "both Content-Length and Transfer-Encoding"),
    FIELD("Transfer-Encoding: chunked\r\nContent-Length: 5", "both Content-Length and Transfer-Encoding"),
    FIELD("Content-Length: 0\r\ntransfer-encoding: chunked", "both Content-Length and Transfer-Encoding"),
    FIELD("Content-Length: 5\r\nContent-Length: 5", "more than one Content-Length"),
    FIELD("Content-Length: 5\r\nContent-length: 6", "more than one Content-Length"),
    FIELD("Content-Length: 5, 5", "Content-Length is not a number"),
    FIELD("Content-Length: +5", "Content-Length is not a number"),
    FIELD("Content-Length: -5", "Content-Length is not a number"),
    FIELD("Content-Length: 0x5", "Content-Length is not a number"),
    FIELD("Content-Length: 5.0", "Content-Length is not a number"),
    FIELD("Content-Length: 5 5", "Content-Length is not a number"),
    FIELD("Content-Length:", "Content-Length is not a number"),
    FIELD("Content-Length: \t5", "Content-Length is not a number"),
    FIELD("Content-Length: 5\t", "Content-Length is not a number"),
    FIELD("Content-Length: 9223372036854775808", "Content-Length is not a number"),
    FIELD("Content-Length: 18446744073709551616", "Content-Length is not a number"),
    FIELD("Content-Length: 18446744073709551621", "Content-Length is not a number"),
    FIELD("Transfer-Encoding: xchunked", "Transfer-Encoding other than chunked"),
    FIELD("Transfer-Encoding: chunkedx", "Transfer-Encoding other than chunked"),
    FIELD("Transfer-Encoding: chunked, identity", "Transfer-Encoding other than chunked"),
    FIELD("Transfer-Encoding: identity, chunked", "Transfer-Encoding other than chunked"),
    FIELD("Transfer-Encoding: gzip, chunked", "Transfer-Encoding other than chunked"),
    FIELD("Transfer-Encoding: chunked, chunked", "Transfer-Encoding other than chunked"),
    FIELD("Transfer-Encoding: chunked,", "Transfer-Encoding other than chunked"),
    FIELD("Transfer-Encoding: ,chunked", "Transfer-Encoding other than chunked"),
    FIELD("Transfer-Encoding: chunked;x=y", "Transfer-Encoding other than chunked"),
    FIELD("Transfer-Encoding: \"chunked\"", "Transfer-Encoding other than chunked"),
    FIELD("Transfer-Encoding: identity", "Transfer-Encoding other than chunked"),
    FIELD("Transfer-Encoding: gzip", "Transfer-Encoding other than chunked"),
    FIELD("Transfer-Encoding:", "Transfer-Encoding other than chunked"),
    FIELD("Transfer-Encoding:\tchunked", "Transfer-Encoding other than chunked"),
    FIELD("Transfer-Encoding: chunked\t", "Transfer-Encoding other than chunked"),
    FIELD("Transfer-Encoding: \x0B"
          "chunked",
          "control byte in a field value"),
    FIELD("Transfer-Encoding\x0B: chunked", "bad byte in a field name"),
    FIELD(" Transfer-Encoding: chunked", "folded field line"),
    FIELD("X: y\r\n Transfer-Encoding: chunked", "folded field line"),
    FIELD("Transfer-Encoding:\r\n chunked", "folded field line"),
    FIELD("Transfer-Encoding : chunked", "space before the colon of a field"),
    FIELD("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", "more than one Transfer-Encoding"),
    FIELD("Transfer-Encoding: chunked\r\nTransfer-encoding: cow", "more than one Transfer-Encoding"),
    FIELD("X: y\nTransfer-Encoding: chunked", "bare LF"),
    FIELD("X: y\rTransfer-Encoding: chunked", "control byte in a field value"),
    BAD("POST / HTTP/1.0\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "Transfer-Encoding in HTTP/1.0"),
};

static void check_refused(const struct row *rows, size_t count) {
    for (size_t i = 0; i < count; i++) {
        char expected[200];
        snprintf(expected, sizeof(expected), "protocol_error 400 %s\n", rows[i].expected);
        char name[200];
        snprintf(name, sizeof(name), "row %zu (%s)", i, rows[i].name);
        check(name, rows[i].input, weir_span_of_string(expected));
    }
}

static void test_malformed(void **state) {
    (void)state;
    check_refused(malformed, sizeof(malformed) / sizeof(malformed[0]));
}

static void test_smuggling(void **state) {
    (void)state;
    check_refused(smuggling, sizeof(smuggling) / sizeof(smuggling[0]));
}

/* `bytes` after a chunked head, the body that comes out before the refusal. */
static const struct {
    struct weir_span input;
    const char *body;
    const char *words;
} chunk_tricks[] = {
#define CHUNKS(bytes, given, text) \
    { {.at = bytes, .length = sizeof(bytes) - 1}, given, text }
    CHUNKS("5;a=b\r\nhello\r\n0\r\n\r\n", "", "chunk extension"),
    CHUNKS("5;\r\nhello\r\n0\r\n\r\n", "", "chunk extension"),
    CHUNKS("5 ;a\r\nhello\r\n0\r\n\r\n", "", "bad byte in a chunk size"),
    CHUNKS("5 \r\nhello\r\n0\r\n\r\n", "", "bad byte in a chunk size"),
    CHUNKS(" 5\r\nhello\r\n0\r\n\r\n", "", "bad byte in a chunk size"),
    CHUNKS("5\t\r\nhello\r\n0\r\n\r\n", "", "bad byte in a chunk size"),
    CHUNKS("0x5\r\nhello\r\n0\r\n\r\n", "", "bad byte in a chunk size"),
    CHUNKS("+5\r\nhello\r\n0\r\n\r\n", "", "bad byte in a chunk size"),
    CHUNKS("-5\r\nhello\r\n0\r\n\r\n", "", "bad byte in a chunk size"),
    CHUNKS("5_0\r\nhello\r\n0\r\n\r\n", "", "bad byte in a chunk size"),
    CHUNKS("g\r\n", "", "bad byte in a chunk size"),
    CHUNKS("\r\n", "", "bad byte in a chunk size"),
    CHUNKS("\0", "", "bad byte in a chunk size"),
    CHUNKS("5\nhello\r\n0\r\n\r\n", "", "bad byte in a chunk size"),
    CHUNKS("5\r\r\nhello\r\n0\r\n\r\n", "", "chunk size not ended by CRLF"),
    CHUNKS("5\rXhello\r\n0\r\n\r\n", "", "chunk size not ended by CRLF"),
    CHUNKS("00000000000000005\r\nhello\r\n0\r\n\r\n", "", "chunk size of more than 16 digits"),
    CHUNKS("10000000000000005\r\nhello\r\n0\r\n\r\n", "", "chunk size of more than 16 digits"),
    CHUNKS("5\r\nhello\n0\r\n\r\n", "hello", "chunk not ended by CRLF"),
    CHUNKS("5\r\nhello\rX0\r\n\r\n", "hello", "chunk not ended by CRLF"),
    CHUNKS("5\r\nhelloX\r\n0\r\n\r\n", "hello", "chunk not ended by CRLF"),
    CHUNKS("5\r\nhello0\r\n\r\n", "hello", "chunk not ended by CRLF"),
    CHUNKS("5\r\nhello\r\n\r\n0\r\n\r\n", "hello", "bad byte in a chunk size"),
    CHUNKS("0\n\n", "", "bad byte in a chunk size"),
    CHUNKS("0\r\n\n", "", "bare LF"),
    CHUNKS("0\r\nA: b\n\r\n", "", "bare LF"),
    CHUNKS("0\r\nA : b\r\n\r\n", "", "space before the colon of a field"),
    CHUNKS("0\r\nA: b\r\n c\r\n\r\n", "", "folded field line"),
    CHUNKS("0\r\nA: b\0\r\n\r\n", "", "control byte in a field value"),
    CHUNKS("0\r\nContent-Length: 5\r\n\r\n", "", "field not allowed in a trailer"),
    CHUNKS("0\r\nA: b\r\ntransfer-encoding: chunked\r\n\r\n", "", "field not allowed in a trailer"),
    CHUNKS("0\r\nHost: b\r\n\r\n", "", "field not allowed in a trailer"),
    CHUNKS("0\r\nAuthorization: Bearer x\r\n\r\n", "", "field not allowed in a trailer"),
    CHUNKS("0\r\nConnection: close\r\n\r\n", "", "field not allowed in a trailer"),
    CHUNKS("0\r\nProxy-Anything: x\r\n\r\n", "", "field not allowed in a trailer"),
#undef CHUNKS
};

static void test_chunk_tricks(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof(chunk_tricks) / sizeof(chunk_tricks[0]); i++) {
        struct weir_buffer input;
        struct weir_buffer expected;
        weir_buffer_init(&input, WEIR_MIB);
        weir_buffer_init(&expected, WEIR_MIB);
        weir_buffer_append(&input, WEIR_SPAN("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"));
        weir_buffer_append(&input, chunk_tricks[i].input);
        weir_buffer_append(&expected,
                           WEIR_SPAN("head POST / - a 1.1 keep chunked\n  Host=a\n  Transfer-Encoding=chunked\n"
                                     "  block=56\n"));
        if (chunk_tricks[i].body[0] != '\0') {
            weir_buffer_printf(&expected, "body %s\n", chunk_tricks[i].body);
        }
        weir_buffer_printf(&expected, "protocol_error 400 %s\n", chunk_tricks[i].words);
        char name[40];
        snprintf(name, sizeof(name), "chunk trick %zu", i);
        check(name, weir_buffer_span(&input), weir_buffer_span(&expected));
        weir_buffer_release(&input);
        weir_buffer_release(&expected);
    }
}

/* The largest chunk size there is: it is taken, and nothing overflows. */
static void test_chunk_size_maximum(void **state) {
    (void)state;
    check("ffff…",
          WEIR_SPAN("POST / HTTP/1.1\r\n" HOST
                    "Transfer-Encoding: chunked\r\n\r\nffffffffffffFFFF\r\nabc\r\n0\r\n\r\n"),
          WEIR_SPAN("head POST / - a 1.1 keep chunked\n  Host=a\n  Transfer-Encoding=chunked\n  block=56\n"
                    "body abc\r\n0\r\n\r\n\nclosed 200 \n"));
}

static void test_expectation(void **state) {
    (void)state;
    static const char *const values[] = {"200-ok", "100-continue, x", "", "100-continue\r\nExpect: y",
                                         "y\r\nExpect: 100-continue"};
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        char input[120];
        snprintf(input, sizeof(input), "POST / HTTP/1.1\r\nHost: a\r\nExpect: %s\r\n\r\n", values[i]);
        check(values[i], weir_span_of_string(input), WEIR_SPAN("protocol_error 417 Expect other than 100-continue\n"));
    }
}

/* ---- limits, at their edges ---- */

/* A request with a target of `target` bytes, `fields` fields, and padded by one long field to `total` bytes of head. */
static struct weir_buffer sized_request(size_t target, size_t fields, size_t total) {
    struct weir_buffer input;
    weir_buffer_init(&input, WEIR_MIB);
    weir_buffer_append(&input, WEIR_SPAN("GET /"));
    for (size_t i = 1; i < target; i++) {
        weir_buffer_append_byte(&input, 'p');
    }
    weir_buffer_append(&input, WEIR_SPAN(" HTTP/1.1\r\n" HOST));
    for (size_t i = 1; i < fields; i++) {
        weir_buffer_append(&input, WEIR_SPAN("F: v\r\n"));
    }
    if (total > 0) {
        weir_buffer_append(&input, WEIR_SPAN("P: "));
        while (input.length + 4 < total) {
            weir_buffer_append_byte(&input, 'v');
        }
        weir_buffer_append(&input, WEIR_SPAN("\r\n"));
    }
    weir_buffer_append(&input, WEIR_SPAN("\r\n"));
    assert_int_equal(weir_buffer_status(&input), WEIR_OK);
    return input;
}

static void check_sized(struct weir_buffer input, const char *end) {
    for (transcript_cut cut = 0; cut < 6; cut++) {
        struct weir_buffer text = transcript_of(WEIR_HTTP1_REQUESTS, weir_buffer_span(&input), cut, false);
        assert_true(weir_span_ends_with(weir_buffer_span(&text), weir_span_of_string(end)));
        weir_buffer_release(&text);
    }
    weir_buffer_release(&input);
}

static void test_limits(void **state) {
    (void)state;
    check_sized(sized_request(1, 1, WEIR_MAX_HEAD_BYTES), "block=65536\nend\n");
    check_sized(sized_request(1, 1, WEIR_MAX_HEAD_BYTES + 1), "limit 431 head over 64 KiB\n");
    check_sized(sized_request(1, 1, 3 * WEIR_MAX_HEAD_BYTES), "limit 431 head over 64 KiB\n");
    check_sized(sized_request(1, 100, 0), "end\n");
    check_sized(sized_request(1, 101, 0), "limit 431 more than 100 fields\n");
    check_sized(sized_request(WEIR_MAX_URI_BYTES, 1, 0), "end\n");
    check_sized(sized_request(WEIR_MAX_URI_BYTES + 1, 1, 0), "limit 414 request target over 16 KiB\n");
    check_sized(sized_request(5 * WEIR_MAX_URI_BYTES, 1, 0), "limit 414 request target over 16 KiB\n");
}

/* Trailers of exactly `total` bytes, their blank line included. */
static struct weir_buffer sized_trailers(size_t fields, size_t total) {
    struct weir_buffer input;
    weir_buffer_init(&input, WEIR_MIB);
    weir_buffer_append(&input, WEIR_SPAN("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0\r\n"));
    size_t start = input.length;
    for (size_t i = 0; i < fields; i++) {
        weir_buffer_append(&input, WEIR_SPAN("F: v\r\n"));
    }
    if (total > 0) {
        weir_buffer_append(&input, WEIR_SPAN("P: "));
        while (input.length - start + 4 < total) {
            weir_buffer_append_byte(&input, 'v');
        }
        weir_buffer_append(&input, WEIR_SPAN("\r\n"));
    }
    weir_buffer_append(&input, WEIR_SPAN("\r\n"));
    return input;
}

static void test_trailer_limits(void **state) {
    (void)state;
    check_sized(sized_trailers(0, WEIR_MAX_TRAILER_BYTES), "v\nend\n");
    check_sized(sized_trailers(0, WEIR_MAX_TRAILER_BYTES + 1), "limit 431 trailers over 16 KiB\n");
    check_sized(sized_trailers(100, 0), "trailer F=v\nend\n");
    check_sized(sized_trailers(101, 0), "limit 431 more than 100 fields\n");
}

/* Between pipelined requests there are no empty lines either. */
static void test_empty_line_between(void **state) {
    (void)state;
    check("between", WEIR_SPAN("GET / HTTP/1.1\r\n" HOST "\r\n\r\nGET / HTTP/1.1\r\n" HOST "\r\n"),
          WEIR_SPAN("head GET / - a 1.1 keep\n  Host=a\n  block=27\nend\n"
                    "protocol_error 400 empty line before the start line\n"));
}

static void test_cut_short(void **state) {
    (void)state;
    check("nothing", WEIR_SPAN(""), WEIR_SPAN(""));
    check("half a head", WEIR_SPAN("GET / HTTP/1.1\r\nHo"), WEIR_SPAN("closed 200 \n"));
    check("half a body", WEIR_SPAN("POST / HTTP/1.0\r\nContent-Length: 3\r\n\r\nab"),
          WEIR_SPAN("head POST / - - 1.0 close length=3\n  Content-Length=3\n  block=38\nbody ab\nclosed 200 \n"));
    check("half a trailer", WEIR_SPAN("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0\r\nA: b\r\n"),
          WEIR_SPAN(
              "head POST / - a 1.1 keep chunked\n  Host=a\n  Transfer-Encoding=chunked\n  block=56\nclosed 200 \n"));
}

/* ---- the interface ---- */

struct stopper {
    enum weir_status head, body, end;
    unsigned calls;
};
static enum weir_status stop_at_head(void *owner, const struct weir_http_head *head, struct weir_span block) {
    struct stopper *stopper = owner;
    (void)head;
    (void)block;
    stopper->calls++;
    return stopper->head;
}
static enum weir_status stop_at_body(void *owner, struct weir_span data) {
    struct stopper *stopper = owner;
    (void)data;
    stopper->calls++;
    return stopper->body;
}
static enum weir_status stop_at_end(void *owner, const struct weir_http_field *trailers, size_t count) {
    struct stopper *stopper = owner;
    (void)trailers;
    (void)count;
    stopper->calls++;
    return stopper->end;
}
static const struct weir_http1_events stopper_events = {.on_head = stop_at_head,
                                                        .on_body = stop_at_body,
                                                        .on_end = stop_at_end};

static void test_callback_failures(void **state) {
    (void)state;
    struct stopper stoppers[] = {{.head = WEIR_EFULL}, {.body = WEIR_EFULL}, {.end = WEIR_EFULL}};
    const struct weir_span input = WEIR_SPAN("POST / HTTP/1.1\r\n" HOST "Content-Length: 1\r\n\r\nxGET");
    for (unsigned i = 0; i < 3; i++) {
        struct weir_http1 *parser = weir_http1_new(WEIR_HTTP1_REQUESTS, &stopper_events, &stoppers[i]);
        size_t consumed = 0;
        assert_int_equal(weir_http1_feed(parser, input, &consumed), WEIR_EFULL);
        assert_int_equal(stoppers[i].calls, i + 1);
        assert_int_equal(weir_http1_reason(parser), WEIR_REASON_NONE);
        assert_int_equal(weir_http1_feed(parser, input, &consumed), WEIR_EFULL);
        assert_int_equal(consumed, 0);
        assert_int_equal(stoppers[i].calls, i + 1);
        weir_http1_reset(parser);
        stoppers[i] = (struct stopper){.head = WEIR_OK};
        assert_int_equal(weir_http1_feed(parser, input, &consumed), WEIR_OK);
        assert_int_equal(consumed, input.length - 3);
        assert_int_equal(weir_http1_feed(parser, input, &consumed), WEIR_OK);
        assert_int_equal(consumed, 0);
        weir_http1_free(&parser);
        assert_null(parser);
    }
    struct weir_http1 *none = NULL;
    weir_http1_free(&none);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accepted),       cmocka_unit_test(test_every_method),
        cmocka_unit_test(test_malformed),      cmocka_unit_test(test_smuggling),
        cmocka_unit_test(test_chunk_tricks),   cmocka_unit_test(test_chunk_size_maximum),
        cmocka_unit_test(test_expectation),    cmocka_unit_test(test_limits),
        cmocka_unit_test(test_trailer_limits), cmocka_unit_test(test_empty_line_between),
        cmocka_unit_test(test_cut_short),      cmocka_unit_test(test_callback_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
