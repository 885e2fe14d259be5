/* Server-sent events: every line end, every field, cut everywhere. */
#include "sse_transcript.h"

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

static void check_limited(struct weir_span input, size_t max_event_bytes, struct weir_span expected) {
    for (transcript_cut cut = 0; cut < 40; cut++) {
        struct weir_buffer text = sse_transcript_of(input, max_event_bytes, cut);
        if (!weir_span_equal(weir_buffer_span(&text), expected)) {
            fail_msg("cut %u of %.*s\n got: %.*s\nnot: %.*s", cut, WEIR_SPAN_PRINT(input),
                     WEIR_SPAN_PRINT(weir_buffer_span(&text)), WEIR_SPAN_PRINT(expected));
        }
        weir_buffer_release(&text);
    }
}

static void check(struct weir_span input, struct weir_span expected) {
    check_limited(input, 10000, expected);
}

/* The same in two pieces, cut at each byte in turn. */
static void check_every_cut(struct weir_span input, struct weir_span expected) {
    for (size_t at = 0; at <= input.length; at++) {
        struct weir_sse sse;
        struct weir_buffer text;
        weir_buffer_init(&text, WEIR_MIB);
        weir_sse_init(&sse, 10000);
        for (unsigned half = 0; half < 2; half++) {
            struct weir_span data = half == 0 ? weir_span_first(input, at) : weir_span_from(input, at);
            struct weir_sse_event event;
            enum weir_status status;
            while ((status = weir_sse_next(&sse, &data, &event)) == WEIR_OK) {
                sse_transcript_event(&text, &event);
            }
            assert_int_equal(status, WEIR_AGAIN);
            assert_int_equal(data.length, 0);
        }
        weir_buffer_append(&text, WEIR_SPAN("["));
        weir_buffer_append(&text, weir_sse_rest(&sse));
        weir_buffer_append(&text, WEIR_SPAN("]"));
        assert_true(weir_span_equal(weir_buffer_span(&text), expected));
        weir_buffer_release(&text);
        weir_sse_release(&sse);
    }
}

static void test_table(void **state) {
    (void)state;
    static const struct {
        const char *input, *expected;
    } rows[] = {
        {"", "[]"},
        {"data: a\n\n", "<|a|data: a\n\n>[]"},
        {"data: a\n\ndata: b\n\n", "<|a|data: a\n\n><|b|data: b\n\n>[]"},
        {"data: a\r\n\r\ndata: b\r\n\r\n", "<|a|data: a\r\n\r\n><|b|data: b\r\n\r\n>[]"},
        {"data: a\r\rdata: b\r\r", "<|a|data: a\r\r><|b|data: b\r\r>[]"},
        /* Line ends mixed. */
        {"data: a\n\r\ndata: b\n\n", "<|a|data: a\n\r\n><|b|data: b\n\n>[]"},
        {"data: a\r\n\ndata: b\n\n", "<|a|data: a\r\n\n><|b|data: b\n\n>[]"},
        {"data: a\n\rdata: b\n\n", "<|a|data: a\n\r><|b|data: b\n\n>[]"},
        {"data: a\r\n\rdata: b\n\n", "<|a|data: a\r\n\r><|b|data: b\n\n>[]"},
        {"data: a\rdata: b\ndata: c\r\ndata: d\n\n", "<|a\nb\nc\nd|data: a\rdata: b\ndata: c\r\ndata: d\n\n>[]"},
        /* After CR CR the event is out; an LF that follows is dropped. */
        {"data: a\r\r\ndata: b\r\r", "<|a|data: a\r\r><|b|data: b\r\r>[]"},
        {"data: a\r\r\n\ndata: b\n\n", "<|a|data: a\r\r><|-|\n><|b|data: b\n\n>[]"},
        /* Fields. */
        {"data:a\n\n", "<|a|data:a\n\n>[]"},
        {"data:  a \n\n", "<| a |data:  a \n\n>[]"},
        {"data\n\n", "<||data\n\n>[]"},
        {"data:\n\n", "<||data:\n\n>[]"},
        {"data: a\ndata: b\n\n", "<|a\nb|data: a\ndata: b\n\n>[]"},
        {"data\ndata\n\n", "<|\n|data\ndata\n\n>[]"},
        {"data: a\ndata\ndata: c\n\ndata: d\ndata: e\n\n",
         "<|a\n\nc|data: a\ndata\ndata: c\n\n><|d\ne|data: d\ndata: e\n\n>[]"},
        {"event: ping\ndata: {}\n\n", "<ping|{}|event: ping\ndata: {}\n\n>[]"},
        {"data: {}\nevent:x\nevent: y\n\n", "<y|{}|data: {}\nevent:x\nevent: y\n\n>[]"},
        {"event: a\nevent\ndata: b\n\n", "<|b|event: a\nevent\ndata: b\n\n>[]"},
        {"id: 1\nretry: 5\ndata: a\n\n", "<|a|id: 1\nretry: 5\ndata: a\n\n>[]"},
        {"event: lone\n\n", "<lone|-|event: lone\n\n>[]"},
        {"Data: a\ndatax: b\n data: c\n\n", "<|-|Data: a\ndatax: b\n data: c\n\n>[]"},
        {"data: a:b: c\n\n", "<|a:b: c|data: a:b: c\n\n>[]"},
        /* Comments. */
        {": keep-alive\n\n", "<|-|: keep-alive\n\n>[]"},
        {":\n:x\ndata: a\n:data: b\n\n", "<|a|:\n:x\ndata: a\n:data: b\n\n>[]"},
        /* Blank lines are events without data. */
        {"\n\ndata: a\n\n\n", "<|-|\n><|-|\n><|a|data: a\n\n><|-|\n>[]"},
        {"\r\ndata: a\r\n\r\n\r\n", "<|-|\r\n><|a|data: a\r\n\r\n><|-|\r\n>[]"},
        /* A byte order mark, at the start alone. */
        {"\xEF\xBB\xBF"
         "data: a\n\n",
         "<|a|data: a\n\n>[]"},
        {"\xEF\xBB\xBF", "[]"},
        {"\xEF\xBB", "[\xEF\xBB]"},
        {"\xEF\xBB"
         "data: a\n\n",
         "<|-|\xEF\xBB"
         "data: a\n\n>[]"},
        {"\xEF\n\n", "<|-|\xEF\n\n>[]"},
        {"\xEF\xBB\n\n", "<|-|\xEF\xBB\n\n>[]"},
        {"data: a\n\n\xEF\xBB\xBF"
         "data: b\n\n",
         "<|a|data: a\n\n><|-|\xEF\xBB\xBF"
         "data: b\n\n>[]"},
        {"\xEF\xBB\xBF\xEF\xBB\xBF"
         "data: a\n\n",
         "<|-|\xEF\xBB\xBF"
         "data: a\n\n>[]"},
        {"\xEF\xBB\xBF\n\n", "<|-|\n><|-|\n>[]"},
        /* What never ended. */
        {"data: a\n\ndata: b\n", "<|a|data: a\n\n>[data: b\n]"},
        {"data: a", "[data: a]"},
        {"data: a\r\n\r", "[data: a\r\n\r]"},
        {"data: a\r", "[data: a\r]"},
        {"\r", "[\r]"},
        /* Longer than one step of the line search. */
        {"data: 0123456789012345678901234567890123456789\r\ndata: 01234567890123456789\r\n\r\n",
         "<|0123456789012345678901234567890123456789\n"
         "01234567890123456789|data: 0123456789012345678901234567890123456789"
         "\r\ndata: 01234567890123456789\r\n\r\n>[]"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        check(weir_span_of_string(rows[i].input), weir_span_of_string(rows[i].expected));
        check_every_cut(weir_span_of_string(rows[i].input), weir_span_of_string(rows[i].expected));
    }
}

static void test_nul_bytes(void **state) {
    (void)state;
    check(WEIR_SPAN("data: a\0b\n\n"), WEIR_SPAN("<|a\0b|data: a\0b\n\n>[]"));
}

static void test_limit(void **state) {
    (void)state;
    check_limited(WEIR_SPAN("data: 1234\n\n"), 12, WEIR_SPAN("<|1234|data: 1234\n\n>[]"));
    check_limited(WEIR_SPAN("data: 12345\n\n"), 12, WEIR_SPAN("limit"));
    check_limited(WEIR_SPAN("data: 1\n\ndata: 12345\n\n"), 12, WEIR_SPAN("<|1|data: 1\n\n>limit"));
    check_limited(WEIR_SPAN("data: 1234567"), 12, WEIR_SPAN("limit"));
    check_limited(WEIR_SPAN("data: 123456"), 12, WEIR_SPAN("[data: 123456]"));
    check_limited(WEIR_SPAN("data: 12\r\n\r\n"), 12, WEIR_SPAN("<|12|data: 12\r\n\r\n>[]"));
    check_limited(WEIR_SPAN("data: 123\r\n\r\n"), 12, WEIR_SPAN("limit"));
    check_limited(WEIR_SPAN("data: 123\r\n\rdata: 1\n\n"), 12, WEIR_SPAN("<|123|data: 123\r\n\r><|1|data: 1\n\n>[]"));
}

static void test_clear(void **state) {
    (void)state;
    struct weir_sse sse;
    struct weir_sse_event event;
    weir_sse_init(&sse, 16);
    struct weir_span data = WEIR_SPAN("data: half");
    assert_int_equal(weir_sse_next(&sse, &data, &event), WEIR_AGAIN);
    assert_int_equal(weir_sse_rest(&sse).length, 10);
    weir_sse_clear(&sse);
    assert_int_equal(weir_sse_rest(&sse).length, 0);
    data = WEIR_SPAN("\xEF\xBB\xBF"
                     "data: a\n\n");
    assert_int_equal(weir_sse_next(&sse, &data, &event), WEIR_OK);
    assert_true(weir_span_equal(event.data, WEIR_SPAN("a")));
    data = WEIR_SPAN("data: 12345678901234567890");
    assert_int_equal(weir_sse_next(&sse, &data, &event), WEIR_ELIMIT);
    data = WEIR_SPAN("\n\ndata: a\n\n");
    assert_int_equal(weir_sse_next(&sse, &data, &event), WEIR_ELIMIT);
    weir_sse_clear(&sse);
    data = WEIR_SPAN("data: b\n\n");
    assert_int_equal(weir_sse_next(&sse, &data, &event), WEIR_OK);
    assert_true(weir_span_equal(event.data, WEIR_SPAN("b")));
    weir_sse_release(&sse);
    weir_sse_release(&sse);
}

/* An event that lies whole in the input is not copied. */
static void test_in_place(void **state) {
    (void)state;
    struct weir_sse sse;
    struct weir_sse_event event;
    weir_sse_init(&sse, 100);
    const struct weir_span all = WEIR_SPAN("event: x\ndata: a\n\ndata: b\n\nda");
    struct weir_span data = all;
    assert_int_equal(weir_sse_next(&sse, &data, &event), WEIR_OK);
    assert_ptr_equal(event.raw.at, all.at);
    assert_ptr_equal(event.name.at, all.at + 7);
    assert_ptr_equal(event.data.at, all.at + 15);
    assert_int_equal(weir_sse_next(&sse, &data, &event), WEIR_OK);
    assert_ptr_equal(event.raw.at, all.at + 18);
    assert_int_equal(sse.held.capacity, 0);
    assert_int_equal(weir_sse_next(&sse, &data, &event), WEIR_AGAIN);
    assert_int_equal(weir_sse_rest(&sse).length, 2);
    /* The delivered event's bytes are no rest. */
    data = WEIR_SPAN("ta: c\n\n");
    assert_int_equal(weir_sse_next(&sse, &data, &event), WEIR_OK);
    assert_true(weir_span_equal(event.raw, WEIR_SPAN("data: c\n\n")));
    assert_int_equal(weir_sse_rest(&sse).length, 0);
    weir_sse_release(&sse);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table), cmocka_unit_test(test_nul_bytes), cmocka_unit_test(test_limit),
        cmocka_unit_test(test_clear), cmocka_unit_test(test_in_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
