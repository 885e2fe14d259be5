/* Heads as data: look-up, lists, moving to a copy, and the writers. */
#include "http/head.h"
#include "http/http1.h"

#include <stdlib.h>
#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

static void test_find(void **state) {
    (void)state;
    static struct weir_http_head head;
    head.field_count = 3;
    head.fields[0] = (struct weir_http_field){.name = WEIR_SPAN("X-Twice"), .value = WEIR_SPAN("1")};
    head.fields[1] = (struct weir_http_field){.name = WEIR_SPAN("Accept"), .value = WEIR_SPAN("*/*")};
    head.fields[2] = (struct weir_http_field){.name = WEIR_SPAN("x-tWICE"), .value = WEIR_SPAN("2")};
    const struct weir_span *found = weir_http_head_find(&head, WEIR_SPAN("x-twice"));
    assert_non_null(found);
    assert_true(weir_span_equal(*found, WEIR_SPAN("1")));
    assert_null(weir_http_head_find(&head, WEIR_SPAN("x-twic")));
    assert_int_equal(weir_http_head_count(&head, WEIR_SPAN("x-twice")), 2);
    assert_int_equal(weir_http_head_count(&head, WEIR_SPAN("accept")), 1);
    assert_int_equal(weir_http_head_count(&head, WEIR_SPAN("host")), 0);
}

/* ---- rebase: a head taken out of the parser's memory ---- */

struct kept {
    struct weir_http_head head;
    char *bytes;
    size_t length;
};

static enum weir_status keep(void *owner, const struct weir_http_head *head, struct weir_span block) {
    struct kept *kept = owner;
    kept->bytes = malloc(block.length);
    assert_non_null(kept->bytes);
    memcpy(kept->bytes, block.at, block.length);
    kept->length = block.length;
    kept->head = *head;
    weir_http_head_rebase(&kept->head, block.at, kept->bytes, block.length);
    return WEIR_OK;
}
static enum weir_status no_body(void *owner, struct weir_span data) {
    (void)owner;
    (void)data;
    return WEIR_EFULL;
}
static enum weir_status no_trailers(void *owner, const struct weir_http_field *trailers, size_t count) {
    (void)owner;
    (void)trailers;
    return count == 0 ? WEIR_OK : WEIR_EFULL;
}
static const struct weir_http1_events keeping = {.on_head = keep, .on_body = no_body, .on_end = no_trailers};

static void parse_and_drop(enum weir_http1_side side, struct weir_span text, struct kept *kept) {
    char *input = malloc(text.length);
    assert_non_null(input);
    memcpy(input, text.at, text.length);
    struct weir_http1 *parser = weir_http1_new(side, &keeping, kept);
    size_t consumed = 0;
    assert_int_equal(weir_http1_feed(parser, weir_span_of(input, text.length), &consumed), WEIR_OK);
    assert_int_equal(consumed, text.length);
    weir_http1_free(&parser);
    memset(input, '?', text.length);
    free(input);
}

static bool within(const struct kept *kept, struct weir_span span) {
    return span.at >= kept->bytes && span.at + span.length <= kept->bytes + kept->length;
}

static void test_rebase(void **state) {
    (void)state;
    static struct kept kept;
    parse_and_drop(WEIR_HTTP1_REQUESTS, WEIR_SPAN("GET /p?q HTTP/1.1\r\nHost: h:1\r\nEmpty:\r\n\r\n"), &kept);
    const struct weir_span spans[] = {kept.head.method,          kept.head.target,         kept.head.path,
                                      kept.head.query,           kept.head.authority,      kept.head.fields[0].name,
                                      kept.head.fields[0].value, kept.head.fields[1].name, kept.head.fields[1].value};
    static const char *const texts[] = {"GET", "/p?q", "/p", "q", "h:1", "Host", "h:1", "Empty", ""};
    for (size_t i = 0; i < sizeof(spans) / sizeof(spans[0]); i++) {
        assert_true(within(&kept, spans[i]));
        assert_true(weir_span_equal(spans[i], weir_span_of_string(texts[i])));
    }
    free(kept.bytes);
    parse_and_drop(WEIR_HTTP1_RESPONSES, WEIR_SPAN("HTTP/1.1 204 Fine\r\n\r\n"), &kept);
    assert_true(within(&kept, kept.head.status_text));
    assert_true(weir_span_equal(kept.head.status_text, WEIR_SPAN("Fine")));
    free(kept.bytes);
    /* A path that no byte of the head stands for is not moved. */
    parse_and_drop(WEIR_HTTP1_REQUESTS, WEIR_SPAN("GET http://h HTTP/1.1\r\nHost: h\r\n\r\n"), &kept);
    assert_true(weir_span_equal(kept.head.path, WEIR_SPAN("/")));
    assert_false(within(&kept, kept.head.path));
    free(kept.bytes);
}

/* ---- small grammar ---- */

static void test_lists(void **state) {
    (void)state;
    assert_true(weir_http_list_has(WEIR_SPAN("close"), WEIR_SPAN("close")));
    assert_true(weir_http_list_has(WEIR_SPAN("keep-alive,\tUpGrade "), WEIR_SPAN("upgrade")));
    assert_true(weir_http_list_has(WEIR_SPAN(",, a ,close"), WEIR_SPAN("close")));
    assert_false(weir_http_list_has(WEIR_SPAN("closed, not-close, close x"), WEIR_SPAN("close")));
    assert_false(weir_http_list_has(WEIR_SPAN(""), WEIR_SPAN("close")));
}

static void test_media_types(void **state) {
    (void)state;
    const struct weir_span json = WEIR_SPAN("application/json");
    assert_true(weir_http_media_type_is(WEIR_SPAN("application/json"), json));
    assert_true(weir_http_media_type_is(WEIR_SPAN("Application/JSON ; charset=utf-8"), json));
    assert_true(weir_http_media_type_is(WEIR_SPAN("application/json;"), json));
    assert_false(weir_http_media_type_is(WEIR_SPAN("application/jsonx"), json));
    assert_false(weir_http_media_type_is(WEIR_SPAN("text/plain; application/json"), json));
    assert_false(weir_http_media_type_is(WEIR_SPAN(""), json));
}

static void test_hop_by_hop(void **state) {
    (void)state;
    static const char *const yes[] = {"Connection",        "keep-alive", "PROXY-Authorization",
                                      "Proxy-Connection",  "TE",         "Trailer",
                                      "Transfer-Encoding", "Upgrade",    "HTTP2-Settings"};
    static const char *const no[] = {"Host", "Content-Length", "proxy-", "proxy", "T", "Trailers", "Authorization"};
    for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++) {
        assert_true(weir_http_is_hop_by_hop(weir_span_of_string(yes[i])));
    }
    for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++) {
        assert_false(weir_http_is_hop_by_hop(weir_span_of_string(no[i])));
    }
}

static void test_status_texts(void **state) {
    (void)state;
    assert_string_equal(weir_http_status_text(200), "OK");
    assert_string_equal(weir_http_status_text(100), "Continue");
    assert_string_equal(weir_http_status_text(429), "Too Many Requests");
    assert_string_equal(weir_http_status_text(431), "Request Header Fields Too Large");
    assert_string_equal(weir_http_status_text(503), "Service Unavailable");
    static const unsigned unknown[] = {0, 99, 299, 418, 599, 600, 999, 4294967295U};
    for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
        assert_string_equal(weir_http_status_text(unknown[i]), "Unknown");
    }
}

/* ---- writers ---- */

static void test_written_head(void **state) {
    (void)state;
    struct weir_buffer out;
    weir_buffer_init(&out, 1000);
    weir_http_write_request_line(&out, WEIR_SPAN("POST"), WEIR_SPAN("/v1/x?y"));
    assert_true(weir_http_write_field(&out, WEIR_SPAN("Host"), WEIR_SPAN("a")));
    assert_true(weir_http_write_field(&out, WEIR_SPAN("Empty"), WEIR_SPAN("")));
    assert_true(weir_http_write_field(&out, WEIR_SPAN("Tab"), WEIR_SPAN("a\tb\xFF")));
    weir_http_write_field_uint64(&out, WEIR_SPAN("Content-Length"), 18446744073709551615U);
    weir_http_write_head_end(&out);
    assert_int_equal(weir_buffer_status(&out), WEIR_OK);
    assert_true(weir_span_equal(weir_buffer_span(&out),
                                WEIR_SPAN("POST /v1/x?y HTTP/1.1\r\nHost: a\r\nEmpty: \r\nTab: a\tb\xFF\r\n"
                                          "Content-Length: 18446744073709551615\r\n\r\n")));
    weir_buffer_clear(&out);
    weir_http_write_status_line(&out, 404);
    assert_true(weir_span_equal(weir_buffer_span(&out), WEIR_SPAN("HTTP/1.1 404 Not Found\r\n")));
    weir_buffer_release(&out);
}

static void test_no_line_break_gets_out(void **state) {
    (void)state;
    struct weir_buffer out;
    weir_buffer_init(&out, 1000);
    static const struct weir_span values[] = {
        {"a\r\nb", 4}, {"a\r", 2}, {"\nb", 2}, {"a\0b", 3}, {"0123456789abcdef\n", 17}};
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        assert_false(weir_http_write_field(&out, WEIR_SPAN("A"), values[i]));
    }
    assert_false(weir_http_write_field(&out, WEIR_SPAN(""), WEIR_SPAN("x")));
    assert_false(weir_http_write_field(&out, WEIR_SPAN("A\r\nB"), WEIR_SPAN("x")));
    assert_false(weir_http_write_field(&out, WEIR_SPAN("A:"), WEIR_SPAN("x")));
    assert_int_equal(out.length, 0);
    assert_int_equal(weir_buffer_status(&out), WEIR_OK);
    static const char *const targets[] = {"/ HTTP/1.1\r\nA: b", "/\n", "", "/\xC3", "/ x"};
    for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
        weir_buffer_clear(&out);
        weir_http_write_request_line(&out, WEIR_SPAN("GET"), weir_span_of_string(targets[i]));
        assert_int_equal(weir_buffer_status(&out), WEIR_EINVAL);
        assert_int_equal(out.length, 0);
    }
    weir_buffer_clear(&out);
    weir_http_write_request_line(&out, WEIR_SPAN("GE T"), WEIR_SPAN("/"));
    assert_int_equal(weir_buffer_status(&out), WEIR_EINVAL);
    weir_buffer_release(&out);
}

static void test_full_buffer(void **state) {
    (void)state;
    struct weir_buffer out;
    weir_buffer_init(&out, 10);
    weir_http_write_request_line(&out, WEIR_SPAN("GET"), WEIR_SPAN("/"));
    assert_int_equal(weir_buffer_status(&out), WEIR_ELIMIT);
    weir_buffer_clear(&out);
    assert_true(weir_http_write_field(&out, WEIR_SPAN("A"), WEIR_SPAN("0123456789")));
    assert_int_equal(weir_buffer_status(&out), WEIR_ELIMIT);
    /* The first failure stays. */
    weir_http_write_request_line(&out, WEIR_SPAN("GET"), WEIR_SPAN("\n"));
    assert_int_equal(weir_buffer_status(&out), WEIR_ELIMIT);
    weir_buffer_release(&out);
}

static void test_chunk_heads(void **state) {
    (void)state;
    static const struct {
        uint64_t size;
        const char *text;
    } rows[] = {
        {1, "1\r\n"}, {15, "f\r\n"}, {16, "10\r\n"}, {0x1a2b, "1a2b\r\n"}, {UINT64_MAX, "ffffffffffffffff\r\n"}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char out[WEIR_HTTP_CHUNK_HEAD_SIZE];
        size_t length = weir_http_format_chunk_head(rows[i].size, out);
        assert_true(weir_span_equal(weir_span_of(out, length), weir_span_of_string(rows[i].text)));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_find),         cmocka_unit_test(test_rebase),
        cmocka_unit_test(test_lists),        cmocka_unit_test(test_media_types),
        cmocka_unit_test(test_hop_by_hop),   cmocka_unit_test(test_status_texts),
        cmocka_unit_test(test_written_head), cmocka_unit_test(test_no_line_break_gets_out),
        cmocka_unit_test(test_full_buffer),  cmocka_unit_test(test_chunk_heads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
